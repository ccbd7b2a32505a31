"""One request each: the group ``custom``, whose prompts ask for one thing in particular."""

from __future__ import annotations

import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from rtt.errors import VerifierError
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, offending, present, whole
from rtt.verifiers.rules.ifbench.text import TRIMMED, bare
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import NOT_BLANK_RUN, lowered, raised, sentences, stripped


def multiples(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The multiples of 7 from 14 to 49.

    Official behaviour: all numbers of the response, in order, are these six.

    Evidence, satisfied: the numbers support. Violated: from the first wrong number on all violate; without one, numbers
    are missing and those that are there support.
    """
    found = list(re.finditer(r"\d+", text))
    wanted = [str(number) for number in range(14, 50, 7)]
    right = 0
    while right < min(len(found), 6) and found[right].group() == wanted[right]:
        right += 1
    places = [match.span() for match in found]
    if right < len(found):
        return offending(places[right:], f"{found[right].group()[:40]} is not what comes next", missing=right < 6)
    if right < 6:
        return absent(f"ends before {wanted[right]}", places)
    return present(places, "14, 21, 28, 35, 42, 49")


_QUESTION = re.compile(r"Question \d+[.|):;]?\s*")
_OPTION = re.compile(r"[A-Ea-e][.|)]\s*\w+")


def mcq_count_length(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Four questions of five options, each question longer than the one before.

    Official behaviour: the response starts with "Question"; a question is what stands between "Question N" and its
    first option, and options are the lines that start with a letter from a to e and a full stop or a bracket.

    Evidence: the whole response, in both verdicts.
    """
    if not text.startswith("Question"):
        return whole(False, "does not start with 'Question'")
    questions = [part.strip() for part in _QUESTION.split(text)]
    questions = [question for question in questions if question]
    if len(questions) != 4:
        return whole(False, f"{len(questions)} questions, expected 4")
    lengths: list[int] = []
    for question in questions:
        asked: list[str] = []
        options = 0
        for line in question.split("\n"):
            if _OPTION.match(line.strip()):
                options += 1
            elif not options:
                asked.append(line.strip())
        if options != 5:
            return whole(False, f"{options} options of question {len(lengths) + 1}, expected 5")
        lengths.append(len(" ".join(asked).strip()))
    longer = all(one < other for one, other in itertools.pairwise(lengths))
    return whole(longer, f"questions of {', '.join(map(str, lengths))} characters")


def reverse_newline(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The countries of Africa in reverse alphabetical order.

    Official behaviour: from the first line with "Zimbabwe" on there are at least 52 lines, in reverse order of their
    characters, accents aside; which countries they name is not checked.

    Evidence, satisfied: these lines support. Violated: each line that comes before the one above it violates; with too
    few lines something is missing, and those that are there support.
    """
    lines: list[tuple[Bounds, str]] = []
    start = 0
    for line in text.split("\n"):
        body = line.strip(TRIMMED)
        if body:
            lead = start + len(line) - len(line.lstrip(TRIMMED))
            lines.append(((lead, lead + len(body)), body))
        start += len(line) + 1
    first = next((index for index, (_, body) in enumerate(lines) if "Zimbabwe" in body), None)
    if first is None:
        return absent("no line with Zimbabwe")
    places = [bounds for bounds, _ in lines[first:]]
    if len(places) < 52:
        return absent(f"{len(places)} lines from Zimbabwe on, expected at least 52", places)
    names = [without_accents(body) for _, body in lines[first:]]
    wrong = [place for place, (one, other) in zip(places[1:], itertools.pairwise(names), strict=True) if other > one]
    if wrong:
        return offending(wrong, f"{len(wrong)} lines are out of order")
    return present(places, f"{len(places)} lines in reverse order")


def without_accents(text: str) -> str:
    """The text without accents, and without what is not ASCII then."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def word_reverse(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The national animal of the US, the words in reverse order.

    Official behaviour: case and ASCII punctuation aside, the words in reverse order hold "bald eagle" and are one
    sentence of Punkt's.

    Evidence: the whole response; without the animal something is missing.
    """
    words = bare(text.lower().strip()).split()
    turned = " ".join(reversed(words))
    if "bald eagle" not in turned:
        return absent("read backwards there is no bald eagle")
    found = sentences(turned, deadline)
    return whole((0, len(turned)) in found, f"read backwards it is {len(found)} sentences, with the bald eagle")


def character_reverse(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The national animal of the US, written backwards.

    Official behaviour: "elgae dlab" anywhere, whatever its case.

    Evidence, satisfied: these words support. Violated: something is missing.
    """
    lower, origin = lowered(text)
    found = [raised(match.span(), origin) for match in re.finditer("elgae dlab", lower)]
    return present(found, "'elgae dlab'") if found else absent("no 'elgae dlab'")


def sentence_alphabet(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """26 sentences from a to z.

    Official behaviour: Punkt's sentences, told by the first character of each, quotation marks included.

    Evidence, satisfied: the first words support. Violated: sentences beyond the 26th violate; with fewer, something is
    missing and their first words support; else each wrong first word violates.
    """
    found = sentences(text, deadline)
    firsts = [match.span() for bounds in found if (match := NOT_BLANK_RUN.search(text, *bounds)) is not None]
    if len(found) > 26:
        return offending([(found[26][0], stripped(text)[1])], f"{len(found)} sentences, expected 26")
    if len(found) < 26:
        return absent(f"{len(found)} sentences, expected 26", firsts)
    wrong = [place for index, place in enumerate(firsts) if text[slice(*place)].lower()[0] != chr(ord("a") + index)]
    if wrong:
        return offending(wrong, f"{len(wrong)} sentences start with another letter")
    return present(firsts, "26 sentences from a to z")


CAPITALS = tuple(
    name.strip()
    for line in (
        "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin",
        "Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, Budapest, Vaduz, Chisinau",
        "Bern, Ljubljana, Zagreb",
    )
    for name in line.split(",")
)


def european_capitals_sort(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The capitals of Europe north of 45 degrees, from north to south.

    Official behaviour: the evaluator's own list of 27 capitals, to the letter, accents aside; Kyiv and Belgrade are not
    in it.

    Evidence: the whole response, in both verdicts.
    """
    named = [name.strip() for name in without_accents(text).split(",") if name.strip()]
    if len(named) != len(CAPITALS):
        return whole(False, f"{len(named)} names, expected {len(CAPITALS)}")
    wrong = next(((name, wanted) for name, wanted in zip(named, CAPITALS, strict=True) if name != wanted), None)
    if wrong is None:
        return whole(True, "the capitals from north to south")
    return whole(False, f"{wrong[0][:40]!r} where {wrong[1]!r} is expected")


def csv_rows(text: str, delimiter: str = ",") -> list[list[str]]:
    """The rows of CSV.

    Raises:
        VerifierError: it cannot be read, which ends the official evaluator with an error.
    """
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise VerifierError(f"not readable as CSV ({error}), which the official check has no verdict on") from None


def csv_city(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """CSV of 7 rows with the columns ID, Country, City, Year, Count.

    Official behaviour: the first line is these names, without blanks between them; each row has five fields.

    Evidence: the whole response, in both verdicts.
    """
    rows = csv_rows(text)
    return five_columns(rows, 8, rows[:1] == [["ID", "Country", "City", "Year", "Count"]])


def five_columns(rows: Sequence[Sequence[str]], number: int, named: bool) -> Finding:
    """The finding on so many rows, the head included, of five fields each."""
    if len(rows) != number:
        return whole(False, f"{len(rows)} rows with the head, expected {number}")
    if not named:
        return whole(False, "another head than was asked for")
    wrong = next((row for row in rows[1:] if len(row) != 5), None)
    if wrong is not None:
        return whole(False, f"a row of {len(wrong)} fields, expected 5")
    return whole(True, f"{number - 1} rows of 5 fields")


def csv_head(text: str, names: str, between: str) -> bool:
    """Whether the first line is these names, each in double quotation marks or not."""
    pattern = between.join(f'(?:{name}|"{name}")' for name in names.split())
    return re.fullmatch(pattern, text.split("\n")[0].strip()) is not None


def csv_special_character(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """CSV of 14 rows, one field with a special character in double quotation marks.

    Official behaviour: quotation marks are read as part of the fields, and commas in them as the end of the fields they
    stand in would be; rows after the first one with such a field are not looked at.

    Evidence: the whole response, in both verdicts.
    """
    if not csv_head(text, "ProductID Category Brand Price Stock", ",[ \t]*"):
        return whole(False, "another head than was asked for")
    rows = csv_rows(text.replace('"', '"""'))
    if len(rows) != 15:
        return whole(False, f"{len(rows)} rows with the head, expected 15")
    for row in rows[1:]:
        if len(row) != 5:
            return whole(False, f"a row of {len(row)} fields, expected 5")
        if any(map(_is_special, row)):
            return whole(True, "a field with a special character in quotation marks")
    return whole(False, "no field with a special character in quotation marks", missing=True)


def _is_special(field: str) -> bool:
    """Whether it starts with a quotation mark, and before another one on the same line stands a special character."""
    line = field.split("\n")[0]
    if not line.startswith('"'):
        return False
    return re.search(r"[^\d\w\s]", line[1 : max(line.rfind('"'), 1)]) is not None


def csv_quotes(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """CSV of 3 rows with tabs, each field in double quotation marks.

    Official behaviour: quotation marks are read as part of the fields; a blank field ends the evaluator with an error,
    so here it leaves the verdict undetermined.

    Evidence: the whole response, in both verdicts.
    """
    if not csv_head(text, "StudentID Subject Grade Semester Score", "\t *"):
        return whole(False, "another head than was asked for")
    rows = csv_rows(text.replace('"', '"""'), "\t")
    if len(rows) != 4:
        return whole(False, f"{len(rows)} rows with the head, expected 4")
    for row in rows:
        if len(row) != 5:
            return whole(False, f"a row of {len(row)} fields, expected 5")
        for field in row:
            inner = field.strip()
            if not inner:
                raise VerifierError("a blank field, which the official check has no verdict on")
            if not (inner[0] == inner[-1] == '"'):
                return whole(False, f"the field {inner[:40]!r} is not in quotation marks")
    return whole(True, "3 rows of 5 fields in quotation marks")


_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_SHORT_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def date_format_list(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Dates in the form YYYY-MM-DD, divided by commas.

    Official behaviour: years of Napoleon's life (1769 to 1821), months up to 12 and days that the month can have; 00 is
    accepted for both, and whether a battle began on the date is not checked.

    Evidence, satisfied: the dates support. Violated: what is no such date between two commas violates; where nothing
    stands there, something is missing.
    """
    return dates(text, _is_date)


def dates(text: str, is_date: Callable[[str], bool]) -> Finding:
    """The finding on what stands between commas, all of it dates."""
    start, end = stripped(text)
    right: list[Bounds] = []
    wrong: list[Bounds] = []
    empty = False
    at = start
    for part in text[start:end].split(","):
        body = part.strip()
        lead = at + len(part) - len(part.lstrip())
        (right if is_date(body) else wrong).append((lead, lead + len(body)))
        empty |= not body
        at += len(part) + 1
    if not wrong:
        return present(right, f"{len(right)} dates")
    reason = f"{len(wrong)} of {len(right) + len(wrong)} parts are no such date"
    if all(first == last for first, last in wrong):
        return absent(reason, right)
    return offending(wrong, reason, missing=empty)


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    return 1769 <= year <= 1821 and month <= 12 and (month == 0 or day <= _SHORT_MONTHS.get(month, 31))


RULES: Mapping[str, RegisteredRule] = {
    "custom:character_reverse": RegisteredRule(character_reverse),
    "custom:csv_city": RegisteredRule(csv_city),
    "custom:csv_quotes": RegisteredRule(csv_quotes),
    "custom:csv_special_character": RegisteredRule(csv_special_character),
    "custom:date_format_list": RegisteredRule(date_format_list),
    "custom:european_capitals_sort": RegisteredRule(european_capitals_sort),
    "custom:mcq_count_length": RegisteredRule(mcq_count_length),
    "custom:multiples": RegisteredRule(multiples),
    "custom:reverse_newline": RegisteredRule(reverse_newline),
    "custom:sentence_alphabet": RegisteredRule(sentence_alphabet),
    "custom:word_reverse": RegisteredRule(word_reverse),
}
"""Each rule by its official name."""
