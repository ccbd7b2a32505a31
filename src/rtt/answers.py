"""Response files: JSON lines, each with an answer and the task that it answers, by id, by key or by its prompt."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtt.errors import DataError
from rtt.json_lines import LineError, decode_line, number_lines, read_lines

if TYPE_CHECKING:
    from rtt.rubrics import Task


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of a response file, and the task that it answers.

    Attributes:
        line: its line in the file, from 1.
        task: the task.
        index: its place among the responses to the same task, from 0.
        text: the response.
    """

    line: int
    task: Task
    index: int
    text: str


def read_responses(
    file: Path, tasks: Mapping[str, Task], task_file: Path, advance: Callable[[int], None] | None = None
) -> Iterator[Answer]:
    """The responses of a file in order, each with its task.

    Args:
        file: JSON lines; ``-`` is standard input. Keys that are not used here are left alone: response files come from
            many tools.
        tasks: the tasks by id.
        task_file: where they come from, for messages.
        advance: told the number of bytes of each line.

    Raises:
        DataError: a line cannot be used; the message says file, line, field and what to do.
    """
    find = _Finder(tasks, task_file)
    seen: Counter[str] = Counter()
    name = "standard input" if str(file) == "-" else str(file)
    lines = number_lines(sys.stdin.buffer, name) if str(file) == "-" else read_lines(file)
    for number, line in lines:
        try:
            value = decode_line(line)
            if not isinstance(value, dict):
                raise LineError(f"got {type(value).__name__}; expected a JSON object, one response a line")
            task = find(value)
            text = _text_of(value)
        except LineError as error:
            raise DataError(f"{name}:{number}: {error}") from None
        yield Answer(line=number, task=task, index=seen[task.id], text=text)
        seen[task.id] += 1
        if advance is not None:
            advance(len(line) + 1)


class _Finder:
    """Finds the task that a response line names, by id, by IFEval's key, or by the text of its prompt."""

    def __init__(self, tasks: Mapping[str, Task], task_file: Path) -> None:
        self.tasks = tasks
        self.task_file = task_file
        self.by_key: dict[object, list[Task]] = defaultdict(list)
        self.by_written_key: dict[str, list[Task]] = defaultdict(list)  # tools differ in whether a key is a number
        self.by_prompt: dict[str, list[Task]] = defaultdict(list)
        for task in tasks.values():
            if isinstance(key := task.metadata.get("key"), str | int):
                self.by_key[key].append(task)
                self.by_written_key[str(key)].append(task)
            self.by_prompt[task.prompt[-1].content].append(task)

    def __call__(self, line: Mapping[str, Any]) -> Task:
        tried = []
        for field in ("task_id", "id", "key", "prompt"):
            value = line.get(field)
            if not isinstance(value, str | int):
                continue
            found = self._found(field, value)
            if len(found) == 1:
                return found[0]
            if found:
                raise LineError(f"{field}: fits {len(found)} tasks: {[task.id for task in found[:3]]}; give a task_id")
            tried.append(f"{field} {_shortened(value)}")
        if not tried:
            raise LineError(f"names no task, its keys are {list(line)[:10]}; expected task_id, id, key or prompt")
        raise LineError(f"{' and '.join(tried)} fit no task of {self.task_file}; are these the tasks it answers?")

    def _found(self, field: str, value: str | int) -> list[Task]:
        if field == "prompt":
            return self.by_prompt.get(str(value), [])
        if field in ("task_id", "id") and value in self.tasks:
            return [self.tasks[str(value)]]
        if field == "task_id":
            return []
        return self.by_key.get(value) or self.by_written_key.get(str(value), [])


def _text_of(line: Mapping[str, Any]) -> str:
    field = next((field for field in ("response", "text") if field in line), None)
    if field is None:
        raise LineError(f"response: is missing, the keys are {list(line)[:10]}; expected the answer under 'response'")
    text = line[field]
    if not isinstance(text, str):
        raise LineError(f"{field}: got {_shortened(text)} ({type(text).__name__}); expected the answer as text")
    return text


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
