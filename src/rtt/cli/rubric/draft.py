"""``rtt rubric draft PROMPTS --out DRAFTS``: a model proposes a rubric for each prompt.

read_prompts ─> those without a draft in DRAFTS ─> draft_rubrics ─> DraftFile ─> what to look at
                                                        └─> why there is none, and the prompts to ask for again
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtt.cli.judging import JudgeChoice, judge_options
from rtt.cli.terminal import console, count_bars, counted, refuse_overwriting, visible
from rtt.errors import VerifierError

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.endpoints import Endpoint, NoAnswer
    from rtt.rubrics import Task
    from rtt.verifiers.judge.drafting import Prompt

_SHOWN = 20  # failures, and rules that were refused, that are told one by one
_PAUSE = 2.0  # seconds between two writings of the file, at least
_SHARE = 20.0  # and so many times what the last one took: a large file takes long to write


@click.command()
@click.argument("prompts", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the drafts here, as tasks that are marked as drafts. What is there already stays.",
)
@click.option(
    "--max-criteria",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Criteria in a draft, at most.",
)
@click.option(
    "--keep", is_flag=True, help="Where PROMPTS are tasks, keep their criteria and let the model add to them."
)
@click.option(
    "--resume/--fresh",
    default=True,
    show_default=True,
    help="Ask only for prompts without a draft in the file, or for all of them anew.",
)
@judge_options(
    required=True, verdicts=False, help="A model behind an OpenAI-compatible endpoint, which proposes the criteria."
)
def draft(prompts: Path, out: Path, max_criteria: int, keep: bool, resume: bool, judge: JudgeChoice) -> None:
    """Let a model propose a rubric for each of PROMPTS: criteria for a person to read and mend.

    PROMPTS has one JSON object a line: the prompt under `prompt` (text) or `messages` (a list of role and content), if
    wanted an `id`; other keys are kept under `meta`. A task file is read too, and a file that ends in .txt has one
    prompt a line.

    \b
    Drafts by a model on this machine:
        rtt rubric draft prompts.txt --out drafts.jsonl \\
            --judge Qwen/Qwen3-8B --base-url http://127.0.0.1:8000/v1
    \b
    At most 5 criteria, by a model that needs a key; then read them and accept what is good:
        export OPENAI_API_KEY=...
        rtt rubric draft prompts.jsonl --out drafts.jsonl --judge gpt-4o-mini --max-criteria 5
        rtt rubric accept drafts.jsonl --out tasks.jsonl
    \b
    More criteria for tasks that have some:
        rtt rubric draft tasks.jsonl --keep --out drafts.jsonl --judge gpt-4o-mini

    Criteria that a rule decides become rules, in the rule's own words: what you read is what is checked. What the model
    wrote instead, why it wrote it, and rules that it named but that do not exist stay beside the criterion.

    A prompt without a usable reply gets no draft. Its reason is told, and the same command asks for it again, and for
    no other. Stopped with Ctrl-C, the finished drafts are kept.

    --prompt names a file with the places $conversation, $rules, $most, $fence, and if wanted $criteria, $reference.

    Exit codes: 0 each prompt has a draft; 1 interrupted; 2 something given cannot be used, or prompts have no draft.
    """
    from rtt.verifiers.judge.drafting import DraftTemplate, draft_rubrics, read_prompts

    refuse_overwriting(out, prompts)
    stdout, stderr = console(), console(stderr=True)
    asked = read_prompts(prompts, keep=keep)
    file = DraftFile(out)
    known = {prompt.id for prompt in asked if resume and file.has(prompt)}
    new = [prompt for prompt in asked if prompt.id not in known]
    if known:
        stderr.print(f"going on: {counted(len(known), 'prompt')} with a draft in {out}", soft_wrap=True)
    if others := len(file.drafts.keys() - {prompt.id for prompt in asked}):
        stderr.print(f"{counted(others, 'draft')} of other prompts in {out} stay there", soft_wrap=True)
    endpoint = judge.endpoint()
    failures: dict[str, NoAnswer] = {}
    made: list[Task] = []
    try:
        with count_bars(stderr) as bars:
            bar = bars.add_task("draft", total=len(new))

            def finished(prompt: Prompt, result: Task | NoAnswer) -> None:
                if isinstance(result, Exception):
                    failures[prompt.id] = result
                else:
                    file.add(result)
                    made.append(result)
                bars.advance(bar)

            draft_rubrics(
                new,
                endpoint,
                most=max_criteria,
                attempts=judge.attempts,
                concurrency=judge.concurrency,
                template=DraftTemplate(judge.prompt),
                finished=finished,
            )
    except KeyboardInterrupt:
        kept = counted(len(made), "draft")
        stderr.print(f"stopped: {kept} finished and kept; the same command goes on from there", soft_wrap=True)
        raise
    finally:
        file.save([prompt.id for prompt in asked])
    if made:
        print_summary(stdout, made)
    stdout.print(spent(endpoint, judge.prices), soft_wrap=True)
    if file.drafts:
        stderr.print(f"read and accept them: rtt rubric accept {out} --out TASKS.jsonl", soft_wrap=True)
    if failures:
        raise VerifierError(_complaint(failures, len(asked), resume))


class DraftFile:
    """The drafts so far, on disk: the file is always whole, and lags a few seconds behind at most.

    Args:
        path: the file; it need not be there.

    Raises:
        DataError: the file is no file of drafts, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        from rtt.verifiers.judge.drafting import read_drafts

        self.path = path
        self.drafts: dict[str, Task] = {}
        if path.exists() and path.stat().st_size:
            self.drafts = {task.id: task for task in read_drafts(path)}
        self._changed = False
        self._next = time.monotonic() + _PAUSE

    def has(self, prompt: Prompt) -> bool:
        """Whether there is a draft for this prompt: the same id and the same messages."""
        draft = self.drafts.get(prompt.id)
        return draft is not None and draft.prompt == prompt.messages

    def add(self, draft: Task) -> None:
        """Keep a draft, in place of one with the same id.

        Raises:
            DataError: the file cannot be written.
        """
        self.drafts[draft.id] = draft
        self._changed = True
        begun = time.monotonic()
        if begun >= self._next:
            self.save()
            self._next = time.monotonic() + max(_PAUSE, _SHARE * (time.monotonic() - begun))

    def save(self, order: Iterable[str] = ()) -> None:
        """Write what changed: drafts with an id of ``order`` first and in its order.

        Raises:
            DataError: the file cannot be written.
        """
        from rtt.rubrics import write_tasks

        names = [name for name in dict.fromkeys([*order, *self.drafts]) if name in self.drafts]
        if self._changed or names != list(self.drafts):
            self.drafts = {name: self.drafts[name] for name in names}
            write_tasks(self.path, self.drafts.values())
            self._changed = False


# ----------------------------------------------------------------------------------------------------------- output


def print_summary(stdout: Console, drafts: Sequence[Task]) -> None:
    """Print what the drafts hold and what a person should look at, in a few lines."""
    from rtt.verifiers.judge.drafting import doubts, mark_of, note_of

    counts: Counter[str] = Counter()
    refused: list[str] = []
    for task in drafts:
        flagged = doubts(task.rubric.criteria)
        counts["merged"] += mark_of(task).get("merged", 0)
        counts["beyond"] += mark_of(task).get("beyond", 0)
        for criterion in task.rubric.criteria:
            note = note_of(task, criterion.id)
            counts["criteria"] += 1
            counts["rules"] += criterion.rule is not None
            counts["recognised"] += "recognised" in note
            if "refused" in note:
                refused.append(f"{task.id}, {criterion.id}: {note['refused']}")
            counts["flagged"] += criterion.id in flagged or "refused" in note
    criteria = counted(counts["criteria"], "criterion", "criteria")
    head = f"{counted(len(drafts), 'draft')}: {criteria}, {counts['rules']:,} decided by rules"
    if counts["recognised"]:
        head += f" ({counts['recognised']:,} recognised by their words)"
    parts = [head]
    if counts["flagged"]:
        parts.append(f"{counts['flagged']:,} to look at closely")
    if counts["merged"]:
        parts.append(f"{counts['merged']:,} said twice and merged")
    if counts["beyond"]:
        parts.append(f"{counts['beyond']:,} beyond --max-criteria and left out")
    stdout.print("; ".join(parts), soft_wrap=True)
    if refused:
        stdout.print(f"rules that the model named and that do not fit, left to a judge: {len(refused):,}")
        for line in refused[:_SHOWN]:
            stdout.print(f"  {visible(line)}", soft_wrap=True)
        if len(refused) > _SHOWN:
            stdout.print(f"  and {len(refused) - _SHOWN:,} more")


def spent(endpoint: Endpoint, prices: tuple[float, float] | None) -> str:
    """What the endpoint did, in one line."""
    from rtt.verifiers.judge import JudgeReport

    report = JudgeReport(**endpoint.counts(), failures={}, prices=prices)
    tokens = report.prompt_tokens + report.completion_tokens
    words = f"{endpoint.model}: {counted(report.calls, 'request')}, {tokens:,} tokens"
    return words if report.cost is None else f"{words}, about ${report.cost:.4f}"


def _complaint(failures: dict[str, NoAnswer], total: int, resume: bool) -> str:
    lines = [f"  {visible(name)}: {visible(str(failure))}" for name, failure in list(failures.items())[:_SHOWN]]
    if len(failures) > _SHOWN:
        lines.append(f"  and {len(failures) - _SHOWN:,} more")
    then = "the same command asks for these again" if resume else "drafts that were there before stay"
    head = f"no draft for {len(failures):,} of {counted(total, 'prompt')}; {then}:"
    return "\n".join([head, *lines])
