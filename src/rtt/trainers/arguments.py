"""What ``rtt train`` needs to know beside RTTConfig and TRL's ModelConfig."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
    return [files] if isinstance(files, str) else list(files)
