"""Work in a thread that nobody has to wait for, not even the end of the interpreter after an interrupt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def in_background(work: Callable[[], _T], name: str) -> Future[_T]:
    """What ``work`` will return or raise, done in a daemon thread of this name."""
    done: Future[_T] = Future()

    def run() -> None:
        done.set_running_or_notify_cancel()
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it, whatever it is
            done.set_exception(error)

    # not an executor: the interpreter waits for that one's threads before it ends
    threading.Thread(target=run, name=name, daemon=True).start()
    return done
