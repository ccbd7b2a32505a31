"""Every fenced block of README and docs does what it shows.

Commands and programs run in a folder that has what they name, with tiny models and a scripted judge; configurations,
JSON and output that is shown are read by what reads or prints them. What is not run says why, in one table.
"""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from documentation import workshop
from documentation.blocks import ROOT, Block, blocks, words
from scripted_endpoint import Server

import rtt
from rtt.errors import DataError
from rtt.rubrics import read_tasks

BLOCKS = blocks()

NOT_RUN = {
    "make setup": "builds the virtual environment in which this test runs",
    "make check": "runs beside the tests",
    "make test": "runs the tests, this one too",
    "make demo": "trains for ten minutes; tests/demo and `make test-wheel` run `rtt demo --fast`",
    "make discriminator": "trains for 45 minutes; tests/demo/test_discriminator.py runs it with tiny backbones",
    "rtt discriminator build": "trains for 50 minutes; tests/demo/test_discriminator.py runs it with tiny backbones",
    "rtt discriminator serve": "goes on for ever; tests/relevance/discriminator/test_served.py runs it",
    "make bench-injections": "asks a real judge; tests/verifiers/judge/test_injections.py runs its parts",
    "make wheel": "builds the wheel; `make test-wheel` does, and uses it",
    "pip install": "installs packages; `make test-wheel` installs the package into an empty environment",
    "torchrun": "starts processes; tests/trainers/test_cluster.py runs such a command",
    "lm_eval": "needs models and data of the hub; tests/benchmarks/test_general.py runs it on a tiny model",
    "python -m verl": "needs verl's own environment and GPUs; `make test-verl` runs it on a CPU with stand-ins",
    "python -c from verl": "needs verl's own environment; `make test-verl` looks the trainer up there",
    "rtt export": "needs pyarrow alone, but its tasks are the user's; tests/cli/test_export.py runs it",
    "python -m experiments.small_world": "takes hours; tests/experiments/test_small_world.py runs tiny worlds",
}
"""Commands that are not run here, by how they begin, and why; tests/documentation/test_commands.py looks them up."""

ENDPOINT = re.compile(r"http://(127\.0\.0\.1|localhost):\d+/v1")
"""Where the documentation has a judge: the scripted one takes its place."""

SERVED = re.compile(r"http://127\.0\.0\.1:8765")
"""Where the documentation has served a discriminator."""

LOADS_MODELS = re.compile(
    r"rtt train|rtt discriminator (train|evaluate)|relevance discriminator|--model \./|--tokenizer|rtt\.trainers"
)
"""What needs the models of the workshop."""

SLOW = re.compile(rf"{LOADS_MODELS.pattern}|rtt judge check|rtt discriminator label")
"""What takes more than ten seconds where cores are busy."""

RAW_ROWS = {"docs/importers.md", "docs/from-the-authors-code.md"}
"""The pages whose files are rows of public sets."""


def why_not_run(command: str) -> str | None:
    """The reason why a command is not run here, or None."""
    started = " ".join(words(command))
    return next((reason for start, reason in NOT_RUN.items() if started.startswith(start)), None)


def in_language(*languages: str) -> list[Any]:
    """The blocks of some languages as parameters."""
    several = (pytest.mark.slow, pytest.mark.timeout(1200))  # processes one after the other, each of which loads torch
    return [
        pytest.param(block, id=str(block), marks=several if SLOW.search(block.text) else ())
        for block in BLOCKS
        if block.language in languages
    ]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workshop")
    workshop.furnish(folder)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    workshop.furnish_models(folder)
    return folder


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.script = workshop.answer
    yield server
    server.stop()


@pytest.fixture
def run(furnished: Path, tmp_path: Path, server: Server, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Runs a command for a block in a folder of its own, and gives back what it printed."""
    folder = tmp_path / "workshop"
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("OPENAI_API_KEY", "FORCE_COLOR")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RTT_CACHE": str(tmp_path / "cache"),
        "OPENAI_BASE_URL": server.url,
        "EDITOR": "true",
        "COLUMNS": "80",
    }

    def run(block: Block, command: list[str]) -> str:
        shutil.copytree(furnished, folder)
        if LOADS_MODELS.search(block.text):
            shutil.copytree(request.getfixturevalue("models"), folder, dirs_exist_ok=True)
        if block.page in RAW_ROWS:
            workshop.write_raw(folder)
        for made in re.findall(r"--out (\S+\.jsonl)", block.text):
            (folder / made).unlink(missing_ok=True)
        command = [ENDPOINT.sub(server.url, word) for word in command]
        with contextlib.ExitStack() as open_until_the_end:
            if any(SERVED.search(word) for word in command):
                from served_discriminator import serving

                from rtt.relevance.discriminator.model import load_discriminator

                discriminator = load_discriminator(folder / "runs/discriminator/joint/model")
                address = open_until_the_end.enter_context(serving(discriminator))
                command = [SERVED.sub(address, word) for word in command]
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                input="y\n" * 9,  # `rtt rubric accept` asks
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


# ------------------------------------------------------------------------------------------------------ what is covered


def test_every_block_has_a_language_that_is_tested_here() -> None:
    assert {block.language for block in BLOCKS} <= {"sh", "python", "yaml", "json", "text"}
    assert len(BLOCKS) > 50


def test_every_reason_not_to_run_a_command_has_its_command() -> None:
    commands = [command for block in BLOCKS if block.language == "sh" for command in block.commands]
    for start in NOT_RUN:
        assert any(" ".join(words(command)).startswith(start) for command in commands), start


# ------------------------------------------------------------------------------------------------ commands and programs


@pytest.mark.parametrize("block", in_language("sh"))
def test_commands_run(block: Block, run: Callable[..., str]) -> None:
    chosen = [command for command in block.commands if why_not_run(command) is None]
    if not chosen:
        pytest.skip("; ".join(sorted({str(why_not_run(command)) for command in block.commands})))
    missing = [
        tool for tool in ("jq", "less") if any(tool in line.split() for line in chosen) and not shutil.which(tool)
    ]
    if missing:
        pytest.skip(f"{missing} cannot be found")
    run(block, ["bash", "-euo", "pipefail", "-c", "\n".join(chosen)])


@pytest.mark.parametrize("block", in_language("python"))
def test_programs_run(block: Block, run: Callable[..., str]) -> None:
    run(block, [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", block.text])


# ---------------------------------------------------------------------------------------- configurations and JSON lines


@pytest.mark.parametrize("block", in_language("yaml"))
def test_configurations_are_understood(block: Block, tmp_path: Path) -> None:
    from rtt.cli.discriminator.train import parse as parse_discriminator
    from rtt.cli.train import parse

    options = yaml.safe_load(block.text)
    whole = workshop.DISCRIMINATOR_TRAINING if "examples" in options else workshop.TRAINING
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({**{name: whole[name] for name in list(whole)[:3]}, **options}), "utf-8")
    (parse_discriminator if "examples" in options else parse)(file)


@pytest.mark.parametrize("block", in_language("json"))
def test_json_lines_are_read_by_what_reads_them(block: Block, tmp_path: Path, run: Callable[..., str]) -> None:
    from rtt.relevance.discriminator.examples import read_examples

    [value] = [json.loads(block.text)]  # docs/tasks.md shows its line on several
    file = tmp_path / "line.jsonl"
    match value:
        case {"messages": _}:
            workshop.write_lines(file, [value])
            assert read_tasks(file)
        case {"kind": "rule"}:
            workshop.write_lines(
                file, [{"id": "t", "messages": [{"role": "user", "content": "A cat."}], "criteria": [value]}]
            )
            assert read_tasks(file)
        case {"criterion": _}:
            workshop.write_lines(file, [value])
            assert read_examples(file)
        case {"tokens": _}:
            printed = run(block, ["rtt", "relevance", "examples/tasks.jsonl", "examples/responses.jsonl"])
            assert block.text in printed.splitlines(keepends=True)
        case _:
            pytest.fail(f"{block}: nothing is known that reads this")


# --------------------------------------------------------------------------------------------------------------- output


def is_the_output_of_relevance(block: Block, run: Callable[..., str]) -> None:
    command = "rtt relevance examples/tasks.jsonl examples/responses.jsonl --task lantern --limit 2 --format table"
    assert unpadded(run(block, command.split())) == block.text


def is_the_output_of_show(block: Block, run: Callable[..., str]) -> None:
    command = "rtt show runs/mine --task mail/7 --by reward --criterion c1"
    assert block.text in unpadded(run(block, command.split()))


def unpadded(printed: str) -> str:
    return "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"


def is_the_message_about_a_task_file(block: Block, run: Callable[..., str]) -> None:
    mail = json.loads(workshop.mail().to_json())
    lines = [{**mail, "id": f"mail/{number}"} for number in (1, 7, 3, 4, 5, 6, 7)]
    lines[2]["criteria"] = [mail["criteria"][0], {**mail["criteria"][1], "weight": "2"}]
    workshop.write_lines(Path("tasks.jsonl"), lines)
    with pytest.raises(DataError) as error:
        read_tasks("tasks.jsonl")
    assert str(error.value) == block.text.strip()


def names_every_module(block: Block, run: Callable[..., str]) -> None:
    modules = {module.name for module in pkgutil.iter_modules(rtt.__path__)} - {"__main__"}
    named = set(re.findall(r"^(?:\d| ) +([\w·  ]+?)(?:   |$)", block.text, re.MULTILINE))
    assert {name for names in named for name in names.split(" · ")} == modules


OUTPUT = {
    "docs/architecture.md": names_every_module,
    "docs/audit.md": is_the_output_of_show,
    "docs/relevance.md": is_the_output_of_relevance,
    "docs/tasks.md": is_the_message_about_a_task_file,
}
"""What the text blocks of a page show."""


@pytest.mark.parametrize("block", in_language("text"))
def test_output_is_what_is_printed(
    block: Block, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    OUTPUT[block.page](block, run)


# ---------------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_to_files(page: str) -> None:
    """The links between pages of docs/ are checked by `make docs`."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
