"""``rtt discriminator evaluate MODEL --examples FILE``: how good a discriminator is, and beside what.

read_examples -> split_examples -> scorers (the model, others, baselines) -> evaluate -> tables, files, pictures
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtt.cli.terminal import count_bars
from rtt.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from rtt.relevance.discriminator.examples import Example
    from rtt.relevance.discriminator.model import Discriminator
    from rtt.verdicts import Verdict

BASELINES = (
    "all",
    "random",
    "lexical",
    "similarity",
)  # those of rtt.relevance.discriminator.baselines, not imported here
_SHARES = ("held_out_prompts", "held_out_wordings", "validation_prompts")


def _names(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if names == ("none",):
        return ()
    if unknown := [name for name in names if name not in BASELINES]:
        raise click.BadParameter(f"got {unknown}; expected some of {list(BASELINES)}, or none")
    return names


@click.command()
@click.argument("model")
@click.option(
    "--examples",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Examples as JSON lines, from `rtt discriminator label` or your own. May be given again.",
)
@click.option(
    "--split",
    type=click.Choice(("auto", "held-out", "none")),
    default="auto",
    show_default=True,
    help="held-out: only what training never saw. none: all examples are one test. auto: none for files of your own "
    "labels, held-out for the others.",
)
@click.option(
    "--held-out-kind",
    "held_out_kinds",
    multiple=True,
    metavar="PATTERN",
    help="A kind that was never trained on, such as 'startend:*'. May be given again.  [default: what the model says, "
    "or the kinds that `build` holds out]",
)
@click.option(
    "--baselines",
    default=",".join(BASELINES),
    show_default=True,
    callback=_names,
    metavar="NAMES",
    help="What needs no training, by name, with commas; or none.",
)
@click.option("--compare", multiple=True, metavar="MODEL", help="Another discriminator. May be given again.")
@click.option("--contrast", metavar="LM", help="Also the log-probability contrast of a causal language model.")
@click.option(
    "--contrast-examples",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Examples of each split that the contrast is asked about: it is slow.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write tables, numbers and pictures here."
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="At most N examples of each split, evenly from all kinds."
)
@click.option(
    "--deletions",
    type=click.IntRange(min=0),
    default=500,
    show_default=True,
    metavar="N",
    help="Examples of each split whose best words are deleted to see whether the rule's verdict turns; 0: none.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--device", metavar="D", help="Where models run, such as cuda.  [default: cpu]")
def evaluate(
    model: str,
    files: tuple[Path, ...],
    split: str,
    held_out_kinds: tuple[str, ...],
    baselines: tuple[str, ...],
    compare: tuple[str, ...],
    contrast: str | None,
    contrast_examples: int,
    out: Path | None,
    limit: int | None,
    deletions: int,
    seed: int,
    device: str | None,
) -> None:
    """Measure the discriminator MODEL on examples that it was not trained on, beside baselines.

    MODEL is a folder that `rtt discriminator train` or `build` wrote, or a hub id.

    \b
    The table, and the same with files and pictures:
        rtt discriminator evaluate runs/discriminator/model --examples examples.jsonl
        rtt discriminator evaluate runs/discriminator/model --examples examples.jsonl --out results/discriminator
    \b
    Two architectures, and a language model's contrast:
        rtt discriminator evaluate runs/joint/model --examples examples.jsonl \\
            --compare runs/cross/model --contrast ./SmolLM2-135M-Instruct
    \b
    Your own labels, all of them as a test:
        rtt discriminator evaluate runs/discriminator/model --examples mine.jsonl --split none
    \b
    A quick look:
        rtt discriminator evaluate runs/discriminator/model --examples examples.jsonl --limit 200 --deletions 0

    What the table says. Average precision: are the relevant words of a response ranked before its other words? 1 is
    perfect; the same score for all gives the share of relevant words. Splits: new prompts (kinds and wordings known),
    new wordings, and new kinds of criteria, which is what a discriminator is for. F1 is at the threshold that is best
    on the validation examples. ECE: how far a relevance is from the share of such words that are relevant.
    Faithfulness: the words that score highest are deleted, and the rule is asked whether its verdict turns.

    With --out: evaluation.md (all tables), evaluation.json (all numbers), average_precision.png, kinds.png,
    reliability.png, faithfulness.png.

    Exit codes: 0 done; 1 interrupted; 2 something given cannot be used, and the message says what.
    """
    from rich.console import Console

    from rtt.relevance.discriminator.evaluation import evaluate as evaluate_scorers
    from rtt.relevance.discriminator.evaluation import spread
    from rtt.relevance.discriminator.examples import read_examples
    from rtt.relevance.discriminator.report import print_evaluation, write_report

    # text of files and folders is shown as it is
    stdout, stderr = (Console(stderr=error, highlight=False, markup=False, emoji=False) for error in (False, True))
    examples = [example for file in files for example in read_examples(file)]
    held_out = split == "held-out" or (split == "auto" and any(example.source != "user" for example in examples))
    scorers, thresholds, trained = _discriminators((model, *compare), device)
    splits = _splits(examples, held_out_kinds, trained) if held_out else {"all": examples}
    splits = {name: spread(part, limit, seed=seed) for name, part in splits.items()}
    main = next(iter(scorers.values()))
    scorers |= _baselines(baselines, main, seed)
    subsets = {}
    if contrast is not None:
        scorers["contrast"] = _contrast(contrast, device)
        subsets["contrast"] = contrast_examples
    with count_bars(stderr) as progress:
        found = evaluate_scorers(
            scorers,
            splits,
            verify=_verify if deletions else None,
            subsets=subsets,
            thresholds=thresholds,
            deletions=deletions,
            seed=seed,
            details=_details(model, files, len(examples), contrast, subsets, limit),
            progress=_Shown(progress),
        )
    print_evaluation(found, stdout)
    if out is not None:
        written = write_report(found, out, title=f"Evaluation of {model}")
        stdout.print(f"In {out}: {', '.join(file.name for file in written)}", soft_wrap=True)


def _verify(rule_name: str, arguments: Mapping[str, Any], text: str) -> Verdict:
    from rtt.verifiers import verify_rule

    return verify_rule(rule_name, arguments, text, criterion_id="edited")


def _discriminators(
    models: Sequence[str], device: str | None
) -> tuple[dict[str, Any], dict[str, float], Mapping[str, Any]]:
    """The models by the names that tables show, their own thresholds, and what the first was trained on."""
    from rtt.relevance.discriminator.model import load_discriminator

    loaded = [(name, load_discriminator(name, device=device)) for name in models]
    titles = [_title(one) for _, one in loaded]
    scorers: dict[str, Any] = {}
    for (name, one), title in zip(loaded, titles, strict=True):
        label = title if titles.count(title) == 1 else f"{title}: {name}"
        if label in scorers:
            raise ConfigurationError(f"model {name!r} is given twice; expected other models after --compare")
        scorers[label] = one
    thresholds = {label: one.settings.threshold for label, one in scorers.items()}
    return scorers, thresholds, loaded[0][1].settings.training


def _title(discriminator: Discriminator) -> str:
    settings = discriminator.settings
    return f"{settings.architecture}, causal" if settings.causal else settings.architecture


def _splits(
    examples: Sequence[Example], held_out_kinds: Sequence[str], trained: Mapping[str, Any]
) -> dict[str, list[Example]]:
    from rtt.relevance.discriminator.examples import split_examples
    from rtt.relevance.discriminator.patterns import HELD_OUT_KINDS

    kinds = tuple(held_out_kinds) or tuple(trained.get("held_out_kinds", HELD_OUT_KINDS))
    shares = {name: float(trained[name]) for name in _SHARES if name in trained}
    parts = split_examples(examples, held_out_kinds=kinds, **shares)
    kept = {name: part for name, part in parts.items() if part and name != "train"}
    if not any(name != "validation" for name in kept):
        raise DataError(
            f"none of the {len(examples)} examples is held out from training; "
            "give more examples, or take all of them as a test with --split none"
        )
    return kept


def _baselines(names: Sequence[str], main: Any, seed: int) -> dict[str, Any]:
    from rtt.relevance.discriminator.baselines import baseline

    return {name: baseline(name, seed=seed, backbone=main.network.backbone, tokenizer=main.tokenizer) for name in names}


def _contrast(name: str, device: str | None) -> Any:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rtt.relevance.discriminator.baselines import ContrastScorer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)  # nosec B615 # the user names the model
        model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")  # nosec B615 # the user names the model
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--contrast {name!r}: no causal language model: {error}") from error
    return ContrastScorer(model.to(device or "cpu"), tokenizer)


def _details(
    model: str,
    files: Sequence[Path],
    examples: int,
    contrast: str | None,
    subsets: Mapping[str, int],
    limit: int | None,
) -> dict[str, str]:
    from importlib.metadata import version

    details = {"model": model, "examples": f"{examples:,} in {', '.join(file.name for file in files)}"}
    if limit is not None:
        details["limit"] = f"{limit:,} examples a split"
    if contrast is not None:
        details["contrast"] = f"{contrast}, on {subsets['contrast']:,} local examples a split"
    details["machine"] = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    for package in ("numpy", "scikit-learn", "torch", "transformers"):
        details[package] = version(package)
    return details


class _Shown:
    """A bar for each thing that is done."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.bars: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.bars:
            self.bars[what] = self.progress.add_task(what, total=total)
        self.progress.update(self.bars[what], completed=done, total=total)
