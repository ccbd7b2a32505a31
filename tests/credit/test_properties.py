"""What holds for every batch: each line of the partitions has a property that it breaks when it is wrong."""

from __future__ import annotations

import pytest
import torch
from credit.batches import change, credit_batches, few, pick
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from rtt.credit import (
    PARTITIONS,
    REWARDS,
    CreditBatch,
    assign_credit,
    gdpo,
    intra_sample,
    response_advantages,
    token_rewards,
)

EVERY = pytest.mark.parametrize("partition", PARTITIONS)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


def permutation(length: int, seed: int) -> Tensor:
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))


@few
@given(batch=credit_batches())
def test_intra_sample_only_redistributes(batch: CreditBatch) -> None:
    close(intra_sample(batch).sum(dim=1), torch.zeros(len(batch.group), dtype=torch.float64))


@EVERY
@few
@given(batch=credit_batches())
def test_nothing_outside_the_mask_or_without_a_determined_criterion(partition: str, batch: CreditBatch) -> None:
    advantages = PARTITIONS[partition](batch)
    assert bool(advantages.isfinite().all())
    assert not advantages[~batch.mask].any()
    assert not advantages[~batch.determined.any(dim=1)].any()


@EVERY
@few
@given(batch=credit_batches(), left=st.integers(0, 3), right=st.integers(0, 3), seed=st.integers(0, 99))
def test_padding_changes_no_value(partition: str, batch: CreditBatch, left: int, right: int, seed: int) -> None:
    b, k, _ = batch.relevance.shape
    noise = torch.rand(b, k, left + right, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 9 - 4
    no = torch.zeros(b, left + right, dtype=torch.bool)
    padded = change(
        batch,
        relevance=torch.cat([noise[..., :left], batch.relevance, noise[..., left:]], dim=2),
        mask=torch.cat([no[:, :left], batch.mask, no[:, left:]], dim=1),
    )
    advantages = PARTITIONS[partition](padded)
    close(advantages[:, left : advantages.shape[1] - right], PARTITIONS[partition](batch))
    assert not advantages[:, :left].any()


@EVERY
@few
@given(batch=credit_batches(), seed=st.integers(0, 99))
def test_holes_may_be_closed(partition: str, batch: CreditBatch, seed: int) -> None:
    """Where a token stands does not matter: shuffling the columns shuffles the advantages."""
    order = permutation(batch.mask.shape[1], seed)
    shuffled = change(batch, relevance=batch.relevance[:, :, order], mask=batch.mask[:, order])
    close(PARTITIONS[partition](shuffled), PARTITIONS[partition](batch)[:, order])


@EVERY
@few
@given(batch=credit_batches(dtype=torch.float32), seed=st.integers(0, 99))
def test_permuting_responses_permutes_advantages_and_nothing_else(
    partition: str, batch: CreditBatch, seed: int
) -> None:
    order = permutation(len(batch.group), seed)
    shuffled = pick(batch, order)
    torch.testing.assert_close(
        PARTITIONS[partition](shuffled), PARTITIONS[partition](batch)[order], rtol=1e-6, atol=1e-7
    )
    for reward in REWARDS.values():
        torch.testing.assert_close(reward(shuffled), reward(batch)[order], rtol=0, atol=0, equal_nan=True)
    whole = assign_credit(batch, partition=partition).advantages
    torch.testing.assert_close(
        assign_credit(shuffled, partition=partition).advantages, whole[order], rtol=1e-6, atol=1e-7
    )
    torch.testing.assert_close(gdpo(shuffled), gdpo(batch)[order], rtol=1e-6, atol=1e-7)
    assert torch.equal(token_rewards(shuffled), token_rewards(batch)[order])


@EVERY
@few
@given(batch=credit_batches(), seed=st.integers(0, 99))
def test_the_order_of_criteria_does_not_matter(partition: str, batch: CreditBatch, seed: int) -> None:
    order = permutation(batch.verdicts.shape[1], seed)
    shuffled = change(
        batch,
        verdicts=batch.verdicts[:, order],
        relevance=batch.relevance[:, order],
        weights=batch.weights[:, order],
    )
    close(PARTITIONS[partition](shuffled), PARTITIONS[partition](batch))
    close(gdpo(shuffled), gdpo(batch))
    for reward in REWARDS.values():
        close(reward(shuffled), reward(batch))


@EVERY
@few
@given(batch=credit_batches(), at=st.integers(0, 4), weight=st.sampled_from([-2.0, 0.0, 3.0]))
def test_an_undetermined_criterion_is_an_absent_one(partition: str, batch: CreditBatch, at: int, weight: float) -> None:
    b, k, t = batch.relevance.shape
    at = min(at, k)

    def insert(values: Tensor, extra: Tensor) -> Tensor:
        return torch.cat([values[:, :at], extra, values[:, at:]], dim=1)

    longer = change(
        batch,
        verdicts=insert(batch.verdicts, torch.zeros(b, 1, dtype=torch.int8)),
        relevance=insert(batch.relevance, torch.linspace(0, 1, t, dtype=torch.float64).expand(b, 1, t)),
        weights=insert(batch.weights, torch.full((b, 1), weight, dtype=torch.float64)),
    )
    close(PARTITIONS[partition](longer), PARTITIONS[partition](batch))
    close(gdpo(longer), gdpo(batch))
    for reward in REWARDS.values():
        close(reward(longer), reward(batch))
    close(insert(token_rewards(batch), torch.zeros(b, 1, t, dtype=torch.float64)), token_rewards(longer))


@few
@given(batch=credit_batches())
def test_intra_sample_is_untouched_by_neighbours(batch: CreditBatch) -> None:
    alone = [intra_sample(pick(batch, slice(i, i + 1))) for i in range(len(batch.group))]
    close(torch.cat(alone), intra_sample(batch))


@EVERY
@few
@given(batch=credit_batches())
def test_a_group_is_untouched_by_other_groups(partition: str, batch: CreditBatch) -> None:
    together = assign_credit(batch, partition=partition).advantages
    for group in batch.group.unique():
        members = batch.group == group
        close(assign_credit(pick(batch, members), partition=partition).advantages, together[members])


@EVERY
@few
@given(batch=credit_batches(), names=st.permutations([5, -(2**62), 2**62]))
def test_the_names_of_groups_do_not_matter(partition: str, batch: CreditBatch, names: list[int]) -> None:
    _, index = batch.group.unique(return_inverse=True)
    renamed = change(batch, group=torch.tensor(names)[index])
    close(assign_credit(renamed, partition=partition).advantages, assign_credit(batch, partition=partition).advantages)


@EVERY
@few
@given(batch=credit_batches())
def test_turning_every_verdict_round_turns_every_advantage_round(partition: str, batch: CreditBatch) -> None:
    close(PARTITIONS[partition](change(batch, verdicts=-batch.verdicts)), -PARTITIONS[partition](batch))


@few
@given(batch=credit_batches(), scale=st.sampled_from([0.5, 0.25]))
def test_intra_sample_forgets_the_scale_of_relevance(batch: CreditBatch, scale: float) -> None:
    """Up to the 1e-6 that is added to the standard deviation, where that is 0 or at least 0.01."""
    rows = [row[own] for maps, own in zip(batch.relevance, batch.mask, strict=True) for row in maps if own.any()]
    assume(all(row.max() == row.min() or row.std(correction=0) >= 0.01 for row in rows))
    smaller = change(batch, relevance=batch.relevance * scale)
    torch.testing.assert_close(intra_sample(smaller), intra_sample(batch), rtol=1e-3, atol=1e-3)


@few
@given(batch=credit_batches())
def test_response_advantages_sum_to_nothing_in_a_group(batch: CreditBatch) -> None:
    rewards = REWARDS["satisfied_fraction"](batch)
    advantages = response_advantages(rewards, batch.group)
    for group in batch.group.unique():
        close(advantages[batch.group == group].sum(), torch.tensor(0.0, dtype=torch.float64))
