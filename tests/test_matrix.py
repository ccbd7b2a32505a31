"""tools/test_matrix.py chooses its versions of TRL from what pyproject.toml allows and what is released."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("test_matrix_tool", ROOT / "tools/test_matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_versions_are_the_oldest_allowed_one_between_and_the_newest(matrix: ModuleType) -> None:
    allowed = SpecifierSet(">=1.6,!=1.15.0,<1.17")
    released = ["1.16.0", "1.15.0", "1.10.0", "1.9.2", "1.6.0", "1.5.1", "1.12.0"]
    assert matrix.choose(released, allowed) == ["1.6.0", "1.10.0", "1.16.0"]
    assert matrix.choose([*released, "1.17.0", "1.18.0"], allowed) == ["1.6.0", "1.10.0", "1.18.0"]  # not yet allowed
    assert matrix.choose(["1.15.0", "1.14.0"], allowed) == ["1.14.0"]


def test_the_requirements_are_the_projects_but_for_trl(matrix: ModuleType) -> None:
    needed, allowed = matrix.requirements()
    assert {"torch", "transformers", "openai", "uvicorn", "pytest", "pydantic"} <= {
        line.split(">")[0] for line in needed
    }
    assert not any(line.startswith("trl") for line in needed)
    assert "1.16.0" in allowed
    assert "1.15.0" not in allowed


def test_a_version_without_a_passed_test_is_no_success(matrix: ModuleType) -> None:
    assert matrix.Result("1.6.0", passed=2).good
    assert not any(
        one.good
        for one in (matrix.Result("1"), matrix.Result("1", 2, failed=1), matrix.Result("1", 2, problem="no pip"))
    )
    shown = matrix.table([matrix.Result("1.6.0", 297, 1, 2, 61.4)]).splitlines()
    assert shown[0].split() == ["TRL", "passed", "failed", "skipped", "seconds"]
    assert shown[1].split() == ["1.6.0", "297", "1", "2", "61"]
