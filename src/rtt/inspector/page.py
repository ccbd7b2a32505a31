"""Runs as one HTML file: it opens from disk, asks the network for nothing, and unpacks records as they are looked at.

    <head>   style, and a policy (CSP) that lets only the page's own script run and nothing be fetched
    <body>   the empty page, so that something is on the screen at once
    index    tasks, metrics, alarms, and of each record what lists and filters need       gzip, base64
    script
    chunk 0, chunk 1, ...   the records, some dozens in each                              gzip, base64

Text from data reaches the page as JSON inside base64 and is only ever set as text, so nothing of it can run. The JSON
twin holds the same values, a record a line.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from rtt import __version__
from rtt.errors import DataError
from rtt.inspector.alarms import audit
from rtt.inspector.pieces import token_ends, utf16
from rtt.inspector.runs import RecordedHistory, Run
from rtt.json_lines import write_lines
from rtt.records import Record
from rtt.rubrics import Criterion, Task

CHUNK_RECORDS = 48
"""The most records in a chunk; the page unpacks one when a record of it is looked at."""

CHUNK_BYTES = 1_000_000
"""A chunk that is longer than this, before it is packed, takes no more records."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a page holds: how many records, and how many alarms."""

    records: int
    alarms: int


def write_page(
    runs: Sequence[Run],
    out: Path,
    *,
    title: str = "Where the credit went",
    twin: Path | None = None,
    start: str = "responses",
    advance: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write the page of some runs; the file appears whole or not at all.

    Args:
        runs: in the order in which they are shown.
        out: the HTML file.
        title: of the page.
        twin: where the same values go as JSON.
        start: the view that it opens at: ``"responses"``, ``"training"`` or ``"alarms"``.
        advance: told how many bytes of records were read since the last time, for a progress bar.

    Raises:
        DataError: a line is not a record, or the disk refuses.
    """
    try:
        with tempfile.TemporaryFile("w+", encoding="ascii") as packed, contextlib.ExitStack() as stack:
            write = None if twin is None else stack.enter_context(write_lines(twin))
            if write is not None:
                write('{"records": [')
            collection = _Collection(packed, write)
            for number, run in enumerate(runs):
                collection.add_run(number, run, advance)
            collection.finish_chunk()
            page = collection.page(title, start)
            if write is not None:
                write(f"], {json.dumps(page)[1:]}")
            packed.seek(0)
            unfinished = out.with_name(f".{out.name}.tmp")
            try:
                with unfinished.open("w", encoding="utf-8") as file:
                    _write_html(file, page, packed, title)
                unfinished.replace(out)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Written(len(collection.index["step"]), len(collection.alarms))


class _Collection:
    """What the page is made of, gathered record by record; the records themselves go to disk, packed.

    Args:
        packed: where the chunks are written.
        write: writes a line of the twin; None: there is none.
    """

    def __init__(self, packed: IO[str], write: Callable[[str], None] | None) -> None:
        self.packed = packed
        self.write = write
        self.chunk: list[str] = []
        self.chunks: list[int] = []  # how many records are in each
        self.tasks: dict[str, int] = {}
        self.shown_tasks: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.alarms: list[dict[str, Any]] = []
        columns = ("run", "step", "group", "task", "reward", "outcomes", "tokens", "size")
        self.index: dict[str, list[Any]] = {name: [] for name in columns}

    def add_run(self, number: int, run: Run, advance: Callable[[int], None]) -> None:
        """Read a run's records once: for the page, for the alarms, and for metrics where no log is there."""
        counted = RecordedHistory()

        def records() -> Iterator[Record]:
            for record in run.records(advance):
                self._add(number, record)
                if not run.history:
                    counted.add(record)
                yield record

        alarms = audit(records(), history=run.history)
        self.alarms += [{"run": number, **alarm.to_json()} for alarm in alarms]
        history = run.history or counted.history()
        self.runs.append({"name": run.name, "logged": bool(run.history), "history": _numbers(history)})

    def _add(self, run: int, record: Record) -> None:
        shown = _record(record)
        shown["task"] = self._task(record.task)
        shown["run"] = run
        line = json.dumps(shown, separators=(",", ":"))
        if self.write is not None:
            self.write(line if not self.index["step"] else f",{line}")
        self.chunk.append(line)
        values = (
            run,
            record.step,
            record.group,
            shown["task"],
            shown["reward"],
            "".join("-0+"[int(verdict.outcome) + 1] for verdict in record.verdicts),
            len(record.response.token_ids),
            max((abs(value) for value in shown["advantages"] if value is not None), default=0),
        )
        for column, value in zip(self.index.values(), values, strict=True):
            column.append(value)
        if len(self.chunk) >= CHUNK_RECORDS or sum(map(len, self.chunk)) > CHUNK_BYTES:
            self.finish_chunk()

    def _task(self, task: Task) -> int:
        number = self.tasks.setdefault(task.to_json(), len(self.tasks))
        if number == len(self.shown_tasks):
            self.shown_tasks.append(
                {
                    "id": task.id,
                    "messages": [{"role": message.role, "content": message.content} for message in task.prompt],
                    "criteria": [_criterion(criterion) for criterion in task.rubric.criteria],
                }
            )
        return number

    def finish_chunk(self) -> None:
        """Pack the records that wait."""
        if self.chunk:
            self.packed.write(_block(f"chunk-{len(self.chunks)}", f"[{','.join(self.chunk)}]"))
            self.chunks.append(len(self.chunk))
            self.chunk.clear()

    def page(self, title: str, start: str) -> dict[str, Any]:
        """All but the records."""
        return {
            "version": __version__,
            "title": title,
            "start": start,
            "runs": self.runs,
            "tasks": self.shown_tasks,
            "alarms": self.alarms,
            "index": self.index,
            "chunks": self.chunks,
        }


def _criterion(criterion: Criterion) -> dict[str, Any]:
    kind = criterion.rule.name if criterion.rule else "code" if criterion.code is not None else "judge"
    return {
        "id": criterion.id,
        "text": criterion.text,
        "kind": kind,
        "weight": criterion.weight,
        "arguments": dict(criterion.rule.arguments) if criterion.rule else {},
    }


def _record(record: Record) -> dict[str, Any]:
    """A record as the page reads it: places in the text in UTF-16 units, numbers to four digits."""
    text = record.response.text
    shares = record.criterion_advantages
    return {
        "step": record.step,
        "group": record.group,
        "text": text,
        "ends": utf16(text, token_ends(record.response)),
        "token_ids": record.response.token_ids,
        "verdicts": [
            {
                "outcome": int(verdict.outcome),
                "source": verdict.source,
                "reason": verdict.reason,
                "scope": verdict.scope,
                "missing": verdict.missing,
                "failed": verdict.failed,
                "evidence": [
                    [*utf16(text, (span.start, span.end)), int(span.polarity == "support")] for span in verdict.evidence
                ],
            }
            for verdict in record.verdicts
        ],
        "relevance": [[_short(value) for value in row] for row in record.relevance],
        "shares": shares and [[_short(value) for value in row] for row in shares],
        "reward": None if record.reward is None else _short(record.reward),
        "response_advantage": _short(record.response_advantage),
        "token_advantages": [_short(value) for value in record.token_advantages],
        "advantages": [_short(value) for value in record.advantages],
        "weight": record.token_weight,
        "combine": record.combine,
    }


def _short(value: float) -> float | None:
    """To four digits, whole numbers without a point; None for what is no number, which JSON has not."""
    if value != value or value in (float("inf"), float("-inf")):
        return None
    short = float(f"{value:.4g}")
    return int(short) if short == int(short) else short


def _numbers(history: Sequence[Any]) -> list[dict[str, float | None]]:
    """The metrics that are numbers, with the step."""
    return [
        {name: value if name == "step" else _short(float(value)) for name, value in row.items() if _is_number(value)}
        for row in history
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ---------------------------------------------------------------------------------------------------------------- HTML


def _block(name: str, content: str) -> str:
    """A block of data: base64 holds no character that HTML knows."""
    packed = base64.b64encode(gzip.compress(content.encode(), compresslevel=6, mtime=0)).decode("ascii")
    return f'<script type="application/octet-stream" id="{name}">{packed}</script>\n'


def _write_html(file: IO[str], page: dict[str, Any], packed: IO[str], title: str) -> None:
    source = files("rtt.inspector") / "page"
    text = {
        name: (source / name).read_text(encoding="utf-8")
        for name in ("page.html", "page.css", "page.js", "uPlot.min.js", "uPlot.min.css")
    }
    styles = [text["uPlot.min.css"], text["page.css"]]
    scripts = [text["uPlot.min.js"], text["page.js"]]
    policy = (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head, body = text["page.html"].split("<!-- data -->")
    head = head.replace("<!-- policy -->", f'<meta http-equiv="Content-Security-Policy" content="{policy}">')
    head = head.replace("<!-- title -->", _escaped(title))
    head = head.replace("<!-- style -->", "".join(f"<style>{style}</style>" for style in styles))
    file.write(head)
    file.write(_block("index", json.dumps(page, separators=(",", ":"))))
    file.write("".join(f"<script>{script}</script>\n" for script in scripts))
    shutil.copyfileobj(packed, file)
    file.write(body)


def _hashes(contents: Sequence[str]) -> str:
    digests = (hashlib.sha256(content.encode()).digest() for content in contents)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
