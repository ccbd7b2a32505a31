"""Alignment: from the characters of a text to the tokens that span them.

Characters are the common ground of verifiers, policies and discriminators (see :mod:`rtt.responses`). A token belongs
to a span of characters when the two overlap in at least one character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def tokens_in(
    token_spans: Sequence[tuple[int, int]], spans: Iterable[tuple[int, int]], *, length: int
) -> npt.NDArray[np.bool_]:
    """Which tokens overlap any of the character spans.

    Args:
        token_spans: for each token its characters ``[start, end)``, [T]; one with ``start == end`` overlaps nothing.
        spans: character spans ``[start, end)``, in any order.
        length: number of characters of the text; spans that leave it are cut.

    Returns:
        [T], true where a token and a span share a character.
    """
    if not len(token_spans):
        return np.zeros(0, dtype=bool)
    covered = np.zeros(length + 1, dtype=np.int64)  # covered[c + 1] counts character c, so that sums are differences
    for start, end in spans:
        covered[min(start, length) + 1 : min(end, length) + 1] = 1
    before = np.cumsum(covered)
    edges = np.asarray(token_spans, dtype=np.int64)  # (T, 2)
    inside: npt.NDArray[np.bool_] = before[edges[:, 1]] > before[edges[:, 0]]
    return inside
