"""Responses: every token knows the characters that it gave, for any tokenizer and any sequence of tokens."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rtt.demo.models import tiny_model
from rtt.errors import ShapeError
from rtt.responses import Response, response_from_tokens, special_tokens

BYTES = tiny_model()[1]


def word_pieces() -> PreTrainedTokenizerFast:
    vocabulary = {"[UNK]": 0, "[SEP]": 1, "the": 2, "lan": 3, "##tern": 4, "glow": 5, "##s": 6, ".": 7, "rain": 8}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", eos_token="[SEP]")


WORDS = word_pieces()


class SlowTokenizer:
    """A tokenizer without a Rust backend: what is decoded goes through Python, token by token."""

    all_special_ids = tuple(BYTES.all_special_ids)

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool = False) -> str:
        return BYTES.decode(token_ids, skip_special_tokens=skip_special_tokens)


def pieces(response: Response) -> list[str]:
    return [response.text[start:end] for start, end in response.spans]


def test_each_token_spans_its_characters() -> None:
    response = response_from_tokens("t", BYTES("Hi!").input_ids, BYTES)
    assert pieces(response) == ["H", "i", "!"]
    assert response.spans == ((0, 1), (1, 2), (2, 3))


def test_tokens_that_share_a_character_all_span_it() -> None:
    response = response_from_tokens("t", BYTES("a😀b").input_ids, BYTES)
    assert pieces(response) == ["a", "😀", "😀", "😀", "😀", "b"]


def test_special_tokens_span_nothing_and_are_told_apart() -> None:
    ids = [*BYTES("ok").input_ids, BYTES.eos_token_id]
    response = response_from_tokens("t", ids, BYTES)
    assert response.text == "ok"
    assert response.spans[-1] == (2, 2)
    assert special_tokens(response, BYTES) == [False, False, True]


def test_an_added_token_amid_the_response_does_not_cut_it() -> None:
    tokenizer = word_pieces()
    tokenizer.add_tokens(["<think>", "</think>"])
    ids = tokenizer("<think> rain </think> the lantern glows.", add_special_tokens=False).input_ids
    response = response_from_tokens("t", ids, tokenizer)
    assert response.text.endswith("the lantern glows.")
    assert pieces(response)[-1] == "."
    assert "".join(pieces(response)) == response.text


def test_an_answer_that_repeats_an_earlier_part_is_placed_at_the_end() -> None:
    """The first match of the answer's tokens lies in the thinking block: its signal would be lost there."""
    text = "yes? yes\n\nyes"
    response = response_from_tokens("t", BYTES(text).input_ids, BYTES, answer="yes")
    assert response.text == "yes"
    assert response.spans[-3:] == ((0, 1), (1, 2), (2, 3))
    assert all(start == end for start, end in response.spans[:-3])


def test_an_answer_with_its_surrounding_space_stripped_is_found() -> None:
    response = response_from_tokens("t", BYTES("think\n answer \n").input_ids, BYTES, answer="answer")
    assert pieces(response)[7:13] == list("answer")


def test_an_answer_that_does_not_end_the_text_is_refused() -> None:
    with pytest.raises(ShapeError, match="parsed answer 'no' does not end the decoded text 'no way'"):
        response_from_tokens("t", BYTES("no way").input_ids, BYTES, answer="no")


@pytest.mark.parametrize("ids", [[], [BYTES.eos_token_id], BYTES("x").input_ids])
def test_empty_and_one_token_responses(ids: list[int]) -> None:
    response = response_from_tokens("t", ids, BYTES)
    assert len(response.spans) == len(ids)
    assert response.text == ("x" if ids == BYTES("x").input_ids else "")


@given(st.text(max_size=40))
def test_joined_tokens_are_the_text_for_bytes(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ids = BYTES(text, split_special_tokens=True).input_ids
    response = response_from_tokens("t", ids, BYTES)
    assert response.text == text
    covered = sorted(set(response.spans))
    assert all(before[1] == after[0] for before, after in pairwise(covered))
    assert (covered[0][0], covered[-1][1]) == (0, len(text)) if text else not covered


@given(st.lists(st.integers(0, len(BYTES) - 1), max_size=30))
def test_any_sampled_bytes_decode_as_the_tokenizer_does(ids: list[int]) -> None:
    """Sampled bytes need not be valid UTF-8, nor what the tokenizer would have chosen."""
    response = response_from_tokens("t", ids, BYTES)
    assert response.text == BYTES.decode(ids, skip_special_tokens=True)
    assert len(response.spans) == len(ids)


@given(st.lists(st.integers(0, len(WORDS) - 1), max_size=20))
def test_joined_tokens_are_the_text_for_word_pieces(ids: list[int]) -> None:
    response = response_from_tokens("t", ids, WORDS)
    assert "".join(pieces(response)) == response.text
    assert response.text == WORDS.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@given(st.text(max_size=20))
def test_a_tokenizer_without_a_backend_gives_the_same_spans(text: str) -> None:
    ids = BYTES(text.encode("utf-8", "replace").decode(), split_special_tokens=True).input_ids
    slow = response_from_tokens("t", ids, SlowTokenizer())  # type: ignore[arg-type]
    assert slow == response_from_tokens("t", ids, BYTES)


def test_spans_that_leave_the_text_are_refused() -> None:
    with pytest.raises(ShapeError, match="leaves its text of 2 characters"):
        Response("t", "ab", (1,), ((0, 3),))
    with pytest.raises(ShapeError, match="2 tokens but 1 spans"):
        Response("t", "ab", (1, 2), ((0, 2),))
