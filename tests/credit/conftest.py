"""Every call of ``rtt.credit`` in these tests is checked against its annotated shapes, by jaxtyping and beartype."""

from __future__ import annotations

import importlib
import sys
import typing

import credit.checks  # noqa: F401 - this, torch and rtt.errors are loaded before the switch, which is for rtt.credit
import torch  # noqa: F401
from jaxtyping import install_import_hook

import rtt.errors  # noqa: F401

if "rtt.credit" not in sys.modules:
    # The annotations' names are imported for type checkers only, and here beartype is one. When something else has
    # loaded rtt.credit first, test_shapes_are_checked says so.
    typing.TYPE_CHECKING = True
    try:
        with install_import_hook("rtt.credit", "credit.checks.check"):
            importlib.import_module("rtt.credit")
    finally:
        typing.TYPE_CHECKING = False
