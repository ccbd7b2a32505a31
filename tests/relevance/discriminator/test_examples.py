"""Examples: what is in them, how files say it, and what is held out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt import Outcome, Rule, Span, Verdict
from rtt.errors import ConfigurationError, DataError, ShapeError
from rtt.json_lines import LineError
from rtt.relevance.discriminator.examples import (
    MAX_PROBLEMS,
    SPLITS,
    Example,
    dataset_card,
    from_verdict,
    iter_examples,
    read_examples,
    relevant_share,
    split_examples,
    tally,
    to_char_labels,
    to_token_labels,
    without,
    write_examples,
)

COMMA = Rule(name="punctuation:no_comma")
SONG = "A robot sings, badly."


def make(**fields: Any) -> Example:
    given = {"criterion": "The response contains no commas.", "response": SONG, "outcome": Outcome.VIOLATED}
    return Example(**(given | fields))


@st.composite
def spans(draw: st.DrawFn, length: int) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


@st.composite
def examples(draw: st.DrawFn) -> Example:
    response = draw(st.text(max_size=40))
    return Example(
        criterion=draw(st.text(min_size=1).filter(str.strip)),
        response=response,
        outcome=draw(st.sampled_from(Outcome)),
        support=draw(spans(len(response))),
        violation=draw(spans(len(response))),
        scope=draw(st.sampled_from(["spans", "response"])),
        missing=draw(st.booleans()),
        kind=draw(st.sampled_from(["a:x", "a:y", "b:x"])),
        wording=draw(st.sampled_from(["", "w/1", "w/2", "w/3"])),
        prompt=draw(st.sampled_from(["", "p1", "p2", "p3", "p4"])),
        source=draw(st.text(max_size=5)),
        rule=draw(st.sampled_from([None, COMMA])),
    )


# --------------------------------------------------------------------------------------------------- in memory


def test_a_violated_criterion_hangs_on_what_violates_and_else_on_the_progress() -> None:
    assert make(support=((2, 7),), violation=((13, 14),)).relevant == ((13, 14),)
    assert make(support=((2, 7),), missing=True).relevant == ((2, 7),)
    assert make(missing=True).relevant == ()


def test_a_satisfied_criterion_hangs_on_its_support() -> None:
    assert make(outcome=Outcome.SATISFIED, support=((2, 7),), violation=((13, 14),)).relevant == ((2, 7),)


def test_without_a_polarity_both_are_relevant() -> None:
    assert make(outcome=Outcome.UNDETERMINED, support=((2, 7),), violation=((5, 9), (13, 14))).relevant == (
        (2, 9),
        (13, 14),
    )


def test_the_whole_response_is_relevant_where_it_carries_the_verdict() -> None:
    example = make(scope="response")
    assert example.relevant == ((0, len(SONG)),)
    assert not example.is_local
    assert make(scope="response", response="").relevant == ()


def test_local_is_what_some_characters_carry() -> None:
    assert make(violation=((13, 14),)).is_local
    assert not make(missing=True).is_local


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"violation": ((13, 22),)}, r"violation: \[13, 22\) is empty or leaves the response of 21 characters"),
        ({"support": ((-1, 2),)}, r"support: \[-1, 2\) is empty or leaves"),
        ({"support": ((3, 3),)}, r"support: \[3, 3\) is empty"),
        ({"support": ((2, 7), (6, 9))}, r"support: \[6, 9\) overlaps the span before it, which ends at 7"),
        ({"support": ((8, 9), (2, 7))}, r"support: \[2, 7\) overlaps .* or is out of order; expected sorted"),
    ],
)
def test_spans_that_do_not_fit_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        make(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"criterion": " \n"}, "criterion: got .* expected text that is not blank"),
        ({"scope": "all"}, "scope: got 'all'; expected 'spans' or 'response'"),
        ({"response": "cut \ud83d"}, "response: character 4 is half a surrogate pair"),
    ],
)
def test_fields_that_say_nothing_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        make(**fields)


def test_spans_are_tuples_whatever_they_come_as() -> None:
    assert make(violation=[[13, 14]]).violation == ((13, 14),)
    assert make(outcome=-1).outcome is Outcome.VIOLATED


def test_a_verdict_becomes_an_example() -> None:
    verdict = Verdict(
        "c1", Outcome.VIOLATED, "rule:punctuation:no_comma", evidence=(Span(2, 7), Span(13, 14, "violation"))
    )
    example = from_verdict(
        "No commas.", SONG, verdict, kind="punctuation:no_comma", prompt="p", wording="w", rule=COMMA
    )
    assert example == Example(
        "No commas.",
        SONG,
        Outcome.VIOLATED,
        support=((2, 7),),
        violation=((13, 14),),
        kind="punctuation:no_comma",
        wording="w",
        prompt="p",
        source="rule",
        rule=COMMA,
    )


def test_an_undetermined_verdict_is_no_example() -> None:
    assert from_verdict("Polite.", SONG, Verdict("c1", Outcome.UNDETERMINED, "judge"), kind="judge") is None


@pytest.mark.parametrize("outcome", [Outcome.SATISFIED, Outcome.VIOLATED])
def test_the_scope_goes_before_the_evidence_as_it_does_in_training(outcome: Outcome) -> None:
    example = from_verdict("c", SONG, Verdict("c", outcome, "x", evidence=(Span(2, 7),), scope="response"), kind="x")
    assert example is not None
    assert example.relevant == ((0, 21),)


def test_evidence_of_another_response_is_refused() -> None:
    with pytest.raises(ShapeError, match="leaves the response of 2 characters"):
        from_verdict("c", "Hi", Verdict("c", Outcome.SATISFIED, "x", evidence=(Span(2, 7),)), kind="x")


@given(st.text(max_size=30).flatmap(lambda text: st.tuples(st.just(text), spans(len(text)))))
def test_without_spans_the_rest_is_left(given_: tuple[str, Any]) -> None:
    text, removed = given_
    inside = {place for start, end in removed for place in range(start, end)}
    assert without(text, removed) == "".join(sign for place, sign in enumerate(text) if place not in inside)


# ------------------------------------------------------------------------------------------------------ on disk


@given(examples())
def test_what_is_written_is_read_back(example: Example) -> None:
    line = example.to_json()
    assert "\n" not in line
    assert Example.from_json(line) == example


def test_a_file_is_read_back(tmp_path: Path) -> None:
    given_ = [make(violation=((13, 14),), rule=COMMA), make(response="Überall 😀\r\n漢字", missing=True)]
    path = tmp_path / "examples.jsonl"
    assert write_examples(path, given_) == 2
    assert read_examples(path) == given_
    assert list(iter_examples(path)) == given_


def test_no_examples_are_no_file(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    with pytest.raises(DataError, match="no examples to write"):
        write_examples(path, [])
    assert not path.exists()
    path.write_text("\n")
    with pytest.raises(DataError, match="has no example in it"):
        read_examples(path)


def test_what_has_its_usual_value_may_be_left_out() -> None:
    line = {"criterion": "No commas.", "response": "Hi", "outcome": 1, "rule": None}
    assert Example.from_json(json.dumps(line)) == Example("No commas.", "Hi", Outcome.SATISFIED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outcome": 2}, r"outcome: got 2 \(a number\); expected one of 1, -1, 0"),
        ({"outcome": None}, "outcome: is missing"),
        ({"response": 7}, r"response: got 7 \(a number\); expected text"),
        ({"support": [[0, 1.5]]}, r"support\[0\]\[1\]: got 1.5 \(a number\); expected a whole number"),
        ({"support": [[0]]}, r"support\[0\]\[1\]: is missing"),
        ({"support": [[0, 1, 2]]}, r"support\[0\]: got .* expected \[start, end\]"),
        ({"support": "0-1"}, r"support: got '0-1' \(text\); expected a list of \[start, end\]"),
        ({"support": [[0, 99]]}, r"support: \[0, 99\) is empty or leaves the response of 2 characters"),
        ({"suport": []}, "suport: is not a known field; did you mean 'support'"),
        ({"scope": "all"}, r"scope: got 'all' \(text\); expected one of 'spans', 'response'"),
        ({"rule": {"name": "punctuation:nocomma"}}, r"rule.name: .*punctuation:no_comma"),
        ({"rule": {"name": "punctuation:no_comma", "argumens": {}}}, "rule.argumens: is not a known field; did you"),
        ({"criterion": "  "}, "criterion: got '  '; expected text that is not blank"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(change: dict[str, Any], words: str) -> None:
    line = {"criterion": "No commas.", "response": "Hi", "outcome": 1} | change
    with pytest.raises(LineError, match=words):
        Example.from_json(json.dumps(line))


def test_all_bad_lines_are_told_together_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"criterion": "c", "response": 1, "outcome": 7}\n[]\n\n' + make().to_json() + "\nnot json\n")
    with pytest.raises(DataError) as refusal:
        read_examples(path)
    told = str(refusal.value).split("\n  ")
    assert told[0] == f"{path}: 4 problems"
    assert [line.split(":")[1] for line in told[1:]] == ["1", "1", "2", "5"]
    with pytest.raises(DataError, match=r"examples.jsonl:1: response: got 1"):
        next(iter_examples(path))


def test_reading_stops_after_many_problems(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text("[]\n" * (MAX_PROBLEMS + 5))
    with pytest.raises(DataError, match=f"{MAX_PROBLEMS} problems up to line {MAX_PROBLEMS}, where reading stopped"):
        read_examples(path)


# ------------------------------------------------------------------------------------- label files of other kinds


def spans_line(**fields: Any) -> str:
    line = {
        "id": "mail/7",
        "criterion_id": "c1",
        "criterion": "Do not use any commas.",
        "prompt": "Sing.",
        "response": SONG,
        "passed": False,
        "scope": "spans",
        "spans": [[13, 14]],
        "label_source": "rule",
    }
    return json.dumps(line | fields)


def test_spans_of_a_failed_criterion_violate_and_of_a_passed_one_support() -> None:
    failed, passed, unknown = (Example.from_json(spans_line(passed=passed)) for passed in (False, True, None))
    assert (failed.outcome, failed.violation, failed.support) == (Outcome.VIOLATED, ((13, 14),), ())
    assert (passed.outcome, passed.violation, passed.support) == (Outcome.SATISFIED, (), ((13, 14),))
    assert (unknown.outcome, unknown.relevant) == (Outcome.UNDETERMINED, ((13, 14),))
    assert (failed.source, failed.prompt, failed.kind) == ("rule", "Sing.", "user")
    assert Example.from_json(spans_line(prompt=None)).prompt == "mail/7"


def test_problems_of_spans_lines_name_the_fields_as_they_are_there() -> None:
    with pytest.raises(LineError, match=r"^spans: \[13, 99\) is empty or leaves the response of 21 characters"):
        Example.from_json(spans_line(spans=[[13, 99]]))
    with pytest.raises(LineError, match="pased: is not a known field; did you mean 'passed'"):
        Example.from_json(spans_line(pased=True))


def test_char_labels_become_spans_and_back() -> None:
    line = {
        "question": "Sing.",
        "criteria": "Names a robot.",
        "response": "A robot",
        "char_labels": [0, 0, 1, 1, 1, 1, 1],
    }
    example = Example.from_json(json.dumps(line))
    assert (example.outcome, example.support, example.prompt) == (Outcome.UNDETERMINED, ((2, 7),), "Sing.")
    assert to_char_labels(example) == line["char_labels"]


def test_char_labels_count_code_points() -> None:
    line = {"criteria": "Smiles.", "response": "e\u0301 😀!", "char_labels": [0, 0, 0, 1, 0]}
    assert Example.from_json(json.dumps(line)).support == ((3, 4),)


def test_a_response_that_is_labelled_as_a_whole_carries_the_verdict() -> None:
    example = Example.from_json(json.dumps({"criteria": "In English.", "response": "Hi!", "char_labels": [1, 1, 1]}))
    assert example.scope == "response"
    assert to_char_labels(example) == [1, 1, 1]


@given(
    st.text(max_size=30).flatmap(
        lambda text: st.tuples(st.just(text), st.lists(st.integers(0, 1), min_size=len(text), max_size=len(text)))
    )
)
def test_any_char_labels_survive(given_: tuple[str, list[int]]) -> None:
    response, labels = given_
    line = json.dumps({"criteria": "c", "response": response, "char_labels": labels})
    assert to_char_labels(Example.from_json(line)) == labels


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"char_labels": [0, 1]}, "char_labels: has 2 labels for a response of 7 characters; expected one for each"),
        ({"char_labels": [0, 1, 2, 0, 0, 0, 0]}, "char_labels: got 2 at index 2; expected 0 or 1"),
        ({"char_labels": [0, -1, 0, 0, 0, 0, 0]}, "char_labels: got -1 at index 1"),
        ({"char_labels": "0100000"}, "char_labels: got '0100000'; expected a list of 0 and 1"),
        ({}, "char_labels: is missing, and so is token_labels"),
        ({"token_labels": [0, 1]}, r"token_labels: needs the tokenizer .* pass it \(--tokenizer\)"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(LineError, match=words):
        Example.from_json(json.dumps({"criteria": "Names a robot.", "response": "A robot"} | fields))


def test_whole_floats_and_booleans_are_labels() -> None:
    line = {"criteria": "c", "response": "abc", "char_labels": [0.0, 1.0, True]}
    assert Example.from_json(json.dumps(line)).support == ((1, 3),)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A word is a token, a comma too; blanks are none. "<s>" and "</s>" would be added as special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<s>": 0, "</s>": 1, "?": 2}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    model.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=model, name_or_path="words", model_max_length=4)


def from_tokens(labels: list[int], tokenizer: Any, response: str = SONG) -> Example:
    line = {"criteria": "Names a robot.", "response": response, "token_labels": labels}
    return Example.from_json(json.dumps(line), tokenizer=tokenizer)


def test_token_labels_become_characters(tokenizer: Any) -> None:
    """A, robot, sings, the comma, badly, the full stop; more of them than the model's maximum."""
    assert from_tokens([0, 1, 0, 0, 1, 0], tokenizer).support == ((2, 7), (15, 20))


def test_neighbouring_tokens_join_over_the_white_space_between_them(tokenizer: Any) -> None:
    assert from_tokens([0, 1, 1, 1, 0, 0], tokenizer).support == ((2, 14),)


def test_token_labels_of_the_whole_response(tokenizer: Any) -> None:
    assert from_tokens([1] * 6, tokenizer).scope == "response"


@given(st.lists(st.integers(0, 1), min_size=6, max_size=6))
def test_any_token_labels_survive(tokenizer: Any, labels: list[int]) -> None:
    offsets = [(0, 1), (2, 7), (8, 13), (13, 14), (15, 20), (20, 21)]
    assert to_token_labels(from_tokens(labels, tokenizer), offsets) == labels


def test_token_labels_of_another_tokenizer_are_refused_with_both_lengths(tokenizer: Any) -> None:
    words = "token_labels: has 5 labels for a response of 6 tokens as 'words' encodes it, without special tokens"
    with pytest.raises(LineError, match=words):
        from_tokens([0, 1, 0, 0, 1], tokenizer)


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(
        LineError, match="token_labels: Slow does not say which characters a token spans; expected a fast"
    ):
        from_tokens([1], Slow())


def test_characters_go_before_tokens_where_both_are_there() -> None:
    line = {"criteria": "c", "response": "ab", "char_labels": [0, 1], "token_labels": [1]}
    assert Example.from_json(json.dumps(line)).support == ((1, 2),)


# --------------------------------------------------------------------------------------------------- the parts


def population() -> list[Example]:
    return [
        make(response=f"{SONG} {prompt}", kind=kind, wording=f"{kind}/{wording}", prompt=prompt)
        for prompt in [f"p{number}" for number in range(60)]
        for kind in ("keywords:existence", "keywords:frequency", "startend:quotation", "punctuation:no_comma")
        for wording in range(8)
    ]


def test_no_prompt_wording_or_kind_crosses() -> None:
    parts = split_examples(population(), held_out_kinds=["startend:quotation", "keywords:f*"])
    assert tuple(parts) == SPLITS
    assert all(parts.values())

    def of(field: str, *names: str) -> set[str]:
        return {getattr(example, field) for name in names for example in parts[name]}

    tested = ("seen", "kinds", "wordings")
    assert not of("prompt", "train") & of("prompt", "validation", *tested)
    assert not of("prompt", "validation") & of("prompt", *tested)
    assert of("kind", "kinds") == {"startend:quotation", "keywords:frequency"}
    assert not of("kind", "kinds") & of("kind", "train", "validation", "seen", "wordings")
    assert not of("wording", "wordings") & of("wording", "train", "validation", "seen")
    assert of("wording", "seen") <= of("wording", "train")


@given(st.lists(examples(), max_size=12), st.floats(0, 0.45), st.floats(0, 0.9), st.floats(0, 0.45))
def test_nothing_crosses_whatever_the_shares(
    given_: list[Example], prompts: float, wordings: float, validation: float
) -> None:
    parts = split_examples(
        given_,
        held_out_kinds=["b:x"],
        held_out_prompts=prompts,
        held_out_wordings=wordings,
        validation_prompts=validation,
    )
    keys = {name: {example.prompt_key for example in members} for name, members in parts.items()}
    tested = keys["seen"] | keys["kinds"] | keys["wordings"]
    assert not keys["train"] & (tested | keys["validation"])
    assert not keys["validation"] & tested
    learned = parts["train"] + parts["validation"]
    assert not {e.wording for e in learned} & {e.wording for e in parts["wordings"]}
    assert not any(e.kind == "b:x" for e in learned + parts["seen"] + parts["wordings"])


def test_the_parts_do_not_depend_on_order_or_company() -> None:
    everything = population()
    parts = split_examples(everything, held_out_kinds=["startend:quotation"])
    again = split_examples(everything[::-1], held_out_kinds=["startend:quotation"])
    assert {name: members[::-1] for name, members in again.items()} == parts
    alone = [split_examples([example], held_out_kinds=["startend:quotation"])["train"] for example in everything]
    assert [example for one in alone for example in one] == parts["train"]


def test_the_parts_are_the_same_on_every_machine() -> None:
    """Fixed once and for all: a checkpoint that was trained elsewhere must not have seen what is tested on here."""
    held_out = [
        number
        for number in range(40)
        if split_examples([make(prompt=f"p{number}")], held_out_kinds=[], held_out_prompts=0.1)["seen"]
    ]
    assert held_out == [1, 7, 16, 18, 32, 37]


def test_the_shares_are_about_what_was_asked_for() -> None:
    many = [make(prompt=str(number)) for number in range(4000)]
    parts = split_examples(many, held_out_kinds=[], held_out_prompts=0.2, validation_prompts=0.1)
    assert len(parts["seen"]) == pytest.approx(800, rel=0.15)
    assert len(parts["validation"]) == pytest.approx(400, rel=0.15)


def test_examples_without_a_prompt_go_by_their_response() -> None:
    same = [make(response="One."), make(response="One.", criterion="Be brief."), make(response="Two.")]
    assert same[0].prompt_key == same[1].prompt_key != same[2].prompt_key
    parts = split_examples(same, held_out_kinds=[])
    assert len({name for name, members in parts.items() for e in members if e.response == "One."}) == 1


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"held_out_prompts": 1.0}, "held_out_prompts=1.0; expected a share from 0"),
        ({"held_out_wordings": -0.1}, "held_out_wordings=-0.1; expected a share"),
        ({"held_out_prompts": 0.6, "validation_prompts": 0.4}, "leave no prompts to train on"),
    ],
)
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        split_examples([], held_out_kinds=[], **shares)


# ------------------------------------------------------------------------------------------------------ the card


def test_the_card_says_what_is_in_it() -> None:
    given_ = [
        make(violation=((13, 14),), kind="punctuation:no_comma", wording="w/1", prompt="p", source="rule"),
        make(outcome=Outcome.SATISFIED, scope="response", kind="length|words", source="rule"),
        make(outcome=Outcome.SATISFIED, support=((0, 21),), kind="punctuation:no_comma", source="occlusion"),
    ]
    card = dataset_card(given_, title="My examples", made_by="rtt discriminator label a b")
    assert card.startswith("# My examples\n")
    assert "    rtt discriminator label a b\n" in card
    assert "| examples | 3 |" in card
    assert "| local (some characters carry the verdict) | 2 (66.7 %) |" in card
    assert "| punctuation:no_comma | 2 | 1 | 1 | 0 | 2 | 52.4 % |" in card  # the mean of 1/21 and 21/21
    assert "| length\\|words | 1 | 1 | 0 | 0 | 0 | - |" in card
    assert "| occlusion | 1 |" in card
    assert card.count("FILL IN") == 3


def test_an_empty_card_is_a_card() -> None:
    assert "| examples | 0 |" in dataset_card([], title="Nothing", made_by="nobody")


def test_the_tally_counts_by_any_field() -> None:
    heads, rows = tally([make(prompt="a"), make(prompt="b"), make(prompt="a")], "prompt")
    assert heads[:2] == ("prompt", "examples")
    assert [row[:2] for row in rows] == [("a", "2"), ("b", "1")]


def test_the_relevant_share_of_an_empty_response_is_zero() -> None:
    assert relevant_share(make(response="", scope="response")) == 0
    assert relevant_share(make(violation=((13, 14),))) == pytest.approx(1 / 21)
