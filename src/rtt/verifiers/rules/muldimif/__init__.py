"""The checks of MulDimIF, which read the text of the constraint."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.registered import RegisteredRule

RULES: Mapping[str, RegisteredRule] = {}
"""Each rule by its canonical name."""
