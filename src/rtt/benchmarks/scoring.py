"""Scores of responses, as a benchmark's evaluator gives them: a verdict an instruction, strict and loose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtt.benchmarks import Benchmark, Prompt
from rtt.verdicts import Outcome, Verdict, credited
from rtt.verifiers import VerdictSource, verify_batch, verify_loose


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to score.

    Attributes:
        prompt: what it answers.
        text: what is scored.
        index: its place among the responses to the prompt, from 0.
    """

    prompt: Prompt
    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """A response with its verdicts, in the rubric's order.

    Attributes:
        answer: the response.
        verdicts: [K], with their evidence.
        loose: [K], the outcomes of the loose mode; None where the benchmark has none.
    """

    answer: Answer
    verdicts: tuple[Verdict, ...]
    loose: tuple[Outcome, ...] | None

    @property
    def strict(self) -> tuple[Outcome, ...]:
        """[K], as they count: a criterion that describes something unwanted is met when it is violated."""
        criteria = self.answer.prompt.task.rubric.criteria
        return tuple(credited(criterion, verdict) for criterion, verdict in zip(criteria, self.verdicts, strict=True))

    def to_json(self, *, numbered: bool) -> dict[str, Any]:
        """The line of ``verdicts.jsonl``: ``key``, ``strict``, ``loose``, ``types``; undetermined is null.

        Args:
            numbered: whether to tell which response to the prompt it is, where there are several.
        """
        line: dict[str, Any] = {"key": self.answer.prompt.key}
        if numbered:
            line["index"] = self.answer.index
        line["strict"] = [_bool(outcome) for outcome in self.strict]
        if self.loose is not None:
            line["loose"] = [_bool(outcome) for outcome in self.loose]
        line["types"] = list(self.answer.prompt.types)
        return line


def score(
    benchmark: Benchmark,
    answers: Sequence[Answer],
    judge: VerdictSource | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Scored]:
    """Score responses, those that a judge must decide all at once.

    Args:
        benchmark: whose modes to score.
        answers: the responses.
        judge: decides the criteria that no rule decides; without one they are undetermined.
        progress: told the number of criteria that the judge has just decided.

    Raises:
        ConfigurationError, DataError, MissingDependencyError: the judge cannot be used as it was set up.
    """
    found = verify_batch([(answer.prompt.task, answer.text) for answer in answers], judge, progress=progress)
    scored = []
    for answer, verdicts in zip(answers, found, strict=True):
        loose = None
        if benchmark.loose:
            strict = [verdict.outcome for verdict in verdicts]
            loose = tuple(verify_loose(answer.prompt.task, answer.text, strict=strict))
        scored.append(Scored(answer, tuple(verdicts), loose))
    return scored


def _bool(outcome: Outcome) -> bool | None:
    return None if outcome is Outcome.UNDETERMINED else outcome is Outcome.SATISFIED
