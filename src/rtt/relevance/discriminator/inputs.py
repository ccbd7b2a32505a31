"""Inputs: a criterion and a response as tokens, and the batches that the two architectures read.

    text    "No commas." / "Rain, again.\\n\\nBye"
    ids     tokens of the criterion and of the response: encoded apart and joined as ids, so that no token spans both
    layout  what many vocabularies are blind to: letter case, line ends, first and last letters, the number of the line
            and sentence; and the names of signs, so that "," can be known as a comma
    window  a response that is longer than the backbone reads is cut into overlapping windows

    cross   one row for each (criterion, window)        [CLS] criterion [SEP] response [SEP]
    joint   one row for each window                     [CLS] response [SEP]
            one for each criterion, asked of however many        [CLS] criterion [SEP]

What a joint criterion is given cannot depend on which others are asked, nor on their order: each is read on its own.

Text of users is encoded as text: a response that holds ``[SEP]``, ``<think>`` or a tool's tag is read to its end. The
released code of arXiv:2604.02795 cuts it there, and finds its labels by encoding the joined text anew.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.baselines import LexicalOverlap

log = logging.getLogger(__name__)

Architecture = Literal["joint", "cross"]

LAYOUT: Mapping[str, int] = {
    "case": 5,  # 0 no letter, 1 lower, 2 first letter upper, 3 all upper (two letters or more), 4 mixed
    "break": 5,  # what stands before: 0 nothing, 1 a blank, 2 a line end, 3 an empty line, 4 it opens the text
    "first letter": 29,  # of the word that the token is of: 0 none, 1 to 26 a to z, 27 a digit, 28 another letter
    "last letter": 29,
    "length": 16,  # of the word, in characters
    "line": 32,  # its number, from 0; blank lines are not counted
    "line from the end": 4,
    "sentence": 32,
    "sentence from the end": 4,
    "paragraph": 16,
}
"""What is told of a token beside its id, and how many values each has (the last one stands for all beyond)."""

LOOKS_AHEAD = frozenset({"last letter", "length", "line from the end", "sentence from the end"})
"""Columns of :data:`LAYOUT` that a causal discriminator is not told: they depend on what follows a token."""

NAME_TOKENS = 4
"""Tokens of a sign's Unicode name that are read: "," is a comma, "#" a number sign."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as tokens.

    Attributes:
        ids: [T] token ids, special ones of the template not included.
        spans: [T, 2] the characters that each token spans.
        layout: [T, F], see :data:`LAYOUT`.
        names: [T, NAME_TOKENS] tokens of the name of a token that is a single sign; -1 where there is none.
    """

    ids: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]
    layout: npt.NDArray[np.int64]
    names: npt.NDArray[np.int64]

    @classmethod
    def empty(cls) -> Encoded:
        """A text without tokens."""
        pairs = np.zeros((0, 2), dtype=np.int64)
        names = np.zeros((0, NAME_TOKENS), dtype=np.int64)
        return cls(np.zeros(0, dtype=np.int64), pairs, np.zeros((0, len(LAYOUT)), dtype=np.int64), names)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def key(self) -> bytes:
        """Equal for texts that the network cannot tell apart."""
        return self.ids.tobytes() + self.layout.tobytes()

    def cut(self, start: int, end: int) -> Encoded:
        """The tokens from ``start`` to ``end``."""
        part = slice(start, end)
        return Encoded(self.ids[part], self.spans[part], self.layout[part], self.names[part])


@dataclass(frozen=True, slots=True)
class Template:
    """How criterion and response become one input; stored with every checkpoint.

    ``text`` holds ``{criterion}`` and ``{response}`` once each, in this order. What stands before, between and after
    them is encoded once, special tokens included: ``"[CLS]{criterion}[SEP]{response}[SEP]"``. The joint architecture
    uses the same three pieces: first and last around the response, first and second around each criterion.

    Raises:
        ConfigurationError: a place is missing, comes twice, or they stand in the other order.
    """

    text: str

    def __post_init__(self) -> None:
        if [self.text.count(place) for place in ("{criterion}", "{response}")] != [1, 1]:
            raise ConfigurationError(
                f"template {self.text!r}; expected {{criterion}} and {{response}} in it, once each"
            )
        if self.text.index("{criterion}") > self.text.index("{response}"):
            raise ConfigurationError(
                f"template {self.text!r}; expected {{criterion}} before {{response}}: a causal backbone reads it first"
            )

    @property
    def pieces(self) -> tuple[str, str, str]:
        """Before the criterion, between, after the response."""
        before, rest = self.text.split("{criterion}")
        between, after = rest.split("{response}")
        return before, between, after

    @classmethod
    def default(cls, tokenizer: Any) -> Template:
        """``[CLS] criterion [SEP] response [SEP]`` in the tokenizer's own tokens, or plain words where it has none."""
        if tokenizer.cls_token and tokenizer.sep_token:
            return cls(f"{tokenizer.cls_token}{{criterion}}{tokenizer.sep_token}{{response}}{tokenizer.sep_token}")
        end = tokenizer.eos_token or ""
        return cls(f"Criterion: {{criterion}}\nResponse:\n{{response}}{end}")


class Encoder:
    """Texts to tokens, with a template's pieces around them.

    Args:
        tokenizer: a fast tokenizer of transformers.
        template: how criterion and response become one input.
        max_criterion: the longest criterion in tokens; a longer one is cut, which is logged once.

    Raises:
        ConfigurationError: the tokenizer is not a fast one, so it cannot say which characters a token spans.
    """

    def __init__(self, tokenizer: Any, template: Template, *, max_criterion: int) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ConfigurationError(
                f"tokenizer {type(tokenizer).__name__} has no fast version, so it cannot say which characters a token "
                "spans; expected a folder with a tokenizer.json"
            )
        from tokenizers import Tokenizer

        self._as_text = Tokenizer.from_str(backend.to_str())
        self._as_text.no_padding()
        self._as_text.no_truncation()  # some checkpoints pad and cut to a length of their own
        frame = [self._as_text.encode(piece, add_special_tokens=False).ids for piece in template.pieces]
        self.opening, self.between, self.closing = (np.asarray(ids, dtype=np.int64) for ids in frame)
        self._as_text.encode_special_tokens = True  # "[SEP]" in a response is five characters, not the end of it
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.max_criterion = max_criterion
        self._cut_before = False
        self._criteria: dict[str, Encoded] = {}
        self._names: dict[str, npt.NDArray[np.int64]] = {}

    def responses(self, texts: Sequence[str]) -> list[Encoded]:
        """Each text as tokens, however long."""
        return self._encode(texts)

    def criterion(self, text: str) -> Encoded:
        """The criterion as tokens, at most ``max_criterion`` of them; kept for the next time."""
        if text not in self._criteria:
            encoded = self._encode([text])[0]
            if len(encoded) > self.max_criterion:
                if not self._cut_before:
                    log.warning(
                        "a criterion has %d tokens, of which the discriminator reads the first %d: %.60r",
                        len(encoded), self.max_criterion, text,
                    )  # fmt: skip
                    self._cut_before = True
                encoded = encoded.cut(0, self.max_criterion)
            if len(self._criteria) > 100_000:
                self._criteria.clear()
            self._criteria[text] = encoded
        return self._criteria[text]

    def _encode(self, texts: Sequence[str]) -> list[Encoded]:
        # half a surrogate pair, which a cut response may end in, is no text to a tokenizer
        clean = [re.sub("[\ud800-\udfff]", "\ufffd", text) for text in texts]
        return [
            self._encoded(text, np.asarray(found.ids, dtype=np.int64), np.asarray(found.offsets, dtype=np.int64))
            for text, found in zip(clean, self._as_text.encode_batch(clean, add_special_tokens=False), strict=True)
        ]

    def _encoded(self, text: str, ids: npt.NDArray[np.int64], spans: npt.NDArray[np.int64]) -> Encoded:
        spans = spans.reshape(-1, 2)
        names = np.full((len(ids), NAME_TOKENS), -1, dtype=np.int64)
        for row, (start, end) in zip(names, spans.tolist(), strict=True):
            sign = text[start:end].strip()
            if len(sign) == 1 and not sign.isalnum():
                row[:] = self._name(sign)
        return Encoded(ids, spans, layout(text, spans), names)

    def _name(self, sign: str) -> npt.NDArray[np.int64]:
        """Tokens of the sign's name, such as that of "comma"."""
        if sign not in self._names:
            name = unicodedata.name(sign, "").replace("-", " ").lower()
            ids = self._as_text.encode(name, add_special_tokens=False).ids[:NAME_TOKENS]
            self._names[sign] = np.asarray(ids + [-1] * (NAME_TOKENS - len(ids)), dtype=np.int64)
        return self._names[sign]


_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*\s+|\n+")
_LINE_END = re.compile(r"\s*\n\s*")
_PARAGRAPH_END = re.compile(r"\n\s*\n\s*")


def layout(text: str, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What :data:`LAYOUT` lists, of each token, [T, F]."""
    result = np.zeros((len(spans), len(LAYOUT)), dtype=np.int64)
    if not len(spans):
        return result
    starts = np.array([_visible_start(text, start, end) for start, end in spans.tolist()])  # (T,)
    previous = 0
    for row, (start, end) in zip(result, spans.tolist(), strict=True):
        piece = text[start:end]
        row[0] = _case(piece)
        gap = text[previous:start] + piece[: len(piece) - len(piece.lstrip())]
        lines = gap.count("\n")
        row[1] = 3 if lines > 1 else 2 if lines else 1 if gap else 0
        previous = max(previous, end)
    result[0, 1] = 4
    words = np.array([match.span() for match in _WORD.finditer(text)], dtype=np.int64).reshape(-1, 2)
    if len(words):
        at = np.searchsorted(words[:, 0], starts, side="right") - 1
        inside = (at >= 0) & (starts < words[np.maximum(at, 0), 1])
        letters = np.array([(_letter(text[a]), _letter(text[b - 1]), b - a) for a, b in words.tolist()])
        result[inside, 2:5] = letters[at[inside]]
    for column, pattern in ((5, _LINE_END), (7, _SENTENCE_END)):
        number = _numbered(pattern, text, starts)
        result[:, column] = number
        result[:, column + 1] = number.max() - number
    result[:, 9] = _numbered(_PARAGRAPH_END, text, starts)
    np.minimum(result, np.array(list(LAYOUT.values())) - 1, out=result)
    return result


def _numbered(pattern: re.Pattern[str], text: str, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """In which part each place lies, from 0; the pattern ends parts."""
    ends = np.array([match.end() for match in pattern.finditer(text)], dtype=np.int64)
    number = np.searchsorted(ends, starts, side="right").astype(np.int64)
    number -= number.min()
    return number


def _visible_start(text: str, start: int, end: int) -> int:
    """Where a token that may begin with blanks really begins."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()) if piece.strip() else start


def _case(piece: str) -> int:
    letters = [character for character in piece if character.isalpha()]
    upper = sum(character.isupper() for character in letters)
    if not letters:
        return 0
    if upper == 0:
        return 1
    if upper == len(letters):
        return 3 if upper > 1 else 2
    return 2 if upper == 1 and letters[0].isupper() else 4


def _letter(character: str) -> int:
    lower = character.lower()
    if "a" <= lower <= "z":
        return ord(lower[0]) - ord("a") + 1
    return 27 if character.isdigit() else 28


# ------------------------------------------------------------------------------------------------------------- windows


def windows(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Windows ``[start, end)`` of at most ``size`` tokens that cover ``length``; neighbours share at least ``overlap``.

    >>> windows(10, 6, 2)
    [(0, 6), (4, 10)]
    """
    if length <= size:
        return [(0, length)]
    step = size - overlap
    count = -(-(length - overlap) // step)
    starts = np.linspace(0, length - size, count).round().astype(int)
    return [(int(start), int(start) + size) for start in starts]


def joined(parts: Sequence[npt.NDArray[np.float32]], places: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
    """The windows' values as one row: each token from the window in which it stands furthest from an edge.

    Args:
        parts: for each window [K, its length].
        places: where the windows stand, as :func:`windows` gives them.
    """
    result = parts[0]
    for left, right, part in zip(places, places[1:], parts[1:], strict=False):
        middle = (right[0] + left[1]) // 2
        result = np.concatenate([result[:, :middle], part[:, middle - right[0] :]], axis=1)
    return result


# ------------------------------------------------------------------------------------------------------------- batches


@dataclass(frozen=True, slots=True)
class Row:
    """One window of a response and the criteria that are asked of it.

    In training with ``labels`` [K, T] and ``weights`` [K]; joint rows with ``hints`` [K, T], see :func:`hints_of`.
    """

    response: Encoded
    criteria: tuple[Encoded, ...]
    labels: npt.NDArray[np.float32] | None = None
    weights: npt.NDArray[np.float32] | None = None
    hints: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Token sequences, padded; N of S tokens.

    Attributes:
        input_ids: int64 [N, S].
        layout: int64 [N, S, F], see :data:`LAYOUT`.
        names: int64 [N, S, NAME_TOKENS], -1 where there is none.
        mask: bool [N, S], true on tokens, the template's included.
        types: int64 [N, S]: 0 in a response, 1 in a criterion.
    """

    input_ids: Tensor
    layout: Tensor
    names: Tensor
    mask: Tensor
    types: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """What a discriminator reads: N windows of responses, of T tokens, and the K criteria that are asked of each.

    Attributes:
        texts: joint: the windows; cross: criterion and window in one sequence.
        criteria: joint: the M different criteria; cross: nothing.
        asked: int64 [N, K], which of the M criteria are asked of a window; cross: zeros [N, 1].
        asked_mask: bool [N, K].
        response: int64 [N, T], where in its sequence the window's tokens stand.
        response_mask: bool [N, T].
        hints: float32 [N, K, T], see :func:`hints_of`; zeros without.
        labels: float32 [N, K, T], or None.
        weights: float32 [N, K], how much each pair counts in training, or None.
    """

    texts: Texts
    criteria: Texts | None
    asked: Tensor
    asked_mask: Tensor
    response: Tensor
    response_mask: Tensor
    hints: Tensor
    labels: Tensor | None = None
    weights: Tensor | None = None


def on_device(value: Any, device: torch.device) -> Any:
    """A batch, or a part of one, on a device."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return type(value)(*(on_device(getattr(value, one.name), device) for one in fields(value)))


def hints_of(
    criteria: Sequence[Sequence[str]], texts: Sequence[str], encoded: Sequence[Encoded]
) -> list[npt.NDArray[np.float32]]:
    """What spelling alone can tell: whether the criterion names or quotes a token, for each text [K, T].

    The largest value of the token's characters by :class:`~rtt.relevance.discriminator.baselines.LexicalOverlap`, which
    a small network would have to learn word by word.
    """
    found = LexicalOverlap().characters(criteria, texts)
    return [
        np.stack([values[:, start:end].max(1, initial=0.0) for start, end in one.spans.tolist()], axis=1)
        if len(one)
        else np.zeros((len(values), 0), dtype=np.float32)
        for values, one in zip(found, encoded, strict=True)
    ]


def row_length(row: Row, encoder: Encoder, architecture: Architecture) -> int:
    """Tokens of the row's longest sequence with the template's own."""
    extra = len(encoder.opening) + len(encoder.closing)
    if architecture == "joint":
        return len(row.response) + extra
    return len(row.response) + max(len(one) for one in row.criteria) + extra + len(encoder.between)


def collate_rows(rows: Sequence[Row], encoder: Encoder, architecture: Architecture) -> Batch:
    """Rows as one padded batch; labels where the first row has some. A cross row has one criterion."""
    before, between, after = encoder.opening, encoder.between, encoder.closing
    nothing = np.zeros(0, dtype=np.int64)
    criteria: Texts | None = None
    count = max(len(row.criteria) for row in rows)
    asked = np.zeros((len(rows), count), dtype=np.int64)
    asked_mask = np.zeros((len(rows), count), dtype=bool)
    for n, row in enumerate(rows):
        asked_mask[n, : len(row.criteria)] = True
    if architecture == "joint":
        different: dict[bytes, int] = {}
        listed: list[Encoded] = []
        for n, row in enumerate(rows):
            for k, one in enumerate(row.criteria):
                key = one.key
                if key not in different:
                    different[key] = len(listed)
                    listed.append(one)
                asked[n, k] = different[key]
        criteria = _padded([[_framed(before, one, between, kind=1)] for one in listed], encoder.pad)
        sequences = [[_framed(before, row.response, after, kind=0)] for row in rows]
        first = [len(before)] * len(rows)
    else:
        sequences, first = [], []
        for row in rows:
            (one,) = row.criteria
            opened = _framed(before, one, between, kind=1)
            sequences.append([opened, _framed(nothing, row.response, after, kind=0)])
            first.append(len(opened.ids))
    tokens = max(max(len(row.response) for row in rows), 1)
    response = np.zeros((len(rows), tokens), dtype=np.int64)
    response_mask = np.zeros((len(rows), tokens), dtype=bool)
    labels = np.zeros((len(rows), count, tokens), dtype=np.float32)
    weights = np.zeros((len(rows), count), dtype=np.float32)
    hints = np.zeros((len(rows), count, tokens), dtype=np.float32)
    for n, row in enumerate(rows):
        length = len(row.response)
        response[n, :length] = first[n] + np.arange(length)
        response_mask[n, :length] = True
        if row.hints is not None:
            hints[n, : len(row.criteria), :length] = row.hints
        if row.labels is not None:
            labels[n, : len(row.criteria), :length] = row.labels
            weights[n, : len(row.criteria)] = 1.0 if row.weights is None else row.weights
    labelled = rows[0].labels is not None
    return Batch(
        texts=_padded(sequences, encoder.pad),
        criteria=criteria,
        asked=torch.from_numpy(asked),
        asked_mask=torch.from_numpy(asked_mask),
        response=torch.from_numpy(response),
        response_mask=torch.from_numpy(response_mask),
        hints=torch.from_numpy(hints),
        labels=torch.from_numpy(labels) if labelled else None,
        weights=torch.from_numpy(weights) if labelled else None,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    ids: npt.NDArray[np.int64]
    layout: npt.NDArray[np.int64]
    names: npt.NDArray[np.int64]
    kind: int


def _framed(opening: npt.NDArray[np.int64], text: Encoded, closing: npt.NDArray[np.int64], *, kind: int) -> _Part:
    """A text with a template's pieces around it, which have neither layout nor names."""
    ids = np.concatenate([opening, text.ids, closing])
    marks = np.zeros((len(ids), len(LAYOUT)), dtype=np.int64)
    names = np.full((len(ids), NAME_TOKENS), -1, dtype=np.int64)
    inside = slice(len(opening), len(opening) + len(text))
    marks[inside], names[inside] = text.layout, text.names
    return _Part(ids, marks, names, kind)


def _padded(sequences: Sequence[Sequence[_Part]], pad: int) -> Texts:
    size = max(sum(len(part.ids) for part in parts) for parts in sequences)
    shape = len(sequences), size
    input_ids = np.full(shape, pad, dtype=np.int64)
    layouts = np.zeros((*shape, len(LAYOUT)), dtype=np.int64)
    names = np.full((*shape, NAME_TOKENS), -1, dtype=np.int64)
    mask = np.zeros(shape, dtype=bool)
    types = np.zeros(shape, dtype=np.int64)
    for n, parts in enumerate(sequences):
        start = 0
        for part in parts:
            place = slice(start, start + len(part.ids))
            input_ids[n, place], layouts[n, place], names[n, place] = part.ids, part.layout, part.names
            mask[n, place], types[n, place] = True, part.kind
            start = place.stop
    return Texts(*(torch.from_numpy(array) for array in (input_ids, layouts, names, mask, types)))


def batches(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """Indices in batches of rows of about the same length, the longest first, each padded to at most ``tokens``."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        count = max(1, tokens // longest)
        yield order[start : start + count]
        start += count
