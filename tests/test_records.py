"""Records: what is written is what is read, whole files or none, and a bad line is named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from rtt.errors import DataError
from rtt.records import Record, read_records, records_path, verdict_to_json, write_records
from rtt.responses import Response
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome, Span, Verdict


def record(step: int = 3) -> Record:
    task = Task(
        id="t",
        prompt=(Message(role="user", content="Schreibe ‚ohne‘ Komma 😀"),),
        rubric=Rubric(criteria=(Criterion(id="c1", text="No commas.", rule=Rule(name="punctuation:no_comma")),)),
    )
    verdict = Verdict("c1", Outcome.VIOLATED, "rule:punctuation:no_comma", "commas: 1", (Span(1, 2, "violation"),))
    return Record(
        step=step,
        group=1,
        task=task,
        response=Response("t", "é,\u2028\ud800", (5, 6, 2), ((0, 1), (1, 4), (4, 4))),
        verdicts=(verdict,),
        relevance=((0.0, 1.0, 0.0),),
        reward=None,
        response_advantage=-0.5,
        token_advantages=(0.707107, -1.41421, 0.707107),
        advantages=(-0.146447, -1.20711, -0.146447),
        criterion_advantages=((0.707107, -1.41421, 0.707107),),
        token_weight=0.5,
        combine="add",
    )


def test_a_record_survives_the_way_to_disk_and_back(tmp_path: Path) -> None:
    path = records_path(tmp_path / "records", 3)
    write_records(path, [record(), record()])
    assert path.name == "step-000003.jsonl"
    assert list(read_records(path)) == [record(), record()]
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no unfinished file beside it


def test_a_check_that_failed_is_told_from_one_that_could_not_tell() -> None:
    verdicts = tuple(Verdict("c1", Outcome.UNDETERMINED, "judge:m", "why", failed=failed) for failed in (True, False))
    mixed = dataclasses.replace(record(), verdicts=verdicts)
    assert Record.from_json(mixed.to_json()) == mixed
    assert [verdict_to_json(verdict)["failed"] for verdict in verdicts] == [True, False]


def test_a_record_from_before_there_were_judges_has_no_failures() -> None:
    line = json.loads(record().to_json())
    del line["verdicts"][0]["failed"]
    assert Record.from_json(json.dumps(line)) == record()


def test_a_record_of_an_earlier_version_has_no_shares_of_criteria() -> None:
    line = json.loads(record().to_json())
    for name in ("criterion_advantages", "token_weight", "combine"):
        del line[name]
    found = Record.from_json(json.dumps(line))
    assert (found.criterion_advantages, found.token_weight, found.combine) == (None, None, None)
    assert Record.from_json(found.to_json()) == found


def test_a_failure_that_is_no_undetermined_verdict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step-000001.jsonl"
    path.write_text(record().to_json().replace('"failed": false', '"failed": true') + "\n", "utf-8", "surrogatepass")
    with pytest.raises(DataError, match=r":1: verdict on criterion 'c1': failed and violated; expected"):
        list(read_records(path))


def test_a_folder_is_read_in_order_of_step(tmp_path: Path) -> None:
    for step in (10, 9, 100):
        write_records(records_path(tmp_path, step), [record(step)])
    assert [found.step for found in read_records(tmp_path)] == [9, 10, 100]


def test_numbers_are_rounded_to_six_digits() -> None:
    exact = dataclasses.replace(record(), response_advantage=1 / 3)
    assert Record.from_json(exact.to_json()).response_advantage == 0.333333


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = records_path(tmp_path, 1)
    write_records(path, [record(1)])

    def broken() -> object:
        yield record(1)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_records(path, broken())  # type: ignore[arg-type]
    assert list(read_records(path)) == [record(1)]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not a record: JSONDecodeError"),
        ("[]", "not a record: TypeError"),
        ('{"step": 1}', "not a record: KeyError: 'task'"),
        (record().to_json().replace('"outcome": -1', '"outcome": 7'), "7 is not a valid Outcome"),
        (record().to_json().replace('"step": 3', '"step": "3"'), "step: got '3'; expected a whole number"),
        (record().to_json().replace('"step": 3', '"step": true'), "step: got True; expected a whole number"),
        (record().to_json().replace('"combine": "add"', '"combine": 1'), "combine: got 1; expected text or null"),
        (
            record().to_json().replace("[5, 6, 2]", "[5, 6, 0.5]"),
            "token_ids: got .*; expected a list with a whole number",
        ),
        (record().to_json().replace("-0.5,", f"{10**400},"), "not a record: OverflowError"),
        (record().to_json().replace('"start": 1', '"start": "1"'), "start: got '1'; expected a whole number"),
        ("[" * 100_000, "not a record: RecursionError"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "step-000001.jsonl"
    path.write_text(f"{line}\n", encoding="utf-8", errors="surrogatepass")
    with pytest.raises(DataError, match=rf"step-000001\.jsonl:1: .*{words}"):
        list(read_records(path))


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "step-000001.jsonl"
    write_records(path, [record()])
    path.write_bytes(path.read_bytes() + b'{"step": "\xff"}\n')
    with pytest.raises(DataError, match=r"step-000001\.jsonl:2: 'utf-8' codec can't decode byte 0xff"):
        list(read_records(path))
