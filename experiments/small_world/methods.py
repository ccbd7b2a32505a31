"""The methods under comparison: a name -> how the advantages [B T] are formed, by the functions of ``rtt.credit``.

    Method.reward      all_or_nothing · satisfied_fraction · gdpo        the response-level part
    Method.partition   a name of rtt.credit.PARTITIONS, or none          the token-level part
    weight             lambda itself, or, "matched", the root mean square of the token-level part in units of a
                       response advantage's standard deviation: partitions that sum over criteria and partitions that
                       average over them are then compared at equal size

``released`` re-creates what the published code does to its maps; see ``scrambled``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.small_world.policy import Policy
from experiments.small_world.sources import Discriminator, Sampled, Source, attention_to_prompt, locate
from rtt.credit import PARTITIONS, REWARDS, CreditBatch, combine, gdpo, response_advantages

ORACLE = Source()


@dataclass(frozen=True)
class Method:
    """How a batch of verdicts and relevance becomes advantages.

    Attributes:
        reward: a name of ``rtt.credit.REWARDS``, or ``"gdpo"``.
        partition: a name of ``rtt.credit.PARTITIONS``; ``"cort"`` weighs the response advantage by what the rubric does
            to each token; None for response-level methods.
        matched: whether the weight is a size (see the module) or lambda itself.
        source: of the relevance.
        options: of the partition.
        exclude_end: leave the end of the response out of the token-level part.
        defect: None, ``"reshaped"`` or ``"truncated"``: what the released code does.
    """

    reward: str
    partition: str | None = None
    matched: bool = True
    source: Source = ORACLE
    options: Mapping[str, Any] = field(default_factory=dict)
    exclude_end: bool = False
    defect: str | None = None


_RTT_CSR = Method("satisfied_fraction", "intra_sample")
_RTT_AON = Method("all_or_nothing", "intra_sample")
_RAW_CSR, _RAW_AON = replace(_RTT_CSR, matched=False), replace(_RTT_AON, matched=False)
_GROUP = Method("satisfied_fraction", "criterion_group")
_GROUP_WHOLE = Method("gdpo", "criterion_group", source=Source(whole_counts=True))
_MENDED: Mapping[str, Any] = {"sigma_floor": 0.05, "silent_when_unanimous": True, "bound": 3.0}

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        # response level
        "grpo-aon": Method("all_or_nothing"),
        "grpo-csr": Method("satisfied_fraction"),
        "gdpo": Method("gdpo"),
        "cort-like": Method("satisfied_fraction", "cort", matched=False),
        # the paper's method
        "rtt-aon": _RTT_AON,
        "rtt-csr": _RTT_CSR,
        "rtt-aon-raw": _RAW_AON,
        "rtt-csr-raw": _RAW_CSR,
        "inter-csr": replace(_RTT_CSR, partition="inter_sample"),
        "mean-csr": replace(_RTT_CSR, partition="criteria_mean"),
        "softmax-csr": replace(_RTT_CSR, partition="criteria_softmax"),
        # a baseline over the group, then localised
        "group": _GROUP,
        "group-mass": replace(_GROUP, options={"mass_preserving": True}),
        "group-aon": replace(_GROUP, reward="all_or_nothing"),
        "gdpo+group": replace(_GROUP, reward="gdpo"),
        "gdpo+group-mass": replace(_GROUP, reward="gdpo", options={"mass_preserving": True}),
        # the second series: exact counts are carried by the whole response
        "gdpo+group*": _GROUP_WHOLE,
        "group*": replace(_GROUP_WHOLE, reward="satisfied_fraction"),
        "rtt-csr*": replace(_RTT_CSR, source=Source(whole_counts=True)),
        **{
            f"gdpo+group*/{name}": replace(_GROUP_WHOLE, source=Source(name, whole_counts=True))
            for name in ("shuffled", "learned", "random", "uniform")
        },
        **{
            f"gdpo+group*/auroc{round(100 - 100 * q)}": replace(
                _GROUP_WHOLE, source=Source("flipped", flips=q, whole_counts=True)
            )
            for q in (0.1, 0.2, 0.3, 0.4)
        },
        # the same, told where by controls and by lesser sources
        **{
            f"group/{name}": replace(_GROUP, source=Source(name))
            for name in ("uniform", "random", "shuffled", "learned", "contrast")
        },
        **{
            f"gdpo+group/{name}": replace(_GROUP, reward="gdpo", source=Source(name))
            for name in ("uniform", "random", "shuffled", "learned")
        },
        **{
            f"group/auroc{round(100 - 100 * q)}": replace(_GROUP, source=Source("flipped", flips=q))
            for q in (0.1, 0.2, 0.3, 0.4, 0.5)
        },
        "group/missing-end": replace(_GROUP, source=Source(missing="end")),
        "group/missing-none": replace(_GROUP, source=Source(missing="none")),
        **{
            f"rtt-csr-raw/{name}": replace(_RAW_CSR, source=Source(name))
            for name in ("random", "shuffled", "learned", "contrast")
        },
        # the remedies, alone and together, at the published lambda
        "rtt-csr-raw+floor": replace(_RAW_CSR, options={"sigma_floor": 0.05}),
        "rtt-csr-raw+silent": replace(_RAW_CSR, options={"silent_when_unanimous": True}),
        "rtt-csr-raw+bound": replace(_RAW_CSR, options={"bound": 3.0}),
        "rtt-csr-raw+no-end": replace(_RAW_CSR, exclude_end=True),
        "rtt-csr-raw+missing-end": replace(_RAW_CSR, source=Source(missing="end")),
        "rtt-csr-raw+missing-none": replace(_RAW_CSR, source=Source(missing="none")),
        "rtt-csr-raw+all": replace(_RAW_CSR, options=_MENDED, exclude_end=True),
        "rtt-csr-raw/noisy": replace(_RAW_CSR, source=Source("jittered")),
        "rtt-csr-raw/noisy+floor": replace(_RAW_CSR, source=Source("jittered"), options={"sigma_floor": 0.05}),
        # what the released code does
        "released-reshape-aon": replace(_RAW_AON, defect="reshaped"),
        "released-reshape-csr": replace(_RAW_CSR, defect="reshaped"),
        "released-truncation-aon": replace(_RAW_AON, source=Source("learned"), defect="truncated"),
    }
)


def credit_batch(relevance: np.ndarray[Any, Any], verdicts: np.ndarray[Any, Any], sampled: Sampled) -> CreditBatch:
    """The batch that ``rtt.credit`` reads."""
    return CreditBatch(
        verdicts=torch.from_numpy(verdicts.astype(np.int8)),
        relevance=torch.from_numpy(relevance),
        mask=torch.from_numpy(sampled.judged.own),
        group=torch.arange(len(sampled.tokens)) // sampled.copies,
        weights=torch.ones(verdicts.shape),
    )


def scrambled(batch: CreditBatch, copies: int) -> CreditBatch:
    """The batch as the released code sees it: maps reshaped where they should have been permuted, masks left behind.

    Of each group the array (responses, criteria, tokens) is read as (criteria, responses, tokens). A map keeps the sign
    of its own verdict, lands on another response and criterion, and is cut by that response's length.
    """
    verdicts, relevance = torch.zeros_like(batch.verdicts), torch.zeros_like(batch.relevance)
    for start in range(0, len(batch.group), copies):
        rows = slice(start, start + copies)
        k = int((batch.verdicts[start] != 0).sum())
        t = batch.relevance.shape[2]
        verdicts[rows, :k] = batch.verdicts[rows, :k].reshape(k, copies).permute(1, 0)
        relevance[rows, :k] = batch.relevance[rows, :k].reshape(k, copies, t).permute(1, 0, 2)
    return CreditBatch(verdicts, relevance, batch.mask, batch.group, batch.weights)


def parts(
    method: Method,
    sampled: Sampled,
    verdicts: np.ndarray[Any, Any],
    rng: np.random.Generator,
    policy: Policy,
    discriminator: Discriminator | None = None,
) -> tuple[Tensor, Tensor, CreditBatch]:
    """The response-level part [B], the token-level part [B T] and the batch they were formed from.

    Args:
        method: which.
        sampled: the responses with their true verdicts and evidence.
        verdicts: [B K], what the verifier says, which stress tests make differ from the truth.
        rng: for relevance that is drawn.
        policy: for relevance that asks it.
        discriminator: for learned relevance.
    """
    localised = method.partition not in (None, "cort")
    relevance = (
        locate(method.source, sampled, rng, policy, discriminator)
        if localised
        else np.zeros(sampled.judged.evidence.shape, dtype=np.float32)
    )
    if method.defect == "truncated":
        relevance = torch.from_numpy(relevance).bfloat16().to(torch.int64).float().numpy()
    batch = credit_batch(relevance, verdicts, sampled)
    responses = (
        gdpo(batch) if method.reward == "gdpo" else response_advantages(REWARDS[method.reward](batch), batch.group)
    )
    if method.partition is None:
        return responses, torch.zeros_like(batch.mask, dtype=torch.float32), batch
    if method.partition == "cort":
        return responses, responses.unsqueeze(1) * (attention_to_prompt(sampled, policy) - 1) * batch.mask, batch
    if method.defect == "reshaped":
        batch = scrambled(batch, sampled.copies)
    options = dict(method.options)
    if method.exclude_end:
        options["special"] = torch.from_numpy(sampled.judged.end)
    return responses, PARTITIONS[method.partition](batch, **options), batch


def size(tokens: Tensor, mask: Tensor) -> float:
    """The root mean square of a token-level part over the responses' own tokens."""
    return float(tokens[mask].square().mean().sqrt())


def join(responses: Tensor, tokens: Tensor, batch: CreditBatch, weight: float) -> Tensor:
    """``A_res + lambda A_tok``, [B T]; weight 0 is the response-level method itself."""
    return combine(responses, tokens, batch.mask, weight)
