"""rtt audit: alarms on the terminal and as JSON, the run's files, and how it ends."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rtt import Criterion, Message, Outcome, Rubric, Rule, Task, Verdict
from rtt.cli import cli
from rtt.cli.audit import find_run
from rtt.errors import DataError
from rtt.records import Record, read_records, records_path, write_records
from rtt.responses import Response
from rtt.rubrics import write_tasks

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\r\x08\x7f\x9b31m\u202etxet\u2066, [bold]b[/bold] :smile:"
UNSAFE = {*map(chr, range(32)), "\x7f", "\x9b", "\u202e", "\u2066", "\ud83d"} - {"\n"}


def made(name: str = "mail/7", step: int = 1, group: int = 0, met: bool = False, criterion: str = "c1") -> Record:
    task = Task(
        id=name,
        prompt=(Message(role="user", content="Write."),),
        rubric=Rubric(criteria=(Criterion(id=criterion, text="Be kind."),)),
    )
    outcome = Outcome.SATISFIED if met else Outcome.VIOLATED
    return Record(
        step=step,
        group=group,
        task=task,
        response=Response(name, "Hi \ud83d", (1, 2), ((0, 2), (2, 4))),
        verdicts=(Verdict(criterion, outcome, "judge:m"),),
        relevance=((0.0, 1.0),),
        reward=float(met),
        response_advantage=0.0,
        token_advantages=(1.0, -1.0),
        advantages=(0.5, -0.5),
        token_weight=0.5,
        combine="add",
    )


def never_met(**names: str) -> list[Record]:
    return [made(step=step, **names) for step in range(1, 5) for _ in range(8)]  # type: ignore[arg-type]


def write_run(folder: Path, records: Sequence[Record]) -> tuple[Path, Path]:
    """The task file and the folder of a run with these records."""
    for step, of_step in itertools.groupby(records, key=lambda record: record.step):
        write_records(records_path(folder / "run" / "records", step), of_step)
    write_tasks(folder / "tasks.jsonl", {record.task.id: record.task for record in records}.values())
    return folder / "tasks.jsonl", folder / "run"


def write_log(folder: Path, entropies: Sequence[float]) -> None:
    folder.mkdir(parents=True)
    history = [{"step": step, "entropy": value} for step, value in enumerate(entropies)]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 9, "log_history": history}))


def run(*arguments: object, **env: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *map(str, arguments)], env={"COLUMNS": "100", **env}, prog_name="rtt")


COLLAPSED = [2.0, 2, 2, 2, 1, 0.2, 0.2, 0.2]


def test_alarms_are_printed_with_advice_and_counted(tmp_path: Path) -> None:
    result = run(*write_run(tmp_path, never_met()))
    assert result.exit_code == 0
    assert "! warning  never_met  steps 1 to 4\n" in result.stdout
    assert "Criterion 'c1' of task 'mail/7' was never met in 32 responses of 4 groups" in result.stdout
    assert "silent_when_unanimous" not in result.stdout
    assert "32 records of 1 task: 0 errors, 1 warning, 0 notes\n" in result.stdout
    assert "without a training log the entropy is not looked at" in result.stdout
    assert "\x1b" not in result.stdout


def test_a_run_without_alarms(tmp_path: Path) -> None:
    records = [made(met=i % 2 == 0, step=1 + i // 8) for i in range(32)]
    result = run(*write_run(tmp_path, records), "--fail-on", "warning")
    assert result.exit_code == 0
    assert result.stdout.startswith("32 records of 1 task: 0 errors, 0 warnings, 0 notes\n")


@pytest.mark.parametrize(
    ("broken", "fail_on", "code"),
    [(False, None, 0), (False, "error", 0), (False, "warning", 3), (True, "error", 3), (True, "warning", 3)],
)
def test_the_exit_code_says_how_bad_it_is(tmp_path: Path, broken: bool, fail_on: str | None, code: int) -> None:
    records = never_met() + ([dataclasses.replace(made(step=9), advantages=(0.4, -0.5))] if broken else [])
    option = [] if fail_on is None else ["--fail-on", fail_on]
    result = run(*write_run(tmp_path, records), *option)
    assert result.exit_code == code
    assert ("advantages_do_not_add_up" in result.stdout) == broken


def test_notes_never_fail(tmp_path: Path) -> None:
    always = [made(step=step, met=True) for step in range(1, 5) for _ in range(8)]
    result = run(*write_run(tmp_path, always), "--fail-on", "warning")
    assert (result.exit_code, "always_met" in result.stdout) == (0, True)


def test_the_alarms_as_json(tmp_path: Path) -> None:
    out = tmp_path / "alarms.json"
    result = run(*write_run(tmp_path, never_met(name="t\udcff".encode(errors="replace").decode())), "--json", out)
    [alarm] = json.loads(out.read_text())
    assert list(alarm) == ["kind", "severity", "title", "advice", "task", "criterion", "steps", "numbers"]
    assert (alarm["kind"], alarm["severity"], alarm["steps"]) == ("never_met", "warning", [1, 4])
    assert f"alarms: {out}" in result.stderr.replace("\n", "")


def test_many_alarms_of_a_kind_are_cut_unless_all_are_asked_for(tmp_path: Path) -> None:
    records = [record for n in range(8) for record in never_met(name=f"t{n}")]
    files = write_run(tmp_path, sorted(records, key=lambda record: record.step))
    short, long = run(*files).stdout, run(*files, "--all").stdout
    assert (short.count("never_met  steps"), long.count("never_met  steps")) == (5, 8)
    assert "and 3 more of never_met: --all prints them" in short


@pytest.mark.parametrize("where", ["checkpoint-9", "."])
def test_the_log_of_the_run_is_read(tmp_path: Path, where: str) -> None:
    tasks, folder = write_run(tmp_path / "a", [made(), made(met=True)])
    if where == "checkpoint-9":
        write_log(folder / "checkpoint-2", [2.0] * 8)
        write_log(folder / "checkpoint-9", COLLAPSED)
        (folder / "checkpoint-10").mkdir()  # cut short
    else:
        (folder / "trainer_state.json").write_text(
            json.dumps({"log_history": [{"step": s, "entropy": e} for s, e in enumerate(COLLAPSED)]})
        )
    for given in (folder, folder / "records"):
        result = run(tasks, given)
        assert "entropy_collapse" in result.stdout
        assert "without a training log" not in result.stdout
    assert "entropy_collapse" not in run(tasks, folder / "records" / "step-000001.jsonl").stdout


@pytest.mark.parametrize("content", ['{"log_history": 3}', '{"log_history": [3]}', "{", '{"a": 1}'])
def test_a_log_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    tasks, folder = write_run(tmp_path, [made()])
    (folder / "trainer_state.json").write_text(content)
    result = run(tasks, folder)
    assert result.exit_code == 2
    assert str(folder / "trainer_state.json") in result.stderr


def test_records_of_a_benchmark_lie_in_one_file(tmp_path: Path) -> None:
    write_records(tmp_path / "records.jsonl", [made()])
    assert find_run(tmp_path).files == (tmp_path / "records.jsonl",)


def test_what_cannot_be_audited_is_refused(tmp_path: Path) -> None:
    tasks, folder = write_run(tmp_path, [made()])
    (tmp_path / "none").mkdir()
    write_log(tmp_path / "logged", COLLAPSED)
    for arm in ("one", "two"):
        write_records(records_path(tmp_path / "demo" / arm / "records", 1), [made()])
    (tmp_path / "empty.jsonl").write_text("\n")
    write_tasks(tmp_path / "others.jsonl", [made("poem").task])
    for given, message in [
        ((tasks, tmp_path / "nowhere"), "there is no such file or folder"),
        ((tasks, tmp_path / "none"), "holds neither records"),
        ((tasks, tmp_path / "empty.jsonl"), "has no record in it"),
        ((tasks, tmp_path / "logged"), "has a training log but no records; train with records_steps"),
        ((tasks, tmp_path / "demo"), "holds several runs, ['demo/one', 'demo/two']; name the folder of one"),
        ((tmp_path / "others.jsonl", folder), "answer other tasks, such as 'mail/7', than"),
        ((tasks, folder, "--json", tasks), "is the file that is read"),
        ((tasks, folder, "--json", folder / "records" / "step-000001.jsonl"), "is the file that is read"),
    ]:
        result = run(*given)
        assert result.exit_code == 2, given
        assert message in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "5"}, "step: got '5'; expected a whole number"),
        ({"group": None}, "group: got None; expected a whole number"),
        ({"reward": "high"}, "reward: got 'high'; expected a number or null"),
        ({"response_advantage": None}, "response_advantage: got None; expected a number"),
        ({"advantages": ["a", "b"]}, "advantages: got ['a', 'b']; expected a list with a number for each token"),
        ({"relevance": [[None, 1]]}, "relevance: got [None, 1]; expected a list with a number for each token"),
        ({"spans": [[0, 99], [0, 1]]}, "span"),
        ({"task": 3}, "expected a JSON object"),
    ],
)
def test_a_record_of_other_kinds_is_named_with_its_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "records.jsonl"
    line = json.loads(made().to_json())
    file.write_text(f"{json.dumps(line)}\n\n{json.dumps(line | change)}\n")
    with pytest.raises(DataError) as refused:
        list(read_records(file))
    assert str(refused.value).startswith(f"{file}:3: ")
    assert message in str(refused.value)


@pytest.mark.parametrize("line", ["{", "[]", "3", '"a"', "[" * 100_000, "{}"])
def test_a_line_that_is_no_record_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "records.jsonl").write_text(line)
    with pytest.raises(DataError, match="records.jsonl:1: "):
        list(read_records(tmp_path / "records.jsonl"))


def test_all_bytes_are_counted(tmp_path: Path) -> None:
    write_records(tmp_path / "records.jsonl", [made(), made()])
    counted: list[int] = []
    assert list(read_records(tmp_path / "records.jsonl", counted.append)) == [made(), made()]
    assert sum(counted) == (tmp_path / "records.jsonl").stat().st_size


def test_hostile_names_are_shown_as_signs(tmp_path: Path) -> None:
    result = run(*write_run(tmp_path, never_met(name=HOSTILE, criterion=HOSTILE)))
    assert "never_met" in result.stdout
    assert not UNSAFE & set(result.stdout)
    assert "[bold]b[/bold] :smile:" in result.stdout


def test_contradictions_of_the_task_file_are_told(tmp_path: Path) -> None:
    _, folder = write_run(tmp_path, [made()])
    rules = [
        Rule(name="length_constraints:number_words", arguments={"relation": relation, "num_words": 9})
        for relation in ("at least", "less than")
    ]
    rubric = Rubric(criteria=tuple(Criterion(id=f"c{k}", rule=rule) for k, rule in enumerate(rules)))
    write_tasks(tmp_path / "tasks.jsonl", [made().task.model_copy(update={"rubric": rubric})])
    result = run(tmp_path / "tasks.jsonl", folder, "--fail-on", "error")
    assert result.exit_code == 3
    assert "✗ error  contradiction" in result.stdout
