"""``rtt train``: what a config file says is what the trainer gets, and what cannot be used is said in one message."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from rtt.cli import cli
from rtt.cli.train import parse
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError
from rtt.rubrics import Task, write_tasks

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, tasks: list[Task]) -> Write:
    """Writes a config file that trains the tiny model for one step; changes override its options."""
    model, tokenizer = tiny_model()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    write_tasks(tmp_path / "tasks.jsonl", tasks)

    def write(**changes: Any) -> Path:
        options = {
            "model_name_or_path": str(tmp_path / "model"),
            "tasks": str(tmp_path / "tasks.jsonl"),
            "output_dir": str(tmp_path / "run"),
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": 8,
            "max_steps": 1,
            "save_steps": 1,
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            **changes,
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in options.items() if value != "DROP"}))
        return path

    return write


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["train", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, re.sub(r"\s+", " ", result.stderr)


# -------------------------------------------------------------------------------------------------------- what is read


def test_a_config_file_and_overrides(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTT_TEST_VARIABLE", "before")
    config = write(
        token_weight=0.25,
        learning_rate="1e-4",
        model_init_kwargs={"attn_implementation": "eager"},
        env={"RTT_TEST_VARIABLE": "from the file"},
    )
    arguments, training, model = parse(config, ["--partition", "criterion_group", "--lora_r=4", "--mass_preserving"])
    assert arguments.tasks == [str(config.with_name("tasks.jsonl"))]
    assert (training.token_weight, training.partition, training.mass_preserving) == (0.25, "criterion_group", True)
    assert training.learning_rate == 1e-4
    assert training.model_init_kwargs == {"attn_implementation": "eager"}
    assert model.lora_r == 4
    assert os.environ["RTT_TEST_VARIABLE"] == "from the file"


def test_a_cpu_gets_float32_unless_asked_otherwise(write: Write) -> None:
    _, training, model = parse(write())
    assert (training.bf16, training.gradient_checkpointing, model.dtype) == (False, False, "float32")
    _, training, model = parse(write(gradient_checkpointing=True, dtype="bfloat16"))
    assert (training.gradient_checkpointing, model.dtype) == (True, "bfloat16")


def test_a_relevance_source_with_its_model(write: Write) -> None:
    _, training, _ = parse(write(relevance_model="runs/relevance", relevance="discriminator"))
    assert (training.relevance, training.relevance_model) == ("discriminator", "runs/relevance")
    chosen = ["--relevance", "hybrid", "--relevance_otherwise", "contrast", "--relevance_device", "cpu"]
    _, training, _ = parse(write(relevance_model="runs/relevance"), chosen)
    assert training.relevance_parts() == ("hybrid", "evidence", "contrast")
    assert training.relevance_device == "cpu"


def test_list_options_needs_no_config_file() -> None:
    result = CliRunner().invoke(cli, ["train", "--list-options"])
    assert result.exit_code == 0
    assert {"--token_weight", "--num_generations", "--lora_r", "--tasks"} <= set(re.findall(r"--\w+", result.stdout))


# ----------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokenweight": 1}, "config.yaml: unknown option 'tokenweight'; did you mean 'token_weight'"),
        ({"tasks": "DROP"}, "the following arguments are required: --tasks"),
        ({"tasks": None}, "tasks: got None; expected a value"),
        ({"tasks": 3}, "tasks, eval_tasks: got 3; expected the path of a task file, or a list of paths"),
        ({"tasks": "/nowhere.jsonl"}, "/nowhere.jsonl"),
        ({"token_weight": [0.5]}, r"token_weight: got [0.5]; expected one number"),
        ({"records_steps": 2.5}, "records_steps: got 2.5; expected a whole number"),
        ({"max_steps": [1, 2]}, "max_steps: got [1, 2]; expected one number"),
        ({"exclude_special_tokens": 3}, "exclude_special_tokens: got 3; expected true or false"),
        ({"partition": "foo"}, "partition='foo'; expected one of ['intra_sample'"),
        ({"relevance": "discriminator"}, "train one with `rtt discriminator build`"),
        ({"model_init_kwargs": "foo"}, "model_init_kwargs"),
        ({"model_name_or_path": "DROP"}, "model_name_or_path is missing"),
        ({"model_name_or_path": "/nowhere"}, "model_name_or_path='/nowhere'"),
        ({"eval_strategy": "steps"}, "no eval_tasks; name a task file, or drop it"),
        ({"num_generations": 3}, "must be divisible by num_generations"),
        ({"loss_type": "vespo"}, "loss_type='vespo' decides by the sign"),
    ],
)
def test_a_config_that_cannot_be_used(write: Write, changes: dict[str, Any], words: str) -> None:
    code, message = run(write(**changes))
    assert code == 2
    assert words in message
    assert len(message) < 800
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--token_wait", "1"], "unknown option '--token_wait'; did you mean 'token_weight'"),
        (["--token_weight", "abc"], "--token_weight/--token-weight: invalid float value: 'abc'"),
        (["--partition", "foo"], "--partition: invalid choice: 'foo'"),
        (["--resume_from_checkpoint", "runs/none"], "is no whole checkpoint (it has no trainer_state.json)"),
    ],
)
def test_an_option_that_cannot_be_used(write: Write, options: list[str], words: str) -> None:
    code, message = run(write(), *options)
    assert code == 2
    assert words in message
    assert len(message) < 800


@pytest.mark.parametrize(
    ("content", "words"), [("- a\n- b\n", "got list; expected a mapping"), ("a: [", "not YAML"), ("", "got NoneType")]
)
def test_a_file_that_is_no_config(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        parse(path)


# ------------------------------------------------------------------------------------------------------ a run in a run


def test_a_folder_with_checkpoints_is_refused_before_anything_is_loaded(write: Write, tmp_path: Path) -> None:
    old = tmp_path / "run" / "checkpoint-7"
    old.mkdir(parents=True)
    (old / "trainer_state.json").write_text('{"global_step": 7}')
    code, message = run(write(model_name_or_path="/nowhere"))
    assert code == 2
    assert "holds the checkpoints of another run (the last is checkpoint-7)" in message
    assert "--resume_from_checkpoint last" in message


def test_a_run_trains_and_says_where_the_model_is(write: Write, tmp_path: Path) -> None:
    code, message = run(write(records_steps=1), "--resume_from_checkpoint", "last")
    assert code == 0
    assert "no checkpoint yet: starting from the beginning" in message
    assert f"model: {tmp_path / 'run'}" in message
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert (tmp_path / "run" / "records" / "step-000001.jsonl").is_file()
    card = (tmp_path / "run" / "README.md").read_text()
    assert "2604.02795" in card
    assert "2402.03300" not in card
