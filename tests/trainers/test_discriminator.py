"""A trained discriminator in the trainer: its relevance, on the policy's tokens, makes the advantages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from rtt.alignment import token_means
from rtt.demo.discriminator import tiny_backbone
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError
from rtt.records import read_records
from rtt.relevance.discriminator import Discriminator
from rtt.relevance.discriminator.inputs import Template
from rtt.relevance.discriminator.model import DiscriminatorSettings, build_network
from rtt.rubrics import Task
from rtt.trainers.trl import RTTConfig, RTTTrainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def trainer(tasks: list[Task], config: RTTConfig) -> RTTTrainer:
    model, tokenizer = tiny_model()
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer)


def test_its_relevance_lies_on_the_policys_tokens(
    tasks: list[Task], config: Callable[..., RTTConfig], folder: Path
) -> None:
    args = config(relevance="discriminator", relevance_model=str(folder), max_steps=1, records_steps=1)
    trainer(tasks, args).train()
    discriminator = Discriminator.from_pretrained(folder)
    records = list(read_records(Path(args.output_dir) / "records"))
    assert records
    for record in records:
        asked = [criterion.text for criterion in record.task.rubric.criteria]
        (values,) = discriminator.characters([asked], [record.response.text])
        np.testing.assert_allclose(record.relevance, token_means(record.response.spans, values), atol=1e-5)


def test_loading_and_scoring_change_nothing_that_is_sampled(
    tasks: list[Task], config: Callable[..., RTTConfig], folder: Path
) -> None:
    texts = []
    for options in ({}, {"relevance": "discriminator", "relevance_model": str(folder)}):
        args = config(max_steps=1, records_steps=1, **options)
        trainer(tasks, args).train()
        texts.append([record.response.text for record in read_records(Path(args.output_dir) / "records")])
    assert texts[0] == texts[1]


def test_its_share_of_a_step_is_logged(tasks: list[Task], config: Callable[..., RTTConfig], folder: Path) -> None:
    one = trainer(tasks, config(relevance="discriminator", relevance_model=str(folder), max_steps=1))
    one.train()
    logged = next(row for row in one.state.log_history if "rtt/relevance_share" in row)
    assert 0 < logged["rtt/relevance_share"] < 1
    assert logged["rtt/relevance_seconds"] > 0


def test_a_model_of_another_kind_is_refused_before_training(
    tasks: list[Task], config: Callable[..., RTTConfig], folder: Path
) -> None:
    args = config(relevance="discriminator", relevance_model=str(folder.parent / "backbone"))
    with pytest.raises(ConfigurationError, match="holds a model of another kind"):
        trainer(tasks, args)
