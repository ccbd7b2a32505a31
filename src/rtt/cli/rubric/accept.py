"""``rtt rubric accept DRAFTS --out TASKS``: a person reads each draft and says what becomes of it.

    read_drafts ─> Review ─> show, ask ─┬─ y   into TASKS, no draft any more
                                        ├─ n   left out: DRAFTS remembers it
                                        ├─ e   the person's editor, until the JSON is a task
                                        ├─ d   without one criterion
                                        └─ q   later

Each answer is on disk before the next question, so that nothing is lost, however the command ends.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtt.cli.terminal import console, counted, refuse_overwriting, visible
from rtt.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.rubrics import Task

_KEYS = "y(es), n(o), e(dit), d(rop) N, q(uit)"
_HELP = """  y     accept: the task goes to the file of tasks
  n     leave it out; --again shows it once more
  e     edit it as JSON, in $EDITOR
  d N   drop criterion N
  q     stop here; the same command goes on"""


@click.command()
@click.argument("drafts", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write accepted tasks here. Tasks that are there already stay.",
)
@click.option("--again", is_flag=True, help="Show drafts that were left out before, too.")
def accept(drafts: Path, out: Path, again: bool) -> None:
    """Read the rubrics that `rtt rubric draft` wrote to DRAFTS, and accept those that are good.

    Each prompt is shown with its criteria, who decides them, and what to look at: two things in one criterion, words
    that readers take differently, criteria that are nearly the same, rules that the model named wrongly, its own words
    where a rule took their place. Then one key and Enter:

    \b
        y     accept: the task goes to TASKS
        n     leave it out
        e     edit it as JSON, in $EDITOR
        d 3   drop criterion 3
        q     stop; the same command goes on from there

    \b
    Read what a model drafted:
        rtt rubric accept drafts.jsonl --out tasks.jsonl
    \b
    With an editor of your choice:
        EDITOR='code --wait' rtt rubric accept drafts.jsonl --out tasks.jsonl

    There is no way to accept everything at once: a rubric decides what a model is trained towards. Accepted tasks say
    under meta.drafted_by which model they come from.

    Exit codes: 0 done, or stopped with q; 1 interrupted, or the input ended; 2 something given cannot be used, and the
    message says what.
    """
    refuse_overwriting(out, drafts)
    stdout = console()
    review = Review(drafts, out, again=again)
    if review.decided_before:
        stdout.print(f"going on: {counted(review.decided_before, 'draft')} decided before", soft_wrap=True)
    try:
        for number, place in enumerate(review.waiting, start=1):
            if not _decide(stdout, review, place, f"{number} of {len(review.waiting)}"):
                break
    finally:
        review.print(stdout)


class Review:
    """The drafts, the tasks, and what is decided; each decision is written at once.

    Args:
        drafts: a file of drafts. Decisions other than *yes* are written back to it.
        out: the file of tasks; it need not be there.
        again: whether drafts that were left out before are to be decided again.

    Attributes:
        waiting: the places of the drafts that are to be decided.
        decided_before: how many were decided in earlier runs.

    Raises:
        DataError: a file cannot be read, ``out`` holds drafts, or another task with the id of a draft.
    """

    def __init__(self, drafts: Path, out: Path, *, again: bool = False) -> None:
        from rtt.rubrics import read_tasks
        from rtt.verifiers.judge.drafting import mark_of, read_drafts, refuse_drafts

        self.path, self.out = drafts, out
        self.drafts = read_drafts(drafts)
        self.tasks: list[Task] = read_tasks(out) if out.exists() and out.stat().st_size else []
        refuse_drafts(self.tasks, out)
        by_id = {task.id: task for task in self.tasks}
        for task in self.drafts:
            other = by_id.get(task.id)  # one that was accepted may have been mended since
            if other is not None and other.prompt != task.prompt and "drafted_by" not in other.metadata:
                raise DataError(
                    f"{out}: has a task {task.id!r} with another prompt than the draft of {drafts}; expected another "
                    "file for --out, or another id"
                )
        self.waiting = [
            place
            for place, task in enumerate(self.drafts)
            if task.id not in by_id and (again or not mark_of(task).get("left_out"))
        ]
        self.decided_before = len(self.drafts) - len(self.waiting)
        self.accepted = self.left_out = 0

    def accept(self, place: int) -> None:
        """Make the draft a task."""
        from rtt.rubrics import write_tasks
        from rtt.verifiers.judge.drafting import accepted

        self.tasks.append(accepted(self.drafts[place]))
        write_tasks(self.out, self.tasks)
        self.accepted += 1

    def leave_out(self, place: int) -> None:
        """Note that the draft is not wanted."""
        from rtt.verifiers.judge.drafting import MARK, mark_of, with_metadata

        task = self.drafts[place]
        self.change(place, with_metadata(task, {**task.metadata, MARK: {**mark_of(task), "left_out": True}}))
        self.left_out += 1

    def change(self, place: int, task: Task) -> None:
        """Put a changed draft in the place of what it was."""
        from rtt.rubrics import write_tasks

        self.drafts[place] = task
        write_tasks(self.path, self.drafts)

    def print(self, stdout: Console) -> None:
        """Print what was decided in this run, and what is left."""
        left = len(self.waiting) - self.accepted - self.left_out
        words = f"{self.accepted:,} accepted, {self.left_out:,} left out"
        if left:
            words += f", {left:,} not decided: the same command goes on with them"
        stdout.print(words, soft_wrap=True)
        if self.accepted:
            stdout.print(f"tasks: {self.out} ({counted(len(self.tasks), 'task')} in it)", soft_wrap=True)


def _decide(stdout: Console, review: Review, place: int, number: str) -> bool:
    """Show a draft and ask until it is decided; False: stop."""
    print_draft(stdout, review.drafts[place], number)
    while True:
        answer = click.prompt(_KEYS, prompt_suffix=" > ").strip().lower()
        if not sys.stdin.isatty():
            click.echo()  # nobody pressed Enter
        if answer in ("y", "yes"):
            review.accept(place)
            return True
        if answer in ("n", "no"):
            review.leave_out(place)
            return True
        if answer in ("q", "quit"):
            return False
        if answer in ("e", "edit"):
            changed = edited(stdout, review.drafts[place])
        elif match := re.fullmatch(r"d(?:rop)?\s*(\d+)", answer):
            changed = without(stdout, review.drafts[place], int(match[1]))
        else:
            stdout.print(_HELP)
            continue
        if changed is not None and changed != review.drafts[place]:
            review.change(place, changed)
            print_draft(stdout, changed, number)


def without(stdout: Console, task: Task, number: int) -> Task | None:
    """The task without its criterion ``number``, from 1; None, with the reason told, where that cannot be."""

    criteria = task.rubric.criteria
    if not 1 <= number <= len(criteria):
        stdout.print(f"there is no criterion {number}; expected 1 to {len(criteria)}", style="red")
        return None
    if len(criteria) == 1:
        stdout.print("a rubric needs a criterion; n leaves the whole task out", style="red")
        return None
    return task.narrowed(criteria[: number - 1] + criteria[number:])


def edited(stdout: Console, task: Task) -> Task | None:
    """The task as the person's editor left it, edited until it is one; None: it stays as it is."""
    from rtt.rubrics import Task
    from rtt.verifiers.judge.drafting import MARK, with_metadata

    metadata = {name: value for name, value in task.metadata.items() if name != MARK}
    text = _editable(with_metadata(task, metadata))
    while True:
        try:
            changed = click.edit(text, extension=".json")
        except click.ClickException as error:  # no such editor
            stdout.print(visible(error.format_message()), style="red")
            return None
        if changed is None or not changed.strip():
            return None
        text = changed
        try:
            new = Task.from_json(text)
            if new.id != task.id:
                raise DataError(f"id: got {new.id!r}; expected {task.id!r}, as it was")
        except DataError as error:
            stdout.print(visible(str(error)), style="red")
            if not click.confirm("edit again?", default=True):
                return None
            continue
        return with_metadata(new, {**new.metadata, MARK: task.metadata[MARK]})


def _editable(task: Task) -> str:
    """The task's line on many lines; characters that would hide or turn others around are escaped."""
    text = json.dumps(json.loads(task.to_json()), ensure_ascii=False, indent=2)
    return "".join(character if visible(character) == character else f"\\u{ord(character):04x}" for character in text)


# ----------------------------------------------------------------------------------------------------------- output


def print_draft(stdout: Console, task: Task, number: str) -> None:
    """Print a draft: the prompt, and each criterion with who decides it and what to look at.

    Nothing in it reaches the terminal as a command: see :func:`rtt.cli.terminal.visible`.
    """
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from rtt.verifiers.judge.drafting import mark_of

    stdout.rule(style="dim")
    model = visible(str(mark_of(task)["model"]))
    stdout.print(Text.assemble((visible(task.id), "bold"), f"  {number}, drafted by {model}"))
    shown: list[tuple[str, str]] = [(message.role, message.content) for message in task.prompt]
    if (reference := task.reference) is not None:
        shown.append(("reference", reference if isinstance(reference, str) else json.dumps(reference)))
    for head, text in shown:
        stdout.print(Text(head, style="cyan"))
        stdout.print(Padding(Text(visible(text), overflow="fold"), (0, 0, 0, 2)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("criterion", overflow="fold")
    table.add_column("decided by", overflow="fold")
    for k, (criterion, lines) in enumerate(zip(task.rubric.criteria, _notes(task), strict=True), start=1):
        words = Text(visible(criterion.text))
        for line, style in lines:
            words.append(f"\n{visible(line)}", style=style)
        by = Text(criterion.kind)
        if criterion.rule is not None:
            by = Text(criterion.rule.name, style="green")
            if criterion.rule.arguments:
                by.append(f"\n{visible(json.dumps(criterion.rule.arguments, ensure_ascii=False))}", style="dim")
        if criterion.weight != 1:
            by.append(f"\nweight {criterion.weight:g}", style="dim")
        table.add_row(str(k), words, by)
    stdout.print(table)


def _notes(task: Task) -> Sequence[Sequence[tuple[str, str]]]:
    """For each criterion the lines below it, with their styles."""
    from rtt.verifiers.judge.drafting import doubts, note_of

    flagged = doubts(task.rubric.criteria)
    found = []
    for criterion in task.rubric.criteria:
        note = note_of(task, criterion.id)
        lines = [(f"! {hint}", "yellow") for hint in flagged.get(criterion.id, [])]
        if "refused" in note and criterion.rule is None:
            lines.append((f"! the model named a rule that does not fit: {note['refused']}", "yellow"))
        if "words" in note:
            lines.append((f"the model wrote: {note['words']}", "dim"))
        if "why" in note:
            lines.append((f"why: {note['why']}", "dim"))
        found.append(lines)
    return found
