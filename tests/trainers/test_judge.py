"""A judge inside TRL's loop: one batch a rollout, beside other rewards; where it fails too often, training stops.

Run as a script, this file is the run that the tests interrupt, or that several processes share:

    python test_judge.py interrupt|share|lost|unusable OUTPUT_DIR JSON_OPTIONS
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rtt.cli.options import leave_processes
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError, DataError, JudgeFailureError, VerifierError
from rtt.records import read_records
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.trainers.checkpoints import last_complete_checkpoint
from rtt.trainers.trl import RTTConfig, RTTTrainer, RubricReward, task_dataset
from rtt.verdicts import Outcome, Verdict
from rtt.verifiers import Question
from rtt.verifiers.judge import JudgeReport

Config = Callable[..., RTTConfig]
Settings = Callable[..., dict[str, Any]]


def mixed_task(number: int) -> Task:
    """Two criteria for a judge, and a rule between them."""
    criteria = (
        Criterion(id="tone", text="The tone is friendly."),
        Criterion(id="c0", text="no commas", rule=Rule(name="punctuation:no_comma")),
        Criterion(id="why", text="It explains why."),
    )
    prompt = (Message(role="user", content=f"Write line {number}."),)
    return Task(id=f"mixed-{number}", prompt=prompt, rubric=Rubric(criteria=criteria[: 2 + number % 2]))


MIXED = [mixed_task(number) for number in range(4)]


class ScriptedJudge:
    """Decides by the letters of the response alone; fails where ``fails(batch, question)`` says so."""

    def __init__(self, fails: Callable[[int, int], bool] = lambda batch, question: False) -> None:
        self.fails = fails
        self.batches: list[Sequence[Question]] = []
        self.closed = 0

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        raise AssertionError("asked one by one")

    def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
        self.batches.append(questions)
        return [
            [
                self.verdict(question, criterion, self.fails(len(self.batches), number))
                for criterion in question.criteria
            ]
            for number, question in enumerate(questions)
        ]

    def verdict(self, question: Question, criterion: Criterion, failed: bool) -> Verdict:
        if failed:
            return Verdict(criterion.id, Outcome.UNDETERMINED, "judge:m", "timeout: no answer in 60 s", failed=True)
        kind = zlib.crc32(f"{question.text}{criterion.id}".encode()) % 5
        outcome = Outcome.UNDETERMINED if kind == 4 else Outcome.SATISFIED if kind % 2 else Outcome.VIOLATED
        return Verdict(criterion.id, outcome, "judge:m", "because", scope="response")

    def close(self) -> None:
        self.closed += 1


def fails_from(batch: int) -> ScriptedJudge:
    return ScriptedJudge(lambda number, question: number >= batch)


def trainer_with(judge: Any, config: RTTConfig, tasks: Any = MIXED, **kwargs: Any) -> RTTTrainer:
    model, tokenizer = tiny_model()
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer, judge=judge, **kwargs)


def completions(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "assistant", "content": text}] for text in texts]


# ---------------------------------------------------------------------------------------------------------- the reward


def test_a_batch_is_one_call_of_what_the_judge_must_decide() -> None:
    judge = ScriptedJudge()
    reward = RubricReward("csr", judge)
    reward(prompts=None, completions=completions("a", "b"), task=[task.to_json() for task in MIXED[:2]])
    (questions,) = judge.batches
    asked = [(question.task.id, question.text, [c.id for c in question.criteria]) for question in questions]
    assert asked == [("mixed-0", "a", ["tone"]), ("mixed-1", "b", ["tone", "why"])]
    assert [len(verdicts) for verdicts in reward.verdicts] == [2, 3]
    assert reward.seconds > 0


@pytest.mark.parametrize("name", ["csr", "aon", "weighted"])
def test_a_failed_verdict_counts_as_absent_never_as_violated(name: Any) -> None:
    only_judged = Task(id="j", prompt=MIXED[0].prompt, rubric=Rubric(criteria=(MIXED[0].rubric.criteria[0],)))
    reward = RubricReward(name, fails_from(1))
    tasks = [only_judged.to_json(), MIXED[0].to_json(), MIXED[1].to_json()]
    rewards = reward(prompts=None, completions=completions("a", "no comma", "a, b"), task=tasks)
    assert rewards == [None, 1.0, 0.0]  # nothing to go by; the rule alone, met; the rule alone, broken
    assert all(verdict.failed for verdict in reward.verdicts[0])


def test_a_judge_that_raises_gives_none_and_says_why() -> None:
    class Broken(ScriptedJudge):
        def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
            raise VerifierError("out of order")

    reward = RubricReward("csr", Broken())
    assert reward(prompts=None, completions=completions("a, b"), task=[MIXED[1].to_json()]) == [0.0]
    assert [verdict.reason for verdict in reward.verdicts[0] if verdict.failed] == ["out of order"] * 2


# ------------------------------------------------------------------------------------------------- beside other rewards


def test_the_asynchronous_reward_is_what_trl_takes_for_one() -> None:
    reward = RubricReward("aon", ScriptedJudge())
    function = reward.asynchronous()
    assert inspect.iscoroutinefunction(function)
    assert function.__name__ == reward.__name__ == "rubric_aon"
    batch = {"prompts": None, "completions": completions("a", "b"), "task": [task.to_json() for task in MIXED[:2]]}
    awaited = asyncio.run(function(**batch))  # type: ignore[arg-type]  # a coroutine
    verdicts = reward.verdicts
    assert awaited == reward(**batch)
    assert verdicts == reward.verdicts


class Meets(ScriptedJudge):
    """Answers once another reward is under way as well."""

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2, timeout=20)

    def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
        self.both.wait()
        return super().verify_batch(questions, progress=progress)


@pytest.mark.parametrize("stock", [True, False])
def test_judge_and_another_asynchronous_reward_are_under_way_at_once(settings: Settings, stock: bool) -> None:
    judge = Meets()

    async def other(completions: Any, **_: Any) -> list[float]:
        await asyncio.to_thread(judge.both.wait)
        return [1.0] * len(completions)

    options = settings(max_steps=1)
    if stock:
        model, tokenizer = tiny_model()
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=[RubricReward(judge=judge).asynchronous(), other],
            args=GRPOConfig(**options),
            train_dataset=task_dataset(MIXED),
            processing_class=tokenizer,
        )
    else:
        trainer = trainer_with(judge, RTTConfig(**options), reward_funcs=other)
    trainer.train()
    assert len(judge.batches) == 1
    assert trainer.state.log_history[0]["rewards/other/mean"] == 1.0
    assert "rewards/rubric_csr/mean" in trainer.state.log_history[0]


def test_a_judge_that_was_set_up_wrongly_ends_training_with_its_own_error(config: Config) -> None:
    class NoKey(ScriptedJudge):
        def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
            raise ConfigurationError("OPENAI_API_KEY is not set")

    judge = NoKey()
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        trainer_with(judge, config()).train()
    assert judge.closed == 1


def test_one_call_a_rollout(config: Config) -> None:
    judge = ScriptedJudge()
    options = {"gradient_accumulation_steps": 2, "steps_per_generation": 2, "num_iterations": 2, "max_steps": 4}
    trainer = trainer_with(judge, config(**options, records_steps=1))
    trainer.train()
    records = list(read_records(Path(trainer.args.output_dir) / "records"))
    assert [len(questions) for questions in judge.batches] == [16, 16]  # 4 groups of 4; each rollout serves two steps
    texts = [question.text for questions in judge.batches for question in questions]
    assert texts == [record.response.text for record in records]
    for record in records:
        for criterion, verdict in zip(record.task.rubric.criteria, record.verdicts, strict=True):
            judged = criterion.rule is None
            assert verdict.source == ("judge:m" if judged else "rule:punctuation:no_comma")
            if judged:
                assert verdict == judge.verdict(Question(record.task, record.response.text, ()), criterion, False)


# -------------------------------------------------------------------------------------------------------------- metrics


class Reporting(ScriptedJudge):
    """Reports a call of 100 + 20 tokens for each question, and half of the criteria from its cache."""

    def __init__(self, prices: tuple[float, float] | None) -> None:
        super().__init__(lambda batch, question: question == 0)
        self.report = JudgeReport(prices=prices)

    def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
        time.sleep(0.1)
        count, criteria, old = len(questions), sum(len(question.criteria) for question in questions), self.report
        self.report = replace(
            old,
            calls=old.calls + count,
            asked=old.asked + criteria // 2,
            cached=old.cached + criteria // 4,
            shared=old.shared + criteria // 4,
            prompt_tokens=old.prompt_tokens + 100 * count,
            completion_tokens=old.completion_tokens + 20 * count,
        )
        return super().verify_batch(questions, progress=progress)


@pytest.mark.parametrize("prices", [None, (1.0, 10.0)])
def test_metrics_are_those_of_the_verdicts_and_of_the_report(
    config: Config, prices: tuple[float, float] | None
) -> None:
    trainer = trainer_with(Reporting(prices), config(records_steps=1))
    trainer.train()
    for step, shown in enumerate(trainer.state.log_history[:2], start=1):
        records = [r for r in read_records(Path(trainer.args.output_dir) / "records") if r.step == step]
        judged = [v for record in records for v in record.verdicts if v.source == "judge:m"]
        kinds = Counter((verdict.failed, verdict.determined) for verdict in judged)
        assert shown["rtt/judge_failed"] == pytest.approx(kinds[True, False] / len(judged)) != 0
        assert shown["rtt/judge_cannot_tell"] == pytest.approx(kinds[False, False] / len(judged)) != 0
        undetermined = kinds[True, False] + kinds[False, False]
        assert shown["rtt/undetermined"] == pytest.approx(undetermined / sum(len(r.verdicts) for r in records))
        assert shown["rtt/judge_cached"] == pytest.approx(0.25)
        assert (shown["rtt/judge_calls"], shown["rtt/judge_prompt_tokens"]) == (8, 800)
        assert shown["rtt/judge_completion_tokens"] == 160
        assert shown.get("rtt/judge_cost") == (None if prices is None else pytest.approx(2400 / 1e6))
        assert 0.1 <= shown["rtt/judge_seconds"] < shown["step_time"]


def test_what_a_process_asked_for_others_is_logged(config: Config, tasks: list[Task]) -> None:
    """Its own responses, which rules decide, have no verdict of a judge."""
    judge = Reporting(None)
    of_others = [Question(task, "a response", task.rubric.criteria[:1]) for task in MIXED]

    class Spread(ScriptedJudge):
        def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
            judge.verify_batch(of_others)
            return super().verify_batch(questions)

    trainer = trainer_with(judge, config(max_steps=1), tasks)
    trainer._rubric_reward.judge = Spread()
    trainer.train()
    shown = trainer.state.log_history[0]
    assert (shown["rtt/judge_calls"], shown["rtt/judge_prompt_tokens"]) == (4, 400)
    assert "rtt/judge_failed" not in shown


def test_a_rollout_that_serves_two_steps_is_judged_in_the_first(config: Config) -> None:
    trainer = trainer_with(Reporting(None), config(num_iterations=2))
    trainer.train()
    first, second = (entry["rtt/judge_seconds"] for entry in trainer.state.log_history[:2])
    assert first >= 0.1
    assert second == 0


def test_without_judged_criteria_or_without_a_judge_there_are_no_such_metrics(
    config: Config, tasks: list[Task]
) -> None:
    for judge, these in ((Reporting(None), tasks), (None, MIXED)):
        trainer = trainer_with(judge, config(max_steps=1), these)
        trainer.train()
        named = {name for name in trainer.state.log_history[0] if "judge" in name}
        assert named <= {"rtt/judge_seconds"} if judge else named == set()


# ------------------------------------------------------------------------------------------- stopping, and going on


TIMING = ("time", "runtime", "per_second", "_seconds", "_share")


def history(trainer: RTTTrainer) -> list[dict[str, float]]:
    """What was logged step by step, without what a clock said."""
    return [
        {name: value for name, value in entry.items() if not any(word in name for word in TIMING)}
        for entry in trainer.state.log_history
        if "train_loss" not in entry
    ]


def luck(completions: Any, **_: Any) -> list[float]:
    """A reward that draws from the generators that the model does not draw from."""
    return [random.random() + float(np.random.rand()) for _ in completions]


CASES: dict[str, tuple[dict[str, Any], int, int]] = {  # options, the batch from which the judge fails, steps finished
    "at an epoch's end": ({}, 3, 2),
    "amid an epoch": ({}, 4, 3),
    "in the second rollout of a step": ({"gradient_accumulation_steps": 2, "steps_per_generation": 1}, 4, 1),
    "rollouts of two steps": ({"steps_per_generation": 2}, 2, 2),
    "two iterations": ({"num_iterations": 2}, 2, 2),
    "with evaluation in between": ({"eval_strategy": "steps", "eval_steps": 1}, 5, 2),
    "the model alone is saved": ({"save_strategy": "steps", "save_steps": 1, "save_only_model": True}, 4, 3),
    "lora with dropout": ({"lora": True}, 4, 3),
}


QUICK = ("at an epoch's end", "in the second rollout of a step", "with evaluation in between")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_a_stopped_run_goes_on_as_if_undisturbed(config: Config, tmp_path: Path, case: str) -> None:
    options, batch, finished = CASES[case]
    options = {"max_steps": 5, "num_train_epochs": 9, **options}
    lora = options.pop("lora", False)

    def trainer(judge: ScriptedJudge, folder: str) -> RTTTrainer:
        kwargs: dict[str, Any] = {"reward_funcs": luck}
        if "eval_steps" in options:
            kwargs["eval_dataset"] = MIXED[:2]
        if lora:
            from peft import LoraConfig

            kwargs["peft_config"] = LoraConfig(lora_dropout=0.2, target_modules="all-linear")
        return trainer_with(judge, config(**options, output_dir=str(tmp_path / folder)), **kwargs)

    undisturbed = trainer(ScriptedJudge(), "undisturbed")
    undisturbed.train()

    stopped = trainer(fails_from(batch), "stopped")
    with pytest.raises(JudgeFailureError) as caught:
        stopped.train()
    checkpoint = last_complete_checkpoint(tmp_path / "stopped")
    assert checkpoint == tmp_path / "stopped" / f"checkpoint-{finished}"
    assert f"go on from step {finished} with resume_from_checkpoint={str(checkpoint)!r}" in str(caught.value)

    resumed = trainer(ScriptedJudge(), "stopped")
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert history(resumed) == history(undisturbed)
    assert any(entry.get("grad_norm", 0) > 0 for entry in history(resumed))
    assert resumed.state.num_input_tokens_seen == undisturbed.state.num_input_tokens_seen
    assert resumed.state.total_flos == undisturbed.state.total_flos
    weights, expected = resumed.model.state_dict(), undisturbed.model.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_same_trainer_can_go_on(config: Config, tmp_path: Path) -> None:
    undisturbed = trainer_with(ScriptedJudge(), config(max_steps=4, output_dir=str(tmp_path / "undisturbed")))
    undisturbed.train()
    judge = ScriptedJudge(lambda batch, question: batch == 4)
    trainer = trainer_with(judge, config(max_steps=4))
    with pytest.raises(JudgeFailureError):
        trainer.train()
    trainer.train(resume_from_checkpoint=True)
    assert history(trainer) == history(undisturbed)
    weights, expected = trainer.model.state_dict(), undisturbed.model.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


class CountsSaves(TrainerCallback):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.steps.append(state.global_step)


def test_a_checkpoint_that_is_there_is_kept_as_it_is(config: Config, tmp_path: Path) -> None:
    saves = CountsSaves()
    trainer = trainer_with(fails_from(3), config(save_strategy="steps", save_steps=1, max_steps=4), callbacks=[saves])
    with pytest.raises(JudgeFailureError, match="checkpoint-2'"):
        trainer.train()
    assert saves.steps == [1, 2]

    elsewhere = config(max_steps=4, output_dir=str(tmp_path / "elsewhere"))
    again = trainer_with(fails_from(1), elsewhere)
    with pytest.raises(JudgeFailureError, match="resume_from_checkpoint='.*run/checkpoint-2'"):
        again.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-2"))
    assert last_complete_checkpoint(tmp_path / "elsewhere") is None


def test_a_checkpoint_of_an_older_run_is_none_of_this_one(config: Config, tmp_path: Path) -> None:
    old = tmp_path / "run" / "checkpoint-1"
    old.mkdir(parents=True)
    (old / "trainer_state.json").write_text('{"global_step": 1}')
    saves = CountsSaves()
    with pytest.raises(JudgeFailureError):
        trainer_with(fails_from(2), config(), callbacks=[saves]).train()
    assert saves.steps == [1]
    assert (old / "model.safetensors").is_file()


def test_before_the_first_step_there_is_nothing_to_resume(config: Config, tmp_path: Path) -> None:
    with pytest.raises(JudgeFailureError, match="no step was finished yet, so there is nothing to resume: start again"):
        trainer_with(fails_from(1), config()).train()
    assert last_complete_checkpoint(tmp_path / "run") is None


def test_the_message_counts_and_gives_reasons(config: Config) -> None:
    class Various(ScriptedJudge):
        def verdict(self, question: Question, criterion: Criterion, failed: bool) -> Verdict:
            reason = "rate limit:\n429  too many requests " + "x" * 500 if criterion.id == "tone" else question.text
            return Verdict(criterion.id, Outcome.UNDETERMINED, "judge", reason, failed=True)

    with pytest.raises(JudgeFailureError) as caught:
        trainer_with(Various(), config()).train()
    message = str(caught.value)
    assert message.startswith(
        "the judge failed on 12 of 12 verdicts (100%) in the rollout for step 1, more than judge_max_failed=0.5 "
        "allows; training stopped: 8 x rate limit: 429 too many requests [...]; 1 x "
    )
    assert "further reasons" in message
    assert len(message) < 800


def one_judged(number: int) -> Task:
    criterion = Criterion(id="tone", text="The tone is friendly.")
    prompt = (Message(role="user", content=f"Greet {number}."),)
    return Task(id=f"greet-{number}", prompt=prompt, rubric=Rubric(criteria=(criterion,)))


@pytest.mark.parametrize(
    ("bound", "failing", "stops"),
    [(0.25, 2, False), (0.25, 3, True), (0.0, 0, False), (0.0, 1, True), (1.0, 8, False), (0.99, 8, True)],
)
def test_the_share_that_is_allowed(config: Config, bound: float, failing: int, stops: bool) -> None:
    judge = ScriptedJudge(lambda batch, question: question < failing)
    tasks = [one_judged(number) for number in range(4)]
    trainer = trainer_with(judge, config(judge_max_failed=bound, max_steps=1), tasks)
    if stops:
        with pytest.raises(JudgeFailureError, match=f"{failing} of 8 verdicts"):
            trainer.train()
        return
    trainer.train()
    assert trainer.state.log_history[0]["rtt/judge_failed"] == failing / 8


def test_what_the_judge_cannot_tell_is_no_failure(config: Config) -> None:
    class CannotTell(ScriptedJudge):
        def verdict(self, question: Question, criterion: Criterion, failed: bool) -> Verdict:
            return Verdict(criterion.id, Outcome.UNDETERMINED, "judge:m", "the model cannot tell")

    trainer = trainer_with(CannotTell(), config(judge_max_failed=0.0, max_steps=1))
    trainer.train()
    assert trainer.state.log_history[0]["rtt/judge_failed"] == 0
    assert trainer.state.log_history[0]["rtt/judge_cannot_tell"] == 1


def test_evaluation_counts_failures_and_goes_on(config: Config) -> None:
    judge = ScriptedJudge(lambda batch, question: batch % 2 == 0)  # training, evaluation, training, ...
    options = {"eval_strategy": "steps", "eval_steps": 1, "judge_max_failed": 0.0}
    trainer = trainer_with(judge, config(**options), eval_dataset=MIXED[:2])
    trainer.train()
    shown = [entry["eval_rtt/judge_failed"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert shown == [1.0, 1.0]


@pytest.mark.parametrize("bound", [-0.1, 1.5, math.nan])
def test_a_share_is_a_share(settings: Settings, bound: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"judge_max_failed={bound}; expected a share in \[0, 1\]"):
        RTTConfig(**settings(judge_max_failed=bound))


# ----------------------------------------------------------------------------------------------- interrupts, processes


class NeverAnswers(ScriptedJudge):
    """Does not even listen to close()."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
        (self.folder / "asked").touch()
        threading.Event().wait()
        raise AssertionError

    def close(self) -> None:
        (self.folder / "closed").touch()


@pytest.mark.slow
def test_an_interrupt_ends_the_run_whatever_the_judge_does(tmp_path: Path) -> None:
    process = start("interrupt", tmp_path, {}, [sys.executable])
    deadline = time.monotonic() + 60
    while not (tmp_path / "asked").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    interrupted = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - interrupted < 15
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert (tmp_path / "closed").exists()


@pytest.mark.slow
def test_all_processes_stop_when_one_process_is_not_judged(tmp_path: Path) -> None:
    """Half of the verdicts fail, those of the second process; they share a group, and one checkpoint."""

    def run(folder: str, **options: Any) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        process = start("share", tmp_path / folder, options, TWO_PROCESSES)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-3000:]
        return tmp_path / folder

    undisturbed = run("undisturbed")
    stopped = run("stopped", fails_from=3)
    messages = [(stopped / f"error-{process}").read_text() for process in range(2)]
    checkpoint = stopped / "checkpoint-2"
    assert messages[0] == messages[1]
    assert "4 of 8 verdicts (50%) in the rollout for step 3, more than judge_max_failed=0.4" in messages[0]
    assert str(checkpoint) in messages[0]
    assert last_complete_checkpoint(stopped) == checkpoint
    run("stopped", resume_from_checkpoint=str(checkpoint))
    states = [json.loads((folder / "state.json").read_text()) for folder in (stopped, undisturbed)]
    logs = [
        [{k: v for k, v in entry.items() if not any(word in k for word in TIMING)} for entry in state["log_history"]]
        for state in states
    ]
    assert logs[0][:-1] == logs[1][:-1]
    assert states[0]["num_input_tokens_seen"] == states[1]["num_input_tokens_seen"]
    assert [entry["rtt/judge_calls"] for entry in logs[0][:-1]] == [8.0] * 4  # of both processes together
    weights = [(folder / "model.safetensors").read_bytes() for folder in (stopped, undisturbed)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_processes_that_lose_each_other_stop_with_the_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    """The judges' own exchange fails in the third rollout of the second process alone."""
    process = start("lost", tmp_path, {}, TWO_PROCESSES)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]
    words = (
        "in the rollout for step 3: the processes lost each other while they shared the judge: Connection closed by "
        f"peer; then go on from step 2 with resume_from_checkpoint={str(tmp_path / 'checkpoint-2')!r}"
    )
    assert [(tmp_path / f"error-{process}").read_text() for process in range(2)] == [words] * 2
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


class Unusable(ScriptedJudge):
    """Its cache breaks in the second batch."""

    def verify_batch(self, questions: Sequence[Question], *, progress: Any = None) -> list[list[Verdict]]:
        if len(self.batches) == 1:
            raise DataError("cache judge/: cannot be used: database disk image is malformed")
        return super().verify_batch(questions)


@pytest.mark.slow
def test_all_processes_stop_when_the_judge_of_one_cannot_be_used(tmp_path: Path) -> None:
    """Not one raises, and the other waits for it until a timeout of half an hour."""
    process = start("unusable", tmp_path, {}, TWO_PROCESSES)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-3000:]
    words = "cache judge/: cannot be used: database disk image is malformed"
    assert (tmp_path / "error-1").read_text() == words
    assert (tmp_path / "error-0").read_text() == f"process 1 of 2: {words}"


def test_of_several_processes_the_one_whose_judge_cannot_be_used_gives_no_verdicts_and_keeps_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    reward = RubricReward(judge=Unusable())
    batch: dict[str, Any] = {"completions": completions("Fine.", "Well, no."), "task": [MIXED[0].to_json()] * 2}
    reward([], **batch)
    assert reward.unusable is None
    assert reward([], **batch) == [1.0, 0.0]  # what the rules say
    assert isinstance(reward.unusable, DataError)
    judged = [verdicts[0] for verdicts in reward.verdicts]
    assert [(verdict.outcome, verdict.failed) for verdict in judged] == [(Outcome.UNDETERMINED, True)] * 2
    assert "database disk image is malformed" in judged[0].reason
    monkeypatch.undo()
    alone = RubricReward(judge=Unusable())
    alone([], **batch)
    with pytest.raises(DataError, match="database disk image is malformed"):
        alone([], **batch)


TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


def start(mode: str, folder: Path, options: dict[str, Any], launcher: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, __file__, mode, str(folder), json.dumps(options)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def main() -> None:
    mode, folder, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    resume = options.pop("resume_from_checkpoint", None)
    failing = options.pop("fails_from", math.inf)
    process, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    judge: Any = NeverAnswers(folder)
    if mode == "share":
        judge = Reporting(None)
        judge.fails = lambda batch, question: process == 1 and batch >= failing
    if mode == "lost":
        judge = ScriptedJudge()
    if mode == "unusable":
        judge = Unusable() if process == 1 else ScriptedJudge()
    config = RTTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=8 // processes,
        num_generations=8,  # one group, which the processes share
        max_completion_length=12,
        learning_rate=1e-2,
        max_steps=4,
        logging_steps=1,
        save_strategy="no",
        judge_max_failed=0.4,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        seed=3,
        **options,
    )
    trainer = trainer_with(judge, config, [one_judged(number) for number in range(4)])
    if mode == "lost" and process == 1:
        gather, times = torch.distributed.all_gather_object, iter(range(100))

        def lost(*arguments: Any, group: Any = None) -> None:
            gather(*arguments, group=group)
            if group is trainer._rubric_reward.judge._group and next(times) == 5:  # two in each rollout
                raise RuntimeError("Connection closed by peer")

        torch.distributed.all_gather_object = lost
    try:
        trainer.train(resume_from_checkpoint=resume)
    except (JudgeFailureError, DataError) as error:
        (folder / f"error-{process}").write_text(str(error))
    else:
        trainer.save_model(str(folder))
        if process == 0:
            trainer.state.save_to_json(str(folder / "state.json"))


if __name__ == "__main__":
    main()
    leave_processes()
