"""RTT's own rules, ``rtt:...``: what a benchmark's rule asks for, decided as its instruction says.

    rtt:GROUP:RULE      a rule of IFEval or IFBench by its official name, with the same arguments
    rtt:length:...      what MulDimIF's checkers read in a constraint's text, here as arguments; so are
                        ``rtt:format:table_rows`` and ``rtt:punctuation:ending``

The official rules stay as they are, oddities included. Where one is wrong, its corrected rule stands here; most of them
differ in the check alone. ``docs/corrected-rules.md`` shows each difference by an example. Keywords are words, not
regular expressions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from rtt.rule_schemas import ifbench, ifeval
from rtt.rule_schemas.ifbench.counting import Overlap, RepeatSpan
from rtt.rule_schemas.ifeval import MultipleSections
from rtt.rule_schemas.schema import Character, Count, NoArguments, RuleArguments, RuleSchema, exactly, plainly

FAMILY = "rtt"

Limit = Literal["at least", "at most", "exactly", "fewer than", "more than"]


class Length(RuleArguments):
    """How many there are: ``relation`` and ``number``."""

    relation: Limit
    number: Count

    @model_validator(mode="after")
    def _some_response_fits(self) -> Length:
        if self.relation == "fewer than" and self.number == 1:
            raise PydanticCustomError("number", "number: got 1; expected at least 2 with the relation 'fewer than'")
        return self


class Ending(RuleArguments):
    """The ``sign`` that the response ends with."""

    sign: Character


class WordSpan(RepeatSpan):
    """The words of ``prompt_to_repeat`` from ``n_start`` to ``n_end``, from 0, both included."""

    @model_validator(mode="after")
    def _words_are_there(self) -> WordSpan:
        words = len(self.prompt_to_repeat.split())
        if self.n_end >= words:
            raise PydanticCustomError(
                "n_end",
                "n_end: got {end}; expected less than the number of words in prompt_to_repeat, {words}",
                {"end": self.n_end, "words": words},
            )
        return self


# ------------------------------------------------------------------------------------------------ descriptions


def _length(noun: str) -> RuleSchema:
    def describe(a: Length) -> str:
        return f"The response has {a.relation} {a.number} {noun}{'' if a.number == 1 else 's'}."

    return RuleSchema(Length, describe)


def _rows(a: Length) -> str:
    rows = f"{a.relation} {a.number} row{'' if a.number == 1 else 's'}"
    return f"The response has a table with {rows} below its header."


def _ending(a: Ending) -> str:
    return f'The response ends with "{a.sign}".'


def _word_span(a: WordSpan) -> str:
    words = " ".join(a.prompt_to_repeat.split()[a.n_start : a.n_end + 1])
    return f'The response is the following words, and nothing else: "{words}"'


def _overlap(a: Overlap) -> str:
    return (
        f"{a.percentage} % of the runs of three words of the response, give or take 2, are in the following text: "
        f'"{a.reference_text.strip()}"'
    )


def _sections(a: MultipleSections) -> str:
    splitter = a.section_spliter.strip()
    noun = exactly(a.num_sections, "section")
    return f'The response has {noun}, each begun by "{splitter}" and its number, such as "{splitter} 1".'


_OFFICIAL: Mapping[str, RuleSchema] = {**ifeval.RULES, **ifbench.RULES}
_ARGUMENTS_STAY = (
    "keywords:existence",
    "keywords:frequency",
    "keywords:forbidden_words",
    "language:response_language",
    "length_constraints:number_sentences",
    "length_constraints:number_paragraphs",
    "length_constraints:number_words",
    "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders",
    "detectable_content:postscript",
    "detectable_format:number_bullet_lists",
    "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections",
    "detectable_format:json_format",
    "detectable_format:title",
    "startend:end_checker",
    "startend:quotation",
    "change_case:capital_word_frequency",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "count:conjunctions",
    "count:keywords_multiple",
    "count:numbers",
    "count:unique_word_count",
    "count:word_count_range",
    "ratio:sentence_balance",
    "ratio:sentence_type",
    "ratio:sentence_words",
    "ratio:stop_words",
    "repeat:repeat_change",
    "words:consonants",
    "words:last_first",
    "words:palindrome",
    "words:words_position",
    "format:emoji",
    "format:line_indent",
    "format:list",
    "format:newline",
    "format:no_bullets_bullets",
    "format:options",
    "format:output_template",
    "format:parentheses",
    "format:quote_unquote",
    "format:quotes",
    "format:sub-bullets",
    "custom:csv_special_character",
    "custom:date_format_list",
    "custom:european_capitals_sort",
)
"""Rules of IFEval and IFBench whose arguments and words stay as they are: the check alone is another."""

RULES: Mapping[str, RuleSchema] = {
    **{f"{FAMILY}:{name}": _OFFICIAL[name] for name in _ARGUMENTS_STAY},
    "rtt:detectable_format:multiple_sections": RuleSchema(MultipleSections, _sections),
    "rtt:format:title_case": RuleSchema(
        NoArguments,
        plainly(
            "The response is in title case; articles, conjunctions and short prepositions may be in small letters."
        ),
    ),
    "rtt:ratio:overlap": RuleSchema(Overlap, _overlap),
    "rtt:repeat:repeat_span": RuleSchema(WordSpan, _word_span),
    "rtt:length:words": _length("word"),
    "rtt:length:sentences": _length("sentence"),
    "rtt:length:paragraphs": _length("paragraph"),
    "rtt:format:table_rows": RuleSchema(Length, _rows),
    "rtt:punctuation:ending": RuleSchema(Ending, _ending),
}
"""Each rule's schema by its name, the family included."""
