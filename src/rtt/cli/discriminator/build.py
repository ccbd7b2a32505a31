"""``rtt discriminator build``: examples, training and the table, from what comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtt.cli.options import named_value


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is written.  [default: runs/discriminator; with --fast runs/discriminator-fast]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of examples, weights and order.  [default: 0]")
@click.option(
    "--set",
    "settings_",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another setting, such as steps=1000 or test_examples=500. May be given again.",
)
@click.option("--fast", is_flag=True, help="Tiny backbones and two steps: does everything run here?")
@click.option("--resume/--fresh", default=True, help="Go on with the build in DIR (default), or start it anew.")
def build(output: Path | None, seed: int | None, settings_: tuple[str, ...], fast: bool, resume: bool) -> None:
    """Train a discriminator on this machine, and measure it.

    Asks criteria of many kinds of the responses that come with the package, with the exact characters that rules and
    patterns hang on; trains the joint discriminator on a 22M encoder, and the paper's architecture beside it; prints
    their average precision on held-out prompts, wordings and kinds of criteria, beside baselines. About 50 minutes on
    two CPU cores, no GPU needed.

    \b
    The discriminator with its table; does it run at all (a minute):
        rtt discriminator build
        rtt discriminator build --fast
    \b
    Longer, into a folder of its own:
        rtt discriminator build --set steps=2000 --output runs/longer
    \b
    Then see what it finds, and train a policy with it:
        rtt relevance tasks.jsonl responses.jsonl --relevance discriminator --model runs/discriminator/joint/model
        rtt train config.yaml --relevance discriminator --relevance_model runs/discriminator/joint/model

    The backbone is fetched as `rtt demo` fetches its model. A build that was stopped goes on by the same command.
    """
    from rich.console import Console

    from rtt.demo.discriminator import FAST, BuildSettings
    from rtt.demo.discriminator import build as build_discriminator

    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    changes |= dict(named_value(text) for text in settings_)
    settings = (FAST if fast else BuildSettings()).with_changes(changes)
    output = output or Path("runs/discriminator-fast" if fast else "runs/discriminator")
    try:
        build_discriminator(output, settings=settings, fast=fast, resume=resume, console=Console())
    except KeyboardInterrupt:
        click.echo(f"\nstopped; what is finished lies in {output}, and the same command goes on from there", err=True)
        raise
