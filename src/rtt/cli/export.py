"""``rtt export TASKS... --out FILE.parquet``: task files become the data of a training engine."""

from __future__ import annotations

from pathlib import Path

import click

from rtt.cli.terminal import counted, refuse_overwriting


@click.command()
@click.argument("tasks", metavar="TASKS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write the Parquet file here."
)
def export(tasks: tuple[Path, ...], out: Path) -> None:
    """Write task files as the Parquet file that verl trains on.

    TASKS are task files (JSON lines). A file that is there is replaced; it appears whole or not at all.

    \b
    Training data, and data for validation:
        rtt export train.jsonl --out train.parquet
        rtt export heldout.jsonl --out heldout.parquet

    Exit codes: 0 tasks were written; 1 interrupted; 2 something given cannot be used, and the message says what.
    """
    from rtt.trainers.verl import write_parquet
    from rtt.verifiers.judge.drafting import read_accepted

    refuse_overwriting(out, *tasks)
    written = write_parquet(out, (task for path in tasks for task in read_accepted(path)))
    click.echo(f"{counted(written, 'task')} written: {out}")
