"""A discriminator in a process of its own: what the server and those who ask it agree on, and who asks.

    ServedDiscriminator.characters
      │  POST /v1/relevance       JSON: criteria [B][K], texts [B], batch_tokens
      ▼
    rtt discriminator serve       one request at a time on its device
      │  safetensors: for each text the characters of its tokens, int32 [T, 2], and their relevance, float32 [K, T]
      ▼
    characters, on the policy's tokens: as of a discriminator in this process, bit for bit

    GET /v1/discriminator         JSON: the fingerprint, which is in the header of each answer as well

An answer is data: numbers of known shape and range, or a RelevanceFailureError. Importing this module imports no torch.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rtt.alignment import character_values
from rtt.errors import ConfigurationError, MissingDependencyError, RelevanceFailureError

MAX_BODY_BYTES = 32 * 2**20
"""The longest request that a server reads. What is longer is asked in several."""

MAX_SCORES = 2**27
"""The most criteria x characters of a request, which bound the answer's size."""

MAX_TEXTS = 2**13
"""The most responses of a request, empty ones too."""

MAX_CRITERIA = 2**16
"""The most criteria of a request, those of all its responses together."""

MAX_BATCH_TOKENS = 2**16
"""The largest ``batch_tokens``, which bound what the device must hold at once."""

FINGERPRINT_HEADER = "X-RTT-Discriminator"

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
"""How long an answer may take in all: what others asked before, lost connections and further tries included."""

RETRIES = 6
"""Further tries after a lost connection or a server that is not ready, over a minute in all."""

NOT_READY = (502, 503, 504)
"""What a server answers that may be asked again."""

Tokens = tuple[npt.NDArray[np.int64] | Sequence[tuple[int, int]], npt.NDArray[np.float32]]
"""The characters of a text's T tokens, [T, 2], and their relevance, [K, T]."""


def is_served(model: str | Path | None) -> TypeGuard[str]:
    """Whether a model is named by the address of its server, not by a folder."""
    return isinstance(model, str) and model.startswith(("http://", "https://"))


def encoded(found: Sequence[Tokens]) -> bytes:
    """The answer to a request, as safetensors: nothing of a float32 is lost, and nothing in it can be run."""
    arrays = {}
    for b, (spans, values) in enumerate(found):
        arrays[f"{b}.spans"] = np.asarray(spans, dtype=np.int32).reshape(-1, 2)
        arrays[f"{b}.relevance"] = np.ascontiguousarray(values, dtype=np.float32)
    return save(arrays)


def decoded(answer: bytes, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Tokens]:
    """What :func:`encoded` wrote, if it answers the request for these criteria and texts.

    Raises:
        ValueError: it is no safetensors, or not of the shape or the range that was asked for; it says which.
    """
    try:
        arrays = load(answer)
    except (SafetensorError, KeyError) as error:  # a KeyError: numbers of a kind that numpy does not have
        raise ValueError(f"no safetensors: {error}") from None
    expected = {f"{b}.{part}" for b in range(len(texts)) for part in ("spans", "relevance")}
    if arrays.keys() != expected:
        raise ValueError(f"{len(arrays)} arrays, expected two for each of {len(texts)} responses")
    found: list[Tokens] = []
    for b, (asked, text) in enumerate(zip(criteria, texts, strict=True)):
        spans, values = arrays[f"{b}.spans"], arrays[f"{b}.relevance"]
        if spans.dtype != np.int32 or spans.ndim != 2 or spans.shape[1] != 2:
            raise ValueError(f"spans of response {b} are {spans.dtype} {spans.shape}, expected int32 (tokens, 2)")
        if values.dtype != np.float32 or values.shape != (len(asked), len(spans)):
            raise ValueError(
                f"relevance of response {b} is {values.dtype} {values.shape}, expected float32 "
                f"{(len(asked), len(spans))}: criteria x tokens"
            )
        if len(spans) and not (spans.min() >= 0 and spans.max() <= len(text) and (spans[:, 0] <= spans[:, 1]).all()):
            raise ValueError(f"tokens of response {b} leave its {len(text)} characters")
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"relevance of response {b} leaves [0, 1]")
        found.append((spans.astype(np.int64), values))
    return found


class ServedDiscriminator:
    """Asks the discriminator behind an address, from however many threads and processes.

    Stands where a :class:`~rtt.relevance.discriminator.Discriminator` does. A lost connection is tried again, for a
    server may have been restarted; an answer that does not come in time is not, for the server may still be at it. What
    was asked for first tells which discriminator it is, by its fingerprint.

    Args:
        url: ``http://HOST:PORT``, as `rtt discriminator serve` prints it.
        timeout: seconds that the answer to a call may take, all tries together.
        retries: further tries after a lost connection or a server that is not ready.

    Attributes:
        fingerprint: what names the discriminator, see :func:`rtt.relevance.discriminator.model.fingerprint`.

    Raises:
        ConfigurationError: the address is none.
        RelevanceFailureError: no discriminator is served there.
        MissingDependencyError: the ``serve`` extra is not installed.
    """

    def __init__(self, url: str, *, timeout: float = ANSWER_SECONDS, retries: int | None = None) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise MissingDependencyError(
                "a served discriminator needs urllib3, which is not installed; install the extra: "
                "pip install 'rubrics-to-tokens[serve]'"
            ) from error
        _check_url(url)
        self.url = url.rstrip("/")
        self._urllib3 = urllib3
        self._pool = urllib3.PoolManager()
        self._retry = urllib3.Retry(
            total=RETRIES if retries is None else retries,
            allowed_methods=None,  # to ask twice changes nothing
            backoff_factor=1,
        )
        self._timeout = timeout
        self.fingerprint = self._request("GET", "/v1/discriminator", time.monotonic() + timeout)[1]

    def characters(
        self,
        criteria: Sequence[Sequence[str]],
        texts: Sequence[str],
        *,
        batch_tokens: int = 4096,
        progress: Callable[[int], None] | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Relevance of each character; see :meth:`rtt.relevance.discriminator.Discriminator.characters`.

        Args:
            criteria: for each text its criteria, [B][K].
            texts: [B] responses.
            batch_tokens: tokens of a batch on the server's device, padding included.
            progress: told how many texts are done.

        Raises:
            RelevanceFailureError: the server is gone, takes too long, answers something else than it was asked, or has
                another discriminator by now.
        """
        deadline = time.monotonic() + self._timeout
        found: list[npt.NDArray[np.float32]] = []
        for portion in _portions(criteria, texts):
            asked, about = criteria[portion], texts[portion]
            body = json.dumps({"criteria": asked, "texts": about, "batch_tokens": batch_tokens}).encode()
            answer, fingerprint = self._request("POST", "/v1/relevance", deadline, body)
            if fingerprint != self.fingerprint:
                raise RelevanceFailureError(
                    f"the server at {self.url} has another discriminator ({fingerprint[:12]}) than this run began with "
                    f"({self.fingerprint[:12]}); start it with that one again"
                )
            try:
                tokens = decoded(answer, asked, about)
            except ValueError as error:
                raise RelevanceFailureError(
                    f"the server at {self.url} answered {error}; is it `rtt discriminator serve` of this version?"
                ) from None
            found += [
                character_values(spans, values, length=len(text))
                for text, (spans, values) in zip(about, tokens, strict=True)
            ]
            if progress is not None:
                progress(len(about))
        return found

    def _request(self, method: str, path: str, deadline: float, body: bytes | None = None) -> tuple[bytes, str]:
        """The answer's content and the fingerprint in its header."""
        try:
            answer = self._answer(method, f"{self.url}{path}", deadline, body)
        except self._urllib3.exceptions.HTTPError as error:
            raise RelevanceFailureError(
                f"no discriminator answers at {self.url}: {error}; see to `rtt discriminator serve` there"
            ) from error
        fingerprint = answer.headers.get(FINGERPRINT_HEADER, "")
        if answer.status != 200 or not re.fullmatch("[0-9a-f]{64}", fingerprint):
            words = " ".join(answer.data[:300].decode(errors="replace").split())
            raise RelevanceFailureError(
                f"{self.url}{path} answered {answer.status} {words!r}; expected `rtt discriminator serve` there, whose "
                "own log says more"
            )
        return answer.data, fingerprint

    def _answer(self, method: str, url: str, deadline: float, body: bytes | None) -> Any:
        """The answer of a server that is ready.

        Raises:
            urllib3.exceptions.HTTPError: there is none by the deadline, or in all the tries.
        """
        retry = self._retry
        headers = {} if body is None else {"Content-Type": "application/json"}
        while True:
            left = max(deadline - time.monotonic(), 1e-3)  # urllib3 takes no less
            limits = self._urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left)
            try:
                answer = self._pool.request(
                    method, url, body=body, headers=headers, timeout=limits, retries=False, redirect=False
                )
            except self._urllib3.exceptions.ReadTimeoutError:
                raise
            except self._urllib3.exceptions.HTTPError as error:
                retry = retry.increment(method, url, error=error)
            else:
                if answer.status not in NOT_READY:
                    return answer
                retry = retry.increment(method, url, response=answer)
            time.sleep(max(0.0, min(retry.get_backoff_time(), deadline - time.monotonic())))


def _portions(criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> Iterator[slice]:
    """The texts in their order, as many together as one request may hold; usually all."""
    most = np.array([MAX_BODY_BYTES - 2**10, MAX_SCORES, MAX_CRITERIA, MAX_TEXTS])
    start, size = 0, np.zeros_like(most)
    for b, (asked, text) in enumerate(zip(criteria, texts, strict=True)):
        own = np.array([len(json.dumps([asked, text])), len(asked) * len(text), len(asked), 1])
        if b > start and (size + own > most).any():
            yield slice(start, b)
            start, size = b, np.zeros_like(most)
        size += own
    if texts:
        yield slice(start, len(texts))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"relevance_model={url!r}; expected http(s)://HOST:PORT, without a user or a password")
