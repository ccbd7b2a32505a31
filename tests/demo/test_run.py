"""The demo from end to end with the tiny model: files, resuming, comparing, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("trl")
pytest.importorskip("peft")
pytest.importorskip("matplotlib")

import torch
from rich.console import Console

from rtt.demo import run
from rtt.demo.models import tiny_model
from rtt.demo.report import Report, relevance_cost, samples_markdown, to_json, to_markdown, verdict
from rtt.demo.run import bundled_tasks, run_demo
from rtt.demo.settings import FAST, DemoSettings, methods
from rtt.errors import ConfigurationError, DataError, RTTError

QUICK = replace(
    FAST,
    max_completion_length=16,
    eval_prompts=3,
    eval_samples=2,
    eval_max_tokens=8,
)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def global_generators() -> Iterator[None]:
    """Training seeds the global generators; what other tests draw must not depend on it."""
    with torch.random.fork_rng(devices=[]):
        yield


def demo(output: Path, **options: Any) -> tuple[Report, str]:
    text = StringIO()
    options = {"settings": QUICK, "fast": True, "console": Console(file=text, width=100), **options}
    return run_demo(output, **options), text.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, str]:
    output = tmp_path_factory.mktemp("demo") / "run"
    return output, *demo(output)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------------- what it leaves


def test_a_run_leaves_every_file_that_it_names(finished: tuple[Path, Report, str]) -> None:
    output, report, printed = finished
    for name in ("results.json", "results.md", "samples.md", "curves.png", "rules.png"):
        assert (output / name).stat().st_size > 0
        assert name in printed
    assert (output / "curves.png").read_bytes().startswith(PNG)
    assert (output / "rules.png").read_bytes().startswith(PNG)
    assert (output / "rtt-grpo" / "adapter" / "adapter_model.safetensors").is_file()
    records = sorted((output / "rtt-grpo" / "records").glob("*.jsonl"))
    assert [len(path.read_text().splitlines()) for path in records] == [8, 8]  # two steps of eight responses
    assert [row["step"] for row in report.arms[0].history] == [1, 2]


def test_the_table_shows_both_accuracies_and_each_rule(finished: tuple[Path, Report, str]) -> None:
    _, report, printed = finished
    assert "rubric accuracy" in printed
    assert "instruction accuracy" in printed
    for name in report.before.rules:
        assert name.rpartition(":")[2] in printed
    assert "numbers mean nothing" in printed  # the tiny model says so itself


def test_results_are_plain_json_with_settings_model_and_intervals(finished: tuple[Path, Report, str]) -> None:
    output, report, _ = finished
    results = json.loads((output / "results.json").read_text())
    assert results == to_json(report)
    assert results["settings"]["seed"] == QUICK.seed
    assert results["model"]["name"] == "tiny random model"
    assert set(results["arms"]["rtt-grpo"]["difference"]["rubric_accuracy"]) == {"value", "low", "high"}
    assert results["tasks"] == {"train": len(bundled_tasks("train", "easy")), "heldout": 3}
    assert str(output) not in (output / "results.json").read_text()


def test_the_share_of_the_relevance_source_is_said_everywhere(finished: tuple[Path, Report, str]) -> None:
    output, report, printed = finished
    line = re.search(r"relevance: \d+\.\d s of \d+ s a step \(\d+ %\)", printed)
    assert line is not None
    assert line[0] in to_markdown(report)
    measured = json.loads((output / "results.json").read_text())["arms"]["rtt-grpo"]["relevance"]
    assert 0 < measured["share"] < 0.5
    assert measured["share"] == pytest.approx(measured["seconds"] / measured["step_seconds"], abs=0.02)


def test_the_cost_of_relevance_is_a_mean_over_the_steps(finished: tuple[Path, Report, str]) -> None:
    history = [
        {"rtt/relevance_seconds": 4.2, "step_time": 42.0},
        {"rtt/relevance_seconds": 0.0, "step_time": 40.0},  # a step that used a rollout again
        {"step_time": 100.0},
    ]
    arm = replace(finished[1].arms[0], history=history)
    assert relevance_cost(arm) == "relevance: 2.1 s of 41 s a step (5 %)"
    assert relevance_cost(replace(arm, history=history[2:])) is None


def test_samples_are_the_first_prompts_before_and_after(finished: tuple[Path, Report, str]) -> None:
    _, report, _ = finished
    text = samples_markdown(report)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [f"## {task.id}" for task in report.tasks]
    assert text.count("**Before**") == text.count("**RTT-GRPO**") == 3


def test_training_really_changes_the_adapter(finished: tuple[Path, Report, str]) -> None:
    """LoRA's second matrices start at zero."""
    from safetensors.torch import load_file

    output, _, _ = finished
    weights = load_file(output / "rtt-grpo" / "adapter" / "adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)


# ------------------------------------------------------------------------------------------------------------- resuming


def test_a_finished_run_is_not_done_again(finished: tuple[Path, Report, str], monkeypatch: pytest.MonkeyPatch) -> None:
    output, report, _ = finished

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a finished stage was done again")

    monkeypatch.setattr(run, "train_method", never)
    monkeypatch.setattr(run, "evaluate", never)
    again, printed = demo(output)
    assert "finished earlier" in printed
    assert again.before.samples == report.before.samples
    assert again.arms[0].after.samples == report.arms[0].after.samples
    assert again.arms[0].comparison == report.arms[0].comparison


def test_a_run_stopped_between_steps_ends_as_the_undisturbed_one(
    finished: tuple[Path, Report, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtt.trainers.trl import RTTTrainer

    output, report, _ = finished
    save = RTTTrainer._save_checkpoint

    def save_and_stop(self: Any, *arguments: Any, **options: Any) -> None:
        save(self, *arguments, **options)
        if self.state.global_step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RTTTrainer, "_save_checkpoint", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            demo(tmp_path / "run")
    resumed, printed = demo(tmp_path / "run")
    assert "going on from checkpoint-1" in printed
    assert resumed.arms[0].after.samples == report.arms[0].after.samples
    adapters = [folder / "rtt-grpo" / "adapter" / "adapter_model.safetensors" for folder in (output, tmp_path / "run")]
    assert adapters[0].read_bytes() == adapters[1].read_bytes()


def test_comparing_keeps_the_first_method_and_adds_three(finished: tuple[Path, Report, str], tmp_path: Path) -> None:
    output = tmp_path / "run"
    shutil.copytree(finished[0], output)
    before = contents(output / "rtt-grpo")
    report, printed = demo(output, baselines=True)
    assert [arm.name for arm in report.arms] == ["rtt-grpo", "grpo-aon", "grpo-csr", "gdpo"]
    assert contents(output / "rtt-grpo") == before
    for title in ("RTT-GRPO", "GRPO-AON", "GRPO-CSR", "GDPO"):
        assert title in printed
        assert title in to_markdown(report)
    sizes = {arm.name: [row["rtt/token_advantage_size"] for row in arm.history] for arm in report.arms}
    assert max(sizes["rtt-grpo"]) > 0
    assert sizes["grpo-aon"] == sizes["grpo-csr"] == sizes["gdpo"] == [0.0, 0.0]


def test_another_runs_folder_is_refused_and_names_the_difference(finished: tuple[Path, Report, str]) -> None:
    output, _, _ = finished
    with pytest.raises(ConfigurationError, match=r"seed 0 there, 9 now; .*--fresh"):
        demo(output, settings=replace(QUICK, seed=9))


def test_a_folder_that_no_demo_wrote_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for resume in (True, False):
        with pytest.raises(ConfigurationError, match="no demo's folder"):
            demo(tmp_path, resume=resume)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_starting_anew_deletes_what_a_demo_wrote_and_nothing_else(tmp_path: Path) -> None:
    source, _ = run._model(None, fast=True, console=Console(file=StringIO()))
    run._claim(tmp_path / "run", QUICK, source, resume=True)
    (tmp_path / "run" / "rtt-grpo").mkdir()
    (tmp_path / "run" / "rtt-grpo" / "after.json").write_text("{}")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    run._claim(tmp_path / "run", replace(QUICK, seed=9), source, resume=False)
    assert set(contents(tmp_path / "run")) == {"demo.json", "notes.txt"}
    assert json.loads((tmp_path / "run" / "demo.json").read_text())["settings"]["seed"] == 9


def test_a_spoilt_evaluation_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text('{"seconds": 1, "responses": [{"task_id": "unknown"}]}')
    with pytest.raises(DataError, match=r"does not fit the bundled tasks .*--fresh"):
        run._read_evaluation(tmp_path / "before.json", bundled_tasks("heldout", "easy")[:1])


# ------------------------------------------------------------------------------------------------------------- settings


def test_all_methods_share_everything_but_their_own_options() -> None:
    chosen = {method.name: method.options for method in methods(DemoSettings(), baselines=True)}
    assert chosen["rtt-grpo"]["token_weight"] is None  # RTTConfig's own
    assert chosen["grpo-aon"] == {"token_weight": 0.0, "reward": "aon"}
    assert chosen["grpo-csr"] == {"token_weight": 0.0, "reward": "csr"}
    assert chosen["gdpo"] == {"token_weight": 0.0, "response_advantage": "gdpo"}
    assert [method.name for method in methods(DemoSettings(), baselines=False)] == ["rtt-grpo"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"num_generations": 1}, "needs at least 2 responses"),
        ({"micro_batch": 7}, "do not divide into micro batches"),
        ({"relevance": "oracle"}, "relevance is 'oracle'; expected one of"),
        ({"relevance": "discriminator"}, "needs relevance_model, .*`rtt discriminator build`"),
        ({"relevance": "hybrid"}, "needs relevance_model"),
    ],
)
def test_settings_that_cannot_run_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        DemoSettings().with_changes(change)


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no bundled tasks 'test'"):
        bundled_tasks("test")
    assert len(bundled_tasks("train")) > len(bundled_tasks("train", "easy")) >= 100


def test_relevance_is_set_by_name_and_reaches_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtt.relevance import RandomRelevance
    from rtt.relevance.discriminator.source import DiscriminatorRelevance

    asked = []
    monkeypatch.setattr(
        DiscriminatorRelevance, "from_pretrained", lambda folder, **_: (asked.append(folder), RandomRelevance())[1]
    )
    from rtt.cli.options import named_value

    changes = dict(named_value(text) for text in ("relevance=discriminator", "relevance_model=runs/mine", "steps=1"))
    report, _ = demo(tmp_path / "run", settings=QUICK.with_changes(changes))
    assert asked == ["runs/mine"]
    assert report.arms[0].history[0]["rtt/relevance_mean"] == pytest.approx(0.5, abs=0.1)
    assert json.loads((tmp_path / "run" / "results.json").read_text())["settings"]["relevance"] == "discriminator"


# -------------------------------------------------------------------------------------------------------------- verdict


def test_the_verdict_tells_improvement_from_noise(finished: tuple[Path, Report, str]) -> None:
    _, report, _ = finished
    from rtt.demo.evaluation import Comparison
    from rtt.statistics import Interval

    comparison = Comparison(rubric=Interval(0.2, 0.1, 0.3), instruction=Interval(0.05, -0.01, 0.1), rules={})
    told = replace(report, arms=[replace(report.arms[0], comparison=comparison)], random_model=False)
    assert verdict(told) == (
        "Held out, with RTT-GRPO: rubric accuracy rose by 0.200 (beyond noise); "
        "instruction accuracy rose by 0.050 (within noise)."
    )


# -------------------------------------------------------------------------------------------------------------- command


def test_the_command_runs_with_the_given_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtt.cli.demo import demo as command

    asked: dict[str, Any] = {}
    monkeypatch.setattr(run, "run_demo", lambda output, **options: asked.update(options, output=output))
    done = CliRunner().invoke(command, ["--fast", "--seed", "7", "--steps", "3", "--compare", "--fresh"])
    assert done.exit_code == 0, done.output
    assert asked["settings"] == replace(FAST, seed=7, steps=3)
    assert asked["output"] == Path("runs/demo-fast")
    assert (asked["baselines"], asked["fast"], asked["resume"], asked["model"]) == (True, True, False, None)


def test_a_stopped_command_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtt.cli.demo import demo as command

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_demo", stop)
    done = CliRunner().invoke(command, ["--output", str(tmp_path)])
    assert done.exit_code == 1
    assert "the same command goes on from there" in done.output


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(RTTError, match=r"needs peft.*pip install 'rubrics-to-tokens\[train\]'"):
        run_demo(tmp_path / "run", settings=QUICK, fast=True)


def test_where_nothing_can_be_trained_fast_shows_which_words_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtt.cli.demo import demo as command

    monkeypatch.setitem(sys.modules, "trl", None)
    folder = tmp_path / "run"
    done = CliRunner().invoke(command, ["--fast", "--output", str(folder)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Nothing is trained: trl is not installed.")
    # The first of the responses that meet a criterion and break another, with the words of each verdict.
    _, _, first = done.output.partition("demo/heldout/0004  response 0")
    assert "✗ violated  c2: Avoid the word \"is\".  found: 'is'\n" in first
    assert "  * Bananas* trip *is* one fun fact\n" + " " * 19 + "##\n" + '  top: "is" 1.00\n' in first
    assert "96 responses to 96 tasks: rubric accuracy" in first
    assert "undetermined 0" in first
    assert "pip install 'rubrics-to-tokens[train]', then the same command" in first
    assert not folder.exists()
    with pytest.raises(RTTError, match="needs trl"):
        CliRunner().invoke(command, ["--output", str(folder)], catch_exceptions=False, standalone_mode=False)


def test_the_tiny_model_is_what_fast_means() -> None:
    source, load = run._model(None, fast=True, console=Console(file=StringIO()))
    assert load is tiny_model
    assert source.licence == "none"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("lambda=1", "the demo has no setting 'lambda'; expected one of"),
        ("learning_rate=high", "setting learning_rate='high'; expected such as 0.001"),
        ("steps=2.5", "setting steps=2.5; expected such as 2"),
        ("mass_preserving=1", "setting mass_preserving=1; expected such as False"),
        ("relevance_model=3", "setting relevance_model=3; expected such as 'runs/discriminator'"),
        ("token_advantage_bound=high", "setting token_advantage_bound='high'; expected such as 2.0"),
        ("steps", "'steps'; expected NAME=VALUE"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(option: str, words: str) -> None:
    from rtt.cli.demo import demo as command

    done = CliRunner().invoke(command, ["--fast", "--set", option])
    assert words in (done.stderr if isinstance(done.exception, SystemExit) else str(done.exception))


def test_settings_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rtt.cli.demo import demo as command

    seen = []
    monkeypatch.setattr("rtt.demo.run.run_demo", lambda output, **options: seen.append(options["settings"]))
    options = ["--set", "partition=intra_sample", "--set", "token_advantage_bound=2", "--set", "learning_rate=1e-4"]
    assert CliRunner().invoke(command, ["--output", str(tmp_path), *options]).exit_code == 0
    assert (seen[0].partition, seen[0].token_advantage_bound, seen[0].learning_rate) == ("intra_sample", 2, 1e-4)
