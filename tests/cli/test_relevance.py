"""rtt relevance: which words a criterion hangs on, in colour, with marks, and as JSON Lines."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Run
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from rtt import Criterion, Message, Outcome, Rubric, Rule, Span, Task, Verdict
from rtt.answers import Answer
from rtt.cli import cli
from rtt.cli.relevance import (
    MARKS,
    STEPS,
    Scored,
    character_steps,
    print_legend,
    print_scored,
    score,
    steps,
    words,
)
from rtt.cli.verify import Result
from rtt.relevance import relevance_names
from rtt.responses import Response
from rtt.rubrics import write_tasks

ROOT = Path(__file__).resolve().parents[2]
MAIL = Task(
    id="mail",
    prompt=(Message(role="user", content="\n  \nWrite a mail. No commas.\nBe kind."),),
    rubric=Rubric(
        criteria=(
            Criterion(id="no_comma", text="No commas.", rule=Rule(name="punctuation:no_comma")),
            Criterion(id="kind", text="The mail is kind."),
        )
    ),
)
POEM = Task(
    id="poem/7",
    prompt=(Message(role="user", content="A poem about robots."),),
    rubric=Rubric(
        criteria=(
            Criterion(
                id="robot", text="Say robot.", rule=Rule(name="keywords:existence", arguments={"keywords": ["robot"]})
            ),
        )
    ),
)
HOSTILE = "a\x1b[31mred\x1b]0;title\x07\r\x08\x7f\x9b31m\u202etxet\u2066 \ud83d, [bold]b[/bold] :smile:"
UNSAFE = {*map(chr, range(32)), "\x7f", "\x9b", "\u202e", "\u2066", "\ud83d"} - {"\n"}


def run(*arguments: object, stdin: str | None = None, **env: str) -> Run:
    arguments = ("relevance", *arguments)
    return CliRunner().invoke(
        cli, [str(argument) for argument in arguments], input=stdin, env={"COLUMNS": "100", **env}, prog_name="rtt"
    )


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    write_tasks(tmp_path / "tasks.jsonl", [MAIL, POEM])
    return tmp_path / "tasks.jsonl"


@pytest.fixture
def responses(tmp_path: Path) -> Callable[..., Path]:
    def write(*pairs: tuple[str, str]) -> Path:
        path = tmp_path / "responses.jsonl"
        path.write_text("".join(f"{json.dumps({'task_id': task, 'response': text})}\n" for task, text in pairs))
        return path

    return write


class Spy:
    """A source whose relevance of token t is (t + 1) / 10, and that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Task], Sequence[Response], Sequence[Sequence[Verdict]]]] = []
        self.options: dict[str, Any] = {}

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[np.ndarray]:
        self.asked.append((tasks, responses, verdicts))
        return [
            np.tile(np.minimum(np.arange(1, len(response.spans) + 1) / 10, 1), (len(found), 1)).astype(np.float32)
            for response, found in zip(responses, verdicts, strict=True)
        ]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    source = Spy()

    def by_name(name: str, **options: Any) -> Spy:
        source.options = {"name": name, **options}
        return source

    monkeypatch.setattr("rtt.relevance.relevance_source", by_name)
    return source


# ----------------------------------------------------------------------------------------------------- JSON lines


def test_there_is_one_json_line_for_each_response_and_criterion(tasks: Path, responses: Callable[..., Path]) -> None:
    result = run(tasks, responses(("mail", "Hi, you"), ("poem/7", "A robot."), ("mail", "Hi")))
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0] == {
        "task_id": "mail",
        "index": 0,
        "criterion_id": "no_comma",
        "verdict": -1,
        "tokens": [[0, 2, 0.0], [2, 3, 1.0], [3, 7, 0.0]],
    }
    assert lines[1] == {**lines[0], "criterion_id": "kind", "verdict": 0, "tokens": [[0, 2, 0], [2, 3, 0], [3, 7, 0]]}
    assert lines[2]["tokens"] == [[0, 1, 0.0], [1, 7, 1.0], [7, 8, 0.0]]
    assert [(line["task_id"], line["index"], line["criterion_id"], line["verdict"]) for line in lines[2:]] == [
        ("poem/7", 0, "robot", 1),
        ("mail", 1, "no_comma", 1),
        ("mail", 1, "kind", 0),
    ]
    assert lines[3]["tokens"] == [[0, 2, 1.0]]  # satisfied by restraint: all of it


def test_json_lines_hold_all_tokens_whatever_the_threshold(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(("poem/7", "A robot."))
    assert run(tasks, file, "--threshold", "1").stdout == run(tasks, file).stdout


def test_out_takes_the_lines(tasks: Path, responses: Callable[..., Path], tmp_path: Path) -> None:
    file, out = responses(("poem/7", "A robot.")), tmp_path / "out.jsonl"
    result = run(tasks, file, "--out", out)
    assert (result.stdout, result.stderr) == ("", f"relevance: {out}\n")
    assert out.read_text() == run(tasks, file).stdout
    beside = run(tasks, file, "--out", out, "--format", "jsonl")
    assert beside.stdout == out.read_text()


def test_out_appears_whole_or_not_at_all(tasks: Path, responses: Callable[..., Path], tmp_path: Path) -> None:
    file = responses(*[("poem/7", "A robot.")] * 40, ("nail", "Hi"))
    assert run(tasks, file, "--out", tmp_path / "out.jsonl").exit_code == 2
    assert not (tmp_path / "out.jsonl").exists()


def test_responses_come_from_standard_input(tasks: Path) -> None:
    result = run(tasks, "-", stdin='{"task_id": "poem/7", "response": "A robot."}\n')
    assert json.loads(result.stdout)["verdict"] == 1


# ---------------------------------------------------------------------------------------------------- what is chosen


def shown(result: Run) -> list[tuple[str, int, str]]:
    assert result.exit_code == 0, result.output
    lines = map(json.loads, result.stdout.splitlines())
    return [(line["task_id"], line["index"], line["criterion_id"]) for line in lines]


def test_criteria_tasks_and_numbers_are_chosen(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(("mail", "Hi"), ("poem/7", "A robot."), ("mail", "Hi, you"))
    assert shown(run(tasks, file, "--criterion", "kind")) == [("mail", 0, "kind"), ("mail", 1, "kind")]
    assert shown(run(tasks, file, "--criterion", "keywords:*", "--criterion", "kind", "--limit", 2)) == [
        ("mail", 0, "kind"),
        ("poem/7", 0, "robot"),
    ]
    assert shown(run(tasks, file, "--criterion", "ifeval:keywords:*")) == [("poem/7", 0, "robot")]
    assert shown(run(tasks, file, "--task", "poem/7")) == [("poem/7", 0, "robot")]
    assert shown(run(tasks, file, "--task", "poem/7", "--task", "mail", "--limit", 1)) == [
        ("mail", 0, "no_comma"),
        ("mail", 0, "kind"),
    ]


def test_the_limit_counts_responses_that_are_shown_and_stops_reading(tasks: Path, tmp_path: Path) -> None:
    lines = [{"task_id": "mail", "response": "Hi"}] * 3 + [{"task_id": "poem/7", "response": "A robot."}]
    (tmp_path / "r.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "not JSON\n")
    assert shown(run(tasks, tmp_path / "r.jsonl", "--criterion", "robot", "--limit", 1)) == [("poem/7", 0, "robot")]
    assert run(tasks, tmp_path / "r.jsonl", "--criterion", "robot").exit_code == 2


def test_a_source_is_asked_only_for_what_is_shown(tasks: Path, responses: Callable[..., Path], spy: Spy) -> None:
    file = responses(*[("mail", "Hi, you")] * 40, ("poem/7", "A robot."))
    run(tasks, file, "--relevance", "discriminator", "--model", "runs/d", "--criterion", "kind")
    assert spy.options == {"name": "discriminator", "model": "runs/d"}
    assert [len(asked) for asked, _, _ in spy.asked] == [32, 8]
    for asked, _, verdicts in spy.asked:
        assert {tuple(criterion.id for criterion in task.rubric.criteria) for task in asked} == {("kind",)}
        assert {tuple(verdict.criterion_id for verdict in found) for found in verdicts} == {("kind",)}


@pytest.mark.parametrize("name", ["uniform", "random", "shuffled"])
def test_every_source_without_a_model_is_known_by_name(tasks: Path, responses: Callable[..., Path], name: str) -> None:
    result = run(tasks, responses(("mail", "Hi, you"), ("poem/7", "A robot.")), "--relevance", name)
    assert result.exit_code == 0, result.output
    assert [len(json.loads(line)["tokens"]) for line in result.stdout.splitlines()] == [3, 3, 3]


# ------------------------------------------------------------------------------------------------------------ tokens


@given(st.text(alphabet=st.characters(codec=None)))
def test_words_cover_every_character_once(text: str) -> None:
    spans = words("t", text).spans
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Don't stop, Jürgen’s well-known!", ["Don't", " stop", ",", " Jürgen’s", " well", "-", "known", "!"]),
        ("one\r\n\n  two \n", ["one", "\r\n\n", "  two", " ", "\n"]),
        ("漢字、かな ok", ["漢", "字", "、", "か", "な", " ok"]),
        ("👩‍👩‍👧 👍🏽!", ["👩‍👩‍👧", " 👍🏽", "!"]),
        ("cafe\u0301 n\u0303o", ["cafe\u0301", " n\u0303o"]),
        ("snake_case 3.5", ["snake_case", " 3", ".", "5"]),
        ("", []),
        ("  ", ["  "]),
    ],
)
def test_words_are_words_marks_and_line_ends(text: str, pieces: list[str]) -> None:
    assert [text[start:end] for start, end in words("t", text).spans] == pieces


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate([*alphabet, "</s>", "ro", "bo"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[("r", "o"), ("b", "o")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>").save_pretrained(folder)
    return folder


def test_a_tokenizer_shows_its_own_tokens(tasks: Path, responses: Callable[..., Path], tokenizer_folder: Path) -> None:
    result = run(tasks, responses(("poem/7", "a robot 😀")), "--tokenizer", tokenizer_folder)
    tokens = json.loads(result.stdout)["tokens"]
    assert [token for token in tokens if token[2] == 1] == [[2, 4, 1.0], [4, 6, 1.0], [6, 7, 1.0]]
    assert [token[:2] for token in tokens if token[1] == 9] == [[8, 9]] * 4  # an emoji in four pieces


def test_a_half_surrogate_reaches_no_tokenizer_and_moves_no_span(
    tasks: Path, responses: Callable[..., Path], tokenizer_folder: Path
) -> None:
    result = run(tasks, responses(("poem/7", "\ud83d robot")), "--tokenizer", tokenizer_folder)
    assert [token[:2] for token in json.loads(result.stdout)["tokens"] if token[2]] == [[2, 4], [4, 6], [6, 7]]


# -------------------------------------------------------------------------------------------------------- in a table


def test_a_table_marks_relevant_words_where_there_is_no_colour(tasks: Path, responses: Callable[..., Path]) -> None:
    result = run(tasks, responses(("mail", "Hi, you\nand, me")), "--format", "table")
    assert result.stdout == (
        "relevance by evidence, from  . 0.1  - 0.2  = 0.4  * 0.6  # 0.8\n"
        "\n"
        "mail  response 0, line 1\n"
        "Write a mail. No commas.\n"
        "\n"
        "✗ violated  no_comma: No commas.  commas: 2\n"
        "  Hi, you\n"
        "    #\n"
        "  and, me\n"
        "     #\n"
        '  top: "," 1.00  "," 1.00\n'
        "\n"
        "? no verdict  kind: The mail is kind.  needs a judge, none was given\n"
        "  Hi, you\n"
        "  and, me\n"
        "  evidence says nothing without a verdict; a discriminator reads the criterion itself\n"
    )


def test_a_criterion_without_verdict_is_shown_by_a_source_that_reads_it(
    tasks: Path, responses: Callable[..., Path], spy: Spy
) -> None:
    file = responses(("mail", "a b c d e f g h i j"))
    result = run(
        tasks, file, "--relevance", "discriminator", "--model", "m", "--criterion", "kind", "--format", "table"
    )
    assert "? no verdict  kind: The mail is kind." in result.stdout
    assert "  a b c d e f g h i j\n  ..----====****#####\n" in result.stdout
    assert '  top: "j" 1.00  "i" 0.90  "h" 0.80  "g" 0.70  "f" 0.60  and 5 more\n' in result.stdout


def test_the_threshold_silences_and_the_legend_says_so(tasks: Path, responses: Callable[..., Path], spy: Spy) -> None:
    file = responses(("poem/7", "a b c d e f g h i j"))
    result = run(tasks, file, "--format", "table", "--threshold", "0.7")
    assert result.stdout.startswith("relevance by evidence, from  * 0.7  # 0.8\n")
    assert "  a b c d e f g h i j\n              **#####\n" in result.stdout
    assert '  top: "j" 1.00  "i" 0.90  "h" 0.80  "g" 0.70\n' in result.stdout
    assert (
        "no token reaches 1\n" in run(tasks, responses(("poem/7", "a")), "--format", "table", "--threshold", 1).stdout
    )


def test_relevance_of_everything_is_said_in_short(tasks: Path, responses: Callable[..., Path]) -> None:
    result = run(tasks, responses(("poem/7", "one two three four five six")), "--format", "table")
    assert "  all 6 tokens 1.00\n" in result.stdout


def test_a_blank_response_is_shown_as_one(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(("poem/7", ""), ("poem/7", " \n"))
    assert run(tasks, file, "--format", "table").stdout.count("  the response is blank\n") == 2
    assert json.loads(run(tasks, file).stdout.splitlines()[0])["tokens"] == []


def test_long_lines_are_folded_with_their_marks(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(("poem/7", f"{'word ' * 5}robot {'x' * 30}"))
    shown = run(tasks, file, "--format", "table", COLUMNS="22").stdout
    assert "  word word word word\n  word robot\n       #####\n" in shown
    assert max(map(len, shown.partition("\n\n")[2].splitlines())) <= 22


def test_a_tab_keeps_marks_in_place(tasks: Path, responses: Callable[..., Path]) -> None:
    shown = run(tasks, responses(("poem/7", "a\trobot")), "--format", "table").stdout
    line, marks = shown.splitlines()[6:8]
    assert line.index("robot") == marks.index("#####") > 4


def test_wide_characters_have_wide_marks(tasks: Path, responses: Callable[..., Path]) -> None:
    shown = run(tasks, responses(("mail", "漢字, 😀")), "--format", "table", "--criterion", "no_comma").stdout
    assert "  漢字, 😀\n      #\n" in shown
    shown = run(tasks, responses(("mail", "漢, 字")), "--format", "table", "--relevance", "uniform").stdout
    assert "  漢, 字\n  ######\n" in shown


def test_a_relevant_line_end_is_seen(tasks: Path, responses: Callable[..., Path]) -> None:
    shown = run(tasks, responses(("poem/7", "a\n\nb")), "--format", "table", "--relevance", "uniform").stdout
    assert "  a⏎\n  ##\n  ⏎\n  #\n  b\n  #\n" in shown
    assert '"⏎⏎" 1.00' in shown


@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}])
def test_nothing_in_a_response_commands_the_terminal(
    tasks: Path, responses: Callable[..., Path], env: dict[str, str]
) -> None:
    result = run(tasks, responses(("mail", HOSTILE)), "--format", "table", "--relevance", "uniform", **env)
    assert result.exit_code == 0, result.output
    plain = Text.from_ansi(result.stdout).plain if env else result.stdout
    assert not UNSAFE & set(plain)
    assert "[bold]b[/bold] :smile:" in plain
    assert "]0;title" in plain


def test_hostile_words_of_a_task_are_shown_as_signs() -> None:
    criterion = Criterion(id="c\x1b[2J", text="Be\x1b[2J kind.")
    task = Task(
        id="t\x9b", prompt=(Message(role="user", content="\x1b]0;x\x07 hi"),), rubric=Rubric(criteria=(criterion,))
    )
    verdict = Verdict(criterion.id, Outcome.VIOLATED, "rule:test", "why\x1b[2J")
    assert not UNSAFE & set(printed(task, "Hi", [verdict], [[1.0]]))


# ------------------------------------------------------------------------------------------------------------ colour


def printed(
    task: Task, text: str, verdicts: list[Verdict], values: list[list[float]], colours: str | None = None
) -> str:
    result = Result(Answer(line=1, task=task, index=0, text=text), task.rubric.criteria, tuple(verdicts))
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=120,
        force_terminal=colours is not None,
        color_system=colours,
        highlight=False,  # type: ignore[arg-type]
    )
    scored = Scored(result, words(task.id, text), np.asarray(values, dtype=np.float32))
    print_legend(console, "test", 0.1)
    print_scored(console, scored, "test", 0.1)
    return stream.getvalue()


RUBRIC_OF_ONE = Rubric(criteria=(Criterion(id="c", text="Be kind."),))


def styles(outcome: Outcome, colours: str, weight: float = 1.0) -> list[str]:
    """How five tokens of growing relevance look, and a sixth that is not relevant."""
    task = Task(
        id="t", prompt=POEM.prompt, rubric=Rubric(criteria=(Criterion(id="c", text="Be kind.", weight=weight),))
    )
    verdict = Verdict("c", outcome, "rule:test")
    shown = printed(task, "a.b.c.", [verdict], [[0.1, 0.3, 0.5, 0.7, 0.9, 0.05]], colours)
    line = Text.from_ansi(next(line for line in shown.splitlines() if Text.from_ansi(line).plain == "  a.b.c."))
    return [str(line.get_style_at_offset(Console(), offset)) for offset in range(2, 8)]


@pytest.mark.parametrize("colours", ["truecolor", "256", "standard"])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_step_looks_different_from_all_others(outcome: Outcome, colours: str) -> None:
    found = styles(outcome, colours)
    assert len(set(found)) == 6
    assert "underline" in found[4]
    assert found[5] == "none"


@pytest.mark.parametrize("colours", ["truecolor", "256", "standard"])
def test_verdicts_have_colours_of_their_own(colours: str) -> None:
    assert len({styles(outcome, colours)[4] for outcome in Outcome}) == 3
    # what is unwanted and there is shown as what is wanted and not there
    assert styles(Outcome.SATISFIED, colours, weight=-1) == styles(Outcome.VIOLATED, colours)


def test_the_legend_shows_every_step_in_every_colour() -> None:
    shown = Text.from_ansi(
        printed(POEM, "a", [Verdict("robot", Outcome.SATISFIED, "rule:test")], [[1]], "truecolor")
    ).plain
    assert shown.startswith(
        "relevance by test, from\n"
        "  satisfied   0.1  0.2  0.4  0.6  0.8 \n"
        "  violated    0.1  0.2  0.4  0.6  0.8 \n"
        "  no verdict  0.1  0.2  0.4  0.6  0.8 \n"
    )


def test_colour_on_a_terminal_and_marks_with_no_color(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(("poem/7", "A robot."))
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    coloured = run(tasks, file, **env).stdout  # auto is a table there
    assert "\x1b[1;4;38;5;231;48;5;27mrobot\x1b[0m" in coloured
    assert "#####" not in coloured
    plain = run(tasks, file, **env, NO_COLOR="1").stdout
    assert "  A robot.\n    #####\n" in plain
    assert "\x1b[38" not in plain


# ------------------------------------------------------------------------------------------- steps and shapes, by hand


def test_a_step_is_a_fifth() -> None:
    values = np.asarray([0, 0.05, 0.1, 0.19, 0.2, 0.39, 0.4, 0.6, 0.79, 0.8, 1], dtype=np.float32)
    assert steps(values, 0.1).tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5]
    assert steps(values, 0).tolist() == [0, 1, 1, 1, 2, 2, 3, 4, 4, 5, 5]
    assert steps(values, 0.8).tolist() == [0] * 9 + [5, 5]
    assert len(MARKS) == STEPS


def test_blanks_at_the_edge_of_a_passage_stay_unmarked() -> None:
    response = Response("t", "a b c  ", (0, 1, 2, 3), ((0, 1), (1, 3), (3, 5), (5, 7)))
    assert character_steps(response, [0, 4, 2, 3]) == [0, 0, 4, 2, 2, 3, 3]
    shared = Response("t", "😀", (0, 1), ((0, 1), (0, 1)))
    assert character_steps(shared, [5, 2]) == [5]


@pytest.mark.parametrize(
    ("values", "words_of_error"),
    [
        ([[0.5]], r"relevance 'mine' of a response to task 'poem/7' has shape \(1, 1\); expected \(1, 3\): criteria"),
        ([[0.5, np.nan, 0]], "relevance 'mine' of a response to task 'poem/7' has values outside"),
        ([[0.5, 1.5, 0]], "has values outside \\[0, 1\\]"),
    ],
)
def test_a_source_that_answers_amiss_is_named(values: list[list[float]], words_of_error: str) -> None:
    verdict = Verdict("robot", Outcome.SATISFIED, "rule:test", evidence=(Span(2, 7),))
    result = Result(Answer(1, POEM, 0, "A robot."), POEM.rubric.criteria, (verdict,))
    with pytest.raises(ValueError, match=words_of_error):
        score(lambda *_: [np.asarray(values)], [result], words, "mine")


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--relevance", "evidense"], "rtt: --relevance 'evidense' is unknown; did you mean 'evidence'?"),
        (["--relevance", "xyz"], "rtt: --relevance 'xyz' is unknown; expected one of ['contrast', 'discriminator',"),
        (
            ["--relevance", "discriminator"],
            "rtt: --relevance discriminator reads a model; name its folder with --model",
        ),
        (["--model", "runs/d"], "rtt: --model runs/d: relevance 'evidence' reads no model; leave it out, or choose"),
        (["--task", "poem/8"], "has this id; did you mean 'poem/7'?"),
        (["--task", "?"], "has this id; it has ['mail', 'poem/7']"),
        (["--task", "mail"], "none of its 1 responses answers ['mail']; expected one that does"),
        (["--criterion", "poilte"], "no criterion answered here matches ['poilte']; expected an id or a rule's name"),
        (["--limit", "0"], "0 is not in the range x>=1"),
        (["--threshold", "1.5"], "1.5 is not in the range 0<=x<=1"),
        (["--format", "html"], "'html' is not one of 'auto', 'table', 'jsonl'"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_in_words(
    tasks: Path, responses: Callable[..., Path], options: list[str], told: str
) -> None:
    result = run(tasks, responses(("poem/7", "A robot.")), *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_a_tokenizer_that_is_not_there_is_refused(tasks: Path, responses: Callable[..., Path], tmp_path: Path) -> None:
    result = run(tasks, responses(("poem/7", "A robot.")), "--tokenizer", tmp_path)
    assert result.exit_code == 2
    assert f"rtt: --tokenizer {tmp_path}: no tokenizer is found there; expected a folder with a" in result.stderr


def test_a_model_that_is_not_there_is_refused(tasks: Path, responses: Callable[..., Path], tmp_path: Path) -> None:
    result = run(tasks, responses(("poem/7", "A")), "--relevance", "discriminator", "--model", tmp_path / "none")
    assert result.exit_code == 2
    assert result.stderr.startswith("rtt: ")
    assert str(tmp_path / "none") in result.stderr


def test_out_never_replaces_what_is_read(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(("poem/7", "A robot."))
    result = run(tasks, file, "--out", file)
    assert result.exit_code == 2
    assert "responses.jsonl: is the file that is read; expected another one" in result.stderr


def test_a_file_without_responses_is_refused(tasks: Path, responses: Callable[..., Path]) -> None:
    result = run(tasks, responses())
    assert result.exit_code == 2
    assert "responses.jsonl: has no response in it; expected one JSON object a line" in result.stderr


def test_a_missing_extra_is_named(tasks: Path, responses: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    result = run(tasks, responses(("poem/7", "A robot.")), "--tokenizer", "any")
    assert result.exit_code == 2
    assert "`rtt relevance` needs the package 'transformers', which is not installed" in result.stderr


# ---------------------------------------------------------------------------------------------- what it costs, and help


def test_neither_help_nor_evidence_imports_tensors(tasks: Path, responses: Callable[..., Path]) -> None:
    code = (
        "import sys\nfrom rtt.cli import cli\n"
        "try: cli.main(sys.argv[1:], 'rtt')\nexcept SystemExit: print('modules:', *sys.modules)\n"
    )
    file = responses(("poem/7", "A robot."))
    for arguments, heavy in (
        (["--help"], {"torch", "transformers", "numpy", "pydantic", "rich"}),
        ([str(tasks), str(file)], {"torch", "transformers"}),
    ):
        command = [sys.executable, "-c", code, "relevance", *arguments]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert not heavy & set(out.partition("modules: ")[2].split())


def test_the_help_names_every_source_it_explains() -> None:
    text = " ".join(run("--help").output.split())
    named = [name for name in relevance_names() if f"{name} (" in text or f"{name}," in text]
    assert {"evidence", "discriminator", "hybrid", "contrast", "uniform", "random"} <= set(named)


def test_progress_is_drawn_while_a_model_scores(tasks: Path, responses: Callable[..., Path], tmp_path: Path) -> None:
    code = (
        "import time, rtt.relevance\n"
        "from rtt.relevance import UniformRelevance\n"
        "class Slow(UniformRelevance):\n"
        "    def __call__(self, *given):\n"
        "        time.sleep(0.2)\n"
        "        return super().__call__(*given)\n"
        "rtt.relevance.relevance_source = lambda name, model: Slow()\n"
        "from rtt.cli import main\nmain()\n"
    )
    file = responses(*[("poem/7", "A robot.")] * 40)
    parent, child = os.openpty()
    with (tmp_path / "stdout").open("w") as stdout:
        command = [sys.executable, "-c", code, "relevance", tasks, file, "--relevance", "discriminator", "--model", "m"]
        subprocess.run(command, stdout=stdout, stderr=child, check=True, env={**os.environ, "TERM": "xterm"})
    os.close(child)
    seen = os.read(parent, 100_000).decode()
    os.close(parent)
    assert "relevance" in seen
    assert "100 %" in seen
    assert len((tmp_path / "stdout").read_text().splitlines()) == 40


def test_the_page_of_the_docs_shows_what_the_command_prints() -> None:
    page = (ROOT / "docs" / "relevance.md").read_text(encoding="utf-8")
    blocks = page.split("```")
    command = "rtt relevance examples/tasks.jsonl examples/responses.jsonl"
    shown = next(blocks[k + 2] for k, block in enumerate(blocks) if f"{command} --task" in block)
    arguments = ["examples/tasks.jsonl", "examples/responses.jsonl", "--task", "lantern", "--limit", "2"]
    here = [str(ROOT / argument) if "/" in argument else argument for argument in arguments]
    printed = run(*here, "--format", "table", COLUMNS="80").stdout
    assert shown.removeprefix("text\n") == printed
