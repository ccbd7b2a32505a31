"""Quotes: which characters of a response someone means by repeating them.

    response   Robots are kind. Robots, however, rust.
    quote      "Robots"
               ^^^^^^           ^^^^^^                    locate_quote: every place, exactly, or none

Spans are characters ``[start, end)`` of a response in code points.
"""

from __future__ import annotations

from collections.abc import Iterable

Spans = tuple[tuple[int, int], ...]
"""Characters ``[start, end)`` of a response in code points, sorted and disjoint."""


def locate_quote(response: str, quote: str) -> Spans:
    """Every place where the quote stands in the response, character by character; none where it does not.

    Nothing is guessed: other quotation marks, another case or a missing blank, and the quote is not found. Places that
    would overlap are taken from the left ("aa" is in "aaa" once). A blank quote points at nothing.
    """
    if not quote.strip():
        return ()
    found = []
    start = response.find(quote)  # no pattern: to compile one takes far longer than to search
    while start >= 0:
        end = start + len(quote)
        found.append((start, end))
        start = response.find(quote, end)
    return tuple(found)


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """The same characters as sorted, disjoint spans that do not touch."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if start == end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def subtracted(spans: Spans, others: Spans) -> Spans:
    """The characters of ``spans`` that are not in ``others``; both sorted and disjoint, as is the result."""
    left: list[tuple[int, int]] = []
    first = 0  # of the others that end beyond where we are
    for start, end in spans:
        while first < len(others) and others[first][1] <= start:
            first += 1
        place = first
        while place < len(others) and others[place][0] < end:
            if start < others[place][0]:
                left.append((start, others[place][0]))
            start = others[place][1]
            place += 1
        if start < end:
            left.append((start, end))
    return tuple(left)
