"""From rewards to advantages: what is normalised over what, and how the two levels are joined.

    response_advantages   [B]                R over the group
    gdpo                  [B]                s of one criterion over the group, summed, over the batch
    intra_sample          [B K T] -> [B T]   r over the tokens of one response, one criterion; mean over criteria
    inter_sample          [B K T] -> [B T]   r over the tokens of the whole group, one criterion; mean over criteria
    criteria_mean         [B K T] -> [B T]   mean over criteria; over the tokens of the whole group
    criteria_softmax      [B K T] -> [B T]   s over the group, one criterion; softmax of the relevance over criteria
    criterion_group       [B K T] -> [B T]   s over the group, one criterion; times the relevance, summed over criteria
    combine               [B], [B T] -> [B T]

Here r[i,k,t] = s[i,k] w[i,k,t], a "determined" criterion is one with s != 0, and a negative weight turns s round. The
first four partitions are those of arXiv:2604.02795; ``criterion_group`` goes beyond it. Each returns 0 outside the mask
and for a response without a determined criterion, and never NaN.

What the partitions share, by keyword, and off when absent:

    sigma_floor             the least standard deviation of token rewards to divide by (0.05 silences noise)
    special                 [B T], end-of-sequence and other special tokens: outside the moments, advantage 0
    silent_when_unanimous   a criterion on which the whole group agrees contributes 0, so that learning it ends
    bound                   the token advantage is clamped to [-bound, bound]
    context, moments        gathered statistics, where a group is split over processes
"""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rtt.credit.batch import CreditBatch
from rtt.credit.groups import GroupVerdicts, Moments, precise, unanimous, verdict_scores
from rtt.credit.tokens import (
    measure,
    moments_of_criteria,
    moments_of_means,
    own_relevance,
    own_tokens,
    sum_over_criteria,
    verdict_shares,
)
from rtt.errors import ConfigurationError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Num

_EPS = 1e-6


def response_advantages(
    rewards: Num[Tensor, " B"], group: Int[Tensor, " B"], *, eps: float = 1e-6
) -> Float[Tensor, " B"]:
    """Measure each response's reward against its group: ``(R - mean) / (std + eps)``, the sample's std, as in GRPO.

    Args:
        rewards: one a response; NaN for a response without reward, which is left out of the moments and gets 0.
        group: which responses answer the same prompt, in any order.
        eps: added to the standard deviation.

    Returns:
        [B]; exactly 0 where all rewards of a group are equal, and for a response alone in its group.
    """
    values = precise(rewards).unsqueeze(1)
    present = ~values.isnan()
    pooled = Moments(group, precise(present), values.nan_to_num(0.0), torch.zeros_like(values)).pool(correction=1)
    scores = pooled.deviations(values, group) / (pooled.standard_deviations(group, 1) + eps)
    dtype = rewards.dtype if rewards.is_floating_point() else torch.float32
    return scores.where(present, 0.0).squeeze(1).to(dtype)


def gdpo(batch: CreditBatch, *, weighted: bool = True, context: GroupVerdicts | None = None) -> Float[Tensor, " B"]:
    """Group-decoupled response advantages, arXiv:2601.05242: a baseline without token-level credit.

    Each criterion's verdicts are normalised over their group as in ``criterion_group`` (population std + 1e-6, over the
    determined ones), summed over criteria with their weights, and the sums normalised over the batch (mean, sample std
    + 1e-4). Responses without a determined criterion are left out of the batch's moments and get 0.

    Args:
        batch: verdicts, weights and group are read.
        weighted: false takes only the sign of each weight.
        context: the gathered verdicts and weights, where groups or the batch are split over processes.
    """
    everyone = context or GroupVerdicts.of(batch)
    pooled = everyone.moments().pool(correction=0)

    def sums(verdicts: Tensor, weights: Tensor | None, group: Tensor) -> Tensor:
        values = precise(verdicts)
        scores = pooled.deviations(values, group)
        scores = scores / (pooled.standard_deviations(group, values.shape[1]) + _EPS)
        if weights is not None:
            scores = scores * precise(weights if weighted else weights.sign() + (weights == 0))
        return scores.where(verdicts != 0, 0.0).sum(dim=1)

    total = sums(everyone.verdicts, everyone.weights, everyone.group)
    total = total[(everyone.verdicts != 0).any(dim=1)]
    spread = (total - total.mean()).square().sum() / max(total.numel() - 1, 1)
    own = sums(batch.verdicts, batch.weights if everyone.weights is not None else None, batch.group)
    scores = (own - total.mean()) / (spread.sqrt() + 1e-4)
    return scores.where(batch.determined.any(dim=1), 0.0).to(batch.relevance.dtype)


def intra_sample(
    batch: CreditBatch,
    *,
    sigma_floor: float = 0.0,
    special: Bool[Tensor, "B T"] | None = None,
    silent_when_unanimous: bool = False,
    bound: float | None = None,
    context: GroupVerdicts | None = None,
) -> Float[Tensor, "B T"]:
    """Move credit inside a response, from tokens less to tokens more relevant than its mean: the method of the paper.

    ``A[i,k,t] = (r - mean) / (std + 1e-6)`` over the response's own tokens (population std), mean over determined k;
    configuration ``token_only_adv-rubrics_mean`` of arXiv:2604.02795. It sums to 0 over each response. One token of T
    gets about ``sqrt(T)``: see ``bound``.

    Args:
        batch: the responses. Only ``silent_when_unanimous`` looks beyond one response.
        sigma_floor: the least std to divide by, in units of relevance.
        special: tokens left out of the moments and given 0.
        silent_when_unanimous: criteria on which the group agrees contribute 0.
        bound: the largest size of a token's advantage.
        context: gathered verdicts, for ``silent_when_unanimous`` where groups are split over processes.
    """
    measured = measure(batch, special)
    shares = verdict_shares(batch, silent_when_unanimous, context)
    return _bounded(measured.weighted_sum(shares / _divisor(measured.std, sigma_floor)), bound)


def inter_sample(
    batch: CreditBatch,
    *,
    sigma_floor: float = 0.0,
    special: Bool[Tensor, "B T"] | None = None,
    silent_when_unanimous: bool = False,
    bound: float | None = None,
    context: GroupVerdicts | None = None,
    moments: Moments | None = None,
) -> Float[Tensor, "B T"]:
    """Compare each token with all tokens of the group, criterion by criterion.

    ``A[i,k,t] = (r - mean) / (std + 1e-6)``, the moments over the own tokens of all responses to the prompt whose
    criterion k is determined (population std), mean over determined k; ``group_token_adv-rubrics_mean`` of
    arXiv:2604.02795.

    Args:
        batch: the responses.
        sigma_floor, special, silent_when_unanimous, bound, context: as in ``intra_sample``.
        moments: ``token_moments`` gathered from all processes, where groups are split over them.
    """
    measured = measure(batch, special)
    mine = moments_of_criteria(batch, measured)
    pooled = (moments or mine).pool(correction=0)
    std = pooled.standard_deviations(batch.group, batch.verdicts.shape[1])
    # (s w - group mean) = s (w - own mean) + (s own mean - group mean): the second part is one number a response.
    scale = 1 / (_divisor(std, sigma_floor) * precise(batch.determined).sum(dim=1, keepdim=True).clamp(min=1))
    scale = scale.where(batch.determined, 0.0)
    if silent_when_unanimous:
        scale = scale.masked_fill(unanimous(batch, context), 0.0)
    offset = (scale * pooled.deviations(mine.mean, batch.group)).sum(dim=1)
    return _bounded(measured.weighted_sum(scale * precise(batch.signed_verdicts), offset), bound)


def criteria_mean(
    batch: CreditBatch,
    *,
    sigma_floor: float = 0.0,
    special: Bool[Tensor, "B T"] | None = None,
    silent_when_unanimous: bool = False,
    bound: float | None = None,
    context: GroupVerdicts | None = None,
    moments: Moments | None = None,
) -> Float[Tensor, "B T"]:
    """Give each token one reward, the mean over its determined criteria, and compare it with all tokens of the group.

    ``A[i,t] = (r - mean) / (std + 1e-6)``, the moments over the own tokens of the responses to the same prompt that
    have a determined criterion (population std); ``rubric_token_mean-groups_adv`` of arXiv:2604.02795. The released
    code mixes prompts here; this does not.

    Args:
        batch: the responses.
        sigma_floor, special, silent_when_unanimous, bound, context: as in ``intra_sample``.
        moments: ``mean_reward_moments`` gathered from all processes, where groups are split over them.
    """
    if moments is not None and moments.mean.shape[1] != 1:
        raise ShapeError(f"moments of {moments.mean.shape[1]} criteria; expected one column, from mean_reward_moments")
    shares = verdict_shares(batch, silent_when_unanimous, context)
    measured = measure(batch, special)
    mine, deviations = moments_of_means(batch, measured, shares)
    pooled = (moments or mine).pool(correction=0)
    offset = pooled.deviations(mine.mean, batch.group).to(deviations.dtype)
    divisor = _divisor(pooled.standard_deviations(batch.group, 1), sigma_floor).to(deviations.dtype)
    present = batch.determined.any(dim=1, keepdim=True).to(deviations.dtype)  # (B, 1)
    return _bounded(deviations.addcmul_(measured.own, offset * present).div_(divisor), bound)


def criteria_softmax(
    batch: CreditBatch,
    *,
    special: Bool[Tensor, "B T"] | None = None,
    silent_when_unanimous: bool = False,
    bound: float | None = None,
    context: GroupVerdicts | None = None,
) -> Float[Tensor, "B T"]:
    """Share each token among the criteria by a softmax of their relevance, and give it their verdicts' scores.

    ``a[i,k] = (s - mean) / (std + 1e-6)`` over the group's determined responses (sample std, as in GRPO), then
    ``sum over k of a[i,k] softmax_k(w[i,:,t])``, the softmax over the determined criteria;
    ``group_adv-token_softmax-rubrics-sum`` of arXiv:2604.02795.

    Args:
        batch: the responses.
        special: tokens given 0.
        silent_when_unanimous: changes nothing: a criterion on which the group agrees has score 0 as it is. Accepted so
            that the partitions can be exchanged.
        bound: the largest size of a token's advantage.
        context: gathered verdicts, where groups are split over processes.
    """
    own = own_tokens(batch, special)
    scores = verdict_scores(batch, context, correction=1).to(batch.relevance.dtype)
    exponentials = batch.relevance.exp()  # of numbers in [0, 1]: no overflow, nothing to subtract
    both = torch.stack([scores, batch.determined.to(scores.dtype)], dim=1)  # (B, 2, K)
    numerator, denominator = sum_over_criteria(both, exponentials).unbind(dim=1)  # (B, T) each
    return _bounded((numerator / denominator).where(own & (denominator > 0), 0.0), bound)


def criterion_group(
    batch: CreditBatch,
    *,
    special: Bool[Tensor, "B T"] | None = None,
    silent_when_unanimous: bool = False,
    mass_preserving: bool = False,
    bound: float | None = None,
    context: GroupVerdicts | None = None,
) -> Float[Tensor, "B T"]:
    """Give each token the scores of the criteria that it is relevant to: a baseline across responses, then localised.

    ``a[i,k] = (s - mean) / (std + 1e-6)`` over the group's determined verdicts (population std), then
    ``sum over determined k of a[i,k] w[i,k,t]``. Beyond the paper: a criterion that the whole group meets is silent.

    Args:
        batch: the responses.
        special: tokens given 0, and left out of the mean that ``mass_preserving`` scales to.
        silent_when_unanimous: changes nothing: a criterion on which the group agrees has score 0 as it is. Accepted so
            that the partitions can be exchanged.
        mass_preserving: scales each row of relevance to mean 1 over the response's tokens, so that a criterion weighs
            the same wherever and however sharply it is located; a row without any relevance becomes 1 everywhere.
        bound: the largest size of a token's advantage.
        context: gathered verdicts, where groups are split over processes.
    """
    own = own_tokens(batch, special)
    relevance = own_relevance(batch, own)
    scores = verdict_scores(batch, context, correction=0)
    if mass_preserving:
        mass = precise(relevance.sum(dim=2))
        unlocated = scores.where(mass == 0, 0.0)
        scores = (scores * own.sum(dim=1, keepdim=True) / mass).where(mass > 0, 0.0)
    tokens = sum_over_criteria(scores.to(relevance.dtype).unsqueeze(1), relevance).squeeze(1)  # (B, T)
    if mass_preserving:
        tokens.addcmul_(own.to(tokens.dtype), unlocated.sum(dim=1, keepdim=True).to(tokens.dtype))
    return _bounded(tokens, bound)


def combine(
    response_advantages: Float[Tensor, " B"],
    token_advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    weight: float,
    how: str = "add",
) -> Float[Tensor, "B T"]:
    """Join the two levels: ``add`` is ``A_res + weight A_tok``, ``mix`` is ``(1 - weight) A_res + weight A_tok``.

    arXiv:2604.02795; the authors add, with weight 0.5. Weight 0 gives the response advantage of each token bit for bit,
    which is GRPO.

    Args:
        response_advantages, token_advantages: finite, of one floating type.
        mask: the response's own tokens; the others get 0.
        weight: lambda, at least 0; at most 1 for ``mix``.
        how: ``"add"`` or ``"mix"``.

    Raises:
        ConfigurationError: another ``how``, or a weight outside its range.
    """
    if how not in ("add", "mix"):
        raise ConfigurationError(f"how={how!r}; expected 'add' or 'mix'")
    if not 0 <= weight < math.inf or (how == "mix" and weight > 1):
        expected = "a number in [0, 1]" if how == "mix" else "a finite number, at least 0"
        raise ConfigurationError(f"weight {weight} with how={how!r}; expected {expected}")
    advantages = response_advantages.unsqueeze(1).expand_as(token_advantages)
    if weight != 0:  # adding 0 * A_tok would turn -0.0 into 0.0, and the promise is bit for bit
        advantages = (1 - weight if how == "mix" else 1) * advantages + weight * token_advantages
    return advantages.where(mask, 0.0)


def _divisor(std: Tensor, floor: float) -> Tensor:
    if not 0 <= floor < math.inf:
        raise ConfigurationError(f"sigma_floor={floor}; expected a number that is at least 0")
    return std.clamp(min=floor) + _EPS


def _bounded(advantages: Tensor, bound: float | None) -> Tensor:
    if bound is None:
        return advantages
    if not bound > 0:
        raise ConfigurationError(f"bound={bound}; expected a number above 0, or None for no bound")
    return advantages.clamp_(min=-bound, max=bound)
