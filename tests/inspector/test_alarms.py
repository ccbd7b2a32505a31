"""Alarms: each has a case that raises it and one that just does not; a healthy run raises none."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtt import Criterion, Message, Outcome, Rubric, Rule, Span, Task, Verdict
from rtt.cli.relevance import words
from rtt.inspector.alarms import SEVERITIES, Alarm, audit, clashes, entropy_collapse
from rtt.records import Record
from rtt.relevance.evidence import EvidenceRelevance
from rtt.verifiers import verify

MET, UNMET, UNKNOWN = Outcome.SATISFIED, Outcome.VIOLATED, Outcome.UNDETERMINED


# ------------------------------------------------------------------------------------------------------ made by hand


def criterion(name: str, rule: str | None = None, weight: float = 1.0, text: str = "", **arguments: Any) -> Criterion:
    return Criterion(
        id=name,
        text=text or f"About {name}.",
        weight=weight,
        rule=None if rule is None else Rule(name=rule, arguments=arguments),
    )


def task(*criteria: Criterion, name: str = "t") -> Task:
    return Task(
        id=name, prompt=(Message(role="user", content="Write."),), rubric=Rubric(criteria=criteria or (criterion("c"),))
    )


def record(
    outcomes: Sequence[Outcome | Verdict],
    relevance: Sequence[Sequence[float]] | None = None,
    *,
    of: Task | None = None,
    step: int = 1,
    group: int = 0,
    text: str = "a b c d",
    **changed: Any,
) -> Record:
    of = task(*(criterion(f"c{k}") for k in range(len(outcomes)))) if of is None else of
    response = words(of.id, text)
    length = len(response.token_ids)
    verdicts = tuple(
        outcome if isinstance(outcome, Verdict) else Verdict(c.id, outcome, "judge:m")
        for c, outcome in zip(of.rubric.criteria, outcomes, strict=True)
    )
    rows = [[0.0] * length] * len(outcomes) if relevance is None else relevance
    made = Record(
        step=step,
        group=group,
        task=of,
        response=response,
        verdicts=verdicts,
        relevance=tuple(map(tuple, rows)),
        reward=0.5,
        response_advantage=0.0,
        token_advantages=(0.0,) * length,
        advantages=(0.0,) * length,
    )
    return dataclasses.replace(made, **changed)


def kinds(records: Iterable[Record], **options: Any) -> list[str]:
    return sorted({alarm.kind for alarm in audit(records, **options)})


def the(kind: str, records: Iterable[Record], **options: Any) -> Alarm:
    [alarm] = [alarm for alarm in audit(records, **options) if alarm.kind == kind]
    return alarm


# ---------------------------------------------------------------------------------------------------- a healthy run


VOCABULARY = [a + b + c for a in ("ka", "lo", "mi", "se", "tu", "ra") for b in "nrstl" for c in ("a", "en", "o", "is")]


def healthy_run(seed: int, steps: int = 24, size: int = 8) -> tuple[list[Record], list[dict[str, float]]]:
    """A run that learns: real verdicts and evidence of rules, a smooth discriminator for the judge's criterion."""
    draw = random.Random(seed)
    noise = np.random.default_rng(seed)
    tasks = [
        task(
            criterion("word", "keywords:existence", keywords=[draw.choice(["robot", "lantern"])]),
            criterion("commas", "punctuation:no_comma"),
            criterion("long", "length_constraints:number_words", relation="at least", num_words=draw.randint(55, 65)),
            criterion("kind"),
            name=f"task/{number}",
        )
        for number in range(4)
    ]
    records: list[Record] = []
    for step in range(1, steps + 1):
        skill = 0.3 + 0.4 * step / steps
        for group in range(2):
            of = draw.choice(tasks)
            rows = [healthy_record(draw, noise, of, step, group, skill) for _ in range(size)]
            rewards = np.asarray([row.reward for row in rows])
            scores = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
            for row, score in zip(rows, scores.tolist(), strict=True):
                advantages = tuple(score + 0.5 * value for value in row.token_advantages)
                row = dataclasses.replace(row, response_advantage=score, advantages=advantages)
                records.append(dataclasses.replace(row, token_weight=0.5, combine="add"))
    history = [{"step": s, "loss": 0.1, "entropy": 2.0 - s / steps + draw.gauss(0, 0.1)} for s in range(1, steps + 1)]
    return records, history


def healthy_record(
    draw: random.Random, noise: np.random.Generator, of: Task, step: int, group: int, skill: float
) -> Record:
    length = max(30, round(draw.gauss(60 + step / 3, 12)))
    text = [draw.choice(VOCABULARY) for _ in range(length)]
    if draw.random() < skill:
        keyword = of.rubric.criteria[0].rule.arguments["keywords"][0]  # type: ignore[union-attr]
        for _ in range(draw.choice([1, 1, 2, 3])):
            text[draw.randrange(length)] = keyword
    if draw.random() > skill:
        for _ in range(3):
            text[draw.randrange(length)] += ","
    response = words(of.id, " ".join(text) + ".")
    verdicts = [
        *verify(of, response.text)[:3],
        Verdict("kind", MET if draw.random() < skill else UNMET, "judge:m"),
    ]
    [relevance] = EvidenceRelevance()([of], [response], [verdicts])
    path = np.zeros(len(response.token_ids))
    for t in range(1, len(path)):
        path[t] = 0.8 * path[t - 1] + noise.normal()
    relevance[3] = 1 / (1 + np.exp(-path))
    rows = []
    for verdict, row in zip(verdicts, relevance.astype(float), strict=True):
        rows.append(int(verdict.outcome) * (row - row.mean()) / (row.std() + 1e-6))
    earned = [verdict.outcome is MET for verdict in verdicts]
    return record(
        verdicts,
        relevance.tolist(),
        of=of,
        step=step,
        group=group,
        text=response.text,
        reward=sum(earned) / len(earned),
        token_advantages=tuple(np.mean(rows, axis=0).tolist()),
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_run_raises_no_alarm_above_a_note(seed: int) -> None:
    records, history = healthy_run(seed)
    assert [alarm.title for alarm in audit(records, history=history) if alarm.severity != "note"] == []


def test_nothing_raises_nothing() -> None:
    assert audit([]) == []


# -------------------------------------------------------------------------------------------------------- constant


def groups_of(*outcomes: Sequence[Outcome], weight: float = 1.0) -> list[Record]:
    of = task(criterion("c", weight=weight))
    return [
        record([outcome], of=of, step=1 + g, group=g, text=f"text {i}")
        for g, group in enumerate(outcomes)
        for i, outcome in enumerate(group)
    ]


@pytest.mark.parametrize(
    ("groups", "kind", "severity"),
    [
        ([[UNMET] * 8] * 4, "never_met", "warning"),
        ([[MET] * 8] * 4, "always_met", "note"),
        ([[MET] * 8, [UNMET] * 8] * 2, "never_varies", "note"),
    ],
)
def test_a_criterion_that_never_varies_in_its_groups(groups: list[list[Outcome]], kind: str, severity: str) -> None:
    alarm = the(kind, groups_of(*groups))
    assert (alarm.severity, alarm.task, alarm.criterion, alarm.steps) == (severity, "t", "c", (1, 4))
    assert alarm.numbers["responses"] == 32
    assert kinds(groups_of(*groups[:3], groups[3][:7])) == []  # 31 responses
    assert kinds(groups_of(groups[0] + groups[0], *groups[1:3])) == []  # 3 groups
    other = MET if groups[3][0] is UNMET else UNMET
    assert kinds(groups_of(*groups[:3], [*groups[3][:7], other])) == []


def test_something_unwanted_that_always_happens_is_never_met() -> None:
    assert kinds(groups_of(*[[MET] * 8] * 4, weight=-1)) == ["never_met"]
    assert kinds(groups_of(*[[UNMET] * 8] * 4, weight=-1)) == ["always_met"]


def test_undetermined_verdicts_are_not_counted_as_unmet() -> None:
    assert "never_met" not in kinds(groups_of(*[[UNMET] * 4 + [UNKNOWN] * 4] * 4))


# ------------------------------------------------------------------------------------------------- contradictions

RULES: dict[str, dict[str, Any]] = {
    "long": {"rule": "length_constraints:number_words", "relation": "at least", "num_words": 100},
    "short": {"rule": "length_constraints:number_words", "relation": "less than", "num_words": 100},
    "brief": {"rule": "length_constraints:number_words", "relation": "less than", "num_words": 101},
    "sentences": {"rule": "length_constraints:number_sentences", "relation": "at least", "num_sentences": 5},
    "few": {"rule": "length_constraints:number_sentences", "relation": "less than", "num_sentences": 5},
    "three": {"rule": "length_constraints:number_paragraphs", "num_paragraphs": 3},
    "four": {"rule": "length_constraints:number_paragraphs", "num_paragraphs": 4},
    "first": {
        "rule": "length_constraints:nth_paragraph_first_word",
        "num_paragraphs": 3,
        "nth_paragraph": 1,
        "first_word": "Dear",
    },
    "first_too": {
        "rule": "length_constraints:nth_paragraph_first_word",
        "num_paragraphs": 3,
        "nth_paragraph": 1,
        "first_word": "hello",
    },
    "second": {
        "rule": "length_constraints:nth_paragraph_first_word",
        "num_paragraphs": 3,
        "nth_paragraph": 2,
        "first_word": "hello",
    },
    "small": {"rule": "change_case:english_lowercase"},
    "capital": {"rule": "change_case:english_capital"},
    "shouted": {"rule": "change_case:capital_word_frequency", "capital_relation": "at least", "capital_frequency": 3},
    "calm": {"rule": "change_case:capital_word_frequency", "capital_relation": "less than", "capital_frequency": 4},
    "answer": {"rule": "detectable_format:constrained_response"},
    "german": {"rule": "language:response_language", "language": "de"},
    "english": {"rule": "language:response_language", "language": "en"},
    "commas": {"rule": "punctuation:no_comma"},
    "list": {"rule": "keywords:existence", "keywords": ["red, green", "blue"]},
    "many_commas": {"rule": "keywords:letter_frequency", "letter": ",", "let_relation": "at least", "let_frequency": 2},
    "robot": {"rule": "keywords:existence", "keywords": ["Robot"]},
    "no_robot": {"rule": "keywords:forbidden_words", "forbidden_words": ["robot"]},
    "no_robots": {"rule": "keywords:forbidden_words", "forbidden_words": ["robots"]},
    "robot_pattern": {"rule": "keywords:existence", "keywords": ["robot|machine"]},
    "robot_twice": {"rule": "keywords:frequency", "keyword": "robot", "relation": "at least", "frequency": 2},
    "robot_once": {"rule": "keywords:frequency", "keyword": "robot", "relation": "less than", "frequency": 2},
    "bye": {"rule": "startend:end_checker", "end_phrase": "Good bye."},
    "all": {"rule": "startend:end_checker", "end_phrase": "That is all."},
    "really_all": {"rule": "startend:end_checker", "end_phrase": "well, that is all."},
    "repeat": {"rule": "combination:repeat_prompt", "prompt_to_repeat": "Write a mail."},
    "repeat_other": {"rule": "combination:repeat_prompt", "prompt_to_repeat": "Write a poem."},
    "bullets": {"rule": "detectable_format:number_bullet_lists", "num_bullets": 3},
    "no_bullets": {"rule": "detectable_format:number_bullet_lists", "num_bullets": 0},
    "e": {"rule": "keywords:letter_frequency", "letter": "e", "let_relation": "less than", "let_frequency": 4},
    "es": {"rule": "keywords:letter_frequency", "letter": "E", "let_relation": "at least", "let_frequency": 4},
}


def pair(one: str, other: str) -> Task:
    return task(*(criterion(name, **RULES[name]) for name in (one, other)))


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("long", "short", "at least 100 words and 0 to 99"),
        ("sentences", "few", "at least 5 sentences and 0 to 4"),
        ("three", "four", "exactly 3 paragraphs between *** and exactly 4"),
        ("first", "first_too", "first word of paragraph 1: dear and hello"),
        ("small", "capital", "letters: small and capital"),
        ("small", "shouted", "0 words in capitals and at least 3"),
        ("small", "answer", "My answer is yes"),
        ("answer", "capital", "My answer is yes"),
        ("german", "english", "language: de and en"),
        ("german", "small", "language: de and en"),
        ("commas", "list", "contains 'red, green' and no ','"),
        ("commas", "many_commas", "characters ','"),
        ("commas", "really_all", "contains 'well, that is all.' and no ','"),
        ("robot_twice", "robot_once", "at least 2 occurrences of 'robot' and 0 to 1"),
        ("bye", "all", "ends with 'good bye.' and with 'that is all.'"),
        ("repeat", "repeat_other", "starts with 'write a mail.'"),
        ("bullets", "no_bullets", "exactly 3 bullet points and exactly 0"),
        ("e", "es", "characters 'e'"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_criteria_that_exclude_each_other_by_their_rules(one: str, other: str, why: str, turned: bool) -> None:
    [alarm] = clashes([pair(other, one) if turned else pair(one, other)])
    assert (alarm.kind, alarm.severity, alarm.task) == ("contradiction", "error", "t")
    assert f"{one!r}" in alarm.title
    assert f"{other!r}" in alarm.title
    assert turned or why in alarm.title


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("long", "brief"),  # 100 words
        ("long", "sentences"),
        ("three", "first"),  # divided differently
        ("first", "second"),
        ("capital", "shouted"),
        ("small", "calm"),
        ("english", "small"),
        ("all", "really_all"),  # one ends with the other
        ("robot", "no_robots"),
        ("robot_pattern", "no_robot"),  # "machine" meets both
        ("robot", "robot_once"),
        ("commas", "robot"),
        ("commas", "e"),
        ("small", "robot"),
    ],
)
def test_criteria_that_can_be_met_together(one: str, other: str) -> None:
    assert clashes([pair(one, other), pair(other, one)]) == []


@pytest.mark.parametrize("one", ["robot", "robot_twice"])
def test_a_required_word_that_is_forbidden_is_met_by_a_longer_word_alone(one: str) -> None:
    [alarm] = clashes([pair(one, "no_robot")])
    assert alarm.severity == "warning"
    assert all(v.outcome is MET for v in verify(pair(one, "no_robot"), "robots robots"))


def test_what_is_unwanted_excludes_nothing() -> None:
    assert clashes([task(criterion("a", **RULES["long"]), criterion("b", weight=-1, **RULES["short"]))]) == []


PIECES = ["robot", "Robots", "red, green", "blue", ",", "*", "***", "\n\n", "\n* x", "dear", "HELLO", "e", "EEEE", "12"]
PHRASES = ["My answer is no.", "Good bye.", "That is all.", "well, that is all.", "Write a mail.", "Das ist gut."]
TEXTS = st.lists(st.sampled_from([*PIECES, *PHRASES]), max_size=12).map(" ".join)


@settings(max_examples=150)
@given(text=TEXTS, names=st.lists(st.sampled_from(sorted(RULES)), min_size=2, max_size=2, unique=True))
def test_what_is_called_a_contradiction_no_text_meets(text: str, names: list[str]) -> None:
    of = pair(*names)
    [*alarms] = clashes([of])
    if alarms and alarms[0].severity == "error" and "language" not in alarms[0].title:
        assert not all(verdict.outcome is MET for verdict in verify(of, text))


def together(first: int, second: int, both: int, neither: int, groups: int) -> list[Record]:
    outcomes = [(MET, UNMET)] * first + [(UNMET, MET)] * second + [(MET, MET)] * both + [(UNMET, UNMET)] * neither
    return [record(pair_, group=g, step=1 + g) for g in range(groups) for pair_ in outcomes]


def test_criteria_that_are_never_met_together() -> None:
    alarm = the("never_together", together(4, 4, 0, 0, 4))
    assert alarm.numbers["expected"] == 8
    assert "but never by the same one; 8.0 were to be expected" in alarm.title
    assert kinds(together(4, 4, 0, 0, 2)) == []  # 4 expected
    assert kinds([*together(4, 4, 0, 0, 4), *together(0, 0, 1, 1, 1)]) == []


def test_criteria_of_different_times_are_no_contradiction() -> None:
    early = [record((MET, UNMET), group=0, step=1) for _ in range(20)] + [record((UNMET, UNMET), group=0, step=1)]
    late = [record((UNMET, MET), group=0, step=2) for _ in range(20)] + [record((UNMET, UNMET), group=0, step=2)]
    assert kinds(early + late) == []


def test_of_many_pairs_some_never_meet_by_luck() -> None:
    lucky = [dataclasses.replace(r, task=task(*r.task.rubric.criteria, name="lucky")) for r in together(2, 2, 0, 0, 6)]
    assert kinds(lucky) == ["never_together"]  # 6 expected
    others = [
        dataclasses.replace(r, task=task(*r.task.rubric.criteria, name=f"t{n}"))
        for n in range(50)
        for r in together(1, 1, 1, 1, 1)
    ]
    assert kinds(lucky + others) == []


def test_a_contradiction_by_rule_is_told_once() -> None:
    of = pair("long", "short")
    records = [record((MET, UNMET) if i % 2 else (UNMET, MET), of=of) for i in range(40)]
    assert kinds(records) == ["contradiction"]


def test_contradictions_are_looked_for_in_the_task_file() -> None:
    assert kinds([record((MET,))], tasks=[pair("long", "short")]) == ["contradiction"]
    assert kinds([record((MET, UNMET), of=pair("long", "short"))], tasks=[]) == []


# ---------------------------------------------------------------------------------------------- without a verdict


def undetermined(of_total: int, unknown: int, failed: int = 0) -> list[Record]:
    verdicts = [Verdict("c0", UNKNOWN, "judge:m", "no answer", failed=i < failed) for i in range(unknown)]
    rest = [Verdict("c0", (MET, UNMET)[i % 2], "judge:m") for i in range(of_total - unknown)]
    return [record([verdict]) for verdict in verdicts + rest]


def test_a_criterion_without_verdicts() -> None:
    assert the("undetermined", undetermined(20, 5)).numbers == {"responses": 20, "undetermined": 5, "failed": 0}
    assert kinds(undetermined(20, 4)) == []
    assert kinds(undetermined(15, 15)) == []
    assert "never had a verdict" in the("undetermined", undetermined(16, 16)).title


@pytest.mark.parametrize(("failed", "severity"), [(2, None), (3, "warning"), (19, "warning"), (20, "error")])
def test_checks_that_failed(failed: int, severity: str | None) -> None:
    found = [alarm.severity for alarm in audit(undetermined(40, failed, failed)) if alarm.kind == "failed_checks"]
    assert found == ([] if severity is None else [severity])


# ---------------------------------------------------------------------------------------------- judge against rule

TWICE = task(criterion("rule", "punctuation:no_comma", text="No commas."), criterion("judge", text="No  commas."))


def judged_twice(differ: int, total: int) -> list[Record]:
    return [
        record(
            [
                Verdict("rule", MET, "rule:punctuation:no_comma", scope="response"),
                Verdict("judge", UNMET if i < differ else MET, "judge:m"),
            ],
            of=TWICE,
            text=f"Text number {i}",
        )
        for i in range(total)
    ]


def test_a_judge_and_a_rule_that_disagree() -> None:
    assert the("judge_against_rule", judged_twice(2, 10)).numbers == {"pairs": 10, "differ": 2}
    assert kinds(judged_twice(1, 10)) == []
    assert kinds(judged_twice(2, 7)) == []


def test_the_same_response_may_be_judged_in_another_record() -> None:
    of = task(criterion("c", "punctuation:no_comma", text="No commas."))
    records = [
        record([Verdict("c", outcome, source, scope="response")], of=of, text=f"text {i}")
        for i in range(8)
        for outcome, source in ((MET, "rule:x"), (UNMET, "judge:m"))
    ]
    assert kinds(records) == ["judge_against_rule"]
    assert kinds([dataclasses.replace(r, step=1 + i) for i, r in enumerate(records)]) == []  # not the same response


# ------------------------------------------------------------------------------------------------------ relevance

LONG = " ".join(f"w{i}" for i in range(60))
NAMED = Verdict("c0", MET, "rule:keywords:existence", evidence=(Span(0, 2), Span(30, 33)))
WHOLE = Verdict("c0", MET, "rule:length_constraints:number_words", scope="response")
JUDGED = Verdict("c0", MET, "judge:m")


def rows_of(make: Callable[[np.random.Generator], Any], verdict: Verdict, count: int = 16) -> list[Record]:
    draw = np.random.default_rng(0)
    return [
        record(
            [verdict if i % 2 else dataclasses.replace(verdict, outcome=UNMET)],
            [np.broadcast_to(make(draw), 60).tolist()],
            text=LONG,
            token_advantages=tuple([1.0, -1.0] * 30),
            advantages=tuple([1.0, -1.0] * 30),
        )
        for i in range(count)
    ]


def in_evidence(high: float, low: float) -> Any:
    row = np.full(60, low)
    row[[0, 10]] = high
    return row


@pytest.mark.parametrize(
    ("verdict", "value", "flat"),
    [
        (NAMED, 1.0, True),  # a rule that names words, and every token
        (NAMED, 0.0, True),
        (JUDGED, 0.5, True),
        (WHOLE, 0.5, True),
        (WHOLE, 1.0, False),  # by right
        (JUDGED, 1.0, False),
        (JUDGED, 0.0, False),
    ],
)
def test_relevance_that_is_the_same_for_all_tokens(verdict: Verdict, value: float, flat: bool) -> None:
    found = kinds(rows_of(lambda _: value, verdict))
    assert found == (["flat_relevance"] if flat else [])
    assert kinds(rows_of(lambda _: value, verdict, 15)) == []


def test_rows_that_are_flat_now_and_then() -> None:
    flat, uneven = rows_of(lambda _: 0.5, JUDGED, 17), rows_of(lambda _: in_evidence(1, 0), JUDGED, 3)
    assert kinds(flat + uneven) == []
    assert kinds(flat + flat + uneven) == ["flat_relevance"]


def test_a_run_without_token_level_credit_has_no_flat_relevance() -> None:
    records = [
        dataclasses.replace(r, token_advantages=(0.0,) * 60, advantages=(0.0,) * 60)
        for r in rows_of(lambda _: 0.0, NAMED)
    ]
    assert kinds(records) == []
    assert kinds(dataclasses.replace(r, token_weight=0.0) for r in rows_of(lambda _: 0.5, NAMED)) == []


def smooth(draw: np.random.Generator) -> Any:
    return np.clip(0.5 + 0.1 * np.cumsum(draw.normal(size=60)), 0, 1)


def picks_words(draw: np.random.Generator) -> Any:
    return np.where(draw.random(60) < 0.05, 0.9, 0.05) + 0.02 * draw.random(60)


@pytest.mark.parametrize(
    ("verdict", "make", "noisy"),
    [
        (JUDGED, lambda draw: draw.random(60), True),
        (NAMED, lambda draw: draw.random(60), True),
        (JUDGED, lambda draw: np.clip(0.9 + 0.001 * draw.normal(size=60), 0, 1), True),
        (JUDGED, smooth, False),
        (JUDGED, picks_words, False),
        (NAMED, lambda draw: in_evidence(0.9, 0.1) + 0.05 * draw.random(60), False),
        (NAMED, lambda draw: in_evidence(1.0, 0.0), False),  # evidence itself: single tokens
        (NAMED, lambda draw: (draw.random(60) < 0.1).astype(float), False),  # 0 and 1: some rule's evidence
    ],
)
def test_relevance_that_is_noise(verdict: Verdict, make: Callable[[np.random.Generator], Any], noisy: bool) -> None:
    assert kinds(rows_of(make, verdict)) == (["noisy_relevance"] if noisy else [])


def test_noise_needs_500_tokens() -> None:
    records = rows_of(lambda draw: draw.random(60), JUDGED, 8)
    assert kinds(records) == []
    assert kinds([*records, *rows_of(lambda draw: draw.random(60), JUDGED, 1)]) == ["noisy_relevance"]


def test_the_same_token_twice_with_the_same_relevance_is_no_noise() -> None:
    def by_token(draw: np.random.Generator) -> Any:
        return np.tile(draw.permutation(30), 2) / 30

    records = rows_of(by_token, JUDGED)
    assert kinds(records) == ["noisy_relevance"]
    repeating = [
        dataclasses.replace(r, response=dataclasses.replace(r.response, token_ids=tuple(range(30)) * 2))
        for r in records
    ]
    assert kinds(repeating) == []


def test_one_criterion_alone_can_be_noise() -> None:
    draw = np.random.default_rng(1)
    verdicts = [[JUDGED, Verdict("c1", outcome, "judge:m")] for outcome in (MET, UNMET)]
    records = [
        record(verdicts[i % 2], [draw.random(60).tolist(), smooth(draw).tolist()], text=LONG, step=i) for i in range(20)
    ]
    alarm = the("noisy_relevance", records)
    assert (alarm.task, alarm.criterion) == ("t", "c0")


# --------------------------------------------------------------------------------------------------------- credit


def shared(parts: Sequence[float], count: int = 16) -> list[Record]:
    verdicts = [Verdict(f"c{k}", MET, "judge:m") for k in range(len(parts))]
    return [
        dataclasses.replace(
            record([dataclasses.replace(v, outcome=(MET, UNMET)[(i + k) % 2]) for k, v in enumerate(verdicts)], []),
            criterion_advantages=tuple((part, -part, part, -part) for part in parts),
        )
        for i in range(count)
    ]


def credit_kinds(records: Iterable[Record]) -> list[str]:
    return [kind for kind in kinds(records) if kind != "never_together"]


def test_one_criterion_with_nearly_all_credit() -> None:
    assert the("dominated_credit", shared([9.2, 0.4, 0.4])).numbers["share"] == 0.92
    assert credit_kinds(shared([8.8, 0.6, 0.6])) == []
    assert credit_kinds(shared([9.6, 0.4])) == ["dominated_credit"]
    assert credit_kinds(shared([9.2, 0.8])) == []
    assert credit_kinds(shared([1.0, 0.0])) == []  # the other has no part in it
    assert credit_kinds(shared([9.2, 0.4, 0.4], 15)) == []


def test_parts_of_the_credit_are_computed_where_the_records_lack_them() -> None:
    half, one = [1.0, 0.0] * 1000, [1.0] + [0.0] * 1999
    text = " ".join("a" * 2000)
    records = [record([MET, UNMET] if i % 2 else [UNMET, MET], [half, one], text=text, step=i) for i in range(16)]
    alarm = the("dominated_credit", records)  # 2 sqrt(1 / 2000) = 0.0447 beside 1
    assert alarm.criterion == "c0"
    assert alarm.numbers["share"] == pytest.approx(1 / 1.0447, rel=1e-4)


def credited(token_advantages: Sequence[float], response: float = 0.0, weight: float = 1.0, **more: Any) -> Record:
    length = len(token_advantages)
    return record(
        [MET],
        [],
        text=" ".join("a" * length),
        response_advantage=response,
        token_advantages=tuple(token_advantages),
        advantages=tuple(response + weight * value for value in token_advantages),
        **more,
    )


def test_a_token_advantage_beyond_what_intra_sample_can_give() -> None:
    alarm = the("impossible_token_advantage", [credited([3.0, -1.0, -1.0, -1.0], step=4)])  # sqrt(4) = 2
    assert (alarm.severity, alarm.steps, alarm.numbers["largest"]) == ("error", (4, 4), 1.5)
    assert kinds([credited([2.0, -0.5, -0.5, -1.0])]) == []
    assert kinds([credited([3.0, 0.0, 0.0, 0.0])]) == []  # not of intra_sample, whose sum is 0


def test_a_token_that_is_louder_than_its_response() -> None:
    loud = credited([22.3] + [-22.3 / 499] * 499, response=1.0, weight=0.5)
    quiet = credited([1.0, -1.0] * 50, response=1.0)
    assert the("loud_token_advantage", [loud, *[quiet] * 98]).numbers["responses"] == 1
    assert kinds([loud, *[quiet] * 99]) == []  # 1 %
    assert kinds([credited([9.9] + [-9.9 / 499] * 499)]) == []


@pytest.mark.parametrize("where", ["token_advantages", "advantages", "relevance", "response_advantage", "reward"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite(where: str, value: float) -> None:
    broken: Any = value if where.startswith("re") and where != "relevance" else (value, 0.0, 0.0, 0.0)
    found = the("not_finite", [record([MET], **{where: (broken,) if where == "relevance" else broken})])
    assert (found.severity, found.numbers["records"]) == ("error", 1)
    assert kinds([record([MET], reward=None)]) == []


def test_parts_that_do_not_fit() -> None:
    assert kinds([record([MET], token_advantages=(0.0,) * 3)]) == ["shape"]
    assert kinds([record([MET], relevance=((0.0,) * 5,))]) == ["shape"]
    assert kinds([record([MET], relevance=(("a",) * 4,))]) == ["shape"]
    assert kinds([record([MET], verdicts=())]) == ["shape"]
    assert kinds([record([MET], relevance=((0.0, 0.0, 0.0, 1.1),))]) == ["relevance_range"]
    assert kinds([record([MET], relevance=((0.0, 0.0, 0.0, 1.000001),))]) == []


@pytest.mark.parametrize(("how", "weight"), [("add", 0.5), ("mix", 0.25), ("add", 0.0)])
def test_advantages_that_do_not_add_up(how: str, weight: float) -> None:
    token = np.asarray([1.73205, -0.57735, -0.57735, -0.57735])
    right = (0.75 if how == "mix" else 1.0) * 0.707107 + weight * token

    def made(advantages: Any) -> Record:
        plain = record(
            [MET],
            response_advantage=0.707107,
            token_advantages=tuple(token.tolist()),
            advantages=tuple(float(f"{value:.6g}") for value in advantages),
        )
        return dataclasses.replace(plain, token_weight=weight, combine=how)

    assert kinds([made(right)]) == []
    assert kinds([made(right * 0)]) == []  # masked as a whole
    assert the("advantages_do_not_add_up", [made(right + 0.001)]).severity == "error"
    assert kinds([dataclasses.replace(made(right + 0.001), combine=None)]) == []


# --------------------------------------------------------------------------------------------------------- trends


def of_lengths(lengths: Sequence[float], spread: int = 3) -> list[Record]:
    return [
        record([(MET, UNMET)[i % 2]], text=" ".join("a" * round(length + i - 2)), step=step)
        for step, length in enumerate(lengths, start=1)
        for i in range(spread)
    ]


def test_responses_that_grow_or_shrink() -> None:
    alarm = the("growing_responses", of_lengths(np.linspace(40, 80, 10)))
    assert alarm.steps == (1, 10)
    assert alarm.numbers["factor"] == pytest.approx(2, rel=0.1)
    assert kinds(of_lengths(np.linspace(80, 40, 10))) == ["shrinking_responses"]
    assert kinds(of_lengths(np.linspace(40, 56, 10))) == []
    assert kinds(of_lengths(np.linspace(40, 80, 7))) == []
    assert kinds(of_lengths([40, 90, 35, 70, 50, 95, 45, 60, 100, 85])) == []  # noise
    assert kinds(of_lengths([50] * 9 + [500])) == []  # one outlier


STUFFED = task(criterion("c", "keywords:existence", keywords=["robot"]))


def with_keyword(times: int, length: int, step: int = 1, outcome: Outcome = MET, draw: int = 0) -> Record:
    text = [f"w{(draw * 7919 + i) % 5000}" for i in range(length - times)] + ["robot"] * times
    random.Random(step * 100 + draw).shuffle(text)
    return record([outcome], of=STUFFED, text=" ".join(text), step=step, group=step)


def test_a_keyword_that_is_met_by_repeating_it() -> None:
    met = [with_keyword(6, 50, draw=i) for i in range(16)]
    alarm = the("keyword_stuffing", met)
    assert (alarm.criterion, alarm.numbers["times"], alarm.numbers["density"]) == ("c", 6, 0.12)
    assert kinds(met[:15]) == []
    assert kinds([with_keyword(6, 61, draw=i) for i in range(16)]) == []  # less than a tenth
    assert kinds([with_keyword(4, 20, draw=i) for i in range(16)]) == []  # 4 times
    assert kinds([with_keyword(6, 50, outcome=UNMET, draw=i) for i in range(16)]) == []


def keyword_run(counts: Sequence[int]) -> list[Record]:
    records = [with_keyword(n, 100, step, MET, i) for step, n in enumerate(counts, start=1) for i in range(3)]
    records += [with_keyword(0, 100, step, UNMET, 9) for step in range(1, len(counts) + 1)]
    return sorted(records, key=lambda r: r.step)


def test_keywords_that_become_more_and_more() -> None:
    alarm = the("keyword_stuffing", keyword_run([1, 1, 2, 2, 3, 3, 4, 4, 5]))
    assert alarm.criterion is None
    assert kinds(keyword_run([2, 1, 2, 2, 1, 2, 2, 1, 2])) == []
    assert kinds(keyword_run([1, 1, 1, 1, 2, 2, 2, 2, 2])) == []  # twice what is asked


def repeating_run(shares: Sequence[float]) -> list[Record]:
    return [
        record(
            [(MET, UNMET)[i % 2]],
            text=" ".join([f"w{j}" for j in range(round(100 * share))] + ["so"] * round(100 * (1 - share))),
            step=step,
        )
        for step, share in enumerate(shares, start=1)
        for i in range(2)
    ]


def test_responses_that_repeat_themselves() -> None:
    assert kinds(repeating_run(np.linspace(1, 0.7, 10))) == ["repetition"]
    assert kinds(repeating_run(np.linspace(1, 0.9, 10))) == []
    assert kinds(repeating_run([0.7, 1, 0.8, 0.9, 0.7, 1, 0.9, 0.75, 0.8, 0.7])) == []


def entropies(*values: float) -> list[dict[str, Any]]:
    return [{"step": step, "entropy": value} for step, value in enumerate(values, start=1)]


def a_run_with_a_word(
    passes: float = 1.0,
    decides: int = 3,
    shares: Sequence[float] = tuple(0.025 * step for step in range(24)),
    chance: float = 0.5,
    tasks: int = 6,
    prompt: str = "Write.",
    empty: float = 0.0,
) -> list[Record]:
    """Two groups of eight a step; of three criteria the word decides some, chance the others."""
    draw = random.Random(0)
    message = Message(role="user", content=prompt)
    asked = [
        task(*(criterion(f"c{k}") for k in range(3)), name=f"t{n}").model_copy(update={"prompt": (message,)})
        for n in range(tasks)
    ]
    found = []
    for step, share in enumerate(shares, start=1):
        for group in range(2):
            of = draw.choice(asked)
            for _ in range(8):
                word, nothing = draw.random() < share, draw.random() < empty
                met = [draw.random() < (passes if word and k < decides else chance) for k in range(3)]
                text = [draw.choice(VOCABULARY) for _ in range(20)] + ["xyzzy"] * word
                draw.shuffle(text)
                found.append(
                    record(
                        [MET if m and not nothing else UNMET for m in met],
                        of=of,
                        step=step,
                        group=group,
                        text="a" if nothing else " ".join(text),
                    )
                )
    return found


def test_a_word_with_which_everything_is_met() -> None:
    records = a_run_with_a_word()
    alarm = the("loophole", records)
    # Mantel and Haenszel by hand, over the groups in which the word makes a difference
    groups: dict[tuple[int, int], list[Record]] = {}
    for one in records:
        groups.setdefault((one.step, one.group), []).append(one)
    observed = expected = variance = 0.0
    for rows in groups.values():
        met = np.asarray([[v.outcome is MET for v in one.verdicts] for one in rows])
        word = np.asarray(["xyzzy" in one.response.text for one in rows])
        if (met.any(axis=0) & ~met.all(axis=0)).sum() < 2 or not word.any() or word.all():
            continue
        everything = met.all(axis=1)
        observed += float((word & everything).sum())
        expected += float(word.sum() * everything.mean())
        variance += float(word.sum() * (~word).sum() * everything.sum() * (~everything).sum() / (8**2 * 7))
    assert alarm.numbers["score"] == pytest.approx((observed - expected) / math.sqrt(variance), rel=1e-5)
    assert alarm.numbers["passed"] == 1
    assert alarm.numbers["without"] < 0.25
    assert "'xyzzy'" in alarm.title


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"passes": 0.5}, id="it changes nothing"),
        pytest.param({"decides": 1}, id="it is what one criterion asks for"),
        pytest.param({"shares": [0.3] * 24}, id="it does not spread"),
        pytest.param({"prompt": "Write about the XYZZY."}, id="the task names it"),
        pytest.param({"tasks": 3}, id="few tasks"),
        pytest.param(
            {"passes": 0.95, "chance": 0.95, "empty": 0.4, "shares": [step / 24 for step in range(24)]},
            id="empty responses fail",
        ),
    ],
)
def test_a_word_that_opens_no_door(changed: dict[str, Any]) -> None:
    assert "loophole" not in kinds(a_run_with_a_word(**changed))


def test_the_entropy_collapses() -> None:
    [alarm] = entropy_collapse(entropies(2, 2, 2, 1.5, 1, 0.5, 0.25, 0.25))
    assert (alarm.kind, alarm.severity, alarm.steps) == ("entropy_collapse", "warning", (1, 8))
    assert alarm.numbers == {"start": 2, "end": 0.25}
    assert list(entropy_collapse(entropies(2, 2, 2, 1.5, 1, 0.6, 0.6, 0.6))) == []
    assert list(entropy_collapse(entropies(2, 2, 2, 0.2, 0.2, 0.2, 0.2))) == []  # too few
    odd = [{"step": 1}, {"entropy": 2.0}, {"step": 2, "entropy": None}, {"step": 3, "entropy": math.nan}]
    assert list(entropy_collapse(odd * 10)) == []
    assert [a.kind for a in audit([], history=entropies(2, 2, 2, 1.5, 1, 0.5, 0.25, 0.25))] == ["entropy_collapse"]


# ----------------------------------------------------------------------------------------------- for all of them


def test_the_most_severe_come_first_and_are_json() -> None:
    records = [*groups_of(*[[MET] * 8] * 4), *groups_of(*[[UNMET] * 8] * 4)]
    records = [dataclasses.replace(r, task=task(criterion("c"), name=f"t{i // 32}")) for i, r in enumerate(records)]
    found = audit([*records, record([MET], reward=math.nan, step=9)])
    assert [alarm.severity for alarm in found] == ["error", "warning", "note"]
    [error, warning, _] = [json.loads(json.dumps(alarm.to_json(), allow_nan=False)) for alarm in found]
    assert error["steps"] == [9, 9]
    assert (warning["kind"], warning["task"], warning["criterion"]) == ("never_met", "t1", "c")
    assert Alarm("k", "note", "t", "a", numbers={"x": math.inf}).to_json()["numbers"] == {"x": None}


NUMBERS = st.one_of(st.floats(0, 1), st.floats(), st.sampled_from([0.0, 1.0]))
CRITERIA = st.sampled_from([criterion("x"), criterion("y", weight=-2), *(criterion(n, **RULES[n]) for n in RULES)])


@st.composite
def any_records(draw: st.DrawFn) -> list[Record]:
    """Records of any values; the values and texts are drawn by hypothesis, what stands where by a seed of its own."""
    choose = random.Random(draw(st.integers(0, 2**32)))
    numbers = [0.0, 1.0, *draw(st.lists(NUMBERS, min_size=1, max_size=4))]
    texts = draw(st.lists(st.text(max_size=30), min_size=1, max_size=3))
    criteria = draw(st.lists(CRITERIA, min_size=1, max_size=6, unique_by=lambda c: c.id))
    tasks = [task(*choose.sample(criteria, choose.randint(1, len(criteria))), name=choose.choice("ab")) for _ in "123"]
    return [
        any_record(choose, numbers, choose.choice(texts), choose.choice(tasks), step)
        for step in range(draw(st.integers(0, 10)))
        for _ in range(choose.randint(1, 4))
    ]


def any_record(choose: random.Random, numbers: Sequence[float], text: str, of: Task, step: int) -> Record:
    tokens = words(of.id, text)
    length = len(tokens.token_ids) + choose.choice([0, 0, 0, 0, 1])

    def values() -> tuple[float, ...]:
        return tuple(choose.choices(numbers, k=length))

    def rows() -> tuple[tuple[float, ...], ...]:
        return tuple(values() for _ in of.rubric.criteria)

    verdicts = tuple(
        Verdict(
            c.id,
            choose.choice(list(Outcome)),
            choose.choice(["judge:m", "rule:x", ""]),
            evidence=choose.choice([(), (Span(1, 9),)]),
            scope=choose.choice(["spans", "response"]),
        )
        for c in of.rubric.criteria
    )
    return Record(
        step=step,
        group=choose.randint(0, 2),
        task=of,
        response=tokens,
        verdicts=verdicts[: choose.choice([6, 6, 6, 1])],
        relevance=choose.choice([rows, tuple])(),
        reward=choose.choice([None, *numbers]),
        response_advantage=choose.choice(numbers),
        token_advantages=values(),
        advantages=values(),
        criterion_advantages=choose.choice([rows(), None]),
        token_weight=choose.choice([None, *numbers]),
        combine=choose.choice(["add", "mix", None, "?"]),
    )


@settings(max_examples=60)
@given(any_records(), st.randoms(use_true_random=False))
def test_any_records_are_audited_and_their_order_in_a_step_is_of_no_matter(
    records: list[Record], draw: random.Random
) -> None:
    found = audit(records)
    for alarm in found:
        assert alarm.severity in SEVERITIES
        json.dumps(alarm.to_json(), allow_nan=False)
    draw.shuffle(records)
    assert audit(sorted(records, key=lambda r: r.step)) == found  # sorted keeps the order within a step


def test_a_run_gives_the_same_alarms_in_any_order_within_a_step() -> None:
    records, history = healthy_run(5, steps=8)
    records = [
        dataclasses.replace(r, relevance=tuple(tuple(np.random.default_rng(i).random(len(row))) for row in r.relevance))
        for i, r in enumerate(records)
    ]
    found = audit(records, history=history)
    assert "noisy_relevance" in {alarm.kind for alarm in found}
    random.Random(0).shuffle(records)
    assert audit(sorted(records, key=lambda r: r.step), history=history) == found


def test_records_are_read_once() -> None:
    records, _ = healthy_run(0, steps=3)
    assert audit(iter(records)) == audit(records)
