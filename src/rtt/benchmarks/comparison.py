"""Two runs of one benchmark, prompt by prompt: is the difference more than noise?

    read_run    a run's folder               ->  Run
    compare     the reference, the others    ->  Difference for each metric and each type

Both sides of a difference are taken over the same prompts, and over what is determined on both sides. Its interval is
95 %, from a paired bootstrap over prompts; at the level of prompts McNemar's exact test stands beside it, its p values
adjusted by Holm's method where several runs are compared with the reference.

A difference is *better* or *worse* where the interval leaves out zero and, at the level of prompts, the adjusted p
value is below 0.05; *unclear* where the two disagree; else *noise*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rtt.benchmarks.folders import RUN, SUMMARY, VERDICTS
from rtt.benchmarks.general import BENCHMARK, MODE, read_questions, results_file
from rtt.errors import ConfigurationError, DataError
from rtt.json_lines import LineError, decode_line, read_lines
from rtt.statistics import Counter, Interval, Tally, detectable_difference, difference, holm, mcnemar

Answer = Mapping[str, Sequence[bool | None]]
"""The outcomes of one response by mode, in the rubric's order."""

Conclusion = Literal["better", "worse", "noise", "unclear"]
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a benchmark, as its folder has it.

    Attributes:
        name: what to call it.
        benchmark: which.
        data: the digest of its data.
        answers: by key, the outcomes of each response.
        types: by key, the type of each instruction; empty where the folder does not say.
        judge: the model that decided, as ``run.json`` describes it; None where rules did.
    """

    name: str
    benchmark: str
    data: str
    answers: Mapping[int | str, Sequence[Answer]]
    types: Mapping[int | str, Sequence[str]]
    judge: Any = None


@dataclass(frozen=True, slots=True)
class Difference:
    """How a run differs from the reference in one metric, or in one type of instruction.

    Attributes:
        metric: ``"prompt_strict"``, ...; of a type its name.
        reference: the reference's rate on what is compared.
        other: the other run's.
        interval: other minus reference.
        compared: how many prompts, or instructions.
        only_reference: prompts that the reference alone passes; None above one response a prompt, and for instructions.
        only_other: those that the other alone passes.
        p: McNemar's, or None.
        adjusted: the same, adjusted for the number of runs.
    """

    metric: str
    reference: float
    other: float
    interval: Interval
    compared: int
    only_reference: int | None = None
    only_other: int | None = None
    p: float | None = None
    adjusted: float | None = None

    @property
    def conclusion(self) -> Conclusion:
        """What can be said of it."""
        beyond = self.interval.beyond_noise
        if self.adjusted is not None and beyond != (self.adjusted < LEVEL):
            return "unclear"
        if not beyond:
            return "noise"
        return "better" if self.interval.value > 0 else "worse"

    @property
    def detectable(self) -> float | None:
        """The smallest difference that these prompts could show; None where nothing differs, and for instructions."""
        if not self.only_reference and not self.only_other:
            return None
        differing = (self.only_reference or 0) + (self.only_other or 0)
        return detectable_difference(differing / self.compared, self.compared)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside the reference.

    Attributes:
        name: the run's.
        metrics: a difference for each metric of the benchmark.
        types: one for each type of instruction, in the strict mode; of lm_eval, for each task or group of tasks.
        left_out: prompts that one of the two did not answer.
    """

    name: str
    metrics: tuple[Difference, ...]
    types: tuple[Difference, ...]
    left_out: int


def read_run(folder: Path, name: str | None = None) -> Run:
    """Read the folder of a finished run: of `rtt evaluate`, or of lm_eval with ``--log_samples``.

    Raises:
        ConfigurationError: it is no folder of a run, or the run is not finished, or it has no samples.
        DataError: a file in it is damaged.
    """
    if not (folder / RUN).is_file():
        results = results_file(folder)
        if results is None:
            raise ConfigurationError(
                f"{folder} is no folder of a run, it has no {RUN}; expected what `rtt evaluate` or lm_eval wrote"
            )
        questions, tasks = read_questions(results)
        return Run(name or folder.name, BENCHMARK, "", questions, tasks)
    if not (folder / VERDICTS).is_file() or not (folder / SUMMARY).is_file():
        raise ConfigurationError(f"{folder} holds a run that is not finished; go on with it by the same `rtt evaluate`")
    try:
        identity = json.loads((folder / RUN).read_text(encoding="utf-8"))
        benchmark, digest = str(identity["benchmark"]), str(identity["data"]["sha256"])
        judge = identity.get("judge")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{folder / RUN} is damaged: {error!r}; evaluate again with --fresh") from None
    answers: dict[int | str, list[Answer]] = {}
    types: dict[int | str, Sequence[str]] = {}
    for number, line in read_lines(folder / VERDICTS):
        try:
            value = decode_line(line)
        except LineError as error:
            raise DataError(f"{folder / VERDICTS}:{number}: {error}; evaluate again with --fresh") from None
        if not isinstance(value, dict) or not isinstance(value.get("key"), int | str) or "strict" not in value:
            raise DataError(f"{folder / VERDICTS}:{number}: is no line of verdicts; evaluate again with --fresh")
        answers.setdefault(value["key"], []).append(
            {mode: value[mode] for mode in ("strict", "loose") if mode in value}
        )
        types[value["key"]] = value.get("types", ())
    return Run(name or folder.name, benchmark, digest, answers, types, judge)


def compare(reference: Run, others: Sequence[Run], *, seed: int = 0) -> list[Comparison]:
    """Compare runs with a reference.

    Raises:
        ConfigurationError: the runs are of different benchmarks or data, were judged by different judges, or answer no
            prompt in common.
    """
    found = []
    for other in others:
        if (other.benchmark, other.data) != (reference.benchmark, reference.data):
            what = "benchmarks" if other.benchmark != reference.benchmark else "data files"
            raise ConfigurationError(f"{reference.name} and {other.name} are of different {what}, so they do not pair")
        if other.judge != reference.judge:
            raise ConfigurationError(
                f"{reference.name} and {other.name} were not judged alike ({json.dumps(reference.judge)}, "
                f"{json.dumps(other.judge)}), so a difference would be the judges' too; judge both alike"
            )
        keys = [key for key in reference.answers if key in other.answers]
        if not keys:
            raise ConfigurationError(f"{reference.name} and {other.name} answer no prompt in common")
        pairs = [(reference.answers[key], other.answers[key]) for key in keys]
        metrics = []
        for mode in reference.answers[keys[0]][0]:
            if mode == MODE:  # a question is one instruction
                metrics.append(_prompts(pairs, mode, "accuracy", seed))
            else:
                metrics.append(_prompts(pairs, mode, f"prompt_{mode}", seed))
                metrics.append(_instructions(pairs, mode, f"instruction_{mode}", seed))
        found.append(
            Comparison(
                other.name,
                tuple(metrics),
                tuple(_types(reference, other, keys, seed)),
                left_out=len({*reference.answers, *other.answers}) - len(keys),
            )
        )
    return _adjusted(found)


def _adjusted(found: Sequence[Comparison]) -> list[Comparison]:
    """With the p values of each metric adjusted for the number of runs."""
    columns = []
    for place, metric in enumerate(found[0].metrics):
        if metric.p is None or any(one.metrics[place].p is None for one in found):
            columns.append([one.metrics[place].p for one in found])
        else:
            columns.append(list(holm([float(one.metrics[place].p or 0.0) for one in found])))
    return [
        replace(
            one,
            metrics=tuple(
                replace(metric, adjusted=column[number]) for metric, column in zip(one.metrics, columns, strict=True)
            ),
        )
        for number, one in enumerate(found)
    ]


Pair = tuple[Sequence[Answer], Sequence[Answer]]


def _prompts(pairs: Sequence[Pair], mode: str, name: str, seed: int) -> Difference:
    """Whole prompts; with one response each side, those that are determined on both."""
    single = all(len(one) == len(other) == 1 for one, other in pairs)
    left, right = Counter(len(pairs)), Counter(len(pairs))
    table = {(a, b): 0 for a in (False, True) for b in (False, True)}
    for number, (ones, others) in enumerate(pairs):
        passed = [_passes(answer[mode]) for answer in ones], [_passes(answer[mode]) for answer in others]
        if single:
            (before,), (after,) = passed
            if before is None or after is None:
                continue
            table[before, after] += 1
        for counter, values in zip((left, right), passed, strict=True):
            for value in values:
                if value is not None:
                    counter.add(number, value)
    one, other = left.tally(), right.tally()
    if not single:
        return _difference(name, one, other, seed, compared=len(pairs))
    only_reference, only_other = table[True, False], table[False, True]
    return _difference(
        name,
        one,
        other,
        seed,
        compared=sum(table.values()),
        only_reference=only_reference,
        only_other=only_other,
        p=mcnemar(only_reference, only_other),
    )


def _instructions(
    pairs: Sequence[Pair], mode: str, name: str, seed: int, places: Sequence[Sequence[int]] | None = None
) -> Difference:
    """Instructions; ``places`` says which of each prompt, all by default."""
    left, right = Counter(len(pairs)), Counter(len(pairs))
    compared = 0
    for number, (ones, others) in enumerate(pairs):
        chosen = range(len(ones[0][mode])) if places is None else places[number]
        for k in chosen:
            values = [answer[mode][k] for answer in ones], [answer[mode][k] for answer in others]
            if all(value is None for value in values[0]) or all(value is None for value in values[1]):
                continue
            compared += 1
            for counter, side in zip((left, right), values, strict=True):
                for value in side:
                    if value is not None:
                        counter.add(number, value)
    return _difference(name, left.tally(), right.tally(), seed, compared=compared)


def _types(reference: Run, other: Run, keys: Sequence[int | str], seed: int) -> list[Difference]:
    found = []
    for kind in sorted({kind for key in keys for kind in reference.types[key]}):
        used = [key for key in keys if kind in reference.types[key]]
        places = [[k for k, name in enumerate(reference.types[key]) if name == kind] for key in used]
        pairs = [(reference.answers[key], other.answers[key]) for key in used]
        mode = next(iter(pairs[0][0][0]))
        found.append(_instructions(pairs, mode, kind, seed, places))
    return sorted((one for one in found if one.compared), key=lambda one: one.interval.value)


def _difference(metric: str, one: Tally, other: Tally, seed: int, **others: Any) -> Difference:
    return Difference(metric, one.rate, other.rate, difference(one, other, seed), **others)


def _passes(outcomes: Sequence[bool | None]) -> bool | None:
    if False in outcomes:
        return False
    return None if None in outcomes or not outcomes else True
