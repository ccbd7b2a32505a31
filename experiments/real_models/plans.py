"""What is run: arms, settings, and where everything lies. All that decides a run is in its key.

The token-level arms are what the small world's second series suggests. All arms of a model share its settings,
the demo's learning rate above all. The hours had no room for tuning, so the tuning budget is equal by being none: no
arm was tuned on these models, and one that wants another learning rate is at a disadvantage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rtt.demo.settings import FAST, DemoSettings

RESULTS = Path("results/real_models")
RUNS = Path("runs/real_models")
"""Checkpoints and logs of the runs."""

SEEDS = (0, 1, 2)

BASELINES: Mapping[str, Mapping[str, Any]] = {
    "grpo-aon": {"token_weight": 0.0, "reward": "aon"},
    "grpo-csr": {"token_weight": 0.0, "reward": "csr"},
    "gdpo": {"token_weight": 0.0, "response_advantage": "gdpo"},
}

ARMS: Mapping[str, Mapping[str, Any]] = {
    **BASELINES,
    "rtt-gdpo": {"response_advantage": "gdpo", "partition": "criterion_group", "token_weight": 2.0},
    "rtt-csr": {"reward": "csr", "partition": "criterion_group", "token_weight": 2.0},
}
"""The options of RTTConfig by arm."""

BASE = "base"
"""The arm that is not trained: each model's evaluation before, once for all arms."""


@dataclass(frozen=True)
class Held:
    """IFEval, held out: no prompt of it is trained on.

    Attributes:
        prompts: how many, a subset drawn once.
        max_tokens: where a greedy response is cut; the benchmark's own limit is 1280, so these are no official scores.
        batch: responses generated together.
    """

    prompts: int = 40
    max_tokens: int = 64
    batch: int = 32


SETTINGS: Mapping[str, DemoSettings] = {
    "smollm2": DemoSettings(steps=8, eval_samples=1, eval_batch=32, save_steps=2, records_steps=0, token_weight=0.5),
    "gemma3": DemoSettings(
        steps=6,
        max_completion_length=32,
        micro_batch=4,
        eval_samples=1,
        eval_batch=32,
        save_steps=2,
        records_steps=0,
        token_weight=0.5,
    ),
}
"""By model; the learning rate is the demo's, 3e-4. The method is the arm's; ``token_weight`` only stands in keys."""


@dataclass(frozen=True)
class Run:
    """All that decides a run: what the arm and the settings say stands in it, so a change of either is another run.

    Attributes:
        model: a name of :mod:`experiments.real_models.models`.
        arm: a name of ``ARMS``, or ``BASE``.
        seed: of LoRA's first weights, the order of the prompts and the sampled responses.
        settings: of training and of the evaluation on the project's held-out tasks; those of the demo's method and the
            seed are not read.
        options: of RTTConfig, the method.
        ifeval: of the evaluation on IFEval.
    """

    model: str
    arm: str
    seed: int
    settings: DemoSettings
    options: Mapping[str, Any] = field(default_factory=dict)
    ifeval: Held = Held()

    @property
    def key(self) -> str:
        """Equal for equal runs only."""
        return json.dumps(asdict(self), sort_keys=True)


def runs(models: Sequence[str] = tuple(SETTINGS)) -> list[Run]:
    """Each model before training, then its arms, seed by seed."""
    return [
        run
        for model in models
        for run in (
            Run(model, BASE, 0, SETTINGS[model]),
            *(Run(model, arm, seed, SETTINGS[model], options) for seed in SEEDS for arm, options in ARMS.items()),
        )
    ]


def quick() -> list[Run]:
    """Every arm with the tiny model, one step, few prompts."""
    settings = replace(FAST, steps=1, eval_prompts=4, eval_samples=1, records_steps=0)
    held = Held(prompts=4, max_tokens=8, batch=4)
    return [
        Run("tiny", BASE, 0, settings, ifeval=held),
        *(Run("tiny", arm, seed, settings, options, held) for seed in (0, 1) for arm, options in ARMS.items()),
    ]
