"""RTT's own rules: each stands beside an official one that is wrong, and decides as the instruction says.

    ifeval         21 rules of IFEval, by their names
    ifbench        31 of IFBench
    muldimif       5 for what MulDimIF's checkers read wrongly in a constraint's text
    text           words, sentences, paragraphs and bullet points as all of them read the response

The official rules stay as they are; ``docs/corrected-rules.md`` shows every difference by an example. The docstrings
here say what is decided, and where the evidence is another than the official rule's.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.corrected import ifbench, ifeval, muldimif
from rtt.verifiers.rules.registered import RegisteredRule

RULES: Mapping[str, RegisteredRule] = {**ifeval.RULES, **ifbench.RULES, **muldimif.RULES}
"""Each rule by its name, the family included."""
