"""Whole training steps of the real verl on this machine's CPU, computed once more from what was sampled.

Real: verl's command and its configuration, Ray, the agent loop, two reward workers, TransferQueue, two training
processes with FSDP2 over gloo, old log-probabilities, loss, AdamW, the weights' way to the server, checkpoints and
resuming. Stand-ins: the platform, the server that samples, the process group's backend; see verl_on_a_cpu.py.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from credit import reference
from scripted_endpoint import Server, judges, says

from rtt import credit
from rtt.demo.models import tiny_model
from rtt.responses import response_from_tokens
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.trainers.verl import write_parquet
from rtt.verifiers import verify_batch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # verl's own, and those of its libraries
    pytest.importorskip("verl", reason="verl is not installed here; see `make test-verl`")

from omegaconf import OmegaConf
from transformers import AutoModelForCausalLM

from rtt.trainers.verl.payload import FIELD, Payload
from rtt.trainers.verl.settings import read_settings

HERE = Path(__file__).parent
PROMPTS, RESPONSES, TOKENS = 4, 4, 64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore"),  # verl's own, and those of its libraries
    pytest.mark.enable_socket,  # the judge's endpoint
]


def task(number: int) -> Task:
    """Rules that random bytes meet now and then; for every fourth task no rule at all, and for the one before a mix."""
    rules = [
        Criterion(id="comma", text="no comma", rule=Rule(name="punctuation:no_comma", arguments={}), weight=2.0),
        Criterion(
            id="letter",
            text="a letter",
            rule=Rule(
                name="keywords:letter_frequency",
                arguments={"letter": "a", "let_frequency": 1, "let_relation": "at least"},
            ),
        ),
    ]
    judged = [Criterion(id="kind", text="The answer is kind.")]
    criteria = {2: rules + judged, 3: judged}.get(number % 4, rules)
    prompt = (Message(role="user", content=f"Write line {number}."),)
    return Task(id=f"task-{number}", prompt=prompt, rubric=Rubric(criteria=tuple(criteria)))


TASKS = [task(number) for number in range(2 * PROMPTS)]
HELD_OUT = [task(number) for number in range(20, 23)]


@dataclass(frozen=True)
class Sample:
    """One response as the server sampled it."""

    task: Task
    prompt: list[int]
    response: list[int]
    log_probs: list[float]

    def log_probs_of(self, policy: Any) -> torch.Tensor:
        """What another policy makes of its tokens, [T]."""
        logits = policy(torch.tensor([[*self.prompt, *self.response]])).logits[0, len(self.prompt) - 1 : -1]
        return torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(self.response)[:, None]).squeeze(1)


@dataclass(frozen=True)
class Run:
    """What a run of verl's command left in its folder."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)

    def metrics(self) -> dict[int, dict[str, float]]:
        lines = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text("utf-8").splitlines()]
        return {line["step"]: line["data"] for line in lines}

    def rows(self, kind: str, step: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / kind / f"{step}.jsonl").read_text("utf-8").splitlines()]

    def sampled(self, step: int) -> list[Sample]:
        """What a step trained on."""
        lines = [json.loads(line) for line in (self.folder / "samples.jsonl").read_text("utf-8").splitlines()]
        of = {tuple(prompt_of(one)): one for one in TASKS}
        return [
            Sample(of[tuple(line["prompt"])], line["prompt"], line["response"], line["log_probs"])
            for line in lines
            if line["weights_of_step"] == step - 1 and tuple(line["prompt"]) in of
        ]

    def policy(self, step: int) -> Any:
        """The policy as verl saved it after a step; before the first, the one that training began with."""
        if step == 0:
            return tiny_model()[0]
        saved = self.folder / "checkpoints" / f"global_step_{step}" / "actor" / "huggingface"
        return AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32)


def prompt_of(one: Task) -> list[int]:
    messages = [{"role": message.role, "content": message.content} for message in one.prompt]
    return list(tiny_model()[1].apply_chat_template(messages, add_generation_prompt=True, return_dict=False))


def train(folder: Path, *verls: str, processes: int, **options: Any) -> Run:
    """Run verl's command in a process of its own; ``options`` are RTT's."""
    folder.mkdir(exist_ok=True)
    model, tokenizer = tiny_model()
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    write_parquet(folder / "train.parquet", TASKS)
    write_parquet(folder / "heldout.parquet", HELD_OUT)
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    command = [
        *(sys.executable, "-m", "verl.trainer.main_ppo"),
        "trainer.v1.trainer_mode=rtt",
        "reward.reward_manager.name=rtt",
        "reward.num_workers=2",
        "algorithm.adv_estimator=grpo",
        *(f"+rtt.{name}={value}" for name, value in options.items()),
        f"data.train_files={folder}/train.parquet",
        f"data.val_files={folder}/heldout.parquet",
        f"data.train_batch_size={PROMPTS}",
        "data.shuffle=False",
        "data.max_prompt_length=128",
        f"data.max_response_length={TOKENS}",
        "data.dataloader_num_workers=0",
        f"actor_rollout_ref.model.path={folder}/model",
        "actor_rollout_ref.model.use_remove_padding=False",  # which needs flash-attn
        "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
        f"{rollout}.name=cpu",
        f"{rollout}.n={RESPONSES}",
        f"{rollout}.tensor_model_parallel_size={processes}",  # one server, whose sampling repeats
        f"{rollout}.agent.num_workers=1",
        f"{rollout}.log_prob_micro_batch_size_per_gpu=4",
        f"{actor}.strategy=fsdp2",
        f"{actor}.ppo_mini_batch_size={PROMPTS}",
        f"{actor}.ppo_micro_batch_size_per_gpu=4",
        f"{actor}.loss_agg_mode=seq-mean-token-mean",
        f"{actor}.clip_ratio_high=0.27",
        f"{actor}.optim.lr=0.01",
        f"{actor}.use_torch_compile=False",
        f"{actor}.fsdp_config.use_torch_compile=False",
        f"+{actor}.fsdp_config.mixed_precision.param_dtype=fp32",
        f"{actor}.checkpoint.save_contents=[model,optimizer,extra,hf_model]",
        f"{actor}.checkpoint.load_contents=[model,optimizer,extra]",
        "trainer.logger=[console,file]",
        "trainer.device=cpu",
        f"trainer.n_gpus_per_node={processes}",
        "trainer.val_before_train=False",
        "trainer.total_epochs=9",
        f"trainer.default_local_dir={folder}/checkpoints",
        f"trainer.rollout_data_dir={folder}/rollouts",
        f"trainer.validation_data_dir={folder}/validation",
        "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
        "ray_kwargs.ray_init.num_cpus=9",
        f"+ray_kwargs.ray_init.num_gpus={processes}",
        "+ray_kwargs.ray_init.include_dashboard=False",
        *verls,
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "VERL_USE_EXTERNAL_MODULES": "verl_on_a_cpu",
        "VERL_PLATFORM": "cpu",
        "VERL_ENGINE_DEVICE": "cuda",  # verl's FSDP engine is registered for accelerators only
        "VERL_FILE_LOGGER_PATH": str(folder / "metrics.jsonl"),
        "VERL_ON_A_CPU_SAMPLES": str(folder / "samples.jsonl"),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return Run(folder, options)


@pytest.fixture(scope="module")
def judge() -> Iterator[dict[str, Any]]:
    """RTT's options for a judge that says yes, no, or that it cannot tell, always the same of a response."""
    server = Server()
    words = ("yes", "no", "cannot tell")
    server.script = judges(lambda _, response: says(words[zlib.crc32(response.encode()) % 3], whole=True))
    yield {"judge": "m", "judge_base_url": server.url, "judge_cache": "no"}
    server.stop()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, judge: dict[str, Any]) -> Run:
    """Three steps with token-level credit in two processes; validation after the second, a checkpoint after each."""
    folder = tmp_path_factory.mktemp("verl") / "trained"
    steps = ["trainer.total_training_steps=3", "trainer.save_freq=1", "trainer.test_freq=2"]
    return train(folder, *steps, processes=2, token_weight=0.5, **judge)


@pytest.fixture(scope="module")
def resumed(trained: Run) -> Run:
    """The same from its first checkpoint on."""
    checkpoints = trained.folder.with_name("resumed") / "checkpoints"
    shutil.copytree(trained.folder / "checkpoints" / "global_step_1", checkpoints / "global_step_1")
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("1", "utf-8")
    steps = ["trainer.total_training_steps=3", "trainer.save_freq=1", "trainer.resume_mode=auto"]
    return train(checkpoints.parent, *steps, processes=2, **trained.options)


@pytest.fixture(scope="module")
def plain(trained: Run) -> Run:
    """One step of GRPO, in one process."""
    folder = trained.folder.with_name("plain")
    return train(folder, "trainer.total_training_steps=1", processes=1, **{**trained.options, "token_weight": 0})


@dataclass(frozen=True)
class Step:
    """What a step must have been, computed from its samples and the policy before it."""

    metrics: dict[str, float]
    scores: list[float]


def once_more(run: Run, step: int) -> Step:
    """Verdicts by the rules, advantages by the reference in float64, the loss and its gradient by autograd."""
    settings, judging = read_settings(OmegaConf.create({"rtt": run.options}))
    tokenizer = tiny_model()[1]
    sampled = run.sampled(step)
    responses = [response_from_tokens(one.task.id, one.response, tokenizer) for one in sampled]
    answers = [(one.task, response.text) for one, response in zip(sampled, responses, strict=True)]
    verdicts = verify_batch(answers, judging.build())
    source = settings.build_relevance(seed=0, device="cpu", contrast=dict)
    relevance = source([one.task for one in sampled], responses, verdicts)
    rows = credit.collate(
        [
            credit.CreditRow(
                verdicts=[int(verdict.outcome) for verdict in verdicts[i]],
                relevance=relevance[i],
                group=TASKS.index(one.task),
                weights=[criterion.weight for criterion in one.task.rubric.criteria],
            )
            for i, one in enumerate(sampled)
        ]
    )
    unweighted = credit.collate(
        [
            credit.CreditRow(
                verdicts=[int(verdict.outcome) for verdict in found], relevance=torch.zeros(len(found), 0), group=0
            )
            for found in verdicts
        ]
    )
    rewards = reference.satisfied_fraction(unweighted)  # `csr`, the default
    of_responses = reference.response_advantages(rewards, rows.group.numpy())
    of_tokens = settings.token_weight * reference.PARTITIONS[settings.partition](rows)
    mask = rows.mask.numpy()
    advantages = np.where(mask, of_responses[:, None] + of_tokens, 0.0)
    known = [verdict for found in verdicts for verdict in found]
    return Step(
        {
            **policy_gradient(run.policy(step - 1), sampled, advantages),
            "critic/advantages/max": advantages[mask].max(),
            "critic/advantages/min": advantages[mask].min(),
            "critic/advantages/mean": advantages[mask].mean(),
            "rtt/undetermined": sum(not verdict.determined for verdict in known) / len(known),
            "rtt/rubric_accuracy": sum(int(verdict.outcome) == 1 for verdict in known)
            / sum(verdict.determined for verdict in known),
            "rtt/response_advantage_size": np.abs(of_responses[:, None] * mask).sum() / mask.sum(),
            "rtt/token_advantage_size": np.abs(of_tokens * mask).sum() / mask.sum(),
            "rtt/token_advantage_max": np.abs(of_tokens).max(),
        },
        [0.0 if math.isnan(reward) else float(reward) for reward in rewards],
    )


def policy_gradient(policy: Any, sampled: list[Sample], advantages: np.ndarray[Any, Any]) -> dict[str, float]:
    """The loss of the first update on a batch, where each ratio is 1, and the size of its gradient."""
    value = 0.0
    for one, row in zip(sampled, advantages, strict=True):
        own = torch.from_numpy(row[: len(one.response)]).float()
        (-(own * one.log_probs_of(policy)).mean() / len(sampled)).backward()
        value -= float(own.mean()) / len(sampled)
    size = math.sqrt(sum(float((weight.grad**2).sum()) for weight in policy.parameters()))
    return {"actor/pg_loss": value, "actor/grad_norm": size}


OF_A_STEP = ("rtt/", "actor/pg_loss", "actor/grad_norm", "critic/")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_step_is_the_method(trained: Run, step: int) -> None:
    expected, metrics = once_more(trained, step), trained.metrics()[step]
    assert len(expected.scores) == PROMPTS * RESPONSES
    assert {name: metrics[name] for name in expected.metrics} == pytest.approx(expected.metrics, rel=1e-4, abs=1e-5)
    assert expected.metrics["rtt/token_advantage_size"] > 0.01
    assert 0 < expected.metrics["rtt/undetermined"] < 1
    assert metrics["rtt/groups_with_token_signal"] > 0
    assert metrics["rtt/judge_failed"] == 0
    assert all(math.isfinite(value) for value in metrics.values())
    rows = trained.rows("rollouts", step)
    assert sorted(row["score"] for row in rows) == pytest.approx(sorted(expected.scores))


@pytest.mark.parametrize("step", [2, 3])
def test_a_step_samples_from_the_policy_of_the_one_before(trained: Run, step: int) -> None:
    def difference(policy: Any) -> float:
        pairs = [(one.log_probs_of(policy).detach(), one.log_probs) for one in trained.sampled(step)]
        return max(float((found - torch.tensor(sampled)).abs().max()) for found, sampled in pairs)

    assert difference(trained.policy(step - 1)) < 1e-5 < 1e-3 < difference(trained.policy(step - 2))


def test_validation_keeps_each_payload(trained: Run) -> None:
    rows = trained.rows("validation", 2)
    payloads = {payload.task_id: payload for payload in (Payload.from_json(row[FIELD]) for row in rows)}
    assert set(payloads) == {one.id for one in HELD_OUT}
    for row in rows:
        found = payloads[Task.from_json(row["gts"]).id]
        assert row["score"] == pytest.approx(found.reward or 0.0)
        assert found.relevance.shape[1] > 0
    assert trained.metrics()[2]["val-core/rtt/reward/mean@1"] == pytest.approx(np.mean([row["score"] for row in rows]))


def test_a_resumed_run_goes_on_as_the_undisturbed_one(trained: Run, resumed: Run) -> None:
    assert list(resumed.metrics()) == [2, 3]
    for step, metrics in resumed.metrics().items():
        undisturbed = {name: value for name, value in trained.metrics()[step].items() if name.startswith(OF_A_STEP)}
        assert {name: metrics[name] for name in undisturbed} == pytest.approx(undisturbed, rel=1e-4, abs=1e-5)
    ended = resumed.policy(3)
    assert distance(ended, trained.policy(3)) < 1e-5 < 1e-3 < distance(ended, trained.policy(2))


def test_without_a_token_weight_a_step_is_grpo(trained: Run, plain: Run) -> None:
    expected, metrics = once_more(plain, 1), plain.metrics()[1]
    assert {name: metrics[name] for name in expected.metrics} == pytest.approx(expected.metrics, rel=1e-4, abs=1e-5)
    assert metrics["rtt/token_advantage_size"] == 0
    assert sorted(one.response for one in plain.sampled(1)) == sorted(one.response for one in trained.sampled(1))
    assert metrics["actor/grad_norm"] != pytest.approx(trained.metrics()[1]["actor/grad_norm"], rel=0.01)


def distance(one: Any, other: Any) -> float:
    """The largest difference between two policies' weights."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((left - right).detach().abs().max()) for left, right in pairs)
