"""What a discriminator must beat: scorers that were not trained to locate anything.

    all          AllTokens         every character: no localisation
    random       RandomTokens      a random number for each word and mark, the same at every run
    lexical      LexicalOverlap    words, quotations and marks that the criterion names, and words spelled alike
    similarity   DenseSimilarity   words whose static embedding is near one of the criterion's words
    contrast     ContrastScorer    tokens that a language model finds likelier, or less likely, given the criterion

All answer ``characters(criteria, texts)`` as the discriminators do, see
:class:`~rtt.relevance.discriminator.evaluation.Scorer`. Only the last needs tensors, only the last two a model.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from rtt.alignment import character_values
from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.evaluation import Ints, items

Values = npt.NDArray[np.float32]

BASELINES = ("all", "random", "lexical", "similarity")
"""Names that :func:`baseline` knows. The contrast needs a model of its own and has an option of its own."""


class AllTokens:
    """Every character is relevant to every criterion."""

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Values]:
        """All ones, [K, C] for each text."""
        return [np.ones((len(asked), len(text)), dtype=np.float32) for asked, text in zip(criteria, texts, strict=True)]


class RandomTokens:
    """A number from [0, 1) for each word and mark, drawn anew for each pair of criterion and text.

    Args:
        seed: another seed, other numbers; the same seed, the same numbers, in any order of calls and on any machine.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Values]:
        """[K, C] for each text; blanks get 0."""
        return [
            _spread(items(text), [self._draw(one, text, len(items(text))) for one in asked], len(text))
            for asked, text in zip(criteria, texts, strict=True)
        ]

    def _draw(self, criterion: str, text: str, count: int) -> npt.NDArray[np.float64]:
        key = f"{self.seed}\0{criterion}\0{text}".encode(errors="surrogatepass")
        return np.random.default_rng(list(hashlib.sha256(key).digest())).random(count)


# ------------------------------------------------------------------------------------------------------------ lexical

NAMED, STEM, ALIKE = 1.0, 0.8, 0.6
"""Relevance of what the criterion quotes; of what it names; and at most of a word that is spelled like its words."""

_QUOTED = regex.compile(
    r'"([^"\n]{1,200})"|“([^”\n]{1,200})”|«([^»\n]{1,200})»|`([^`\n]{1,200})`'
    r"|(?<![\p{L}\p{N}])['‘]([^'’\n]{1,200})['’](?![\p{L}\p{N}])"
)
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_CONTRACTED = regex.compile(r"(?<=\p{L})(n['’]t|['’](s|re|ve|ll|d|m))\b", regex.IGNORECASE)
# Half a surrogate pair, which a cut response may end in, is no text to a tokenizer.
_LONE_SURROGATE = regex.compile("[\ud800-\udfff]")

# What criteria of every kind say, and so says nothing about where to look.
_BOILERPLATE = frozenset(
    {
        *("answer", "output", "reply", "response", "text", "criterion", "instruction", "paragraph", "section"),
        *("sentence", "word", "letter", "time", "times", "start", "end"),
        *("ask", "contain", "ensure", "follow", "give", "include", "make", "mention", "need", "occur", "provide"),
        *("require", "use", "write", "written", "must", "shall"),
        *("certain", "entire", "exact", "exactly", "following", "least", "most", "once", "twice"),
    }
)
# Words of the Unicode names that many marks share.
_COMMON_IN_NAMES = frozenset(
    {
        "mark",
        "sign",
        "left",
        "right",
        "symbol",
        "with",
        "and",
        "full",
        "small",
        "white",
        "black",
        "heavy",
        "low",
        "high",
    }
)
_OTHER_NAMES = {
    ".": "period", "#": "hash hashtag", "!": "exclamation", '"': "quote", "“": "quote", "”": "quote", "'": "quote",
    "-": "dash bullet", "*": "star bullet", "/": "slash", "—": "dash", "–": "dash", "(": "bracket", ")": "bracket",
    "•": "bullet point",
}  # fmt: skip


class LexicalOverlap:
    """What the criterion names in so many words, as well as spelling alone can tell.

    =====  =================================================================================================
    1      what the criterion quotes ("so", 'so', `so`), wherever it stands, in any case and over any blanks
    0.8    a word with the stem of one of the criterion's words; a mark whose name is one of them ("commas",
           "question marks", "emoji"), a number or a word in capitals where the criterion speaks of such
    ≤ 0.6  a word spelled like one of the criterion's words: cosine of their character 2- to 4-grams
    0      everything else
    =====  =================================================================================================

    Words that nearly every criterion has ("the", "response", "contain") are left out, unless nothing else is left or
    they are quoted.
    """

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Values]:
        """[K, C] for each text."""
        found = [items(text) for text in texts]
        words = [[text[start:end] for start, end in places.tolist()] for text, places in zip(texts, found, strict=True)]
        # each word once, in all texts and criteria: the vectoriser's calls take longer than its work
        everything = sorted(
            {word for some in words for word in some}.union(*(_query(one).words for some in criteria for one in some))
        )
        row_of = {word: row for row, word in enumerate(everything)}
        grams = _grams(everything)
        results: list[Values] = []
        for asked, text, places, some in zip(criteria, texts, found, words, strict=True):
            vocabulary = _Vocabulary.of(some, row_of)
            values = _spread(places, [vocabulary.values(_query(one), row_of, grams) for one in asked], len(text))
            for row, one in zip(values, asked, strict=True):
                for pattern in _query(one).quotes:
                    for match in pattern.finditer(text):
                        row[match.start() : match.end()] = NAMED
            results.append(values)
        return results


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The words and marks of a text, each once."""

    rows: Ints  # [V] in the table of n-grams
    index: Ints  # [N] which of them each item is
    is_word: npt.NDArray[np.bool_]  # [V]
    called: dict[str, list[int]]  # which of them a stem stands for

    @classmethod
    def of(cls, words: Sequence[str], row_of: dict[str, int]) -> _Vocabulary:
        place: dict[str, int] = {}
        index = [place.setdefault(word, len(place)) for word in words]
        called: dict[str, list[int]] = {}
        for word, i in place.items():
            for stem in _features(word):
                called.setdefault(stem, []).append(i)
        return cls(
            np.asarray([row_of[word] for word in place], dtype=np.int64),
            np.asarray(index, dtype=np.int64),
            np.asarray([_WORD.fullmatch(word) is not None for word in place], dtype=bool),
            called,
        )

    def values(self, query: _Query, row_of: dict[str, int], grams: Any) -> npt.NDArray[np.float64]:
        """Relevance of each item, [N]."""
        result = np.zeros(len(self.rows))
        if len(self.rows) and query.words:
            alike = (grams[self.rows] @ grams[[row_of[word] for word in query.words]].T).toarray().max(axis=1)
            result = np.where(self.is_word, ALIKE * np.minimum(alike, 1), 0.0)
            for stem in query.stems:
                result[self.called.get(stem, [])] = STEM
        return result[self.index]


@dataclass(frozen=True, slots=True)
class _Query:
    """What a criterion asks to be looked for."""

    quotes: tuple[Any, ...]  # compiled patterns
    words: tuple[str, ...]
    stems: frozenset[str]


@functools.lru_cache(maxsize=4096)
def _query(criterion: str) -> _Query:
    quotes = [next(filter(None, match.groups())) for match in _QUOTED.finditer(criterion)]
    plain = _CONTRACTED.sub("", criterion.lower())  # "don't" says "do"
    words = list(dict.fromkeys(_WORD.findall(plain)))
    words = [word for word in words if not _says_nothing(word)] or words
    return _Query(
        quotes=tuple(_anywhere(quote) for quote in quotes if quote.strip()),
        words=tuple(words),
        stems=frozenset(map(_stem, words)),
    )


def _says_nothing(word: str) -> bool:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return word in ENGLISH_STOP_WORDS or word in _BOILERPLATE or _stem(word) in _BOILERPLATE or len(word) < 2


def _anywhere(quote: str) -> Any:
    """A pattern for a quotation in any case and over any blanks; a word's own bounds count, but not a letter's."""
    quote = quote.strip()
    inner = r"\s+".join(map(regex.escape, quote.split()))
    if len(quote) > 1:
        inner = (r"(?<![\p{L}\p{N}])" if quote[0].isalnum() else "") + inner
        inner += r"(?![\p{L}\p{N}])" if quote[-1].isalnum() else ""
    return regex.compile(inner, regex.IGNORECASE)


@functools.lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word.lower()))


@functools.lru_cache(maxsize=1)
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@functools.lru_cache(maxsize=65_536)
def _features(word: str) -> frozenset[str]:
    """Stems of what a word or mark can be called."""
    if _WORD.fullmatch(word):
        names = [word]
        if any(character.isdigit() for character in word):
            names += ["number", "digit", "numeral"]
        if len(word) > 1 and word.isupper():
            names += ["capital", "capitalized", "uppercase", "caps"]
    else:
        names = [name for name in _WORD.findall(unicodedata.name(word[0], "").lower()) if name not in _COMMON_IN_NAMES]
        names += _OTHER_NAMES.get(word[0], "").split()
        if unicodedata.category(word[0]) == "So":
            names += ["emoji", "emojis"]
    return frozenset(map(_stem, names))


def _grams(words: Sequence[str]) -> Any:
    """Character n-grams of each word as a sparse row of length 1, [V, F]."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectoriser = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=2**16, alternate_sign=False)
    # it refuses an empty list
    return vectoriser.transform([_LONE_SURROGATE.sub("\ufffd", word) for word in words] or [""])


# -------------------------------------------------------------------------------------------------------------- dense


class DenseSimilarity:
    """Words whose static embedding is near that of one of the criterion's words.

    Each word or mark is the mean of the input embeddings of its tokens, from which the mean embedding is taken off;
    its relevance is the highest cosine with the criterion's words, 0 where that is negative.

    Args:
        embeddings: [V, D], of a backbone's vocabulary.
        tokenizer: the backbone's, of transformers.
    """

    def __init__(self, embeddings: npt.ArrayLike, tokenizer: Any) -> None:
        table = np.asarray(embeddings, dtype=np.float32)
        self.table = table - table.mean(axis=0)
        self.tokenizer = tokenizer
        self._known: dict[str, Values] = {}

    @classmethod
    def of(cls, model: Any, tokenizer: Any) -> DenseSimilarity:
        """From a model of transformers and its tokenizer."""
        return cls(model.get_input_embeddings().weight.detach().float().cpu().numpy(), tokenizer)

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Values]:
        """[K, C] for each text."""
        results: list[Values] = []
        for asked, text in zip(criteria, texts, strict=True):
            found = items(text)
            vectors = self._vectors([text[start:end] for start, end in found.tolist()])
            rows = []
            for one in asked:
                words = self._vectors([*_query(one).words, *_marks_quoted(one)])
                near = vectors @ words.T if len(words) and len(found) else np.zeros((len(found), 1))
                rows.append(np.clip(near.max(axis=1), 0, 1) if len(found) else np.zeros(0))
            results.append(_spread(found, rows, len(text)))
        return results

    def _vectors(self, words: Sequence[str]) -> Values:
        """[N, D], each of length 1, or 0 where the vocabulary has nothing for it."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            clean = [_LONE_SURROGATE.sub("\ufffd", word) for word in new]
            encoded = self.tokenizer(clean, add_special_tokens=False)["input_ids"]
            for word, ids in zip(new, encoded, strict=True):
                vector = self.table[ids].mean(axis=0) if len(ids) else np.zeros(self.table.shape[1], dtype=np.float32)
                length = float(np.linalg.norm(vector))
                self._known[word] = (vector / length if length else vector).astype(np.float32)
        if not words:
            return np.zeros((0, self.table.shape[1]), dtype=np.float32)
        return np.stack([self._known[word] for word in words])


def _marks_quoted(criterion: str) -> list[str]:
    """Marks inside the criterion's quotations."""
    quotes = [next(filter(None, match.groups())) for match in _QUOTED.finditer(criterion)]
    return [
        quote[start:end]
        for quote in quotes
        for start, end in items(quote).tolist()
        if not _WORD.fullmatch(quote[start:end])
    ]


# ----------------------------------------------------------------------------------------------------------- contrast


class ContrastScorer:
    """How much a language model's expectation of each token changes when it is shown the criterion.

    ``1 - exp(-|log p(token | criterion, text so far) - log p(token | text so far)|)``: the unused variant of
    arXiv:2604.02795's code, here without the prompt, which examples do not hold. A scorer is not told the verdict, so
    either direction counts, where :mod:`rtt.relevance.contrast` takes that of the verdict. No training, but a pass of
    the model for each criterion.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer, a fast one.
        batch_tokens: tokens of a batch, padding included.
        max_tokens: tokens of a text that are read at once; a longer text is read in pieces, each on its own.
        max_criterion: tokens of a criterion that are read.

    Raises:
        ConfigurationError: the tokenizer is not a fast one, or the model reads fewer tokens than a criterion has.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, batch_tokens: int = 2048, max_tokens: int = 512, max_criterion: int = 128
    ) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ConfigurationError(
                f"tokenizer {type(tokenizer).__name__} is not a fast one: it cannot say which characters a token spans"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = batch_tokens
        self.max_criterion = max_criterion
        # the blank line stays when a long criterion is cut
        self.parts = {name: self._ids(text) for name, text in _CONTRAST_PROMPT.items()}
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
        self.max_tokens = min(max_tokens, limit - max_criterion - sum(map(len, self.parts.values())))
        if self.max_tokens < 1:
            raise ConfigurationError(
                f"model of type {model.config.model_type!r} reads {limit} tokens, which leaves none for a text beside "
                f"a criterion of max_criterion={max_criterion}; lower max_criterion"
            )

    def characters(self, criteria: Sequence[Sequence[str]], texts: Sequence[str]) -> list[Values]:
        """[K, C] for each text."""
        from rtt.relevance.contrast import log_probabilities

        encoded = [self._encode(text) for text in texts]
        pieces = [[ids[i : i + self.max_tokens] for i in range(0, len(ids), self.max_tokens)] for ids, _ in encoded]
        asked = [(None, *some) for some in criteria]
        prompts = [self._prompt(one) for part, some in zip(pieces, asked, strict=True) for one in some for _ in part]
        completions = [piece for part, some in zip(pieces, asked, strict=True) for _ in some for piece in part]
        found = iter(log_probabilities(self.model, prompts, completions, batch_tokens=self.batch_tokens))
        results: list[Values] = []
        for (ids, spans), part, some, text in zip(encoded, pieces, asked, texts, strict=True):
            likelihood = np.zeros((len(some), len(ids)))
            for row in likelihood:
                row[:] = np.concatenate([next(found) for _ in part]) if part else 0.0
            change = np.abs(likelihood[1:] - likelihood[0])
            results.append(character_values(spans, -np.expm1(-change).astype(np.float32), length=len(text)))
        return results

    def _prompt(self, criterion: str | None) -> list[int]:
        if criterion is None:
            return self.parts["opening"]
        words = self._ids(criterion)[: self.max_criterion]
        return [*self.parts["before"], *words, *self.parts["after"], *self.parts["opening"]]

    def _ids(self, text: str) -> list[int]:
        return self._encode(text)[0]

    def _encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        clean = _LONE_SURROGATE.sub("\ufffd", text)
        encoded = self.tokenizer(clean, add_special_tokens=False, return_offsets_mapping=True)
        return list(encoded["input_ids"]), [(int(start), int(end)) for start, end in encoded["offset_mapping"]]


_CONTRAST_PROMPT = {"before": "Criterion: ", "after": "\n\n", "opening": "Response:\n"}


def baseline(name: str, *, seed: int = 0, backbone: Any = None, tokenizer: Any = None) -> Any:
    """A baseline by its name, one of :data:`BASELINES`.

    Args:
        name: which.
        seed: of ``"random"``.
        backbone: whose input embeddings ``"similarity"`` uses, a model of transformers.
        tokenizer: the backbone's.

    Raises:
        ConfigurationError: the name is unknown, or ``"similarity"`` has no backbone.
    """
    if name == "all":
        return AllTokens()
    if name == "random":
        return RandomTokens(seed)
    if name == "lexical":
        return LexicalOverlap()
    if name == "similarity":
        if backbone is None or tokenizer is None:
            raise ConfigurationError("baseline 'similarity' needs a backbone and its tokenizer; got none")
        return DenseSimilarity.of(backbone, tokenizer)
    raise ConfigurationError(f"baseline {name!r} is unknown; expected some of {list(BASELINES)}")


def _spread(places: Ints, rows: Iterable[npt.ArrayLike], length: int) -> Values:
    """Values of items as values of their characters, [K, C]; blanks get 0."""
    rows = list(rows)
    result = np.zeros((len(rows), length), dtype=np.float32)
    sizes = places[:, 1] - places[:, 0]
    inside = np.repeat(places[:, 0] - np.cumsum(sizes) + sizes, sizes) + np.arange(int(sizes.sum()))
    for row, values in zip(result, rows, strict=True):
        row[inside] = np.repeat(np.asarray(values, dtype=np.float32), sizes)
    return result
