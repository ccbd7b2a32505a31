"""How rules read text: sentences, capital words, lower case, patterns from data."""

from __future__ import annotations

import json
import re
import sys

import pytest
from benchmark_data import benchmark_file
from hypothesis import given
from hypothesis import strategies as st

from rtt.demo.discriminator import bundled_responses
from rtt.errors import VerifierError
from rtt.verifiers.rules.findings import Deadline, located
from rtt.verifiers.rules.ifeval import language
from rtt.verifiers.rules.ifeval.language import detect
from rtt.verifiers.rules.text import capital_words, lowered, pattern, raised, sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, Deadline(10))]


@pytest.mark.parametrize(
    "expected",
    [
        ["Dr. Smith went to Washington.", "He was late!", "Why?"],
        ["It costs 3.5 dollars.", "The U.S. pays."],
        ["He left (at last.)", "She stayed."],
        ['"Why?"', "Nobody knew."],
        # NLTK before 3.10.2 does not end a sentence at a curly quotation mark; later versions do.
        ["“Why?” Nobody knew."],
        ["A heading\n\nA paragraph below it."],
        ["Really!?!", "Yes."],
    ],
)
def test_sentences_are_those_of_nltk_3_9_1(expected: list[str]) -> None:
    assert split(" ".join(expected)) == expected


def test_reading_more_words_leaves_nothing_behind() -> None:
    split("One. Two.")
    from rtt.verifiers.rules import text

    assert text._SPLITTER is not None
    known = text._SPLITTER(Deadline(1))._params.ortho_context
    before = len(known)
    split("Etc. Zyxwvut. Qwertz. " * 3)
    assert len(known) == before
    assert "zyxwvut" not in known


def capitals(text: str) -> list[str]:
    return [text[start:end] for start, end in capital_words(text, Deadline(10))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I saw NASA and Esa.", ["I", "NASA"]),
        ("The U.S.A. and the WELL-KNOWN B2B", ["U.S.A", "WELL-KNOWN", "B2B"]),
        ("DON'T! IT'S, I'LL WE'RE", ["DO", "N'T", "IT", "S", "I", "LL", "WE", "RE"]),
        # At the end of a sentence the full stop is cut off first, and the ending is a word of its own.
        ("WE DON'T.", ["WE", "DO", "N'T"]),
        ("CANNOT GONNA 'TIS MORE'N", ["CAN", "NOT", "GON", "NA", "T", "IS", "MORE", "N"]),
        ("WANNA. WANNA GO", ["WAN", "NA", "WAN", "NA", "GO"]),
        ("DON’T", ["DON", "T"]),
        ("A/B C|D", ["A/B", "C|D"]),
        ("A--B (C)[D]{E} F...G H:I J:1", ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J:1"]),
        ("A—B", ["A—B"]),
        ("O'K ROCK 'N' ROLL JAMES'", ["O", "K", "ROCK", "N", "ROLL", "JAMES"]),
        ("ÉCOLE ǅ ß 𝐀", ["ÉCOLE", "𝐀"]),
        ("123 !? - *", []),
    ],
)
def test_capital_words(text: str, words: list[str]) -> None:
    assert capitals(text) == words


def test_capital_words_are_as_many_as_the_installed_nltk_finds_on_real_responses() -> None:
    from nltk.tokenize import NLTKWordTokenizer

    tokenizer = NLTKWordTokenizer()
    compared = 0
    for line in benchmark_file("golden/ifeval_rtt.jsonl").read_text("utf-8").splitlines():
        response = json.loads(line)["response"]
        for text in (response, response.upper()):
            if re.search("[\u2012-\u2015]|'[A-Za-z]+\\W*'", text):
                continue  # dashes and single quotation marks: newer versions of NLTK cut there
            tokens = [t for start, end in sentences(text, Deadline(10)) for t in tokenizer.tokenize(text[start:end])]
            assert len(capital_words(text, Deadline(10))) == sum(token.isupper() for token in tokens)
            compared += 1
    assert compared > 200


@given(st.text(alphabet="aİßΣσ K", max_size=12))
def test_lower_case_knows_its_way_back(text: str) -> None:
    lower, origin = lowered(text)
    assert lower == text.lower()
    assert len(origin) == len(lower) + 1
    for index, character in enumerate(lower):
        start, end = raised((index, index + 1), origin)
        assert end == start + 1
        assert character in text[start:end].lower() or character == "ς"
    assert raised((0, len(lower)), origin) == (0, len(text))


PATTERNS = [
    "a",
    "a.",
    "^a",
    "b$",
    r"\bab",
    "a|b",
    "(a)b",
    "[ab]+",
    "a*",
    "a{2}",
    "a{b}",
    "{a}",
    "a{",
    r"a\{",
    r"\w+",
    "A",
]


@given(st.sampled_from(PATTERNS), st.text(alphabet="abAB{} \n", max_size=12), st.booleans())
def test_patterns_find_what_re_finds(source: str, text: str, ignore_case: bool) -> None:
    expected = [match.span() for match in re.finditer(source, text, re.IGNORECASE if ignore_case else 0)]
    assert pattern(source, ignore_case=ignore_case).find(text, Deadline(10)) == expected


@pytest.mark.parametrize("source", ["(", "[a", "*a", "a\\", "(?P<n>", "a{2,1}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_is_none_is_refused(source: str) -> None:
    with pytest.raises(VerifierError, match="is not a valid regular expression"):
        pattern(source)


def test_language_is_the_same_each_time_and_none_where_there_is_no_text() -> None:
    assert detect("Das ist ein deutscher Satz.") == "de"
    assert detect("12 + 34") is None
    short = "hi la"
    found = detect(short)
    detect.cache_clear()
    assert detect(short) == found


SAMPLES = [
    "Das ist ein deutscher Satz.",
    "A short one.",
    "ALL IN CAPITALS",
    "la",
    "12",
    "Привет, мир",
    "今日は",
    "\ud800 a",
]


def test_langdetect_and_its_fast_twin_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langdetect_rs", reason="the extra `fast` is not installed")
    found = {}
    for fast in (True, False):
        if not fast:
            monkeypatch.setitem(sys.modules, "langdetect_rs", None)  # as if it were not installed
        factory, nothing_to_go_by = language._load()
        assert factory.__class__.__module__.startswith("langdetect_rs" if fast else "langdetect.")
        for text in [*SAMPLES, *(response for _, _, response in bundled_responses()[:100])]:
            detector = factory.create()
            detector.append(text)
            try:
                probabilities = [(one.lang, one.prob) for one in detector.get_probabilities()]
            except nothing_to_go_by:
                probabilities = []
            assert found.setdefault(text, probabilities) == probabilities


def test_overlapping_spans_become_one_and_empty_ones_go() -> None:
    spans = located([(5, 7), (0, 3), (2, 4), (4, 4), (7, 8)], "support")
    assert [(span.start, span.end) for span in spans] == [(0, 4), (5, 7), (7, 8)]
