"""The judge: a language model decides the criteria that no rule can, and quotes the words that make it so.

    Question (task, response, criteria)
      │  in the cache?  ────────────────────────────────────────────────┐
      │  prompts.py: everything from elsewhere between marks            │
      ▼                                                                 │
    Connection.ask      all criteria of a response at once, or as many as criteria_per_call says
      │  replies.py: one JSON object, or it is no answer                │
      ▼                                                                 ▼
    Entry ─────────────────────────────────────────────────────────  Finding: every quote where it stands, or dropped
      │                                                                 │
      └─ unusable: asked again, attempts times in all                   ▼
         then undetermined and failed, with the reason; never cached   Verdict, source "judge:model"

A failure is never a verdict. The same question is asked once, by however many threads, and with ``shared`` by however
many processes. All requests go through one event loop of the judge's own, in a thread that lives while something is
asked: who calls may have an event loop or none, and no other loop is held up.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from rtt.endpoints import Connection, Endpoint, NoAnswer
from rtt.errors import ConfigurationError
from rtt.json_lines import LineError, decode_text
from rtt.verdicts import Outcome, Verdict
from rtt.verifiers import Question
from rtt.verifiers.judge.cache import AnswerCache, OpenCache
from rtt.verifiers.judge.prompts import Exhibit, Template, exhibit
from rtt.verifiers.judge.replies import Entry, Finding, locate, read_reply, schema

if TYPE_CHECKING:
    from rtt.rubrics import Criterion, Task

__all__ = ["Judge", "JudgeReport"]

CLAIM_SECONDS = 30.0
"""How long other processes wait for one that said it is asking, and then died."""


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge has done. Counts are of criteria, each in one response, unless they say otherwise.

    ``later - earlier`` is what was done between two reports of the same judge; ``one + other`` is what two judges did.

    Attributes:
        calls: HTTP requests sent, retries included.
        asked: criteria put to the model.
        cached: those that the cache answered.
        shared: those that waited for the same question, under way for another caller or process.
        failed: those without a usable answer; they are asked again next time.
        cannot_tell: those where the model said that it cannot tell.
        dropped_quotes: quotes that do not stand in the response.
        prompt_tokens, completion_tokens: as the endpoint counted them, those of unusable replies included.
        failures: ``failed`` by kind: refused, empty, truncated, malformed, contradictory, unquoted, parroted, ...
        prices: US dollars for a million prompt and completion tokens, or None.
    """

    calls: int = 0
    asked: int = 0
    cached: int = 0
    shared: int = 0
    failed: int = 0
    cannot_tell: int = 0
    dropped_quotes: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failures: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    prices: tuple[float, float] | None = None

    @property
    def cost(self) -> float | None:
        """US dollars; None where the prices are not known."""
        if self.prices is None:
            return None
        return (self.prompt_tokens * self.prices[0] + self.completion_tokens * self.prices[1]) / 1e6

    @property
    def criteria(self) -> int:
        """How many criteria were decided or given up: asked, cached and shared."""
        return self.asked + self.cached + self.shared

    def __add__(self, other: JudgeReport) -> JudgeReport:
        return self._combined(other, 1)

    def __sub__(self, earlier: JudgeReport) -> JudgeReport:
        return self._combined(earlier, -1)

    def _combined(self, other: JudgeReport, sign: int) -> JudgeReport:
        counts = {
            part.name: getattr(self, part.name) + sign * getattr(other, part.name)
            for part in fields(self)
            if part.name not in ("failures", "prices")
        }
        failures = Counter(self.failures)
        for kind, count in other.failures.items():
            failures[kind] += sign * count
        kept = {kind: count for kind, count in failures.items() if count}
        return JudgeReport(**counts, failures=MappingProxyType(kept), prices=self.prices or other.prices)


class Judge:
    """Verdicts by a language model behind an OpenAI-compatible endpoint (vLLM, Ollama, transformers serve, ...).

    >>> judge = Judge("Qwen/Qwen3-8B", base_url="http://127.0.0.1:8000/v1", api_key_env=None)  # doctest: +SKIP
    >>> verify(task, "Dear Ms Hill, ...", judge)  # doctest: +SKIP

    It may be asked from several threads, and inside or outside of an event loop. ``with judge:`` keeps its connections
    open between calls.

    Args:
        model, base_url, api_key_env, timeout, max_retries, temperature, request: as for
            :class:`~rtt.endpoints.Endpoint`.
        criteria_per_call: how many criteria of a response are asked at once; None: all of them. Criteria that are
            judged by different parts of the conversation (their ``scope``) are never asked together.
        concurrency: how many requests are under way at once, at most.
        attempts: how often an unusable reply is asked for, in all; the second time the model is told what was wrong.
        cache: a folder for the answers, or None; see :class:`~rtt.verifiers.judge.cache.AnswerCache`. They are kept
            by model, ``temperature``, ``request``, ``criteria_per_call``, template, criterion, response and what else
            of the task the template shows, whichever endpoint gave them.
        prompt: a prompt file of your own; see :class:`~rtt.verifiers.judge.prompts.Template`.
        prices: US dollars for a million prompt tokens and a million completion tokens, for the report's cost.
        shared: other processes use the cache at the same time: what one of them is asking, the others wait for.

    Raises:
        ConfigurationError: a value is out of range, the URL is none or holds a password, or the prompt lacks a place.
        MissingDependencyError: the ``judge`` extra is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key_env: str | None = "auto",
        criteria_per_call: int | None = None,
        concurrency: int = 32,
        timeout: float = 60,
        max_retries: int = 4,
        attempts: int = 2,
        cache: Path | None = None,
        temperature: float | None = 0,
        request: Mapping[str, Any] | None = None,
        prompt: Path | None = None,
        prices: tuple[float, float] | None = None,
        shared: bool = False,
    ) -> None:
        for name, value in (("concurrency", concurrency), ("attempts", attempts)):
            if value < 1:
                raise ConfigurationError(f"{name}={value!r}; expected at least 1")
        if criteria_per_call is not None and criteria_per_call < 1:
            raise ConfigurationError(f"criteria_per_call={criteria_per_call!r}; expected at least 1, or None for all")
        if prices is not None and not (len(prices) == 2 and all(price >= 0 for price in prices)):
            raise ConfigurationError(f"prices={prices!r}; expected dollars for a million prompt and completion tokens")
        if shared and cache is None:
            raise ConfigurationError("shared=True without a cache; expected the folder that the processes share")
        self._endpoint = Endpoint(
            model,
            base_url=base_url,
            api_key_env=api_key_env,
            timeout=timeout,
            max_retries=max_retries,
            temperature=temperature,
            request=request,
        )
        self._criteria_per_call = criteria_per_call
        self._concurrency = concurrency
        self._attempts = attempts
        self._cache = AnswerCache(cache)
        self._template = Template(prompt)
        self._prices = prices
        self._shared = shared
        self._line = _Line(self._endpoint, concurrency)
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        folder = None if self._cache.folder is None else str(self._cache.folder)
        return f"Judge({self.model!r}, base_url={self._endpoint.base_url!r}, cache={folder!r})"

    def __enter__(self) -> Self:
        self._line.enter()
        return self

    def __exit__(self, *exception: object) -> None:
        self._line.leave()

    @property
    def model(self) -> str:
        """The model's name."""
        return self._endpoint.model

    @property
    def temperature(self) -> float | None:
        """The sampling temperature; None: the endpoint's own."""
        return self._endpoint.temperature

    @property
    def criteria_per_call(self) -> int | None:
        """How many criteria of a response are asked at once; None: all of them."""
        return self._criteria_per_call

    @property
    def report(self) -> JudgeReport:
        """What has been done so far, over all calls."""
        with self._lock:
            return JudgeReport(
                **self._counts,
                **self._endpoint.counts(),
                failures=MappingProxyType(dict(self._failures)),
                prices=self._prices,
            )

    def check_key(self) -> None:
        """As for :class:`~rtt.endpoints.Endpoint`: see that the key is there, before it is needed."""
        self._endpoint.check_key()

    def close(self) -> None:
        """Give up what is under way, from whichever thread asked for it: it fails, and what was answered counts."""
        self._line.cancel()

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        """One verdict for each of the criteria, in their order; see :meth:`verify_batch`."""
        return self.verify_batch([Question(task, text, tuple(criteria))])[0]

    def verify_batch(
        self,
        questions: Sequence[Question],
        *,
        progress: Callable[[int], None] | None = None,
        sample: int = 0,
    ) -> list[list[Verdict]]:
        """For each question one verdict for each of its criteria, in order.

        A response that is blank violates every criterion, and nothing is asked. What the cache answers needs neither
        key nor network. After an interrupt the requests under way are given up, and what was finished is in the cache.

        Args:
            questions: what to decide.
            progress: told the number of criteria that were just decided, from whichever thread decided them.
            sample: which of several independent answers to the same question is wanted; each has its own place in the
                cache.

        Returns:
            Undetermined verdicts where the model could not tell, and where there is no usable answer, or none yet when
            the judge was closed (``failed``).
            After an answer that every further request would get as well (the key is refused, no such model), the rest
            of these questions are not asked; those of the next call are.

        Raises:
            ConfigurationError: the environment variable with the key is not set.
            DataError: the cache cannot be read or written.
        """
        if not questions:
            return []
        verdicts: list[list[Verdict | None]] = [[None] * len(question.criteria) for question in questions]
        wanted = self._wanted(questions, sample, verdicts)
        if progress is not None and (done := sum(verdict is not None for row in verdicts for verdict in row)):
            progress(done)

        def finish(item: _Item, result: Finding | NoAnswer, how: str) -> None:
            for question, k in item.places:
                verdicts[question][k] = self._verdict(questions[question].criteria[k].id, result)
            self._count(result, how, len(item.places))
            if progress is not None:
                progress(len(item.places))

        with self._cache.opened() as cache:
            kept = _kept(cache, wanted)
            for item in wanted:
                if item.key in kept:
                    finish(item, kept[item.key], "cached")
            if left := [item for item in wanted if item.key not in kept]:
                try:
                    self._line.run(self._ask_all, self._calls(left), cache, finish)
                except NoAnswer as closed:
                    for item in left:
                        if any(verdicts[question][k] is None for question, k in item.places):
                            finish(item, closed, "asked")
        return [[verdict for verdict in row if verdict is not None] for row in verdicts]

    # ------------------------------------------------------------------------------------------- what is to be asked

    def _wanted(self, questions: Sequence[Question], sample: int, verdicts: list[list[Verdict | None]]) -> list[_Item]:
        """The distinct items of the questions; those of blank responses get their verdicts at once."""
        items: dict[str, _Item] = {}
        settings = self._settings(sample)
        for place, question in enumerate(questions):
            if not question.text.strip():
                blank = Finding(Outcome.VIOLATED, scope="response", reason="the response is empty")
                verdicts[place] = [self._verdict(criterion.id, blank) for criterion in question.criteria]
                continue
            hashes: dict[str, tuple[Exhibit, Any]] = {}
            for k, criterion in enumerate(question.criteria):
                if criterion.scope not in hashes:
                    shown = self._template.shown(exhibit(question.task, question.text, criterion.scope))
                    begun = settings.copy()
                    begun.update(json.dumps([shown.conversation, shown.reference, shown.response]).encode())
                    hashes[criterion.scope] = shown, begun
                shown, begun = hashes[criterion.scope]
                key = begun.copy()
                key.update(json.dumps(criterion.text).encode())
                name = key.hexdigest()
                item = _Item(name, question.task.id, shown, criterion.text, [])
                items.setdefault(name, item).places.append((place, k))
        return list(items.values())

    def _settings(self, sample: int) -> Any:
        """The beginning of a key: all that an answer depends on but the exhibit and the criterion."""
        endpoint = self._endpoint
        settings = [endpoint.model, endpoint.temperature, sorted(endpoint.request.items()), self._criteria_per_call]
        return hashlib.sha256(json.dumps([settings, self._template.text, sample]).encode())

    def _calls(self, items: Iterable[_Item]) -> list[list[_Item]]:
        """The items, together as they are asked."""
        grouped: dict[tuple[str, Exhibit], list[_Item]] = {}  # many tasks may show the same: one call for each
        for item in items:
            grouped.setdefault((item.task, item.exhibit), []).append(item)
        return [
            together[start : start + (self._criteria_per_call or len(together))]
            for together in grouped.values()
            for start in range(0, len(together), self._criteria_per_call or len(together))
        ]

    # --------------------------------------------------------------------------------------------------- asking it

    async def _ask_all(
        self, session: _Session, calls: Sequence[Sequence[_Item]], cache: OpenCache, finish: Finish
    ) -> None:
        waiting = iter(calls)
        session.connection.retry()  # a refusal ends one batch, not a whole training run

        async def work() -> None:
            for items in waiting:  # one iterator for all workers
                await self._settle(session, items, cache, finish)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(2 * self._concurrency, len(calls))):  # while some wait, others are prepared
                    workers.create_task(work())
                    await asyncio.sleep(0)  # one after the other: the first request is out before the last is built
        except BaseExceptionGroup as failures:  # the cache or the caller's progress; the first one says it
            raise failures.exceptions[0] from None
        finally:
            cache.close()  # this thread's connection to the database

    async def _settle(self, session: _Session, items: Sequence[_Item], cache: OpenCache, finish: Finish) -> None:
        """Decide these items: ask what nobody is asking, then wait for the others."""
        left = list(items)
        while left:
            own = [item for item in left if item.key not in session.under_way]
            others = [(item, session.under_way[item.key]) for item in left if item.key in session.under_way]
            for item in own:
                session.under_way[item.key] = asyncio.get_running_loop().create_future()
            try:
                await self._ask_own(session, own, cache, finish)
            finally:
                for item in own:
                    future = session.under_way.pop(item.key)
                    if not future.done():
                        future.set_result(None)  # given up: who waits for it asks by itself
            left = []
            for item, future in others:
                result = await asyncio.shield(future)
                if result is None:
                    left.append(item)
                else:
                    finish(item, result, "shared")

    async def _ask_own(self, session: _Session, items: Sequence[_Item], cache: OpenCache, finish: Finish) -> None:
        """Decide items that nobody else in this process is asking."""

        def settle(item: _Item, result: Finding | NoAnswer, how: str) -> None:
            session.under_way[item.key].set_result(result)
            finish(item, result, how)

        left, pause = list(items), 0.05
        while left:
            mine = [item for item in left if not self._shared or cache.claim(item.key, CLAIM_SECONDS)]
            if mine:
                async with self._claimed(cache, mine):
                    kept = _kept(cache, mine)  # somebody else may have got an answer since this call looked for it
                    for item in mine:
                        if item.key in kept:
                            settle(item, kept[item.key], "cached")
                    missing = [item for item in mine if item.key not in kept]
                    for item, result in await self._ask_model(session, missing, cache) if missing else ():
                        settle(item, result, "asked")
            others = [item for item in left if item not in mine]  # asked by other processes
            kept = _kept(cache, others)
            for item in others:
                if item.key in kept:
                    settle(item, kept[item.key], "shared")
            left = [item for item in others if item.key not in kept]
            if left and all(cache.is_claimed(item.key) for item in left):
                await asyncio.sleep(pause)
                pause = min(1.5 * pause, 1.0)

    @asynccontextmanager
    async def _claimed(self, cache: OpenCache, items: Sequence[_Item]) -> AsyncIterator[None]:
        """Keep the claims on these items alive while they are asked, and give them up at the end."""
        if not self._shared:
            yield
            return

        async def renew() -> None:
            while True:
                await asyncio.sleep(CLAIM_SECONDS / 3)
                for item in items:
                    cache.renew(item.key, CLAIM_SECONDS)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            for item in items:
                cache.release(item.key)

    async def _ask_model(
        self, session: _Session, items: Sequence[_Item], cache: OpenCache
    ) -> list[tuple[_Item, Finding | NoAnswer]]:
        """What the model says of these items, which share an exhibit. Usable answers are in the cache afterwards."""
        shown = items[0].exhibit
        results: dict[str, Finding | NoAnswer] = {}
        left, problem = list(items), ""
        for _ in range(self._attempts):
            prompt = self._template.render(shown, [item.criterion for item in left], problem=problem)
            try:
                reply = await session.connection.ask(prompt, "verdicts", schema(len(left)))
                entries = read_reply(reply, len(left))
            except NoAnswer as failure:
                results |= dict.fromkeys((item.key for item in left), failure)
            else:
                usable = {}
                for item, entry in zip(left, entries, strict=True):
                    results[item.key] = found = _located(entry, shown.response)
                    if isinstance(entry, Entry) and isinstance(found, Finding):
                        usable[item.key] = json.dumps(entry.model_dump())  # ASCII, whatever the model wrote
                cache.put_all(usable)
            left = [item for item in left if isinstance(results[item.key], NoAnswer)]
            kinds = {result.kind for result in results.values() if isinstance(result, NoAnswer)}
            if not kinds & _MENDABLE.keys():
                break
            problem = "; ".join(_MENDABLE[kind] for kind in sorted(kinds & _MENDABLE.keys()))
        return [(item, results[item.key]) for item in items]

    # ------------------------------------------------------------------------------------------------------ verdicts

    def _verdict(self, criterion_id: str, result: Finding | NoAnswer) -> Verdict:
        source = f"judge:{self.model}"
        if isinstance(result, NoAnswer):
            return Verdict(criterion_id, Outcome.UNDETERMINED, source, str(result), failed=True)
        return Verdict(
            criterion_id, result.outcome, source, result.reason, result.evidence, result.scope, result.missing
        )

    def _count(self, result: Finding | NoAnswer, how: str, times: int) -> None:
        """Count an item; how is "asked", "cached" or "shared". An item in several places is asked for one of them."""
        with self._lock:
            self._counts[how] += 1
            if times > 1:
                self._counts["cached" if how == "cached" else "shared"] += times - 1
            if isinstance(result, NoAnswer):
                self._counts["failed"] += times
                self._failures[result.kind] += times
                return
            if result.outcome is Outcome.UNDETERMINED:
                self._counts["cannot_tell"] += times
            if how == "asked":
                self._counts["dropped_quotes"] += result.dropped_quotes


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """A criterion about a response, wherever it is asked for.

    Attributes:
        key: what names it in the cache.
        task: the id of the task it is asked for; of the first one, where several ask the same.
        exhibit: what it is judged by.
        criterion: in words.
        places: (question, criterion) in a batch.
    """

    key: str
    task: str
    exhibit: Exhibit
    criterion: str
    places: list[tuple[int, int]]


Finish = Callable[[_Item, Finding | NoAnswer, str], None]

_MENDABLE = {
    "empty": "it was empty",
    "truncated": "it was too long; be brief",
    "malformed": "it was not the JSON object that is asked for, with one entry for each criterion by its number",
    "contradictory": "its verdict and its quotes contradict each other",
    "parroted": "its reason was copied from the response; judge by yourself, in your own words",
    "unquoted": "its quotes are not in the response exactly so; copy them character by character",
}
"""What another attempt may mend, and what the model is told. The rest was retried by the client, or is final."""


def _kept(cache: OpenCache, items: Sequence[_Item]) -> dict[str, Finding]:
    """What the cache answers, by key; without what is not there, or is damaged and will be asked for again."""
    answers = cache.get_all(item.key for item in items)
    found = {item.key: _understood(answers[item.key], item) for item in items if item.key in answers}
    return {key: finding for key, finding in found.items() if finding is not None}


def _understood(answer: str, item: _Item) -> Finding | None:
    """What an answer of the cache means; None: nothing that can be used."""
    try:
        try:
            entry = Entry.model_validate_json(answer)
        except ValidationError:  # pydantic reads no half surrogate pairs, which a model may have written in a quote
            entry = Entry.model_validate(decode_text(answer))
        return locate(entry, item.exhibit.response)
    except (LineError, ValidationError, NoAnswer):
        return None


def _located(entry: Entry | NoAnswer, response: str) -> Finding | NoAnswer:
    if isinstance(entry, NoAnswer):
        return entry
    try:
        return locate(entry, response)
    except NoAnswer as failure:
        return failure


# ---------------------------------------------------------------------------------------------------- the event loop


@dataclass(slots=True)
class _Session:
    """What all callers share while the loop runs: the connections with their bound, and one list of open questions."""

    connection: Connection
    under_way: dict[str, asyncio.Future[Finding | NoAnswer | None]] = field(default_factory=dict)


class _Line:
    """An event loop in a thread of its own, while somebody needs it."""

    def __init__(self, endpoint: Endpoint, concurrency: int) -> None:
        self._endpoint = endpoint
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._users = 0
        self._stack = ExitStack()
        self._portal: Any = None
        self._session: _Session | None = None
        self._running: set[Future[None]] = set()

    def enter(self) -> None:
        """Keep the loop until :meth:`leave`, from when something is asked: what the cache answers needs no key."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """End the loop, unless others need it."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._portal = self._session = None
                self._stack.close()

    def _started(self) -> tuple[Any, _Session]:
        """The loop's portal and its session."""
        from anyio.from_thread import start_blocking_portal  # comes with openai

        with self._lock:
            if self._session is None:
                with ExitStack() as stack:
                    portal = stack.enter_context(start_blocking_portal(name="rtt-judge"))
                    connected = portal.wrap_async_context_manager(self._endpoint.connected(self._concurrency))
                    session = _Session(stack.enter_context(connected))
                    self._stack = stack.pop_all()
                    self._portal, self._session = portal, session
            return self._portal, self._session

    def run(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Run ``work(session, *arguments)`` in the loop to its end, or to this thread's interruption.

        Raises:
            NoAnswer: it was cancelled.
        """
        with self._entered():
            portal, session = self._started()
            future: Future[None] = portal.start_task_soon(work, session, *arguments)
            self._running.add(future)
            try:
                future.result()
            except CancelledError:
                raise NoAnswer("closed", "the judge was closed while it was asked") from None
            except BaseException:  # a KeyboardInterrupt above all
                future.cancel()
                raise
            finally:
                self._running.discard(future)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def cancel(self) -> None:
        """Cancel all that runs."""
        for future in list(self._running):
            future.cancel()
