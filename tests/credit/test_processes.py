"""A group split over two processes gets the advantages of the whole: small statistics travel, relevance does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from credit.batches import change, credit_batches, few, pick, random_batch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rtt.credit import (
    MOMENTS,
    PARTITIONS,
    CreditBatch,
    GroupVerdicts,
    Moments,
    criteria_mean,
    gdpo,
    token_moments,
)
from rtt.errors import ShapeError


def gather(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts))


def gathered_verdicts(parts: Sequence[CreditBatch]) -> GroupVerdicts:
    return GroupVerdicts(
        verdicts=gather([part.verdicts for part in parts]),
        group=gather([part.group for part in parts]),
        weights=gather([part.weights for part in parts]),
    )


def gathered_moments(parts: Sequence[Moments]) -> Moments:
    return Moments(
        group=gather([part.group for part in parts]),
        count=gather([part.count for part in parts]),
        mean=gather([part.mean for part in parts]),
        spread=gather([part.spread for part in parts]),
    )


def halves(batch: CreditBatch, seed: int) -> tuple[Tensor, list[CreditBatch]]:
    """Responses dealt to two processes at random; one may get none."""
    first = torch.rand(len(batch.group), generator=torch.Generator().manual_seed(seed)) < 0.5
    order = torch.cat([first.nonzero(), (~first).nonzero()]).squeeze(1)
    return order, [pick(batch, first), pick(batch, ~first)]


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("partition", PARTITIONS)
@few
@given(batch=credit_batches(dtype=torch.float32), seed=st.integers(0, 99))
def test_two_processes_give_what_one_gives(partition: str, silent: bool, batch: CreditBatch, seed: int) -> None:
    special = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(seed)) < 0.2
    localise = PARTITIONS[partition]
    whole = localise(batch, special=special, silent_when_unanimous=silent)
    order, parts = halves(batch, seed)
    specials = special[order].split([len(part.group) for part in parts])
    context = gathered_verdicts(parts)
    moments: dict[str, Moments] = {}
    if partition == "inter_sample":
        each = [token_moments(p, special=s) for p, s in zip(parts, specials, strict=True)]
        moments = {"moments": gathered_moments(each)}
    if partition == "criteria_mean":
        measure = MOMENTS[partition]
        each = [
            measure(p, special=s, silent_when_unanimous=silent, context=context)
            for p, s in zip(parts, specials, strict=True)
        ]
        moments = {"moments": gathered_moments(each)}
    split = [
        localise(p, special=s, silent_when_unanimous=silent, context=context, **moments)
        for p, s in zip(parts, specials, strict=True)
    ]
    torch.testing.assert_close(torch.cat(split), whole[order], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@few
@given(batch=credit_batches(dtype=torch.float32), seed=st.integers(0, 99))
def test_two_processes_give_the_gdpo_of_one(weighted: bool, batch: CreditBatch, seed: int) -> None:
    order, parts = halves(batch, seed)
    split = [gdpo(part, weighted=weighted, context=gathered_verdicts(parts)) for part in parts]
    torch.testing.assert_close(torch.cat(split), gdpo(batch, weighted=weighted)[order], rtol=1e-6, atol=1e-6)


def test_without_the_gathered_statistics_halves_differ() -> None:
    """The tests above could not fail if nothing depended on the other half."""
    batch = random_batch(41, b=8, groups=1)
    order, parts = halves(batch, 0)
    for partition in ("inter_sample", "criteria_mean", "criteria_softmax", "criterion_group"):
        split = torch.cat([PARTITIONS[partition](part) for part in parts])
        assert not torch.allclose(split, PARTITIONS[partition](batch)[order], atol=1e-3)


def test_gathered_rubrics_may_be_longer_than_the_batch() -> None:
    batch = random_batch(42)
    b, k, t = batch.relevance.shape
    longer = change(
        batch,
        verdicts=torch.cat([batch.verdicts, torch.zeros(b, 2, dtype=torch.int8)], dim=1),
        relevance=torch.cat([batch.relevance, torch.zeros(b, 2, t)], dim=1),
        weights=torch.cat([batch.weights, torch.ones(b, 2)], dim=1),
    )
    context = GroupVerdicts.of(longer)
    for partition in ("criteria_softmax", "criterion_group"):
        assert torch.equal(PARTITIONS[partition](batch, context=context), PARTITIONS[partition](batch))
    moments = token_moments(longer)
    assert torch.equal(PARTITIONS["inter_sample"](batch, moments=moments), PARTITIONS["inter_sample"](batch))
    with pytest.raises(ShapeError, match=f"gathered statistics have {k} criteria and the batch {k + 2}"):
        PARTITIONS["criterion_group"](longer, context=GroupVerdicts.of(batch))


def test_verdicts_without_weights_are_enough_for_the_partitions() -> None:
    batch = random_batch(43)
    context = GroupVerdicts(verdicts=batch.verdicts, group=batch.group)
    assert torch.equal(PARTITIONS["criterion_group"](batch, context=context), PARTITIONS["criterion_group"](batch))


def test_a_group_that_was_not_gathered_is_refused() -> None:
    batch = random_batch(44)
    elsewhere = GroupVerdicts(verdicts=batch.verdicts, group=batch.group + 1000)
    with pytest.raises(ShapeError, match="a group of the batch is not among the gathered ones"):
        PARTITIONS["criterion_group"](batch, context=elsewhere)
    nothing = GroupVerdicts(verdicts=batch.verdicts[:0], group=batch.group[:0])
    with pytest.raises(ShapeError, match="a group of the batch is not among the gathered ones"):
        gdpo(batch, context=nothing)


def test_moments_of_the_other_kind_are_refused() -> None:
    batch = random_batch(45)
    with pytest.raises(ShapeError, match="moments of 3 criteria; expected one column"):
        criteria_mean(batch, moments=token_moments(batch))


@pytest.mark.parametrize("partition", MOMENTS)
def test_a_process_alone_is_a_special_case(partition: str) -> None:
    batch = random_batch(46)
    moments = MOMENTS[partition](batch)
    assert torch.equal(PARTITIONS[partition](batch, moments=moments), PARTITIONS[partition](batch))
