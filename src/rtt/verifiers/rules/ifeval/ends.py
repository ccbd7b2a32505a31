"""How it starts and ends: ``startend:end_checker`` and ``quotation``."""

from __future__ import annotations

from rtt.rule_schemas.ifeval import EndChecker
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, located, offending, present
from rtt.verifiers.rules.text import lowered, raised, stripped


def end_checker(text: str, arguments: EndChecker, deadline: Deadline) -> Finding:
    """The response ends with the phrase.

    Official behaviour: case, blanks and straight double quotation marks at the end are ignored.

    Evidence, satisfied: the phrase at the end supports (all of them, if it stands there several times in a row); delete
    it and the verdict turns. Violated: what follows the last occurrence of the phrase violates (delete it and the
    verdict turns); if the phrase is nowhere but inside a longer word, something is missing and nothing is to blame.
    """
    phrase = arguments.end_phrase.strip().lower()
    lower, origin = lowered(text)
    end = len(lower.rstrip())
    tail = len(lower[:end].rstrip('"'))
    found: list[Bounds] = []
    while lower.endswith(phrase, 0, tail):
        found.append(raised((tail - len(phrase), tail), origin))
        tail = len(lower[: tail - len(phrase)].rstrip().rstrip('"'))
    if found:
        return present(found, f"ends with {arguments.end_phrase.strip()!r}")
    last = lower.rfind(phrase, 0, end)
    while last >= 0 and _amid_word(lower, last + len(phrase)):
        last = lower.rfind(phrase, 0, last + len(phrase) - 1)
    if last < 0:
        return absent(f"{arguments.end_phrase.strip()!r} is not there")
    start = last + len(phrase)
    start += len(lower[start:end]) - len(lower[start:end].lstrip())
    return offending([raised((start, end), origin)], f"goes on after {arguments.end_phrase.strip()!r}")


def _amid_word(text: str, at: int) -> bool:
    """Whether a word goes on over the boundary before ``at``: "the end" in "the endless road"."""
    return text[at - 1 : at].isalnum() and text[at : at + 1].isalnum()


def quotation(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The whole response stands in straight double quotation marks.

    Official behaviour: only the first and the last character count, so ``"a" and "b"`` is accepted, and curly
    quotation marks are not.

    Evidence, satisfied: the two marks support; delete them and the verdict turns. Violated: a first or last character
    that is no mark violates, a mark that is there supports, and something is missing. Put a mark before the wrong first
    character and after the wrong last one, and the verdict turns.
    """
    start, end = stripped(text)
    marks: list[Bounds] = []
    wrong: list[Bounds] = []
    for at in (start, end - 1) if end - start > 1 else (start,):
        (marks if text[at] == '"' else wrong).append((at, at + 1))
    if len(marks) == 2:
        return present(marks, "wrapped in quotation marks")
    evidence = sorted((*located(marks, "support"), *located(wrong, "violation")))
    return Finding(False, "not wrapped in double quotation marks", tuple(evidence), missing=True)
