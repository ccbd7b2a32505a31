"""The method once more, in float64 numpy and plain loops, straight from the equations and sharing no code with rtt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtt.credit import CreditBatch

Array = NDArray[np.float64]
EPS = 1e-6


class Plain:
    """A batch as numpy arrays, with verdicts turned round where the weight is negative."""

    def __init__(self, batch: CreditBatch, special: Any = None) -> None:
        self.s = batch.verdicts.numpy().astype(int)
        self.w = batch.relevance.double().numpy()
        self.weights = batch.weights.double().numpy()
        self.s = np.where(self.weights < 0, -self.s, self.s)
        self.group = batch.group.numpy()
        self.m = batch.mask.numpy().copy()
        if special is not None:
            self.m &= ~special.numpy()
        self.b, self.k, self.t = self.w.shape

    def group_of(self, i: int) -> list[int]:
        return [j for j in range(self.b) if self.group[j] == self.group[i]]

    def determined(self, i: int) -> list[int]:
        return [k for k in range(self.k) if self.s[i, k] != 0]

    def silent(self, i: int, k: int) -> bool:
        return len({self.s[j, k] for j in self.group_of(i)} - {0}) == 1

    def tokens(self, i: int) -> list[int]:
        return [t for t in range(self.t) if self.m[i, t]]


def all_or_nothing(batch: CreditBatch) -> Array:
    p = Plain(batch)
    rewards = [float(all(p.s[i, k] == 1 for k in p.determined(i))) if p.determined(i) else np.nan for i in range(p.b)]
    return np.array(rewards)


def satisfied_fraction(batch: CreditBatch) -> Array:
    p = Plain(batch)
    rewards = []
    for i in range(p.b):
        total = sum(abs(p.weights[i, k]) for k in p.determined(i))
        earned = sum(abs(p.weights[i, k]) for k in p.determined(i) if p.s[i, k] == 1)
        rewards.append(earned / total if total else np.nan)
    return np.array(rewards)


def response_advantages(rewards: Array, group: NDArray[np.int64]) -> Array:
    advantages = np.zeros(len(rewards))
    for i, reward in enumerate(rewards):
        others = np.array([r for r, g in zip(rewards, group, strict=True) if g == group[i] and not np.isnan(r)])
        if not np.isnan(reward) and len(others) > 1:
            advantages[i] = (reward - others.mean()) / (others.std(ddof=1) + EPS)
    return advantages


def gdpo(batch: CreditBatch) -> Array:
    p = Plain(batch)
    sums = np.zeros(p.b)
    for i in range(p.b):
        for k in p.determined(i):
            sums[i] += abs(p.weights[i, k]) * score(p, i, k, ddof=0)
    judged = [i for i in range(p.b) if p.determined(i)]
    if not judged:
        return np.zeros(p.b)
    std = sums[judged].std(ddof=1) if len(judged) > 1 else 0.0
    return np.array([(sums[i] - sums[judged].mean()) / (std + 1e-4) if i in judged else 0.0 for i in range(p.b)])


def score(p: Plain, i: int, k: int, ddof: int) -> float:
    verdicts = np.array([p.s[j, k] for j in p.group_of(i) if p.s[j, k] != 0], dtype=float)
    std = verdicts.std(ddof=ddof) if len(verdicts) > ddof else 0.0
    return float((p.s[i, k] - verdicts.mean()) / (std + EPS))


def intra_sample(batch: CreditBatch, special: Any = None, sigma_floor: float = 0.0, silent: bool = False) -> Array:
    p = Plain(batch, special)
    advantages = np.zeros((p.b, p.t))
    for i in range(p.b):
        own = p.tokens(i)
        for k in p.determined(i):
            if own and not (silent and p.silent(i, k)):
                r = p.s[i, k] * p.w[i, k, own]
                centred = r - exact_mean(r)
                sigma = max(np.sqrt(np.mean(centred**2)), sigma_floor)
                advantages[i, own] += centred / (sigma + EPS) / len(p.determined(i))
    return advantages


def inter_sample(batch: CreditBatch, special: Any = None, sigma_floor: float = 0.0, silent: bool = False) -> Array:
    p = Plain(batch, special)
    advantages = np.zeros((p.b, p.t))
    for i in range(p.b):
        own = p.tokens(i)
        for k in p.determined(i):
            if own and not (silent and p.silent(i, k)):
                judged = [j for j in p.group_of(i) if p.s[j, k] != 0]
                r = np.concatenate([p.s[j, k] * p.w[j, k, p.tokens(j)] for j in judged])
                mean = exact_mean(r)
                sigma = max(np.sqrt(np.mean((r - mean) ** 2)), sigma_floor)
                advantages[i, own] += (p.s[i, k] * p.w[i, k, own] - mean) / (sigma + EPS) / len(p.determined(i))
    return advantages


def criteria_mean(batch: CreditBatch, special: Any = None, sigma_floor: float = 0.0, silent: bool = False) -> Array:
    p = Plain(batch, special)
    rewards = np.zeros((p.b, p.t))
    for i in range(p.b):
        for k in p.determined(i):
            if not (silent and p.silent(i, k)):
                rewards[i] += p.s[i, k] * p.w[i, k] / len(p.determined(i))
    advantages = np.zeros((p.b, p.t))
    for i in range(p.b):
        own = p.tokens(i)
        if own and p.determined(i):
            judged = [j for j in p.group_of(i) if p.determined(j)]
            r = np.concatenate([rewards[j, p.tokens(j)] for j in judged])
            mean = exact_mean(r)
            sigma = max(np.sqrt(np.mean((r - mean) ** 2)), sigma_floor)
            advantages[i, own] = (rewards[i, own] - mean) / (sigma + EPS)
    return advantages


def criteria_softmax(batch: CreditBatch, special: Any = None) -> Array:
    p = Plain(batch, special)
    advantages = np.zeros((p.b, p.t))
    for i in range(p.b):
        for t in p.tokens(i):
            shares = {k: np.exp(p.w[i, k, t]) for k in p.determined(i)}
            for k, share in shares.items():
                advantages[i, t] += score(p, i, k, ddof=1) * share / sum(shares.values())
    return advantages


def criterion_group(batch: CreditBatch, special: Any = None, mass_preserving: bool = False) -> Array:
    p = Plain(batch, special)
    advantages = np.zeros((p.b, p.t))
    for i in range(p.b):
        own = p.tokens(i)
        for k in p.determined(i):
            w = p.w[i, k, own]
            if mass_preserving and own:
                w = w / w.mean() if w.sum() > 0 else np.ones(len(own))
            advantages[i, own] += score(p, i, k, ddof=0) * w
    return advantages


def exact_mean(values: Array) -> float:
    """The mean, and for equal values that value: their float64 sum need not divide back to it."""
    return float(values[0] + np.mean(values - values[0]))


PARTITIONS = {
    "intra_sample": intra_sample,
    "inter_sample": inter_sample,
    "criteria_mean": criteria_mean,
    "criteria_softmax": criteria_softmax,
    "criterion_group": criterion_group,
}
