"""The bench of the judge measures what it says: its own checks, but for those of speed, hold on a small run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "benches/bench_judge.py"


@pytest.mark.slow
def test_the_bench_asks_every_criterion_once_and_gets_the_right_verdicts(tmp_path):
    sizes = ["--criteria", "23", "--concurrency", "4", "--latency", "0.01", "--repeats", "1"]
    subprocess.run([sys.executable, BENCH, *sizes, "--output", tmp_path], timeout=120)  # 1 where it is too slow
    data = json.loads((tmp_path / "bench_judge.json").read_text())
    speed, rest = list(data["checks"].items())[:2], dict(list(data["checks"].items())[2:])
    assert [check.split(":")[0] for check, _ in speed] == ["one a call", "from the cache"]
    assert len(rest) == 4
    assert all(rest.values()), rest
    assert {arm: row["calls"] for arm, row in data["arms"].items()} == {
        "plain client": 23,
        "one a call": 23,
        "from the cache": 0,
        "all in one call": 5,
        "shared": 23,
        "shared by two": 23,
    }
