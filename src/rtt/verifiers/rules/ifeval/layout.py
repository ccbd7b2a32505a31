"""How it is laid out: the rules of ``detectable_format``."""

from __future__ import annotations

import json
import re

from rtt.errors import VerifierError
from rtt.rule_schemas.ifeval import OPTIONS, MultipleSections, NumberBulletLists, NumberHighlightedSections
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import (
    Bounds,
    Deadline,
    Finding,
    absent,
    counted,
    exactly,
    offending,
    present,
    whole,
)
from rtt.verifiers.rules.text import NOT_BLANK, NOT_BLANK_RUN, pattern, stripped

MAX_DEPTH = 500
"""How deep JSON may be nested. Python's parser fails at a depth that depends on its version and on its caller."""


def number_bullet_lists(text: str, arguments: NumberBulletLists, deadline: Deadline) -> Finding:
    r"""Exactly n bullet points.

    Official behaviour: a line whose first character is ``-``, or ``*`` with another character than ``*`` after it, is
    a bullet point; so are ``---``, "-5 degrees" and "*italics* at the start of a line". A line break may be the
    character after ``*``; the next line then belongs to this bullet point.

    Evidence is the markers, ``*`` or the whole run of ``-``. Satisfied: each supports (none there, none asked for: the
    whole response). Too few: those there support, something is missing. Too many: those after the n-th violate;
    replace them by another character and the verdict turns.
    """
    found = sorted(_star_bullets(text) + _dash_bullets(text))
    return exactly(found, arguments.num_bullets, f"{len(found)} bullet points, expected {arguments.num_bullets}")


def _star_bullets(text: str) -> list[Bounds]:
    r"""Where ``^\s*\*[^*].*$`` has its asterisks. The expression itself is quadratic in line breaks."""
    found: list[Bounds] = []
    line = 0
    while (first := NOT_BLANK.search(text, line)) is not None:
        at = first.start()
        after = at + 1
        if text[at] == "*" and after < len(text) and text[after] != "*":
            found.append((at, after))
            end = text.find("\n", after + 1)
            if end < 0:
                break
            # An empty ".*" ends the match at the start of a line, where the next match may begin.
            line = end if text[end - 1] == "\n" else end + 1
        else:
            end = text.find("\n", at)
            if end < 0:
                break
            line = end + 1
    return found


def _dash_bullets(text: str) -> list[Bounds]:
    r"""Where ``^\s*-.*$`` has its dashes."""
    found: list[Bounds] = []
    line = 0
    while (first := NOT_BLANK.search(text, line)) is not None:
        at = first.start()
        if text[at] == "-":
            run = _DASHES.match(text, at)
            found.append((at, at + 1 if run is None else run.end()))
        end = text.find("\n", at)
        if end < 0:
            break
        line = end + 1
    return found


_DASHES = re.compile(r"-+")


def constrained_response(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The answer is "My answer is yes.", "My answer is no." or "My answer is maybe.".

    Official behaviour: it is enough that the response contains one of them, letter by letter.

    Evidence, satisfied: each of the options that is there supports; delete them and the verdict turns. Violated:
    something is missing.
    """
    found = [match.span() for match in _OPTION.finditer(text)]
    if found:
        return present(found, f"the answer {text[slice(*found[0])]!r}")
    return absent("none of the allowed answers")


_OPTION = re.compile("|".join(re.escape(option) for option in OPTIONS))


def number_highlighted_sections(text: str, arguments: NumberHighlightedSections, deadline: Deadline) -> Finding:
    """At least n sections highlighted in markdown, ``*so*`` or ``**so**``.

    Official behaviour: any two asterisks of a line with something between them, "2 * 3 and 4 *" too; ``***so***``
    counts twice.

    Evidence: each highlighted section, with all its asterisks, supports, in both verdicts; violated, something is
    missing.
    """
    found = [match.span() for match in _SINGLE.finditer(text) if match.group().strip("*").strip()]
    found += [match.span() for match in _DOUBLE.finditer(text) if match.group()[2:-2].strip()]
    marked = [_with_asterisks(text, bounds) for bounds in sorted(found)]
    return counted(marked, "at least", arguments.num_highlights, "highlighted sections")


def _with_asterisks(text: str, bounds: Bounds) -> Bounds:
    """To the ends of the runs of asterisks, of which ``***so***`` has longer ones than the expressions take."""
    start, end = bounds
    while text.startswith("*", start - 1) and start > 0:
        start -= 1
    while text.startswith("*", end):
        end += 1
    return start, end


_SINGLE = re.compile(r"\*[^\n*]*\*")
_DOUBLE = re.compile(r"\*\*[^\n*]*\*\*")


def multiple_sections(text: str, arguments: MultipleSections, deadline: Deadline) -> Finding:
    """At least n sections, each begun by the splitter and a number.

    Official behaviour: the splitter is a regular expression, case matters, it may stand anywhere in a line; more
    sections than asked for are accepted.

    Evidence: each "Section 1" supports, in both verdicts; violated, something is missing.
    """
    splitter = arguments.section_spliter.strip()
    mark = pattern(splitter, r"\s?", r"\s?\d+\s?", ignore_case=False)
    matches = mark.find(text, deadline)
    found = [_trimmed(text, bounds) for bounds in matches]
    # The official count is that of re.split, which also returns what groups match.
    count = len(found) * (1 + mark.groups)
    return counted(found, "at least", arguments.num_sections, f'headings such as "{splitter} 1"', count)


def _trimmed(text: str, bounds: Bounds) -> Bounds:
    start, end = stripped(text[slice(*bounds)])
    return bounds[0] + start, bounds[0] + end


def json_format(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The whole response is JSON, in a markdown fence or not.

    Official behaviour: fences are cut off at both ends (```` ```json ````, ``Json``, ``JSON`` or bare), then Python's
    parser decides: any value will do, ``NaN`` too. Lists and objects nested deeper than the parser can follow make the
    official checker fail; here the verdict is undetermined.

    Evidence, satisfied: the whole response. Violated: where the parser stopped: text before a value (up to the first
    bracket) or after it violates, else the word at which it stopped; if the text ends too early, something is missing
    and what is there supports; prose, with or without brackets in it: the whole response.
    """
    start, end = stripped(text)
    for fence in ("```json", "```Json", "```JSON", "```"):
        if text.startswith(fence, start, end):
            start += len(fence)
    if text.endswith("```", start, end):
        end -= 3
    inner = text[start:end]
    left, right = stripped(inner)
    value = inner[left:right]
    offset = start + left
    if nesting(value) > MAX_DEPTH:
        raise VerifierError(f"lists and objects are nested more than {MAX_DEPTH} deep; the parser cannot follow")
    try:
        json.loads(value)
    except json.JSONDecodeError as error:
        return not_json(value, offset, error)
    except ValueError as error:  # a whole number with more digits than Python converts
        return whole(False, f"not JSON: {error}")
    return whole(True, "valid JSON")


def not_json(value: str, offset: int, error: json.JSONDecodeError) -> Finding:
    """The finding on a text that is no JSON: where the parser stopped, ``offset`` characters into the response."""
    reason = f"not JSON: {error.msg}"
    at = error.pos
    bracket = _BRACKET.search(value)
    if bracket is None:
        return whole(False, reason)
    if error.msg == "Extra data":
        return offending([(offset + at, offset + len(value))], reason)
    if at >= len(value) or error.msg.startswith("Unterminated string"):
        return absent(f"{reason}; it ends too early", [(offset, offset + len(value))])
    if at == 0:
        # prose before a value is to blame; prose that merely has a bracket in it is so as a whole
        if not _is_json(value[bracket.start() :]):
            return whole(False, reason)
        return offending([(offset, offset + bracket.start())], reason)
    word = NOT_BLANK_RUN.search(value, at)
    end = word.end() if word is not None else at + 1
    return offending([(offset + at, offset + end)], reason)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_BRACKET = re.compile(r"[\[{]")
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def nesting(value: str) -> int:
    """How deep brackets are nested outside of strings; 0 where they are too few to matter."""
    if value.count("[") + value.count("{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(value):
        first = match.group()[0]
        depth += (first in "[{") - (first in "]}")
        deepest = max(deepest, depth)
    return deepest


def title(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """A title in double angular brackets.

    Official behaviour: from the first ``<<`` of a line to the last ``>>``, anywhere in the response, with something
    between them that is not ``<``, ``>`` or a blank.

    Evidence, satisfied: each ``<<...>>`` supports; delete them all and the verdict turns. Violated: something is
    missing.
    """
    found: list[Bounds] = []
    start = text.find("<<")
    while start >= 0:
        line_end = text.find("\n", start)
        line_end = len(text) if line_end < 0 else line_end
        last = text.rfind(">>", start + 3, line_end)
        if last >= 0 and text[start : last + 2].lstrip("<").rstrip(">").strip():
            found += _pairs(text, start, last + 2)
        start = text.find("<<", line_end)
    return present(found, "a title in <<angular brackets>>") if found else absent("no title in <<angular brackets>>")


def _pairs(text: str, start: int, end: int) -> list[Bounds]:
    found: list[Bounds] = []
    while start >= 0:
        close = text.find(">>", start + 3, end)
        if close < 0:
            break
        while text.startswith(">", close + 2, end):
            close += 1
        found.append((start, close + 2))
        start = text.find("<<", close + 2, end)
    return found
