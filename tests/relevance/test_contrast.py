"""The log-probability contrast, against a slow loop that reads one sequence at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from rtt.demo.models import tiny_model  # noqa: E402
from rtt.errors import ConfigurationError, ShapeError  # noqa: E402
from rtt.relevance import relevance_source  # noqa: E402
from rtt.relevance.contrast import ContrastRelevance, log_probabilities  # noqa: E402
from rtt.responses import Response, response_from_tokens  # noqa: E402
from rtt.rubrics import Criterion, Message, Rubric, Task  # noqa: E402
from rtt.verdicts import Outcome, Verdict  # noqa: E402

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    """The tiny model with larger weights: its differences are seen, where they would all be near 0."""
    model, tokenizer = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter *= 8
    return model, tokenizer


def task(*criteria: str, name: str = "t", prompt: str = "Write a line.") -> Task:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content=prompt))
    rubric = Rubric(criteria=tuple(Criterion(id=f"c{k}", text=text) for k, text in enumerate(criteria)))
    return Task(id=name, prompt=messages, rubric=rubric)


def answered(tokenizer: Any, text: str, *, name: str = "t", ended: bool = True) -> Response:
    ids = [*tokenizer(text).input_ids, *([tokenizer.eos_token_id] if ended else [])]
    return response_from_tokens(name, ids, tokenizer)


def verdicts(*outcomes: int) -> list[Verdict]:
    return [Verdict(f"c{k}", Outcome(outcome), "judge:test") for k, outcome in enumerate(outcomes)]


def likelihood(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> npt.NDArray[np.float64]:
    """One sequence, one token after the other, in float64."""
    found = []
    for t, token in enumerate(completion):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *completion[:t]]])).logits[0, -1].double()
        found.append(float(logits[token] - logits.logsumexp(0)))
    return np.array(found)


def by_hand(model: Any, tokenizer: Any, one: Task, response: Response, found: Sequence[Verdict]) -> list[Any]:
    """The module's equation in plain Python."""
    system, user = one.prompt
    chat = f"<|im_start|>system\n{system.content}<|im_end|>\n<|im_start|>user\n{user.content}%s<|im_end|>\n"
    chat += "<|im_start|>assistant\n"
    without = likelihood(model, tokenizer(chat % "").input_ids, response.token_ids)
    rows = []
    for criterion, verdict in zip(one.rubric.criteria, found, strict=True):
        inside = likelihood(model, tokenizer(chat % f"\n{criterion.text}").input_ids, response.token_ids)
        p, q = np.exp(inside), np.exp(without)
        share = {1: 1 - q / p, -1: 1 - p / q, 0: 0 * p}[int(verdict.outcome)]
        rows.append(np.maximum(0, share))
    return rows


# -------------------------------------------------------------------------------------------------------- probabilities


def test_probabilities_are_those_of_the_slow_loop(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    prompts = [tokenizer(text).input_ids for text in ("a", "What is it?", "Tell me more about it, please.")]
    completions = [tokenizer(text).input_ids for text in ("a robot", "x", "no")]
    found = log_probabilities(model, prompts, completions)
    for row, prompt, completion in zip(found, prompts, completions, strict=True):
        assert row.dtype == np.float32
        np.testing.assert_allclose(row, likelihood(model, prompt, completion), atol=1e-4)


@pytest.mark.parametrize("budget", [1, 40, 100_000])
def test_padding_and_neighbours_change_nothing(tiny: tuple[Any, Any], budget: int) -> None:
    model, tokenizer = tiny
    prompts = [tokenizer("p" * length).input_ids for length in (3, 30, 1, 12, 7)]
    completions = [tokenizer("c" * length).input_ids for length in (9, 1, 25, 0, 4)]
    together = log_probabilities(model, prompts, completions, batch_tokens=budget)
    for row, prompt, completion in zip(together, prompts, completions, strict=True):
        (alone,) = log_probabilities(model, [prompt], [completion])
        np.testing.assert_allclose(row, alone, atol=1e-4)
    assert [len(row) for row in together] == [9, 1, 25, 0, 4]


def test_the_budget_bounds_a_batch(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    shapes = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: shapes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    prompts = [tokenizer("p" * length).input_ids for length in (60, 1, 2, 3, 4, 5)]
    log_probabilities(model, prompts, [tokenizer("cc").input_ids] * 6, batch_tokens=20)
    hook.remove()
    assert shapes[0] == (1, 62)  # longer than the budget: alone
    assert all(rows * length <= 20 for rows, length in shapes[1:])
    assert len(shapes) < 6


def test_a_model_that_cannot_leave_logits_out_gives_the_same(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def get_input_embeddings(self) -> Any:
            return model.get_input_embeddings()

        def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
            return model(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    prompts = [tokenizer(text).input_ids for text in ("one", "another one")]
    completions = [tokenizer(text).input_ids for text in ("abc", "de")]
    for one, other in zip(
        log_probabilities(model, prompts, completions), log_probabilities(Plain(), prompts, completions), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_model_is_left_as_it_was(tiny: tuple[Any, Any]) -> None:
    """Dropout is off while it reads; each module goes back to its own mode; weights can be trained afterwards."""
    model, tokenizer = tiny_model()
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.train()
    model.model.layers[1].eval()  # a frozen part
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    sequences = [tokenizer("one").input_ids], [tokenizer("two").input_ids]
    first = log_probabilities(model, *sequences)
    np.testing.assert_array_equal(first[0], log_probabilities(model, *sequences)[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    ids = torch.tensor([tokenizer("one two").input_ids])
    model(input_ids=ids, labels=ids).loss.backward()
    assert model.model.embed_tokens.weight.grad.abs().sum() > 0


def test_precision_is_the_models_and_results_are_float32() -> None:
    model, tokenizer = tiny_model()
    sequences = [tokenizer("one").input_ids], [tokenizer("two").input_ids]
    exact = log_probabilities(model, *sequences)[0]
    model.to(torch.bfloat16)
    (row,) = log_probabilities(model, *sequences)
    assert row.dtype == np.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    np.testing.assert_allclose(row, exact, atol=0.1)


def test_sequences_that_cannot_be_read_are_refused(tiny: tuple[Any, Any]) -> None:
    model, _ = tiny
    with pytest.raises(ShapeError, match="prompt 1 has no tokens"):
        log_probabilities(model, [[1], []], [[2], [3]])
    with pytest.raises(ShapeError, match="1 prompts but 2 completions"):
        log_probabilities(model, [[1]], [[2], [3]])
    with pytest.raises(ConfigurationError, match="token id 5000 is outside the model's vocabulary of 259"):
        log_probabilities(model, [[1]], [[5000]])


# ------------------------------------------------------------------------------------------------------------ relevance


def test_relevance_is_the_share_that_the_criterion_explains_or_takes_away(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    tasks = [task("No commas.", "Mention a robot, twice.", "Be kind."), task("One line.", name="u", prompt="Go on.")]
    responses = [answered(tokenizer, "A robot, alas 😀"), answered(tokenizer, "x", name="u", ended=False)]
    found = [verdicts(1, -1, 0), verdicts(-1)]
    relevance = ContrastRelevance(model, tokenizer)(tasks, responses, found)
    positive = 0
    for one, response, judged, rows in zip(tasks, responses, found, relevance, strict=True):
        assert rows.dtype == np.float32
        assert rows.shape == (len(judged), len(response.token_ids))
        np.testing.assert_allclose(rows, by_hand(model, tokenizer, one, response, judged), atol=1e-3)
        positive += int((rows > 0.01).sum())
    assert positive > 10  # the comparison is of something
    assert not relevance[0][2].any()


def test_the_verdicts_sign_tells_which_tokens_are_responsible(tiny: tuple[Any, Any]) -> None:
    """A token that the criterion makes likelier is responsible for satisfaction or for violation, never for both."""
    model, tokenizer = tiny
    source, response = ContrastRelevance(model, tokenizer), answered(tokenizer, "Some words of an answer.")
    (met,) = source([task("Be kind.")], [response], [verdicts(1)])
    (missed,) = source([task("Be kind.")], [response], [verdicts(-1)])
    assert ((met > 0) != (missed > 0)).all()
    assert (met > 0).any()
    assert (missed > 0).any()
    np.testing.assert_allclose((1 - met) * (1 - missed), np.minimum(1 - met, 1 - missed), atol=1e-6)


def test_criteria_and_responses_do_not_touch_each_other(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    source = ContrastRelevance(model, tokenizer)
    many, one = task("No commas.", "Be kind.", "In Latin."), task("In Latin.")
    response, other = answered(tokenizer, "Salve."), answered(tokenizer, "a much longer answer, to be padded to")
    together = source([many, many], [response, other], [verdicts(1, 0, -1), verdicts(1, 1, 1)])
    (alone,) = source([one], [response], [verdicts(-1)])
    np.testing.assert_allclose(together[0][2], alone[0], atol=1e-4)


def test_the_plain_pass_is_shared_by_the_criteria(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    read = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    tasks, responses = [task("a", "b", "c")] * 2, [answered(tokenizer, text) for text in ("x", "y")]
    ContrastRelevance(model, tokenizer)(tasks, responses, [verdicts(1, -1, 0), verdicts(0, 0, 0)])
    hook.remove()
    assert sum(read) == 3


@pytest.mark.parametrize("own_tokens", [True, False])
def test_an_empty_response_and_one_that_only_ends(tiny: tuple[Any, Any], own_tokens: bool) -> None:
    model, tokenizer = tiny
    empty, ended = Response("t", "", (), ()), answered(tokenizer, "")
    relevance = ContrastRelevance(model, tokenizer, own_tokens=own_tokens)(
        [task("Be kind.")] * 2, [empty, ended], [verdicts(1)] * 2
    )
    assert [rows.shape for rows in relevance] == [(1, 0), (1, 1)]
    if not own_tokens:  # the end of sequence has no characters to be read anew
        assert not relevance[1].any()


def test_special_tokens_inside_a_response_are_read_as_they_came(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    ids = [*tokenizer("ab").input_ids, start, *tokenizer("c").input_ids, tokenizer.eos_token_id]
    response = response_from_tokens("t", ids, tokenizer)
    found = verdicts(1)
    (rows,) = ContrastRelevance(model, tokenizer)([task("Be kind.")], [response], [found])
    np.testing.assert_allclose(rows, by_hand(model, tokenizer, task("Be kind."), response, found), atol=1e-3)


def test_tokens_are_never_encoded_again(tiny: tuple[Any, Any]) -> None:
    """A sampled sequence need not be the one that the tokenizer would choose; here the text is not even its own."""
    model, tokenizer = tiny
    ids = tuple(tokenizer("ab").input_ids)
    response = Response("t", "something else", ids, ((0, 4), (4, 9)))
    (rows,) = ContrastRelevance(model, tokenizer)([task("Be kind.")], [response], [verdicts(1)])
    expected = by_hand(model, tokenizer, task("Be kind."), response, verdicts(1))
    np.testing.assert_allclose(rows, expected, atol=1e-3)


def test_another_tokenizer_is_met_on_the_characters(tiny: tuple[Any, Any]) -> None:
    """The model reads bytes; the policy's tokens are words, an emoji, and an end of sequence without characters."""
    model, tokenizer = tiny
    text = "Salve, 😀 amice"
    bounds = [(0, 5), (5, 6), (6, 8), (8, 14), (14, 14)]
    policy = Response("t", text, (100_000, 5, 6, 7, 2), tuple(bounds))
    characters = ContrastRelevance(model, tokenizer)(
        [task("Latin.")], [answered(tokenizer, text, ended=False)], [verdicts(1)]
    )
    spans = answered(tokenizer, text, ended=False).spans
    values = np.array(
        [max(characters[0][0][t] for t, (a, b) in enumerate(spans) if a <= c < b) for c in range(len(text))]
    )
    (rows,) = ContrastRelevance(model, tokenizer, own_tokens=False)([task("Latin.")], [policy], [verdicts(1)])
    expected = [values[a:b].mean() for a, b in bounds[:-1]]
    np.testing.assert_allclose(rows[0], [*expected, np.mean(expected)], atol=1e-4)
    assert rows[0].max() > 0.01


def test_a_tokenizer_that_cannot_say_its_characters_is_refused(tiny: tuple[Any, Any]) -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ConfigurationError, match="Slow does not say which characters its tokens span"):
        ContrastRelevance(tiny[0], Slow(), own_tokens=False)


def test_without_a_chat_template_the_messages_are_joined() -> None:
    model, tokenizer = tiny_model()
    tokenizer.chat_template = None
    source = ContrastRelevance(model, tokenizer)
    assert tokenizer.decode(source._prompt(task("Be kind."), "Be kind.")) == "Be brief.\n\nWrite a line.\nBe kind.\n\n"


def test_the_chat_template_gets_its_options() -> None:
    model, tokenizer = tiny_model()
    tokenizer.chat_template += "{% if thinking %}<think>{% endif %}"
    source = ContrastRelevance(model, tokenizer, chat_template_kwargs={"thinking": True})
    assert tokenizer.decode(source._prompt(task("Be kind."), None)).endswith("<|im_start|>assistant\n<think>")


def test_what_is_too_long_to_read_blames_nobody(caplog: pytest.LogCaptureFixture) -> None:
    model, tokenizer = tiny_model()
    source = ContrastRelevance(model, tokenizer)
    long, short = answered(tokenizer, "x" * 2048), answered(tokenizer, "xyz")
    with caplog.at_level(logging.WARNING):
        relevance = source([task("Be kind.", "w " * 1200)] * 2, [long, short], [verdicts(1, 1)] * 2)
        source([task("Be kind.")], [long], [verdicts(1)])
    assert relevance[0].shape == (2, 2049)
    assert not relevance[0].any()
    assert relevance[1][0].any()
    assert not relevance[1][1].any()
    (message,) = [text for name, _, text in caplog.record_tuples if name.startswith("rtt.")]
    assert "tokens and the model reads 2048; such rows get relevance 0" in message


def test_impossible_tokens_give_no_nan(tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    minus = -np.inf
    rows = [[minus, minus, -1.0, -1.0], [minus, -1.0, minus, -2.0]]  # without, with
    monkeypatch.setattr(
        "rtt.relevance.contrast.log_probabilities", lambda *_, **__: [np.array(row, dtype=np.float32) for row in rows]
    )
    response = answered(tiny[1], "abc")
    (found,) = ContrastRelevance(*tiny)([task("Be kind.")], [response], [verdicts(1)])
    assert found.tolist() == [[0, 1, 0, 0]]


# -------------------------------------------------------------------------------------------------------- from a folder


def test_a_model_by_its_folder(tiny: tuple[Any, Any], tmp_path: Path) -> None:
    model, tokenizer = tiny
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    state = torch.get_rng_state()
    loaded: Any = relevance_source("contrast", model=tmp_path, device="cpu", policy_tokenizer=tokenizer, batch_tokens=7)
    foreign: Any = relevance_source("contrast", model=str(tmp_path))
    given: Any = relevance_source("contrast", model=model, tokenizer=tokenizer)
    assert torch.equal(torch.get_rng_state(), state)
    assert (loaded.own_tokens, foreign.own_tokens, given.own_tokens) == (True, False, True)
    assert loaded.batch_tokens == 7
    assert not loaded.model.training
    response = answered(tokenizer, "Yes, indeed.", ended=False)
    expected = given([task("Be kind.")], [response], [verdicts(1)])[0]
    for source in (loaded, foreign):
        found = source([task("Be kind.")], [response], [verdicts(1)])[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="relevance 'contrast': no causal model"):
        relevance_source("contrast", model=tmp_path)
