"""What the checkers of MulDimIF share: numbers in words, quoted keywords, pieces of a response with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rtt.errors import VerifierError
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, present, whole
from rtt.verifiers.rules.ifeval.layout import MAX_DEPTH, nesting
from rtt.verifiers.rules.text import NOT_BLANK_RUN, stripped

UNITS = dict(
    zip(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], range(1, 11), strict=True)
)
TEENS = {
    word: number
    for number, word in enumerate(
        ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"],
        start=11,
    )
}
TENS = {
    word: 10 * number
    for number, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"], start=2
    )
}
UP_TO_HUNDRED = {**UNITS, **TEENS, **TENS}


def one_of(words: Iterable[str]) -> str:
    """A group that matches digits or one of the words."""
    return rf"(\d+|{'|'.join(words)})"


def number_in(words: str, known: dict[str, int]) -> int | None:
    """The number that is written in digits ("3,500") or in words ("twenty-five", "two hundred").

    None where a word is not known.
    """
    plain = words.strip().replace(",", "")
    if plain.isdigit():
        return int(plain)
    total = current = 0
    for word in re.split(r"[\s-]+", plain.strip().lower()):
        if word not in known:
            return None
        if known[word] >= 100:
            total += (current or 1) * known[word]
            current = 0
        else:
            current += known[word]
    return total + current


# --------------------------------------------------------------------------------------------------- pieces of a text


class Piece(NamedTuple):
    """A piece of the response: what a checker takes it for, and where it lies (None: nowhere in particular)."""

    text: str
    bounds: Bounds | None


def lines_of(text: str) -> Iterator[Bounds]:
    r"""Where the lines lie, without their ``\n``."""
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line)
        start += len(line) + 1


def trimmed(text: str, bounds: Bounds) -> Bounds:
    """The bounds without blanks at either end."""
    start, end = stripped(text[slice(*bounds)])
    return bounds[0] + start, bounds[0] + end


def piece(text: str, bounds: Bounds) -> Piece:
    """The piece between these bounds, without blanks at either end."""
    start, end = trimmed(text, bounds)
    return Piece(text[start:end], (start, end))


def cells(text: str, bounds: Bounds) -> list[Bounds]:
    """What lies between the bars of a line, blanks included."""
    found: list[Bounds] = []
    start = bounds[0]
    for cell in text[slice(*bounds)].split("|"):
        found.append((start, start + len(cell)))
        start += len(cell) + 1
    return found


_NUMBERED = re.compile(r"\s*\d+\.\s+")
_BULLET = re.compile(r"\s*[-*] ")


def layout(text: str) -> str:
    """What the checkers that look at "each" element take a response for: json, table, numbered, bullet or plain."""
    if text.lstrip()[:1] in ("{", "["):
        return "json"
    for start, end in lines_of(text):
        bar = end - len(text[start:end].lstrip())
        if text.startswith("|", bar, end) and text.rfind("|", bar, end) >= bar + 2:
            return "table"
    if _NUMBERED.match(text):
        return "numbered"
    return "bullet" if _BULLET.match(text) else "plain"


def parsed(text: str) -> Any:
    """The JSON value that the text is.

    Raises:
        JSONDecodeError: it is none.
        VerifierError: the official checker stops with an error: too deep, or a number with too many digits.
    """
    if nesting(text) > MAX_DEPTH:
        raise VerifierError(f"lists and objects are nested more than {MAX_DEPTH} deep; the parser cannot follow")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise VerifierError(f"the official checker cannot read a number in it and fails: {error}") from None


def items(text: str, kind: str) -> Iterator[Bounds]:
    """The lines of a numbered or bulleted list: all that follows the first dot, or the first blank."""
    marker, pattern = (".", _NUMBERED) if kind == "numbered" else (" ", _BULLET)
    for start, end in lines_of(text):
        if pattern.match(text[start:end]):
            yield text.index(marker, start, end) + 1, end


# ------------------------------------------------------------------------------------------------------------ keywords


def keyword_pattern(keyword: str) -> re.Pattern[str]:
    """Chinese keywords as they are, anywhere; others as whole words, in any case."""
    if any("\u4e00" <= character <= "\u9fff" for character in keyword):
        return re.compile(re.escape(keyword))
    return re.compile(rf"(?<!\w){re.escape(keyword)}(?!\w)", re.IGNORECASE)


def occurrences(keyword: str, text: str, deadline: Deadline, start: int = 0) -> list[Bounds]:
    """Where a keyword occurs, moved by ``start``."""
    found: list[Bounds] = []
    for match in keyword_pattern(keyword).finditer(text):
        found.append((start + match.start(), start + match.end()))
        if len(found) % 1000 == 0:
            deadline.remaining()
    return found


def surplus_words(text: str, bounds: Bounds, number: int) -> list[Bounds]:
    """The words after the n-th, as one piece."""
    start = end = -1
    for place, word in enumerate(NOT_BLANK_RUN.finditer(text, *bounds), start=1):
        if place == number + 1:
            start = word.start()
        end = word.end()
    return [(start, end)] if start >= 0 else []


# ------------------------------------------------------------------------------------------------------------ findings


@dataclass(slots=True)
class Account:
    """What the conditions of one constraint found: the constraint is met if none of them is broken.

    Attributes:
        reading: how the constraint was read.
        support: what there is of what was asked for.
        against: what should not be there.
        broken: each broken condition, in words.
        lacking: something that was asked for is not there.
    """

    reading: str
    support: list[Bounds] = field(default_factory=list)
    against: list[Bounds] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lacking: bool = False

    def lacks(self, what: str, progress: Iterable[Bounds] = ()) -> None:
        """Something is not there; ``progress`` is what there is of it."""
        self.broken.append(what)
        self.support += progress
        self.lacking = True

    def offends(self, what: str, where: Iterable[Bounds] = ()) -> None:
        """Something should not be there."""
        self.broken.append(what)
        self.against += where

    def finding(self) -> Finding:
        """All of it together. What should not be there is shown before what is missing."""
        reason = "; ".join([f"read as: {self.reading}", *self.broken])
        if not self.broken:
            return present(self.support, reason)
        if self.against or not self.lacking:
            return offending(self.against, reason, missing=self.lacking)
        return absent(reason, self.support)


def unread(passes: bool, what: str) -> Finding:
    """The constraint says nothing that its official checker can read, so that every response gets the same verdict."""
    outcome = "lets every response pass" if passes else "lets no response pass"
    return whole(passes, f"the official checker reads no {what} in this constraint and {outcome}")
