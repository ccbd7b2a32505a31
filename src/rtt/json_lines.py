"""Lines of JSON, read strictly and written whole; each refusal says its place.

    read_lines     file  -> (number, bytes) of each line that is not blank
    decode_line    bytes -> the JSON value; keys are unique, numbers finite, text valid UTF-8
    write_lines    lines -> a file that appears whole or not at all

The reader of a particular file (tasks, responses) gives the value its meaning and puts ``file:line`` before a
:class:`LineError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from rtt.errors import DataError

MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest line that is read, in bytes. A longer one is a file of another kind."""

_OTHER_KINDS = {
    b"\x1f\x8b": "is gzip-compressed; expected plain JSON Lines in UTF-8: unpack it first",
    b"PK\x03\x04": "is a zip archive; expected plain JSON Lines in UTF-8: unpack it first",
    b"PAR1": "is a Parquet file; expected JSON Lines in UTF-8: convert it first",
    b"\xff\xfe": "is encoded in UTF-16; expected UTF-8: convert it first (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "is encoded in UTF-16; expected UTF-8: convert it first (iconv -f UTF-16 -t UTF-8)",
}


class LineError(DataError):
    """What is wrong with one line; each of ``problems`` opens with the path of its field or the column."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_lines(file: Path, refusal: type[DataError] = DataError) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1, without line ends (LF or CRLF).

    A byte order mark at the start is skipped.

    Raises:
        refusal: the file cannot be read, is of another kind, or has a line of more than ``MAX_LINE_BYTES`` bytes.
    """
    try:
        with open(file, "rb") as stream:
            yield from number_lines(stream, str(file), refusal)
    except FileNotFoundError:
        raise refusal(f"{file}: there is no such file; expected a file of JSON Lines") from None
    except IsADirectoryError:
        raise refusal(f"{file}: is a directory; expected a file of JSON Lines") from None
    except OSError as error:
        raise refusal(f"{file}: cannot be read: {error.strerror or error}") from error


def number_lines(stream: BinaryIO, name: str, refusal: type[DataError] = DataError) -> Iterator[tuple[int, bytes]]:
    """As :func:`read_lines`, for bytes that are open already; ``name`` stands for the file in messages."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 2):  # room for the line's end
        number += 1
        if number == 1:
            for magic, kind in _OTHER_KINDS.items():
                if line.startswith(magic):
                    raise refusal(f"{name}: {kind}")
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            raise refusal(
                f"{name}:{number}: the line is longer than {MAX_LINE_BYTES:,} bytes; expected one JSON object a line: "
                "is this a file of JSON Lines, and does each object end with a line end?"
            )
        if line.strip():
            yield number, line


def decode_line(line: bytes) -> Any:
    """The JSON value of one line.

    Raises:
        LineError: the line is not UTF-8 or not JSON, repeats a key within an object, holds NaN or Infinity, or is
            nested too deep; the message says at which byte or column.
    """
    if (nul := line.find(b"\0")) >= 0:
        raise LineError(f"byte {nul + 1} of the line is NUL; expected UTF-8 text: is the file damaged, or binary?")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise LineError(
            f"byte {error.start + 1} of the line (0x{line[error.start]:02x}) is not UTF-8; "
            "expected a file encoded in UTF-8: convert it first (iconv -t UTF-8)"
        ) from None
    return decode_text(text)


def decode_text(text: str) -> Any:
    """As :func:`decode_line`, for a line that is text already."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - 20) : error.pos + 20]
        raise LineError(f"column {error.pos + 1}: not JSON ({error.msg}), near {near!r}; mend the line") from None
    except RecursionError:
        raise LineError("lists and objects are nested too deep to read; expected flatter data") from None
    except LineError:
        raise
    except ValueError:  # Python's limit on the digits of an integer, against quadratic time
        raise LineError("holds a whole number of thousands of digits; expected numbers of a usual size") from None


@contextlib.contextmanager
def write_lines(path: Path, refusal: type[DataError] = DataError) -> Iterator[Callable[[str], None]]:
    """A writer of lines into a file that appears whole, or after an error not at all.

    The lines go to a file of another name beside it, which is flushed to disk and renamed in the end. A file that is
    there already is replaced then; a symbolic link keeps its target's place.

    Raises:
        refusal: the path is no place for a file, or the disk refuses. What was there before is left as it was.
    """
    file = Path(os.path.realpath(path))
    if file.exists() and not file.is_file():
        raise refusal(f"{path}: is not a regular file; expected the path of a file to write")
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")

    def cannot(error: OSError) -> DataError:
        return refusal(f"{path}: cannot be written: {error.strerror or error}")

    try:
        stream = open(beside, "xb")  # noqa: SIM115 - closed below, before the rename
    except OSError as error:
        raise cannot(error) from error

    def write(line: str) -> None:
        try:
            stream.write(line.encode() + b"\n")
        except OSError as error:
            raise cannot(error) from error

    try:
        with stream:
            yield write
            try:
                stream.flush()
                os.fsync(stream.fileno())
            except OSError as error:
                raise cannot(error) from error
        try:
            os.replace(beside, file)
        except OSError as error:
            raise cannot(error) from error
    finally:
        beside.unlink(missing_ok=True)


def _no_constant(name: str) -> NoReturn:
    raise LineError(f"got {name}, which JSON does not have; expected a finite number")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise LineError(f"keys repeat in one object: {repeated}; expected each key once")
    return known
