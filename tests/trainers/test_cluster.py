"""The configurations of examples/cluster are understood by the libraries that they are for, and one of them is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from rtt.cli.train import parse
from rtt.demo.models import tiny_model
from rtt.records import read_records

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "examples" / "cluster"
TRAINING = sorted(file for file in CLUSTER.glob("*.yaml") if "model_name_or_path" in file.read_text("utf-8"))
LAUNCHING = sorted(set(CLUSTER.glob("*.yaml")) - set(TRAINING))


@pytest.mark.parametrize("file", TRAINING, ids=lambda file: file.stem)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_training_configuration_is_understood(file: Path) -> None:
    _, training, model, _ = parse(file, ["--bf16", "false", "--use_cpu", "true"])  # what this machine lacks
    content = yaml.safe_load(file.read_text("utf-8"))
    for name in ("token_weight", "num_generations", "max_completion_length", "records_steps", "silent_when_unanimous"):
        assert getattr(training, name) == content[name]
    assert model.model_name_or_path == content["model_name_or_path"]
    assert training.use_vllm == file.stem.startswith("vllm")
    if training.use_vllm:
        assert training.vllm_mode == {"vllm_colocated": "colocate", "vllm_server": "server"}[file.stem]
    assert (model.load_in_4bit, model.use_peft) == ((file.stem == "qlora",) * 2)


@pytest.mark.parametrize("file", LAUNCHING, ids=lambda file: file.stem)
def test_a_launch_configuration_is_understood(file: Path) -> None:
    config = load_config_from_file(str(file))
    kinds = {"ddp": "MULTI_GPU", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED", "fsdp2": "FSDP"}
    assert config.distributed_type.value == kinds[file.stem]
    assert config.num_processes == 8


def test_the_guide_names_every_configuration() -> None:
    page = (ROOT / "docs/engines.md").read_text("utf-8")
    named = set(re.findall(r"`(?:examples/cluster/)?(\w+\.yaml)`", page))
    assert named >= {file.name for file in CLUSTER.glob("*.yaml")}


TRAIN_AND_LOOK = """
from pathlib import Path
from rtt.cli import cli
cli.main(prog_name="rtt", standalone_mode=False)
left = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in left if "gloo" in name], left  # they might abort the interpreter's exit
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_on_cpus_train_together(tmp_path: Path, processes: int) -> None:
    network, tokenizer = tiny_model()
    network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [json.loads(line) for line in (ROOT / "examples/tasks.jsonl").read_text("utf-8").splitlines()]
    many = [{**row, "id": f"{row['id']}-{copy}"} for copy in range(4) for row in rows]
    (tmp_path / "tasks.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in many), "utf-8")
    config = {
        "model_name_or_path": str(tmp_path / "model"),
        "tasks": str(tmp_path / "tasks.jsonl"),
        "output_dir": str(tmp_path / "run"),
        "num_generations": 4,
        "per_device_train_batch_size": 4,
        "max_completion_length": 8,
        "max_steps": 2,
        "records_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config), "utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, *launch, "--no-python", sys.executable, "-c", TRAIN_AND_LOOK, "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(tmp_path / "train.yaml")], capture_output=True, text=True, env=environment, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    records = list(read_records(tmp_path / "run/records"))
    assert [record.step for record in records] == [1] * 4 * processes + [2] * 4 * processes
    assert len({record.group for record in records if record.step == 1}) == processes
