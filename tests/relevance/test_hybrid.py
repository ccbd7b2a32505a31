"""Hybrid relevance: who is asked about what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtt.errors import ConfigurationError, ShapeError
from rtt.relevance import EvidenceRelevance, HybridRelevance, RandomRelevance, relevance_source
from rtt.responses import Response
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.verdicts import Outcome, Span, Verdict

PROMPT = (Message(role="user", content="Write."),)


def task(name: str, *criteria: str) -> Task:
    rubric = Rubric(criteria=tuple(Criterion(id=one, text=f"criterion {one}") for one in criteria))
    return Task(id=name, prompt=PROMPT, rubric=rubric)


def response(name: str, text: str) -> Response:
    return Response(name, text, tuple(map(ord, text)), tuple((i, i + 1) for i in range(len(text))))


def ruled(criterion: str, *places: int) -> Verdict:
    return Verdict(criterion, Outcome.SATISFIED, "rule:test", evidence=tuple(Span(i, i + 1) for i in places))


def judged(criterion: str, outcome: Outcome = Outcome.SATISFIED) -> Verdict:
    return Verdict(criterion, outcome, "judge:model", evidence=(Span(0, 1),))


class Asked:
    """Answers 0.5 and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[Task], list[Response], list[list[Verdict]]]] = []

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        self.calls.append((list(tasks), list(responses), [list(one) for one in verdicts]))
        return [
            np.full((len(v), len(r.token_ids)), 0.5, dtype=np.float32) for r, v in zip(responses, verdicts, strict=True)
        ]


def test_a_judges_criteria_go_to_the_other_source_and_nothing_else_does() -> None:
    tasks = [task("one", "a", "b", "c"), task("two", "a"), task("three", "a")]
    responses = [response("one", "xyz"), response("two", "uv"), response("three", "w")]
    verdicts = [[ruled("a", 1), judged("b"), ruled("c", 0, 2)], [ruled("a", 0)], [judged("a")]]
    other = Asked()
    found = HybridRelevance(EvidenceRelevance(), other)(tasks, responses, verdicts)
    assert [one.tolist() for one in found] == [[[0, 1, 0], [0.5, 0.5, 0.5], [1, 0, 1]], [[1, 0]], [[0.5]]]
    ((asked, answered, judgements),) = other.calls
    assert [[criterion.id for criterion in one.rubric.criteria] for one in asked] == [["b"], ["a"]]
    assert [one.id for one in asked] == ["one", "three"]
    assert asked[0].prompt == tasks[0].prompt
    assert asked[1] is tasks[2]
    assert answered == [responses[0], responses[2]]
    assert judgements == [[verdicts[0][1]], [verdicts[2][0]]]
    assert [criterion.id for criterion in tasks[0].rubric.criteria] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("xy", ruled("a", 0)), ("xy", judged("a", Outcome.UNDETERMINED)), ("", judged("a"))],
    ids=["a rule's", "undetermined", "an empty response"],
)
def test_where_nobody_needs_it_the_other_source_is_not_called(text: str, verdict: Verdict) -> None:
    other = Asked()
    (found,) = HybridRelevance(EvidenceRelevance(), other)([task("t", "a")], [response("t", text)], [[verdict]])
    assert found.shape == (1, len(text))
    assert other.calls == []


def test_an_answer_of_another_shape_is_refused() -> None:
    def wrong(tasks: Any, responses: Any, verdicts: Any) -> list[npt.NDArray[np.float32]]:
        return [np.zeros((1, 3), dtype=np.float32) for _ in responses]

    source = HybridRelevance(EvidenceRelevance(), wrong)
    with pytest.raises(ShapeError, match=r"function: relevance for task 't' has shape \(1, 3\); expected \(1, 2\)"):
        source([task("t", "a")], [response("t", "xy")], [[judged("a")]])


def test_hybrid_by_name() -> None:
    source: Any = relevance_source("hybrid", otherwise="random", missing="end", seed=7)
    assert source.evidence.missing == "end"
    assert isinstance(source.otherwise, RandomRelevance)
    assert source.otherwise.seed == 7
    other = Asked()
    assert relevance_source("hybrid", otherwise=other).otherwise is other  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["discriminator", "hybrid"])
def test_a_discriminator_must_be_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="train one with `rtt discriminator build`"):
        relevance_source(name)


def test_a_contrast_needs_a_model() -> None:
    with pytest.raises(ConfigurationError, match="relevance 'contrast' needs a causal model"):
        relevance_source("contrast")
