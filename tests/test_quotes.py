"""Quotes are found where they stand, exactly, or not at all."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.quotes import locate_quote, merged, subtracted


@pytest.mark.parametrize(
    ("quote", "places"),
    [
        ("robot", ((2, 7), (22, 27))),
        ("robot sings", ((2, 13),)),
        ("😀", ((28, 29),)),
        ("Robot", ()),
        ("a.b", ()),
        ("robot  sings", ()),
        (" ", ()),
        ("", ()),
    ],
)
def test_a_quote_is_where_it_stands_exactly(quote: str, places: Any) -> None:
    assert locate_quote("A robot sings. acb. A robot 😀", quote) == places


def test_places_that_overlap_are_taken_from_the_left() -> None:
    assert locate_quote("aaaaa", "aa") == ((0, 2), (2, 4))


@given(st.text(max_size=30), st.text(min_size=1, max_size=3))
def test_each_located_place_is_the_quote(response: str, quote: str) -> None:
    places = locate_quote(response, quote)
    assert all(response[start:end] == quote for start, end in places)
    assert len(places) == (response.count(quote) if quote.strip() else 0)


def test_merged_spans_do_not_touch() -> None:
    assert merged([(5, 7), (0, 2), (2, 3), (6, 9), (4, 4)]) == ((0, 3), (5, 9))


spans = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), max_size=5).map(
    lambda pairs: merged((start, start + length) for start, length in pairs)
)


@given(spans, spans)
def test_subtracted_spans_are_the_characters_that_the_others_do_not_hold(ours: Any, others: Any) -> None:
    left = subtracted(ours, others)

    def characters(of: Any) -> set[int]:
        return {place for start, end in of for place in range(start, end)}

    assert characters(left) == characters(ours) - characters(others)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(left))
    assert all(start < end for start, end in left)
