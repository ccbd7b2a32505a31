"""Verdicts, spans, and the two accuracies."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.verdicts import Outcome, Span, Verdict, instruction_accuracy, rubric_accuracy


def verdicts(*outcomes: int) -> list[Verdict]:
    return [Verdict(f"c{k}", Outcome(outcome), "rule:test") for k, outcome in enumerate(outcomes)]


def test_the_values_of_an_outcome_are_the_signs_of_the_method() -> None:
    assert (Outcome.SATISFIED, Outcome.UNDETERMINED, Outcome.VIOLATED) == (1, 0, -1)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 3), (4, 3), (-2, -1)])
def test_a_span_that_is_empty_or_negative_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=rf"span \[{start}, {end}\) is empty or negative; expected 0 <= start < end"):
        Span(start, end)


def test_a_span_speaks_for_satisfaction_or_for_violation() -> None:
    assert Span(0, 1).polarity == "support"
    with pytest.raises(ValueError, match="polarity 'blame'; expected 'support' or 'violation'"):
        Span(0, 1, "blame")  # type: ignore[arg-type]


def test_the_sign_is_the_outcome_wherever_it_comes_from() -> None:
    plain = [Verdict("a", 1, "x"), Verdict("b", 0, "x")]  # type: ignore[arg-type]
    assert [verdict.outcome for verdict in plain] == [Outcome.SATISFIED, Outcome.UNDETERMINED]
    assert [verdict.determined for verdict in plain] == [True, False]
    assert rubric_accuracy([plain]) == 1.0
    with pytest.raises(ValueError, match="7 is not a valid Outcome"):
        Verdict("a", 7, "x")  # type: ignore[arg-type]


def test_evidence_is_a_tuple_and_a_scope_is_known() -> None:
    assert Verdict("a", Outcome.VIOLATED, "x", evidence=[Span(0, 1)]).evidence == (Span(0, 1),)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scope 'all'; expected 'spans' or 'response'"):
        Verdict("a", Outcome.VIOLATED, "x", scope="all")  # type: ignore[arg-type]


def test_touching_spans_are_disjoint() -> None:
    evidence = (Span(0, 2), Span(2, 3, "violation"))
    assert Verdict("c1", Outcome.VIOLATED, "rule:test", evidence=evidence).evidence == evidence


@pytest.mark.parametrize("evidence", [(Span(0, 3), Span(2, 4)), (Span(5, 6), Span(1, 2)), (Span(1, 2), Span(1, 2))])
def test_evidence_that_overlaps_or_is_out_of_order_is_refused(evidence: tuple[Span, ...]) -> None:
    with pytest.raises(ValueError, match="evidence of criterion 'c1': .* expected sorted, disjoint spans"):
        Verdict("c1", Outcome.VIOLATED, "rule:test", evidence=evidence)


def test_a_check_that_failed_is_undetermined() -> None:
    assert Verdict("a", Outcome.UNDETERMINED, "judge:m", "timed out", failed=True).failed
    assert not Verdict("a", Outcome.UNDETERMINED, "judge:m", "cannot tell").failed
    for outcome, word in ((Outcome.SATISFIED, "satisfied"), (-1, "violated")):
        with pytest.raises(ValueError, match=f"criterion 'a': failed and {word}; expected .* to be undetermined"):
            Verdict("a", outcome, "judge:m", failed=True)  # type: ignore[arg-type]


def test_verdicts_and_spans_are_values() -> None:
    verdict = Verdict("c1", Outcome.SATISFIED, "rule:test", evidence=(Span(0, 1),))
    assert verdict == Verdict("c1", Outcome.SATISFIED, "rule:test", evidence=(Span(0, 1),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.outcome = Outcome.VIOLATED  # type: ignore[misc]


def test_only_an_undetermined_verdict_is_not_determined() -> None:
    assert [verdict.determined for verdict in verdicts(1, -1, 0)] == [True, True, False]


def test_accuracies_of_an_example_by_hand() -> None:
    responses = [verdicts(1, 1), verdicts(1, -1, 0), verdicts(0, 0), verdicts(1, 0)]
    assert rubric_accuracy(responses) == 4 / 5  # five verdicts are determined, four of them good
    assert instruction_accuracy(responses) == 2 / 3  # the third response has nothing determined and is left out


@pytest.mark.parametrize("responses", [[], [[]], [verdicts(0)], [verdicts(0, 0), verdicts(0)]])
def test_accuracies_of_nothing_determined_are_none(responses: list[list[Verdict]]) -> None:
    assert rubric_accuracy(responses) is None
    assert instruction_accuracy(responses) is None


OUTCOMES = st.lists(st.lists(st.sampled_from([1, 0, -1]), max_size=5), max_size=6)


@given(OUTCOMES, st.integers(0, 5))
def test_an_undetermined_criterion_is_an_absent_one(responses: list[list[int]], place: int) -> None:
    without = [verdicts(*outcomes) for outcomes in responses]
    along = [verdicts(*outcomes[:place], 0, *outcomes[place:]) for outcomes in responses]
    assert rubric_accuracy(along) == rubric_accuracy(without)
    assert instruction_accuracy(along) == instruction_accuracy(without)


@given(OUTCOMES)
def test_with_one_criterion_each_the_two_accuracies_agree(responses: list[list[int]]) -> None:
    single = [verdicts(*outcomes[:1]) for outcomes in responses]
    assert rubric_accuracy(single) == instruction_accuracy(single)
