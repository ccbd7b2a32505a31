"""Tools, environments and rollout functions: the model's own words are judged and credited, and nothing else.

What the model says is scripted; TRL's own code parses it, calls the tools, and puts the turns together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from transformers import PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_chat_template

from rtt import credit
from rtt.demo.models import tiny_model
from rtt.errors import ConfigurationError
from rtt.records import Record, read_records
from rtt.rubrics import Task
from rtt.trainers.trl import RTTConfig, RTTTrainer, RubricReward, task_dataset
from rtt.verdicts import Outcome

Config = Callable[..., RTTConfig]


def multiply(a: int, b: int) -> str:
    """
    Multiply two numbers, and say it with commas.

    Args:
        a: one number
        b: the other
    """
    return f"{a}, {b}, {a * b}"


CALL = '<tool_call>\n{"name": "multiply", "arguments": {"a": 3, "b": 4}}\n</tool_call>'
"""How Qwen3 calls a tool; the words before it are the turn's content."""

TURNS = [
    ["Let me see, one moment." + CALL, "It is 12."],
    ["One moment." + CALL, "It is 12, I think."],
    [CALL, "A dozen."],
    ["A dozen."],
    ["Well, well." + CALL, "Once more." + CALL, "12, of course."],
    ["Well." + CALL, "Again, please." + CALL, "12 it is, and a bit."],
    ["No idea."],
    [CALL, CALL, "Nothing, alas."],
]
"""Eight rollouts of 2 groups, turn by turn: commas (the first criterion) in the first turn, in a later one, nowhere."""

WORDS = [
    "Let me see, one moment.\n\nIt is 12.",
    "One moment.\n\nIt is 12, I think.",
    "A dozen.",
    "A dozen.",
    "Well, well.\n\nOnce more.\n\n12, of course.",
    "Well.\n\nAgain, please.\n\n12 it is, and a bit.",
    "No idea.",
    "Nothing, alas.",
]
"""All that was said in each of them."""


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """That environments and rollout functions are experimental in TRL is known here, and warnings are errors."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")


def turns_trainer(tasks: Sequence[Task], config: RTTConfig, **kwargs: Any) -> RTTTrainer:
    model, tokenizer = tiny_model()
    tokenizer.chat_template = qwen3_chat_template
    return RTTTrainer(model=model, args=config, train_dataset=tasks, processing_class=tokenizer, **kwargs)


def say(trainer: GRPOTrainer, rollouts: Sequence[Sequence[str]]) -> None:
    """The model says ``rollouts``, in each rollout of the batch one turn after another."""
    tokenizer = trainer.processing_class
    waiting: list[list[str]] = []

    def turn(prompt_ids: Any, *_: Any, **__: Any) -> Any:
        nonlocal waiting
        waiting = waiting or [list(one) for one in rollouts]
        assert len(waiting) == len(prompt_ids)
        ids = [[*tokenizer(one.pop(0)).input_ids, tokenizer.eos_token_id] for one in waiting]
        waiting = [one for one in waiting if one]
        return ids, None

    trainer._generate_single_turn = turn


def run(trainer: RTTTrainer) -> tuple[list[Record], list[dict[str, torch.Tensor]]]:
    """The records of the training, and what each call of the loss was given."""
    seen: list[dict[str, torch.Tensor]] = []
    plain = trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: (seen.append(inputs), plain(model, inputs))[1]
    trainer.train()
    return list(read_records(Path(trainer.args.output_dir) / "records")), seen


def rows(inputs: dict[str, torch.Tensor]) -> dict[tuple[int, ...], tuple[list[float], list[bool]]]:
    """For each response, named by its tokens: the advantages that the loss was given, and which tokens are its own."""
    found = {}
    for ids, real, own, advantages in zip(
        *(inputs[name] for name in ("completion_ids", "completion_mask", "tool_mask", "advantages")), strict=True
    ):
        length = int(real.sum())
        found[tuple(ids[:length].tolist())] = (advantages[:length].tolist(), own[:length].bool().tolist())
    return found


@pytest.mark.parametrize("partition", list(credit.PARTITIONS))
def test_only_the_models_own_tokens_are_judged_and_credited(tasks: list[Task], config: Config, partition: Any) -> None:
    options = {"partition": partition, "max_completion_length": 600, "records_steps": 1, "max_steps": 1}
    trainer = turns_trainer(tasks, config(**options), tools=[multiply])
    say(trainer, TURNS)
    records, (inputs,) = run(trainer)
    assert [record.response.text for record in records] == WORDS
    assert trainer.state.log_history[0]["tools/call_frequency"] == 9 / 8
    assert trainer.state.log_history[0]["tools/failure_frequency"] == 0
    given = rows(inputs)
    rewritten = []
    for record in records:
        response = record.response
        advantages, own = given[response.token_ids]
        text = trainer.processing_class.decode(response.token_ids)
        assert (not all(own)) == ("<tool_response>\n3, 4, 12\n</tool_response>" in text)
        np.testing.assert_allclose(advantages, record.advantages, atol=2e-5)
        outside = ~np.array(own)
        assert not np.array(record.relevance)[:, outside].any()
        assert not np.array(record.token_advantages)[outside].any()
        assert not np.array(advantages)[outside].any()
        assert all(a == b for (a, b), mine in zip(response.spans, own, strict=True) if not mine)
        expected = [float(response.text[a:b] == ",") for a, b in response.spans]
        if "," in response.text:
            assert record.verdicts[0].outcome is Outcome.VIOLATED
            assert list(record.relevance[0]) == expected
            assert sum(expected) == response.text.count(",")
        else:  # whatever the tool said
            assert record.verdicts[0].outcome is Outcome.SATISFIED
            assert list(record.relevance[0]) == [float(mine) for mine in own]
        rewritten.append(
            credit.CreditRow(  # the tool's tokens cut out, and not only masked
                [int(verdict.outcome) for verdict in record.verdicts], np.array(record.relevance)[:, own], record.group
            )
        )
    alone = credit.PARTITIONS[partition](credit.collate(rewritten))
    assert alone.abs().max() > 0.1
    for record, row in zip(records, alone, strict=True):
        _, own = given[record.response.token_ids]
        np.testing.assert_allclose(np.array(record.token_advantages)[own], row[: sum(own)], atol=2e-5)


def test_the_last_turn_alone_is_the_answer_if_one_wishes(tasks: list[Task], config: Config) -> None:
    options = {"judged_turns": "last", "max_completion_length": 600, "records_steps": 1, "max_steps": 1}
    trainer = turns_trainer(tasks, config(**options), tools=[multiply])
    say(trainer, TURNS)
    records, _ = run(trainer)
    assert [record.response.text for record in records] == [turns[-1] for turns in TURNS]
    first = records[0]  # its comma stands in the turn before
    assert first.verdicts[0].outcome is Outcome.SATISFIED
    located = {first.response.text[a:b] for a, b in first.response.spans if a < b}
    assert located == set("It is 12.")
    for record in records:
        if record.verdicts[0].outcome is Outcome.VIOLATED:
            commas = [record.response.text[a:b] == "," for a, b in record.response.spans]
            assert list(record.relevance[0]) == [float(comma) for comma in commas]
            assert sum(commas) == record.response.text.count(",") > 0


def test_lambda_zero_with_tools_is_grpo_bit_for_bit(tasks: list[Task], settings: Callable[..., Any]) -> None:
    options = settings(max_steps=2, num_iterations=2, max_completion_length=600)
    model, tokenizer = tiny_model()
    tokenizer.chat_template = qwen3_chat_template
    stock = GRPOTrainer(
        model=model,
        reward_funcs=RubricReward(),
        args=GRPOConfig(**options),
        train_dataset=task_dataset(tasks),
        processing_class=tokenizer,
        tools=[multiply],
    )
    say(stock, TURNS)
    stock.train()
    ours = turns_trainer(tasks, RTTConfig(**options, token_weight=0.0), tools=[multiply])  # which seeds the generators
    say(ours, TURNS)
    ours.train()
    fresh, _ = tiny_model()
    weights = stock.model.state_dict()
    assert any(not torch.equal(value, fresh.state_dict()[name]) for name, value in weights.items())
    assert all(torch.equal(value, ours.model.state_dict()[name]) for name, value in weights.items())


def test_turns_that_are_cut_off_are_judged_by_what_is_there(tasks: list[Task], config: Config) -> None:
    """A result that does not fit is dropped by TRL with its turn; one that just fits leaves no room for an answer."""
    call = "One, two." + CALL
    options = {"records_steps": 1, "max_steps": 1, "relevance_missing": "end"}
    tools = {"tools": [multiply]}
    probe = turns_trainer(tasks, config(**options), **tools)
    turn = len(probe.processing_class(call).input_ids) + 1
    result = len(probe._get_tool_suffix_ids([{"role": "tool", "name": "multiply", "content": multiply(3, 4)}]))
    for room, turns, text in ((-1, [call], "One, two."), (0, [call, "It, or so."], "One, two.")):
        trainer = turns_trainer(tasks, config(**options, max_completion_length=turn + result + room), **tools)
        say(trainer, [turns] * 8)
        records, (inputs,) = run(trainer)
        for record in records:
            assert record.response.text == text
            assert len(record.response.token_ids) == turn
            if len(record.verdicts) == 3:  # there is no letter a: the model's last token is to blame, not the tool's
                assert list(record.relevance[2]) == [0.0] * (turn - 1) + [1.0]
        assert not inputs["advantages"][~inputs["tool_mask"].bool()].any()
    trainer = turns_trainer(tasks, config(**options, max_completion_length=turn + result + 3), **tools)
    say(trainer, [[call, "It, or so."]] * 8)
    records, _ = run(trainer)
    for record in records:
        assert record.response.text == "One, two.\n\nIt,"
        assert [record.response.text[a:b] for a, b in record.response.spans[turn + result :]] == list("It,")


def test_truncated_rollouts_are_masked_as_a_whole(tasks: list[Task], config: Config) -> None:
    length = 170
    options = {"mask_truncated_completions": True, "max_completion_length": length, "records_steps": 1, "max_steps": 1}
    trainer = turns_trainer(tasks, config(**options), tools=[multiply])
    long = ["A, b." + CALL, "c, " * 100]
    say(trainer, [long, ["No."], ["One, two."], ["Three."]] * 2)
    records, (inputs,) = run(trainer)
    kept = inputs["completion_mask"].bool().any(1)
    assert kept.sum() == 6
    assert not inputs["advantages"][~kept].any()
    assert inputs["advantages"][kept].any(1).any()
    for record in records:
        assert any(record.advantages) == (not record.response.text.startswith("A, b."))
        spanned = {record.response.text[a:b] for a, b in record.response.spans}
        assert "," in spanned or "," not in record.response.text  # the inspector shows it all the same


# ------------------------------------------------------------------------------------------------------- environments


class Calculator:
    """An environment that opens the conversation, and rewards having been used."""

    def reset(self, **_: Any) -> str:
        self.used = 0
        return "\nThe numbers, by the way, are 3 and 4."

    def multiply(self, a: int, b: int) -> str:
        """
        Multiply two numbers.

        Args:
            a: one number
            b: the other
        """
        self.used += 1
        return f"{a}, {b}, {a * b}"


def test_an_environments_words_are_no_ones_fault(tasks: list[Task], config: Config) -> None:
    trainer = turns_trainer(
        tasks,
        config(max_completion_length=600, records_steps=1, max_steps=1),
        environment_factory=Calculator,
    )
    say(trainer, TURNS)
    records, (inputs,) = run(trainer)
    assert [record.response.text for record in records] == WORDS
    given = rows(inputs)
    for record in records:
        _, own = given[record.response.token_ids]
        assert not np.array(record.advantages)[~np.array(own)].any()


def test_an_environment_needs_tasks(config: Config) -> None:
    with pytest.raises(ConfigurationError, match="an environment has no rubrics; expected tasks"):
        turns_trainer(None, config(), environment_factory=Calculator)  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------------- a rollout function


def conversation(mask: bool) -> Callable[..., dict[str, Any]]:
    """Each rollout: the model asks, the environment answers, the model thanks, the environment ends."""

    def rollout(prompts: Any, trainer: Any) -> dict[str, Any]:
        tokenizer = trainer.processing_class
        parts = [("Where, please?", 1), ("There, there.", 0), ("Ah.", 1), ("Done, fine.", 0)]
        ids = [(tokenizer(text).input_ids, own) for text, own in parts]
        completion = [token for tokens, _ in ids for token in tokens]
        output: dict[str, Any] = {
            "prompt_ids": [tokenizer("Go.").input_ids for _ in prompts],
            "completion_ids": [completion for _ in prompts],
            "logprobs": None,
        }
        if mask:
            output["env_mask"] = [[own for tokens, own in ids for _ in tokens] for _ in prompts]
        return output

    return rollout


@pytest.mark.parametrize(("judged", "text"), [("all", "Where, please?\n\nAh."), ("last", "Ah.")])
def test_a_rollout_function_says_whose_each_token_is(tasks: list[Task], config: Config, judged: Any, text: str) -> None:
    trainer = turns_trainer(
        tasks, config(records_steps=1, max_steps=1, judged_turns=judged), rollout_func=conversation(mask=True)
    )
    records, (inputs,) = run(trainer)
    for record in records:
        assert record.response.text == text
        assert trainer.processing_class.decode(record.response.token_ids) == "Where, please?There, there.Ah."
        commas = [record.response.text[a:b] == "," for a, b in record.response.spans]
        assert sum(commas) == text.count(",")
        expected = commas if "," in text else [True] * 14 + [False] * 13 + [True] * 3
        assert list(record.relevance[0]) == [float(one) for one in expected]
    own = inputs["tool_mask"].bool()
    assert own.sum() == 8 * 17
    assert not inputs["advantages"][~own].any()
    assert inputs["advantages"][own].any()


def test_a_rollout_function_that_does_not_say_it_is_refused(tasks: list[Task], config: Config) -> None:
    trainer = turns_trainer(tasks, config(), rollout_func=conversation(mask=False))
    with pytest.raises(ConfigurationError, match="rollout_func returned no 'env_mask'; expected for each response"):
        trainer.train()


# ------------------------------------------------------------------------------------------------------------ refusals


def test_options_that_do_not_fit_several_turns_are_refused(tasks: list[Task], config: Config) -> None:
    rollout = conversation(mask=True)
    with pytest.raises(ConfigurationError, match="rollout_func with tools or environment_factory"):
        turns_trainer(tasks, config(), rollout_func=rollout, tools=[multiply])
    for options in ({"rollout_func": rollout}, {"environment_factory": Calculator}):
        with pytest.raises(ConfigurationError, match="relevance='contrast' reads the tasks' prompts"):
            turns_trainer(tasks, config(relevance="contrast"), **options)
    with pytest.raises(ConfigurationError, match=r"judged_turns='first'; expected one of \['all', 'last'\]"):
        config(judged_turns="first")
    with pytest.raises(ConfigurationError, match=r"judged_turns='first'; expected one of \['all', 'last'\]"):
        RubricReward(judged_turns="first")  # type: ignore[arg-type]


class Grading(Calculator):
    def get_reward(self) -> float:
        return float(self.used)


def test_gdpo_is_of_the_rubric_alone(tasks: list[Task], config: Config) -> None:
    with pytest.raises(ConfigurationError, match="drop reward_funcs, or the environment's get_reward"):
        turns_trainer(tasks, config(response_advantage="gdpo"), environment_factory=Grading)


# ---------------------------------------------------------------------------------------------------- relevance sources


def test_the_policys_contrast_reads_the_tools_that_it_was_told_of(tasks: list[Task], config: Config) -> None:
    trainer = turns_trainer(
        tasks, config(relevance="contrast", max_completion_length=600, max_steps=1, records_steps=1), tools=[multiply]
    )
    say(trainer, TURNS)
    source: Any = trainer._relevance
    read, original = [], source._run
    source._run = lambda passes: (read.append(passes), original(passes))[1]
    _, (inputs,) = run(trainer)
    (passes,) = read
    plain = {
        (tuple(passes.prompts[j]), tuple(passes.completions[j])) for j, (_, k) in enumerate(passes.places) if k is None
    }
    sampled = {
        (tuple(prompt[seen.bool()].tolist()), tuple(ids[real.bool()].tolist()))
        for prompt, seen, ids, real in zip(
            *(inputs[name] for name in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")), strict=True
        )
    }
    assert plain == sampled
    assert "multiply" in trainer.processing_class.decode(next(iter(plain))[0])


@pytest.mark.parametrize(
    "relevance", [{"relevance": "contrast"}, {"relevance": "hybrid", "relevance_otherwise": "contrast"}]
)
def test_a_contrast_of_other_tokens_cannot_read_what_tools_said(
    tasks: list[Task], config: Config, tmp_path: Path, relevance: dict[str, Any]
) -> None:
    model, tokenizer = tiny_model()
    model.save_pretrained(tmp_path / "same")
    tokenizer.save_pretrained(tmp_path / "same")
    options = {"max_completion_length": 600, **relevance}
    turns_trainer(tasks, config(relevance_model=str(tmp_path / "same"), **options), tools=[multiply])
    model.save_pretrained(tmp_path / "other")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"multiply": 0, "<eos>": 1}, unk_token="<eos>"))
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>").save_pretrained(tmp_path / "other")
    config_of_other = config(relevance_model=str(tmp_path / "other"), **options)
    with pytest.raises(ConfigurationError, match="'contrast' with tools: .* has another tokenizer than the policy"):
        turns_trainer(tasks, config_of_other, tools=[multiply])
    turns_trainer(tasks, config_of_other)


def test_the_stock_trainers_reward_reads_the_models_own_words(tasks: list[Task]) -> None:
    completion = [
        {"role": "assistant", "content": "One moment."},
        {"role": "tool", "name": "multiply", "content": "3, 4, 12"},
        {"role": "assistant", "content": "Twelve, a dozen."},
        {"role": "tool", "name": "multiply", "content": "3, 4, 12"},
    ]
    line = tasks[0].to_json()
    reward = RubricReward()
    reward([], [completion[:2], completion], [line, line])
    assert [verdicts[0].outcome for verdicts in reward.verdicts] == [Outcome.SATISFIED, Outcome.VIOLATED]
    last = RubricReward(judged_turns="last")
    last([], [[completion[2], completion[0]], completion], [line, line])
    assert [verdicts[0].outcome for verdicts in last.verdicts] == [Outcome.SATISFIED, Outcome.VIOLATED]
