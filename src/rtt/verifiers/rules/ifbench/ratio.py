"""Shares and balances: the group ``ratio``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Set
from functools import cache
from importlib import resources

from rtt.rule_schemas.ifbench.counting import Overlap, StopWords
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Deadline, Finding, absent, offending, whole
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import WORD, sentences, stripped


@cache
def _stop_words() -> frozenset[str]:
    lines = (resources.files("rtt.verifiers.rules.ifbench") / "stop_words.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def stop_words(text: str, arguments: StopWords, deadline: Deadline) -> Finding:
    r"""Stop words are at most so many percent of the words.

    Official behaviour: a word is a run of ``\w``, so that of "don't" the parts "don" and "t" are looked up, and found;
    the stop words are NLTK's 198 English ones. Without a word it is violated.

    Evidence, satisfied: the whole response. Violated: each stop word violates; delete them all and the verdict turns.
    """
    return stop_word_share(text, WORD, arguments.percentage, deadline)


def stop_word_share(text: str, words: re.Pattern[str], percentage: float, deadline: Deadline) -> Finding:
    """The finding on at most so many percent of stop words among what the expression takes for words."""
    count = 0
    found = []
    for match in words.finditer(text):
        deadline.remaining()
        count += 1
        if match.group().lower().replace("’", "'") in _stop_words():
            found.append(match.span())
    if not count:
        return whole(False, "no words", missing=True)
    share = len(found) / count * 100
    reason = f"stop words: {share:.1f} % of {count} words, expected at most {percentage} %"
    return whole(True, reason) if share <= percentage else offending(found, reason)


def _endings(text: str, deadline: Deadline) -> Counter[str]:
    return Counter(text[end - 1] for _, end in sentences(text, deadline))


def sentence_type(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Twice as many declarative sentences as questions.

    Official behaviour: Punkt's sentences that end with ``.`` and with ``?``; none of both satisfies, for 0 = 2 x 0.

    Evidence: the whole response, in both verdicts.
    """
    ends = _endings(text, deadline)
    return whole(ends["."] == 2 * ends["?"], f"{ends['.']} declarative sentences and {ends['?']} questions")


def sentence_balance(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """As many sentences that end with ``.`` as with ``?`` and with ``!``.

    Official behaviour: Punkt's sentences; none of all three satisfies.

    Evidence: the whole response, in both verdicts.
    """
    ends = _endings(text, deadline)
    counts = [ends[mark] for mark in ".?!"]
    return whole(len(set(counts)) == 1, f"sentences that end with . ? !: {counts[0]}, {counts[1]}, {counts[2]}")


def sentence_words(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Three sentences of the same number of characters.

    Official behaviour: Punkt's sentences; that their words differ, which the instruction asks for as well, is not
    checked.

    Evidence, satisfied: the whole response. Violated: sentences after the third violate; with fewer, something is
    missing and those there support; else those of another length than the first violate.
    """
    found = sentences(text, deadline)
    if len(found) > 3:
        return offending([(found[3][0], stripped(text)[1])], f"{len(found)} sentences, expected 3")
    if len(found) < 3:
        return absent(f"{len(found)} sentences, expected 3", found)
    lengths = [len(text[slice(*bounds)].strip()) for bounds in found]
    reason = f"three sentences of {', '.join(map(str, lengths))} characters"
    wrong = [bounds for bounds, length in zip(found, lengths, strict=True) if length != lengths[0]]
    return offending(wrong, reason) if wrong else whole(True, reason)


def overlap(text: str, arguments: Overlap, deadline: Deadline) -> Finding:
    """So many percent of the response's trigrams, give or take 2, are those of a reference text.

    Official behaviour: trigrams of characters, each counted once; a response of fewer than three characters violates.

    Evidence: the whole response, in both verdicts.
    """
    return shared(_trigrams(text), _trigrams(arguments.reference_text), arguments.percentage, "characters")


def shared(own: Set[Hashable], reference: Set[Hashable], wanted: float, noun: str) -> Finding:
    """The finding on trigrams, of which so many percent, give or take 2, are the reference's."""
    if not own:
        return whole(False, f"fewer than three {noun}", missing=True)
    share = len(own & reference) / len(own)
    reason = f"{share * 100:.1f} % of the trigrams are the reference's, expected {wanted} %, give or take 2"
    return whole(wanted - 2 <= share * 100 <= wanted + 2, reason)


def _trigrams(text: str) -> set[str]:
    return {text[at : at + 3] for at in range(len(text) - 2)}


RULES: Mapping[str, RegisteredRule] = {
    "ratio:overlap": RegisteredRule(overlap),
    "ratio:sentence_balance": RegisteredRule(sentence_balance),
    "ratio:sentence_type": RegisteredRule(sentence_type),
    "ratio:sentence_words": RegisteredRule(sentence_words),
    "ratio:stop_words": RegisteredRule(stop_words),
}
"""Each rule by its official name."""
