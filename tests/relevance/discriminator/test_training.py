"""Training: labels land on the right tokens, the loss is what it says, a short run learns, resumes and calibrates."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtt.errors import ConfigurationError, DataError
from rtt.relevance.discriminator.examples import Example
from rtt.relevance.discriminator.inputs import collate_rows
from rtt.relevance.discriminator.model import SETTINGS_FILE, Discriminator
from rtt.relevance.discriminator.training import (
    GLOBAL_WEIGHT,
    DiscriminatorConfig,
    asked_of_all,
    calibrate,
    pair_loss,
    rows_of,
    train_discriminator,
)
from rtt.trainers.checkpoints import last_complete_checkpoint
from rtt.verdicts import Outcome

Make = Callable[..., Discriminator]


def commas(number: int, seed: int = 0) -> list[Example]:
    """Examples that a network of one layer can learn: the criterion names the sign that is relevant."""
    rng = random.Random(seed)
    found = []
    for index in range(number):
        text = "".join(rng.choice("abcd ,;") for _ in range(rng.randint(10, 30)))
        for sign in ",;":
            spans = tuple((i, i + 1) for i, c in enumerate(text) if c == sign)
            found.append(
                Example(
                    criterion=f"no {sign}", response=text, outcome=Outcome.VIOLATED if spans else Outcome.SATISFIED,
                    violation=spans, kind=f"sign:{sign}", prompt=f"p{index}",
                )
            )  # fmt: skip
    return found


def config(folder: Path, backbone: Path, **options: Any) -> DiscriminatorConfig:
    chosen: dict[str, Any] = {
        "output_dir": str(folder),
        "backbone": str(backbone),
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "learning_rate": 3e-3,
        "head_learning_rate": 1e-2,
        "max_criterion": 16,
        "save_steps": 4,
        **options,
    }
    return DiscriminatorConfig(**chosen)


# ------------------------------------------------------------------------------------------------------ rows and loss


def test_labels_lie_on_the_tokens_of_the_relevant_characters(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    examples = [
        Example("one", "ab, cd", Outcome.VIOLATED, violation=((2, 3),)),
        Example("two", "ab, cd", Outcome.SATISFIED, support=((0, 2), (4, 6))),
        Example("all", "ab, cd", Outcome.SATISFIED, scope="response"),
        Example("other", "xy", Outcome.SATISFIED, support=((1, 2),)),
    ]
    rows = rows_of(examples, encoder, window=64, overlap=8, criteria_per_row=8)
    assert len(rows) == 2
    assert rows[0].labels is not None
    assert rows[1].labels is not None
    assert rows[0].labels.tolist() == [[0, 0, 1, 0, 0], [1, 1, 0, 1, 1], [1, 1, 1, 1, 1]]  # no token for the blank
    assert rows[1].labels.tolist() == [[0, 1]]


def test_long_responses_are_cut_with_their_labels(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    example = Example("c", "a" * 20, Outcome.SATISFIED, support=((3, 4), (18, 19)))
    rows = rows_of([example], encoder, window=12, overlap=4, criteria_per_row=8)
    assert [len(row.response) for row in rows] == [12, 12]
    assert [np.flatnonzero(row.labels).tolist() for row in rows if row.labels is not None] == [[3], [10]]


def test_rows_hold_so_many_criteria_at_most(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    examples = [Example(f"c{k}", "abc", Outcome.SATISFIED, support=((0, 1),)) for k in range(7)]
    for size, expected in ((3, [3, 3, 1]), (1, [1] * 7)):
        rows = rows_of(examples, encoder, window=64, overlap=8, criteria_per_row=size)
        assert [len(row.criteria) for row in rows] == expected


def test_the_loss_is_balanced_within_each_pair_and_ranks_its_tokens(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    examples = [
        Example("one", "abc", Outcome.SATISFIED, support=((0, 1),)),
        Example("two", "abc", Outcome.SATISFIED, scope="response"),
        Example("three", "abcdef", Outcome.SATISFIED, support=((1, 3),)),
    ]
    rows = rows_of(examples, encoder, window=64, overlap=8, criteria_per_row=8)
    rows[0] = replace(rows[0], weights=np.asarray([1.0, 0.25], dtype=np.float32))
    batch = collate_rows(rows, encoder, "joint")
    logits = torch.randn(2, 2, 6, generator=torch.Generator().manual_seed(0))
    total, weights = 0.0, 0.0
    for (n, k), tokens, relevant, weight in [
        ((0, 0), 3, [0], 1.0),
        ((0, 1), 3, [0, 1, 2], 0.25),
        ((1, 0), 6, [1, 2], 1.0),
    ]:
        z = logits[n, k, :tokens].double().numpy()
        other = [t for t in range(tokens) if t not in relevant]
        yes, no = -np.log(1 / (1 + np.exp(-z))), -np.log(1 / (1 + np.exp(z)))
        loss = yes[relevant].mean()
        if other:
            ranking = -np.log(np.exp(z) / np.exp(z).sum())[relevant].mean() - np.log(len(relevant))
            loss = (loss + no[other].mean()) / 2 + 0.7 * ranking
        total, weights = total + weight * loss, weights + weight
    assert pair_loss(logits, batch, 0.7).item() == pytest.approx(total / weights, rel=1e-5)
    logits[0, :, 3:] = 50.0  # padding of tokens
    logits[1, 1] = -50.0  # padding of criteria
    assert pair_loss(logits, batch, 0.7).item() == pytest.approx(total / weights, rel=1e-5)


def test_a_perfect_order_costs_nothing(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    rows = rows_of(
        [Example("c", "abcd", Outcome.SATISFIED, support=((1, 3),))], encoder, window=64, overlap=8, criteria_per_row=8
    )
    batch = collate_rows(rows, encoder, "joint")
    assert pair_loss(torch.tensor([[[-30.0, 30.0, 30.0, -30.0]]]), batch, 1.0).item() == pytest.approx(0, abs=1e-6)


def test_criteria_of_a_batch_are_asked_of_all_its_responses(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    examples = [
        Example("no ,", "a,b", Outcome.VIOLATED, violation=((1, 2),), kind="sign:,"),
        Example("no ;", ";cd,", Outcome.VIOLATED, violation=((0, 1),), kind="sign:;"),
        Example("mine", ";cd,", Outcome.SATISFIED, support=((1, 2),)),
    ]

    def again(example: Example, text: str) -> Example | None:
        if example.kind == "user":
            return None
        spans = tuple((i, i + 1) for i, c in enumerate(text) if c == example.criterion[-1])
        return Example(example.criterion, text, Outcome.VIOLATED, violation=spans)

    rows = asked_of_all(rows_of(examples, encoder, window=64, overlap=8, criteria_per_row=8), again, encoder)
    labels = [row.labels.tolist() for row in rows if row.labels is not None]
    assert labels == [[[0, 1, 0], [0, 0, 0]], [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]]
    assert [row.weights.tolist() for row in rows if row.weights is not None] == [
        [1.0, pytest.approx(GLOBAL_WEIGHT)],
        [1.0, 1.0, 1.0],
    ]
    assert [len(row.criteria) for row in rows] == [2, 3]


def test_criteria_asked_again_keep_to_the_window(tiny_discriminator: Make) -> None:
    encoder = tiny_discriminator("joint").encoder
    examples = [
        Example("no ,", "a" * 19 + ",", Outcome.VIOLATED, violation=((19, 20),), kind="sign:,"),
        Example("no ;", "xy", Outcome.SATISFIED, kind="sign:;"),
    ]
    rows = rows_of(examples, encoder, window=12, overlap=4, criteria_per_row=8)

    def again(example: Example, text: str) -> Example:
        spans = ((2, 3), (19, 20)) if len(text) > 2 else ()
        return Example(example.criterion, text, Outcome.VIOLATED, violation=spans, kind=example.kind)

    found = asked_of_all(rows, again, encoder)  # the windows are tokens 0 to 12 and 8 to 20
    assert [np.argwhere(row.labels).tolist() for row in found if row.labels is not None] == [
        [[1, 2]],
        [[0, 11], [1, 11]],
        [],
    ]


# ------------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("architecture", ["joint", "cross"])
def test_a_short_run_learns_what_the_criterion_names(tiny_backbone: Path, tmp_path: Path, architecture: str) -> None:
    steps = 60
    args = config(tmp_path / "run", tiny_backbone, architecture=architecture, max_steps=steps, save_steps=1000)
    # one layer of attention is too little to compare a sign with the criterion's: cross learns one criterion
    kinds = {"sign:,", "sign:;"} if architecture == "joint" else {"sign:,"}
    train, validation, test = (
        [example for example in commas(number, seed) if example.kind in kinds]
        for number, seed in ((200, 0), (40, 1), (20, 2))
    )
    discriminator = train_discriminator(args, train, validation)
    right = []
    for example in test:
        found = discriminator.characters([[example.criterion]], [example.response])[0][0]
        relevant = np.zeros(len(example.response), dtype=bool)
        for start, end in example.relevant:
            relevant[start:end] = True
        visible = np.array([not c.isspace() for c in example.response])
        right.append(((found >= discriminator.settings.threshold) == relevant)[visible].mean())
    assert np.mean(right) > 0.97
    saved = Discriminator.from_pretrained(tmp_path / "run" / "model")
    assert saved.settings == discriminator.settings
    assert saved.settings.training["steps"] == steps
    assert saved.settings.training["examples"] == len(train)


def test_calibration_takes_the_balancing_out(tiny_backbone: Path, tmp_path: Path) -> None:
    """Balanced, relevance is too high before; after, it is right on average."""
    args = config(tmp_path / "run", tiny_backbone, max_steps=6, save_steps=100)
    validation = commas(60, seed=1)
    raw = train_discriminator(args, commas(40))
    fitted = calibrate(raw, validation)

    def mean(discriminator: Discriminator) -> float:
        found = [discriminator.tokens([[e.criterion]], [e.response])[0][1][0] for e in validation]
        return float(np.concatenate(found).mean())

    share = np.mean([c in e.criterion[3:] for e in validation for c in e.response if not c.isspace()])
    assert mean(raw) > 1.3 * share
    assert mean(fitted) == pytest.approx(share, abs=0.01)


def test_a_run_goes_on_from_its_checkpoint(tiny_backbone: Path, tmp_path: Path) -> None:
    train, validation = commas(30), commas(10, seed=1)
    whole = train_discriminator(config(tmp_path / "a", tiny_backbone, max_steps=8), train, validation)
    train_discriminator(config(tmp_path / "b", tiny_backbone, max_steps=8, save_total_limit=None), train, validation)
    checkpoint = tmp_path / "b" / "checkpoint-4"
    assert last_complete_checkpoint(tmp_path / "b") == tmp_path / "b" / "checkpoint-8"
    resumed = train_discriminator(
        config(tmp_path / "b", tiny_backbone, max_steps=8), train, validation, checkpoint=str(checkpoint)
    )
    for (name, one), other in zip(
        whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def test_a_run_stops_when_its_time_is_over(tiny_backbone: Path, tmp_path: Path) -> None:
    args = config(tmp_path / "run", tiny_backbone, max_steps=10_000, max_minutes=0.02, save_steps=10_000)
    discriminator = train_discriminator(args, commas(20))
    assert 0 < discriminator.settings.training["steps"] < 10_000
    assert discriminator.settings.training["stopped by max_minutes"] is True


def test_adapters_are_merged_into_what_is_saved(tiny_backbone: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    args = config(tmp_path / "run", tiny_backbone, max_steps=2, lora_r=2)
    trained = train_discriminator(args, commas(10))
    loaded = Discriminator.from_pretrained(tmp_path / "run" / "model")
    text = "ab,cd"
    assert np.array_equal(loaded.characters([["no ,"]], [text])[0], trained.characters([["no ,"]], [text])[0])
    assert not any("lora" in name for name in loaded.network.state_dict())


def test_nothing_relevant_is_nothing_to_learn(tiny_backbone: Path, tmp_path: Path) -> None:
    examples = [Example("c", "abc", Outcome.SATISFIED)]
    with pytest.raises(DataError, match="none of the 1 examples has a relevant token"):
        train_discriminator(config(tmp_path / "run", tiny_backbone, max_steps=1), examples)
    assert not (tmp_path / "run" / "model" / SETTINGS_FILE).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "siamese"}, "expected 'joint' or 'cross'"),
        ({"causal": True}, "causal=True belongs to architecture='cross'"),
        ({"ranking_weight": -0.5}, "ranking_weight=-0.5; expected at least 0"),
        ({"window": 64, "overlap": 64}, "expected less than the window"),
        ({"max_minutes": 0.0}, "max_minutes=0.0; expected above 0, or None"),
        ({"lora_r": -1}, "lora_r=-1; expected at least 0"),
        ({"criteria_per_row": 0}, "criteria_per_row=0; expected at least 1"),
        ({"template": "{response}"}, "expected {criterion} and {response} in it"),
    ],
)
def test_options_that_cannot_be_used_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DiscriminatorConfig(output_dir=str(tmp_path), use_cpu=True, **options)
