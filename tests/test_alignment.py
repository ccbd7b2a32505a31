"""Alignment: which tokens a span of characters belongs to."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtt.alignment import tokens_in

edges = st.integers(0, 12)
spans = st.lists(st.tuples(edges, edges).map(lambda pair: (min(pair), max(pair))), max_size=6)


def test_a_token_belongs_to_a_span_that_it_shares_a_character_with() -> None:
    tokens = [(0, 4), (4, 7), (7, 9), (9, 9)]
    assert tokens_in(tokens, [(5, 8)], length=9).tolist() == [False, True, True, False]


def test_touching_is_not_sharing() -> None:
    assert tokens_in([(0, 2), (2, 4)], [(2, 3)], length=4).tolist() == [False, True]


def test_no_tokens_and_no_spans() -> None:
    assert tokens_in([], [(0, 1)], length=1).tolist() == []
    assert tokens_in([(0, 1)], [], length=1).tolist() == [False]


@given(spans, spans)
def test_equals_the_pairwise_definition(tokens: list[tuple[int, int]], marked: list[tuple[int, int]]) -> None:
    length = 10
    expected = [any(max(a, c) < min(b, d, length) for c, d in marked) for a, b in tokens]
    cut = [(min(a, length), min(b, length)) for a, b in tokens]
    np.testing.assert_array_equal(tokens_in(cut, marked, length=length), np.array(expected, dtype=bool))
