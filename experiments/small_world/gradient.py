"""How good is an update? Each estimator's gradient against the true one, at the base model.

    true        the score function over very many rollouts of 8 prompts, with each prompt's mean as its baseline: the
                gradient of the expected share of satisfied criteria, and of each family's part of it
    estimate    what a method makes of G rollouts a prompt; the token-level part alone where it has one

    cosine      of one estimate with the true gradient: how far one step points the right way
    direction   of the mean of all estimates with the true gradient: what is left of the error when noise averages out
    snr         squared norm of the mean over the variance, without the noise's own share

The true gradient is known from two halves of the rollouts; their cosine (``ceiling``) says how well.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.lines import done
from experiments.small_world.methods import Method, parts
from experiments.small_world.policy import Policy, base_model
from experiments.small_world.running import sample, training_facts
from experiments.small_world.sources import Sampled, Source
from experiments.small_world.world import FAMILIES, FAMILY_OF, NO_KIND, Bools, Prompts
from rtt.cli.terminal import console, count_bars

PROMPTS, CRITERIA, BASE = 8, (4, 5), 0
GROUP_SIZES = (2, 4, 8, 16, 32)
REPEATS = 16

ESTIMATORS: Mapping[str, Method] = {
    "grpo-csr": Method("satisfied_fraction"),
    "gdpo": Method("gdpo"),
    "intra_sample": Method("satisfied_fraction", "intra_sample"),
    "intra_sample, floor 0.05": Method("satisfied_fraction", "intra_sample", options={"sigma_floor": 0.05}),
    "criterion_group": Method("satisfied_fraction", "criterion_group"),
    "criterion_group, mass": Method("satisfied_fraction", "criterion_group", options={"mass_preserving": True}),
    "criterion_group, whole counts": Method("satisfied_fraction", "criterion_group", source=Source(whole_counts=True)),
    "criterion_group, uniform": Method("satisfied_fraction", "criterion_group", source=Source("uniform")),
    "criterion_group, shuffled": Method("satisfied_fraction", "criterion_group", source=Source("shuffled")),
}
"""Methods with a partition stand for their token-level part alone."""

Objective = str
"""``"all"`` or a family's name."""


def of_objective(prompts: Prompts, objective: Objective) -> Bools:
    """[P K], the criteria that an objective counts."""
    there = prompts.kinds != NO_KIND
    if objective == "all":
        return there
    return there & (FAMILY_OF[np.minimum(prompts.kinds, len(FAMILY_OF) - 1)] == FAMILIES.index(objective))


def _flat(policy: Policy, loss: Tensor, keep: bool) -> Tensor:
    found = torch.autograd.grad(loss, list(policy.parameters()), retain_graph=keep, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(found, policy.parameters(), strict=True)]
    )


def _gradients(policy: Policy, sampled: Sampled, advantages: Mapping[Any, Tensor]) -> dict[Any, Tensor]:
    """The direction that raises ``sum A log p``, for several advantages [B T] of the same responses."""
    logs, _ = policy.log_probabilities(sampled.prompts, torch.from_numpy(sampled.tokens), sampled.copies)
    mask = torch.from_numpy(sampled.judged.own)
    names = list(advantages)
    return {
        name: _flat(policy, (advantages[name] * logs)[mask].sum() / mask.sum(), keep=name != names[-1])
        for name in names
    }


def true_gradients(
    policy: Policy, prompts: Prompts, rollouts: int, advance: Callable[[], None]
) -> tuple[dict[Objective, Tensor], dict[Objective, float]]:
    """The gradient of each objective from ``rollouts`` rollouts, and the cosine of its two halves."""
    generator = torch.Generator().manual_seed(123)
    copies = 32
    counted = {family: of_objective(prompts, family).repeat(copies, axis=0) for family in FAMILIES}
    sizes = (prompts.kinds != NO_KIND).sum(axis=1).repeat(copies)
    baselines = {}
    first = [sample(policy, prompts, 128, generator) for _ in range(2)]
    for family in FAMILIES:  # an independent sample, so that the baseline adds no bias
        wide = of_objective(prompts, family).repeat(128, axis=0)
        shares = [((s.judged.verdicts > 0) & wide).sum(axis=1).reshape(PROMPTS, 128).mean(axis=1) for s in first]
        baselines[family] = (sum(shares) / len(shares)).repeat(copies)
    halves: list[dict[str, Tensor]] = [{}, {}]
    for batch in range(max(2, rollouts // (PROMPTS * copies))):
        sampled = sample(policy, prompts, copies, generator)
        shape = sampled.judged.own.shape
        advantages = {}
        for family in FAMILIES:
            met = ((sampled.judged.verdicts > 0) & counted[family]).sum(axis=1)
            one = torch.from_numpy(((met - baselines[family]) / sizes).astype(np.float32))
            advantages[family] = one.unsqueeze(1).expand(shape)
        # divided by the tokens of a batch, which vary by about 1 %: a scale, not a direction
        for family, gradient in _gradients(policy, sampled, advantages).items():
            half = halves[batch % 2]
            half[family] = half[family] + gradient if family in half else gradient
        advance()
    for half in halves:
        half["all"] = functools.reduce(torch.add, (half[family] for family in FAMILIES))
    total = {name: halves[0][name] + halves[1][name] for name in halves[0]}
    return total, {name: _cosine(halves[0][name], halves[1][name]) for name in total}


def estimates(
    policy: Policy, prompts: Prompts, group_size: int, objectives: tuple[Objective, ...], repeats: int
) -> dict[tuple[str, Objective], list[Tensor]]:
    """Repeated updates of each estimator, [repeats] of flat gradients; one that says nothing is all zeros."""
    generator, rng = torch.Generator().manual_seed(1000 + group_size), np.random.default_rng(group_size)
    found: dict[tuple[str, Objective], list[Tensor]] = {}
    for _ in range(repeats):
        sampled = sample(policy, prompts, group_size, generator)
        advantages = {}
        for objective in objectives:
            counted = of_objective(prompts, objective).repeat(group_size, axis=0)
            verdicts = np.where(counted, sampled.judged.verdicts, 0)
            for name, method in ESTIMATORS.items():
                responses, tokens, batch = parts(method, sampled, verdicts, rng, policy)
                one = tokens if method.partition else responses.unsqueeze(1) * batch.mask
                advantages[name, objective] = one
        for key, gradient in _gradients(policy, sampled, advantages).items():
            found.setdefault(key, []).append(gradient)
    return found


def summary(gradients: list[Tensor], true: Tensor) -> dict[str, float]:
    """Cosine with its standard error, direction and signal-to-noise ratio of repeated estimates."""
    stack = torch.stack(gradients).double()
    n = len(stack)
    cosines = np.array([_cosine(one, true) for one in stack])
    mean = stack.mean(dim=0)
    noise = float((stack - mean).square().sum()) / (n - 1)
    signal = max(float(mean.square().sum()) - noise / n, 0.0)
    return {
        "cosine": round(float(cosines.mean()), 4),
        "cosine_se": round(float(cosines.std(ddof=1) / n**0.5), 4),
        "direction": round(_cosine(mean, true), 4),
        "snr": round(signal / noise, 4) if noise > 0 else 0.0,
    }


def _cosine(one: Tensor, other: Tensor) -> float:
    one, other = one.double(), other.double()
    norms = float(one.norm() * other.norm())
    return float(one @ other) / norms if norms > 0 else 0.0


def measure_all(rollouts: int, models: Path, file: Path) -> None:
    """Measure what has no line in ``file`` yet; the true gradients are kept beside the models."""
    torch.set_num_threads(1)
    policy = base_model(BASE, models)
    prompts, _ = training_facts().draw(PROMPTS, CRITERIA, np.random.default_rng(8))
    kept = models / f"gradients{BASE}-{rollouts}.pt"
    with count_bars(console(stderr=True)) as bars:
        if not kept.exists():
            bar = bars.add_task("true gradients", total=rollouts // (PROMPTS * 32))
            true, ceiling = true_gradients(policy, prompts, rollouts, lambda: bars.advance(bar))
            torch.save({"true": true, "ceiling": ceiling}, kept)
        saved = torch.load(kept, weights_only=True)
        known = done(file)
        bar = bars.add_task("estimators", total=len(GROUP_SIZES))
        file.parent.mkdir(parents=True, exist_ok=True)
        for size in GROUP_SIZES:
            objectives = ("all", *FAMILIES) if size == 8 else ("all",)
            if f"{rollouts}/{size}" not in known:
                found = estimates(policy, prompts, size, objectives, REPEATS)
                rows = [
                    {
                        "estimator": name,
                        "objective": objective,
                        "ceiling": round(saved["ceiling"][objective], 4),
                        **summary(gradients, saved["true"][objective]),
                    }
                    for (name, objective), gradients in found.items()
                ]
                line = {"key": f"{rollouts}/{size}", "rollouts": rollouts, "group_size": size, "rows": rows}
                with file.open("a") as stream:
                    stream.write(json.dumps(line) + "\n")
            bars.advance(bar)
