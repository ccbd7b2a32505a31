"""What must be in it: ``detectable_content:number_placeholders`` and ``postscript``."""

from __future__ import annotations

import re

from rtt.rule_schemas.ifeval import NumberPlaceholders, Postscript
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, counted, present
from rtt.verifiers.rules.text import lowered, pattern, raised


def number_placeholders(text: str, arguments: NumberPlaceholders, deadline: Deadline) -> Finding:
    """At least n placeholders in square brackets.

    Official behaviour: anything from ``[`` to the next ``]`` on the same line is one, markdown links too.

    Evidence: each placeholder supports, in both verdicts; violated, something is missing.
    """
    found: list[Bounds] = []
    start = text.find("[")
    while start >= 0:
        close = text.find("]", start)
        if close < 0:
            break
        # Between two lines there is no placeholder: go on after the last line break before the "]".
        line = text.rfind("\n", start, close)
        if line >= 0:
            start = text.find("[", line, close)
            if start < 0:
                start = text.find("[", close)
                continue
        found.append((start, close + 1))
        start = text.find("[", close)
    return counted(found, "at least", arguments.num_placeholders, "placeholders such as [address]")


def postscript(text: str, arguments: Postscript, deadline: Deadline) -> Finding:
    """A postscript with the given marker.

    Official behaviour: the marker may stand anywhere, at the end or not; "P.S." and "P.P.S" may have blanks between
    their letters, any other marker is a regular expression; case is ignored.

    Evidence, satisfied: each marker supports; delete them all and the verdict turns. Violated: something is missing.
    """
    marker = arguments.postscript_marker.strip()
    lower, origin = lowered(text)
    if marker in _MARKERS:
        found = [match.span() for match in _MARKERS[marker].finditer(lower)]
    else:
        found = pattern(marker.lower(), ignore_case=False, multiline=True).find(lower, deadline)
    if not found:
        return absent(f"no postscript {marker!r}")
    return present([raised(bounds, origin) for bounds in found], f"a postscript {marker!r}")


_MARKERS = {"P.P.S": re.compile(r"p\.\s?p\.\s?s"), "P.S.": re.compile(r"p\.\s?s\.")}
