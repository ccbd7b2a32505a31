"""Rules and alignment: any arguments are refused or decide, any text is answered, any tokens cover their text."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from fuzz.fuzzing import changed, fuzz, junk, try_again
from hypothesis import strategies as st
from verifiers.test_rule_evidence import RULES

from rtt.alignment import character_values, token_means, tokens_in
from rtt.errors import RuleArgumentsError, UnknownRuleError
from rtt.responses import response_from_tokens
from rtt.rule_schemas import describe, parse_arguments, rule_names, validate_arguments
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule

_MARKS = st.sampled_from(
    ["\n\n", "***", "* ", "[a]", "<<b>>", "P.S.", "lamp", "glow", "12", ", ", ". ", '"', "\ud800", "İ", "|"]
)
texts = st.lists(_MARKS | st.text(max_size=6), max_size=12).map("".join)
calls = st.one_of(
    changed([{"name": name, "arguments": arguments} for name, arguments in RULES]),
    st.fixed_dictionaries({"name": st.sampled_from(rule_names()), "arguments": junk}),
)


def rules(value: tuple[Any, str]) -> None:
    call, text = value
    name, arguments = (call.get("name"), call.get("arguments")) if isinstance(call, dict) else (call, call)
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return  # a task file's own reader refuses these
    try:
        parsed = parse_arguments(name, arguments)
    except (RuleArgumentsError, UnknownRuleError):
        return
    assert describe(name, arguments)
    again = validate_arguments(name, arguments)
    assert parse_arguments(name, again) == parsed
    started = time.process_time()
    verdict = verify_rule(name, arguments, text, time_limit=0.5)
    assert time.process_time() - started < 3
    assert all(0 <= span.start < span.end <= len(text) for span in verdict.evidence)
    if verdict.outcome is Outcome.UNDETERMINED:
        assert verdict.reason
        assert not any(word in verdict.reason for word in ("Error(", "Traceback", "NoneType", "has no attribute"))


def alignment(value: tuple[list[tuple[int, int]], list[tuple[int, int]], int]) -> None:
    tokens, marked, length = value
    tokens = [(min(a, length), min(max(a, b), length)) for a, b in tokens]
    marked = [(a, max(a, b)) for a, b in marked]
    expected = [any(max(a, c) < min(b, d, length) for c, d in marked) for a, b in tokens]
    assert tokens_in(tokens, marked, length=length).tolist() == expected
    values = np.linspace(0, 1, 2 * length, dtype=np.float32).reshape(2, length)
    means = token_means(tokens, values)
    assert means.shape == (2, len(tokens))
    assert np.isfinite(means).all()
    assert ((means >= 0) & (means <= 1)).all()
    back = character_values(sorted(tokens), means, length=length)
    assert back.shape == (2, length)
    assert ((back >= 0) & (back <= 1)).all()


def decoding(value: tuple[list[int], str | None]) -> None:
    from rtt.demo.models import tiny_model

    if not _TOKENIZER:
        _TOKENIZER.append(tiny_model()[1])
    (tokenizer,) = _TOKENIZER
    ids, answer = value
    response = response_from_tokens("t", ids, tokenizer, answer=answer)
    assert response.token_ids == tuple(ids)
    covered = np.zeros(len(response.text) + 1, dtype=bool)
    before = 0
    for start, end in response.spans:
        covered[start:end] = True
        assert start >= before or start == end  # in order
        before = max(before, start)
    if answer is None:
        assert covered[: len(response.text)].all()


_TOKENIZER: list[Any] = []

spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)
TARGETS: dict[str, tuple[Any, st.SearchStrategy[Any], list[Any]]] = {
    "rules": (rules, st.tuples(calls, texts), []),
    "alignment": (alignment, st.tuples(spans, spans, st.integers(0, 25)), []),
    "decoding": (
        decoding,
        st.tuples(st.lists(st.integers(0, 258), max_size=30), st.none() | st.text("ab\ufffd ", max_size=3)),
        [],
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_stays_mended(name: str) -> None:
    check, values, found = TARGETS[name]
    try_again(name, check, values, found)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str) -> None:
    check, values, found = TARGETS[name]
    fuzz(name, check, values, found)
