"""The annotator: a language model says whether a response meets a criterion, and quotes the characters that decide it.

    (criterion, response)
      │  cached?  ──────────────────────────────────────────────┐
      │  prompt: both as data, between marks that neither holds │
      ▼                                                         │
    Endpoint    one chat completion: bounded in number, time and size; retried by the openai client
      │  JSON, or it is no answer                               │
      ▼                                                         ▼
    Reply       satisfied, quotes, whole_response   ──cache──►  located: every quote exactly, or dropped and counted
                                                                │
                                                                ▼
                                                            Annotation  ->  Example

    the model says    and                                       outcome
    yes               supporting quotes, or whole_response      SATISFIED
    no                violating quotes, or whole_response       VIOLATED
    no                no violating quotes                       VIOLATED, missing; what supports is progress
    cannot tell                                                 UNDETERMINED
    anything else     contradicts itself, quotes what is not    UNDETERMINED, with the reason; never cached
                      there, is cut off, refused, late, ...

A failure is never a verdict: words that only look like "yes" or "no" are not read. The key comes from the environment
when it is used, and is kept nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import re
import sqlite3
import string
import sys
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from rtt.errors import ConfigurationError, DataError, MissingDependencyError, VerifierError
from rtt.json_lines import LineError, decode_text
from rtt.relevance.discriminator.examples import Example, Spans, locate_quote, merged
from rtt.verdicts import Outcome, Scope

MAX_ANSWER_BYTES = 1024 * 1024
"""The longest answer of an endpoint that is read, in bytes after decompression."""

MAX_QUOTES = 500
"""The most supporting, and the most violating quotes that one reply may hold."""

_MAX_REASON = 500  # characters of a reason, or of an endpoint's complaint, that are kept


# ------------------------------------------------------------------------------------------------------- annotations


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the model found for one criterion in one response.

    Attributes:
        outcome: satisfied, violated, or undetermined: the model could not tell, or gave no usable answer.
        support: characters that meet the criterion, or meet it in part. Disjoint from ``violation``.
        violation: characters that break it.
        scope: ``"response"``: the whole response carries the verdict.
        missing: violated because something that is asked for is not there.
        reason: the model's sentence; where there is no usable answer, what happened instead.
        dropped_quotes: quotes that do not occur in the response exactly as they stand, and were left out.
    """

    outcome: Outcome
    support: Spans = ()
    violation: Spans = ()
    scope: Scope = "spans"
    missing: bool = False
    reason: str = ""
    dropped_quotes: int = 0


@dataclass(frozen=True, slots=True)
class AnnotatorReport:
    """What an annotator has done so far. Pairs that are given twice count once.

    Attributes:
        calls: HTTP requests sent, retries included.
        cached: pairs that the cache answered.
        failed: pairs without a usable answer; they are asked again next time.
        undetermined: pairs that came out undetermined: the failed ones, and those where the model could not tell.
        dropped_quotes: quotes that could not be located.
        prompt_tokens, completion_tokens: as the endpoint counted them, unusable answers included.
    """

    calls: int = 0
    cached: int = 0
    failed: int = 0
    undetermined: int = 0
    dropped_quotes: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Annotator:
    """Labels by a language model behind an OpenAI-compatible endpoint.

    >>> annotator = Annotator("gpt-4o-mini", cache=Path("runs/annotations"))  # doctest: +SKIP
    >>> annotator.annotate([("The mail is polite.", "Dear Sir, ...")])  # doctest: +SKIP

    Args:
        model: the model's name, as the endpoint knows it.
        base_url: the endpoint, ``"http://127.0.0.1:8000/v1"``; None: ``OPENAI_BASE_URL``, or OpenAI itself.
        api_key_env: the environment variable that holds the key, read when it is needed; None for an endpoint that
            asks for no key.
        concurrency: how many requests are under way at once, at most.
        timeout: seconds for one try, from the request to the answer's last byte.
        max_retries: further tries after a timeout, a lost connection, a rate limit or a server error; a
            ``Retry-After`` is kept to.
        cache: a folder for the answers, or None. A run that is stopped goes on from there. Keyed by model, temperature,
            prompt, criterion and response, whichever endpoint serves them.
        temperature: the sampling temperature; None leaves it to the endpoint (some models take no other).
        prompt: a prompt file in UTF-8 with the places ``$criterion``, ``$response`` and ``$fence`` (``$$`` is a dollar
            sign); None: the one that comes with the package.

    Raises:
        ConfigurationError: a value is out of range, the URL is none or holds a password, or the prompt lacks a place.
        MissingDependencyError: the ``judge`` extra is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key_env: str | None = "OPENAI_API_KEY",
        concurrency: int = 16,
        timeout: float = 60,
        max_retries: int = 4,
        cache: Path | None = None,
        temperature: float | None = 0,
        prompt: Path | None = None,
    ) -> None:
        if concurrency < 1:
            raise ConfigurationError(f"concurrency={concurrency!r}; expected at least 1")
        self._endpoint = Endpoint(
            model,
            base_url=base_url,
            api_key_env=api_key_env,
            timeout=timeout,
            max_retries=max_retries,
            temperature=temperature,
        )
        self._concurrency = concurrency
        self._cache = _ReplyCache(cache)
        self._template = _template(prompt)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Annotator({self._endpoint.model!r}, base_url={self._endpoint.base_url!r}, cache={self._cache})"

    @property
    def report(self) -> AnnotatorReport:
        """What has been done so far, over all calls."""
        with self._lock:
            return AnnotatorReport(**self._counts, **self._endpoint.counts())

    def annotate(
        self, pairs: Iterable[tuple[str, str]], *, progress: Callable[[int], None] | None = None
    ) -> list[Annotation]:
        """Ask about each (criterion, response) pair; the same pair is asked once.

        Works in a thread of its own, so it may be called whether or not an event loop runs here. After an interrupt
        the requests under way are given up, and what was finished is in the cache. Pairs that the cache answers need
        neither key nor network.

        Args:
            pairs: criterion in words, response; any strings.
            progress: called with the number of pairs that were just finished (``tqdm``'s ``update`` fits), from
                whichever thread finished them.

        Returns:
            One annotation for each pair, in order; undetermined with its reason where there is no usable answer. After
            an answer that every further request would get as well (the key is refused, no such model), the rest are
            not asked.

        Raises:
            ConfigurationError: the environment variable with the key is not set.
            DataError: the cache cannot be read or written.
        """
        asked = list(pairs)
        times = Counter(asked)
        annotations: dict[tuple[str, str], Annotation] = {}

        def finish(pair: tuple[str, str], annotation: Annotation, **counts: bool) -> None:
            annotations[pair] = annotation
            undetermined = annotation.outcome is Outcome.UNDETERMINED
            self._count(undetermined=undetermined, dropped_quotes=annotation.dropped_quotes, **counts)
            if progress is not None:
                progress(times[pair])

        with self._cache.opened() as cache:
            left = []
            for pair in times:
                reply = cache.get(self._key(*pair))
                annotation = None if reply is None else _locate(reply, pair[1])
                if reply is None or annotation is None or not _is_usable(reply, annotation):
                    left.append(pair)
                else:
                    finish(pair, annotation, cached=True)
            if left:
                from anyio.from_thread import start_blocking_portal  # comes with openai

                # An exception here, a KeyboardInterrupt above all, cancels what the portal runs and waits for its end.
                with start_blocking_portal(name="rtt-annotator") as portal:
                    portal.call(self._ask_all, left, cache, finish)
        return [annotations[pair] for pair in asked]

    def examples(
        self, items: Iterable[Example | tuple[str, str]], *, progress: Callable[[int], None] | None = None
    ) -> list[Example]:
        """Examples for training, in order; what came out undetermined is left out (see :attr:`report`).

        Args:
            items: unlabelled examples, whose kind, wording, prompt and rule are kept and whose labels are replaced; or
                (criterion, response) pairs, which become examples of kind ``"judge"``.
            progress: as for :meth:`annotate`.

        Raises:
            ConfigurationError, DataError: as for :meth:`annotate`; DataError: a criterion is blank.
        """
        unlabelled = [
            item if isinstance(item, Example) else Example(*item, Outcome.UNDETERMINED, kind="judge") for item in items
        ]
        found = self.annotate([(item.criterion, item.response) for item in unlabelled], progress=progress)
        return [
            replace(
                item,
                outcome=annotation.outcome,
                support=annotation.support,
                violation=annotation.violation,
                scope=annotation.scope,
                missing=annotation.missing,
                source="annotator",
            )
            for item, annotation in zip(unlabelled, found, strict=True)
            if annotation.outcome is not Outcome.UNDETERMINED
        ]

    async def _ask_all(self, pairs: Sequence[tuple[str, str]], cache: _ReplyCache, finish: Callable[..., None]) -> None:
        waiting = iter(pairs)

        async def work(connection: Connection) -> None:
            for pair in waiting:  # one iterator for all workers: as many requests at once as there are workers
                annotation, usable = await self._ask(connection, cache, *pair)
                finish(pair, annotation, failed=not usable)

        try:
            async with self._endpoint.connected() as connection, asyncio.TaskGroup() as workers:
                for _ in range(min(self._concurrency, len(pairs))):
                    workers.create_task(work(connection))
        except BaseExceptionGroup as failures:  # the cache or the caller's progress; the first one says it
            raise failures.exceptions[0] from None
        finally:
            cache.close()  # this thread's connection to the database

    async def _ask(
        self, connection: Connection, cache: _ReplyCache, criterion: str, response: str
    ) -> tuple[Annotation, bool]:
        try:
            reply = _parse(await connection.ask(self._prompt(criterion, response), "annotation", _SCHEMA))
        except VerifierError as error:
            return Annotation(Outcome.UNDETERMINED, reason=str(error)), False
        annotation = _locate(reply, response)
        if not _is_usable(reply, annotation):
            return annotation, False
        cache.put(self._key(criterion, response), reply)
        return annotation, True

    def _prompt(self, criterion: str, response: str) -> str:
        """The prompt for one pair; the mark between instructions and data occurs in neither."""
        fences = (_digest([number, criterion, response])[:12] for number in itertools.count())
        fence = next(fence for fence in fences if fence not in criterion and fence not in response)
        return self._template.substitute(criterion=criterion, response=response, fence=fence)

    def _key(self, criterion: str, response: str) -> str:
        endpoint = self._endpoint
        return _digest([endpoint.model, endpoint.temperature, self._template.template, criterion, response])

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counts.update({name: int(count) for name, count in counts.items()})


# ---------------------------------------------------------------------------------------------------- what it replies


class _Quote(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    quote: StrictStr
    occurrence: Annotated[StrictInt, Field(ge=1)] | Literal["all"] = "all"


class _Reply(BaseModel):
    """The model's JSON object, read strictly: what does not fit is no answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    satisfied: Literal["yes", "no", "cannot tell"]
    whole_response: StrictBool
    supporting_quotes: Annotated[tuple[_Quote | StrictStr, ...], Field(max_length=MAX_QUOTES)]
    violating_quotes: Annotated[tuple[_Quote | StrictStr, ...], Field(max_length=MAX_QUOTES)]
    reason: StrictStr = ""


_QUOTES_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "quote": {"type": "string"},
            "occurrence": {"anyOf": [{"type": "integer"}, {"type": "string", "enum": ["all"]}]},
        },
        "required": ["quote", "occurrence"],
        "additionalProperties": False,
    },
}

# For the endpoint's constrained decoding: the reason and the quotes first, so that the verdict follows from them.
_SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "supporting_quotes": _QUOTES_SCHEMA,
        "violating_quotes": _QUOTES_SCHEMA,
        "whole_response": {"type": "boolean"},
        "satisfied": {"type": "string", "enum": ["yes", "no", "cannot tell"]},
    },
    "required": ["reason", "supporting_quotes", "violating_quotes", "whole_response", "satisfied"],
    "additionalProperties": False,
}

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_CODE_FENCE = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n[ \t]*```\Z", re.DOTALL)


def _parse(text: str) -> _Reply:
    """The reply that ``text`` is: one JSON object, alone or as the only code block, after a block of thoughts if any.

    Raises:
        VerifierError: the text is anything else. Nothing is looked for inside of it.
    """
    bare = _THOUGHTS.sub("", text).strip()
    if block := _CODE_FENCE.match(bare):
        bare = block[1]
    try:
        return _Reply.model_validate(decode_text(bare))
    except LineError as error:
        raise VerifierError(f"the reply is not JSON: {error}; it begins {_excerpt(text)!r}") from None
    except ValidationError as error:
        raise VerifierError(f"the reply does not fit: {_first_problem(error)}; it begins {_excerpt(text)!r}") from None


def _locate(reply: _Reply, response: str) -> Annotation:
    """What the reply means for this response: its quotes as characters, undetermined where the two do not agree."""
    reason = _clean(reply.reason)
    if reply.satisfied == "cannot tell":
        return Annotation(Outcome.UNDETERMINED, reason=f"the model cannot tell: {reason}")
    support, lost_support = _spans(reply.supporting_quotes, response)
    violation, lost_violation = _spans(reply.violating_quotes, response)
    support = _without(support, violation)  # a word that breaks the criterion within a sentence that meets it
    dropped = lost_support + lost_violation
    satisfied = reply.satisfied == "yes"
    deciding, claimed = (support, reply.supporting_quotes) if satisfied else (violation, reply.violating_quotes)

    problem = ""
    if satisfied and reply.violating_quotes and not reply.supporting_quotes:
        problem = "the reply contradicts itself: 'yes', and only violating quotes"
    elif satisfied and not claimed and not reply.whole_response:
        problem = "the reply says 'yes' and shows nothing: no quote, and not the whole response"
    elif claimed and not deciding and not reply.whole_response:
        lost = lost_support if satisfied else lost_violation
        problem = (
            f"the reply says {reply.satisfied!r} for {len(claimed)} quotes, none of which is in the response exactly so"
            if lost == len(claimed)
            else "the reply contradicts itself: 'yes', and all that supports it is quoted as violating"
        )
    if problem:
        return Annotation(Outcome.UNDETERMINED, reason=problem, dropped_quotes=dropped)
    return Annotation(
        Outcome.SATISFIED if satisfied else Outcome.VIOLATED,
        support,
        violation,
        scope="response" if reply.whole_response else "spans",
        missing=not satisfied and not claimed and not reply.whole_response,
        reason=reason,
        dropped_quotes=dropped,
    )


def _is_usable(reply: _Reply, annotation: Annotation) -> bool:
    return annotation.outcome is not Outcome.UNDETERMINED or reply.satisfied == "cannot tell"


def _spans(quotes: Sequence[_Quote | str], response: str) -> tuple[Spans, int]:
    """The characters that are quoted, and how many quotes are not there."""
    found: list[tuple[int, int]] = []
    dropped = 0
    for quote in quotes:
        wanted = _Quote(quote=quote) if isinstance(quote, str) else quote
        places = locate_quote(response, wanted.quote)
        if wanted.occurrence != "all":
            places = places[wanted.occurrence - 1 : wanted.occurrence]
        dropped += not places
        found += places
    return merged(tuple(found)), dropped


def _without(spans: Spans, others: Spans) -> Spans:
    """The characters of ``spans`` that are not in ``others``; both sorted and disjoint, as is the result."""
    left: list[tuple[int, int]] = []
    for start, end in spans:
        for other_start, other_end in others:
            if other_end <= start or end <= other_start:
                continue
            if start < other_start:
                left.append((start, other_start))
            start = other_end
        if start < end:
            left.append((start, end))
    return tuple(left)


# --------------------------------------------------------------------------------------------------------- the prompt


def _template(path: Path | None) -> string.Template:
    if path is None:
        text = resources.files("rtt.relevance.discriminator").joinpath("prompts/annotate.txt").read_text("utf-8")
    else:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"prompt {path}: cannot be read: {error}; expected a text file in UTF-8") from None
    template = string.Template(text)
    expected = {"criterion", "response", "fence"}
    if not template.is_valid() or set(template.get_identifiers()) != expected:
        raise ConfigurationError(
            f"prompt {path}: has the places {sorted(template.get_identifiers())}; expected $criterion, $response and "
            "$fence (the mark that keeps data and instructions apart), and $$ for a dollar sign"
        )
    return template


# ---------------------------------------------------------------------------------------------------------- the cache


class _ReplyCache:
    """Usable replies by their key, in a folder; JSON only, never evicted. Without a folder it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._store: Any = None

    def __str__(self) -> str:
        return repr(None if self._folder is None else str(self._folder))

    @contextmanager
    def opened(self) -> Iterator[_ReplyCache]:
        if self._folder is None:
            yield self
            return
        opened = _ReplyCache(self._folder)
        with self._explained():
            opened._store = _open_store(self._folder)
        try:
            yield opened
        finally:
            opened.close()

    def get(self, key: str) -> _Reply | None:
        """The reply, or None: it is not there, or is damaged and will be asked for again."""
        if self._store is None:
            return None
        try:
            with self._explained():
                found = self._store.get(key)
            return None if found is None else _Reply.model_validate(found)
        except (zlib.error, TypeError, ValueError):
            return None

    def put(self, key: str, reply: _Reply) -> None:
        if self._store is not None:
            with self._explained():
                self._store.set(key, reply.model_dump(mode="json"), retry=True)

    def close(self) -> None:
        """Close the database for the calling thread."""
        if self._store is not None:
            self._store.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                f"cache {self._folder}: cannot be used: {error}; expected a folder of an earlier run, or a new one "
                "that can be written"
            ) from error


def _open_store(folder: Path) -> Any:
    try:
        from diskcache import Cache, JSONDisk
        from diskcache.core import MODE_PICKLE
    except ImportError as error:
        raise _missing(error, "the annotator's cache") from error

    class JSONOnly(JSONDisk):  # type: ignore[misc, unused-ignore]
        """JSON, also where the folder comes from elsewhere: an entry that is marked as a pickle is damage."""

        def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
            if mode == MODE_PICKLE:
                raise ValueError("an entry is a pickle; expected JSON")
            return super().fetch(mode, filename, value, read)

    return Cache(str(folder), disk=JSONOnly, eviction_policy="none")


# ------------------------------------------------------------------------------------------------------- the endpoint


class EndpointUnusable(VerifierError):
    """The endpoint will answer no request of this kind: it refuses the key, or does not know the model."""


class Endpoint:
    """A model behind an OpenAI-compatible endpoint. It knows where the key is to be found, and never keeps it.

    Args:
        model, base_url, api_key_env, timeout, max_retries, temperature: as for :class:`Annotator`.

    Raises:
        ConfigurationError: a value is out of range, or the URL is none or holds a password.
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
    ) -> None:
        if not model.strip():
            raise ConfigurationError(f"model={model!r}; expected the name of a model")
        if not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r}; expected seconds, more than 0")
        if max_retries < 0:
            raise ConfigurationError(f"max_retries={max_retries!r}; expected 0 or more")
        if base_url is not None:
            _check_url(base_url)
        _openai()  # now, and not after an hour of other work
        self.model = model
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.timeout = timeout
        self.max_retries = max_retries
        self.temperature = None if temperature is None else float(temperature)  # 0 and 0.0: one key of the cache
        self.structured = True  # until the endpoint refuses a response_format
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
    async def connected(self) -> AsyncIterator[Connection]:
        """One pool of connections, for the event loop that runs.

        Raises:
            ConfigurationError: the environment variable with the key is not set, or holds no key.
        """
        openai, key = _openai(), self._key()
        async with openai.AsyncOpenAI(
            api_key=key or "none",  # else the client looks for a key by itself, and would send it to any base_url
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=self.max_retries,
            http_client=_bounded_client(openai, self),
        ) as client:
            yield Connection(self, client, key)

    def _key(self) -> str:
        if self.api_key_env is None:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise ConfigurationError(
                f"the environment variable {self.api_key_env} is not set; expected the key for {self.model!r} in it, "
                "or api_key_env=None for an endpoint that asks for no key"
            )
        if not (key.isascii() and key.isprintable()):
            raise ConfigurationError(
                f"the environment variable {self.api_key_env} holds characters that no key has; expected printable "
                "ASCII without line ends"
            )
        return key


class Connection:
    """An open :class:`Endpoint`: asks one question at a time for each caller."""

    def __init__(self, endpoint: Endpoint, client: Any, key: str) -> None:
        self._endpoint = endpoint
        self._client = client
        self._key = key
        self._unusable: EndpointUnusable | None = None

    async def ask(self, prompt: str, name: str, schema: Mapping[str, Any]) -> str:
        """The model's text for ``prompt``, complete: as JSON of this ``schema`` where the endpoint can do that.

        Raises:
            EndpointUnusable: no further request will be answered; none is sent any more.
            VerifierError: there is no whole answer: refused, empty, cut off, malformed, too long, late, or an error of
                the endpoint that retries did not mend. The message says which.
        """
        if self._unusable is not None:
            raise self._unusable
        if not _is_unicode(prompt):
            raise VerifierError("the text holds half a surrogate pair; expected valid Unicode")
        text = self._text(await self._complete(prompt, name, schema))
        return text if self._key in prompt else self._without_key(text)

    async def _complete(self, prompt: str, name: str, schema: Mapping[str, Any]) -> bytes:
        """The body of the chat completion."""
        openai, endpoint = _openai(), self._endpoint
        try:
            if endpoint.structured:
                try:
                    return await self._request(prompt, _response_format(name, schema))
                except openai.APIStatusError as error:
                    if not _refuses_format(error):
                        raise
                    endpoint.structured = False
            return await self._request(prompt)
        except openai.APITimeoutError:
            raise VerifierError(
                f"the endpoint gave no answer within {endpoint.timeout:g} s, in {endpoint.max_retries + 1} tries"
            ) from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise VerifierError(
                f"the connection to the endpoint failed ({cause}), in {endpoint.max_retries + 1} tries"
            ) from None
        except openai.APIStatusError as error:
            kind = EndpointUnusable if error.status_code in (401, 404) else VerifierError
            complaint = _excerpt(_complaint(error))
            failure = kind(f"the endpoint answered {error.status_code}: {self._without_key(complaint)}")
            if isinstance(failure, EndpointUnusable):
                self._unusable = failure
            raise failure from None
        except openai.OpenAIError as error:
            raise VerifierError(f"the request failed: {self._without_key(_excerpt(str(error)))}") from None

    async def _request(self, prompt: str, format_: Mapping[str, Any] | None = None) -> bytes:
        options: dict[str, Any] = {} if format_ is None else {"response_format": format_}
        if self._endpoint.temperature is not None:
            options["temperature"] = self._endpoint.temperature
        answer = await self._client.chat.completions.with_raw_response.create(
            model=self._endpoint.model, messages=[{"role": "user", "content": prompt}], **options
        )
        body: bytes = answer.http_response.content
        if len(body) > MAX_ANSWER_BYTES:
            raise VerifierError(f"the endpoint's answer is longer than {MAX_ANSWER_BYTES:,} bytes")
        return body

    def _text(self, body: bytes) -> str:
        """The text of a chat completion that came to its end."""
        try:
            completion = _Completion.model_validate_json(body)
        except ValidationError as error:
            begin = self._without_key(_excerpt(body[: 4 * _MAX_REASON].decode(errors="replace")))
            raise VerifierError(
                f"the endpoint's answer is no chat completion: {_first_problem(error)}; it begins {begin!r}"
            ) from None
        if completion.usage is not None:
            self._endpoint.count(
                prompt_tokens=completion.usage.prompt_tokens, completion_tokens=completion.usage.completion_tokens
            )
        choice = completion.choices[0]
        if choice.message.refusal:
            raise VerifierError(f"the model refused: {self._without_key(_excerpt(choice.message.refusal))}")
        if choice.finish_reason == "content_filter":
            raise VerifierError("the endpoint's content filter withheld the reply")
        if choice.finish_reason == "length":
            raise VerifierError("the reply was cut off at the model's limit of tokens (finish_reason 'length')")
        if not (choice.message.content or "").strip():
            raise VerifierError(f"the reply is empty (finish_reason {choice.finish_reason!r})")
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


def _response_format(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _complaint(error: Any) -> str:
    """What the endpoint says of an error, without the wrapping of this or that release of ``openai``."""
    body = error.body
    return str(body.get("message") or body) if isinstance(body, Mapping) else str(body or error.message)


def _refuses_format(error: Any) -> bool:
    complaint = f"{error.message} {error.body}".lower()
    return error.status_code in (400, 422) and any(
        word in complaint for word in ("response_format", "json_schema", "structured output")
    )


def _bounded_client(openai: Any, endpoint: Endpoint) -> Any:
    """The HTTP client of ``openai``, whose answers end: as a whole within the time limit, and soon after
    ``MAX_ANSWER_BYTES``. By itself it waits that long for each chunk of an answer, and reads answers of any size.
    """
    # httpx or httpx2, whichever this release of openai is built on
    http = sys.modules[openai.DefaultAsyncHttpxClient.__base__.__module__]

    class BoundedClient(openai.DefaultAsyncHttpxClient):  # type: ignore[misc, name-defined, unused-ignore]
        async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            endpoint.count(calls=1)
            content = bytearray()
            try:
                async with asyncio.timeout(endpoint.timeout):
                    response = await super().send(request, stream=True, **options)
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
            return http.Response(response.status_code, headers=headers, content=bytes(content), request=request)

    return BoundedClient(timeout=endpoint.timeout)


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


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise _missing(error, "the annotator") from error
    return openai


def _missing(error: ImportError, what: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"{what} needs {error.name or 'a library'}, which is not installed; "
        "install the extra: pip install 'rubrics-to-tokens[judge]'"
    )


# -------------------------------------------------------------------------------------------------------------- texts


def _digest(values: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _clean(text: str) -> str:
    """At most a few sentences, in valid Unicode."""
    return text.strip()[:_MAX_REASON].encode(errors="replace").decode()


def _excerpt(text: str) -> str:
    """A text's beginning, on one line."""
    return " ".join(_clean(text)[:200].split())


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in problem['loc']) or 'it'}: {problem['msg']}"
