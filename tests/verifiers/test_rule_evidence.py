"""Evidence on texts that nobody chose: where it lies, and what happens to the verdict without it."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmark_data import benchmark_file
from hypothesis import example, given
from hypothesis import strategies as st
from verifiers.examples import corrected, muldimif

from rtt.errors import RuleArgumentsError
from rtt.rule_schemas import rule_names, validate_arguments
from rtt.verdicts import Outcome, Span, Verdict
from rtt.verifiers import counterfactual, verify_rule

AT_LEAST, LESS = "at least", "less than"

IFEVAL: list[tuple[str, dict[str, Any]]] = [
    ("keywords:existence", {"keywords": ["the", "word"]}),
    ("keywords:frequency", {"keyword": "the", "frequency": 2, "relation": AT_LEAST}),
    ("keywords:frequency", {"keyword": "the", "frequency": 2, "relation": LESS}),
    ("keywords:forbidden_words", {"forbidden_words": ["the", "word"]}),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 3, "let_relation": AT_LEAST}),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 3, "let_relation": LESS}),
    ("language:response_language", {"language": "en"}),
    ("length_constraints:number_words", {"num_words": 4, "relation": AT_LEAST}),
    ("length_constraints:number_words", {"num_words": 4, "relation": LESS}),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": AT_LEAST}),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LESS}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "the"}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}),
    ("detectable_format:constrained_response", {}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 1}),
    ("detectable_format:json_format", {}),
    ("detectable_format:title", {}),
    ("combination:two_responses", {}),
    ("combination:repeat_prompt", {"prompt_to_repeat": "the word"}),
    ("startend:end_checker", {"end_phrase": "the end"}),
    ("startend:quotation", {}),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": AT_LEAST}),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": LESS}),
    ("change_case:english_capital", {}),
    ("change_case:english_lowercase", {}),
    ("punctuation:no_comma", {}),
]
IFBENCH: list[tuple[str, dict[str, Any]]] = [
    ("count:conjunctions", {"small_n": 2}),
    (
        "count:keywords_multiple",
        {"keyword1": "the", "keyword2": "word", "keyword3": "a", "keyword4": "end", "keyword5": "i"},
    ),
    ("count:numbers", {"N": 1}),
    ("count:person_names", {"N": 2}),
    ("count:pronouns", {"N": 2}),
    ("count:punctuation", {}),
    ("count:unique_word_count", {"N": 3}),
    ("count:word_count_range", {"min_words": 3, "max_words": 4}),
    ("count:words_japanese", {"N": 2}),
    ("ratio:overlap", {"reference_text": "the word the end", "percentage": 40}),
    ("ratio:sentence_balance", {}),
    ("ratio:sentence_type", {}),
    ("ratio:sentence_words", {}),
    ("ratio:stop_words", {"percentage": 40}),
    ("repeat:repeat_change", {"prompt_to_repeat": "the word"}),
    ("repeat:repeat_simple", {}),
    ("repeat:repeat_span", {"prompt_to_repeat": "the word", "n_start": 4, "n_end": 7}),
    ("words:alphabet", {}),
    ("words:consonants", {}),
    ("words:keywords_specific_position", {"keyword": "word", "n": 1, "m": 2}),
    ("words:last_first", {}),
    ("words:no_consecutive", {}),
    ("words:odd_even_syllables", {}),
    ("words:palindrome", {}),
    ("words:paragraph_last_first", {}),
    ("words:prime_lengths", {}),
    ("words:repeats", {"small_n": 1}),
    ("words:start_verb", {}),
    ("words:vowel", {}),
    ("words:words_position", {"keyword": "word"}),
    ("custom:character_reverse", {}),
    ("custom:csv_city", {}),
    ("custom:csv_quotes", {}),
    ("custom:csv_special_character", {}),
    ("custom:date_format_list", {}),
    ("custom:european_capitals_sort", {}),
    ("custom:mcq_count_length", {}),
    ("custom:multiples", {}),
    ("custom:reverse_newline", {}),
    ("custom:sentence_alphabet", {}),
    ("custom:word_reverse", {}),
    ("format:emoji", {}),
    ("format:line_indent", {}),
    ("format:list", {"sep": "***"}),
    ("format:newline", {}),
    ("format:no_bullets_bullets", {}),
    ("format:no_whitespace", {}),
    ("format:options", {"options": "the word/the end"}),
    ("format:output_template", {}),
    ("format:parentheses", {}),
    ("format:quote_unquote", {}),
    ("format:quotes", {}),
    ("format:sub-bullets", {}),
    ("format:thesis", {}),
    ("format:title_case", {}),
    ("sentence:alliteration_increment", {}),
    ("sentence:increment", {"small_n": 1}),
    ("sentence:keyword", {"word": "word", "N": 1}),
]
SPAN = {"prompt_to_repeat": "the word", "n_start": 0, "n_end": 1}
CORRECTED = [
    *(
        (f"rtt:{name}", SPAN if name == "repeat:repeat_span" else arguments)
        for name, arguments in IFEVAL + IFBENCH
        if f"rtt:{name}" in rule_names("rtt")
    ),
    *((name, arguments) for name, arguments, _, _ in corrected.MULDIMIF),
]
RULES = IFEVAL + IFBENCH + CORRECTED

SATISFIED, VIOLATED = Outcome.SATISFIED, Outcome.VIOLATED

# What a rule's edit cannot turn, each for the reason that the rule's docstring gives: the word that belongs there
# would have to be written (nth_paragraph, repeat_prompt), a second answer too (two_responses), or another language.
NOT_LOCAL = {
    ("length_constraints:nth_paragraph_first_word", VIOLATED),
    ("combination:repeat_prompt", VIOLATED),
    ("detectable_format:json_format", VIOLATED),
    # Places are counted, so that without a word another one takes its place.
    ("count:words_japanese", SATISFIED),
    ("count:words_japanese", VIOLATED),
    ("words:keywords_specific_position", SATISFIED),
    ("words:keywords_specific_position", VIOLATED),
    ("words:words_position", SATISFIED),
    ("words:words_position", VIOLATED),
    ("words:start_verb", SATISFIED),
    ("words:start_verb", VIOLATED),
    ("words:last_first", SATISFIED),
    ("words:last_first", VIOLATED),
    ("words:paragraph_last_first", SATISFIED),
    ("words:paragraph_last_first", VIOLATED),
    # Without it, what follows is compared with something else, or another word would have to be written.
    ("words:alphabet", VIOLATED),
    ("words:odd_even_syllables", VIOLATED),
    ("sentence:alliteration_increment", VIOLATED),
    ("sentence:increment", VIOLATED),
    ("sentence:keyword", SATISFIED),
    ("ratio:sentence_words", VIOLATED),
    ("repeat:repeat_change", VIOLATED),
    ("custom:date_format_list", VIOLATED),
    ("custom:reverse_newline", VIOLATED),
    ("custom:sentence_alphabet", VIOLATED),
    ("format:emoji", SATISFIED),
    ("format:emoji", VIOLATED),
    ("format:line_indent", VIOLATED),
    ("format:no_bullets_bullets", VIOLATED),
    # One keyword may be part of another.
    ("count:keywords_multiple", VIOLATED),
    # Marks close what others opened.
    ("format:quotes", SATISFIED),
    ("format:parentheses", SATISFIED),
}
NOT_LOCAL |= {
    (f"rtt:{name}", outcome)
    for name, outcome in NOT_LOCAL
    if name not in ("count:keywords_multiple", "format:no_bullets_bullets")
}
NOT_LOCAL |= {
    # Without it, what stands before is the end.
    ("rtt:punctuation:ending", SATISFIED),
    ("rtt:punctuation:ending", VIOLATED),
}
NOT_DECIDED = {
    "words:start_verb": "takes NLTK's tagger",
    "custom:csv_city": "not readable as CSV",
    "custom:csv_quotes": "which the official check has no verdict on",
    "custom:csv_special_character": "not readable as CSV",
    "rtt:custom:csv_special_character": "not readable as CSV",
    "rtt:language:response_language": "no language can be detected",
    "rtt:change_case:english_capital": "no language can be detected",
    "rtt:change_case:english_lowercase": "no language can be detected",
}
"""Where a rule may leave the verdict open, and how its reason says so."""

WORDS = [
    "the",
    "The",
    "THE",
    "word",
    "Word",
    "end",
    "a",
    "I",
    "NASA",
    "DON'T",
    "İ",
    "ß",
    "Σ",
    "ⓐ",
    "ǅ",
    "ª",
    "日本",
    "é",
]
PHRASES = ["The end", "the end", "the word", "Section 1", "SECTION 2", "P.S.", "P. S.", "My answer is yes.", "1", "12"]
MARKS = [
    "[x]",
    "[",
    "]",
    "*x*",
    "**x**",
    "***",
    "******",
    "*",
    "-",
    "<<",
    ">>",
    "<<t>>",
    "{",
    "}",
    "[1]",
    "```json",
    "```",
]
SIGNS = [
    '"',
    "'",
    "“",
    "”",
    ".",
    ",",
    "!",
    "?",
    ":",
    ";",
    "\n",
    "\n\n",
    "\t",
    "\r\n",
    "\x00",
    "\ud800",
    "\u202e",
    "\u2028",
]
PIECES = st.sampled_from(WORDS + PHRASES + MARKS + SIGNS)
TEXTS = st.lists(st.one_of(PIECES, st.just(" "), st.just(" ")), max_size=24).map("".join)


EXACT_COUNTS = {
    "count:keywords_multiple",
    "count:numbers",
    "detectable_format:number_bullet_lists",
    "length_constraints:number_paragraphs",
    "rtt:count:keywords_multiple",
    "rtt:count:numbers",
    "rtt:detectable_format:multiple_sections",
    "rtt:detectable_format:number_bullet_lists",
    "rtt:format:table_rows",
    "rtt:length:paragraphs",
    "rtt:length:sentences",
    "rtt:length:words",
    "rtt:length_constraints:number_paragraphs",
}
"""Their spans show what was counted; the whole response carries the verdict."""


def assert_evidence_is_sound(text: str, verdict: Verdict) -> None:
    if not verdict.determined:
        assert NOT_DECIDED[verdict.source.removeprefix("rule:")] in verdict.reason
        assert verdict.failed
        return
    for span in verdict.evidence:
        assert 0 <= span.start < span.end <= len(text)
    for before, after in zip(verdict.evidence, verdict.evidence[1:], strict=False):
        assert before.end <= after.start
    polarities = {span.polarity for span in verdict.evidence}
    if verdict.outcome is Outcome.SATISFIED:
        assert polarities <= {"support"}
        assert not verdict.missing
        assert verdict.evidence or verdict.scope == "response"
    else:
        # What is satisfied in a violated verdict is progress, so something must still be missing.
        assert "support" not in polarities or verdict.missing
        assert "violation" in polarities or verdict.missing or verdict.scope == "response"
    if verdict.scope == "response":
        assert verdict.evidence == () or verdict.source.removeprefix("rule:") in EXACT_COUNTS


@given(TEXTS, st.sampled_from(RULES))
def test_evidence_lies_in_the_text_and_fits_the_verdict(text: str, rule: tuple[str, dict[str, Any]]) -> None:
    assert_evidence_is_sound(text, verify_rule(*rule, text, criterion_id="c1"))


MULDIMIF = [(name, arguments) for name, arguments, _, _ in muldimif.CASES]
BLOCKS = ["| a | b |\n|---|---|\n| c | d |", "# The\n", "## word\n", '{"a": {"b": 1}}', "> the\n", "你好", "<a b='c'>"]


@given(st.lists(st.one_of(PIECES, st.sampled_from(BLOCKS)), max_size=16).map(" ".join), st.sampled_from(MULDIMIF))
def test_evidence_of_muldimif_fits_the_verdict(text: str, rule: tuple[str, dict[str, Any]]) -> None:
    assert_evidence_is_sound(text, verify_rule(*rule, text, criterion_id="c1"))


def turned(text: str, rule: tuple[str, dict[str, Any]], verdict: Verdict) -> Verdict | None:
    edited = counterfactual(text, verdict)
    return None if edited is None else verify_rule(*rule, edited, criterion_id="c1")


def unsettled(text: str, rule: tuple[str, dict[str, Any]]) -> str | None:
    """Why the verdict did not turn although it should have, or None."""
    verdict = verify_rule(*rule, text, criterion_id="c1")
    after = turned(text, rule, verdict)
    if after is None or after.outcome == -verdict.outcome or (rule[0], verdict.outcome) in NOT_LOCAL:
        return None
    if not after.determined and rule[0] in NOT_DECIDED:
        return None
    if verdict.outcome is Outcome.VIOLATED:
        if after.reason in ("the response is empty", "no words") or verdict.missing != (
            rule[0] == "startend:quotation"
        ):
            return None  # nothing is left, or what was missing still is
        if rule[0].removeprefix("rtt:").startswith("change_case:english") and after.evidence == ():
            return None  # only the language is left to violate
        if after.reason == "0 answers, expected 2" or after.reason == "1 answers, expected 2":
            return None  # of two equal answers the second is gone, and another one is needed
    return f"{verdict.reason} -> {after.reason}"


# Taking something out can put its neighbours together ("ththee" holds "the" again), which is what the texts of the
# property avoid: their pieces have blanks between them.
APART = st.lists(PIECES, max_size=12).map(" ".join)


@given(APART, st.sampled_from(RULES))
@example('" The end "', ("startend:quotation", {}))
def test_changing_the_evidence_turns_the_verdict(text: str, rule: tuple[str, dict[str, Any]]) -> None:
    assert unsettled(text, rule) is None


def corrected_of(name: str, arguments: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The corrected rule with the same arguments, if there is one that takes them."""
    if f"rtt:{name}" in rule_names("rtt"):
        with contextlib.suppress(RuleArgumentsError):  # the words of a span may not be there
            validate_arguments(f"rtt:{name}", arguments)
            yield f"rtt:{name}", arguments


def responses() -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    files = ("ifeval_rtt", "ifeval_stress", "ifbench_sample", "ifbench_stress")
    for name in (f"golden/{file}.jsonl" for file in files):
        for line in benchmark_file(name).read_text("utf-8").splitlines():
            row = json.loads(line)
            for rule in zip(row["instruction_id_list"], row["kwargs"], strict=True):
                yield row["response"], rule
                for other in corrected_of(*rule):
                    yield row["response"], other


def test_changing_the_evidence_turns_the_verdict_on_real_responses() -> None:
    edited: Counter[tuple[str, Outcome]] = Counter()
    for text, (name, arguments) in responses():
        verdict = verify_rule(name, arguments, text, criterion_id="c1")
        assert_evidence_is_sound(text, verdict)
        assert unsettled(text, (name, arguments)) is None
        if turned(text, (name, arguments), verdict) is not None and (name, verdict.outcome) not in NOT_LOCAL:
            edited[name, verdict.outcome] += 1
    # It was put to the test for most rules in either verdict, many times.
    assert len({name for name, _ in edited}) >= 45
    assert edited.total() > 500


def test_more_of_a_counted_thing_gives_more_spans_one_for_each() -> None:
    for count in range(1, 5):
        text = " ".join(["robot [x] *y*"] * count)
        for rule in (
            ("keywords:frequency", {"keyword": "robot", "frequency": 1, "relation": AT_LEAST}),
            ("detectable_content:number_placeholders", {"num_placeholders": 1}),
            ("detectable_format:number_highlighted_sections", {"num_highlights": 1}),
        ):
            assert len(verify_rule(*rule, text, criterion_id="c1").evidence) == count


def test_what_the_edits_put_in_place_of_the_evidence() -> None:
    def edited(name: str, text: str, arguments: dict[str, Any]) -> str | None:
        return counterfactual(text, verify_rule(name, arguments, text, criterion_id="c1"))

    assert edited("punctuation:no_comma", "One, two, three", {}) == "One two three"
    assert edited("detectable_format:number_bullet_lists", "* a\n- b", {"num_bullets": 1}) == "* a\n• b"
    assert edited("startend:quotation", 'Hi"', {}) == '"Hi"'
    assert edited("startend:quotation", " a ", {}) == ' "a" '
    assert edited("startend:quotation", '"Hi"', {}) == "Hi"
    assert edited("change_case:english_capital", "THE end of maß ª", {}) == "THE END OF MASS "
    assert edited("change_case:english_lowercase", "the END", {}) == "the end"
    assert edited("punctuation:no_comma", "One two", {}) is None
    assert edited("punctuation:no_comma", "", {}) is None


def test_a_verdict_without_a_rule_has_no_counterfactual() -> None:
    spans = (Span(0, 1, "violation"),)
    assert counterfactual("a", Verdict("c", Outcome.VIOLATED, "judge:someone", evidence=spans)) is None
    assert counterfactual("a", Verdict("c", Outcome.UNDETERMINED, "rule:punctuation:no_comma")) is None
