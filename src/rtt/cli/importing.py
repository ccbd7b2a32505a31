"""``rtt import FORMAT FILE... --out TASKS``: public sets of prompts with rubrics become a task file.

read_rows ─> read_row ─> Task ─> write_lines
                └─ Tally ─> summary
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtt.cli.terminal import console, counted, progress_bar, refuse_overwriting, visible
from rtt.errors import ConfigurationError, DataError
from rtt.importers import FORMATS, Format, format_named

if TYPE_CHECKING:
    from collections import Counter

    from rich.console import Console

    from rtt.importers.conversion import Tally
    from rtt.importers.reading import CodeChoice, Negative, UnknownRule

_FORMATS = "\b\nFormats:\n" + "\n".join(f"  {name:<16}{one.summary}" for name, one in FORMATS.items())
_SHOWN = 12  # reasons that the summary tells one by one


@click.command("import", epilog=_FORMATS)
@click.argument("form", metavar="FORMAT")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write the tasks here, as JSON lines."
)
@click.option(
    "--unknown-rule",
    type=click.Choice(["refuse", "judge", "skip"]),
    default="refuse",
    show_default=True,
    help="Criteria whose rule does not exist here: refuse and count them, let a judge decide, or leave them out.",
)
@click.option(
    "--code",
    type=click.Choice(["refuse", "keep", "judge", "skip"]),
    default="refuse",
    show_default=True,
    help="Criteria with program text, which is never run: refuse and count them, store the text (undetermined), let a "
    "judge decide, or leave them out.",
)
@click.option(
    "--negative",
    type=click.Choice(["keep", "positive", "skip"]),
    help="Criteria with a negative weight: keep it (something unwanted), drop the sign (the words already say what is "
    "wanted), or leave them out.  [default: keep; rar has no default]",
)
@click.option("--skip-bad", is_flag=True, help="Leave out rows that cannot be used, and count them.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N tasks.")
@click.option("--dataset", metavar="ID", help="The data set's id, for the tasks' metadata.  [default: by format]")
@click.option("--overwrite", is_flag=True, help="Replace the file of --out.")
def import_command(
    form: str,
    files: tuple[Path, ...],
    out: Path,
    unknown_rule: UnknownRule,
    code: CodeChoice,
    negative: Negative | None,
    skip_bad: bool,
    limit: int | None,
    dataset: str | None,
    overwrite: bool,
) -> None:
    """Turn the rows of FILE, a public set of prompts with rubrics, into tasks.

    FILE is JSON Lines, one JSON list, or Parquet (which needs pyarrow). Rows are read one at a time. The task file
    appears whole or not at all; ids are FORMAT/KEY.

    \b
    Rules for what has a rule here, a judge for what has none:
        rtt import if-rlvr train.jsonl --out tasks.jsonl --unknown-rule judge
    \b
    Rules alone:
        rtt import if-rlvr train.jsonl --out tasks.jsonl --unknown-rule skip
    \b
    Checkers with program text, which is never run: a judge reads the criterion's words instead:
        rtt import verinstruct data.jsonl --out tasks.jsonl --code judge
        rtt import hir HIR_trainv1_rubrics_processed.jsonl --out tasks.jsonl --code judge --unknown-rule judge
    \b
    Weighted rubrics, from Parquet, the first thousand usable rows:
        rtt import rar train-00000-of-00001.parquet --out tasks.jsonl --limit 1000 --skip-bad \\
            --dataset ScaleAI/RaR-Medicine --negative keep

    One row that cannot be used refuses the import, and the message names file, line, field and what was expected.
    Without a choice, rules that do not exist here and program text refuse it too, and are counted.

    Exit codes: 0 tasks were written; 1 interrupted; 2 something given cannot be used, and the message says what.
    """
    from rtt.importers.conversion import convert
    from rtt.importers.reading import Choices

    chosen = format_named(form)
    refuse_overwriting(out, *files)
    if out.exists() and not overwrite:
        raise DataError(f"--out {out}: is there already; give --overwrite to replace it, or another path")
    if negative is None and chosen.caution_on_negative:
        raise ConfigurationError(f"{form} needs a choice of --negative keep, positive or skip: {chosen.caution}")
    stdout, stderr = console(), console(stderr=True)
    tally = convert(
        chosen,
        files,
        out,
        choices=Choices(unknown_rule=unknown_rule, code=code, negative=negative or "keep"),
        dataset=dataset,
        skip_bad=skip_bad,
        limit=limit,
        progress=_bars(stderr) if stderr.is_terminal else None,
    )
    print_summary(stdout, tally, chosen, out)


def _bars(where: Console) -> Callable[[Path], contextlib.AbstractContextManager[Callable[[int], None]]]:
    """A bar for each file, which is gone when the file is read."""

    @contextlib.contextmanager
    def bar(file: Path) -> Iterator[Callable[[int], None]]:
        if not file.is_file():
            yield lambda _: None  # the reader says what is wrong with it
            return
        with progress_bar(where, f"import {file.name}", file) as progress:
            yield lambda size: progress.advance(progress.task_ids[0], size)

    return bar


def print_summary(where: Console, tally: Tally, form: Format, out: Path) -> None:
    """Print what became of the rows, and what who trains on them must know."""

    def say(line: str) -> None:
        where.print(visible(line), soft_wrap=True)

    say(f"{counted(tally.read, 'row')} read, {counted(tally.written, 'task')} written: {out}")
    if tally.skipped:
        say(f"rows left out: {_counts(tally.skipped)}")
    say(f"criteria: {_counts(tally.kinds)}")
    if tally.families:
        say(f"rules: {_counts(tally.families)}")
    if tally.left_out:
        say(f"criteria left out: {_counts(tally.left_out)}")
    if tally.judged_rules:
        say(f"for a judge, because their rule does not exist here: {_counts(tally.judged_rules)}")
    if tally.kinds["code"]:
        say("code that comes with data is never run: verdicts of these criteria stay undetermined")
    if tally.negative:
        say(f"negative weights: {counted(tally.negative, 'criterion', 'criteria')}, met by what they say not happening")
    if form.licence is None:
        say(f"licence of {form.hub[0]}: not confirmed; read the set's own card")
    if tally.on_ifbench:
        say(
            f"warning: {counted(tally.on_ifbench, 'task')} train on IFBench's test instruction types; IFBench is not "
            "out of distribution for a model trained on them"
        )
    if form.caution is not None and (tally.negative or not form.caution_on_negative):
        say(f"warning: {form.caution}")


def _counts(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_SHOWN))
    left = len(counts) - _SHOWN
    return shown if left <= 0 else f"{shown}, and {left} more"
