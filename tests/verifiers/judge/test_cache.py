"""The answers on disk: text and nothing else, kept for good, and claims that end."""

from __future__ import annotations

import pickle
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rtt.errors import DataError, MissingDependencyError
from rtt.verifiers.judge.cache import AnswerCache

pytest.importorskip("diskcache")


def run_sql(folder: Path, statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(folder / "cache.db")) as database, database:
        return database.execute(statement, values).fetchall()


def test_what_is_put_is_got_from_whichever_handle(tmp_path):
    texts = {"a": "yes", "b": "", "c": "é\u2028🙂\0", "d": "x" * 1_000_000}
    with AnswerCache(tmp_path / "new" / "folder").opened() as cache:
        for key, text in texts.items():
            assert cache.get(key) is None
            cache.put_all({key: text})
        cache.put_all({"a": "no"})
    with AnswerCache(tmp_path / "new" / "folder").opened() as cache:
        assert {key: cache.get(key) for key in texts} == texts | {"a": "no"}
    assert {path.name.split("-")[0] for path in (tmp_path / "new" / "folder").iterdir()} == {"cache.db"}


def test_without_a_folder_nothing_is_kept():
    with AnswerCache(None).opened() as cache:
        cache.put_all({"a": "yes"})
        assert cache.get("a") is None
        assert [cache.claim("a", 5), cache.claim("a", 5), cache.is_claimed("a")] == [True, True, False]
        cache.renew("a", 5)
        cache.release("a")


def test_a_claim_is_had_by_one_until_it_is_given_up_or_its_time_is_over(tmp_path):
    with AnswerCache(tmp_path).opened() as cache, AnswerCache(tmp_path).opened() as other:
        assert not cache.is_claimed("a")
        assert cache.claim("a", 60)
        assert [other.claim("a", 60), cache.claim("a", 60), other.is_claimed("a")] == [False, False, True]
        assert other.claim("b", 0.2)
        assert other.get("a") is None
        cache.put_all({"a": "yes"})
        assert cache.is_claimed("a")
        cache.release("a")
        assert (other.is_claimed("a"), other.claim("a", 60), other.get("a")) == (False, True, "yes")
        time.sleep(0.25)
        assert not cache.is_claimed("b")
        assert cache.claim("b", 60)


def test_a_claim_that_is_renewed_lasts(tmp_path):
    with AnswerCache(tmp_path).opened() as cache:
        assert cache.claim("a", 0.3)
        for _ in range(4):
            time.sleep(0.15)
            cache.renew("a", 0.3)
        assert not cache.claim("a", 0.3)
        cache.release("a")
        cache.renew("a", 60)  # nothing to renew
        assert not cache.is_claimed("a")


def test_of_many_threads_one_has_the_claim(tmp_path):
    together = threading.Barrier(8, timeout=25)
    with AnswerCache(tmp_path).opened() as cache:

        def claim(_: int) -> list[bool]:
            together.wait()
            try:
                return [cache.claim(f"key {number}", 60) for number in range(10)]
            finally:
                cache.close()

        with ThreadPoolExecutor(8) as pool:
            claims = list(pool.map(claim, range(8)))
    assert [sum(had) for had in zip(*claims, strict=True)] == [1] * 10


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 9])
def test_a_value_that_is_no_text_of_ours_is_none_and_a_pickle_is_never_loaded(tmp_path, mode):
    trap = tmp_path / "sprung"
    with AnswerCache(tmp_path / "cache").opened() as cache:
        cache.put_all({"a": "yes"})
    run_sql(tmp_path / "cache", "UPDATE Cache SET value = ?, mode = ?", pickle.dumps(Trap(trap)), mode)
    with AnswerCache(tmp_path / "cache").opened() as cache:
        assert cache.get("a") is None
        cache.put_all({"a": "no"})
        assert cache.get("a") == "no"
    assert not trap.exists()


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
@pytest.mark.parametrize("content", [b"yes", b"\xff"])
def test_a_database_that_names_files_gets_none_read_or_removed(tmp_path, mode, content):
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    with AnswerCache(tmp_path / "cache").opened() as cache:
        cache.put_all({"a": "yes"})
        assert cache.claim("b", 0.01)
    run_sql(tmp_path / "cache", "UPDATE Cache SET value = NULL, mode = ?, filename = '../secret'", mode)
    time.sleep(0.02)
    with AnswerCache(tmp_path / "cache").opened() as cache:
        assert cache.get("a") is None
        cache.put_all({"a": "no"})
        cache.release("b")
        assert cache.claim("b", 5)
        assert cache.get("a") == "no"
    assert secret.read_bytes() == content


def test_nothing_but_text_is_put(tmp_path):
    with AnswerCache(tmp_path).opened() as cache, pytest.raises(TypeError, match="got dict; expected text"):
        cache.put_all({"a": {"yes": 1}})  # type: ignore[arg-type]


def test_the_cache_forgets_nothing_however_large_it_grows(tmp_path):
    with AnswerCache(tmp_path).opened() as cache:
        cache.put_all({"a": "yes"})
    assert run_sql(tmp_path, "SELECT value FROM Settings WHERE key = 'eviction_policy'") == [("none",)]
    assert run_sql(tmp_path, "SELECT expire_time FROM Cache") == [(None,)]
    run_sql(tmp_path, "UPDATE Settings SET value = 1 WHERE key = 'size_limit'")
    with AnswerCache(tmp_path).opened() as cache:
        for number in range(50):
            cache.put_all({str(number): "x" * 10_000})
        assert cache.get("a") == "yes"


def test_what_is_no_cache_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "cache.db").write_bytes(b"mine" * 1000)
    for name in ("file", "file/below", "folder"):
        opened = AnswerCache(tmp_path / name).opened()
        with pytest.raises(DataError, match="cannot be used: .*expected a folder of an earlier run, or a new"), opened:
            raise AssertionError("opened")
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "folder" / "cache.db").read_bytes() == b"mine" * 1000


def test_a_cache_that_breaks_while_it_is_open_says_so(tmp_path):
    with AnswerCache(tmp_path).opened() as cache:
        run_sql(tmp_path, "DROP TABLE Cache")
        for use in (cache.get, cache.is_claimed, cache.release, lambda key: cache.put_all({key: "yes"})):
            with pytest.raises(DataError, match="cannot be used: no such table"):
                use("a")


def test_the_extra_is_named_where_it_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diskcache", None)
    opened = AnswerCache(tmp_path).opened()
    with pytest.raises(MissingDependencyError, match=r"cache needs diskcache.*rubrics-to-tokens\[judge\]"), opened:
        raise AssertionError("opened")


def test_many_answers_are_kept_together_or_not_at_all(tmp_path):
    with AnswerCache(tmp_path).opened() as cache:
        cache.put_all({"a": "1", "b": "2"})
        assert cache.get_all(["a", "x", "b"]) == {"a": "1", "b": "2"}
        with pytest.raises(TypeError, match="expected text"):
            cache.put_all({"c": "3", "d": 4})
        assert cache.get("c") is None
