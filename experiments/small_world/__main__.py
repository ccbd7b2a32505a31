"""``python -m experiments.small_world``: one command a stage, each of which goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from experiments.small_world import plans
from experiments.small_world.running import MODELS, Run, run_all, train
from rtt.cli.terminal import counted


@click.group(context_settings={"max_content_width": 100})
def main() -> None:
    """Does token-level credit work? Asked in a small world, where every verdict and its cause are known.

    \b
    In order:
        pretrain   two base models and their discriminators, two minutes each
        tune       the same number of settings for each method
        run        the headline, or another stage by name
        holes      a verifier with a hole, and which alarms it sets off
        gradient   each estimator's update against the true gradient
        report     tables and plots from what there is
    Runs are lines of results/small_world/*.jsonl; what has its line is not run again.
    """


def _workers(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes of one thread each."
    )(command)


def _do(runs: Sequence[Run], file: Path, workers: int, work: Callable[..., dict[str, Any]] = train) -> None:
    number = run_all(runs, file, workers, work=work)
    click.echo(f"{file}: {counted(number, 'run')} done, {counted(len(runs) - number, 'run')} had a line")


@main.command()
@click.option("--discriminators/--no-discriminators", default=True, help="Train the discriminators too.")
def pretrain(discriminators: bool) -> None:
    """Train the two base models (runs/small_world), where they are not there yet."""
    import torch

    from experiments.small_world.policy import base_model
    from experiments.small_world.sources import discriminator_for

    torch.set_num_threads(1)
    for base in (0, 1):
        policy = base_model(base, MODELS)
        if discriminators:
            discriminator_for(base, policy, MODELS)


@main.command()
@_workers
def tune(workers: int) -> None:
    """Try the same number of settings for each tuned method, on seeds that are not used again."""
    for world in plans.TUNED:
        for plan in (plans.tuning, plans.second_round):
            _do(plan(world), plans.RESULTS / "tune.jsonl", workers)
        click.echo(f"{world} criteria a prompt:")
        for method, (rate, weight) in plans.chosen(world).items():
            click.echo(f"{method:16} learning rate {rate:g}, weight {weight:g}")


@main.command()
@click.argument("stages", nargs=-1, required=True, type=click.Choice(sorted(plans.STAGES)))
@click.option("--seeds", type=click.IntRange(min=1), help="Only the first so many seeds; later calls add the others.")
@_workers
def run(stages: tuple[str, ...], seeds: int | None, workers: int) -> None:
    """Do the runs of one or more stages, with the settings that tuning chose."""
    for stage in stages:
        runs = [run for run in plans.STAGES[stage]() if seeds is None or run.seed < seeds]
        _do(runs, plans.RESULTS / f"{stage}.jsonl", workers)


@main.command()
@_workers
def stress(workers: int) -> None:
    """Noisy, one-sided, all-passing verifiers, and one with a planted hole: the same as ``run stress``."""
    _do(plans.STAGES["stress"](), plans.RESULTS / "stress.jsonl", workers)


@main.command()
@_workers
def holes(workers: int) -> None:
    """A verifier with a planted hole: how fast it is found, and whether the alarms of `rtt audit` fire first."""
    from experiments.small_world.holes import audited

    _do(plans.holes(), plans.RESULTS / "holes.jsonl", workers, audited)


@main.command()
@_workers
def quick(workers: int) -> None:
    """A reduced second series on fresh seeds, and whether it orders the methods as the published one does."""
    from experiments.small_world.report import compare_quick

    file = Path("runs/small_world/quick.jsonl")
    _do(plans.quick(), file, workers)
    told, agrees = compare_quick(
        file, [plans.RESULTS / f"{stage}.jsonl" for stage in ("second", "second-csr", "second-harder")]
    )
    click.echo(told)
    if not agrees:
        raise SystemExit(1)


@main.command()
@click.option("--rollouts", type=click.IntRange(min=1000), default=100_000, show_default=True)
def gradient(rollouts: int) -> None:
    """Cosine and signal-to-noise of each estimator's update against the true gradient, by family of criteria."""
    from experiments.small_world.gradient import measure_all

    measure_all(rollouts, MODELS, plans.RESULTS / "gradient.jsonl")


@main.command()
def report() -> None:
    """Write the tables and plots of results/small_world from the runs that are there."""
    from experiments.small_world.report import write_report

    for path in write_report(plans.RESULTS):
        click.echo(str(path))


if __name__ == "__main__":
    main(prog_name="python -m experiments.small_world")
