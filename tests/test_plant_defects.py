"""tools/plant_defects.py: every defect still has its place, or planting it would stop half-way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from plant_defects import DEFECTS, Defect  # noqa: E402


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_has_exactly_one_place_and_its_tests_are_there(defect: Defect) -> None:
    assert (ROOT / "src" / defect.file).read_text(encoding="utf-8").count(defect.old) == 1
    assert defect.new != defect.old
    assert all((ROOT / test).exists() for test in defect.tests)
