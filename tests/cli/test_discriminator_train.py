"""``rtt discriminator train``: a config file and examples become a discriminator; what cannot be used is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rtt.cli import cli
from rtt.relevance.discriminator.examples import Example, write_examples
from rtt.relevance.discriminator.model import SETTINGS_FILE, Discriminator
from rtt.verdicts import Outcome


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    from rtt.demo.discriminator import tiny_backbone

    return tiny_backbone(tmp_path_factory.mktemp("backbone") / "tiny")


@pytest.fixture
def config(tmp_path: Path, backbone: str) -> Path:
    texts = [f"a,b{'c' * (i % 7)},{i}" for i in range(60)]
    write_examples(
        tmp_path / "examples.jsonl",
        [
            Example(
                f"no {sign}",
                text,
                Outcome.VIOLATED,
                violation=tuple((i, i + 1) for i, c in enumerate(text) if c == sign),
                kind=kind,
                prompt=f"p{number}",
            )
            for number, text in enumerate(texts)
            for sign, kind in ((",", "sign:comma"), ("c", "letter:c"))
        ],
    )
    file = tmp_path / "config.yaml"
    file.write_text(
        f"examples: {tmp_path / 'examples.jsonl'}\noutput_dir: {tmp_path / 'run'}\nbackbone: {backbone}\n"
        "max_steps: 2\nuse_cpu: true\nheld_out_kinds: ['letter:*']\nsave_steps: 1\n"
    )
    return file


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_a_config_becomes_a_discriminator(config: Path, tmp_path: Path) -> None:
    code, output = run("discriminator", "train", config, "--learning_rate", "1e-3")
    assert code == 0, output
    assert "discriminator:" in output
    trained = Discriminator.from_pretrained(tmp_path / "run" / "model")
    assert trained.settings.training["held_out_kinds"] == ["letter:*"]
    assert trained.settings.training["kinds"] == 1
    assert trained.settings.training["steps"] == 2
    code, output = run("discriminator", "train", config)
    assert code == 2
    assert "holds the checkpoints of another run" in output
    code, output = run("discriminator", "train", config, "--resume_from_checkpoint", "last", "--max_steps", "3")
    assert code == 0, output
    assert Discriminator.from_pretrained(tmp_path / "run" / "model").settings.training["steps"] == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--architecure", "cross"], "unknown option '--architecure'; did you mean 'architecture'?"),
        (["--architecture", "siamese"], "invalid choice: 'siamese'"),
        (["--held_out_kinds", "*:*"], "no example is left to train on"),
        (["--examples", "nowhere.jsonl"], "nowhere.jsonl: there is no such file"),
        (["--template", "{response}"], "expected {criterion} and {response} in it"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_written(
    config: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    code, output = run("discriminator", "train", config, *more)
    assert code == 2, output
    assert message in output
    assert not (tmp_path / "run" / "model" / SETTINGS_FILE).exists()


def test_labels_of_the_wrong_length_are_refused_with_their_line(config: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"criteria": "c", "response": "abc", "char_labels": [0, 1]}\n')
    code, output = run("discriminator", "train", config, "--examples", bad)
    assert code == 2
    assert f"{bad}:1: char_labels: has 2 labels for a response of 3 characters" in output
    assert not (tmp_path / "run").exists()
