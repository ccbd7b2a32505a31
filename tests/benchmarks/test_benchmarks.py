"""Benchmarks: their data, scores, figures and folders, on rows written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtt.benchmarks import BENCHMARKS, Prompt, benchmark
from rtt.benchmarks.data import read_prompts
from rtt.benchmarks.folders import RunFolder, answers_of, without_reasoning
from rtt.benchmarks.report import headline_rows, plot_types, to_markdown
from rtt.benchmarks.scoring import Answer, Scored, score
from rtt.benchmarks.summary import passes, summarise
from rtt.errors import ConfigurationError, DataError
from rtt.records import read_records
from rtt.responses import response_from_words
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome, Verdict

IFEVAL = benchmark("ifeval")
NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
ROWS: list[dict[str, Any]] = [
    {"key": 1, "prompt": "No commas.", **NO_COMMA},
    {
        "key": 2,
        "prompt": "No commas, two words.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{}, {"num_words": 2, "relation": "at least"}],
    },
]


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def prompts(rows: list[dict[str, Any]] = ROWS) -> list[Prompt]:
    return [IFEVAL.parse(row) for row in rows]


# ---------------------------------------------------------------------------------------------------------------- data


def test_every_benchmark_has_what_it_needs() -> None:
    for name in BENCHMARKS:
        found = benchmark(name)
        assert found.name == name
        assert found.headline in found.metrics
    with pytest.raises(ConfigurationError, match="benchmark 'mmlu' is not known; expected one of"):
        benchmark("mmlu")


def test_data_is_json_lines_or_one_list(tmp_path: Path) -> None:
    lines = read_prompts(IFEVAL, written(tmp_path / "data.jsonl", ROWS))
    (tmp_path / "data.json").write_text(json.dumps(ROWS), "utf-8")
    whole = read_prompts(IFEVAL, tmp_path / "data.json")
    assert [prompt.key for prompt in lines.prompts] == [1, 2]
    assert lines.prompts == whole.prompts
    assert lines.prompts[1].types == ("punctuation:no_comma", "length_constraints:number_words")
    assert lines.name == "data.jsonl"
    assert lines.digest != whole.digest


def test_data_may_be_csv_whose_cells_are_text(tmp_path: Path) -> None:
    def parse(row: Any) -> Prompt:
        return IFEVAL.parse({**NO_COMMA, "key": row["key"], "prompt": row["prompt"]})

    file = tmp_path / "data.csv"
    file.write_text('key,prompt\na,"One\nline, two"\nb,Two\n', "utf-8")
    found = read_prompts(replace(IFEVAL, parse=parse), file)
    assert [(prompt.key, prompt.task.prompt[0].content) for prompt in found.prompts] == [
        ("a", "One\nline, two"),
        ("b", "Two"),
    ]
    file.write_text("key,prompt\na\n", "utf-8")
    with pytest.raises(DataError, match=r"data\.csv, row 1: has another number of fields than the head"):
        read_prompts(replace(IFEVAL, parse=parse), file)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, ROWS[0]], r"data\.jsonl:3: key 1 is that of .*data\.jsonl:1 already; expected each key once"),
        ([{"key": 1, "prompt": "a"}], r"data\.jsonl:1: instruction_id_list: is missing"),
        ([ROWS[0], 5], r"data\.jsonl:2: got int; expected a JSON object"),
        ([{**ROWS[0], "instruction_id_list": ["no:rule"]}], r"data\.jsonl:1: .*rule 'no:rule' is not known"),
        ([{**ROWS[0], "kwargs": []}], r"data\.jsonl:1: .*kwargs: has 0 entries for 1 instructions"),
    ],
)
def test_what_is_no_row_is_refused_with_its_place(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_prompts(IFEVAL, written(tmp_path / "data.jsonl", rows))


def test_all_bad_rows_are_told_together(tmp_path: Path) -> None:
    bad = [{**ROWS[0], "key": key, "kwargs": []} for key in range(3)]
    with pytest.raises(DataError, match=r"is no data file of IFEval: 3 problems(.*\n){3}.*:3: "):
        read_prompts(IFEVAL, written(tmp_path / "data.jsonl", bad))


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n", "utf-8")
    with pytest.raises(DataError, match=r"empty\.jsonl: has no row in it; expected the data file of IFEval"):
        read_prompts(IFEVAL, tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match=r"gone\.jsonl: there is no such file"):
        read_prompts(IFEVAL, tmp_path / "gone.jsonl")


def muldimif_row(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "7",
        "conversations": [{"role": "user", "content": "Say it."}],
        "constraints": [["XML", "Number of attributes", "At most 2."], ["Words", "At most", "At most 3 words."]],
        "constraint_pattern": "Listing",
        "difficulty": "Level 2",
        "something": "else",
    }
    return {**row, **changes}


def test_a_row_of_muldimif_keeps_texts_types_and_labels(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps([muldimif_row()]), "utf-8")
    muldimif = benchmark("muldimif")
    [prompt] = read_prompts(muldimif, tmp_path / "test.json").prompts
    assert (prompt.key, prompt.task.id, prompt.task.metadata) == ("7", "muldimif/7", {"key": "7"})
    assert [criterion.text for criterion in prompt.task.rubric.criteria] == ["At most 2.", "At most 3 words."]
    assert prompt.types == ("Format:XML", "Length:Words")
    assert prompt.labels == {"pattern": "Listing", "level": "Level 2"}
    [found] = score(muldimif, [Answer(prompt, "One two three four.")])
    assert found.loose is None
    assert found.to_json(numbered=False)["strict"][1] is False
    summary = summarise(muldimif, [found])
    assert "prompt_loose" not in summary
    assert summary["labels"]["level"]["Level 2"]["prompt_strict"] == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"constraints": [["Words", "At the most", "x"]]}, r"item 1: constraints\[0\]: .*did you mean"),
        ({"constraints": []}, "item 1: constraints: "),
        ({"constraints": [["Words", "At most"]]}, r"item 1: constraints\.0"),
        ({"id": 7}, "item 1: id: .*; expected a row of MulDimIF's data file"),
    ],
)
def test_what_is_no_row_of_muldimif_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    (tmp_path / "test.json").write_text(json.dumps([muldimif_row(**changes)]), "utf-8")
    with pytest.raises(DataError, match=message):
        read_prompts(benchmark("muldimif"), tmp_path / "test.json")


# -------------------------------------------------------------------------------------------------------------- scores


def scored(prompt: Prompt, strict: list[int], loose: list[int] | None = None, index: int = 0) -> Scored:
    """As if the rules had said so."""
    verdicts = tuple(
        Verdict(criterion.id, Outcome(outcome), "rule:x")
        for criterion, outcome in zip(prompt.task.rubric.criteria, strict, strict=True)
    )
    read = tuple(map(Outcome, strict if loose is None else loose))
    return Scored(Answer(prompt, "text", index), verdicts, read)


def test_scores_are_strict_and_loose() -> None:
    [found] = score(IFEVAL, [Answer(prompts()[1], "Sure,\none two\nbye,")])
    assert found.strict == (Outcome.VIOLATED, Outcome.SATISFIED)
    assert found.loose == (Outcome.SATISFIED, Outcome.SATISFIED)
    assert found.to_json(numbered=False) == {
        "key": 2,
        "strict": [False, True],
        "loose": [True, True],
        "types": ["punctuation:no_comma", "length_constraints:number_words"],
    }


def test_what_is_unwanted_counts_when_it_is_absent_and_undetermined_is_null() -> None:
    criteria = (
        Criterion(id="a", rule=Rule(name="punctuation:no_comma"), weight=-1.0),
        Criterion(id="b", text="It is kind."),
    )
    task = Task(id="t", prompt=(Message(role="user", content="x"),), rubric=Rubric(criteria=criteria))
    [found] = score(IFEVAL, [Answer(Prompt("k", task, ("a", "b")), "One, two", 3)])
    assert found.to_json(numbered=True)["strict"] == [True, None]
    assert found.to_json(numbered=True)["index"] == 3


def test_figures_worked_by_hand() -> None:
    one, two = prompts()
    found = summarise(IFEVAL, [scored(one, [1]), scored(two, [1, -1], [1, 1])])
    assert (found["n"], found["responses"], found["instructions"]) == (2, 2, 3)
    assert found["prompt_strict"] == 0.5
    assert found["instruction_strict"] == pytest.approx(2 / 3)
    assert found["prompt_loose"] == found["instruction_loose"] == 1.0
    assert found["headline"] == "prompt_strict"
    assert found["types"]["punctuation:no_comma"] == {
        "n": 2,
        "strict": 1.0,
        "undetermined_strict": 0,
        "loose": 1.0,
        "undetermined_loose": 0,
    }
    assert found["groups"]["length_constraints"]["prompt_strict"] == 0.0
    low, high = found["intervals"]["prompt_strict"]
    assert low == 0.0
    assert high == 1.0


def test_an_undetermined_instruction_is_in_no_rate_and_decides_no_prompt() -> None:
    one, two = prompts()
    found = summarise(IFEVAL, [scored(one, [0]), scored(two, [0, -1])])
    assert found["prompt_strict"] == 0.0  # of the second prompt alone, which fails whatever the first instruction is
    assert found["instruction_strict"] == 0.0
    assert found["undetermined"] == {"strict": 2, "loose": 2}
    nothing = summarise(IFEVAL, [scored(one, [0])])
    assert nothing["prompt_strict"] is None
    assert nothing["intervals"]["prompt_strict"] is None
    assert dict(headline_rows(IFEVAL, nothing))["prompt level, strict *"] == "-"


@given(st.lists(st.tuples(st.sampled_from([1, -1, 0]), st.sampled_from([1, -1, 0]), st.integers(0, 3)), min_size=1))
def test_figures_are_plain_averages(outcomes: list[tuple[int, int, int]]) -> None:
    rows = [{**ROWS[1], "key": key} for key in range(4)]
    several = [scored(prompts(rows)[key], [a, b]) for a, b, key in outcomes]
    found = summarise(IFEVAL, several)
    known = [x for a, b, _ in outcomes for x in (a, b) if x]
    whole = [a == b == 1 for a, b, _ in outcomes if -1 in (a, b) or 0 not in (a, b)]
    assert found["instruction_strict"] == (pytest.approx(known.count(1) / len(known)) if known else None)
    assert found["prompt_strict"] == (pytest.approx(sum(whole) / len(whole)) if whole else None)
    assert found["n"] == len({key for _, _, key in outcomes})


def test_a_prompt_passes_when_all_hold() -> None:
    yes, no, open_ = Outcome.SATISFIED, Outcome.VIOLATED, Outcome.UNDETERMINED
    assert [passes(found) for found in ([yes, yes], [yes, no], [no, open_], [yes, open_], [])] == [
        True,
        False,
        False,
        None,
        None,
    ]


def test_the_report_shows_figures_and_what_is_left_open(tmp_path: Path) -> None:
    one, two = prompts()
    found = summarise(IFEVAL, [scored(one, [0]), scored(two, [1, -1])])
    text = to_markdown(IFEVAL, found, {"data": {"name": "a|b", "rows": 2}})
    assert "- data: name a|b, rows 2" in text
    assert "| prompt level, strict * | 0.000 [0.00, 0.00] |" in text
    assert "Undetermined, and in no rate: 1 strict, 1 loose of 3 instructions." in text
    plot_types(IFEVAL, found, tmp_path / "types.png")
    assert (tmp_path / "types.png").read_bytes().startswith(b"\x89PNG")


# ------------------------------------------------------------------------------------------------------------- folders


def test_a_run_goes_on_where_it_stopped_and_half_a_line_is_cut_off(tmp_path: Path) -> None:
    identity = {"benchmark": "ifeval", "seed": 0}
    folder = RunFolder(tmp_path / "run", identity)
    folder.add([{"key": 1, "response": "a\ud800"}])
    with (tmp_path / "run/responses.jsonl").open("ab") as stream:
        stream.write(b'{"key": 2, "respo')
    again = RunFolder(tmp_path / "run", identity)
    assert again.answered(prompts()) == {1: {"key": 1, "response": "a\ud800"}}
    again.add([{"key": 2, "response": "é"}])
    assert list(again.answered(prompts())) == [1, 2]


def test_another_run_is_not_mixed_in(tmp_path: Path) -> None:
    RunFolder(tmp_path, {"benchmark": "ifeval", "seed": 0}).add([{"key": 1, "response": "a"}])
    with pytest.raises(ConfigurationError, match=r"holds another run: seed: 0, now 1; choose another folder"):
        RunFolder(tmp_path, {"benchmark": "ifeval", "seed": 1})
    fresh = RunFolder(tmp_path, {"benchmark": "ifeval", "seed": 1}, fresh=True)
    assert fresh.answered(prompts()) == {}
    (tmp_path / "run.json").unlink()
    (tmp_path / "summary.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigurationError, match=r"holds files of another run but no run\.json"):
        RunFolder(tmp_path, {"benchmark": "ifeval"})
    (tmp_path / "run.json").write_text("{", "utf-8")
    with pytest.raises(ConfigurationError, match="is damaged"):
        RunFolder(tmp_path, {"benchmark": "ifeval"})


@pytest.mark.parametrize("line", ['{"key": 3, "response": "a"}', '{"key": 1}', "[]", '{"key": 1, "response": 5}', "{"])
def test_a_damaged_response_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    folder = RunFolder(tmp_path, {"benchmark": "ifeval"})
    folder.add([{"key": 1, "response": "a"}])
    with (tmp_path / "responses.jsonl").open("a") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(DataError, match=r"responses\.jsonl:2: .*or --fresh to begin anew"):
        folder.answered(prompts())


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    one, two = prompts()
    results = score(IFEVAL, [Answer(one, "One, \ud800 two"), Answer(two, "  "), Answer(two, "a b", 1)])
    RunFolder(tmp_path, {"benchmark": "ifeval"}).finish(results, summarise(IFEVAL, results), "# Report")
    lines = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text("utf-8").splitlines()]
    assert [(line["key"], line["index"], line["strict"]) for line in lines] == [
        (1, 0, [False]),
        (2, 0, [False, False]),
        (2, 1, [True, True]),
    ]
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["n"] == 2
    records = list(read_records(tmp_path / "records.jsonl"))
    assert [record.response.text for record in records] == ["One, \ud800 two", "  ", "a b"]
    assert [record.group for record in records] == [0, 1, 1]
    # The comma's word carries the verdict.
    assert records[0].relevance == ((1.0, 0.0, 0.0),)
    assert [record.reward for record in records] == [0.0, 0.0, 1.0]


def test_reasoning_is_taken_off_up_to_its_last_end() -> None:
    assert without_reasoning("<think>a</think>b</think>\n\nanswer", "</think>") == "answer"
    assert without_reasoning("no mark", "</think>") == "no mark"
    assert without_reasoning("a</think>b", None) == "a</think>b"
    [only] = answers_of(prompts(), {2: {"response": "x</think>y"}}, "</think>")
    assert (only.prompt.key, only.text) == (2, "y")


@given(st.text())
def test_words_stand_for_tokens_and_are_the_text(text: str) -> None:
    response = response_from_words("t", text)
    assert "".join(text[start:end] for start, end in response.spans) == text
    assert len(response.token_ids) == max(len(text.split()), bool(text))
