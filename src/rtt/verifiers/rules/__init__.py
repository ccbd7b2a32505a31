"""The registry of rules: each name's check, a benchmark a package; each gives a verdict and its evidence.

    ifeval         the 25 instruction types of IFEval
    ifbench        the 58 of IFBench
    muldimif       the 12 checkers of MulDimIF, which read a constraint's English text
    corrected      RTT's own rules, each beside an official one that is wrong

    findings       what a check returns, and what checks share
    text           sentences, capital words, patterns from data
    registered     what the registry holds of a rule; edits that should turn a verdict

A check is a function of the text, the rule's arguments and a deadline to a
:class:`~rtt.verifiers.rules.findings.Finding`. It reads the text and nothing else: no clock but the deadline, no
random numbers, no files, no network; it runs in any thread. Its docstring states the official behaviour, oddities
included, for under an official name the verdict is the official one, and its evidence rule. These hold for all rules:

- *Satisfied by something that is there* (a keyword, a heading): these characters support.
- *Satisfied by restraint* (no commas, fewer than n words): the whole response.
- *Violated by something that is there* (a comma, the words after the n-th): these characters violate.
- *Violated because something is not there*: ``missing``; what there is of it supports and is never to blame.
- *A property of the whole* (a language, too few words): the whole response.
- A blank response violates a rule, as a whole, without a look at its check; unless the rule ``reads_blank``.

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
from typing import Any

from rtt.rule_schemas import RuleArguments, canonical_name, register_schema
from rtt.verifiers.rules import corrected, ifbench, ifeval, muldimif
from rtt.verifiers.rules.registered import Check, Edit, RegisteredRule, deleted

__all__ = ["Check", "Edit", "RegisteredRule", "register_rule", "rule_of"]


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
    _RULES[name] = RegisteredRule(check, edit or deleted)


def rule_of(name: str) -> RegisteredRule:
    """The check and the edit of a rule.

    Raises:
        UnknownRuleError: no rule has this name.
    """
    return _RULES.get(name) or _RULES[canonical_name(name)]


_RULES: dict[str, RegisteredRule] = {**ifeval.RULES, **ifbench.RULES, **muldimif.RULES, **corrected.RULES}
