"""Two sources at once: evidence where a rule decided, which is exact and free, another source where a judge did.

verdict's source        relevance from
"rule:..."              its evidence
anything else           the other source, asked for these criteria alone
undetermined            nothing: the row is never read
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtt.errors import ShapeError

if TYPE_CHECKING:
    from rtt.relevance import RelevanceSource
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict


class HybridRelevance:
    """Evidence for verdicts of rules, another source for the rest.

    The other source sees tasks whose rubrics hold only the criteria that it is asked about, and only the responses that
    have any; where there are none, it is not called.

    Args:
        evidence: asked for every response.
        otherwise: a discriminator, usually.
    """

    def __init__(self, evidence: RelevanceSource, otherwise: RelevanceSource) -> None:
        self.evidence = evidence
        self.otherwise = otherwise

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """For each response the relevance of its tokens, [K, T].

        Raises:
            ShapeError: the other source answered in another shape than it was asked for.
        """
        relevance = [np.array(one, dtype=np.float32) for one in self.evidence(tasks, responses, verdicts)]
        asked = [[k for k, verdict in enumerate(found) if _needs_another(verdict)] for found in verdicts]
        rest = [i for i, criteria in enumerate(asked) if criteria and responses[i].token_ids]
        if not rest:
            return relevance
        answers = self.otherwise(
            [_reduced(tasks[i], asked[i]) for i in rest],
            [responses[i] for i in rest],
            [[verdicts[i][k] for k in asked[i]] for i in rest],
        )
        for i, answer in zip(rest, answers, strict=True):
            expected = (len(asked[i]), len(responses[i].token_ids))
            if np.shape(answer) != expected:
                raise ShapeError(
                    f"{type(self.otherwise).__name__}: relevance for task {tasks[i].id!r} has shape "
                    f"{np.shape(answer)}; expected {expected}: criteria x tokens"
                )
            relevance[i][asked[i]] = answer
        return relevance


def _needs_another(verdict: Verdict) -> bool:
    return verdict.determined and not verdict.source.startswith("rule:")


def _reduced(task: Task, criteria: Sequence[int]) -> Task:
    """The task with these criteria of its rubric alone, in their order."""
    if len(criteria) == len(task.rubric.criteria):
        return task
    return task.narrowed(task.rubric.criteria[k] for k in criteria)
