"""Sentences against each other: the group ``sentence``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from rtt.rule_schemas.ifbench.counting import SmallNumber
from rtt.rule_schemas.ifbench.form import SentenceKeyword
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Deadline, Finding, absent, offending, present, whole
from rtt.verifiers.rules.ifbench.text import PUNCTUATION, bare_words
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import sentences


def increment(text: str, arguments: SmallNumber, deadline: Deadline) -> Finding:
    """Each sentence has exactly so many words more than the one before.

    Official behaviour: Punkt's sentences; words are divided by white space once ASCII punctuation is taken out. One
    sentence alone satisfies.

    Evidence, satisfied: the whole response. Violated: each sentence that does not have its number violates.
    """
    found = sentences(text, deadline)
    counts = [sum(1 for _ in bare_words(text, deadline, *bounds)) for bounds in found]
    wrong = [
        bounds
        for bounds, (before, count) in zip(found[1:], itertools.pairwise(counts), strict=True)
        if count != before + arguments.small_n
    ]
    shown = ", ".join(map(str, counts[:8])) + (", ..." if len(counts) > 8 else "")
    reason = f"words in the sentences: {shown}; expected {arguments.small_n} more each time"
    return offending(wrong, reason) if wrong else whole(True, reason)


def alliteration_increment(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each sentence has more alliterating words than the one before.

    Official behaviour: words that start with the letter of a neighbour count, those of several runs together, and not
    the longest run. One sentence alone satisfies.

    Evidence, satisfied: the whole response. Violated: each sentence that has no more than the one before violates.
    """
    found = sentences(text, deadline)
    counts = [_alliterating(text[slice(*bounds)]) for bounds in found]
    wrong = [
        bounds for bounds, (before, count) in zip(found[1:], itertools.pairwise(counts), strict=True) if count <= before
    ]
    shown = ", ".join(map(str, counts[:8])) + (", ..." if len(counts) > 8 else "")
    reason = f"alliterating words in the sentences: {shown}"
    return offending(wrong, reason) if wrong else whole(True, reason)


def _alliterating(sentence: str) -> int:
    """How many words start as a neighbour does; a run of n words counts n."""
    trimmed = (word.lstrip(PUNCTUATION + " ") for word in sentence.lower().split())
    count = 0
    runs = False
    for one, other in itertools.pairwise([word[0] for word in trimmed if word]):
        same = one == other
        count += (1 if runs else 2) if same else 0
        runs = same
    return count


def keyword(text: str, arguments: SentenceKeyword, deadline: Deadline) -> Finding:
    """A word stands in the N-th sentence.

    Official behaviour: Punkt's sentences; the word as it is written, between word boundaries, whatever its case.

    Evidence, satisfied: the word in this sentence supports. Violated: something is missing.
    """
    found = sentences(text, deadline)
    if len(found) < arguments.N:
        return absent(f"{len(found)} sentences, expected at least {arguments.N}")
    start, end = found[arguments.N - 1]
    pattern = rf"\b{re.escape(arguments.word)}\b"
    places = [match.span() for match in re.finditer(pattern, text[start:end], re.IGNORECASE)]
    if not places:
        return absent(f"{arguments.word!r} is not in sentence {arguments.N}")
    shifted = [(start + first, start + last) for first, last in places]
    return present(shifted, f"{arguments.word!r} is in sentence {arguments.N}")


RULES: Mapping[str, RegisteredRule] = {
    "sentence:alliteration_increment": RegisteredRule(alliteration_increment),
    "sentence:increment": RegisteredRule(increment),
    "sentence:keyword": RegisteredRule(keyword),
}
"""Each rule by its official name."""
