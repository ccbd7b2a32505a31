r"""How far a judge agrees with gold verdicts, with itself, and with itself when criteria come in another order.

    gold, judged, failed, responses  --confusion-->  [R, 2, 4], one table a response

        gold \ judge    violated    satisfied    cannot tell    failed
        violated        ok          false yes
        satisfied       false no    ok

    agreement     a table of each response -> accuracy, kappa, false yes, false no, undetermined; by criterion as well
    consistency   the same questions several times -> how often the answers are the same
    order_effect  the criteria of a response in other orders -> how often a verdict changes
    evidence      the characters that the judge quotes, and those of the gold -> precision, recall, F1

Accuracy, kappa, false yes and false no are over the questions that the judge *determined*: where it could not tell, or
failed, there is no verdict to be right or wrong, and a reward leaves it out as well. How often that happens stands
beside them.

**Intervals** are 95 %, from a bootstrap that draws responses with replacement, since criteria of one response resemble
each other. A share of 0 or 1 is the same in every draw, which would feign certainty: there the bound is that of a
binomial with as many trials as responses. What could not be measured is None, never 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtt.errors import ShapeError
from rtt.verdicts import Outcome, Verdict

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RESAMPLES = 2_000
"""Draws of the bootstrap."""

VIOLATED, SATISFIED, CANNOT_TELL, FAILED = range(4)
"""Columns of a confusion table; its rows are the first two."""

_TAIL = 0.025  # on each side of an interval
_BLOCK = 4_000_000  # numbers drawn at once, at most


# ------------------------------------------------------------------------------------------------------------ results


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: None where it could not be measured.
        n: how many questions it is a share of (answers for an order effect, verdicts for evidence).
        low, high: the interval; None where the data allow none.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def width(self) -> float | None:
        """From end to end of the interval."""
        return None if self.low is None or self.high is None else self.high - self.low


@dataclass(frozen=True, slots=True)
class Agreement:
    """Verdicts of a judge beside gold verdicts.

    Attributes:
        questions: all of them, whatever came of them.
        responses: that they are about.
        table: [2][4] counts: gold violated, satisfied; judge violated, satisfied, cannot tell, failed.
        accuracy: share of the determined questions with gold's outcome.
        kappa: Cohen's, over the same: 0 is what chance gives, 1 is perfect. None where neither side varies.
        false_yes: of the determined questions whose gold is violated, the share that the judge calls satisfied.
        false_no: of those whose gold is satisfied, the share that it calls violated.
        cannot_tell: share of all questions that the judge said it cannot tell.
        failed: share of all questions that got no usable answer.
    """

    questions: int
    responses: int
    table: tuple[tuple[int, ...], ...]
    accuracy: Estimate
    kappa: Estimate
    false_yes: Estimate
    false_no: Estimate
    cannot_tell: Estimate
    failed: Estimate


@dataclass(frozen=True, slots=True)
class Consistency:
    """The same questions, asked several times.

    Attributes:
        repeats: how often.
        same: share of the questions whose answers are all the same; *cannot tell* is an answer of its own.
        pairwise: share of two answers that are the same, mean over the questions.
        left_out: questions with fewer than two usable answers: a failure neither agrees nor disagrees.
    """

    repeats: int
    same: Estimate
    pairwise: Estimate
    left_out: int


@dataclass(frozen=True, slots=True)
class OrderEffect:
    """The criteria of a response in other orders than the given one.

    Attributes:
        orders: how many other orders, at most; two criteria have only one.
        changed: share of the answers in another order that differ from the one in the given order.
        left_out: answers that could not be compared: one of the two failed.
    """

    orders: int
    changed: Estimate
    left_out: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The judge's characters beside gold's, where both give the same verdict and gold's evidence is in spans.

    Characters are those that decide: the supporting ones of a satisfied, the violating ones of a violated criterion.

    Attributes:
        precision: share of the judge's characters that are gold's, mean over the verdicts in which it has any.
        recall: share of gold's characters that are the judge's, mean over the verdicts.
        f1: harmonic mean of the two, mean over the verdicts; 0 where the judge has none.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate


# ----------------------------------------------------------------------------------------------------------- measures


def accuracy(tables: npt.ArrayLike) -> Floats:
    """Share of the determined verdicts that are gold's. ``[..., 2, 4]`` counts to ``[...]``, NaN without any."""
    return _share(tables, _RIGHT, _DETERMINED)


def kappa(tables: npt.ArrayLike) -> Floats:
    """Cohen's kappa of the determined verdicts: ``(p_o - p_e) / (1 - p_e)``, Cohen (1960).

    ``p_o`` is the accuracy, ``p_e`` what it would be if judge and gold had nothing to do with each other but said yes
    as often as they do. A judge that always says the same has 0.

    Args:
        tables: ``[..., 2, 4]`` counts.

    Returns:
        ``[...]`` in [-1, 1]; NaN where nothing is determined, or judge and gold say one and the same of everything.
    """
    counts = np.asarray(tables, dtype=np.float64)[..., :2]  # (..., 2 gold, 2 judge)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / counts.sum(axis=(-2, -1), keepdims=True)
        observed = shares[..., 0, 0] + shares[..., 1, 1]
        expected = (shares.sum(axis=-1) * shares.sum(axis=-2)).sum(axis=-1)
        result: Floats = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return result


def false_yes(tables: npt.ArrayLike) -> Floats:
    """Of what gold calls violated and the judge determined, the share that it calls satisfied; NaN without any."""
    return _share(tables, _cells((VIOLATED, SATISFIED)), _row(VIOLATED))


def false_no(tables: npt.ArrayLike) -> Floats:
    """Of what gold calls satisfied and the judge determined, the share that it calls violated; NaN without any."""
    return _share(tables, _cells((SATISFIED, VIOLATED)), _row(SATISFIED))


def _cells(*places: tuple[int, int]) -> Floats:
    mask = np.zeros((2, 4))
    for place in places:
        mask[place] = 1
    return mask


def _row(gold: int) -> Floats:
    return _cells((gold, VIOLATED), (gold, SATISFIED))


def _column(judged: int) -> Floats:
    return _cells((VIOLATED, judged), (SATISFIED, judged))


_RIGHT = _cells((VIOLATED, VIOLATED), (SATISFIED, SATISFIED))
_DETERMINED = _row(VIOLATED) + _row(SATISFIED)
_ALL = np.ones((2, 4))


def _share(tables: npt.ArrayLike, cells: Floats, of: Floats) -> Floats:
    counts = np.asarray(tables, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = (counts * cells).sum(axis=(-2, -1)) / (counts * of).sum(axis=(-2, -1))
    return result


# ---------------------------------------------------------------------------------------------------- what is measured


def confusion(gold: npt.ArrayLike, judged: npt.ArrayLike, failed: npt.ArrayLike, responses: npt.ArrayLike) -> Ints:
    """One table a response: what gold says (rows) and what the judge says (columns), counted.

    Args:
        gold: [Q] outcomes, -1 or 1.
        judged: [Q] outcomes, -1, 0 or 1.
        failed: [Q] whether there is no usable answer; ``judged`` is 0 there.
        responses: [Q] whole numbers: which response each question is about.

    Returns:
        [R, 2, 4], in the order of the numbers of the responses.

    Raises:
        ShapeError: the four do not have the same length, gold has another outcome, or something failed is determined.
    """
    truth, said = np.asarray(gold, dtype=np.int64), np.asarray(judged, dtype=np.int64)
    lost, owners = np.asarray(failed, dtype=bool), np.asarray(responses, dtype=np.int64)
    if truth.ndim != 1 or not truth.shape == said.shape == lost.shape == owners.shape:
        raise ShapeError(
            f"gold {truth.shape}, judged {said.shape}, failed {lost.shape}, responses {owners.shape}; expected [Q] each"
        )
    if not np.isin(truth, (-1, 1)).all() or not np.isin(said, (-1, 0, 1)).all():
        raise ShapeError("gold holds something else than -1 and 1, or judged than -1, 0 and 1")
    if (lost & (said != 0)).any():
        raise ShapeError("a question failed and has an outcome; expected 0 where it failed")
    column = np.where(lost, FAILED, np.choose(said + 1, (VIOLATED, CANNOT_TELL, SATISFIED)))
    owner, size = _numbered(owners)
    flat = (owner * 2 + (truth > 0)) * 4 + column
    return np.bincount(flat, minlength=size * 8).reshape(size, 2, 4)


def agreement(
    gold: npt.ArrayLike,
    judged: npt.ArrayLike,
    failed: npt.ArrayLike,
    responses: npt.ArrayLike,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """All measures of a judge's verdicts beside gold's.

    Args:
        gold, judged, failed, responses: as for :func:`confusion`.
        seed: of the bootstrap.
        resamples: its draws; 0: no intervals.
    """
    tables = confusion(gold, judged, failed, responses)
    drawn = resample(tables, seed=seed, resamples=resamples)
    whole = tables.sum(axis=0)

    def share(cells: Floats, of: Floats) -> Estimate:
        return _estimate(tables, drawn, functools.partial(_share, cells=cells, of=of), of)

    return Agreement(
        questions=int(whole.sum()),
        responses=len(tables),
        table=tuple(tuple(row) for row in whole.tolist()),
        accuracy=share(_RIGHT, _DETERMINED),
        kappa=_estimate(tables, drawn, kappa, _DETERMINED, is_share=False),
        false_yes=share(_cells((VIOLATED, SATISFIED)), _row(VIOLATED)),
        false_no=share(_cells((SATISFIED, VIOLATED)), _row(SATISFIED)),
        cannot_tell=share(_column(CANNOT_TELL), _ALL),
        failed=share(_column(FAILED), _ALL),
    )


def agreement_by(
    names: Sequence[str], gold: npt.ArrayLike, judged: npt.ArrayLike, failed: npt.ArrayLike, responses: npt.ArrayLike
) -> dict[str, Agreement]:
    """The measures of the questions of each name, without intervals: the lowest accuracy first, then by name.

    Args:
        names: [Q], such as the rule of each question.
        gold, judged, failed, responses: as for :func:`confusion`.
    """
    columns = [np.asarray(column) for column in (gold, judged, failed, responses)]
    label = np.asarray(names, dtype=object)
    found = {
        name: agreement(*(column[label == name] for column in columns), resamples=0) for name in sorted(set(names))
    }

    def first(item: tuple[str, Agreement]) -> tuple[float, str]:
        value = item[1].accuracy.value
        return (-1.0 if value is None else value), item[0]  # nothing determined is the worst of all

    return dict(sorted(found.items(), key=first))


def consistency(
    outcomes: npt.ArrayLike, failed: npt.ArrayLike, responses: npt.ArrayLike, *, seed: int = 0
) -> Consistency:
    """How often a judge says the same again.

    Args:
        outcomes: [N, Q], -1, 0 or 1: what each of N repeats says.
        failed: [N, Q], where there is no usable answer.
        responses: [Q], as for :func:`confusion`.
        seed: of the bootstrap.

    Raises:
        ShapeError: the shapes do not fit.
    """
    said, lost, owners = _repeated(outcomes, failed, responses)
    counts = np.stack([((said == outcome) & ~lost).sum(axis=0) for outcome in (-1, 0, 1)])  # (3, Q)
    usable = counts.sum(axis=0)
    kept = usable >= 2
    counts, usable = counts[:, kept], usable[kept]
    same = counts.max(axis=0, initial=0) == usable
    pairwise = (counts * (counts - 1)).sum(axis=0) / (usable * (usable - 1))
    return Consistency(
        repeats=len(said),
        same=mean(same, owners[kept], seed=seed),
        pairwise=mean(pairwise, owners[kept], seed=seed),
        left_out=int((~kept).sum()),
    )


def order_effect(
    given: npt.ArrayLike,
    given_failed: npt.ArrayLike,
    others: npt.ArrayLike,
    others_failed: npt.ArrayLike,
    asked: npt.ArrayLike,
    responses: npt.ArrayLike,
    *,
    seed: int = 0,
) -> OrderEffect:
    """How often a verdict changes when the criteria of a response come in another order.

    Args:
        given: [Q] outcomes in the given order.
        given_failed: [Q], where there is no usable answer.
        others: [N, Q] outcomes in N other orders.
        others_failed: [N, Q].
        asked: [N, Q], whether the question was asked in this order: a response with two criteria has one other only.
        responses: [Q], as for :func:`confusion`.
        seed: of the bootstrap.

    Raises:
        ShapeError: the shapes do not fit.
    """
    said, lost, owners = _repeated(others, others_failed, responses)
    before, gone = np.asarray(given, dtype=np.int64), np.asarray(given_failed, dtype=bool)
    was_asked = np.asarray(asked, dtype=bool)
    if before.shape != owners.shape or gone.shape != owners.shape or was_asked.shape != said.shape:
        raise ShapeError(
            f"given {before.shape}, given_failed {gone.shape}, asked {was_asked.shape}; "
            f"expected {owners.shape} twice and {said.shape}"
        )
    compared = was_asked & ~lost & ~gone
    everywhere = np.broadcast_to(owners, said.shape)
    return OrderEffect(
        orders=len(said),
        changed=mean((said != before)[compared], everywhere[compared], seed=seed),
        left_out=int((was_asked & ~compared).sum()),
    )


def evidence_overlap(gold: Verdict, judged: Verdict, length: int) -> tuple[float | None, float, float] | None:
    """Precision, recall and F1 of the judge's characters against gold's, for one verdict.

    A judge that says that the whole response carries the verdict, and quotes nothing, points at all of it.

    Args:
        gold: a verdict with evidence.
        judged: the judge's, on the same criterion and response.
        length: characters of the response.

    Returns:
        Precision is None where the judge points at nothing. None where there is nothing to compare: the outcomes
        differ, or gold's evidence is not in spans, or none of it decides (something is missing).
    """
    if gold.outcome is not judged.outcome or gold.scope != "spans":
        return None
    truth = _deciding(gold, length)
    if not truth.any():
        return None
    found = _deciding(judged, length)
    if judged.scope == "response" and not found.any():
        found[:] = True
    hits, wanted, pointed = float((truth & found).sum()), float(truth.sum()), float(found.sum())
    return (hits / pointed if pointed else None), hits / wanted, 2 * hits / (wanted + pointed)


def evidence(
    overlaps: Sequence[tuple[float | None, float, float]], responses: npt.ArrayLike, *, seed: int = 0
) -> Evidence:
    """The means of :func:`evidence_overlap` over verdicts.

    Args:
        overlaps: [V] of them.
        responses: [V], as for :func:`confusion`.
        seed: of the bootstrap.
    """
    values = np.asarray(overlaps, dtype=np.float64).reshape(-1, 3)  # None becomes NaN
    owners = np.asarray(responses, dtype=np.int64)
    precision, recall, f1 = (
        mean(column[~np.isnan(column)], owners[~np.isnan(column)], seed=seed) for column in values.T
    )
    return Evidence(precision, recall, f1)


# ---------------------------------------------------------------------------------------------------------- intervals


def resample(parts: npt.ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Sums over responses that are drawn with replacement.

    Args:
        parts: [R, ...], what each response adds to a sum.
        seed: of the draws.
        resamples: D, how many.

    Returns:
        [D, ...].
    """
    values = np.asarray(parts, dtype=np.float64)
    size = len(values)
    drawn = np.zeros((resamples, *values.shape[1:]))
    if not size:
        return drawn
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // size)
    for first in range(0, resamples, step):
        times = generator.multinomial(size, np.full(size, 1 / size), size=min(step, resamples - first))
        drawn[first : first + step] = np.tensordot(times.astype(np.float64), values, axes=1)
    return drawn


def mean(values: npt.ArrayLike, responses: npt.ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The mean of values in [0, 1], with an interval from drawing responses with replacement.

    Args:
        values: [V] in [0, 1].
        responses: [V] whole numbers: which response each is about.
        seed: of the draws.
        resamples: how many.
    """
    numbers = np.asarray(values, dtype=np.float64)
    owner, size = _numbered(np.asarray(responses, dtype=np.int64))
    sums = np.bincount(owner, weights=numbers, minlength=size)
    counts = np.bincount(owner, minlength=size).astype(np.float64)
    parts = np.stack([sums, counts], axis=1)  # (R, 2)

    def ratio(totals: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            result: Floats = totals[..., 0] / totals[..., 1]
        return result

    return _estimate(parts, resample(parts, seed=seed, resamples=resamples), ratio, np.asarray([0.0, 1.0]))


def _estimate(
    parts: npt.NDArray[np.number], drawn: Floats, measure: Callable[[Floats], Floats], of: Floats, is_share: bool = True
) -> Estimate:
    """A measure of the sum over responses, with its interval.

    ``parts`` is [R, ...], ``drawn`` [D, ...]; ``of`` (...) weighs what the measure is taken over.
    """
    totals = parts.sum(axis=0).astype(np.float64)
    n = int((totals * of).sum())
    value = float(measure(totals))
    if np.isnan(value):
        return Estimate(None, n)
    trials = int(((parts * of).reshape(len(parts), -1).sum(axis=1) > 0).sum())  # responses that say something
    if not len(drawn):
        return Estimate(value, n)
    if is_share and value in (0.0, 1.0):
        bound = _TAIL ** (1 / trials)
        return Estimate(value, n, *((0.0, 1 - bound) if value == 0 else (bound, 1.0)))
    samples = measure(drawn)
    samples = samples[~np.isnan(samples)]
    if trials < 2 or not len(samples) or np.ptp(samples) == 0:
        return Estimate(value, n)
    low, high = np.quantile(samples, [_TAIL, 1 - _TAIL]).tolist()
    return Estimate(value, n, low, high)


# ------------------------------------------------------------------------------------------------------------ helpers


def _numbered(owners: Ints) -> tuple[Ints, int]:
    """The responses as 0 to R - 1, and R."""
    known, owner = np.unique(owners, return_inverse=True)
    return owner.astype(np.int64), len(known)


def _repeated(outcomes: npt.ArrayLike, failed: npt.ArrayLike, responses: npt.ArrayLike) -> tuple[Ints, Bools, Ints]:
    said, lost = np.asarray(outcomes, dtype=np.int64), np.asarray(failed, dtype=bool)
    owners = np.asarray(responses, dtype=np.int64)
    if said.ndim != 2 or said.shape != lost.shape or said.shape[1:] != owners.shape:
        raise ShapeError(
            f"outcomes {said.shape}, failed {lost.shape}, responses {owners.shape}; expected [N, Q] twice and [Q]"
        )
    return said, lost, owners


def _deciding(verdict: Verdict, length: int) -> Bools:
    """[length], the characters that decide the verdict."""
    wanted = "support" if verdict.outcome is Outcome.SATISFIED else "violation"
    mask = np.zeros(length, dtype=bool)
    for span in verdict.evidence:
        if span.polarity == wanted:
            mask[span.start : span.end] = True
    return mask
