"""The wheel in environments that hold nothing else: what the documentation promises is in it. `make test-wheel`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from inspector.examples import training

ROOT = Path(__file__).resolve().parents[1]
BARE, TRAIN = (ROOT / "build/wheel" / name / "bin" for name in ("bare", "train"))

pytestmark = pytest.mark.slow


def run(program: Path | str, *arguments: str, inside: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, with nothing of this checkout on its paths."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RTT_"))}
    return subprocess.run([program, *arguments], cwd=inside, env=environment, capture_output=True, text=True)


def rtt(*arguments: str, inside: Path, environment: Path = BARE) -> str:
    done = run(environment / "rtt", *arguments, inside=inside)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel() -> Path:
    [wheel] = (ROOT / "dist").glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_and_the_licences_and_nothing_else(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ours, beside = set(), set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            (ours if name.startswith("rtt/") else beside).add(name)
    assert ours == {name.removeprefix("src/") for name in tracked.split()}
    assert ours > {"rtt/py.typed", "rtt/inspector/page/uPlot.min.js", "rtt/data/demo_train.jsonl"}
    [information] = {name.partition("/")[0] for name in beside}
    licences = ("LICENSE", "src/rtt/inspector/page/uPlot.LICENSE")
    assert beside > {f"{information}/licenses/{name}" for name in licences}


def test_the_source_distribution_holds_what_is_tracked_but_for_ci(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [source] = (ROOT / "dist").glob("*.tar.gz")
    with tarfile.open(source) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert held - {"PKG-INFO"} == {name for name in tracked.splitlines() if not name.startswith(".ci/")}


def test_without_extras_responses_are_verified(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert "rtt verify tasks.jsonl responses.jsonl" in rtt("--help", inside=tmp_path)
    lines = rtt("verify", "examples/tasks.jsonl", "examples/responses.jsonl", inside=tmp_path).splitlines()
    outcomes = [[verdict["outcome"] for verdict in json.loads(line)["verdicts"]] for line in lines]
    assert outcomes == [[1, 1, 1], [-1, -1, -1], [-1, -1], [-1, 0]]


def test_without_extras_a_run_is_inspected(tmp_path: Path) -> None:
    training(tmp_path / "runs/mine/records")
    rtt("inspect", "runs/mine", "-o", "mine.html", inside=tmp_path)
    rtt("report", "runs/mine", "-o", "curves.html", inside=tmp_path)
    for name in ("mine.html", "curves.html"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert "uPlot" in page
        assert page.rstrip().endswith("</html>")


def test_without_extras_the_fast_demo_shows_which_words_decide(tmp_path: Path) -> None:
    shown = rtt("demo", "--fast", inside=tmp_path)
    assert shown.startswith("Nothing is trained: torch is not installed.")
    assert "✗ violated  c2: Avoid the word \"is\".  found: 'is'" in shown
    assert "96 responses to 96 tasks: rubric accuracy" in shown


@pytest.mark.parametrize("command", [["demo"], ["train", "a.yaml"], ["discriminator", "build", "--fast"]])
def test_without_extras_training_says_what_to_install(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "a.yaml").write_text("output_dir: run\n", "utf-8")
    done = run(BARE / "rtt", *command, inside=tmp_path)
    assert done.returncode == 2
    assert "pip install 'rubrics-to-tokens[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_types_are_known_to_a_users_checker(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(
        "from rtt import read_tasks, verify\n\nreveal_type(verify(read_tasks('tasks.jsonl')[0], 'Hello.'))\n", "utf-8"
    )
    (tmp_path / "wrong.py").write_text("from rtt import verify\n\nverify('tasks.jsonl', 'Hello.')\n", "utf-8")
    mypy = ("-m", "mypy", "--strict", "--python-executable", str(BARE / "python"))
    right, wrong = (run(sys.executable, *mypy, f"{name}.py", inside=tmp_path) for name in ("right", "wrong"))
    assert right.returncode == 0, right.stdout
    assert "list[rtt.verdicts.Verdict]" in right.stdout
    assert 'Argument 1 to "verify" has incompatible type "str"; expected "Task"' in wrong.stdout


def test_with_the_extra_train_the_fast_demo_runs_and_is_inspected(tmp_path: Path) -> None:
    rtt("demo", "--fast", inside=tmp_path, environment=TRAIN)
    rtt("inspect", "runs/demo-fast", "-o", "report.html", inside=tmp_path, environment=TRAIN)
    assert (tmp_path / "report.html").stat().st_size > 10_000
