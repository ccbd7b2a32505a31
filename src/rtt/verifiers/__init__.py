"""Verdicts on a response, criterion by criterion: rules decide what they can, a judge the rest.

    criterion                         decided by
    has a rule                        the rule; if it cannot tell, what the criterion's ``fallback`` says
    has neither rule nor code         the judge, if one is given
    has code                          nobody: code that comes with data is never run; with fallback "judge", the judge

A check that could not run (an error, no time left, no judge) gives *undetermined* with its reason, never a verdict: the
policy is rewarded for its words, not for our failures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rtt.errors import ConfigurationError, DataError, JudgeFailureError, MissingDependencyError, VerifierError
from rtt.rule_schemas import canonical_name, parse_arguments
from rtt.verdicts import Outcome, Verdict
from rtt.verifiers.rules import rule_of
from rtt.verifiers.rules.findings import Deadline, Finding, whole

if TYPE_CHECKING:
    from rtt.rubrics import Criterion, Rule, Task
    from rtt.rule_schemas import RuleArguments

__all__ = [
    "UNUSABLE",
    "BatchVerdictSource",
    "Question",
    "VerdictSource",
    "counterfactual",
    "judged",
    "loose_variants",
    "verify",
    "verify_batch",
    "verify_loose",
    "verify_rule",
]

TIME_LIMIT = 1.0
"""Seconds that a rule may take for one response."""

UNUSABLE = (ConfigurationError, DataError, MissingDependencyError, JudgeFailureError)
"""What a judge raises that gives no verdict, not even an undetermined one: it cannot be used as it was set up, or it
cannot go on. Whatever else it raises gives undetermined verdicts."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked about one response.

    Attributes:
        task: what was asked for.
        text: the response, any string.
        criteria: those of the task's criteria that the judge is to decide, at least one.
    """

    task: Task
    text: str
    criteria: tuple[Criterion, ...]


class VerdictSource(Protocol):
    """Decides criteria that no rule can decide: a judge. It may be asked from several threads."""

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        """One verdict for each of the criteria, in their order; *undetermined* where the judge could not tell."""
        ...


@runtime_checkable
class BatchVerdictSource(VerdictSource, Protocol):
    """A judge that takes many questions at once, and answers them side by side."""

    def verify_batch(
        self, questions: Sequence[Question], *, progress: Callable[[int], None] | None = None
    ) -> list[list[Verdict]]:
        """For each question one verdict for each of its criteria, in order.

        Args:
            questions: what to decide; may be none, where rules decided all.
            progress: told the number of criteria that were just decided.
        """
        ...


def verify(
    task: Task, text: str, judge: VerdictSource | None = None, *, time_limit: float = TIME_LIMIT
) -> list[Verdict]:
    """The verdicts on one response, in the order of the rubric.

    Deterministic but for the judge and the time limit, offline without a judge, and safe to call from several threads.
    The response is read and searched, never run.

    Args:
        task: what was asked for.
        text: the response, any string.
        judge: decides the criteria without a rule, all in one call; without a judge they are undetermined.
        time_limit: seconds that a rule may take.
    """
    return verify_batch([(task, text)], judge, time_limit=time_limit)[0]


def verify_batch(
    answers: Sequence[tuple[Task, str]],
    judge: VerdictSource | None = None,
    *,
    time_limit: float = TIME_LIMIT,
    progress: Callable[[int], None] | None = None,
) -> list[list[Verdict]]:
    """The verdicts on many responses: as :func:`verify`, with all that the judge must decide put to it at once.

    Args:
        answers: tasks, each with a response to it.
        judge: decides what no rule can; a :class:`BatchVerdictSource` gets one call, another one call a response.
        time_limit: seconds that a rule may take for one response.
        progress: told the number of criteria that the judge has just decided.

    Returns:
        For each answer its verdicts, in the order of the rubric. A judge that raises gives undetermined ones that say
        so, unless it says that it was set up wrongly.

    Raises:
        ConfigurationError, DataError, MissingDependencyError: the judge cannot be used as it was set up: no key, a
            damaged cache, a library that is not installed.
        JudgeFailureError: the judge cannot go on.
    """
    found: list[dict[str, Verdict]] = []
    questions: list[tuple[int, Question]] = []
    for place, (task, text) in enumerate(answers):
        verdicts, left = _by_rules(task, text, time_limit)
        found.append(verdicts)
        if judge is not None and left:
            questions.append((place, Question(task, text, tuple(left))))
    if judge is not None:
        answered = judged(judge, [question for _, question in questions], progress)
        for (place, _), answer in zip(questions, answered, strict=True):
            found[place].update((verdict.criterion_id, verdict) for verdict in answer)
    return [
        [verdicts[criterion.id] for criterion in task.rubric.criteria]
        for (task, _), verdicts in zip(answers, found, strict=True)
    ]


def _by_rules(task: Task, text: str, time_limit: float) -> tuple[dict[str, Verdict], list[Criterion]]:
    """What the rules say, by criterion, and the criteria that are left to a judge."""
    verdicts: dict[str, Verdict] = {}
    left: list[Criterion] = []
    for criterion in task.rubric.criteria:
        rule, fallback = criterion.rule, criterion.fallback
        if rule is not None:
            verdict = _by_rule(rule.name, rule.parsed, text, criterion.id, time_limit)
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
    return verdicts, left


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
    return _by_rule(name, parse_arguments(name, arguments), text, criterion_id, time_limit)


def _by_rule(name: str, arguments: RuleArguments, text: str, criterion_id: str, time_limit: float) -> Verdict:
    source = f"rule:{name}"
    found = _finding(name, arguments, text, time_limit)
    if isinstance(found, Exception):
        return _undetermined(criterion_id, source, _in_words(found), failed=True)
    outcome = Outcome.SATISFIED if found.satisfied else Outcome.VIOLATED
    return Verdict(criterion_id, outcome, source, found.reason, found.evidence, found.scope, found.missing)


def _finding(name: str, arguments: RuleArguments, text: str, time_limit: float) -> Finding | Exception:
    """What the rule found, or what kept it from it."""
    rule = rule_of(name)
    if (not text or text.isspace()) and not rule.reads_blank:
        return _EMPTY
    try:
        return rule.check(text, arguments, Deadline(time_limit))
    except Exception as error:  # noqa: BLE001
        return error


_EMPTY = whole(False, "the response is empty")


def loose_variants(text: str) -> tuple[str, ...]:
    """The eight readings of a response in IFEval's loose mode.

    As it is, without its first line, without its last, without both (these three without blanks around them); and each
    of the four without asterisks. Some may be equal, some empty.
    """
    lines = text.split("\n")
    cuts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return (*cuts, *(cut.replace("*", "") for cut in cuts))


def verify_loose(
    task: Task, text: str, *, strict: Sequence[Outcome] | None = None, time_limit: float = TIME_LIMIT
) -> list[Outcome]:
    """IFEval's loose outcomes, in the order of the rubric: satisfied if any of the :func:`loose_variants` is.

    A criterion is undetermined if no variant satisfies it and some could not be decided, or if no rule decides it; with
    the fallback ``"fail"`` it then counts as violated. No judge is asked.

    Args:
        task: what was asked for.
        text: the response.
        strict: the outcomes on the response as it is, where they are known already: it is the first of the variants.
        time_limit: seconds that a rule may take for one variant.
    """
    first, *others = dict.fromkeys(loose_variants(text))
    outcomes: list[Outcome] = []
    for place, criterion in enumerate(task.rubric.criteria):
        best, rule = Outcome.UNDETERMINED, criterion.rule
        if rule is not None:
            best = strict[place] if strict is not None else _outcome(rule, first, time_limit)
            for variant in others:
                if best is Outcome.SATISFIED:
                    break
                best = max(best, _outcome(rule, variant, time_limit))
        if best is Outcome.UNDETERMINED and criterion.fallback == "fail":
            best = Outcome.VIOLATED
        outcomes.append(best)
    return outcomes


def _outcome(rule: Rule, text: str, time_limit: float) -> Outcome:
    found = _finding(rule.name, rule.parsed, text, time_limit)
    if isinstance(found, Exception):
        return Outcome.UNDETERMINED
    return Outcome.SATISFIED if found.satisfied else Outcome.VIOLATED


def counterfactual(text: str, verdict: Verdict) -> str | None:
    """The response with its evidence changed so that the rule's verdict should turn; None where nothing can be changed.

    Satisfied: the supporting spans go. Violated: the violating ones go. Instead of being deleted, bullet markers become
    another character, words in the wrong case change it, and a missing quotation mark is put beside the character in
    its place. None for verdicts without spans to change, that only miss something, or that no rule gave.
    """
    if not verdict.determined or not verdict.source.startswith("rule:"):
        return None
    polarity = "support" if verdict.outcome is Outcome.SATISFIED else "violation"
    spans = [span for span in verdict.evidence if span.polarity == polarity]
    if not spans:
        return None
    edit = rule_of(verdict.source.removeprefix("rule:")).edit
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces += [text[position : span.start], edit(text, span, verdict.outcome)]
        position = span.end
    return "".join([*pieces, text[position:]])


def judged(
    judge: VerdictSource, questions: Sequence[Question], progress: Callable[[int], None] | None = None
) -> list[list[Verdict]]:
    """For each question a verdict for each of its criteria, in order, whatever the judge does.

    A judge that raises, or answers something else than it was asked, gives undetermined verdicts that say so.

    Args:
        judge: a :class:`BatchVerdictSource` gets one call, another one call a question.
        questions: what to decide; may be none.
        progress: told the number of criteria that were just decided.

    Raises:
        ConfigurationError, DataError, MissingDependencyError: the judge cannot be used as it was set up.
        JudgeFailureError: the judge cannot go on.
    """
    if isinstance(judge, BatchVerdictSource):
        try:
            answers = judge.verify_batch(questions, progress=progress)
        except UNUSABLE:
            raise
        except Exception as error:  # noqa: BLE001
            return [_failed(question, _in_words(error)) for question in questions]
        if not _is_list(answers) or len(answers) != len(questions):
            came = f"{len(answers)} questions" if _is_list(answers) else f"with {type(answers).__name__}"
            reason = f"the judge answered {came}, expected a list of verdicts for each of {len(questions)}"
            return [_failed(question, reason) for question in questions]
        return [_matched(question, verdicts) for question, verdicts in zip(questions, answers, strict=True)]
    found = []
    for question in questions:
        try:
            verdicts = judge.verify(question.task, question.text, question.criteria)
        except UNUSABLE:
            raise
        except Exception as error:  # noqa: BLE001
            found.append(_failed(question, _in_words(error)))
        else:
            found.append(_matched(question, verdicts))
        if progress is not None:
            progress(len(question.criteria))
    return found


def _matched(question: Question, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, if they are those that were asked for."""
    expected = [criterion.id for criterion in question.criteria]
    if not _is_list(verdicts) or not all(isinstance(verdict, Verdict) for verdict in verdicts):
        return _failed(question, "the judge answered with something else than a list of verdicts")
    came = [verdict.criterion_id for verdict in verdicts]
    if came != expected:
        return _failed(question, f"the judge answered for criteria {came}, expected {expected}")
    return list(verdicts)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _failed(question: Question, reason: str) -> list[Verdict]:
    return [_undetermined(c.id, "judge", reason, failed=True) for c in question.criteria]


def _undetermined(criterion_id: str, source: str, reason: str, *, failed: bool = False) -> Verdict:
    return Verdict(criterion_id, Outcome.UNDETERMINED, source, reason, failed=failed)


def _in_words(error: Exception) -> str:
    text = str(error) if isinstance(error, VerifierError) else f"{type(error).__name__}: {error}"
    return text if len(text) <= 300 else f"{text[:297]}..."
