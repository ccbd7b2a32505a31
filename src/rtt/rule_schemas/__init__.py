"""What each rule accepts, and how it reads in words: names, arguments and descriptions, without the checks.

    family      names                                   module
    ifeval      the 25 instruction types of IFEval      rtt.rule_schemas.ifeval
    ifbench     the 58 of IFBench                       rtt.rule_schemas.ifbench
    muldimif    the 12 checkers of MulDimIF             rtt.rule_schemas.muldimif
    rtt         corrected rules, where those are wrong  rtt.rule_schemas.corrected

The rules of IFEval and of IFBench have their bare names (``keywords:existence``); the family may stand before them
(``ifeval:keywords:existence``), and does on disk. Those of MulDimIF and of RTT always have it
(``muldimif:Length:Words``, ``rtt:keywords:existence``). A rule's arguments have the benchmark's own names and meanings.

Reading a task file needs no more than this package; what a rule decides lives in :mod:`rtt.verifiers.rules`. A rule of
your own is registered there too (:func:`rtt.verifiers.rules.register_rule`), which calls :func:`register_schema` here.

Criteria that every response meets ("at least 0") or that none can meet ("less than 0") are refused, except where a
benchmark's own data has them.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rtt.errors import ConfigurationError, RuleArgumentsError, UnknownRuleError
from rtt.rule_schemas import corrected, ifbench, ifeval, muldimif
from rtt.rule_schemas.schema import NoArguments, Relation, RuleArguments, RuleSchema

__all__ = [
    "NoArguments",
    "Relation",
    "RuleArguments",
    "canonical_name",
    "describe",
    "family_of",
    "full_name",
    "parse_arguments",
    "register_schema",
    "rule_names",
    "validate_arguments",
]


def rule_names(family: str | None = None) -> tuple[str, ...]:
    """The canonical names of all rules, sorted; of one family (``"ifeval"``, ``"muldimif"``) or namespace, if given."""
    return tuple(sorted(name for name in _RULES if family is None or family_of(name) == family))


def family_of(name: str) -> str:
    """The family of a rule by its canonical name; for one that was registered, its namespace."""
    return next((family for family, rules in _BARE.items() if name in rules), name.partition(":")[0])


def full_name(name: str) -> str:
    """The canonical name with its family, as it stands on disk: ``"ifeval:keywords:existence"``."""
    family = family_of(name)
    return f"{family}:{name}" if family in _BARE else name


def canonical_name(name: str) -> str:
    """The one name of a rule in memory: ``"ifeval:keywords:existence"`` and ``"keywords:existence"`` give the latter.

    Raises:
        UnknownRuleError: no rule has this name; the message shows names that are close.
    """
    family, _, bare = name.partition(":")
    if family in _BARE:
        if bare in _BARE[family]:
            return bare
    elif name in _RULES:
        return name
    elif name.count(":") > 1 and family not in (*_FAMILIES, muldimif.FAMILY, corrected.FAMILY):
        raise UnknownRuleError(
            f"rule {_show(name)} is not known: there is no family {family!r} here; expected one of rule_names(), or "
            "a criterion of kind 'judge'"
        )
    near = difflib.get_close_matches(bare if family in _BARE else name, _RULES, n=3, cutoff=0.5)
    hint = f"did you mean {_either(near)}?" if near else "see rtt.rule_schemas.rule_names() for all names"
    raise UnknownRuleError(f"rule {_show(name)} is not known; {hint}")


def validate_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's arguments as plain JSON: checked, nulls dropped, whole floats (``3.0``) made integers.

    Raises:
        UnknownRuleError: no rule has this name.
        RuleArgumentsError: an argument is missing, unknown, or of the wrong type or range; the message names the rule,
            the field, what came and what was expected, for each argument that is wrong.
    """
    return parse_arguments(name, arguments).model_dump(mode="json", exclude_none=True)


def describe(name: str, arguments: Mapping[str, Any]) -> str:
    """The criterion in plain English, as a person, a judge or a discriminator reads it.

    >>> describe("keywords:frequency", {"keyword": "robot", "frequency": 2, "relation": "at least"})
    'The response contains the keyword "robot" at least 2 times.'

    Raises:
        UnknownRuleError, RuleArgumentsError: as :func:`validate_arguments`.
    """
    schema = _RULES[canonical_name(name)]
    return schema.describe(parse_arguments(name, arguments))


def parse_arguments(name: str, arguments: Mapping[str, Any]) -> RuleArguments:
    """As :func:`validate_arguments`, giving the rule's own model instead of a dictionary."""
    rule = canonical_name(name)
    schema = _RULES[rule].arguments
    if not isinstance(arguments, Mapping):
        raise RuleArgumentsError(
            f"rule {rule!r}: got {_show(arguments)} ({type(arguments).__name__}) as arguments; expected an object"
        )
    plain = {key: _whole(value) for key, value in arguments.items() if value is not None}
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        problems = "; ".join(_in_words(schema, detail) for detail in error.errors(include_url=False))
        raise RuleArgumentsError(f"rule {rule!r}: {problems}") from None


def register_schema(name: str, schema: type[RuleArguments], describe: Callable[[Any], str]) -> None:
    """Make the arguments of a rule of your own known. Users call :func:`rtt.verifiers.rules.register_rule` instead.

    Args:
        name: ``namespace:rule`` with a namespace of your own, in lower case: ``"acme:cites_a_source"``.
        schema: a subclass of :class:`RuleArguments`.
        describe: from the arguments to the criterion in words.

    Raises:
        ConfigurationError: the name has no namespace, is taken, or is in a namespace of this package.
    """
    if not re.fullmatch(r"[a-z0-9_]+(?::[a-z0-9_]+)+", name):
        raise ConfigurationError(
            f"rule {_show(name)}: expected a namespace of your own and a name in lower case, such as 'acme:cites'"
        )
    if not (isinstance(schema, type) and issubclass(schema, RuleArguments)):
        raise ConfigurationError(f"rule {name!r}: got the schema {_show(schema)}; expected a subclass of RuleArguments")
    namespace = name.partition(":")[0]
    if owner := _NAMESPACES.get(namespace):
        raise ConfigurationError(f"rule {name!r}: the namespace {namespace!r} is {owner}'s; use one of your own")
    with _LOCK:
        if name in _RULES:
            raise ConfigurationError(f"rule {name!r} is registered already; give yours another name")
        _RULES[name] = RuleSchema(schema, describe)


_FAMILIES: Mapping[str, tuple[str, Mapping[str, RuleSchema]]] = {
    "ifeval": ("IFEval", ifeval.RULES),
    "ifbench": ("IFBench", ifbench.RULES),
}
"""Who a family belongs to, and its rules, which go by their bare names."""

_BARE: Mapping[str, Mapping[str, RuleSchema]] = {family: rules for family, (_, rules) in _FAMILIES.items()}

_NAMESPACES: Mapping[str, str] = {
    corrected.FAMILY: "RTT",
    muldimif.FAMILY: "MulDimIF",
    **{family: owner for family, (owner, _) in _FAMILIES.items()},
    **{name.partition(":")[0]: _FAMILIES[family][0] for family, rules in _BARE.items() for name in rules},
}
_LOCK = threading.Lock()
_RULES: dict[str, RuleSchema] = {
    **{name: schema for _, rules in _FAMILIES.values() for name, schema in rules.items()},
    **muldimif.RULES,
    **corrected.RULES,
}


# --------------------------------------------------------------------------------------------- errors in words


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _in_words(schema: type[RuleArguments], detail: ErrorDetails) -> str:
    field = ".".join(str(step) for step in detail["loc"])
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if not field:
        return detail["msg"]
    if kind == "missing":
        return f"{field}: is missing; expected {_expected(schema, field)}"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(field, schema.model_fields, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"expected {list(schema.model_fields) or 'no arguments'}"
        return f"{field}: is not an argument of this rule; {known}"
    expected = {
        "int_type": _expected(schema, field),
        "greater_than_equal": f"a whole number of at least {context.get('ge')}",
        "string_type": "text",
        "tuple_type": "a list of texts",
        "too_short": "at least one text",
        "literal_error": context.get("expected", ""),
    }.get(kind, detail["msg"])
    return f"{field}: got {_show(value)} ({type(value).__name__}); expected {expected}"


def _expected(schema: type[RuleArguments], field: str) -> str:
    info = schema.model_fields.get(field.partition(".")[0])
    kind: Any = info.annotation if info is not None else None
    words: list[tuple[Any, str]] = [(int, "a whole number"), (str, "text"), (Relation, "'at least' or 'less than'")]
    if get_origin(kind) is Literal and kind != Relation:
        return f"one of {list(get_args(kind))}"
    return next((word for known, word in words if kind == known), "a list of texts")


def _either(names: list[str]) -> str:
    return " or ".join(repr(name) for name in names)


def _show(value: object, width: int = 80) -> str:
    text = repr(value if not isinstance(value, str) else value[: width + 1])
    return text if len(text) <= width else f"{text[: width - 3]}..."
