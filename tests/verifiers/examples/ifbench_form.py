"""Examples of IFBench's groups ``sentence``, ``format`` and ``custom``; see ``test_rules``."""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, Any], str, str]

SENTENCE: list[Case] = [
    ("sentence:increment", {"small_n": 1}, "+ whole", "One. One two. One two - three."),
    ("sentence:increment", {"small_n": 1}, "-", "One. ⟪One two three.⟫ One two three four."),
    ("sentence:alliteration_increment", {}, "+ whole", "A cat. Big bears eat. Big bad bears."),
    ("sentence:alliteration_increment", {}, "-", "Big bears eat. ⟪Small birds.⟫"),
    ("sentence:keyword", {"word": "moon", "N": 2}, "+", "Moon. The ⟦Moon⟧, a ⟦moon⟧."),
    ("sentence:keyword", {"word": "moon", "N": 2}, "- missing", "Moon. Moons."),
    ("sentence:keyword", {"word": "moon", "N": 2}, "- missing", "Moon."),
]

FORMAT: list[Case] = [
    ("format:emoji", {}, "+", "Fine. ⟦😀⟧ Yes ⟦😀⟧!"),
    ("format:emoji", {}, "-", "Fine 😀. ⟪No.⟫"),
    ("format:line_indent", {}, "+ whole", "a\n b\n   c"),
    ("format:line_indent", {}, "-", "a\n b\n⟪ c⟫\n  d"),
    # Of two blank lines the second one stays, and is a line without indent.
    ("format:line_indent", {}, "+ whole", "a\n\n b"),
    ("format:line_indent", {}, "-", "a\n⟪\n⟫\n b"),
    ("format:list", {"sep": "!?!?"}, "+", "⟦!?!?⟧ a ⟦!?!?⟧ b"),
    ("format:list", {"sep": "..."}, "- missing", "⟦...⟧ a"),
    ("format:newline", {}, "+ whole", "One,\n\ntwo\n"),
    ("format:newline", {}, "-", "One⟪ two three⟫\nfour"),
    ("format:newline", {}, "-", "One\n⟪ ⟫\ntwo"),
    ("format:no_bullets_bullets", {}, "+", "One. Two.\n⟦*⟧ a\n ⟦*⟧ b"),
    ("format:no_bullets_bullets", {}, "- missing", "⟦One.⟧\n* a\n* b"),
    ("format:no_bullets_bullets", {}, "- missing", "⟦One.⟧ ⟦Two.⟧\n⟦*⟧ a"),
    ("format:no_bullets_bullets", {}, "-", "One. Two.\n* a\n* b⟪\n⟫"),
    ("format:no_bullets_bullets", {}, "-", "One. Two.\n\n⟪Three.⟫\n* a\n* b"),
    ("format:no_whitespace", {}, "+ whole", "No-blank."),
    ("format:no_whitespace", {}, "-", "A⟪ ⟫blank⟪ \n⟫"),
    ("format:options", {"options": "yes/no/maybe"}, "+", " ⟦Maybe!⟧"),
    ("format:options", {"options": "yes/no/maybe"}, "- whole", "Yes, indeed"),
    ("format:options", {"options": "a), b), c)"}, "+", "⟦b)⟧"),
    ("format:options", {"options": "a), b), c)"}, "- whole", "b"),
    # "or" divides inside words too, as in "fork or spoon".
    ("format:options", {"options": "fork or spoon"}, "- whole", "fork"),
    ("format:output_template", {}, "+", "⟦My Answer:⟧ a ⟦My Conclusion:⟧ b ⟦Future Outlook:⟧ c"),
    ("format:output_template", {}, "- missing", "⟦My Answer:⟧ a ⟦Future Outlook:⟧ c"),
    ("format:parentheses", {}, "+", "a ⟦(⟧⟦[⟧⟦{⟧⟦(⟧⟦[⟧b⟦]⟧ c"),
    ("format:parentheses", {}, "- missing", "a ([{(b)}]) c"),
    ("format:parentheses", {}, "- missing", "((((( ]"),
    ("format:quote_unquote", {}, "+ whole", 'He said "yes", and meant it.'),
    ("format:quote_unquote", {}, "-", 'He said "yes⟪"⟫ ⟪"⟫no" at last.'),
    ("format:quote_unquote", {}, "-", 'He said "yes⟪"⟫.'),
    ("format:quotes", {}, "+", '⟦"⟧a ⟦\'⟧b ⟦"⟧c⟦"⟧⟦\'⟧⟦"⟧'),
    ("format:quotes", {}, "- missing", "\"a 'b' c\""),
    ("format:sub-bullets", {}, "+", "* a\n ⟦-⟧ b\n* c\n ⟦-⟧ d"),
    ("format:sub-bullets", {}, "-", "* a\n - b\n⟪*⟫ c"),
    ("format:sub-bullets", {}, "+ whole", "No bullets."),
    ("format:thesis", {}, "+", "⟦<i>A thesis.</i>⟧ And text."),
    ("format:thesis", {}, "- missing", "⟦<i>A thesis.</i>⟧"),
    ("format:thesis", {}, "- missing", "<i> </i> And text."),
    ("format:thesis", {}, "- missing", "*A thesis.* And text."),
    ("format:title_case", {}, "+ whole", "The Cat McDonald Sat In 12 Hats"),
    ("format:title_case", {}, "-", "The Cat ⟪in⟫ ⟪a⟫ Hat"),
]

CITIES = "ID,Country,City,Year,Count\n" + "\n".join(f"{n},Peru,Lima,1990,{n}" for n in range(7))
STUDENTS = "StudentID\tSubject\tGrade\tSemester\tScore".replace("\t", '"\t"').join('""')
QUOTED = "\n".join([STUDENTS, *(['"1"\t"Art"\t"A"\t"2"\t"90"'] * 3)])
GOODS = "ProductID,Category,Brand,Price,Stock\n" + "\n".join([*(["1,a,b,2,3"] * 13), '2,"a!",b,2,3'])
QUESTIONS = "\n".join(f"Question {n}. {'Why' * n}?\nA) a\nB) b\nC) c\nD) d\nE) e" for n in range(1, 5))
CAPITALS = ", ".join(
    (
        "Reykjavík, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin",
        "Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, Budapest, Vaduz, Chișinău",
        "Bern, Ljubljana, Zagreb",
    )
)
COUNTRIES = ["Zimbabwe", "Zambia", *(f"{letter}{n}" for letter in "YXWVU" for n in range(9, -1, -1))]
STORY = [f"{chr(65 + n)}nd so it went." for n in range(26)]

CUSTOM: list[Case] = [
    ("custom:character_reverse", {}, "+", "si ⟦elgaE dlab⟧ ehT"),
    ("custom:character_reverse", {}, "- missing", "The bald eagle"),
    ("custom:csv_city", {}, "+ whole", CITIES),
    ("custom:csv_city", {}, "- whole", CITIES + "\n8,Peru,Lima,1990,8"),
    ("custom:csv_quotes", {}, "+ whole", QUOTED),
    ("custom:csv_quotes", {}, "- whole", QUOTED.replace('"90"', "90")),
    ("custom:csv_special_character", {}, "+ whole", GOODS),
    ("custom:csv_special_character", {}, "- whole missing", GOODS.replace("!", "")),
    ("custom:date_format_list", {}, "+", "⟦1796-05-10⟧, ⟦1805-12-02⟧"),
    ("custom:date_format_list", {}, "-", "1796-05-10, ⟪1805-13-02⟫, ⟪Austerlitz⟫"),
    ("custom:date_format_list", {}, "- missing", "⟦1796-05-10⟧,"),
    ("custom:european_capitals_sort", {}, "+ whole", CAPITALS),
    ("custom:european_capitals_sort", {}, "- whole", CAPITALS + ", Kyiv"),
    ("custom:mcq_count_length", {}, "+ whole", QUESTIONS),
    ("custom:mcq_count_length", {}, "- whole", QUESTIONS.replace("E) e", "", 1)),
    ("custom:multiples", {}, "+", "⟦14⟧, ⟦21⟧, ⟦28⟧, ⟦35⟧, ⟦42⟧, ⟦49⟧"),
    ("custom:multiples", {}, "-", "14, 21, 28, 35, 42, 49, ⟪56⟫"),
    ("custom:multiples", {}, "- missing", "⟦14⟧, ⟦21⟧"),
    ("custom:reverse_newline", {}, "+", "The list:\n" + "\n".join(f"⟦{name}⟧" for name in COUNTRIES)),
    ("custom:reverse_newline", {}, "-", "\n".join([*COUNTRIES[:3], "⟪Zaire⟫", *COUNTRIES[3:]])),
    ("custom:reverse_newline", {}, "- missing", "⟦Zimbabwe⟧\n⟦Zambia⟧"),
    ("custom:sentence_alphabet", {}, "+", " ".join(f"⟦{one.split()[0]}⟧ so it went." for one in STORY)),
    ("custom:sentence_alphabet", {}, "-", " ".join([*STORY[:2], "⟪And⟫ so it went.", *STORY[3:]])),
    ("custom:sentence_alphabet", {}, "- missing", "⟦And⟧ so. ⟦But⟧ no."),
    ("custom:word_reverse", {}, "+ whole", "eagle bald the is animal The"),
    ("custom:word_reverse", {}, "- missing", "The animal is the bald eagle"),
]

CASES = SENTENCE + FORMAT + CUSTOM
