"""Examples: a criterion, a response, and the characters of the response that the verdict hangs on.

    criterion   The response contains the keyword "robot".
    response    A robot sings. The robot is happy.
                  ^^^^^            ^^^^^             support, of a satisfied criterion
    criterion   The response contains no commas.
    response    Well, it sings.
                    ^                                violation, of a violated one

    verdict of a rule ─ from_verdict ─┐                ┌─ write_examples ─ JSON Lines ─ read_examples
    quotes of a model ─ locate_quote ─┼─> Example ─────┼─ to_char_labels, to_token_labels
    label files of users ─────────────┘                └─ split_examples ─> train · validation · seen · kinds · wordings

On disk an example is one line of JSON; what has its usual value may be left out::

    {"criterion": "The response contains no commas.", "response": "Well, it sings.", "outcome": -1,
     "violation": [[4, 5]], "kind": "punctuation:no_comma", "prompt": "mail/7", "source": "rule",
     "rule": {"name": "punctuation:no_comma", "arguments": {}}}

Two other formats are recognised line by line:

- spans without polarity: ``criterion``, ``response``, ``passed`` (true, false or null), ``spans``, ``scope``;
- labels in the format of the code published with arXiv:2604.02795: ``criteria``, ``response`` and ``token_labels`` or
  ``char_labels``, one 0 or 1 for each token or character of the response.

What cannot be used is refused with file, line, field, what came and what was expected: see :func:`read_examples`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from rtt.alignment import tokens_in
from rtt.errors import ConfigurationError, DataError, RTTError, ShapeError
from rtt.json_lines import LineError, decode_line, read_lines, write_lines
from rtt.quotes import Spans, merged
from rtt.rubrics import Rule
from rtt.verdicts import Outcome, Scope, Verdict

Asked = tuple[str, str | int | None, int]
"""Name, argument and value of a criterion that was drawn: see ``Example.asked``."""

MAX_PROBLEMS = 20
"""How many problems :func:`read_examples` collects before it stops reading; all of them are in one message."""

SPLITS = ("train", "validation", "seen", "kinds", "wordings")
"""The parts that :func:`split_examples` makes."""


# --------------------------------------------------------------------------------------------------- in memory


@dataclass(frozen=True, slots=True)
class Example:
    """What the discriminator learns from: a criterion, a response, and the characters that the verdict hangs on.

    Attributes:
        criterion: the criterion in words, as the model reads it.
        response: the response.
        outcome: satisfied or violated; undetermined where the polarity is not known (label files of users).
        support: characters that the satisfied part hangs on.
        violation: characters that break the criterion.
        scope: ``"response"``: the whole response carries the verdict.
        missing: violated because something that is asked for is not there.
        kind: what kind of criterion it is, ``"keywords:existence"``, ``"pattern:digits"``, ``"judge"``, ``"user"``:
            what held-out types hold out.
        wording: which wording of its kind the criterion has, ``"keywords:existence/3"``; ``""`` where there is only
            one.
        prompt: id of the prompt that the response answers: what held-out prompts hold out.
        source: where the spans come from: ``"rule"``, ``"pattern"``, ``"counterfactual"``, ``"occlusion"``,
            ``"judge"``, ``"user"``.
        rule: the rule that can verify edits of the response, or None.
        asked: of a pattern the form, the parameter and the number, with which the same criterion can be asked of
            another response (:func:`rtt.relevance.discriminator.sampling.ask_again`), or None.

    Raises:
        ShapeError: spans leave the response, are empty, overlap or are out of order.
        DataError: the criterion is blank, the scope is unknown, or a text is not valid Unicode.
    """

    criterion: str
    response: str
    outcome: Outcome
    support: Spans = ()
    violation: Spans = ()
    scope: Scope = "spans"
    missing: bool = False
    kind: str = "user"
    wording: str = ""
    prompt: str = ""
    source: str = "user"
    rule: Rule | None = None
    asked: Asked | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", Outcome(self.outcome))  # 1 is SATISFIED, wherever it comes from
        if not self.criterion.strip():
            raise DataError(f"criterion: got {_show(self.criterion)}; expected text that is not blank")
        for name in ("criterion", "response"):
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    f"{name}: character {error.start} is half a surrogate pair; expected valid Unicode: "
                    "replace it, no tokenizer reads it"
                ) from None
        if self.scope not in ("spans", "response"):
            raise DataError(f"scope: got {_show(self.scope)}; expected 'spans' or 'response'")
        for name in ("support", "violation"):
            spans = tuple((int(start), int(end)) for start, end in getattr(self, name))
            object.__setattr__(self, name, spans)
            _check_spans(name, spans, len(self.response))

    @property
    def relevant(self) -> Spans:
        """The characters that the verdict hangs on.

        The whole response where that carries the verdict; of a satisfied criterion the support; of a violated one the
        violation, or the support where nothing violates (progress is what the criterion is about); of an undetermined
        one both.
        """
        if self.scope == "response":
            return ((0, len(self.response)),) if self.response else ()
        if self.outcome is Outcome.SATISFIED:
            return self.support
        if self.outcome is Outcome.VIOLATED:
            return self.violation or self.support
        return merged((*self.support, *self.violation))

    @property
    def is_local(self) -> bool:
        """Whether some characters, and not the response as a whole, carry the verdict."""
        return self.scope == "spans" and bool(self.relevant)

    @property
    def prompt_key(self) -> str:
        """What keeps examples together when prompts are held out: the prompt's id, or where it has none the response's
        digest."""
        return self.prompt or f"response:{_digest(self.response)[:16]}"

    def to_json(self) -> str:
        """The example as one line of JSON without the line's end; :meth:`from_json` gives an equal example back."""
        line: dict[str, Any] = {
            "criterion": self.criterion,
            "response": self.response,
            "outcome": int(self.outcome),
            "support": self.support,
            "violation": self.violation,
            "scope": self.scope,
            "missing": self.missing,
            "kind": self.kind,
            "wording": self.wording,
            "prompt": self.prompt,
            "source": self.source,
        }
        if self.rule is not None:
            line["rule"] = {"name": self.rule.name, "arguments": self.rule.arguments}
        if self.asked is not None:
            line["asked"] = self.asked
        return json.dumps(line, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes, *, tokenizer: Any = None) -> Example:
        """The example that one line says, in any of the three formats; see :func:`read_examples`.

        Raises:
            LineError: the line cannot be used; the message names every field that is wrong.
        """
        return _parse(decode_line(line.encode() if isinstance(line, str) else line), tokenizer)


def from_verdict(
    criterion_text: str,
    response: str,
    verdict: Verdict,
    *,
    kind: str,
    prompt: str = "",
    wording: str = "",
    source: str = "rule",
    rule: Rule | None = None,
) -> Example | None:
    """The example that a verdict with its evidence gives; None where the verifier could not tell.

    Where the whole response carries the verdict all of it is relevant, whatever its evidence shows, as in
    :class:`rtt.relevance.evidence.EvidenceRelevance`.

    Args:
        criterion_text: the criterion in the words that the model is to read, the verdict's own or others.
        response: the text that was verified.
        verdict: what was found in it.
        kind, prompt, wording, source, rule: see :class:`Example`.

    Raises:
        ShapeError: the evidence leaves the response: it is another one's.
    """
    if not verdict.determined:
        return None
    support, violation = (
        tuple((span.start, span.end) for span in verdict.evidence if span.polarity == polarity)
        for polarity in ("support", "violation")
    )
    return Example(
        criterion=criterion_text,
        response=response,
        outcome=verdict.outcome,
        support=support,
        violation=violation,
        scope=verdict.scope,
        missing=verdict.missing,
        kind=kind,
        wording=wording,
        prompt=prompt,
        source=source,
        rule=rule,
    )


def without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with the characters of these spans deleted, and nothing else."""
    pieces: list[str] = []
    position = 0
    for start, end in merged(spans):
        pieces.append(text[position:start])
        position = end
    return "".join([*pieces, text[position:]])


def _check_spans(name: str, spans: Spans, length: int) -> None:
    before = 0
    for start, end in spans:
        if not 0 <= start < end <= length:
            raise ShapeError(
                f"{name}: [{start}, {end}) is empty or leaves the response of {length} characters; "
                f"expected 0 <= start < end <= {length}, counted in code points"
            )
        if start < before:
            raise ShapeError(
                f"{name}: [{start}, {end}) overlaps the span before it, which ends at {before}, or is out of order; "
                "expected sorted, disjoint spans"
            )
        before = end


# ------------------------------------------------------------------------------------------------------ labels


class OffsetTokenizer(Protocol):
    """What is used of a fast Hugging Face tokenizer."""

    is_fast: bool
    name_or_path: str

    def __call__(self, text: str, **options: Any) -> Any:
        """The encoding, with ``offset_mapping``."""
        ...


def to_char_labels(example: Example) -> list[int]:
    """1 for each relevant character of the response, 0 for each other one: ``char_labels``, one a code point."""
    labels = [0] * len(example.response)
    for start, end in example.relevant:
        labels[start:end] = [1] * (end - start)
    return labels


def to_token_labels(example: Example, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """1 for each token that shares a character with what is relevant: ``token_labels``.

    Args:
        example: the example.
        offsets: for each token its characters ``[start, end)`` of the response, [T].
    """
    return [int(label) for label in tokens_in(offsets, example.relevant, length=len(example.response))]


def _spans_of_chars(labels: Sequence[int]) -> Spans:
    spans: list[tuple[int, int]] = []
    position = 0
    for label, run in groupby(labels):
        end = position + len(list(run))
        if label:
            spans.append((position, end))
        position = end
    return tuple(spans)


def _spans_of_tokens(labels: Sequence[int], offsets: Sequence[tuple[int, int]], text: str) -> Spans:
    """The characters of the tokens labelled 1.

    Neighbours join over the white space between them: no token holds it, so no label speaks against it, and two words
    in a row are one piece of text. A tokenizer's token may hold white space itself; that stays as it is.
    """
    spans: list[tuple[int, int]] = []
    before = False  # whether the token before this one, of those that have characters, is labelled 1
    for label, (start, end) in zip(labels, offsets, strict=True):
        if start == end:
            continue
        if label:
            last = spans[-1][1] if spans else 0
            if before and not text[last:start].strip():
                spans[-1] = (spans[-1][0], max(last, end))
            else:
                spans.append((start, end))
        before = bool(label)
    return merged(spans)


# ------------------------------------------------------------------------------------------------------ on disk


def write_examples(path: str | os.PathLike[str], examples: Iterable[Example]) -> int:
    """Write examples as JSON Lines that :func:`read_examples` reads back as equal examples.

    The file appears whole or not at all, see :func:`rtt.json_lines.write_lines`; a file that is there is replaced.

    Returns:
        How many there were.

    Raises:
        DataError: there is no example, or the file cannot be written. What was there before is left as it was.
    """
    count = 0
    with write_lines(Path(path)) as write:
        for example in examples:
            write(example.to_json())
            count += 1
        if not count:
            raise DataError(f"{path}: no examples to write; expected at least one")
    return count


def read_examples(path: str | os.PathLike[str], *, tokenizer: Any = None) -> list[Example]:
    """Read a file of examples, in order: JSON Lines in UTF-8 in any of the three formats, recognised line by line.

    Args:
        path: a file.
        tokenizer: a fast tokenizer (:class:`OffsetTokenizer`), the one that the file's ``token_labels`` were made with;
            only these need one.

    Raises:
        DataError: the file cannot be read or has no example, or lines cannot be used. The whole file is read first,
            and up to ``MAX_PROBLEMS`` problems are told together, each with file, line and field, what came and what
            was expected. Nothing is dropped or guessed: one bad line refuses the file.
    """
    examples: list[Example] = []
    problems: list[str] = []
    for number, found in _parsed(Path(path), tokenizer):
        if isinstance(found, Example):
            examples.append(found)
            continue
        problems += [f"{path}:{number}: {problem}" for problem in found.problems]
        if len(problems) >= MAX_PROBLEMS:
            head = f"{path}: {MAX_PROBLEMS} problems up to line {number}, where reading stopped"
            raise DataError("\n  ".join([head, *problems[:MAX_PROBLEMS]]))
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        raise DataError("\n  ".join([f"{path}: {len(problems)} problems", *problems]))
    if not examples:
        raise DataError(f"{path}: has no example in it; expected one JSON object a line")
    return examples


def iter_examples(path: str | os.PathLike[str], *, tokenizer: Any = None) -> Iterator[Example]:
    """The examples of a file one by one, for files larger than memory; otherwise as :func:`read_examples`.

    Raises:
        DataError: at the first line that cannot be used.
    """
    for number, found in _parsed(Path(path), tokenizer):
        if isinstance(found, LineError):
            raise DataError("\n  ".join(f"{path}:{number}: {problem}" for problem in found.problems))
        yield found


def _parsed(file: Path, tokenizer: Any) -> Iterator[tuple[int, Example | LineError]]:
    for number, line in read_lines(file):
        try:
            yield number, _parse(decode_line(line), tokenizer)
        except LineError as error:
            yield number, error


# -------------------------------------------------------------------------------------------- lines to examples


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError(f"got {_show(value)}; expected text that is not blank")
    return value


def _labels(value: object) -> object:
    """Labels as 0 and 1; whole floats and booleans, which tables write, are read as such."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"got {_show(value)}; expected a list of 0 and 1")
    for index, label in enumerate(value):
        if not isinstance(label, int | float) or label not in (0, 1):
            raise ValueError(f"got {_show(label)} at index {index}; expected 0 or 1")
    return [int(label) for label in value]


Text = Annotated[StrictStr, AfterValidator(_not_blank)]
Labels = Annotated[list[int], BeforeValidator(_labels)]
Bound = Annotated[int, Field(strict=True)]
SpanList = tuple[tuple[Bound, Bound], ...]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ExampleLine(_Line):
    criterion: Text
    response: StrictStr
    outcome: Literal[1, -1, 0]
    support: SpanList = ()
    violation: SpanList = ()
    scope: Scope = "spans"
    missing: bool = False
    kind: StrictStr = "user"
    wording: StrictStr = ""
    prompt: StrictStr = ""
    source: StrictStr = "user"
    rule: Rule | None = None
    asked: tuple[StrictStr, StrictStr | Bound | None, Bound] | None = None


class _SpansLine(_Line):
    """Spans without polarity: ``passed`` says what they did. ``prompt`` is a text here, and as good a key as an id."""

    criterion: Text
    response: StrictStr
    passed: bool | None = None
    spans: SpanList = ()
    scope: Scope = "spans"
    missing: bool = False
    id: StrictStr | int = ""
    criterion_id: StrictStr | int = ""
    prompt: StrictStr = ""
    label_source: StrictStr = "user"
    kind: StrictStr = "user"
    wording: StrictStr = ""
    meta: Mapping[str, Any] = Field(default_factory=dict)


class _LabelsLine(_Line):
    """The authors' format, where other keys ride along (``question`` and what a pipeline adds)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    criteria: Text
    response: StrictStr
    char_labels: Labels | None = None
    token_labels: Labels | None = None
    passed: bool | None = None
    question: StrictStr = ""


def _parse(value: object, tokenizer: Any) -> Example:
    if not isinstance(value, Mapping):
        raise LineError(f"got {_kind_of(value)} {_show(value)}; expected a JSON object, one example a line")
    given = {key: item for key, item in value.items() if item is not None}  # tables write every key of every row
    if "char_labels" in given or "token_labels" in given or "criteria" in given:
        return _from_labels(_validated(_LabelsLine, given), tokenizer)
    if "spans" in given or "passed" in value:
        return _from_spans(_validated(_SpansLine, given))
    return _built(**dict(_validated(_ExampleLine, given)))


def _from_spans(line: _SpansLine) -> Example:
    outcome = _outcome(line.passed)
    spans: dict[str, Any] = {"violation" if outcome is Outcome.VIOLATED else "support": line.spans}
    try:
        return _built(
            criterion=line.criterion,
            response=line.response,
            outcome=outcome,
            **spans,
            scope=line.scope,
            missing=line.missing,
            kind=line.kind,
            wording=line.wording,
            prompt=line.prompt or str(line.id),
            source=line.label_source,
        )
    except LineError as error:  # the field has another name here
        raise LineError(*(re.sub(r"^(support|violation):", "spans:", problem) for problem in error.problems)) from None


def _from_labels(line: _LabelsLine, tokenizer: Any) -> Example:
    """Characters before tokens where both are there: they need no tokenizer to be understood."""
    length = len(line.response)
    if line.char_labels is not None:
        labels = line.char_labels
        if len(labels) != length:
            raise LineError(
                f"char_labels: has {len(labels)} labels for a response of {length} characters; "
                "expected one for each character (code point)"
            )
        spans = _spans_of_chars(labels)
    elif line.token_labels is not None:
        labels = line.token_labels
        offsets = token_offsets(line.response, tokenizer)
        if len(labels) != len(offsets):
            raise LineError(
                f"token_labels: has {len(labels)} labels for a response of {len(offsets)} tokens as "
                f"{tokenizer.name_or_path!r} encodes it, without special tokens; expected one for each: is this the "
                "tokenizer that the labels were made with?"
            )
        spans = _spans_of_tokens(labels, offsets, line.response)
    else:
        raise LineError("char_labels: is missing, and so is token_labels; expected one of them")
    outcome = _outcome(line.passed)
    whole = bool(labels) and all(labels)
    return _built(
        criterion=line.criteria,
        response=line.response,
        outcome=outcome,
        support=() if whole or outcome is Outcome.VIOLATED else spans,
        violation=spans if outcome is Outcome.VIOLATED and not whole else (),
        scope="response" if whole else "spans",
        prompt=line.question,
    )


def token_offsets(response: str, tokenizer: Any) -> list[tuple[int, int]]:
    """For each token of the response, encoded alone and without special tokens, its characters ``[start, end)``.

    Raises:
        LineError: there is no tokenizer, or it is one that does not know where its tokens stand.
    """
    if tokenizer is None:
        raise LineError(
            "token_labels: needs the tokenizer that the labels were made with; pass it (--tokenizer), "
            "or give char_labels"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise LineError(
            f"token_labels: {type(tokenizer).__name__} does not say which characters a token spans; expected a fast "
            "tokenizer (one with a tokenizer.json), or give char_labels"
        )
    encoding = tokenizer(response, add_special_tokens=False, return_offsets_mapping=True, truncation=False)
    return [(int(start), int(end)) for start, end in encoding["offset_mapping"]]


def _outcome(passed: bool | None) -> Outcome:
    return Outcome.UNDETERMINED if passed is None else Outcome.SATISFIED if passed else Outcome.VIOLATED


def _built(**fields: Any) -> Example:
    try:
        return Example(**fields)
    except RTTError as error:
        raise LineError(str(error)) from None


Line = TypeVar("Line", bound=_Line)


def _validated(model: type[Line], value: Mapping[str, Any]) -> Line:
    try:
        return model.model_validate(dict(value))
    except ValidationError as error:
        raise LineError(*(_in_words(detail, model) for detail in error.errors(include_url=False))) from None


def _in_words(detail: ErrorDetails, model: type[_Line]) -> str:
    path = re.sub(r"\.(\d+)", r"[\1]", ".".join(str(step) for step in detail["loc"]))
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "value_error":
        return f"{path}: {context['error']}"
    if kind == "missing":
        return f"{path}: is missing; expected this field"
    if kind == "extra_forbidden":
        known = list(model.model_fields) if len(detail["loc"]) == 1 else ["name", "arguments"]
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        return f"{path}: is not a known field; " + (f"did you mean {near[0]!r}?" if near else f"expected only {known}")
    expected = {
        "string_type": "text",
        "string_unicode": "valid Unicode",
        "int_type": "a whole number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "tuple_type": "a list of [start, end]",
        "too_long": "[start, end]",
        "model_type": "an object with name and arguments",
        "literal_error": f"one of {re.sub(' or ', ', ', str(context.get('expected', '')))}",
    }.get(kind, detail["msg"])
    return f"{path}: got {_show(value)} ({_kind_of(value)}); expected {expected}"


def _kind_of(value: object) -> str:
    """The kind of a value in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds: list[tuple[Any, str]] = [(str, "text"), (int | float, "a number"), (Mapping, "an object")]
    return next((word for kind, word in kinds if isinstance(value, kind)), "a list")


def _show(value: object, width: int = 80) -> str:
    text = repr(value if not isinstance(value, str) else value[: width + 1])
    return text if len(text) <= width else f"{text[: width - 3]}..."


# --------------------------------------------------------------------------------------------------- the parts


def split_examples(
    examples: Iterable[Example],
    *,
    held_out_kinds: Collection[str],
    held_out_prompts: float = 0.1,
    held_out_wordings: float = 0.15,
    validation_prompts: float = 0.05,
) -> dict[str, list[Example]]:
    """Examples to learn from, and examples that measure what was learned; what is held out crosses nowhere.

                                      training prompts   validation prompts   held-out prompts
        seen kind, training wording   train              validation           seen
        seen kind, held-out wording   -                  -                    wordings
        held-out kind                 -                  -                    kinds

    Examples at a ``-`` are left out. Prompts and wordings are held out by a hash of their ids, so that more data,
    another order or another machine move none of them; examples without a prompt go by their response.

    Args:
        examples: in any order, which is kept.
        held_out_kinds: kinds that are never trained on, such as ``"startend:quotation"`` or ``"keywords:*"``.
        held_out_prompts: share of the prompts that are never trained on, in [0, 1).
        held_out_wordings: share of the wordings that are never trained on, in [0, 1). The wording ``""`` always is.
        validation_prompts: share of the prompts that the threshold is chosen on, in [0, 1).

    Returns:
        The parts by their names, :data:`SPLITS`. Each may be empty.

    Raises:
        ConfigurationError: a share is not in [0, 1), or the shares leave no prompts to train on.
    """
    shares = {
        "held_out_prompts": held_out_prompts,
        "held_out_wordings": held_out_wordings,
        "validation_prompts": validation_prompts,
    }
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ConfigurationError(f"{name}={share!r}; expected a share from 0 up to, not including, 1")
    if held_out_prompts + validation_prompts >= 1:
        raise ConfigurationError(
            f"held_out_prompts={held_out_prompts!r} and validation_prompts={validation_prompts!r} leave no prompts to "
            "train on; expected a sum below 1"
        )
    parts: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for example in examples:
        place = _uniform("prompt", example.prompt_key)
        held_out = place < held_out_prompts
        new_kind = any(fnmatchcase(example.kind, pattern) for pattern in held_out_kinds)
        new_wording = bool(example.wording) and _uniform("wording", example.wording) < held_out_wordings
        if held_out:
            parts["kinds" if new_kind else "wordings" if new_wording else "seen"].append(example)
        elif not new_kind and not new_wording:
            parts["validation" if place < held_out_prompts + validation_prompts else "train"].append(example)
    return parts


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _uniform(purpose: str, key: str) -> float:
    """A number in [0, 1) that is always the same for the same key, on every machine."""
    return int(_digest(f"{purpose}\0{key}")[:13], 16) / 16**13


# ------------------------------------------------------------------------------------------------------ the card


def dataset_card(examples: Iterable[Example], *, title: str, made_by: str) -> str:
    """What is in a set of examples, as Markdown; what only a person knows is left to fill in, marked ``FILL IN``.

    Args:
        examples: the examples.
        title: the card's heading.
        made_by: the command that made them.
    """
    found = list(examples)
    lengths = sorted(len(response) for response in {example.response for example in found})
    local = [example for example in found if example.is_local]
    wordings = {example.wording for example in found if example.wording}
    facts = [
        ("examples", f"{len(found):,}"),
        ("different responses", f"{len(lengths):,}"),
        ("different criteria", f"{len({example.criterion for example in found}):,}"),
        ("prompts", f"{len({example.prompt_key for example in found}):,}"),
        ("kinds of criteria", f"{len({example.kind for example in found}):,}"),
        ("wordings", f"{len(wordings):,}"),
        ("local (some characters carry the verdict)", _share(len(local), len(found))),
        ("global (the whole response carries it)", _share(sum(e.scope == "response" for e in found), len(found))),
        ("nothing to point at", _share(sum(not e.relevant for e in found), len(found))),
    ]
    if lengths:
        facts.append(
            ("characters of a response", f"{lengths[0]:,} to {lengths[-1]:,}, median {statistics.median(lengths):,g}")
        )
    lines = [
        f"# {title}",
        "",
        "Criteria, responses, and the characters of each response that the verdict on the criterion hangs on.",
        "",
        *_table(("", ""), facts),
        "",
        "Made by:",
        "",
        *(f"    {line}" for line in made_by.splitlines()),
        "",
        "## By source",
        "",
        *_table(*tally(found, "source")),
        "",
        "## By kind",
        "",
        *_table(*tally(found, "kind")),
        "",
        "*Relevant* is the mean share of a response's characters that are relevant, over the local examples.",
        "",
        "## How it is split",
        "",
        "By a hash of the prompt's id and of the wording's id, and by kind: `seen` has prompts that are not trained",
        "on, `wordings` wordings that are not trained on, `kinds` kinds that are not trained on, both on such prompts",
        "too; `validation` has prompts of its own, for the threshold. No prompt, wording or kind crosses.",
        "",
        "## Where it comes from",
        "",
        "- Prompts: FILL IN source and licence.",
        "- Responses: FILL IN the model that wrote them, its licence and its terms for output.",
        "- Licence of these labels: FILL IN.",
        "",
    ]
    return "\n".join(lines)


def tally(examples: Sequence[Example], field: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table of the examples, counted by one of their fields: its heads and its rows, sorted by the field's value.

    Args:
        examples: the examples.
        field: a field that is text: ``"kind"``, ``"source"``, ``"wording"``, ``"prompt"``.
    """
    heads = (field, "examples", "satisfied", "violated", "not known", "local", "relevant")
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(getattr(example, field), []).append(example)
    rows = []
    for name, members in sorted(groups.items()):
        outcomes = Counter(example.outcome for example in members)
        shares = [relevant_share(example) for example in members if example.is_local]
        rows.append(
            (
                name,
                f"{len(members):,}",
                *(f"{outcomes[o]:,}" for o in (Outcome.SATISFIED, Outcome.VIOLATED, Outcome.UNDETERMINED)),
                f"{len(shares):,}",
                f"{100 * math.fsum(shares) / len(shares):.1f} %" if shares else "-",
            )
        )
    return heads, rows


def relevant_share(example: Example) -> float:
    """The share of the response's characters that are relevant, in [0, 1]; 0 for an empty response."""
    return sum(end - start for start, end in example.relevant) / max(1, len(example.response))


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else "0"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    aligned = [":---", *["---:"] * (len(heads) - 1)]
    shown = [heads, aligned, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in shown]
