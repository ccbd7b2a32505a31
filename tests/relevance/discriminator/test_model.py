"""The two architectures: what a criterion is given must depend on itself and the response, and on nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.inputs import Row, Template, collate_rows, hints_of
from rtt.relevance.discriminator.model import (
    SETTINGS_FILE,
    WEIGHTS_FILE,
    Discriminator,
    DiscriminatorSettings,
    Interaction,
    build_network,
)

Make = Callable[..., Discriminator]
TEXT = "Rain, rain, go away.\n\nCome again another DAY."
CRITERIA = ("No commas.", "The response contains the word rain.", "It has a TITLE", "Short", "x" * 30)


@pytest.fixture(scope="module")
def joint(tiny_discriminator: Make) -> Discriminator:
    return tiny_discriminator("joint")


@pytest.fixture(scope="module")
def cross(tiny_discriminator: Make) -> Discriminator:
    return tiny_discriminator("cross")


# ---------------------------------------------------------------------------------------------------------- invariance


@given(order=st.permutations(range(5)), count=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_criteria_do_not_depend_on_each_others_order_or_number(
    joint: Discriminator, order: list[int], count: int
) -> None:
    alone = np.concatenate([joint.characters([[one]], [TEXT])[0] for one in CRITERIA])
    assert alone.std(axis=0).max() > 0.02  # the criteria do differ: equality would mean something
    chosen = list(order)[:count]
    together = joint.characters([[CRITERIA[k] for k in chosen]], [TEXT])[0]
    np.testing.assert_allclose(together, alone[chosen], atol=2e-6)


def test_spreading_criteria_over_rows_changes_no_value(tiny_discriminator: Make) -> None:
    many = [f"criterion number {k}" for k in range(40)]
    whole = tiny_discriminator("joint", criteria_per_row=100).characters([many], [TEXT])[0]
    spread = tiny_discriminator("joint", criteria_per_row=7).characters([many], [TEXT])[0]
    assert whole.shape == (40, len(TEXT))
    np.testing.assert_allclose(spread, whole, atol=2e-6)


@pytest.mark.parametrize("architecture", ["joint", "cross"])
def test_padding_and_neighbours_change_no_value(tiny_discriminator: Make, architecture: str) -> None:
    discriminator = tiny_discriminator(architecture)
    texts = ["a", TEXT, "b " * 25, "", "cc"]
    criteria = [["one"], list(CRITERIA), ["two", "three"], ["four"], []]
    together = discriminator.characters(criteria, texts, batch_tokens=100_000)
    for asked, text, found in zip(criteria, texts, together, strict=True):
        alone = discriminator.characters([asked], [text])[0]
        assert found.shape == alone.shape == (len(asked), len(text))
        np.testing.assert_allclose(found, alone, atol=2e-6)


def test_a_cross_token_sees_what_follows_and_a_causal_one_does_not(tiny_discriminator: Make) -> None:
    for causal in (False, True):
        discriminator = tiny_discriminator("cross", causal=causal)
        first = discriminator.characters([["c"]], ["abcdefgh"])[0][0]
        other = discriminator.characters([["c"]], ["abcdefgX"])[0][0]
        changed = np.abs(first - other)[:7].max()
        assert (changed < 1e-6) if causal else (changed > 1e-4)


def test_a_joint_response_is_read_without_the_criteria_but_scored_by_them(joint: Discriminator) -> None:
    found = joint.characters([["No commas.", "It has a TITLE"]], [TEXT])[0]
    assert np.abs(found[0] - found[1]).max() > 0.02


def test_letter_case_and_line_ends_reach_the_network(tiny_discriminator: Make) -> None:
    seeing, blind = tiny_discriminator("joint"), tiny_discriminator("joint", layout=False)
    one, other = "abc def", "abc\n\ndef"
    for discriminator, differs in ((seeing, True), (blind, False)):
        a = discriminator.characters([["c"]], [one])[0][0, :3]
        b = discriminator.characters([["c"]], [other])[0][0, :3]
        assert (np.abs(a - b).max() > 1e-4) == differs


def test_the_name_of_a_sign_reaches_the_network(tiny_discriminator: Make) -> None:
    seeing, blind = tiny_discriminator("joint"), tiny_discriminator("joint", layout=False)
    for discriminator, differs in ((seeing, True), (blind, False)):
        (response,) = discriminator.encoder.responses(["a,b"])
        nameless = replace(response, names=np.full_like(response.names, -1))
        asked = (discriminator.encoder.criterion("c"),)
        one, other = discriminator.probabilities([Row(response, asked), Row(nameless, asked)])
        assert (np.abs(one - other).max() > 1e-4) == differs


# --------------------------------------------------------------------------------------------------------- interaction


def test_interaction_is_what_its_formula_says() -> None:
    """Recomputed pair by pair in float64, without any of its tensor shapes."""
    torch.manual_seed(0)
    module = Interaction(width=6, size=8, heads=2).double().eval()
    with torch.no_grad():
        for part in module.parameters():
            part.copy_(torch.randn(part.shape))
    n, m, t, length = 2, 4, 5, 4
    response, r0 = torch.randn(n, t, 6).double(), torch.randn(n, t, 6).double()
    criteria, c0 = torch.randn(m, length, 6).double(), torch.randn(m, length, 6).double()
    response_mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    criteria_mask = torch.ones(m, length, dtype=torch.bool)
    criteria_mask[1, 2:] = False
    asked = torch.tensor([[0, 1, 3], [1, 2, 0]])
    hints = torch.rand(n, 3, t).double()
    found = module(response, r0, response_mask, criteria, c0, criteria_mask, asked, hints)

    def linear(layer: Any, x: Any) -> Any:
        return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()

    def gelu(x: Any) -> Any:
        return torch.nn.functional.gelu(torch.from_numpy(x)).numpy()

    def norm(layer: Any, x: Any) -> Any:
        scaled = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return scaled * layer.weight.detach().numpy() + layer.bias.detach().numpy()

    def softmax(x: Any) -> Any:
        weights = np.exp(x - x.max())
        return weights / weights.sum()

    def cosine(x: Any, y: Any) -> float:
        return float(x @ y / np.sqrt((x @ x) * (y @ y)))

    halves = (slice(0, 4), slice(4, 8))
    for i in range(n):
        steps = int(response_mask[i].sum())
        for j, k in enumerate(asked[i].tolist()):
            words = range(int(criteria_mask[k].sum()))
            cs, es = [criteria[k, w].numpy() for w in words], [c0[k, w].numpy() for w in words]
            mixed, matches = [], []
            for s in range(steps):
                h = response[i, s].numpy()
                context, best = np.zeros(8), np.zeros(2)
                for head, part in enumerate(halves):
                    scores = np.array([linear(module.query, h)[part] @ linear(module.key, c)[part] for c in cs]) / 2.0
                    best[head] = scores.max()
                    context[part] = softmax(scores) @ np.array([linear(module.value, c)[part] for c in cs])
                same = max(cosine(r0[i, s].numpy(), e) for e in es)
                near = max(cosine(h, c) for c in cs)
                matches.append(np.concatenate([best, [same, near, hints[i, j, s].item()]]))
                token = linear(module.token, h)
                features = np.concatenate([token * linear(module.marker, cs[0]), context, token * context, matches[-1]])
                mixed.append(gelu(norm(module.norm, linear(module.mix, features))))
            rows = np.array(mixed)
            padded = np.zeros((t + 8, 8))
            padded[4 : 4 + steps] = rows
            kernel = module.around.weight.detach().numpy()[:, 0]  # (size, 9)
            triples = np.array([linear(module.inputs, row) for row in rows])
            q, key, v = triples[:, :8], triples[:, 8:16], triples[:, 16:]
            for s in range(steps):
                seen = np.concatenate([softmax(key[:, part] @ q[s, part] / 2.0) @ v[:, part] for part in halves])
                around = (padded[s : s + 9] * kernel.T).sum(0) + module.around.bias.detach().numpy()
                row = rows[s] + linear(module.attended, seen) + around
                row = row + linear(module.narrow, gelu(linear(module.widen, norm(module.after_norm, row))))
                expected = linear(module.logit, row)[0] + linear(module.direct, matches[s])[0]
                np.testing.assert_allclose(found[i, j, s].item(), expected, rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------------- what the released code trips on


@pytest.mark.parametrize("architecture", ["joint", "cross"])
@pytest.mark.parametrize(
    "text",
    [
        "<think>let me see</think>The answer <tool_call>{}</tool_call> goes on after the tags.",
        "No commas. No commas. No commas.",  # repeats the criterion
        "a [SEP] b [CLS] c",
        "x",
        "",
        "   \n ",
        "👩‍👩‍👧 e\u0301 🇩🇪 \u200d",
        "漢字とかな交じり文。",
        "one\r\ntwo\r\n\r\nthree",
        "\x00\ud83d broken",
    ],
)
def test_a_response_is_read_to_its_end(tiny_discriminator: Make, architecture: str, text: str) -> None:
    found = tiny_discriminator(architecture).characters([["No commas.", "Use tags"]], [text])[0]
    assert found.shape == (2, len(text))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    visible = [i for i, c in enumerate(text) if not c.isspace() and c.isprintable() and c != "\u200d"]
    assert (found[:, visible] > 0).all()  # a sigmoid is never 0: no character was cut off


@pytest.mark.parametrize("architecture", ["joint", "cross"])
def test_a_response_of_20000_tokens_is_read_in_windows(tiny_discriminator: Make, architecture: str) -> None:
    discriminator = tiny_discriminator(architecture, window=512, overlap=64)
    text = "abcd " * 5000
    found = discriminator.characters([["No commas."]], [text])[0]
    assert found.shape == (1, 25_000)
    assert (found[0, np.array([c != " " for c in text])] > 0).all()


def test_a_windowed_response_is_read_as_its_windows_are(tiny_discriminator: Make) -> None:
    discriminator = tiny_discriminator("joint", window=16, overlap=4)
    text = " ".join("abcdefghijklmnopqrstuvwx")  # 24 tokens: windows (0, 16) and (8, 24), which part at 12
    found = discriminator.tokens([["c"]], [text])[0][1][0]
    first = discriminator.tokens([["c"]], [text[:31]])[0][1][0]
    np.testing.assert_allclose(found[:12], first[:12], atol=1e-6)
    (whole,) = discriminator.encoder.responses([text])
    row = Row(whole.cut(8, 24), (discriminator.encoder.criterion("c"),), hints=np.zeros((1, 16), dtype=np.float32))
    row.hints[:] = hints_of([["c"]], [text], [whole])[0][:, 8:24]
    np.testing.assert_allclose(found[12:], discriminator.probabilities([row])[0][0, 4:], atol=1e-6)


@pytest.mark.parametrize("architecture", ["joint", "cross"])
def test_a_criterion_of_2000_words_is_read_as_far_as_it_is_said(
    tiny_discriminator: Make, architecture: str, caplog: pytest.LogCaptureFixture
) -> None:
    discriminator = tiny_discriminator(architecture)
    with caplog.at_level(logging.WARNING):
        found = discriminator.characters([["many words " * 1000, "short"]], [TEXT])[0]
    assert np.isfinite(found).all()
    assert "reads the first 40" in caplog.text
    np.testing.assert_allclose(found[1:], discriminator.characters([["short"]], [TEXT])[0], atol=1e-6)


def test_training_mode_and_random_generator_are_left_as_they_were(joint: Discriminator) -> None:
    joint.network.train()
    before = torch.get_rng_state()
    first = joint.characters([["c"]], [TEXT])[0]
    assert joint.network.training
    assert torch.equal(before, torch.get_rng_state())
    joint.network.eval()
    again = joint.characters([["c"]], [TEXT])[0]
    np.testing.assert_allclose(first, again, atol=1e-6)  # no dropout while scoring


def test_calibration_scales_the_logits(tiny_discriminator: Make) -> None:
    plain = tiny_discriminator("joint")
    scaled = Discriminator(
        plain.network, plain.tokenizer, plain.settings.model_copy(update={"logit_scale": 2.0, "logit_bias": -1.0})
    )
    a = plain.tokens([["c"]], [TEXT])[0][1].astype(np.float64)
    b = scaled.tokens([["c"]], [TEXT])[0][1].astype(np.float64)
    logits = np.log(a / (1 - a))
    np.testing.assert_allclose(b, 1 / (1 + np.exp(-(2 * logits - 1))), atol=1e-5)


# ------------------------------------------------------------------------------------------------------------- on disk


@pytest.mark.parametrize("architecture", ["joint", "cross"])
def test_what_is_saved_is_what_is_loaded(tiny_discriminator: Make, architecture: str, tmp_path: Path) -> None:
    discriminator = tiny_discriminator(architecture, logit_bias=-0.5)
    discriminator.save_pretrained(tmp_path / "d")
    loaded = Discriminator.from_pretrained(tmp_path / "d")
    assert loaded.settings == discriminator.settings
    one, other = (d.characters([list(CRITERIA)], [TEXT])[0] for d in (loaded, discriminator))
    np.testing.assert_allclose(one, other, atol=1e-6)
    names = {path.name for path in (tmp_path / "d").iterdir()}
    assert {SETTINGS_FILE, WEIGHTS_FILE, "config.json", "tokenizer.json", "README.md"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]  # nothing half-written beside it
    card = (tmp_path / "d" / "README.md").read_text(encoding="utf-8")
    assert f"discriminator ({architecture})" in card


def test_a_discriminator_replaces_one_and_nothing_else(joint: Discriminator, tmp_path: Path) -> None:
    joint.save_pretrained(tmp_path / "d")
    joint.save_pretrained(tmp_path / "d")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds something that is no discriminator"):
        joint.save_pretrained(tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]


def test_a_model_of_another_kind_is_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds a model of another kind: it has no discriminator.json"):
        Discriminator.from_pretrained(tiny_backbone)
    with pytest.raises(ConfigurationError, match="holds no model"):
        Discriminator.from_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="is no folder here; train one with `rtt discriminator build`"):
        Discriminator.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"template": "{response}"}, "expected {criterion} and {response} in it"),
        ({"architecture": "siamese"}, "architecture: Input should be 'joint' or 'cross'"),
        ({"format": 2}, "format: .*; was it written by another version"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"architecture": "cross"}, "the weights do not fit the configuration"),
        ({"interaction_size": 64}, "the weights do not fit the configuration"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    joint: Discriminator, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    joint.save_pretrained(tmp_path / "d")
    file = tmp_path / "d" / SETTINGS_FILE
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        Discriminator.from_pretrained(tmp_path / "d")


def test_weights_that_are_missing_or_broken_are_refused(joint: Discriminator, tmp_path: Path) -> None:
    joint.save_pretrained(tmp_path / "d")
    weights = tmp_path / "d" / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ConfigurationError, match="the weights do not fit the configuration"):
        Discriminator.from_pretrained(tmp_path / "d")
    weights.unlink()
    with pytest.raises(ConfigurationError, match="is missing: the folder was copied in part"):
        Discriminator.from_pretrained(tmp_path / "d")


def test_any_causal_token_classifier_is_a_cross_backbone(tmp_path: Path) -> None:
    """The paper starts from a causal model; its tokenizer has neither [CLS] nor [SEP]."""
    from transformers import Qwen2Config

    from rtt.demo.models import tiny_model

    _, tokenizer = tiny_model()
    template = Template.default(tokenizer)
    assert template.text == "Criterion: {criterion}\nResponse:\n{response}<|im_end|>"
    chosen = DiscriminatorSettings(architecture="cross", template=template.text)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=512, pad_token_id=0,
    )  # fmt: skip
    discriminator = Discriminator(build_network(config, chosen).eval(), tokenizer, chosen)
    first = discriminator.characters([["c", "d"]], ["héllo 👩‍👩‍👧 x"])[0]
    other = discriminator.characters([["c", "d"]], ["héllo 👩‍👩‍👧 y"])[0]
    assert first.shape == (2, 13)
    np.testing.assert_allclose(first[:, :-1], other[:, :-1], atol=1e-6)  # a causal model stays causal
    discriminator.save_pretrained(tmp_path / "d")
    assert np.array_equal(
        Discriminator.from_pretrained(tmp_path / "d").characters([["c", "d"]], ["héllo 👩‍👩‍👧 x"])[0], first
    )


def test_a_window_without_room_is_refused(tiny_discriminator: Make) -> None:
    discriminator = tiny_discriminator("cross")
    narrow = discriminator.settings.model_copy(update={"max_criterion": 1020})
    with pytest.raises(ConfigurationError, match="lower max_criterion"):
        Discriminator(discriminator.network, discriminator.tokenizer, narrow).characters([["c"]], ["x"])


def test_cross_rows_hold_one_criterion(cross: Discriminator) -> None:
    (response,) = cross.encoder.responses(["ab"])
    two = Row(response, (cross.encoder.criterion("x"), cross.encoder.criterion("y")))
    with pytest.raises(ValueError, match="too many values to unpack"):
        collate_rows([two], cross.encoder, "cross")
