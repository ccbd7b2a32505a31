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
from rtt.responses import Response, response_from_tokens, response_from_turns, special_tokens

BYTES = tiny_model()[1]


def word_pieces() -> PreTrainedTokenizerFast:
    vocabulary = {"[UNK]": 0, "[SEP]": 1, "the": 2, "lan": 3, "##tern": 4, "glow": 5, "##s": 6, ".": 7, "rain": 8}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", eos_token="[SEP]")


WORDS = word_pieces()


def byte_fallback(*, strips: bool) -> PreTrainedTokenizerFast:
    """SentencePiece's decoders with bytes for what has no piece: Llama 2 strips the first space, Gemma does not."""
    pieces = ["<unk>", "</s>", "▁the", "▁lan", "tern", "▁", "s", "."]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, *(f"<0x{byte:02X}>" for byte in range(256))])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strips else steps)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")


FALLBACK = {"llama": byte_fallback(strips=True), "gemma": byte_fallback(strips=False)}


class SlowTokenizer:
    """A tokenizer without a Rust backend: what is decoded goes through Python, token by token."""

    all_special_ids = tuple(BYTES.all_special_ids)

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool = False) -> str:
        return BYTES.decode(token_ids, skip_special_tokens=skip_special_tokens)


def pieces(response: Response) -> list[str]:
    return [response.text[start:end] for start, end in response.spans]


def covered(response: Response) -> str:
    """The text, put together from the distinct spans of its tokens in order."""
    return "".join(response.text[start:end] for start, end in sorted(set(response.spans)))


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


def test_an_answer_amid_the_text_is_placed_where_it_stands_last() -> None:
    """A tool call that a template took off stands behind it."""
    response = response_from_tokens("t", BYTES("no. no way").input_ids, BYTES, answer="no")
    assert response.spans[4:6] == ((0, 1), (1, 2))
    assert all(start == end for start, end in (*response.spans[:4], *response.spans[6:]))


def test_an_answer_that_the_text_does_not_have_leaves_its_tokens_unknown() -> None:
    response = response_from_tokens("t", BYTES("abc").input_ids, BYTES, answer="xyz")
    assert response.text == "xyz"
    assert response.spans == ((0, 0),) * 3


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
    assert covered(response) == text
    assert all(before[1] == after[0] for before, after in pairwise(sorted(set(response.spans))))


@given(st.lists(st.integers(0, len(BYTES) - 1), max_size=30))
def test_any_sampled_bytes_decode_as_the_tokenizer_does(ids: list[int]) -> None:
    """Sampled bytes need not be valid UTF-8, nor what the tokenizer would have chosen."""
    response = response_from_tokens("t", ids, BYTES)
    assert response.text == BYTES.decode(ids, skip_special_tokens=True)
    assert len(response.spans) == len(ids)


@given(st.lists(st.integers(0, len(WORDS) - 1), max_size=20))
def test_joined_tokens_are_the_text_for_word_pieces(ids: list[int]) -> None:
    response = response_from_tokens("t", ids, WORDS)
    assert covered(response) == response.text == WORDS.decode(ids, skip_special_tokens=True)


def test_an_emoji_that_was_cut_short_beside_a_whole_byte() -> None:
    """Decoded as a whole, the line break's byte is part of the broken character: the stream says otherwise."""
    tokenizer = FALLBACK["llama"]
    ids = tokenizer.convert_tokens_to_ids(["▁the", "<0x0A>", "<0xF0>", "<0x9F>"])
    response = response_from_tokens("t", ids, tokenizer)
    assert response.text == tokenizer.decode(ids)
    assert response.spans[0] == (0, 3)
    assert covered(response) == response.text


@pytest.mark.parametrize("name", FALLBACK)
@given(ids=st.lists(st.integers(0, len(FALLBACK["llama"]) - 1) | st.integers(0, 7), max_size=20))
def test_any_sampled_pieces_and_bytes_decode_as_the_tokenizer_does(name: str, ids: list[int]) -> None:
    response = response_from_tokens("t", ids, FALLBACK[name])
    assert covered(response) == response.text == FALLBACK[name].decode(ids, skip_special_tokens=True)


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


# -------------------------------------------------------------------------------------------------------- several turns


def turns(*parts: tuple[str, int]) -> tuple[list[int], list[int]]:
    """The tokens of the parts, and whether each is the model's own."""
    encoded = [(BYTES(text).input_ids, own) for text, own in parts]
    return [token for ids, _ in encoded for token in ids], [own for ids, own in encoded for _ in ids]


def test_the_text_of_several_turns_is_the_models_own_words() -> None:
    ids, own = turns(("Let me see.<call>", 1), ("Let me see. 12.", 0), ("<think>hm</think>12.", 1), ("Bye.", 0))
    response = response_from_turns("t", ids, own, BYTES, answers=["Let me see.", "12."])
    assert response.text == "Let me see.\n\n12."
    assert response.token_ids == tuple(ids[:-4])  # no token of the model follows
    assert [t for t, span in enumerate(response.spans) if span[0] < span[1]] == [*range(11), *range(49, 52)]
    assert "".join(pieces(response)) == "Let me see.12."
    assert list(response.spans) == sorted(response.spans)
    last = response_from_turns("t", ids, own, BYTES, answers=["Let me see.", "12."], judged="last")
    assert last.text == "12."
    assert "".join(pieces(last)) == "12."
    assert len(last.spans) == len(response.spans)


@given(st.lists(st.tuples(st.text(max_size=6), st.booleans()), max_size=6))
def test_a_conversation_is_its_turns_one_after_another(parts: list[tuple[str, bool]]) -> None:
    ids, own = turns(*parts)
    response = response_from_turns("t", ids, own, BYTES)
    if all(own):
        assert response == response_from_tokens("t", ids, BYTES)
    assert response.token_ids == tuple(ids[: len(own) - own[::-1].index(1)] if any(own) else ())
    assert all(start == end for (start, end), mine in zip(response.spans, own, strict=False) if not mine)
    said = "".join(text for text, mine in parts if mine)
    assert response.text.replace("\n\n", "") == said.replace("\n\n", "")


def test_turns_that_do_not_fit_their_tokens_are_refused() -> None:
    ids, own = turns(("one", 1), ("two", 0), ("three", 1))
    with pytest.raises(ShapeError, match="11 tokens but 10 marks of own ones"):
        response_from_turns("t", ids, own[1:], BYTES)
    with pytest.raises(ShapeError, match="2 turns of the model but 1 answers"):
        response_from_turns("t", ids, own, BYTES, answers=["one"])
