"""How it is laid out: the group ``format``."""

from __future__ import annotations

import itertools
import re
import string
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from rtt.rule_schemas.ifbench.form import Options, Separator
from rtt.rule_schemas.schema import NoArguments
from rtt.verdicts import Outcome, Span
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, counted, offending, present, whole
from rtt.verifiers.rules.ifbench.text import PUNCTUATION, TRIMMED, Word, bare, chunks, word_tokens
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import sentences, stripped


def emoji(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each sentence ends with an emoji.

    Official behaviour: Punkt's sentences, which an emoji after the full stop does not belong to: so the last two
    characters of a sentence count, and the first of the next, ASCII punctuation aside. A sentence of punctuation alone
    violates.

    Evidence, satisfied: these emoji support. Violated: each sentence without one violates.
    """
    found = sentences(text, deadline)
    bodies = [[at for at in range(*bounds) if text[at] not in PUNCTUATION] for bounds in found]
    bodies = [_trim_blanks(text, body) for body in bodies]
    met: list[Bounds] = []
    wrong: list[Bounds] = []
    for index, (bounds, body) in enumerate(zip(found, bodies, strict=True)):
        following = bodies[index + 1][:1] if index + 1 < len(found) else []
        near = [at for at in (*body[-2:], *following) if _is_emoji(text[at])] if body else []
        if near:
            met += [(at, at + 1) for at in near]
        else:
            wrong.append(bounds)
    if wrong:
        return offending(wrong, f"{len(wrong)} of {len(found)} sentences do not end with an emoji")
    return present(met, "each sentence ends with an emoji")


def _trim_blanks(text: str, places: list[int]) -> list[int]:
    """Without blanks at both ends."""
    start, end = 0, len(places)
    while start < end and text[places[start]].isspace():
        start += 1
    while end > start and text[places[end - 1]].isspace():
        end -= 1
    return places[start:end]


def _is_emoji(character: str) -> bool:
    from emoji import is_emoji

    return bool(is_emoji(character))


def line_indent(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each line is indented further than the one before.

    Official behaviour: spaces are counted, and blank lines are passed over; but of several in a row every second one
    is not, for the check takes lines out of the list that it goes through.

    Evidence, satisfied: the whole response. Violated: the lines that are not indented further violate.
    """
    return indented(text, _without_blank_lines(text, deadline), " ", deadline)


def indented(text: str, lines: Sequence[Bounds], blanks: str, deadline: Deadline) -> Finding:
    """The finding on these lines, each with more of these blanks at its start than the one before."""
    wrong = []
    before = -1
    for first, last in lines:
        deadline.remaining()
        indent = last - first - len(text[first:last].lstrip(blanks))
        if indent <= before:
            wrong.append((first, last) if last > first else (max(first - 1, 0), first))
        before = indent
    if wrong:
        return offending(wrong, f"{len(wrong)} of {len(lines)} lines are not indented further than the one before")
    return whole(True, f"{len(lines)} lines, each indented further")


def _without_blank_lines(text: str, deadline: Deadline) -> list[Bounds]:
    """The lines that the official check keeps: it removes blank ones from the list that it goes through.

    So the line after a removed one is not looked at, and of equal blank lines the first that is left is removed.
    """
    kept: list[Bounds | None] = []
    blank: dict[str, deque[int]] = {}  # by their text, the places in `kept` of blank lines that were not looked at
    start = 0
    looked_at = True
    for line in text.split("\n"):
        deadline.remaining()
        bounds = (start, start + len(line))
        start += len(line) + 1
        if looked_at and not line.strip():
            looked_at = False
            if not blank.get(line):
                continue
            kept[blank[line].popleft()] = None  # and this one stays in its stead
        else:
            looked_at = True
        if not line.strip():
            blank.setdefault(line, deque()).append(len(kept))
        kept.append(bounds)
    return [bounds for bounds in kept if bounds is not None]


def list_(text: str, arguments: Separator, deadline: Deadline) -> Finding:
    """A list whose items begin with a sign of its own.

    Official behaviour: the sign anywhere, twice.

    Evidence: each sign supports, in both verdicts; violated, something is missing.
    """
    found = [match.span() for match in re.finditer(re.escape(arguments.sep), text)]
    return counted(found, "at least", 2, f"signs {arguments.sep!r}")


def newline(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each word on a line of its own.

    Official behaviour: ASCII punctuation is taken out; there must be as many lines that are not empty as words, so that
    a line of blanks makes up for one of two words.

    Evidence, satisfied: the whole response. Violated: the words after the first of a line violate, and lines of blanks;
    delete them and the verdict turns.
    """
    start = 0
    lines: list[tuple[Bounds, list[Word]]] = []
    for line in text.split("\n"):
        end = start + len(line)
        if bare(line):
            words = [word for word in chunks(text, deadline, start, end) if bare(word.text)]
            lines.append(((start, end), words))
        start = end + 1
    while lines and not lines[0][1]:
        del lines[0]
    while lines and not lines[-1][1]:
        del lines[-1]
    count = sum(len(words) for _, words in lines)
    reason = f"{count} words on {len(lines)} lines"
    if len(lines) == count:
        return whole(True, reason)
    extra = [(words[0].end, words[-1].end) for _, words in lines if len(words) > 1]
    empty = [bounds for bounds, words in lines if not words]
    return offending([*extra, *empty], reason)


def no_bullets_bullets(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """At least two sentences, then at least two bullet points with ``*``.

    Official behaviour: line by line; sentences are Punkt's, with or without a full stop. After the first bullet, or
    after a blank line, any line that is no bullet violates, a blank one at the end too.

    Evidence, satisfied: the bullets' asterisks support. Violated: the first line that must not be there violates; with
    too few sentences or bullets something is missing, and those that are there support.
    """
    counting = True
    said: list[Bounds] = []
    bullets: list[Bounds] = []
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        lead = start + len(line) - len(line.lstrip())
        if text.startswith("*", lead, end):
            counting = False
            if len(said) < 2:
                return absent(f"{len(said)} sentences before the first bullet, expected at least 2", said)
            bullets.append((lead, lead + 1))
        elif counting:
            found = sentences(line.strip(), deadline)
            said += [(lead + first, lead + last) for first, last in found]
            counting = bool(found)
        else:
            place = (start, end) if line else (max(start - 1, 0), max(start, 1))
            return offending([place], "a line that is no bullet after a bullet or a blank line")
        start = end + 1
    if len(bullets) >= 2:
        return present(bullets, f"{len(said)} sentences and {len(bullets)} bullets")
    return absent(f"{len(bullets)} bullets, expected at least 2", [*said, *bullets])


def no_whitespace(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """No white space.

    Official behaviour: as it says; a line end is white space too.

    Evidence, satisfied: the whole response. Violated: each blank violates; delete them all and the verdict turns.
    """
    found = [match.span() for match in re.finditer(r"\s+", text)]
    return offending(found, f"{len(found)} runs of blanks") if found else whole(True, "no white space")


_LETTERED = re.compile(r"\W*[aA]\W*[bB]\W*[cC]\W*")


def options(text: str, arguments: Options, deadline: Deadline) -> Finding:
    """One of the options, and nothing else.

    Official behaviour: the options are divided by ``/``, else by ``or`` (inside words too), else by commas. Case and
    ASCII punctuation at the ends are ignored, unless they look like "a), b), c)": then the response is an option to the
    letter.

    Evidence, satisfied: the response supports. Violated: the whole response.
    """
    given = arguments.options
    separator = "/" if "/" in given else "or" if "or" in given else ","
    choices = [choice.strip() for choice in given.split(separator)]
    if _LETTERED.match(given) is not None:
        chosen = text in choices
    else:
        chosen = text.strip(TRIMMED).lower() in {choice.strip(TRIMMED).lower() for choice in choices}
    if chosen:
        return present([stripped(text)], "one of the options")
    return whole(False, f"the response is none of {choices}")


_MARKERS = ("My Answer:", "My Conclusion:", "Future Outlook:")


def output_template(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The template's three headings.

    Official behaviour: anywhere, in any order.

    Evidence: each heading supports, in both verdicts; violated, something is missing.
    """
    found = [match.span() for match in re.finditer("|".join(_MARKERS), text)]
    lacking = [marker for marker in _MARKERS if marker not in text]
    if lacking:
        return absent(f"{' and '.join(map(repr, lacking))} missing", found)
    return present(found, "the three headings are there")


_CLOSES = {"(": ")", "[": "]", "{": "}"}
_DEPTH = 5


def parentheses(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Brackets at least 5 levels deep.

    Official behaviour: round, square and curly ones; a bracket that closes another than the last one begins anew. The
    innermost one must be closed, those around it need not.

    Evidence, satisfied: the brackets around the innermost one support, and those that close them. Violated: something
    is missing.
    """
    met: list[Bounds] = []
    levels: list[int] = []
    deepest = most = 0
    for at, character in enumerate(text):
        if character in _CLOSES:
            levels.append(at)
            deepest = max(deepest, len(levels))
            most = max(most, deepest)
        elif character in ")]}":
            if levels and _CLOSES[text[levels[-1]]] == character:
                opened = levels.pop()
                if deepest >= _DEPTH:
                    met += [(opened, opened + 1), (at, at + 1), *((place, place + 1) for place in levels[-_DEPTH:])]
            else:
                levels, deepest = [], 0
    if met:
        return present(set(met), "brackets at least 5 levels deep")
    return absent(f"brackets are {most} levels deep, expected at least {_DEPTH} and closed")


def quotes(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Quotes within quotes within quotes.

    Official behaviour: each straight quotation mark that is not the innermost open one opens another level, apostrophes
    too; three levels must close.

    Evidence, satisfied: the marks up to the third that closes support. Violated: something is missing.
    """
    levels: list[str] = []
    marks: list[Bounds] = []
    reached = 0
    for at, character in enumerate(text):
        if character not in "\"'":
            continue
        marks.append((at, at + 1))
        if levels and levels[-1] == character:
            levels.pop()
            if reached - len(levels) >= 3:
                return present(marks, "quotes are three levels deep")
        else:
            levels.append(character)
            reached = max(reached, len(levels))
    return absent(f"quotes reach level {reached} and do not close from 3")


def quote_unquote(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each quoted phrase is followed by an explanation.

    Official behaviour: two straight double quotation marks must not stand next to each other, blanks aside, nor may one
    stand at the end, digits and other punctuation aside. ``'"'`` is passed over, curly marks are none.

    Evidence, satisfied: the whole response. Violated: these marks violate; delete them and the verdict turns.
    """
    kept: list[int] = []
    at = 0
    while at < len(text):
        deadline.remaining()
        if text.startswith("'\"'", at):
            at += 3
            continue
        if not text[at].isspace():
            kept.append(at)
        at += 1
    read = "".join(text[place] for place in kept)
    wrong = {place for at in _all(read, '""') for place in (kept[at], kept[at + 1])}
    end = len(read.rstrip(_NO_QUOTES))
    while end and read[end - 1] == '"':
        wrong.add(kept[end - 1])
        end = len(read[: end - 1].rstrip(_NO_QUOTES))
    if not wrong:
        return whole(True, "each quoted phrase is followed by words")
    places = ((place, place + 1) for place in wrong)
    return offending(places, "quotation marks with nothing between them, or at the end")


_NO_QUOTES = string.digits + string.punctuation.replace('"', "")


def _all(text: str, part: str) -> list[int]:
    """Where ``part`` stands, overlapping ones too."""
    found = []
    at = text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def sub_bullets(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Bullet points with ``*``, each with a sub-bullet with ``-``.

    Official behaviour: between each asterisk and the next one, or the end, there is a hyphen: bold type counts as
    bullets, hyphenated words as sub-bullets, and a response without asterisks satisfies.

    Evidence, satisfied: the hyphens after asterisks support; without an asterisk, the whole response. Violated: each
    asterisk without a hyphen violates; delete them and the verdict turns.
    """
    bullets = _all(text, "*")
    wrong = []
    for at, following in itertools.pairwise([*bullets, len(text)]):
        if text.find("-", at, following) < 0:
            wrong.append((at, at + 1))
    if wrong:
        return offending(wrong, f"{len(wrong)} of {len(bullets)} asterisks have no hyphen after them")
    hyphens = [(at, at + 1) for at in _all(text, "-") if bullets and at > bullets[0]]
    return present(hyphens, f"{len(bullets)} asterisks, each with a hyphen after it")


def thesis(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Sections begin with a thesis in italics, in HTML.

    Official behaviour: one pair of ``<i>`` and ``</i>`` (or ``<em>``) with text in it, and text after it.

    Evidence, satisfied: the thesis with its tags supports, and further opening tags. Violated: something is missing.
    """
    start = text.find("<i>")
    if start < 0:
        start = text.find("<em>")
    if start < 0:
        return absent("no <i> or <em>")
    end = text.find("</i>", start)
    if end < 0:
        end = text.find("</em>", start)
    if end < 0:
        return absent("the italics do not end")
    if not text[start + 3 : end].strip():
        return absent("nothing is in italics")
    if not text[end + 4 :].strip():
        return absent("no text after the thesis", [(start, end + 4)])
    tags = [match.span() for match in re.finditer("<i>|<em>", text)]
    return present([(start, end + 4), *tags], "a thesis in italics")


def title_case(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Title case.

    Official behaviour: NLTK's tokens that start with a letter; one in small letters violates, and one of a small letter
    and capitals; articles and prepositions are not excepted, words of mixed case are not looked at.

    Evidence, satisfied: the whole response. Violated: each of these words violates; capitalise them and the verdict
    turns.
    """
    return titled(word for word in word_tokens(text, deadline) if is_untitled(word.text))


def titled(untitled: Iterable[Word]) -> Finding:
    """The finding on the words that are not in title case."""
    wrong = list(untitled)
    if not wrong:
        return whole(True, "all words are in title case")
    shown = wrong[0].text[:40]
    return offending((word.bounds for word in wrong), f"{len(wrong)} words not in title case, such as {shown!r}")


def is_untitled(word: str) -> bool:
    """Whether it begins with a small letter, and is not of mixed case."""
    first, rest = word[:1], word[1:]
    if not first.isalpha() or not first.islower():
        return False
    return not rest or rest.islower() or rest.isupper()


def capitalised(text: str, span: Span, outcome: Outcome) -> str:
    """With a capital; a small letter without one goes, and its word with it."""
    word = text[span.start : span.end]
    upper = word[:1].upper() + word[1:]
    return "" if is_untitled(upper) else upper


RULES: Mapping[str, RegisteredRule] = {
    "format:emoji": RegisteredRule(emoji),
    "format:line_indent": RegisteredRule(line_indent),
    "format:list": RegisteredRule(list_),
    "format:newline": RegisteredRule(newline),
    "format:no_bullets_bullets": RegisteredRule(no_bullets_bullets),
    "format:no_whitespace": RegisteredRule(no_whitespace),
    "format:options": RegisteredRule(options),
    "format:output_template": RegisteredRule(output_template),
    "format:parentheses": RegisteredRule(parentheses),
    "format:quote_unquote": RegisteredRule(quote_unquote),
    "format:quotes": RegisteredRule(quotes),
    "format:sub-bullets": RegisteredRule(sub_bullets),
    "format:thesis": RegisteredRule(thesis),
    "format:title_case": RegisteredRule(title_case, capitalised),
}
"""Each rule by its official name."""
