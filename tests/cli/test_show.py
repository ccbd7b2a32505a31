"""rtt show: a run's responses, coloured by what their tokens were credited with."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rtt import Criterion, Message, Outcome, Rubric, Rule, Task, Verdict
from rtt.cli import cli
from rtt.cli.relevance import STEPS
from rtt.cli.show import character_levels, levels, print_record
from rtt.records import Record, write_records
from rtt.responses import Response

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\r\x08\x7f\x9b31m\u202etxet\u2066 \ud83d, [bold]b[/bold] :smile:"
UNSAFE = {*map(chr, range(32)), "\x7f", "\x9b", "\u202e", "\u2066", "\ud83d"} - {"\n"}

MAIL = Task(
    id="mail/7",
    prompt=(Message(role="user", content="Write a mail.\nNo commas."),),
    rubric=Rubric(
        criteria=(
            Criterion(id="commas", text="No commas.", rule=Rule(name="punctuation:no_comma")),
            Criterion(id="kind", text="It is kind."),
        )
    ),
)
#         0     5  6   10
TEXT = "Hello, dear friend"
SPANS = ((0, 5), (5, 6), (6, 11), (11, 18))


def made(step: int = 4, text: str = TEXT, name: str = "mail/7", **changed: Any) -> Record:
    spans = SPANS if text == TEXT else ((0, len(text)),)
    record = Record(
        step=step,
        group=2,
        task=MAIL.model_copy(update={"id": name}),
        response=Response(name, text, tuple(range(len(spans))), spans),
        verdicts=(
            Verdict("commas", Outcome.VIOLATED, "rule:punctuation:no_comma", "commas: 1"),
            Verdict("kind", Outcome.SATISFIED, "judge:m", "It says dear."),
        ),
        relevance=((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.9, 0.5)),
        reward=0.5,
        response_advantage=0.7,
        token_advantages=(0.1, -1.6, 1.0, 0.5),
        advantages=(0.75, -0.1, 1.2, 0.95),
        criterion_advantages=((0.6, -1.7, 0.6, 0.6), (-0.9, -0.9, 1.4, 0.4)),
    )
    return dataclasses.replace(record, **changed)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    file = tmp_path / "records.jsonl"
    second = made(advantages=(0.0,) * 4, response_advantage=-0.7)
    write_records(file, [made(step=2, reward=None), made(), second, made(step=3, name="poem/1")])
    return file


def run(*arguments: object, **env: str) -> Result:
    return CliRunner().invoke(cli, ["show", *map(str, arguments)], env={"COLUMNS": "100", **env}, prog_name="rtt")


def printed(record: Record, by: Any = "advantage", pattern: str | None = None, colours: str | None = None) -> str:
    stream = io.StringIO()
    where = Console(
        file=stream,
        width=120,
        force_terminal=colours is not None,
        color_system=colours,  # type: ignore[arg-type]
        highlight=False,
        markup=False,
        emoji=False,
    )
    print_record(where, record, by, pattern)
    return stream.getvalue()


# ---------------------------------------------------------------------------------------------------- what is chosen


def test_without_a_task_the_tasks_are_listed(records: Path) -> None:
    shown = run(records).stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["mail/7", "2-4", "(2)", "3", "50.0", "%", "0.0", "%"] in rows
    assert ["poem/1", "3", "1", "50.0", "%", "0.0", "%"] in rows
    assert "2 tasks; --task ID shows a response" in shown


def test_a_task_shows_its_last_step(records: Path) -> None:
    result = run(records, "--task", "mail/7")
    assert result.exit_code == 0
    assert (
        "mail/7  step 4, group 2  reward 0.5, response advantage +0.7\n  Write a mail.\n  No commas.\n" in result.stdout
    )
    assert "✗ violated  commas: No commas.  commas: 1\n✓ satisfied  kind: It is kind.  It says dear.\n" in result.stdout
    assert "\x1b" not in result.stdout
    assert "step 2, group 2  reward none" in run(records, "--task", "mail/7", "--step", 2).stdout
    assert "response advantage -0.7" in run(records, "--task", "mail/7", "--index", 1).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "mial/7"], "--task 'mial/7': no record of {} answers it; did you mean 'mail/7'"),
        (["--task", "zzz"], "no record of {} answers it; it has ['mail/7', 'poem/1']"),
        (
            ["--task", "mail/7", "--step", "9"],
            "--step 9: has no response to 'mail/7'; the nearest that have are [2, 4]",
        ),
        (["--task", "mail/7", "--index", "2"], "--index 2: step 4 has 2 responses to 'mail/7'; expected 0 to 1"),
        (
            ["--task", "mail/7", "--criterion", "comas", "--by", "reward"],
            "--criterion 'comas': no criterion of task 'mail/7' matches; did you mean 'commas'?",
        ),
        (
            ["--task", "mail/7", "--criterion", "kind"],
            "--criterion with --by advantage: it is of all criteria together",
        ),
    ],
)
def test_what_is_not_there_is_told_with_what_is(records: Path, arguments: list[str], message: str) -> None:
    result = run(records, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message.format(records) in result.stderr


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("\n")
    for arguments in ([], ["--task", "t"]):
        result = run(tmp_path / "records.jsonl", *arguments)
        assert result.exit_code == 2
        assert "no record" in result.stderr


def test_a_record_without_what_is_asked_for_is_told(records: Path) -> None:
    bare = made(criterion_advantages=None, relevance=())
    write_records(records, [bare])
    for by, what in (("token-advantage", "criterion_advantages"), ("relevance", "relevance"), ("reward", "relevance")):
        result = run(records, "--task", "mail/7", "--by", by, "--criterion", "kind")
        assert result.exit_code == 2
        assert f"does not hold {'relevance' if by != 'token-advantage' else 'what each'}" in result.stderr
        assert what in result.stderr
    write_records(records, [made(advantages=(1.0,))])
    assert "1 values for 4 tokens" in run(records, "--task", "mail/7").stderr


# ------------------------------------------------------------------------------------------------------------ pages


def test_without_colours_marks_stand_below() -> None:
    shown = printed(made())
    assert "advantage: -0.1 to 1.2\n" in shown
    assert "  e -1.2  d -0.96  c -0.72  b -0.48  a -0.24  1 +0.24  2 +0.48  3 +0.72  4 +0.96  5 +1.2" in shown
    assert "  Hello, dear friend\n  44444a 55554444444\n" in shown
    assert '  best: "dear" +1.2  "friend" +0.95  "Hello" +0.75\n  worst: "," -0.1\n' in shown


def test_relevance_is_shown_for_each_criterion() -> None:
    shown = printed(made(), "relevance")
    assert "relevance for commas: 0 to 1\n  1 +0.2  2 +0.4  3 +0.6  4 +0.8  5 +1" in shown
    assert "  Hello, dear friend\n       5\n" in shown
    assert "relevance for kind: 0 to 0.9\n" in shown
    only = printed(made(), "relevance", "punctuation:*")
    assert "relevance for kind" not in only


def test_a_reward_has_the_sign_of_the_verdict() -> None:
    shown = printed(made(), "reward")
    assert "reward by commas: -1 to 0\n  e -1  d -0.8  c -0.6  b -0.4  a -0.2" in shown
    assert '       e\n  worst: "," -1\n' in shown
    assert '  best: "dear" +0.9  "friend" +0.5\n' in shown


def test_the_part_of_one_criterion() -> None:
    assert "token advantage by commas: -1.7 to 0.6" in printed(made(), "token-advantage", "commas")
    assert "token advantage, before lambda: -1.6 to 1" in printed(made(), "token-advantage")


def test_all_tokens_alike_are_told_in_one_line() -> None:
    assert "  all tokens 0\n" in printed(made(advantages=(0.0,) * 4))
    long = made(text="x" * 9, relevance=((), ()), token_advantages=())
    response = Response("mail/7", "x" * 9, tuple(range(9)), tuple((i, i + 1) for i in range(9)))
    assert "  all 9 tokens +0.5\n" in printed(dataclasses.replace(long, response=response, advantages=(0.5,) * 9))


def test_a_blank_response_is_told() -> None:
    assert "the response is blank" in printed(made(text=" ", advantages=(0.5,)))


def test_colours_are_blue_for_and_orange_and_underlined_against() -> None:
    shown = printed(made(), "reward", colours="256")
    assert "\x1b[1;4;38;5;231;48;5;166m,\x1b[0m" in shown  # orange, underlined
    assert "\x1b[1;38;5;231;48;5;27mdear\x1b[0m" in shown  # blue, not underlined
    assert "eeeee" not in shown


def test_colours_can_be_forced_and_forbidden(records: Path) -> None:
    arguments = (records, "--task", "mail/7")
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert "\x1b[" in run(*arguments, **env).stdout
    plain = run(*arguments, **env, NO_COLOR="1").stdout
    assert "\x1b[38" not in plain
    assert "  a" in plain


@pytest.mark.parametrize("colours", [None, "256"])
@pytest.mark.parametrize("by", ["relevance", "reward", "token-advantage", "advantage"])
def test_hostile_words_are_shown_as_signs(colours: str | None, by: str) -> None:
    criterion = Criterion(id="c\x1b[2J", text="Be\x1b[2J kind.")
    task = Task(
        id="t\x9b",
        prompt=(Message(role="user", content="\x1b]0;x\x07\u202e hi\r"),),
        rubric=Rubric(criteria=(criterion,)),
    )
    record = made(
        text=HOSTILE,
        task=task,
        verdicts=(Verdict(criterion.id, Outcome.VIOLATED, "judge:m", "why\x1b[2J\ud83d"),),
        relevance=((1.0,),),
        token_advantages=(-1.0,),
        advantages=(-1.0,),
        criterion_advantages=((-1.0,),),
    )
    shown = printed(record, by, None if by == "advantage" else "c*", colours)
    allowed = {"\x1b"} if colours else set()
    assert not (UNSAFE - allowed) & set(shown)
    assert "\x1b[31m" not in shown
    assert "\x1b]" not in shown
    assert "[bold]b[/bold] :smile:" in shown


def test_hostile_names_in_the_list_are_shown_as_signs(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [made(name="t\x1b[31m\u202e")])
    shown = run(tmp_path / "r.jsonl").stdout
    assert not UNSAFE & set(shown)
    assert "t␛[31m" in shown


# ----------------------------------------------------------------------------------------------------------- by hand


def test_a_level_is_a_fifth_of_the_largest() -> None:
    assert levels([0, 0.1, 0.2, 0.21, -0.5, 1, -1, 2], 1.0) == [0, 1, 1, 2, -3, 5, -5, 5]
    assert levels([0.3 * 0.2, 1e-9], 0.3) == [1, 1]
    assert levels([0.0, 0.0], 0.0) == [0, 0]
    assert levels([math.nan, math.inf, -math.inf], 1.0) == [0, 5, -5]


def test_tokens_that_share_a_character_show_the_stronger() -> None:
    response = Response("t", "😀 b", (0, 1, 2), ((0, 1), (0, 1), (1, 3)))
    assert character_levels(response, [-4, 2, 3]) == [-4, 2, 3]
    assert character_levels(response, [-2, 5, -1]) == [5, -1, -1]


@given(st.lists(st.floats(), max_size=30), st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_levels_keep_the_sign_and_stay_in_range(values: list[float], scale: float) -> None:
    for value, level in zip(values, levels(values, scale), strict=True):
        assert -STEPS <= level <= STEPS
        assert level == 0 or math.copysign(1, level) == math.copysign(1, value)
