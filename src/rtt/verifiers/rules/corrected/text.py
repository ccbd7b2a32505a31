"""Text as the corrected rules read it: words, sentences, paragraphs, bullet points, marks at the start of lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, of_exact_count, offending, whole
from rtt.verifiers.rules.muldimif.text import lines_of, trimmed
from rtt.verifiers.rules.text import bare_word, sentences, stripped

CLOSERS = "\"'”’»)]}*_`"
"""What may follow the last sign of a text: closing quotation marks, brackets, emphasis."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_CHUNK = re.compile(rf"[{_HAN}]|[^\s—–{_HAN}]+")
_EMPTY_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_HEADING = re.compile(r"[^\S\n]*#{1,6}\s")
_ITEM = re.compile(r"[^\S\n]*(?:[-*+•]|\d{1,3}[.)]|#{1,6})[^\S\n]")


def is_word(chunk: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(map(str.isalnum, chunk))


def words(text: str, deadline: Deadline) -> list[Bounds]:
    """What stands between blanks or long dashes and has a letter or a digit; each Chinese character is one."""
    found: list[Bounds] = []
    for chunk in _CHUNK.finditer(text):
        if is_word(chunk[0]):
            found.append(chunk.span())
            if len(found) % 1000 == 0:
                deadline.remaining()
    return found


def first_word(text: str, start: int) -> Bounds:
    """The first word at or after ``start``, up to a blank or a long dash, without signs at its ends."""
    for chunk in _CHUNK.finditer(text, start):
        if is_word(chunk[0]):
            return bare_word(text, chunk.span())
    return start, start


def sentences_of(text: str, deadline: Deadline) -> list[Bounds]:
    """Punkt's sentences, which also end at a blank line, at a heading and where a list's item begins.

    What has no letter (a rule, the number of an item) is none.
    """
    breaks: list[int] = []
    after_heading = False
    for start, end in lines_of(text):
        deadline.remaining()
        line = text[start : min(end, start + 200)]
        if start and (after_heading or not line.strip() or _ITEM.match(line)):
            breaks.append(start)
        after_heading = _HEADING.match(line) is not None
    found: list[Bounds] = []
    at = 0
    for start, end in sentences(text, deadline):
        pieces = [start]
        while at < len(breaks) and breaks[at] < end:
            pieces += [breaks[at]] * (breaks[at] > start)
            at += 1
        for piece in zip(pieces, [*pieces[1:], end], strict=True):
            deadline.remaining()
            if any(map(str.isalpha, text[slice(*piece)])):
                found.append(trimmed(text, piece))
    return found


def paragraphs_of(text: str) -> list[Bounds]:
    """What stands between blank lines, lines of blanks included; none of them is blank."""
    starts, ends = [0], []
    for gap in _EMPTY_LINES.finditer(text):
        ends.append(gap.start())
        starts.append(gap.end())
    ends.append(len(text))
    return [bounds for bounds in zip(starts, ends, strict=True) if text[slice(*bounds)].strip()]


def bullets(text: str, signs: str, deadline: Deadline) -> list[Bounds]:
    """The markers of bullet points: lines of a sign, a blank and something that is neither; not "---" or "-5".

    Several markers in a row ("- - a") are one.
    """
    found: list[Bounds] = []
    for start, end in lines_of(text):
        deadline.remaining()
        at = start
        first = last = -1
        while at < end:
            if text[at].isspace():
                at += 1
            elif text[at] in signs and at + 1 < end and text[at + 1].isspace():
                first, last = at if first < 0 else first, at + 1
                at += 1
            else:
                break
        if first >= 0 and text[at:end].strip(" \t\r*+-_"):
            found.append((first, last))
    return found


def at_line_starts(text: str, mark: str, before: str = r"(?:[^\w\n]|_)") -> list[Bounds]:
    """Where the expression matches at the start of a line, after nothing but ``before``; several in a row are one."""
    pattern = re.compile(rf"^{before}*?({mark}(?:{before}*{mark})*)", re.MULTILINE)
    return [match.span(1) for match in pattern.finditer(text)]


def limited(
    text: str, items: Sequence[Bounds], relation: str, number: int, noun: str, *, tail: int | None = None
) -> Finding:
    """The finding on how many items there are.

    Evidence, satisfied: the whole response. Too many: what follows the last one that is allowed violates, up to
    ``tail``; delete it and the verdict turns. Too few: all that is there supports, and something is missing. Of
    ``exactly`` the whole response carries each verdict, see :func:`rtt.verifiers.rules.findings.of_exact_count`.

    Args:
        relation: ``at least``, ``at most``, ``exactly``, ``more than``, ``fewer than`` or ``less than``.
    """
    least = {"at least": number, "exactly": number, "more than": number + 1}.get(relation, 0)
    most = {"at most": number, "exactly": number, "fewer than": number - 1, "less than": number - 1}.get(relation)
    reason = f"{len(items)} {noun}, expected {relation} {number}"
    if most is not None and len(items) > most:
        finding = offending([(items[most][0], stripped(text)[1] if tail is None else tail)], reason)
    else:
        finding = whole(True, reason) if len(items) >= least else absent(reason, [stripped(text)])
    return of_exact_count(finding) if relation == "exactly" else finding


def last_sign(text: str, bounds: Bounds) -> int:
    """Where the last character lies that is no blank and closes nothing; the start of the bounds if there is none."""
    start, end = bounds
    return max(start, start + len(text[start:end].rstrip(CLOSERS + " \t\r\n")) - 1)
