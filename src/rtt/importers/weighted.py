"""Sets whose criteria are objects with a weight: RaR, RubricHub, HealthBench. A judge decides nearly all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rtt.importers.literals import parse
from rtt.importers.reading import Row, items, key, mapping, messages, name_of_rule, number, text
from rtt.json_lines import LineError

_ID = re.compile(r"[\w-]{1,80}:[\w-]{1,80}")
_CATEGORY = re.compile(r"\s*(\w{1,20}) Criteria:\s*", flags=re.IGNORECASE)


def rar(row: Row) -> None:
    """A row of RaR: ``question``, ``reference_answer``, ``question_source``, ``rubric``.

    Each item of ``rubric`` has ``title``, ``description`` and ``weight``; pitfalls have a negative one. A description
    begins with its category ("Essential Criteria: ..."), which goes to the metadata, as the titles do.
    """
    value = row.value
    row.prompt, row.prompt_field = messages(value.get("question"), "question"), "question"
    row.key = key(value.get("id"), "id")
    row.label("question_source")
    reference = value.get("reference_answer")
    if reference is not None and text(reference, "reference_answer", blank=True).strip():
        row.reference = reference
    titles: list[str] = []
    categories: list[str | None] = []
    for k, item in enumerate(items(parse(value.get("rubric"), "rubric"), "rubric")):
        path = f"rubric[{k}]"
        read = mapping(item, path)
        description = text(read.get("description"), f"{path}.description")
        found = _CATEGORY.match(description)
        bare = description[found.end() :] if found else description
        if not bare.strip():
            raise LineError(f"{path}.description: has no words beside its category; expected the criterion in words")
        before = len(row.criteria)
        row.by_judge(bare.strip(), number(read.get("weight"), f"{path}.weight"))
        if len(row.criteria) > before:
            title = read.get("title")
            titles.append("" if title is None else text(title, f"{path}.title", blank=True))
            categories.append(found[1].lower() if found else None)
    row.labels |= {"titles": titles, "categories": categories}


def rubrichub(row: Row) -> None:
    """A row of RubricHub's RuRL files: ``prompt``, ``Rubrics`` or ``reward_model.rubrics``, ``ability``.

    Each item has ``criterion`` and ``points``. Where its ``tags`` say ``"verifier": "rule"``, a rule decides: an
    instruction id of IFEval's kind, if that is what ``criterion`` is, with ``tags.parameters``; other rules are unknown
    here. A ``reward_model.ground_truth`` that is not blank is the reference.
    """
    value = row.value
    row.prompt = messages(value.get("prompt"), "prompt")
    row.key = key(value.get("id"), "id")
    row.label("ability", "data_source")
    model: Mapping[str, Any] = {}
    if value.get("reward_model") is not None:
        model = mapping(parse(value["reward_model"], "reward_model"), "reward_model")
        truth = model.get("ground_truth")
        if truth is not None and text(truth, "reward_model.ground_truth", blank=True).strip():
            row.reference = truth
    if value.get("Rubrics") is not None:
        _add_points(row, value["Rubrics"], "Rubrics")
    else:
        _add_points(row, model.get("rubrics"), "reward_model.rubrics")


def healthbench(row: Row) -> None:
    """A row of HealthBench: ``prompt``, ``prompt_id``, ``rubrics``, ``example_tags``, ``canary``.

    Each rubric has ``criterion`` and ``points``; negative points mark what a good response does not do.
    """
    value = row.value
    row.prompt = messages(value.get("prompt"), "prompt")
    row.key = key(value.get("prompt_id"), "prompt_id")
    row.label("example_tags", "canary")
    _add_points(row, value.get("rubrics"), "rubrics")


def _add_points(row: Row, rubrics: object, path: str) -> None:
    for k, item in enumerate(items(parse(rubrics, path), path)):
        read = mapping(item, f"{path}[{k}]")
        said = text(read.get("criterion"), f"{path}[{k}].criterion")
        points = number(read.get("points"), f"{path}[{k}].points")
        tags = read.get("tags")
        if isinstance(tags, Mapping) and tags.get("verifier") == "rule":
            _add_rule(row, said, points, tags, f"{path}[{k}]")
        else:
            row.by_judge(said, points)


def _add_rule(row: Row, said: str, points: float, tags: Mapping[str, Any], path: str) -> None:
    if _ID.fullmatch(said):  # an id has no words that a judge could read
        given = tags.get("parameters")
        parameters = (
            {} if given is None else mapping(parse(given, f"{path}.tags.parameters"), f"{path}.tags.parameters")
        )
        row.by_rule(
            said, parameters, field=f"{path}.criterion", arguments_field=f"{path}.tags.parameters", weight=points
        )
    else:
        function = tags.get("function")
        name = name_of_rule(function, f"{path}.tags.function") if function else "rule without a name"
        row.by_unknown_rule(name, field=f"{path}.tags.function", text=said, weight=points)
