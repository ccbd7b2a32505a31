"""Capital and small letters: the rules of ``change_case``."""

from __future__ import annotations

import re
from collections.abc import Callable

from rtt.rule_schemas.ifeval import CapitalWordFrequency
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, counted, offending, whole
from rtt.verifiers.rules.ifeval.language import detect, name
from rtt.verifiers.rules.text import WORD, capital_words


def english_capital(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The response is in English, in capital letters only.

    Official behaviour: some letter is a capital and none is small, and the language detector, which is far less sure
    of capitals, says English or finds nothing to go by.

    Evidence, satisfied: the whole response. Violated: each word with a small letter violates; put them in capitals, and
    only the language is left to violate. A wrong language, or no letters with case: the whole response.
    """
    return _cased(text, deadline, "capital", str.isupper, str.islower, _is_small)


def english_lowercase(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The response is in English, in small letters only.

    Official behaviour and evidence: as :func:`english_capital`, with small and capital letters changed over.
    """
    return _cased(text, deadline, "lowercase", str.islower, str.isupper, _is_capital)


def _cased(
    text: str,
    deadline: Deadline,
    kind: str,
    holds: Callable[[str], bool],
    opposes: Callable[[str], bool],
    is_wrong: Callable[[str], bool],
) -> Finding:
    if holds(text):
        detected = detect(text)
        if detected is None or detected == "en":
            return whole(True, f"all letters are {kind}, in English")
        return whole(False, f"detected {name(detected)}, expected English")
    wrong: list[Bounds] = []
    for word in WORD.finditer(text):
        deadline.remaining()
        body = word.group()
        if opposes(body) or (not holds(body) and any(map(is_wrong, body))):
            wrong.append(word.span())
    wrong += _outside_words(text, is_wrong)
    if not wrong:
        return whole(False, f"no {kind} letter in it", missing=True)
    noun = "word" if len(wrong) == 1 else "words"
    return offending(wrong, f"{len(wrong)} {noun} not all {kind}, such as {text[slice(*wrong[0])][:40]!r}")


def _outside_words(text: str, is_wrong: Callable[[str], bool]) -> list[Bounds]:
    """Letters that no word has, such as "Ⓐ"."""
    if text.isascii():
        return []
    return [match.span() for match in _NO_WORD.finditer(text) if is_wrong(match.group())]


_NO_WORD = re.compile(r"[^\w\s]")


def _is_small(character: str) -> bool:
    return character.islower() or (character.istitle() and not character.isupper())


def _is_capital(character: str) -> bool:
    return character.isupper() or character.istitle()


def capital_word_frequency(text: str, arguments: CapitalWordFrequency, deadline: Deadline) -> Finding:
    """At least, or fewer than, n words in capital letters only.

    Official behaviour: a word is a token of NLTK (see :func:`rtt.verifiers.rules.text.capital_words`): "I" and "A"
    count, "DON'T" counts twice.

    Evidence, at least: each capital word supports, in both verdicts; violated, something is missing. Fewer than:
    satisfied, the whole response; violated, the surplus, from the n-th capital word on, violates.
    """
    found = capital_words(text, deadline)
    return counted(found, arguments.capital_relation, arguments.capital_frequency, "words in capital letters")
