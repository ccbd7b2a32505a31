"""``rtt show RECORDS``: a run's responses in the terminal, with what each token was credited with.

Run.records -> Record, Record, ... -> the task's of one step -> page: prompt, rubric, coloured response, best and worst

A page is told apart by more than colour: what speaks for a token is blue, what speaks against it orange and underlined,
and where there are no colours a line of marks stands below, digits for and letters against.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from rtt.cli.audit import find_run
from rtt.cli.relevance import STEPS, TOP, character_steps, has_colours, print_levels, step_style
from rtt.cli.terminal import SIGNS, console, counted, print_table, quoted, reading, visible
from rtt.cli.verify import matches
from rtt.errors import ConfigurationError, DataError
from rtt.verdicts import Outcome, credited

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from rtt.records import Record
    from rtt.responses import Response
    from rtt.rubrics import Criterion

By = Literal["relevance", "reward", "token-advantage", "advantage"]

FOR = "12345"
"""What stands below a token where there are no colours, by step, when its value is above 0."""
AGAINST = "abcde"
"""The same, below 0."""

_LINES_OF_PROMPT = 12
_WORDS = {Outcome.SATISFIED: "satisfied", Outcome.VIOLATED: "violated", Outcome.UNDETERMINED: "no verdict"}


@click.command()
@click.argument("records", type=click.Path(path_type=Path))
@click.option("--task", "task_id", metavar="ID", help="Show a response to this task; without it: the tasks.")
@click.option("--step", type=int, metavar="N", help="Of this step. Without one: the last that has the task.")
@click.option("--index", type=click.IntRange(min=0), default=0, metavar="I", help="Which of its responses, from 0.")
@click.option(
    "--by",
    type=click.Choice(get_args(By)),
    default="advantage",
    show_default=True,
    help="What colours the tokens. relevance: of each criterion. reward: the same, with the verdict's sign. "
    "token-advantage: the token-level credit, with --criterion that criterion's part. advantage: what the loss used.",
)
@click.option(
    "--criterion",
    "pattern",
    metavar="PATTERN",
    help="Only criteria whose id or rule matches, such as c1 or 'keywords:*'.",
)
def show(records: Path, task_id: str | None, step: int | None, index: int, by: By, pattern: str | None) -> None:
    """Show a run's responses, with what each token was credited with.

    RECORDS is what training writes with records_steps: a file, a folder of them, or the folder of the run. You see the
    prompt, the rubric with its verdicts and their reasons, the response with its tokens in colours (blue for, orange
    and underlined against; without colours digits and letters below), and the best and the worst tokens.

    \b
    Which tasks there are, and how they went:
        rtt show runs/mine
    \b
    What the loss did with a response; the third one of step 40:
        rtt show runs/mine --task mail/7
        rtt show runs/mine --task mail/7 --step 40 --index 2
    \b
    Where a criterion looked, and what it contributed:
        rtt show runs/mine --task mail/7 --by relevance --criterion c1
        rtt show runs/mine --task mail/7 --by token-advantage --criterion 'keywords:*'
    \b
    In a pager, with colours:
        FORCE_COLOR=1 rtt show runs/mine --task mail/7 | less -R

    Exit codes: 0 shown; 1 interrupted; 2 something given cannot be used, and the message says what.
    """
    if pattern is not None and by == "advantage":
        raise ConfigurationError(
            "--criterion with --by advantage: it is of all criteria together; expected --by relevance, reward or "
            "token-advantage"
        )
    found = find_run(records)
    stdout = console()
    with reading(console(stderr=True), "show", found.files) as advance:
        read = found.records(advance)
        if task_id is None:
            overview = list_tasks(read)
        else:
            chosen = choose(read, records, task_id, step, index)
    if task_id is not None:
        print_record(stdout, chosen, by, pattern)
        return
    if not overview:
        raise DataError(f"{records}: has no record in it; expected what training writes with records_steps")
    print_table(
        stdout,
        ("task", "steps", "responses", "rubric accuracy", "instruction accuracy"),
        [(visible(name), *counts.cells()) for name, counts in overview.items()],
    )
    stdout.print(f"{counted(len(overview), 'task')}; --task ID shows a response", soft_wrap=True)


# ----------------------------------------------------------------------------------------------------- what is chosen


@dataclass(slots=True)
class Counts:
    """What the records of one task add up to."""

    responses: int = 0
    steps: set[int] = field(default_factory=set)
    earned: int = 0
    determined: int = 0
    whole: int = 0
    judged: int = 0

    def add(self, record: Record) -> None:
        """Count one record."""
        found = [value for value in earned(record) if value is not None]
        self.responses += 1
        self.steps.add(record.step)
        self.earned += sum(found)
        self.determined += len(found)
        self.whole += bool(found) and all(found)
        self.judged += bool(found)

    def cells(self) -> tuple[str, ...]:
        """Steps, responses and accuracies, for a table."""
        first, last = min(self.steps), max(self.steps)
        steps = str(first) if first == last else f"{first}-{last} ({len(self.steps)})"
        rates = ((self.earned, self.determined), (self.whole, self.judged))
        return (steps, f"{self.responses:,}", *(f"{100 * part / of:.1f} %" if of else "-" for part, of in rates))


def earned(record: Record) -> list[bool | None]:
    """For each criterion whether the response did what is wanted; ``None`` where there is no verdict."""
    return [
        credited(criterion, verdict) is Outcome.SATISFIED if verdict.determined else None
        for criterion, verdict in zip(record.task.rubric.criteria, record.verdicts, strict=False)
    ]


def list_tasks(records: Iterable[Record]) -> dict[str, Counts]:
    """The tasks of the records by id, in the order in which they come."""
    tasks: dict[str, Counts] = {}
    for record in records:
        tasks.setdefault(record.task.id, Counts()).add(record)
    return tasks


def choose(records: Iterable[Record], path: Path, task_id: str, step: int | None, index: int) -> Record:
    """One response of a task: of the step, or of the last step that has it. Only that step's are kept while reading.

    Raises:
        DataError: there is no such task, step or response; the message says what there is.
    """
    names: dict[str, None] = {}
    steps: set[int] = set()
    kept: list[Record] = []
    for record in records:
        names.setdefault(record.task.id)
        if record.task.id != task_id:
            continue
        steps.add(record.step)
        if step is None and kept and record.step > kept[0].step:
            kept.clear()
        if record.step == step if step is not None else not kept or record.step == kept[0].step:
            kept.append(record)
    if not steps:
        raise DataError(f"--task {task_id!r}: no record of {path} answers it; {_near(task_id, names)}")
    if not kept:
        near = sorted(steps, key=lambda there: (abs(there - (step or 0)), there))[:5]
        raise DataError(f"--step {step}: has no response to {task_id!r}; the nearest that have are {sorted(near)}")
    if index >= len(kept):
        raise DataError(
            f"--index {index}: step {kept[0].step} has {counted(len(kept), 'response')} to {task_id!r}; expected 0 to "
            f"{len(kept) - 1}"
        )
    return kept[index]


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"it has {list(known)[:5]}" if known else "it has no record at all"


# ------------------------------------------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Shown:
    """What colours a response.

    Attributes:
        title: what the values are.
        values: [T].
        scale: the size that has the strongest colour.
        criterion: the place of the criterion that they are of, or ``None``.
    """

    title: str
    values: tuple[float, ...]
    scale: float
    criterion: int | None = None


def what_is_shown(record: Record, by: By, pattern: str | None) -> list[Shown]:
    """The values to show: one row, or one for each criterion that matches.

    Raises:
        DataError: no criterion matches; the record does not have what is asked for, or has another number of values
        than of tokens.
    """
    criteria = record.task.rubric.criteria
    places = [k for k, c in enumerate(criteria) if pattern is None or matches(c, pattern)]
    if not places:
        raise DataError(
            f"--criterion {pattern!r}: no criterion of task {record.task.id!r} matches; "
            + _near(str(pattern), [criterion.id for criterion in criteria])
        )
    if by == "advantage":
        shown = [_scaled("advantage", record.advantages)]
    elif by == "token-advantage" and pattern is None:
        shown = [_scaled("token advantage, before lambda", record.token_advantages)]
    elif by == "token-advantage":
        parts = _rows(record.criterion_advantages, record, "what each criterion contributed (criterion_advantages)")
        shown = [_scaled(f"token advantage by {criteria[k].id}", parts[k], k) for k in places]
    else:
        rows = _rows(record.relevance, record, "relevance")
        signs = [0 if value is None else 1 if value else -1 for value in earned(record)]
        shown = [
            Shown(f"relevance for {criteria[k].id}", rows[k], 1.0, k)
            if by == "relevance"
            else Shown(f"reward by {criteria[k].id}", tuple(signs[k] * value + 0.0 for value in rows[k]), 1.0, k)
            for k in places
        ]
    for row in shown:
        if len(row.values) != len(record.response.spans):
            raise DataError(
                f"{row.title}: {len(row.values)} values for {len(record.response.spans)} tokens of a response to task "
                f"{record.task.id!r}; expected one a token"
            )
    return shown


def _rows(rows: Sequence[tuple[float, ...]] | None, record: Record, what: str) -> Sequence[tuple[float, ...]]:
    criteria = len(record.task.rubric.criteria)
    if not rows or len(rows) != criteria or len(record.verdicts) != criteria:
        raise DataError(
            f"the record of step {record.step} does not hold {what} for its "
            f"{counted(criteria, 'criterion', 'criteria')}; expected a row for each: choose another --by"
        )
    return rows


def _scaled(title: str, values: tuple[float, ...], criterion: int | None = None) -> Shown:
    scale = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return Shown(title, values, scale, criterion)


def levels(values: Sequence[float], scale: float) -> list[int]:
    """The step of each value, from -``STEPS`` to ``STEPS``: its share of the scale, rounded away from 0."""
    found = []
    for value in values:
        if math.isnan(value) or not value or not scale:
            found.append(0)
            continue
        share = min(abs(value) / scale, 1.0)
        found.append(int(math.copysign(max(math.ceil(share * STEPS - 1e-9), 1), value)))
    return found


def character_levels(response: Response, token_levels: Sequence[int]) -> list[int]:
    """The level of each character of the response; the strongest where tokens share it."""
    above = character_steps(response, [max(level, 0) for level in token_levels])
    below = character_steps(response, [max(-level, 0) for level in token_levels])
    return [up if up >= down else -down for up, down in zip(above, below, strict=True)]


# --------------------------------------------------------------------------------------------------------------- page


def print_record(where: Console, record: Record, by: By, pattern: str | None) -> None:
    """Print one response: prompt, rubric, and the response as each row of values colours it.

    Nothing in it reaches the terminal as a command: see :func:`rtt.cli.terminal.visible`.

    Raises:
        DataError: as :func:`what_is_shown`, before anything is printed.
    """
    from rich.text import Text

    shown = what_is_shown(record, by, pattern)
    task = record.task
    reward = "none" if record.reward is None else f"{record.reward:.3g}"
    head = f"{visible(task.id)}  step {record.step}, group {record.group}"
    where.print(
        Text(head, style="bold").append(
            f"  reward {reward}, response advantage {record.response_advantage:+.3g}", style="not bold"
        )
    )
    for message in task.prompt:
        lines = visible(message.content).splitlines() or [""]
        for line in lines[:_LINES_OF_PROMPT]:
            where.print(Text(f"  {line}", style="dim", overflow="fold"))
        if len(lines) > _LINES_OF_PROMPT:
            where.print(Text(f"  and {len(lines) - _LINES_OF_PROMPT} more lines", style="dim"))
    where.print()
    for criterion, verdict in zip(task.rubric.criteria, record.verdicts, strict=False):
        counts_as = credited(criterion, verdict)
        where.print(_verdict_line(where, criterion, verdict.outcome, counts_as, verdict.reason))
    for row in shown:
        where.print()
        _print_legend(where, row)
        if not record.response.text.strip():
            where.print(Text("  the response is blank", style="dim"))
            continue
        token_levels = levels(row.values, row.scale)
        characters = character_levels(record.response, token_levels)
        print_levels(where, record.response, characters, functools.partial(_signed, where), _mark)
        for line in _ends(record.response, row.values):
            where.print(Text(f"  {line}", overflow="fold"))


def _verdict_line(where: Console, criterion: Criterion, outcome: Outcome, credited: Outcome, reason: str) -> Text:
    from rich.text import Text

    word = _WORDS[outcome] + (", unwanted" if criterion.unwanted else "")
    style = {Outcome.SATISFIED: "bold #2f81f7", Outcome.VIOLATED: "bold #d9601a", Outcome.UNDETERMINED: "dim"}[credited]
    return Text.assemble(
        (f"{SIGNS[credited]} {word}", style),
        "  ",
        (f"{visible(criterion.id)}: ", "bold"),
        quoted(criterion.text, 300),
        (f"  {quoted(reason, 300)}", "dim"),
        overflow="fold",
    )


def _print_legend(where: Console, row: Shown) -> None:
    """What the colours or marks mean, and the range of the numbers."""
    from rich.text import Text

    finite = [value for value in row.values if math.isfinite(value)]
    reach = f"{min(finite):.3g} to {max(finite):.3g}" if finite else "no number"
    where.print(Text(f"{visible(row.title)}: {reach}", style="bold"))
    if not row.scale:
        return
    line = Text("  ")
    against = range(-STEPS if min(finite, default=0.0) < 0 else 0, 0)
    for step in [*against, *range(1, STEPS + 1 if max(finite, default=0.0) > 0 else 1)]:
        value = f"{math.copysign(row.scale * abs(step) / STEPS, step):+.2g}"
        if has_colours(where):
            line.append(f" {value} ", style=_signed(where, step))
        else:
            line.append(f"{_mark(step)} {value}  ")
    where.print(line, soft_wrap=True)


def _signed(where: Console, level: int) -> Any:
    """How a level looks: blue for, orange and underlined against."""
    from rich.style import Style

    outcome = Outcome.SATISFIED if level > 0 else Outcome.VIOLATED
    return step_style(where, outcome, abs(level)) + Style(underline=level < 0)


def _mark(level: int) -> str:
    return FOR[level - 1] if level > 0 else AGAINST[-level - 1]


def _ends(response: Response, values: Sequence[float]) -> list[str]:
    """The tokens with the highest and with the lowest values, the first of them where they are equal."""
    told = [t for t, value in enumerate(values) if value and not math.isnan(value)]
    if len(told) == len(values) > TOP and len(set(values)) == 1:
        return [f"all {len(values)} tokens {values[0]:+.3g}"]
    best = sorted((t for t in told if values[t] > 0), key=lambda t: (-values[t], t))[:TOP]
    worst = sorted((t for t in told if values[t] < 0), key=lambda t: (values[t], t))[:TOP]
    lines = [
        f"{word}: " + "  ".join(f'"{_token(response, t)}" {values[t]:+.3g}' for t in places)
        for word, places in (("best", best), ("worst", worst))
        if places
    ]
    return lines or ["all tokens 0"]


def _token(response: Response, t: int) -> str:
    start, end = response.spans[t]
    piece = response.text[start:end]
    return quoted(piece.strip() or piece) if piece else f"token {t}, without characters"
