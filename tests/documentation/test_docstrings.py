"""How docstrings become Markdown for the reference pages; griffe comes with the extra ``docs``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from documentation.blocks import ROOT

griffe = pytest.importorskip("griffe")


@pytest.fixture(scope="module")
def docstrings() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docstrings", ROOT / "tools/docstrings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def credit() -> object:
    """The package as griffe reads it, without importing it."""
    return griffe.load("rtt.credit", search_paths=[ROOT / "src"], allow_inspection=False)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (":func:`collate`", '<autoref identifier="rtt.credit.batch.collate" optional><code>collate</code></autoref>'),
        (":class:`~rtt.rubrics.Task`", '<autoref identifier="rtt.rubrics.Task" optional><code>Task</code></autoref>'),
        (":mod:`rtt.verdicts`", '<autoref identifier="rtt.verdicts" optional><code>rtt.verdicts</code></autoref>'),
        ("For example::\n\n    x = 1\n", "For example:\n\n    x = 1\n"),
        ("relevance: [K][T]", "relevance: [K]\\[T]"),
        ("What.\n\na    one\nb    two\n", "What.\n\n```text\na    one\nb    two\n```\n"),
        ("    name     what for\n", "    name     what for\n"),
        ("One sentence.  Another.\n", "One sentence.  Another.\n"),
    ],
)
def test_a_mark_is_shown_as(docstrings: ModuleType, credit: object, written: str, shown: str) -> None:
    assert docstrings.markdown(written, credit) == shown


def test_every_docstring_of_a_package_is_rewritten(docstrings: ModuleType) -> None:
    extensions = griffe.load_extensions(docstrings.Roles)
    package = griffe.load("rtt", search_paths=[ROOT / "src"], allow_inspection=False, extensions=extensions)
    assert Path(str(package.filepath)).is_relative_to(ROOT / "src")
    left = []
    waiting = [package]
    while waiting:
        one = waiting.pop()
        waiting += [member for member in one.members.values() if not member.is_alias]
        if one.docstring and docstrings.ROLE.search(one.docstring.value):
            left.append(one.path)
    assert not left
