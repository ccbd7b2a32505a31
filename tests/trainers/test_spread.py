"""A judge spread over processes: one process's verdicts, no question asked twice, nobody asks more than its share."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_endpoint import NO, YES, Server, criteria_of, judges, response_of, says
from torch import distributed

from rtt.errors import JudgeFailureError
from rtt.records import read_records
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.trainers.spread import SpreadJudge
from rtt.trainers.trl import RubricReward
from rtt.verdicts import Outcome, Verdict
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


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is all that its group has."""
    monkeypatch.setattr(distributed, "get_rank", lambda group=None: 0)
    monkeypatch.setattr(distributed, "get_world_size", lambda group=None: 1)
    monkeypatch.setattr(distributed, "all_gather_object", lambda found, own, group=None: found.__setitem__(0, own))


@pytest.mark.usefixtures("alone")
def test_a_share_that_takes_too_long_keeps_what_was_answered(server: Server, tmp_path: Path) -> None:
    judge = Judge("m", base_url=server.url, cache=tmp_path)
    verify_batch([(TASK, "a")], judge)
    server.script = lambda request, number: server.hang()
    first, *others = verify_batch([(TASK, text) for text in "abc"], SpreadJudge(judge, time_limit=2.0))
    assert [one.failed for one in first] == [False] * 2
    assert {one.outcome for row in others for one in row if one.failed} == {Outcome.UNDETERMINED}
    assert [one.failed for row in others for one in row] == [True] * 4


@pytest.mark.usefixtures("alone")
def test_a_judge_that_hangs_and_cannot_be_closed_fails_on_its_share() -> None:
    over = threading.Event()

    class Hangs:
        def verify(self, *_: Any) -> list[Verdict]:
            over.wait()
            raise AssertionError

    [verdicts] = verify_batch([(TASK, "a")], SpreadJudge(Hangs(), time_limit=0.1))
    over.set()
    assert [one.failed for one in verdicts] == [True] * 2
    assert verdicts[0].reason == "the judge took longer than 0.1 s for this process's share"


@pytest.mark.usefixtures("alone")
def test_processes_that_lost_each_other_have_no_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: Any, **__: Any) -> None:
        raise RuntimeError("Timed out waiting 1800000ms for recv operation to complete")

    monkeypatch.setattr(distributed, "all_gather_object", late)
    words = "the processes lost each other while they shared the judge: Timed out waiting 1800000ms"
    reward = RubricReward(judge=SpreadJudge(Judge("m", base_url="http://127.0.0.1:1"), time_limit=1.0))
    with pytest.raises(JudgeFailureError, match=words):
        reward([], ["a"], [TASK.to_json()])


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
def test_a_process_that_comes_too_late_stops_the_others_with_an_error(server: Server, tmp_path: Path) -> None:
    options = {"texts": [["a", "b"], ["c"]], "late": 1, "timeout": 4}
    launch("spread_judge.py", 2, str(tmp_path), server.url, json.dumps(options))
    for process in range(2):
        assert json.loads((tmp_path / f"{process}.json").read_text()).startswith("the processes lost each other while")


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
