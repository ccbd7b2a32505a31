"""One run: load -> train with LoRA -> merge -> evaluate on the project's held-out tasks and on IFEval -> its line.

    {"key", "run", "heldout": {...}, "ifeval": {...} or null, "history": [...], "cpu_seconds", "commit"}

Training is the demo's. The evaluations draw the same random numbers in every run. IFEval is left out (null) where
there is no data: it lies in ``$RTT_BENCHMARK_DATA/ifeval/input_data.jsonl`` and no prompt of it is kept in a line.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from experiments.lines import append_lines, waiting
from experiments.real_models.models import load
from experiments.real_models.plans import BASE, RUNS, Held, Run
from rtt.benchmarks.data import read_prompts
from rtt.benchmarks.ifeval import BENCHMARK
from rtt.demo.evaluation import Evaluation, evaluate
from rtt.demo.run import bundled_tasks, train_method
from rtt.demo.settings import Method
from rtt.generation import quiet_libraries
from rtt.rubrics import Task

METRICS = (
    "rtt/rubric_accuracy",
    "rtt/instruction_accuracy",
    "rtt/relevance_seconds",
    "rtt/response_advantage_size",
    "rtt/token_advantage_size",
    "completions/mean_length",
    "entropy",
    "grad_norm",
    "step_time",
)
"""What a line keeps of each step's log."""

ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "16000000000"}
"""For the workers: memory is kept between passes instead of given back and zeroed again, a third of their time."""

SHOWN = 3
"""Held-out responses that a line keeps: the first ones."""


def run_all(runs: Sequence[Run], file: Path, workers: int = 2) -> int:
    """Do the runs that have no line in ``file`` yet, in order, and append theirs; says how many that were."""
    missing = waiting(runs, file)
    for name, size in ALLOCATION.items():
        os.environ.setdefault(name, size)
    for model in {run.model for run in missing}:
        load(model)  # what must be fetched is fetched once, before the processes start
    append_lines(missing, work, file, workers)
    for run in runs:  # they all have their lines; those of an earlier call that was stopped, too
        for checkpoint in _folder(run).glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    return len(missing)


def ifeval_tasks(held: Held) -> list[Task] | None:
    """The subset of IFEval, the same in every run; None where there is no data."""
    file = Path(os.environ.get("RTT_BENCHMARK_DATA", "")) / "ifeval" / "input_data.jsonl"
    if not file.is_file():
        return None
    prompts = read_prompts(BENCHMARK, file).prompts
    return [prompt.task for prompt in random.Random(0).sample(prompts, min(held.prompts, len(prompts)))]


def work(run: Run) -> dict[str, Any]:
    """Train and evaluate one arm; a killed run goes on from its last checkpoint.

    Returns:
        The line of the run, without its commit.
    """
    folder = _folder(run)
    history: list[dict[str, Any]] = []
    settings = replace(run.settings, seed=run.seed)
    began = time.process_time()
    with quiet_libraries():
        if run.arm == BASE:
            model, tokenizer = load(run.model)
            model = model.float()
        else:
            tasks = bundled_tasks("train", settings.difficulty)
            method = Method(run.arm, run.arm, run.options)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log.txt").open("a") as log:
                trained, tokenizer, history = train_method(
                    folder, method, lambda: load(run.model), tasks, settings, Console(file=log)
                )
            # in bfloat16 the sum would be rounded to steps as large as what was learned
            model = trained.float().merge_and_unload()
        trained_at = time.process_time()
        held_out = bundled_tasks("heldout", settings.difficulty)[: settings.eval_prompts]
        found = evaluate(
            model,
            tokenizer,
            held_out,
            samples=settings.eval_samples,
            max_new_tokens=settings.eval_max_tokens,
            batch_size=settings.eval_batch,
            temperature=settings.temperature,
        )
        benchmark = _ifeval(model, tokenizer, run.ifeval)
    return {
        "key": run.key,
        "run": asdict(run),
        "heldout": {**_summary(found), "responses": [sample.text for sample in found.samples[:SHOWN]]},
        "ifeval": benchmark,
        "history": [{name: row[name] for name in METRICS if name in row} for row in history],
        "cpu_seconds": {
            "training": round(trained_at - began, 1),
            "evaluation": round(time.process_time() - trained_at, 1),
        },
        "threads": torch.get_num_threads(),
    }


def _folder(run: Run) -> Path:
    """Where the run keeps its log, and its checkpoints until its line is written."""
    return RUNS / f"{run.model}-{run.arm}-{run.seed}-{hashlib.sha256(run.key.encode()).hexdigest()[:8]}"


def _ifeval(model: Any, tokenizer: Any, held: Held) -> dict[str, Any] | None:
    tasks = ifeval_tasks(held)
    if tasks is None:
        return None
    found = evaluate(
        model, tokenizer, tasks, samples=1, max_new_tokens=held.max_tokens, batch_size=held.batch, temperature=0.0
    )
    return _summary(found)


def _summary(found: Evaluation) -> dict[str, Any]:
    """The rates, with their counts by prompt, and what nothing rewards: variety and length."""
    return {
        **{
            name: {
                "rate": round(tally.rate, 4),
                "satisfied": tally.satisfied.tolist(),
                "determined": tally.determined.tolist(),
            }
            for name, tally in (("instruction", found.instruction), ("rubric", found.rubric))
        },
        "variety": round(found.variety, 4),
        "tokens": round(found.mean_tokens, 2),
        "ended": round(found.ended, 4),
        "seconds": round(found.seconds, 1),
    }
