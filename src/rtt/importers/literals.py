"""Values that data carries as text: JSON, or a Python literal of lists, dictionaries, texts, numbers and None.

A literal is read token by token before Python's own parser sees it, which then builds values and calls nothing: no
names, no operators, no calls, at most :data:`rtt.rubrics.MAX_DEPTH` levels.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from rtt.importers.reading import MAX_CHARACTERS, show, text
from rtt.json_lines import LineError, decode_text
from rtt.rubrics import MAX_DEPTH

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<open>[\[({]) | (?P<close>[\])}]) | (?P<comma>[,:])
      | (?P<value> '(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" | (?:True|False|None)\b
                 | -?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,3})?(?![\w.]) )""",
    re.VERBOSE | re.DOTALL,
)


def parse(value: object, path: str) -> Any:
    """What the text says; a value that is no text is what it is.

    Raises:
        LineError: the text is neither JSON nor a literal; the message says where.
    """
    if not isinstance(value, str):
        return value
    source = text(value, path)
    try:
        return decode_text(source)
    except LineError as error:
        if not _is_literal(source):
            raise LineError(
                f"{path}: got {show(source)}; expected JSON or a Python literal of lists, dictionaries, texts, numbers "
                f"and None; as JSON: {error}"
            ) from None
    try:
        return ast.literal_eval(source.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise LineError(f"{path}: got {show(source)}, which is no Python literal: {error}") from None


def _is_literal(source: str) -> bool:
    """Whether the text has a literal's tokens alone, values stand apart, and brackets are not nested too deep."""
    assert len(source) <= MAX_CHARACTERS  # nosec B101 # checked by the caller
    place, depth, after_value = 0, 0, False
    while place < len(source):
        token = _TOKEN.match(source, place)
        if token is None:
            return False
        place = token.end()
        kind = token.lastgroup
        if kind == "space":
            continue
        if kind in ("open", "value") and after_value:
            return False  # a call, an index, a sum, or text after text
        depth += (kind == "open") - (kind == "close")
        if not 0 <= depth <= MAX_DEPTH:
            return False
        after_value = kind in ("value", "close")
    return depth == 0
