"""The ``rtt`` command: one module a command, imported when it runs.

    rtt
    ├── train           rtt.cli.train.train
    ├── verify          rtt.cli.verify.verify
    ├── evaluate        rtt.cli.evaluate.evaluate
    ├── compare         rtt.cli.compare.compare
    ├── inspect         rtt.cli.inspect.inspect
    ├── report          rtt.cli.report.report
    ├── audit           rtt.cli.audit.audit
    ├── show            rtt.cli.show.show
    ├── judge           rtt.cli.judge.judge, a group of its own
    ├── rubric          rtt.cli.rubric.rubric, a group of its own
    ├── import          rtt.cli.importing.import_command
    ├── export          rtt.cli.export.export
    ├── relevance       rtt.cli.relevance.relevance
    ├── discriminator   rtt.cli.discriminator.discriminator, a group of its own
    └── demo            rtt.cli.demo.demo

``rtt --help`` imports none of them. What RTT refuses on purpose (:class:`rtt.errors.RTTError`) ends in one message on
standard error and exit code 2; ``RTT_DEBUG=1`` shows the traceback as well.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import click

from rtt import __version__
from rtt.errors import RTTError


@dataclass(frozen=True)
class Command:
    """Where a command lives, and its line in ``rtt --help``.

    Attributes:
        module: the module that exports a click command under the command's own name.
        summary: one line of help.
        extra: the optional dependencies that the command needs, by the name of the extra, or None.
        function: what the module calls the command, where Python does not allow its own name.
    """

    module: str
    summary: str
    extra: str | None = None
    function: str | None = None


COMMANDS = {
    "train": Command("rtt.cli.train", "Train a model on tasks with RTT-GRPO, or with a baseline.", extra="train"),
    "verify": Command("rtt.cli.verify", "Check responses against their tasks; show verdicts with their evidence."),
    "evaluate": Command(
        "rtt.cli.evaluate", "Score models or responses on IFEval, IFBench, MulDimIF or AdvancedIF.", extra="train"
    ),
    "compare": Command("rtt.cli.compare", "Say which differences between runs of a benchmark are more than noise."),
    "inspect": Command("rtt.cli.inspect", "See which words a criterion hung on and what each token earned, as HTML."),
    "report": Command("rtt.cli.report", "See the curves of training runs over each other, as HTML."),
    "audit": Command("rtt.cli.audit", "Look for what has gone wrong in a training run, from its records."),
    "show": Command("rtt.cli.show", "Show a training run's responses, with what each token was credited with."),
    "judge": Command("rtt.cli.judge", "Measure how far a judge's verdicts can be trusted.", extra="judge"),
    "rubric": Command("rtt.cli.rubric", "Let a model draft rubrics; read, mend and accept them."),
    "import": Command(
        "rtt.cli.importing", "Turn public sets of prompts with rubrics into tasks.", function="import_command"
    ),
    "export": Command("rtt.cli.export", "Write tasks as the Parquet file that verl trains on.", extra="verl"),
    "relevance": Command("rtt.cli.relevance", "Show which words of a response a criterion hangs on.", extra="train"),
    "discriminator": Command(
        "rtt.cli.discriminator", "Make, train and measure the model that locates a criterion's words.", extra="train"
    ),
    "demo": Command("rtt.cli.demo", "Train a small model on bundled tasks; show what it learned.", extra="train"),
}
"""The commands in the order of ``rtt --help``."""


class Refusal(click.ClickException):
    """An error that a person can mend, told without a traceback; exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print ``rtt: message`` on standard error; words of a file or an endpoint in it command no terminal."""
        from rtt.cli.terminal import visible

        click.echo(f"rtt: {visible(self.message)}", err=True)


class LazyGroup(click.Group):
    """A group whose commands are imported when they run, never to print the group's own help.

    Args:
        lazy: the commands by name, in the order of the group's help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, Command], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None where the name is unknown."""
        if cmd_name not in self.lazy:
            return None
        try:
            found = self.lazy[cmd_name]
            command = getattr(importlib.import_module(found.module), found.function or cmd_name)
        except ImportError as error:
            raise self._missing(ctx, cmd_name, error) from error
        assert isinstance(command, click.Command)  # nosec B101 # a fact for the type checker
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name shows the names that are close."""
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.lazy, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {list(self.lazy)}"
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their summaries, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of RTT's own becomes one message and exit code 2."""
        try:
            return super().invoke(ctx)
        except RTTError as error:
            _debug()
            raise Refusal(str(error)) from error
        except ModuleNotFoundError as error:
            raise self._missing(ctx, ctx.invoked_subcommand, error) from error

    def _missing(self, ctx: click.Context, command: str | None, error: ImportError) -> Exception:
        """What to say when an import failed: which extra to install, unless the module is one of ours."""
        extra = self.lazy[command].extra if command is not None and command in self.lazy else None
        package = (error.name or "").partition(".")[0]
        if extra is None or package in ("", "rtt"):
            return error
        _debug()
        return Refusal(
            f"`{ctx.command_path} {command}` needs the package {package!r}, which is not installed; "
            f"install what it needs with: pip install 'rubrics-to-tokens[{extra}]'"
        )


def _debug() -> None:
    if os.environ.get("RTT_DEBUG", "") not in ("", "0"):
        traceback.print_exc()


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="rtt", message="%(prog)s %(version)s")
def cli() -> None:
    """Rubrics to tokens: train language models to follow rubrics, with credit for each token.

    \b
    Watch a small model learn to follow rubrics on this machine:
        rtt demo
    \b
    Check answers against their rubrics, and see the words that decide:
        rtt verify tasks.jsonl responses.jsonl
    \b
    With a model for the criteria that have no rule; how far can it be trusted?
        rtt verify tasks.jsonl responses.jsonl --judge qwen3:8b --base-url http://127.0.0.1:11434/v1
        rtt judge check tasks.jsonl responses.jsonl --judge qwen3:8b --base-url http://127.0.0.1:11434/v1
    \b
    A benchmark's official figures, and whether two models really differ:
        rtt evaluate ifeval --model ./my-model --out runs/mine
        rtt compare runs/base runs/mine
    \b
    Train a model of your own, on tasks from a public set, then see what each token earned:
        rtt import if-rlvr train.jsonl --out tasks.jsonl --unknown-rule judge
        rtt train config.yaml --learning_rate 1e-6 --records_steps 10
        rtt inspect runs/mine -o mine.html
    \b
    What has gone wrong in a run, and what its tokens were credited with:
        rtt audit tasks.jsonl runs/mine
        rtt show runs/mine --task mail/7
    \b
    Train the model that finds the words a criterion hangs on, and look at what it finds:
        rtt discriminator --help
        rtt relevance tasks.jsonl responses.jsonl

    Exit codes: 0 done; 1 interrupted; 2 something given cannot be used, and the message says what;
    3 there are alarms (rtt audit --fail-on).
    With RTT_DEBUG=1 in the environment, errors show where they arose.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line: the entry point of the ``rtt`` script. Always ends in ``SystemExit``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without a character is no reason to stop
    cli.main(args=None if arguments is None else list(arguments), prog_name="rtt")
    raise SystemExit(0)
