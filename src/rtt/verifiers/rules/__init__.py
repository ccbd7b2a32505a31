"""The registry of rules: each name's check, a family a file; each gives a verdict and its evidence.

    keywords       existence · frequency · forbidden_words · letter_frequency
    length         number_words · number_sentences · number_paragraphs · nth_paragraph_first_word
    content        number_placeholders · postscript
    layout         number_bullet_lists · constrained_response · number_highlighted_sections · multiple_sections ·
                   json_format · title
    combination    two_responses · repeat_prompt
    ends           end_checker · quotation
    case           capital_word_frequency · english_capital · english_lowercase
    language       response_language
    punctuation    no_comma

    findings       what a check returns, and what checks share
    text           sentences, capital words, patterns from data

A check is a function of the text, the rule's arguments and a deadline to a
:class:`~rtt.verifiers.rules.findings.Finding`. It reads the text and nothing else: no clock but the deadline, no
random numbers, no files, no network; it runs in any thread. Its docstring states the official behaviour, oddities
included, for under an official name the verdict is the official one, and its evidence rule. These hold for all rules:

- *Satisfied by something that is there* (a keyword, a heading): these characters support.
- *Satisfied by restraint* (no commas, fewer than n words): the whole response.
- *Violated by something that is there* (a comma, the words after the n-th): these characters violate.
- *Violated because something is not there*: ``missing``; what there is of it supports and is never to blame.
- *A property of the whole* (a language, too few words): the whole response.
- A blank response violates every rule, as a whole; the checks never see one.

A rule of your own:

>>> from rtt.rule_schemas import RuleArguments
>>> from rtt.verifiers.rules import register_rule
>>> from rtt.verifiers.rules.findings import absent, present
>>> class Source(RuleArguments):
...     site: str
>>> def cites(text, arguments, deadline):
...     at = text.find(arguments.site)
...     return absent("no source") if at < 0 else present([(at, at + len(arguments.site))], "a source")
>>> register_rule("acme:cites", Source, cites, lambda a: f"The response cites {a.site}.")

From then on tasks may name it, :func:`rtt.verifiers.verify` runs it, and errors in it make verdicts undetermined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtt.rule_schemas import RuleArguments, canonical_name, register_schema
from rtt.verdicts import Outcome, Span
from rtt.verifiers.rules import (
    case,
    combination,
    content,
    ends,
    keywords,
    language,
    layout,
    length,
    punctuation,
)
from rtt.verifiers.rules.findings import Deadline, Finding

Check = Callable[[str, Any, Deadline], Finding]
"""From the text, the rule's arguments and a deadline to what was found."""

Edit = Callable[[str, Span, Outcome], str]
"""What to put in place of an evidence span to turn the verdict: from the text, the span and the outcome."""


def register_rule(
    name: str,
    schema: type[RuleArguments],
    check: Check,
    describe: Callable[[Any], str],
    *,
    edit: Edit | None = None,
) -> None:
    """Add a rule of your own; do it once, before tasks that use it are read. See the module for an example.

    Args:
        name: ``namespace:rule`` with a namespace of your own, in lower case: ``"acme:cites"``.
        schema: the arguments, a subclass of :class:`rtt.rule_schemas.RuleArguments`.
        check: from text, arguments and deadline to a finding. It may raise: the verdict is then undetermined. One that
            may take long must ask ``deadline.remaining()`` from time to time, or hand it to what it calls.
        describe: from the arguments to the criterion in words.
        edit: for :func:`rtt.verifiers.counterfactual`, what to put in place of an evidence span; by default, nothing.

    Raises:
        ConfigurationError: the name has no namespace of its own, or is taken.
    """
    register_schema(name, schema, describe)
    _RULES[name] = RegisteredRule(check, edit or _deleted)


def check_of(name: str) -> Check:
    """The check of a rule.

    Raises:
        UnknownRuleError: no rule has this name.
    """
    return _RULES[canonical_name(name)].check


def edit_of(name: str) -> Edit:
    """The counterfactual edit of a rule.

    Raises:
        UnknownRuleError: no rule has this name.
    """
    return _RULES[canonical_name(name)].edit


def _deleted(text: str, span: Span, outcome: Outcome) -> str:
    return ""


def _marked(text: str, span: Span, outcome: Outcome) -> str:
    """Another character in place of a bullet: deleting the first of "- - -" would leave a bullet."""
    return "•"


def _wrapped(text: str, span: Span, outcome: Outcome) -> str:
    """The quotation mark that is missing, beside the character in its place."""
    character = text[span.start : span.end]
    if outcome is Outcome.SATISFIED:
        return ""
    opens, closes = not text[: span.start].strip(), not text[span.end :].strip()
    return '"' * opens + character + '"' * closes


def _capitalised(text: str, span: Span, outcome: Outcome) -> str:
    return _if_cased(text[span.start : span.end].upper(), str.isupper)


def _lowercased(text: str, span: Span, outcome: Outcome) -> str:
    return _if_cased(text[span.start : span.end].lower(), str.islower)


def _if_cased(word: str, holds: Callable[[str], bool]) -> str:
    """Small letters without a capital ("ª") cannot be put in capitals, so the word goes."""
    return word if holds(word) else ""


@dataclass(frozen=True, slots=True)
class RegisteredRule:
    """A rule's check and its counterfactual edit."""

    check: Check
    edit: Edit = _deleted


_RULES: dict[str, RegisteredRule] = {
    "keywords:existence": RegisteredRule(keywords.existence),
    "keywords:frequency": RegisteredRule(keywords.frequency),
    "keywords:forbidden_words": RegisteredRule(keywords.forbidden_words),
    "keywords:letter_frequency": RegisteredRule(keywords.letter_frequency),
    "language:response_language": RegisteredRule(language.response_language),
    "length_constraints:number_words": RegisteredRule(length.number_words),
    "length_constraints:number_sentences": RegisteredRule(length.number_sentences),
    "length_constraints:number_paragraphs": RegisteredRule(length.number_paragraphs),
    "length_constraints:nth_paragraph_first_word": RegisteredRule(length.nth_paragraph_first_word),
    "detectable_content:number_placeholders": RegisteredRule(content.number_placeholders),
    "detectable_content:postscript": RegisteredRule(content.postscript),
    "detectable_format:number_bullet_lists": RegisteredRule(layout.number_bullet_lists, _marked),
    "detectable_format:constrained_response": RegisteredRule(layout.constrained_response),
    "detectable_format:number_highlighted_sections": RegisteredRule(layout.number_highlighted_sections),
    "detectable_format:multiple_sections": RegisteredRule(layout.multiple_sections),
    "detectable_format:json_format": RegisteredRule(layout.json_format),
    "detectable_format:title": RegisteredRule(layout.title),
    "combination:two_responses": RegisteredRule(combination.two_responses),
    "combination:repeat_prompt": RegisteredRule(combination.repeat_prompt),
    "startend:end_checker": RegisteredRule(ends.end_checker),
    "startend:quotation": RegisteredRule(ends.quotation, _wrapped),
    "change_case:capital_word_frequency": RegisteredRule(case.capital_word_frequency),
    "change_case:english_capital": RegisteredRule(case.english_capital, _capitalised),
    "change_case:english_lowercase": RegisteredRule(case.english_lowercase, _lowercased),
    "punctuation:no_comma": RegisteredRule(punctuation.no_comma),
}
