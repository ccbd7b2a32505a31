"""Held-out accuracy with intervals, before and after.

    evaluate    sample responses (batched, own seeds) -> verify -> Evaluation
    compare     two evaluations of the same tasks -> paired differences

Responses to one prompt resemble each other, so the unit of chance is the prompt: intervals come from a bootstrap that
draws prompts with replacement (95 %, percentile method, 2,000 resamples). For a difference both evaluations are taken
on the same drawn prompts, which removes the prompts' own difficulty from the noise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rtt.errors import ConfigurationError
from rtt.generation import generate, render, sampling
from rtt.rubrics import Task
from rtt.statistics import Counter, Interval, Tally, difference
from rtt.verdicts import Outcome, credited
from rtt.verifiers import verify

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Progress = Callable[[int, int], None]
"""Called with (responses done, responses in all)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One response of an evaluation.

    Attributes:
        task_id: the task it answers.
        text: the response, without special tokens.
        tokens: tokens generated, the end of the turn included.
        ended: whether the model ended its turn, rather than being cut at the limit.
        outcomes: one for each criterion, in the rubric's order; satisfied means as wished, so for a criterion with a
            negative weight that what it describes is absent.
    """

    task_id: str
    text: str
    tokens: int
    ended: bool
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model did on a list of tasks.

    Attributes:
        task_ids: the prompts, in the order of every tally.
        samples: every response, prompt by prompt.
        rubric: satisfied criteria (the rate is the rubric accuracy, CSR).
        instruction: responses with every determined criterion satisfied (the rate is the instruction accuracy, AON).
        rules: satisfied criteria of one rule, by rule name.
        undetermined: verdicts that could not be reached; they count in no rate.
        seconds: wall-clock time of sampling and verifying.
    """

    task_ids: tuple[str, ...]
    samples: tuple[Sample, ...]
    rubric: Tally
    instruction: Tally
    rules: Mapping[str, Tally] = field(repr=False)
    undetermined: int
    seconds: float

    @property
    def mean_tokens(self) -> float:
        """Mean length of the responses in tokens."""
        return float(np.mean([sample.tokens for sample in self.samples]))

    @property
    def ended(self) -> float:
        """Share of the responses that ended by themselves."""
        return float(np.mean([sample.ended for sample in self.samples]))

    @property
    def variety(self) -> float:
        """Mean share of a response's runs of four characters that differ: near 0.9 for English, low for "so so so so".

        Rules can be met by text that nobody would read. This is the plainest sign of it. Responses of fewer than four
        characters are left out; NaN when none is left.
        """
        runs = [[s.text[i : i + 4] for i in range(len(s.text) - 3)] for s in self.samples if len(s.text) >= 4]
        return float(np.mean([len(set(run)) / len(run) for run in runs])) if runs else math.nan


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences, after minus before, with paired intervals."""

    rubric: Interval
    instruction: Interval
    rules: Mapping[str, Interval]


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Sequence[Task],
    *,
    samples: int,
    max_new_tokens: int,
    batch_size: int,
    temperature: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Sample responses to every task and verify them.

    The same arguments draw the same random numbers for each batch, whatever was generated before it, so that two models
    can be compared. The model's mode (training or not) and torch's global random generators are left as they were.

    Args:
        model: a causal model; a PEFT model is fine.
        tokenizer: its tokenizer, with a chat template.
        tasks: at least one, with distinct ids.
        samples: responses to each task, at least 1; exactly 1 when ``temperature`` is 0.
        max_new_tokens: where a response is cut.
        batch_size: responses generated together.
        temperature: of sampling from the whole distribution (no top-k, no top-p); 0 takes the likeliest token.
        seed: of sampling, and of the bootstrap that follows.
        progress: called after each batch.

    Raises:
        ConfigurationError: no tasks, repeated ids, or numbers out of range.
    """
    _check(tasks, samples, max_new_tokens, batch_size, temperature)
    started = time.perf_counter()
    texts = [render(tokenizer, task.prompt) for task in tasks]
    # Prompts of like length share a batch: less padding to compute. Responses to one prompt stay together.
    order = sorted(range(len(tasks)), key=lambda index: (len(texts[index]), index))
    rows = [index for index in order for _ in range(samples)]
    found: list[list[Sample]] = [[] for _ in tasks]
    with sampling(model):
        for number, start in enumerate(range(0, len(rows), batch_size)):
            batch = rows[start : start + batch_size]
            generated = generate(
                model, tokenizer, [texts[index] for index in batch], max_new_tokens, temperature, (seed, number)
            )
            for index, made in zip(batch, generated, strict=True):
                outcomes = _outcomes(tasks[index], made.text)
                found[index].append(Sample(tasks[index].id, made.text, made.tokens, made.ended, outcomes))
            if progress is not None:
                progress(min(start + batch_size, len(rows)), len(rows))
    return summarise(tasks, found, seconds=time.perf_counter() - started)


def summarise(tasks: Sequence[Task], responses: Sequence[Sequence[Sample]], *, seconds: float = 0.0) -> Evaluation:
    """Count verdicts by prompt; ``responses[p]`` are the responses to ``tasks[p]``."""
    rubric = Counter(len(tasks))
    instruction = Counter(len(tasks))
    rules: dict[str, Counter] = {}
    undetermined = 0
    for index, (task, answers) in enumerate(zip(tasks, responses, strict=True)):
        names = [criterion.rule.name if criterion.rule else "judge" for criterion in task.rubric.criteria]
        for answer in answers:
            determined = [outcome for outcome in answer.outcomes if outcome is not Outcome.UNDETERMINED]
            undetermined += len(answer.outcomes) - len(determined)
            if determined:
                instruction.add(index, all(outcome is Outcome.SATISFIED for outcome in determined))
            for name, outcome in zip(names, answer.outcomes, strict=True):
                if outcome is not Outcome.UNDETERMINED:
                    rubric.add(index, outcome is Outcome.SATISFIED)
                    rules.setdefault(name, Counter(len(tasks))).add(index, outcome is Outcome.SATISFIED)
    return Evaluation(
        task_ids=tuple(task.id for task in tasks),
        samples=tuple(answer for answers in responses for answer in answers),
        rubric=rubric.tally(),
        instruction=instruction.tally(),
        rules={name: rules[name].tally() for name in sorted(rules)},
        undetermined=undetermined,
        seconds=seconds,
    )


def compare(before: Evaluation, after: Evaluation, *, seed: int = 0) -> Comparison:
    """After minus before, on the same drawn prompts.

    Raises:
        ConfigurationError: the two were not made on the same tasks, so their prompts cannot be paired.
    """
    if before.task_ids != after.task_ids:
        raise ConfigurationError(
            f"evaluations of {len(before.task_ids)} and {len(after.task_ids)} tasks do not pair: "
            "both must be made on the same tasks in the same order"
        )
    shared = [name for name in before.rules if name in after.rules]
    return Comparison(
        rubric=difference(before.rubric, after.rubric, seed),
        instruction=difference(before.instruction, after.instruction, seed),
        rules={name: difference(before.rules[name], after.rules[name], seed) for name in shared},
    )


def _check(tasks: Sequence[Task], samples: int, max_new_tokens: int, batch_size: int, temperature: float) -> None:
    if not tasks:
        raise ConfigurationError("no tasks to evaluate; expected at least one")
    if len({task.id for task in tasks}) != len(tasks):
        raise ConfigurationError("task ids repeat; give each task its own id, since the prompt is the unit of chance")
    for name, value in (("samples", samples), ("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigurationError(f"{name} is {value}; expected at least 1")
    if temperature < 0 or (temperature == 0 and samples != 1):
        raise ConfigurationError(
            f"temperature {temperature:g} with {samples} samples; expected a temperature above 0, or 0 with one sample"
        )


def _outcomes(task: Task, text: str) -> tuple[Outcome, ...]:
    return tuple(
        credited(criterion, verdict)
        for criterion, verdict in zip(task.rubric.criteria, verify(task, text), strict=True)
    )
