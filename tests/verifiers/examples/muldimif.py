"""Examples of MulDimIF's checkers; see ``test_rules``."""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, Any], str, str]


def _case(checker: str, constraint: str, expected: str, marked: str) -> Case:
    return f"muldimif:{checker}", {"text": constraint}, expected, marked


KEYWORDS = [
    _case("Content:Keywords", "Must include 'moon' and 'sun'.", "+", "⟦Moon⟧ and ⟦sun⟧."),
    _case("Content:Keywords", "Must include 'moon' and 'sun'.", "- missing", "⟦Moon⟧ and suns."),
    _case("Content:Keywords", "Must include 'moon' or 'sun'.", "+", "⟦Moon⟧."),
    _case("Content:Keywords", "Must include 'moon' at least twice.", "- missing", "⟦Moon⟧."),
    _case("Content:Keywords", "Avoid using the term 'moon'.", "-", "The ⟪moon⟫."),
    _case("Content:Keywords", "Avoid using the term 'moon'.", "+ whole", "The moons."),
    _case("Content:Keywords", "Must include a word on the moon.", "+ whole", "Nothing."),
    _case("Content:Keywords", "Each item must include 'moon'.", "- missing", "- ⟦moon⟧\n- sun"),
    _case("Content:Keywords", "Each item must include 'moon'.", "+", "1. The ⟦moon⟧\n2. A ⟦moon⟧"),
    _case("Content:Keywords", "Each story must include 'moon'.", "+", "| No | Story |\n|---|---|\n| 1 | A ⟦moon⟧ |"),
    _case("Content:Keywords", "It includes the keyword 'moon' and avoids the keyword 'sun'.", "-", "moon, ⟪sun⟫ny"),
    _case("Content:Keywords", "Must include ''.", "+ whole", ""),
]
LENGTH = [
    _case("Length:Words", "At most 3 words", "+ whole", "One two three"),
    _case("Length:Words", "At most 3 words", "-", "One two three ⟪four five⟫"),
    _case("Length:Words", "At least three words", "- missing", "⟦One two⟧"),
    _case("Length:Words", "Between 2 and 3 words", "-", "a b c ⟪d⟫"),
    _case("Length:Words", "At most 2 words", "-", "月a月⟪月⟫"),
    _case("Length:Words", "Each item must be at most 2 words", "-", "- a b\n- a b ⟪c⟫"),
    _case("Length:Words", "Be concise", "+ whole", ""),
    _case("Length:Sentences", "At most two sentences", "-", "A. B! ⟪C?⟫ D"),
    _case("Length:Sentences", "At most two sentences", "+ whole", "A. B!"),
    _case("Length:Sentences", "At least 3 sentences", "- missing", "⟦A. B.⟧"),
    _case("Length:Paragraphs", "At most 1 paragraph", "-", "A.\n\n⟪B.⟫"),
    _case("Length:Paragraphs", "At least 2 paragraphs", "+ whole", "A.\n\nB."),
    _case("Length:Paragraphs", "Some paragraphs", "- whole", "A.\n\nB."),
]
TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n"
FORM = [
    _case("Format:Table", "A table with no more than 1 row", "+", "⟦| a | b |⟧\n⟦|---|---|⟧\n⟦| 1 | 2 |⟧\n"),
    _case("Format:Table", "A table with no more than 1 row", "-", TABLE + "⟪| 3 | 4 |⟫"),
    _case("Format:Table", "A table with at most 1 columns", "-", "| a |⟪ b |⟫\n|---|---|"),
    _case("Format:Table", "A table", "- missing", "No bars."),
    _case("Format:Table", "If you use a table, no more than 1 row", "+ whole", "No bars."),
    _case("Content:Punctuation", "The answer must end with a period.", "+", "Hello⟦.⟧ "),
    _case("Content:Punctuation", "The answer must end with a period.", "-", '⟪Hello."⟫'),
    _case("Content:Punctuation", "Each sentence ends with a period.", "-", "Yes. ⟪Really?⟫ Yes."),
    _case("Content:Punctuation", "It must not end with a period.", "-", "Hello⟪.⟫"),
    _case("Content:Punctuation", "It must not end with a period.", "+ whole", ""),
    _case("Language:English", "All Uppercase", "-", "ALL ⟪But⟫ ONE"),
    _case("Language:English", "Capitalized", "+ whole", "Each Word, 3rd (but)"),
    _case("Language:English", "Capitalized", "-", "Each ⟪word⟫"),
    _case("Language:English", "Must be in English", "- whole", "English."),
    _case("Language:English", "Headings must be in all uppercase letters", "-", "# A ⟪b⟫\ntext"),
    _case("Format:Markdown", "Must use a level 2 heading.", "+", "# A\n⟦## B⟧"),
    _case("Format:Markdown", "Must use a level 2 heading.", "- missing", "# A"),
    _case("Format:Markdown", "Heading levels must not exceed 2", "-", "# A\n⟪### B⟫"),
    _case("Format:Markdown", "Use at least 2 heading levels", "- missing", "⟦# A⟧\n⟦# B⟧"),
    _case("Format:Markdown", "Use bold", "+", "A ⟦**b**⟧"),
    _case("Format:Markdown", "Use Markdown", "+ whole", ""),
    _case("Format:Json", "Exactly two levels of nesting", "+ whole", '{"a": {"b": 1}}'),
    _case("Format:Json", "Exactly two levels of nesting", "- whole", '{"a": 1}'),
    _case("Format:Json", "Exactly two levels of nesting", "- missing", "a"),
]
CHINESE = [
    _case("Language:Chinese", "The answer must be in Simplified Chinese", "+", "⟦这⟧是 one"),
    _case("Language:Chinese", "The answer must be in Simplified Chinese", "- missing", "這是"),
    _case("Language:Chinese", "Must use Traditional Chinese characters", "-", "這是⟪a⟫"),
    _case("Language:Chinese", "Must use Traditional Chinese characters", "-", "⟪这⟫是"),
    _case("Language:Chinese", "Must be in Chinese", "- whole", "这是"),
]
"""These need zhconv, which is not required."""
OTHERS = [
    _case("Content:Others", "Start with the identifier 'List:'", "+", "## ⟦list:⟧ a"),
    _case("Content:Others", "Start with the identifier 'List:'", "- missing", "A list: a"),
    _case("Content:Others", "Keep it a paragraph long", "-", "a⟪\n⟫b"),
    _case("Content:Others", "Must mention the moon and the sun", "- missing", "⟦the moon⟧"),
    _case("Content:Others", "Anything else", "- whole", "a"),
    _case("Format:Others", "No bullet points", "-", "a\n⟪-⟫ b"),
    _case("Format:Others", "No bullet points", "+ whole", "a"),
    _case("Format:Others", "Number of attributes must be exactly 1", "-", "<a x='1' ⟪y='2'⟫/>"),
    _case("Format:Others", "No more than 1 rows", "-", "|a|\n|---|\n⟪|b|⟫"),
]
CASES: list[Case] = [*KEYWORDS, *LENGTH, *FORM, *OTHERS]
