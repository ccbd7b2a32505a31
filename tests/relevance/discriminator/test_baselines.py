"""Baselines: what they find without having been trained, and what they answer to odd texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.baselines import (
    BASELINES,
    AllTokens,
    ContrastScorer,
    DenseSimilarity,
    LexicalOverlap,
    RandomTokens,
    baseline,
)
from rtt.relevance.discriminator.evaluation import item_scores, items

ODD = [
    "",
    " \n",
    "x",
    "\ud83d",
    "a\r\nb",
    "<think>no</think> [SEP] yes",
    "没有逗号。",
    "e\u0301 👩\u200d👧",
    "word " * 300,
]
CRITERIA = ["No commas.", 'Contains the word "x"', "?", "the", "\ud83d", "没有逗号", "very " * 500]


class Letters:
    """A tokenizer of single letters: "a" is 0, "b" 1, ...; anything else is dropped."""

    def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        return {"input_ids": [[ord(c) - 97 for c in text if "a" <= c <= "z"] for text in texts]}


def dense() -> DenseSimilarity:
    return DenseSimilarity(np.random.default_rng(0).standard_normal((26, 64)), Letters())


def found(scorer: Any, criterion: str, text: str, *, at_least: float = 0.7) -> list[str]:
    """The items that score that much."""
    places = items(text)
    scores = item_scores(places, scorer.characters([[criterion]], [text])[0])[0]
    return [
        text[start:end]
        for (start, end), score in zip(places.tolist(), scores.tolist(), strict=True)
        if score >= at_least
    ]


@pytest.mark.parametrize(
    "scorer", [AllTokens(), RandomTokens(), LexicalOverlap(), dense()], ids=lambda one: type(one).__name__
)
def test_odd_texts_get_a_value_for_each_character_and_criterion(scorer: Any) -> None:
    values = scorer.characters([CRITERIA] * len(ODD), ODD)
    for text, rows in zip(ODD, values, strict=True):
        assert rows.shape == (len(CRITERIA), len(text))
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        assert (rows >= 0).all()
        assert (rows <= 1).all()
    assert scorer.characters([[]], ["text"])[0].shape == (0, 4)
    assert scorer.characters([], []) == []


@pytest.mark.parametrize("scorer", [RandomTokens(), LexicalOverlap(), dense()], ids=lambda one: type(one).__name__)
def test_what_a_criterion_gets_does_not_depend_on_its_company(scorer: Any) -> None:
    texts = ["Rain, again and again.", "No rain today!"]
    criteria = ["No commas.", "mentions rain", 'ends with "again."']
    together = scorer.characters([criteria, criteria[::-1]], texts)
    for k, criterion in enumerate(criteria):
        np.testing.assert_allclose(together[0][k], scorer.characters([[criterion]], texts[:1])[0][0], atol=1e-6)
        np.testing.assert_allclose(together[1][2 - k], scorer.characters([[criterion]], texts[1:])[0][0], atol=1e-6)


def test_all_tokens_says_one_everywhere() -> None:
    assert (AllTokens().characters([["a", "b"]], ["a b"])[0] == 1).all()


def test_random_numbers_are_those_of_seed_criterion_and_text() -> None:
    text = "one two three four five six seven eight"
    scores = RandomTokens(seed=3).characters([["a", "b"]], [text])[0]
    np.testing.assert_array_equal(scores, RandomTokens(seed=3).characters([["a", "b"]], [text])[0])
    assert not np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores, RandomTokens(seed=4).characters([["a", "b"]], [text])[0])
    by_item = item_scores(items(text), scores)
    assert len(set(by_item[0].tolist())) == 8
    assert scores[0, 0] == pytest.approx(0.7469079, abs=1e-6)  # on every machine


# ------------------------------------------------------------------------------------------------------------ lexical


@pytest.mark.parametrize(
    ("criterion", "text", "expected"),
    [
        ("Do not use any commas.", "Rain, again. So it goes, friend", [",", ","]),
        ('The word "robot" appears twice', "A Robot and a robotic robot", ["Robot", "robotic", "robot"]),
        ("Mention running shoes", "He runs in a shoe shop", ["runs", "shoe"]),
        (
            'End with "Is there anything else?"',
            "Yes. Is there\nanything else?",
            ["Is", "there", "anything", "else", "?"],
        ),
        ("No exclamation marks", "Hi! No? Yes!", ["!", "!"]),
        ("Use at most one question mark", "Hi! No? Yes!", ["?"]),
        ("Words in all capital letters", "HELLO big A WORLD", ["HELLO", "WORLD"]),
        ("Name three numbers", "I have 7 cats and 12 dogs", ["7", "12"]),
        ("Use an emoji", "hi 👍🏽 you", ["👍🏽"]),
        ("the letter 'q' is there", "quite a quiet tequila", ["quite", "quiet", "tequila"]),
        ("Placeholders in square brackets", "Dear [name] (sir)", ["[", "]", "(", ")"]),
        ("Use `x` and don't use y", "x is not don or t", ["x"]),
    ],
)
def test_lexical_overlap_finds_what_is_named(criterion: str, text: str, expected: list[str]) -> None:
    assert found(LexicalOverlap(), criterion, text) == expected


def test_a_quotation_counts_for_more_than_a_word_and_a_word_for_more_than_its_like() -> None:
    text = "robot mention robotron nothing"
    places = items(text)
    scores = item_scores(
        places, LexicalOverlap().characters([['Names a "robot" in a mentioned roboticist']], [text])[0]
    )[0]
    robot, mention, robotron, nothing = scores.tolist()
    assert robot == 1
    assert 0.1 < robotron < 0.8
    assert robotron > nothing
    assert mention < 0.8  # "mention" is in nearly every criterion: it says nothing


def test_words_of_every_criterion_say_nothing_unless_nothing_else_is_there() -> None:
    text = "The response must contain it"
    assert found(LexicalOverlap(), "The response must contain a poem", text) == []
    assert found(LexicalOverlap(), "the response", text) == ["The", "response"]


# -------------------------------------------------------------------------------------------------------------- dense


def test_similar_words_are_those_with_near_embeddings() -> None:
    table = np.eye(26)
    table[1] = table[0] + 0.1 * table[2]  # b is nearly a
    scorer = DenseSimilarity(table, Letters())
    places = items("b c 1")
    near, far, unknown = item_scores(places, scorer.characters([["xx aa"]], ["b c 1"])[0])[0].tolist()
    assert near > 0.9
    assert far < 0.3
    assert unknown == 0


def test_the_mean_embedding_is_taken_off() -> None:
    table = np.random.default_rng(0).standard_normal((26, 32)) + 50  # all point the same way
    scorer = DenseSimilarity(table, Letters())
    scores = item_scores(items("q"), scorer.characters([["aa"]], ["q"])[0])
    assert scores.max() < 0.6


def test_marks_inside_quotations_are_looked_for() -> None:
    class Marks:
        def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
            return {"input_ids": [[",!".index(text)] if text in ",!" else [2] for text in texts]}

    scorer = DenseSimilarity(np.eye(3), Marks())
    comma, mark = item_scores(items(", !"), scorer.characters([['Avoid ","']], [", !"])[0])[0].tolist()
    assert comma == pytest.approx(1)
    assert mark < 0.1


# ----------------------------------------------------------------------------------------------------------- contrast


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    torch = pytest.importorskip("torch")
    from rtt.demo.models import tiny_model

    model, tokenizer = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter *= 8  # differences that can be seen
    return model, tokenizer


def test_the_contrast_is_the_change_in_log_probability(tiny: tuple[Any, Any]) -> None:
    torch = pytest.importorskip("torch")
    model, tokenizer = tiny
    text, criterion = "Rain again.", "No commas."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]

    def likelihood(*pieces: str) -> np.ndarray[Any, Any]:
        before = [token for piece in pieces for token in tokenizer(piece, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logits = model.eval()(input_ids=torch.tensor([[*before, *ids]])).logits[0].double().log_softmax(-1)
        return np.asarray([float(logits[len(before) - 1 + t, token]) for t, token in enumerate(ids)])

    given = likelihood("Criterion: ", criterion, "\n\n", "Response:\n")
    change = np.abs(given - likelihood("Response:\n"))
    values = ContrastScorer(model, tokenizer).characters([[criterion]], [text])[0]
    assert values.shape == (1, len(text))
    for (start, end), expected in zip(spans, 1 - np.exp(-change), strict=True):
        np.testing.assert_allclose(values[0, start:end], expected, atol=1e-4)
    assert values.max() > 0.01


def test_the_contrast_of_one_text_does_not_depend_on_the_others(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    scorer = ContrastScorer(model, tokenizer, batch_tokens=64)
    texts = ["Rain again.", "", "A much longer text, which is padded to, or pads others.", "\ud83d x"]
    criteria = [["No commas.", "mentions rain"], ["x"], [], ["x"]]
    together = scorer.characters(criteria, texts)
    assert [one.shape for one in together] == [(2, 11), (1, 0), (0, len(texts[2])), (1, 3)]
    alone = scorer.characters([["mentions rain"]], texts[:1])[0]
    np.testing.assert_allclose(together[0][1], alone[0], atol=1e-4)


def test_a_long_text_is_read_in_pieces_and_a_long_criterion_cut(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    text = "so it goes " * 30
    scorer = ContrastScorer(model, tokenizer, max_tokens=16, max_criterion=8)
    values = scorer.characters([["word " * 2000]], [text])[0]
    assert values.shape == (1, len(text))
    assert (values[0, -12:-1] > 0).any()


def test_a_contrast_that_cannot_be_taken_is_refused(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    with pytest.raises(ConfigurationError, match="Letters is not a fast one"):
        ContrastScorer(model, Letters())
    with pytest.raises(ConfigurationError, match="leaves none for a text beside a criterion of max_criterion=1000000"):
        ContrastScorer(model, tokenizer, max_criterion=1_000_000)


# -------------------------------------------------------------------------------------------------------------- names


def test_baselines_by_name() -> None:
    class Backbone:
        def get_input_embeddings(self) -> Any:
            torch = pytest.importorskip("torch")
            return torch.nn.Embedding(26, 4)

    made = {name: baseline(name, seed=5, backbone=Backbone(), tokenizer=Letters()) for name in BASELINES}
    assert [type(one) for one in made.values()] == [AllTokens, RandomTokens, LexicalOverlap, DenseSimilarity]
    assert made["random"].seed == 5
    with pytest.raises(ConfigurationError, match="baseline 'none' is unknown; expected some of"):
        baseline("none")
    with pytest.raises(ConfigurationError, match="'similarity' needs a backbone"):
        baseline("similarity")
