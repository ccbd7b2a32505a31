"""Rates by prompt, and tests between two systems: closed forms, other implementations, simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.statistics import Tally, detectable_difference, difference, holm, mcnemar


def tally(satisfied: list[int], determined: list[int] | None = None) -> Tally:
    return Tally(np.array(satisfied), np.array(determined or [1] * len(satisfied)))


def test_mcnemar_worked_by_hand() -> None:
    # Of 6 prompts on which two systems differ all go one way: 2 * (1/2)^6.
    assert mcnemar(0, 6) == mcnemar(6, 0) == 2 / 64
    assert mcnemar(1, 5) == pytest.approx(2 * 7 / 64)
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 0) == 1.0


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(expected)


def test_mcnemar_counts_what_is_at_least_as_uneven() -> None:
    for size in range(1, 9):
        for one in range(size + 1):
            splits = [sum(flips) for flips in itertools.product((0, 1), repeat=size)]
            uneven = sum(abs(2 * split - size) >= abs(2 * one - size) for split in splits) / len(splits)
            assert mcnemar(one, size - one) == pytest.approx(uneven)


def test_holm_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5]) == [0.5]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_p_value_and_bonferronis(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p) or adjusted == pytest.approx(p)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [holm(p_values)[place] for place in order]
    assert adjusted == sorted(adjusted)


def test_the_detectable_difference_is_found_in_eight_of_ten_cases() -> None:
    prompts, discordance = 400, 0.2
    gap = detectable_difference(discordance, prompts)
    assert gap == pytest.approx(2.801585 * math.sqrt(discordance / prompts))
    numbers = np.random.default_rng(0)
    shares = [(discordance - gap) / 2, (discordance + gap) / 2, 1 - discordance]
    draws = numbers.multinomial(prompts, shares, size=1500)
    found = sum(mcnemar(int(one), int(other)) < 0.05 for one, other, _ in draws) / len(draws)
    assert 0.72 < found < 0.85  # the exact test is a little cautious


def test_the_interval_of_a_difference_holds_the_truth_in_nineteen_of_twenty_cases() -> None:
    numbers = np.random.default_rng(1)
    prompts, held = 150, 0
    for _ in range(200):
        ease = numbers.random(prompts)
        one = (numbers.random(prompts) < ease).astype(int)
        other = (numbers.random(prompts) < np.minimum(1, ease + 0.1)).astype(int)
        interval = difference(tally(one.tolist()), tally(other.tolist()), seed=0)
        held += interval.low <= 0.095 <= interval.high  # E[min(1, u + 0.1)] - E[u]
    assert 0.90 <= held / 200 <= 0.99


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_a_difference_changes_its_sign_with_the_sides(pairs: list[tuple[int, int]]) -> None:
    one, other = tally([a for a, _ in pairs]), tally([b for _, b in pairs])
    there, back = difference(one, other), difference(other, one)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    same = difference(one, one)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
