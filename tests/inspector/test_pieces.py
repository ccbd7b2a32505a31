"""Token text joined over all tokens is the response, for tokenizers of both kinds and for spans of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rtt.inspector.pieces import pieces, token_ends, utf16
from rtt.responses import Response, response_from_tokens, response_from_words

CORPUS = ["A lantern, lit at night.", "naïve 👩‍👩‍👧‍👦 שלום", "the lanterns were unlit"] * 3


class Wrapped:
    """A tokenizer as Hugging Face wraps it, so far as it is read."""

    def __init__(self, backend: Tokenizer) -> None:
        self.backend_tokenizer = backend
        self.all_special_ids = [backend.token_to_id("<end>")]

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = False) -> str:
        return self.backend_tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)


def byte_level() -> Wrapped:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["<end>"], initial_alphabet=alphabet)
    backend.train_from_iterator(CORPUS, trainer)
    return Wrapped(backend)


def word_piece() -> Wrapped:
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]", "<end>"]))
    return Wrapped(backend)


TOKENIZERS = {"byte-level BPE": byte_level(), "WordPiece": word_piece()}


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
def test_the_pieces_of_any_tokens_are_the_response(name: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]
    ids = st.integers(0, tokenizer.backend_tokenizer.get_vocab_size() - 1)
    texts = st.text().map(lambda text: tokenizer.backend_tokenizer.encode(text).ids)
    drawn = data.draw(st.lists(ids, max_size=30) | texts)  # any ids: broken bytes and special tokens amid the text too
    response = response_from_tokens("t", drawn, tokenizer)
    found = pieces(response)
    assert len(found) == len(drawn)
    assert "".join(found) == response.text


@given(st.text(), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1))
def test_the_pieces_of_any_spans_are_the_response_unless_no_token_spans_any(text: str, drawn: list[Any]) -> None:
    spans = tuple((min(a, b, len(text)), min(max(a, b), len(text))) for a, b in drawn)
    response = Response("t", text, (0,) * len(spans), spans)
    located = any(end > start for start, end in spans)
    assert "".join(pieces(response)) == (text if located else "")
    ends = token_ends(response)
    assert ends == sorted(ends)


@given(st.text())
def test_the_pieces_of_words_are_the_response(text: str) -> None:
    assert "".join(pieces(response_from_words("t", text))) == text


def test_tokens_that_share_a_character_give_it_to_the_first() -> None:
    response = Response("t", "a 😀!", (1, 2, 3, 4, 5), ((0, 1), (1, 3), (1, 3), (3, 4), (4, 4)))
    assert pieces(response) == ["a", " 😀", "", "!", ""]


@given(st.text(), st.data())
def test_places_as_javascript_counts_them(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(text))))
    expected = [len(text[:place].encode("utf-16-le", "surrogatepass")) // 2 for place in places]
    assert utf16(text, places) == expected
