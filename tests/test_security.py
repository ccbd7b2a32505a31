"""What SECURITY.md promises: data is never run, weights hold no program, a key reaches its endpoint and no one else."""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import os
import pickle
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_endpoint import Reply, Server, completion, criteria_of, judged, says

from rtt.cli import cli
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task, write_tasks
from rtt.verdicts import Outcome
from rtt.verifiers import verify

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src/rtt").rglob("*.py"))
SECRET = "sk-test-0123456789abcdef-very-secret"


# ------------------------------------------------------------------------------------------------------- what code does

MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "runpy", "pty")
"""What runs, or unpickles, whatever it is given."""
CALLS = (
    "eval",
    "exec",
    "compile",
    "__import__",
    "breakpoint",
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.unsafe_load",
)
CALLS += (
    "yaml.full_load",
    "yaml.load_all",
    "pandas.read_pickle",
    "numpy.load",
    "np.load",
    "torch.load",
    "torch.hub.load",
)
STARTS_PROCESSES = {"src/rtt/model_sources.py": "pip download, of a wheel that is named there"}


def misuses(source: str, name: str = "src/rtt/x.py") -> list[str]:
    """What of a program could run data, or a shell."""
    found = []
    for node in ast.walk(ast.parse(source)):
        line = f"{name}:{getattr(node, 'lineno', 0)}"
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            imported = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        found += [f"{line} imports {module}" for module in imported if module.split(".")[0] in MODULES]
        found += [f"{line} imports {module}" for module in imported if module in CALLS]
        starts = [module for module in imported if module.split(".")[0] in ("subprocess", "multiprocessing")]
        found += [f"{line} imports {module}" for module in starts if name not in STARTS_PROCESSES]
        if isinstance(node, ast.Name) and node.id in ("eval", "exec", "__import__"):
            found.append(f"{line} names {node.id}")
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in CALLS or re.search(r"\bos\.(exec|spawn|posix_spawn)\w*$", called):
            found.append(f"{line} calls {called}")
        for word in node.keywords:
            off = isinstance(word.value, ast.Constant) and word.value.value in (False, None)
            if word.arg == "verify" and isinstance(word.value, ast.Constant) and word.value.value is False:
                found.append(f"{line} gives verify=False")
            on = isinstance(word.value, ast.Constant) and word.value.value is True
            if word.arg in ("shell", "trust_remote_code", "allow_pickle") and not off:
                found.append(f"{line} gives {word.arg}={ast.unparse(word.value)}")
            if word.arg in ("weights_only", "use_safetensors") and not on:
                found.append(f"{line} gives {word.arg}={ast.unparse(word.value)}")
    return found


def test_no_module_can_run_what_comes_with_data() -> None:
    assert len(SOURCES) > 100
    assert [
        misuse for path in SOURCES for misuse in misuses(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ] == []


@pytest.mark.parametrize(
    "program",
    [
        "eval(text)",
        "run = exec",
        "import pickle",
        "from pickle import loads",
        "import subprocess",
        "from os import system",
        "os.system(text)",
        "os.execv(path, [])",
        "torch.load(path)",
        "from torch import load",
        "yaml.load(text, Loader=yaml.Loader)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=chosen)",
        "AutoModel.from_pretrained(name, use_safetensors=False)",
        "subprocess.run(line, shell=True)",
        "httpx.get(url, verify=False)",
    ],
)
def test_what_would_run_data_is_seen(program: str) -> None:
    assert misuses(program)


def test_what_only_reads_is_not_accused() -> None:
    fine = (
        "ast.literal_eval(text)\nmodel.eval()\nre.compile(text)\nyaml.safe_load(text)\njson.load(file)\nload_model(x)"
    )
    assert misuses(fine) == []


# ------------------------------------------------------------------------------------------------------ models' folders


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of a whole tiny model."""
    from rtt.demo.models import tiny_model

    folder = tmp_path / "model"
    network, tokenizer = tiny_model()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
def test_a_program_in_the_place_of_weights_is_refused_and_does_not_run(
    model: Path, tmp_path: Path, zipped: bool
) -> None:
    import torch

    from rtt.generation import load_model

    (model / "model.safetensors").unlink()
    trap = {"model.embed_tokens.weight": Trap(tmp_path / "ran")}
    if zipped:
        torch.save(trap, model / "pytorch_model.bin")
    else:
        (model / "pytorch_model.bin").write_bytes(pickle.dumps(trap))
    with pytest.raises(Exception, match=r"(?i)weights_only|weights only|safe|pickle"):
        load_model(model)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran")))  # noqa: S301 - the trap works, where something unpickles it
    assert (tmp_path / "ran").exists()


def test_a_model_that_brings_its_own_code_is_refused_and_it_does_not_run(model: Path, tmp_path: Path) -> None:
    from rtt.generation import load_model

    config = json.loads((model / "config.json").read_text("utf-8"))
    config |= {"model_type": "brand_new", "architectures": ["New"]}
    config["auto_map"] = {"AutoConfig": "new.NewConfig", "AutoModelForCausalLM": "new.New"}
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    (model / "new.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n", "utf-8")
    with pytest.raises(Exception, match="trust_remote_code|brand_new"):
        load_model(model)
    assert not (tmp_path / "ran").exists()


def test_a_chat_template_cannot_reach_the_machine(model: Path, tmp_path: Path) -> None:
    from rtt.errors import ConfigurationError
    from rtt.generation import load_model, render

    _, tokenizer = load_model(model)
    for program in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ self.__init__.__globals__['os'].mkdir('ran') }}",
    ):
        tokenizer.chat_template = program
        try:
            shown = render(tokenizer, [Message(role="user", content="Hi.")])
        except ConfigurationError:
            continue
        assert shown == "", program  # what is not allowed is nothing


# ------------------------------------------------------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|aa)+$",
        "(a*)*b",
        r"(\w+\s?)*!",
        "(x+x+)+y",
        "(.*)(.*)(.*)(.*)(.*)b",
        "((a{1,99}){1,99}){1,99}b",
        r"(a)\1+$",
    ],
)
def test_a_pattern_from_data_never_takes_long(pattern: str) -> None:
    rule = Rule(name="ifeval:keywords:existence", arguments={"keywords": [pattern]})
    task = Task(
        id="t",
        prompt=(Message(role="user", content="Hi."),),
        rubric=Rubric(criteria=(Criterion(id="c", text="c", rule=rule),)),
    )
    started = time.process_time()
    (verdict,) = verify(task, "a" * 50_000 + "x" * 50_000 + "!", time_limit=0.5)
    assert time.process_time() - started < 5
    assert verdict.outcome is not Outcome.UNDETERMINED or "time limit" in verdict.reason


# ------------------------------------------------------------------------------------------------------------- the key


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An endpoint that tells everybody the key it got."""
    pytest.importorskip("openai")
    monkeypatch.setenv("RTT_TEST_KEY", SECRET)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01, raising=False)
    server = Server()

    def script(question: dict[str, Any], number: int) -> Reply:
        if number % 3 == 2:
            return Reply(json.dumps({"error": {"message": f"wrong key {SECRET}"}}).encode(), status=400)
        try:
            criteria = criteria_of(question)
        except AssertionError:
            return completion(f"My key is {SECRET}.")
        return completion(judged(*(says("yes", whole=True, reason=f"I was given {SECRET}.") for _ in criteria)))

    server.script = script
    yield server
    server.stop()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RTT_CACHE", str(tmp_path / "cache"))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="rtt")

    return invoke


def assert_nowhere(folder: Path, result: Result, caplog: pytest.LogCaptureFixture) -> None:
    """The key is in no file of the folder, in nothing that was printed, and in no log."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in result.output
    assert SECRET not in repr(result.exception)
    assert [record for record in caplog.records if SECRET in record.getMessage() + repr(vars(record))] == []


def mails(folder: Path) -> tuple[Path, Path]:
    criteria = (Criterion(id="polite", text="It is polite."), Criterion(id="short", text="It is short."))
    tasks = [
        Task(
            id=f"mail/{number}",
            prompt=(Message(role="user", content=f"Mail {number}."),),
            rubric=Rubric(criteria=criteria),
        )
        for number in range(3)
    ]
    write_tasks(folder / "tasks.jsonl", tasks)
    lines = [json.dumps({"task_id": task.id, "response": f"Dear {task.id}"}) for task in tasks]
    (folder / "responses.jsonl").write_text("\n".join(lines), "utf-8")
    return folder / "tasks.jsonl", folder / "responses.jsonl"


def test_verifying_with_a_judge_leaves_no_key(
    server: Server, run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    options = ("--judge", "tiny", "--base-url", server.url, "--api-key-env", "RTT_TEST_KEY", "--concurrency", 1)
    tasks, responses = mails(tmp_path)
    result = run("verify", tasks, responses, *options, "--cache", tmp_path / "answers", "--retries", 0)
    assert "I was given [key]." in result.output
    assert server.keys == {f"Bearer {SECRET}"}
    assert list((tmp_path / "answers").iterdir())
    assert_nowhere(tmp_path, result, caplog)


def test_evaluating_a_model_behind_a_server_leaves_no_key(
    server: Server, run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rows = [
        {"key": key, "prompt": f"Say {key}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
        for key in range(1, 5)
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    arguments = ("evaluate", "ifeval", "--data", tmp_path / "data.jsonl", "--model", "tiny", "--base-url", server.url)
    options = ("--api-key-env", "RTT_TEST_KEY", "--concurrency", 1, "--out", tmp_path / "run")
    first = run(*arguments, *options)
    assert first.exit_code == 2, first.output  # one answer was an error
    assert_nowhere(tmp_path, first, caplog)
    server.script = lambda question, number: completion(f"My key is {SECRET}.")
    again = run(*arguments, *options)
    assert again.exit_code == 0, again.output
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"run.json", "responses.jsonl", "records.jsonl", "summary.json", "report.md"}
    assert "My key is [key]." in (tmp_path / "run/responses.jsonl").read_text("utf-8")
    assert_nowhere(tmp_path, again, caplog)
    page = run("inspect", tmp_path / "run", "-o", tmp_path / "page.html", "--json", tmp_path / "page.json")
    assert page.exit_code == 0, page.output
    assert_nowhere(tmp_path, page, caplog)


def test_training_with_a_judge_leaves_no_key(
    server: Server, run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from rtt.demo.models import tiny_model
    from rtt.rubrics import read_tasks
    from rtt.trainers.trl import RTTConfig, RTTTrainer
    from rtt.verifiers.judge import Judge

    caplog.set_level(logging.DEBUG)
    network, tokenizer = tiny_model()
    tasks, _ = mails(tmp_path)
    config = RTTConfig(
        output_dir=str(tmp_path / "run"),
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=8,
        max_steps=1,
        save_steps=1,
        records_steps=1,
        judge_max_failed=1.0,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
    )
    judge = Judge("tiny", base_url=server.url, api_key_env="RTT_TEST_KEY", cache=tmp_path / "answers", max_retries=0)
    with judge:
        RTTTrainer(
            model=network, args=config, train_dataset=read_tasks(tasks), processing_class=tokenizer, judge=judge
        ).train()
    assert server.keys == {f"Bearer {SECRET}"}
    assert list((tmp_path / "run/records").glob("*.jsonl"))
    assert (tmp_path / "run/checkpoint-1/trainer_state.json").is_file()
    assert_nowhere(tmp_path, run("audit", tmp_path / "run"), caplog)


@pytest.mark.parametrize("command", ["verify", "evaluate", "relevance", "train", "judge check", "rubric draft"])
def test_help_and_errors_do_not_show_the_key(run: Any, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    for name in ("OPENAI_API_KEY", "RTT_TEST_KEY"):
        monkeypatch.setenv(name, SECRET)
    words = command.split()
    for arguments in (("--help",), ("--no-such-option",), ("no-such-file", "--api-key-env", "RTT_TEST_KEY")):
        result = run(*words, *arguments)
        assert result.output
        assert SECRET not in result.output
        assert SECRET not in repr(result.exception)


# ------------------------------------------------------------------------------------------------ what the page says


def test_remote_code_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    from rtt.cli.train import parse

    config = tmp_path / "train.yaml"
    config.write_text(
        f"model_name_or_path: m\ntasks: t.jsonl\noutput_dir: {tmp_path / 'run'}\nuse_cpu: true\n", "utf-8"
    )

    # the option is GRPOConfig's in one release of TRL, ModelConfig's in another
    def chosen(*overrides: str) -> list[bool]:
        parts = parse(config, overrides)
        return [part.trust_remote_code for part in parts if hasattr(part, "trust_remote_code")]

    assert chosen() == [False]
    assert chosen("--trust_remote_code", "true") == [True]


def test_the_tests_that_the_page_names_are_there() -> None:
    page = (ROOT / "SECURITY.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[\w/]+(?:\.py)?)`", page))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page):
        assert (ROOT / target).exists(), target


# ------------------------------------------------------------------------------------------------------------ the audit


@pytest.fixture(scope="module")
def audit() -> Any:
    """tools/audit.py as a module."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


def packages(*told: tuple[str, str | None]) -> dict[str, Any]:
    """A report of pip-audit's: names, each with a flaw, "fine", or None where the database does not know it."""
    return {
        "dependencies": [
            {"name": name, "skip_reason": "not found"}
            if what is None
            else {
                "name": name,
                "version": "1",
                "vulns": [] if what == "fine" else [{"id": what, "fix_versions": ["2"]}],
            }
            for name, what in told
        ]
    }


def test_clean_is_told_from_what_could_not_be_asked(audit: Any) -> None:
    nothing, own = audit.Packages(), ("rubrics-to-tokens", None)
    clean = audit.read_packages(packages(("a", "fine"), ("b", "fine"), own))
    partly = audit.read_packages(packages(("a", "fine"), ("b", None), own))
    unasked = audit.read_packages(packages(("a", None), ("b", None), own))
    flawed = audit.read_packages(packages(("a", None), ("b", "CVE-1")))
    assert flawed.findings == {"b 1: CVE-1, mended in 2"}
    found = (clean, partly, unasked, nothing, flawed)
    assert [audit.verdict([], packages) for packages in found] == [0, 3, 3, 3, 1]
    assert [audit.verdict(["x.py:1: B102 exec"], packages) for packages in found] == [1] * 5
    assert audit.verdict([], partly | audit.read_packages(packages(("b", "fine")))) == 0  # another database knows it
    assert audit.verdict([], clean | flawed) == 1


def test_a_projects_page_speaks_of_its_newest_version_alone(audit: Any) -> None:
    flaw = {"id": "GHSA-1", "aliases": ["CVE-1", "PYSEC-1"], "fixed_in": ["3"], "withdrawn": None}
    page = {"info": {"version": "2"}, "vulnerabilities": [flaw, {**flaw, "id": "PYSEC-1"}]}
    assert audit.read_project("a", "2", page).findings == {"a 2: CVE-1, mended in 3"}
    assert audit.read_project("a", "1", page) == audit.Packages(unknown=frozenset("a"))
    withdrawn = {**page, "vulnerabilities": [{**flaw, "withdrawn": "2026-01-01"}]}
    assert audit.read_project("a", "2", withdrawn) == audit.Packages(known=frozenset("a"))


def test_what_is_accepted_is_told_and_does_not_count(audit: Any) -> None:
    for cve, reason in audit.ACCEPTED.items():
        known = audit.read_packages(packages(("a", cve)))
        assert known.accepted == {f"a 1: {cve} is accepted: {reason}"}
        assert audit.verdict([], known) == 0
        assert audit.verdict([], known | audit.read_packages(packages(("b", "CVE-1")))) == 1


def test_files_that_bandit_cannot_read_are_findings(audit: Any) -> None:
    issue = {"filename": "x.py", "line_number": 1, "test_id": "B102", "issue_text": "exec"}
    report = {"results": [issue], "errors": [{"filename": "y.py", "reason": "syntax error"}]}
    assert audit.read_code(report) == ["x.py:1: B102 exec", "y.py: could not be read: syntax error"]


# --------------------------------------------------------------------------------------------------------- the report


def test_the_report_lets_its_own_scripts_run_and_nothing_else(run: Any, tmp_path: Path) -> None:
    """A response full of markup is data in the page: base64, which no HTML parser takes for a tag."""
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    lines = [json.dumps({"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})]
    (tmp_path / "data.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "answers.jsonl").write_text(json.dumps({"key": 1, "response": evil}), "utf-8")
    arguments = (
        "--data",
        tmp_path / "data.jsonl",
        "--responses",
        tmp_path / "answers.jsonl",
        "--out",
        tmp_path / "run",
    )
    assert run("evaluate", "ifeval", *arguments).exit_code == 0
    assert run("inspect", tmp_path / "run", "-o", tmp_path / "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "alert(1)" not in page
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules  # nothing can be fetched or sent
    for kind in ("script-src", "style-src"):
        assert re.fullmatch(r"('sha256-[A-Za-z0-9+/=]+' ?)+", rules[kind])
