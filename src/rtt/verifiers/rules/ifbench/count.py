"""What is counted: the group ``count``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from rtt.rule_schemas.ifbench.counting import AtLeast, ExactNumber, KeywordsMultiple, SmallNumber, WordCountRange
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import (
    Bounds,
    Deadline,
    Finding,
    absent,
    counted,
    exactly,
    of_exact_count,
    offending,
    present,
    whole,
)
from rtt.verifiers.rules.ifbench.text import TRIMMED, Word, chunks, trimmed, word_set, word_tokens
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import WORD, lowered, raised, stripped


def word_count_range(text: str, arguments: WordCountRange, deadline: Deadline) -> Finding:
    r"""The number of words is in a range.

    Official behaviour: a word is a run of ``\w``, so "don't" is two.

    Evidence, satisfied: the whole response. Too many: the words beyond the most that are allowed violate; delete them
    and the verdict turns. Too few: something is missing, and all that is there supports.
    """
    return words_in_range(text, [match.span() for match in WORD.finditer(text)], arguments)


def words_in_range(text: str, words: Sequence[Bounds], arguments: WordCountRange) -> Finding:
    """The finding on the number of these words of the text."""
    reason = f"{len(words)} words, expected {arguments.min_words} to {arguments.max_words}"
    if len(words) < arguments.min_words:
        return absent(reason, [stripped(text)])
    if len(words) <= arguments.max_words:
        return whole(True, reason)
    return offending([(words[arguments.max_words][0], stripped(text)[1])], reason)


def unique_word_count(text: str, arguments: AtLeast, deadline: Deadline) -> Finding:
    """At least N different words.

    Official behaviour: words are divided by white space, their case and the punctuation at their ends ignored; a word
    of punctuation alone counts as one more, once.

    Evidence, satisfied: the whole response. Violated: something is missing, and all that is there supports.
    """
    different = {word.strip(TRIMMED) for word in text.lower().split()}
    reason = f"{len(different)} different words, expected at least {arguments.N}"
    return whole(True, reason) if len(different) >= arguments.N else absent(reason, [stripped(text)])


_CONJUNCTIONS = frozenset({"and", "but", "for", "nor", "or", "so", "yet"})


def conjunctions(text: str, arguments: SmallNumber, deadline: Deadline) -> Finding:
    """At least so many different coordinating conjunctions.

    Official behaviour: "and", "And" and "and," count as three different ones.

    Evidence: each conjunction supports, in both verdicts; violated, something is missing.
    """
    return conjunctions_that_differ(text, arguments, deadline, lambda word: word.text)


def conjunctions_that_differ(
    text: str, arguments: SmallNumber, deadline: Deadline, kind: Callable[[Word], str]
) -> Finding:
    """The finding on conjunctions of so many kinds; ``kind`` gets them with the punctuation at their ends."""
    found = [word for word in chunks(text, deadline) if trimmed(word).text.lower() in _CONJUNCTIONS]
    different = len({kind(word) for word in found})
    places = [trimmed(word).bounds for word in found]
    return counted(places, "at least", arguments.small_n, "different conjunctions", different)


_NUMBER = re.compile(r"""\d(?:[!-/:-@[-`{-~]*\d)*""")


def numbers(text: str, arguments: ExactNumber, deadline: Deadline) -> Finding:
    """Exactly N numbers.

    Official behaviour: punctuation is taken out first, so that "1,000", "3.14" and "1-2" are one number each; digits
    inside words count.

    Evidence, satisfied: each number supports; with none asked for, the whole response. Too many: the surplus, from the
    number after the N-th on, violates. Too few: something is missing, and those that are there support.
    """
    return exactly_so_many([match.span() for match in _NUMBER.finditer(text)], arguments.N)


def exactly_so_many(found: Sequence[Bounds], number: int) -> Finding:
    """The finding on exactly so many numbers, of which these were found."""
    return exactly(found, number, f"numbers: {len(found)}, expected exactly {number}")


_NAMES = word_set(
    "Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander Amelia Benjamin "
    "Harper Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel Ella Jacob Scarlett Nathan Victoria "
    "Elijah Layla Nicholas Audrey David Hannah Christopher Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella "
    "Jonathan"
)
_NAME = re.compile(rf"\b(?:{'|'.join(sorted(_NAMES))})\b")


def person_names(text: str, arguments: AtLeast, deadline: Deadline) -> Finding:
    """At least N different ones of fifty first names.

    Official behaviour: names as they are written, as words of their own.

    Evidence: each name supports, in both verdicts; violated, something is missing.
    """
    found = list(_NAME.finditer(text))
    different = len({match.group() for match in found})
    return counted([match.span() for match in found], "at least", arguments.N, "different names", different)


_PRONOUNS = word_set(
    "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers "
    "herself it its itself they them their theirs themselves this that these those who whom whose which what whoever "
    "whomever whatever whichever anybody anyone anything everybody everyone everything nobody nothing somebody someone "
    "something each either neither both all some any none"
)


def pronouns(text: str, arguments: AtLeast, deadline: Deadline) -> Finding:
    """At least N pronouns.

    Official behaviour: NLTK's tokens in lower case, a slash being a blank; "no one" and "one" are none, determiners
    such as "my" and "each" are.

    Evidence: each pronoun supports, in both verdicts; violated, something is missing.
    """
    lower, origin = lowered(text.replace("/", " "))
    found = [raised(word.bounds, origin) for word in word_tokens(lower, deadline) if word.text in _PRONOUNS]
    return counted(found, "at least", arguments.N, "pronouns")


_MARKS = ".,!?;:"
_INTERROBANG = re.compile(r"\?!|!\?|‽")


def punctuation(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each of ``. , ! ? ; :``, and an interrobang.

    Official behaviour: the interrobang is ``?!``, ``!?`` or ``‽``. The first ``?!`` (or, where there is none, the first
    ``!?``) does not count as a question mark and an exclamation mark as well.

    Evidence: all of these marks support, in both verdicts; violated, something is missing.
    """
    found = [(at, at + 1) for at, character in enumerate(text) if character in _MARKS or character == "‽"]
    if _INTERROBANG.search(text) is None:
        return absent("no interrobang (?!)", found)
    rest = text.replace("?!", "", 1)
    if len(rest) == len(text):
        rest = text.replace("!?", "", 1)
    lacking = [mark for mark in _MARKS if mark not in rest]
    if lacking:
        return absent(f"besides the interrobang there is no {' '.join(lacking)}", found)
    return present(found, "every mark is there")


_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def words_japanese(text: str, arguments: AtLeast, deadline: Deadline) -> Finding:
    """Every N-th word is Japanese.

    Official behaviour: words are divided by white space, and one with a single Kana or Chinese character is Japanese.
    An N-th word of digits or punctuation alone is passed over, and fewer than N words satisfy.

    Evidence is the N-th words: those that must be Japanese and are support, those that are not violate.
    """
    step = arguments.N
    due = [trimmed(word) for index, word in enumerate(chunks(text, deadline), start=1) if index % step == 0]
    due = [word for word in due if word.text and not word.text.isdigit()]
    wrong = [word for word in due if _JAPANESE.search(word.text) is None]
    if wrong:
        return offending([word.bounds for word in wrong], f"not Japanese: {wrong[0].text[:40]!r}")
    return present([word.bounds for word in due], f"each of {len(due)} words at a multiple of {step} is Japanese")


def keywords_multiple(text: str, arguments: KeywordsMultiple, deadline: Deadline) -> Finding:
    """Five keywords, once, twice, three, five and seven times.

    Official behaviour: whatever their case, inside words too; what overlaps counts once.

    Evidence, satisfied: each occurrence supports. Violated: the surplus of a keyword violates; with a keyword too few,
    something is missing, and, if there is no surplus, what there is of all of them supports.
    """
    return keywords_often(text, arguments, deadline, _anywhere)


def _anywhere(keyword: str, text: str, deadline: Deadline) -> list[Bounds]:
    """Where the keyword stands, whatever its case, inside words too."""
    lower, origin = lowered(text)
    target = keyword.lower()
    places: list[Bounds] = []
    at = lower.find(target)
    while at >= 0:
        deadline.remaining()
        places.append(raised((at, at + len(target)), origin))
        at = lower.find(target, at + len(target))
    return places


def keywords_often(
    text: str,
    arguments: KeywordsMultiple,
    deadline: Deadline,
    find: Callable[[str, str, Deadline], list[Bounds]],
) -> Finding:
    """The finding on the five keywords, each as often as asked for; ``find`` says where a keyword stands in a text."""
    found: list[Bounds] = []
    surplus: list[Bounds] = []
    wrong: list[str] = []
    too_few = False
    keywords = (arguments.keyword1, arguments.keyword2, arguments.keyword3, arguments.keyword4, arguments.keyword5)
    for keyword, number in zip(keywords, (1, 2, 3, 5, 7), strict=True):
        places = find(keyword.strip(), text, deadline)
        found += places[:number]
        surplus += places[number:]
        too_few |= len(places) < number
        if len(places) != number:
            wrong.append(f"{keyword.strip()!r}: {len(places)}, expected {number}")
    if not wrong:
        return of_exact_count(present(found, "each keyword as often as asked for"))
    reason = "; ".join(wrong)
    return of_exact_count(offending(surplus, reason, missing=too_few) if surplus else absent(reason, found))


RULES: Mapping[str, RegisteredRule] = {
    "count:conjunctions": RegisteredRule(conjunctions),
    "count:keywords_multiple": RegisteredRule(keywords_multiple),
    "count:numbers": RegisteredRule(numbers),
    "count:person_names": RegisteredRule(person_names),
    "count:pronouns": RegisteredRule(pronouns),
    "count:punctuation": RegisteredRule(punctuation),
    "count:unique_word_count": RegisteredRule(unique_word_count),
    "count:word_count_range": RegisteredRule(word_count_range),
    "count:words_japanese": RegisteredRule(words_japanese),
}
"""Each rule by its official name."""
