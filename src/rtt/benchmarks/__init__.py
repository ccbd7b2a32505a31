"""Benchmarks of instruction following: read their data, score responses as their evaluators do, report.

    read_prompts        the data file, or the hub  ->  Prompt, Prompt, ...      rtt.benchmarks.data
    a sampler           prompts                    ->  responses, batch by batch  rtt.benchmarks.samplers
    score               responses                  ->  Scored                   rtt.benchmarks.scoring
    summarise           Scored, Scored, ...        ->  summary.json             rtt.benchmarks.summary
    RunFolder           all of it on disk, so that a run that was stopped goes on   rtt.benchmarks.folders
    compare             runs of one benchmark, prompt by prompt  rtt.benchmarks.comparison

    name          instructions    decided by           modes            the authors report
    ifeval        25 types        rules                strict, loose    prompt-level strict
    ifbench       58 types        rules                strict, loose    prompt-level loose
    muldimif      12 types        rules                strict           all constraints of a prompt
    advancedif    rubrics         a judge              strict           all rubrics of a prompt

Scoring imports no torch; a model that runs here does, in its sampler alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    from rtt.rubrics import Task

__all__ = ["BENCHMARKS", "Benchmark", "HubData", "Prompt", "Sampling", "benchmark"]

BENCHMARKS = ("ifeval", "ifbench", "muldimif", "advancedif")
"""The names of the benchmarks, each a module here that exports its :class:`Benchmark` as ``BENCHMARK``."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a benchmark.

    Attributes:
        key: the data file's own.
        task: the prompt and its rubric; ``task.metadata["key"]`` is the key too.
        types: [K], the type of each criterion, by which tables are made: ``"keywords:existence"``.
        labels: what else tables are made by: ``{"difficulty": "Level 3"}``.
        response: the one that the data file itself brings, or None.
    """

    key: int | str
    task: Task
    types: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    response: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a benchmark's authors sample responses.

    Attributes:
        temperature: 0 takes the likeliest token.
        max_new_tokens: where a response is cut.
        source: where the two come from.
    """

    temperature: float
    max_new_tokens: int
    source: str


@dataclass(frozen=True, slots=True)
class HubData:
    """Where the data lies on the hub: a data set's id and the split."""

    name: str
    split: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What sets a benchmark apart.

    Attributes:
        name: one of :data:`BENCHMARKS`.
        title: as its authors write it.
        paper: where it is described.
        licence: of its data.
        hub: where its data lies on the hub.
        parse: from one row of its data file to the prompt; raises :class:`rtt.errors.DataError`.
        loose: whether it has a loose mode.
        headline: the metric that its authors report, by its name in the summary.
        sampling: how its authors sample.
        judged: whether a model decides, and no rule.
        keyed: whether its rows have keys; if not, ``parse`` finds a row's number under ``key``, from 1.
    """

    name: str
    title: str
    paper: str
    licence: str
    hub: HubData
    parse: Callable[[Mapping[str, Any]], Prompt]
    loose: bool
    headline: str
    sampling: Sampling
    judged: bool = False
    keyed: bool = True

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its metrics in the summary."""
        modes = ("strict", "loose") if self.loose else ("strict",)
        return tuple(f"{level}_{mode}" for mode in modes for level in ("prompt", "instruction"))


def benchmark(name: str) -> Benchmark:
    """The benchmark of this name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in BENCHMARKS:
        raise ConfigurationError(f"benchmark {name!r} is not known; expected one of {list(BENCHMARKS)}")
    found: Benchmark = importlib.import_module(f"rtt.benchmarks.{name}").BENCHMARK
    return found
