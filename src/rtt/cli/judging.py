"""The judge on the command line: the options that every command with a judge takes, and what it reports at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rtt.cli.options import named_value
from rtt.cli.terminal import counted
from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.endpoints import Endpoint
    from rtt.verifiers.judge import Judge, JudgeReport


@dataclass(frozen=True, slots=True)
class JudgeChoice:
    """A judge as it was asked for on the command line; the fields are those of :class:`~rtt.verifiers.judge.Judge`."""

    model: str
    base_url: str | None = None
    api_key_env: str | None = "auto"
    criteria_per_call: int | None = None
    concurrency: int = 32
    timeout: float = 60
    max_retries: int = 4
    attempts: int = 2
    cache: Path | None = None
    temperature: float | None = 0
    request: dict[str, Any] = field(default_factory=dict)
    prompt: Path | None = None
    prices: tuple[float, float] | None = None

    def build(self, **others: Any) -> Judge:
        """The judge; ``others`` are set instead.

        Raises:
            ConfigurationError, MissingDependencyError: as for Judge.
        """
        from rtt.verifiers.judge import Judge

        options = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Judge(**(options | others))

    def describe(self) -> dict[str, Any]:
        """All that a verdict depends on, as JSON; the prompt file as twelve hexadecimal digits.

        Raises:
            ConfigurationError: the prompt file cannot be used.
        """
        from rtt.verifiers.judge.prompts import Template, digest

        return {
            "name": self.model,
            "temperature": self.temperature,
            "prompt": digest([Template(self.prompt).text])[:12],
            "criteria per call": self.criteria_per_call,
            "request": self.request or None,
        }

    def endpoint(self) -> Endpoint:
        """The endpoint alone, for what is no verdict."""
        from rtt.endpoints import Endpoint

        return Endpoint(
            self.model,
            base_url=self.base_url,
            api_key_env=self.api_key_env,
            timeout=self.timeout,
            max_retries=self.max_retries,
            temperature=self.temperature,
            request=self.request,
        )


def _prices(_: click.Context, __: click.Parameter, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        prompt, completion = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r}; expected two numbers, such as 0.15,0.60") from None
    return prompt, completion


def _request(_: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    return dict(named_value(text, option=option.opts[0]) for text in texts)


def _temperature(_: click.Context, __: click.Parameter, text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r}; expected a number, or 'none' for the endpoint's own") from None


TOGETHER = 16
"""Responses that are verified at once, for each of a judge's calls at once: so that its line is seldom idle."""

Item = TypeVar("Item")


def batches(items: Iterable[Item], judge: JudgeChoice | None, *, most: int | None = None) -> Iterator[list[Item]]:
    """The items as many at a time as are verified together: one by one without a judge, at most ``most``."""
    size = 1 if judge is None else TOGETHER * judge.concurrency
    left = iter(items)
    while batch := list(islice(left, size if most is None else min(size, most))):
        yield batch


def judge_options(
    *,
    required: bool = False,
    verdicts: bool = True,
    prefix: str = "",
    help: str = "A model behind an OpenAI-compatible endpoint, which decides the criteria without a rule.",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a judge; the command gets them as ``judge``, a :class:`JudgeChoice`, or None without a model.

    Args:
        required: whether the command cannot do without one.
        verdicts: whether it asks for verdicts; if not, the options that are about these alone change nothing, and are
            not in its help.
        prefix: put before the names of the options but ``--judge``, for commands that have options like these about
            another model: ``"judge-"`` gives ``--judge-base-url``, ``--judge-no-cache``.
        help: what the model is for.
    """
    options = [
        click.option(
            "--judge",
            "judge_model",
            metavar="MODEL",
            required=required,
            help=help,
        ),
        click.option(
            f"--{prefix}base-url",
            "judge_base_url",
            metavar="URL",
            help="The judge's endpoint, such as http://127.0.0.1:8000/v1.  [default: OPENAI_BASE_URL, or OpenAI]",
        ),
        click.option(
            f"--{prefix}api-key-env",
            "judge_api_key_env",
            default="auto",
            metavar="NAME",
            help="The environment variable with the judge's key; '' to send none.  "
            "[default: OPENAI_API_KEY for OpenAI, none for other servers]",
        ),
        click.option(
            f"--{prefix}per-call",
            "judge_per_call",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            hidden=not verdicts,
            help="Criteria of a response that are asked in one call; 0: all of them.  [default: 0]",
        ),
        click.option(
            f"--{prefix}concurrency",
            "judge_concurrency",
            type=click.IntRange(min=1),
            default=32,
            show_default=True,
            help="Calls to the judge at once.",
        ),
        click.option(
            f"--{prefix}timeout",
            "judge_timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=60,
            show_default=True,
            help="Seconds.",
        ),
        click.option(
            f"--{prefix}retries",
            "judge_retries",
            type=click.IntRange(min=0),
            default=4,
            show_default=True,
            help="Further tries after a timeout, a lost connection, a rate limit or a server error.",
        ),
        click.option(
            f"--{prefix}temperature",
            "judge_temperature",
            default="0",
            show_default=True,
            callback=_temperature,
            help="The judge's sampling temperature; 'none' leaves it to the endpoint.",
        ),
        click.option(
            f"--{prefix}request",
            "judge_request",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_request,
            help="A further field of each request, such as max_tokens=512. May be given again.",
        ),
        click.option(
            f"--{prefix}prompt",
            "judge_prompt",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A prompt file instead of RTT's own.",
        ),
        click.option(
            f"--{prefix}price",
            "judge_price",
            metavar="IN,OUT",
            callback=_prices,
            help="US dollars for a million prompt and completion tokens, to estimate the cost.",
        ),
        click.option(
            f"--{prefix}cache",
            "judge_cache",
            type=click.Path(path_type=Path, file_okay=False),
            hidden=not verdicts,
            help="A folder for the judge's answers: none is paid for twice.  [default: judge/ in RTT's cache folder]",
        ),
        click.option(
            f"--{prefix}no-cache",
            "judge_no_cache",
            is_flag=True,
            hidden=not verdicts,
            help="Ask everything anew, and keep nothing.",
        ),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def wrapped(
            *arguments: Any,
            judge_model: str | None,
            judge_base_url: str | None,
            judge_api_key_env: str,
            judge_per_call: int,
            judge_concurrency: int,
            judge_timeout: float,
            judge_retries: int,
            judge_temperature: float | None,
            judge_request: dict[str, Any],
            judge_prompt: Path | None,
            judge_price: tuple[float, float] | None,
            judge_cache: Path | None,
            judge_no_cache: bool,
            **others: Any,
        ) -> Any:
            judge = None
            if judge_model is not None:
                judge = JudgeChoice(
                    judge_model,
                    base_url=judge_base_url,
                    api_key_env=judge_api_key_env or None,
                    criteria_per_call=judge_per_call or None,
                    concurrency=judge_concurrency,
                    timeout=judge_timeout,
                    max_retries=judge_retries,
                    cache=_cache(judge_cache, judge_no_cache, prefix),
                    temperature=judge_temperature,
                    request=judge_request,
                    prompt=judge_prompt,
                    prices=judge_price,
                )
            elif judge_base_url is not None:
                raise ConfigurationError(
                    f"--{prefix}base-url names an endpoint, but no --judge says which model to ask there"
                )
            return command(*arguments, judge=judge, **others)

        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def _cache(folder: Path | None, none: bool, prefix: str) -> Path | None:
    from rtt.verifiers.judge.cache import users_folder

    if none and folder is not None:
        raise ConfigurationError(f"--{prefix}cache and --{prefix}no-cache exclude each other; expected one of them")
    return None if none else folder or users_folder()


def print_report(console: Console, report: JudgeReport) -> None:
    """Print what a judge did in one line, and why criteria were left undetermined in another."""
    parts = [
        counted(report.calls, "request"),
        f"{report.prompt_tokens + report.completion_tokens:,} tokens",
        f"{report.cached:,} of {report.criteria:,} criteria from the cache",
    ]
    if report.cost is not None:
        parts.insert(2, f"about ${report.cost:.4f}")
    if report.dropped_quotes:
        parts.append(f"{report.dropped_quotes:,} quotes that are not in the response")
    if report.cannot_tell:
        parts.append(f"{report.cannot_tell:,} that it cannot tell")
    console.print(f"judge: {', '.join(parts)}", soft_wrap=True)
    if report.failed:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.failures.items(), key=lambda i: -i[1]))
        console.print(
            f"judge: no usable answer for {counted(report.failed, 'criterion', 'criteria')} "
            f"({kinds}); undetermined, and asked again next time",
            soft_wrap=True,
        )
