"""An evaluation as tables for a terminal, as Markdown and JSON, and as pictures.

    write_report(evaluation, folder)
    ├── evaluation.json      all numbers; read_evaluation() reads them back
    ├── evaluation.md        the tables
    ├── average_precision.png    scorers by split, with intervals
    ├── kinds.png                each kind of criterion, lowest first
    ├── reliability.png          whether relevance means what it says
    └── faithfulness.png         how often verdicts turn when the best items are deleted

Colours are those of Okabe and Ito, which people with any common colour vision tell apart; scorers differ by marker or
hatching as well, so the pictures hold in black and white. What could not be measured is "-" in a table, null in JSON,
and absent from a picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rtt.errors import DataError
from rtt.relevance.discriminator.evaluation import (
    MATCHED,
    Evaluation,
    Faithfulness,
    Group,
    Interval,
    ScorerResult,
    SplitResult,
)

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "*")
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "oo", "**")

JSON_FILE, MARKDOWN_FILE = "evaluation.json", "evaluation.md"

SPLIT_TITLES = {
    "seen": "new prompts",
    "kinds": "new kinds",
    "wordings": "new wordings",
    "all": "all examples",
}
"""How tables call the splits of :mod:`~rtt.relevance.discriminator.examples`; others keep their name."""

SCORER_TITLES = {"all": "all tokens", "random": "random tokens"}
"""How tables call scorers; others keep their name. Short, so that three splits fit into 80 columns."""

BASELINES = {
    "all": "all tokens: the same for every item",
    "random": "random tokens: a random number for each",
    "lexical": "lexical: what the criterion quotes or names, and words spelled like its words",
    "similarity": "similarity: cosine of the backbone's input embeddings with the criterion's words",
    "contrast": "contrast: how much a language model's expectation changes when it is shown the criterion",
}
"""What the baselines are, in words."""

ABOUT_PRECISION = (
    "Average precision of the words and marks of a response, taken within the response, then averaged over the "
    "examples of each kind of criterion, then over kinds. The same score for all reaches the row 'prevalence'. "
    "Intervals: 95 %, bootstrap over prompts."
)
ABOUT_MEASURES = (
    "pooled AP: all items of a kind in one ranking, mean over kinds. F1, precision, recall: items from the threshold "
    "on. AUROC, ECE (15 bins of equal mass), Brier: all items in one, whole-response and empty examples included."
)
ABOUT_SCOPES = (
    "Mean over examples. local: the evidence is in spans; whole response: no part of it carries more than another; "
    "empty: nothing in it is relevant. Share: of their items, from the threshold on."
)
ABOUT_FAITHFULNESS = (
    "Share of verdicts that turn when the items that score highest are deleted and the rule is asked again; n: as many "
    "as are relevant. Over the examples whose verdict turns when the labelled items go ('examples'), which it does for "
    "the share 'ceiling' of those 'tried'. random: as many random items."
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: title, heads, rows, and what its numbers mean. The first column is text, the others are numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


# ------------------------------------------------------------------------------------------------------------- tables


def tables(evaluation: Evaluation, *, short: bool = False) -> list[Table]:
    """The tables of an evaluation; ``short`` leaves out those of kinds, and some columns, to fit a terminal."""
    main = next(iter(evaluation.scorers))
    made = [
        _precision_table(evaluation),
        _difference_table(evaluation, main),
        _measures_table(evaluation, short=short),
        _scopes_table(evaluation.scorers[main], _title(main)),
        _faithfulness_table(evaluation, short=short),
        _groups_table(evaluation, "family", lambda split: split.families, short=short),
    ]
    if not short:
        made.append(_groups_table(evaluation, "kind", lambda split: split.kinds, short=False))
        made.append(_reliability_table(evaluation.scorers[main], _title(main)))
    return [table for table in made if table.rows]


def _precision_table(evaluation: Evaluation) -> Table:
    splits = _splits(evaluation)
    rows = [
        (_title(name), *(_interval(result.splits[split].overall.average_precision) for split in splits))
        for name, result in evaluation.scorers.items()
    ]
    first = _first(evaluation)
    rows.append(("prevalence", *(_number(first.splits[split].overall.prevalence) for split in splits)))
    rows.append(("examples ranked", *(f"{first.splits[split].overall.ranked:,}" for split in splits)))
    rows.append(("kinds", *(str(_ranked_kinds(first.splits[split])) for split in splits)))
    rows.append(("prompts", *(f"{first.splits[split].prompts:,}" for split in splits)))
    heads = ("average precision", *(SPLIT_TITLES.get(split, split) for split in splits))
    baselines = "; ".join(words for name, words in BASELINES.items() if name in evaluation.scorers)
    note = f"{ABOUT_PRECISION} Baselines: {baselines}." if baselines else ABOUT_PRECISION
    return Table("Average precision", heads, tuple(rows), note)


def _difference_table(evaluation: Evaluation, main: str) -> Table:
    splits = _splits(evaluation)
    rows = tuple(
        (_title(name), *(_difference(result.difference.get(split)) for split in splits))
        for name, result in evaluation.scorers.items()
        if result.difference
    )
    heads = (f"{_title(main)} minus", *(SPLIT_TITLES.get(split, split) for split in splits))
    return Table("Difference in average precision", heads, rows, "On the examples that both scored, paired by prompt.")


def _measures_table(evaluation: Evaluation, *, short: bool) -> Table:
    """A section a split; ``short`` leaves out two columns, to fit a terminal."""
    heads = ("", "pooled AP", "F1", "precision", "recall", "AUROC", "ECE", "Brier", "threshold")
    kept = len(heads) - 2 if short else len(heads)
    rows: list[tuple[str, ...]] = []
    for split in _splits(evaluation):
        rows.append(_section(SPLIT_TITLES.get(split, split), kept))
        for name, result in evaluation.scorers.items():
            found = result.splits[split]
            at, fit = found.overall.detection, found.calibration
            row = (
                f"  {_title(name)}",
                _number(found.overall.pooled_average_precision),
                _number(None if at is None else at.f1),
                _number(None if at is None else at.precision),
                _number(None if at is None else at.recall),
                _number(found.auroc),
                _number(None if fit is None else fit.ece),
                _number(None if fit is None else fit.brier),
                f"{result.threshold:.3f}",
            )
            rows.append(row[:kept])
    chosen = "Thresholds: best F1 on the validation examples."
    if evaluation.thresholds_from != "validation":
        chosen = "Thresholds: given, or 0.5; there were no validation examples to choose them on."
    return Table("Other measures", heads[:kept], tuple(rows), f"{ABOUT_MEASURES} {chosen}")


def _scopes_table(result: ScorerResult, title: str) -> Table:
    rows: list[tuple[str, ...]] = []
    for split, found in result.splits.items():
        at = found.scopes
        rows += [
            _section(SPLIT_TITLES.get(split, split), 4),
            ("  local, relevant items", f"{at.local:,}", _number(at.relevant_score), ""),
            ("  local, other items", f"{at.local:,}", _number(at.irrelevant_score), ""),
            ("  whole response", f"{at.response:,}", _number(at.response_score), _number(at.response_above)),
            ("  empty", f"{at.empty:,}", _number(at.empty_score), _number(at.empty_above)),
        ]
    heads = ("", "examples", "mean relevance", "share from threshold")
    return Table(f"Local, whole-response and empty examples: {title}", heads, tuple(rows), ABOUT_SCOPES)


def _faithfulness_table(evaluation: Evaluation, *, short: bool) -> Table:
    shown = _value_alone if short else _interval
    budgets = list(dict.fromkeys(b for found in evaluation.faithfulness.values() for b in found.examples))
    rows: list[tuple[str, ...]] = []
    for split, found in evaluation.faithfulness.items():
        if not found.eligible:
            continue
        rows.append(_section(SPLIT_TITLES.get(split, split), 1 + len(budgets)))
        for name, rates in found.scorers.items():
            if any(rates.values()):
                rows.append((f"  {_title(name)}", *(shown(rates.get(budget)) for budget in budgets)))
        rows.append(("  random items", *(shown(found.random.get(budget)) for budget in budgets)))
        rows.append(("  examples", *(f"{found.examples.get(budget, 0):,}" for budget in budgets)))
        rows.append(("  ceiling", shown(found.ceiling), *("" for _ in budgets[1:])))
        rows.append(("  tried", f"{found.eligible:,}", *("" for _ in budgets[1:])))
    heads = ("verdicts that turn", *(_budget(budget) for budget in budgets))
    return Table("Faithfulness", heads, tuple(rows), ABOUT_FAITHFULNESS)


def _groups_table(
    evaluation: Evaluation, what: str, groups: Callable[[SplitResult], Mapping[str, Group]], *, short: bool
) -> Table:
    """Average precision by kind or family; ``short`` leaves out what the prevalence says already."""
    rows: list[tuple[str, ...]] = []
    scorers = {name: one for name, one in evaluation.scorers.items() if not (short and name in ("all", "random"))}
    columns = 4 + len(scorers)
    for split in _splits(evaluation):
        ranked = {name: group for name, group in groups(_first(evaluation).splits[split]).items() if group.ranked}
        if ranked:
            rows.append(_section(SPLIT_TITLES.get(split, split), columns))
        for name, group in ranked.items():
            found = [groups(result.splits[split]).get(name) for result in scorers.values()]
            precisions = [None if one is None else one.average_precision for one in found]
            rows.append(
                (
                    f"  {name}",
                    f"{group.ranked:,}",
                    _number(group.prevalence),
                    *(_number(None if one is None else one.value) for one in precisions),
                    _number(None if group.detection is None else group.detection.f1),
                )
            )
    heads = (what, "ranked", "prevalence", *map(_title, scorers), "F1")
    main = _title(next(iter(evaluation.scorers)))
    return Table(f"Average precision by {what}", heads, tuple(rows), f"F1: of {main}.")


def _reliability_table(result: ScorerResult, title: str) -> Table:
    rows: list[tuple[str, ...]] = []
    for split, found in result.splits.items():
        if found.calibration is not None:
            rows.append(_section(SPLIT_TITLES.get(split, split), 4))
            rows += [
                (f"  bin {number}", f"{one.score:.3f}", f"{one.relevant:.3f}", f"{one.items:,}")
                for number, one in enumerate(found.calibration.bins, start=1)
            ]
    return Table(f"Reliability: {title}", ("", "mean relevance", "share relevant", "items"), tuple(rows))


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print the tables and what their numbers mean."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    for table in tables(evaluation, short=True):
        shown = RichTable(
            title=Text(table.title),
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for index, head in enumerate(table.heads):
            shown.add_column(Text(head), justify="right" if index else "left", no_wrap=not index)
        for row in table.rows:
            shown.add_row(*map(Text, row))
        console.print(shown)
        if table.note:
            console.print(Text(f"{table.note}\n", style="dim"))


def to_markdown(evaluation: Evaluation, *, title: str = "Evaluation of a discriminator") -> str:
    """The evaluation as Markdown, with the pictures that :func:`write_report` draws."""
    pictures = {
        "Average precision": AVERAGE_PRECISION_PICTURE,
        "Faithfulness": FAITHFULNESS_PICTURE,
        "Average precision by kind": KINDS_PICTURE,
    }
    parts = [f"# {_cell(title)}"]
    for table in tables(evaluation):
        parts.append(f"## {_cell(table.title)}")
        picture = RELIABILITY_PICTURE if table.title.startswith("Reliability") else pictures.get(table.title)
        if picture is not None:
            parts.append(f"![{_cell(table.title)}]({picture})")
        parts.append(_markdown(table.heads, table.rows))
        if table.note:
            parts.append(table.note)
    speed = [(_title(name), f"{result.seconds:.1f}") for name, result in evaluation.scorers.items()]
    parts += ["## Time", _markdown(("scorer", "seconds for all splits"), speed)]
    details = {**evaluation.details, "seed": str(evaluation.seed)}
    parts += ["## Details", _markdown(("what", "value"), list(details.items()))]
    return "\n\n".join(parts) + "\n"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    shown = [row if any(row[1:]) else (f"**{row[0]}**", *row[1:]) for row in rows]
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *shown]
    return "\n".join(f"| {' | '.join(_cell(cell.strip()) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _splits(evaluation: Evaluation) -> list[str]:
    return list(_first(evaluation).splits)


def _first(evaluation: Evaluation) -> ScorerResult:
    return next(iter(evaluation.scorers.values()))


def _ranked_kinds(split: SplitResult) -> int:
    return sum(group.ranked > 0 for group in split.kinds.values())


def _title(name: str) -> str:
    return SCORER_TITLES.get(name, name)


def _budget(name: str) -> str:
    return "n items" if name == MATCHED else f"{name} item{'' if name == '1' else 's'}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} [{interval.low:.2f}, {interval.high:.2f}]"


def _difference(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.value:+.2f}"
    return f"{interval.value:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def _value_alone(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.3f}"


def _section(title: str, columns: int) -> tuple[str, ...]:
    """A row that heads those below it."""
    return (title, *("" for _ in range(columns - 1)))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


# -------------------------------------------------------------------------------------------------------------- files

AVERAGE_PRECISION_PICTURE = "average_precision.png"
KINDS_PICTURE = "kinds.png"
RELIABILITY_PICTURE = "reliability.png"
FAITHFULNESS_PICTURE = "faithfulness.png"


def write_report(evaluation: Evaluation, folder: Path, *, title: str = "Evaluation of a discriminator") -> list[Path]:
    """Write numbers, tables and pictures; see the module for the files.

    Args:
        evaluation: what was found.
        folder: made if it is not there; files of these names in it are replaced.
        title: of the Markdown.

    Returns:
        The files.

    Raises:
        DataError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numbers, text = folder / JSON_FILE, folder / MARKDOWN_FILE
        numbers.write_text(json.dumps(evaluation.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        text.write_text(to_markdown(evaluation, title=title), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to: {error.strerror or error}; choose another folder") from error
    pictures = {
        AVERAGE_PRECISION_PICTURE: plot_average_precision,
        KINDS_PICTURE: plot_kinds,
        RELIABILITY_PICTURE: plot_reliability,
        FAITHFULNESS_PICTURE: plot_faithfulness,
    }
    for name, plot in pictures.items():
        plot(evaluation, folder / name)
    return [numbers, text, *(folder / name for name in pictures)]


def read_evaluation(path: Path) -> Evaluation:
    """Read back what :func:`write_report` wrote.

    Args:
        path: the JSON file, or its folder.

    Raises:
        DataError: it is not there, or is something else.
    """
    file = path / JSON_FILE if path.is_dir() else path
    try:
        return Evaluation.from_json(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{file}: {where}: {first['msg']}; expected what `rtt discriminator evaluate` wrote") from None
    except ValueError as error:
        raise DataError(f"{file}: is not JSON: {error}; expected what `rtt discriminator evaluate` wrote") from None


# ----------------------------------------------------------------------------------------------------------- pictures

PREVALENCE, RANDOM_ITEMS = "prevalence (no information)", "random items"


def plot_average_precision(evaluation: Evaluation, path: Path) -> None:
    """Draw the average precision of each scorer on each split, with its interval, as a PNG."""
    splits = [split for split in _splits(evaluation) if _first(evaluation).splits[split].overall.ranked]
    figure = _figure(1.8 + 0.55 * max(1, len(splits)) * max(3, len(evaluation.scorers)), 4.6)
    axis = figure.subplots()
    width = 0.8 / len(evaluation.scorers)
    for place, (name, result) in enumerate(evaluation.scorers.items()):
        known = [
            (at + width * (place + 0.5) - 0.4, value)
            for at, split in enumerate(splits)
            if (value := result.splits[split].overall.average_precision) is not None
        ]
        _bars(axis, known, width=width, index=place, label=_title(name))
    for at, split in enumerate(splits):
        prevalence = _first(evaluation).splits[split].overall.prevalence
        if prevalence is not None:
            label = PREVALENCE if at == 0 else None
            axis.hlines(prevalence, at - 0.45, at + 0.45, color="#333333", linestyle=":", linewidth=1.6, label=label)
    axis.set_xticks(
        range(len(splits)),
        [f"{SPLIT_TITLES.get(s, s)}\n({_first(evaluation).splits[s].overall.ranked:,} examples)" for s in splits],
    )
    axis.set_xlim(-0.6, max(1, len(splits)) - 0.4)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("average precision within a response,\nmean over kinds (95 % intervals over prompts)")
    _dress(axis, "y")
    _legend(figure, axis, [*map(_title, evaluation.scorers), PREVALENCE])
    _save(figure, path, empty=not splits)


def plot_kinds(evaluation: Evaluation, path: Path) -> None:
    """Draw each kind's average precision as dots, sorted by the first scorer's, a panel a split, as a PNG."""
    counts = {split: _ranked_kinds(found) for split, found in _first(evaluation).splits.items()}
    splits = [split for split, count in counts.items() if count]
    heights = [1.2 + 0.23 * counts[split] for split in splits] or [2.0]
    figure = _figure(8, 0.8 + sum(heights))
    axes = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, split in zip(axes, splits, strict=False):
        found = _first(evaluation).splits[split].kinds
        order = sorted(
            (kind for kind, group in found.items() if group.average_precision is not None),
            key=lambda kind: (_value(found[kind]), kind),
        )
        rows = {kind: row for row, kind in enumerate(order)}
        # the first scorer is drawn last, on top
        for index, (name, result) in reversed(list(enumerate(evaluation.scorers.items()))):
            points = [
                (value, rows[kind])
                for kind, group in result.splits[split].kinds.items()
                if kind in rows and (value := group.average_precision) is not None
            ]
            for value, row in points if index == 0 else ():
                if value.low is not None and value.high is not None:
                    axis.plot([value.low, value.high], [row, row], color=COLOURS[0], linewidth=1.4, alpha=0.6)
            axis.plot(
                [value.value for value, _ in points],
                [row for _, row in points],
                linestyle="",
                marker=MARKERS[index % len(MARKERS)],
                markersize=7 if index == 0 else 4.5,
                color=COLOURS[index % len(COLOURS)],
                alpha=1 if index == 0 else 0.75,
                label=_title(name),
            )
        axis.set_yticks(range(len(order)), [f"{kind}  ({found[kind].ranked})" for kind in order], fontsize=8)
        axis.set_ylim(-0.8, len(order) - 0.2)
        axis.set_xlim(0, 1.02)
        axis.set_title(SPLIT_TITLES.get(split, split), fontsize=11)
        _dress(axis, "both")
    axes[-1].set_xlabel("average precision within a response (examples in brackets)")
    _legend(figure, axes[0], [*map(_title, evaluation.scorers)])
    _save(figure, path, empty=not splits)


def plot_reliability(evaluation: Evaluation, path: Path) -> None:
    """Draw the share of relevant items against their relevance, of the first scorer, a line a split, as a PNG."""
    figure = _figure(5.6, 5.8)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#777777", linestyle=":", linewidth=1.4, label="as it should be")
    name, result = next(iter(evaluation.scorers.items()))
    drawn = False
    for index, (split, found) in enumerate(result.splits.items()):
        if (fit := found.calibration) is None:
            continue
        drawn = True
        axis.plot(
            [one.score for one in fit.bins],
            [one.relevant for one in fit.bins],
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linewidth=1.8,
            markersize=5,
            label=f"{SPLIT_TITLES.get(split, split)} (ECE {fit.ece:.3f})",
        )
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.set_aspect("equal")
    axis.set_xlabel("relevance (mean of a bin of items)")
    axis.set_ylabel("share of the bin's items that is relevant")
    axis.set_title(f"Reliability: {_title(name)}", fontsize=11)
    _dress(axis, "both")
    axis.legend(frameon=False, loc="upper left")
    _save(figure, path, empty=not drawn)


def plot_faithfulness(evaluation: Evaluation, path: Path) -> None:
    """Draw how often verdicts turn by the number of items deleted, a panel a split, as a PNG."""
    splits = [split for split, found in evaluation.faithfulness.items() if found.examples.get(MATCHED)]
    figure = _figure(1.5 + 4.6 * max(1, len(splits)), 4.4)
    axes = figure.subplots(1, max(1, len(splits)), squeeze=False, sharey=True)[0]
    for axis, split in zip(axes, splits, strict=False):
        found: Faithfulness = evaluation.faithfulness[split]
        budgets = list(found.examples)
        parts = {
            **{_title(name): rates for name, rates in found.scorers.items() if any(rates.values())},
            RANDOM_ITEMS: found.random,
        }
        width = 0.8 / len(parts)
        for place, (name, rates) in enumerate(parts.items()):
            known = [
                (at + width * (place + 0.5) - 0.4, value)
                for at, budget in enumerate(budgets)
                if (value := rates.get(budget)) is not None
            ]
            _bars(axis, known, width=width, index=place, label=name, grey=name == RANDOM_ITEMS)
        axis.set_xticks(range(len(budgets)), [f"{_budget(b)}\n({found.examples[b]:,})" for b in budgets])
        axis.set_ylim(0, 1.02)
        axis.set_title(SPLIT_TITLES.get(split, split), fontsize=11)
        axis.set_xlabel("items deleted, the highest scores first (examples in brackets)")
        _dress(axis, "y")
    axes[0].set_ylabel("share of verdicts that turn\n(95 % intervals over prompts)")
    _legend(figure, axes[0], [*map(_title, evaluation.scorers), RANDOM_ITEMS])
    _save(figure, path, empty=not splits)


def _value(group: Group) -> float:
    return -1.0 if group.average_precision is None else group.average_precision.value


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(width, 5.6), height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bars(
    axis: Any, known: Sequence[tuple[float, Interval]], *, width: float, index: int, label: str, grey: bool = False
) -> None:
    def distance(bound: float | None, value: float) -> float:
        return 0.0 if bound is None else abs(bound - value)

    axis.bar(
        [at for at, _ in known],
        [one.value for _, one in known],
        width=width * 0.9,
        yerr=[
            [distance(one.low, one.value) for _, one in known],
            [distance(one.high, one.value) for _, one in known],
        ],
        error_kw={"elinewidth": 1, "ecolor": "#444444", "capsize": 2},
        color="#BBBBBB" if grey else COLOURS[index % len(COLOURS)],
        hatch=HATCHES[index % len(HATCHES)],
        edgecolor="white",
        linewidth=0,
        label=label,
    )


def _dress(axis: Any, grid: str) -> None:
    axis.grid(axis=grid, color="#DDDDDD", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _legend(figure: Any, axis: Any, order: Sequence[str]) -> None:
    """A legend above the picture, in the given order as far as it was drawn."""
    handles, labels = axis.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    shown = [label for label in order if label in known]
    if shown:
        columns = max(1, min(len(shown), int(figure.get_figwidth() / 2.6)))
        figure.legend(
            [known[label] for label in shown], shown, loc="outside upper center", ncols=columns, frameon=False
        )


def _save(figure: Any, path: Path, *, empty: bool) -> None:
    if empty:
        figure.text(0.5, 0.5, "not measured", ha="center", va="center", color="#777777")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
