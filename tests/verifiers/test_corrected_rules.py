"""The page of corrected rules: each of its examples is run, with the official rule and with the corrected one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rtt.rule_schemas import describe, family_of, full_name, rule_names
from rtt.rule_schemas.corrected import RULES
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule

PAGE = Path(__file__).parents[2] / "docs" / "corrected-rules.md"
VERDICTS = {"met": Outcome.SATISFIED, "broken": Outcome.VIOLATED, "undetermined": Outcome.UNDETERMINED}

Row = tuple[str, dict[str, Any], str, str, str, dict[str, Any], str]


def rows() -> list[Row]:
    """Official rule, arguments, response, verdict; corrected rule, arguments, verdict."""
    found: list[Row] = []
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        official, _, response, verdict, corrected, corrected_verdict = (part.strip() for part in line.split("|")[1:-1])
        name, arguments = _rule(official)
        other, others = _rule(corrected)
        text = json.loads(response.strip("`"))
        found.append((name, arguments or {}, text, verdict, other, _others(name, arguments, others), corrected_verdict))
    return found


def _others(official: str, arguments: dict[str, Any] | None, others: dict[str, Any] | None) -> dict[str, Any]:
    """A corrected rule has the official arguments, but for MulDimIF's, which are a text."""
    return others or ({} if official.startswith("muldimif:") else arguments) or {}


def _rule(cell: str) -> tuple[str, dict[str, Any] | None]:
    name, *arguments = re.findall("`([^`]+)`", cell)
    return name, json.loads(arguments[0]) if arguments else None


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[4])
def test_the_page_tells_what_both_rules_say(row: Row) -> None:
    official, arguments, text, verdict, corrected, others, corrected_verdict = row
    assert verify_rule(official, arguments, text).outcome is VERDICTS[verdict]
    assert verify_rule(corrected, others, text).outcome is VERDICTS[corrected_verdict]
    assert verdict != corrected_verdict
    assert family_of(official) in ("ifeval", "ifbench", "muldimif")


def test_the_page_shows_every_corrected_rule() -> None:
    assert {row[4] for row in rows()} == set(rule_names("rtt")) == set(RULES)


def test_a_corrected_rule_of_ifeval_or_ifbench_stands_beside_the_one_of_its_name() -> None:
    for official, arguments, _, _, corrected, others, _ in rows():
        if family_of(official) != "muldimif":
            assert (corrected, others) == (f"rtt:{official}", arguments)


def test_a_corrected_rule_has_one_name_everywhere_and_reads_in_words() -> None:
    for *_, corrected, others, _ in rows():
        assert full_name(corrected) == corrected
        assert family_of(corrected) == "rtt"
        assert len(describe(corrected, others)) > 20
