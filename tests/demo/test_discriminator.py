"""Building a discriminator from what comes with the package: examples, training, table; and going on after a stop."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from rtt.demo.discriminator import FAST, BuildSettings, build, bundled_responses, make_examples
from rtt.demo.run import bundled_tasks
from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.evaluation import Evaluation
from rtt.relevance.discriminator.examples import Example
from rtt.relevance.discriminator.patterns import HELD_OUT_KINDS
from rtt.relevance.discriminator.sampling import ask_again
from rtt.verdicts import Outcome
from rtt.verifiers import verify_rule


def test_each_bundled_task_has_a_response() -> None:
    tasks = {task.id for split in ("train", "heldout") for task in bundled_tasks(split)}
    responses = bundled_responses()
    assert {task for task, _, _ in responses} == tasks
    assert all(request for _, request, _ in responses)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return make_examples(BuildSettings(passes=1, per_text=4))


def test_examples_are_those_of_their_settings(examples: list[Example]) -> None:
    assert examples == make_examples(BuildSettings(passes=1, per_text=4))
    assert examples[-1] != make_examples(BuildSettings(passes=1, per_text=4, seed=1))[-1]


def test_labels_of_rules_are_the_evidence_of_their_verdicts(examples: list[Example]) -> None:
    rules = [example for example in examples if example.rule is not None and example.source == "rule"][:500]
    assert len(rules) == 500
    for example in rules:
        assert example.rule is not None
        verdict = verify_rule(example.rule.name, example.rule.arguments, example.response)
        assert verdict.outcome == example.outcome
        spans = {(span.start, span.end, span.polarity) for span in verdict.evidence}
        assert {(a, b, "support") for a, b in example.support} | {
            (a, b, "violation") for a, b in example.violation
        } <= spans


def test_a_criterion_asked_again_of_its_own_response_has_its_own_labels(examples: list[Example]) -> None:
    asked = 0
    for example in examples:
        again = ask_again(example, example.response, verify_rule)
        if again is not None:
            asked += 1
            assert (again.relevant, again.outcome, again.criterion) == (
                example.relevant,
                example.outcome,
                example.criterion,
            )
    assert asked > 0.7 * len(examples)


def test_a_criterion_asked_again_reads_the_other_response() -> None:
    example = next(
        example for example in make_examples(BuildSettings(passes=1, per_text=12)) if example.kind == "pattern:digits"
    )
    other = ask_again(example, "nothing here", verify_rule)
    assert other is not None
    assert other.response == "nothing here"
    assert other.support == other.violation == ()
    assert other.outcome is not Outcome.UNDETERMINED


def test_a_build_runs_and_goes_on(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(file=out, width=120)
    first = build(tmp_path / "run", settings=FAST, fast=True, console=console)
    assert set(first.scorers) == {"joint", "cross", "causal", "all", "random", "lexical", "similarity"}
    assert {"seen", "kinds", "wordings"} == set(first.scorers["joint"].splits)
    assert set(first.scorers["joint"].splits["kinds"].kinds) <= HELD_OUT_KINDS
    assert "rtt relevance TASKS RESPONSES --relevance discriminator" in out.getvalue()
    assert "FILL IN" not in (tmp_path / "run" / "examples.md").read_text(encoding="utf-8")
    written = {path.name for path in (tmp_path / "run" / "evaluation").iterdir()}
    assert {"evaluation.json", "evaluation.md"} <= written
    assert Evaluation.from_json(json.loads((tmp_path / "run" / "evaluation" / "evaluation.json").read_text())) == first
    weights = tmp_path / "run" / "joint" / "model" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    again = build(tmp_path / "run", settings=FAST, fast=True, console=console)
    assert weights.stat().st_mtime_ns == made  # nothing was trained again
    assert again.scorers["joint"].splits == first.scorers["joint"].splits
    with pytest.raises(ConfigurationError, match="holds a build of other settings"):
        build(tmp_path / "run", settings=FAST.with_changes({"seed": 3}), fast=True, console=console)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"colour": 1}, "the build has no setting 'colour'"), ({"steps": "many"}, "expected such as 400")],
)
def test_settings_that_do_not_exist_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BuildSettings().with_changes(changes)
