"""The checks of the 25 instruction types of IFEval, a family a file.

keywords       existence · frequency · forbidden_words · letter_frequency
length         number_words · number_sentences · number_paragraphs · nth_paragraph_first_word
content        number_placeholders · postscript
layout         number_bullet_lists · constrained_response · number_highlighted_sections · multiple_sections ·
               json_format · title
combination    two_responses · repeat_prompt
ends           end_checker · quotation
case           capital_word_frequency · english_capital · english_lowercase
language       response_language
punctuation    no_comma
"""

from __future__ import annotations

from collections.abc import Mapping

from rtt.verifiers.rules.ifeval import (
    case,
    combination,
    content,
    ends,
    keywords,
    language,
    layout,
    length,
    punctuation,
)
from rtt.verifiers.rules.registered import RegisteredRule, capitalised, lowercased, marked, wrapped

RULES: Mapping[str, RegisteredRule] = {
    "keywords:existence": RegisteredRule(keywords.existence),
    "keywords:frequency": RegisteredRule(keywords.frequency),
    "keywords:forbidden_words": RegisteredRule(keywords.forbidden_words),
    "keywords:letter_frequency": RegisteredRule(keywords.letter_frequency),
    "language:response_language": RegisteredRule(language.response_language),
    "length_constraints:number_words": RegisteredRule(length.number_words),
    "length_constraints:number_sentences": RegisteredRule(length.number_sentences),
    "length_constraints:number_paragraphs": RegisteredRule(length.number_paragraphs),
    "length_constraints:nth_paragraph_first_word": RegisteredRule(length.nth_paragraph_first_word),
    "detectable_content:number_placeholders": RegisteredRule(content.number_placeholders),
    "detectable_content:postscript": RegisteredRule(content.postscript),
    "detectable_format:number_bullet_lists": RegisteredRule(layout.number_bullet_lists, marked),
    "detectable_format:constrained_response": RegisteredRule(layout.constrained_response),
    "detectable_format:number_highlighted_sections": RegisteredRule(layout.number_highlighted_sections),
    "detectable_format:multiple_sections": RegisteredRule(layout.multiple_sections),
    "detectable_format:json_format": RegisteredRule(layout.json_format),
    "detectable_format:title": RegisteredRule(layout.title),
    "combination:two_responses": RegisteredRule(combination.two_responses),
    "combination:repeat_prompt": RegisteredRule(combination.repeat_prompt),
    "startend:end_checker": RegisteredRule(ends.end_checker),
    "startend:quotation": RegisteredRule(ends.quotation, wrapped),
    "change_case:capital_word_frequency": RegisteredRule(case.capital_word_frequency),
    "change_case:english_capital": RegisteredRule(case.english_capital, capitalised),
    "change_case:english_lowercase": RegisteredRule(case.english_lowercase, lowercased),
    "punctuation:no_comma": RegisteredRule(punctuation.no_comma),
}
"""Each rule by its official name."""
