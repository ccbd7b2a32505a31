"""``rtt judge check TASKS RESPONSES``: a judge's verdicts beside gold verdicts, beside its own, and what they cost.

read_responses ─> Answer ─┬─ gold_of_rules    the rules decide; the judge gets the criterion's words alone
                          └─ gold_of_file     verdicts as `rtt verify --out` writes them, gone over by a person
                                  │
                                Item, Item, ...    one response, its criteria without their rules, gold verdicts
                                  │  ask: once; again (--repeats); in other orders (--orders)
                                  ▼
                               Answers ─> measured ─> Check ─> tables, one sentence, JSON (--out)
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtt.answers import read_responses
from rtt.cli.judge.asking import (
    ORDERS_FROM,
    Answers,
    Check,
    Cost,
    ask,
    attempts_on,
    measured,
    other_orders,
    schedule_orders,
)
from rtt.cli.judge.gold import Gold, Item, Progress, drawn, gold_of_file, gold_of_rules
from rtt.cli.judging import judge_options
from rtt.cli.terminal import console, count_bars, counted, print_table, quoted, refuse_overwriting
from rtt.cli.verify import criterion_option
from rtt.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.cli.judging import JudgeChoice
    from rtt.verdicts import Verdict
    from rtt.verifiers.judge import JudgeReport
    from rtt.verifiers.judge.agreement import Agreement, Estimate
    from rtt.verifiers.judge.injections import InjectionReport

_SHOWN = 30  # rows of the table by criterion; --out has all
_FEW = 30  # responses
_WIDE = 0.2  # an interval from which on it is told to be wide


@click.command()
@click.argument("tasks", type=click.Path(path_type=Path))
@click.argument("responses", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--gold",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Gold verdicts, one JSON object a line as `rtt verify --out` writes them.  [default: what the rules say]",
)
@judge_options(required=True)
@click.option(
    "--repeats",
    type=click.IntRange(min=1, max=ORDERS_FROM),
    default=1,
    show_default=True,
    metavar="N",
    help="Ask everything N times, and see whether the judge says the same.",
)
@click.option(
    "--orders",
    type=click.IntRange(min=0, max=ORDERS_FROM),
    default=0,
    show_default=True,
    metavar="N",
    help="Also ask the criteria of each response in N other orders, and see whether verdicts change.",
)
@click.option(
    "--injections",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Also put N attempts to talk the judge into a yes into each response that violates a criterion.",
)
@criterion_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N responses, drawn at random.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write everything, each question too, as JSON here."
)
def check(
    tasks: Path,
    responses: Path,
    gold: Path | None,
    judge: JudgeChoice,
    repeats: int,
    orders: int,
    injections: int,
    patterns: tuple[str, ...],
    limit: int | None,
    seed: int,
    out: Path | None,
) -> None:
    """Measure how far a judge's verdicts on RESPONSES agree with gold verdicts.

    TASKS is a task file (or a file in IFEval's format). RESPONSES has one JSON object a line, as for `rtt verify`.
    Without --gold the rules are the gold, so that any judge can be measured for free: it is shown the words of the
    criteria that rules decide, and not the rules.

    \b
    A model on this machine, on 100 responses, beside the rules:
        rtt judge check tasks.jsonl responses.jsonl --limit 100 \\
            --judge Qwen/Qwen3-8B --base-url http://127.0.0.1:8000/v1
    \b
    Beside verdicts of your own: have them proposed, go over them (outcome 1, -1, or 0 to leave out), measure:
        rtt verify tasks.jsonl responses.jsonl --judge gpt-4o --out gold.jsonl
        $EDITOR gold.jsonl
        rtt judge check tasks.jsonl responses.jsonl --gold gold.jsonl --judge gpt-4o-mini
    \b
    Does it say the same again, and in another order? Is it cheaper to ask for one criterion at a time?
        rtt judge check tasks.jsonl responses.jsonl --judge gpt-4o-mini --repeats 3 --orders 2 --temperature 0.7
        rtt judge check tasks.jsonl responses.jsonl --judge gpt-4o-mini --per-call 1 --price 0.15,0.6
    \b
    Can responses talk it into a yes?
        rtt judge check tasks.jsonl responses.jsonl --judge gpt-4o-mini --limit 50 --injections 5
    \b
    Where it calls satisfied what is violated, and why:
        rtt judge check tasks.jsonl responses.jsonl --judge gpt-4o-mini --out check.json
        jq '.questions[] | select(.gold.outcome == -1 and .judge.outcome == 1) | [.criterion, .judge.reason]' check.json

    Accuracy: the share of the judge's verdicts that are gold's. Kappa: agreement beyond what chance gives (0) up to
    perfect (1). False yes: of what is violated, the share that it calls satisfied: what a policy would be paid for.
    False no: of what is satisfied, the share that it calls violated. All four are over the criteria that the judge
    determined; the others are told as 'cannot tell' and 'failed'. Intervals are 95 %, drawing responses anew.

    Answers are kept in the cache: the same command again asks only for what is missing.

    Exit codes: 0 measured, whatever it says; 1 interrupted; 2 something given cannot be used, or the judge gave no
    usable answer at all, and the message says why.
    """
    from rtt.verifiers.judge.drafting import read_accepted

    refuse_overwriting(out, tasks, responses, *([] if gold is None else [gold]))
    if out is not None and not out.parent.is_dir():  # before anything is paid for
        raise DataError(f"--out {out}: there is no folder {out.parent}; make it, or write elsewhere")
    by_id = {task.id: task for task in read_accepted(tasks)}
    stdout, stderr = console(), console(stderr=True)
    answers = list(read_responses(responses, by_id, tasks))
    if not answers:
        raise DataError(f"{responses}: has no response in it; expected one JSON object a line")
    with _bar(stderr, "rules") as bar:
        known = gold_of_rules(answers, patterns, bar) if gold is None else gold_of_file(gold, answers, by_id, patterns)
    items = drawn(known.items, limit, seed)
    if not items:
        raise DataError(f"{gold or tasks}: {_nothing_to_ask(gold, known, patterns)}")
    asks = judge.build()
    shares_calls = asks.criteria_per_call != 1 and any(other_orders(item) for item in items)
    schedule = schedule_orders(items, orders if shares_calls else 0, seed)
    attempts = attempts_on(items, injections, seed)
    total = repeats * sum(len(item.criteria) for item in items)
    total += sum(len(permutation) for order in schedule for permutation in order.values())
    began = time.monotonic()
    try:
        with _bar(stderr, "judge") as bar:
            advance = bar(total)
            found = ask(asks, items, repeats=repeats, schedule=schedule, seed=seed, progress=advance)
        with _bar(stderr, "attempts") as bar:
            talked = None if attempts is None else attempts.measure(asks, bar)
    except KeyboardInterrupt:
        kept = "what came is in the cache, and the same command asks only for the rest"
        stderr.print(
            f"stopped after {counted(asks.report.criteria, 'answer')}: "
            + ("without a cache none is kept" if judge.cache is None else kept),
            soft_wrap=True,
        )
        raise
    result = measured(items, found, asks.report, seconds=time.monotonic() - began, seed=seed)
    notes = _notes(result, known, gold, asks.temperature, orders, shares_calls)
    print_check(stdout, result, talked, model=asks.model, against=str(gold or "the rules"), notes=notes)
    if out is not None:
        details = {
            "judge": asks.model,
            "temperature": asks.temperature,
            "criteria_per_call": asks.criteria_per_call,
            "tasks": str(tasks),
            "responses": str(responses),
            "gold": "rules" if gold is None else str(gold),
            "left_out": {what: count for what, count in known.left_out.items() if count},
            "seed": seed,
        }
        write_check(out, details, result, items, found, talked)
        stderr.print(f"all numbers and questions: {out}", soft_wrap=True)


# -------------------------------------------------------------------------------------------------------------- output


def conclusion(found: Agreement) -> str:
    """What the figures allow to say, in a sentence or two: no more than the intervals do."""
    kappa, false_yes, accuracy = found.kappa, found.false_yes, found.accuracy
    if accuracy.value is None:
        return f"The judge determined none of {counted(found.questions, 'criterion', 'criteria')}: nothing can be said."
    parts = []
    if kappa.value is None:
        parts.append(
            "Gold and judge say one and the same of everything, so agreement beyond chance cannot be told: "
            "give responses that meet their criteria, and some that miss them."
        )
    elif kappa.low is None and kappa.value < 1:
        parts.append(f"How sure a kappa of {kappa.value:.2f} is cannot be told from these responses.")
    elif kappa.low is not None and kappa.low <= 0:
        parts.append(f"Its agreement cannot be told from chance: kappa {_between(kappa)}.")
    else:
        parts.append(f"It agrees beyond chance: kappa {_between(kappa)}.")
    if false_yes.value is None:
        parts.append("Nothing that it determined is violated, so its false yes is not known.")
    else:
        parts.append(f"Of what is violated it calls {_between(false_yes, percent=True)} satisfied.")
    wide = [
        name
        for name, one in (("accuracy", accuracy), ("false yes", false_yes), ("false no", found.false_no))
        if one.width is not None and one.width > _WIDE
    ]
    if found.responses < _FEW:
        parts.append(f"{counted(found.responses, 'response')} are few: give more before you rely on this.")
    elif wide:
        parts.append(f"Wide intervals ({', '.join(wide)}): more responses narrow them.")
    return " ".join(parts)


def _between(one: Estimate, *, percent: bool = False) -> str:
    def number(value: float) -> str:
        return f"{100 * value:.0f}" if percent else f"{value:.2f}"

    unit = " %" if percent else ""
    assert one.value is not None  # nosec B101 # a fact for the type checker
    if one.low is None or one.high is None:
        return f"{number(one.value)}{unit}"
    return f"between {number(one.low)} and {number(one.high)}{unit}"


def print_check(
    stdout: Console,
    found: Check,
    talked: InjectionReport | None = None,
    *,
    model: str,
    against: str,
    notes: Sequence[str] = (),
) -> None:
    """Print the figures: all together, by criterion, what it cost, and in the end what may be concluded.

    Args:
        stdout: where to.
        found: the figures.
        talked: what attempts to talk the judge into a yes came to.
        model: the judge's name.
        against: what gold is, in words.
        notes: what a reader should know, a line each.
    """
    from rich.text import Text

    from rtt.cli.judging import print_report

    whole = found.agreement
    stdout.print(
        Text(
            f"judge {model} beside {against}: {whole.questions:,} criteria of {counted(whole.responses, 'response')}",
            style="bold",
        )
    )
    print_table(stdout, ("", "value", "95 %", "of"), _rows(found))
    if len(found.by_criterion) > 1:
        rows = [_criterion_row(name, one) for name, one in found.by_criterion.items()]
        heads = ("criterion", "n", "accuracy", "kappa", "false yes", "false no", "cannot tell", "failed")
        print_table(stdout, heads, rows[:_SHOWN])
        if len(rows) > _SHOWN:
            stdout.print(
                f"and {len(rows) - _SHOWN:,} more, none with a lower accuracy: --out FILE has all", style="dim"
            )
    if talked is not None:
        stdout.print(talked.table())
        stdout.print(talked.summary(), soft_wrap=True)
    print_report(stdout, found.report)
    stdout.print(_cost_in_words(found.cost), soft_wrap=True)
    for note in notes:
        stdout.print(note, soft_wrap=True)
    stdout.print(Text(conclusion(whole), style="bold"), soft_wrap=True)


def _rows(found: Check) -> list[tuple[str, str, str, str]]:
    whole = found.agreement
    rows = [
        _row("accuracy", whole.accuracy, "determined"),
        _row("Cohen's kappa", whole.kappa, "determined", percent=False),
        _row("false yes", whole.false_yes, "violated"),
        _row("false no", whole.false_no, "satisfied"),
        _row("cannot tell", whole.cannot_tell, "criteria"),
        _row("failed", whole.failed, "criteria"),
    ]
    if found.consistency is not None:
        rows.append(_row(f"the same in all {found.consistency.repeats} repeats", found.consistency.same, "criteria"))
        rows.append(_row("two repeats agree", found.consistency.pairwise, "criteria"))
    if found.order is not None:
        rows.append(_row("changed by another order", found.order.changed, "answers"))
    if found.evidence is not None:
        rows.append(_row("evidence, precision", found.evidence.precision, "verdicts"))
        rows.append(_row("evidence, recall", found.evidence.recall, "verdicts"))
        rows.append(_row("evidence, F1", found.evidence.f1, "verdicts"))
    return rows


def _row(name: str, one: Estimate, of: str, *, percent: bool = True) -> tuple[str, str, str, str]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f}" if percent else f"{value:.2f}"

    unit = " %" if percent and one.value is not None else ""
    interval = "-" if one.low is None else f"{number(one.low)} to {number(one.high)}"
    return name, f"{number(one.value)}{unit}", interval, f"{one.n:,} {of}"


def _criterion_row(name: str, one: Agreement) -> tuple[str, ...]:
    def rate(share: Estimate) -> str:
        return "-" if share.value is None else f"{100 * share.value:.0f} % of {share.n}"

    accuracy, kappa = one.accuracy.value, one.kappa.value
    return (
        quoted(name, 48),
        f"{one.questions:,}",
        "-" if accuracy is None else f"{100 * accuracy:.1f} %",
        "-" if kappa is None else f"{kappa:.2f}",
        rate(one.false_yes),
        rate(one.false_no),
        *(f"{sum(row[column] for row in one.table):,}" for column in (2, 3)),
    )


def _cost_in_words(cost: Cost) -> str:
    if not cost.asked:
        return "cost of 1,000 criteria: -, all answers were in the cache"
    price = "" if cost.usd is None else f", {cost.usd:.4g} USD"
    return (
        f"cost of 1,000 criteria: {cost.requests:,.0f} requests, {cost.prompt_tokens:,.0f} prompt and "
        f"{cost.completion_tokens:,.0f} completion tokens, {cost.seconds:,.1f} s{price} (from {cost.asked:,} asked)"
    )


def _notes(
    found: Check, known: Gold, gold: Path | None, temperature: float | None, orders: int, shares_calls: bool
) -> list[str]:
    notes = []
    if gold is None:
        notes.append("gold is what the rules say; the judge read the words of the criteria, without the rules")
    if left := _in_words(known.left_out):
        notes.append(f"left out: {left}")
    if found.consistency is not None and temperature == 0:
        notes.append(
            "the temperature is 0: repeats show what chance is left; how sure the judge is shows with --temperature 0.7"
        )
    if orders and not shares_calls:
        notes.append("--orders: each criterion is asked alone, so there is no order to change; nothing more was asked")
    if found.order is not None and found.consistency is not None and found.consistency.pairwise.value is not None:
        by_chance = 100 * (1 - found.consistency.pairwise.value)
        notes.append(f"two answers in the same order differ in {by_chance:.1f} %: the order is to blame beyond that")
    return notes


def _nothing_to_ask(gold: Path | None, known: Gold, patterns: Sequence[str]) -> str:
    left = _in_words(known.left_out)
    if patterns:
        return f"no criterion with a gold verdict matches {list(patterns)} ({left}); expected an id or a rule's name"
    if gold is None:
        return f"no criterion of these responses is decided by a rule ({left}); give gold verdicts with --gold FILE"
    return f"no gold verdict is left ({left}); expected outcomes of 1 or -1"


def _in_words(left_out: Mapping[str, int]) -> str:
    def plural(what: str, count: int) -> str:
        if count == 1:
            return what
        return what.replace("criterion", "criteria").replace("response", "responses")

    return ", ".join(f"{count:,} {plural(what, count)}" for what, count in sorted(left_out.items()) if count)


def write_check(
    out: Path,
    details: Mapping[str, Any],
    found: Check,
    items: Sequence[Item],
    answers: Answers,
    injections: InjectionReport | None = None,
) -> None:
    """Write everything as one JSON object, the questions with all their answers included.

    Outcomes of repeats and orders are null where an answer failed, or was not asked for.
    """
    from rtt.json_lines import write_lines

    value = {
        **details,
        "agreement": asdict(found.agreement),
        "by_criterion": [{"criterion": name, **asdict(one)} for name, one in found.by_criterion.items()],
        "evidence": None if found.evidence is None else asdict(found.evidence),
        "consistency": None if found.consistency is None else asdict(found.consistency),
        "order": None if found.order is None else asdict(found.order),
        "injections": None if injections is None else injections.to_json(),
        "cost_per_1000_criteria": asdict(found.cost),
        "done": _report_json(found.report),
        "conclusion": conclusion(found.agreement),
        "questions": list(_questions_json(items, answers)),
    }
    text = json.dumps(value, ensure_ascii=False, indent=1)
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(value, indent=1)  # half a surrogate pair has no UTF-8: only an escape can carry it
    with write_lines(out) as write:
        write(text)


def _report_json(report: JudgeReport) -> dict[str, Any]:
    counts = ("calls", "asked", "cached", "shared", "failed", "cannot_tell", "dropped_quotes")
    names = (*counts, "prompt_tokens", "completion_tokens")
    value = {name: getattr(report, name) for name in names}
    return {**value, "failures": dict(report.failures), "usd": report.cost}


def _questions_json(items: Sequence[Item], answers: Answers) -> Iterator[dict[str, Any]]:
    from rtt.records import verdict_to_json

    def outcome(verdict: Verdict | None) -> int | None:
        return None if verdict is None or verdict.failed else int(verdict.outcome)

    for place, item in enumerate(items):
        for k, criterion in enumerate(item.criteria):
            yield {
                "task_id": item.answer.task.id,
                "line": item.answer.line,
                "index": item.answer.index,
                "criterion_id": criterion.id,
                "criterion": criterion.text,
                "name": item.names[k],
                "gold": verdict_to_json(item.gold[k]),
                "judge": verdict_to_json(answers.repeats[0][place][k]),
                "repeats": [outcome(one[place][k]) for one in answers.repeats],
                "orders": [outcome(one[place][k] if place in one else None) for one in answers.orders],
            }


@contextlib.contextmanager
def _bar(where: Console, label: str) -> Iterator[Callable[[int], Progress]]:
    """A bar on a terminal, nothing elsewhere: called with how much there is, it gives what to call with each step."""
    with count_bars(where) as bars:

        def begin(total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total)
            return lambda count: bars.advance(task, count)

        yield begin
