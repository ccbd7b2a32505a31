"""Rewards of responses and of tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from credit import reference
from credit.batches import batch_of, change, credit_batches
from hypothesis import given

from rtt.credit import CreditBatch, all_or_nothing, satisfied_fraction, token_rewards


def judged(verdicts: list[list[int]], weights: list[list[float]] | None = None) -> CreditBatch:
    return batch_of(verdicts, torch.zeros(len(verdicts), len(verdicts[0]), 1), weights=weights)


def test_all_or_nothing_asks_for_every_determined_criterion() -> None:
    rewards = all_or_nothing(judged([[1, 1, 1], [1, -1, 1], [1, 0, 1], [0, -1, 0], [0, 0, 0]]))
    torch.testing.assert_close(rewards, torch.tensor([1.0, 0, 1, 0, torch.nan]), equal_nan=True)


def test_satisfied_fraction_counts_the_determined_ones() -> None:
    rewards = satisfied_fraction(judged([[1, 1, 1, -1], [1, 0, 0, -1], [0, 0, 0, 1], [-1, 0, 0, 0], [0, 0, 0, 0]]))
    torch.testing.assert_close(rewards, torch.tensor([0.75, 0.5, 1, 0, torch.nan]), equal_nan=True)


def test_weights_count_by_size() -> None:
    batch = judged([[1, -1], [-1, 1]], weights=[[3, 1]] * 2)
    assert satisfied_fraction(batch).tolist() == [0.75, 0.25]
    assert satisfied_fraction(batch, weighted=False).tolist() == [0.5, 0.5]


def test_weights_of_zero_give_no_reward() -> None:
    assert satisfied_fraction(judged([[1, -1]], weights=[[0, 0]])).isnan().all()
    assert satisfied_fraction(judged([[1, -1]], weights=[[0, 0]]), weighted=False).tolist() == [0.5]


def test_an_unwanted_criterion_is_earned_by_not_meeting_it() -> None:
    batch = judged([[1, -1], [1, 1], [-1, 1], [-1, -1]], weights=[[3, -1]] * 4)
    assert all_or_nothing(batch).tolist() == [1, 0, 0, 0]
    assert satisfied_fraction(batch).tolist() == [1, 0.75, 0, 0.25]


def test_the_reward_rises_in_step_with_points() -> None:
    # Points of a rubric: the sum of the weights of the criteria that are met. Ours: (points + penalties) / sizes.
    weights = torch.tensor([5.0, 3.0, -4.0])
    verdicts = [[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    points = ((torch.tensor(verdicts) > 0) * weights).sum(dim=1)
    torch.testing.assert_close(satisfied_fraction(judged(verdicts, [weights.tolist()] * 8)), (points + 4) / 12)


@given(batch=credit_batches())
def test_response_rewards_are_the_plain_recomputation(batch: CreditBatch) -> None:
    np.testing.assert_allclose(all_or_nothing(batch), reference.all_or_nothing(batch), rtol=0)
    rewards = satisfied_fraction(batch)
    np.testing.assert_allclose(rewards, reference.satisfied_fraction(batch), rtol=1e-12)
    assert bool((rewards.isnan() | ((rewards >= 0) & (rewards <= 1))).all())


def test_token_rewards_are_verdict_times_relevance() -> None:
    batch = batch_of(
        [[1, -1, 0]],
        [[[0.95, 0.25, 0.5], [0.4, 1, 0.5], [0.9, 0.9, 0.9]]],
        mask=[[True, True, False]],
        weights=[[2, 0, 1]],
    )
    torch.testing.assert_close(
        token_rewards(batch), torch.tensor([[[0.95, 0.25, 0], [-0.4, -1, 0], [0, 0, 0]]]), rtol=0, atol=0
    )
    unwanted = change(batch, weights=torch.tensor([[-2.0, -0.5, -1]]))
    torch.testing.assert_close(token_rewards(unwanted), -token_rewards(batch), rtol=0, atol=0)


@given(batch=credit_batches())
def test_token_rewards_are_the_plain_recomputation(batch: CreditBatch) -> None:
    p = reference.Plain(batch)
    expected = p.s[:, :, None] * p.w * p.m[:, None, :]
    np.testing.assert_allclose(token_rewards(batch), expected, rtol=0)


@pytest.mark.parametrize("reward", [all_or_nothing, satisfied_fraction])
def test_rewards_of_nothing(reward: object) -> None:
    assert callable(reward)
    assert reward(batch_of([], torch.zeros(0, 2, 3))).shape == (0,)
    assert reward(batch_of([[]], torch.zeros(1, 0, 3))).isnan().all()
