"""Agreement of a judge with gold: worked examples, an independent oracle for kappa, and what always holds."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rtt.errors import ShapeError
from rtt.verdicts import Outcome, Span, Verdict
from rtt.verifiers.judge import agreement as figures
from rtt.verifiers.judge.agreement import Estimate

YES, NO, NONE = 1, -1, 0

outcomes = st.lists(st.tuples(st.sampled_from((-1, 1)), st.sampled_from((-1, 0, 1)), st.integers(0, 5)), min_size=1)


def agreed(gold, judged, *, failed=None, responses=None, **options):
    failed = [False] * len(gold) if failed is None else failed
    responses = range(len(gold)) if responses is None else responses
    return figures.agreement(gold, judged, failed, list(responses), **options)


def columns(rows):
    gold, judged, responses = (np.asarray(column) for column in zip(*rows, strict=True))
    return gold, judged, responses


# -------------------------------------------------------------------------------------------------- worked by hand


def test_a_small_table_worked_by_hand():
    gold = [NO, NO, NO, NO, YES, YES, YES, YES, YES, YES]
    said = [NO, YES, NO, NONE, YES, YES, YES, NO, NONE, YES]
    failed = [False] * 8 + [True, False]
    found = agreed(gold, said, failed=failed)
    assert found.table == ((2, 1, 1, 0), (1, 4, 0, 1))
    assert (found.questions, found.responses) == (10, 10)
    assert (found.accuracy.value, found.accuracy.n) == (6 / 8, 8)
    assert (found.false_yes.value, found.false_yes.n) == (1 / 3, 3)
    assert (found.false_no.value, found.false_no.n) == (1 / 5, 5)
    assert (found.cannot_tell.value, found.cannot_tell.n) == (1 / 10, 10)
    assert (found.failed.value, found.failed.n) == (1 / 10, 10)
    # p_o = 6/8; judge says no 3/8, yes 5/8; gold says no 3/8, yes 5/8; p_e = 9/64 + 25/64 = 34/64
    assert found.kappa.value == pytest.approx((6 / 8 - 34 / 64) / (1 - 34 / 64))


def test_cohens_own_kind_of_example():
    # 50 grant proposals: 20 both yes, 15 both no, 5 only gold yes, 10 only judge yes: p_o 0.7, p_e 0.5
    table = [[15, 10, 0, 0], [5, 20, 0, 0]]
    assert figures.kappa(table) == pytest.approx(0.4)
    assert figures.accuracy(table) == pytest.approx(0.7)
    assert figures.false_yes(table) == pytest.approx(10 / 25)
    assert figures.false_no(table) == pytest.approx(5 / 25)


def test_tables_of_responses_keep_them_apart():
    found = figures.confusion([NO, YES, YES], [YES, YES, NONE], [False, False, True], [7, 3, 7])
    assert found.tolist() == [
        [[0, 0, 0, 0], [0, 1, 0, 0]],  # response 3
        [[0, 1, 0, 0], [0, 0, 0, 1]],  # response 7
    ]


def test_measures_take_many_tables_at_once():
    tables = [[[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 2, 5, 5], [2, 0, 5, 5]]]
    assert figures.accuracy(tables).tolist() == [1, 0]
    assert figures.kappa(tables).tolist() == [1, -1]


def test_what_cannot_be_measured_is_none():
    only_yes = agreed([YES, YES], [YES, YES])
    assert only_yes.false_yes == Estimate(None, 0)
    assert only_yes.kappa == Estimate(None, 2)
    assert only_yes.accuracy.value == 1
    lost = agreed([YES, NO], [NONE, NONE], failed=[True, False])
    assert lost.accuracy == Estimate(None, 0)
    assert lost.kappa == Estimate(None, 0)
    assert (lost.failed.value, lost.cannot_tell.value) == (0.5, 0.5)


def test_nothing_at_all_is_none():
    found = agreed([], [])
    assert (found.questions, found.responses) == (0, 0)
    assert found.accuracy == found.failed == Estimate(None, 0)


# ------------------------------------------------------------------------------------------------ what always holds


@given(outcomes)
def test_kappa_is_scikit_learns(rows):
    sklearn = pytest.importorskip("sklearn.metrics")
    gold, judged, responses = columns(rows)
    known = judged != 0
    assume(known.any())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 0 / 0, which it gives as NaN
        expected = sklearn.cohen_kappa_score(gold[known], judged[known])
    found = agreed(gold, judged, responses=responses, resamples=0).kappa
    assert found.n == known.sum()
    if math.isnan(expected):
        assert found.value is None
    else:
        assert found.value == pytest.approx(expected)


@given(outcomes)
def test_swapping_yes_and_no_swaps_the_two_errors(rows):
    gold, judged, responses = columns(rows)
    one = agreed(gold, judged, responses=responses)
    other = agreed(-gold, -judged, responses=responses)
    assert one.accuracy == other.accuracy
    assert (one.false_yes, one.false_no) == (other.false_no, other.false_yes)
    assert (one.kappa.value is None) == (other.kappa.value is None)
    if one.kappa.value is not None:
        assert one.kappa.value == pytest.approx(other.kappa.value)


@given(outcomes)
def test_judge_and_gold_may_change_places_for_kappa(rows):
    gold, judged, _ = columns([row for row in rows if row[1]] or [(1, -1, 0)])
    one, other = agreed(gold, judged, resamples=0), agreed(judged, gold, resamples=0)
    assert one.kappa.value == (None if other.kappa.value is None else pytest.approx(other.kappa.value))
    assert one.accuracy == other.accuracy


@given(st.lists(st.sampled_from((-1, 1)), min_size=2), st.sampled_from((-1, 1)))
def test_a_judge_that_always_says_the_same_has_kappa_0(gold, word):
    assume(len(set(gold)) == 2)
    assert agreed(gold, [word] * len(gold), resamples=0).kappa.value == 0


@given(st.lists(st.sampled_from((-1, 1)), min_size=2))
def test_a_perfect_judge_has_kappa_1_and_makes_no_error(gold):
    assume(len(set(gold)) == 2)
    found = agreed(gold, gold)
    assert (found.kappa.value, found.accuracy.value) == (1, 1)
    assert (found.false_yes.value, found.false_no.value) == (0, 0)
    assert found.kappa.low is None  # all draws are alike, which is no certainty


@given(outcomes, st.permutations(range(6)))
def test_names_and_order_of_responses_do_not_matter_to_values(rows, names):
    gold, judged, responses = columns(rows)
    one = agreed(gold, judged, responses=responses, resamples=0)
    order = np.random.default_rng(0).permutation(len(gold))
    other = agreed(gold[order], judged[order], responses=np.asarray(names)[responses[order]], resamples=0)
    assert one == other


@given(outcomes)
def test_intervals_hold_values_of_the_measure_and_are_the_same_again(rows):
    gold, judged, responses = columns(rows)
    found = agreed(gold, judged, responses=responses, resamples=200)
    assert found == agreed(gold, judged, responses=responses, resamples=200)
    for one in (found.accuracy, found.false_yes, found.false_no, found.failed, found.cannot_tell, found.kappa):
        if one.low is not None:
            assert one.value is not None
            assert (0 if one is not found.kappa else -1) <= one.low <= one.high <= 1


# --------------------------------------------------------------------------------------------------------- intervals


def test_the_interval_is_that_of_drawing_responses():
    # 100 responses of one question each, 80 right: the standard error is sqrt(0.8 * 0.2 / 100) = 0.04
    found = agreed([YES] * 100, [YES] * 80 + [NO] * 20).accuracy
    assert found.value == 0.8
    assert found.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.01)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.01)


def test_questions_of_one_response_are_drawn_together():
    # the same 100 questions in 10 responses that are right or wrong as a whole: 10 independent things, not 100
    gold, said = [YES] * 100, [YES] * 80 + [NO] * 20
    together = agreed(gold, said, responses=np.arange(100) // 10).accuracy
    assert together.width > 2 * agreed(gold, said).accuracy.width


def test_no_error_seen_is_not_no_error():
    found = agreed([NO] * 10, [NO] * 10).false_yes
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 10))  # 0.31: of a binomial, none in 10
    assert (1 - found.high) ** 10 == pytest.approx(0.025)
    all_wrong = agreed([NO] * 10, [YES] * 10).false_yes
    assert (all_wrong.low, all_wrong.high) == (pytest.approx(0.025 ** (1 / 10)), 1)


def test_the_bound_counts_responses_not_questions():
    one = agreed([NO] * 10, [NO] * 10, responses=[0] * 5 + [1] * 5).false_yes
    assert one.high == pytest.approx(1 - 0.025 ** (1 / 2))


def test_one_response_has_no_interval():
    found = agreed([YES, NO], [YES, YES], responses=[0, 0])
    assert (found.accuracy.value, found.accuracy.low) == (0.5, None)
    assert found.accuracy.width is None


def test_the_seed_decides_the_draws():
    gold, said = [YES, NO] * 20, [YES, NO, NO, NO] * 10
    assert agreed(gold, said, seed=1).kappa == agreed(gold, said, seed=1).kappa
    assert agreed(gold, said, seed=1).kappa != agreed(gold, said, seed=2).kappa


def test_draws_are_whole_responses(monkeypatch):
    parts = np.eye(3)
    drawn = figures.resample(parts, resamples=50)
    assert drawn.shape == (50, 3)
    assert (drawn.sum(axis=1) == 3).all()
    monkeypatch.setattr(figures, "_BLOCK", 7)  # in blocks of two draws
    np.testing.assert_array_equal(figures.resample(parts, resamples=50), drawn)


# ------------------------------------------------------------------------------------------------------ by criterion


def test_criteria_are_told_apart_and_the_worst_comes_first():
    names = ["b", "a", "b", "c", "a", "d"]
    found = figures.agreement_by(
        names, [YES] * 6, [YES, YES, NO, NONE, YES, YES], [False, False, False, True, False, False], range(6)
    )
    assert list(found) == ["c", "b", "a", "d"]  # nothing determined, half, all and all
    assert found["b"].accuracy == Estimate(0.5, 2)
    assert found["c"].failed.value == 1
    assert found["a"].table == ((0, 0, 0, 0), (0, 2, 0, 0))


# ------------------------------------------------------------------------------------------------------- consistency


def test_consistency_worked_by_hand():
    said = [[YES, YES, YES, NONE, NONE], [YES, NO, YES, NONE, NONE], [YES, YES, NONE, NONE, YES]]
    lost = [[False] * 5, [False, False, False, False, True], [False, False, True, False, True]]
    lost[0][4] = True
    said[2][4] = NONE
    found = figures.consistency(said, lost, range(5))
    # all the same; two of three; two usable ones that agree; cannot tell three times; nothing to compare
    assert (found.repeats, found.left_out) == (3, 1)
    assert (found.same.value, found.same.n) == (3 / 4, 4)
    assert found.pairwise.value == pytest.approx((1 + 1 / 3 + 1 + 1) / 4)


def test_a_constant_judge_is_consistent_and_never_certain():
    found = figures.consistency([[YES] * 8] * 3, [[False] * 8] * 3, range(8))
    assert (found.same.value, found.pairwise.value) == (1, 1)
    assert found.same.low == pytest.approx(0.025 ** (1 / 8))


@given(st.lists(st.lists(st.sampled_from((-1, 0, 1)), min_size=3, max_size=3), min_size=2, max_size=5), st.randoms())
def test_the_order_of_repeats_does_not_matter(said, random):
    lost = [[False] * 3] * len(said)
    turned = said.copy()
    random.shuffle(turned)
    assert figures.consistency(said, lost, range(3)) == figures.consistency(turned, lost, range(3))


@given(st.lists(st.lists(st.sampled_from((-1, 0, 1)), min_size=4, max_size=4), min_size=2, max_size=2))
def test_of_two_repeats_both_figures_are_one(said):
    found = figures.consistency(said, [[False] * 4] * 2, range(4))
    assert found.same == found.pairwise
    assert found.same.value == np.mean(np.equal(*said))


def test_where_all_failed_there_is_nothing_to_compare():
    found = figures.consistency([[NONE], [NONE]], [[True], [True]], [0])
    assert (found.same, found.pairwise, found.left_out) == (Estimate(None, 0), Estimate(None, 0), 1)


# ------------------------------------------------------------------------------------------------------------ orders


def test_order_effect_worked_by_hand():
    given_order = [YES, NO, YES, NONE]
    others = [[YES, YES, NONE, NO], [NO, NO, NONE, NONE]]
    asked = [[True, True, True, True], [True, True, False, True]]
    others_failed = [[False, False, True, False], [False, False, False, False]]
    found = figures.order_effect(given_order, [False] * 4, others, others_failed, asked, [0, 0, 1, 1])
    # compared: question 0 twice (same, changed), 1 twice (changed, same), 3 twice (changed, same); 2 failed
    assert (found.orders, found.left_out) == (2, 1)
    assert (found.changed.value, found.changed.n) == (3 / 6, 6)


def test_a_failure_in_the_given_order_is_left_out():
    found = figures.order_effect([NONE, YES], [True, False], [[YES, YES]], [[False] * 2], [[True] * 2], [0, 0])
    assert (found.changed.value, found.changed.n, found.left_out) == (0, 1, 1)


# ---------------------------------------------------------------------------------------------------------- evidence


def verdict(outcome, *spans, scope="spans", **more):
    return Verdict("c", Outcome(outcome), "test", evidence=spans, scope=scope, **more)


def test_evidence_is_compared_character_by_character():
    gold = verdict(YES, Span(0, 4), Span(10, 16))
    assert figures.evidence_overlap(gold, verdict(YES, Span(2, 7)), 20) == (2 / 5, 2 / 10, 2 * 2 / 15)
    assert figures.evidence_overlap(gold, gold, 20) == (1, 1, 1)
    assert figures.evidence_overlap(gold, verdict(YES, Span(5, 9)), 20) == (0, 0, 0)


def test_only_what_decides_is_compared():
    gold = verdict(NO, Span(0, 4), Span(5, 7, "violation"))
    assert figures.evidence_overlap(gold, verdict(NO, Span(0, 4), Span(5, 7, "violation")), 9) == (1, 1, 1)
    assert figures.evidence_overlap(gold, verdict(NO, Span(0, 4)), 9) == (None, 0, 0)


def test_a_judge_that_points_at_nothing_or_at_everything():
    gold = verdict(YES, Span(0, 5))
    assert figures.evidence_overlap(gold, verdict(YES), 20) == (None, 0, 0)
    assert figures.evidence_overlap(gold, verdict(YES, scope="response"), 20) == (0.25, 1, pytest.approx(0.4))
    assert figures.evidence_overlap(gold, verdict(YES, Span(0, 5), scope="response"), 20) == (1, 1, 1)


@pytest.mark.parametrize(
    ("gold", "judged"),
    [
        (verdict(YES, Span(0, 2)), verdict(NO, Span(0, 2, "violation"))),  # they do not agree
        (verdict(YES, Span(0, 2)), verdict(NONE)),
        (verdict(YES, Span(0, 2), scope="response"), verdict(YES, Span(0, 2))),  # gold is the whole response
        (verdict(YES), verdict(YES, Span(0, 2))),  # gold points at nothing
        (verdict(NO, Span(0, 2), missing=True), verdict(NO, Span(0, 2))),  # progress decides nothing
    ],
)
def test_where_there_is_nothing_to_compare_there_is_no_overlap(gold, judged):
    assert figures.evidence_overlap(gold, judged, 9) is None


def test_evidence_means_leave_out_the_precision_of_nothing():
    found = figures.evidence([(1.0, 0.5, 2 / 3), (None, 0.0, 0.0)], [0, 1])
    assert (found.precision.value, found.precision.n) == (1, 1)
    assert (found.recall.value, found.recall.n) == (0.25, 2)
    assert found.f1.value == pytest.approx(1 / 3)


spans = st.lists(st.integers(0, 30), min_size=0, max_size=6, unique=True).map(
    lambda places: [Span(a, b) for a, b in zip(sorted(places)[::2], sorted(places)[1::2], strict=False)]
)


@given(spans, spans)
def test_precision_and_recall_change_places_with_the_texts(one, other):
    assume(one and other)
    there = figures.evidence_overlap(verdict(YES, *one), verdict(YES, *other), 30)
    back = figures.evidence_overlap(verdict(YES, *other), verdict(YES, *one), 30)
    assert there is not None
    assert there == (back[1], back[0], back[2])
    characters = [{c for span in found for c in range(span.start, span.end)} for found in (one, other)]
    assert there[1] == len(characters[0] & characters[1]) / len(characters[0])


# ------------------------------------------------------------------------------------------------------------ errors


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"gold \(1,\), judged \(2,\).*expected \[Q\] each"):
        figures.confusion([YES], [YES, NO], [False], [0])
    with pytest.raises(ShapeError, match="something else than -1 and 1"):
        figures.confusion([NONE], [YES], [False], [0])
    with pytest.raises(ShapeError, match="judged than -1, 0 and 1"):
        figures.confusion([YES], [2], [False], [0])
    with pytest.raises(ShapeError, match="failed and has an outcome"):
        figures.confusion([YES], [YES], [True], [0])
    with pytest.raises(ShapeError, match=r"outcomes \(2, 1\).*expected \[N, Q\] twice and \[Q\]"):
        figures.consistency([[YES], [YES]], [[False], [False]], [0, 1])
    with pytest.raises(ShapeError, match=r"given \(2,\).*expected \(1,\) twice and \(1, 1\)"):
        figures.order_effect([YES, YES], [False], [[YES]], [[False]], [[True]], [0])
