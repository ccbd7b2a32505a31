"""The 12 checkers of MulDimIF (arXiv:2505.07591), each with one argument: the English ``text`` of a constraint.

MulDimIF's data labels a constraint with a category and a subcategory, 55 pairs in all; its evaluator hands each pair to
one of 12 checkers, which here have the names of rules: :func:`rule_of_label`. The label says how to read the text, and
is not always what the text is about ("Content", "Length" goes to ``muldimif:Content:Others``).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from rtt.errors import DataError
from rtt.rule_schemas.schema import RuleArguments, RuleSchema, Text

FAMILY = "muldimif"


class ConstraintText(RuleArguments):
    """The constraint's ``text``, as it stands in the data."""

    text: Text


def _describe(a: ConstraintText) -> str:
    return a.text


_LABELS: Mapping[str, tuple[str, ...]] = {
    "Content:Keywords": ("Content_Keywords", "Content_Keywords: Must include"),
    "Length:Words": (
        "Length_Words",
        "Length_Words: At most",
        "Length_Words: At least",
        "Length_Words: Range",
        "Words_At most",
        "Format_Word Count",
    ),
    "Length:Sentences": (
        "Length_Sentences",
        "Length_Sentences: At least",
        "Length_Sentences: At most",
        "Length_Sentences: Range",
        "Sentences_At most",
        "Sentences_At least",
    ),
    "Length:Paragraphs": (
        "Length_Paragraphs",
        "Length_Paragraphs: At most",
        "Length_Paragraphs: At least",
        "Length_Paragraphs: Range",
        "Paragraphs_At most",
    ),
    "Format:Table": (
        "Format_Table",
        "Format_Table: Row limit",
        "Format_Table: Column limit",
        "Table_Row limit",
        "Table_Column limit",
    ),
    "Content:Punctuation": (
        "Content_Punctuation",
        "Content_Punctuation: Ending punctuation",
        "Punctuation_Ending punctuation",
    ),
    "Language:English": ("Language_English", "Language_English: Capitalized", "Language_English: All Uppercase"),
    "Format:Markdown": (
        "Format_Markdown",
        "Format_Markdown: Heading levels",
        "Markdown_Heading levels",
        "Markdown_Block quotes",
    ),
    "Format:Json": ("Format_Json", "Json_Object nesting levels", "Json_Number of attributes"),
    "Language:Chinese": ("Language_Chinese", "Language_Chinese: Simplified", "Language_Chinese: Traditional"),
    "Content:Others": (
        "Content_Identifiers",
        "Content_Length",
        "Content_Quotes",
        "Content_Sources",
        "Content_Mention",
        "Citations_In-text",
    ),
    "Format:Others": (
        "Format_Markdown: Block quotes",
        "Format_Text",
        "Format_Bullet Points",
        "Format_XML",
        "Format_Blurb",
        "Format_Length",
        "XML_Number of attributes",
        "References_Format",
        "Table_Table",
    ),
}

LABELS: Mapping[tuple[str, str], str] = {
    (label.partition("_")[0], label.partition("_")[2]): f"{FAMILY}:{checker}"
    for checker, labels in _LABELS.items()
    for label in labels
}
"""The rule of each label, by category and subcategory."""

RULES: Mapping[str, RuleSchema] = {f"{FAMILY}:{checker}": RuleSchema(ConstraintText, _describe) for checker in _LABELS}
"""Each rule's schema by its name, the family included."""


def rule_of_label(category: str, subcategory: str) -> str:
    """The rule that decides a constraint with this label: ``("Table", "Row limit")`` gives ``"muldimif:Format:Table"``.

    Raises:
        DataError: MulDimIF has no such label; the message shows those that are close.
    """
    rule = LABELS.get((category, subcategory))
    if rule is not None:
        return rule
    known = {f"{first}_{second}": (first, second) for first, second in LABELS}
    near = difflib.get_close_matches(f"{category}_{subcategory}", known, n=3, cutoff=0.5)
    hint = " or ".join(str(list(known[label])) for label in near)
    raise DataError(
        f"MulDimIF has no constraints with the label {[category, subcategory]}; "
        + (f"did you mean {hint}?" if near else f"expected one of {[list(label) for label in LABELS]}")
    )
