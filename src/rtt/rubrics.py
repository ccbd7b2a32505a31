"""Tasks and their rubrics: what a prompt asks for, criterion by criterion, in memory and on disk.

    Task
    ├── id
    ├── prompt      Message, Message, ...     role, content; the last one is the user's
    ├── rubric      Rubric
    │               └── criteria              Criterion, Criterion, ...; their order is index k everywhere
    │                                         ├── id, text, weight
    │                                         ├── rule   Rule(name, arguments): decided by code of this package
    │                                         ├── code   Code(source, entry): carried along, never run
    │                                         └── neither: the judge decides
    └── metadata, reference, source           carried along, never read by the method

On disk a task is one line of JSON (UTF-8, JSON Lines)::

    {"id": "mail/7",
     "messages": [{"role": "user", "content": "Write a mail to my landlord. No commas, please. Be polite."}],
     "criteria": [
       {"id": "c1", "kind": "rule", "text": "Do not use any commas.", "rule": "ifeval:punctuation:no_comma"},
       {"id": "c2", "kind": "judge", "text": "The mail is polite.", "weight": 2.0}],
     "meta": {"difficulty": "easy"}}

A criterion's ``kind`` is ``rule`` (with ``rule`` and ``params``), ``judge``, or ``code`` (with ``source`` and
``entry``). ``weight``, ``scope``, ``fallback``, ``reference``, ``source`` and ``meta`` may be left out; an optional key
that is ``null`` counts as left out. Rule names carry their family on disk (``ifeval:punctuation:no_comma``, the bare
name is read as well) and are bare in memory (``punctuation:no_comma``). Lines in the format of IFEval's
``input_data.jsonl`` (``key``, ``prompt``, ``instruction_id_list``, ``kwargs``) are recognised and read as tasks too.

What cannot be used is refused with file, line, field, what came and what was expected: see :func:`read_tasks`.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationError,
    field_validator,
)
from pydantic import model_validator as validates_model
from pydantic_core import ErrorDetails

from rtt import rule_schemas
from rtt.errors import DataError, RTTError, RuleArgumentsError, TaskFileError, UnknownRuleError
from rtt.json_lines import LineError, decode_line, decode_text, read_lines, write_lines

Role = Literal["system", "user", "assistant"]
CriterionScope = Literal["response", "conversation", "system"]
Fallback = Literal["error", "judge", "fail"]

MAX_PROBLEMS = 20
"""How many problems :func:`read_tasks` collects before it stops reading; all of them are in one message."""

MAX_DEPTH = 64
"""How deep lists and objects may be nested in ``metadata``, ``reference``, ``source`` and rule arguments."""


# --------------------------------------------------------------------------------------------------- in memory


def _plain_json(value: object, depth: int = 0) -> Any:
    """A deep copy of ``value`` made of JSON's own types, so that what is written is what is read back.

    Raises:
        ValueError: the value has a type that JSON does not know, a number that is not finite, half a surrogate pair,
            or more than ``MAX_DEPTH`` levels.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"lists and objects are nested more than {MAX_DEPTH} deep; expected flatter data")
    if value is None or type(value) in (bool, int):
        return value
    if isinstance(value, str):
        return _unicode(str(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"got {value!r}; expected a finite number")
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain_json(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"got the key {_show(key)}; expected keys that are strings")
        return {_plain_json(key): _plain_json(item, depth + 1) for key, item in value.items()}
    raise ValueError(f"got {_show(value)} ({type(value).__name__}); expected JSON: text, number, list, object or null")


def _unicode(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"got {_show(value)}, which holds half a surrogate pair; expected valid Unicode") from None
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError(f"got {_show(value)}; expected text that is not blank")
    return value


def _weight(value: object) -> object:
    if isinstance(value, int | float) and value == 0 and not isinstance(value, bool):
        raise ValueError("got 0; expected a weight above 0, or below 0 for something unwanted; or drop the criterion")
    return value


Content = Annotated[StrictStr, AfterValidator(_unicode)]
Text = Annotated[Content, AfterValidator(_not_blank)]
Weight = Annotated[float, Field(strict=True, allow_inf_nan=False), BeforeValidator(_weight)]
JSONValue = Annotated[Any, BeforeValidator(_plain_json)]
JSONObject = Annotated[dict[str, Any], BeforeValidator(_plain_json)]


class _Model(BaseModel):
    """A frozen value that knows its fields and explains itself when it cannot be built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, **data: Any) -> None:
        try:
            self.__pydantic_validator__.validate_python(data, self_instance=self)
        except ValidationError as error:
            _refuse(type(self), data, error)

    # Tells pydantic that this __init__ only rewords errors: nested values are validated in place, which keeps the path
    # of a field ("prompt[1].role") whole.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class Message(_Model):
    """One turn of a conversation. ``content`` may be empty, except in the prompt's last message."""

    role: Role
    content: Content


class Rule(_Model):
    """A check that code of this package decides, with its arguments.

    Attributes:
        name: the rule's name, ``"keywords:existence"``. ``"ifeval:keywords:existence"`` is accepted and shortened.
        arguments: the rule's arguments by name, all of them. Nulls are dropped and whole floats (``3.0``) made
            integers, see :func:`rtt.rule_schemas.validate_arguments`.

    Raises:
        UnknownRuleError: no rule has this name; the message shows names that are close.
        RuleArgumentsError: an argument is missing, unknown, or of the wrong type or range.
    """

    name: StrictStr
    arguments: JSONObject = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _canonical(cls, name: str) -> str:
        return rule_schemas.canonical_name(name)

    @validates_model(mode="after")
    def _arguments_fit(self) -> Self:
        # The model is frozen for its users; while it is being built, its own validator may still normalise a field.
        self.__dict__["arguments"] = rule_schemas.validate_arguments(self.name, self.arguments)
        return self

    @cached_property
    def parsed(self) -> rule_schemas.RuleArguments:
        """The arguments as the rule's own model."""
        return rule_schemas.parse_arguments(self.name, self.arguments)


class Code(_Model):
    """A check that came with the data as program text. It is kept, written back and shown, and **never run**.

    Attributes:
        source: the program's text.
        entry: the name of the function in it that would decide.
    """

    source: Text
    entry: Text


class Criterion(_Model):
    """One checkable constraint of a prompt.

    Who decides is plain from the fields: ``rule`` is set: that rule; ``code`` is set: nobody, because code that arrives
    with data is never run, so the verdict is *undetermined* and says so (with ``fallback="judge"`` the judge reads
    ``text`` instead); neither is set: the judge.

    Attributes:
        id: unique in its rubric.
        text: the constraint in words; people, the judge and the discriminator read it. Left out, it is the rule's own
            description (:func:`rtt.rule_schemas.describe`).
        weight: its share in the weighted reward, finite and not 0. A negative weight marks something unwanted: the
            criterion describes what a good response does *not* do.
        rule: the rule that decides, or None.
        scope: what the judge is to look at: the ``"response"``, the whole ``"conversation"``, or how the response
            follows the ``"system"`` message.
        fallback: what happens when a rule cannot decide: ``"error"``: the verdict stays undetermined and gives the
            reason; ``"judge"``: the judge is asked; ``"fail"``: it counts as violated, which is for benchmarks that
            define it so.
        code: program text that came with the data, or None.
    """

    id: Text
    text: Text
    weight: Weight = 1.0
    rule: Rule | None = None
    scope: CriterionScope = "response"
    fallback: Fallback = "error"
    code: Code | None = None

    @validates_model(mode="before")
    @classmethod
    def _describe_rule(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "text" not in data and data.get("rule") is not None:
            rule = Rule.model_validate(data["rule"])
            return {**data, "rule": rule, "text": rule_schemas.describe(rule.name, rule.arguments)}
        return data

    @validates_model(mode="after")
    def _one_decides(self) -> Self:
        if self.rule is not None and self.code is not None:
            raise ValueError("has a rule and code; expected at most one of them")
        return self

    @property
    def unwanted(self) -> bool:
        """Whether the weight is negative: a good response does not do what the criterion says."""
        return self.weight < 0

    @property
    def needs_judge(self) -> bool:
        """Whether no rule decides it, and a judge may."""
        return self.rule is None and (self.code is None or self.fallback == "judge")

    @property
    def kind(self) -> Literal["rule", "judge", "code"]:
        """Who decides, in the words of the file format."""
        return "rule" if self.rule is not None else "code" if self.code is not None else "judge"


def _check_criterion_ids(criteria: Sequence[Any]) -> None:
    if not criteria:
        raise ValueError("is empty; expected at least one criterion")
    repeated = [name for name, count in Counter(criterion.id for criterion in criteria).items() if count > 1]
    if repeated:
        raise ValueError(f"criterion ids repeat: {repeated}; give each criterion its own id")


def _check_conversation(messages: Sequence[Message]) -> None:
    if not messages:
        raise ValueError("is empty; expected at least one message, the last one from the user")
    if messages[-1].role != "user":
        raise ValueError(f"the last message is from {messages[-1].role!r}; expected 'user': it is what gets answered")
    if not messages[-1].content.strip():
        raise ValueError("the last message is blank; expected the user's instruction")
    if any(message.role == "system" for message in messages[1:]):
        raise ValueError("a 'system' message stands after the first place; expected it first or not at all")


class Rubric(_Model):
    """The criteria of one prompt, at least one, with ids of their own. Their order is index k everywhere."""

    criteria: tuple[Criterion, ...]

    @field_validator("criteria")
    @classmethod
    def _ids_differ(cls, criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        _check_criterion_ids(criteria)
        return criteria


class Task(_Model):
    """A prompt and its rubric.

    >>> task = Task(
    ...     id="robots/1",
    ...     prompt=(Message(role="user", content="Tell me about robots. No commas, please."),),
    ...     rubric=Rubric(criteria=(Criterion(id="c1", rule=Rule(name="punctuation:no_comma")),)),
    ... )

    Attributes:
        id: unique in its file.
        prompt: the conversation so far; the last message is the user's and is what a response answers; a system message
            stands first or not at all.
        rubric: what a response is measured by.
        metadata: JSON data of your own, by name (``meta`` on disk). Never read by the method.
        reference: a reference answer or any other JSON data that a judge's prompt may use; None when there is none.
        source: where the task comes from (data set, revision, licence, key), or None.

    Raises:
        DataError: a field is missing, unknown or of the wrong type or value; the message names it.
        UnknownRuleError, RuleArgumentsError: that is all that is wrong, and it concerns a rule.
    """

    id: Text
    prompt: tuple[Message, ...]
    rubric: Rubric
    metadata: JSONObject = Field(default_factory=dict)
    reference: JSONValue = None
    source: JSONObject | None = None

    @field_validator("prompt")
    @classmethod
    def _ends_with_the_user(cls, prompt: tuple[Message, ...]) -> tuple[Message, ...]:
        _check_conversation(prompt)
        return prompt

    def narrowed(self, criteria: Iterable[Criterion]) -> Task:
        """The task with these criteria alone; at least one."""
        return self.model_copy(update={"rubric": Rubric(criteria=tuple(criteria))})

    @classmethod
    def from_json(cls, line: str) -> Task:
        """The task that one line of a task file says; the inverse of :meth:`to_json`.

        Raises:
            TaskFileError: as :func:`parse_task`, and for what is not JSON.
        """
        try:
            return parse_task(decode_text(line))
        except LineError as error:
            raise TaskFileError(f"task line: {error}") from None

    def to_json(self) -> str:
        """The task as one line of a task file, without the line's end; :meth:`from_json` gives an equal task back."""
        return json.dumps(_to_object(self), ensure_ascii=False, allow_nan=False)


# ------------------------------------------------------------------------------------------------------ on disk


def read_tasks(path: str | os.PathLike[str]) -> list[Task]:
    """Read a task file, in order: JSON Lines in UTF-8, this project's or IFEval's and IFBench's, told line by line.

    Blank lines, CRLF line ends and a byte order mark at the start are accepted.

    Args:
        path: a file. Its lines are at most :data:`rtt.json_lines.MAX_LINE_BYTES` long (64 MiB).

    Raises:
        TaskFileError: the file cannot be read or has no task, or lines cannot be used. The whole file is read first,
            and up to ``MAX_PROBLEMS`` problems are told together, each with file, line and field, what came and what
            was expected; ids that repeat name both lines. Nothing is dropped or guessed: one bad line refuses the file.
    """
    file = Path(path)
    tasks: list[Task] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in read_lines(file, TaskFileError):
        try:
            task = _parse_value(decode_line(line))
        except LineError as error:
            problems += [f"{file}:{number}: {problem}" for problem in error.problems]
        else:
            if task.id in first_line:
                problems.append(
                    f"{file}:{number}: id: {_show(task.id)} is the id of line {first_line[task.id]} already; "
                    "give each task its own id"
                )
            first_line.setdefault(task.id, number)
            tasks.append(task)
        if len(problems) >= MAX_PROBLEMS:
            raise _file_error(file, problems[:MAX_PROBLEMS], stopped=number)
    if problems:
        raise _file_error(file, problems)
    if not tasks:
        raise TaskFileError(f"{file}: has no task in it; expected one JSON object a line")
    return tasks


def write_tasks(path: str | os.PathLike[str], tasks: Iterable[Task]) -> None:
    """Write a task file that :func:`read_tasks` reads back as equal tasks.

    The file appears whole or not at all, see :func:`rtt.json_lines.write_lines`; a file that is there is replaced.

    Raises:
        TaskFileError: two tasks have the same id, there is no task, or the file cannot be written. What was there
            before is left as it was.
    """
    seen: set[str] = set()
    with write_lines(Path(path), TaskFileError) as write:
        for task in tasks:
            if task.id in seen:
                raise TaskFileError(f"{path}: two tasks have the id {_show(task.id)}; give each task its own id")
            seen.add(task.id)
            write(task.to_json())
        if not seen:
            raise TaskFileError(f"{path}: no tasks to write; expected at least one")


def parse_task(value: object) -> Task:
    """The task that a decoded line says, in this project's format or IFEval's.

    Args:
        value: what ``json.loads`` gives for the line: a mapping.

    Raises:
        TaskFileError: the value cannot be used; the message names every field that is wrong.
    """
    try:
        return _parse_value(value)
    except LineError as error:
        raise TaskFileError(f"{_whose(value)}: {error}") from None


# ----------------------------------------------------------------------------------------------- lines to tasks


class _RuleLine(_Model):
    id: Text
    kind: Literal["rule"]
    text: Text
    rule: StrictStr
    params: JSONObject = Field(default_factory=dict)
    weight: Weight = 1.0
    scope: CriterionScope = "response"
    fallback: Fallback = "error"


class _JudgeLine(_Model):
    id: Text
    kind: Literal["judge"]
    text: Text
    weight: Weight = 1.0
    scope: CriterionScope = "response"
    fallback: Fallback = "error"


class _CodeLine(_Model):
    id: Text
    kind: Literal["code"]
    text: Text
    source: Text
    entry: Text
    weight: Weight = 1.0
    scope: CriterionScope = "response"
    fallback: Fallback = "error"


_CriterionLine = Annotated[_RuleLine | _JudgeLine | _CodeLine, Field(discriminator="kind")]
_KINDS: dict[str, type[_Model]] = {"rule": _RuleLine, "judge": _JudgeLine, "code": _CodeLine}


class _TaskLine(_Model):
    id: Text
    messages: tuple[Message, ...]
    criteria: tuple[_CriterionLine, ...]
    reference: JSONValue = None
    source: JSONObject | None = None
    meta: JSONObject = Field(default_factory=dict)

    @field_validator("messages")
    @classmethod
    def _ends_with_the_user(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        _check_conversation(messages)
        return messages

    @field_validator("criteria")
    @classmethod
    def _ids_differ(cls, criteria: tuple[_CriterionLine, ...]) -> tuple[_CriterionLine, ...]:
        _check_criterion_ids(criteria)
        return criteria


class _IFEvalLine(_Model):
    key: Annotated[int, Field(strict=True)] | Text
    prompt: Text
    instruction_id_list: tuple[StrictStr, ...]
    kwargs: tuple[JSONObject, ...]


def _parse_value(value: object) -> Task:
    if not isinstance(value, Mapping):
        raise LineError(f"got {_kind_of(value)} {_show(value)}; expected a JSON object, one task a line")
    if "instruction_id_list" in value:
        return _from_ifeval(value)
    line = _validated(_TaskLine, _without_nulls(value))
    criteria: list[Criterion] = []
    problems: list[str] = []
    for k, item in enumerate(line.criteria):
        rule = None
        if isinstance(item, _RuleLine):
            rule = _rule(item.rule, item.params, f"criteria[{k}].rule", f"criteria[{k}].params", problems)
        code = Code(source=item.source, entry=item.entry) if isinstance(item, _CodeLine) else None
        criteria.append(
            Criterion(
                id=item.id,
                text=item.text,
                weight=item.weight,
                rule=rule,
                scope=item.scope,
                fallback=item.fallback,
                code=code,
            )
        )
    if problems:
        raise LineError(*problems)
    return Task(
        id=line.id,
        prompt=line.messages,
        rubric=Rubric(criteria=tuple(criteria)),
        metadata=line.meta,
        reference=line.reference,
        source=line.source,
    )


def _from_ifeval(value: Mapping[str, Any]) -> Task:
    """One line of IFEval's ``input_data.jsonl`` (arXiv:2311.07911), whose instructions have no text of their own."""
    line = _validated(_IFEvalLine, value)
    names, kwargs = line.instruction_id_list, line.kwargs
    if len(names) != len(kwargs):
        raise LineError(
            f"kwargs: has {len(kwargs)} entries for {len(names)} instructions in instruction_id_list; "
            "expected one object for each, {} where there are no arguments"
        )
    if not names:
        raise LineError("instruction_id_list: is empty; expected at least one instruction")
    problems: list[str] = []
    criteria: list[Criterion] = []
    for k, (name, given) in enumerate(zip(names, kwargs, strict=True)):
        rule = _rule(name, given, f"instruction_id_list[{k}]", f"kwargs[{k}]", problems)
        if rule is not None:
            criteria.append(Criterion(id=f"c{k + 1}", rule=rule, text=rule_schemas.describe(rule.name, rule.arguments)))
    if problems:
        raise LineError(*problems)
    return Task(
        id=f"{_benchmark(criteria)}/{line.key}",
        prompt=(Message(role="user", content=line.prompt),),
        rubric=Rubric(criteria=tuple(criteria)),
        metadata={"key": line.key},
    )


def _benchmark(criteria: Sequence[Criterion]) -> str:
    """Whose line it is: IFBench's lines have the format of IFEval's, and other instructions."""
    rules = [criterion.rule for criterion in criteria if criterion.rule is not None]
    return "ifbench" if any(rule_schemas.family_of(rule.name) == "ifbench" for rule in rules) else "ifeval"


def _rule(
    name: str, arguments: dict[str, Any], name_path: str, arguments_path: str, problems: list[str]
) -> Rule | None:
    """The rule, or None and one more problem under the path of the field that is to blame."""
    try:
        canonical = rule_schemas.canonical_name(name)
        return Rule.model_construct(name=canonical, arguments=rule_schemas.validate_arguments(canonical, arguments))
    except UnknownRuleError as error:
        problems.append(f"{name_path}: {error}")
    except RuleArgumentsError as error:
        problems.append(f"{arguments_path}: {error}")
    return None


def _without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    """The line without keys that are null: tables (Arrow, pandas) write every key of every row."""
    line = {key: item for key, item in value.items() if item is not None}
    if isinstance(criteria := line.get("criteria"), list):
        line["criteria"] = [_without_nulls(item) if isinstance(item, Mapping) else item for item in criteria]
    return line


def _to_object(task: Task) -> dict[str, Any]:
    line: dict[str, Any] = {
        "id": task.id,
        "messages": [{"role": message.role, "content": message.content} for message in task.prompt],
        "criteria": [_criterion_to_object(criterion) for criterion in task.rubric.criteria],
    }
    if task.reference is not None:
        line["reference"] = task.reference
    if task.source is not None:
        line["source"] = task.source
    if task.metadata:
        line["meta"] = task.metadata
    return line


def _criterion_to_object(criterion: Criterion) -> dict[str, Any]:
    line: dict[str, Any] = {"id": criterion.id, "kind": criterion.kind, "text": criterion.text}
    if criterion.rule is not None:
        line |= {"rule": rule_schemas.full_name(criterion.rule.name), "params": criterion.rule.arguments}
    if criterion.code is not None:
        line |= {"source": criterion.code.source, "entry": criterion.code.entry}
    line["weight"] = criterion.weight
    if criterion.scope != "response":
        line["scope"] = criterion.scope
    if criterion.fallback != "error":
        line["fallback"] = criterion.fallback
    return line


# --------------------------------------------------------------------------------------------- errors in words

Line = TypeVar("Line", bound=_Model)


def _file_error(file: Path, problems: list[str], stopped: int | None = None) -> TaskFileError:
    if len(problems) == 1 and stopped is None:
        return TaskFileError(problems[0])
    head = f"{file}: {len(problems)} problems"
    if stopped is not None:
        head += f" up to line {stopped}, where reading stopped"
    return TaskFileError("\n  ".join([head, *problems]))


def _validated(model: type[Line], value: Mapping[str, Any]) -> Line:
    try:
        return model.model_validate(dict(value))
    except ValidationError as error:
        raise LineError(*_problems(error, model)) from None


def _refuse(model: type[_Model], data: Mapping[str, Any], error: ValidationError) -> NoReturn:
    """Raise a validation error of pydantic in the words, and under the types, of this project."""
    problems = _problems(error, model)
    who = f"{model.__name__} {_show(data['id'])}" if "id" in data else model.__name__
    cause = error.errors(include_url=False)[0].get("ctx", {}).get("error") if len(problems) == 1 else None
    raise (type(cause) if isinstance(cause, RTTError) else DataError)(f"{who}: {'; '.join(problems)}") from None


def _problems(error: ValidationError, model: type[_Model]) -> list[str]:
    """Each problem as the field's path, what came, what was expected; once, where a union tells it twice."""
    return list(
        {_path(detail): _in_words(detail, model) for detail in reversed(error.errors(include_url=False))}.values()
    )[::-1]


def _path(detail: ErrorDetails) -> str:
    path = list(detail["loc"])
    if path[:1] == ["criteria"] and len(path) > 2 and path[2] in _KINDS:
        del path[2]  # the name of a union's member is no field
    if path[:1] == ["key"]:
        del path[1:]
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(str(step) for step in path))


def _in_words(detail: ErrorDetails, model: type[_Model]) -> str:
    path = _path(detail)
    return f"{path}: {_what_and_expected(detail, model)}" if path else _what_and_expected(detail, model)


def _what_and_expected(detail: ErrorDetails, model: type[_Model]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    got = f"got {_show(value)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing; expected this field"
    if kind == "extra_forbidden":
        return _unknown_field(detail["loc"], model)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"{got}; expected one of {choices}"
    if kind == "union_tag_not_found":
        return f"kind is missing; expected one of {list(_KINDS)}"
    if kind == "union_tag_invalid":
        return f"kind: got {_show(context['tag'])}; expected one of {list(_KINDS)}"
    expected = {
        "string_type": "text",
        "float_type": "a number",
        "finite_number": "a finite number",
        "int_type": "a whole number or text",
        "tuple_type": "a list",
        "dict_type": "an object",
        "model_type": "an object",
        "model_attributes_type": "an object",
    }.get(kind, detail["msg"])
    return f"{got} ({_kind_of(value)}); expected {expected}"


def _unknown_field(path: tuple[int | str, ...], model: type[_Model]) -> str:
    """Names the fields there are where an unknown one stands: the model's own, or those of its messages or criteria."""
    if len(path) == 1:
        known = list(model.model_fields)
    elif path[0] == "criteria" and path[2] in _KINDS:
        known = list(_KINDS[str(path[2])].model_fields)
    else:
        known = list(Message.model_fields) if path[0] in ("messages", "prompt") else []
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    if near:
        return f"is not a known field; did you mean {near[0]!r}?"
    own = next((f"; data of your own goes under {name!r}" for name in ("meta", "metadata") if name in known), "")
    return "is not a known field" + (f"; expected only {known}" if known else "") + own


def _kind_of(value: object) -> str:
    """The kind of a value in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds: list[tuple[Any, str]] = [(str, "text"), (int | float, "a number"), (Mapping, "an object")]
    for kind, word in kinds:
        if isinstance(value, kind):
            return word
    return "a list" if isinstance(value, Sequence) else type(value).__name__


def _whose(value: object) -> str:
    if isinstance(value, Mapping):
        for name in ("id", "key"):
            if isinstance(value.get(name), str | int):
                return f"task {_show(value[name])}"
    return "task"


def _show(value: object, width: int = 80) -> str:
    text = repr(value if not isinstance(value, str) else value[: width + 1])
    return text if len(text) <= width else f"{text[: width - 3]}..."
