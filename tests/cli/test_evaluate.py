"""``rtt evaluate``: responses of a file, a model on this machine, a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_endpoint import Reply, Server

from rtt.cli import cli

NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
ROWS = [{"key": key, "prompt": f"Say {'very ' * key}little, without commas.", **NO_COMMA} for key in range(1, 7)]


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def rtt(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], prog_name="rtt", input=stdin)


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "data.jsonl", ROWS)


# ----------------------------------------------------------------------------------------------------------- responses


@pytest.mark.parametrize(
    "name_it",
    [lambda row: {"key": row["key"]}, lambda row: {"key": str(row["key"])}, lambda row: {"prompt": row["prompt"]}],
    ids=["number", "text", "prompt"],
)
def test_responses_are_scored_in_their_order_under_the_datas_own_keys(tmp_path: Path, data: Path, name_it: Any) -> None:
    texts = ["a, b", "a", "a", "a", "b,", "a"]
    answers = [{**name_it(row), "response": text} for row, text in zip(ROWS, texts, strict=True)][::-1]
    done = rtt(
        "ifeval", "--data", data, "--responses", written(tmp_path / "r.jsonl", answers), "--out", tmp_path / "run"
    )
    assert done.exit_code == 0, done.output
    assert [(line["key"], line["strict"], line["loose"]) for line in read(tmp_path / "run/verdicts.jsonl")] == [
        (6, [True], [True]),
        (5, [False], [False]),
        (4, [True], [True]),
        (3, [True], [True]),
        (2, [True], [True]),
        (1, [False], [False]),
    ]
    summary = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert (summary["n"], summary["unanswered"]) == (6, 0)
    assert summary["prompt_strict"] == pytest.approx(4 / 6)
    assert summary["run"]["data"]["prompts"] == 6
    assert "0.667" in done.output
    for name in ("responses.jsonl", "report.md", "records.jsonl", "types.png", "run.json"):
        assert (tmp_path / "run" / name).stat().st_size > 0


def test_missing_responses_are_told_or_refused(tmp_path: Path, data: Path) -> None:
    file = written(tmp_path / "r.jsonl", [{"key": 2, "response": "a"}, {"key": 2, "response": "a, b"}])
    done = rtt("ifeval", "--data", data, "--responses", file, "--out", tmp_path / "run")
    assert done.exit_code == 0
    assert "answers 1 of 6 prompts, not 1, 3, 4, 5, 6: figures are of those that are answered" in done.output
    assert [line["index"] for line in read(tmp_path / "run/verdicts.jsonl")] == [0, 1]
    summary = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert (summary["n"], summary["responses"], summary["unanswered"], summary["prompt_strict"]) == (1, 2, 5, 0.5)
    refused = rtt("ifeval", "--data", data, "--responses", file, "--out", tmp_path / "all", "--require-all")
    assert refused.exit_code == 2
    assert "expected a response to each, or no --require-all" in refused.output
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x"), "expected one of --model"),
        (("--out", "x", "--model", "m", "--responses", "r"), "expected one of --model"),
        (("--out", "x", "--responses", "r.jsonl"), "r.jsonl:1: key 9 fit no task of data.jsonl"),
        (("--out", "x", "--model", "data.jsonl"), "--model data.jsonl: is no GGUF file"),
        (("--out", "x", "--model", "nowhere/at/all"), "is neither a folder here nor a hub id"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "r.jsonl", [{"key": 9, "response": "a"}])
    refused = rtt("ifeval", "--data", data, *arguments)
    assert refused.exit_code == 2
    assert message in refused.output
    assert not (tmp_path / "x").exists()


def test_scoring_imports_no_torch(tmp_path: Path, data: Path) -> None:
    file = written(tmp_path / "r.jsonl", [{"key": 1, "response": "a"}])
    code = (
        "import sys\nfrom rtt.cli import cli\n"
        f"cli.main(['evaluate', 'ifeval', '--data', {str(data)!r}, '--responses', {str(file)!r}, '--out', "
        f"{str(tmp_path / 'run')!r}], standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules), 'heavy'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_reasoning_is_left_out_where_it_is_asked_for(tmp_path: Path, data: Path) -> None:
    file = written(tmp_path / "r.jsonl", [{"key": 1, "response": "<think>a, b</think>fine"}])
    plain = rtt("ifeval", "--data", data, "--responses", file, "--out", tmp_path / "plain")
    cut = rtt("ifeval", "--data", data, "--responses", file, "--out", tmp_path / "cut", "--reasoning-end", "</think>")
    assert plain.exit_code == cut.exit_code == 0
    assert [read(tmp_path / name / "verdicts.jsonl")[0]["strict"] for name in ("plain", "cut")] == [[False], [True]]


# -------------------------------------------------------------------------------------------------------------- models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from rtt.demo.models import tiny_model

    folder = tmp_path_factory.mktemp("model")
    network, tokenizer = tiny_model()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_answers_each_prompt_once_and_a_rerun_asks_nothing(tmp_path: Path, data: Path, model: Path) -> None:
    arguments = ("ifeval", "--data", data, "--model", model, "--max-new-tokens", 8, "--batch-size", 4)
    done = rtt(*arguments, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    lines = read(tmp_path / "run/responses.jsonl")
    assert [line["key"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(0 < line["tokens"] <= 8 for line in lines)
    run = json.loads((tmp_path / "run/run.json").read_text("utf-8"))
    assert run["sampling"] == {"temperature": 0.0, "max_new_tokens": 8, "batch size": 4, "seed": 0}
    assert run["reasoning end"] == "</think>"
    again = rtt(*arguments, "--out", tmp_path / "run")
    assert "6 responses of 6 are there already" in again.output
    assert read(tmp_path / "run/responses.jsonl") == lines
    other = rtt(*arguments, "--seed", 1, "--out", tmp_path / "run")
    assert other.exit_code == 2
    assert "holds another run: sampling: " in other.output
    few = rtt(*arguments, "--limit", 2, "--out", tmp_path / "few")
    assert few.exit_code == 0
    assert read(tmp_path / "few/responses.jsonl")[0]["response"] == lines[0]["response"]


def test_a_run_that_is_killed_goes_on_and_ends_as_the_undisturbed_one(tmp_path: Path, data: Path, model: Path) -> None:
    def command(out: Path) -> list[str]:
        options = f"--max-new-tokens 400 --batch-size 2 --temperature 1 --model {model} --data {data} --out {out}"
        return [sys.executable, "-m", "rtt", "evaluate", "ifeval", *options.split()]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    with subprocess.Popen(command(tmp_path / "killed"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        file = tmp_path / "killed/responses.jsonl"
        until = time.monotonic() + 120
        while not (file.exists() and file.stat().st_size) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    left = len(file.read_text("utf-8").splitlines())
    assert process.returncode == -signal.SIGKILL
    assert 0 < left < len(ROWS)
    done = subprocess.run(command(tmp_path / "killed"), check=True, capture_output=True, text=True)
    assert f"{left} responses of 6 are there already" in done.stderr
    for name in ("responses.jsonl", "verdicts.jsonl", "summary.json", "run.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_rows_that_have_ended_leave_the_batch_and_change_nothing(model: Path) -> None:
    import torch

    from rtt.generation import generate, load_model, sampling

    network, tokenizer = load_model(model)
    numbers = torch.Generator().manual_seed(0)
    for weights in network.parameters():  # the tiny model repeats one token; a rougher one does not
        weights.data += torch.randn(weights.shape, generator=numbers) * 0.3
    prompts = [f"<|im_start|>user\n{'a' * n}<|im_end|>\n<|im_start|>assistant\n" for n in (1, 5, 9, 2, 30, 7)]
    with sampling(network):
        network.generation_config.eos_token_id = tokenizer.eos_token_id
        free = generate(network, tokenizer, prompts, 60, 0.0, (0, 0))
        tokens = [tokenizer(one.text, add_special_tokens=False)["input_ids"] for one in free]
        network.generation_config.eos_token_id = [tokens[row][5 * row + 3] for row in range(6)]
        whole = generate(network, tokenizer, prompts, 60, 0.0, (0, 0))
        dropped = generate(network, tokenizer, prompts, 60, 0.0, (0, 0), drop_finished=True)
    assert dropped == whole
    assert len({one.tokens for one in whole}) > 2
    assert any(one.ended for one in whole)


# ------------------------------------------------------------------------------------------------------------- servers


def chat(text: str, finish: str = "stop") -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return Reply(json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("openai")
    server = Server()
    yield server
    server.stop()


def test_a_model_behind_a_server_is_asked_once_for_each_prompt(tmp_path: Path, data: Path, server: Server) -> None:
    def script(request: Any, number: int) -> Reply:
        prompt = request["messages"][0]["content"]
        assert (request["model"], request["max_tokens"], request["temperature"]) == ("tiny", 1280, 0)
        return chat("one, two" if prompt.count("very") == 2 else "one two", "length" if "very" in prompt else "stop")

    server.script = script
    arguments = ("ifeval", "--data", data, "--model", "tiny", "--base-url", server.url, "--out", tmp_path / "run")
    done = rtt(*arguments)
    assert done.exit_code == 0, done.output
    assert [line["strict"] for line in read(tmp_path / "run/verdicts.jsonl")] == [[True], [False], *[[True]] * 4]
    assert "6 of 6 responses were cut off at the limit of tokens" in done.output
    assert len(server.questions) == 6
    again = rtt(*arguments)
    assert again.exit_code == 0
    assert len(server.questions) == 6


def test_what_a_server_does_not_answer_is_told_and_asked_again(tmp_path: Path, data: Path, server: Server) -> None:
    def script(request: Any, number: int) -> Reply:
        if request["messages"][0]["content"].count("very") == 3:
            return Reply(b'{"error": {"message": "too hot"}}', status=400)
        return chat("")

    server.script = script
    arguments = ("ifeval", "--data", data, "--model", "tiny", "--base-url", server.url, "--out", tmp_path / "run")
    failed = rtt(*arguments)
    assert failed.exit_code == 2
    assert "1 of 6 prompts got no answer, the first because the endpoint answered 400: too hot" in failed.output
    assert [line["key"] for line in read(tmp_path / "run/responses.jsonl")] == [1, 2, 4, 5, 6]
    server.script = lambda request, number: chat("fine")
    done = rtt(*arguments)
    assert done.exit_code == 0, done.output
    assert [line["response"] for line in read(tmp_path / "run/responses.jsonl")] == ["", "", "fine", "", "", ""]


def test_a_server_without_the_model_ends_the_run(tmp_path: Path, data: Path, server: Server) -> None:
    server.script = lambda request, number: Reply(b'{"error": {"message": "no such model"}}', status=404)
    arguments = ("--base-url", server.url, "--concurrency", 1, "--out", tmp_path / "run")
    failed = rtt("ifeval", "--data", data, "--model", "tiny", *arguments)
    assert failed.exit_code == 2
    assert "no such model" in failed.output
    assert len(server.questions) == 1
    lonely = rtt("ifeval", "--data", data, "--responses", data, *arguments)
    assert "--base-url names a server, but no --model says which model" in lonely.output
