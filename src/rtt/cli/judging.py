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


def _request(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    return dict(named_value(text, option="--request") for text in texts)


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
    help: str = "A model behind an OpenAI-compatible endpoint, which decides the criteria without a rule.",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a judge; the command gets them as ``judge``, a :class:`JudgeChoice`, or None without a model.

    Args:
        required: whether the command cannot do without one.
        verdicts: whether it asks for verdicts; if not, the options that are about these alone change nothing, and are
            not in its help.
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
            "--base-url",
            metavar="URL",
            help="The judge's endpoint, such as http://127.0.0.1:8000/v1.  [default: OPENAI_BASE_URL, or OpenAI]",
        ),
        click.option(
            "--api-key-env",
            default="auto",
            metavar="NAME",
            help="The environment variable with the judge's key; '' to send none.  "
            "[default: OPENAI_API_KEY for OpenAI, none for other servers]",
        ),
        click.option(
            "--per-call",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            hidden=not verdicts,
            help="Criteria of a response that are asked in one call; 0: all of them.  [default: 0]",
        ),
        click.option(
            "--concurrency",
            type=click.IntRange(min=1),
            default=32,
            show_default=True,
            help="Calls to the judge at once.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(min=0, min_open=True), default=60, show_default=True, help="Seconds."
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            default=4,
            show_default=True,
            help="Further tries after a timeout, a lost connection, a rate limit or a server error.",
        ),
        click.option(
            "--temperature",
            default="0",
            show_default=True,
            callback=_temperature,
            help="The judge's sampling temperature; 'none' leaves it to the endpoint.",
        ),
        click.option(
            "--request",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_request,
            help="A further field of each request, such as max_tokens=512. May be given again.",
        ),
        click.option(
            "--prompt", type=click.Path(path_type=Path, dir_okay=False), help="A prompt file instead of RTT's own."
        ),
        click.option(
            "--price",
            metavar="IN,OUT",
            callback=_prices,
            help="US dollars for a million prompt and completion tokens, to estimate the cost.",
        ),
        click.option(
            "--cache",
            type=click.Path(path_type=Path, file_okay=False),
            hidden=not verdicts,
            help="A folder for the judge's answers: none is paid for twice.  [default: judge/ in RTT's cache folder]",
        ),
        click.option("--no-cache", is_flag=True, hidden=not verdicts, help="Ask everything anew, and keep nothing."),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def wrapped(
            *arguments: Any,
            judge_model: str | None,
            base_url: str | None,
            api_key_env: str,
            per_call: int,
            concurrency: int,
            timeout: float,
            retries: int,
            temperature: float | None,
            request: dict[str, Any],
            prompt: Path | None,
            price: tuple[float, float] | None,
            cache: Path | None,
            no_cache: bool,
            **others: Any,
        ) -> Any:
            judge = None
            if judge_model is not None:
                judge = JudgeChoice(
                    judge_model,
                    base_url=base_url,
                    api_key_env=api_key_env or None,
                    criteria_per_call=per_call or None,
                    concurrency=concurrency,
                    timeout=timeout,
                    max_retries=retries,
                    cache=_cache(cache, no_cache),
                    temperature=temperature,
                    request=request,
                    prompt=prompt,
                    prices=price,
                )
            elif base_url is not None:
                raise ConfigurationError("--base-url names an endpoint, but no --judge says which model to ask there")
            return command(*arguments, judge=judge, **others)

        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def _cache(folder: Path | None, none: bool) -> Path | None:
    from rtt.verifiers.judge.cache import users_folder

    if none and folder is not None:
        raise ConfigurationError("--cache and --no-cache exclude each other; expected one of them")
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
