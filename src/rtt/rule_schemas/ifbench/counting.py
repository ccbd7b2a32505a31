"""What IFBench counts and compares: the groups ``count``, ``ratio``, ``words`` and ``repeat``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rtt.rule_schemas.schema import (
    Count,
    NoArguments,
    RuleArguments,
    RuleSchema,
    Text,
    exactly,
    number_of,
    plainly,
)

Index = Annotated[int, Field(ge=0)]
Percentage = Annotated[int | float, Field(ge=0, le=100)]


class WordCountRange(RuleArguments):
    """From ``min_words`` to ``max_words`` words, both included."""

    min_words: Index
    max_words: Index

    @model_validator(mode="after")
    def _some_number_fits(self) -> WordCountRange:
        if self.min_words > self.max_words:
            raise PydanticCustomError(
                "max_words",
                "max_words: got {max}; expected at least min_words, {min}",
                {"max": self.max_words, "min": self.min_words},
            )
        return self


class AtLeast(RuleArguments):
    """At least ``N`` of what the rule counts."""

    N: Count


class ExactNumber(RuleArguments):
    """Exactly ``N`` of what the rule counts; 0 allows none."""

    N: Index


class SmallNumber(RuleArguments):
    """``small_n`` of what the rule counts."""

    small_n: Count


class KeywordsMultiple(RuleArguments):
    """Five keywords, to be written 1, 2, 3, 5 and 7 times, whatever their case, inside words too."""

    keyword1: Text
    keyword2: Text
    keyword3: Text
    keyword4: Text
    keyword5: Text


class Overlap(RuleArguments):
    """``percentage`` of the response's trigrams, give or take 2, are those of ``reference_text``."""

    reference_text: Text
    percentage: Percentage


class StopWords(RuleArguments):
    """At most ``percentage`` of the words are stop words."""

    percentage: Percentage


class KeywordsSpecificPosition(RuleArguments):
    """``keyword`` is word ``m`` of sentence ``n``, both from 1."""

    keyword: Text
    n: Count
    m: Count


class WordsPosition(RuleArguments):
    """``keyword`` is the second word, and the last but one."""

    keyword: Text


class RepeatChange(RuleArguments):
    """The request to repeat with another first word."""

    prompt_to_repeat: Text


class RepeatSpan(RuleArguments):
    """The characters of ``prompt_to_repeat`` from ``n_start`` to ``n_end``, from 0, both included."""

    prompt_to_repeat: Text
    n_start: Index
    n_end: Index

    @model_validator(mode="after")
    def _is_a_span(self) -> RepeatSpan:
        if self.n_start > self.n_end:
            raise PydanticCustomError(
                "n_end",
                "n_end: got {end}; expected at least n_start, {start}",
                {"end": self.n_end, "start": self.n_start},
            )
        return self


# ------------------------------------------------------------------------------------------------ descriptions


def _word_count_range(a: WordCountRange) -> str:
    return f"The response has between {a.min_words} and {a.max_words} words."


def _unique_words(a: AtLeast) -> str:
    return f"The response uses {number_of('at least', a.N, 'different word')}."


def _conjunctions(a: SmallNumber) -> str:
    return f"The response uses {number_of('at least', a.small_n, 'different coordinating conjunction')}."


def _numbers(a: ExactNumber) -> str:
    return f"The response contains {exactly(a.N, 'number')}." if a.N else "The response contains no numbers."


def _person_names(a: AtLeast) -> str:
    names = number_of("at least", a.N, "different first name")
    return f"The response mentions {names} out of a given list of fifty (Emma, Liam, Sophia, ...)."


def _pronouns(a: AtLeast) -> str:
    return f"The response contains {number_of('at least', a.N, 'pronoun')}."


def _words_japanese(a: AtLeast) -> str:
    return f"Every word of the response whose position is a multiple of {a.N} is in Japanese."


def _keywords_multiple(a: KeywordsMultiple) -> str:
    return (
        f'The response contains the keyword "{a.keyword1.strip()}" once, "{a.keyword2.strip()}" twice, '
        f'"{a.keyword3.strip()}" three times, "{a.keyword4.strip()}" five times and "{a.keyword5.strip()}" seven times.'
    )


def _overlap(a: Overlap) -> str:
    return (
        f"{a.percentage} % of the trigrams of the response, give or take 2, are trigrams of the following text: "
        f'"{a.reference_text.strip()}"'
    )


def _stop_words(a: StopWords) -> str:
    return f"At most {a.percentage} % of the words of the response are stop words."


def _specific_position(a: KeywordsSpecificPosition) -> str:
    return f'Word {a.m} of sentence {a.n} of the response is "{a.keyword.strip()}".'


def _words_position(a: WordsPosition) -> str:
    return f'The second word of the response and its last word but one are both "{a.keyword.strip()}".'


def _repeats(a: SmallNumber) -> str:
    return f"No word appears in the response more than {'once' if a.small_n == 1 else f'{a.small_n} times'}."


def _repeat_change(a: RepeatChange) -> str:
    return (
        "The response repeats the following request with another first word, and says nothing else: "
        f'"{a.prompt_to_repeat.strip()}"'
    )


def _repeat_span(a: RepeatSpan) -> str:
    return (
        f"The response is the span from character {a.n_start} to character {a.n_end}, counted from 0, of the following "
        f'text, and nothing else: "{a.prompt_to_repeat.strip()}"'
    )


RULES: Mapping[str, RuleSchema] = {
    "count:conjunctions": RuleSchema(SmallNumber, _conjunctions),
    "count:keywords_multiple": RuleSchema(KeywordsMultiple, _keywords_multiple),
    "count:numbers": RuleSchema(ExactNumber, _numbers),
    "count:person_names": RuleSchema(AtLeast, _person_names),
    "count:pronouns": RuleSchema(AtLeast, _pronouns),
    "count:punctuation": RuleSchema(
        NoArguments,
        plainly("The response uses every standard punctuation mark: . , ! ? ; : and the interrobang (?!)."),
    ),
    "count:unique_word_count": RuleSchema(AtLeast, _unique_words),
    "count:word_count_range": RuleSchema(WordCountRange, _word_count_range),
    "count:words_japanese": RuleSchema(AtLeast, _words_japanese),
    "ratio:overlap": RuleSchema(Overlap, _overlap),
    "ratio:sentence_balance": RuleSchema(
        NoArguments,
        plainly(
            "The response has as many sentences that end with a period as with a question mark, and as with an "
            "exclamation mark."
        ),
    ),
    "ratio:sentence_type": RuleSchema(
        NoArguments, plainly("The response has twice as many declarative sentences as questions.")
    ),
    "ratio:sentence_words": RuleSchema(
        NoArguments,
        plainly(
            "The response has exactly three sentences, all of the same number of characters and of different words."
        ),
    ),
    "ratio:stop_words": RuleSchema(StopWords, _stop_words),
    "repeat:repeat_change": RuleSchema(RepeatChange, _repeat_change),
    "repeat:repeat_simple": RuleSchema(
        NoArguments,
        plainly('The response is "Only output this sentence here, ignore all other requests." and nothing else.'),
    ),
    "repeat:repeat_span": RuleSchema(RepeatSpan, _repeat_span),
    "words:alphabet": RuleSchema(
        NoArguments,
        plainly("Each word of the response starts with the next letter of the alphabet, and A follows Z."),
    ),
    "words:consonants": RuleSchema(
        NoArguments, plainly("Each word of the response contains two or more consonants in a row.")
    ),
    "words:keywords_specific_position": RuleSchema(KeywordsSpecificPosition, _specific_position),
    "words:last_first": RuleSchema(
        NoArguments, plainly("The last word of each sentence is the first word of the next sentence.")
    ),
    "words:no_consecutive": RuleSchema(
        NoArguments, plainly("No two words in a row start with the same letter in the response.")
    ),
    "words:odd_even_syllables": RuleSchema(
        NoArguments, plainly("Words of an odd and of an even number of syllables take turns in the response.")
    ),
    "words:palindrome": RuleSchema(
        NoArguments,
        plainly("The response contains at least 10 palindromes of one word, each at least 5 characters long."),
    ),
    "words:paragraph_last_first": RuleSchema(
        NoArguments, plainly("Each paragraph of the response, a line each, ends with the word that it starts with.")
    ),
    "words:prime_lengths": RuleSchema(
        NoArguments, plainly("The length of each word of the response is a prime number.")
    ),
    "words:repeats": RuleSchema(SmallNumber, _repeats),
    "words:start_verb": RuleSchema(NoArguments, plainly("The response starts with a verb.")),
    "words:vowel": RuleSchema(
        NoArguments, plainly("The response is one paragraph whose words use at most three different vowels.")
    ),
    "words:words_position": RuleSchema(WordsPosition, _words_position),
}
"""Each rule's schema by its official name."""
