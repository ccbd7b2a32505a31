"""The examples: what README shows runs, and shows what it says."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from rtt.cli import cli
from rtt.rubrics import read_tasks

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def test_the_example_responses_are_verified() -> None:
    result = CliRunner().invoke(cli, ["verify", str(EXAMPLES / "tasks.jsonl"), str(EXAMPLES / "responses.jsonl")])
    assert result.exit_code == 0
    outcomes = [[verdict["outcome"] for verdict in json.loads(line)["verdicts"]] for line in result.stdout.splitlines()]
    assert outcomes == [[1, 1, 1], [-1, -1, -1], [-1, -1], [-1, 0]]


def test_the_example_config_is_understood() -> None:
    from rtt.cli.train import parse

    arguments, training, model, _ = parse(EXAMPLES / "train.yaml")
    assert read_tasks(ROOT / arguments.tasks[0])
    assert (training.partition, training.token_weight, model.use_peft) == ("criterion_group", 2.0, True)


@pytest.fixture(scope="module")
def loop() -> ModuleType:
    """examples/rtt_loop.py as a module."""
    spec = importlib.util.spec_from_file_location("rtt_loop", EXAMPLES / "rtt_loop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rtt_loop"] = module
    spec.loader.exec_module(module)
    return module


def test_the_loop_learns_for_two_steps_and_says_what_was_credited(
    loop: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.main(["--steps", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 1", "step 2"]
    for line in lines:
        assert re.fullmatch(
            r"step \d: rubric accuracy [01]\.\d{3}, (most credited .+, most blamed .+|no credit: .+)", line
        )
    assert any("most blamed" in line for line in lines)


def test_the_loop_without_a_token_level_has_the_gradient_of_grpo(loop: ModuleType) -> None:
    """GRPO written anew: each response alone, unpadded, its advantage times the mean of its log-probabilities."""
    import statistics

    import torch

    from rtt.demo.models import tiny_model
    from rtt.generation import render
    from rtt.verifiers import verify

    model, tokenizer = tiny_model()
    torch.manual_seed(0)
    temperature, group = 0.9, 4
    rollout = loop.sample(model, tokenizer, read_tasks(EXAMPLES / "tasks.jsonl"), group, 32, temperature)

    def gradient() -> list[torch.Tensor]:
        found = [parameter.grad.clone() for parameter in model.parameters()]
        model.zero_grad()
        return found

    def of_the_loop(weight: float) -> list[torch.Tensor]:
        new = loop.log_probabilities(model, rollout, temperature)
        given = loop.assign(rollout, partition="intra_sample", weight=weight)
        loop.surrogate(new, new.detach(), given.advantages, rollout.mask).backward()
        return gradient()

    rewards = []
    for task, response in zip(rollout.tasks, rollout.responses, strict=True):
        decided = [int(verdict.outcome) for verdict in verify(task, response.text) if verdict.determined]
        rewards.append(sum(outcome == 1 for outcome in decided) / len(decided))
    assert len(set(rewards)) > 1, "no signal: choose another seed"
    for i, (task, response) in enumerate(zip(rollout.tasks, rollout.responses, strict=True)):
        peers = rewards[i // group * group : i // group * group + group]
        advantage = (rewards[i] - statistics.mean(peers)) / (statistics.stdev(peers) + 1e-6)
        prompt = tokenizer(render(tokenizer, task.prompt), add_special_tokens=False)["input_ids"]
        logits = model(torch.tensor([[*prompt, *response.token_ids]])).logits[0, len(prompt) - 1 : -1] / temperature
        chosen = logits.log_softmax(-1)[range(len(response.token_ids)), list(response.token_ids)]
        (-advantage * chosen.mean() / len(rewards)).backward()
    plain = gradient()

    assert max(float(part.abs().max()) for part in plain) > 1e-3
    for ours, expected in zip(of_the_loop(0.0), plain, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-6)
    assert not all(torch.allclose(ours, expected) for ours, expected in zip(of_the_loop(0.5), plain, strict=True))


def test_the_loops_loss_is_clipped_on_both_sides(loop: ModuleType) -> None:
    import torch

    old = torch.zeros(1, 4)
    new = torch.tensor([[1.5, 1.5, 0.5, 0.5]]).log().requires_grad_()
    advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    loss = loop.surrogate(new, old, advantages, torch.ones(1, 4, dtype=torch.bool))
    # a good token above 1.27 and a bad one below 0.8 are left alone; the two that went the wrong way are not
    assert float(loss.detach()) == pytest.approx(-(1.27 - 1.5 + 0.5 - 0.8) / 4)
    loss.backward()
    torch.testing.assert_close(new.grad, torch.tensor([[0.0, 1.5, -0.5, 0.0]]) / 4)
