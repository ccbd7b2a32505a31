"""Where the optional benchmark data lies: public evaluation sets and the verdicts of their official checkers.

The data is not part of the project. Tests that use it are skipped, with the reason, where it is absent.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("RTT_BENCHMARK_DATA", ROOT.parent / "shared" / "data"))


def benchmark_file(name: str) -> Path:
    """The path of one file, ``"golden/ifeval_rtt.jsonl"``; skips the test that asks for it where it is absent."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"benchmark data {name!r} is not in {FOLDER}; set RTT_BENCHMARK_DATA to the folder that has it")
    return path
