"""The verdicts of IFEval's official evaluator, entry by entry, where it is stable itself."""

from __future__ import annotations

import pytest
from golden.official import compare

STABLE = {
    ("golden/ifeval_rtt.jsonl", "strict"): 408,
    ("golden/ifeval_rtt.jsonl", "loose"): 409,
    ("golden/ifeval_stress.jsonl", "strict"): 416,
    ("golden/ifeval_stress.jsonl", "loose"): 415,
}


@pytest.mark.parametrize(("name", "mode"), STABLE)
def test_verdicts_are_the_official_ones(name: str, mode: str) -> None:
    different, compared = compare(name, mode)
    assert different == []
    assert compared == STABLE[name, mode]
