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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtt.errors import DataError
from rtt.json_lines import read_lines
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
                step=_fits(data, "step", _WHOLE),
                group=_fits(data, "group", _WHOLE),
                task=task,
                response=Response(
                    task.id,
                    _fits(data, "text", _TEXT),
                    _row(data["token_ids"], "token_ids", _WHOLE),
                    tuple((a, b) for a, b in (_row(pair, "spans", _WHOLE) for pair in data["spans"])),
                ),
                verdicts=tuple(verdict_from_json(verdict) for verdict in data["verdicts"]),
                relevance=tuple(_numbers(row, "relevance") for row in data["relevance"]),
                reward=_fits(data, "reward", _NUMBER_OR_NONE),
                response_advantage=_fits(data, "response_advantage", _NUMBER),
                token_advantages=_numbers(data["token_advantages"], "token_advantages"),
                advantages=_numbers(data["advantages"], "advantages"),
                criterion_advantages=(
                    None if shares is None else tuple(_numbers(row, "criterion_advantages") for row in shares)
                ),
                token_weight=_fits(data, "token_weight", _NUMBER_OR_NONE) if "token_weight" in data else None,
                combine=_fits(data, "combine", _TEXT_OR_NONE) if "combine" in data else None,
            )
        except (KeyError, TypeError, json.JSONDecodeError, RecursionError, OverflowError) as error:
            raise DataError(f"not a record: {type(error).__name__}: {error}") from error


_WHOLE, _NUMBER, _TEXT, _FLAG = (int,), (int, float), (str,), (bool,)
_NUMBER_OR_NONE, _TEXT_OR_NONE = (int, float, type(None)), (str, type(None))
_CALLED = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}


def _fits(data: dict[str, Any], name: str, kinds: tuple[type, ...]) -> Any:
    """The field, which is of one of these kinds: a boolean is no number."""
    value = data[name]
    if type(value) not in kinds:
        expected = " or ".join(_CALLED[kind] for kind in kinds if not (kind is int and float in kinds))
        raise DataError(f"{name}: got {value!r:.80}; expected {expected}")
    return float(value) if float in kinds and value is not None else value


def _row(values: Any, name: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """A list of values of these kinds; there are many, so their kinds are gathered first."""
    if not isinstance(values, list) or not set(map(type, values)) <= set(kinds):
        raise DataError(f"{name}: got {values!r:.80}; expected a list with {_CALLED[kinds[-1]]} for each token")
    return tuple(values)


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    return tuple(map(float, _row(values, name, _NUMBER)))


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
    """The verdict of a JSON object made by :func:`verdict_to_json`.

    Raises:
        DataError, KeyError, TypeError, ValueError: it is none.
    """
    evidence = [(_fits(s, "start", _WHOLE), _fits(s, "end", _WHOLE), s["polarity"]) for s in data["evidence"]]
    return Verdict(
        criterion_id=_fits(data, "criterion_id", _TEXT),
        outcome=Outcome(_fits(data, "outcome", _WHOLE)),
        source=_fits(data, "source", _TEXT),
        reason=_fits(data, "reason", _TEXT),
        evidence=tuple(Span(*span) for span in evidence),
        scope=data["scope"],
        missing=_fits(data, "missing", _FLAG),
        failed=_fits(data, "failed", _FLAG) if "failed" in data else False,  # records from before there were judges
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


def read_records(path: Path, advance: Callable[[int], None] = lambda _: None) -> Iterator[Record]:
    """Read records from a JSONL file, or from all ``step-*.jsonl`` of a folder in order of step.

    Args:
        path: the file or the folder.
        advance: told after each record how many bytes were read since the last time, for a progress bar.

    Raises:
        DataError: a line is not a record; the message names file and line.
    """
    for file in sorted(path.glob("step-*.jsonl")) if path.is_dir() else [path]:
        for number, line in read_lines(file):
            try:
                record = Record.from_json(line.decode(errors="surrogatepass"))
            except ValueError as error:
                raise DataError(f"{file}:{number}: {error}") from error
            advance(len(line) + 1)
            yield record


def _short(value: float) -> float:
    return float(f"{value:.6g}")
