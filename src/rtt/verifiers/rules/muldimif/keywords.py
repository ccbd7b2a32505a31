"""Words that must, or must not, occur: ``muldimif:Content:Keywords``."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rtt.errors import VerifierError
from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent
from rtt.verifiers.rules.muldimif.text import (
    UNITS,
    Account,
    Piece,
    cells,
    items,
    layout,
    lines_of,
    number_in,
    occurrences,
    one_of,
    parsed,
    piece,
    surplus_words,
    trimmed,
    unread,
)
from rtt.verifiers.rules.text import NOT_BLANK_RUN

NUMBERS = {**UNITS, "once": 1, "twice": 2}


@dataclass(frozen=True, slots=True)
class Condition:
    """What ``Content:Keywords`` reads in a constraint, for the response or for each element of it.

    Attributes:
        keywords: what is looked for.
        count: how often each must occur.
        excluded: it must not occur at all.
        one_of: one of them is enough.
        period: the text ends with a period.
        capitalised: each word has a capital first.
        least, most: how many words it may have.
    """

    keywords: tuple[str, ...] = ()
    count: int = 1
    excluded: bool = False
    one_of: bool = False
    period: bool = False
    capitalised: bool = False
    least: int = 0
    most: int | None = None

    def in_words(self) -> str:
        """The reading; empty if nothing could be read, which everything meets."""
        parts: list[str] = []
        if self.keywords:
            names = (" or " if self.one_of else ", ").join(map(repr, self.keywords))
            often = f" at least {self.count} times" if self.count != 1 else ""
            parts.append(f"without {names}" if self.excluded else names + often)
        elif self.one_of and not self.excluded:
            parts.append("one of no keywords")
        parts += ["ends with a period"] * self.period + ["each word has a capital first"] * self.capitalised
        parts += [f"at least {self.least} words"] * (self.least > 0)
        return ", ".join(parts + ([] if self.most is None else [f"at most {self.most} words"]))


@dataclass(frozen=True, slots=True)
class Each:
    """A condition on each of something; ``target`` chooses the column of a table."""

    target: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """The one keyword is there and the other is not, letter by letter, within words too."""

    included: str
    avoided: str


@dataclass(frozen=True, slots=True)
class Conditional:
    """Pairs of what the response may discuss, each in several wordings, and the keyword that it must then have."""

    pairs: tuple[tuple[tuple[str, ...], str], ...]


Reading = Condition | Each | Both | Conditional
_QUOTED = r"[\"']([^\"']+)[\"']"
_EACH = re.compile(r"\b(?:each|every)\s+(.+?)\s+(?:must|should|needs to|has to)\s+(.*)", re.IGNORECASE)
_INCLUDES = re.compile(rf"includes?\s+the\s+keyword\s+{_QUOTED}", re.IGNORECASE)
_AVOIDS = re.compile(rf"avoids?\s+the\s+keyword\s+{_QUOTED}", re.IGNORECASE)
_DISCUSSING = re.compile(rf"If discussing\s+([^,]+),\s*the summary must include the keyword\s+{_QUOTED}", re.IGNORECASE)
_LEAST = re.compile(r"(?:at\s+least|minimum\s+of)\s+(\S+)\s+word", re.IGNORECASE)
_MOST = re.compile(r"(?:not\s+exceed|at\s+most|no\s+more\s+than|maximum\s+of)\s+(\S+)\s+word", re.IGNORECASE)
_COUNT = re.compile(rf"at least {one_of(NUMBERS)}(?:\s+times?)?\b(?!\s+words\s+long)", re.IGNORECASE)
_TWICE_QUOTED = re.compile(r"[\"”]{2}([^\"“]+)[\"“]{2}")
_ONCE_QUOTED = re.compile(r"[\"'「“]([^\"']+)[\"'」”]")


@functools.lru_cache(maxsize=4096)
def read(constraint: str) -> Reading | None:
    """What the checker reads in a constraint; None if it says "each" and no condition follows.

    Raises:
        VerifierError: the official checker stops with an error at this constraint.
    """
    if re.search(r"\b(?:each|every)\b", constraint, re.IGNORECASE) and "for each word" not in constraint:
        found = _EACH.search(constraint)
        return None if found is None else Each(found[1].lower(), _condition(found[2]))
    included, avoided = _INCLUDES.search(constraint), _AVOIDS.search(constraint)
    if included is not None and avoided is not None:
        return Both(included[1], avoided[1])
    discussed = _DISCUSSING.findall(constraint)
    if discussed:
        return Conditional(tuple((_wordings(topic), keyword) for topic, keyword in discussed))
    return _condition(constraint)


def _wordings(topic: str) -> tuple[str, ...]:
    """ "housing/property laws" is "housing laws" or "property laws", where words stand on both sides."""
    if "/" not in topic:
        return (topic,)
    found = re.match(r"^(.*\s)(\S+)/(\S+)(\s.*)$", topic)
    if found is None:
        return tuple(part.strip() for part in topic.split("/"))
    before, first, second, behind = found.groups()
    return before + first + behind, before + second + behind


def _condition(constraint: str) -> Condition:
    plain = constraint.strip()
    quoted = re.fullmatch(r'"+(.*[^"])"+', plain)
    plain = plain if quoted is None else quoted[1]

    def says(pattern: str) -> bool:
        return re.search(pattern, plain, re.IGNORECASE) is not None

    single = says(r"is\s+a\s+single\s+word")
    least, most = _words(_LEAST, plain, single), _words(_MOST, plain, single)
    form = {
        "period": says(r"must\s+end\s+with\s+(a\s+)?period"),
        "capitalised": says(r"must\s+use\s+capitalized\s+letters\s+for\s+each\s+word"),
    }
    if says(r"avoid\s+using\s+(the\s+)?term|must\s+be\s+avoided"):
        found = re.search(_QUOTED, plain)
        keywords = () if found is None else (found[1],)
        return Condition(keywords, excluded=found is not None, least=least or 0, most=most, **form)
    count = 1
    often = _COUNT.search(plain)
    if often is not None:
        word = often[1].lower()
        count = int(word) if word.isdigit() else NUMBERS[word]
    if says("must appear multiple times"):
        count = 2
    names = _TWICE_QUOTED.findall(plain) or _ONCE_QUOTED.findall(plain)
    return Condition(tuple(names), count, one_of=says(r"\bOR\b"), least=least or 0, most=most, **form)


def _words(pattern: re.Pattern[str], plain: str, single: bool) -> int | None:
    if single:
        return 1
    found = pattern.search(plain)
    if found is None:
        return None
    number = number_in(found[1], NUMBERS)
    if number is None:
        raise VerifierError(f"the official checker cannot read {found[1]!r} as a number of words and fails")
    return number


def keywords(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The keywords that stand in quotation marks in the constraint's text occur, or do not.

    Official behaviour: whole words in any case (Chinese anywhere); every text in quotation marks is a keyword, whatever
    the constraint says of it (only "avoid using the term" and "must be avoided" exclude, and only the first one); the
    word "or" anywhere makes one of them enough; "at least n" is how often each must occur, even where words are meant;
    without a keyword every response passes, but for "or" without one, which none passes. "Each" and "every" look at
    the cells of the best fitting column, at items, at the values of JSON or at sections between dividing lines.

    Evidence: occurrences support, those of excluded words violate, as do small words where capitals are asked for and
    words beyond the limit. Violated because a keyword is not there: something is missing.
    """
    reading = read(arguments.text)
    if reading is None:
        return unread(False, "condition")
    if isinstance(reading, Both):
        return _both(text, reading)
    if isinstance(reading, Conditional):
        return _conditional(text, reading)
    if isinstance(reading, Condition):
        account = Account(reading.in_words())
        if not account.reading:
            return unread(True, "keyword")
        _apply(account, reading, Piece(text, (0, len(text))), text, deadline)
        return account.finding()
    account = Account(f"each {reading.target}: {reading.condition.in_words() or 'anything'}")
    elements = _elements(text, reading.target)
    if not elements:
        return absent(f"read as: {account.reading}; no elements were found")
    for element in elements:
        _apply(account, reading.condition, element, text, deadline)
    return account.finding()


def _both(text: str, reading: Both) -> Finding:
    account = Account(f"with {reading.included!r} and without {reading.avoided!r}")
    account.support = _places(text, reading.included)
    if not account.support:
        account.lacks(f"{reading.included!r} is not there")
    avoided = _places(text, reading.avoided)
    if avoided:
        account.offends(f"{reading.avoided!r} is there", avoided)
    return account.finding()


def _conditional(text: str, reading: Conditional) -> Finding:
    pairs = [f"{keyword!r} with {' or '.join(map(repr, topics))}" for topics, keyword in reading.pairs]
    account = Account(", ".join(pairs))
    for topics, keyword in reading.pairs:
        topic = next((topic for topic in topics if topic in text), None)
        if topic is None:
            continue
        account.support += _places(text, keyword)
        if keyword not in text:
            account.lacks(f"{topic!r} is there and {keyword!r} is not")
    return account.finding()


def _places(text: str, part: str) -> list[Bounds]:
    return [match.span() for match in re.finditer(re.escape(part), text)]


def _apply(account: Account, condition: Condition, element: Piece, text: str, deadline: Deadline) -> None:
    """What one element has of the condition; an element that lies nowhere in particular has nothing to show."""
    body, start = element.text, 0 if element.bounds is None else element.bounds[0]

    def shown(bounds: Iterable[Bounds]) -> list[Bounds]:
        return [] if element.bounds is None else list(bounds)

    deadline.remaining()
    if condition.capitalised:
        small = [word.span() for word in NOT_BLANK_RUN.finditer(body) if not word[0][0].isupper()]
        if small:
            account.offends(f"{len(small)} words without a capital", shown((start + a, start + b) for a, b in small))
    if condition.period and not body.strip().endswith("."):
        account.lacks("no period at the end")
    count = len(body.split())
    if count < condition.least:
        account.lacks(f"{count} words")
    if condition.most is not None and count > condition.most:
        where = shown((start + a, start + b) for a, b in surplus_words(body, (0, len(body)), condition.most))
        account.offends(f"{count} words", where)
    found = {keyword: occurrences(keyword, body, deadline, start) for keyword in condition.keywords}
    if condition.excluded:
        for keyword, places in found.items():
            if places:
                account.offends(f"{keyword!r} is there", shown(places))
        return
    account.support += shown(place for places in found.values() for place in places)
    few = [keyword for keyword, places in found.items() if len(places) < condition.count]
    if condition.one_of and len(few) == len(found):
        account.lacks("none of the keywords is there" if found else "no keyword that could be there")
    elif few and not condition.one_of:
        often = "" if condition.count == 1 else f" {condition.count} times"
        account.lacks(f"not there{often}: {', '.join(map(repr, few))}")


# ------------------------------------------------------------------------------------------------------------ elements


def _elements(text: str, target: str) -> list[Piece]:
    kind = layout(text)
    if kind == "table":
        return _column(text, target)
    if kind == "json":
        return _values(text)
    if kind != "plain":
        return [piece(text, bounds) for bounds in items(text, kind)]
    sections: list[Piece] = []
    begin: int | None = None
    end = 0
    for start, stop in lines_of(text):
        line = text[start:stop].strip()
        if len(line) >= 3 and line[0] in "-*=" and not line.strip(line[0]):
            if begin is not None:
                sections.append(piece(text, (begin, end)))
            begin = None
        else:
            begin = start if begin is None else begin
            end = stop
    if begin is not None:
        sections.append(piece(text, (begin, end)))
    return sections or [Piece(text, (0, len(text)))]


def _values(text: str) -> list[Piece]:
    try:
        data = parsed(text)
    except json.JSONDecodeError:
        return []
    return [Piece(str(value), None) for value in (data.values() if isinstance(data, dict) else data)]


def _column(text: str, target: str) -> list[Piece]:
    """The cells of the column whose header shares most words with the target; else of the wordiest column."""
    rows: list[list[Piece]] = []
    for bounds in lines_of(text):
        start, end = trimmed(text, bounds)
        if text.startswith("|", start, end) and text[end - 1] == "|":
            rows.append([piece(text, cell) for cell in cells(text, (start, end))[1:-1]])
    headers = [cell.text for cell in rows[0]] if rows else []
    # Of two columns with one header the last is taken for both.
    body = [dict(zip(headers, row, strict=True)) for row in rows[2:] if len(row) == len(headers)]
    if not headers or not body:
        return []
    wanted = {_plain(word) for word in target.split()} - {""}
    shared = {header: sum(_plain(word) in wanted for word in header.split()) for header in headers}
    best = max(headers, key=lambda header: shared[header])
    if not shared[best]:
        best = max(body[0], key=lambda header: sum(len(_content(row[header]).text.split()) for row in body))
    return [_content(row[best]) for row in body]


def _content(cell: Piece) -> Piece:
    """The cell without the marker of a heading."""
    body = cell.text.lstrip("#").strip()
    end = 0 if cell.bounds is None else cell.bounds[1]
    return Piece(body, (end - len(body), end))


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).lower()
