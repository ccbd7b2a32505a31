"""Runs and their lines: each run is a line of JSON, and what has its line is not run again.

runs -> waiting: those without a line -> append_lines, on some processes of one thread each, as they finish
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from rtt.cli.terminal import console, count_bars
from rtt.json_lines import decode_line, read_lines


class Keyed(Protocol):
    """A run: all that decides its line."""

    @property
    def key(self) -> str:
        """Equal for equal runs only."""
        ...


AnyRun = TypeVar("AnyRun", bound=Keyed)


def done(file: Path) -> dict[str, dict[str, Any]]:
    """The lines of a results file by key; none where there is no file yet."""
    if not file.exists():
        return {}
    return {line["key"]: line for line in (decode_line(line) for _, line in read_lines(file))}


def waiting(runs: Iterable[AnyRun], file: Path) -> list[AnyRun]:
    """The runs that have no line in ``file`` yet, each once, in order."""
    known = done(file)
    return list({run.key: run for run in runs if run.key not in known}.values())


def append_lines(
    runs: Sequence[AnyRun], work: Callable[[AnyRun], dict[str, Any]], file: Path, workers: int = 2
) -> None:
    """Do the runs, and append the line of each, with commit and machine, as soon as it is there.

    Args:
        runs: what to do, in order.
        work: a run's line; a function of a module, since other processes import it.
        file: the results.
        workers: processes of one thread each; with one, this process itself.
    """
    if not runs:
        return
    commit = _commit()
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    with count_bars(console(stderr=True)) as bars, file.open("a") as stream:
        bar = bars.add_task(file.stem, total=len(runs))
        for line in _results(runs, work, workers):
            stream.write(json.dumps({**line, "commit": commit, "machine": machine}) + "\n")
            stream.flush()
            bars.advance(bar)


def _results(
    runs: Sequence[AnyRun], work: Callable[[AnyRun], dict[str, Any]], workers: int
) -> Iterable[dict[str, Any]]:
    if workers <= 1:
        yield from (work(run) for run in runs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        for future in as_completed([pool.submit(work, run) for run in runs]):
            yield future.result()


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
