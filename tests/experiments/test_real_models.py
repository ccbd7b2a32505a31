"""The real models' experiment: every part runs with a tiny model, runs resume, and tables say what the lines do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from click.testing import CliRunner

from experiments.lines import done
from experiments.real_models import plans, report, running
from experiments.real_models.__main__ import main
from experiments.real_models.models import TEMPLATE, load
from rtt.demo.settings import FAST
from rtt.generation import render
from rtt.rubrics import Message
from rtt.trainers.trl import RTTConfig


def line(arm: str, seed: int, instruction: list[int], model: str = "m", **others: Any) -> dict[str, Any]:
    """A line whose four prompts have two responses each, so many of which meet every criterion."""
    counted = {"rate": sum(instruction) / 8, "satisfied": instruction, "determined": [2, 2, 2, 2]}
    run = plans.Run(model, arm, seed, FAST, plans.ARMS.get(arm, {}))
    return {
        "key": run.key,
        "run": {"model": model, "arm": arm, "seed": seed},
        "heldout": {"instruction": counted, "rubric": counted, "variety": 0.9, "tokens": 20.0, "ended": 0.5},
        "ifeval": None,
        "history": [{"step_time": 2.0, "rtt/rubric_accuracy": 0.5}],
        **others,
    }


def test_every_arms_options_are_those_of_the_trainer() -> None:
    for options in plans.ARMS.values():
        assert RTTConfig("out", use_cpu=True, bf16=False, **options).token_weight == options["token_weight"]


def test_a_run_has_another_key_when_its_arm_is_set_otherwise() -> None:
    run = plans.runs(["smollm2"])[1]
    assert run.arm in plans.ARMS
    others = [
        replace(run, options={**run.options, "token_weight": 0.1}),
        replace(run, settings=replace(run.settings, steps=9)),
        replace(run, seed=9),
        replace(run, ifeval=plans.Held(prompts=1)),
    ]
    assert len({run.key, *(other.key for other in others)}) == 5
    assert replace(run).key == run.key


def test_the_base_of_each_model_is_evaluated_once() -> None:
    runs = plans.runs()
    assert len({run.key for run in runs}) == len(runs) == 2 * (1 + 5 * 3)
    assert sum(run.arm == plans.BASE for run in runs) == 2


def test_the_subset_of_ifeval_is_the_same_each_time_and_absent_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        f'{{"key": {key}, "prompt": "Say {key}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{{}}]}}'
        for key in range(20)
    ]
    (tmp_path / "ifeval").mkdir()
    (tmp_path / "ifeval" / "input_data.jsonl").write_text("\n".join(rows))
    monkeypatch.setenv("RTT_BENCHMARK_DATA", str(tmp_path))
    first, second = (running.ifeval_tasks(plans.Held(prompts=5)) for _ in range(2))
    assert first is not None
    assert first == second
    assert len({task.id for task in first}) == 5
    assert [task.id for task in first] != sorted(task.id for task in first)[:5]
    monkeypatch.delenv("RTT_BENCHMARK_DATA")
    assert running.ifeval_tasks(plans.Held(prompts=5)) is None


def test_a_pretrained_model_reads_plain_words() -> None:
    _, tokenizer = load("tiny")
    tokenizer.chat_template = TEMPLATE.replace("{{ bos_token }}", "")
    conversation = [Message(role="user", content="Name a tree.")]
    assert render(tokenizer, conversation) == "Instruction:\nName a tree.\n\nResponse:\n"


def test_a_difference_is_paired_by_seed_and_by_prompt() -> None:
    lines = [line("grpo-csr", 0, [0, 1, 1, 0]), line("grpo-csr", 1, [1, 1, 1, 1])]
    lines += [line("rtt", 0, [1, 2, 2, 1]), line("rtt", 1, [2, 2, 2, 2])]
    found = report.differences_table(lines, ["m"], "held-out instruction")
    # Each prompt of each seed gains one of its two responses: +0.5 whatever is drawn; two seeds have p = 2 / 4.
    assert "| rtt minus grpo-csr | +0.500 [+0.500, +0.500] | 0.500 | 0.500 | +0.500 [+0.500, +0.500] |" in found
    assert found.count("minus") == 1


def test_a_slower_arm_has_a_part_of_its_gain_at_equal_clock() -> None:
    slow = [{"step_time": 4.0, "rtt/relevance_seconds": 0.5}]
    lines = [line("base", 0, [0, 0, 0, 0]), line("grpo-csr", 0, [1, 1, 1, 1])]
    lines += [line("rtt", 0, [2, 2, 2, 2], history=slow)]
    found = report.clock_table(lines, "m")
    assert "| grpo-csr | 2.00 | 0.000 | 1.000 | 0.500 |" in found
    assert "| rtt | 4.00 | 0.500 | 0.500 | 0.500 |" in found


def test_checkpoints_stay_until_the_line_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RUNS", tmp_path / "runs")
    monkeypatch.delenv("RTT_BENCHMARK_DATA", raising=False)
    run = plans.quick()[1]
    checkpoint = tmp_path / "runs" / running._folder(run).name / "checkpoint-1"

    def killed(runs: Any, work: Any, *_: Any) -> None:
        for one in runs:
            work(one)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "append_lines", killed)
        with pytest.raises(KeyboardInterrupt):
            running.run_all([run], tmp_path / "runs.jsonl", workers=1)
    assert checkpoint.is_dir()
    running.run_all([run], tmp_path / "runs.jsonl", workers=1)
    assert set(done(tmp_path / "runs.jsonl")) == {run.key}
    assert not checkpoint.exists()


@pytest.mark.slow
def test_everything_runs_with_a_tiny_model_and_finished_runs_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RTT_BENCHMARK_DATA", raising=False)
    monkeypatch.setattr(running, "RUNS", tmp_path / "runs")
    output = tmp_path / "results"
    first = CliRunner().invoke(main, ["quick", "--output", str(output)], catch_exceptions=False)
    assert "11 runs done, 0 runs had a line" in first.output
    lines = done(output / "runs.jsonl")
    assert set(lines) == {run.key for run in plans.quick()}
    assert all(len(one["history"]) == (one["run"]["arm"] != plans.BASE) for one in lines.values())
    told = (output / "report.md").read_text(encoding="utf-8")
    assert "IFEval's data was not there" in told
    localised = plans.ARMS.keys() - plans.BASELINES.keys()
    assert all(f"{arm} minus {baseline}" in told for arm in localised for baseline in plans.BASELINES)
    assert (output / "curves.png").stat().st_size > 0
    assert not list((tmp_path / "runs").glob("*/checkpoint-*"))
    again = CliRunner().invoke(main, ["quick", "--output", str(output)], catch_exceptions=False)
    assert "0 runs done, 11 runs had a line" in again.output
