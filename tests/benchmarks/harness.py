"""Folders as lm_eval writes them, made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DATE = "2026-01-02T03-04-05.678901"


def sample(number: int, filter: str = "none", **metrics: object) -> dict[str, Any]:
    return {"doc_id": number, "doc_hash": f"{number:064x}", "filter": filter, "metrics": [*metrics], **metrics}


def harness_folder(
    folder: Path, tasks: Mapping[str, Sequence[Mapping[str, Any]]], groups: Mapping[str, Sequence[str]] | None = None
) -> Path:
    inner = folder / "model"
    inner.mkdir(parents=True)
    (inner / f"results_{DATE}.json").write_text(json.dumps({"group_subtasks": groups or {}}), "utf-8")
    for task, lines in tasks.items():
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (inner / f"samples_{task}_{DATE}.jsonl").write_text(text, "utf-8")
    return folder
