"""Files of rows become a task file: each kind of file, in constant memory, whole or not at all."""

from __future__ import annotations

import builtins
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importers import samples
from importers.samples import SAMPLES

from rtt.errors import DataError, MissingDependencyError
from rtt.importers import FORMATS
from rtt.importers.conversion import convert
from rtt.importers.files import read_rows, split_list
from rtt.importers.reading import Choices
from rtt.json_lines import LineError
from rtt.rubrics import read_tasks

ALL = Choices(unknown_rule="judge", code="keep")


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def rubrichub(number: int, **more: Any) -> dict[str, Any]:
    return {**samples.RUBRICHUB, "prompt": samples.user(f"Toast number {number}."), **more}


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_each_format_is_written_and_read_back(form: str, file: Path, out: Path) -> None:
    rows = [sample for name, sample in SAMPLES if name == form]
    tally = convert(FORMATS[form], [lines(file, *rows)], out, choices=ALL)
    tasks = read_tasks(out)
    assert tally.read == tally.written == len(tasks) == len(rows)
    assert tally.kinds.total() == sum(len(task.rubric.criteria) for task in tasks)
    assert len({task.id for task in tasks}) == len(tasks)


def test_the_same_rows_are_read_from_lines_a_list_and_parquet(tmp_path: Path, out: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [rubrichub(n) for n in range(600)]
    written = []
    for name in ("rows.jsonl", "rows.json", "rows.parquet"):
        path = tmp_path / name
        if name == "rows.jsonl":
            lines(path, *rows)
        elif name == "rows.json":
            path.write_text("\ufeff\n" + json.dumps(rows, indent=1), encoding="utf-8")
        else:
            parquet.write_table(arrow.Table.from_pylist(rows), path)
        convert(FORMATS["rubrichub"], [path], out)
        written.append(out.read_text(encoding="utf-8"))
    assert written[0] == written[1] == written[2]
    assert len(read_tasks(out)) == 600


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="install the extra: pip install 'rubrics-to-tokens.train.'"):
        list(read_rows(tmp_path / "a.parquet"))


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match="a.parquet: cannot be read as Parquet"):
        list(read_rows(tmp_path / "a.parquet"))


def test_no_torch_and_no_datasets_are_loaded(file: Path, out: Path) -> None:
    lines(file, samples.IF_RLVR)
    code = (
        "import sys\nfrom pathlib import Path\nfrom rtt.importers import FORMATS\n"
        "from rtt.importers.conversion import convert\n"
        f"convert(FORMATS['if-rlvr'], [Path({str(file)!r})], Path({str(out)!r}))\nprint(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "datasets", "pyarrow", "numpy"} & set(loaded)


def test_rows_without_a_key_are_named_by_file_and_number(tmp_path: Path, out: Path) -> None:
    files = [lines(tmp_path / f"part-{n}.jsonl", rubrichub(n), rubrichub(n + 10)) for n in (1, 2)]
    convert(FORMATS["rubrichub"], files, out)
    assert [task.id for task in read_tasks(out)] == [
        "rubrichub/part-1/1",
        "rubrichub/part-1/2",
        "rubrichub/part-2/1",
        "rubrichub/part-2/2",
    ]


def test_a_key_that_repeats_names_both_places(file: Path, out: Path) -> None:
    lines(file, samples.IF_RLVR, samples.IF_RLVR)
    with pytest.raises(DataError, match=r"rows.jsonl:2: the id 'if-rlvr/tea_1' is that of .*rows.jsonl:1; expected"):
        convert(FORMATS["if-rlvr"], [file], out)
    tally = convert(FORMATS["if-rlvr"], [file], out, skip_bad=True)
    assert (tally.written, dict(tally.skipped)) == (1, {"repeated id": 1})


def test_unknown_rules_and_program_text_are_counted_over_all_rows(file: Path, out: Path) -> None:
    other = {
        **samples.IF_TRAIN,
        "key": "x",
        "ground_truth": samples.IF_TRAIN["ground_truth"].replace("copy:copy", "new:y"),
    }
    lines(file, samples.IF_TRAIN, samples.IF_RLVR, {**samples.IF_TRAIN, "key": "z"}, other)
    with pytest.raises(DataError) as caught:
        convert(FORMATS["if-rlvr"], [file], out)
    assert "criteria whose rule does not exist here: copy:copy 2, new:y 1; 3 in all, rows: 3. Choose: " in str(
        caught.value
    )
    assert not out.exists()
    lines(file, samples.VERINSTRUCT, {**samples.VERINSTRUCT, "id": "v2"})
    with pytest.raises(DataError) as caught:
        convert(FORMATS["verinstruct"], [file], out)
    for words in ("criteria with program text: 2, rows: 2.", "never run here", "--code judge", "--code keep"):
        assert words in str(caught.value)


def test_bad_rows_refuse_the_import_or_are_counted_by_reason(file: Path, out: Path) -> None:
    out.write_text("before")
    bad = rubrichub(1, Rubrics=[{"criterion": "a", "points": "7"}])
    lines(file, rubrichub(0), bad, rubrichub(2, prompt=None), "{", rubrichub(3), bad)
    with pytest.raises(DataError) as caught:
        convert(FORMATS["rubrichub"], [file], out)
    message = str(caught.value)
    assert message.startswith("4 problems; is this the format 'rubrichub'?")
    assert f"{file}:2: Rubrics[0].points: got '7' (str); expected a number" in message
    assert f"{file}:3: prompt: is missing; expected a list" in message
    assert f"{file}:4: column 2: not JSON" in message
    assert "--skip-bad" in message
    assert out.read_text() == "before"
    tally = convert(FORMATS["rubrichub"], [file], out, skip_bad=True)
    assert (tally.read, tally.written) == (6, 2)
    assert dict(tally.skipped) == {"Rubrics[].points": 2, "prompt": 1, "not JSON": 1}
    assert [task.id for task in read_tasks(out)] == ["rubrichub/rows/1", "rubrichub/rows/5"]


def test_reading_stops_after_many_problems(file: Path, out: Path) -> None:
    lines(file, *[{}] * 100)
    with pytest.raises(DataError, match="20 problems"):
        convert(FORMATS["rar"], [file], out)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no row in it; expected at least one"),
        ("[]", "has no row in it; expected at least one"),
        ("[{}", "the list has no end; expected ']': is the file cut off?"),
        ("[] []", "goes on after the list; expected one JSON list, or JSON Lines"),
        ("[{},]", "item 2: column 1: not JSON"),
        ("[" * 20_000, "rows.jsonl: lists and objects are nested too deep to read"),
        ('[{"a": "\\', "the list has no end"),
        ("[1]", "item 1: got 1; expected an object, one row"),
    ],
)
def test_a_file_without_rows_is_refused(file: Path, out: Path, content: str, words: str) -> None:
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        convert(FORMATS["rar"], [file], out)
    assert words in str(caught.value)
    assert not out.exists()


def test_where_no_row_becomes_a_task_the_reasons_are_told(file: Path, out: Path) -> None:
    lines(file, {}, {})
    with pytest.raises(DataError, match=r"none of 2 rows became a task: question \(2\)"):
        convert(FORMATS["rar"], [file], out, skip_bad=True)
    assert not out.exists()


def test_a_file_that_is_not_there_is_told(tmp_path: Path, out: Path) -> None:
    with pytest.raises(DataError, match="none.jsonl: there is no such file"):
        convert(FORMATS["rar"], [tmp_path / "none.jsonl"], out)
    with pytest.raises(DataError, match="is a directory"):
        convert(FORMATS["rar"], [tmp_path], out)


def test_limit_counts_tasks_and_reads_no_further(file: Path, out: Path) -> None:
    lines(file, {}, rubrichub(1), rubrichub(2), rubrichub(3), "not JSON")
    tally = convert(FORMATS["rubrichub"], [file], out, skip_bad=True, limit=2)
    assert (tally.read, tally.written) == (3, 2)


def test_memory_does_not_grow_with_the_file(tmp_path: Path, out: Path) -> None:
    def most(count: int, as_list: bool) -> int:
        path = tmp_path / "rows"
        rows = [json.dumps(rubrichub(n, extra="x" * 20_000)) for n in range(count)]
        path.write_text(f"[{','.join(rows)}]" if as_list else "\n".join(rows))
        del rows
        tracemalloc.start()
        convert(FORMATS["rubrichub"], [path], out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    for as_list in (False, True):
        most(10, as_list)  # what is loaded once
        assert most(1_000, as_list) < most(100, as_list) + 2_500_000  # the file has grown by 18 MB


def test_rows_are_not_run_whatever_they_hold(
    file: Path, out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("data was run")

    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    rows = {
        "verinstruct": {**samples.VERINSTRUCT, "functions": [trap, trap]},
        "hir": samples.hir("type4", {"checker": ["[rule]a"], "functions": [trap]}, "A."),
        "if-rlvr": {**samples.IF_RLVR, "ground_truth": f"[{trap}]"},
    }
    monkeypatch.setattr(builtins, "eval", never)
    for form, row in rows.items():
        for choice in ("keep", "judge", "skip", "refuse"):
            lines(file, row, {**row, "id": "2", "key": "2"})
            try:
                convert(FORMATS[form], [file], out, choices=Choices("judge", choice))  # type: ignore[arg-type]
            except DataError:
                assert form == "if-rlvr" or choice in ("refuse", "skip")
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------------------------------------ a JSON list


class Drip(io.BytesIO):
    """A file that gives few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read(self, _: int | None = -1) -> bytes:
        return super().read(self.size)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(['"', "\\", '\\"', "],[", "{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(_VALUES, max_size=6), st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_a_list_is_split_into_its_items_wherever_reading_pauses(
    values: list[Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert [json.loads(item) for item in split_list(Drip(data, size), "x")] == values


@given(st.text(alphabet='[]{}",\\ a1', max_size=30))
def test_what_is_no_list_is_refused_or_its_items_are(tail: str) -> None:
    data = f"[{tail}"
    try:
        items = [json.loads(item) for item in split_list(io.BytesIO(data.encode()), "x")]
    except (DataError, json.JSONDecodeError):
        with pytest.raises(json.JSONDecodeError):
            json.loads(data)
    else:
        assert items == json.loads(data)


def test_a_line_that_is_no_json_is_told_with_the_row(file: Path) -> None:
    lines(file, "{}", "", "{")
    found = list(read_rows(file))
    assert [(one.place, one.number) for one in found] == [(f"{file}:1", 1), (f"{file}:3", 2)]
    assert isinstance(found[1].value, LineError)
