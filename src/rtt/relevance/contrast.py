"""Relevance without training: what a language model expects with the criterion before its eyes, and without.

    with        x, and the criterion as a line of its own  | o_1 o_2 ... o_T   ->  log p(o_t | criterion, x, o_<t)
    without     x                                          | o_1 o_2 ... o_T   ->  log p(o_t | x, o_<t)
                                                                              delta, the difference
    relevance   1 - exp(-max(0, s * delta)),  s the verdict, +1 or -1

The difference is the unused variant of arXiv:2604.02795's authors, and CoRT's (arXiv:2607.25659); how it becomes a
relevance in [0, 1] is ours. For a satisfied criterion it is the share of the token's probability that the criterion
explains, ``1 - p_without / p_with``; for a violated one the share that the criterion takes away,
``1 - p_with / p_without``: the model would have written the token less readily had it minded the criterion. A token
that the criterion makes no likelier, or no less likely, has relevance 0.

Probabilities are those of temperature 1. A criterion that the prompt states already is stated twice in the first pass.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from rtt.alignment import character_values, token_means
from rtt.errors import ConfigurationError, ShapeError
from rtt.relevance.discriminator.inputs import batches

if TYPE_CHECKING:
    from rtt.responses import Response
    from rtt.rubrics import Task
    from rtt.verdicts import Verdict

log = logging.getLogger(__name__)

BATCH_TOKENS = 4096
"""Tokens of a batch, padding included; what it needs is mostly one logit for each of them and each word there is."""


class ContrastRelevance:
    """Relevance from the difference that the criterion makes to a causal model; see the module for the equation.

    Each response costs one pass without a criterion and one for each determined criterion. The model runs in evaluation
    mode, without gradients and in its own precision, and is left as it was; no random number is drawn.

    Args:
        model: a causal language model; the policy itself, or another.
        tokenizer: the model's. A prompt is rendered by its chat template; where it has none, the messages are joined by
            blank lines.
        own_tokens: whether the responses' token ids are this tokenizer's, as they are when the policy reads its own
            responses: they are used as they came, special tokens and all. Otherwise the text is encoded anew, and the
            relevance comes back by way of the characters.
        batch_tokens: tokens of a batch, padding included; responses are sorted by length first.
        device: where to move the model; ``None`` leaves it where it is.
        chat_template_kwargs: for the chat template, as the policy's prompts have it.

    Raises:
        ConfigurationError: the tokenizer cannot say which characters its tokens span (it is not a fast one), and the
            responses' tokens are not its own.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        own_tokens: bool = True,
        batch_tokens: int = BATCH_TOKENS,
        device: str | torch.device | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not own_tokens and not getattr(tokenizer, "is_fast", False):
            raise ConfigurationError(
                f"{type(tokenizer).__name__} does not say which characters its tokens span; expected a fast tokenizer "
                "(tokenizer.json), or the policy's own"
            )
        self.model = model if device is None else model.to(device)
        self.tokenizer = tokenizer
        self.own_tokens = own_tokens
        self.batch_tokens = batch_tokens
        self.chat_template_kwargs = dict(chat_template_kwargs or {})
        self._warned = False

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        device: str | torch.device | None = None,
        policy_tokenizer: Any = None,
        only_own_tokens: bool = False,
        **options: Any,
    ) -> ContrastRelevance:
        """Load a causal model from a folder or the hub, in the precision that it is kept in.

        Args:
            model: a folder, or a name on the hub.
            device: where it runs; the CPU by default.
            policy_tokenizer: the tokenizer of the responses. If each of its tokens has the same id in the model's, the
                responses' token ids are used as they are.
            only_own_tokens: refuse a model that cannot read them as they are: with tools a response's text lacks the
                calls and what they gave, which its later turns speak of.
            **options: as for the class.

        Raises:
            ConfigurationError: it is not there, is no causal model, or has other tokens than it must.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(model)  # nosec B615 # the user names the model
            with torch.random.fork_rng(devices=[]):  # weights that a checkpoint lacks would be drawn
                loaded = AutoModelForCausalLM.from_pretrained(model, dtype="auto")  # nosec B615 # the user names the model
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"relevance 'contrast': no causal model {str(model)!r}: {error}") from error
        own = policy_tokenizer is not None and policy_tokenizer.get_vocab().items() <= tokenizer.get_vocab().items()
        if only_own_tokens and not own:
            raise ConfigurationError(
                f"relevance 'contrast' with tools: {str(model)!r} has another tokenizer than the policy, so it would "
                "read a response's text alone, without the tools' calls and results; expected a model with the "
                "policy's tokens, or none: the policy"
            )
        return cls(loaded.eval(), tokenizer, own_tokens=own, device=device, **options)

    def __call__(
        self, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[npt.NDArray[np.float32]]:
        """For each response the relevance of its tokens, float32 [K, T] with values in [0, 1].

        Rows of undetermined criteria are 0; so is a row whose prompt and response are longer than the model reads,
        which is said in a warning: where it cannot look, it blames nobody.
        """
        encoded = [self._encode(response) for response in responses]
        relevance = [
            np.zeros((len(found), len(ids)), dtype=np.float32)
            for found, (ids, _) in zip(verdicts, encoded, strict=True)
        ]
        passes = _Passes()
        rendered: dict[tuple[Any, str | None], list[int]] = {}  # the responses of a group share their prompts
        for i, (task, found) in enumerate(zip(tasks, verdicts, strict=True)):
            ids, _ = encoded[i]
            determined = [k for k, verdict in enumerate(found) if verdict.determined]
            if not ids or not determined:
                continue
            for k in (None, *determined):
                criterion = None if k is None else task.rubric.criteria[k].text
                key = (task.prompt, criterion)
                if key not in rendered:
                    rendered[key] = self._prompt(task, criterion)
                passes.add((i, k), rendered[key], ids)
        found_by_place = self._run(passes)
        for (i, k), likelihood in found_by_place.items():
            if k is not None and (i, None) in found_by_place:
                delta = likelihood - found_by_place[i, None]
                relevance[i][k] = -np.expm1(-np.maximum(0.0, int(verdicts[i][k].outcome) * delta))
        if self.own_tokens:
            return relevance
        return [
            token_means(response.spans, character_values(spans, rows, length=len(response.text)))
            for response, (_, spans), rows in zip(responses, encoded, relevance, strict=True)
        ]

    def _encode(self, response: Response) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
        """The response's tokens as the model reads them, and the characters that each spans."""
        if self.own_tokens:
            return response.token_ids, response.spans
        encoding = self.tokenizer(response.text, add_special_tokens=False, return_offsets_mapping=True)
        return encoding["input_ids"], [(int(start), int(end)) for start, end in encoding["offset_mapping"]]

    def _prompt(self, task: Task, criterion: str | None) -> list[int]:
        """The prompt's tokens, with the criterion as a line of its own at the end of the last message."""
        messages = [{"role": message.role, "content": message.content} for message in task.prompt]
        if criterion is not None:
            messages[-1]["content"] += f"\n{criterion}"
        if not self.tokenizer.chat_template:
            text = "".join(f"{message['content']}\n\n" for message in messages)
            return list(self.tokenizer(text)["input_ids"])
        rendered = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, **self.chat_template_kwargs
        )
        return list(rendered["input_ids"])

    def _run(self, passes: _Passes) -> dict[tuple[int, int | None], npt.NDArray[np.float64]]:
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        fitting = [j for j in range(len(passes.places)) if limit is None or passes.length(j) <= limit]
        if len(fitting) < len(passes.places) and not self._warned:
            self._warned = True
            longest = max(map(passes.length, range(len(passes.places))))
            log.warning(
                "relevance 'contrast': a prompt with its response has %d tokens and the model reads %d; such rows get "
                "relevance 0. Name a model that reads more, or shorten max_completion_length",
                longest,
                limit,
            )
        found = log_probabilities(
            self.model,
            [passes.prompts[j] for j in fitting],
            [passes.completions[j] for j in fitting],
            batch_tokens=self.batch_tokens,
        )
        # a token that the model holds impossible either way has a difference of 0, not of infinity minus infinity
        least = np.finfo(np.float32).min
        return {
            passes.places[j]: np.maximum(row, least).astype(np.float64) for j, row in zip(fitting, found, strict=True)
        }


class _Passes:
    """What the model is to read: a prompt and a response for each place (response, criterion or None)."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int | None]] = []
        self.prompts: list[Sequence[int]] = []
        self.completions: list[Sequence[int]] = []

    def add(self, place: tuple[int, int | None], prompt: Sequence[int], completion: Sequence[int]) -> None:
        """One more."""
        self.places.append(place)
        self.prompts.append(prompt)
        self.completions.append(completion)

    def length(self, index: int) -> int:
        """Tokens of a pass."""
        return len(self.prompts[index]) + len(self.completions[index])


def log_probabilities(
    model: Any,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> list[npt.NDArray[np.float32]]:
    """``log p(o_t | x, o_<t)`` of each token of each completion, at temperature 1.

    The sequences are sorted by length and padded on the right, where a causal model does not look. Gradients are off,
    and so is dropout; each module's mode is put back afterwards.

    Args:
        model: a causal language model as transformers has them.
        prompt_ids: for each sequence the tokens of x, at least one, [B][P].
        completion_ids: for each sequence the tokens of o, [B][T].
        batch_tokens: tokens of a batch, padding included; a longer sequence is a batch of its own.

    Returns:
        For each sequence float32 [T], whatever the model's precision.

    Raises:
        ShapeError: there are not as many prompts as completions, or a prompt is empty.
        ConfigurationError: a token id is outside the model's vocabulary.
    """
    if len(prompt_ids) != len(completion_ids):
        raise ShapeError(f"{len(prompt_ids)} prompts but {len(completion_ids)} completions; expected as many")
    if not all(prompt_ids):
        raise ShapeError(f"prompt {[bool(p) for p in prompt_ids].index(False)} has no tokens; expected at least one")
    found = [np.zeros(len(completion), dtype=np.float32) for completion in completion_ids]
    spoken = [i for i, completion in enumerate(completion_ids) if len(completion)]
    if not spoken:
        return found
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    largest = max(max(*prompt_ids[i], *completion_ids[i]) for i in spoken)
    if largest >= vocabulary:
        raise ConfigurationError(
            f"token id {largest} is outside the model's vocabulary of {vocabulary}: it is another tokenizer's"
        )
    lengths = [len(prompt_ids[i]) + len(completion_ids[i]) for i in spoken]
    with torch.inference_mode(), _evaluating(model):
        for batch in batches(lengths, tokens=batch_tokens):
            rows = [spoken[b] for b in batch]
            for i, row in zip(rows, _batch(model, prompt_ids, completion_ids, rows), strict=True):
                found[i][:] = row
    return found


def _batch(
    model: Any, prompt_ids: Sequence[Sequence[int]], completion_ids: Sequence[Sequence[int]], rows: Sequence[int]
) -> Iterator[npt.NDArray[np.float32]]:
    device = model.get_input_embeddings().weight.device
    longest = max(len(prompt_ids[i]) + len(completion_ids[i]) for i in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.zeros(len(rows), longest, dtype=torch.int64)
    for row, i in enumerate(rows):
        sequence = [*prompt_ids[i], *completion_ids[i]]
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    options: dict[str, Any] = {}
    if _keeps_logits(model):  # those of the prompt are the larger part, and nobody asks for them
        options["logits_to_keep"] = longest - min(len(prompt_ids[i]) for i in rows) + 1
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False, **options).logits
    before = longest - logits.shape[1]  # positions left out
    for row, i in enumerate(rows):
        first = len(prompt_ids[i]) - 1 - before  # the prompt's last position predicts the completion's first token
        own = logits[row, first : first + len(completion_ids[i])].float()  # (T, V)
        targets = torch.tensor(list(completion_ids[i]), device=own.device).unsqueeze(-1)
        yield (own.gather(-1, targets).squeeze(-1) - own.logsumexp(-1)).cpu().numpy()


def _keeps_logits(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT hides the signature
    return "logits_to_keep" in inspect.signature(type(inner).forward).parameters  # accelerate replaces the instance's


@contextlib.contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode for a while: each module goes back to its own."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
