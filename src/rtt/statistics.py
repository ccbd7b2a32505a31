"""Rates with intervals, by prompt: responses to one prompt resemble each other, so the unit of chance is the prompt.

Counter -> Tally [P] -> Interval            a rate, 95 % bootstrap over prompts (percentile method)
Tally, Tally -> difference -> Interval      the same prompts drawn for both, which takes the prompts' own difficulty
                                            out of the noise
mcnemar                                     two systems that pass or fail the same prompts, exact
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval. All three are NaN when there was nothing to measure."""

    value: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        """For a difference: whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Satisfied and determined verdicts, or responses, counted by prompt: two arrays [P], in the order of the tasks."""

    satisfied: NDArray[np.int64]
    determined: NDArray[np.int64]

    @property
    def rate(self) -> float:
        """Satisfied out of determined, over all prompts together; NaN when nothing was determined."""
        return float(_ratio(self.satisfied.sum(), self.determined.sum()))

    def interval(self, seed: int = 0) -> Interval:
        """The rate with its bootstrap interval over prompts."""
        return _interval(self.rate, _resampled(self, _draws(len(self.determined), seed)))


class Counter:
    """Counts verdicts by prompt.

    Args:
        prompts: how many there are, P.
    """

    def __init__(self, prompts: int) -> None:
        self.satisfied = np.zeros(prompts, dtype=np.int64)
        self.determined = np.zeros(prompts, dtype=np.int64)

    def add(self, prompt: int, satisfied: bool) -> None:
        """One more determined verdict of the prompt with this index."""
        self.satisfied[prompt] += satisfied
        self.determined[prompt] += 1

    def tally(self) -> Tally:
        """What was counted."""
        return Tally(self.satisfied, self.determined)


def difference(one: Tally, other: Tally, seed: int = 0) -> Interval:
    """The rate of ``other`` minus that of ``one``, paired by prompt."""
    draws = _draws(len(one.determined), seed)
    return _interval(other.rate - one.rate, _resampled(other, draws) - _resampled(one, draws))


def mcnemar(only_one: int, only_other: int) -> float:
    """The two-sided p value of McNemar's exact test.

    Args:
        only_one: prompts that the one system passes and the other fails.
        only_other: prompts that the other passes and the one fails.

    Returns:
        The probability, were both equally good, of a split at least as uneven; 1 where they differ nowhere.
    """
    size = only_one + only_other
    tail = sum(math.comb(size, k) for k in range(min(only_one, only_other) + 1))
    return float(min(1.0, 2 * tail / 2**size))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted by Holm's step-down method, in their order, for an error rate over all of them."""
    size = len(p_values)
    adjusted = [1.0] * size
    highest = 0.0
    for rank, place in enumerate(sorted(range(size), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (size - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def detectable_difference(discordance: float, prompts: int) -> float:
    """The smallest difference of two pass rates that a paired comparison finds in 8 of 10 times, at the 5 % level.

    (z_0.975 + z_0.8) * sqrt(discordance / prompts), the normal approximation of McNemar's test for small differences.

    Args:
        discordance: the share of prompts that one system passes and the other fails, in [0, 1].
        prompts: how many are compared, at least 1.
    """
    return (1.959964 + 0.841621) * math.sqrt(discordance / prompts)


@lru_cache(maxsize=4)
def _draws(prompts: int, seed: int) -> NDArray[np.int64]:
    """How often each prompt is drawn in each resample: [RESAMPLES, P]."""
    return np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)


def _resampled(tally: Tally, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The rate in each resample, [RESAMPLES]; NaN where no drawn prompt had a determined verdict."""
    return _ratio(draws @ tally.satisfied, draws @ tally.determined)


def _ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    rates: NDArray[np.float64] = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return rates


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    known = resampled[~np.isnan(resampled)]
    if known.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(value, float(low), float(high))
