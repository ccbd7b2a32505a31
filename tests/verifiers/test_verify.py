"""From a task and a response to verdicts: who decides, what happens when nobody can, and what stays untouched."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import langdetect
import pytest

from rtt.errors import (
    ConfigurationError,
    DataError,
    MissingDependencyError,
    RuleArgumentsError,
    UnknownRuleError,
    VerifierError,
)
from rtt.rubrics import Code, Criterion, Message, Rubric, Rule, Task
from rtt.rule_schemas import NoArguments, RuleArguments, describe
from rtt.verdicts import Outcome, Span, Verdict
from rtt.verifiers import (
    BatchVerdictSource,
    Question,
    counterfactual,
    loose_variants,
    verify,
    verify_batch,
    verify_loose,
    verify_rule,
)
from rtt.verifiers.rules import register_rule
from rtt.verifiers.rules.findings import Deadline, Finding, absent, present, whole

NO_COMMA = Rule(name="punctuation:no_comma")
TITLE = Rule(name="detectable_format:title")


def task(*criteria: Criterion) -> Task:
    return Task(id="t", prompt=(Message(role="user", content="Go on."),), rubric=Rubric(criteria=criteria))


class Yes:
    """A judge that is always content, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        self.asked.append([criterion.id for criterion in criteria])
        return [Verdict(criterion.id, Outcome.SATISFIED, "judge:yes") for criterion in criteria]


MIXED = task(
    Criterion(id="a", text="Be polite."),
    Criterion(id="b", text="No commas.", rule=NO_COMMA),
    Criterion(id="c", text="Be brief."),
    Criterion(id="d", text="A title.", rule=TITLE),
)


def test_verdicts_come_in_the_order_of_the_rubric_and_the_judge_is_asked_once() -> None:
    judge = Yes()
    verdicts = verify(MIXED, "<<Yes>>, sir", judge)
    assert [(v.criterion_id, v.source, v.outcome.value) for v in verdicts] == [
        ("a", "judge:yes", 1),
        ("b", "rule:punctuation:no_comma", -1),
        ("c", "judge:yes", 1),
        ("d", "rule:detectable_format:title", 1),
    ]
    assert judge.asked == [["a", "c"]]


def test_without_a_judge_its_criteria_are_undetermined() -> None:
    verdicts = verify(MIXED, "Yes sir")
    assert [v.outcome.value for v in verdicts] == [0, 1, 0, -1]
    assert verdicts[0].reason == "needs a judge, none was given"
    assert not verdicts[0].failed  # nobody was asked


def test_a_judge_is_not_asked_where_rules_decide_everything() -> None:
    judge = Yes()
    verify(task(Criterion(id="b", rule=NO_COMMA)), "Yes", judge)
    assert judge.asked == []


class Broken:
    def __init__(self, answer: list[Verdict] | BaseException) -> None:
        self.answer = answer

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ConnectionError("no route"), "ConnectionError: no route"),
        (VerifierError("the server is gone"), "the server is gone"),
        ([], r"the judge answered for criteria [], expected ['a', 'c']"),
        (None, "the judge answered with something else than a list of verdicts"),
        ("yes", "the judge answered with something else than a list of verdicts"),
        ([1, -1], "the judge answered with something else than a list of verdicts"),
        ({"a": 1, "c": -1}, "the judge answered with something else than a list of verdicts"),
        (iter(()), "the judge answered with something else than a list of verdicts"),
        (ValueError("x" * 5000), f"ValueError: {'x' * 285}..."),
        (
            [Verdict("c", Outcome.SATISFIED, "judge:x"), Verdict("a", Outcome.SATISFIED, "judge:x")],
            r"the judge answered for criteria ['c', 'a'], expected ['a', 'c']",
        ),
    ],
)
def test_a_judge_that_fails_decides_nothing(answer: Any, reason: str) -> None:
    verdicts = verify(MIXED, "Yes sir", Broken(answer))
    assert [v.outcome.value for v in verdicts] == [0, 1, 0, -1]
    assert [v.failed for v in verdicts] == [True, False, True, False]
    assert verdicts[0].reason == verdicts[2].reason == reason


NOT_SET_UP = [ConfigurationError("no key"), DataError("no cache"), MissingDependencyError("no openai")]


@pytest.mark.parametrize("error", [*NOT_SET_UP, KeyboardInterrupt("stop")])
def test_a_judge_that_is_set_up_wrongly_or_interrupted_says_so(error: BaseException) -> None:
    with pytest.raises(type(error), match=str(error)):
        verify(MIXED, "Yes sir", Broken(error))  # type: ignore[arg-type]
    with pytest.raises(type(error), match=str(error)):
        verify_batch([(MIXED, "Yes sir")], Batches(error))


class Batches(Yes):
    """A judge that takes many questions at once, and answers as it is told."""

    def __init__(self, answer: Any = None) -> None:
        super().__init__()
        self.answer = answer
        self.questions: list[Question] = []

    def verify_batch(
        self, questions: Sequence[Question], *, progress: Callable[[int], None] | None = None
    ) -> list[list[Verdict]]:
        self.questions += questions
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is not None:
            return cast(list[list[Verdict]], self.answer)
        found = []
        for question in questions:
            found.append(self.verify(question.task, question.text, question.criteria))
            if progress is not None:
                progress(len(question.criteria))
        return found


ANSWERS = [(MIXED, "<<Yes>>, sir"), (task(Criterion(id="b", rule=NO_COMMA)), "No"), (MIXED, ""), (MIXED, "Yes")]


def test_a_judge_of_batches_gets_all_that_rules_do_not_decide_in_one_call() -> None:
    judge, told = Batches(), list[int]()
    assert isinstance(judge, BatchVerdictSource)
    verdicts = verify_batch(ANSWERS, judge, progress=told.append)
    assert verdicts == [verify(of, text, Yes()) for of, text in ANSWERS]
    criteria = (MIXED.rubric.criteria[0], MIXED.rubric.criteria[2])
    assert judge.questions == [Question(MIXED, text, criteria) for text in ("<<Yes>>, sir", "", "Yes")]
    assert told == [2, 2, 2]
    judge.questions.clear()
    assert verify_batch(ANSWERS[1:2], judge)[0][0].source == "rule:punctuation:no_comma"
    assert verify_batch([], judge) == []
    assert judge.questions == []


def test_another_judge_gets_a_call_for_each_response() -> None:
    judge, told = Yes(), list[int]()
    assert not isinstance(judge, BatchVerdictSource)
    verdicts = verify_batch(ANSWERS, judge, progress=told.append)
    assert [[v.outcome.value for v in row] for row in verdicts] == [[1, -1, 1, 1], [1], [1, -1, 1, -1], [1, 1, 1, -1]]
    assert (judge.asked, told) == ([["a", "c"]] * 3, [2, 2, 2])


def test_a_judge_that_fails_for_one_response_decides_the_others() -> None:
    class Sometimes(Yes):
        def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
            if text == "":
                raise ConnectionError("no route")
            return super().verify(task, text, criteria)

    told: list[int] = []
    verdicts = verify_batch(ANSWERS, Sometimes(), progress=told.append)
    assert [row[0].failed for row in verdicts] == [False, False, True, False]
    assert told == [2, 2, 2]


def right(*ids: str) -> list[Verdict]:
    return [Verdict(name, Outcome.SATISFIED, "judge:x") for name in ids]


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (VerifierError("the server is gone"), ["the server is gone"] * 3),
        ([right("a", "c")], ["the judge answered 1 questions, expected a list of verdicts for each of 3"] * 3),
        ([], ["the judge answered 0 questions, expected a list of verdicts for each of 3"] * 3),
        ("yes", ["the judge answered with str, expected a list of verdicts for each of 3"] * 3),
        (
            [right("a", "c"), right("c", "a"), None],
            [
                "",
                "the judge answered for criteria ['c', 'a'], expected ['a', 'c']",
                "the judge answered with something else than a list of verdicts",
            ],
        ),
    ],
)
def test_a_judge_of_batches_that_fails_decides_nothing_that_it_did_not_answer(answer: Any, reasons: list[str]) -> None:
    verdicts = verify_batch(ANSWERS, Batches(answer))
    asked = [verdicts[k] for k in (0, 2, 3)]
    assert [(row[0].reason, row[2].reason) for row in asked] == [(reason, reason) for reason in reasons]
    assert [row[0].failed for row in asked] == [bool(reason) for reason in reasons]
    assert [row[0].outcome.value for row in asked] == [int(not reason) for reason in reasons]
    assert verdicts[1][0].outcome is Outcome.SATISFIED  # what the rules say stands


def test_code_that_comes_with_data_is_never_run() -> None:
    code = Code(source="raise SystemExit('run!')", entry="check")
    plain, with_judge = (
        task(Criterion(id="a", text="Works.", code=code, fallback=fallback)) for fallback in ("error", "judge")
    )
    assert verify(plain, "text", Yes())[0].outcome is Outcome.UNDETERMINED
    assert verify(plain, "text")[0].reason == "code that comes with data is never run"
    assert not verify(plain, "text")[0].failed
    assert verify(with_judge, "text", Yes())[0].source == "judge:yes"
    assert verify(with_judge, "text")[0].outcome is Outcome.UNDETERMINED


BROKEN = Rule(name="keywords:existence", arguments={"keywords": ["(unclosed"]})


def test_a_pattern_that_does_not_compile_is_undetermined() -> None:
    verdict = verify(task(Criterion(id="a", rule=BROKEN)), "text")[0]
    assert verdict.outcome is Outcome.UNDETERMINED
    assert verdict.reason.startswith("'(unclosed' is not a valid regular expression: ")
    assert verdict.failed


def test_what_a_rule_cannot_decide_falls_back_as_the_criterion_says() -> None:
    criteria = (Criterion(id=f, rule=BROKEN, fallback=f) for f in ("error", "judge", "fail"))
    verdicts = verify(task(*criteria), "text", Yes())
    assert [v.outcome.value for v in verdicts] == [0, 1, -1]
    assert verdicts[2].scope == "response"
    assert verdicts[2].reason.endswith("which this criterion counts as violated")


# In Python's own engine each of these takes longer than anyone lives.
CATASTROPHIC = ["^(a|a)*$", "(a|aa)+$", "(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.mark.parametrize("pattern", CATASTROPHIC)
@pytest.mark.parametrize("rule", ["keywords:existence", "keywords:frequency", "detectable_format:multiple_sections"])
def test_a_catastrophic_pattern_does_not_hang(rule: str, pattern: str) -> None:
    arguments: dict[str, Any] = {
        "keywords:existence": {"keywords": [pattern]},
        "keywords:frequency": {"keyword": pattern, "frequency": 1, "relation": "at least"},
        "detectable_format:multiple_sections": {"section_spliter": pattern, "num_sections": 1},
    }[rule]
    start = time.monotonic()
    verdict = verify_rule(rule, arguments, "a" * 100_000 + "!", criterion_id="a", time_limit=0.2)
    assert time.monotonic() - start < 2
    assert verdict.outcome is not Outcome.SATISFIED


def test_what_runs_out_of_time_is_undetermined_and_the_next_rule_has_its_own() -> None:
    slow = Rule(name="keywords:existence", arguments={"keywords": [CATASTROPHIC[0]]})
    criteria = (Criterion(id="a", rule=slow), Criterion(id="b", rule=NO_COMMA))
    verdicts = verify(task(*criteria), "a" * 5000 + "!", time_limit=0.05)
    assert [v.outcome.value for v in verdicts] == [0, 1]
    assert verdicts[0].reason == "the time limit of 0.05 s a rule was reached"


class Site(RuleArguments):
    site: str


def _cites(text: str, arguments: Site, deadline: Deadline) -> Finding:
    if arguments.site == "fail":
        raise RuntimeError("no such site")
    if arguments.site == "stop":
        raise KeyboardInterrupt
    if arguments.site == "slow":
        while True:
            deadline.remaining()
    at = text.find(arguments.site)
    return absent("no source") if at < 0 else present([(at, at + len(arguments.site))], "a source")


register_rule("test_verify:cites", Site, _cites, lambda a: f"The response cites {a.site}.", edit=lambda *_: "?")


def cites(site: str, text: str) -> Verdict:
    return verify_rule("test_verify:cites", {"site": site}, text, criterion_id="a", time_limit=0.05)


def test_a_rule_of_your_own() -> None:
    verdict = cites("w3.org", "See w3.org.")
    assert (verdict.outcome, verdict.evidence) == (Outcome.SATISFIED, (Span(4, 10, "support"),))
    assert verdict.source == "rule:test_verify:cites"
    assert counterfactual("See w3.org.", verdict) == "See ?."
    assert cites("w3.org", "See it.").missing
    assert describe("test_verify:cites", {"site": "w3.org"}) == "The response cites w3.org."
    rule = Rule(name="test_verify:cites", arguments={"site": "w3.org"})
    assert verify(task(Criterion(id="a", rule=rule)), "w3.org")[0].outcome is Outcome.SATISFIED


def test_a_rule_of_your_own_cannot_take_the_place_of_another() -> None:
    with pytest.raises(ConfigurationError, match="is registered already"):
        register_rule("test_verify:cites", NoArguments, lambda *_: whole(True, ""), lambda _: "")
    assert cites("w3.org", "See it.").outcome is Outcome.VIOLATED


def test_a_rule_that_raises_is_undetermined_and_one_that_is_interrupted_is_not_caught() -> None:
    verdict = cites("fail", "text")
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDETERMINED, "RuntimeError: no such site")
    assert cites("slow", "text").reason == "the time limit of 0.05 s a rule was reached"
    assert (verdict.failed, cites("slow", "text").failed, cites("w3.org", "See it.").failed) == (True, True, False)
    with pytest.raises(KeyboardInterrupt):
        cites("stop", "text")


def test_a_call_that_is_wrong_is_refused() -> None:
    with pytest.raises(UnknownRuleError, match="rule 'punctuation:no_coma' is not known"):
        verify_rule("punctuation:no_coma", {}, "text", criterion_id="a")
    with pytest.raises(RuleArgumentsError, match="keywords: is missing"):
        verify_rule("keywords:existence", {}, "text", criterion_id="a")


def test_the_eight_loose_variants() -> None:
    assert loose_variants("*a*\n b \n**c**") == (
        "*a*\n b \n**c**",
        "b \n**c**",
        "*a*\n b",
        "b",
        "a\n b \nc",
        "b \nc",
        "a\n b",
        "b",
    )
    assert loose_variants("one") == ("one", "", "", "", "one", "", "", "")


def test_loose_is_satisfied_if_any_variant_is() -> None:
    def loose(text: str, *rules: Rule) -> list[int]:
        criteria = (Criterion(id=f"c{k}", rule=rule) for k, rule in enumerate(rules))
        return [outcome.value for outcome in verify_loose(task(*criteria), text)]

    quotation = Rule(name="startend:quotation")
    assert loose('Sure, here:\n"a b"\nGood luck', quotation, NO_COMMA) == [1, 1]
    assert loose('Sure, here:\n"a, b"\nGood, luck', quotation, NO_COMMA) == [1, -1]
    assert loose("text", BROKEN) == [0]
    assert verify_loose(task(Criterion(id="a", rule=BROKEN, fallback="fail")), "text") == [Outcome.VIOLATED]
    assert loose("  ", NO_COMMA) == [-1]
    assert verify_loose(task(Criterion(id="a", text="Be polite.")), "text") == [Outcome.UNDETERMINED]


MANY = task(
    *(
        Criterion(id=f"c{k}", rule=Rule(name=name, arguments=arguments))
        for k, (name, arguments) in enumerate(
            [
                ("language:response_language", {"language": "en"}),
                ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"}),
                ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}),
                ("change_case:english_lowercase", {}),
                ("keywords:existence", {"keywords": ["t.?o", "three"]}),
            ]
        )
    )
)
TEXTS = [f"DON'T count to {n}. It is {'short' * n}! Or not? trois quatre {n}" for n in range(24)]


def test_verdicts_do_not_depend_on_threads_seeds_or_earlier_calls() -> None:
    first = [verify(MANY, text) for text in TEXTS]
    random.seed(1)
    langdetect.DetectorFactory.seed = 17
    try:
        with ThreadPoolExecutor(8) as pool:
            again = list(pool.map(lambda text: verify(MANY, text + " "), reversed(TEXTS)))[::-1]
    finally:
        langdetect.DetectorFactory.seed = None
    assert [[v.outcome for v in row] for row in again] == [[v.outcome for v in row] for row in first]


def test_the_world_is_left_as_it_was() -> None:
    random.seed(3)
    before = random.getstate()
    for text in TEXTS:
        verify(MANY, text)
    assert random.getstate() == before
    assert langdetect.DetectorFactory.seed is None


def test_rules_need_no_network_no_data_and_no_torch() -> None:
    program = """
import socket, sys
def refuse(*_): raise OSError("no network")
socket.socket.connect = socket.create_connection = refuse
from rtt.verifiers import verify_rule
found = [
    verify_rule(name, arguments, "This is a text in English. It has two sentences.", criterion_id="a")
    for name, arguments in (
        ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}),
        ("language:response_language", {"language": "en"}),
    )
]
print([v.outcome.value for v in found], sorted({"torch", "transformers", "datasets", "trl"} & set(sys.modules)))
"""
    environment = {key: value for key, value in os.environ.items() if key != "NLTK_DATA"} | {"HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[1, 1] []"


def test_a_typical_response_is_verified_in_well_under_a_millisecond() -> None:
    text = "The quick brown fox jumps over the lazy dog, and nobody in the village minds it much.\n" * 12
    criteria = (
        Criterion(
            id="a",
            rule=Rule(name="keywords:frequency", arguments={"keyword": "fox", "frequency": 3, "relation": "at least"}),
        ),
        Criterion(
            id="b",
            rule=Rule(name="length_constraints:number_words", arguments={"num_words": 150, "relation": "less than"}),
        ),
        Criterion(id="c", rule=Rule(name="detectable_format:number_bullet_lists", arguments={"num_bullets": 3})),
    )
    usual = task(*criteria)
    verify(usual, text)
    times = []
    for _ in range(20):
        start = time.thread_time()
        verify(usual, text)
        times.append(time.thread_time() - start)
    assert min(times) < 0.001
