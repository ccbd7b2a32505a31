"""``rtt compare DIR_A DIR_B ...``: which differences between runs of a benchmark are more than noise?

read_run, read_run, ... -> compare -> table / comparison.json, comparison.md, comparison.png
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtt.cli.terminal import console, counted, print_table
from rtt.errors import ConfigurationError
from rtt.json_lines import write_lines

if TYPE_CHECKING:
    from rtt.benchmarks.comparison import Comparison, Difference, Run


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR_A DIR_B ...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write table, figures and plot here.")
@click.option("--names", metavar="A,B,...", help="What to call the runs.  [default: the folders' names]")
@click.option("--types/--no-types", default=True, help="Show the types of instructions too (default).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
def compare(folders: tuple[Path, ...], out: Path | None, names: str | None, types: bool, seed: int) -> None:
    """Compare runs of `rtt evaluate`, or of lm_eval, with the first one, prompt by prompt, and say what is noise.

    A difference is called better or worse only where its 95 % interval (bootstrap, paired by prompt) leaves out zero
    and, for whole prompts, McNemar's exact test agrees at 5 %, adjusted by Holm's method for the number of runs. Where
    the two disagree it is unclear; else it is noise, and the smallest difference that so many prompts could have shown
    is told.

    \b
    Before and after training; three checkpoints against the first:
        rtt compare runs/before runs/after
        rtt compare runs/base runs/step-100 runs/step-200 runs/step-300 --out runs/comparison
    Is general ability kept? Folders that lm_eval wrote with --log_samples:
        rtt compare runs/general-before runs/general-after
    """
    from rtt.benchmarks.comparison import compare as compare_runs
    from rtt.benchmarks.comparison import read_run

    if len(folders) < 2:
        raise ConfigurationError(f"got {counted(len(folders), 'folder')}; expected at least two runs to compare")
    called = [part.strip() for part in names.split(",")] if names is not None else [None] * len(folders)
    if len(called) != len(folders):
        raise ConfigurationError(f"--names has {counted(len(called), 'name')} for {len(folders)} folders")
    runs = [read_run(folder, name) for folder, name in zip(folders, called, strict=True)]
    found = compare_runs(runs[0], runs[1:], seed=seed)
    stdout = console()
    for one in found:
        stdout.print(f"{one.name} against {runs[0].name}", soft_wrap=True)
        print_table(stdout, ("", runs[0].name, one.name, "difference", "p", ""), [_row(item) for item in one.metrics])
        for item in one.metrics:
            stdout.print(f"{item.metric}: {in_words(item)}", soft_wrap=True)
        if one.left_out:
            stdout.print(
                f"{counted(one.left_out, 'prompt')} left out, which only one of the two answers", soft_wrap=True
            )
        if types and one.types:
            differing = [item for item in one.types if item.interval.value]
            if differing:
                heads = ("type", runs[0].name, one.name, "difference", "", "")
                print_table(stdout, heads, [_row(item) for item in differing])
            same = len(one.types) - len(differing)
            stdout.print(f"{counted(same, 'type')} without a difference; {_chance(one.types)}", soft_wrap=True)
    if out is not None:
        _write(out, runs[0], found)
        stdout.print(f"{out / 'comparison.md'}", soft_wrap=True)


def in_words(item: Difference) -> str:
    """A difference in a sentence."""
    size = f"{item.interval.value:+.3f} [{item.interval.low:+.3f}, {item.interval.high:+.3f}]"
    if item.conclusion in ("better", "worse"):
        return f"{item.conclusion} by {size}"
    words = f"{item.conclusion}: {size}"
    if item.conclusion == "unclear":
        words += f"; the interval and McNemar's test (p = {item.adjusted:.3f}) disagree"
    if item.detectable is not None:
        words += f"; {item.compared:,} prompts would show a difference of {item.detectable:.3f} in 8 of 10 times"
    return words


def _row(item: Difference) -> tuple[str, ...]:
    interval = item.interval
    return (
        item.metric,
        f"{item.reference:.3f}",
        f"{item.other:.3f}",
        f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]",
        "" if item.adjusted is None else f"{item.adjusted:.3f}",
        item.conclusion,
    )


def _chance(types: Sequence[Difference]) -> str:
    beyond = sum(item.interval.beyond_noise for item in types)
    expected = 0.05 * len(types)
    return f"{beyond} of {len(types)} types are beyond their own interval; about {expected:.1f} would be by chance"


# -------------------------------------------------------------------------------------------------------------- files


def _write(out: Path, reference: Run, found: Sequence[Comparison]) -> None:
    from rtt.benchmarks.report import table

    out.mkdir(parents=True, exist_ok=True)
    lines = [f"# {reference.benchmark}: runs against {reference.name}", ""]
    for one in found:
        heads = (reference.name, one.name, "difference", "adjusted p", "conclusion")
        lines += [f"## {one.name}", "", *table(("metric", *heads), [_row(item) for item in one.metrics]), ""]
        lines += [f"- {item.metric}: {in_words(item)}" for item in one.metrics]
        lines += [f"- {counted(one.left_out, 'prompt')} left out, answered by one of the two", ""]
        if one.types:
            lines += [*table(("type", *heads), [_row(item) for item in one.types]), "", f"{_chance(one.types)}.", ""]
    lines += [
        "Differences: 95 % bootstrap intervals, paired by prompt. p: McNemar's exact test over prompts, adjusted by "
        "Holm's method. Better or worse: the interval leaves out zero and, for prompts, p is below 0.05."
    ]
    with write_lines(out / "comparison.md") as write:
        for line in lines:
            write(line)
    with write_lines(out / "comparison.json") as write:
        write(json.dumps(_to_json(reference, found), indent=1, ensure_ascii=False))
    if importlib.util.find_spec("matplotlib") is not None:
        _plot(reference, found, out / "comparison.png")


def _to_json(reference: Run, found: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "benchmark": reference.benchmark,
        "reference": reference.name,
        "runs": [
            {
                "name": one.name,
                "left_out": one.left_out,
                "metrics": {item.metric: _item(item) for item in one.metrics},
                "types": {item.metric: _item(item) for item in one.types},
            }
            for one in found
        ],
    }


def _item(item: Difference) -> dict[str, Any]:
    return {
        "reference": item.reference,
        "other": item.other,
        "difference": item.interval.value,
        "interval": [item.interval.low, item.interval.high],
        "compared": item.compared,
        "only_reference": item.only_reference,
        "only_other": item.only_other,
        "p": item.p,
        "adjusted_p": item.adjusted,
        "detectable": item.detectable,
        "conclusion": item.conclusion,
    }


_COLOURS = {"better": "#4477AA", "worse": "#EE6677", "unclear": "#CCBB44", "noise": "#999999"}


def _plot(reference: Run, found: Sequence[Comparison], path: Path) -> None:
    """Differences with their intervals, a panel a run; noise in grey."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [[*reversed(one.metrics), *one.types] for one in found]
    height = 1.2 + 0.24 * max(map(len, rows))
    figure = Figure(figsize=(8 * len(found), height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, one, items in zip(axes, found, rows, strict=True):
        for place, item in enumerate(items):
            interval, colour = item.interval, _COLOURS[item.conclusion]
            axis.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2)
            axis.plot([interval.value], [place], "o", color=colour)
        axis.axvline(0, color="#444444", linewidth=1)
        axis.set_yticks(range(len(items)), [f"{item.metric}  ({item.compared})" for item in items], fontsize=8)
        axis.set_xlabel("difference (95 % intervals; noise in grey)")
        axis.set_title(f"{one.name} against {reference.name}")
        axis.grid(axis="x", color="#DDDDDD", linewidth=0.8)
        axis.set_axisbelow(True)
    figure.savefig(path, dpi=120)
