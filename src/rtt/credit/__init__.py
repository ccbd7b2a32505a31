"""Token-level credit: the method, as pure functions on tensors.

    CreditBatch --- reward -----> [B]     --- response_advantages -> [B]   ---.
        |                                                                      combine -> [B T]
        '---------- partition (token_rewards, normalised) -------> [B T]   ---'

Axes: B responses, K criteria, T tokens. Nothing here loops over responses, criteria or tokens, keeps state, or has a
gradient. Source: arXiv:2604.02795; departures say so where they happen.
"""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from rtt.credit.advantages import (
    combine,
    criteria_mean,
    criteria_softmax,
    criterion_group,
    gdpo,
    inter_sample,
    intra_sample,
    response_advantages,
)
from rtt.credit.batch import CreditBatch, CreditRow, collate
from rtt.credit.groups import GroupVerdicts, Moments
from rtt.credit.rewards import all_or_nothing, satisfied_fraction, token_rewards
from rtt.credit.shares import criterion_advantages
from rtt.credit.tokens import mean_reward_moments, token_moments
from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = [
    "MOMENTS",
    "PARTITIONS",
    "REWARDS",
    "CreditBatch",
    "CreditResult",
    "CreditRow",
    "GroupVerdicts",
    "Moments",
    "all_or_nothing",
    "assign_credit",
    "collate",
    "combine",
    "criteria_mean",
    "criteria_softmax",
    "criterion_advantages",
    "criterion_group",
    "gdpo",
    "inter_sample",
    "intra_sample",
    "mean_reward_moments",
    "response_advantages",
    "satisfied_fraction",
    "token_moments",
    "token_rewards",
]

REWARDS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"all_or_nothing": all_or_nothing, "satisfied_fraction": satisfied_fraction}
)
"""The rewards of a response by name: ``(batch) -> [B]``."""

PARTITIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "intra_sample": intra_sample,
        "inter_sample": inter_sample,
        "criteria_mean": criteria_mean,
        "criteria_softmax": criteria_softmax,
        "criterion_group": criterion_group,
    }
)
"""The token-level advantages by name: ``(batch, *, options) -> [B T]``."""

MOMENTS: Mapping[str, Callable[..., Moments]] = MappingProxyType(
    {"inter_sample": token_moments, "criteria_mean": mean_reward_moments}
)
"""What a process gathers from the others and hands on as ``moments=``, for the partitions that need it."""


@dataclass(frozen=True, eq=False)
class CreditResult:
    """What ``assign_credit`` found, stage by stage.

    Attributes:
        rewards: [B], NaN for a response without a determined criterion.
        response_advantages: [B].
        token_advantages: [B T].
        advantages: [B T], the two joined.
    """

    rewards: Float[Tensor, " B"]
    response_advantages: Float[Tensor, " B"]
    token_advantages: Float[Tensor, "B T"]
    advantages: Float[Tensor, "B T"]


def assign_credit(
    batch: CreditBatch,
    *,
    reward: str = "satisfied_fraction",
    partition: str = "intra_sample",
    weight: float = 0.5,
    how: str = "add",
    **options: Any,
) -> CreditResult:
    """The whole method, in reading order: reward each response, localise, join.

    The batch holds its groups whole; where they are split over processes, gather the rewards between the steps.

    Args:
        batch: the responses.
        reward: a name of ``REWARDS``.
        partition: a name of ``PARTITIONS``.
        weight: lambda; 0 gives GRPO, bit for bit.
        how: ``"add"`` or ``"mix"``.
        options: of the partition: ``sigma_floor``, ``special``, ``silent_when_unanimous``, ``bound``, ...

    Raises:
        ConfigurationError: an unknown name, an option that the partition does not have, or a value out of range.
    """
    rewards = _named("reward", reward, REWARDS)(batch)
    responses = response_advantages(rewards, batch.group)
    localise = _named("partition", partition, PARTITIONS)
    known = [name for name in inspect.signature(localise).parameters if name != "batch"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConfigurationError(f"partition {partition!r} has no option {unknown}; it has {known}")
    tokens = localise(batch, **options)
    return CreditResult(
        rewards=rewards,
        response_advantages=responses,
        token_advantages=tokens,
        advantages=combine(responses, tokens, batch.mask, weight, how),
    )


def _named(kind: str, name: str, functions: Mapping[str, Callable[..., Tensor]]) -> Callable[..., Tensor]:
    if name not in functions:
        raise ConfigurationError(f"{kind} {name!r}; expected one of {sorted(functions)}")
    return functions[name]
