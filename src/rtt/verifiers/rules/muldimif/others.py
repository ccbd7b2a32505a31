"""What has no checker of its own: ``muldimif:Content:Others`` and ``muldimif:Format:Others``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

from rtt.errors import VerifierError
from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, present, whole
from rtt.verifiers.rules.muldimif.text import UNITS, Account, one_of, surplus_words, trimmed, unread
from rtt.verifiers.rules.text import stripped

Decide = Callable[[str, Deadline], Finding]
"""From the response to what was found: a constraint that was read."""

_START = re.compile(r"Start identifier(?: must be|:).*\s'([^']+)'")
_BEGIN = re.compile(
    r"(?:start|begin|it is essential to start) (?:with|by) the (?:identifier|phrase) '?([^']+)'?", re.IGNORECASE
)
_SHOWROOM = re.compile(r"The name of the showroom must start with the letter '([A-Za-z])'\.")
_MENTION = re.compile(r"[Mm]ust mention (.+) and the (.+)")
_SOURCES = re.compile(r"Sources:\s*.+$")
_CITED = re.compile(r"\[\d+\]")
_CITATIONS = re.compile(r"\[\d+\]|\([A-Za-z]+, \d{4}\)")
_EMOJI = re.compile("[\u24c2-\U0010ffff]+")
"""The official pattern; it holds Chinese characters and much else."""


@functools.lru_cache(maxsize=4096)
def read_content(constraint: str) -> Decide | None:
    """How ``Content:Others`` reads a constraint; None if it does not know it.

    Raises:
        VerifierError: the official checker stops with an error at this constraint.
    """
    if constraint == "Keep it a paragraph long":
        return functools.partial(_none, "one paragraph", re.compile("\n"))
    begins = _START.match(constraint)
    if "Each example must start with" in constraint:
        if begins is None:
            raise VerifierError("the official checker finds no identifier in this constraint and fails")
        return functools.partial(_all, "it occurs", (begins[1],))
    begins = begins or _BEGIN.search(constraint)
    if begins is not None:
        return functools.partial(_starts, begins[1])
    showroom = _SHOWROOM.match(constraint)
    if showroom is not None:
        return functools.partial(_some, "a word with this letter", re.compile(rf"\b{showroom[1].upper()}[a-zA-Z]*\b"))
    mention = _MENTION.search(constraint)
    if mention is not None and constraint not in _CONTENT:
        return functools.partial(_all, "both occur", (mention[1], f"the {mention[2]}"))
    if constraint in _CONTENT:
        return _CONTENT[constraint]
    if "be in full sentences" in constraint:
        return _anything
    return None


def content_others(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """Identifiers, sources, quotations, citations and the like, as the constraint's text asks for.

    Official behaviour: some twenty wordings are known, most of them letter by letter; every other constraint lets no
    response pass. "In full sentences" lets all pass. Any character from U+24C2 on is an emoji, Chinese ones too.

    Evidence: what was found supports; what is not there is missing; a length is the whole response's.
    """
    decide = read_content(arguments.text)
    return unread(False, "known request") if decide is None else decide(text, deadline)


def _anything(text: str, deadline: Deadline) -> Finding:
    return unread(True, "condition")


def _none(what: str, pattern: re.Pattern[str], text: str, deadline: Deadline) -> Finding:
    found = [match.span() for match in pattern.finditer(text)]
    told = f"read as: {what}"
    return offending(found, f"{told}; {len(found)} breaches") if found else whole(True, told)


def _some(what: str, pattern: re.Pattern[str], text: str, deadline: Deadline) -> Finding:
    found = [match.span() for match in pattern.finditer(text)]
    told = f"read as: {what}"
    return present(found, told) if found else absent(f"{told}; there is none")


def _all(what: str, parts: Sequence[str], text: str, deadline: Deadline) -> Finding:
    account = Account(f"{', '.join(map(repr, parts))}: {what}")
    for part in parts:
        found = [match.span() for match in re.finditer(re.escape(part), text)]
        account.support += found
        if not found:
            account.lacks(f"{part!r} is not there")
    return account.finding()


def _starts(phrase: str, text: str, deadline: Deadline) -> Finding:
    at = len(text) - len(text.lstrip(" #"))
    told = f"read as: it begins with {phrase!r}"
    if text[at:].lower().startswith(phrase.lower()):
        return present([(at, min(len(text), at + len(phrase)))], told)
    return absent(f"{told}; it does not")


def _short(least: int, most: int, text: str, deadline: Deadline) -> Finding:
    told = f"read as: {f'more than {least} and ' if least else ''}at most {most} characters"
    if len(text) > most:
        return offending([trimmed(text, (most, len(text)))], f"{told}; {len(text)} characters")
    return (
        absent(f"{told}; {len(text)} characters", [stripped(text)])
        if least and len(text) <= least
        else whole(True, told)
    )


def _fifty(text: str, deadline: Deadline) -> Finding:
    count = len(text.split())
    told = f"read as: at most 50 words; {count}"
    return offending(surplus_words(text, (0, len(text)), 50), told) if count > 50 else whole(True, told)


def _sources(text: str, deadline: Deadline) -> Finding:
    return (
        _some("'Sources:' in the last line", _SOURCES, text.strip(), deadline)
        if text == text.strip()
        else _moved(text, deadline)
    )


def _moved(text: str, deadline: Deadline) -> Finding:
    start, end = stripped(text)
    found = [(start + match.start(), start + match.end()) for match in _SOURCES.finditer(text[start:end])]
    told = "read as: 'Sources:' in the last line"
    return present(found, told) if found else absent(f"{told}; there is none")


def _cited(text: str, deadline: Deadline) -> Finding:
    account = Account("'Sources:' in the last line, and a number in square brackets")
    for pattern, what in ((_SOURCES, "sources"), (_CITED, "numbers in square brackets")):
        found = [match.span() for match in pattern.finditer(text)]
        account.support += found
        if not found:
            account.lacks(f"no {what}")
    return account.finding()


def _emojis(text: str, deadline: Deadline) -> Finding:
    account = Account("each sentence has three runs of emojis")
    for start, end in _pieces(text):
        found = [match.span() for match in _EMOJI.finditer(text, start, end)]
        account.support += found
        if len(found) < 3:
            account.lacks(f"{len(found)} in a sentence")
            deadline.remaining()
    account.broken = account.broken[:3]
    return account.finding()


def _pieces(text: str) -> list[Bounds]:
    """The sentences, divided after a sign where blanks and a character follow; blank ones do not count."""
    found: list[Bounds] = []
    start = 0
    for gap in re.finditer(r"(?<=[.!?])\s++(?=\S)", text):
        found.append((start, gap.start()))
        start = gap.end()
    found = [trimmed(text, bounds) for bounds in [*found, (start, len(text))]]
    return [bounds for bounds in found if bounds[0] < bounds[1]]


_BLURB = functools.partial(_short, 0, 200)
_QUOTES = functools.partial(_some, "quotation marks", re.compile("[\"“”‘’']"))
_CONTENT: dict[str, Decide] = {
    "End identifier: Sources must be cited at the end of the response": _sources,
    "make sure to conclude your response by citing your sources, as this is a crucial part of the answer": _sources,
    "Response must be written as a short blurb": _BLURB,
    "ensure that the response is written as a short blurb": _BLURB,
    "ensure the response is a short blurb": _BLURB,
    "The response must be short and simple": _BLURB,
    "The response should be concise, with a maximum of 50 words": _fifty,
    "Each sentence must include at least three emojis.": _emojis,
    "Must include quotes from the sources": _QUOTES,
    "with quotes from these sources": _QUOTES,
    "Must provide sources that are cited": _cited,
    "The response must include sources that are cited": _cited,
    "It must include in-text citations": functools.partial(_some, "a citation", _CITATIONS),
}

# -------------------------------------------------------------------------------------------------------------- format

_N = one_of(UNITS)
# What a lookahead took is never tried otherwise; a possessive group would say so, but is wrong before Python 3.11.5.
_ATTRIBUTES = r"(?=(?P<attributes>(?:\s+[a-zA-Z_:][\w:.-]*=['\"][^'\"]*['\"])*))(?P=attributes)"
_TAG = re.compile(r"<\s*[a-zA-Z_:][\w:.-]*+" + _ATTRIBUTES + r"\s*+/?>")
_ATTRIBUTE = re.compile(r"(\w+)=[\"'][^\"']*[\"']")


def _attributes(least: int | None, most: int | None, text: str, deadline: Deadline) -> Finding:
    """Each tag has so many attributes; a closing tag is none."""
    account = Account(f"each tag has at least {least or 0} attributes" + ("" if most is None else f", at most {most}"))
    start, end = 0, len(text)
    if "```xml" in text:
        start = text.index("```xml") + 6
        end = text.find("```", start)
        if end < 0:
            return absent(f"read as: {account.reading}; the block of XML does not end")
    for tag in _TAG.finditer(text[start:end]):
        deadline.remaining()
        found = [match.span() for match in _ATTRIBUTE.finditer(tag[0])]
        at = start + tag.start()
        if most is not None and len(found) > most:
            account.offends(f"{len(found)} attributes", [(at + a, at + b) for a, b in found[most:]])
        elif least is not None and len(found) < least:
            account.lacks(f"{len(found)} attributes", [(at, at + len(tag[0]))])
    account.broken = account.broken[:3]
    return account.finding()


def _rows(most: int, text: str, deadline: Deadline) -> Finding:
    account = Account(f"at most {most} lines of tables, headers too")
    rows = [match.span() for match in re.finditer(r"^\|.*\|$", text, re.MULTILINE)]
    data = [bounds for bounds in rows if not re.fullmatch(r"\|(\s*-+\s*\|)+", text[slice(*bounds)])]
    if len(data) > most:
        account.offends(f"{len(data)} lines", data[most:])
    html = text.lower().count("<tr>")
    if html > most:
        account.offends(
            f"{html} rows of HTML", [match.span() for match in re.finditer("<tr>", text, re.IGNORECASE)][most:]
        )
    return account.finding() if account.broken else whole(True, f"read as: {account.reading}")


def _quoted(text: str, deadline: Deadline) -> Finding:
    return _some("a block quote", re.compile("^>|<blockquote>", re.MULTILINE | re.IGNORECASE), text, deadline)


def _references(least: int, text: str, deadline: Deadline) -> Finding:
    found = [match.span() for match in _CITATIONS.finditer(text)]
    told = f"read as: at least {least} references; {len(found)}"
    return present(found, told) if len(found) >= least else absent(told, found)


def _exactly(number: int) -> Decide:
    return functools.partial(_attributes, number, number)


def _most(number: int) -> Decide:
    return functools.partial(_attributes, None, number)


def _line(what: str, pattern: str, satisfied: bool) -> Callable[[], Decide]:
    """Some line, or none, begins so. Blanks before it are those of the line: officially they may span lines."""
    return lambda: functools.partial(_some if satisfied else _none, what, re.compile(pattern, re.MULTILINE))


def _phrase(phrase: str) -> Decide:
    return functools.partial(_some, repr(phrase), re.compile(rf"\b{re.escape(phrase)}\b", re.IGNORECASE))


_FORMAT: list[tuple[re.Pattern[str], Callable[..., Decide]]] = [
    (re.compile(source.replace("NUMBER", _N), re.IGNORECASE), make)
    for source, make in (
        ("no more than NUMBER attributes?", _most),
        ("must not exceed NUMBER(?:.*)?attributes?", _most),
        ("Limit the number of attributes to two", lambda: _exactly(2)),
        ("Number of attributes must be exactly NUMBER", _exactly),
        ("must (?:have|include) exactly NUMBER attributes?", _exactly),
        ("at least NUMBER attributes?", lambda number: functools.partial(_attributes, number, None)),
        ("Must include '(.*?)'", _phrase),
        ("Must be (?:in|provided in) APA format", _line("a citation in APA style", r"\(\s*\w+,\s*\d{4}\s*\)", True)),
        ("No bullet points", _line("no bullet points", r"^[^\S\n]*+[-*]", False)),
        (
            "Must be listed as bullet points|is structured as bullet points",
            _line("bullet points", r"^[^\S\n]*+[-*]", True),
        ),
        ("block quotes format|be formatted in block quotes", lambda: _quoted),
        (
            "(?:no more than|a table, which is limited to a maximum of) NUMBER rows",
            lambda number: functools.partial(_rows, number),
        ),
        ("full sentences", lambda: _anything),
        ("short blurb", lambda: _BLURB),
        (
            "The answer must include at least NUMBER references?",
            lambda number: functools.partial(_references, number),
        ),
        ("No lists", _line("no numbered lists", r"^[^\S\n]*+\d+\.\s", False)),
        ("No number points", _line("no numbered points", r"^[^\S\n]*+\d+\.", False)),
        ("Response must be written at medium length", lambda: functools.partial(_short, 200, 400)),
    )
]


@functools.lru_cache(maxsize=4096)
def read_format(constraint: str) -> Decide | None:
    """How ``Format:Others`` reads a constraint; None if it does not know it."""
    for pattern, make in _FORMAT:
        found = pattern.search(constraint)
        if found is not None:
            words = found.groups()
            return make(*words) if make is _phrase else make(*(_number(word) for word in words))
    return None


def _number(word: str) -> int:
    return int(word) if word.isdigit() else UNITS[word.lower()]


def format_others(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """Attributes of XML, references, lists, block quotes and lengths, as the constraint's text asks for.

    Official behaviour: some twenty wordings are known; every other constraint lets no response pass ("contains no more
    ..." is known, "contains fewer" is not), and "full sentences" lets all pass. A table's header is one of its rows. A
    response without tags has as many attributes as anyone asks for.

    Evidence: what was found supports; attributes, rows, marks and characters too many violate; what is not there is
    missing.
    """
    decide = read_format(arguments.text)
    return unread(False, "known request") if decide is None else decide(text, deadline)
