"""From lines to tables and plots: every figure with its spread over seeds.

iqm           the mean of the middle half of the seeds, with a 95 % bootstrap interval over seeds
paired        method minus method, seed by seed, with its interval and an exact sign-flip test; Holm over a table
write_report  results/small_world/*.jsonl -> report.md and PNGs
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.lines import done
from experiments.small_world.plans import HOLE_SEEDS, STRESS
from experiments.small_world.running import GROUP_SIZE, PROMPTS_PER_STEP, WORLDS
from experiments.small_world.world import FAMILIES
from rtt.demo.plots import COLOURS, LINES, MARKERS
from rtt.statistics import Interval, holm

RESAMPLES = 4_000
Lines = Sequence[Mapping[str, Any]]

SECOND = ("second", "second-csr", "second-harder", "second-relevance")
"""The stages of the second series, but for its verifiers that err."""
RECOMMENDED = ("gdpo+group*", "group*")
"""The method that the second series was for, and the same without GDPO: RTTConfig's default."""
AGAINST = ("grpo-aon", "grpo-csr", "gdpo", "gdpo+group*/uniform", "gdpo+group*/shuffled", "rtt-csr")

CONTROLS = ("group", "group/uniform", "group/shuffled", "group/random")
"""One method with the oracle's relevance and with relevance that knows nothing."""


def iqm(values: Sequence[float]) -> float:
    """The interquartile mean: a quarter of the values is left out at each end, in fractions of a value."""
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    place = np.arange(n)
    weights = np.clip(np.minimum(place + 1, 0.75 * n) - np.maximum(place, 0.25 * n), 0, None)
    return float((ordered * weights).sum() / weights.sum())


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """The interquartile mean with its 95 % bootstrap interval over seeds."""
    rng = np.random.default_rng(seed)
    array = np.asarray(values, dtype=float)
    drawn = [iqm(array[rng.integers(0, len(array), len(array))]) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(iqm(values), float(low), float(high))


def sign_flip(differences: Sequence[float]) -> float:
    """The two-sided p value of the mean of paired differences under flips of their signs.

    Exact for up to 14 pairs; beyond, from 100,000 draws.
    """
    array = np.asarray(differences, dtype=float)
    observed = abs(array.mean())
    if len(array) <= 14:
        flips = np.array(list(itertools.product((-1, 1), repeat=len(array))))
    else:
        flips = np.random.default_rng(0).choice((-1, 1), size=(100_000, len(array)))
    return float((np.abs(flips @ array / len(array)) >= observed - 1e-12).mean())


def paired(one: Mapping[Any, float], other: Mapping[Any, float]) -> tuple[Interval, float] | None:
    """``other`` minus ``one`` over the seeds that both have; None with fewer than two."""
    seeds = sorted(set(one) & set(other))
    if len(seeds) < 2:
        return None
    differences = [other[s] - one[s] for s in seeds]
    return interval(differences), sign_flip(differences)


def pooled_table(lines: Lines, pairs: Sequence[tuple[str, str]]) -> str:
    """Paired differences over the seeds of all worlds together, Holm-adjusted over the table."""
    found = {}
    for one, other in pairs:
        both = [
            {(w, s): v for w in WORLDS for s, v in by_seed(lines, w, method, instruction).items()}
            for method in (one, other)
        ]
        if (difference := paired(*both)) is not None:
            found[one, other] = (*difference, len(set(both[0]) & set(both[1])))
    adjusted = holm([p for _, p, _ in found.values()])
    rows = [
        [f"{other} minus {one}", str(n), signed(value), f"{p:.3f}", f"{q:.3f}"]
        for ((one, other), (value, p, n)), q in zip(found.items(), adjusted, strict=True)
    ]
    return table(["difference", "pairs", "instruction accuracy", "p", "adjusted"], rows)


POOLED = (
    ("gdpo", "group"),
    ("group/uniform", "group"),
    ("group/shuffled", "group"),
    ("grpo-csr", "group"),
    ("grpo-csr", "gdpo"),
    ("grpo-csr", "rtt-csr"),
    ("gdpo", "rtt-csr"),
    ("grpo-csr", "rtt-csr-raw"),
    ("grpo-aon", "grpo-csr"),
)
"""(one, other): the differences that the questions are about."""


def by_seed(lines: Lines, world: str, method: str, value: Callable[[Mapping[str, Any]], float]) -> dict[int, float]:
    """A figure of a method's runs in a world, by seed."""
    return {
        line["run"]["seed"]: value(line)
        for line in lines
        if line["run"]["world"] == world and line["run"]["method"] == method
    }


def instruction(line: Mapping[str, Any]) -> float:
    """The share of held-out prompts' responses that meet every criterion."""
    return float(line["final"]["instruction"])


def at_seconds(budget: float) -> Callable[[Mapping[str, Any]], float]:
    """Instruction accuracy after so many seconds of training on one core, between the points of the curve."""

    def value(line: Mapping[str, Any]) -> float:
        points = [(0.0, line["start"]["instruction"])]
        points += [(p["seconds"], p["instruction"]) for p in line["curve"]]
        points.append((line["cpu_seconds"], line["final"]["instruction"]))
        return float(np.interp(budget, *zip(*points, strict=True)))

    return value


def with_interval(found: Interval, digits: int = 3) -> str:
    """A value and its interval, as a table's cell."""
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def signed(found: Interval) -> str:
    """A difference and its interval, as a table's cell."""
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column holds names."""
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def methods_of(lines: Lines, world: str) -> list[str]:
    """The methods of a world, in the order of their first line's stage."""
    return list(dict.fromkeys(line["run"]["method"] for line in lines if line["run"]["world"] == world))


def main_table(lines: Lines, world: str, against: Sequence[str], methods: Sequence[str] | None = None) -> str:
    """Instruction accuracy with intervals, and paired differences against some methods."""
    names = sorted(
        methods or methods_of(lines, world),
        key=lambda m: -float(np.mean(list(by_seed(lines, world, m, instruction).values()) or [0.0])),
    )
    seconds = list(by_seed(lines, world, "grpo-csr", lambda line: float(line["cpu_seconds"])).values())
    tests: dict[tuple[str, str], tuple[Interval, float]] = {}
    for method in names:
        for base in against:
            if method != base and (
                found := paired(by_seed(lines, world, base, instruction), by_seed(lines, world, method, instruction))
            ):
                tests[method, base] = found
    adjusted = dict(zip(tests, holm([p for _, p in tests.values()]), strict=True))
    rows = []
    for method in names:
        values = by_seed(lines, world, method, instruction)
        if not values:
            continue
        mine = [line for line in lines if line["run"]["world"] == world and line["run"]["method"] == method]

        def mean(name: str, mine: Lines = mine) -> str:
            return f"{np.mean([line['final'][name] for line in mine]):.2f}"

        clock = by_seed(lines, world, method, at_seconds(float(np.median(seconds)))) if seconds else {}
        rows.append(
            [
                method,
                str(len(values)),
                f"{mine[0]['run']['learning_rate']:g} / {mine[0]['lambda']:.2g}",
                with_interval(interval(list(values.values()))),
                *(
                    f"{signed(tests[method, base][0])} p={adjusted[method, base]:.3f}"
                    if (method, base) in tests
                    else "-"
                    for base in against
                ),
                f"{iqm(list(clock.values())):.3f}" if clock else "-",
                mean("rubric"),
                f"{np.mean([line['final']['unseen']['unseen_kinds'] for line in mine]):.2f}",
                mean("entropy"),
                mean("grammar"),
            ]
        )
    heads = [
        "method",
        "seeds",
        "rate / lambda",
        "instruction accuracy",
        *(f"minus {base}" for base in against),
        "equal clock",
        "rubric",
        "unseen kinds",
        "entropy",
        "grammar",
    ]
    return table(heads, rows)


def family_table(lines: Lines, world: str, methods: Sequence[str]) -> str:
    """Each family's satisfied share after training, with the standard deviation over seeds."""
    rows = []
    for method in methods:
        mine = [line for line in lines if line["run"]["world"] == world and line["run"]["method"] == method]
        if mine:
            shares = [[line["final"]["families"][name] for line in mine] for name in FAMILIES]
            rows.append([method, *(f"{np.mean(s):.3f} ± {np.std(s, ddof=1) if len(s) > 1 else 0:.3f}" for s in shares)])
    base = [line["start"]["families"] for line in lines if line["run"]["world"] == world]
    if base:
        rows.append(["before training", *(f"{np.mean([b[name] for b in base]):.3f}" for name in FAMILIES)])
    return table(["method", *FAMILIES], rows)


def shift_table(lines: Lines, world: str, base: str, methods: Sequence[str]) -> str:
    """What a method moves that the total hides: paired differences by family, of grammar and of entropy."""

    def family(name: str) -> Callable[[Mapping[str, Any]], float]:
        return lambda line: float(line["final"]["families"][name])

    def other(name: str) -> Callable[[Mapping[str, Any]], float]:
        return lambda line: float(line["final"][name])

    values = {**{name: family(name) for name in FAMILIES}, "grammar": other("grammar"), "entropy": other("entropy")}
    rows = []
    for method in methods:
        cells = [
            paired(by_seed(lines, world, base, value), by_seed(lines, world, method, value))
            for value in values.values()
        ]
        if method != base and all(cell is not None for cell in cells):
            number = len(by_seed(lines, world, method, instruction))
            rows.append([method, str(number), *(signed(cell[0]) for cell in cells if cell is not None)])
    return table([f"minus {base}", "seeds", *values], rows)


def halfway_table(lines: Lines, world: str, base: str, methods: Sequence[str]) -> str:
    """Instruction accuracy after the run's first half, and the same minus a base, paired by seed."""

    def halfway(line: Mapping[str, Any]) -> float:
        return float(line["curve"][0]["instruction"])

    rows = []
    for method in methods:
        mine = by_seed(lines, world, method, halfway)
        difference = paired(by_seed(lines, world, base, halfway), mine)
        if difference is not None:
            rows.append([method, str(len(mine)), with_interval(interval(list(mine.values()))), signed(difference[0])])
    return table(["method", "seeds", "instruction accuracy", f"minus {base}"], rows)


def stress_table(lines: Lines, clean: Lines) -> str:
    """True instruction accuracy under each wrong verifier, the interquartile mean of three seeds."""
    methods = list(dict.fromkeys(line["run"]["method"] for line in lines))
    rows = []
    for how, changes in {"none": {}, **STRESS}.items():
        row = [how]
        for method in methods:
            if how == "none":
                mine = [c for c in clean if c["run"]["method"] == method and c["run"]["world"] == "2-5"]
                mine = [c for c in mine if c["run"]["seed"] < 3]
            else:
                mine = [
                    line
                    for line in lines
                    if line["run"]["method"] == method
                    and all(
                        line["run"][key] == changes.get(key, 0)
                        for key in ("flips", "false_passes", "false_fails", "all_pass", "hole")
                    )
                ]
            if not mine:
                row.append("-")
                continue
            text = with_interval(interval([instruction(line) for line in mine]), 2)
            if how == "everything passes":
                text += f"; entropy {np.mean([line['final']['entropy'] for line in mine]):.2f}"
                text += f", grammar {np.mean([line['final']['grammar'] for line in mine]):.2f}"
            if how == "planted hole":
                text += f"; hole {np.mean([line['final']['hole'] for line in mine]):.2f}"
            row.append(text)
        if any(cell != "-" for cell in row[1:]):
            rows.append(row)
    return table(["verifier's fault", *methods], rows)


EVIDENCE_OF_HOLE = {True: "of the true verdicts", "named": "the hole's words", False: "no hole"}


def found(line: Mapping[str, Any]) -> int | None:
    """The first step at which half of the responses use the hole; none where they never do."""
    return next((step for step, share in enumerate(line["uses"], start=1) if share >= 0.5), None)


def holes_table(lines: Lines) -> str:
    """By verifier and method, seed by seed: when the hole was found, when the alarm for it fired, what else fired."""

    def steps(values: Sequence[int | None]) -> str:
        return ", ".join("-" if value is None else str(value) for value in values)

    rows = []
    for hole, what in EVIDENCE_OF_HOLE.items():
        for method in dict.fromkeys(line["run"]["method"] for line in lines):
            arm = [line for line in lines if (line["run"]["method"], line["run"]["hole"]) == (method, hole)]
            if arm:
                others = sorted({kind for line in arm for kind in line["alarms"] if kind != "loophole"})
                fired = [f"{kind} in {sum(kind in line['alarms'] for line in arm)}" for kind in others]
                rows.append(
                    [
                        what,
                        method,
                        f"{np.mean([line['uses'][-1] for line in arm]):.2f}",
                        with_interval(interval([instruction(line) for line in arm]), 2),
                        steps([found(line) for line in arm]),
                        steps([line["alarms"].get("loophole") for line in arm]),
                        ", ".join(fired),
                    ]
                )
    heads = ["evidence", "method", "use it at the end", "true instruction accuracy", "found at", "`loophole` at"]
    return table([*heads, "other alarms"], rows)


def gradient_tables(lines: Lines) -> str:
    """Cosines with the true gradient by group size, and by family at eight responses."""
    by_size = {line["group_size"]: line["rows"] for line in lines}
    names = list(dict.fromkeys(row["estimator"] for rows in by_size.values() for row in rows))

    def cell(size: int, name: str, objective: str) -> str:
        for row in by_size.get(size, []):
            if row["estimator"] == name and row["objective"] == objective:
                return f"{row['cosine']:.3f} ± {row['cosine_se']:.3f} ({row['direction']:+.2f}, {row['snr']:.3f})"
        return "-"

    sizes = sorted(by_size)
    parts = [
        "Mean cosine ± standard error (direction of the mean of all estimates, signal-to-noise), all criteria:",
        table(["estimator", *(f"G = {s}" for s in sizes)], [[n, *(cell(s, n, "all") for s in sizes)] for n in names]),
    ]
    if 8 in by_size:
        ceiling = {row["objective"]: row["ceiling"] for row in by_size[8]}
        parts += [
            "By family, G = 8, each estimator given that family's criteria alone:",
            table(
                ["estimator", *FAMILIES],
                [[n, *(cell(8, n, f) for f in FAMILIES)] for n in names]
                + [
                    ["cosine of the true gradient's halves", *(f"{ceiling.get(f, float('nan')):.3f}" for f in FAMILIES)]
                ],
            ),
        ]
    return "\n\n".join(parts)


def write_report(folder: Path) -> list[Path]:
    """Write report.md and the plots from the lines in ``folder``; says which files."""
    stages = {
        name: list(done(folder / f"{name}.jsonl").values())
        for name in (
            "tune",
            "headline",
            "harder",
            "carried",
            "further",
            "remedies",
            "relevance",
            "stress",
            "gradient",
            "explore",
            "holes",
            "partitions",
            "second",
            "second-carried",
            "second-csr",
            "second-harder",
            "second-stress",
            "second-relevance",
        )
    }
    main = [*stages["headline"], *stages["harder"], *stages["further"]]
    everything = [*main, *stages["remedies"], *stages["relevance"]]
    text = [
        "# Small world: results",
        "Instruction accuracy of responses to 256 held-out prompts (3 each), interquartile mean over seeds, with "
        "a 95 % bootstrap interval over seeds; differences are paired by seed, with Holm-adjusted p values of an exact "
        "sign-flip test over the table. *Equal clock*: after as many seconds of one core as GRPO-CSR takes. *Unseen "
        "kinds*: criteria of kinds that no policy was trained on. Written by\n"
        "`python -m experiments.small_world report`.",
    ]
    files = []
    if second := [line for name, lines in stages.items() if name in SECOND for line in lines]:
        text += ["## Second series: exact counts carried by the whole response, seeds 400-409 (long 6-8: 410-419)"]
        for world in WORLDS:
            if names := methods_of(second, world):
                text += [f"### {world} criteria a prompt", main_table(second, world, ("gdpo", "grpo-csr"), names)]
                text += ["Satisfied share by family:", family_table(second, world, names)]
                text += ["Minus the recommended methods:", main_table(second, world, RECOMMENDED, names)]
                text += ["Half-way, minus GDPO:", halfway_table(second, world, "gdpo", names)]
                files.append(folder / f"second-curves-{world.replace(' ', '-')}.png")
                _plot_curves(second, world, files[-1])
        text += ["### All worlds together"]
        for method in RECOMMENDED:
            text.append(pooled_table(second, [(base, method) for base in (*AGAINST, *RECOMMENDED) if base != method]))
        files.append(folder / "second-differences.png")
        _plot_differences(second, files[-1])
    for world in ("2-5", "6-8"):
        if methods_of(main, world):
            text += [f"## {world} criteria a prompt", main_table(main, world, ("grpo-csr", "gdpo"))]
            text += ["Satisfied share by family:", family_table(main, world, methods_of(main, world))]
            text += ["What moves (unadjusted):", shift_table(main, world, "grpo-csr", methods_of(main, world))]
            text += [
                "What localisation adds: the same method and setting, told where by something else, minus the oracle:",
                main_table(main, world, ("group",), [m for m in CONTROLS if m in methods_of(main, world)]),
            ]
            files.append(folder / f"curves-{world}.png")
            _plot_curves(main, world, files[-1])
    if methods_of(main, "6-8"):
        text += ["## Both worlds together", pooled_table(main, POOLED)]
    if stages["carried"]:
        text += [
            "## 6-8 criteria with the settings of 2-5",
            "The learning rates and weights that were tuned on 2-5 criteria, carried over: what a method is worth "
            "where it was not tuned.",
            main_table(stages["carried"], "6-8", ("grpo-csr", "gdpo")),
        ]
    if carried := stages["second-carried"]:
        text += [
            "## Long texts with 6-8 criteria, with the settings of 2-5 (seeds 400-409)",
            main_table(carried, "long 6-8", ("grpo-csr", "gdpo")),
        ]
    firsts = [line for line in everything if line["run"]["seed"] < 5]
    for name, bases, extra in (
        ("remedies", ("rtt-csr-raw", "grpo-csr"), ("grpo-csr", "rtt-csr", "rtt-csr-raw", "group")),
        (
            "relevance",
            ("group", "gdpo"),
            ("grpo-csr", "gdpo", "group", "group/uniform", "group/shuffled", "group/random"),
        ),
    ):
        if stages[name]:
            names = [*extra, *methods_of(stages[name], "2-5")]
            text += [f"## {name.capitalize()} (2-5 criteria, seeds 0-4)", main_table(firsts, "2-5", bases, names)]
            text += ["What moves (unadjusted):", shift_table(firsts, "2-5", bases[0], names)]
    if stages["stress"]:
        stressed = [*stages["stress"], *stages["second-stress"]]
        text += ["## Verifiers that err (2-5 criteria, seeds 0-2)", stress_table(stressed, main)]
    if stages["partitions"]:
        text += [
            "## The paper's four partitions (2-5 criteria, seeds 600-604)",
            main_table(stages["partitions"], "2-5", ("rtt-csr", "grpo-csr")),
            "Satisfied share by family:",
            family_table(stages["partitions"], "2-5", methods_of(stages["partitions"], "2-5")),
        ]
    if tested := [line for line in stages["holes"] if line["run"]["seed"] in HOLE_SEEDS]:
        text += [
            f"## A planted hole and the alarms (2-5 criteria, seeds {HOLE_SEEDS[0]}-{HOLE_SEEDS[-1]})",
            "Steps seed by seed: from which on half of the responses use the hole, and at which `rtt audit` first says "
            "`loophole`; audited every second step.",
            holes_table(tested),
        ]
        files.append(folder / "holes.png")
        _plot_holes(tested, files[-1])
    if stages["gradient"]:
        text += ["## Gradients", gradient_tables(stages["gradient"])]
    if stages["explore"]:
        text += ["## The token-level part at three times the response's size (exploration, not tuned)"]
        for world in ("2-5", "6-8"):
            text += [f"{world} criteria:", main_table(stages["explore"], world, ("group/uniform",))]
    if stages["tune"]:
        text += ["## Tuning", _tuning_table(stages["tune"])]
    if main:
        files.append(folder / "differences.png")
        _plot_differences(main, files[-1])
    seconds = sum(line.get("cpu_seconds", 0) for lines in stages.values() for line in lines)
    runs = sum(len(lines) for name, lines in stages.items() if name != "gradient")
    commits = sorted({line["commit"] for lines in stages.values() for line in lines if "commit" in line})
    text += [f"{runs} runs, {seconds / 60:.0f} minutes of one core in training alone; commits {', '.join(commits)}."]
    report = folder / "report.md"
    report.write_text("\n\n".join(text) + "\n")
    return [report, *files]


def _tuning_table(lines: Lines) -> str:
    """Every tuning run, those of a plan that was given up among them."""
    scores: defaultdict[tuple[str, float, float], dict[str, float]] = defaultdict(dict)
    for line in lines:
        run = line["run"]
        place = f"seed {run['seed']}, {run['world']}"
        scores[run["method"], run["learning_rate"], run["weight"]][place] = instruction(line)
    places = sorted({place for found in scores.values() for place in found})
    rows = [
        [method, f"{rate:g}", f"{weight:g}", *(f"{found[p]:.3f}" if p in found else "-" for p in places)]
        for (method, rate, weight), found in sorted(scores.items())
    ]
    return table(["method", "learning rate", "weight", *places], rows)


def _plot_curves(lines: Lines, world: str, path: Path) -> None:
    """Instruction accuracy over rollouts, the mean over seeds with one standard error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    names = methods_of(lines, world)
    for place, method in enumerate(names):
        mine = [line for line in lines if line["run"]["world"] == world and line["run"]["method"] == method]
        for axis, name in zip(axes, ("instruction", "entropy"), strict=True):
            series = np.array(
                [[line["start"][name], *(point[name] for point in line["curve"]), line["final"][name]] for line in mine]
            )
            steps = [0, *(point["step"] for point in mine[0]["curve"]), mine[0]["run"]["steps"]]
            rollouts = np.array(steps) * GROUP_SIZE * PROMPTS_PER_STEP
            style = {
                "color": COLOURS[place % len(COLOURS)],
                "linestyle": LINES[place // len(COLOURS) % len(LINES)],
                "marker": MARKERS[place % len(MARKERS)],
            }
            axis.plot(rollouts, series.mean(axis=0), label=f"{method} ({len(mine)})", markersize=4, **style)
            if len(mine) > 1:
                error = series.std(axis=0, ddof=1) / len(mine) ** 0.5
                low, high = series.mean(axis=0) - error, series.mean(axis=0) + error
                axis.fill_between(rollouts, low, high, color=style["color"], alpha=0.12)
            axis.set_xlabel("rollouts")
    axes[0].set_ylabel("instruction accuracy, held-out prompts")
    axes[1].set_ylabel("entropy, nats a token")
    axes[0].legend(fontsize=7)
    figure.suptitle(f"{world} criteria a prompt; mean over seeds (their number), band: one standard error")
    figure.savefig(path, dpi=110)


def _plot_differences(lines: Lines, path: Path) -> None:
    """Each method minus GDPO, paired by seed, in each world."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    worlds = [world for world in WORLDS if methods_of(lines, world)]
    axes = figure.subplots(1, len(worlds), squeeze=False)[0]
    for axis, world in zip(axes, worlds, strict=True):
        found = {}
        for method in methods_of(lines, world):
            mine = by_seed(lines, world, method, instruction)
            if method != "gdpo" and (pair := paired(by_seed(lines, world, "gdpo", instruction), mine)):
                found[f"{method} ({len(mine)})"] = pair[0]
        for place, (name, one) in enumerate(sorted(found.items(), key=lambda item: item[1].value)):
            axis.plot([one.low, one.high], [place, place], color=COLOURS[0])
            axis.plot(one.value, place, MARKERS[0], color=COLOURS[0 if "group" in name else 1 if "rtt" in name else 6])
            axis.annotate(name, (one.high, place), xytext=(4, -3), textcoords="offset points", fontsize=7)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_yticks([])
        axis.margins(x=0.25)
        axis.set_title(f"{world} criteria")
        axis.set_xlabel("instruction accuracy minus GDPO's")
    figure.suptitle("Interquartile mean of paired differences (seeds), 95 % bootstrap interval")
    figure.savefig(path, dpi=110)


def _plot_holes(lines: Lines, path: Path) -> None:
    """The share of responses that use the hole, seed by seed, and where the alarm fires."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    arms = list(dict.fromkeys((line["run"]["method"], line["run"]["hole"]) for line in lines if line["run"]["hole"]))
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, (len(arms) + 1) // 2, sharex=True, sharey=True).flatten()
    for axis, (method, hole) in zip(axes, arms, strict=False):
        for line in lines:
            if (line["run"]["method"], line["run"]["hole"]) == (method, hole):
                axis.plot(range(1, len(line["uses"]) + 1), line["uses"], color=COLOURS[0], alpha=0.6)
                if step := line["alarms"].get("loophole"):
                    axis.plot(step, line["uses"][step - 1], MARKERS[0], color=COLOURS[1], zorder=3)
        axis.set_title(f"{method}; evidence: {EVIDENCE_OF_HOLE[hole]}", fontsize=9)
        axis.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    figure.supxlabel("step")
    figure.supylabel("responses that use the hole")
    figure.suptitle("A planted hole: a line a seed; the mark is where `rtt audit` first says loophole")
    figure.savefig(path, dpi=110)


def compare_quick(file: Path, published: Sequence[Path]) -> tuple[str, bool]:
    """Whether reduced runs order the methods as the published ones, as far as those are told apart.

    Returns:
        A table, and whether each published difference that leaves out zero has its sign here too or an interval, from
        few seeds, that reaches across zero.
    """
    from experiments.small_world.plans import QUICK, QUICK_WORLDS

    mine = list(done(file).values())
    theirs = [line for one in published for line in done(one).values()]
    rows, agrees = [], True
    for world, (one, other) in itertools.product(QUICK_WORLDS, itertools.combinations(QUICK, 2)):
        wide = paired(by_seed(theirs, world, one, instruction), by_seed(theirs, world, other, instruction))
        here = paired(by_seed(mine, world, one, instruction), by_seed(mine, world, other, instruction))
        if wide is None or here is None:
            continue
        against = wide[0].beyond_noise and here[0].beyond_noise and wide[0].value * here[0].value < 0
        agrees &= not against
        if against:
            verdict = "AGAINST"
        elif not wide[0].beyond_noise:
            verdict = "not told apart"
        else:
            verdict = "the same" if wide[0].value * here[0].value > 0 else "within noise"
        rows.append([f"{world}: {other} minus {one}", signed(wide[0]), signed(here[0]), verdict])
    return table(["difference", "published", "here", "order"], rows), agrees and bool(rows)
