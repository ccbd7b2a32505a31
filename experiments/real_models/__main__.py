"""``python -m experiments.real_models``: one command a stage, each of which goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import click

from experiments.real_models import plans
from experiments.real_models.running import run_all
from rtt.cli.terminal import counted


@click.group(context_settings={"max_content_width": 100})
def main() -> None:
    """Does token-level credit help real models? Two small ones, LoRA, the project's tasks; IFEval held out.

    \b
    In order:
        run        two models x five arms x three seeds
        report     tables and a plot from what there is
    Runs are lines of results/real_models/runs.jsonl; what has its line is not run again.
    """


@main.command()
@click.option("--model", type=click.Choice(list(plans.SETTINGS)), help="Only this model.")
@click.option("--seeds", type=click.IntRange(min=1), help="Only the first so many seeds; later calls add the others.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes of one thread each."
)
def run(model: str | None, seeds: int | None, workers: int) -> None:
    """Train and evaluate every arm of every model."""
    chosen = plans.runs([model] if model else list(plans.SETTINGS))
    _do([run for run in chosen if seeds is None or run.seed < seeds], plans.RESULTS, workers)


@main.command()
def report() -> None:
    """Write the tables and the plot of results/real_models from the runs that are there."""
    _report(plans.RESULTS)


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default=plans.RUNS / "quick", show_default=True)
def quick(output: Path) -> None:
    """Every part once, in a minute, with a random model that learns nothing."""
    _do(plans.quick(), output, workers=1)
    _report(output)


def _do(runs: list[plans.Run], folder: Path, workers: int) -> None:
    number = run_all(runs, folder / "runs.jsonl", workers)
    click.echo(f"{folder}: {counted(number, 'run')} done, {counted(len(runs) - number, 'run')} had a line")


def _report(folder: Path) -> None:
    from experiments.real_models.report import write_report

    for path in write_report(folder):
        click.echo(str(path))


if __name__ == "__main__":
    main(prog_name="python -m experiments.real_models")
