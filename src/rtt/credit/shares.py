"""Whose credit is it: a token's advantage as a sum over criteria, for people who look. Training needs none of it."""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rtt.credit.advantages import criteria_softmax, criterion_group, inter_sample, intra_sample
from rtt.credit.batch import CreditBatch
from rtt.credit.groups import GroupVerdicts, Moments, precise
from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    from jaxtyping import Float

_PARTITIONS: dict[str, Callable[..., Tensor]] = {
    "intra_sample": intra_sample,
    "inter_sample": inter_sample,
    "criteria_softmax": criteria_softmax,
    "criterion_group": criterion_group,
}


def criterion_advantages(batch: CreditBatch, partition: str, **options: Any) -> Float[Tensor, "B K T"] | None:
    """What each criterion contributes to each token's advantage: summed over K it is the partition's result, unbounded.

    Every partition but one is a sum over criteria that do not know of each other, so each criterion is asked alone.

    Args:
        batch: the responses.
        partition: a name of ``PARTITIONS``.
        options: of the partition; ``bound`` is not applied.

    Returns:
        [B K T]; None for ``criteria_mean``, which normalises the mean of the criteria and knows no share of one.
    """
    if partition == "criteria_mean":
        return None
    if partition not in _PARTITIONS:
        raise ConfigurationError(f"partition {partition!r}; expected one of {[*sorted(_PARTITIONS), 'criteria_mean']}")
    given = {name: value for name, value in options.items() if name != "bound"}
    found = torch.zeros_like(batch.relevance)
    for k in range(batch.verdicts.shape[1]):
        one = slice(k, k + 1)
        alone = replace(
            batch,
            verdicts=batch.verdicts[:, one],
            relevance=batch.relevance[:, one],
            weights=batch.weights[:, one],
        )
        found[:, k] = _PARTITIONS[partition](alone, **{name: _column(value, one) for name, value in given.items()})
    if partition == "criteria_softmax":  # alone, a criterion has the whole of the softmax
        exponentials = batch.relevance.exp() * batch.determined.unsqueeze(-1)
        return found * exponentials / exponentials.sum(dim=1, keepdim=True).clamp(min=1)
    if partition in ("intra_sample", "inter_sample"):
        return found / precise(batch.determined).sum(dim=1).clamp(min=1)[:, None, None].to(found.dtype)
    return found


def _column(value: Any, one: slice) -> Any:
    """An option as it is for one criterion: gathered statistics have a column each."""
    if isinstance(value, GroupVerdicts):
        weights = None if value.weights is None else value.weights[:, one]
        return GroupVerdicts(value.verdicts[:, one], value.group, weights)
    if isinstance(value, Moments):
        return Moments(value.group, value.count[:, one], value.mean[:, one], value.spread[:, one])
    return value
