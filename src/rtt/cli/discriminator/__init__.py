"""``rtt discriminator``: from responses to a model that says which of their words a criterion hangs on.

    rtt discriminator
    ├── label      rtt.cli.discriminator.label.label          responses -> examples
    ├── train      rtt.cli.discriminator.train.train          examples -> a checkpoint
    ├── evaluate   rtt.cli.discriminator.evaluate.evaluate    a checkpoint -> its table, beside baselines
    ├── serve      rtt.cli.discriminator.serve.serve          a checkpoint, asked over HTTP by others
    └── build      rtt.cli.discriminator.build.build          all of it, with what comes with the package

As with ``rtt`` itself, a command is imported when it runs.
"""

from __future__ import annotations

import click

from rtt.cli import Command, LazyGroup

COMMANDS = {
    "label": Command("rtt.cli.discriminator.label", "Make examples from responses: the words each verdict hangs on."),
    "train": Command("rtt.cli.discriminator.train", "Train a discriminator on examples.", extra="train"),
    "evaluate": Command(
        "rtt.cli.discriminator.evaluate", "Measure a discriminator on held-out examples.", extra="train"
    ),
    "serve": Command(
        "rtt.cli.discriminator.serve", "Answer for a discriminator over HTTP, on its own device.", extra="serve"
    ),
    "build": Command("rtt.cli.discriminator.build", "Examples, training and its table in one command.", extra="train"),
}
"""The commands in the order of ``rtt discriminator --help``."""


@click.group(cls=LazyGroup, lazy=COMMANDS)
def discriminator() -> None:
    """Make, train and measure the discriminator: the model that finds the words a criterion hangs on.

    It reads a criterion and a response and says for each token how much it is responsible for the verdict. Rules know
    that for their own criteria; the discriminator learns it from them, for criteria that no rule can locate.

    \b
    From a fresh installation to a trained model and its table:
        rtt discriminator build
    \b
    Step by step, from responses of your own:
        rtt discriminator label tasks.jsonl responses.jsonl --out examples.jsonl --reword 2
        rtt discriminator train config.yaml
        rtt discriminator evaluate --help
    \b
    See what it finds:
        rtt relevance tasks.jsonl responses.jsonl
    """
