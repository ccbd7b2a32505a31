"""The verdicts of MulDimIF's official evaluator, constraint by constraint."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from benchmark_data import benchmark_file

from rtt.rule_schemas import rule_names
from rtt.rule_schemas.muldimif import LABELS, rule_of_label
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule


def entries() -> list[dict[str, Any]]:
    return [json.loads(line) for line in benchmark_file("golden/muldimif_stress.jsonl").read_text("utf-8").splitlines()]


def test_verdicts_are_the_official_ones() -> None:
    pytest.importorskip("zhconv")
    different: list[str] = []
    compared: Counter[tuple[str, bool]] = Counter()
    for row in entries():
        for (category, subcategory, text), official in zip(row["constraints"], row["judges"], strict=True):
            rule = rule_of_label(category, subcategory)
            verdict = verify_rule(rule, {"text": text}, row["response"])
            compared[rule, bool(official)] += 1
            if verdict.outcome is not (Outcome.SATISFIED if official else Outcome.VIOLATED):
                different.append(f"{row['key']} {rule} {text!r}: {verdict.outcome.name}, {verdict.reason}")
    assert different == []
    assert compared.total() == 2090
    assert {rule for rule, _ in compared} == set(rule_names("muldimif"))


def test_every_constraint_of_the_data_has_a_rule() -> None:
    items = json.loads(benchmark_file("muldimif/test.json").read_text("utf-8"))
    constraints = [constraint for item in items for constraint in item["constraints"]]
    assert (len(items), len(constraints)) == (1200, 4180)
    assert {rule_of_label(category, subcategory) for category, subcategory, _ in constraints} == set(LABELS.values())
    assert len(LABELS) == 55
