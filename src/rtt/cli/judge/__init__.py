"""``rtt judge``: whether a judge can be trusted.

    rtt judge
    └── check      rtt.cli.judge.check.check      a judge's verdicts beside gold verdicts, its own, and the rules'

As with ``rtt`` itself, a command is imported when it runs.
"""

from __future__ import annotations

import click

from rtt.cli import Command, LazyGroup

COMMANDS = {
    "check": Command(
        "rtt.cli.judge.check", "Measure how far a judge agrees with gold verdicts, or with the rules.", extra="judge"
    ),
}
"""The commands in the order of ``rtt judge --help``."""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def judge() -> None:
    """Measure a judge: the model that decides the criteria that no rule can.

    What a judge calls satisfied is rewarded, so its mistakes are learned. Measure it before it decides anything.

    \b
    For free, on the criteria that rules decide:
        rtt judge check tasks.jsonl responses.jsonl --judge MODEL --base-url http://127.0.0.1:8000/v1
    \b
    Beside verdicts that a person has gone over:
        rtt judge check tasks.jsonl responses.jsonl --judge MODEL --gold gold.jsonl
    """
