"""Drafts: a model proposes a rubric for a prompt without one, and a person decides what becomes of it.

    Prompt              a conversation, and the criteria that are to stay
      │  template       what the rules can check; the conversation as data, between marks that it does not hold
      ▼
    Connection.ask ───> NoAnswer: there is no draft, and its reason is told
      │  JSON, read strictly
      ▼
    Proposal            text, rule, arguments, weight, why
      │
      ├── names a rule that exists, with arguments that fit     a rule's criterion, in the rule's own words
      ├── says, word for word, what a rule says of itself       likewise
      └── anything else                                         a judge's criterion
      ▼
    Task                metadata["draft"]: who wrote it, and beside each criterion the model's own words
      │  doubts         what a person should look at: two things in one, vague, twice, a rule that was refused
      ▼
    accepted            the same task, like any other

What carries ``metadata["draft"]`` has been seen by nobody: :func:`refuse_drafts` stands before everything that would
use it.
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from rtt.endpoints import NoAnswer, clean, excerpt, first_problem, json_object
from rtt.errors import ConfigurationError, DataError, RTTError
from rtt.json_lines import LineError, decode_line, read_lines
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, parse_task, read_tasks
from rtt.rule_schemas import (
    RuleArguments,
    canonical_name,
    describe,
    family_of,
    parse_arguments,
    rule_names,
    validate_arguments,
)
from rtt.rule_schemas.ifeval import LANGUAGES
from rtt.verifiers import verify_rule
from rtt.verifiers.judge.prompts import block, digest, in_words, mark_for, prompt_file

if TYPE_CHECKING:
    from rtt.endpoints import Connection, Endpoint

MAX_CRITERIA = 10
"""How many criteria a draft has at most, if nothing else is said."""

MAX_TEXT = 2000
"""The longest criterion of a reply, in characters."""

MARK = "draft"
"""The key of a task's metadata that says: nobody has read this rubric yet."""

_MAX_PROPOSALS = 500  # more in one reply is a model that repeats itself


# ------------------------------------------------------------------------------------------------------- the prompts


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a rubric is to be drafted for.

    Attributes:
        id: unique in its file; the drafted task has it.
        messages: the conversation; the last message is the user's.
        kept: criteria that stay as they are; the draft adds to them.
        metadata, reference, source: as of :class:`rtt.rubrics.Task`; carried along.
    """

    id: str
    messages: tuple[Message, ...]
    kept: tuple[Criterion, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reference: Any = None
    source: dict[str, Any] | None = None


def read_prompts(path: Path, *, keep: bool = False) -> list[Prompt]:
    """The prompts of a file, in order.

    Args:
        path: JSON lines, each with ``prompt`` (text, or a list of messages) or ``messages``, if wanted with ``id``,
            ``reference``, ``source`` and ``meta``; other keys become metadata. Or tasks, in any format of
            :func:`rtt.rubrics.read_tasks`. A file that ends in ``.txt`` has one prompt a line. A prompt without an id
            is named after its words, so that lines may be added anywhere.
        keep: whether the criteria of tasks stay; otherwise a draft takes their place.

    Raises:
        DataError: a line cannot be used, ids repeat, or there is no prompt.
    """
    prompts: list[Prompt] = []
    first_line: dict[str, int] = {}
    for number, line in read_lines(path):
        try:
            value = {"prompt": _text_line(line)} if path.suffix.lower() == ".txt" else decode_line(line)
            prompt = _prompt_of(value, keep)
            if prompt.id in first_line:
                raise LineError(
                    f"id: {prompt.id!r} is the id of line {first_line[prompt.id]} already; give each prompt its own id"
                    if isinstance(value, Mapping) and value.get("id") is not None
                    else f"the same prompt as on line {first_line[prompt.id]}; leave it out, or give both an id"
                )
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        first_line[prompt.id] = number
        prompts.append(prompt)
    if not prompts:
        raise DataError(f"{path}: has no prompt in it; expected one JSON object a line, or one prompt a line in a .txt")
    return prompts


def _text_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise LineError(f"byte {error.start + 1} of the line is not UTF-8; expected text in UTF-8") from None


_OWN_KEYS = ("id", "prompt", "messages", "criteria", "reference", "meta")


def _prompt_of(value: Any, keep: bool) -> Prompt:
    if not isinstance(value, Mapping):
        raise LineError(f"got {excerpt(repr(value))}; expected a JSON object, one prompt a line")
    kept: tuple[Criterion, ...] = ()
    if value.get("criteria") or "instruction_id_list" in value:
        task = parse_task(value)
        kept = task.rubric.criteria if keep else ()
    else:
        task = parse_task(_as_task(value))
    metadata = dict(task.metadata)
    if MARK in metadata:
        if not is_draft(task):
            raise LineError(f"meta.{MARK}: is the key that marks drafts; expected data of your own under another name")
        del metadata[MARK]
    return Prompt(task.id, task.prompt, kept, metadata, task.reference, task.source)


def _as_task(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line in the format of tasks, with one criterion so that everything else is checked as it is there."""
    given = [name for name in ("prompt", "messages") if line.get(name) is not None]
    if len(given) != 1:
        raise LineError(
            f"has {' and '.join(given) or 'no prompt'}, its keys are {list(line)[:10]}; expected the prompt under "
            "'prompt' (text) or 'messages' (a list of role and content)"
        )
    prompt = line[given[0]]
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(messages, list):
        raise LineError(f"{given[0]}: got {excerpt(repr(prompt))}; expected text or a list of messages")
    name = line.get("id")
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    meta = line.get("meta") or {}
    if not isinstance(meta, Mapping):
        raise LineError(f"meta: got {excerpt(repr(meta))}; expected an object")
    source = line.get("source")
    others = {key: item for key, item in line.items() if key not in _OWN_KEYS and item is not None}
    if isinstance(source, Mapping):
        others.pop("source")
    if twice := sorted(others.keys() & meta.keys()):
        raise LineError(f"{twice} stand beside 'meta' and in it; expected each key once")
    return {
        "id": digest([messages])[:16] if name is None else name,
        "messages": messages,
        "criteria": [{"id": "c1", "kind": "judge", "text": "-"}],
        "reference": line.get("reference"),
        "source": source if isinstance(source, Mapping) else None,
        "meta": {**meta, **others},
    }


# ----------------------------------------------------------------------------------------------------- what is asked

_REQUIRED = frozenset({"conversation", "fence", "most", "rules"})
_OPTIONAL = frozenset({"criteria", "reference"})


class DraftTemplate:
    """The prompt file of drafts: UTF-8, ``$$`` is a dollar sign.

    It has the places ``$conversation``, ``$rules``, ``$most`` (the number of criteria) and ``$fence``, and if wanted
    ``$criteria`` (those that are there already) and ``$reference``.

    Args:
        path: the file; None: the one that comes with the package.

    Raises:
        ConfigurationError: the file cannot be read, or its places are others.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._template = prompt_file(
            path,
            "draft.txt",
            _REQUIRED,
            _OPTIONAL,
            "$conversation, $rules, $most (the number of criteria) and $fence (the mark that keeps data and "
            "instructions apart), if wanted $criteria and $reference",
        )
        self.text = self._template.template

    @property
    def name(self) -> str:
        """What tells this template from others: twelve hexadecimal digits."""
        return digest([self.text])[:12]

    def render(self, prompt: Prompt, most: int = MAX_CRITERIA, *, again: bool = False) -> str:
        """What the model is told.

        Args:
            prompt: what the rubric is for. All of it stands between marks that occur nowhere in it.
            most: how many criteria are asked for, at most.
            again: whether an earlier reply could not be used.
        """
        reference = in_words(prompt.reference)
        kept = "\n".join(f"- {criterion.text}" for criterion in prompt.kept)
        data = [*(message.content for message in prompt.messages), kept, reference]
        fence = mark_for(data, data)

        conversation = "\n".join(block(message.role, message.content, fence) for message in prompt.messages)
        text = self._template.substitute(
            fence=fence,
            most=most,
            rules=rules_in_words(),
            conversation=block("conversation", conversation, fence),
            reference=(
                f"A good answer, for you to compare:\n\n{block('reference', reference, fence)}" if reference else ""
            ),
            criteria=f"The rubric has these criteria; add to them:\n\n{block('criteria', kept, fence)}" if kept else "",
        )
        # Of what was wrong with the reply only so much: an excerpt would bring its words out of the marks.
        problem = "Your last reply could not be used: it was not one JSON object of this form. Reply once more."
        return f"{text.rstrip()}\n\n{problem}\n" if again else text


_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "keywords:existence": {"keywords": ["robot", "moon"]},
    "keywords:frequency": {"keyword": "robot", "frequency": 3, "relation": "at least"},
    "keywords:forbidden_words": {"forbidden_words": ["very", "really"]},
    "keywords:letter_frequency": {"letter": "e", "let_frequency": 5, "let_relation": "less than"},
    "language:response_language": {"language": "de"},
    "length_constraints:number_sentences": {"num_sentences": 4, "relation": "less than"},
    "length_constraints:number_paragraphs": {"num_paragraphs": 3},
    "length_constraints:number_words": {"num_words": 101, "relation": "less than"},
    "length_constraints:nth_paragraph_first_word": {
        "num_paragraphs": 3,
        "nth_paragraph": 2,
        "first_word": "however",
    },
    "detectable_content:number_placeholders": {"num_placeholders": 2},
    "detectable_content:postscript": {"postscript_marker": "P.S."},
    "detectable_format:number_bullet_lists": {"num_bullets": 4},
    "detectable_format:number_highlighted_sections": {"num_highlights": 2},
    "detectable_format:multiple_sections": {"section_spliter": "Section", "num_sections": 3},
    "combination:repeat_prompt": {"prompt_to_repeat": "Why is the sky blue?"},
    "startend:end_checker": {"end_phrase": "Is there anything else?"},
    "change_case:capital_word_frequency": {"capital_frequency": 3, "capital_relation": "at least"},
}
"""Arguments of each of IFEval's rules that has any: they show the model what the arguments look like."""


@functools.cache
def _properties(schema: type[RuleArguments]) -> dict[str, dict[str, Any]]:
    """The arguments of a rule as JSON Schema."""
    properties: dict[str, dict[str, Any]] = schema.model_json_schema().get("properties", {})
    return {
        name: {key: part for key, part in kind.items() if key not in ("title", "description")}
        for name, kind in properties.items()
    }


def _offered() -> dict[str, type[RuleArguments]]:
    """The rules that a model can be told of, and their arguments: IFEval's, and registered ones without arguments.

    IFBench's rules ask for what few users would, and would make a long list longer; so would each corrected rule,
    beside the one that it corrects.
    """
    offered = {}
    for name in rule_names():
        if family_of(name) in ("ifbench", "rtt"):
            continue
        try:
            offered[name] = type(parse_arguments(name, _EXAMPLES.get(name, {})))
        except RTTError:  # a registered rule whose arguments have no example here
            continue
    return offered


def rules_in_words() -> str:
    """The rules for a model to choose from: a line each, with arguments as an example and what they would check."""
    lines = []
    for name, schema in _offered().items():
        example = _EXAMPLES.get(name, {})
        given = f" {json.dumps(example)}" if example else ""
        # What is a regular expression, and where it is found, is not in the description.
        more = (schema.__doc__ or "").replace("``", "").rstrip(".") if _PATTERNS & example.keys() else ""
        lines.append(f"- {name}{given}: {describe(name, example)}" + (f" ({more})" if more else ""))
    codes = ", ".join(LANGUAGES)
    lines += [
        "",
        'A "relation" is "at least" or "less than"; "at most 100" is "less than" 101. '
        f"Languages are named by their codes: {codes}.",
    ]
    return "\n".join(lines)


def reply_schema(most: int = MAX_CRITERIA) -> dict[str, Any]:
    """The reply as JSON Schema, for endpoints that can hold a model to it: rules by name, arguments by their types."""
    nothing = {"type": "null"}
    return _object(
        criteria={
            "type": "array",
            "minItems": 1,
            "maxItems": most,
            "items": _object(
                text={"type": "string"},
                why={"type": "string"},
                rule={"anyOf": [nothing, {"type": "string", "enum": list(_offered())}]},
                arguments={"anyOf": [nothing, *_argument_schemas()]},
                weight={"anyOf": [nothing, {"type": "number"}]},
            ),
        }
    )


def _argument_schemas() -> Iterator[dict[str, Any]]:
    """The arguments of all rules, each kind once. Endpoints tell alternatives by their first key, so these differ."""
    first_keys: set[str] = set()
    kinds = [_properties(schema) for schema in dict.fromkeys(_offered().values())]
    for properties in sorted(kinds, key=len):  # those with one key have no choice
        if properties:
            first = min(properties, key=lambda name: name in first_keys)
            first_keys.add(first)
            yield _object(**{first: properties[first], **properties})


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# ---------------------------------------------------------------------------------------------------- what it replies


class Proposal(BaseModel):
    """One criterion as the model proposes it, read strictly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[StrictStr, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
    rule: StrictStr | None = None
    arguments: dict[str, Any] | None = None
    weight: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    why: StrictStr | None = None


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    criteria: Annotated[tuple[Proposal, ...], Field(min_length=1, max_length=_MAX_PROPOSALS)]


def read_reply(text: str) -> tuple[Proposal, ...]:
    """The proposals of a reply, at least one.

    Raises:
        NoAnswer: "malformed": the text is not one JSON object of this form.
    """
    value = json_object(text)
    try:
        return _Reply.model_validate(value).criteria
    except ValidationError as error:
        words = f"the reply does not fit: {first_problem(error)}; it begins {excerpt(text)!r}"
        raise NoAnswer("malformed", words) from None


def drafted(
    prompt: Prompt, proposals: Sequence[Proposal], *, model: str, template: str, most: int = MAX_CRITERIA
) -> Task:
    """The task that the proposals make of a prompt: the criteria that stay, then the new ones, marked as a draft.

    ``metadata["draft"]`` holds ``model``, ``template`` (its name), ``when``, ``criteria`` (by id: ``words``, the
    model's own where the criterion is in a rule's, ``why``, ``recognised`` where the rule was found in the words, and
    ``refused``, why the rule that the model named is none), ``merged`` (how many proposals said what another one
    said) and ``beyond`` (how many came after the first ``most``, and were left out).

    Raises:
        DataError: a proposal holds half a surrogate pair.
    """
    criteria = list(prompt.kept)
    known = {_sameness(criterion) for criterion in criteria}
    taken = {criterion.id for criterion in criteria}
    names = (name for name in map("c{}".format, itertools.count(1)) if name not in taken)
    notes: dict[str, dict[str, str]] = {}
    merged = 0
    for proposal in proposals[:most]:
        criterion, note = _criterion(next(names), proposal, several=len(prompt.messages) > 1)
        if (same := _sameness(criterion)) in known:
            merged += 1
            continue
        known.add(same)
        criteria.append(criterion)
        if note:
            notes[criterion.id] = note
    mark: dict[str, Any] = {
        "model": model,
        "template": template,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "criteria": notes,
    }
    counts = {"merged": merged, "beyond": len(proposals[most:])}
    return Task(
        id=prompt.id,
        prompt=prompt.messages,
        rubric=Rubric(criteria=tuple(criteria)),
        metadata={**prompt.metadata, MARK: mark | {name: count for name, count in counts.items() if count}},
        reference=prompt.reference,
        source=prompt.source,
    )


def _criterion(name: str, proposal: Proposal, *, several: bool) -> tuple[Criterion, dict[str, str]]:
    """The criterion, and what is noted beside it. Where there are several messages, the judge gets to see them."""
    words = proposal.text.strip()
    weight = 1.0 if proposal.weight is None else proposal.weight
    note = {"why": clean(proposal.why)} if proposal.why and proposal.why.strip() else {}
    rule: Rule | None = None
    if proposal.rule is not None:
        try:
            rule = _working(proposal.rule, proposal.arguments or {})
        except DataError as error:
            note["refused"] = clean(str(error))
    if rule is None and (rule := recognise(words)) is not None:
        note["recognised"] = rule.name
    if rule is None:
        scope: Any = "conversation" if several else "response"
        return Criterion(id=name, text=words, weight=weight, scope=scope), note
    criterion = Criterion(id=name, text=describe(rule.name, rule.arguments), rule=rule, weight=weight)
    return criterion, note if criterion.text == words else {"words": words, **note}


def _working(name: str, arguments: Mapping[str, Any]) -> Rule:
    """The rule, tried once.

    Raises:
        DataError: it is not known, its arguments do not fit, or it cannot run with them.
    """
    rule = Rule(name=canonical_name(name), arguments=validate_arguments(name, arguments))
    trial = verify_rule(rule.name, rule.arguments, "A short text.\n\n* It is for a trial.")
    if trial.failed:
        raise DataError(f"rule {rule.name!r} cannot run: {trial.reason}")
    return rule


def _sameness(criterion: Criterion) -> str:
    """What two criteria have in common that ask for the same in the same words, or by the same rule."""
    if criterion.rule is not None:
        return json.dumps([criterion.rule.name, criterion.rule.arguments], sort_keys=True)
    return _canonical(criterion.text)


# --------------------------------------------------------------------------------------------- rules in their own words

_QUOTED = re.compile(r'"[^"]*"')
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_VERBS = {"be": "is", "have": "has", "contain": "contains", "give": "gives", "highlight": "highlights", "end": "ends"}
_SAME: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(expression), replacement)
    for expression, replacement in [
        (r"\b(?:answer|reply|output)\b", "response"),
        (r"\b(?:must|should|shall) not contain\b", "does not contain"),
        (rf"\b(?:must|should|shall) ({'|'.join(_VERBS)})\b", lambda found: _VERBS[found[1]]),
        (r"\bincludes\b", "contains"),
        (r"\b(?:no|not) (?:fewer|less) than\b", "at least"),
        (r"\bless than\b", "fewer than"),
        (rf"\b(?:{'|'.join(_NUMBERS)})\b", lambda found: str(_NUMBERS.index(found[0]) + 1)),
        (r"\s+", " "),
    ]
)
_PATTERNS = frozenset({"keywords", "keyword", "forbidden_words", "postscript_marker", "section_spliter"})
"""Arguments that are regular expressions."""


def recognise(text: str) -> Rule | None:
    """The rule that says of itself what the text says, or None.

    Only the rule's own words (:func:`rtt.rule_schemas.describe`) are recognised, whatever the arguments; numbers may
    be spelt out, "must contain" is "contains", and a few such. Nothing is guessed: arguments are taken from the text,
    and stand if the rule's words with them are the text again.

    >>> recognise('The answer must contain the keyword "robot" at least three times.')
    Rule(name='keywords:frequency', arguments={'keyword': 'robot', 'frequency': 3, 'relation': 'at least'})
    >>> recognise("The response often mentions robots.")
    """
    wanted = _canonical(text)
    quotes = [quote[1:-1] for quote in _QUOTED.findall(wanted)]
    numbers = sorted({0, 1, *(int(digits) for digits in re.findall(r"\b\d{1,6}\b", _QUOTED.sub(" ", wanted)))})
    if len(quotes) > 12 or len(numbers) > 6:
        return None
    found: dict[str, Rule] = {}
    for name, schema in _offered().items():
        properties = _properties(schema)
        for arguments in _candidates(properties, quotes, numbers, wanted):
            try:
                fits = _canonical(describe(name, arguments)) == wanted
            except DataError:
                continue  # no arguments of this rule
            if fits:
                rule = Rule(name=name, arguments=arguments)
                found.setdefault(json.dumps([rule.name, rule.arguments], sort_keys=True), rule)
    return next(iter(found.values())) if len(found) == 1 else None


def _candidates(
    properties: Mapping[str, Mapping[str, Any]], quotes: Sequence[str], numbers: Sequence[int], text: str
) -> Iterator[dict[str, Any]]:
    """Everything that the arguments may be, going by what is in the text."""
    choices: list[list[Any]] = []
    for name, kind in properties.items():
        usable = [quote for quote in quotes if name not in _PATTERNS or _is_plain(quote)]
        if "enum" in kind:
            choices.append(list(kind["enum"]))
        elif name == "language":
            choices.append([code for code, language in LANGUAGES.items() if language.casefold() in text])
        elif kind.get("type") == "integer":
            choices.append(list(numbers))
        elif kind.get("type") == "array":
            choices.append([list(quotes)] if quotes and len(usable) == len(quotes) else [])
        else:
            choices.append(usable)
    for values in itertools.product(*choices):
        yield dict(zip(properties, values, strict=True))


def _is_plain(text: str) -> bool:
    """Whether a text means itself as a regular expression; IFEval's markers of postscripts are no expressions."""
    return text in ("P.S.", "P.P.S") or not re.search(r"[.^$*+?{}\[\]\\|()]", text)


def _canonical(text: str) -> str:
    """The text without what makes no difference; what stands in quotation marks stays as it is."""
    text = re.sub("[“”„]", '"', text.strip()).removesuffix(".")
    parts = re.split(f"({_QUOTED.pattern})", text)
    for place in range(0, len(parts), 2):
        part = parts[place].casefold()
        for expression, replacement in _SAME:
            part = expression.sub(replacement, part)
        parts[place] = part
    return "".join(parts)


# ----------------------------------------------------------------------------------------------------------- doubts

_JOINED = re.compile(r"\b(?:and|or|as well as|but also|both|while also)\b|;", re.IGNORECASE)
_NEXT_SENTENCE = re.compile(r"[.!?]\s+\w")
_VAGUE = re.compile(
    r"\b(?:(?:high|good|best)[ -]quality|good|great|nice|excellent|appropriate(?:ly)?|suitabl[ey]|adequate(?:ly)?|"
    r"proper(?:ly)?|well[ -](?:written|structured|organi[sz]ed|crafted)|interesting|compelling|engaging|helpful|useful|"
    r"relevant|effective(?:ly)?|sufficient(?:ly)?|reasonabl[ey]|natural(?:ly)?|"
    r"(?:as|if|where) (?:needed|possible|necessary|appropriate|applicable)|etc|"
    r"follows? (?:all |the )*(?:prompts?|instructions?|requests?|requirements?)|"
    r"(?:meets?|satisf(?:y|ies)) the user\w*|the (?:user|reader) (?:is|feels|will|would)|"
    r"up[ -]to[ -]date|plagiari[sz]\w*)\b",
    re.IGNORECASE,
)
_ALIKE = 0.9


def doubts(criteria: Sequence[Criterion]) -> dict[str, list[str]]:
    """What a person should look at, by the criterion's id; nothing for a criterion without doubts.

    These are hints: a criterion that seems to ask for two things, that is not finished, that readers may take
    differently, that is nearly another one, whose text is not what its rule checks, or whose rule reads a word as a
    regular expression.
    """
    found: dict[str, list[str]] = {}
    before: list[tuple[str, str]] = []
    for criterion in criteria:
        hints = list(_rule_doubts(criterion.rule, criterion.text) if criterion.rule else _text_doubts(criterion.text))
        text = _canonical(criterion.text)
        if criterion.rule is None:
            alike = next((name for name, other in before if _alike(text, other)), None)
            if alike is not None:
                hints.append(f"much like {alike}")
        before.append((criterion.id, text))
        if hints:
            found[criterion.id] = hints
    return found


def _rule_doubts(rule: Rule, text: str) -> Iterator[str]:
    own = describe(rule.name, rule.arguments)
    if _canonical(text) != _canonical(own):
        yield f"its rule checks something that is put differently: {own}"
    for name in _PATTERNS & rule.arguments.keys():
        value = rule.arguments[name]
        for item in [value] if isinstance(value, str) else value:
            if not _is_plain(item):
                yield f"{item!r} is read as a regular expression"


def _text_doubts(text: str) -> Iterator[str]:
    bare = _QUOTED.sub('""', re.sub("[“”„]", '"', text.strip()))
    if _NEXT_SENTENCE.search(bare):
        yield "several sentences: perhaps more than one criterion"
    elif joined := _JOINED.search(bare):
        yield f"perhaps more than one criterion: {joined[0]!r}"
    if "..." in text or "…" in text:
        yield "perhaps not finished: '...'"
    if vague := _VAGUE.search(bare):
        yield f"perhaps not checkable: {vague[0]!r}"


def _alike(text: str, other: str) -> bool:
    """Whether the two differ in little; in numbers or quoted words is not little."""
    exact = re.compile(rf"{_QUOTED.pattern}|\d+")
    return (
        exact.findall(text) == exact.findall(other)
        and difflib.SequenceMatcher(None, text.split(), other.split(), autojunk=False).ratio() >= _ALIKE
    )


# ------------------------------------------------------------------------------------------------------------ drafting

_ASKED_AGAIN = frozenset({"malformed", "empty", "truncated", "too long"})


def draft_rubrics(
    prompts: Iterable[Prompt],
    endpoint: Endpoint,
    *,
    most: int = MAX_CRITERIA,
    attempts: int = 2,
    concurrency: int = 8,
    template: DraftTemplate | None = None,
    finished: Callable[[Prompt, Task | NoAnswer], None] | None = None,
) -> list[Task | NoAnswer]:
    """Draft a rubric for each prompt.

    Works in a thread of its own, so it may be called whether or not an event loop runs here. After an interrupt the
    requests under way are given up.

    Args:
        prompts: what to draft for.
        endpoint: the model.
        most: how many criteria a draft has at most, beside those that stay.
        attempts: how often a reply that cannot be used is asked for, in all.
        concurrency: how many requests are under way at once, at most.
        template: what the model is told; None: what comes with the package.
        finished: called with each prompt that is done, from another thread; what it raises ends everything.

    Returns:
        In order, drafts (marked, see :func:`drafted`), or why there is none: nothing stands in for a draft. After an
        answer that every further request would get as well (the key is refused), the rest are not asked.

    Raises:
        ConfigurationError: an option is out of range, or the environment variable with the key is not set.
    """
    asked = list(prompts)
    if most < 1 or attempts < 1 or concurrency < 1:
        raise ConfigurationError(f"{most=}, {attempts=}, {concurrency=}; expected at least 1 for each")
    if not asked:
        return []
    form, schema = template or DraftTemplate(), reply_schema(most)
    results: dict[int, Task | NoAnswer] = {}

    async def draft(connection: Connection, prompt: Prompt) -> Task | NoAnswer:
        for attempt in itertools.count(1):
            try:
                text = await connection.ask(form.render(prompt, most, again=attempt > 1), "rubric", schema)
                return _usable(prompt, text, model=endpoint.model, template=form.name, most=most)
            except NoAnswer as failure:
                if failure.kind not in _ASKED_AGAIN or attempt >= attempts:
                    return failure
        raise AssertionError("unreachable")

    async def draft_all() -> None:
        waiting = iter(enumerate(asked))

        async def work(connection: Connection) -> None:
            for place, prompt in waiting:  # one iterator for all workers
                results[place] = await draft(connection, prompt)
                if finished is not None:
                    finished(prompt, results[place])

        try:
            async with endpoint.connected() as connection, asyncio.TaskGroup() as workers:
                for _ in range(min(concurrency, len(asked))):
                    workers.create_task(work(connection))
        except BaseExceptionGroup as failures:  # the caller's function; the first one says it
            raise failures.exceptions[0] from None

    from anyio.from_thread import start_blocking_portal  # comes with openai

    # An exception here, a KeyboardInterrupt above all, cancels what the portal runs and waits for its end.
    with start_blocking_portal(name="rtt-drafts") as portal:
        portal.call(draft_all)
    return [results[place] for place in range(len(asked))]


def _usable(prompt: Prompt, text: str, *, model: str, template: str, most: int) -> Task:
    proposals = read_reply(text)
    try:
        return drafted(prompt, proposals, model=model, template=template, most=most)
    except DataError as error:
        raise NoAnswer("malformed", f"the reply cannot be used: {excerpt(str(error))}") from None


# -------------------------------------------------------------------------------------------------- nothing unseen


def is_draft(task: Task) -> bool:
    """Whether a model drafted the rubric and nobody has accepted it yet."""
    mark = task.metadata.get(MARK)
    return isinstance(mark, Mapping) and "model" in mark


def refuse_drafts(tasks: Iterable[Task], path: Path | str) -> None:
    """Refuse to use rubrics that nobody has read.

    Raises:
        DataError: there are drafts among the tasks of the file ``path``.
    """
    names = [task.id for task in tasks if is_draft(task)]
    if names:
        shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        raise DataError(
            f"{path}: the rubrics of {shown} are drafts of a model that nobody has accepted; read and accept them "
            f"with `rtt rubric accept {path} --out TASKS.jsonl`, and use what that writes"
        )


def read_accepted(path: Path | str) -> list[Task]:
    """The tasks of a file, as :func:`rtt.rubrics.read_tasks` gives them, none of them a draft.

    Raises:
        TaskFileError: as for ``read_tasks``.
        DataError: there are drafts among them.
    """
    tasks = read_tasks(path)
    refuse_drafts(tasks, path)
    return tasks


def read_drafts(path: Path) -> list[Task]:
    """The tasks of a file of drafts, in order.

    Raises:
        DataError: the file cannot be read, or a task in it is no draft.
    """
    tasks = read_tasks(path)
    others = [task.id for task in tasks if not is_draft(task)]
    if others:
        raise DataError(
            f"{path}: task {others[0]!r} is no draft (meta.{MARK} is missing); expected a file of `rtt rubric draft`"
        )
    return tasks


def accepted(task: Task) -> Task:
    """The task as a person accepted it: no draft any more; ``metadata["drafted_by"]`` names the model."""
    metadata = {name: value for name, value in task.metadata.items() if name != MARK}
    return with_metadata(task, {**metadata, "drafted_by": str(mark_of(task)["model"])})


def with_metadata(task: Task, metadata: Mapping[str, Any]) -> Task:
    """The same task with other metadata."""
    return Task(
        id=task.id,
        prompt=task.prompt,
        rubric=task.rubric,
        metadata=dict(metadata),
        reference=task.reference,
        source=task.source,
    )


def mark_of(task: Task) -> Mapping[str, Any]:
    """What :func:`drafted` noted in the task's metadata; nothing where the task is no draft."""
    mark: Mapping[str, Any] = task.metadata[MARK] if is_draft(task) else {}
    return mark


def note_of(task: Task, criterion_id: str) -> Mapping[str, str]:
    """What the draft notes beside a criterion, see :func:`drafted`."""
    notes = mark_of(task).get("criteria", {})
    note = notes.get(criterion_id, {}) if isinstance(notes, Mapping) else {}
    if not isinstance(note, Mapping):  # a person may have been at the file
        return {}
    return {name: text for name, text in note.items() if isinstance(text, str)}
