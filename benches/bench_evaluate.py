"""Scoring IFEval: this package beside the official checkers, on the same responses, in one run.

    make bench-evaluate [ARGS="--data input_data.jsonl --responses answers.jsonl"]

The official evaluator is on no package index; lm-evaluation-harness (lm-eval[ifeval]) carries its checkers, in an
environment of its own that the make target builds. Strict and loose verdicts of every response, each side in a process
of its own, in turn: theirs, ours, ours without the extra `fast` (langdetect instead of its Rust twin). What is timed
comes after the imports, after the data is read and after one response of each kind, so that no side loads anything.
Times are medians over the rounds, the ratio is that of each round.

Without --data and --responses the 576 bundled responses to the demo's tasks are scored, whose rules are IFEval's and
which are a tenth as long as answers to IFEval: there a rule's own work is little, and what surrounds it counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def rows(data: Path | None, responses: Path | None) -> list[dict[str, Any]]:
    """Instructions, arguments, prompt and response of each line, as both sides read them."""
    from rtt.answers import read_responses
    from rtt.rubrics import read_tasks

    folder = ROOT / "src/rtt/data"
    files = [data] if data else [folder / "demo_train.jsonl", folder / "demo_heldout.jsonl"]
    tasks = {task.id: task for file in files for task in read_tasks(file)}
    answers = read_responses(responses or folder / "demo_responses.jsonl", tasks, files[0])
    found = []
    for answer in answers:
        rules = [criterion.rule for criterion in answer.task.rubric.criteria if criterion.rule is not None]
        found.append(
            {
                "instruction_id_list": [rule.name for rule in rules],
                "kwargs": [rule.arguments for rule in rules],
                "prompt": answer.task.prompt[-1].content,
                "response": answer.text,
            }
        )
    return found


# ------------------------------------------------------------------------------------------------------- the two sides


def official(lines: list[dict[str, Any]]) -> Callable[[], list[Any]]:
    """Strict and loose verdicts of the official checkers, as lm-evaluation-harness runs them."""
    from lm_eval.tasks.ifeval import utils

    examples = [
        utils.InputExample(
            key=0, instruction_id_list=line["instruction_id_list"], prompt=line["prompt"], kwargs=line["kwargs"]
        )
        for line in lines
    ]

    def run() -> list[Any]:
        found = []
        for example, line in zip(examples, lines, strict=True):
            strict = utils.test_instruction_following_strict(example, line["response"])
            loose = utils.test_instruction_following_loose(example, line["response"])
            found.append([strict.follow_instruction_list, loose.follow_instruction_list])
        return found

    return run


def ours(lines: list[dict[str, Any]]) -> Callable[[], list[Any]]:
    """Strict and loose verdicts as ``rtt evaluate`` gives them, evidence included."""
    from rtt.benchmarks import benchmark
    from rtt.benchmarks.scoring import Answer, score

    ifeval = benchmark("ifeval")
    answers = []
    for number, line in enumerate(lines):
        fields = {name: line[name] for name in ("prompt", "instruction_id_list", "kwargs")}
        answers.append(Answer(ifeval.parse({"key": number, **fields}), line["response"]))

    def run() -> list[Any]:
        found = []
        for scored in score(ifeval, answers):
            assert scored.loose is not None
            found.append([[outcome > 0 for outcome in scored.strict], [outcome > 0 for outcome in scored.loose]])
        return found

    return run


def work(side: str, file: Path) -> None:
    """One side's round: what a process of its own does."""
    lines = json.loads(file.read_text("utf-8"))
    if side == "official":
        import llama_index.core  # carries the sentence model that NLTK would download

        os.environ["NLTK_DATA"] = str(Path(llama_index.core.__file__).parent / "_static/nltk_cache")
        import langdetect

        langdetect.DetectorFactory.seed = 0
        side_of = official
    else:
        if side == "ours, without fast":
            sys.modules["langdetect_rs"] = None  # type: ignore[assignment]
        side_of = ours
    first = {name: line for line in lines for name in line["instruction_id_list"]}
    side_of(list(first.values()))()  # loads what each kind needs
    run = side_of(lines)
    start = time.perf_counter()
    found = run()
    print(json.dumps({"seconds": time.perf_counter() - start, "verdicts": found}))


# ----------------------------------------------------------------------------------------------------------- the bench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--responses", type=Path)
    parser.add_argument("--official-python", type=Path, default=ROOT / "build/official/bin/python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "results")
    parser.add_argument("--work", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]))
        return
    if not options.official_python.exists():
        sys.exit(f"{options.official_python} is not there; `make bench-evaluate` builds it")
    lines = rows(options.data, options.responses)
    pythons = {
        "official": str(options.official_python),
        "ours": sys.executable,
        "ours, without fast": sys.executable,
    }
    seconds: dict[str, list[float]] = {side: [] for side in pythons}
    verdicts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text(json.dumps(lines), "utf-8")
        for number in range(options.rounds):
            for side, python in pythons.items():
                command = [python, __file__, "--work", side, str(file)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                answer = json.loads(done.stdout.splitlines()[-1])
                seconds[side].append(answer["seconds"])
                verdicts[side] = answer["verdicts"]
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    what = f"{options.data.name} and {options.responses.name}" if options.data else "the bundled responses"
    result = {"what": what, **summarise(lines, seconds, verdicts)}
    options.output.mkdir(parents=True, exist_ok=True)
    name = "bench_evaluate_ifeval" if options.data else "bench_evaluate"
    (options.output / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (options.output / f"{name}.md").write_text(to_markdown(result), "utf-8")
    print(to_markdown(result))


def summarise(lines: list[dict[str, Any]], seconds: dict[str, list[float]], verdicts: dict[str, Any]) -> dict[str, Any]:
    flat = {side: [v for modes in found for mode in modes for v in mode] for side, found in verdicts.items()}
    return {
        "responses": len(lines),
        "instructions": sum(len(line["instruction_id_list"]) for line in lines),
        "seconds": seconds,
        "faster": {
            side: {
                "median": statistics.median(ratios),
                "min": min(ratios),
                "max": max(ratios),
            }
            for side in seconds
            if (ratios := [theirs / own for theirs, own in zip(seconds["official"], seconds[side], strict=True)])
        },
        "verdicts": len(flat["official"]),
        "different verdicts": sum(a != b for a, b in zip(flat["official"], flat["ours"], strict=True)),
        "different types": sorted(
            {
                name
                for line, theirs, own in zip(lines, verdicts["official"], verdicts["ours"], strict=True)
                for one, other in zip(theirs, own, strict=True)
                for name, a, b in zip(line["instruction_id_list"], one, other, strict=True)
                if a != b
            }
        ),
        "fast changes verdicts": sum(a != b for a, b in zip(flat["ours"], flat["ours, without fast"], strict=True)),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def to_markdown(result: dict[str, Any]) -> str:
    table = [
        f"| {side} | {statistics.median(times):.2f} | {result['responses'] / statistics.median(times):,.0f} | "
        f"{result['faster'][side]['median']:.1f} [{result['faster'][side]['min']:.1f}, "
        f"{result['faster'][side]['max']:.1f}] |"
        for side, times in result["seconds"].items()
    ]
    return "\n".join(
        [
            "# Scoring IFEval beside the official checkers",
            "",
            f"`make bench-evaluate`: {result['what']}, {result['responses']} responses, {result['instructions']} "
            f"instructions, strict and loose; medians of {len(result['seconds']['ours'])} rounds in turn, one process "
            f"each; {result['machine']}.",
            "The official checkers are those that lm-eval 0.4.13 carries.",
            "",
            "| | seconds | responses a second | times as fast [min, max] |",
            "| --- | ---: | ---: | ---: |",
            *table,
            "",
            f"{result['different verdicts']} of {result['verdicts']} verdicts differ between official and ours "
            f"({', '.join(result['different types']) or 'none'}); the extra `fast` changes "
            f"{result['fast changes verdicts']}. Official ones that draw a letter at random (two prompts of IFEval) "
            "vary.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
