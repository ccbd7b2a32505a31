"""The partitions: closed forms worked by hand, and an independent float64 recomputation of each."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from credit import reference
from credit.batches import batch_of, credit_batches, few, pick, random_batch
from hypothesis import given
from hypothesis import strategies as st

from rtt.credit import (
    PARTITIONS,
    CreditBatch,
    criteria_mean,
    criteria_softmax,
    criterion_group,
    inter_sample,
    intra_sample,
)

NORMALISED_OVER_TOKENS = ["intra_sample", "inter_sample", "criteria_mean"]


def assert_close(actual: torch.Tensor, expected: object, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(actual.double().numpy(), np.asarray(expected, dtype=float), rtol=rtol, atol=atol)


# --------------------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize("verdict", [1, -1])
@pytest.mark.parametrize(("relevant", "tokens"), [(1, 500), (1, 4096), (20, 100), (90, 100)])
def test_k_of_t_relevant_tokens_follow_the_square_root_law(relevant: int, tokens: int, verdict: int) -> None:
    relevance = torch.zeros(1, 1, tokens)
    relevance[..., :relevant] = 1
    advantages = intra_sample(batch_of([[verdict]], relevance))[0]
    high = math.sqrt((tokens - relevant) / relevant)
    sigma = math.sqrt(relevant * (tokens - relevant)) / tokens
    scale = sigma / (sigma + 1e-6)
    expected = [verdict * high * scale] * relevant + [-verdict * scale / high] * (tokens - relevant)
    assert_close(advantages, expected)


def test_the_published_sizes() -> None:
    one_of_500, one_of_4096 = torch.zeros(1, 1, 500), torch.zeros(1, 1, 4096)
    one_of_500[..., 7] = one_of_4096[..., 7] = 1
    assert intra_sample(batch_of([[1]], one_of_500))[0, 7].item() == pytest.approx(22.3, abs=0.05)
    assert intra_sample(batch_of([[1]], one_of_4096))[0, 7].item() == pytest.approx(64, abs=0.05)


def test_intra_sample_is_the_mean_over_determined_criteria() -> None:
    # (1, 0) has mean 1/2 and std 1/2: +-1. The second criterion is violated: signs turn. The third says nothing.
    batch = batch_of([[1, -1, 0]], [[[1, 0], [0.8, 0.2], [0.1, 0.9]]])
    assert_close(intra_sample(batch), [[0.0, 0.0]], atol=1e-5)
    batch = batch_of([[1, 0, 0]], [[[1, 0], [0.8, 0.2], [0.1, 0.9]]])
    assert_close(intra_sample(batch), [[1 / (1 + 2e-6), -1 / (1 + 2e-6)]])


def test_inter_sample_compares_with_the_tokens_of_the_group() -> None:
    # r = (1, 0) and (-1, 0): mean 0, std sqrt(1/2); the third response is another prompt's.
    batch = batch_of([[1], [-1], [1]], [[[1, 0]], [[1, 0]], [[1, 1]]], group=[4, 4, 9])
    assert_close(inter_sample(batch), [[math.sqrt(2), 0], [-math.sqrt(2), 0], [0, 0]], rtol=1e-5)


def test_criteria_mean_averages_before_it_compares() -> None:
    # Mean rewards (1, 0) and, satisfied and violated cancelling, (0, 0): mean 1/4, std sqrt(3)/4.
    batch = batch_of([[1, 1], [1, -1]], [[[1, 0], [1, 0]], [[1, 0], [1, 0]]])
    std = math.sqrt(3) / 4 + 1e-6
    assert_close(criteria_mean(batch), [[0.75 / std, -0.25 / std], [-0.25 / std, -0.25 / std]])


def test_criteria_mean_does_not_mix_prompts() -> None:
    batch = batch_of([[1], [1], [-1], [-1]], [[[1, 0]], [[1, 0]], [[1, 0]], [[1, 0]]], group=[0, 0, 1, 1])
    scale = 1 / (1 + 2e-6)
    assert_close(criteria_mean(batch), [[scale, -scale], [scale, -scale], [-scale, scale], [-scale, scale]])


def test_criteria_softmax_shares_a_token_among_the_criteria() -> None:
    # verdicts (1, -1) of criterion 0: sample std sqrt(2), scores +-1/sqrt(2). Criterion 1: the same with signs turned.
    batch = batch_of([[1, -1], [-1, 1]], [[[1, 0.5], [0, 0.5]], [[1, 0.5], [0, 0.5]]])
    share = math.e / (math.e + 1)
    score = 1 / (math.sqrt(2) + 1e-6)
    token = score * (share - (1 - share))
    assert_close(criteria_softmax(batch), [[token, 0], [-token, 0]])


def test_criterion_group_is_the_score_times_the_relevance() -> None:
    # three of four satisfied: mean 1/2, population std sqrt(3)/2.
    verdicts = [[1], [1], [1], [-1]]
    batch = batch_of(verdicts, [[[1.0, 0.25, 0.0]]] * 4)
    std = math.sqrt(3) / 2 + 1e-6
    good, bad = 0.5 / std, -1.5 / std
    assert_close(criterion_group(batch), [[good, good / 4, 0]] * 3 + [[bad, bad / 4, 0]])


@pytest.mark.parametrize("partition", ["criteria_softmax", "criterion_group"])
def test_what_a_whole_group_meets_gets_exactly_nothing(partition: str) -> None:
    batch = batch_of([[1]] * 3, torch.rand(3, 1, 50))
    assert not PARTITIONS[partition](batch).any()


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_negative_weight_turns_the_verdict_round(partition: str) -> None:
    batch = random_batch(3)
    positive = CreditBatch(
        verdicts=batch.signed_verdicts,
        relevance=batch.relevance,
        mask=batch.mask,
        group=batch.group,
        weights=batch.weights.abs(),
    )
    assert bool((batch.weights < 0).any())
    torch.testing.assert_close(PARTITIONS[partition](batch), PARTITIONS[partition](positive), rtol=1e-6, atol=1e-7)


# -------------------------------------------------------------------------------------------- independent recomputation


@pytest.mark.parametrize("partition", PARTITIONS)
@few
@given(batch=credit_batches())
def test_float64_is_the_plain_recomputation(partition: str, batch: CreditBatch) -> None:
    assert_close(PARTITIONS[partition](batch), reference.PARTITIONS[partition](batch), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("partition", PARTITIONS)
@few
@given(batch=credit_batches(dtype=torch.float32))
def test_float32_is_close_to_the_plain_recomputation(partition: str, batch: CreditBatch) -> None:
    actual = PARTITIONS[partition](batch)
    assert actual.dtype == torch.float32
    assert_close(actual, reference.PARTITIONS[partition](batch), rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("kind", ["uniform", "sparse", "dense", "one", "all but one", "flat", "first token off"])
def test_float32_holds_on_long_responses(partition: str, kind: str) -> None:
    generator = torch.Generator().manual_seed(5)
    b, k, t = 4, 3, 4096
    noise = torch.rand(b, k, t, generator=generator)
    at = torch.randint(t // 2, (b, k, 1), generator=generator)  # inside every mask below
    one = torch.zeros(b, k, t).scatter_(2, at, 1.0)
    relevance = {
        "uniform": noise,
        "sparse": (noise < 0.002).float(),
        "dense": (noise < 0.998).float(),
        "one": one,
        "all but one": 1 - one,
        "flat": 0.9 + 0.001 * (2 * noise - 1),
        "first token off": torch.full((b, k, t), 0.9).index_fill_(2, torch.tensor([0]), 0.9001),
    }[kind]
    mask = torch.arange(t) < torch.tensor([[t], [t - 1], [t // 2], [t - 777]])
    batch = batch_of([[1, 1, -1], [-1, 1, 1], [1, -1, 0], [-1, -1, 1]], relevance, mask=mask)
    expected = reference.PARTITIONS[partition](batch)
    assert_close(PARTITIONS[partition](batch), expected, rtol=1e-5, atol=1e-6 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("partition", NORMALISED_OVER_TOKENS)
@pytest.mark.parametrize("constant", [0.1, 0.3, 0.7, 0.9, 1 / 3, 1.0, 1e-3, 0.0])
@pytest.mark.parametrize("tokens", [1, 2, 7, 100, 4095, 4096, 100_003])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_row_gets_exactly_nothing(partition: str, constant: float, tokens: int, dtype: torch.dtype) -> None:
    relevance = torch.full((3, 2, tokens + 3), constant, dtype=dtype)
    mask = torch.ones(3, tokens + 3, dtype=torch.bool)
    mask[:, tokens:] = False
    batch = batch_of([[1, 1]] * 3, relevance, mask=mask, dtype=dtype)
    assert not PARTITIONS[partition](batch).any()


@pytest.mark.parametrize("partition", NORMALISED_OVER_TOKENS)
@few
@given(seed=st.integers(0, 2**32))
def test_constants_of_many_sizes_get_exactly_nothing(partition: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    k, t = (int(n) for n in torch.randint(1, 300, (2,), generator=generator))
    relevance = torch.rand(1, k, 1, generator=generator).expand(2, k, t)  # the same in both responses
    verdicts = (torch.randint(0, 2, (1, k), generator=generator) * 2 - 1).expand(2, k)
    batch = batch_of(verdicts.tolist(), relevance.contiguous())
    assert not PARTITIONS[partition](batch).any()


def test_a_flat_row_beside_a_sharp_one_changes_nothing() -> None:
    sharp = torch.zeros(1, 1, 200)
    sharp[..., 3] = 1
    flat = torch.full_like(sharp, 0.1)
    both = intra_sample(batch_of([[1, 1]], torch.cat([sharp, flat], dim=1)))
    torch.testing.assert_close(both * 2, intra_sample(batch_of([[1]], sharp)), rtol=1e-6, atol=1e-8)


def test_relevance_below_one_half_counts() -> None:
    batch = batch_of([[1]], [[[0.4, 0.1]]])
    assert intra_sample(batch)[0, 0].item() == pytest.approx(1, abs=1e-4)


def test_autocast_does_not_touch_the_precision() -> None:
    batch = random_batch(11)
    expected = [partition(batch) for partition in PARTITIONS.values()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = [partition(batch) for partition in PARTITIONS.values()]
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize(("b", "k", "t"), [(0, 2, 3), (2, 0, 3), (2, 2, 0), (0, 0, 0)])
def test_empty_axes_give_zeros(partition: str, b: int, k: int, t: int) -> None:
    batch = batch_of([[1] * k] * b, torch.zeros(b, k, t))
    advantages = PARTITIONS[partition](batch)
    assert advantages.shape == (b, t)
    assert not advantages.any()


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_batch_is_left_as_it_was(partition: str) -> None:
    batch = random_batch(8)
    before = {name: value.clone() for name, value in vars(batch).items()}
    PARTITIONS[partition](batch, bound=0.5)
    assert all(torch.equal(value, before[name]) for name, value in vars(batch).items())
    assert PARTITIONS[partition](pick(batch, slice(None))).data_ptr() != batch.relevance.data_ptr()
