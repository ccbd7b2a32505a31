"""What ``rtt train`` needs to know beside RTTConfig and TRL's ModelConfig."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rtt.errors import ConfigurationError


@dataclass
class TrainArguments:
    """The data of a run."""

    tasks: list[str] = field(metadata={"help": "Task files (JSONL) to train on."})
    eval_tasks: list[str] | None = field(
        default=None, metadata={"help": "Task files for evaluation during training, with eval_strategy."}
    )

    def __post_init__(self) -> None:
        self.tasks = _as_list(self.tasks)
        self.eval_tasks = None if self.eval_tasks is None else _as_list(self.eval_tasks)


def _as_list(files: Any) -> list[str]:
    """A config file may name one file without a list around it."""
    if isinstance(files, str):
        return [files]
    if isinstance(files, list) and files and all(isinstance(file, str) for file in files):
        return files
    raise ConfigurationError(f"tasks, eval_tasks: got {files!r}; expected the path of a task file, or a list of paths")
