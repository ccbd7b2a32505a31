"""Edits plant one thing and leave the rest, for any text and the same way for the same seed."""

from __future__ import annotations

import json
import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtt.relevance.discriminator.edits import EDITS, ENDINGS, REQUESTS, can_plant, enrich, plant
from rtt.relevance.discriminator.patterns import PATTERNS, Pattern, pattern_names, sentences
from rtt.rule_schemas import rule_names
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule

TEXT = (
    "A river runs through the valley. It is wide, deep and cold. People fish there, and boats pass by. It never stops."
)


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("bullets", r"(?m)^[*-] A? ?\w"),
        ("numbered", r"(?m)^1[.)] \w"),
        ("labelled", r"(?m)^(\*\*)?[A-Z]\w+:"),
        ("highlights", r"\*\w[^*]*\*"),
        ("code", r"`\w+`"),
        ("quotes", r"[\"“]\w[^\"”]*[\"”]"),
        ("placeholders", r"\[[\w ]+\]"),
        ("capital_words", r"\b[A-Z]{3,}\b"),
        ("capital_sentence", r"[A-Z]{3,} "),
        ("parentheses", r"\([a-z]"),
        ("exclaimed", "!"),
        ("ellipses", r"\.\.\.|…"),
        ("semicolons", "; [a-z]"),
        ("dashes", "[a-z] [–—-] [a-z]"),
        ("emoji", "[\u2600-\u27bf\U0001f300-\U0001faff]"),
        ("title", r"^(<<|#|\*\*)"),
        ("postscript", r"\n\nP"),
        ("greeting", r"^(Hello|Hi|Dear|Good|Sorry|Thank|Hey|I apolog)"),
        ("sections", r"^(SECTION|Section|PART|Part|Chapter|Day|Step) 1[:.]?\n"),
        ("spaced_paragraphs", r"\S\n\n\S"),
        ("divided_paragraphs", r"[^*]\*\*\*[^*]"),
        ("two_answers", r"[^*]\*{6}[^*]"),
        ("ruled", r"\n---\n"),
        ("wrapped_in_quotes", '^"|"$'),
        ("as_json", r"\{"),
        ("fenced", r"```\n"),
        ("one_of_three", r"My answer is (yes|no|maybe)\."),
        ("block_quote", r"(?m)^> "),
        ("indented", r"(?m)^[ \t]{2}"),
    ],
)
def test_an_edit_plants_what_it_is_called_after(name, expression):
    assert re.search(expression, TEXT) is None
    for seed in range(30):
        assert re.search(expression, EDITS[name](TEXT, Random(seed))), EDITS[name](TEXT, Random(seed))


def test_edits_of_the_whole_text_change_it_as_they_say():
    for seed in range(30):
        rng = Random(seed)
        assert EDITS["upper"](TEXT, rng).upper() == TEXT.upper()
        assert sum(map(str.islower, EDITS["upper"](TEXT, rng))) < 30
        assert EDITS["lower"](TEXT, rng).lower() == TEXT.lower()
        assert EDITS["no_commas"](TEXT, rng).count(",") < TEXT.count(",") + 1
        assert len(sentences(EDITS["dropped_sentence"](TEXT, rng))) == 3
        assert TEXT.startswith(EDITS["shortened"](TEXT, rng))
        assert sorted(EDITS["shuffled"](TEXT, rng).split()) == sorted(TEXT.split())
        assert len(EDITS["repeated_keyword"](TEXT, rng)) > len(TEXT)
        assert EDITS["repeats_request"](TEXT, rng).startswith(REQUESTS)
        ended = EDITS["last_phrase"](TEXT, rng)
        assert any(ending in ended for ending in ENDINGS)
        assert len(sentences(EDITS["planted_sentence"](TEXT, rng))) > 4


def test_some_json_is_valid_and_some_is_not():
    outcomes = set()
    for seed in range(40):
        edited = EDITS["as_json"](TEXT, Random(seed))
        body = edited.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
        try:
            json.loads(body)
        except json.JSONDecodeError:
            outcomes.add(False)
        else:
            outcomes.add(True)
    assert outcomes == {True, False}


@settings(max_examples=25)
@given(st.text(st.sampled_from("aB1 .!?'\"\n-*,İß🎉"), min_size=1, max_size=50), st.integers(0, 99))
def test_any_text_may_be_edited_and_the_same_seed_edits_it_alike(text, seed):
    if not text.strip():
        return
    for edit in EDITS.values():
        assert edit(text, Random(seed)) == edit(text, Random(seed))
    assert enrich(text, Random(seed)) == enrich(text, Random(seed))
    assert enrich(text, Random(seed)).strip()


def test_most_of_a_text_stays_as_it_was():
    kept = []
    for seed in range(200):
        words = set(enrich(TEXT, Random(seed)).lower().replace("*", "").split())
        kept.append(len(set(TEXT.lower().split()) & words) / len(set(TEXT.lower().split())))
    assert sum(kept) / len(kept) > 0.75
    assert sum(enrich(TEXT, Random(seed)) == TEXT for seed in range(200)) > 10


@pytest.mark.parametrize("name", [name for name in pattern_names() if can_plant(name)])
def test_what_is_planted_for_a_pattern_is_found_by_it(name):
    pattern = PATTERNS[name]
    hits = 0
    for seed in range(20):
        edited = plant(TEXT, [name], Random(seed))
        if isinstance(pattern, Pattern):
            hits += len(pattern.find(edited, None)) > 0
        else:
            hits += edited != TEXT
    assert hits >= 8


ARGUMENTS = {
    "detectable_content:number_placeholders": {"num_placeholders": 1},
    "detectable_content:postscript": {"postscript_marker": "P.S."},
    "detectable_format:number_highlighted_sections": {"num_highlights": 1},
    "detectable_format:constrained_response": {},
    "detectable_format:json_format": {},
    "detectable_format:title": {},
    "combination:two_responses": {},
    "startend:quotation": {},
    "change_case:english_capital": {},
    "punctuation:no_comma": {},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_is_planted_for_a_rule_may_satisfy_it(name):
    def outcome(text: str) -> Outcome:
        return verify_rule(name, ARGUMENTS[name], text, criterion_id="c").outcome

    assert outcome(TEXT) is Outcome.VIOLATED
    outcomes = [outcome(plant(TEXT, [name], Random(seed))) for seed in range(20)]
    assert outcomes.count(Outcome.SATISFIED) >= 5


def test_the_shape_of_a_text_is_changed_once_and_last():
    for seed in range(40):
        kinds = ["combination:two_responses", "detectable_format:json_format", "detectable_content:postscript"]
        edited = plant(TEXT, kinds, Random(seed))
        assert ("******" in edited) != ("{" in edited)


def test_a_kind_that_nothing_is_known_for_leaves_the_text():
    assert plant(TEXT, ["keywords:existence", "pattern:nth_word"], Random(0)) == TEXT
    assert not any(can_plant(name) for name in ("keywords:existence", "pattern:nth_word", "nope"))
    assert sum(can_plant(name) for name in rule_names()) > 15
