"""Drafts: what a model proposes becomes rules where a rule says just that, and nothing is used that nobody has read."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_endpoint import Reply, Server, completion, prompt_of

from rtt.endpoints import Endpoint, NoAnswer
from rtt.errors import ConfigurationError, DataError
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, write_tasks
from rtt.rule_schemas import describe, rule_names, validate_arguments
from rtt.verifiers.judge import drafting
from rtt.verifiers.judge.drafting import (
    DraftTemplate,
    Prompt,
    Proposal,
    accepted,
    doubts,
    draft_rubrics,
    drafted,
    is_draft,
    note_of,
    read_drafts,
    read_prompts,
    read_reply,
    recognise,
    refuse_drafts,
    reply_schema,
    rules_in_words,
)

MAIL = Prompt("mail", (Message(role="user", content="A mail to my landlord, without commas."),))
NO_COMMA = {
    "text": "Commas are not used.",
    "rule": "punctuation:no_comma",
    "arguments": {},
    "weight": 1,
    "why": "asked",
}
POLITE = {"text": "The response greets the landlord.", "rule": None, "arguments": None, "weight": 2, "why": "a mail"}


def reply(*criteria: dict[str, Any]) -> str:
    return json.dumps({"criteria": list(criteria)})


def drafted_from(*criteria: dict[str, Any], prompt: Prompt = MAIL, most: int = 10) -> Task:
    return drafted(prompt, read_reply(reply(*criteria)), model="m", template="t", most=most)


def proposes(text: str, **others: Any) -> dict[str, Any]:
    return {"text": text, **others}


# ---------------------------------------------------------------------------------------------------------- prompts


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: Any, name: str = "prompts.jsonl") -> Path:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return tmp_path / name

    return write


def test_a_prompt_is_text_or_messages_and_other_keys_are_kept(file: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    first, second, third = read_prompts(
        file(
            {"id": "a", "prompt": "Write a song.", "level": 3, "meta": {"topic": "moon"}, "source": "mine"},
            {"id": 7, "messages": messages, "reference": "Hi.", "source": {"set": "x"}},
            {"prompt": messages, "criteria": [], "id": None},
        )
    )
    assert (first.id, first.messages) == ("a", (Message(role="user", content="Write a song."),))
    assert (first.metadata, first.source) == ({"topic": "moon", "level": 3, "source": "mine"}, None)
    assert (second.id, second.reference, second.source) == ("7", "Hi.", {"set": "x"})
    assert [message.role for message in second.messages] == ["system", "user"]
    assert third.messages == second.messages
    assert third.id not in ("", "7")


def test_a_text_file_has_a_prompt_a_line_named_by_its_words(file: Any) -> None:
    one, two = read_prompts(file('Say "hi".', "", "{not json}", name="p.txt"))
    assert [prompt.messages[0].content for prompt in (one, two)] == ['Say "hi".', "{not json}"]
    assert read_prompts(file("{not json}", name="q.TXT"))[0].id == two.id != one.id


def test_criteria_of_tasks_stay_when_they_are_to(tmp_path: Path) -> None:
    task = Task(id="t", prompt=MAIL.messages, rubric=Rubric(criteria=(Criterion(id="c1", text="Polite."),)))
    write_tasks(tmp_path / "tasks.jsonl", [task])
    assert read_prompts(tmp_path / "tasks.jsonl")[0].kept == ()
    assert read_prompts(tmp_path / "tasks.jsonl", keep=True)[0].kept == task.rubric.criteria


def test_ifevals_lines_are_prompts(file: Any) -> None:
    line = {"key": 5, "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    (prompt,) = read_prompts(file(line))
    assert (prompt.id, prompt.metadata) == ("ifeval/5", {"key": 5})


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "has no prompt in it"),
        (["[1]"], r":1: got \[1\]; expected a JSON object"),
        (
            [{"id": "a", "text": "Hello"}],
            r":1: has no prompt, its keys are \['id', 'text'\]; expected the prompt under",
        ),
        ([{"prompt": "a", "messages": []}], "has prompt and messages"),
        ([{"prompt": 3}], "prompt: got 3; expected text or a list"),
        ([{"prompt": " "}], "the last message is blank"),
        ([{"prompt": [{"role": "assistant", "content": "x"}]}], "the last message is from 'assistant'"),
        ([{"prompt": "a"}, {"prompt": "a"}], ":2: the same prompt as on line 1; leave it out, or give both an id"),
        ([{"id": "x", "prompt": "a"}, {"id": "x", "prompt": "b"}], ":2: id: 'x' is the id of line 1 already"),
        ([{"prompt": "a", "draft": "mine"}], "meta.draft: is the key that marks drafts"),
        ([{"prompt": "a", "meta": {"k": 1}, "k": 2}], r"\['k'\] stand beside 'meta' and in it"),
        ([{"prompt": "a", "meta": 3}], "meta: got 3; expected an object"),
    ],
)
def test_a_line_that_is_no_prompt_is_told_with_its_place(file: Any, lines: list[Any], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_prompts(file(*lines))


def test_a_text_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="p.txt:1: byte 4 of the line is not UTF-8"):
        read_prompts(tmp_path / "p.txt")


def test_a_draft_may_be_drafted_anew(tmp_path: Path) -> None:
    write_tasks(tmp_path / "drafts.jsonl", [drafted_from(POLITE)])
    assert read_prompts(tmp_path / "drafts.jsonl")[0].metadata == {}


# ------------------------------------------------------------------------------------------------------- the request


def test_all_rules_are_listed_with_arguments_that_fit() -> None:
    lines = {line.split(" ")[1].removesuffix(":"): line for line in rules_in_words().splitlines() if line[:2] == "- "}
    assert set(lines) == {name for name in rule_names() if name in drafting._offered()}
    for name, line in lines.items():
        given = json.loads(found[1]) if (found := re.search(r"^- \S+ (\{.*?\}): ", line)) else {}
        assert describe(name, given) in line
    assert "length_constraints:number_words" in lines
    assert "punctuation:no_comma: The response contains no commas." in lines["punctuation:no_comma"]
    assert "regular expression" in lines["keywords:existence"]


def test_alternatives_of_the_schema_differ_in_their_first_key_and_allow_nothing_else() -> None:
    item = reply_schema(3)["properties"]["criteria"]["items"]
    nothing, *kinds = item["properties"]["arguments"]["anyOf"]
    assert nothing == {"type": "null"}
    first = [next(iter(kind["properties"])) for kind in kinds]
    assert len(set(first)) == len(first) == 17
    for kind in [reply_schema(3), item, *kinds]:
        assert kind["additionalProperties"] is False
        assert kind["required"] == list(kind["properties"])
    assert reply_schema(3)["properties"]["criteria"]["maxItems"] == 3


@given(st.lists(st.text(), min_size=1), st.text(), st.text())
def test_everything_from_elsewhere_stands_between_marks_that_it_does_not_hold(
    contents: list[str], reference: str, kept: str
) -> None:
    messages = tuple(Message.model_construct(role="user", content=text) for text in contents)
    criteria = (Criterion.model_construct(id="c1", text=kept, rule=None),)
    prompt = Prompt("p", messages, kept=criteria, reference=reference)
    text = DraftTemplate().render(prompt)
    mark = re.search(r"<conversation-([0-9a-f]{12})>", text)
    assert mark is not None
    assert not any(mark[1] in part for part in [*contents, reference, kept])
    start = text.index(f"\n<conversation-{mark[1]}>\n")
    assert text.index("\n".join(f"<user-{mark[1]}>\n{part}\n</user-{mark[1]}>" for part in contents), start) > start


def test_the_mark_avoids_a_prompt_that_holds_the_mark_of_the_same_prompt_without_it() -> None:
    def mark(content: str) -> str:
        text = DraftTemplate().render(Prompt("p", (Message(role="user", content=content),)))
        found = re.search(r"<conversation-([0-9a-f]{12})>", text)
        assert found is not None
        return found[1]

    everything = "".join(mark(f"{number}") for number in range(20))
    assert mark(everything) not in everything


def test_the_prompt_says_what_is_there_and_how_many_are_wanted() -> None:
    kept = (Criterion(id="c1", text="The mail is short."),)
    text = DraftTemplate().render(Prompt("p", MAIL.messages, kept=kept, reference={"answer": "Ä"}), most=7)
    assert "Write 1 to 7 criteria" in text
    assert "- The mail is short." in text
    assert '"answer": "Ä"' in text
    assert "criteria-" not in DraftTemplate().render(MAIL)
    assert "reference-" not in DraftTemplate().render(MAIL)
    assert "Your last reply could not be used" in DraftTemplate().render(MAIL, again=True)


def test_a_template_of_ones_own_has_its_places(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("$$5 $conversation $rules $most $fence")
    assert DraftTemplate(path).render(MAIL).startswith("$5 <conversation-")
    assert DraftTemplate(path).name != DraftTemplate().name
    path.write_text("$conversation $rules $fence $response")
    with pytest.raises(ConfigurationError, match=r"own.txt: has the places \['conversation', 'fence', 'response'"):
        DraftTemplate(path)
    with pytest.raises(ConfigurationError, match="none.txt: cannot be read"):
        DraftTemplate(tmp_path / "none.txt")


# --------------------------------------------------------------------------------------------------------- the reply


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Here it is: " + reply(POLITE), "not JSON"),
        ('{"criteria": []}', "criteria: "),
        ('{"criteria": [{"text": "a"}], "note": 1}', "note: "),
        ('{"rubric": [{"text": "a"}]}', "criteria: Field required"),
        ('["a"]', "does not fit"),
        (reply(proposes(" ")), "criteria.0.text"),
        (reply(proposes("x" * 2001)), "criteria.0.text"),
        (reply(proposes("a", weight=0)), "criteria.0.weight"),
        (reply(proposes("a", weight=True)), "criteria.0.weight"),
        (reply(proposes("a", weight="2")), "criteria.0.weight"),
        ('{"criteria": [{"text": "a", "weight": 1e999}]}', "criteria.0.weight"),
        (reply(proposes("a", arguments=[])), "criteria.0.arguments"),
        (reply(proposes("a", rule=3)), "criteria.0.rule"),
        (reply(proposes("a", verdict="yes")), "criteria.0.verdict"),
        ('{"criteria": [{"text": "a"}', "not JSON"),
        ('{"criteria": [{"text": "a", "text": "b"}]}', "keys repeat"),
    ],
)
def test_a_reply_that_is_anything_else_is_no_reply(text: str, complaint: str) -> None:
    with pytest.raises(NoAnswer, match=complaint) as caught:
        read_reply(text)
    assert caught.value.kind == "malformed"


@given(st.text())
def test_no_text_is_a_reply_by_chance(text: str) -> None:
    with pytest.raises(NoAnswer):
        read_reply(text)


def test_a_reply_may_leave_out_what_is_not_there() -> None:
    assert read_reply(f"```json\n{reply(proposes('a'))}\n```") == (Proposal(text="a"),)
    assert read_reply(reply(POLITE))[0].weight == 2


# ------------------------------------------------------------------------------------------------ rules and judges


def test_a_rule_that_fits_decides_in_its_own_words_and_the_models_stay_beside() -> None:
    task = drafted_from(NO_COMMA, POLITE)
    comma, polite = task.rubric.criteria
    assert (comma.id, comma.text, comma.rule) == (
        "c1",
        "The response contains no commas.",
        Rule(name="punctuation:no_comma"),
    )
    assert (polite.id, polite.text, polite.kind, polite.weight) == ("c2", POLITE["text"], "judge", 2.0)
    assert note_of(task, "c1") == {"words": "Commas are not used.", "why": "asked"}
    assert note_of(task, "c2") == {"why": "a mail"}
    assert task.metadata["draft"].keys() == {"model", "template", "when", "criteria"}
    assert Task.from_json(task.to_json()) == task


@pytest.mark.parametrize(
    ("rule", "arguments", "reason"),
    [
        ("keywords:exist", {}, "'keywords:exist' is not known; did you mean 'keywords:existence'"),
        ("keywords:existence", {}, "keywords: is missing"),
        ("keywords:existence", {"keywords": "robot"}, "expected a list of texts"),
        ("length_constraints:number_words", {"num_words": 5, "relation": "at most"}, "relation: got 'at most'"),
        ("keywords:existence", {"keywords": ["(robot"]}, "is not a valid regular expression"),
        ("keywords:existence", {"keywords": [{"a": {}}]}, "keywords"),
        ("punctuation:no_comma", {"strict": True}, "strict: is not an argument"),
    ],
)
def test_a_rule_that_does_not_fit_leaves_the_criterion_to_a_judge_and_says_why(
    rule: str, arguments: Any, reason: str
) -> None:
    task = drafted_from(proposes("The response mentions robots.", rule=rule, arguments=arguments))
    (criterion,) = task.rubric.criteria
    assert (criterion.kind, criterion.text) == ("judge", "The response mentions robots.")
    assert reason in note_of(task, "c1")["refused"]


def test_words_that_are_a_rules_own_become_the_rule() -> None:
    task = drafted_from(
        proposes("The answer must have fewer than fifty words"), proposes("the response has less than 50 words.")
    )
    words = Rule(name="length_constraints:number_words", arguments={"num_words": 50, "relation": "less than"})
    assert [criterion.rule for criterion in task.rubric.criteria] == [None, words]
    assert note_of(task, "c2") == {
        "words": "the response has less than 50 words.",
        "recognised": "length_constraints:number_words",
    }


def test_a_rule_that_is_named_wrongly_but_said_rightly_is_recognised() -> None:
    task = drafted_from(proposes("The response contains no commas.", rule="no_commas"))
    assert task.rubric.criteria[0].rule == Rule(name="punctuation:no_comma")
    assert note_of(task, "c1").keys() == {"refused", "recognised"}


def test_with_several_messages_the_judge_sees_them() -> None:
    prompt = Prompt("p", (Message(role="system", content="Be brief."), *MAIL.messages))
    comma, polite = drafted_from(NO_COMMA, POLITE, prompt=prompt).rubric.criteria
    assert (comma.scope, polite.scope) == ("response", "conversation")
    assert drafted_from(POLITE).rubric.criteria[0].scope == "response"


def test_criteria_that_stay_come_first_and_ids_do_not_meet() -> None:
    kept = (
        Criterion(id="c2", text="The response is short."),
        Criterion(id="own", text="No commas, please.", rule=Rule(name="punctuation:no_comma")),
    )
    task = drafted_from(
        NO_COMMA, proposes("The response is short"), POLITE, prompt=Prompt("p", MAIL.messages, kept=kept)
    )
    assert task.rubric.criteria[:2] == kept
    assert len(task.rubric.criteria) == 3
    assert task.rubric.criteria[2].text == POLITE["text"]
    assert task.metadata["draft"]["merged"] == 2


def test_the_same_twice_is_merged_and_what_is_too_much_is_counted() -> None:
    task = drafted_from(POLITE, {**POLITE, "text": "the response greets  the landlord"}, NO_COMMA, most=2)
    assert len(task.rubric.criteria) == 1
    assert (task.metadata["draft"]["merged"], task.metadata["draft"]["beyond"]) == (1, 1)


# ------------------------------------------------------------------------------------------------------ recognition

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
RELATIONS = st.sampled_from(["at least", "less than"])
NUMBERS = st.integers(1, 900)
ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "keywords:existence": st.fixed_dictionaries({"keywords": st.lists(WORDS, min_size=1, max_size=4)}),
    "keywords:frequency": st.fixed_dictionaries({"keyword": WORDS, "frequency": NUMBERS, "relation": RELATIONS}),
    "keywords:forbidden_words": st.fixed_dictionaries({"forbidden_words": st.lists(WORDS, min_size=1, max_size=4)}),
    "keywords:letter_frequency": st.fixed_dictionaries(
        {"letter": st.sampled_from("aZ#!é"), "let_frequency": NUMBERS, "let_relation": RELATIONS}
    ),
    "language:response_language": st.fixed_dictionaries({"language": st.sampled_from(["de", "zh-cn", "en"])}),
    "length_constraints:number_sentences": st.fixed_dictionaries({"num_sentences": NUMBERS, "relation": RELATIONS}),
    "length_constraints:number_words": st.fixed_dictionaries({"num_words": NUMBERS, "relation": RELATIONS}),
    "length_constraints:number_paragraphs": st.fixed_dictionaries({"num_paragraphs": NUMBERS}),
    "length_constraints:nth_paragraph_first_word": st.fixed_dictionaries(
        {"num_paragraphs": st.integers(5, 9), "nth_paragraph": st.integers(1, 5), "first_word": WORDS}
    ),
    "detectable_content:postscript": st.fixed_dictionaries({"postscript_marker": st.sampled_from(["P.S.", "P.P.S"])}),
    "detectable_format:number_bullet_lists": st.fixed_dictionaries({"num_bullets": st.integers(0, 9)}),
    "detectable_format:multiple_sections": st.fixed_dictionaries({"section_spliter": WORDS, "num_sections": NUMBERS}),
    "startend:end_checker": st.fixed_dictionaries({"end_phrase": st.sampled_from(["Bye!", "That is all.", "1, 2"])}),
    "change_case:english_capital": st.just({}),
    "combination:two_responses": st.just({}),
}


@given(st.sampled_from(sorted(ARGUMENTS)).flatmap(lambda name: st.tuples(st.just(name), ARGUMENTS[name])))
def test_each_rule_is_recognised_by_its_own_words(case: tuple[str, dict[str, Any]]) -> None:
    name, arguments = case
    assert recognise(describe(name, arguments)) == Rule(name=name, arguments=arguments)


@given(st.text())
def test_what_is_recognised_says_of_itself_what_the_text_says(text: str) -> None:
    for wrapped in (text, f'The response contains the keyword "{text}".', f"The response has at least {text} words."):
        rule = recognise(wrapped)
        if rule is not None:
            assert drafting._canonical(describe(rule.name, rule.arguments)) == drafting._canonical(wrapped)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The answer must not contain the word “moon”", "keywords:forbidden_words"),
        (
            "the reply should contain exactly three bullet points, written in markdown (* or -)",
            "detectable_format:number_bullet_lists",
        ),
        ("The response includes no commas.", "punctuation:no_comma"),
        ("The response has no fewer than 3 sentences.", "length_constraints:number_sentences"),
        ("The whole response  is in german.", "language:response_language"),
    ],
)
def test_small_differences_make_no_difference(text: str, name: str) -> None:
    rule = recognise(text)
    assert rule is not None
    assert rule.name == name


@pytest.mark.parametrize(
    "text",
    [
        "The response contains few commas.",
        "The response contains no commas or dots.",
        "The response has at most 3 sentences.",
        "The response has more than 3 sentences.",
        "The response contains 3 bullet points.",
        'The response contains the word "robot".',
        'The response contains the keyword "C++".',  # a regular expression would be something else
        'The response contains the keywords "a.b" and "c".',
        "The response is in German.",
        "The prompt contains no commas.",
        'The response contains the keyword "robot" at least 0 times.',
        "",
    ],
)
def test_what_is_only_nearly_a_rule_is_left_to_a_judge(text: str) -> None:
    assert recognise(text) is None


def test_text_in_quotation_marks_is_kept_as_it_is() -> None:
    rule = recognise('The answer must contain the keyword "Less than Two Answers".')
    assert rule is not None
    assert rule.arguments == {"keywords": ["Less than Two Answers"]}


# ----------------------------------------------------------------------------------------------------------- doubts


def hints(*criteria: Criterion | str) -> list[str]:
    rubric = [
        Criterion(id=f"c{number}", text=item) if isinstance(item, str) else item
        for number, item in enumerate(criteria, start=1)
    ]
    return doubts(rubric).get(rubric[-1].id, [])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("The response names a date and a price.", "perhaps more than one criterion: 'and'"),
        ("The response names a date; it is in June.", "perhaps more than one criterion: ';'"),
        ("The response greets. It says goodbye.", "several sentences: perhaps more than one criterion"),
        ("The response ...", "perhaps not finished: '...'"),
        ("The response is well-written.", "perhaps not checkable: 'well-written'"),
        ("The response follows the instructions.", "perhaps not checkable: 'follows the instructions'"),
    ],
)
def test_a_person_is_told_what_to_look_at(text: str, hint: str) -> None:
    assert hints(text) == [hint]


@pytest.mark.parametrize(
    "text", ['The response quotes "bread and good butter. Yes."', "The response names Alexandria."]
)
def test_a_clear_criterion_raises_no_doubt(text: str) -> None:
    assert hints(text) == []


def test_criteria_that_are_nearly_the_same_are_told() -> None:
    first = "The response explains to the landlord why the heating must be repaired this week."
    assert hints(first, "The response explains to the landlord why the heating should be repaired this week.") == [
        "much like c1"
    ]
    assert hints("The response has a heading for part 1.", "The response has a heading for part 2.") == []


def test_a_rule_that_reads_words_as_an_expression_or_says_something_else_is_told() -> None:
    plus = Rule(name="keywords:existence", arguments={"keywords": ["C+", "Java"]})
    assert hints(Criterion(id="c1", rule=plus)) == ["'C+' is read as a regular expression"]
    other = Criterion(id="c1", text="The mail is polite.", rule=Rule(name="punctuation:no_comma"))
    assert hints(other) == ["its rule checks something that is put differently: The response contains no commas."]
    assert hints(Criterion(id="c1", rule=Rule(name="combination:two_responses"))) == []


# --------------------------------------------------------------------------------------------------------- drafting


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def endpoint(server: Server, **options: Any) -> Endpoint:
    return Endpoint(
        **{
            "model": "m",
            "base_url": server.url,
            "api_key_env": None,
            "timeout": 20.0,
            "max_retries": 0,
            "temperature": 0,
            **options,
        }
    )


def prompts(count: int) -> list[Prompt]:
    return [Prompt(f"p{n}", (Message(role="user", content=f"Prompt number {n}."),)) for n in range(count)]


def test_a_model_drafts_what_is_asked_with_the_schema(server: Server) -> None:
    server.script = lambda question, number: completion(reply(NO_COMMA, POLITE))
    (task,) = draft_rubrics([MAIL], endpoint(server), most=4)
    assert isinstance(task, Task)
    assert is_draft(task)
    assert task.metadata["draft"]["model"] == "m"
    (question,) = server.questions
    assert question["response_format"]["json_schema"]["schema"] == reply_schema(4)
    assert prompt_of(question) == DraftTemplate().render(MAIL, 4)


def test_an_endpoint_without_schemas_is_asked_without(server: Server) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        if "response_format" in question:
            return Reply(b'{"error": {"message": "response_format is not supported"}}', status=400)
        return completion(f"<think>hm</think>\n```json\n{reply(POLITE)}\n```")

    server.script = script
    assert all(isinstance(task, Task) for task in draft_rubrics(prompts(2), endpoint(server), concurrency=1))
    assert sum("response_format" not in question for question in server.questions) == 2
    assert "response_format" not in server.questions[-1]


def test_results_come_in_order_and_failures_stand_for_themselves(server: Server) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        if "number 1." in prompt_of(question):
            return completion(None, refusal="I will not.")
        if "number 2." in prompt_of(question):
            return completion("Sure! Here is a rubric: it should be good.")
        return completion(reply(POLITE))

    server.script = script
    seen: dict[str, Any] = {}
    lock = threading.Lock()

    def finished(prompt: Prompt, result: Task | NoAnswer) -> None:
        with lock:
            seen[prompt.id] = result

    zero, one, two, three = draft_rubrics(prompts(4), endpoint(server), concurrency=3, finished=finished)
    assert isinstance(zero, Task)
    assert isinstance(three, Task)
    assert (zero.id, three.id) == ("p0", "p3")
    assert isinstance(one, NoAnswer)
    assert isinstance(two, NoAnswer)
    assert (one.kind, two.kind) == ("refused", "malformed")
    assert seen == {"p0": zero, "p1": one, "p2": two, "p3": three}
    asked = [prompt_of(question) for question in server.questions]
    assert sum("number 2." in text for text in asked) == 2  # a reply that cannot be used is asked for again
    assert sum("number 1." in text for text in asked) == 1
    again = next(text for text in asked if "number 2." in text and "could not be used" in text)
    assert "Sure!" not in again


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (completion(reply(POLITE)[:40]), "malformed"),
        (completion(reply(POLITE), finish="length"), "truncated"),
        (completion(""), "empty"),
        (completion('{"criteria": []}'), "malformed"),
        (completion('{"criteria": [{"text": "half \\ud800"}]}'), "malformed"),
        (completion('{"criteria": [{"text": "fine", "why": "half \\ud800", "arguments": {"a": 1e999}}]}'), None),
    ],
)
def test_an_unusable_reply_is_asked_for_again_so_often_and_never_filled_in(
    server: Server, first: Reply, kind: str | None
) -> None:
    server.script = lambda question, number: first if number == 1 else completion(reply(POLITE))
    (second,) = draft_rubrics([MAIL], endpoint(server))
    assert isinstance(second, Task)
    assert len(server.questions) == (1 if kind is None else 2)
    if kind is not None:
        server.questions.clear()
        (failure,) = draft_rubrics([MAIL], endpoint(server), attempts=1)
        assert isinstance(failure, NoAnswer)
        assert failure.kind == kind


def test_a_refused_key_ends_the_asking(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    server.script = lambda question, number: Reply(b'{"error": {"message": "bad key sk-secret"}}', status=401)
    results = draft_rubrics(prompts(5), endpoint(server, api_key_env="MY_KEY"), concurrency=1)
    assert [getattr(result, "kind", None) for result in results] == ["unusable"] * 5
    assert len(server.questions) == 1
    assert not any("sk-secret" in str(result) for result in results)


def test_requests_are_bounded_in_number(server: Server) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        server.over.wait(0.05)
        return completion(reply(POLITE))

    server.script = script
    draft_rubrics(prompts(9), endpoint(server), concurrency=3)
    assert 2 <= server.busiest <= 3


def test_what_the_caller_raises_ends_everything(server: Server) -> None:
    server.script = lambda question, number: completion(reply(POLITE))

    def finished(prompt: Prompt, result: Task | NoAnswer) -> None:
        raise DataError("the disk is full")

    with pytest.raises(DataError, match="the disk is full"):
        draft_rubrics(prompts(5), endpoint(server), concurrency=2, finished=finished)


def test_options_out_of_range_are_refused(server: Server) -> None:
    for options in ({"most": 0}, {"attempts": 0}, {"concurrency": 0}):
        with pytest.raises(ConfigurationError, match="expected at least 1 for each"):
            draft_rubrics([MAIL], endpoint(server), **options)  # type: ignore[arg-type]
    assert draft_rubrics([], endpoint(server)) == []


def test_a_missing_key_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="MY_KEY is not set"):
        draft_rubrics([MAIL], endpoint(server, api_key_env="MY_KEY"))


# --------------------------------------------------------------------------------------------------- nothing unseen


def test_drafts_are_refused_until_they_are_accepted(tmp_path: Path) -> None:
    draft = drafted_from(POLITE, prompt=Prompt("mail", MAIL.messages, metadata={"level": 1}))
    path = tmp_path / "drafts.jsonl"
    with pytest.raises(DataError, match=r"drafts.jsonl: the rubrics of 'mail' are drafts .*rtt rubric accept .*--out"):
        refuse_drafts([draft], path)
    task = accepted(draft)
    refuse_drafts([task], path)
    assert not is_draft(task)
    assert task.metadata == {"level": 1, "drafted_by": "m"}
    assert task.rubric == draft.rubric
    write_tasks(path, [draft])
    assert read_drafts(path) == [draft]
    write_tasks(path, [draft, Task(id="x", prompt=task.prompt, rubric=task.rubric)])
    with pytest.raises(DataError, match="task 'x' is no draft"):
        read_drafts(path)


def test_data_of_ones_own_under_another_shape_is_no_draft() -> None:
    task = Task(
        id="t", prompt=MAIL.messages, rubric=Rubric(criteria=(Criterion(id="c", text="x"),)), metadata={"draft": 2}
    )
    assert not is_draft(task)
    assert note_of(task, "c") == {}


def test_notes_that_a_person_broke_are_no_trouble() -> None:
    draft = drafted_from(POLITE)
    draft.metadata["draft"]["criteria"] = {"c1": ["?"]}
    assert note_of(draft, "c1") == {}
    draft.metadata["draft"]["criteria"] = "?"
    assert note_of(draft, "c1") == {}


def test_the_examples_are_arguments_of_their_rules() -> None:
    for name, arguments in drafting._EXAMPLES.items():
        assert validate_arguments(name, arguments) == arguments
