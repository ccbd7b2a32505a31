"""Statistics over the responses of one prompt, from one process or gathered from several.

    Moments       count, mean and spread of each response      [N K], small: what processes tell each other
       |  pool
    Pooled        mean and standard deviation of each group    [G K]
       |  deviations, standard_deviations
    a value of each response, seen from its group              [B K]

A group is what has equal ids: any ids, any order, any sizes. Sums run in float64 (float32 where the device has no
float64), so the order of the responses does not show in float32 results.
"""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rtt.credit.batch import CreditBatch
from rtt.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Int64


def precise(values: Tensor) -> Tensor:
    """``values`` in the widest floating type of their device."""
    return values.to(torch.float32 if values.device.type == "mps" else torch.float64)


@dataclass(frozen=True, eq=False)
class GroupVerdicts:
    """The verdicts of whole groups, gathered from all processes that hold a part of them.

    Attributes:
        verdicts: +1, -1 or 0, [N K]; pad to one K with 0 before gathering. May have more columns than a batch.
        group: [N], ids that mean the same prompt in every process.
        weights: [N K]; all 1 when absent. Only ``gdpo`` reads them.
    """

    verdicts: Int[Tensor, "N K"]
    group: Int64[Tensor, " N"]
    weights: Float[Tensor, "N K"] | None = None

    @classmethod
    def of(cls, batch: CreditBatch) -> GroupVerdicts:
        """The verdicts of a batch that holds its groups whole."""
        return cls(verdicts=batch.verdicts, group=batch.group, weights=batch.weights)

    def moments(self) -> Moments:
        """Each determined verdict as one observation."""
        verdicts = precise(self.verdicts)
        return Moments(self.group, (verdicts != 0).to(verdicts.dtype), verdicts, torch.zeros_like(verdicts))


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and spread of some observations in each of ``N`` responses: all that a group needs to know of them.

    To gather, concatenate each field of the processes along the first axis.

    Attributes:
        group: [N], ids that mean the same prompt in every process.
        count: [N K], observations; 0 where there are none, and then mean and spread are not read.
        mean: [N K].
        spread: [N K], sum of the squared deviations from the mean.
    """

    group: Int64[Tensor, " N"]
    count: Float[Tensor, "N K"]
    mean: Float[Tensor, "N K"]
    spread: Float[Tensor, "N K"]

    def pool(self, *, correction: int) -> Pooled:
        """Mean and standard deviation of each group's observations together.

        Args:
            correction: 0 for the population's standard deviation, 1 for the sample's.
        """
        ids, index = torch.unique(self.group, return_inverse=True)
        present = self.count > 0
        shape = (len(ids), self.mean.shape[1])
        # Measured from the group's lowest mean: equal observations then differ by exactly 0, whatever their value.
        everywhere = index.unsqueeze(1).expand_as(self.mean)
        lowest = self.mean.new_full(shape, torch.inf)
        lowest.scatter_reduce_(0, everywhere, self.mean.where(present, torch.inf), reduce="amin")
        lowest = lowest.where(lowest.isfinite(), 0.0)
        above = (self.mean - lowest[index]).where(present, 0.0)

        def total(values: Tensor) -> Tensor:
            return values.new_zeros(shape).index_add_(0, index, values)

        count = total(self.count)
        mean = total(self.count * above) / count.clamp(min=1)
        spread = total(self.spread.where(present, 0.0) + self.count * (above - mean[index]).square())
        std = (spread / (count - correction).clamp(min=1)).sqrt()
        return Pooled(ids=ids, lowest=lowest, mean=mean, std=std)


@dataclass(frozen=True, eq=False)
class Pooled:
    """Mean and standard deviation of ``G`` groups; the mean is ``lowest + mean``, kept apart to subtract exactly.

    Attributes:
        ids: [G], sorted.
        lowest, mean, std: [G K].
    """

    ids: Int64[Tensor, " G"]
    lowest: Float[Tensor, "G K"]
    mean: Float[Tensor, "G K"]
    std: Float[Tensor, "G K"]

    def deviations(self, values: Float[Tensor, "B K"], group: Int64[Tensor, " B"]) -> Float[Tensor, "B K"]:
        """``values`` minus their group's mean."""
        index, k = self._find(group, values.shape[1]), values.shape[1]
        return (values - self.lowest[index, :k]) - self.mean[index, :k]

    def standard_deviations(self, group: Int64[Tensor, " B"], columns: int) -> Float[Tensor, "B K"]:
        """The standard deviation of each response's group, [B columns]."""
        return self.std[self._find(group, columns), :columns]

    def _find(self, group: Tensor, columns: int) -> Tensor:
        """Where each response's group lies among ``ids``."""
        if columns > self.std.shape[1]:
            raise ShapeError(
                f"the gathered statistics have {self.std.shape[1]} criteria and the batch {columns}; "
                "pad to the longest rubric of all processes before gathering"
            )
        if len(group) == 0:
            return group
        index = torch.searchsorted(self.ids, group).clamp(max=max(len(self.ids) - 1, 0))
        if len(self.ids) == 0 or not bool((self.ids[index] == group).all()):
            raise ShapeError("a group of the batch is not among the gathered ones; gather every process, this one too")
        return index


def verdict_scores(
    batch: CreditBatch, context: GroupVerdicts | None, *, correction: int, eps: float = 1e-6
) -> Float[Tensor, "B K"]:
    """Each criterion's verdicts normalised over its group, ``(s - mean) / (std + eps)``; undetermined ones get 0.

    The moments are those of the determined verdicts. Where all agree the score is exactly 0. A negative weight turns
    the score round.
    """
    pooled = (context or GroupVerdicts.of(batch)).moments().pool(correction=correction)
    k = batch.verdicts.shape[1]
    scores = pooled.deviations(precise(batch.verdicts), batch.group)
    scores = scores / (pooled.standard_deviations(batch.group, k) + eps)
    return torch.where(batch.weights < 0, -scores, scores).where(batch.determined, 0.0)


def unanimous(batch: CreditBatch, context: GroupVerdicts | None) -> Bool[Tensor, "B K"]:
    """True where the determined verdicts of a criterion agree over the response's whole group."""
    pooled = (context or GroupVerdicts.of(batch)).moments().pool(correction=0)
    return pooled.standard_deviations(batch.group, batch.verdicts.shape[1]) == 0
