"""What the registry holds of a rule: its check, and the edits that should turn its verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtt.verdicts import Outcome, Span
from rtt.verifiers.rules.findings import Deadline, Finding

Check = Callable[[str, Any, Deadline], Finding]
"""From the text, the rule's arguments and a deadline to what was found."""

Edit = Callable[[str, Span, Outcome], str]
"""What to put in place of an evidence span to turn the verdict: from the text, the span and the outcome."""


def deleted(text: str, span: Span, outcome: Outcome) -> str:
    """Nothing in place of the span."""
    return ""


def marked(text: str, span: Span, outcome: Outcome) -> str:
    """Another character in place of a bullet: deleting the first of "- - -" would leave a bullet."""
    return "•"


def wrapped(text: str, span: Span, outcome: Outcome) -> str:
    """The quotation mark that is missing, beside the character in its place."""
    character = text[span.start : span.end]
    if outcome is Outcome.SATISFIED:
        return ""
    opens, closes = not text[: span.start].strip(), not text[span.end :].strip()
    return '"' * opens + character + '"' * closes


def capitalised(text: str, span: Span, outcome: Outcome) -> str:
    """The same in capital letters."""
    return _if_cased(text[span.start : span.end].upper(), str.isupper)


def lowercased(text: str, span: Span, outcome: Outcome) -> str:
    """The same in small letters."""
    return _if_cased(text[span.start : span.end].lower(), str.islower)


def _if_cased(word: str, holds: Callable[[str], bool]) -> str:
    """Small letters without a capital ("ª") cannot be put in capitals, so the word goes."""
    return word if holds(word) else ""


@dataclass(frozen=True, slots=True)
class RegisteredRule:
    """A rule's check and its counterfactual edit; ``reads_blank``: blank responses too are decided by the check."""

    check: Check
    edit: Edit = deleted
    reads_blank: bool = False
