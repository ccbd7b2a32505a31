"""A YAML file and ``--key value`` on top of it, as dataclasses: TRL's parser with complaints that help.

Shared by the commands that hand their options to transformers' and TRL's own configurations.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from rtt.errors import ConfigurationError


def option_parser(kinds: Sequence[type], *, command: str) -> Any:
    """TRL's parser for the fields of some dataclasses; its complaints are one message instead of pages of usage.

    Args:
        kinds: dataclasses whose fields are the options.
        command: what the user typed, such as ``"rtt train"``.
    """
    from trl import TrlParser

    class Parser(TrlParser):  # type: ignore[misc]  # TRL has no type information
        def error(self, message: str) -> NoReturn:
            raise ConfigurationError(f"{message.removeprefix('argument ')}; see `{command} --list-options`")

    return Parser(tuple(kinds), prog=f"{command} CONFIG.yaml", add_help=False)


def parse_options(
    config: Path,
    overrides: Sequence[str],
    kinds: Sequence[type],
    *,
    command: str,
    defaults: Callable[[set[str]], list[str]] = lambda chosen: [],
) -> tuple[Any, ...]:
    """Read a config file, and options that override it.

    Args:
        config: flat YAML; an ``env`` mapping sets environment variables.
        overrides: ``--key value`` or ``--key=value``.
        kinds: dataclasses whose fields are the options.
        command: what the user typed, for messages.
        defaults: from the names that were chosen to options for the others.

    Returns:
        An instance of each of ``kinds``.

    Raises:
        ConfigurationError: not YAML, an unknown option, a value of the wrong kind, or options that do not go together.
    """
    import yaml

    parser = option_parser(kinds, command=command)
    actions = {action.dest: action for action in parser._actions}
    flags = {flag.removeprefix("--").replace("-", "_") for action in parser._actions for flag in action.option_strings}
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{config}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{config}: got {type(content).__name__}; expected a mapping, 'key: value' on each line"
        )
    for key, value in content.items():
        if key not in actions and key != "env":
            raise ConfigurationError(f"{config}: unknown option {key!r}; {_hint(str(key), set(actions), command)}")
        if key != "env":
            _check_value(config, key, value, actions[key])
    given = [flag.removeprefix("--").partition("=")[0].replace("-", "_") for flag in overrides if flag.startswith("--")]
    for name in given:
        if name not in flags:
            raise ConfigurationError(f"unknown option '--{name}'; {_hint(name, flags, command)}")
    arguments = ["--config", str(config), *defaults({*content, *given}), *overrides]
    try:
        parsed: tuple[Any, ...] = parser.parse_args_and_config(arguments)
    except ConfigurationError:
        raise
    except (ValueError, TypeError) as error:  # TRL's and transformers' own checks
        raise ConfigurationError(f"{config}: {error}") from error
    return parsed


def _check_value(config: Path, key: str, value: Any, action: argparse.Action) -> None:
    """A value from YAML never meets the parser's types: refuse what argparse would have refused."""
    wrong = None
    if value is None and action.required:
        wrong = "a value"
    elif action.type in (int, float) and isinstance(value, list | dict):
        wrong = "one number"
    elif action.type is int and (isinstance(value, bool) or (isinstance(value, float) and not value.is_integer())):
        wrong = "a whole number"
    elif isinstance(action.const, bool) and not isinstance(value, bool | str | None):
        wrong = "true or false"
    if wrong is not None:
        raise ConfigurationError(f"{config}: {key}: got {value!r}; expected {wrong}")


def _hint(name: str, known: set[str], command: str) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"see `{command} --list-options`"


def resume_point(training: Any) -> str | None:
    """The checkpoint to go on from, or None to begin; a run is never begun on top of another by mistake.

    Args:
        training: transformers' TrainingArguments; ``resume_from_checkpoint`` is a folder, ``"last"`` or nothing.

    Raises:
        ConfigurationError: there are checkpoints and nothing says to go on from them, or the folder is no checkpoint.
    """
    from rtt.trainers.checkpoints import last_complete_checkpoint

    asked = training.resume_from_checkpoint
    last = last_complete_checkpoint(training.output_dir)
    if asked in (None, "false", "False", False):
        if last is not None:
            raise ConfigurationError(
                f"{training.output_dir} holds the checkpoints of another run (the last is {last.name}); go on with it "
                "by --resume_from_checkpoint last, or choose another output_dir"
            )
        return None
    if asked in ("last", "true", "True", True):
        click.echo(f"resuming from {last}" if last else "no checkpoint yet: starting from the beginning", err=True)
        return None if last is None else str(last)
    if not (Path(asked) / "trainer_state.json").is_file():
        raise ConfigurationError(
            f"resume_from_checkpoint={asked!r} is no whole checkpoint (it has no trainer_state.json); expected a "
            "folder such as OUTPUT_DIR/checkpoint-100, or 'last'"
        )
    return str(asked)


def leave_processes() -> None:
    """Close the group of processes: left open, its threads may abort the interpreter's exit after a good run.

    The group lives on as long as a trainer does, whose model holds it, so nobody may hold the trainer any more.
    """
    from torch import distributed

    gc.collect()  # a trainer is part of cycles
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def named_value(text: str, *, option: str = "--set") -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is that, else as text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r}; expected NAME=VALUE", param_hint=option)
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()
