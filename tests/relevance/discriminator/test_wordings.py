"""The rules' criteria in many words: all true to the rule, with its arguments as they came."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtt.errors import RuleArgumentsError, UnknownRuleError
from rtt.relevance.discriminator.wordings import wordings
from rtt.rule_schemas import RuleArguments, describe, register_schema

Arguments = dict[str, Any]

SAMPLES: dict[str, list[Arguments]] = {
    "keywords:existence": [{"keywords": ["robot"]}, {"keywords": ["robot", "moon"]}, {"keywords": ["a", "b", "c"]}],
    "keywords:frequency": [
        {"keyword": "robot", "frequency": 3, "relation": "at least"},
        {"keyword": "robot", "frequency": 1, "relation": "less than"},
    ],
    "keywords:forbidden_words": [{"forbidden_words": ["rock"]}, {"forbidden_words": ["rock", "roll"]}],
    "keywords:letter_frequency": [
        {"letter": "q", "let_frequency": 4, "let_relation": "at least"},
        {"letter": "#", "let_frequency": 2, "let_relation": "less than"},
    ],
    "language:response_language": [{"language": "de"}, {"language": "zh-cn"}],
    "length_constraints:number_sentences": [
        {"num_sentences": 5, "relation": "at least"},
        {"num_sentences": 5, "relation": "less than"},
    ],
    "length_constraints:number_paragraphs": [{"num_paragraphs": 3}, {"num_paragraphs": 1}],
    "length_constraints:number_words": [
        {"num_words": 150, "relation": "at least"},
        {"num_words": 300, "relation": "less than"},
    ],
    "length_constraints:nth_paragraph_first_word": [
        {"num_paragraphs": 4, "nth_paragraph": 2, "first_word": "rain"},
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "rain"},
    ],
    "detectable_content:number_placeholders": [{"num_placeholders": 3}, {"num_placeholders": 1}],
    "detectable_content:postscript": [{"postscript_marker": "P.P.S"}],
    "detectable_format:number_bullet_lists": [{"num_bullets": 4}, {"num_bullets": 1}, {"num_bullets": 0}],
    "detectable_format:constrained_response": [{}],
    "detectable_format:number_highlighted_sections": [{"num_highlights": 3}, {"num_highlights": 1}],
    "detectable_format:multiple_sections": [{"section_spliter": "Day", "num_sections": 3}],
    "detectable_format:json_format": [{}],
    "detectable_format:title": [{}],
    "combination:two_responses": [{}],
    "combination:repeat_prompt": [{"prompt_to_repeat": "Write a poem."}],
    "startend:end_checker": [{"end_phrase": "Any other questions?"}],
    "startend:quotation": [{}],
    "change_case:capital_word_frequency": [
        {"capital_frequency": 3, "capital_relation": "at least"},
        {"capital_frequency": 3, "capital_relation": "less than"},
    ],
    "change_case:english_capital": [{}],
    "change_case:english_lowercase": [{}],
    "punctuation:no_comma": [{}],
}
CASES = [(rule, arguments) for rule, samples in SAMPLES.items() for arguments in samples]


def texts(rule: str, arguments: Arguments) -> list[str]:
    return [text for _, text in wordings(rule, arguments)]


# ------------------------------------------------------------------------------------------------- how many, which


@pytest.mark.parametrize(("rule", "arguments"), CASES)
def test_every_rule_has_many_different_wordings_and_the_first_is_its_description(rule, arguments):
    found = texts(rule, arguments)
    assert found[0] == describe(rule, arguments)
    assert len({text.casefold() for text in found}) == len(found) >= 15


@pytest.mark.parametrize("rule", SAMPLES)
def test_ids_are_the_rule_and_the_place_whatever_the_arguments(rule):
    ids = {tuple(name for name, _ in wordings(rule, arguments)) for arguments in SAMPLES[rule]}
    (only,) = ids
    assert only == tuple(f"{rule}/{place}" for place in range(len(only)))


def test_an_id_means_the_same_template_for_good():
    pinned = {
        ("keywords:existence", 4): ({"keywords": ["a", "b"]}, "Required keywords, all of them: a, b"),
        ("keywords:existence", 18): ({"keywords": ["a", "b"]}, "Work “a” and “b” into your answer."),
        ("keywords:frequency", 4): ({"keyword": "a", "frequency": 3, "relation": "less than"}, '"a": max. 2 times'),
        ("length_constraints:number_words", 4): ({"num_words": 80, "relation": "at least"}, "80+ words"),
        ("startend:end_checker", 6): (
            {"end_phrase": "Bye"},
            "The text closes with “Bye”. No other words follow this phrase.",
        ),
        ("punctuation:no_comma", 17): ({}, "Is the number of commas in the response zero?"),
    }
    for (rule, place), (arguments, text) in pinned.items():
        assert wordings(rule, arguments)[place] == (f"{rule}/{place}", text)


def test_a_full_name_gives_the_ids_of_the_bare_one():
    assert wordings("ifeval:punctuation:no_comma", {}) == wordings("punctuation:no_comma", {})


@pytest.mark.parametrize(("rule", "arguments"), CASES)
def test_wordings_are_clean_and_name_no_rule(rule, arguments):
    names = {part for name in SAMPLES for part in (name, name.partition(":")[2]) if part != "title"}
    for text in texts(rule, arguments)[1:]:
        assert text == text.strip()
        assert not re.search(r"[{}@|]|//|\^|  ", text)
        assert not any(re.search(rf"\b{name}\b", text) for name in names - {"postscript", "quotation"})


@pytest.mark.parametrize(("rule", "arguments"), CASES)
def test_registers_differ(rule, arguments):
    found = texts(rule, arguments)[1:]
    arguments_away = [text.replace("Any other questions?", "").replace("Write a poem.", "") for text in found]
    assert sum("?" in text for text in arguments_away) >= 3  # for a judge
    assert sum(text[0].islower() or text[0].isdigit() for text in found) >= 1  # as users write
    assert min(map(len, found)) < 0.8 * sum(map(len, found)) / len(found)  # terse
    for word in ("response", "reply", "answer", "text", "output"):
        assert any(re.search(rf"\b{word}\b", text) for text in found), word


# ------------------------------------------------------------------------------------------------------- truth

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
COUNTED: dict[str, Callable[[int, str], Arguments]] = {
    "keywords:frequency": lambda n, relation: {"keyword": "ox", "frequency": n, "relation": relation},
    "keywords:letter_frequency": lambda n, relation: {"letter": "x", "let_frequency": n, "let_relation": relation},
    "length_constraints:number_sentences": lambda n, relation: {"num_sentences": n, "relation": relation},
    "length_constraints:number_words": lambda n, relation: {"num_words": n, "relation": relation},
    "change_case:capital_word_frequency": lambda n, relation: {"capital_frequency": n, "capital_relation": relation},
}
AT_LEAST: dict[str, Callable[[int], Arguments]] = {
    "detectable_content:number_placeholders": lambda n: {"num_placeholders": n},
    "detectable_format:number_highlighted_sections": lambda n: {"num_highlights": n},
    "detectable_format:multiple_sections": lambda n: {"section_spliter": "Day", "num_sections": n},
}
EXACTLY: dict[str, Callable[[int], Arguments]] = {
    "length_constraints:number_paragraphs": lambda n: {"num_paragraphs": n},
    "detectable_format:number_bullet_lists": lambda n: {"num_bullets": n},
}
# What a bound says, read by expressions that know nothing of the templates: from which number on it holds, or fails.
NOUN = r"(?: times| words?| sentences?| placeholders?| sections?| highlighted passages?)?"
FROM = (
    (r"(?:at least|no fewer than|no less than|a minimum of|before you have written) (\d+)", 0),
    (r"(?<!no )more than (\d+)", 1),
    (rf"(\d+){NOUN}(?:| long,) or (?:more|higher|longer)", 0),
    (r"(\d+)\+", 0),
)
BELOW = (
    (r"(?:at most|no more than|a maximum of|max\.) (\d+)", 1),
    (rf"(\d+){NOUN}(?:| long,) or (?:fewer|less|lower|shorter|not at all)", 1),
    (rf"(\d+){NOUN} at most", 1),
    (r"(?<!no )(?:fewer than|less than|lower than|below|under) (\d+)", 0),
    (r"(?<!than )\b(0) times\.$", 1),
)


def accepted(text: str) -> set[int]:
    """The counts up to 40 that a reader of the text takes to be right."""
    digits = re.sub(r"\bonce\b", "1 times", re.sub(r"\btwice\b", "2 times", text))
    for number, word in enumerate(NUMBERS):
        digits = re.sub(rf"(?<!the )\b{word}\b", str(number), digits, flags=re.IGNORECASE)
    above = [int(match[1]) + more for pattern, more in FROM for match in re.finditer(pattern, digits, re.IGNORECASE)]
    below = [int(match[1]) + more for pattern, more in BELOW for match in re.finditer(pattern, digits, re.IGNORECASE)]
    assert len(above) + len(set(below)) == 1, (text, above, below)
    counts = set(range(41))
    kept = {count for count in counts if count >= above[0]} if above else {c for c in counts if c < below[0]}
    negative = re.search(r"fails|too short|too long|don't (?:write|mention)|doesn't show up", text) is not None
    return counts - kept if negative else kept


@pytest.mark.parametrize("relation", ["at least", "less than"])
@pytest.mark.parametrize("number", [1, 2, 3, 7, 12, 20])
@pytest.mark.parametrize("rule", COUNTED)
def test_every_wording_of_a_relation_accepts_the_same_counts(rule, number, relation):
    expected = set(range(number, 41)) if relation == "at least" else set(range(number))
    for text in texts(rule, COUNTED[rule](number, relation)):
        assert accepted(text) == expected, text


@pytest.mark.parametrize("number", [1, 2, 3, 12])
@pytest.mark.parametrize("rule", AT_LEAST)
def test_every_wording_of_a_minimum_accepts_the_same_counts(rule, number):
    for text in texts(rule, AT_LEAST[rule](number)):
        for label in ("Day 1", "Day X"):
            text = text.replace(label, "Day")
        assert accepted(text) == set(range(number, 41)), text


@pytest.mark.parametrize("number", [2, 3, 12, 57])
@pytest.mark.parametrize("rule", EXACTLY)
def test_every_wording_of_an_exact_count_has_the_number_and_no_bound(rule, number):
    spelled = {2: "two", 3: "three", 12: "twelve", 57: "fifty-seven"}[number]
    for text in texts(rule, EXACTLY[rule](number)):
        assert re.search(rf"\b(?:{number}|{spelled})\b", text), text
        assert not re.search(r"at least|at most|or more|no more than|minimum|maximum", text)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("rule", [*COUNTED, *AT_LEAST, *EXACTLY])
def test_numbers_agree_with_their_nouns(rule, number):
    if rule in COUNTED:
        found = [
            text for relation in ("at least", "less than") for text in texts(rule, COUNTED[rule](number, relation))
        ]
    else:
        found = texts(rule, {**AT_LEAST, **EXACTLY}[rule](number))
    for text in found:
        text = text.replace("Day 1", "Day")
        assert not re.search(
            r"\b(?:1|one) (?:[a-z]+ )?(?:times|words|sentences|paragraphs|sections|points|bullets)\b", text
        )
        assert not re.search(
            r"\b(?:0|2|zero|two) (?:time|word|sentence|paragraph|section|bullet point|bullet\b(?! point))\b", text
        )


def test_a_bound_is_worded_from_either_side_in_digits_and_in_words():
    arguments = {"keyword": "ox", "frequency": 5, "relation": "less than"}
    found = " | ".join(texts("keywords:frequency", arguments))
    for phrase in (
        *("fewer than 5 times", "fewer than five times", "at most 4 times", "at most four times", "max. 4 times"),
        *("no more than four times", "a maximum of 4 times", "more than 4 times", "less than 5 times", "lower than 5"),
        *("4 times or less", "four times at most", '5 or more occurrences of "ox" fails'),
    ):
        assert phrase in found, phrase


@pytest.mark.parametrize(
    ("number", "relation", "place", "text"),
    [
        (1, "at least", 1, 'Use the word "ox" at least once in your reply.'),
        (1, "at least", 4, '"ox": 1+ times'),
        (1, "at least", 12, "Your response should include the word “ox” once or more."),
        (1, "less than", 12, "Your response should include the word “ox” 0 times."),
        (2, "at least", 1, 'Use the word "ox" at least twice in your reply.'),
        (2, "less than", 12, "Your response should include the word “ox” once or not at all."),
        (2, "less than", 5, "please don't mention *ox* more than once in your reply"),
        (3, "less than", 12, "Your response should include the word “ox” 2 times or less."),
    ],
)
def test_once_and_never_read_well(number, relation, place, text):
    arguments = {"keyword": "ox", "frequency": number, "relation": relation}
    assert texts("keywords:frequency", arguments)[place] == text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (13, "thirteen"),
        (20, "twenty"),
        (21, "twenty-one"),
        (100, "one hundred"),
        (110, "one hundred ten"),
        (999, "nine hundred ninety-nine"),
        (1250, "one thousand two hundred fifty"),
        (12500, "12500"),
    ],
)
def test_numbers_in_words(number, words):
    found = texts("length_constraints:number_words", {"num_words": number, "relation": "at least"})
    assert found[3] == f"The answer is no fewer than {words} words long."


@pytest.mark.parametrize(
    ("nth", "digits", "words"), [(1, "1st", "first"), (3, "3rd", "third"), (11, "11th", "11th"), (22, "22nd", "22nd")]
)
def test_places_of_paragraphs(nth, digits, words):
    arguments = {"num_paragraphs": 30, "nth_paragraph": nth, "first_word": "rain"}
    found = texts("length_constraints:nth_paragraph_first_word", arguments)
    assert f"does the {digits} of them" in found[2]
    assert f"the {words} paragraph opens" in found[3]
    for text in found:
        assert re.search(r"\b30\b|\bthirty\b", text)
        assert re.search(rf"\b(?:{nth}|{digits}|{words})\b", text)


def test_one_paragraph_is_not_said_to_be_divided():
    for rule in ("length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"):
        for text in texts(rule, SAMPLES[rule][1])[1:]:
            assert not re.search(r"\bbetween (?:them|one|each)|\beach two", text), text
            assert re.search(r"\b(?:1|one)\b", text)


def test_no_bullet_points_is_said_without_a_count_of_them():
    for text in texts("detectable_format:number_bullet_lists", {"num_bullets": 0})[1:]:
        assert re.search(r"\bno\b|\bnone\b|n't\b|\bnot\b|avoid|without|nothing|zero|with any", text, re.IGNORECASE), (
            text
        )


def test_all_keywords_are_asked_for():
    """Whoever reads "a, b" must know that both are meant."""
    for text in texts("keywords:existence", {"keywords": ["ox", "yak", "zebu"]}):
        assert re.search(r"yak\S? and|\ball\b|\beach\b|\bany of\b", text), text


def test_the_whole_response_is_in_a_language_by_its_everyday_name():
    assert all("German" in text for text in texts("language:response_language", {"language": "de"}))
    chinese = texts("language:response_language", {"language": "zh-tw"})
    assert chinese[0] == "The whole response is in Chinese (traditional)."
    assert all("Traditional Chinese" in text for text in chinese[1:])


def test_both_halves_of_a_criterion_are_in_every_wording():
    for rule, word in (("english_capital", "capital|upper|caps"), ("english_lowercase", "lower|small")):
        for text in texts(f"change_case:{rule}", {}):
            assert re.search("english", text, re.IGNORECASE)
            assert re.search(word, text, re.IGNORECASE), text
    for text in texts("detectable_format:json_format", {}):
        assert re.search("json", text, re.IGNORECASE)
        assert re.search("fence|```|code block", text), text
    for text in texts("combination:two_responses", {}):
        assert "******" in text
        assert re.search("differ|distinct|not identical|not the same", text), text
    for option in ("My answer is yes.", "My answer is no.", "My answer is maybe."):
        assert all(option in text for text in texts("detectable_format:constrained_response", {}))


# --------------------------------------------------------------------------------------------------- texts of users

ODD = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text(alphabet="{}%s\\'\"“”*`/|^@0n\n\t🦜é", min_size=1, max_size=12),
    st.sampled_from(["{0}", "{}", "{keyword}", '{"x" and "y"}', "%s %(a)d", " // ", r"\1 \g<0> \n", "salt and pepper"]),
).filter(lambda text: bool(text.strip()))


@given(st.lists(ODD, min_size=1, max_size=4), st.integers(1, 30), st.sampled_from(["at least", "less than"]))
@example(["{n}", " // "], 1, "less than")
def test_texts_of_users_stand_in_every_wording_as_they_came(odd, number, relation):
    first = odd[0].strip()
    count = {"frequency": number, "relation": relation}
    nth = {"num_paragraphs": number, "nth_paragraph": (number + 1) // 2}
    for rule, arguments, expected in (
        ("keywords:existence", {"keywords": odd}, odd),
        ("keywords:forbidden_words", {"forbidden_words": odd}, odd),
        ("keywords:frequency", {"keyword": odd[0], **count}, [first]),
        ("length_constraints:nth_paragraph_first_word", {"first_word": odd[0], **nth}, [odd[0]]),
        ("detectable_content:postscript", {"postscript_marker": odd[0]}, [first]),
        ("detectable_format:multiple_sections", {"section_spliter": odd[0], "num_sections": number}, [first]),
        ("combination:repeat_prompt", {"prompt_to_repeat": odd[0]}, [first]),
        ("startend:end_checker", {"end_phrase": odd[0]}, [first]),
    ):
        found = wordings(rule, arguments)
        assert found == wordings(rule, arguments)
        assert found[0][1] == describe(rule, arguments)
        for _, text in found[1:]:
            assert all(piece in text for piece in expected), text


@given(st.characters(exclude_categories=["Z", "C"]), st.integers(1, 30))
@example("{", 1)
@example("@", 2)
def test_any_character_can_be_the_letter(letter, number):
    arguments = {"letter": letter, "let_frequency": number, "let_relation": "at least"}
    kind = "letter" if letter.isalpha() else "character"
    for text in texts("keywords:letter_frequency", arguments):
        plain = text.replace(letter, "", 1)
        assert letter in text
        assert kind in text.lower() or kind in plain.lower() or "Count" in text


def test_a_request_of_many_lines_stays_as_it_is():
    request = 'Write two lines:\n{a: "b"}\n100% // done'
    for text in texts("combination:repeat_prompt", {"prompt_to_repeat": request}):
        assert request in text


# ----------------------------------------------------------------------------------------- rules of one's own, errors


class Sites(RuleArguments):
    site: str


def test_a_registered_rule_has_its_description_only():
    register_schema("test_wordings:cites", Sites, lambda a: f"The response cites {a.site}.")
    assert wordings("test_wordings:cites", {"site": "{x}"}) == (("test_wordings:cites/0", "The response cites {x}."),)


def test_wrong_names_and_arguments_are_refused():
    with pytest.raises(UnknownRuleError, match="did you mean 'keywords:existence'"):
        wordings("keywords:existance", {})
    with pytest.raises(RuleArgumentsError, match="keywords: is missing; expected a list of texts"):
        wordings("keywords:existence", {})
    with pytest.raises(RuleArgumentsError, match="expected no arguments"):
        wordings("punctuation:no_comma", {"number": 3})


def test_whole_floats_and_nulls_are_taken_as_in_task_files():
    arguments = {"num_words": 20.0, "relation": "at least", "language": None}
    plain = {"num_words": 20, "relation": "at least"}
    assert wordings("length_constraints:number_words", arguments) == wordings("length_constraints:number_words", plain)


def test_wordings_need_no_tensors():
    script = (
        "import sys; from rtt.relevance.discriminator.wordings import wordings; wordings('punctuation:no_comma', {});"
        "print(sorted({'torch', 'transformers', 'rtt.verifiers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
