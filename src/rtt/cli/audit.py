"""``rtt audit TASKS RECORDS``: what a run's records say has gone wrong, the most severe first.

find_run -> Run.records -> Record, Record, ... -> audit -> Alarm, Alarm, ... -> page / JSON
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtt.cli.terminal import console, counted, reading, refuse_overwriting, visible
from rtt.errors import DataError
from rtt.json_lines import write_lines

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.inspector.alarms import Alarm
    from rtt.inspector.runs import Run
    from rtt.records import Record

ALARMED = 3
"""The exit code that says: there are alarms as severe as ``--fail-on``. 0, 1 and 2 have other meanings."""

SHOWN = 5
"""How many alarms of one kind are printed; ``--json`` and ``--all`` have the others."""

# Colours that colour-blind people tell apart, and words and signs beside them.
_STYLES = {"error": "bold reverse", "warning": "bold #d9601a", "note": "#2f81f7"}
_SIGNS = {"error": "✗", "warning": "!", "note": "·"}


@click.command()
@click.argument("tasks", type=click.Path(path_type=Path))
@click.argument("records", type=click.Path(path_type=Path))
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the alarms as JSON here.")
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "error"]),
    help=f"End with exit code {ALARMED} when there are alarms at least as severe.",
)
@click.option("--all", "everything", is_flag=True, help=f"Print all alarms, not only {SHOWN} of each kind.")
@click.pass_context
def audit(
    context: click.Context, tasks: Path, records: Path, out: Path | None, fail_on: str | None, everything: bool
) -> None:
    """Look for what has gone wrong in a run: criteria that teach nothing or contradict each other, relevance that is
    noise, credit that one criterion takes, responses that grow, repeat themselves or become copies of each other.

    TASKS is the task file that the run was trained on. RECORDS is what training writes with records_steps: a file, a
    folder of them, or the folder of the run, whose log is then read as well (trainer_state.json of the newest
    checkpoint).

    \b
    What a run's records say:
        rtt audit tasks.jsonl runs/mine
    \b
    In CI: stop when something is certainly wrong, and keep the alarms
        rtt audit tasks.jsonl runs/mine --fail-on error --json alarms.json
    \b
    Then look at the responses:
        rtt show runs/mine --task mail/7

    The JSON file holds a list of objects with kind, severity (error, warning, note), title, advice, task, criterion,
    steps ([first, last]) and numbers. No alarm is not a proof of health: each needs some records before it speaks.

    Exit codes: 0 audited; 1 interrupted; 2 something given cannot be used, and the message says what; 3 there are
    alarms as severe as --fail-on.
    """
    from rtt.inspector.alarms import SEVERITIES
    from rtt.inspector.alarms import audit as find_alarms
    from rtt.rubrics import read_tasks

    refuse_overwriting(out, tasks)
    found = find_run(records)
    refuse_overwriting(out, *found.files)
    known = read_tasks(tasks)
    read: Counter[str] = Counter()

    def counting(seen: Iterator[Record]) -> Iterator[Record]:
        for record in seen:
            read[record.task.id] += 1
            yield record

    with reading(console(stderr=True), "audit", found.files) as advance:
        alarms = find_alarms(counting(found.records(advance)), tasks=known, history=found.history)
    if not read:
        raise DataError(f"{records}: has no record in it; expected what training writes with records_steps")
    if not read.keys() & {task.id for task in known}:
        raise DataError(
            f"{records}: its records answer other tasks, such as {next(iter(read))!r}, than {tasks} has, such as "
            f"{known[0].id!r}; expected the task file of the run"
        )
    if out is not None:
        with write_lines(out) as write:
            write(json.dumps([alarm.to_json() for alarm in alarms], ensure_ascii=True, indent=1))
    stdout = console()
    print_alarms(stdout, alarms, SHOWN if not everything else None)
    counts = Counter(alarm.severity for alarm in alarms)
    said = ", ".join(counted(counts[severity], severity) for severity in SEVERITIES)
    stdout.print(f"{counted(read.total(), 'record')} of {counted(len(read), 'task')}: {said}", soft_wrap=True)
    if not found.history:
        stdout.print("without a training log the entropy is not looked at", style="dim", soft_wrap=True)
    if out is not None:
        console(stderr=True).print(f"alarms: {visible(str(out))}", soft_wrap=True)
    if fail_on is not None and any(counts[s] for s in SEVERITIES[: SEVERITIES.index(fail_on) + 1]):
        context.exit(ALARMED)


def print_alarms(where: Console, alarms: Sequence[Alarm], shown: int | None) -> None:
    """Print alarms in their order, of each kind and severity at most ``shown``; text from elsewhere as signs."""
    from rich.text import Text

    seen: dict[tuple[str, str], int] = defaultdict(int)
    totals = Counter((alarm.severity, alarm.kind) for alarm in alarms)
    for alarm in alarms:
        kind = (alarm.severity, alarm.kind)
        seen[kind] += 1
        if shown is not None and seen[kind] > shown:
            if seen[kind] == totals[kind]:
                more = totals[kind] - shown
                where.print(Text(f"  and {more:,} more of {alarm.kind}: --all prints them, --json has them", "dim"))
                where.print()
            continue
        steps = "" if alarm.steps is None else f"  steps {alarm.steps[0]} to {alarm.steps[1]}"
        head = Text(f"{_SIGNS[alarm.severity]} {alarm.severity}", style=_STYLES[alarm.severity])
        where.print(head.append(f"  {alarm.kind}{steps}", style="not bold dim"))
        width = max(where.width - 2, 20)
        for text, style in ((alarm.title, "bold"), (alarm.advice, "")):
            for line in textwrap.wrap(visible(text), width, break_on_hyphens=False):
                where.print(Text(f"  {line}", style=style), soft_wrap=True)
        where.print()


# --------------------------------------------------------------------------------------------------------- the files


def find_run(path: Path) -> Run:
    """The one run under a path: its files of records and its log, see :mod:`rtt.inspector.runs`.

    Raises:
        ConfigurationError: there is nothing of a run there.
        DataError: it has no records, or there are several runs; the message names them.
    """
    from rtt.inspector.runs import find_runs

    runs = find_runs([path])
    if len(runs) > 1:
        raise DataError(f"{path}: holds several runs, {[run.name for run in runs]}; name the folder of one")
    if not runs[0].files:
        raise DataError(f"{path}: has a training log but no records; train with records_steps to have them written")
    return runs[0]
