"""Controls: relevance that knows nothing, which a source that locates something must beat.

    uniform     1 everywhere                                 what is the token-level term worth without localisation?
    random      noise, the same for the same response        ... with tokens told apart, but by nothing?
    shuffled    another response's map, stretched to fit     ... with maps as sparse and as clustered as real ones, but
                                                             on the wrong tokens?

The last separates credit from regularisation: if it trains as well as the source it shuffles, what helped was the shape
of the advantages and not where they lay.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtt.relevance.evidence import EvidenceRelevance

if TYPE_CHECKING:
    from rtt.relevance import RelevanceSource
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict


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


class RandomRelevance:
    """Uniform noise in [0, 1), drawn for each criterion and token.

    A row depends on the seed, the criterion's id and the response (its task and tokens) and on nothing else: not on the
    batch it is in, the process, the other criteria or any global generator, which is left untouched.

    Args:
        seed: another seed, other noise.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """Noise, [K, T] for each response."""
        relevance = []
        for response, found in zip(responses, verdicts, strict=True):
            rows = np.empty((len(found), len(response.token_ids)), dtype=np.float32)
            for row, verdict in zip(rows, found, strict=True):
                row[:] = self._generator(response, verdict).random(len(row), dtype=np.float32)
            relevance.append(rows)
        return relevance

    def _generator(self, response: Response, verdict: Verdict) -> np.random.Generator:
        tokens = [int(token) for token in response.token_ids]
        told = json.dumps([self.seed, response.task_id, verdict.criterion_id, tokens])
        return np.random.default_rng(int.from_bytes(hashlib.sha256(told.encode()).digest()))


class ShuffledRelevance:
    """The maps of another source, each on the wrong response.

    A row gets, of the other responses in the batch whose text differs, the next one's row, in a circle, so that every
    map is handed on: the next with the same criterion of the same task and the same verdict (which keeps how maps go
    with verdicts as it was), else with the same criterion of the same task, else any. Its length is fitted by nearest
    position, its values stay. Undetermined rows are 0, and are never handed on.

    Where no other response has a map (a batch of one, or of copies) the row is turned around, last token first: also a
    map of the same shape on other tokens. A map that is the same on every token stays what it is, however it is moved.

    Nothing is drawn: the same batch gives the same maps.

    Args:
        source: whose maps are shuffled; the verdicts' evidence by default.
    """

    def __init__(self, source: RelevanceSource | None = None) -> None:
        self.source = EvidenceRelevance() if source is None else source

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """For each response the relevance of its tokens, [K, T]."""
        maps = [np.asarray(one, dtype=np.float32) for one in self.source(tasks, responses, verdicts)]
        circles: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)  # places (i, k), in order
        for i, found in enumerate(verdicts):
            for k, verdict in enumerate(found):
                if verdict.determined and responses[i].token_ids:
                    for key in _keys(responses[i], verdict):
                        circles[key].append((i, k))
        relevance = [np.zeros_like(one) for one in maps]
        for i, found in enumerate(verdicts):
            for k, verdict in enumerate(found):
                if not verdict.determined or not responses[i].token_ids:
                    continue
                giver = next(
                    (
                        place
                        for key in _keys(responses[i], verdict)
                        for place in _after((i, k), circles[key])
                        if responses[place[0]].text != responses[i].text
                    ),
                    None,
                )
                relevance[i][k] = (
                    maps[i][k, ::-1] if giver is None else fitted(maps[giver[0]][giver[1]], len(responses[i].token_ids))
                )
        return relevance


def fitted(row: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """A map of ``length`` tokens from one of another length: each token gets the value at the nearest position.

    Args:
        row: [S], S at least 1.
        length: T.

    Returns:
        [T], of the same values in the same order.
    """
    return row[((np.arange(length) + 0.5) * len(row) / length).astype(np.int64)]


def _keys(response: Response, verdict: Verdict) -> tuple[Hashable, ...]:
    """The circles that a row is in, the closest first."""
    criterion = (response.task_id, verdict.criterion_id)
    return ((*criterion, verdict.outcome), criterion, None)


def _after(place: tuple[int, int], circle: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The other places of a circle, from the next one on, once around."""
    start = circle.index(place)
    yield from circle[start + 1 :]
    yield from circle[:start]
