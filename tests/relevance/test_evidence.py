"""Relevance from evidence: the table of the module, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from rtt.errors import ConfigurationError
from rtt.relevance import EvidenceRelevance, relevance_source
from rtt.responses import Response
from rtt.verdicts import Outcome, Scope, Span, Verdict

#                                0..1    1..3    3..6    end of sequence
RESPONSE = Response("t", "abcdef", (7, 8, 9, 2), ((0, 1), (1, 3), (3, 6), (6, 6)))


def verdict(outcome: Outcome, *spans: Span, scope: Scope = "spans", missing: bool = False) -> Verdict:
    return Verdict("c1", outcome, "rule:test", evidence=spans, scope=scope, missing=missing)


def relevance(source: EvidenceRelevance, *verdicts: Verdict) -> list[list[float]]:
    (array,) = source([None], [RESPONSE], [list(verdicts)])  # type: ignore[list-item]
    assert array.dtype == np.float32
    return array.tolist()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (verdict(Outcome.SATISFIED, Span(1, 2)), [0, 1, 0, 0]),
        (verdict(Outcome.SATISFIED, scope="response"), [1, 1, 1, 1]),
        (verdict(Outcome.SATISFIED), [0, 0, 0, 0]),
        (verdict(Outcome.VIOLATED, Span(2, 4, "violation")), [0, 1, 1, 0]),
        (verdict(Outcome.VIOLATED, Span(0, 1), Span(3, 4, "violation")), [0, 0, 1, 0]),
        (verdict(Outcome.VIOLATED, scope="response"), [1, 1, 1, 1]),
        (verdict(Outcome.VIOLATED), [0, 0, 0, 0]),
        (verdict(Outcome.UNDETERMINED, scope="response"), [0, 0, 0, 0]),
        # an exact count: the spans show it, the whole response carries it
        (verdict(Outcome.SATISFIED, Span(1, 2), scope="response"), [1, 1, 1, 1]),
        (verdict(Outcome.VIOLATED, Span(1, 2), scope="response", missing=True), [1, 1, 1, 1]),
        (verdict(Outcome.VIOLATED, Span(2, 4, "violation"), scope="response"), [1, 1, 1, 1]),
    ],
)
def test_the_table(found: Verdict, expected: list[int]) -> None:
    assert relevance(EvidenceRelevance(), found) == [expected]


def test_a_token_with_support_and_violation_is_blamed() -> None:
    both = verdict(Outcome.VIOLATED, Span(1, 2), Span(2, 3, "violation"))
    assert relevance(EvidenceRelevance(), both) == [[0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("missing", "expected"), [("response", [0, 1, 1, 1]), ("end", [0, 0, 0, 1]), ("none", [0, 0, 0, 0])]
)
def test_progress_towards_an_unmet_requirement_is_never_blamed(missing: str, expected: list[int]) -> None:
    unmet = verdict(Outcome.VIOLATED, Span(0, 1), missing=True)
    assert relevance(EvidenceRelevance(missing), unmet) == [expected]  # type: ignore[arg-type]


def test_an_empty_response_has_no_tokens() -> None:
    unmet = verdict(Outcome.VIOLATED, missing=True)
    (array,) = EvidenceRelevance("end")([None], [Response("t", "", (), ())], [[unmet]])  # type: ignore[list-item]
    assert array.shape == (1, 0)


def test_evidence_by_name() -> None:
    assert isinstance(relevance_source("evidence", missing="end"), EvidenceRelevance)
    with pytest.raises(ConfigurationError, match=r"'oracle' is unknown; expected one of \['contrast', .*'evidence'"):
        relevance_source("oracle")
    with pytest.raises(ConfigurationError, match=r"missing='all'; expected one of \['response', 'end', 'none'\]"):
        EvidenceRelevance("all")  # type: ignore[arg-type]
