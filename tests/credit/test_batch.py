"""CreditBatch refuses what would lose something, and collate pads ragged responses without cutting anything off."""

from __future__ import annotations

from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from credit.batches import FIELDS, change, random_batch
from credit.checks import unchecked
from hypothesis import given
from hypothesis import strategies as st

from rtt.credit import PARTITIONS, CreditBatch, CreditRow, collate, combine, intra_sample, token_rewards
from rtt.errors import RTTError, ShapeError
from rtt.verdicts import Outcome


def fields(b: int = 2, k: int = 3, t: int = 4, **changes: Any) -> dict[str, Any]:
    tensors = {
        "verdicts": torch.ones(b, k, dtype=torch.int8),
        "relevance": torch.full((b, k, t), 0.5),
        "mask": torch.ones(b, t, dtype=torch.bool),
        "group": torch.zeros(b, dtype=torch.int64),
        "weights": torch.ones(b, k),
    }
    return tensors | changes


def test_shapes_are_checked() -> None:
    """Turns red when rtt.credit was imported before conftest.py could add the checks: look for who imports it."""
    with pytest.raises(jaxtyping.TypeCheckError, match="mask"):
        combine(torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 4, dtype=torch.bool), 0.5)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("relevance", torch.zeros(2, 3), r"relevance has shape \[2, 3\]; expected \[B K T\]"),
        ("relevance", torch.zeros(3, 2, 4), r"verdicts has shape \[2, 3\]; expected \[3, 2\]"),
        ("verdicts", torch.ones(2, 4, dtype=torch.int8), r"verdicts has shape \[2, 4\]; expected \[2, 3\]"),
        ("mask", torch.ones(2, 3, dtype=torch.bool), r"mask has shape \[2, 3\]; expected \[2, 4\]"),
        ("group", torch.zeros(3, dtype=torch.int64), r"group has shape \[3\]; expected \[2\]"),
        ("weights", torch.ones(3), r"weights has shape \[3\]; expected \[2, 3\]"),
        ("relevance", torch.ones(2, 3, 4, dtype=torch.int64), r"relevance: torch.int64; expected a floating type"),
        ("relevance", torch.ones(2, 3, 4, dtype=torch.bool), r"relevance: torch.bool; expected a floating type"),
        ("mask", torch.ones(2, 4, dtype=torch.int64), r"mask is torch.int64; expected torch.bool"),
        ("mask", torch.ones(2, 4), r"mask is torch.float32; expected torch.bool"),
        ("verdicts", torch.ones(2, 3), r"verdicts: torch.float32; expected integers"),
        ("verdicts", torch.ones(2, 3, dtype=torch.bool), r"verdicts: torch.bool; expected integers"),
        ("verdicts", torch.full((2, 3), 2), r"verdicts: values in \[2, 2\]; expected \[-1, 1\]"),
        ("verdicts", torch.full((2, 3), 257), r"verdicts: values in \[257, 257\]; expected \[-1, 1\]"),
        ("group", torch.zeros(2), r"group: torch.float32; expected integers"),
        ("weights", torch.full((2, 3), torch.nan), r"weights hold NaN or infinity"),
        ("relevance", torch.full((2, 3, 4), torch.nan), r"relevance holds NaN or infinity"),
        ("relevance", torch.full((2, 3, 4), torch.inf), r"relevance holds NaN or infinity"),
        ("relevance", torch.full((2, 3, 4), 1.5), r"relevance lies in \[1.5, 1.5\]; expected \[0, 1\]"),
        ("relevance", torch.full((2, 3, 4), -0.5), r"relevance lies in \[-0.5, -0.5\]; expected \[0, 1\]"),
        ("mask", [[True] * 4] * 2, r"mask is a list; expected a tensor"),
        ("relevance", torch.zeros(2, 3, 4, device="meta"), r"verdicts is on cpu and relevance on meta"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: Any, words: str) -> None:
    with unchecked(), pytest.raises(ShapeError, match=words) as error:
        CreditBatch(**fields(**{name: value}))
    assert isinstance(error.value, RTTError)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_relevance_is_widened_and_not_cut(dtype: torch.dtype) -> None:
    relevance = torch.tensor([[[0.95, 0.4, 0.0, 1.0]]], dtype=dtype)
    batch = CreditBatch(**fields(b=1, k=1, relevance=relevance, weights=torch.ones(1, 1, dtype=dtype)))
    assert batch.relevance.dtype == torch.float32
    assert batch.weights.dtype == torch.float32
    torch.testing.assert_close(batch.relevance[0, 0], torch.tensor([0.95, 0.4, 0.0, 1.0]), rtol=0, atol=4e-3)
    torch.testing.assert_close(token_rewards(batch), batch.relevance)


def test_float64_and_wider_integers_are_taken() -> None:
    tensors = fields(verdicts=torch.tensor([[1, -1, 0]] * 2), group=torch.tensor([1, 2], dtype=torch.int32))
    with unchecked():
        batch = CreditBatch(**(tensors | {"relevance": torch.full((2, 3, 4), 0.1, dtype=torch.float64)}))
    assert (batch.verdicts.dtype, batch.group.dtype) == (torch.int8, torch.int64)
    assert batch.relevance.dtype == torch.float64
    assert batch.verdicts.tolist() == [[1, -1, 0]] * 2


def test_whole_numbers_will_do_as_weights() -> None:
    batch = random_batch(2)
    assert (
        change(batch, weights=torch.full_like(batch.verdicts, 3)).weights.tolist()
        == torch.full_like(batch.weights, 3.0).tolist()
    )


def test_a_batch_is_frozen_and_detached() -> None:
    relevance = torch.full((2, 3, 4), 0.5, requires_grad=True)
    batch = CreditBatch(**fields(relevance=relevance))
    assert not batch.relevance.requires_grad
    assert not intra_sample(batch).requires_grad
    with pytest.raises(AttributeError):
        batch.mask = batch.mask  # type: ignore[misc]


@pytest.mark.parametrize("garbage", [-3.0, 0.7, 1.0, 3e38, -3e38, float("inf"), float("nan")])
def test_relevance_that_must_not_matter_does_not(garbage: float) -> None:
    clean = random_batch(4)
    undetermined = (clean.verdicts == 0).unsqueeze(-1).expand_as(clean.relevance)
    ignored = undetermined | ~clean.mask.unsqueeze(1).expand_as(clean.relevance)
    relevance = clean.relevance.where(~ignored, garbage)
    dirty = change(clean, relevance=relevance)
    assert bool((relevance == garbage).any()) or garbage != garbage
    assert torch.equal(token_rewards(dirty), token_rewards(clean))
    for partition in PARTITIONS.values():
        torch.testing.assert_close(partition(dirty), partition(clean), rtol=0, atol=0)


def test_a_clean_relevance_is_not_copied() -> None:
    relevance = torch.rand(2, 3, 4)
    assert CreditBatch(**fields(relevance=relevance)).relevance.data_ptr() == relevance.data_ptr()


# ------------------------------------------------------------------------------------------------------------ collate


def test_ragged_rows_become_one_batch() -> None:
    batch = collate(
        [
            CreditRow(verdicts=[1, -1], relevance=[[0.25, 1], [0, 0.5]], group=3, weights=[2, -1]),
            CreditRow(verdicts=[Outcome.UNDETERMINED], relevance=np.array([[0.5, 0.5, 1.0]]), group=3),
            CreditRow(verdicts=[], relevance=torch.zeros(0, 1), group=8, mask=[True]),
        ]
    )
    assert batch.verdicts.tolist() == [[1, -1], [0, 0], [0, 0]]
    assert batch.relevance.tolist() == [
        [[0.25, 1, 0], [0, 0.5, 0]],
        [[0.5, 0.5, 1], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0]],
    ]
    assert batch.mask.tolist() == [[True, True, False], [True, True, True], [True, False, False]]
    assert batch.group.tolist() == [3, 3, 8]
    assert batch.weights.tolist() == [[2, -1], [1, 1], [1, 1]]
    assert [getattr(batch, name).dtype for name in FIELDS] == [
        torch.int8,
        torch.float32,
        torch.bool,
        torch.int64,
        torch.float32,
    ]


def test_padding_goes_where_it_is_asked_for_and_masks_keep_their_holes() -> None:
    rows = [CreditRow(verdicts=[1], relevance=[[0.5, 0.9, 0.5]], group=0, mask=[1, 0, 1])]
    batch = collate(rows, length=5, criteria=2, dtype=torch.float64)
    assert batch.mask.tolist() == [[True, False, True, False, False]]
    assert batch.relevance.tolist() == [[[0.5, 0, 0.5, 0, 0], [0.0] * 5]]
    assert batch.relevance.dtype == torch.float64


def test_nothing_is_cut_off() -> None:
    rows = [CreditRow(verdicts=[1] * 50, relevance=torch.rand(50, 6), group=0)]
    assert collate(rows).verdicts.sum() == 50
    with pytest.raises(ShapeError, match="row 0 has 50 criteria; expected at most 20: nothing is cut"):
        collate(rows, criteria=20)
    with pytest.raises(ShapeError, match="row 0 has 6 tokens; expected at most 5"):
        collate(rows, length=5)


def test_rows_as_sources_give_them() -> None:
    tensors = [torch.tensor([0.1, 0.2], dtype=torch.bfloat16), torch.tensor([0.3, 0.4], dtype=torch.bfloat16)]
    arrays = [np.array([0.1, 0.2]), np.array([0.3, 0.4])]
    for relevance in (tensors, arrays, torch.stack(tensors), [[0.1, 0.2], [0.3, 0.4]]):
        batch = collate([CreditRow(verdicts=np.array([1, -1]), relevance=relevance, group=0)])
        torch.testing.assert_close(batch.relevance, torch.tensor([[[0.1, 0.2], [0.3, 0.4]]]), rtol=0, atol=2e-3)


def test_no_rows_and_rows_without_criteria() -> None:
    assert collate([]).relevance.shape == (0, 0, 0)
    batch = collate([CreditRow(verdicts=[], relevance=[], group=0, mask=[True, False])] * 2)
    assert batch.relevance.shape == (2, 0, 2)
    assert batch.mask.tolist() == [[True, False]] * 2


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (CreditRow([1, 1], [[0.5]], 0), r"row 1: relevance has shape \[1, 1\]; expected \[2 T\]"),
        (CreditRow([1], [0.5], 0), r"row 1: relevance has shape \[1\]; expected \[1 T\]"),
        (CreditRow([1], [[0.5]], 0, mask=[1, 1]), "row 1: mask has 2 tokens and relevance 1"),
        (CreditRow([1], [[0.5]], 0, weights=[1, 1]), "row 1: 2 weights for 1 verdicts"),
        (CreditRow([3], [[0.5]], 0), r"row 1: verdicts: values in \[3, 3\]; expected \[-1, 1\]"),
        (CreditRow([1], torch.ones(1, 1, dtype=torch.int64), 0), "row 1: relevance: torch.int64; expected a floating"),
        (CreditRow([1], np.ones((1, 1), dtype=np.int64), 0), "row 1: relevance: torch.int64; expected a floating"),
        (CreditRow(np.array([True]), np.ones((1, 1)), 0), "row 1: verdicts: torch.bool; expected integers"),
        (CreditRow([True], [[0.5]], 0), "row 1: verdicts: torch.bool; expected integers"),
        (CreditRow([0.9], [[0.5]], 0), "row 1: verdicts: torch.float32; expected integers"),
        (CreditRow([None], [[0.5]], 0), r"\[None\] is not an array of numbers"),
        (CreditRow([1], [[0.5]], 0.7), r"row 1: group 0\.7; expected an integer"),
        (CreditRow([1], [[0.5]], 0, mask=torch.tensor([2])), "row 1: mask holds other values than 0 and 1"),
    ],
)
def test_a_row_that_does_not_fit_is_named(row: CreditRow, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        collate([CreditRow([1], [[0.5]], 0), row])


@given(seed=st.integers(0, 2**32))
def test_collating_the_responses_of_a_batch_gives_the_batch(seed: int) -> None:
    batch = random_batch(seed)
    rows = [
        CreditRow(
            verdicts=batch.verdicts[i],
            relevance=batch.relevance[i],
            group=int(batch.group[i]),
            weights=batch.weights[i],
            mask=batch.mask[i],
        )
        for i in range(len(batch.group))
    ]
    again = collate(rows)
    assert all(torch.equal(getattr(again, name), getattr(batch, name)) for name in FIELDS)
