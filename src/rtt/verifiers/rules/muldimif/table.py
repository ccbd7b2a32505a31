"""Tables: ``muldimif:Format:Table``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from rtt.rule_schemas.muldimif import ConstraintText
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, whole
from rtt.verifiers.rules.muldimif.text import UP_TO_HUNDRED, Account, lines_of, trimmed

Relation = Literal["exactly", "at most"]
Size = tuple[Relation, int]

_N = rf"(\d+|\b(?:{'|'.join(UP_TO_HUNDRED)})\b)"
_ROWS: tuple[tuple[str, Relation], ...] = (
    (r"exactly\s+N\s+rows?", "exactly"),
    (r"no\s+more\s+than\s+N\s+rows?", "at most"),
    (r"not\s+have\s+more\s+than\s+N\s+rows?", "at most"),
    (r"must\s+not\s+exceed\s+N\s+rows?", "at most"),
    (r"not\s+exceed\s+N\s+rows?", "at most"),
    (r"not\s+exceeding\s+N\s+rows?", "at most"),
    (r"row\s+limit\s+of\s+N", "at most"),
    (r"N\s+rows?\s+must\s+be\s+included", "exactly"),
    (r"exactly\s+.+and N\s+rows?", "exactly"),
    (r"not exceed\s+.+and N\s+rows?", "at most"),
    (r"a maximum of\s+N\s+rows", "at most"),
    (r"limited to\s+N\s+rows", "at most"),
    (r"a maximum of\s+.+and N\s+rows?", "at most"),
    (r"limit the number of rows to\s+N", "at most"),
    (r"limit it to\s+N\s+rows", "at most"),
    (r"limit the table to\s+N\s+rows", "at most"),
    (r"the number of rows in each table does not exceed\s+N", "at most"),
)
_COLUMNS: tuple[tuple[str, Relation], ...] = (
    (r"exactly\s+N\s+columns?", "exactly"),
    (r"no\s+more\s+than\s+N\s+columns?", "at most"),
    (r"not\s+have\s+more\s+than\s+N\s+columns?", "at most"),
    (r"must\s+not\s+exceed\s+N\s+columns?", "at most"),
    (r"not\s+exceed\s+N\s+columns?", "at most"),
    (r"not\s+exceeding\s+N\s+columns?", "at most"),
    (r"column\s+limit\s+of\s+N", "at most"),
    (r"exactly\s+.+and N\s+columns?", "exactly"),
    (r"in\s+N\s+columns", "exactly"),
    (r"not exceed\s+.+and N\s+columns?", "at most"),
    (r"maximum of\s+N\s+columns", "at most"),
    (r"maximum\s+N\s+columns", "at most"),
    (r"at most\s+N\s+columns", "at most"),
    (r"limited to\s+N\s+columns", "at most"),
    (r"a maximum of\s+.+and N\s+columns?", "at most"),
    (r"limit the number of columns to\s+N", "at most"),
    (r"limit it to\s+N\s+columns", "at most"),
    (r"limit the table to\s+N\s+columns", "at most"),
    (r"the number of columns in each table does not exceed\s+N", "at most"),
)
_ROW_PATTERNS = [(re.compile(source.replace("N", _N)), relation) for source, relation in _ROWS]
_COLUMN_PATTERNS = [(re.compile(source.replace("N", _N)), relation) for source, relation in _COLUMNS]
_ONE_COLUMN = re.compile(r"(?:a|each|presented in one) single column")
_TITLE = re.compile(rf"title\s+must\s+not\s+exceed\s+{_N}\s+words")
_QUOTED = re.compile(r'"([^"]+)"')
_OPTIONAL = re.compile(
    "|".join(
        (
            r"if you (?:include|use|utilize|incorporate|present) (?:a |any )?(?:tables?|tabular data)",
            r"if you (?:decide|choose|opt) to (?:use|include|incorporate|present|utilize) (?:a |any )?"
            r"(?:tables?|tabular data)",
            r"if (?:there (?:is|are) )?(?:a |any )?(?:tables?|tabular data|table format) (?:is|are) "
            r"(?:used|included|utilized|incorporated|presented|chosen)",
        )
    )
)


@dataclass(frozen=True, slots=True)
class TableReading:
    """What ``Format:Table`` reads in a constraint.

    Attributes:
        text: the constraint, in small letters.
        rows, columns: how many.
        title_words: the most words of the first line.
        headers: what the header must hold.
        content: what must occur somewhere in the table, or word by word in a header.
        optional: the constraint asks for nothing where there is no table.
    """

    text: str
    rows: Size | None
    columns: Size | None
    title_words: int | None
    headers: tuple[str, ...]
    content: tuple[str, ...]
    optional: bool

    def in_words(self) -> str:
        """The reading; "a table" alone if no more could be read."""
        parts = ["a table" if not self.optional else "a table, if there is one"]
        for size, noun in ((self.rows, "rows"), (self.columns, "columns")):
            parts += [] if size is None else [f"{size[0]} {size[1]} {noun}"]
        parts += [] if self.title_words is None else [f"a first line of at most {self.title_words} words"]
        parts += [f"headers with {', '.join(map(repr, self.headers))}"] if self.headers else []
        parts += [f"content on {', '.join(map(repr, self.content))}"] if self.content else []
        return ", ".join(parts)


@functools.lru_cache(maxsize=4096)
def read(constraint: str) -> TableReading:
    """What the checker reads in a constraint."""
    plain = constraint.lower()
    rows, columns = _size(plain, _ROW_PATTERNS), _size(plain, _COLUMN_PATTERNS)
    title = _TITLE.search(plain)
    quoted = tuple(name for name in (part.strip().rstrip(",").strip() for part in _QUOTED.findall(plain)) if name)
    optional = "table" not in plain or _OPTIONAL.search(plain) is not None
    content: list[str] = []
    if "series must include" in plain and "title" in plain and "author" in plain:
        content = ["title", "author", "year", "publication"]
    if "film title" in plain and "release year" in plain:
        content = ["film title", "release year"]
    if "columns for" in plain and quoted:
        if columns is None and _ONE_COLUMN.search(plain):
            columns = ("exactly", 1)
        most = _number(title) if columns is None else None
        return TableReading(plain, rows, columns, most, quoted, tuple(content), optional)
    headers, more = _named(plain)
    content += more
    if "single column" in plain:
        columns = ("exactly", 1)
    unique = tuple(part for part in dict.fromkeys(content) if part)
    return TableReading(plain, rows, columns, _number(title), tuple(headers) or quoted, unique, optional)


def _size(plain: str, patterns: list[tuple[re.Pattern[str], Relation]]) -> Size | None:
    for pattern, relation in patterns:
        found = pattern.search(plain)
        if found is not None:
            return relation, UP_TO_HUNDRED[found[1]] if found[1] in UP_TO_HUNDRED else int(found[1])
    return None


def _number(found: re.Match[str] | None) -> int | None:
    if found is None:
        return None
    return UP_TO_HUNDRED[found[1]] if found[1] in UP_TO_HUNDRED else int(found[1])


_NAMES = (
    re.compile(r"columns?\s+should\s+be\s+([\w\s,]+)"),
    re.compile(r"columns:\s+([\w\s,']+)"),
    re.compile(r'table must include columns (for|named)\s+"[^"]+"'),
)
_THINGS = "each (?:entry|row|item|game|series)"
_CONTENT = (
    re.compile(_THINGS + r" must include (?:the\s+)?([\w\s,]+(?:\s+and\s+(?:its|their)\s+[\w\s,]+)?)"),
    re.compile(_THINGS + r" should (?:be )?(?:present|include|contain|show)(?:ed)? (?:in|with)?\s+([\w\s,]+)"),
)
_ITS = re.compile(r"each\s+\w+\s+must\s+include\s+(?:the\s+)?([\w\s]+\s+and\s+its\s+[\w\s]+)")


def _named(plain: str) -> tuple[list[str], list[str]]:
    """Headers and contents that the constraint names."""
    headers: list[str] = []
    for pattern in _NAMES:
        found = pattern.search(plain)
        if found is not None:
            # Officially the letters a, n and d divide names, not the word "and".
            headers += [part for part in (name.strip("'\" ") for name in re.split("[,、，和and]", found[1])) if part]
    content: list[str] = []
    for pattern in _CONTENT:
        found = pattern.search(plain)
        if found is None:
            continue
        if " and " in found[1]:
            left, right = found[1].split(" and ")[:2]
            content += [part.strip() for part in left.split(",")]
            content.append(right.removeprefix("its ").strip())
        else:
            content += [part.strip() for part in re.split("[,、，]", found[1])]
    found = _ITS.search(plain)
    if found is not None:
        content += [part.strip() for part in re.split(r"\s+and\s+its\s+", found[1])]
    return headers, content


def table(text: str, arguments: ConstraintText, deadline: Deadline) -> Finding:
    """The response has a table such as the constraint's text describes.

    Official behaviour: everything from the first ``|`` to the last is one table, prose and a second table between them
    included; its first line is the header, and the second is no row if it has ``---``. Without a ``|`` a constraint is
    met if it says "if you use a table" or does not say "table". "At least n rows" is not read. Every text in double
    quotation marks in the constraint is a column's header, even the whole constraint. Where columns or contents are
    named in certain ways, what else is asked for is not looked at.

    Evidence: the rows after the n-th violate, and the header's cells after the n-th; too few rows, a column or content
    that is not there: something is missing, and the table supports. Met: the table's lines support.
    """
    reading = read(arguments.text)
    account = Account(reading.in_words())
    if "|" not in text:
        if reading.optional:
            return whole(True, f"read as: {account.reading}; there is none, and none is asked for")
        return absent(f"read as: {account.reading}; there is no '|', hence no table")
    first, last = text.find("|"), text.rfind("|") + 1
    lines: list[Bounds] = []
    if last - first > 1:
        for start, end in lines_of(text[first:last]):
            bounds = trimmed(text, (first + start, first + end))
            if bounds[0] < bounds[1]:
                lines.append(bounds)
    account.support = list(lines)
    _rows(account, reading.rows, lines, text)
    if not lines:
        if reading.columns or reading.title_words is not None or reading.headers or "markdown" in reading.text:
            account.lacks("one '|' is not a table")
    else:
        _columns(account, reading.columns, lines[0], text)
        _title(account, reading.title_words, lines[0], text)
    _contents(account, reading, [text[slice(*line)] for line in lines])
    return account.finding()


def _rows(account: Account, size: Size | None, lines: list[Bounds], text: str) -> None:
    if size is None:
        return
    relation, number = size
    above = 2 if len(lines) > 1 and "---" in text[slice(*lines[1])] else 1
    rows = len(lines) - above
    if relation == "exactly" and rows < number:
        account.lacks(f"{max(rows, 0)} rows")
    elif rows > number:
        account.offends(f"{rows} rows", [(lines[above + number][0], lines[-1][1])])


def _columns(account: Account, size: Size | None, header: Bounds, text: str) -> None:
    if size is None:
        return
    relation, number = size
    bars = [at for at in range(*header) if text[at] == "|"]
    columns = len(bars) - 1
    if relation == "exactly" and columns < number:
        account.lacks(f"{columns} columns")
    elif columns > number:
        account.offends(f"{columns} columns", [(bars[number] + 1, bars[-1] + 1)])


def _title(account: Account, most: int | None, line: Bounds, text: str) -> None:
    words = len(text[slice(*line)].strip("|").split())
    if most is not None and words > most:
        account.offends(f"{words} words in the first line", [line])


def _contents(account: Account, reading: TableReading, lines: list[str]) -> None:
    """Headers and contents. Some kinds of constraint end the official check early."""
    plain = reading.text
    headers = [cell.strip().lower() for cell in lines[0].split("|")[1:-1]] if lines else []

    def heads(*words: str) -> bool:
        return any(word in header for word in words for header in headers)

    if "series must include" in plain and all(word in plain for word in ("title", "author", "year")):
        _lacking(account, [word for word in ("title", "author", "year") if not heads(word)])
        return
    if "columns for" in plain and reading.headers:
        _lacking(account, [n for n in reading.headers if not heads(n) and not any(h in n for h in headers)])
        return
    _lacking(account, [name for name in reading.headers if not heads(name)])
    if "film title" in plain and "release year" in plain:
        _lacking(account, [] if heads("film", "title") else ["film title"])
        _lacking(account, [] if heads("release", "year") else ["release year"])
        return
    inside = " ".join(line.replace("|", " ") for line in lines).lower()
    aliases = {"film title": ("film", "title"), "release year": ("release", "year"), "year of publication": ("year",)}
    _lacking(
        account,
        [
            name
            for name in reading.content
            if name != "publication"
            and not heads(*aliases.get(name, (name,) if name in ("title", "author", "year") else ()))
            and name not in inside
            and not heads(*name.split())
        ],
    )


def _lacking(account: Account, names: list[str]) -> None:
    if names:
        account.lacks(f"not in the table: {', '.join(map(repr, names))}")
