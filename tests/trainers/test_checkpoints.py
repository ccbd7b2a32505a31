"""A killed run goes on: the newest whole checkpoint is found, and no finished step is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file
from trainers.conftest import written

from rtt.rubrics import Task
from rtt.trainers.checkpoints import last_complete_checkpoint


def checkpoint(folder: Path, step: int, state: str | None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    save_file({"weight": np.zeros(1000, dtype=np.float32)}, path / "adapter_model.safetensors")
    with zipfile.ZipFile(path / "optimizer.pt", "w") as archive:
        archive.writestr("data", "0" * 1000)
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return path


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = checkpoint(tmp_path, 9, '{"global_step": 9}')
    checkpoint(tmp_path, 8, '{"global_step": 8}')
    checkpoint(tmp_path, 10, None)
    checkpoint(tmp_path, 11, '{"global_step": 1')
    (tmp_path / "checkpoint-best").mkdir()
    assert last_complete_checkpoint(tmp_path) == whole
    passed_over = [str(path) for record in caplog.records for path in record.args or ()]
    assert passed_over == [str(tmp_path / "checkpoint-11"), str(tmp_path / "checkpoint-10")]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt"])
@pytest.mark.parametrize("kept", [0, 100, 0.5])
def test_a_checkpoint_that_a_disk_has_cut_since_is_passed_over(tmp_path: Path, name: str, kept: float) -> None:
    whole = checkpoint(tmp_path, 9, '{"global_step": 9}')
    damaged = checkpoint(tmp_path, 10, '{"global_step": 10}')
    assert last_complete_checkpoint(tmp_path) == damaged
    content = (damaged / name).read_bytes()
    (damaged / name).write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    assert last_complete_checkpoint(tmp_path) == whole


@pytest.mark.parametrize(
    "name", ["global_step10/zero_pp_rank_1_mp_rank_00_optim_states.pt", "optimizer.bin", "optimizer_0/.metadata"]
)
def test_the_parts_of_fsdp_and_deepspeed_count(tmp_path: Path, name: str) -> None:
    whole = checkpoint(tmp_path, 9, '{"global_step": 9}')
    damaged = checkpoint(tmp_path, 10, '{"global_step": 10}')
    for folder in ("global_step10", "optimizer_0"):
        (damaged / folder).mkdir()
    for archive in ("global_step10/zero_pp_rank_1_mp_rank_00_optim_states.pt", "optimizer.bin"):
        with zipfile.ZipFile(damaged / archive, "w") as opened:
            opened.writestr("data", "0" * 1000)
    for piece in ("__0_0.distcp", "__1_0.distcp", ".metadata"):
        (damaged / "optimizer_0" / piece).write_bytes(b"0" * 100)
    (damaged / "sentencepiece.bin").write_bytes(b"a tokenizer's, and no archive")
    assert last_complete_checkpoint(tmp_path) == damaged
    (damaged / name).unlink() if name.endswith(".metadata") else (damaged / name).write_bytes(b"PK")
    assert last_complete_checkpoint(tmp_path) == whole


def test_no_checkpoint(tmp_path: Path) -> None:
    assert last_complete_checkpoint(tmp_path) is None
    assert last_complete_checkpoint(tmp_path / "absent") is None


@pytest.mark.slow
def test_a_checkpoint_counts_when_every_process_has_written_its_part(tmp_path: Path) -> None:
    script = Path(__file__).with_name("slow_saving_run.py")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script), str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *launch], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert last_complete_checkpoint(tmp_path / "run") == tmp_path / "run/checkpoint-1"


# ------------------------------------------------------------------------------------------------------------- SIGKILL


def write_config(folder: Path, tasks: list[Task], **changes: Any) -> Path:
    config = {
        **written(folder, tasks),
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 12,
        "max_steps": 6,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_steps": 1,
        "records_steps": 1,
        "token_weight": 0.5,
        "report_to": "none",
        "use_cpu": True,
        "use_peft": True,
        "lora_target_modules": "all-linear",
        "lora_dropout": 0.1,  # a random number more: the generator's state has to survive, too
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def start(config: Path, output_dir: Path) -> subprocess.Popen[str]:
    options = ["--output_dir", str(output_dir), "--resume_from_checkpoint", "last"]
    return subprocess.Popen(
        [sys.executable, "-m", "rtt", "train", str(config), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]


def history(output_dir: Path) -> list[dict[str, float]]:
    state = json.loads((output_dir / "checkpoint-6" / "trainer_state.json").read_text())
    timing = ("time", "runtime", "per_second", "relevance_seconds", "relevance_share")
    return [
        {name: value for name, value in entry.items() if not any(word in name for word in timing)}
        for entry in state["log_history"]
    ]


def test_a_run_killed_by_sigkill_ends_as_the_undisturbed_one(tmp_path: Path, tasks: list[Task]) -> None:
    config = write_config(tmp_path, tasks)
    finish(start(config, tmp_path / "undisturbed"))

    disturbed = tmp_path / "disturbed"
    process = start(config, disturbed)
    deadline = time.monotonic() + 120
    while not (disturbed / "checkpoint-2" / "trainer_state.json").is_file():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    last = last_complete_checkpoint(disturbed)
    assert last is not None
    assert int(last.name.removeprefix("checkpoint-")) in range(2, 6)

    finish(start(config, disturbed))
    assert history(disturbed) == history(tmp_path / "undisturbed")
    for name in sorted(path.name for path in (tmp_path / "undisturbed" / "records").iterdir()):
        texts = [
            [json.loads(line)["text"] for line in (run / "records" / name).read_text().splitlines()]
            for run in (disturbed, tmp_path / "undisturbed")
        ]
        assert texts[0] == texts[1], name
    weights = [(run / "adapter_model.safetensors").read_bytes() for run in (disturbed, tmp_path / "undisturbed")]
    assert weights[0] == weights[1]
