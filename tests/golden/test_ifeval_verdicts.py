"""The verdicts of IFEval's official evaluator, entry by entry, where it is stable itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from benchmark_data import benchmark_file

from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome
from rtt.verifiers import verify, verify_loose

FILES = ("golden/ifeval_rtt.jsonl", "golden/ifeval_stress.jsonl")
STABLE = {
    ("golden/ifeval_rtt.jsonl", "strict"): 408,
    ("golden/ifeval_rtt.jsonl", "loose"): 409,
    ("golden/ifeval_stress.jsonl", "strict"): 416,
    ("golden/ifeval_stress.jsonl", "loose"): 415,
}


def rows(name: str) -> Iterator[tuple[Task, dict[str, Any]]]:
    for number, line in enumerate(benchmark_file(name).read_text("utf-8").splitlines()):
        row = json.loads(line)
        rules = zip(row["instruction_id_list"], row["kwargs"], strict=True)
        criteria = tuple(Criterion(id=f"c{k}", rule=Rule(name=n, arguments=a)) for k, (n, a) in enumerate(rules))
        prompt = (Message(role="user", content=row["prompt"]),)
        yield Task(id=f"{row['key']}/{number}", prompt=prompt, rubric=Rubric(criteria=criteria)), row


@pytest.mark.parametrize("mode", ["strict", "loose"])
@pytest.mark.parametrize("name", FILES)
def test_verdicts_are_the_official_ones(name: str, mode: str) -> None:
    different: list[str] = []
    compared = 0
    for task, row in rows(name):
        if mode == "strict":
            outcomes = [verdict.outcome for verdict in verify(task, row["response"])]
        else:
            outcomes = verify_loose(task, row["response"])
        for k, outcome in enumerate(outcomes):
            if not row[f"stable_{mode}"][k]:
                continue
            compared += 1
            official = Outcome.SATISFIED if row[f"follow_instruction_list_{mode}"][k] else Outcome.VIOLATED
            if outcome is not official:
                different.append(f"{task.id} {row['instruction_id_list'][k]}: {outcome.name}, official {official.name}")
    assert different == []
    assert compared == STABLE[name, mode]
