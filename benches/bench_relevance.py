"""Time of the discriminators: what K criteria cost in one pass, and what sorting by length saves.

    python benches/bench_relevance.py [--joint DIR] [--cross DIR] [--examples FILE] [--output results]

By default the discriminators and examples are those of `make discriminator` (runs/discriminator).

One run, one machine, the same backbone:

    1. joint against cross at K = 1, 2, 5, 10, 20 criteria on 64 responses of 256 tokens (seconds, best of --repeats);
       eight responses share a prompt and its criteria, as the groups of a rollout do
    2. cross with batches sorted by length against cross with every row padded to the longest of its batch, on
       responses whose lengths are those of the bundled ones
    3. average precision of both on the held-out examples
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from rtt.demo.discriminator import bundled_responses
from rtt.relevance.discriminator.evaluation import difference, measure, score_examples, spread
from rtt.relevance.discriminator.examples import read_examples, split_examples
from rtt.relevance.discriminator.inputs import Row, row_length
from rtt.relevance.discriminator.model import Discriminator
from rtt.relevance.discriminator.patterns import HELD_OUT_KINDS

CRITERIA = (1, 2, 5, 10, 20)
RESPONSES = 64
GROUP = 8
TOKENS = 256


def main() -> None:
    options = _options()
    torch.manual_seed(0)
    joint = Discriminator.from_pretrained(options.joint)
    cross = Discriminator.from_pretrained(options.cross)
    result: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()},
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "criteria": _by_criteria(joint, cross, options.repeats),
        "sorting": _by_sorting(cross, options.repeats),
    }
    result["average_precision"] = _by_precision(joint, cross, options.examples, options.limit)
    _show(result)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench_relevance.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (options.output / "bench_relevance.md").write_text(_markdown(result), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run = Path("runs/discriminator")
    parser.add_argument("--joint", type=Path, default=run / "joint/model", help="a joint discriminator")
    parser.add_argument("--cross", type=Path, default=run / "cross/model", help="a cross one on the same backbone")
    parser.add_argument("--examples", type=Path, default=run / "examples.jsonl", help="for average precision")
    parser.add_argument("--limit", type=int, default=300, help="examples of each split (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="times that each is run; the best counts")
    parser.add_argument("--output", type=Path, default=Path("results"), help="for bench_relevance.json and .md")
    options = parser.parse_args()
    for path in (options.joint, options.cross, options.examples):
        if not path.exists():
            parser.error(f"{path} is not there; make it with `make discriminator`, or name another")
    return options


def _best(work: Callable[[], Any], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _texts(discriminator: Discriminator) -> list[str]:
    """64 texts of exactly 256 tokens, from the bundled responses one after another."""
    (encoded,) = discriminator.encoder.responses([" ".join(text for _, _, text in bundled_responses())])
    whole = " ".join(text for _, _, text in bundled_responses())
    cuts = [int(encoded.spans[i * TOKENS, 0]) for i in range(RESPONSES + 1)]
    return [whole[a:b] for a, b in itertools.pairwise(cuts)]


def _criteria() -> list[str]:
    """Different criteria of the bundled tasks."""
    from rtt.demo.run import bundled_tasks

    tasks = bundled_tasks("heldout") + bundled_tasks("train")
    return list(dict.fromkeys(criterion.text for task in tasks for criterion in task.rubric.criteria))


def _by_criteria(joint: Discriminator, cross: Discriminator, repeats: int) -> list[dict[str, float]]:
    texts, criteria = _texts(joint), _criteria()
    rows = []
    for count in CRITERIA:
        asked = [criteria[i // GROUP * count :][:count] for i in range(len(texts))]
        assert all(len(one) == count for one in asked)
        seconds = {
            name: _best(lambda d=discriminator, asked=asked: d.characters(asked, texts), repeats)
            for name, discriminator in (("joint", joint), ("cross", cross))
        }
        rows.append({"criteria": count, **seconds, "ratio": seconds["cross"] / seconds["joint"]})
        print(f"K = {count}: joint {seconds['joint']:.2f} s, cross {seconds['cross']:.2f} s", flush=True)
    return rows


def _by_sorting(cross: Discriminator, repeats: int) -> dict[str, float]:
    """Rows in the order they come, each batch padded to its longest, against batches of like length."""
    texts = [text for _, _, text in bundled_responses()][:128]
    asked = [[criterion] for criterion in _criteria()[: len(texts)]]
    encoded = cross.encoder.responses(texts)
    rows = [
        Row(one.cut(0, cross.window), (cross.encoder.criterion(c[0]),)) for one, c in zip(encoded, asked, strict=True)
    ]
    lengths = [row_length(row, cross.encoder, "cross") for row in rows]

    def padded() -> None:
        longest = max(lengths)
        for start in range(0, len(rows), per_batch := max(1, 4096 // longest)):
            with torch.inference_mode():
                cross.probabilities(rows[start : start + per_batch])

    def sorted_by_length() -> None:
        cross.characters(asked, texts)

    one, other = _best(sorted_by_length, repeats), _best(padded, repeats)
    return {
        "rows": len(rows),
        "shortest": min(lengths),
        "median": float(np.median(lengths)),
        "longest": max(lengths),
        "sorted": one,
        "padded": other,
        "ratio": other / one,
    }


def _by_precision(joint: Discriminator, cross: Discriminator, file: Path, limit: int) -> dict[str, Any]:
    parts = split_examples(read_examples(file), held_out_kinds=HELD_OUT_KINDS)
    found: dict[str, Any] = {}
    for split in ("seen", "wordings", "kinds"):
        examples = spread(parts[split], limit)
        scored = {name: score_examples(d, examples) for name, d in (("joint", joint), ("cross", cross))}
        values = {name: measure(one, 0.5).overall.average_precision for name, one in scored.items()}
        gap = difference(scored["joint"], scored["cross"])
        found[split] = {
            "examples": len(examples),
            **{name: None if value is None else [value.value, value.low, value.high] for name, value in values.items()},
            "joint - cross": None if gap is None else [gap.value, gap.low, gap.high],
        }
    return found


def _rows(result: dict[str, Any]) -> list[tuple[str, Sequence[str], list[Sequence[str]]]]:
    tables: list[tuple[str, Sequence[str], list[Sequence[str]]]] = [
        (
            f"{RESPONSES} responses of {TOKENS} tokens, seconds",
            ("criteria K", "joint", "cross", "cross / joint"),
            [
                (str(row["criteria"]), f"{row['joint']:.2f}", f"{row['cross']:.2f}", f"{row['ratio']:.1f}")
                for row in result["criteria"]
            ],
        ),
        (
            "cross, rows of {shortest} to {longest} tokens (median {median:.0f}), seconds".format(**result["sorting"]),
            ("rows", "sorted by length", "padded as they come", "ratio"),
            [
                (
                    str(result["sorting"]["rows"]),
                    f"{result['sorting']['sorted']:.2f}",
                    f"{result['sorting']['padded']:.2f}",
                    f"{result['sorting']['ratio']:.2f}",
                )
            ],
        ),
    ]
    tables.append(
        (
            "average precision [95 %]",
            ("held out", "examples", "joint", "cross", "joint - cross"),
            [
                (split, str(row["examples"]), *(_interval(row[name]) for name in ("joint", "cross", "joint - cross")))
                for split, row in result["average_precision"].items()
            ],
        )
    )
    return tables


def _interval(value: list[float] | None) -> str:
    if value is None:
        return "-"
    middle, low, high = value
    return f"{middle:.3f}" if low is None else f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _show(result: dict[str, Any]) -> None:
    for title, heads, rows in _rows(result):
        table = Table(*heads, title=title)
        for row in rows:
            table.add_row(*row)
        Console().print(table)


def _markdown(result: dict[str, Any]) -> str:
    lines = ["# bench-relevance", "", "`make bench-relevance`, one run on one machine.", ""]
    for title, heads, rows in _rows(result):
        lines += [f"## {title}", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    lines.append("```json")
    lines += [json.dumps({"machine": result["machine"], "versions": result["versions"]}), "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
