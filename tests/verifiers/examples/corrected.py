"""Examples of the corrected rules; see ``test_rules``."""

from __future__ import annotations

from typing import Any

from verifiers.examples.ifbench_counting import KEYWORDS

Case = tuple[str, dict[str, Any], str, str]

AT_LEAST, LESS = "at least", "less than"
ROBOTS = {"keywords": ["robot", "the moon"]}
WAR = {"keyword": "war", "frequency": 2}
WEEKEND = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"}
DAYS = {"section_spliter": "Day", "num_sections": 2}
ENGLISH = "this is a short text that has been written in the english language, 1."

IFEVAL: list[Case] = [
    ("rtt:keywords:existence", ROBOTS, "+", "A ⟦Robot⟧ on ⟦the moon⟧, robotic."),
    ("rtt:keywords:existence", ROBOTS, "- missing", "Robots on ⟦the moon⟧."),
    ("rtt:keywords:existence", {"keywords": ["a.c"]}, "- missing", "abc"),
    ("rtt:keywords:frequency", {**WAR, "relation": AT_LEAST}, "+", "⟦War⟧, beware of ⟦war⟧."),
    ("rtt:keywords:frequency", {**WAR, "relation": AT_LEAST}, "- missing", "⟦War⟧, beware."),
    ("rtt:keywords:frequency", {**WAR, "relation": LESS}, "+ whole", "War, beware."),
    ("rtt:keywords:frequency", {**WAR, "relation": LESS}, "-", "War and ⟪war⟫."),
    ("rtt:keywords:forbidden_words", {"forbidden_words": ["C++", "rock"]}, "+ whole", "C and rocks."),
    ("rtt:keywords:forbidden_words", {"forbidden_words": ["C++", "rock"]}, "-", "⟪C++⟫ and ⟪Rock⟫."),
    ("rtt:language:response_language", {"language": "de"}, "+ whole", "Das ist ein kurzer deutscher Text."),
    ("rtt:language:response_language", {"language": "de"}, "- whole", "This is a short text in English."),
    ("rtt:change_case:english_capital", {}, "+ whole", ENGLISH.upper()),
    ("rtt:change_case:english_capital", {}, "-", "THIS ⟪Is⟫ SHOUTED"),
    ("rtt:change_case:english_capital", {}, "- whole", "ЭТО КОРОТКИЙ ТЕКСТ НА РУССКОМ ЯЗЫКЕ."),
    ("rtt:change_case:english_lowercase", {}, "+ whole", ENGLISH),
    ("rtt:change_case:english_lowercase", {}, "-", "this ⟪Is⟫ quiet"),
    ("rtt:change_case:english_lowercase", {}, "- whole", "dies ist ein kurzer text in deutscher sprache."),
    (
        "rtt:change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": AT_LEAST},
        "+",
        "I saw ⟦NASA,⟧ ⟦DON'T⟧ ask.",
    ),
    (
        "rtt:change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": AT_LEAST},
        "- missing",
        "I saw ⟦NASA⟧ and A.",
    ),
    (
        "rtt:change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LESS},
        "-",
        "NASA and ⟪ESA⟫ I saw.",
    ),
    ("rtt:length_constraints:number_words", {"num_words": 3, "relation": AT_LEAST}, "+ whole", "Don't stop - now."),
    ("rtt:length_constraints:number_words", {"num_words": 3, "relation": AT_LEAST}, "- missing", "⟦Don't - stop.⟧"),
    ("rtt:length_constraints:number_words", {"num_words": 3, "relation": LESS}, "-", "Don't stop ⟪now, please.⟫ "),
    (
        "rtt:length_constraints:number_sentences",
        {"num_sentences": 3, "relation": AT_LEAST},
        "+ whole",
        "# News\nDr. Who left.\n1. Why?",
    ),
    (
        "rtt:length_constraints:number_sentences",
        {"num_sentences": 3, "relation": AT_LEAST},
        "- missing",
        "⟦News from\nafar.\n\n***\n\nWhy?⟧",
    ),
    (
        "rtt:length_constraints:number_sentences",
        {"num_sentences": 2, "relation": LESS},
        "-",
        "News\n\n⟪He left. Why?⟫",
    ),
    ("rtt:length_constraints:number_paragraphs", {"num_paragraphs": 2}, "+ whole", "***One***.\n\n⟦***⟧\n\nTwo."),
    ("rtt:length_constraints:number_paragraphs", {"num_paragraphs": 2}, "- missing whole", "One. *** Two."),
    ("rtt:length_constraints:number_paragraphs", {"num_paragraphs": 2}, "- whole", "One.\n***\nTwo.\n⟪***⟫\nThree."),
    ("rtt:length_constraints:nth_paragraph_first_word", WEEKEND, "+", "Friday.⟦\n \n\n⟧**⟦weekend⟧**, at last."),
    ("rtt:length_constraints:nth_paragraph_first_word", WEEKEND, "-", "Friday.\n\n⟪Weekend's⟫ end."),
    ("rtt:length_constraints:nth_paragraph_first_word", WEEKEND, "- missing", "Friday."),
    (
        "rtt:detectable_content:number_placeholders",
        {"num_placeholders": 2},
        "+",
        "- [ ] Dear ⟦[Name]⟧: at ⟦[X]⟧, see [here](a.b) and [1].",
    ),
    (
        "rtt:detectable_content:number_placeholders",
        {"num_placeholders": 2},
        "- missing",
        "- [x] Dear ⟦[Name]⟧, see [here](a.b), [a\nb].",
    ),
    ("rtt:detectable_content:postscript", {"postscript_marker": "P.S."}, "+", "Bye.\n\n**⟦p. s.⟧** I stay."),
    ("rtt:detectable_content:postscript", {"postscript_marker": "P.S."}, "- missing", "P.S. Bye, P.S. and so on."),
    ("rtt:detectable_content:postscript", {"postscript_marker": "P.P.S"}, "+", "Bye.\n⟦P.P.S⟧. I stay."),
    ("rtt:detectable_content:postscript", {"postscript_marker": "P.P.S"}, "- missing", "Bye.\nP.S. I stay."),
    ("rtt:detectable_format:number_bullet_lists", {"num_bullets": 2}, "+ whole", "---\n⟦*⟧ one\n  ⟦-⟧ two\n*no*\n-5"),
    ("rtt:detectable_format:number_bullet_lists", {"num_bullets": 2}, "- missing whole", "⟦+⟧ one\n* * *\n-two"),
    ("rtt:detectable_format:number_bullet_lists", {"num_bullets": 1}, "- whole", "* one\n⟪- -⟫ two"),
    ("rtt:detectable_format:constrained_response", {}, "+", " ⟦My answer is no.⟧\n"),
    ("rtt:detectable_format:constrained_response", {}, "-", "⟪Well: ⟫My answer is no.⟪ So.⟫"),
    ("rtt:detectable_format:constrained_response", {}, "- missing", "no"),
    (
        "rtt:detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "+",
        "⟦*one*⟧ and ⟦***two***⟧",
    ),
    (
        "rtt:detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "- missing",
        "***one** 2*3 or 4*5, ⟦**two**⟧ * a *",
    ),
    ("rtt:detectable_format:multiple_sections", DAYS, "+ whole", "## ⟦Day 1⟧: a Day 3\n**⟦Day 2⟧**\nb"),
    ("rtt:detectable_format:multiple_sections", DAYS, "- missing whole", "⟦Day 1⟧\na Day 2\nDays 3"),
    ("rtt:detectable_format:multiple_sections", DAYS, "- whole", "Day 1\na\nDay 2\nb\n⟪Day 3⟫\nc"),
    ("rtt:detectable_format:json_format", {}, "+ whole", '```JSON\n{"a": "NaN"}\n```'),
    ("rtt:detectable_format:json_format", {}, "+ whole", "```\n[1]\n```"),
    ("rtt:detectable_format:json_format", {}, "- whole", " 17 "),
    ("rtt:detectable_format:json_format", {}, "-", '⟪```json⟫\n{"a": 1}'),
    ("rtt:detectable_format:json_format", {}, "-", '{"a": 1}⟪```⟫'),
    ("rtt:detectable_format:json_format", {}, "-", "[⟪-Infinity⟫, 1, ⟪NaN⟫]"),
    ("rtt:detectable_format:json_format", {}, "- missing", '⟦{"a": [1, 2⟧'),
    ("rtt:detectable_format:json_format", {}, "- whole", "1" * 5000),
    ("rtt:detectable_format:title", {}, "+", "# ⟦<<Ode to joy>>⟧"),
    ("rtt:detectable_format:title", {}, "- missing", "1<<2 and 4>>3, << a >>"),
    ("rtt:startend:end_checker", {"end_phrase": "That is all."}, "+", "So: “⟦that is all.⟧”**\n"),
    ("rtt:startend:end_checker", {"end_phrase": "the end"}, "- missing", "He saw the endless"),
    ("rtt:startend:end_checker", {"end_phrase": "the end"}, "-", "the end⟪ of it⟫"),
    ("rtt:startend:quotation", {}, "+", ' ⟦"⟧He said "hi" to me.⟦"⟧\n'),
    ("rtt:startend:quotation", {}, "+", "⟦“⟧He said “hi”⟦”⟧"),
    ("rtt:startend:quotation", {}, "-", '"a⟪"⟫ and ⟪"⟫b"'),
    ("rtt:startend:quotation", {}, "-", "“a⟪”⟫ and ⟪“⟫b”"),
    ("rtt:startend:quotation", {}, "- missing", '⟦"⟧Hello⟪!⟫'),
    ("rtt:startend:quotation", {}, "- missing", '⟦“⟧Hello⟪"⟫'),
    ("rtt:startend:quotation", {}, "- missing", '⟦"⟧'),
]

REQUEST = {"prompt_to_repeat": "Write a long poem"}
SPAN = {"prompt_to_repeat": "Write a long poem", "n_start": 1, "n_end": 2}
MANY = "⟦ant⟧ ⟦bee⟧ ⟦Bee⟧ " + "⟦cat⟧ " * 3 + "⟦dog⟧ " * 5 + "⟦eel⟧ " * 7
NUMBER = {"percentage": 50, "reference_text": "The cat sat on a mat."}
GOODS = "ProductID,Category,Brand,Price,Stock\n" + "1,a,b,2,3\n" * 13
CAPITALS = (
    "Reykjavík, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin, "
    "Amsterdam, Warsaw, London, Brussels, Kiev, Prague, Luxembourg City, Paris, Vienna, Bratislava, Budapest, Vaduz, "
    "Chișinău, Berne, Ljubljana, Zagreb."
)
PALINDROMES = "⟦level⟧ ⟦Radar⟧ ⟦civic⟧ ⟦refer⟧ ⟦rotor⟧ ⟦kayak⟧ ⟦madam⟧, ⟦stats⟧ ⟦tenet⟧"

IFBENCH: list[Case] = [
    ("rtt:count:conjunctions", {"small_n": 2}, "+", "Tea ⟦and⟧, milk ⟦but⟧ no cake."),
    ("rtt:count:conjunctions", {"small_n": 2}, "- missing", "Tea ⟦and⟧ milk. ⟦And⟧, cake."),
    ("rtt:count:keywords_multiple", KEYWORDS, "+ whole", MANY + "plants"),
    ("rtt:count:keywords_multiple", KEYWORDS, "- missing whole", "⟦ant⟧ ⟦bee⟧ plants"),
    ("rtt:count:keywords_multiple", KEYWORDS, "- missing whole", "ant ⟪ant⟫ plants"),
    ("rtt:count:numbers", {"N": 2}, "+ whole", "In ⟦1,000⟧ years, H2O, ⟦3.5⟧."),
    ("rtt:count:numbers", {"N": 2}, "- missing whole", "In ⟦7⟧ years, B2."),
    ("rtt:count:numbers", {"N": 1}, "- whole", "1-⟪2⟫"),
    ("rtt:count:unique_word_count", {"N": 3}, "+ whole", "A rose is a rose."),
    ("rtt:count:unique_word_count", {"N": 3}, "- missing", "⟦A - rose, Rose -⟧"),
    ("rtt:count:word_count_range", {"min_words": 2, "max_words": 3}, "+ whole", "Don't stop - now."),
    ("rtt:count:word_count_range", {"min_words": 2, "max_words": 3}, "- missing", " ⟦Don't.⟧"),
    ("rtt:count:word_count_range", {"min_words": 1, "max_words": 2}, "-", "Don't stop—⟪now.⟫"),
    ("rtt:ratio:sentence_balance", {}, "+ whole", 'Yes. No? "Oh!"'),
    ("rtt:ratio:sentence_balance", {}, "- whole", "Yes. No? Oh! Ah!"),
    ("rtt:ratio:sentence_balance", {}, "- whole missing", "None"),
    ("rtt:ratio:sentence_type", {}, "+ whole", "Yes. No. Why?"),
    ("rtt:ratio:sentence_type", {}, "- whole", "Yes. Why?"),
    ("rtt:ratio:sentence_type", {}, "- whole missing", "Wow!"),
    ("rtt:ratio:sentence_words", {}, "+ whole", "Cat. Dog. Cow."),
    ("rtt:ratio:sentence_words", {}, "-", "Cat. Dog. ⟪Cat⟫."),
    ("rtt:ratio:sentence_words", {}, "-", "Cat. ⟪Lion.⟫ Dog."),
    ("rtt:ratio:stop_words", {"percentage": 20}, "+ whole", "Cat's paws purr."),
    ("rtt:ratio:stop_words", {"percentage": 20}, "-", "⟪Don’t⟫ purr."),
    ("rtt:ratio:overlap", NUMBER, "+ whole", "the cat sat up"),
    ("rtt:ratio:overlap", NUMBER, "- whole", "the cat sat"),
    ("rtt:ratio:overlap", NUMBER, "- whole missing", "the cat"),
    ("rtt:repeat:repeat_change", REQUEST, "+", " ⟦Read a  long poem⟧"),
    ("rtt:repeat:repeat_change", REQUEST, "-", "⟪write⟫ a long poem"),
    ("rtt:repeat:repeat_change", REQUEST, "-", "Read a ⟪short⟫ poem"),
    ("rtt:repeat:repeat_span", SPAN, "+", "⟦A long⟧"),
    ("rtt:repeat:repeat_span", SPAN, "-", "a long⟪ poem⟫"),
    ("rtt:words:consonants", {}, "+ whole", "- Small birds chirp 42."),
    ("rtt:words:consonants", {}, "-", "- Small ⟪bees⟫ melt."),
    ("rtt:words:consonants", {}, "- whole missing", "42"),
    ("rtt:words:last_first", {}, "+", "I like ⟦tea⟧. (⟦Tea⟧.)"),
    ("rtt:words:last_first", {}, "-", "I like tea. ⟪Coffee⟫ is hot."),
    ("rtt:words:last_first", {}, "+ whole", "One."),
    ("rtt:words:palindrome", {}, "+", f"{PALINDROMES} ⟦deified⟧ noon 11111"),
    ("rtt:words:palindrome", {}, "- missing", f"{PALINDROMES} ⟦level⟧ 11111"),
    ("rtt:words:words_position", {"keyword": "moon"}, "+", "The, - ⟦Moon⟧ and no ⟦moon⟧ sets!)"),
    ("rtt:words:words_position", {"keyword": "moon"}, "-", "The ⟪sun⟫ and no moon sets."),
    ("rtt:words:words_position", {"keyword": "moon"}, "- missing", "Moon"),
    ("rtt:format:emoji", {}, "+", "Hello ⟦🇩⟧⟦🇪⟧! Fine ⟦😀⟧."),
    ("rtt:format:emoji", {}, "-", "Fine 😀. ⟪No.⟫"),
    ("rtt:format:line_indent", {}, "+ whole", "a\n\n\n b\n\t\tc"),
    ("rtt:format:line_indent", {}, "-", "a\n b\n\n⟪ c⟫"),
    ("rtt:format:list", {"sep": "!?!?"}, "+", "A list:\n⟦!?!?⟧ a !?!?\n ⟦!?!?⟧ b"),
    ("rtt:format:list", {"sep": "-"}, "- missing", "⟦-⟧ well-known - up-to-date"),
    ("rtt:format:newline", {}, "+ whole", "One,\n \n-\ntwo\n"),
    ("rtt:format:newline", {}, "-", "One⟪ two⟫\n \nthree"),
    ("rtt:format:no_bullets_bullets", {}, "+", "**One.** Two.\n\n⟦*⟧ a\n\n⟦*⟧ b\n\n*Three.*"),
    ("rtt:format:no_bullets_bullets", {}, "- missing", "⟦One.⟧ ⟦Two.⟧\n⟦**Three**⟧\n⟦*⟧ a"),
    ("rtt:format:no_bullets_bullets", {}, "- missing", "⟦One.⟧\n⟦*⟧ a\n⟦*⟧ b"),
    ("rtt:format:options", {"options": "fork, door, or spoon"}, "+", "⟦Door.⟧"),
    ("rtt:format:options", {"options": "fork, door, or spoon"}, "- whole", "Not the door"),
    ("rtt:format:options", {"options": "yes/no"}, "+", "⟦no⟧"),
    ("rtt:format:output_template", {}, "+", "⟦My Answer:⟧ a ⟦My Conclusion:⟧ b ⟦Future Outlook:⟧ c"),
    ("rtt:format:output_template", {}, "- missing", "Future Outlook: c ⟦My Answer:⟧ a ⟦My Conclusion:⟧ b"),
    ("rtt:format:parentheses", {}, "+", "a ⟦(⟧⟦[⟧{[([b])]}⟦]⟧⟦)⟧ (c)"),
    ("rtt:format:parentheses", {}, "- missing", "((((( )"),
    ("rtt:format:quote_unquote", {}, "+ whole", "He said “yes”, and meant it."),
    ("rtt:format:quote_unquote", {}, "-", "He said “yes⟪”⟫ ⟪“⟫no” at last."),
    ("rtt:format:quotes", {}, "+", "⟦“⟧I don't ⟦‘⟧say ⟦“⟧it⟦”⟧⟦’⟧⟦”⟧"),
    ("rtt:format:quotes", {}, "- missing", '"I don\'t say "it"."'),
    ("rtt:format:sub-bullets", {}, "+", "* **a**\n ⟦-⟧ b-c\n* d\n ⟦-⟧ e\n ⟦-⟧ f"),
    ("rtt:format:sub-bullets", {}, "- missing", "* a\n - b\n⟪*⟫ well-known"),
    ("rtt:format:sub-bullets", {}, "- missing", "No *bullets*."),
    ("rtt:format:title_case", {}, "+ whole", "The Cat in the Hat - Don't Stop"),
    ("rtt:format:title_case", {}, "-", "The Cat ⟪sat⟫ in a Hat to Come ⟪in⟫"),
    ("rtt:custom:csv_special_character", {}, "+ whole", GOODS + '2,"a, b & c",b,2,3\n'),
    ("rtt:custom:csv_special_character", {}, "- whole", '2,"a!",b,2,3\n'.join(GOODS.split("1,a,b,2,3\n", 1)) + "1,2"),
    ("rtt:custom:csv_special_character", {}, "- whole missing", GOODS + '2,"ab",b!,2,3'),
    ("rtt:custom:date_format_list", {}, "+", "⟦1805-12-02⟧, ⟦1804-02-29⟧"),
    ("rtt:custom:date_format_list", {}, "-", "1805-12-02, ⟪1805-02-29⟫, ⟪1806-10-00⟫"),
    ("rtt:custom:european_capitals_sort", {}, "+ whole", CAPITALS),
    ("rtt:custom:european_capitals_sort", {}, "- whole", CAPITALS.replace("Kiev, Prague", "Prague, Kiev")),
    ("rtt:custom:european_capitals_sort", {}, "- whole", CAPITALS.replace("Kiev, ", "")),
]

TABLE = "Rows:\n⟦| a | b |⟧\n⟦|:--|--:|⟧\n⟦| 1 | 2 |⟧\n⟦| 3 | 4 |⟧\nMore | less."
PLAIN = "| a | b |\n|---|---|\n"

MULDIMIF: list[Case] = [
    ("rtt:length:words", {"relation": "exactly", "number": 3}, "+ whole", "Don't stop - now."),
    ("rtt:length:words", {"relation": "fewer than", "number": 3}, "-", "One two ⟪three⟫"),
    ("rtt:length:words", {"relation": "more than", "number": 3}, "- missing", "⟦One two three⟧"),
    ("rtt:length:words", {"relation": "at most", "number": 3}, "-", "你好a，⟪好。⟫"),
    ("rtt:length:sentences", {"relation": "at most", "number": 2}, "+ whole", "Wait... It costs 3.50."),
    ("rtt:length:sentences", {"relation": "exactly", "number": 1}, "- whole", "Wait! ⟪I see.⟫"),
    ("rtt:length:sentences", {"relation": "at least", "number": 2}, "- missing", "⟦Wait...⟧"),
    ("rtt:length:paragraphs", {"relation": "exactly", "number": 2}, "+ whole", "\n\nOne\nline.\n \n\nTwo."),
    ("rtt:length:paragraphs", {"relation": "at most", "number": 1}, "-", "One.\n\n⟪Two.⟫"),
    ("rtt:length:paragraphs", {"relation": "at least", "number": 2}, "- missing", "⟦One\nline.⟧"),
    ("rtt:format:table_rows", {"relation": "exactly", "number": 2}, "+", TABLE.replace("\nMore", "\n\nMore")),
    ("rtt:format:table_rows", {"relation": "at most", "number": 1}, "-", PLAIN + "| 1 | 2 |\n⟪| 3 | 4 |⟫\nEnd."),
    ("rtt:format:table_rows", {"relation": "at least", "number": 2}, "- missing", PLAIN + "⟦| 1 | 2 |⟧"),
    ("rtt:format:table_rows", {"relation": "at least", "number": 1}, "- missing", "| no | table |"),
    ("rtt:punctuation:ending", {"sign": "."}, "+", 'He said "Hello⟦.⟧"** '),
    ("rtt:punctuation:ending", {"sign": "."}, "-", 'He said "Hello⟪!⟫"'),
    ("rtt:punctuation:ending", {"sign": '"'}, "+", 'He said "Hello.⟦"⟧'),
]

CASES = IFEVAL + IFBENCH + MULDIMIF
