"""What a rule's check returns, and the tools that checks share: findings, spans, the deadline."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rtt.errors import VerifierError
from rtt.verdicts import Polarity, Scope, Span

Bounds = tuple[int, int]
"""Characters ``[start, end)`` of the response."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found in a response.

    Attributes:
        satisfied: whether the response meets the criterion.
        reason: one sentence for a person.
        evidence: spans of the response, sorted and disjoint; see :func:`located`.
        scope: ``"response"`` when the whole response carries the finding and no part of it does more than another.
        missing: something that the criterion asks for is not there.
    """

    satisfied: bool
    reason: str
    evidence: tuple[Span, ...] = ()
    scope: Scope = "spans"
    missing: bool = False


class Deadline:
    """The end of a check's time. A check that may take long asks from time to time.

    Args:
        seconds: from now on.
    """

    __slots__ = ("_end", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Start anew: something was loaded that later responses find loaded."""
        self._end = time.monotonic() + self._seconds

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            VerifierError: none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> VerifierError:
        """The error that says that the time is over."""
        return VerifierError(f"the time limit of {self._seconds:g} s a rule was reached")


MAX_SPANS = 50_000
"""The most spans of one polarity. Where there are more, neighbours are joined, with what is between them."""


def located(bounds: Iterable[Bounds], polarity: Polarity) -> tuple[Span, ...]:
    """Spans of one polarity, sorted; empty ones are dropped, overlapping ones become one."""
    merged: list[Bounds] = []
    for start, end in _bounded(sorted(bounds)):
        if start == end:
            continue
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple([Span(start, end, polarity) for start, end in merged])


def _bounded(places: list[Bounds]) -> list[Bounds]:
    if len(places) <= MAX_SPANS:
        return places
    size = -(-len(places) // MAX_SPANS)
    runs = (places[at : at + size] for at in range(0, len(places), size))
    return [(run[0][0], max(end for _, end in run)) for run in runs]


def whole(satisfied: bool, reason: str, *, missing: bool = False) -> Finding:
    """A finding that the whole response carries: nothing in it can be pointed at."""
    return Finding(satisfied, reason, scope="response", missing=missing)


def present(bounds: Iterable[Bounds], reason: str) -> Finding:
    """Satisfied by these characters; by the whole response where there are none to show."""
    spans = located(bounds, "support")
    return Finding(True, reason, spans, "spans" if spans else "response")


def absent(reason: str, progress: Iterable[Bounds] = ()) -> Finding:
    """Violated because something is missing; ``progress`` is what there is of it, which nobody must blame."""
    return Finding(False, reason, located(progress, "support"), missing=True)


def offending(bounds: Iterable[Bounds], reason: str, *, missing: bool = False) -> Finding:
    """Violated by these characters; by the whole response where there are none to show."""
    spans = located(bounds, "violation")
    return Finding(False, reason, spans, "spans" if spans else "response", missing)


def counted(found: Sequence[Bounds], relation: str, number: int, noun: str, count: int | None = None) -> Finding:
    """The finding of a rule that counts things which can each be pointed at.

    "At least n", satisfied: each thing found supports. Violated: those found are progress, and something is missing.
    "Less than n", satisfied: by restraint, hence by the whole response; the few that are there are allowed, not asked
    for. Violated: the surplus violates, from the n-th thing on; those before it are within the limit.

    Args:
        found: the things, in order.
        relation: ``"at least"`` or ``"less than"``.
        number: n.
        noun: what they are, in the plural, for the reason.
        count: how many they count as, where that is not how many there are.
    """
    count = len(found) if count is None else count
    reason = f"{noun}: {count}, expected {'fewer than' if relation == 'less than' else 'at least'} {number}"
    if relation == "at least":
        return present(found, reason) if count >= number else absent(reason, found)
    return whole(True, reason) if count < number else offending(found[number - 1 :], reason)


def exactly(found: Sequence[Bounds], number: int, reason: str) -> Finding:
    """The finding of a rule that asks for exactly so many things, each of which can be pointed at.

    Satisfied: they support. Too few: they are progress, and something is missing. Too many: the surplus violates. See
    :func:`of_exact_count` for who carries it.
    """
    count = len(found)
    if count == number:
        return of_exact_count(present(found, reason))
    return of_exact_count(absent(reason, found) if count < number else offending(found[number:], reason))


def of_exact_count(finding: Finding) -> Finding:
    """The same, carried by the whole response; its spans only show what was counted.

    One more would be as wrong as one less: credit for the things alone pushes their number one way
    (docs/which-variant.md).
    """
    return replace(finding, scope="response")
