"""Sets whose criteria are checkers, some with program text: VerInstruct, and HIR-16K, which draws on it.

A checker is ``[llm] words`` (a model decides) or ``[rule] words`` (a Python function ``check_following(instruction,
response)`` that stands beside it decides). The function is text here: it is stored, or left out, and never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rtt.importers.instructions import add_instructions, instruction_lists
from rtt.importers.literals import parse
from rtt.importers.reading import Row, items, key, mapping, messages, same_length, text
from rtt.json_lines import LineError

ENTRY = "check_following"
"""The function's name in each program text."""

_ASKS_A_MODEL = re.compile(r"\bllm_(?:call|score|judge|extract)\b")


def verinstruct(row: Row) -> None:
    """A row of VerInstruct: ``id``, ``prompt``, ``checkers``, ``functions``."""
    value = row.value
    row.prompt = messages(value.get("prompt"), "prompt")
    row.key = key(value.get("id"), "id")
    checkers = items(parse(value.get("checkers"), "checkers"), "checkers")
    functions = items(parse(value.get("functions"), "functions"), "functions")
    same_length("checkers", checkers, "functions", functions)
    add_checkers(row, checkers, functions, None, "checkers", "functions")


def add_checkers(
    row: Row,
    checkers: Sequence[Any],
    functions: Sequence[Any],
    words: Sequence[str] | None,
    checkers_field: str,
    functions_field: str,
) -> None:
    """Add a criterion for each checker; its text is ``words``, or the checker without its tag.

    A checker without a tag counts as one for a model if its function calls VerIF's model helpers, which is read in the
    function's text, and as program text otherwise. (VerIF itself leaves such checkers out.)

    Raises:
        LineError: a checker is no text, or a rule has no function.
    """
    for k, (checker, function) in enumerate(zip(checkers, functions, strict=True)):
        said = text(checker, f"{checkers_field}[{k}]")
        tag, bare = _tag(said)
        source = "" if function is None else text(function, f"{functions_field}[{k}]", blank=True)
        if tag is None:
            tag = "rule" if source.strip() and not _ASKS_A_MODEL.search(source) else "llm"
        shown = bare if words is None else words[k]
        if not shown.strip():
            raise LineError(f"{checkers_field}[{k}]: has no words beside its tag; expected the criterion in words")
        if tag == "llm":
            row.by_judge(shown)
        elif not source.strip():
            raise LineError(f"{functions_field}[{k}]: is blank, and the checker is a rule; expected program text")
        else:
            row.by_code(source, ENTRY, text=shown)


def _tag(checker: str) -> tuple[str | None, str]:
    found = re.match(r"\s*\[(llm|rule)\]", checker, flags=re.IGNORECASE)
    return (None, checker.strip()) if found is None else (found[1].lower(), checker[found.end() :].strip())


def hir(row: Row) -> None:
    """A row of HIR-16K: ``messages`` or ``prompt``, ``rubrics`` or ``criteria``, ``source``, ``ground_truth``.

    ``source`` names one of four origins:

    - ``type1`` (IFEval's instructions) and ``type2`` (IFBench's): ``instruction_id_list``, ``kwargs``
    - ``type3`` (MulDimIF): ``constraints``, each a category, a subcategory and a text
    - ``type4`` (VerInstruct): ``checker``, ``functions``
    """
    value = row.value
    field = "messages" if value.get("messages") is not None else "prompt"
    row.prompt, row.prompt_field = messages(value.get(field), field), field
    row.key = key(value.get("id"), "id")
    row.label("source", "tag", "domain")
    words_field = "rubrics" if value.get("rubrics") is not None else "criteria"
    words = [
        _words(item, f"{words_field}[{k}]")
        for k, item in enumerate(items(parse(value.get(words_field), words_field), words_field))
    ]
    source = value.get("source")
    truth = mapping(parse(value.get("ground_truth"), "ground_truth"), "ground_truth")
    if source in ("type1", "type2"):
        names, arguments = instruction_lists(truth, "ground_truth", "instruction_id_list")
        same_length(words_field, words, "ground_truth.instruction_id_list", names)
        add_instructions(row, names, arguments, "ground_truth", "instruction_id_list", words)
    elif source == "type3":
        _add_constraints(row, truth, words, words_field)
    elif source == "type4":
        checkers = items(parse(truth.get("checker"), "ground_truth.checker"), "ground_truth.checker")
        functions = items(parse(truth.get("functions"), "ground_truth.functions"), "ground_truth.functions")
        same_length(words_field, words, "ground_truth.checker", checkers)
        same_length("ground_truth.checker", checkers, "ground_truth.functions", functions)
        add_checkers(row, checkers, functions, words, "ground_truth.checker", "ground_truth.functions")
    else:
        raise LineError(f"source: got {str(source)[:40]!r}; expected one of ['type1', 'type2', 'type3', 'type4']")


def _words(value: object, path: str) -> str:
    """A rubric is text, or an object with a ``description``."""
    if isinstance(value, Mapping):
        return text(value.get("description"), f"{path}.description")
    return text(value, path)


def _add_constraints(row: Row, truth: Mapping[str, Any], words: Sequence[str], words_field: str) -> None:
    path = "ground_truth.constraints"
    constraints = items(parse(truth.get("constraints"), path), path)
    same_length(words_field, words, path, constraints)
    for k, constraint in enumerate(constraints):
        parts = items(constraint, f"{path}[{k}]")
        if len(parts) != 3:
            raise LineError(f"{path}[{k}]: has {len(parts)} items; expected a category, a subcategory and a text")
        category, subcategory, said = (text(part, f"{path}[{k}][{n}]") for n, part in enumerate(parts))
        row.by_label(category, subcategory, said, field=f"{path}[{k}]", text=words[k])
    for name in ("constraint_pattern", "difficulty"):
        if isinstance(label := truth.get(name), str):
            row.labels[name] = text(label, f"ground_truth.{name}", blank=True)
