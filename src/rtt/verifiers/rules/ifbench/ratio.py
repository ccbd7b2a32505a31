"""Shares and balances: the group ``ratio``."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.registered import RegisteredRule

RULES: Mapping[str, RegisteredRule] = {}
"""Each rule by its official name."""
