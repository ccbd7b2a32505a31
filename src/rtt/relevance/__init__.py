"""Relevance: how much each token of a response is responsible for the verdict on each criterion.

    RelevanceSource    (tasks, responses, verdicts)  ->  one [K, T] array for each response, values in [0, 1]

    name            source
    evidence        the evidence spans of the verdicts (no model): METHOD of rules that know where they looked
    discriminator   a trained model reads the criterion and the response: arXiv:2604.02795, section 3
    contrast        log p(token | criterion, prompt, ...) - log p(token | prompt, ...), of any causal model, no training
    hybrid          evidence where a rule decided, another source (the discriminator) where a judge did
    uniform         every token of every criterion: no localisation, the control that a localised source must beat
    random          noise that depends on the response alone
    shuffled        another source's maps, each on the wrong response: credit, or only regularisation?

``w[i,k,t]`` in arXiv:2604.02795. Whatever has the signature is a source. Importing this package imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from rtt.errors import ConfigurationError
from rtt.relevance.controls import RandomRelevance, ShuffledRelevance, UniformRelevance
from rtt.relevance.evidence import EvidenceRelevance, Missing
from rtt.relevance.hybrid import HybridRelevance

if TYPE_CHECKING:
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict

__all__ = [
    "EvidenceRelevance",
    "HybridRelevance",
    "RandomRelevance",
    "RelevanceSource",
    "ShuffledRelevance",
    "UniformRelevance",
    "relevance_names",
    "relevance_source",
]


class RelevanceSource(Protocol):
    """Anything that says which tokens are responsible. It is asked once for each batch of rollouts."""

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> Sequence[npt.NDArray[np.float32]]:
        """Relevance of each response's tokens for each criterion of its rubric.

        Args:
            tasks: the task of each response, [B].
            responses: [B].
            verdicts: for each response its verdicts in the rubric's order, [B][K].

        Returns:
            For each response a float array [K, T] with values in [0, 1]; rows of undetermined criteria are never read.
        """
        ...


def _discriminator(model: str | Path | None = None, **options: Any) -> RelevanceSource:
    if model is None:
        raise ConfigurationError(
            "relevance 'discriminator' needs a trained discriminator: name its folder, or its server, as the model "
            "(relevance_model); train one with `rtt discriminator build`"
        )
    from rtt.relevance.discriminator.source import DiscriminatorRelevance

    return DiscriminatorRelevance.from_pretrained(model, **options)


def _contrast(model: Any = None, tokenizer: Any = None, **options: Any) -> RelevanceSource:
    if model is None:
        raise ConfigurationError(
            "relevance 'contrast' needs a causal model: name its folder or hub id as the model, or give a loaded one "
            "and its tokenizer (a trainer gives the policy)"
        )
    from rtt.relevance.contrast import ContrastRelevance

    if isinstance(model, str | Path):
        return ContrastRelevance.from_pretrained(model, **options)
    return ContrastRelevance(model, tokenizer, **options)


def _hybrid(
    otherwise: str | RelevanceSource = "discriminator", missing: Missing = "response", **options: Any
) -> RelevanceSource:
    return HybridRelevance(EvidenceRelevance(missing), _built(otherwise, options))


def _shuffled(source: str | RelevanceSource = "evidence", **options: Any) -> RelevanceSource:
    return ShuffledRelevance(_built(source, options))


def _built(source: str | RelevanceSource, options: dict[str, Any]) -> RelevanceSource:
    return relevance_source(source, **options) if isinstance(source, str) else source


_SOURCES: dict[str, Callable[..., RelevanceSource]] = {
    "evidence": EvidenceRelevance,
    "discriminator": _discriminator,
    "contrast": _contrast,
    "hybrid": _hybrid,
    "uniform": UniformRelevance,
    "random": RandomRelevance,
    "shuffled": _shuffled,
}


def relevance_names() -> tuple[str, ...]:
    """The names that :func:`relevance_source` knows."""
    return tuple(_SOURCES)


def relevance_source(name: str, **options: Any) -> RelevanceSource:
    """A relevance source by its name.

    Args:
        name: one of :func:`relevance_names`.
        **options: of the source:

            - evidence: ``missing``
            - discriminator: ``model`` (its folder, or the ``http://...`` of its server; required), ``device`` (of a
              folder), ``batch_tokens``
            - contrast: ``model`` (a folder, a hub id, or a loaded causal model with its ``tokenizer``), ``device``,
              ``batch_tokens``, ...; see :class:`rtt.relevance.contrast.ContrastRelevance`
            - hybrid: ``missing``, ``otherwise`` (a name or a source, the discriminator by default) and its options
            - random: ``seed``
            - shuffled: ``source`` (a name or a source, evidence by default) and its options

    Raises:
        ConfigurationError: the name is unknown, a model is needed and none is named, or it cannot be loaded.
        RelevanceFailureError: no discriminator is served at the address.

    Example:
        >>> relevance_source("hybrid", otherwise="contrast", model="HuggingFaceTB/SmolLM2-135M-Instruct")
    """
    if name not in _SOURCES:
        raise ConfigurationError(f"relevance {name!r} is unknown; expected one of {sorted(_SOURCES)}")
    return _SOURCES[name](**options)
