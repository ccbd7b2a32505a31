"""Sampling: for any text a handful of criteria of different kinds, each with its exact labels.

    texts  ->  kinds  ->  edit  ->  arguments close to the truth  ->  a wording  ->  verify or find  ->  Example

A criterion need not have been in the prompt that a text answers: the labels are those of the rule or the pattern, asked
of the text as it is. About half are rules, half patterns, every kind about as often as the others as far as the text
has something to ask about. Arguments are drawn near the truth (a count of the text plus or minus a little, a word of
the text or of another), so that both outcomes occur and the criterion has to be read.

A model learns most from criteria that hang on some characters and not on others; those where nothing in the text is
relevant (:data:`EMPTY_SHARE`) and those that the whole text carries (:data:`WHOLE_SHARE`) are drawn again beyond their
share.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.edits import ENDINGS, REQUESTS, can_plant, enrich, plant
from rtt.relevance.discriminator.examples import Example, from_verdict
from rtt.relevance.discriminator.patterns import PATTERNS, Pattern, sentences, words
from rtt.relevance.discriminator.wordings import wordings
from rtt.rubrics import Rule
from rtt.verdicts import Verdict

Verify = Callable[[str, Mapping[str, Any], str], Verdict]
"""From a rule's name, its arguments and a text to the verdict: ``rtt.verifiers.verify_rule`` with its id filled in."""

EMPTY_SHARE = 0.18
"""Of the examples of a text, how many may have no relevant character at all."""

WHOLE_SHARE = 0.13
"""Of the examples of a text, how many the whole text may carry."""

EDITED_SHARE = 0.75
"""How many of the texts are edited (:mod:`rtt.relevance.discriminator.edits`)."""

_TRIES = 8
"""How many kinds are tried for each example before a text is left with fewer."""


def sample_examples(
    texts: Sequence[tuple[str, str]],
    verify: Verify,
    *,
    per_text: int = 12,
    seed: int = 0,
    kinds: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Example]:
    """Criteria of different kinds for each text, with the characters that their verdicts hang on.

    What is drawn for a text depends on the seed, on the text and its prompt, and on the next text with another prompt,
    whose words are asked for too; not on the texts before it.

    Args:
        texts: prompt id and response, each; responses that are blank are passed over.
        verify: decides rules.
        per_text: how many criteria for each text; fewer where the text has not so much to ask about.
        seed: same seed, same examples.
        kinds: only these rules and patterns; all of them by default.
        progress: told how many texts are done, after each.

    Raises:
        ConfigurationError: ``per_text`` is not positive, or a kind is unknown.
        DataError: a response is not valid Unicode.
    """
    if per_text < 1:
        raise ConfigurationError(f"per_text: got {per_text}; expected at least 1")
    known = {*_ARGUMENTS, *PATTERNS}
    chosen = known if kinds is None else set(kinds)
    if not chosen or chosen - known:
        unknown = sorted(chosen - known)
        raise ConfigurationError(f"kinds: {unknown} are unknown; expected some of sampled_kinds()")
    rules = tuple(sorted(chosen & set(_ARGUMENTS)))
    patterns = tuple(sorted(chosen & set(PATTERNS)))
    examples: list[Example] = []
    for index, (prompt, text) in enumerate(texts):
        if text.strip():
            rng = _generator(seed, prompt, text)
            other = next((each for name, each in texts[index + 1 : index + 33] if name != prompt), "")
            examples += _of_text(prompt, text, other, verify, rules, patterns, per_text, rng)
        if progress is not None:
            progress(index + 1)
    return examples


def ask_again(example: Example, text: str, verify: Verify) -> Example | None:
    """The criterion of an example, in the same words, with its labels for another text.

    None where that cannot be said: no rule and no pattern decides it, or the rule could not tell. Rules that detect
    languages are not asked again: they take too long.

    Args:
        example: whose criterion is asked.
        text: of what it is asked; the result keeps the example's prompt, which is not that of the text.
        verify: decides rules.
    """
    if example.rule is not None:
        if example.kind in _SLOW:
            return None
        return from_verdict(
            example.criterion,
            text,
            verify(example.rule.name, example.rule.arguments, text),
            kind=example.kind,
            prompt=example.prompt,
            wording=example.wording,
            rule=example.rule,
        )
    pattern = PATTERNS.get(example.kind)
    if not isinstance(pattern, Pattern):
        return None
    found = pattern.ask_again(example, text)
    return None if found is None else replace(found, prompt=example.prompt)


def sampled_kinds() -> tuple[str, ...]:
    """The names of all kinds of criteria that are sampled, sorted: rules and patterns."""
    return tuple(sorted({*_ARGUMENTS, *PATTERNS}))


def _generator(seed: int, prompt: str, text: str) -> Random:
    """Random numbers of one text's own."""
    digest = hashlib.sha256(f"{seed}\0{prompt}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return Random(int.from_bytes(digest[:8], "big"))  # nosec B311 # repeatable, not secret


def _of_text(
    prompt: str,
    text: str,
    other: str,
    verify: Verify,
    rules: tuple[str, ...],
    patterns: tuple[str, ...],
    per_text: int,
    rng: Random,
) -> list[Example]:
    queues = [_shuffled_kinds(rules, rng), _shuffled_kinds(patterns, rng)]
    if rng.random() < EDITED_SHARE:
        kinds = [kind for queue in queues for kind in _planted_first(queue, rng)]
        text = plant(text, [kind for kind in kinds if rng.random() < 0.85], rng)
        text = enrich(text, rng) if rng.random() < 0.15 else text
    drawn = _Drawn(text, other, rng)
    room = {"empty": _share(EMPTY_SHARE, per_text, rng), "whole": _share(WHOLE_SHARE, per_text, rng)}
    first = rng.randrange(2)
    examples: list[Example] = []
    for number in range(per_text):
        queue = queues[(number + first) % 2] or queues[(number + first + 1) % 2]
        for _ in range(_TRIES):
            if not queue:
                break
            example = _asked(queue.pop(), drawn, verify)
            if example is None:
                continue
            extent = _extent(example)
            if extent in room:
                # Not the first that comes: kinds that are rare in texts would take all the room.
                if not room[extent] or rng.random() < 0.5:
                    continue
                room[extent] -= 1
            examples.append(replace(example, prompt=prompt))
            break
    return examples


def _planted_first(queue: list[str], rng: Random) -> list[str]:
    """Move a few kinds of things that texts seldom have to the end of the queue, where kinds are taken from."""
    chosen = [kind for kind in queue if can_plant(kind)][: rng.randint(1, 3)]
    queue[:] = [*(kind for kind in queue if kind not in chosen), *chosen]
    return chosen


def _share(share: float, number: int, rng: Random) -> int:
    """So much of a number, rounded up or down by chance so that the mean is right."""
    exact = share * number
    return int(exact) + (rng.random() < exact - int(exact))


def _shuffled_kinds(kinds: tuple[str, ...], rng: Random) -> list[str]:
    """Kinds in random order, those that detect languages, which takes long, seldom among them."""
    queue = [kind for kind in kinds if kind not in _SLOW or len(kinds) == 1 or rng.random() < 0.1]
    rng.shuffle(queue)
    return queue


def _extent(example: Example) -> str:
    """``"empty"``, ``"whole"`` or ``"local"``: how much of the response is relevant."""
    relevant = sum(end - start for start, end in example.relevant)
    if not relevant:
        return "empty"
    return "whole" if relevant >= 0.9 * len(example.response.strip()) else "local"


def _asked(kind: str, drawn: _Drawn, verify: Verify) -> Example | None:
    """A criterion of this kind for the text; None where there is nothing to ask, or the rule could not tell."""
    if kind in PATTERNS:
        return PATTERNS[kind].ask(drawn.text, drawn.rng)
    arguments = _ARGUMENTS[kind](drawn)
    if arguments is None:
        return None
    worded = wordings(kind, arguments)
    wording, criterion = worded[drawn.rng.randrange(len(worded))]
    return from_verdict(
        criterion,
        drawn.text,
        verify(kind, arguments, drawn.text),
        kind=kind,
        wording=wording,
        rule=Rule(name=kind, arguments=arguments),
    )


# --------------------------------------------------------------------------------------------------- rules' arguments


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What arguments are drawn from: the text, another one, and random numbers."""

    text: str
    other: str
    rng: Random

    def near(self, count: int, spread: Sequence[int] = (-2, -1, 0, 0, 1, 1, 2, 3), least: int = 1) -> int:
        """A number close to the count."""
        return max(least, count + self.rng.choice(spread))

    def relation(self) -> str:
        """``"at least"`` or ``"less than"``."""
        return self.rng.choice(("at least", "less than"))

    def word(self, inside: float) -> str:
        """A word of letters: of the text with this chance, else of another one."""
        sources = (self.text, self.other) if self.rng.random() < inside else (self.other, self.text)
        for source in sources:
            found = words(source)
            for _ in range(8 if found else 0):
                start, end = self.rng.choice(found)
                word = source[start:end]
                if end - start > 2 and word.isalpha() and word.lower() not in _TOO_COMMON:
                    return word if self.rng.random() < 0.5 else word.lower()
        return self.rng.choice(("river", "light", "because", "music"))

    def phrase(self) -> str:
        """Neighbouring words of one line of the text."""
        found = words(self.text)
        if len(found) < 3:
            return self.word(1.0)
        first = self.rng.randrange(len(found) - 1)
        last = min(len(found) - 1, first + self.rng.randint(1, 3))
        phrase = self.text[found[first][0] : found[last][1]]
        return phrase if re.fullmatch(r"[\w ,'’-]+", phrase) else self.text[slice(*found[first])]


_TOO_COMMON = frozenset(
    {"the", "and", "that", "this", "with", "from", "have", "are", "was", "for", "not", "you", "your"}
)


def _existence(drawn: _Drawn) -> dict[str, Any]:
    number = drawn.rng.choices((1, 2, 3, 4), (5, 4, 2, 1))[0]
    inside = drawn.rng.choice((0.95, 0.95, 0.6, 0.2))
    keywords = [drawn.phrase() if drawn.rng.random() < 0.1 else drawn.word(inside) for _ in range(number)]
    return {"keywords": list(dict.fromkeys(keywords))}


def _forbidden(drawn: _Drawn) -> dict[str, Any]:
    number = drawn.rng.choices((1, 2, 3, 4), (5, 4, 2, 1))[0]
    inside = drawn.rng.choice((0.8, 0.5, 0.0))
    return {"forbidden_words": list(dict.fromkeys(drawn.word(inside) for _ in range(number)))}


def _frequency(drawn: _Drawn) -> dict[str, Any]:
    keyword = max((drawn.word(0.95) for _ in range(3)), key=lambda word: drawn.text.lower().count(word.lower()))
    if drawn.rng.random() < 0.2:
        keyword = drawn.rng.choice(("the", "and", "is", "of", "you", keyword))
    count = drawn.text.lower().count(keyword.lower())
    return {"keyword": keyword, "frequency": drawn.near(count, (-2, -1, 0, 0, 1, 1, 2)), "relation": drawn.relation()}


def _letter(drawn: _Drawn) -> dict[str, Any]:
    letters = "abcdefghijklmnopqrstuvwxyz" + "jkqvwxyzbfgp" * 2
    letter = drawn.rng.choice(letters if drawn.rng.random() < 0.93 else "!?#-0123456789")
    count = drawn.text.lower().count(letter)
    return {
        "letter": letter,
        "let_frequency": drawn.near(count, (-4, -2, -1, 0, 0, 1, 1, 2, 3)),
        "let_relation": drawn.relation(),
    }


def _language(drawn: _Drawn) -> dict[str, Any]:
    codes = ("en", "en", "en", "de", "fr", "es", "it", "pt", "ru", "hi", "ko", "sw", "fa", "zh-cn")
    return {"language": drawn.rng.choice(codes)}


def _number_sentences(drawn: _Drawn) -> dict[str, Any]:
    count = len(sentences(drawn.text))
    spread = (-4, -3, -2, -1, 0, 0, 1, 1, 2, 3)
    return {"num_sentences": drawn.near(count, spread), "relation": _mostly_less(drawn)}


def _number_words(drawn: _Drawn) -> dict[str, Any]:
    count = len(_PLAIN_WORD.findall(drawn.text))
    step = max(1, count // 8)
    spread = (-4 * step, -2 * step, -step, -1, 0, 1, step, 2 * step)
    number = drawn.near(count, spread)
    if drawn.rng.random() < 0.4 and number > 10:
        number = round(number, -1)
    return {"num_words": number, "relation": _mostly_less(drawn)}


def _mostly_less(drawn: _Drawn) -> str:
    """Upper bounds are where a part of the text is to blame; lower bounds hang on all of it."""
    return drawn.rng.choices(("less than", "at least"), (3, 1))[0]


_PLAIN_WORD = re.compile(r"\w+")


def _number_paragraphs(drawn: _Drawn) -> dict[str, Any]:
    count = sum(bool(piece.strip()) for piece in drawn.text.split("***"))
    return {"num_paragraphs": drawn.near(count, (-2, -1, 0, 0, 0, 1, 2))}


def _nth_paragraph(drawn: _Drawn) -> dict[str, Any]:
    pieces = [piece for piece in drawn.text.split("\n\n") if piece.strip()]
    number = drawn.near(len(pieces), (-1, 0, 0, 0, 0, 0, 1))
    nth = drawn.rng.randint(1, number)
    first = _CHUNK.search(pieces[nth - 1]) if nth <= len(pieces) and drawn.rng.random() < 0.6 else None
    word = re.split(r"[.,?!'\"\s]", first.group().lstrip("'").lstrip('"'))[0] if first is not None else ""
    return {"num_paragraphs": number, "nth_paragraph": nth, "first_word": word or drawn.word(0.5)}


_CHUNK = re.compile(r"\S+")


def _placeholders(drawn: _Drawn) -> dict[str, Any]:
    return {"num_placeholders": drawn.near(len(re.findall(r"\[[^\]\n]*\]", drawn.text)), (-2, -1, 0, 0, 0, 1, 2))}


def _postscript(drawn: _Drawn) -> dict[str, Any]:
    there = re.search(r"p\.\s?(p\.\s?)?s\b", drawn.text.lower())
    if there is not None and drawn.rng.random() < 0.85:
        return {"postscript_marker": "P.P.S" if there.group(1) else "P.S."}
    return {"postscript_marker": drawn.rng.choice(("P.S.", "P.S.", "P.P.S"))}


def _bullets(drawn: _Drawn) -> dict[str, Any]:
    count = len(re.findall(r"^\s*(?:\*[^*]|-)", drawn.text, re.MULTILINE))
    return {"num_bullets": drawn.near(count, (-2, -1, 0, 0, 0, 1, 2), least=0)}


def _highlighted(drawn: _Drawn) -> dict[str, Any]:
    return {"num_highlights": drawn.near(len(re.findall(r"\*[^*\n]+\*", drawn.text)), (-2, -1, 0, 0, 0, 1, 2))}


def _sections(drawn: _Drawn) -> dict[str, Any]:
    there = re.findall(r"^\W*([A-Z][A-Za-z]+) ?\d", drawn.text, re.MULTILINE)
    splitter = drawn.rng.choice(there) if there and drawn.rng.random() < 0.85 else ""
    splitter = splitter or drawn.rng.choice(("SECTION", "Section", "PART", "Day", "Chapter"))
    return {"section_spliter": splitter, "num_sections": drawn.near(there.count(splitter), (-2, -1, 0, 0, 0, 1, 2))}


def _repeated(drawn: _Drawn) -> dict[str, Any]:
    """A request that the text starts with, nearly starts with, has later on, or has not."""
    there = next((request for request in REQUESTS if request.lower() in drawn.text.lower()), None)
    if there is not None and drawn.rng.random() < 0.75:
        return {"prompt_to_repeat": there}
    parts = sentences(drawn.text)
    if not parts:
        return {"prompt_to_repeat": drawn.rng.choice(REQUESTS)}
    how = drawn.rng.choice(("first", "first", "first two", "other end", "later", "none"))
    start = len(drawn.text) - len(drawn.text.lstrip())
    if how == "later" and len(parts) > 1:
        request = drawn.text[slice(*drawn.rng.choice(parts[1:4]))]
    elif how == "first two":
        request = drawn.text[start : parts[min(1, len(parts) - 1)][1]]
    elif how == "other end":
        beginning = drawn.text[start : parts[0][1]].split(" ")
        kept = beginning[: drawn.rng.randint(1, max(1, len(beginning) - 1))]
        request = " ".join([*kept, *drawn.rng.choice(REQUESTS).split(" ")[-4:]])
    else:
        request = drawn.text[start : parts[0][1]] if how == "first" else drawn.rng.choice(REQUESTS)
    return {"prompt_to_repeat": request.strip()[:400]}


def _end(drawn: _Drawn) -> dict[str, Any]:
    """A phrase that the text ends with, ends with but for a word, has earlier on, or has not."""
    text = drawn.text.rstrip().rstrip('"').rstrip()
    planted = next((ending for ending in ENDINGS if ending.lower() in text.lower()), None)
    if planted is not None and drawn.rng.random() < 0.7:
        return {"end_phrase": planted}
    tail = text.splitlines()[-1].split() if text else []
    how = drawn.rng.choice(("end", "end", "end", "earlier", "earlier", "changed", "none"))
    if how == "none" or not tail:
        return {"end_phrase": drawn.rng.choice(ENDINGS)}
    if how == "earlier":
        parts = sentences(text)
        before = text[slice(*drawn.rng.choice(parts[-3:-1] or parts))].split() if parts else tail
        return {"end_phrase": " ".join(before[-drawn.rng.randint(2, 6) :]) or "The end."}
    last = tail[-drawn.rng.randint(1, 7) :]
    if how == "changed":
        last[drawn.rng.randrange(len(last))] = drawn.word(0.5)
    return {"end_phrase": " ".join(last)}


def _capitals(drawn: _Drawn) -> dict[str, Any]:
    count = sum(word.isupper() for word in _CHUNK.findall(drawn.text))
    return {"capital_frequency": drawn.near(count), "capital_relation": drawn.relation()}


def _nothing(drawn: _Drawn) -> dict[str, Any]:
    return {}


_ARGUMENTS: Mapping[str, Callable[[_Drawn], dict[str, Any] | None]] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letter,
    "language:response_language": _language,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _nothing,
    "detectable_format:number_highlighted_sections": _highlighted,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _nothing,
    "detectable_format:title": _nothing,
    "combination:two_responses": _nothing,
    "combination:repeat_prompt": _repeated,
    "startend:end_checker": _end,
    "startend:quotation": _nothing,
    "change_case:capital_word_frequency": _capitals,
    "change_case:english_capital": _nothing,
    "change_case:english_lowercase": _nothing,
    "punctuation:no_comma": _nothing,
}
"""For each rule, arguments that fit a text."""

_SLOW = frozenset({"language:response_language", "change_case:english_capital", "change_case:english_lowercase"})
"""Rules that detect languages."""
