"""Relevance straight from a verdict's evidence: the rule knows where it looked, so no model is needed.

verdict                          tokens with relevance 1 (the others 0)
satisfied, spans                 those of the supporting spans
satisfied, whole response        all, the end-of-sequence token included
violated, spans                  those of the violating spans
violated, something missing      a choice, see ``missing``; never the supporting spans: they are progress. Of a
                                 response that is too short all is progress but that it ended: its last token
violated, whole response         all
whole response, and spans        all: the spans show the verdict, but do not carry it alone (an exact count)
undetermined                     none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from rtt.alignment import tokens_in
from rtt.errors import ConfigurationError
from rtt.verdicts import Outcome

if TYPE_CHECKING:
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict

Missing = Literal["response", "end", "none"]


class EvidenceRelevance:
    """Relevance 1 on the tokens of the evidence, 0 elsewhere.

    Args:
        missing: whom to hold responsible when something asked for is not there, so that no token is to blame:
            ``"response"`` every token but the supporting ones (the response as a whole went without it, and the
            progress made is spared); ``"end"`` the last token, which is where the response stopped instead; ``"none"``
            no token, the response-level advantage alone speaks.

    Raises:
        ConfigurationError: ``missing`` is none of these.
    """

    def __init__(self, missing: Missing = "response") -> None:
        if missing not in get_args(Missing):
            raise ConfigurationError(f"missing={missing!r}; expected one of {list(get_args(Missing))}")
        self.missing = missing

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """For each response the relevance of its tokens, [K, T]; see the module for the table."""
        return [self._of(response, found) for response, found in zip(responses, verdicts, strict=True)]

    def _of(self, response: Response, verdicts: Sequence[Verdict]) -> npt.NDArray[np.float32]:
        relevance = np.zeros((len(verdicts), len(response.token_ids)), dtype=np.float32)
        for row, verdict in zip(relevance, verdicts, strict=True):
            row[:] = self._row(response, verdict)
        return relevance

    def _row(self, response: Response, verdict: Verdict) -> npt.NDArray[np.bool_]:
        tokens = len(response.token_ids)
        if verdict.outcome is Outcome.UNDETERMINED:
            return np.zeros(tokens, dtype=bool)
        if verdict.scope == "response" and verdict.evidence:
            return np.ones(tokens, dtype=bool)
        support, violation = (
            tokens_in(
                response.spans,
                [(span.start, span.end) for span in verdict.evidence if span.polarity == polarity],
                length=len(response.text),
            )
            for polarity in ("support", "violation")
        )
        if verdict.outcome is Outcome.SATISFIED:
            return support if support.any() or verdict.scope == "spans" else np.ones(tokens, dtype=bool)
        if violation.any():
            # a token that holds both (the last letter of a good word and the comma after it) carries the violation
            return violation
        if verdict.missing:
            if self.missing == "response":
                return ~support
            last = np.zeros(tokens, dtype=bool)
            last[-1:] = self.missing == "end"
            return last
        return np.full(tokens, verdict.scope == "response")
