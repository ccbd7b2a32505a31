"""Relevance: how much each token of a response is responsible for the verdict on each criterion.

    RelevanceSource    (tasks, responses, verdicts)  ->  one [K, T] array for each response, values in [0, 1]

    name          source
    evidence      the evidence spans of the verdicts (no model): METHOD of rules that know where they looked
    uniform       every token of every criterion: no localisation, the control that a localised source must beat

``w[i,k,t]`` in arXiv:2604.02795, where a trained discriminator gives it. Whatever has the signature is a source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from rtt.errors import ConfigurationError
from rtt.relevance.evidence import EvidenceRelevance

if TYPE_CHECKING:
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict

__all__ = ["EvidenceRelevance", "RelevanceSource", "UniformRelevance", "relevance_names", "relevance_source"]


class RelevanceSource(Protocol):
    """Anything that says which tokens are responsible. It is asked once for each batch of rollouts."""

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> Sequence[npt.NDArray[np.float32]]:
        """Relevance of each response's tokens for each criterion of its rubric.

        Args:
            tasks: the task of each response, [B].
            responses: [B].
            verdicts: for each response its verdicts in the rubric's order, [B][K].

        Returns:
            For each response a float array [K, T] with values in [0, 1]; rows of undetermined criteria are never read.
        """
        ...


class UniformRelevance:
    """Every token is responsible for every criterion: relevance without localisation."""

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """All ones, [K, T] for each response."""
        return [
            np.ones((len(found), len(response.token_ids)), dtype=np.float32)
            for response, found in zip(responses, verdicts, strict=True)
        ]


_SOURCES: dict[str, Callable[..., RelevanceSource]] = {"evidence": EvidenceRelevance, "uniform": UniformRelevance}


def relevance_names() -> tuple[str, ...]:
    """The names that :func:`relevance_source` knows."""
    return tuple(_SOURCES)


def relevance_source(name: str, **options: Any) -> RelevanceSource:
    """A relevance source by its name.

    Args:
        name: one of :func:`relevance_names`.
        **options: handed to the source.

    Raises:
        ConfigurationError: the name is unknown.
    """
    if name not in _SOURCES:
        raise ConfigurationError(f"relevance {name!r} is unknown; expected one of {sorted(_SOURCES)}")
    return _SOURCES[name](**options)
