"""General ability: lm-evaluation-harness on our model folders, and its output paired by `rtt compare`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks.harness import DATE, harness_folder, sample
from click.testing import CliRunner, Result

from rtt.benchmarks.comparison import read_run
from rtt.cli import cli
from rtt.errors import ConfigurationError, DataError


def rtt(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_questions_are_right_or_wrong_by_the_best_filter_and_metric_under_their_outermost_group(tmp_path: Path) -> None:
    folder = harness_folder(
        tmp_path / "run",
        {
            "pro_law": [sample(0, "custom-extract", exact_match=1.0)],
            "pro_art": [sample(0, "custom-extract", exact_match=0.0)],
            "gpqa": [sample(3, "strict-match", exact_match=0.0), sample(3, "flexible-extract", exact_match=1.0)],
            "math": [sample(7, exact_match=0, math_verify=1)],
        },
        groups={"suite": ["pro"], "pro": ["pro_law", "pro_art"]},
    )
    run = read_run(folder)
    assert {key: answers[0]["correct"] for key, answers in run.answers.items()} == {
        "pro_law/0-000000000000": [True],
        "pro_art/0-000000000000": [False],
        "gpqa/3-000000000000": [True],
        "math/7-000000000000": [True],
    }
    assert [run.types[key] for key in run.answers] == [["gpqa"], ["math"], ["suite"], ["suite"]]


def test_two_runs_are_paired_question_by_question(tmp_path: Path) -> None:
    def folder(name: str, right: int) -> Path:
        return harness_folder(tmp_path / name, {"math": [sample(i, exact_match=int(i < right)) for i in range(100)]})

    before, after = folder("before", 60), folder("after", 40)
    result = rtt("compare", before, after, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "accuracy: worse by -0.200" in result.output
    [run] = json.loads((tmp_path / "out/comparison.json").read_text("utf-8"))["runs"]
    assert list(run["metrics"]) == ["accuracy"]
    assert (run["metrics"]["accuracy"]["only_reference"], run["metrics"]["accuracy"]["only_other"]) == (20, 0)
    assert list(run["types"]) == ["math"]
    assert "accuracy: noise" in rtt("compare", before, before).output


def test_the_newest_results_of_a_folder_count(tmp_path: Path) -> None:
    folder = harness_folder(tmp_path / "run", {"math": [sample(0, exact_match=0)]})
    for name in ("results_{}.json", "samples_math_{}.jsonl"):
        old = (folder / "model" / name.format(DATE)).read_text("utf-8")
        new = folder / "model" / name.format(DATE.replace("2026", "2027"))
        new.write_text(old.replace('"exact_match": 0', '"exact_match": 1'), "utf-8")
    assert [answers[0]["correct"] for answers in read_run(folder).answers.values()] == [[True]]


def test_folders_that_cannot_be_paired_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="expected what `rtt evaluate` or lm_eval wrote"):
        read_run(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="run lm_eval with --log_samples"):
        read_run(harness_folder(tmp_path / "no samples", {}))
    with pytest.raises(
        DataError, match=r"samples_wiki.*perplexity of question 0-0+ is 12.5; only metrics that are 0 or 1"
    ):
        read_run(harness_folder(tmp_path / "perplexity", {"wiki": [sample(0, perplexity=12.5)]}))
    with pytest.raises(DataError, match=r"jsonl:1: is no sample of lm_eval \(KeyError\('doc_hash'\)\)"):
        read_run(harness_folder(tmp_path / "damaged", {"math": [{"doc_id": 0}]}))
    damaged = harness_folder(tmp_path / "results", {"math": [sample(0, acc=1)]})
    (damaged / "model" / f"results_{DATE}.json").write_text('{"group_subtasks": [1]}', "utf-8")
    with pytest.raises(DataError, match="is damaged"):
        read_run(damaged)
    other = harness_folder(tmp_path / "other", {"art": [sample(0, acc=1)]})
    result = rtt("compare", harness_folder(tmp_path / "one", {"math": [sample(0, acc=1)]}), other)
    assert result.exit_code == 2
    assert "answer no prompt in common" in result.stderr


TASKS = {
    "mmlu_pro": (
        "mmlu_pro/_default_template_yaml",
        {"test": "mmlu_pro.jsonl", "validation": ["mmlu_pro.jsonl"] * 5},
        {
            "question": "Which of these is a prime number?",
            "options": ["four", "seven"],
            "answer": "B",
            "cot_content": "A: Let's think step by step. Only seven has no divisors. The answer is (B).",
            "category": "math",
        },
    ),
    "gpqa": (
        "gpqa/cot_zeroshot/_gpqa_cot_zeroshot_yaml",
        {"train": "gpqa.jsonl"},
        {
            "Question": "Which of these is a colour?",
            "Correct Answer": "red",
            **{f"Incorrect Answer {number}": word for number, word in enumerate(("oak", "rye", "elm"), start=1)},
        },
    ),
    "math500": (
        "minerva_math/minerva_math500.yaml",
        {"test": "math500.jsonl"},
        {"problem": "What is $1+1$?", "solution": r"It is $\boxed{2}$.", "answer": "2"},
    ),
}
"""The harness's own definition of each benchmark, and a question of ours in the columns of the official data."""


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs the extra `general` (lm-eval)")
def test_the_harness_asks_a_model_folder_of_ours_and_its_output_is_compared(tmp_path: Path) -> None:
    from rtt.demo.models import tiny_model

    network, tokenizer = tiny_model()
    network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    spec = find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    (tmp_path / "tasks").mkdir()
    for name, (definition, files, question) in TASKS.items():
        (tmp_path / f"{name}.jsonl").write_text(f"{json.dumps(question)}\n", "utf-8")
        task = {
            "include": str(Path(spec.origin).parent / "tasks" / definition),
            "task": f"{name}_local",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": files},
        }
        (tmp_path / f"tasks/{name}.yaml").write_text(json.dumps(task), "utf-8")  # JSON is YAML
    command = [
        *(sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={tmp_path / 'model'}"),
        *("--apply_chat_template", "--tasks", ",".join(f"{name}_local" for name in TASKS)),
        *("--include_path", str(tmp_path / "tasks"), "--gen_kwargs", "max_gen_toks=4", "--device", "cpu"),
        *("--log_samples", "--output_path", str(tmp_path / "out")),
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path / "out")
    assert sorted(kind for [kind] in run.types.values()) == ["gpqa_local", "math500_local", "mmlu_pro_local"]
    samples = "".join(file.read_text("utf-8") for file in (tmp_path / "out").rglob("samples_*.jsonl"))
    assert samples.count("<|im_start|>assistant") >= 3  # the folder's chat template is what the harness applied
    result = rtt("compare", tmp_path / "out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "accuracy: noise" in result.output


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs the extra `general` (lm-eval)")
def test_the_tasks_that_the_documentation_names_exist() -> None:
    spec = find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    definitions = "".join(
        file.read_text("utf-8")
        for name in ("mmlu_pro", "gpqa/cot_zeroshot", "minerva_math")
        for file in (Path(spec.origin).parent / "tasks" / name).glob("*.yaml")
    ).splitlines()
    page = (Path(__file__).parents[2] / "docs/general-ability.md").read_text("utf-8")
    [named] = {line.split("--tasks ")[1].split()[0] for line in page.splitlines() if "--tasks " in line}
    assert named == "mmlu_pro,gpqa_diamond_cot_zeroshot,minerva_math500"
    for task in named.split(","):
        assert f"task: {task}" in definitions or f"group: {task}" in definitions
