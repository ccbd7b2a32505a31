"""Held-out accuracy with intervals, before and after.

    evaluate    sample responses (batched, own seeds) -> verify -> Evaluation
    compare     two evaluations of the same tasks -> paired differences

Responses to one prompt resemble each other, so the unit of chance is the prompt: intervals come from a bootstrap that
draws prompts with replacement (95 %, percentile method, 2,000 resamples). For a difference both evaluations are taken
on the same drawn prompts, which removes the prompts' own difficulty from the noise.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtt.errors import ConfigurationError
from rtt.rubrics import Task
from rtt.verdicts import Outcome
from rtt.verifiers import verify

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RESAMPLES = 2_000
Progress = Callable[[int, int], None]
"""Called with (responses done, responses in all)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval. All three are NaN when there was nothing to measure."""

    value: float
    low: float
    high: float

    @property
    def beyond_noise(self) -> bool:
        """For a difference: whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


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
class Tally:
    """Satisfied and determined verdicts, or responses, counted by prompt: two arrays [P], in the order of the tasks."""

    satisfied: NDArray[np.int64]
    determined: NDArray[np.int64]

    @property
    def rate(self) -> float:
        """Satisfied out of determined, over all prompts together; NaN when nothing was determined."""
        return float(_ratio(self.satisfied.sum(), self.determined.sum()))

    def interval(self, seed: int = 0) -> Interval:
        """The rate with its bootstrap interval over prompts."""
        return _interval(self.rate, _resampled(self, _draws(len(self.determined), seed)))


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
    texts = [
        str(
            tokenizer.apply_chat_template(
                [message.model_dump() for message in task.prompt], tokenize=False, add_generation_prompt=True
            )
        )
        for task in tasks
    ]
    # Prompts of like length share a batch: less padding to compute. Responses to one prompt stay together.
    order = sorted(range(len(tasks)), key=lambda index: (len(texts[index]), index))
    rows = [index for index in order for _ in range(samples)]
    found: list[list[Sample]] = [[] for _ in tasks]
    with _sampling(model):
        for number, start in enumerate(range(0, len(rows), batch_size)):
            batch = rows[start : start + batch_size]
            generated = _generate(
                model, tokenizer, [texts[index] for index in batch], max_new_tokens, temperature, (seed, number)
            )
            for index, (text, tokens, ended) in zip(batch, generated, strict=True):
                found[index].append(Sample(tasks[index].id, text, tokens, ended, _outcomes(tasks[index], text)))
            if progress is not None:
                progress(min(start + batch_size, len(rows)), len(rows))
    return summarise(tasks, found, seconds=time.perf_counter() - started)


def summarise(tasks: Sequence[Task], responses: Sequence[Sequence[Sample]], *, seconds: float = 0.0) -> Evaluation:
    """Count verdicts by prompt; ``responses[p]`` are the responses to ``tasks[p]``."""
    rubric = _Counter(len(tasks))
    instruction = _Counter(len(tasks))
    rules: dict[str, _Counter] = {}
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
                    rules.setdefault(name, _Counter(len(tasks))).add(index, outcome is Outcome.SATISFIED)
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
    draws = _draws(len(before.task_ids), seed)

    def difference(one: Tally, other: Tally) -> Interval:
        return _interval(other.rate - one.rate, _resampled(other, draws) - _resampled(one, draws))

    shared = [name for name in before.rules if name in after.rules]
    return Comparison(
        rubric=difference(before.rubric, after.rubric),
        instruction=difference(before.instruction, after.instruction),
        rules={name: difference(before.rules[name], after.rules[name]) for name in shared},
    )


class _Counter:
    def __init__(self, prompts: int) -> None:
        self.satisfied = np.zeros(prompts, dtype=np.int64)
        self.determined = np.zeros(prompts, dtype=np.int64)

    def add(self, prompt: int, satisfied: bool) -> None:
        self.satisfied[prompt] += satisfied
        self.determined[prompt] += 1

    def tally(self) -> Tally:
        return Tally(self.satisfied, self.determined)


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


@contextlib.contextmanager
def _sampling(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode without gradients, on random generators of its own."""
    import torch

    training = model.training
    model.train(False)
    try:
        with torch.random.fork_rng(), torch.inference_mode():
            yield
    finally:
        model.train(training)


def _generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    max_new_tokens: int,
    temperature: float,
    seed: tuple[int, int],
) -> list[tuple[str, int, bool]]:
    """Text, length in tokens and whether the turn ended, for each prompt."""
    import torch
    from transformers import GenerationConfig

    inputs = tokenizer(
        list(prompts), add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
    ).to(model.device)
    ends = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    config: Any = GenerationConfig(
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(ends),
        use_cache=True,
        **how,
    )
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    output = model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], generation_config=config
    )
    responses = []
    for row in output[:, inputs["input_ids"].shape[1] :].tolist():
        end = next((position for position, token in enumerate(row) if token in ends), None)
        kept = row if end is None else row[: end + 1]
        responses.append((str(tokenizer.decode(kept, skip_special_tokens=True)), len(kept), end is not None))
    return responses


def _outcomes(task: Task, text: str) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(-verdict.outcome) if criterion.unwanted else verdict.outcome
        for criterion, verdict in zip(task.rubric.criteria, verify(task, text), strict=True)
    )


def _draws(prompts: int, seed: int) -> NDArray[np.int64]:
    """How often each prompt is drawn in each resample: [RESAMPLES, P]."""
    return np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)


def _resampled(tally: Tally, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The rate in each resample, [RESAMPLES]; NaN where no drawn prompt had a determined verdict."""
    return _ratio(draws @ tally.satisfied, draws @ tally.determined)


def _ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    rates: NDArray[np.float64] = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return rates


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    known = resampled[~np.isnan(resampled)]
    if known.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(value, float(low), float(high))
