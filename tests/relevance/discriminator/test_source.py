"""The discriminator as a relevance source: its characters on the policy's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtt.relevance import relevance_source
from rtt.relevance.discriminator.source import DiscriminatorRelevance
from rtt.responses import Response
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.verdicts import Outcome, Verdict


class Vowels:
    """Vowels are relevant to the first criterion, the others' relevance is 0.25."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[list[str]], list[str]]] = []

    def characters(
        self, criteria: Sequence[Sequence[str]], texts: Sequence[str], **_: Any
    ) -> list[npt.NDArray[np.float32]]:
        self.asked.append(([list(one) for one in criteria], list(texts)))
        return [
            np.array([[float(c in "aeiou") for c in text], *[[0.25] * len(text)] * (len(asked) - 1)], dtype=np.float32)
            for asked, text in zip(criteria, texts, strict=True)
        ]


def task(number: int) -> Task:
    criteria = tuple(Criterion(id=f"c{k}", text=f"criterion {k}") for k in range(number))
    return Task(id="t", prompt=(Message(role="user", content="q"),), rubric=Rubric(criteria=criteria))


def verdicts(number: int) -> list[Verdict]:
    return [Verdict(f"c{k}", Outcome.SATISFIED, "judge") for k in range(number)]


def test_a_token_gets_the_mean_of_its_characters_and_the_end_of_sequence_that_of_the_others() -> None:
    response = Response("t", "bab aba", (1, 2, 3), ((0, 3), (3, 7), (7, 7)))
    (found,) = DiscriminatorRelevance(Vowels())([task(2)], [response], [verdicts(2)])
    np.testing.assert_allclose(found, [[1 / 3, 1 / 2, 5 / 12], [0.25, 0.25, 0.25]], rtol=1e-6)
    assert found.dtype == np.float32


def test_all_responses_are_asked_in_one_call_with_the_criteria_in_the_rubrics_order() -> None:
    scorer = Vowels()
    responses = [Response("t", "ab", (1,), ((0, 2),)), Response("t", "", (), ())]
    found = DiscriminatorRelevance(scorer)([task(1), task(3)], responses, [verdicts(1), verdicts(3)])
    assert scorer.asked == [([["criterion 0"], ["criterion 0", "criterion 1", "criterion 2"]], ["ab", ""])]
    assert [row.shape for row in found] == [(1, 1), (3, 0)]


def test_a_saved_discriminator_is_a_source_by_name(tiny_discriminator: Any, tmp_path: Any) -> None:
    discriminator = tiny_discriminator("joint")
    discriminator.save_pretrained(tmp_path / "d")
    source = relevance_source("discriminator", model=str(tmp_path / "d"))
    response = Response("t", "a b", (5, 6, 7), ((0, 1), (1, 3), (3, 3)))
    (found,) = source([task(2)], [response], [verdicts(2)])
    characters = discriminator.characters([["criterion 0", "criterion 1"]], ["a b"])[0]
    np.testing.assert_allclose(found[:, 0], characters[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], characters[:, 1:3].mean(1), rtol=1e-6)
