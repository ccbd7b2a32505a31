"""Tasks in memory and on disk: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import time
from pathlib import Path
from typing import Any

import pytest
from benchmark_data import ROOT, benchmark_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtt import rule_schemas
from rtt.errors import DataError, RuleArgumentsError, TaskFileError, UnknownRuleError
from rtt.json_lines import MAX_LINE_BYTES
from rtt.rubrics import (
    MAX_DEPTH,
    MAX_PROBLEMS,
    Code,
    Criterion,
    Message,
    Rubric,
    Rule,
    Task,
    parse_task,
    read_tasks,
    write_tasks,
)

NO_COMMA = {"id": "c1", "kind": "rule", "text": "Do not use any commas.", "rule": "ifeval:punctuation:no_comma"}
POLITE = {"id": "c2", "kind": "judge", "text": "The mail is polite.", "weight": 2.0}
AT_MOST = {
    "id": "c3",
    "kind": "rule",
    "text": "At most 30 words.",
    "rule": "length_constraints:number_words",
    "params": {"relation": "less than", "num_words": 31},
}
CODE = {"id": "c4", "kind": "code", "text": "Ends well.", "source": "def check(r):\n    return True", "entry": "check"}


def a_line(**changes: Any) -> dict[str, Any]:
    line = {
        "id": "mail/7",
        "messages": [{"role": "user", "content": "Write a mail."}],
        "criteria": [NO_COMMA, POLITE],
    }
    return {key: value for key, value in {**line, **changes}.items() if value is not ...}


def an_ifeval_line(**changes: Any) -> dict[str, Any]:
    line = {
        "key": 1000,
        "prompt": "Write a summary without commas.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{}, {"relation": "at least", "num_words": 300}],
    }
    return {**line, **changes}


def write(path: Path, *lines: object, end: str = "\n") -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_bytes("".join(text + end for text in texts).encode())
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def refusal(path: Path) -> str:
    with pytest.raises(TaskFileError) as caught:
        read_tasks(path)
    return str(caught.value)


def refusal_of(path: Path, *lines: object) -> str:
    return refusal(write(path, *lines))


# ------------------------------------------------------------------------------------------------------- in memory


def a_task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": "t",
        "prompt": (Message(role="user", content="Hello"),),
        "rubric": Rubric(criteria=(Criterion(id="c1", text="Be kind."),)),
    }
    return Task(**{**fields, **changes})


def test_a_task_is_easily_written_in_python() -> None:
    task = Task(
        id="robots/1",
        prompt=(Message(role="system", content="Be brief."), Message(role="user", content="Robots? No commas.")),
        rubric=Rubric(criteria=(Criterion(id="c1", rule=Rule(name="punctuation:no_comma")),)),
        metadata={"difficulty": 3},
    )
    criterion = task.rubric.criteria[0]
    assert criterion.rule == Rule(name="punctuation:no_comma", arguments={})
    assert criterion.text == rule_schemas.describe("punctuation:no_comma", {})
    assert (criterion.weight, criterion.scope, criterion.fallback, criterion.code) == (1.0, "response", "error", None)
    assert task.metadata == {"difficulty": 3}
    assert (task.reference, task.source) == (None, None)


def test_a_rule_is_known_by_its_bare_name() -> None:
    assert Rule(name="ifeval:punctuation:no_comma").name == "punctuation:no_comma"


@pytest.mark.parametrize(
    ("criterion", "kind"),
    [
        (Criterion(id="c", rule=Rule(name="punctuation:no_comma")), "rule"),
        (Criterion(id="c", text="Be kind."), "judge"),
        (Criterion(id="c", text="Be kind.", code=Code(source="x", entry="y")), "code"),
    ],
)
def test_a_criterion_says_who_decides(criterion: Criterion, kind: str) -> None:
    assert criterion.kind == kind


def test_a_negative_weight_marks_something_unwanted() -> None:
    assert Criterion(id="c", text="Flatters.", weight=-1).unwanted
    assert not Criterion(id="c", text="Helps.").unwanted


def test_lists_and_plain_dicts_are_taken_too() -> None:
    task = Task(  # type: ignore[arg-type]
        id="t",
        prompt=[{"role": "user", "content": "Hello"}],
        rubric={"criteria": [{"id": "c1", "text": "Be kind."}]},
    )
    assert task == a_task()


def test_a_task_is_a_value() -> None:
    task = a_task(metadata={"a": [1, {"b": None}]})
    assert copy.deepcopy(task) == task
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301 - what we have just pickled
    with pytest.raises(ValueError, match="frozen"):
        task.id = "other"  # type: ignore[misc]


def test_a_task_shares_no_data_with_its_maker() -> None:
    mine: dict[str, Any] = {"tags": ["a"]}
    task = a_task(metadata=mine)
    mine["tags"].append("b")
    assert task.metadata == {"tags": ["a"]}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: a_task(id=7), "Task 7: id: got 7 .*; expected text"),
        (lambda: a_task(id=" "), "id: got ' '; expected text that is not blank"),
        (lambda: a_task(promt=1), "promt: is not a known field; did you mean 'prompt'?"),
        (lambda: a_task(prompt=()), "prompt: is empty; expected at least one message"),
        (lambda: a_task(prompt=(Message(role="assistant", content="Hi"),)), "prompt: .* 'assistant'; expected 'user'"),
        (lambda: a_task(prompt=(Message(role="user", content=" \n"),)), "prompt: the last message is blank"),
        (
            lambda: a_task(prompt=(Message(role="user", content="a"), *2 * (Message(role="system", content="b"),))),
            "prompt: the last message is from 'system'",
        ),
        (
            lambda: a_task(
                prompt=tuple(Message(role=role, content="a") for role in ("user", "system", "user"))  # type: ignore[arg-type]
            ),
            "prompt: a 'system' message stands after the first place",
        ),
        (lambda: a_task(metadata={1: 2}), "metadata: got the key 1; expected keys that are strings"),
        (lambda: a_task(metadata={"a": {1}}), r"metadata: got \{1\} \(set\); expected JSON"),
        (lambda: a_task(metadata={"a": float("nan")}), "metadata: got nan; expected a finite number"),
        (lambda: a_task(metadata=[1]), r"metadata: got \[1\] \(a list\); expected an object"),
        (lambda: Message(role="human", content="a"), "role: got 'human'; expected one of .'system', 'user'"),  # type: ignore[arg-type]
        (lambda: Message(role="user", content="\ud800"), "half a surrogate pair; expected valid Unicode"),
        (lambda: Rubric(criteria=()), "criteria: is empty; expected at least one criterion"),
        (
            lambda: Rubric(criteria=(Criterion(id="c2", text="a"), Criterion(id="c2", text="b"))),
            r"criterion ids repeat: \['c2'\]; give each criterion its own id",
        ),
        (lambda: Criterion(id="c", weight=2), "Criterion 'c': text: is missing"),
        (lambda: Criterion(id="c", text="a", weight=0), "weight: got 0; expected a weight above 0"),
        (lambda: Criterion(id="c", text="a", weight=float("inf")), "weight: got inf .*; expected a finite number"),
        (lambda: Criterion(id="c", text="a", weight=True), "weight: got True .*; expected a number"),
        (lambda: Criterion(id="c", text="a", weight="1"), "weight: got '1' .*; expected a number"),  # type: ignore[arg-type]
        (lambda: Criterion(id="c", text="a", scope="all"), "scope: got 'all'; expected one of .'response'"),  # type: ignore[arg-type]
        (
            lambda: Criterion(id="c", rule=Rule(name="punctuation:no_comma"), code=Code(source="x", entry="y")),
            "Criterion 'c': has a rule and code; expected at most one",
        ),
    ],
)
def test_what_cannot_be_a_task_is_refused_in_words(build: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        build()


def test_an_unknown_rule_keeps_its_own_error_type_and_shows_names_that_are_close() -> None:
    with pytest.raises(UnknownRuleError, match="punctuation:no_comma"):
        Rule(name="punctuation:no_commas")
    with pytest.raises(UnknownRuleError, match="Criterion 'c1': .*punctuation:no_comma"):
        Criterion(id="c1", text="a", rule={"name": "punctuation:no_commas"})  # type: ignore[arg-type]


def test_arguments_that_do_not_fit_keep_their_own_error_type() -> None:
    with pytest.raises(RuleArgumentsError, match="num_words"):
        Rule(name="length_constraints:number_words", arguments={"relation": "at least", "num_words": "many"})


# --------------------------------------------------------------------------------------------------------- on disk


def test_a_line_becomes_a_task(file: Path) -> None:
    write(
        file,
        a_line(
            criteria=[NO_COMMA, {**POLITE, "scope": "conversation"}, {**AT_MOST, "fallback": "judge"}, CODE],
            reference="Dear landlord",
            source={"dataset": "mails", "key": 7},
            meta={"difficulty": "easy"},
        ),
    )
    assert read_tasks(file) == [
        Task(
            id="mail/7",
            prompt=(Message(role="user", content="Write a mail."),),
            rubric=Rubric(
                criteria=(
                    Criterion(id="c1", text="Do not use any commas.", rule=Rule(name="punctuation:no_comma")),
                    Criterion(id="c2", text="The mail is polite.", weight=2.0, scope="conversation"),
                    Criterion(
                        id="c3",
                        text="At most 30 words.",
                        rule=Rule(
                            name="length_constraints:number_words",
                            arguments={"relation": "less than", "num_words": 31},
                        ),
                        fallback="judge",
                    ),
                    Criterion(
                        id="c4",
                        text="Ends well.",
                        code=Code(source="def check(r):\n    return True", entry="check"),
                    ),
                )
            ),
            metadata={"difficulty": "easy"},
            reference="Dear landlord",
            source={"dataset": "mails", "key": 7},
        )
    ]


@pytest.mark.parametrize("page", ["README.md", "docs/tasks.md"])
def test_the_tasks_that_the_documentation_shows_load(page: str) -> None:
    shown = re.findall(r"```json\n(.+?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert shown
    assert all(parse_task(json.loads(block)).id == "mail/7" for block in shown)


def test_code_in_a_file_is_kept_and_not_run(file: Path, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    [task] = read_tasks(write(file, a_line(criteria=[{**CODE, "source": trap}])))
    assert task.rubric.criteria[0].code == Code(source=trap, entry="check")
    assert not (tmp_path / "ran").exists()


def test_a_written_line_names_the_family_of_a_rule(file: Path) -> None:
    [task] = read_tasks(write(file, a_line(criteria=[AT_MOST])))
    assert json.loads(task.to_json())["criteria"] == [
        {**AT_MOST, "rule": "ifeval:length_constraints:number_words", "weight": 1.0}
    ]


def test_null_counts_as_left_out_as_tables_write_it(file: Path) -> None:
    sparse = {"rule": None, "params": None, "scope": None, "fallback": None, "source": None, "entry": None}
    [with_nulls] = read_tasks(
        write(
            file,
            a_line(
                criteria=[
                    {**sparse, **POLITE},
                    {**sparse, **AT_MOST, "params": {**AT_MOST["params"], "keywords": None}},  # type: ignore[dict-item]
                ],
                reference=None,
                source=None,
                meta=None,
            ),
        )
    )
    [without] = read_tasks(write(file, a_line(criteria=[POLITE, AT_MOST])))
    assert with_nulls == without


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n \r\n"])
def test_line_ends_and_blank_lines_do_not_matter(file: Path, end: str) -> None:
    write(file, a_line(id="a"), a_line(id="b"), end=end)
    assert [task.id for task in read_tasks(file)] == ["a", "b"]


def test_a_last_line_without_end_is_read(file: Path) -> None:
    file.write_text(json.dumps(a_line()))
    assert len(read_tasks(file)) == 1


def test_a_byte_order_mark_is_skipped(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(a_line()).encode())
    assert read_tasks(file)[0].id == "mail/7"


def test_line_separators_inside_text_do_not_end_a_line(file: Path) -> None:
    content = "one\u2028two\u0085three\x0bfour"
    [task] = read_tasks(
        write(file, json.dumps(a_line(messages=[{"role": "user", "content": content}]), ensure_ascii=False))
    )
    assert task.prompt[0].content == content


def test_a_line_of_ten_megabytes_loads_fast(file: Path) -> None:
    content = "word " * (2 * 1024 * 1024)
    write(file, a_line(messages=[{"role": "user", "content": content}]))
    assert file.stat().st_size > 10 * 1024 * 1024
    start = time.perf_counter()
    [task] = read_tasks(file)
    assert time.perf_counter() - start < 5
    assert task.prompt[0].content == content


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": ...}, "id: is missing; expected this field"),
        ({"id": 7}, "id: got 7 (a number); expected text"),
        ({"messages": ...}, "messages: is missing"),
        ({"messages": "hi"}, "messages: got 'hi' (text); expected a list"),
        ({"messages": []}, "messages: is empty; expected at least one message"),
        ({"messages": [{"role": "bot", "content": "a"}]}, "messages[0].role: got 'bot'; expected one of ['system',"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content: got 3 (a number); expected text"),
        ({"messages": [{"role": "user", "content": "a", "text": "a"}]}, "messages[0].text: is not a known field"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "messages: the last message is from 'assistant'"),
        ({"criteria": ...}, "criteria: is missing"),
        ({"criteria": []}, "criteria: is empty; expected at least one criterion"),
        ({"criteria": {}}, "criteria: got {} (an object); expected a list"),
        ({"criteria": [7]}, "criteria[0]: got 7 (a number); expected an object"),
        ({"criteria": [NO_COMMA, NO_COMMA]}, "criteria: criterion ids repeat: ['c1']; give each criterion its own id"),
        ({"criteria": [{"id": "c1", "text": "a"}]}, "criteria[0]: kind is missing; expected one of ['rule', 'judge'"),
        ({"criteria": [{**POLITE, "kind": "llm"}]}, "criteria[0]: kind: got 'llm'; expected one of ['rule', 'judge',"),
        ({"criteria": [{**POLITE, "text": ""}]}, "criteria[0].text: got ''; expected text that is not blank"),
        ({"criteria": [POLITE, {**NO_COMMA, "text": None}]}, "criteria[1].text: is missing; expected this field"),
        ({"criteria": [{**POLITE, "wieght": 1}]}, "criteria[0].wieght: is not a known field; did you mean 'weight'?"),
        ({"criteria": [{**POLITE, "rule": "a:b"}]}, "criteria[0].rule: is not a known field"),
        ({"criteria": [{**POLITE, "weight": "2"}]}, "criteria[0].weight: got '2' (text); expected a number"),
        ({"criteria": [{**POLITE, "weight": 0}]}, "criteria[0].weight: got 0; expected a weight above 0"),
        ({"criteria": [{**POLITE, "scope": "all"}]}, "criteria[0].scope: got 'all'; expected one of ['response', "),
        ({"criteria": [{**POLITE, "fallback": "pass"}]}, "criteria[0].fallback: got 'pass'; expected one of ['error',"),
        ({"criteria": [{**CODE, "entry": None}]}, "criteria[0].entry: is missing"),
        ({"criteria": [{**AT_MOST, "params": [1]}]}, "criteria[0].params: got [1] (a list); expected an object"),
        ({"meta": 3}, "meta: got 3 (a number); expected an object"),
        ({"source": "web"}, "source: got 'web' (text); expected an object"),
        (
            {"difficulty": 3},
            "difficulty: is not a known field; expected only ['id', 'messages', 'criteria', 'reference",
        ),
        ({"difficulty": 3}, "data of your own goes under 'meta'"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(file: Path, changes: dict[str, Any], words: str) -> None:
    message = refusal_of(file, a_line(id="first"), a_line(**changes))
    assert message.startswith(f"{file}:2: ")
    assert words in message


def test_an_unknown_rule_is_refused_with_names_that_are_close(file: Path) -> None:
    message = refusal_of(file, a_line(criteria=[POLITE, {**NO_COMMA, "rule": "ifeval:punctuation:no_commas"}]))
    assert message.startswith(f"{file}:1: criteria[1].rule: ")
    assert "punctuation:no_commas" in message
    assert "punctuation:no_comma'" in message


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"relation": "at least"},
        {"relation": "at least", "num_words": "many"},
        {"relation": "at least", "num_words": 3, "num_sentences": 2},
        {"relation": "exactly", "num_words": 3},
        {"relation": "at least", "num_words": -3},
    ],
)
def test_arguments_that_do_not_fit_their_rule_are_refused(file: Path, params: dict[str, Any]) -> None:
    message = refusal_of(file, a_line(criteria=[{**AT_MOST, "params": params}]))
    assert message.startswith(f"{file}:1: criteria[0].params: ")
    assert "length_constraints:number_words" in message


def test_an_id_that_repeats_is_refused_naming_both_lines(file: Path) -> None:
    message = refusal_of(file, a_line(id="a"), a_line(id="b"), "", a_line(id="a"))
    assert message == f"{file}:4: id: 'a' is the id of line 1 already; give each task its own id"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1, 2]", "got a list [1, 2]; expected a JSON object, one task a line"),
        ('"task"', "got text 'task'; expected a JSON object"),
        ("null", "got null None; expected a JSON object"),
        ('{"id": "a" "b": 1}', 'column 12: not JSON (Expecting \',\' delimiter), near \'{"id": "a" "b": 1}\'; mend'),
        ('{"id": "a', "column 8: not JSON (Unterminated string"),
        ("{'id': 'a'}", "column 2: not JSON (Expecting property name"),
        ('{"id": "a", "meta": {"k": 1, "k": 2}}', "keys repeat in one object: ['k']; expected each key once"),
        ('{"id": "a", "weight": NaN}', "got NaN, which JSON does not have; expected a finite number"),
        ('{"id": "a", "weight": -Infinity}', "got -Infinity, which JSON does not have; expected a finite number"),
        ('{"id": ' + "[" * 200_000, "nested too deep to read"),
        ('{"id": ' + "9" * 5000 + "}", "a whole number of thousands of digits"),
        ('{"id": "a\0"}', "byte 10 of the line is NUL; expected UTF-8 text"),
        ('{"id": "\\ud800"}', "id: got '\\ud800', which holds half a surrogate pair"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused_with_its_place(file: Path, line: str, words: str) -> None:
    message = refusal_of(file, a_line(), line)
    assert f"{file}:2: " in message
    assert words in message


def test_data_nested_too_deep_is_refused(file: Path) -> None:
    fits = json.loads("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    write(file, a_line(meta={"a": fits}))
    assert read_tasks(file)[0].metadata == {"a": fits}
    assert "meta: lists and objects are nested more than 64 deep" in refusal_of(file, a_line(meta={"a": [[fits]]}))


def test_text_that_is_not_utf8_is_refused_with_line_and_byte(file: Path) -> None:
    file.write_bytes(json.dumps(a_line()).encode() + b'\n{"id": "caf\xe9"}\n')
    assert refusal(file).startswith(f"{file}:2: byte 12 of the line (0xe9) is not UTF-8; expected a file encoded in")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(a_line()).encode("utf-16"), "is encoded in UTF-16; expected UTF-8"),
        (b"\x1f\x8b\x08\x00", "is gzip-compressed; expected plain JSON Lines"),
        (b"PK\x03\x04", "is a zip archive; expected plain JSON Lines"),
        (b"PAR1\x15\x04", "is a Parquet file; expected JSON Lines"),
        (b"", "has no task in it; expected one JSON object a line"),
        (b"\n \r\n", "has no task in it; expected one JSON object a line"),
        (b"\xef\xbb\xbf", "has no task in it; expected one JSON object a line"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    assert refusal(file).startswith(f"{file}: {words}")


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.jsonl").startswith(f"{tmp_path / 'none.jsonl'}: there is no such file")
    assert refusal(tmp_path).startswith(f"{tmp_path}: is a directory")


def test_a_line_beyond_the_limit_is_refused_without_reading_on(file: Path) -> None:
    with file.open("wb") as stream:
        stream.write(b'{"id": "')
        stream.seek(3 * MAX_LINE_BYTES)  # a sparse file: nothing of it need be read to know
        stream.write(b'"}')
    assert refusal(file).startswith(f"{file}:1: the line is longer than 67,108,864 bytes; expected one")


def test_all_problems_of_a_file_are_told_together(file: Path) -> None:
    message = refusal_of(file, a_line(id="a", mta=1), a_line(id="b"), "{", a_line(id="b", messages=[], criteria=[]))
    head, *problems = message.split("\n  ")
    assert head == f"{file}: 4 problems"
    assert [problem.removeprefix(str(file))[:12] for problem in problems] == [
        ":1: mta: is ",
        ":3: column 2",
        ":4: messages",
        ":4: criteria",
    ]


def test_reading_stops_after_enough_problems(file: Path) -> None:
    message = refusal_of(file, *[a_line(id=f"t{n}", mta=1) for n in range(5 * MAX_PROBLEMS)])
    head, *problems = message.split("\n  ")
    assert head == f"{file}: 20 problems up to line 20, where reading stopped"
    assert len(problems) == MAX_PROBLEMS


def test_a_value_in_a_message_is_cut_to_a_readable_length(file: Path) -> None:
    assert len(refusal_of(file, a_line(id=["x" * 100_000]))) < 300 + len(str(file))


def test_a_decoded_line_is_refused_with_the_name_of_its_task() -> None:
    with pytest.raises(TaskFileError, match="task 'mail/7': meta: got 3"):
        parse_task(a_line(meta=3))
    with pytest.raises(TaskFileError, match="task 1000: kwargs: has 1 entries for 2"):
        parse_task(an_ifeval_line(kwargs=[{}]))
    with pytest.raises(TaskFileError, match="task: got a list"):
        parse_task([])


# ----------------------------------------------------------------------------------------------------- IFEval lines


def test_an_ifeval_line_becomes_a_task(file: Path) -> None:
    [task] = read_tasks(write(file, an_ifeval_line()))
    arguments = {"relation": "at least", "num_words": 300}
    assert task == Task(
        id="ifeval/1000",
        prompt=(Message(role="user", content="Write a summary without commas."),),
        rubric=Rubric(
            criteria=(
                Criterion(
                    id="c1",
                    text=rule_schemas.describe("punctuation:no_comma", {}),
                    rule=Rule(name="punctuation:no_comma"),
                ),
                Criterion(
                    id="c2",
                    text=rule_schemas.describe("length_constraints:number_words", arguments),
                    rule=Rule(name="length_constraints:number_words", arguments=arguments),
                ),
            )
        ),
        metadata={"key": 1000},
    )


def test_both_formats_stand_in_one_file(file: Path) -> None:
    assert [task.id for task in read_tasks(write(file, an_ifeval_line(), a_line()))] == ["ifeval/1000", "mail/7"]


def test_unused_arguments_that_are_null_and_whole_numbers_that_are_floats_are_mended(file: Path) -> None:
    [task] = read_tasks(
        write(
            file,
            an_ifeval_line(
                key="1000", kwargs=[{"num_words": None}, {"relation": "at least", "num_words": 300.0, "keyword": None}]
            ),
        )
    )
    assert task.rubric.criteria[0].rule == Rule(name="punctuation:no_comma")
    rule = task.rubric.criteria[1].rule
    assert rule is not None
    assert rule.arguments == {"relation": "at least", "num_words": 300}
    assert type(rule.arguments["num_words"]) is int
    assert task.metadata == {"key": "1000"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"kwargs": [{}]},
            "kwargs: has 1 entries for 2 instructions in instruction_id_list; expected one object for each",
        ),
        ({"kwargs": [{}, {}, {}]}, "kwargs: has 3 entries for 2 instructions"),
        ({"kwargs": [{}, 3]}, "kwargs[1]: got 3 (a number); expected an object"),
        ({"kwargs": None}, "kwargs: got None (null); expected a list"),
        ({"instruction_id_list": [], "kwargs": []}, "instruction_id_list: is empty; expected at least one instruction"),
        ({"instruction_id_list": ["a", 3]}, "instruction_id_list[1]: got 3 (a number); expected text"),
        ({"instruction_id_list": ["punctuation:no_commas"], "kwargs": [{}]}, "instruction_id_list[0]: "),
        ({"kwargs": [{}, {"relation": "at least"}]}, "kwargs[1]: "),
        ({"key": 1.5}, "key: got 1.5 (a number); expected a whole number or text"),
        ({"key": True}, "key: got True (true or false); expected a whole number or text"),
        ({"prompt": " "}, "prompt: got ' '; expected text that is not blank"),
        ({"response": "a"}, "response: is not a known field; expected only ['key', 'prompt', 'instruction_id_list', "),
    ],
)
def test_an_ifeval_field_that_cannot_be_used_is_named(file: Path, changes: dict[str, Any], words: str) -> None:
    assert refusal_of(file, an_ifeval_line(**changes)).startswith(f"{file}:1: {words}")


def test_ifevals_own_file_loads_whole(tmp_path: Path) -> None:
    tasks = read_tasks(benchmark_file("ifeval/input_data.jsonl"))
    assert len(tasks) == 541
    assert sum(len(task.rubric.criteria) for task in tasks) == 834
    assert len({criterion.rule.name for task in tasks for criterion in task.rubric.criteria if criterion.rule}) == 25
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    assert read_tasks(tmp_path / "tasks.jsonl") == tasks


# ---------------------------------------------------------------------------------------------------------- writing

TEXT = st.text(max_size=30)
WORDS = TEXT.filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
RULES = st.one_of(
    st.just(Rule(name="punctuation:no_comma")),
    st.builds(
        lambda relation, number: Rule(
            name="length_constraints:number_words", arguments={"relation": relation, "num_words": number}
        ),
        st.sampled_from(["at least", "less than"]),
        st.integers(1, 10_000),
    ),
)
WEIGHTS = st.floats(allow_nan=False, allow_infinity=False).filter(bool)


@st.composite
def criteria(draw: st.DrawFn, number: int) -> Criterion:
    checks: dict[str, Any] = draw(
        st.sampled_from([{}, {"code": Code(source="def f(): ...", entry="f")}]) | RULES.map(lambda rule: {"rule": rule})
    )
    return Criterion(
        id=f"{draw(TEXT)}{number}",
        text=draw(WORDS),
        weight=draw(WEIGHTS),
        scope=draw(st.sampled_from(["response", "conversation", "system"])),
        fallback=draw(st.sampled_from(["error", "judge", "fail"])),
        **checks,
    )


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        turns = [Message(role=role, content=draw(TEXT)) for role in draw(st.sampled_from([(), ("user", "assistant")]))]
        system = [Message(role="system", content=draw(TEXT))] if draw(st.booleans()) else []
        made.append(
            Task(
                id=f"{draw(TEXT)}{number}",
                prompt=(*system, *turns, Message(role="user", content=draw(WORDS))),
                rubric=Rubric(criteria=tuple(draw(criteria(k)) for k in range(draw(st.integers(1, 4))))),
                metadata=draw(OBJECTS),
                reference=draw(JSON),
                source=draw(st.none() | OBJECTS),
            )
        )
    return made


@given(tasks())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_written_is_read_back_equal(tmp_path: Path, made: list[Task]) -> None:
    write_tasks(tmp_path / "tasks.jsonl", made)
    assert read_tasks(tmp_path / "tasks.jsonl") == made
    assert [Task.from_json(task.to_json()) for task in made] == made
    assert all("\n" not in task.to_json() for task in made)


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(file: Path) -> None:
    write_tasks(file, [a_task(id="old")])
    write_tasks(str(file), iter([a_task(id="new"), a_task(id="newer")]))
    assert [task.id for task in read_tasks(file)] == ["new", "newer"]
    assert os.listdir(file.parent) == [file.name]


def test_a_link_keeps_pointing_to_the_file_that_is_replaced(tmp_path: Path) -> None:
    write_tasks(tmp_path / "real.jsonl", [a_task(id="old")])
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    write_tasks(tmp_path / "link.jsonl", [a_task(id="new")])
    assert (tmp_path / "link.jsonl").is_symlink()
    assert read_tasks(tmp_path / "real.jsonl")[0].id == "new"


def failing() -> Any:
    yield a_task(id="one")
    raise RuntimeError("the tasks' maker failed")


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (lambda: [a_task(), a_task()], TaskFileError, "two tasks have the id 't'; give each task its own id"),
        (list, TaskFileError, "no tasks to write; expected at least one"),
        (failing, RuntimeError, "the tasks' maker failed"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file_as_it_was(
    file: Path, made: Any, error: type[Exception], words: str
) -> None:
    write_tasks(file, [a_task(id="old")])
    with pytest.raises(error, match=words):
        write_tasks(file, made())
    assert [task.id for task in read_tasks(file)] == ["old"]
    assert os.listdir(file.parent) == [file.name]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="none/tasks.jsonl: cannot be written: No such file or directory"):
        write_tasks(tmp_path / "none" / "tasks.jsonl", [a_task()])
    with pytest.raises(TaskFileError, match="is not a regular file"):
        write_tasks(tmp_path, [a_task()])
