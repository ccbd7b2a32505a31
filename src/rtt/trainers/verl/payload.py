"""What a reward worker found about one response, as one line of JSON in verl's ``reward_extra_info``.

verl carries extra fields of any kind but joins them to arrays on the way: ragged lists do not survive that, text does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtt.errors import DataError, ShapeError
from rtt.records import verdict_from_json, verdict_to_json
from rtt.verdicts import Verdict

FIELD = "rtt"
"""The payload's name in ``reward_extra_info``."""


@dataclass(frozen=True, eq=False)
class Payload:
    """One response's credit before its group is known.

    Attributes:
        task_id: the task that was answered.
        verdicts: [K], in the rubric's order.
        weights: [K], those of the criteria.
        relevance: float32 [K T], on all tokens of the response.
        reward: the response-level reward; ``None`` when nothing could be determined.

    Raises:
        ShapeError: the rows do not fit the verdicts.
    """

    task_id: str
    verdicts: tuple[Verdict, ...]
    weights: tuple[float, ...]
    relevance: npt.NDArray[np.float32]
    reward: float | None

    def __post_init__(self) -> None:
        criteria = len(self.verdicts)
        if self.relevance.ndim != 2 or len(self.relevance) != criteria or len(self.weights) != criteria:
            raise ShapeError(
                f"payload of task {self.task_id!r}: {criteria} verdicts, {len(self.weights)} weights and relevance of "
                f"shape {self.relevance.shape}; expected as many of each, and relevance [K T]"
            )

    def to_json(self) -> str:
        """The payload as one line of JSON; relevance in the fewest digits that give the same float32 back."""
        return json.dumps(
            {
                "task_id": self.task_id,
                "tokens": self.relevance.shape[1],
                "verdicts": [verdict_to_json(verdict) for verdict in self.verdicts],
                "weights": self.weights,
                "relevance": [[float(value) for value in row] for row in self.relevance.astype(str)],
                "reward": self.reward,
            }
        )

    @classmethod
    def from_json(cls, line: str) -> Payload:
        """Read it back.

        Raises:
            DataError: the line is not a payload.
            ShapeError: its parts do not fit.
        """
        try:
            data = json.loads(line)
            verdicts = tuple(verdict_from_json(verdict) for verdict in data["verdicts"])
            return cls(
                task_id=data["task_id"],
                verdicts=verdicts,
                weights=tuple(data["weights"]),
                relevance=np.array(data["relevance"], dtype=np.float32).reshape(len(verdicts), data["tokens"]),
                reward=data["reward"],
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ShapeError):
                raise
            raise DataError(f"not a payload of rtt.trainers.verl: {type(error).__name__}: {error}") from error
