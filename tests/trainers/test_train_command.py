"""``rtt train``: what a config file says is what the trainer gets, and what cannot be used is said in one message."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from scripted_endpoint import NO, YES, Reply, Server, judges

from rtt.cli import cli
from rtt.cli.train import parse
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError
from rtt.records import read_records
from rtt.rubrics import Criterion, Message, Rubric, Task, write_tasks
from rtt.trainers.arguments import JudgeArguments

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
    arguments, training, model, judge = parse(
        config, ["--partition", "criterion_group", "--lora_r=4", "--mass_preserving"]
    )
    assert arguments.tasks == [str(config.with_name("tasks.jsonl"))]
    assert (training.token_weight, training.partition, training.mass_preserving) == (0.25, "criterion_group", True)
    assert training.learning_rate == 1e-4
    assert training.model_init_kwargs == {"attn_implementation": "eager"}
    assert model.lora_r == 4
    assert judge.build() is None
    assert os.environ["RTT_TEST_VARIABLE"] == "from the file"


def test_a_cpu_gets_float32_unless_asked_otherwise(write: Write) -> None:
    _, training, model, _ = parse(write())
    assert (training.bf16, training.gradient_checkpointing, model.dtype) == (False, False, "float32")
    _, training, model, _ = parse(write(gradient_checkpointing=True, dtype="bfloat16"))
    assert (training.gradient_checkpointing, model.dtype) == (True, "bfloat16")


def test_a_relevance_source_with_its_model(write: Write) -> None:
    _, training, _, _ = parse(write(relevance_model="runs/relevance", relevance="discriminator"))
    assert (training.relevance, training.relevance_model) == ("discriminator", "runs/relevance")
    chosen = ["--relevance", "hybrid", "--relevance_otherwise", "contrast", "--relevance_device", "cpu"]
    _, training, _, _ = parse(write(relevance_model="runs/relevance"), chosen)
    assert training.relevance_parts() == ("hybrid", "evidence", "contrast")
    assert training.relevance_device == "cpu"


def test_list_options_needs_no_config_file() -> None:
    result = CliRunner().invoke(cli, ["train", "--list-options"])
    assert result.exit_code == 0
    assert {"--token_weight", "--num_generations", "--lora_r", "--tasks", "--judge", "--judge_cache"} <= set(
        re.findall(r"--\w+", result.stdout)
    )


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
        ({"judge_max_failed": 2}, "judge_max_failed=2; expected a share in [0, 1]"),
        (
            {"judge_base_url": "http://127.0.0.1:1/v1", "judge_timeout": 3},
            "judge_base_url, judge_timeout without a judge; name its model with judge, or drop it",
        ),
        ({"judge": "m", "judge_request": "max_tokens"}, "judge_request='max_tokens' is not JSON"),
        ({"judge": "m", "judge_request": [1]}, "judge_request=[1]; expected a mapping"),
        ({"judge": "m", "judge_prices": [1]}, "judge_prices=[1]; expected two numbers"),
        ({"judge": "m", "judge_prices": "1,a"}, "judge_prices='1,a'; expected two numbers"),
        ({"judge": "m", "judge_prices": 3}, "judge_prices=3; expected two numbers"),
        ({"judge": "m", "judge_timeout": [1]}, "judge_timeout: got [1]; expected one number"),
        ({"judge": "m", "judge_concurrency": 0}, "concurrency=0; expected at least 1"),
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


# -------------------------------------------------------------------------------------------------------------- a judge


class Recorded:
    """Stands in for Judge and keeps what it was built of."""

    def __init__(self, model: str, **options: Any) -> None:
        self.built = {"model": model, **options}


@pytest.fixture
def built(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr("rtt.verifiers.judge.Judge", Recorded)
    monkeypatch.setenv("RTT_CACHE", str(tmp_path / "cache"))

    def build(*options: str, **changes: Any) -> dict[str, Any]:
        judge: Any = parse(write(judge="m", **changes), options)[3].build()
        return dict(judge.built)

    return build


def test_a_judge_with_nothing_but_its_name(built: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    assert built() == {
        "model": "m",
        "base_url": None,
        "api_key_env": "auto",
        "criteria_per_call": None,
        "concurrency": 32,
        "timeout": 60,
        "max_retries": 4,
        "attempts": 2,
        "cache": tmp_path / "cache" / "judge",
        "temperature": 0,
        "request": {},
        "prompt": None,
        "prices": None,
        "shared": False,
    }


def test_every_option_of_a_judge_reaches_it(built: Callable[..., dict[str, Any]]) -> None:
    in_file = built(
        judge_base_url="http://127.0.0.1:1/v1",
        judge_api_key_env=None,
        judge_criteria_per_call=1,
        judge_concurrency=3,
        judge_timeout=5,
        judge_max_retries=0,
        judge_attempts=1,
        judge_cache="answers",
        judge_temperature=None,
        judge_request={"max_tokens": 9},
        judge_prompt="judge.txt",
        judge_prices=[0.1, 0.4],
    )
    assert in_file == {
        "model": "m",
        "base_url": "http://127.0.0.1:1/v1",
        "api_key_env": None,
        "criteria_per_call": 1,
        "concurrency": 3,
        "timeout": 5,
        "max_retries": 0,
        "attempts": 1,
        "cache": Path("answers"),
        "temperature": None,
        "request": {"max_tokens": 9},
        "prompt": Path("judge.txt"),
        "prices": (0.1, 0.4),
        "shared": False,
    }
    options = ["--judge_criteria_per_call", "0", "--judge_prices", "0.2,0.8", "--judge_cache", "no"]
    options += ["--judge_request", '{"max_tokens": 5}', "--judge_api_key_env", "", "--judge", "other"]
    on_line = built(*options, judge_criteria_per_call=1, judge_temperature=None)
    named = ("model", "criteria_per_call", "prices", "cache", "request", "api_key_env", "temperature")
    assert [on_line[name] for name in named] == ["other", None, (0.2, 0.8), None, {"max_tokens": 5}, None, None]


@pytest.mark.parametrize("no", [False, "no"])  # YAML takes a bare no for false
def test_a_judge_without_a_cache(monkeypatch: pytest.MonkeyPatch, no: Any) -> None:
    monkeypatch.setattr("rtt.verifiers.judge.Judge", Recorded)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    judge: Any = JudgeArguments(judge="m", judge_cache=no).build()
    assert judge.built["cache"] is None
    assert judge.built["shared"] is False


@pytest.mark.parametrize(("local", "folder"), [("4", ""), ("2", platform.node()), (None, platform.node())])
def test_processes_share_a_cache_on_a_machine_but_not_over_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, local: str | None, folder: str
) -> None:
    monkeypatch.setattr("rtt.verifiers.judge.Judge", Recorded)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if local is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    judge: Any = JudgeArguments(judge="m", judge_cache=str(tmp_path)).build()
    assert judge.built["cache"] == tmp_path / folder
    assert judge.built["shared"] is True


def mixed_tasks(tasks: list[Task]) -> list[Task]:
    """Two of the four tasks with a criterion more, for a judge."""
    tone = Criterion(id="tone", text="The tone is friendly.")
    changed = [task.model_copy(update={"rubric": Rubric(criteria=(*task.rubric.criteria, tone))}) for task in tasks[:2]]
    return [*changed, *tasks[2:]]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def judge_options(server: Server, tmp_path: Path) -> dict[str, Any]:
    return {
        "judge": "m",
        "judge_base_url": server.url,
        "judge_api_key_env": None,
        "judge_cache": str(tmp_path / "answers"),
        "judge_prices": [1.0, 1.0],
        "judge_max_retries": 0,
        "records_steps": 1,
        "max_steps": 2,
    }


def test_a_run_with_a_judge_reports_what_it_did(
    write: Write, tasks: list[Task], tmp_path: Path, server: Server
) -> None:
    server.script = judges(lambda criterion, response: YES if len(response) % 2 else NO)
    config = write(**judge_options(server, tmp_path))
    write_tasks(tmp_path / "tasks.jsonl", mixed_tasks(tasks))
    code, message = run(config)
    assert code == 0
    count = len(server.questions)
    assert f"judge: {count} requests, {120 * count:,} tokens, about ${120 * count / 1e6:.4f}" in message
    assert "warning" not in message
    records = list(read_records(tmp_path / "run" / "records"))
    judged = [(r.response.text, v) for r in records for v in r.verdicts if v.criterion_id == "tone"]
    assert len(judged) == 8
    assert {verdict.source for _, verdict in judged} == {"judge:m"}
    for text, verdict in judged:
        assert int(verdict.outcome) == (1 if text.strip() and len(text) % 2 else -1)
    again, message = run(config, "--output_dir", str(tmp_path / "again"))
    assert again == 0
    assert "judge: 0 requests, 0 tokens" in message
    assert len(server.questions) == count


def test_a_judge_that_fails_stops_the_run_and_the_same_command_goes_on(
    write: Write, tasks: list[Task], tmp_path: Path, server: Server
) -> None:
    asked = []

    def failing(question: dict[str, Any], number: int) -> Reply:
        asked.append(number)
        return Reply(b"{}", status=500)

    server.script = judges(lambda criterion, response: YES)
    config = write(**judge_options(server, tmp_path) | {"save_steps": 100, "max_steps": 3})
    prompt = (Message(role="user", content="Greet."),)
    greet = Task(id="greet", prompt=prompt, rubric=Rubric(criteria=(Criterion(id="tone", text="It is friendly."),)))
    write_tasks(tmp_path / "tasks.jsonl", [greet, greet.model_copy(update={"id": "greet-2"})])
    healthy = server.script
    server.script = lambda question, number: healthy(question, number) if number <= 8 else failing(question, number)
    code, message = run(config)
    assert code == 2
    checkpoint = tmp_path / "run" / "checkpoint-1"
    assert "more than judge_max_failed=0.5 allows; training stopped: " in message
    assert f"go on from step 1 with resume_from_checkpoint='{checkpoint}'" in message
    assert "judge: no usable answer for" in message
    assert asked
    server.script = healthy
    code, message = run(config, "--resume_from_checkpoint", "last")
    assert code == 0
    assert f"resuming from {checkpoint}" in message


def test_criteria_that_nobody_decides_are_told(write: Write, tasks: list[Task], tmp_path: Path) -> None:
    config = write()
    mixed = mixed_tasks(tasks)
    write_tasks(tmp_path / "tasks.jsonl", mixed)
    code, message = run(config)
    assert code == 0
    criteria = sum(len(task.rubric.criteria) for task in mixed)
    assert f"warning: 2 of {criteria} criteria, in 2 of 4 tasks, have no rule: without a judge they stay" in message


def test_an_interrupt_closes_the_judge(write: Write, tasks: list[Task], tmp_path: Path, server: Server) -> None:
    server.script = lambda question, number: server.hang()
    config = write(**judge_options(server, tmp_path))
    write_tasks(tmp_path / "tasks.jsonl", mixed_tasks(tasks))
    process = subprocess.Popen(
        [sys.executable, "-m", "rtt", "train", str(config)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not server.questions:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - interrupted < 20  # the server would hang for 30 s, the judge wait for 60
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "never awaited" not in errors
    assert "Task was destroyed" not in errors


@pytest.mark.slow
def test_processes_share_a_judges_answers_and_report_together(
    write: Write, tasks: list[Task], tmp_path: Path, server: Server
) -> None:
    server.script = judges(lambda criterion, response: (time.sleep(3), YES)[1])  # both come while the first is asked
    # as good as greedy: all samples of a group, which the processes share, are the same
    changes = {
        "per_device_train_batch_size": 4,
        "num_generations": 8,
        "temperature": 1e-6,
        "repetition_penalty": 9.0,
    }
    config = write(**judge_options(server, tmp_path) | changes)
    write_tasks(tmp_path / "tasks.jsonl", mixed_tasks(tasks)[:2])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launcher, "-m", "rtt", "train", str(config)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count = len(server.questions)
    reports = [line for line in done.stderr.splitlines() if line.startswith("judge: ")]
    assert len(reports) == 1
    assert reports[0].startswith(f"judge: {count} requests, {120 * count:,} tokens")
    records = list(read_records(tmp_path / "run" / "records"))
    judged = {(record.task.id, record.response.text) for record in records}
    assert 0 < count <= len(judged) < len(records) == 16
