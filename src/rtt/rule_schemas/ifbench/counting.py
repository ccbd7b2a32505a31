"""What IFBench counts and compares: the groups ``count``, ``ratio``, ``words`` and ``repeat``."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.rule_schemas.schema import RuleSchema

RULES: Mapping[str, RuleSchema] = {}
"""Each rule's schema by its official name."""
