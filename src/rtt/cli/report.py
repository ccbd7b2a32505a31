"""``rtt report RUN_DIR ...``: the curves of training runs over each other, in the same page as `rtt inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from rtt.cli.inspect import FILE, PATHS, write


@click.command()
@click.argument("runs", nargs=-1, required=True, type=PATHS, metavar="RUN_DIR ...")
@click.option("-o", "--out", type=FILE, default="report.html", show_default=True, help="The HTML file.")
@click.option("--json", "twin", type=FILE, help="Write the same values as JSON too, for machines.")
@click.option("--title", default="Training", show_default=True, help="Of the page.")
def report(runs: tuple[Path, ...], out: Path, twin: Path | None, title: str) -> None:
    """Write the training curves of RUN_DIR ... as one HTML file, several runs over each other.

    Rubric and instruction accuracy, pass rates by kind of criterion, the two parts of the advantage, the share of
    groups with signal, entropy, length, and time by stage, from the run's log; where there is no log, what the records
    tell. Each chart has its values as a table. The responses and alarms are in the same page: it is the page of
    `rtt inspect`, opened at the curves.

    \b
    One run; two methods beside each other; the demo with its baselines:
        rtt report runs/mine
        rtt report runs/rtt runs/grpo -o both.html
        rtt report runs/demo -o demo.html
    """
    write(runs, out, twin, title, "training")
