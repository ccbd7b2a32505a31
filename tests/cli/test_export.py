"""``rtt export``: tasks become verl's Parquet file; verl itself reads it in tests/trainers/test_verl.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtt.cli import cli
from rtt.errors import ConfigurationError, DataError, MissingDependencyError
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, read_tasks, write_tasks
from rtt.trainers.verl import write_parquet

parquet = pytest.importorskip("pyarrow.parquet")

TASKS = [
    Task(
        id=f"t{number}",
        prompt=(Message(role="system", content="Be brief."), Message(role="user", content=f"Sag „{number}“.")),
        rubric=Rubric(
            criteria=(
                Criterion(id="c", text="no comma", rule=Rule(name="punctuation:no_comma", arguments={}), weight=-2.5),
                Criterion(id="d", text="It is kind."),
            )
        ),
        metadata={"from": "a test"},
    )
    for number in range(3)
]


def export(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, arguments)])


def test_every_task_is_a_row(tmp_path: Path) -> None:
    write_tasks(tmp_path / "a.jsonl", TASKS[:2])
    write_tasks(tmp_path / "b.jsonl", TASKS[2:])
    out = tmp_path / "train.parquet"
    result = export(tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--out", out)
    assert (result.exit_code, result.output) == (0, f"3 tasks written: {out}\n")
    rows = parquet.read_table(out).to_pylist()
    assert [Task.from_json(row["reward_model"].pop("ground_truth")) for row in rows] == TASKS
    assert rows[1] == {
        "data_source": "rtt",
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Sag „1“."}],
        "reward_model": {"style": "rule"},
        "extra_info": {"index": 1, "id": "t1"},
    }


def test_the_tasks_themselves_are_not_written_over(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    write_tasks(tasks, TASKS)
    result = export(tasks, "--out", tasks)
    assert result.exit_code == 2
    assert "is the file that is read; expected another one" in result.output
    assert read_tasks(tasks) == TASKS


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_parquet(tmp_path / "none" / "train.parquet", TASKS)
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(DataError, match=r"folder\.parquet: cannot be written"):
        write_parquet(tmp_path / "folder.parquet", TASKS)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.parquet"]


def test_no_tasks_are_no_data(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no tasks to write"):
        write_parquet(tmp_path / "train.parquet", [])


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rubrics-to-tokens\[verl\]'"):
        write_parquet(tmp_path / "train.parquet", TASKS)
