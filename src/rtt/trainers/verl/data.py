"""Tasks as the Parquet file that verl's dataset reads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rtt.errors import ConfigurationError, DataError, MissingDependencyError
from rtt.rubrics import Task

DATA_SOURCE = "rtt"
"""The name under which verl logs validation metrics of tasks."""


def write_parquet(path: str | os.PathLike[str], tasks: Iterable[Task]) -> int:
    """Write tasks as verl's training or validation data; a file that is there is replaced.

    Columns: ``prompt`` the messages, ``reward_model`` with the whole task as one line of JSON under ``ground_truth``,
    ``data_source``, and ``extra_info`` with the task's place (``index``) and id.

    Returns:
        How many tasks were written.

    Raises:
        ConfigurationError: there is no task.
        DataError: the file cannot be written.
        MissingDependencyError: pyarrow is not installed.

    Example:
        >>> write_parquet("train.parquet", read_tasks("train.jsonl"))
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs pyarrow, which is not installed; install the extra: pip install 'rubrics-to-tokens[verl]'"
        ) from error
    rows = [_row(index, task) for index, task in enumerate(tasks)]
    if not rows:
        raise ConfigurationError("no tasks to write; expected at least one")
    file = Path(os.path.realpath(path))
    beside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        parquet.write_table(pyarrow.Table.from_pylist(rows), beside)
        beside.replace(file)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return len(rows)


def _row(index: int, task: Task) -> dict[str, Any]:
    return {
        "data_source": DATA_SOURCE,
        "prompt": [{"role": message.role, "content": message.content} for message in task.prompt],
        "reward_model": {"style": "rule", "ground_truth": task.to_json()},
        "extra_info": {"index": index, "id": task.id},
    }
