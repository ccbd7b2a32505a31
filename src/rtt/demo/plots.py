"""Pictures of a demo: what changed over the steps, and which rules were learned.

    plot_curves   a grid: rubric accuracy · instruction accuracy · parts of the advantage · length · entropy
    plot_rules    pairs of bars: each rule's pass rate before and after

Colours are those of Okabe and Ito, which people with any common colour vision tell apart; runs differ by line style and
marker as well, so the pictures hold in black and white.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtt.demo.evaluation import Evaluation

History = Sequence[Mapping[str, Any]]
"""A trainer's ``state.log_history``: one mapping a logged step."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of the grid: a title, what the vertical axis measures, and the metrics drawn in it."""

    title: str
    unit: str
    metrics: Mapping[str, str]


PANELS = (
    Panel("Rubric accuracy", "criteria satisfied (share)", {"rtt/rubric_accuracy": ""}),
    Panel("Instruction accuracy", "responses with all satisfied (share)", {"rtt/instruction_accuracy": ""}),
    Panel(
        "Size of the advantage's parts",
        "mean absolute value",
        {"rtt/response_advantage_size": "response", "rtt/token_advantage_size": "token"},
    ),
    Panel("Length", "tokens a response (mean)", {"completions/mean_length": ""}),
    Panel("Entropy", "nats a token (mean)", {"entropy": ""}),
)
"""What is drawn, by the metrics' names in the trainer's log; a metric that no run logged is left out."""


def series(history: History, metric: str) -> tuple[list[int], list[float]]:
    """The steps at which a metric was logged, and its values."""
    points = [(int(row["step"]), float(row[metric])) for row in history if metric in row and "step" in row]
    return [step for step, _ in points], [value for _, value in points]


def plot_curves(runs: Mapping[str, History], path: Path, *, title: str = "Training") -> None:
    """Draw the metrics of one run, or of several over each other, as a PNG.

    Args:
        runs: the logged history of each run, by the name that the legend shows.
        path: the PNG to write.
        title: printed above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    for axis, panel in zip(axes, PANELS, strict=False):
        for run, (name, history) in enumerate(runs.items()):
            for part, (metric, label) in enumerate(panel.metrics.items()):
                steps, values = series(history, metric)
                if not steps or (label and not any(values)):  # a part that a method does not have
                    continue
                axis.plot(
                    steps,
                    values,
                    color=COLOURS[run % len(COLOURS)],
                    linestyle=LINES[(part if len(panel.metrics) > 1 else run) % len(LINES)],
                    marker=MARKERS[run % len(MARKERS)],
                    markersize=5,
                    linewidth=1.8,
                    label=" · ".join(word for word in (name, label) if word),
                )
        _dress(axis, panel)
    legend = axes[-1]
    legend.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        legend.legend(handles, labels, loc="upper left", frameon=False, fontsize=11, title="runs", title_fontsize=11)
    figure.suptitle(title, fontsize=14)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def plot_rules(
    before: Evaluation, after: Mapping[str, Evaluation], path: Path, *, title: str = "Pass rate by rule"
) -> None:
    """Draw each rule's pass rate before and after as bars, with 95 % intervals over prompts, as a PNG.

    Args:
        before: the evaluation before training.
        after: the evaluations after it, by the name that the legend shows.
        path: the PNG to write.
        title: printed above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series_of = {"before": before, **after}
    rules = sorted(before.rules, key=lambda name: (before.rules[name].rate, name))
    height = 0.8 / len(series_of)
    figure = Figure(figsize=(9, 1.6 + (0.13 * len(series_of) + 0.15) * len(rules)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for place, (name, evaluation) in enumerate(series_of.items()):
        intervals = [evaluation.rules[rule].interval() for rule in rules]
        values = [interval.value for interval in intervals]
        axis.barh(
            # The first series is the upper bar of each pair: the axis counts upwards.
            [index + 0.4 - height * (place + 0.5) for index in range(len(rules))],
            values,
            height=height * 0.92,
            xerr=[
                [max(0.0, interval.value - interval.low) for interval in intervals],
                [max(0.0, interval.high - interval.value) for interval in intervals],
            ],
            error_kw={"elinewidth": 1, "ecolor": "#444444", "capsize": 2},
            color="#BBBBBB" if place == 0 else COLOURS[(place - 1) % len(COLOURS)],
            label=name,
        )
    axis.set_yticks(range(len(rules)), [f"{rule}  ({int(before.rules[rule].determined.sum())})" for rule in rules])
    axis.set_xlim(0, 1)
    axis.set_xlabel("pass rate (95 % intervals over prompts; verdicts in brackets)")
    axis.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.set_ylim(-0.6, len(rules) - 0.4)
    figure.legend(loc="outside upper center", ncols=len(series_of), frameon=False)
    axis.set_title(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _dress(axis: Any, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_title(panel.title, fontsize=12)
    axis.set_ylabel(panel.unit)
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(color="#DDDDDD", linewidth=0.8)
    axis.set_ylim(0, 1.08 * max([1e-9, *(float(max(line.get_ydata())) for line in axis.get_lines())]))
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    handles, _ = axis.get_legend_handles_labels()
    if len(panel.metrics) > 1 and handles:
        axis.legend(fontsize=8, frameon=False)
    if not handles:
        axis.text(0.5, 0.5, "not logged", transform=axis.transAxes, ha="center", va="center", color="#777777")
