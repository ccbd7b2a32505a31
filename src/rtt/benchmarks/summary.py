"""The figures of a benchmark run: rates with intervals, by type, by group of types and by label.

An undetermined instruction counts in no rate. A prompt with one is failed if another instruction of it is violated, and
else counts in no rate either. Intervals are 95 %, from a bootstrap over prompts (:mod:`rtt.statistics`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from rtt.benchmarks import Benchmark
from rtt.benchmarks.scoring import Scored
from rtt.statistics import Counter, Tally
from rtt.verdicts import Outcome


def summarise(benchmark: Benchmark, scored: Sequence[Scored]) -> dict[str, Any]:
    """The figures, as they stand in ``summary.json``.

    Returns:
        ``n`` (prompts), ``responses``, ``instructions``; each of the benchmark's metrics as a rate in [0, 1] (null
        where nothing was determined); ``intervals``, the same names with ``[low, high]``; ``headline``, the name of
        the metric that the authors report; ``undetermined``, verdicts by mode; ``failed``, strict verdicts that nobody
        gave (a judge without a usable answer, a rule that could not run); ``types`` and ``groups`` (a type's name up to
        its last colon) and ``labels``, tables of the same figures.

    Raises:
        ValueError: there is nothing to summarise.
    """
    if not scored:
        raise ValueError("no responses; expected at least one")
    prompts = {key: place for place, key in enumerate(dict.fromkeys(one.answer.prompt.key for one in scored))}
    modes = ("strict", "loose") if benchmark.loose else ("strict",)
    summary: dict[str, Any] = {
        "benchmark": benchmark.name,
        "n": len(prompts),
        "responses": len(scored),
        "instructions": sum(len(one.verdicts) for one in scored),
    }
    intervals: dict[str, list[float] | None] = {}
    for mode in modes:
        for level, tally in (
            ("prompt", _prompt_tally(scored, mode, prompts)),
            ("instruction", _instruction_tally(scored, mode, prompts)),
        ):
            summary[f"{level}_{mode}"] = _number(tally.rate)
            intervals[f"{level}_{mode}"] = _interval(tally)
    summary["headline"] = benchmark.headline
    summary["intervals"] = intervals
    summary["undetermined"] = {
        mode: sum(outcome is Outcome.UNDETERMINED for one in scored for outcome in outcomes(one, mode))
        for mode in modes
    }
    summary["failed"] = sum(verdict.failed for one in scored for verdict in one.verdicts)
    types = sorted({kind for one in scored for kind in one.answer.prompt.types})
    summary["types"] = {kind: _row(scored, modes, partial(operator.eq, kind)) for kind in types}
    summary["groups"] = {
        group: _row(scored, modes, {kind for kind in types if _group(kind) == group}.__contains__, prompts=True)
        for group in sorted({_group(kind) for kind in types})
    }
    summary["labels"] = _labels(scored, modes)
    return summary


def outcomes(scored: Scored, mode: str) -> tuple[Outcome, ...]:
    """[K], in the ``"strict"`` or the ``"loose"`` mode."""
    return scored.strict if mode == "strict" else scored.loose or ()


def passes(outcomes: Iterable[Outcome]) -> bool | None:
    """Whether all are satisfied; None where that hangs on an undetermined one, or where there are none."""
    worst = set(outcomes)
    if Outcome.VIOLATED in worst:
        return False
    return None if Outcome.UNDETERMINED in worst or not worst else True


def _prompt_tally(scored: Sequence[Scored], mode: str, prompts: Mapping[int | str, int]) -> Tally:
    counter = Counter(len(prompts))
    for one in scored:
        passed = passes(outcomes(one, mode))
        if passed is not None:
            counter.add(prompts[one.answer.prompt.key], passed)
    return counter.tally()


def _instruction_tally(scored: Sequence[Scored], mode: str, prompts: Mapping[int | str, int]) -> Tally:
    counter = Counter(len(prompts))
    for one in scored:
        for outcome in outcomes(one, mode):
            if outcome is not Outcome.UNDETERMINED:
                counter.add(prompts[one.answer.prompt.key], outcome is Outcome.SATISFIED)
    return counter.tally()


def _row(
    scored: Sequence[Scored], modes: Sequence[str], belongs: Callable[[str], bool], *, prompts: bool = False
) -> dict[str, Any]:
    """The figures of the instructions whose type belongs: how many, the rate of each mode, those undetermined.

    With ``prompts`` also the share of responses in which all of these instructions hold, of those that have any.
    """
    row: dict[str, Any] = {}
    for mode in modes:
        chosen = [
            [
                outcome
                for outcome, kind in zip(outcomes(one, mode), one.answer.prompt.types, strict=True)
                if belongs(kind)
            ]
            for one in scored
        ]
        flat = [outcome for found in chosen for outcome in found]
        row.setdefault("n", len(flat))
        row[mode] = _rate(
            [None if outcome is Outcome.UNDETERMINED else outcome is Outcome.SATISFIED for outcome in flat]
        )
        if prompts:
            row[f"prompt_{mode}"] = _rate([passes(found) for found in chosen if found])
        row[f"undetermined_{mode}"] = sum(outcome is Outcome.UNDETERMINED for outcome in flat)
    return row


def _labels(scored: Sequence[Scored], modes: Sequence[str]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in scored for name in one.answer.prompt.labels))
    tables: dict[str, Any] = {}
    for name in names:
        values = sorted({one.answer.prompt.labels[name] for one in scored if name in one.answer.prompt.labels})
        tables[name] = {}
        for value in values:
            chosen = [one for one in scored if one.answer.prompt.labels.get(name) == value]
            row: dict[str, Any] = {"n": len(chosen)}
            for mode in modes:
                row[f"prompt_{mode}"] = _rate([passes(outcomes(one, mode)) for one in chosen])
                flat = [outcome for one in chosen for outcome in outcomes(one, mode)]
                row[f"instruction_{mode}"] = _rate(_passed(flat))
                row[f"undetermined_{mode}"] = sum(outcome is Outcome.UNDETERMINED for outcome in flat)
            tables[name][value] = row
    return tables


def _group(kind: str) -> str:
    return kind.rpartition(":")[0] or kind


def _passed(outcomes: Iterable[Outcome]) -> list[bool | None]:
    return [None if outcome is Outcome.UNDETERMINED else outcome is Outcome.SATISFIED for outcome in outcomes]


def _rate(found: Iterable[bool | None]) -> float | None:
    known = [one for one in found if one is not None]
    return sum(known) / len(known) if known else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _interval(tally: Tally) -> list[float] | None:
    interval = tally.interval()
    return None if math.isnan(interval.low) else [interval.low, interval.high]
