"""The 12 checkers of MulDimIF (arXiv:2505.07591): their argument is the text of the constraint."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.rule_schemas.schema import RuleSchema

RULES: Mapping[str, RuleSchema] = {}
"""Each rule's schema by its canonical name."""
