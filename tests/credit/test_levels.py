"""The response level, GDPO, and how the two levels join."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from credit import reference
from credit.batches import batch_of, change, credit_batches, few, random_batch
from hypothesis import given
from hypothesis import strategies as st

from rtt.credit import (
    PARTITIONS,
    REWARDS,
    CreditBatch,
    all_or_nothing,
    assign_credit,
    combine,
    gdpo,
    intra_sample,
    response_advantages,
    satisfied_fraction,
)
from rtt.errors import ConfigurationError

# ------------------------------------------------------------------------------------------------------ response level


def test_rewards_are_measured_against_their_group() -> None:
    # Group 5: 1, 0, 0 with sample std sqrt(1/3); group 2: 1, 0 with sample std sqrt(1/2).
    advantages = response_advantages(torch.tensor([1.0, 1, 0, 0, 0]), torch.tensor([5, 2, 5, 2, 5]))
    three, two = math.sqrt(1 / 3) + 1e-6, math.sqrt(1 / 2) + 1e-6
    expected = [2 / 3 / three, 0.5 / two, -1 / 3 / three, -0.5 / two, -1 / 3 / three]
    torch.testing.assert_close(advantages, torch.tensor(expected))


def test_eps_is_added_to_the_standard_deviation() -> None:
    rewards, group = torch.tensor([1.0, 0]), torch.zeros(2, dtype=torch.int64)
    expected = 0.5 / (math.sqrt(0.5) + 0.3)
    torch.testing.assert_close(response_advantages(rewards, group, eps=0.3), torch.tensor([expected, -expected]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reward", [0.1, 1 / 3, 0.7, 1e-3, 1e6])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64])
def test_equal_rewards_give_exactly_nothing(reward: float, size: int, dtype: torch.dtype) -> None:
    advantages = response_advantages(torch.full((size,), reward, dtype=dtype), torch.full((size,), -4))
    assert advantages.dtype == dtype
    assert not advantages.any()


def test_a_response_without_reward_is_left_out() -> None:
    rewards = torch.tensor([1.0, torch.nan, 0.5, torch.nan, 0.0])
    advantages = response_advantages(rewards, torch.tensor([0, 0, 0, 1, 0]))
    torch.testing.assert_close(advantages, torch.tensor([0.5, 0, 0, 0, -0.5]) / (0.5 + 1e-6))


def test_integer_rewards_are_not_cut() -> None:
    advantages = response_advantages(torch.tensor([1, 0, 0]), torch.zeros(3, dtype=torch.int64))
    assert advantages.dtype == torch.float32
    torch.testing.assert_close(advantages, response_advantages(torch.tensor([1.0, 0, 0]), torch.zeros(3).long()))


@few
@given(
    rewards=st.lists(st.sampled_from([0.0, 0.25, 1 / 3, 1.0, math.nan]), max_size=12),
    seed=st.integers(0, 2**32),
)
def test_response_advantages_are_the_plain_recomputation(rewards: list[float], seed: int) -> None:
    values = torch.tensor(rewards, dtype=torch.float64)
    group = torch.randint(-2, 2, (len(rewards),), generator=torch.Generator().manual_seed(seed))
    expected = reference.response_advantages(values.numpy(), group.numpy())
    np.testing.assert_allclose(response_advantages(values, group), expected, rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------------------------------------------------------- GDPO


def test_gdpo_normalises_each_criterion_then_the_sums() -> None:
    # Criterion 0: scores 1, -1; criterion 1: all agree, 0. Another prompt, of one response: 0. Sums 1, -1, 0: std 1.
    batch = batch_of([[1, 1], [-1, 1], [1, 0]], torch.zeros(3, 2, 1), group=[0, 0, 1])
    torch.testing.assert_close(gdpo(batch), torch.tensor([1.0, -1, 0]) / (1 + 1e-4), rtol=1e-5, atol=1e-7)


def test_gdpo_weighs_criteria() -> None:
    verdicts = [[1, -1], [-1, 1]]
    batch = batch_of(verdicts, torch.zeros(2, 2, 1), weights=[[3, 1]] * 2)
    torch.testing.assert_close(gdpo(batch), torch.tensor([1.0, -1]) / math.sqrt(2), rtol=1e-3, atol=0)
    torch.testing.assert_close(gdpo(batch, weighted=False), torch.zeros(2))
    unwanted = batch_of(verdicts, torch.zeros(2, 2, 1), weights=[[3, -1]] * 2)
    same = batch_of([[1, 1], [-1, -1]], torch.zeros(2, 2, 1), weights=[[3, 1]] * 2)
    torch.testing.assert_close(gdpo(unwanted), gdpo(same))
    torch.testing.assert_close(gdpo(unwanted, weighted=False), gdpo(same, weighted=False))


@few
@given(batch=credit_batches())
def test_gdpo_is_the_plain_recomputation(batch: CreditBatch) -> None:
    np.testing.assert_allclose(gdpo(batch), reference.gdpo(batch), rtol=1e-8, atol=1e-8)


# ------------------------------------------------------------------------------------------------------------- combine


def test_add_and_mix() -> None:
    response, tokens = torch.tensor([1.0, -2.0]), torch.tensor([[1.0, -1, 9], [0, 4, -4]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    torch.testing.assert_close(
        combine(response, tokens, mask, 0.5), torch.tensor([[1.5, 0.5, 0], [-2, 0, -4]]), rtol=0, atol=0
    )
    torch.testing.assert_close(
        combine(response, tokens, mask, 0.25, how="mix"), torch.tensor([[1, 0.5, 0], [-1.5, -0.5, -2.5]])
    )
    assert torch.equal(combine(response, tokens, mask, 1, how="mix"), tokens.where(mask, 0.0))


@pytest.mark.parametrize("how", ["add", "mix"])
def test_lambda_0_is_the_response_advantage_bit_for_bit(how: str) -> None:
    response = torch.tensor([0.1, -0.0, 0.0, -1e-30, 1 / 3])
    tokens = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)) * 1e6
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    advantages = combine(response, tokens, mask, 0.0, how)
    bits = response.view(torch.int32).unsqueeze(1).expand(5, 7).where(mask, 0)
    assert torch.equal(advantages.contiguous().view(torch.int32), bits)


@pytest.mark.parametrize("weight", [-0.5, math.nan, math.inf])
@pytest.mark.parametrize("how", ["add", "mix"])
def test_a_weight_out_of_range_is_refused(weight: float, how: str) -> None:
    with pytest.raises(ConfigurationError, match=f"weight {weight} with how='{how}'; expected a"):
        combine(torch.zeros(1), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), weight, how)


def test_mix_ends_at_1_and_other_words_are_refused() -> None:
    tensors = torch.zeros(1), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)
    assert combine(*tensors, 2.0).shape == (1, 1)
    with pytest.raises(ConfigurationError, match=r"weight 2.0 with how='mix'; expected a number in \[0, 1\]"):
        combine(*tensors, 2.0, "mix")
    with pytest.raises(ConfigurationError, match="how='multiply'; expected 'add' or 'mix'"):
        combine(*tensors, 0.5, "multiply")


# ------------------------------------------------------------------------------------------------------- assign_credit


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("reward", REWARDS)
def test_assign_credit_is_its_steps(partition: str, reward: str) -> None:
    batch = random_batch(21)
    result = assign_credit(batch, reward=reward, partition=partition, weight=0.3, how="mix", bound=2.0)
    rewards = REWARDS[reward](batch)
    responses = response_advantages(rewards, batch.group)
    tokens = PARTITIONS[partition](batch, bound=2.0)
    torch.testing.assert_close(result.rewards, rewards, equal_nan=True, rtol=0, atol=0)
    assert torch.equal(result.response_advantages, responses)
    assert torch.equal(result.token_advantages, tokens)
    assert torch.equal(result.advantages, combine(responses, tokens, batch.mask, 0.3, "mix"))


def test_assign_credit_defaults_to_the_method_of_the_paper() -> None:
    batch = random_batch(22)
    result = assign_credit(batch)
    responses = response_advantages(satisfied_fraction(batch), batch.group)
    assert torch.equal(result.advantages, combine(responses, intra_sample(batch), batch.mask, 0.5))


def test_names_and_options_are_checked() -> None:
    batch = random_batch(23)
    with pytest.raises(ConfigurationError, match=r"reward 'csr'; expected one of \['all_or_nothing', 'satisfied_"):
        assign_credit(batch, reward="csr")
    with pytest.raises(ConfigurationError, match="partition 'intra'; expected one of"):
        assign_credit(batch, partition="intra")
    with pytest.raises(ConfigurationError, match=r"partition 'criteria_softmax' has no option \['sigma_floor'\]"):
        assign_credit(batch, partition="criteria_softmax", sigma_floor=0.05)


@few
@given(batch=credit_batches())
def test_lambda_0_is_grpo(batch: CreditBatch) -> None:
    result = assign_credit(batch, reward="all_or_nothing", weight=0.0)
    alone = response_advantages(all_or_nothing(batch), batch.group)
    assert torch.equal(result.advantages, alone.unsqueeze(1).where(batch.mask, 0.0))
    assert torch.equal(result.advantages, assign_credit(change(batch), reward="all_or_nothing", weight=0.0).advantages)
