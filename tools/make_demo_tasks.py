"""Write the demo's tasks: src/rtt/data/demo_train.jsonl and demo_heldout.jsonl.

    REQUESTS ----.
                  >-- compose --> task: request + 2 to 5 constraints that can be met together
    KINDS -------'

The tasks are the project's own: every request and every wording below was written for it, none comes from a benchmark.
A constraint names one of the 25 IFEval rule types; its sentence in the prompt is also the criterion's text.

Apart: a request serves the training file or the held-out file, never both, and no combination of constraints
(wordings and arguments) of one file occurs in the other.

Two difficulties: ``easy`` tasks have short constraints that a model of 135 million parameters meets now and then;
``full`` tasks draw on all kinds. The files follow from SEED alone: running this again changes no byte.

    python tools/make_demo_tasks.py            write both files
    python tools/make_demo_tasks.py --check    exit 1 if the files are not what this would write
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

SEED = 20260402
DATA = Path(__file__).resolve().parent.parent / "src" / "rtt" / "data"
HELDOUT_REQUESTS = 96
TASKS = {("train", "easy"): 160, ("train", "full"): 224, ("heldout", "easy"): 96, ("heldout", "full"): 96}
"""Tasks of each file and difficulty; a held-out request serves one easy and one full task."""

Difficulty = Literal["easy", "full"]


@dataclass(frozen=True)
class Request:
    """What is asked for, and three words that an answer may naturally hold (none of them in the request)."""

    text: str
    words: tuple[str, str, str]

    @property
    def is_choice(self) -> bool:
        """Whether yes, no or maybe would answer it."""
        return self.text.split()[0] in {"Is", "Are", "Should", "Can", "Do"}


@dataclass(frozen=True)
class Drawn:
    """A kind of constraint with its arguments chosen.

    Attributes:
        params: the rule's arguments.
        fields: what the wordings may name, beside ``params``.
        words, sentences: the least that a response needs for it; a task's needs are added up.
        most_words, most_sentences: the most that it allows.
        asks, bans: words that a response must hold, and must not.
    """

    params: dict[str, Any]
    fields: dict[str, Any]
    words: int = 0
    sentences: int = 0
    most_words: int | None = None
    most_sentences: int | None = None
    asks: tuple[str, ...] = ()
    bans: tuple[str, ...] = ()


Draw = Callable[[Random, Request, Difficulty], Drawn | None]


@dataclass(frozen=True)
class Kind:
    """One kind of constraint: its rule, its arguments, the ways to say it, and how often each difficulty uses it."""

    name: str
    rule: str
    draw: Draw
    wordings: tuple[str, ...]
    full: float = 1.0
    easy: float = 0.0


def no_arguments(**needs: Any) -> Draw:
    """A rule without arguments."""
    return lambda rng, request, difficulty: Drawn({}, {}, **needs)


def words_less(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """At most so many words; the rule counts ``less than`` one more."""
    most = rng.choice((10, 12, 15, 18, 20)) if difficulty == "easy" else rng.choice((25, 30, 40, 50, 60))
    return Drawn({"num_words": most + 1, "relation": "less than"}, {"most": most, "bound": most + 1}, most_words=most)


def words_least(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """At least so many words."""
    least = rng.choice((15, 20, 30, 40, 50))
    return Drawn({"num_words": least, "relation": "at least"}, {"least": least}, words=least)


def sentences_less(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """At most so many sentences; the rule counts ``less than`` one more."""
    most = rng.choice((1, 2)) if difficulty == "easy" else rng.choice((2, 3, 4))
    plural = "sentence" if most == 1 else "sentences"
    return Drawn(
        {"num_sentences": most + 1, "relation": "less than"},
        {"most": most, "bound": most + 1, "plural": plural},
        most_sentences=most,
    )


def sentences_least(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """At least so many sentences."""
    least = rng.choice((3, 4, 5))
    return Drawn({"num_sentences": least, "relation": "at least"}, {"least": least}, words=5 * least, sentences=least)


def paragraphs(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """So many paragraphs between dividers of three asterisks."""
    count = rng.choice((2, 3))
    return Drawn({"num_paragraphs": count}, {"count": count}, words=8 * count, sentences=count)


def nth_paragraph(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """So many paragraphs between blank lines, one of which starts with a given word."""
    count = rng.choice((2, 3))
    nth = rng.randint(1, count)
    word = rng.choice(("first", "today", "imagine", "perhaps", "finally", "indeed"))
    ordinal = ("first", "second", "third")[nth - 1]
    return Drawn(
        {"num_paragraphs": count, "nth_paragraph": nth, "first_word": word},
        {"count": count, "ordinal": ordinal, "word": word},
        words=8 * count,
        sentences=count,
        asks=(word,),
    )


def keywords(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """One or two of the request's words."""
    count = 1 if difficulty == "easy" else rng.choice((1, 2))
    chosen = rng.sample(request.words[:2], count)
    quoted = " and ".join(f'"{word}"' for word in chosen)
    plural = "word" if count == 1 else "words"
    return Drawn({"keywords": chosen}, {"quoted": quoted, "plural": plural}, words=4 * count, asks=tuple(chosen))


def keyword_frequency(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """One of the request's words, several times."""
    word, least = request.words[0], 2 if difficulty == "easy" else rng.choice((2, 3))
    times = "twice" if least == 2 else "three times"
    return Drawn(
        {"keyword": word, "frequency": least, "relation": "at least"},
        {"word": word, "times": times},
        words=4 * least,
        asks=(word,) * least,
    )


def forbidden(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """Common words to leave out: a violation has an exact place."""
    common = ("and", "the", "is", "of") if difficulty == "easy" else ("and", "very", "good", "with", "but", "can")
    words = [rng.choice(common)] if difficulty == "easy" else rng.sample(common, rng.choice((1, 2)))
    quoted = " or ".join(f'"{word}"' for word in words)
    plural = "word" if len(words) == 1 else "words"
    return Drawn({"forbidden_words": words}, {"quoted": quoted, "plural": plural}, bans=tuple(words))


def letter_least(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """A letter at least so many times."""
    letter, least = rng.choice("dghmpuwy"), rng.choice((3, 4, 5, 6))
    return Drawn(
        {"letter": letter, "let_frequency": least, "let_relation": "at least"},
        {"letter": letter, "least": least},
        words=2 * least,
    )


def letter_less(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """A letter that is not too common at most so many times."""
    letter, most = rng.choice("bfkpvy"), rng.choice((3, 4))
    return Drawn(
        {"letter": letter, "let_frequency": most + 1, "let_relation": "less than"},
        {"letter": letter, "most": most, "bound": most + 1},
        most_words=60,
    )


def language(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """Another language than English."""
    code, name = rng.choice((("fr", "French"), ("de", "German"), ("es", "Spanish"), ("it", "Italian")))
    return Drawn({"language": code}, {"name": name}, words=6)


def placeholders(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """Placeholders in square brackets."""
    least = 1 if difficulty == "easy" else rng.choice((1, 2, 3))
    count = {1: "one placeholder", 2: "two placeholders", 3: "three placeholders"}[least]
    return Drawn({"num_placeholders": least}, {"count": count}, words=3 * least)


def postscript(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """A postscript."""
    marker = "P.S." if difficulty == "easy" else rng.choice(("P.S.", "P.S.", "P.P.S"))
    return Drawn({"postscript_marker": marker}, {"marker": marker}, words=6, sentences=3)  # "P.S." counts as one


def bullets(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """An exact number of bullet points."""
    count = rng.choice((2, 3)) if difficulty == "easy" else rng.choice((2, 3, 4, 5))
    return Drawn({"num_bullets": count}, {"count": count}, words=3 * count, sentences=1)


def highlights(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """Phrases between single asterisks."""
    least = 1 if difficulty == "easy" else rng.choice((1, 2, 3))
    count = {1: "one word or phrase", 2: "two phrases", 3: "three phrases"}[least]
    return Drawn({"num_highlights": least}, {"count": count}, words=3 * least)


def sections(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """Numbered sections."""
    splitter, count = rng.choice(("Section", "Part", "Step")), rng.choice((2, 3))
    return Drawn(
        {"section_spliter": splitter, "num_sections": count},
        {"splitter": splitter, "count": count},
        words=6 * count,
        sentences=count,
    )


def choice(rng: Random, request: Request, difficulty: Difficulty) -> Drawn | None:
    """One of three fixed answers; only for requests that yes or no would answer."""
    if not request.is_choice:
        return None
    return Drawn({}, {}, words=4, sentences=1, asks=("my", "answer", "is", "yes", "no", "maybe"))


def repeat(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """The request itself first."""
    return Drawn(
        {"prompt_to_repeat": request.text},
        {"request": request.text},
        words=len(request.text.split()) + 4,
        sentences=2,
        asks=tuple(words_of(request.text)),
    )


END_PHRASES = ("That is all.", "The end.", "Good luck!", "Thank you.", "Enjoy!")
LONG_END_PHRASES = (*END_PHRASES, "Have a nice day.", "I hope this helps.", "What do you think?", "See you soon.")


def ending(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """An exact ending."""
    phrase = rng.choice(END_PHRASES if difficulty == "easy" else LONG_END_PHRASES)
    asks = tuple(words_of(phrase))
    return Drawn({"end_phrase": phrase}, {"phrase": phrase}, words=len(asks) + 2, sentences=2, asks=asks)


def capitals_least(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """At least so many words in capitals."""
    least = rng.choice((1, 2)) if difficulty == "easy" else rng.choice((2, 3, 4))
    count = {1: "one word", 2: "two words", 3: "three words", 4: "four words"}[least]
    return Drawn(
        {"capital_frequency": least, "capital_relation": "at least"}, {"count": count, "least": least}, words=2 * least
    )


def capitals_less(rng: Random, request: Request, difficulty: Difficulty) -> Drawn:
    """At most so many words in capitals; the rule counts ``less than`` one more."""
    most = rng.choice((1, 2, 3))
    count = {1: "one word", 2: "two words", 3: "three words"}[most]
    return Drawn({"capital_frequency": most + 1, "capital_relation": "less than"}, {"count": count})


KINDS = (
    Kind(
        "words_less",
        "length_constraints:number_words",
        words_less,
        (
            "Use at most {most} words.",
            "Answer in {most} words or fewer.",
            "Write fewer than {bound} words.",
            "Keep it under {bound} words.",
        ),
        full=1.5,
        easy=1.0,
    ),
    Kind(
        "words_least",
        "length_constraints:number_words",
        words_least,
        (
            "Use at least {least} words.",
            "Write {least} words or more.",
            "Your answer should have at least {least} words.",
        ),
    ),
    Kind(
        "sentences_less",
        "length_constraints:number_sentences",
        sentences_less,
        (
            "Use at most {most} {plural}.",
            "Write no more than {most} {plural}.",
            "Answer in fewer than {bound} sentences.",
        ),
        easy=1.0,
    ),
    Kind(
        "sentences_least",
        "length_constraints:number_sentences",
        sentences_least,
        (
            "Write at least {least} sentences.",
            "Use {least} or more sentences.",
            "Your answer needs at least {least} sentences.",
        ),
    ),
    Kind(
        "paragraphs",
        "length_constraints:number_paragraphs",
        paragraphs,
        (
            "Write {count} paragraphs and put *** between them.",
            "Give exactly {count} paragraphs separated by three asterisks (***).",
            "Split the answer into {count} paragraphs with the divider *** between paragraphs.",
        ),
    ),
    Kind(
        "nth_paragraph",
        "length_constraints:nth_paragraph_first_word",
        nth_paragraph,
        (
            'Write {count} paragraphs with a blank line between them. Start the {ordinal} one with the word "{word}".',
            'Use exactly {count} paragraphs separated by two line breaks. The {ordinal} must begin with "{word}".',
        ),
    ),
    Kind(
        "keywords",
        "keywords:existence",
        keywords,
        (
            "Use the {plural} {quoted}.",
            "Include the {plural} {quoted} in your answer.",
            "The {plural} {quoted} must be in the answer.",
        ),
        easy=1.0,
    ),
    Kind(
        "keyword_frequency",
        "keywords:frequency",
        keyword_frequency,
        (
            'Use the word "{word}" at least {times}.',
            'Say "{word}" {times} or more.',
            'The word "{word}" must appear at least {times}.',
        ),
        easy=0.3,
    ),
    Kind(
        "forbidden",
        "keywords:forbidden_words",
        forbidden,
        (
            "Do not use the {plural} {quoted}.",
            "Avoid the {plural} {quoted}.",
            "Never say {quoted}.",
            "Leave out the {plural} {quoted}.",
        ),
        easy=1.0,
    ),
    Kind(
        "letter_least",
        "keywords:letter_frequency",
        letter_least,
        (
            'Use the letter "{letter}" at least {least} times.',
            'The letter "{letter}" should appear {least} or more times.',
        ),
        full=0.6,
    ),
    Kind(
        "letter_less",
        "keywords:letter_frequency",
        letter_less,
        (
            'Use the letter "{letter}" at most {most} times.',
            'The letter "{letter}" should appear fewer than {bound} times.',
        ),
        full=0.6,
    ),
    Kind(
        "language",
        "language:response_language",
        language,
        (
            "Answer in {name}.",
            "Write the whole answer in {name}.",
            "Use only the {name} language.",
        ),
        full=0.6,
    ),
    Kind(
        "placeholders",
        "detectable_content:number_placeholders",
        placeholders,
        (
            "Include at least {count} in square brackets such as [name].",
            "Use at least {count} written like [date].",
            "Leave at least {count} in square brackets to be filled in.",
        ),
        easy=0.5,
    ),
    Kind(
        "postscript",
        "detectable_content:postscript",
        postscript,
        (
            'Add a postscript that starts with "{marker}".',
            'Finish with a note beginning with "{marker}".',
            'Add a final line that begins with "{marker}".',
        ),
        easy=0.5,
    ),
    Kind(
        "bullets",
        "detectable_format:number_bullet_lists",
        bullets,
        (
            "Use exactly {count} bullet points written like this: * This is a point.",
            "Answer with exactly {count} bullets that each start with an asterisk (*).",
            "Give {count} bullet points that each begin with an asterisk and a space.",
        ),
        easy=0.6,
    ),
    Kind(
        "highlights",
        "detectable_format:number_highlighted_sections",
        highlights,
        (
            "Put at least {count} between asterisks like *this*.",
            "Highlight at least {count} with asterisks as in *example*.",
            "Mark at least {count} with single asterisks like *so*.",
        ),
        easy=0.5,
    ),
    Kind(
        "sections",
        "detectable_format:multiple_sections",
        sections,
        (
            "Divide the answer into {count} parts marked {splitter} 1 to {splitter} {count}.",
            'Write {count} sections. Start each with "{splitter}" and its number as in "{splitter} 1".',
        ),
    ),
    Kind(
        "title",
        "detectable_format:title",
        no_arguments(words=2),
        (
            "Give it a title in double angle brackets like <<My Title>>.",
            "Add a title written like <<title>>.",
            "Wrap a title in << and >>.",
        ),
        easy=0.5,
    ),
    Kind(
        "choice",
        "detectable_format:constrained_response",
        choice,
        (
            'Answer with one of these: "My answer is yes." or "My answer is no." or "My answer is maybe."',
            'Your answer must contain exactly one of "My answer is yes." / "My answer is no." / "My answer is maybe."',
        ),
        full=4.0,  # only for the few requests that are yes-or-no questions
    ),
    Kind(
        "json",
        "detectable_format:json_format",
        no_arguments(words=3),
        (
            "Write the whole answer as JSON.",
            "Your entire output must be one valid JSON object.",
            "Reply in JSON format only.",
        ),
    ),
    Kind(
        "two_responses",
        "combination:two_responses",
        no_arguments(words=10, sentences=2),
        (
            "Give two different answers separated by six asterisks (******).",
            "Write two different responses and put ****** between them.",
        ),
    ),
    Kind(
        "repeat",
        "combination:repeat_prompt",
        repeat,
        (
            'Begin by repeating "{request}" word for word and then answer it.',
            'First copy this request unchanged: "{request}" Then give your answer.',
        ),
    ),
    Kind(
        "ending",
        "startend:end_checker",
        ending,
        (
            'End with "{phrase}".',
            'The last words must be "{phrase}".',
            'Finish your answer with the words "{phrase}".',
            'Close with exactly "{phrase}" and write nothing after it.',
        ),
        easy=1.0,
    ),
    Kind(
        "quotation",
        "startend:quotation",
        no_arguments(),
        (
            "Put the whole answer in double quotation marks.",
            "Wrap your entire answer in double quotes.",
            'Start and end your answer with a double quotation mark (").',
        ),
    ),
    Kind(
        "capitals_least",
        "change_case:capital_word_frequency",
        capitals_least,
        (
            "Write at least {count} in ALL CAPITAL letters.",
            "Use capital letters only for at least {count} like THIS.",
            "Shout at least {count} in full capitals.",
        ),
        full=0.6,
        easy=0.5,
    ),
    Kind(
        "capitals_less",
        "change_case:capital_word_frequency",
        capitals_less,
        (
            "Write at most {count} in all capital letters.",
            "No more than {count} may be in ALL CAPS.",
        ),
        full=0.6,
    ),
    Kind(
        "uppercase",
        "change_case:english_capital",
        no_arguments(words=4),
        (
            "Write in English and in capital letters only.",
            "Use ALL CAPITAL LETTERS for the whole English answer.",
            "Your English answer must have no small letters.",
        ),
    ),
    Kind(
        "lowercase",
        "change_case:english_lowercase",
        no_arguments(words=4),
        (
            "Write in English and in lowercase only.",
            "Use only small letters in your English answer.",
            "Your English answer must have no capital letters.",
            "Write all in lowercase English.",
        ),
        easy=0.3,
    ),
    Kind(
        "no_comma",
        "punctuation:no_comma",
        no_arguments(),
        (
            "Do not use any commas.",
            "Use no commas.",
            "Write without commas.",
            "Avoid commas in your answer.",
        ),
        full=1.5,
        easy=1.0,
    ),
)

ONE_OF = (
    {"lowercase", "uppercase", "capitals_least"},
    {"lowercase", "uppercase", "capitals_less"},
    {"paragraphs", "nth_paragraph", "two_responses", "sections", "bullets", "json"},
    {
        "paragraphs",
        "two_responses",
        "bullets",
        "highlights",
        "json",
    },  # all of them give asterisks a meaning, or no place
    {"repeat", "choice", "two_responses", "json", "quotation"},  # each wants the response's first characters
    {"repeat", "nth_paragraph", "quotation"},
    {"postscript", "ending", "json"},  # each wants the response's last characters
    {"sentences_less", "paragraphs", "nth_paragraph", "two_responses", "sections", "bullets", "json"},
    {"sentences_less", "sentences_least", "words_least"},
    {
        "letter_less",
        "words_least",
        "sentences_least",
        "paragraphs",
        "nth_paragraph",
        "sections",
        "two_responses",
        "repeat",
    },
)
"""At most one of each set in a task."""

CONFLICTS = {
    "json": {"title", "placeholders", "sentences_least", "no_comma", "postscript", "quotation", "capitals_least"},
    "language": {
        *("keywords", "keyword_frequency", "forbidden", "letter_least", "letter_less", "lowercase", "uppercase"),
        *("ending", "choice", "repeat", "nth_paragraph", "sections", "json", "title", "highlights", "placeholders"),
        *("capitals_least", "capitals_less"),
    },
    "choice": {"lowercase", "uppercase"},
    "repeat": {"lowercase", "uppercase"},
    "sections": {"lowercase", "uppercase", "choice", "quotation"},
    "quotation": {"bullets", "two_responses", "nth_paragraph", "paragraphs"},
    "two_responses": {"postscript", "title", "ending"},
    "nth_paragraph": {"title", "postscript", "ending", "choice", "bullets"},
}
"""Pairs that contradict each other, or that no sensible response meets together; either order."""


def compatible(one: Kind, other: Kind) -> bool:
    """Whether two kinds may stand in one task; two of one rule may not."""
    if one.rule == other.rule:
        return False
    if other.name in CONFLICTS.get(one.name, ()) or one.name in CONFLICTS.get(other.name, ()):
        return False
    return not any(one.name in group and other.name in group for group in ONE_OF)


def feasible(chosen: Sequence[Drawn], request: Request) -> bool:
    """Whether the lengths leave room for every part, and no asked word is banned."""
    words = 4 + sum(drawn.words for drawn in chosen)
    sentences = max(1, sum(drawn.sentences for drawn in chosen))
    if any(drawn.most_words is not None and words > drawn.most_words for drawn in chosen):
        return False
    if any(drawn.most_sentences is not None and sentences > drawn.most_sentences for drawn in chosen):
        return False
    banned = {word for drawn in chosen for word in drawn.bans}
    return not banned & {word for drawn in chosen for word in drawn.asks}


def compose(rng: Random, request: Request, difficulty: Difficulty, used: Counter[str]) -> list[tuple[Kind, Drawn, str]]:
    """Choose constraints that can be met together; kinds used little so far come first more often."""
    count = rng.choices((2, 3, 4), (4, 5, 1))[0] if difficulty == "easy" else rng.choices((2, 3, 4, 5), (3, 4, 3, 2))[0]
    while True:
        chosen: list[tuple[Kind, Drawn, str]] = []
        for _ in range(12 * count):
            weights = [getattr(kind, difficulty) / (1 + used[kind.name] / 4) for kind in KINDS]
            kind = rng.choices(KINDS, weights)[0]
            drawn = kind.draw(rng, request, difficulty)
            wording = rng.choice(kind.wordings)
            if drawn is None or not all(compatible(kind, other) for other, _, _ in chosen):
                continue
            if not feasible([*(other for _, other, _ in chosen), drawn], request):
                continue
            chosen.append((kind, drawn, wording.format(**drawn.fields)))
            if len(chosen) == count:
                rng.shuffle(chosen)
                used.update(kind.name for kind, _, _ in chosen)
                return chosen


def prompt(rng: Random, request: Request, texts: Sequence[str], difficulty: Difficulty) -> str:
    """The request with its constraints: as sentences (always for easy tasks), as a list, or with the rules first."""
    layout = "sentences" if difficulty == "easy" else rng.choice(("sentences", "sentences", "list", "first"))
    if layout == "list":
        return f"{request.text}\n\nFollow these rules:\n" + "\n".join(f"- {text}" for text in texts)
    if layout == "first":
        return f"{' '.join(texts)}\n\n{request.text}"
    return " ".join((request.text, *texts))


def tasks(
    rng: Random, split: str, requests: Sequence[Request], taken: set[tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """The tasks of one file, easy ones first; ``taken`` gains their combinations of constraint texts."""
    here: set[tuple[str, ...]] = set()
    number = 0
    for difficulty in ("easy", "full"):
        used: Counter[str] = Counter()
        for turn in range(TASKS[split, difficulty]):
            request = requests[turn % len(requests)]
            chosen = compose(rng, request, difficulty, used)
            while tuple(sorted(text for _, _, text in chosen)) in taken:
                chosen = compose(rng, request, difficulty, used)
            here.add(tuple(sorted(text for _, _, text in chosen)))
            number += 1
            yield {
                "id": f"demo/{split}/{number:04d}",
                "messages": [
                    {
                        "role": "user",
                        "content": prompt(rng, request, [text for _, _, text in chosen], difficulty),
                    }
                ],
                "criteria": [
                    {
                        "id": f"c{index}",
                        "kind": "rule",
                        "text": text,
                        "rule": f"ifeval:{kind.rule}",
                        "params": drawn.params,
                    }
                    for index, (kind, drawn, text) in enumerate(chosen, start=1)
                ],
                "meta": {"split": split, "difficulty": difficulty, "request": request.text},
            }
    taken |= here


def files() -> dict[str, bytes]:
    """Both files, by name."""
    rng = Random(SEED)
    requests = read_requests()
    rng.shuffle(requests)
    parts = {"train": requests[HELDOUT_REQUESTS:], "heldout": requests[:HELDOUT_REQUESTS]}
    taken: set[tuple[str, ...]] = set()
    return {
        f"demo_{split}.jsonl": "".join(
            json.dumps(task, ensure_ascii=False) + "\n" for task in tasks(rng, split, part, taken)
        ).encode()
        for split, part in parts.items()
    }


def read_requests() -> list[Request]:
    """The requests, in the order written."""
    requests = []
    for line in REQUESTS.strip().splitlines():
        text, _, words = line.partition(" | ")
        first, second, third = words.split()
        requests.append(Request(text, (first, second, third)))
    return requests


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return re.findall(r"\w+", text.lower())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or check them: 0 if they are as this script writes them, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    options = parser.parse_args(arguments)
    stale = []
    for name, content in files().items():
        path = DATA / name
        if options.check:
            if not path.is_file() or path.read_bytes() != content:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"{path}: {content.count(bytes([10]))} tasks")
    if stale:
        print(f"differ from what this script writes: {', '.join(stale)}; run it without --check", file=sys.stderr)
    return 1 if stale else 0


REQUESTS = """
Describe a lantern in the rain. | glow light night
Describe a quiet library. | books shelf silence
Describe a busy fish market. | noise boat fresh
Describe an old wooden bridge. | river planks moss
Describe the smell of fresh bread. | warm oven butter
Describe a snowy mountain village. | roofs smoke winter
Describe a cat asleep on a sofa. | soft fur dream
Describe the sea before a storm. | waves dark wind
Describe a desert at night. | stars sand cold
Describe a garden in spring. | flowers bees green
Describe a train station at dawn. | platform people morning
Describe a lighthouse on a cliff. | beam rocks ships
Describe the taste of a ripe mango. | sweet juice summer
Describe a child's first bicycle. | wheels bell red
Describe a forest after the rain. | leaves drops fresh
Describe an attic full of old toys. | dust box memory
Describe a violin in its case. | strings wood music
Describe a foggy morning by a lake. | mist water calm
Describe a street musician in winter. | song coat coins
Describe a kite over a green hill. | sky string wind
Describe a harbour at sunset. | boats gold water
Describe a bakery window. | cakes glass sugar
Describe a night train through the mountains. | tunnel window moon
Describe a small island with one tree. | shore shade waves
Describe the sound of a waterfall. | roar river rocks
Describe a clockmaker's workshop. | gears tools time
Describe an orange fox in the snow. | tail tracks white
Describe a field of sunflowers. | yellow summer bees
Describe a cup of tea on a cold day. | warm leaf steam
Describe a robot that waters plants. | metal garden leaves
Describe an owl in a barn. | wings hay night
Describe a rooftop in a big city. | lights view towers
Describe a rainbow over a farm. | colors barn sky
Describe a campfire with friends. | flames stories stars
Describe a frozen pond. | ice skates winter
Describe a market stall with spices. | pepper color scent
Describe a dragon who is afraid of mice. | wings cave tiny
Describe a sleepy town on a Sunday. | bells quiet street
Describe a hot air balloon ride. | basket clouds view
Describe a painter at work. | brush canvas color
Explain why leaves fall in autumn. | trees cold light
Explain how a kettle works. | heat water steam
Explain why the sky is blue. | light air sun
Explain how bees make honey. | flowers hive nectar
Explain why we need sleep. | rest brain body
Explain how a sail moves a boat. | wind force water
Explain what a shadow is. | light dark shape
Explain how to tie a shoe. | loop lace knot
Explain why ice floats on water. | dense light cold
Explain how a seed becomes a tree. | soil roots sun
Explain what a map is for. | place road way
Explain how a bicycle stays upright. | balance wheels speed
Explain why cats purr. | happy calm sound
Explain how a candle burns. | wax wick flame
Explain what the moon does to the sea. | tide pull water
Explain how bread rises. | yeast gas dough
Explain why we have seasons. | earth sun tilt
Explain how a bridge carries weight. | beams force strong
Explain what a library card is for. | books borrow read
Explain how birds find their way south. | stars sun winter
Explain why onions make us cry. | eyes gas cut
Explain how a mirror shows a face. | light glass surface
Explain what a compass does. | north needle way
Explain how rain is made. | clouds drops vapor
Explain why metal rusts. | iron water air
Explain how a thermos keeps soup warm. | heat wall vacuum
Explain what an echo is. | sound wall wave
Explain how a zipper works. | teeth slider lock
Explain why people shake hands. | trust greet friend
Explain how glasses help the eyes. | lens light clear
Write a birthday wish for a teacher. | happy thank year
Write a note to a new neighbour. | welcome street home
Write a short poem about the wind. | leaves sky song
Write a line for a get well card. | rest soon health
Write an invitation to a picnic. | food park sunny
Write a thank you note to a bus driver. | safe ride kind
Write a message to a friend who moved away. | miss home visit
Write a slogan for a bicycle shop. | ride wheels road
Write a short story about a lost key. | door found pocket
Write a weather report for a rainy day. | clouds umbrella wet
Write a short advert for a used guitar. | strings music price
Write a caption for a photo of a puppy. | cute play happy
Write a reply to a job offer. | thank start team
Write a short diary entry about a hike. | trail hill tired
Write a toast for a wedding. | love happy glass
Write a sign for a lemonade stand. | cold sweet cup
Write a short speech for a school play. | stage welcome show
Write a note to say you will be late. | sorry minutes wait
Write a short poem about a river. | water flow stone
Write a review of a small cafe. | coffee cozy friendly
Write a riddle about a clock. | hands face time
Write a postcard from the beach. | sun sand waves
Write a short bedtime story about a bear. | forest sleep honey
Write a text message to cancel a dinner. | sorry tonight soon
Write a short letter to your future self. | hope dream years
Write a few lines about a rainy window. | drops glass gray
Write a notice about a lost umbrella. | black found please
Write a welcome message for a museum. | art visit history
Write a short story about a brave ant. | hill leaf strong
Write a line of praise for a good cook. | taste dish kitchen
Write a short poem about a snowflake. | white cold fall
Write an apology for a broken vase. | sorry glass careful
Write a tip for new gardeners. | soil water seeds
Write a short story about two clouds. | sky rain friends
Write a farewell to a colleague. | luck team miss
Write a product text for a warm blanket. | soft wool night
Write a short scene in an elevator. | doors floor button
Write a motto for a swimming club. | water strong team
Write a note to a forgetful roommate. | keys dishes please
Write a short legend about a mountain. | giant stone snow
Tell me about your favourite season. | warm leaves days
Tell me a fact about penguins. | ice swim birds
Tell me a fact about the sun. | star heat light
Tell me a fact about elephants. | trunk memory large
Tell me a fun fact about bananas. | fruit yellow plant
Tell me a short joke about a chicken. | road cross egg
Tell me how to boil an egg. | water minutes pot
Tell me how to plant a tulip. | bulb soil spring
Tell me how to make a paper boat. | fold sheet corner
Tell me how to calm a crying baby. | hold song gentle
Tell me how to clean a window. | cloth soap water
Tell me how to greet a guest. | smile welcome hand
Tell me what astronauts eat. | food space packs
Tell me what a good friend does. | listen help trust
Tell me what to see in Paris. | tower museum river
Tell me what to cook with potatoes. | butter salt oven
Tell me about a day in the life of a baker. | dough early oven
Tell me about the first snow of the year. | white cold children
Tell me about a dog who loved music. | song tail piano
Tell me about the life of a butterfly. | wings flower egg
Tell me about a ship in a bottle. | glass sails tiny
Tell me about the colour green. | grass leaf calm
Tell me about a town without clocks. | time people sun
Tell me why reading is good for you. | books mind learn
Tell me why friends matter. | trust help joy
Tell me why people travel. | learn places new
Tell me why trees are useful. | air shade wood
Tell me what makes a good story. | hero plot end
Tell me what you know about whales. | ocean large song
Tell me what to pack for a rainy trip. | coat boots umbrella
Suggest a name for a small black cat. | night shadow cute
Suggest a gift for a grandmother. | scarf flowers photo
Suggest a game for a long car trip. | guess words road
Suggest a healthy breakfast. | oats fruit milk
Suggest a hobby for rainy days. | paint read puzzle
Suggest a title for a book about the sea. | waves deep blue
Suggest a way to save water at home. | shower tap short
Suggest a way to learn new words. | cards read daily
Suggest a walk for a sunny afternoon. | park river path
Suggest a snack for a movie night. | popcorn salt sweet
Suggest a plan for a quiet weekend. | book tea walk
Suggest a song topic for children. | animals play sun
Suggest a costume for a party. | hat mask pirate
Suggest a way to thank a nurse. | card flowers kind
Suggest a first dish to learn. | pasta soup easy
Suggest a way to wake up early. | alarm sleep light
Suggest a science project for kids. | plant magnet water
Suggest a place to read outside. | bench tree park
Suggest a way to keep a desk tidy. | box paper pens
Suggest a topic for a short talk. | history nature idea
Suggest a pet for a small flat. | fish cat quiet
Suggest a present for a music fan. | record ticket guitar
Suggest a colour for a kitchen wall. | yellow warm bright
Suggest a way to say sorry. | honest flowers words
Give me advice for a job interview. | early smile prepare
Give me advice for a first marathon. | train rest water
Give me advice on saving money. | budget spend month
Give me advice on growing tomatoes. | sun soil water
Give me advice on making new friends. | smile listen club
Give me advice on staying calm. | breathe slow walk
Give me advice on buying a used car. | test price engine
Give me advice on learning the piano. | practice slow daily
Give me a recipe for tomato soup. | onion salt heat
Give me a recipe for pancakes. | flour eggs milk
Give me a recipe for a fruit salad. | apple bowl fresh
Give me a recipe for hot chocolate. | milk cocoa sugar
Give me three uses for an old jar. | flowers coins candle
Give me three ideas for a school trip. | museum farm park
Give me three reasons to drink water. | health skin energy
Give me three tips for better sleep. | dark quiet early
Give me three rules for a classroom. | listen respect quiet
Give me three names for a sailing boat. | wind star sea
Give me three facts about the heart. | blood pump body
Give me three words for happy. | joy glad cheerful
Give me three things to do in a park. | walk picnic play
Give me three jobs at an airport. | pilot guard crew
Give me three animals that live in ice. | seal bear penguin
Give me three good habits. | read walk sleep
How do I make a cup of coffee? | beans hot water
How do I wrap a present? | paper tape ribbon
How do I teach a dog to sit? | treat reward patient
How do I remove a coffee stain? | soap cloth cold
How do I start a book club? | friends read meet
How do I keep flowers fresh? | water vase cut
How do I write a good email? | clear short subject
How do I pack a suitcase? | clothes roll shoes
How do I make friends at a new school? | smile talk join
How do I take a good photo? | light focus frame
How do I cook rice? | water pot minutes
How do I build a sandcastle? | bucket wet tower
How do I fix a squeaky door? | oil hinge clean
How do I clean a bicycle? | soap chain cloth
How do I say hello in a letter? | dear greet name
How do I read a bus timetable? | stop hour route
Why do people like chocolate? | sweet taste sugar
Why do dogs wag their tails? | happy mood greet
Why do we laugh? | joy friends funny
Why do stars twinkle? | air light sky
Why is the sea salty? | rivers rocks minerals
Why do we need bees? | flowers food pollen
Why do some people collect stamps? | history hobby countries
Why are deserts hot by day? | sun dry sand
Why do we dream? | sleep mind memory
Why are maps useful? | road place find
Why do musicians practise? | skill better hands
Why do plants need light? | energy sun leaves
What is a good way to start the day? | breakfast walk smile
What is the job of a librarian? | books help readers
What is a volcano? | lava rock hot
What is the use of a calendar? | days plan month
What is a rainbow made of? | light drops colors
What is the best thing about winter? | snow warm tea
What is a healthy lunch? | salad bread fruit
What is a good name for a blue parrot? | sky feather bird
What makes a city pleasant? | parks people clean
What makes a good teacher? | patient kind listen
What can I do with old newspapers? | wrap paint fold
What can we learn from ants? | team work strong
What should I bring to a picnic? | blanket food drinks
What should I wear to a wedding? | suit dress shoes
What should a new driver know? | signs speed safe
What does a lawyer do? | court client rules
Is it better to read in the morning or at night? | quiet sleep light
Is a bicycle a good gift for a child? | ride safe fun
Is chess a sport? | mind game skill
Is it healthy to drink tea every day? | water calm leaf
Is winter a good time to visit the sea? | cold waves quiet
Is a cat easier to keep than a dog? | walk food quiet
Is it rude to arrive early? | host time polite
Is dancing good exercise? | heart music body
Are robots good at cooking? | kitchen taste machine
Are long meetings useful? | time work people
Are plants good for an office? | air green calm
Are trains better than planes? | slow view cheap
Should children have a pet? | care learn love
Should I learn to swim? | water safe fun
Should we grow food in cities? | garden fresh roof
Should shops close on Sundays? | rest family work
Should I bake my own bread? | dough oven fresh
Should schools start later? | sleep morning learn
Can people live on the moon? | air water cold
Can music help us study? | focus calm sound
Can a fish feel the rain? | water drops surface
Can we learn from mistakes? | try better grow
Do ducks sleep at night? | pond rest wings
Do people need holidays? | rest travel family
"""
"""``request | three words``, a line each."""


if __name__ == "__main__":
    sys.exit(main())
