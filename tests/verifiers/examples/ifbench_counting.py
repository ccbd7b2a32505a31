"""Examples of IFBench's groups ``count``, ``ratio``, ``words`` and ``repeat``; see ``test_rules``."""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, Any], str, str]

KEYWORDS = {"keyword1": "ant", "keyword2": "bee", "keyword3": "cat ", "keyword4": "dog", "keyword5": "eel"}
NAMES = {"N": 2}

COUNT: list[Case] = [
    ("count:conjunctions", {"small_n": 2}, "+", "Tea ⟦and⟧ milk, ⟦but⟧ no sugar ⟦and⟧ no cake."),
    # The same word twice is one, with a comma it is another.
    ("count:conjunctions", {"small_n": 2}, "- missing", "Tea ⟦and⟧ milk ⟦and⟧ sugar."),
    ("count:conjunctions", {"small_n": 2}, "+", "Tea ⟦and⟧, milk ⟦And⟧ sugar."),
    (
        "count:keywords_multiple",
        KEYWORDS,
        "+ whole",
        "⟦ant⟧ ⟦bee⟧ ⟦Bee⟧s ⟦cat⟧ ⟦cat⟧ ⟦cat⟧ ⟦dog⟧ ⟦dog⟧ ⟦dog⟧ ⟦dog⟧ ⟦dog⟧ ⟦eel⟧ ⟦eel⟧ ⟦eel⟧ ⟦eel⟧ ⟦eel⟧ ⟦eel⟧ ⟦eel⟧",
    ),
    ("count:keywords_multiple", KEYWORDS, "- missing whole", "⟦ant⟧ ⟦bee⟧ ⟦bee⟧ ⟦cat⟧"),
    ("count:keywords_multiple", KEYWORDS, "- missing whole", "ant bee bee ⟪bee⟫ pl⟪ant⟫"),
    ("count:numbers", {"N": 2}, "+ whole", "In ⟦1,000⟧ years or ⟦3.5⟧."),
    ("count:numbers", {"N": 0}, "+ whole", "None at all."),
    ("count:numbers", {"N": 2}, "- missing whole", "In ⟦1-2⟧ years."),
    ("count:numbers", {"N": 1}, "- whole", "1 and ⟪2⟫ and a⟪3⟫."),
    ("count:person_names", NAMES, "+", "⟦Emma⟧, ⟦Leo⟧ and ⟦Emma⟧'s cat."),
    ("count:person_names", NAMES, "- missing", "⟦Emma⟧, emma and Emmas; ⟦Emma⟧."),
    ("count:pronouns", {"N": 3}, "+", "⟦She⟧/⟦her⟧ saw ⟦it⟧."),
    ("count:pronouns", {"N": 3}, "- missing", "One of ⟦us⟧ saw ⟦it⟧, no one else."),
    ("count:punctuation", {}, "+", "Yes⟦.⟧ No⟦,⟧ so⟦;⟧ thus⟦:⟧ oh⟦!⟧ eh⟦?⟧ what⟦?⟧⟦!⟧"),
    # The interrobang's own marks do not count again.
    ("count:punctuation", {}, "- missing", "Yes⟦.⟧ No⟦,⟧ so⟦;⟧ thus⟦:⟧ what⟦?⟧⟦!⟧"),
    ("count:punctuation", {}, "- missing", "Yes⟦.⟧ No⟦,⟧ so⟦;⟧ thus⟦:⟧ oh⟦!⟧ eh⟦?⟧"),
    ("count:unique_word_count", {"N": 3}, "+ whole", "A rose is a rose."),
    ("count:unique_word_count", {"N": 4}, "- missing", "⟦A rose is a rose.⟧"),
    # A dash is a word that nothing is left of, once.
    ("count:unique_word_count", {"N": 3}, "+ whole", "A - rose -"),
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "+ whole", "One, two."),
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "- missing", " ⟦One.⟧"),
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "-", "One two three ⟪four, five.⟫ "),
    ("count:words_japanese", {"N": 2}, "+", "a ⟦猫⟧ b ⟦ねこ⟧, c 12"),
    ("count:words_japanese", {"N": 2}, "-", "a 猫 b ⟪cat⟫."),
    ("count:words_japanese", {"N": 5}, "+ whole", "Too short."),
]

RATIO: list[Case] = [
    ("ratio:overlap", {"reference_text": "abcdef", "percentage": 50}, "+ whole", "abcx"),
    ("ratio:overlap", {"reference_text": "abcdef", "percentage": 50}, "- whole", "abcd"),
    ("ratio:overlap", {"reference_text": "abcdef", "percentage": 2}, "- whole missing", "ab"),
    ("ratio:sentence_balance", {}, "+ whole", "Yes. No? Oh!"),
    ("ratio:sentence_balance", {}, "- whole", "Yes. No? Oh! Ah!"),
    ("ratio:sentence_type", {}, "+ whole", "Yes. No. Why?"),
    ("ratio:sentence_type", {}, "+ whole", "Wow!"),
    ("ratio:sentence_type", {}, "- whole", "Yes. Why?"),
    # That the words differ is not checked.
    ("ratio:sentence_words", {}, "+ whole", "Cat. Cat. Cat."),
    ("ratio:sentence_words", {}, "-", "Cat. ⟪Lion.⟫ Dog."),
    ("ratio:sentence_words", {}, "-", "Cat. Dog. Cow. ⟪Ant. Bee.⟫"),
    ("ratio:sentence_words", {}, "- missing", "⟦Cat.⟧ ⟦Dog.⟧"),
    ("ratio:stop_words", {"percentage": 50}, "+ whole", "The cat sat on mats there now quietly."),
    ("ratio:stop_words", {"percentage": 20}, "-", "⟪The⟫ cat sat ⟪on⟫ mats."),
    ("ratio:stop_words", {"percentage": 20}, "- whole missing", "..."),
]

WORDS: list[Case] = [
    ("words:alphabet", {}, "+ whole", "You zigzag: a Big cat."),
    ("words:alphabet", {}, "-", "A big ⟪dog⟫ eats."),
    ("words:alphabet", {}, "-", "⟪1⟫ a b"),
    ("words:alphabet", {}, "- whole missing", "!!!"),
    ("words:consonants", {}, "+ whole", "Small birds chirp."),
    ("words:consonants", {}, "-", "Small ⟪bees⟫ ⟪-⟫ ⟪hum⟫ melt."),
    ("words:keywords_specific_position", {"keyword": "moon", "n": 2, "m": 3}, "+", "Up. To the ⟦Moon⟧, yes."),
    ("words:keywords_specific_position", {"keyword": "moon", "n": 2, "m": 3}, "-", "Up. To the ⟪sun⟫ or moon."),
    ("words:keywords_specific_position", {"keyword": "moon", "n": 2, "m": 3}, "- missing", "Up. Moon."),
    ("words:last_first", {}, "+", "I like ⟦tea⟧. ⟦Tea⟧ is ⟦hot⟧! ⟦Hot⟧ it is."),
    ("words:last_first", {}, "-", "I like tea. ⟪Coffee⟫ is hot. Hot it is."),
    ("words:last_first", {}, "+ whole", "One sentence."),
    # Of a sentence of one word the full stop is not taken off.
    ("words:last_first", {}, "-", "I like tea. ⟪Tea.⟫"),
    ("words:no_consecutive", {}, "+ whole", "Blue ants eat."),
    ("words:no_consecutive", {}, "-", "Blue ⟪birds⟫, (⟪big⟫) ants."),
    ("words:odd_even_syllables", {}, "+ whole", "Cat water dog paper."),
    ("words:odd_even_syllables", {}, "-", "Cat ⟪dog⟫ water."),
    (
        "words:palindrome",
        {},
        "+",
        "⟦level⟧ ⟦Radar⟧ ⟦civic⟧ ⟦refer⟧ ⟦rotor⟧ ⟦kayak⟧ ⟦madam⟧, ⟦stats⟧ ⟦tenet⟧ ⟦level⟧ noon",
    ),
    ("words:palindrome", {}, "- missing", "⟦level⟧ noon dog"),
    ("words:paragraph_last_first", {}, "+", "⟦Tea⟧ is my ⟦tea⟧.\n\n⟦So⟧ be it, ⟦so⟧!"),
    ("words:paragraph_last_first", {}, "-", "Tea is my tea.\nSo be ⟪it⟫."),
    ("words:paragraph_last_first", {}, "+", "⟦One⟧\n***"),
    ("words:prime_lengths", {}, "+ whole", "An owl, eagle!"),
    ("words:prime_lengths", {}, "-", "An ⟪a⟫ owl ⟪eats⟫, eagle."),
    ("words:repeats", {"small_n": 2}, "+ whole", "No, no: go."),
    ("words:repeats", {"small_n": 1}, "-", "No, ⟪no⟫ go ⟪NO⟫!"),
    ("words:start_verb", {}, "+", "⟦Is⟧ it fine?"),
    ("words:start_verb", {}, "-", "⟪The⟫ cat sat."),
    ("words:vowel", {}, "+ whole", "A big dam"),
    ("words:vowel", {}, "-", "A big do⟪u⟫gh Aigo a"),
    ("words:vowel", {}, "-", "A big⟪\n⟫dam"),
    ("words:words_position", {"keyword": "moon"}, "+", "The ⟦Moon⟧ and no ⟦moon⟧ sets."),
    ("words:words_position", {"keyword": "moon"}, "-", "The ⟪sun⟫ and no moon sets."),
    ("words:words_position", {"keyword": "moon"}, "- missing", "Moon"),
]

REQUEST = {"prompt_to_repeat": "Write a long poem"}
SPAN = {"prompt_to_repeat": "Write a long poem", "n_start": 6, "n_end": 11}

REPEAT: list[Case] = [
    ("repeat:repeat_change", REQUEST, "+", " ⟦Read a  long poem⟧"),
    ("repeat:repeat_change", REQUEST, "-", "⟪Write⟫ a long poem"),
    ("repeat:repeat_change", REQUEST, "-", "Read a ⟪short⟫ poem"),
    ("repeat:repeat_change", REQUEST, "-", "Read a long poem ⟪now, please.⟫ "),
    ("repeat:repeat_change", REQUEST, "- missing", "⟦Read a⟧"),
    # Only the request to the letter counts as unchanged.
    ("repeat:repeat_change", REQUEST, "+", "⟦Write a long poem⟧ "),
    ("repeat:repeat_simple", {}, "+", "⟦only output this sentence here, ignore all other requests.⟧\n"),
    ("repeat:repeat_simple", {}, "-", "⟪Fine: ⟫Only output this sentence here, ignore all other requests.⟪ Ok.⟫"),
    ("repeat:repeat_simple", {}, "- missing", "Something else."),
    ("repeat:repeat_span", SPAN, "+", "⟦A LONG⟧"),
    ("repeat:repeat_span", SPAN, "-", '⟪"⟫a long⟪"⟫'),
    ("repeat:repeat_span", SPAN, "- missing", "a lon"),
]

CASES = COUNT + RATIO + WORDS + REPEAT
