"""Words and letters: ``keywords:existence``, ``frequency``, ``forbidden_words``, ``letter_frequency``."""

from __future__ import annotations

from rtt.rule_schemas.ifeval import Existence, ForbiddenWords, Frequency, LetterFrequency
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, counted, offending, present, whole
from rtt.verifiers.rules.text import lowered, pattern, raised


def existence(text: str, arguments: Existence, deadline: Deadline) -> Finding:
    """Each keyword occurs.

    Official behaviour: a keyword is a regular expression, case is ignored, and it is found inside words too ("cat" in
    "category").

    Evidence, satisfied: every occurrence of every keyword supports. Violated: the occurrences of the keywords that are
    there support (progress), and something is missing. Delete all of them and a satisfied verdict turns.
    """
    found: list[Bounds] = []
    lacking: list[str] = []
    for keyword in arguments.keywords:
        occurrences = pattern(keyword).find(text, deadline)
        found += occurrences
        if not occurrences:
            lacking.append(keyword)
    if lacking:
        return absent(f"not found: {', '.join(map(repr, lacking))}", found)
    return present(found, f"found: {', '.join(map(repr, arguments.keywords))}")


def frequency(text: str, arguments: Frequency, deadline: Deadline) -> Finding:
    """The keyword occurs at least, or fewer than, n times.

    Official behaviour: as :func:`existence`; blanks around the keyword are cut off.

    Evidence, at least: each occurrence supports, in both verdicts; violated, something is missing. Fewer than:
    satisfied, the whole response; violated, the surplus, from the n-th occurrence on, violates.
    """
    keyword = arguments.keyword.strip()
    found = pattern(keyword).find(text, deadline)
    return counted(found, arguments.relation, arguments.frequency, f"occurrences of {keyword!r}")


def forbidden_words(text: str, arguments: ForbiddenWords, deadline: Deadline) -> Finding:
    """None of the words occurs.

    Official behaviour: a word is a regular expression between word boundaries, case is ignored.

    Evidence, violated: every occurrence violates; delete them all and the verdict turns. Satisfied: the whole response
    (the absence is nowhere in particular).
    """
    found: list[Bounds] = []
    words: list[str] = []
    for word in dict.fromkeys(arguments.forbidden_words):
        occurrences = pattern(word, r"\b", r"\b").find(text, deadline)
        found += occurrences
        if occurrences:
            words.append(word)
    if words:
        return offending(found, f"found: {', '.join(map(repr, words))}")
    return whole(True, "none of the forbidden words occurs")


def letter_frequency(text: str, arguments: LetterFrequency, deadline: Deadline) -> Finding:
    """The character occurs at least, or fewer than, n times.

    Official behaviour: case is ignored. The official checker replaces what is not a letter ("#", "!") by a random
    letter; here the character that was asked for is counted.

    Evidence: as :func:`frequency`, one span a character.
    """
    letter = arguments.letter.lower()
    lower, origin = lowered(text)
    found: list[Bounds] = []
    # A letter whose lower case is two characters is officially never found.
    position = lower.find(letter) if len(letter) == 1 else -1
    while position >= 0:
        found.append(raised((position, position + 1), origin))
        position = lower.find(letter, position + 1)
    return counted(found, arguments.let_relation, arguments.let_frequency, f"occurrences of {arguments.letter!r}")
