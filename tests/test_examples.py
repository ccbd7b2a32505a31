"""The examples: what README shows runs, and shows what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from rtt.cli import cli
from rtt.rubrics import read_tasks

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def test_the_example_responses_are_verified() -> None:
    result = CliRunner().invoke(cli, ["verify", str(EXAMPLES / "tasks.jsonl"), str(EXAMPLES / "responses.jsonl")])
    assert result.exit_code == 0
    outcomes = [[verdict["outcome"] for verdict in json.loads(line)["verdicts"]] for line in result.stdout.splitlines()]
    assert outcomes == [[1, 1, 1], [-1, -1, -1], [-1, -1], [-1, 0]]


def test_the_example_config_is_understood() -> None:
    from rtt.cli.train import parse

    arguments, training, model, _ = parse(EXAMPLES / "train.yaml")
    assert read_tasks(ROOT / arguments.tasks[0])
    assert (training.partition, training.token_weight, model.use_peft) == ("intra_sample", 0.5, True)


def test_the_json_lines_of_readme_are_tasks_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(block, encoding="utf-8")
        assert read_tasks(path)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target
