"""``rtt discriminator``: its commands, and ``label``, which makes examples and loses none when it is stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from scripted_endpoint import Reply, Server, criteria_of, judges, response_of, says

import rtt.cli
from rtt import Criterion, Message, Outcome, Rubric, Rule, Task
from rtt.cli import cli
from rtt.cli import discriminator as group
from rtt.cli.discriminator import label as module
from rtt.cli.discriminator.label import Journal, Labels
from rtt.errors import DataError
from rtt.relevance.discriminator.examples import Example, read_examples
from rtt.relevance.discriminator.wordings import wordings
from rtt.rubrics import Code, write_tasks

NO_COMMA = Criterion(id="no_comma", text="Not a single comma, please.", rule=Rule(name="punctuation:no_comma"))
ROBOT = Criterion(id="robot", rule=Rule(name="keywords:existence", arguments={"keywords": ["robot"]}))
POLITE = Criterion(id="polite", text="The mail is polite.")
TASKS = [
    Task(id="mail", prompt=(Message(role="user", content="A mail."),), rubric=Rubric(criteria=(NO_COMMA, POLITE))),
    Task(id="song", prompt=(Message(role="user", content="A song."),), rubric=Rubric(criteria=(ROBOT, NO_COMMA))),
]
ANSWERS = [
    {"task_id": "mail", "response": "Dear Sir, farewell."},
    {"task_id": "song", "response": "A robot sings of robots."},
    {"task_id": "song", "response": "La la la."},
]


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., tuple[Path, Path, Path]]:
    def write(answers: Iterable[Any] = ANSWERS, tasks: Sequence[Task] = TASKS) -> tuple[Path, Path, Path]:
        write_tasks(tmp_path / "tasks.jsonl", tasks)
        (tmp_path / "answers.jsonl").write_text("".join(f"{json.dumps(answer)}\n" for answer in answers))
        return tmp_path / "tasks.jsonl", tmp_path / "answers.jsonl", tmp_path / "examples.jsonl"

    return write


def label(tasks: Path, answers: Path, out: Path, *options: object) -> Result:
    arguments = ["discriminator", "label", tasks, answers, "--out", out, *options]
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="rtt")


def made(files: tuple[Path, Path, Path], *options: object) -> list[Example]:
    result = label(*files, *options)
    assert result.exit_code == 0, result.output
    return read_examples(files[2])


# ------------------------------------------------------------------------------------------------------ the group


def test_the_group_lists_its_commands_and_imports_none() -> None:
    code = (
        "import sys\nfrom rtt.cli import cli\ncli.main(['discriminator', '--help'], 'rtt', standalone_mode=False)\n"
        "print('modules:', *sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, _, loaded = shown.partition("modules: ")
    for name, command in group.COMMANDS.items():
        assert name in text
        assert command.summary in text
        assert command.module not in loaded.split()
    assert not {"torch", "numpy", "pydantic", "rich"} & set(loaded.split())


def test_help_of_label_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom rtt.cli import cli\n"
        "cli.main(['discriminator', 'label', '--help'], 'rtt', standalone_mode=False)\nprint('modules:', *sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, _, loaded = shown.partition("modules: ")
    assert "rtt discriminator label tasks.jsonl responses.jsonl --out examples.jsonl --reword 2" in text
    assert not {"torch", "numpy", "pydantic", "rich", "openai"} & set(loaded.split())


def test_an_unknown_command_of_the_group_shows_the_one_that_is_close() -> None:
    result = CliRunner().invoke(cli, ["discriminator", "lable"], prog_name="rtt")
    assert result.exit_code == 2
    assert "there is no command 'lable'; did you mean 'label'?" in result.stderr


def test_a_package_that_is_missing_is_named_with_its_extra_and_the_whole_command(monkeypatch: Any) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(rtt.cli.importlib, "import_module", absent)
    context = click.Context(group.discriminator, info_name="rtt discriminator")
    with pytest.raises(
        rtt.cli.Refusal, match=r"`rtt discriminator train` needs the package 'torch'.*to-tokens\[train\]"
    ):
        group.discriminator.get_command(context, "train")
    with pytest.raises(ModuleNotFoundError):
        group.discriminator.get_command(context, "label")


# ----------------------------------------------------------------------------------------------------------- rules


def test_rules_say_which_words_count(files: Any) -> None:
    examples = made(files())
    comma, robots, none, no_robot, song = examples
    assert (comma.criterion, comma.violation, comma.outcome) == (NO_COMMA.text, ((8, 9),), Outcome.VIOLATED)
    assert (robots.support, robots.outcome) == (((2, 7), (17, 22)), Outcome.SATISFIED)
    assert (none.outcome, none.scope) == (Outcome.SATISFIED, "response")
    assert (no_robot.missing, no_robot.relevant) == (True, ())
    assert song.prompt == "song"
    assert {example.kind for example in examples} == {"punctuation:no_comma", "keywords:existence"}
    assert {example.source for example in examples} == {"rule"}
    assert robots.wording == "keywords:existence/0"  # the task says it in the rule's own words
    assert comma.wording == ""  # and here in none that is known
    assert comma.rule == NO_COMMA.rule


def test_the_summary_counts_and_says_what_is_left_out(files: Any) -> None:
    result = label(*files())
    assert "5 examples from 3 responses; left out: 1 needs a judge" in result.stdout
    assert "punctuation:no_comma" in result.stdout
    assert "examples.jsonl.md" in result.stderr.replace("\n", "")


def test_the_card_stands_beside_the_file(files: Any) -> None:
    given = files()
    made(given)
    card = Path(f"{given[2]}.md").read_text()
    assert card.startswith("# Relevance examples: examples\n")
    assert "| examples | 5 |" in card


def test_criteria_are_reworded(files: Any) -> None:
    given = files()
    once, again = made(given, "--reword", 3), made(given, "--reword", 3)
    assert once == again
    assert len(once) == 4 * 5
    known = dict(wordings("punctuation:no_comma", {}))
    others = [example for example in once if example.kind == "punctuation:no_comma" and example.wording]
    assert all(known[example.wording] == example.criterion for example in others)
    by_response: dict[str, set[str]] = {}
    for example in others:
        by_response.setdefault(example.response, set()).add(example.criterion)
    assert [len(words) for words in by_response.values()] == [3, 3, 3]
    assert len({frozenset(words) for words in by_response.values()}) > 1  # not the same three for all


def test_counterfactuals_and_occlusion_are_there_when_asked_for(files: Any) -> None:
    poem = Criterion(
        id="c", rule=Rule(name="length_constraints:number_words", arguments={"relation": "at least", "num_words": 3})
    )
    tasks = [*TASKS, Task(id="poem", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(NO_COMMA, poem)))]
    given = files([*ANSWERS, {"task_id": "poem", "response": "Oh well - ,"}], tasks)
    assert {example.source for example in made(given)} == {"rule"}
    edits = [example for example in made(given, "--counterfactuals") if example.source == "counterfactual"]
    assert "Dear Sir farewell." in [edit.response for edit in edits]
    assert {edit.rule is not None for edit in edits} == {True}
    assert "occlusion" not in {example.source for example in made(given, "--counterfactuals")}


def test_occlusion_finds_the_words_that_a_rule_does_not_point_at(files: Any) -> None:
    json_rule = Criterion(id="c", rule=Rule(name="detectable_format:json_format"))
    tasks = [Task(id="t", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(json_rule,)))]
    response = '["one word after another", "and more of them to come, all in one list"]'
    given = files([{"task_id": "t", "response": response}], tasks)
    plain, occluded = made(given, "--occlude")
    assert (plain.scope, plain.source) == ("response", "rule")
    assert (occluded.scope, occluded.source) == ("spans", "occlusion")
    assert {response[start:end] for start, end in occluded.support} <= set('[]",')


def test_blank_responses_and_code_are_left_out_and_counted(files: Any) -> None:
    code = Criterion(id="code", text="Runs.", code=Code(source="def f(x): ...", entry="f"))
    tasks = [Task(id="t", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(NO_COMMA, code)))]
    given = files([{"task_id": "t", "response": " \n"}, {"task_id": "t", "response": "Hi"}], tasks)
    result = label(*given)
    assert "1 example from 2 responses; left out: 1 blank response, 1 code, which is never run" in result.stdout


def test_half_a_surrogate_pair_keeps_its_place(files: Any) -> None:
    example = made(files([{"task_id": "mail", "response": "cut \ud83d, so"}]))[0]
    assert example.response == "cut \ufffd, so"
    assert example.violation == ((5, 6),)


def test_the_same_response_twice_is_one(files: Any) -> None:
    assert made(files([*ANSWERS, ANSWERS[0]])) == made(files())


# ------------------------------------------------------------------------------------------------------- refusals


def test_nothing_to_learn_from_is_refused_and_leaves_no_file(files: Any) -> None:
    given = files(
        [{"task_id": "p", "response": "Hi"}], [Task(id="p", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(POLITE,)))]
    )
    result = label(*given)
    assert result.exit_code == 2
    assert "gives no example (1 needs a judge); expected rule criteria, or a --judge" in result.stderr
    assert not given[2].exists()


def test_a_file_that_is_read_is_not_written_over(files: Any) -> None:
    tasks, answers, _ = files()
    result = label(tasks, answers, answers)
    assert result.exit_code == 2
    assert "is the file that is read" in result.stderr
    assert answers.read_text()


def test_an_empty_response_file_is_refused(files: Any) -> None:
    result = label(*files([]))
    assert result.exit_code == 2
    assert "has no response in it" in result.stderr


# --------------------------------------------------------------------------------------------------- stop and go on


def stop_at(monkeypatch: Any, stop: str | None) -> list[str]:
    """Which responses are labelled from now on; at the one that is named, Ctrl-C."""
    labelled: list[str] = []

    def watched(answers: Sequence[Any], *options: Any) -> list[Labels]:
        for answer in answers:
            if answer.text == stop:
                raise KeyboardInterrupt
            labelled.append(answer.text)
        return original(answers, *options)

    original = module.label_answers
    monkeypatch.setattr(module, "label_answers", watched)
    return labelled


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(files: Any, monkeypatch: Any) -> None:
    given = files()
    whole = made(given, "--reword", 2)
    whole_bytes = given[2].read_bytes()
    given[2].unlink()
    texts = [answer["response"] for answer in ANSWERS]
    with monkeypatch.context() as patch:
        assert stop_at(patch, texts[2]) == []
        stopped = label(*given, "--reword", 2)
    assert stopped.exit_code == 1
    assert "stopped: 2 responses finished and kept; the same command goes on from there" in stopped.stderr
    assert not given[2].exists()
    partial = given[2].with_name("examples.jsonl.partial")
    with partial.open("ab") as stream:
        stream.write(whole_bytes[:100])  # killed in the middle of a line
    labelled = stop_at(monkeypatch, None)
    assert made(given, "--reword", 2) == whole
    assert labelled == texts[2:]
    assert given[2].read_bytes() == whole_bytes
    assert not partial.exists()


def test_examples_of_a_response_that_was_not_finished_are_made_again(files: Any, monkeypatch: Any) -> None:
    given = files()
    whole = made(given)
    with monkeypatch.context() as patch:
        stop_at(patch, ANSWERS[2]["response"])
        label(*given)
    partial = given[2].with_name("examples.jsonl.partial")
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(b"".join(lines[:-1]))  # the line that says that the second response is finished
    labelled = stop_at(monkeypatch, None)
    assert made(given) == whole
    assert labelled == [ANSWERS[1]["response"], ANSWERS[2]["response"]]


def test_another_question_does_not_go_on_with_the_answers_to_the_last(files: Any, monkeypatch: Any) -> None:
    given = files()
    with monkeypatch.context() as patch:
        stop_at(patch, ANSWERS[1]["response"])
        label(*given)
    other = label(*given, "--reword", 1)
    assert other.exit_code == 2
    assert "was begun with reword 0, now 1; go on with the same options, or start anew with --fresh" in other.stderr
    assert len(made(given, "--reword", 1, "--fresh")) == 10


@pytest.mark.parametrize("notes", ["my notes\n", "my notes", "[]\n", "{}\n"])
def test_a_file_that_is_no_journal_is_not_touched(tmp_path: Path, notes: str) -> None:
    path = tmp_path / "x.partial"
    path.write_text(notes)
    with pytest.raises(DataError, match="is not a journal of this command"):
        Journal(path, {})
    assert path.read_text() == notes


def test_responses_that_were_taken_out_are_not_in_the_file(files: Any, monkeypatch: Any) -> None:
    given = files()
    with monkeypatch.context() as patch:
        stop_at(patch, ANSWERS[2]["response"])
        label(*given)
    examples = made(files(ANSWERS[1:]))
    assert {example.response for example in examples} == {answer["response"] for answer in ANSWERS[1:]}


# ----------------------------------------------------------------------------------------------------------- judge


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.script = judges(lambda criterion, response: says("yes", support=["Dear"]))
    yield server
    server.stop()


def asking(server: Server, tmp_path: Path) -> list[object]:
    return ["--judge", "tiny", "--base-url", server.url, "--api-key-env", "", "--cache", tmp_path / "cache"]


def test_criteria_without_a_rule_go_to_the_judge(files: Any, server: Server, tmp_path: Path) -> None:
    examples = made(files(), *asking(server, tmp_path))
    assert [example for example in examples if example.kind == "judge"] == [
        Example(
            POLITE.text,
            ANSWERS[0]["response"],
            Outcome.SATISFIED,
            support=((0, 4),),
            kind="judge",
            prompt="mail",
            source="judge",
        )
    ]
    assert len(examples) == 6
    assert [(criteria_of(question), response_of(question)) for question in server.questions] == [
        ([POLITE.text], ANSWERS[0]["response"])
    ]


def test_the_judges_numbers_are_in_the_summary(files: Any, server: Server, tmp_path: Path) -> None:
    result = label(*files(), *asking(server, tmp_path))
    assert "judge: 1 request, 120 tokens, 0 of 1 criteria from the cache" in result.stdout


def test_what_the_judge_cannot_tell_is_counted(files: Any, server: Server, tmp_path: Path) -> None:
    server.script = judges(lambda criterion, response: says("cannot tell"))
    result = label(*files(), *asking(server, tmp_path))
    assert "left out: 1 undetermined by the judge" in result.stdout


def test_a_judge_that_fails_throughout_stops_the_run(files: Any, server: Server, tmp_path: Path) -> None:
    server.script = lambda question, number: Reply(b'{"error": {"message": "no"}}', status=401)
    given = files()
    result = label(*given, *asking(server, tmp_path))
    assert result.exit_code == 2
    assert "no usable answer to any of 1 question: the endpoint answered 401: no" in result.stderr
    assert not given[2].exists()
    # What failed is not finished: the same command asks it again.
    server.script = judges(lambda criterion, response: says("yes", support=["Dear"]))
    assert [example.kind for example in made(given, *asking(server, tmp_path))].count("judge") == 1


def test_a_response_that_the_judge_never_answers_does_not_hold_the_others_up(
    files: Any, server: Server, tmp_path: Path
) -> None:
    answers = [{"task_id": "mail", "response": text} for text in ("Dear Sir, a.", "Forbidden.", "Dear Sir, b.")]

    def script(question: Any, number: int) -> Reply:
        if "Forbidden" in response_of(question):
            return Reply(b'{"error": {"message": "no"}}', status=400)
        return judges(lambda criterion, response: says("yes", support=["Dear"]))(question, number)

    server.script = script
    given = files(answers)
    result = label(*given, *asking(server, tmp_path))
    assert result.exit_code == 0, result.output
    assert "left out: 1 no usable answer of the judge" in result.stdout
    assert [example.kind for example in read_examples(given[2])].count("judge") == 2


def test_a_run_is_not_gone_on_with_by_a_judge_that_is_asked_otherwise(
    files: Any, server: Server, tmp_path: Path
) -> None:
    server.script = lambda question, number: Reply(b'{"error": {"message": "no"}}', status=401)
    given = files()
    assert label(*given, *asking(server, tmp_path)).exit_code == 2
    refused = label(*given, *asking(server, tmp_path), "--temperature", "0.7")
    assert refused.exit_code == 2
    assert "was begun with judge {" in refused.stderr
    assert "go on with the same options, or start anew with --fresh" in refused.stderr


def test_criteria_about_more_than_the_response_are_not_asked(files: Any, server: Server, tmp_path: Path) -> None:
    tasks = [
        Task(
            id="t",
            prompt=TASKS[0].prompt,
            rubric=Rubric(criteria=(NO_COMMA, POLITE.model_copy(update={"scope": "conversation"}))),
        )
    ]
    result = label(*files([{"task_id": "t", "response": "Hi"}], tasks), *asking(server, tmp_path))
    assert "left out: 1 about more than the response" in result.stdout
    assert server.questions == []
