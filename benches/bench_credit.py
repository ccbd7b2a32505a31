"""Time and memory of the credit functions, beside two plain implementations, in one run.

    python benches/bench_credit.py [--responses 512 --criteria 5 --tokens 4096 --repeats 7 --output results]

Each partition runs in a process of its own, on the same batch, against

    per token   plain Python: loops over responses, criteria and tokens, floats in lists
    per row     plain torch: loops over responses and criteria, a handful of tensor operations a row

and has to be at least 20 times faster than plain Python, to agree with both, and to stay within 3 times the memory of
the relevance tensor above it. The factor over the torch loop is printed beside it, without a bound: that loop already
computes a whole row at vector speed, and what can be gained over it is its overhead and its passes over memory. All
run on one thread (the loops could not use more); times are the best of the repeats, which other work on the machine
disturbs least.

The batch looks like training: groups of 8, responses of 1/4 to all of the tokens, one verdict in ten undetermined, the
relevance a sharp sigmoid, but for the last criterion, which is about the whole response (a constant row).
Exits with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtt.credit import PARTITIONS, CreditBatch

AT_LEAST_FASTER = 20.0
AT_MOST_MEMORY = 3.0
EPS = 1e-6


def make_batch(b: int, k: int, t: int, group_size: int = 8) -> CreditBatch:
    generator = torch.Generator().manual_seed(0)
    relevance = torch.empty(b, k, t).normal_(-3, 2, generator=generator).sigmoid_()
    relevance[:, -1] = 0.9
    lengths = torch.randint(t // 4, t + 1, (b, 1), generator=generator)
    mask = torch.arange(t) < lengths
    relevance *= mask.unsqueeze(1)
    signs = torch.randint(0, 2, (b, k), generator=generator) * 2 - 1
    determined = torch.rand(b, k, generator=generator) < 0.9
    return CreditBatch(
        verdicts=(signs * determined).to(torch.int8),
        relevance=relevance,
        mask=mask,
        group=torch.arange(b) // group_size,
        weights=torch.ones(b, k),
    )


# ---------------------------------------------------------------------------------------------- plain torch, row by row


def members_of(batch: CreditBatch) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for i, group in enumerate(batch.group.tolist()):
        members.setdefault(group, []).append(i)
    return members


def rows_intra_sample(batch: CreditBatch) -> Tensor:
    advantages = torch.zeros(batch.mask.shape)
    for i, verdicts in enumerate(batch.verdicts.tolist()):
        own = batch.mask[i]
        maps = []
        for k, verdict in enumerate(verdicts):
            if verdict:
                r = verdict * batch.relevance[i, k][own]
                maps.append((r - r.mean()) / (r.std(correction=0) + EPS))
        if maps:
            advantages[i, own] = torch.stack(maps).mean(dim=0)
    return advantages


def rows_inter_sample(batch: CreditBatch) -> Tensor:
    advantages = torch.zeros(batch.mask.shape)
    verdicts = batch.verdicts.tolist()
    for members in members_of(batch).values():
        for k in range(batch.verdicts.shape[1]):
            rewards = {i: verdicts[i][k] * batch.relevance[i, k][batch.mask[i]] for i in members if verdicts[i][k]}
            if rewards:
                together = torch.cat(list(rewards.values()))
                mean, std = together.mean(), together.std(correction=0)
                for i, r in rewards.items():
                    determined = sum(verdict != 0 for verdict in verdicts[i])
                    advantages[i, batch.mask[i]] += (r - mean) / (std + EPS) / determined
    return advantages


def rows_criteria_mean(batch: CreditBatch) -> Tensor:
    advantages = torch.zeros(batch.mask.shape)
    verdicts = batch.verdicts.tolist()
    for members in members_of(batch).values():
        rewards = {}
        for i in members:
            maps = [s * batch.relevance[i, k][batch.mask[i]] for k, s in enumerate(verdicts[i]) if s]
            if maps:
                rewards[i] = torch.stack(maps).mean(dim=0)
        if rewards:
            together = torch.cat(list(rewards.values()))
            mean, std = together.mean(), together.std(correction=0)
            for i, r in rewards.items():
                advantages[i, batch.mask[i]] = (r - mean) / (std + EPS)
    return advantages


def plain_scores(batch: CreditBatch, correction: int) -> list[list[float]]:
    verdicts = batch.verdicts.tolist()
    scores = [[0.0] * batch.verdicts.shape[1] for _ in verdicts]
    for members in members_of(batch).values():
        for k in range(batch.verdicts.shape[1]):
            judged = [i for i in members if verdicts[i][k]]
            values = [verdicts[i][k] for i in judged]
            if len(values) > 1:
                mean = sum(values) / len(values)
                std = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - correction))
                for i, value in zip(judged, values, strict=True):
                    scores[i][k] = (value - mean) / (std + EPS)
    return scores


def rows_criteria_softmax(batch: CreditBatch) -> Tensor:
    advantages = torch.zeros(batch.mask.shape)
    scores = plain_scores(batch, correction=1)
    for i, verdicts in enumerate(batch.verdicts.tolist()):
        own = batch.mask[i]
        judged = [k for k, verdict in enumerate(verdicts) if verdict]
        if judged:
            shares = torch.stack([batch.relevance[i, k][own] for k in judged]).softmax(dim=0)
            for share, k in zip(shares, judged, strict=True):
                advantages[i, own] += scores[i][k] * share
    return advantages


def rows_criterion_group(batch: CreditBatch) -> Tensor:
    advantages = torch.zeros(batch.mask.shape)
    scores = plain_scores(batch, correction=0)
    for i, verdicts in enumerate(batch.verdicts.tolist()):
        own = batch.mask[i]
        for k, verdict in enumerate(verdicts):
            if verdict:
                advantages[i, own] += scores[i][k] * batch.relevance[i, k][own]
    return advantages


# ----------------------------------------------------------------------------------------- plain Python, token by token


def plain_rows(batch: CreditBatch) -> tuple[list[list[int]], list[list[list[float]]]]:
    """The verdicts, and each row of relevance as a list of its own tokens (masks of this benchmark are prefixes)."""
    lengths = batch.mask.sum(dim=1).tolist()
    rows = [[row[:n].tolist() for row in rows] for rows, n in zip(batch.relevance, lengths, strict=True)]
    return batch.verdicts.tolist(), rows


def padded(advantages: list[list[float]], batch: CreditBatch) -> Tensor:
    t = batch.mask.shape[1]
    return torch.tensor([row + [0.0] * (t - len(row)) for row in advantages])


def moments(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def tokens_intra_sample(batch: CreditBatch) -> Tensor:
    verdicts, relevance = plain_rows(batch)
    advantages = []
    for s, rows in zip(verdicts, relevance, strict=True):
        total = [0.0] * len(rows[0])
        determined = sum(verdict != 0 for verdict in s)
        for verdict, row in zip(s, rows, strict=True):
            if verdict:
                rewards = [verdict * w for w in row]
                mean, std = moments(rewards)
                for t, r in enumerate(rewards):
                    total[t] += (r - mean) / (std + EPS) / determined
        advantages.append(total)
    return padded(advantages, batch)


def tokens_inter_sample(batch: CreditBatch) -> Tensor:
    verdicts, relevance = plain_rows(batch)
    advantages = [[0.0] * len(rows[0]) for rows in relevance]
    for members in members_of(batch).values():
        for k in range(batch.verdicts.shape[1]):
            judged = [i for i in members if verdicts[i][k]]
            if judged:
                mean, std = moments([verdicts[i][k] * w for i in judged for w in relevance[i][k]])
                for i in judged:
                    determined = sum(verdict != 0 for verdict in verdicts[i])
                    for t, w in enumerate(relevance[i][k]):
                        advantages[i][t] += (verdicts[i][k] * w - mean) / (std + EPS) / determined
    return padded(advantages, batch)


def tokens_criteria_mean(batch: CreditBatch) -> Tensor:
    verdicts, relevance = plain_rows(batch)
    advantages = [[0.0] * len(rows[0]) for rows in relevance]
    for members in members_of(batch).values():
        judged = [i for i in members if any(verdicts[i])]
        for i in judged:
            determined = sum(verdict != 0 for verdict in verdicts[i])
            for verdict, row in zip(verdicts[i], relevance[i], strict=True):
                if verdict:
                    for t, w in enumerate(row):
                        advantages[i][t] += verdict * w / determined
        if judged:
            mean, std = moments([r for i in judged for r in advantages[i]])
            for i in judged:
                advantages[i] = [(r - mean) / (std + EPS) for r in advantages[i]]
    return padded(advantages, batch)


def tokens_criteria_softmax(batch: CreditBatch) -> Tensor:
    verdicts, relevance = plain_rows(batch)
    scores = plain_scores(batch, correction=1)
    advantages = []
    for s, rows, a in zip(verdicts, relevance, scores, strict=True):
        judged = [k for k, verdict in enumerate(s) if verdict]
        total = [0.0] * len(rows[0])
        for t in range(len(total) if judged else 0):
            exponentials = [math.exp(rows[k][t]) for k in judged]
            total[t] = sum(a[k] * e for k, e in zip(judged, exponentials, strict=True)) / sum(exponentials)
        advantages.append(total)
    return padded(advantages, batch)


def tokens_criterion_group(batch: CreditBatch) -> Tensor:
    verdicts, relevance = plain_rows(batch)
    scores = plain_scores(batch, correction=0)
    advantages = []
    for s, rows, a in zip(verdicts, relevance, scores, strict=True):
        total = [0.0] * len(rows[0])
        for k, row in enumerate(rows):
            if s[k]:
                for t, w in enumerate(row):
                    total[t] += a[k] * w
        advantages.append(total)
    return padded(advantages, batch)


PER_ROW: dict[str, Callable[[CreditBatch], Tensor]] = {
    "intra_sample": rows_intra_sample,
    "inter_sample": rows_inter_sample,
    "criteria_mean": rows_criteria_mean,
    "criteria_softmax": rows_criteria_softmax,
    "criterion_group": rows_criterion_group,
}
PER_TOKEN: dict[str, Callable[[CreditBatch], Tensor]] = {
    "intra_sample": tokens_intra_sample,
    "inter_sample": tokens_inter_sample,
    "criteria_mean": tokens_criteria_mean,
    "criteria_softmax": tokens_criteria_softmax,
    "criterion_group": tokens_criterion_group,
}

# ------------------------------------------------------------------------------------------------------------ measuring


def status_bytes(field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
    if match is None:
        raise SystemExit(f"/proc/self/status has no {field}: peak memory is measured on Linux only")
    return int(match[1]) * 1024


def peak_above(function: Callable[[], Tensor]) -> int:
    """Bytes of resident memory that the call needed at most above what the process held before it, result included."""
    ctypes.CDLL(None).malloc_trim(0)  # memory freed before must not serve the call unseen
    before = status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew from here
    result = function()
    peak = status_bytes("VmHWM")
    del result
    return peak - before


def seconds(function: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(partition: str, b: int, k: int, t: int, repeats: int) -> dict[str, Any]:
    """One partition in this process: memory on the first call, then times, ours and the torch loop's in turn."""
    ours, rows, tokens = PARTITIONS[partition], PER_ROW[partition], PER_TOKEN[partition]
    torch.set_num_threads(1)
    small = make_batch(16, k, 64)  # starts thread pools and loads kernels, which are no memory of the call
    ours(small)
    batch = make_batch(b, k, t)
    memory = peak_above(lambda: ours(batch))
    our_times, row_times = [], []
    for _ in range(repeats):
        row_times.append(seconds(lambda: rows(batch)))
        our_times.append(seconds(lambda: ours(batch)))
    our_time, row_time = min(our_times), min(row_times)
    start = time.perf_counter()
    token_result = tokens(batch)
    token_time = time.perf_counter() - start
    result = ours(batch)
    torch.testing.assert_close(result, token_result, rtol=1e-4, atol=1e-4)
    steep = slice(0, k - 1)  # the torch loop amplifies the rounding of the constant row, see test_partitions.py
    without = CreditBatch(
        verdicts=batch.verdicts[:, steep],
        relevance=batch.relevance[:, steep],
        mask=batch.mask,
        group=batch.group,
        weights=batch.weights[:, steep],
    )
    torch.testing.assert_close(ours(without), rows(without), rtol=1e-4, atol=1e-4)
    return {
        "partition": partition,
        "seconds": our_time,
        "seconds_per_row_torch": row_time,
        "seconds_per_token_python": token_time,
        "faster_than_per_token_python": token_time / our_time,
        "faster_than_per_row_torch": row_time / our_time,
        "peak_bytes": memory,
        "peak_over_relevance": memory / batch.relevance.nbytes,
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| partition | ours | plain Python, per token | faster | plain torch, per row | faster | peak memory above |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| `{row['partition']}` | {row['seconds'] * 1e3:.1f} ms | {row['seconds_per_token_python']:.2f} s "
            f"| {row['faster_than_per_token_python']:.0f}x | {row['seconds_per_row_torch'] * 1e3:.0f} ms "
            f"| {row['faster_than_per_row_torch']:.1f}x "
            f"| {row['peak_bytes'] / 2**20:.0f} MiB = {row['peak_over_relevance']:.2f}x relevance |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time and memory of the credit functions.")
    parser.add_argument("--responses", type=int, default=512)
    parser.add_argument("--criteria", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("results"))
    parser.add_argument("--only", choices=sorted(PARTITIONS), help="measure one partition in this process, print JSON")
    arguments = parser.parse_args()
    b, k, t = arguments.responses, arguments.criteria, arguments.tokens
    if arguments.only:
        print(json.dumps(measure(arguments.only, b, k, t, arguments.repeats)))
        return 0
    sizes = ["--responses", str(b), "--criteria", str(k), "--tokens", str(t), "--repeats", str(arguments.repeats)]
    rows = []
    for partition in PARTITIONS:
        command = [sys.executable, __file__, "--only", partition, *sizes]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows.append(json.loads(output.splitlines()[-1]))
        print(f"{partition}: done", file=sys.stderr)
    missed = [
        f"{row['partition']}: {what}"
        for row in rows
        for what, holds in {
            f"only {row['faster_than_per_token_python']:.1f}x faster than plain Python": (
                row["faster_than_per_token_python"] >= AT_LEAST_FASTER
            ),
            f"{row['peak_over_relevance']:.2f}x the relevance in memory": row["peak_over_relevance"] <= AT_MOST_MEMORY,
        }.items()
        if not holds
    ]
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, one used, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
    title = f"{b} responses x {k} criteria x {t} tokens, float32: relevance {b * k * t * 4 / 2**20:.0f} MiB; {machine}"
    bounds = f"Bounds: {AT_LEAST_FASTER:.0f}x plain Python per token, {AT_MOST_MEMORY:.0f}x relevance in memory"
    verdict = f"{bounds}: {'MISSED: ' + '; '.join(missed) if missed else 'held'}."
    reached = [row["partition"] for row in rows if row["faster_than_per_row_torch"] >= AT_LEAST_FASTER]
    rest = (
        f"Over the torch loop, which computes each row at vector speed already, {AT_LEAST_FASTER:.0f}x is reached by "
        f"{', '.join(f'`{name}`' for name in reached) or 'none'}."
    )
    report = f"# Credit\n\n`python benches/bench_credit.py`\n\n{title}\n\n{table(rows)}\n\n{verdict} {rest}\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    data = {"machine": machine, "responses": b, "criteria": k, "tokens": t, "missed": missed, "partitions": rows}
    (arguments.output / "bench_credit.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    (arguments.output / "bench_credit.md").write_text(report, encoding="utf-8")
    print(report)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
