"""Every command that the documentation names exists, with its options, targets, modules and files; none is run."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from functools import cache
from importlib.util import find_spec

import click
import pytest
from documentation.blocks import ROOT, blocks, named_commands, words
from documentation.options import configuration_options

from rtt.cli import cli

IN_BLOCKS = [(str(block), command) for block in blocks() if block.language == "sh" for command in block.commands]
IN_TEXT = sorted(set(named_commands()))
FOREIGN = ("lm_eval", "jq", "$EDITOR", "torchrun", "accelerate")


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def extras() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        return set(tomllib.load(stream)["project"]["optional-dependencies"])


def check_rtt(arguments: list[str], *, complete: bool) -> None:
    """Look a command up, and read its arguments by its own parser, without running it or opening a file.

    Args:
        arguments: what follows ``rtt``.
        complete: whether what the command requires must be there.

    Raises:
        click.UsageError: there is no such command or option, or a value is none of the option's choices.
    """
    command: click.Command = cli
    context = click.Context(cli, info_name="rtt")
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, context, name, **found.context_settings)
    if context.ignore_unknown_options:
        known = configuration_options(context.command_path)
        for word in arguments:
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in {"--list-options", "--help"} | known:
                raise click.NoSuchOption(flag, ctx=context)
    given, _, _ = command.make_parser(context).parse_args(list(arguments))
    if "help" in given:
        return
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            parameter.type.convert(value, parameter, context)
        if complete and parameter.required and not (isinstance(value, str | list | tuple) and value):
            raise click.MissingParameter(ctx=context, param=parameter)


ELSEWHERE = {"verl"}
"""Packages that have environments of their own; here it is only known that they are not ours."""


def check_module(name: str) -> None:
    if name.partition(".")[0] in ELSEWHERE:
        return
    assert find_spec(name) is not None, f"there is no module {name}"


def check(command: str, *, complete: bool = True) -> None:
    """Check a command as far as that can be done without running it."""
    program, *arguments = words(command)
    for word in arguments:
        if re.match(r"(examples|docs|tests|benches|tools|experiments)/", word):
            assert (ROOT / word).exists(), f"there is no {word}"
    if program == "rtt":
        check_rtt(arguments, complete=complete)
    elif program == "make":
        assert {word for word in arguments if "=" not in word} <= make_targets()
    elif program == "pip":
        named = {extra for word in arguments for extra in re.findall(r"(?:^\.|to-tokens)\[(.+)\]", word)}
        assert {name for names in named for name in names.split(",")} <= extras()
    elif program == "python":
        place = arguments.index("-m") + 1 if "-m" in arguments else None
        check_module(arguments[place]) if place else None
    else:
        assert program in FOREIGN, f"nothing is known of {program}"
        if "-m" in arguments:
            module, *rest = arguments[arguments.index("-m") + 1 :]
            check_module(module)
            if module == "rtt":
                check_rtt(rest, complete=complete)


@pytest.mark.parametrize(("place", "command"), IN_BLOCKS, ids=[place for place, _ in IN_BLOCKS])
def test_a_command_of_a_block_exists(place: str, command: str) -> None:
    check(command)


@pytest.mark.parametrize(("page", "command"), IN_TEXT, ids=[page for page, _ in IN_TEXT])
def test_a_command_that_text_names_exists(page: str, command: str) -> None:
    with suppress(click.BadOptionUsage):  # what `rtt verify --out` writes
        check(command.replace("...", ""), complete=False)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("rtt verfy tasks.jsonl", "there is no command 'verfy'"),
        ("rtt verify tasks.jsonl responses.jsonl --jugde m", "No such option"),
        ("rtt verify tasks.jsonl", "Missing parameter"),
        ("rtt judge check a b --judge m --repeets 2", "No such option"),
        ("rtt import hir rows.jsonl --out tasks.jsonl --code run", "is not one of"),
        ("rtt train config.yaml --token_wait 0.1", "No such option"),
        ("accelerate launch -m rtt train config.yaml --token_wait 0.1", "No such option"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, complaint: str) -> None:
    with pytest.raises(click.UsageError, match=f"(?i){complaint}"):
        check(command)


@pytest.mark.parametrize(
    "command",
    ["make demos", "pip install '.[trains]'", "python -m rttt", "rtt verify examples/task.jsonl a", "rt"],
)
def test_a_target_extra_module_file_or_program_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        check(command)
