"""Sets whose criteria are instruction ids of IFEval's kind: IF-RLVR, RLVR-IFeval, Nemotron.

IF-RLVR's ``ground_truth`` is the text of a Python literal: a list with one dictionary of ``instruction_id`` and
``kwargs``. RLVR-IFeval's is JSON: the name of a check and its arguments, whose names differ from IFEval's, and whose
meaning does too for some; those have no rule here (:data:`CHECKS`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtt.importers.literals import parse
from rtt.importers.reading import (
    Row,
    instruction_rule,
    items,
    key,
    mapping,
    messages,
    name_of_rule,
    number,
    same_length,
    text,
)
from rtt.json_lines import LineError
from rtt.rule_schemas.ifeval import OPTIONS

# ------------------------------------------------------------------------------------------------ IF-RLVR


def if_rlvr(row: Row) -> None:
    """A row of IF-RLVR: ``key``, ``messages``, ``ground_truth``, ``dataset``, ``constraint_type``, ``constraint``."""
    value = row.value
    row.prompt, row.prompt_field = messages(value.get("messages"), "messages"), "messages"
    row.key = key(value.get("key"), "key")
    row.label("constraint_type")
    truth = parse(value.get("ground_truth"), "ground_truth")
    if isinstance(truth, list | tuple):
        if len(items(truth, "ground_truth")) != 1:
            raise LineError(f"ground_truth: has {len(truth)} items; expected a list with one object")
        truth = parse(truth[0], "ground_truth[0]")
    truth = mapping(truth, "ground_truth")
    names, arguments = instruction_lists(truth, "ground_truth", "instruction_id")
    words = _split(value.get("constraint"), len(names))
    add_instructions(row, names, arguments, "ground_truth", "instruction_id", words)


def instruction_lists(
    value: Mapping[str, Any], path: str, names_field: str
) -> tuple[Sequence[str], Sequence[Mapping[str, Any]]]:
    """The ids and arguments of a row, as long as each other; arguments that are null are none.

    Raises:
        LineError: they are missing, of the wrong kind, or of different lengths.
    """
    before = f"{path}." if path else ""
    names = items(parse(value.get(names_field), before + names_field), before + names_field)
    kwargs = items(parse(value.get("kwargs"), f"{before}kwargs"), f"{before}kwargs")
    same_length(before + names_field, names, f"{before}kwargs", kwargs)
    return (
        [name_of_rule(name, f"{before}{names_field}[{k}]") for k, name in enumerate(names)],
        [{} if one is None else mapping(one, f"{before}kwargs[{k}]") for k, one in enumerate(kwargs)],
    )


def add_instructions(
    row: Row,
    names: Sequence[str],
    arguments: Sequence[Mapping[str, Any]],
    path: str,
    names_field: str,
    words: Sequence[str | None],
) -> None:
    """Add a criterion for each id, with the data's words for it where these are known."""
    before = f"{path}." if path else ""
    for k, (name, given, said) in enumerate(zip(names, arguments, words, strict=True)):
        row.by_rule(name, given, field=f"{before}{names_field}[{k}]", arguments_field=f"{before}kwargs[{k}]", text=said)


def _split(constraint: object, count: int) -> Sequence[str | None]:
    """The constraints' own words: one text, divided by tabs; none where there are not as many as there are ids."""
    if isinstance(constraint, str) and constraint.strip():
        parts = [part.strip() for part in text(constraint, "constraint").split("\t")]
        parts = [part for part in parts if part]
        if len(parts) == count:
            return parts
    return [None] * count


# ------------------------------------------------------------------------------------------------ RLVR-IFeval

Arguments = dict[str, Any]


def _numbered(given: Arguments, name: str) -> Arguments:
    return {name: given.get("N")}


def _related(given: Arguments, count: str, relation: str) -> Arguments | None:
    """``at least N`` and ``at most N``; ``around N`` has no rule here."""
    quantifier, limit = given.get("quantifier"), given.get("N")
    if quantifier in ("at least", "less than"):
        return {relation: quantifier, count: limit}
    if quantifier == "at most":
        whole = number(limit, "ground_truth.N")
        return {relation: "less than", count: int(whole) + 1 if whole.is_integer() else whole}
    return None


def _choice(given: Arguments) -> Arguments | None:
    """IFEval's rule knows its own three options alone."""
    options = given.get("options")
    if isinstance(options, str):
        options = re.findall(r"My answer is \w+\.", options) if len(options) < 100 else []
    return {} if isinstance(options, list | tuple) and [*options] == [*OPTIONS] else None


CHECKS: Mapping[str, tuple[str, Callable[[Arguments], Arguments | None]]] = {
    "verify_keywords": ("keywords:existence", lambda given: {"keywords": given.get("keyword_list")}),
    "validate_forbidden_words": (
        "keywords:forbidden_words",
        lambda given: {"forbidden_words": given.get("forbidden_words")},
    ),
    "validate_response_language": (
        "language:response_language",
        lambda given: {"language": given.get("language")},
    ),
    "validate_word_constraint": (
        "length_constraints:number_words",
        lambda given: _related(given, "num_words", "relation"),
    ),
    "verify_sentence_constraint": (
        "length_constraints:number_sentences",
        lambda given: _related(given, "num_sentences", "relation"),
    ),
    "validate_paragraphs": (
        "length_constraints:nth_paragraph_first_word",
        lambda given: {
            "num_paragraphs": given.get("N"),
            "nth_paragraph": given.get("i"),
            "first_word": given.get("first_word"),
        },
    ),
    "verify_postscript": (
        "detectable_content:postscript",
        lambda given: {"postscript_marker": given.get("postscript_marker")},
    ),
    "validate_placeholders": (
        "detectable_content:number_placeholders",
        lambda given: _numbered(given, "num_placeholders"),
    ),
    "verify_bullet_points": (
        "detectable_format:number_bullet_lists",
        lambda given: _numbered(given, "num_bullets"),
    ),
    "validate_title": ("detectable_format:title", lambda _: {}),
    "validate_choice": ("detectable_format:constrained_response", _choice),
    "validate_highlighted_sections": (
        "detectable_format:number_highlighted_sections",
        lambda given: _numbered(given, "num_highlights"),
    ),
    "validate_sections": (
        "detectable_format:multiple_sections",
        lambda given: {"num_sections": given.get("N"), "section_spliter": given.get("section_splitter")},
    ),
    "validate_json_format": ("detectable_format:json_format", lambda _: {}),
    "validate_repeat_prompt": (
        "combination:repeat_prompt",
        lambda given: {"prompt_to_repeat": given.get("original_prompt")},
    ),
    "validate_two_responses": ("combination:two_responses", lambda _: {}),
    "validate_uppercase": ("change_case:english_capital", lambda _: {}),
    "validate_lowercase": ("change_case:english_lowercase", lambda _: {}),
    "validate_frequency_capital_words": (
        "change_case:capital_word_frequency",
        lambda given: _related(given, "capital_frequency", "capital_relation"),
    ),
    "validate_end": ("startend:end_checker", lambda given: {"end_phrase": given.get("end_phrase")}),
    "validate_quotation": ("startend:quotation", lambda _: {}),
    "validate_no_commas": ("punctuation:no_comma", lambda _: {}),
}
"""The rule of each check, and its arguments from the check's; None where the rule would ask for something else.

Left out on purpose: ``verify_keyword_frequency`` and ``verify_letter_frequency`` ask for an exact number, for which
IFEval has no rule, and ``verify_paragraph_count`` divides by ``* * *``, where IFEval's rule wants ``***``.
"""


def rlvr_ifeval(row: Row) -> None:
    """A row of RLVR-IFeval: ``messages``, ``ground_truth``, ``dataset``, ``constraint_type``, ``constraint``."""
    value = row.value
    row.prompt, row.prompt_field = messages(value.get("messages"), "messages"), "messages"
    row.key = key(value.get("key"), "key")
    row.label("constraint_type")
    truth = mapping(parse(value.get("ground_truth"), "ground_truth"), "ground_truth")
    name = name_of_rule(truth.get("func_name"), "ground_truth.func_name")
    given = {known: item for known, item in truth.items() if known != "func_name" and item is not None}
    words = _filled(value.get("constraint"), given)
    rule, translate = CHECKS.get(name, ("", _nothing))
    arguments = translate(given)
    if arguments is None:
        row.by_unknown_rule(_told(name, given), field="ground_truth.func_name", text=words)
        return
    row.by_rule(rule, arguments, field="ground_truth.func_name", arguments_field="ground_truth", text=words)


def _nothing(_: Arguments) -> None:
    return None


def _told(name: str, given: Arguments) -> str:
    """The check's name, and for those with a quantifier which one, for the count of what has no rule."""
    quantifier = given.get("quantifier")
    return f"{name} ({quantifier[:20]})" if isinstance(quantifier, str) and name in CHECKS else name


def _filled(constraint: object, given: Arguments) -> str | None:
    """The data's template of the constraint with its arguments in place; None where one of them is not known.

    A template is no format string: names in braces are replaced by texts and numbers, and nothing else happens.
    """
    if not isinstance(constraint, str) or not constraint.strip():
        return None
    template = text(constraint, "constraint")
    quantifier = given.get("quantifier")
    if _QUANTIFIERS in template:  # which of them it is, stands in the arguments
        if not isinstance(quantifier, str) or quantifier not in _QUANTIFIERS.split(" / "):
            return None
        template = template.replace(_QUANTIFIERS, quantifier)
    known = True

    def fill(found: re.Match[str]) -> str:
        nonlocal known
        value = given.get(_OTHER_NAMES.get(found[1], found[1]))
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return ", ".join(value)
        known = known and isinstance(value, str | int | float)
        return str(value)

    filled = re.sub(r"\{([^{}]{1,40})\}", fill, template)
    return text(filled, "constraint") if known else None


_QUANTIFIERS = "at least / around / at most"
_OTHER_NAMES = {
    "first word": "first_word",
    "forbidden words": "forbidden_words",
    "postscript marker": "postscript_marker",
    "section splitter": "section_splitter",
    "end phrase": "end_phrase",
}


# ------------------------------------------------------------------------------------------------ Nemotron


def nemotron(row: Row) -> None:
    """A row of NeMo Gym: ``id``, ``responses_create_params.input``, and ids and arguments at the top or below.

    ``instruction_id_list``, ``kwargs``, ``prompt`` and ``grading_mode`` stand in the row, or in ``verifier_metadata``.
    """
    value = row.value
    path = ""
    truth: Mapping[str, Any] = value
    if value.get("verifier_metadata") is not None:
        path = "verifier_metadata"
        truth = mapping(parse(value["verifier_metadata"], path), path)
    asked = mapping(parse(value.get("responses_create_params"), "responses_create_params"), "responses_create_params")
    row.prompt_field = "responses_create_params.input"
    row.prompt = messages(asked.get("input"), row.prompt_field)
    row.key = key(value.get("id"), "id")
    mode = truth.get("grading_mode")
    if mode is not None:
        row.labels["grading_mode"] = text(mode, f"{path}.grading_mode".removeprefix("."))
    names, arguments = instruction_lists(truth, path, "instruction_id_list")
    known = _listed(row.prompt[-1].content, len(names))
    # The list in the prompt is the data's only words; a rule's own description is surer where there is a rule.
    words = [None if instruction_rule(name) else said for name, said in zip(names, known, strict=True)]
    add_instructions(row, names, arguments, path, "instruction_id_list", words)


def _listed(prompt: str, count: int) -> Sequence[str | None]:
    """The last lines of a prompt, where they are a list numbered from 1 to ``count``."""
    lines = prompt.rstrip().splitlines()[-count:]
    said = [line.removeprefix(f"{k}. ").strip() for k, line in enumerate(lines, start=1) if line.startswith(f"{k}. ")]
    return said if len(said) == count and all(said) else [None] * count
