"""MulDimIF (arXiv:2505.07591): 1,200 prompts, 4,180 constraints, whose English text its checkers read.

The official evaluator is Junjie-Ye/MulDimIF, ``Code/evaluation``; it asks no model for a verdict and has no loose mode.
It reports "Overall", the share of prompts whose constraints all hold (``prompt_strict`` here), and breaks it down by
category, by pattern and by level; ``instruction_strict`` is its micro average. Constraints are counted under its 12
types, to which it maps its 55 labels. Its authors sample at temperature 0.8, at most 2,048 tokens, and strip the
response.

The data file is one JSON list: ``id``, ``conversations``, ``constraints`` (``[category, subcategory, text]``),
``constraint_pattern``, ``difficulty``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from rtt.benchmarks import Benchmark, HubData, Prompt, Sampling
from rtt.benchmarks.data import validated
from rtt.errors import DataError
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.rule_schemas.muldimif import rule_of_label

_TYPES = {
    ("Citations", "In-text"): "Content:Identifiers",
    ("Content", "Identifiers"): "Content:Identifiers",
    ("Content", "Length"): "Length:Words",
    ("Content", "Mention"): "Content:Keywords",
    ("Content", "Quotes"): "Content:Punctuation",
    ("Content", "Sources"): "Content:Identifiers",
    ("Format", "Blurb"): "Length:Words",
    ("Format", "Bullet Points"): "Content:Identifiers",
    ("Format", "Length"): "Length:Words",
    ("Format", "Markdown: Block quotes"): "Format:Markdown",
    ("Format", "Text"): "Content:Identifiers",
    ("Format", "XML"): "Format:XML",
    ("References", "Format"): "Content:Identifiers",
    ("Table", "Table"): "Format:Table",
    ("XML", "Number of attributes"): "Format:XML",
}
"""The types of labels whose rule has another name than their type."""


class _Row(BaseModel):
    """A row of the data file; keys that are not read here are left alone."""

    model_config = ConfigDict(frozen=True)

    id: StrictStr
    conversations: Annotated[tuple[Message, ...], Field(min_length=1)]
    constraints: Annotated[tuple[tuple[StrictStr, StrictStr, StrictStr], ...], Field(min_length=1)]
    constraint_pattern: StrictStr
    difficulty: StrictStr


def parse(row: Mapping[str, Any]) -> Prompt:
    """A row of the data file.

    Raises:
        DataError: the row is none; the message names the field.
    """
    read = validated(_Row, row, "MulDimIF")
    criteria = []
    for k, (category, subcategory, text) in enumerate(read.constraints):
        try:
            rule = Rule(name=rule_of_label(category, subcategory), arguments={"text": text})
        except DataError as error:
            raise DataError(f"constraints[{k}]: {error}") from None
        criteria.append(Criterion(id=f"c{k + 1}", text=text, rule=rule))
    task = Task(
        id=f"muldimif/{read.id}",
        prompt=read.conversations,
        rubric=Rubric(criteria=tuple(criteria)),
        metadata={"key": read.id},
    )
    return Prompt(
        key=read.id,
        task=task,
        types=tuple(_type(category, subcategory) for category, subcategory, _ in read.constraints),
        labels={"pattern": read.constraint_pattern, "level": read.difficulty},
    )


def _type(category: str, subcategory: str) -> str:
    rule = rule_of_label(category, subcategory).removeprefix("muldimif:")
    return _TYPES.get((category, subcategory), rule)


BENCHMARK = Benchmark(
    name="muldimif",
    title="MulDimIF",
    paper="arXiv:2505.07591",
    licence="CC BY 4.0",
    hub=HubData("Junjie-Ye/MulDimIF", "test"),
    parse=parse,
    loose=False,
    headline="prompt_strict",
    sampling=Sampling(0.8, 2048, "temperature 0.8, 2048 tokens (the authors' script)"),
)
