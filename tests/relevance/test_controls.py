"""Controls: what they know of the response, and what they must not."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.relevance import (
    EvidenceRelevance,
    RandomRelevance,
    ShuffledRelevance,
    UniformRelevance,
    relevance_names,
    relevance_source,
)
from rtt.relevance.controls import fitted
from rtt.responses import Response
from rtt.verdicts import Outcome, Verdict

Array = npt.NDArray[np.float32]


def response(text: str, task: str = "t") -> Response:
    """A token a character."""
    return Response(task, text, tuple(map(ord, text)), tuple((i, i + 1) for i in range(len(text))))


def verdict(criterion: str = "c", outcome: Outcome = Outcome.SATISFIED) -> Verdict:
    return Verdict(criterion, outcome, "rule:test")


def asked(source: Any, responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]) -> list[Array]:
    found: list[Array] = source([None] * len(responses), responses, verdicts)
    for one, row, array in zip(responses, verdicts, found, strict=True):
        assert array.dtype == np.float32
        assert array.shape == (len(row), len(one.token_ids))
    return found


class Given:
    """A source that says what it was given."""

    def __init__(self, *maps: Sequence[Sequence[float]]) -> None:
        self.maps = [np.array(one, dtype=np.float32) for one in maps]

    def __call__(self, tasks: Any, responses: Any, verdicts: Any) -> list[Array]:
        return [one.copy() for one in self.maps]


def shuffled(maps: Sequence[Any], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]) -> list[Any]:
    return [one.tolist() for one in asked(ShuffledRelevance(Given(*maps)), responses, verdicts)]


# --------------------------------------------------------------------------------------------------- uniform and random


def test_uniform_is_all_ones() -> None:
    (array,) = asked(UniformRelevance(), [response("abcd")], [[verdict("a"), verdict("b")]])
    np.testing.assert_array_equal(array, np.ones((2, 4), dtype=np.float32))


def test_noise_depends_on_the_response_the_criterion_and_the_seed_alone() -> None:
    one, other = response("robots"), response("flowers")
    criteria = [verdict("a"), verdict("b")]
    alone = asked(RandomRelevance(3), [one], [criteria])[0]
    among_others = asked(RandomRelevance(3), [other, one], [criteria[:1], criteria[::-1]])[1]
    np.testing.assert_array_equal(alone, among_others[::-1])
    rows = [
        *alone,
        *asked(RandomRelevance(4), [one], [criteria])[0],
        *asked(RandomRelevance(3), [response("robots", task="u")], [criteria])[0],
        *asked(RandomRelevance(3), [response("robotS")], [criteria])[0],
    ]
    assert len({tuple(row.tolist()) for row in rows}) == len(rows) == 8


def test_noise_is_uniform_between_0_and_1() -> None:
    (array,) = asked(RandomRelevance(), [response("x" * 20_000)], [[verdict()]])
    assert array.min() >= 0
    assert array.max() < 1
    shares, _ = np.histogram(array, bins=10, range=(0, 1))
    assert abs(shares / array.size - 0.1).max() < 0.01


def test_noise_is_the_same_in_every_process() -> None:
    program = (
        "from rtt.relevance import RandomRelevance\n"
        "from rtt.responses import Response\n"
        "from rtt.verdicts import Outcome, Verdict\n"
        "one = Response('t', 'ab', (97, 98), ((0, 1), (1, 2)))\n"
        "found = RandomRelevance(5)([None], [one], [[Verdict('c', Outcome.SATISFIED, 'rule:test')]])\n"
        "print(found[0].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(asked(RandomRelevance(5), [response("ab")], [[verdict()]])[0].tolist())


@pytest.mark.parametrize("source", [UniformRelevance(), RandomRelevance(), ShuffledRelevance()])
def test_global_generators_are_left_alone(source: Any) -> None:
    before = (random.getstate(), str(np.random.get_state()))
    asked(source, [response("ab"), response("cd")], [[verdict()], [verdict()]])
    assert (random.getstate(), str(np.random.get_state())) == before


# ------------------------------------------------------------------------------------------------------------- shuffled


def test_each_response_of_a_group_gets_the_next_ones_map() -> None:
    maps = [[[1, 0]], [[0, 1]], [[1, 1]]]
    responses = [response(text) for text in ("ab", "cd", "ef")]
    assert shuffled(maps, responses, [[verdict()]] * 3) == [maps[1], maps[2], maps[0]]


def test_a_map_goes_to_the_same_criterion_of_the_same_task_with_the_same_verdict() -> None:
    met, missed = verdict("c"), verdict("c", Outcome.VIOLATED)
    responses = [response("ab"), response("cd", task="u"), response("ef"), response("gh")]
    verdicts = [[verdict("other"), met], [met], [missed, verdict("other")], [met]]
    maps = [[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6]], [[0.7, 0.8], [0.9, 1.0]], [[0.25, 0.75]]]
    found = shuffled(maps, responses, verdicts)
    as_float32 = [np.float32(one).tolist() for one in maps]
    assert found[0] == [as_float32[2][1], as_float32[3][0]]  # "other" to "other"; "c", met, past "u" and the miss
    assert found[2][0] == as_float32[3][0]  # nobody else missed it: the next one of the task
    assert found[3] == [as_float32[0][1]]
    assert found[1] == [as_float32[2][0]]  # no other response to its task: the next map there is


def test_undetermined_maps_are_not_handed_on() -> None:
    maps = [[[1, 0]], [[0, 0]], [[0, 1]]]
    responses = [response(text) for text in ("ab", "cd", "ef")]
    verdicts = [[verdict()], [verdict(outcome=Outcome.UNDETERMINED)], [verdict()]]
    assert shuffled(maps, responses, verdicts) == [[[0, 1]], [[0, 0]], [[1, 0]]]


def test_alone_or_among_copies_a_map_is_turned_around() -> None:
    assert shuffled([[[1, 0, 0.5]]], [response("abc")], [[verdict()]]) == [[[0.5, 0, 1]]]
    copies = [response("abc"), response("abc")]
    assert shuffled([[[1, 0, 0.5]]] * 2, copies, [[verdict()]] * 2) == [[[0.5, 0, 1]]] * 2


def test_empty_responses_neither_get_nor_give() -> None:
    maps = [[[1, 0]], np.zeros((1, 0)), [[0, 1]]]
    found = shuffled(maps, [response("ab"), response(""), response("cd")], [[verdict()]] * 3)
    assert found == [[[0, 1]], [[]], [[1, 0]]]


def test_evidence_is_shuffled_by_default() -> None:
    assert isinstance(ShuffledRelevance().source, EvidenceRelevance)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30), st.integers(0, 60))
def test_a_fitted_map_keeps_values_and_order(row: list[float], length: int) -> None:
    places = np.arange(len(row), dtype=np.float32)
    got = fitted(places, length)
    assert len(got) == length
    assert all(a <= b for a, b in itertools.pairwise(got))
    for t, source in enumerate(got):  # its centre lies within the value's share of the length
        assert source <= (t + 0.5) * len(row) / length <= source + 1
    np.testing.assert_array_equal(fitted(np.float32(row), len(row)), np.float32(row))


@given(st.lists(st.text("ab ", min_size=1, max_size=8), min_size=2, max_size=6, unique=True), st.integers(1, 3))
def test_in_a_group_every_map_is_handed_on_once(texts: list[str], criteria: int) -> None:
    responses = [response(text) for text in texts]
    maps = [np.full((criteria, len(text)), i, dtype=np.float32) for i, text in enumerate(texts)]
    verdicts = [[verdict(f"c{k}") for k in range(criteria)]] * len(texts)
    found = shuffled(maps, responses, verdicts)
    for k in range(criteria):
        givers = [one[k][0] for one in found]
        assert sorted(givers) == list(range(len(texts)))
        assert all(giver != i for i, giver in enumerate(givers))


# -------------------------------------------------------------------------------------------------------------- by name


def test_controls_by_name() -> None:
    assert relevance_source("random", seed=7).seed == 7  # type: ignore[attr-defined]
    assert isinstance(relevance_source("shuffled").source, EvidenceRelevance)  # type: ignore[attr-defined]
    inner = relevance_source("shuffled", source="random", seed=7).source  # type: ignore[attr-defined]
    assert isinstance(inner, RandomRelevance)
    assert inner.seed == 7
    given = Given()
    assert relevance_source("shuffled", source=given).source is given  # type: ignore[attr-defined]
    assert {"evidence", "uniform", "random", "shuffled", "discriminator", "contrast", "hybrid"} == set(
        relevance_names()
    )


def test_importing_relevance_imports_no_torch() -> None:
    program = (
        "import sys\n"
        "from rtt.relevance import relevance_source\n"
        "relevance_source('evidence'), relevance_source('random'), relevance_source('shuffled')\n"
        "print(sorted({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
