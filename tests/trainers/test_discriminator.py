"""A trained discriminator in the trainer: its relevance, on the policy's tokens, makes the advantages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtt.alignment import token_means
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError
from rtt.records import read_records
from rtt.relevance.discriminator import Discriminator
from rtt.rubrics import Task
from rtt.trainers.trl import RTTConfig, RTTTrainer


def trainer(tasks: list[Task], config: RTTConfig) -> RTTTrainer:
    model, tokenizer = tiny_model()
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer)


def test_its_relevance_lies_on_the_policys_tokens(
    tasks: list[Task], config: Callable[..., RTTConfig], discriminator_folder: Path
) -> None:
    args = config(relevance="discriminator", relevance_model=str(discriminator_folder), max_steps=1, records_steps=1)
    trainer(tasks, args).train()
    discriminator = Discriminator.from_pretrained(discriminator_folder)
    records = list(read_records(Path(args.output_dir) / "records"))
    assert records
    for record in records:
        asked = [criterion.text for criterion in record.task.rubric.criteria]
        (values,) = discriminator.characters([asked], [record.response.text])
        np.testing.assert_allclose(record.relevance, token_means(record.response.spans, values), atol=1e-5)


def test_loading_and_scoring_change_nothing_that_is_sampled(
    tasks: list[Task], config: Callable[..., RTTConfig], discriminator_folder: Path
) -> None:
    texts = []
    for options in ({}, {"relevance": "discriminator", "relevance_model": str(discriminator_folder)}):
        args = config(max_steps=1, records_steps=1, **options)
        trainer(tasks, args).train()
        texts.append([record.response.text for record in read_records(Path(args.output_dir) / "records")])
    assert texts[0] == texts[1]


def test_its_share_of_a_step_is_logged(
    tasks: list[Task], config: Callable[..., RTTConfig], discriminator_folder: Path
) -> None:
    one = trainer(tasks, config(relevance="discriminator", relevance_model=str(discriminator_folder), max_steps=1))
    one.train()
    logged = next(row for row in one.state.log_history if "rtt/relevance_share" in row)
    assert 0 < logged["rtt/relevance_share"] < 1
    assert logged["rtt/relevance_seconds"] > 0


def test_a_model_of_another_kind_is_refused_before_training(
    tasks: list[Task], config: Callable[..., RTTConfig], discriminator_folder: Path
) -> None:
    args = config(relevance="discriminator", relevance_model=str(discriminator_folder.parent / "backbone"))
    with pytest.raises(ConfigurationError, match="holds a model of another kind"):
        trainer(tasks, args)
