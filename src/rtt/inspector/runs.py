"""Where a run keeps its records and its metrics.

FILE.jsonl                  records alone
DIR/step-*.jsonl            a folder of records
DIR/records/                what `rtt train` writes; metrics in history.json or trainer_state.json, the newest
DIR/records.jsonl           what `rtt evaluate` writes
DIR/*/records/              what `rtt demo` writes: a run for each method
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtt.errors import ConfigurationError, DataError
from rtt.records import Record, read_records
from rtt.verdicts import Outcome, credited

History = Sequence[Mapping[str, Any]]
"""A trainer's log: one mapping of metrics a logged step, with ``step``."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as its files have it.

    Attributes:
        name: what to call it.
        files: its files of records, in order of step; may be empty.
        history: its metrics by step; empty where no log was found.
    """

    name: str
    files: tuple[Path, ...]
    history: History

    def records(self, advance: Callable[[int], None] = lambda _: None) -> Iterator[Record]:
        """All records in order, one after another; see :func:`rtt.records.read_records`."""
        for file in self.files:
            yield from read_records(file, advance)


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """Find the runs of files and folders, each under a name of its own.

    Raises:
        ConfigurationError: a path is not there, or holds neither records nor metrics.
        DataError: a log is damaged.
    """
    found = [run for path in paths for run in _find(path)]
    names: dict[str, int] = defaultdict(int)
    runs = []
    for run in found:
        names[run.name] += 1
        count = names[run.name]
        runs.append(run if count == 1 else Run(f"{run.name} ({count})", run.files, run.history))
    return runs


def _find(path: Path) -> list[Run]:
    if path.is_file():
        return [Run(path.stem, (path,), ())]
    if not path.is_dir():
        raise ConfigurationError(f"{path}: there is no such file or folder; expected records, or the folder of a run")
    name = path.resolve().name
    if files := _records_in(path):
        return [Run(name, files, _history(path) or (_history(path.parent) if path.name == "records" else ()))]
    if files := _records_in(path / "records"):
        return [Run(name, files, _history(path))]
    if (path / "records.jsonl").is_file():
        return [Run(name, (path / "records.jsonl",), ())]
    arms = [
        Run(f"{name}/{arm.name}", _records_in(arm / "records"), _history(arm))
        for arm in sorted(path.iterdir())
        if arm.is_dir() and not arm.name.startswith("checkpoint-")
    ]
    arms = [arm for arm in arms if arm.files or arm.history]
    if arms:
        return arms
    if history := _history(path):
        return [Run(name, (), history)]
    raise ConfigurationError(
        f"{path} holds neither records (step-*.jsonl, records/, records.jsonl) nor a training log; train with "
        "records_steps=10, or name another folder"
    )


def _records_in(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("step-*.jsonl")))


def _history(folder: Path) -> History:
    """A run's log: the demo's history.json, or transformers' trainer_state.json, here or in the last checkpoint."""
    checkpoints = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=_number)
    for file in (folder / "history.json", folder / "trainer_state.json", *reversed(checkpoints)):
        if not file.is_file():
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            rows = content if isinstance(content, list) else content["log_history"]
            return [row for row in rows if isinstance(row["step"], int)]
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise DataError(f"{file} is no training log ({error!r}); mend it or take it away") from None
    return ()


def _number(file: Path) -> int:
    tail = file.parent.name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else -1


class RecordedHistory:
    """Metrics by step, counted from records, for a run whose log is not there: the records are a sample of it."""

    def __init__(self) -> None:
        self.sums: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))

    def add(self, record: Record) -> None:
        """Count one record."""
        sums = self.sums[record.step]

        def add(name: str, total: float, count: float = 1.0) -> None:
            sums[name][0] += total
            sums[name][1] += count

        earned = []
        # as many verdicts as criteria, but for a damaged record, which is an alarm's matter
        for criterion, verdict in zip(record.task.rubric.criteria, record.verdicts, strict=False):
            if verdict.determined:
                earned.append(credited(criterion, verdict) is Outcome.SATISFIED)
                add(f"rtt/pass_rate/{criterion.rule.name if criterion.rule else 'judge'}", earned[-1])
        tokens = len(record.response.token_ids)
        add("completions/mean_length", tokens)
        if earned:
            add("rtt/rubric_accuracy", sum(earned), len(earned))
            add("rtt/instruction_accuracy", all(earned))
        if any(record.advantages):
            weight = 1.0 if record.token_weight is None else record.token_weight
            add("rtt/response_advantage_size", abs(record.response_advantage) * tokens, tokens)
            add("rtt/token_advantage_size", weight * sum(map(abs, record.token_advantages)), tokens)

    def history(self) -> History:
        """What was counted, a row a step."""
        return [
            {"step": step, **{name: total / count for name, (total, count) in sums.items() if count}}
            for step, sums in sorted(self.sums.items())
        ]
