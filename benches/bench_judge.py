"""Throughput of the judge beside the ideal and a plain client; what its cache and its batching save. In one run.

    python benches/bench_judge.py [--criteria 2000 --concurrency 64 --latency 0.2 --repeats 3 --output results]

The endpoint is scripted: a process of its own that answers every request --latency seconds after its last byte came,
any number at once, and needs next to no processor time. The questions look like training: responses of about 250
words, five criteria each; every verdict quotes other words of its response.

    ideal               criteria / concurrency * latency: requests that cost nothing but the latency
    sequential          the openai client, one request after the other: a few, extrapolated
    plain client        the openai client, asyncio and a semaphore; the same prompts, replies through json.loads; no
                        cache, no check of reply and quotes, no bound on answers
    one a call          the judge, one criterion a request, each answer into a cache that is empty before
    from the cache      the same once more: what another run over the same responses takes
    all in one call     the judge, all criteria of a response in one request, empty cache
    shared              one a call, in a cache that other processes may use at the same time
    shared by two       two processes at once with the same questions and one such cache, each with a concurrency of
                        its own; the later one's time

Each runs in a new process, the second use of a cache as well, and is timed from the call of verify_batch to its
verdicts. The set-up of thread, event loop, database and connections is in; imports and construction are not: a judge
with another cache has decided one criterion before, and what that first call took is told beside it. In each of the
--repeats rounds all of them run, one after the other; medians count. Exits with 1 when a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import math
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

AT_LEAST_OF_IDEAL = 0.9
AT_LEAST_FASTER_CACHED = 50.0

CRITERIA_PER_RESPONSE = 5
RESPONSE_SENTENCES = 20
WORDS = "the parcel came late and our shop is sorry about it you may keep what was sent or ask for money back"
SEQUENTIAL_CALLS = 20

ARMS = ("plain client", "one a call", "from the cache", "all in one call", "shared", "shared by two")
JUDGES = ARMS[1:]

# --------------------------------------------------------------------------------------------------------- the endpoint


class Scripted(asyncio.Protocol):
    """Just enough of HTTP/1.1: requests with a Content-Length, one after the other on connections that stay open."""

    latency = 0.0
    counts = dict.fromkeys(("requests", "connections", "busy", "busiest"), 0)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received = bytearray()
        self.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.received[:end])
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
            )
            if len(self.received) < end + 4 + length:
                return
            body = bytes(self.received[end + 4 : end + 4 + length])
            del self.received[: end + 4 + length]
            if head.startswith(b"GET"):
                self.write(json.dumps(self.counts | {"processor": time.process_time()}).encode())
                self.counts.update(requests=0, connections=0, busiest=0)
                continue
            self.counts["requests"] += 1
            self.counts["busy"] += 1
            self.counts["busiest"] = max(self.counts["busy"], self.counts["busiest"])
            asyncio.get_running_loop().call_later(self.latency, self.answer, body)

    def answer(self, body: bytes) -> None:
        self.counts["busy"] -= 1
        if not self.transport.is_closing():
            self.write(completion(body))

    def write(self, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


POINT = re.compile(r"^<criterion-\d+-\w+>\nThe response says in (point \d+ of letter \d+)", re.MULTILINE)


def quote_of(point: str) -> str:
    return f"About {point}: the courier comes once more."


def completion(request: bytes) -> bytes:
    """Every criterion is met, by words of its own. Four characters are a token."""
    (message,) = json.loads(request)["messages"]
    entries = [
        {
            "criterion": number,
            "reason": "The response says what happens next, in one sentence.",
            "supporting_quotes": [{"quote": quote_of(point), "occurrence": "all"}],
            "violating_quotes": [],
            "whole_response": False,
            "satisfied": "yes",
        }
        for number, point in enumerate(POINT.findall(message["content"]), start=1)
    ]
    reply = json.dumps({"verdicts": entries})
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
    usage = {"prompt_tokens": len(message["content"]) // 4, "completion_tokens": len(reply) // 4, "total_tokens": 0}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()


async def serve(latency: float) -> None:
    Scripted.latency = latency
    server = await asyncio.get_running_loop().create_server(Scripted, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def served(latency: float) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


def counts_of(url: str) -> dict[str, Any]:
    """What the endpoint counted since it was asked last."""
    with urllib.request.urlopen(url) as answer:
        counts: dict[str, Any] = json.load(answer)
        return counts


# -------------------------------------------------------------------------------------------------------- the questions


def make_questions(criteria: int, seed: int = 0) -> list[Any]:
    from rtt.rubrics import Criterion, Message, Rubric, Task
    from rtt.verifiers import Question

    generator = random.Random(seed)
    words = WORDS.split()
    questions = []
    for letter in range(0, criteria, CRITERIA_PER_RESPONSE):
        points = [f"point {k} of letter {letter}" for k in range(min(CRITERIA_PER_RESPONSE, criteria - letter))]
        sentences = [" ".join(generator.choices(words, k=10)) + "." for _ in range(RESPONSE_SENTENCES)]
        for point in points:
            sentences.insert(generator.randrange(len(sentences)), quote_of(point))
        asked = tuple(
            Criterion(id=f"c{k}", text=f"The response says in {point} what the customer gets next.")
            for k, point in enumerate(points)
        )
        task = Task(
            id=f"q{letter}",
            prompt=(Message(role="user", content=f"Write letter {letter} to a customer whose parcel was late."),),
            rubric=Rubric(criteria=asked),
        )
        questions.append(Question(task, " ".join(sentences), asked))
    return questions


# ------------------------------------------------------------------------------------------------------------ measuring


def measure(arm: str, url: str, folder: Path, criteria: int, concurrency: int) -> dict[str, Any]:
    """One arm in this process; its clock starts when a line comes in."""
    questions = make_questions(criteria)
    if arm in ("plain client", "sequential"):
        return asyncio.run(_plain(url, questions, arm, concurrency))
    from rtt.verifiers.judge import Judge

    judges = [
        Judge(
            "scripted",
            base_url=url,
            api_key_env=None,
            criteria_per_call=None if arm == "all in one call" else 1,
            concurrency=concurrency,
            cache=cache,
            shared=arm.startswith("shared"),
        )
        for cache in (folder / f"first call {os.getpid()}", folder / ("one a call" if arm == "from the cache" else arm))
    ]
    start = time.perf_counter()
    judges[0].verify_batch(make_questions(1, seed=1))
    first_call = time.perf_counter() - start
    _wait()
    start, processor = time.perf_counter(), time.process_time()
    verdicts = judges[1].verify_batch(questions)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    report = judges[1].report
    said = [
        (verdict.criterion_id, int(verdict.outcome), verdict.reason, [(s.start, s.end) for s in verdict.evidence])
        for row in verdicts
        for verdict in row
    ]
    return {
        "seconds": seconds,
        "processor": processor,
        "first_call": first_call,
        "calls": report.calls,
        "prompt_tokens": report.prompt_tokens,
        "completion_tokens": report.completion_tokens,
        "right": sum(outcome == 1 and len(spans) == 1 for _, outcome, _, spans in said),
        "verdicts": hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12],
    }


def _wait() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


async def _plain(url: str, questions: Sequence[Any], arm: str, concurrency: int) -> dict[str, Any]:
    import openai

    from rtt.verifiers.judge.prompts import Template, exhibit
    from rtt.verifiers.judge.replies import schema

    template = Template()
    prompts = [
        template.render(exhibit(question.task, question.text, criterion.scope), [criterion.text])
        for question in questions
        for criterion in question.criteria
    ]
    if arm == "sequential":
        prompts, concurrency = prompts[:SEQUENTIAL_CALLS], 1
    format_ = {"type": "json_schema", "json_schema": {"name": "verdicts", "strict": True, "schema": schema(1)}}
    turns = asyncio.Semaphore(concurrency)

    async def ask(client: Any, prompt: str) -> str:
        async with turns:
            answer = await client.chat.completions.create(
                model="scripted",
                messages=[{"role": "user", "content": prompt}],
                temperature=0,
                response_format=format_,
            )
        (entry,) = json.loads(answer.choices[0].message.content)["verdicts"]
        return str(entry["satisfied"])

    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        await ask(client, prompts[0])  # what is imported late
    _wait()
    start, processor = time.perf_counter(), time.process_time()
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        answers = await asyncio.gather(*(ask(client, prompt) for prompt in prompts))
    return {
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - processor,
        "calls": len(prompts),
        "right": answers.count("yes"),
    }


def run(arm: str, url: str, folder: Path, criteria: int, concurrency: int) -> dict[str, Any]:
    """One arm in new processes, which start together."""
    command = [sys.executable, __file__, "--only", arm, "--url", url, "--folder", str(folder)]
    command += ["--criteria", str(criteria), "--concurrency", str(concurrency)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2 if arm == "shared by two" else 1)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    counts_of(url)  # from here on
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{arm}: failed")
    whole = found[0] | {"endpoint": counts_of(url)}
    whole["seconds"] = max(one["seconds"] for one in found)
    for name in ("processor", "calls", "prompt_tokens", "completion_tokens"):
        if name in whole:
            whole[name] = sum(one[name] for one in found)
    if len({(one.get("verdicts"), one["right"]) for one in found}) > 1:
        whole["verdicts"] = "they differ"
    return whole


# ----------------------------------------------------------------------------------------------------------- the report


def checks_of(
    rounds: dict[str, list[dict[str, Any]]], median: dict[str, float], ideal: float, criteria: int, concurrency: int
) -> dict[str, bool]:
    """What has to hold, in words."""
    calls = {
        "plain client": criteria,
        "one a call": criteria,
        "from the cache": 0,
        "all in one call": math.ceil(criteria / CRITERIA_PER_RESPONSE),
        "shared": criteria,
        "shared by two": criteria,
    }
    every = [(arm, one) for arm, found in rounds.items() for one in found]
    of_ideal, faster = ideal / median["one a call"], median["one a call"] / median["from the cache"]
    return {
        f"one a call: {of_ideal:.1%} of the ideal throughput, at least {AT_LEAST_OF_IDEAL:.0%}": (
            of_ideal >= AT_LEAST_OF_IDEAL
        ),
        f"from the cache: {faster:.0f} times as fast, at least {AT_LEAST_FASTER_CACHED:.0f}": (
            faster >= AT_LEAST_FASTER_CACHED
        ),
        "every verdict is the right one, with its quote": all(one["right"] == criteria for _, one in every),
        "all the judge's verdicts are the same, asked or from the cache": (
            len({one["verdicts"] for arm, one in every if arm in JUDGES}) == 1
        ),
        "as many requests as there are questions, also from two processes together": all(
            one["calls"] == one["endpoint"]["requests"] == calls[arm] for arm, one in every
        ),
        f"never more than {concurrency} requests under way in a process": all(
            one["endpoint"]["busiest"] <= concurrency * (2 if arm == "shared by two" else 1) for arm, one in every
        ),
    }


def report_of(data: dict[str, Any]) -> str:
    rows = []
    for arm, row in data["arms"].items():
        known = "prompt_tokens" in row
        rows.append(
            f"| {arm} | {row['calls']:,} | {row['median']:.3g} ({row['least']:.3g} - {row['most']:.3g}) "
            f"| {data['ideal'] / row['median']:.2f} | {row['processor']:.3g} "
            f"| {row['prompt_tokens'] if known else '-':{',' if known else ''}} "
            f"| {row['completion_tokens'] if known else '-':{',' if known else ''}} |"
        )
    plain, one, every = (data["arms"][arm] for arm in ("plain client", "one a call", "all in one call"))
    ratios = {
        "one a call, beside the plain client": f"{one['median'] / plain['median']:.2f} x its time",
        "all in one call, beside one a call": (
            f"{every['calls'] / one['calls']:.2f} x the requests, {every['median'] / one['median']:.2f} x the time, "
            f"{every['prompt_tokens'] / one['prompt_tokens']:.2f} x the prompt tokens, "
            f"{every['completion_tokens'] / one['completion_tokens']:.2f} x the completion tokens"
        ),
        "shared, beside one a call": f"{data['arms']['shared']['median'] / one['median']:.2f} x the time",
        "sequential, beside one a call": f"{data['sequential'] / one['median']:.0f} x the time",
    }
    lines = [
        "# Judge",
        "",
        "`make bench-judge`",
        "",
        f"{data['criteria']:,} criteria, {CRITERIA_PER_RESPONSE} a response; an endpoint that answers after "
        f"{data['latency']:g} s, concurrency {data['concurrency']}; {data['machine']}. Medians of {data['repeats']} "
        "rounds (least - most); tokens are characters / 4.",
        "",
        "| | requests | seconds | ideal / this | processor, seconds | prompt tokens | completion tokens |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| ideal | {data['criteria']:,} | {data['ideal']:.3g} | 1.00 | - | - | - |",
        f"| sequential, of {SEQUENTIAL_CALLS} | {data['criteria']:,} | {data['sequential']:.3g} "
        f"| {data['ideal'] / data['sequential']:.2f} | - | - | - |",
        *rows,
        "",
        *(f"- {name}: {ratio}" for name, ratio in ratios.items()),
        f"- the first call of a process, with what it imports: {data['first_call']:.2f} s, once",
        "",
        "Checks:",
        "",
        *(f"- {'held' if holds else 'MISSED'}: {check}" for check, holds in data["checks"].items()),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--criteria", type=int, default=2000, help="to decide (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=64, help="requests under way (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=0.2, help="of the endpoint, seconds (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("results"), help="for bench_judge.json and .md")
    parser.add_argument("--serve", action="store_true", help="be the endpoint, print the port")
    parser.add_argument("--only", choices=("sequential", *ARMS), help="measure one in this process, print JSON")
    parser.add_argument("--url", help="with --only: the endpoint")
    parser.add_argument("--folder", type=Path, help="with --only: for the caches")
    options = parser.parse_args()
    criteria, concurrency, latency = options.criteria, options.concurrency, options.latency
    if options.serve:
        asyncio.run(serve(latency))
        return 0
    if options.only:
        print(json.dumps(measure(options.only, options.url, options.folder, criteria, concurrency)))
        return 0

    rounds: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    with served(latency) as url:
        with tempfile.TemporaryDirectory() as folder:
            sequential = run("sequential", url, Path(folder), criteria, concurrency)
        for number in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                for arm in ARMS:
                    rounds[arm].append(run(arm, url, Path(folder), criteria, concurrency))
                    print(f"round {number + 1}, {arm}: {rounds[arm][-1]['seconds']:.2f} s", file=sys.stderr)

    median = {arm: statistics.median(one["seconds"] for one in found) for arm, found in rounds.items()}
    ideal = criteria / concurrency * latency
    arms = {}
    for arm, found in rounds.items():
        seconds = [one["seconds"] for one in found]
        arms[arm] = {
            "median": median[arm],
            "least": min(seconds),
            "most": max(seconds),
            "processor": statistics.median(one["processor"] for one in found),
            **{name: found[0][name] for name in ("calls", "prompt_tokens", "completion_tokens") if name in found[0]},
        }
    data = {
        "machine": (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"openai {version('openai')}, diskcache {version('diskcache')}"
        ),
        "criteria": criteria,
        "concurrency": concurrency,
        "latency": latency,
        "repeats": options.repeats,
        "ideal": ideal,
        "sequential": sequential["seconds"] / sequential["calls"] * criteria,
        "first_call": statistics.median(one["first_call"] for arm in JUDGES for one in rounds[arm]),
        "arms": arms,
        "checks": checks_of(rounds, median, ideal, criteria, concurrency),
        "rounds": rounds,
    }
    report = report_of(data)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench_judge.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    (options.output / "bench_judge.md").write_text(report, encoding="utf-8")
    print(report)
    return 0 if all(data["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
