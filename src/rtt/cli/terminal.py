"""The terminal: what the commands share to show text from elsewhere, verdicts and progress."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtt.errors import DataError
from rtt.verdicts import Outcome

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

SIGNS = {Outcome.SATISFIED: "✓", Outcome.VIOLATED: "✗", Outcome.UNDETERMINED: "?"}


def visible(text: str) -> str:
    """The text with every character that commands a terminal, or turns its direction, shown as a sign instead.

    Line ends and tabs stay. The result is as long as the text, so spans keep their place.
    """
    return text.translate(_VISIBLE)


_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),  # C1: some terminals obey them
    **dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)], "\ufffd"),  # direction
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),  # half a surrogate pair cannot be printed
}


def quoted(text: str, width: int = 24) -> str:
    """The text on one line, as :func:`visible`, its middle left out where it is longer than ``width`` characters."""
    words = visible(text.replace("\n", "⏎").replace("\t", " "))
    half = width // 2
    return words if len(words) <= width else f"{words[:half]}…{words[-half + 1 :]}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 response", "1,200 responses", "2 criteria"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def console(*, stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no colours but those that are asked for."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def progress_bar(where: Console, label: str, *files: Path, drawn: bool = True) -> Progress:
    """A bar over the bytes of files, at 0 and not drawn yet; its one task has the id 0. ``-`` is of unknown size."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    progress = Progress(*columns, console=where, transient=True, disable=not drawn)
    progress.add_task(label, total=None if "-" in map(str, files) else sum(map(os.path.getsize, files)))
    return progress


@contextlib.contextmanager
def reading(where: Console, label: str, files: Sequence[Path]) -> Iterator[Callable[[int], None]]:
    """A :func:`progress_bar` over files, drawn where somebody watches; gives what advances it by so many bytes."""
    from rich.progress import TaskID

    drawn = where.is_terminal and sys.stderr.isatty()  # colours may be forced where nobody watches
    with progress_bar(where, label, *files, drawn=drawn) as bars:
        yield lambda count: bars.advance(TaskID(0), count)


def count_bars(where: Console) -> Progress:
    """Bars over things that are counted, each with its description; nothing is drawn where there is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=where, transient=True, disable=not where.is_terminal)


def print_table(where: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column holds names and the others numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        # Where the terminal is narrow, names break, numbers never.
        table.add_column(head, justify="right" if place else "left", no_wrap=place > 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    where.print(table)


def shortened(value: object) -> str:
    """A value that came, for a message: as Python writes it, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def refuse_overwriting(out: Path | None, *given: Path) -> None:
    """Refuse to write over a file that is read.

    Raises:
        DataError: ``out`` is one of the ``given`` files.
    """
    for file in given:
        if out is not None and out.exists() and file.exists() and out.samefile(file):
            raise DataError(f"--out {out}: is the file that is read; expected another one")
