"""Two parts in one response: ``combination:two_responses`` and ``repeat_prompt``."""

from __future__ import annotations

from rtt.rule_schemas.ifeval import RepeatPrompt
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, located, offending, present
from rtt.verifiers.rules.text import NOT_BLANK, lowered, raised, stripped

_SEPARATOR = "******"


def two_responses(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Exactly two answers that differ, separated by six asterisks.

    Official behaviour: a separator at the start or end is accepted, an empty answer between two separators violates.
    Answers are compared letter by letter, without blanks around them.

    Evidence, satisfied: the separator between the two supports; delete it and the verdict turns. Violated: with more
    answers, the separators after the first violate; of an empty answer, the separator that closes it; of two equal
    answers, the second; with one answer, something is missing and separators support (progress).
    """
    pieces: list[Bounds] = []
    start = 0
    for piece in text.split(_SEPARATOR):
        left, right = stripped(piece)
        pieces.append((start + left, start + right))
        start += len(piece) + len(_SEPARATOR)
    separators: list[Bounds] = []
    position = text.find(_SEPARATOR)
    while position >= 0:
        separators.append((position, position + len(_SEPARATOR)))
        position = text.find(_SEPARATOR, position + len(_SEPARATOR))
    # A separator closes the piece of the same index.
    answers = [k for k, (left, right) in enumerate(pieces) if left < right]
    empty = [separators[k] for k in range(1, len(separators)) if pieces[k][0] == pieces[k][1]]
    parting = [separators[k] for k in answers[:-1]]
    reason = f"{len(answers)} answers, expected 2"
    if empty:
        reason = f"an empty answer between two separators; {reason}"
        return offending([*empty, *parting[1:]], reason, missing=len(answers) < 2)
    if len(answers) < 2:
        return absent(reason, separators)
    if len(answers) > 2:
        return offending(parting[1:], reason)
    first, second = (pieces[k] for k in answers)
    if text[slice(*first)] == text[slice(*second)]:
        return offending([second], "the two answers are the same")
    return present(parting, reason)


def repeat_prompt(text: str, arguments: RepeatPrompt, deadline: Deadline) -> Finding:
    """The response starts with the request, word for word.

    Official behaviour: case and blanks around both are ignored.

    Evidence, satisfied: the repeated request supports (all of them, if it stands there several times in a row); delete
    it and the verdict turns. Violated: what stands before the request, if it comes later, violates (delete it and the
    verdict turns); else the word at which the response first differs violates, and what was right before it supports
    (to turn the verdict the rest of the request would have to be written); if the response ends before it differs,
    something is missing.
    """
    request = arguments.prompt_to_repeat.strip().lower()
    lower, origin = lowered(text)
    start, end = stripped(lower)
    repeated: list[Bounds] = []
    at = start
    while lower.startswith(request, at):
        repeated.append(raised((at, at + len(request)), origin))
        at += len(request)
        following = NOT_BLANK.search(lower, at)
        at = end if following is None else following.start()
    if repeated:
        return present(repeated, "the request is repeated first")
    later = lower.find(request, start)
    if later > 0:
        return offending([raised((start, later), origin)], "the request is repeated, but not first")
    same = _common(lower[start:end], request)
    if start + same >= end:
        return absent("the response ends within the request", [raised((start, end), origin)])
    word = start + same
    while word > start and not lower[word - 1].isspace():
        word -= 1
    stop = start + same
    while stop < end and not lower[stop].isspace():
        stop += 1
    if stop == start + same:  # it differs by a blank
        stop += 1
        word = start + same
    wrong = raised((word, stop), origin)
    right = located([raised((start, word), origin)], "support") if text[origin[start] : wrong[0]].strip() else ()
    found = f"the response differs from the request at {text[slice(*wrong)][:40]!r}"
    return Finding(False, found, (*right, *located([wrong], "violation")), missing=bool(right))


def _common(left: str, right: str) -> int:
    """How many characters the two have in common at their start."""
    size = min(len(left), len(right))
    if left[:size] == right[:size]:
        return size
    low, high = 0, size  # left[:low] == right[:low], left[:high] != right[:high]
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low
