"""``rtt judge check``: gold from rules and from files, what is asked, the figures, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_endpoint import NO, YES, Reply, Server, completion, criteria_of, judged, judges, says

from rtt import Criterion, Message, Outcome, Rubric, Rule, Task
from rtt.answers import Answer
from rtt.cli import judge as group
from rtt.cli.judge import check as module
from rtt.cli.judge.asking import Cost, ask, measured, schedule_orders
from rtt.cli.judge.gold import Item, gold_of_file, gold_of_rules
from rtt.errors import VerifierError
from rtt.rubrics import Code, write_tasks
from rtt.verdicts import Verdict
from rtt.verifiers import Question, verify_rule
from rtt.verifiers.judge import JudgeReport

pytest.importorskip("openai")
pytest.importorskip("diskcache")

NO_COMMA = Criterion(id="no_comma", text="Not a single comma, please.", rule=Rule(name="punctuation:no_comma"))
ROBOT = Criterion(id="robot", rule=Rule(name="keywords:existence", arguments={"keywords": ["robot"]}))
POLITE = Criterion(id="polite", text="The mail is polite.", weight=2.0)
RUN = Criterion(id="run", text="It runs.", code=Code(source="def f(): ...", entry="f"))
TASKS = [
    Task(id="mail", prompt=(Message(role="user", content="A mail."),), rubric=Rubric(criteria=(NO_COMMA, POLITE))),
    Task(id="song", prompt=(Message(role="user", content="A song."),), rubric=Rubric(criteria=(ROBOT, NO_COMMA, RUN))),
]
ANSWERS = [
    {"task_id": "mail", "response": "Dear Sir, farewell."},
    {"task_id": "song", "response": "A robot sings of robots."},
    {"task_id": "song", "response": "La, la, la."},
]

Files = Callable[..., tuple[Path, Path]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    def write(answers: Iterable[Any] = ANSWERS, tasks: Sequence[Task] = TASKS) -> tuple[Path, Path]:
        write_tasks(tmp_path / "tasks.jsonl", tasks)
        (tmp_path / "answers.jsonl").write_text("".join(f"{json.dumps(answer)}\n" for answer in answers))
        return tmp_path / "tasks.jsonl", tmp_path / "answers.jsonl"

    return write


@pytest.fixture
def gold(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: Any) -> Path:
        file = tmp_path / "gold.jsonl"
        file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return file

    return write


@pytest.fixture
def server() -> Iterator[Server]:
    """Says yes to everything, unless a test says otherwise."""
    server = Server()
    server.script = judges(lambda criterion, response: YES)
    yield server
    server.stop()


def run(*arguments: object) -> Result:
    options = [] if "--cache" in arguments else ["--no-cache"]
    given = [str(argument) for argument in (*arguments, *options)]
    return CliRunner().invoke(group.judge, ["check", *given], prog_name="rtt judge", env={"COLUMNS": "160"})


def checked(server: Server, tasks: Path, answers: Path, *options: object) -> tuple[str, dict[str, Any]]:
    """What it prints, and what it writes."""
    out = tasks.parent / "check.json"
    common = ("--judge", "tiny", "--base-url", server.url, "--api-key-env", "", "--retries", 0, "--out", out)
    result = run(tasks, answers, *common, *options)
    assert result.exit_code == 0, result.output
    return result.stdout, json.loads(out.read_text())


def refused(server: Server, tasks: Path, answers: Path, *options: object) -> str:
    common = ("--judge", "tiny", "--base-url", server.url, "--api-key-env", "", "--retries", 0)
    result = run(tasks, answers, *common, *options)
    assert result.exit_code == 2, result.output
    return result.stderr


def line(text: str, start: str) -> list[str]:
    """The cells of the table's row that begins so."""
    [row] = [row.strip() for row in text.splitlines() if row.strip().startswith(start)]
    return [cell.strip() for cell in row.split("  ") if cell.strip()]


# ------------------------------------------------------------------------------------------------------------- help


def test_the_group_and_its_help_import_nothing_heavy() -> None:
    for arguments, wanted in (
        (["--help"], "Measure how far a judge agrees with gold verdicts, or with the rules."),
        (["check", "--help"], "rtt judge check tasks.jsonl responses.jsonl --gold gold.jsonl --judge gpt-4o-mini"),
    ):
        code = (
            "import sys\nfrom rtt.cli.judge import judge\n"
            f"judge.main({arguments!r}, 'rtt judge', standalone_mode=False)\n"
            "print('modules:', *sys.modules)"
        )
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        text, _, loaded = shown.partition("modules: ")
        assert wanted in text
        assert not {"torch", "numpy", "pydantic", "rich", "openai", "diskcache"} & set(loaded.split())


def test_help_teaches_by_examples_and_says_what_figures_mean() -> None:
    shown = run("--help").output
    for part in (
        "--limit 100",
        "--repeats 3 --orders 2",
        "--injections 5",
        "False yes:",
        "Exit codes",
        "jq '.questions",
    ):
        assert part in shown


def test_a_judge_is_needed(files: Files) -> None:
    result = run(*files())
    assert result.exit_code == 2
    assert "Missing option '--judge'" in result.stderr


# ---------------------------------------------------------------------------------------------------- rules as gold


def test_the_judge_gets_the_words_of_rule_criteria_and_the_rules_are_the_gold(files: Files, server: Server) -> None:
    text, found = checked(server, *files())
    asked = sorted(criterion for question in server.questions for criterion in criteria_of(question))
    assert asked == sorted([NO_COMMA.text, ROBOT.text, NO_COMMA.text, ROBOT.text, NO_COMMA.text])
    # satisfied: robot and no comma of the second; violated: the other three, all of which it calls satisfied
    assert found["agreement"]["table"] == [[0, 3, 0, 0], [0, 2, 0, 0]]
    assert line(text, "accuracy") == ["accuracy", "40.0 %", "0.0 to 100.0", "5 determined"]
    assert line(text, "Cohen's kappa")[1] == "0.00"
    assert line(text, "false yes") == ["false yes", "100.0 %", "15.8 to 100.0", "3 violated"]
    assert line(text, "false no")[1:] == ["0.0 %", "0.0 to 97.5", "2 satisfied"]
    assert line(text, "keywords:existence") == [
        "keywords:existence",
        "2",
        "50.0 %",
        "0.00",
        *("100 % of 1", "0 % of 1"),
        "0",
        "0",
    ]
    assert line(text, "punctuation:no_comma")[1:3] == ["3", "33.3 %"]
    assert text.index("punctuation:no_comma") < text.index("keywords:existence")  # the worst first
    assert "judge tiny beside the rules: 5 criteria of 3 responses" in text
    assert "gold is what the rules say; the judge read the words of the criteria, without the rules" in text
    assert "left out: 2 criteria without a rule" not in text  # one is polite, two are code
    assert "left out: 3 criteria without a rule" in text
    assert "3 responses are few" in text.strip().splitlines()[-1]
    assert found["gold"] == "rules"
    first = found["questions"][0]
    assert (first["task_id"], first["line"], first["criterion_id"]) == ("mail", 1, "no_comma")
    assert (first["gold"]["outcome"], first["judge"]["outcome"], first["repeats"]) == (-1, 1, [1])
    assert first["judge"]["source"] == "judge:tiny"


def test_an_unwanted_criterion_is_compared_as_it_is_worded(files: Files, server: Server) -> None:
    unwanted = NO_COMMA.model_copy(update={"weight": -1.0})
    task = Task(id="mail", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(unwanted,)))
    server.script = judges(lambda criterion, response: says("no", violation=[","]))
    _, found = checked(server, *files(ANSWERS[:1], [task]))
    assert found["agreement"]["accuracy"]["value"] == 1


def test_blank_and_repeated_responses_are_left_out_and_counted(files: Files, server: Server) -> None:
    answers = [*ANSWERS, ANSWERS[0], {"task_id": "song", "response": " \n"}]
    text, found = checked(server, *files(answers))
    assert "1 blank response, " in text
    assert "1 repeated response" in text
    assert found["agreement"]["responses"] == 3
    assert found["left_out"] == {"blank response": 1, "repeated response": 1, "criterion without a rule": 4}


def test_evidence_is_compared_where_both_agree(files: Files, server: Server) -> None:
    def verdict(criterion: str, response: str) -> dict[str, Any]:
        if criterion == ROBOT.text:
            return says("yes", support=["A robot"]) if "robot" in response else says("no")
        return says("no", violation=[","]) if "," in response else YES

    server.script = judges(verdict)
    text, found = checked(server, *files())
    # the commas of two responses exactly; "robot" twice by the rule: the judge has one of the two, and "A " too much
    assert found["evidence"]["recall"] == {
        "value": (1 + 1 + 5 / 10) / 3,
        "n": 3,
        **_interval(found["evidence"]["recall"]),
    }
    assert found["evidence"]["precision"]["value"] == pytest.approx((1 + 1 + 5 / 7) / 3)
    assert line(text, "evidence, F1")[-1] == "3 verdicts"
    assert found["agreement"]["accuracy"]["value"] == 1


def _interval(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("low", "high")}


def test_what_a_rule_cannot_tell_is_no_gold_whatever_its_fallback_counts_it_as() -> None:
    broken = Criterion(
        id="c", text="x", rule=Rule(name="keywords:existence", arguments={"keywords": ["("]}), fallback="fail"
    )
    task = Task(id="t", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(broken, NO_COMMA)))
    verdict = verify_rule("keywords:existence", {"keywords": ["("]}, "text", criterion_id="c")
    found = gold_of_rules([Answer(1, task, 0, "text")], (), lambda total: lambda count: None)
    assert [criterion.id for criterion in found.items[0].criteria] == (["c"] if verdict.determined else []) + [
        "no_comma"
    ]
    assert found.left_out["criterion whose gold is undetermined"] == (not verdict.determined)


def test_criteria_and_responses_can_be_fewer(files: Files, server: Server) -> None:
    _, found = checked(server, *files(), "--criterion", "ifeval:keywords:*")
    assert {question["name"] for question in found["questions"]} == {"keywords:existence"}
    _, one = checked(server, *files(), "--limit", 1, "--seed", 3)
    _, again = checked(server, *files(), "--limit", 1, "--seed", 3)
    assert one["agreement"]["responses"] == 1
    assert one["questions"] == again["questions"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--criterion", "nothing:*"), "no criterion with a gold verdict matches ['nothing:*']"),
        (("--criterion", "polite"), "no criterion with a gold verdict matches"),
    ],
)
def test_nothing_to_ask_is_refused(files: Files, server: Server, options: Any, words: str) -> None:
    assert words in refused(server, *files(), *options)
    assert server.questions == []


def test_tasks_without_rules_need_gold(files: Files, server: Server) -> None:
    task = Task(id="mail", prompt=TASKS[0].prompt, rubric=Rubric(criteria=(POLITE,)))
    words = refused(server, *files(ANSWERS[:1], [task]))
    assert "no criterion of these responses is decided by a rule (1 criterion without a rule)" in words
    assert "--gold FILE" in words


# ---------------------------------------------------------------------------------------------------- gold of a file


def test_what_verify_writes_is_gold_after_a_person_has_gone_over_it(
    files: Files, server: Server, tmp_path: Path
) -> None:
    from rtt.cli import cli

    tasks, answers = files()
    out = tmp_path / "gold.jsonl"
    assert CliRunner().invoke(cli, ["verify", str(tasks), str(answers), "--out", str(out)]).exit_code == 0
    lines = [json.loads(one) for one in out.read_text().splitlines()]
    lines[0]["verdicts"][1]["outcome"] = "satisfied"  # polite, which was undetermined
    lines[1]["verdicts"][2]["outcome"] = -1  # the code, which nobody runs
    out.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    text, found = checked(server, tasks, answers, "--gold", out)
    assert found["gold"] == str(out)
    assert f"beside {out}: 7 criteria of 3 responses" in text
    assert "left out: 1 criterion whose gold is undetermined" in text
    names = {question["criterion_id"]: question["name"] for question in found["questions"]}
    assert names == {
        "no_comma": "punctuation:no_comma",
        "robot": "keywords:existence",
        "polite": POLITE.text,
        "run": "It runs.",
    }
    assert found["agreement"]["table"] == [[0, 4, 0, 0], [0, 3, 0, 0]]
    assert "gold is what the rules say" not in text


@pytest.mark.parametrize(
    "place",
    [
        {"task_id": "song", "response": "La, la, la."},
        {"task_id": "song", "response": "La, la, la.", "line": 99, "index": 7},  # the response itself says it
        {"task_id": "song", "index": 1},
        {"line": 3},
        {"task_id": "song", "line": 3},
    ],
)
def test_a_line_says_in_several_ways_which_response_it_means(
    files: Files, server: Server, gold: Any, place: Any
) -> None:
    file = gold({**place, "verdicts": [{"criterion_id": "robot", "outcome": -1}]})
    server.script = judges(lambda criterion, response: says("no"))
    text, found = checked(server, *files(), "--gold", file)
    [question] = found["questions"]
    assert (question["line"], question["criterion_id"]) == (3, "robot")
    assert found["agreement"]["table"] == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert "left out: 2 responses without gold" in text


SONG = {"task_id": "song", "index": 0}


@pytest.mark.parametrize(
    ("gold_line", "words"),
    [
        ("[]", "gold.jsonl:1: got a list; expected a JSON object"),
        ("{", "gold.jsonl:1: column 2: not JSON"),
        ({"verdicts": []}, "names no response, its keys are ['verdicts']; expected task_id with response or index"),
        ({"task_id": "poem", "index": 0}, "task_id: got 'poem', which is no task's id"),
        ({"task_id": 7}, "task_id: got 7 (a number); expected text"),
        ({"task_id": "song", "response": "Tra la."}, "response: 'Tra la.' is none of the 2 responses to task 'song'"),
        ({"task_id": "song", "index": 2}, "index: got 2; task 'song' has 2 responses"),
        ({"task_id": "song", "index": True}, "index: got True (true or false); expected a whole number"),
        ({"line": 9}, "line: got 9, where the file of responses has none"),
        ({"task_id": "mail", "line": 2}, "line: 2 answers task 'song'; expected task_id 'mail'"),
        (SONG, "verdicts: got None (null); expected a list of verdicts"),
        ({**SONG, "verdicts": [3]}, "verdicts[0]: got 3 (a number); expected a verdict as an object"),
        (
            {**SONG, "verdicts": [{"criterion_id": "polite", "outcome": 1}]},
            "verdicts[0].criterion_id: got 'polite'; task 'song' has ['robot', 'no_comma', 'run']",
        ),
        (
            {**SONG, "verdicts": [{"criterion_id": "robot", "outcome": "yes"}]},
            "verdicts[0].outcome: got 'yes' (text); expected 1 (satisfied), -1 (violated) or 0",
        ),
        ({**SONG, "verdicts": [{"criterion_id": "robot", "outcome": True}]}, "outcome: got True (true or false)"),
        ({**SONG, "verdicts": [{"criterion_id": "robot"}]}, "verdicts[0].outcome: got None (null)"),
        (
            {**SONG, "verdicts": [{"criterion_id": "robot", "outcome": 1, "evidence": [{"start": 3}]}]},
            "verdicts[0]: its evidence is none; expected evidence as `rtt verify` writes it",
        ),
        (
            {
                **SONG,
                "verdicts": [
                    {
                        "criterion_id": "robot",
                        "outcome": 1,
                        "evidence": [{"start": 2, "end": 99, "polarity": "support"}],
                    }
                ],
            },
            "verdicts[0].evidence: ends at 99, the response at 24",
        ),
    ],
)
def test_gold_that_fits_nothing_is_refused_with_its_place(
    files: Files, server: Server, gold: Any, gold_line: Any, words: str
) -> None:
    assert words in refused(server, *files(), "--gold", gold(gold_line))
    assert server.questions == []


def test_gold_for_a_task_without_responses_is_refused(files: Files, server: Server, gold: Any) -> None:
    file = gold({"task_id": "mail", "index": 0, "verdicts": []})
    assert "task_id: 'mail' has no response in the file" in refused(server, *files(ANSWERS[1:]), "--gold", file)


def test_lines_that_contradict_each_other_are_refused(files: Files, server: Server, gold: Any) -> None:
    def verdict(outcome: int) -> dict[str, Any]:
        return {**SONG, "verdicts": [{"criterion_id": "robot", "outcome": outcome}]}

    words = refused(server, *files(), "--gold", gold(verdict(1), verdict(1), verdict(-1)))
    assert "gold.jsonl:3: verdicts: criterion 'robot' is violated, and satisfied in line 1" in words


def test_gold_without_a_determined_verdict_or_a_line_is_refused(files: Files, server: Server, gold: Any) -> None:
    empty = {**SONG, "verdicts": [{"criterion_id": "robot", "outcome": 0}]}
    words = refused(server, *files(), "--gold", gold(empty))
    assert "no gold verdict is left (1 criterion whose gold is undetermined, 2 responses without gold)" in words
    assert "has no verdicts in it" in refused(server, *files(), "--gold", gold())
    assert "there is no such file" in refused(server, *files(), "--gold", "nowhere.jsonl")


def test_equal_responses_share_their_gold(tmp_path: Path, gold: Any) -> None:
    answers = [Answer(1, TASKS[1], 0, "La."), Answer(2, TASKS[1], 1, "La.")]
    file = gold(
        {"task_id": "song", "index": 1, "verdicts": [{"criterion_id": "robot", "outcome": -1}]},
        {"task_id": "song", "index": 0, "verdicts": [{"criterion_id": "no_comma", "outcome": 1}]},
    )
    found = gold_of_file(file, answers, {"song": TASKS[1]})
    [item] = found.items
    assert [verdict.outcome for verdict in item.gold] == [Outcome.VIOLATED, Outcome.SATISFIED]
    assert found.left_out["repeated response"] == 1


# ------------------------------------------------------------------------------------------ what is asked, how often


class Fake:
    """Answers what ``says(text, criterion, place in the call, sample)`` says: an outcome, or None for a failure."""

    def __init__(self, answer: Callable[[str, str, int, int], int | None]) -> None:
        self.answer = answer
        self.asked: list[tuple[int, list[tuple[str, ...]]]] = []

    def verify_batch(
        self, questions: Sequence[Question], *, progress: Callable[[int], None] | None = None, sample: int = 0
    ) -> list[list[Verdict]]:
        self.asked.append((sample, [tuple(criterion.id for criterion in one.criteria) for one in questions]))
        rows = []
        for one in questions:
            row = []
            for place, criterion in enumerate(one.criteria):
                outcome = self.answer(one.text, criterion.id, place, sample)
                failed = outcome is None
                row.append(
                    Verdict(criterion.id, Outcome(outcome or 0), "fake", "no reply" if failed else "", failed=failed)
                )
            rows.append(row)
            if progress is not None:
                progress(len(row))
        return rows


def item(name: str, gold: Sequence[int], **criterion: Any) -> Item:
    criteria = tuple(Criterion(id=f"c{k}", text=f"Criterion {k}.", **criterion) for k in range(len(gold)))
    task = Task(id=name, prompt=TASKS[0].prompt, rubric=Rubric(criteria=criteria))
    verdicts = tuple(Verdict(one.id, Outcome(outcome), "gold") for one, outcome in zip(criteria, gold, strict=True))
    return Item(Answer(1, task, 0, name), criteria, tuple(one.text for one in criteria), verdicts)


def test_repeats_are_other_samples_and_orders_yet_others() -> None:
    judge = Fake(lambda text, criterion, place, sample: 1)
    items = [item("a", [1, 1, -1]), item("b", [1])]
    progress: list[int] = []
    schedule = schedule_orders(items, 2, seed=0)
    found = ask(judge, items, repeats=3, schedule=schedule, progress=progress.append)
    assert [sample for sample, _ in judge.asked] == [0, 1, 2, 1000, 1001]
    assert [asked for _, asked in judge.asked[:3]] == [[("c0", "c1", "c2"), ("c0",)]] * 3
    orders = [asked for _, asked in judge.asked[3:]]
    assert all(len(asked) == 1 for asked in orders)  # b has but one criterion, and so no other order
    assert len({("c0", "c1", "c2"), *(asked[0] for asked in orders)}) == 3
    assert sum(progress) == 3 * 4 + 2 * 3
    assert (len(found.repeats), len(found.orders)) == (3, 2)


def test_another_seed_takes_other_orders_and_other_places_in_the_cache() -> None:
    judge = Fake(lambda text, criterion, place, sample: 1)
    items = [item(name, [1, 1, -1, 1, 1]) for name in "abc"]
    assert schedule_orders(items, 2, seed=0) == schedule_orders(items, 2, seed=0)
    assert schedule_orders(items, 2, seed=0) != schedule_orders(items, 2, seed=1)
    ask(judge, items, schedule=schedule_orders(items, 1, seed=1), seed=1)
    assert [sample for sample, _ in judge.asked] == [0, 2000]


def test_orders_do_not_depend_on_which_other_responses_there_are() -> None:
    items = [item(name, [1, 1, -1, 1, 1]) for name in "abc"]
    assert schedule_orders(items[1:], 1, seed=0)[0][0] == schedule_orders(items, 1, seed=0)[0][1]


def test_there_are_no_more_orders_than_there_are() -> None:
    two, three = item("two", [1, 1]), item("three", [1, 1, 1])
    schedule = schedule_orders([two, three], 9, seed=0)
    assert [sorted(order) for order in schedule] == [[0, 1]] + [[1]] * 4
    assert schedule[0][0] == (1, 0)
    assert len({(0, 1, 2), *(order[1] for order in schedule)}) == 6


def test_only_criteria_that_share_a_call_have_an_order() -> None:
    apart = item("a", [1, 1])
    other = apart.criteria[1].model_copy(update={"scope": "conversation"})
    apart = Item(apart.answer, (apart.criteria[0], other), apart.names, apart.gold)
    assert schedule_orders([apart], 3, seed=0) == []


def test_answers_in_another_order_come_back_to_their_criteria() -> None:
    judge = Fake(lambda text, criterion, place, sample: 1 if criterion == "c1" else -1)
    items = [item("a", [-1, 1, -1, -1])]
    found = ask(judge, items, schedule=schedule_orders(items, 3, seed=0))
    for order in found.orders:
        assert [verdict.criterion_id for verdict in order[0]] == ["c0", "c1", "c2", "c3"]
    result = measured(items, found, JudgeReport())
    assert result.order is not None
    assert (result.order.changed.value, result.order.changed.n) == (0, 12)


def test_a_judge_that_looks_at_the_place_is_found_out() -> None:
    judge = Fake(lambda text, criterion, place, sample: 1 if place == 0 else -1)
    items = [item(name, [1, -1]) for name in "abcdef"]
    found = ask(judge, items, schedule=schedule_orders(items, 1, seed=0))
    result = measured(items, found, JudgeReport())
    assert result.agreement.accuracy.value == 1
    assert result.order is not None
    assert (result.order.changed.value, result.order.changed.n) == (1, 12)


def test_repeats_that_differ_and_fail_are_told_apart() -> None:
    def answer(text: str, criterion: str, place: int, sample: int) -> int | None:
        if criterion == "c1" and sample:
            return None
        return -1 if criterion == "c2" and sample == 2 else 1

    items = [item("a", [1, 1, 1]), item("b", [1, 1, 1])]
    result = measured(items, ask(Fake(answer), items, repeats=3), JudgeReport())
    assert result.consistency is not None
    assert (result.consistency.same.value, result.consistency.same.n, result.consistency.left_out) == (0.5, 4, 2)
    assert result.consistency.pairwise.value == pytest.approx((1 + 1 / 3) / 2)
    assert result.agreement.failed.value == 0  # the first answers are the judge's
    assert result.order is None


def test_a_judge_that_never_answers_is_asked_once_and_given_up() -> None:
    judge = Fake(lambda text, criterion, place, sample: None)
    with pytest.raises(VerifierError, match="no usable answer to any of 3 questions: no reply"):
        ask(judge, [item("a", [1, 1]), item("b", [1])], repeats=5)
    assert len(judge.asked) == 1


def test_figures_are_by_name_across_responses() -> None:
    judge = Fake(lambda text, criterion, place, sample: {"c0": 1, "c1": 0, "c2": None}[criterion])
    items = [item("a", [1, 1, 1]), item("b", [-1, 1, 1])]
    result = measured(items, ask(judge, items), JudgeReport())
    assert result.agreement.table == ((0, 1, 0, 0), (0, 1, 2, 2))
    assert result.by_criterion["Criterion 0."].false_yes.value == 1
    assert result.by_criterion["Criterion 1."].cannot_tell.value == 1
    assert result.by_criterion["Criterion 2."].accuracy.value is None


def test_cost_is_for_a_thousand_criteria_that_were_asked() -> None:
    report = JudgeReport(
        calls=50, asked=200, cached=7, prompt_tokens=40_000, completion_tokens=6_000, prices=(1.0, 2.0)
    )
    judge = Fake(lambda text, criterion, place, sample: 1)
    items = [item("a", [1])]
    cost = measured(items, ask(judge, items), report, seconds=10).cost
    assert (cost.asked, cost.requests, cost.prompt_tokens, cost.completion_tokens) == (200, 250, 200_000, 30_000)
    assert cost.seconds == 50
    assert cost.usd == pytest.approx(0.26)
    nothing = measured(items, ask(judge, items), JudgeReport(cached=3)).cost
    assert nothing == Cost(0)


# ---------------------------------------------------------------------------------------------------- conclusions


def concluded(gold: Sequence[int], said: Sequence[int]) -> str:
    from rtt.verifiers.judge.agreement import agreement

    return module.conclusion(agreement(gold, said, [False] * len(gold), range(len(gold))))


def test_a_conclusion_claims_no_more_than_the_intervals() -> None:
    perfect = concluded([1, -1] * 500, [1, -1] * 500)
    assert perfect == "It agrees beyond chance: kappa 1.00. Of what is violated it calls between 0 and 1 % satisfied."
    assert "cannot be told from chance" in concluded([1, -1, 1, -1] * 50, [1, -1, -1, 1] * 50)
    assert "are few: give more before you rely on this" in concluded([1, -1] * 5, [1, -1] * 5)
    assert "Wide intervals (false yes): more responses narrow them." in concluded(
        [1] * 200 + [-1] * 12, [1] * 200 + [-1] * 6 + [1] * 6
    )
    same = concluded([1] * 40, [1] * 40)
    assert "agreement beyond chance cannot be told" in same
    assert "its false yes is not known" in same
    assert concluded([1], [0]) == "The judge determined none of 1 criterion: nothing can be said."


# ------------------------------------------------------------------------------------------------------ the command


def test_repeats_orders_and_cost_are_shown(files: Files, server: Server) -> None:
    options = ("--repeats", 2, "--orders", 2, "--price", "1,2")
    text, found = checked(server, *files(), *options)
    assert line(text, "the same in all 2 repeats")[1] == "100.0 %"
    assert line(text, "two repeats agree")[-1] == "5 criteria"
    assert line(text, "changed by another order")[1:] == ["0.0 %", "0.0 to 84.2", "4 answers"]
    assert "the temperature is 0" in text
    assert "two answers in the same order differ in 0.0 %" in text
    # 3 responses twice, and 2 of them in the one other order that two criteria have
    assert len(server.questions) == 3 * 2 + 2
    assert [len(question["orders"]) for question in found["questions"]] == [1] * 5
    assert found["questions"][0]["orders"] == [None]  # one criterion, no other order
    assert "cost of 1,000 criteria: 571 requests, 57,143 prompt and 11,429 completion tokens" in text
    assert found["cost_per_1000_criteria"]["usd"] == pytest.approx(8 * (100 + 2 * 20) / 1e6 / 14 * 1000)
    asked = [criteria_of(question) for question in server.questions if len(criteria_of(question)) == 2]
    assert sum(one == [NO_COMMA.text, ROBOT.text] for one in asked) == 2


def test_the_temperature_is_only_told_where_it_matters(files: Files, server: Server) -> None:
    text, _ = checked(server, *files(), "--repeats", 2, "--temperature", 0.7)
    assert "the temperature is 0" not in text
    assert server.questions[0]["temperature"] == 0.7
    assert "two repeats agree" not in checked(server, *files())[0]


def test_criteria_that_are_asked_one_by_one_have_no_order(files: Files, server: Server) -> None:
    text, found = checked(server, *files(), "--orders", 3, "--per-call", 1)
    assert "each criterion is asked alone, so there is no order to change; nothing more was asked" in text
    assert found["order"] is None
    assert len(server.questions) == 5


def test_orders_are_asked_although_the_cache_knows_the_criteria(files: Files, server: Server, tmp_path: Path) -> None:
    cache = ("--cache", tmp_path / "cache")
    checked(server, *files(), *cache)
    before = len(server.questions)
    checked(server, *files(), *cache, "--orders", 1)
    assert len(server.questions) == before + 2
    text, _ = checked(server, *files(), *cache, "--orders", 1)
    assert len(server.questions) == before + 2
    assert "cost of 1,000 criteria: -, all answers were in the cache" in text


def test_some_failures_are_counted_and_told(files: Files, server: Server) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        entries = [NO if text == NO_COMMA.text else says("maybe") for text in criteria_of(question)]
        return completion(judged(*entries))

    server.script = script
    text, found = checked(server, *files())
    assert found["agreement"]["table"] == [[2, 0, 0, 1], [1, 0, 0, 1]]
    assert line(text, "failed")[1] == "40.0 %"
    assert line(text, "keywords:existence")[-1] == "2"
    assert line(text, "keywords:existence")[2:4] == ["-", "-"]
    assert "2 malformed" in text
    assert [q["repeats"] for q in found["questions"] if q["criterion_id"] == "robot"] == [[None], [None]]


def test_a_judge_that_fails_for_everything_is_told_with_its_reason(files: Files, server: Server) -> None:
    server.script = lambda question, number: Reply(b'{"error": {"message": "no such model"}}', status=404)
    words = refused(server, *files(), "--repeats", 4)
    assert "rtt: the judge gave no usable answer to any of 5 questions: " in words
    assert "no such model" in words
    assert len(server.questions) <= 3


def test_ctrl_c_keeps_what_is_finished(files: Files, server: Server, tmp_path: Path) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
            return server.hang()
        return completion(judged(*(YES for _ in criteria_of(question))))

    server.script = script
    tasks, answers = files()
    common = ("--judge", "tiny", "--base-url", server.url, "--api-key-env", "", "--concurrency", 1)
    result = run(tasks, answers, *common, "--cache", tmp_path / "cache")
    assert result.exit_code == 1
    assert "stopped after 1 answer: what came is in the cache, and the same command asks only for the" in result.stderr
    server.script = judges(lambda criterion, response: YES)
    before = len(server.questions)
    checked(server, tasks, answers, "--cache", tmp_path / "cache", "--concurrency", 1)
    assert len(server.questions) == before + 2


def test_attempts_to_talk_it_into_a_yes_are_measured(files: Files, server: Server) -> None:
    gullible = judges(lambda criterion, response: YES if "ignore" in response.lower() else NO)
    server.script = gullible
    answers = [{"task_id": "song", "response": f"La, la {'la ' * n}"} for n in range(8)]
    text, found = checked(server, *files(answers), "--injections", 20, "--concurrency", 4)
    report = found["injections"]
    assert report["items"] == 8  # one criterion of each, violated
    assert report["overall"]["without"] == 0
    assert report["overall"]["failed"] < 0.05  # some attempts hold criteria of their own, which the script reads too
    assert 0 < report["overall"]["with_attempt"] < 0.5
    assert line(text, "role play")
    assert text.index("role play") < text.index("Better than chance") < text.index("8 responses are few")


def test_attempts_need_something_violated(files: Files, server: Server) -> None:
    words = refused(server, *files([ANSWERS[1]]), "--injections", 1)
    assert "--injections: gold calls no criterion violated" in words
    assert server.questions == []


def test_many_criteria_are_cut_on_the_terminal_and_whole_in_the_file(files: Files, server: Server, gold: Any) -> None:
    criteria = [Criterion(id=f"c{k}", text=f"It has {k} virtues.") for k in range(40)]
    task = Task(id="song", prompt=TASKS[0].prompt, rubric=Rubric(criteria=tuple(criteria)))
    file = gold({"line": 1, "verdicts": [{"criterion_id": one.id, "outcome": 1} for one in criteria]})
    server.script = judges(lambda criterion, response: NO if "39" in criterion else YES)
    text, found = checked(server, *files(ANSWERS[1:2], [task]), "--gold", file)
    assert "and 10 more, none with a lower accuracy: --out FILE has all" in text
    assert "It has 39 virtues." in text
    assert len(found["by_criterion"]) == 40


def test_the_out_file_is_not_one_that_is_read(files: Files, server: Server) -> None:
    tasks, answers = files()
    assert "is the file that is read" in refused(server, tasks, answers, "--out", answers)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_asked(files: Files, server: Server) -> None:
    assert "there is no folder nowhere; make it" in refused(server, *files(), "--out", "nowhere/check.json")
    assert server.questions == []


def test_half_a_surrogate_pair_is_written_as_an_escape(files: Files, server: Server, gold: Any) -> None:
    verdict = {"criterion_id": "robot", "outcome": 1, "reason": "half \ud83d of it"}
    _, found = checked(server, *files(), "--gold", gold({**SONG, "verdicts": [verdict]}))
    assert found["questions"][0]["gold"]["reason"] == "half \ud83d of it"


def test_an_empty_file_of_responses_is_refused(files: Files, server: Server) -> None:
    assert "has no response in it" in refused(server, *files([]))


def test_a_terminal_gets_a_bar_and_the_same_figures(files: Files, server: Server) -> None:
    tasks, answers = files()
    common = ("check", tasks, answers, "--judge", "tiny", "--base-url", server.url, "--api-key-env", "", "--no-cache")
    arguments = [str(argument) for argument in common]
    result = CliRunner().invoke(group.judge, arguments, env={"COLUMNS": "120", "FORCE_COLOR": "1"})
    assert result.exit_code == 0, result.output
    assert "\x1b[" in result.stderr
    assert "judge" in result.stderr
    assert "40.0 %" in result.stdout
