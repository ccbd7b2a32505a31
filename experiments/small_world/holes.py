"""A verifier with a planted hole: how fast is it found, and do the alarms of ``rtt audit`` fire first?

    train, step by step -> Record, Record, ...     what ``records_steps: 1`` would have written
    every AUDITED steps -> audit(records so far)   the first step at which each kind of alarm is there
    line                -> {"uses": [...], "passed": [...], "true": [...], "alarms": {"loophole": 12, ...}}

The same runs without a hole say which alarms fire anyway. No task is ever sampled in two steps here, so the alarms that
follow single criteria over a run cannot speak.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.small_world import running
from experiments.small_world.running import GROUP_SIZE, MODELS, Run, Step
from experiments.small_world.world import CLASSES, END, FIRST_CLASS, FIRST_WORD, KINDS, NO_KIND, STOP, WORDS, Prompts
from rtt.inspector.alarms import audit
from rtt.records import Record
from rtt.responses import Response
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome, Verdict

AUDITED = 2
"""Steps between two audits."""

_SYLLABLES = tuple(a + b for a, b in itertools.product("bdfgklmnprst", "aeiou"))

WORD = {
    **{FIRST_WORD + i: _SYLLABLES[i] for i in range(WORDS)},
    **{FIRST_CLASS + i: f"class {i + 1}" for i in range(CLASSES)},
    STOP: ".",
    STOP + 1: "?",
    END: "",
}
"""How a token is written, that which stands for nothing too."""


def audited(run: Run, models: Path = MODELS, quick: bool = False) -> dict[str, Any]:
    """The line of a run, with what its records and its audits say."""
    records: list[Record] = []
    history: list[dict[str, float]] = []
    shares: dict[str, list[float]] = {"uses": [], "passed": [], "true": []}
    fired: dict[str, int] = {}

    def watch(step: Step) -> None:
        there = step.verdicts != 0
        shares["uses"].append(round(float(running.uses_hole(step.sampled.tokens).mean()), 4))
        shares["passed"].append(round(float((step.verdicts[there] > 0).mean()), 4))
        shares["true"].append(round(float((step.sampled.judged.verdicts[there] > 0).mean()), 4))
        records.extend(written(step))
        history.append({"step": step.step, "entropy": step.entropy})
        if step.step % AUDITED == 0:
            for alarm in audit(records, history=history):
                fired.setdefault(alarm.kind, step.step)

    return {**running.train(run, models, quick, watch), **shares, "alarms": fired}


def written(step: Step) -> Iterator[Record]:
    """The records of a step, as training writes them."""
    batch, judged = step.batch, step.sampled.judged
    asked = [_task(step.step, group, step.sampled.prompts) for group in range(len(step.sampled.prompts))]
    for row, tokens in enumerate(step.sampled.tokens):
        group = row // GROUP_SIZE
        task, own = asked[group], judged.own[row]
        response = _response(task.id, tokens[own].tolist())
        kinds = step.sampled.prompts.kinds[group]
        columns = np.nonzero(kinds != NO_KIND)[0]
        yield Record(
            step=step.step,
            group=group,
            task=task,
            response=response,
            verdicts=tuple(
                Verdict(criterion.id, Outcome(int(step.verdicts[row, k])), f"rule:{KINDS[kinds[k]].name}")
                for criterion, k in zip(task.rubric.criteria, columns, strict=True)
            ),
            relevance=tuple(map(tuple, batch.relevance[row, columns][:, own].tolist())),
            reward=float((step.verdicts[row, columns] > 0).mean()),
            response_advantage=float(step.responses[row]),
            token_advantages=tuple(step.tokens[row, own].tolist()),
            advantages=tuple(step.advantages[row, own].tolist()),
            token_weight=step.weight,
            combine="add",
        )


def _task(step: int, group: int, prompts: Prompts) -> Task:
    rows = zip(*(part[group].tolist() for part in (prompts.kinds, prompts.a, prompts.b)), strict=True)
    criteria = tuple(
        _criterion(f"c{place}", KINDS[kind].name, a, b) for place, (kind, a, b) in enumerate(rows) if kind != NO_KIND
    )
    message = Message(role="user", content="Write.")
    return Task(id=f"{step}/{group}", prompt=(message,), rubric=Rubric(criteria=criteria))


def _criterion(name: str, kind: str, a: int, b: int) -> Criterion:
    word = WORD.get(a, "")
    rule = None
    if kind == "include a word":
        rule = Rule(name="keywords:existence", arguments={"keywords": [word]})
    elif kind == "a word at least n times":
        rule = Rule(name="keywords:frequency", arguments={"keyword": word, "frequency": b, "relation": "at least"})
    return Criterion(id=name, text=f"{kind}: {word} {b or ''}".strip(), rule=rule)


def _piece(token: int) -> str:
    return WORD[token] if token < FIRST_WORD else f" {WORD[token]}"


def _response(task: str, tokens: Sequence[int]) -> Response:
    pieces = [_piece(token) for token in tokens]
    ends = list(itertools.accumulate(map(len, pieces)))
    return Response(task, "".join(pieces), tuple(tokens), tuple(zip([0, *ends[:-1]], ends, strict=True)))
