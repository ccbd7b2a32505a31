"""A chat completions endpoint on 127.0.0.1 that answers as it is told, for tests of the judge."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One HTTP answer: a status and a body; or a connection that is cut, or an answer that does not come."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None  # a Content-Length that is not the body's
    drip: float = 0.0  # seconds between bytes
    repeat: int = 1  # how often the body is sent, as one body


class Server:
    """Answers chat completions on 127.0.0.1 as ``script(question, number)`` says; keeps connections alive."""

    def __init__(self) -> None:
        self.script: Callable[[dict[str, Any], int], Reply] = lambda question, number: completion(judged(YES))
        self.questions: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.connections = self.open = self.busy = self.busiest = 0
        self.over = threading.Event()
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                with server.lock:
                    server.connections += 1
                    server.open += 1

            def finish(self) -> None:
                super().finish()
                with server.lock:
                    server.open -= 1

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/chat/completions"
                with server.lock:
                    server.busy += 1
                    server.busiest = max(server.busiest, server.busy)
                    server.questions.append(question)
                    server.keys.add(self.headers["Authorization"])
                    number = len(server.questions)
                try:
                    reply = server.script(question, number)
                finally:
                    with server.lock:
                        server.busy -= 1
                try:
                    self.send_response(reply.status)
                    for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                        self.send_header(name, value)
                    announced = len(reply.body) * reply.repeat if reply.announced is None else reply.announced
                    self.send_header("Content-Length", str(announced))
                    self.end_headers()
                    if reply.drip:
                        for byte in reply.body:
                            self.wfile.write(bytes([byte]))
                            if server.over.wait(reply.drip):
                                break
                    else:
                        for _ in range(reply.repeat):
                            self.wfile.write(reply.body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                if reply.announced is not None:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            request_queue_size = 128  # more connections than the usual 5 come at once

            def handle_error(self, request: Any, client_address: Any) -> None:
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def hang(self) -> Reply:
        self.over.wait(30)
        return Reply()


def completion(content: str | None, *, finish: str = "stop", refusal: str | None = None) -> Reply:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return Reply(json.dumps(body).encode())


def says(
    satisfied: str, *, support: Any = (), violation: Any = (), whole: bool = False, reason: str = "Because."
) -> dict[str, Any]:
    """One entry of a reply, without its number."""
    return {
        "reason": reason,
        "supporting_quotes": list(support),
        "violating_quotes": list(violation),
        "whole_response": whole,
        "satisfied": satisfied,
    }


YES = says("yes", whole=True)
NO = says("no", whole=True)


def judged(*entries: dict[str, Any]) -> str:
    """A reply with these entries, numbered from 1."""
    return json.dumps({"verdicts": [{"criterion": number, **entry} for number, entry in enumerate(entries, start=1)]})


def prompt_of(question: dict[str, Any]) -> str:
    """The prompt of a request."""
    (message,) = question["messages"]
    return str(message["content"])


def fence_of(question: dict[str, Any]) -> str:
    """The code of a request's marks, which the package's own prompt names before anything from elsewhere.

    With a prompt of one's own: that of the first mark.
    """
    prompt = prompt_of(question)
    match = re.search(r"marks that all carry the code ([0-9a-f]{12}):", prompt)
    match = match or re.search(r"^<(?:response|criterion-1)-([0-9a-f]{12})>$", prompt, re.MULTILINE)
    assert match is not None
    return match[1]


def criteria_of(question: dict[str, Any]) -> list[str]:
    """The criteria that a request asks, in order."""
    fence = fence_of(question)
    pattern = rf"^<criterion-\d+-{fence}>\n(.*?)\n</criterion-\d+-{fence}>$"
    return re.findall(pattern, prompt_of(question), re.DOTALL | re.MULTILINE)


def response_of(question: dict[str, Any]) -> str:
    """The response that a request asks about."""
    fence = fence_of(question)
    flags = re.DOTALL | re.MULTILINE
    (response,) = re.findall(rf"^<response-{fence}>\n(.*?)\n</response-{fence}>$", prompt_of(question), flags)
    return str(response)


def judges(verdict: Callable[[str, str], dict[str, Any]]) -> Callable[[dict[str, Any], int], Reply]:
    """A script that answers each criterion of a request by ``verdict(criterion, response)``."""

    def script(question: dict[str, Any], number: int) -> Reply:
        response = response_of(question)
        return completion(judged(*(verdict(criterion, response) for criterion in criteria_of(question))))

    return script
