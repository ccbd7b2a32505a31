"""Endpoints against a scripted server: a whole answer, or none with its reason; and a key that nothing else sees."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_endpoint import Reply, Server, completion, prompt_of

from rtt.endpoints import AUTO, Endpoint, EndpointUnusable, NoAnswer, clean, excerpt, json_object
from rtt.errors import ConfigurationError, MissingDependencyError, VerifierError

pytest.importorskip("openai")

SECRET = "sk-test-0123456789abcdef-very-secret"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TEXT = '{"a": 1}'
DEFAULTS: dict[str, Any] = {
    "base_url": None,
    "api_key_env": "ENDPOINT_KEY",
    "timeout": 25,
    "max_retries": 0,
    "temperature": 0,
}


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.script = lambda question, number: completion(TEXT)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_KEY", SECRET)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01, raising=False)  # where no time is named


def endpoint(server: Server, **options: Any) -> Endpoint:
    return Endpoint("tiny", **(DEFAULTS | {"base_url": server.url} | options))


def ask(of: Endpoint, *prompts: str) -> list[str | NoAnswer]:
    """The answers to these prompts, one after the other over one connection."""

    async def asking() -> list[str | NoAnswer]:
        answers: list[str | NoAnswer] = []
        async with of.connected() as connection:
            for prompt in prompts:
                try:
                    answers.append(await connection.ask(prompt, "thing", SCHEMA))
                except NoAnswer as failure:
                    answers.append(failure)
        return answers

    return asyncio.run(asking())


def answer(server: Server, reply: Reply, prompt: str = "Well?", **options: Any) -> str | NoAnswer:
    server.script = lambda question, number: reply
    return ask(endpoint(server, **options), prompt)[0]


# ------------------------------------------------------------------------------------------------------- what is asked


def test_a_request_holds_the_prompt_the_settings_and_the_schema_and_its_answer_comes_whole(server):
    of = endpoint(server, request={"max_tokens": 512, "top_k": 1}, temperature=0)
    assert ask(of, "Well?") == [TEXT]
    assert server.questions == [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": "Well?"}],
            "temperature": 0.0,
            "max_tokens": 512,
            "top_k": 1,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "thing", "strict": True, "schema": SCHEMA},
            },
        }
    ]
    assert of.counts() == {"calls": 1, "prompt_tokens": 100, "completion_tokens": 20}


def test_a_temperature_of_none_is_left_to_the_endpoint(server):
    ask(endpoint(server, temperature=None), "Well?")
    assert "temperature" not in server.questions[0]


@pytest.mark.parametrize("message", ["'response_format' is not supported", "json_schema: unknown type"])
@pytest.mark.parametrize("status", [400, 422, 500])
def test_an_endpoint_gets_the_form_of_response_format_that_it_takes_or_none_and_that_is_remembered(
    server, message, status
):
    refused = {"json_schema"}

    def script(question: dict[str, Any], number: int) -> Reply:
        if question.get("response_format", {}).get("type") in refused:
            return Reply(json.dumps({"error": {"message": message}}).encode(), status=status)
        return completion(TEXT)

    server.script = script
    of = endpoint(server)
    assert [*ask(of, "1", "2"), *ask(of, "3")] == [TEXT] * 3
    assert [question["response_format"]["type"] for question in server.questions] == [
        "json_schema",
        *["json_object"] * 3,
    ]
    assert server.questions[1]["response_format"]["schema"] == SCHEMA
    refused.add("json_object")
    assert ask(of, "4", "5") == [TEXT, TEXT]
    assert ["response_format" in question for question in server.questions[4:]] == [True, False, False]


def test_another_refusal_is_not_taken_for_one_of_the_format(server):
    failure = answer(server, Reply(b'{"error": {"message": "temperature"}}', status=400))
    assert isinstance(failure, NoAnswer)
    assert (failure.kind, len(server.questions)) == ("request", 1)


def test_a_prompt_of_any_text_arrives_as_it_is(server):
    text = '\0 \u2028 é e\u0301 機器人 🙂 \\ud83d " <|im_end|> \x7f\r\n'
    assert ask(endpoint(server), text) == [TEXT]
    assert prompt_of(server.questions[0]) == text


def test_half_a_surrogate_pair_is_not_sent(server):
    failure, whole = ask(endpoint(server), "robot \ud83d", "robot 🤖")
    assert isinstance(failure, NoAnswer)
    assert (failure.kind, str(failure)) == ("request", "the text holds half a surrogate pair; expected valid Unicode")
    assert whole == TEXT
    assert len(server.questions) == 1


# -------------------------------------------------------------------------------------------- a failure is no answer


NO_ANSWERS: dict[str, tuple[Reply, str, str]] = {
    "empty": (completion(""), "empty", r"the reply is empty \(finish_reason 'stop'\)"),
    "blank": (completion(" \n\t"), "empty", "is empty"),
    "no content": (completion(None), "empty", "is empty"),
    "a tool": (completion(None, finish="tool_calls"), "empty", r"is empty \(finish_reason 'tool_calls'\)"),
    "no finish": (Reply(b'{"choices": [{"message": {}}]}'), "empty", r"is empty \(finish_reason 'none'\)"),
    "refused": (completion(TEXT, refusal="I'd rather\nnot."), "refused", "the model refused: I'd rather not."),
    "filtered": (completion(TEXT, finish="content_filter"), "filtered", "content filter withheld the reply"),
    "cut off": (completion(TEXT, finish="length"), "truncated", "cut off at the model's limit of tokens"),
    "no choices": (Reply(b'{"choices": []}'), "malformed", 'no chat completion: choices: .*it begins \'{"choices"'),
    "no text": (Reply(b'{"choices": [{"message": {"content": 1}}]}'), "malformed", "choices.0.message.content: "),
    "half JSON": (Reply(b'{"choices": [{"mess'), "malformed", "no chat completion: it: Invalid JSON"),
    "half a pair": (Reply(rb'{"choices": [{"message": {"content": "\ud83d"}}]}'), "malformed", "no chat completion"),
    "nothing": (Reply(b""), "malformed", "no chat completion"),
    "no content at all": (Reply(b"", status=204), "malformed", "no chat completion"),
    "a page": (Reply(b"<html>yes</html>", headers={"Content-Type": "text/html"}), "malformed", "no chat completion"),
    "no UTF-8": (Reply(b"\xff\xfe"), "malformed", "no chat completion"),
    "no gzip": (Reply(b"plain", headers={"Content-Encoding": "gzip"}), "connection", "failed .DecodingError."),
    "a deep nest": (Reply(b"[" * 100_000), "malformed", "no chat completion"),
    "cut within": (Reply(completion(TEXT).body, announced=5000), "connection", r"failed \(RemoteProtocolError\)"),
    "500": (Reply(completion(TEXT).body, status=500), "server error", "the endpoint answered 500"),
    "503": (Reply(b"", status=503), "server error", "the endpoint answered 503"),
    "429": (Reply(b"slow\n\ndown", status=429), "rate limit", "^the endpoint answered 429: slow down$"),
    "400": (Reply(b'{"error": {"message": "too many"}}', status=400), "request", "answered 400: too many$"),
    "413": (Reply(b'{"detail": ["too long"]}', status=413), "request", r"answered 413: .*too long"),
    "no such model": (Reply(b'{"error": {"message": "no"}}', status=404), "unusable", "answered 404: no$"),
    "wrong key": (Reply(b'{"error": "who?"}', status=401), "unusable", "answered 401: .*who"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_has_a_kind_and_says_why(server, name):
    reply, kind, words = NO_ANSWERS[name]
    failure = answer(server, reply)
    assert isinstance(failure, NoAnswer)
    assert isinstance(failure, VerifierError)
    assert failure.kind == kind
    assert re.search(words, str(failure)), str(failure)
    assert isinstance(failure, EndpointUnusable) == (kind == "unusable")


@pytest.mark.parametrize("word", ["x" * 500_000, "\\ud83d" * 10_000], ids=["long", "half pairs"])
@pytest.mark.parametrize(
    "body",
    [
        '{"choices": [{"finish_reason": "WORD", "message": {"content": ""}}]}',
        '{"choices": [{"message": {"refusal": "WORD"}}]}',
        '{"choices": "WORD"}',
        '{"error": {"message": "WORD"}}',
        "WORD",
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_what_an_endpoint_says_is_told_in_a_few_words_of_valid_text(server, body, word, status):
    failure = answer(server, Reply(body.replace("WORD", word).encode(), status=status))
    assert isinstance(failure, NoAnswer)
    assert len(str(failure).encode()) < 1000


def test_tokens_are_counted_also_where_there_is_no_usable_text(server):
    of = endpoint(server)
    server.script = lambda question, number: [completion(None), completion(TEXT), Reply(b"{}")][number - 1]
    ask(of, "1", "2", "3")
    assert of.counts() == {"calls": 3, "prompt_tokens": 200, "completion_tokens": 40}


def test_an_answer_without_counts_of_tokens_is_an_answer(server):
    body = json.loads(completion(TEXT).body)
    for usage in (None, {}, {"total_tokens": 7, "prompt_tokens_details": None}):
        assert answer(server, Reply(json.dumps(body | {"usage": usage}).encode())) == TEXT


def test_a_compressed_answer_is_read(server):
    body = gzip.compress(completion(TEXT).body)
    assert answer(server, Reply(body, headers={"Content-Encoding": "gzip"})) == TEXT


def test_an_answer_that_does_not_come_in_time_is_none(server):
    server.script = lambda question, number: server.hang()
    begin = time.monotonic()
    of = endpoint(server, timeout=0.2, max_retries=1)
    (failure,) = ask(of, "Well?")
    assert isinstance(failure, NoAnswer)
    assert (failure.kind, str(failure)) == ("timeout", "the endpoint gave no answer within 0.2 s, in 2 tries")
    assert of.counts() == {"calls": 2}
    assert time.monotonic() - begin < 20


def test_an_answer_that_trickles_in_is_given_up_as_a_whole(server):
    reply = completion(TEXT)
    reply.body, reply.drip = b" " * 1000 + reply.body, 0.05  # each byte comes well within the time
    failure = answer(server, reply, timeout=0.3)
    assert isinstance(failure, NoAnswer)
    assert failure.kind == "timeout"


@pytest.mark.parametrize("megabytes", [10, 1_000_000])
def test_an_answer_of_many_megabytes_is_read_up_to_a_bound(server, megabytes):
    server.script = lambda question, number: Reply(b" " * 1_000_000, repeat=megabytes)
    of = endpoint(server, max_retries=2)
    (failure,) = ask(of, "Well?")
    assert isinstance(failure, NoAnswer)
    assert (failure.kind, str(failure)) == ("too long", "the endpoint's answer is longer than 1,048,576 bytes")
    assert of.counts() == {"calls": 1}
    failure = answer(server, Reply(b"x" * 1_000_000, status=400, repeat=megabytes))
    assert str(failure) == "the endpoint answered 400: " + "x" * 200


def test_an_answer_that_unpacks_to_many_megabytes_is_read_up_to_a_bound(server):
    failure = answer(server, Reply(gzip.compress(b" " * 5_000_000), headers={"Content-Encoding": "gzip"}))
    assert isinstance(failure, NoAnswer)
    assert failure.kind == "too long"


def test_an_endpoint_that_is_not_there_gives_no_answer():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    (failure,) = ask(Endpoint("tiny", **(DEFAULTS | {"base_url": url})), "Well?")
    assert isinstance(failure, NoAnswer)
    assert failure.kind == "connection"
    assert "connection to the endpoint failed (ConnectError), in 1 tries" in str(failure)


@pytest.mark.parametrize("status", [401, 404])
def test_after_an_answer_that_all_would_get_the_rest_is_not_sent(server, status):
    server.script = lambda question, number: Reply(b'{"error": {"message": "no such model"}}', status=status)
    of = endpoint(server)
    failures = ask(of, *map(str, range(50)))
    assert {str(failure) for failure in failures} == {f"the endpoint answered {status}: no such model"}
    assert len(server.questions) == 1
    assert all(isinstance(failure, EndpointUnusable) for failure in failures)
    depths = {len(traceback.extract_tb(failure.__traceback__)) for failure in failures[1:]}  # type: ignore[union-attr]
    assert len(depths) == 1  # errors hold what was in the frames they came through; none holds that of others
    server.script = lambda question, number: completion(TEXT)
    assert ask(of, "Well?") == [TEXT]


# ------------------------------------------------------------------------------------------------------------- retries


@pytest.mark.parametrize(
    "obstacle",
    [
        Reply(status=429, headers={"Retry-After": "0.3"}),
        Reply(status=500, headers={"Retry-After": "0.3"}),
        Reply(status=503, headers={"Retry-After": "0.3"}),
        Reply(completion(TEXT).body, announced=5000, headers={"Retry-After": "0.3"}),
    ],
    ids=["rate limit", "server error", "unavailable", "connection cut within the body"],
)
def test_a_passing_failure_is_tried_again_after_the_time_that_the_endpoint_names(server, obstacle):
    times: list[float] = []

    def script(question: dict[str, Any], number: int) -> Reply:
        times.append(time.monotonic())
        return obstacle if number == 1 else completion(TEXT)

    server.script = script
    of = endpoint(server, max_retries=1)
    assert ask(of, "Well?") == [TEXT]
    assert of.counts()["calls"] == 2
    if obstacle.announced is None:  # else there is no answer to name a time
        assert times[1] - times[0] > 0.29


def test_a_failure_that_stays_is_final_after_the_retries(server):
    server.script = lambda question, number: Reply(status=429, headers={"Retry-After": "0.01"})
    of = endpoint(server, max_retries=3)
    (failure,) = ask(of, "Well?")
    assert isinstance(failure, NoAnswer)
    assert failure.kind == "rate limit"
    assert of.counts() == {"calls": 4}


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        ("300", "it asks to wait 300 s"),
        (formatdate(time.time() + 100_000, usegmt=True), "it asks to wait (99|100)"),
    ],
    ids=["seconds", "date"],
)
def test_a_wait_that_is_too_long_is_told_and_not_cut_short(server, wait, told):
    server.script = lambda question, number: Reply(b"busy", status=429, headers={"Retry-After": wait})
    of = endpoint(server, max_retries=3)
    (failure,) = ask(of, "Well?")
    assert isinstance(failure, NoAnswer)
    assert failure.kind == "rate limit"
    assert re.search(told, str(failure))
    assert "(Retry-After), more than the 120 s that are waited" in str(failure)
    assert of.counts() == {"calls": 1}


@pytest.mark.parametrize("wait", ["", "soon", "-5", "nan", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_wait_that_is_none_is_not_told(server, wait):
    server.script = lambda question, number: Reply(b"busy", status=429, headers={"Retry-After": wait})
    (failure,) = ask(endpoint(server, max_retries=0), "Well?")
    assert "Retry-After" not in str(failure)


# ------------------------------------------------------------------------------------------------------------- the key


def test_the_key_goes_to_the_endpoint_and_nowhere_else(server, caplog):
    caplog.set_level(logging.DEBUG)
    leaking = [
        Reply(json.dumps({"error": {"message": f"wrong key {SECRET}"}}).encode(), status=403),
        Reply(f"Authorization: Bearer {SECRET}".encode()),
        Reply(json.dumps({"choices": [{"finish_reason": SECRET, "message": {}}]}).encode()),
        completion(None, refusal=f"I refuse {SECRET}"),
        completion(f"The key is {SECRET}."),
    ]
    server.script = lambda question, number: leaking[number - 1]
    of = endpoint(server)
    answers = ask(of, *map(str, range(len(leaking))))
    assert server.keys == {f"Bearer {SECRET}"}
    assert ["[key]" in str(found) for found in answers] == [True] * len(leaking)
    assert len(caplog.records) > 10
    told = [repr(answers), repr(of), repr(vars(of)), *map(str, answers)]
    told += [record.getMessage() + repr(vars(record)) for record in caplog.records]
    assert not [text for text in told if SECRET in text]


@pytest.mark.parametrize("before", [190, 199, 1990, 1999])
@pytest.mark.parametrize("status", [200, 400])
def test_no_part_of_the_key_is_told_where_words_are_cut(server, before, status):
    for fill in ("x", " "):
        failure = answer(server, Reply((fill * before + SECRET).encode(), status=status))
        assert SECRET[:5] not in str(failure)
        assert SECRET[-5:] not in str(failure)


def test_a_prompt_that_holds_the_key_gets_its_answer_as_it_is(server):
    assert answer(server, completion(f"It says {SECRET}."), f"Repeat: {SECRET}") == f"It says {SECRET}."


def test_the_key_does_not_follow_to_another_host(server):
    other = Server()
    try:
        other.script = lambda question, number: completion(TEXT)
        elsewhere = f"http://localhost:{other.http.server_port}/v1/chat/completions"
        try:
            answer(server, Reply(status=307, headers={"Location": elsewhere}))
        finally:
            assert f"Bearer {SECRET}" not in other.keys
    finally:
        other.stop()


def test_an_endpoint_without_a_key_does_not_get_that_of_another(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    ask(endpoint(server, api_key_env=None), "Well?")
    assert server.keys == {"Bearer none"}


def test_openais_key_goes_to_openai_alone_unless_it_is_named(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    ask(endpoint(server, api_key_env=AUTO), "Well?")
    assert server.keys == {"Bearer none"}
    ask(endpoint(server, api_key_env="OPENAI_API_KEY"), "Well?")
    assert server.keys == {"Bearer none", f"Bearer {SECRET}"}
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for url in (None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        assert endpoint(server, api_key_env=AUTO, base_url=url)._key() == SECRET
    for url in ("https://openai.com.evil.example/v1", "https://notopenai.com/v1", "http://127.0.0.1:8000/v1"):
        assert endpoint(server, api_key_env=AUTO, base_url=url)._key() == ""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert endpoint(server, api_key_env=AUTO, base_url=None)._key() == ""
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match="variable OPENAI_API_KEY is not set"):
        endpoint(server, api_key_env=AUTO, base_url=None)._key()


def test_a_key_that_is_not_set_is_named(server, monkeypatch):
    of = endpoint(server)
    for value in (None, "", "  \n"):
        monkeypatch.delenv("ENDPOINT_KEY", raising=False)
        if value is not None:
            monkeypatch.setenv("ENDPOINT_KEY", value)
        with pytest.raises(ConfigurationError, match="variable ENDPOINT_KEY is not set; expected the key for 'tiny'"):
            ask(of, "Well?")
    for value in ("sk-a\nb", "sk-a\u2011b", "sk-a\x7f"):
        monkeypatch.setenv("ENDPOINT_KEY", value)
        with pytest.raises(ConfigurationError, match="ENDPOINT_KEY holds characters that no key has") as caught:
            ask(of, "Well?")
        assert "sk-a" not in str(caught.value)
    monkeypatch.setenv("ENDPOINT_KEY", SECRET + "\n")
    assert ask(of, "Well?") == [TEXT]
    assert server.keys == {f"Bearer {SECRET}"}


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": " "}, "model=' '; expected the name"),
        ({"timeout": 0}, "timeout=0; expected seconds"),
        ({"timeout": float("nan")}, "timeout=nan; expected seconds"),
        ({"max_retries": -1}, "max_retries=-1; expected 0 or more"),
        ({"temperature": -0.5}, "temperature=-0.5; expected 0 or more, or None"),
        ({"temperature": float("nan")}, "temperature=nan; expected 0 or more"),
        ({"temperature": float("inf")}, "temperature=inf; expected 0 or more"),
        ({"base_url": "localhost:8000"}, "base_url='localhost:8000'; expected http"),
        ({"base_url": "ftp://host/v1"}, "base_url='ftp://host/v1'; expected http"),
        ({"base_url": "http:///v1"}, "base_url='http:///v1'; expected http"),
        ({"base_url": "http://host:port/v1"}, "base_url='http://host:port/v1'; expected http"),
        ({"base_url": f"http://me:{SECRET}@host/v1"}, "base_url holds a user name or a password"),
        ({"request": {"model": "other"}}, "request names 'model', which is set otherwise"),
        ({"request": {"stream": True}}, "request names 'stream', which is set otherwise"),
        ({"request": {"top_p": float("nan")}}, "is not JSON"),
        ({"request": {"stop": {"a", "b"}}}, "is not JSON"),
        ({"request": {"stop": "\ud83d"}}, "is not JSON"),
    ],
)
def test_settings_out_of_range_are_refused(options, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        Endpoint(**({"model": "m"} | DEFAULTS | options))
    assert SECRET not in str(caught.value)


def test_fields_of_the_request_may_be_any_mapping(server):
    ask(endpoint(server, request=MappingProxyType({"max_tokens": 5})), "Well?")
    assert server.questions[0]["max_tokens"] == 5


def test_the_extra_is_named_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"openai.*rubrics-to-tokens\[judge\]"):
        Endpoint("m", **DEFAULTS)


def test_importing_it_loads_neither_client_nor_tensors():
    code = (
        "import sys, rtt.endpoints, rtt.verifiers.judge; names = ('openai', 'diskcache', 'anyio', 'torch', "
        "'transformers', 'rich'); print([name for name in names if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---------------------------------------------------------------------------------------------------- the model's words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
AROUND = [
    "{}",
    "\n {}\n",
    "```json\n{}\n```",
    "```\n{}\n```",
    "```json \n{}\n\t```\n",
    "<think>Is it 'no'?</think>\n{}",
    "<thinking>Is it 'no'?</thinking>\n{}",
    "<reasoning>No?</reasoning>{}",
    "<seed:think>No?</seed:think>\n\n{}",
    "[THINK]No?[/THINK]{}",
    "\u25c1think\u25b7No?\u25c1/think\u25b7{}",
    "<|START_THINKING|>No?<|END_THINKING|>{}",
    "<|channel|>analysis<|message|>No?<|end|><|start|>assistant<|channel|>final<|message|>{}",
]


@given(JSON, st.booleans(), st.sampled_from([*AROUND, "\n<think>{a}</think>```json\n{}\n```"]))
def test_a_reply_is_read_when_it_is_one_json_value_and_nothing_else(value, ascii_only, around):
    assert json_object(around.replace("{}", json.dumps(value, ensure_ascii=ascii_only))) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "{} {}",
        "{},",
        "Here it is: {}",
        "{}\nThat is all.",
        "```json\n{}\n```\n```json\n{}\n```",
        "```json\n{}\n``` Yes.",
        "Sure:\n```json\n{}\n```",
        "```python\n{}\n```",
        "```json {} ```",
        "`{}`",
        "<think>{}",
        "{}</think>",
        "<think>a</think>b</think>{}",
        "<think>a</thinking>{}",
        "<|channel|>analysis<|message|>{}",
        "Well. <reasoning>a</reasoning>{}",
        '{"a": 1, "a": 1}',
        "{'a': 1}",
        '{"a": 1} // one',
        '{"a": NaN}',
        '{"a": 1',
        "\ufeff{}",
        "9" * 5000,
        "[" * 100_000,
    ],
)
def test_anything_around_a_json_value_makes_it_none(text):
    with pytest.raises(NoAnswer, match="the reply is not JSON: ") as caught:
        json_object(text)
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize("key", ["k" * 500_000, "\\ud83d"], ids=["long", "half a pair"])
def test_what_is_wrong_with_a_reply_is_told_in_a_few_words_of_valid_text(key):
    with pytest.raises(NoAnswer, match="keys repeat") as caught:
        json_object(f'{{"{key}": 1, "{key}": 2}}')
    assert len(str(caught.value).encode()) < 1000


@given(st.text(st.characters(), max_size=30).map(lambda text: text * 40))
def test_words_for_a_person_are_short_and_valid(text):
    assert len(clean(text).encode().decode()) <= 500
    assert len(excerpt(text).encode().decode()) <= 200
    assert "\n" not in excerpt(text)
