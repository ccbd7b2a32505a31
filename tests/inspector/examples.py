"""Small records for the inspector's tests: two prompts, groups of four, several steps; and texts that mean harm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rtt.records import Record, records_path, write_records
from rtt.responses import Response
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verdicts import Outcome, Span, Verdict

HOSTILE = {
    "script": "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">",
    "comment": "<!-- <script> --!> <![CDATA[ ]]> &lt;b&gt; &#x3c;",
    "quotes": "\"'`${document.title='owned'}\\u003cscript\\u003e",
    "right to left": "שלום \u202eabc\u202c مرحبا",
    "emoji": "👩‍👩‍👧‍👦 é é 🇦🇹 𝒳",
    "controls": "a\x00b\x1b[31mc\u2028d\u2029e\r\nf\tg\ud800h",
    "blank": "   \n\n   ",
}
"""What a response may hold, by what it tries."""

LANTERN = Rule(name="keywords:existence", arguments={"keywords": ["lantern"]})

TASK = Task(
    id="lantern",
    prompt=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Tell of a <b>lantern</b>, without commas."),
    ),
    rubric=Rubric(
        criteria=(
            Criterion(id="c1", text="No commas.", rule=Rule(name="punctuation:no_comma")),
            Criterion(
                id="c2",
                text="Says 'lantern'.",
                rule=Rule(name="keywords:existence", arguments={"keywords": ["lantern"]}),
            ),
            Criterion(id="c3", text="Friendly in tone."),
        )
    ),
)
OTHER = TASK.model_copy(update={"id": "other/<i>task</i>"})


def record(
    text: str = "A lantern, lit.",
    spans: Sequence[tuple[int, int]] | None = None,
    *,
    step: int = 1,
    group: int = 0,
    task: Task = TASK,
    outcomes: Sequence[int] = (-1, 1, 0),
    reward: float | None = 0.5,
    advantage: float = 0.5,
) -> Record:
    """A record whose tokens are words; the comma violates, the lantern supports, nobody judged the tone."""
    if spans is None:
        ends = [i for i in range(1, len(text)) if text[i].isspace() != text[i - 1].isspace()] + [len(text)] * bool(text)
        spans = [*zip([0, *ends], ends, strict=False), (len(text), len(text))]
    evidence: list[tuple[Span, ...]] = [(), (), ()]
    if (comma := text.find(",")) >= 0:
        evidence[0] = (Span(comma, comma + 1, "violation"),)
    if (word := text.find("lantern")) >= 0:
        evidence[1] = (Span(word, word + 7, "support"),)
    relevance = [[float(any(a < s.end and s.start < b for s in found)) for a, b in spans] for found in evidence]
    shares = [[outcome * value for value in row] for outcome, row in zip(outcomes, relevance, strict=True)]
    token = [sum(column) for column in zip(*shares, strict=True)]
    return Record(
        step=step,
        group=group,
        task=task,
        response=Response(task.id, text, tuple(range(100, 100 + len(spans))), tuple(spans)),
        verdicts=tuple(
            Verdict(f"c{k + 1}", Outcome(outcome), "judge" if k == 2 else "rule:x", f"because of {text[:9]!r}", found)
            for k, (outcome, found) in enumerate(zip(outcomes, evidence, strict=True))
        ),
        relevance=tuple(map(tuple, relevance)),
        reward=reward,
        response_advantage=advantage,
        token_advantages=tuple(token),
        advantages=tuple(advantage + 0.5 * value for value in token),
        criterion_advantages=tuple(map(tuple, shares)),
        token_weight=0.5,
        combine="add",
    )


def training(folder: Path, steps: Sequence[int] = (1, 5, 10)) -> Path:
    """A folder of records: two groups of four at each step; the commas go over the steps."""
    for number, step in enumerate(steps):
        records = []
        for group, task in enumerate((TASK, OTHER)):
            for place in range(4):
                clean = place < number + 1
                text = f"A lantern{' ' if clean else ', '}lit at step {step} by {place}."
                outcomes = (1 if clean else -1, 1, 0)
                records.append(
                    record(
                        text,
                        step=step,
                        group=group,
                        task=task,
                        outcomes=outcomes,
                        reward=0.5 + 0.5 * clean,
                        advantage=0.7 if clean else -0.7,
                    )
                )
        write_records(records_path(folder, step), records)
    return folder
