"""A discriminator's server on 127.0.0.1, in a thread of this process, for tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from rtt.relevance.discriminator.server import application

FINGERPRINT = "ab" * 32


@contextlib.contextmanager
def serving(discriminator: Any, name: str = FINGERPRINT, port: int = 0, **options: Any) -> Iterator[str]:
    """A server in a thread of this process, at the address that is handed out; ``options`` are uvicorn's."""
    server = uvicorn.Server(uvicorn.Config(application(discriminator, name), port=port, log_level="error", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
