"""``rtt rubric``: drafts by a model, accepted by a person; what is done is on disk, and nothing is used unseen."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_endpoint import Reply, Server, completion, prompt_of

from rtt.cli import rubric as group
from rtt.cli.rubric import accept as accepting
from rtt.cli.rubric import rubric
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, read_tasks, write_tasks
from rtt.verifiers.judge.drafting import Prompt, drafted, is_draft, note_of, read_drafts, read_reply

COMMA = {"text": "No commas at all", "rule": "punctuation:no_comma", "arguments": {}, "weight": 1, "why": "it says so"}
POLITE = {"text": "The response greets the landlord.", "rule": None, "arguments": None, "weight": 2, "why": "a mail"}
BOTH = {"text": "The response is good and short.", "rule": "length:short", "arguments": None, "weight": 1, "why": ""}


def reply(*criteria: dict[str, Any]) -> str:
    return json.dumps({"criteria": criteria})


def run(*arguments: object, answers: str = "") -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner(env={"COLUMNS": "200"}).invoke(rubric, texts, prog_name="rtt rubric", input=answers)


# ------------------------------------------------------------------------------------------------------- the group


@pytest.mark.parametrize("arguments", [["--help"], ["draft", "--help"], ["accept", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom rtt.cli.rubric import rubric\n"
        f"rubric.main({arguments!r}, 'rtt rubric', standalone_mode=False)\nprint('modules:', *sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, _, loaded = shown.partition("modules: ")
    assert "rtt rubric accept drafts.jsonl --out tasks.jsonl" in text
    assert not {"torch", "numpy", "pydantic", "rich", "openai", "regex"} & set(loaded.split())


def test_the_group_lists_its_commands() -> None:
    shown = run("--help").output
    for name, command in group.COMMANDS.items():
        assert name in shown
        assert command.summary in shown


def test_options_about_verdicts_alone_are_not_shown() -> None:
    shown = run("draft", "--help").output
    assert "--judge MODEL" in shown
    assert "proposes the criteria" in shown
    assert not any(option in shown for option in ("--per-call", "--cache", "--no-cache"))


# ---------------------------------------------------------------------------------------------------------- drafting


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.script = lambda question, number: completion(reply(COMMA, POLITE, BOTH))
    yield server
    server.stop()


@pytest.fixture
def draft(server: Server, tmp_path: Path) -> Callable[..., Result]:
    def call(prompts: list[Any] | Path, *options: object) -> Result:
        path = prompts if isinstance(prompts, Path) else tmp_path / "prompts.jsonl"
        if not isinstance(prompts, Path):
            path.write_text("".join(f"{json.dumps(prompt)}\n" for prompt in prompts))
        given = ["--judge", "m", "--base-url", server.url, "--api-key-env", "", "--retries", "0", *options]
        return run("draft", path, "--out", tmp_path / "drafts.jsonl", *given)

    return call


def prompts(count: int) -> list[dict[str, Any]]:
    return [{"id": f"p{n}", "prompt": f"Mail {n}."} for n in range(count)]


def test_prompts_become_drafts_and_what_they_hold_is_told(draft: Any, tmp_path: Path) -> None:
    result = draft([{"id": "a", "prompt": "A mail.", "level": 3}, {"id": "b", "prompt": "Another."}], "--price", "1,2")
    assert result.exit_code == 0, result.output
    first, second = read_drafts(tmp_path / "drafts.jsonl")
    assert (first.id, second.id) == ("a", "b")
    assert first.metadata["level"] == 3
    assert [criterion.kind for criterion in first.rubric.criteria] == ["rule", "judge", "judge"]
    assert "2 drafts: 6 criteria, 2 decided by rules; 2 to look at closely" in result.stdout
    assert "rules that the model named and that do not fit, left to a judge: 2" in result.stdout
    assert "a, c3: rule 'length:short' is not known" in result.stdout
    assert "m: 2 requests, 240 tokens, about $0.0003" in result.stdout
    assert f"rtt rubric accept {tmp_path / 'drafts.jsonl'} --out TASKS.jsonl" in result.stderr


def test_what_failed_is_told_and_only_that_is_asked_again(draft: Any, server: Server, tmp_path: Path) -> None:
    def script(question: dict[str, Any], number: int) -> Reply:
        if "Mail 1." in prompt_of(question):
            return Reply(b'{"error": {"message": "out of memory"}}', status=500)
        return completion(reply(POLITE))

    healthy, server.script = server.script, script
    result = draft(prompts(3))
    assert result.exit_code == 2
    assert "rtt: no draft for 1 of 3 prompts; the same command asks for these again:" in result.stderr
    assert "  p1: the endpoint answered 500: out of memory" in result.stderr
    assert [task.id for task in read_drafts(tmp_path / "drafts.jsonl")] == ["p0", "p2"]

    server.script, asked = healthy, len(server.questions)
    result = draft(prompts(3))
    assert result.exit_code == 0
    assert "going on: 2 prompts with a draft" in result.stderr
    assert len(server.questions) == asked + 1
    assert [task.id for task in read_drafts(tmp_path / "drafts.jsonl")] == ["p0", "p1", "p2"]
    assert draft(prompts(3)).exit_code == 0
    assert len(server.questions) == asked + 1


def test_a_prompt_that_changed_is_drafted_anew_and_drafts_of_others_stay(
    draft: Any, server: Server, tmp_path: Path
) -> None:
    draft(prompts(2))
    server.script = lambda question, number: completion(reply(POLITE))
    result = draft([{"id": "p0", "prompt": "A song."}, *prompts(3)[2:]])
    assert "1 draft of other prompts" in result.stderr
    tasks = read_drafts(tmp_path / "drafts.jsonl")
    assert [(task.id, len(task.rubric.criteria)) for task in tasks] == [("p0", 1), ("p2", 1), ("p1", 3)]
    assert tasks[0].prompt[0].content == "A song."


def test_fresh_asks_for_all_and_what_fails_leaves_the_draft_that_was_there(
    draft: Any, server: Server, tmp_path: Path
) -> None:
    draft(prompts(2))
    server.script = lambda question, number: (
        completion(reply(POLITE)) if "Mail 0." in prompt_of(question) else completion("no")
    )
    result = draft(prompts(2), "--fresh")
    assert result.exit_code == 2
    assert "drafts that were there before stay" in result.stderr
    assert [len(task.rubric.criteria) for task in read_drafts(tmp_path / "drafts.jsonl")] == [1, 3]


def test_nothing_is_written_where_nothing_was_drafted(draft: Any, server: Server, tmp_path: Path) -> None:
    server.script = lambda question, number: completion("I cannot.", finish="length")
    result = draft(prompts(30))
    assert result.exit_code == 2
    assert not (tmp_path / "drafts.jsonl").exists()
    assert "and 10 more" in result.stderr
    assert "read and accept" not in result.stderr


def test_criteria_that_are_there_stay_with_keep(draft: Any, server: Server, tmp_path: Path) -> None:
    rubric = Rubric(criteria=(Criterion(id="c1", text="The response is a mail."),))
    write_tasks(tmp_path / "t.jsonl", [Task(id="t", prompt=(Message(role="user", content="A mail."),), rubric=rubric)])
    assert draft(tmp_path / "t.jsonl", "--keep", "--max-criteria", 1).exit_code == 0
    (task,) = read_drafts(tmp_path / "drafts.jsonl")
    assert [criterion.id for criterion in task.rubric.criteria] == ["c1", "c2"]
    assert "- The response is a mail." in prompt_of(server.questions[0])
    assert task.metadata["draft"]["beyond"] == 2


def test_a_prompt_file_of_ones_own_is_used(draft: Any, server: Server, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("MINE $conversation $rules $most $fence")
    assert draft(prompts(1), "--prompt", tmp_path / "own.txt", "--request", "max_tokens=99").exit_code == 0
    assert prompt_of(server.questions[0]).startswith("MINE")
    assert server.questions[0]["max_tokens"] == 99


def test_files_that_hold_something_else_are_refused(draft: Any, tmp_path: Path) -> None:
    rubric = Rubric(criteria=(Criterion(id="c1", text="Polite."),))
    task = Task(id="t", prompt=(Message(role="user", content="A mail."),), rubric=rubric)
    write_tasks(tmp_path / "drafts.jsonl", [task])
    before = (tmp_path / "drafts.jsonl").read_bytes()
    result = draft(prompts(1))
    assert result.exit_code == 2
    assert "task 't' is no draft" in result.stderr
    assert (tmp_path / "drafts.jsonl").read_bytes() == before
    assert "is the file that is read" in draft(tmp_path / "drafts.jsonl").stderr


def test_a_model_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("A mail.\n")
    result = run("draft", tmp_path / "p.txt", "--out", tmp_path / "d.jsonl")
    assert result.exit_code == 2
    assert "Missing option '--judge'" in result.stderr


def test_an_interrupt_keeps_what_is_finished(server: Server, tmp_path: Path) -> None:
    slow = threading.Event()

    def script(question: dict[str, Any], number: int) -> Reply:
        if "Mail 3." in prompt_of(question):
            slow.set()
            return server.hang()
        return completion(reply(POLITE))

    server.script = script
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps(prompt)}\n" for prompt in prompts(6)))
    code = "from rtt.cli.rubric import rubric; rubric.main(prog_name='rtt rubric')"
    arguments = ["draft", "p.jsonl", "--out", "d.jsonl", "--judge", "m", "--base-url", server.url]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--api-key-env", "", "--concurrency", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert slow.wait(60)
        time.sleep(0.2)  # until the reply before it is read
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1, told
    assert "stopped: 3 drafts finished and kept; the same command goes on from there" in told
    assert [task.id for task in read_drafts(tmp_path / "d.jsonl")] == ["p0", "p1", "p2"]


def test_a_run_that_is_killed_has_written_nearly_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtt.cli.rubric import draft as module

    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setattr(module, "_SHARE", 0.0)
    file = module.DraftFile(tmp_path / "d.jsonl")
    for number in range(3):
        file.add(draft_of(f"p{number}"))
        assert len(read_drafts(tmp_path / "d.jsonl")) == number + 1
    file.save(["p2"])
    assert [task.id for task in read_drafts(tmp_path / "d.jsonl")] == ["p2", "p0", "p1"]


# --------------------------------------------------------------------------------------------------------- accepting


def draft_of(name: str, *criteria: dict[str, Any], content: str = "A mail.") -> Task:
    prompt = Prompt(name, (Message(role="user", content=content),), metadata={"level": 1})
    return drafted(prompt, read_reply(reply(*(criteria or (COMMA, POLITE, BOTH)))), model="the-model", template="t")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    write_tasks(tmp_path / "drafts.jsonl", [draft_of("a"), draft_of("b"), draft_of("c")])
    return tmp_path / "drafts.jsonl", tmp_path / "tasks.jsonl"


def accept(files: tuple[Path, Path], answers: str, *options: object) -> Result:
    return run("accept", files[0], "--out", files[1], *options, answers=answers)


def test_what_is_accepted_becomes_a_task_and_what_is_not_stays_out(files: tuple[Path, Path]) -> None:
    result = accept(files, "y\nn\nYES\n")
    assert result.exit_code == 0, result.output
    assert "2 accepted, 1 left out" in result.stdout
    tasks = read_tasks(files[1])
    assert [task.id for task in tasks] == ["a", "c"]
    assert not any(is_draft(task) for task in tasks)
    assert tasks[0].metadata == {"level": 1, "drafted_by": "the-model"}
    again = accept(files, "")
    assert again.exit_code == 0
    assert "going on: 3 drafts decided before" in again.stdout
    assert "b  1 of 1" in accept(files, "y\n", "--again").stdout
    assert [task.id for task in read_tasks(files[1])] == ["a", "c", "b"]


def test_a_person_sees_the_prompt_the_criteria_and_what_to_look_at(files: tuple[Path, Path]) -> None:
    shown = accept(files, "q\n").stdout
    assert "a  1 of 3, drafted by the-model" in shown
    assert "user\n  A mail." in shown
    lines = [line.strip() for line in shown.splitlines()]
    place = next(place for place, line in enumerate(lines) if line.endswith("punctuation:no_comma"))
    assert lines[place].split()[:6] == ["1", "The", "response", "contains", "no", "commas."]
    assert lines[place + 1 : place + 3] == ["the model wrote: No commas at all", "why: it says so"]
    assert "weight 2" in lines[place + 4]
    for hint in ("perhaps more than one criterion: 'and'", "perhaps not checkable: 'good'", "'length:short' is"):
        assert hint in shown


def test_q_stops_and_the_same_command_goes_on(files: tuple[Path, Path]) -> None:
    result = accept(files, "y\nq\n")
    assert result.exit_code == 0
    assert "1 accepted, 0 left out, 2 not decided: the same command goes on with them" in result.stdout
    result = accept(files, "y\ny\n")
    assert "b  1 of 2" in result.stdout
    assert [task.id for task in read_tasks(files[1])] == ["a", "b", "c"]


def test_input_that_ends_accepts_nothing_and_loses_nothing(files: tuple[Path, Path]) -> None:
    result = accept(files, "y\n")
    assert result.exit_code == 1
    assert "1 accepted, 0 left out, 2 not decided" in result.stdout
    assert [task.id for task in read_tasks(files[1])] == ["a"]


def test_anything_else_is_no_decision(files: tuple[Path, Path]) -> None:
    result = accept(files, " \nmaybe\nyy\nd\nd x\nq\n")
    assert "0 accepted, 0 left out, 3 not decided" in result.stdout
    assert "drop criterion N" in result.stdout
    assert not files[1].exists()


def test_a_criterion_is_dropped_and_the_last_one_is_not(files: tuple[Path, Path]) -> None:
    result = accept(files, "d 3\ndrop 1\nd 2\nd1\nq\n")
    assert "there is no criterion 2; expected 1 to 1" in result.stdout
    assert "a rubric needs a criterion" in result.stdout
    assert [criterion.text for criterion in read_drafts(files[0])[0].rubric.criteria] == [POLITE["text"]]
    accept(files, "y\nq\n")
    assert [criterion.id for criterion in read_tasks(files[1])[0].rubric.criteria] == ["c2"]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An editor that does these things to the file, one at each call, and keeps what it was given."""

    def install(*changes: str) -> Path:
        script, log = tmp_path / "editor.py", tmp_path / "edited"
        log.mkdir()
        script.write_text(
            f"#!{sys.executable}\nimport json, pathlib, sys\n"
            f"log = pathlib.Path({str(log)!r})\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n"
            "call = len(list(log.iterdir()))\n(log / str(call)).write_text(text)\n"
            f"change = {list(changes)!r}[call]\n"
            "names = {'text': text, 'json': json}\nexec(change, names)\n"
            "if names['text'] != text: file.write_text(names['text'])\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("VISUAL", "")
        monkeypatch.setenv("EDITOR", str(script))
        return log

    return install


def test_a_task_is_edited_until_it_is_one(files: tuple[Path, Path], editor: Any) -> None:
    log = editor(
        "text = text.replace('landlord', 'tenant').replace('\"weight\": 2.0', '\"weight\": \"2\"')",
        'text = text.replace(\'"weight": "2"\', \'"weight": 3\')',
    )
    result = accept(files, "e\ny\ny\nq\n")
    assert "criteria[1].weight: got '2' (text); expected a number" in result.stdout
    (task,) = read_tasks(files[1])
    assert task.rubric.criteria[1].text == "The response greets the tenant."
    assert task.rubric.criteria[1].weight == 3
    assert task.metadata == {"level": 1, "drafted_by": "the-model"}
    assert '"draft"' not in (log / "0").read_text()  # the mark is not the person's to edit
    assert '"weight": "2"' in (log / "1").read_text()  # edited again, not from the beginning


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('text = text.replace(\'"id": "a"\', \'"id": "z"\')', "id: got 'z'; expected 'a', as it was"),
        ("text = 'no json'", "not JSON"),
    ],
)
def test_an_edit_that_is_given_up_changes_nothing(
    files: tuple[Path, Path], editor: Any, change: str, complaint: str
) -> None:
    editor(change)
    before = files[0].read_bytes()
    result = accept(files, "e\nn\nq\n")
    assert complaint in result.stdout
    assert files[0].read_bytes() == before


def test_an_edit_without_a_change_or_an_editor_changes_nothing(
    files: tuple[Path, Path], editor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor("pass", "text = '  '")
    before = files[0].read_bytes()
    assert accept(files, "e\ne\nq\n").exit_code == 0
    monkeypatch.setenv("EDITOR", str(files[0].with_name("none")))
    result = accept(files, "e\nq\n")
    assert result.exit_code == 0
    assert "none" in result.stdout
    assert files[0].read_bytes() == before


def test_the_edit_before_q_is_kept_in_the_draft(files: tuple[Path, Path], editor: Any) -> None:
    editor("text = text.replace('landlord', 'tenant')")
    accept(files, "e\nq\n")
    draft = read_drafts(files[0])[0]
    assert draft.rubric.criteria[1].text == "The response greets the tenant."
    assert note_of(draft, "c2") == {"why": "a mail"}


def test_rules_whose_arguments_were_edited_say_what_they_check(files: tuple[Path, Path]) -> None:
    rule = Rule(name="length_constraints:number_words", arguments={"num_words": 50, "relation": "at least"})
    draft = draft_of("a", {"text": "x", "rule": rule.name, "arguments": rule.arguments})
    changed = Criterion(id="c1", text="The response has fewer than 50 words.", rule=rule)
    write_tasks(files[0], [draft.model_copy(update={"rubric": Rubric(criteria=(changed,))})])
    assert "! its rule checks something that is put differently: The response has at least 50 words." in (
        accept(files, "q\n").stdout
    )


def test_nothing_in_a_draft_commands_the_terminal_or_hides_in_the_editor(files: tuple[Path, Path], editor: Any) -> None:
    evil = "\x1b[2J\x9b31m\u202etxet"
    draft = draft_of("a", {"text": f"The response{evil}", "why": evil, "rule": evil}, content=f"A mail.{evil}")
    write_tasks(files[0], [draft])
    log = editor("pass")
    result = accept(files, "e\nq\n")
    assert result.exit_code == 0, result.output
    given = (log / "0").read_text()
    for text in (result.stdout, given):
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)
    assert json.loads(given)["messages"][0]["content"] == f"A mail.{evil}"


def test_tasks_that_are_there_stay_and_others_with_the_same_id_are_told(files: tuple[Path, Path]) -> None:
    rubric = Rubric(criteria=(Criterion(id="c1", text="Polite."),))
    own = Task(id="own", prompt=(Message(role="user", content="Mine."),), rubric=rubric)
    write_tasks(files[1], [own])
    assert accept(files, "y\nq\n").exit_code == 0
    assert [task.id for task in read_tasks(files[1])] == ["own", "a"]
    write_tasks(files[1], [own.model_copy(update={"id": "b"})])
    result = accept(files, "y\n")
    assert result.exit_code == 2
    assert "has a task 'b' with another prompt than the draft" in result.stderr


def test_an_accepted_task_may_be_mended_by_hand(files: tuple[Path, Path]) -> None:
    accept(files, "y\nq\n")
    (task,) = read_tasks(files[1])
    mended = task.model_copy(update={"prompt": (Message(role="user", content="A short mail."),)})
    write_tasks(files[1], [mended])
    result = accept(files, "y\nq\n")
    assert "b  1 of 2" in result.stdout
    assert read_tasks(files[1])[0] == mended


def test_files_of_the_wrong_kind_are_refused(files: tuple[Path, Path]) -> None:
    result = run("accept", files[0], "--out", files[0])
    assert "is the file that is read" in result.stderr
    write_tasks(files[1], [draft_of("z")])
    result = accept(files, "y\n")
    assert result.exit_code == 2
    assert "the rubrics of 'z' are drafts of a model that nobody has accepted" in result.stderr
    write_tasks(files[1], [Task(id="t", prompt=(Message(role="user", content="x"),), rubric=draft_of("q").rubric)])
    result = run("accept", files[1], "--out", files[0].with_name("o.jsonl"))
    assert "task 't' is no draft" in result.stderr


def test_there_is_no_way_to_accept_unseen() -> None:
    options = {option for parameter in accepting.accept.params for option in parameter.opts}
    assert options == {"drafts", "--out", "--again"}


def test_drafts_are_written_before_the_next_question(files: tuple[Path, Path]) -> None:
    review = accepting.Review(*files)
    review.accept(0)
    review.leave_out(1)
    assert [task.id for task in read_tasks(files[1])] == ["a"]
    assert read_drafts(files[0])[1].metadata["draft"]["left_out"] is True
    assert os.listdir(files[0].parent).count("tasks.jsonl") == 1
