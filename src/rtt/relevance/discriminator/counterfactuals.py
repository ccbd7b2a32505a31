"""Counterfactuals: characters whose removal turns a verdict over are what it hangs on, whatever anybody says.

    occlusion         text, outcome  ──remove units, verify again──>  the characters that the verdict hangs on
    edited_examples   example        ──change its evidence, verify again──>  examples of the edited responses
    faithful          example        ──remove what is relevant, verify again──>  did the verdict turn?

Nothing here knows a verifier: it is a callable that is given. Rules are exact and fast; a judge works too, at its
price, which is why every search has a limit of calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import regex

from rtt.errors import ConfigurationError, DataError
from rtt.quotes import Spans
from rtt.relevance.discriminator.examples import Example, from_verdict, without
from rtt.verdicts import Outcome, Verdict

Units = Literal["words", "sentences", "lines"]

RuleVerify = Callable[[str, Mapping[str, Any], str], Verdict]
"""``verify(rule_name, arguments, text)``: the verdict of a rule on a text."""

Edit = Callable[[str, Verdict], str | None]
"""A text with the evidence of its verdict changed so that the verdict should turn; None where nothing can be changed.
:func:`rtt.verifiers.counterfactual` is one."""

# Only where to cut: units that are a little off cost a little precision, no verdict depends on them.
_UNITS = {
    "words": regex.compile(r"[\w\p{M}]+(?:['’\-][\w\p{M}]+)*|[^\w\p{M}\s]"),
    "sentences": regex.compile(r"[^\s](?:[^\n]*?[.!?。！？…][\"'”’)\]*_]*(?=\s|$)|[^\n]*)"),
    "lines": regex.compile(r"[^\s][^\n]*"),
}
_MAX_KEPT = 32  # into how many blocks the text is cut to find one that can stay, in the search for sets


def units_of(text: str, units: Units) -> Spans:
    """The words, sentences or lines of a text as spans; among words stands each other sign (a comma, an emoji) alone.

    Raises:
        ConfigurationError: the kind of unit is unknown.
    """
    if units not in _UNITS:
        raise ConfigurationError(f"units={units!r}; expected one of {list(get_args(Units))}")
    return tuple(match.span() for match in _UNITS[units].finditer(text))


def occlusion(
    text: str,
    outcome: Outcome,
    verify: Callable[[str], Outcome],
    *,
    units: Units = "words",
    max_calls: int = 512,
) -> Spans:
    """The units of a text whose removal turns the verdict over.

    First each unit alone (in blocks that are halved where the text has more units than there are calls). Where none
    turns the verdict, a smallest set that turns it together, by halving (QuickXplain, Junker 2004, which needs fewer
    calls than ddmin and gives the same when more removal never turns a verdict back). Such a set counts only where the
    verdict hangs on it: of "fewer than 10 words", any few words turn it, and nothing is located.

    A text with nothing left of it does not count: every rule says that a blank response violates.

    Args:
        text: the response.
        outcome: its verdict, satisfied or violated.
        verify: the outcome of a text; *undetermined* is no turn.
        units: what is removed: ``"words"`` (and other signs, each alone), ``"sentences"`` or ``"lines"``.
        max_calls: how often ``verify`` may be called, about half of it for units alone.

    Returns:
        Spans of units, sorted and disjoint; empty where removing does not turn the verdict (something is missing, or
        the response carries the verdict as a whole), or where the calls did not suffice to find out.

    Raises:
        ConfigurationError: the outcome is undetermined, the unit is unknown, or ``max_calls`` is not positive.
    """
    if outcome is Outcome.UNDETERMINED:
        raise ConfigurationError("outcome is undetermined; expected a verdict that can turn, satisfied or violated")
    if max_calls < 1:
        raise ConfigurationError(f"max_calls={max_calls!r}; expected at least 1")
    parts = units_of(text, units)
    search = _Search(text, outcome, verify, max_calls)
    try:
        alone = _turning_alone(parts, search, max_calls // 2)
        found = alone or _turning_together(parts, search)
    except _NoCallsLeft:
        return ()
    return tuple(sorted(found))


class _NoCallsLeft(Exception):
    """The limit of calls is reached: caught where the search began."""


class _Search:
    """Whether the verdict turns when spans are removed, asked at most ``max_calls`` times."""

    def __init__(self, text: str, outcome: Outcome, verify: Callable[[str], Outcome], max_calls: int) -> None:
        self.text = text
        self.turned = Outcome(-outcome)
        self.verify = verify
        self.calls_left = max_calls
        self.known: dict[str, bool] = {}

    def turns(self, removed: Sequence[tuple[int, int]]) -> bool:
        left = without(self.text, removed)
        if not left.strip():
            return False
        if left not in self.known:
            if not self.calls_left:
                raise _NoCallsLeft
            self.calls_left -= 1
            self.known[left] = self.verify(left) is self.turned
        return self.known[left]


def _turning_alone(parts: Spans, search: _Search, calls: int) -> list[tuple[int, int]]:
    """The units that turn the verdict each by itself."""
    # With more units than calls, half of the calls are left to look into the blocks that turn.
    size = 1 if len(parts) <= calls else math.ceil(2 * len(parts) / max(1, calls))
    blocks = [parts[start : start + size] for start in range(0, len(parts), size)]
    found: list[tuple[int, int]] = []
    while blocks:
        turning = [block for block in blocks if search.turns(block)]
        found += [block[0] for block in turning if len(block) == 1]
        blocks = [half for block in turning if len(block) > 1 for half in _halves(block)]
    return found


def _turning_together(parts: Spans, search: _Search) -> Spans:
    """A smallest set of units that turns the verdict, where the verdict hangs on it; else nothing."""
    candidates = _all_but_a_block(parts, search)
    if candidates is None:
        return ()
    found = _smallest((), candidates, search, asked=False)
    rest = [part for part in parts if part not in set(found)]
    # Minimality is a promise of monotone verdicts only, so the set itself is asked; and if the rest turns it as well,
    # one set is as good as another.
    return found if search.turns(found) and not search.turns(rest) else ()


def _all_but_a_block(parts: Spans, search: _Search) -> Spans | None:
    """Units whose removal turns the verdict, all but a block that can stay; None where no block can."""
    count = 2
    while count <= min(_MAX_KEPT, len(parts)):
        edges = [len(parts) * k // count for k in range(count + 1)]
        for start, end in pairwise(edges):
            removed = parts[:start] + parts[end:]
            if search.turns(removed):
                return removed
        count *= 2
    return None


def _smallest(removed: Spans, candidates: Spans, search: _Search, *, asked: bool) -> Spans:
    """A smallest part of the candidates that turns the verdict together with what is removed already."""
    if asked and search.turns(removed):
        return ()
    if len(candidates) == 1:
        return candidates
    left, right = _halves(candidates)
    of_right = _smallest(removed + left, right, search, asked=True)
    of_left = _smallest(removed + of_right, left, search, asked=bool(of_right))
    return of_left + of_right


def _halves(block: Spans) -> tuple[Spans, Spans]:
    middle = len(block) // 2
    return block[:middle], block[middle:]


# ---------------------------------------------------------------------------------------------- edits of examples


def edited_examples(example: Example, verify: RuleVerify, *, edit: Edit | None = None, limit: int = 4) -> list[Example]:
    """What the example's rule says about its response once the evidence is changed: new examples, exact as rules are.

    The edits, as far as they apply: what ``edit`` makes of the evidence; the evidence deleted; its first piece, and its
    last, deleted alone (of "at least 3" two are left); a keyword replaced by another word of the same response. Whether
    the verdict turned or not, the new verdict has its own evidence, and that is the example.

    Args:
        example: one with a rule; without one there is nothing to verify with, and the result is empty.
        verify: the rules.
        edit: the rules' own way to change evidence, such as :func:`rtt.verifiers.counterfactual`.
        limit: how many examples at most, in the order above.

    Returns:
        Examples with the source ``"counterfactual"`` and the prompt, kind and wording of the original, so that both are
        always on the same side of a split. Undetermined verdicts and blank responses give none.
    """
    rule = example.rule
    if rule is None:
        return []
    found: list[Example] = []
    seen = {example.response}
    for text in _edits(example, verify, edit):
        if len(found) >= limit:
            break
        if text in seen or not text.strip():
            continue
        seen.add(text)
        new = from_verdict(
            example.criterion,
            text,
            verify(rule.name, rule.arguments, text),
            kind=example.kind,
            prompt=example.prompt_key,
            wording=example.wording,
            source="counterfactual",
            rule=rule,
        )
        if new is not None:
            found.append(new)
    return found


def _edits(example: Example, verify: RuleVerify, edit: Edit | None) -> Iterator[str]:
    text, spans = example.response, example.relevant
    if edit is not None and example.rule is not None:
        changed = edit(text, verify(example.rule.name, example.rule.arguments, text))
        if changed is not None:
            yield changed
    if not example.is_local:
        return
    yield without(text, spans)
    if len(spans) > 1:
        yield without(text, spans[:1])
        yield without(text, spans[-1:])
    swapped = _swapped(text, spans)
    if swapped is not None:
        yield swapped


def _swapped(text: str, spans: Spans) -> str | None:
    """Each relevant word replaced by the longest word of the response that is neither a part of one nor holds one.

    None where something relevant is not a word, or where there is no such other word.
    """
    quotes = {text[start:end].casefold() for start, end in spans}
    if not all(quote.isalpha() for quote in quotes):
        return None
    others = [
        word
        for word in dict.fromkeys(regex.findall(r"[^\W\d_]+", without(text, spans)))
        if not any(quote in word.casefold() or word.casefold() in quote for quote in quotes)
    ]
    if not others:
        return None
    word = max(others, key=len)
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        pieces += [text[position:start], word]
        position = end
    return "".join([*pieces, text[position:]])


def faithful(example: Example, verify: RuleVerify, *, edit: Edit | None = None) -> bool:
    """Whether the verdict turns when what is relevant is removed: the test of relevance that no annotator can sway.

    Args:
        example: one with a rule and a verdict.
        verify: the rules.
        edit: what to do where deleting is not the way to turn the verdict (a capital letter that should be small, a
            quotation mark that is missing); tried after deleting.

    Raises:
        DataError: the example has no rule, or its verdict is undetermined: no verdict can turn.
    """
    if example.rule is None or example.outcome is Outcome.UNDETERMINED:
        raise DataError(
            f"example for {example.criterion[:60]!r}: has no rule or no verdict to verify again; "
            "expected one that a rule made"
        )
    name, arguments = example.rule.name, example.rule.arguments

    def turns(text: str) -> bool:
        return verify(name, arguments, text).outcome is Outcome(-example.outcome)

    if example.relevant and turns(without(example.response, example.relevant)):
        return True
    if edit is None:
        return False
    changed = edit(example.response, verify(name, arguments, example.response))
    return changed is not None and turns(changed)
