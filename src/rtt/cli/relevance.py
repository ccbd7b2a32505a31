"""``rtt relevance TASKS RESPONSES``: which words of a response each criterion hangs on, in colour or as JSON Lines.

read_responses -> judged -> Result -> tokens -> Response -> relevance source -> Scored [K, T] -> page / JSON lines

On a page every criterion shows the response anew, with a background by the relevance of each token, in five steps: blue
for satisfied, orange for violated, yellow without a verdict. Where there are no colours a line of marks stands below.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtt.answers import Answer, read_responses
from rtt.cli.judging import JudgeChoice, batches, judge_options, print_report
from rtt.cli.terminal import SIGNS, console, progress_bar, quoted, refuse_overwriting, visible
from rtt.cli.verify import Result, criterion_option, verified
from rtt.errors import ConfigurationError, DataError, ShapeError
from rtt.json_lines import write_lines
from rtt.verdicts import Outcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.console import Console
    from rich.text import Text

    from rtt.relevance import RelevanceSource
    from rtt.responses import Response
    from rtt.rubrics import Task

FORMATS = ("auto", "table", "jsonl")
READS_A_MODEL = ("discriminator", "contrast", "hybrid")
"""The relevance sources that need ``--model``."""

STEPS = 5
"""Steps of relevance that are told apart: each is a fifth of [0, 1]."""
MARKS = ".-=*#"
"""What stands below a token of each step where there are no colours."""
TOP = 5
"""How many tokens are listed below a response."""

_BATCH = 32  # responses that a source is asked for at once: enough to sort by length, few enough to see the first soon
_PATIENCE = 0.5  # seconds of work before a bar is drawn

# Saturation carries the step, lightness stays in the middle: a page reads alike on a dark and on a light ground. All
# are colours of the 256, so that steps stay apart where there are no more.
_PALETTES = {  # ink, grounds
    Outcome.SATISFIED: ("#ffffff", ("#5f5f5f", "#5f5f87", "#005f87", "#005faf", "#005fff")),
    Outcome.VIOLATED: ("#ffffff", ("#5f5f5f", "#875f5f", "#875f00", "#af5f00", "#d75f00")),
    Outcome.UNDETERMINED: ("#000000", ("#878787", "#87875f", "#afaf5f", "#d7af00", "#ffd700")),
}
_SIXTEEN_COLOURS = {  # ink, ground
    Outcome.SATISFIED: ("black", "cyan"),
    Outcome.VIOLATED: ("bright_white", "red"),
    Outcome.UNDETERMINED: ("black", "yellow"),
}
_HEADS = {Outcome.SATISFIED: "#2f81f7", Outcome.VIOLATED: "#d9601a", Outcome.UNDETERMINED: "#a08a00"}
_WORDS = {Outcome.SATISFIED: "satisfied", Outcome.VIOLATED: "violated", Outcome.UNDETERMINED: "no verdict"}


@dataclass(frozen=True, slots=True)
class Scored:
    """One response with its verdicts and what its tokens have to do with them.

    Attributes:
        result: the answer, the criteria that were asked for, and their verdicts.
        response: the answer as tokens.
        relevance: [K, T] in [0, 1], the relevance of each token for each of these criteria.
    """

    result: Result
    response: Response
    relevance: npt.NDArray[np.float32]

    def to_json(self) -> Iterator[str]:
        """One line of JSON for each criterion."""
        answer = self.result.answer
        for verdict, row in zip(self.result.verdicts, self.relevance.tolist(), strict=True):
            value = {
                "task_id": answer.task.id,
                "index": answer.index,
                "criterion_id": verdict.criterion_id,
                "verdict": int(verdict.outcome),
                "tokens": [
                    [start, end, round(relevant, 4)]
                    for (start, end), relevant in zip(self.response.spans, row, strict=True)
                ],
            }
            yield json.dumps(value, ensure_ascii=False)


@click.command()
@click.argument("tasks", type=click.Path(path_type=Path))
@click.argument("responses", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--relevance",
    "name",
    default="evidence",
    show_default=True,
    metavar="NAME",
    help="Who says which tokens are relevant: evidence (the rules' own spans), discriminator, hybrid (evidence where a "
    "rule has it, the discriminator elsewhere), contrast (a language model's log-probabilities), uniform, random, ...",
)
@click.option("--model", metavar="DIR", help="What discriminator, hybrid or contrast reads: a folder, or a name.")
@criterion_option
@click.option("--task", "task_ids", multiple=True, metavar="ID", help="Only responses to this task. May be repeated.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N responses.")
@click.option(
    "--tokenizer",
    metavar="NAME_OR_FOLDER",
    help="Show this tokenizer's tokens. Without one, words and punctuation marks are the tokens.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Mark and list tokens from this relevance on. JSON lines hold all tokens.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What goes to standard output. auto: a table on a terminal, otherwise jsonl (with --out: nothing).",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the relevance as JSON lines here.")
@judge_options()
def relevance(
    tasks: Path,
    responses: Path,
    name: str,
    model: str | None,
    patterns: tuple[str, ...],
    task_ids: tuple[str, ...],
    limit: int | None,
    tokenizer: str | None,
    threshold: float,
    form: str,
    out: Path | None,
    judge: JudgeChoice | None,
) -> None:
    """Show which words of RESPONSES each criterion of TASKS hangs on.

    TASKS and RESPONSES are the files of `rtt verify`. For each criterion you see its verdict, then the response with
    its tokens marked by their relevance, from 0 to 1, then the most relevant ones with their values. This is what
    training with the same --relevance gives credit to.

    \b
    Pick a criterion, see its tokens:
        rtt relevance tasks.jsonl responses.jsonl --criterion 'keywords:*'
        rtt relevance tasks.jsonl responses.jsonl --task mail/7 --limit 1
    \b
    What a trained discriminator says, also where no rule can tell:
        rtt relevance tasks.jsonl responses.jsonl --relevance discriminator --model runs/discriminator/joint/model
    \b
    What a judge quotes for the criteria without a rule:
        rtt relevance tasks.jsonl responses.jsonl --judge qwen3:8b --base-url http://127.0.0.1:11434/v1
    \b
    On the very tokens that the policy samples:
        rtt relevance tasks.jsonl responses.jsonl --tokenizer HuggingFaceTB/SmolLM2-135M-Instruct
    \b
    In a pager, with colours or with marks below the words:
        FORCE_COLOR=1 rtt relevance tasks.jsonl responses.jsonl --format table | less -R
        NO_COLOR=1 rtt relevance tasks.jsonl responses.jsonl --format table | less
    \b
    For another program: the tokens that weigh most
        rtt relevance tasks.jsonl responses.jsonl | jq -c '[.criterion_id, (.tokens | max_by(.[2]))]'

    There is one JSON line for each response and criterion: task_id, index (which of the task's responses),
    criterion_id, verdict (1, -1, or 0 for undetermined) and tokens, each as [start, end, relevance] with the characters
    of the response that it spans.

    Exit codes: 0 relevance was shown; 2 a file or an option cannot be used, and the message says why.
    """
    from rtt.verifiers.judge.drafting import read_accepted

    refuse_overwriting(out, tasks, responses)
    check_source(name, model)
    by_id = {task.id: task for task in read_accepted(tasks)}
    _check_task_ids(task_ids, by_id, tasks)
    stdout, stderr = console(), console(stderr=True)
    if form == "auto":
        form = "table" if stdout.is_terminal else "jsonl" if out is None else "nothing"
    tokens = words if tokenizer is None else load_tokenizer(tokenizer)
    source = load_source(name, model)
    decider = None if judge is None else judge.build()

    with contextlib.ExitStack() as stack:
        write = stack.enter_context(write_lines(out)) if out is not None else None
        has_bar = stderr.is_terminal and (form != "table" or sys.stdout.isatty())  # not across a pager's page
        bar = _Bar(stderr if has_bar else None, responses, at_once=model is not None)
        answers = _Answers(read_responses(responses, by_id, tasks, bar.advance), task_ids)
        if decider is not None:
            stack.enter_context(decider)  # its connections stay open from batch to batch
        results = (
            result
            for batch in batches(answers, judge, most=limit)
            for result in verified(batch, patterns, judge=decider)
            if result.verdicts
        )
        shown = 0
        for batch in _batches(itertools.islice(results, limit), bar):
            with bar.drawn():
                found = score(source, batch, tokens, name)
            for scored in found:
                if form == "table":
                    if not shown:
                        print_legend(stdout, name, threshold)
                    print_scored(stdout, scored, name, threshold)
                shown += 1
                for line in scored.to_json() if form == "jsonl" or write is not None else ():
                    if write is not None:
                        write(line)
                    if form == "jsonl":
                        click.echo(line.encode())  # UTF-8, whatever the terminal speaks
        if not shown:
            raise DataError(answers.why_none(responses, patterns))
    if out is not None:
        stderr.print(f"relevance: {out}", soft_wrap=True)
    if decider is not None:
        print_report(stderr, decider.report)


# --------------------------------------------------------------------------------------------------- what is chosen


def check_source(name: str, model: str | None) -> None:
    """Refuse a relevance source that is unknown, lacks its model, or reads none.

    Raises:
        ConfigurationError: the message says which it is, and what to give.
    """
    from rtt.relevance import relevance_names

    if name not in relevance_names():
        near = difflib.get_close_matches(name, relevance_names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {sorted(relevance_names())}"
        raise ConfigurationError(f"--relevance {name!r} is unknown; {hint}")
    if model is None and name in READS_A_MODEL:
        raise ConfigurationError(f"--relevance {name} reads a model; name its folder with --model")
    if model is not None and name not in READS_A_MODEL:
        known = [source for source in READS_A_MODEL if source in relevance_names()]
        raise ConfigurationError(
            f"--model {model}: relevance {name!r} reads no model; leave it out, or choose --relevance from {known}"
        )


def load_source(name: str, model: str | None) -> RelevanceSource:
    """The relevance source of this name, with its model where it reads one."""
    from rtt.relevance import relevance_source

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return relevance_source(name) if model is None else relevance_source(name, model=model)


def _check_task_ids(asked: Sequence[str], known: Mapping[str, Task], file: Path) -> None:
    for task_id in asked:
        if task_id not in known:
            near = difflib.get_close_matches(task_id, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {list(known)[:5]}"
            raise DataError(f"--task {task_id!r}: no task of {file} has this id; {hint}")


class _Answers:
    """The answers to the tasks that were asked for; remembers what there was, to say why nothing is shown."""

    def __init__(self, answers: Iterable[Answer], task_ids: Collection[str]) -> None:
        self.answers = answers
        self.task_ids = task_ids
        self.read = self.kept = 0

    def __iter__(self) -> Iterator[Answer]:
        for answer in self.answers:
            self.read += 1
            if not self.task_ids or answer.task.id in self.task_ids:
                self.kept += 1
                yield answer

    def why_none(self, file: Path, patterns: Sequence[str]) -> str:
        if not self.read:
            return f"{file}: has no response in it; expected one JSON object a line"
        if not self.kept:
            return f"{file}: none of its {self.read} responses answers {list(self.task_ids)}; expected one that does"
        return f"no criterion answered here matches {list(patterns)}; expected an id or a rule's name"


# --------------------------------------------------------------------------------------------------------- tokens

Tokens = Callable[[str, str], "Response"]
"""Gives the response to a task, by the task's id and the text, its tokens."""

# One token is a line break, or what blanks stand before it and: a word with its marks and apostrophes, or one character
# as a person sees it (\X: an emoji with its modifiers) of scripts without blanks between words, or of punctuation.
_NO_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTERS = rf"[[\w\p{{M}}]--[{_NO_BLANKS}]]+"
_TOKEN = rf"(?V1)(?:\r?\n|\r)+|[^\S\r\n]*(?:{_LETTERS}(?:['’]{_LETTERS})*|(?![\r\n])\X)"
_SURROGATES = re.compile("[\ud800-\udfff]")


def words(task_id: str, text: str) -> Response:
    """The response with words and punctuation marks for tokens, each with the blanks before it.

    Every character is in exactly one token. Scripts that put no blanks between words have a token for each character.
    """
    import regex

    from rtt.responses import Response

    spans = tuple(match.span() for match in regex.finditer(_TOKEN, text))
    return Response(task_id, text, tuple(range(len(spans))), spans)


def load_tokenizer(name: str) -> Tokens:
    """The tokens of a Hugging Face tokenizer, by the name or folder it is loaded from.

    Raises:
        ConfigurationError: it cannot be loaded, or does not say which characters its tokens come from.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoTokenizer

    from rtt.responses import Response

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)  # nosec B615 # the user names the model
    except (OSError, ValueError) as error:  # what transformers raises for one that is not there
        reason = str(error).strip().partition("\n")[0]
        raise ConfigurationError(
            f"--tokenizer {name}: no tokenizer is found there; expected a folder with a tokenizer.json, or a name "
            f"on the hub ({reason})"
        ) from error
    if not tokenizer.is_fast:
        raise ConfigurationError(
            f"--tokenizer {name}: does not say which characters a token comes from; expected a fast tokenizer, "
            "one with a tokenizer.json"
        )

    def tokens(task_id: str, text: str) -> Response:
        # verbose: a response longer than the model reads is no matter here
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return Response(task_id, text, tuple(encoded["input_ids"]), tuple(map(tuple, encoded["offset_mapping"])))

    return tokens


# -------------------------------------------------------------------------------------------------------- scoring


def score(source: RelevanceSource, results: Sequence[Result], tokens: Tokens, name: str) -> list[Scored]:
    """Ask a source for the relevance of the responses' tokens, for the criteria that the results keep.

    Raises:
        ShapeError: the source gave another shape than [K, T], or values outside [0, 1].
    """
    import numpy as np

    # Half a surrogate pair has no UTF-8, which tokenizers want; its stand-in is as long, so spans keep their place.
    responses = [tokens(r.answer.task.id, _SURROGATES.sub("\ufffd", r.answer.text)) for r in results]
    asked = [_asked(result) for result in results]
    given = source(asked, responses, [result.verdicts for result in results])
    scored = []
    for result, response, values in zip(results, responses, given, strict=True):
        found = np.asarray(values, dtype=np.float32)
        expected = (len(result.verdicts), len(response.spans))
        if found.shape != expected:
            raise ShapeError(
                f"relevance {name!r} of a response to task {result.answer.task.id!r} has shape {found.shape}; expected "
                f"{expected}: criteria, tokens"
            )
        if not ((found >= 0) & (found <= 1)).all():
            raise ShapeError(
                f"relevance {name!r} of a response to task {result.answer.task.id!r} has values outside [0, 1]"
            )
        scored.append(Scored(result, response, found))
    return scored


def _asked(result: Result) -> Task:
    """The task with only the criteria that were asked for: nothing is computed that is not shown."""
    task = result.answer.task
    if len(result.criteria) == len(task.rubric.criteria):
        return task
    return task.narrowed(result.criteria)


class _Bar:
    """A bar over the responses, drawn only while work goes on; none without a console or without a file.

    Between batches it is gone, so that it and a page on the same terminal do not write into each other.
    """

    def __init__(self, where: Console | None, file: Path, *, at_once: bool) -> None:
        self.bar = None if where is None or not file.is_file() else progress_bar(where, "relevance", file)
        self.from_when = time.monotonic() + (0 if at_once else _PATIENCE)

    def advance(self, bytes_read: int) -> None:
        """So many bytes of the file are read."""
        if self.bar is not None:
            self.bar.advance(self.bar.task_ids[0], bytes_read)

    @contextlib.contextmanager
    def drawn(self) -> Iterator[None]:
        """Draw the bar inside, if there has been work for long enough."""
        if self.bar is None or time.monotonic() < self.from_when:
            yield
            return
        with self.bar:
            yield


def _batches(results: Iterator[Result], bar: _Bar) -> Iterator[list[Result]]:
    while True:
        with bar.drawn():
            batch = list(itertools.islice(results, _BATCH))
        if not batch:
            return
        yield batch


# ----------------------------------------------------------------------------------------------------------- page


def steps(relevance: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.int64]:
    """The step of each value: 0 where it is 0 or below the threshold, else 1 to ``STEPS``; any shape."""
    import numpy as np

    step = np.minimum(np.floor(relevance * STEPS), STEPS - 1).astype(np.int64) + 1
    return np.where((relevance > 0) & (relevance >= np.float32(threshold)), step, 0)


def character_steps(response: Response, token_steps: Sequence[int]) -> list[int]:
    """The step of each character of the response, [C]; the highest where tokens share it.

    Blanks that a word brings along are marked only inside a marked passage, not at its edge.
    """
    result = [0] * len(response.text)
    for (start, end), step in zip(response.spans, token_steps, strict=True):
        piece = response.text[start:end]
        inner = start + (len(piece) - len(piece.lstrip()) if piece.strip() else 0)
        before = result[start - 1] if start else 0
        for place in range(start, end):
            result[place] = max(result[place], step if place >= inner else min(before, step))
    return result


def print_legend(console: Console, name: str, threshold: float) -> None:
    """Print what the colours, or the marks, mean."""
    from rich.text import Text

    first = [(step, max(threshold, (step - 1) / STEPS)) for step in range(1, STEPS + 1)]
    bounds = [(step, f"{low:g}") for step, low in first if step == STEPS or low < step / STEPS]
    title = f"relevance by {name}, from"
    if not has_colours(console):
        console.print(f"{title}  " + "  ".join(f"{MARKS[step - 1]} {low}" for step, low in bounds))
        return
    console.print(title)
    for outcome, word in _WORDS.items():
        line = Text(f"  {word:<11}")
        for step, low in bounds:
            line.append(f" {low} ", style=step_style(console, outcome, step))
        console.print(line)


def print_scored(console: Console, scored: Scored, name: str, threshold: float) -> None:
    """Print one response: what was asked, then for each criterion its verdict and the response as it bears on it.

    Nothing in the response reaches the terminal as a command: see :func:`rtt.cli.terminal.visible`.
    """
    from rich.text import Text

    result, answer = scored.result, scored.result.answer
    console.print()
    console.print(Text(f"{visible(answer.task.id)}  response {answer.index}, line {answer.line}", style="bold"))
    prompt = next((line for line in answer.task.prompt[-1].content.splitlines() if line.strip()), "")
    console.print(Text(visible(prompt), style="dim"), no_wrap=True, overflow="ellipsis")
    rows = zip(result.criteria, result.verdicts, result.credited, scored.relevance, strict=True)
    for criterion, verdict, credited, row in rows:
        console.print()
        word = _WORDS[verdict.outcome] + (", unwanted" if criterion.unwanted else "")
        head = Text.assemble(
            (f"{SIGNS[credited.outcome]} {word}", _head_style(console, credited.outcome)),
            "  ",
            (f"{visible(criterion.id)}: ", "bold"),
            quoted(criterion.text, 300),
            (f"  {quoted(verdict.reason, 300)}", "dim"),
            overflow="fold",
        )
        console.print(head)
        if not answer.text.strip():
            console.print(Text("  the response is blank", style="dim"))
            continue
        token_steps = steps(row, threshold).tolist()
        print_levels(
            console,
            scored.response,
            character_steps(scored.response, token_steps),
            functools.partial(step_style, console, credited.outcome),
            lambda step: MARKS[step - 1],
        )
        if not verdict.determined and not row.any():
            below = f"{name} says nothing without a verdict; a discriminator reads the criterion itself"
        else:
            below = _top(scored.response, row, token_steps, threshold)
        console.print(Text(f"  {below}", overflow="fold"))


def _top(response: Response, row: npt.NDArray[np.float32], token_steps: Sequence[int], threshold: float) -> str:
    """The most relevant tokens with their values, the first of them where they are equal."""
    marked = sorted((t for t, step in enumerate(token_steps) if step), key=lambda t: (-row[t], t))
    if not marked:
        return f"no token reaches {threshold:g}" if threshold else "no token is relevant"
    low, high = (f"{row[t]:.2f}" for t in (marked[-1], marked[0]))
    if low == high and len(marked) == len(row) > TOP:
        return f"all {len(row)} tokens {high}"
    listed = []
    for t in marked[:TOP]:
        piece = response.text[slice(*response.spans[t])]
        listed.append(f'"{quoted(piece.strip() or piece)}" {row[t]:.2f}')
    more = f"  and {len(marked) - TOP} more" if len(marked) > TOP else ""
    return f"top: {'  '.join(listed)}{more}"


def print_levels(
    console: Console,
    response: Response,
    levels: Sequence[int],
    style: Callable[[int], Any],
    mark: Callable[[int], str],
) -> None:
    """Print a response with its characters' levels in colours, or with marks below them where there are none.

    Args:
        console: where.
        response: its text is shown as signs where it would command the terminal.
        levels: one a character; 0 is plain.
        style: of a level that is not 0.
        mark: the sign of a level that is not 0.
    """
    from rich.text import Text

    coloured = has_colours(console)
    start = 0
    for line in visible(response.text).split("\n"):
        text = Text()
        for level, run in itertools.groupby(range(start, start + len(line)), key=lambda place: levels[place]):
            places = list(run)
            text.append(line[places[0] - start : places[-1] + 1 - start], style=str(level) if level else None)
        start += len(line) + 1
        if start <= len(levels) and levels[start - 1]:
            text.append("⏎", style=str(levels[start - 1]))  # a line end that counts
        for piece in text.wrap(console, max(console.width - 2, 2), overflow="fold"):
            if coloured:
                piece.spans = [span._replace(style=style(int(str(span.style)))) for span in piece.spans]
                _print_line(console, piece)
            else:
                _print_line(console, Text(piece.plain.rstrip()))
                if marks := _marks(piece, mark):
                    _print_line(console, Text(marks))


def _print_line(console: Console, line: Text) -> None:
    from rich.text import Text

    console.print(Text("  ").append_text(line) if line else line, no_wrap=True, overflow="ignore", crop=False)


def _marks(line: Text, mark: Callable[[int], str]) -> str:
    """The line of marks to stand below a line whose styles are levels; wide characters have wide marks."""
    from rich.cells import cell_len

    marks = ""
    for span in sorted(line.spans):
        left, right = cell_len(line.plain[: span.start]), cell_len(line.plain[: span.end])
        marks = marks.ljust(left) + mark(int(str(span.style))) * (right - left)
    return marks


def has_colours(console: Console) -> bool:
    """Whether the console shows colours, and the user has not asked for none."""
    return console.color_system is not None and not console.no_color


def step_style(console: Console, outcome: Outcome, step: int) -> Any:
    """How a step looks: backgrounds of growing saturation, or what 16 colours can do; the highest is underlined."""
    from rich.style import Style

    if console.color_system in ("256", "truecolor"):
        ink, grounds = _PALETTES[outcome]
        return Style(color=ink, bgcolor=grounds[step - 1], bold=step >= 4, underline=step == STEPS)
    ink, ground = _SIXTEEN_COLOURS[outcome]
    if step <= 3:
        return Style(color=ground, bold=step == 3, underline=step >= 2)
    return Style(color=ink, bgcolor=ground, bold=step == STEPS, underline=step == STEPS)


def _head_style(console: Console, outcome: Outcome) -> str:
    many = console.color_system in ("256", "truecolor")
    return f"bold {_HEADS[outcome] if many else _SIXTEEN_COLOURS[outcome][1]}"
