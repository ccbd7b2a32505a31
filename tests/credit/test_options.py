"""The options: each does what it says, and none changes anything while it is off."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from credit import reference
from credit.batches import batch_of, credit_batches, few, random_batch
from credit.checks import unchecked
from hypothesis import given
from hypothesis import strategies as st

from rtt.credit import PARTITIONS, CreditBatch, criterion_group, intra_sample
from rtt.errors import ConfigurationError, ShapeError

EVERY = pytest.mark.parametrize("partition", PARTITIONS)
OVER_TOKENS = pytest.mark.parametrize("partition", ["intra_sample", "inter_sample", "criteria_mean"])


def assert_close(actual: torch.Tensor, expected: Any, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(actual.double().numpy(), np.asarray(expected, dtype=float), rtol=rtol, atol=atol)


@EVERY
def test_options_are_off_by_default(partition: str) -> None:
    batch, localise = random_batch(31), PARTITIONS[partition]
    off: dict[str, Any] = {"special": None, "silent_when_unanimous": False, "bound": None, "context": None}
    more = {"criterion_group": {"mass_preserving": False}, "criteria_softmax": {}}.get(partition, {"sigma_floor": 0.0})
    assert torch.equal(localise(batch), localise(batch, **off, **more))
    assert torch.equal(localise(batch), localise(batch, special=torch.zeros_like(batch.mask), bound=1e9))


# --------------------------------------------------------------------------------------------------------- sigma_floor


def test_a_floor_silences_noise_and_leaves_a_sharp_row_as_it_is() -> None:
    noise = 0.9 + 0.001 * (2 * torch.rand(1, 1, 400, generator=torch.Generator().manual_seed(1)) - 1)
    assert intra_sample(batch_of([[1]], noise)).std().item() == pytest.approx(1, abs=0.02)
    assert intra_sample(batch_of([[1]], noise), sigma_floor=0.05).abs().max() < 0.03
    sharp = torch.zeros(1, 1, 100)
    sharp[..., :20] = 1
    batch = batch_of([[1]], sharp)
    assert torch.equal(intra_sample(batch, sigma_floor=0.05), intra_sample(batch))


def test_the_floor_is_a_maximum_and_not_a_sum() -> None:
    batch = batch_of([[1]], [[[0.6, 0.4]]])  # std 0.1
    torch.testing.assert_close(intra_sample(batch, sigma_floor=0.09), intra_sample(batch), rtol=1e-6, atol=0)
    torch.testing.assert_close(intra_sample(batch, sigma_floor=0.2), torch.tensor([[0.5, -0.5]]), rtol=1e-4, atol=0)


@OVER_TOKENS
@few
@given(batch=credit_batches(), floor=st.sampled_from([0.05, 0.3]))
def test_the_floor_is_the_plain_recomputation(partition: str, batch: CreditBatch, floor: float) -> None:
    expected = reference.PARTITIONS[partition](batch, sigma_floor=floor)
    assert_close(PARTITIONS[partition](batch, sigma_floor=floor), expected)


@OVER_TOKENS
@pytest.mark.parametrize("floor", [-0.1, math.nan, math.inf])
def test_a_floor_out_of_range_is_refused(partition: str, floor: float) -> None:
    with pytest.raises(ConfigurationError, match="sigma_floor=.*; expected a number that is at least 0"):
        PARTITIONS[partition](random_batch(1), sigma_floor=floor)


# ------------------------------------------------------------------------------------------------------ special tokens


@pytest.mark.parametrize("verdict", [1, -1])
@pytest.mark.parametrize(("relevant", "size"), [(20, 0.50), (90, 2.9)])
def test_stopping_is_neither_punished_nor_rewarded(relevant: int, size: float, verdict: int) -> None:
    relevance = torch.zeros(1, 1, 101)  # 100 words and the end of the sequence, which is relevant to nothing
    relevance[..., :relevant] = 1
    batch = batch_of([[verdict]], relevance)
    end = torch.zeros(1, 101, dtype=torch.bool)
    end[:, -1] = True
    assert intra_sample(batch)[0, -1].item() == pytest.approx(-verdict * size, abs=0.1)
    advantages = intra_sample(batch, special=end)
    assert advantages[0, -1] == 0
    words = intra_sample(batch_of([[verdict]], relevance[..., :100]))
    torch.testing.assert_close(advantages[:, :100], words, rtol=1e-6, atol=1e-7)


@EVERY
@few
@given(batch=credit_batches(), seed=st.integers(0, 99))
def test_special_tokens_are_the_plain_recomputation(partition: str, batch: CreditBatch, seed: int) -> None:
    special = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(seed)) < 0.3
    expected = reference.PARTITIONS[partition](batch, special=special)
    actual = PARTITIONS[partition](batch, special=special)
    assert_close(actual, expected)
    assert not actual[special].any()


@EVERY
def test_special_has_to_look_like_the_mask(partition: str) -> None:
    batch = random_batch(1)
    words = r"special is torch.\w+ \[\d, 9\]; expected torch.bool \[6, 9\] as the mask"
    for special in (batch.mask[:1], batch.mask.long()):
        with unchecked(), pytest.raises(ShapeError, match=words):
            PARTITIONS[partition](batch, special=special)


# ---------------------------------------------------------------------------------------------- silent_when_unanimous


@OVER_TOKENS
@few
@given(batch=credit_batches())
def test_silence_is_the_plain_recomputation(partition: str, batch: CreditBatch) -> None:
    expected = reference.PARTITIONS[partition](batch, silent=True)
    assert_close(PARTITIONS[partition](batch, silent_when_unanimous=True), expected)


@EVERY
def test_a_criterion_that_the_group_agrees_on_is_silent(partition: str) -> None:
    relevance = torch.rand(3, 2, 5, generator=torch.Generator().manual_seed(2))
    agreed = batch_of([[1, 0], [1, 0], [0, 0]], relevance)
    assert not PARTITIONS[partition](agreed, silent_when_unanimous=True).any()
    split = batch_of([[1, 0], [-1, 0], [0, 0]], relevance)
    assert torch.equal(PARTITIONS[partition](split, silent_when_unanimous=True), PARTITIONS[partition](split))
    assert bool(PARTITIONS[partition](split).any())


def test_silence_leaves_the_other_criteria_as_they_are() -> None:
    relevance = torch.rand(2, 2, 5, generator=torch.Generator().manual_seed(3))
    batch = batch_of([[1, 1], [-1, 1]], relevance)
    other = intra_sample(batch_of([[1], [-1]], relevance[:, :1])) / 2
    torch.testing.assert_close(intra_sample(batch, silent_when_unanimous=True), other, rtol=1e-5, atol=1e-6)


@EVERY
@few
@given(batch=credit_batches())
def test_scores_of_verdicts_are_silent_by_themselves(partition: str, batch: CreditBatch) -> None:
    if partition in ("criteria_softmax", "criterion_group"):
        assert torch.equal(PARTITIONS[partition](batch, silent_when_unanimous=True), PARTITIONS[partition](batch))
    else:
        assert bool(PARTITIONS[partition](batch, silent_when_unanimous=True).isfinite().all())


# --------------------------------------------------------------------------------------------------------------- bound


@EVERY
@few
@given(batch=credit_batches(), bound=st.sampled_from([0.1, 1.0, 3.0]))
def test_the_bound_clamps_the_token_advantage(partition: str, batch: CreditBatch, bound: float) -> None:
    expected = np.clip(reference.PARTITIONS[partition](batch), -bound, bound)
    assert_close(PARTITIONS[partition](batch, bound=bound), expected)


def test_one_token_in_4096_can_be_held() -> None:
    relevance = torch.zeros(1, 1, 4096)
    relevance[..., 0] = 1
    assert intra_sample(batch_of([[1]], relevance), bound=4.0)[0, 0] == 4


@EVERY
@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan])
def test_a_bound_out_of_range_is_refused(partition: str, bound: float) -> None:
    with pytest.raises(ConfigurationError, match="bound=.*; expected a number above 0"):
        PARTITIONS[partition](random_batch(1), bound=bound)


# ----------------------------------------------------------------------------------------------------- mass_preserving


def test_every_row_gets_the_mass_of_its_response() -> None:
    relevance = torch.tensor([[[0.2, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]]] * 2)
    batch = batch_of([[1, 1], [-1, 0]], relevance)
    # Scores 1, -1 of criterion 0; criterion 1 has one verdict: 0. The one relevant token of four gets 4.
    expected = torch.tensor([[4.0, 0, 0, 0], [-4, 0, 0, 0]]) / (1 + 1e-6)
    torch.testing.assert_close(criterion_group(batch, mass_preserving=True), expected, rtol=1e-6, atol=0)


def test_a_row_without_relevance_becomes_uniform() -> None:
    batch = batch_of([[1], [-1]], torch.zeros(2, 1, 3), mask=[[True, True, False]] * 2)
    expected = torch.tensor([[1.0, 1, 0], [-1, -1, 0]]) / (1 + 1e-6)
    torch.testing.assert_close(criterion_group(batch, mass_preserving=True), expected, rtol=1e-6, atol=0)
    assert not criterion_group(batch).any()


@few
@given(batch=credit_batches(), seed=st.integers(0, 99))
def test_mass_preserving_is_the_plain_recomputation(batch: CreditBatch, seed: int) -> None:
    special = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(seed)) < 0.3
    expected = reference.criterion_group(batch, special=special, mass_preserving=True)
    assert_close(criterion_group(batch, special=special, mass_preserving=True), expected)
