r"""How well a scorer finds the characters that a verdict hangs on, on items that do not depend on its tokenizer.

    examples --score_examples--> Scored, Scored, ...   one for each example: items, labels, scores
                 |
                 ├── choose_threshold     on the validation examples
                 ├── measure              average precision · F1 · AUROC · calibration, by kind, family and scope
                 ├── difference           two scorers on the same examples, paired
                 └── faithfulness         delete the items that score highest: does the rule's verdict turn?

    evaluate     all of it, for several scorers and splits -> Evaluation -> report.py

**Items.** Words and single marks of the response (:func:`items`) are what is ranked, for every scorer alike. An item is
relevant when it shares a character with a relevant span, and its score is the highest of its characters': both ask for
one character, so a scorer that marks just the character that counts (a capital within a word) is not marked down for
the rest of the word.

**Average precision** is the primary number, taken within each response that has both relevant and irrelevant items,
then averaged over the examples of each kind of criterion, then over kinds. Ranking within a response is what
normalisation within a response makes use of. Items with equal scores stand on one step: a scorer that gives all the
same reaches the share of relevant items (``prevalence``), however they are ordered.

**Intervals** are 95 %, from a bootstrap that draws prompts with replacement, since responses to one prompt and criteria
of one response resemble each other. They are None where there are fewer than two prompts. What could not be measured
is None, never 0.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import regex

from rtt.alignment import tokens_in
from rtt.errors import ConfigurationError, ShapeError
from rtt.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from rtt.relevance.discriminator.examples import Example

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RESAMPLES = 1_000
"""Draws of the bootstrap."""
CALIBRATION_BINS = 15
BUDGETS = (1, 3, 5)
"""Items that :func:`faithfulness` deletes, besides as many as are relevant."""
MATCHED = "n"
"""Name of the budget that deletes as many items as are relevant."""
NOT_TESTED = ("train", "validation")
"""Splits that no result is reported on."""

Verify = Callable[[str, Mapping[str, Any], str], Verdict]
"""``verify(rule_name, arguments, text)``: a rule's verdict on a text."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Scorer(Protocol):
    """Whatever says which characters of a response a criterion hangs on: discriminators and baselines."""

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> Sequence[npt.NDArray[np.float32]]:
        """For each text, [K, C]: relevance in [0, 1] of each of its C characters for each of its K criteria."""
        ...


# -------------------------------------------------------------------------------------------------------------- items

_IDEOGRAPHS = r"\p{Han}\p{Hiragana}\p{Katakana}"
_ITEM = regex.compile(
    rf"(?V1)[{_IDEOGRAPHS}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_IDEOGRAPHS}]]+|(?!\s)\X",
)


@functools.lru_cache(maxsize=8192)
def items(text: str) -> Ints:
    r"""The items of a text, [N, 2]: characters ``[start, end)`` in code points, in order.

    A run of letters, combining marks and digits is one item; so is each ideograph or kana, as no blanks part their
    words; so is each other visible sign, emoji of several code points as a whole. The underscore is a sign of its own:
    it marks emphasis. Blanks belong to no item.

    >>> [("don't _stop_")[a:b] for a, b in items("don't _stop_").tolist()]
    ['don', "'", 't', '_', 'stop', '_']
    """
    places = np.asarray([match.span() for match in _ITEM.finditer(text)], dtype=np.int64).reshape(-1, 2)
    places.setflags(write=False)  # it is kept for the next scorer
    return places


def item_scores(places: Ints, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The highest of each item's characters.

    Args:
        places: [N, 2], as :func:`items` gives them.
        values: [K, C].

    Returns:
        [K, N].
    """
    if not len(places):
        return np.zeros((len(values), 0), dtype=np.float32)
    # reduceat needs every bound inside the array; every second segment lies between items
    bordered = np.pad(values, ((0, 0), (0, 1)))
    result: npt.NDArray[np.float32] = np.maximum.reduceat(bordered, places.ravel(), axis=1)[:, ::2]
    return result.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One example's items.

    Attributes:
        example: the example.
        items: [N, 2] characters of each.
        labels: [N], whether an item shares a character with a relevant span.
        scores: [N] in [0, 1].
    """

    example: Example
    items: Ints
    labels: Bools
    scores: npt.NDArray[np.float32]

    @property
    def is_ranked(self) -> bool:
        """Whether average precision says something: local, with relevant and irrelevant items."""
        return bool(self.example.is_local and self.labels.any() and not self.labels.all())


def score_examples(
    scorer: Scorer,
    examples: Sequence[Example],
    *,
    batch: int = 64,
    progress: Callable[[int], None] | None = None,
) -> list[Scored]:
    """Ask a scorer about every example.

    Examples of the same response go together, each criterion once, so that a scorer that reads all criteria of a
    response at once is used as it is meant to be.

    Args:
        scorer: see :class:`Scorer`.
        examples: in any order.
        batch: responses a call; they are taken by length, so that calls need little padding.
        progress: told how many examples a call has done.

    Returns:
        One for each example, in their order.

    Raises:
        ShapeError: the scorer's answer does not fit what it was asked.
    """
    criteria: dict[str, dict[str, int]] = {}
    places: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        asked = criteria.setdefault(example.response, {})
        asked.setdefault(example.criterion, len(asked))
        places.setdefault(example.response, []).append(index)
    texts = sorted(criteria, key=len)
    results: list[Scored | None] = [None] * len(examples)
    for first in range(0, len(texts), batch):
        chunk = texts[first : first + batch]
        answers = scorer.characters([list(criteria[text]) for text in chunk], chunk)
        if len(answers) != len(chunk):
            raise ShapeError(f"{_name(scorer)} answered for {len(answers)} texts, was asked about {len(chunk)}")
        done = 0
        for text, values in zip(chunk, answers, strict=True):
            _check_answer(scorer, values, (len(criteria[text]), len(text)))
            found = items(text)
            scores = item_scores(found, np.asarray(values, dtype=np.float32))
            for index in places[text]:
                example = examples[index]
                labels = tokens_in(found, example.relevant, length=len(text))
                results[index] = Scored(example, found, labels, scores[criteria[text][example.criterion]])
            done += len(places[text])
        if progress is not None:
            progress(done)
    return [result for result in results if result is not None]


def spread(examples: Sequence[Example], count: int | None, *, seed: int = 0) -> list[Example]:
    """At most ``count`` examples, drawn evenly from all kinds of criteria, in their order; None: all."""
    if count is None or count >= len(examples):
        return list(examples)
    order = np.random.default_rng(seed).permutation(len(examples))
    seen: dict[str, int] = {}
    turn = np.zeros(len(examples), dtype=np.int64)
    for index in order.tolist():
        kind = examples[index].kind
        turn[index] = seen[kind] = seen.get(kind, -1) + 1
    chosen = order[np.argsort(turn[order], kind="stable")][:count]
    return [examples[index] for index in sorted(chosen.tolist())]


def _check_answer(scorer: Scorer, values: npt.NDArray[np.float32], shape: tuple[int, int]) -> None:
    if np.shape(values) != shape:
        raise ShapeError(f"{_name(scorer)} gave an array of shape {np.shape(values)}; expected [K, C] = {shape}")
    if values.size and not (float(values.min()) >= 0 and float(values.max()) <= 1):  # false for NaN, too
        raise ShapeError(
            f"{_name(scorer)} gave relevance from {values.min()} to {values.max()}; expected finite values in [0, 1]"
        )


def _name(scorer: Scorer) -> str:
    return f"scorer {type(scorer).__name__}"


# ------------------------------------------------------------------------------------------------------------ results


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; without one where there are fewer than two prompts."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def beyond_noise(self) -> bool:
        """For a difference: whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Bin:
    """Items of about the same score: their mean score, the share of them that is relevant, how many they are."""

    score: float
    relevant: float
    items: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a relevance of 0.8 means that 8 in 10 such items are relevant.

    Attributes:
        ece: expected calibration error: mean distance of score and share over the bins, weighted by items.
        brier: mean squared distance of score and label over items.
        bins: about equally many items each; items of the same score are never parted, so there may be fewer.
    """

    ece: float
    brier: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """Items called relevant from a threshold on, over the items of all examples whose evidence is in spans.

    Examples that the whole response carries are left out: their many relevant items would drown the others.
    """

    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Group:
    """The examples of a kind of criterion, or of a family of kinds.

    Attributes:
        examples: all of them.
        ranked: those that average precision is taken over.
        average_precision: mean over kinds of the mean within each; None where nothing is ranked.
        pooled_average_precision: all items of a kind in one ranking, mean over kinds: whether scores can be compared
            from response to response; None where no kind has relevant and irrelevant items.
        prevalence: mean share of relevant items, taken over the same examples as ``average_precision``.
        detection: at the threshold; None where nothing is relevant and nothing was called so.
    """

    examples: int
    ranked: int
    average_precision: Interval | None
    pooled_average_precision: float | None
    prevalence: float | None
    detection: Detection | None


@dataclass(frozen=True, slots=True)
class ByScope:
    """Mean scores where average precision has nothing to say, beside those where it has.

    Attributes:
        local: examples whose evidence is in spans; the mean score of their ``relevant`` and ``irrelevant`` items.
        response: examples that the whole response carries (should score high everywhere).
        empty: examples in which nothing is relevant (should score low everywhere).
        ..._above: the share of their items from the threshold on, mean over examples.
    """

    local: int
    relevant_score: float | None
    irrelevant_score: float | None
    response: int
    response_score: float | None
    response_above: float | None
    empty: int
    empty_score: float | None
    empty_above: float | None


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What one scorer reached on one split.

    Attributes:
        overall: see :class:`Group`, over all kinds.
        prompts: how many the intervals are drawn from.
        items: of all examples.
        auroc: of all items in one ranking; None where all are relevant or none is.
        calibration: over all items; None where there are none.
        scopes: see :class:`ByScope`.
        kinds: by kind, sorted.
        families: by family, the part of a kind before its colon, sorted.
    """

    overall: Group
    prompts: int
    items: int
    auroc: float | None
    calibration: Calibration | None
    scopes: ByScope
    kinds: dict[str, Group] = field(repr=False)
    families: dict[str, Group] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """One scorer.

    Attributes:
        threshold: from which an item counts as relevant.
        seconds: wall-clock time that it took to score all splits.
        splits: by the name of the split.
        difference: average precision of the first scorer minus this one's, on the examples that both scored, paired;
            None where there are none. Empty for the first scorer itself.
    """

    threshold: float
    seconds: float
    splits: dict[str, SplitResult]
    difference: dict[str, Interval | None]


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Whether verdicts turn when the items that score highest are deleted.

    Attributes:
        eligible: examples with a rule, relevant and irrelevant items, and a verdict that is not "something is missing".
        ceiling: share of these whose verdict turns when exactly the labelled items go.
        examples: those for which it does, by budget. All rates are over these; of a fixed budget, over those with more
            items than the budget.
        random: rate when as many random items go, mean over draws, by budget.
        scorers: by scorer, then by budget.

    Budgets: ``"n"``: as many items as are relevant; ``"1"``, ``"3"``, ...: that many.
    """

    eligible: int
    ceiling: Interval | None
    examples: dict[str, int]
    random: dict[str, Interval | None]
    scorers: dict[str, dict[str, Interval | None]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that :func:`evaluate` found.

    Attributes:
        scorers: the one in question first, then what it is compared with.
        faithfulness: by split; empty where nothing could verify edits.
        thresholds_from: ``"validation"``, or ``"given"`` where there was no validation split.
        seed: of the bootstrap, the draws and the ties.
        details: what else a reader should know (the files, the machine), by name.
    """

    scorers: dict[str, ScorerResult]
    faithfulness: dict[str, Faithfulness]
    thresholds_from: str
    seed: int
    details: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The evaluation in JSON's own types; what could not be measured is null."""
        from pydantic import TypeAdapter

        value: dict[str, Any] = TypeAdapter(Evaluation).dump_python(self, mode="json")
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """The evaluation that :meth:`to_json` gave.

        Raises:
            pydantic.ValidationError: it is something else.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(value)


# ------------------------------------------------------------------------------------------------------------ metrics


def average_precisions(labels: Bools, scores: npt.ArrayLike, owners: Ints) -> Floats:
    """Average precision of many rankings at once, each as ``sklearn.metrics.average_precision_score`` gives it.

    That function takes a millisecond for a ranking, this one a few for thousands. Equal scores stand on one step.

    Args:
        labels: [M], of the items of all rankings.
        scores: [M].
        owners: [M], which ranking each belongs to, 0 to E - 1.

    Returns:
        [E] with E the highest owner plus one; NaN where a ranking has no relevant item.
    """
    scores = np.asarray(scores, dtype=np.float64)
    size = int(owners.max()) + 1 if len(owners) else 0
    order = np.lexsort((-scores, owners))
    labels, scores, owners = labels[order], scores[order], owners[order]
    count = np.bincount(owners, minlength=size)
    start = np.cumsum(count) - count  # (E,) where each ranking begins
    ranks = np.arange(len(labels)) - start[owners] + 1
    hits = np.cumsum(labels)
    hits_before = np.concatenate([[0], hits])[start]  # (E,)
    last = np.ones(len(labels), dtype=bool)  # of the items that share a score
    last[:-1] = (scores[1:] != scores[:-1]) | (owners[1:] != owners[:-1])
    ends = np.flatnonzero(last)
    step = ends[np.searchsorted(ends, np.arange(len(labels)))] if len(ends) else ends
    precision = (hits[step] - hits_before[owners]) / ranks[step]
    relevant = np.bincount(owners, weights=labels, minlength=size)
    total = np.bincount(owners, weights=precision * labels, minlength=size)
    with np.errstate(invalid="ignore"):
        result: Floats = total / relevant
    return result


def choose_threshold(scored: Sequence[Scored]) -> float | None:
    """The threshold with the highest F1 over the items of all examples whose evidence is in spans.

    It lies in the middle between the lowest score that is called relevant and the next lower one. None where nothing
    is relevant.
    """
    from sklearn.metrics import precision_recall_curve

    spans = [one for one in scored if one.example.scope == "spans"]
    labels, scores = _pooled(spans)
    if not labels.any():
        return None
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    precision, recall = precision[:-1], recall[:-1]  # the last point has no threshold
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))  # of equals the highest threshold
    chosen = float(thresholds[best])
    lower = scores[scores < chosen]
    return (chosen + float(lower.max())) / 2 if len(lower) else chosen


def detection(scored: Sequence[Scored], threshold: float) -> Detection | None:
    """F1, precision and recall of the items from a threshold on; see :class:`Detection`."""
    labels, scores = _pooled([one for one in scored if one.example.scope == "spans"])
    found = scores >= threshold
    hits = float((labels & found).sum())
    called, relevant = float(found.sum()), float(labels.sum())
    if called + relevant == 0:
        return None
    return Detection(
        f1=2 * hits / (called + relevant),
        precision=hits / called if called else 0.0,
        recall=hits / relevant if relevant else 0.0,
    )


def calibration(labels: Bools, scores: npt.ArrayLike, *, bins: int = CALIBRATION_BINS) -> Calibration | None:
    """Expected calibration error with its curve, and Brier score; None without items.

    Bins are bounded by quantiles of the scores, so they hold about as many items each.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not len(scores):
        return None
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, scores, side="left")  # equal scores fall into one bin
    count = np.bincount(place)
    kept = count > 0
    count, mean, share = (
        count[kept],
        np.bincount(place, weights=scores)[kept] / count[kept],
        np.bincount(place, weights=labels)[kept] / count[kept],
    )
    return Calibration(
        ece=float(np.sum(count * np.abs(mean - share)) / count.sum()),
        brier=float(np.mean((scores - labels) ** 2)),
        bins=tuple(Bin(*one) for one in zip(mean.tolist(), share.tolist(), count.tolist(), strict=True)),
    )


def measure(scored: Sequence[Scored], threshold: float, *, seed: int = 0) -> SplitResult:
    """Every metric of one scorer on one split.

    Args:
        scored: the split's examples; there may be none.
        threshold: from which an item counts as relevant.
        seed: of the bootstrap.
    """
    from sklearn.metrics import roc_auc_score

    labels, scores = _pooled(scored)
    precisions = _example_precisions(scored)
    clusters = _clusters(scored)
    kinds = sorted({one.example.kind for one in scored})
    members = {kind: [i for i, one in enumerate(scored) if one.example.kind == kind] for kind in kinds}
    pooled = {kind: _pooled_precision([scored[i] for i in places]) for kind, places in members.items()}
    families: dict[str, list[str]] = {}
    for kind in kinds:
        families.setdefault(kind.partition(":")[0], []).append(kind)

    def group(chosen: Sequence[str]) -> Group:
        places = np.asarray(sorted(i for kind in chosen for i in members[kind]), dtype=np.int64)
        here = [scored[i] for i in places.tolist()]
        ranked = places[~np.isnan(precisions[places])]
        at = [scored[i].example.kind for i in ranked.tolist()]
        prevalence = macro_mean(
            [float(scored[i].labels.mean()) for i in ranked.tolist()], at, clusters[ranked], resamples=0
        )
        known = [value for kind in chosen if (value := pooled[kind]) is not None]
        return Group(
            examples=len(here),
            ranked=len(ranked),
            average_precision=macro_mean(precisions[ranked], at, clusters[ranked], seed=seed),
            pooled_average_precision=float(np.mean(known)) if known else None,
            prevalence=None if prevalence is None else prevalence.value,
            detection=detection(here, threshold),
        )

    return SplitResult(
        overall=group(kinds),
        prompts=len(set(clusters.tolist())),
        items=len(labels),
        auroc=float(roc_auc_score(labels, scores)) if 0 < labels.sum() < len(labels) else None,
        calibration=calibration(labels, scores),
        scopes=_by_scope(scored, threshold),
        kinds={kind: group([kind]) for kind in kinds},
        families={family: group(chosen) for family, chosen in sorted(families.items())},
    )


def difference(first: Sequence[Scored], second: Sequence[Scored], *, seed: int = 0) -> Interval | None:
    """Average precision of the first scorer minus the second's, on the examples that both scored; None without any."""
    places = {id(one.example): index for index, one in enumerate(second)}
    common = [(one, second[places[id(one.example)]]) for one in first if id(one.example) in places]
    mine = [one for one, _ in common]
    values = _example_precisions(mine) - _example_precisions([other for _, other in common])
    ranked = ~np.isnan(values)
    kinds = [one.example.kind for one, keep in zip(mine, ranked.tolist(), strict=True) if keep]
    return macro_mean(values[ranked], kinds, _clusters(mine)[ranked], seed=seed)


def macro_mean(
    values: npt.ArrayLike, kinds: Sequence[str], clusters: npt.ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Mean over kinds of the mean within each, with an interval from drawing clusters with replacement.

    Args:
        values: [E].
        kinds: [E].
        clusters: [E], whole numbers: the prompt of each.
        seed: of the draws.
        resamples: how many draws; 0: no interval.

    Returns:
        None without values; without an interval where all stem from one cluster.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return None
    _, kind = np.unique(np.asarray(kinds), return_inverse=True)
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    shape = int(cluster.max()) + 1, int(kind.max()) + 1
    flat = cluster * shape[1] + kind
    sums = np.bincount(flat, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    value = float(np.mean(sums.sum(axis=0) / counts.sum(axis=0)))
    if shape[0] < 2 or not resamples:
        return Interval(value)
    draws = _draws(shape[0], seed, resamples)  # (R, P): how often each cluster is drawn
    drawn = draws @ counts  # (R, kinds); a kind that was not drawn gives 0 / 0, and does not count in this draw
    with np.errstate(invalid="ignore"):
        means = np.nanmean((draws @ sums) / drawn, axis=1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return Interval(value, low, high)


@functools.lru_cache(maxsize=16)
def _draws(clusters: int, seed: int, resamples: int) -> Floats:
    generator = np.random.default_rng(seed)
    return generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(np.float64)


def _pooled(scored: Sequence[Scored]) -> tuple[Bools, Floats]:
    """Labels and scores of all items, [M] each."""
    if not scored:
        return np.zeros(0, dtype=bool), np.zeros(0)
    return np.concatenate([one.labels for one in scored]), np.concatenate([one.scores for one in scored]).astype(float)


def _example_precisions(scored: Sequence[Scored]) -> Floats:
    """Average precision of each example, [E]; NaN where it says nothing."""
    result = np.full(len(scored), np.nan)
    ranked = [i for i, one in enumerate(scored) if one.is_ranked]
    if ranked:
        chosen = [scored[i] for i in ranked]
        labels, scores = _pooled(chosen)
        result[ranked] = average_precisions(
            labels, scores, np.repeat(np.arange(len(chosen)), [len(one.labels) for one in chosen])
        )
    return result


def _pooled_precision(scored: Sequence[Scored]) -> float | None:
    labels, scores = _pooled(scored)
    if not 0 < labels.sum() < len(labels):
        return None
    return float(average_precisions(labels, scores, np.zeros(len(labels), dtype=np.int64))[0])


def _clusters(scored: Sequence[Scored]) -> Ints:
    """The prompt of each example as a whole number, [E]; an example without one stands with its response."""
    numbers: dict[str, int] = {}
    keys = [one.example.prompt_key for one in scored]
    return np.asarray([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _by_scope(scored: Sequence[Scored], threshold: float) -> ByScope:
    visible = [one for one in scored if len(one.items)]
    local = [one for one in visible if one.example.is_local]
    response = [one for one in visible if one.example.scope == "response"]
    empty = [one for one in visible if one.example.scope == "spans" and not one.example.relevant]
    return ByScope(
        local=len(local),
        relevant_score=_mean([float(one.scores[one.labels].mean()) for one in local if one.labels.any()]),
        irrelevant_score=_mean([float(one.scores[~one.labels].mean()) for one in local if not one.labels.all()]),
        response=len(response),
        response_score=_mean([float(one.scores.mean()) for one in response]),
        response_above=_mean([float((one.scores >= threshold).mean()) for one in response]),
        empty=len(empty),
        empty_score=_mean([float(one.scores.mean()) for one in empty]),
        empty_above=_mean([float((one.scores >= threshold).mean()) for one in empty]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


# ------------------------------------------------------------------------------------------------------- faithfulness


def delete_items(text: str, places: Sequence[tuple[int, int]]) -> str:
    """The text without some of its items, and without the blank that each would leave beside another blank.

    Args:
        text: the text.
        places: characters ``[start, end)``, sorted and disjoint.

    >>> delete_items("* one, two", [(0, 1), (5, 6)])
    'one two'
    """
    pieces: list[str] = []
    position = 0
    for start, end in places:
        if start > position:
            pieces.append(text[position:start])
        position = end
        before = pieces[-1][-1] if pieces else ""
        if (not before or before.isspace()) and text[end : end + 1] in _BLANKS:
            position += 1
        elif before in _BLANKS and text[end : end + 1] in _ENDS:
            pieces[-1] = pieces[-1][:-1]
            if not pieces[-1]:
                pieces.pop()
    return "".join([*pieces, text[position:]])


_BLANKS = frozenset(" \t\u00a0\u3000")
_ENDS = frozenset(["", "\n", "\r"])


def faithfulness(
    scored: Mapping[str, Sequence[Scored]],
    verify: Verify,
    *,
    budgets: Sequence[int] = BUDGETS,
    draws: int = 5,
    limit: int | None = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Faithfulness:
    """Delete the items that score highest and ask the rule again: how often does its verdict turn?

    Beside it: as many random items, and the items that the labels name, which is the most that can be hoped for.
    Independent of any annotation but for the choice of examples. Equal scores are ordered at random.

    Args:
        scored: by scorer; examples that a scorer did not score count nothing for it.
        verify: a rule's verdict on a text.
        budgets: fixed numbers of items to delete, besides as many as are relevant.
        draws: random deletions an example and budget.
        limit: examples that are looked at, drawn evenly from all kinds; None: all.
        seed: of what is drawn, and of ties.
        progress: called with examples done and in all.

    Raises:
        ConfigurationError: a budget is below 1, or there are no draws.
    """
    if draws < 1 or any(budget < 1 for budget in budgets):
        raise ConfigurationError(f"draws={draws}, budgets={list(budgets)}; expected 1 or more of each")
    known = {id(one.example): one for part in scored.values() for one in part if _can_turn(one)}
    by_scorer = {name: {id(one.example): one for one in part} for name, part in scored.items()}
    chosen = [known[id(example)] for example in spread([one.example for one in known.values()], limit, seed=seed)]
    names = [MATCHED, *map(str, budgets)]
    ceiling: list[bool] = []
    eligible: list[Scored] = []
    flips: dict[str, dict[str, list[tuple[Scored, float]]]] = {
        who: {name: [] for name in names} for who in ("", *scored)
    }
    for index, one in enumerate(chosen):
        if progress is not None:
            progress(index, len(chosen))
        edits = _Edits(one, verify)
        if not edits.can_turn:
            continue
        eligible.append(one)
        ceiling.append(edits.turns(np.flatnonzero(one.labels)))
        if not ceiling[-1]:
            continue
        count = len(one.items)
        sizes = {MATCHED: int(one.labels.sum()), **{str(budget): budget for budget in budgets if budget < count}}
        rng = np.random.default_rng([seed, index])
        orders = [rng.permutation(count) for _ in range(draws)]
        for name, size in sizes.items():
            flips[""][name].append((one, float(np.mean([edits.turns(order[:size]) for order in orders]))))
        for who, part in by_scorer.items():
            if (mine := part.get(id(one.example))) is not None:
                order = orders[0][np.argsort(-mine.scores[orders[0]], kind="stable")]
                for name, size in sizes.items():
                    flips[who][name].append((one, float(edits.turns(order[:size]))))
    if progress is not None:
        progress(len(chosen), len(chosen))

    def rate(found: Sequence[tuple[Scored, float]]) -> Interval | None:
        ones = [one for one, _ in found]
        return macro_mean([value for _, value in found], [one.example.kind for one in ones], _clusters(ones), seed=seed)

    rates = {who: {name: rate(found) for name, found in part.items()} for who, part in flips.items()}
    return Faithfulness(
        eligible=len(eligible),
        ceiling=rate([(one, float(turned)) for one, turned in zip(eligible, ceiling, strict=True)]),
        examples={name: len(found) for name, found in flips[""].items()},
        random=rates[""],
        scorers={who: rates[who] for who in scored},
    )


def _can_turn(one: Scored) -> bool:
    return one.example.rule is not None and one.is_ranked and not one.example.missing


class _Edits:
    """Whether a rule's verdict turns when items go; each text is verified once."""

    def __init__(self, one: Scored, verify: Verify) -> None:
        assert one.example.rule is not None  # nosec B101 # a fact for the type checker
        self.text, self.items, self.rule, self.verify = one.example.response, one.items, one.example.rule, verify
        verdict = verify(self.rule.name, self.rule.arguments, self.text)
        self.outcome = verdict.outcome
        agrees = one.example.outcome in (Outcome.UNDETERMINED, self.outcome)
        self.can_turn = verdict.determined and not verdict.missing and agrees
        self._known: dict[str, bool] = {}

    def turns(self, chosen: Ints) -> bool:
        edited = delete_items(self.text, [(int(a), int(b)) for a, b in self.items[np.sort(chosen)]])
        if edited not in self._known:
            outcome = self.verify(self.rule.name, self.rule.arguments, edited).outcome
            self._known[edited] = outcome == -self.outcome
        return self._known[edited]


# ---------------------------------------------------------------------------------------------------------- all of it


def evaluate(
    scorers: Mapping[str, Scorer],
    splits: Mapping[str, Sequence[Example]],
    *,
    verify: Verify | None = None,
    subsets: Mapping[str, int] | None = None,
    thresholds: Mapping[str, float] | None = None,
    deletions: int | None = 500,
    seed: int = 0,
    details: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score every split with every scorer, and measure all there is to measure.

    Args:
        scorers: by the name that tables show, the one in question first.
        splits: by name. ``"validation"`` chooses thresholds, ``"train"`` is left out, the others are reported on.
        verify: a rule's verdict on a text; without it faithfulness is not measured.
        subsets: for slow scorers, how many ranked examples of each split they are asked about.
        thresholds: by scorer, for when there is no validation split; 0.5 where none is given.
        deletions: see ``limit`` of :func:`faithfulness`.
        seed: of the bootstrap, of what is drawn, and of ties.
        details: kept with the result.
        progress: see :data:`Progress`.

    Raises:
        ConfigurationError: there is no scorer.
        ShapeError: a scorer's answer does not fit.
    """
    if not scorers:
        raise ConfigurationError("scorers is empty; expected at least the one that is in question")
    subsets, thresholds = subsets or {}, thresholds or {}
    tested = {name: list(examples) for name, examples in splits.items() if name not in NOT_TESTED}
    validation = list(splits.get("validation", ()))
    scored: dict[str, dict[str, list[Scored]]] = {}
    results: dict[str, ScorerResult] = {}
    for name, scorer in scorers.items():
        asked = {split: _asked(examples, subsets.get(name), seed) for split, examples in tested.items()}
        to_choose = _asked(validation, subsets.get(name), seed)
        report = _counting(progress, name, len(to_choose) + sum(map(len, asked.values())))
        before = time.perf_counter()
        chosen = choose_threshold(score_examples(scorer, to_choose, progress=report))
        scored[name] = {split: score_examples(scorer, examples, progress=report) for split, examples in asked.items()}
        seconds = time.perf_counter() - before
        threshold = thresholds.get(name, 0.5) if chosen is None else chosen
        first = next(iter(scored))
        results[name] = ScorerResult(
            threshold=threshold,
            seconds=seconds,
            splits={split: measure(found, threshold, seed=seed) for split, found in scored[name].items()},
            difference={}
            if name == first
            else {split: difference(scored[first][split], found, seed=seed) for split, found in scored[name].items()},
        )
    turned: dict[str, Faithfulness] = {}
    if verify is not None:
        for split in tested:
            turned[split] = faithfulness(
                {name: parts[split] for name, parts in scored.items()},
                verify,
                limit=deletions,
                seed=seed,
                progress=None
                if progress is None
                else lambda done, total, split=split: progress(f"deletions: {split}", done, total),  # type: ignore[misc]
            )
    return Evaluation(
        scorers=results,
        faithfulness=turned,
        thresholds_from="validation" if validation else "given",
        seed=seed,
        details=dict(details or {}),
    )


def _asked(examples: Sequence[Example], count: int | None, seed: int) -> list[Example]:
    """All examples, or the given number of those that a ranking says something about."""
    if count is None:
        return list(examples)
    return spread([example for example in examples if example.is_local], count, seed=seed)


def _counting(progress: Progress | None, name: str, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done = 0
    progress(name, 0, total)

    def report(more: int) -> None:
        nonlocal done
        done += more
        progress(name, done, total)

    return report
