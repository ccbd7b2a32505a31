"""``rtt verify TASKS RESPONSES``: verdicts with their evidence, as JSON Lines or as a table for a person.

read_responses -> Answer, Answer, ... -> verified -> Result -> JSON lines / table -> summary
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtt.answers import Answer, read_responses
from rtt.cli.judging import JudgeChoice, batches, judge_options, print_report
from rtt.cli.terminal import SIGNS, console, counted, progress_bar, quoted, refuse_overwriting, visible
from rtt.errors import DataError, VerifierError
from rtt.json_lines import write_lines
from rtt.verdicts import Outcome, Span, Verdict, credited, instruction_accuracy, rubric_accuracy

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    from rtt.rubrics import Criterion, Task
    from rtt.verifiers import VerdictSource

FORMATS = ("auto", "table", "jsonl", "summary")

_STYLES = {Outcome.SATISFIED: "green", Outcome.VIOLATED: "red", Outcome.UNDETERMINED: "yellow"}
_EVIDENCE_STYLES = {"support": "bold green", "violation": "bold red underline"}
_QUOTES = 3  # how many pieces of evidence the table quotes; the response shows all


@dataclass(frozen=True, slots=True)
class Result:
    """An answer with the verdicts that were asked for, in the rubric's order."""

    answer: Answer
    criteria: tuple[Criterion, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def credited(self) -> tuple[Verdict, ...]:
        """The verdicts as they count: a criterion that describes something unwanted is met when it is violated."""
        return tuple(
            Verdict(verdict.criterion_id, credited(criterion, verdict), "")
            for criterion, verdict in zip(self.criteria, self.verdicts, strict=True)
        )

    def to_json(self) -> str:
        """One line of JSON; the accuracies are null where nothing was determined."""
        from rtt.records import verdict_to_json

        value = {
            "task_id": self.answer.task.id,
            "index": self.answer.index,
            "line": self.answer.line,
            "response": self.answer.text,
            "verdicts": [verdict_to_json(verdict) for verdict in self.verdicts],
            "rubric_accuracy": rubric_accuracy([self.credited]),
            "instruction_accuracy": instruction_accuracy([self.credited]),
        }
        # Half a surrogate pair, which a cut response may end in, has no UTF-8: only an escape can carry it.
        is_unicode = not any("\ud800" <= character <= "\udfff" for character in self.answer.text)
        return json.dumps(value, ensure_ascii=not is_unicode)


criterion_option = click.option(
    "--criterion",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Only criteria whose id or rule matches, such as 'c1' or 'keywords:*'. May be given again.",
)
"""The option of commands that can do with some of the criteria; see :func:`matches`."""


@click.command()
@click.argument("tasks", type=click.Path(path_type=Path))
@click.argument("responses", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What goes to standard output. auto: a table on a terminal, otherwise jsonl (with --out: the summary).",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the verdicts as JSON lines here.")
@click.option("--loose", is_flag=True, help="Judge as IFEval's loose metric does: any of 8 trimmed variants may pass.")
@criterion_option
@click.option("--failed", is_flag=True, help="Leave out responses that meet every criterion; the summary counts them.")
@judge_options()
def verify(
    tasks: Path,
    responses: Path,
    form: str,
    out: Path | None,
    loose: bool,
    patterns: tuple[str, ...],
    failed: bool,
    judge: JudgeChoice | None,
) -> None:
    """Check RESPONSES against the rubrics of TASKS, and show for each verdict the words that decide it.

    TASKS is a task file (or a file in IFEval's format). RESPONSES has one JSON object a line: the answer under
    `response` (or `text`), and the task it answers under `task_id` (or `id`, or IFEval's `key`, or the text of the
    prompt under `prompt`). `-` reads standard input. A task may have any number of responses.

    Criteria that no rule decides are undetermined, unless a model is asked: --judge.

    \b
    A table with the evidence in colour, as it is or in a pager:
        rtt verify tasks.jsonl responses.jsonl
        FORCE_COLOR=1 rtt verify tasks.jsonl responses.jsonl --format table | less -R
    \b
    Verdicts for another program, and the summary on the terminal:
        rtt verify tasks.jsonl responses.jsonl --out verdicts.jsonl
        rtt verify tasks.jsonl responses.jsonl | jq '.verdicts[].outcome'
    \b
    What goes wrong with keywords:
        rtt verify tasks.jsonl responses.jsonl --criterion 'keywords:*' --failed
    \b
    IFEval's strict and loose figures:
        rtt verify input_data.jsonl answers.jsonl --format summary
        rtt verify input_data.jsonl answers.jsonl --format summary --loose
    \b
    With a model for the criteria without a rule, on this machine (vLLM, Ollama, llama.cpp, ...) or at OpenAI:
        rtt verify tasks.jsonl responses.jsonl --judge qwen3:8b --base-url http://127.0.0.1:11434/v1
        OPENAI_API_KEY=... rtt verify tasks.jsonl responses.jsonl --judge gpt-4o-mini --price 0.15,0.60

    A judge's answers are kept: a run that was stopped, or is repeated, asks only for what is missing. How far to trust
    a judge: `rtt judge check`.

    A JSON line holds task_id, index (which of the task's responses), line, response, verdicts (criterion_id, outcome
    1, -1 or 0 for undetermined, source, reason, scope, missing, failed, evidence with start, end and
    polarity), rubric_accuracy and instruction_accuracy.

    Exit codes: 0 verdicts were given, whatever they say; 2 a file cannot be used, and the message says where, or the
    judge gave no usable answer at all.
    """
    from rtt.verifiers.judge.drafting import read_accepted

    refuse_overwriting(out, tasks, responses)
    by_id = {task.id: task for task in read_accepted(tasks)}
    stdout, stderr = console(), console(stderr=True)
    if form == "auto":
        form = "table" if stdout.is_terminal else "jsonl" if out is None else "summary"
    # A bar and a table on the same terminal would write into each other.
    shows_progress = stderr.is_terminal and (form == "summary" or not stdout.is_terminal)

    model = None if judge is None else judge.build()
    tally = Tally()
    with contextlib.ExitStack() as stack:
        write = stack.enter_context(write_lines(out)) if out is not None else None
        bar = _Bar(stack.enter_context(progress_bar(stderr, "verify", responses)) if shows_progress else None)
        if model is not None:
            stack.enter_context(model)  # its connections stay open from batch to batch
        read = 0
        for batch in batches(read_responses(responses, by_id, tasks, bar.read), judge):
            read += len(batch)
            for result in verified(batch, patterns, loose, model, bar.judged):
                if not result.verdicts:
                    continue  # none of its criteria was asked for
                tally.add(result)
                if failed and all(verdict.outcome is Outcome.SATISFIED for verdict in result.credited):
                    continue
                if write is not None:
                    write(result.to_json())
                if form == "jsonl":
                    click.echo(result.to_json().encode())  # UTF-8, whatever the terminal speaks
                elif form == "table":
                    print_result(stdout, result)
            bar.catch_up()
        bar.catch_up()  # the last line counts as read when the next one is asked for
        if not read:
            raise DataError(f"{responses}: has no response in it; expected one JSON object a line")
        if not tally.results:
            raise DataError(f"no criterion answered here matches {list(patterns)}; expected an id or a rule's name")
    tally.print(stderr if form == "jsonl" else stdout)
    if out is not None:
        stderr.print(f"verdicts: {out}", soft_wrap=True)
    if model is not None:
        print_report(stderr, model.report)
        if model.report.failed and model.report.failed == model.report.criteria:
            raise VerifierError(f"the judge gave no usable answer; for the first criterion: {tally.first_failure}")


def verified(
    answers: Sequence[Answer],
    patterns: Sequence[str] = (),
    loose: bool = False,
    judge: VerdictSource | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """The answers with the verdicts on the criteria whose id or rule matches a pattern; all of them without patterns.

    Args:
        answers: responses.
        patterns: for ``fnmatch``. Other criteria are not decided, and the judge is not asked about them.
        loose: as IFEval's loose metric.
        judge: decides what no rule can.
        progress: told how many criteria the judge has decided, of at most how many.
    """
    from rtt.verifiers import verify_batch, verify_loose

    asked = [_narrowed(answer.task, patterns) for answer in answers]
    pairs = [(task, answer.text) for task, answer in zip(asked, answers, strict=True) if task is not None]
    total, done = sum(len(task.rubric.criteria) for task, _ in pairs), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    found = iter(verify_batch(pairs, judge, progress=advance))
    results = []
    for answer, task in zip(answers, asked, strict=True):
        if task is None:
            results.append(Result(answer, (), ()))
            continue
        verdicts = next(found)
        if loose:
            outcomes = verify_loose(task, answer.text)
            verdicts = [_loosened(strict, outcome) for strict, outcome in zip(verdicts, outcomes, strict=True)]
        results.append(Result(answer, task.rubric.criteria, tuple(verdicts)))
    return results


def _narrowed(task: Task, patterns: Sequence[str]) -> Task | None:
    """The task with the criteria that match a pattern; None where none does."""
    if not patterns:
        return task
    kept = tuple(
        criterion for criterion in task.rubric.criteria if any(matches(criterion, pattern) for pattern in patterns)
    )
    if not kept:
        return None
    return task.narrowed(kept)


def _loosened(strict: Verdict, outcome: Outcome) -> Verdict:
    """The loose verdict. Where a trimmed variant decides it, the evidence in the response as it is says nothing."""
    if outcome is strict.outcome or outcome is not Outcome.SATISFIED:
        return strict
    reason = f"a trimmed variant meets it; as it is: {strict.reason}"
    return Verdict(strict.criterion_id, outcome, strict.source, reason, scope="response")


def matches(criterion: Criterion, pattern: str) -> bool:
    """Whether the criterion's id or its rule's name matches the pattern."""
    names = [criterion.id] if criterion.rule is None else [criterion.id, criterion.rule.name]
    return any(fnmatch.fnmatchcase(name, pattern.removeprefix("ifeval:")) for name in names)


# ---------------------------------------------------------------------------------------------------------- output


def print_result(console: Console, result: Result) -> None:
    """Print one response's verdicts as a table, then the response with its evidence in colour.

    Nothing in the response reaches the terminal as a command: see :func:`visible`.
    """
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    answer = result.answer
    met = sum(verdict.outcome is Outcome.SATISFIED for verdict in result.credited)
    head = f"{visible(answer.task.id)}  response {answer.index}, line {answer.line}: "
    console.print(Text(head, style="bold").append(f"{met} of {len(result.verdicts)} criteria met"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for heading in ("verdict", "criterion", "reason", "evidence"):
        table.add_column(heading, overflow="fold", min_width=14 if heading == "verdict" else None)
    for criterion, verdict, counts_as in zip(result.criteria, result.verdicts, result.credited, strict=True):
        outcome = verdict.outcome.name.lower() + (", unwanted" if criterion.unwanted else "")
        table.add_row(
            Text(f"{SIGNS[counts_as.outcome]} {outcome}", style=_STYLES[counts_as.outcome]),
            Text.assemble((f"{visible(criterion.id)}: ", "bold"), visible(criterion.text)),
            Text(visible(verdict.reason)),
            _quotes(verdict, answer.text),
        )
    console.print(table)
    evidence = [span for verdict in result.verdicts for span in verdict.evidence]
    shown = highlighted(answer.text, evidence) if answer.text.strip() else Text("the response is blank", style="dim")
    console.print(Padding(shown, (0, 0, 1, 2)))


def highlighted(text: str, evidence: Sequence[Span]) -> Text:
    """The response with its evidence marked: support green, violation red and underlined, violation on top."""
    from rich.text import Text

    shown = Text(visible(text), overflow="fold")
    for span in sorted(evidence, key=lambda span: span.polarity):  # "support" before "violation"
        shown.stylize(_EVIDENCE_STYLES[span.polarity], span.start, span.end)
    return shown


def _quotes(verdict: Verdict, text: str) -> Text:
    from rich.text import Text

    quotes = Text()
    for span in verdict.evidence[:_QUOTES]:
        quotes.append(f"{quoted(text[span.start : span.end])}\n", style=_EVIDENCE_STYLES[span.polarity])
    if len(verdict.evidence) > _QUOTES:
        quotes.append(f"and {len(verdict.evidence) - _QUOTES} more\n", style="dim")
    if not verdict.evidence and verdict.scope == "response" and verdict.determined:
        quotes.append("the whole response", style="dim")
    quotes.rstrip()
    return quotes


class Tally:
    """What all responses add up to; keeps outcomes, not the responses."""

    def __init__(self) -> None:
        self.results: list[tuple[Verdict, ...]] = []
        self.by_rule: dict[str, Counter[Outcome]] = defaultdict(Counter)
        self.tasks: set[str] = set()
        self.first_failure = ""  # why the first verdict without an answer has none

    def add(self, result: Result) -> None:
        """Count one result."""
        self.tasks.add(result.answer.task.id)
        self.results.append(result.credited)
        for criterion, verdict in zip(result.criteria, result.credited, strict=True):
            self.by_rule[criterion.rule.name if criterion.rule is not None else criterion.kind][verdict.outcome] += 1
        if not self.first_failure:
            self.first_failure = next((verdict.reason for verdict in result.verdicts if verdict.failed), "")

    def print(self, console: Console) -> None:
        """Print pass rates by rule, the lowest first, then the accuracies in one line."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if len(self.results) > 1 and len(self.by_rule) > 1:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            table.add_column("rule", no_wrap=True)
            for heading in ("met", "not met", "undetermined", "rate"):
                table.add_column(heading, justify="right")
            for rule, counts in sorted(self.by_rule.items(), key=lambda item: (_rate(item[1]) or 0.0, item[0])):
                table.add_row(Text(rule), *(str(counts[outcome]) for outcome in SIGNS), _percent(_rate(counts)))
            console.print(table)
        console.print(self.summary(), soft_wrap=True)

    def summary(self) -> str:
        """Rubric and instruction accuracy, with what they are fractions of, and the number of undetermined verdicts."""
        counts = sum(self.by_rule.values(), Counter[Outcome]())
        determined = counts[Outcome.SATISFIED] + counts[Outcome.VIOLATED]
        judged = [verdicts for verdicts in self.results if any(verdict.determined for verdict in verdicts)]
        whole = sum(instruction_accuracy([verdicts]) == 1 for verdicts in judged)
        return (
            f"{counted(len(self.results), 'response')} to {counted(len(self.tasks), 'task')}: "
            f"rubric accuracy {_percent(rubric_accuracy(self.results))} ({counts[Outcome.SATISFIED]}/{determined}), "
            f"instruction accuracy {_percent(instruction_accuracy(self.results))} ({whole}/{len(judged)}), "
            f"undetermined {counts[Outcome.UNDETERMINED]}"
        )


def _rate(counts: Counter[Outcome]) -> float | None:
    determined = counts[Outcome.SATISFIED] + counts[Outcome.VIOLATED]
    return counts[Outcome.SATISFIED] / determined if determined else None


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


class _Bar:
    """A bar over the file's bytes on standard error, or none; within a batch it follows the judge."""

    def __init__(self, bar: Progress | None) -> None:
        self.bar = bar
        self.pending = self.shown = 0

    def read(self, count: int) -> None:
        """So many bytes were read."""
        self.pending += count

    def judged(self, done: int, total: int) -> None:
        """So many of the batch's criteria are decided."""
        self._show(int(self.pending * min(done / total, 1.0)))

    def catch_up(self) -> None:
        """The batch is done."""
        self._show(self.pending)
        self.pending = self.shown = 0

    def _show(self, reached: int) -> None:
        if self.bar is not None:
            self.bar.advance(self.bar.task_ids[0], reached - self.shown)
        self.shown = reached
