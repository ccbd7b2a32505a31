"""Alignment: from the characters of a text to the tokens that span them, and back.

Characters are the common ground of verifiers, policies and discriminators (see :mod:`rtt.responses`). A token belongs
to a span of characters when the two overlap in at least one character.

    tokens_in           spans of characters  ->  which tokens they touch
    token_means         a value for each character  ->  one for each token
    character_values    a value for each token  ->  one for each character
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

TokenSpans: TypeAlias = Sequence[tuple[int, int]] | npt.NDArray[np.int64]
"""For each token its characters ``[start, end)``, [T] or [T, 2]."""


def tokens_in(token_spans: TokenSpans, spans: Iterable[tuple[int, int]], *, length: int) -> npt.NDArray[np.bool_]:
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


def token_means(token_spans: TokenSpans, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of each token's characters.

    A token without characters (end of sequence, a thinking block outside the answer) gets the mean of the row's other
    tokens. Normalised within the response that is an advantage of exactly 0: stopping is neither praised nor blamed for
    what the words before it did.

    Args:
        token_spans: for each token its characters ``[start, end)``, [T].
        values: a value for each of the text's C characters, [K, C].

    Returns:
        [K, T]; zeros where no token has characters.
    """
    rows = len(values)
    if not len(token_spans):
        return np.zeros((rows, 0), dtype=np.float32)
    before = np.zeros((rows, values.shape[1] + 1))
    np.cumsum(values, axis=1, out=before[:, 1:], dtype=np.float64)
    edges = np.asarray(token_spans, dtype=np.int64)  # (T, 2)
    length = edges[:, 1] - edges[:, 0]  # (T,)
    spoken = length > 0
    means = np.zeros((rows, len(edges)))
    means[:, spoken] = (before[:, edges[spoken, 1]] - before[:, edges[spoken, 0]]) / length[spoken]
    if spoken.any():
        means[:, ~spoken] = means[:, spoken].mean(axis=1, keepdims=True)
    return means.astype(np.float32)


def character_values(
    token_spans: TokenSpans, values: npt.NDArray[np.float32], *, length: int
) -> npt.NDArray[np.float32]:
    """A value for each character from those of the tokens that span it.

    Where several tokens share a character (an emoji in pieces) the largest counts. A character that no token spans (the
    blanks that many vocabularies drop) gets the smaller of its two neighbours', so that a blank is relevant where it
    lies inside a relevant passage and not at its edge.

    Args:
        token_spans: for each token its characters ``[start, end)``, [T], in order.
        values: a value of at least 0 for each token, [K, T].
        length: number of characters C of the text.

    Returns:
        [K, C]; zeros where there is no token.
    """
    rows = len(values)
    result = np.full((rows, length), -1.0, dtype=np.float32)
    for t, (start, end) in enumerate(token_spans):
        if end > start:
            np.maximum(result[:, start:end], values[:, t : t + 1], out=result[:, start:end])
    spanned = np.zeros(length + 2, dtype=bool)  # with a border on both sides
    for start, end in token_spans:
        spanned[start + 1 : end + 1] = True
    if spanned.any() and not spanned[1:-1].all():
        bordered = np.zeros((rows, length + 2), dtype=np.float32)
        bordered[:, 1:-1] = result
        spanned[[0, -1]] = True
        places = np.arange(length + 2)
        left = np.maximum.accumulate(np.where(spanned, places, 0))
        right = np.minimum.accumulate(np.where(spanned, places, length + 1)[::-1])[::-1]
        result = np.minimum(bordered[:, left], bordered[:, right])[:, 1:-1]
    return np.maximum(result, 0.0)
