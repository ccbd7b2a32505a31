"""A served discriminator in the trainer: the run of a local one, from one server for all; faults end it resumably."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from served_discriminator import serving

from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError, RelevanceFailureError
from rtt.records import read_records
from rtt.relevance.discriminator import Discriminator, served
from rtt.relevance.discriminator.model import fingerprint
from rtt.rubrics import Task
from rtt.trainers.checkpoints import last_complete_checkpoint
from rtt.trainers.trl import RTTConfig, RTTTrainer

SCRIPT = Path(__file__).with_name("served_run.py")


def trainer(tasks: list[Task], config: RTTConfig) -> RTTTrainer:
    model, tokenizer = tiny_model()
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer)


def same_weights(one: RTTTrainer, other: RTTTrainer) -> bool:
    weights, expected = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(weights[name], expected[name]) for name in expected)


class Failing:
    """A discriminator whose server loses it after so many requests."""

    def __init__(self, discriminator: Discriminator, requests: float) -> None:
        self.discriminator = discriminator
        self.settings, self.window = discriminator.settings, discriminator.window
        self.left = requests
        self.asked = 0

    def tokens(self, criteria: Sequence[Sequence[str]], texts: Sequence[str], **options: Any) -> Any:
        self.left -= 1
        self.asked += 1
        if self.left < 0:
            raise RuntimeError("out of memory")
        return self.discriminator.tokens(criteria, texts, **options)


@pytest.fixture(scope="module")
def discriminator(discriminator_folder: Path) -> Discriminator:
    return Discriminator.from_pretrained(discriminator_folder)


@pytest.mark.parametrize("relevance", ["discriminator", "shuffled"])
def test_a_run_is_bit_for_bit_that_of_the_local_one(
    tasks: list[Task],
    config: Callable[..., RTTConfig],
    discriminator_folder: Path,
    discriminator: Discriminator,
    relevance: str,
) -> None:
    options = {"relevance": relevance, "max_steps": 3}
    if relevance == "shuffled":
        options["relevance_shuffled"] = "discriminator"
    local = trainer(tasks, config(relevance_model=str(discriminator_folder), **options))
    local.train()
    with serving(discriminator) as url:
        asking = trainer(tasks, config(relevance_model=url, **options))
        asking.train()
    assert same_weights(asking, local)
    assert any(entry.get("rtt/token_advantage_size", 0) > 0 for entry in local.state.log_history)


def test_a_server_that_fails_stops_the_run_which_goes_on_as_if_undisturbed(
    tasks: list[Task], config: Callable[..., RTTConfig], discriminator: Discriminator, tmp_path: Path
) -> None:
    def run(url: str, folder: str, **options: Any) -> RTTTrainer:
        output = str(tmp_path / folder)
        return trainer(tasks, config(relevance="discriminator", relevance_model=url, max_steps=4, output_dir=output))

    with serving(discriminator) as url:
        undisturbed = run(url, "undisturbed")
        undisturbed.train()
    checkpoint = tmp_path / "stopped/checkpoint-2"
    with serving(Failing(discriminator, 2)) as url, pytest.raises(RelevanceFailureError) as caught:
        run(url, "stopped").train()
    assert re.fullmatch(
        rf"in the rollout for step 3: {url}/v1/relevance answered 500 'Internal Server Error'; expected .* says more; "
        rf"then go on from step 2 with resume_from_checkpoint='{checkpoint}'",
        str(caught.value),
    )
    with serving(discriminator, "cd" * 32) as url:
        words = f"{checkpoint} is of a run with the discriminator abababababab; {url} serves cdcdcdcdcdcd: serve that"
        with pytest.raises(ConfigurationError, match=words):
            run(url, "stopped").train(resume_from_checkpoint=str(checkpoint))
    with serving(discriminator) as url:  # at another port, which is no matter
        resumed = run(url, "stopped")
        resumed.train(resume_from_checkpoint=str(checkpoint))
    assert same_weights(resumed, undisturbed)


def test_before_the_first_step_the_message_is_the_same_and_nothing_to_resume(
    tasks: list[Task], config: Callable[..., RTTConfig], discriminator: Discriminator, tmp_path: Path
) -> None:
    with (
        serving(Failing(discriminator, 0)) as url,
        pytest.raises(RelevanceFailureError, match="no step was finished yet, so there is nothing to resume"),
    ):
        trainer(tasks, config(relevance="discriminator", relevance_model=url)).train()
    assert last_complete_checkpoint(tmp_path / "run") is None


def test_where_nothing_is_served_training_does_not_begin(
    tasks: list[Task], config: Callable[..., RTTConfig], monkeypatch: pytest.MonkeyPatch, discriminator: Discriminator
) -> None:
    with serving(discriminator) as url:
        pass
    monkeypatch.setattr(served, "RETRIES", 0)
    with pytest.raises(RelevanceFailureError, match=f"no discriminator answers at {url}"):
        trainer(tasks, config(relevance="discriminator", relevance_model=url))


def test_the_server_has_a_device_of_its_own(config: Callable[..., RTTConfig]) -> None:
    with pytest.raises(ConfigurationError, match="relevance_device='cpu' for the discriminator at http://h:1, whose"):
        config(relevance="discriminator", relevance_model="http://h:1", relevance_device="cpu")


# -------------------------------------------------------------------------------------------------- several processes


def launch(processes: int, output: Path, url: str, **options: Any) -> None:
    output.mkdir(exist_ok=True)
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, *(several if processes > 1 else []), str(SCRIPT), str(output), url, json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_ask_one_server_what_they_would_ask_a_local_one(
    tmp_path: Path, discriminator_folder: Path, discriminator: Discriminator
) -> None:
    counted = Failing(discriminator, float("inf"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the processes that are launched: sums depend on it
    try:
        with serving(counted, fingerprint(discriminator_folder)) as url:
            launch(2, tmp_path / "served", url)
    finally:
        torch.set_num_threads(threads)
    launch(2, tmp_path / "local", str(discriminator_folder))
    assert counted.asked == 2 * 4  # each process once a rollout
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("served", "local")]
    assert weights[0] == weights[1]
    served_records, local_records = (list(read_records(tmp_path / name / "records")) for name in ("served", "local"))
    assert [one.relevance for one in served_records] == [one.relevance for one in local_records]


@pytest.mark.slow
def test_where_the_server_fails_one_of_two_processes_both_stop_with_its_error_and_go_on(
    tmp_path: Path, discriminator: Discriminator
) -> None:
    with serving(discriminator) as url:
        launch(2, tmp_path / "undisturbed", url)
    with serving(Failing(discriminator, 5)) as url:  # two requests in each of two steps, and one in the third
        launch(2, tmp_path / "stopped", url)
    messages = [(tmp_path / "stopped" / f"error-{process}").read_text() for process in range(2)]
    assert messages[0] == messages[1]
    checkpoint = tmp_path / "stopped/checkpoint-2"
    assert f"in the rollout for step 3: {url}/v1/relevance answered 500" in messages[0]
    assert str(checkpoint) in messages[0]
    with serving(discriminator) as url:
        launch(2, tmp_path / "stopped", url, resume=str(checkpoint))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("stopped", "undisturbed")]
    assert weights[0] == weights[1]
