"""Language model servers on 127.0.0.1, run as their users run them: in a process of their own, for slow tests.

    with transformers_serve(folder, log) as server:       what `pip install transformers[serving]` has
    with llama_server(file, log) as server:               llama.cpp's server, where it is on PATH

A server is ready when it is handed out, and gone with all its children afterwards, whatever happened in between.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 180.0
"""Seconds that a server has to load its model."""

_LAST_WORDS = 4000  # characters of a server's log that a message shows


@dataclass(frozen=True, slots=True)
class RealServer:
    """A server that answers at ``base_url`` for ``model``, and says what it does in ``log``."""

    model: str
    base_url: str
    log: Path

    def answered(self) -> int:
        """How many chat completions it has answered, by its own access log (uvicorn's; llama-server keeps none)."""
        return self.log.read_text(errors="replace").count('"POST /v1/chat/completions HTTP/1.1" 200')

    def last_words(self) -> str:
        """The end of its log, for a message."""
        return self.log.read_text(errors="replace")[-_LAST_WORDS:]


@contextlib.contextmanager
def transformers_serve(folder: Path, log: Path) -> Iterator[RealServer]:
    """``transformers serve`` on a folder with safetensors. It ignores ``response_format``, and answers one by one."""
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", folder.name, "--device", "cpu"]
    # The folder's name is the model's, found from where the server runs: no path of this machine gets into a verdict.
    with _running([*command, "--host", "127.0.0.1"], folder.name, "/health", log, cwd=folder.parent) as server:
        yield server


def can_serve_transformers() -> bool:
    """Whether what ``transformers serve`` needs is installed."""
    return all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn", "transformers"))


@contextlib.contextmanager
def llama_server(file: Path, log: Path) -> Iterator[RealServer]:
    """llama.cpp's own server on a GGUF file. It holds the model to the schema in ``response_format``."""
    command = ["llama-server", "--model", str(file), "--alias", file.stem, "--ctx-size", "4096", "--parallel", "1"]
    # One thread: two that wait for each other are far slower than one where others use the machine.
    command += ["--threads", "1", "--host", "127.0.0.1"]
    with _running(command, file.stem, "/health", log, cwd=file.parent) as server:
        yield server


def can_serve_llama() -> bool:
    """Whether llama.cpp's server is on PATH."""
    return shutil.which("llama-server") is not None


@contextlib.contextmanager
def _running(command: Sequence[str], model: str, ready: str, log: Path, *, cwd: Path) -> Iterator[RealServer]:
    port = _free_port()
    server = RealServer(model, f"http://127.0.0.1:{port}/v1", log)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as words:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, so that its children end with it
        )
    try:
        _wait_until_ready(process, port, ready, server)
        yield server
    finally:
        _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, ready: str, server: RealServer) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} while it started:\n{server.last_words()}")
        if _answers(port, ready):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the server was not ready within {PATIENCE:g} s:\n{server.last_words()}")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and whatever it started: asked first, then made to."""
    for how, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 30)):
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, how)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    process.wait(1)
