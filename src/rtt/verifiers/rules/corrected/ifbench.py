"""What IFBench's instructions ask for: the corrected checks of its rules."""

from __future__ import annotations

import datetime
import itertools
import re
from collections import Counter
from collections.abc import Mapping

from rtt.rule_schemas.corrected import WordSpan
from rtt.rule_schemas.ifbench.counting import (
    AtLeast,
    ExactNumber,
    KeywordsMultiple,
    Overlap,
    RepeatChange,
    SmallNumber,
    StopWords,
    WordCountRange,
    WordsPosition,
)
from rtt.rule_schemas.ifbench.form import Options, Separator
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.corrected.text import at_line_starts, bullets, last_sign, sentences_of, words
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, counted, offending, present, whole
from rtt.verifiers.rules.ifbench import count, custom, format, ratio, repeat
from rtt.verifiers.rules.ifbench.text import TRIMMED, bare_words, chunks, only, trimmed, word_set
from rtt.verifiers.rules.muldimif.text import lines_of, occurrences
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import bare_word, sentences, stripped

# --------------------------------------------------------------------------------------------------------------- count


def conjunctions(text: str, arguments: SmallNumber, deadline: Deadline) -> Finding:
    """At least so many different coordinating conjunctions; "and", "And" and "and," are one.

    Evidence: each conjunction supports, in both verdicts; violated, something is missing.
    """
    return count.conjunctions_that_differ(text, arguments, deadline, lambda word: trimmed(word).text.lower())


def keywords_multiple(text: str, arguments: KeywordsMultiple, deadline: Deadline) -> Finding:
    """Five keywords as words of their own, once, twice, three, five and seven times.

    Evidence: as the official rule's.
    """
    return count.keywords_often(text, arguments, deadline, occurrences)


_NUMBER = re.compile(r"(?<!\w)\d+(?:[.,]\d+)*")


def numbers(text: str, arguments: ExactNumber, deadline: Deadline) -> Finding:
    """Exactly N numbers: "1,000" and "3.14" are one each, "1-2" is two, "H2O" has none.

    Evidence: as the official rule's.
    """
    return count.exactly_so_many([match.span() for match in _NUMBER.finditer(text)], arguments.N)


def unique_word_count(text: str, arguments: AtLeast, deadline: Deadline) -> Finding:
    """At least N different words, whatever their case; signs alone are none.

    Evidence, satisfied: the whole response. Violated: something is missing, and all that is there supports.
    """
    different = {text[slice(*bare_word(text, bounds))].lower() for bounds in words(text, deadline)}
    reason = f"{len(different)} different words, expected at least {arguments.N}"
    return whole(True, reason) if len(different) >= arguments.N else absent(reason, [stripped(text)])


def word_count_range(text: str, arguments: WordCountRange, deadline: Deadline) -> Finding:
    """The number of words, divided by blanks, is in a range: "don't" is one.

    Evidence: as the official rule's.
    """
    return count.words_in_range(text, words(text, deadline), arguments)


# --------------------------------------------------------------------------------------------------------------- ratio


def _endings(text: str, deadline: Deadline) -> Counter[str]:
    """How the sentences end, closing quotation marks and emphasis aside."""
    return Counter(text[last_sign(text, bounds)] for bounds in sentences_of(text, deadline))


def sentence_type(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Twice as many declarative sentences as questions, of which there is one at least.

    Evidence: the whole response, in both verdicts; without a question, something is missing.
    """
    ends = _endings(text, deadline)
    reason = f"{ends['.']} declarative sentences and {ends['?']} questions"
    if not ends["?"]:
        return whole(False, reason, missing=True)
    return whole(ends["."] == 2 * ends["?"], reason)


def sentence_balance(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """As many sentences that end with ``.`` as with ``?`` and with ``!``, and one of each at least.

    Evidence: the whole response, in both verdicts; without one of them, something is missing.
    """
    ends = _endings(text, deadline)
    counts = [ends[mark] for mark in ".?!"]
    reason = f"sentences that end with . ? !: {counts[0]}, {counts[1]}, {counts[2]}"
    if not all(counts):
        return whole(False, reason, missing=True)
    return whole(len(set(counts)) == 1, reason)


def sentence_words(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Three sentences of the same number of characters, in which no word comes twice.

    Evidence: as the official rule's; where that is satisfied, each word that was there before violates.
    """
    finding = ratio.sentence_words(text, arguments, deadline)
    if not finding.satisfied:
        return finding
    seen: set[str] = set()
    again: list[Bounds] = []
    for bounds in words(text, deadline):
        place = bare_word(text, bounds)
        word = text[slice(*place)].lower()
        if word in seen:
            again.append(place)
        seen.add(word)
    if again:
        return offending(again, f"{len(again)} words come again, such as {text[slice(*again[0])][:40]!r}")
    return whole(True, f"{finding.reason}, all words different")


_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def stop_words(text: str, arguments: StopWords, deadline: Deadline) -> Finding:
    """Stop words are at most so many percent of the words: "don't" is one word, and "cat's" is no stop word.

    Evidence: as the official rule's.
    """
    return ratio.stop_word_share(text, _WORD, arguments.percentage, deadline)


def overlap(text: str, arguments: Overlap, deadline: Deadline) -> Finding:
    """So many percent of the response's runs of three words, give or take 2, are those of a reference text.

    Case and signs at the ends of words are ignored, and each run counts once.

    Evidence: the whole response, in both verdicts.
    """
    own, reference = (_trigrams(part, deadline) for part in (text, arguments.reference_text))
    return ratio.shared(own, reference, arguments.percentage, "words")


def _trigrams(text: str, deadline: Deadline) -> set[tuple[str, ...]]:
    found = [text[slice(*bare_word(text, bounds))].lower() for bounds in words(text, deadline)]
    return set(zip(found, found[1:], found[2:], strict=False))


# -------------------------------------------------------------------------------------------------------------- repeat


def repeat_change(text: str, arguments: RepeatChange, deadline: Deadline) -> Finding:
    """The request with another first word, and nothing else; another case or sign does not make it another.

    Evidence: as the official rule's.
    """
    finding = repeat.repeat_change(text, arguments, deadline)
    if not finding.satisfied:
        return finding
    first, wanted = next(chunks(text, deadline)), next(chunks(arguments.prompt_to_repeat, deadline))
    if trimmed(first).text.lower() == trimmed(wanted).text.lower():
        return offending([first.bounds], "the first word is not changed")
    return finding


def repeat_span(text: str, arguments: WordSpan, deadline: Deadline) -> Finding:
    """A span of the request, by its first and its last word, from 0, and nothing else.

    Evidence: see :func:`rtt.verifiers.rules.ifbench.text.only`.
    """
    wanted = " ".join(arguments.prompt_to_repeat.split()[arguments.n_start : arguments.n_end + 1])
    return only(text, wanted, f"the span {wanted[:40]!r}")


# --------------------------------------------------------------------------------------------------------------- words

_CLUSTER = re.compile("[bcdfghjklmnpqrstvwxyz]{2}", re.IGNORECASE)


def consonants(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each word has two consonants in a row; bullets, dashes and numbers are no words.

    Evidence, satisfied: the whole response. Violated: each word without violates; delete them and the verdict turns.
    """
    found = [word for word in chunks(text, deadline) if any(map(str.isalpha, word.text))]
    wrong = [word for word in found if _CLUSTER.search(word.text) is None]
    if wrong:
        shown = f"{len(wrong)} of {len(found)} words, such as {wrong[0].text[:40]!r}"
        return offending([word.bounds for word in wrong], f"no consonant cluster: {shown}")
    if not found:
        return whole(False, "no words", missing=True)
    return whole(True, "each word has a consonant cluster")


def palindrome(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """At least 10 different palindromes of at least 5 letters.

    Evidence: each palindrome supports, in both verdicts; violated, something is missing.
    """
    found = []
    for word in bare_words(text, deadline):
        letters = word.text.lower()
        if len(letters) >= 5 and letters.isalpha() and letters == letters[::-1]:
            found.append(word._replace(text=letters))
    different = len({word.text for word in found})
    return counted([word.bounds for word in found], "at least", 10, "different palindromes", different)


def words_position(text: str, arguments: WordsPosition, deadline: Deadline) -> Finding:
    """A keyword is the second word and the last but one; signs are no words.

    Evidence: the words in the two places, which support or violate; where there are none, something is missing.
    """
    found = [bare_word(text, bounds) for bounds in words(text, deadline)]
    if len(found) < 2:
        return absent(f"{len(found)} words, too few")
    keyword = arguments.keyword.strip().lower()
    places = [found[1], found[-2]]
    wrong = [bounds for bounds in places if text[slice(*bounds)].lower() != keyword]
    second, last = (text[slice(*bounds)][:40] for bounds in places)
    reason = f"the second word is {second!r}, the last but one {last!r}"
    return offending(wrong, reason) if wrong else present(places, reason)


def last_first(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The last word of each sentence is the first of the next, of a sentence of one word too; signs are no words.

    Sentences are Punkt's alone: lines without a full stop are no sentences of their own here.

    Evidence: as the official rule's.
    """
    found: list[tuple[Bounds, Bounds]] = []
    for start, end in sentences(text, deadline):
        own = [bare_word(text, (start + first, start + last)) for first, last in words(text[start:end], deadline)]
        found += [(own[0], own[-1])] if own else []
    met: list[Bounds] = []
    wrong: list[Bounds] = []
    for (_, last), (first, _) in itertools.pairwise(found):
        if text[slice(*last)].lower() == text[slice(*first)].lower():
            met += [last, first]
        else:
            wrong.append(first)
    if wrong:
        return offending(wrong, f"{len(wrong)} of {len(found) - 1} sentences do not take up the last word before them")
    return present(met, "each sentence takes up the last word before it")


# -------------------------------------------------------------------------------------------------------------- format

_SEVERAL = re.compile("[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")


def emoji(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each sentence ends with an emoji: flags and keycaps, of several characters that are none alone, are some too.

    Evidence: as the official rule's.
    """
    return format.emoji(_SEVERAL.sub(lambda match: "😀" * len(match[0]), text), arguments, deadline)


def line_indent(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each line is indented further than the one before, by spaces or tabs; blank lines do not count.

    Evidence: as the official rule's.
    """
    lines = [bounds for bounds in lines_of(text) if text[slice(*bounds)].strip()]
    return format.indented(text, lines, " \t", deadline)


def list_(text: str, arguments: Separator, deadline: Deadline) -> Finding:
    """A list: at least two lines begin with the sign.

    Evidence: each sign at the start of a line supports, in both verdicts; violated, something is missing.
    """
    found = at_line_starts(text, re.escape(arguments.sep.strip()), r"[^\S\n]")
    return counted(found, "at least", 2, f"lines that begin with {arguments.sep!r}")


def newline(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each word on a line of its own; blank lines, and signs that are no words, do not count.

    Evidence, satisfied: the whole response. Violated: the words after the first of a line violate; delete them and the
    verdict turns.
    """
    extra: list[Bounds] = []
    number = 0
    for start, end in lines_of(text):
        found = list(bare_words(text, deadline, start, end))
        number += len(found)
        if len(found) > 1:
            extra.append((found[0].end, found[-1].end))
    reason = f"{number} words, {len(extra)} lines with more than one"
    return offending(extra, reason) if extra else whole(True, reason)


def no_bullets_bullets(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """At least two sentences, then at least two bullet points with ``*``; bold type and blank lines are fine.

    Evidence, satisfied: the bullets' asterisks support. Violated: something is missing; what there is of sentences
    before the first bullet, and of bullets, supports.
    """
    points = bullets(text, "*", deadline)
    first = points[0][0] if points else len(text)
    said = [bounds for bounds in sentences_of(text, deadline) if bounds[1] <= first]
    reason = f"{len(said)} sentences before {len(points)} bullets, expected at least 2 of both"
    return present(points, reason) if len(said) >= 2 and len(points) >= 2 else absent(reason, [*said, *points])


_OR = re.compile(r"\s*,\s*(?:or\s+)?|\s+or\s+", re.IGNORECASE)


def options(text: str, arguments: Options, deadline: Deadline) -> Finding:
    """One of the options, and nothing else: they are divided by ``/``, else by commas and by "or" as a word.

    Case and ASCII punctuation at the ends are ignored.

    Evidence, satisfied: the response supports. Violated: the whole response.
    """
    given = arguments.options
    parts = given.split("/") if "/" in given else _OR.split(given)
    choices = [choice for choice in (_plain(part) for part in parts) if choice]
    if _plain(text) in choices:
        return present([stripped(text)], "one of the options")
    return whole(False, f"the response is none of {choices}")


def _plain(option: str) -> str:
    return option.strip().strip(TRIMMED).strip().lower()


_MARKERS = ("My Answer:", "My Conclusion:", "Future Outlook:")


def output_template(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The template's three headings, in their order.

    Evidence: each heading that comes after those before it supports, in both verdicts; violated, something is missing.
    """
    found: list[Bounds] = []
    at = 0
    for marker in _MARKERS:
        start = text.find(marker, at)
        if start < 0:
            return absent(f"{marker!r} is missing, or not in its place", found)
        at = start + len(marker)
        found.append((start, at))
    return present(found, "the three headings are there")


_CLOSES = {"(": ")", "[": "]", "{": "}"}
_DEPTH = 5


def parentheses(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Brackets at least 5 levels deep, all of which close.

    Evidence, satisfied: these brackets support. Violated: something is missing.
    """
    levels: list[tuple[int, int]] = []  # where a bracket opens, and how deep the pairs within it are
    met: list[Bounds] = []
    deepest = 0
    for at, character in enumerate(text):
        if character in _CLOSES:
            levels.append((at, 0))
        elif character in ")]}":
            if not levels or _CLOSES[text[levels[-1][0]]] != character:
                levels = []
                continue
            opened, within = levels.pop()
            deepest = max(deepest, within + 1)
            if levels:
                levels[-1] = (levels[-1][0], max(levels[-1][1], within + 1))
            if within + 1 >= _DEPTH:
                met += [(opened, opened + 1), (at, at + 1)]
    if met:
        return present(met, "brackets at least 5 levels deep")
    return absent(f"brackets are {deepest} levels deep, expected at least {_DEPTH}")


_STRAIGHT = str.maketrans("“”‘’", "\"\"''")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")


def quote_unquote(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each quoted phrase is followed by an explanation; curly quotation marks are some too.

    Evidence: as the official rule's.
    """
    return format.quote_unquote(text.translate(_STRAIGHT), arguments, deadline)


def quotes(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Quotes within quotes within quotes, with straight marks or curly ones; an apostrophe within a word is none.

    Evidence: as the official rule's.
    """
    return format.quotes(_APOSTROPHE.sub("`", text).translate(_STRAIGHT), arguments, deadline)


def sub_bullets(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Bullet points with ``*``, each with a sub-bullet with ``-`` before the next; bold type and hyphens are none.

    Evidence, satisfied: the sub-bullets' markers support. Violated: each bullet without a sub-bullet violates, which is
    missing; without a bullet, something is missing.
    """
    points, below = bullets(text, "*", deadline), bullets(text, "-", deadline)
    if not points:
        return absent("no bullet points with *", below)
    met: list[Bounds] = []
    wrong: list[Bounds] = []
    left = iter(below)
    hyphen = next(left, None)
    for point, (following, _) in itertools.pairwise([*points, (len(text), len(text))]):
        own = []
        while hyphen is not None and hyphen[0] < following:
            own += [hyphen] * (hyphen[0] > point[0])
            hyphen = next(left, None)
        met += own
        wrong += [] if own else [point]
    if wrong:
        return offending(wrong, f"{len(wrong)} of {len(points)} bullet points have no sub-bullet", missing=True)
    return present(met, f"{len(points)} bullet points, each with a sub-bullet")


_SMALL = word_set(
    "a an the and but or nor for so yet as at by in of off on per to up via vs from into onto over with than if"
)


def title_case(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Title case: articles, conjunctions and short prepositions may be small, but for the first and the last word.

    "Don't" is one word; words of mixed case ("iPhone"), and letters without a capital, are not looked at.

    Evidence: as the official rule's.
    """
    found = [word for word in map(trimmed, chunks(text, deadline)) if word.text]
    ends = {found[0].start, found[-1].start} if found else set()
    small = [word for word in found if format.is_untitled(word.text) and word.text[0] != word.text[0].upper()]
    return format.titled(word for word in small if word.text not in _SMALL or word.start in ends)


# -------------------------------------------------------------------------------------------------------------- custom

# What the lookahead took is never tried otherwise, as in a possessive group, which is wrong before Python 3.11.5.
_QUOTED = re.compile(r'(?:^|,)"(?=((?:[^"]++|"")*))\1"', re.MULTILINE)
_SPECIAL = re.compile(r"[^\w\s]")


def csv_special_character(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """CSV of 14 rows, one field with a special character in double quotation marks; all rows have five fields.

    Evidence: the whole response, in both verdicts.
    """
    body = text.strip()
    named = custom.csv_head(body, "ProductID Category Brand Price Stock", ",[ \t]*")
    finding = custom.five_columns(custom.csv_rows(body), 15, named)
    if not finding.satisfied:
        return finding
    if any(_SPECIAL.search(field[1]) for field in _QUOTED.finditer(body)):
        return whole(True, "a field with a special character in quotation marks")
    return whole(False, "no field with a special character in quotation marks", missing=True)


def date_format_list(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Dates in the form YYYY-MM-DD, divided by commas: real days of the years of Napoleon's life (1769 to 1821).

    Evidence: as the official rule's.
    """
    return custom.dates(text, _is_date)


def _is_date(text: str) -> bool:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        return False
    try:
        return 1769 <= datetime.date.fromisoformat(text).year <= 1821
    except ValueError:
        return False


_BEFORE_KYIV = custom.CAPITALS.index("Prague")
_CAPITALS = (*custom.CAPITALS[:_BEFORE_KYIV], "Kyiv", *custom.CAPITALS[_BEFORE_KYIV:])
_OTHER_NAMES = {"kiev": "kyiv", "berne": "bern", "luxembourg city": "luxembourg", "kishinev": "chisinau"}


def european_capitals_sort(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The 28 capitals of Europe north of 45 degrees, Kyiv among them, from north to south.

    Accents, case and a full stop at the end are ignored, and a second name of a city will do.

    Evidence: the whole response, in both verdicts.
    """
    parts = (part.strip().lower() for part in custom.without_accents(text.strip().removesuffix(".")).split(","))
    named = [_OTHER_NAMES.get(part, part) for part in parts if part]
    if len(named) != len(_CAPITALS):
        return whole(False, f"{len(named)} names, expected {len(_CAPITALS)}")
    for name, wanted in zip(named, _CAPITALS, strict=True):
        if name != wanted.lower():
            return whole(False, f"{name[:40]!r} where {wanted!r} is expected")
    return whole(True, "the capitals from north to south")


RULES: Mapping[str, RegisteredRule] = {
    "rtt:count:conjunctions": RegisteredRule(conjunctions),
    "rtt:count:keywords_multiple": RegisteredRule(keywords_multiple),
    "rtt:count:numbers": RegisteredRule(numbers),
    "rtt:count:unique_word_count": RegisteredRule(unique_word_count),
    "rtt:count:word_count_range": RegisteredRule(word_count_range),
    "rtt:ratio:overlap": RegisteredRule(overlap),
    "rtt:ratio:sentence_balance": RegisteredRule(sentence_balance),
    "rtt:ratio:sentence_type": RegisteredRule(sentence_type),
    "rtt:ratio:sentence_words": RegisteredRule(sentence_words),
    "rtt:ratio:stop_words": RegisteredRule(stop_words),
    "rtt:repeat:repeat_change": RegisteredRule(repeat_change),
    "rtt:repeat:repeat_span": RegisteredRule(repeat_span),
    "rtt:words:consonants": RegisteredRule(consonants),
    "rtt:words:last_first": RegisteredRule(last_first),
    "rtt:words:palindrome": RegisteredRule(palindrome),
    "rtt:words:words_position": RegisteredRule(words_position),
    "rtt:format:emoji": RegisteredRule(emoji),
    "rtt:format:line_indent": RegisteredRule(line_indent),
    "rtt:format:list": RegisteredRule(list_),
    "rtt:format:newline": RegisteredRule(newline),
    "rtt:format:no_bullets_bullets": RegisteredRule(no_bullets_bullets),
    "rtt:format:options": RegisteredRule(options),
    "rtt:format:output_template": RegisteredRule(output_template),
    "rtt:format:parentheses": RegisteredRule(parentheses),
    "rtt:format:quote_unquote": RegisteredRule(quote_unquote),
    "rtt:format:quotes": RegisteredRule(quotes),
    "rtt:format:sub-bullets": RegisteredRule(sub_bullets),
    "rtt:format:title_case": RegisteredRule(title_case, format.capitalised),
    "rtt:custom:csv_special_character": RegisteredRule(csv_special_character),
    "rtt:custom:date_format_list": RegisteredRule(date_format_list),
    "rtt:custom:european_capitals_sort": RegisteredRule(european_capitals_sort),
}
"""Each rule by its name, the family included."""
