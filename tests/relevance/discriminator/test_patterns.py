"""Patterns find what they say, the labels follow the rules, and what is held out is asked of nobody in other words."""

from __future__ import annotations

import functools
import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator import patterns
from rtt.relevance.discriminator.examples import Example
from rtt.relevance.discriminator.patterns import (
    HELD_OUT_KINDS,
    HELD_OUT_PATTERNS,
    HELD_OUT_RULES,
    PATTERNS,
    Pattern,
    Place,
    pattern_names,
    pattern_of,
)
from rtt.rule_schemas import rule_names
from rtt.verdicts import Outcome

TEXT = """Hello Anna! Why did the red fox cross the river at 9:30 am?

It's 12 km away; nobody knows. We paid $30 in March 1998 (about 5% more).
- Write to anna@example.org or @tom, or see https://example.org/a #travel
Running quickly, she said "never again"..."""


def found(name: str, text: str, parameter: str | int | None = None) -> list[str]:
    pattern = pattern_of(f"pattern:{name}")
    assert isinstance(pattern, Pattern | Place)
    return [text[start:end] for start, end in pattern.find(text, parameter)]


@functools.cache
def asked(name: str) -> list[Example]:
    """What a pattern asks of the text above, eighty times."""
    examples = (PATTERNS[name].ask(TEXT, Random(seed)) for seed in range(80))
    return [example for example in examples if example is not None]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("question_marks", "Why? Who?", ["?", "?"]),
        ("semicolons", "a; b", [";"]),
        ("colons", "Note: at 9:30 see http://x.org", [":"]),
        ("parentheses", "one (two) three (four", ["(two)"]),
        ("hyphenated_words", "a well-known fact - not so", ["well-known"]),
        ("ellipses", "Well... so… no.", ["...", "…"]),
        ("dashes", "It was - I think – late\n- item", ["-", "–"]),
        ("quoted_text", 'He said "go" and “stay”.', ['"go"', "“stay”"]),
        ("apostrophes", "It's the dogs' 'bone'", ["'", "'"]),
        ("digits", "3 of 1,000 or 2.5", ["3", "1,000", "2.5"]),
        ("number_words", "one or Two or twenty tones", ["Two", "twenty"]),
        ("years", "In 1998 they had 3000 and $2000", ["1998"]),
        ("percentages", "5% or 10 percent of 3", ["5%", "10 percent"]),
        ("money", "$30, 20 euros and 5 apples", ["$30", "20 euros"]),
        ("dates", "March 3, 1998 and 12 October and May", ["March 3, 1998", "12 October"]),
        ("times_of_day", "at 9:30 am, 5 pm and noon", ["9:30 am", "5 pm", "noon"]),
        ("units", "12 km and 3 apples, 40 cm", ["12 km", "40 cm"]),
        ("names", "We met Anna Lee in Paris. Then we left.", ["Anna Lee", "Paris"]),
        ("double_letters", "a small red ball", ["small", "ball"]),
        ("single_letters", "a cat and I don't", ["a", "I"]),
        ("repeated_words", "water and Water and wine", ["Water"]),
        ("words_used_once", "another mountain another", ["mountain"]),
        ("alliteration", "big brown bear sat to take two", ["big brown bear", "take two"]),
        ("ing_words", "a king is walking ing", ["king", "walking"]),
        ("ly_words", "early and slowly fly", ["early", "slowly", "fly"]),
        ("contractions", "don't, it's, Anna's and we’ll", ["don't", "it's", "we’ll"]),
        ("first_person", "I and me, mine and i", ["I", "me", "mine", "i"]),
        ("negations", "not, never, isn't, knot", ["not", "never", "isn't"]),
        ("apologies", "Sorry, we apologize", ["Sorry", "apologize"]),
        ("greetings", "Hello and good morning", ["Hello", "good morning"]),
        ("colours", "Reds and bluest green", ["Reds", "green"]),
        ("animals", "two foxes, a catalogue and a cat", ["foxes", "cat"]),
        ("months", "In May it may be. March on! In March 3", ["May", "March"]),
        ("emails", "to a.b@x.org.", ["a.b@x.org"]),
        ("hashtags", "#fun is # 1 &#39; # no", ["#fun"]),
        ("mentions", "@tom and a@b.org", ["@tom"]),
        ("urls", "See https://x.org/a. Or (www.y.com)", ["https://x.org/a", "www.y.com"]),
        ("emoji", "So 🎉 it is 👍🏽", ["🎉", "👍🏽"]),
        ("numbered_items", "1. one\n2) two\nin 3. three", ["1.", "2)"]),
        ("headings", "# One\n#two\ntext # three", ["# One"]),
        ("bold", "a **b c** and *d*", ["**b c**"]),
        ("inline_code", "run `x` now", ["`x`"]),
        ("code_fences", "a\n```\nb\n```\nc", ["```\nb\n```"]),
        ("labels", "Note: a\n- **Tip:** b\nso: c", ["Note:", "**Tip:**"]),
        ("block_quotes", "> a\nb > c", ["> a"]),
        ("rules_across", "a\n---\nb -- c", ["---"]),
        ("short_lines", "one two\none two three four five", ["one two"]),
        ("questions", "Is it? It is. “Why?” No!", ["Is it?", "“Why?”"]),
        ("exclamations", "Oh! It is. No!", ["Oh!", "No!"]),
        ("commands", "Try this. You try. Please remember it.", ["Try this.", "Please remember it."]),
        ("conditions", "If so, go. We iffy. Go if so.", ["If so, go.", "Go if so."]),
        ("sentences_with_digit", "I have 2. You have none.", ["I have 2."]),
        ("first_sentence", "# Title one\nIt is.", ["Title one"]),
        ("second_sentence", "Mr. Fox came. He left. So?", ["He left."]),
        ("last_sentence", "It is. He left.\n", ["He left."]),
        ("next_to_last_sentence", "A b. C d. E f.", ["C d."]),
        ("longest_sentence", "It is. He left the house. So?", ["He left the house."]),
        ("shortest_sentence", "It is it. He left the house. So?", ["So?"]),
        ("first_line", "\n  one two \nthree", ["one two"]),
        ("last_paragraph", "a\nb\n \nc\nd\n", ["c\nd"]),
        ("longest_paragraph", "a b\n\nc d e\n\nf", ["c d e"]),
        ("first_word", '"So, it is', ["So"]),
        ("last_word", "it is late!", ["late"]),
        ("longest_word", "one eleven two eleves", ["eleven"]),
    ],
)
def test_a_pattern_finds_what_it_is_about_and_nothing_else(name, text, expected):
    assert found(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "parameter", "expected"),
    [
        ("starting_with", "The two bears", "t", ["The", "two"]),
        ("ending_in", "The two bears, me", "e", ["The", "me"]),
        ("letter_pairs", "the cloth hat", "th", ["the", "cloth"]),
        ("long_words", "abcdefgh abc-defg abcdefg", 7, ["abcdefgh"]),
        ("words_of_length", "one three two2 ten", 3, ["one", "ten"]),
        ("long_sentences", "One two three. One two.", 2, ["One two three."]),
        ("short_sentences", "One two three. One two.", 3, ["One two."]),
        ("sentences_with_word", "A cat. A catalogue. The Cat sat.", "cat", ["A cat.", "The Cat sat."]),
        ("sentences_opening_with", "- Two of us. You too. 3 to go. To go.", "t", ["Two of us.", "To go."]),
        ("nth_sentence", "A b. C d. E f.", 3, ["E f."]),
        ("nth_line", "a\n\nb\nc", 2, ["b"]),
        ("nth_paragraph", "a\n\nb\nc\n\nd", 2, ["b\nc"]),
        ("nth_word", "It's so very late", 3, ["very"]),
        ("nth_word", "It's so", 3, []),
        ("word_after", "the red fox, the old fox", "fox", ["the"]),
        ("word_before", "the red fox, the old fox", "fox", ["red"]),
        ("sentence_with_word", "No. A cat. The cat.", "cat", ["A cat."]),
    ],
)
def test_a_pattern_with_a_parameter_finds_what_the_parameter_says(name, text, parameter, expected):
    assert found(name, text, parameter) == expected


THREE = "A red hat, a blue hat and a green one."
COLOURS = ((2, 5), (13, 17), (28, 33))


@pytest.mark.parametrize(
    ("text", "form", "number", "outcome", "support", "violation", "scope", "missing"),
    [
        (THREE, "wanted", 0, Outcome.SATISFIED, COLOURS, (), "spans", False),
        (THREE, "unwanted", 0, Outcome.VIOLATED, (), COLOURS, "spans", False),
        (THREE, "at least", 3, Outcome.SATISFIED, COLOURS, (), "spans", False),
        (THREE, "at least", 4, Outcome.VIOLATED, COLOURS, (), "spans", True),
        (THREE, "at most", 3, Outcome.SATISFIED, (), (), "response", False),
        (THREE, "at most", 2, Outcome.VIOLATED, (), COLOURS[2:], "spans", False),
        (THREE, "exactly", 3, Outcome.SATISFIED, COLOURS, (), "spans", False),
        (THREE, "exactly", 2, Outcome.VIOLATED, (), COLOURS[2:], "spans", False),
        (THREE, "exactly", 4, Outcome.VIOLATED, COLOURS, (), "spans", True),
        ("A hat.", "wanted", 0, Outcome.VIOLATED, (), (), "spans", True),
        ("A hat.", "unwanted", 0, Outcome.SATISFIED, (), (), "response", False),
    ],
)
def test_labels_follow_the_rules_that_count(text, form, number, outcome, support, violation, scope, missing):
    pattern = pattern_of("pattern:colours")
    assert isinstance(pattern, Pattern)
    example = pattern.label(text, form, Random(0), number=number)
    assert (example.outcome, example.support, example.violation) == (outcome, support, violation)
    assert (example.scope, example.missing) == (scope, missing)
    assert (example.kind, example.source) == ("pattern:colours", "pattern")
    assert example.wording.startswith(f"pattern:colours/{form.replace(' ', '_')}/")


def test_what_is_asked_of_a_place_hangs_on_the_place():
    text = "Two cats sat there. A dog came. It barked."
    start, end = text.index("A dog"), text.index(" It")
    seen = set()
    for seed in range(300):
        example = PATTERNS["pattern:second_sentence"].ask(text, Random(seed))
        assert example is not None
        assert example.scope == "spans"
        assert example.relevant
        assert all(start <= left and right <= end for left, right in example.relevant)
        seen.add(example.outcome)
    assert seen == {Outcome.SATISFIED, Outcome.VIOLATED, Outcome.UNDETERMINED}


def test_a_quality_of_a_place_has_no_known_outcome_but_known_characters():
    examples = [PATTERNS["pattern:first_word"].ask(TEXT, Random(seed)) for seed in range(60)]
    assert all(example is not None and example.outcome is not Outcome.UNDETERMINED for example in examples)
    undetermined = [
        example
        for seed in range(200)
        if (example := PATTERNS["pattern:last_sentence"].ask(TEXT, Random(seed))) is not None
        and example.outcome is Outcome.UNDETERMINED
    ]
    assert undetermined
    start = TEXT.index("Running")
    assert {example.relevant for example in undetermined} == {((start, len(TEXT)),)}


def test_every_part_that_lacks_what_is_asked_for_violates():
    text = "One two three. One. Two three four."
    seen = set()
    for seed in range(200):
        example = PATTERNS["pattern:every_sentence"].ask(text, Random(seed))
        assert example is not None
        if example.wording.startswith("pattern:every_sentence/at_least/"):
            limit = int("".join(filter(str.isdigit, example.criterion)))
            short = tuple(s for s, size in zip(patterns.sentences(text), (3, 1, 3), strict=True) if size < limit)
            assert example.violation == short
            assert (example.outcome is Outcome.VIOLATED) == bool(short)
        seen.add(example.outcome)
    assert seen == {Outcome.SATISFIED, Outcome.VIOLATED}


def test_a_form_without_wordings_is_refused():
    pattern = pattern_of("pattern:sentences_with_word")
    assert isinstance(pattern, Pattern)
    with pytest.raises(ConfigurationError, match="got the form 'unwanted'; expected one of"):
        pattern.label("A cat.", "unwanted", Random(0), parameter="cat")


def test_an_unknown_pattern_is_refused():
    with pytest.raises(ConfigurationError, match="pattern 'pattern:nope' is unknown"):
        pattern_of("pattern:nope")


@pytest.mark.parametrize("name", pattern_names())
def test_a_pattern_is_asked_of_a_text_in_many_words_and_with_both_outcomes(name):
    examples = asked(name)
    assert len(examples) > 40
    assert len({example.wording for example in examples}) >= 8
    assert {example.outcome for example in examples} >= {Outcome.SATISFIED, Outcome.VIOLATED}
    assert not any(brace in example.criterion for example in examples for brace in "{}")
    assert all(example.kind == name and example.response == TEXT for example in examples)


@pytest.mark.parametrize("name", pattern_names())
def test_the_same_seed_asks_the_same(name):
    assert PATTERNS[name].ask(TEXT, Random(7)) == PATTERNS[name].ask(TEXT, Random(7))


@settings(max_examples=25, deadline=None)
@given(st.text(st.sampled_from("aB1 .!?'\"\n-*#>@(),:;–İß🎉é\t"), max_size=60), st.integers(0, 50))
def test_any_text_may_be_asked_about(text, seed):
    """Spans that leave the text, overlap or are empty are refused by Example itself."""
    rng = Random(seed)
    for name in pattern_names():
        example = PATTERNS[name].ask(text, rng)
        assert example is None or example.response == text


@given(st.text(st.sampled_from("aB .!?\n-"), max_size=60))
def test_parts_of_a_text_are_in_order_and_are_not_blank(text):
    for split in (patterns.words, patterns.sentences, patterns.lines, patterns.paragraphs):
        position = 0
        for start, end in split(text):
            assert position <= start < end <= len(text)
            assert text[start:end] == text[start:end].strip()
            position = end


def test_what_is_held_out_exists():
    assert set(rule_names()) >= HELD_OUT_RULES
    assert set(pattern_names()) >= HELD_OUT_PATTERNS
    assert len(HELD_OUT_PATTERNS) == 8
    assert HELD_OUT_KINDS == HELD_OUT_RULES | HELD_OUT_PATTERNS


def test_no_pattern_is_a_rule_that_is_held_out():
    """No commas, forbidden words, titles, postscripts, capitals, end phrases or placeholders in what patterns ask."""
    told = re.compile(
        r"\b(?:commas?|angle|angular|postscript|p\.s\.|uppercase|all caps|capital letters|square|placeholders?|"
        r"forbidden|end with the phrase)\b",
        re.IGNORECASE,
    )
    for name in pattern_names():
        for example in asked(name):
            assert told.search(example.criterion) is None, example.criterion


def test_a_place_is_not_asked_about_patterns_that_are_held_out():
    held_out = {entry for name in HELD_OUT_PATTERNS for entry in getattr(PATTERNS[name], "inside", ())}
    assert held_out
    for name in pattern_names():
        if not isinstance(PATTERNS[name], Pattern):
            assert not any(entry in example.criterion for example in asked(name) for entry in held_out)
