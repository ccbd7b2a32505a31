"""The bench of growing costs runs, and its arithmetic is what torch counts in real models."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "benches/bench_growth.py"


@pytest.fixture(scope="module")
def bench() -> Any:
    specification = importlib.util.spec_from_file_location("bench_growth", BENCH)
    assert specification is not None
    assert specification.loader is not None
    module: ModuleType = importlib.util.module_from_spec(specification)
    sys.modules["bench_growth"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    del sys.modules["bench_growth"]


def counted(run: Any) -> int:
    """Operations as torch counts them: those of matrix products, the attention's in full."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_a_policy_takes_the_operations_that_torch_counts(bench):
    import torch

    from rtt.demo.models import tiny_model

    model, tokenizer = tiny_model()
    shape = bench.Transformer(2, 32, 32, 16, 64, vocabulary=len(tokenizer), causal=False)
    ids = torch.randint(256, (3, 20))
    assert counted(lambda: model(input_ids=ids)) == shape.forward(3, 20)
    head = 32 * len(tokenizer)
    matrices = sum(part.numel() for name, part in model.model.layers.named_parameters() if name.endswith("weight"))
    norms = 2 * 2 * 32
    assert shape.parameters == matrices - norms + head


def test_a_causal_model_needs_half_of_the_attention(bench):
    full = bench.Transformer(2, 32, 32, 16, 64, causal=False)
    half = bench.Transformer(2, 32, 32, 16, 64)
    products = 2 * 2 * full.parameters * 20 * 3 // 2
    assert 2 * (half.forward(3, 20) - products) == full.forward(3, 20) - products == 3 * 2 * 4 * 20 * 20 * 32


def test_a_step_of_the_policy_is_ten_operations_a_parameter_and_token(bench):
    shape = bench.Transformer(1, 8, 8, 8, 8)
    attention = 4 * 8 * 10 * 10 // 2
    assert bench.policy_step(shape, 2, 10) == 2 * (10 * shape.parameters * 10 + 5 * attention)


@pytest.mark.parametrize("criteria", [1, 3])
def test_a_joint_discriminator_takes_the_operations_that_torch_counts(bench, criteria):
    import torch
    from transformers import BertConfig

    from rtt.relevance.discriminator.inputs import LAYOUT, NAME_TOKENS, Batch, Texts
    from rtt.relevance.discriminator.model import DiscriminatorSettings, build_network

    rows, length, words, size, heads = 2, 30, 7, 24, 3
    config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    settings = DiscriminatorSettings(
        template="{criterion}{response}", interaction_size=size, interaction_heads=heads, lexical=False
    )
    network = build_network(config, settings).eval()

    def texts(count: int, tokens: int) -> Texts:
        return Texts(
            torch.randint(50, (count, tokens)),
            torch.zeros(count, tokens, len(LAYOUT), dtype=torch.int64),
            torch.full((count, tokens, NAME_TOKENS), -1),
            torch.ones(count, tokens, dtype=torch.bool),
            torch.zeros(count, tokens, dtype=torch.int64),
        )

    batch = Batch(
        texts=texts(rows, length),
        criteria=texts(criteria, words),
        asked=torch.arange(criteria).expand(rows, -1),
        asked_mask=torch.ones(rows, criteria, dtype=torch.bool),
        response=torch.arange(1, length - 1).expand(rows, -1),
        response_mask=torch.ones(rows, length - 2, dtype=torch.bool),
        hints=torch.zeros(rows, criteria, length - 2),
        labels=None,
        weights=None,
    )
    backbone = bench.Transformer(2, 32, 32, 32, 48, gated=False, causal=False)
    expected = bench.joint_pass(backbone, rows, length, criteria, words, criteria, size=size, heads=heads)
    assert counted(lambda: network(batch)) == expected


def test_the_shapes_have_the_parameters_in_their_names(bench):
    millions = {name: round(shape.parameters / 1e6) for name, shape in bench.POLICIES.items()}
    assert millions == {"0.135B": 134, "0.6B": 596, "4B": 4022, "8B": 7568}  # 8B: and 622 of its input embeddings
    millions = {name: round(shape.parameters / 1e6) for name, shape in bench.BACKBONES.items()}
    assert millions == {"joint 22M": 11, "joint 150M": 110}  # without embeddings of 12 and 39 million


def test_the_bench_measures_every_stage_at_every_point(bench, tmp_path, capsys):
    factors = ["--group", "2", "3", "--criteria", "2", "3", "--tokens", "16", "24"]
    sizes = ["--base", "2", "2", "16", "--process", "1", "2", "8", "--prompts", "2", "--repeats", "2"]
    bench.main([*factors, *sizes, "--output", str(tmp_path)])
    data = json.loads((tmp_path / "bench_growth.json").read_text())
    found = [tuple(point[name] for name in ("prompts", "group", "criteria", "tokens")) for point in data["points"]]
    assert found == [(2, 2, 2, 16), (2, 3, 2, 16), (2, 2, 3, 16), (2, 2, 2, 24), (1, 1, 2, 8)]
    for point in data["points"]:
        assert set(point["seconds"]) == set(bench.STAGES)
        assert all(len(seconds) == 2 and min(seconds) >= 0 for seconds in point["seconds"].values())
    assert data["points"][2]["relevance_bytes"] == 4 * 4 * 3 * 16
    assert data["points"][2]["advantage_bytes"] == 4 * 4 * 16
    report = (tmp_path / "bench_growth.md").read_text()
    assert capsys.readouterr().out.strip() == report.strip()
    assert "## Measured" in report
    assert "## Arithmetic" in report
