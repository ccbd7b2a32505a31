"""IFEval (arXiv:2311.07911): 541 prompts, 834 instructions of 25 types, strict and loose.

The official evaluator is google-research's ``instruction_following_eval``. Its data file is ``input_data.jsonl``:
``key``, ``prompt``, ``instruction_id_list``, ``kwargs``. It prescribes no sampling; papers take the likeliest tokens.
Where its verdicts change from run to run (language detection, a letter that is none), ours do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtt.benchmarks import Benchmark, HubData, Prompt, Sampling
from rtt.errors import DataError
from rtt.rubrics import parse_task


def parse(row: Mapping[str, Any]) -> Prompt:
    """A row of IFEval's data file, or of IFBench's, which has the same fields.

    Raises:
        DataError: the row is none; the message names the field.
    """
    if "instruction_id_list" not in row:
        raise DataError(
            f"instruction_id_list: is missing, the keys are {list(row)[:10]}; expected the data file's rows"
        )
    task = parse_task(row)
    types = tuple(criterion.rule.name for criterion in task.rubric.criteria if criterion.rule is not None)
    return Prompt(key=task.metadata["key"], task=task, types=types)


BENCHMARK = Benchmark(
    name="ifeval",
    title="IFEval",
    paper="arXiv:2311.07911",
    licence="Apache-2.0",
    hub=HubData("google/IFEval", "train"),
    parse=parse,
    loose=True,
    headline="prompt_strict",
    sampling=Sampling(0.0, 1280, "none prescribed; the likeliest tokens, and lm-evaluation-harness's limit of 1280"),
)
