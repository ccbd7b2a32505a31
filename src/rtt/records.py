"""Records: one response with its verdicts, relevance and advantages, one JSON line.

    run/records/step-000005.jsonl      all responses that were sampled for optimiser step 5, group by group
    {"step": 5, "group": 0, "task": {...}, "text": "...", "token_ids": [...], "spans": [[0, 4], ...],
     "verdicts": [{"criterion_id": "c1", "outcome": 1, "evidence": [...], ...}], "relevance": [[0.0, 1.0, ...], ...],
     "reward": 0.5, "response_advantage": 0.7, "token_advantages": [...], "advantages": [...],
     "criterion_advantages": [[...], ...], "token_weight": 0.5, "combine": "add"}

A file is written whole and then renamed, so a run that is killed leaves no half of one, and a resumed run replaces the
steps that it repeats. Numbers are rounded to six significant digits: records are for looking, not for training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtt.errors import DataError
from rtt.responses import Response
from rtt.rubrics import Task, parse_task
from rtt.verdicts import Outcome, Span, Verdict


@dataclass(frozen=True, slots=True)
class Record:
    """One response of a training step and what it was credited with.

    Attributes:
        step: the optimiser step (1-based) for whose update this response was sampled.
        group: index of the group within the step; responses to one prompt share it.
        task: prompt and rubric.
        response: text, tokens and the characters of each token.
        verdicts: [K], in the rubric's order.
        relevance: [K][T]; row k holds the relevance of each token for criterion k.
        reward: the response-level reward, ``None`` when nothing could be determined.
        response_advantage: ``A_res``.
        token_advantages: ``A_tok``, [T], before it is weighted by lambda.
        advantages: what the loss used, [T].
        criterion_advantages: [K][T], what each criterion contributes to ``token_advantages``, before a bound; ``None``
            where it is not known (``criteria_mean``, or a record of an earlier version).
        token_weight: lambda; ``None`` where nothing was trained.
        combine: ``"add"`` or ``"mix"``, how the two levels were joined.
    """

    step: int
    group: int
    task: Task
    response: Response
    verdicts: tuple[Verdict, ...]
    relevance: tuple[tuple[float, ...], ...]
    reward: float | None
    response_advantage: float
    token_advantages: tuple[float, ...]
    advantages: tuple[float, ...]
    criterion_advantages: tuple[tuple[float, ...], ...] | None = None
    token_weight: float | None = None
    combine: str | None = None

    def to_json(self) -> str:
        """The record as one line of JSON."""
        shares = self.criterion_advantages
        return json.dumps(
            {
                "step": self.step,
                "group": self.group,
                "task": json.loads(self.task.to_json()),
                "text": self.response.text,
                "token_ids": self.response.token_ids,
                "spans": self.response.spans,
                "verdicts": [verdict_to_json(verdict) for verdict in self.verdicts],
                "relevance": [[_short(value) for value in row] for row in self.relevance],
                "reward": None if self.reward is None else _short(self.reward),
                "response_advantage": _short(self.response_advantage),
                "token_advantages": [_short(value) for value in self.token_advantages],
                "advantages": [_short(value) for value in self.advantages],
                "criterion_advantages": None
                if shares is None
                else [[_short(value) for value in row] for row in shares],
                "token_weight": self.token_weight,
                "combine": self.combine,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read one line back.

        Raises:
            DataError: the line is not a record.
        """
        try:
            data = json.loads(line)
            task = parse_task(data["task"])
            shares = data.get("criterion_advantages")
            return cls(
                step=data["step"],
                group=data["group"],
                task=task,
                response=Response(
                    task.id, data["text"], tuple(data["token_ids"]), tuple((a, b) for a, b in data["spans"])
                ),
                verdicts=tuple(verdict_from_json(verdict) for verdict in data["verdicts"]),
                relevance=tuple(tuple(row) for row in data["relevance"]),
                reward=data["reward"],
                response_advantage=data["response_advantage"],
                token_advantages=tuple(data["token_advantages"]),
                advantages=tuple(data["advantages"]),
                criterion_advantages=None if shares is None else tuple(tuple(row) for row in shares),
                token_weight=data.get("token_weight"),
                combine=data.get("combine"),
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise DataError(f"not a record: {type(error).__name__}: {error}") from error


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a JSON object; the evidence as objects with ``start``, ``end``, ``polarity``."""
    return {
        "criterion_id": verdict.criterion_id,
        "outcome": int(verdict.outcome),
        "source": verdict.source,
        "reason": verdict.reason,
        "scope": verdict.scope,
        "missing": verdict.missing,
        "failed": verdict.failed,
        "evidence": [{"start": s.start, "end": s.end, "polarity": s.polarity} for s in verdict.evidence],
    }


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """The verdict of a JSON object made by :func:`verdict_to_json`."""
    return Verdict(
        criterion_id=data["criterion_id"],
        outcome=Outcome(data["outcome"]),
        source=data["source"],
        reason=data["reason"],
        evidence=tuple(Span(s["start"], s["end"], s["polarity"]) for s in data["evidence"]),
        scope=data["scope"],
        missing=data["missing"],
        failed=data.get("failed", False),  # records from before there were judges
    )


def records_path(folder: Path, step: int) -> Path:
    """Where the records of a step lie in a run's folder of records."""
    return folder / f"step-{step:06d}.jsonl"


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8", errors="surrogatepass") as file:
            file.writelines(f"{record.to_json()}\n" for record in records)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[Record]:
    """Read records from a JSONL file, or from all ``step-*.jsonl`` of a folder in order of step.

    Raises:
        DataError: a line is not a record; the message names file and line.
    """
    for file in sorted(path.glob("step-*.jsonl")) if path.is_dir() else [path]:
        with file.open(encoding="utf-8", errors="surrogatepass") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    yield Record.from_json(line)
                except (DataError, ValueError) as error:
                    raise DataError(f"{file}, line {number}: {error}") from error


def _short(value: float) -> float:
    return float(f"{value:.6g}")
