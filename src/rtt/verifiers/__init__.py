"""Verdicts on a response, criterion by criterion: rules decide what they can, a judge the rest.

    criterion                         decided by
    has a rule                        the rule; if it cannot tell, what the criterion's ``fallback`` says
    has neither rule nor code         the judge, if one is given
    has code                          nobody: code that comes with data is never run; with fallback "judge", the judge

A check that could not run (an error, no time left, no judge) gives *undetermined* with its reason, never a verdict: the
policy is rewarded for its words, not for our failures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rtt.errors import VerifierError
from rtt.rule_schemas import canonical_name, parse_arguments
from rtt.verdicts import Outcome, Verdict
from rtt.verifiers.rules import check_of, edit_of
from rtt.verifiers.rules.findings import Deadline

if TYPE_CHECKING:
    from rtt.rubrics import Criterion, Task

__all__ = ["Judge", "counterfactual", "loose_variants", "verify", "verify_loose", "verify_rule"]

TIME_LIMIT = 1.0
"""Seconds that a rule may take for one response."""


class Judge(Protocol):
    """Decides criteria that no rule can decide. It may be asked from several threads."""

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        """One verdict for each of the criteria, in their order; *undetermined* where the judge could not tell."""
        ...


def verify(task: Task, text: str, judge: Judge | None = None, *, time_limit: float = TIME_LIMIT) -> list[Verdict]:
    """The verdicts on one response, in the order of the rubric.

    Deterministic but for the judge and the time limit, offline, and safe to call from several threads. The response is
    read and searched, never run.

    Args:
        task: what was asked for.
        text: the response, any string.
        judge: decides the criteria without a rule, all in one call; without a judge they are undetermined.
        time_limit: seconds that a rule may take.
    """
    verdicts: dict[str, Verdict] = {}
    left: list[Criterion] = []
    for criterion in task.rubric.criteria:
        rule, fallback = criterion.rule, criterion.fallback
        if rule is not None:
            verdict = verify_rule(rule.name, rule.arguments, text, criterion_id=criterion.id, time_limit=time_limit)
        elif criterion.code is not None:
            verdict = _undetermined(criterion.id, "code", "code that comes with data is never run")
        else:
            verdict = _undetermined(criterion.id, "judge", "needs a judge, none was given")
            fallback = "judge"
        if not verdict.determined and fallback == "judge":
            left.append(criterion)
        if not verdict.determined and fallback == "fail":
            reason = f"{verdict.reason}, which this criterion counts as violated"
            verdict = Verdict(criterion.id, Outcome.VIOLATED, verdict.source, reason, scope="response")
        verdicts[criterion.id] = verdict
    if judge is not None and left:
        verdicts.update(_judged(judge, task, text, left))
    return [verdicts[criterion.id] for criterion in task.rubric.criteria]


def verify_rule(
    rule_name: str,
    arguments: Mapping[str, Any],
    text: str,
    *,
    criterion_id: str = "",
    time_limit: float = TIME_LIMIT,
) -> Verdict:
    """The verdict of one rule; ``criterion_id`` may stay empty where no rubric is at hand.

    A rule that raises, runs out of time or was given a pattern that does not compile is *undetermined*.

    Raises:
        UnknownRuleError, RuleArgumentsError: the rule is not known, or the arguments are not the rule's.
    """
    name = canonical_name(rule_name)
    parsed = parse_arguments(name, arguments)
    source = f"rule:{name}"
    if not text.strip():
        return Verdict(criterion_id, Outcome.VIOLATED, source, "the response is empty", scope="response")
    try:
        finding = check_of(name)(text, parsed, Deadline(time_limit))
    except Exception as error:  # noqa: BLE001
        return _undetermined(criterion_id, source, _in_words(error))
    outcome = Outcome.SATISFIED if finding.satisfied else Outcome.VIOLATED
    return Verdict(criterion_id, outcome, source, finding.reason, finding.evidence, finding.scope, finding.missing)


def loose_variants(text: str) -> tuple[str, ...]:
    """The eight readings of a response in IFEval's loose mode.

    As it is, without its first line, without its last, without both (these three without blanks around them); and each
    of the four without asterisks. Some may be equal, some empty.
    """
    lines = text.split("\n")
    cuts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return (*cuts, *(cut.replace("*", "") for cut in cuts))


def verify_loose(task: Task, text: str, *, time_limit: float = TIME_LIMIT) -> list[Outcome]:
    """IFEval's loose outcomes, in the order of the rubric: satisfied if any of the :func:`loose_variants` is.

    A criterion is undetermined if no variant satisfies it and some could not be decided, or if no rule decides it; with
    the fallback ``"fail"`` it then counts as violated. No judge is asked.
    """
    variants = tuple(dict.fromkeys(loose_variants(text)))
    outcomes: list[Outcome] = []
    for criterion in task.rubric.criteria:
        best = Outcome.UNDETERMINED if criterion.rule is None else Outcome.VIOLATED
        if criterion.rule is not None:
            name, arguments = criterion.rule.name, criterion.rule.arguments
            for variant in variants:
                verdict = verify_rule(name, arguments, variant, criterion_id=criterion.id, time_limit=time_limit)
                best = max(best, verdict.outcome)
                if best is Outcome.SATISFIED:
                    break
        if best is Outcome.UNDETERMINED and criterion.fallback == "fail":
            best = Outcome.VIOLATED
        outcomes.append(best)
    return outcomes


def counterfactual(text: str, verdict: Verdict) -> str | None:
    """The response with its evidence changed so that the rule's verdict should turn; None where nothing can be changed.

    Satisfied: the supporting spans go. Violated: the violating ones go. Instead of being deleted, bullet markers become
    another character, words in the wrong case change it, and a missing quotation mark is put beside the character in
    its place. None for verdicts that the whole response carries, that only miss something, or that no rule gave.
    """
    if not verdict.determined or not verdict.source.startswith("rule:"):
        return None
    polarity = "support" if verdict.outcome is Outcome.SATISFIED else "violation"
    spans = [span for span in verdict.evidence if span.polarity == polarity]
    if not spans:
        return None
    edit = edit_of(verdict.source.removeprefix("rule:"))
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces += [text[position : span.start], edit(text, span, verdict.outcome)]
        position = span.end
    return "".join([*pieces, text[position:]])


def _judged(judge: Judge, task: Task, text: str, criteria: Sequence[Criterion]) -> dict[str, Verdict]:
    expected = [criterion.id for criterion in criteria]
    try:
        verdicts = judge.verify(task, text, criteria)
    except Exception as error:  # noqa: BLE001
        return {name: _undetermined(name, "judge", _in_words(error)) for name in expected}
    came = [verdict.criterion_id for verdict in verdicts]
    if came != expected:
        reason = f"the judge answered for criteria {came}, expected {expected}"
        return {name: _undetermined(name, "judge", reason) for name in expected}
    return dict(zip(expected, verdicts, strict=True))


def _undetermined(criterion_id: str, source: str, reason: str) -> Verdict:
    return Verdict(criterion_id, Outcome.UNDETERMINED, source, reason)


def _in_words(error: Exception) -> str:
    text = str(error) if isinstance(error, VerifierError) else f"{type(error).__name__}: {error}"
    return text if len(text) <= 300 else f"{text[:297]}..."
