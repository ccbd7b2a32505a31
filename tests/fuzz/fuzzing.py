"""Long fuzzing: valid content, changed a little at random, for as long as it may take.

    RTT_FUZZ_SECONDS=600 python -m pytest tests/fuzz -m slow       600 s a target (60 by default)
    RTT_FUZZ_SEED=7 ...                                            other rounds than those of seed 0

A target is fuzzed in rounds of Hypothesis, each with a seed of its own, which a failure names. Failures are kept in
build/fuzz/ and tried first the next time. What was found stands as an example beside its target, and the ordinary tests
try it, too.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

ROUND = 100
DATABASE = Path(__file__).resolve().parents[2] / "build/fuzz"


def fuzz(name: str, check: Callable[[Any], None], values: st.SearchStrategy[Any], found: Sequence[Any] = ()) -> None:
    """Check values until the time is up; what was found before comes first."""
    until = time.monotonic() + float(os.environ.get("RTT_FUZZ_SECONDS", "60"))
    first = int(os.environ.get("RTT_FUZZ_SEED", "0"))
    number = 0
    while number == 0 or time.monotonic() < until:
        rounded = settings(
            max_examples=ROUND,
            database=DirectoryBasedExampleDatabase(DATABASE),
            suppress_health_check=list(HealthCheck),
        )
        test = rounded(given(values)(_named(name, check)))
        for value in found if number == 0 else ():
            test = example(value)(test)
        try:
            seed(first * 1_000_000 + number)(test)()
        except BaseException as error:
            error.add_note(f"target {name}, round {number} of RTT_FUZZ_SEED={first}")
            raise
        number += 1
    print(f"{name}: {number * ROUND} values, seeds {first * 1_000_000} to {first * 1_000_000 + number - 1}")


def try_again(name: str, check: Callable[[Any], None], values: st.SearchStrategy[Any], found: Sequence[Any]) -> None:
    """What was found before, and a few values that are always the same."""
    few = settings(max_examples=15, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
    test = settings(few, suppress_health_check=list(HealthCheck))(given(values)(_named(name, check)))
    for value in found:
        test = example(value)(test)
    test()


def _named(name: str, check: Callable[[Any], None]) -> Callable[[Any], None]:
    def target(value: Any) -> None:
        started = time.process_time()
        check(value)
        assert time.process_time() - started < 10, "a small value took long"

    target.__name__ = target.__qualname__ = name.replace("-", "_")  # the database tells targets apart by it
    return target


# -------------------------------------------------------------------------------------------------------------- values

DEEP = "@deep@"
WORDS = ["", "c1", "rule", "judge", "code", "ifeval:punctuation:no_comma", "muldimif:Length:Words", "at least", "user"]
WORDS += [DEEP, "\ud800", "\u2028", "a\0b", "😀", "(a+)+$", "[", "x" * 300, "1", "true", "[1]", "{}", "None", "NaN"]
NUMBERS = [0, 1, -1, 2, 10**12, 2**63, -(10**400), 0.5, 1e308, float("nan"), float("inf"), True, False, None]
leaves = st.one_of(st.sampled_from(WORDS), st.sampled_from(NUMBERS), st.text(max_size=8), st.integers(-5, 5))
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS[:9]), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value, most of them small."""


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inside for place in _places(one, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[Any]) -> Any:
    """One of the values, with none to three of its parts changed."""
    value = copy.deepcopy(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(_places(value)))
        if not place:
            value = draw(junk) if draw(st.integers(0, 9)) == 0 else value
            continue
        *way, last = place
        holder = value
        for key in way:
            holder = holder[key]
        what = draw(st.sampled_from(["replace", "replace", "drop", "again", "wrap", "number", "text"]))
        if what == "replace":
            holder[last] = draw(junk)
        elif what == "drop":
            del holder[last]
        elif what == "again" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif what == "again":
            holder[draw(st.sampled_from(WORDS))] = copy.deepcopy(holder[last])
        elif what == "wrap":
            holder[last] = [holder[last]]
        elif what == "number":
            holder[last] = draw(st.sampled_from(NUMBERS))
        else:
            holder[last] = json.dumps(holder[last])
    return value


@st.composite
def broken(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes, with none to two places changed; mostly none."""
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        put = draw(
            st.one_of(st.binary(max_size=6), st.sampled_from([b'"', b"\n", b"\r", b"\xff", b"\xed\xa0\x80", b","]))
        )
        content = content[:start] + put + content[end:]
    return content


def dumped(value: Any, *, ascii_only: bool = True) -> bytes:
    """JSON, with ``DEEP`` become 2,000 lists in each other."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    return text.replace(json.dumps(DEEP).encode(), b"[" * 2000 + b"]" * 2000, 1)


@st.composite
def json_lines(draw: st.DrawFn, seeds: Sequence[Any]) -> bytes:
    """A file of one to three of the values, each changed, and then perhaps broken."""
    rows = draw(st.lists(changed(seeds), min_size=1, max_size=3))
    ascii_only = draw(st.booleans())
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b""]))
    start = draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"]))
    return draw(broken(start + b"".join(dumped(row, ascii_only=ascii_only) + end for row in rows)))


@st.composite
def json_file(draw: st.DrawFn, seeds: Sequence[Any]) -> bytes:
    """A file that is one JSON value."""
    return draw(broken(dumped(draw(changed(seeds)), ascii_only=draw(st.booleans()))))
