"""Every public name has its place in the API reference; `make docs` builds it, this looks it up in the sources."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest
from documentation.blocks import ROOT

import rtt

TEXT = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "docs/reference").glob("*.md")))
SHOWN = re.findall(r"^::: (\S+)$", TEXT, re.MULTILINE)
"""The modules whose public names the pages show."""

PACKAGES = ["rtt", *(module.name for module in pkgutil.walk_packages(rtt.__path__, "rtt.") if module.ispkg)]
PUBLIC = [name for name in PACKAGES if "__all__" in vars(importlib.import_module(name))]


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_of_a_package_is_on_a_page(package: str) -> None:
    if package in SHOWN:
        return
    module = importlib.import_module(package)
    for name in set(module.__all__) - {"__version__"}:
        home = getattr(module, name).__module__
        assert home in SHOWN, f"{package}.{name} is on no page of docs/reference: {home} is not"
        assert f"[{home}.{name}]" in TEXT, f"docs/reference/index.md does not name {name}"


def test_pages_show_modules_once_and_names_that_exist() -> None:
    assert len(SHOWN) == len(set(SHOWN))
    for name, members in re.findall(r"^::: (\S+)\n    options:\n      members: \[(.*)\]$", TEXT, re.MULTILINE):
        module = importlib.import_module(name)
        assert all(hasattr(module, member) for member in members.split(", ")), name
    for name in SHOWN:
        importlib.import_module(name)
