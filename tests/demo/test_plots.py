"""The pictures: what is drawn comes from the log, and the files are pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from matplotlib.image import imread

from rtt.demo.evaluation import Sample, summarise
from rtt.demo.plots import COLOURS, PANELS, plot_curves, plot_rules, series
from rtt.demo.run import bundled_tasks
from rtt.verdicts import Outcome

HISTORY = [
    {"step": 1, "rtt/rubric_accuracy": 0.25, "rtt/token_advantage_size": 0.1, "entropy": 2.0},
    {"step": 2, "train_runtime": 3.0},
    {"step": 3, "rtt/rubric_accuracy": 0.75, "rtt/token_advantage_size": 0.2, "entropy": 1.5},
]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    saved: list[Figure] = []
    original = Figure.savefig

    def savefig(self: Figure, path: Path, **options: float) -> None:
        saved.append(self)
        original(self, path, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def test_a_series_is_the_steps_that_logged_the_metric() -> None:
    assert series(HISTORY, "rtt/rubric_accuracy") == ([1, 3], [0.25, 0.75])
    assert series(HISTORY, "never logged") == ([], [])


def test_curves_draw_what_was_logged_for_each_run(tmp_path: Path, figures: list[Figure]) -> None:
    plot_curves({"one": HISTORY, "two": HISTORY[:1]}, tmp_path / "new" / "curves.png", title="Runs")
    picture = imread(tmp_path / "new" / "curves.png")
    assert picture.shape[0] > 500
    assert picture.std() > 0
    rubric = figures[0].axes[0]
    assert rubric.get_title() == PANELS[0].title
    assert [list(line.get_ydata()) for line in rubric.get_lines()] == [[0.25, 0.75], [0.25]]
    assert [line.get_color() for line in rubric.get_lines()] == list(COLOURS[:2])
    assert len({(line.get_linestyle(), line.get_marker()) for line in rubric.get_lines()}) == 2
    assert [text.get_text() for text in figures[0].axes[1].texts] == ["not logged"]


def test_a_method_without_token_advantage_has_no_flat_line_for_it(tmp_path: Path, figures: list[Figure]) -> None:
    flat = [{**row, "rtt/token_advantage_size": 0.0} for row in HISTORY]
    plot_curves({"RTT": HISTORY, "GRPO": flat}, tmp_path / "curves.png")
    assert [line.get_label() for line in figures[0].axes[2].get_lines()] == ["RTT · token"]


def test_rules_have_a_bar_before_and_after(tmp_path: Path, figures: list[Figure]) -> None:
    tasks = bundled_tasks("heldout", "easy")[:4]

    def all_of(outcome: Outcome) -> list[list[Sample]]:
        return [[Sample(task.id, "", 1, True, (outcome,) * len(task.rubric.criteria))] for task in tasks]

    before, after = summarise(tasks, all_of(Outcome.VIOLATED)), summarise(tasks, all_of(Outcome.SATISFIED))
    plot_rules(before, {"after": after}, tmp_path / "rules.png")
    assert imread(tmp_path / "rules.png").std() > 0
    axis = figures[0].axes[0]
    widths = [bar.get_width() for bar in axis.patches]
    assert widths == [0.0] * len(before.rules) + [1.0] * len(before.rules)
    tops = [bar.get_y() for bar in axis.patches]
    assert tops[0] > tops[len(before.rules)]  # before stands above after
