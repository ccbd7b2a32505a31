"""Each rule: a response that meets it and one that just misses, with the evidence marked by hand.

⟦supports⟧, ⟪violates⟫. ``+`` and ``-`` are the verdict; ``whole``: the whole response carries it; ``missing``:
something that was asked for is not there.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from verifiers.examples import corrected, ifbench_counting, ifbench_form, muldimif
from verifiers.marked import mark, unmark

from rtt.rule_schemas import rule_names
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule
from rtt.verifiers.rules import rule_of

AT_LEAST, LESS = "at least", "less than"

Case = tuple[str, dict[str, Any], str, str]

KEYWORDS: list[Case] = [
    ("keywords:existence", {"keywords": ["robot", "moon"]}, "+", "A ⟦Robot⟧ on the ⟦moon⟧, a ⟦robot⟧ful."),
    ("keywords:existence", {"keywords": ["robot", "moon"]}, "- missing", "A ⟦robot⟧ and a ⟦robot⟧."),
    ("keywords:existence", {"keywords": ["robot", "moon"]}, "- missing", "Nothing here."),
    ("keywords:existence", {"keywords": ["colou?r"]}, "+", "The ⟦color⟧ or the ⟦colour⟧."),
    ("keywords:existence", {"keywords": ["robot", "bot"]}, "+", "A ⟦robot⟧."),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": AT_LEAST}, "+", "⟦War⟧ be⟦war⟧e ⟦war⟧."),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": AT_LEAST}, "- missing", "⟦War⟧ and peace."),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": LESS}, "+ whole", "War and peace."),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": LESS}, "-", "War, ⟪war⟫ and ⟪WAR⟫."),
    ("keywords:frequency", {"keyword": "war", "frequency": 1, "relation": LESS}, "-", "⟪War⟫ and peace."),
    ("keywords:frequency", {"keyword": " war ", "frequency": 1, "relation": AT_LEAST}, "+", "⟦war⟧"),
    # The empty matches of "x*" count, and have nothing to show.
    ("keywords:frequency", {"keyword": "x*", "frequency": 4, "relation": AT_LEAST}, "+", "a⟦x⟧b"),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "+ whole", "Rocks and hard rocking places."),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "roll"]}, "-", "⟪Rock⟫-n-⟪roll⟫, rocks."),
    (
        "keywords:letter_frequency",
        {"letter": "T", "let_frequency": 3, "let_relation": AT_LEAST},
        "+",
        "⟦T⟧he ca⟦t⟧ sa⟦t⟧",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "t", "let_frequency": 3, "let_relation": AT_LEAST},
        "- missing",
        "⟦T⟧he ca⟦t⟧",
    ),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 3, "let_relation": LESS}, "+ whole", "The cat"),
    (
        "keywords:letter_frequency",
        {"letter": "t", "let_frequency": 3, "let_relation": LESS},
        "-",
        "The cat sa⟪t⟫ ou⟪t⟫",
    ),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": AT_LEAST}, "+", "⟦#⟧one ⟦#⟧two"),
    # "İ" is two characters in lower case: the characters after it keep their places.
    (
        "keywords:letter_frequency",
        {"letter": "n", "let_frequency": 2, "let_relation": AT_LEAST},
        "+",
        "İsta⟦n⟧bul, ⟦N⟧o",
    ),
]

LENGTH: list[Case] = [
    ("length_constraints:number_words", {"num_words": 3, "relation": AT_LEAST}, "+ whole", "One, two, three."),
    ("length_constraints:number_words", {"num_words": 3, "relation": AT_LEAST}, "- missing", "⟦One, two.⟧"),
    ("length_constraints:number_words", {"num_words": 3, "relation": LESS}, "+ whole", "One, two."),
    ("length_constraints:number_words", {"num_words": 3, "relation": LESS}, "-", "One, two, ⟪three, four.⟫ \n"),
    ("length_constraints:number_words", {"num_words": 2, "relation": LESS}, "-", "Don'⟪t⟫"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": AT_LEAST},
        "+ whole",
        "Dr. Who left. Why?",
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": AT_LEAST},
        "- missing",
        "⟦Dr. Who left.⟧",
    ),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LESS}, "+ whole", "Dr. Who left."),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LESS}, "-", "He left. ⟪Why? I know.⟫ "),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "+ whole", "One.\n\n⟦***⟧\n\nTwo."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "+ whole", "***\nOne.\n⟦***⟧\nTwo.\n***"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 1}, "+ whole", "One."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "- missing whole", "One.\n\n⟦***⟧\n\nTwo."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "- missing whole", "One."),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        "- whole",
        "One. *** Two. ⟪***⟫ Three. ⟪***⟫ Four.",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "- whole", "One. *** ⟪***⟫ Two."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "- whole", "One. ***⟪***⟫ Two. ⟪***⟫ Three."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "- missing whole", "One. ***⟪***⟫ Two."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "+ whole", "Bold ⟦***⟧italics⟦***⟧ divide."),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
        "+",
        'Friday.⟦\n\n⟧"⟦weekend⟧, at last.',
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"},
        "-",
        "Friday.\n\n⟪Weekends⟫ are short.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "weekend"},
        "-",
        "Weekend.\n\nTwo.⟪\n\n⟫Three.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "weekend"},
        "- missing",
        "Friday.⟦\n\n⟧⟦Weekend⟧.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 3, "first_word": "weekend"},
        "- missing",
        "Friday.⟦\n\n⟧Weekend.",
    ),
    # Officially the empty paragraphs do not count, but are looked at.
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"},
        "-",
        "Friday.\n\n⟪\n\n⟫Weekend.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "weekend"},
        "-",
        "⟪...⟫ weekend",
    ),
]

CONTENT: list[Case] = [
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "+", "Dear ⟦[name]⟧, at ⟦[a [b]⟧ c]."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "- missing", "Dear ⟦[name]⟧, at [a\nb]."),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "- missing", "Dear name], [at\n address["),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "+", "Bye.\n\n⟦P. S.⟧ I stay."),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "- missing", "Bye.\n\nPS: I stay."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "+", "İ ⟦p.p. s⟧. I stay."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "- missing", "P.S. I stay."),
    ("detectable_content:postscript", {"postscript_marker": "PS:"}, "+", "Bye. ⟦Ps:⟧ I stay."),
    ("detectable_content:postscript", {"postscript_marker": "^N.?B"}, "+", "Bye.\n⟦N.B⟧ I stay. NB"),
]

LAYOUT: list[Case] = [
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "+ whole", "Two:\n⟦*⟧ one\n  ⟦-⟧ two\n** no **"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 0}, "+ whole", "1. one\n2. two - or so"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "- missing whole", "⟦*⟧ one\n** two"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "- whole", "* one\n* two\n⟪---⟫\n⟪-⟫5 degrees"),
    # "*" swallows a line break, and the line after it.
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "+ whole", "⟦*⟧\n* one"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "+ whole", "⟦*⟧\n⟦-⟧ one"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "+ whole", "⟦*⟧\n\n⟦*⟧ one"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "- missing whole", "one\n*"),
    ("detectable_format:constrained_response", {}, "+", "Well: ⟦My answer is no.⟧ So."),
    ("detectable_format:constrained_response", {}, "- missing", "my answer is no."),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "+",
        "⟦*one*⟧ and ⟦**two**⟧ and ** ** and *\n*",
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "- missing",
        "⟦*one*⟧ and two*\n*** and",
    ),
    # Bold italics are italics and bold.
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "+", "a ⟦***b***⟧ c"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "+",
        "⟦Section 1⟧\nfoo\n⟦Section2⟧: bar, ⟦Section 33⟧",
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": " Section ", "num_sections": 2},
        "- missing",
        "⟦Section 1⟧\nfoo\nSECTION 2\nSection II",
    ),
    ("detectable_format:json_format", {}, "+ whole", '```json\n{"a": [1, NaN]}\n```'),
    ("detectable_format:json_format", {}, "+ whole", " 17 "),
    ("detectable_format:json_format", {}, "-", '⟪Sure! ```json\n⟫{"a": 1}\n```'),
    ("detectable_format:json_format", {}, "-", '```JSON\n{"a": 1} ⟪Done.⟫\n```'),
    ("detectable_format:json_format", {}, "-", '{"a": ⟪True,⟫ "b": 1}'),
    ("detectable_format:json_format", {}, "- missing", '⟦{"a": [1, 2⟧'),
    ("detectable_format:json_format", {}, "- missing", '⟦{"a": "never en⟧'),
    ("detectable_format:json_format", {}, "- whole", "An essay with a footnote [1] and more prose."),
    ("detectable_format:json_format", {}, "- whole", "No brackets anywhere."),
    ("detectable_format:json_format", {}, "- whole", "1" * 5000),
    ("detectable_format:title", {}, "+", "⟦<<Ode to joy>>⟧ and ⟦<<b>>⟧\n<< >>"),
    ("detectable_format:title", {}, "- missing", "<Ode to joy> <<Ode\nto joy>>\n<<>>\n<< >>"),
]

REST: list[Case] = [
    ("combination:two_responses", {}, "+", "******\nYes.\n⟦******⟧\nNo.\n******"),
    ("combination:two_responses", {}, "- missing", "Yes.\n*****\nNo."),
    ("combination:two_responses", {}, "- missing", "The first answer.\n⟦******⟧\n"),
    ("combination:two_responses", {}, "-", "Yes.\n******\nNo.\n⟪******⟫\nMaybe."),
    ("combination:two_responses", {}, "-", "Yes.\n******\n⟪******⟫\nNo."),
    ("combination:two_responses", {}, "-", "Yes.\n******\n ⟪Yes.⟫ "),
    ("combination:two_responses", {}, "- missing", "Yes. ******⟪******⟫"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem. "}, "+", " \n⟦WRITE a poem.⟧\nRoses"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "-", '⟪Sure! "⟫Write a poem."\nRoses'),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "- missing", "⟦Write a ⟧⟪poet.⟫ Roses"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "- missing", "⟦Write a ⟧⟪ ⟫poem."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "-", "⟪Roses⟫ are red."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "- missing", "⟦Write a po⟧"),
    ("startend:end_checker", {"end_phrase": "That is all."}, "+", 'So. "⟦that is all.⟧" \n'),
    ("startend:end_checker", {"end_phrase": "bye"}, "+", "bye, ⟦bye⟧ ⟦bye⟧"),
    ("startend:end_checker", {"end_phrase": "That is all."}, "-", "That is all. Or: that is all. ⟪P.S. No.⟫"),
    ("startend:end_checker", {"end_phrase": "That is all."}, "- missing", "That is all"),
    ("startend:end_checker", {"end_phrase": "the end"}, "- missing", "I walked the endless road and slept"),
    ("startend:end_checker", {"end_phrase": "the end"}, "-", "the end ⟪of the endless road⟫"),
    # Officially a blank between the phrase and a quotation mark is one too many.
    ("startend:end_checker", {"end_phrase": "That is all."}, "-", 'That is all. ⟪"⟫'),
    ("startend:quotation", {}, "+", ' ⟦"⟧a" and "b⟦"⟧\n'),
    ("startend:quotation", {}, "- missing", '⟦"⟧Hello⟪!⟫'),
    ("startend:quotation", {}, "- missing", "⟪“⟫Hello⟪”⟫"),
    ("startend:quotation", {}, "- missing", '⟦"⟧'),
    (
        "change_case:english_capital",
        {},
        "+ whole",
        "THIS IS A SHORT TEXT THAT HAS BEEN WRITTEN IN THE ENGLISH LANGUAGE, 1.",
    ),
    ("change_case:english_capital", {}, "-", "THIS ⟪Is⟫ SHOUTED ⟪text⟫, 1⟪ⓐ⟫"),
    ("change_case:english_capital", {}, "- whole missing", "1, 2, 3."),
    ("change_case:english_capital", {}, "- whole", "ЭТО КОРОТКИЙ ТЕКСТ НА РУССКОМ ЯЗЫКЕ."),
    (
        "change_case:english_lowercase",
        {},
        "+ whole",
        "this is a short text that has been written in the english language, 1.",
    ),
    ("change_case:english_lowercase", {}, "-", "this ⟪Is⟫ quiet ⟪TEXT⟫ from ⟪McX⟫."),
    ("change_case:english_lowercase", {}, "- whole missing", "1, 2, 3."),
    ("change_case:english_lowercase", {}, "- whole", "dies ist ein kurzer text in deutscher sprache."),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 3, "capital_relation": AT_LEAST},
        "+",
        "⟦I⟧ saw ⟦NASA⟧ and the ⟦WELL-KNOWN⟧ CBs.",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 3, "capital_relation": AT_LEAST},
        "- missing",
        "⟦I⟧ saw (⟦NASA⟧).",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LESS},
        "+ whole",
        "I saw Nasa.",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LESS},
        "-",
        "I saw ⟪NASA⟫ and ⟪ESA⟫.",
    ),
    # NLTK cuts DON'T in two.
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": LESS}, "-", "DO⟪N'T⟫ do it."),
    ("language:response_language", {"language": "de"}, "+ whole", "Das ist ein kurzer deutscher Text."),
    ("language:response_language", {"language": "de"}, "- whole", "This is a short text in English."),
    ("language:response_language", {"language": "de"}, "+ whole", "123 456"),
    ("punctuation:no_comma", {}, "+ whole", "No comma; none； or ， and 、"),
    ("punctuation:no_comma", {}, "-", "One⟪,⟫ two⟪,⟫ and 3⟪,⟫000."),
]

CASES = KEYWORDS + LENGTH + CONTENT + LAYOUT + REST + ifbench_counting.CASES + ifbench_form.CASES + muldimif.CASES


CASES += corrected.CASES
CASES += muldimif.CHINESE if importlib.util.find_spec("zhconv") else []


@pytest.mark.parametrize(("name", "arguments", "expected", "marked"), CASES)
def test_a_rule_shows_its_evidence(name: str, arguments: dict[str, Any], expected: str, marked: str) -> None:
    text, spans = unmark(marked)
    verdict = verify_rule(name, arguments, text, criterion_id="c1")
    sign, *flags = expected.split()
    assert mark(text, verdict.evidence) == mark(text, spans)
    assert verdict.outcome is {"+": Outcome.SATISFIED, "-": Outcome.VIOLATED}[sign]
    assert verdict.scope == ("response" if "whole" in flags else "spans")
    assert verdict.missing == ("missing" in flags)
    assert verdict.source == f"rule:{name}"
    assert verdict.reason


def test_every_rule_has_a_response_that_meets_it_and_one_that_misses() -> None:
    both = {(name, expected[0]) for name, _, expected, _ in CASES}
    ours = {name for name in rule_names() if not name.startswith("test_")}
    if importlib.util.find_spec("zhconv") is None:
        ours.remove("muldimif:Language:Chinese")
    assert both == {(name, sign) for name in ours for sign in "+-"}


@pytest.mark.parametrize("text", ["", " ", "\n\t \u2003"])
def test_a_blank_response_violates_every_rule_that_does_not_read_it(text: str) -> None:
    for name, arguments, _, _ in CASES:
        if rule_of(name).reads_blank:
            continue
        verdict = verify_rule(name, arguments, text, criterion_id="c1")
        assert (verdict.outcome, verdict.scope, verdict.evidence) == (Outcome.VIOLATED, "response", ())
        assert verdict.reason == "the response is empty"
