"""What a judge replies: read strictly, and held against the response it speaks of.

    text ── json_object ──> {"verdicts": [{"criterion": 1, ...}, ...]}     one entry for each criterion, or no reply
                                │
                                ▼
                            Entry             satisfied, quotes, whole_response, reason
                                │  every quote exactly where it stands, or dropped and counted
                                ▼
                            Finding

    the model says    and                                       outcome
    yes               supporting quotes, or whole_response      SATISFIED
    no                violating quotes, or whole_response       VIOLATED
    no                no violating quotes                       VIOLATED, missing; what supports is progress
    cannot tell                                                 UNDETERMINED
    anything else     contradicts itself, shows nothing,        no finding: NoAnswer
                      quotes what is not there, is a
                      ready-made reply out of the response

Words that only look like "yes" or "no" are not read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from rtt.endpoints import NoAnswer, clean, excerpt, first_problem, json_object
from rtt.quotes import Spans, locate_quote, merged, subtracted
from rtt.verdicts import Outcome, Scope, Span
from rtt.verifiers.judge.prompts import GUARD

MAX_QUOTES = 500
"""The most supporting, and the most violating quotes that one entry may hold."""


class Quote(BaseModel):
    """Words of the response, and which of their occurrences is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quote: StrictStr
    occurrence: Annotated[StrictInt, Field(ge=1)] | Literal["all"] = "all"


class Entry(BaseModel):
    """What the model says of one criterion, read strictly: what does not fit is no answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    satisfied: Literal["yes", "no", "cannot tell"]
    whole_response: StrictBool
    supporting_quotes: Annotated[tuple[Quote | StrictStr, ...], Field(max_length=MAX_QUOTES)]
    violating_quotes: Annotated[tuple[Quote | StrictStr, ...], Field(max_length=MAX_QUOTES)]
    reason: StrictStr = ""


_FORMAT = re.compile(r"satisfied|whole_response|(?:supporting|violating)_quotes", re.IGNORECASE)
"""The words of a reply's form that an honest response has no use for."""


_ESCAPE = re.compile(r'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]')
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LAYERS = 4  # of JSON within text within JSON that are looked through


@dataclass(frozen=True, slots=True)
class Finding:
    """What an entry means for a response.

    Attributes:
        outcome: undetermined where the model could not tell.
        evidence: its quotes as characters, sorted and disjoint.
        scope: ``"response"``: the whole response carries the verdict.
        missing: violated because something that is asked for is not there.
        reason: the model's sentence.
        dropped_quotes: quotes that do not occur in the response exactly as they stand, and were left out.
    """

    outcome: Outcome
    evidence: tuple[Span, ...] = ()
    scope: Scope = "spans"
    missing: bool = False
    reason: str = ""
    dropped_quotes: int = 0


_QUOTES_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "quote": {"type": "string"},
            "occurrence": {"anyOf": [{"type": "integer"}, {"type": "string", "enum": ["all"]}]},
        },
        "required": ["quote", "occurrence"],
        "additionalProperties": False,
    },
}


def schema(count: int) -> dict[str, Any]:
    """The reply about so many criteria as JSON Schema, for endpoints that can hold a model to it.

    The reason and the quotes come first, so that the verdict follows from them.
    """
    entry = {
        "type": "object",
        "properties": {
            "criterion": {"type": "integer", "enum": list(range(1, count + 1))},
            "reason": {"type": "string"},
            "supporting_quotes": _QUOTES_SCHEMA,
            "violating_quotes": _QUOTES_SCHEMA,
            "whole_response": {"type": "boolean"},
            "satisfied": {"type": "string", "enum": ["yes", "no", "cannot tell"]},
        },
        "required": ["criterion", "reason", "supporting_quotes", "violating_quotes", "whole_response", "satisfied"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"verdicts": {"type": "array", "items": entry, "minItems": count, "maxItems": count}},
        "required": ["verdicts"],
        "additionalProperties": False,
    }


def read_reply(text: str, count: int) -> list[Entry | NoAnswer]:
    """The entries of a reply, in the order of the criteria; what is wrong with one stands in its place.

    Args:
        text: the model's words.
        count: how many criteria were asked, numbered from 1.

    Raises:
        NoAnswer: the text is not one JSON object of this form, or does not name each criterion once.
    """
    value = json_object(text)
    verdicts = value.get("verdicts") if isinstance(value, dict) and set(value) == {"verdicts"} else None
    if not isinstance(verdicts, list):
        raise NoAnswer("malformed", 'the reply does not fit; expected {"verdicts": [...]}')
    by_number: dict[int, dict[str, Any]] = {}
    named: list[object] = []
    for item in verdicts:
        number = item.get("criterion") if isinstance(item, dict) else None
        named.append(number if type(number) is int else None)
        if type(number) is int:
            by_number[number] = {name: part for name, part in item.items() if name != "criterion"}
    if None in named or len(named) != count or set(by_number) != set(range(1, count + 1)):
        shown = excerpt(", ".join(str(number) for number in named[:20])) or "none"
        raise NoAnswer(
            "malformed", f"the reply judges the criteria {shown}; expected each from 1 to {count} once, by its number"
        )
    return [_entry(by_number[number]) for number in range(1, count + 1)]


def _entry(value: dict[str, Any]) -> Entry | NoAnswer:
    try:
        return Entry.model_validate(value)
    except ValidationError as error:
        return NoAnswer("malformed", f"the reply does not fit: {first_problem(error)}")


def locate(entry: Entry, response: str) -> Finding:
    """What the entry means for this response.

    Raises:
        NoAnswer: the entry contradicts itself, shows nothing, quotes only what is not in the response, or gives a
            reason that stands in a response which holds words of the reply's own form: it is the response's reply then,
            and not the model's.
    """
    reason = clean(entry.reason)
    if reason and _is_parroted(entry.reason, response):
        raise NoAnswer("parroted", "the reply repeats a ready-made one that stands in the response")
    if entry.satisfied == "cannot tell":
        return Finding(Outcome.UNDETERMINED, reason=f"the model cannot tell: {reason}")
    support, lost_support = _spans(entry.supporting_quotes, response)
    violation, lost_violation = _spans(entry.violating_quotes, response)
    support = subtracted(support, violation)  # a word that breaks the criterion within a sentence that meets it
    satisfied = entry.satisfied == "yes"
    if satisfied:
        deciding, claimed, lost = support, entry.supporting_quotes, lost_support
    else:
        deciding, claimed, lost = violation, entry.violating_quotes, lost_violation

    if satisfied and entry.violating_quotes and not entry.supporting_quotes:
        raise NoAnswer("contradictory", "the reply contradicts itself: 'yes', and only violating quotes")
    if satisfied and not claimed and not entry.whole_response:
        raise NoAnswer("unquoted", "the reply says 'yes' and shows nothing: no quote, and not the whole response")
    if claimed and not deciding and not entry.whole_response:
        if lost == len(claimed):
            raise NoAnswer(
                "unquoted",
                f"the reply says {entry.satisfied!r} for {len(claimed)} quotes, none of which is in the response "
                "exactly so",
            )
        raise NoAnswer(
            "contradictory", "the reply contradicts itself: 'yes', and all that supports it is quoted as violating"
        )
    evidence = [Span(start, end, "support") for start, end in support]
    evidence += [Span(start, end, "violation") for start, end in violation]
    return Finding(
        Outcome.SATISFIED if satisfied else Outcome.VIOLATED,
        tuple(sorted(evidence)),
        scope="response" if entry.whole_response else "spans",
        missing=not satisfied and not claimed and not entry.whole_response,
        reason=reason,
        dropped_quotes=lost_support + lost_violation,
    )


def _is_parroted(reason: str, response: str) -> bool:
    """Whether the reason stands in a response that holds words of the reply's form.

    Both are looked for in the response as it is, and as JSON would read it: what is written there with escapes, or as
    JSON within a text of JSON, comes back from the model without them. Blanks, line ends and guards do not count.
    """
    wanted = _comparable(reason)
    return any(wanted in text for text in _ready_made(response))


@functools.lru_cache(maxsize=4)  # asked for each criterion of a response
def _ready_made(response: str) -> tuple[str, ...]:
    """A response that holds words of the reply's form, as it can be read; nothing for any other."""
    layers = [response]
    while len(layers) < _LAYERS and (inner := _ESCAPE.sub(_unescaped, layers[-1])) != layers[-1]:
        layers.append(inner)
    return tuple(map(_comparable, layers)) if any(map(_FORMAT.search, layers)) else ()


def _comparable(text: str) -> str:
    return " ".join(text.replace(GUARD, "").split())


def _unescaped(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[1] != "u":
        return _SHORT[escape[1]]
    units = b"".join(int(digits, 16).to_bytes(2, "little") for digits in escape.split("\\u")[1:])
    return units.decode("utf-16-le", "surrogatepass")


def _spans(quotes: Sequence[Quote | str], response: str) -> tuple[Spans, int]:
    """The characters that are quoted, and how many quotes are not there."""
    found: list[tuple[int, int]] = []
    dropped = 0
    for quote in quotes:
        words, occurrence = (quote, "all") if isinstance(quote, str) else (quote.quote, quote.occurrence)
        places = locate_quote(response, words) or locate_quote(response, words.replace(GUARD, ""))
        if isinstance(occurrence, int):
            places = places[occurrence - 1 : occurrence]
        dropped += not places
        found += places
    return merged(found), dropped
