"""Only a whole reply of the expected form is a yes; a text that says "yes" somewhere never is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_endpoint import Server, completion

from rtt.endpoints import NoAnswer
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.verdicts import Outcome
from rtt.verifiers import Question
from rtt.verifiers.judge import Judge
from rtt.verifiers.judge.replies import locate, read_reply

pytest.importorskip("openai")
pytest.importorskip("diskcache")

RESPONSE = "The answer to all of this is yes, says the robot."

OPENINGS = (
    *("NO. ", "No: ", "no, ", "**No.** ", "", "I cannot judge this. ", "Satisfied? ", "# Verdict\n\n", "- ", "> "),
    *(
        "Yes and no. ",
        "Not yes. ",
        "Answer: ",
        "satisfied = ",
        '{"satisfied": ',
        "{",
        "```json\n",
        "<think>",
        "</think>",
    ),
)
MENTIONS = (
    *("The text says {}.", "the response claims {} without reason", "it would be {} if the moon were mentioned", "{}"),
    *("{}!", "far from a {}", "{} {} {}", "one could say {}; I do not", "**{}**", "`{}`", "({})", "criterion 1: {}"),
    *('"satisfied": {}', "1. {}", "| {} |", "{}\n{}", "<answer>{}</answer>", "\\boxed{{{}}}"),
)
QUOTINGS = ("{}", '"{}"', "'{}'", "“{}”", "*{}*", "[{}]", "\u200b{}")
WORDS = ("yes", "Yes", "YES", "satisfied", "true", "yes.", "ｙｅｓ", "1")
ENDINGS = ("", "\n```", "}", " No.", '"}')


def replies() -> Iterator[str]:
    for opening, mention, quoting, word, ending in itertools.product(OPENINGS, MENTIONS, QUOTINGS, WORDS, ENDINGS):
        yield opening + mention.format(*[quoting.format(word)] * 3) + ending


def is_an_answer(reply: str) -> bool:
    try:
        read_reply(reply, 1)
    except NoAnswer:
        return False
    return True


def entry(**fields: Any) -> dict[str, Any]:
    whole = {
        "criterion": 1,
        "reason": "Because.",
        "supporting_quotes": [],
        "violating_quotes": [],
        "whole_response": True,
        "satisfied": "yes",
    }
    return whole | fields


def says(**fields: Any) -> str:
    return json.dumps({"verdicts": [entry(**fields)]})


def test_words_that_speak_of_a_yes_are_no_answer():
    """Each of tens of thousands of ways to say yes in passing."""
    assert "NO. The text says 'yes'." in set(itertools.islice(replies(), 2000))
    assert [reply for reply in replies() if is_an_answer(reply)] == []


@given(st.text() | st.lists(st.sampled_from(["yes", "no", '"', "{", "}", ":", "satisfied", "\n", " "])).map("".join))
def test_no_text_without_the_form_is_an_answer(text):
    assert not is_an_answer(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["yes", "no", "Yes"]) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["verdicts", "criterion", "satisfied", "whole_response"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(json_values)
def test_json_of_another_form_is_no_yes(value):
    """The quotes are not among the keys, so that nothing here is a whole entry."""
    try:
        (one,) = read_reply(json.dumps(value), 1)
    except NoAnswer:
        return
    assert isinstance(one, NoAnswer)


@pytest.mark.parametrize(
    "around", ["{} yes", "yes {}", "Verdict: {}", "{}\n{}", "```\n{}\n``` yes", "[{}]", '"{}"', "{},"]
)
def test_a_whole_reply_with_more_around_it_is_no_answer(around):
    assert is_an_answer(says())
    assert not is_an_answer(around.format(says(), says()))


@pytest.mark.parametrize(
    "satisfied",
    [
        *(
            "Yes",
            "YES",
            " yes",
            "yes ",
            "yes\n",
            "yes.",
            "'yes'",
            "yes/no",
            "no, yes",
            "y",
            "ja",
            "true",
            "satisfied",
            "",
        ),
        *("ｙｅｓ", "yes\u200b", True, 1, None, ["yes"], {"yes": True}),
    ],
    ids=repr,
)
def test_what_only_looks_like_yes_within_a_whole_reply_is_no_verdict(satisfied):
    (one,) = read_reply(says(satisfied=satisfied), 1)
    assert isinstance(one, NoAnswer)
    assert one.kind == "malformed"


@given(st.sampled_from(OPENINGS), st.sampled_from(MENTIONS), st.sampled_from(QUOTINGS), st.sampled_from(WORDS))
def test_a_no_with_yes_in_its_reason_and_its_quotes_is_a_no(opening, mention, quoting, word):
    words = opening + mention.format(*[quoting.format(word)] * 3)
    for quotes in ({}, {"supporting_quotes": ["yes"]}, {"violating_quotes": ["yes"], "whole_response": False}):
        (one,) = read_reply(says(satisfied="no", reason=words, **quotes), 1)
        assert not isinstance(one, NoAnswer)
        assert locate(one, RESPONSE).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    "fields",
    [
        {"whole_response": False},
        {"whole_response": False, "supporting_quotes": ["Yes"]},
        {"whole_response": False, "supporting_quotes": ["yes it is"]},
        {"whole_response": False, "supporting_quotes": [" "]},
        {"whole_response": False, "supporting_quotes": [{"quote": "yes", "occurrence": 2}]},
        {"violating_quotes": ["yes"]},
        {"whole_response": False, "supporting_quotes": ["yes"], "violating_quotes": ["is yes, says"]},
    ],
)
def test_a_yes_that_shows_nothing_or_contradicts_itself_is_no_verdict(fields):
    (one,) = read_reply(says(**fields), 1)
    assert not isinstance(one, NoAnswer)
    with pytest.raises(NoAnswer):
        locate(one, RESPONSE)


@pytest.mark.parametrize("repeated", ["satisfied", "verdicts"])
def test_of_two_answers_in_one_object_neither_is_read(repeated):
    second = ', "satisfied": "yes"}' if repeated == "satisfied" else '}], "verdicts": []}'
    text = says(satisfied="no").removesuffix("}]}") + second + ("]}" if repeated == "satisfied" else "")
    assert json.loads(text)  # Python alone would take the last one
    assert not is_an_answer(text)


def test_for_the_judge_such_a_reply_is_a_failure():
    criterion = Criterion(id="c", text="Mention the moon.")
    prompt = (Message(role="user", content="Say something."),)
    task = Task(id="t", prompt=prompt, rubric=Rubric(criteria=(criterion,)))
    some = list(itertools.islice(replies(), 0, None, 2003))
    some = [reply for reply in some if reply.strip()]
    server = Server()
    server.script = lambda question, number: completion(some[number - 1])
    try:
        judge = Judge("tiny", base_url=server.url, api_key_env=None, max_retries=0, attempts=1, concurrency=4)
        found = judge.verify_batch([Question(task, f"{RESPONSE} {n}", (criterion,)) for n in range(len(some))])
    finally:
        server.stop()
    assert len(some) > 20
    assert {(one.outcome, one.failed) for (one,) in found} == {(Outcome.UNDETERMINED, True)}
    assert judge.report.failures == {"malformed": len(some)}
