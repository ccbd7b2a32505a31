"""What GPUs are for, on CPUs: weights that processes share out (FSDP2, DeepSpeed's ZeRO), and weights in 4 bits.

DeepSpeed and bitsandbytes are no dependencies: `make test-engines` has them, in an environment of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file
from trainers.conftest import task, written

from rtt.cli.train import build_trainer, parse
from rtt.demo.models import tiny_model
from rtt.records import Record, read_records

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("sharded_run.py")

QLORA = ROOT / "examples/cluster/qlora.yaml"

HAS_DEEPSPEED = importlib.util.find_spec("deepspeed") is not None
deepspeed = pytest.mark.skipif(not HAS_DEEPSPEED, reason="deepspeed is not installed")
ENGINES = ["fsdp2", pytest.param("zero2", marks=deepspeed), pytest.param("zero3", marks=deepspeed)]

pytestmark = pytest.mark.slow


# --------------------------------------------------------------------------------------------------- shared-out weights


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of two groups a step, one a process, with a tiny model."""
    folder = tmp_path_factory.mktemp("sharded")
    settings = {
        **written(folder, [task(number) for number in range(4)]),
        "num_generations": 4,
        "per_device_train_batch_size": 4,
        "max_completion_length": 12,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "records_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "seed": 3,
        "report_to": "none",
        "disable_tqdm": True,
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    return folder / "train.yaml"


def train(config: Path, engine: str, run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Train by two processes: "ddp", each with all weights, or as a file of examples/cluster says."""
    if engine == "ddp":
        launch = ["torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "rtt"]
        options = ("--use_cpu", "true", *options)
    else:
        file = ROOT / f"examples/cluster/{engine}.yaml"
        given = ("--config_file", str(file), "--num_processes", "2", "--mixed_precision", "no")
        launch = ["accelerate.commands.launch", *given, str(SCRIPT)]
    command = [sys.executable, "-m", *launch, "train", str(config), "--output_dir", str(run), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def records(run: Path) -> list[Record]:
    return list(read_records(run / "records"))


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps of two processes that hold all weights."""
    run = tmp_path_factory.mktemp("whole") / "run"
    done = train(config, "ddp", run, "--max_steps", "3")
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def same(run: Path, other: Path) -> None:
    """The same responses, the same credit, the same weights in the end."""
    one, two = records(run), records(other)
    assert [record.step for record in one] == [record.step for record in two] == [1] * 8 + [2] * 8 + [3] * 8
    for ours, theirs in zip(one, two, strict=True):
        assert (ours.task.id, ours.response.text) == (theirs.task.id, theirs.response.text)
        np.testing.assert_allclose(ours.advantages, theirs.advantages, atol=1e-6)
    assert any(any(record.token_advantages) for record in one)
    weights, others = load_file(run / "model.safetensors"), load_file(other / "model.safetensors")
    tied = {"lm_head.weight": others["model.embed_tokens.weight"]}  # FSDP writes it as well
    assert others.keys() <= weights.keys() <= others.keys() | tied.keys()
    for name, values in weights.items():
        np.testing.assert_allclose(values, (tied | others)[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES)
def test_shared_out_weights_are_trained_as_whole_ones_and_a_run_goes_on(
    config: Path, whole: Path, tmp_path: Path, engine: str
) -> None:
    run = tmp_path / "run"
    done = train(config, engine, run, "--max_steps", "3")
    assert done.returncode == 0, done.stderr[-3000:]
    same(run, whole)
    before = load_file(config.parent / "model/model.safetensors")
    after = load_file(run / "model.safetensors")
    moved = max(float(np.abs(after[name] - values).max()) for name, values in before.items() if name in after)
    assert moved > 1e-4  # ten times what the comparison allows

    # The last checkpoint is gone, as if the run had been killed before it: the run goes on from the second.
    shutil.rmtree(run / "checkpoint-3")
    (run / "model.safetensors").unlink()
    done = train(config, engine, run, "--max_steps", "3", "--resume_from_checkpoint", "last")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resuming from" in done.stderr
    same(run, whole)


@pytest.fixture(scope="module")
def reference(config: Path) -> Path:
    """A model whose expectations are strong enough to differ with the prompt; no training makes the tiny one's so."""
    network, tokenizer = tiny_model(seed=1)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(8)
    network.save_pretrained(config.parent / "reference")
    tokenizer.save_pretrained(config.parent / "reference")
    return config.parent / "reference"


@pytest.mark.parametrize("relevance", ["discriminator", "contrast"])
def test_a_relevance_model_is_whole_in_every_process(
    config: Path, discriminator_folder: Path, reference: Path, tmp_path: Path, relevance: str
) -> None:
    model = {"discriminator": discriminator_folder, "contrast": reference}[relevance]
    options = ("--max_steps", "1", "--save_strategy", "no", "--relevance", relevance, "--relevance_model", str(model))
    found = {}
    for engine in ("ddp", "fsdp2", *(["zero3"] if HAS_DEEPSPEED else [])):
        done = train(config, engine, tmp_path / engine, *options)
        assert done.returncode == 0, done.stderr[-3000:]
        found[engine] = records(tmp_path / engine)
    for engine, shared in found.items():
        for ours, theirs in zip(shared, found["ddp"], strict=True):
            assert ours.response.text == theirs.response.text, engine
            np.testing.assert_allclose(ours.relevance, theirs.relevance, atol=1e-6, err_msg=engine)
    for process in (found["ddp"][:4], found["ddp"][4:]):
        assert np.ptp([value for record in process for row in record.relevance for value in row]) > 1e-3


def test_contrast_needs_the_whole_policy(config: Path, tmp_path: Path) -> None:
    done = train(config, "fsdp2", tmp_path / "run", "--max_steps", "1", "--relevance", "contrast")
    assert done.returncode != 0
    assert (
        "relevance='contrast' reads the policy as a whole, which FSDP and DeepSpeed ZeRO-3 keep in parts" in done.stderr
    )


# --------------------------------------------------------------------------------------------------- weights in 4 bits


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_learns_beside_weights_of_4_bits(config: Path, tmp_path: Path) -> None:
    from bitsandbytes.nn import Linear4bit

    here = yaml.safe_load(config.read_text("utf-8"))  # the shipped configuration but for what a test can do in seconds
    names = ("model_name_or_path", "tasks", "num_generations", "per_device_train_batch_size", "max_completion_length")
    options = [part for name in names for part in (f"--{name}", str(here[name]))]
    options += ["--output_dir", str(tmp_path / "run"), "--use_cpu", "true", "--bf16", "false", "--max_steps", "2"]
    options += ["--gradient_accumulation_steps", "2", "--records_steps", "1", "--learning_rate", "1e-3"]
    trainer = build_trainer(*parse(QLORA, [*options, "--report_to", "none", "--save_strategy", "no"])[:3])

    def copied(*, adapter: bool) -> dict[str, torch.Tensor]:
        own = trainer.model.named_parameters()
        return {name: value.detach().clone() for name, value in own if ("lora_" in name) is adapter}

    quantised = [module for module in trainer.model.modules() if isinstance(module, Linear4bit)]
    assert len(quantised) >= 7  # those of one layer of the model
    assert {module.weight.dtype for module in quantised} == {torch.uint8}
    weights, adapter = copied(adapter=False), copied(adapter=True)
    trainer.train()
    assert all(torch.equal(value, weights[name]) for name, value in copied(adapter=False).items())
    assert any(not torch.equal(value, adapter[name]) for name, value in copied(adapter=True).items())
    assert {record.step for record in records(tmp_path / "run")} == {1, 2}
    assert any(any(record.token_advantages) for record in records(tmp_path / "run"))
