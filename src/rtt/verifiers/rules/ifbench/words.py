"""Words one by one: the group ``words``."""

from __future__ import annotations

import itertools
import string
from collections import Counter
from collections.abc import Mapping

from rtt.errors import VerifierError
from rtt.rule_schemas.ifbench.counting import KeywordsSpecificPosition, SmallNumber, WordsPosition
from rtt.rule_schemas.schema import NoArguments
from rtt.verifiers.rules.findings import Bounds, Deadline, Finding, absent, counted, offending, present, whole
from rtt.verifiers.rules.ifbench.tagging import starts_with_verb
from rtt.verifiers.rules.ifbench.text import PUNCTUATION, TRIMMED, Word, bare, bare_words, chunks, trimmed, word_tokens
from rtt.verifiers.rules.registered import RegisteredRule
from rtt.verifiers.rules.text import sentences, stripped

_LETTERS = string.ascii_lowercase


def alphabet(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each word starts with the next letter of the alphabet.

    Official behaviour: ASCII punctuation is taken out first; the first word may start with any of the 26 letters.

    Evidence, satisfied: the whole response. Violated: the first word that does not fit violates; without a word
    something is missing.
    """
    words = list(bare_words(text, deadline))
    if not words:
        return whole(False, "no words", missing=True)
    expected = words[0].text[0].lower()
    if expected not in _LETTERS:
        return offending([words[0].bounds], f"{words[0].text[:40]!r} starts with no letter of the alphabet")
    for word in words[1:]:
        expected = _LETTERS[(_LETTERS.index(expected) + 1) % 26]
        if word.text.lower()[0] != expected:
            return offending([word.bounds], f"{word.text[:40]!r}, expected a word that starts with {expected!r}")
    return whole(True, f"{len(words)} words in the order of the alphabet")


def vowel(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """One paragraph with at most three of the vowels a, e, i, o, u.

    Official behaviour: the vowels are counted over the whole response, not word by word.

    Evidence, satisfied: the whole response. Violated: line breaks violate, and every vowel but the three that occur
    most often; delete them and the verdict turns.
    """
    start, end = stripped(text)
    breaks = [(at, at + 1) for at in range(start, end) if text[at] == "\n"]
    found = [(at, letter) for at in range(start, end) for letter in text[at].lower() if letter in "aeiou"]
    counts = Counter(letter for _, letter in found)
    kept = {letter for letter, _ in counts.most_common(3)}
    reason = f"vowels: {', '.join(sorted(counts)) or 'none'}; paragraphs: {len(breaks) + 1}"
    wrong = [(at, at + 1) for at, letter in found if letter not in kept]
    # Only where the paragraph is one does the official check look at the vowels.
    return offending([*breaks, *wrong], reason) if breaks or wrong else whole(True, reason)


_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxyz")


def consonants(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each word has two consonants in a row.

    Official behaviour: words are divided by white space, so that "-" and "42" are words without; y is a consonant.

    Evidence, satisfied: the whole response. Violated: each word without violates; delete them and the verdict turns.
    """
    wrong = []
    for word in chunks(text, deadline):
        letters = [letter in _CONSONANTS for letter in word.text.lower()]
        if not any(one and other for one, other in itertools.pairwise(letters)):
            wrong.append(word)
    if not wrong:
        return whole(True, "each word has a consonant cluster")
    return offending([word.bounds for word in wrong], f"no consonant cluster: {_such(wrong)}")


def palindrome(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """At least 10 palindromes of at least 5 characters.

    Official behaviour: ASCII punctuation is taken out first, case is ignored; the same one counts each time, and so
    does "11111".

    Evidence: each palindrome supports, in both verdicts; violated, something is missing.
    """
    found = []
    for word in bare_words(text, deadline):
        letters = word.text.lower()
        if len(letters) >= 5 and letters == letters[::-1]:
            found.append(word.bounds)
    return counted(found, "at least", 10, "palindromes of five characters")


_PRIMES = frozenset(number for number in range(2, 100) if all(number % divisor for divisor in range(2, number)))


def prime_lengths(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The length of each word is a prime number.

    Official behaviour: ASCII punctuation is taken out first; a response of punctuation alone satisfies, and a word of
    more than 97 characters violates.

    Evidence, satisfied: the whole response. Violated: each other word violates; delete them and the verdict turns.
    """
    wrong = [word for word in bare_words(text, deadline) if len(word.text) not in _PRIMES]
    if not wrong:
        return whole(True, "all lengths are prime numbers")
    return offending([word.bounds for word in wrong], f"lengths that are no prime numbers: {_such(wrong)}")


def repeats(text: str, arguments: SmallNumber, deadline: Deadline) -> Finding:
    """No word more than so many times.

    Official behaviour: case is ignored, ASCII punctuation taken out; the words of grammar count as well.

    Evidence, satisfied: the whole response. Violated: the surplus occurrences violate; delete them and the verdict
    turns.
    """
    seen: Counter[str] = Counter()
    wrong = []
    for word in chunks(text, deadline):
        letters = bare(word.text.lower())
        if not letters:
            continue
        seen[letters] += 1
        if seen[letters] > arguments.small_n:
            wrong.append(trimmed(word))
    if not wrong:
        return whole(True, f"no word more than {arguments.small_n} times")
    most, times = seen.most_common(1)[0]
    reason = f"{most[:40]!r} appears {times} times, expected at most {arguments.small_n}"
    return offending([word.bounds for word in wrong], reason)


def no_consecutive(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """No two words in a row start with the same letter.

    Official behaviour: case is ignored, ASCII punctuation taken out; digits are letters too.

    Evidence, satisfied: the whole response. Violated: each word that starts as the one before violates; delete them and
    the verdict turns.
    """
    wrong = []
    before = ""
    for word in bare_words(text, deadline):
        first = word.text.lower()[0]
        if first == before:
            wrong.append(word)
        before = first
    if not wrong:
        return whole(True, "no two words in a row start with the same letter")
    return offending([word.bounds for word in wrong], f"start as the word before: {_such(wrong)}")


def odd_even_syllables(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Words of odd and of even numbers of syllables take turns.

    Official behaviour: syllapy counts, by a list of words and else by a rule; a word with a digit has 0 syllables.

    Evidence, satisfied: the whole response. Violated: each word of the same parity as the one before violates.
    """
    import syllapy

    wrong = []
    before = None
    for word in bare_words(text, deadline):
        deadline.remaining()
        parity = syllapy.count(word.text.lower()) % 2
        if parity == before:
            wrong.append(word)
        before = parity
    if not wrong:
        return whole(True, "odd and even numbers of syllables take turns")
    return offending([word.bounds for word in wrong], f"the same parity as the word before: {_such(wrong)}")


def last_first(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The last word of each sentence is the first of the next.

    Official behaviour: Punkt's sentences; case and ASCII punctuation at the ends of the sentence are ignored; one
    sentence alone satisfies.

    Evidence, satisfied: the words that meet support; of one sentence, the whole response. Violated: the first word of
    each sentence that does not take up the last one violates; so does a sentence without a word.
    """
    found = sentences(text, deadline)
    met: list[Bounds] = []
    wrong: list[Bounds] = []
    for one, other in itertools.pairwise(found):
        last, first = _last_word(text, one), _first_word(text, other, deadline)
        if last is None or first is None:
            wrong.append(one if last is None else other)
        elif last.text.lower() == first.text.lower():
            met += [last.bounds, first.bounds]
        else:
            wrong.append(first.bounds)
    if wrong:
        return offending(wrong, f"{len(wrong)} of {len(found) - 1} sentences do not take up the last word before them")
    return present(met, "each sentence takes up the last word before it")


def _last_word(text: str, bounds: Bounds) -> Word | None:
    start, end = bounds
    end = start + len(text[start:end].rstrip(TRIMMED))
    while end > start and text[end - 1].isspace():
        end -= 1
    at = end
    while at > start and not text[at - 1].isspace():
        at -= 1
    return Word(text[at:end], at, end) if at < end else None


def _first_word(text: str, bounds: Bounds, deadline: Deadline) -> Word | None:
    start, end = bounds
    start = end - len(text[start:end].lstrip(TRIMMED))
    return next(chunks(text, deadline, start, end), None)


def paragraph_last_first(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """Each paragraph, a line each, ends with the word that it starts with.

    Official behaviour: case and ASCII punctuation at the ends of the line are ignored; a line of one word satisfies.

    Evidence, satisfied: these words support. Violated: the last word of each other line violates.
    """
    met: list[Bounds] = []
    wrong: list[Bounds] = []
    start = 0
    for line in text.split("\n"):
        deadline.remaining()
        lead = len(line) - len(line.lstrip())
        body = line.strip()
        left = body.lstrip(TRIMMED)
        at = start + lead + len(body) - len(left)
        words = list(chunks(text, deadline, at, at + len(left.rstrip(TRIMMED))))
        start += len(line) + 1
        if not words:
            continue
        if words[0].text.lower() == words[-1].text.lower():
            met += [words[0].bounds, words[-1].bounds]
        else:
            wrong.append(words[-1].bounds)
    if wrong:
        return offending(wrong, f"{len(wrong)} paragraphs end with another word than they start with")
    return present(met, "each paragraph ends with the word that it starts with")


def keywords_specific_position(text: str, arguments: KeywordsSpecificPosition, deadline: Deadline) -> Finding:
    """A keyword is the m-th word of the n-th sentence.

    Official behaviour: Punkt's sentences and NLTK's tokens, of which those without a letter or digit do not count.

    Evidence: the word in that place, which supports or violates; where there is none, something is missing.
    """
    found = sentences(text, deadline)
    if len(found) < arguments.n:
        return absent(f"{len(found)} sentences, expected at least {arguments.n}")
    start, end = found[arguments.n - 1]
    words = [word for word in word_tokens(text[start:end], deadline) if any(map(str.isalnum, word.text))]
    if len(words) < arguments.m:
        return absent(f"{len(words)} words in sentence {arguments.n}, expected at least {arguments.m}")
    word = words[arguments.m - 1]
    bounds = [(start + word.start, start + word.end)]
    reason = f"word {arguments.m} of sentence {arguments.n} is {word.text[:40]!r}"
    if word.text.lower() == arguments.keyword.strip().lower():
        return present(bounds, reason)
    return offending(bounds, f"{reason}, expected {arguments.keyword.strip()!r}")


def words_position(text: str, arguments: WordsPosition, deadline: Deadline) -> Finding:
    """A keyword is the second word and the last but one.

    Official behaviour: NLTK's tokens, of which punctuation counts: a comma may be the second. A last token of
    punctuation is passed over, but ``...`` and closing quotation marks are not.

    Evidence: the words in the two places, which support or violate; where there are none, something is missing.
    """
    words = word_tokens(text, deadline)
    closes = bool(words) and words[-1].text in PUNCTUATION
    if len(words) < 2 + closes:
        return absent(f"{len(words)} words and signs, too few")
    keyword = arguments.keyword.strip().lower()
    places = [words[1], words[-3 if closes else -2]]
    wrong = [word.bounds for word in places if word.text.lower() != keyword]
    reason = f"the second word is {places[0].text[:40]!r}, the last but one {places[1].text[:40]!r}"
    return offending(wrong, reason) if wrong else present([word.bounds for word in places], reason)


def start_verb(text: str, arguments: NoArguments, deadline: Deadline) -> Finding:
    """The response starts with a verb.

    Official behaviour: NLTK's tagger gives the first token one of the tags VB, VBD, VBG, VBN, VBP, VBZ. Where the
    tagger's data is not installed, only words that are no verbs whatever follows them are decided (see
    :mod:`rtt.verifiers.rules.ifbench.tagging`); else the verdict is undetermined.

    Evidence: the first token, which supports or violates.
    """
    words = word_tokens(text, deadline)
    if not words:
        raise VerifierError("the response has no word to tag")
    decided = starts_with_verb([word.text for word in words])
    reason = f"the response starts with {words[0].text[:40]!r}"
    bounds = [words[0].bounds]
    return present(bounds, f"{reason}, a verb") if decided else offending(bounds, f"{reason}, which is no verb")


def _such(words: list[Word]) -> str:
    return f"{len(words)} {'word' if len(words) == 1 else 'words'}, such as {words[0].text[:40]!r}"


RULES: Mapping[str, RegisteredRule] = {
    "words:alphabet": RegisteredRule(alphabet),
    "words:consonants": RegisteredRule(consonants),
    "words:keywords_specific_position": RegisteredRule(keywords_specific_position),
    "words:last_first": RegisteredRule(last_first),
    "words:no_consecutive": RegisteredRule(no_consecutive),
    "words:odd_even_syllables": RegisteredRule(odd_even_syllables),
    "words:palindrome": RegisteredRule(palindrome),
    "words:paragraph_last_first": RegisteredRule(paragraph_last_first),
    "words:prime_lengths": RegisteredRule(prime_lengths),
    "words:repeats": RegisteredRule(repeats),
    "words:start_verb": RegisteredRule(start_verb),
    "words:vowel": RegisteredRule(vowel),
    "words:words_position": RegisteredRule(words_position),
}
"""Each rule by its official name."""
