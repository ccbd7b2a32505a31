"""Samplers: a model that answers a benchmark's prompts, a batch at a time.

    LocalSampler        a model on this machine: a folder, a GGUF file
    EndpointSampler     a model behind an OpenAI-compatible server

Each gives lines of ``responses.jsonl``: ``key``, ``response``, ``ended`` (false where the limit cut it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rtt.benchmarks import Prompt, Sampling
from rtt.endpoints import Connection, Endpoint, EndpointUnusable, NoAnswer
from rtt.errors import VerifierError
from rtt.generation import generate, load_model, render, sampling

Line = Mapping[str, Any]


class Sampler(Protocol):
    """Anything that answers prompts."""

    def __call__(self, prompts: Sequence[Prompt], done: Collection[int | str]) -> Iterator[list[Line]]:
        """Answer the prompts, some at a time.

        Args:
            prompts: all of the benchmark's: which share a batch does not hang on what was done before.
            done: keys of those that are answered already.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalSampler:
    """A model on this machine, on the GPU where there is one.

    Prompts of like length share a batch. The same settings draw the same random numbers for each batch, so that a run
    that was stopped goes on as if it had not been.

    Attributes:
        source: a model's folder or a GGUF file.
        sampling: temperature and limit.
        batch_size: responses generated together.
        seed: of sampling.
    """

    source: Path
    sampling: Sampling
    batch_size: int
    seed: int = 0

    def __call__(self, prompts: Sequence[Prompt], done: Collection[int | str]) -> Iterator[list[Line]]:
        """See :class:`Sampler`. A batch that is answered in part is answered anew.

        Raises:
            ConfigurationError: the model is no chat model, or its template refuses a conversation.
            MissingDependencyError: the ``train`` extra is not installed.
        """
        import torch

        cuda = torch.cuda.is_available()
        model, tokenizer = load_model(self.source, dtype="auto" if cuda else "float32")
        mover: Any = model
        mover.to("cuda" if cuda else "cpu")
        texts = [render(tokenizer, prompt.task.prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda place: (len(texts[place]), place))
        with sampling(model):
            for number, start in enumerate(range(0, len(order), self.batch_size)):
                batch = order[start : start + self.batch_size]
                if all(prompts[place].key in done for place in batch):
                    continue
                made = generate(
                    model,
                    tokenizer,
                    [texts[place] for place in batch],
                    self.sampling.max_new_tokens,
                    self.sampling.temperature,
                    (self.seed, number),
                    drop_finished=True,
                )
                yield [
                    {"key": prompts[place].key, "response": one.text, "tokens": one.tokens, "ended": one.ended}
                    for place, one in zip(batch, made, strict=True)
                ]


@dataclass(frozen=True, slots=True)
class EndpointSampler:
    """A model behind an OpenAI-compatible server (vLLM, llama.cpp, OpenAI, ...), many requests at once.

    Attributes:
        endpoint: the model; its temperature is that of sampling.
        sampling: the limit of tokens.
        concurrency: requests at once.
        seed: of sampling, for servers that take one; None sends none.
    """

    endpoint: Endpoint
    sampling: Sampling
    concurrency: int = 16
    seed: int | None = None

    def __call__(self, prompts: Sequence[Prompt], done: Collection[int | str]) -> Iterator[list[Line]]:
        """See :class:`Sampler`. A prompt that gets no answer is passed over, and told in the end.

        Raises:
            ConfigurationError: the environment variable with the key is not set.
            VerifierError: prompts got no answer; what was answered has been given before.
        """
        left = [prompt for prompt in prompts if prompt.key not in done]
        failures: list[NoAnswer] = []
        size = 4 * self.concurrency
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            connection = runner.run(stack.enter_async_context(self.endpoint.connected(self.concurrency)))
            try:
                for start in range(0, len(left), size):
                    batch = left[start : start + size]
                    answers = runner.run(self._answers(connection, batch))
                    failures += [answer for answer in answers if isinstance(answer, NoAnswer)]
                    yield [
                        {"key": prompt.key, "response": answer[0], "ended": answer[1]}
                        for prompt, answer in zip(batch, answers, strict=True)
                        if not isinstance(answer, NoAnswer)
                    ]
                    if any(isinstance(failure, EndpointUnusable) for failure in failures):
                        break
            finally:
                runner.run(stack.aclose())
        if failures:
            raise VerifierError(
                f"{len(failures):,} of {len(left):,} prompts got no answer, the first because {failures[0]}; what was "
                "answered is kept, and the same command asks for the rest"
            )

    async def _answers(self, connection: Connection, prompts: Sequence[Prompt]) -> list[tuple[str, bool] | NoAnswer]:
        async def answer(prompt: Prompt) -> tuple[str, bool] | NoAnswer:
            messages = [message.model_dump() for message in prompt.task.prompt]
            try:
                return await connection.chat(messages, max_tokens=self.sampling.max_new_tokens, seed=self.seed)
            except NoAnswer as failure:
                return failure

        return await asyncio.gather(*map(answer, prompts))
