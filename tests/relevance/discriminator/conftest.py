"""A tiny backbone for the discriminators' tests: one layer, random weights, a vocabulary of characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer and width 32; one token a character, special tokens [CLS], [SEP], [PAD], [UNK]."""
    from rtt.demo.discriminator import tiny_backbone as make

    return Path(make(tmp_path_factory.mktemp("backbone") / "tiny"))


@pytest.fixture(scope="session")
def tiny_discriminator(tiny_backbone: Path) -> Any:
    """From an architecture and settings to a discriminator with random weights, its interaction not near zero."""
    import torch
    from transformers import AutoTokenizer

    from rtt.relevance.discriminator.inputs import Template
    from rtt.relevance.discriminator.model import Discriminator, DiscriminatorSettings, build_network

    def make(architecture: str = "joint", **settings: Any) -> Discriminator:
        tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)
        settings = {"template": Template.default(tokenizer).text, "window": 64, "overlap": 16, **settings}
        chosen = DiscriminatorSettings(architecture=architecture, max_criterion=40, **settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = build_network(tiny_backbone, chosen)
            for part in network.layout.parameters():
                torch.nn.init.normal_(part)
            with torch.no_grad():  # random heads answer alike everywhere: make differences visible
                for name, part in network.named_parameters():
                    if part.dim() > 1 and not name.startswith(("backbone.embeddings", "interaction.direct")):
                        part.mul_(3)
                if architecture == "joint":
                    network.interaction.direct.bias.zero_()
        return Discriminator(network.eval(), tokenizer, chosen)

    return make
