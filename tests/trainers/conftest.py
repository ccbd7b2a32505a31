"""Small tasks, a tiny model and a short configuration for the trainer's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoTokenizer

from rtt.demo.discriminator import tiny_backbone
from rtt.demo.models import tiny_model
from rtt.relevance.discriminator.inputs import Template
from rtt.relevance.discriminator.model import Discriminator, DiscriminatorSettings, build_network
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, write_tasks

if TYPE_CHECKING:
    from rtt.trainers.trl import RTTConfig


def task(number: int) -> Task:
    """Two to three rules that a random byte model meets now and then."""
    rules = [
        ("punctuation:no_comma", {}),
        ("length_constraints:number_words", {"num_words": 3 + number, "relation": "less than"}),
        ("keywords:letter_frequency", {"letter": "a", "let_frequency": 1, "let_relation": "at least"}),
    ][: 2 + number % 2]
    criteria = tuple(
        Criterion(id=f"c{k}", text=f"criterion {k}", rule=Rule(name=name, arguments=arguments))
        for k, (name, arguments) in enumerate(rules)
    )
    prompt = (Message(role="user", content=f"Write line {number}."),)
    return Task(id=f"task-{number}", prompt=prompt, rubric=Rubric(criteria=criteria))


def written(folder: Path, tasks: list[Task]) -> dict[str, str]:
    """The tiny model and the tasks as files in a folder, and the options of ``rtt train`` that name them."""
    for part in tiny_model():
        part.save_pretrained(folder / "model")
    write_tasks(folder / "tasks.jsonl", tasks)
    return {"model_name_or_path": str(folder / "model"), "tasks": str(folder / "tasks.jsonl")}


@pytest.fixture
def tasks() -> list[Task]:
    return [task(number) for number in range(4)]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Options of GRPOConfig and RTTConfig alike: 2 groups of 4 short responses a step."""

    def build(**changes: Any) -> dict[str, Any]:
        return {
            "output_dir": str(tmp_path / "run"),
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": 12,
            "learning_rate": 1e-2,
            "max_steps": 2,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "disable_tqdm": True,
            "seed": 3,
            "loss_type": "grpo",
            "epsilon_high": 0.27,
            **changes,
        }

    return build


@pytest.fixture
def config(settings: Callable[..., dict[str, Any]]) -> Callable[..., RTTConfig]:
    """The paper's partition and lambda, unless a test says otherwise: closed forms are easiest there."""
    from rtt.trainers.trl import RTTConfig  # not in verl's environment

    return lambda **changes: RTTConfig(**{"partition": "intra_sample", "token_weight": 0.5, **settings(**changes)})


@pytest.fixture(scope="session")
def discriminator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A discriminator with random weights: another vocabulary than the policy's bytes."""
    place = tmp_path_factory.mktemp("discriminator")
    backbone = tiny_backbone(place / "backbone")
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    settings = DiscriminatorSettings(template=Template.default(tokenizer).text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(backbone, settings)
        with torch.no_grad():
            for part in network.interaction.parameters():  # type: ignore[union-attr]
                part.normal_(std=0.3)
    Discriminator(network, tokenizer, settings).save_pretrained(place / "model")
    return place / "model"
