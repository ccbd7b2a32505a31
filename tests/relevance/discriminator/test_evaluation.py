"""How good a scorer is: items, average precision, thresholds, calibration, intervals, deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from rtt.errors import ConfigurationError, ShapeError
from rtt.relevance.discriminator.evaluation import (
    MATCHED,
    Evaluation,
    Interval,
    Scored,
    average_precisions,
    calibration,
    choose_threshold,
    delete_items,
    detection,
    difference,
    evaluate,
    faithfulness,
    item_scores,
    items,
    macro_mean,
    measure,
    score_examples,
    spread,
)
from rtt.relevance.discriminator.examples import Example
from rtt.rubrics import Rule
from rtt.verdicts import Outcome, Verdict
from rtt.verifiers import verify_rule


def example(response: str = "one two, three", relevant: str = "two", **changes: Any) -> Example:
    """An example whose relevant characters are those of the first occurrence of a string."""
    start = response.find(relevant)
    fields: dict[str, Any] = {
        "criterion": f"mentions {relevant}",
        "response": response,
        "outcome": Outcome.SATISFIED,
        "support": ((start, start + len(relevant)),) if relevant else (),
    }
    return Example(**(fields | changes))


def scored(labels: Sequence[int], scores: Sequence[float], **changes: Any) -> Scored:
    """Items "a", "b", ... with these labels and scores."""
    text = " ".join("abcdefghijklmnopqrstuvwxyz"[: len(labels)])
    spans = tuple((2 * i, 2 * i + 1) for i, label in enumerate(labels) if label)
    one = Example(**({"criterion": "c", "response": text, "outcome": 1, "support": spans} | changes))
    return Scored(one, items(text), np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float32))


class Fixed:
    """A scorer that gives each character of a text a value by a function of criterion and text."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.calls: list[tuple[list[list[str]], list[str]]] = []

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Any]:
        self.calls.append(([list(some) for some in criteria], list(texts)))
        return [
            np.asarray([self.function(one, text) for one in asked], dtype=np.float32).reshape(len(asked), len(text))
            for asked, text in zip(criteria, texts, strict=True)
        ]


class Oracle(Fixed):
    """Knows the labels."""

    def __init__(self, examples: Sequence[Example]) -> None:
        known = {(one.criterion, one.response): one.relevant for one in examples}
        super().__init__(
            lambda criterion, text: [
                float(any(a <= c < b for a, b in known[criterion, text])) for c in range(len(text))
            ]
        )


def check(rule_name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
    return verify_rule(rule_name, arguments, text, criterion_id="edited")


# -------------------------------------------------------------------------------------------------------------- items


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("don't _stop_ **a**", ["don", "'", "t", "_", "stop", "_", "*", "*", "a", "*", "*"]),
        ("没有abc。", ["没", "有", "abc", "。"]),
        ("e\u0301a 👩\u200d👩\u200d👧 👍🏽", ["e\u0301a", "👩\u200d👩\u200d👧", "👍🏽"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("<think>\r\n", ["<", "think", ">"]),
        (" \t\n\u3000", []),
        ("\ud83d x", ["\ud83d", "x"]),
    ],
)
def test_items_are_words_and_single_signs(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in items(text).tolist()] == expected


@given(st.text(st.characters(codec=None), max_size=60))
def test_items_are_disjoint_and_hold_every_character_but_blanks(text: str) -> None:
    covered = [c for start, end in items(text).tolist() for c in range(start, end)]
    assert covered == sorted(set(covered))
    missed = set(range(len(text))) - set(covered)
    assert all(text[c].isspace() for c in missed)


@given(st.text("ab ,.", max_size=30), st.integers(0, 2**32 - 1))
def test_an_item_scores_as_its_highest_character(text: str, seed: int) -> None:
    values = np.random.default_rng(seed).random((3, len(text)), dtype=np.float32)
    places = items(text)
    expected = [[max(row[start:end]) for start, end in places.tolist()] for row in values]
    np.testing.assert_array_equal(item_scores(places, values), np.reshape(expected, (3, len(places))))


# ------------------------------------------------------------------------------------------------------------ scoring


def test_the_criteria_of_a_response_are_asked_together_and_each_once() -> None:
    examples = [
        example("longer text", "text"),
        example("b c", "b"),
        example("b c", "c"),
        example("b c", "b", kind="another"),
    ]
    scorer = Fixed(lambda criterion, text: [float(criterion.endswith(character)) for character in text])
    found = score_examples(scorer, examples)
    # the texts by length, so that a call needs little padding
    assert scorer.calls == [([["mentions b", "mentions c"], ["mentions text"]], ["b c", "longer text"])]
    assert [one.example for one in found] == examples
    assert [one.scores.tolist() for one in found[1:]] == [[1, 0], [0, 1], [1, 0]]
    assert [one.labels.tolist() for one in found] == [[False, True], [True, False], [False, True], [True, False]]


def test_progress_counts_examples_and_batches_count_responses() -> None:
    examples = [example("b c", "b"), example("b c", "c"), example("b d", "b")]
    told: list[int] = []
    scorer = Fixed(lambda criterion, text: [0.5] * len(text))
    score_examples(scorer, examples, batch=1, progress=told.append)
    assert sorted(told) == [1, 2]
    assert len(scorer.calls) == 2


def test_a_label_needs_one_character_of_the_item() -> None:
    one = score_examples(Fixed(lambda criterion, text: [0.5] * len(text)), [example("McDonald ate", "D")])[0]
    assert one.labels.tolist() == [True, False]


def test_an_empty_response_has_no_items() -> None:
    empty = example("", "", support=())
    found = score_examples(Fixed(lambda criterion, text: [0.5] * len(text)), [empty])
    assert len(found[0].items) == 0
    assert measure(found, 0.5).overall.average_precision is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((1, 3)), r"Liar gave an array of shape \(1, 3\); expected \[K, C\] = \(1, 14\)"),
        (np.full((1, 14), 1.5), r"relevance from 1.5 to 1.5; expected finite values in \[0, 1\]"),
        (np.full((1, 14), -0.1), r"expected finite values in \[0, 1\]"),
        (np.full((1, 14), np.nan), r"relevance from nan to nan"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(values: Any, words: str) -> None:
    class Liar:
        def characters(self, criteria: Any, texts: Any) -> Any:
            return [values]

    with pytest.raises(ShapeError, match=words):
        score_examples(Liar(), [example()])


def test_an_answer_for_another_number_of_texts_is_refused() -> None:
    class Silent:
        def characters(self, criteria: Any, texts: Any) -> Any:
            return []

    with pytest.raises(ShapeError, match="Silent answered for 0 texts, was asked about 1"):
        score_examples(Silent(), [example()])


def test_spread_takes_evenly_from_all_kinds() -> None:
    examples = [example(kind=kind) for kind in "aaaaaaaabbc"]
    chosen = spread(examples, 6, seed=1)
    assert [one.kind for one in chosen] == ["a", "a", "a", "b", "b", "c"]
    assert {id(one) for one in chosen} <= {id(one) for one in examples}
    assert chosen == spread(examples, 6, seed=1)
    assert spread(examples, None) == spread(examples, 99) == examples


# -------------------------------------------------------------------------------------------------- average precision


def test_average_precision_by_hand() -> None:
    # ranked: relevant, not, relevant, not -> (1/1 + 2/3) / 2
    labels, scores = np.asarray([False, True, True, False]), [0.1, 0.9, 0.5, 0.7]
    assert average_precisions(labels, scores, np.zeros(4, dtype=np.int64)) == pytest.approx([5 / 6])


def test_equal_scores_give_the_prevalence_in_any_order() -> None:
    for labels in ([1, 0, 0, 0], [0, 0, 0, 1]):
        found = average_precisions(np.asarray(labels, dtype=bool), [0.3] * 4, np.zeros(4, dtype=np.int64))
        assert found == pytest.approx([0.25])


rankings = st.lists(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])), min_size=1, max_size=8),
    min_size=1,
    max_size=5,
).filter(lambda many: all(any(label for label, _ in one) for one in many))


@given(rankings)
def test_average_precisions_are_those_of_scikit_learn(many: list[list[tuple[bool, float]]]) -> None:
    labels = np.asarray([label for one in many for label, _ in one])
    scores = np.asarray([score for one in many for _, score in one])
    owners = np.repeat(np.arange(len(many)), [len(one) for one in many])
    expected = [average_precision_score([label for label, _ in one], [score for _, score in one]) for one in many]
    np.testing.assert_allclose(average_precisions(labels, scores, owners), expected)


@given(rankings, st.randoms(use_true_random=False))
def test_only_the_order_of_scores_counts(many: list[list[tuple[bool, float]]], random: Any) -> None:
    one = many[0]
    owners = np.zeros(len(one), dtype=np.int64)
    before = average_precisions(np.asarray([label for label, _ in one]), [score for _, score in one], owners)
    random.shuffle(one)
    after = average_precisions(np.asarray([label for label, _ in one]), [score**3 / 2 for _, score in one], owners)
    np.testing.assert_allclose(before, after)


def test_the_mean_is_over_kinds_not_over_examples() -> None:
    good, bad = scored([1, 0], [0.9, 0.1], kind="a:x"), scored([1, 0], [0.1, 0.9], kind="b:y")
    result = measure([good, good, good, bad], 0.5)
    assert result.overall.average_precision is not None
    assert result.overall.average_precision.value == pytest.approx((1 + 0.5) / 2)
    assert {kind: group.ranked for kind, group in result.kinds.items()} == {"a:x": 3, "b:y": 1}
    assert list(result.families) == ["a", "b"]


def test_pooling_shows_scores_that_cannot_be_compared_between_responses() -> None:
    # each response is ranked rightly, on scales of its own
    parts = [scored([1, 0, 0], [0.9, 0.8, 0.8]), scored([1, 0, 0], [0.2, 0.1, 0.1])]
    result = measure(parts, 0.5)
    assert result.overall.average_precision == Interval(1.0)  # one prompt: no interval
    assert result.overall.pooled_average_precision == pytest.approx((1 + 2 / 4) / 2)


def test_pooled_average_precision_is_a_mean_over_kinds() -> None:
    parts = [
        scored([1, 0], [0.9, 0.1], kind="a"),
        scored([1, 0], [0.1, 0.9], kind="b"),
        scored([0, 0], [1, 1], kind="c"),
    ]
    assert measure(parts, 0.5).overall.pooled_average_precision == pytest.approx((1 + 0.5) / 2)


def test_examples_that_a_ranking_says_nothing_about_are_left_out_of_it() -> None:
    whole = scored([1, 1], [0.2, 0.4], scope="response", support=())
    empty = scored([0, 0], [0.2, 0.6])
    all_relevant = scored([1, 1], [0.1, 0.2])
    result = measure([scored([1, 0], [0.9, 0.1]), whole, empty, all_relevant], 0.5)
    assert (result.overall.examples, result.overall.ranked) == (4, 1)
    assert result.overall.prevalence == 0.5
    scopes = result.scopes
    assert (scopes.local, scopes.response, scopes.empty) == (2, 1, 1)
    assert scopes.relevant_score == pytest.approx((0.9 + 0.15) / 2)
    assert scopes.irrelevant_score == pytest.approx(0.1)
    assert scopes.response_score == pytest.approx(0.3)
    assert scopes.response_above == 0
    assert scopes.empty_score == pytest.approx(0.4)
    assert scopes.empty_above == 0.5
    assert result.items == 8


def test_no_examples_no_numbers() -> None:
    result = measure([], 0.5)
    assert result.overall.average_precision is None
    assert result.overall.pooled_average_precision is None
    assert result.overall.prevalence is None
    assert result.overall.detection is None
    assert result.auroc is None
    assert result.calibration is None
    assert result.scopes.relevant_score is result.scopes.response_score is result.scopes.empty_score is None
    assert result.kinds == result.families == {}


# ---------------------------------------------------------------------------------------------------------- threshold


@given(rankings)
def test_no_threshold_has_a_higher_f1_than_the_chosen_one(many: list[list[tuple[bool, float]]]) -> None:
    parts = [scored([int(label) for label, _ in one], [score for _, score in one]) for one in many]
    labels = [label for one in many for label, _ in one]
    scores = np.asarray([score for one in many for _, score in one], dtype=np.float32)
    chosen = choose_threshold(parts)
    assert chosen is not None
    best = max(f1_score(labels, scores >= threshold) for threshold in {*scores.tolist(), 2.0})
    assert f1_score(labels, scores >= chosen) == pytest.approx(best)
    found = detection(parts, chosen)
    assert found is not None
    assert found.f1 == pytest.approx(best)


def test_the_threshold_lies_between_two_scores() -> None:
    assert choose_threshold([scored([1, 0, 0], [0.8, 0.4, 0.1])]) == pytest.approx(0.6)


def test_whole_response_examples_choose_no_threshold_and_count_in_no_f1() -> None:
    whole = scored([1] * 9, [0.05] * 9, scope="response", support=())
    local = scored([1, 0], [0.8, 0.4])
    assert choose_threshold([whole, local]) == choose_threshold([local])
    assert detection([whole, local], 0.6) == detection([local], 0.6)
    assert choose_threshold([whole]) is None


def test_detection_by_hand() -> None:
    found = detection([scored([1, 1, 0, 0], [0.9, 0.2, 0.7, 0.1]), scored([0, 0], [0.9, 0.0])], 0.5)
    assert found is not None
    assert (found.precision, found.recall) == (pytest.approx(1 / 3), 0.5)
    assert found.f1 == pytest.approx(0.4)
    assert detection([scored([0, 0], [0.1, 0.2])], 0.5) is None


# -------------------------------------------------------------------------------------------------------- calibration


def test_calibrated_scores_have_no_error_and_overconfident_ones_their_excess() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.7, 200_000)
    labels = rng.random(len(truth)) < truth
    right, over = calibration(labels, truth), calibration(labels, truth + 0.2)
    assert right is not None
    assert over is not None
    assert right.ece < 0.006
    assert over.ece == pytest.approx(0.2, abs=0.006)
    assert len(right.bins) == 15
    assert max(one.items for one in right.bins) - min(one.items for one in right.bins) <= 2
    assert over.brier == pytest.approx(right.brier + 0.04, abs=0.002)


def test_equal_scores_share_a_bin_whatever_their_order() -> None:
    labels = np.asarray([True] * 30 + [False] * 70)
    found = calibration(labels, np.full(100, 0.5))
    assert found is not None
    assert [(one.score, one.relevant, one.items) for one in found.bins] == [(0.5, 0.3, 100)]
    assert found.ece == pytest.approx(0.2)
    ones = calibration(labels, labels.astype(float))
    assert ones is not None
    assert (ones.ece, ones.brier, len(ones.bins)) == (0, 0, 2)


def test_auroc_needs_both_kinds_of_items() -> None:
    assert measure([scored([1, 0, 0], [0.9, 0.1, 0.95])], 0.5).auroc == pytest.approx(0.5)
    assert measure([scored([0, 0], [0.9, 0.1])], 0.5).auroc is None


# ---------------------------------------------------------------------------------------------------------- intervals


def test_the_interval_draws_prompts_not_examples() -> None:
    rng = np.random.default_rng(3)
    values = np.repeat(rng.random(40), 25)  # 25 copies of the same evidence
    prompts = np.repeat(np.arange(40), 25)
    by_prompt = macro_mean(values, ["k"] * 1000, prompts)
    alone = macro_mean(values[::25], ["k"] * 40, np.arange(40))
    by_example = macro_mean(values, ["k"] * 1000, np.arange(1000))
    assert by_prompt is not None
    assert alone is not None
    assert by_example is not None
    assert (by_prompt.low, by_prompt.high) == pytest.approx((alone.low, alone.high))
    standard = 1.96 * values[::25].std() / np.sqrt(40)
    assert by_prompt.high - by_prompt.low == pytest.approx(2 * standard, rel=0.15)  # type: ignore[operator]
    assert by_example.high - by_example.low < (by_prompt.high - by_prompt.low) / 3  # type: ignore[operator]


def test_an_interval_is_the_same_at_every_run_and_another_with_another_seed() -> None:
    values, kinds = np.arange(10) / 10, ["a", "b"] * 5
    assert macro_mean(values, kinds, np.arange(10)) == macro_mean(values, kinds, np.arange(10))
    assert macro_mean(values, kinds, np.arange(10), seed=1) != macro_mean(values, kinds, np.arange(10))
    assert macro_mean([], [], []) is None


def test_examples_without_a_prompt_stand_with_their_response() -> None:
    assert measure([scored([1, 0], [0.9, 0.1]), scored([0, 1], [0.9, 0.1])], 0.5).prompts == 1
    assert measure([scored([1, 0], [0.9, 0.1]), scored([0, 1, 0], [0.9, 0.1, 0])], 0.5).prompts == 2
    assert measure([scored([1, 0], [0.9, 0.1], prompt=p) for p in ("p", "q", "p")], 0.5).prompts == 2


def test_a_difference_is_paired_on_what_both_scored() -> None:
    rng = np.random.default_rng(0)
    first, second = [], []
    for prompt in range(30):
        labels = [1, *[0] * 9]
        base = scored(labels, rng.random(10).tolist(), prompt=str(prompt))
        first.append(Scored(base.example, base.items, base.labels, base.labels.astype(np.float32)))
        second.append(base)
    found = difference(first, second[:20])
    own = measure(second[:20], 0.5).overall.average_precision
    assert found is not None
    assert own is not None
    assert found.value == pytest.approx(1 - own.value)
    assert found.beyond_noise
    same = difference(second, second)
    assert same == Interval(0, 0, 0)
    assert not same.beyond_noise
    assert difference(first, []) is None


# -------------------------------------------------------------------------------------------------------- deletions


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("a foo b", ["foo"], "a b"),
        ("a, b", [","], "a b"),
        ("* one, two", ["*"], "one, two"),
        ("foo bar", ["foo"], "bar"),
        ("foo bar", ["bar"], "foo"),
        ("a b c", ["b", "c"], "a"),
        ("foo\nbar baz\n", ["bar"], "foo\nbaz\n"),
        ("foo bar\nbaz", ["bar"], "foo\nbaz"),
        ("(foo) bar", ["foo"], "() bar"),
        ("foo", ["foo"], ""),
        ("foo bar", [], "foo bar"),
    ],
)
def test_an_item_goes_with_the_blank_that_it_would_leave(text: str, gone: list[str], left: str) -> None:
    places = [(start, end) for start, end in items(text).tolist() if text[start:end] in gone]
    assert delete_items(text, places) == left


@given(st.text("ab, .\n", max_size=30), st.integers(0, 2**16))
def test_what_stays_keeps_its_order_and_its_signs(text: str, chosen: int) -> None:
    places = [(start, end) for start, end in items(text).tolist()]
    gone = [place for i, place in enumerate(places) if chosen >> i & 1]
    kept = "".join(text[start:end] for start, end in places if (start, end) not in gone)
    assert delete_items(text, gone).translate({ord(" "): None, ord("\n"): None}) == kept


NO_COMMA = Rule(name="punctuation:no_comma")
SENTENCES = [
    "Rain, again",
    "We met in May and then, in June, we met once more near the old stone bridge",
    "Bread, butter, and a jar of honey were all that stood on the wide table",
    "There is one comma here, and it stands in the middle of a long line of words",
]


def comma_examples() -> list[Example]:
    """Sentences with commas that break "no commas"; mentions of a word that a rule can verify."""
    found = [
        example(
            text,
            "",
            criterion="No commas.",
            outcome=Outcome.VIOLATED,
            violation=tuple((i, i + 1) for i, character in enumerate(text) if character == ","),
            support=(),
            kind="punctuation:no_comma",
            prompt=f"p{number}",
            rule=NO_COMMA,
        )
        for number, text in enumerate(SENTENCES)
    ]
    found += [
        example(
            text,
            word,
            kind="keywords:existence",
            prompt=f"p{number}",
            rule=Rule(name="keywords:existence", arguments={"keywords": [word]}),
        )
        for number, (text, word) in enumerate(zip(SENTENCES, ["again", "bridge", "honey", "middle"], strict=True))
    ]
    return found


def test_an_oracle_reaches_the_ceiling_and_chance_stays_below() -> None:
    examples = comma_examples()
    oracle = score_examples(Oracle(examples), examples)
    blind = score_examples(Fixed(lambda criterion, text: [0.5] * len(text)), examples)
    wrong = [Scored(one.example, one.items, one.labels, 1 - one.scores) for one in oracle]
    found = faithfulness({"oracle": oracle, "blind": blind, "wrong": wrong}, check, draws=40)
    assert (found.eligible, found.examples[MATCHED]) == (8, 8)
    assert found.ceiling == Interval(1, 1, 1)
    assert found.scorers["oracle"][MATCHED] == Interval(1, 1, 1)
    assert found.scorers["wrong"][MATCHED] == Interval(0, 0, 0)
    chance = found.random[MATCHED]
    assert chance is not None
    assert 0 < chance.value < 0.3
    one = found.scorers["oracle"]["1"]
    assert one is not None
    assert one.value == pytest.approx((2 / 4 + 1) / 2)  # two sentences have one comma; each word stands once
    assert found.examples["3"] == 6  # "Rain, again" has three items
    assert found.examples["1"] == 8


def test_equal_scores_are_deleted_at_random_not_from_the_left() -> None:
    words = {text: text.split()[0].strip(",") for text in SENTENCES}
    first = [
        example(text, word, prompt=str(i), rule=Rule(name="keywords:existence", arguments={"keywords": [word]}))
        for i in range(5)
        for text, word in words.items()
    ]
    blind = score_examples(Fixed(lambda criterion, text: [0.5] * len(text)), first)
    rate = faithfulness({"blind": blind}, check).scorers["blind"][MATCHED]
    assert rate is not None
    assert rate.value < 0.5


def test_only_verdicts_that_can_turn_are_tried() -> None:
    text = "one two, three"
    rule = Rule(name="keywords:existence", arguments={"keywords": ["two"]})
    progress = Rule(name="keywords:frequency", arguments={"keyword": "two", "frequency": 3, "relation": "at least"})
    examples = [
        example(text, "two", rule=rule, kind="tried"),
        example(text, "two", kind="no rule"),
        example(text, "two", kind="missing", rule=progress, outcome=Outcome.VIOLATED, missing=True),
        example(text, "two", kind="missing, not said", rule=progress, outcome=Outcome.VIOLATED),
        example(text, "two", kind="another verdict", rule=rule, outcome=Outcome.VIOLATED),
        example(text, "", kind="empty", rule=NO_COMMA, support=()),
        example(text, "", kind="whole", rule=rule, support=(), scope="response"),
        example(text, text, kind="nothing else", rule=rule),
    ]
    found = faithfulness({"oracle": score_examples(Oracle(examples[:1] * 8), examples[:1])}, check)
    assert found.eligible == 1
    blind = score_examples(Fixed(lambda criterion, text: [0.5] * len(text)), examples)
    assert faithfulness({"blind": blind}, check).eligible == 1


def test_rates_are_over_the_examples_whose_verdict_turns_without_the_labelled_items() -> None:
    # the label names one of two commas: deleting it turns nothing
    half = example(
        "a, b, c", ",", criterion="No commas.", support=(), violation=((1, 2),), outcome=-1, rule=NO_COMMA, kind="n"
    )
    found = faithfulness({"oracle": score_examples(Oracle([half]), [half])}, check)
    assert found.eligible == 1
    assert found.ceiling == Interval(0)
    assert found.examples == {MATCHED: 0, "1": 0, "3": 0, "5": 0}
    assert found.scorers["oracle"][MATCHED] is None
    assert found.random[MATCHED] is None


def test_a_verdict_that_is_lost_has_not_turned() -> None:
    one = comma_examples()[0]

    def unsure(name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
        if text != one.response:
            return Verdict("edited", Outcome.UNDETERMINED, "rule")
        return check(name, arguments, text)

    found = faithfulness({"oracle": score_examples(Oracle([one]), [one])}, unsure)
    assert found.ceiling == Interval(0)


def test_each_edited_text_is_verified_once() -> None:
    examples = comma_examples()[:1]
    asked: list[str] = []

    def counting(name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
        asked.append(text)
        return check(name, arguments, text)

    blind = score_examples(Fixed(lambda criterion, text: [0.5] * len(text)), examples)
    faithfulness({"a": blind, "b": blind}, counting, draws=20)
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("options", [{"draws": 0}, {"budgets": (0, 1)}])
def test_deletions_need_a_number(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected 1 or more of each"):
        faithfulness({}, check, **options)


# ---------------------------------------------------------------------------------------------------------- all of it


def test_evaluate_measures_every_scorer_on_every_split_but_those_of_training() -> None:
    examples = comma_examples()
    blind = Fixed(lambda criterion, text: [0.5] * len(text))
    told: list[tuple[str, int, int]] = []
    found = evaluate(
        {"oracle": Oracle(examples), "blind": blind},
        {"train": examples, "validation": examples, "seen": examples[:4], "kinds": examples[4:], "wordings": []},
        verify=check,
        details={"file": "x"},
        progress=lambda *what: told.append(what),
    )
    assert list(found.scorers) == ["oracle", "blind"]
    assert all(list(one.splits) == ["seen", "kinds", "wordings"] for one in found.scorers.values())
    seen = found.scorers["oracle"].splits["seen"].overall
    assert seen.average_precision == Interval(1, 1, 1)
    assert seen.detection is not None
    assert seen.detection.f1 == 1
    assert found.scorers["oracle"].threshold == 0.5
    assert found.thresholds_from == "validation"
    assert found.scorers["oracle"].difference == {}
    gained = found.scorers["blind"].difference
    assert gained["kinds"] is not None
    assert gained["kinds"].value > 0.5
    assert gained["wordings"] is None
    assert found.scorers["blind"].splits["wordings"].overall.average_precision is None
    assert found.faithfulness["seen"].scorers["oracle"][MATCHED] == Interval(1, 1, 1)
    assert found.faithfulness["wordings"].ceiling is None
    assert told[0] == ("oracle", 0, 16)
    assert ("oracle", 16, 16) in told
    assert ("deletions: kinds", 4, 4) in told
    assert Evaluation.from_json(found.to_json()) == found


def test_without_validation_examples_thresholds_are_given() -> None:
    examples = comma_examples()
    blind = Fixed(lambda criterion, text: [0.5] * len(text))
    found = evaluate({"a": Oracle(examples), "b": blind}, {"all": examples}, thresholds={"a": 0.9})
    assert (found.scorers["a"].threshold, found.scorers["b"].threshold) == (0.9, 0.5)
    assert found.thresholds_from == "given"
    assert found.faithfulness == {}


def test_a_slow_scorer_is_asked_about_some_local_examples_and_compared_on_these() -> None:
    examples = [*comma_examples(), example("x y", "", support=(), scope="response")]
    slow = Fixed(lambda criterion, text: [0.5] * len(text))
    found = evaluate({"oracle": Oracle(examples), "slow": slow}, {"all": examples}, subsets={"slow": 4})
    assert found.scorers["slow"].splits["all"].overall.examples == 4
    assert found.scorers["oracle"].splits["all"].overall.examples == 9
    mine = found.scorers["slow"].splits["all"].overall.average_precision
    assert mine is not None
    assert found.scorers["slow"].difference["all"] is not None
    assert found.scorers["slow"].difference["all"].value == pytest.approx(1 - mine.value)


def test_evaluate_needs_a_scorer() -> None:
    with pytest.raises(ConfigurationError, match="scorers is empty"):
        evaluate({}, {"all": comma_examples()})
