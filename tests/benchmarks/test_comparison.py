"""Comparing runs: what pairs, what is noise, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from rtt.benchmarks.comparison import Comparison, Run, compare, read_run
from rtt.cli import cli
from rtt.cli.compare import in_words
from rtt.errors import ConfigurationError, DataError

Strict = list[list[bool | None]]


def run(name: str, strict: Strict, *, data: str = "d", keys: list[int] | None = None) -> Run:
    places = keys or list(range(len(strict)))
    return Run(
        name,
        "ifeval",
        data,
        {key: [{"strict": found, "loose": found}] for key, found in zip(places, strict, strict=True)},
        {key: [f"group:{k}" for k in range(len(found))] for key, found in zip(places, strict, strict=True)},
    )


def only(strict: Strict, other: Strict) -> Comparison:
    [found] = compare(run("a", strict), [run("b", other)])
    return found


def test_a_clear_difference_worked_by_hand() -> None:
    found = only([[True]] * 10 + [[False]] * 10, [[True]] * 20)
    prompts, instructions = found.metrics[:2]
    assert (prompts.metric, prompts.reference, prompts.other, prompts.interval.value) == (
        "prompt_strict",
        0.5,
        1.0,
        0.5,
    )
    assert (prompts.only_reference, prompts.only_other, prompts.compared) == (0, 10, 20)
    assert prompts.p == prompts.adjusted == 2 / 2**10
    assert prompts.conclusion == instructions.conclusion == "better"
    assert instructions.p is None
    assert in_words(prompts).startswith("better by +0.500 [+0.")
    assert [item.metric for item in found.metrics] == [
        "prompt_strict",
        "instruction_strict",
        "prompt_loose",
        "instruction_loose",
    ]


def test_a_small_difference_is_noise_and_says_what_could_have_been_seen() -> None:
    found = only([[True], [False], [True], [False]] * 5, [[False], [True], [True], [False]] * 5)
    prompts = found.metrics[0]
    assert prompts.conclusion == "noise"
    assert prompts.detectable == pytest.approx(2.801585 * (0.5 / 20) ** 0.5)
    assert in_words(prompts).endswith("20 prompts would show a difference of 0.443 in 8 of 10 times")
    same = only([[True]] * 3, [[True]] * 3).metrics[0]
    assert (same.p, same.detectable, in_words(same)) == (1.0, None, "noise: +0.000 [+0.000, +0.000]")


def test_where_interval_and_test_disagree_it_is_unclear() -> None:
    prompts = only([[True]] * 50, [[False]] * 4 + [[True]] * 46).metrics[0]
    assert prompts.interval.high < 0
    assert prompts.p == 2 / 2**4
    assert prompts.conclusion == "unclear"
    assert "the interval and McNemar's test (p = 0.125) disagree" in in_words(prompts)


def test_undetermined_outcomes_count_on_neither_side() -> None:
    found = only([[True, None], [True, True], [None, False]], [[False, True], [True, True], [True, None]])
    prompts, instructions = found.metrics[:2]
    # The first prompt hangs on what is undetermined; the third fails on one side, and is undetermined on the other.
    assert prompts.compared == 1
    assert instructions.compared == 3
    assert instructions.reference == 1.0
    assert instructions.other == pytest.approx(2 / 3)


def test_only_shared_prompts_pair() -> None:
    [found] = compare(run("a", [[True], [False]], keys=[1, 2]), [run("b", [[True], [True]], keys=[2, 3])])
    assert found.left_out == 2
    assert found.metrics[0].compared == 1
    with pytest.raises(ConfigurationError, match="a and b answer no prompt in common"):
        compare(run("a", [[True]], keys=[1]), [run("b", [[True]], keys=[2])])
    with pytest.raises(ConfigurationError, match="a and b are of different data files, so they do not pair"):
        compare(run("a", [[True]]), [run("b", [[True]], data="other")])


def test_several_runs_have_their_p_values_adjusted() -> None:
    base, better = run("a", [[False]] * 6), run("b", [[True]] * 6)
    found = compare(base, [better, run("c", [[False]] * 6)])
    assert found[0].metrics[0].p == 2 / 2**6
    assert found[0].metrics[0].adjusted == 4 / 2**6
    assert found[1].metrics[0].adjusted == 1.0


def test_types_are_compared_apart() -> None:
    found = only([[True, False]] * 8, [[True, True]] * 8)
    assert [(item.metric, item.interval.value, item.compared) for item in found.types] == [
        ("group:0", 0.0, 8),
        ("group:1", 1.0, 8),
    ]


def test_several_responses_to_a_prompt_have_an_interval_and_no_test() -> None:
    def several(name: str, strict: list[bool]) -> Run:
        answers = [{"strict": [one]} for one in strict]
        return Run(name, "ifeval", "d", dict.fromkeys(range(5), answers), {key: ["x"] for key in range(5)})

    [found] = compare(several("a", [True, False]), [several("b", [True, True])])
    prompts = found.metrics[0]
    assert (prompts.reference, prompts.other, prompts.p, prompts.conclusion) == (0.5, 1.0, None, "better")


outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=25)


@given(outcomes)
def test_sides_can_be_changed_over(pairs: list[tuple[bool, bool]]) -> None:
    there = only([[a] for a, _ in pairs], [[b] for _, b in pairs]).metrics[0]
    back = only([[b] for _, b in pairs], [[a] for a, _ in pairs]).metrics[0]
    assert there.interval.value == pytest.approx(-back.interval.value)
    assert (there.p, there.only_reference) == (back.p, back.only_other)


# ------------------------------------------------------------------------------------------------------------ command


def folder(path: Path, lines: list[Any], **identity: Any) -> Path:
    path.mkdir()
    known = {"benchmark": "ifeval", "data": {"sha256": "d"}, **identity}
    (path / "run.json").write_text(json.dumps(known), "utf-8")
    (path / "summary.json").write_text("{}", "utf-8")
    (path / "verdicts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def verdicts(passes: list[bool]) -> list[Any]:
    return [{"key": key, "strict": [one], "loose": [one], "types": ["a:b"]} for key, one in enumerate(passes)]


def rtt(*arguments: object) -> Any:
    return CliRunner().invoke(cli, ["compare", *map(str, arguments)], prog_name="rtt")


def test_the_command_shows_and_writes_what_it_found(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", verdicts([False] * 12))
    mine = folder(tmp_path / "mine", verdicts([True] * 12))
    done = rtt(base, mine, "--out", tmp_path / "out", "--names", "before,after")
    assert done.exit_code == 0, done.output
    assert "after against before" in done.output
    assert "prompt_strict: better by +1.000 [+1.000, +1.000]" in done.output
    assert "1 of 1 types are beyond their own interval; about 0.1 would be by chance" in done.output
    data = json.loads((tmp_path / "out/comparison.json").read_text("utf-8"))
    assert data["reference"] == "before"
    metric = data["runs"][0]["metrics"]["prompt_strict"]
    assert (metric["difference"], metric["only_other"], metric["conclusion"]) == (1.0, 12, "better")
    assert "| prompt_strict | 0.000 | 1.000 |" in (tmp_path / "out/comparison.md").read_text("utf-8")
    assert (tmp_path / "out/comparison.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", verdicts([True]))
    assert "expected at least two runs to compare" in rtt(base).output
    assert "--names has 1 name for 2 folders" in rtt(base, base, "--names", "a").output
    (tmp_path / "empty").mkdir()
    assert "is no folder of a run, it has no run.json" in rtt(base, tmp_path / "empty").output
    other = folder(tmp_path / "other", verdicts([True]), benchmark="ifbench")
    refused = rtt(base, other)
    assert refused.exit_code == 2
    assert "base and other are of different benchmarks, so they do not pair" in refused.output


def test_a_damaged_or_unfinished_run_is_refused(tmp_path: Path) -> None:
    run_folder = folder(tmp_path / "run", [{"key": 1}])
    with pytest.raises(DataError, match=r"verdicts\.jsonl:1: is no line of verdicts"):
        read_run(run_folder)
    (run_folder / "verdicts.jsonl").write_text("{\n", "utf-8")
    with pytest.raises(DataError, match=r"verdicts\.jsonl:1: column 2: not JSON"):
        read_run(run_folder)
    (run_folder / "run.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match=r"run\.json is damaged"):
        read_run(run_folder)
    (run_folder / "summary.json").unlink()
    with pytest.raises(ConfigurationError, match="holds a run that is not finished"):
        read_run(run_folder)
