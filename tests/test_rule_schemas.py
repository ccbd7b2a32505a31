"""Rule names, arguments and descriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmark_data import benchmark_file
from pydantic import ValidationError

from rtt.errors import ConfigurationError, RuleArgumentsError, UnknownRuleError
from rtt.rule_schemas import (
    NoArguments,
    RuleArguments,
    canonical_name,
    describe,
    full_name,
    parse_arguments,
    register_schema,
    rule_names,
    validate_arguments,
)

EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "keywords:existence": (
        {"keywords": ["robot", "moon"]},
        'The response contains the keywords "robot" and "moon".',
    ),
    "keywords:frequency": (
        {"keyword": "robot ", "frequency": 2, "relation": "at least"},
        'The response contains the keyword "robot" at least 2 times.',
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": ["rock", "roll"]},
        'The response does not contain the words "rock" or "roll".',
    ),
    "keywords:letter_frequency": (
        {"letter": "#", "let_frequency": 4, "let_relation": "at least"},
        'The character "#" appears at least 4 times in the response.',
    ),
    "language:response_language": ({"language": "mr"}, "The whole response is in Marathi."),
    "length_constraints:number_sentences": (
        {"num_sentences": 6, "relation": "less than"},
        "The response has fewer than 6 sentences.",
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 1},
        "The response has exactly 1 paragraph, divided by the markdown divider ***.",
    ),
    "length_constraints:number_words": (
        {"num_words": 300, "relation": "at least"},
        "The response has at least 300 words.",
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 4, "nth_paragraph": 2, "first_word": "weekend"},
        "The response has exactly 4 paragraphs with an empty line between paragraphs, and paragraph 2 starts with the "
        'word "weekend".',
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": 3},
        "The response contains at least 3 placeholders in square brackets, such as [address].",
    ),
    "detectable_content:postscript": (
        {"postscript_marker": "P.P.S"},
        'The response has a postscript that starts with "P.P.S".',
    ),
    "detectable_format:number_bullet_lists": ({"num_bullets": 0}, "The response contains no bullet points."),
    "detectable_format:constrained_response": (
        {},
        'The response is one of the following: "My answer is yes.", "My answer is no." or "My answer is maybe."',
    ),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 1},
        "The response highlights at least 1 section in markdown, such as *highlighted section*.",
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Day", "num_sections": 7},
        'The response has at least 7 sections, each begun by "Day" and its number, such as "Day 1".',
    ),
    "detectable_format:json_format": (
        {},
        "The whole response is valid JSON; a markdown code fence around it is allowed.",
    ),
    "detectable_format:title": (
        {},
        "The response contains a title in double angular brackets, such as <<poem of joy>>.",
    ),
    "combination:two_responses": (
        {},
        "The response gives exactly two different answers, separated by six asterisks: ******.",
    ),
    "combination:repeat_prompt": (
        {"prompt_to_repeat": "Write a mail."},
        'The response first repeats the following request word for word: "Write a mail."',
    ),
    "startend:end_checker": (
        {"end_phrase": "That is all."},
        'The response ends with the exact phrase "That is all.", and nothing follows it.',
    ),
    "startend:quotation": ({}, 'The whole response is wrapped in double quotation marks: "...".'),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 1, "capital_relation": "at least"},
        "Words in all capital letters appear at least once in the response.",
    ),
    "change_case:english_capital": ({}, "The whole response is in English and in capital letters only."),
    "change_case:english_lowercase": ({}, "The whole response is in English and in lowercase letters only."),
    "punctuation:no_comma": ({}, "The response contains no commas."),
}


def test_all_25_rules_of_ifeval_are_known() -> None:
    assert set(EXAMPLES) <= set(rule_names())
    assert len(EXAMPLES) == 25


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_rule_reads_in_plain_english(name: str) -> None:
    arguments, text = EXAMPLES[name]
    assert describe(name, arguments) == text


@pytest.mark.parametrize("name", EXAMPLES)
def test_valid_arguments_are_plain_json_and_stay_as_they_are(name: str) -> None:
    arguments = EXAMPLES[name][0]
    assert validate_arguments(name, arguments) == arguments
    assert json.loads(json.dumps(validate_arguments(name, arguments))) == arguments


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_argument_is_required(name: str) -> None:
    arguments = EXAMPLES[name][0]
    for left_out in arguments:
        rest = {key: value for key, value in arguments.items() if key != left_out}
        with pytest.raises(RuleArgumentsError, match=f"rule '{name}': {left_out}: is missing; expected "):
            validate_arguments(name, rest)


def test_the_family_may_be_named_and_is_dropped() -> None:
    assert canonical_name("ifeval:keywords:existence") == canonical_name("keywords:existence") == "keywords:existence"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("keywords:existance", "did you mean 'keywords:existence'"),
        ("ifeval:no_comma", "did you mean 'punctuation:no_comma'"),
        ("ifeval:ifeval:keywords:existence", "did you mean 'keywords:existence'"),
        ("someeval:Length:Sentences", "there is no family 'someeval' here"),
        ("zzz", r"see rtt\.rule_schemas\.rule_names\(\)"),
        ("", r"see rtt\.rule_schemas\.rule_names\(\)"),
    ],
)
def test_an_unknown_name_is_answered_with_close_ones(name: str, hint: str) -> None:
    with pytest.raises(UnknownRuleError, match=hint):
        canonical_name(name)


def test_nulls_are_dropped_and_whole_floats_become_integers() -> None:
    came = {"num_words": 300.0, "relation": "at least", "keywords": None, "num_bullets": None}
    found = validate_arguments("length_constraints:number_words", came)
    assert found == {"num_words": 300, "relation": "at least"}
    assert type(found["num_words"]) is int


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": "three", "relation": "at least"},
            r"rule 'keywords:frequency': frequency: got 'three' \(str\); expected a whole number",
        ),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": True, "relation": "at least"},
            r"frequency: got True \(bool\); expected a whole number",
        ),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": 2.5, "relation": "at least"},
            r"frequency: got 2\.5 \(float\); expected a whole number",
        ),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": 0, "relation": "less than"},
            r"frequency: got 0 \(int\); expected a whole number of at least 1",
        ),
        (
            "keywords:frequency",
            {"keyword": "a", "frequency": 1, "relation": "more than"},
            r"relation: got 'more than' \(str\); expected 'at least' or 'less than'",
        ),
        ("keywords:frequency", {"keyword": " ", "frequency": 1, "relation": "at least"}, "text that is not blank"),
        ("keywords:existence", {"keywords": []}, r"keywords: got \[\] \(list\); expected at least one text"),
        ("keywords:existence", {"keywords": "robot"}, r"keywords: got 'robot' \(str\); expected a list of texts"),
        ("keywords:existence", {"keywords": ["a", 1]}, r"keywords\.1: got 1 \(int\); expected text"),
        (
            "keywords:existence",
            {"keyword": ["a"]},
            r"keyword: is not an argument of this rule; did you mean 'keywords'",
        ),
        ("keywords:existence", None, r"got None \(NoneType\) as arguments; expected an object"),
        (
            "keywords:letter_frequency",
            {"letter": "ab", "let_frequency": 1, "let_relation": "at least"},
            "expected one character that is not a blank",
        ),
        ("language:response_language", {"language": "xx"}, r"language: got 'xx' \(str\); expected one of \['af', "),
        ("language:response_language", {"language": "zh"}, r"expected one of \['zh-"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"},
            "nth_paragraph: got 3; expected at most num_paragraphs, 2",
        ),
        ("detectable_format:number_bullet_lists", {"num_bullets": -1}, "expected a whole number of at least 0"),
        ("punctuation:no_comma", {"commas": 0}, "commas: is not an argument of this rule; expected no arguments"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(name: str, arguments: Any, message: str) -> None:
    with pytest.raises(RuleArgumentsError, match=message):
        validate_arguments(name, arguments)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RuleArgumentsError, match=r"keyword: is missing.*; frequency: got 'x'"):
        validate_arguments("keywords:frequency", {"frequency": "x", "relation": "at least"})


def test_parsed_arguments_cannot_be_changed() -> None:
    arguments = parse_arguments("keywords:existence", {"keywords": ["robot"]})
    with pytest.raises(ValidationError, match="frozen"):
        arguments.keywords = ()  # type: ignore[attr-defined]


def test_all_prompts_of_ifbench_validate() -> None:
    for file in ("IFBench_test", "IFBench_test_300"):
        rows = [json.loads(line) for line in benchmark_file(f"ifbench/{file}.jsonl").read_text("utf-8").splitlines()]
        for row in rows:
            for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
                given = {key: value for key, value in arguments.items() if value is not None}
                assert validate_arguments(name, arguments) == given
                assert describe(name, arguments).endswith((".", '"', ")")) or name == "format:options"


def test_families_and_names_on_disk() -> None:
    assert len(rule_names("ifeval")) == 25
    assert len(rule_names("ifbench")) == 58
    assert canonical_name("ifbench:count:numbers") == canonical_name("count:numbers") == "count:numbers"
    assert full_name("count:numbers") == "ifbench:count:numbers"
    assert full_name("keywords:existence") == "ifeval:keywords:existence"
    with pytest.raises(UnknownRuleError, match="did you mean 'count:numbers'"):
        canonical_name("ifeval:count:numbers")
    with pytest.raises(ConfigurationError, match="the namespace 'count' is IFBench's"):
        register_schema("count:cats", NoArguments, lambda _: "")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "count:word_count_range",
            {"min_words": 5, "max_words": 4},
            "max_words: got 4; expected at least min_words, 5",
        ),
        (
            "repeat:repeat_span",
            {"prompt_to_repeat": "a b", "n_start": 2, "n_end": 1},
            "n_end: got 1; expected at least",
        ),
        ("count:numbers", {"N": -1}, "N: got -1 .*; expected a whole number of at least 0"),
        ("sentence:keyword", {"word": " ", "N": 1}, "text that is not blank"),
        ("words:keywords_specific_position", {"keyword": "a", "n": 0, "m": 1}, "n: got 0 .*; expected a whole number"),
    ],
)
def test_arguments_of_ifbench_that_do_not_fit_are_refused(name: str, arguments: Any, message: str) -> None:
    with pytest.raises(RuleArgumentsError, match=message):
        validate_arguments(name, arguments)


def test_all_prompts_of_ifeval_validate() -> None:
    rows = [json.loads(line) for line in benchmark_file("ifeval/input_data.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 541
    for row in rows:
        for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            assert validate_arguments(name, arguments) == arguments
            assert describe(name, arguments).startswith(("The ", "Words "))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cites", "expected a namespace of your own"),
        ("Acme:Cites", "expected a namespace of your own and a name in lower case"),
        ("ifeval:cites", "the namespace 'ifeval' is IFEval's"),
        ("keywords:cites", "the namespace 'keywords' is IFEval's"),
        ("punctuation:no_comma", "the namespace 'punctuation' is IFEval's"),
    ],
)
def test_a_rule_of_your_own_needs_a_name_of_its_own(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register_schema(name, NoArguments, lambda _: "")
    assert name not in rule_names() or name == "punctuation:no_comma"


def test_a_rule_of_your_own_is_known_once_registered() -> None:
    class Sources(RuleArguments):
        number: int

    register_schema("test_schemas:sources", Sources, lambda a: f"The response cites {a.number} sources.")
    assert "test_schemas:sources" in rule_names()
    assert canonical_name("test_schemas:sources") == "test_schemas:sources"
    assert describe("test_schemas:sources", {"number": 2.0}) == "The response cites 2 sources."
    with pytest.raises(UnknownRuleError):
        canonical_name("ifeval:test_schemas:sources")
    with pytest.raises(ConfigurationError, match="is registered already"):
        register_schema("test_schemas:sources", Sources, lambda _: "")
    with pytest.raises(ConfigurationError, match="expected a subclass of RuleArguments"):
        register_schema("test_schemas:other", dict, lambda _: "")  # type: ignore[arg-type]


def test_a_word_that_holds_the_conjunction_stays_as_it_is() -> None:
    text = describe("keywords:forbidden_words", {"forbidden_words": ["salt and pepper", "rock and roll"]})
    assert text == 'The response does not contain the words "salt and pepper" or "rock and roll".'


CORRECTED: dict[str, tuple[dict[str, Any], str]] = {
    "rtt:detectable_format:multiple_sections": (
        {"section_spliter": "Day", "num_sections": 2},
        'The response has exactly 2 sections, each begun by "Day" and its number, such as "Day 1".',
    ),
    "rtt:format:title_case": (
        {},
        "The response is in title case; articles, conjunctions and short prepositions may be in small letters.",
    ),
    "rtt:ratio:overlap": (
        {"reference_text": "one two three", "percentage": 50},
        '50 % of the runs of three words of the response, give or take 2, are in the following text: "one two three"',
    ),
    "rtt:repeat:repeat_span": (
        {"prompt_to_repeat": "Write a long poem", "n_start": 1, "n_end": 2},
        'The response is the following words, and nothing else: "a long"',
    ),
    "rtt:length:words": ({"relation": "fewer than", "number": 5}, "The response has fewer than 5 words."),
    "rtt:length:sentences": ({"relation": "exactly", "number": 1}, "The response has exactly 1 sentence."),
    "rtt:length:paragraphs": ({"relation": "more than", "number": 2}, "The response has more than 2 paragraphs."),
    "rtt:format:table_rows": (
        {"relation": "at least", "number": 3},
        "The response has a table with at least 3 rows below its header.",
    ),
    "rtt:punctuation:ending": ({"sign": "."}, 'The response ends with ".".'),
}


@pytest.mark.parametrize("name", CORRECTED)
def test_a_corrected_rule_reads_in_plain_english_and_needs_all_its_arguments(name: str) -> None:
    arguments, text = CORRECTED[name]
    assert describe(name, arguments) == text
    assert validate_arguments(name, arguments) == arguments
    for left_out in arguments:
        rest = {key: value for key, value in arguments.items() if key != left_out}
        with pytest.raises(RuleArgumentsError, match=f"rule '{name}': {left_out}: is missing; expected "):
            validate_arguments(name, rest)


def test_the_other_corrected_rules_take_and_say_what_the_official_ones_do() -> None:
    others = set(rule_names("rtt")) - set(CORRECTED)
    assert {canonical_name(name.removeprefix("rtt:")) for name in others} < {
        *rule_names("ifeval"),
        *rule_names("ifbench"),
    }
    for name, (arguments, text) in EXAMPLES.items():
        if f"rtt:{name}" in others:
            assert describe(f"rtt:{name}", arguments) == text
            assert validate_arguments(f"rtt:{name}", arguments) == arguments


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "rtt:length:words",
            {"relation": "about", "number": 5},
            "relation: got 'about' .*; expected 'at least', 'at most'",
        ),
        ("rtt:length:words", {"number": 5}, r"relation: is missing; expected one of \['at least', 'at most'"),
        ("rtt:length:words", {"relation": "fewer than", "number": 1}, "number: got 1; expected at least 2"),
        (
            "rtt:length:words",
            {"relation": "at least", "number": 0},
            "number: got 0 .*; expected a whole number of at least 1",
        ),
        ("rtt:punctuation:ending", {"sign": ".."}, "expected one character that is not a blank"),
        (
            "rtt:repeat:repeat_span",
            {"prompt_to_repeat": "a b", "n_start": 0, "n_end": 2},
            "n_end: got 2; expected less than the number of words in prompt_to_repeat, 2",
        ),
        ("rtt:keywords:existence", {"keywords": []}, "keywords: got .*; expected at least one text"),
    ],
)
def test_arguments_of_corrected_rules_that_do_not_fit_are_refused(name: str, arguments: Any, message: str) -> None:
    with pytest.raises(RuleArgumentsError, match=message):
        validate_arguments(name, arguments)


def test_an_official_name_never_leads_to_a_corrected_rule() -> None:
    assert canonical_name("rtt:keywords:existence") == full_name("rtt:keywords:existence") == "rtt:keywords:existence"
    assert canonical_name("keywords:existence") == "keywords:existence"
    with pytest.raises(UnknownRuleError, match="did you mean 'rtt:keywords:existence'"):
        canonical_name("rtt:keywords:existance")
    with pytest.raises(UnknownRuleError, match="rule 'length:words' is not known"):
        canonical_name("length:words")
    with pytest.raises(ConfigurationError, match="the namespace 'rtt' is RTT's"):
        register_schema("rtt:mine", NoArguments, lambda _: "")
