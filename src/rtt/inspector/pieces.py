"""The text of each token of a response: together the pieces are the response, whatever the tokenizer did.

text     "a 😀!"
spans    (0, 1) (1, 3) (1, 3) (3, 4) (4, 4)     two tokens share the emoji, the last is special
pieces   "a"    " 😀"  ""     "!"    ""
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rtt.responses import Response


def token_ends(response: Response) -> list[int]:
    """Where each token's piece ends in the text, in code points: [T], never falling.

    A character belongs to the first token that spans it. One that no token spans (which no tokenizer of ours gives)
    goes to the next token, and at the end to the last that has text. Where no token has any, all pieces are empty.
    """
    position = 0
    ends = []
    for start, end in response.spans:
        if end > start:
            position = max(position, end)
        ends.append(position)
    if position:
        last = ends.index(position)
        ends[last:] = [len(response.text)] * (len(ends) - last)
    return ends


def pieces(response: Response) -> list[str]:
    """The text of each token, [T]; joined they are the response's text, unless no token spans any of it."""
    return [response.text[start:end] for start, end in pairwise([0, *token_ends(response)])]


def utf16(text: str, places: Sequence[int]) -> list[int]:
    """Places in a text, given in code points, as JavaScript counts them: in UTF-16 units."""
    if text.isascii() or max(text, default="") < "\U00010000":
        return list(places)
    units = [0]
    for character in text:
        units.append(units[-1] + (2 if character >= "\U00010000" else 1))
    return [units[place] for place in places]
