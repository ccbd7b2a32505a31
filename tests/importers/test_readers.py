"""From a row of each published format to a task: what it says, what is refused, and that nothing in it is run."""

from __future__ import annotations

import contextlib
import json
import string
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from importers import samples
from importers.samples import SAMPLES

from rtt.errors import ConfigurationError, DataError
from rtt.importers import FORMATS, format_named
from rtt.importers.instructions import CHECKS
from rtt.importers.literals import parse
from rtt.importers.reading import DEFAULT, MAX_CHARACTERS, Choices, Row, read_row
from rtt.json_lines import LineError, decode_text
from rtt.rubrics import Code, Criterion, Message, Task
from rtt.verifiers import verify

ALL = Choices(unknown_rule="judge", code="keep")


def read(form: str, value: object, choices: Choices = ALL) -> Task:
    _, task = read_row(FORMATS[form], value, "file/1", choices)
    assert task is not None
    return task


def refusal(form: str, value: object, choices: Choices = ALL) -> str:
    with pytest.raises(DataError) as caught:
        read_row(FORMATS[form], value, "file/1", choices)
    return str(caught.value)


def told(task: Task) -> list[tuple[str, str, str | None, float]]:
    """Each criterion's kind, text, rule and weight."""
    return [
        (one.kind, one.text, None if one.rule is None else one.rule.name, one.weight) for one in task.rubric.criteria
    ]


# ------------------------------------------------------------------------------------------------ the formats


def test_every_format_has_a_sample() -> None:
    assert {form for form, _ in SAMPLES} == set(FORMATS)


@pytest.mark.parametrize(("form", "value"), SAMPLES)
def test_a_sample_becomes_a_task_that_reads_back_equal(form: str, value: dict[str, Any]) -> None:
    task = read(form, value)
    assert Task.from_json(task.to_json()) == task
    assert task.id.startswith(f"{form}/")
    assert task.metadata["licence"] == FORMATS[form].licence
    assert task.metadata["key"] == task.id.removeprefix(f"{form}/") or task.metadata["key"] == 7
    assert [one.id for one in task.rubric.criteria] == [f"c{k + 1}" for k in range(len(task.rubric.criteria))]


def test_a_row_of_if_rlvr() -> None:
    task = read("if-rlvr", samples.IF_RLVR)
    assert task.prompt == (Message(role="user", content=samples.IF_RLVR["messages"][0]["content"]),)
    assert told(task) == [
        ("rule", "Use no commas.", "punctuation:no_comma", 1.0),
        ("rule", "Have at least 2 placeholders in square brackets.", "detectable_content:number_placeholders", 1.0),
    ]
    assert task.rubric.criteria[1].rule is not None
    assert task.rubric.criteria[1].rule.arguments == {"num_placeholders": 2}
    assert task.metadata == {
        "dataset": "allenai/IF_multi_constraints_upto5",
        "licence": "ODC-BY-1.0",
        "key": "tea_1",
        "constraint_type": "multi",
    }


@pytest.mark.parametrize("constraint", ["One.", "One.\tTwo.\tThree.", "", None, 7])
def test_words_that_are_not_as_many_as_the_rules_give_way_to_the_rules_own(constraint: object) -> None:
    task = read("if-rlvr", {**samples.IF_RLVR, "constraint": constraint})
    assert told(task)[0][1] == "The response contains no commas."


@pytest.mark.parametrize(
    "truth",
    [
        {"instruction_id": ["punctuation:no_comma"], "kwargs": [None]},
        [{"instruction_id": ["punctuation:no_comma"], "kwargs": [{}]}],
        '[{"instruction_id": ["punctuation:no_comma"], "kwargs": [null]}]',
        ["[{'instruction_id': ['punctuation:no_comma'], 'kwargs': [None]}]"[1:-1]],
    ],
)
def test_the_truth_of_if_rlvr_may_be_json_a_literal_or_decoded_already(truth: object) -> None:
    assert told(read("if-rlvr", {**samples.IF_RLVR, "ground_truth": truth}))[0][2] == "punctuation:no_comma"


def test_an_unknown_rule_is_refused_and_named_judged_by_the_datas_words_or_left_out() -> None:
    row, task = read_row(FORMATS["if-rlvr"], samples.IF_TRAIN, "file/1")
    assert (task, dict(row.refused_rules)) == (None, {"copy:copy": 1})
    assert told(read("if-rlvr", samples.IF_TRAIN, Choices("judge")))[1] == ("judge", "Copy this: x", None, 1.0)
    left = read("if-rlvr", samples.IF_TRAIN, Choices("skip"))
    assert [one[2] for one in told(left)] == ["punctuation:no_comma"]
    assert left.metadata["left_out"] == {"unknown rule copy:copy": 1}
    wordless = {**samples.IF_TRAIN, "constraint": None}
    assert "ground_truth.instruction_id[1]: rule 'copy:copy' is not known here, and the data has no words" in refusal(
        "if-rlvr", wordless, Choices("judge")
    )


def test_where_nothing_is_left_there_is_no_task() -> None:
    value = {**samples.IF_RLVR, "ground_truth": "[{'instruction_id': ['copy:copy'], 'kwargs': [None]}]"}
    row, task = read_row(FORMATS["if-rlvr"], value, "file/1", Choices("skip"))
    assert task is None
    assert row.left_out == {"unknown rule copy:copy": 1}


def check(name: str, constraint: str | None, **given: Any) -> dict[str, Any]:
    truth = {"func_name": name, "N": None, "quantifier": None, "options": None, **given}
    return {"messages": samples.user("Tea?"), "ground_truth": json.dumps(truth), "constraint": constraint}


@pytest.mark.parametrize(
    ("value", "rule", "arguments", "text"),
    [
        (
            check(
                "validate_word_constraint",
                "Answer with at least / around / at most {N} words",
                N=5,
                quantifier="at most",
            ),
            "length_constraints:number_words",
            {"num_words": 6, "relation": "less than"},
            "Answer with at most 5 words",
        ),
        (
            check("verify_sentence_constraint", None, N=5.0, quantifier="at least"),
            "length_constraints:number_sentences",
            {"num_sentences": 5, "relation": "at least"},
            "The response has at least 5 sentences.",
        ),
        (
            check("verify_keywords", "Include keywords {keyword1}, {keyword2}", keyword_list=["a", "b"]),
            "keywords:existence",
            {"keywords": ["a", "b"]},
            'The response contains the keywords "a" and "b".',
        ),
        (
            check("validate_forbidden_words", "Do not use {forbidden words}", forbidden_words=["a", "b"]),
            "keywords:forbidden_words",
            {"forbidden_words": ["a", "b"]},
            "Do not use a, b",
        ),
        (
            check("validate_sections", "{section splitter} X", N=2, section_splitter="Part"),
            "detectable_format:multiple_sections",
            {"num_sections": 2, "section_spliter": "Part"},
            "Part X",
        ),
        (
            check("validate_paragraphs", "{first word.__class__} {N!r}", N=3, i=2, first_word="so"),
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "so"},
            "The response has exactly 3 paragraphs with an empty line between paragraphs, and "
            'paragraph 2 starts with the word "so".',
        ),
        (
            check("validate_choice", None, options=["My answer is yes.", "My answer is no.", "My answer is maybe."]),
            "detectable_format:constrained_response",
            {},
            "",
        ),
    ],
)
def test_a_check_of_rlvr_ifeval_becomes_the_rule_that_asks_for_the_same(
    value: dict[str, Any], rule: str, arguments: dict[str, Any], text: str
) -> None:
    [one] = read("rlvr-ifeval", value, DEFAULT).rubric.criteria
    assert one.rule is not None
    assert (one.rule.name, one.rule.arguments) == (rule, arguments)
    assert one.text == text or not text


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (check("verify_keyword_frequency", "{word} {N} times", word="tea", N=2), "verify_keyword_frequency"),
        (check("verify_letter_frequency", "{letter} {N} times", letter="t", N=2), "verify_letter_frequency"),
        (check("verify_paragraph_count", "{N} paragraphs, * * *", N=2), "verify_paragraph_count"),
        (
            check("validate_word_constraint", "at least / around / at most {N} words", N=5, quantifier="around"),
            "validate_word_constraint (around)",
        ),
        (check("validate_choice", "One of {options}", options=["tea", "milk"]), "validate_choice"),
        (check("os.system", "Never {N}.", N=1), "os.system"),
    ],
)
def test_a_check_that_asks_for_something_else_than_any_rule_has_none(value: dict[str, Any], name: str) -> None:
    row, task = read_row(FORMATS["rlvr-ifeval"], value, "file/1")
    assert (task, dict(row.refused_rules)) == (None, {name: 1})
    [one] = read("rlvr-ifeval", value, Choices("judge")).rubric.criteria
    assert one.kind == "judge"
    assert "{" not in one.text


def test_the_rules_of_rlvr_ifevals_checks_exist() -> None:
    from rtt.rule_schemas import rule_names

    assert {rule for rule, _ in CHECKS.values()} < set(rule_names("ifeval"))
    assert len(CHECKS) == 22


def test_a_row_of_nemotron_may_have_its_fields_at_the_top() -> None:
    inside = read("nemotron", samples.NEMOTRON)
    outside = {key: value for key, value in samples.NEMOTRON.items() if key != "verifier_metadata"}
    assert read("nemotron", {**outside, **samples.NEMOTRON["verifier_metadata"]}) == inside
    assert told(inside) == [
        ("rule", "The response contains no commas.", "punctuation:no_comma", 1.0),
        ("judge", "Write two paragraphs.", None, 1.0),
    ]
    assert inside.id == "nemotron/7"


def test_parts_of_a_message_are_joined_and_a_developer_is_the_system() -> None:
    parts = [{"type": "input_text", "text": "No "}, {"type": "input_text", "text": "commas."}]
    asked = {"input": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": parts}]}
    task = read("nemotron", {**samples.NEMOTRON, "responses_create_params": asked}, Choices("skip"))
    assert [(one.role, one.content) for one in task.prompt] == [("system", "Be kind."), ("user", "No commas.")]
    image = {"input": [{"role": "user", "content": [{"type": "input_image", "text": "x"}]}]}
    assert "content[0].type: got 'input_image' (str); expected text: images have no place here" in refusal(
        "nemotron", {**samples.NEMOTRON, "responses_create_params": image}
    )


def test_a_row_of_verinstruct() -> None:
    task = read("verinstruct", samples.VERINSTRUCT)
    assert told(task) == [("code", "At most 30 words.", None, 1.0), ("judge", "The tone is warm.", None, 1.0)]
    assert task.rubric.criteria[0].code == Code(source=samples.FUNCTION, entry="check_following")


def test_a_checker_without_a_tag_is_one_for_a_model_if_its_function_asks_one() -> None:
    value = {
        **samples.VERINSTRUCT,
        "checkers": ["Warm.", "Short.", "Kind."],
        "functions": ["from llm_call import llm_score", samples.FUNCTION, ""],
    }
    assert [one[0] for one in told(read("verinstruct", value))] == ["judge", "code", "judge"]


def test_program_text_is_refused_and_counted_judged_by_its_words_or_left_out() -> None:
    row, task = read_row(FORMATS["verinstruct"], samples.VERINSTRUCT, "file/1")
    assert (task, row.refused_code) == (None, 1)
    assert [one[:2] for one in told(read("verinstruct", samples.VERINSTRUCT, Choices(code="judge")))] == [
        ("judge", "At most 30 words."),
        ("judge", "The tone is warm."),
    ]
    left = read("verinstruct", samples.VERINSTRUCT, Choices(code="skip"))
    assert [one[1] for one in told(left)] == ["The tone is warm."]
    assert left.metadata["left_out"] == {"program text": 1}


@pytest.mark.parametrize("choice", ["refuse", "keep", "judge", "skip"])
@pytest.mark.parametrize("form", ["verinstruct", "hir"])
def test_program_text_is_never_run(form: str, choice: Any, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nraise SystemExit(3)\n"
    value = (
        {**samples.VERINSTRUCT, "functions": [trap, trap]}
        if form == "verinstruct"
        else samples.hir("type4", {"checker": ["[rule]a", "[llm]b"], "functions": [trap, trap]}, "A.", "B.")
    )
    _, task = read_row(FORMATS[form], value, "file/1", Choices(code=choice))
    if task is not None:
        copy = Task.from_json(task.to_json())
        verdicts = verify(copy, "A response.")
        assert all(verdict.outcome == 0 for verdict in verdicts)
    assert (task is None) == (choice == "refuse")
    assert not list(tmp_path.iterdir())


def test_the_four_sources_of_hir() -> None:
    assert told(read("hir", samples.HIR_1)) == [("rule", "No commas, please.", "punctuation:no_comma", 1.0)]
    assert told(read("hir", samples.HIR_2)) == [("rule", "Exactly 3 numbers.", "count:numbers", 1.0)]
    assert told(read("hir", samples.HIR_3)) == [
        ("rule", "The answer has at most 40 words.", "muldimif:Length:Words", 1.0)
    ]
    assert told(read("hir", samples.HIR_4)) == [
        ("code", "At most 30 words.", None, 1.0),
        ("judge", "The answer is kind.", None, 1.0),
    ]
    assert read("hir", samples.HIR_3).metadata["constraint_pattern"] == "Listing"
    raw = {**samples.HIR_1, "criteria": samples.HIR_1["rubrics"], "rubrics": None, "messages": None}
    assert read("hir", raw) == read("hir", samples.HIR_1)


def test_a_label_that_muldimif_does_not_have_is_an_unknown_rule() -> None:
    value = samples.hir("type3", {"constraints": [["Mood", "Joy", "Be joyful"]]}, "Be joyful.")
    row, _ = read_row(FORMATS["hir"], value, "file/1")
    assert dict(row.refused_rules) == {"muldimif label Mood_Joy": 1}
    assert told(read("hir", value)) == [("judge", "Be joyful.", None, 1.0)]


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        ("1) A? (importance: 100/100)\n2) B? (importance: 50/100)", [("A?", 1.0), ("B?", 0.5)]),
        ("1) A:\n1) a\n2) b (importance: 20/100)", [("A:\n1) a\n2) b", 0.2)]),
        ("1. A?\n2. B\nand C?", [("A?", 1.0), ("B and C?", 1.0)]),
        ([["A?", 80], ["B?", 0]], [("A?", 0.8)]),
    ],
)
def test_the_requirements_of_wildchecklists(requirements: object, expected: list[tuple[str, float]]) -> None:
    task = read("wildchecklists", {"prompt": "Tea?", "requirements": requirements})
    assert [(one.text, one.weight) for one in task.rubric.criteria] == expected


def test_a_rubric_of_openrubrics_keeps_its_kinds_apart() -> None:
    task = read("openrubrics", samples.OPENRUBRICS)
    assert [one[1] for one in told(task)] == ["The response names a temperature.", "The response is clear and calm."]
    assert task.metadata["kinds"] == ["hard rule", "principle"]


def test_a_row_of_rar_with_its_pitfall() -> None:
    task = read("rar", samples.RAR)
    assert told(task) == [
        ("judge", "Names Rayleigh scattering.", None, 5.0),
        ("judge", "Claims that the sea is mirrored.", None, -2.0),
    ]
    assert task.rubric.criteria[1].unwanted
    assert task.reference == "Rayleigh scattering."
    assert task.metadata["categories"] == ["essential", "pitfall"]
    assert task.metadata["dataset"] == "ScaleAI/RaR-Science or ScaleAI/RaR-Medicine"
    assert told(read("rar", samples.RAR, Choices(negative="positive")))[1][3] == 2.0
    wanted = read("rar", samples.RAR, Choices(negative="skip"))
    assert len(wanted.rubric.criteria) == len(wanted.metadata["titles"]) == 1


def test_the_licence_of_a_set_that_is_not_the_formats_is_not_claimed() -> None:
    _, task = read_row(FORMATS["if-rlvr"], samples.IF_RLVR, "file/1", ALL, "me/mine")
    assert task is not None
    assert (task.metadata["dataset"], task.metadata["licence"]) == ("me/mine", None)


def test_points_of_rubrichub_and_healthbench_are_weights() -> None:
    assert told(read("rubrichub", samples.RUBRICHUB)) == [("judge", "Raises a glass.", None, 7.0)]
    inside = {
        **samples.RUBRICHUB,
        "Rubrics": None,
        "reward_model": {**samples.RUBRICHUB["reward_model"], "ground_truth": "Cheers"},
    }
    task = read("rubrichub", inside)
    assert (told(task)[0][1], task.reference) == ("Not read.", "Cheers")
    assert [one[3] for one in told(read("healthbench", samples.HEALTHBENCH))] == [6.0, -8.0]


def test_a_rule_of_rubrichub_is_one_of_ours_if_it_is_an_instruction_id() -> None:
    nothing = {"num_words": None, "relation": None}
    value = {
        **samples.RUBRICHUB,
        "Rubrics": [
            {"criterion": "punctuation:no_comma", "points": 10, "tags": {"verifier": "rule", "parameters": nothing}},
            {
                "criterion": "length_constraints:number_words",
                "points": 4,
                "tags": {"verifier": "rule", "parameters": '{"num_words": 5.0, "relation": "less than"}'},
            },
            {"criterion": "The answer is 42.", "points": 3, "tags": {"verifier": "rule", "function": "math_verify"}},
            {"criterion": "Is it kind?", "points": 2, "tags": {"verifier": "llm", "function": ""}},
        ],
    }
    assert told(read("rubrichub", value)) == [
        ("rule", "The response contains no commas.", "punctuation:no_comma", 10.0),
        ("rule", "The response has fewer than 5 words.", "length_constraints:number_words", 4.0),
        ("judge", "The answer is 42.", None, 3.0),
        ("judge", "Is it kind?", None, 2.0),
    ]
    row, _ = read_row(FORMATS["rubrichub"], value, "file/1")
    assert dict(row.refused_rules) == {"math_verify": 1}
    value["Rubrics"][0]["criterion"] = "paragraphs:two"
    assert "Rubrics[0].criterion: rule 'paragraphs:two' is not known here" in refusal("rubrichub", value)


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("form", "change", "words"),
    [
        ("if-rlvr", {"messages": None}, "messages: is missing; expected a list"),
        ("if-rlvr", {"messages": []}, "messages: is empty; expected at least one item"),
        (
            "if-rlvr",
            {"messages": [{"role": "bot", "content": "x"}]},
            "messages[0].role: got 'bot' (str); expected one of",
        ),
        ("if-rlvr", {"messages": [{"role": "assistant", "content": "x"}]}, "the last message is from 'assistant'"),
        ("if-rlvr", {"messages": [{"role": "user", "content": 7}]}, "messages[0].content: got 7 (int); expected text"),
        ("if-rlvr", {"messages": "a\ud800"}, "messages: holds half a surrogate pair; expected valid Unicode"),
        ("if-rlvr", {"messages": "x" * (MAX_CHARACTERS + 1)}, "messages: has 1,000,001 characters; expected at most"),
        ("if-rlvr", {"ground_truth": None}, "ground_truth: is missing; expected an object"),
        ("if-rlvr", {"ground_truth": "[]"}, "ground_truth: is empty"),
        ("if-rlvr", {"ground_truth": "[{}, {}]"}, "ground_truth: has 2 items; expected a list with one object"),
        ("if-rlvr", {"ground_truth": "__import__('os')"}, "expected JSON or a Python literal"),
        (
            "if-rlvr",
            {"ground_truth": {"instruction_id": ["punctuation:no_comma"], "kwargs": [{}, {}]}},
            "ground_truth.instruction_id: has 1 items and ground_truth.kwargs 2; expected one for each: mend the row",
        ),
        (
            "if-rlvr",
            {"ground_truth": {"instruction_id": ["keywords:existence"], "kwargs": [None]}},
            "ground_truth.kwargs[0]: rule 'keywords:existence': keywords: is missing",
        ),
        (
            "if-rlvr",
            {"ground_truth": "[{'instruction_id': ['keywords:existence'], 'kwargs': [{1: 2}]}]"},
            "ground_truth.kwargs[0]: rule 'keywords:existence': ",
        ),
        ("if-rlvr", {"key": 1.5}, "key: got 1.5 (float); expected text"),
        ("if-rlvr", {"key": "k" * 201}, "key: has 201 characters; expected a key of at most 200"),
        ("rlvr-ifeval", {"ground_truth": '{"N": 1}'}, "ground_truth.func_name: is missing; expected text"),
        (
            "rlvr-ifeval",
            {"ground_truth": '{"func_name": "verify_bullet_points"}'},
            "ground_truth: rule 'detectable_format:number_bullet_lists': num_bullets: is missing",
        ),
        ("verinstruct", {"functions": ["a"]}, "checkers: has 2 items and functions 1; expected one for each"),
        ("verinstruct", {"functions": [" ", None]}, "functions[0]: is blank, and the checker is a rule"),
        ("verinstruct", {"checkers": ["[rule] ", "[llm] x"]}, "checkers[0]: has no words beside its tag"),
        ("hir", {"source": "type5"}, "source: got 'type5'; expected one of ['type1', 'type2', 'type3', 'type4']"),
        ("hir", {"rubrics": ["a", "b"]}, "rubrics: has 2 items and ground_truth.checker 1"),
        ("hir", {"rubrics": [None]}, "rubrics[0]: is missing; expected text"),
        ("wildchecklists", {"requirements": "A?"}, "requirements: begins with 'A?'; expected a numbered list"),
        ("wildchecklists", {"requirements": "1) A (importance: 5/100) B"}, "requirements: got 'B' after the last"),
        ("wildchecklists", {"requirements": "1) A (importance: 900/100)"}, "got the importance 900; expected 0 to 100"),
        ("wildchecklists", {"requirements": [["A"]]}, "requirements[0]: has 1 items; expected a question and its"),
        ("openrubrics", {"rubric": "1. x\n" * 257}, "has more than 256 criteria; expected a rubric of a usual size"),
        ("openrubrics", {"rubric": "1.\n2. x"}, "rubric: has an item without words"),
        ("openrubrics", {"rubric": "1. [Principle]"}, "rubric: item 1 has no words beside its tag"),
        (
            "rar",
            {"rubric": [{"description": "x", "weight": "5"}]},
            "rubric[0].weight: got '5' (str); expected a number",
        ),
        ("rar", {"rubric": [{"description": "x", "weight": float("nan")}]}, "rubric[0].weight: got nan; expected a"),
        ("rar", {"rubric": [{"description": "Pitfall Criteria: ", "weight": 1}]}, "has no words beside its category"),
        ("rar", {"rubric": [{"description": "x", "weight": 1}] * 257}, "rubric: has 257 items; expected at most 256"),
        ("rubrichub", {"Rubrics": None, "reward_model": None}, "reward_model.rubrics: is missing; expected a list"),
        ("healthbench", {"rubrics": [{"criterion": "x"}]}, "rubrics[0].points: is missing; expected a number"),
        ("healthbench", {"example_tags": [1]}, "example_tags[0]: got 1 (int); expected text"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_field(form: str, change: dict[str, Any], words: str) -> None:
    sample = (
        samples.hir("type4", {"checker": ["[llm]a"], "functions": [""]}, "A.") if form == "hir" else dict(SAMPLES)[form]
    )
    assert words in refusal(form, {**sample, **change})


@pytest.mark.parametrize("value", [None, 7, "x", [], [{}]])
def test_a_row_is_an_object(value: object) -> None:
    assert "expected an object, one row" in refusal("rar", value)


def test_a_row_is_not_nested_without_end() -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    assert "nested more than 64 deep" in refusal("rar", {**samples.RAR, "extra": deep})


def test_an_unknown_format_shows_the_one_that_is_close() -> None:
    with pytest.raises(ConfigurationError, match="format 'if_rlvr' is not known; did you mean 'if-rlvr'"):
        format_named("if_rlvr")
    with pytest.raises(ConfigurationError, match="expected one of .'if-rlvr', 'rlvr-ifeval'"):
        format_named("zzz")


# ------------------------------------------------------------------------------------------------ literals


@pytest.mark.parametrize(
    "source",
    [
        "[{'a': None, 'b': [1, -2.5, 1e3], \"c\": 'it\\'s', 'd': True}]",
        "('x', 'y',)",
        "{'a': (1,), 'b': {}}",
        " [ 'spaces' ]\n",
    ],
)
def test_a_literal_is_what_python_reads(source: str) -> None:
    import ast

    assert parse(source, "field") == ast.literal_eval(source.strip())


@pytest.mark.parametrize("value", [{"a": [1, None, "x"]}, [], "text", 3, None])
def test_json_is_read_as_json_and_what_is_no_text_is_left_alone(value: object) -> None:
    assert parse(json.dumps(value), "field") == value
    assert isinstance(value, str) or parse(value, "field") is value


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "[x for x in [1]]",
        "'a' + 'b'",
        "'a' 'b'",
        "1 -1",
        "f'{1}'",
        "b'x'",
        "[].append",
        "lambda: 1",
        "{'a': {1}}['a']",
        "__import__('os').system('true')",
        "[" * 65 + "'x'" + "]" * 65,
        "'" + "[" * 3,
        "[1",
        "1]",
        "",
        "-" * 100_000 + "1",
        "1-" * 100_000 + "1",
        "(" * 500_000,
        "'\\N{" + "x" * 100 + "}'",
        "9" * 5_000,
    ],
)
def test_what_is_no_literal_is_refused_before_anything_is_built(source: str) -> None:
    started = time.process_time()
    with pytest.raises(LineError, match="^field: "):
        parse(source, "field")
    assert time.process_time() - started < 2


@given(st.text(alphabet="[]{}()'\",:\\ \n0129.-+eTrueNone#ax", max_size=60))
def test_any_text_is_a_value_or_a_refusal(source: str) -> None:
    with contextlib.suppress(LineError):
        parse(source, "field")


# ------------------------------------------------------------------------------------------------ any value at all

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=20)
    | st.text(alphabet=string.printable, max_size=20)
    | st.sampled_from(
        ["\ud800", "1) a (importance: 1/100)", "[llm] x", "[rule] x", "type1", "user", "punctuation:no_comma"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a row."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, item in inside for found in _paths(item, (*path, key))]


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], new)
    return copy


def _opened(sample: dict[str, Any]) -> dict[str, Any]:
    """The row with its ground truth decoded, so that every value inside can be changed."""
    truth = sample.get("ground_truth")
    return {**sample, "ground_truth": parse(truth, "ground_truth")} if isinstance(truth, str) else sample


@given(st.data())
def test_any_value_in_any_field_is_a_task_or_a_refusal(data: st.DataObject) -> None:
    form, sample = data.draw(st.sampled_from(SAMPLES))
    row = _opened(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        row = _with(row, data.draw(st.sampled_from(_paths(row))), data.draw(_JSON))
    choices = Choices(
        data.draw(st.sampled_from(["refuse", "judge", "skip"])),
        data.draw(st.sampled_from(["refuse", "keep", "judge", "skip"])),
        data.draw(st.sampled_from(["keep", "positive", "skip"])),
    )
    try:
        read_, task = read_row(FORMATS[form], row, "file/1", choices)
    except DataError:
        return
    assert isinstance(read_, Row)
    if task is not None:
        assert Task.from_json(task.to_json()) == task
        assert all(isinstance(one, Criterion) for one in task.rubric.criteria)


@given(st.sampled_from(sorted(FORMATS)), st.dictionaries(st.text(max_size=12), _JSON, max_size=5))
def test_any_object_is_a_task_or_a_refusal(form: str, value: dict[str, Any]) -> None:
    with contextlib.suppress(DataError):
        read_row(FORMATS[form], value, "file/1", ALL)


def test_the_samples_are_json() -> None:
    for _, sample in SAMPLES:
        assert decode_text(json.dumps(sample)) == sample
