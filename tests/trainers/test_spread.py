"""A judge spread over processes: one process's verdicts, no question asked twice, nobody asks more than its share."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_endpoint import NO, YES, Server, criteria_of, judges, response_of, says

from rtt.records import read_records
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.verifiers import verify_batch
from rtt.verifiers.judge import Judge

HERE = Path(__file__).parent
CRITERIA = (Criterion(id="tone", text="The tone is friendly."), Criterion(id="why", text="It explains why."))
TASK = Task(id="t", prompt=(Message(role="user", content="Write."),), rubric=Rubric(criteria=CRITERIA))


def verdict(criterion: str, response: str) -> dict[str, Any]:
    """By the letters alone, with quotes; now and then it cannot tell."""
    kind = (len(criterion) + 3 * len(response)) % 4
    return (YES, NO, says("cannot tell"), says("yes", support=[response[:4]]))[kind]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.script = judges(verdict)
    yield running
    running.stop()


def launch(script: str, processes: int, *arguments: str) -> None:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, *(several if processes > 1 else []), str(HERE / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]


def asked(server: Server) -> Counter[tuple[str, str]]:
    """How often each (response, criterion) was asked."""
    return Counter((response_of(one), text) for one in server.questions for text in criteria_of(one))


def busiest(server: Server) -> int:
    """The requests of the process that sent the most."""
    return max(Counter(one["user"] for one in server.questions).values())


UNEVEN = {
    "all in one of two": [["a b", "c d e", "f", "gg", "h i", "jj k", "l", "m n o"], []],
    "the same in both": [["a b", "c d e", "f", "gg"], ["gg", "f", "a b", "new"]],
    "four, each with fewer": [["a b", "c d e", "f", "gg", "h i"], ["a b", "jj k"], ["a b"], []],
    "four of one voice": [["a b", "a b"], ["a b"], ["a b", "a b"], ["a b", "a b", "a b"]],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNEVEN)
def test_each_process_learns_what_one_process_would_and_asks_its_share(
    server: Server, tmp_path: Path, name: str
) -> None:
    texts = UNEVEN[name]
    launch("spread_judge.py", len(texts), str(tmp_path), server.url, json.dumps({"texts": texts}))
    distinct = {text for part in texts for text in part}
    assert asked(server) == dict.fromkeys(((text, c.text) for text in distinct for c in CRITERIA), 1)
    assert busiest(server) <= math.ceil(len(distinct) / len(texts))
    alone = Judge("m", base_url=server.url, request={"user": "alone"})
    for process, part in enumerate(texts):
        learned = json.loads((tmp_path / f"{process}.json").read_text())
        expected = verify_batch([(TASK, text) for text in part], alone)
        assert learned == [[repr(one) for one in row] for row in expected]


@pytest.mark.slow
def test_where_one_judge_cannot_be_used_its_process_says_so_and_the_others_get_no_verdict_on_its_share(
    server: Server, tmp_path: Path
) -> None:
    options = {"texts": [["a", "b", "c"], ["c", "d"]], "broken": 1}  # dealt out: a and c; b and d
    launch("spread_judge.py", 2, str(tmp_path), server.url, json.dumps(options))
    assert json.loads((tmp_path / "1.json").read_text()) == "cache judge/: cannot be used"
    learned = json.loads((tmp_path / "0.json").read_text())
    assert [["failed=True" in one for one in row] for row in learned] == [[False] * 2, [True] * 2, [False] * 2]
    assert "cache judge/: cannot be used" in learned[1][0]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_a_group_over_processes_is_judged_as_by_one_and_no_cache_is_shared(
    server: Server, tmp_path: Path, processes: int
) -> None:
    """8 responses of which 4 differ: 1 in the first processes, up to 4 in the last."""
    launch("judged_run.py", 1, str(tmp_path / "one"), server.url)
    alone, server.questions = asked(server), []
    launch("judged_run.py", processes, str(tmp_path / "several"), server.url)
    assert asked(server) == alone == dict.fromkeys(alone, 1)
    assert len(alone) == 4 * len(CRITERIA)
    assert busiest(server) == 4 // processes
    one, several = (list(read_records(tmp_path / name / "records")) for name in ("one", "several"))
    assert [record.verdicts for record in several] == [record.verdicts for record in one]
    assert [record.reward for record in several] == [record.reward for record in one]
    state = json.loads((tmp_path / "several/state.json").read_text())
    assert state["log_history"][0]["rtt/judge_calls"] == 4
