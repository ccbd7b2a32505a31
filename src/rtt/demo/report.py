"""What a demo came to, as tables for a terminal, as Markdown and as JSON.

Report
├── source, settings, machine, seconds     where the numbers come from
├── tasks, before                          the held-out prompts, and the model as it came
└── arms        Arm, Arm, ...              a method each: after, comparison with before, history of its training
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rtt.demo.evaluation import Comparison, Evaluation
from rtt.demo.models import ModelSource
from rtt.rubrics import Task
from rtt.statistics import Interval, Tally
from rtt.verdicts import Outcome

SHOWN_PROMPTS = 12
"""Prompts in the file of samples: the first ones, whatever they show."""

VARIETY = (
    "Variety: share of a response's runs of four characters that differ; rules can be met by text that nobody would "
    "read, and a fall here is the plainest sign of it."
)
INTERVALS = "Intervals: 95 %, bootstrap over prompts; differences are paired by prompt."


@dataclass(frozen=True, slots=True)
class Arm:
    """One method: its name on disk, its title, the evaluation after training, the difference, the training's log."""

    name: str
    title: str
    after: Evaluation
    comparison: Comparison
    history: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """All that a demo found.

    Attributes:
        source: the model.
        settings: the demo's settings by name.
        tasks: the held-out tasks, in the order of the evaluations.
        train_tasks: how many tasks there were to train on.
        before: the evaluation before training.
        arms: the methods, RTT-GRPO first.
        seconds: wall-clock time by stage, of the run in which the stage was done.
        machine: what it ran on, and the versions of the libraries.
        random_model: whether the model was the tiny random one, whose numbers mean nothing.
    """

    source: ModelSource
    settings: Mapping[str, Any]
    tasks: Sequence[Task]
    train_tasks: int
    before: Evaluation
    arms: Sequence[Arm]
    seconds: Mapping[str, float]
    machine: Mapping[str, str]
    random_model: bool = False


def verdict(report: Report) -> str:
    """One sentence: whether RTT-GRPO's improvement is beyond noise."""
    if report.random_model:
        return "The model is random and tiny: the pipeline works, the numbers mean nothing."
    difference = report.arms[0].comparison
    said = {
        "rubric accuracy": difference.rubric,
        "instruction accuracy": difference.instruction,
    }
    parts = []
    for name, interval in said.items():
        direction = "rose" if interval.value > 0 else "fell" if interval.value < 0 else "did not move"
        noise = "beyond noise" if interval.beyond_noise else "within noise"
        parts.append(f"{name} {direction} by {abs(interval.value):.3f} ({noise})")
    return f"Held out, with {report.arms[0].title}: " + "; ".join(parts) + "."


def print_report(report: Report, output: Path, console: Console) -> None:
    """Print the tables, and say where the files lie and what to do next."""
    console.print()
    title = f"Held out: {len(report.tasks)} prompts x {report.settings['eval_samples']} responses"
    console.print(_rich(title, *_accuracy_rows(report)))
    console.print(_rich("By rule", *_rule_rows(report, short=True)))
    console.print(_rich("Responses", *_response_rows(report)))
    console.print(_rich("Time", ["stage", "seconds"], _time_rows(report)))
    if cost := relevance_cost(report.arms[0]):
        console.print(f"{cost}\n", highlight=False, soft_wrap=True)
    console.print(f"[dim]{INTERVALS} {VARIETY}[/dim]", highlight=False, soft_wrap=True)
    console.print(f"\n[bold]{escape(verdict(report))}[/bold]", highlight=False, soft_wrap=True)
    arm = report.arms[0].name
    files = {
        "numbers": "results.json, results.md",
        "curves": "curves.png, rules.png",
        "responses": "samples.md (before and after, the first prompts in order)",
        "records": f"{arm}/records/ (each token's relevance and advantage, a JSON line a response)",
        "adapter": f"{arm}/adapter/ (LoRA weights)",
    }
    console.print(f"\nIn [bold]{escape(str(output))}[/bold]:", highlight=False, soft_wrap=True)
    for what, where in files.items():
        console.print(f"  {what:<10} {where}", highlight=False, soft_wrap=True)
    console.print("\nNext:", highlight=False, soft_wrap=True)
    look = f"rtt inspect {shlex.quote(str(output))} -o {shlex.quote(str(output / 'report.html'))}"
    console.print(
        f"  {escape(look)}\n{'':28}which words each criterion hung on, what each token earned, curves", soft_wrap=True
    )
    if len(report.arms) == 1:
        console.print(
            "  rtt demo --compare        GRPO-AON, GRPO-CSR and GDPO beside it, same budget and seeds", soft_wrap=True
        )
    console.print(
        "  rtt train CONFIG.yaml     your own model and tasks (rtt train --help shows a config)", soft_wrap=True
    )


def relevance_cost(arm: Arm) -> str | None:
    """What the relevance source took of a training step, in words; ``None`` for a method without one."""
    measured = _relevance_seconds(arm)
    if measured is None:
        return None
    seconds, step = measured
    return f"relevance: {seconds:.1f} s of {step:.0f} s a step ({seconds / step:.0%})".replace("%", " %")


def to_markdown(report: Report) -> str:
    """The report as Markdown."""
    settings = "\n".join(
        f"| {name} | {'default' if value is None else value} |" for name, value in report.settings.items()
    )
    machine = "\n".join(f"| {name} | {value} |" for name, value in report.machine.items())
    sections = [
        "# RTT demo",
        verdict(report),
        f"Model: {report.source.name} (licence: {report.source.licence}; {report.source.origin}). "
        f"Tasks: {report.train_tasks} to train on, {len(report.tasks)} held out, no request in both.",
        "## Held-out accuracy",
        _markdown(*_accuracy_rows(report)),
        INTERVALS,
        "![curves](curves.png)",
        "## By rule",
        _markdown(*_rule_rows(report)),
        "![rules](rules.png)",
        "## Responses",
        _markdown(*_response_rows(report)),
        VARIETY,
        "## Time",
        _markdown(["stage", "seconds"], _time_rows(report)),
        *([cost] if (cost := relevance_cost(report.arms[0])) else []),
        "## Settings",
        f"| setting | value |\n|---|---|\n{settings}",
        "## Machine",
        f"| what | version |\n|---|---|\n{machine}",
    ]
    return "\n\n".join(sections) + "\n"


def samples_markdown(report: Report) -> str:
    """Held-out responses before and after, for the first prompts in order, with the criteria met and missed."""
    per_prompt = len(report.before.samples) // len(report.tasks)
    parts = [
        "# Responses before and after",
        f"The first {min(SHOWN_PROMPTS, len(report.tasks))} held-out prompts in order, the first response to each: "
        "chosen by their place, not by what they show. ✓ met, ✗ missed, ? undetermined.",
    ]
    for index, task in enumerate(report.tasks[:SHOWN_PROMPTS]):
        prompt = task.prompt[-1].content
        parts.append(f"## {task.id}\n\n{_quoted(prompt)}")
        for title, evaluation in (("Before", report.before), *((arm.title, arm.after) for arm in report.arms)):
            sample = evaluation.samples[index * per_prompt]
            marks = "".join(
                f"\n- {_MARKS[outcome]} {criterion.text}"
                for criterion, outcome in zip(task.rubric.criteria, sample.outcomes, strict=True)
            )
            parts.append(f"**{title}**\n\n{_quoted(sample.text)}\n{marks}")
    return "\n\n".join(parts) + "\n"


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON's own types; a value that was not measured is null."""
    return {
        "verdict": verdict(report),
        "model": report.source.describe(),
        "machine": dict(report.machine),
        "settings": dict(report.settings),
        "tasks": {"train": report.train_tasks, "heldout": len(report.tasks)},
        "before": _evaluation_json(report.before),
        "arms": {
            arm.name: {
                "title": arm.title,
                "after": _evaluation_json(arm.after),
                "relevance": _relevance_json(arm),
                "difference": {
                    "rubric_accuracy": _interval_json(arm.comparison.rubric),
                    "instruction_accuracy": _interval_json(arm.comparison.instruction),
                    "rules": {name: _interval_json(value) for name, value in arm.comparison.rules.items()},
                },
            }
            for arm in report.arms
        },
        "seconds": {stage: round(seconds, 1) for stage, seconds in report.seconds.items()},
    }


_MARKS = {Outcome.SATISFIED: "✓", Outcome.VIOLATED: "✗", Outcome.UNDETERMINED: "?"}
Rows = list[list[str]]


def _accuracy_rows(report: Report) -> tuple[list[str], Rows]:
    """A block of rows for each accuracy: before, then each method."""
    rows = []
    for name in ("rubric", "instruction"):
        rows.append([f"{name} accuracy", "", ""])
        rows.append(["  before", _rate(getattr(report.before, name)), ""])
        for arm in report.arms:
            difference = _difference(getattr(arm.comparison, name))
            rows.append([f"  {arm.title}", _rate(getattr(arm.after, name)), difference])
    return ["", "accuracy", "difference"], rows


def _rule_rows(report: Report, *, short: bool = False) -> tuple[list[str], Rows]:
    """A row for each rule, the most frequent first; ``short`` leaves out the rules' families, to fit a terminal."""
    single = len(report.arms) == 1
    titles = [arm.title.replace("-GRPO", "").replace("GRPO-", "") if short else arm.title for arm in report.arms]
    header = ["rule", "n" if short else "verdicts", "before", *(["after"] if single else titles)]
    if single:
        header.append("difference")
    rows = []
    for name, tally in sorted(report.before.rules.items(), key=lambda item: (-int(item[1].determined.sum()), item[0])):
        row = [name.rpartition(":")[2] if short else name, str(int(tally.determined.sum())), _share(tally.rate)]
        row += [_share(arm.after.rules[name].rate) if name in arm.after.rules else "-" for arm in report.arms]
        if single:
            known = report.arms[0].comparison.rules.get(name)
            row.append("-" if known is None else _difference(known))
        rows.append(row)
    return header, rows


def _response_rows(report: Report) -> tuple[list[str], Rows]:
    rows = []
    for title, evaluation in (("before", report.before), *((arm.title, arm.after) for arm in report.arms)):
        rows.append(
            [
                title,
                f"{evaluation.mean_tokens:.1f}",
                _share(evaluation.ended),
                f"{evaluation.variety:.2f}",
                str(evaluation.undetermined),
            ],
        )
    return ["", "mean tokens", "ended by itself", "variety", "undetermined"], rows


def _time_rows(report: Report) -> Rows:
    rows = [[stage, f"{seconds:.0f}"] for stage, seconds in report.seconds.items()]
    return [*rows, ["together", f"{sum(report.seconds.values()):.0f}"]]


def _relevance_seconds(arm: Arm) -> tuple[float, float] | None:
    """Mean seconds of the relevance source and of a whole step, over the steps where both were logged."""
    rows = [row for row in arm.history if "rtt/relevance_seconds" in row and row.get("step_time")]
    if not rows:
        return None
    seconds, step = (sum(float(row[name]) for row in rows) for name in ("rtt/relevance_seconds", "step_time"))
    return seconds / len(rows), step / len(rows)


def _relevance_json(arm: Arm) -> dict[str, float] | None:
    measured = _relevance_seconds(arm)
    if measured is None:
        return None
    seconds, step = measured
    return {"seconds": round(seconds, 3), "step_seconds": round(step, 3), "share": round(seconds / step, 4)}


def _rich(title: str, header: Sequence[str], rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _markdown(header: Sequence[str], rows: Rows) -> str:
    lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(map(str.strip, row)) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in (text.strip() or "(nothing)").splitlines())


def _rate(tally: Tally) -> str:
    interval = tally.interval()
    return "-" if math.isnan(interval.value) else f"{interval.value:.3f} [{interval.low:.2f}, {interval.high:.2f}]"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _difference(interval: Interval) -> str:
    if math.isnan(interval.value):
        return "-"
    return f"{interval.value:+.3f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "rubric_accuracy": _interval_json(evaluation.rubric.interval()),
        "instruction_accuracy": _interval_json(evaluation.instruction.interval()),
        "rules": {
            name: {"pass_rate": _interval_json(tally.interval()), "verdicts": int(tally.determined.sum())}
            for name, tally in evaluation.rules.items()
        },
        "responses": len(evaluation.samples),
        "mean_tokens": round(evaluation.mean_tokens, 2),
        "ended": round(evaluation.ended, 4),
        "variety": round(evaluation.variety, 4) if math.isfinite(evaluation.variety) else None,
        "undetermined": evaluation.undetermined,
        "seconds": round(evaluation.seconds, 1),
    }


def _interval_json(interval: Interval) -> dict[str, float | None]:
    return {
        name: None if math.isnan(value) else round(value, 4)
        for name, value in (("value", interval.value), ("low", interval.low), ("high", interval.high))
    }
