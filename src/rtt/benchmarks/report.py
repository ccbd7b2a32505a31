"""A benchmark run for people: tables in Markdown, and a plot of the types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtt.benchmarks import Benchmark

INTERVALS = "Intervals: 95 %, bootstrap over prompts."


def headline_rows(benchmark: Benchmark, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each metric in words, and its rate with its interval; the one that the authors report is marked."""
    rows = []
    for metric in benchmark.metrics:
        level, mode = metric.split("_")
        name = f"{level} level" + (f", {mode}" if benchmark.loose else "")
        rows.append((name + (" *" if metric == benchmark.headline else ""), rate(summary, metric)))
    return rows


def rate(summary: Mapping[str, Any], metric: str) -> str:
    """``0.743 [0.70, 0.78]``, or ``-`` where nothing was determined."""
    value, interval = summary[metric], summary["intervals"][metric]
    if value is None:
        return "-"
    return f"{value:.3f}" + ("" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]")


def to_markdown(benchmark: Benchmark, summary: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The figures as a report.

    Args:
        benchmark: which.
        summary: what :func:`rtt.benchmarks.summary.summarise` gives.
        run: what was run, by name: data, model or responses, sampling.
    """
    lines = [f"# {benchmark.title}", ""]
    lines += [f"- {name}: {_words(value)}" for name, value in run.items()]
    counts = [f"{summary['n']:,} prompts", f"{summary['instructions']:,} instructions"]
    if summary["responses"] != summary["n"]:
        counts.insert(1, f"{summary['responses']:,} responses")
    lines += [f"- scored: {', '.join(counts)}", ""]
    lines += table(("metric", "rate"), headline_rows(benchmark, summary))
    lines += ["", f"{INTERVALS} The metric that the authors report is marked *.", ""]
    lines += _undetermined(benchmark, summary)
    modes = ("strict", "loose") if benchmark.loose else ("strict",)
    lines += ["## By type", ""]
    rows = sorted(summary["types"].items(), key=lambda item: (item[1]["strict"] is None, item[1]["strict"], item[0]))
    lines += table(
        ("type", "instructions", *modes),
        [(name, str(row["n"]), *(_share(row[mode]) for mode in modes)) for name, row in rows],
    )
    if summary["groups"].keys() != summary["types"].keys():
        lines += [
            "",
            "## By group",
            "",
            "Per prompt: the share of prompts in which all instructions of the group hold.",
            "",
        ]
        lines += table(
            ("group", "instructions", *modes, *(f"per prompt, {mode}" for mode in modes)),
            [
                (
                    name,
                    str(row["n"]),
                    *(_share(row[mode]) for mode in modes),
                    *(_share(row[f"prompt_{mode}"]) for mode in modes),
                )
                for name, row in summary["groups"].items()
            ],
        )
    for label, values in summary["labels"].items():
        lines += ["", f"## By {label}", ""]
        heads = [f"{level}, {mode}" for mode in modes for level in ("prompt", "instruction")]
        left = [f"undetermined, {mode}" for mode in modes if summary["undetermined"][mode]]
        lines += table(
            (label, "responses", *heads, *left),
            [
                (
                    value,
                    str(row["n"]),
                    *(_share(row[f"{level}_{mode}"]) for mode in modes for level in ("prompt", "instruction")),
                    *(str(row[f"undetermined_{mode}"]) for mode in modes if summary["undetermined"][mode]),
                )
                for value, row in values.items()
            ],
        )
    return "\n".join(lines) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, a line each."""
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def plot_types(benchmark: Benchmark, summary: Mapping[str, Any], path: Path) -> None:
    """Draw the strict rate of each type as a bar, the loose one as a mark, as a PNG; needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = [(name, row) for name, row in summary["types"].items() if row["strict"] is not None]
    known.sort(key=lambda item: (item[1]["strict"], item[0]))
    figure = Figure(figsize=(9, 1.4 + 0.24 * len(known)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    places = range(len(known))
    axis.barh(places, [row["strict"] for _, row in known], height=0.7, color="#4477AA", label="strict")
    if benchmark.loose:
        axis.plot([row["loose"] for _, row in known], places, "|", ms=9, mew=2, color="#EE6677", label="loose")
    axis.set_yticks(places, [f"{name}  ({row['n']})" for name, row in known], fontsize=8)
    axis.set_ylim(-0.7, len(known) - 0.3)
    axis.set_xlim(0, 1)
    axis.set_xlabel("instructions followed (how many in brackets)")
    axis.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.set_title(f"{benchmark.title} by type")
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    figure.savefig(path, dpi=120)


def _undetermined(benchmark: Benchmark, summary: Mapping[str, Any]) -> list[str]:
    left = {mode: count for mode, count in summary["undetermined"].items() if count}
    if not left:
        return []
    counts = ", ".join(f"{count:,} {mode}" for mode, count in left.items())
    words = f"Undetermined, and in no rate: {counts} of {summary['instructions']:,} instructions"
    if benchmark.judged:
        words += f"; the judge gave {summary['failed']:,} of them no usable answer, and could not tell the others"
    return [f"{words}.", ""]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items() if part is not None)
    return str(value)
