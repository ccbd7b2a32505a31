"""Asking a judge what is known already, again and in other orders; and the figures that come of it.

Item, Item, ... ── ask ──> Answers ── measured ──> Check
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rtt.cli.judge.gold import Item
from rtt.cli.terminal import counted
from rtt.errors import DataError, VerifierError

if TYPE_CHECKING:
    from rtt.verdicts import Verdict
    from rtt.verifiers import BatchVerdictSource, Question
    from rtt.verifiers.judge import JudgeReport
    from rtt.verifiers.judge.agreement import Agreement, Consistency, Evidence, OrderEffect
    from rtt.verifiers.judge.injections import InjectionReport

Progress = Callable[[int], None]
"""Told how many are done."""

ORDERS_FROM = 1_000
"""The first ``sample`` of the other orders: the cache tells answers apart by their sample, and knows of no order."""


class Source(Protocol):
    """What is measured: :class:`rtt.verifiers.judge.Judge`, or whatever answers as it does."""

    def verify_batch(
        self, questions: Sequence[Question], *, progress: Progress | None = None, sample: int = 0
    ) -> list[list[Verdict]]:
        """For each question one verdict for each of its criteria, in order."""
        ...


Order = dict[int, tuple[int, ...]]
"""By item: its criteria in another order. Items that have no (further) other order are not in it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The judge's verdicts.

    Attributes:
        repeats: [N][items][K]; the first is the judge's verdict, the others are the same question again.
        orders: for each other order, by item: [K] verdicts, put back into the rubric's order.
    """

    repeats: list[list[list[Verdict]]]
    orders: list[dict[int, list[Verdict]]]


def schedule_orders(items: Sequence[Item], count: int, seed: int) -> list[Order]:
    """For each of ``count`` rounds, the items whose criteria have yet another order, and that order.

    Only the order among criteria of one ``scope`` counts: others never share a call. An item's orders differ from each
    other and from the given one, and depend on nothing but the seed and the item.
    """
    rounds: list[Order] = [{} for _ in range(count)]
    for place, item in enumerate(items):
        for order, permutation in zip(rounds, _permutations(item, count, seed), strict=False):
            order[place] = permutation
    return [order for order in rounds if order]


def other_orders(item: Item) -> int:
    """How many other orders the criteria of an item have."""
    sizes = Counter(criterion.scope for criterion in item.criteria)
    return math.prod(math.factorial(size) for size in sizes.values()) - 1


def _permutations(item: Item, count: int, seed: int) -> Iterator[tuple[int, ...]]:
    import hashlib

    import numpy as np

    name = [item.answer.task.id, item.answer.text, [criterion.id for criterion in item.criteria]]
    digest = hashlib.sha256(json.dumps(name).encode()).digest()
    generator = np.random.default_rng([seed, int.from_bytes(digest[:8])])
    scopes = [criterion.scope for criterion in item.criteria]
    seen = {tuple(sorted(range(len(scopes)), key=scopes.__getitem__))}
    for _ in range(min(count, other_orders(item))):
        while True:
            permutation = tuple(generator.permutation(len(scopes)).tolist())
            asked = tuple(sorted(permutation, key=scopes.__getitem__))  # stable: the order within each scope
            if asked not in seen:
                break
        seen.add(asked)
        yield permutation


def ask(
    judge: Source,
    items: Sequence[Item],
    *,
    repeats: int = 1,
    schedule: Sequence[Order] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Answers:
    """Put everything to the judge: all items ``repeats`` times, then in the other orders.

    Answers in another order have samples of their own, so that the cache, which keeps no order, does not give those of
    the given order instead; those of another seed are others.

    Raises:
        VerifierError: the first time the judge gave no usable answer to anything; nothing more is asked then.
    """
    from rtt.verifiers import Question

    questions = [Question(item.answer.task, item.answer.text, item.criteria) for item in items]
    found = Answers([judge.verify_batch(questions, progress=progress, sample=0)], [])
    verdicts = [verdict for row in found.repeats[0] for verdict in row]
    if all(verdict.failed for verdict in verdicts):
        [(reason, _)] = Counter(verdict.reason for verdict in verdicts).most_common(1)
        raise VerifierError(f"the judge gave no usable answer to any of {counted(len(verdicts), 'question')}: {reason}")
    for sample in range(1, repeats):
        found.repeats.append(judge.verify_batch(questions, progress=progress, sample=sample))
    for number, order in enumerate(schedule):
        turned = [
            Question(items[place].answer.task, items[place].answer.text, tuple(items[place].criteria[k] for k in keys))
            for place, keys in order.items()
        ]
        rows = judge.verify_batch(turned, progress=progress, sample=ORDERS_FROM * (1 + seed) + number)
        found.orders.append(
            {
                place: [row[keys.index(k)] for k in range(len(keys))]
                for (place, keys), row in zip(order.items(), rows, strict=True)
            }
        )
    return found


@dataclass(frozen=True, slots=True)
class Attempts:
    """Violated criteria, one a response, that attempts to talk the judge into a yes are tried on."""

    items: list[Question]
    violated: Callable[[Question], bool]
    per_item: int
    seed: int

    def measure(self, judge: BatchVerdictSource, bar: Callable[[int], Progress]) -> InjectionReport:
        """Try them; ``bar`` makes the progress of a total."""
        from rtt.verifiers.judge.injections import measure_injections

        advance: Progress | None = None
        before = 0

        def progress(done: int, total: int) -> None:
            nonlocal advance, before
            advance = advance or bar(total)
            advance(done - before)
            before = done

        return measure_injections(
            judge,
            self.items,
            violated=self.violated,
            per_item=self.per_item,
            seed=self.seed,
            progress=progress,
        )


def attempts_on(items: Sequence[Item], count: int, seed: int) -> Attempts | None:
    """``count`` attempts on a violated criterion of each item that has one; None where none are wanted.

    Raises:
        DataError: gold calls nothing violated.
    """
    if not count:
        return None
    import numpy as np

    from rtt.verdicts import Outcome
    from rtt.verifiers import Question, verify_rule
    from rtt.verifiers.judge.injections import injections

    generator = np.random.default_rng(seed)
    chosen = []
    for item in items:
        wrong = [k for k, verdict in enumerate(item.gold) if verdict.outcome is Outcome.VIOLATED]
        if wrong:
            k = wrong[int(generator.integers(len(wrong)))]
            chosen.append(Question(item.answer.task, item.answer.text, (item.criteria[k],)))
    if not chosen:
        raise DataError(
            "--injections: gold calls no criterion violated; expected some, to see whether they turn to yes"
        )

    def violated(question: Question) -> bool:
        [rule] = [one.rule for one in question.task.rubric.criteria if one.id == question.criteria[0].id]
        return rule is None or verify_rule(rule.name, rule.arguments, question.text).outcome is Outcome.VIOLATED

    return Attempts(chosen, violated, min(count, len(injections())), seed)


@dataclass(frozen=True, slots=True)
class Cost:
    """What 1,000 criteria cost that are put to the model; None throughout where all came from the cache.

    Attributes:
        asked: how many were put to it here.
        requests, prompt_tokens, completion_tokens: retries and unusable replies included.
        seconds: of the clock on the wall, with as many requests at once as there were.
        usd: None without prices.
    """

    asked: int
    requests: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    seconds: float | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """All figures; None where it was not asked for, or there was nothing to compare."""

    agreement: Agreement
    by_criterion: dict[str, Agreement]
    evidence: Evidence | None
    consistency: Consistency | None
    order: OrderEffect | None
    cost: Cost
    report: JudgeReport


def measured(
    items: Sequence[Item], answers: Answers, report: JudgeReport, *, seconds: float = 0.0, seed: int = 0
) -> Check:
    """The figures of a judge's answers.

    Args:
        items: what was asked.
        answers: see :func:`ask`.
        report: what the judge did for them.
        seconds: how long it took.
        seed: of the bootstrap.
    """
    import numpy as np

    from rtt.verifiers.judge import agreement as figures

    def flat(rows: Sequence[Sequence[Verdict]]) -> list[Verdict]:
        return [verdict for row in rows for verdict in row]

    def columns(verdicts: Sequence[Verdict]) -> tuple[list[int], list[bool]]:
        return [int(verdict.outcome) for verdict in verdicts], [verdict.failed for verdict in verdicts]

    owners = np.repeat(np.arange(len(items)), [len(item.criteria) for item in items])
    names = [name for item in items for name in item.names]
    lengths = [len(item.answer.text) for item in items for _ in item.criteria]
    gold, judged = flat([item.gold for item in items]), flat(answers.repeats[0])
    truth = [int(verdict.outcome) for verdict in gold]
    said, failed = columns(judged)
    overlaps = [
        (figures.evidence_overlap(*pair, length), owner)
        for pair, length, owner in zip(zip(gold, judged, strict=True), lengths, owners.tolist(), strict=True)
    ]
    compared = [(overlap, owner) for overlap, owner in overlaps if overlap is not None]
    consistency = order = None
    if len(answers.repeats) > 1:
        rows = [columns(flat(one)) for one in answers.repeats]
        consistency = figures.consistency([row[0] for row in rows], [row[1] for row in rows], owners, seed=seed)
    if answers.orders:
        others = [_spread(items, one) for one in answers.orders]
        rows = [columns([verdict or judged[k] for k, verdict in enumerate(one)]) for one in others]
        order = figures.order_effect(
            said,
            failed,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [[verdict is not None for verdict in one] for one in others],
            owners,
            seed=seed,
        )
    return Check(
        agreement=figures.agreement(truth, said, failed, owners, seed=seed),
        by_criterion=figures.agreement_by(names, truth, said, failed, owners),
        evidence=figures.evidence([one for one, _ in compared], [one for _, one in compared], seed=seed)
        if compared
        else None,
        consistency=consistency,
        order=order,
        cost=_cost(report, seconds),
        report=report,
    )


def _spread(items: Sequence[Item], order: Mapping[int, list[Verdict]]) -> list[Verdict | None]:
    """[Q], the verdicts in another order; None for questions of items that were not asked in it."""
    rows: list[Sequence[Verdict | None]] = [
        order.get(place, [None] * len(item.criteria)) for place, item in enumerate(items)
    ]
    return [verdict for row in rows for verdict in row]


def _cost(report: JudgeReport, seconds: float) -> Cost:
    if not report.asked:
        return Cost(0)
    scale = 1000 / report.asked
    return Cost(
        report.asked,
        report.calls * scale,
        report.prompt_tokens * scale,
        report.completion_tokens * scale,
        seconds * scale,
        None if report.cost is None else report.cost * scale,
    )
