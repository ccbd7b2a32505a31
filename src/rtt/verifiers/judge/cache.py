"""Answers on disk, by the question they answer: none is paid for twice, not by another process either.

    folder/cache.db     SQLite, by diskcache:  key -> the model's entry as JSON text
                                               key + claim -> a process that is asking just now

Values are text in the database and nothing else. An entry that is marked as a pickle, or as a file, is damage, and is
asked for again; no other file is read or removed, whatever the folder's database says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtt.endpoints import missing_extra
from rtt.errors import DataError
from rtt.model_sources import cache_folder


def users_folder() -> Path:
    """The folder of answers where none is named: ``judge/`` in RTT's cache folder."""
    return cache_folder() / "judge"


class AnswerCache:
    """A folder of answers that are never evicted. Without a folder it keeps nothing.

    Args:
        folder: where they are; made when it is first used. SQLite must be able to lock files there, which network file
            systems often cannot.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @contextmanager
    def opened(self) -> Iterator[OpenCache]:
        """The folder, to read and write, for as long as the context lasts.

        Raises:
            DataError: it cannot be used.
            MissingDependencyError: diskcache is not installed.
        """
        if self.folder is None:
            yield OpenCache(None, None)
            return
        with _explained(self.folder):
            store = _open_store(self.folder)
        opened = OpenCache(self.folder, store)
        try:
            yield opened
        finally:
            opened.close()


class OpenCache:
    """An open :class:`AnswerCache`; any thread may use it, and each closes it for itself.

    All methods raise DataError where the folder cannot be read or written.
    """

    def __init__(self, folder: Path | None, store: Any) -> None:
        self._folder = folder
        self._store = store

    def get(self, key: str) -> str | None:
        """The answer, or None: it is not there, or is no text and will be asked for again."""
        if self._store is None:
            return None
        with _explained(self._folder):
            found = self._store.get(key)
        return found if isinstance(found, str) else None

    def get_all(self, keys: Iterable[str]) -> dict[str, str]:
        """The answers that are there, by key."""
        return {key: answer for key in keys if (answer := self.get(key)) is not None}

    def put_all(self, answers: Mapping[str, str]) -> None:
        """Keep answers, all of them or none, which takes about as long as one."""
        if self._store is not None and answers:
            with _explained(self._folder), self._store.transact(retry=True):
                for key, answer in answers.items():
                    self._store.set(key, answer, retry=True)

    def claim(self, key: str, seconds: float) -> bool:
        """Whether this caller is to ask: nobody else has said so within the time that they gave."""
        if self._store is None:
            return True
        with _explained(self._folder):
            claimed: bool = self._store.add(f"{key} claim", "", expire=seconds, retry=True)
        return claimed

    def renew(self, key: str, seconds: float) -> None:
        """Keep a claim for that long from now."""
        if self._store is not None:
            with _explained(self._folder):
                self._store.touch(f"{key} claim", expire=seconds, retry=True)

    def is_claimed(self, key: str) -> bool:
        """Whether somebody is asking."""
        if self._store is None:
            return False
        with _explained(self._folder):
            return self._store.get(f"{key} claim") is not None

    def release(self, key: str) -> None:
        """Give a claim up: the answer is there, or there is none."""
        if self._store is not None:
            with _explained(self._folder):
                self._store.delete(f"{key} claim", retry=True)

    def close(self) -> None:
        """Close the database for the calling thread."""
        if self._store is not None:
            self._store.close()


@contextmanager
def _explained(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DataError(
            f"cache {folder}: cannot be used: {error}; expected a folder of an earlier run, or a new one that can be "
            "written"
        ) from error


def _open_store(folder: Path) -> Any:
    try:
        from diskcache import Cache, Disk
        from diskcache.core import MODE_RAW, UNKNOWN
    except ImportError as error:
        raise missing_extra(error, "a judge's cache") from error

    class TextOnly(Disk):  # type: ignore[misc, unused-ignore]
        """Text, also where the folder comes from elsewhere: nothing is unpickled, no file read or removed."""

        def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
            if not isinstance(value, str):
                raise TypeError(f"got {type(value).__name__}; expected text")
            return super().store(value, read, key)

        def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
            return value if mode == MODE_RAW else None

        def remove(self, file_path: str) -> None:
            pass  # there are no files

    return Cache(
        str(folder),
        disk=TextOnly,
        eviction_policy="none",
        statistics=0,
        disk_min_file_size=1 << 40,  # no answer is as long: each one is in the database
        sqlite_wal_autocheckpoint=10_000,  # pages; each time everybody waits for the disk
    )
