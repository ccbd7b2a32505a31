"""Counterfactuals: what is removed turns the verdict, and only that is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt import Outcome, Rule, Verdict
from rtt.errors import ConfigurationError, DataError
from rtt.relevance.discriminator.counterfactuals import edited_examples, faithful, occlusion, units_of
from rtt.relevance.discriminator.examples import Example, from_verdict, split_examples, without
from rtt.verifiers import counterfactual, verify_rule


def rules(name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
    return verify_rule(name, arguments, text, criterion_id="c")


def of_rule(name: str, text: str, **arguments: Any) -> Example:
    rule = Rule(name=name, arguments=arguments)
    example = from_verdict("A criterion.", text, rules(name, arguments, text), kind=name, prompt="p", rule=rule)
    assert example is not None
    return example


def occluded(name: str, text: str, units: Any = "words", **arguments: Any) -> list[str]:
    outcome = rules(name, arguments, text).outcome
    found = occlusion(text, outcome, lambda changed: rules(name, arguments, changed).outcome, units=units)
    return [text[start:end] for start, end in found]


FILLER = "the quick brown fox jumps over a lazy dog and runs on"


# ----------------------------------------------------------------------------------------------------- the units


@pytest.mark.parametrize(
    ("units", "pieces"),
    [
        (
            "words",
            ["It's", "a", "well-known", "robot", ",", "e\u0301t\u00e9", "😀", "!", "Yes", ".", "*", "One", "more"],
        ),
        ("sentences", ["It's a well-known robot, e\u0301t\u00e9 😀!", "Yes.", "* One more"]),
        ("lines", ["It's a well-known robot, e\u0301t\u00e9 😀! Yes.", "* One more"]),
    ],
)
def test_a_text_falls_into_units(units: Any, pieces: list[str]) -> None:
    text = "It's a well-known robot, e\u0301t\u00e9 😀! Yes.\n\n  * One more"
    assert [text[start:end] for start, end in units_of(text, units)] == pieces


@given(st.text(max_size=60), st.sampled_from(["words", "sentences", "lines"]))
def test_units_hold_all_that_is_not_blank(text: str, units: Any) -> None:
    found = units_of(text, units)
    assert not without(text, found).strip()
    edges = [edge for span in found for edge in span]
    assert edges == sorted(edges)
    assert all(start < end for start, end in found)


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"units='letters'; expected one of \['words', 'sentences', 'lines'\]"):
        units_of("a", "letters")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ occlusion


def test_one_word_that_turns_the_verdict_is_found() -> None:
    assert occluded("keywords:existence", f"{FILLER}, said the robot. {FILLER}", keywords=["robot"]) == ["robot"]
    assert occluded("punctuation:no_comma", f"{FILLER}, {FILLER}") == [","]


def test_each_of_two_words_that_are_both_needed_is_found() -> None:
    text = f"A robot. {FILLER} A moon."
    assert occluded("keywords:existence", text, keywords=["robot", "moon"]) == ["robot", "moon"]


def test_words_that_only_together_turn_the_verdict_are_found() -> None:
    text = f"A robot. {FILLER} A robot. {FILLER} Robots."
    assert occluded("keywords:existence", text, keywords=["robot"]) == ["robot", "robot", "Robots"]
    text = f"One, {FILLER} two, {FILLER} three."
    assert occluded("punctuation:no_comma", text) == [",", ","]


def test_a_line_is_found_as_a_line() -> None:
    text = "Dear Sir,\n\nI write to you today.\n\nP.S. I like cake"
    found = occluded("detectable_content:postscript", text, units="lines", postscript_marker="P.S.")
    assert found == ["P.S. I like cake"]


def test_what_any_few_words_would_turn_hangs_on_none_of_them() -> None:
    limit = {"num_words": 10, "relation": "less than"}
    assert occluded("length_constraints:number_words", FILLER, **limit) == []
    limit = {"num_words": 10, "relation": "at least"}
    assert occluded("length_constraints:number_words", FILLER, **limit) == []


def test_at_the_limit_each_word_counts() -> None:
    text = "one two three four"
    limit = {"num_words": 4, "relation": "at least"}
    assert occluded("length_constraints:number_words", text, **limit) == text.split()


def test_what_is_not_there_is_not_found() -> None:
    assert occluded("keywords:existence", FILLER, keywords=["robot"]) == []


def test_restraint_is_nowhere_although_a_blank_response_would_violate() -> None:
    assert occluded("punctuation:no_comma", FILLER) == []
    assert occluded("punctuation:no_comma", "Hi") == []


def test_long_texts_are_searched_in_blocks_within_the_calls() -> None:
    text = " ".join([FILLER] * 200 + ["robot"] + [FILLER] * 100)
    calls = []

    def verify(changed: str) -> Outcome:
        calls.append(changed)
        return Outcome.SATISFIED if "robot" in changed else Outcome.VIOLATED

    found = occlusion(text, Outcome.SATISFIED, verify)
    assert [text[start:end] for start, end in found] == ["robot"]
    assert len(calls) <= 512


@given(st.integers(1, 60), st.integers(0, 1))
def test_the_limit_of_calls_is_kept_and_running_into_it_finds_nothing_wrong(limit: int, kind: int) -> None:
    text = f"{FILLER} robot {FILLER} robot {FILLER}"
    calls = []

    def verify(changed: str) -> Outcome:
        calls.append(changed)
        return Outcome.SATISFIED if changed.count("robot") > kind else Outcome.VIOLATED

    found = occlusion(text, Outcome.SATISFIED, verify, max_calls=limit)
    assert len(calls) <= limit
    assert {text[start:end] for start, end in found} <= {"robot"}


@given(st.sets(st.integers(0, 29), min_size=1, max_size=4), st.booleans())
def test_a_smallest_set_is_found_wherever_it_stands(places: set[int], all_of_them: bool) -> None:
    """``all_of_them``: each is needed, so each turns the verdict alone; else only all together do."""
    words = [f"key{n}" if n in places else f"word{n}" for n in range(30)]
    text = " ".join(words)

    def verify(changed: str) -> Outcome:
        there = [f"key{n}" in changed.split() for n in places]
        return Outcome.SATISFIED if (all if all_of_them else any)(there) else Outcome.VIOLATED

    found = occlusion(text, Outcome.SATISFIED, verify, max_calls=2000)
    assert [text[start:end] for start, end in found] == [f"key{n}" for n in sorted(places)]


def test_a_verifier_that_cannot_tell_turns_nothing() -> None:
    assert occlusion("a robot", Outcome.SATISFIED, lambda changed: Outcome.UNDETERMINED) == ()


@pytest.mark.parametrize(
    ("outcome", "calls", "words"),
    [(Outcome.UNDETERMINED, 5, "outcome is undetermined"), (Outcome.SATISFIED, 0, "max_calls=0; expected at least 1")],
)
def test_a_search_that_makes_no_sense_is_refused(outcome: Outcome, calls: int, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        occlusion("a robot", outcome, lambda changed: Outcome.SATISFIED, max_calls=calls)


# ---------------------------------------------------------------------------------------------------------- edits

CASES = {
    "keywords:existence": ("The robot met a robot on the moon.", {"keywords": ["robot"]}),
    "keywords:frequency": ("A cat, a cat, a cat.", {"keyword": "cat", "frequency": 2, "relation": "less than"}),
    "punctuation:no_comma": ("Well, it sings, badly.", {}),
    "detectable_format:number_bullet_lists": ("* one\n* two\n", {"num_bullets": 2}),
    "startend:end_checker": ("It is so. The end", {"end_phrase": "the end"}),
    "change_case:english_lowercase": ("this is all in lowercase letters but for One or Two of them in it", {}),
}


@pytest.mark.parametrize("name", CASES)
def test_edits_are_verified_again_and_one_of_them_turns(name: str) -> None:
    text, arguments = CASES[name]
    example = of_rule(name, text, **arguments)
    edits = edited_examples(example, rules, edit=counterfactual)
    assert 0 < len(edits) <= 4
    assert len({edit.response for edit in edits} | {text}) == len(edits) + 1
    assert any(edit.outcome is Outcome(-example.outcome) for edit in edits)
    for edit in edits:
        again = of_rule(name, edit.response, **arguments)
        assert (edit.outcome, edit.relevant, edit.missing) == (again.outcome, again.relevant, again.missing)
        assert (edit.source, edit.kind, edit.prompt, edit.rule) == ("counterfactual", name, "p", example.rule)


def test_edits_by_hand() -> None:
    example = of_rule("keywords:existence", "A robot saw robots on mountains.", keywords=["robot"])
    texts = [edit.response for edit in edited_examples(example, rules)]
    assert texts == [
        "A  saw s on mountains.",
        "A  saw robots on mountains.",
        "A robot saw s on mountains.",
        "A mountains saw mountainss on mountains.",
    ]
    assert len(edited_examples(example, rules, limit=2)) == 2


def test_edits_stay_on_the_side_of_their_original() -> None:
    examples = [
        from_verdict(
            "c", text, rules("punctuation:no_comma", {}, text), kind="x", rule=Rule(name="punctuation:no_comma")
        )
        for text in (f"Number {n}, then." for n in range(100))
    ]
    for example in examples:
        assert example is not None
        family = [example, *edited_examples(example, rules)]
        assert len(family) == 2
        parts = split_examples(family, held_out_kinds=[], held_out_prompts=0.5)
        assert sorted(map(len, parts.values())) == [0, 0, 0, 0, 2]


def test_without_a_rule_or_a_place_there_are_no_edits() -> None:
    assert edited_examples(Example("c", "A robot.", Outcome.SATISFIED, ((2, 7),)), rules) == []
    assert edited_examples(of_rule("punctuation:no_comma", "A robot."), rules, edit=counterfactual) == []


def test_a_response_of_nothing_but_evidence_is_not_made_blank() -> None:
    assert edited_examples(of_rule("keywords:existence", "robot", keywords=["robot"]), rules) == []


# --------------------------------------------------------------------------------------------------- faithfulness


@pytest.mark.parametrize("name", CASES)
def test_the_rules_own_evidence_is_faithful(name: str) -> None:
    text, arguments = CASES[name]
    assert faithful(of_rule(name, text, **arguments), rules, edit=counterfactual)


def test_wrong_evidence_is_not_faithful() -> None:
    example = of_rule("keywords:existence", "A robot sings.", keywords=["robot"])
    wrong = Example("c", example.response, example.outcome, ((8, 13),), rule=example.rule)
    assert faithful(example, rules)
    assert not faithful(wrong, rules)


def test_a_third_of_the_evidence_is_not_faithful() -> None:
    text = "robot robot robot and more"
    example = of_rule("keywords:existence", text, keywords=["robot"])
    part = Example("c", text, example.outcome, example.support[:1], rule=example.rule)
    assert faithful(example, rules)
    assert not faithful(part, rules)


@pytest.mark.parametrize(
    "spoil",
    [lambda e: Example("c", e.response, e.outcome), lambda e: Example("c", "x", Outcome.UNDETERMINED, rule=e.rule)],
)
def test_faithfulness_needs_a_verdict_that_can_turn(spoil: Callable[[Example], Example]) -> None:
    with pytest.raises(DataError, match="has no rule or no verdict to verify again"):
        faithful(spoil(of_rule("punctuation:no_comma", "a, b")), rules)
