"""RTT, Rubrics to Tokens: rubric-based reinforcement learning with token-level credit.

The names below are loaded on first use, so ``import rtt`` costs nothing and only training imports torch::

    from rtt import Criterion, Message, Rubric, Rule, Task, read_tasks, verify
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rtt.errors import RTTError
    from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, parse_task, read_tasks, write_tasks
    from rtt.verdicts import Outcome, Span, Verdict, instruction_accuracy, rubric_accuracy
    from rtt.verifiers import verify

__all__ = [
    "Criterion",
    "Message",
    "Outcome",
    "RTTError",
    "Rubric",
    "Rule",
    "Span",
    "Task",
    "Verdict",
    "__version__",
    "instruction_accuracy",
    "parse_task",
    "read_tasks",
    "rubric_accuracy",
    "verify",
    "write_tasks",
]

_HOMES = {
    "rtt.errors": ("RTTError",),
    "rtt.rubrics": ("Criterion", "Message", "Rubric", "Rule", "Task", "parse_task", "read_tasks", "write_tasks"),
    "rtt.verdicts": ("Outcome", "Span", "Verdict", "instruction_accuracy", "rubric_accuracy"),
    "rtt.verifiers": ("verify",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rtt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
