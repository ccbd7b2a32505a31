"""RTTTrainer: GRPO where lambda is 0, the method's advantages where it is not, and clear refusals."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import RepeatSampler

from rtt import credit
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError, NonFiniteLossError, ShapeError
from rtt.records import Record, read_records
from rtt.relevance import UniformRelevance
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.trainers.trl import RTTConfig, RTTTrainer, RubricReward, _ResumableOrder, task_dataset
from rtt.verdicts import Outcome, Verdict

Settings = Callable[..., dict[str, Any]]


def trained(trainer: GRPOTrainer) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    trainer.train()
    return trainer.state.log_history, trainer.model.state_dict()


def rtt_trainer(tasks: Sequence[Task], config: RTTConfig, **kwargs: Any) -> RTTTrainer:
    model, tokenizer = tiny_model()
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer, **kwargs)


def records_of(trainer: RTTTrainer) -> list[Record]:
    trainer.train()
    return list(read_records(Path(trainer.args.output_dir) / "records"))


# -------------------------------------------------------------------------------------------------- lambda = 0 is GRPO


@pytest.mark.parametrize("reward", ["csr", "aon"])
def test_lambda_zero_is_grpo_bit_for_bit(tasks: list[Task], settings: Settings, reward: Any) -> None:
    """Losses, gradients, every metric of TRL's and the weights after 5 steps are those of GRPOTrainer."""
    options = settings(max_steps=5, num_iterations=2)  # the second iteration is off-policy: ratios, clipping, a loss
    model, tokenizer = tiny_model()
    stock = GRPOTrainer(
        model=model,
        reward_funcs=RubricReward(reward),
        args=GRPOConfig(**options),
        train_dataset=task_dataset(tasks),
        processing_class=tokenizer,
    )
    history, weights = trained(stock)
    ours = rtt_trainer(tasks, RTTConfig(**options, reward=reward, token_weight=0.0))
    our_history, our_weights = trained(ours)

    assert len(our_history) == len(history) == 6
    assert any(step["grad_norm"] > 0 for step in history[:-1])
    timing = ("time", "runtime", "per_second")
    for theirs, mine in zip(history, our_history, strict=True):
        for name, value in theirs.items():
            if not any(word in name for word in timing):
                assert mine[name] == value, name
    assert all(torch.equal(weights[name], our_weights[name]) for name in weights)


def test_a_token_weight_changes_the_update(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    _, plain = trained(rtt_trainer(tasks, config(token_weight=0.0)))
    _, credited = trained(rtt_trainer(tasks, config(token_weight=0.5)))
    assert any(not torch.equal(plain[name], credited[name]) for name in plain)


def test_scoring_leaves_torchs_generator_alone(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    """Were it otherwise, another lambda would sample other responses in the first step."""
    texts = []
    for weight in (0.0, 0.5):
        records = records_of(rtt_trainer(tasks, config(token_weight=weight, records_steps=1, max_steps=1)))
        texts.append([record.response.text for record in records])
    assert texts[0] == texts[1]


# -------------------------------------------------------------------------------------- the advantages are the method's


def by_hand(record: Record, weight: float) -> list[float]:
    """A_res + lambda A_tok for one response, in plain Python and float64."""
    tokens = len(record.response.token_ids)
    total = np.zeros(tokens)
    determined = [k for k, verdict in enumerate(record.verdicts) if verdict.determined]
    for k in determined:
        r = int(record.verdicts[k].outcome) * np.array(record.relevance[k], dtype=np.float64)
        total += (r - r.mean()) / (np.sqrt(np.mean((r - r.mean()) ** 2)) + 1e-6)
    return (record.response_advantage + weight * total / max(len(determined), 1)).tolist()


def test_the_loss_sees_the_methods_advantages(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    trainer = rtt_trainer(tasks, config(token_weight=0.5, records_steps=1, exclude_special_tokens=False))
    seen = []
    original = trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: (seen.append(inputs), original(model, inputs))[1]
    records = records_of(trainer)
    assert len(records) == 16
    assert len({len(record.verdicts) for record in records}) == 2  # rubrics of different lengths in one batch
    for record in records:
        np.testing.assert_allclose(record.advantages, by_hand(record, 0.5), atol=2e-5)
    for step, inputs in enumerate(seen, start=1):  # TRL shuffles a rollout before it is used: compare as sets
        used = [
            (ids[mask].tolist(), advantages[mask].tolist())
            for ids, advantages, mask in zip(
                inputs["completion_ids"], inputs["advantages"], inputs["completion_mask"].bool(), strict=True
            )
        ]
        expected = [(list(r.response.token_ids), list(r.advantages)) for r in records if r.step == step]
        for (ids, advantages), (their_ids, their_advantages) in zip(sorted(used), sorted(expected), strict=True):
            assert ids == their_ids
            np.testing.assert_allclose(advantages, their_advantages, atol=2e-5)
        assert not inputs["advantages"][~inputs["completion_mask"].bool()].any()


def test_relevance_lies_on_the_tokens_of_the_evidence(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    """Also for short responses and for responses that repeat the prompt: nothing is found again by searching."""
    prompt = tasks[0].prompt[-1].content
    trainer = rtt_trainer(tasks, config(token_weight=0.5, records_steps=1, max_steps=1))
    tokenizer = trainer.processing_class
    texts = [",", f"{prompt},", "a,b,", "no", "x, y z w v u", ",", "", f"{prompt} {prompt},"]
    scripted = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in texts]
    trainer._generate_single_turn = lambda prompt_ids, *_, **__: (scripted[: len(prompt_ids)], None)
    records = records_of(trainer)
    assert [record.response.text for record in records] == texts
    checked = 0
    for record in records:
        commas = [float(record.response.text[a:b] == ",") for a, b in record.response.spans]
        verdict = record.verdicts[0]
        if verdict.outcome is Outcome.VIOLATED and record.response.text:
            assert list(record.relevance[0]) == commas
            checked += 1
    assert checked == 6


@pytest.mark.parametrize("partition", list(credit.PARTITIONS))
def test_every_partition_trains(tasks: list[Task], config: Callable[..., RTTConfig], partition: Any) -> None:
    trainer = rtt_trainer(tasks, config(partition=partition, token_weight=0.5, max_steps=1, records_steps=1))
    records = records_of(trainer)
    history = trainer.state.log_history
    assert np.isfinite(history[0]["grad_norm"])
    assert history[0]["rtt/token_advantage_size"] > 0
    for record in records:
        if partition == "criteria_mean":
            assert record.criterion_advantages is None
        else:
            shares = np.sum(np.array(record.criterion_advantages), axis=0)
            np.testing.assert_allclose(shares, record.token_advantages, atol=2e-5)
        expected = record.response_advantage + 0.5 * np.array(record.token_advantages)
        np.testing.assert_allclose(record.advantages, expected, atol=2e-5)
        assert (record.token_weight, record.combine) == (0.5, "add")


def test_gdpo_is_a_response_level_mode(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    options = {"response_advantage": "gdpo", "token_weight": 0.0, "records_steps": 1, "max_steps": 1}
    records = records_of(rtt_trainer(tasks, config(**options)))
    batch = credit.collate(
        [
            credit.CreditRow([int(v.outcome) for v in r.verdicts], np.zeros((len(r.verdicts), 0)), r.group)
            for r in records
        ]
    )
    np.testing.assert_allclose([r.response_advantage for r in records], credit.gdpo(batch).numpy(), atol=1e-5)
    assert all(set(record.advantages) == {record.response_advantage} for record in records)


def test_options_reach_the_partition(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    options = {"token_weight": 0.5, "records_steps": 1, "max_steps": 1}
    bounded = records_of(rtt_trainer(tasks, config(**options, token_advantage_bound=0.1)))
    assert max(abs(value) for record in bounded for value in record.token_advantages) == pytest.approx(0.1)
    trainer = rtt_trainer(tasks, config(**options, exclude_special_tokens=True))
    special = set(trainer.processing_class.all_special_ids)
    left_out = [
        value
        for record in records_of(trainer)
        for token, value in zip(record.response.token_ids, record.token_advantages, strict=True)
        if token in special
    ]
    assert left_out
    assert not any(left_out)


def test_any_callable_is_a_relevance_source(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    def first_token(tasks: Any, responses: Any, verdicts: Any) -> list[np.ndarray]:
        arrays = [np.zeros((len(v), len(r.token_ids))) for r, v in zip(responses, verdicts, strict=True)]
        for array in arrays:
            array[:, 0] = 1
        return arrays

    trainer = rtt_trainer(tasks, config(records_steps=1, max_steps=1), relevance=first_token)
    for record in records_of(trainer):
        assert all(row[0] == 1 and not any(row[1:]) for row in record.relevance)


def test_relevance_of_the_wrong_shape_is_refused(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    def wrong(tasks: Any, responses: Any, verdicts: Any) -> list[np.ndarray]:
        return [np.zeros((len(v), 3), dtype=np.float32) for v in verdicts]

    with pytest.raises(ShapeError, match=r"relevance of response 0 \(task 'task-\d'\) has shape \(\d, 3\); expected"):
        rtt_trainer(tasks, config(), relevance=wrong).train()


# ---------------------------------------------------------------------------------------------------- relevance sources


def judged_beside_rules(number: int) -> Task:
    """A task of which only a judge can decide one criterion."""
    criterion = Criterion(id="tone", text="The tone is friendly.")
    no_comma = Criterion(id="c0", rule=Rule(name="punctuation:no_comma"))
    return Task(
        id=f"mixed-{number}",
        prompt=(Message(role="user", content=f"Greet {number}."),),
        rubric=Rubric(criteria=(no_comma, criterion)),
    )


class SaysNo:
    """A judge that finds every other response wanting."""

    def __init__(self) -> None:
        self.calls = 0

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        self.calls += 1
        return [Verdict(one.id, Outcome(1 - 2 * (self.calls % 2)), "judge:test") for one in criteria]


def policy_folder(folder: Path) -> str:
    model, tokenizer = tiny_model(seed=1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"relevance": "evidence"},
        {"relevance": "uniform"},
        {"relevance": "random"},
        {"relevance": "shuffled"},
        {"relevance": "shuffled", "relevance_shuffled": "contrast"},
        {"relevance": "contrast"},
        {"relevance": "contrast", "relevance_model": "folder", "relevance_device": "cpu"},
        {"relevance": "hybrid", "relevance_otherwise": "contrast"},
        {"relevance": "hybrid", "relevance_otherwise": "random"},
    ],
    ids=lambda options: "-".join(options.values()),
)
def test_every_source_trains_and_draws_nothing(
    config: Callable[..., RTTConfig], tmp_path: Path, options: dict[str, Any], unlocalised: list[str]
) -> None:
    """Also where a model has to be loaded for it: the first responses are those of a run without any source."""
    if "relevance_model" in options:
        options = {**options, "relevance_model": policy_folder(tmp_path / "model")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        trainer = mixed_trainer(config(**options, token_weight=0.5, records_steps=1))
        source, states = trainer._relevance, []

        def watched(*batch: Any) -> Any:
            states.append(torch.get_rng_state())
            found = source(*batch)
            states.append(torch.get_rng_state())
            return found

        trainer._relevance = watched
        records = records_of(trainer)
    assert len(states) == 4  # once a rollout, there are two
    assert all(torch.equal(before, after) for before, after in zip(states[::2], states[1::2], strict=True))
    assert [record.response.text for record in records if record.step == 1] == unlocalised
    assert np.isfinite([step["grad_norm"] for step in trainer.state.log_history[:-1]]).all()
    constant = ("uniform", "shuffled")  # evidence of "no commas" is the whole response where it is met, as it is here
    assert any(any(record.token_advantages) for record in records) or set(options.values()) <= set(constant)


def mixed_trainer(config: RTTConfig) -> RTTTrainer:
    return rtt_trainer([judged_beside_rules(number) for number in range(4)], config, judge=SaysNo())


_UNLOCALISED: list[str] = []


@pytest.fixture
def unlocalised(config: Callable[..., RTTConfig], tmp_path: Path) -> list[str]:
    """The responses of the first step without any source; sampled once."""
    if not _UNLOCALISED:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            options = {"output_dir": str(tmp_path / "unlocalised"), "token_weight": 0.0, "records_steps": 1}
            records = records_of(mixed_trainer(config(**options)))
        _UNLOCALISED.extend(record.response.text for record in records if record.step == 1)
    return _UNLOCALISED


def test_the_policys_contrast_reads_the_prompts_that_it_was_sampled_from(
    tasks: list[Task], config: Callable[..., RTTConfig]
) -> None:
    trainer = rtt_trainer(tasks, config(relevance="contrast", max_steps=1))
    source: Any = trainer._relevance
    assert source.model is trainer.model
    sampled, read = [], []
    generate_and_score, run = trainer._generate_and_score_completions, source._run
    trainer._generate_and_score_completions = lambda inputs: (sampled.append(generate_and_score(inputs)), sampled[-1])[
        1
    ]
    source._run = lambda passes: (read.append(passes), run(passes))[1]
    trainer.train()
    (output,), (passes,) = sampled, read
    plain = [j for j, (_, k) in enumerate(passes.places) if k is None]
    assert len(plain) == 8
    for j, ids, mask in zip(plain, output["prompt_ids"], output["prompt_mask"].bool(), strict=True):
        assert list(passes.prompts[j]) == ids[mask].tolist()
    for j, ids, mask in zip(plain, output["completion_ids"], output["completion_mask"].bool(), strict=True):
        assert list(passes.completions[j]) == ids[mask].tolist()


def test_a_discriminator_is_loaded_from_its_folder_onto_its_device(
    tasks: list[Task], config: Callable[..., RTTConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtt.relevance import UniformRelevance
    from rtt.relevance.discriminator.source import DiscriminatorRelevance

    loaded: list[Any] = []

    def from_pretrained(folder: Any, **options: Any) -> Any:
        loaded.append((folder, options))
        torch.rand(1)  # as fresh weights would
        return UniformRelevance()

    monkeypatch.setattr(DiscriminatorRelevance, "from_pretrained", from_pretrained)
    state = torch.get_rng_state()
    rtt_trainer(tasks, config(token_weight=0.0))
    after_none = torch.get_rng_state()
    torch.set_rng_state(state)
    rtt_trainer(tasks, config(relevance="discriminator", relevance_model="folder"))
    assert torch.equal(torch.get_rng_state(), after_none)
    rtt_trainer(tasks, config(relevance="hybrid", relevance_model="folder", relevance_device="meta"))
    assert loaded == [("folder", {"device": torch.device("cpu")}), ("folder", {"device": "meta"})]
    rtt_trainer(tasks, config(relevance="discriminator", relevance_model="folder", token_weight=0.0))
    assert len(loaded) == 2  # nobody would ask it


def test_a_model_that_is_not_there_is_said(tasks: list[Task], config: Callable[..., RTTConfig], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no causal model"):
        rtt_trainer(tasks, config(relevance="contrast", relevance_model=str(tmp_path)))


@pytest.mark.parametrize("sharded", ["is_fsdp_enabled", "zero"])
def test_a_sharded_policy_has_no_contrast_of_its_own(
    tasks: list[Task], config: Callable[..., RTTConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharded: str
) -> None:
    trainer = rtt_trainer(tasks, config(relevance="contrast"))
    if sharded == "zero":
        monkeypatch.setattr(trainer, "_zero_stage", lambda: 3)
    else:
        monkeypatch.setattr(trainer, sharded, True)
    with pytest.raises(ConfigurationError, match="FSDP and DeepSpeed ZeRO-3 keep in parts; name a relevance_model"):
        trainer._relevance_source()
    trainer.args.relevance_model = policy_folder(tmp_path / "model")
    assert trainer._relevance_source().model is not trainer.model


def test_the_sources_cost_is_logged_for_each_step(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    def slow(tasks: Any, responses: Any, verdicts: Any) -> list[np.ndarray]:
        time.sleep(0.2)
        return UniformRelevance()(tasks, responses, verdicts)

    trainer = rtt_trainer(tasks, config(num_iterations=2, max_steps=2), relevance=slow)
    trainer.train()
    asked, reused = trainer.state.log_history[:2]
    assert 0.2 <= asked["rtt/relevance_seconds"] < 0.3
    assert asked["rtt/relevance_share"] == pytest.approx(asked["rtt/relevance_seconds"] / asked["step_time"], rel=0.2)
    assert 0 < asked["rtt/relevance_share"] < 1
    assert reused["rtt/relevance_seconds"] == reused["rtt/relevance_share"] == 0
    plain = rtt_trainer(tasks, config(token_weight=0.0, max_steps=1))
    plain.train()
    assert not any("relevance_s" in name for name in plain.state.log_history[0])


# ------------------------------------------------------------------------------------------- undetermined is never zero


def judged_task(number: int) -> Task:
    criterion = Criterion(id="tone", text="The tone is friendly.")
    return Task(
        id=f"judged-{number}",
        prompt=(Message(role="user", content=f"Greet {number}."),),
        rubric=Rubric(criteria=(criterion,)),
    )


def test_an_undetermined_response_reaches_trl_as_none() -> None:
    reward = RubricReward("csr")
    completion = [{"role": "assistant", "content": "hi"}]
    rewards = reward(prompts=["p"], completions=[completion], task=[judged_task(0).to_json()])
    assert rewards == [None]


def test_undetermined_responses_get_no_advantage(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    mixed = [judged_task(0), judged_task(1), *tasks[:2]]
    trainer = rtt_trainer(mixed, config(per_device_train_batch_size=16, records_steps=1, max_steps=1))
    records = records_of(trainer)
    undetermined = [record for record in records if record.task.id.startswith("judged")]
    assert len(undetermined) == 8
    assert all(record.reward is None and not any(record.advantages) for record in undetermined)
    assert any(any(record.advantages) for record in records)
    shown = trainer.state.log_history[0]
    verdicts = [verdict for record in records for verdict in record.verdicts]
    assert shown["rtt/undetermined"] == pytest.approx(8 / len(verdicts))


# ---------------------------------------------------------------------------------------------------- metrics, records


def test_metrics_are_those_of_the_records(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    trainer = rtt_trainer(tasks, config(records_steps=1, max_steps=1, token_weight=0.5))
    records = records_of(trainer)
    shown = trainer.state.log_history[0]
    verdicts = [verdict for record in records for verdict in record.verdicts]
    satisfied = [verdict.outcome is Outcome.SATISFIED for verdict in verdicts]
    assert shown["rtt/rubric_accuracy"] == pytest.approx(np.mean(satisfied))
    whole = [all(v.outcome is Outcome.SATISFIED for v in record.verdicts) for record in records]
    assert shown["rtt/instruction_accuracy"] == pytest.approx(np.mean(whole))
    commas = [record.verdicts[0].outcome is Outcome.SATISFIED for record in records]
    assert shown["rtt/pass_rate/punctuation:no_comma"] == pytest.approx(np.mean(commas))
    tokens = [0.5 * abs(value) for record in records for value in record.token_advantages]
    assert shown["rtt/token_advantage_size"] == pytest.approx(np.mean(tokens), rel=1e-4)
    assert shown["rtt/token_advantage_max"] == pytest.approx(max(tokens), rel=1e-4)
    covered = [any(row) for record in records for row in record.relevance]
    assert shown["rtt/relevance_coverage"] == pytest.approx(np.mean(covered))
    groups = {record.group for record in records}
    silent = [not any(r.response_advantage for r in records if r.group == group) for group in groups]
    assert shown["rtt/groups_without_response_signal"] == pytest.approx(np.mean(silent))
    assert {"entropy", "completions/mean_length", "reward"} <= set(shown)


def test_records_are_written_for_the_chosen_steps(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    trainer = rtt_trainer(tasks, config(records_steps=2, max_steps=5))
    trainer.train()
    written = sorted(path.name for path in (Path(trainer.args.output_dir) / "records").iterdir())
    assert written == ["step-000001.jsonl", "step-000002.jsonl", "step-000004.jsonl"]


def test_a_rollout_that_serves_several_steps_is_recorded(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    trainer = rtt_trainer(tasks, config(records_steps=2, max_steps=6, num_iterations=2))
    trainer.train()
    written = sorted(path.name for path in (Path(trainer.args.output_dir) / "records").iterdir())
    assert written == ["step-000001.jsonl", "step-000003.jsonl", "step-000005.jsonl"]


def test_all_rollouts_of_a_step_are_recorded(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    options = {"steps_per_generation": 1, "gradient_accumulation_steps": 2, "records_steps": 1, "max_steps": 1}
    records = records_of(rtt_trainer(tasks, config(**options)))
    assert len(records) == 16
    assert [record.group for record in records] == [number for number in range(4) for _ in range(4)]


def test_equal_rewards_are_no_signal_whatever_their_mean_rounds_to(
    tasks: list[Task], config: Callable[..., RTTConfig]
) -> None:
    """The float32 mean of eight times 1/3 is not 1/3."""
    third = next(task for task in tasks if len(task.rubric.criteria) == 3)
    trainer = rtt_trainer([third], config(num_generations=8, max_steps=1, records_steps=1))
    text = ", no"  # a comma, few words, no letter a: one of three
    ids = [*trainer.processing_class(text).input_ids, trainer.processing_class.eos_token_id]
    trainer._generate_single_turn = lambda prompt_ids, *_, **__: ([ids] * len(prompt_ids), None)
    records = records_of(trainer)
    assert {record.reward for record in records} == {0.333333}
    assert trainer.state.log_history[0]["rtt/groups_without_response_signal"] == 1.0


def test_a_parsed_answer_is_what_is_verified(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    """A thinking block that the template takes off is neither judged nor blamed; its tokens span nothing."""
    trainer = rtt_trainer(tasks[:1], config(records_steps=1, max_steps=1, per_device_train_batch_size=4))
    tokenizer = trainer.processing_class
    thinking, answer = "well, well,\n", "no comma"
    ids = [*tokenizer(thinking + answer).input_ids, tokenizer.eos_token_id]
    trainer._generate_single_turn = lambda prompt_ids, *_, **__: ([ids] * len(prompt_ids), None)
    generate = trainer._generate

    def parsed(prompts: Any) -> Any:
        output = list(generate(prompts))
        output[3] = [[{"role": "assistant", "reasoning_content": thinking, "content": answer}] for _ in prompts]
        return tuple(output)

    trainer._generate = parsed
    records = records_of(trainer)
    assert all(record.response.text == answer for record in records)
    assert all(record.verdicts[0].outcome is Outcome.SATISFIED for record in records)
    assert all(span == (0, 0) for record in records for span in record.response.spans[: len(thinking)])
    assert trainer.state.log_history[0]["rtt/unlocated_answers"] == 0


def test_evaluation_logs_the_same_metrics(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    options = {"per_device_eval_batch_size": 8, "eval_strategy": "steps", "eval_steps": 1, "max_steps": 1}
    trainer = rtt_trainer(tasks[:2], config(**options), eval_dataset=tasks[2:])
    history, _ = trained(trainer)
    assert any("eval_rtt/rubric_accuracy" in entry for entry in history)


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reward": "mean"}, r"reward='mean'; expected one of \['csr', 'aon', 'weighted'\]"),
        ({"partition": "batch"}, "partition='batch'; expected one of"),
        ({"relevance": "oracle"}, "relevance='oracle'; expected one of"),
        (
            {"relevance": "discriminator"},
            "relevance='discriminator' needs relevance_model, .*`rtt discriminator build`",
        ),
        ({"relevance": "hybrid"}, "needs relevance_model, the folder of a trained discriminator"),
        (
            {"relevance": "shuffled", "relevance_shuffled": "hybrid"},
            "'shuffled' of 'hybrid' of .* needs relevance_model",
        ),
        ({"relevance_model": "folder"}, "relevance_model='folder' is not read with relevance='evidence'"),
        ({"relevance_otherwise": "contrast"}, "relevance_otherwise='contrast' belongs to relevance='hybrid'"),
        ({"relevance": "hybrid", "relevance_otherwise": "oracle"}, "relevance_otherwise='oracle'; expected one of"),
        ({"relevance_shuffled": "contrast"}, "relevance_shuffled='contrast' belongs to relevance='shuffled'"),
        (
            {"relevance": "contrast", "relevance_device": "cpu"},
            "relevance_device='cpu' says where relevance_model runs",
        ),
        (
            {"relevance": "contrast", "relevance_model": "m", "relevance_device": "gpu0"},
            "relevance_device='gpu0'; expected such as 'cpu', 'cuda' or 'cuda:1'",
        ),
        ({"combine": "sum"}, r"combine='sum'; expected one of \['add', 'mix'\]"),
        ({"token_weight": -0.1}, r"token_weight=-0\.1; expected a finite number of at least 0"),
        ({"token_weight": 1.5, "combine": "mix"}, r"token_weight=1\.5 with combine='mix'"),
        ({"sigma_floor": float("nan")}, "sigma_floor=nan"),
        ({"sigma_floor": 0.05, "partition": "criterion_group"}, "sigma_floor has no effect"),
        ({"token_advantage_bound": 0.0}, r"token_advantage_bound=0\.0; expected above 0"),
        (
            {"partition": "intra_sample", "mass_preserving": True},
            "mass_preserving belongs to partition='criterion_group'",
        ),
        ({"records_steps": -1}, "records_steps=-1"),
        ({"loss_type": "vespo"}, "loss_type='vespo' decides by the sign"),
        ({"loss_type": "sapo"}, "loss_type='sapo' decides by the sign"),
        ({"off_policy_mask_threshold": 0.1}, "off_policy_mask_threshold decides by the sign"),
        (
            {"importance_sampling_level": "sequence"},
            "importance_sampling_level='sequence' has one ratio for a response",
        ),
        ({"loss_type": "luspo"}, "loss_type='luspo' has one ratio for a response"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "response_advantage='gdpo' normalises"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings: Settings, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        RTTConfig(**settings(**options))


def test_per_sequence_losses_are_allowed_without_token_advantages(config: Callable[..., RTTConfig]) -> None:
    assert config(loss_type="sapo", token_weight=0.0).loss_type == "sapo"


def test_a_plain_grpo_config_is_refused(tasks: list[Task], settings: Settings) -> None:
    model, tokenizer = tiny_model()
    with pytest.raises(ConfigurationError, match="args is a GRPOConfig; expected an RTTConfig"):
        RTTTrainer(model=model, args=GRPOConfig(**settings()), train_dataset=tasks, processing_class=tokenizer)


def test_a_dataset_without_tasks_is_refused(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    with pytest.raises(ConfigurationError, match=r"the columns \['prompt'\]; expected 'prompt' and 'task'"):
        rtt_trainer(task_dataset(tasks).remove_columns("task"), config())
    with pytest.raises(ConfigurationError, match="no tasks to train on"):
        rtt_trainer([], config())
    with pytest.raises(
        ConfigurationError, match=r"train_dataset is a path; expected tasks: read them with rtt\.read_tasks"
    ):
        rtt_trainer("tasks.jsonl", config())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="got str; expected tasks"):
        rtt_trainer(["tasks.jsonl"], config())  # type: ignore[list-item]


def test_any_iterable_of_tasks_and_a_dataset_without_other_columns_will_do(
    tasks: list[Task], config: Callable[..., RTTConfig]
) -> None:
    trained(rtt_trainer((task for task in tasks), config(max_steps=1, remove_unused_columns=True)))  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------- the seam into TRL


def test_the_overridden_methods_of_trl_have_the_signatures_that_were_read() -> None:
    def parameters(function: Callable[..., Any]) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(GRPOTrainer._calculate_rewards)[1:] == ["inputs", "prompts", "completions", "completion_ids_list"]
    assert parameters(GRPOTrainer._generate)[1:] == ["prompts"]
    assert parameters(GRPOTrainer._generate_and_score_completions)[1:] == ["inputs"]
    assert "advantages.dim() == 1" in inspect.getsource(GRPOTrainer._compute_loss)


# --------------------------------------------------------------------------------------------------- order, on resuming


def test_a_resumed_order_is_that_of_the_epoch() -> None:
    def order() -> _ResumableOrder:
        return _ResumableOrder(RepeatSampler(range(7), mini_repeat_count=2, batch_size=2, seed=5))

    undisturbed, stock = order(), RepeatSampler(range(7), mini_repeat_count=2, batch_size=2, seed=5)
    epochs = []
    for epoch in range(3):
        undisturbed.set_epoch(epoch)
        epochs.append(list(undisturbed))
        assert epochs[-1] == list(stock)  # an uninterrupted run is TRL's
    assert epochs[0] != epochs[1]
    for epoch in range(3):
        resumed = order()
        resumed.set_epoch(epoch)
        resumed.set_epoch(epoch)  # more than one wrapper may tell it
        assert list(resumed) == epochs[epoch]


def test_the_papers_settings_are_one_word_away(config: Callable[..., RTTConfig]) -> None:
    paper = config(preset="paper")
    assert (paper.partition, paper.token_weight, paper.combine, paper.sigma_floor) == ("intra_sample", 0.5, "add", 0.0)
    assert (paper.loss_type, paper.epsilon, paper.epsilon_high, paper.beta) == ("grpo", 0.2, 0.27, 0.0)
    assert config(preset="paper", reward="aon", token_weight=0.5).reward == "aon"
    with pytest.raises(ConfigurationError, match=r"preset='paper' sets token_weight=0.5, not 0.1; drop one of them"):
        config(preset="paper", token_weight=0.1)
    with pytest.raises(ConfigurationError, match=r"preset='papre'; expected one of \['paper'\]"):
        config(preset="papre")


def test_lambda_where_none_is_given_depends_on_whether_the_term_is_bounded() -> None:
    def weight(**options: Any) -> float:
        return RTTConfig("unused", use_cpu=True, bf16=False, **options).token_weight

    assert weight() == weight(partition="criterion_group") == 2.0
    assert weight(partition="intra_sample") == weight(combine="mix") == weight(preset="paper") == 0.5
    assert weight(token_weight=0.0) == 0.0
    assert weight(partition="intra_sample", token_weight=2.0) == 2.0


def test_fewer_tasks_than_a_rollout_asks_for_are_refused(tasks: list[Task], config: Callable[..., RTTConfig]) -> None:
    assert config().generation_batch_size // config().num_generations == 2
    with pytest.raises(
        ConfigurationError, match=r"train_dataset has 1 tasks, fewer than the 2 prompts of a rollout \(8 "
    ):
        rtt_trainer(tasks[:1], config())
    rtt_trainer(tasks[:2], config())


def test_a_loss_that_is_no_number_stops_before_the_weights_are_none(
    tasks: list[Task], config: Callable[..., RTTConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = rtt_trainer(tasks, config(max_steps=3))
    before: list[dict[str, torch.Tensor]] = []
    plain = trainer._compute_loss

    def broken(model: Any, inputs: Any) -> torch.Tensor:
        loss: torch.Tensor = plain(model, inputs)
        if trainer.state.global_step == 1:
            before.append({name: value.clone() for name, value in trainer.model.state_dict().items()})
            return loss * float("nan")
        return loss

    monkeypatch.setattr(trainer, "_compute_loss", broken)
    with pytest.raises(
        NonFiniteLossError, match=r"the loss of step 2 is nan; the weights are those of the step before"
    ):
        trainer.train()
    assert all(torch.equal(value, before[0][name]) for name, value in trainer.model.state_dict().items())
    assert all(value.isfinite().all() for value in before[0].values())
