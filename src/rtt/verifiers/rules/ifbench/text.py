"""Text as IFBench's checkers read it: words without punctuation, and NLTK's word tokens, with their places.

All offsets are code points of the text that was handed in; white space is what ``str.split`` splits at.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from rtt.errors import VerifierError
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, present
from rtt.verifiers.rules.text import NOT_BLANK, NOT_BLANK_RUN, remembered, sentences, stripped

PUNCTUATION = string.punctuation
TRIMMED = PUNCTUATION + " "
"""What is stripped off the ends of words: ASCII punctuation and the space."""

_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)


MAX_SENTENCE = 200_000
"""The longest sentence that is cut into tokens, in characters: NLTK takes a second for it, and cannot be stopped."""


def word_set(words: str) -> frozenset[str]:
    """The words, divided by blanks."""
    return frozenset(words.split())


class Word(NamedTuple):
    """A word and the characters ``[start, end)`` that it was made of."""

    text: str
    start: int
    end: int

    @property
    def bounds(self) -> Bounds:
        """Its place."""
        return self.start, self.end


def bare(text: str) -> str:
    """The text without ASCII punctuation."""
    return text.translate(_NO_PUNCTUATION)


def chunks(text: str, deadline: Deadline, start: int = 0, end: int | None = None) -> Iterator[Word]:
    """What ``text[start:end].split()`` gives.

    Raises:
        VerifierError: the deadline passed.
    """
    for match in NOT_BLANK_RUN.finditer(text, start, len(text) if end is None else end):
        deadline.remaining()
        yield Word(match.group(), *match.span())


def bare_words(text: str, deadline: Deadline, start: int = 0, end: int | None = None) -> Iterator[Word]:
    """The words of the text once ASCII punctuation is taken out of it; those that had nothing else are gone.

    Their places leave out punctuation at their ends.

    Raises:
        VerifierError: the deadline passed.
    """
    for word in chunks(text, deadline, start, end):
        left = bare(word.text)
        if left:
            yield trimmed(word)._replace(text=left)


def trimmed(word: Word) -> Word:
    """The word without :data:`TRIMMED` at its ends."""
    left = word.text.lstrip(TRIMMED)
    start = word.start + len(word.text) - len(left)
    left = left.rstrip(TRIMMED)
    return Word(left, start, start + len(left))


def word_tokens(text: str, deadline: Deadline) -> list[Word]:
    """The tokens of NLTK's ``word_tokenize``: words, punctuation, the halves of contractions.

    A double quotation mark is the token `````` or ``''``, as there.

    Raises:
        VerifierError: the deadline passed, or a sentence is too long to be cut in time.
    """
    known = remembered(text)
    if "word tokens" not in known:
        known["word tokens"] = _tokens(text, deadline)
    return list(known["word tokens"])


def _tokens(text: str, deadline: Deadline) -> list[Word]:
    found: list[Word] = []
    for start, end in sentences(text, deadline):
        deadline.remaining()
        if end - start > MAX_SENTENCE:
            raise VerifierError(f"a sentence of {end - start:,} characters cannot be cut into words in time")
        at = start
        for token in _tokenizer().tokenize(text[start:end]):
            place = NOT_BLANK.search(text, at, end)
            at = end if place is None else place.start()
            size = len(token)
            if token in ("``", "''") and not text.startswith(token, at):
                size = 1  # it stands for a straight double quotation mark
            found.append(Word(token, at, min(at + size, end)))
            at = min(at + size, end)
    return found


@cache
def _tokenizer() -> Any:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer()


def only(text: str, wanted: str, what: str) -> Finding:
    """Whether the response is ``wanted`` and nothing else, whatever the case and the blanks around.

    Evidence, satisfied: the response supports. Violated: where ``wanted`` stands in it, what else there is violates; if
    not, something is missing.
    """
    start, end = stripped(text)
    lower, target = text[start:end].lower(), wanted.strip().lower()
    if lower == target:
        return present([(start, end)], f"the response is {what}")
    at = lower.find(target) if target and len(lower) == end - start else -1
    if at < 0:
        return absent(f"the response is not {what}")
    at += start
    return offending([(start, at), (at + len(target), end)], f"more than {what}")
