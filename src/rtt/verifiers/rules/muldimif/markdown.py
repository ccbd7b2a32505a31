"""Headings, and whether there are bold text, bullet points and block quotes: ``muldimif:Format:Markdown``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import NamedTuple

from rtt.errors import VerifierError
from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding
from rtt.verifiers.rules.muldimif.text import UNITS, Account, lines_of, trimmed, unread

_N = rf"(\b(?:{'|'.join(UNITS)}|\d+)\b)"


class Heading(NamedTuple):
    """A line of ``#``, a blank and the heading's content."""

    level: int
    content: str
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a constraint asks of the headings.

    Attributes:
        kind: what is asked for, in words; see ``_holds``.
        levels: of which levels.
        count: how many levels.
        content: of the heading.
    """

    kind: str
    levels: frozenset[int] = frozenset()
    count: int = 0
    content: str = ""

    def in_words(self) -> str:
        """The request in words."""
        levels = "/".join(map(str, sorted(self.levels)))
        number = str(self.count) if self.count else ""
        title = repr(self.content) if self.content else ""
        return " ".join(part for part in (self.kind, levels, number, title) if part)


ALL_LEVELS, SOME, ANY = "headings of each of the levels", "a heading of level", "a heading"
QUESTIONS, ONE, TITLED = "questions only in headings of level", "one heading of level", "a heading with this content:"
AT_LEAST, AT_MOST, EXACTLY = "levels at least", "levels at most", "levels exactly"
DEEPEST, FIRST = "no level below", "the first heading has level"


@dataclass(frozen=True, slots=True)
class MarkdownReading:
    """What ``Format:Markdown`` reads in a constraint.

    Attributes:
        quotes: block quotes: at least so many lines; 0: every line; None: not asked for.
        bold, bullets: whether there must be some.
        asked: of the headings.
        each: whether each heading alone must meet all of it.
    """

    quotes: int | None
    bold: bool
    bullets: bool
    asked: tuple[Asked, ...]
    each: bool

    def in_words(self) -> str:
        """The reading; empty if nothing could be read."""
        parts = [] if self.quotes is None else ["every line is quoted" if not self.quotes else f"quoted: {self.quotes}"]
        parts += ["bold text"] * self.bold + ["bullet points"] * self.bullets
        parts += ["each heading alone:" if self.asked else "a heading"] * self.each
        return ", ".join(parts + [asked.in_words() for asked in self.asked])


@functools.lru_cache(maxsize=4096)
def read(constraint: str) -> MarkdownReading:
    """What the checker reads in a constraint.

    Raises:
        VerifierError: the official checker stops with an error at this constraint.
    """
    lower = constraint.lower()
    asked = [found for clause in re.split(r"\b,\b", constraint) if (found := _asked(clause, constraint, lower))]
    return MarkdownReading(
        quotes=_quotes(constraint, lower) if "block quotes" in lower else None,
        bold="bold" in lower,
        bullets="bullet points" in lower,
        asked=tuple(asked),
        each="each" in lower or "any" in lower,
    )


def _quotes(constraint: str, lower: str) -> int:
    if "at least" in lower:
        found = re.search(_N + " block quotes", constraint, re.IGNORECASE)
        if found is None:
            raise VerifierError("the official checker finds no number of block quotes in this constraint and fails")
        # None are asked for: the least is then no condition.
        return _number(found[1]) or -1
    phrases = (
        "use block quotes",
        "using block quotes",
        "include a block quote",
        "using markdown block quotes",
        "employ block quotes",
        "present the headline as a block quote",
    )
    return 1 if any(phrase in lower for phrase in phrases) else 0


def _number(word: str) -> int:
    return int(word) if word.isdigit() else UNITS[word.lower()]


_TWO_LEVELS = (
    re.compile(rf"use heading levels {_N} and {_N}", re.IGNORECASE),
    re.compile(rf"use heading levels.*?level\s*{_N}.*?level\s*{_N}", re.IGNORECASE),
)
_LEVELS = tuple(
    re.compile(source, re.IGNORECASE) for source in (rf"a heading level {_N}", r"H(\d+)", rf"Level {_N} for")
)
_WITH_CONTENT = (
    re.compile(rf"level {_N} heading titled [\"'](.*?)[\"']", re.IGNORECASE),
    re.compile(
        rf"(?:a|at least one|{'|'.join([*UNITS][1:])}|\d+) level {_N} heading with the text [\"'](.*?)[\"']",
        re.IGNORECASE,
    ),
)
_VERB = re.compile("include|including|use|using|formatted|presented|organized|structured|feature|should be|incorporate")
_ONE_LEVEL = (
    re.compile(rf"(?:a|at least \d+) heading level {_N}"),
    re.compile(rf"(?:a|at least one|{'|'.join([*UNITS][1:])}|\d+) level {_N} heading"),
    re.compile(r"must use a heading level of h(\d+)"),
)
_COUNTED = tuple(
    re.compile(rf"(at least|at most|exactly|up to|a maximum of|under) {_N} {noun}")
    for noun in ("heading levels?", "levels?")
)
_DEEPEST = re.compile(rf" must (?:not exceed|be limited to)\s+(?:level\s+)?{_N}")
_FIRST = re.compile(rf"must begin with a level {_N} heading")
_USED = re.compile(rf"use heading level {_N}")
_ANY = (
    "include headings",
    "includes headings",
    "use heading levels",
    "using heading levels",
    "presented under a separate heading",
    "separated with headings",
    "with headings",
)
_POINTS = (
    "format the response using Markdown, employing '##' for main points and '###' for subpoints to clearly organize "
    "the information"
)


def _asked(clause: str, constraint: str, lower: str) -> Asked | None:
    return _known(constraint, lower) or _of_levels(clause) or _of_one(clause, lower)


def _known(constraint: str, lower: str) -> Asked | None:
    """Wordings that the official checker knows by heart."""
    two = "include headings at two levels"
    if f"{two}: main and subheadings" in lower or "be structured with a main heading and subheadings" in lower:
        return Asked(ALL_LEVELS, frozenset({1, 2}))
    if constraint == "Questions must be organized under a level 2 heading.":
        return Asked(QUESTIONS, frozenset({2}))
    if "include a single level 1 heading" in lower:
        return Asked(ONE, frozenset({1}))
    if "be structured using a minimum of two heading levels" in lower or two in lower:
        return Asked(AT_LEAST, count=2)
    return Asked(ALL_LEVELS, frozenset({2, 3})) if constraint == _POINTS else None


def _first(patterns: tuple[re.Pattern[str], ...], clause: str) -> re.Match[str] | None:
    return next((found for pattern in patterns if (found := pattern.search(clause))), None)


def _of_levels(clause: str) -> Asked | None:
    found = _first(_TWO_LEVELS, clause)
    if found is not None:
        return Asked(ALL_LEVELS, frozenset({_number(found[1]), _number(found[2])}))
    levels = next((numbers for pattern in _LEVELS if (numbers := pattern.findall(clause))), [])
    if levels and ("must include" in clause or "should" in clause):
        return Asked(ALL_LEVELS, frozenset(map(_number, levels)))
    if "titled" in clause:
        found = _first(_WITH_CONTENT, clause.strip().rstrip("."))
        if found is not None:
            return Asked(TITLED, frozenset({_number(found[1])}), content=found[2])
    return None


def _of_one(clause: str, lower: str) -> Asked | None:
    plain = clause.strip().rstrip(".") if "titled" in clause else clause
    plain = plain.strip().lower().rstrip(".")
    if _VERB.search(plain):
        found = _first(_ONE_LEVEL, plain)
        if found is not None:
            return Asked(SOME, frozenset({_number(found[1])}))
        found = _first(_COUNTED, plain)
        if found is not None:
            kind = {"at least": AT_LEAST, "exactly": EXACTLY}.get(found[1], AT_MOST)
            return Asked(kind, count=_number(found[2]))
    for pattern, kind in ((_DEEPEST, DEEPEST), (_FIRST, FIRST), (_USED, SOME)):
        found = pattern.search(plain)
        if found is not None:
            return Asked(kind, frozenset({_number(found[1])}))
    return Asked(ANY) if any(phrase in lower for phrase in _ANY) else None


def headings(text: str) -> list[Heading]:
    """The headings of a text. Lines of code that begin with ``#`` are headings too."""
    found: list[Heading] = []
    for bounds in lines_of(text):
        start, end = trimmed(text, bounds)
        line = text[start:end]
        content = line.lstrip("#")
        level = len(line) - len(content)
        if level and content[:1].isspace():
            found.append(Heading(level, content.strip(), (start, end)))
    return found


def markdown(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response has the headings, and the other Markdown, that the constraint's text asks for.

    Official behaviour: a heading is a line that begins with ``#`` and a blank, in code too. Constraints that are not
    read let every response pass ("Use markdown"), "each" or "any" in the constraint (within words too: "company") asks
    for a heading at least, and that each alone meets all that was read ("each ... at least two levels" cannot be met).
    Bold text and bullet points must occur once. Block quotes: at least n lines that begin with ``>``, or one, or, where
    the wording is none of the known ones, all, blank lines included.

    Evidence: the headings asked for support, those on other levels violate; what is not there is missing.
    """
    reading = read(arguments.text)
    account = Account(reading.in_words())
    if not account.reading:
        return unread(True, "request")
    _others(account, reading, text)
    found = headings(text)
    if reading.each:
        if not found:
            account.lacks("no headings")
        for heading in found:
            for asked in reading.asked:
                _holds(account, asked, [heading])
            account.support += [] if reading.asked else [heading.bounds]
    else:
        for asked in reading.asked:
            _holds(account, asked, found)
    account.broken = list(dict.fromkeys(account.broken))
    return account.finding()


def _others(account: Account, reading: MarkdownReading, text: str) -> None:
    lines = list(lines_of(text))
    if reading.quotes is not None:
        quoted = [bounds for bounds in lines if text[slice(*bounds)].lstrip().startswith(">")]
        account.support += [trimmed(text, bounds) for bounds in quoted]
        if reading.quotes and len(quoted) < reading.quotes:
            account.lacks(f"{len(quoted)} lines are quoted")
        elif not reading.quotes and len(quoted) != len(lines):
            account.lacks(f"{len(lines) - len(quoted)} of {len(lines)} lines are not quoted")
    if reading.bold:
        bold = [match.span() for match in re.finditer(r"\*\*.*?\*\*|__.*?__", text)]
        account.support += bold
        if not bold:
            account.lacks("no bold text")
    if reading.bullets:
        points = [bounds for bounds in lines if re.match(r"\s*[-*+]\s", text[slice(*bounds)])]
        account.support += points
        if not points:
            account.lacks("no bullet points")


def _holds(account: Account, asked: Asked, found: list[Heading]) -> None:
    """Whether the headings meet one request."""
    kind, levels = asked.kind, asked.levels
    at = [heading for heading in found if heading.level in levels]
    places = [heading.bounds for heading in found]
    here = [heading.bounds for heading in at]
    if kind in (AT_LEAST, AT_MOST, EXACTLY):
        _count(account, asked, found)
    elif not found:
        account.lacks(f"no headings, expected {asked.in_words()}")
    elif kind == ANY:
        account.support += places
    elif kind == SOME:
        account.support += here
        if not at:
            account.lacks(f"no heading of level {max(levels)}")
    elif kind == ALL_LEVELS:
        account.support += here
        if missing := levels - {heading.level for heading in at}:
            account.lacks(f"no headings of level {'/'.join(map(str, sorted(missing)))}")
    elif kind == TITLED:
        titled = [heading.bounds for heading in at if heading.content == asked.content]
        account.support += titled
        if not titled:
            account.lacks(f"no heading {asked.content!r} of level {max(levels)}")
    elif kind == QUESTIONS:
        wrong = [heading.bounds for heading in found if "?" in heading.content and heading.level not in levels]
        account.support += here
        if wrong:
            account.offends("questions in other headings", wrong)
    elif kind == ONE:
        account.support += here
        if len(at) > 1:
            account.offends(f"{len(at)} headings of level {max(levels)}", here[1:])
        elif not at:
            account.lacks(f"no heading of level {max(levels)}")
    elif kind == DEEPEST:
        deep = [heading.bounds for heading in found if heading.level > max(levels)]
        account.support += [] if deep else places
        if deep:
            account.offends(f"{len(deep)} headings of lower levels", deep)
    elif found[0].level in levels:
        account.support.append(found[0].bounds)
    else:
        account.offends(f"the first heading has level {found[0].level}", [found[0].bounds])


def _count(account: Account, asked: Asked, found: list[Heading]) -> None:
    order = list(dict.fromkeys(heading.level for heading in found))
    places = [heading.bounds for heading in found]
    if asked.kind != AT_MOST and len(order) < asked.count:
        account.lacks(f"{len(order)} levels", places)
    elif asked.kind != AT_LEAST and len(order) > asked.count:
        surplus = order[asked.count :]
        account.offends(f"{len(order)} levels", [heading.bounds for heading in found if heading.level in surplus])
    elif asked.kind != AT_MOST:
        account.support += places
