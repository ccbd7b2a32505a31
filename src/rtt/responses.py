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

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rtt.errors import ShapeError

TURN_BREAK = "\n\n"
"""What stands between two turns in the text of a response."""

JudgedTurns = Literal["all", "last"]
"""Which of the model's turns are its answer: all that it said, or what it said last."""


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
        token_ids: the sampled tokens, special ones included, padding not; between the turns of several, those of a
            tool's results.
        spans: for each token the characters ``[start, end)`` of ``text`` that it spans. Tokens that share a character
            (an emoji split in three) all span it; a token outside ``text`` (a special token, a thinking block that
            is not part of the answer, a tool's result) spans nothing, ``start == end``.

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
        answer: the part of the decoded text that counts, where an engine has parsed it (a chat template that takes a
            thinking block off, or a tool call). It is placed where it ends the decoded text (white space aside), else
            where it stands last; the other tokens span nothing. If it stands nowhere, no token spans anything: which
            token gave what is then not known. ``None``: all of the text counts.

    Returns:
        The response; its text is ``answer``, or the tokenizer's own decoding without special tokens.
    """
    ids = tuple(int(token) for token in token_ids)
    text, spans = _decode(ids, tokenizer)
    if answer is None or answer == text:
        return Response(task_id, text, ids, tuple(spans))
    start = _place(text, answer)
    if start is None:
        return Response(task_id, answer, ids, ((0, 0),) * len(ids))
    end = start + len(answer)
    clipped = tuple((min(max(a, start), end) - start, min(max(b, start), end) - start) for a, b in spans)
    return Response(task_id, answer, ids, clipped)


def join_turns(turns: Sequence[str], judged: JudgedTurns = "all") -> str:
    """The text of a response in several turns: those that say something, with a blank line between them."""
    return TURN_BREAK.join(filter(None, turns if judged == "all" else turns[-1:]))


def response_from_turns(
    task_id: str,
    token_ids: Sequence[int],
    own: Sequence[int],
    tokenizer: Tokenizer,
    *,
    answers: Sequence[str] | None = None,
    judged: JudgedTurns = "all",
) -> Response:
    """Decode a conversation that went on by itself: turns of the model, and between them what tools answered.

        token_ids   Let me see. <call>   the tool's result   It is 4.
        own         1   1  1    1        0   0      0        1  1  1
        text        Let me see.                              It is 4.      joined by a blank line, see join_turns

    Args:
        task_id: the task that was answered.
        token_ids: the model's and the tools' tokens without padding, [T]. What follows the model's last is left out.
        own: [T], 1 on the model's tokens and 0 on the others.
        tokenizer: the policy's tokenizer.
        answers: for each run of own tokens the part of its text that counts, as in :func:`response_from_tokens`;
            ``None``: all of it.
        judged: whether all turns are the answer or the last one, the tokens of the others then spanning nothing.

    Returns:
        The response; the tokens of tools span nothing, whatever they say.

    Raises:
        ShapeError: ``own`` is not as long as ``token_ids``, or there are not as many answers as runs of own tokens.
    """
    if len(own) != len(token_ids):
        raise ShapeError(f"response to task {task_id!r}: {len(token_ids)} tokens but {len(own)} marks of own ones")
    runs = [
        (mine, [token for token, _ in run])
        for mine, run in itertools.groupby(zip(token_ids, own, strict=True), key=lambda pair: bool(pair[1]))
    ]
    if runs and not runs[-1][0]:
        del runs[-1]
    count = sum(mine for mine, _ in runs)
    said: list[str | None] = [None] * count if answers is None else list(answers)
    if len(said) != count:
        raise ShapeError(f"response to task {task_id!r}: {count} turns of the model but {len(said)} answers")
    if judged == "last":
        said[:-1] = [""] * (count - 1)
    turns = iter(said)
    text, ids, spans = "", list[int](), Spans()
    for mine, tokens in runs:
        turn = response_from_tokens(task_id, tokens, tokenizer, answer=next(turns) if mine else "")
        start = len(text) + (len(TURN_BREAK) if text and turn.text else 0)
        text = join_turns([text, turn.text])
        ids += turn.token_ids
        spans += [(start + a, start + b) for a, b in turn.spans]
    return Response(task_id, text, tuple(ids), tuple(spans))


def response_from_words(task_id: str, text: str) -> Response:
    """A response whose tokens nobody kept: words stand for them, each with the blanks before it, id -1.

    The words together are the text, trailing blanks belong to the last one.
    """
    ends = [match.end() for match in _WORD.finditer(text)]
    if text:
        ends[-1:] = [len(text)]
    starts = [0, *ends[:-1]]
    return Response(task_id, text, (-1,) * len(ends), tuple(zip(starts, ends, strict=False)))


_WORD = re.compile(r"\S+")


def special_tokens(response: Response, tokenizer: Tokenizer) -> list[bool]:
    """For each token of the response, whether it is special (end of sequence, a turn marker): [T]."""
    special = set(tokenizer.all_special_ids)
    return [token in special for token in response.token_ids]


def _place(text: str, answer: str) -> int | None:
    """Where ``answer`` begins in ``text``: at its end, white space aside, else where it stands last."""
    tail = answer.rstrip()
    start = len(text.rstrip()) - len(tail)
    if start >= 0 and text[start:].startswith(answer):
        return start
    start = text.rfind(answer)
    return start if start >= 0 else None


Spans = list[tuple[int, int]]


def _decode(ids: tuple[int, ...], tokenizer: Tokenizer) -> tuple[str, Spans]:
    """The text, and each token's characters: tokens whose bytes are incomplete share the characters that they make.

    The text is the tokenizer's decoding of the whole. Decoding token by token in Rust is fast and nearly always gives
    the same; where it does not (a decoder that strips a space, broken bytes beside whole ones), prefixes are decoded.
    """
    text = str(tokenizer.decode(list(ids), skip_special_tokens=True))
    special = set(tokenizer.all_special_ids)
    spans = _by_stream(ids, text, special, tokenizer)
    return text, _by_prefixes(ids, text, special, tokenizer) if spans is None else spans


class _Places:
    """Gives characters to tokens in order; tokens that wait for theirs get those of the next that has some."""

    def __init__(self) -> None:
        self.spans: Spans = []
        self.waiting: list[int] = []
        self.position = 0

    def add(self, *, special: bool) -> None:
        """The next token; a special one carries no characters, also amid an incomplete character."""
        if not special:
            self.waiting.append(len(self.spans))
        self.spans.append((self.position, self.position))

    def give(self, end: int) -> None:
        """The characters up to ``end`` are those of the tokens that wait."""
        for place in self.waiting:
            self.spans[place] = (self.position, end)
        self.waiting.clear()
        self.position = end


def _by_stream(ids: tuple[int, ...], text: str, special: set[int], tokenizer: Tokenizer) -> Spans | None:
    """Spans by decoding token by token in Rust; ``None`` where the pieces do not make the text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    places = _Places()
    for token in ids:
        places.add(special=token in special)
        if token in special:
            continue
        try:
            piece = stream.step(backend, token)
        except Exception:  # noqa: BLE001 - a bare one, "Invalid prefix": the prefixes below do without
            return None
        if piece is None:
            continue
        if not text.startswith(piece, places.position):
            return None
        places.give(places.position + len(piece))
    if places.waiting:  # bytes that were never completed
        rest = str(tokenizer.decode([ids[place] for place in places.waiting], skip_special_tokens=True))
        if text[places.position :] != rest:
            return None
        places.give(len(text))
    return places.spans if places.position == len(text) else None


def _by_prefixes(ids: tuple[int, ...], text: str, special: set[int], tokenizer: Tokenizer) -> Spans:
    """Spans by decoding every prefix, in quadratic time: a token gave what its prefix shares with the text anew.

    Used where the stream fails, which is rare.
    """
    places = _Places()
    for count, token in enumerate(ids, start=1):
        places.add(special=token in special)
        if token in special:
            continue
        shown = str(tokenizer.decode(list(ids[:count]), skip_special_tokens=True))
        end = _shared(shown, text)
        if end > places.position and not shown.endswith("\ufffd"):
            places.give(end)
    places.give(len(text))
    return places.spans


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
