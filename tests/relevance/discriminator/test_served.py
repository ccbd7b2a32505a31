"""A served discriminator: bit for bit what the module in this process says, and errors that say what is wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from served_discriminator import FINGERPRINT, serving

from rtt.errors import ConfigurationError, RelevanceFailureError
from rtt.relevance import relevance_source
from rtt.relevance.discriminator import served
from rtt.relevance.discriminator.model import fingerprint
from rtt.relevance.discriminator.served import ServedDiscriminator
from rtt.responses import Response
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.verdicts import Outcome, Verdict

CRITERIA = [["No commas.", "It is kind."], ["Ends with a question."], [], ["No commas.", "Short.", "Kind."], ["Long."]]
TEXTS = ["Well, a cat sat, again.", "naïve — 🙂🙂?", "nothing asked", "", "words " * 60]


class Answers:
    """Stands for a discriminator that answers ``tokens`` as it is told, and counts who asks at once."""

    def __init__(self, tokens: Callable[[Sequence[str], str], Any]) -> None:
        self.answer = tokens
        self.settings = type("Settings", (), {"architecture": "joint"})
        self.window = 8
        self.busy = self.busiest = 0
        self.requests: list[int] = []

    def tokens(self, criteria: Sequence[Sequence[str]], texts: Sequence[str], *, batch_tokens: int) -> list[Any]:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        self.requests.append(len(texts))
        time.sleep(0.02)
        self.busy -= 1
        return [self.answer(asked, text) for asked, text in zip(criteria, texts, strict=True)]


def letters(asked: Sequence[str], text: str) -> Any:
    """A token a character, each worth its place in the text by the criterion's length."""
    values = [[(place + len(criterion)) % 7 / 7 for place in range(len(text))] for criterion in asked]
    return [(i, i + 1) for i in range(len(text))], np.array(values, dtype=np.float32).reshape(len(asked), len(text))


@pytest.mark.parametrize("architecture", ["joint", "cross"])
@pytest.mark.parametrize("batch_tokens", [64, 4096])
def test_it_says_what_the_local_one_says_bit_for_bit(
    tiny_discriminator: Any, architecture: str, batch_tokens: int
) -> None:
    local = tiny_discriminator(architecture)
    expected = local.characters(CRITERIA, TEXTS, batch_tokens=batch_tokens)
    with serving(local) as url:
        found = ServedDiscriminator(url).characters(CRITERIA, TEXTS, batch_tokens=batch_tokens)
    assert [one.dtype for one in found] == [np.dtype(np.float32)] * len(TEXTS)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.ptp(np.concatenate([one.ravel() for one in expected])) > 0.1


def test_it_is_a_relevance_source_by_its_address(tiny_discriminator: Any, tmp_path: Path) -> None:
    local = tiny_discriminator("joint")
    local.save_pretrained(tmp_path / "d")
    criteria = tuple(Criterion(id=f"c{k}", text=text) for k, text in enumerate(["No commas.", "Is kind."]))
    task = Task(id="t", prompt=(Message(role="user", content="q"),), rubric=Rubric(criteria=criteria))
    response = Response("t", "a, b", (5, 6, 7), ((0, 1), (1, 4), (4, 4)))
    verdicts = [Verdict(one.id, Outcome.SATISFIED, "judge:m") for one in criteria]
    with serving(local, fingerprint(tmp_path / "d")) as url:
        sources = [
            relevance_source("discriminator", model=str(tmp_path / "d")),
            relevance_source("discriminator", model=url),
            relevance_source("hybrid", model=url),
        ]
        found = [source([task], [response], [verdicts])[0] for source in sources]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_the_server_answers_one_after_the_other_and_each_who_asks_gets_its_own() -> None:
    answers = Answers(letters)
    with serving(answers) as url, ThreadPoolExecutor(8) as callers:
        asking = ServedDiscriminator(url)
        texts = ["x" * length for length in range(1, 17)]
        found = list(callers.map(lambda text: asking.characters([["c"]], [text])[0], texts))
    assert answers.busiest == 1
    for text, one in zip(texts, found, strict=True):
        np.testing.assert_array_equal(one, letters(["c"], text)[1])


def test_what_is_too_much_for_one_request_is_asked_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(letters)
    texts = ["a" * 30, "b" * 30, "c" * 30, "d" * 90]
    monkeypatch.setattr(served, "MAX_SCORES", 60)
    with serving(answers) as url:
        done: list[int] = []
        found = ServedDiscriminator(url).characters([["c"]] * 4, texts, progress=done.append)
    assert answers.requests == done == [2, 1, 1]
    for text, one in zip(texts, found, strict=True):
        np.testing.assert_array_equal(one, letters(["c"], text)[1])


@pytest.mark.parametrize(("bound", "requests"), [("MAX_TEXTS", [2, 2, 1]), ("MAX_CRITERIA", [2, 1, 2])])
def test_many_texts_or_criteria_are_asked_in_several_requests(
    monkeypatch: pytest.MonkeyPatch, bound: str, requests: list[int]
) -> None:
    answers = Answers(letters)
    monkeypatch.setattr(served, bound, 2)
    criteria, texts = [["c"], ["c"], ["c", "d"], ["c"], ["c"]], ["", "a", "", "b", ""]
    with serving(answers) as url:
        found = ServedDiscriminator(url).characters(criteria, texts)
    assert answers.requests == requests
    assert [one.shape for one in found] == [(len(k), len(text)) for k, text in zip(criteria, texts, strict=True)]


# ---------------------------------------------------------------------------------------------- errors of those who ask


def one_token_more(asked: Sequence[str], text: str) -> Any:
    spans, values = letters(asked, text)
    return [*spans, (0, 1)], values


def beyond_the_text(asked: Sequence[str], text: str) -> Any:
    return [(0, len(text) + 1)], np.zeros((len(asked), 1), dtype=np.float32)


def no_number(asked: Sequence[str], text: str) -> Any:
    return [(0, 1)], np.full((len(asked), 1), np.nan, dtype=np.float32)


WRONG = {
    "another number of tokens": (one_token_more, r"relevance of response 0 is float32 \(1, 3\), expected .*\(1, 4\)"),
    "beyond the text": (beyond_the_text, "tokens of response 0 leave its 3 characters"),
    "no number": (no_number, r"relevance of response 0 leaves \[0, 1\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_to_something_else_is_none(name: str) -> None:
    answer, message = WRONG[name]
    with serving(Answers(answer)) as url:
        asking = ServedDiscriminator(url)
        with pytest.raises(RelevanceFailureError, match=f"the server at {url} answered {message}"):
            asking.characters([["c"]], ["abc"])


def save_of(kind: str) -> bytes:
    """Two numbers of two bytes as safetensors of this kind."""
    head = json.dumps({"0.spans": {"dtype": kind, "shape": [1, 2], "data_offsets": [0, 4]}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(4)


def test_bytes_that_are_no_answer_are_none() -> None:
    good = served.encoded([letters(["c"], "abc")])
    for damaged, message in (
        (good[:-1], "no safetensors"),
        (b"\x80\x04K\x01.", "no safetensors"),
        (save_of("BF16"), "no safetensors: 'BF16'"),
        (save({"0.spans": load(good)["0.spans"]}), "1 arrays, expected two for each of 1 responses"),
        (save({**load(good), "0.spans": np.zeros((3, 2), dtype=np.int64)}), "spans of response 0 are int64"),
    ):
        with pytest.raises(ValueError, match=message):
            served.decoded(damaged, [["c"]], ["abc"])


def test_a_server_that_went_down_is_told_and_one_that_came_back_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(Answers(letters)) as url:
        asking = ServedDiscriminator(url, retries=1)
    port = int(url.rpartition(":")[2])
    with pytest.raises(RelevanceFailureError, match=f"no discriminator answers at {url}: .*Connection refused"):
        asking.characters([["c"]], ["abc"])
    with serving(Answers(letters), port=port):
        np.testing.assert_array_equal(asking.characters([["c"]], ["abc"])[0], letters(["c"], "abc")[1])


def test_a_connection_that_is_cut_is_tried_again() -> None:
    """The first two connections are closed after the request, the third is answered."""
    good = served.encoded([letters(["c"], "abc")])
    head = f"HTTP/1.1 200 OK\r\n{served.FINGERPRINT_HEADER}: {FINGERPRINT}\r\nConnection: close\r\nContent-Length: "
    replies = [b"", b"", f"{head}{len(good)}\r\n\r\n".encode() + good]

    def answer(listening: socket.socket) -> None:
        for reply in [f"{head}2\r\n\r\n{{}}".encode(), *replies]:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        asking = ServedDiscriminator(f"http://127.0.0.1:{listening.getsockname()[1]}")
        np.testing.assert_array_equal(asking.characters([["c"]], ["abc"])[0], letters(["c"], "abc")[1])
        thread.join()


class Held(Answers):
    """Answers only when it is let go."""

    def __init__(self) -> None:
        super().__init__(letters)
        self.go = threading.Event()

    def tokens(self, *arguments: Any, **options: Any) -> list[Any]:
        found = super().tokens(*arguments, **options)
        self.go.wait()
        return found


def test_a_late_answer_is_none_and_is_asked_for_once() -> None:
    held = Held()
    with serving(held) as url:
        asking = ServedDiscriminator(url)
        asking._timeout = 0.3
        with pytest.raises(RelevanceFailureError, match="timed out"):
            asking.characters([["c"]], ["abc"])
        held.go.set()
        ServedDiscriminator(url).characters([["c"]] * 2, ["abc"] * 2)  # whatever was asked before is done
    assert held.requests == [1, 2]


def test_what_nobody_waits_for_any_more_is_not_scored() -> None:
    held = Held()
    with serving(held) as url, ThreadPoolExecutor(1) as callers:
        first = callers.submit(ServedDiscriminator(url).characters, [["c"]], ["abc"])
        while not held.requests:
            time.sleep(0.01)
        gone = ServedDiscriminator(url)
        gone._timeout = 0.3
        for _ in range(3):
            with pytest.raises(RelevanceFailureError, match="timed out"):
                gone.characters([["c"]] * 3, ["abc"] * 3)
        gone._pool.clear()
        held.go.set()
        first.result()
        ServedDiscriminator(url).characters([["c"]] * 2, ["abc"] * 2)
    assert held.requests == [1, 2]


def test_all_tries_of_a_call_have_one_deadline() -> None:
    """A server that cuts each connection after a while: asked again, but not for ever."""

    def answer(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    time.sleep(0.4)

    with serving(Answers(letters)) as url:
        asking = ServedDiscriminator(url, retries=100)
    asking._timeout = 1.0
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(RelevanceFailureError, match=f"no discriminator answers at {url}"):
            asking.characters([["c"]], ["abc"])
        assert 0.9 < time.monotonic() - started < 3
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_with_too_many_connections_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Answers(letters), limit_concurrency=2) as url:
        first = ServedDiscriminator(url)
        with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)) as other:
            other.connect()
            with pytest.raises(RelevanceFailureError, match="too many 503 error responses"):
                ServedDiscriminator(url, retries=0)
        np.testing.assert_array_equal(first.characters([["c"]], ["abc"])[0], letters(["c"], "abc")[1])


def test_another_discriminator_than_the_run_began_with_is_refused() -> None:
    with serving(Answers(letters)) as url:
        asking = ServedDiscriminator(url)
        assert asking.fingerprint == FINGERPRINT
    with serving(Answers(letters), "cd" * 32, port=int(url.rpartition(":")[2])):
        words = f"has another discriminator \\(cdcdcdcdcdcd\\) than this run began with \\({FINGERPRINT[:12]}\\)"
        with pytest.raises(RelevanceFailureError, match=words):
            asking.characters([["c"]], ["abc"])


def test_a_server_of_another_kind_is_refused_at_once() -> None:
    with serving(Answers(letters), name="no fingerprint") as url:
        with pytest.raises(RelevanceFailureError, match="v1/discriminator answered 200 .*expected `rtt discriminator"):
            ServedDiscriminator(url)
        with pytest.raises(RelevanceFailureError, match="v1/discriminator answered 404 'Not Found'"):
            ServedDiscriminator(f"{url}/elsewhere")


@pytest.mark.parametrize("url", ["http://", "http://me:secret@host:1", "http://host:99999", "https://:8765"])
def test_an_address_is_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected http"):
        relevance_source("discriminator", model=url)


def test_a_device_is_the_servers_own() -> None:
    with pytest.raises(ConfigurationError, match="device='cpu' for the discriminator at http://h:1, whose server has"):
        relevance_source("discriminator", model="http://h:1", device="cpu")


# ------------------------------------------------------------------------------------------------ what a server refuses


def post(url: str, body: bytes, path: str = "/v1/relevance") -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def test_a_request_is_texts_and_a_number_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"criteria": [["c"]], "texts": ["abc"], "batch_tokens": 64}
    with serving(Answers(letters)) as url:
        assert post(url, json.dumps(good).encode())[0] == 200
        for change, message in (
            ({"folder": "/etc"}, "folder: Extra inputs are not permitted"),
            ({"texts": ["abc", "d"]}, "1 lists of criteria for 2 texts"),
            ({"texts": [1]}, "texts.0: Input should be a valid string"),
            ({"batch_tokens": 2**20}, "batch_tokens: Input should be less than or equal to 65536"),
            ({"criteria": [[]] * 400_000, "texts": [""] * 400_000}, "texts: List should have at most 8192 items"),
            ({"criteria": [["c"] * 200_000], "texts": ["a"]}, "200,000 criteria, more than 65,536; ask in several"),
            ({"criteria": [["c"] * 4096], "texts": ["a" * 2**16]}, "268,435,456 criteria x characters, more than"),
        ):
            status, words = post(url, json.dumps({**good, **change}).encode())
            assert (status, message in words) == (400, True), words
        assert post(url, b"\x80\x04K\x01.")[0] == 400
        assert post(url, b"{}", "/v1/../etc/passwd")[0] == 404


def test_a_request_that_is_too_long_is_not_read_to_its_end() -> None:
    with serving(Answers(letters)) as url:
        with contextlib.suppress(ConnectionError):  # the server may hang up while the rest is still being sent
            status, words = post(url, b" " * (served.MAX_BODY_BYTES + 2**20))
            assert (status, words) == (413, "the request is longer than 33,554,432 bytes")
        np.testing.assert_array_equal(
            ServedDiscriminator(url).characters([["c"]], ["abc"])[0], letters(["c"], "abc")[1]
        )


# ---------------------------------------------------------------------------------------------------------- the command


def test_a_fingerprint_is_of_all_that_a_discriminator_is_made_of(tiny_discriminator: Any, tmp_path: Path) -> None:
    for name in ("one", "same"):
        tiny_discriminator("joint").save_pretrained(tmp_path / name, card=name)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "same")
    seen = {fingerprint(tmp_path / "one")}
    for name in ("model.safetensors", "discriminator.json", "tokenizer.json", "config.json"):
        file = tmp_path / "same" / name
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        seen.add(fingerprint(tmp_path / "same"))
        file.write_bytes(content)
    assert len(seen) == 5


@pytest.mark.slow
def test_the_command_serves_a_folder_until_it_is_told_to_stop(tiny_discriminator: Any, tmp_path: Path) -> None:
    local = tiny_discriminator("joint")
    local.save_pretrained(tmp_path / "d")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "rtt", "discriminator", "serve", str(tmp_path / "d"), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        asking = ServedDiscriminator(f"http://127.0.0.1:{port}", retries=7)  # waits for it
        assert asking.fingerprint == fingerprint(tmp_path / "d")
        for one, other in zip(asking.characters(CRITERIA, TEXTS), local.characters(CRITERIA, TEXTS), strict=True):
            np.testing.assert_array_equal(one, other)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert f"Uvicorn running on http://127.0.0.1:{port} " in errors
    assert f"discriminator {asking.fingerprint[:12]} at http://127.0.0.1:{port}" in errors
