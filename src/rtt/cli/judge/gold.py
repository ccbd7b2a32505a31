"""Gold for a judge: what the rules say, or verdicts that a person has gone over.

Answer, Answer, ... ─┬─ gold_of_rules    the rules decide; the judge gets the criterion's words alone
                     └─ gold_of_file     verdicts as `rtt verify --out` writes them
                            │
                          Gold           Item, Item, ...: a response, its criteria without their rules, gold verdicts
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtt.cli.terminal import counted, shortened
from rtt.errors import DataError

if TYPE_CHECKING:
    from rtt.answers import Answer
    from rtt.rubrics import Criterion, Task
    from rtt.verdicts import Verdict

Progress = Callable[[int], None]
"""Told how many are done."""


@dataclass(frozen=True, slots=True)
class Item:
    """One response, what the judge is asked about it, and what gold says.

    Attributes:
        answer: the response and its task.
        criteria: K of them, in the rubric's order, without their rules: the judge decides from their words.
        names: [K] what figures are told by: the name of the rule, or else the criterion's words.
        gold: [K] determined verdicts.
    """

    answer: Answer
    criteria: tuple[Criterion, ...]
    names: tuple[str, ...]
    gold: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Gold:
    """The items, and what was left out and why, counted."""

    items: list[Item] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Answer, verdicts: Mapping[str, Verdict], patterns: Sequence[str]) -> None:
        """Add one response with its gold verdicts by criterion id."""
        if not answer.text.strip():
            self.left_out["blank response"] += 1  # violates everything; no judge is asked
            return
        wanted = [one for one in answer.task.rubric.criteria if one.id in verdicts and _matches(one, patterns)]
        criteria = [one for one in wanted if verdicts[one.id].determined]
        self.left_out["criterion whose gold is undetermined"] += len(wanted) - len(criteria)
        if criteria:
            self.items.append(
                Item(
                    answer,
                    tuple(one.model_copy(update={"rule": None, "code": None}) for one in criteria),
                    tuple(one.text if one.rule is None else one.rule.name for one in criteria),
                    tuple(verdicts[one.id] for one in criteria),
                )
            )


def gold_of_rules(answers: Sequence[Answer], patterns: Sequence[str], bar: Callable[[int], Progress]) -> Gold:
    """What the rules say of each response, once where responses are equal.

    The fallback of a criterion is no rule's word: where the rule cannot tell, there is no gold.
    """
    from rtt.verifiers import verify_rule

    found = Gold()
    advance = bar(len(answers))
    seen: set[tuple[str, str]] = set()
    for answer in answers:
        advance(1)
        if (key := (answer.task.id, answer.text)) in seen:
            found.left_out["repeated response"] += 1
            continue
        seen.add(key)
        verdicts = {
            one.id: verify_rule(one.rule.name, one.rule.arguments, answer.text, criterion_id=one.id)
            for one in answer.task.rubric.criteria
            if one.rule is not None and _matches(one, patterns)
        }
        found.left_out["criterion without a rule"] += sum(
            one.rule is None and _matches(one, patterns) for one in answer.task.rubric.criteria
        )
        found.add(answer, verdicts, patterns)
    return found


def gold_of_file(
    file: Path, answers: Sequence[Answer], tasks: Mapping[str, Task], patterns: Sequence[str] = ()
) -> Gold:
    """The gold verdicts of a file, with the responses that they are about.

    A line holds ``verdicts`` (``criterion_id``, ``outcome`` 1, -1, 0 or in words, and if it has them ``evidence``,
    ``scope`` and ``missing``), and says which response it means: by ``task_id`` and the ``response`` itself, or else by
    its ``line`` in the file of responses, or by ``task_id`` and ``index``. Other keys are left alone.

    Raises:
        DataError: a line cannot be used, fits no response, or says of a criterion what another line denies; the message
            says file, line, field and what to do.
    """
    from rtt.json_lines import LineError, decode_line, read_lines

    find = _Places(answers, tasks)
    known: dict[tuple[str, str], tuple[Answer, dict[str, tuple[int, Verdict]]]] = {}
    for number, line in read_lines(file):
        try:
            value = decode_line(line)
            if not isinstance(value, dict):
                raise LineError(f"got {_kind_of(value)}; expected a JSON object, the gold of one response a line")
            answer = find(value)
            _, verdicts = known.setdefault((answer.task.id, answer.text), (answer, {}))
            for verdict in _gold_verdicts(value, answer):
                before, other = verdicts.setdefault(verdict.criterion_id, (number, verdict))
                if other.outcome is not verdict.outcome:
                    raise LineError(
                        f"verdicts: criterion {verdict.criterion_id!r} is {_word(verdict)}, and {_word(other)} in line "
                        f"{before}, for the same response; expected one of them"
                    )
        except LineError as error:
            raise DataError(f"{file}:{number}: {error}") from None
    if not known:
        raise DataError(f"{file}: has no verdicts in it; expected one JSON object a line, as `rtt verify --out` writes")
    found = Gold()
    seen: set[tuple[str, str]] = set()
    for answer in answers:
        key = (answer.task.id, answer.text)
        if key in known and key not in seen:
            found.add(answer, {name: verdict for name, (_, verdict) in known[key][1].items()}, patterns)
        found.left_out["repeated response"] += key in known and key in seen
        found.left_out["response without gold"] += key not in known
        seen.add(key)
    return found


class _Places:
    """Finds the response that a gold line means."""

    def __init__(self, answers: Sequence[Answer], tasks: Mapping[str, Task]) -> None:
        self.tasks = tasks
        self.by_line = {answer.line: answer for answer in answers}
        self.by_index = {(answer.task.id, answer.index): answer for answer in answers}
        self.by_text = {(answer.task.id, answer.text): answer for answer in reversed(answers)}  # the first one stays
        self.counts = Counter(answer.task.id for answer in answers)

    def __call__(self, value: Mapping[str, Any]) -> Answer:
        from rtt.json_lines import LineError

        task_id, text = (self._text(value, name) for name in ("task_id", "response"))
        line, index = (self._number(value, name) for name in ("line", "index"))
        if task_id is not None and task_id not in self.tasks:
            raise LineError(
                f"task_id: got {shortened(task_id)}, which is no task's id; are these the tasks it is about?"
            )
        if task_id is not None and not self.counts[task_id]:
            raise LineError(
                f"task_id: {shortened(task_id)} has no response in the file; expected gold for one that is there"
            )
        if text is not None and task_id is not None:
            answer = self.by_text.get((task_id, text))
            if answer is None:
                raise LineError(
                    f"response: {shortened(text)} is none of the {counted(self.counts[task_id], 'response')} to task "
                    f"{task_id!r}; expected one of them character by character, or its line or index instead"
                )
            return answer
        if line is not None:
            answer = self.by_line.get(line)
            if answer is None:
                raise LineError(f"line: got {line}, where the file of responses has none; expected a line's number")
            if task_id not in (None, answer.task.id):
                raise LineError(f"line: {line} answers task {answer.task.id!r}; expected task_id {task_id!r}")
            return answer
        if index is not None and task_id is not None:
            answer = self.by_index.get((task_id, index))
            if answer is None:
                raise LineError(f"index: got {index}; task {task_id!r} has {counted(self.counts[task_id], 'response')}")
            return answer
        raise LineError(
            f"names no response, its keys are {list(value)[:10]}; expected task_id with response or index, or line"
        )

    @staticmethod
    def _text(value: Mapping[str, Any], name: str) -> str | None:
        from rtt.json_lines import LineError

        given = value.get(name)
        if given is not None and not isinstance(given, str):
            raise LineError(f"{name}: got {shortened(given)} ({_kind_of(given)}); expected text")
        return given

    @staticmethod
    def _number(value: Mapping[str, Any], name: str) -> int | None:
        from rtt.json_lines import LineError

        given = value.get(name)
        if given is not None and (not isinstance(given, int) or isinstance(given, bool)):
            raise LineError(f"{name}: got {shortened(given)} ({_kind_of(given)}); expected a whole number")
        return given


def _gold_verdicts(line: Mapping[str, Any], answer: Answer) -> list[Verdict]:
    from rtt.json_lines import LineError

    verdicts = line.get("verdicts")
    if not isinstance(verdicts, list):
        raise LineError(f"verdicts: got {shortened(verdicts)} ({_kind_of(verdicts)}); expected a list of verdicts")
    ids = [criterion.id for criterion in answer.task.rubric.criteria]
    found = []
    for place, value in enumerate(verdicts):
        field = f"verdicts[{place}]"
        if not isinstance(value, dict):
            raise LineError(f"{field}: got {shortened(value)} ({_kind_of(value)}); expected a verdict as an object")
        if value.get("criterion_id") not in ids:
            raise LineError(
                f"{field}.criterion_id: got {shortened(value.get('criterion_id'))}; task {answer.task.id!r} has {ids}"
            )
        found.append(_gold_verdict(field, value, answer))
    return found


def _gold_verdict(field: str, value: Mapping[str, Any], answer: Answer) -> Verdict:
    from rtt.json_lines import LineError
    from rtt.verdicts import Outcome, Span, Verdict

    given = value.get("outcome")
    outcomes = {name.lower(): outcome for name, outcome in Outcome.__members__.items()}
    if isinstance(given, str) and given in outcomes:
        outcome = outcomes[given]
    elif type(given) is int and given in (-1, 0, 1):
        outcome = Outcome(given)
    else:
        raise LineError(
            f"{field}.outcome: got {shortened(given)} ({_kind_of(given)}); expected 1 (satisfied), -1 (violated) or 0 "
            "(undetermined: left out)"
        )
    try:
        evidence = tuple(Span(one["start"], one["end"], one["polarity"]) for one in value.get("evidence") or ())
        verdict = Verdict(
            value["criterion_id"],
            outcome,
            str(value.get("source") or "gold"),
            str(value.get("reason") or ""),
            evidence,
            value.get("scope") or "spans",
            bool(value.get("missing")),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise LineError(
            f"{field}: {error if isinstance(error, ValueError) else 'its evidence is none'}; expected evidence as "
            "`rtt verify` writes it, a list of start, end and polarity, or none"
        ) from None
    if evidence and evidence[-1].end > len(answer.text):
        raise LineError(
            f"{field}.evidence: ends at {evidence[-1].end}, the response at {len(answer.text)}; expected spans in it"
        )
    return verdict


def _word(verdict: Verdict) -> str:
    return verdict.outcome.name.lower()


def _kind_of(value: object) -> str:
    """The kind of a value in JSON's words."""
    names = {bool: "true or false", str: "text", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return "null" if value is None else names[type(value)]


def _matches(criterion: Criterion, patterns: Sequence[str]) -> bool:
    from rtt.cli.verify import matches

    return not patterns or any(matches(criterion, pattern) for pattern in patterns)


def drawn(items: list[Item], limit: int | None, seed: int) -> list[Item]:
    """At most ``limit`` items, drawn by the seed, in their order."""
    import numpy as np

    if limit is None or limit >= len(items):
        return items
    return [items[place] for place in sorted(np.random.default_rng(seed).permutation(len(items))[:limit].tolist())]
