"""Rules of our own beside those whose official check is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.registered import RegisteredRule

RULES: Mapping[str, RegisteredRule] = {}
"""Each rule by its canonical name."""
