"""Accuracy with intervals: counts by hand, the bootstrap's unit is the prompt, and sampling disturbs nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtt.demo import evaluation  # noqa: E402
from rtt.demo.evaluation import Sample, compare, evaluate, summarise  # noqa: E402
from rtt.demo.models import tiny_model  # noqa: E402
from rtt.errors import ConfigurationError  # noqa: E402
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task  # noqa: E402
from rtt.statistics import Interval, Tally  # noqa: E402
from rtt.verdicts import Outcome  # noqa: E402

YES, NO, UNKNOWN = Outcome.SATISFIED, Outcome.VIOLATED, Outcome.UNDETERMINED


def task(name: str, weight: float = 1.0) -> Task:
    return Task(
        id=name,
        prompt=(Message(role="user", content=f"Say something about {name}."),),
        rubric=Rubric(
            criteria=(
                Criterion(id="c1", text="no commas", rule=Rule(name="punctuation:no_comma"), weight=weight),
                Criterion(
                    id="c2",
                    text="short",
                    rule=Rule(
                        name="length_constraints:number_words", arguments={"num_words": 5, "relation": "less than"}
                    ),
                ),
            )
        ),
    )


def answers(name: str, *outcomes: tuple[Outcome, Outcome]) -> list[Sample]:
    return [Sample(name, "text", 3, True, pair) for pair in outcomes]


def tally(satisfied: list[int], determined: list[int]) -> Tally:
    return Tally(np.array(satisfied), np.array(determined))


def test_counts_by_hand() -> None:
    found = summarise(
        [task("a"), task("b")],
        [answers("a", (YES, YES), (YES, NO)), answers("b", (UNKNOWN, YES), (UNKNOWN, UNKNOWN))],
    )
    assert found.rubric.rate == 4 / 5  # of a: 3 of 4, of b: 1 of 1
    assert found.instruction.rate == 2 / 3  # a response with nothing determined is left out
    assert found.rules["punctuation:no_comma"].rate == 1.0
    assert found.rules["length_constraints:number_words"].rate == 2 / 3
    assert found.rules["punctuation:no_comma"].determined.tolist() == [2, 0]
    assert found.undetermined == 3


def test_nothing_determined_is_nan_and_not_zero() -> None:
    found = summarise([task("a")], [answers("a", (UNKNOWN, UNKNOWN))])
    assert math.isnan(found.rubric.rate)
    assert math.isnan(found.rubric.interval().low)
    assert not found.rubric.interval().beyond_noise


def test_more_samples_of_the_same_prompts_do_not_narrow_the_interval() -> None:
    once = tally([1, 0, 1, 0, 1, 0, 1, 0], [1] * 8).interval()
    often = tally([50, 0, 50, 0, 50, 0, 50, 0], [50] * 8).interval()
    assert often == once
    assert once.low < 0.3
    assert once.high > 0.7


def test_the_interval_is_the_binomial_one_for_independent_prompts() -> None:
    interval = tally([1] * 50 + [0] * 50, [1] * 100).interval()
    assert interval.value == 0.5
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)


def test_pairing_removes_the_difficulty_of_the_prompts() -> None:
    tasks = [task(f"t{index}") for index in range(20)]
    before = summarise(tasks, [answers(t.id, *[(YES, YES) if i % 2 else (NO, NO)] * 4) for i, t in enumerate(tasks)])
    after = summarise(
        tasks,
        [answers(t.id, *([(YES, YES)] * 4 if i % 2 else [(NO, NO)] * 3 + [(YES, NO)])) for i, t in enumerate(tasks)],
    )
    difference = compare(before, after).rubric
    assert difference.value == pytest.approx(10 / 160)
    assert difference.beyond_noise  # each hard prompt gained alike, though the rates themselves overlap widely
    assert before.rubric.interval().high > after.rubric.interval().low


def test_no_change_is_exactly_zero() -> None:
    tasks = [task("a"), task("b")]
    found = summarise(tasks, [answers("a", (YES, NO)), answers("b", (YES, YES))])
    assert compare(found, found).rubric == Interval(0.0, 0.0, 0.0)
    assert not compare(found, found).rubric.beyond_noise


def test_evaluations_of_different_tasks_do_not_pair() -> None:
    one = summarise([task("a")], [answers("a", (YES, NO))])
    other = summarise([task("b")], [answers("b", (YES, NO))])
    with pytest.raises(ConfigurationError, match="the same tasks in the same order"):
        compare(one, other)


# ------------------------------------------------------------------------------------------------------------- sampling


SIZES: dict[str, Any] = {"samples": 2, "max_new_tokens": 8, "batch_size": 3}


def test_the_same_seed_samples_the_same_and_another_seed_does_not() -> None:
    model, tokenizer = tiny_model()
    tasks = [task("a"), task("bcd"), task("e")]
    one = evaluate(model, tokenizer, tasks, **SIZES, seed=1)
    same = evaluate(model, tokenizer, tasks, **SIZES, seed=1)
    other = evaluate(model, tokenizer, tasks, **SIZES, seed=2)
    assert one.samples == same.samples
    assert one.samples != other.samples
    assert [sample.task_id for sample in one.samples] == ["a", "a", "bcd", "bcd", "e", "e"]


def test_evaluation_leaves_generators_and_mode_alone() -> None:
    model, tokenizer = tiny_model()
    model.train()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    evaluate(model, tokenizer, [task("a")], **SIZES, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_progress_counts_up_to_all_responses() -> None:
    model, tokenizer = tiny_model()
    seen: list[tuple[int, int]] = []
    evaluate(model, tokenizer, [task("a"), task("b")], **SIZES, progress=lambda *done: seen.append(done))
    assert seen == [(3, 4), (4, 4)]


def test_a_response_stops_at_the_end_of_its_turn() -> None:
    """The likeliest token is forced to be the end of the turn: every response is empty, ended, one token long."""
    model, tokenizer = tiny_model()
    original = model.forward

    def forward(*arguments: Any, **options: Any) -> Any:
        output = original(*arguments, **options)
        output.logits[..., tokenizer.eos_token_id] = 1e4
        return output

    model.forward = forward
    found = evaluate(model, tokenizer, [task("a")], samples=1, max_new_tokens=8, batch_size=1, temperature=0.0)
    assert [(sample.text, sample.tokens, sample.ended) for sample in found.samples] == [("", 1, True)]
    assert found.ended == 1.0
    assert found.mean_tokens == 1.0
    assert math.isnan(found.variety)


def test_a_response_cut_at_the_limit_says_so() -> None:
    model, tokenizer = tiny_model()
    found = evaluate(model, tokenizer, [task("a")], samples=1, max_new_tokens=5, batch_size=1, temperature=0.0)
    assert [(sample.tokens, sample.ended) for sample in found.samples] == [(5, False)]


def test_padding_does_not_change_a_greedy_response() -> None:
    model, tokenizer = tiny_model()
    tasks = [task("a"), task("a much longer prompt than the other one")]
    options: dict[str, Any] = {"samples": 1, "max_new_tokens": 6, "temperature": 0.0}
    together = evaluate(model, tokenizer, tasks, batch_size=2, **options)
    alone = evaluate(model, tokenizer, tasks, batch_size=1, **options)
    assert together.samples == alone.samples


def test_something_unwanted_counts_when_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "one, two"  # breaks "no commas", which a negative weight turns into what is wished
    assert evaluation._outcomes(task("a"), text) == (NO, YES)
    assert evaluation._outcomes(task("a", weight=-1.0), text) == (YES, YES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"temperature": 0.0}, "0 with one sample"),
        ({"temperature": -1.0}, "expected a temperature above 0"),
    ],
)
def test_numbers_out_of_range_are_refused(change: dict[str, Any], words: str) -> None:
    model, tokenizer = tiny_model()
    with pytest.raises(ConfigurationError, match=words):
        evaluate(model, tokenizer, [task("a")], **{**SIZES, **change})


def test_no_tasks_and_repeated_ids_are_refused() -> None:
    model, tokenizer = tiny_model()
    with pytest.raises(ConfigurationError, match="no tasks"):
        evaluate(model, tokenizer, [], **SIZES)
    with pytest.raises(ConfigurationError, match="ids repeat"):
        evaluate(model, tokenizer, [task("a"), task("a")], **SIZES)


def test_variety_by_hand() -> None:
    """ "so so so so" has 8 runs of four characters, of which 3 differ; "words" 2 of 2; "no" is too short for any."""
    samples = [Sample("a", text, 3, True, (YES, YES)) for text in ("so so so so", "words", "no")]
    assert summarise([task("a")], [samples]).variety == pytest.approx((3 / 8 + 1) / 2)
