"""What IFEval's instructions ask for: the corrected checks of its rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from rtt.errors import VerifierError
from rtt.rule_schemas.ifeval import (
    OPTIONS,
    CapitalWordFrequency,
    EndChecker,
    Existence,
    ForbiddenWords,
    Frequency,
    MultipleSections,
    NthParagraphFirstWord,
    NumberBulletLists,
    NumberHighlightedSections,
    NumberParagraphs,
    NumberPlaceholders,
    NumberSentences,
    NumberWords,
    Postscript,
    ResponseLanguage,
)
from rtt.rule_schemas.schema import NoArguments
from rtt.verdicts import Outcome, Span
from rtt.verifiers.rules.corrected.text import (
    CLOSERS,
    at_line_starts,
    bullets,
    first_word,
    limited,
    paragraphs_of,
    sentences_of,
    words,
)
from rtt.verifiers.rules.findings import (
    Bounds,
    Deadline,
    Finding,
    absent,
    counted,
    exactly,
    located,
    offending,
    present,
    whole,
)
from rtt.verifiers.rules.ifeval import case
from rtt.verifiers.rules.ifeval.language import detect, name
from rtt.verifiers.rules.ifeval.layout import MAX_DEPTH, nesting, not_json
from rtt.verifiers.rules.ifeval.length import divided, nth_first_word
from rtt.verifiers.rules.muldimif.text import occurrences
from rtt.verifiers.rules.registered import RegisteredRule, capitalised, lowercased, marked, wrapped
from rtt.verifiers.rules.text import stripped

# ------------------------------------------------------------------------------------------------------------ keywords


def existence(text: str, arguments: Existence, deadline: Deadline) -> Finding:
    """Each keyword occurs as a word of its own, or several in a row, whatever its case. Chinese: anywhere.

    Evidence: as the official rule's.
    """
    places = {keyword: occurrences(keyword.strip(), text, deadline) for keyword in arguments.keywords}
    found = [place for some in places.values() for place in some]
    lacking = [keyword for keyword, some in places.items() if not some]
    if lacking:
        return absent(f"not found: {', '.join(map(repr, lacking))}", found)
    return present(found, f"found: {', '.join(map(repr, places))}")


def frequency(text: str, arguments: Frequency, deadline: Deadline) -> Finding:
    """The keyword occurs as a word of its own at least, or fewer than, n times.

    Evidence: as the official rule's.
    """
    keyword = arguments.keyword.strip()
    found = occurrences(keyword, text, deadline)
    return counted(found, arguments.relation, arguments.frequency, f"occurrences of {keyword!r}")


def forbidden_words(text: str, arguments: ForbiddenWords, deadline: Deadline) -> Finding:
    """None of the words occurs as a word of its own; a word may begin and end with any sign ("C#", "C++").

    Evidence: as the official rule's.
    """
    places = {word: occurrences(word.strip(), text, deadline) for word in arguments.forbidden_words}
    words_there = [word for word, some in places.items() if some]
    if words_there:
        found = [place for some in places.values() for place in some]
        return offending(found, f"found: {', '.join(map(repr, words_there))}")
    return whole(True, "none of the forbidden words occurs")


# ------------------------------------------------------------------------------------------------------------ language


def response_language(text: str, arguments: ResponseLanguage, deadline: Deadline) -> Finding:
    """The response is in the language; undetermined where none can be detected.

    Evidence: the whole response, in both verdicts.
    """
    return _in_language(text, arguments.language)


def _in_language(text: str, language: str) -> Finding:
    detected = detect(text)
    if detected in (None, "unknown"):
        raise VerifierError("no language can be detected in the response")
    return whole(detected == language, f"detected {name(str(detected))}, expected {name(language)}")


def english_capital(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The response is in English, in capital letters only; undetermined where no language can be detected.

    The detector reads the response in small letters, which it knows better.

    Evidence: as the official rule's.
    """
    return _in_language(text.lower(), "en") if text.isupper() else case.english_capital(text, arguments, deadline)


def english_lowercase(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The response is in English, in small letters only; undetermined where no language can be detected.

    Evidence: as the official rule's.
    """
    return _in_language(text, "en") if text.islower() else case.english_lowercase(text, arguments, deadline)


def capital_word_frequency(text: str, arguments: CapitalWordFrequency, deadline: Deadline) -> Finding:
    """At least, or fewer than, n words in capital letters only, of two letters or more: "DON'T" is one, "I" is none.

    Evidence: as the official rule's.
    """
    found = [
        bounds
        for bounds in words(text, deadline)
        if text[slice(*bounds)].isupper() and sum(map(str.isalpha, text[slice(*bounds)])) > 1
    ]
    return counted(found, arguments.capital_relation, arguments.capital_frequency, "words in capital letters")


# -------------------------------------------------------------------------------------------------------------- length


def number_words(text: str, arguments: NumberWords, deadline: Deadline) -> Finding:
    """The response has at least, or fewer than, n words, divided by blanks: "don't" is one, "-" is none.

    Evidence: see :func:`rtt.verifiers.rules.corrected.text.limited`.
    """
    return limited(text, words(text, deadline), arguments.relation, arguments.num_words, "words")


def number_sentences(text: str, arguments: NumberSentences, deadline: Deadline) -> Finding:
    """The response has at least, or fewer than, n sentences; headings and items of lists are sentences too.

    Evidence: see :func:`rtt.verifiers.rules.corrected.text.limited`.
    """
    return limited(text, sentences_of(text, deadline), arguments.relation, arguments.num_sentences, "sentences")


_DIVIDER = re.compile(r"^[^\S\n]*+\*\*\*[^\S\n]*+$", re.MULTILINE)


def number_paragraphs(text: str, arguments: NumberParagraphs, deadline: Deadline) -> Finding:
    """The response has exactly n paragraphs between dividers ``***``, each on a line of its own.

    Evidence: as the official rule's.
    """
    return divided(text, [match.span() for match in _DIVIDER.finditer(text)], arguments.num_paragraphs)


def nth_paragraph_first_word(text: str, arguments: NthParagraphFirstWord, deadline: Deadline) -> Finding:
    """The response has exactly n paragraphs, and the k-th starts with the word.

    Paragraphs lie between blank lines, and blank ones do not count anywhere. Signs around the word (emphasis, quotation
    marks) are ignored, those within it are not.

    Evidence: as the official rule's.
    """
    return nth_first_word(text, paragraphs_of(text), arguments, first_word)


# ------------------------------------------------------------------------------------------------------------- content

_PLACEHOLDER = re.compile(r"\[[^\]\n]*\]")
_CHECKBOX = re.compile(r"[^\S\n]*(?:[-*+]|\d{1,3}[.)])[^\S\n]+\[[xX]\]")


def number_placeholders(text: str, arguments: NumberPlaceholders, deadline: Deadline) -> Finding:
    """At least n placeholders in square brackets, with a letter in them: no links, checkboxes or numbers of notes.

    Evidence: each placeholder supports, in both verdicts; violated, something is missing.
    """
    found: list[Bounds] = []
    start = 0
    for line in text.split("\n"):
        deadline.remaining()
        checkbox = _CHECKBOX.match(line)
        at = 0 if checkbox is None else checkbox.end()
        if "]" in line:
            found += [
                (start + match.start(), start + match.end())
                for match in _PLACEHOLDER.finditer(line, at, line.rindex("]") + 1)
                if any(map(str.isalpha, match[0])) and not line.startswith("(", match.end())
            ]
        start += len(line) + 1
    return counted(found, "at least", arguments.num_placeholders, "placeholders such as [address]")


def postscript(text: str, arguments: Postscript, deadline: Deadline) -> Finding:
    """A line that starts with the marker of a postscript, after other words; case and blanks in it are ignored.

    Evidence, satisfied: the markers support; delete them and the verdict turns. Violated: something is missing.
    """
    marker = arguments.postscript_marker.strip()
    letters = re.escape(marker.removesuffix(".")).replace(r"\.", r"\.[^\S\n]?")
    last = r"(?!\w)" if marker[-1].isalnum() or marker.endswith(".") else ""
    body = next((match.start() for match in re.finditer(r"[^\W_]", text)), len(text))
    places = at_line_starts(text, f"(?i:{letters})" + r"\.?" * marker.endswith(".") + last)
    found = [bounds for bounds in places if bounds[0] > body]
    return present(found, f"a postscript {marker!r}") if found else absent(f"no postscript {marker!r}")


# -------------------------------------------------------------------------------------------------------------- layout


def number_bullet_lists(text: str, arguments: NumberBulletLists, deadline: Deadline) -> Finding:
    """Exactly n bullet points: lines of ``*``, ``-`` or ``+``, a blank, and text.

    Evidence: as the official rule's.
    """
    found = bullets(text, "*-+", deadline)
    return exactly(found, arguments.num_bullets, f"{len(found)} bullet points, expected {arguments.num_bullets}")


_OPTION = re.compile("|".join(re.escape(option) for option in OPTIONS))


def constrained_response(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The response is one of the three answers, and nothing else.

    Evidence, satisfied: the answer supports. Violated: what stands around the first of these answers violates; delete
    it and the verdict turns. Without one, something is missing.
    """
    start, end = stripped(text)
    answer = _OPTION.search(text)
    if answer is None:
        return absent("none of the allowed answers")
    if answer.span() == (start, end):
        return present([answer.span()], f"the answer {answer[0]!r}")
    return offending([(start, answer.start()), (answer.end(), end)], f"more than the answer {answer[0]!r}")


_HIGHLIGHT = re.compile(r"(?<![\w*\\])(\*{1,3})(?![\s*])[^*\n]+(?<!\s)\1(?![\w*])")


def number_highlighted_sections(text: str, arguments: NumberHighlightedSections, deadline: Deadline) -> Finding:
    """At least n sections in markdown emphasis, ``*so*``, ``**so**`` or ``***so***``: no blanks beside the asterisks.

    Evidence: each highlighted section supports, in both verdicts; violated, something is missing.
    """
    found = [match.span() for match in _HIGHLIGHT.finditer(text)]
    return counted(found, "at least", arguments.num_highlights, "highlighted sections")


def multiple_sections(text: str, arguments: MultipleSections, deadline: Deadline) -> Finding:
    """Exactly n sections, each begun by a line that starts with the splitter and a number.

    Evidence is these beginnings: satisfied, they support; too few, they support and something is missing; too many,
    those after the n-th violate; delete them and the verdict turns.
    """
    splitter = arguments.section_spliter.strip()
    found = at_line_starts(text, rf"{re.escape(splitter)}[^\S\n]?\d+")
    number = arguments.num_sections
    return exactly(found, number, f'headings such as "{splitter} 1": {len(found)}, expected {number}')


_FENCE = re.compile(r"```(?:json)?(?![^\s\[{])", re.IGNORECASE)
_NO_NUMBER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?Infinity|NaN', re.DOTALL)


def json_format(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The whole response is a JSON object or list, in a markdown fence that opens and closes or in none.

    ``NaN`` and ``Infinity`` are no JSON. Nested deeper than the parser can follow, the verdict is undetermined.

    Evidence: as the official rule's; an unpaired fence violates, and so do numbers that are none.
    """
    start, end = stripped(text)
    opens = _FENCE.match(text, start, end)
    closes = text.endswith("```", start, end) and end - 3 >= (start if opens is None else opens.end())
    if (opens is not None) != closes:
        return offending([(end - 3, end) if opens is None else opens.span()], "the code fence does not open and close")
    if opens is not None:
        start, end = opens.end(), end - 3
    left, right = stripped(text[start:end])
    offset, value = start + left, text[start + left : start + right]
    if nesting(value) > MAX_DEPTH:
        raise VerifierError(f"lists and objects are nested more than {MAX_DEPTH} deep; the parser cannot follow")
    try:
        data = json.loads(value)
    except json.JSONDecodeError as error:
        return not_json(value, offset, error)
    except ValueError as error:  # a whole number with more digits than Python converts
        return whole(False, f"not JSON: {error}")
    if not isinstance(data, dict | list):
        return whole(False, "a bare value, expected an object or a list")
    none = [match for match in _NO_NUMBER.finditer(value) if match[0][0] != '"']
    if none:
        return offending([(offset + m.start(), offset + m.end()) for m in none], f"not JSON: {none[0][0]}")
    return whole(True, "valid JSON")


_TITLE = re.compile(r"(?<!\w)<<(?=[^\s<>])[^<>\n]*(?<=[^\s<])>>(?!\w)")


def title(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """A title in double angular brackets, without blanks beside them: ``cout << a; cin >> b`` has none.

    Evidence, satisfied: each title supports; delete them all and the verdict turns. Violated: something is missing.
    """
    found = [match.span() for match in _TITLE.finditer(text)]
    return present(found, "a title in <<angular brackets>>") if found else absent("no title in <<angular brackets>>")


# ---------------------------------------------------------------------------------------------------------------- ends


def end_checker(text: str, arguments: EndChecker, deadline: Deadline) -> Finding:
    """The response ends with the phrase, and not with a longer word: "weekend" does not end with "end".

    Closing quotation marks, curly ones too, brackets and emphasis after the phrase are ignored, and case.

    Evidence: as the official rule's.
    """
    phrase = arguments.end_phrase.strip()
    found = occurrences(phrase, text, deadline)
    last: list[Bounds] = []
    end = len(text)
    for start, stop in reversed(found):
        if text[stop:end].strip(CLOSERS + " \t\r\n"):
            break
        last.append((start, stop))
        end = start
    if last:
        return present(last, f"ends with {phrase!r}")
    if not found:
        return absent(f"{phrase!r} is not there")
    return offending([(found[-1][1], stripped(text)[1])], f"goes on after {phrase!r}")


_CLOSING = {'"': '"', "“": "”"}


def quotation(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The whole response stands in one pair of double quotation marks, straight or curly.

    Quotations within it are allowed; a quotation that ends before the response does is not the whole. A straight mark
    opens if a blank, a bracket or a dash stands before it and something behind, else it closes.

    Evidence: as the official rule's. If the quotation ends too early, the marks within the response violate; delete
    them and the verdict turns.
    """
    start, end = stripped(text)
    opens, closes = text[start], text[end - 1]
    if opens not in _CLOSING or closes != _CLOSING[opens] or end - start == 1:
        marks = [(start, start + 1)] if opens in _CLOSING else []
        if closes in _CLOSING.values() and not (marks and (end - start == 1 or closes != _CLOSING[opens])):
            marks.append((end - 1, end))
        wrong = [bounds for bounds in ((start, start + 1), (end - 1, end)) if bounds not in marks]
        evidence = sorted((*located(marks, "support"), *located(wrong, "violation")))
        return Finding(False, "not wrapped in double quotation marks", tuple(evidence), missing=True)
    inner = [at for at in range(start + 1, end - 1) if text[at] in (opens, closes)]
    depth = 1
    for at in inner:
        before, after = text[at - 1], text[at + 1]
        opening = text[at] == "“" or (
            text[at] == '"' and (before.isspace() or before in '([{—–"') and not after.isspace()
        )
        depth += 1 if opening else -1
        if not depth:
            break
    if depth != 1:
        return offending([(at, at + 1) for at in inner], "the quotation ends before the response does")
    return present([(start, start + 1), (end - 1, end)], "wrapped in quotation marks")


def _requoted(text: str, span: Span, outcome: Outcome) -> str:
    """Nothing in place of a mark within the response; see :func:`wrapped`."""
    inside = bool(text[: span.start].strip() and text[span.end :].strip())
    return "" if inside else wrapped(text, span, outcome)


RULES: Mapping[str, RegisteredRule] = {
    "rtt:keywords:existence": RegisteredRule(existence),
    "rtt:keywords:frequency": RegisteredRule(frequency),
    "rtt:keywords:forbidden_words": RegisteredRule(forbidden_words),
    "rtt:language:response_language": RegisteredRule(response_language),
    "rtt:length_constraints:number_words": RegisteredRule(number_words),
    "rtt:length_constraints:number_sentences": RegisteredRule(number_sentences),
    "rtt:length_constraints:number_paragraphs": RegisteredRule(number_paragraphs),
    "rtt:length_constraints:nth_paragraph_first_word": RegisteredRule(nth_paragraph_first_word),
    "rtt:detectable_content:number_placeholders": RegisteredRule(number_placeholders),
    "rtt:detectable_content:postscript": RegisteredRule(postscript),
    "rtt:detectable_format:number_bullet_lists": RegisteredRule(number_bullet_lists, marked),
    "rtt:detectable_format:constrained_response": RegisteredRule(constrained_response),
    "rtt:detectable_format:number_highlighted_sections": RegisteredRule(number_highlighted_sections),
    "rtt:detectable_format:multiple_sections": RegisteredRule(multiple_sections),
    "rtt:detectable_format:json_format": RegisteredRule(json_format),
    "rtt:detectable_format:title": RegisteredRule(title),
    "rtt:startend:end_checker": RegisteredRule(end_checker),
    "rtt:startend:quotation": RegisteredRule(quotation, _requoted),
    "rtt:change_case:capital_word_frequency": RegisteredRule(capital_word_frequency),
    "rtt:change_case:english_capital": RegisteredRule(english_capital, capitalised),
    "rtt:change_case:english_lowercase": RegisteredRule(english_lowercase, lowercased),
}
"""Each rule by its name, the family included."""
