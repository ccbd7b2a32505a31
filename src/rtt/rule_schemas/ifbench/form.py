"""What IFBench asks of form: the groups ``sentence``, ``format`` and ``custom``."""

from __future__ import annotations

from collections.abc import Mapping

from rtt.rule_schemas.ifbench.counting import SmallNumber
from rtt.rule_schemas.schema import Count, NoArguments, RuleArguments, RuleSchema, Text, plainly


class SentenceKeyword(RuleArguments):
    """``word`` stands in sentence ``N``, from 1."""

    word: Text
    N: Count


class Options(RuleArguments):
    """The ``options``, divided by ``/``, by ``or`` or by commas."""

    options: Text


class Separator(RuleArguments):
    """``sep`` stands where bullets would."""

    sep: Text


def _increment(a: SmallNumber) -> str:
    return f"Each sentence of the response has exactly {a.small_n} more words than the one before."


def _keyword(a: SentenceKeyword) -> str:
    return f'Sentence {a.N} of the response contains the word "{a.word}".'


def _options(a: Options) -> str:
    return f"The response is one of the following options, without any explanation: {a.options}"


def _list(a: Separator) -> str:
    return f'The response is a list of items, each begun by "{a.sep}" instead of a bullet.'


RULES: Mapping[str, RuleSchema] = {
    "custom:character_reverse": RuleSchema(
        NoArguments,
        plainly("The response names the animal that is the national symbol of the US in a sentence written backwards."),
    ),
    "custom:csv_city": RuleSchema(
        NoArguments, plainly("The response is CSV: the columns ID, Country, City, Year and Count, and 7 rows.")
    ),
    "custom:csv_quotes": RuleSchema(
        NoArguments,
        plainly(
            "The response is CSV with tabs between its fields: the columns StudentID, Subject, Grade, Semester and "
            "Score, and 3 rows, each field in double quotation marks."
        ),
    ),
    "custom:csv_special_character": RuleSchema(
        NoArguments,
        plainly(
            "The response is CSV: the columns ProductID, Category, Brand, Price and Stock, and 14 rows, in which a "
            "field with a special character stands in double quotation marks."
        ),
    ),
    "custom:date_format_list": RuleSchema(
        NoArguments,
        plainly("The response is a list of dates of Napoleon's life, in the form YYYY-MM-DD and divided by commas."),
    ),
    "custom:european_capitals_sort": RuleSchema(
        NoArguments,
        plainly(
            "The response lists the capitals of Europe that lie north of 45 degrees, divided by commas, from north to "
            "south."
        ),
    ),
    "custom:mcq_count_length": RuleSchema(
        NoArguments,
        plainly(
            'The response has 4 multiple choice questions with 5 options each, each begun by "Question", each longer '
            "than the one before, and nothing before them."
        ),
    ),
    "custom:multiples": RuleSchema(
        NoArguments, plainly("The numbers in the response are the multiples of 7 from 14 to 49, in order.")
    ),
    "custom:reverse_newline": RuleSchema(
        NoArguments,
        plainly("The response lists the countries of Africa in reverse alphabetical order, each on a line of its own."),
    ),
    "custom:sentence_alphabet": RuleSchema(
        NoArguments,
        plainly("The response has 26 sentences whose first words start with the letters of the alphabet in order."),
    ),
    "custom:word_reverse": RuleSchema(
        NoArguments,
        plainly("The response names the animal that is the national symbol of the US, its words in reverse order."),
    ),
    "format:emoji": RuleSchema(NoArguments, plainly("Each sentence of the response ends with an emoji.")),
    "format:line_indent": RuleSchema(
        NoArguments, plainly("Each line of the response is indented further than the line before.")
    ),
    "format:list": RuleSchema(Separator, _list),
    "format:newline": RuleSchema(NoArguments, plainly("Each word of the response stands on a line of its own.")),
    "format:no_bullets_bullets": RuleSchema(
        NoArguments,
        plainly("The response has at least two sentences, followed by at least two bullet points that start with *."),
    ),
    "format:no_whitespace": RuleSchema(NoArguments, plainly("The response contains no white space.")),
    "format:options": RuleSchema(Options, _options),
    "format:output_template": RuleSchema(
        NoArguments,
        plainly('The response follows the template with "My Answer:", "My Conclusion:" and "Future Outlook:".'),
    ),
    "format:parentheses": RuleSchema(
        NoArguments, plainly("The response nests brackets (round, square or curly) at least 5 levels deep.")
    ),
    "format:quote_unquote": RuleSchema(
        NoArguments, plainly("Each quoted phrase in the response is followed by an explanation that is not quoted.")
    ),
    "format:quotes": RuleSchema(
        NoArguments,
        plainly("The response has quotes within quotes within quotes, double and single quotation marks in turn."),
    ),
    "format:sub-bullets": RuleSchema(
        NoArguments,
        plainly("The response has bullet points that start with *, each with a sub-bullet that starts with -."),
    ),
    "format:thesis": RuleSchema(
        NoArguments,
        plainly("Each section of the response begins with a thesis statement in italics, written in HTML."),
    ),
    "format:title_case": RuleSchema(NoArguments, plainly("The whole response is in title case.")),
    "sentence:alliteration_increment": RuleSchema(
        NoArguments,
        plainly("Each sentence of the response has a longer run of alliterative words than the one before."),
    ),
    "sentence:increment": RuleSchema(SmallNumber, _increment),
    "sentence:keyword": RuleSchema(SentenceKeyword, _keyword),
}
"""Each rule's schema by its official name."""
