"""The shares of the criteria add up to what the loss was given, in whatever options, and are each criterion's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from credit.batches import batch_of, credit_batches, few
from hypothesis import given
from hypothesis import strategies as st

from rtt.credit import MOMENTS, PARTITIONS, CreditBatch, GroupVerdicts, criterion_advantages
from rtt.errors import ConfigurationError

SUMS = [name for name in PARTITIONS if name != "criteria_mean"]


@pytest.mark.parametrize("partition", SUMS)
@few
@given(batch=credit_batches(), silent=st.booleans(), seed=st.none() | st.integers(0, 99), option=st.booleans())
def test_the_shares_add_up(partition: str, batch: CreditBatch, silent: bool, seed: int | None, option: bool) -> None:
    options: dict[str, Any] = {"silent_when_unanimous": silent, "context": GroupVerdicts.of(batch)}
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        options["special"] = torch.rand(batch.mask.shape, generator=generator) < 0.2
    if option and partition in ("intra_sample", "inter_sample"):
        options["sigma_floor"] = 0.05
    if option and partition == "criterion_group":
        options["mass_preserving"] = True
    if partition in MOMENTS:
        special = {name: options[name] for name in ("special",) if name in options}
        options["moments"] = MOMENTS[partition](batch, **special)
    shares = criterion_advantages(batch, partition, bound=1e-3, **options)
    assert shares is not None
    assert shares.shape == batch.relevance.shape
    assert not shares[~batch.determined].any()
    torch.testing.assert_close(shares.sum(dim=1), PARTITIONS[partition](batch, **options), rtol=1e-9, atol=1e-9)


def test_a_share_worked_by_hand() -> None:
    batch = batch_of([[1, -1, 0]], [[[1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]]], dtype=torch.float64)
    shares = criterion_advantages(batch, "intra_sample")
    assert shares is not None
    rare, half = 3**0.5 / 2, 1 / 2  # sqrt(3), -1/sqrt(3) and 1, -1; each divided by the two determined criteria
    expected = [[rare, -rare / 3, -rare / 3, -rare / 3], [half, half, -half, -half], [0, 0, 0, 0]]
    torch.testing.assert_close(shares[0], torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)


def test_the_mean_of_criteria_has_no_shares_and_an_unknown_name_is_told() -> None:
    batch = batch_of([[1]], [[[1, 0]]])
    assert criterion_advantages(batch, "criteria_mean") is None
    with pytest.raises(ConfigurationError, match="partition 'mean'; expected one of"):
        criterion_advantages(batch, "mean")
