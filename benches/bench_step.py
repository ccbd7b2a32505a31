"""What token-level credit costs a training step: stock GRPO beside RTT with evidence and with a discriminator, one run.

    python benches/bench_step.py [--steps 2 --rounds 2 --prompts 2 --generations 4 --tokens 32 --output results]

Same model (SmolLM2-135M-Instruct with LoRA), prompts, seed and lengths: every response is exactly --tokens long. The
arms take turns, --rounds times; the first step of each turn warms up and is left out. The discriminator is the joint
one on its default backbone (22 million parameters) with untrained weights, which take as long as trained ones.

    sampling     the policy generates            verdicts   rules decide each criterion
    relevance    evidence, or the discriminator  rest       log-probabilities, advantages, loss, gradients, optimiser

Exits with 1 when a bound is missed: RTT with evidence at most 1.05 times plain GRPO, with the discriminator 1.15 times.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from rich.console import Console
from rich.progress import track
from transformers import AutoTokenizer, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

from rtt.demo.models import obtain_model
from rtt.demo.run import bundled_tasks
from rtt.generation import load_model
from rtt.model_sources import obtain_encoder
from rtt.relevance.discriminator.inputs import Template
from rtt.relevance.discriminator.model import Discriminator, DiscriminatorSettings, build_network
from rtt.trainers.trl import RTTConfig, RTTTrainer, RubricReward, task_dataset

BOUNDS = {"RTT, evidence": 1.05, "RTT, discriminator": 1.15}
PLAIN = "GRPO (TRL)"
STAGES = ("sampling", "verdicts", "relevance", "rest")


class Clock(TrainerCallback):
    """Seconds of each step by stage."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.now: dict[str, float] = {}
        self.started = 0.0

    def timed(self, owner: Any, method: str, stage: str) -> None:
        """Count what a method takes as a stage."""
        plain: Callable[..., Any] = getattr(owner, method)

        def measured(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return plain(*arguments, **options)
            finally:
                self.now[stage] += time.perf_counter() - start

        setattr(owner, method, measured)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.now, self.started = defaultdict(float), time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        seconds = time.perf_counter() - self.started
        named = sum(self.now.values())
        self.steps.append(
            {**{stage: self.now.get(stage, 0.0) for stage in STAGES}, "rest": seconds - named, "step": seconds}
        )


def train(arm: str, options: argparse.Namespace, folder: Path, policy: Path, scorer: Path) -> list[dict[str, float]]:
    """A few steps of one arm; what each took but the first."""
    random.seed(0)
    set_seed(0)
    model, tokenizer = load_model(policy)
    shared: dict[str, Any] = {
        "output_dir": str(folder / arm),
        "num_generations": options.generations,
        "per_device_train_batch_size": options.prompts * options.generations,
        "max_completion_length": options.tokens,
        "generation_kwargs": {"min_new_tokens": options.tokens},
        "max_steps": options.steps + 1,
        "learning_rate": 1e-5,
        "loss_type": "grpo",
        "epsilon_high": 0.27,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
        "seed": 0,
    }
    common: dict[str, Any] = {
        "model": model,
        "processing_class": tokenizer,
        "train_dataset": task_dataset(bundled_tasks("train", "full")),
        "peft_config": LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    }
    clock = Clock()
    if arm == PLAIN:
        trainer = GRPOTrainer(args=GRPOConfig(**shared), reward_funcs=RubricReward("csr"), callbacks=[clock], **common)
    else:
        own = {"relevance": "evidence"}
        if arm == "RTT, discriminator":
            own = {"relevance": "discriminator", "relevance_model": str(scorer)}
        trainer = RTTTrainer(args=RTTConfig(**shared, **own), callbacks=[clock], **common)
        clock.timed(trainer, "_relevance", "relevance")
    clock.timed(trainer, "_generate", "sampling")
    clock.timed(trainer, "_calculate_rewards", "verdicts")
    trainer.train()
    return clock.steps[1:]


def main() -> None:
    options = _options()
    console = Console()
    policy = obtain_model().folder
    measured: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        scorer = Path(temporary) / "discriminator"
        backbone = obtain_encoder().folder
        tokenizer = AutoTokenizer.from_pretrained(backbone)
        settings = DiscriminatorSettings(architecture="joint", template=Template.default(tokenizer).text)
        Discriminator(build_network(backbone, settings), tokenizer, settings).save_pretrained(scorer)
        turns = [arm for _ in range(options.rounds) for arm in (PLAIN, *BOUNDS)]
        for arm in track(turns, "turns", console=console):
            measured[arm] += train(arm, options, Path(temporary), policy, scorer)
    result = summarise(measured, options)
    lines = markdown(result)
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench_step.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (options.output / "bench_step.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    missed = [name for name, bound in BOUNDS.items() if result["ratios"][name]["ratio"] > bound]
    sys.exit(f"slower than allowed: {missed}" if missed else 0)


def summarise(measured: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> dict[str, Any]:
    """Medians by stage; ratios of the medians, with the least and the largest of paired steps."""
    arms = {
        name: {stage: sorted(step[stage] for step in steps)[len(steps) // 2] for stage in (*STAGES, "step")}
        for name, steps in measured.items()
    }
    ratios = {}
    for name in BOUNDS:
        paired = sorted(one["step"] / other["step"] for one, other in zip(measured[name], measured[PLAIN], strict=True))
        ratios[name] = {"ratio": arms[name]["step"] / arms[PLAIN]["step"], "least": paired[0], "most": paired[-1]}
    return {
        "settings": {name: str(value) for name, value in vars(options).items() if name != "output"},
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "seconds": arms,
        "ratios": ratios,
        "steps": measured,
    }


def markdown(result: dict[str, Any]) -> list[str]:
    """The table of results/."""
    settings, machine = result["settings"], result["machine"]
    lines = [
        "# What a training step costs",
        "",
        f"`make bench-step`: SmolLM2-135M-Instruct with LoRA, {settings['prompts']} prompts x "
        f"{settings['generations']} responses x {settings['tokens']} tokens a step, seed 0; {machine['threads']} "
        f"threads of {machine['processor']}, torch {machine['torch']}. Medians of {len(result['steps'][PLAIN])} steps "
        "an arm, the arms taking turns; least and most of steps paired by their place.",
        "",
        f"| seconds a step | {' | '.join(STAGES)} | step | times plain GRPO | least to most | allowed |",
        f"| --- | {' | '.join('---:' for _ in STAGES)} | ---: | ---: | --- | ---: |",
    ]
    for name, stages in result["seconds"].items():
        ratio = result["ratios"].get(name)
        last = (
            f"**{ratio['ratio']:.3f}** | {ratio['least']:.3f} to {ratio['most']:.3f} | {BOUNDS[name]}"
            if ratio
            else "1 | |"
        )
        cells = " | ".join(f"{stages[stage]:.3f}" for stage in (*STAGES, "step"))
        lines.append(f"| {name} | {cells} | {last} |")
    return lines


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2, help="measured steps of a turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each arm (default: %(default)s)")
    parser.add_argument("--prompts", type=int, default=2, help="prompts a step (default: %(default)s)")
    parser.add_argument("--generations", type=int, default=4, help="responses a prompt (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=32, help="tokens a response (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("results"), help="for bench_step.json and .md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
