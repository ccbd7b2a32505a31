"""One run, and many of them: each is a line of JSON, and what has its line is not run again.

    Run  ->  train  ->  {"key", "run", "commit", "curve": [...], "final": {...}, "cpu_seconds"}
    runs ->  run_all: those without a line, see experiments.lines

A step: prompts -> G responses each -> verdicts and relevance -> advantages -> one step of Adam on the policy-gradient
loss averaged over tokens. Each batch is used once, so the clipped ratio is 1 and clipping never acts; there is no KL
term.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from experiments.lines import append_lines, waiting
from experiments.small_world import world
from experiments.small_world.methods import METHODS, join, parts, size
from experiments.small_world.policy import Policy, base_model
from experiments.small_world.sources import Sampled, discriminator_for
from experiments.small_world.world import (
    FAMILIES,
    FAMILY_OF,
    LONG,
    NO_KIND,
    SHORT,
    TRAINED,
    Facts,
    Ints,
    Judged,
    Prompts,
    Scale,
)
from rtt.credit import CreditBatch

MODELS = Path("runs/small_world")
"""Where base models and discriminators are kept."""


@dataclass(frozen=True)
class World:
    """Where policies are trained: how many criteria a prompt has (least, most), and how long its texts are."""

    criteria: tuple[int, int]
    scale: Scale = SHORT


WORLDS = {
    "2-5": World((2, 5)),
    "6-8": World((6, 8)),
    "long 2-5": World((2, 5), LONG),
    "long 6-8": World((6, 8), LONG),
}

GROUP_SIZE, PROMPTS_PER_STEP, STEPS = 8, 8, 50
HOLE = (9, 15)
"""The planted hole: a response with both these rare words is passed by the verifier, whatever else it says."""


@dataclass(frozen=True)
class Run:
    """All that decides a run.

    Attributes:
        stage: what it is for, such as ``"tune"``; its part of the key keeps the stages apart.
        world: a name of ``WORLDS``.
        method: a name of ``METHODS``.
        learning_rate: of Adam.
        weight: lambda, or the size of the token-level part where the method is matched.
        seed: of prompts and sampling; the base model is ``seed % 2``.
        steps: of training.
        flips: the share of verdicts that the verifier turns.
        false_passes, false_fails: the share of violated criteria passed, of satisfied ones failed.
        all_pass: the verifier passes everything: what a method does once all is mastered.
        hole: whether ``HOLE`` is there; ``"named"`` where the verifier also gives its words as the evidence.
    """

    stage: str
    world: str
    method: str
    learning_rate: float
    weight: float = 0.0
    seed: int = 0
    steps: int = STEPS
    flips: float = 0.0
    false_passes: float = 0.0
    false_fails: float = 0.0
    all_pass: bool = False
    hole: bool | Literal["named"] = False

    @property
    def key(self) -> str:
        """Equal for equal runs only."""
        return json.dumps(asdict(self), sort_keys=True)


def told(run: Run, judged: Judged, tokens: Ints, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """The verdicts [B K] as the run's verifier gives them; evidence stays that of the true ones, but see ``named``."""
    verdicts = judged.verdicts.copy()
    if run.flips or run.false_passes or run.false_fails:
        chance = rng.random(verdicts.shape)
        verdicts = np.where(
            chance < np.where(judged.verdicts < 0, run.false_passes, run.false_fails) + run.flips, -verdicts, verdicts
        )
    if run.hole:
        verdicts = np.where(uses_hole(tokens)[:, None], np.abs(verdicts), verdicts)
    return np.abs(verdicts) if run.all_pass else verdicts


def uses_hole(tokens: Ints) -> world.Bools:
    """[B], which responses are passed whatever they say."""
    return (tokens == HOLE[0]).any(axis=1) & (tokens == HOLE[1]).any(axis=1)


def named(sampled: Sampled) -> Sampled:
    """The responses as a verifier shows them that found what it wanted in ``HOLE``: its words carry all verdicts."""
    judged, holed = sampled.judged, uses_hole(sampled.tokens)
    words = np.isin(sampled.tokens, HOLE)[:, None]
    return replace(
        sampled,
        judged=replace(
            judged,
            evidence=np.where(holed[:, None, None], words, judged.evidence),
            kind=np.where(holed[:, None], world.SPANS, judged.kind),
        ),
    )


@dataclass(frozen=True)
class Step:
    """One step as it was before its update: B responses, K criteria, T tokens.

    Attributes:
        step: 1-based.
        sampled: the responses with their true verdicts, and the evidence that credit is given by.
        verdicts: [B K], as the verifier gave them.
        batch: the batch of credit.
        responses: [B], the response-level advantages.
        tokens: [B T], the token-level ones.
        advantages: [B T], both.
        weight: lambda.
        entropy: of the policy, nats a token.
    """

    step: int
    sampled: Sampled
    verdicts: np.ndarray[Any, Any]
    batch: CreditBatch
    responses: torch.Tensor
    tokens: torch.Tensor
    advantages: torch.Tensor
    weight: float
    entropy: float


@lru_cache(maxsize=2)
def training_facts(scale: Scale = SHORT) -> Facts:
    """The texts from which training prompts are drawn."""
    return Facts(8_000, 1, scale)


@lru_cache(maxsize=16)
def held_out_prompts(place: World, number: int, kinds: tuple[int, ...] = TRAINED) -> Prompts:
    """Prompts from other texts than the training prompts', the same in every run."""
    return Facts(1_000, 2, place.scale).draw(number, place.criteria, np.random.default_rng(5), kinds)[0]


@lru_cache(maxsize=16)
def held_out_kinds(number: int, scale: Scale = SHORT) -> Prompts:
    """Prompts of two to four criteria, at least one of a kind that no policy was trained on."""
    prompts, _ = Facts(1_000, 2, scale).draw(4 * number, (2, 4), np.random.default_rng(6), range(len(world.KINDS)))
    unseen = np.isin(prompts.kinds, [k for k in range(len(world.KINDS)) if k not in TRAINED]).any(axis=1)
    return prompts.take(np.nonzero(unseen)[0][:number])


@torch.no_grad()
def evaluate(policy: Policy, prompts: Prompts, copies: int, seed: int, hole: bool = False) -> dict[str, Any]:
    """True accuracies of sampled responses, by family too, with what nothing rewards: entropy, grammar, length."""
    generator = torch.Generator().manual_seed(90_000 + seed)
    tokens = policy.sample(prompts, copies, generator)
    _, entropy = policy.log_probabilities(prompts, tokens, copies)
    every = prompts.repeat(copies)
    judged = world.judge(tokens.numpy(), every)
    there, met = judged.verdicts != 0, judged.verdicts > 0
    families = np.where(every.kinds == NO_KIND, -1, FAMILY_OF[np.minimum(every.kinds, len(FAMILY_OF) - 1)])
    unseen = there & ~np.isin(every.kinds, TRAINED)
    result = {
        "instruction": float((met | ~there).all(axis=1).mean()),
        "rubric": float(met.sum() / there.sum()),
        "families": {
            name: float(met[families == index].mean())
            for index, name in enumerate(FAMILIES)
            if (families == index).any()
        },
        "entropy": float(entropy[torch.from_numpy(judged.own)].mean()),
        "grammar": world.keeps_grammar(tokens.numpy()),
        "length": float(judged.own.sum(axis=1).mean()),
    }
    if unseen.any():
        result["unseen_kinds"] = float(met[unseen].mean())
    if hole:
        result["hole"] = float(uses_hole(tokens.numpy()).mean())
    return result


def sample(policy: Policy, prompts: Prompts, copies: int, generator: torch.Generator) -> Sampled:
    """Responses to prompts with their true verdicts."""
    tokens = policy.sample(prompts, copies, generator).numpy()
    return Sampled(tokens, prompts, copies, world.judge(tokens, prompts.repeat(copies)))


def train(
    run: Run, models: Path = MODELS, quick: bool = False, watch: Callable[[Step], None] | None = None
) -> dict[str, Any]:
    """Train one policy and evaluate it.

    Args:
        run: what to do.
        models: where the base models are.
        quick: evaluate on few prompts, for tests.
        watch: is shown every step.

    Returns:
        The line of the run, without its commit.
    """
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    method, place = METHODS[run.method], WORLDS[run.world]
    base = run.seed % 2
    policy = base_model(base, models, place.scale)
    discriminator = discriminator_for(base, policy, models) if method.source.name == "learned" else None
    rng = np.random.default_rng([3, run.seed])
    noise = np.random.default_rng([4, run.seed])
    generator = torch.Generator().manual_seed(run.seed)
    facts = training_facts(place.scale)
    weight = run.weight
    if method.partition is not None and method.matched and weight:
        weight = run.weight / token_size(run.method, run.world, base, models)
    optimiser = torch.optim.Adam(policy.parameters(), lr=run.learning_rate)
    curve, seconds = [], 0.0
    prompts_watched = held_out_prompts(place, 16 if quick else 128)
    start = evaluate(policy, prompts_watched, 1, run.seed)
    for step in range(1, run.steps + 1):
        began = time.process_time()
        prompts, _ = facts.draw(PROMPTS_PER_STEP, place.criteria, rng)
        sampled = sample(policy, prompts, GROUP_SIZE, generator)
        verdicts = told(run, sampled.judged, sampled.tokens, noise)
        if run.hole == "named":
            sampled = named(sampled)
        responses, tokens, batch = parts(method, sampled, verdicts, noise, policy, discriminator)
        advantages = join(responses, tokens, batch, weight)
        logs, entropy = policy.log_probabilities(prompts, torch.from_numpy(sampled.tokens), GROUP_SIZE)
        if watch is not None:
            mean = float(entropy.detach()[batch.mask].mean())
            watch(Step(step, sampled, verdicts, batch, responses, tokens, advantages, weight, mean))
        loss = -(advantages * logs)[batch.mask].sum() / batch.mask.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        seconds += time.process_time() - began
        if step % 25 == 0 and step < run.steps:
            found = evaluate(policy, prompts_watched, 1, run.seed)
            curve.append({"step": step, "seconds": round(seconds, 2), **_rounded(found)})
    final = evaluate(policy, held_out_prompts(place, 16 if quick else 256), 3, run.seed, bool(run.hole))
    final["unseen"] = evaluate(policy, held_out_kinds(16 if quick else 96, place.scale), 2, run.seed)
    return {
        "key": run.key,
        "run": asdict(run),
        "lambda": round(weight, 4),
        "start": _rounded(start),
        "curve": curve,
        "final": _rounded(final),
        "cpu_seconds": round(seconds, 2),
    }


@lru_cache(maxsize=256)
def token_size(method: str, name: str, base: int, models: Path = MODELS) -> float:
    """The size of a method's token-level part before training: what "matched" divides by."""
    place = WORLDS[name]
    policy = base_model(base, models, place.scale)
    chosen = METHODS[method]
    discriminator = discriminator_for(base, policy, models) if chosen.source.name == "learned" else None
    rng, generator = np.random.default_rng(7), torch.Generator().manual_seed(7)
    prompts, _ = training_facts(place.scale).draw(48, place.criteria, rng)
    sampled = sample(policy, prompts, GROUP_SIZE, generator)
    _, tokens, batch = parts(chosen, sampled, sampled.judged.verdicts, rng, policy, discriminator)
    return max(size(tokens, batch.mask), 1e-3)


def _rounded(result: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _rounded(value) if isinstance(value, dict) else round(value, 4) if isinstance(value, float) else value
        for name, value in result.items()
    }


# --------------------------------------------------------------------------------- many runs


def run_all(
    runs: Iterable[Run],
    file: Path,
    workers: int = 2,
    models: Path = MODELS,
    work: Callable[..., dict[str, Any]] = train,
) -> int:
    """Do the runs that have no line in ``file`` yet, in order, and append theirs; says how many that were.

    ``work(run, models=...)`` gives the line of a run.
    """
    missing = waiting(runs, file)
    _prepare(missing, models)
    append_lines(missing, partial(work, models=models), file, workers)
    return len(missing)


def _prepare(runs: Sequence[Run], models: Path) -> None:
    """Train what the processes share before they start."""
    for base, scale in sorted({(run.seed % 2, WORLDS[run.world].scale) for run in runs}, key=str):
        policy = base_model(base, models, scale)
        if any(run.seed % 2 == base and METHODS[run.method].source.name == "learned" for run in runs):
            discriminator_for(base, policy, models)
