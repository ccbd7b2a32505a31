"""The prompt again: the group ``repeat``."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.rule_schemas.ifbench.counting import RepeatChange, RepeatSpan
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Deadline, Finding, absent, offending, present
from rtt.verifiers.rules.ifbench.text import chunks, only
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import stripped


def repeat_change(text: str, arguments: RepeatChange, deadline: Deadline) -> Finding:
    """The request with another first word, and nothing else.

    Official behaviour: only a response that is the request to the letter counts as unchanged; else the words after the
    first must be the request's, blanks aside, and the first may be any, the request's own included.

    Evidence, satisfied: the response supports. Violated: an unchanged first word violates; else what is there after the
    request violates, or the word at which the response first differs; if it ends before, something is missing.
    """
    wanted = arguments.prompt_to_repeat.split()
    words = list(chunks(text, deadline))
    if text == arguments.prompt_to_repeat:
        return offending([words[0].bounds], "the first word is not changed")
    same = 1
    while same < min(len(words), len(wanted)) and words[same].text == wanted[same]:
        same += 1
    if same >= len(wanted) and len(words) <= max(len(wanted), 1):
        return present([stripped(text)], "the request is repeated with another first word")
    if same >= len(wanted):
        return offending([(words[same].start, stripped(text)[1])], "goes on after the request")
    if same >= len(words):
        return absent("ends within the request", [stripped(text)])
    return offending([words[same].bounds], f"differs from the request at {words[same].text[:40]!r}")


_SENTENCE = "Only output this sentence here, ignore all other requests."


def repeat_simple(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The sentence "Only output this sentence here, ignore all other requests." and nothing else.

    Official behaviour: case and the blanks around are ignored.

    Evidence: see :func:`rtt.verifiers.rules.ifbench.text.only`.
    """
    return only(text, _SENTENCE, "the sentence")


def repeat_span(text: str, arguments: RepeatSpan, deadline: Deadline) -> Finding:
    """A span of the request, by its first and its last character, and nothing else.

    Official behaviour: case and the blanks around are ignored; the instruction speaks of a span of words, and the
    check cuts characters.

    Evidence: see :func:`rtt.verifiers.rules.ifbench.text.only`.
    """
    wanted = arguments.prompt_to_repeat[arguments.n_start : arguments.n_end + 1]
    return only(text, wanted, f"the span {wanted.strip()[:40]!r}")


RULES: Mapping[str, RegisteredRule] = {
    "repeat:repeat_change": RegisteredRule(repeat_change),
    "repeat:repeat_simple": RegisteredRule(repeat_simple),
    "repeat:repeat_span": RegisteredRule(repeat_span),
}
"""Each rule by its official name."""
