"""General ability: what lm-evaluation-harness (``lm_eval``) wrote, as a run that `rtt compare` pairs with another.

    out/MODEL/results_DATE.json         which tasks there are, and to which group each belongs
    out/MODEL/samples_TASK_DATE.jsonl   a line a question and filter, with ``--log_samples``

A question is known by its task and by the hash of its content, so two runs pair only where they asked the same. Of the
filters and metrics of a task one is taken: the filter that finds the answer in more forms, and the metric that judges
its meaning rather than its characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtt.errors import ConfigurationError, DataError
from rtt.json_lines import LineError, decode_line, read_lines

BENCHMARK = "lm-eval"
"""What a run of the harness is called, whichever its tasks."""

MODE = "correct"
"""The one mode in which a question is right or wrong."""

FILTERS = ("flexible-extract", "custom-extract", "strict-match", "none")
METRICS = ("math_verify", "exact_match", "acc")


def results_file(folder: Path) -> Path | None:
    """The newest results of the harness in a folder or in the folders of models below it; None: there are none."""
    found = [*folder.glob("results_*.json"), *folder.glob("*/results_*.json")]
    return max(found, key=lambda file: file.name, default=None)


def read_questions(results: Path) -> tuple[dict[int | str, list[Mapping[str, list[bool]]]], dict[int | str, list[str]]]:
    """Read which questions were answered rightly.

    Args:
        results: a ``results_DATE.json``; the samples of the same date lie beside it.

    Returns:
        By question, one answer as ``{"correct": [bool]}``; and by question, the task it is of, or the group of tasks.

    Raises:
        ConfigurationError: there are no samples of that date.
        DataError: a file is damaged, or a task has no metric that is right or wrong.
    """
    date = results.stem.removeprefix("results_")
    files = sorted(results.parent.glob(f"samples_*_{date}.jsonl"))
    if not files:
        raise ConfigurationError(
            f"{results} has no samples beside it, so nothing can be paired; run lm_eval with --log_samples"
        )
    groups = _groups(results)
    answers: dict[int | str, list[Mapping[str, list[bool]]]] = {}
    types: dict[int | str, list[str]] = {}
    for file in files:
        task = file.name.removeprefix("samples_").removesuffix(f"_{date}.jsonl")
        for question, correct in _task(file):
            key = f"{task}/{question}"
            answers.setdefault(key, []).append({MODE: [correct]})
            types[key] = [groups.get(task, task)]
    return answers, types


def _groups(results: Path) -> dict[str, str]:
    """By task, the outermost group that holds it."""
    try:
        content = json.loads(results.read_text(encoding="utf-8"))
        members: Mapping[str, Sequence[str]] = content.get("group_subtasks", {})
        parents = {task: group for group, tasks in members.items() for task in tasks}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{results} is damaged: {error!r}; run lm_eval again") from None
    found = {}
    for task in parents:
        group, seen = parents[task], {task}
        while group in parents and group not in seen:
            seen.add(group)
            group = parents[group]
        found[task] = group
    return found


def _task(file: Path) -> list[tuple[str, bool]]:
    """The questions of one task, each with whether its answer is right."""
    lines: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for number, line in read_lines(file):
        try:
            value = decode_line(line)
        except LineError as error:
            raise DataError(f"{file}:{number}: {error}; run lm_eval again") from None
        try:
            question = f"{value['doc_id']}-{value['doc_hash'][:12]}"
            measured = {name: value[name] for name in value["metrics"]}
            lines.setdefault(str(value["filter"]), []).append((question, measured))
        except (KeyError, TypeError) as error:
            raise DataError(f"{file}:{number}: is no sample of lm_eval ({error!r}); run lm_eval again") from None
        if not measured:
            raise DataError(
                f"{file}:{number}: has no metric; expected at least one that is 0 or 1, leave this task out"
            )
    if not lines:
        return []
    chosen = lines[_first(FILTERS, list(lines))]
    metric = _first(METRICS, list(chosen[0][1]))
    found = []
    for question, metrics in chosen:
        value = metrics.get(metric)
        if value not in (0, 1):
            raise DataError(
                f"{file}: {metric} of question {question} is {value!r}; only metrics that are 0 or 1 can be paired, "
                "leave this task out"
            )
        found.append((question, bool(value)))
    return found


def _first(wanted: Sequence[str], found: Sequence[str]) -> str:
    return next((name for name in wanted if name in found), found[0])
