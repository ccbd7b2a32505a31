"""Relevance measured from its own mean, response by response and criterion by criterion.

    measure      relevance [B K T]  ->  Measured: mean and spread [B K], and the flat rows once more, from their mean
    Measured.weighted_sum               sum over k of c[i,k] (w[i,k,t] - mean[i,k])   -> [B T]
    token_moments, mean_reward_moments  what the processes of one training run tell each other

Every partition that normalises over tokens is such a weighted sum. Two demands meet here. A flat row (every token
relevant, a constant) must deviate from its mean by exactly 0: rounding noise, divided by a standard deviation that is
itself noise, would reach the policy at full size. And the array is large: it is read three times, and only its flat
rows are copied.
"""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rtt.credit.batch import CreditBatch
from rtt.credit.groups import GroupVerdicts, Moments, precise, unanimous
from rtt.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

_FLAT = 1 / 16  # variance below this share of the squared mean: sums of squares would cancel, so shift first


@dataclass(frozen=True, eq=False)
class Measured:
    """The relevance of each criterion in each response, with its moments over the tokens that take part.

    Attributes:
        own: [B T], 1 on the tokens that take part: the response's own without the special ones. 0 elsewhere.
        count: [B 1], how many.
        mean, spread: [B K], mean and sum of squared deviations of the relevance.
        relevance: [B K T], 0 outside ``own``.
        flat: [B K], the R rows that vary little beside their mean.
        deviations: [R T], those rows minus their mean; 0 outside ``own``.
    """

    own: Float[Tensor, "B T"]
    count: Float[Tensor, "B 1"]
    mean: Float[Tensor, "B K"]
    spread: Float[Tensor, "B K"]
    relevance: Float[Tensor, "B K T"]
    flat: Bool[Tensor, "B K"]
    deviations: Float[Tensor, "R T"]

    @property
    def std(self) -> Float[Tensor, "B K"]:
        """Population standard deviation of the relevance over the response's tokens."""
        return (self.spread / self.count.clamp(min=1)).sqrt()

    def weighted_sum(
        self, coefficients: Float[Tensor, "B K"], offset: Float[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T"]:
        """``sum over k of c[i,k] (w[i,k,t] - mean[i,k])``, plus an offset for each response; 0 outside ``own``."""
        dtype = self.relevance.dtype
        steep = coefficients.masked_fill(self.flat, 0.0)
        constant = -(steep * self.mean).sum(dim=1)
        if offset is not None:
            constant = constant + offset
        tokens = sum_over_criteria(steep.to(dtype).unsqueeze(1), self.relevance).squeeze(1)  # (B, T)
        tokens.addcmul_(self.own, constant.to(dtype).unsqueeze(1))
        response, _ = self.flat.nonzero(as_tuple=True)  # (R,)
        return tokens.index_add_(0, response, self.deviations * coefficients[self.flat].to(dtype).unsqueeze(1))


def own_tokens(batch: CreditBatch, special: Bool[Tensor, "B T"] | None) -> Bool[Tensor, "B T"]:
    """The response's own tokens without the special ones."""
    if special is None:
        return batch.mask
    if special.dtype != torch.bool or special.shape != batch.mask.shape:
        raise ShapeError(
            f"special is {special.dtype} {list(special.shape)}; "
            f"expected torch.bool {list(batch.mask.shape)} as the mask"
        )
    return batch.mask & ~special


def own_relevance(batch: CreditBatch, own: Bool[Tensor, "B T"]) -> Float[Tensor, "B K T"]:
    """The relevance, 0 outside ``own``; the batch's own tensor, not a copy, when ``own`` is its mask."""
    return batch.relevance if own is batch.mask else batch.relevance * own.to(batch.relevance.dtype).unsqueeze(1)


def sum_over_criteria(coefficients: Float[Tensor, "B N K"], tokens: Float[Tensor, "B K T"]) -> Float[Tensor, "B N T"]:
    """``N`` weighted sums over the criteria, in the precision of the tensors even inside autocast, without a copy."""
    with torch.autocast(device_type=tokens.device.type, enabled=False):
        return torch.bmm(coefficients, tokens)


def measure(batch: CreditBatch, special: Bool[Tensor, "B T"] | None = None) -> Measured:
    """Mean and spread of each row of relevance over the response's tokens, accurate for flat rows too.

    A row with enough spread is measured by plain sums of its values and of their squares, and stays where it is. In a
    flat one these would cancel, so it is copied and measured again from its rounded mean. What that leaves of a
    constant row is a few units in the last place, the same for each token: so few bits sum and divide exactly, and
    subtracting their mean gives exact zeros.
    """
    taking_part = own_tokens(batch, special)
    relevance = own_relevance(batch, taking_part)
    own = taking_part.to(relevance.dtype)
    count = precise(own.sum(dim=1, keepdim=True))  # (B, 1)
    mean, spread = _moments(relevance, count)
    flat = spread < _FLAT * count * mean.square()
    response, criterion = flat.nonzero(as_tuple=True)  # (R,) each
    rows, own_rows = relevance[response, criterion], own[response]  # (R, T) each, copies
    shift = mean[flat].to(rows.dtype)
    rows.addcmul_(own_rows, shift.unsqueeze(1), value=-1)
    rest, spread[flat] = _moments(rows, count[response, 0])
    rows.addcmul_(own_rows, rest.to(rows.dtype).unsqueeze(1), value=-1)
    mean[flat] = shift + rest
    return Measured(own, count, mean, spread, relevance, flat, rows)


def token_moments(batch: CreditBatch, *, special: Bool[Tensor, "B T"] | None = None) -> Moments:
    """Moments of the token rewards of each criterion in each response, for ``inter_sample(..., moments=)``.

    Args:
        batch: this process's responses.
        special: tokens left out, as in the partition.

    Returns:
        [B K] each; undetermined criteria have count 0.
    """
    return moments_of_criteria(batch, measure(batch, special))


def mean_reward_moments(
    batch: CreditBatch,
    *,
    special: Bool[Tensor, "B T"] | None = None,
    silent_when_unanimous: bool = False,
    context: GroupVerdicts | None = None,
) -> Moments:
    """Moments of the mean token reward of each response, for ``criteria_mean(..., moments=)``.

    Args:
        batch: this process's responses.
        special, silent_when_unanimous, context: as in the partition.

    Returns:
        [B 1] each; responses without a determined criterion have count 0.
    """
    measured = measure(batch, special)
    return moments_of_means(batch, measured, verdict_shares(batch, silent_when_unanimous, context))[0]


def verdict_shares(
    batch: CreditBatch, silent_when_unanimous: bool = False, context: GroupVerdicts | None = None
) -> Float[Tensor, "B K"]:
    """``s[i,k]`` over the number of determined criteria, so that a sum over k is the mean over the determined ones.

    A criterion silenced because its group is unanimous gets 0; it still counts among the determined, so that silencing
    one leaves the others as they are.
    """
    determined = precise(batch.determined).sum(dim=1, keepdim=True)
    shares = precise(batch.signed_verdicts) / determined.clamp(min=1)
    return shares.masked_fill(unanimous(batch, context), 0.0) if silent_when_unanimous else shares


def moments_of_criteria(batch: CreditBatch, measured: Measured) -> Moments:
    """The moments of ``r = s w`` for each criterion: those of ``w`` with the mean's sign turned."""
    return Moments(
        group=batch.group,
        count=measured.count * batch.determined,
        mean=measured.mean * precise(batch.signed_verdicts),
        spread=measured.spread,
    )


def moments_of_means(
    batch: CreditBatch, measured: Measured, shares: Float[Tensor, "B K"]
) -> tuple[Moments, Float[Tensor, "B T"]]:
    """The moments of ``mean over k of s w`` for each response, and its deviations from the response's own mean."""
    deviations = measured.weighted_sum(shares)
    moments = Moments(
        group=batch.group,
        count=measured.count * batch.determined.any(dim=1, keepdim=True),
        mean=(shares * measured.mean).sum(dim=1, keepdim=True),
        spread=precise(torch.linalg.vector_norm(deviations, dim=1, keepdim=True)).square(),
    )
    return moments, deviations


def _moments(rows: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sum of squared deviations of rows [... T] that are 0 but for their ``count`` [...] tokens."""
    mean = precise(rows.sum(dim=-1)) / count.clamp(min=1)
    squares = precise(torch.linalg.vector_norm(rows, dim=-1)).square()
    return mean, (squares - count * mean.square()).clamp(min=0)
