"""Batches for tests: small ones written out, random ones by seed, and a strategy that draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from rtt.credit import CreditBatch

few = settings(max_examples=40)
"""Enough drawn batches for each planted defect to show; every call is type-checked, which takes most of the time."""

FIELDS = ("verdicts", "relevance", "mask", "group", "weights")


def batch_of(
    verdicts: Sequence[Sequence[int]],
    relevance: Sequence[Sequence[Sequence[float]]] | Tensor,
    *,
    mask: Sequence[Sequence[bool]] | Tensor | None = None,
    group: Sequence[int] | None = None,
    weights: Sequence[Sequence[float]] | None = None,
    dtype: torch.dtype = torch.float32,
) -> CreditBatch:
    """A batch from plain lists: one group, weights 1 and full masks unless said otherwise."""
    relevance = torch.as_tensor(relevance, dtype=dtype)
    b, k, t = relevance.shape
    return CreditBatch(
        verdicts=torch.tensor(verdicts, dtype=torch.int8).reshape(b, k),
        relevance=relevance,
        mask=torch.ones(b, t, dtype=torch.bool) if mask is None else torch.as_tensor(mask, dtype=torch.bool),
        group=torch.zeros(b, dtype=torch.int64) if group is None else torch.tensor(group, dtype=torch.int64),
        weights=torch.ones(b, k, dtype=dtype) if weights is None else torch.tensor(weights, dtype=dtype),
    )


def random_batch(
    seed: int, b: int = 6, k: int = 3, t: int = 9, groups: int = 2, dtype: torch.dtype = torch.float32
) -> CreditBatch:
    """Any mixture: sharp, smooth and constant relevance, holes in masks, undetermined verdicts, ragged groups."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    smooth, sharp = rand(b, k, t), (rand(b, k, t) < 0.3).double()
    constant = rand(b, k, 1).expand(b, k, t)
    kind = rand(b, k, 1)
    relevance = torch.where(kind < 0.4, smooth, torch.where(kind < 0.8, sharp, constant))
    lengths = (rand(b, 1) * (t + 1)).long()
    prefix = torch.arange(t).unsqueeze(0) < lengths
    mask = torch.where(rand(b, 1) < 0.5, prefix, rand(b, t) < 0.6)
    per_group = 2 * rand(groups, k) - 0.5  # one rubric a group, so one weight a group and criterion
    group = (rand(b) * groups).long()
    return CreditBatch(
        verdicts=((rand(b, k) * 3).long() - 1).to(torch.int8),
        relevance=relevance.float().to(dtype),  # float32 values in either type, to compare them
        mask=mask,
        group=group * 7 - 3,
        weights=per_group[group].float().to(dtype),
    )


@st.composite
def credit_batches(draw: st.DrawFn, dtype: torch.dtype = torch.float64, max_criteria: int = 4) -> CreditBatch:
    return random_batch(
        seed=draw(st.integers(0, 2**32)),
        b=draw(st.integers(1, 8)),
        k=draw(st.integers(0, max_criteria)),
        t=draw(st.integers(1, 12)),
        groups=draw(st.integers(1, 3)),
        dtype=dtype,
    )


def change(batch: CreditBatch, **tensors: Any) -> CreditBatch:
    """The batch with some of its tensors replaced."""
    return CreditBatch(**{name: tensors.get(name, getattr(batch, name)) for name in FIELDS})


def pick(batch: CreditBatch, responses: Tensor | slice) -> CreditBatch:
    """Some responses of a batch, or all in another order."""
    return CreditBatch(**{name: getattr(batch, name)[responses] for name in FIELDS})
