"""The discriminator as a relevance source: what it says of characters, on the policy's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtt.alignment import token_means
from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.served import ServedDiscriminator, is_served

if TYPE_CHECKING:
    import torch

    from rtt.relevance.discriminator.model import Discriminator
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict

DAY = 86_400.0
"""The seconds that a server may take for all that is asked at once: of `rtt relevance`, a whole file."""


class DiscriminatorRelevance:
    """Relevance from a trained discriminator: ``w[i,k,t] = sigmoid(f(c_k, o_i)[t])``, arXiv:2604.02795.

    Discriminator and policy may tokenise differently: a token's relevance is the mean over its characters. Tokens
    without characters (end of sequence) get the mean of the others, which intra-sample normalisation turns into an
    advantage of 0. Verdicts are not read: the criterion's words say where to look, whatever was found there.

    Args:
        discriminator: anything with ``characters(criteria, texts, *, batch_tokens)``, such as
            :class:`rtt.relevance.discriminator.Discriminator`.
        batch_tokens: tokens of a batch, padding included.
    """

    def __init__(self, discriminator: Discriminator | Any, *, batch_tokens: int = 4096) -> None:
        self.discriminator = discriminator
        self.batch_tokens = batch_tokens

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str | torch.device | None = None, batch_tokens: int = 4096
    ) -> DiscriminatorRelevance:
        """Load the discriminator from a folder or the hub, or ask the one that is served at an ``http://`` address.

        Raises:
            ConfigurationError: it is not there, or is a model of another kind; or a device is named for a server, which
                has its own.
            RelevanceFailureError: no discriminator is served at the address.
        """
        if is_served(folder):
            if device is not None:
                raise ConfigurationError(
                    f"device={str(device)!r} for the discriminator at {folder}, whose server has its own; drop it"
                )
            return cls(ServedDiscriminator(folder, timeout=DAY), batch_tokens=batch_tokens)
        from rtt.relevance.discriminator.model import Discriminator

        return cls(Discriminator.from_pretrained(folder, device=device), batch_tokens=batch_tokens)

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """For each response the relevance of its tokens, float32 [K, T] with values in [0, 1]."""
        asked = [[criterion.text for criterion in task.rubric.criteria] for task in tasks]
        texts = [response.text for response in responses]
        found = self.discriminator.characters(asked, texts, batch_tokens=self.batch_tokens)
        return [token_means(response.spans, values) for response, values in zip(responses, found, strict=True)]
