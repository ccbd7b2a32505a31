"""Data files of benchmarks: JSON Lines, one JSON list, or CSV; or the same rows from the hub.

Each row becomes a :class:`rtt.benchmarks.Prompt`, or the whole file is refused with file, row, field and the mend.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rtt.benchmarks import Benchmark, Prompt
from rtt.errors import DataError, MissingDependencyError
from rtt.json_lines import LineError, decode_line, decode_text, read_lines

MAX_PROBLEMS = 20
"""How many problems are told together."""


@dataclass(frozen=True, slots=True)
class Data:
    """A benchmark's prompts, and where they come from.

    Attributes:
        prompts: in the file's order.
        name: the file's name, or the data set's on the hub.
        digest: SHA-256 of the file; of data from the hub, its fingerprint there.
    """

    prompts: tuple[Prompt, ...]
    name: str
    digest: str


def read_prompts(benchmark: Benchmark, file: Path | None = None) -> Data:
    """Read a benchmark's data.

    Args:
        benchmark: whose rows they are.
        file: JSON Lines, one JSON list, or CSV with a head; None for the hub, which needs the ``train`` extra.

    Raises:
        DataError: the file or a row cannot be used, keys repeat, or the hub does not answer.
        MissingDependencyError: there is no file, and the ``datasets`` library is not installed.
    """
    if file is None:
        rows, name, digest = _hub_rows(benchmark)
    else:
        rows, name, digest = _file_rows(file), file.name, _digest(file)
    prompts: list[Prompt] = []
    problems: list[str] = []
    places: dict[int | str, str] = {}
    for number, (place, row) in enumerate(rows, start=1):
        try:
            prompt = benchmark.parse(row if benchmark.keyed else {"key": number, **row})
        except DataError as error:
            problems.append(f"{place}: {error}")
            if len(problems) >= MAX_PROBLEMS:
                break
            continue
        if prompt.key in places:
            problems.append(
                f"{place}: key {prompt.key!r} is that of {places[prompt.key]} already; expected each key once"
            )
        places[prompt.key] = place
        prompts.append(prompt)
    if problems:
        head = f"{name} is no data file of {benchmark.title}: {len(problems)} problems\n  " if len(problems) > 1 else ""
        raise DataError(head + "\n  ".join(problems))
    if not prompts:
        raise DataError(f"{name}: has no row in it; expected the data file of {benchmark.title}")
    return Data(tuple(prompts), name, digest)


Row = TypeVar("Row", bound=BaseModel)


def validated(model: type[Row], row: Mapping[str, Any], title: str) -> Row:
    """The row of a data file as its model.

    Raises:
        DataError: something does not fit; the message names the first such field, and the benchmark by its title.
    """
    try:
        return model.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        words = first["msg"].removeprefix("Value error, ")
        raise DataError(f"{field}: {words}; expected a row of {title}'s data file") from None


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file; expected the benchmark's data file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def _file_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if file.suffix.lower() == ".csv":
        yield from _csv_rows(file)
    elif _is_list(file):
        yield from _list_rows(file)
    else:
        for number, line in read_lines(file):
            place = f"{file}:{number}"
            try:
                yield place, _object(decode_line(line), place)
            except LineError as error:
                raise DataError(f"{place}: {error}") from None


def _is_list(file: Path) -> bool:
    """Whether the first character is that of a JSON list: JSON Lines begin with an object."""
    for _, line in read_lines(file):
        return line.lstrip().startswith(b"[")
    return False


def _list_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        rows = decode_text(file.read_text(encoding="utf-8-sig"))
    except (LineError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: {error}") from None
    for number, row in enumerate(rows, start=1):
        place = f"{file}, item {number}"
        yield place, _object(row, place)


def _csv_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)  # a setting of the whole process, which a rule goes by
    for number, row in enumerate(rows, start=1):
        place = f"{file}, row {number}"
        if None in row or None in row.values():
            raise DataError(f"{place}: has another number of fields than the head; expected one for each column")
        yield place, row


def _object(row: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"{place}: got {type(row).__name__}; expected a JSON object")
    return row


def _hub_rows(benchmark: Benchmark) -> tuple[Iterator[tuple[str, Mapping[str, Any]]], str, str]:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            f"without --data {benchmark.title}'s data comes from the hub, by {error.name}, which is not installed; "
            "name the data file, or install the extra: pip install 'rubrics-to-tokens[train]'"
        ) from error
    where = benchmark.hub
    try:
        rows = datasets.load_dataset(where.name, split=where.split)  # nosec B615 # the benchmark's own set; rows only
    except Exception as error:  # the library passes on errors of its HTTP client, and these differ by version
        raise DataError(
            f"the hub does not give {where.name} (split {where.split!r}): {error}; name its data file with --data"
        ) from error
    return ((f"{where.name}, row {n}", row) for n, row in enumerate(rows, start=1)), where.name, str(rows._fingerprint)
