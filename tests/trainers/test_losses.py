"""TRL's own loss on advantages of each token: every loss type, corrections for another sampler, reused rollouts.

The objectives are written out again in the test, with the log-probabilities that TRL computes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rtt.demo.models import tiny_model
from rtt.records import read_records
from rtt.rubrics import Task
from rtt.trainers.trl import RTTConfig, RTTTrainer

Config = Callable[..., RTTConfig]

LENGTH = 12
"""max_completion_length of the fixture ``config``."""


def rtt_trainer(tasks: list[Task], config: RTTConfig) -> RTTTrainer:
    model, tokenizer = tiny_model()
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer)


def batch() -> dict[str, Tensor]:
    """Four responses of up to 9 tokens with a tool's in their midst, sampled by an earlier policy."""
    generator = torch.Generator().manual_seed(7)
    mask = torch.arange(9) < torch.tensor([9, 4, 6, 1]).unsqueeze(1)
    own = torch.ones(4, 9, dtype=torch.long)
    own[0, 2:5] = own[2, 3] = 0
    real = mask & own.bool()
    return {
        "prompt_ids": torch.randint(3, 250, (4, 5), generator=generator),
        "prompt_mask": torch.ones(4, 5, dtype=torch.long),
        "completion_ids": torch.randint(3, 250, (4, 9), generator=generator),
        "completion_mask": mask.long(),
        "tool_mask": own,
        "advantages": torch.randn(4, 9, generator=generator).where(real, 0.0),
        "old_per_token_logps": -5.5 + 0.6 * torch.randn(4, 9, generator=generator),
        "num_items_in_batch": real.sum(),
    }


def objective(loss_type: str, new: Tensor, inputs: dict[str, Tensor], correction: Tensor | None) -> Tensor:
    """The loss by its definition, response by response and token by token, without masks."""
    ratios = (new - inputs["old_per_token_logps"]).exp()
    responses = []
    for i in range(len(new)):
        terms = []
        for t in range(new.shape[1]):
            if not (inputs["completion_mask"][i, t] and inputs["tool_mask"][i, t]):
                continue
            advantage, ratio = inputs["advantages"][i, t], ratios[i, t]
            if loss_type == "cispo":
                term = ratio.detach().clamp(max=0.27) * advantage * new[i, t]
            else:
                term = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.27) * advantage)
            terms.append(term if correction is None else term * correction[i, min(t, correction.shape[1] - 1)])
        responses.append(torch.stack(terms))
    tokens = torch.cat(responses)
    aggregated = {
        "grpo": torch.stack([terms.mean() for terms in responses]).mean(),
        "dr_grpo": tokens.sum() / (len(responses) * LENGTH),
    }
    return -aggregated.get(loss_type, tokens.mean())  # bnpo, dapo and cispo: every token of the batch weighs the same


@pytest.mark.parametrize("correction", ["none", "token", "sequence"])
@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo"])
def test_the_loss_is_that_of_each_tokens_advantage(
    tasks: list[Task], config: Config, loss_type: str, correction: str
) -> None:
    """Its value and its gradient, also with the ratios of policy and sampler that vLLM's correction puts in."""
    trainer = rtt_trainer(tasks, config(loss_type=loss_type))
    trainer.current_gradient_accumulation_steps = 1
    inputs = batch()
    shape = {"none": None, "token": (4, 9), "sequence": (4, 1)}[correction]
    if shape is not None:
        trainer.use_vllm = True  # as if vLLM had sampled: the loss multiplies by the ratio that is given
        inputs["importance_sampling_ratio"] = torch.rand(shape, generator=torch.Generator().manual_seed(3)) + 0.5
    trainer.model.train()
    parameters = list(trainer.model.parameters())
    loss = trainer._compute_loss(trainer.model, inputs)
    gradient = torch.autograd.grad(loss, parameters)

    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    logits = trainer.model(input_ids=ids, attention_mask=attention).logits[:, 4:-1]
    new = logits.log_softmax(-1).gather(-1, inputs["completion_ids"].unsqueeze(-1)).squeeze(-1)
    expected = objective(loss_type, new, inputs, inputs.get("importance_sampling_ratio"))
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(gradient, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    averaged = {**inputs, "advantages": inputs["advantages"].sum(1) / inputs["completion_mask"].sum(1)}
    assert (trainer._compute_loss(trainer.model, averaged) - loss).abs() > 1e-3  # of each response is another


@pytest.mark.parametrize("mode", ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"])
def test_vllms_ratios_meet_advantages_of_each_token(tasks: list[Task], config: Config, mode: str) -> None:
    """TRL's own correction in a training step; vLLM itself is not there, and its log-probabilities are made up."""
    options = {"vllm_importance_sampling_mode": mode, "vllm_importance_sampling_clip_max": 2.0}
    trainer = rtt_trainer(tasks, config(**options, max_steps=1))
    tokenizer = trainer.processing_class
    texts = [",", "a,b,", "no", "x, y", "", "a", "b, a", "no, a"]

    def sampled(prompt_ids: Any, *_: Any, **__: Any) -> Any:
        ids = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in texts]
        return ids, [[-5.0 - 0.9 * (t % 3) for t in range(len(row))] for row in ids]

    trainer._generate_single_turn = sampled
    trainer.use_vllm = True
    seen: list[dict[str, Tensor]] = []
    plain = trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: (seen.append(inputs), plain(model, inputs))[1]
    trainer.train()
    (inputs,) = seen
    mask = inputs["completion_mask"].bool()
    gap = (inputs["old_per_token_logps"] - inputs["sampling_per_token_logps"]).where(mask, 0.0)
    ratio = (gap.sum(1, keepdim=True) if "sequence" in mode else gap).exp()
    bounded = ratio.clamp(max=2.0) if "truncate" in mode else ratio.where(ratio <= 2.0, 0.0)
    torch.testing.assert_close(inputs["importance_sampling_ratio"], bounded)
    assert (ratio > 2.0).any()
    assert inputs["advantages"].shape == mask.shape
    assert any(len(set(row[own].tolist())) > 1 for row, own in zip(inputs["advantages"], mask, strict=True))
    assert math.isfinite(trainer.state.log_history[0]["grad_norm"])
    assert trainer.state.log_history[0]["grad_norm"] > 0


@pytest.mark.parametrize(
    "options",
    [
        {"num_iterations": 3, "max_steps": 6},
        {"steps_per_generation": 4, "gradient_accumulation_steps": 2, "max_steps": 4},
        {"steps_per_generation": 2, "gradient_accumulation_steps": 1, "num_iterations": 2, "max_steps": 8},
        {"gradient_accumulation_steps": 2, "steps_per_generation": 1, "max_steps": 1},
        {"mask_truncated_completions": True, "max_steps": 2},
    ],
    ids=lambda options: "-".join(f"{name}={value}" for name, value in options.items() if name != "max_steps"),
)
def test_every_use_of_a_rollout_sees_its_tokens_advantages(
    tasks: list[Task], config: Config, options: dict[str, Any]
) -> None:
    """However often, in whatever pieces and in whatever order: tokens and advantages stay together."""
    size = 4 if options.get("steps_per_generation", 1) > 1 else 8
    trainer = rtt_trainer(tasks, config(**options, per_device_train_batch_size=size, records_steps=1))
    eos = trainer.processing_class.eos_token_id
    drawn = random.Random(5)

    def sampled(prompt_ids: Any, *_: Any, **__: Any) -> Any:
        texts = ["".join(drawn.choices("ab, ", k=drawn.randrange(1, LENGTH))) for _ in prompt_ids]
        return [[*trainer.processing_class(text).input_ids, *[eos] * drawn.randrange(2)] for text in texts], None

    trainer._generate_single_turn = sampled
    seen: list[dict[str, Tensor]] = []
    plain = trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: (seen.append(inputs), plain(model, inputs))[1]
    trainer.train()
    records = list(read_records(Path(trainer.args.output_dir) / "records"))
    uses = options.get("num_iterations", 1)
    accumulated = options.get("gradient_accumulation_steps", 1)
    assert len(seen) == options["max_steps"] * accumulated
    assert size * len(seen) == uses * len(records)
    found: dict[tuple[int, ...], list[list[float]]] = {}
    for inputs in seen:
        for ids, real, advantages in zip(
            inputs["completion_ids"], inputs["completion_mask"].bool(), inputs["advantages"], strict=True
        ):
            assert not advantages[~real].any()
            if real.any():
                found.setdefault(tuple(ids[real].tolist()), []).append(advantages[real].tolist())
    kept = [
        record
        for record in records
        if not options.get("mask_truncated_completions") or record.response.token_ids[-1] == eos
    ]
    assert sum(map(len, found.values())) == uses * len(kept)
    assert 0 < len(kept) < len(records) or not options.get("mask_truncated_completions")
    for record in kept:
        assert any(np.allclose(record.advantages, row, atol=2e-5) for row in found[record.response.token_ids])
        assert len(found[record.response.token_ids]) % uses == 0
    for record in records:
        if record not in kept:
            assert not any(record.advantages)
