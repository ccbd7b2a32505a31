"""RTT inside the real verl, on a CPU: plugin, settings, data, reward manager, and the advantages through TransferQueue.

verl needs an environment of its own: ``make test-verl``. Whole training steps are in test_verl_steps.py.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from credit import reference
from scripted_endpoint import Server

from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError, DataError, JudgeFailureError, ShapeError
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome, Span, Verdict

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # verl's own, and those of its libraries
    pytest.importorskip("verl.trainer.ppo.v1", reason="verl is not installed here; see `make test-verl`")

import ray
import torch
import transfer_queue
from hydra import compose, initialize_config_module
from omegaconf import DictConfig
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl import DataProto
from verl.trainer.ppo.padding_utils import upsample_batch_to_divisible_size
from verl.trainer.ppo.reward import load_reward_manager
from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from rtt import credit
from rtt.trainers.settings import CreditSettings
from rtt.trainers.verl import write_parquet
from rtt.trainers.verl.payload import FIELD, Payload
from rtt.trainers.verl.settings import check_engine, read_settings
from rtt.trainers.verl.trainer import RTTTrainer

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # verl's own, and those of its libraries
    pytest.mark.enable_socket,  # Ray's processes talk by this machine's own address
]

PARTITIONS = list(credit.PARTITIONS)


def verls(*options: str) -> DictConfig:
    """verl's configuration as its command composes it, with what docs/verl.md says to set."""
    with initialize_config_module(config_module="verl.trainer.config", version_base=None):
        return compose(
            "ppo_trainer",
            overrides=[
                "trainer.v1.trainer_mode=rtt",
                "reward.reward_manager.name=rtt",
                "algorithm.adv_estimator=grpo",
                "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
                *options,
            ],
        )


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)


# ------------------------------------------------------------------------------------------------------------- plugin


def test_importing_verl_loads_the_plugin_and_nothing_heavy() -> None:
    done = python("import verl, sys; print(*sys.modules, sep='\\n')")
    modules = set(done.stdout.split())
    assert "rtt.trainers.verl.plugin" in modules, done.stderr
    assert not {"rtt.trainers.verl.rewards", "rtt.trainers.verl.trainer", "rtt.credit"} & modules


def test_verls_registries_know_rtt_in_a_fresh_process() -> None:
    done = python(
        "from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls\n"
        "import sys\n"
        "assert 'rtt.trainers.verl.trainer' not in sys.modules\n"
        "from verl.trainer.ppo.v1 import get_trainer_cls\n"
        "assert 'trl' not in sys.modules\n"
        "print(get_reward_manager_cls('rtt').__name__, get_trainer_cls('rtt').__name__)\n"
    )
    assert done.stdout.split() == ["RubricRewardManager", "RTTTrainer"], done.stderr


@pytest.mark.parametrize(
    ("broken", "registry"),
    [
        ("rtt.trainers.verl.rewards", "verl.experimental.reward_loop.reward_manager"),
        ("rtt.trainers.verl.trainer", "verl.trainer.ppo.v1"),
    ],
)
def test_a_class_that_cannot_be_registered_fails_the_import_of_its_registry(broken: str, registry: str) -> None:
    done = python(f"import sys; sys.modules[{broken!r}] = None\nimport verl\nprint('verl is there')\nimport {registry}")
    assert done.stdout == "verl is there\n"
    assert done.returncode == 1
    assert f"import of {broken} halted" in done.stderr


def test_a_plugin_that_cannot_be_loaded_says_what_to_install() -> None:
    done = python("import sys; sys.modules['wrapt'] = None\nimport verl")
    assert "RTT's plugin for verl needs the package 'wrapt'" in done.stderr
    assert "pip install 'rubrics-to-tokens[verl]'" in done.stderr


# ----------------------------------------------------------------------------------------------------------- settings


def test_settings_have_the_names_and_defaults_of_every_engine() -> None:
    settings, judging = read_settings(verls())
    assert {one.name: getattr(settings, one.name) for one in fields(CreditSettings)} == {
        one.name: one.default for one in fields(CreditSettings)
    } | {"token_weight": 2.0}  # which depends on the partition, so that it has no default of its own
    assert read_settings(verls("+rtt.partition=intra_sample"))[0].token_weight == 0.5
    assert judging.build() is None


def test_settings_come_from_one_key() -> None:
    options = ["+rtt.token_weight=1", "+rtt.token_advantage_bound=3", "+rtt.judge=m", "+rtt.judge_request={seed: 1}"]
    settings, judging = read_settings(verls(*options))
    assert (settings.token_weight, settings.token_advantage_bound) == (1.0, 3.0)
    assert (judging.judge, judging.judge_request) == ("m", {"seed": 1})
    assert read_settings(verls("+rtt.preset=paper"))[0].partition == "intra_sample"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["+rtt.token_wieght=0.2"], r"rtt\.token_wieght is not an option; did you mean 'token_weight'\?"),
        (["+rtt.token_weight=much"], r"rtt\.token_weight='much': .*valid number"),
        (["+rtt.token_weight=-1"], "token_weight=-1.0; expected a finite number of at least 0"),
        (["+rtt.partition=all"], r"rtt\.partition='all': .*'criterion_group'"),
        (["+rtt.preset=paper", "+rtt.sigma_floor=0.1"], "preset='paper' sets sigma_floor=0.0"),
        (["+rtt=7"], r"rtt=7; expected options"),
        (["+rtt.relevance=shuffled"], "a reward worker of verl sees one response at a time"),
        (["+rtt.relevance=contrast"], "needs a relevance_model: verl's reward workers do not hold the policy"),
        (["+rtt.judge_timeout=5"], "judge_timeout without a judge"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_settings(verls(*options))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("reward.reward_manager.name=naive", "RTT needs reward.reward_manager.name=rtt"),
        ("reward.reward_model.enable=True", "RTT needs reward.reward_model.enable=False"),
        ("reward.custom_reward_function.path=f.py", "RTT needs reward.custom_reward_function.path=null"),
        ("algorithm.adv_estimator=gae", "RTT needs algorithm.adv_estimator=grpo"),
        ("actor_rollout_ref.rollout.multi_turn.enable=True", "RTT needs .*multi_turn.enable=False"),
        ("actor_rollout_ref.actor.policy_loss.loss_mode=gspo", "loss_mode=gspo weighs or gates a response as a whole"),
    ],
)
def test_options_of_verl_that_would_mean_something_else_are_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RTTTrainer(verls(option))


def test_a_loss_over_whole_responses_is_fine_without_token_advantages() -> None:
    config = verls("actor_rollout_ref.actor.policy_loss.loss_mode=gspo", "+rtt.token_weight=0")
    check_engine(config, read_settings(config)[0])


# --------------------------------------------------------------------------------------------------- data and payload


def test_verls_dataset_reads_what_is_written(tasks: list[Task], tmp_path: Path) -> None:
    assert write_parquet(tmp_path / "train.parquet", tasks) == len(tasks)
    config = verls("data.max_prompt_length=200", "data.filter_overlong_prompts=True").data
    dataset = RLHFDataset(str(tmp_path / "train.parquet"), tiny_model()[1], config)
    assert [Task.from_json(row["reward_model"]["ground_truth"]) for row in dataset] == tasks
    assert [row["raw_prompt"] for row in dataset] == [
        [{"role": message.role, "content": message.content} for message in task.prompt] for task in tasks
    ]
    assert [row["index"] for row in dataset] == [0, 1, 2, 3]


def test_a_payload_comes_back_bit_for_bit() -> None:
    relevance = np.random.default_rng(0).random((3, 50), dtype=np.float32)
    relevance[0, :3] = [0.0, 1.0, np.nextafter(np.float32(1), np.float32(0))]
    verdicts = (
        Verdict("a", Outcome.VIOLATED, "rule:x", 'said "so", ✓', (Span(1, 2, "violation"),)),
        Verdict("b", Outcome.UNDETERMINED, "judge:m", failed=True),
        Verdict("c", Outcome.SATISFIED, "rule:y", scope="response"),
    )
    sent = Payload("t", verdicts, (1.0, 0.1, -2.0), relevance, None)
    line = sent.to_json()
    came = Payload.from_json(line)
    assert "\n" not in line
    assert (came.task_id, came.verdicts, came.weights, came.reward) == ("t", verdicts, (1.0, 0.1, -2.0), None)
    assert came.relevance.dtype == np.float32
    assert came.relevance.tobytes() == relevance.tobytes()


def test_a_payload_of_an_empty_response_or_rubric_keeps_its_shape() -> None:
    for shape in ((2, 0), (0, 5)):
        verdicts = tuple(Verdict(f"c{k}", Outcome.SATISFIED, "rule:x") for k in range(shape[0]))
        sent = Payload("t", verdicts, (1.0,) * shape[0], np.zeros(shape, dtype=np.float32), 1.0)
        assert Payload.from_json(sent.to_json()).relevance.shape == shape


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"verdicts": 3}'])
def test_what_is_no_payload_is_refused(line: str) -> None:
    with pytest.raises(DataError, match="not a payload of rtt.trainers.verl"):
        Payload.from_json(line)


def test_a_payload_whose_parts_do_not_fit_is_refused() -> None:
    verdicts = (Verdict("a", Outcome.SATISFIED, "rule:x"),)
    with pytest.raises(ShapeError, match="payload of task 't': 1 verdicts, 2 weights"):
        Payload("t", verdicts, (1.0, 1.0), np.zeros((1, 4), dtype=np.float32), 1.0)


# ----------------------------------------------------------------------------------------------------- reward manager


TASK = Task(
    id="t",
    prompt=(Message(role="user", content="Say héllo."),),
    rubric=Rubric(
        criteria=(
            Criterion(id="comma", text="no comma", rule=Rule(name="punctuation:no_comma", arguments={}), weight=3.0),
            Criterion(
                id="word", text="says robot", rule=Rule(name="keywords:existence", arguments={"keywords": ["robot"]})
            ),
        )
    ),
)
JUDGED = Task(id="j", prompt=TASK.prompt, rubric=Rubric(criteria=(Criterion(id="kind", text="The answer is kind."),)))


def item(task: Task, ids: Sequence[int], *, padding: int = 0) -> DataProto:
    """One sampled response as verl's agent loop hands it to a reward worker."""
    tokens = torch.tensor([[*ids, *[0] * padding]])
    prompts = torch.ones(1, 4, dtype=torch.int64)
    mask = torch.cat([torch.ones(1, 4 + len(ids)), torch.zeros(1, padding)], dim=1).long()
    return DataProto(
        batch=TensorDict({"prompts": prompts, "responses": tokens, "attention_mask": mask}, batch_size=1),
        non_tensor_batch={
            "reward_model": np.array([{"style": "rule", "ground_truth": task.to_json()}], dtype=object),
            "data_source": np.array(["rtt"], dtype=object),
            "tool_extra_fields": np.array([{}], dtype=object),
        },
    )


def judge_alone(config: DictConfig, task: Task, text: str, *, padding: int = 0) -> tuple[float, Payload]:
    """What verl's own loading and call of the reward manager give for one response, ended by its last token."""
    tokenizer = tiny_model()[1]
    manager = load_reward_manager(config, tokenizer, reward_router_address=None, reward_model_tokenizer=None)
    ids = [*tokenizer.encode(text), tokenizer.eos_token_id]
    result = manager.loop.run_until_complete(manager.run_single(item(task, ids, padding=padding)))
    assert list(result) == ["reward_score", "reward_extra_info"]
    return result["reward_score"], Payload.from_json(result["reward_extra_info"][FIELD])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.mark.parametrize("padding", [0, 3])
def test_a_response_is_rewarded_and_located(padding: int) -> None:
    text = "Héllo, robot"
    reward, payload = judge_alone(verls(), TASK, text, padding=padding)
    assert reward == payload.reward == 0.5
    assert [verdict.outcome for verdict in payload.verdicts] == [Outcome.VIOLATED, Outcome.SATISFIED]
    assert payload.weights == (3.0, 1.0)
    place = text.encode().index(b",")  # é is two tokens of one byte each
    comma, word = np.zeros((2, len(text.encode()) + 1))
    comma[place] = 1
    word[-6:-1] = 1  # "robot", not the token that ends the response
    np.testing.assert_array_equal(payload.relevance, [comma, word])


@pytest.mark.parametrize(("reward", "expected"), [("csr", 0.5), ("weighted", 0.25), ("aon", 0.0)])
def test_each_reward_has_its_name(reward: str, expected: float) -> None:
    assert judge_alone(verls(f"+rtt.reward={reward}"), TASK, "Hello, robot")[0] == expected


def test_without_a_token_weight_nothing_is_located() -> None:
    _, payload = judge_alone(verls("+rtt.token_weight=0"), TASK, "Hello, robot")
    assert payload.relevance.shape == (2, 13)
    assert not payload.relevance.any()


def test_without_a_judge_there_is_no_reward_but_verl_gets_a_number() -> None:
    reward, payload = judge_alone(verls(), JUDGED, "Hello")
    assert reward == 0.0
    assert payload.reward is None
    assert [verdict.outcome for verdict in payload.verdicts] == [Outcome.UNDETERMINED]


def test_a_judge_decides_what_has_no_rule(server: Server) -> None:
    options = [f"+rtt.judge_base_url={server.url}", "+rtt.judge=m", "+rtt.judge_cache=no"]
    reward, payload = judge_alone(verls(*options), JUDGED, "Hello")
    assert reward == payload.reward == 1.0
    assert payload.verdicts[0].source == "judge:m"
    assert len(server.questions) == 1


def test_a_judge_that_cannot_be_used_fails_verdicts_and_never_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    options = ["+rtt.judge_base_url=https://api.openai.com/v1", "+rtt.judge=m", "+rtt.judge_cache=no"]
    reward, payload = judge_alone(verls(*options), JUDGED, "Hello")
    assert (reward, payload.reward) == (0.0, None)
    assert payload.verdicts[0].failed
    assert "OPENAI_API_KEY" in payload.verdicts[0].reason


def test_many_responses_are_scored_side_by_side() -> None:
    tokenizer = tiny_model()[1]
    manager = load_reward_manager(verls(), tokenizer, reward_router_address=None, reward_model_tokenizer=None)
    texts = ["robot", "no", "a, robot", ","]

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(manager.run_single(item(TASK, tokenizer.encode(text))) for text in texts))

    results = manager.loop.run_until_complete(all_of_them())
    assert [result["reward_score"] for result in results] == [1.0, 0.5, 0.5, 0.0]


# --------------------------------------------------------------------- advantages, through TransferQueue and verl's own


@pytest.fixture(scope="module")
def queue() -> Iterator[None]:
    """verl's TransferQueue in Ray on this machine, as verl's task runner starts it."""
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False)
    transfer_queue.init(verls().transfer_queue)
    yield
    transfer_queue.close()
    ray.shutdown()


Row = tuple[str, Payload, list[int]]
_numbers = itertools.count()


def random_rows(seed: int) -> list[Row]:
    """Two prompts, ragged rubrics and responses; one response without reward, one with tokens that do not count."""
    random = np.random.default_rng(seed)
    weights = [tuple(random.choice([-1.0, 1.0, 2.0], size=2 + group).tolist()) for group in range(2)]
    rows = []
    for group, session in itertools.product(range(2), range(4)):
        criteria, tokens = 2 + group, int(random.integers(3, 9))
        outcomes = random.choice([-1, 0, 1], size=criteria, p=[0.4, 0.2, 0.4])
        outcomes = np.zeros_like(outcomes) if (group, session) == (1, 2) else outcomes
        outcomes[: int(session < 2 and not outcomes.any())] = 1
        determined = outcomes[outcomes != 0]
        payload = Payload(
            task_id=f"task-{group}",
            verdicts=tuple(Verdict(f"c{k}", Outcome(int(o)), "rule:x") for k, o in enumerate(outcomes)),
            weights=weights[group],
            relevance=random.random((criteria, tokens), dtype=np.float32),
            reward=float((determined > 0).mean()) if len(determined) else None,
        )
        mask = [1] * tokens
        if (group, session) == (0, 1):
            mask[1] = 0
        rows.append((f"uid{group}", payload, mask))
    return rows


def put(rows: Sequence[Row], *, padding: int = 0) -> KVBatchMeta:
    """Rows in TransferQueue as verl's agent loops leave them, and as verl pads a batch."""
    partition = f"train{next(_numbers)}"  # what a test leaves behind is not the next one's
    fields_of_rows, keys, tags = [], [], []
    for number, (uid, payload, mask) in enumerate(rows):
        scores = torch.zeros(len(mask))
        scores[-1] = payload.reward or 0.0
        fields_of_rows.append(
            {
                "uid": uid,
                "prompts": torch.ones(3, dtype=torch.int64),
                "responses": torch.arange(len(mask)),
                "response_mask": torch.tensor(mask),
                "rm_scores": scores,
                "rollout_log_probs": torch.zeros(len(mask)),
                "extra_fields": {"reward_extra_info": {FIELD: payload.to_json()}},
            }
        )
        keys.append(f"{uid}_{number}_0")
        tags.append({"status": "success", "seq_len": 3 + len(mask)})
    batch = transfer_queue.kv_batch_put(
        keys=keys, partition_id=partition, fields=list_of_dict_to_tensordict(fields_of_rows), tags=tags
    )
    batch = upsample_batch_to_divisible_size(batch, len(rows) + padding, eos_token_id=2) if padding else batch
    lengths = [len(mask) for _, _, mask in rows] + [1] * padding
    log_probs = torch.nested.as_nested_tensor([torch.zeros(length) for length in lengths], layout=torch.jagged)
    return transfer_queue.kv_batch_put(
        keys=batch.keys,
        partition_id=partition,
        fields=TensorDict({"old_log_probs": log_probs}, batch_size=len(batch)),
    )


def advantages(
    rows: Sequence[Row], *options: str, padding: int = 0, trainer: str = "rtt"
) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """What ``_compute_advantage`` of a real trainer leaves in TransferQueue, row by row, and its metrics."""
    batch = put(rows, padding=padding)
    made = get_trainer_cls(trainer)(verls(*options))
    made.tokenizer, made.global_steps = tiny_model()[1], 7
    metrics: dict[str, Any] = {}
    batch = made._compute_advantage(batch, metrics)
    found = transfer_queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["advantages"])
    return list(found["advantages"].unbind()), metrics


def batch_of(rows: Sequence[Row]) -> credit.CreditBatch:
    """The same rows for the reference, which shares no code with the trainer."""
    groups = {"uid0": 0, "uid1": 1}
    return credit.collate(
        [
            credit.CreditRow(
                verdicts=[int(verdict.outcome) for verdict in payload.verdicts],
                relevance=payload.relevance,
                group=groups[uid],
                weights=payload.weights,
                mask=mask,
            )
            for uid, payload, mask in rows
        ]
    )


def of_grpo(rows: Sequence[Row]) -> list[float]:
    """(R - mean) / (std + 1e-6) over the rewarded responses to the same prompt, 0 for one without reward."""
    found = []
    for uid, payload, _ in rows:
        rewards = [other.reward for same, other, _ in rows if same == uid and other.reward is not None]
        spread = np.std(rewards, ddof=1) + 1e-6
        found.append(0.0 if payload.reward is None else float((payload.reward - np.mean(rewards)) / spread))
    return found


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("how", ["add", "mix"])
def test_advantages_are_verls_plus_those_of_the_tokens(queue: None, partition: str, how: str) -> None:
    rows = random_rows(seed=PARTITIONS.index(partition))
    weight = 0.3
    options = [f"+rtt.partition={partition}", f"+rtt.token_weight={weight}", f"+rtt.combine={how}"]
    found, _ = advantages(rows, *options, padding=3)
    expected = reference.PARTITIONS[partition](batch_of(rows))
    assert len(found) == len(rows) + 3
    for i, (own, response) in enumerate(zip(found, of_grpo(rows), strict=False)):
        mask = np.array(rows[i][2])
        share = 1 - weight if how == "mix" else 1
        wanted = mask * (share * response + weight * expected[i, : len(mask)])
        np.testing.assert_allclose(own.numpy(), wanted, rtol=1e-5, atol=1e-5)
    assert all(own.tolist() == [0.0] for own in found[len(rows) :])  # verl's padding


def test_a_weight_of_zero_is_verls_grpo_bit_for_bit(queue: None) -> None:
    rows = [row for row in random_rows(seed=9) if row[1].reward is not None]
    ours, metrics = advantages(rows, "+rtt.token_weight=0", padding=2)
    verl_s, of_verl = advantages(rows, "trainer.v1.trainer_mode=sync", padding=2, trainer="sync")
    assert [own.numpy().tobytes() for own in ours] == [own.numpy().tobytes() for own in verl_s]
    assert any(own.any() for own in ours)
    assert set(of_verl) == set(metrics) - {name for name in metrics if name.startswith("rtt/")}


def test_a_response_without_reward_moves_no_other(queue: None) -> None:
    rows = random_rows(seed=4)
    alone, _ = advantages([row for row in rows if row[1].reward is not None], "+rtt.token_weight=0")
    together, _ = advantages(rows, "+rtt.token_weight=0")
    rewarded = [own for own, row in zip(together, rows, strict=True) if row[1].reward is not None]
    assert [own.tolist() for own in rewarded] == [own.tolist() for own in alone]
    (without,) = [own for own, row in zip(together, rows, strict=True) if row[1].reward is None]
    assert not without.any()


@pytest.mark.parametrize("weight", [0, 0.5])
def test_the_only_response_with_a_reward_has_nothing_to_be_compared_with(queue: None, weight: float) -> None:
    """verl's advantage of a response alone in its group is its score, here 1 and as good as any."""
    known, unknown = (Verdict("c", Outcome(outcome), "rule:x") for outcome in (1, 0))
    ones = np.ones((1, 4), dtype=np.float32)
    without = ("uid0", Payload("t", (unknown,), (1.0,), ones, None), [1] * 4)
    compared = [
        ("uid1", Payload("u", (Verdict("c", Outcome(outcome), "rule:x"),), (1.0,), ones, reward), [1] * 4)
        for outcome, reward in ((1, 1.0), (-1, 0.0))
    ]
    rows = [without, ("uid0", Payload("t", (known,), (1.0,), ones, 1.0), [1] * 4), without, *compared]
    found, metrics = advantages(rows, f"+rtt.token_weight={weight}", padding=1)
    expected = weight * reference.PARTITIONS["criterion_group"](batch_of(rows))
    expected += np.array([0, 0, 0, 1, -1])[:, None] * (0.5 / (np.std([1, 0], ddof=1) + 1e-6))
    for own, wanted in zip(found, expected, strict=False):
        np.testing.assert_allclose(own.numpy(), wanted, rtol=1e-5, atol=1e-5)
    assert metrics["rtt/groups_without_response_signal"] == 1 / 2


def test_gdpo_takes_the_place_of_verls_advantages(queue: None) -> None:
    rows = random_rows(seed=5)
    found, _ = advantages(rows, "+rtt.token_weight=0", "+rtt.response_advantage=gdpo", "+rtt.reward=weighted")
    for own, expected, row in zip(found, reference.gdpo(batch_of(rows)), rows, strict=True):
        np.testing.assert_allclose(own.numpy(), np.array(row[2]) * expected, rtol=1e-5, atol=1e-5)


def test_special_tokens_can_be_left_out(queue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows(seed=6)
    monkeypatch.setattr(type(tiny_model()[1]), "all_special_ids", [0, 2])  # of the response ids 0, 1, 2, ...
    found, _ = advantages(
        rows, "+rtt.partition=intra_sample", "+rtt.token_weight=0.5", "+rtt.exclude_special_tokens=true"
    )
    batch = batch_of(rows)
    special = torch.zeros_like(batch.mask)
    special[:, [0, 2]] = True
    expected = reference.PARTITIONS["intra_sample"](batch, special=special)
    for i, (own, response) in enumerate(zip(found, of_grpo(rows), strict=True)):
        mask = np.array(rows[i][2])
        np.testing.assert_allclose(
            own.numpy(), mask * (response + 0.5 * expected[i, : len(mask)]), rtol=1e-5, atol=1e-5
        )


def test_metrics_say_what_the_credit_was(queue: None) -> None:
    satisfied, violated, unknown = (Verdict("c", outcome, "rule:x") for outcome in (1, -1, 0))
    failed = Verdict("d", Outcome.UNDETERMINED, "judge:m", "timed out", failed=True)
    ones = np.ones((2, 4), dtype=np.float32)
    rows = [
        ("uid0", Payload("t", (satisfied, satisfied), (1.0, 1.0), ones, 1.0), [1] * 4),
        ("uid0", Payload("t", (satisfied, violated), (1.0, 1.0), ones, 0.5), [1] * 4),
        ("uid1", Payload("u", (violated, failed), (1.0, 1.0), ones, 0.0), [1] * 4),
        ("uid1", Payload("u", (violated, unknown), (1.0, 1.0), ones, 0.0), [1] * 4),
    ]
    _, metrics = advantages(rows, "+rtt.token_weight=0.5", "+rtt.judge_max_failed=1", padding=1)
    named = {name.removeprefix("rtt/"): value for name, value in metrics.items() if name.startswith("rtt/")}
    assert named == pytest.approx(
        {
            "undetermined": 2 / 8,
            "judge_failed": 1.0,
            "rubric_accuracy": 3 / 6,
            "instruction_accuracy": 1 / 4,
            "response_advantage_size": 0.25 / math.sqrt(0.125) * 2 / 4,  # the rewards 1 and 0.5, and twice nothing
            "token_advantage_size": 0.5 * 2 / 4,  # the second criterion tells two responses apart
            "token_advantage_max": 0.5,
            "groups_without_response_signal": 1 / 2,
            "groups_with_token_signal": 1 / 2,
        },
        abs=1e-5,
    )


def test_training_stops_when_the_judge_fails_too_often(queue: None) -> None:
    failed = Verdict("c", Outcome.UNDETERMINED, "judge:m", "timed out", failed=True)
    rows = [("uid0", Payload("t", (failed,), (1.0,), np.ones((1, 3), dtype=np.float32), None), [1] * 3)] * 2
    with pytest.raises(
        JudgeFailureError,
        match=r"failed on 2 of 2 verdicts .* for step 7, .*: 2 x timed out\. .*trainer\.resume_mode=auto",
    ):
        advantages(rows)


def test_rows_of_another_reward_manager_are_refused(queue: None) -> None:
    batch = put(random_rows(seed=1))
    transfer_queue.kv_batch_put(
        keys=batch.keys,
        partition_id=batch.partition_id,
        fields=list_of_dict_to_tensordict([{"extra_fields": {"reward_extra_info": {"acc": 1.0}}}] * len(batch)),
    )
    made = RTTTrainer(verls())
    with pytest.raises(ConfigurationError, match=r"uid0_0_0 came without a payload; expected reward\.reward_manager"):
        made._compute_advantage(batch, {})


def test_a_payload_of_another_length_is_refused(queue: None) -> None:
    rows = random_rows(seed=2)
    rows[0] = (rows[0][0], rows[0][1], [*rows[0][2], 1])
    with pytest.raises(ShapeError, match="response to task 'task-0' has .* several outputs a response"):
        advantages(rows)


def test_the_trainer_is_synchronous_for_verl() -> None:
    """verl knows the synchronous mode by its name, and gives any other name the asynchronous buffer."""
    made = RTTTrainer(verls())
    assert isinstance(made, PPOTrainerSync)
    assert made.trainer_mode == made.config.trainer.v1.trainer_mode == "sync"
    assert type(made.replay_buffer) is ReplayBuffer
