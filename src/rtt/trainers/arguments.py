"""What ``rtt train`` needs to know beside RTTConfig and TRL's ModelConfig."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtt.errors import ConfigurationError
from rtt.verifiers.judge.cache import users_folder

if TYPE_CHECKING:
    from rtt.verifiers.judge import Judge


@dataclass
class TrainArguments:
    """The data of a run."""

    tasks: list[str] = field(metadata={"help": "Task files (JSONL) to train on."})
    eval_tasks: list[str] | None = field(
        default=None, metadata={"help": "Task files for evaluation during training, with eval_strategy."}
    )

    def __post_init__(self) -> None:
        self.tasks = _as_list(self.tasks)
        self.eval_tasks = None if self.eval_tasks is None else _as_list(self.eval_tasks)


@dataclass
class JudgeArguments:
    """The model that decides what no rule can. Only ``judge`` has to be given; the rest is about how it is asked.

    Raises:
        ConfigurationError: a value of the wrong kind, or an option of a judge without a judge.
    """

    judge: str | None = field(
        default=None,
        metadata={"help": "Model that decides the criteria without a rule, by its name at the server. None: no judge."},
    )
    judge_base_url: str | None = field(
        default=None,
        metadata={
            "help": "An OpenAI-compatible server, such as http://127.0.0.1:8000/v1. None: OPENAI_BASE_URL, or OpenAI."
        },
    )
    judge_api_key_env: str | None = field(
        default="auto",
        metadata={"help": "Environment variable that holds the key; '' or null for a server that wants none."},
    )
    judge_criteria_per_call: int | None = field(
        default=None, metadata={"help": "Criteria of a response in one request; 0 or null: all of them."}
    )
    judge_concurrency: int = field(default=32, metadata={"help": "Requests under way at once, of each process."})
    judge_timeout: float = field(default=60.0, metadata={"help": "Seconds that a request may take."})
    judge_max_retries: int = field(
        default=4, metadata={"help": "How often a request is repeated that met a limit, an error or no answer."}
    )
    judge_attempts: int = field(
        default=2, metadata={"help": "How often, in all, the model is asked for an answer that can be used."}
    )
    judge_temperature: float | None = field(
        default=0.0, metadata={"help": "Sampling temperature of the judge; null: the server's own."}
    )
    judge_request: dict | str | None = field(  # type: ignore[type-arg]  # the parser knows no other way to say it
        default=None,
        metadata={"help": "Further fields of each request, a mapping or JSON, such as '{\"max_tokens\": 512}'."},
    )
    judge_prompt: str | None = field(
        default=None, metadata={"help": "File with a prompt of your own in place of the built-in one."}
    )
    judge_prices: str | None = field(
        default=None, metadata={"help": "US dollars for a million tokens in and out, to report the cost: '0.15,0.60'."}
    )
    judge_cache: str | None = field(
        default=None,
        metadata={
            "help": "Folder in which answers are kept, so that nothing is asked twice; null: the user's cache; "
            "'no': none. On several nodes each has its own in it."
        },
    )

    def __post_init__(self) -> None:
        if isinstance(self.judge_request, str):
            try:
                self.judge_request = json.loads(self.judge_request)
            except json.JSONDecodeError as error:
                raise ConfigurationError(f"judge_request={self.judge_request!r} is not JSON: {error}") from error
        if self.judge_request is not None and not isinstance(self.judge_request, dict):
            raise ConfigurationError(f"judge_request={self.judge_request!r}; expected a mapping")
        self._prices()
        cache: object = self.judge_cache
        if cache is False:  # what YAML makes of a bare no
            self.judge_cache = "no"
        if not self.judge:
            given = [f.name for f in fields(self) if f.name != "judge" and getattr(self, f.name) != f.default]
            if given:
                raise ConfigurationError(f"{', '.join(given)} without a judge; name its model with judge, or drop it")

    def build(self, *, processes: int | None = None, machines: int | None = None) -> Judge | None:
        """The judge for this process, or None where none is named.

        Processes share one cache on a machine, but not over machines: SQLite's locks cannot be relied on in a network's
        file system.

        Args:
            processes: how many ask; None: what the launcher started, by ``WORLD_SIZE``.
            machines: on how many they run; None: one if ``LOCAL_WORLD_SIZE`` is as large.

        Raises:
            ConfigurationError: options that the judge cannot be made of.
            MissingDependencyError: the ``judge`` extra is not installed.
        """
        if not self.judge:
            return None
        from rtt.verifiers.judge import Judge

        request = self.judge_request or {}
        assert isinstance(request, dict)  # nosec B101 # a fact for the type checker
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if machines is None:
            machines = 1 if os.environ.get("LOCAL_WORLD_SIZE", "1") == str(started) else 2
        cache = self._cache(one_machine=machines == 1)
        return Judge(
            self.judge,
            base_url=self.judge_base_url,
            api_key_env=self.judge_api_key_env or None,
            criteria_per_call=self.judge_criteria_per_call or None,
            concurrency=self.judge_concurrency,
            timeout=self.judge_timeout,
            max_retries=self.judge_max_retries,
            attempts=self.judge_attempts,
            cache=cache,
            temperature=self.judge_temperature,
            request=request,
            prompt=None if self.judge_prompt is None else Path(self.judge_prompt),
            prices=self._prices(),
            shared=cache is not None and (started if processes is None else processes) > 1,
        )

    def _prices(self) -> tuple[float, float] | None:
        given: Any = self.judge_prices  # a config file may hold a list
        if given is None:
            return None
        try:
            prompt, completion = (float(price) for price in (given.split(",") if isinstance(given, str) else given))
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"judge_prices={given!r}; expected two numbers, of tokens in and out, such as '0.15,0.60'"
            ) from None
        return prompt, completion

    def _cache(self, *, one_machine: bool) -> Path | None:
        if self.judge_cache == "no":
            return None
        folder = users_folder() if self.judge_cache is None else Path(self.judge_cache)
        return folder if one_machine else folder / platform.node()


def _as_list(files: Any) -> list[str]:
    """A config file may name one file without a list around it."""
    if isinstance(files, str):
        return [files]
    if isinstance(files, list) and files and all(isinstance(file, str) for file in files):
        return files
    raise ConfigurationError(f"tasks, eval_tasks: got {files!r}; expected the path of a task file, or a list of paths")
