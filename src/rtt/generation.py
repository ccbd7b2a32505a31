"""Local causal models: load one, and sample responses to conversations in batches.

load_model     a folder or a GGUF file    ->  model and tokenizer, ready to sample and to train
sampling       evaluation mode, with random generators of its own
render         conversation               ->  the prompt in the model's chat template
generate       prompts, one batch         ->  Generated(text, tokens, ended) for each
"""

from __future__ import annotations

import contextlib
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
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
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

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=dtype)
    # The weights are plain numbers now; what still says "quantised" would make saving and training refuse them.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model, tokenizer


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
) -> list[Generated]:
    """A response to each prompt, all in one batch.

    Args:
        model: a causal model, in :func:`sampling`.
        tokenizer: its tokenizer.
        prompts: as :func:`render` gives them, special tokens included.
        max_new_tokens: where a response is cut.
        temperature: of sampling from the whole distribution (no top-k, no top-p); 0 takes the likeliest token.
        seed: the run's and the batch's: the same two draw the same random numbers, whatever was generated before.
    """
    import torch
    from transformers import GenerationConfig

    inputs = tokenizer(
        list(prompts), add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
    ).to(model.device)
    ends = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    config: Any = GenerationConfig(
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(ends),
        use_cache=True,
        **how,
    )
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    output = model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], generation_config=config
    )
    responses = []
    for row in output[:, inputs["input_ids"].shape[1] :].tolist():
        end = next((position for position, token in enumerate(row) if token in ends), None)
        kept = row if end is None else row[: end + 1]
        text = str(tokenizer.decode(kept, skip_special_tokens=True))
        responses.append(Generated(text, tokens=len(kept), ended=end is not None))
    return responses


def _train_extra(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"running a model here needs {error.name or 'a library'}, which is not installed; "
        "install the extra: pip install 'rubrics-to-tokens[train]'"
    )
