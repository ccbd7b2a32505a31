"""Responses: the text that was sampled, its tokens, and the characters that each token spans.

    token_ids   1212   318   27250   251   50256
    text        "This" " is" "  😀 (two tokens)"  ""          special tokens carry no characters
    spans       (0, 4) (4, 7) (7, 9) (7, 9)     (9, 9)

Characters are the common ground: a verifier answers in characters, a policy and a discriminator each have tokens of
their own. The spans come from decoding token by token in order, so a response is never searched for inside a longer
sequence (a short or repeated answer would be found in the prompt) nor encoded again (a sampled sequence need not be
the one that the tokenizer would choose).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rtt.errors import ShapeError


class Tokenizer(Protocol):
    """What is used of a Hugging Face tokenizer; a fast one (with ``backend_tokenizer``) is decoded in Rust."""

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of the tokens that carry no text: end of sequence, padding, turn markers."""
        ...

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = False) -> Any:
        """The text of the tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Response:
    """One sampled answer.

    Attributes:
        task_id: the task it answers.
        text: what the verifiers read.
        token_ids: the sampled tokens, special ones included, padding not.
        spans: for each token the characters ``[start, end)`` of ``text`` that it spans. Tokens that share a character
            (an emoji split in three) all span it; a token outside ``text`` (a special token, a thinking block that
            is not part of the answer) spans nothing, ``start == end``.

    Raises:
        ShapeError: there are not as many spans as tokens, or a span leaves the text.
    """

    task_id: str
    text: str
    token_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if len(self.token_ids) != len(self.spans):
            raise ShapeError(
                f"response to task {self.task_id!r}: {len(self.token_ids)} tokens but {len(self.spans)} spans"
            )
        for start, end in self.spans:
            if not 0 <= start <= end <= len(self.text):
                raise ShapeError(
                    f"response to task {self.task_id!r}: token span ({start}, {end}) leaves its text of "
                    f"{len(self.text)} characters"
                )


def response_from_tokens(
    task_id: str, token_ids: Sequence[int], tokenizer: Tokenizer, *, answer: str | None = None
) -> Response:
    """Decode sampled tokens and keep which characters each of them gave.

    Args:
        task_id: the task that was answered.
        token_ids: the sampled tokens without padding, [T].
        tokenizer: the policy's tokenizer.
        answer: the part of the decoded text that counts as the answer, where an engine has parsed it (a chat template
            that takes a thinking block off). It must end the decoded text, up to surrounding white space; the tokens
            before it span nothing. ``None``: all of the text is the answer.

    Raises:
        ShapeError: ``answer`` does not end the decoded text, so its tokens are not known.
    """
    ids = tuple(int(token) for token in token_ids)
    pieces, spans = _decode(ids, tokenizer)
    text = "".join(pieces)
    if answer is None or answer == text:
        return Response(task_id, text, ids, tuple(spans))
    start = _answer_start(text, answer)
    if start is None:
        raise ShapeError(
            f"response to task {task_id!r}: the parsed answer {_shorten(answer)!r} does not end the decoded text "
            f"{_shorten(text)!r}, so its tokens are not known; leave the answer unparsed"
        )
    end = start + len(answer)
    clipped = tuple((min(max(a, start), end) - start, min(max(b, start), end) - start) for a, b in spans)
    return Response(task_id, answer, ids, clipped)


def special_tokens(response: Response, tokenizer: Tokenizer) -> list[bool]:
    """For each token of the response, whether it is special (end of sequence, a turn marker): [T]."""
    special = set(tokenizer.all_special_ids)
    return [token in special for token in response.token_ids]


def _answer_start(text: str, answer: str) -> int | None:
    """Where ``answer`` begins if it ends ``text``, white space at the end aside."""
    tail = answer.rstrip()
    end = len(text.rstrip())
    start = end - len(tail)
    fits = start >= 0 and text[start:end] == tail and text[end:].startswith(answer[len(tail) :])
    return start if fits else None


def _decode(ids: tuple[int, ...], tokenizer: Tokenizer) -> tuple[list[str], list[tuple[int, int]]]:
    """The text in pieces, and each token's characters: tokens whose bytes are incomplete share the next piece."""
    step = _stepper(tokenizer)
    special = set(tokenizer.all_special_ids)
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    waiting: list[int] = []  # places of tokens whose characters are not complete yet
    position = 0

    def give(piece: str) -> None:
        nonlocal position
        start, position = position, position + len(piece)
        for place in waiting:
            spans[place] = (start, position)
        waiting.clear()
        pieces.append(piece)

    for place, token in enumerate(ids):
        spans.append((position, position))
        if token in special:  # carries no characters, and decoding passes over it, also amid an incomplete character
            continue
        waiting.append(place)
        piece = step(token)
        if piece is not None:
            give(piece)
    if waiting:  # bytes that will never be completed: what the tokenizer makes of them, usually U+FFFD
        give(str(tokenizer.decode([ids[place] for place in waiting], skip_special_tokens=True)))
    return pieces, spans


class _Stepper(Protocol):
    def __call__(self, token: int) -> str | None: ...


def _stepper(tokenizer: Tokenizer) -> _Stepper:
    """A function from the next token to its text, or ``None`` while its characters are incomplete."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return _window_stepper(tokenizer)
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    return lambda token: stream.step(backend, token)


def _window_stepper(tokenizer: Tokenizer) -> _Stepper:
    """The same for a tokenizer without a Rust backend: decode a short window with and without the token."""
    window: list[int] = []
    shown = ""

    def step(token: int) -> str | None:
        nonlocal window, shown
        window.append(token)
        text = str(tokenizer.decode(window, skip_special_tokens=True))
        if text.endswith("\ufffd") or not text.startswith(shown):
            return None
        piece = text[len(shown) :]
        # the last token stays as context: a tokenizer may drop the space of a first word
        window = window[-1:]
        shown = str(tokenizer.decode(window, skip_special_tokens=True))
        return piece

    return step


def _shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[: length // 2]} ... {text[-length // 2 :]}"
