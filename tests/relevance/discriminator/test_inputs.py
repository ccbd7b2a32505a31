"""Criterion and response as tokens: what reaches the backbone, and that nothing of the text is lost on the way."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.inputs import (
    LAYOUT,
    NAME_TOKENS,
    Encoder,
    Row,
    Template,
    batches,
    collate_rows,
    joined,
    layout,
    row_length,
    windows,
)


@pytest.fixture(scope="module")
def encoder(tiny_backbone: Path) -> Encoder:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)
    return Encoder(tokenizer, Template.default(tokenizer), max_criterion=40)


# ------------------------------------------------------------------------------------------------------------ template


def test_a_template_is_cut_into_three_pieces() -> None:
    assert Template("[CLS]{criterion}[SEP]{response}[SEP]").pieces == ("[CLS]", "[SEP]", "[SEP]")
    assert Template("Criterion: {criterion}\nResponse:\n{response}").pieces == ("Criterion: ", "\nResponse:\n", "")


@pytest.mark.parametrize("text", ["", "{criterion}", "{response}", "{criterion}{criterion}{response}"])
def test_a_template_needs_both_places_once(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected {criterion} and {response} in it, once each"):
        Template(text)


def test_a_template_has_the_criterion_first() -> None:
    with pytest.raises(ConfigurationError, match="a causal backbone reads it first"):
        Template("{response}{criterion}")


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no fast version"):
        Encoder(object(), Template("{criterion}{response}"), max_criterion=8)


# ------------------------------------------------------------------------------------------------------------ encoding


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "a [SEP] b [CLS] c [PAD]",
        "<think>first</think> then <tool_call>{}</tool_call> last",
        "emoji 👩‍👩‍👧 and e\u0301 and 漢字",
        "line\r\nline\n\n\nline",
        "half a pair \ud83d here",
        "nul \x00 inside",
        " ",
        "",
    ],
)
def test_every_visible_character_belongs_to_a_token(encoder: Encoder, text: str) -> None:
    (encoded,) = encoder.responses([text])
    covered = np.zeros(len(text), dtype=bool)
    for start, end in encoded.spans:
        covered[start:end] = True
    assert all(covered[i] for i, character in enumerate(text) if not character.isspace())
    assert len(encoded.ids) == len(encoded.spans) == len(encoded.layout)


def test_special_tokens_in_a_response_are_text(encoder: Encoder) -> None:
    special = {*encoder.opening.tolist(), *encoder.between.tolist(), *encoder.closing.tolist()}
    assert special  # the template has some
    (encoded,) = encoder.responses(["say [SEP] and [CLS] twice: [SEP][SEP]"])
    assert not special & set(encoded.ids.tolist())


def test_a_long_criterion_is_cut_and_said_once(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    long = "word " * 2000
    with caplog.at_level(logging.WARNING):
        assert len(encoder.criterion(long)) == 40
        assert len(encoder.criterion("other " * 2000)) == 40
    assert [record.message for record in caplog.records if "discriminator reads" in record.message] == [
        caplog.records[0].message
    ]
    assert "of which the discriminator reads the first 40" in caplog.records[0].message


def told(text: str, *spans: tuple[int, int]) -> dict[str, list[int]]:
    """The layout of some tokens, by its columns."""
    found = layout(text, np.asarray(spans, dtype=np.int64).reshape(-1, 2))
    return {name: found[:, column].tolist() for column, name in enumerate(LAYOUT)}


def test_layout_tells_case_and_line_ends() -> None:
    text = "one Two THREE fOUR 5\nsix\n\nseven"
    found = told(text, (0, 3), (4, 7), (8, 13), (14, 18), (19, 20), (21, 24), (26, 31))
    assert found["case"] == [1, 2, 3, 4, 0, 1, 1]
    assert found["break"] == [4, 1, 1, 1, 1, 2, 3]
    assert found["line"] == [0, 0, 0, 0, 0, 1, 2]
    assert found["line from the end"] == [2, 2, 2, 2, 2, 1, 0]
    assert found["paragraph"] == [0, 0, 0, 0, 0, 0, 1]


def test_layout_spells_the_word_that_a_token_is_a_piece_of() -> None:
    found = told("play-ing 42 Öl", (0, 2), (2, 4), (4, 5), (5, 8), (8, 11), (11, 14))
    assert found["first letter"] == [16, 16, 0, 9, 27, 28]  # p p - i 4 ö
    assert found["last letter"] == [25, 25, 0, 7, 27, 12]  # y y - g 2 l
    assert found["length"] == [4, 4, 0, 3, 2, 2]


def test_layout_numbers_sentences() -> None:
    text = "One. Two! (Three?) 3.5 is four\nFive"
    places = [(text.index(word), text.index(word) + 1) for word in ("One", "Two", "Three", "3.5", "Five")]
    found = told(text, *places)
    assert found["sentence"] == [0, 1, 2, 3, 4]
    assert found["sentence from the end"] == [3, 3, 2, 1, 0]  # the last value stands for all beyond


@given(text=st.text(alphabet="ab AB.,!?\n\t12#é漢", max_size=80))
def test_layout_stays_within_its_tables(text: str) -> None:
    spans = [(i, i + 1) for i in range(len(text))]
    found = layout(text, np.asarray(spans, dtype=np.int64).reshape(-1, 2))
    assert (found >= 0).all()
    assert (found < np.array(list(LAYOUT.values()))).all()


def test_layout_reads_blanks_inside_a_token_as_before_it() -> None:
    found = told("a b\n\nc", (0, 1), (1, 3), (3, 6))
    assert found["break"] == [4, 1, 3]
    assert found["paragraph"] == [0, 0, 1]


def test_a_sign_is_known_by_its_name(encoder: Encoder) -> None:
    (encoded,) = encoder.responses(["a,#"])
    names = [[int(token) for token in row if token >= 0] for row in encoded.names]
    spelled = [encoder.responses([name])[0].ids.tolist()[:NAME_TOKENS] for name in ("comma", "number sign")]
    assert names == [[], *spelled]


# ------------------------------------------------------------------------------------------------------------- windows


@given(length=st.integers(0, 3000), size=st.integers(8, 400), share=st.floats(0, 0.5))
def test_windows_cover_all_and_overlap(length: int, size: int, share: float) -> None:
    overlap = int(size * share)
    found = windows(length, size, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start <= size for start, end in found)
    assert all(left[1] - right[0] >= overlap for left, right in itertools.pairwise(found))
    assert all(left[0] < right[0] for left, right in itertools.pairwise(found))


@given(length=st.integers(1, 500), size=st.integers(8, 60))
def test_joined_windows_are_the_whole(length: int, size: int) -> None:
    whole = np.arange(2 * length, dtype=np.float32).reshape(2, length)
    places = windows(length, size, size // 3)
    assert np.array_equal(joined([whole[:, a:b] for a, b in places], places), whole)


def test_each_token_comes_from_the_window_where_it_stands_furthest_from_an_edge() -> None:
    places = [(0, 10), (6, 16)]
    parts = [np.zeros((1, 10), dtype=np.float32), np.ones((1, 10), dtype=np.float32)]
    assert joined(parts, places).tolist() == [[0.0] * 8 + [1.0] * 8]


# ------------------------------------------------------------------------------------------------------------- batches


def test_joint_rows_read_each_criterion_once(encoder: Encoder) -> None:
    first, second = encoder.responses(["abcde", "fg"])
    one, other = encoder.criterion("xy"), encoder.criterion("z")
    batch = collate_rows([Row(first, (one, other)), Row(second, (other,))], encoder, "joint")
    assert batch.criteria is not None
    assert batch.texts.input_ids.shape == (2, 7)  # [CLS] a b c d e [SEP]
    assert batch.criteria.input_ids.shape == (2, 4)  # [CLS] x y [SEP]
    assert batch.asked.tolist() == [[0, 1], [1, 0]]
    assert batch.asked_mask.tolist() == [[True, True], [True, False]]
    assert batch.response.tolist() == [[1, 2, 3, 4, 5], [1, 2, 0, 0, 0]]
    assert batch.response_mask.tolist() == [[True] * 5, [True, True, False, False, False]]
    assert batch.texts.mask.sum(1).tolist() == [7, 4]
    assert batch.texts.types.unique().tolist() == [0]
    assert batch.criteria.types[batch.criteria.mask].unique().tolist() == [1]
    assert row_length(Row(first, (one,)), encoder, "joint") == 7


def test_criteria_that_differ_in_letter_case_are_two(encoder: Encoder) -> None:
    (response,) = encoder.responses(["a"])
    batch = collate_rows([Row(response, (encoder.criterion("xy"), encoder.criterion("XY")))], encoder, "joint")
    assert batch.asked.tolist() == [[0, 1]]


def test_a_cross_row_reads_the_criterion_first(encoder: Encoder) -> None:
    (response,) = encoder.responses(["abc"])
    row = Row(response, (encoder.criterion("xy"),))
    batch = collate_rows([row], encoder, "cross")
    assert batch.criteria is None
    assert batch.texts.types.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]
    assert batch.response.tolist() == [[4, 5, 6]]
    assert batch.texts.input_ids[0, batch.response[0]].tolist() == response.ids.tolist()
    assert row_length(row, encoder, "cross") == batch.texts.input_ids.shape[1]


def test_labels_stay_with_their_tokens_when_rows_are_padded(encoder: Encoder) -> None:
    short, long = encoder.responses(["ab", "abcdef"])
    rows = [
        Row(short, (encoder.criterion("x"), encoder.criterion("y")), np.asarray([[1, 0], [0, 1]], dtype=np.float32)),
        Row(
            long,
            (encoder.criterion("x"),),
            np.asarray([[0, 0, 0, 0, 0, 1]], dtype=np.float32),
            np.asarray([0.5], dtype=np.float32),
        ),
    ]
    batch = collate_rows(rows, encoder, "joint")
    assert batch.labels is not None
    assert batch.weights is not None
    assert batch.labels[0].tolist() == [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]]
    assert batch.labels[1].tolist() == [[0, 0, 0, 0, 0, 1], [0] * 6]
    assert batch.weights.tolist() == [[1.0, 1.0], [0.5, 0.0]]


@given(lengths=st.lists(st.integers(1, 300), max_size=60), tokens=st.integers(1, 2000))
def test_batches_hold_each_row_once_within_the_budget(lengths: list[int], tokens: int) -> None:
    found = list(batches(lengths, tokens=tokens))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens
    longest = [max(lengths[i] for i in batch) for batch in found]
    assert longest == sorted(longest, reverse=True)
