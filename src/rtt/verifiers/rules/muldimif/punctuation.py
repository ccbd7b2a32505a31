"""How sentences, paragraphs, cells or the response end: ``muldimif:Content:Punctuation``."""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding
from rtt.verifiers.rules.muldimif.text import Account, cells, lines_of, trimmed
from rtt.verifiers.rules.text import sentences, stripped

Unit = Literal["response", "sentence", "paragraph", "cell", "bullet point"]
SIGNS = {"period": ".", "question mark": "?", "exclamation mark": "!", "semicolon": ";"}
_AVOIDED = re.compile(r"\b(must not|avoid|exclude|not end with|do not use)\b")
_FOLLOWED = re.compile(r"(period|question mark|exclamation mark|semicolon)\s+followed by a `([^`]+)`")
_NAMED = re.compile(r"\b(period|question mark|exclamation mark|semicolon|punctuation mark)s?\b")
_POINT = re.compile(r"^[-*•]\s.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ending:
    """What ``Content:Punctuation`` reads in a constraint.

    Attributes:
        unit: what must end so.
        signs: the signs; at the end one of them must, or must not, stand.
        suffix: several characters that must stand at the end.
        avoided: whether the signs must not stand there.
    """

    unit: Unit
    signs: frozenset[str]
    suffix: str | None = None
    avoided: bool = False

    def in_words(self) -> str:
        """The reading."""
        if self.suffix is not None:
            return f"each {self.unit} ends with {self.suffix!r}"
        signs = "punctuation" if len(self.signs) > len(SIGNS) else " or ".join(map(repr, sorted(self.signs)))
        return f"each {self.unit} {'does not end' if self.avoided else 'ends'} with {signs or 'no sign that is known'}"


@functools.lru_cache(maxsize=4096)
def read(constraint: str) -> Ending:
    """What the checker reads in a constraint."""
    plain = constraint.strip().lower().rstrip(".")
    every = frozenset(string.punctuation)
    if "bullet point" in plain:
        first = next((sign for name, sign in SIGNS.items() if name in plain), None)
        return Ending("bullet point", every if first is None else frozenset(first))
    unit: Unit = "response"
    if "table" in plain or "cell" in plain:
        unit = "cell"
    elif "paragraph" in plain or "section" in plain:
        unit = "paragraph"
    elif any(word in plain for word in ("each", "any", "all")):
        unit = "sentence"
    avoided = _AVOIDED.search(plain) is not None
    followed = _FOLLOWED.search(plain)
    if followed is not None:
        return Ending(unit, frozenset(), SIGNS[followed[1]] + followed[2], avoided)
    names = _NAMED.findall(plain)
    signs = every if "punctuation mark" in names else frozenset(SIGNS[name] for name in names)
    return Ending(unit, signs, avoided=avoided)


def punctuation(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """What the constraint's text names ends with the sign it names, or does not.

    Official behaviour: "table" or "cell" in the constraint means cells (without the first two lines of the response, if
    it has more than one, and prose is a cell too), "paragraph" or "section" means lines, "each", "any" or "all"
    (within words too: "finally") sentences, "bullet point" the sentences of bullet points; else the whole response
    counts. Where there are none of these, it is met; a blank response is met if the constraint forbids. The last
    character counts: 'Hello."' does not end with a period. If no sign is read, nothing ends as asked.

    Evidence, satisfied: the signs at the ends support; where they are forbidden, the whole response. Violated: each
    piece that does not end so violates; where the sign is forbidden, the sign.
    """
    reading = read(arguments.text)
    account = Account(reading.in_words())
    start, end = stripped(text)
    if start == end and reading.unit == "response":
        if not reading.avoided:
            account.lacks("the response is empty")
        return account.finding()
    size = 1 if reading.suffix is None else len(reading.suffix)
    for piece in _UNITS[reading.unit](text, (start, end), deadline):
        place = (max(piece[0], piece[1] - size), piece[1])
        if reading.suffix is not None:
            good = text.endswith(reading.suffix, *piece)
        else:
            good = (text[slice(*place)] in reading.signs) != reading.avoided
        if good:
            account.support += [] if reading.avoided and reading.suffix is None else [place]
        else:
            account.offends("", [place if reading.avoided and reading.suffix is None else piece])
    if account.broken:
        account.broken = [f"{len(account.broken)} do not"]
    return account.finding()


def _lines(text: str, within: Bounds) -> list[Bounds]:
    return [(within[0] + start, within[0] + end) for start, end in lines_of(text[slice(*within)])]


def _paragraphs(text: str, within: Bounds, deadline: Deadline) -> list[Bounds]:
    return [bounds for bounds in (trimmed(text, line) for line in _lines(text, within)) if bounds[0] < bounds[1]]


def _sentences(text: str, within: Bounds, deadline: Deadline) -> list[Bounds]:
    found = sentences(text[slice(*within)], deadline)
    return [(within[0] + start, within[0] + end) for start, end in found]


def _cells(text: str, within: Bounds, deadline: Deadline) -> list[Bounds]:
    rows = _lines(text, within)
    found = [trimmed(text, cell) for row in (rows[2:] if len(rows) > 1 else rows) for cell in cells(text, row)]
    return [(start, end) for start, end in found if text[start:end].strip("-")]


def _points(text: str, within: Bounds, deadline: Deadline) -> list[Bounds]:
    found: list[Bounds] = []
    for point in _POINT.finditer(text[slice(*within)]):
        deadline.remaining()
        place = (within[0] + point.start(), within[0] + point.end())
        found += (trimmed(text, sentence) for sentence in _sentences(text, place, deadline))
    return found


def _whole(text: str, within: Bounds, deadline: Deadline) -> list[Bounds]:
    return [within]


_UNITS: dict[Unit, Callable[[str, Bounds, Deadline], list[Bounds]]] = {
    "response": _whole,
    "sentence": _sentences,
    "paragraph": _paragraphs,
    "cell": _cells,
    "bullet point": _points,
}
