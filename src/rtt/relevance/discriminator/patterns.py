"""Patterns: features of any text that can be pointed at, beyond the rules, each asked for in many words.

    Pattern    things of a kind       "Mention a colour."  "Do not use semicolons."  "Use at least 3 adverbs."
    Place      a part of the text     "The second sentence has a number in it."  "Keep the last line under 30 words."
    Every      all parts of a kind    "Every sentence has a number in it."

A criterion need not have been in the prompt: whether a text has digits in it can be asked of any text, and the answer
comes with the characters that it hangs on. A model that learns from many unlike patterns, besides the rules, finds
what kinds of criteria that it never saw hang on; :data:`HELD_OUT_KINDS` is kept away from it to see how well.

The labels follow the rules (:mod:`rtt.verifiers.rules`), so that both can be learned from together:

    asked for, there             satisfied   what is there supports
    asked for, not there         violated    missing, nothing is to blame; what there is of it (2 of 3) supports
    unwanted, there              violated    what is there violates; of "at most n", what is beyond the n-th
    unwanted, not there          satisfied   the whole response carries it, the absence is nowhere in particular
    asked of a place             satisfied   what is asked for, in the place; or the place, when it is so as a whole
                                 violated    what is not wanted, in the place; or the place, which should be otherwise

"The last sentence is moving" is no fact of the text, yet the characters that it hangs on are: such criteria have the
outcome *undetermined*, and the place as support.

Sentences and word lists are simple and deterministic: a text names a colour when it has one of the words listed in
``patterns.toml``, where the patterns are that regular expressions and lists can say.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from random import Random
from typing import Any, Protocol

from rtt.errors import ConfigurationError
from rtt.quotes import Spans, merged
from rtt.relevance.discriminator.examples import Example
from rtt.verdicts import Outcome

Parameter = str | int | None
"""What a pattern is about, beside its name: a letter, a word, a length; None where there is nothing to choose."""

Find = Callable[[str, Parameter], Spans]
Draw = Callable[[str, Random], Parameter]

FORMS = ("wanted", "unwanted", "at least", "at most", "exactly")
"""How a pattern may be asked for."""


class Asks(Protocol):
    """A kind of criterion that can be asked of any text."""

    @property
    def name(self) -> str:
        """Such as ``"pattern:digits"``."""
        ...

    def ask(self, text: str, rng: Random) -> Example | None:
        """A criterion of this kind with its labels for the text; None where the text has nothing to ask about."""
        ...


# ------------------------------------------------------------------------------------------------------ kinds of ask


@dataclass(frozen=True, slots=True)
class Pattern:
    """Things of a kind that a text has or has not.

    Attributes:
        name: ``"pattern:digits"``.
        find: from a text and a parameter to where the things are, sorted and disjoint.
        wordings: for each form (:data:`FORMS`, all or some) how to ask, with ``{p}`` for the parameter and ``{n}`` for
            the number.
        draw: a parameter that fits the text; None when there is none.
        inside, outside: the things in the singular ("a colour") and the plural ("colours").
    """

    name: str
    find: Find
    wordings: Mapping[str, tuple[str, ...]]
    draw: Draw | None = None
    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    def ask(self, text: str, rng: Random) -> Example | None:
        """A criterion about these things, in one of the forms, with its labels.

        Both outcomes come about: the numbers asked for are close to the number of things that there are.
        """
        parameter = None
        if self.draw is not None:
            parameter = self.draw(text, rng)
            if parameter is None:
                return None
        found = self.find(text, parameter)
        weights = (36, 26, 18, 10, 10) if found else (45, 40, 15, 0, 0)
        allowed = [(form, weight) for form, weight in zip(FORMS, weights, strict=True) if form in self.wordings]
        form = rng.choices([form for form, _ in allowed], [weight for _, weight in allowed])[0]
        number = 0
        if form in ("at least", "at most", "exactly"):
            number = max(2, len(found) + rng.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2)))
        return self.label(text, form, rng, parameter=parameter, number=number)

    def label(self, text: str, form: str, rng: Random, *, parameter: Parameter = None, number: int = 0) -> Example:
        """The criterion in one form, in a random wording, with its labels for the text.

        Args:
            text: the response.
            form: one of those that the pattern has wordings for.
            rng: chooses the wording.
            parameter: what the pattern is about, if it takes one.
            number: n of the counting forms, at least 2.

        Raises:
            ConfigurationError: the pattern has no wordings for this form.
        """
        if form not in self.wordings:
            raise ConfigurationError(f"{self.name}: got the form {form!r}; expected one of {list(self.wordings)}")
        found = self.find(text, parameter)
        index = rng.randrange(len(self.wordings[form]))
        wording = f"{self.name}/{form.replace(' ', '_')}/{index}"
        criterion = _filled(self.wordings[form][index], parameter, number)
        labelled = _counted(self.name, criterion, wording, text, form, found, number)
        return replace(labelled, asked=(form, parameter, number))

    def ask_again(self, example: Example, text: str) -> Example | None:
        """The criterion of an example of this pattern, in the same words, with its labels for another text.

        None where the example does not say how it was asked.
        """
        if example.asked is None:
            return None
        form, parameter, number = example.asked
        found = self.find(text, parameter)
        labelled = _counted(self.name, example.criterion, example.wording, text, form, found, number)
        return replace(labelled, asked=example.asked)


def _filled(template: str, parameter: Parameter, number: int) -> str:
    return template.replace("{n}", str(number)).replace("{p}", str(parameter))


def _counted(kind: str, criterion: str, wording: str, text: str, form: str, found: Spans, number: int) -> Example:
    """The labels of things that are counted: as the rules that count (``rtt.verifiers.rules.findings.counted``)."""
    least = {"wanted": 1, "at least": number, "exactly": number}.get(form, 0)
    most = {"unwanted": 0, "at most": number, "exactly": number}.get(form, len(found))
    if len(found) < least:
        return _example(kind, criterion, wording, text, Outcome.VIOLATED, support=found, missing=True)
    if len(found) > most:
        return _example(kind, criterion, wording, text, Outcome.VIOLATED, violation=found[most:])
    if form in ("unwanted", "at most"):
        return _example(kind, criterion, wording, text, Outcome.SATISFIED, whole=True)
    return _example(kind, criterion, wording, text, Outcome.SATISFIED, support=found)


def _example(
    kind: str,
    criterion: str,
    wording: str,
    text: str,
    outcome: Outcome,
    *,
    support: Spans = (),
    violation: Spans = (),
    missing: bool = False,
    whole: bool = False,
) -> Example:
    return Example(
        criterion=criterion,
        response=text,
        outcome=outcome,
        support=support,
        violation=violation,
        scope="response" if whole else "spans",
        missing=missing,
        kind=kind,
        wording=wording,
        source="pattern",
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the text, of which something is asked.

    Attributes:
        name: ``"pattern:first_sentence"``.
        unit: ``"sentence"``, ``"line"``, ``"paragraph"`` or ``"word"``.
        find: from a text and a parameter to the part, one span; none where there is no such part.
        called: the part in words, with ``{p}`` for the parameter: "the first sentence".
        draw: a parameter that fits the text; None when there is none.
    """

    name: str
    unit: str
    find: Find
    called: tuple[str, ...]
    draw: Draw | None = None

    def ask(self, text: str, rng: Random) -> Example | None:
        """Something asked of the place, with its labels; None where the text has no such place."""
        parameter = None
        if self.draw is not None:
            parameter = self.draw(text, rng)
            if parameter is None:
                return None
        found = self.find(text, parameter)
        if not found:
            return None
        place = found[0]
        asks = _OF_WORDS if self.unit == "word" else _OF_TEXT
        what = rng.choices(tuple(asks), [weight for weight, _ in asks.values()])[0]
        return asks[what][1](self, what, text, place, parameter, rng)

    def worded(self, what: str, templates: Sequence[str], parameter: Parameter, rng: Random) -> tuple[str, str]:
        """A wording's id, and its text with the place in it; what is asked for is still to be filled in."""
        index = rng.randrange(len(templates))
        called = rng.randrange(len(self.called))
        place = self.called[called].replace("{p}", str(parameter))
        if isinstance(parameter, int):
            place = place.replace("{p-th}", _ordinal(parameter))
        template = templates[index].replace("{Place}", place[0].upper() + place[1:]).replace("{place}", place)
        return f"{self.name}/{what.replace(' ', '_')}/{index}.{called}", template


@dataclass(frozen=True, slots=True)
class Every:
    """All parts of a kind, of which each must have something.

    Violated, the parts without it violate, or what is not wanted in them; satisfied, what is asked for supports.
    """

    name: str
    split: Callable[[str], Spans]
    called: tuple[str, ...]

    def ask(self, text: str, rng: Random) -> Example | None:
        """A criterion that each part should meet, with its labels; None where there are fewer than two parts."""
        parts = self.split(text)
        if len(parts) < 2:
            return None
        called = rng.randrange(len(self.called))
        what = rng.choice(("contains", "contains", "at most", "at least", "letter"))
        violation: Spans
        support: Spans = ()
        if what == "contains":
            pattern, pieces = self._commonest(text, parts, rng)
            violation = tuple(part for part, piece in zip(parts, pieces, strict=True) if not piece)
            support = tuple(itertools.chain.from_iterable(pieces))
            value = rng.choice(pattern.inside)
        elif what == "letter":
            initials = [_initial(text, part) for part in parts]
            letter = Counter(initial or "t" for initial in initials).most_common(1)[0][0]
            violation = tuple(part for part, initial in zip(parts, initials, strict=True) if initial != letter)
            support = parts
            value = rng.choice((letter, letter.upper()))
        else:
            lengths = [len(_words_in(text, part)) for part in parts]
            outmost = max(lengths) if what == "at most" else min(lengths)
            limit = max(2, rng.choice((outmost, outmost, rng.choice(lengths))) + rng.choice((-1, 0, 0, 1)))
            wrong = [length > limit if what == "at most" else length < limit for length in lengths]
            violation = tuple(part for part, is_wrong in zip(parts, wrong, strict=True) if is_wrong)
            support = parts
            value = str(limit)
        templates = _EVERY[what]
        index = rng.randrange(len(templates))
        criterion = _sentence_case(templates[index].replace("{part}", self.called[called]).replace("{v}", value))
        wording = f"{self.name}/{what.replace(' ', '_')}/{index}.{called}"
        if violation:
            return _example(self.name, criterion, wording, text, Outcome.VIOLATED, support=(), violation=violation)
        return _example(self.name, criterion, wording, text, Outcome.SATISFIED, support=support)

    @staticmethod
    def _commonest(text: str, parts: Spans, rng: Random) -> tuple[Pattern, list[Spans]]:
        """Of a few patterns the one that most parts have, and where it is in each of them."""
        best: tuple[int, Pattern, list[Spans]] | None = None
        for pattern in rng.sample(_ASKED_OF_PLACES, 8):
            found = pattern.find(text, None)
            pieces = [_within(found, part) for part in parts]
            count = sum(map(bool, pieces))
            if best is None or count > best[0]:
                best = count, pattern, pieces
        assert best is not None  # nosec B101 # a fact for the type checker
        return best[1], best[2]


_EVERY: Mapping[str, tuple[str, ...]] = {
    "contains": (
        "Every {part} contains {v}.",
        "Put {v} into every {part}.",
        "There is {v} in each {part} of the response.",
        "Each {part} must have {v} in it.",
        "No {part} may be without {v}.",
        "Does every single {part} contain {v}?",
    ),
    "letter": (
        'Every {part} starts with the letter "{v}".',
        "Begin each {part} with the letter {v}.",
        "Each {part} of the answer must open with {v} as its first letter.",
        "No {part} may begin with any letter but {v}.",
    ),
    "at most": (
        "Every {part} has at most {v} words.",
        "Keep each {part} to {v} words or fewer.",
        "No {part} is longer than {v} words.",
        "Each {part} must not exceed {v} words.",
    ),
    "at least": (
        "Every {part} has at least {v} words.",
        "Make each {part} at least {v} words long.",
        "No {part} is shorter than {v} words.",
        "Each {part} needs a minimum of {v} words.",
    ),
}


# ------------------------------------------------------------------------------------------- what is asked of a place

Ask = Callable[[Place, str, str, tuple[int, int], Parameter, Random], Example | None]


def _mentions(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """The place has a word that is drawn from it, or from elsewhere in the text."""
    inside = rng.random() < 0.6
    pool = [text[s:e] for s, e in (_words_in(text, place) if inside else words(text)) if e - s > 3]
    word = rng.choice(pool or ["water"])
    found = tuple(
        (place[0] + match.start(), place[0] + match.end())
        for match in re.finditer(rf"\b{re.escape(word)}\b", text[slice(*place)], re.IGNORECASE)
    )
    wording, template = at.worded(what, _MENTIONS, parameter, rng)
    criterion = template.replace("{v}", word)
    if found:
        return _example(at.name, criterion, wording, text, Outcome.SATISFIED, support=found)
    return _example(at.name, criterion, wording, text, Outcome.VIOLATED, violation=(place,), missing=True)


def _contains(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """The place has something of a pattern in it."""
    pattern = _inside(text[slice(*place)], rng, likely=0.6)
    found = _within(pattern.find(text, None), place)
    wording, template = at.worded(what, _CONTAINS, parameter, rng)
    criterion = template.replace("{v}", rng.choice(pattern.inside))
    if found:
        return _example(at.name, criterion, wording, text, Outcome.SATISFIED, support=found)
    return _example(at.name, criterion, wording, text, Outcome.VIOLATED, violation=(place,), missing=True)


def _lacks(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """The place has nothing of a pattern in it."""
    pattern = _inside(text[slice(*place)], rng, likely=0.6)
    found = _within(pattern.find(text, None), place)
    wording, template = at.worded(what, _LACKS, parameter, rng)
    criterion = template.replace("{v}", rng.choice(pattern.outside))
    if found:
        return _example(at.name, criterion, wording, text, Outcome.VIOLATED, violation=found)
    return _example(at.name, criterion, wording, text, Outcome.SATISFIED, support=(place,))


def _long(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """The place has at least so many words."""
    return _length(at, what, _LONG, True, text, place, parameter, rng)


def _short(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """The place has at most so many words."""
    return _length(at, what, _SHORT, False, text, place, parameter, rng)


def _length(
    at: Place,
    what: str,
    templates: Sequence[str],
    more: bool,
    text: str,
    place: tuple[int, int],
    parameter: Parameter,
    rng: Random,
) -> Example:
    length = len(_words_in(text, place))
    number = max(2, length + rng.choice((-6, -3, -1, 0, 1, 3, 6)))
    wording, template = at.worded(what, templates, parameter, rng)
    met = length >= number if more else length <= number
    return _as_a_whole(at, template.replace("{v}", str(number)), wording, text, place, met)


def _asks(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """The place is, or ends in, a question."""
    wording, template = at.worded(what, _QUESTION, parameter, rng)
    met = _last_mark(text[slice(*place)]) == "?"
    return _as_a_whole(at, template, wording, text, place, met)


def _opens(
    at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random
) -> Example | None:
    """The place begins with a letter: of its first word."""
    first = next(iter(_words_in(text, place)), None)
    if first is None or not text[first[0]].isalpha():
        return None
    initial = text[first[0]].lower()
    letter = initial if rng.random() < 0.5 else rng.choice("abcdehilmnoprstw")
    wording, template = at.worded(what, _OPENS, parameter, rng)
    criterion = template.replace("{v}", rng.choice((letter, letter.upper())))
    if initial == letter:
        return _example(at.name, criterion, wording, text, Outcome.SATISFIED, support=(first,))
    return _example(at.name, criterion, wording, text, Outcome.VIOLATED, violation=(first,))


def _is(at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random) -> Example:
    """Something that a person would have to judge: the place carries the verdict whatever it is."""
    wording, template = at.worded(what, _IS, parameter, rng)
    quality = rng.choice(_QUALITIES)
    return _example(at.name, template.replace("{v}", quality), wording, text, Outcome.UNDETERMINED, support=(place,))


def _as_a_whole(at: Place, criterion: str, wording: str, text: str, place: tuple[int, int], met: bool) -> Example:
    if met:
        return _example(at.name, criterion, wording, text, Outcome.SATISFIED, support=(place,))
    return _example(at.name, criterion, wording, text, Outcome.VIOLATED, violation=(place,))


def _letter_of_word(
    at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random
) -> Example:
    """The word starts, or ends, with a letter."""
    word = text[slice(*place)].lower()
    last = what == "ends"
    own = word[-1] if last else word[0]
    letter = own if rng.random() < 0.5 and own.isalpha() else rng.choice("abcdeghilmnoprstwy")
    wording, template = at.worded(what, _WORD_ENDS if last else _OPENS, parameter, rng)
    return _as_a_whole(at, template.replace("{v}", letter), wording, text, place, own == letter)


def _size_of_word(
    at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random
) -> Example:
    """The word has at least, or at most, so many letters."""
    size = _letters(text[slice(*place)])
    number = max(2, size + rng.choice((-2, -1, 0, 1, 2)))
    wording, template = at.worded(what, _WORD_LONG if what == "long" else _WORD_SHORT, parameter, rng)
    met = size >= number if what == "long" else size <= number
    return _as_a_whole(at, template.replace("{v}", str(number)), wording, text, place, met)


def _case_of_word(
    at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random
) -> Example:
    """The word starts with a capital letter."""
    wording, template = at.worded(what, _WORD_CAPITALISED, parameter, rng)
    return _as_a_whole(at, template, wording, text, place, text[place[0]].isupper())


def _word_is(
    at: Place, what: str, text: str, place: tuple[int, int], parameter: Parameter, rng: Random
) -> Example | None:
    """The word is one that is given; not asked of the last word, which a rule on ends of responses is about."""
    if "last" in at.name:
        return None
    own = text[slice(*place)]
    word = own if rng.random() < 0.5 else text[slice(*rng.choice(words(text)))]
    wording, template = at.worded(what, _WORD_IS, parameter, rng)
    return _as_a_whole(at, template.replace("{v}", word), wording, text, place, own.lower() == word.lower())


_MENTIONS = (
    '{Place} contains the word "{v}".',
    'Use the word "{v}" in {place}.',
    "{Place} must mention {v}.",
    'The word "{v}" has to appear in {place}.',
    'Does {place} include "{v}"?',
    "{Place} talks about {v}.",
)
_CONTAINS = (
    "{Place} contains {v}.",
    "Put {v} in {place}.",
    "There should be {v} in {place}.",
    "{Place} must include {v}.",
    "In {place}, use {v}.",
    "Is there {v} in {place}?",
    "I expect {place} to have {v} in it.",
)
_LACKS = (
    "{Place} contains no {v}.",
    "Do not put any {v} in {place}.",
    "{Place} must be free of {v}.",
    "Avoid {v} in {place}.",
    "There should not be any {v} in {place}.",
    "Keep {v} out of {place}.",
)
_LONG = (
    "{Place} has at least {v} words.",
    "Make {place} at least {v} words long.",
    "Use {v} or more words in {place}.",
    "{Place} must not be shorter than {v} words.",
    "{Place} needs a minimum of {v} words.",
)
_SHORT = (
    "{Place} has at most {v} words.",
    "Keep {place} to {v} words or fewer.",
    "{Place} must not be longer than {v} words.",
    "Use no more than {v} words in {place}.",
    "{Place} is limited to {v} words.",
)
_QUESTION = (
    "{Place} is a question.",
    "Phrase {place} as a question.",
    "{Place} should ask the reader something.",
    "{Place} ends in a question mark.",
    "Is {place} a question?",
)
_OPENS = (
    'The first letter of {place} is "{v}".',
    "{Place} starts with the letter {v}.",
    "Begin {place} with the letter {v}.",
    "Let {place} open with {v} as its first letter.",
)
_IS = (
    "{Place} is {v}.",
    "Make {place} {v}.",
    "{Place} should be {v}.",
    "How {v} is {place}?",
    "Try to keep {place} {v}.",
    "I would like {place} to be {v}.",
)
_QUALITIES = (
    "engaging", "funny", "clear", "polite", "vivid", "serious", "surprising", "friendly", "formal", "dramatic",
    "accurate", "persuasive", "easy to understand", "relevant to the topic", "moving", "convincing", "grammatical",
    "free of errors", "optimistic", "concise", "specific", "memorable", "suspenseful", "well written", "warm",
    "helpful", "original", "neutral in tone", "professional", "suitable for children",
)  # fmt: skip
_WORD_ENDS = (
    'The last letter of {place} is "{v}".',
    "{Place} ends in the letter {v}.",
    "Let {place} finish with the letter {v}.",
    "{Place} must have {v} as its last letter.",
)
_WORD_LONG = (
    "{Place} has at least {v} letters.",
    "Choose a word of {v} or more letters as {place}.",
    "{Place} must not be shorter than {v} letters.",
    "Make {place} at least {v} characters long.",
)
_WORD_SHORT = (
    "{Place} has at most {v} letters.",
    "Choose a word of {v} letters or fewer as {place}.",
    "{Place} must not be longer than {v} letters.",
    "Keep {place} to {v} characters at the most.",
)
_WORD_CAPITALISED = (
    "{Place} starts with a capital letter.",
    "Capitalise {place}.",
    "{Place} must be capitalised.",
    "Write {place} with a capital first letter.",
)
_WORD_IS = (
    '{Place} is "{v}".',
    'Use "{v}" as {place}.',
    '{Place} must be the word "{v}".',
    "Is {place} {v}?",
)
_OF_TEXT: Mapping[str, tuple[int, Ask]] = {
    "mentions": (22, _mentions),
    "contains": (22, _contains),
    "lacks": (16, _lacks),
    "long": (8, _long),
    "short": (8, _short),
    "question": (5, _asks),
    "opens": (7, _opens),
    "is": (12, _is),
}
_OF_WORDS: Mapping[str, tuple[int, Ask]] = {
    "opens": (3, _letter_of_word),
    "ends": (2, _letter_of_word),
    "long": (2, _size_of_word),
    "short": (2, _size_of_word),
    "capital": (2, _case_of_word),
    "is": (3, _word_is),
}


def _inside(text: str, rng: Random, *, likely: float) -> Pattern:
    """A pattern without a parameter to ask a place about: with the chance ``likely`` one that the text has, if any."""
    several = rng.sample(_ASKED_OF_PLACES, 8)
    if rng.random() < likely:
        return next((pattern for pattern in several if pattern.find(text, None)), several[0])
    return several[0]


# ----------------------------------------------------------------------------------------------------- parts of text

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_STOP = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|\n+")
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|(?-i:[A-HJ-Z]))|(?:^|\n)\s*\d+)\.$", re.IGNORECASE
)
_LEAD = re.compile(r"(?:[\s#>*_•+-]|\d+[.)]\s)*")
_LINE = re.compile(r"\S(?:[^\n]*\S)?")
_EMPTY_LINES = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")


@functools.lru_cache(maxsize=512)
def words(text: str) -> Spans:
    """Where the words are: letters and digits, with apostrophes and hyphens between them."""
    return tuple([match.span() for match in _WORD.finditer(text)])


@functools.lru_cache(maxsize=512)
def sentences(text: str) -> Spans:
    """Where the sentences are: to a full stop, question or exclamation mark, or to the end of the line.

    List markers and heading signs before a sentence do not belong to it; what has no letter is none.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for stop in (*_STOP.finditer(text), None):
        end = len(text) if stop is None else stop.end()
        if stop is not None and stop.group() == "." and _ABBREVIATED.search(text, max(0, end - 12), end):
            continue
        lead = _LEAD.match(text, start, end)
        left = start if lead is None else lead.end()
        right = left + len(text[left:end].rstrip())
        if any(character.isalpha() for character in text[left:right]):
            found.append((left, right))
        start = end
    return tuple(found)


@functools.lru_cache(maxsize=512)
def lines(text: str) -> Spans:
    """Where the lines are that are not blank, without blanks around them."""
    return tuple([match.span() for match in _LINE.finditer(text)])


@functools.lru_cache(maxsize=512)
def paragraphs(text: str) -> Spans:
    """Where the paragraphs are: what stands between empty lines."""
    found: list[tuple[int, int]] = []
    start = 0
    for gap in (*_EMPTY_LINES.finditer(text), None):
        end = len(text) if gap is None else gap.start()
        piece = text[start:end]
        if piece.strip():
            found.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
        start = len(text) if gap is None else gap.end()
    return tuple(found)


def _words_in(text: str, part: tuple[int, int]) -> Spans:
    found = words(text)
    first = bisect.bisect_left(found, (part[0], 0))
    last = bisect.bisect_left(found, (part[1], 0), lo=first)
    return found[first:last] if first == last or found[last - 1][1] <= part[1] else found[first : last - 1]


def _initial(text: str, part: tuple[int, int]) -> str:
    """The first letter of a part, small; empty where it does not begin with a word of letters."""
    first = _WORD.search(text, *part)
    return first.group()[0].lower() if first is not None and first.group()[0].isalpha() else ""


def _within(found: Spans, place: tuple[int, int]) -> Spans:
    return tuple([span for span in found if place[0] <= span[0] and span[1] <= place[1]])


def _letters(word: str) -> int:
    return sum(map(str.isalpha, word))


def _size(text: str) -> int:
    return len(_WORD.findall(text))


def _number(parameter: Parameter) -> int:
    return parameter if isinstance(parameter, int) else 0


def _last_mark(sentence: str) -> str:
    """The last character, quotation marks and brackets after it aside."""
    return sentence.rstrip("\"'”’)]*_ ")[-1:]


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def _ordinal(number: int) -> str:
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return names[number - 1] if number <= len(names) else f"{number}th"


# -------------------------------------------------------------------------------------------------- finding by pattern


def _matching(expression: str, flags: re.RegexFlag) -> Find:
    """Where a regular expression matches: its group ``it`` if it has one, else all of it."""
    compiled = re.compile(expression, flags)
    group: int | str = "it" if "it" in compiled.groupindex else 0

    def find(text: str, parameter: Parameter) -> Spans:
        return tuple([match.span(group) for match in compiled.finditer(text) if match.end(group) > match.start(group)])

    return find


def _listed(entries: str, *, inflected: bool, flags: re.RegexFlag) -> Find:
    """Where one of the words, which commas part, stands as a whole word; inflected, with a plural in -s or -es too."""
    parts = sorted({" ".join(entry.split()) for entry in entries.split(",")}, key=len, reverse=True)
    body = "|".join(re.escape(part).replace("'", "['’]") for part in parts)
    return _matching(rf"(?<![\w'’])(?:{body}){'(?:e?s)?' if inflected else ''}(?!\w)", flags)


def _ending(*endings: str) -> Find:
    """The words with one of these endings and something before it."""
    return _about_words(lambda word, p: word.endswith(endings) and word not in endings)


def _about_words(holds: Callable[[str, Parameter], bool]) -> Find:
    """The words of which something holds; they are handed over in small letters."""

    def find(text: str, parameter: Parameter) -> Spans:
        lower = text.lower()
        if len(lower) != len(text):
            lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        return tuple([span for span in words(text) if holds(lower[slice(*span)], parameter)])

    return find


def _about_sentences(holds: Callable[[str, Parameter], bool]) -> Find:
    def find(text: str, parameter: Parameter) -> Spans:
        return tuple([span for span in sentences(text) if holds(text[slice(*span)], parameter)])

    return find


def _repeated(text: str, parameter: Parameter) -> Spans:
    """Words of four letters or more that stand in the text more than once, from their second time on."""
    seen: set[str] = set()
    found: list[tuple[int, int]] = []
    for start, end in words(text):
        word = text[start:end].lower()
        if len(word) > 3:
            if word in seen:
                found.append((start, end))
            seen.add(word)
    return tuple(found)


def _single(text: str, parameter: Parameter) -> Spans:
    """Words of seven letters or more that stand in the text only once."""
    counts = Counter(text[start:end].lower() for start, end in words(text))
    return tuple([(s, e) for s, e in words(text) if e - s > 6 and counts[text[s:e].lower()] == 1])


def _alliterating(text: str, parameter: Parameter) -> Spans:
    """Neighbouring words with the same first letter, small words such as "to the" aside."""
    pairs = [
        (before[0], after[1])
        for before, after in itertools.pairwise(words(text))
        if before[1] - before[0] > 2
        and after[1] - after[0] > 2
        and text[before[1] : after[0]] == " "
        and text[before[0]].isalpha()
        and text[before[0]].lower() == text[after[0]].lower()
    ]
    return merged(tuple(pairs))


def _numbered_words(text: str, number: int) -> Spans:
    found = words(text)
    return (found[number - 1],) if number <= len(found) else ()


def _opening_with(text: str, parameter: Parameter) -> Spans:
    return tuple([span for span in sentences(text) if _initial(text, span) == str(parameter).lower()])


def _with_word(text: str, parameter: Parameter) -> Spans:
    word = re.compile(rf"\b{re.escape(str(parameter))}\b", re.IGNORECASE)
    return tuple([span for span in sentences(text) if word.search(text, *span)])


def _after_word(text: str, parameter: Parameter) -> Spans:
    wanted = str(parameter).lower()
    return tuple(
        [after for before, after in itertools.pairwise(words(text)) if text[slice(*before)].lower() == wanted][:1]
    )


def _before_word(text: str, parameter: Parameter) -> Spans:
    wanted = str(parameter).lower()
    return tuple(
        [before for before, after in itertools.pairwise(words(text)) if text[slice(*after)].lower() == wanted][:1]
    )


def _at(split: Callable[[str], Spans], index: int) -> Find:
    def find(text: str, parameter: Parameter) -> Spans:
        parts = split(text)
        return (parts[index],) if -len(parts) <= index < len(parts) else ()

    return find


def _nth(split: Callable[[str], Spans]) -> Find:
    def find(text: str, parameter: Parameter) -> Spans:
        parts = split(text)
        return (parts[parameter - 1],) if isinstance(parameter, int) and parameter <= len(parts) else ()

    return find


def _by_size(split: Callable[[str], Spans], best: Callable[..., tuple[int, int]]) -> Find:
    def find(text: str, parameter: Parameter) -> Spans:
        parts = split(text)
        return (best(parts, key=lambda part: len(_words_in(text, part))),) if len(parts) > 1 else ()

    return find


def _draw_initial(text: str, rng: Random) -> Parameter:
    found = words(text)
    letters = [text[start].lower() for start, _ in found if text[start].isalpha()]
    return rng.choice(letters) if letters and rng.random() < 0.7 else rng.choice("abcdefghijklmnoprstuvwyz")


def _draw_final(text: str, rng: Random) -> Parameter:
    letters = [text[end - 1].lower() for _, end in words(text) if text[end - 1].isalpha()]
    return rng.choice(letters) if letters and rng.random() < 0.7 else rng.choice("adefghklmnoprstwy")


def _draw_pair(text: str, rng: Random) -> Parameter:
    return rng.choice(("th", "ch", "sh", "qu", "ea", "oo", "ou", "ai", "st", "tr", "ph", "gh", "ck", "ie", "io", "ee"))


def _draw_length(low: int, high: int) -> Draw:
    return lambda text, rng: rng.randint(low, high)


def _draw_word(text: str, rng: Random) -> Parameter:
    pool = [text[s:e] for s, e in words(text) if e - s > 4]
    return rng.choice(pool) if pool else None


def _draw_index(split: Callable[[str], Spans], low: int, high: int) -> Draw:
    def draw(text: str, rng: Random) -> Parameter:
        high_here = min(high, len(split(text)))
        return rng.randint(low, high_here) if high_here >= low else None

    return draw


# ------------------------------------------------------------------------------------------------------- the registry

_WANTED = (
    "The response contains {one}.",
    "Use {one}.",
    "Include {one} somewhere in your answer.",
    "Make sure that there is {one} in the text.",
    "Your answer should have {many} in it.",
    "Work {one} into the reply.",
    "I want to see {many} in the response.",
    "Does the response contain {one}?",
    "The text must use {many}.",
    "There has to be {one} in the answer.",
)
_UNWANTED = (
    "The response contains no {many}.",
    "Do not use {many}.",
    "Avoid {many}.",
    "Your answer should not have any {many}.",
    "Leave out {many}.",
    "There must be no {many} in the text.",
    "Refrain from using {many}.",
    "Never use {one}.",
    "The reply has to get by without {many}.",
    "Is the response free of {many}?",
)
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "at least": (
        "Use at least {n} {many}.",
        "The response contains at least {n} {many}.",
        "Include {n} or more {many}.",
        "There should be no fewer than {n} {many}.",
        "Put a minimum of {n} {many} in your answer.",
        "I expect {n} {many} or more.",
    ),
    "at most": (
        "Use at most {n} {many}.",
        "The response contains no more than {n} {many}.",
        "Limit yourself to {n} {many}.",
        "The number of {many} must not be greater than {n}.",
        "Do not use more than {n} {many}.",
        "There may be up to {n} {many} in the answer.",
    ),
    "exactly": (
        "Use exactly {n} {many}.",
        "The response contains {n} {many}, no more and no fewer.",
        "There are precisely {n} {many} in the answer.",
        "The number of {many} is exactly {n}.",
    ),
}


def _named(templates: Sequence[str], one: Sequence[str], many: Sequence[str]) -> tuple[str, ...]:
    """Each template with the names of the pattern in it, every name used."""
    worded: list[str] = []
    for template in templates:
        names = one if "{one}" in template else many
        for name in names:
            worded.append(_sentence_case(template.replace("{one}", name).replace("{many}", name)))
    return tuple(worded)


_DOUBLE = re.compile(r"([a-z])\1")
_THE = re.compile(r"(?:the|this|it)\b", re.IGNORECASE)
_AND = re.compile(r"(?:and|but|so|or)\b", re.IGNORECASE)
_IF = re.compile(r"\bif\b", re.IGNORECASE)
_COMMAND = re.compile(
    r"(?:please |always |never )?(?:try|remember|use|make|take|keep|add|avoid|consider|think|let|be|do|don['’]t|start|"
    r"choose|find|look|imagine|ask|check|read|write|follow|create|give|get|go|come|stop|learn|mix|place|set|put|include|"
    r"ensure|feel free|practice|focus|visit|enjoy)\b",
    re.IGNORECASE,
)

_FINDERS: Mapping[str, tuple[Find, Draw | None]] = {
    "starting_with": (_about_words(lambda word, p: word[0] == p), _draw_initial),
    "ending_in": (_about_words(lambda word, p: word[-1] == p), _draw_final),
    "letter_pairs": (_about_words(lambda word, p: str(p) in word), _draw_pair),
    "long_words": (_about_words(lambda word, p: _letters(word) > _number(p)), _draw_length(7, 13)),
    "words_of_length": (_about_words(lambda word, p: len(word) == p and word.isalpha()), _draw_length(3, 11)),
    "double_letters": (_about_words(lambda word, p: _DOUBLE.search(word) is not None), None),
    "starting_with_vowel": (_about_words(lambda word, p: word[0] in "aeiou" and len(word) > 3), None),
    "repeated_words": (_repeated, None),
    "words_used_once": (_single, None),
    "alliteration": (_alliterating, None),
    "ing_words": (_ending("ing"), None),
    "ly_words": (_ending("ly"), None),
    "ed_words": (_ending("ed"), None),
    "tion_words": (_ending("tion", "sion"), None),
    "ness_words": (_ending("ness", "ment", "ity", "ship"), None),
    "able_words": (_ending("able", "ible", "ful", "ous"), None),
    "commands": (_about_sentences(lambda sentence, p: _COMMAND.match(sentence) is not None), None),
    "questions": (_about_sentences(lambda sentence, p: _last_mark(sentence) == "?"), None),
    "exclamations": (_about_sentences(lambda sentence, p: _last_mark(sentence) == "!"), None),
    "long_sentences": (_about_sentences(lambda sentence, p: _size(sentence) > _number(p)), _draw_length(8, 30)),
    "short_sentences": (_about_sentences(lambda sentence, p: _size(sentence) < _number(p)), _draw_length(4, 14)),
    "sentences_with_word": (_with_word, _draw_word),
    "sentences_opening_with": (_opening_with, _draw_initial),
    "sentences_opening_with_the": (_about_sentences(lambda sentence, p: _THE.match(sentence) is not None), None),
    "sentences_opening_with_conjunction": (
        _about_sentences(lambda sentence, p: _AND.match(sentence) is not None),
        None,
    ),
    "sentences_with_digit": (_about_sentences(lambda sentence, p: any(map(str.isdigit, sentence))), None),
    "conditions": (_about_sentences(lambda sentence, p: _IF.search(sentence) is not None), None),
    "short_lines": (lambda text, p: tuple([line for line in lines(text) if len(_words_in(text, line)) <= 4]), None),
}
"""How to find what no regular expression and no list of words says, and how to draw its parameter."""


def _read_patterns() -> tuple[Pattern, ...]:
    """The patterns of ``patterns.toml``, whose head explains the fields."""
    file = resources.files(__package__).joinpath("patterns.toml")
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple([_pattern(name, table) for name, table in tables.items()])


def _pattern(name: str, table: Mapping[str, Any]) -> Pattern:
    find: Find
    draw: Draw | None = None
    flags = functools.reduce(lambda sum_, flag: sum_ | _FLAGS[flag], table.get("flags", "i"), re.NOFLAG)
    if "regex" in table:
        find = _matching(table["regex"], flags)
    elif "words" in table:
        find = _listed(table["words"], inflected=table.get("inflected", True), flags=flags)
    else:
        find, draw = _FINDERS[name]
    one, many = tuple(table["one"]), tuple(table["many"])
    wordings = {form: _named(templates, one, many) for form, templates in _COUNTS.items()}
    wordings["wanted"] = (*_named(_WANTED, one, many), *table.get("wanted", ()))
    wordings["unwanted"] = (*_named(_UNWANTED, one, many), *table.get("unwanted", ()))
    forms = table.get("forms", FORMS)
    return Pattern(f"pattern:{name}", find, {form: wordings[form] for form in FORMS if form in forms}, draw, one, many)


_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}

_PATTERNS: tuple[Pattern, ...] = _read_patterns()

_PLACES: tuple[Place, ...] = (
    Place(
        "pattern:first_sentence",
        "sentence",
        _at(sentences, 0),
        ("the first sentence", "the opening sentence", "the sentence that the response starts with", "sentence 1"),
    ),
    Place(
        "pattern:second_sentence",
        "sentence",
        _at(sentences, 1),
        ("the second sentence", "sentence number two", "the sentence after the first one"),
    ),
    Place(
        "pattern:last_sentence",
        "sentence",
        _at(sentences, -1),
        ("the last sentence", "the final sentence", "the closing sentence"),
    ),
    Place(
        "pattern:next_to_last_sentence",
        "sentence",
        _at(sentences, -2),
        ("the next to last sentence", "the sentence before the last one", "the penultimate sentence"),
    ),
    Place(
        "pattern:nth_sentence",
        "sentence",
        _nth(sentences),
        ("the {p-th} sentence", "sentence {p}", "sentence number {p}"),
        _draw_index(sentences, 3, 8),
    ),
    Place(
        "pattern:longest_sentence",
        "sentence",
        _by_size(sentences, max),
        ("the longest sentence", "the sentence with the most words"),
    ),
    Place(
        "pattern:shortest_sentence",
        "sentence",
        _by_size(sentences, min),
        ("the shortest sentence", "the sentence with the fewest words"),
    ),
    Place(
        "pattern:sentence_with_word",
        "sentence",
        lambda text, p: _with_word(text, p)[:1],
        ('the first sentence with the word "{p}"', "the sentence that mentions {p} first"),
        _draw_word,
    ),
    Place("pattern:first_line", "line", _at(lines, 0), ("the first line", "the top line", "line 1")),
    Place("pattern:last_line", "line", _at(lines, -1), ("the last line", "the bottom line", "the final line")),
    Place(
        "pattern:nth_line",
        "line",
        _nth(lines),
        ("the {p-th} line that is not blank", "line {p} (blank lines do not count)"),
        _draw_index(lines, 2, 6),
    ),
    Place(
        "pattern:first_paragraph",
        "paragraph",
        _at(paragraphs, 0),
        ("the first paragraph", "the opening paragraph", "the introduction"),
    ),
    Place(
        "pattern:last_paragraph",
        "paragraph",
        _at(paragraphs, -1),
        ("the last paragraph", "the final paragraph", "the closing paragraph", "the conclusion"),
    ),
    Place(
        "pattern:nth_paragraph",
        "paragraph",
        _nth(paragraphs),
        ("the {p-th} paragraph", "paragraph {p}"),
        _draw_index(paragraphs, 2, 5),
    ),
    Place(
        "pattern:longest_paragraph",
        "paragraph",
        _by_size(paragraphs, max),
        ("the longest paragraph", "the paragraph with the most words"),
    ),
    Place("pattern:first_word", "word", _at(words, 0), ("the first word", "the opening word", "the word at the start")),
    Place("pattern:last_word", "word", _at(words, -1), ("the last word", "the final word", "the closing word")),
    Place("pattern:nth_word", "word", _nth(words), ("the {p-th} word", "word number {p}"), _draw_index(words, 2, 12)),
    Place(
        "pattern:word_after",
        "word",
        _after_word,
        ('the word right after the first "{p}"', 'the word next to the first "{p}", on its right'),
        _draw_word,
    ),
    Place(
        "pattern:word_before",
        "word",
        _before_word,
        ('the word right before the first "{p}"', 'the word in front of the first "{p}"'),
        _draw_word,
    ),
    Place(
        "pattern:longest_word",
        "word",
        lambda text, p: tuple(sorted(words(text), key=lambda w: w[0] - w[1])[:1]),
        ("the longest word", "the word with the most letters"),
    ),
)

_EVERYWHERE: tuple[Every, ...] = (
    Every("pattern:every_sentence", sentences, ("sentence",)),
    Every("pattern:every_paragraph", paragraphs, ("paragraph",)),
    Every("pattern:every_line", lines, ("line", "line of text")),
)

_ALL: tuple[Asks, ...] = (*_PATTERNS, *_PLACES, *_EVERYWHERE)
PATTERNS: Mapping[str, Asks] = {asked.name: asked for asked in _ALL}
"""Every pattern by its name."""

HELD_OUT_RULES: frozenset[str] = frozenset(
    {
        "keywords:forbidden_words",
        "punctuation:no_comma",
        "detectable_format:title",
        "detectable_content:postscript",
        "change_case:capital_word_frequency",
        "startend:end_checker",
        "detectable_content:number_placeholders",
    }
)
"""Rules that a discriminator is not trained on, to measure how it does on kinds that it never saw. No pattern is one of
them in other words: none is about commas, forbidden words, titles, postscripts, words in capitals, the phrase that the
response ends with, or square brackets."""

HELD_OUT_PATTERNS: frozenset[str] = frozenset(
    {
        "pattern:semicolons",
        "pattern:emails",
        "pattern:animals",
        "pattern:apologies",
        "pattern:second_sentence",
        "pattern:ing_words",
        "pattern:hashtags",
        "pattern:units",
    }
)
"""Patterns that are held out as well."""

HELD_OUT_KINDS: frozenset[str] = HELD_OUT_RULES | HELD_OUT_PATTERNS

_NO_PART = frozenset(
    {
        "pattern:repeated_words",
        "pattern:words_used_once",
        "pattern:questions",
        "pattern:exclamations",
        "pattern:commands",
        "pattern:conditions",
        "pattern:sentences_with_digit",
        "pattern:sentences_opening_with_the",
        "pattern:sentences_opening_with_conjunction",
        "pattern:numbered_items",
        "pattern:headings",
        "pattern:code_fences",
        "pattern:labels",
        "pattern:block_quotes",
        "pattern:rules_across",
        "pattern:indented_lines",
        "pattern:short_lines",
    }
)
"""Patterns of whole sentences, lines or texts, which a place of the text would not be asked to contain."""

_ASKED_OF_PLACES: tuple[Pattern, ...] = tuple(
    pattern
    for pattern in _PATTERNS
    if pattern.draw is None and pattern.name not in _NO_PART and pattern.name not in HELD_OUT_PATTERNS
)


def pattern_names() -> tuple[str, ...]:
    """The names of all patterns, sorted."""
    return tuple(sorted(PATTERNS))


def pattern_of(name: str) -> Asks:
    """The pattern with this name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in PATTERNS:
        raise ConfigurationError(f"pattern {name!r} is unknown; expected one of pattern_names()")
    return PATTERNS[name]
