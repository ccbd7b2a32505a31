"""Rows of a file, one at a time: JSON Lines, one JSON list, or Parquet. No more than a row or a batch is in memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import regex  # re's possessive groups are wrong before Python 3.11.5

from rtt.errors import DataError, MissingDependencyError
from rtt.json_lines import MAX_LINE_BYTES, LineError, decode_line, read_lines

_BATCH = 256  # rows of a Parquet file that are read together
_CHUNK = 1 << 20
_DEEPEST = 10_000  # levels of a JSON list, of which far fewer can be decoded


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a file.

    Attributes:
        place: where it stands, for messages: ``train.jsonl:7``.
        number: its number in the file, from 1.
        value: what it holds, or the error if it cannot be decoded.
    """

    place: str
    number: int
    value: Any


def read_rows(file: Path, advance: Callable[[int], None] = lambda _: None) -> Iterator[Found]:
    """The rows of a file, told by its first bytes from the three kinds; a line that is no JSON is a :class:`LineError`.

    Args:
        file: JSON Lines, a JSON list, or Parquet, which needs pyarrow.
        advance: told how many bytes of the file have been read.

    Raises:
        DataError: the file cannot be read, or a JSON list is cut off.
        MissingDependencyError: it is Parquet, and pyarrow is not installed.
    """
    head = _head(file)
    if head.startswith(b"PAR1"):
        yield from _parquet_rows(file, advance)
    elif head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from _list_rows(file, advance)
    else:
        for number, (line_number, line) in enumerate(read_lines(file), start=1):
            yield Found(f"{file}:{line_number}", number, _decoded(line))
            advance(len(line) + 1)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(4096)
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file; expected a file of rows") from None
    except IsADirectoryError:
        raise DataError(f"{file}: is a directory; expected a file of rows") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def _decoded(line: bytes) -> Any:
    try:
        return decode_line(line)
    except LineError as error:
        return error


# ------------------------------------------------------------------------------------------------ one JSON list


def _list_rows(file: Path, advance: Callable[[int], None]) -> Iterator[Found]:
    try:
        with file.open("rb") as stream:
            for number, item in enumerate(split_list(stream, str(file)), start=1):
                yield Found(f"{file}, item {number}", number, _decoded(item))
                advance(len(item) + 1)
    except LineError as error:
        raise DataError(f"{file}: {error}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'(?:[^"\[\]{}]++|' + _TEXT + rb")*+"
_FLAT_VALUE = rb"\{" + _FLAT + rb"\}|\[" + _FLAT + rb"\]"
_WITHIN = regex.compile(rb'(?:[^"\[\]{}]++|' + _TEXT + rb"|" + _FLAT_VALUE + rb")*+", flags=regex.DOTALL)
_BETWEEN = regex.compile(rb'(?:[^"\[\]{},]++|' + _TEXT + rb"|" + _FLAT_VALUE + rb")*+", flags=regex.DOTALL)
_BODY = regex.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', flags=regex.DOTALL)


def split_list(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The items of a JSON list, as bytes that are not decoded yet; only brackets, commas and texts are looked at.

    Raises:
        DataError: the list ends before its bracket, goes on after it, or an item is longer than a line may be.
    """
    scan = _Scan()
    item = bytearray()
    while chunk := stream.read(_CHUNK):
        begin = 0
        for place, what in scan.marks(chunk):
            item += chunk[begin:place]
            begin = place + 1
            if what == "item" or (what == "end" and (item.strip() or scan.items)):
                yield bytes(item)
            item.clear()
        item += chunk[begin:]
        if len(item) > MAX_LINE_BYTES:
            raise DataError(
                f"{name}: an item of the list is longer than {MAX_LINE_BYTES:,} bytes; is it a list of rows?"
            )
    if not scan.ended:
        raise DataError(f"{name}: the list has no end; expected ']': is the file cut off?")
    if item.strip():
        raise DataError(f"{name}: goes on after the list; expected one JSON list, or JSON Lines")


class _Scan:
    """Where the items of a JSON list begin and end, chunk by chunk."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_text = False
        self.escaped = False
        self.ended = False
        self.items = 0

    def marks(self, chunk: bytes) -> Iterator[tuple[int, str]]:
        """The places of the list's own bracket (``start``), its commas (``item``) and its end (``end``)."""
        place = self._text_goes_on(chunk)
        while place < len(chunk):
            if self.ended:
                return
            if self.depth:
                # All up to the next bracket that is not in a text, but for flat lists and objects; or the next comma.
                skipped = (_BETWEEN if self.depth == 1 else _WITHIN).match(chunk, place)
                assert skipped is not None  # it may be empty  # nosec B101 # a fact for the type checker
                place = skipped.end()
            else:
                place = chunk.find(b"[", place)
            if place in (-1, len(chunk)):
                return
            mark = chunk[place : place + 1]
            if mark == b'"':
                place = self._text_begins(chunk, place + 1)
                continue
            if mark in b"[{":
                self.depth += 1
                if self.depth == 1:
                    yield place, "start"
                if self.depth > _DEEPEST:
                    raise LineError("lists and objects are nested too deep to read; expected flatter data")
            elif mark == b",":
                if self.depth == 1:
                    self.items += 1
                    yield place, "item"
            elif self.depth > 1 or mark == b"]":  # a brace that closes nothing is told by the item's decoder
                self.depth -= 1
                if self.depth == 0:
                    self.ended = True
                    yield place, "end"
            place += 1

    def _text_begins(self, chunk: bytes, place: int) -> int:
        """Go over a text whose end is not in the chunk; all of the chunk is gone over then."""
        body = _BODY.match(chunk, place)
        assert body is not None  # nosec B101 # a fact for the type checker
        self.in_text = True
        self.escaped = body.end() < len(chunk)  # a backslash is the last byte
        return len(chunk)

    def _text_goes_on(self, chunk: bytes) -> int:
        """Go over the rest of a text that began in an earlier chunk; the place behind it."""
        if not self.in_text:
            return 0
        body = _BODY.match(chunk, int(self.escaped))
        assert body is not None  # nosec B101 # a fact for the type checker
        if chunk[body.end() : body.end() + 1] == b'"':
            self.in_text = self.escaped = False
            return int(body.end()) + 1
        self.escaped = body.end() < len(chunk)
        return len(chunk)


# ------------------------------------------------------------------------------------------------ Parquet


def _parquet_rows(file: Path, advance: Callable[[int], None]) -> Iterator[Found]:
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            f"{file}: is a Parquet file, and {error.name} is not installed; install the extra: "
            "pip install 'rubrics-to-tokens[train]', or convert it to JSON Lines"
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(file) as table:
            each = file.stat().st_size // max(1, table.metadata.num_rows)
            for batch in table.iter_batches(batch_size=_BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield Found(f"{file}, row {number}", number, value)
                    advance(each)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{file}: cannot be read as Parquet: {error}") from error
