"""Criteria drawn for any text: exact labels, balanced kinds, and the same ones for the same seed."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.patterns import HELD_OUT_KINDS, pattern_names
from rtt.relevance.discriminator.sampling import EMPTY_SHARE, WHOLE_SHARE, sample_examples, sampled_kinds
from rtt.rule_schemas import rule_names
from rtt.verdicts import Outcome, Verdict
from rtt.verifiers import verify_rule

TEXTS = [
    ("p1", "A river runs through the valley. It is wide, deep and cold. People fish there, and boats pass by."),
    ("p2", "Dear Sam,\n\nThank you for the letter. We will meet on Monday at the station.\n\nBest regards,\nKim"),
    ("p3", "1. Wash the rice.\n2. Boil 200 ml of water.\n3. Wait, stir and serve!\n\nHow easy is that?"),
    ("p4", "Robots are machines. Some robots build cars, and other robots clean floors. They never get tired."),
    ("p5", "# Tea\n\nTea is a drink. *Green tea* is popular in Japan; black tea is not. I like both."),
    ("p6", "Once upon a time an old king had three sons. The youngest was kind. Nobody knew why he left."),
] * 10
SLOW = {"language:response_language", "change_case:english_capital", "change_case:english_lowercase"}
KINDS = sorted(set(sampled_kinds()) - SLOW)


IFEVAL = frozenset(rule_names("ifeval"))


def verify(name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
    return verify_rule(name, arguments, text, criterion_id="c")


@functools.cache
def sampled():
    texts = [(f"{prompt}/{k}", text) for k, (prompt, text) in enumerate(TEXTS)]
    return tuple(sample_examples(texts, verify, kinds=KINDS, seed=3))


def test_all_rules_and_patterns_are_sampled():
    assert len(IFEVAL) == 25
    assert set(sampled_kinds()) == {*IFEVAL, *pattern_names()}


def test_a_rules_labels_are_its_verdicts():
    rules = [example for example in sampled() if example.source == "rule"]
    assert len(rules) > 300
    for example in rules:
        assert example.rule is not None
        verdict = verify(example.rule.name, example.rule.arguments, example.response)
        assert example.outcome is verdict.outcome
        assert (example.kind, example.missing) == (example.rule.name, verdict.missing)
        for polarity, spans in (("support", example.support), ("violation", example.violation)):
            assert spans == tuple((span.start, span.end) for span in verdict.evidence if span.polarity == polarity)
        assert example.wording.startswith(f"{example.kind}/")


def test_the_same_seed_gives_the_same_examples_and_another_seed_others():
    one, two, other = (sample_examples(TEXTS[:6], verify, kinds=KINDS, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_a_texts_examples_do_not_depend_on_the_texts_before_it():
    everything = sample_examples(TEXTS[:6], verify, kinds=KINDS)
    tail = sample_examples(TEXTS[3:6], verify, kinds=KINDS)
    assert tail == [example for example in everything if example.prompt in ("p4", "p5", "p6")]


def test_a_text_is_asked_about_different_kinds_half_of_them_rules():
    by_prompt = defaultdict(list)
    for example in sampled():
        by_prompt[example.prompt].append(example)
    assert len(by_prompt) == len(TEXTS)
    for examples in by_prompt.values():
        assert 10 <= len(examples) <= 12
        assert len({example.kind for example in examples}) == len(examples)
        assert len({example.response for example in examples}) == 1
        assert 5 <= sum(example.source == "rule" for example in examples) <= 7


def test_most_criteria_hang_on_a_part_of_the_text():
    examples = sampled()
    empty = sum(not example.relevant for example in examples) / len(examples)
    whole = sum(example.scope == "response" for example in examples) / len(examples)
    assert 0.05 < empty <= EMPTY_SHARE
    assert 0.03 < whole <= WHOLE_SHARE


def test_both_outcomes_are_common():
    counts = Counter(example.outcome for example in sampled())
    assert counts[Outcome.SATISFIED] > 0.3 * len(sampled())
    assert counts[Outcome.VIOLATED] > 0.3 * len(sampled())


def test_kinds_are_balanced():
    counts = Counter(example.kind for example in sampled())
    rules = [counts[kind] for kind in KINDS if kind in rule_names()]
    assert min(rules) >= 3
    assert max(rules) <= 5 * sum(rules) / len(rules)
    assert sum(counts[kind] > 0 for kind in pattern_names()) > 0.75 * len(pattern_names())


@pytest.mark.parametrize("kind", sorted(IFEVAL - {"language:response_language"}))
def test_each_rule_is_met_and_broken(kind):
    texts = [(f"{prompt}/{k}", text) for k, (prompt, text) in enumerate(TEXTS[:36])]
    outcomes = Counter(example.outcome for example in sample_examples(texts, verify, kinds=[kind], per_text=4))
    assert outcomes[Outcome.SATISFIED]
    assert outcomes[Outcome.VIOLATED]


def test_kinds_that_are_not_asked_for_do_not_come():
    kept = set(KINDS) - HELD_OUT_KINDS
    assert {example.kind for example in sample_examples(TEXTS[:12], verify, kinds=kept)} <= kept


def test_few_criteria_of_few_kinds_are_fewer_than_asked_for():
    examples = sample_examples(TEXTS[:2], verify, kinds=["pattern:articles", "keywords:existence"], per_text=9)
    assert 1 <= len(examples) <= 4


def test_what_a_rule_could_not_tell_is_left_out():
    def fails(name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
        return Verdict("c", Outcome.UNDETERMINED, f"rule:{name}", "no time left")

    examples = sample_examples(TEXTS[:12], fails, kinds=KINDS)
    assert examples
    assert all(example.source == "pattern" for example in examples)


def test_blank_texts_are_passed_over_and_progress_is_told():
    done: list[int] = []
    examples = sample_examples([("a", " \n"), TEXTS[0]], verify, kinds=KINDS, progress=done.append)
    assert {example.prompt for example in examples} == {"p1"}
    assert done == [1, 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"per_text": 0}, "per_text: got 0; expected at least 1"),
        ({"kinds": ["pattern:nope"]}, r"kinds: \['pattern:nope'\] are unknown; expected some of sampled_kinds"),
        ({"kinds": []}, "kinds: .* expected some of sampled_kinds"),
    ],
)
def test_what_cannot_be_sampled_is_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        sample_examples(TEXTS[:1], verify, **options)
