"""The checks of MulDimIF's 12 checkers, as its evaluator decides; each reads the English text of a constraint.

    keywords                Content:Keywords
    length                  Length:Words · Length:Sentences · Length:Paragraphs
    table                   Format:Table
    punctuation             Content:Punctuation
    language                Language:English · Language:Chinese
    markdown                Format:Markdown
    levels                  Format:Json
    others                  Content:Others · Format:Others
    text                    numbers in words, keywords, elements of a response

Reading a constraint stands apart from checking a response: it is done once, and every reason begins with how the
constraint was read. Where the official checker reads nothing in it, and lets every response pass or none, the reason
says so. No judge is asked anywhere: the official evaluator has none.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.muldimif import keywords, language, length, levels, markdown, others, punctuation, table
from rtt.verifiers.rules.registered import Check, RegisteredRule

_CHECKS: Mapping[str, Check] = {
    "Content:Keywords": keywords.keywords,
    "Length:Words": length.words,
    "Length:Sentences": length.sentences,
    "Length:Paragraphs": length.paragraphs,
    "Format:Table": table.table,
    "Content:Punctuation": punctuation.punctuation,
    "Language:English": language.english,
    "Format:Markdown": markdown.markdown,
    "Format:Json": levels.json_levels,
    "Language:Chinese": language.chinese,
    "Content:Others": others.content_others,
    "Format:Others": others.format_others,
}

RULES: Mapping[str, RegisteredRule] = {
    f"muldimif:{name}": RegisteredRule(check, reads_blank=True) for name, check in _CHECKS.items()
}
"""Each rule by its name, the family included."""
