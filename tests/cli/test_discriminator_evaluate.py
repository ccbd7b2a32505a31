"""rtt discriminator evaluate: help, splits, baselines, other models, files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch")

from rtt.cli import cli
from rtt.cli.discriminator.evaluate import BASELINES
from rtt.relevance.discriminator import baselines
from rtt.relevance.discriminator.examples import Example, split_examples, write_examples
from rtt.relevance.discriminator.patterns import HELD_OUT_KINDS
from rtt.relevance.discriminator.report import read_evaluation
from rtt.rubrics import Rule
from rtt.verdicts import Outcome


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["discriminator", "evaluate", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny discriminators with random weights; what they answer is noise."""
    import torch
    from transformers import AutoTokenizer

    from rtt.demo.discriminator import tiny_backbone
    from rtt.relevance.discriminator.inputs import Template
    from rtt.relevance.discriminator.model import Discriminator, DiscriminatorSettings, build_network

    folder = tmp_path_factory.mktemp("models")
    backbone = tiny_backbone(folder / "backbone")
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    found = {}
    for name, architecture in (("joint", "joint"), ("cross", "cross"), ("other", "joint")):
        settings = DiscriminatorSettings(
            architecture=architecture,  # type: ignore[arg-type]
            template=Template.default(tokenizer).text,
            window=64,
            overlap=16,
            max_criterion=40,
            threshold=0.375,
            training={"held_out_kinds": ["punctuation:*"]} if name == "joint" else {},
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            Discriminator(build_network(backbone, settings), tokenizer, settings).save_pretrained(folder / name)
        found[name] = folder / name
    return found


def made(count: int = 40) -> list[Example]:
    """For each of some prompts a comma that breaks a rule, a word that meets one, and a criterion on the whole."""
    found = []
    for i in range(count):
        text, word = f"Well, number {i} is a good answer", "answer"
        common: dict[str, Any] = {"response": text, "prompt": f"p{i}", "source": "rule"}
        found += [
            Example(
                "No commas.",
                outcome=Outcome.VIOLATED,
                violation=((4, 5),),
                kind="punctuation:no_comma",
                rule=Rule(name="punctuation:no_comma"),
                **common,
            ),
            Example(
                f"Contains the word {word}.",
                outcome=Outcome.SATISFIED,
                support=((text.index(word), len(text)),),
                kind="keywords:existence",
                rule=Rule(name="keywords:existence", arguments={"keywords": [word]}),
                **common,
            ),
            Example(
                "It is in English.", outcome=Outcome.SATISFIED, scope="response", kind="language:response", **common
            ),
        ]
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_examples(tmp_path / "examples.jsonl", made())
    return tmp_path / "examples.jsonl"


def test_help_shows_commands_to_copy_and_what_the_numbers_mean() -> None:
    shown = run("--help").output
    for part in (
        "--examples examples.jsonl",
        "--split none",
        "Average precision",
        "Faithfulness",
        "kinds.png",
        "Exit codes",
    ):
        assert part in shown


def test_held_out_examples_are_measured_by_split(models: dict[str, Path], file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(models["joint"], "--examples", file, "--out", out, "--deletions", "20")
    assert result.exit_code == 0, result.output
    for part in ("Average precision", "joint", "lexical", "similarity", "new kinds", "Faithfulness"):
        assert part in result.stdout
    found = read_evaluation(out)
    assert list(found.scorers) == ["joint", *BASELINES]
    parts = split_examples(made(), held_out_kinds=["punctuation:*"])
    measured = found.scorers["joint"].splits
    assert {name: one.overall.examples for name, one in measured.items()} == {
        name: len(parts[name]) for name in ("seen", "kinds")
    }
    assert list(measured["kinds"].kinds) == ["punctuation:no_comma"]  # as the model's own settings say
    assert found.thresholds_from == "validation"
    lexical = found.scorers["lexical"].splits["kinds"].overall.average_precision
    assert lexical is not None
    assert lexical.value == 1
    turned = found.faithfulness["kinds"].scorers["lexical"]["n"]
    assert turned is not None
    assert turned.value == 1
    assert f"In {out}: evaluation.json, evaluation.md" in result.stdout
    assert found.details["model"] == str(models["joint"])


def test_kinds_that_are_named_are_held_out(models: dict[str, Path], file: Path, tmp_path: Path) -> None:
    options = ("--held-out-kind", "keywords:*", "--baselines", "none", "--deletions", 0, "--out", tmp_path / "out")
    assert run(models["joint"], "--examples", file, *options).exit_code == 0
    found = read_evaluation(tmp_path / "out")
    assert list(found.scorers) == ["joint"]
    assert list(found.scorers["joint"].splits["kinds"].kinds) == ["keywords:existence"]
    assert found.faithfulness == {}


def test_a_model_that_does_not_say_is_measured_on_the_kinds_that_build_holds_out(
    models: dict[str, Path], file: Path, tmp_path: Path
) -> None:
    options = ("--baselines", "none", "--deletions", 0, "--out", tmp_path / "out")
    assert run(models["other"], "--examples", file, *options).exit_code == 0
    parts = split_examples(made(), held_out_kinds=HELD_OUT_KINDS)
    measured = read_evaluation(tmp_path / "out").scorers["joint"].splits
    assert {name: one.overall.examples for name, one in measured.items()} == {
        name: len(parts[name]) for name in ("seen", "kinds", "wordings") if parts[name]
    }


def test_labels_of_users_are_one_test(models: dict[str, Path], tmp_path: Path) -> None:
    mine = [Example("mentions b", f"a b {i}", Outcome.SATISFIED, support=((2, 3),)) for i in range(3)]
    write_examples(tmp_path / "mine.jsonl", mine)
    result = run(
        models["joint"], "--examples", tmp_path / "mine.jsonl", "--out", tmp_path / "out", "--baselines", "all,random"
    )
    assert result.exit_code == 0, result.output
    found = read_evaluation(tmp_path / "out")
    assert list(found.scorers) == ["joint", "all", "random"]
    assert found.scorers["joint"].splits["all"].overall.examples == 3
    assert found.scorers["joint"].threshold == 0.375  # the model's own: there is no validation split
    assert "no validation examples" in result.stdout


def test_two_files_a_limit_and_other_models(models: dict[str, Path], file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--compare", models["cross"], "--compare", models["other"], "--baselines", "all", "--deletions", 0)
    result = run(
        models["joint"], "--examples", file, "--examples", file, "--split", "none", "--limit", 9, "--out", out, *options
    )
    assert result.exit_code == 0, result.output
    found = read_evaluation(out)
    assert list(found.scorers) == [f"joint: {models['joint']}", "cross", f"joint: {models['other']}", "all"]
    assert {one.splits["all"].overall.examples for one in found.scorers.values()} == {9}
    assert found.scorers["cross"].difference["all"] is not None
    assert found.details["examples"] == "240 in examples.jsonl, examples.jsonl"


def test_the_contrast_is_asked_about_some_examples(models: dict[str, Path], file: Path, tmp_path: Path) -> None:
    from rtt.demo.models import tiny_model

    model, tokenizer = tiny_model()
    model.save_pretrained(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    options = ("--contrast", tmp_path / "lm", "--contrast-examples", 3, "--baselines", "none", "--deletions", 0)
    result = run(models["joint"], "--examples", file, "--split", "none", "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    contrast = read_evaluation(tmp_path / "out").scorers["contrast"]
    assert contrast.splits["all"].overall.ranked == 3
    assert contrast.difference["all"] is not None


def test_the_same_command_gives_the_same_numbers(models: dict[str, Path], file: Path, tmp_path: Path) -> None:
    numbers = []
    for name in ("first", "second"):
        options = ("--split", "none", "--limit", 12, "--deletions", 6, "--out", tmp_path / name, "--seed", 5)
        assert run(models["joint"], "--examples", file, *options).exit_code == 0
        value = json.loads((tmp_path / name / "evaluation.json").read_text())
        for scorer in value["scorers"].values():
            del scorer["seconds"]
        numbers.append(value)
    assert numbers[0] == numbers[1]


def test_names_of_baselines_are_those_that_there_are() -> None:
    assert BASELINES == baselines.BASELINES


def test_what_cannot_be_used_is_refused_with_the_mend(models: dict[str, Path], file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    few = tmp_path / "few.jsonl"
    place = next(one for one in made() if one in split_examples(made(), held_out_kinds=[])["train"])
    write_examples(few, [place])
    cases = {
        ("--examples", file, "--baselines", "lexical,best"): "got ['best']; expected some of",
        ("--examples", tmp_path / "none.jsonl"): "none.jsonl: there is no such file",
        ("--examples", tmp_path / "bad.jsonl"): "bad.jsonl:1",
        ("--examples", few): "none of the 1 examples is held out from training; give more examples",
        ("--examples", file, "--compare", models["joint"]): "is given twice",
        ("--examples", file, "--contrast", tmp_path): "no causal language model",
        ("--examples", file, "--compare", tmp_path): "no model",
    }
    for options, words in cases.items():
        result = run(models["joint"], *options)
        assert result.exit_code == 2, (options, result.output)
        assert words in " ".join(result.output.split()), result.output
        assert "Traceback" not in result.output
    assert "is no folder here" in run(tmp_path / "nowhere", "--examples", file).output
