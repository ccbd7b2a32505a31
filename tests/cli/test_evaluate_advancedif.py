"""``rtt evaluate advancedif``: rows in the published format, written by hand, and a judge that is scripted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_endpoint import (
    NO,
    YES,
    Reply,
    Server,
    completion,
    criteria_of,
    judged,
    judges,
    prompt_of,
    response_of,
    says,
)

import rtt.benchmarks.scoring as scoring
import rtt.cli.evaluate as command
from rtt.benchmarks import benchmark
from rtt.benchmarks.data import read_prompts
from rtt.cli import cli
from rtt.errors import DataError

ADVANCEDIF = benchmark("advancedif")
SYSTEM, CARRIED, SINGLE = "system_steerability_v2", "carried_context_multi_turn_eval_v5", "complex_if_single_turn_v5"


def row(
    name: str | None, turns: list[tuple[str, str]], rubrics: list[str], response: str | None = None
) -> dict[str, str]:
    """A row as it is published: JSON in texts, and the rubrics in two layers of it."""
    made = {
        "conversation_history": json.dumps([{"role": role, "content": content} for role, content in turns]),
        "prompt_metadata": json.dumps({"rubrics": json.dumps(rubrics)}),
    }
    if name is not None:
        made["benchmark_name"] = name
    if response is not None:
        made["response"] = json.dumps([{"role": "assistant", "content": response}])
    return made


ROWS = [
    row(SINGLE, [("user", 'Name three rivers, "quoted".')], ["Are there three?", "Are they quoted?"], "Po, Elbe, Nile"),
    row(
        CARRIED,
        [("user", "Call me Ada from now on."), ("assistant", "Gladly, Ada."), ("user", "Good morning!")],
        ["Is the user called Ada?"],
        "Good morning, Ada!",
    ),
    row(
        SYSTEM,
        [
            ("system", "You are Bo, and you never say that you are sorry."),
            ("user", "Who are you?"),
            ("assistant", "Bo."),
            ("user", "You hurt me."),
        ],
        ["Is there no apology?", "Is the tone warm?"],
        "I hear you, and I am here.",
    ),
]


def written(path: Path, rows: list[Any]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    return path


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("openai")
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "data.jsonl", ROWS)


def rtt(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", "advancedif", *map(str, arguments)], prog_name="rtt")


def judge_at(server: Server, tmp_path: Path) -> tuple[object, ...]:
    options: dict[str, object] = {"base-url": server.url, "retries": 0, "cache": tmp_path / "cache"}
    return ("--judge", "arbiter", *(part for name, value in options.items() for part in (f"--judge-{name}", value)))


def decide(criterion: str, response: str) -> dict[str, Any]:
    """What the scripted judge thinks of the rubrics above."""
    return {"Are they quoted?": says("no"), "Is the tone warm?": says("cannot tell")}.get(criterion, YES)


# ----------------------------------------------------------------------------------------------------------------- rows


@pytest.mark.parametrize("name", ["data.csv", "data.jsonl"])
def test_rows_load_from_both_formats_with_both_layers_decoded(tmp_path: Path, name: str) -> None:
    prompts = read_prompts(ADVANCEDIF, written(tmp_path / name, ROWS)).prompts
    assert [prompt.key for prompt in prompts] == [1, 2, 3]
    assert [prompt.task.id for prompt in prompts] == ["advancedif/1", "advancedif/2", "advancedif/3"]
    assert prompts[0].task.prompt[0].content == 'Name three rivers, "quoted".'
    assert [message.role for message in prompts[2].task.prompt] == ["system", "user", "assistant", "user"]
    assert [[one.text for one in prompt.task.rubric.criteria] for prompt in prompts] == [
        ["Are there three?", "Are they quoted?"],
        ["Is the user called Ada?"],
        ["Is there no apology?", "Is the tone warm?"],
    ]
    assert all(one.needs_judge for prompt in prompts for one in prompt.task.rubric.criteria)
    assert [{one.scope for one in prompt.task.rubric.criteria} for prompt in prompts] == [
        {"response"},
        {"conversation"},
        {"system"},
    ]
    assert [prompt.response for prompt in prompts] == [
        "Po, Elbe, Nile",
        "Good morning, Ada!",
        "I hear you, and I am here.",
    ]
    assert [prompt.labels for prompt in prompts] == [{"benchmark_name": name} for name in (SINGLE, CARRIED, SYSTEM)]
    assert prompts[0].types == (SINGLE, SINGLE)


def test_layers_that_are_decoded_already_and_keys_of_the_rows_own_are_taken(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi", "name": "Ada"}]
    plain = {"key": "a", "conversation_history": turns, "prompt_metadata": {"rubrics": ["Is it brief?"], "more": 1}}
    [prompt] = read_prompts(ADVANCEDIF, written(tmp_path / "data.jsonl", [plain])).prompts
    assert (prompt.key, prompt.types, prompt.response) == ("a", ("unnamed",), None)
    assert prompt.task.rubric.criteria[0].scope == "conversation"  # else the judge would not see the system prompt


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "b"),
        ({"role": "assistant", "content": "b"}, "b"),
        ('{"role": "assistant", "content": "b"}', "b"),
        ("plain", "plain"),
        ('{"content": "b"}', '{"content": "b"}'),  # an answer that is JSON
        ("[1, 2]", "[1, 2]"),
        ("3", "3"),
        ("", ""),
        (None, None),
    ],
)
def test_a_response_is_a_message_or_its_text(response: Any, text: str | None) -> None:
    assert ADVANCEDIF.parse({**ROWS[0], "key": 1, "response": response}).response == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conversation_history": "[{]"}, "conversation_history: column 3: not JSON"),
        ({"conversation_history": "[]"}, "conversation_history: Value should have at least 1 item"),
        (
            {"conversation_history": '[{"role": "tool", "content": "a"}]'},
            "conversation_history.0.role: Input should be",
        ),
        ({"conversation_history": '[{"role": "user"}]'}, "conversation_history.0.content: Field required"),
        ({"conversation_history": '[{"role": "assistant", "content": "a"}]'}, "the last message is from 'assistant'"),
        ({"prompt_metadata": None}, "prompt_metadata: "),
        ({"prompt_metadata": "{}"}, "prompt_metadata.rubrics: Field required"),
        ({"prompt_metadata": '{"rubrics": "[]"}'}, "prompt_metadata.rubrics: "),
        ({"prompt_metadata": '{"rubrics": "[1]"}'}, "prompt_metadata.rubrics.0: Input should be a valid string"),
        ({"prompt_metadata": '{"rubrics": "no list"}'}, "prompt_metadata.rubrics: column 1: not JSON"),
        ({"prompt_metadata": '{"rubrics": ["a", " "]}'}, r"prompt_metadata.rubrics\[1\]: is blank"),
        ({"benchmark_name": "system_steerability_v9"}, "benchmark_name: got 'system_steerability_v9'; expected one of"),
        ({"response": 3}, "response: got int; expected text, or the assistant's message"),
    ],
)
def test_what_is_no_row_is_refused_with_its_line_and_field(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = written(tmp_path / "data.jsonl", [{**ROWS[0], **changes}])
    with pytest.raises(DataError, match=f"data.jsonl:1: .*{message}"):
        read_prompts(ADVANCEDIF, file)


# ---------------------------------------------------------------------------------------------------------------- judge


def test_without_a_judge_nothing_is_read_or_sampled(tmp_path: Path) -> None:
    refused = rtt("--data", tmp_path / "nowhere", "--model", "nowhere", "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "a model decides AdvancedIF's rubrics" in refused.output
    assert "--judge MODEL" in refused.output
    assert not (tmp_path / "run").exists()


def test_a_judge_without_its_key_is_told_before_the_model_is_asked(
    tmp_path: Path, data: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARBITER_KEY", raising=False)
    model = ("--model", "tiny", "--base-url", server.url)
    refused = rtt(
        "--data",
        data,
        *model,
        "--out",
        tmp_path / "run",
        *judge_at(server, tmp_path),
        "--judge-api-key-env",
        "ARBITER_KEY",
    )
    assert refused.exit_code == 2
    assert "ARBITER_KEY is not set" in refused.output
    assert not server.questions


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ifeval", "--judge", "m"), "rules decide IFEval, no model is asked; expected no --judge"),
        (("advancedif", "--judge-base-url", "http://x"), "--judge-base-url names an endpoint, but no --judge says"),
        (
            ("advancedif", "--judge", "m", "--judge-no-cache", "--judge-cache", "c"),
            "--judge-cache and --judge-no-cache",
        ),
        (("advancedif", "--judge", "m", "--judge-request", "top_p"), "--judge-request"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, data: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = ["evaluate", *arguments, "--data", str(data), "--responses", str(data), "--out", str(tmp_path / "run")]
    refused = CliRunner().invoke(cli, given, prog_name="rtt")
    assert refused.exit_code == 2
    assert message in refused.output


def test_each_rubric_is_judged_and_what_the_judge_cannot_tell_is_null(
    tmp_path: Path, data: Path, server: Server
) -> None:
    server.script = judges(decide)
    done = rtt("--data", data, "--out", tmp_path / "run", *judge_at(server, tmp_path))
    assert done.exit_code == 0, done.output
    lines = read(tmp_path / "run/verdicts.jsonl")
    assert [(line["key"], line["strict"]) for line in lines] == [(1, [True, False]), (2, [True]), (3, [True, None])]
    assert "loose" not in lines[0]
    summary = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert (summary["n"], summary["instructions"], summary["unanswered"]) == (3, 5, 0)
    assert summary["prompt_strict"] == pytest.approx(1 / 2)  # the third hangs on what the judge could not tell
    assert summary["instruction_strict"] == pytest.approx(3 / 4)
    assert summary["headline"] == "prompt_strict"
    assert set(summary["intervals"]) == {"prompt_strict", "instruction_strict"}
    assert (summary["undetermined"], summary["failed"]) == ({"strict": 1}, 0)
    assert summary["labels"]["benchmark_name"] == {
        CARRIED: {"n": 1, "prompt_strict": 1.0, "instruction_strict": 1.0, "undetermined_strict": 0},
        SINGLE: {"n": 1, "prompt_strict": 0.0, "instruction_strict": 0.5, "undetermined_strict": 0},
        SYSTEM: {"n": 1, "prompt_strict": None, "instruction_strict": 1.0, "undetermined_strict": 1},
    }
    judge = summary["run"]["judge"]
    assert (judge["name"], judge["temperature"]) == ("arbiter", 0)
    report = (tmp_path / "run/report.md").read_text("utf-8")
    assert (
        "Undetermined, and in no rate: 1 strict of 5 instructions; the judge gave 0 of them no usable answer" in report
    )
    assert f"| {SYSTEM} | 1 | - | 1.000 | 1 |" in report
    assert "1 of 5 instructions undetermined, in no rate: 0 without a usable answer" in done.output
    assert "judge: 3 requests" in done.output  # one a response, whatever its number of rubrics


def test_the_judge_sees_as_much_of_the_conversation_as_the_row_needs(
    tmp_path: Path, data: Path, server: Server
) -> None:
    server.script = judges(decide)
    assert rtt("--data", data, "--out", tmp_path / "run", *judge_at(server, tmp_path)).exit_code == 0
    by_response = {response_of(question): question for question in server.questions}
    assert criteria_of(by_response["Po, Elbe, Nile"]) == ["Are there three?", "Are they quoted?"]
    carried = prompt_of(by_response["Good morning, Ada!"])
    assert all(words in carried for words in ("Call me Ada from now on.", "Gladly, Ada.", "Good morning!"))
    system = prompt_of(by_response["I hear you, and I am here."])
    assert "never say that you are sorry" in system
    assert "You hurt me." in system
    assert "Who are you?" not in system


def test_a_reply_that_cannot_be_used_is_no_violation_and_is_asked_again(
    tmp_path: Path, data: Path, server: Server
) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        if "Ada" in response_of(question):
            return Reply(b'{"error": {"message": "too hot"}}', status=503)
        return completion(judged(*(NO for _ in criteria_of(question))))

    server.script = script
    arguments = ("--data", data, "--out", tmp_path / "run", *judge_at(server, tmp_path))
    done = rtt(*arguments)
    assert done.exit_code == 0, done.output
    assert [line["strict"] for line in read(tmp_path / "run/verdicts.jsonl")] == [
        [False, False],
        [None],
        [False, False],
    ]
    summary = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert (summary["undetermined"], summary["failed"]) == ({"strict": 1}, 1)
    assert "1 without a usable answer of the judge" in done.output
    asked = len(server.questions)
    server.script = judges(lambda criterion, response: YES)
    again = rtt(*arguments)
    assert again.exit_code == 0, again.output
    assert [response_of(question) for question in server.questions[asked:]] == ["Good morning, Ada!"]
    assert [line["strict"] for line in read(tmp_path / "run/verdicts.jsonl")] == [
        [False, False],
        [True],
        [False, False],
    ]


def test_a_judge_that_answers_nothing_at_all_ends_the_run(tmp_path: Path, data: Path, server: Server) -> None:
    server.script = lambda question, number: Reply(b'{"error": {"message": "no such model"}}', status=404)
    failed = rtt("--data", data, "--out", tmp_path / "run", *judge_at(server, tmp_path))
    assert failed.exit_code == 2
    assert "the judge gave no usable answer; for the first criterion: " in failed.output
    assert "no such model" in failed.output
    assert not (tmp_path / "run/summary.json").exists()


def test_an_interrupted_run_asks_neither_model_nor_judge_twice(
    tmp_path: Path, data: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model and the judge are behind the same server; the run is interrupted when two responses are judged."""

    def script(question: dict[str, Any], number: int) -> Reply:
        if question["model"] == "tiny":
            return completion(f"An answer to: {question['messages'][-1]['content']}")
        return judges(decide)(question, number)

    server.script = script
    whole = command.batches
    plain = scoring.score
    monkeypatch.setattr(command, "batches", lambda answers, choice: whole(answers, choice, most=1))
    told = 0

    def score(*arguments: Any, **options: Any) -> Any:
        nonlocal told
        told += 1
        if told == 3:
            raise KeyboardInterrupt
        return plain(*arguments, **options)

    monkeypatch.setattr(scoring, "score", score)
    arguments = (
        *("--data", data, "--model", "tiny", "--base-url", server.url, "--out", tmp_path / "run"),
        *judge_at(server, tmp_path),
    )
    stopped = rtt(*arguments)
    assert stopped.exit_code != 0
    assert "the same command goes on" in stopped.output
    assert not (tmp_path / "run/summary.json").exists()
    assert [question["model"] for question in server.questions] == ["tiny"] * 3 + ["arbiter"] * 2
    done = rtt(*arguments)
    assert done.exit_code == 0, done.output
    assert [question["model"] for question in server.questions] == ["tiny"] * 3 + ["arbiter"] * 3
    sent = server.questions[:3]  # at once, so in any order
    assert {question["max_tokens"] for question in sent} == {4096}
    assert ["user"] in [[message["role"] for message in question["messages"]] for question in sent]
    assert len(read(tmp_path / "run/verdicts.jsonl")) == 3
    again = rtt(*arguments)
    assert again.exit_code == 0
    assert len(server.questions) == 6


def test_another_judge_is_another_run(tmp_path: Path, data: Path, server: Server) -> None:
    server.script = judges(decide)
    assert rtt("--data", data, "--out", tmp_path / "one", *judge_at(server, tmp_path)).exit_code == 0
    refused = rtt("--data", data, "--out", tmp_path / "one", *judge_at(server, tmp_path), "--judge-temperature", "none")
    assert refused.exit_code == 2
    assert "holds another run: judge:" in refused.output
    other = ("--data", data, "--out", tmp_path / "two", *judge_at(server, tmp_path), "--judge-temperature", "none")
    assert rtt(*other).exit_code == 0
    unpaired = CliRunner().invoke(cli, ["compare", str(tmp_path / "one"), str(tmp_path / "two")], prog_name="rtt")
    assert unpaired.exit_code == 2
    assert "were not judged alike" in unpaired.output


def test_a_data_file_without_responses_wants_a_model_or_a_file(tmp_path: Path, server: Server) -> None:
    bare = written(tmp_path / "bare.jsonl", [{k: v for k, v in one.items() if k != "response"} for one in ROWS])
    refused = rtt("--data", bare, "--out", tmp_path / "run", *judge_at(server, tmp_path))
    assert refused.exit_code == 2
    assert "bare.jsonl holds no responses; expected one of --model" in refused.output
    server.script = judges(decide)
    responses = written(tmp_path / "r.jsonl", [{"key": 2, "response": "Morning, Ada."}, {"key": 3, "response": " "}])
    done = rtt("--data", bare, "--responses", responses, "--out", tmp_path / "run", *judge_at(server, tmp_path))
    assert done.exit_code == 0, done.output
    assert "answers 2 of 3 prompts, not 1" in done.output
    assert [line["strict"] for line in read(tmp_path / "run/verdicts.jsonl")] == [[True], [False, False]]
    assert len(server.questions) == 1  # a blank response meets nothing, and nobody is asked


def test_a_judge_that_can_tell_nothing_leaves_no_figure_and_no_violation(
    tmp_path: Path, data: Path, server: Server
) -> None:
    server.script = judges(lambda criterion, response: says("cannot tell"))
    done = rtt("--data", data, "--out", tmp_path / "run", *judge_at(server, tmp_path))
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert (summary["prompt_strict"], summary["instruction_strict"]) == (None, None)
    assert (summary["undetermined"], summary["failed"]) == ({"strict": 5}, 0)
    assert [line["strict"] for line in read(tmp_path / "run/verdicts.jsonl")] == [[None, None], [None], [None, None]]
