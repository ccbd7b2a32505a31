"""The command line: what it prints where, how it ends, and what it does not import."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from benchmark_data import benchmark_file
from click.testing import CliRunner, Result
from rich.console import Console

import rtt
from rtt import Criterion, Message, Outcome, Rubric, Rule, Span, Task, Verdict
from rtt.answers import Answer
from rtt.cli import COMMANDS, Refusal, cli
from rtt.cli.verify import Result as Verified
from rtt.cli.verify import highlighted, print_result, visible
from rtt.rubrics import Code, write_tasks

MAIL = Task(
    id="mail",
    prompt=(Message(role="user", content="Write a mail. No commas, at most 5 words."),),
    rubric=Rubric(
        criteria=(
            Criterion(id="no_comma", rule=Rule(name="punctuation:no_comma")),
            Criterion(
                id="short",
                rule=Rule(name="length_constraints:number_words", arguments={"relation": "less than", "num_words": 6}),
            ),
        )
    ),
)
POEM = Task(
    id="ifeval/7",
    prompt=(Message(role="user", content="Write a poem about robots. Be kind."),),
    rubric=Rubric(
        criteria=(
            Criterion(id="robot", rule=Rule(name="keywords:existence", arguments={"keywords": ["robot"]})),
            Criterion(id="kind", text="The poem is kind."),
        )
    ),
    metadata={"key": 7},
)


def run(*arguments: object, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin, env=env, prog_name="rtt")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def as_lines(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    write_tasks(tmp_path / "tasks.jsonl", [MAIL, POEM])
    return tmp_path / "tasks.jsonl"


@pytest.fixture
def responses(tmp_path: Path) -> Callable[..., Path]:
    def write(*values: object) -> Path:
        path = tmp_path / "responses.jsonl"
        path.write_text(as_lines(*values))
        return path

    return write


# ------------------------------------------------------------------------------------------------------- the group


def test_help_is_instant_and_imports_no_command() -> None:
    """Its seconds of the processor: what else the machine does meanwhile is not the command's."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "rtt", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.4


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["verify", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded = python(
        f"import sys\nfrom rtt.cli import cli\ncli.main({arguments}, 'rtt', standalone_mode=False)\n"
        "print('modules:', *sys.modules)"
    ).partition("modules: ")[2]
    heavy = {"torch", "transformers", "trl", "datasets", "numpy", "pydantic", "rich", "nltk"} & set(loaded.split())
    assert not heavy


def test_help_of_the_package_imports_nothing_heavy() -> None:
    loaded = python("import sys, rtt\nprint(*sys.modules)").split()
    assert not {"pydantic", "click", "numpy", "torch"} & set(loaded)


def test_help_lists_the_commands_with_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    listed = " ".join(result.output.partition("Commands:")[2].split())  # long summaries are wrapped
    for name, command in COMMANDS.items():
        assert f"{name} {command.summary}" in listed
    assert "rtt verify tasks.jsonl responses.jsonl" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_exists_under_its_name_and_teaches_by_example(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert f"rtt {name}" in run(name, "--help").output.split("\n", 1)[1]


def test_an_unknown_command_shows_the_one_that_is_close() -> None:
    result = run("verfy")
    assert result.exit_code == 2
    assert "there is no command 'verfy'; did you mean 'verify'?" in result.stderr


def test_the_version_is_the_packages() -> None:
    assert run("--version").output == f"rtt {rtt.__version__}\n"


def test_an_error_of_ours_is_one_message_without_traceback(tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    result = run("verify", missing, missing)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"rtt: {missing}: there is no such file; expected a file of JSON Lines\n"


def test_debugging_shows_where_an_error_arose(tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    result = run("verify", missing, missing, env={"RTT_DEBUG": "1"})
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith(f"rtt: {missing}: there is no such file; expected a file of JSON Lines\n")


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def demo() -> None:
        import a_package_that_nobody_has  # noqa: F401

    module = type(sys)("rtt.cli.demo")
    module.demo = demo  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtt.cli.demo", module)
    result = run("demo")
    assert result.exit_code == 2
    assert "`rtt demo` needs the package 'a_package_that_nobody_has', which is not installed" in result.stderr
    assert "pip install 'rubrics-to-tokens[train]'" in result.stderr


def test_a_bug_is_not_dressed_up_as_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def demo() -> None:
        raise KeyError("bug")

    module = type(sys)("rtt.cli.demo")
    module.demo = demo  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtt.cli.demo", module)
    assert isinstance(run("demo").exception, KeyError)


# --------------------------------------------------------------------------------------------------- public names


def test_the_packages_public_names_load_on_first_use() -> None:
    assert all(getattr(rtt, name) is not None for name in rtt.__all__)
    assert set(rtt.__all__) <= set(dir(rtt))
    with pytest.raises(AttributeError, match="module 'rtt' has no attribute 'verfiy'"):
        rtt.verfiy  # noqa: B018


# --------------------------------------------------------------------------------------------------- rtt verify


def test_verdicts_come_as_one_json_line_a_response(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(
        {"task_id": "mail", "response": "Hello there, friend"},
        {"task_id": "ifeval/7", "response": "A robot sings"},
        {"task_id": "mail", "response": "Hello there friend"},
    )
    result = run("verify", tasks, file)
    assert result.exit_code == 0
    first, second, third = [json.loads(line) for line in result.stdout.splitlines()]
    assert list(first) == [
        "task_id",
        "index",
        "line",
        "response",
        "verdicts",
        "rubric_accuracy",
        "instruction_accuracy",
    ]
    assert [(line["task_id"], line["index"], line["line"]) for line in (first, second, third)] == [
        ("mail", 0, 1),
        ("ifeval/7", 0, 2),
        ("mail", 1, 3),
    ]
    no_comma, short = first["verdicts"]
    assert list(no_comma) == ["criterion_id", "outcome", "source", "reason", "scope", "missing", "failed", "evidence"]
    assert (no_comma["criterion_id"], no_comma["outcome"]) == ("no_comma", -1)
    assert no_comma["source"] == "rule:punctuation:no_comma"
    assert no_comma["evidence"] == [{"start": 11, "end": 12, "polarity": "violation"}]
    assert short["outcome"] == 1
    assert (first["rubric_accuracy"], first["instruction_accuracy"]) == (0.5, 0.0)
    assert [verdict["outcome"] for verdict in second["verdicts"]] == [1, 0]
    assert (second["rubric_accuracy"], second["instruction_accuracy"]) == (1.0, 1.0)
    assert (third["rubric_accuracy"], third["instruction_accuracy"]) == (1.0, 1.0)
    assert "3 responses to 2 tasks: rubric accuracy 80.0 % (4/5)" in result.stderr
    assert "instruction accuracy 66.7 % (2/3), undetermined 1" in result.stderr


def test_a_summary_alone(tasks: Path, responses: Callable[..., Path]) -> None:
    result = run("verify", tasks, responses({"task_id": "mail", "response": "Hi"}), "--format", "summary")
    assert result.stdout == (
        "1 response to 1 task: rubric accuracy 100.0 % (2/2), instruction accuracy 100.0 % (1/1), undetermined 0\n"
    )


def test_nothing_determined_is_no_accuracy(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "ifeval/7", "response": "A robot"})
    result = run("verify", tasks, file, "--criterion", "kind", "--format", "summary")
    assert result.stdout == (
        "1 response to 1 task: rubric accuracy - (0/0), instruction accuracy - (0/0), undetermined 1\n"
    )
    line = json.loads(run("verify", tasks, file, "--criterion", "kind").stdout)
    assert (line["rubric_accuracy"], line["instruction_accuracy"]) == (None, None)


def test_a_table_shows_verdict_criterion_reason_and_evidence(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "mail", "response": "Hello there, friend"})
    result = run("verify", tasks, file, "--format", "table", env={"COLUMNS": "160"})
    shown = result.stdout
    assert "mail  response 0, line 1: 1 of 2 criteria met" in shown
    assert "✗ violated" in shown
    assert "✓ satisfied" in shown
    assert "no_comma: " in shown
    assert "Hello there, friend" in shown
    assert "rubric accuracy 50.0 % (1/2)" in shown
    assert "\x1b" not in shown  # no colours where nobody can see them


def test_out_takes_the_lines_and_leaves_the_summary_on_standard_output(
    tasks: Path, responses: Callable[..., Path], tmp_path: Path
) -> None:
    file = responses({"task_id": "mail", "response": "Hi"})
    result = run("verify", tasks, file, "--out", tmp_path / "verdicts.jsonl")
    assert result.stdout.startswith("1 response to 1 task: ")
    assert json.loads((tmp_path / "verdicts.jsonl").read_text())["task_id"] == "mail"
    assert run("verify", tasks, file).stdout == (tmp_path / "verdicts.jsonl").read_text()


def test_out_appears_whole_or_not_at_all(tasks: Path, responses: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "verdicts.jsonl"
    out.write_text("before")
    file = responses({"task_id": "mail", "response": "Hi"}, {"task_id": "nail", "response": "Hi"})
    assert run("verify", tasks, file, "--out", out).exit_code == 2
    assert out.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["responses.jsonl", "tasks.jsonl", "verdicts.jsonl"]


@pytest.mark.parametrize(
    "named",
    [
        {"task_id": "ifeval/7"},
        {"id": "ifeval/7"},
        {"id": 7},
        {"key": 7},
        {"prompt": "Write a poem about robots. Be kind."},
        {"id": "answer-12", "prompt": "Write a poem about robots. Be kind."},
    ],
)
def test_a_response_names_its_task_in_any_common_way(
    tasks: Path, responses: Callable[..., Path], named: dict[str, Any]
) -> None:
    result = run("verify", tasks, responses({**named, "text": "A robot", "model": "x"}))
    assert json.loads(result.stdout)["task_id"] == "ifeval/7"


def test_responses_come_from_standard_input(tasks: Path) -> None:
    result = run("verify", tasks, "-", stdin=as_lines({"task_id": "mail", "response": "Hi"}))
    assert json.loads(result.stdout)["rubric_accuracy"] == 1.0


def test_only_chosen_criteria_are_shown(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "mail", "response": "Hi"}, {"task_id": "ifeval/7", "response": "A robot"})

    def chosen(*patterns: str) -> list[list[str]]:
        options = [option for pattern in patterns for option in ("--criterion", pattern)]
        lines = [json.loads(line) for line in run("verify", tasks, file, *options).stdout.splitlines()]
        return [[verdict["criterion_id"] for verdict in line["verdicts"]] for line in lines]

    assert chosen() == [["no_comma", "short"], ["robot", "kind"]]
    assert chosen("short") == [["short"]]
    assert chosen("keywords:*", "ifeval:punctuation:no_comma") == [["no_comma"], ["robot"]]


def test_responses_that_meet_everything_can_be_left_out(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "mail", "response": "Hi"}, {"task_id": "mail", "response": "Hi, you"})
    result = run("verify", tasks, file, "--failed")
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == [2]
    assert "2 responses to 1 task: rubric accuracy 75.0 % (3/4)" in result.stderr


def test_the_loose_metric_lets_a_trimmed_variant_pass(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "mail", "response": "Sure, here it is:\nHello friend"})
    assert "rubric accuracy 0.0 % (0/2)" in run("verify", tasks, file).stderr
    assert "rubric accuracy 100.0 % (2/2)" in run("verify", tasks, file, "--loose").stderr


def test_a_criterion_with_negative_weight_is_met_when_it_is_violated(
    tmp_path: Path, responses: Callable[..., Path]
) -> None:
    rule = Rule(name="keywords:existence", arguments={"keywords": ["politics"]})
    rubric = Rubric(criteria=(Criterion(id="politics", rule=rule, weight=-1),))
    write_tasks(tmp_path / "t.jsonl", [Task(id="t", prompt=MAIL.prompt, rubric=rubric)])
    file = responses({"task_id": "t", "response": "Weather."}, {"task_id": "t", "response": "All about politics."})
    lines = [json.loads(line) for line in run("verify", tmp_path / "t.jsonl", file).stdout.splitlines()]
    assert [line["verdicts"][0]["outcome"] for line in lines] == [-1, 1]
    assert [line["instruction_accuracy"] for line in lines] == [1.0, 0.0]
    table = run("verify", tmp_path / "t.jsonl", file, "--format", "table", env={"COLUMNS": "160"}).stdout
    assert "✓ violated, unwanted" in table
    assert "✗ satisfied, unwanted" in table


def test_code_that_came_with_the_data_is_undetermined(tmp_path: Path, responses: Callable[..., Path]) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    rubric = Rubric(criteria=(Criterion(id="c", text="Ends well.", code=Code(source=trap, entry="f")),))
    write_tasks(tmp_path / "t.jsonl", [Task(id="t", prompt=MAIL.prompt, rubric=rubric)])
    [verdict] = json.loads(run("verify", tmp_path / "t.jsonl", responses({"id": "t", "text": "a"})).stdout)["verdicts"]
    assert verdict["outcome"] == 0
    assert "never run" in verdict["reason"]
    assert not (tmp_path / "ran").exists()


def test_out_never_replaces_what_is_read(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "mail", "response": "Hi"})
    result = run("verify", tasks, file, "--out", file)
    assert result.exit_code == 2
    assert "responses.jsonl: is the file that is read; expected another one" in result.stderr


def test_half_a_surrogate_pair_in_a_response_is_carried_through(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses({"task_id": "mail", "response": "Hi \ud83d"})
    assert json.loads(run("verify", tasks, file).stdout)["response"] == "Hi \ud83d"
    assert "Hi \ufffd" in run("verify", tasks, file, "--format", "table").stdout


@pytest.mark.parametrize("form", ["jsonl", "table"])
def test_a_terminal_that_knows_ascii_alone_is_served(tasks: Path, responses: Callable[..., Path], form: str) -> None:
    file = responses({"task_id": "mail", "response": "Grüße, 你"})
    done = subprocess.run(
        [sys.executable, "-m", "rtt", "verify", tasks, file, "--format", form],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    shown = done.stdout.decode("utf-8" if form == "jsonl" else "ascii")
    assert ("Grüße, 你" if form == "jsonl" else r"Gr\xfc\xdfe, \u4f60") in shown


def test_a_reader_that_stops_early_ends_the_command_quietly(tasks: Path, responses: Callable[..., Path]) -> None:
    file = responses(*[{"task_id": "mail", "response": "Hi " * 5000}] * 50)
    command = [sys.executable, "-m", "rtt", "verify", str(tasks), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["line"] == 1
        process.stdout.close()
        assert process.stderr.read() == ""


def test_progress_goes_to_the_terminal_and_lines_to_the_file(
    tasks: Path, responses: Callable[..., Path], tmp_path: Path
) -> None:
    file = responses(*[{"task_id": "mail", "response": "Hi"}] * 20)
    parent, child = os.openpty()
    with (tmp_path / "stdout").open("w") as stdout:
        command = [sys.executable, "-m", "rtt", "verify", str(tasks), str(file)]
        done = subprocess.run(command, stdout=stdout, stderr=child, check=True, env={**os.environ, "TERM": "xterm"})
    os.close(child)
    seen = os.read(parent, 100_000).decode()
    os.close(parent)
    assert done.returncode == 0
    assert "verify" in seen
    assert "100 %" in seen
    assert "20 responses to 1 task" in seen
    assert [json.loads(line)["line"] for line in (tmp_path / "stdout").read_text().splitlines()] == list(range(1, 21))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "responses.jsonl: has no response in it; expected one JSON object a line"),
        (['{"task_id": "mail" "response"}'], "responses.jsonl:1: column 20: not JSON"),
        (["[]"], "responses.jsonl:1: got list; expected a JSON object, one response a line"),
        (
            ['{"response": "a", "model": "b"}'],
            ":1: names no task, its keys are ['response', 'model']; expected task_id",
        ),
        (['{"task_id": "nail", "response": "a"}'], ":1: task_id 'nail' fit no task of "),
        (['{"task_id": "mail"}'], ":1: response: is missing, the keys are ['task_id']; expected the answer under"),
        (['{"task_id": "mail", "response": null}'], ":1: response: got None (NoneType); expected the answer as text"),
        (['{"task_id": "mail", "response": ["a", "b"]}'], ":1: response: got ['a', 'b'] (list); expected the answer"),
        (['{"task_id": "mail", "response": "a"}', "", "{"], "responses.jsonl:3: column 2: not JSON"),
    ],
)
def test_a_response_that_cannot_be_used_is_named_with_file_and_line(
    tasks: Path, tmp_path: Path, lines: Sequence[str], words: str
) -> None:
    (tmp_path / "responses.jsonl").write_text("\n".join(lines))
    result = run("verify", tasks, tmp_path / "responses.jsonl", "--format", "summary")
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_a_prompt_that_two_tasks_share_is_refused(tmp_path: Path, responses: Callable[..., Path]) -> None:
    twin = Task(id="twin", prompt=MAIL.prompt, rubric=MAIL.rubric)
    write_tasks(tmp_path / "t.jsonl", [MAIL, twin])
    result = run("verify", tmp_path / "t.jsonl", responses({"prompt": MAIL.prompt[0].content, "response": "a"}))
    assert "prompt: fits 2 tasks: ['mail', 'twin']; give a task_id" in result.stderr


def test_a_pattern_that_fits_nothing_is_refused(tasks: Path, responses: Callable[..., Path]) -> None:
    result = run("verify", tasks, responses({"task_id": "mail", "response": "a"}), "--criterion", "poilte")
    assert result.exit_code == 2
    assert "no criterion answered here matches ['poilte']; expected an id or a rule's name" in result.stderr


def test_ifevals_own_files_are_scored_as_officially(tmp_path: Path) -> None:
    golden = [json.loads(line) for line in benchmark_file("golden/ifeval_rtt.jsonl").read_text().splitlines()]
    file = tmp_path / "responses.jsonl"
    file.write_text(as_lines(*({"prompt": row["prompt"], "response": row["response"]} for row in golden)))
    result = run("verify", benchmark_file("ifeval/input_data.jsonl"), file)
    for row, line in zip(golden, result.stdout.splitlines(), strict=True):
        verdicts = json.loads(line)["verdicts"]
        entries = zip(verdicts, row["follow_instruction_list_strict"], row["stable_strict"], strict=True)
        assert all(verdict["outcome"] == (1 if follows else -1) for verdict, follows, stable in entries if stable)


# ---------------------------------------------------------------------------------------------------- the display


def a_result(text: str, *evidence: Span, reason: str = "because") -> Verified:
    verdict = Verdict("c1", Outcome.VIOLATED, "rule:test", reason, evidence=evidence)
    criterion = Criterion(id="c1", text="Be [bold]kind[/bold].")
    task = Task(id="t", prompt=MAIL.prompt, rubric=Rubric(criteria=(criterion,)))
    return Verified(Answer(line=1, task=task, index=0, text=text), (criterion,), (verdict,))


def printed(result: Verified, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=120, force_terminal=colour, color_system="standard" if colour else None, highlight=False
    )
    print_result(console, result)
    return stream.getvalue()


HOSTILE = "a\x1b[31mred\x1b]0;title\x07\r\x08\x7f\x9b31m\u202etxet\u2066"


def test_what_commands_a_terminal_is_shown_as_a_sign() -> None:
    assert visible(HOSTILE) == "a␛[31mred␛]0;title␇␍␈␡\ufffd31m\ufffdtxet\ufffd"
    assert visible("kept:\n\tä 漢 😀") == "kept:\n\tä 漢 😀"


def test_no_control_character_of_an_error_reaches_the_terminal(tmp_path: Path) -> None:
    """It may hold the words of an endpoint, or of a file."""
    file = tmp_path / "tasks.jsonl"
    file.write_text(json.dumps({"id": HOSTILE, "messages": []}) + "\n", "utf-8")
    refused = CliRunner().invoke(cli, ["verify", str(file), str(file)])
    assert refused.exit_code == 2
    click_error = CliRunner().invoke(refuses, [])
    assert "rtt: a␛[31mred␛]0;title␇␍␈␡" in click_error.output
    for shown in (refused.output, click_error.output):
        assert not [character for character in shown if ord(character) < 32 and character != "\n"]
        assert not {"\x7f", "\x9b", "\u202e", "\u2066"} & set(shown)


@click.command()
def refuses() -> None:
    raise Refusal(HOSTILE)


def test_no_control_character_of_a_response_reaches_the_terminal() -> None:
    shown = printed(a_result(HOSTILE, Span(0, len(HOSTILE), "violation"), reason=HOSTILE))
    assert not [character for character in shown if ord(character) < 32 and character != "\n"]
    assert not {"\x7f", "\x9b", "\u202e", "\u2066"} & set(shown)


def test_markup_and_emoji_codes_in_a_response_are_plain_text() -> None:
    shown = printed(a_result("[red]no[/red] [/] :smile: [link=x]", reason="[blink]why[/blink]"))
    for plain in ("[red]no[/red] [/] :smile: [link=x]", "[blink]why[/blink]", "Be [bold]kind[/bold]."):
        assert plain in shown


def test_evidence_is_coloured_where_it_is_and_violation_wins() -> None:
    text = highlighted("0123456789", [Span(4, 8, "violation"), Span(2, 6, "support")])
    console = Console()
    styles = [text.get_style_at_offset(console, offset) for offset in range(10)]
    names = [style.color.name if style.color else None for style in styles]
    assert names == [None, None, "green", "green", "red", "red", "red", "red", None, None]
    assert [style.underline is True for style in styles] == [name == "red" for name in names]


def test_evidence_is_coloured_on_a_terminal() -> None:
    assert "\x1b[1;4;31m,\x1b[0m" in printed(a_result("Hello, you", Span(5, 6, "violation")), colour=True)


def test_much_evidence_is_quoted_in_short() -> None:
    spans = [Span(start, start + 1, "violation") for start in range(0, 20, 2)]
    assert "and 7 more" in printed(a_result("," * 20, *spans))
    long = printed(a_result("start" + "x" * 100 + "end", Span(0, 108, "violation")))
    assert "startxxxxxxx…xxxxxxxxend" in long
