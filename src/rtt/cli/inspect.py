"""``rtt inspect RECORDS -o report.html``: see which words each criterion hung on, and what each token earned."""

from __future__ import annotations

from pathlib import Path

import click

from rtt.cli.terminal import console, counted, reading
from rtt.errors import ConfigurationError

PATHS = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("records", nargs=-1, required=True, type=PATHS)
@click.option("-o", "--out", type=FILE, default="report.html", show_default=True, help="The HTML file.")
@click.option("--json", "twin", type=FILE, help="Write the same values as JSON too, for machines.")
@click.option("--title", default="Where the credit went", show_default=True, help="Of the page.")
def inspect(records: tuple[Path, ...], out: Path, twin: Path | None, title: str) -> None:
    """Write RECORDS as one HTML file: responses with their tokens coloured, training curves, alarms.

    RECORDS is a file or folder of records, or the folder of a run: of `rtt demo`, of `rtt train` with records_steps, of
    `rtt evaluate`. Several are shown in one page, their curves over each other.

    Tokens are coloured by their relevance to a criterion, by token reward, by token advantage or by what the loss was
    given; pointing at one shows what it got from which criterion. The responses of a group stand side by side, a
    slider follows a prompt over the steps, and the address holds the view. The file opens from disk, asks the network
    for nothing, and unpacks records as you look at them.

    \b
    What the demo learned; what a training run did; why a benchmark's answers failed:
        rtt inspect runs/demo -o demo.html
        rtt inspect runs/mine -o mine.html --json mine.json
        rtt inspect runs/ifeval-mine -o ifeval.html
    """
    write(records, out, twin, title, "responses")


def write(paths: tuple[Path, ...], out: Path, twin: Path | None, title: str, start: str) -> None:
    """Write the page of runs and say what is in it; ``start`` is the view that it opens at."""
    from rtt.inspector.page import write_page
    from rtt.inspector.runs import find_runs

    runs = find_runs(paths)
    for path in [out, *([twin] if twin is not None else [])]:
        if any(path.exists() and path.samefile(file) for run in runs for file in run.files):
            raise ConfigurationError(f"{path} is a file of records that is read; choose another to write to")
        if not path.parent.is_dir():
            raise ConfigurationError(f"{path}: there is no folder {path.parent}; make it first")
    files = [file for run in runs for file in run.files]
    with reading(console(stderr=True), "records", files) as advance:
        written = write_page(runs, out, title=title, twin=twin, start=start, advance=advance)
    shown = f"{counted(written.records, 'response')} of {counted(len(runs), 'run')}"
    stdout = console()
    stdout.print(f"{out}: {shown}, {counted(written.alarms, 'alarm')}; open it in a browser", soft_wrap=True)
    if twin is not None:
        stdout.print(f"{twin}: the same as JSON", soft_wrap=True)
