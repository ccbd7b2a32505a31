"""Local causal models: load one, and sample responses to conversations in batches.

load_model     a folder or a GGUF file    ->  model and tokenizer, ready to sample and to train
sampling       evaluation mode, with random generators of its own
render         conversation               ->  the prompt in the model's chat template
generate       prompts, one batch         ->  Generated(text, tokens, ended) for each
"""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtt.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rtt.rubrics import Message


@dataclass(frozen=True, slots=True)
class Generated:
    """One sampled response.

    Attributes:
        text: without special tokens.
        tokens: how many were generated, the end of the turn included.
        ended: whether the model ended its turn, rather than being cut at the limit.
    """

    text: str
    tokens: int
    ended: bool


def load_model(source: Path, *, dtype: str = "float32") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model, with padding on the left and a known end of turn.

    Args:
        source: a model's folder, or a GGUF file, whose weights are dequantised.
        dtype: of the weights, or ``"auto"`` for their own. On a CPU float32 is the fastest.

    Raises:
        ConfigurationError: the tokenizer has no chat template, or no end-of-sequence token to end a response with.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise _train_extra(error) from error

    if source.is_file():
        model, tokenizer = load_gguf(source, dtype=dtype)
    else:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")  # nosec B615 # the user names the model
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)  # nosec B615 # the user names the model
    if not tokenizer.chat_template:
        raise ConfigurationError(
            f"the tokenizer in {source} has no chat template, so it is no chat model's; name an instruct model"
        )
    if tokenizer.eos_token_id is None:
        raise ConfigurationError(f"the tokenizer in {source} has no end-of-sequence token; a response could never end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    if model.generation_config.eos_token_id is None:
        model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model.eval(), tokenizer


def load_gguf(file: Path, *, dtype: str = "float32") -> tuple[Any, Any]:
    """The model and the tokenizer of a GGUF file, dequantised: plain weights that can be saved and trained.

    Raises:
        MissingDependencyError: the ``train`` extra is not installed.
    """
    try:
        import gguf  # noqa: F401 - transformers reads the file with it
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise _train_extra(error) from error

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, padding_side="left")  # nosec B615 # the user names the model
    model: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=dtype)  # nosec B615 # the user names the model
    # The weights are plain numbers now; what still says "quantised" would make saving and training refuse them.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model, tokenizer


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' own bars and notices off a command's lines; their errors pass."""
    from transformers.utils import logging as library

    verbosity, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    # A fork after the tokenizer was used makes it print a warning in each child.
    parallelism = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        library.set_verbosity(verbosity)
        if bars:
            library.enable_progress_bar()
        if parallelism is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = parallelism


def render(tokenizer: Any, conversation: Sequence[Message]) -> str:
    """The conversation in the model's chat template, up to where its answer begins.

    Raises:
        ConfigurationError: the template refuses it, such as a system message that it has no place for.
    """
    messages = [message.model_dump() for message in conversation]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a template is a program of its own, and raises what its engine does
        roles = [message.role for message in conversation]
        raise ConfigurationError(
            f"the model's chat template refuses a conversation of {roles}: {error}; expected a model that takes it"
        ) from error


@contextlib.contextmanager
def sampling(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode without gradients, on random generators of its own."""
    import torch

    training = model.training
    model.train(False)
    try:
        with torch.random.fork_rng(), torch.inference_mode():
            yield
    finally:
        model.train(training)


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    max_new_tokens: int,
    temperature: float,
    seed: tuple[int, int],
    *,
    drop_finished: bool = False,
) -> list[Generated]:
    """A response to each prompt, all in one batch.

    Args:
        model: a causal model, in :func:`sampling`.
        tokenizer: its tokenizer.
        prompts: as :func:`render` gives them, special tokens included.
        max_new_tokens: where a response is cut.
        temperature: of sampling from the whole distribution (no top-k, no top-p); 0 takes the likeliest token.
        seed: the run's and the batch's: the same two draw the same random numbers, whatever was generated before.
        drop_finished: take rows out of the batch when half of it has ended, instead of computing them on to the end of
            the longest. Faster where lengths differ; other random numbers are drawn.
    """
    import torch
    from transformers import DynamicCache, GenerationConfig

    inputs = tokenizer(
        list(prompts), add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
    ).to(model.device)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    start = ids.shape[1]
    ends = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    rows = list(range(len(prompts)))  # the prompt of each row that is left
    found: dict[int, list[int]] = {}
    cache: Any = DynamicCache() if drop_finished else None
    # Newer releases of transformers have another name for it, and warn of the old one.
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    while rows:
        left = max_new_tokens - (ids.shape[1] - start)
        config: Any = GenerationConfig(
            max_new_tokens=left,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(ends),
            use_cache=True,
            **how,
        )
        further: dict[str, Any] = {}
        if drop_finished:
            further = {name: cache, "stopping_criteria": [_HalfEnded(ids.shape[1], frozenset(ends))]}
        ids = model.generate(input_ids=ids, attention_mask=mask, generation_config=config, **further)
        kept = []
        for row, tokens in enumerate(ids[:, start:].tolist()):
            end = next((position for position, token in enumerate(tokens) if token in ends), None)
            if end is None and len(tokens) < max_new_tokens:
                kept.append(row)
            else:
                found[rows[row]] = tokens if end is None else tokens[: end + 1]
        if kept:
            chosen = torch.tensor(kept, device=ids.device)
            cache.batch_select_indices(chosen)
            ids = ids[chosen]
            mask = torch.cat([mask[chosen], mask.new_ones(len(kept), ids.shape[1] - mask.shape[1])], dim=1)
        rows = [rows[row] for row in kept]
    return [
        Generated(
            text=str(tokenizer.decode(tokens, skip_special_tokens=True)),
            tokens=len(tokens),
            ended=tokens[-1] in ends,
        )
        for _, tokens in sorted(found.items())
    ]


class _HalfEnded:
    """Stops a batch when half of its rows, or all, have ended.

    Args:
        start: tokens of a row that stand there before.
        ends: the tokens that end a row.
    """

    def __init__(self, start: int, ends: frozenset[int]) -> None:
        self.start = start
        self.ends = ends

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """For each row whether to stop: all or none."""
        import torch

        ends = torch.tensor(sorted(self.ends), device=input_ids.device)
        ended = torch.isin(input_ids[:, self.start :], ends).any(dim=1)
        enough = 2 * int(ended.sum()) >= len(ended)
        return torch.full((len(ended),), enough, dtype=torch.bool, device=input_ids.device)


def _train_extra(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"running a model here needs {error.name or 'a library'}, which is not installed; "
        "install the extra: pip install 'rubrics-to-tokens[train]'"
    )
