"""From verdicts to rewards: a number a response, or a number a token.

    all_or_nothing, satisfied_fraction   verdicts, weights             -> [B]
    token_rewards                        verdicts, relevance, mask     -> [B K T]

Source: arXiv:2604.02795. A criterion with a negative weight describes something unwanted: its verdict counts with the
opposite sign. A response without any determined criterion has no reward, which is NaN, and neither 0 nor 1.
"""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rtt.credit.batch import CreditBatch

if TYPE_CHECKING:
    from jaxtyping import Float


def all_or_nothing(batch: CreditBatch) -> Float[Tensor, " B"]:
    """Reward a response with 1 when every determined criterion is satisfied, else 0 (the paper's AON).

    With a negative weight the criterion has to be *not* met. NaN for a response without a determined criterion.
    """
    flawless = (batch.signed_verdicts >= 0).all(dim=1).to(batch.weights.dtype)
    return flawless.where(batch.determined.any(dim=1), torch.nan)


def satisfied_fraction(batch: CreditBatch, *, weighted: bool = True) -> Float[Tensor, " B"]:
    """Reward a response with the share of its determined criteria that are satisfied, in [0, 1] (the paper's CSR).

    ``sum |w| 1[earned] / sum |w|`` over the determined criteria; with equal weights this is the plain fraction. A
    positive weight is earned when the criterion is met, a negative one when it is not, so that for one rubric the
    reward rises in step with points such as HealthBench's: points plus all penalties, over the sum of all sizes.

    Args:
        batch: verdicts and weights are read.
        weighted: false counts every criterion as 1; the sign of its weight still says which verdict is good.

    Returns:
        [B]; NaN for a response whose determined criteria weigh nothing, or that has none.
    """
    sizes = batch.weights.abs() if weighted else torch.ones_like(batch.weights)
    determined = (sizes * batch.determined).sum(dim=1)
    earned = (sizes * (batch.signed_verdicts > 0)).sum(dim=1)
    return (earned / determined).where(determined > 0, torch.nan)


def token_rewards(batch: CreditBatch) -> Float[Tensor, "B K T"]:
    """Reward each token by the verdict, as far as the token is responsible for it.

    ``r[i,k,t] = s[i,k] * w[i,k,t]`` on the response's own tokens, arXiv:2604.02795. Undetermined criteria and tokens
    outside the mask get 0. The size of a criterion's weight is not in it, a negative sign turns the verdict round.
    """
    signs = batch.signed_verdicts.to(batch.relevance.dtype).unsqueeze(-1)  # (B, K, 1)
    return (signs * batch.relevance).mul_(batch.mask.unsqueeze(1))  # mask (B, 1, T)
