"""``rtt inspect`` and ``rtt report``: one file from a run's folder, or a plain reason why not."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from inspector.examples import training

from rtt.cli import cli


def rtt(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_a_run_becomes_a_page_and_its_twin(tmp_path: Path) -> None:
    training(tmp_path / "run/records")
    out = tmp_path / "page.html"
    done = rtt("inspect", tmp_path / "run", "-o", out, "--json", tmp_path / "page.json", "--title", "A <run>")
    assert done.exit_code == 0, done.output
    assert f"{out}: 24 responses of 1 run" in done.output
    html = out.read_text("utf-8")
    assert "<title>A &lt;run&gt;</title>" in html
    assert (tmp_path / "page.json").exists()


def test_a_report_opens_at_the_curves(tmp_path: Path) -> None:
    training(tmp_path / "run/records")
    done = rtt(
        "report", tmp_path / "run", tmp_path / "run", "-o", tmp_path / "page.html", "--json", tmp_path / "t.json"
    )
    assert done.exit_code == 0, done.output
    assert "48 responses of 2 runs" in done.output
    assert '"start": "training"' in (tmp_path / "t.json").read_text("utf-8")


def test_records_are_never_written_over_and_folders_must_be_there(tmp_path: Path) -> None:
    file = training(tmp_path / "records", steps=(1,)) / "step-000001.jsonl"
    before = file.read_bytes()
    refused = rtt("inspect", file, "-o", file)
    assert refused.exit_code == 2
    assert "is a file of records that is read; choose another" in refused.stderr
    refused = rtt("inspect", file, "-o", tmp_path / "no/page.html")
    assert refused.exit_code == 2
    assert "there is no folder" in refused.stderr
    assert rtt("inspect", tmp_path / "none").exit_code == 2
    assert file.read_bytes() == before
