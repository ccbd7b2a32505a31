"""The rules' criteria in many words, so that a model reads language and not the one sentence a rule comes with.

    "keywords:frequency", {"keyword": "robot", "frequency": 3, "relation": "less than"}

    keywords:frequency/0    The response contains the keyword "robot" fewer than 3 times.     rule_schemas.describe
    keywords:frequency/1    Use the word "robot" fewer than three times in your reply.        wordings.toml
    keywords:frequency/2    Does the response contain the keyword 'robot' at most 2 times?
    keywords:frequency/4    "robot": max. 2 times
    ...

A wording is a line of ``wordings.toml``, whose head explains the fields in braces; its id is the rule and the place of
the line, whatever the arguments are, so that wordings can be held out. All wordings of a criterion ask for the same:
what a rule decides does not depend on how it is put. Fields are filled in one pass over the line, so that texts of
users, which may hold braces, percent signs and anything else, stand in a wording as they came.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from rtt.rule_schemas import canonical_name, describe, parse_arguments
from rtt.rule_schemas.ifeval import (
    LANGUAGES,
    CapitalWordFrequency,
    EndChecker,
    Existence,
    ForbiddenWords,
    Frequency,
    LetterFrequency,
    MultipleSections,
    NthParagraphFirstWord,
    NumberBulletLists,
    NumberHighlightedSections,
    NumberParagraphs,
    NumberPlaceholders,
    NumberSentences,
    NumberWords,
    Postscript,
    RepeatPrompt,
    ResponseLanguage,
)


def wordings(rule_name: str, arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The id and the text of every wording of a rule's criterion.

    The first is the description of the rule, ``"<rule>/0"``; a rule that was registered has no other. The same rule
    and arguments give the same wordings, in the same order.

    >>> wordings("punctuation:no_comma", {})[1]
    ('punctuation:no_comma/1', 'Do not use any commas.')

    Raises:
        UnknownRuleError: no rule has this name.
        RuleArgumentsError: an argument is missing, unknown, or of the wrong type or range.
    """
    rule = canonical_name(rule_name)
    parsed = parse_arguments(rule, arguments)
    texts = [describe(rule, arguments)]
    templates = _templates().get(rule, ())
    if templates:
        values = _VALUES.get(type(parsed), lambda _: _Values())(parsed)
        texts += [_worded(forms[min(values.form, len(forms) - 1)], values) for forms in templates]
    return tuple((f"{rule}/{place}", text) for place, text in enumerate(texts))


# ---------------------------------------------------------------------------------------------------- arguments


@dataclass(frozen=True, slots=True)
class _Values:
    """What a template may ask for.

    Attributes:
        texts: by field name.
        items: a list of texts.
        number: the number asked for; ``nth`` the place of a paragraph.
        below: the relation is "less than".
        form: which of two forms of a template is read, 0 or 1.
    """

    texts: Mapping[str, str] | None = None
    items: Sequence[str] = ()
    number: int = 0
    nth: int = 0
    below: bool = False
    form: int = 0


def _listed(items: Sequence[str]) -> _Values:
    return _Values(items=items, form=int(len(items) > 1))


def _related(relation: str, number: int, **texts: str) -> _Values:
    below = relation == "less than"
    return _Values(texts, number=number, below=below, form=int(below))


def _letter(a: LetterFrequency) -> _Values:
    kind = "letter" if a.letter.isalpha() else "character"
    return _related(a.let_relation, a.let_frequency, letter=a.letter, kind=kind)


def _language(a: ResponseLanguage) -> _Values:
    name, _, variant = LANGUAGES[a.language].partition(" (")  # "Chinese (simplified)" is "Simplified Chinese"
    return _Values({"language": f"{variant.rstrip(')').capitalize()} {name}".strip()})


def _nth_paragraph(a: NthParagraphFirstWord) -> _Values:
    texts = {"first_word": a.first_word}
    return _Values(texts, number=a.num_paragraphs, nth=a.nth_paragraph, form=int(a.num_paragraphs == 1))


def _sections(a: MultipleSections) -> _Values:
    return _Values({"splitter": a.section_spliter.strip()}, number=a.num_sections)


# Blanks are cut off where the rule does so.
_VALUES: Mapping[type, Callable[[Any], _Values]] = {
    Existence: lambda a: _listed(a.keywords),
    Frequency: lambda a: _related(a.relation, a.frequency, keyword=a.keyword.strip()),
    ForbiddenWords: lambda a: _listed(a.forbidden_words),
    LetterFrequency: _letter,
    ResponseLanguage: _language,
    NumberSentences: lambda a: _related(a.relation, a.num_sentences),
    NumberParagraphs: lambda a: _Values(number=a.num_paragraphs, form=int(a.num_paragraphs == 1)),
    NumberWords: lambda a: _related(a.relation, a.num_words),
    NthParagraphFirstWord: _nth_paragraph,
    NumberPlaceholders: lambda a: _Values(number=a.num_placeholders),
    Postscript: lambda a: _Values({"marker": a.postscript_marker.strip()}),
    NumberBulletLists: lambda a: _Values(number=a.num_bullets, form=int(a.num_bullets == 0)),
    NumberHighlightedSections: lambda a: _Values(number=a.num_highlights),
    MultipleSections: _sections,
    RepeatPrompt: lambda a: _Values({"prompt": a.prompt_to_repeat.strip()}),
    EndChecker: lambda a: _Values({"phrase": a.end_phrase.strip()}),
    CapitalWordFrequency: lambda a: _related(a.capital_relation, a.capital_frequency),
}


# ---------------------------------------------------------------------------------------------------- templates


@functools.cache
def _templates() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """By rule, the forms of each template: one or two."""
    source = resources.files("rtt.relevance.discriminator").joinpath("wordings.toml").read_text(encoding="utf-8")
    return {
        rule: tuple(tuple(line.replace(r"\n", "\n").split(" // ")) for line in lines.splitlines() if line)
        for rule, lines in tomllib.loads(source).items()
    }


_FIELD = re.compile(r"\{([^{}]+)\}")


def _worded(template: str, values: _Values) -> str:
    # One pass: what was filled in is not looked at again.
    return _FIELD.sub(lambda match: _filled(match[1], values), template)


def _filled(field: str, values: _Values) -> str:
    if field.startswith("^"):
        text = _filled(field[1:], values)
        return text[:1].upper() + text[1:]
    if values.texts is not None and field in values.texts:
        return values.texts[field]
    if (shape := _LIST.fullmatch(field)) is not None:
        left, right = shape["left"], shape["right"]
        return _joined([f"{left}{item}{right}" for item in values.items], shape["between"])
    if field in {"kth", "Kth"}:
        return _ordinal(values.nth, in_words=field == "Kth")
    phrase, _, noun = field.partition("|")
    return _amount(phrase, noun, values)


_LIST = re.compile(r"(?P<left>\W?)x(?P<right>\W?)(?P<between>, |; | and | or )(?P=left)y(?P=right)")


def _joined(items: Sequence[str], between: str) -> str:
    if len(items) == 1 or between.endswith(("; ", ", ")):
        return between.join(items)
    return f"{', '.join(items[:-1])}{between}{items[-1]}"


# ------------------------------------------------------------------------------------------------------ numbers

_RELATIONS: Mapping[str, tuple[str, str]] = {
    "at least n": ("at least n @", "fewer than n @"),
    "n or more": ("n or more @", "at most m @"),
    "no fewer than n": ("no fewer than n @", "no more than m @"),
    "a minimum of n": ("a minimum of n @", "a maximum of m @"),
    "more than m": ("more than m @", "less than n @"),
    "n @ or more": ("n @ or more", "m @ or fewer"),
    "n+": ("n+ @", "max. m @"),
}


def _amount(phrase: str, noun: str, values: _Values) -> str:
    """``("at least N", "word")`` as "at least three words", or "fewer than three words"."""
    in_words = _WORDS.search(phrase) is not None
    phrase = _WORDS.sub(lambda match: match[0].lower(), phrase)
    pattern = _RELATIONS[phrase][values.below] if phrase in _RELATIONS else f"{phrase} @"
    symbol = _SYMBOL.search(pattern)
    if symbol is None:
        raise ValueError(f"wordings.toml: {{{phrase}|{noun}}} is not a field; see the head of the file")
    number = {"n": values.number, "m": values.number - 1, "k": values.nth}[symbol[0]]
    spelled = _in_words(number) if in_words else str(number)
    if noun == "time":
        if pattern == "m @ or fewer":
            pattern = ("m @", "m @ or not at all", "m @ or less")[min(number, 2)]
        often = {1: "once", 2: "twice" if in_words else ""}.get(number, "")
        if often and _TIMES.search(pattern):
            return _SYMBOL.sub(often, pattern.replace("fewer", "less")).replace(" @", "")
    # One word, but "one or more words" and "1+ words".
    singular = number == 1 and _ALWAYS_PLURAL.search(pattern) is None
    return _SYMBOL.sub(spelled, pattern).replace("@", noun if singular or not noun else f"{noun}s").strip()


_SYMBOL = re.compile(r"\b[nmk]\b")
_WORDS = re.compile(r"\b[NMK]\b")
_ALWAYS_PLURAL = re.compile(r"n or more @|n\+")
_TIMES = re.compile(r"^(?!a m)(?!max)[^+]*[nm] @")  # not in "a maximum of 1 time"


_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _in_words(number: int) -> str:
    """Up to 9,999; what is larger is written in digits, as people do."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if size <= number < 10 * size:
            high, low = divmod(number, size)
            return f"{_SMALL[high]} {name}" + (f" {_in_words(low)}" if low else "")
    return str(number)


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def _ordinal(number: int, *, in_words: bool) -> str:
    if in_words and number <= len(_ORDINALS):
        return _ORDINALS[number - 1]
    teens = number % 100 in {11, 12, 13}
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
