"""The folder of a benchmark run: what is asked, what was answered, how it was scored.

run.json           what the run is: data, model or responses, sampling; a run of something else is not mixed in
responses.jsonl    {"key", "response", ...}, added to batch by batch, so that a run that was stopped goes on
verdicts.jsonl     {"key", "strict": [true, ...], "loose": [...]}, a line a response; undetermined is null
summary.json       the figures, see rtt.benchmarks.summary
report.md          the same as tables
records.jsonl      each response with its verdicts and evidence, for the inspector (rtt.records)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtt.benchmarks import Prompt
from rtt.benchmarks.scoring import Answer, Scored
from rtt.errors import ConfigurationError, DataError
from rtt.json_lines import LineError, decode_line, read_lines, write_lines
from rtt.records import Record, write_records
from rtt.relevance.evidence import EvidenceRelevance
from rtt.responses import response_from_words

RUN, RESPONSES, VERDICTS, SUMMARY = "run.json", "responses.jsonl", "verdicts.jsonl", "summary.json"
REPORT, RECORDS, TYPES_PLOT = "report.md", "records.jsonl", "types.png"
FILES = (RUN, RESPONSES, VERDICTS, SUMMARY, REPORT, RECORDS, TYPES_PLOT)
"""All that a run writes into its folder."""


class RunFolder:
    """The folder of one run.

    Args:
        path: the folder; made where it is not there.
        identity: what the run is, by name; all that changes a response or a verdict.
        fresh: delete what an earlier run wrote.

    Raises:
        ConfigurationError: the folder holds a run of something else, or cannot be written.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *, fresh: bool = False) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            if fresh:
                for name in FILES:
                    (path / name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--out {path}: cannot be written: {error.strerror or error}") from error
        wanted = json.loads(json.dumps(identity))
        known = self._identity()
        if known is None:
            if any((path / name).exists() for name in FILES):
                raise ConfigurationError(
                    f"{path} holds files of another run but no {RUN} that says which; choose another folder, or --fresh"
                )
            self._write_lines(RUN, [json.dumps(wanted, indent=1, ensure_ascii=False)])
        elif known != wanted:
            raise ConfigurationError(
                f"{path} holds another run: {_differences(known, wanted)}; choose another folder, or --fresh deletes it"
            )

    def _identity(self) -> Any:
        file = self.path / RUN
        if not file.exists():
            return None
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{file} is damaged ({error}); --fresh deletes the run") from error

    def answered(self, prompts: Iterable[Prompt]) -> dict[int | str, Mapping[str, Any]]:
        """The lines that an earlier start of this run left, by key; half a line at the end is cut off.

        Raises:
            DataError: a line is damaged, or answers no prompt of the benchmark.
        """
        file = self.path / RESPONSES
        if not file.exists():
            return {}
        self._cut_half_line(file)
        known = {prompt.key for prompt in prompts}
        found: dict[int | str, Mapping[str, Any]] = {}
        for number, line in read_lines(file):
            try:
                value = decode_line(line)
            except LineError as error:
                raise DataError(f"{file}:{number}: {error}; mend the line, or --fresh to begin anew") from None
            if (
                not isinstance(value, dict)
                or value.get("key") not in known
                or not isinstance(value.get("response"), str)
            ):
                raise DataError(f"{file}:{number}: is no response of this run; mend the line, or --fresh to begin anew")
            found[value["key"]] = value
        return found

    def _cut_half_line(self, file: Path) -> None:
        with file.open("rb+") as stream:
            content = stream.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                stream.truncate(whole)

    def add(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Add responses, on disk when this returns.

        Raises:
            DataError: the disk refuses.
        """
        text = "".join(f"{json.dumps(line, ensure_ascii=_has_surrogates(line))}\n" for line in lines)
        try:
            with (self.path / RESPONSES).open("ab") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DataError(f"{self.path / RESPONSES}: cannot be written: {error.strerror or error}") from error

    def rewrite(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Put the responses in the order that is given here."""
        self._write_lines(RESPONSES, (json.dumps(line, ensure_ascii=_has_surrogates(line)) for line in lines))

    def finish(self, scored: Sequence[Scored], summary: Mapping[str, Any], report: str) -> None:
        """Write verdicts, figures, report and records, each file whole or not at all.

        Raises:
            DataError: the disk refuses.
        """
        several = len({one.answer.prompt.key for one in scored}) < len(scored)
        self._write_lines(VERDICTS, (json.dumps(one.to_json(numbered=several)) for one in scored))
        write_records(self.path / RECORDS, _records(scored))
        self._write_lines(REPORT, [report.rstrip("\n")])
        self._write_lines(SUMMARY, [json.dumps(summary, indent=1, ensure_ascii=False)])

    def _write_lines(self, name: str, lines: Iterable[str]) -> None:
        with write_lines(self.path / name) as write:
            for line in lines:
                write(line)


def _records(scored: Sequence[Scored]) -> Iterator[Record]:
    """Each response as a record: words stand for tokens, evidence is the relevance, nothing was trained."""
    relevance = EvidenceRelevance()
    groups: dict[int | str, int] = {}
    for one in scored:
        answer = one.answer
        task = answer.prompt.task
        response = response_from_words(task.id, answer.text)
        [maps] = relevance([task], [response], [one.verdicts])
        determined = [int(outcome) for outcome in one.strict if outcome]
        nothing = (0.0,) * len(response.token_ids)
        yield Record(
            step=0,
            group=groups.setdefault(answer.prompt.key, len(groups)),
            task=task,
            response=response,
            verdicts=one.verdicts,
            relevance=tuple(tuple(float(value) for value in row) for row in maps),
            reward=sum(outcome > 0 for outcome in determined) / len(determined) if determined else None,
            response_advantage=0.0,
            token_advantages=nothing,
            advantages=nothing,
        )


def answers_of(
    prompts: Sequence[Prompt], lines: Mapping[int | str, Mapping[str, Any]], mark: str | None
) -> list[Answer]:
    """The responses of a run in the order of the data, without what stands before the end of their reasoning.

    Args:
        prompts: the benchmark's.
        lines: of ``responses.jsonl``, by key.
        mark: the end of reasoning, such as ``"</think>"``; None: all of a response is scored.
    """
    return [
        Answer(prompt, without_reasoning(str(lines[prompt.key]["response"]), mark))
        for prompt in prompts
        if prompt.key in lines
    ]


def without_reasoning(text: str, mark: str | None) -> str:
    """What follows the last ``mark``, line ends at its start cut off; all of the text where the mark is not there."""
    if mark is None or mark not in text:
        return text
    return text.rpartition(mark)[2].lstrip("\n")


def _has_surrogates(line: Mapping[str, Any]) -> bool:
    """Half a surrogate pair, which a cut response may end in, has no UTF-8: only an escape can carry it."""
    return any("\ud800" <= character <= "\udfff" for character in str(line["response"]))


def _differences(known: Any, wanted: Any) -> str:
    names = [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]
    return "; ".join(f"{name}: {json.dumps(known.get(name))}, now {json.dumps(wanted.get(name))}" for name in names)
