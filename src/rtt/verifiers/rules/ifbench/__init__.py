"""The checks of the 58 instruction types of IFBench, a group a file, as its evaluator decides them today.

count · ratio · words · repeat · sentence · format · custom
"""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.ifbench import count, custom, format, ratio, repeat, sentence, words
from rtt.verifiers.rules.registered import RegisteredRule

RULES: Mapping[str, RegisteredRule] = {
    **count.RULES,
    **ratio.RULES,
    **words.RULES,
    **repeat.RULES,
    **sentence.RULES,
    **format.RULES,
    **custom.RULES,
}
"""Each rule by its official name."""
