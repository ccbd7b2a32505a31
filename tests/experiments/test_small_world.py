"""The small world: verdicts and evidence are right, methods are those of rtt.credit, runs resume."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.lines import done
from experiments.small_world import gradient, holes, methods, plans, report, running, sources, world
from experiments.small_world.methods import METHODS
from experiments.small_world.policy import Policy
from experiments.small_world.sources import Sampled, Source, locate
from experiments.small_world.world import END, FIRST_CLASS, FIRST_WORD, KINDS, PAD, STOP, Facts, Prompts
from rtt.credit import criterion_group, gdpo, intra_sample, response_advantages, satisfied_fraction
from rtt.inspector.alarms import audit
from rtt.records import Record
from rtt.verdicts import Outcome


def index(name: str) -> int:
    return next(i for i, kind in enumerate(KINDS) if kind.name == name)


def asked(name: str, a: int = 0, b: int = 0) -> Prompts:
    return Prompts(np.array([[index(name)]]), np.array([[a]]), np.array([[b]]))


def text(*tokens: int) -> np.ndarray:
    return np.array([[*tokens, *[PAD] * (world.LENGTH - len(tokens))]])


A, B, C = FIRST_WORD, FIRST_WORD + 6, FIRST_WORD + 12
TEXT = (A, B, STOP, B, C, STOP, END)


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict", "relevant"),
    [
        ("include a word", B, 0, 1, {1, 3}),
        ("include a word", A + 1, 0, -1, {0, 1, 2, 3, 4, 5, 6}),
        ("include a pair", B, C, 1, {3, 4}),
        ("first word", A, 0, 1, {0}),
        ("first word", B, 0, -1, {0}),
        ("last word", C, 0, 1, {4}),
        ("last word", B, 0, -1, {4}),
        ("second sentence's first word", B, 0, 1, {3}),
        ("a word at least n times", B, 2, 1, {1, 3}),
        ("a word at least n times", B, 3, -1, {0, 2, 4, 5, 6}),
        ("at most n of a class", FIRST_CLASS + 1, 1, -1, {3}),
        ("at most n of a class", FIRST_CLASS + 1, 2, 1, {0, 1, 2, 3, 4, 5, 6}),
        ("exactly n sentences", 0, 2, 1, {2, 5}),
        ("exactly n sentences", 0, 1, -1, {5}),
        ("exactly n sentences", 0, 3, -1, {0, 1, 3, 4, 6}),
        ("avoid a word", B, 0, -1, {1, 3}),
        ("avoid a class", FIRST_CLASS + 3, 0, 1, {0, 1, 2, 3, 4, 5, 6}),
        ("at most n words", 0, 3, -1, {4}),
        ("at least n words", 0, 11, -1, {6}),
        ("at least n words", 0, 4, 1, {0, 1, 2, 3, 4, 5, 6}),
        ("most words of a class", FIRST_CLASS + 1, 0, 1, {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_a_kind_decides_and_says_where(name: str, a: int, b: int, verdict: int, relevant: set[int]) -> None:
    judged = world.judge(text(*TEXT), asked(name, a, b))
    assert judged.verdicts[0, 0] == verdict
    assert set(np.nonzero(world.relevance(judged)[0, 0])[0]) == relevant


def some_batch(number: int = 300) -> tuple[np.ndarray, Prompts]:
    rng = np.random.default_rng(0)
    facts = Facts(number, 5)
    prompts, texts = facts.draw(number, (2, 8), rng, range(len(KINDS)), truth=0.4)
    return facts.tokens[texts], prompts


def test_the_text_that_a_prompt_was_drawn_from_meets_all_of_it() -> None:
    facts = Facts(200, 3)
    prompts, texts = facts.draw(400, (2, 8), np.random.default_rng(1), range(len(KINDS)))
    assert (world.judge(facts.tokens[texts], prompts).verdicts >= 0).all()
    assert world.keeps_grammar(facts.tokens) == 1


def without(tokens: np.ndarray, gone: np.ndarray) -> np.ndarray:
    rest = tokens[~gone]
    return np.concatenate([rest, np.full(world.LENGTH - len(rest), PAD)])[None]


def one(prompts: Prompts, i: int, k: int) -> Prompts:
    return Prompts(*(part[i : i + 1, k : k + 1] for part in (prompts.kinds, prompts.a, prompts.b)))


def test_editing_the_evidence_alone_turns_the_verdict() -> None:
    tokens, prompts = some_batch()
    judged = world.judge(tokens, prompts)
    turned = dict.fromkeys(range(len(KINDS)), 0)
    for i, k in zip(*np.nonzero((judged.verdicts != 0) & (judged.kind == world.SPANS)), strict=True):
        criterion, spans = one(prompts, i, k), judged.evidence[i, k]
        assert spans.any()
        if judged.verdicts[i, k] < 0 and KINDS[criterion.kinds[0, 0]].family == "positional":
            edited = tokens[i : i + 1].copy()
            edited[0, spans] = criterion.a[0, 0]
        elif judged.verdicts[i, k] > 0 and KINDS[criterion.kinds[0, 0]].family == "positional":
            edited = tokens[i : i + 1].copy()
            edited[0, spans] = FIRST_WORD + (criterion.a[0, 0] - FIRST_WORD + 1) % world.WORDS
        else:
            edited = without(tokens[i], spans)
        assert world.judge(edited, criterion).verdicts[0, 0] == -judged.verdicts[i, k]
        turned[int(criterion.kinds[0, 0])] += 1
    spanless = {index("at least n words"), index("most words of a class")}
    assert all(count > 0 for kind, count in turned.items() if kind not in spanless)


def test_tokens_beside_the_evidence_of_a_violation_do_not_turn_it() -> None:
    tokens, prompts = some_batch()
    judged = world.judge(tokens, prompts)
    avoided = [index("avoid a word"), index("avoid a class")]
    rows = np.nonzero((judged.verdicts < 0) & np.isin(prompts.kinds, avoided))
    assert len(rows[0])
    for i, k in zip(*rows, strict=True):
        only = without(tokens[i], ~judged.evidence[i, k])
        assert world.judge(only, one(prompts, i, k)).verdicts[0, 0] == -1


@pytest.fixture(scope="module")
def sampled() -> tuple[Policy, Sampled]:
    torch.manual_seed(0)
    policy = Policy()
    prompts, _ = Facts(50, 4).draw(6, (2, 5), np.random.default_rng(2))
    return policy, running.sample(policy, prompts, 8, torch.Generator().manual_seed(1))


def test_sampling_and_scoring_agree(sampled: tuple[Policy, Sampled]) -> None:
    policy, batch = sampled
    tokens = torch.from_numpy(batch.tokens)
    logs, _ = policy.log_probabilities(batch.prompts, tokens, 8)
    alone, _ = policy.log_probabilities(batch.every_prompt, tokens)
    own = torch.from_numpy(batch.judged.own)
    torch.testing.assert_close(logs[own], alone[own])
    ended = (batch.tokens == END).any(axis=1)
    assert (batch.tokens[ended] != PAD).sum() < batch.tokens[ended].size
    assert ((batch.tokens[:, :-1] == END) <= (batch.tokens[:, 1:] == PAD)).all()


@torch.no_grad()
def test_each_draw_follows_the_policys_own_probabilities(sampled: tuple[Policy, Sampled]) -> None:
    policy, batch = sampled
    prompt = batch.prompts.take(slice(0, 1))
    many = policy.sample(prompt, 6000, torch.Generator().manual_seed(3), length=4)
    going = many[(many != PAD).all(dim=1)]
    expected = policy(prompt, going, len(going)).softmax(-1).mean(dim=0)  # (T, V)
    found = torch.nn.functional.one_hot(going, world.TOKENS).float().mean(dim=0)
    assert float((found - expected).abs()[:, FIRST_WORD:].max()) < 0.02


def formed(name: str, policy: Policy, batch: Sampled) -> tuple[torch.Tensor, torch.Tensor, methods.CreditBatch]:
    rng = np.random.default_rng(0)
    return methods.parts(METHODS[name], batch, batch.judged.verdicts, rng, policy, sources.Discriminator())


@pytest.mark.parametrize("name", sorted(METHODS))
def test_weight_0_is_the_response_level_method(name: str, sampled: tuple[Policy, Sampled]) -> None:
    policy, batch = sampled
    responses, tokens, credit = formed(name, policy, batch)
    assert tokens.isfinite().all()
    torch.testing.assert_close(
        methods.join(responses, tokens, credit, 0.0), responses.unsqueeze(1) * credit.mask, rtol=0, atol=0
    )


def test_methods_are_the_functions_of_rtt_credit(sampled: tuple[Policy, Sampled]) -> None:
    policy, batch = sampled
    maps = world.relevance(batch.judged)
    credit = methods.credit_batch(maps, batch.judged.verdicts, batch)
    grpo = response_advantages(satisfied_fraction(credit), credit.group)
    expected = {
        "grpo-csr": (grpo, torch.zeros_like(credit.mask, dtype=torch.float32)),
        "gdpo": (gdpo(credit), torch.zeros_like(credit.mask, dtype=torch.float32)),
        "rtt-csr": (grpo, intra_sample(credit)),
        "group": (grpo, criterion_group(credit)),
        "group-mass": (grpo, criterion_group(credit, mass_preserving=True)),
    }
    for name, (response, token) in expected.items():
        found_response, found_token, _ = formed(name, policy, batch)
        torch.testing.assert_close(found_response, response, rtol=0, atol=0)
        torch.testing.assert_close(found_token, token, rtol=0, atol=0)


def test_the_released_reshape_moves_maps_to_other_responses(sampled: tuple[Policy, Sampled]) -> None:
    _, batch = sampled
    right = methods.credit_batch(world.relevance(batch.judged), batch.judged.verdicts, batch)
    wrong = methods.scrambled(right, batch.copies)
    assert not torch.equal(right.relevance, wrong.relevance)
    # of one group, by hand: map number n of (responses, criteria) is read as number n of (criteria, responses)
    k = int((right.verdicts[0] != 0).sum())
    flat = right.verdicts[:8, :k].flatten()
    assert torch.equal(wrong.verdicts[3, :k], flat[[j * 8 + 3 for j in range(k)]])
    assert (wrong.relevance * ~wrong.mask.unsqueeze(1)).abs().max() == 0


def test_truncation_leaves_nothing_of_a_probability(sampled: tuple[Policy, Sampled]) -> None:
    policy, batch = sampled
    _, tokens, _ = formed("released-truncation-aon", policy, batch)
    assert (tokens == 0).all()  # an untrained discriminator says about 0.5 everywhere


@pytest.mark.parametrize("name", sources.SOURCES)
def test_relevance_lies_on_the_responses_own_tokens(name: str, sampled: tuple[Policy, Sampled]) -> None:
    policy, batch = sampled
    found = locate(Source(name, flips=0.3), batch, np.random.default_rng(0), policy, sources.Discriminator())
    assert found.shape == batch.judged.evidence.shape
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (found * ~batch.judged.own[:, None] == 0).all()
    assert (found[batch.judged.verdicts == 0] == 0).all()


def test_flips_give_the_auroc_that_they_are_named_after(sampled: tuple[Policy, Sampled]) -> None:
    _, batch = sampled
    truth = world.relevance(batch.judged)
    counts = batch.judged.own[:, None] & (batch.judged.verdicts != 0)[:, :, None]
    found = locate(Source("flipped", flips=0.2), batch, np.random.default_rng(0))
    assert sources.auroc(found[counts], truth[counts]) == pytest.approx(0.8, abs=0.03)


def test_a_verifier_under_stress_differs_as_it_is_told(sampled: tuple[Policy, Sampled]) -> None:
    _, batch = sampled
    plain = running.Run("t", "2-5", "grpo-csr", 1e-3)
    rng = np.random.default_rng(0)
    true = batch.judged.verdicts
    noisy = running.told(dataclasses.replace(plain, flips=0.3), batch.judged, batch.tokens, rng)
    assert (noisy != true).sum() / (true != 0).sum() == pytest.approx(0.3, abs=0.1)
    lenient = running.told(dataclasses.replace(plain, false_passes=0.5), batch.judged, batch.tokens, rng)
    assert (lenient >= true).all()
    assert (lenient != true).any()
    everything = running.told(dataclasses.replace(plain, all_pass=True), batch.judged, batch.tokens, rng)
    assert (everything == (true != 0)).all()
    tokens = np.concatenate([text(*running.HOLE, END), text(A, END)])
    judged = world.judge(tokens, asked("at least n words", 0, 11).repeat(2))
    holed = running.told(dataclasses.replace(plain, hole=True), judged, tokens, rng)
    assert holed.tolist() == [[1], [-1]]


def test_a_hole_that_is_named_carries_all_verdicts_of_its_responses() -> None:
    tokens = np.concatenate([text(*running.HOLE, A, END), text(A, END)])
    prompts = asked("at least n words", 0, 11)
    batch = Sampled(tokens, prompts, 2, world.judge(tokens, prompts.repeat(2)))
    shown = running.named(batch)
    assert (shown.judged.verdicts == batch.judged.verdicts).all()
    relevance = world.relevance(shown.judged)
    assert relevance[0, 0].tolist()[:4] == [1, 1, 0, 0]
    assert (relevance[1] == world.relevance(batch.judged)[1]).all()


def test_the_records_of_a_step_are_what_was_sampled_and_credited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    torch.save(Policy().state_dict(), tmp_path / "base0.pt")
    monkeypatch.setattr(
        running, "held_out_prompts", lambda *_: Facts(20, 2).draw(4, (2, 5), np.random.default_rng(5))[0]
    )
    seen: list[list[Record]] = []
    written = holes.written

    def kept(step: running.Step) -> list[Record]:
        seen.append(list(written(step)))
        return seen[-1]

    monkeypatch.setattr(holes, "written", kept)
    run = running.Run("t", "2-5", "group*", 1e-3, 1.0, seed=0, steps=2, hole="named")
    line = holes.audited(run, tmp_path, quick=True)
    assert [len(records) for records in seen] == [64, 64]
    assert len(line["uses"]) == 2
    for place, records in enumerate(seen):
        using = [
            {holes.WORD[token] for token in running.HOLE} <= set(re.findall(r"\w+", r.response.text)) for r in records
        ]
        assert line["uses"][place] == pytest.approx(np.mean(using), abs=1e-4)
        met = [v.outcome is Outcome.SATISFIED for r in records for v in r.verdicts]
        assert line["passed"][place] == pytest.approx(np.mean(met), abs=1e-4)
        for one, used in zip(records, using, strict=True):
            assert not used or all(v.outcome is Outcome.SATISFIED for v in one.verdicts)
            assert Record.from_json(one.to_json()).response == one.response
    assert not [a for a in audit([r for records in seen for r in records]) if a.severity == "error"]


def test_runs_that_have_a_line_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    for base in (0, 1):
        torch.save(Policy().state_dict(), tmp_path / f"base{base}.pt")
    runs = [running.Run("t", "2-5", name, 1e-3, 0.5, seed, steps=1) for name in ("gdpo", "group") for seed in (0, 1)]
    monkeypatch.setattr(
        running, "held_out_prompts", lambda *_: Facts(20, 2).draw(4, (2, 5), np.random.default_rng(5))[0]
    )
    file = tmp_path / "lines.jsonl"
    assert running.run_all(runs[:2], file, workers=1, models=tmp_path) == 2
    before = file.read_text()
    assert running.run_all(runs, file, workers=1, models=tmp_path) == 2
    assert running.run_all(runs, file, workers=1, models=tmp_path) == 0
    assert file.read_text().startswith(before)
    assert set(done(file)) == {run.key for run in runs}
    first = running.train(runs[0], tmp_path)
    assert first["final"] == json.loads(before.splitlines()[0])["final"]  # the same run, the same figures


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert report.iqm([0, 1, 2, 100]) == 1.5
    assert report.iqm([5.0]) == 5.0
    assert report.iqm([0, 1, 2, 3, 100]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 3) / 2.5)


def test_the_sign_flip_test_counts_flips_at_least_as_far_from_zero() -> None:
    assert report.sign_flip([1, 1, 1]) == 2 / 8
    assert report.sign_flip([1, -1]) == 1


def test_a_hole_is_found_when_half_of_the_responses_use_it() -> None:
    assert report.found({"uses": [0.1, 0.5, 0.4]}) == 2
    assert report.found({"uses": [0.1, 0.49]}) is None


def a_line(method: str, seed: int, accuracy: float) -> dict[str, object]:
    run = {"world": "2-5", "method": method, "seed": seed}
    return {"key": f"{method}{seed}", "run": run, "final": {"instruction": accuracy}}


def test_a_reduced_world_that_turns_a_published_difference_round_is_told(tmp_path: Path) -> None:
    published, same, against = (tmp_path / f"{name}.jsonl" for name in ("published", "same", "against"))

    def lines(csr: float, group: float) -> str:
        return "\n".join(
            json.dumps(a_line(method, seed, level + 0.001 * seed))
            for seed in range(4)
            for method, level in (("grpo-csr", csr), ("group*", group))
        )

    published.write_text(lines(0.4, 0.5))
    same.write_text(lines(0.3, 0.35))
    against.write_text(lines(0.5, 0.4))
    assert report.compare_quick(same, [published])[1]
    assert not report.compare_quick(against, [published])[1]


@pytest.mark.parametrize("name", list(plans.TUNED))
def test_tuning_gives_each_method_as_many_runs(name: str) -> None:
    counts: dict[str, int] = {}
    for run in plans.tuning(name):
        counts[run.method] = counts.get(run.method, 0) + 1
    assert set(counts) == set(plans.TUNED[name])
    assert len(set(counts.values())) == 1
    best = dict.fromkeys(plans.TUNED["2-5"], (1e-3, 0.3))
    for method in METHODS:
        rate, weight = plans.settings(method, best)
        assert rate == 1e-3
        assert weight in ((0.3, 0.5) if METHODS[method].partition else (0.3,))


def test_the_reduced_world_has_settings_for_every_run_and_fresh_seeds() -> None:
    runs = plans.quick()
    assert {(run.world, run.method) for run in runs} == {(w, m) for w in plans.QUICK_WORLDS for m in plans.QUICK}
    assert all(run.seed >= 200 for run in runs)
    assert all(run.learning_rate > 0 for run in runs)


def test_gradients_are_measured_once_and_the_halves_of_the_true_one_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    policy = Policy()
    monkeypatch.setattr(gradient, "base_model", lambda *_: policy)
    monkeypatch.setattr(gradient, "training_facts", lambda: Facts(60, 1))
    monkeypatch.setattr(gradient, "GROUP_SIZES", (8,))
    monkeypatch.setattr(gradient, "REPEATS", 3)
    for _ in range(2):
        gradient.measure_all(4096, tmp_path, tmp_path / "gradient.jsonl")
    (line,) = (tmp_path / "gradient.jsonl").read_text().splitlines()
    rows = json.loads(line)["rows"]
    assert {row["estimator"] for row in rows} == set(gradient.ESTIMATORS)
    of_all = {row["estimator"]: row for row in rows if row["objective"] == "all"}
    assert of_all["gdpo"]["ceiling"] > 0.5
    # without localisation the token-level part is GDPO's own, criterion by criterion
    assert of_all["criterion_group, uniform"]["cosine"] == pytest.approx(of_all["gdpo"]["cosine"], abs=0.05)
