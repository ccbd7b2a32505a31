"""``punctuation:no_comma``."""

from __future__ import annotations

from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, offending, whole


def no_comma(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """There is no comma.

    Official behaviour: only the ASCII comma counts, in numbers too; "，" and "、" do not.

    Evidence, violated: each comma violates; delete them all and the verdict turns. Satisfied: the whole response (the
    absence is nowhere in particular).
    """
    found: list[Bounds] = []
    at = text.find(",")
    while at >= 0:
        found.append((at, at + 1))
        at = text.find(",", at + 1)
    return offending(found, f"commas: {len(found)}") if found else whole(True, "no comma")
