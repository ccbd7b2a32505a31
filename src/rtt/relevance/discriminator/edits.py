"""Edits: texts changed so that they have what models seldom write, and criteria find something to point at.

    EDITS      name -> edit(text, rng)     bullets, bold, titles, postscripts, capitals, fences, two answers, ...
    enrich     0 to 3 edits, one after the other; one of the text's shape comes last
    plant      what a criterion of a given kind can point at

A small chat model answers in plain sentences. A discriminator that learned from these alone would never have seen a
postscript or a code fence; each edit plants one thing, where a person would, and leaves the rest of the text as it was.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

from rtt.relevance.discriminator.patterns import PATTERNS, Pattern, lines, paragraphs, sentences, words

Edit = Callable[[str, Random], str]
"""From a text to one that has something more, or less; the same text where there is nothing to edit."""

REQUESTS: tuple[str, ...] = (
    "Write a short story about a lighthouse keeper.",
    "Give me three tips for a good night's sleep.",
    "Explain how rainbows form, in simple words.",
    "Write an email to my boss about a day off.",
    "What should I pack for a weekend in the mountains?",
    "Describe your favourite season and say why you like it.",
    "Compose a poem about the sea at night.",
    "Summarise the plot of a famous novel in a few sentences.",
    "How do I teach my dog to sit?",
    "List the advantages of learning a second language.",
    "Can you recommend a recipe for a quick dinner?",
    "Write a product description for a new pair of running shoes.",
    "Tell me about the history of the bicycle.",
    "Plan a birthday party for a ten-year-old.",
    "Why is the sky blue?",
    "Write a cover letter for a job as a librarian.",
)
"""Requests that :func:`enrich` repeats before an answer, and that criteria ask to be repeated."""


def enrich(text: str, rng: Random) -> str:
    """The text with none, one, two or three edits, fewer being likelier; one that changes its shape comes last.

    Args:
        text: any text that is not blank.
        rng: the same state, the same result.
    """
    edited = text
    small = rng.choices((0, 1, 2), (25, 45, 30))[0]
    for _ in range(small):
        edited = _applied(rng.choices(_SMALL, _SMALL_WEIGHTS)[0], edited, rng)
    if rng.random() < 0.3:
        edited = _applied(rng.choices(_LARGE, _LARGE_WEIGHTS)[0], edited, rng)
    return edited


def plant(text: str, kinds: Sequence[str], rng: Random) -> str:
    """The text with something that criteria of these kinds can point at.

    What changes the shape of the whole text comes last, and once: a sentence that is planted after a text was made JSON
    would unmake it.

    Args:
        text: any text that is not blank.
        kinds: rules and patterns; those that nothing is known for are passed over.
        rng: the same state, the same result.
    """
    shapes: list[str] = []
    for kind in kinds:
        if kind in _PLANTING:
            name = rng.choice(_PLANTING[kind])
            if name in _LARGE:
                shapes.append(name)
            else:
                text = _applied(name, text, rng)
        elif can_plant(kind):
            for _ in range(rng.choice((1, 1, 2, 3))):
                text = _insert_sentence(text, rng, _sentence(rng.choice(_planting(kind)), rng))
    return _applied(rng.choice(shapes), text, rng) if shapes else text


def can_plant(kind: str) -> bool:
    """Whether :func:`plant` knows something for this kind."""
    return kind in _PLANTING or (kind in PATTERNS and bool(_planting(kind)))


def _applied(name: str, text: str, rng: Random) -> str:
    edited = EDITS[name](text, rng)
    return edited if edited.strip() else text


# ------------------------------------------------------------------------------------------------- planted in a text


def bullets(text: str, rng: Random) -> str:
    """Some sentences in a row become bullet points."""
    mark = rng.choice("**--")
    return _listed(text, rng, lambda k: f"{mark} ")


def numbered(text: str, rng: Random) -> str:
    """Some sentences in a row become numbered items."""
    close = rng.choice((".", ".", ")"))
    return _listed(text, rng, lambda k: f"{k + 1}{close} ")


def labelled(text: str, rng: Random) -> str:
    """Some sentences stand on lines of their own that open with a label, such as "Note:"."""
    labels = ("Note", "Tip", "Example", "Summary", "Warning", "Goal", "Result", "Answer", "Step", "Reason")
    bold = rng.random() < 0.3
    return _listed(text, rng, lambda k: f"**{rng.choice(labels)}:** " if bold else f"{rng.choice(labels)}: ")


def _listed(text: str, rng: Random, marker: Callable[[int], str]) -> str:
    parts = sentences(text)
    if len(parts) < 2:
        return marker(0) + text.strip()
    size = rng.randint(2, min(6, len(parts)))
    first = rng.randint(0, len(parts) - size)
    chosen = parts[first : first + size]
    items = "\n".join(marker(k) + " ".join(text[slice(*part)].split()) for k, part in enumerate(chosen))
    before, after = text[: chosen[0][0]].rstrip(), text[chosen[-1][1] :].lstrip()
    gap = rng.choice(("\n", "\n\n"))
    return gap.join(piece for piece in (before, items, after) if piece)


def highlights(text: str, rng: Random) -> str:
    """Some words or short phrases are set in bold or highlighted."""
    mark = rng.choice(("*", "**", "**"))
    return _wrap_words(text, rng, mark, mark, rng.randint(1, 4), rng.choice((1, 1, 2, 3)))


def code(text: str, rng: Random) -> str:
    """A word or two stand in backticks."""
    return _wrap_words(text, rng, "`", "`", rng.randint(1, 2), 1)


def quotes(text: str, rng: Random) -> str:
    """A phrase stands in quotation marks."""
    opens, closes = rng.choice((('"', '"'), ("“", "”")))
    return _wrap_words(text, rng, opens, closes, 1, rng.randint(1, 5))


def placeholders(text: str, rng: Random) -> str:
    """Some words give way to placeholders in square brackets."""
    names = ("name", "address", "date", "city", "company", "phone number", "your name", "Time", "Topic", "email")
    return _replace_words(text, rng, rng.randint(1, 4), lambda word: f"[{rng.choice(names)}]")


def capital_words(text: str, rng: Random) -> str:
    """Some words are in capitals."""
    return _replace_words(text, rng, rng.randint(1, 6), str.upper)


def capital_sentence(text: str, rng: Random) -> str:
    """One sentence is in capitals."""
    return _replace_part(text, rng, sentences(text), str.upper)


def parentheses(text: str, rng: Random) -> str:
    """A remark in parentheses follows a word."""
    remarks = ("see below", "of course", "as far as I know", "and this matters", "at least for now", "or so they say",
               "more on this later", "in most cases", "about 20 of them")  # fmt: skip
    return _replace_words(text, rng, rng.randint(1, 2), lambda word: f"{word} ({rng.choice(remarks)})")


def exclaimed(text: str, rng: Random) -> str:
    """Some sentences end with an exclamation mark."""
    ends = [match.start() for match in re.finditer(r"\.(?=\s|$)", text)]
    chosen = set(rng.sample(ends, min(len(ends), rng.randint(1, 3))))
    return "".join("!" if at in chosen else character for at, character in enumerate(text))


def ellipses(text: str, rng: Random) -> str:
    """A sentence trails off."""
    ends = [match.start() for match in re.finditer(r"\.(?=\s|$)", text)]
    at = rng.choice(ends) if ends else len(text)
    return text[:at] + rng.choice(("...", "…")) + text[at + 1 :]


def semicolons(text: str, rng: Random) -> str:
    """Two sentences become one with a semicolon between them."""
    return _joined(text, rng, "; ")


def dashes(text: str, rng: Random) -> str:
    """Two sentences become one with a dash between them."""
    return _joined(text, rng, rng.choice((" – ", " — ", " - ")))


def _joined(text: str, rng: Random, mark: str) -> str:
    ends = list(re.finditer(r"\. (?=[A-Z][a-z])", text))
    if not ends:
        return text
    at = rng.choice(ends)
    joined = text[at.end()].lower() + text[at.end() + 1 :]
    return text[: at.start()] + mark + joined


def emoji(text: str, rng: Random) -> str:
    """One to three emoji stand after sentences."""
    for _ in range(rng.randint(1, 3)):
        parts = sentences(text)
        at = rng.choice(parts)[1] if parts else len(text)
        text = f"{text[:at]} {rng.choice('😀🎉🌟👍🚀🌍🍎🐶💡📚✨🔥')}{text[at:]}"
    return text


def repeated_keyword(text: str, rng: Random) -> str:
    """A word of the text is repeated in sentences of its own."""
    pool = [text[slice(*word)] for word in words(text) if word[1] - word[0] > 3]
    if not pool:
        return text
    word = rng.choice(pool).lower()
    tails = (f"Again: {word}.", f"It all comes down to {word}.", f"Remember the {word}.", f"And {word}, once more.",
             f"{word.capitalize()} matters here.", f"Think of {word} first.")  # fmt: skip
    for tail in rng.sample(tails, rng.randint(1, 3)):
        text = _insert_sentence(text, rng, tail)
    return text


def planted_sentence(text: str, rng: Random) -> str:
    """One to three sentences stand in the text that have something that is rare elsewhere."""
    for _ in range(rng.randint(1, 3)):
        text = _insert_sentence(text, rng, _sentence(rng.choice(_SENTENCES), rng))
    return text


def no_commas(text: str, rng: Random) -> str:
    """The commas are gone, all of them or all but one or two."""
    commas = [at for at, character in enumerate(text) if character == ","]
    kept = set(rng.sample(commas, min(len(commas), rng.choice((0, 0, 1, 2)))))
    return "".join(character for at, character in enumerate(text) if character != "," or at in kept)


def dropped_sentence(text: str, rng: Random) -> str:
    """A sentence is gone."""
    parts = sentences(text)
    if len(parts) < 2:
        return text
    start, end = rng.choice(parts)
    return (text[:start] + text[end:].lstrip(" ")).strip()


def shortened(text: str, rng: Random) -> str:
    """Only the first few sentences are left."""
    parts = sentences(text)
    return text[: parts[min(rng.randint(1, 3), len(parts)) - 1][1]] if parts else text


def shuffled(text: str, rng: Random) -> str:
    """The sentences of one paragraph stand in another order."""
    parts = paragraphs(text)
    if not parts:
        return text
    start, end = rng.choice(parts)
    pieces = [" ".join(text[start:end][slice(*part)].split()) for part in sentences(text[start:end])]
    rng.shuffle(pieces)
    return text[:start] + " ".join(pieces) + text[end:] if pieces else text


def title(text: str, rng: Random) -> str:
    """A title in double angular brackets, or a heading, stands above."""
    name = _title_of(text, rng)
    head = rng.choice(
        (
            f"<<{name}>>",
            f"<<{name}>>",
            f"<<{name}>>",
            f"<<{name}>>",
            f"<<{name.lower()}>>",
            f"# {name}",
            f"## {name}",
            f"**{name}**",
        )
    )
    return f"{head}{rng.choice((chr(10), chr(10) * 2))}{text}"


def postscript(text: str, rng: Random) -> str:
    """A postscript stands below."""
    marker = rng.choice(("P.S.", "P.S.", "P.S.", "P.P.S", "P.P.S", "P. S.", "PS:"))
    return f"{text.rstrip()}\n\n{marker} {_sentence(rng.choice(_SENTENCES), rng)}"


def greeting(text: str, rng: Random) -> str:
    """A greeting or an apology comes first, perhaps a farewell last."""
    first = rng.choice(("Hello!", "Hi there,", "Dear reader,", "Good morning!", "Sorry for the late answer.",
                        "Thank you for your question.", "Hey!", "I apologise for the wait."))  # fmt: skip
    last = rng.choice(("", "", "\n\nBest regards,\nAnna", "\n\nGoodbye!", "\n\nTake care!", "\n\nYours truly,\nSam"))
    return f"{first}{rng.choice((' ', chr(10), chr(10) * 2))}{text.rstrip()}{last}"


def last_phrase(text: str, rng: Random) -> str:
    """A set phrase comes last, or last but for one more sentence."""
    phrase = rng.choice(ENDINGS)
    more = rng.choice(("", "", "", f" {_sentence(rng.choice(_SENTENCES), rng)}", "!", " Really."))
    return f"{text.rstrip()}{rng.choice((' ', chr(10) * 2))}{phrase}{more}"


ENDINGS: tuple[str, ...] = (
    "Is there anything else I can help with?",
    "Any other questions?",
    "That is all you need!",
    "Let me know what you think.",
    "Hope this helps.",
    "Have a nice day!",
    "The end.",
    "Follow your heart.",
    "So be it.",
    "Peace!",
)
"""Phrases that texts end with."""

_SENTENCES: tuple[str, ...] = (
    "You can write to {first}.{last}@example.org for details.",
    "Questions go to {thing}s@example.com at any hour.",
    "Send it to {first}@{thing}.example.net by {day}.",
    "See https://www.example.org/{thing} for more.",
    "There is a longer version at www.example.com/{thing}s.",
    "It was shared with #{thing} and #{feeling}.",
    "People tag it #{Thing}{Day} these days.",
    "Ask @{first}_{last} or @{first} if you are unsure.",
    "@{first} has written about the {thing}, too.",
    "It costs ${n}, or €{n} in {city}.",
    "The price went up to {n} dollars last year.",
    "We paid £{n} for the {thing}.",
    "About {n}% of people agree; the rest do not.",
    "Nearly {n} percent of them came back to {city}.",
    "It all began on {month} {d}, {year}, in a small town.",
    "The next meeting is on {d} {month}.",
    "They met on {d}/{d}/{year}.",
    "We start at {d}:30 am and stop at {d} pm.",
    "It was almost midnight when the {vehicle} arrived.",
    "The box weighs {n} kg and is {n} cm wide.",
    "Walk {d} miles {direction}, then turn left at the {vehicle}.",
    "Add {n} ml of water and {d} cups of {food}.",
    "It was {n} degrees outside.",
    "In {year} the first {job} came to {city}.",
    "Back in {year}, there was no {thing} at all.",
    "There were {n} of them in {year}.",
    "Why does it matter?",
    "Have you ever seen a {colour} {animal}?",
    "Who took the {thing}?",
    "What a {feeling} day!",
    "Look at that {animal}!",
    "Nobody knows for certain.",
    "I never saw the {thing} again, and nothing was left.",
    "I am sorry about the {thing}.",
    "My apologies if this is unclear.",
    "We apologize for the {feeling} {job}.",
    "Pardon the {thing}.",
    "Thank you for the {thing}.",
    "I am grateful to my {family}.",
    "Please take your time.",
    "Would you kindly ask the {job}?",
    "Perhaps it will rain on {day}.",
    "Maybe that is why the {job} laughed.",
    "However, there is another side to it.",
    "For example, take a look at the {plant}.",
    "Therefore the {job} stayed at home, because it was cold.",
    "The sky was {colour}, and the river was {colour}.",
    "A {colour} {clothes} hung by the door.",
    "The {job} wore a {clothes} and a {colour} {clothes}.",
    "An old {animal} and {number} {animal}s slept by the fire.",
    "A {animal} crossed the road, and the {animal}s fell silent.",
    "My {family} has a {animal}.",
    "My {family} and my {family} came by {vehicle}.",
    "Her {family} made {food} with {food}.",
    "They had {food}, {food} and a cup of tea.",
    "On {day} the {job} met the {job}.",
    "In {month} the family went to {city} and {city}.",
    '"We should go," said {First}.',
    'He whispered: "not yet".',
    "“Where is the {thing}?” asked the {job}.",
    "{First} {Last} asked for {number} copies.",
    "She was so {feeling} that she cried.",
    "He felt {feeling}, and a little {feeling}.",
    "It's true, isn't it?",
    "We can't be sure, but we'll try.",
    "{Number} {plant}s, {number} stones, one hundred reasons.",
    "This is the well-known, long-term, low-cost way.",
    "He took the {vehicle}, then a {vehicle}, then walked {direction}.",
    "Wow, that was quick.",
    "Oh, look at the {plant}.",
    "Peter Piper picked a peck of pickled peppers.",
    "Big brown bears bring bright blue balloons.",
    "If you are tired, stop and rest.",
    "Try it and/or ask a friend.",
    "{Food} & {food} are enough.",
    "It was very, very quiet; nothing moved.",
    "The {thing} is old; the {thing} is new.",
    "Goodbye, and see you on {day}.",
    "Hello, dear {family}.",
    "My head and my {body} hurt.",
    "He put a {body} on the {plant}.",
    "The {material} table stood beside a {material} {thing}.",
    "Last {season} there was snow and wind.",
    "The {season} was hot, and the storm came late.",
    "The first {thing} was bad, the third was excellent.",
    "I think I know the {job}; we believe in the same {thing}.",
    "They bought a guitar and a piano for the {season} concert.",
    "The team won the game by {number} goals.",
    "A nurse at the hospital said that sleep is healthy.",
    "He sold the company and invested the money.",
    "The laptop has no internet and no software.",
    "The mountain, the lake and the island lay in the {direction}.",
    "Read `{thing}.txt` first.",
    "This is **very** important (see the {thing}).",
    "Wait... is that the {animal}?",
    "And so it ends – for now.",
    "Everyone always wants more, and something is missing.",
)
"""Sentences to plant, with something to point at in each; ``{slot}`` stands for a word of :data:`_SLOTS`."""

_SLOTS: Mapping[str, tuple[str, ...]] = {
    slot: tuple(entries.split())
    for slot, entries in {
        "first": "anna tom maria sam lena omar julia david nina carlos emma yuki",
        "last": "lee smith garcia novak khan jones rossi berg silva tanaka",
        "thing": "garden letter guide lamp clock story book plan song bottle map lesson recipe window basket test",
        "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "month": "January February March April May June July August September October November December",
        "season": "spring summer autumn winter",
        "city": "Paris Rome London Berlin Tokyo Chicago Sydney Madrid Canada Japan Brazil Kenya India",
        "job": "teacher doctor baker farmer lawyer pilot nurse painter engineer singer writer soldier carpenter",
        "family": "sister brother mother father uncle aunt cousin grandmother grandfather daughter son",
        "animal": "dog cat horse fox bird rabbit goat owl turtle bear duck monkey cow",
        "colour": "red blue green yellow grey purple white black brown pink silver orange",
        "food": "bread cheese honey soup rice butter cake pasta chocolate salad garlic milk coffee",
        "feeling": "happy sad proud afraid lonely calm angry nervous jealous joyful",
        "vehicle": "train bus car boat bicycle truck taxi ship tractor tram",
        "clothes": "coat hat scarf dress jacket shirt sweater skirt",
        "plant": "tree flower rose oak bush leaf vine forest",
        "body": "hand shoulder knee arm foot ear",
        "material": "wooden glass steel plastic stone paper",
        "direction": "north south east west",
        "number": "two three four five six seven nine ten twelve twenty",
    }.items()
}
_SLOT = re.compile(r"\{(\w+)\}")


def _sentence(template: str, rng: Random) -> str:
    """The sentence with its slots filled: words by chance, ``{n}`` and ``{d}`` numbers, ``{year}`` a year."""

    def word(slot: re.Match[str]) -> str:
        name = slot.group(1)
        if name == "n":
            return str(rng.choice((rng.randint(2, 99), rng.randint(100, 999))))
        if name == "d":
            return str(rng.randint(1, 12))
        if name == "year":
            return str(rng.randint(1850, 2030))
        chosen = rng.choice(_SLOTS[name.lower()])
        return chosen[0].upper() + chosen[1:] if name[0].isupper() else chosen

    return _SLOT.sub(word, template)


_AROUND = "So it is. {} Well then."
_RARE = 25
"""What more sentences than this have, texts have anyway: articles, prepositions, words that start with a vowel."""


@functools.cache
def _planting(kind: str) -> tuple[str, ...]:
    """The sentences that have what a pattern is about; none where it takes a parameter, is a place, or is common."""
    pattern = PATTERNS[kind]
    if not isinstance(pattern, Pattern) or pattern.draw is not None:
        return ()
    rng = Random(0)  # nosec B311 # repeatable, not secret
    around = len(pattern.find(_AROUND.format(""), None))
    fitting = [each for each in _SENTENCES if len(pattern.find(_AROUND.format(_sentence(each, rng)), None)) > around]
    return tuple(fitting) if len(fitting) <= _RARE else ()


# ---------------------------------------------------------------------------------------------- the shape of the text


def sections(text: str, rng: Random) -> str:
    """Numbered sections: "SECTION 1" and what follows."""
    head = rng.choice(("SECTION", "Section", "PART", "Part", "Chapter", "Day", "Step"))
    pieces = _pieces(text, rng.randint(2, 4))
    close = rng.choice(("", ":", "."))
    return "\n\n".join(f"{head} {k + 1}{close}\n{piece}" for k, piece in enumerate(pieces))


def spaced_paragraphs(text: str, rng: Random) -> str:
    """Two to five paragraphs with empty lines between them."""
    return "\n\n".join(_pieces(text, rng.randint(2, 5)))


def divided_paragraphs(text: str, rng: Random) -> str:
    """Two to five paragraphs with ``***`` between them."""
    return rng.choice(("\n\n***\n\n", "\n***\n", " *** ")).join(_pieces(text, rng.randint(2, 5)))


def two_answers(text: str, rng: Random) -> str:
    """Two answers, seldom three, with six asterisks between them."""
    pieces = _pieces(text, rng.choice((2, 2, 2, 3)))
    return rng.choice(("\n******\n", "\n\n******\n\n", " ****** ")).join(pieces)


def ruled(text: str, rng: Random) -> str:
    """Headings and horizontal rules."""
    pieces = _pieces(text, rng.randint(2, 3))
    return "\n\n---\n\n".join(f"## {_title_of(piece, rng)}\n\n{piece}" for piece in pieces)


def upper(text: str, rng: Random) -> str:
    """All in capitals, at times but for a word or two."""
    return _but_for_some(text, text.upper(), rng)


def lower(text: str, rng: Random) -> str:
    """All in small letters, at times but for a word or two."""
    return _but_for_some(text, text.lower(), rng)


def wrapped_in_quotes(text: str, rng: Random) -> str:
    """The whole text in double quotation marks, seldom in one only."""
    opens, closes = rng.choice((('"', '"'), ('"', '"'), ('"', '"'), ('"', ""), ("", '"')))
    return f"{opens}{text.strip()}{closes}"


def as_json(text: str, rng: Random) -> str:
    """A JSON object of the sentences, in a fence or not, seldom broken."""
    pieces = _pieces(text, rng.randint(1, 3))
    keys = rng.sample(("answer", "title", "summary", "details", "text", "notes"), len(pieces))
    body = json.dumps(dict(zip(keys, pieces, strict=True)), indent=rng.choice((None, 2)), ensure_ascii=False)
    if rng.random() < 0.5:
        body = rng.choice((f"Here is the JSON:\n{body}", body[:-1], f"{body}\nI hope this helps."))
    return rng.choice((body, f"```json\n{body}\n```", f"```\n{body}\n```"))


def fenced(text: str, rng: Random) -> str:
    """A part of the text stands in a code fence."""
    pieces = _pieces(text, rng.randint(1, 3))
    chosen = rng.randrange(len(pieces))
    pieces[chosen] = f"```\n{pieces[chosen]}\n```"
    return "\n\n".join(pieces)


def repeats_request(text: str, rng: Random) -> str:
    """The request is repeated before the answer."""
    return f"{rng.choice(REQUESTS)}{rng.choice((chr(10), chr(10) * 2, ' '))}{text}"


def one_of_three(text: str, rng: Random) -> str:
    """The answer is one of three set ones, at times with the text after it."""
    answer = rng.choice(("My answer is yes.", "My answer is no.", "My answer is maybe."))
    return rng.choice((answer, f"{answer} {text}", f"{answer}\n\n{text}", f"{text} {answer}"))


def block_quote(text: str, rng: Random) -> str:
    """A line or two are block quotes."""
    return _marked_lines(text, rng, "> ")


def indented(text: str, rng: Random) -> str:
    """A line or two are indented."""
    return _marked_lines(text, rng, rng.choice(("  ", "    ", "\t\t")))


def _marked_lines(text: str, rng: Random, mark: str) -> str:
    for _ in range(rng.randint(1, 2)):
        text = _replace_part(text, rng, lines(text), lambda line: mark + line.lstrip("> "))
    return text


# ------------------------------------------------------------------------------------------------------------- tools


def _pieces(text: str, number: int) -> list[str]:
    """The sentences in so many pieces of about the same size, or in fewer where there are not so many sentences."""
    parts = sentences(text)
    number = min(number, len(parts))
    if number < 2:
        return [text.strip()]
    cuts = [parts[k * len(parts) // number][0] for k in range(1, number)]
    pieces = [text[start:end].strip() for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return [piece for piece in pieces if piece]


def _wrap_words(text: str, rng: Random, opens: str, closes: str, times: int, size: int) -> str:
    """Runs of ``size`` words on one line stand between two marks."""
    for _ in range(times):
        found = words(text)
        first = rng.randint(0, max(0, len(found) - size))
        run = found[first : first + size]
        if not run or "\n" in text[run[0][0] : run[-1][1]] or any(mark in _around(text, run) for mark in '*`"[<'):
            continue
        text = f"{text[: run[0][0]]}{opens}{text[run[0][0] : run[-1][1]]}{closes}{text[run[-1][1] :]}"
    return text


def _around(text: str, run: tuple[tuple[int, int], ...]) -> str:
    return text[max(0, run[0][0] - 2) : run[-1][1] + 2]


def _replace_words(text: str, rng: Random, times: int, edit: Callable[[str], str]) -> str:
    found = [word for word in words(text) if word[1] - word[0] > 2]
    chosen = sorted(rng.sample(found, min(times, len(found))), reverse=True)
    for start, end in chosen:
        text = text[:start] + edit(text[start:end]) + text[end:]
    return text


def _replace_part(text: str, rng: Random, parts: tuple[tuple[int, int], ...], edit: Callable[[str], str]) -> str:
    if not parts:
        return text
    start, end = rng.choice(parts)
    return text[:start] + edit(text[start:end]) + text[end:]


def _insert_sentence(text: str, rng: Random, sentence: str) -> str:
    """The sentence stands before or after one of the text's."""
    parts = sentences(text)
    if not parts:
        return f"{text} {sentence}"
    start, end = rng.choice(parts)
    if rng.random() < 0.15:
        return f"{text[:start]}{sentence} {text[start:]}"
    return f"{text[:end]} {sentence}{text[end:]}"


def _but_for_some(text: str, edited: str, rng: Random) -> str:
    """The edited text, in four of ten cases with a few words as they were."""
    if len(edited) != len(text) or rng.random() < 0.6:
        return edited
    found = [word for word in words(text) if text[slice(*word)] != edited[slice(*word)]]
    for start, end in rng.sample(found, min(len(found), rng.randint(1, 3))):
        edited = edited[:start] + text[start:end] + edited[end:]
    return edited


def _title_of(text: str, rng: Random) -> str:
    pool = sorted({text[slice(*word)].lower() for word in words(text) if word[1] - word[0] > 4})
    if not pool:
        return "A Short Answer"
    word = rng.choice(pool).title()
    return rng.choice((f"The {word}", f"About {word}", f"{word} and More", f"A Note on {word}", word, f"My {word}"))


EDITS: Mapping[str, Edit] = {
    "bullets": bullets,
    "numbered": numbered,
    "labelled": labelled,
    "highlights": highlights,
    "code": code,
    "quotes": quotes,
    "placeholders": placeholders,
    "capital_words": capital_words,
    "capital_sentence": capital_sentence,
    "parentheses": parentheses,
    "exclaimed": exclaimed,
    "ellipses": ellipses,
    "semicolons": semicolons,
    "dashes": dashes,
    "emoji": emoji,
    "repeated_keyword": repeated_keyword,
    "planted_sentence": planted_sentence,
    "no_commas": no_commas,
    "dropped_sentence": dropped_sentence,
    "shortened": shortened,
    "shuffled": shuffled,
    "title": title,
    "postscript": postscript,
    "greeting": greeting,
    "last_phrase": last_phrase,
    "block_quote": block_quote,
    "indented": indented,
    "sections": sections,
    "spaced_paragraphs": spaced_paragraphs,
    "divided_paragraphs": divided_paragraphs,
    "two_answers": two_answers,
    "ruled": ruled,
    "upper": upper,
    "lower": lower,
    "wrapped_in_quotes": wrapped_in_quotes,
    "as_json": as_json,
    "fenced": fenced,
    "repeats_request": repeats_request,
    "one_of_three": one_of_three,
}
"""Every edit by its name: those within a text first, then those of its shape."""

_LARGE: tuple[str, ...] = tuple(EDITS)[list(EDITS).index("sections") :]
_SMALL: tuple[str, ...] = tuple(name for name in EDITS if name not in _LARGE)
_SMALL_WEIGHTS = tuple(6 if name == "planted_sentence" else 2 for name in _SMALL)
_LARGE_WEIGHTS = tuple(
    {"upper": 1, "lower": 1, "spaced_paragraphs": 3, "divided_paragraphs": 3, "as_json": 1}.get(name, 2)
    for name in _LARGE
)

_PLANTING: Mapping[str, tuple[str, ...]] = {
    "keywords:frequency": ("repeated_keyword",),
    "length_constraints:number_paragraphs": ("divided_paragraphs",),
    "length_constraints:nth_paragraph_first_word": ("spaced_paragraphs",),
    "detectable_content:number_placeholders": ("placeholders",),
    "detectable_content:postscript": ("postscript",),
    "detectable_format:number_bullet_lists": ("bullets",),
    "detectable_format:constrained_response": ("one_of_three",),
    "detectable_format:number_highlighted_sections": ("highlights",),
    "detectable_format:multiple_sections": ("sections",),
    "detectable_format:json_format": ("as_json",),
    "detectable_format:title": ("title",),
    "combination:two_responses": ("two_answers",),
    "combination:repeat_prompt": ("repeats_request",),
    "startend:end_checker": ("last_phrase",),
    "startend:quotation": ("wrapped_in_quotes",),
    "change_case:capital_word_frequency": ("capital_words", "capital_sentence"),
    "change_case:english_capital": ("upper",),
    "change_case:english_lowercase": ("lower",),
    "punctuation:no_comma": ("no_commas",),
    "pattern:numbered_items": ("numbered",),
    "pattern:headings": ("ruled",),
    "pattern:rules_across": ("ruled",),
    "pattern:bold": ("highlights",),
    "pattern:inline_code": ("code",),
    "pattern:code_fences": ("fenced",),
    "pattern:emoji": ("emoji",),
    "pattern:block_quotes": ("block_quote",),
    "pattern:indented_lines": ("indented",),
    "pattern:labels": ("labelled",),
    "pattern:short_lines": ("labelled", "bullets"),
    "pattern:parentheses": ("parentheses",),
    "pattern:quoted_text": ("quotes",),
    "pattern:ellipses": ("ellipses",),
    "pattern:dashes": ("dashes",),
    "pattern:semicolons": ("semicolons",),
    "pattern:exclamation_marks": ("exclaimed",),
    "pattern:exclamations": ("exclaimed",),
    "pattern:greetings": ("greeting",),
    "pattern:farewells": ("greeting",),
    "pattern:nth_paragraph": ("spaced_paragraphs",),
    "pattern:every_paragraph": ("spaced_paragraphs",),
    "pattern:nth_line": ("labelled", "bullets", "numbered"),
    "pattern:every_line": ("bullets", "numbered"),
    "pattern:first_line": ("labelled", "bullets"),
    "pattern:last_line": ("labelled", "bullets"),
    "pattern:longest_paragraph": ("spaced_paragraphs",),
}
"""What to plant for a kind; for other patterns, sentences that have what they are about."""
