"""What every rule's schema is made of: the arguments' base class and kinds, and the words of descriptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Relation = Literal["at least", "less than"]
"""How a count is compared with a rule's bound."""


def _not_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "text that is not blank")
    return value


def _character(value: str) -> str:
    if len(value) != 1 or value.isspace():
        raise PydanticCustomError("character", "one character that is not a blank")
    return value


Text = Annotated[str, AfterValidator(_not_blank)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
Character = Annotated[str, AfterValidator(_character)]
Count = Annotated[int, Field(ge=1)]


class RuleArguments(BaseModel):
    """The arguments of one rule: frozen, strict types, no unknown fields. Subclass it for a rule of your own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class NoArguments(RuleArguments):
    """A rule without arguments."""


@dataclass(frozen=True, slots=True)
class RuleSchema:
    """What a rule accepts, and how it reads in words.

    Attributes:
        arguments: the model of its arguments.
        describe: from the arguments to the criterion in plain English.
    """

    arguments: type[RuleArguments]
    describe: Callable[[Any], str]


# ------------------------------------------------------------------------------------------------ descriptions


def times(relation: str, number: int) -> str:
    """``at least 3 times``, ``fewer than 3 times``."""
    if relation == "less than":
        return f"fewer than {number} {'time' if number == 1 else 'times'}"
    return "at least once" if number == 1 else f"at least {number} times"


def number_of(relation: str, number: int, noun: str) -> str:
    """``at least 3 words``, ``fewer than 3 words``."""
    return f"{'fewer than' if relation == 'less than' else relation} {number} {noun}{'' if number == 1 else 's'}"


def exactly(number: int, noun: str) -> str:
    """``exactly 3 words``."""
    return f"exactly {number} {noun}{'' if number == 1 else 's'}"


def quoted(texts: tuple[str, ...], conjunction: str = "and") -> str:
    """Each in quotation marks, joined by commas and, before the last, the conjunction."""
    parts = [f'"{text}"' for text in texts]
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" {conjunction} {parts[-1]}"


def plainly(text: str) -> Callable[[Any], str]:
    """The description of a rule whose arguments change nothing in it."""
    return lambda _: text
