"""Alignment: which tokens a span of characters belongs to."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.alignment import character_values, token_means, tokens_in

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


def test_a_token_is_worth_the_mean_of_its_characters() -> None:
    values = np.array([[0.0, 1.0, 0.5, 0.5], [1.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    found = token_means([(0, 2), (2, 2), (1, 4)], values)
    np.testing.assert_allclose(found, [[0.5, (0.5 + 2 / 3) / 2, 2 / 3], [1.0, (1 + 1 / 3) / 2, 1 / 3]], rtol=1e-6)
    assert token_means([], values).shape == (2, 0)
    assert token_means([(0, 0), (3, 3)], values).tolist() == [[0, 0], [0, 0]]


def test_a_token_without_characters_is_neutral_within_its_response() -> None:
    """Its distance from the mean, which intra-sample normalisation divides by the spread, is 0."""
    found = token_means([(0, 1), (1, 2), (2, 2)], np.array([[0.2, 0.9]], dtype=np.float32))[0]
    assert found[2] - found.mean() == pytest.approx(0, abs=1e-7)


def test_a_character_is_worth_its_tokens_and_a_blank_the_smaller_neighbour() -> None:
    #        a    b  ' '   c  ' '  ' '   d  ' '
    spans = [(0, 2), (3, 4), (6, 7)]
    found = character_values(spans, np.array([[0.9, 0.6, 0.2]], dtype=np.float32), length=8)
    np.testing.assert_allclose(found, [[0.9, 0.9, 0.6, 0.6, 0.2, 0.2, 0.2, 0.0]], rtol=1e-6)


def test_tokens_that_share_a_character_give_it_the_larger_value() -> None:
    found = character_values([(0, 1), (0, 1), (1, 2)], np.array([[0.1, 0.7, 0.3]], dtype=np.float32), length=2)
    np.testing.assert_allclose(found, [[0.7, 0.3]], rtol=1e-6)
    assert character_values([], np.zeros((2, 0), dtype=np.float32), length=3).tolist() == [[0] * 3] * 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=20), st.randoms())
def test_values_survive_the_way_to_characters_and_back(steps: list[tuple[int, int]], rng: random.Random) -> None:
    """Over gaps of blanks and tokens of any length."""
    spans, position = [], 0
    for gap, length in steps:
        spans.append((position + gap, position + gap + length))
        position += gap + length
    values = np.array([[rng.random() for _ in spans]], dtype=np.float32)
    back = token_means(spans, character_values(spans, values, length=position + 2))
    np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-7)
