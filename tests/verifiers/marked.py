"""Texts with their expected evidence marked by hand: ⟦support⟧ and ⟪violation⟫."""

from __future__ import annotations

from rtt.verdicts import Polarity, Span

_OPENS: dict[str, Polarity] = {"⟦": "support", "⟪": "violation"}
_CLOSES: dict[str, Polarity] = {"⟧": "support", "⟫": "violation"}


def unmark(marked: str) -> tuple[str, tuple[Span, ...]]:
    """The text without its marks, and the spans that they mark."""
    text: list[str] = []
    spans: list[Span] = []
    start = 0
    for character in marked:
        if character in _OPENS:
            start = len(text)
        elif character in _CLOSES:
            spans.append(Span(start, len(text), _CLOSES[character]))
        else:
            text.append(character)
    return "".join(text), tuple(spans)


def mark(text: str, spans: tuple[Span, ...]) -> str:
    """The inverse of :func:`unmark`, for messages that can be read."""
    signs = {"support": "⟦⟧", "violation": "⟪⟫"}
    for span in reversed(spans):
        opens, closes = signs[span.polarity]
        text = text[: span.start] + opens + text[span.start : span.end] + closes + text[span.end :]
    return text
