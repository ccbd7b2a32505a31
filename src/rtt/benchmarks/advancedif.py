"""AdvancedIF (arXiv:2511.10507): 1,645 conversations with some 7 rubrics each, which a model decides.

The official evaluator is facebookresearch/AdvancedIF. Its data, prompts and code are CC BY-NC 4.0, and none of them is
here: rubrics are put to RTT's own judge, by RTT's own prompt. Its "overall pass rate", which the authors report, is
``prompt_strict`` here, and its "micro-level rubric pass rate" ``instruction_strict``. There the judge says by itself
whether all rubrics hold, and an answer with "yes" anywhere in it is a yes; here every verdict must be one. It
prescribes no sampling.

The data file is CSV or JSON Lines: ``conversation_history`` and ``prompt_metadata``, JSON in a text, where the
``rubrics`` of the second are again JSON in a text; ``benchmark_name``; and ``response``, where a model has answered.
Each layer may also stand there as it is. Rows have no key: their number in the file, from 1, is it.

    benchmark_name                                               scope of its rubrics
    system_steerability_v2, if_system_steerability_oss           system: the system prompt and the last message
    carried_context_multi_turn_eval_v5, if_carried_context_oss   conversation
    complex_if_single_turn_v5, if_complex_if_oss, none           response, where one message is all there is

The released data has the first name of each, the evaluator knows the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr

from rtt.benchmarks import Benchmark, HubData, Prompt, Sampling
from rtt.benchmarks.data import validated
from rtt.errors import DataError
from rtt.json_lines import LineError, decode_text
from rtt.rubrics import Criterion, CriterionScope, Message, Role, Rubric, Task

SYSTEM = ("system_steerability_v2", "if_system_steerability_oss")
CARRIED = ("carried_context_multi_turn_eval_v5", "if_carried_context_oss")
SINGLE = ("complex_if_single_turn_v5", "if_complex_if_oss")
UNNAMED = "unnamed"
"""Stands for a ``benchmark_name`` that is not there."""


def _decoded(value: Any) -> Any:
    """What a text says as JSON; anything else as it is."""
    return decode_text(value) if isinstance(value, str) else value


class _Turn(BaseModel):
    model_config = ConfigDict(frozen=True)

    role: Role
    content: StrictStr


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True)

    rubrics: Annotated[tuple[StrictStr, ...], BeforeValidator(_decoded), Field(min_length=1)]


class _Row(BaseModel):
    """A row of the data file; keys that are not read here are left alone."""

    model_config = ConfigDict(frozen=True)

    key: StrictInt | StrictStr
    conversation_history: Annotated[tuple[_Turn, ...], BeforeValidator(_decoded), Field(min_length=1)]
    prompt_metadata: Annotated[_Metadata, BeforeValidator(_decoded)]
    benchmark_name: StrictStr | None = None
    response: Any = None


def parse(row: Mapping[str, Any]) -> Prompt:
    """A row of the data file, with its number under ``key``.

    Raises:
        DataError: the row is none; the message names the field.
    """
    read = validated(_Row, row, "AdvancedIF")
    name = read.benchmark_name or UNNAMED
    known = (*SYSTEM, *CARRIED, *SINGLE)
    if name not in (*known, UNNAMED):
        raise DataError(f"benchmark_name: got {name[:80]!r}; expected one of {list(known)}, or none")
    messages = tuple(Message(role=turn.role, content=turn.content) for turn in read.conversation_history)
    scope = _scope(name, messages)
    criteria = []
    for k, text in enumerate(read.prompt_metadata.rubrics):
        if not text.strip():
            raise DataError(f"prompt_metadata.rubrics[{k}]: is blank; expected a question about the response")
        criteria.append(Criterion(id=f"c{k + 1}", text=text, scope=scope))
    task = Task(
        id=f"advancedif/{read.key}",
        prompt=messages,
        rubric=Rubric(criteria=tuple(criteria)),
        metadata={"key": read.key},
    )
    return Prompt(
        key=read.key,
        task=task,
        types=(name,) * len(criteria),
        labels={"benchmark_name": name},
        response=_response(read.response),
    )


def _scope(name: str, messages: Sequence[Message]) -> CriterionScope:
    if name in SYSTEM and messages[0].role == "system":
        return "system"
    return "response" if len(messages) == 1 and name not in (*SYSTEM, *CARRIED) else "conversation"


def _response(value: Any) -> str | None:
    """The text of a response, which may be the assistant's message, or a list that ends in it, and that as JSON.

    Text that is JSON of another kind is a response as it stands.
    """
    if value is None:
        return None
    try:
        said = _said(_decoded(value))
    except LineError:
        said = None
    if said is None and not isinstance(value, str):
        raise DataError(f"response: got {type(value).__name__}; expected text, or the assistant's message")
    return value if said is None else said


def _said(value: Any) -> str | None:
    last = value[-1] if isinstance(value, list) and value else value
    if isinstance(last, Mapping) and last.get("role") == "assistant" and isinstance(last.get("content"), str):
        return str(last["content"])
    return None


BENCHMARK = Benchmark(
    name="advancedif",
    title="AdvancedIF",
    paper="arXiv:2511.10507",
    licence="CC BY-NC 4.0",
    hub=HubData("facebook/AdvancedIF", "train"),
    parse=parse,
    loose=False,
    headline="prompt_strict",
    sampling=Sampling(0.0, 4096, "none prescribed; the likeliest tokens, and a limit of ours"),
    judged=True,
    keyed=False,
)
