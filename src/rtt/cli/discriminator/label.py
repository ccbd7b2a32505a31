"""``rtt discriminator label TASKS RESPONSES --out FILE``: examples to train a discriminator on, from responses.

    read_responses ─> Answer ─> label_answer ─> Journal ─> FILE, FILE.md
                                   │
            rule criteria ─────────┤  the rule's evidence; the criterion in other words (--reword), the response changed
                                   │  (--counterfactuals), what removing words says (--occlude)
            judge criteria ────────┘  a model quotes the words (--judge)

The journal, ``FILE.partial``, keeps each finished response, so that a run that is stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from rtt import __version__
from rtt.cli.judging import JudgeChoice, batches, judge_options, print_report
from rtt.cli.terminal import console, counted, print_table, progress_bar, refuse_overwriting
from rtt.errors import DataError, VerifierError

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.answers import Answer
    from rtt.relevance.discriminator.examples import Example
    from rtt.rubrics import Criterion, Rule, Task
    from rtt.verdicts import Verdict
    from rtt.verifiers import VerdictSource

_OCCLUSION_CALLS = 200  # a rule that reads the whole response, such as its language, takes milliseconds for each
_LOCAL_SHARE = 0.5  # what occlusion finds is local up to this share of the response's words


@click.command()
@click.argument("tasks", type=click.Path(path_type=Path))
@click.argument("responses", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the examples as JSON lines here.",
)
@click.option(
    "--reword",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Also N other wordings of each rule criterion, so that the model reads language and not rule names.",
)
@click.option("--counterfactuals", is_flag=True, help="Also responses whose evidence is changed, verified again.")
@click.option(
    "--occlude", is_flag=True, help="Where a rule points at nothing, remove words and see what turns it (slow)."
)
@click.option(
    "--resume/--fresh", default=True, show_default=True, help="Go on with a run that was stopped, or start anew."
)
@judge_options()
def label(
    tasks: Path,
    responses: Path,
    out: Path,
    reword: int,
    counterfactuals: bool,
    occlude: bool,
    resume: bool,
    judge: JudgeChoice | None,
) -> None:
    """Make examples from RESPONSES: for each criterion of TASKS the words that its verdict hangs on.

    TASKS is a task file (or a file in IFEval's format). RESPONSES has one JSON object a line, as for `rtt verify`: the
    answer under `response`, the task under `task_id`; `-` reads standard input. Rules give the words of their own
    criteria exactly and for free. Criteria that no rule decides are left out unless there is a judge.

    \b
    What the rules know, each criterion in its own words and in two others:
        rtt discriminator label tasks.jsonl responses.jsonl --out examples.jsonl --reword 2
    \b
    All that can be had without a model:
        rtt discriminator label tasks.jsonl responses.jsonl --out examples.jsonl \\
            --reword 2 --counterfactuals --occlude
    \b
    Criteria for a judge too, from a model on this machine:
        rtt discriminator label tasks.jsonl responses.jsonl --out examples.jsonl \\
            --judge Qwen/Qwen3-4B --base-url http://127.0.0.1:8000/v1
    \b
    Look at them:
        jq -r '[.criterion, (.support + .violation | tojson)] | @tsv' examples.jsonl | less

    A line holds criterion, response, outcome (1 satisfied, -1 violated), support and violation (spans [start, end) in
    code points), scope, missing, kind, wording, prompt, source and rule. FILE.md beside FILE is a card that says what
    is in it, with places to fill in.

    Stopped with Ctrl-C, the finished responses are kept in FILE.partial, and the same command goes on from there.

    Exit codes: 0 done; 1 interrupted; 2 something given cannot be used, and the message says what.
    """
    from rtt.answers import read_responses
    from rtt.relevance.discriminator.examples import dataset_card, iter_examples
    from rtt.verifiers.judge.drafting import read_accepted

    refuse_overwriting(out, tasks, responses)
    by_id = {task.id: task for task in read_accepted(tasks)}
    stdout, stderr = console(), console(stderr=True)
    options = Options(reword, counterfactuals, occlude)
    asks = None if judge is None else judge.build()
    settings = {
        "reword": reword,
        "counterfactuals": counterfactuals,
        "occlude": occlude,
        "judge": None if judge is None else _judge_settings(judge),
        "tasks": hashlib.sha256(tasks.read_bytes()).hexdigest()[:16],
        "rtt": __version__,
    }
    left_out: Counter[str] = Counter()
    with Journal(out.with_name(f"{out.name}.partial"), settings, resume=resume) as journal:
        if journal.entries:
            stderr.print(f"going on: {counted(len(journal.entries), 'response')} finished before", soft_wrap=True)
        order: dict[str, None] = {}
        failure = ""
        try:
            with contextlib.ExitStack() as stack:
                advance = stack.enter_context(_progress(stderr, responses)) if stderr.is_terminal else None
                for batch in batches(read_responses(responses, by_id, tasks, advance), judge):
                    named = {answer_key(answer): answer for answer in batch}
                    order |= dict.fromkeys(named)
                    new = {key: answer for key, answer in named.items() if key not in journal.entries}
                    for key, labels in zip(new, label_answers(list(new.values()), options, asks), strict=True):
                        journal.add(key, labels)
                        failure = failure or labels.failure
        except KeyboardInterrupt:
            kept = counted(len(journal.entries), "response")
            stderr.print(f"stopped: {kept} finished and kept; the same command goes on from there", soft_wrap=True)
            raise
        if not order:
            raise DataError(f"{responses}: has no response in it; expected one JSON object a line")
        if asks is not None and 0 < asks.report.failed == asks.report.criteria:
            raise VerifierError(
                f"the judge gave no usable answer to any of {counted(asks.report.failed, 'question')}: {failure}; what "
                "was finished before is kept, and the same command goes on from there"
            )
        left_out = sum((journal.entries[key].left_out for key in order), Counter())
        if not any(journal.entries[key].end > journal.entries[key].start for key in order):
            raise DataError(
                f"{responses}: gives no example ({_in_words(left_out)}); expected rule criteria, or a --judge"
            )
        journal.write(out, order)
    examples = list(iter_examples(out))
    card = out.with_name(f"{out.name}.md")
    card.write_text(
        dataset_card(examples, title=f"Relevance examples: {out.stem}", made_by=_command()), encoding="utf-8"
    )
    _print(stdout, examples)
    stdout.print(
        f"{counted(len(examples), 'example')} from {counted(len(order), 'response')}"
        + (f"; left out: {_in_words(left_out)}" if left_out else ""),
        soft_wrap=True,
    )
    if asks is not None:
        print_report(stdout, asks.report)
    stderr.print(f"examples: {out}, card: {card}", soft_wrap=True)


# ---------------------------------------------------------------------------------------------------------- labels


@dataclass(frozen=True, slots=True)
class Options:
    """What is made beside the rules' own evidence.

    Attributes:
        reword: how many other wordings of each rule criterion.
        counterfactuals: whether responses are changed.
        occlude: whether words are removed where a rule points at nothing.
    """

    reword: int = 0
    counterfactuals: bool = False
    occlude: bool = False


@dataclass(slots=True)
class Labels:
    """The examples of one response, and why criteria gave none, counted.

    Attributes:
        examples: one or more for each criterion that gave any.
        left_out: how many criteria gave none, by reason.
        failure: what kept the judge from an answer to the first criterion that it gave none to; "" where it answered.
    """

    examples: list[Example] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    failure: str = ""


def label_answers(
    answers: Sequence[Answer], options: Options = Options(), judge: VerdictSource | None = None
) -> list[Labels]:
    """The examples of each answer, in order.

    Half a surrogate pair in a response, which no tokenizer reads, becomes U+FFFD; blank responses give no examples.
    """
    from rtt.relevance.discriminator.examples import from_verdict
    from rtt.verifiers import verify_batch

    found = [Labels() for _ in answers]
    asked: list[tuple[Labels, Task, str]] = []
    for answer, labels in zip(answers, found, strict=True):
        text = re.sub("[\ud800-\udfff]", "\ufffd", answer.text)
        if not text.strip():
            labels.left_out["blank response"] += 1
            continue
        kept = []
        for criterion in answer.task.rubric.criteria:
            if reason := _why_not(criterion, judge):
                labels.left_out[reason] += 1
            else:
                kept.append(criterion)
        if kept:
            asked.append((labels, answer.task.narrowed(kept), text))
    verdicts_of = verify_batch([(task, text) for _, task, text in asked], judge)
    for (labels, task, text), verdicts in zip(asked, verdicts_of, strict=True):
        for criterion, verdict in zip(task.rubric.criteria, verdicts, strict=True):
            if criterion.rule is not None and not verdict.source.startswith("judge"):
                made = _of_rule(criterion, criterion.rule, text, verdict, task.id, options)
                labels.examples.extend(made)
                labels.left_out["undetermined by its rule"] += not made
                continue
            if verdict.failed:
                labels.left_out["no usable answer of the judge"] += 1
                labels.failure = labels.failure or verdict.reason
                continue
            example = from_verdict(criterion.text, text, verdict, kind="judge", prompt=task.id, source="judge")
            if example is None:
                labels.left_out["undetermined by the judge"] += 1
            else:
                labels.examples.append(example)
    for labels in found:
        for reason in [reason for reason, count in labels.left_out.items() if not count]:
            del labels.left_out[reason]
    return found


def _judge_settings(judge: JudgeChoice) -> dict[str, Any]:
    """What its answers depend on."""
    prompt = None if judge.prompt is None else hashlib.sha256(judge.prompt.read_bytes()).hexdigest()[:16]
    return {
        "model": judge.model,
        "temperature": judge.temperature,
        "request": judge.request,
        "per call": judge.criteria_per_call,
        "prompt": prompt,
    }


def _why_not(criterion: Criterion, judge: VerdictSource | None) -> str:
    """Why this criterion gives no examples whatever the response is; "" where it may."""
    if criterion.rule is not None:
        return ""
    if not criterion.needs_judge:
        return "code, which is never run"
    if judge is None:
        return "needs a judge"
    return "" if criterion.scope == "response" else "about more than the response"


def _of_rule(
    criterion: Criterion, rule: Rule, text: str, verdict: Verdict, prompt: str, options: Options
) -> list[Example]:
    from rtt.relevance.discriminator.counterfactuals import edited_examples, occlusion, units_of
    from rtt.relevance.discriminator.examples import from_verdict
    from rtt.verdicts import Outcome
    from rtt.verifiers import counterfactual, verify_rule

    def check(name: str, arguments: Mapping[str, Any], changed: str) -> Verdict:
        return verify_rule(name, arguments, changed, criterion_id=criterion.id)

    made: list[Example] = []
    for wording, words in _worded(criterion, rule, text, options.reword):
        example = from_verdict(words, text, verdict, kind=rule.name, prompt=prompt, wording=wording, rule=rule)
        if example is None:
            return []
        made.append(example)
    last = made[-1]  # another wording where there is one
    if options.occlude and not last.is_local:
        spans = occlusion(
            text,
            verdict.outcome,
            lambda changed: check(rule.name, rule.arguments, changed).outcome,
            max_calls=_OCCLUSION_CALLS,
        )
        if 0 < len(spans) <= _LOCAL_SHARE * len(units_of(text, "words")):
            supports = verdict.outcome is Outcome.SATISFIED
            made.append(
                replace(
                    last,
                    support=spans if supports else last.support,
                    violation=() if supports else spans,
                    scope="spans",
                    source="occlusion",
                )
            )
    if options.counterfactuals:
        made += edited_examples(last, check, edit=counterfactual)
    return made


def _worded(criterion: Criterion, rule: Rule, text: str, others: int) -> Iterator[tuple[str, str]]:
    """The criterion's own words, then others: always the same for the same response, different from one to the next."""
    from rtt.relevance.discriminator.wordings import wordings

    known = wordings(rule.name, rule.arguments)
    yield next((name for name, words in known if words == criterion.text), ""), criterion.text

    def place(named: tuple[str, str]) -> bytes:
        return hashlib.sha256(f"{named[0]}\0{text}".encode()).digest()

    yield from sorted((named for named in known if named[1] != criterion.text), key=place)[:others]


# --------------------------------------------------------------------------------------------------------- journal


def answer_key(answer: Answer) -> str:
    """What names a response in the journal: its task and its text, not its place, so that files may grow."""
    return hashlib.sha256(json.dumps([answer.task.id, answer.text]).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished response: where its lines stand in the journal, and why criteria gave none."""

    start: int
    end: int
    left_out: Counter[str]


class Journal:
    """Finished responses on disk, added to as they come; what a run that was killed has left half is cut off.

        {"settings": {...}}                     the first line
        {"criterion": ..., "response": ...}     examples of a response, none or more
        {"done": "7f3a...", "left_out": {}}     the response is finished; with "failed", but for what the judge did
                                                not answer, so that it is asked again

    Args:
        path: the journal.
        settings: what decides the examples beside the response; a journal with other ones is not gone on with.
        resume: whether to go on with a journal that is there; otherwise it is written over.

    Raises:
        DataError: the journal is one with other settings, is none, or cannot be read or written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, resume: bool = True) -> None:
        self.path = path
        self.settings = dict(settings)
        self.entries: dict[str, Entry] = {}
        try:
            self._stream: BinaryIO = open(path, "r+b" if resume and path.exists() else "w+b")  # noqa: SIM115
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
        try:
            self._read()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def _read(self) -> None:
        end = start = position = 0
        first = True
        for line in self._stream:
            position += len(line)
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("torn")
                value = json.loads(line)
                settings = value["settings"] if first else {}
                done, left_out = value.get("done"), Counter(value.get("left_out"))
                failed = bool(value.get("failed"))
            except (ValueError, KeyError, TypeError, AttributeError):
                if first:
                    refusal = f"{self.path}: is not a journal of this command; move it away, or start anew with --fresh"
                    raise DataError(refusal) from None
                break  # torn when the run was killed: the response is labelled again
            if first:
                self._check(settings)
            elif done is not None and not failed:
                self.entries[done] = Entry(start, position - len(line), left_out)
            if first or done is not None:
                end = start = position
            first = False
        self._stream.seek(end)
        self._stream.truncate()
        if not end:
            self._append([json.dumps({"settings": self.settings})])

    def _check(self, begun: Mapping[str, Any]) -> None:
        others = [
            f"{name} {begun.get(name)!r}, now {self.settings.get(name)!r}"
            for name in {**begun, **self.settings}
            if begun.get(name) != self.settings.get(name)
        ]
        if others:
            raise DataError(
                f"{self.path}: was begun with {'; '.join(others)}; "
                "go on with the same options, or start anew with --fresh"
            )

    def add(self, key: str, labels: Labels) -> None:
        """Keep a finished response."""
        start = self._stream.tell()
        lines = [example.to_json() for example in labels.examples]
        end = start + sum(len(line.encode()) + 1 for line in lines)
        last: dict[str, Any] = {"done": key, "left_out": labels.left_out}
        if labels.failure:
            last["failed"] = True
        self._append([*lines, json.dumps(last)])
        self.entries[key] = Entry(start, end, labels.left_out)

    def _append(self, lines: Sequence[str]) -> None:
        try:
            self._stream.write("".join(f"{line}\n" for line in lines).encode())
            self._stream.flush()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def write(self, out: Path, order: Mapping[str, None]) -> None:
        """Write the examples of these responses, in this order, and remove the journal."""
        from rtt.json_lines import write_lines

        with write_lines(out) as write:
            for key in order:
                entry = self.entries[key]
                self._stream.seek(entry.start)
                for line in self._stream.read(entry.end - entry.start).split(b"\n")[:-1]:
                    write(line.decode())
        self._stream.close()
        self.path.unlink()


# ---------------------------------------------------------------------------------------------------------- output


@contextlib.contextmanager
def _progress(where: Console, file: Path) -> Iterator[Callable[[int], None]]:
    """A bar over the file's bytes."""
    with progress_bar(where, "label", file) as bar:
        yield lambda bytes_read: bar.advance(bar.task_ids[0], bytes_read)


def _print(stdout: Console, examples: Sequence[Example]) -> None:
    from rtt.relevance.discriminator.examples import tally

    for name in ("kind", "source"):
        heads, rows = tally(examples, name)
        if name == "source" and len(rows) == 1:
            continue
        shown = [place for place, head in enumerate(heads) if head != "not known"]  # known to be none here
        print_table(stdout, [heads[place] for place in shown], [[row[place] for place in shown] for row in rows])


def _in_words(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items())) or "nothing in it"


def _command() -> str:
    return f"rtt {shlex.join(sys.argv[1:])}"
