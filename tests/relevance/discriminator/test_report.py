"""Reports: tables, files and pictures of an evaluation."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rtt.errors import DataError
from rtt.relevance.discriminator.evaluation import Evaluation, Interval, evaluate
from rtt.relevance.discriminator.examples import Example
from rtt.relevance.discriminator.report import (
    print_evaluation,
    read_evaluation,
    tables,
    to_markdown,
    write_report,
)
from rtt.rubrics import Rule
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule

FILES = [
    "evaluation.json",
    "evaluation.md",
    "average_precision.png",
    "kinds.png",
    "reliability.png",
    "faithfulness.png",
]


class Guess:
    """Scores the characters of one word, and all others less."""

    def __init__(self, word: str) -> None:
        self.word = word

    def characters(self, criteria: Any, texts: Any) -> Any:
        values = []
        for asked, text in zip(criteria, texts, strict=True):
            row = np.full(len(text), 0.25, dtype=np.float32)
            start = text.find(self.word)
            row[start : start + len(self.word)] = 0.75
            values.append(np.tile(row, (len(asked), 1)))
        return values


def examples(count: int = 4) -> list[Example]:
    made = []
    for i in range(count):
        text = f"the {'robot' if i % 2 else 'engine'} stands here, number {i}"
        word = "robot" if i % 2 else "engine"
        made.append(
            Example(
                f"mentions {word}",
                text,
                Outcome.SATISFIED,
                support=((4, 4 + len(word)),),
                kind=f"keywords:{word}|x",
                prompt=f"p{i}",
                rule=Rule(name="keywords:existence", arguments={"keywords": [word]}),
            )
        )
    return made


def check(name: str, arguments: Any, text: str) -> Any:
    return verify_rule(name, arguments, text, criterion_id="e")


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    parts = {"validation": examples(4), "seen": examples(8), "kinds": examples(2), "wordings": []}
    scorers = {"joint": Guess("robot"), "lexical": Guess("stands")}
    return evaluate(scorers, parts, verify=check, details={"model": "runs/joint"})


def test_the_first_table_is_average_precision_by_scorer_and_split(evaluation: Evaluation) -> None:
    table = tables(evaluation)[0]
    assert table.heads == ("average precision", "new prompts", "new kinds", "new wordings")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["joint"][0].startswith("0.5")
    assert "[" in rows["joint"][0]
    assert rows["joint"][2] == "-"
    assert list(rows) == ["joint", "lexical", "prevalence", "examples ranked", "kinds", "prompts"]
    assert rows["examples ranked"] == ("8", "2", "0")


def test_every_row_has_a_cell_for_every_head(evaluation: Evaluation) -> None:
    for table in tables(evaluation):
        assert {len(row) for row in table.rows} == {len(table.heads)}, table.title


def test_the_difference_names_the_first_scorer(evaluation: Evaluation) -> None:
    table = next(one for one in tables(evaluation) if one.title.startswith("Difference"))
    assert table.heads[0] == "joint minus"
    assert [row[0] for row in table.rows] == ["lexical"]
    assert table.rows[0][1].startswith("+0.")


def test_short_tables_leave_out_the_kinds(evaluation: Evaluation) -> None:
    short = [table.title for table in tables(evaluation, short=True)]
    assert "Average precision by family" in short
    assert "Average precision by kind" not in short
    assert "Average precision by kind" in [table.title for table in tables(evaluation)]


def test_a_terminal_gets_every_number_of_the_short_tables(evaluation: Evaluation) -> None:
    stream = io.StringIO()
    print_evaluation(evaluation, Console(file=stream, width=140))
    shown = stream.getvalue()
    for table in tables(evaluation, short=True):
        assert table.title in shown
        assert all(cell in shown for row in table.rows for cell in row), table.title
    assert "\x1b" not in shown


def test_names_from_files_are_text_not_markup(evaluation: Evaluation) -> None:
    named = replace(evaluation, scorers={"[red]x[/red]|y": evaluation.scorers["joint"]}, faithfulness={})
    stream = io.StringIO()
    print_evaluation(named, Console(file=stream, width=140))
    assert "[red]x[/red]|y" in stream.getvalue()
    assert r"[red]x[/red]\|y" in to_markdown(named)


def test_reports_are_written_and_read_back(evaluation: Evaluation, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    written = write_report(evaluation, folder, title="Joint")
    assert [file.name for file in written] == FILES
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    assert read_evaluation(folder) == read_evaluation(folder / "evaluation.json") == evaluation
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in FILES[2:])
    text = (folder / "evaluation.md").read_text()
    assert text.startswith("# Joint\n")
    assert all(f"({name})" in text for name in FILES[2:])
    assert r"keywords:robot\|x" in text
    assert "| model | runs/joint |" in text
    numbers = json.loads((folder / "evaluation.json").read_text())
    assert numbers["scorers"]["joint"]["splits"]["wordings"]["overall"]["average_precision"] is None
    write_report(evaluation, folder)  # again, over it


def test_pictures_change_with_their_numbers(evaluation: Evaluation, tmp_path: Path) -> None:
    first = write_report(evaluation, tmp_path / "first")
    other = evaluate({"joint": Guess("stands"), "lexical": Guess("robot")}, {"seen": examples(8)}, verify=check)
    second = write_report(other, tmp_path / "second")
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(first, second, strict=True))


def test_nothing_measured_is_written_as_nothing(tmp_path: Path) -> None:
    nothing = evaluate({"joint": Guess("x")}, {"seen": []})
    folder = tmp_path / "out"
    write_report(nothing, folder)
    assert read_evaluation(folder) == nothing
    table = tables(nothing)[0]
    assert table.rows[0] == ("joint", "-")
    assert "nan" not in (folder / "evaluation.md").read_text().lower()
    assert all((folder / name).stat().st_size > 0 for name in FILES)


def test_a_value_without_an_interval_is_shown_alone(evaluation: Evaluation) -> None:
    joint = evaluation.scorers["joint"]
    overall = replace(joint.splits["seen"].overall, average_precision=Interval(0.25))
    changed = replace(joint, splits={"seen": replace(joint.splits["seen"], overall=overall)})
    table = tables(replace(evaluation, scorers={"joint": changed}))[0]
    assert table.rows[0] == ("joint", "0.250")


def test_thresholds_say_where_they_come_from(evaluation: Evaluation) -> None:
    assert "best F1 on the validation examples" in to_markdown(evaluation)
    assert "no validation examples" in to_markdown(replace(evaluation, thresholds_from="given"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "evaluation.json: cannot be read: No such file"),
        ("{", "evaluation.json: is not JSON"),
        ("{}", "evaluation.json: scorers: Field required; expected what `rtt discriminator evaluate` wrote"),
        ("[1]", "expected what `rtt discriminator evaluate` wrote"),
    ],
)
def test_what_is_no_evaluation_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(DataError, match=words):
        read_evaluation(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written to: .*; choose another folder"):
        write_report(evaluation, tmp_path / "file")
