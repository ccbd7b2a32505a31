"""Official verdicts, entry by entry, beside ours: what the golden tests of IFEval and of IFBench share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from benchmark_data import benchmark_file

from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome
from rtt.verifiers import verify, verify_loose

Compared = tuple[list[str], int]
"""What differs, a line each, and how many entries were compared."""


def rows(name: str) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Each row of a golden file, and its task."""
    for number, line in enumerate(benchmark_file(name).read_text("utf-8").splitlines()):
        row = json.loads(line)
        rules = zip(row["instruction_id_list"], row["kwargs"], strict=True)
        criteria = tuple(Criterion(id=f"c{k}", rule=Rule(name=n, arguments=a)) for k, (n, a) in enumerate(rules))
        prompt = (Message(role="user", content=row["prompt"]),)
        yield Task(id=f"{row['key']}/{number}", prompt=prompt, rubric=Rubric(criteria=criteria)), row


def compare(
    name: str, mode: str, upstream: bool = False, skip: Callable[[str, Outcome], bool] | None = None
) -> Compared:
    """Ours against the official verdicts where these are stable.

    Args:
        name: the golden file.
        mode: ``"strict"`` or ``"loose"``.
        upstream: compare with today's evaluator where the file has its verdicts.
        skip: told an instruction and our outcome, whether to leave the entry out.
    """
    different: list[str] = []
    compared = 0
    for task, row in rows(name):
        outcomes = [verdict.outcome for verdict in verify(task, row["response"])]
        if mode == "loose":
            outcomes = verify_loose(task, row["response"], strict=outcomes)
        official = row[f"follow_instruction_list_{mode}"]
        if upstream:
            official = row.get(f"follow_instruction_list_{mode}_upstream") or official
        for k, outcome in enumerate(outcomes):
            instruction = row["instruction_id_list"][k]
            if not row[f"stable_{mode}"][k] or (skip is not None and skip(instruction, outcome)):
                continue
            compared += 1
            expected = Outcome.SATISFIED if official[k] else Outcome.VIOLATED
            if outcome is not expected:
                different.append(f"{task.id} {instruction}: {outcome.name}, official {expected.name}")
    return different, compared
