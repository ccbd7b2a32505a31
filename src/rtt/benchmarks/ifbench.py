"""IFBench (arXiv:2507.02833): 294 or 300 prompts, 58 types of instructions that few models were trained on.

The official evaluator is allenai/IFBench; verdicts here are those of its checkers as they stand today (August 2026),
which differ from those of 2025 in a few of a thousand. Both data files load: the one of 2025 with 294 rows, where one
prompt is seven glued together, and today's with 300. Fields as in IFEval; ``key`` is text, unused arguments are null.
The authors report prompt-level loose accuracy at temperature 0, with reasoning removed.
"""

from __future__ import annotations

from rtt.benchmarks import Benchmark, HubData, Sampling
from rtt.benchmarks.ifeval import parse

BENCHMARK = Benchmark(
    name="ifbench",
    title="IFBench",
    paper="arXiv:2507.02833",
    licence="ODC-BY-1.0",
    hub=HubData("allenai/IFBench_test", "train"),
    parse=parse,
    loose=True,
    headline="prompt_loose",
    sampling=Sampling(0.0, 2048, "temperature 0 (the authors); the limit is ours"),
)
