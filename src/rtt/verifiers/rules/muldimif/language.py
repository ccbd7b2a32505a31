"""Case and script: ``muldimif:Language:English`` and ``muldimif:Language:Chinese``."""

from __future__ import annotations

import functools
import importlib
import re
from importlib.resources import files
from typing import Any, Literal

from rtt.errors import MissingDependencyError, VerifierError
from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, present, whole
from rtt.verifiers.rules.muldimif.text import cells, lines_of, trimmed, unread
from rtt.verifiers.rules.text import NOT_BLANK_RUN

Case = Literal["all in capital letters", "no word begins with a small letter", "all in small letters", "anything"]
Part = Literal[
    "response", "table", "table's header", "table's entries", "keys", "values", "headings", "table or headings"
]


@functools.lru_cache(maxsize=4096)
def read_english(constraint: str) -> tuple[Case, Part] | None:
    """Which case ``Language:English`` reads in a constraint, and of what; None if it reads none."""
    plain = constraint.strip().lower()
    case: Case
    if re.search(r"\ball[- ]?uppercase\b", plain) or "in capitalized form" in plain:
        case = "all in capital letters"
    elif (
        "capitalized letters for each word" in plain
        or "each word in" in plain
        or re.search(r"\bcapitalized\b", plain)
        or ("capital" in plain and "each" in plain)
    ):
        case = "no word begins with a small letter"
    elif "must be in lowercase" in plain or "all lowercase" in plain or re.search(r"\blowercase\b", plain):
        case = "all in small letters"
    elif "written as a short blurb" in plain:
        case = "anything"
    else:
        return None
    return case, _part(plain)


def _part(plain: str) -> Part:
    if "table" in plain:
        if "headings" in plain:
            return "table or headings"
        if "header" in plain:
            return "table's header"
        return "table's entries" if "entries" in plain else "table"
    if "json" in plain:
        return "keys" if "keys" in plain else "values" if "values" in plain else "response"
    return "headings" if "heading" in plain else "response"


def english(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The letters of the response, or of a part of it, have the case that the constraint's text asks for.

    Official behaviour: only case is read. "Must be in English" and the like are not, and let no response pass; the
    language is never looked at. "Capitalized" means that no word begins with a small letter from a to z (so that "é",
    "(the" or "3rd" may), "each ... capital" too. A table's header is the first line, whatever it is; without bars the
    whole response counts. A blank response violates.

    Evidence, violated: the words in another case violate; delete them and the verdict turns. Satisfied: the whole.
    """
    if not text.strip():
        return whole(False, "the response is empty")
    reading = read_english(arguments.text)
    if reading is None:
        return unread(False, "case")
    case, part = reading
    wrong: list[Bounds] = []
    for start, end in _parts(text, part):
        deadline.remaining()
        for word in NOT_BLANK_RUN.finditer(text, start, end):
            if _breaks(word[0], case):
                wrong.append(word.span())
    told = f"read as: {part}: {case}"
    return offending(wrong, f"{told}; {len(wrong)} words are not") if wrong else whole(True, told)


def _breaks(word: str, case: Case) -> bool:
    if case == "all in capital letters":
        return word != word.upper()
    if case == "all in small letters":
        return word != word.lower()
    return case != "anything" and "a" <= word[0] <= "z"


_KEYS = re.compile(r'"([^"]+)"\s*:')
_VALUES = re.compile(r':\s*"([^"]+)"')
_HEADINGS = re.compile(r"^#+\s*(.+)$", re.MULTILINE)


def _parts(text: str, part: Part) -> list[Bounds]:
    everything = [(0, len(text))]
    if part in ("keys", "values"):
        found = _groups(_KEYS if part == "keys" else _VALUES, text) if "{" in text and "}" in text else []
    elif part == "headings":
        found = _groups(_HEADINGS, text)
    elif part == "response" or "|" not in text:
        found = []
    else:
        rows = [bounds for bounds in (trimmed(text, line) for line in lines_of(text)) if bounds[0] < bounds[1]]
        if part == "table's header":
            return cells(text, rows[0])
        if part == "table's entries" and len(rows) > 1:
            return [cell for row in rows[1:] for cell in cells(text, row)]
        if part == "table's entries":
            return everything
        found = [cell for row in rows for cell in cells(text, row)]
        if part == "table":
            return found
        if not any(text[start:end].strip() for start, end in found):
            found = _groups(_HEADINGS, text)
    return found or everything


def _groups(pattern: re.Pattern[str], text: str) -> list[Bounds]:
    return [match.span(1) for match in pattern.finditer(text)]


# ------------------------------------------------------------------------------------------------------------- Chinese

Script = Literal["phrase", "all traditional", "some traditional", "some simplified", "all simplified"]
_SCRIPTS: tuple[tuple[str, Script], ...] = (
    (r'Must include the phrase "{1,2}(.+?)"{1,2}', "phrase"),
    (r"Must write the name \"Shen Lim\" in Simplified Chinese", "phrase"),
    (r"Must (?:use|convert into|be converted into) Traditional Chinese characters", "all traditional"),
    (r"(?:include|use) .*?Traditional Chinese characters|使用繁體中文", "some traditional"),
    (
        r"include some content in Simplified Chinese|Use Simplified Chinese characters|"
        r"(?:must be|must use|must write|must be presented|answer must be|essential|is|should be|必须|请|需要) ?"
        r"(?:in|provided in|written in|to use|conducted in|用|使用|提供|书写|翻译为|将文本翻译为) ?"
        r"(?:Simplified Chinese|简体中文)|用中文简体描述|Names must be in Simplified Chinese",
        "some simplified",
    ),
    (r"Must translate the text into Simplified Chinese", "all simplified"),
    (r"Simplified", "some simplified"),
)
_RULES = [(re.compile(source, re.IGNORECASE), script) for source, script in _SCRIPTS]
MAX_CONVERTED = 100_000
"""The longest response that is converted as a whole, in characters: it cannot be stopped."""

_NAME = "沈林"
"""The name "Shen Lim" in Chinese, which is all that the second kind of constraint asks for."""


@functools.lru_cache(maxsize=4096)
def read_chinese(constraint: str) -> tuple[Script, str] | None:
    """Which script ``Language:Chinese`` reads in a constraint, or which phrase; None if it reads neither."""
    for pattern, script in _RULES:
        found = pattern.search(constraint)
        if found is not None:
            return script, (found[1] if found.lastindex else _NAME) if script == "phrase" else ""
    return None


def chinese(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response is, or has something, in the Chinese script that the constraint's text names.

    Official behaviour: "in Simplified Chinese" asks for a single character that has another traditional form; only
    "must use Traditional Chinese characters" and "must translate the text into Simplified Chinese" are about all of
    it, and a single Latin letter then violates. A constraint in which nothing is read lets no response pass.

    Which characters have two forms says zhconv, the official checker's library; without it the verdict is undetermined.

    Evidence: characters that were asked for support, Latin letters and those of the other script violate; if none are
    there, something is missing.
    """
    reading = read_chinese(arguments.text)
    if reading is None:
        return unread(False, "script")
    script, phrase = reading
    if script == "phrase":
        found = [match.span() for match in re.finditer(re.escape(phrase), text)]
        told = f"read as: the phrase {phrase!r}"
        return present(found, told) if found else absent(f"{told}; it is not there")
    other = "zh-cn" if "traditional" in script else "zh-tw"
    if script.startswith("some"):
        found = _others(text, other)
        told = f"read as: {script} characters"
        return present(found, told) if found else absent(f"{told}; there are none")
    told = f"read as: {script} characters, no Latin letters"
    latin = [match.span() for match in re.finditer("[A-Za-z]+", text)]
    if latin:
        return offending(latin, f"{told}; there are Latin letters")
    if len(text) > MAX_CONVERTED:
        raise VerifierError(f"the response has more than {MAX_CONVERTED} characters, too many to convert in time")
    same = "zh-tw" if other == "zh-cn" else "zh-cn"
    if _zhconv().convert(text, same) == text:
        return whole(True, told)
    return offending(_others(text, same), f"{told}; others are there")


def _others(text: str, variant: str) -> list[Bounds]:
    """Where the characters are that have another form in this variant."""
    convert = _zhconv().convert
    other = {character for character in set(text) if convert(character, variant) != character}
    return [(at, at + 1) for at, character in enumerate(text) if character in other]


@functools.cache
def _zhconv() -> Any:
    try:
        zhconv = importlib.import_module("zhconv.zhconv")
    except ImportError:
        raise MissingDependencyError(
            "which Chinese characters have two forms is decided by zhconv, as in MulDimIF; install zhconv"
        ) from None
    # By its path, for the library leaves the file open when it finds it itself.
    zhconv.loaddict(str(files("zhconv") / "zhcdict.json"))
    return zhconv
