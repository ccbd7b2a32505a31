"""Rows of files become a task file, which appears whole or not at all; and the tally of what became of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from rtt import rule_schemas
from rtt.errors import DataError
from rtt.importers import Format
from rtt.importers.files import Found, read_rows
from rtt.importers.reading import DEFAULT, Choices, Row, read_row
from rtt.json_lines import MAX_LINE_BYTES, LineError, write_lines
from rtt.rubrics import MAX_PROBLEMS, Task

MAX_SHOWN = 40
"""How many names of unknown rules are told."""

Progress = Callable[[Path], AbstractContextManager[Callable[[int], None]]]
"""Opened for each file; what it gives is told how many bytes were read."""


@dataclass(slots=True)
class Tally:
    """What became of the rows.

    Attributes:
        read, written: how many rows and tasks.
        skipped: how many rows were left out, by reason.
        left_out: how many criteria were left out, by reason.
        kinds: how many criteria, by kind: ``rule``, ``judge``, ``code``.
        families: how many criteria of kind rule, by family: ``ifeval``, ``ifbench``, ``muldimif``.
        judged_rules: how many criteria go to a judge because their rule is unknown, by its name.
        negative: how many criteria have a negative weight.
        on_ifbench: how many tasks have a criterion of IFBench's instruction types.
    """

    read: int = 0
    written: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    judged_rules: Counter[str] = field(default_factory=Counter)
    negative: int = 0
    on_ifbench: int = 0

    def add(self, task: Task, row: Row) -> None:
        """Count a task that was written."""
        self.written += 1
        self.left_out += row.left_out
        self.judged_rules += row.judged_rules
        families = set()
        for criterion in task.rubric.criteria:
            self.kinds[criterion.kind] += 1
            self.negative += criterion.unwanted
            if criterion.rule is not None:
                family = rule_schemas.family_of(criterion.rule.name)
                self.families[family] += 1
                families.add(family)
        self.on_ifbench += "ifbench" in families


def convert(
    form: Format,
    files: Sequence[Path],
    out: Path,
    *,
    choices: Choices = DEFAULT,
    dataset: str | None = None,
    skip_bad: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Write the tasks that the rows of the files say; :func:`rtt.rubrics.read_tasks` reads them back.

    Rows are read one at a time: only the tasks' ids are kept. Program text in them is never run.

    Args:
        form: the files' format.
        files: JSON Lines, JSON lists or Parquet.
        out: the task file; one that is there is replaced.
        choices: what becomes of that which has no equal here.
        dataset: the data set's id, for the tasks' metadata; where it is not given, those that have this format.
        skip_bad: leave out rows that cannot be used, and count them; otherwise one of them refuses the import.
        limit: the most tasks to write.
        progress: is opened for each file.

    Raises:
        DataError: a file or a row cannot be used (up to ``MAX_PROBLEMS`` are told together, each with file, line and
            field), unknown rules or program text are refused, or nothing is left to write. ``out`` is left as it was.
        MissingDependencyError: a file is Parquet, and pyarrow is not installed.
    """
    tally, refused = Tally(), _Refused()
    problems: list[str] = []
    places: dict[str, str] = {}
    with write_lines(out) as write:
        for file, found in _rows(files, progress):
            if limit is not None and tally.written >= limit:
                break
            tally.read += 1
            try:
                if isinstance(found.value, LineError):
                    raise found.value
                row, task = read_row(form, found.value, f"{file.stem}/{found.number}", choices, dataset)
                if task is not None and task.id in places:
                    raise LineError(f"the id {task.id!r} is that of {places[task.id]}; expected each key once")
                line = "" if task is None else _line(task)
            except DataError as error:
                if skip_bad:
                    tally.skipped[_reason(found, error)] += 1
                    continue
                problems.append(f"{found.place}: {error}")
                if len(problems) >= MAX_PROBLEMS:
                    break
                continue
            if refused.add(row):
                continue
            if task is None:
                tally.skipped["no criterion left"] += 1
                tally.left_out += row.left_out
                continue
            places[task.id] = found.place
            tally.add(task, row)
            write(line)
        _raise(problems, refused, form)
        if not tally.written:
            raise DataError(_nothing(files, tally))
    return tally


def _line(task: Task) -> str:
    """The task as one line that is short enough to be read back."""
    line = task.to_json()
    if len(line) > MAX_LINE_BYTES // 4 and len(line.encode()) > MAX_LINE_BYTES:
        raise LineError(f"the task has more than {MAX_LINE_BYTES:,} bytes; expected a row of a usual size")
    return line


def _rows(files: Iterable[Path], progress: Progress | None) -> Iterator[tuple[Path, Found]]:
    for file in files:
        if progress is None:
            yield from ((file, found) for found in read_rows(file))
        else:
            with progress(file) as advance:
                yield from ((file, found) for found in read_rows(file, advance))


def _reason(found: Found, error: DataError) -> str:
    """Why a row is left out, without what differs from row to row: the field's path without places."""
    if isinstance(found.value, LineError):
        return "not JSON"
    path, colon, _ = str(error).partition(": ")
    if not colon or len(path) > 80 or " " in path:
        return "repeated id" if str(error).startswith("the id ") else "other"
    return re.sub(r"\[\d+\]", "[]", path)


@dataclass(slots=True)
class _Refused:
    """What a choice refuses, counted over all rows."""

    rules: Counter[str] = field(default_factory=Counter)
    rule_rows: int = 0
    code: int = 0
    code_rows: int = 0

    def add(self, row: Row) -> bool:
        """Count what the row has of it; whether it has any."""
        self.rules += row.refused_rules
        self.rule_rows += bool(row.refused_rules)
        self.code += row.refused_code
        self.code_rows += bool(row.refused_code)
        return bool(row.refused_rules or row.refused_code)

    def messages(self) -> Iterator[str]:
        """What to say of it, and which choices there are."""
        if self.rules:
            shown = [f"{name} {count:,}" for name, count in self.rules.most_common(MAX_SHOWN)]
            more = f", and {len(self.rules) - MAX_SHOWN} more" if len(self.rules) > MAX_SHOWN else ""
            yield (
                f"criteria whose rule does not exist here: {', '.join(shown)}{more}; {self.rules.total():,} in all, "
                f"rows: {self.rule_rows:,}. Choose: --unknown-rule judge (a judge decides them, by the data's words) "
                "or --unknown-rule skip (they are left out; the task keeps its other criteria)"
            )
        if self.code:
            yield (
                f"criteria with program text: {self.code:,}, rows: {self.code_rows:,}. Code that comes with data "
                "is never run here. Choose: --code judge (a judge decides them, by the criterion's words), --code keep "
                "(the text is stored, and the verdict stays undetermined) or --code skip (they are left out; the task "
                "keeps its other criteria)"
            )


def _raise(problems: Sequence[str], refused: _Refused, form: Format) -> None:
    """Raise what stands against the import, if anything does."""
    told = [*problems, *refused.messages()]
    if problems:
        told.append("rows that cannot be used are left out, and counted, with --skip-bad")
    if not told:
        return
    if len(problems) > 1:
        told.insert(0, f"{len(problems)} problems; is this the format {form.name!r}?")
    raise DataError("\n  ".join(told))


def _nothing(files: Sequence[Path], tally: Tally) -> str:
    names = ", ".join(map(str, files))
    if not tally.read:
        return f"{names}: has no row in it; expected at least one"
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in tally.skipped.most_common(10))
    return f"{names}: none of {tally.read:,} rows became a task: {reasons}"
