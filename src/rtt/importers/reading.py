"""One row on its way to a task: its fields, read strictly, and what becomes of each criterion.

    Row.value      what the file holds
    text, number, items, mapping, messages    a field of it, or an error that opens with the field's path
    Row.by_rule    an instruction id    ->  a criterion of our rule; for an unknown id, what --unknown-rule says
    Row.by_code    program text         ->  what --code says; it is never run
    Row.by_judge   words                ->  a criterion for a judge, its weight as it is or as --negative says
    Row.task       all of it            ->  the task, or None

Readers of formats call these; none of them evaluates anything that comes from the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

from rtt import rule_schemas
from rtt.errors import DataError, UnknownRuleError
from rtt.importers import Format
from rtt.json_lines import LineError
from rtt.rubrics import MAX_DEPTH, Code, Criterion, Message, Role, Rubric, Rule, Task
from rtt.rule_schemas.muldimif import LABELS

UnknownRule = Literal["refuse", "judge", "skip"]
CodeChoice = Literal["refuse", "keep", "judge", "skip"]
Negative = Literal["keep", "positive", "skip"]

MAX_CHARACTERS = 1_000_000
"""The longest text that a field may hold, in characters."""

MAX_CRITERIA = 256
"""The most criteria of a row."""

MAX_NAME = 200
"""The longest name of a rule, in characters."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What becomes of that which has no equal here.

    Attributes:
        unknown_rule: of a criterion whose rule does not exist here. ``refuse``: the import fails and counts them;
            ``judge``: a judge decides, by the data's words; ``skip``: the criterion is left out.
        code: of a criterion with program text, which is never run. ``refuse``: the import fails; ``keep``: it is
            stored and stays undetermined; ``judge``: a judge decides, by the criterion's words; ``skip``: left out.
        negative: of a negative weight. ``keep``: the criterion says what a good response does not do; ``positive``:
            the weight loses its sign; ``skip``: left out.
    """

    unknown_rule: UnknownRule = "refuse"
    code: CodeChoice = "refuse"
    negative: Negative = "keep"


DEFAULT = Choices()
"""What has no equal here refuses the import; negative weights stay."""


@dataclass(slots=True)
class Row:
    """One row of a file, and what was made of it so far.

    Attributes:
        value: the row.
        format: whose row it is.
        name: what the row is called where it has no key of its own: the file's name and the row's number.
        dataset: the id of the data set, for the task's metadata.
        licence: of the data set, or None where it is not confirmed.
        choices: what becomes of that which has no equal here.
        criteria: those made so far.
        left_out: how many were left out, by reason.
        refused_rules: how many criteria have an unknown rule, by its name; only where these are refused.
        refused_code: how many criteria have program text; only where these are refused.
        judged_rules: how many criteria go to a judge because their rule is unknown, by its name.
    """

    value: Mapping[str, Any]
    format: Format
    name: str
    dataset: str
    licence: str | None
    choices: Choices = DEFAULT
    criteria: list[Criterion] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    refused_rules: Counter[str] = field(default_factory=Counter)
    refused_code: int = 0
    judged_rules: Counter[str] = field(default_factory=Counter)
    prompt: tuple[Message, ...] = ()
    prompt_field: str = "prompt"
    key: int | str | None = None
    reference: Any = None
    labels: dict[str, Any] = field(default_factory=dict)

    def by_rule(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        field: str,
        arguments_field: str,
        text: str | None = None,
        weight: float = 1.0,
    ) -> None:
        """Add a criterion that a rule of IFEval or IFBench decides.

        Args:
            name: the instruction id.
            arguments: by IFEval's names; nulls are dropped.
            field: the path of the name in the row.
            arguments_field: the path of the arguments.
            text: the criterion in the data's words; without it, it is the rule's own description.
            weight: its weight.

        Raises:
            LineError: the arguments do not fit the rule.
        """
        known = instruction_rule(name)
        if known is None:
            self.by_unknown_rule(name, field=field, text=text, weight=weight)
            return
        try:
            rule = Rule(name=known, arguments=rule_schemas.validate_arguments(known, arguments))
            words = text if text is not None else rule_schemas.describe(known, rule.arguments)
        except DataError as error:
            raise LineError(f"{arguments_field}: {error}") from None
        self._add_weighted(weight, text=words, rule=rule)

    def by_label(self, category: str, subcategory: str, constraint: str, *, field: str, text: str | None) -> None:
        """Add a criterion that a rule of MulDimIF decides: its label, the constraint's text, and its own words."""
        name = LABELS.get((category, subcategory))
        if name is None:
            label = f"{category}_{subcategory}"[:MAX_NAME]
            self.by_unknown_rule(f"muldimif label {label}", field=field, text=text or constraint)
            return
        self._add(text=text or constraint, rule=Rule(name=name, arguments={"text": constraint}))

    def by_unknown_rule(self, name: str, *, field: str, text: str | None, weight: float = 1.0) -> None:
        """What becomes of a criterion whose rule does not exist here.

        Raises:
            LineError: a judge is to decide, and the data has no words for the criterion.
        """
        choice = self.choices.unknown_rule
        if choice == "refuse":
            self.refused_rules[name] += 1
        elif choice == "skip":
            self.left_out[f"unknown rule {name}"] += 1
        elif text is None:
            raise LineError(
                f"{field}: rule {name!r} is not known here, and the data has no words for it that a judge could read; "
                "choose --unknown-rule skip, or leave the row out with --skip-bad"
            )
        else:
            self.judged_rules[name] += 1
            self._add_weighted(weight, text=text)

    def by_code(self, source: str, entry: str, *, text: str) -> None:
        """What becomes of a criterion that comes with program text. The text is never run."""
        choice = self.choices.code
        if choice == "refuse":
            self.refused_code += 1
        elif choice == "skip":
            self.left_out["program text"] += 1
        elif choice == "keep":
            self._add(text=text, code=Code(source=source, entry=entry))
        else:
            self._add(text=text)

    def by_judge(self, text: str, weight: float = 1.0) -> None:
        """Add a criterion that a judge decides. One of weight 0 counts for nothing and is left out."""
        self._add_weighted(weight, text=text)

    def task(self) -> Task | None:
        """The task, or None where nothing is left to decide.

        Raises:
            LineError: the prompt is none.
        """
        if not self.criteria:
            return None
        key = self.name if self.key is None else self.key
        metadata = {"dataset": self.dataset, "licence": self.licence, "key": key, **self.labels}
        if self.left_out:
            metadata["left_out"] = dict(self.left_out)
        try:
            return Task(
                id=f"{self.format.name}/{key}",
                prompt=self.prompt,
                rubric=Rubric(criteria=tuple(self.criteria)),
                metadata=metadata,
                reference=self.reference,
            )
        except DataError as error:
            raise LineError(f"{self.prompt_field}: {error}") from None

    def label(self, *names: str) -> None:
        """Keep these fields of the row in the task's metadata, where they are there: text, numbers, lists of texts."""
        for name in names:
            value = self.value.get(name)
            if value is None or value == "":
                continue
            if isinstance(value, list | tuple):
                self.labels[name] = [text(item, f"{name}[{k}]") for k, item in enumerate(value)]
            elif isinstance(value, str):
                self.labels[name] = text(value, name, blank=True)
            else:
                number(value, name)
                self.labels[name] = value

    def _add_weighted(self, weight: float, **fields: Any) -> None:
        if weight == 0:
            self.left_out["weight 0"] += 1
        elif weight < 0 and self.choices.negative == "skip":
            self.left_out["negative weight"] += 1
        else:
            self._add(weight=abs(weight) if self.choices.negative == "positive" else weight, **fields)

    def _add(self, **fields: Any) -> None:
        if len(self.criteria) >= MAX_CRITERIA:
            raise LineError(f"has more than {MAX_CRITERIA} criteria; expected a rubric of a usual size")
        self.criteria.append(Criterion(id=f"c{len(self.criteria) + 1}", **fields))


def read_row(
    form: Format, value: object, name: str, choices: Choices = DEFAULT, dataset: str | None = None
) -> tuple[Row, Task | None]:
    """One row of a file, read: what became of its criteria, and the task; None where nothing is left to decide.

    Args:
        form: the row's format.
        value: the row, as JSON or Arrow gives it.
        name: what the row is called where it has no key of its own.
        choices: what becomes of that which has no equal here.
        dataset: the data set's id; where it is not given, those that have this format.

    Raises:
        DataError: the row cannot be used; the message opens with the field.
    """
    if not isinstance(value, Mapping):
        raise LineError(f"got {show(value)}; expected an object, one row")
    _check_depth(value)
    licence = form.licence if dataset is None or dataset in form.hub else None
    row = Row(value, form, name, dataset or " or ".join(form.hub), licence, choices)
    form.read(row)
    refused = row.refused_rules or row.refused_code
    return row, None if refused else row.task()


@lru_cache(maxsize=4096)
def instruction_rule(name: str) -> str | None:
    """The canonical name of an instruction of IFEval or IFBench; None where there is no such rule."""
    try:
        known = rule_schemas.canonical_name(name)
    except UnknownRuleError:
        return None
    return known if rule_schemas.family_of(known) in ("ifeval", "ifbench") else None


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, Mapping):
                below += item.values()
            elif isinstance(item, list | tuple):
                below += item
        if not below:
            return
        level = below
    raise LineError(f"lists and objects are nested more than {MAX_DEPTH} deep; expected flatter data")


# ------------------------------------------------------------------------------------------------ fields


def text(value: object, path: str, *, blank: bool = False) -> str:
    """The value as text that can be written in UTF-8.

    Raises:
        LineError: it is none, is blank (unless that is allowed), too long, or holds half a surrogate pair.
    """
    if not isinstance(value, str):
        raise LineError(f"{path}: {_came(value)}; expected text")
    if len(value) > MAX_CHARACTERS:
        raise LineError(f"{path}: has {len(value):,} characters; expected at most {MAX_CHARACTERS:,}")
    if not blank and not value.strip():
        raise LineError(f"{path}: is blank; expected text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise LineError(f"{path}: holds half a surrogate pair; expected valid Unicode") from None
    return value


def number(value: object, path: str) -> float:
    """The value as a finite number.

    Raises:
        LineError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LineError(f"{path}: {_came(value)}; expected a number")
    if not -1e9 <= value <= 1e9:  # nor NaN
        raise LineError(f"{path}: got {show(value)}; expected a number of a usual size")
    return float(value)


def items(value: object, path: str, *, most: int = MAX_CRITERIA) -> Sequence[Any]:
    """The value as a list that is not empty.

    Raises:
        LineError: it is none, or has too many items.
    """
    if not isinstance(value, list | tuple):
        raise LineError(f"{path}: {_came(value)}; expected a list")
    if not value:
        raise LineError(f"{path}: is empty; expected at least one item")
    if len(value) > most:
        raise LineError(f"{path}: has {len(value):,} items; expected at most {most}")
    return value


def mapping(value: object, path: str) -> Mapping[str, Any]:
    """The value as an object.

    Raises:
        LineError: it is none.
    """
    if not isinstance(value, Mapping):
        raise LineError(f"{path}: {_came(value)}; expected an object")
    return value


def messages(value: object, path: str) -> tuple[Message, ...]:
    """The value as a conversation: a list of objects with ``role`` and ``content``, or the user's text alone.

    ``content`` is text or a list of parts with a ``text`` each; the role ``developer`` is the system's.

    Raises:
        LineError: it is none.
    """
    if isinstance(value, str):
        return (Message(role="user", content=text(value, path)),)
    read = []
    for k, item in enumerate(items(value, path, most=10_000)):
        turn = mapping(item, f"{path}[{k}]")
        role = "system" if turn.get("role") == "developer" else turn.get("role")
        if role not in ("system", "user", "assistant"):
            raise LineError(
                f"{path}[{k}].role: {_came(turn.get('role'))}; expected one of ['system', 'user', 'assistant']"
            )
        read.append(Message(role=cast(Role, role), content=_content(turn.get("content"), f"{path}[{k}].content")))
    return tuple(read)


def _content(value: object, path: str) -> str:
    if not isinstance(value, list | tuple):
        return text(value, path, blank=True)
    parts = []
    for k, part in enumerate(items(value, path)):
        read = mapping(part, f"{path}[{k}]")
        if read.get("type") not in (None, "text", "input_text", "output_text"):
            raise LineError(f"{path}[{k}].type: {_came(read.get('type'))}; expected text: images have no place here")
        parts.append(text(read.get("text"), f"{path}[{k}].text", blank=True))
    return text("".join(parts), path, blank=True)


def same_length(path: str, values: Sequence[Any], other_path: str, others: Sequence[Any]) -> None:
    """Refuse lists that should go together and have different lengths.

    Raises:
        LineError: they differ.
    """
    if len(values) != len(others):
        raise LineError(
            f"{path}: has {len(values)} items and {other_path} {len(others)}; expected one for each: mend the row, or "
            "leave it out with --skip-bad"
        )


def key(value: object, path: str) -> int | str | None:
    """The value as the key of a row: a whole number or short text; None where there is none.

    Raises:
        LineError: it is neither.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    read = text(value, path)
    if len(read) > MAX_NAME:
        raise LineError(f"{path}: has {len(read):,} characters; expected a key of at most {MAX_NAME}")
    return read


def name_of_rule(value: object, path: str) -> str:
    """The value as the name of a rule.

    Raises:
        LineError: it is none, or longer than a name is.
    """
    read = text(value, path)
    if len(read) > MAX_NAME:
        raise LineError(f"{path}: has {len(read):,} characters; expected the name of a rule")
    return read


def show(value: object) -> str:
    """A value that came, for a message: as Python writes it, at most 60 characters."""
    shown = repr(value if not isinstance(value, str) else value[:61])
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _came(value: object) -> str:
    return "is missing" if value is None else f"got {show(value)} ({type(value).__name__})"
