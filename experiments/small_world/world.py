"""The world: a language of 24 words, 13 kinds of criteria, and for each verdict the tokens that carry it.

    write       the language itself      -> tokens [N T]: sentences of words, each word's class allowed after the last
    Facts       what is true of a text   -> the arguments with which each kind of criterion holds of it
    draw        texts                    -> Prompts [P K]; one text meets all criteria of a prompt, so none is absurd
    judge       tokens and prompts       -> Judged: verdicts [B K], the evidence of each [B K T] and what kind it is
    relevance   Judged                   -> [B K T], by the table of ``rtt.relevance.evidence``

Axes are B responses, K criteria, T tokens. Everything is exact: verdicts are computed, never estimated.

    token   0 padding · 1 end of the response · 2 full stop · 4..27 words, class (token - 4) // 6 · 28..31 the classes'
            names, which appear in criteria only
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PAD, END, STOP, FIRST_WORD, CLASSES, PER_CLASS = 0, 1, 2, 4, 4, 6
WORDS = CLASSES * PER_CLASS
FIRST_CLASS = FIRST_WORD + WORDS
TOKENS = FIRST_CLASS
"""How many tokens a response may hold: all but the classes' names."""
ARGUMENTS = FIRST_CLASS + CLASSES
"""How many values an argument may have: tokens, classes and small numbers."""


@dataclass(frozen=True)
class Scale:
    """How long texts are, and with them the numbers that criteria name; ranges are (least, most).

    Attributes:
        length: T, the longest response with its end.
        sentences: of a text.
        words: of a sentence.
        few: the largest limit on the words of a class.
        repeats: the largest number of times that a word may be asked for.
        at_most: limits on the words of a response.
        at_least: demands for words.
        width, layers: of the policy.
    """

    length: int
    sentences: tuple[int, int]
    words: tuple[int, int]
    few: int
    repeats: int
    at_most: tuple[int, int]
    at_least: tuple[int, int]
    width: int
    layers: int


SHORT = Scale(24, (2, 4), (2, 7), 3, 3, (6, 12), (11, 16), width=64, layers=2)
LONG = Scale(48, (3, 6), (3, 8), 6, 5, (12, 24), (24, 31), width=96, layers=3)
"""Twice the tokens and three times the parameters."""

LENGTH = SHORT.length
"""T of short texts."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

SPANS, WHOLE, MISSING = 0, 1, 2
"""Kinds of evidence: these tokens; the response as a whole; something is not there, and these tokens are progress."""

_FOLLOWERS = ((1, 2), (2, 3), (3, 0), (0, 1))
"""The classes that may follow each class within a sentence."""
_FREQUENCY = np.array([0.34, 0.22, 0.16, 0.12, 0.09, 0.07])
"""Of the words of a class."""


def write(number: int, rng: np.random.Generator, scale: Scale = SHORT) -> Ints:
    """Texts of the language, [N T], cut at a full stop to fit."""
    length = scale.length
    words = np.zeros((number, length), dtype=np.int64)
    within = rng.choice(PER_CLASS, size=(number, length), p=_FREQUENCY)
    turn = rng.integers(0, 2, size=(number, length))
    start = rng.integers(0, CLASSES, size=(number, length))
    lengths = rng.integers(scale.words[0], scale.words[1] + 1, size=(number, scale.sentences[1]))
    sentences = rng.integers(scale.sentences[0], scale.sentences[1] + 1, size=number)
    for i in range(number):
        t = 0
        for sentence in range(sentences[i]):
            if t + lengths[i, sentence] + 2 > length:
                break
            kind = start[i, t]
            for _ in range(lengths[i, sentence]):
                words[i, t] = FIRST_WORD + kind * PER_CLASS + within[i, t]
                kind = _FOLLOWERS[kind][turn[i, t]]
                t += 1
            words[i, t] = STOP
            t += 1
        words[i, t] = END
    return words


def keeps_grammar(tokens: Ints) -> float:
    """The share of neighbouring words whose classes may follow each other; nothing rewards it. NaN without any."""
    first, second = tokens[:, :-1], tokens[:, 1:]
    both = (first >= FIRST_WORD) & (second >= FIRST_WORD)
    if not both.any():
        return float("nan")
    kinds, nexts = (first[both] - FIRST_WORD) // PER_CLASS, (second[both] - FIRST_WORD) // PER_CLASS
    return float(np.isin(nexts * CLASSES + kinds, [b * CLASSES + a for a in range(4) for b in _FOLLOWERS[a]]).mean())


# --------------------------------------------------------------------------------- what each kind decides


@dataclass(frozen=True)
class Text:
    """Rows of tokens [R T] and what every kind asks of them."""

    tokens: Ints

    @property
    def words(self) -> Bools:
        """[R T], true on words."""
        return self.tokens >= FIRST_WORD

    @property
    def kinds(self) -> Ints:
        """[R T], the class of each word as a criterion names it; 0 elsewhere."""
        return np.where(self.words, FIRST_CLASS + (self.tokens - FIRST_WORD) // PER_CLASS, 0)


Decision = tuple[Bools, Bools, Ints]
"""Satisfied [R], evidence [R T], kind of evidence [R]."""


def _found_or_missing(found: Bools) -> Decision:
    satisfied = found.any(axis=1)
    return satisfied, found, np.where(satisfied, SPANS, MISSING)


def _one_place(text: Text, place: Bools, wanted: Ints) -> Decision:
    """The token at one place is the wanted one; where the place is not there, it is missing."""
    satisfied = (place & (text.tokens == wanted[:, None])).any(axis=1)
    return satisfied, place, np.where(place.any(axis=1), SPANS, MISSING)


def _at_least(found: Bools, least: Ints) -> Decision:
    satisfied = found.sum(axis=1) >= least
    return satisfied, found, np.where(satisfied, SPANS, MISSING)


def _at_most(found: Bools, most: Ints) -> Decision:
    surplus = found & (found.cumsum(axis=1) > most[:, None])
    satisfied = ~surplus.any(axis=1)
    return satisfied, surplus, np.where(satisfied, WHOLE, SPANS)


def _include(text: Text, a: Ints, b: Ints) -> Decision:
    return _found_or_missing(text.tokens == a[:, None])


def _pair(text: Text, a: Ints, b: Ints) -> Decision:
    starts = np.zeros_like(text.words)
    starts[:, :-1] = (text.tokens[:, :-1] == a[:, None]) & (text.tokens[:, 1:] == b[:, None])
    both = starts.copy()
    both[:, 1:] |= starts[:, :-1]
    return _found_or_missing(both)


def _first(text: Text, a: Ints, b: Ints) -> Decision:
    place = np.zeros_like(text.words)
    place[:, 0] = True
    return _one_place(text, place, a)


def _last(text: Text, a: Ints, b: Ints) -> Decision:
    after = text.words[:, ::-1].cumsum(axis=1)[:, ::-1]  # words from here on
    return _one_place(text, text.words & (after == 1), a)


def _second(text: Text, a: Ints, b: Ints) -> Decision:
    before = (text.tokens == STOP).cumsum(axis=1)
    inside = text.words & (before == 1)
    return _one_place(text, inside & (inside.cumsum(axis=1) == 1), a)


def _repeat(text: Text, a: Ints, b: Ints) -> Decision:
    return _at_least(text.tokens == a[:, None], b)


def _few_of_class(text: Text, a: Ints, b: Ints) -> Decision:
    return _at_most(text.kinds == a[:, None], b)


def _sentences(text: Text, a: Ints, b: Ints) -> Decision:
    stops = text.tokens == STOP
    number = stops.sum(axis=1)
    surplus = stops & (stops.cumsum(axis=1) > b[:, None])
    evidence = np.where((number > b)[:, None], surplus, stops)
    return number == b, evidence, np.where(number < b, MISSING, SPANS)


def _avoid(text: Text, a: Ints, b: Ints) -> Decision:
    return _at_most(text.tokens == a[:, None], np.zeros_like(a))


def _avoid_class(text: Text, a: Ints, b: Ints) -> Decision:
    return _at_most(text.kinds == a[:, None], np.zeros_like(a))


def _shorter(text: Text, a: Ints, b: Ints) -> Decision:
    return _at_most(text.words, b)


def _longer(text: Text, a: Ints, b: Ints) -> Decision:
    satisfied = text.words.sum(axis=1) >= b
    own = text.tokens != PAD
    progress = own & (text.tokens != END)  # all of a response that is too short is progress, but that it ended
    ended = (text.tokens == END).any(axis=1)
    whole = np.where(satisfied[:, None], own, progress)
    return satisfied, whole, np.where(satisfied | ~ended, WHOLE, MISSING)


def _majority(text: Text, a: Ints, b: Ints) -> Decision:
    counts = np.stack([(text.kinds == FIRST_CLASS + kind).sum(axis=1) for kind in range(CLASSES)], axis=1)
    own = counts[np.arange(len(a)), np.clip(a - FIRST_CLASS, 0, CLASSES - 1)]
    satisfied = (own > 0) & ((counts >= own[:, None]).sum(axis=1) == 1)
    return satisfied, text.tokens != PAD, np.full(len(a), WHOLE)


@dataclass(frozen=True)
class Kind:
    """A kind of criterion: its class, how it decides, and whether policies are trained on it."""

    name: str
    family: str
    decide: Callable[[Text, Ints, Ints], Decision]
    held_out: bool = False


KINDS: tuple[Kind, ...] = (
    Kind("include a word", "local", _include),
    Kind("include a pair", "local", _pair, held_out=True),
    Kind("first word", "positional", _first),
    Kind("last word", "positional", _last),
    Kind("second sentence's first word", "positional", _second, held_out=True),
    Kind("a word at least n times", "counting", _repeat),
    Kind("at most n of a class", "counting", _few_of_class),
    Kind("exactly n sentences", "counting", _sentences),
    Kind("avoid a word", "omission", _avoid),
    Kind("avoid a class", "omission", _avoid_class, held_out=True),
    Kind("at most n words", "global", _shorter),
    Kind("at least n words", "global", _longer),
    Kind("most words of a class", "global", _majority),
)
FAMILIES = ("local", "positional", "counting", "omission", "global")
FAMILY_OF = np.array([FAMILIES.index(kind.family) for kind in KINDS])
EXACT = next(index for index, kind in enumerate(KINDS) if kind.name == "exactly n sentences")
TRAINED = tuple(index for index, kind in enumerate(KINDS) if not kind.held_out)
NO_KIND = len(KINDS)
"""Stands where a prompt has fewer criteria than K."""


# --------------------------------------------------------------------------------- prompts and verdicts


@dataclass(frozen=True)
class Prompts:
    """P prompts of up to K criteria: the kind of each and its two arguments, [P K] each."""

    kinds: Ints
    a: Ints
    b: Ints

    def __len__(self) -> int:
        return len(self.kinds)

    def repeat(self, times: int) -> Prompts:
        """Each prompt ``times`` times in a row."""
        return Prompts(*(np.repeat(part, times, axis=0) for part in (self.kinds, self.a, self.b)))

    def take(self, index: Ints | slice) -> Prompts:
        """Some of the prompts."""
        return Prompts(self.kinds[index], self.a[index], self.b[index])

    def without(self, k: int) -> Prompts:
        """The prompts with criterion k left out."""
        kinds = self.kinds.copy()
        kinds[:, k] = NO_KIND
        return Prompts(kinds, np.where(kinds == NO_KIND, 0, self.a), np.where(kinds == NO_KIND, 0, self.b))


@dataclass(frozen=True)
class Judged:
    """Verdicts with their evidence.

    Attributes:
        verdicts: [B K], +1, -1, or 0 where there is no criterion.
        evidence: [B K T], the tokens that carry the verdict, or the progress made where something is missing.
        kind: [B K], SPANS, WHOLE or MISSING.
        own: [B T], the response's own tokens, its end included.
        end: [B T], the token on which it ended.
    """

    verdicts: npt.NDArray[np.int8]
    evidence: Bools
    kind: Ints
    own: Bools
    end: Bools


def judge(tokens: Ints, prompts: Prompts) -> Judged:
    """Decide each criterion of prompt i on response i; a response may lack its end, where it was cut off."""
    b, k = prompts.kinds.shape
    verdicts = np.zeros((b, k), dtype=np.int8)
    evidence = np.zeros((b, k, tokens.shape[1]), dtype=bool)
    kinds = np.zeros((b, k), dtype=np.int64)
    for index, kind in enumerate(KINDS):
        i, j = np.nonzero(prompts.kinds == index)
        if len(i):
            satisfied, found, how = kind.decide(Text(tokens[i]), prompts.a[i, j], prompts.b[i, j])
            verdicts[i, j], evidence[i, j], kinds[i, j] = np.where(satisfied, 1, -1), found, how
    own = tokens != PAD
    last = np.arange(tokens.shape[1]) == own.sum(axis=1, keepdims=True) - 1
    return Judged(verdicts, evidence & own[:, None], kinds, own, own & last)


def relevance(judged: Judged, missing: str = "response") -> Floats:
    """1 on the tokens responsible for each verdict, [B K T]; ``missing`` as in ``rtt.relevance.EvidenceRelevance``."""
    own, end = judged.own[:, None], judged.end[:, None]
    blamed = {"response": own & ~judged.evidence, "end": np.broadcast_to(end, judged.evidence.shape)}.get(missing)
    absent = np.zeros_like(judged.evidence) if blamed is None else blamed
    kind = judged.kind[:, :, None]
    rows = np.where(kind == SPANS, judged.evidence, np.where(kind == WHOLE, own, absent))
    return (rows & own & (judged.verdicts != 0)[:, :, None]).astype(np.float32)


class Facts:
    """Texts, and arguments with which each kind of criterion holds of each of them: [N kinds 2], -1 where none does."""

    def __init__(self, number: int, seed: int, scale: Scale = SHORT) -> None:
        rng = np.random.default_rng([11, seed])
        self.tokens = write(number, rng, scale)
        self.arguments = np.full((number, len(KINDS), 2), -1, dtype=np.int64)
        for i, row in enumerate(self.tokens):
            self.arguments[i] = _arguments(row, rng, scale)

    def draw(
        self,
        number: int,
        criteria: tuple[int, int],
        rng: np.random.Generator,
        kinds: Sequence[int] = TRAINED,
        truth: float = 1.0,
    ) -> tuple[Prompts, Ints]:
        """Prompts of ``criteria`` (least, most) different kinds, and the text that each was drawn from.

        Args:
            number: P.
            criteria: how many criteria a prompt has.
            rng: all chance comes from it.
            kinds: what may be asked for; where a text offers fewer, the prompt has fewer.
            truth: the share of criteria that the text meets for certain; the others come from another text.

        Returns:
            The prompts, and the index of each one's text.
        """
        texts = rng.integers(0, len(self.tokens), size=number)
        others = rng.integers(0, len(self.tokens), size=number)
        most = criteria[1]
        sizes = rng.integers(criteria[0], most + 1, size=number)
        offered = np.zeros((number, len(KINDS)), dtype=bool)
        offered[:, list(kinds)] = True
        offered &= self.arguments[texts, :, 0] >= 0
        order = np.argsort(np.where(offered, rng.random(offered.shape), 2.0), axis=1)[:, :most]
        rows = np.arange(number)[:, None]
        there = offered[rows, order] & (np.arange(order.shape[1]) < sizes[:, None])
        source = np.where(rng.random(order.shape) < truth, texts[:, None], others[:, None])
        source = np.where(self.arguments[source, order, 0] >= 0, source, texts[:, None])
        found = self.arguments[source, order]  # (P, K, 2)
        return (
            Prompts(
                np.where(there, order, NO_KIND),
                np.where(there, found[:, :, 0], 0),
                np.where(there, found[:, :, 1], 0),
            ),
            texts,
        )


def _arguments(row: Ints, rng: np.random.Generator, scale: Scale) -> Ints:
    """Arguments with which each kind holds of one text."""
    found = np.full((len(KINDS), 2), -1, dtype=np.int64)
    words = row[row >= FIRST_WORD]
    stops = int((row == STOP).sum())
    counts = np.bincount(words, minlength=TOKENS)[FIRST_WORD:]
    classes = counts.reshape(CLASSES, PER_CLASS).sum(axis=1)

    def one(choices: Ints) -> int:
        return int(choices[rng.integers(len(choices))])

    found[0] = one(words), 0
    neighbours = np.nonzero((row[:-1] >= FIRST_WORD) & (row[1:] >= FIRST_WORD))[0]
    if len(neighbours):
        place = one(neighbours)
        found[1] = row[place], row[place + 1]
    found[2] = row[0], 0
    found[3] = words[-1], 0
    second = np.nonzero(row == STOP)[0]
    if stops >= 2:
        found[4] = row[second[0] + 1], 0
    if (counts >= 2).any():
        word = one(np.nonzero(counts >= 2)[0])
        found[5] = FIRST_WORD + word, rng.integers(2, min(scale.repeats, counts[word]) + 1)
    few = np.nonzero(classes <= scale.few)[0]
    if len(few):
        kind = one(few)
        found[6] = FIRST_CLASS + kind, rng.integers(max(1, classes[kind]), scale.few + 1)
    found[7] = 0, stops
    if (counts == 0).any():
        found[8] = FIRST_WORD + one(np.nonzero(counts == 0)[0]), 0
    if (classes == 0).any():
        found[9] = FIRST_CLASS + one(np.nonzero(classes == 0)[0]), 0
    if len(words) <= scale.at_most[1]:
        found[10] = 0, rng.integers(max(len(words), scale.at_most[0]), scale.at_most[1] + 1)
    if len(words) >= scale.at_least[0]:
        found[11] = 0, rng.integers(scale.at_least[0], min(len(words), scale.at_least[1]) + 1)
    if (classes == classes.max()).sum() == 1:
        found[12] = FIRST_CLASS + int(classes.argmax()), 0
    return found
