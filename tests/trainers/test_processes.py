"""Several processes: a group that is split over them gets the advantages that one process gives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtt.records import Record, read_records

SCRIPT = Path(__file__).with_name("scripted_run.py")


def run(output_dir: Path, options: dict[str, Any], processes: int) -> tuple[list[Record], dict[str, float]]:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    launcher = [] if processes == 1 else several
    command = [sys.executable, *launcher, str(SCRIPT), str(output_dir), json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    state = json.loads((output_dir / "state.json").read_text())
    return list(read_records(output_dir / "records")), state["log_history"][0]


CASES = {
    "intra_sample": {"partition": "intra_sample", "silent_when_unanimous": True},
    "criterion_group": {"partition": "criterion_group"},
    "inter_sample": {"partition": "inter_sample"},
    "criteria_mean": {"partition": "criteria_mean", "exclude_special_tokens": True},
    "gdpo": {"response_advantage": "gdpo", "partition": "criteria_softmax"},
}
SLOW = ("criteria_mean", "inter_sample", "gdpo")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES])
def test_two_processes_give_the_advantages_of_one(tmp_path: Path, name: str) -> None:
    one, metrics = run(tmp_path / "one", CASES[name], 1)
    two, metrics_of_two = run(tmp_path / "two", CASES[name], 2)
    assert len(one) == len(two) == 8
    for alone, shared in zip(one, two, strict=True):
        assert (alone.task.id, alone.group, alone.response) == (shared.task.id, shared.group, shared.response)
        assert alone.verdicts == shared.verdicts
        np.testing.assert_allclose(shared.advantages, alone.advantages, atol=1e-6)
        if alone.criterion_advantages is not None:
            np.testing.assert_allclose(shared.criterion_advantages, alone.criterion_advantages, atol=1e-6)
    assert any(any(record.token_advantages) for record in one)
    assert any(any(record.advantages) for record in one)
    for metric, value in metrics.items():
        if metric.startswith("rtt/") and metric not in ("rtt/relevance_seconds", "rtt/relevance_share"):
            assert metrics_of_two[metric] == pytest.approx(value, rel=1e-5), metric
