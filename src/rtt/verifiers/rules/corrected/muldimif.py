"""What MulDimIF's constraints ask for, told by arguments: where its checkers read a constraint's text wrongly."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rtt.rule_schemas.corrected import Ending, Length
from rtt.verifiers.rules.corrected.text import last_sign, limited, paragraphs_of, sentences_of, words
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, present
from rtt.verifiers.rules.muldimif.text import lines_of, trimmed
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import stripped


def length_words(text: str, arguments: Length, deadline: Deadline) -> Finding:
    """So many words, divided by blanks or long dashes; each Chinese character is one.

    Evidence: see :func:`rtt.verifiers.rules.corrected.text.limited`.
    """
    return limited(text, words(text, deadline), arguments.relation, arguments.number, "words")


def length_sentences(text: str, arguments: Length, deadline: Deadline) -> Finding:
    """So many sentences: "Wait..." is one, and so is "It costs 3.50."; headings and items of lists are some too.

    Evidence: see :func:`rtt.verifiers.rules.corrected.text.limited`.
    """
    return limited(text, sentences_of(text, deadline), arguments.relation, arguments.number, "sentences")


def length_paragraphs(text: str, arguments: Length, deadline: Deadline) -> Finding:
    """So many paragraphs between blank lines, which may have blanks in them.

    Evidence: see :func:`rtt.verifiers.rules.corrected.text.limited`.
    """
    return limited(text, paragraphs_of(text), arguments.relation, arguments.number, "paragraphs")


_DIVIDER = re.compile(r"\|?(?:[ \t]*:?-+:?[ \t]*\|)*[ \t]*:?-+:?[ \t]*\|?")


def table_rows(text: str, arguments: Length, deadline: Deadline) -> Finding:
    """The first markdown table has so many rows below its header and its dividing line.

    Evidence, satisfied: the table's rows support. Too many: the rows after the last that is allowed violate; delete
    them and the verdict turns. Too few: the rows support and something is missing; so it is without a table.
    """
    lines = [trimmed(text, bounds) for bounds in lines_of(text)]
    divider = next((at for at in range(1, len(lines)) if _divides(text, lines[at - 1], lines[at])), None)
    if divider is None:
        return absent("no table with a header and a dividing line")
    rows: list[Bounds] = []
    for start, end in lines[divider + 1 :]:
        deadline.remaining()
        if "|" not in text[start:end]:
            break
        rows.append((start, end))
    finding = limited(text, rows, arguments.relation, arguments.number, "rows", tail=rows[-1][1] if rows else 0)
    if finding.satisfied:
        return present([lines[divider - 1], lines[divider], *rows], finding.reason)
    return absent(finding.reason, rows) if finding.missing else finding


def _divides(text: str, header: Bounds, line: Bounds) -> bool:
    bars = text.count("|", *line)
    return (
        bars > 0 and "|" in text[slice(*header)] and "-" in text[slice(*line)] and bool(_DIVIDER.fullmatch(text, *line))
    )


def ending(text: str, arguments: Ending, deadline: Deadline) -> Finding:
    """The response ends with the sign; closing quotation marks, brackets and emphasis after it are ignored.

    Evidence, satisfied: the sign supports. Violated: the last sign or word that is there violates.
    """
    start, end = stripped(text)
    if text[end - 1] == arguments.sign:
        return present([(end - 1, end)], f"ends with {arguments.sign!r}")
    at = last_sign(text, (start, end))
    reason = f"ends with {text[at]!r}, expected {arguments.sign!r}"
    if text[at] == arguments.sign:
        return present([(at, at + 1)], f"ends with {arguments.sign!r}")
    return offending([(at, at + 1)], reason)


RULES: Mapping[str, RegisteredRule] = {
    "rtt:length:words": RegisteredRule(length_words),
    "rtt:length:sentences": RegisteredRule(length_sentences),
    "rtt:length:paragraphs": RegisteredRule(length_paragraphs),
    "rtt:format:table_rows": RegisteredRule(table_rows),
    "rtt:punctuation:ending": RegisteredRule(ending),
}
"""Each rule by its name, the family included."""
