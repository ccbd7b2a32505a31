"""Alarms: what the records of a run say has gone wrong, or soon will, with numbers and what to do about it.

    records ──┬─> see               one response after the other
              ├─> see_group         the verdicts of a group, when its step is over
              └─> alarms            what each watch has to say in the end
    tasks ──────> clashes           criteria that exclude each other by their rules' arguments
    history ────> entropy_collapse  the trainer's log

One class watches for one kind of trouble; its thresholds stand beside it, with the reason. Nothing is kept of a record
but counts and sums, by task and criterion or by step. Sums are of whole numbers (multiples of 2^-40), so that the order
of the records within a step cannot change a digit.

    severity   error     the run's numbers contradict themselves, or no response can meet a rubric
               warning   the run learns something else than what is meant, or nothing
               note      worth knowing
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rtt.alignment import tokens_in
from rtt.records import Record
from rtt.rubrics import Criterion, Rule, Task
from rtt.verdicts import Outcome, Verdict, credited

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The most severe first."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is, or may be, wrong.

    Attributes:
        kind: what it is, one word for programs: ``"never_met"``.
        severity: see the module.
        title: one sentence with numbers.
        advice: what to do, with the options of RTTConfig that help.
        task, criterion: whose it is by id; ``None`` where it is the run's.
        steps: the first and the last step that it was seen in, or ``None`` when it is no matter of steps.
        numbers: what the title says, by name.
    """

    kind: str
    severity: Severity
    title: str
    advice: str
    task: str | None = None
    criterion: str | None = None
    steps: tuple[int, int] | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The alarm as a JSON object; a number that is not finite becomes null."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "title": self.title,
            "advice": self.advice,
            "task": self.task,
            "criterion": self.criterion,
            "steps": None if self.steps is None else list(self.steps),
            "numbers": {name: value if math.isfinite(value) else None for name, value in self.numbers.items()},
        }


def audit(
    records: Iterable[Record], *, tasks: Sequence[Task] | None = None, history: Sequence[Mapping[str, Any]] = ()
) -> list[Alarm]:
    """The alarms that a run's records raise, the most severe first.

    Args:
        records: in order of step; within a step their order is of no matter. Read once; what is kept grows with the
            criteria of the tasks and with the steps, not with the records.
        tasks: where criteria that exclude each other are looked for. ``None``: the tasks of the records.
        history: the trainer's ``log_history``: mappings with ``step`` and, where it was logged, ``entropy``.

    Returns:
        Sorted by severity, kind, task and criterion. Empty when nothing is wrong that can be seen here, which is also
        the answer to records that are too few: each alarm says how many it needs.
    """
    shown = _Tasks()
    broken = BrokenRecords()
    watches: list[_Watch] = [
        ConstantCriteria(),
        NeverTogether(),
        Undetermined(),
        JudgeAgainstRule(),
        Relevance(),
        DominatedCredit(),
        TokenAdvantages(),
        Sums(),
        Lengths(),
        Stuffing(),
        Loopholes(),
    ]
    groups: dict[tuple[int, str, tuple[str, ...]], list[_Earned]] = {}
    step: int | None = None

    def end_step() -> None:
        for (_, task, criteria), rows in groups.items():
            for watch in watches:
                watch.see_group(task, criteria, rows)
        groups.clear()
        for watch in watches:
            watch.end_step()

    with np.errstate(all="ignore"):  # values that are not finite have an alarm of their own
        for record in records:
            if record.step != step:
                end_step()
                step = record.step
            shown.add(record.task)
            seen = broken.look(record)
            if seen is None:
                continue
            groups.setdefault((record.group, record.task.id, seen.ids), []).append(seen.earned)
            for watch in watches:
                watch.see(seen)
        end_step()
        excluding = list(_excluding(shown.tasks.values() if tasks is None else tasks))
        proven = {(task, one, other) for task, one, other, _, _ in excluding}
        found = [*broken.alarms(), *map(_contradiction, excluding), *entropy_collapse(history)]
        for watch in watches:
            found += watch.alarms(proven) if isinstance(watch, NeverTogether) else watch.alarms()
    return sorted(found, key=lambda a: (SEVERITIES.index(a.severity), a.kind, a.task or "", a.criterion or "", a.title))


# ------------------------------------------------------------------------------------------------- what a watch sees

_Earned = tuple[bool | None, ...]
"""For each criterion whether the response did what is wanted; ``None`` where there is no verdict."""

_ONE = 1 << 40


def _fixed(value: float) -> int:
    """The value in multiples of 2^-40, whose sums do not depend on their order; 0 for one that no float can hold so."""
    scaled = float(value) * _ONE
    return round(scaled) if math.isfinite(scaled) else 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A record whose parts fit together.

    Attributes:
        record: it.
        ids: [K], the criteria's ids.
        earned: [K].
        relevance: [K T] in [0, 1], or ``None`` where the record has none.
        token_advantages, advantages: [T].
        by_criterion: [K T], each criterion's part in the token advantages, or ``None``.
    """

    record: Record
    ids: tuple[str, ...]
    earned: _Earned
    relevance: _Floats | None
    token_advantages: _Floats
    advantages: _Floats
    by_criterion: _Floats | None

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """[K], the rubric's."""
        return self.record.task.rubric.criteria

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """[K], in the rubric's order."""
        return self.record.verdicts


class _Watch:
    """What looks for one kind of trouble; each method may be left as it is."""

    def see(self, seen: _Seen) -> None:
        """One response."""

    def see_group(self, task: str, criteria: tuple[str, ...], rows: Sequence[_Earned]) -> None:
        """What the responses of one group earned, in any order."""

    def end_step(self) -> None:
        """All responses of a step were seen."""

    def alarms(self) -> Iterator[Alarm]:
        """What is to be said in the end."""
        yield from ()


class _Tasks:
    """The tasks of the records by id; where two differ under one id, one of them whatever their order."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        known = self.tasks.setdefault(task.id, task)
        if known is not task and known != task:
            self.tasks[task.id] = min(known, task, key=Task.to_json)


@dataclass(slots=True)
class _Steps:
    """The first and the last step of something."""

    first: int | None = None
    last: int | None = None

    def add(self, step: int) -> None:
        self.first = step if self.first is None else min(self.first, step)
        self.last = step if self.last is None else max(self.last, step)

    @property
    def both(self) -> tuple[int, int] | None:
        return None if self.first is None or self.last is None else (self.first, self.last)


def _who(task: str, criterion: str) -> str:
    return f"{criterion!r} of task {task!r}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: float) -> float:
    return float(f"{value:.6g}")


# --------------------------------------------------------------------------------------------- records that are broken


class BrokenRecords:
    """Values that are not finite, parts that do not fit, relevance outside [0, 1]: one record is enough.

    There is no threshold: a NaN in one advantage is a NaN in every weight after the next step of the optimiser, and a
    row too many or too few means that credit is given to the wrong tokens. The other watches do not see such records.
    """

    ROUNDING = 1e-5
    """Records hold six digits: relevance may leave [0, 1] by less than this."""

    def __init__(self) -> None:
        self.found: dict[str, _Example] = defaultdict(_Example)

    def look(self, record: Record) -> _Seen | None:
        """The record for the other watches, or ``None`` when it is broken."""
        tokens, criteria = len(record.response.token_ids), record.task.rubric.criteria
        ids = tuple(criterion.id for criterion in criteria)
        relevance = _array(record.relevance, (len(criteria), tokens)) if record.relevance else None
        token_advantages, advantages = (_array(v, (tokens,)) for v in (record.token_advantages, record.advantages))
        parts = record.criterion_advantages
        by_criterion = None if parts is None else _array(parts, (len(criteria), tokens))
        if (
            tuple(verdict.criterion_id for verdict in record.verdicts) != ids
            or token_advantages is None
            or advantages is None
            or (record.relevance and relevance is None)
            or (parts is not None and by_criterion is None)
        ):
            self.found["shape"].add(record)
            return None
        arrays = [token_advantages, advantages, *(a for a in (relevance, by_criterion) if a is not None)]
        single = [record.response_advantage, *([] if record.reward is None else [record.reward])]
        kind = None
        if not all(np.isfinite(array).all() for array in arrays) or not all(map(math.isfinite, single)):
            kind = "not_finite"
        elif relevance is not None and ((relevance < -self.ROUNDING) | (relevance > 1 + self.ROUNDING)).any():
            kind = "relevance_range"
        if kind is not None:
            self.found[kind].add(record)
            return None
        earned = tuple(
            credited(criterion, verdict) is Outcome.SATISFIED if verdict.determined else None
            for verdict, criterion in zip(record.verdicts, criteria, strict=True)
        )
        return _Seen(record, ids, earned, relevance, token_advantages, advantages, by_criterion)

    def alarms(self) -> Iterator[Alarm]:
        """One alarm for each way to be broken."""
        words = {
            "shape": (
                "have verdicts, relevance or advantages that do not fit their criteria and tokens",
                "Credit cannot be trusted: look for what reorders or cuts rows. If the file was written by another "
                "program, write one verdict a criterion and one number a token.",
            ),
            "not_finite": (
                "hold a reward, relevance or advantage that is NaN or infinite",
                "Stop the run and go back to a checkpoint from before. Look at the relevance source first (a "
                "discriminator in half precision); sigma_floor and token_advantage_bound keep quotients in range.",
            ),
            "relevance_range": (
                "hold relevance outside [0, 1]",
                "Relevance is a share: apply the sigmoid to a discriminator's logits, or scale your source to [0, 1].",
            ),
        }
        for kind, example in self.found.items():
            what, advice = words[kind]
            yield Alarm(
                kind,
                "error",
                f"{example.count:,} records {what}, the first in {example.place}.",
                advice,
                task=example.task,
                steps=example.steps.both,
                numbers={"records": example.count},
            )


@dataclass(slots=True)
class _Example:
    """How many records have something, and the first of them."""

    count: int = 0
    first: tuple[int, int, str] | None = None
    steps: _Steps = field(default_factory=_Steps)

    def add(self, record: Record) -> None:
        place = (record.step, record.group, record.task.id)
        self.count += 1
        self.first = place if self.first is None else min(self.first, place)
        self.steps.add(record.step)

    @property
    def task(self) -> str | None:
        return None if self.first is None else self.first[2]

    @property
    def place(self) -> str:
        return "" if self.first is None else f"step {self.first[0]}, group {self.first[1]} (task {self.first[2]!r})"


def _array(values: Any, shape: tuple[int, ...]) -> _Floats | None:
    """The values as an array of this shape, or ``None`` where they have another, or are no numbers."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if array.size == 0 and 0 in shape:
        return np.zeros(shape)
    return array if array.shape == shape else None


# -------------------------------------------------------------------------------------------------------- the verdicts


@dataclass(slots=True)
class _Criterion:
    met: int = 0
    unmet: int = 0
    groups: int = 0
    varied: int = 0
    steps: _Steps = field(default_factory=_Steps)


class ConstantCriteria(_Watch):
    """Criteria on which the responses of a group never differ: against its group, each of them is worth nothing.

    Looked at from ``MIN_VERDICTS`` verdicts on. 32 that all agree leave a true rate within 9 % of the end (95 %
    confidence), where a group of 8 agrees about every second time: what is left to learn is little. ``MIN_GROUPS``
    because one prompt's one group can agree by luck.
    """

    MIN_VERDICTS = 32
    MIN_GROUPS = 4

    def __init__(self) -> None:
        self.criteria: dict[tuple[str, str], _Criterion] = defaultdict(_Criterion)

    def see(self, seen: _Seen) -> None:
        """Count."""
        for criterion in seen.ids:
            self.criteria[seen.record.task.id, criterion].steps.add(seen.record.step)

    def see_group(self, task: str, criteria: tuple[str, ...], rows: Sequence[_Earned]) -> None:
        """Does the group differ?"""
        for k, criterion in enumerate(criteria):
            met, unmet = (sum(row[k] is wanted for row in rows) for wanted in (True, False))
            counts = self.criteria[task, criterion]
            counts.met += met
            counts.unmet += unmet
            counts.groups += met + unmet > 1
            counts.varied += met > 0 and unmet > 0

    def alarms(self) -> Iterator[Alarm]:
        """Never met, always met, or either group by group."""
        for (task, criterion), counts in self.criteria.items():
            verdicts = counts.met + counts.unmet
            if counts.varied or verdicts < self.MIN_VERDICTS or counts.groups < self.MIN_GROUPS:
                continue
            severity: Severity = "note"
            if not counts.met:
                kind, severity, how = "never_met", "warning", "was never met"
                advice = (
                    "Look at what it blames with `rtt show`. If no response can meet it, mend or drop it; if it is "
                    "only too hard, train on easier tasks first, or sample more responses (num_generations)."
                )
            elif not counts.unmet:
                kind, how = "always_met", "was always met"
                advice = (
                    "It has nothing left to teach. partition='intra_sample' pushes its tokens all the same: set "
                    "silent_when_unanimous=True, or drop it."
                )
            else:
                kind, how = "never_varies", f"was met in {_percent(counts.met / verdicts)} but alike within each group"
                advice = (
                    "Responses of a group may be copies of each other: raise temperature, or look at their texts with "
                    "`rtt show`."
                )
            yield Alarm(
                kind,
                severity,
                f"Criterion {_who(task, criterion)} {how} in {verdicts:,} responses of {counts.groups:,} groups: it "
                "gives no signal.",
                advice,
                task,
                criterion,
                counts.steps.both,
                {"met": counts.met, "responses": verdicts, "groups": counts.groups},
            )


class NeverTogether(_Watch):
    """Two criteria that are met, each at times, and never by the same response.

    Expected by chance are ``a b / n`` such responses in a group of n where a and b meet one of them, added up over the
    groups (so that a policy which changes over the steps does not look like a contradiction). At ``MIN_EXPECTED`` 5,
    none at all has a chance of e^-5 = 0.7 %. Of many pairs some would get there by luck: with P pairs looked at the
    threshold is ``log(P / 0.01)``, which keeps a false alarm in a whole run at 1 %.
    """

    MIN_EXPECTED = 5.0
    MIN_RESPONSES = 16
    FALSE_ALARMS = 0.01

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])

    def see_group(self, task: str, criteria: tuple[str, ...], rows: Sequence[_Earned]) -> None:
        """Count what is met together."""
        for i, j in itertools.combinations(range(len(criteria)), 2):
            both = [(row[i], row[j]) for row in rows if row[i] is not None and row[j] is not None]
            first, second = (sum(bool(pair[side]) for pair in both) for side in (0, 1))
            counts = self.pairs[task, criteria[i], criteria[j]]
            counts[0] += len(both)
            counts[1] += first
            counts[2] += second
            counts[3] += sum(a is True and b is True for a, b in both)
            counts[4] += round(first * second * _ONE / len(both)) if both else 0

    def alarms(self, proven: Container[tuple[str, str, str]] = ()) -> Iterator[Alarm]:
        """Pairs that luck does not explain, without those that are known from their rules already."""
        tried = sum(counts[1] > 0 and counts[2] > 0 for counts in self.pairs.values())
        needed = max(self.MIN_EXPECTED, math.log(max(tried, 1) / self.FALSE_ALARMS))
        for (task, one, other), (responses, first, second, together, fixed) in self.pairs.items():
            expected = fixed / _ONE
            if together or responses < self.MIN_RESPONSES or expected < needed or (task, one, other) in proven:
                continue
            yield Alarm(
                "never_together",
                "warning",
                f"Criteria {one!r} and {other!r} of task {task!r} were met {first:,} and {second:,} times in "
                f"{responses:,} responses, but never by the same one; {expected:.1f} were to be expected.",
                "Read both: if they contradict each other, drop one; the reward 'aon' can never be earned with them. "
                "If they do not, the policy has not found the way yet: start from easier tasks.",
                task,
                one,
                None,
                {"responses": responses, "first": first, "second": second, "expected": _number(expected)},
            )


class Undetermined(_Watch):
    """Criteria without a verdict: what is not decided teaches nothing, and a share of failed checks hides an outage.

    ``SHARE`` a fifth: below, a criterion keeps most of its signal. For failures (a judge that does not answer)
    ``FAILED`` 5 %: a judge that works fails in well under 1 %. Half of all failed, where training stops by default
    (judge_max_failed), is an error.
    """

    SHARE = 0.2
    FAILED = 0.05
    HALF = 0.5
    MIN_VERDICTS = 16

    def __init__(self) -> None:
        self.criteria: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        self.steps = _Steps()

    def see(self, seen: _Seen) -> None:
        """Count."""
        self.steps.add(seen.record.step)
        for verdict in seen.verdicts:
            counts = self.criteria[seen.record.task.id, verdict.criterion_id]
            counts[0] += 1
            counts[1] += not verdict.determined
            counts[2] += verdict.failed

    def alarms(self) -> Iterator[Alarm]:
        """Of the run: failed checks. Of criteria: no verdicts."""
        verdicts, failed = (sum(counts[place] for counts in self.criteria.values()) for place in (0, 2))
        if verdicts >= self.MIN_VERDICTS and failed > self.FAILED * verdicts:
            yield Alarm(
                "failed_checks",
                "error" if failed >= self.HALF * verdicts else "warning",
                f"{failed:,} of {verdicts:,} checks failed ({_percent(failed / verdicts)}): no answer, or none that "
                "could be used.",
                "Look at the reasons with `rtt show`. For a judge raise judge_timeout, judge_max_retries or "
                "judge_attempts, lower judge_concurrency; judge_max_failed stops a run in time.",
                steps=self.steps.both,
                numbers={"verdicts": verdicts, "failed": failed},
            )
        for (task, criterion), (total, undetermined, broken) in self.criteria.items():
            if total < self.MIN_VERDICTS or undetermined <= self.SHARE * total:
                continue
            never = undetermined == total
            yield Alarm(
                "undetermined",
                "warning",
                f"Criterion {_who(task, criterion)} {'never had' if never else 'was without'} a verdict"
                f"{'' if never else f' in {undetermined:,} of {total:,} responses'} ({total:,} responses, "
                f"{broken:,} failed checks).",
                "Name a judge for criteria that no rule decides (judge), or fallback: judge for a rule that often "
                "cannot tell; drop a criterion that nobody decides.",
                task,
                criterion,
                self.steps.both,
                {"responses": total, "undetermined": undetermined, "failed": broken},
            )


class JudgeAgainstRule(_Watch):
    """A judge and a rule on the same words and the same response that disagree.

    Only where both decided: two criteria with the same text, or the same response sampled again in a step. ``SHARE`` a
    fifth: judges on checkable constraints err in about a tenth, so twice that is another reading of the text, not
    noise. ``MIN_PAIRS`` 8, of which two must then differ.
    """

    SHARE = 0.2
    MIN_PAIRS = 8

    def __init__(self) -> None:
        self.step: dict[tuple[str, str, str], Counter[tuple[str, bool]]] = defaultdict(Counter)
        self.found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])

    def see(self, seen: _Seen) -> None:
        """Keep who said what, until the step is over."""
        for criterion, verdict in zip(seen.criteria, seen.verdicts, strict=True):
            who = verdict.source.partition(":")[0]
            if verdict.determined and who in ("judge", "rule"):
                words = " ".join(criterion.text.split()).casefold()
                said = (who, verdict.outcome is Outcome.SATISFIED)
                self.step[seen.record.task.id, words, seen.record.response.text][said] += 1

    def end_step(self) -> None:
        """Count pairs of a rule's and a judge's verdict."""
        for (task, words, _), said in self.step.items():
            agree = said["rule", True] * said["judge", True] + said["rule", False] * said["judge", False]
            differ = said["rule", True] * said["judge", False] + said["rule", False] * said["judge", True]
            if agree or differ:
                counts = self.found[task, words]
                counts[0] += agree + differ
                counts[1] += differ
        self.step.clear()

    def alarms(self) -> Iterator[Alarm]:
        """By task and text."""
        for (task, words), (pairs, differ) in self.found.items():
            if pairs < self.MIN_PAIRS or differ < self.SHARE * pairs:
                continue
            yield Alarm(
                "judge_against_rule",
                "warning",
                f"Judge and rule disagree in {differ:,} of {pairs:,} verdicts on {words[:80]!r} of task {task!r}.",
                "The rule decides what its arguments say: reword the text until it says the same. Measure the judge "
                "with `rtt judge check` before you trust it where there is no rule.",
                task,
                numbers={"pairs": pairs, "differ": differ},
            )


# ------------------------------------------------------------------------------------------------------- the relevance


@dataclass(slots=True)
class _Rows:
    """What the rows of relevance of one criterion, or of a run, add up to. All sums but the counts are fixed."""

    rows: int = 0
    flat: int = 0
    uneven: int = 0
    tokens: int = 0
    neighbours: int = 0
    tails: int = 0
    same: int = 0
    repeats: int = 0
    ranks: int = 0
    precision: int = 0
    steps: _Steps = field(default_factory=_Steps)


class Relevance(_Watch):
    """Relevance that tells no token from another: flat rows, and noise.

    Flat: a row all of whose values are equal (``EQUAL``), where the verdict names words (its evidence has spans and is
    not all tokens) or where the value is neither 0 nor 1. A verdict on the whole response is flat by right.
    ``FLAT_SHARE`` 0.9 of at least ``MIN_ROWS`` rows: now and then a source has nothing to say.

    Noise: graded rows (at least half of the values differ; a rule's evidence, 0 and 1, is never noise) in which

    * neighbours are no more alike than chance: a lag-1 autocorrelation below ``NEIGHBOURS``, over ``MIN_TOKENS``
      tokens, where chance alone gives 0 +- 0.045;
    * the same token elsewhere in the response is not alike either: half its squared difference is above ``SAME`` of the
      variance, where chance gives 1; not asked below ``MIN_REPEATS`` repeated tokens;
    * and the evidence does not stand out: it outranks other tokens with a chance below ``OUTRANKS``, where chance gives
      0.5. Without evidence the values must be spread like noise: kurtosis below ``TAILS`` (uniform 1.8, normal 3), for
      a discriminator that picks single words has few high values and many low ones, a kurtosis of 10 and more.
    """

    EQUAL = 1e-6
    FLAT_SHARE = 0.9
    MIN_ROWS = 16
    MIN_LENGTH = 16
    MIN_TOKENS = 500
    MIN_REPEATS = 50
    NEIGHBOURS = 0.1
    SAME = 0.8
    OUTRANKS = 0.6
    TAILS = 4.0
    MAX_ERROR = 0.05
    """The standard error of the rank above which evidence is too scarce to be asked."""

    def __init__(self) -> None:
        self.criteria: dict[tuple[str, str], _Rows] = defaultdict(_Rows)
        self.run = _Rows()
        self.used = False

    def see(self, seen: _Seen) -> None:
        """Measure each row."""
        if seen.relevance is None or seen.record.token_weight == 0:
            return
        self.used = self.used or bool(seen.relevance.any() or seen.token_advantages.any())
        response = seen.record.response
        if len(response.token_ids) < 4:
            return
        for verdict, row in zip(seen.verdicts, seen.relevance, strict=True):
            if not verdict.determined:
                continue
            spans = [(span.start, span.end) for span in verdict.evidence]
            inside = tokens_in(response.spans, spans, length=len(response.text))
            named = bool(inside.any()) and not inside.all() and verdict.scope == "spans" and not verdict.missing
            for rows in (self.run, self.criteria[seen.record.task.id, verdict.criterion_id]):
                self._add(rows, row, inside if named else None, np.asarray(response.token_ids), seen.record.step)

    def _add(
        self, rows: _Rows, row: _Floats, inside: npt.NDArray[np.bool_] | None, ids: npt.NDArray[Any], step: int
    ) -> None:
        if np.ptp(row) <= self.EQUAL:
            by_right = inside is None and (abs(row[0]) <= self.EQUAL or abs(row[0] - 1) <= self.EQUAL)
            if not by_right:
                rows.rows += 1
                rows.flat += 1
                rows.steps.add(step)
            return
        rows.rows += 1
        rows.steps.add(step)
        length = len(row)
        if length < self.MIN_LENGTH or len(np.unique(row)) < length / 2:
            return
        z = (row - row.mean()) / row.std()
        rows.uneven += 1
        rows.tokens += length
        rows.neighbours += _fixed(float((z[1:] * z[:-1]).sum()))
        rows.tails += _fixed(float((z**4).sum()))
        order = np.argsort(ids, kind="stable")
        again = ids[order][1:] == ids[order][:-1]
        rows.repeats += int(again.sum())
        rows.same += _fixed(float((np.diff(z[order])[again] ** 2).sum() / 2))
        if inside is not None:
            others = np.sort(row[~inside])
            lower, upper = (np.searchsorted(others, row[inside], side=side) for side in ("left", "right"))
            rank = float((lower + upper).mean() / (2 * len(others)))
            precision = 12 * len(others) * int(inside.sum()) / (length + 1)
            rows.ranks += _fixed(rank * precision)
            rows.precision += _fixed(precision)

    def _is_noise(self, rows: _Rows) -> bool:
        if rows.uneven < self.MIN_ROWS / 2 or rows.tokens < self.MIN_TOKENS or rows.uneven < rows.rows / 2:
            return False
        if rows.neighbours / rows.tokens / _ONE >= self.NEIGHBOURS:
            return False
        if rows.repeats >= self.MIN_REPEATS and rows.same / rows.repeats / _ONE <= self.SAME:
            return False
        if rows.precision / _ONE >= self.MAX_ERROR**-2:
            return rows.ranks / rows.precision < self.OUTRANKS
        return rows.tails / rows.tokens / _ONE < self.TAILS

    def _is_flat(self, rows: _Rows) -> bool:
        return rows.rows >= self.MIN_ROWS and rows.flat >= self.FLAT_SHARE * rows.rows

    def alarms(self) -> Iterator[Alarm]:
        """One alarm when it is the whole run's, else one for each criterion."""
        if not self.used:
            return  # a run without token-level credit
        for kind, holds in (("flat_relevance", self._is_flat), ("noisy_relevance", self._is_noise)):
            if holds(self.run):
                yield self._alarm(kind, self.run, None)
                continue
            for whose, rows in self.criteria.items():
                if holds(rows):
                    yield self._alarm(kind, rows, whose)

    def _alarm(self, kind: str, rows: _Rows, whose: tuple[str, str] | None) -> Alarm:
        who = "the run" if whose is None else f"criterion {_who(*whose)}"
        if kind == "flat_relevance":
            title = (
                f"The relevance of {who} is the same for all tokens in {rows.flat:,} of {rows.rows:,} rows, where it "
                "could tell them apart."
            )
            advice = (
                "Constant rows give no token-level credit, or with a discriminator's rounding noise at full size: set "
                "sigma_floor=0.05. Look at them with `rtt show --by relevance`, choose relevance='evidence' or "
                "'hybrid', or train the discriminator further (`rtt discriminator evaluate`)."
            )
            numbers: dict[str, float] = {"rows": rows.rows, "flat": rows.flat}
        else:
            alike = rows.neighbours / rows.tokens / _ONE
            title = (
                f"The relevance of {who} looks like noise: neighbouring tokens are no more alike than chance "
                f"({alike:.2f} over {rows.tokens:,} tokens), nor does the evidence stand out."
            )
            advice = (
                "Normalised, noise reaches the policy at full size. Set sigma_floor=0.05 if its spread is small; "
                "measure the source with `rtt discriminator evaluate`; compare with relevance='uniform'; is it "
                "'random'?"
            )
            numbers = {"rows": rows.uneven, "tokens": rows.tokens, "autocorrelation": _number(alike)}
            if rows.precision:
                numbers["evidence_rank"] = _number(rows.ranks / rows.precision)
        task, criterion = whose or (None, None)
        return Alarm(kind, "warning", title, advice, task, criterion, rows.steps.both, numbers)


# ---------------------------------------------------------------------------------------------------------- the credit


class DominatedCredit(_Watch):
    """One criterion that has nearly all of the token-level credit of its task.

    A criterion's part is the sum of the sizes of its contributions: those of the record where it has them, else
    ``s (w - mean) / std`` as in intra_sample. There, one token of T has a part of ``2 / sqrt(T)`` beside 1 for half of
    the tokens: a share of 0.83 of three criteria, or 0.91 of two, at T = 400 is what a healthy rubric gives. So
    ``SHARE_OF_MANY`` is 0.9 and ``SHARE_OF_TWO`` 0.95. Criteria without a part (flat rows) do not count.
    """

    SHARE_OF_MANY = 0.9
    SHARE_OF_TWO = 0.95
    MIN_RESPONSES = 16
    EQUAL = 1e-6

    def __init__(self) -> None:
        self.parts: dict[str, Counter[str]] = defaultdict(Counter)
        self.responses: Counter[str] = Counter()
        self.steps: dict[str, _Steps] = defaultdict(_Steps)

    def see(self, seen: _Seen) -> None:
        """Add up each criterion's part."""
        if not seen.record.response.token_ids or (seen.by_criterion is None and seen.relevance is None):
            return
        task = seen.record.task.id
        for k, criterion in enumerate(seen.ids):
            if seen.earned[k] is None:
                continue
            if seen.by_criterion is not None:
                part = float(np.abs(seen.by_criterion[k]).mean())
            else:
                assert seen.relevance is not None  # nosec B101 # a fact for the type checker
                row = seen.relevance[k]
                spread = float(row.std())
                part = 0.0 if spread <= self.EQUAL else float(np.abs(row - row.mean()).mean()) / spread
            self.parts[task][criterion] += _fixed(part)
        self.responses[task] += 1
        self.steps[task].add(seen.record.step)

    def alarms(self) -> Iterator[Alarm]:
        """By task."""
        for task, parts in self.parts.items():
            sharing = {criterion: part for criterion, part in parts.items() if part}
            if len(sharing) < 2 or self.responses[task] < self.MIN_RESPONSES:
                continue
            criterion, largest = max(sharing.items(), key=lambda item: (item[1], item[0]))
            share = largest / sum(sharing.values())
            if share <= (self.SHARE_OF_TWO if len(sharing) == 2 else self.SHARE_OF_MANY):
                continue
            yield Alarm(
                "dominated_credit",
                "warning",
                f"Criterion {_who(task, criterion)} has {_percent(share)} of its token-level credit; {len(sharing)} "
                "criteria have a part in it.",
                "The others are hardly heard. sigma_floor=0.05 keeps near-constant rows from being blown up, "
                "token_advantage_bound cuts peaks, partition='criterion_group' weighs criteria by their verdicts.",
                task,
                criterion,
                self.steps[task].both,
                {"share": _number(share), "criteria": len(sharing), "responses": self.responses[task]},
            )


class TokenAdvantages(_Watch):
    """Token advantages that cannot be, or that shout the response advantage down.

    Impossible: with intra_sample, a mean of rows of unit variance, no token of T exceeds ``sqrt(T)``. Whether a run is
    of that kind is seen from its sums: each response's token advantages add up to 0 (``ZERO_SUM`` of their sizes, in
    ``ZERO_SUM_SHARE`` of the responses); the other partitions balance over groups, or not at all.

    Loud: the token-level part ``|A - A_res|`` of a token is more than ``LOUD`` times ``max(|A_res|, 1)`` (response
    advantages have unit spread in their group), in more than ``LOUD_SHARE`` of the responses. One token of 400 for a
    rubric of one criterion gets there at lambda 0.5; clipping does not bound it.
    """

    ZERO_SUM = 1e-3
    ZERO_SUM_SHARE = 0.95
    ROUNDING = 1.001
    LOUD = 10.0
    LOUD_SHARE = 0.01

    def __init__(self) -> None:
        self.responses = self.heard = self.zero_sum = 0
        self.impossible, self.loud = _Example(), _Example()
        self.largest = self.loudest = 0.0

    def see(self, seen: _Seen) -> None:
        """Compare the largest with its bounds."""
        values = seen.token_advantages
        self.responses += 1
        if not values.any():
            return
        self.heard += 1
        sizes = np.abs(values)
        self.zero_sum += bool(abs(values.sum()) <= self.ZERO_SUM * sizes.sum())
        ratio = float(sizes.max()) / math.sqrt(len(values))
        self.largest = max(self.largest, ratio)
        if ratio > self.ROUNDING:
            self.impossible.add(seen.record)
        given = seen.record.response_advantage
        part = float(np.abs(seen.advantages - given).max()) / max(abs(given), 1.0) if seen.advantages.any() else 0.0
        self.loudest = max(self.loudest, part)
        if part > self.LOUD:
            self.loud.add(seen.record)

    def alarms(self) -> Iterator[Alarm]:
        """Of the run."""
        if self.impossible.count and self.zero_sum >= self.ZERO_SUM_SHARE * self.heard:
            yield Alarm(
                "impossible_token_advantage",
                "error",
                f"In {self.impossible.count:,} of {self.heard:,} responses a token advantage exceeds sqrt(T), up to "
                f"{self.largest:.3g} times, which intra_sample cannot give; the first in {self.impossible.place}.",
                "The credit is not what the formula says: look for rows cut by another response's mask, or for sums "
                "taken where means are meant.",
                task=self.impossible.task,
                steps=self.impossible.steps.both,
                numbers={"responses": self.impossible.count, "largest": _number(self.largest)},
            )
        if self.loud.count > self.LOUD_SHARE * self.responses:
            yield Alarm(
                "loud_token_advantage",
                "warning",
                f"In {self.loud.count:,} of {self.responses:,} responses single tokens get more than {self.LOUD:g} "
                f"times the response advantage, up to {self.loudest:.3g} times.",
                "Few relevant tokens of many get sqrt(T / k). Set token_advantage_bound (3, say), lower "
                "token_weight, or choose partition='criterion_group', which is bounded by the verdicts.",
                steps=self.loud.steps.both,
                numbers={"responses": self.loud.count, "of": self.responses, "largest": _number(self.loudest)},
            )


class Sums(_Watch):
    """Advantages that are not ``A_res + lambda A_tok`` (or the mixture), where the record says how they were joined.

    ``TOLERANCE`` is relative to the sizes that are added: records hold six digits, so the error is a few 1e-6. Tokens
    with advantage 0 are passed over: they are masked (a truncated response).
    """

    TOLERANCE = 1e-4

    def __init__(self) -> None:
        self.wrong = _Example()
        self.checked = 0
        self.worst = 0.0

    def see(self, seen: _Seen) -> None:
        """Compute them again."""
        weight, how = seen.record.token_weight, seen.record.combine
        if weight is None or how not in ("add", "mix") or not math.isfinite(weight):
            return
        share = 1 - weight if how == "mix" else 1.0
        response, tokens = share * seen.record.response_advantage, weight * seen.token_advantages
        off = np.abs(seen.advantages - (response + tokens))
        allowed = self.TOLERANCE * (abs(response) + np.abs(tokens)) + 1e-6
        self.checked += 1
        wrong = (off > allowed) & (seen.advantages != 0)
        if wrong.any():
            self.wrong.add(seen.record)
            self.worst = max(self.worst, float(off[wrong].max()))

    def alarms(self) -> Iterator[Alarm]:
        """One response is enough."""
        if self.wrong.count:
            yield Alarm(
                "advantages_do_not_add_up",
                "error",
                f"In {self.wrong.count:,} of {self.checked:,} responses the advantages are not the response's plus the "
                f"weighted tokens', by up to {self.worst:.3g}; the first in {self.wrong.place}.",
                "The loss used something else than what is logged: look for what changes advantages after they are "
                "combined, and for a token_weight or combine that was changed on resuming.",
                task=self.wrong.task,
                steps=self.wrong.steps.both,
                numbers={"responses": self.wrong.count, "of": self.checked, "largest": _number(self.worst)},
            )


# ----------------------------------------------------------------------------------------------- trends over the steps

MIN_STEPS = 8
"""Steps below which no trend is looked for: with fewer, not even values in perfect order reach ``TREND``."""

TREND = 3.0
"""The Mann-Kendall statistic from which on a trend is more than noise: 0.3 % of runs without one get there."""


@dataclass(frozen=True, slots=True)
class _Trend:
    """A straight line through the values of the steps that outliers do not bend (Theil and Sen).

    Attributes:
        start, end: of the line, at the first and at the last step.
        score: of Mann and Kendall, a standard normal number where there is no trend.
    """

    start: float
    end: float
    score: float


def _trend(series: Mapping[int, float]) -> _Trend | None:
    """The trend of a value by step, or ``None`` with fewer than ``MIN_STEPS`` steps."""
    most = 64  # points; more are averaged, for each is compared with each
    if len(series) < MIN_STEPS:
        return None
    points = np.asarray(sorted(series.items()), dtype=np.float64)  # (N, 2)
    if len(points) > most:
        points = np.asarray([part.mean(axis=0) for part in np.array_split(points, most)])
    x, y = points.T
    later, earlier = np.triu_indices(len(x), 1)[::-1]
    dx, dy = x[later] - x[earlier], y[later] - y[earlier]
    slope = float(np.median(dy / dx))
    middle = float(np.median(y - slope * x))
    n = len(x)
    total = float(np.sign(dy).sum())
    score = (total - math.copysign(1, total)) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18) if total else 0.0
    return _Trend(middle + slope * float(x[0]), middle + slope * float(x[-1]), score)


class Lengths(_Watch):
    """Responses that grow or shrink.

    ``FACTOR`` 1.5 from the first to the last step along a robust line, and a trend beyond noise (``TREND``): half as
    long again is more than tasks of different length do to the means of steps, and is where the same credit starts to
    weigh differently (one token of T gets ``sqrt(T)``).
    """

    FACTOR = 1.5

    def __init__(self) -> None:
        self.by_step: dict[int, list[int]] = defaultdict(lambda: [0, 0])

    def see(self, seen: _Seen) -> None:
        """Count tokens."""
        counts = self.by_step[seen.record.step]
        counts[0] += 1
        counts[1] += len(seen.record.response.token_ids)

    def alarms(self) -> Iterator[Alarm]:
        """Of the run."""
        line = _trend({step: math.log(max(tokens / n, 1)) for step, (n, tokens) in self.by_step.items()})
        if line is None or abs(line.score) < TREND or abs(line.end - line.start) < math.log(self.FACTOR):
            return
        start, end = math.exp(line.start), math.exp(line.end)
        grows = end > start
        yield Alarm(
            "growing_responses" if grows else "shrinking_responses",
            "warning",
            f"Responses {'grow' if grows else 'shrink'} from {start:.0f} to {end:.0f} tokens on average "
            f"({end / start:.2f} times).",
            (
                "Read late responses with `rtt show`. Add a criterion of length to the rubrics; "
                + (
                    "loss_type='dapo' weighs tokens of long responses alike; mask_truncated_completions=True."
                    if grows
                    else "do criteria forbid things (short answers break no rule)? relevance_missing='end' blames "
                    "the stop, exclude_special_tokens=True leaves the end of sequence out."
                )
            ),
            steps=(min(self.by_step), max(self.by_step)),
            numbers={"start": _number(start), "end": _number(end), "factor": _number(end / start)},
        )


_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class _Words:
    responses: int = 0
    words: int = 0
    asked: int = 0
    written: int = 0
    varied: int = 0
    texts: int = 0
    steps: _Steps = field(default_factory=_Steps)


class Stuffing(_Watch):
    """Keywords that are met by repeating them, and responses that repeat themselves.

    Of a criterion: where it is met, keywords stand ``TIMES`` 5 times as often as asked and are more than ``DENSITY`` a
    tenth of the words, in ``MIN_RESPONSES``. A text about robots may say "robot" ten times where once was asked; one
    word in ten is no prose. Of the run: the density doubles (``DOUBLES``) along a trend, to ``TIMES_LATE`` 3 times
    what is asked. Of all texts: the share of different word triples falls by ``FALL``, in their first ``WORDS`` words
    (so that length alone changes nothing).

    Keywords are read from ``keywords:existence`` and ``keywords:frequency`` ("at least"), as far as they are plain
    words.
    """

    TIMES = 5.0
    DENSITY = 0.1
    MIN_RESPONSES = 16
    DOUBLES = 2.0
    TIMES_LATE = 3.0
    FALL = 0.15
    WORDS = 200

    def __init__(self) -> None:
        self.criteria: dict[tuple[str, str], _Words] = defaultdict(_Words)
        self.by_step: dict[int, _Words] = defaultdict(_Words)

    def see(self, seen: _Seen) -> None:
        """Count words, keywords and triples."""
        text = seen.record.response.text.lower()
        words = _WORD.findall(text)
        of_step = self.by_step[seen.record.step]
        first = words[: self.WORDS]
        if len(first) >= 12:
            triples = list(zip(first, first[1:], first[2:], strict=False))
            of_step.varied += _fixed(len(set(triples)) / len(triples))
            of_step.texts += 1
        for criterion, earned in zip(seen.criteria, seen.earned, strict=True):
            asked = {} if criterion.rule is None or criterion.unwanted else _keywords(criterion.rule)
            if not asked or not earned:
                continue
            written = sum(text.count(keyword) for keyword in asked)
            for counts in (of_step, self.criteria[seen.record.task.id, criterion.id]):
                counts.responses += 1
                counts.words += len(words)
                counts.asked += sum(asked.values())
                counts.written += written
                counts.steps.add(seen.record.step)

    def alarms(self) -> Iterator[Alarm]:
        """Of criteria, then of the run."""
        advice = (
            "Read them with `rtt show`. Ask for a number of times rather than any (keywords:frequency 'less than'), "
            "add a criterion for a judge ('reads naturally'), lower token_weight, or set silent_when_unanimous=True, "
            "so that a criterion that is met stops pushing its words."
        )
        for (task, criterion), counts in self.criteria.items():
            if counts.responses < self.MIN_RESPONSES or not counts.words:
                continue
            times, density = counts.written / counts.asked, counts.written / counts.words
            if times >= self.TIMES and density > self.DENSITY:
                yield Alarm(
                    "keyword_stuffing",
                    "warning",
                    f"Criterion {_who(task, criterion)} is met by repeating: {times:.1f} times what is asked, "
                    f"{_percent(density)} of all words.",
                    advice,
                    task,
                    criterion,
                    counts.steps.both,
                    {"times": _number(times), "density": _number(density), "responses": counts.responses},
                )
        with_keywords = {step: counts for step, counts in self.by_step.items() if counts.words and counts.asked}
        line = _trend({step: counts.written / counts.words for step, counts in with_keywords.items()})
        if line is not None and line.score >= TREND and line.end >= self.DOUBLES * max(line.start, 0):
            last = [with_keywords[step] for step in sorted(with_keywords)[-max(len(with_keywords) // 4, 2) :]]
            times = sum(counts.written for counts in last) / sum(counts.asked for counts in last)
            if times >= self.TIMES_LATE:
                yield Alarm(
                    "keyword_stuffing",
                    "warning",
                    f"Keywords grow from {_percent(max(line.start, 0))} to {_percent(line.end)} of the words, "
                    f"{times:.1f} times what is asked.",
                    advice,
                    steps=(min(with_keywords), max(with_keywords)),
                    numbers={"start": _number(line.start), "end": _number(line.end), "times": _number(times)},
                )
        varied = {step: c.varied / c.texts / _ONE for step, c in self.by_step.items() if c.texts}
        line = _trend(varied)
        if line is not None and line.score <= -TREND and line.start - line.end >= self.FALL:
            yield Alarm(
                "repetition",
                "warning",
                f"Responses repeat themselves more and more: {_percent(line.start)} of their word triples differed at "
                f"first, {_percent(line.end)} in the end.",
                "Read late responses with `rtt show`. Lower token_weight or learning_rate, set beta above 0, and "
                "stop before the step at which it begins.",
                steps=(min(varied), max(varied)),
                numbers={"start": _number(line.start), "end": _number(line.end)},
            )


@dataclass(slots=True)
class _Word:
    """Responses with a word, in groups that have some without it; what they, and those without, earned. Sums are fixed.

    Attributes:
        responses: how many have it.
        passed: of them, how many met all criteria.
        expected: how many would, if the word made no difference.
        variance: of that number.
        without: the share of those without it that met all, added up once for each response with it.
        places: their steps, added up.
        tasks: some of their tasks, at most as many as are asked for.
        steps: where they stand.
    """

    responses: int = 0
    passed: int = 0
    expected: int = 0
    variance: int = 0
    without: int = 0
    places: int = 0
    tasks: set[str] = field(default_factory=set)
    steps: _Steps = field(default_factory=_Steps)


class Loopholes(_Watch):
    """A word that opens doors: with it responses meet all criteria of any task far more often, and it spreads.

    That is what a verifier with a hole, or a judge that can be talked into a yes, looks like from outside. Responses
    are compared within their group, so that neither a hard task nor a policy that learns looks like one. Left out are

    * groups in which fewer than ``VARYING`` criteria vary: a word that one criterion asks for is luck for the others;
    * words that the task itself names, and words of fewer than ``MIN_TASKS`` tasks;
    * responses less than half or more than twice as long as the group's median: an empty one fails all criteria, and
      any word at all tells it from the others.

    ``SCORE``: how many standard deviations more meet everything than would by chance (Mantel and Haenszel); 6 holds for
    all words of a language together. ``LIFT`` 0.15: a difference that matters, even where the hole takes more than this
    one word. ``TREND`` standard errors later than all compared responses stand those with the word: the policy moves
    towards it.
    """

    VARYING = 2
    SCORE = 6.0
    LIFT = 0.15
    MIN_TASKS = 4
    SHOWN = 3

    def __init__(self) -> None:
        self.step: dict[tuple[int, str, tuple[str, ...]], list[_Seen]] = defaultdict(list)
        self.words: dict[str, _Word] = defaultdict(_Word)
        self.compared = self.places = self.squares = 0

    def see(self, seen: _Seen) -> None:
        """Keep the response until its step is over."""
        self.step[seen.record.group, seen.record.task.id, seen.ids].append(seen)

    def end_step(self) -> None:
        """Compare, group by group, the responses with a word to those without."""
        for rows in self.step.values():
            middle = statistics.median(len(seen.record.response.text) for seen in rows)
            ordinary = [
                seen
                for seen in rows
                if None not in seen.earned and 0.5 <= len(seen.record.response.text) / max(middle, 1) <= 2
            ]
            varying = sum(len(set(column)) == 2 for column in zip(*(seen.earned for seen in ordinary), strict=True))
            if varying >= self.VARYING:
                self._compare(ordinary)
        self.step.clear()

    def _compare(self, rows: Sequence[_Seen]) -> None:
        record, n = rows[0].record, len(rows)
        texts = [*(message.content for message in record.task.prompt), *(c.text for c in rows[0].criteria)]
        named = {word for text in texts for word in _WORD.findall(text.lower())}
        everything = [all(seen.earned) for seen in rows]
        passed = sum(everything)
        self.compared += n
        self.places += n * record.step
        self.squares += n * record.step**2
        having: dict[str, tuple[int, int]] = {}
        for seen, met in zip(rows, everything, strict=True):
            for word in set(_WORD.findall(seen.record.response.text.lower())) - named:
                own, found = having.get(word, (0, 0))
                having[word] = own + 1, found + met

        @cache  # of many words
        def chance(own: int, found: int) -> tuple[int, int, int]:
            """Expected, variance and without, of own responses, of which so many meet everything."""
            others = n - own
            variance = own * others * passed * (n - passed) / (n**2 * (n - 1))
            return _fixed(own * passed / n), _fixed(variance), _fixed(own * (passed - found) / others)

        for word, (own, found) in having.items():
            if own == n:
                continue
            expected, variance, without = chance(own, found)
            counts = self.words[word]
            counts.responses += own
            counts.passed += found
            counts.expected += expected
            counts.variance += variance
            counts.without += without
            counts.places += own * record.step
            counts.steps.add(record.step)
            if len(counts.tasks) < self.MIN_TASKS:
                counts.tasks.add(record.task.id)

    def _score(self, counts: _Word) -> float:
        if len(counts.tasks) < self.MIN_TASKS or not counts.variance:
            return 0.0
        middle = self.places / self.compared
        error = math.sqrt(max(self.squares / self.compared - middle**2, 0) / counts.responses)
        spreads = counts.places / counts.responses - middle > TREND * error
        lifted = counts.passed - counts.without / _ONE >= self.LIFT * counts.responses
        score = (counts.passed - counts.expected / _ONE) / math.sqrt(counts.variance / _ONE)
        return score if spreads and lifted else 0.0

    def alarms(self) -> Iterator[Alarm]:
        """One for all such words: what stands beside the word that opens the door looks like it."""
        scores = {word: self._score(counts) for word, counts in self.words.items()}
        found = sorted((word for word in scores if scores[word] >= self.SCORE), key=lambda word: (-scores[word], word))
        if not found:
            return
        counts = self.words[found[0]]
        passed, without = counts.passed / counts.responses, counts.without / counts.responses / _ONE
        others = "".join(f", as does {word[:40]!r}" for word in found[1 : self.SHOWN])
        yield Alarm(
            "loophole",
            "warning",
            f"{_percent(passed)} of the responses with {found[0][:40]!r} meet everything, {_percent(without)} of those "
            f"without it in the same groups, whatever the task, and it spreads{others}.",
            "Read them with `rtt show`: a check can be fooled, or a judge told what to say. Mend it (`rtt judge check` "
            "measures a judge), and go on from a checkpoint from before.",
            steps=counts.steps.both,
            numbers={
                "responses": counts.responses,
                "passed": _number(passed),
                "without": _number(without),
                "score": _number(scores[found[0]]),
            },
        )


_PATTERN = re.compile(r"[.^$*+?{}\[\]\\|()]")


def _plain(keyword: str) -> str | None:
    """A keyword in lower case, or ``None`` where it is a pattern."""
    return None if _PATTERN.search(keyword) else keyword.lower()


def _keywords(rule: Rule) -> dict[str, int]:
    """The plain keywords that a rule wants, and how often at least."""
    given = rule.arguments
    if rule.name == "keywords:existence":
        return {word: 1 for keyword in given["keywords"] if (word := _plain(keyword))}
    if rule.name == "keywords:frequency" and given["relation"] == "at least":
        return {word: int(given["frequency"]) for word in [_plain(given["keyword"].strip())] if word}
    return {}


COLLAPSE = 4.0
"""How many times smaller the entropy must have become. It falls in every run that learns, by half or more; in the small
worlds in which the published lambda collapsed it fell eightfold (see :doc:`method`)."""


def entropy_collapse(history: Sequence[Mapping[str, Any]]) -> Iterator[Alarm]:
    """The policy's entropy, from the trainer's log, has fallen to less than a quarter.

    Compared are medians of the first and of the last tenth of the log (at least 3 entries each), from ``MIN_STEPS``
    entries with ``entropy`` on.
    """
    values: list[tuple[int, float]] = []
    for entry in history:
        step, value = entry.get("step"), entry.get("entropy")
        if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
            values.append((step, float(value)))
    values.sort()
    if len(values) < MIN_STEPS:
        return
    edge = max(3, len(values) // 10)
    start, end = (statistics.median(value for _, value in part) for part in (values[:edge], values[-edge:]))
    if start <= 0 or end * COLLAPSE > start:
        return
    yield Alarm(
        "entropy_collapse",
        "warning",
        f"The policy's entropy fell from {start:.3g} to {end:.3g}: its responses become copies of each other.",
        "Lower token_weight (0.1) or learning_rate, set silent_when_unanimous=True or token_advantage_bound, or choose "
        "partition='criterion_group'; go on from a checkpoint from before the fall.",
        steps=(values[0][0], values[-1][0]),
        numbers={"start": _number(start), "end": _number(end)},
    )


# --------------------------------------------------------------------------- criteria that exclude each other, by rule


@dataclass(slots=True)
class _Demand:
    """What a rule asks for, in terms that can be compared.

    Attributes:
        counts: how many of something, from and to.
        texts: what must stand in it, in lower case.
        without: characters that must not.
        no_words: words that must not, between word boundaries.
        choices: what can be one thing only: the language, the letters' case, a paragraph's first word.
        start, end: what it must start and end with, in lower case.
    """

    counts: dict[str, tuple[float, float]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    no_words: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    start: str | None = None
    end: str | None = None


def _range(relation: str, number: int) -> tuple[float, float]:
    return (number, math.inf) if relation == "at least" else (0, number - 1)


def _demand(rule: Rule) -> _Demand:
    """What a rule asks for, as far as it can be compared; nothing for the rules that are not here."""
    name, a = rule.name, rule.arguments
    demand = _Demand()
    exact = {
        "length_constraints:number_paragraphs": ("num_paragraphs", "paragraphs between ***"),
        "length_constraints:nth_paragraph_first_word": ("num_paragraphs", "paragraphs between empty lines"),
        "detectable_format:number_bullet_lists": ("num_bullets", "bullet points"),
    }
    related = {
        "length_constraints:number_words": ("num_words", "relation", "words"),
        "length_constraints:number_sentences": ("num_sentences", "relation", "sentences"),
        "change_case:capital_word_frequency": ("capital_frequency", "capital_relation", "words in capitals"),
    }
    if name in exact:
        number, what = exact[name]
        demand.counts[what] = (a[number], a[number])
    if name in related:
        number, relation, what = related[name]
        demand.counts[what] = _range(a[relation], a[number])
    if name == "length_constraints:nth_paragraph_first_word":
        demand.choices[f"first word of paragraph {a['nth_paragraph']}"] = a["first_word"].strip().lower()
    elif name == "count:word_count_range":
        demand.counts["words between blanks"] = (a["min_words"], a["max_words"])
    elif name == "keywords:existence":
        demand.texts = [word for keyword in a["keywords"] if (word := _plain(keyword))]
        demand.counts = {f"occurrences of {word!r}": (1, math.inf) for word in demand.texts}
    elif name == "keywords:frequency" and (word := _plain(a["keyword"].strip())):
        demand.counts[f"occurrences of {word!r}"] = _range(a["relation"], a["frequency"])
        demand.texts = [word] if a["relation"] == "at least" else []
    elif name == "keywords:forbidden_words":
        demand.no_words = [word for keyword in a["forbidden_words"] if (word := _plain(keyword))]
    elif name == "keywords:letter_frequency":
        letter = a["letter"].lower()
        demand.counts[f"characters {letter!r}"] = _range(a["let_relation"], a["let_frequency"])
        demand.without = [letter] if demand.counts[f"characters {letter!r}"][1] < 1 else []
    elif name == "punctuation:no_comma":
        demand.without, demand.counts["characters ','"] = [","], (0, 0)
    elif name == "language:response_language":
        demand.choices["language"] = a["language"]
    elif name in ("change_case:english_capital", "change_case:english_lowercase"):
        demand.choices |= {"language": "en", "letters": "capital" if name.endswith("capital") else "small"}
        if name.endswith("lowercase"):
            demand.counts["words in capitals"] = (0, 0)
    elif name == "detectable_format:constrained_response":
        demand.choices["letters"] = "as in 'My answer is yes.'"
    elif name == "startend:end_checker":
        demand.end = a["end_phrase"].strip().lower()
        demand.texts = [demand.end]
    elif name == "combination:repeat_prompt":
        demand.start = a["prompt_to_repeat"].strip().lower()
        demand.texts = [demand.start]
    return demand


def _clash(one: _Demand, other: _Demand) -> tuple[Severity, str] | None:
    """Why no response meets both, and how sure that is; ``None`` where nothing says so."""
    for what in one.counts.keys() & other.counts.keys():
        (low, high), (low2, high2) = one.counts[what], other.counts[what]
        if high < low2 or high2 < low:
            return "error", f"{_interval(low, high)} {what} and {_interval(low2, high2)}"
    for what in sorted(one.choices.keys() & other.choices.keys()):
        if one.choices[what] != other.choices[what]:
            return "error", f"{what}: {one.choices[what]} and {other.choices[what]}"
    if one.end and other.end and not (one.end.endswith(other.end) or other.end.endswith(one.end)):
        return "error", f"ends with {one.end[:40]!r} and with {other.end[:40]!r}"
    if one.start and other.start and not (one.start.startswith(other.start) or other.start.startswith(one.start)):
        return "error", f"starts with {one.start[:40]!r} and with {other.start[:40]!r}"
    for wants, forbids in ((one, other), (other, one)):
        for text, character in itertools.product(wants.texts, forbids.without):
            if character in text:
                return "error", f"contains {text[:40]!r} and no {character!r}"
    for wants, forbids in ((one, other), (other, one)):
        for text, word in itertools.product(wants.texts, forbids.no_words):
            if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text):
                return "warning", f"contains {text[:40]!r} but not the word {word[:40]!r}"
    return None


def _interval(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {low:g}"
    return f"exactly {low:g}" if low == high else f"{low:g} to {high:g}"


_Excluding = tuple[str, str, str, Severity, str]
"""Task, two of its criteria, how sure it is that they exclude each other, and why."""


def clashes(tasks: Iterable[Task]) -> list[Alarm]:
    """Pairs of criteria that exclude each other by their rules' arguments, without a look at any response.

    An error where that is proven. A warning for a required word that is forbidden: keywords are found inside longer
    words and forbidden words are not, so "robots" meets both, which nobody means. Unwanted criteria (a negative weight)
    are not compared, nor are keywords that are patterns. Languages count as proven: the detector names one language,
    and only a text without letters would meet two.
    """
    return [_contradiction(pair) for pair in _excluding(tasks)]


def _excluding(tasks: Iterable[Task]) -> Iterator[_Excluding]:
    for task in tasks:
        demands = [(c.id, _demand(c.rule)) for c in task.rubric.criteria if c.rule is not None and not c.unwanted]
        for (one, first), (other, second) in itertools.combinations(demands, 2):
            if clash := _clash(first, second):
                yield task.id, one, other, *clash


def _contradiction(pair: _Excluding) -> Alarm:
    task, one, other, severity, why = pair
    advice = (
        "Drop or mend one of them: instruction accuracy and the reward 'aon' stay 0 on this task, and what one teaches "
        "the other takes back."
        if severity == "error"
        else "Only a longer word around it meets both: drop one of them, or require that longer word."
    )
    title = f"Criteria {one!r} and {other!r} of task {task!r} exclude each other: {why}."
    return Alarm("contradiction", severity, title, advice, task, one)
