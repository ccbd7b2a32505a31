"""Files that are nearly right: a reader gives values that survive the way back, or says what is wrong in which file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fuzz.fuzzing import changed, fuzz, json_file, json_lines, try_again
from hypothesis import strategies as st
from importers.samples import SAMPLES
from inspector.examples import record

from rtt.answers import read_responses
from rtt.benchmarks import benchmark
from rtt.benchmarks.comparison import read_run
from rtt.benchmarks.data import read_prompts
from rtt.errors import ConfigurationError, DataError, RTTError
from rtt.importers import FORMATS
from rtt.importers.conversion import convert
from rtt.importers.literals import parse
from rtt.importers.reading import Choices
from rtt.inspector.page import write_page
from rtt.inspector.runs import find_runs
from rtt.records import read_records, write_records
from rtt.relevance.discriminator.examples import read_examples, write_examples
from rtt.rubrics import Task, read_tasks, write_tasks
from rtt.verifiers import verify

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TEXT = "A small, green lamp glows.\n\n* one\n* two\n\n**Have fun!** [place] 12 lamps."


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def in_a_folder(check: Callable[[Path, Any], None]) -> Callable[[Any], None]:
    """The check, in a folder of its own."""

    def checked(value: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder), value)

    return checked


def refuses(read: Callable[[], Any], *words: str, kinds: tuple[type[RTTError], ...] = (DataError,)) -> Any:
    """What the reader gives; None where it refuses, in words that name the file."""
    try:
        return read()
    except kinds as error:
        said = str(error)
    assert [word for word in words if word not in said] == []
    assert len(said) < 20_000
    return None


def tasks(folder: Path, content: bytes) -> None:
    (folder / "tasks.jsonl").write_bytes(content)
    found = refuses(lambda: read_tasks(folder / "tasks.jsonl"), "tasks.jsonl")
    if found is not None:
        write_tasks(folder / "again.jsonl", found)
        assert read_tasks(folder / "again.jsonl") == found
        for task in found:
            assert len(verify(task, TEXT, time_limit=0.2)) == len(task.rubric.criteria)


def responses(folder: Path, content: bytes) -> None:
    (folder / "responses.jsonl").write_bytes(content)
    known = {task.id: task for task in read_tasks(EXAMPLES / "tasks.jsonl")}
    read = read_responses(folder / "responses.jsonl", known, Path("tasks.jsonl"))
    for answer in refuses(lambda: list(read), "responses.jsonl") or ():
        assert isinstance(answer.text, str)
        assert isinstance(answer.task, Task)


def records(folder: Path, content: bytes) -> None:
    file = folder / "step-000001.jsonl"
    file.write_bytes(content)
    found = refuses(lambda: list(read_records(file)), file.name)
    if found is not None:
        write_records(folder / "again.jsonl", found)
        assert [one.to_json() for one in read_records(folder / "again.jsonl")] == [one.to_json() for one in found]


def examples(folder: Path, content: bytes) -> None:
    from rtt.demo.models import tiny_model

    if not _TOKENIZER:
        _TOKENIZER.append(tiny_model()[1])
    (folder / "examples.jsonl").write_bytes(content)
    for tokenizer in (None, _TOKENIZER[0]):

        def read(tokenizer: Any = tokenizer) -> Any:
            return read_examples(folder / "examples.jsonl", tokenizer=tokenizer)

        found = refuses(read, "examples.jsonl")
        if found is not None:
            write_examples(folder / "again.jsonl", found)
            assert read_examples(folder / "again.jsonl") == found


_TOKENIZER: list[Any] = []


def importer(name: str) -> Callable[[Path, Any], None]:
    def check(folder: Path, content: bytes) -> None:
        (folder / "rows.jsonl").write_bytes(content)
        choices = [Choices(), Choices(unknown_rule="judge", code="judge"), Choices("skip", "keep", "skip")]
        for number, chosen in enumerate(choices):
            out = folder / f"{number}.jsonl"

            def read(out: Path = out, chosen: Choices = chosen) -> Any:
                return convert(
                    FORMATS[name], [folder / "rows.jsonl"], out, choices=chosen, skip_bad=chosen.code == "keep"
                )

            found = refuses(read)
            assert out.exists() == (found is not None)
            if found is not None:
                assert len(read_tasks(out)) == found.written

    return check


def harness(folder: Path, value: tuple[bytes, bytes]) -> None:
    results, samples = value
    (folder / "results_d.json").write_bytes(results)
    (folder / "samples_task_d.jsonl").write_bytes(samples)
    refuses(lambda: read_run(folder), "_d.json")


def finished(folder: Path, value: tuple[bytes, bytes, bytes]) -> None:
    for name, content in zip(("run.json", "verdicts.jsonl", "summary.json"), value, strict=True):
        (folder / name).write_bytes(content)
    refuses(lambda: read_run(folder), folder.name, kinds=(DataError, ConfigurationError))


def log(folder: Path, content: bytes) -> None:
    (folder / "records").mkdir()
    write_records(folder / "records/step-000001.jsonl", [record()])
    (folder / "history.json").write_bytes(content)
    for run in refuses(lambda: find_runs([folder]), "history.json") or ():
        assert all(isinstance(row["step"], int) for row in run.history)


def page(folder: Path, content: bytes) -> None:
    """What `rtt inspect` makes of records, alarms included."""
    (folder / "step-000001.jsonl").write_bytes(content)
    out = folder / "page.html"
    done = refuses(lambda: (write_page(find_runs([folder]), out, twin=folder / "page.json"), out)[1])
    assert out.exists() == (done is not None)
    if done is not None:
        json.loads((folder / "page.json").read_text("utf-8"))


def data(name: str) -> Callable[[Path, Any], None]:
    def check(folder: Path, content: bytes) -> None:
        for file in (folder / "data.jsonl", folder / "data.csv"):
            file.write_bytes(content)
            found = refuses(lambda file=file: read_prompts(benchmark(name), file), file.name)
            if found is not None:
                for prompt in found.prompts:
                    verify(prompt.task, TEXT, time_limit=0.2)

    return check


def literal(folder: Path, text: str) -> None:
    refuses(lambda: parse(text, "field"), "field")


IFEVAL = {
    "key": 1,
    "prompt": "Write.",
    "instruction_id_list": ["punctuation:no_comma", "keywords:existence"],
    "kwargs": [{}, {"keywords": ["lamp"], "frequency": None}],
}
IFBENCH = {"key": "2", "prompt": "Write.", "instruction_id_list": ["count:numbers"], "kwargs": [{"N": 3.0}]}
MULDIMIF = {
    "id": "3",
    "conversations": [{"role": "user", "content": "Write."}],
    "constraints": [
        ["Length", "Words", "At most 40 words"],
        ["Content", "Keywords", "Must include the keyword 'lamp'"],
    ],
}
ADVANCEDIF = {
    "conversation_history": json.dumps([{"role": "user", "content": "Write."}]),
    "prompt_metadata": json.dumps({"rubrics": json.dumps(["Is it short?", "Is it warm?"])}),
    "benchmark_name": "complex_if_single_turn_v5",
    "response": "Short, warm.",
}
EXAMPLE = {
    "criterion": "No commas.",
    "response": "Well, it sings.",
    "outcome": -1,
    "violation": [[4, 5]],
    "source": "rule",
}
LABELLED = [
    {**EXAMPLE, "kind": "punctuation:no_comma", "prompt": "mail/7", "rule": {"name": "punctuation:no_comma"}},
    {"criterion": "Warm.", "response": "Well.", "passed": True, "spans": [[0, 4]], "scope": "spans"},
    {"criteria": "Warm.", "response": "Well.", "char_labels": [1, 1, 0, 0, 1], "question": "How?"},
    {"criteria": "Warm.", "response": "Well.", "token_labels": [1, 1, 0, 0, 1]},
]
SAMPLE = {"doc_id": 3, "doc_hash": "0" * 64, "filter": "none", "metrics": ["exact_match"], "exact_match": 1.0}
VERDICT = {"key": 1, "strict": [True, None], "loose": [True, False], "types": ["a", "b"]}
LOG = [{"step": 1, "reward": 0.5, "rtt/pass_rate/punctuation:no_comma": None}, {"step": 2, "entropy": 1.0}]


@dataclass(frozen=True)
class Target:
    """What is fuzzed: a check in a folder, what it gets, and what was found."""

    check: Callable[[Path, Any], None]
    values: st.SearchStrategy[Any]
    found: Sequence[Any] = ()


TARGETS = {
    "tasks": Target(tasks, json_lines([*lines_of(EXAMPLES / "tasks.jsonl"), IFEVAL])),
    "responses": Target(
        responses, json_lines([*lines_of(EXAMPLES / "responses.jsonl"), {"prompt": "x", "response": ""}])
    ),
    "records": Target(
        records,
        json_lines([json.loads(record().to_json())]),
        [b'\x80{"step": 1}', record().to_json().encode().replace(b'"step": 1', b'"step": "1"')],
    ),
    "page": Target(
        page,
        json_lines([json.loads(record().to_json())]),
        [json.dumps({**json.loads(record().to_json()), "verdicts": []}).encode()],  # fewer verdicts than criteria
    ),
    "examples": Target(examples, json_lines(LABELLED)),
    "harness": Target(
        harness,
        st.tuples(json_file([{"group_subtasks": {"group": ["task"], "all": ["group"]}}]), json_lines([SAMPLE])),
        [(b"{}", json.dumps({**SAMPLE, "metrics": []}).encode())],
    ),
    "finished": Target(
        finished,
        st.tuples(
            json_file([{"benchmark": "ifeval", "data": {"sha256": "0"}}]), json_lines([VERDICT]), json_file([{"n": 1}])
        ),
    ),
    "log": Target(log, json_file([LOG, {"log_history": LOG}]), [b"[" * 100_000]),
    "data-ifeval": Target(data("ifeval"), json_lines([IFEVAL])),
    "data-ifbench": Target(data("ifbench"), json_lines([IFBENCH])),
    "data-muldimif": Target(data("muldimif"), json_lines([MULDIMIF])),
    "data-advancedif": Target(data("advancedif"), json_lines([ADVANCEDIF])),
    "literal": Target(
        literal, st.one_of(changed([[{"a": ["b", None, 1.5]}]]).map(repr), st.text("[]{}'\",: 1aN-.\\\n()"))
    ),
}
for _name in FORMATS:
    _rows = [row for form, row in SAMPLES if form == _name]
    TARGETS[f"import-{_name}"] = Target(importer(_name), json_lines(_rows) | json_file([_rows]))


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_stays_mended(name: str) -> None:
    target = TARGETS[name]
    try_again(name, in_a_folder(target.check), target.values, target.found)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str) -> None:
    target = TARGETS[name]
    fuzz(name, in_a_folder(target.check), target.values, target.found)
