"""Text as the rules read it: lower case with its way back, patterns from data, sentences, capital words.

All functions give offsets in code points of the text they were handed, and take time linear in its length (a pattern
from data may not: it gets a deadline). Sentence and word boundaries are those of NLTK 3.9.1, which the public IFEval
verdicts rest on, whatever version of NLTK is installed: newer ones split at other places.
"""

from __future__ import annotations

import functools
import itertools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import regex

from rtt.errors import VerifierError
from rtt.verifiers.rules.findings import Bounds, Deadline

WORD = re.compile(r"\w+")
"""A word as ``length_constraints:number_words`` counts it."""

NOT_BLANK = re.compile(r"\S")
NOT_BLANK_RUN = re.compile(r"\S+")


def stripped(text: str) -> Bounds:
    """Where ``text.strip()`` lies in ``text``."""
    start = len(text) - len(text.lstrip())
    return start, max(start, len(text.rstrip()))


def lowered(text: str) -> tuple[str, Sequence[int]]:
    """``text.lower()``, and for each of its characters (and its end) the index in ``text`` where it comes from.

    Lower case can be longer than the text: "İ" becomes two characters.
    """
    lower = text.lower()
    if len(lower) == len(text):
        return lower, range(len(text) + 1)
    origin = [index for index, character in enumerate(text) for _ in character.lower()]
    return lower, [*origin, len(text)]


def raised(bounds: Bounds, origin: Sequence[int]) -> Bounds:
    """Bounds in ``text.lower()`` as bounds in ``text``, whole characters."""
    start, end = bounds
    return (origin[start], origin[end - 1] + 1) if start < end else (origin[start], origin[start])


# ---------------------------------------------------------------------------------------------- patterns from data


class Pattern:
    """A regular expression that came with the data, searched under a deadline.

    IFEval hands keywords to Python's ``re``. Those without quantifiers, groups and classes (nearly all of them) are
    searched by ``re`` itself, in linear time. The others could take for ever there: they are searched by the ``regex``
    package, which reads the same syntax and can be stopped.

    Args:
        source: the expression.
        before, after: an expression of our own around it.
        ignore_case: whether capital and small letters are the same.
        multiline: whether ``^`` and ``$`` match at every line.

    Attributes:
        groups: how many groups the expression has.

    Raises:
        VerifierError: the expression is not valid.
    """

    __slots__ = ("_plain", "_timed", "groups")

    def __init__(self, source: str, before: str, after: str, *, ignore_case: bool, multiline: bool) -> None:
        self._plain: re.Pattern[str] | None = None
        self._timed: Any = None
        try:
            if _NEEDS_DEADLINE.search(source) is None:
                flags = (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if multiline else 0)
                self._plain = re.compile(before + source + after, flags)
            else:
                flags = (regex.IGNORECASE if ignore_case else 0) | (regex.MULTILINE if multiline else 0)
                self._timed = regex.compile(before + _STRAY_BRACE.sub(r"\1\\{", source) + after, regex.V0 | flags)
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            shown = source if len(source) <= 80 else f"{source[:77]}..."
            raise VerifierError(f"{shown!r} is not a valid regular expression: {error}") from None
        self.groups: int = (self._plain or self._timed).groups

    def find(self, text: str, deadline: Deadline) -> list[Bounds]:
        """All matches, in order, not overlapping.

        Raises:
            VerifierError: the deadline passed.
        """
        if self._plain is not None:
            return [match.span() for match in self._plain.finditer(text)]
        try:
            return [match.span() for match in self._timed.finditer(text, timeout=deadline.remaining())]
        except TimeoutError:
            raise deadline.exceeded() from None


_NEEDS_DEADLINE = re.compile(r"[*+?{}\[\]()|]|\\[^bB.,'\"!/&:;#@ -]")
# The regex package knows "{e<=1}" (approximate matching) and takes "{name}" for it; for re such a brace is a brace.
_STRAY_BRACE = re.compile(r"(?<!\\)((?:\\\\)*)\{(?!\d+(?:,\d*)?\}|,\d*\})")


@functools.lru_cache(maxsize=4096)
def pattern(
    source: str, before: str = "", after: str = "", *, ignore_case: bool = True, multiline: bool = False
) -> Pattern:
    """The compiled pattern, from a cache; see :class:`Pattern`."""
    return Pattern(source, before, after, ignore_case=ignore_case, multiline=multiline)


# -------------------------------------------------------------------------------------------------------- sentences


def sentences(text: str, deadline: Deadline) -> list[Bounds]:
    """Where the sentences lie: Punkt with its published English parameters and NLTK 3.9.1's punctuation classes.

    Those of the last few texts are remembered: a rubric asks more than one rule about the same response.

    Raises:
        VerifierError: the deadline passed.
    """
    global _SPLITTER
    if _SPLITTER is None:
        with _SPLITTER_LOCK:
            _SPLITTER = _SPLITTER or _load_splitter()
        deadline.restart()
    known = remembered(text)
    if "sentences" not in known:
        known["sentences"] = list(_SPLITTER(deadline).span_tokenize(text))
    return list(known["sentences"])


@functools.lru_cache(maxsize=32)
def remembered(text: str) -> dict[str, Any]:
    """What was found out about a text and takes long, by name; of the last few texts."""
    return {}


class _Counts(dict[str, int]):
    """Zero for what is not there, without keeping it: a ``defaultdict`` would grow with every word ever read."""

    def __missing__(self, key: str) -> int:
        return 0


_SPLITTER: Callable[[Deadline], Any] | None = None
_SPLITTER_LOCK = threading.Lock()


def _load_splitter() -> Callable[[Deadline], Any]:
    # NLTK takes half a second to import: only who counts sentences pays it.
    import punkt
    from nltk.tokenize.punkt import PunktLanguageVars, PunktParameters, PunktSentenceTokenizer

    class LanguageVars(PunktLanguageVars):  # type: ignore[misc]
        """Since 3.10.2 NLTK counts curly quotes among these characters, and finds more sentences."""

        __slots__ = ()

        re_boundary_realignment = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
        _re_word_start = r"[^\(\"`{\[:;&#*@)}\]\-,]"
        _re_non_word_chars = r"(?:[)\";}\]*:@'({\[?!])"
        _re_multi_char_punct = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"

        def _word_tokenizer_re(self) -> re.Pattern[str]:
            return tokens

        def period_context_re(self) -> re.Pattern[str]:
            return contexts

    names = {
        "NonWord": LanguageVars._re_non_word_chars,
        "MultiChar": LanguageVars._re_multi_char_punct,
        "WordStart": LanguageVars._re_word_start,
        "SentEndChars": r"[.?!]",
    }
    tokens = re.compile(LanguageVars._word_tokenize_fmt % names, re.VERBOSE)
    contexts = re.compile(LanguageVars._period_context_fmt % names, re.VERBOSE)
    language = LanguageVars()

    model = punkt.load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types = set(model.abbrev_types)
    parameters.collocations = set(model.collocations)
    parameters.sent_starters = set(model.sent_starters)
    parameters.ortho_context = _Counts(model.ortho_context)

    class Splitter(PunktSentenceTokenizer):  # type: ignore[misc]
        """One text's: it asks the deadline at each place where a sentence may end."""

        def __init__(self, deadline: Deadline) -> None:
            super().__init__(lang_vars=language)
            self._params = parameters
            self._deadline = deadline

        def text_contains_sentbreak(self, text: str) -> bool:
            self._deadline.remaining()
            return bool(super().text_contains_sentbreak(text))

    return Splitter


# ---------------------------------------------------------------------------------------------------- capital words


def capital_words(text: str, deadline: Deadline) -> list[Bounds]:
    """The words that are written in capital letters, as NLTK 3.9.1's ``word_tokenize`` cuts words.

    A word runs to the next blank or separator (quotation marks, brackets, ``;@#$%&?!*``, dots in a row, ``--``, a
    comma or colon that no digit follows). Single dots and hyphens belong to it: "U.S.A" and "WELL-KNOWN" are one word.
    Endings such as "'S" and "N'T" and the halves of "CANNOT" are words of their own: "DON'T" counts twice.
    It is capital when it has a capital letter and no other cased ones, so that "I" and "A" count.
    """
    found: list[Bounds] = []
    ends: frozenset[int] | None = None
    for chunk in NOT_BLANK_RUN.finditer(text):
        body = chunk.group()
        if not _has_capital(body):
            continue
        deadline.remaining()
        start, end = chunk.span()
        if body.isalpha() and body.lower() not in _CONTRACTED:
            if body.isupper():
                found.append((start, end))
            continue
        if ("'" in body and ("." in body or body.count("'") > 1)) or "wanna." in body.lower():
            # Whether "DON'T." is one word or two depends on whether the sentence ends there.
            if ends is None:
                ends = frozenset(end for _, end in sentences(text, deadline))
            cuts = [cut for cut in range(start + 1, end) if cut in ends]
        else:
            cuts = []
        for part_start, part_end in zip([start, *cuts], [*cuts, end], strict=True):
            final = ends is not None and part_end in ends
            words = _words(text, part_start, part_end, final)
            for word in words:
                deadline.remaining()
                if text[slice(*word)].isupper():
                    found.append(_trimmed(text, word))
    return sorted(found)


_SEPARATOR = re.compile(r"[«“‘„»”’`\"?!*;@#$%&()\[\]{}<>]|''|--|\.{2,}|[:,](?!\d)")
_QUOTE_BEFORE_LETTER = re.compile(r"'(?=(?![mtsdn])\w\b)", re.IGNORECASE)
_FINAL_PERIOD = re.compile(r"(?<=[^.])\.'*$")
_CLOSERS = "])}>\"'»”’"
_SPACED_EARLY = frozenset(":,;@#$%&?!.«“‘„`")
_FIRST_ENDING = re.compile(r"(?<=[^'])(?:'[sSmMdD]|')$")
_SECOND_ENDING = re.compile(r"(?<=[^'])(?:'ll|'LL|'re|'RE|'ve|'VE|n't|N'T)$")
_CONTRACTED = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})
_CONTRACTION = re.compile(r"\b(?:(can)not|(d)'ye|(gim)me|(gon)na|(got)ta|(lem)me|(more)'n)\b|\b(wan)na$", re.IGNORECASE)
_TIS = re.compile(r"('t)(?:is|was)\b", re.IGNORECASE)


def _has_capital(body: str) -> bool:
    return body != body.lower() if body.isascii() else any(character.isupper() for character in body)


def _words(text: str, start: int, end: int, final: bool) -> Iterator[Bounds]:
    """The words of ``text[start:end]``, which has no blanks and, if ``final``, ends a sentence."""
    position = start
    for separator in _SEPARATOR.finditer(text, start, end):
        yield from _endings(text, position, separator.start(), end, final)
        position = separator.end()
    yield from _endings(text, position, end, end, final)


def _endings(text: str, start: int, end: int, part_end: int, final: bool) -> Iterator[Bounds]:
    if "'" not in text[start:end] and not (final and text[end - 1 : end] == "."):
        yield from _halves(text, start, end)
        return
    cuts = [match.end() for match in _QUOTE_BEFORE_LETTER.finditer(text, start, part_end) if match.end() < end]
    for piece_start, piece_end in zip([start, *cuts], [*cuts, end], strict=True):
        piece = text[piece_start:piece_end]
        spaced_early = (
            piece_end < end or text[piece_end : piece_end + 1] in _SPACED_EARLY or (piece_end == part_end and not final)
        )
        if final and not text[piece_end:part_end].strip(_CLOSERS):
            period = _FINAL_PERIOD.search(piece)
            if period is not None:
                piece, spaced_early = piece[: period.start()], True
        if spaced_early and piece.endswith("'") and not piece.endswith("''") and len(piece) > 1:
            piece = piece[:-1]
        for pattern in (_FIRST_ENDING, _SECOND_ENDING):
            ending = pattern.search(piece)
            if ending is not None:
                yield piece_start + ending.start(), piece_start + ending.end()
                piece = piece[: ending.start()]
        yield from _halves(text, piece_start, piece_start + len(piece))


def _halves(text: str, start: int, end: int) -> Iterator[Bounds]:
    word = text[start:end]
    cuts = {0, len(word)}
    for half in _CONTRACTION.finditer(word):
        cuts.update((half.start(), half.end(half.lastindex or 0), half.end()))
    for cut in sorted(cuts)[:-1]:
        tis = _TIS.match(word, cut)
        if tis is not None:
            cuts.update((tis.end(1), tis.end()))
    for left, right in itertools.pairwise(sorted(cuts)):
        yield start + left, start + right


def bare_word(text: str, bounds: Bounds) -> Bounds:
    """The bounds without what is neither letter nor digit at either end; may be empty."""
    start, end = bounds
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end


def _trimmed(text: str, bounds: Bounds) -> Bounds:
    """The word without what stands before its first and after its last letter or digit; all of it without any."""
    start, end = bare_word(text, bounds)
    return (start, end) if start < end else bounds
