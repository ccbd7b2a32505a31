"""The discriminator: a model that reads criteria and a response and says which characters the verdicts hang on.

    examples                    what it learns from: criterion, response, the characters that count
    wordings                    the rules' criteria in many words
    patterns, edits, sampling   criteria about features of any text, and texts that are changed to meet or break them
    counterfactuals             the characters whose removal turns a verdict over
    inputs, model               texts as tensors; the two architectures; a discriminator on disk
    training, arguments         transformers' Trainer, and its options
    served, server              the same over HTTP, on a device of its own
    source                      relevance for a trainer, on the policy's tokens
    evaluation, baselines, report   how good it is, and beside what

The relevance of arXiv:2604.02795, section 3. ``Discriminator`` and ``DiscriminatorRelevance`` are loaded on first use:
importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtt.relevance.discriminator.model import Discriminator
    from rtt.relevance.discriminator.source import DiscriminatorRelevance

__all__ = ["Discriminator", "DiscriminatorRelevance"]

_HOME = {
    "Discriminator": "rtt.relevance.discriminator.model",
    "DiscriminatorRelevance": "rtt.relevance.discriminator.source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rtt.relevance.discriminator' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
