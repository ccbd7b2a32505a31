"""The 58 instruction types of IFBench (arXiv:2507.02833): their arguments and descriptions.

    counting    count · ratio · words · repeat
    form        sentence · format · custom

The arguments are those of the benchmark's ``kwargs``, all of them required.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtt.rule_schemas.ifbench import counting, form
from rtt.rule_schemas.schema import RuleSchema

RULES: Mapping[str, RuleSchema] = {**counting.RULES, **form.RULES}
"""Each rule's schema by its official name."""
