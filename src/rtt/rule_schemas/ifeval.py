"""The 25 instruction types of IFEval (arXiv:2311.07911): their arguments and descriptions.

    keywords                existence · frequency · forbidden_words · letter_frequency
    language                response_language
    length_constraints      number_sentences · number_paragraphs · number_words · nth_paragraph_first_word
    detectable_content      number_placeholders · postscript
    detectable_format       number_bullet_lists · constrained_response · number_highlighted_sections ·
                            multiple_sections · json_format · title
    combination             two_responses · repeat_prompt
    startend                end_checker · quotation
    change_case             capital_word_frequency · english_capital · english_lowercase
    punctuation             no_comma

The arguments are those of the benchmark's ``kwargs``, all of them required: where the official code would draw a
missing one at random, a missing one is refused, for a criterion must mean the same thing each time it is checked.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from rtt.rule_schemas.schema import (
    Character,
    Count,
    NoArguments,
    Relation,
    RuleArguments,
    RuleSchema,
    Text,
    Texts,
    exactly,
    number_of,
    plainly,
    quoted,
    times,
)

LANGUAGES: Mapping[str, str] = {
    "af": "Afrikaans",
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "kn": "Kannada",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mr": "Marathi",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "so": "Somali",
    "sq": "Albanian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh-cn": "Chinese (simplified)",
    "zh-tw": "Chinese (traditional)",
}
"""The languages that the detector knows, by its codes: ISO 639-1, and two for Chinese."""

OPTIONS: tuple[str, ...] = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
"""The three answers that ``detectable_format:constrained_response`` allows."""


def _language(value: str) -> str:
    if value not in LANGUAGES:
        near = difflib.get_close_matches(value, LANGUAGES, n=3, cutoff=0.5)
        raise PydanticCustomError("language", "{text}", {"text": f"one of {near or list(LANGUAGES)}"})
    return value


class Existence(RuleArguments):
    """``keywords``: each is a regular expression, found anywhere, inside words too, whatever its case."""

    keywords: Texts


class Frequency(RuleArguments):
    """How often ``keyword`` (a regular expression, case ignored, inside words too) occurs."""

    keyword: Text
    frequency: Count
    relation: Relation


class ForbiddenWords(RuleArguments):
    """``forbidden_words``: each is a regular expression, found between word boundaries, whatever its case."""

    forbidden_words: Texts


class LetterFrequency(RuleArguments):
    """How often the character ``letter`` occurs, whatever its case."""

    letter: Character
    let_frequency: Count
    let_relation: Relation


class ResponseLanguage(RuleArguments):
    """``language``: a code of :data:`LANGUAGES`."""

    language: Annotated[str, AfterValidator(_language)]


class NumberSentences(RuleArguments):
    """The number of sentences."""

    num_sentences: Count
    relation: Relation


class NumberParagraphs(RuleArguments):
    """The exact number of paragraphs between dividers ``***``."""

    num_paragraphs: Count


class NumberWords(RuleArguments):
    """The number of words."""

    num_words: Count
    relation: Relation


class NthParagraphFirstWord(RuleArguments):
    """The exact number of paragraphs between blank lines, and the first word of the ``nth_paragraph``, from 1."""

    num_paragraphs: Count
    nth_paragraph: Count
    first_word: Text

    @model_validator(mode="after")
    def _nth_exists(self) -> NthParagraphFirstWord:
        if self.nth_paragraph > self.num_paragraphs:
            raise PydanticCustomError(
                "nth_paragraph",
                "nth_paragraph: got {nth}; expected at most num_paragraphs, {num}",
                {"nth": self.nth_paragraph, "num": self.num_paragraphs},
            )
        return self


class NumberPlaceholders(RuleArguments):
    """At least this many ``[placeholders]``."""

    num_placeholders: Count


class Postscript(RuleArguments):
    """The marker of the postscript: ``P.S.``, ``P.P.S`` or a regular expression, whatever its case."""

    postscript_marker: Text


class NumberBulletLists(RuleArguments):
    """The exact number of bullet points; 0 allows none."""

    num_bullets: Annotated[int, Field(ge=0)]


class NumberHighlightedSections(RuleArguments):
    """At least this many ``*highlighted sections*``."""

    num_highlights: Count


class MultipleSections(RuleArguments):
    """At least this many sections, each begun by ``section_spliter`` (IFEval's spelling, a regular expression) X."""

    section_spliter: Text
    num_sections: Count


class RepeatPrompt(RuleArguments):
    """The request that the response repeats before it answers."""

    prompt_to_repeat: Text


class EndChecker(RuleArguments):
    """The phrase that the response ends with, whatever its case."""

    end_phrase: Text


class CapitalWordFrequency(RuleArguments):
    """How many words are written in capital letters only."""

    capital_frequency: Count
    capital_relation: Relation


# ------------------------------------------------------------------------------------------------ descriptions


def _existence(a: Existence) -> str:
    return f"The response contains the keyword{'s' * (len(a.keywords) > 1)} {quoted(a.keywords)}."


def _frequency(a: Frequency) -> str:
    return f'The response contains the keyword "{a.keyword.strip()}" {times(a.relation, a.frequency)}.'


def _forbidden(a: ForbiddenWords) -> str:
    words = a.forbidden_words
    return f"The response does not contain the word{'s' * (len(words) > 1)} {quoted(words, 'or')}."


def _letter(a: LetterFrequency) -> str:
    kind = "letter" if a.letter.isalpha() else "character"
    return f'The {kind} "{a.letter}" appears {times(a.let_relation, a.let_frequency)} in the response.'


def _response_language(a: ResponseLanguage) -> str:
    return f"The whole response is in {LANGUAGES[a.language]}."


def _number_sentences(a: NumberSentences) -> str:
    return f"The response has {number_of(a.relation, a.num_sentences, 'sentence')}."


def _number_paragraphs(a: NumberParagraphs) -> str:
    return f"The response has {exactly(a.num_paragraphs, 'paragraph')}, divided by the markdown divider ***."


def _number_words(a: NumberWords) -> str:
    return f"The response has {number_of(a.relation, a.num_words, 'word')}."


def _nth_paragraph(a: NthParagraphFirstWord) -> str:
    return (
        f"The response has {exactly(a.num_paragraphs, 'paragraph')} with an empty line between paragraphs, and "
        f'paragraph {a.nth_paragraph} starts with the word "{a.first_word}".'
    )


def _placeholders(a: NumberPlaceholders) -> str:
    noun = number_of("at least", a.num_placeholders, "placeholder")
    return f"The response contains {noun} in square brackets, such as [address]."


def _postscript(a: Postscript) -> str:
    return f'The response has a postscript that starts with "{a.postscript_marker.strip()}".'


def _bullets(a: NumberBulletLists) -> str:
    if a.num_bullets == 0:
        return "The response contains no bullet points."
    return f"The response contains {exactly(a.num_bullets, 'bullet point')}, written in markdown (* or -)."


def _highlights(a: NumberHighlightedSections) -> str:
    noun = number_of("at least", a.num_highlights, "section")
    return f"The response highlights {noun} in markdown, such as *highlighted section*."


def _sections(a: MultipleSections) -> str:
    splitter = a.section_spliter.strip()
    noun = number_of("at least", a.num_sections, "section")
    return f'The response has {noun}, each begun by "{splitter}" and its number, such as "{splitter} 1".'


def _repeat_prompt(a: RepeatPrompt) -> str:
    return f'The response first repeats the following request word for word: "{a.prompt_to_repeat.strip()}"'


def _end(a: EndChecker) -> str:
    return f'The response ends with the exact phrase "{a.end_phrase.strip()}", and nothing follows it.'


def _capital_words(a: CapitalWordFrequency) -> str:
    return f"Words in all capital letters appear {times(a.capital_relation, a.capital_frequency)} in the response."


RULES: Mapping[str, RuleSchema] = {
    "keywords:existence": RuleSchema(Existence, _existence),
    "keywords:frequency": RuleSchema(Frequency, _frequency),
    "keywords:forbidden_words": RuleSchema(ForbiddenWords, _forbidden),
    "keywords:letter_frequency": RuleSchema(LetterFrequency, _letter),
    "language:response_language": RuleSchema(ResponseLanguage, _response_language),
    "length_constraints:number_sentences": RuleSchema(NumberSentences, _number_sentences),
    "length_constraints:number_paragraphs": RuleSchema(NumberParagraphs, _number_paragraphs),
    "length_constraints:number_words": RuleSchema(NumberWords, _number_words),
    "length_constraints:nth_paragraph_first_word": RuleSchema(NthParagraphFirstWord, _nth_paragraph),
    "detectable_content:number_placeholders": RuleSchema(NumberPlaceholders, _placeholders),
    "detectable_content:postscript": RuleSchema(Postscript, _postscript),
    "detectable_format:number_bullet_lists": RuleSchema(NumberBulletLists, _bullets),
    "detectable_format:constrained_response": RuleSchema(
        NoArguments, plainly(f"The response is one of the following: {quoted(OPTIONS, 'or')}")
    ),
    "detectable_format:number_highlighted_sections": RuleSchema(NumberHighlightedSections, _highlights),
    "detectable_format:multiple_sections": RuleSchema(MultipleSections, _sections),
    "detectable_format:json_format": RuleSchema(
        NoArguments, plainly("The whole response is valid JSON; a markdown code fence around it is allowed.")
    ),
    "detectable_format:title": RuleSchema(
        NoArguments, plainly("The response contains a title in double angular brackets, such as <<poem of joy>>.")
    ),
    "combination:two_responses": RuleSchema(
        NoArguments,
        plainly("The response gives exactly two different answers, separated by six asterisks: ******."),
    ),
    "combination:repeat_prompt": RuleSchema(RepeatPrompt, _repeat_prompt),
    "startend:end_checker": RuleSchema(EndChecker, _end),
    "startend:quotation": RuleSchema(
        NoArguments, plainly('The whole response is wrapped in double quotation marks: "...".')
    ),
    "change_case:capital_word_frequency": RuleSchema(CapitalWordFrequency, _capital_words),
    "change_case:english_capital": RuleSchema(
        NoArguments, plainly("The whole response is in English and in capital letters only.")
    ),
    "change_case:english_lowercase": RuleSchema(
        NoArguments, plainly("The whole response is in English and in lowercase letters only.")
    ),
    "punctuation:no_comma": RuleSchema(NoArguments, plainly("The response contains no commas.")),
}
"""Each rule's schema by its official name."""
