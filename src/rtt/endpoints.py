"""Endpoints: a language model behind an OpenAI-compatible server, whose answers are whole or are none.

    prompt, schema
      │
      ▼
    Connection.ask      one chat completion: bounded in time and size, retried by the openai client
      │
      ├── the model's text, complete        ── json_object ──>  the one JSON value that it is
      └── NoAnswer: refused, empty, truncated, filtered, malformed, too long, timeout, connection, rate limit,
          server error, request, unusable

A failure is never an answer, and a text that only looks like JSON is not read. The key comes from the environment when
it is used, and is kept nowhere: no message, log or answer holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, StrictStr, ValidationError

from rtt.errors import ConfigurationError, MissingDependencyError, VerifierError
from rtt.json_lines import LineError, decode_text

MAX_ANSWER_BYTES = 1024 * 1024
"""The longest answer of an endpoint that is read, in bytes after decompression."""

MAX_RETRY_AFTER = 120
"""The longest ``Retry-After`` that is waited for, in seconds; the client's own limit, in its releases of today."""

AUTO = "auto"
"""In place of the name of a variable: ``OPENAI_API_KEY`` for OpenAI's own servers, and no key for any other."""

_OPENAI_KEY = "OPENAI_API_KEY"
_OPENAI_HOST = "openai.com"

_PER_POOL = 8  # connections; for each request a pool looks at all that it holds

_FINAL = (401, 404)  # what every further request would be answered: the key is refused, there is no such model

_MAX_WORDS = 500  # characters of an endpoint's complaint, or of a model's reason, that are kept


class NoAnswer(VerifierError):
    """There is no usable answer.

    Attributes:
        kind: why, in a word or two, to count by: ``"refused"``, ``"empty"``, ``"truncated"``, ``"malformed"``, ...
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class EndpointUnusable(NoAnswer):
    """The endpoint will answer no request of this kind: it refuses the key, or does not know the model."""

    def __init__(self, message: str) -> None:
        super().__init__("unusable", message)


_Exchange = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and content of an answer."""


class Endpoint:
    """A model behind an OpenAI-compatible endpoint. It knows where the key is to be found, and never keeps it.

    Args:
        model: the model's name, as the endpoint knows it.
        base_url: the endpoint, ``"http://127.0.0.1:8000/v1"``; None: ``OPENAI_BASE_URL``, or OpenAI itself.
        api_key_env: the environment variable that holds the key, read when it is needed; None for an endpoint that
            asks for no key; :data:`AUTO`: OpenAI's key for OpenAI alone, so that it reaches no other server unasked.
        timeout: seconds for one try, from the request to the answer's last byte.
        max_retries: further tries after a timeout, a lost connection, a rate limit or a server error; a
            ``Retry-After`` is kept to, up to :data:`MAX_RETRY_AFTER` seconds. A longer one ends the tries, and the
            failure says how long.
        temperature: the sampling temperature; None leaves it to the endpoint (some models take no other).
        request: further fields of each request, such as ``{"max_tokens": 512}``: JSON by name.

    Raises:
        ConfigurationError: a value is out of range, the URL is none or holds a password, or ``request`` names a field
            that is set otherwise.
        MissingDependencyError: the ``judge`` extra is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None,
        api_key_env: str | None,
        timeout: float,
        max_retries: int,
        temperature: float | None,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        if not model.strip():
            raise ConfigurationError(f"model={model!r}; expected the name of a model")
        if not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r}; expected seconds, more than 0")
        if max_retries < 0:
            raise ConfigurationError(f"max_retries={max_retries!r}; expected 0 or more")
        if base_url is not None:
            _check_url(base_url)
        if temperature is not None and not 0 <= temperature < math.inf:
            raise ConfigurationError(f"temperature={temperature!r}; expected 0 or more, or None for the endpoint's own")
        self.request = dict(request or {})
        _check_request(self.request)
        _openai()  # now, and not after an hour of other work
        self.model = model
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.timeout = timeout
        self.max_retries = max_retries
        self.temperature = None if temperature is None else float(temperature)  # 0 and 0.0: one key of a cache
        self.format = 0  # the first of FORMATS that the endpoint has not refused
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def counts(self) -> Mapping[str, int]:
        """Requests sent (``calls``) and tokens used (``prompt_tokens``, ``completion_tokens``) so far."""
        with self._lock:
            return dict(self._counts)

    def count(self, **counts: int) -> None:
        """Add to :meth:`counts`."""
        with self._lock:
            self._counts.update(counts)

    @asynccontextmanager
    async def connected(self, concurrency: int | None = None) -> AsyncIterator[Connection]:
        """The connections, for the event loop that runs.

        Args:
            concurrency: how many requests are under way at once, at most; None leaves it to the callers. Others may
                be prepared, or their answers read, meanwhile.

        Raises:
            ConfigurationError: the environment variable with the key is not set, or holds no key.
        """
        openai, key = _openai(), self._key()
        refusals: list[_Exchange] = []
        async with openai.AsyncOpenAI(
            api_key=key or "none",  # else the client looks for a key by itself, and would send it to any base_url
            base_url=self.base_url,
            timeout=None,  # the HTTP client keeps it
            max_retries=self.max_retries,
            http_client=_bounded_client(openai, self, concurrency, refusals),
        ) as client:
            yield Connection(self, client, key, refusals)

    def check_key(self) -> None:
        """See that the key is there, before other work is done that will need it.

        Raises:
            ConfigurationError: the environment variable with the key is not set, or holds no key.
        """
        self._key()

    def _key(self) -> str:
        name = self.api_key_env
        if name == AUTO:
            name = _OPENAI_KEY if self._is_openai() else None
        if name is None:
            return ""
        key = os.environ.get(name, "").strip()
        if not key:
            raise ConfigurationError(
                f"the environment variable {name} is not set; expected the key for {self.model!r} in it, "
                "or no name at all for an endpoint that asks for no key"
            )
        if not (key.isascii() and key.isprintable()):
            raise ConfigurationError(
                f"the environment variable {name} holds characters that no key has; expected printable "
                "ASCII without line ends"
            )
        return key

    def _is_openai(self) -> bool:
        url = self.base_url or os.environ.get("OPENAI_BASE_URL")
        host = (urlsplit(url).hostname or "") if url else _OPENAI_HOST
        return host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")


class Connection:
    """An open :class:`Endpoint`: asks one question at a time for each caller."""

    def __init__(self, endpoint: Endpoint, client: Any, key: str, refusals: list[_Exchange]) -> None:
        self._endpoint = endpoint
        self._client = client
        self._key = key
        self._refusals = refusals  # the client's: what it gives those who wait after a final one
        self._unusable: str | None = None  # what the endpoint said

    def retry(self) -> None:
        """Forget that the endpoint was unusable: it may have been mended since."""
        self._unusable = None
        self._refusals.clear()

    async def ask(self, prompt: str, name: str, schema: Mapping[str, Any]) -> str:
        """The model's text for ``prompt``, complete: as JSON of this ``schema`` where the endpoint can do that.

        Raises:
            EndpointUnusable: no further request will be answered; none is sent any more.
            NoAnswer: there is no whole answer: refused, empty, cut off, malformed, too long, late, or an error of the
                endpoint that retries did not mend. Its kind and its message say which.
        """
        if self._unusable is not None:
            raise EndpointUnusable(self._unusable)  # a new one: each raise adds to an error's traceback
        if not _is_unicode(prompt):
            raise NoAnswer("request", "the text holds half a surrogate pair; expected valid Unicode")
        text = self._text(await self._complete(prompt, name, schema))
        return text if self._key in prompt else self._without_key(text)

    async def chat(
        self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, seed: int | None = None
    ) -> tuple[str, bool]:
        """The model's answer to a conversation, and whether it ended by itself rather than at the limit of tokens.

        A refusal is an answer here, an empty one too. ``max_tokens`` gives way to what the endpoint's ``request`` says.

        Raises:
            EndpointUnusable: no further request will be answered; none is sent any more.
            NoAnswer: there is none; its kind and its message say why.
        """
        if self._unusable is not None:
            raise EndpointUnusable(self._unusable)
        if not all(_is_unicode(message["content"]) for message in messages):
            raise NoAnswer("request", "the conversation holds half a surrogate pair; expected valid Unicode")
        fields: dict[str, Any] = {"messages": list(messages)}
        if not {"max_tokens", "max_completion_tokens"} & self._endpoint.request.keys():
            fields["max_tokens"] = max_tokens
        if seed is not None:
            fields["seed"] = seed
        with self._told():
            body = await self._post(fields)
        choice = self._choice(body)
        if choice.finish_reason == "content_filter":
            raise NoAnswer("filtered", "the endpoint's content filter withheld the reply")
        text = choice.message.content or choice.message.refusal or ""
        asked = any(self._key in message["content"] for message in messages)
        return text if asked else self._without_key(text), choice.finish_reason != "length"

    async def _complete(self, prompt: str, name: str, schema: Mapping[str, Any]) -> bytes:
        """The body of the chat completion."""
        openai, endpoint = _openai(), self._endpoint
        fields: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]}
        with self._told():
            for tried in range(endpoint.format, len(FORMATS)):
                try:
                    return await self._post({**fields, "response_format": FORMATS[tried](name, schema)})
                except openai.APIStatusError as error:
                    if not _refuses_format(error):
                        raise
                    endpoint.format = max(endpoint.format, tried + 1)  # for this and all that follow
            return await self._post(fields)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The client's errors as failures that say what happened."""
        openai, endpoint = _openai(), self._endpoint
        try:
            yield
        except openai.APITimeoutError:
            raise NoAnswer(
                "timeout",
                f"the endpoint gave no answer within {endpoint.timeout:g} s, in {endpoint.max_retries + 1} tries",
            ) from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise NoAnswer(
                "connection", f"the connection to the endpoint failed ({cause}), in {endpoint.max_retries + 1} tries"
            ) from None
        except openai.APIStatusError as error:
            status = error.status_code
            words = f"the endpoint answered {status}: {excerpt(self._without_key(_complaint(error)))}"
            if (wait := _retry_after(error.response.headers)) > MAX_RETRY_AFTER:
                words += (
                    f"; it asks to wait {wait:.0f} s (Retry-After), more than the {MAX_RETRY_AFTER} s that are waited"
                )
            if status in _FINAL:
                self._unusable = words
                raise EndpointUnusable(words) from None
            kind = "rate limit" if status == 429 else "server error" if status >= 500 else "request"
            raise NoAnswer(kind, words) from None
        except openai.OpenAIError as error:
            raise NoAnswer("request", f"the request failed: {excerpt(self._without_key(str(error)))}") from None

    async def _post(self, fields: Mapping[str, Any]) -> bytes:
        endpoint = self._endpoint
        request = {"model": endpoint.model, **fields, **endpoint.request}
        if endpoint.temperature is not None:
            request["temperature"] = endpoint.temperature
        # not chat.completions.create: it walks through the whole schema each time, a third of what a request costs
        answer = await self._client.post("/chat/completions", cast_to=_http(_openai()).Response, body=request)
        body: bytes = answer.content
        if len(body) > MAX_ANSWER_BYTES:
            raise NoAnswer("too long", f"the endpoint's answer is longer than {MAX_ANSWER_BYTES:,} bytes")
        return body

    def _choice(self, body: bytes) -> _Choice:
        """What a chat completion says; its tokens are counted."""
        try:
            completion = _Completion.model_validate_json(body)
        except ValidationError as error:
            begin = excerpt(self._without_key(body.decode(errors="replace")))
            raise NoAnswer(
                "malformed", f"the endpoint's answer is no chat completion: {first_problem(error)}; it begins {begin!r}"
            ) from None
        if completion.usage is not None:
            self._endpoint.count(
                prompt_tokens=completion.usage.prompt_tokens, completion_tokens=completion.usage.completion_tokens
            )
        return completion.choices[0]

    def _text(self, body: bytes) -> str:
        """The text of a chat completion that came to its end."""
        choice = self._choice(body)
        if choice.message.refusal:
            raise NoAnswer("refused", f"the model refused: {excerpt(self._without_key(choice.message.refusal))}")
        if choice.finish_reason == "content_filter":
            raise NoAnswer("filtered", "the endpoint's content filter withheld the reply")
        if choice.finish_reason == "length":
            raise NoAnswer("truncated", "the reply was cut off at the model's limit of tokens (finish_reason 'length')")
        if not (choice.message.content or "").strip():
            end = excerpt(self._without_key(choice.finish_reason or "none"))
            raise NoAnswer("empty", f"the reply is empty (finish_reason {end!r})")
        return choice.message.content or ""

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


class _Message(BaseModel):
    content: StrictStr | None = None
    refusal: StrictStr | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: StrictStr | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """What is read of a chat completion; endpoints add keys of their own."""

    choices: Annotated[tuple[_Choice, ...], Field(min_length=1)]
    usage: _Usage | None = None


def _json_schema(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _json_object(_: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_object", "schema": schema}


FORMATS: tuple[Callable[[str, Mapping[str, Any]], dict[str, Any]], ...] = (_json_schema, _json_object)
"""The ways to ask for JSON of a schema: OpenAI's (vLLM, SGLang, Ollama, llama.cpp), and the one of llama-cpp-python. An
endpoint that refuses both is asked without."""


def _complaint(error: Any) -> str:
    """What the endpoint says of an error, without the wrapping of this or that release of ``openai``."""
    body = error.body
    return str(body.get("message") or body) if isinstance(body, Mapping) else str(body or error.message)


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that an answer asks to wait, a number or a date in ``Retry-After``; 0 where it does not."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _refuses_format(error: Any) -> bool:
    complaint = f"{error.message} {error.body}".lower()
    # 500 as well: a server that validates what it is sent only after it has said that it will answer
    return error.status_code in (400, 422, 500) and any(
        word in complaint for word in ("response_format", "json_schema", "structured output")
    )


def _bounded_client(openai: Any, endpoint: Endpoint, concurrency: int | None, refusals: list[_Exchange]) -> Any:
    """The HTTP client of ``openai``, whose answers end: as a whole within the time limit, and soon after
    ``MAX_ANSWER_BYTES``. By itself it waits that long for each chunk of an answer, and reads answers of any size.

    No more than ``concurrency`` requests are under way. They are spread over several pools of connections, which saves
    a sixth of what a request costs at 64 at once. After a final refusal, who waits for a turn gets the same.
    """
    http = _http(openai)
    turns = contextlib.nullcontext() if concurrency is None else asyncio.Semaphore(concurrency)
    pools: list[Any] = []
    under_way: list[int] = []  # requests in each pool

    def client(kind: Any) -> Any:
        return kind(timeout=None, verify=_certificates(http))

    @contextlib.contextmanager
    def pool() -> Iterator[Any]:
        place = next((place for place, count in enumerate(under_way) if count < _PER_POOL), len(pools))
        if place == len(pools):
            pools.append(client(openai.DefaultAsyncHttpxClient))
            under_way.append(0)
        under_way[place] += 1
        try:
            yield pools[place]
        finally:
            under_way[place] -= 1

    async def exchange(request: Any, options: Mapping[str, Any]) -> _Exchange:
        endpoint.count(calls=1)
        content = bytearray()
        try:
            with pool() as chosen:
                async with asyncio.timeout(endpoint.timeout):
                    response = await chosen.send(request, stream=True, **options)
                    try:
                        async for chunk in response.aiter_bytes():
                            content += chunk
                            if len(content) > MAX_ANSWER_BYTES:
                                break
                    finally:
                        await response.aclose()
        except TimeoutError:
            raise http.ReadTimeout("the answer is not complete in time", request=request) from None
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        if _retry_after(response.headers) > MAX_RETRY_AFTER:  # some releases of the client would ask again in a second
            headers = [("x-should-retry", "false"), *(pair for pair in headers if pair[0].lower() != "x-should-retry")]
        return response.status_code, headers, bytes(content)

    class BoundedClient(openai.DefaultAsyncHttpxClient):  # type: ignore[misc, name-defined, unused-ignore]
        async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            async with turns:
                status, headers, content = refusals[0] if refusals else await exchange(request, options)
            if status in _FINAL and not refusals:
                refusals.append((status, headers, content))
            return http.Response(status, headers=headers, content=content, request=request)

        async def aclose(self) -> None:
            for one in pools:
                await one.aclose()
            await super().aclose()

    return client(BoundedClient)


def _http(openai: Any) -> Any:
    """httpx or httpx2, whichever this release of openai is built on."""
    return sys.modules[openai.DefaultAsyncHttpxClient.__base__.__module__]


@functools.cache
def _certificates(http: Any) -> Any:
    """Whom https trusts, as the client would by itself: read once, which takes longer than many an answer."""
    return http.create_ssl_context()


def _check_url(url: str) -> None:
    if "@" in url:
        raise ConfigurationError("base_url holds a user name or a password; expected a key in the environment only")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"base_url={url!r}; expected http(s)://host[:port]/path, usually ending in /v1")


_OWN_FIELDS = ("model", "messages", "response_format", "temperature", "stream")


def _check_request(request: Mapping[str, Any]) -> None:
    for name in request:
        if name in _OWN_FIELDS:
            raise ConfigurationError(
                f"request names {name!r}, which is set otherwise; expected fields beside {_OWN_FIELDS}"
            )
    try:
        json.dumps(request, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"request={request!r} is not JSON: {error}") from error


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise missing_extra(error, "a judge") from error
    return openai


def missing_extra(error: ImportError, what: str) -> MissingDependencyError:
    """What to say where a library of the ``judge`` extra is not installed."""
    return MissingDependencyError(
        f"{what} needs {error.name or 'a library'}, which is not installed; "
        "install the extra: pip install 'rubrics-to-tokens[judge]'"
    )


# --------------------------------------------------------------------------------------------------- the model's words

_THOUGHTS = re.compile(
    r"\A\s*(?:"
    r"<(?P<mark>think|thinking|thought|reasoning|seed:think)>.*?</(?P=mark)>"  # Qwen, DeepSeek; Seed-OSS
    r"|\[THINK\].*?\[/THINK\]"  # Magistral
    r"|\u25c1think\u25b7.*?\u25c1/think\u25b7"  # Kimi
    r"|<\|START_THINKING\|>.*?<\|END_THINKING\|>"  # Command A
    r"|<\|channel\|>analysis<\|message\|>.*?<\|end\|><\|start\|>assistant<\|channel\|>final<\|message\|>"  # gpt-oss
    r")",
    re.DOTALL,
)
"""A block of thoughts, closed, before anything else: what servers without a parser of reasoning leave there."""

_CODE_FENCE = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n[ \t]*```\Z", re.DOTALL)


def json_object(text: str) -> object:
    """The JSON value that a reply is, alone or as the only code block, after a block of thoughts if any.

    Raises:
        NoAnswer: the text is anything else; "malformed". Nothing is looked for inside of it.
    """
    bare = _THOUGHTS.sub("", text).strip()
    if block := _CODE_FENCE.match(bare):
        bare = block[1]
    try:
        return decode_text(bare)
    except LineError as error:
        raise NoAnswer(
            "malformed", f"the reply is not JSON: {clean(str(error))}; it begins {excerpt(text)!r}"
        ) from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean(text: str) -> str:
    """A model's words for a person: at most a few sentences, in valid Unicode."""
    return text.strip()[:_MAX_WORDS].encode(errors="replace").decode()


def excerpt(text: str) -> str:
    """A text's beginning, on one line."""
    return " ".join(clean(text)[:200].split())


def first_problem(error: ValidationError) -> str:
    """The first thing that does not fit, and where."""
    problem = error.errors(include_url=False, include_input=False)[0]
    return clean(f"{'.'.join(excerpt(str(part)) for part in problem['loc']) or 'it'}: {problem['msg']}")
