"""From lines to tables and a plot.

by seed      interquartile mean over seeds with a 95 % bootstrap interval; paired by seed against each baseline, with an
             exact sign-flip test, Holm over a table. Three seeds of one model cannot give p below 0.25, so the models'
             pairs are pooled as well
by prompt    the seeds' counts of each held-out prompt added, both arms resampled on the same prompts
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.lines import done
from experiments.real_models.plans import BASE, BASELINES
from experiments.small_world.report import interval, paired, signed, table, with_interval
from rtt.demo.plots import COLOURS, MARKERS
from rtt.statistics import Interval, Tally, difference, holm

Lines = Sequence[Mapping[str, Any]]
Value = Callable[[Mapping[str, Any]], float]

MEASURES = {
    "held-out instruction": ("heldout", "instruction"),
    "held-out rubric": ("heldout", "rubric"),
    "IFEval prompts": ("ifeval", "instruction"),
    "IFEval instructions": ("ifeval", "rubric"),
}
"""(evaluation, rate): instruction accuracy is IFEval's strict prompt-level accuracy, rubric accuracy its other one."""


def rate(measure: str) -> Value:
    """A measure of a line; NaN where its data was not there."""
    evaluation, name = MEASURES[measure]
    return lambda line: float(line[evaluation][name]["rate"]) if line[evaluation] else float("nan")


def seconds_per_step(line: Mapping[str, Any]) -> float:
    """The median over a run's steps."""
    return float(np.median([row["step_time"] for row in line["history"]]))


def of(lines: Lines, model: str, arm: str) -> list[Mapping[str, Any]]:
    """The lines of one arm, by seed."""
    mine = [line for line in lines if line["run"]["model"] == model and line["run"]["arm"] == arm]
    return sorted(mine, key=lambda line: int(line["run"]["seed"]))


def by_seed(lines: Lines, models: Sequence[str], arm: str, value: Value) -> dict[tuple[str, int], float]:
    """A figure of an arm's runs, by model and seed."""
    return {(model, line["run"]["seed"]): value(line) for model in models for line in of(lines, model, arm)}


def counts(lines: Lines, measure: str) -> Tally:
    """Satisfied and determined by prompt, added over the lines."""
    evaluation, name = MEASURES[measure]
    return Tally(
        *(np.sum([line[evaluation][name][part] for line in lines], axis=0) for part in ("satisfied", "determined"))
    )


def names(lines: Lines, key: str) -> list[str]:
    """The models or arms there are, in the order of the lines; the untrained one is no arm."""
    return list(dict.fromkeys(line["run"][key] for line in lines if line["run"][key] != BASE))


def measures(lines: Lines) -> list[str]:
    """The measures that every line has."""
    return [name for name, (evaluation, _) in MEASURES.items() if all(line[evaluation] for line in lines)]


def rates_table(lines: Lines, model: str) -> str:
    """Each measure before and after, over seeds."""
    rows = []
    for arm in (BASE, *names(lines, "arm")):
        mine = of(lines, model, arm)
        if mine:
            found = {measure: [rate(measure)(line) for line in mine] for measure in measures(lines)}
            cells = [
                f"{values[0]:.3f}" if arm == BASE else with_interval(interval(values)) for values in found.values()
            ]
            rows.append(["before training" if arm == BASE else arm, str(len(mine)), *cells])
    return table(["arm", "seeds", *measures(lines)], rows)


def differences_table(lines: Lines, models: Sequence[str], measure: str) -> str:
    """Each arm minus each baseline, paired by model and seed, Holm-adjusted over the table."""
    arms = names(lines, "arm")
    found: dict[tuple[str, str], tuple[Interval, float]] = {}
    for arm in arms:
        for baseline in BASELINES:
            pair = paired(by_seed(lines, models, baseline, rate(measure)), by_seed(lines, models, arm, rate(measure)))
            if arm not in BASELINES and pair is not None:
                found[arm, baseline] = pair
    adjusted = holm([p for _, p in found.values()])
    rows = []
    for ((arm, baseline), (value, p)), q in zip(found.items(), adjusted, strict=True):
        row = [f"{arm} minus {baseline}", signed(value), f"{p:.3f}", f"{q:.3f}"]
        if len(models) == 1:
            prompts = difference(*(counts(of(lines, models[0], name), measure) for name in (baseline, arm)))
            row.append(signed(prompts))
        rows.append(row)
    heads = ["difference", "over seeds", "p", "adjusted", *(["over prompts"] if len(models) == 1 else [])]
    return table(heads, rows)


def text_table(lines: Lines, model: str) -> str:
    """What nothing rewards: a gain with falling variety or shrinking length is none that anyone would want."""
    rows = []
    for arm in (BASE, *names(lines, "arm")):
        mine = of(lines, model, arm)
        if mine:
            cells = [
                f"{np.mean([line[evaluation][name] for line in mine]):.{digits}f}"
                for evaluation in ("heldout", "ifeval")
                if all(line[evaluation] for line in lines)
                for name, digits in (("variety", 2), ("tokens", 1), ("ended", 2))
            ]
            rows.append(["before training" if arm == BASE else arm, *cells])
    heads = [f"{title} {name}" for title in ("held-out", "IFEval") for name in ("variety", "tokens", "ended")]
    return table(["arm", *heads[: len(rows[0]) - 1]], rows)


def clock_table(lines: Lines, model: str, baseline: str = "grpo-csr") -> str:
    """Seconds a step, and held-out instruction accuracy at the wall clock of a baseline.

    An arm that is slower has made only a part of its steps by then, and that part of its gain is counted: a straight
    line between its evaluations before and after.
    """
    measure = "held-out instruction"
    seconds = {
        arm: float(np.median([seconds_per_step(line) for line in of(lines, model, arm)]))
        for arm in names(lines, "arm")
        if of(lines, model, arm)
    }
    before = of(lines, model, BASE)
    rows = []
    for arm, mine in seconds.items():
        share = min(1.0, seconds.get(baseline, mine) / mine)
        after = interval([rate(measure)(line) for line in of(lines, model, arm)]).value
        relevance = np.mean(
            [row.get("rtt/relevance_seconds", 0.0) for line in of(lines, model, arm) for row in line["history"]]
        )
        start = rate(measure)(before[0]) if before else float("nan")
        rows.append([arm, f"{mine:.2f}", f"{relevance:.3f}", f"{share:.3f}", f"{start + share * (after - start):.3f}"])
    return table(["arm", "seconds a step", "of them relevance", "share of its steps", "equal clock"], rows)


def write_report(folder: Path) -> list[Path]:
    """Write report.md and the plot from the lines in ``folder``; says which files."""
    lines = list(done(folder / "runs.jsonl").values())
    models = names(lines, "model")
    text = [
        "# Real models: results",
        "Two small models, LoRA, the project's tasks; the evaluations are of prompts that are not trained on. Over "
        "seeds: interquartile mean with a 95 % bootstrap interval; differences are paired by seed, with an exact "
        "sign-flip test, Holm-adjusted over the table. Three seeds cannot give p below 0.25. Over prompts: a 95 % "
        "bootstrap interval over the held-out prompts, the seeds' counts added. Equal steps mean equal rollouts. All "
        "arms share the demo's learning rate; none was tuned on these models. Written by "
        "`python -m experiments.real_models report`.",
    ]
    if len(measures(lines)) < len(MEASURES):
        text.append("IFEval's data was not there, so that part is left out.")
    for model in models:
        mine = [line for line in lines if line["run"]["model"] == model]
        text += [f"## {model}", _told(mine), rates_table(mine, model)]
        for measure in measures(lines):
            text += [f"Differences, {measure}:", differences_table(mine, [model], measure)]
        text += ["Equal wall clock:", clock_table(mine, model), "The text itself:", text_table(mine, model)]
        text += ["First held-out response:", _responses(mine, model)]
    if len(models) > 1:
        text.append("## Both models together")
        for measure in measures(lines):
            text += [f"Differences, {measure}:", differences_table(lines, models, measure)]
    picture = folder / "curves.png"
    _plot_curves(lines, picture)
    minutes = sum(sum(line["cpu_seconds"].values()) for line in lines) / 60
    commits = sorted({line["commit"] for line in lines})
    text.append(f"{len(lines)} runs, {minutes:.0f} minutes of one core; commits {', '.join(commits)}.")
    report = folder / "report.md"
    report.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    return [report, picture]


def _told(lines: Lines) -> str:
    """What was run, from the lines themselves."""
    run = lines[0]["run"]
    settings, ifeval = run["settings"], run["ifeval"]
    options = "; ".join(
        f"{arm}: " + ", ".join(f"{name}={value}" for name, value in found.items())
        for arm, found in {line["run"]["arm"]: line["run"]["options"] for line in lines}.items()
        if found
    )
    return (
        f"{settings['steps']} steps of {settings['prompts_per_step']} prompts x {settings['num_generations']} "
        f"responses of at most {settings['max_completion_length']} tokens, learning rate "
        f"{settings['learning_rate']:g}, LoRA rank {settings['lora_rank']}. Held out: {settings['eval_prompts']} tasks "
        f"x {settings['eval_samples']} sampled responses (at most {settings['eval_max_tokens']} tokens), and "
        f"{ifeval['prompts']} prompts of IFEval, greedy (at most {ifeval['max_tokens']} tokens: no official scores). "
        f"Arms: {options}."
    )


def _responses(lines: Lines, model: str) -> str:
    rows = [
        [f"{arm}, seed {line['run']['seed']}", " ".join(line["heldout"]["responses"][0].split()).replace("|", "\\|")]
        for arm in (BASE, *names(lines, "arm"))
        for line in of(lines, model, arm)
    ]
    return table(["run", "response"], rows)


def _plot_curves(lines: Lines, path: Path) -> None:
    """Rubric accuracy of the training responses by step and by second, the mean over seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = names(lines, "model")
    figure = Figure(figsize=(11, 4 * len(models)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(models), 2, squeeze=False, sharey="row")
    for (by_step, by_second), model in zip(axes, models, strict=True):
        for place, arm in enumerate(names(lines, "arm")):
            mine = of(lines, model, arm)
            if not mine:
                continue
            accuracy = np.mean([[row["rtt/rubric_accuracy"] for row in line["history"]] for line in mine], axis=0)
            steps = np.arange(1, len(accuracy) + 1)
            style = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)], "markersize": 4}
            by_step.plot(steps, accuracy, label=f"{arm} ({len(mine)})", **style)
            by_second.plot(steps * np.median([seconds_per_step(line) for line in mine]), accuracy, **style)
        by_step.set_title(model)
        by_step.set_xlabel("step")
        by_step.set_ylabel("rubric accuracy, training responses")
        by_second.set_xlabel("seconds (median step)")
    axes[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
