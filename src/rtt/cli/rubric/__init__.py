"""``rtt rubric``: from prompts to rubrics that a person has read.

    rtt rubric
    ├── draft     rtt.cli.rubric.draft.draft      prompts -> drafts, by a model
    └── accept    rtt.cli.rubric.accept.accept    drafts -> tasks, by a person

As with ``rtt`` itself, a command is imported when it runs.
"""

from __future__ import annotations

import click

from rtt.cli import Command, LazyGroup

COMMANDS = {
    "draft": Command("rtt.cli.rubric.draft", "Let a model propose a rubric for prompts without one.", extra="judge"),
    "accept": Command("rtt.cli.rubric.accept", "Read drafts, mend them, and make those that you accept tasks."),
}
"""The commands in the order of ``rtt rubric --help``."""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def rubric() -> None:
    """Write rubrics with the help of a model; nothing is used that no person has read.

    \b
    A model behind any OpenAI-compatible endpoint proposes criteria:
        rtt rubric draft prompts.txt --out drafts.jsonl \\
            --judge Qwen/Qwen3-8B --base-url http://127.0.0.1:8000/v1
    \b
    Read them one by one, drop and edit criteria, accept:
        rtt rubric accept drafts.jsonl --out tasks.jsonl

    `rtt train` and `rtt verify` refuse drafts that nobody has accepted.
    """
