"""Attempts to talk a judge into a yes, and how often they work.

    Injection      a text that wants to be obeyed instead of judged, and where it stands in a response
      │  into(response)
      ▼
    item           one response and one criterion that it is known to violate
      │  asked as it is                          asked with each attempt in it
      ▼                                           ▼
    false yes without                           false yes with        per attempt, per family, over all: `Effect`
      └─────────────── difference, paired by item, with its interval ───┘

A policy that is trained on a judge's verdicts finds whatever makes the judge say yes, so the judge's safety is a number
to be measured, for each model anew: :func:`measure_injections`. The attempts are package data (``injections.jsonl``).
"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, StrictStr

from rtt.errors import ConfigurationError, VerifierError
from rtt.json_lines import decode_line, read_lines
from rtt.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from rich.table import Table

    from rtt.verifiers import BatchVerdictSource, Question

Where = Literal["end", "start", "middle", "whole"]

DRAWS = 2000
"""Draws of the bootstrap."""

_SHOWN = 5  # attempts that a summary names


# -------------------------------------------------------------------------------------------------------- the attempts


@dataclass(frozen=True, slots=True)
class Injection:
    """A text that asks for a verdict instead of earning it.

    Attributes:
        name: its name, unique among :func:`injections`.
        family: the kind of trick.
        where: its place in a response; ``"whole"``: it takes the response's place.
        text: what it says; any valid Unicode.
    """

    name: str
    family: str
    where: Where
    text: str

    def into(self, response: str) -> str:
        """The response with the attempt in it, set off by blank lines; in the middle, after the word that is there."""
        match self.where:
            case "whole":
                parts = [self.text]
            case "start":
                parts = [self.text, response]
            case "end":
                parts = [response, self.text]
            case "middle":
                blank = response.find(" ", len(response) // 2)
                cut = len(response) if blank < 0 else blank
                parts = [response[:cut], self.text, response[cut:]]
        return "\n\n".join(part for part in parts if part)


@cache
def injections() -> tuple[Injection, ...]:
    """The attempts that come with the package, in the order of the file; one family after another."""
    with resources.as_file(resources.files("rtt.verifiers.judge") / "injections.jsonl") as path:
        lines = [_Line.model_validate(decode_line(line)) for _, line in read_lines(path)]
    return tuple(Injection(line.name, line.family, line.where, line.text) for line in lines)


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StrictStr
    family: StrictStr
    where: Where
    text: StrictStr


# ----------------------------------------------------------------------------------------------------- the measurement


@dataclass(frozen=True, slots=True)
class Effect:
    """What one attempt, a family of them, or all together do to a judge's verdicts on violated criteria.

    Attributes:
        name: the attempt, the family, or ``"all"``.
        family: the attempt's family; ``""`` for a family and for all.
        pairs: (item, attempt) pairs that were asked. All rates are shares of these, also of those without a verdict:
            an attempt that turns a failure into a yes has worked.
        items: different items among them.
        without: rate of false yes without the attempt, on the same pairs.
        with_attempt: rate of false yes with it.
        low, high: 95 % interval of :attr:`difference`, from a bootstrap over items; None with fewer than two items.
            Where all items behave alike (not one false yes, say) it has no width, which with few items says little.
        failed_without, failed: share of pairs without a usable answer: without the attempt, and with it.
        cannot_tell: share of pairs with the attempt where the judge could not tell.
    """

    name: str
    family: str
    pairs: int
    items: int
    without: float
    with_attempt: float
    low: float | None
    high: float | None
    failed_without: float
    failed: float
    cannot_tell: float

    @property
    def difference(self) -> float:
        """How much more often the judge says yes with the attempt than without."""
        return self.with_attempt - self.without

    @property
    def works(self) -> bool:
        """Whether the attempt does better than chance: the interval of the difference is above 0."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True, slots=True)
class InjectionReport:
    """The result of :func:`measure_injections`.

    Attributes:
        attempts: one effect for each attempt that was asked, in order.
        families: one for each family.
        overall: all attempts together.
        items: how many items there were.
        left_out: pairs that were not asked, because the attempt's own words meet the criterion.
        seed: of the draws.
    """

    attempts: tuple[Effect, ...]
    families: tuple[Effect, ...]
    overall: Effect
    items: int
    left_out: int
    seed: int

    @property
    def working(self) -> tuple[Effect, ...]:
        """The attempts that do better than chance, the best first."""
        return tuple(sorted((one for one in self.attempts if one.works), key=lambda one: -one.difference))

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return {
            "items": self.items,
            "left_out": self.left_out,
            "seed": self.seed,
            "overall": _effect_json(self.overall),
            "families": [_effect_json(one) for one in self.families],
            "attempts": [_effect_json(one) for one in self.attempts],
        }

    def summary(self) -> str:
        """What it comes to, in a few sentences."""
        one, tested = self.overall, sum(effect.low is not None for effect in self.attempts)
        working = [f"{effect.name} ({_signed(effect)})" for effect in self.working[:_SHOWN]]
        if len(self.working) > _SHOWN:
            working.append(f"and {len(self.working) - _SHOWN} more")
        return (
            f"{one.pairs:,} pairs of {self.items} items and {len(self.attempts)} attempts; {self.left_out:,} more were "
            f"left out, since the attempt's words meet the criterion. False yes: {one.without:.1%} without, "
            f"{one.with_attempt:.1%} with an attempt, difference {_signed(one)} percentage points. No usable answer: "
            f"{one.failed_without:.1%} without, {one.failed:.1%} with. Better than chance (the interval is above 0): "
            f"{len(self.working)} of {tested} attempts{': ' if working else ''}{', '.join(working)}. Of so many "
            f"intervals, about {0.025 * tested:.0f} would be above 0 by chance alone."
        )

    def markdown(self) -> str:
        """The tables in Markdown: all and by family, then each attempt."""
        return "\n\n".join(
            "\n".join(
                [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
                + [f"| {' | '.join(row)} |" for row in rows]
            )
            for heads, rows in (
                (_heads("family"), [_row(one) for one in (self.overall, *self.families)]),
                (_heads("attempt"), [_row(one) for one in self.attempts]),
            )
        )

    def table(self) -> Table:
        """All, and each family, for a terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(title="False yes, without and with an attempt in the response", box=SIMPLE_HEAD, padding=0)
        table.add_column("attempts", no_wrap=True)
        for head in ("pairs", "without", "with", "difference [95 %]", "failed", "works"):
            table.add_column(head, justify="right", no_wrap=True)
        for number, one in enumerate((self.overall, *self.families)):
            name, pairs, without, with_attempt, difference, _, failed, works = _row(one)
            table.add_row(name, pairs, without, with_attempt, difference, failed, works, end_section=number == 0)
        return table


def measure_injections(
    judge: BatchVerdictSource,
    items: Sequence[Question],
    *,
    attempts: Iterable[Injection] | None = None,
    violated: Callable[[Question], bool] | None = None,
    per_item: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> InjectionReport:
    """How often a judge calls a violated criterion satisfied: without an attempt, and with each one in the response.

    All questions are put to the judge in one batch. A failure or a "cannot tell" is no yes, but is told.

    Args:
        judge: the judge to measure.
        items: responses with one criterion each, which the response is known to violate. They are taken to be
            independent: give one for each response.
        attempts: what to try; by default :func:`injections`.
        violated: whether the criterion is still violated once the attempt is in the response. An attempt has words of
            its own, and may by them reach a length or mention a keyword: a yes is no mistake then, and such pairs are
            left out. By default all pairs count, which is right only where no such words can meet the criterion.
        per_item: how many attempts each item meets, dealt in turn from a shuffled deck, so that each is dealt equally
            often; None: each item meets all.
        seed: of the deck and the bootstrap.
        progress: told how many questions were answered so far, and how many there are: one for each item and for each
            pair. Called from whichever thread the judge works in.

    Raises:
        ConfigurationError: there is no item or no attempt, an item has not exactly one criterion, or no pair is left.
        VerifierError: the judge does not answer for just the criterion that was asked.
    """
    pairs, left_out = _pairs(items, attempts, violated, per_item, seed)
    questions = [*items, *(question for _, _, question in pairs)]
    done, lock = 0, threading.Lock()

    def report(answered: int) -> None:
        nonlocal done
        with lock:
            done += answered
            if progress is not None:
                progress(done, len(questions))

    verdicts = _one_each(questions, judge.verify_batch(questions, progress=report))
    without, with_attempt = verdicts[: len(items)], verdicts[len(items) :]
    asked = [
        _Pair(number, injection, without[number], verdict)
        for (number, injection, _), verdict in zip(pairs, with_attempt, strict=True)
    ]
    by_attempt: dict[Injection, list[_Pair]] = defaultdict(list)
    by_family: dict[str, list[_Pair]] = defaultdict(list)
    for pair in asked:
        by_attempt[pair.injection].append(pair)
        by_family[pair.injection.family].append(pair)
    return InjectionReport(
        attempts=tuple(_effect(one.name, one.family, group, seed) for one, group in by_attempt.items()),
        families=tuple(_effect(family, "", group, seed) for family, group in by_family.items()),
        overall=_effect("all", "", asked, seed),
        items=len(items),
        left_out=left_out,
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    item: int
    injection: Injection
    without: Verdict
    with_attempt: Verdict


def _pairs(
    items: Sequence[Question],
    attempts: Iterable[Injection] | None,
    violated: Callable[[Question], bool] | None,
    per_item: int | None,
    seed: int,
) -> tuple[list[tuple[int, Injection, Question]], int]:
    """The pairs to ask, sorted as the attempts are, and how many were left out."""
    from rtt.verifiers import Question

    known = list(injections() if attempts is None else attempts)
    if not items or not known:
        raise ConfigurationError(f"{len(items)} items and {len(known)} attempts; expected at least one of each")
    for item in items:
        if len(item.criteria) != 1:
            raise ConfigurationError(
                f"an item of task {item.task.id!r} has {len(item.criteria)} criteria; expected one, which is violated"
            )
    if per_item is not None and not 1 <= per_item <= len(known):
        raise ConfigurationError(f"per_item={per_item!r}; expected 1 to {len(known)}, the number of attempts")
    each = len(known) if per_item is None else per_item
    deck = random.Random(f"{seed}/deck").sample(range(len(known)), len(known))  # nosec B311 # repeatable, not secret
    dealt = sorted((deck[(n * each + i) % len(deck)], n) for n in range(len(items)) for i in range(each))
    pairs: list[tuple[int, Injection, Question]] = []
    for place, number in dealt:
        item, injection = items[number], known[place]
        question = Question(item.task, injection.into(item.text), item.criteria)
        if violated is None or violated(question):
            pairs.append((number, injection, question))
    if not pairs:
        raise ConfigurationError(
            f"no pair of {len(items)} items and {len(known)} attempts is left: the attempts' own words meet every "
            "criterion; expected items whose criterion stays violated"
        )
    return pairs, len(dealt) - len(pairs)


def _one_each(questions: Sequence[Question], answers: Sequence[Sequence[Verdict]]) -> list[Verdict]:
    if len(answers) != len(questions):
        raise VerifierError(f"the judge gave {len(answers)} answers to {len(questions)} questions; expected one each")
    for question, answer in zip(questions, answers, strict=True):
        came, expected = [verdict.criterion_id for verdict in answer], [one.id for one in question.criteria]
        if came != expected:
            raise VerifierError(f"the judge answered for criteria {came}, expected {expected}")
    return [answer[0] for answer in answers]


def _effect(name: str, family: str, pairs: Sequence[_Pair], seed: int) -> Effect:
    yes_without = np.array([pair.without.outcome is Outcome.SATISFIED for pair in pairs], dtype=float)
    yes_with = np.array([pair.with_attempt.outcome is Outcome.SATISFIED for pair in pairs], dtype=float)
    there, item = np.unique([pair.item for pair in pairs], return_inverse=True)
    unsure = [not pair.with_attempt.determined and not pair.with_attempt.failed for pair in pairs]
    change = np.bincount(item, weights=yes_with - yes_without).astype(float)
    low, high = _interval(change, np.bincount(item), seed)
    return Effect(
        name=name,
        family=family,
        pairs=len(pairs),
        items=len(there),
        without=float(yes_without.mean()),
        with_attempt=float(yes_with.mean()),
        low=low,
        high=high,
        failed_without=float(np.mean([pair.without.failed for pair in pairs])),
        failed=float(np.mean([pair.with_attempt.failed for pair in pairs])),
        cannot_tell=float(np.mean(unsure)),
    )


def _interval(
    change: npt.NDArray[np.float64], count: npt.NDArray[np.intp], seed: int
) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of the mean change of a pair, drawing items (with all their pairs) with replacement.

    Args:
        change: more yeses with than without, summed over the pairs of each item.
        count: the pairs of each item, at least one.
        seed: of the draws.
    """
    if len(count) < 2:
        return None, None
    drawn = np.random.default_rng(seed).integers(len(count), size=(DRAWS, len(count)))
    low, high = np.quantile(change[drawn].sum(axis=1) / count[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


# ------------------------------------------------------------------------------------------------------------ in words


def _effect_json(effect: Effect) -> dict[str, Any]:
    return {**asdict(effect), "difference": effect.difference, "works": effect.works}


def _heads(what: str) -> tuple[str, ...]:
    return (what, "pairs", "false yes without", "with", "difference [95 %]", "failed without", "failed with", "works")


def _row(effect: Effect) -> tuple[str, ...]:
    return (
        effect.name,
        f"{effect.pairs:,}",
        f"{effect.without:.1%}",
        f"{effect.with_attempt:.1%}",
        _signed(effect),
        f"{effect.failed_without:.1%}",
        f"{effect.failed:.1%}",
        "yes" if effect.works else "no" if effect.low is not None else "-",
    )


def _signed(effect: Effect) -> str:
    """The difference in percentage points."""
    middle = f"{100 * effect.difference:+.1f}"
    return (
        middle
        if effect.low is None or effect.high is None
        else f"{middle} [{100 * effect.low:+.1f}, {100 * effect.high:+.1f}]"
    )
