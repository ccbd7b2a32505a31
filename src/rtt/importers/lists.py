"""Sets whose whole rubric is one text: WildChecklists, OpenRubrics."""

from __future__ import annotations

import re

from rtt.importers.reading import Row, items, key, messages, number, show, text
from rtt.json_lines import LineError

_IMPORTANCE = re.compile(r"\(importance:[ ]{0,9}(\d{1,3}(?:\.\d{1,9})?)[ ]{0,9}/[ ]{0,9}100[ ]{0,9}\)")
_NUMBER = re.compile(r"\s*\d{1,3}[.)]\s*")
_KIND = re.compile(r"\[(Hard Rule|Principle)\]\s*\Z", flags=re.IGNORECASE)


def wildchecklists(row: Row) -> None:
    """A row of WildChecklists: ``prompt`` and ``requirements``; ``chosen`` and ``rejected`` are not read.

    ``requirements`` is a text of numbered questions, each followed by ``(importance: 80/100)``, or a list of pairs of a
    question and its importance. An importance of 100 becomes the weight 1.
    """
    value = row.value
    row.prompt = messages(value.get("prompt"), "prompt")
    row.key = key(value.get("id"), "id")
    for question, weight in _requirements(value.get("requirements")):
        row.by_judge(question, weight)


def _requirements(value: object) -> list[tuple[str, float]]:
    if isinstance(value, str):
        return _from_text(text(value, "requirements"))
    pairs = []
    for k, item in enumerate(items(value, "requirements")):
        path = f"requirements[{k}]"
        pair = items(item, path)
        if len(pair) != 2:
            raise LineError(f"{path}: has {len(pair)} items; expected a question and its importance")
        pairs.append((text(pair[0], f"{path}[0]"), _weight(number(pair[1], f"{path}[1]"), f"{path}[1]")))
    return pairs


def _from_text(requirements: str) -> list[tuple[str, float]]:
    """The questions with their weights. A question may have several lines, and a list of its own."""
    parts = _IMPORTANCE.split(requirements)
    if len(parts) == 1:
        return [(item, 1.0) for item in numbered(requirements, "requirements")]
    if parts[-1].strip():
        raise LineError(
            f"requirements: got {show(parts[-1].strip())} after the last importance; expected each question to be "
            "followed by '(importance: 80/100)'"
        )
    read = []
    for k, (question, importance) in enumerate(zip(parts[:-1:2], parts[1::2], strict=True)):
        found = _NUMBER.match(question)
        bare = question[found.end() if found else 0 :].strip()
        if not bare:
            raise LineError(f"requirements: question {k + 1} is blank; expected text before its importance")
        read.append((bare, _weight(float(importance), "requirements")))
    return read


def _weight(importance: float, path: str) -> float:
    if not 0 <= importance <= 100:
        raise LineError(f"{path}: got the importance {importance:g}; expected 0 to 100")
    return importance / 100


def openrubrics(row: Row) -> None:
    """A row of OpenRubrics: ``instruction``, ``rubric``, ``source``; the responses and their winner are not read.

    ``rubric`` is a text of numbered items, each of which may end with ``[Hard Rule]`` or ``[Principle]``; which of them
    it was is kept in the metadata.
    """
    value = row.value
    row.prompt, row.prompt_field = messages(value.get("instruction"), "instruction"), "instruction"
    row.key = key(value.get("id"), "id")
    row.label("source")
    kinds = []
    for k, item in enumerate(numbered(text(value.get("rubric"), "rubric"), "rubric")):
        found = _KIND.search(item)
        said = item[: found.start()].strip() if found else item
        if not said:
            raise LineError(f"rubric: item {k + 1} has no words beside its tag; expected the criterion in words")
        row.by_judge(said)
        kinds.append(found[1].lower() if found else None)
    if any(kinds):
        row.labels["kinds"] = kinds


def numbered(value: str, path: str) -> list[str]:
    """The items of a numbered list (``1.`` or ``1)`` at the start of a line); other lines go on with their item.

    Raises:
        LineError: the first line that is not blank has no number, or an item is empty.
    """
    found: list[list[str]] = []
    for line in value.splitlines():
        if not line.strip():
            continue
        number_of_line = _NUMBER.match(line)
        if number_of_line:
            found.append([line[number_of_line.end() :].strip()])
        elif found:
            found[-1].append(line.strip())
        else:
            raise LineError(f"{path}: begins with {show(line.strip())}; expected a numbered list: '1. ...'")
    read = [" ".join(part for part in parts if part) for parts in found]
    if not read or not all(read):
        raise LineError(f"{path}: has an item without words; expected a numbered list: '1. ...'")
    return read
