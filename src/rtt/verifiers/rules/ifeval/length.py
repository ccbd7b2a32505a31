"""How long: ``length_constraints:number_words``, ``number_sentences``, ``number_paragraphs``,
``nth_paragraph_first_word``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from rtt.rule_schemas.ifeval import NthParagraphFirstWord, NumberParagraphs, NumberSentences, NumberWords
from rtt.verifiers.rules.findings import (
    Bounds,
    Deadline,
    Finding,
    absent,
    exactly,
    of_exact_count,
    offending,
    present,
    whole,
)
from rtt.verifiers.rules.text import NOT_BLANK, NOT_BLANK_RUN, WORD, sentences, stripped


def number_words(text: str, arguments: NumberWords, deadline: Deadline) -> Finding:
    r"""The response has at least, or fewer than, n words.

    Official behaviour: a word is a run of ``\w``, so "don't" is two.

    Evidence, satisfied: the whole response. Fewer than, violated: the tail from the n-th word to the end violates;
    delete it and the verdict turns. At least, violated: something is missing, and all that is there supports: every
    word is progress, only that it ended is not.
    """
    words = [match.span() for match in WORD.finditer(text)]
    return _length(text, words, arguments.relation, arguments.num_words, "words")


def number_sentences(text: str, arguments: NumberSentences, deadline: Deadline) -> Finding:
    """The response has at least, or fewer than, n sentences.

    Official behaviour: Punkt's sentences (see :func:`rtt.verifiers.rules.text.sentences`), so that a heading and the
    paragraph below it are one when no full stop stands between them.

    Evidence: as :func:`number_words`; the tail starts at the n-th sentence.
    """
    return _length(text, sentences(text, deadline), arguments.relation, arguments.num_sentences, "sentences")


def _length(text: str, items: Sequence[Bounds], relation: str, number: int, noun: str) -> Finding:
    reason = f"{len(items)} {noun}, expected {'fewer than' if relation == 'less than' else 'at least'} {number}"
    if relation == "at least":
        return whole(True, reason) if len(items) >= number else absent(reason, [stripped(text)])
    if len(items) < number:
        return whole(True, reason)
    return offending([(items[number - 1][0], stripped(text)[1])], reason)


_DIVIDER = re.compile(r"\s?\*\*\*\s?")


def number_paragraphs(text: str, arguments: NumberParagraphs, deadline: Deadline) -> Finding:
    """The response has exactly n paragraphs between dividers ``***``.

    Official behaviour: an empty paragraph between two dividers violates, at the start or end it does not count. "***"
    divides wherever it stands, as part of bold italics too.

    Evidence is the dividers. Satisfied: those between paragraphs support; with one paragraph, the whole response.
    Violated: too few, the dividers there are support and something is missing; too many, those after the n-th
    paragraph violate; an empty paragraph, the divider that closes it violates. Delete the violating ones and the
    paragraphs are joined.
    """
    return divided(text, [match.span() for match in _DIVIDER.finditer(text)], arguments.num_paragraphs)


def divided(text: str, dividers: Sequence[Bounds], number: int) -> Finding:
    """The finding on so many paragraphs between these dividers, each with ``***`` in it."""
    paragraphs = _between(text, dividers)
    filled = [not _is_blank(text, bounds) for bounds in paragraphs]
    marks = [_inner(text, bounds, "***") for bounds in dividers]
    count = sum(filled)
    empty = [marks[k] for k in range(1, len(marks)) if not filled[k]]
    first, last = (filled.index(True), len(filled) - 1 - filled[::-1].index(True)) if count else (0, 0)
    parting = [marks[k] for k in range(first, last) if filled[k]]
    reason = f"{count} paragraphs, expected {number}"
    if empty:
        reason = f"an empty paragraph between two dividers; {reason}"
        return of_exact_count(offending([*empty, *parting[number - 1 :]], reason, missing=count < number))
    return exactly(parting, number - 1, reason) if count else absent(reason)


def nth_paragraph_first_word(text: str, arguments: NthParagraphFirstWord, deadline: Deadline) -> Finding:
    r"""The response has exactly n paragraphs with empty lines between them, and the k-th starts with the word.

    Official behaviour: paragraphs are what stands between two line breaks in a row; empty ones do not count, yet the
    k-th is looked up among all of them: after a second empty line the check looks at the wrong paragraph, or at an
    empty one, which violates. The first word runs to a blank or one of ``. , ? ! ' "``, after quotation marks at its
    start; case is ignored.

    Evidence, satisfied: the word and the gaps between paragraphs support. Violated: another word in its place
    violates; too many paragraphs, the gaps after the n-th violate; an empty paragraph in the k-th place violates; too
    few paragraphs, what is right supports and something is missing.
    """
    paragraphs = _between(text, [match.span() for match in _EMPTY_LINE.finditer(text)])
    return nth_first_word(text, paragraphs, arguments, _first_word)


def nth_first_word(
    text: str,
    paragraphs: Sequence[Bounds],
    arguments: NthParagraphFirstWord,
    first_word: Callable[[str, int], Bounds],
) -> Finding:
    """The finding on the first word of the n-th of these paragraphs, and on how many of them are not blank.

    Args:
        first_word: where the first word at or after a place lies; it may be empty.
    """
    filled = [bounds for bounds in paragraphs if not _is_blank(text, bounds)]
    gaps = [(before[1], after[0]) for before, after in itertools.pairwise(filled)]
    number, nth = arguments.num_paragraphs, arguments.nth_paragraph
    problems: list[str] = []
    right: list[Bounds] = gaps[: number - 1]
    wrong: list[Bounds] = gaps[number - 1 :]
    if len(filled) != number:
        problems.append(f"{len(filled)} paragraphs, expected {number}")
    if nth <= len(filled):
        start, end = paragraphs[nth - 1]
        if _is_blank(text, (start, end)):
            problems.append(f"paragraph {nth} is empty")
            following = next((bounds[0] for bounds in paragraphs[nth:] if not _is_blank(text, bounds)), len(text))
            wrong.append((start, following))
        else:
            found = first_word(text, start)
            word = "".join(character.lower() for character in text[slice(*found)])
            if word == arguments.first_word.lower():
                right.append(found)
            else:
                problems.append(f"paragraph {nth} starts with {word!r}, expected {arguments.first_word!r}")
                chunk = NOT_BLANK_RUN.search(text, start)
                wrong.append(found if found[0] < found[1] or chunk is None else chunk.span())
    missing = len(filled) < number
    if not problems:
        return present(right, f"{number} paragraphs, paragraph {nth} starts with {arguments.first_word!r}")
    if wrong:
        return offending(wrong, "; ".join(problems), missing=missing)
    return absent("; ".join(problems), right)


_EMPTY_LINE = re.compile(r"\n\n")
_WORD_ENDS = re.compile(r"[.,?!'\"\s]")


def _first_word(text: str, start: int) -> Bounds:
    """The first word at or after ``start``, where something stands, without quotation marks; it may be empty."""
    chunk = NOT_BLANK_RUN.search(text, start)
    if chunk is None:
        return start, start
    start, end = chunk.span()
    word = chunk.group().lstrip("'").lstrip('"')
    start = end - len(word)
    stop = _WORD_ENDS.search(text, start, end)
    return start, end if stop is None else stop.start()


def _between(text: str, dividers: Sequence[Bounds]) -> list[Bounds]:
    """What the dividers leave: one more than there are of them."""
    starts = [0, *(end for _, end in dividers)]
    ends = [*(start for start, _ in dividers), len(text)]
    return list(zip(starts, ends, strict=True))


def _is_blank(text: str, bounds: Bounds) -> bool:
    return NOT_BLANK.search(text, *bounds) is None


def _inner(text: str, bounds: Bounds, mark: str) -> Bounds:
    start = text.index(mark, *bounds)
    return start, start + len(mark)
