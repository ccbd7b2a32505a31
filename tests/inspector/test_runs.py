"""Where records and metrics are found, and what stands in for a log that is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from inspector.examples import record, training

from rtt.errors import ConfigurationError, DataError
from rtt.inspector.page import write_page
from rtt.inspector.runs import RecordedHistory, find_runs
from rtt.records import read_records, write_records


def log(path: Path, *steps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"step": step, "entropy": 1.0} for step in steps]
    path.write_text(json.dumps({"log_history": rows} if path.name == "trainer_state.json" else rows), "utf-8")


def test_a_run_is_found_by_its_folder_by_its_records_and_by_one_file(tmp_path: Path) -> None:
    training(tmp_path / "run/records")
    log(tmp_path / "run/checkpoint-9/trainer_state.json", 9)
    log(tmp_path / "run/checkpoint-10/trainer_state.json", 9, 10)
    [run] = find_runs([tmp_path / "run"])
    assert (run.name, [file.name[-11:] for file in run.files]) == ("run", ["00001.jsonl", "00005.jsonl", "00010.jsonl"])
    assert [row["step"] for row in run.history] == [9, 10]  # of the newest checkpoint: 10 is after 9
    log(tmp_path / "run/trainer_state.json", 11)
    [records] = find_runs([tmp_path / "run/records"])
    assert (records.files, [row["step"] for row in records.history]) == (run.files, [11])
    [file] = find_runs([run.files[0]])
    assert (file.name, file.files, file.history) == ("step-000001", run.files[:1], ())


def test_a_demo_is_a_run_for_each_method_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    for arm in ("grpo-csr", "rtt-grpo"):
        training(tmp_path / "demo" / arm / "records", steps=(1,))
        log(tmp_path / "demo" / arm / "history.json", 1)
    shutil.copytree(tmp_path / "demo", tmp_path / "again" / "demo")
    runs = find_runs([tmp_path / "demo", tmp_path / "again/demo"])
    assert [run.name for run in runs] == ["demo/grpo-csr", "demo/rtt-grpo", "demo/grpo-csr (2)", "demo/rtt-grpo (2)"]


def test_a_benchmarks_folder_and_one_with_a_log_alone(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    write_records(tmp_path / "bench/records.jsonl", [record(step=0)])
    log(tmp_path / "logged/trainer_state.json", 1, 2)
    bench, logged = find_runs([tmp_path / "bench", tmp_path / "logged"])
    assert [file.name for file in bench.files] == ["records.jsonl"]
    assert (logged.files, len(logged.history)) == ((), 2)


def test_what_is_no_run_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file or folder; expected records"):
        find_runs([tmp_path / "none"])
    with pytest.raises(ConfigurationError, match="train with records_steps=10"):
        find_runs([tmp_path])
    (tmp_path / "history.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match="is no training log"):
        find_runs([tmp_path])


def test_metrics_are_counted_from_records_where_there_is_no_log(tmp_path: Path) -> None:
    counted = RecordedHistory()
    for one in read_records(training(tmp_path / "records")):
        counted.add(one)
    first, second, third = counted.history()
    assert [row["step"] for row in (first, second, third)] == [1, 5, 10]
    assert [row["rtt/pass_rate/punctuation:no_comma"] for row in (first, second, third)] == [0.25, 0.5, 0.75]
    assert first["rtt/rubric_accuracy"] == pytest.approx((0.25 + 1) / 2)  # the tone is undetermined
    assert first["rtt/instruction_accuracy"] == 0.25
    assert first["rtt/response_advantage_size"] == pytest.approx(0.7)


def test_the_twin_holds_what_the_page_holds(tmp_path: Path) -> None:
    training(tmp_path / "records")
    written = write_page(find_runs([tmp_path / "records"]), tmp_path / "page.html", twin=tmp_path / "page.json")
    twin = json.loads((tmp_path / "page.json").read_text("utf-8"))
    assert written.records == len(twin["records"]) == len(twin["index"]["step"]) == sum(twin["chunks"]) == 24
    assert len(twin["alarms"]) == written.alarms
    assert [task["id"] for task in twin["tasks"]] == ["lantern", "other/<i>task</i>"]
    one = twin["records"][0]
    assert (one["text"], one["step"], one["task"], one["weight"]) == ("A lantern lit at step 1 by 0.", 1, 0, 0.5)
    assert one["ends"][-1] == len(one["text"])
    assert [verdict["outcome"] for verdict in one["verdicts"]] == [1, 1, 0]
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "http" not in html.replace("https://github.com/leeoniya/uPlot", "").replace("http-equiv", "")
    again = write_page(find_runs([tmp_path / "records"]), tmp_path / "again.html")
    assert (again, (tmp_path / "again.html").read_text("utf-8")) == (written, html)  # the same input, the same bytes


def test_a_bad_record_is_named_and_leaves_no_page(tmp_path: Path) -> None:
    folder = training(tmp_path / "records", steps=(1,))
    file = folder / "step-000001.jsonl"
    file.write_text(file.read_text("utf-8") + '{"step": 1}\n', "utf-8")
    (tmp_path / "page.html").write_text("old", "utf-8")
    with pytest.raises(DataError, match=r"step-000001.jsonl:9: not a record"):
        write_page(find_runs([folder]), tmp_path / "page.html", twin=tmp_path / "page.json")
    assert (tmp_path / "page.html").read_text("utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "records"]


def test_numbers_that_are_none_are_told_as_such(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [record(advantage=float("nan")), record(reward=None)])
    write_page(find_runs([tmp_path / "r.jsonl"]), tmp_path / "page.html", twin=tmp_path / "page.json")
    first, second = json.loads((tmp_path / "page.json").read_text("utf-8"))["records"]
    assert first["response_advantage"] is None
    assert second["reward"] is None
