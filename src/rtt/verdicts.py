"""Verdicts: whether a response meets a criterion, and the characters that made it so.

    Verdict
    ├── outcome     SATISFIED (+1) · VIOLATED (-1) · UNDETERMINED (0, the verifier could not tell)
    ├── evidence    Span, Span, ...   code points of the response, sorted and disjoint
    │                 └── polarity    "support": speaks for satisfaction · "violation": speaks against it
    ├── scope       "spans": the evidence is all there is · "response": the whole response carries the verdict
    ├── missing     something that the criterion asks for is not there (no token of the response is to blame)
    └── source, reason

The same words as arXiv:2604.02795 section 3: ``s[i,k]`` is the outcome; *rubric accuracy* is the paper's CSR,
*instruction accuracy* its all-or-nothing rate.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rtt.rubrics import Criterion

Polarity = Literal["support", "violation"]
Scope = Literal["spans", "response"]


class Outcome(enum.IntEnum):
    """The value of a verdict, ``s[i,k]``. Undetermined is not a low score: it is the absence of one."""

    VIOLATED = -1
    UNDETERMINED = 0
    SATISFIED = 1


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters ``[start, end)`` of a response, in code points, and what they speak for.

    Raises:
        ValueError: ``start`` is negative or not before ``end``, or the polarity is unknown.
    """

    start: int
    end: int
    polarity: Polarity = "support"

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"span [{self.start}, {self.end}) is empty or negative; expected 0 <= start < end")
        if self.polarity not in ("support", "violation"):
            raise ValueError(f"polarity {self.polarity!r}; expected 'support' or 'violation'")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier found for one criterion in one response.

    Attributes:
        criterion_id: the criterion's id in its rubric.
        outcome: satisfied, violated or undetermined.
        source: who says so: ``"rule:keywords:existence"``, ``"judge:model-name"``.
        reason: one sentence for a person.
        evidence: character spans in the response, sorted and disjoint.
        scope: ``"spans"`` when the evidence locates the verdict, ``"response"`` when the whole response carries it
            (a word count, a language, the absence of something). Without spans the two differ: ``"response"`` means
            every token, ``"spans"`` means that no token is known to be responsible. With ``"response"`` the
            spans show what was found, but credit goes to the whole response (an exact count: one more is as wrong as
            one less).
        missing: true for an unmet requirement: something asked for is not there. Its evidence, if any, is the
            progress made (support), which is blamed only where the whole response carries the verdict.
        failed: true for a check that could not run or gave no usable answer, as opposed to one that ran and could not
            tell. Always undetermined.
    """

    criterion_id: str
    outcome: Outcome
    source: str
    reason: str = ""
    evidence: tuple[Span, ...] = ()
    scope: Scope = "spans"
    missing: bool = False
    failed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", Outcome(self.outcome))  # 1 is SATISFIED, wherever it comes from
        if self.failed and self.outcome is not Outcome.UNDETERMINED:
            raise ValueError(
                f"verdict on criterion {self.criterion_id!r}: failed and {self.outcome.name.lower()}; expected a check "
                "that failed to be undetermined"
            )
        object.__setattr__(self, "evidence", tuple(self.evidence))
        if self.scope not in ("spans", "response"):
            raise ValueError(f"scope {self.scope!r}; expected 'spans' or 'response'")
        for before, after in zip(self.evidence, self.evidence[1:], strict=False):
            if after.start < before.end:
                raise ValueError(
                    f"evidence of criterion {self.criterion_id!r}: [{before.start}, {before.end}) and "
                    f"[{after.start}, {after.end}) overlap or are out of order; expected sorted, disjoint spans"
                )

    @property
    def determined(self) -> bool:
        """Whether the verifier could tell."""
        return self.outcome is not Outcome.UNDETERMINED

    @property
    def judged(self) -> bool:
        """Whether a judge gave the verdict, or failed to."""
        return self.source == "judge" or self.source.startswith("judge:")


def credited(criterion: Criterion, verdict: Verdict) -> Outcome:
    """The outcome as it counts: a criterion that describes something unwanted is met when it is violated."""
    return Outcome(-verdict.outcome) if criterion.unwanted else verdict.outcome


def rubric_accuracy(rubrics: Iterable[Sequence[Verdict]]) -> float | None:
    """Fraction of determined criteria that are satisfied, over all responses together (micro average; the paper's CSR).

    Returns ``None`` when nothing was determined.
    """
    outcomes = [verdict.outcome for verdicts in rubrics for verdict in verdicts if verdict.determined]
    return sum(outcome is Outcome.SATISFIED for outcome in outcomes) / len(outcomes) if outcomes else None


def instruction_accuracy(rubrics: Iterable[Sequence[Verdict]]) -> float | None:
    """Fraction of responses whose determined criteria are all satisfied (the paper's all-or-nothing, AON).

    Responses without a determined criterion are left out. Returns ``None`` when none is left.
    """
    determined = [[v.outcome for v in verdicts if v.determined] for verdicts in rubrics]
    judged = [outcomes for outcomes in determined if outcomes]
    return sum(all(o is Outcome.SATISFIED for o in outcomes) for outcomes in judged) / len(judged) if judged else None
