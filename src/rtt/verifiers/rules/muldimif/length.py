"""How long: ``muldimif:Length:Words``, ``Length:Sentences`` and ``Length:Paragraphs``."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Literal

from rtt.errors import VerifierError
from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, whole
from rtt.verifiers.rules.ifeval.layout import MAX_DEPTH, nesting
from rtt.verifiers.rules.muldimif.text import (
    TEENS,
    TENS,
    UNITS,
    UP_TO_HUNDRED,
    Account,
    Piece,
    cells,
    items,
    layout,
    lines_of,
    number_in,
    occurrences,
    one_of,
    piece,
    surplus_words,
    trimmed,
    unread,
)
from rtt.verifiers.rules.text import stripped

NUMBERS = {"zero": 0, **UP_TO_HUNDRED}


def limits(least: int | None, most: int | None, noun: str) -> str:
    """The limits in words: ``at least 2 words``, ``2 to 5 words``."""
    if least is not None and most is not None:
        return f"exactly {least} {noun}" if least == most else f"{least} to {most} {noun}"
    return f"at least {least} {noun}" if least is not None else f"at most {most} {noun}"


# --------------------------------------------------------------------------------------------------------------- words

_N = r"([a-z0-9-– ]+?)"
_PART = r"(\b[a-z0-9-–]+\b)"
_END = r"(?=\s*word|$|\b)"
_EXACTLY = re.compile(r"exactly\s+([a-z0-9, -]+?)\s+\S+")
_RANGES = [
    re.compile(source)
    for source in (
        rf"between\s+{_N}\s+to\s+{_N}{_END}",
        rf"between\s+{_N}\s+and\s+{_N}{_END}",
        rf"range:?\s*{_N}\s+to\s+{_N}{_END}",
        rf"range:?\s*{_N}\s*[-–]\s*{_N}{_END}",
        rf"{_PART}\s+to\s+{_PART}{_END}",
        rf"{_PART}\s*[-–]\s*{_PART}{_END}",
        r"([0-9]+)\s*到\s*([0-9]+)(?=\s*个|字)",
    )
]
_LEAST = r"at\s+least|minimum\s+of"
_MOST = r"not\s+exceed|at\s+most|no\s+more\s+than|maximum\s+of|maximum\s+length\s+of|no\s+longer\s+than"
_LEAST_WORDS = re.compile(rf"(?:{_LEAST}|minimum\s+length\s+of|no\s+less\s+than)\s+(\S+)\s+word")
_MOST_WORDS = [
    re.compile(source)
    for source in (
        rf"(?:{_MOST}|not\s+exceeding|not\s+surpass|limit\s+of|within|within\s+a)\s+(\S+)\s+word",
        r"最多([0-9]+)(?:个|字)",
        r"在([0-9]+)\s*(?:个单词以内|个字以内|字以内|单词以内|词以内|字)",
    )
]
_LEAST_SENTENCES = re.compile(rf"(?:{_LEAST})\s+(\S+)\s+sentence")
_MOST_SENTENCES = re.compile(rf"(?:{_MOST})\s+(\S+)\s+sentence")
_QUOTED = re.compile(r"[\"']([^']*)[\"']")
_CHINESE = re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\u3000-\u303f\uff00-\uffef]")
_STOPS = re.compile(r"[.!?]+")


@dataclass(frozen=True, slots=True)
class WordLimits:
    """What ``Length:Words`` reads in a constraint on the whole response.

    Attributes:
        exactly: so many words; nothing else is read then.
    """

    exactly: int | None = None
    least: int | None = None
    most: int | None = None
    least_sentences: int | None = None
    most_sentences: int | None = None
    keywords: tuple[str, ...] = ()

    def in_words(self) -> str:
        """The reading; empty if nothing could be read."""
        if self.exactly is not None:
            return limits(self.exactly, self.exactly, "words")
        parts = [
            limits(least, most, noun)
            for least, most, noun in (
                (self.least, self.most, "words"),
                (self.least_sentences, self.most_sentences, "sentences"),
            )
            if (least, most) != (None, None)
        ]
        return " and ".join(parts + [f"with {keyword!r}" for keyword in self.keywords])


@dataclass(frozen=True, slots=True)
class EachLimits:
    """What ``Length:Words`` reads in a constraint on "each" of something.

    Attributes:
        target: each of what: it names a table's column, or a key of JSON.
    """

    target: str | None
    least: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class Characters:
    """Each word has at least, or at most, so many characters; ``number`` as the constraint has it."""

    relation: str
    number: str


@functools.lru_cache(maxsize=4096)
def read_words(constraint: str) -> WordLimits | EachLimits | Characters | None:
    """What ``Length:Words`` reads; None if it says "each" and no limit is found.

    Raises:
        VerifierError: the official checker stops with an error at this constraint.
    """
    if re.search(r"\beach\b", constraint, re.IGNORECASE):
        return _read_each(constraint)
    return _read_whole(constraint)


def _read_whole(constraint: str) -> WordLimits:
    plain = re.sub(r"\s+", " ", constraint.lower().strip('"').strip()).replace("-word", " word")
    plain = plain.replace("a total of ", "").replace("words", "word").replace("a single", "exactly one").strip()
    exact = _EXACTLY.search(plain)
    if exact is not None:
        number = number_in(exact[1], NUMBERS)
        if number is not None:
            return WordLimits(exactly=number)
    least = most = None
    for pattern in _RANGES:
        found = pattern.search(plain)
        if found is None:
            continue
        # One end alone stays a limit, unless a later pattern finds something.
        least, most = number_in(found[1], NUMBERS), number_in(found[2], NUMBERS)
        if least is not None and most is not None:
            least, most = min(least, most), max(least, most)
            break
    if least is None:
        least = _number(_LEAST_WORDS, plain)
    for pattern in _MOST_WORDS:
        most = _number(pattern, plain) if most is None else most
    return WordLimits(
        least=least,
        most=most,
        least_sentences=_number(_LEAST_SENTENCES, plain),
        most_sentences=_number(_MOST_SENTENCES, plain),
        keywords=tuple(_QUOTED.findall(plain)),
    )


def _number(pattern: re.Pattern[str], plain: str) -> int | None:
    found = pattern.search(plain)
    return None if found is None else number_in(found[1], NUMBERS)


_EACH_LIMITS: tuple[tuple[str, Literal["range", "least", "most", "exactly"]], ...] = (
    (r"between (\d+) and (\d+) words", "range"),
    (r"range: (\d+)-(\d+) words", "range"),
    (r"at least (\d+) words", "least"),
    (r"a minimum of (\d+) words", "least"),
    (r"a minimum length of (\d+) words", "least"),
    (r"at most (\d+) words", "most"),
    (r"exactly (\d+) words", "exactly"),
    (r"no more than (\d+) words", "most"),
    (r"not exceed (\d+) words", "most"),
    (r"a maximum of (\d+) words", "most"),
    (r"a maximum length of (\d+) words", "most"),
    (r"limit of (\d+) words", "most"),
    (r"not exceeding (\d+) words", "most"),
    (r"less than (\d+) words", "most"),
)
_TARGET = re.compile(
    r"(?:each entry in the|each|the)\s+(.+?)\s+(?:is|in the table|column|must|consists of|contains?|should|have)",
    re.IGNORECASE,
)
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(NUMBERS)})\b", re.IGNORECASE)


def _read_each(constraint: str) -> EachLimits | Characters | None:
    if re.search("each word must be", constraint, re.IGNORECASE):
        found = re.search(
            rf"must be (at most|at least) (\b(?:{'|'.join(UNITS)}|\d+)\b) characters", constraint, re.IGNORECASE
        )
        if found is None:
            raise VerifierError("the official checker finds no number of characters in this constraint and fails")
        if found[1] in ("at most", "at least"):
            return Characters(found[1], found[2])
    digits = _NUMBER_WORD.sub(lambda word: str(NUMBERS[word[0].lower()]), constraint)
    target = _TARGET.search(digits)
    name = None if target is None else target[1].lower().replace('"', "").replace("'", "")
    for source, kind in _EACH_LIMITS:
        found = re.search(source, digits, re.IGNORECASE)
        if found is not None:
            first = int(found[1])
            least = None if kind == "most" else first
            most = int(found[2]) if kind == "range" else None if kind == "least" else first
            return EachLimits(name, least, most)
    return None


def words(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response, or each of its elements, has as many words as the constraint's text says.

    Official behaviour: without "each" in the constraint, words lie between blanks; if there is a single Chinese
    character or full-width sign, only these count. "Exactly n" goes before all else; numbers go up to hundreds ("one
    hundred" after "exactly" is read as one); what stands in quotation marks must occur too; sentences are runs of
    ``.!?``. "Fewer than" is not read, and a constraint in which nothing is read lets every response pass. With
    "each", the elements are a table's cells, a list's items, a JSON object's values or else the lines, and a
    constraint in which nothing is read lets none pass.

    Evidence, too many: the words after the n-th violate (of each element); too few: what is there supports, something
    is missing. Met: the keywords support, or the whole response.
    """
    reading = read_words(arguments.text)
    if reading is None:
        return unread(False, "limit")
    if isinstance(reading, Characters):
        return _characters(text, reading)
    if isinstance(reading, EachLimits):
        return _each(text, reading, deadline)
    in_words = reading.in_words()
    if not in_words:
        return unread(True, "limit")
    account = Account(in_words)
    chinese = [match.span() for match in _CHINESE.finditer(text)]
    count = len(chinese) if chinese else len(text.split())
    least, most = reading.least, reading.most
    if reading.exactly is not None:
        least = most = reading.exactly
    for keyword in reading.keywords:
        found = occurrences(keyword, text, deadline)
        account.support += found
        # An empty pair of quotation marks is found wherever two blanks or signs meet.
        if not found:
            account.lacks(f"{keyword!r} is not there")
    if least is not None and count < least:
        account.lacks(f"{count} words", [stripped(text)])
    if most is not None and count > most:
        account.offends(f"{count} words", chinese[most:] or surplus_words(text, (0, len(text)), most))
    stops = [match.span() for match in _STOPS.finditer(text)]
    least, most = reading.least_sentences, reading.most_sentences
    if least is not None and len(stops) < least:
        account.lacks(f"{len(stops)} sentences", [stripped(text)])
    if most is not None and len(stops) > most:
        account.offends(f"{len(stops)} sentences", [after(text, stops, most)])
    return account.finding()


def after(text: str, stops: list[Bounds], number: int) -> Bounds:
    """What follows the n-th of these places, up to the end of the last."""
    return trimmed(text, (stops[number - 1][1] if number else 0, stops[-1][1]))


def _characters(text: str, reading: Characters) -> Finding:
    if not reading.number.isdigit():
        raise VerifierError(f"the official checker cannot read {reading.number!r} as a number and fails")
    number = int(reading.number)
    told = f"read as: each word has {reading.relation} {number} characters"
    wrong: list[Bounds] = []
    start = 0
    for word in text.split(" "):
        if (len(word) > number) if reading.relation == "at most" else (len(word) < number):
            wrong.append((start, start + len(word)))
        start += len(word) + 1
    return offending(wrong, f"{told}; {len(wrong)} words do not") if wrong else whole(True, told)


def _each(text: str, reading: EachLimits, deadline: Deadline) -> Finding:
    target = "element" if reading.target is None else reading.target
    account = Account(f"each {target} has {limits(reading.least, reading.most, 'words')}")
    elements = _elements(text, reading.target)
    if not elements:
        return absent(f"read as: {account.reading}; no elements were found")
    for element in elements:
        deadline.remaining()
        count = len(element.text.split())
        if reading.least is not None and count < reading.least:
            account.lacks(f"{count} words in {_short(element.text)}", [element.bounds] if element.bounds else [])
        elif reading.most is not None and count > reading.most:
            where = surplus_words(text, element.bounds, reading.most) if element.bounds else []
            account.offends(f"{count} words in {_short(element.text)}", where)
    return account.finding()


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:27] + "...")


def _elements(text: str, target: str | None) -> list[Piece]:
    kind = layout(text)
    if kind == "table":
        return _table(text, "cells" if target is None else target)
    if kind == "json":
        return _json(text, target)
    if kind == "bullet":
        return [piece(text, bounds) for bounds in items(text, kind)]
    if kind == "numbered":
        return [_numbered(text, bounds) for bounds in lines_of(text) if re.match(r"\s*\d+\.\s+", text[slice(*bounds)])]
    found: list[Piece] = []
    for bounds in lines_of(text):
        start, end = trimmed(text, bounds)
        line = text[start:end]
        heading = line.strip("*#'\"").endswith(":")
        row = len(line) > 1 and line.startswith("|") and line.endswith("|")
        if line and not heading and not row:
            found.append(piece(text, (end - len(line.lstrip("#")), end)))
    return found


def _numbered(text: str, bounds: Bounds) -> Piece:
    """What follows the first colon, and then the first dot, of a line."""
    start, end = bounds
    for sign in ":.":
        at = text.find(sign, start, end)
        start = at + 1 if at >= 0 else start
    return piece(text, (start, end))


def _json(text: str, target: str | None) -> list[Piece]:
    if target is None:
        return []
    if nesting(text) > MAX_DEPTH:
        raise VerifierError(f"lists and objects are nested more than {MAX_DEPTH} deep; the parser cannot follow")
    try:
        data = json.loads(text)
        if "entry" in target:
            values = [str(value) for value in data.values()]
        else:
            values = [str(data.get(target.split()[-1], ""))]
    except (ValueError, AttributeError, IndexError):
        return []
    return [Piece(value, None) for value in values]


_DIVIDER = re.compile(r"[\s|*-]+")
_DIVIDES = "<TitleSplit>"
"""What the official checker takes a divider for: an element of one word, where it takes all cells."""


def _table(text: str, target: str) -> list[Piece]:
    """The cells below the headers that hold the target; if there are none, all cells, headers and dividers too."""
    found: list[Piece] = []
    for bounds in lines_of(text):
        start, end = trimmed(text, bounds)
        if not text.startswith("|", start, end):
            continue
        if _DIVIDER.fullmatch(text, start, end):
            found.append(Piece(_DIVIDES, None))
        elif start + 1 < end:
            found += [cell for cell in (piece(text, at) for at in cells(text, (start + 1, end - 1))) if cell.text]
    texts = [cell.text for cell in found]
    divider = texts.index(_DIVIDES) if _DIVIDES in texts else len(texts)
    headers = texts[:divider]
    if not headers:
        return []
    body = [cell for cell in found[divider + 1 :] if cell.text != _DIVIDES]
    chosen: list[Piece] = []
    for start in range(0, len(body) - len(headers) + 1, len(headers)):
        row = dict(zip(headers, body[start : start + len(headers)], strict=True))
        chosen += [
            cell for header, cell in row.items() if target in header.lower() and header.lower() != cell.text.lower()
        ]
    return chosen or found


# ----------------------------------------------------------------------------------------------------------- sentences

_HAN = dict(zip("一二三四五六七八九十两", (*range(1, 11), 2), strict=True))
_SENTENCE_NUMBERS = {
    **UNITS,
    **{
        word: {**TEENS, **TENS}[word]
        for word in ("eleven", "twelve", "fifteen", "twenty", "thirty", "fifty", "hundred")
    },
    "thousand": 1000,
    **_HAN,
}
_S = r" sentences?"
_HAN_S = "(?:个句子|句话|句|個句子)"
_ONE = "one"
_SENTENCES = (
    ("exactly:? N (?:topic )?sentences?", "exactly"),
    (f"(?:should|must) contain N{_S}", "exactly"),
    (" be a single sentence|consisting of (?:only )?one sentence|in a single sentence", _ONE),
    (f"at least:? N{_S}", "least"),
    (f"a minimum of N{_S}", "least"),
    (f"no fewer than N{_S}", "least"),
    (f"(?:包含)?(?:至少|最少)(?:包含)?N{_HAN_S}", "least"),
    (f"contain at most N{_S}", "most"),
    (f"at most:? N{_S}", "most"),
    (f"not exceeding N{_S}", "most"),
    (f"no (?:more|longer) than N{_S}", "most"),
    (f"limited to N{_S}", "most"),
    (f" not exceed N{_S}", "most"),
    (f"a maximum (?:length )?of N{_S}", "most"),
    (f"not to exceed N{_S}", "most"),
    (f"not surpass(?: a total of)? N{_S}", "most"),
    (f"(?:至多|最多)(?:包含)?N{_HAN_S}", "most"),
    (f"range:? N-N{_S}", "range"),
    (f"between N and N{_S}", "range"),
    (f"between N to N{_S}", "range"),
    (f"into N to N{_S}", "range"),
    (f"a range of N to N{_S}", "range"),
    (f"be composed of N to N{_S}", "range"),
    (f"consists? of N to N{_S}", "range"),
    (f"consisting of N to N{_S}", "range"),
    (f"N到N{_HAN_S}", "range"),
)
_P = r" paragraphs?"
_PARAGRAPHS = (
    (f"exactly N{_P}", "exactly"),
    (f"(?:should|must) contain N{_P}", "exactly"),
    (" be a single paragraph", _ONE),
    (f"at least N{_P}", "least"),
    (f"least: N{_P}", "least"),
    (f"a minimum of N(?: distinct)?{_P}", "least"),
    (f"at most N{_P}", "most"),
    (f"not exceeding N{_P}", "most"),
    (f"no more than N{_P}", "most"),
    (r"最多(?:分为)?(\d+|一|两|二|三|四|五|六|七|八|九|十)个段落", "most"),
    (rf"range (\d+)-(\d+){_P}", "range"),
    (r"range: (\d+)-(\d+)", "range"),
    (rf"between (\d+) and (\d+){_P}", "range"),
    (rf"between (\d+) to (\d+){_P}", "range"),
    (rf"(\d+) to (\d+){_P}", "range"),
)
Limits = tuple[int | None, int | None]


def _compiled(
    phrases: tuple[tuple[str, str], ...], numbers: str, flags: re.RegexFlag = re.NOFLAG
) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(source.replace("N", numbers), flags), kind) for source, kind in phrases]


_SENTENCE_PATTERNS = _compiled(_SENTENCES, one_of(_SENTENCE_NUMBERS))
_PARAGRAPH_PATTERNS = _compiled(_PARAGRAPHS, one_of(UNITS), re.IGNORECASE)


def _limits(constraint: str, patterns: list[tuple[re.Pattern[str], str]], known: dict[str, int]) -> Limits:
    for pattern, kind in patterns:
        found = pattern.search(constraint)
        if found is None:
            continue
        if kind == _ONE:
            return 1, 1
        first, last = (
            int(word) if word.isdigit() else known[word.lower()] for word in (found[1], found[pattern.groups])
        )
        return None if kind == "most" else first, None if kind == "least" else last
    return None, None


@functools.lru_cache(maxsize=4096)
def read_sentences(constraint: str) -> Limits:
    """The fewest and the most sentences, None where there is no limit."""
    return _limits(constraint.lower().strip(), _SENTENCE_PATTERNS, _SENTENCE_NUMBERS)


@functools.lru_cache(maxsize=4096)
def read_paragraphs(constraint: str) -> Limits:
    """The fewest and the most paragraphs, None where there is no limit."""
    return _limits(constraint.lower(), _PARAGRAPH_PATTERNS, {**UNITS, **_HAN})


def sentences(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response has as many sentences as the constraint's text says.

    Official behaviour: every ``.``, ``!`` or ``?`` is the end of a sentence, so that "..." are three and "3.5" one. A
    constraint in which no number is read lets every response pass.

    Evidence, too many: what follows the n-th of them violates. Too few: what is there supports, something is missing.
    """
    least, most = read_sentences(arguments.text)
    if least is None and most is None:
        return unread(True, "number of sentences")
    account = Account(limits(least, most, "sentences"))
    stops = [match.span() for match in re.finditer(r"[.!?]", text)]
    if least is not None and len(stops) < least:
        account.lacks(f"{len(stops)} sentences", [stripped(text)])
    elif most is not None and len(stops) > most:
        account.offends(f"{len(stops)} sentences", [after(text, stops, most)])
    return account.finding()


def paragraphs(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response has as many paragraphs as the constraint's text says.

    Official behaviour: two line breaks in a row divide paragraphs, and those that are blank do not count. A constraint
    in which no number is read lets no response pass.

    Evidence, too many: the paragraphs after the n-th violate. Too few: what is there supports, something is missing.
    """
    least, most = read_paragraphs(arguments.text)
    if least is None and most is None:
        return unread(False, "number of paragraphs")
    account = Account(limits(least, most, "paragraphs"))
    found: list[Bounds] = []
    start = 0
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            found.append((start, start + len(paragraph)))
        start += len(paragraph) + 2
    if least is not None and len(found) < least:
        account.lacks(f"{len(found)} paragraphs", [trimmed(text, bounds) for bounds in found])
    elif most is not None and len(found) > most:
        account.offends(f"{len(found)} paragraphs", [after(text, found, most)])
    return account.finding()
