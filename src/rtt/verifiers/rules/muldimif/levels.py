"""How deep JSON is nested: ``muldimif:Format:Json``."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Deadline, Finding, absent, whole
from rtt.verifiers.rules.muldimif.length import limits
from rtt.verifiers.rules.muldimif.text import parsed, unread

_WORDS = {"two": 2, "three": 3}
_N = r"(\d+|two|three)"
_EXACTLY = [
    re.compile(source.replace("N", _N))
    for source in (
        "exactly N levels? of nesting",
        "json example with exactly N levels?",
        "object nesting levels must be N",
        "nesting level of N",
        "be limited to N levels of nesting",
    )
]
_MOST = [
    re.compile(source.replace("N", _N))
    for source in (
        "must not exceed N levels? of nesting",
        "no more than N levels?",
        "maximum of N (?:object )?nesting levels",
        "maximum of N levels",
        "not exceed N levels",
        "levels not exceeding N",
        "with the structure not exceeding N levels",
        "object nesting levels must not exceed N",
        "and at most N",
    )
]
_LEAST = [
    re.compile(source.replace("N", _N))
    for source in (
        "at least N levels? (?:of nesting|deep)",
        "must include a json object with at least N levels?",
        "and at least N",
    )
]


@functools.lru_cache(maxsize=4096)
def read(constraint: str) -> tuple[int | None, int | None]:
    """The fewest and the most levels, None where there is no limit."""
    plain = re.sub(r"[^\w\s]", "", constraint.lower())
    exactly = next((number for pattern in _EXACTLY for number in _numbers(pattern, plain)), None)
    if exactly is not None:
        return exactly, exactly
    most = [number for pattern in _MOST for number in _numbers(pattern, plain)]
    least = [number for pattern in _LEAST for number in _numbers(pattern, plain)]
    return max(least, default=None), min(most, default=None)


def _numbers(pattern: re.Pattern[str], plain: str) -> list[int]:
    return [_WORDS[word] if word in _WORDS else int(word) for word in pattern.findall(plain)]


_FENCED = re.compile(r"```json(.*?)```", re.DOTALL)


def json_levels(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response is JSON that is as deep as the constraint's text says.

    Official behaviour: the first ```` ```json ```` block, or else the whole response, must be JSON and not ``null``; a
    bare value has depth 0, an empty object adds none. Numbers are read in digits or as "two" and "three". A constraint
    in which nothing is read lets no response pass. Where Python's parser fails (too deep, a number too long), the
    official checker stops; here the verdict is undetermined.

    Evidence: the whole response; what is no JSON lacks it.
    """
    least, most = read(arguments.text)
    fenced = _FENCED.search(text)
    value = text if fenced is None else fenced[1].strip()
    told = f"read as: JSON with {limits(least, most, 'levels')}"
    try:
        data = parsed(value)
    except json.JSONDecodeError as error:
        if least is None and most is None:
            return unread(False, "number of levels")
        return absent(f"{told}; no JSON: {error.msg}")
    if least is None and most is None:
        return unread(False, "number of levels")
    if data is None:
        return absent(f"{told}; null is taken for no JSON")
    depth = _depth(data)
    satisfied = (least is None or depth >= least) and (most is None or depth <= most)
    return whole(satisfied, f"{told}; it has {depth}")


def _depth(data: Any) -> int:
    """How deep the deepest value lies."""
    deepest, values = 0, [(data, 0)]
    while values:
        value, depth = values.pop()
        deepest = max(deepest, depth)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        values += [(part, depth + 1) for part in inner]
    return deepest
