"""Rules of our own beside those whose official check is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.rule_schemas.schema import RuleSchema

RULES: Mapping[str, RuleSchema] = {}
"""Each rule's schema by its canonical name."""
