"""``rtt import``: what it prints, what it refuses, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_data import ROOT
from click.testing import CliRunner, Result
from importers import samples
from importers.samples import SAMPLES

from rtt.cli import cli
from rtt.importers import FORMATS
from rtt.rubrics import read_tasks


def run(*arguments: object) -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["import", *texts], prog_name="rtt")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (samples.IF_RLVR, samples.IF_TRAIN)))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def test_help_names_every_format_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom rtt.cli import cli\n"
        "cli.main(['import', '--help'], 'rtt', standalone_mode=False)\nprint('modules:', *sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, _, loaded = shown.partition("modules: ")
    for name, form in FORMATS.items():
        assert name in text
        assert form.summary in text
    assert "rtt import if-rlvr train.jsonl --out tasks.jsonl" in text
    assert not {"torch", "numpy", "pydantic", "rich", "pyarrow"} & set(loaded.split())


def test_the_summary_says_what_became_of_the_rows(rows: Path, out: Path) -> None:
    result = run("if-rlvr", rows, "--out", out, "--unknown-rule", "judge")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"2 rows read, 2 tasks written: {out}",
        "criteria: rule 3, judge 1",
        "rules: ifeval 3",
        "for a judge, because their rule does not exist here: copy:copy 1",
    ]
    assert result.stderr == ""
    assert [task.id for task in read_tasks(out)] == ["if-rlvr/tea_1", "if-rlvr/tea_2"]


def test_without_a_choice_unknown_rules_are_refused_and_nothing_is_written(rows: Path, out: Path) -> None:
    result = run("if-rlvr", rows, "--out", out)
    assert result.exit_code == 2
    assert (
        "rtt: criteria whose rule does not exist here: copy:copy 1; 1 in all, rows: 1. Choose: --unknown-rule judge"
        in result.stderr
    )
    assert sorted(os.listdir(rows.parent)) == ["rows.jsonl"]


def test_training_on_ifbenchs_instruction_types_is_warned_of(rows: Path, out: Path) -> None:
    rows.write_text(json.dumps(samples.HIR_2) + "\n" + json.dumps(samples.HIR_1) + "\n")
    shown = run("hir", rows, "--out", out).stdout
    assert "rules: ifbench 1, ifeval 1" in shown
    assert "warning: 1 task train on IFBench's test instruction types; IFBench is not out of distribution" in shown
    assert "licence of sastpg/HIR-16K: not confirmed; read the set's own card" in shown
    rows.write_text(json.dumps(samples.HIR_1) + "\n")
    assert "IFBench" not in run("hir", rows, "--out", out, "--overwrite").stdout


def test_pitfalls_are_warned_of_and_code_is_told_to_be_undetermined(rows: Path, out: Path) -> None:
    rows.write_text(json.dumps(samples.RAR))
    refused = run("rar", rows, "--out", out)
    assert refused.exit_code == 2
    assert "rar needs a choice of --negative keep, positive or skip: RaR's pitfalls have negative" in refused.stderr
    assert not out.exists()
    shown = run("rar", rows, "--out", out, "--negative", "keep").stdout
    assert "negative weights: 1 criterion" in shown
    assert "warning: RaR's pitfalls have negative weights" in shown
    assert "warning" not in run("rar", rows, "--out", out, "--overwrite", "--negative", "positive").stdout
    rows.write_text(json.dumps(samples.VERINSTRUCT))
    shown = run("verinstruct", rows, "--out", out, "--overwrite", "--code", "keep").stdout
    assert "code that comes with data is never run: verdicts of these criteria stay undetermined" in shown
    assert "criteria: code 1, judge 1" in shown


def test_a_file_that_is_there_is_replaced_only_on_request(rows: Path, out: Path) -> None:
    out.write_text("before")
    result = run("if-rlvr", rows, "--out", out, "--unknown-rule", "skip")
    assert result.exit_code == 2
    assert "is there already; give --overwrite to replace it" in result.stderr
    assert out.read_text() == "before"
    shown = run("if-rlvr", rows, "--out", out, "--unknown-rule", "skip", "--overwrite").stdout
    assert "criteria left out: unknown rule copy:copy 1" in shown
    assert len(read_tasks(out)) == 2


def test_the_rows_themselves_are_never_replaced(rows: Path) -> None:
    result = run("if-rlvr", rows, "--out", rows, "--overwrite")
    assert result.exit_code == 2
    assert "is the file that is read; expected another one" in result.stderr


def test_an_unknown_format_is_told_with_the_one_that_is_close(rows: Path, out: Path) -> None:
    result = run("ifrlvr", rows, "--out", out)
    assert result.exit_code == 2
    assert "format 'ifrlvr' is not known; did you mean 'if-rlvr'?" in result.stderr


def test_bad_rows_limits_and_the_data_sets_id(rows: Path, out: Path) -> None:
    rows.write_text("{}\n" + "".join(json.dumps({**samples.RUBRICHUB, "id": str(n)}) + "\n" for n in range(5)))
    assert "rows.jsonl:1: prompt: is missing" in run("rubrichub", rows, "--out", out).stderr
    result = run("rubrichub", rows, "--out", out, "--skip-bad", "--limit", 3, "--dataset", "me/mine")
    assert "4 rows read, 3 tasks written" in result.stdout
    assert "rows left out: prompt 1" in result.stdout
    assert {task.metadata["dataset"] for task in read_tasks(out)} == {"me/mine"}


def test_names_from_the_data_command_no_terminal(rows: Path, out: Path) -> None:
    truth = {"instruction_id": ["evil:\x1b[31mred"], "kwargs": [{}]}
    rows.write_text(json.dumps({**samples.IF_RLVR, "ground_truth": truth, "constraint": "Be good."}))
    shown = run("if-rlvr", rows, "--out", out, "--unknown-rule", "judge").stdout
    assert "\x1b" not in shown
    assert "␛[31mred 1" in shown


def test_progress_goes_to_the_terminal(rows: Path, out: Path) -> None:
    rows.write_text("".join(json.dumps({**samples.RUBRICHUB, "id": str(n)}) + "\n" for n in range(20)))
    parent, child = os.openpty()
    command = [sys.executable, "-m", "rtt", "import", "rubrichub", str(rows), "--out", str(out)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=child, check=True, env={**os.environ, "TERM": "xterm"}
    )
    os.close(child)
    seen = os.read(parent, 100_000).decode(errors="replace")
    os.close(parent)
    assert "import rows.jsonl" in seen
    assert done.stdout.decode().startswith("20 rows read, 20 tasks written")


def test_the_commands_of_the_page_run_on_rows_of_their_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "importers.md").read_text(encoding="utf-8")
    commands = [
        shlex.split(line)[2:]
        for block in re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("rtt import ")
    ]
    assert {command[0] for command in commands} >= {"if-rlvr", "rlvr-ifeval", "verinstruct", "hir", "rar"}
    monkeypatch.chdir(tmp_path)
    for form, name, *options in commands:
        file = tmp_path / name
        found = [row for known, row in SAMPLES if known == form]
        if file.suffix == ".parquet":
            arrow = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(arrow.Table.from_pylist(found), file)
        else:
            file.write_text("".join(json.dumps(row) + "\n" for row in found))
        result = run(form, name, *options, "--overwrite")
        assert result.exit_code == 0, (form, options, result.stderr)
    [block] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "rows.jsonl").write_text(json.dumps(samples.HIR_4))
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "1 Counter({'judge': 2})\n"
    for name, form in FORMATS.items():
        assert f"`{name}`" in page
        assert all(f"`{hub}`" in page for hub in form.hub)
