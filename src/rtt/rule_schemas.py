"""What each rule accepts, and how it reads in words: names, arguments and descriptions, without the checks.

A rule's name is ``group:rule`` (``keywords:existence``), the arguments are those of IFEval's ``kwargs``:

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

Reading a task file needs no more than this module; what a rule decides lives in :mod:`rtt.verifiers.rules`. A rule of
your own is registered there too (:func:`rtt.verifiers.rules.register_rule`), which calls :func:`register_schema` here.

Every argument is required: where IFEval's own code would draw a missing one at random, a missing one is refused, for a
criterion must mean the same thing each time it is checked. Criteria that every response meets ("at least 0") or that
none can meet ("less than 0") are refused as well.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from rtt.errors import ConfigurationError, RuleArgumentsError, UnknownRuleError

Relation = Literal["at least", "less than"]

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


def rule_names() -> tuple[str, ...]:
    """The canonical names of all rules, sorted: the 25 of IFEval and those that were registered."""
    return tuple(sorted(_ENTRIES))


def canonical_name(name: str) -> str:
    """The bare name of a rule: ``"ifeval:keywords:existence"`` and ``"keywords:existence"`` give the latter.

    Raises:
        UnknownRuleError: no rule has this name; the message shows names that are close.
    """
    bare = name.removeprefix("ifeval:")
    if bare in _ENTRIES and (bare == name or bare in _IFEVAL):
        return bare
    family, _, _ = name.partition(":")
    if name.count(":") > 1 and family != "ifeval":
        raise UnknownRuleError(
            f"rule {_show(name)} is not known: there is no family {family!r} here; expected one of rule_names(), or "
            "a criterion of kind 'judge'"
        )
    near = difflib.get_close_matches(bare, _ENTRIES, n=3, cutoff=0.5)
    hint = f"did you mean {_either(near)}?" if near else "see rtt.rule_schemas.rule_names() for all names"
    raise UnknownRuleError(f"rule {_show(name)} is not known; {hint}")


def validate_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's arguments as plain JSON: checked, nulls dropped, whole floats (``3.0``) made integers.

    Raises:
        UnknownRuleError: no rule has this name.
        RuleArgumentsError: an argument is missing, unknown, or of the wrong type or range; the message names the rule,
            the field, what came and what was expected, for each argument that is wrong.
    """
    return parse_arguments(name, arguments).model_dump(mode="json", exclude_none=True)


def describe(name: str, arguments: Mapping[str, Any]) -> str:
    """The criterion in plain English, as a person, a judge or a discriminator reads it.

    >>> describe("keywords:frequency", {"keyword": "robot", "frequency": 2, "relation": "at least"})
    'The response contains the keyword "robot" at least 2 times.'

    Raises:
        UnknownRuleError, RuleArgumentsError: as :func:`validate_arguments`.
    """
    entry = _ENTRIES[canonical_name(name)]
    return entry.describe(parse_arguments(name, arguments))


def parse_arguments(name: str, arguments: Mapping[str, Any]) -> RuleArguments:
    """As :func:`validate_arguments`, giving the rule's own model instead of a dictionary."""
    rule = canonical_name(name)
    schema = _ENTRIES[rule].schema
    if not isinstance(arguments, Mapping):
        raise RuleArgumentsError(
            f"rule {rule!r}: got {_show(arguments)} ({type(arguments).__name__}) as arguments; expected an object"
        )
    plain = {key: _whole(value) for key, value in arguments.items() if value is not None}
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        problems = "; ".join(_in_words(schema, detail) for detail in error.errors(include_url=False))
        raise RuleArgumentsError(f"rule {rule!r}: {problems}") from None


def register_schema(name: str, schema: type[RuleArguments], describe: Callable[[Any], str]) -> None:
    """Make the arguments of a rule of your own known. Users call :func:`rtt.verifiers.rules.register_rule` instead.

    Args:
        name: ``namespace:rule`` with a namespace of your own, in lower case: ``"acme:cites_a_source"``.
        schema: a subclass of :class:`RuleArguments`.
        describe: from the arguments to the criterion in words.

    Raises:
        ConfigurationError: the name has no namespace, is taken, or is in a namespace of IFEval.
    """
    if not re.fullmatch(r"[a-z0-9_]+(?::[a-z0-9_]+)+", name):
        raise ConfigurationError(
            f"rule {_show(name)}: expected a namespace of your own and a name in lower case, such as 'acme:cites'"
        )
    if not (isinstance(schema, type) and issubclass(schema, RuleArguments)):
        raise ConfigurationError(f"rule {name!r}: got the schema {_show(schema)}; expected a subclass of RuleArguments")
    namespace = name.partition(":")[0]
    if namespace in {"ifeval", *(known.partition(":")[0] for known in _IFEVAL)}:
        raise ConfigurationError(f"rule {name!r}: the namespace {namespace!r} is IFEval's; use one of your own")
    with _LOCK:
        if name in _ENTRIES:
            raise ConfigurationError(f"rule {name!r} is registered already; give yours another name")
        _ENTRIES[name] = _Entry(schema, describe)


# --------------------------------------------------------------------------------------------------- arguments


def _not_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "text that is not blank")
    return value


def _character(value: str) -> str:
    if len(value) != 1 or value.isspace():
        raise PydanticCustomError("character", "one character that is not a blank")
    return value


def _language(value: str) -> str:
    if value not in LANGUAGES:
        near = difflib.get_close_matches(value, LANGUAGES, n=3, cutoff=0.5)
        raise PydanticCustomError("language", "{text}", {"text": f"one of {near or list(LANGUAGES)}"})
    return value


Text = Annotated[str, AfterValidator(_not_blank)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
Count = Annotated[int, Field(ge=1)]


class RuleArguments(BaseModel):
    """The arguments of one rule: frozen, strict types, no unknown fields. Subclass it for a rule of your own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoArguments(RuleArguments):
    """A rule without arguments."""


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

    letter: Annotated[str, AfterValidator(_character)]
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


def _times(relation: str, number: int) -> str:
    if relation == "less than":
        return f"fewer than {number} {'time' if number == 1 else 'times'}"
    return "at least once" if number == 1 else f"at least {number} times"


def _number(relation: str, number: int, noun: str) -> str:
    return f"{'fewer than' if relation == 'less than' else relation} {number} {noun}{'' if number == 1 else 's'}"


def _exactly(number: int, noun: str) -> str:
    return f"exactly {number} {noun}{'' if number == 1 else 's'}"


def _quoted(texts: tuple[str, ...], conjunction: str = "and") -> str:
    quoted = [f'"{text}"' for text in texts]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" {conjunction} {quoted[-1]}"


def _existence(a: Existence) -> str:
    return f"The response contains the keyword{'s' * (len(a.keywords) > 1)} {_quoted(a.keywords)}."


def _frequency(a: Frequency) -> str:
    return f'The response contains the keyword "{a.keyword.strip()}" {_times(a.relation, a.frequency)}.'


def _forbidden(a: ForbiddenWords) -> str:
    words = a.forbidden_words
    return f"The response does not contain the word{'s' * (len(words) > 1)} {_quoted(words, 'or')}."


def _letter(a: LetterFrequency) -> str:
    kind = "letter" if a.letter.isalpha() else "character"
    return f'The {kind} "{a.letter}" appears {_times(a.let_relation, a.let_frequency)} in the response.'


def _response_language(a: ResponseLanguage) -> str:
    return f"The whole response is in {LANGUAGES[a.language]}."


def _number_sentences(a: NumberSentences) -> str:
    return f"The response has {_number(a.relation, a.num_sentences, 'sentence')}."


def _number_paragraphs(a: NumberParagraphs) -> str:
    return f"The response has {_exactly(a.num_paragraphs, 'paragraph')}, divided by the markdown divider ***."


def _number_words(a: NumberWords) -> str:
    return f"The response has {_number(a.relation, a.num_words, 'word')}."


def _nth_paragraph(a: NthParagraphFirstWord) -> str:
    return (
        f"The response has {_exactly(a.num_paragraphs, 'paragraph')} with an empty line between paragraphs, and "
        f'paragraph {a.nth_paragraph} starts with the word "{a.first_word}".'
    )


def _placeholders(a: NumberPlaceholders) -> str:
    noun = _number("at least", a.num_placeholders, "placeholder")
    return f"The response contains {noun} in square brackets, such as [address]."


def _postscript(a: Postscript) -> str:
    return f'The response has a postscript that starts with "{a.postscript_marker.strip()}".'


def _bullets(a: NumberBulletLists) -> str:
    if a.num_bullets == 0:
        return "The response contains no bullet points."
    return f"The response contains {_exactly(a.num_bullets, 'bullet point')}, written in markdown (* or -)."


def _highlights(a: NumberHighlightedSections) -> str:
    noun = _number("at least", a.num_highlights, "section")
    return f"The response highlights {noun} in markdown, such as *highlighted section*."


def _sections(a: MultipleSections) -> str:
    splitter = a.section_spliter.strip()
    noun = _number("at least", a.num_sections, "section")
    return f'The response has {noun}, each begun by "{splitter}" and its number, such as "{splitter} 1".'


def _repeat_prompt(a: RepeatPrompt) -> str:
    return f'The response first repeats the following request word for word: "{a.prompt_to_repeat.strip()}"'


def _end(a: EndChecker) -> str:
    return f'The response ends with the exact phrase "{a.end_phrase.strip()}", and nothing follows it.'


def _capital_words(a: CapitalWordFrequency) -> str:
    return f"Words in all capital letters appear {_times(a.capital_relation, a.capital_frequency)} in the response."


def _plainly(text: str) -> Callable[[Any], str]:
    return lambda _: text


@dataclass(frozen=True, slots=True)
class _Entry:
    schema: type[RuleArguments]
    describe: Callable[[Any], str]


_LOCK = threading.Lock()
_ENTRIES: dict[str, _Entry] = {
    "keywords:existence": _Entry(Existence, _existence),
    "keywords:frequency": _Entry(Frequency, _frequency),
    "keywords:forbidden_words": _Entry(ForbiddenWords, _forbidden),
    "keywords:letter_frequency": _Entry(LetterFrequency, _letter),
    "language:response_language": _Entry(ResponseLanguage, _response_language),
    "length_constraints:number_sentences": _Entry(NumberSentences, _number_sentences),
    "length_constraints:number_paragraphs": _Entry(NumberParagraphs, _number_paragraphs),
    "length_constraints:number_words": _Entry(NumberWords, _number_words),
    "length_constraints:nth_paragraph_first_word": _Entry(NthParagraphFirstWord, _nth_paragraph),
    "detectable_content:number_placeholders": _Entry(NumberPlaceholders, _placeholders),
    "detectable_content:postscript": _Entry(Postscript, _postscript),
    "detectable_format:number_bullet_lists": _Entry(NumberBulletLists, _bullets),
    "detectable_format:constrained_response": _Entry(
        NoArguments, _plainly(f"The response is one of the following: {_quoted(OPTIONS, 'or')}")
    ),
    "detectable_format:number_highlighted_sections": _Entry(NumberHighlightedSections, _highlights),
    "detectable_format:multiple_sections": _Entry(MultipleSections, _sections),
    "detectable_format:json_format": _Entry(
        NoArguments, _plainly("The whole response is valid JSON; a markdown code fence around it is allowed.")
    ),
    "detectable_format:title": _Entry(
        NoArguments, _plainly("The response contains a title in double angular brackets, such as <<poem of joy>>.")
    ),
    "combination:two_responses": _Entry(
        NoArguments,
        _plainly("The response gives exactly two different answers, separated by six asterisks: ******."),
    ),
    "combination:repeat_prompt": _Entry(RepeatPrompt, _repeat_prompt),
    "startend:end_checker": _Entry(EndChecker, _end),
    "startend:quotation": _Entry(
        NoArguments, _plainly('The whole response is wrapped in double quotation marks: "...".')
    ),
    "change_case:capital_word_frequency": _Entry(CapitalWordFrequency, _capital_words),
    "change_case:english_capital": _Entry(
        NoArguments, _plainly("The whole response is in English and in capital letters only.")
    ),
    "change_case:english_lowercase": _Entry(
        NoArguments, _plainly("The whole response is in English and in lowercase letters only.")
    ),
    "punctuation:no_comma": _Entry(NoArguments, _plainly("The response contains no commas.")),
}
_IFEVAL = frozenset(_ENTRIES)


# --------------------------------------------------------------------------------------------- errors in words


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _in_words(schema: type[RuleArguments], detail: ErrorDetails) -> str:
    field = ".".join(str(step) for step in detail["loc"])
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if not field:
        return detail["msg"]
    if kind == "missing":
        return f"{field}: is missing; expected {_expected(schema, field)}"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(field, schema.model_fields, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"expected {list(schema.model_fields) or 'no arguments'}"
        return f"{field}: is not an argument of this rule; {known}"
    expected = {
        "int_type": _expected(schema, field),
        "greater_than_equal": f"a whole number of at least {context.get('ge')}",
        "string_type": "text",
        "tuple_type": "a list of texts",
        "too_short": "at least one text",
        "literal_error": context.get("expected", ""),
    }.get(kind, detail["msg"])
    return f"{field}: got {_show(value)} ({type(value).__name__}); expected {expected}"


def _expected(schema: type[RuleArguments], field: str) -> str:
    info = schema.model_fields.get(field.partition(".")[0])
    kind: Any = info.annotation if info is not None else None
    words: list[tuple[Any, str]] = [(int, "a whole number"), (str, "text"), (Relation, "'at least' or 'less than'")]
    return next((word for known, word in words if kind == known), "a list of texts")


def _either(names: list[str]) -> str:
    return " or ".join(repr(name) for name in names)


def _show(value: object, width: int = 80) -> str:
    text = repr(value if not isinstance(value, str) else value[: width + 1])
    return text if len(text) <= width else f"{text[: width - 3]}..."
