"""Which runs each stage has, and what they are tuned on.

tuning      in each world six settings for each method on one seed, the best three of them on another; the best
            mean is chosen
headline, harder                ten fresh seeds: 2-5 and 6-8 criteria a prompt
second, second-relevance        ten others: what the first series taught, also on longer texts with a larger policy
remedies, relevance, stress     the first of these seeds, 2-5 criteria
holes, partitions               five others each
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.lines import done
from experiments.small_world.methods import METHODS
from experiments.small_world.running import Run

RESULTS = Path("results/small_world")

RATES = (3e-4, 6e-4)
SIZES = (0.05, 0.2, 0.7)
FINER_RATES = (2e-4, 3.5e-4, 5e-4, 7e-4, 1e-3, 1.4e-3)
FINER_RATES_OF: Mapping[str, tuple[float, ...]] = {"long 6-8": (1e-4, 2e-4, 3.5e-4, 5e-4, 7e-4, 1e-3)}
"""In a world where they are not ``FINER_RATES``: with fewer criteria the smallest came out best."""

SIZES_OF: Mapping[str, tuple[float, ...]] = {"gdpo+group*": (0.5, 1.0, 3.0)}
"""Sizes where they are not ``SIZES``: what an exploration on seeds 300-303 suggested."""

TUNED = {
    "2-5": ("grpo-aon", "grpo-csr", "gdpo", "rtt-aon", "rtt-csr", "group", "gdpo+group*"),
    "6-8": ("grpo-aon", "grpo-csr", "gdpo", "rtt-csr", "group", "gdpo+group*"),
    "long 2-5": ("grpo-aon", "grpo-csr", "gdpo", "rtt-csr", "gdpo+group*"),
    "long 6-8": ("grpo-aon", "grpo-csr", "gdpo", "rtt-csr", "gdpo+group*"),
}
"""Methods with settings of their own; the others take those of the method that they vary."""

TUNING_SEEDS = (100, 101)
HEADLINE_SEEDS = tuple(range(10))
SEEDS = tuple(range(5))
SECOND_SEEDS = tuple(range(400, 410))
HARDER_SEEDS = tuple(range(410, 420))


def tuning(world: str = "2-5") -> list[Run]:
    """Six settings for each tuned method, on a seed of their own."""
    settings = {
        method: [(rate, size) for rate in RATES for size in SIZES_OF.get(method, SIZES)]
        if METHODS[method].partition
        else [(rate, 0.0) for rate in FINER_RATES_OF.get(world, FINER_RATES)]
        for method in TUNED[world]
    }
    return [
        Run("tune", world, method, rate, weight, TUNING_SEEDS[0])
        for method in TUNED[world]
        for rate, weight in settings[method]
    ]


def second_round(world: str = "2-5", results: Path = RESULTS) -> list[Run]:
    """The best three settings of each method once more, on another seed and the other base model."""
    found = _scores(results)
    return [
        replace(run, seed=TUNING_SEEDS[1])
        for method in TUNED[world]
        for run in sorted(
            (run for run in tuning(world) if run.method == method and run.key in found),
            key=lambda run: -found[run.key],
        )[:3]
    ]


def chosen(world: str = "2-5", results: Path = RESULTS) -> dict[str, tuple[float, float]]:
    """Learning rate and weight of each tuned method: the best mean over both rounds."""
    found = _scores(results)
    means: dict[str, dict[tuple[float, float], float]] = {}
    for run in second_round(world, results):
        if run.key in found:
            both = found[run.key], found[replace(run, seed=TUNING_SEEDS[0]).key]
            means.setdefault(run.method, {})[run.learning_rate, run.weight] = sum(both) / 2
    return {method: max(mine, key=lambda setting: mine[setting]) for method, mine in means.items()}


def _scores(results: Path) -> dict[str, float]:
    return {key: float(line["final"]["instruction"]) for key, line in done(results / "tune.jsonl").items()}


def settings(method: str, best: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Learning rate and weight of any method: its own, or those of the tuned method that it varies.

    What varies the faithful method has its learning rate and the published lambda, 0.5.
    """
    if method in best:
        return best[method]
    if method.startswith(("gdpo+group*", "group*")):
        return best["gdpo+group*"]
    if method == "cort-like":
        return best["grpo-csr"][0], 0.5
    if method.startswith(("group", "gdpo+group")):
        return best["group"]
    if method.startswith(("rtt", "released")):  # at the published lambda
        return best["rtt-aon" if "aon" in method else "rtt-csr"][0], 0.5
    return best["rtt-csr"]


def _runs(
    stage: str, worlds: tuple[str, ...], methods: tuple[str, ...], seeds: tuple[int, ...], **stress: Any
) -> list[Run]:
    best = {name: chosen(name) for name in worlds}
    return [
        Run(stage, name, method, *settings(method, best[name]), seed=seed, **stress)
        for seed in seeds
        for name in worlds
        for method in methods
    ]


HEADLINE = (
    "grpo-aon",
    "grpo-csr",
    "gdpo",
    "rtt-aon",
    "rtt-csr",
    "rtt-aon-raw",
    "rtt-csr-raw",
    "group",
    "group/uniform",
    "group/shuffled",
    "group/random",
    "released-reshape-aon",
)
LATER = ("gdpo+group", "group-mass", "cort-like")
REMEDIES = (
    "rtt-csr-raw+all",
    "rtt-csr-raw+silent",
    "rtt-csr-raw+floor",
    "rtt-csr-raw+bound",
    "rtt-csr-raw+no-end",
    "rtt-csr-raw+missing-none",
    "rtt-csr-raw+missing-end",
    "rtt-csr-raw/noisy",
    "rtt-csr-raw/noisy+floor",
)
RELEVANCE = (
    "released-truncation-aon",
    "group/learned",
    "group/auroc70",
    "group/contrast",
    "group/auroc90",
    "group/auroc50",
    "rtt-csr-raw/shuffled",
    "rtt-csr-raw/learned",
)
STRESSED = ("grpo-csr", "gdpo", "rtt-csr-raw", "group")


HARDER = ("grpo-aon", "grpo-csr", "gdpo", "rtt-csr", "rtt-csr-raw", "group", "group/uniform", "group/shuffled")
"""Methods of the headline that the world of 6-8 criteria is asked about too."""


def headline() -> list[Run]:
    """The comparison itself, 2-5 criteria."""
    return _runs("headline", ("2-5",), HEADLINE, HEADLINE_SEEDS)


def harder() -> list[Run]:
    """The comparison with 6-8 criteria."""
    return _runs("headline", ("6-8",), HARDER, HEADLINE_SEEDS)


def further() -> list[Run]:
    """Methods that the headline leaves out, on five of its seeds in each world."""
    return _runs("headline", ("2-5", "6-8"), LATER, SEEDS)


SECOND = ("grpo-aon", "grpo-csr", "gdpo", "gdpo+group*", "gdpo+group*/shuffled", "gdpo+group*/uniform", "rtt-csr")
SECOND_RELEVANCE = (
    "gdpo+group*/learned",
    "gdpo+group*/auroc90",
    "gdpo+group*/auroc80",
    "gdpo+group*/auroc70",
    "gdpo+group*/auroc60",
    "gdpo+group*/random",
)


def second() -> list[Run]:
    """The second series: evidence of exact counts corrected, fresh seeds, longer texts too."""
    return _runs("second", ("2-5", "6-8"), SECOND, SECOND_SEEDS) + _runs("second", ("long 2-5",), SECOND, SECOND_SEEDS)


def second_harder() -> list[Run]:
    """The same on long texts with 6-8 criteria: tuned after a series at the settings of long texts with 2-5."""
    return _runs("second", ("long 6-8",), (*SECOND, "group*"), HARDER_SEEDS)


def second_csr() -> list[Run]:
    """The recommended method with the fraction satisfied in place of GDPO: decided on after the short texts' runs."""
    return _runs("second", ("2-5", "6-8", "long 2-5"), ("group*",), SECOND_SEEDS)


def second_relevance() -> list[Run]:
    """How good must relevance be? The second series with learned and degraded relevance."""
    return _runs("second", ("2-5",), SECOND_RELEVANCE, SECOND_SEEDS)


def remedies() -> list[Run]:
    """Each remedy of the faithful method, alone and together."""
    return _runs("remedies", ("2-5",), REMEDIES, SEEDS)


def relevance() -> list[Run]:
    """Relevance that is learned, degraded, or asked of the policy."""
    return _runs("relevance", ("2-5",), RELEVANCE, SEEDS)


STRESS: Mapping[str, Mapping[str, Any]] = {
    "everything passes": {"all_pass": True},
    "20 % turned": {"flips": 0.2},
    "planted hole": {"hole": True},
    "20 % of violations pass": {"false_passes": 0.2},
    "20 % of the satisfied fail": {"false_fails": 0.2},
    "10 % turned": {"flips": 0.1},
    "30 % turned": {"flips": 0.3},
}
"""What the verifier does wrong, the most telling first."""


def stress() -> list[Run]:
    """Verifiers that err: each on three seeds."""
    runs = [run for how in STRESS.values() for run in _runs("stress", ("2-5",), STRESSED, SEEDS[:3], **how)]
    return runs + _runs("stress", ("2-5",), ("group/uniform", "group/shuffled"), SEEDS[:3], hole=True)


def second_stress() -> list[Run]:
    """The default method under verifiers that err."""
    return [run for how in STRESS.values() for run in _runs("stress", ("2-5",), ("group*",), SEEDS[:3], **how)]


PARTITIONS = ("rtt-csr", "inter-csr", "mean-csr", "softmax-csr", "grpo-csr")
PARTITION_SEEDS = tuple(range(600, 605))


def partitions() -> list[Run]:
    """The paper's four partitions at equal size, with the settings of intra_sample, and no token-level part at all."""
    return _runs("partitions", ("2-5",), PARTITIONS, PARTITION_SEEDS)


HOLE_SEEDS = tuple(range(510, 515))
"""After those on which the alarm ``loophole`` was made, 500-502."""
HOLED = ("grpo-csr", "gdpo", "rtt-csr-raw", "group*")


def holes() -> list[Run]:
    """A planted hole, seen by the alarms too: with the evidence of the true verdicts, with its own, and without it."""
    localised = tuple(method for method in HOLED if METHODS[method].partition)
    return [
        *_runs("holes", ("2-5",), HOLED, HOLE_SEEDS, hole=True),
        *_runs("holes", ("2-5",), localised, HOLE_SEEDS, hole="named"),
        *_runs("holes", ("2-5",), HOLED, HOLE_SEEDS),
    ]


QUICK = ("grpo-aon", "grpo-csr", "gdpo", "rtt-csr", "group*")
QUICK_WORLDS = ("2-5", "6-8", "long 6-8")


def quick() -> list[Run]:
    """Five methods in three worlds, on three seeds that no other stage has used."""
    return _runs("quick", QUICK_WORLDS, QUICK, (200, 201, 202))


def explore() -> list[Run]:
    """The token-level part at three times the response's size: not tuned, decided on after the gradients were seen."""
    return [
        Run("explore", world, method, 5e-4, 3.0, seed)
        for seed in SEEDS
        for world in ("6-8", "2-5")
        for method in ("group-mass", "group", "group/uniform")
    ]


STAGES = {
    "explore": explore,
    "headline": headline,
    "harder": harder,
    "further": further,
    "remedies": remedies,
    "partitions": partitions,
    "relevance": relevance,
    "second": second,
    "second-csr": second_csr,
    "second-harder": second_harder,
    "second-stress": second_stress,
    "second-relevance": second_relevance,
    "stress": stress,
}
