"""How the rules of MulDimIF read the English text of a constraint."""

from __future__ import annotations

import pytest

from rtt.errors import DataError
from rtt.rule_schemas import canonical_name, describe, family_of, full_name, rule_names
from rtt.rule_schemas.muldimif import rule_of_label
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule
from rtt.verifiers.rules.muldimif.length import read_paragraphs, read_sentences, read_words
from rtt.verifiers.rules.muldimif.levels import read as read_levels
from rtt.verifiers.rules.muldimif.table import read as read_table


@pytest.mark.parametrize(
    ("constraint", "reading"),
    [
        ("At most 50 words", "at most 50 words"),
        ("Must contain no more than thirty words", "at most 30 words"),
        ("a maximum of ninety words", "at most 90 words"),
        ("at least 1,000 words", "at least 1000 words"),
        ("Between fifteen and twenty words", "15 to 20 words"),
        ("Range: 50-100 words", "50 to 100 words"),
        ("From 20 to 10 words", "10 to 20 words"),
        ("a single word", "exactly 1 words"),
        ("Exactly three words, and 'moon'", "exactly 3 words"),
        ("at most 9 words with 'moon'", "at most 9 words and with 'moon'"),
        ("at least two sentences", "at least 2 sentences"),
        ("fewer than 5 words", ""),
        # Officially "exactly" takes the first word of a number alone.
        ("exactly two hundred words", "exactly 2 words"),
        # ... and a hyphen makes a range.
        ("a maximum of twenty-five words", "5 to 20 words"),
    ],
)
def test_numbers_of_words(constraint: str, reading: str) -> None:
    found = read_words(constraint)
    assert found is not None
    assert not isinstance(found, str)
    assert found.in_words() == reading  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("constraint", "limits"),
    [
        ("Exactly 2 sentences", (2, 2)),
        ("must be a single sentence", (1, 1)),
        ("At least: 5 sentences", (5, None)),
        ("no fewer than three sentences", (3, None)),
        ("no longer than twelve sentences", (None, 12)),
        ("between five and ten sentences", (5, 10)),
        ("3到5个句子", (3, 5)),
        ("several sentences", (None, None)),
    ],
)
def test_numbers_of_sentences(constraint: str, limits: tuple[int | None, int | None]) -> None:
    assert read_sentences(constraint) == limits


def test_numbers_of_paragraphs_levels_rows_and_columns() -> None:
    assert read_paragraphs("a minimum of three distinct paragraphs") == (3, None)
    assert read_paragraphs("2 to 4 paragraphs") == (2, 4)
    assert read_paragraphs("最多分为两个段落") == (None, 2)
    assert read_levels("a maximum of three nesting levels, and at least two.") == (2, 3)
    assert read_levels("a nesting level of 2") == (2, 2)
    size = read_table("A table with exactly three rows and 2 columns")
    assert (size.rows, size.columns) == (("exactly", 3), ("exactly", 2))
    assert read_table("at least three rows").rows is None
    assert read_table('Columns for "Name," and "Age"').headers == ("name", "age")


def test_reasons_say_how_a_constraint_was_read_and_that_it_was_not() -> None:
    def reason(rule: str, constraint: str, text: str) -> str:
        return verify_rule(f"muldimif:{rule}", {"text": constraint}, text).reason

    assert reason("Length:Words", "At most 5 words", "a b") == "read as: at most 5 words"
    unread = "the official checker reads no number of sentences in this constraint and lets every response pass"
    assert reason("Length:Sentences", "Some sentences", "a") == unread
    assert reason("Language:English", "Must be in English", "a").endswith(
        "reads no case in this constraint and lets no response pass"
    )


def test_where_the_official_checker_fails_the_verdict_is_undetermined() -> None:
    for rule, constraint in (
        ("Length:Words", "Each word must be short"),
        ("Length:Words", "Each word must be at most eight characters"),
        ("Content:Keywords", "At least twenty words with 'moon'"),
        ("Format:Markdown", "At least some block quotes"),
        ("Content:Others", "Each example must start with 'A'"),
    ):
        verdict = verify_rule(f"muldimif:{rule}", {"text": constraint}, "The moon.")
        assert verdict.outcome is Outcome.UNDETERMINED
        assert "the official checker" in verdict.reason


def test_a_label_has_a_rule_and_an_unknown_one_is_answered_with_close_ones() -> None:
    assert rule_of_label("Table", "Row limit") == "muldimif:Format:Table"
    assert rule_of_label("Content", "Length") == "muldimif:Content:Others"
    with pytest.raises(DataError, match=r"no constraints with the label .*did you mean \['Length', 'Words'\]"):
        rule_of_label("Length", "Word")
    with pytest.raises(DataError, match="expected one of "):
        rule_of_label("zzz", "qqq")


def test_the_names_keep_their_family() -> None:
    assert len(rule_names("muldimif")) == 12
    for name in rule_names("muldimif"):
        assert canonical_name(name) == full_name(name) == name
        assert family_of(name) == "muldimif"
        assert describe(name, {"text": "Be brief."}) == "Be brief."
