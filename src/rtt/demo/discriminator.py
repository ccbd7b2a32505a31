"""A discriminator from what comes with the package, from end to end.

    bundled responses -> sample_examples -> split -> train (joint, and the backbones it is compared with) -> evaluate

What is finished lies on disk and is not done again::

    DIR/
    ├── build.json            what this run is: its settings; another run does not mix with it
    ├── examples.jsonl        criteria asked of the responses, with the characters each verdict hangs on; examples.md
    ├── joint/model/          the discriminator: `rtt train --relevance discriminator --relevance_model DIR/joint/model`
    ├── cross/model/          a token classifier on the same backbone: a pass for each criterion and response
    ├── causal/model/         the same reading from left to right, as a causal backbone does
    └── evaluation/           results.md, results.json, plots

The responses are those of a small chat model to the bundled tasks; most are edited, to hold what small models seldom
write. Held out are prompts, wordings, and whole kinds of criteria.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rtt.demo.run import bundled_tasks
from rtt.demo.settings import changed
from rtt.errors import ConfigurationError
from rtt.json_lines import decode_line, read_lines
from rtt.relevance.discriminator.evaluation import Evaluation, Scorer, evaluate
from rtt.relevance.discriminator.examples import (
    Example,
    dataset_card,
    from_verdict,
    read_examples,
    split_examples,
    write_examples,
)
from rtt.relevance.discriminator.patterns import HELD_OUT_KINDS
from rtt.relevance.discriminator.sampling import ask_again, sample_examples
from rtt.relevance.discriminator.wordings import wordings
from rtt.verifiers import verify_rule

if TYPE_CHECKING:
    from rtt.relevance.discriminator.model import Discriminator


@dataclass(frozen=True)
class BuildSettings:
    """All that the numbers of a build depend on."""

    seed: int = 0
    """Of sampling, weights and order."""
    passes: int = 8
    """How often each response is edited anew and asked about."""
    per_text: int = 12
    """Criteria asked of a response in each pass."""
    steps: int = 400
    """Training steps of the joint discriminator; about 11 minutes on two CPU cores."""
    rows: int = 6
    """Responses of a training step; the criteria of each are asked of all."""
    cross_steps: int = 240
    """Training steps of the cross discriminators, in about the same time."""
    cross_rows: int = 24
    """Pairs of criterion and response of a cross step."""
    contrast_examples: int = 40
    """Examples of each split that the log-probability contrast is asked about: it takes a pass for each criterion."""
    test_examples: int = 600
    """Examples of each split that all others are asked about."""
    learning_rate: float = 1e-4
    """Of the backbone. At 3e-4, with 2e-3 for the rest, seed 0 of the joint one was lost within 60 steps for good."""
    head_learning_rate: float = 1e-3

    def with_changes(self, changes: Mapping[str, Any]) -> BuildSettings:
        """The same settings but for some fields.

        Raises:
            ConfigurationError: there is no such field, or the value is of another kind.
        """
        return changed(self, changes, of="the build")


FAST = BuildSettings(
    passes=1, per_text=6, steps=2, rows=2, cross_steps=2, cross_rows=2, contrast_examples=0, test_examples=30
)
"""Everything once, in a minute, learning nothing."""


def bundled_responses() -> list[tuple[str, str, str]]:
    """Task id, request and response of each bundled response; the request is what prompts are held out by."""
    requests = {
        task.id: str(task.metadata["request"]) for split in ("train", "heldout") for task in bundled_tasks(split)
    }
    with resources.as_file(resources.files("rtt") / "data" / "demo_responses.jsonl") as path:
        lines = [decode_line(line) for _, line in read_lines(path)]
    return [(line["task_id"], requests[line["task_id"]], line["response"]) for line in lines]


def make_examples(settings: BuildSettings, progress: Callable[[int, int], None] | None = None) -> list[Example]:
    """The examples of a build: the tasks' own criteria on the responses, then sampled ones on edited responses."""
    import random

    responses = bundled_responses()
    tasks = {task.id: task for split in ("train", "heldout") for task in bundled_tasks(split)}
    total = len(responses) * (settings.passes + 1)
    examples: list[Example] = []
    for index, (task_id, request, text) in enumerate(responses):
        rng = random.Random(f"{settings.seed}/{task_id}")  # nosec B311 # repeatable, not secret
        for criterion in tasks[task_id].rubric.criteria:
            if criterion.rule is None:
                continue
            name, arguments = criterion.rule.name, criterion.rule.arguments
            wording, words = rng.choice(wordings(name, arguments))
            found = from_verdict(
                words,
                text,
                verify_rule(name, arguments, text),
                kind=name,
                prompt=request,
                wording=wording,
                rule=criterion.rule,
            )
            if found is not None:
                examples.append(found)
        if progress is not None:
            progress(index + 1, total)
    texts = [(request, text) for _, request, text in responses]
    for number in range(settings.passes):
        done = len(responses) * (number + 1)
        examples += sample_examples(
            texts,
            verify_rule,
            per_text=settings.per_text,
            seed=settings.seed * 1000 + number,
            progress=None if progress is None else lambda count, done=done: progress(done + count, total),  # type: ignore[misc]
        )
    return examples


# ---------------------------------------------------------------------------------------------------------- the build


def build(
    output: Path,
    *,
    settings: BuildSettings | None = None,
    fast: bool = False,
    resume: bool = True,
    console: Console | None = None,
) -> Evaluation:
    """Make examples, train the joint discriminator and two cross ones beside it, and measure them beside baselines.

    Args:
        output: the run's folder; what a run of the same settings finished there is kept.
        settings: by default ``BuildSettings()``, with ``fast`` ``FAST``.
        fast: tiny backbones with random weights.
        resume: go on with the run in ``output``; otherwise start it anew, deleting what the old one wrote.
        console: where to print.

    Raises:
        ConfigurationError: ``output`` holds a run of other settings.
        ModelUnavailableError: there is no backbone to be had.
    """
    console = console or Console()
    settings = settings or (FAST if fast else BuildSettings())
    _claim(output, settings, fast=fast, resume=resume)
    with _quiet():
        return _build(output, settings, fast, console)


def _build(output: Path, settings: BuildSettings, fast: bool, console: Console) -> Evaluation:
    examples = _examples(output, settings, console)
    splits = split_examples(examples, held_out_kinds=HELD_OUT_KINDS)
    console.print(
        "[bold]Examples[/bold]  " + ", ".join(f"{len(part):,} {name}" for name, part in splits.items()),
        highlight=False,
        soft_wrap=True,
    )
    backbone = tiny_backbone(output / "backbone") if fast else None
    scorers: dict[str, Scorer] = {}
    for name, steps, rows in (
        ("joint", settings.steps, settings.rows),
        ("cross", settings.cross_steps, settings.cross_rows),
        ("causal", settings.cross_steps, settings.cross_rows),
    ):
        scorers[name] = _trained(output / name, name, steps, rows, splits, settings, backbone, console)
    return _evaluate(output, scorers, splits, settings, fast, console)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own bars and its reports on loaded weights: a new head is new, and a pooler is not used."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def _claim(output: Path, settings: BuildSettings, *, fast: bool, resume: bool) -> None:
    """Make the folder this run's, or go on with it."""
    note = output / "build.json"
    this: dict[str, Any] = {"settings": asdict(settings), "fast": fast}
    if note.is_file() and not resume:
        for name in ("joint", "cross", "causal", "evaluation", "backbone"):
            shutil.rmtree(output / name, ignore_errors=True)
        for name in ("examples.jsonl", "examples.md"):
            (output / name).unlink(missing_ok=True)
        note.unlink()
    if note.is_file():
        try:
            there = json.loads(note.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigurationError(f"{note} is no build's note ({error}); use another folder") from error
        if there != this:
            changed = {
                name: (value, this["settings"].get(name))
                for name, value in there.get("settings", {}).items()
                if value != this["settings"].get(name)
            }
            raise ConfigurationError(
                f"{output} holds a build of other settings (there, here): {changed or 'fast or not'}; "
                "use --fresh, or another folder"
            )
    output.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(this, indent=2) + "\n", encoding="utf-8")


def _examples(output: Path, settings: BuildSettings, console: Console) -> list[Example]:
    file = output / "examples.jsonl"
    if file.is_file():
        return read_examples(file)
    with _bar(console, "examples: texts") as report:
        examples = make_examples(settings, report)
    card = dataset_card(examples, title="Examples of a build", made_by="rtt discriminator build")
    for blank, known in _KNOWN.items():
        card = card.replace(blank, known)
    (output / "examples.md").write_text(card, encoding="utf-8")
    write_examples(file, examples)  # the last: it marks the stage as done
    return examples


_KNOWN = {
    "FILL IN source and licence.": "the bundled tasks, Apache-2.0.",
    "FILL IN the model that wrote them, its licence and its terms for output.": "SmolLM2-135M-Instruct (Apache-2.0), "
    "most of them edited.",
    "Licence of these labels: FILL IN.": "Licence of these labels: Apache-2.0.",
}
"""What a card leaves to a person, and a build knows."""


def _trained(
    folder: Path,
    name: str,
    steps: int,
    rows: int,
    splits: Mapping[str, Sequence[Example]],
    settings: BuildSettings,
    backbone: str | None,
    console: Console,
) -> Discriminator:
    """The discriminator in the folder, or a new one from its last whole checkpoint."""
    import torch

    from rtt.relevance.discriminator.model import SETTINGS_FILE, Discriminator
    from rtt.relevance.discriminator.training import DiscriminatorConfig, train_discriminator
    from rtt.trainers.checkpoints import last_complete_checkpoint

    if (folder / "model" / SETTINGS_FILE).is_file():
        return Discriminator.from_pretrained(folder / "model")
    joint = name == "joint"
    config = DiscriminatorConfig(
        output_dir=str(folder),
        architecture="joint" if joint else "cross",
        causal=name == "causal",
        backbone=backbone,
        max_steps=steps,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=1,
        learning_rate=settings.learning_rate,
        head_learning_rate=settings.head_learning_rate,
        seed=settings.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=torch.cuda.is_available(),
        dataloader_pin_memory=False,
        disable_tqdm=True,
        logging_steps=10,
        save_steps=50,
        report_to="none",
    )
    checkpoint = last_complete_checkpoint(folder)
    started = time.perf_counter()
    with _bar(console, f"training: {name}") as report:
        discriminator = train_discriminator(
            config,
            splits["train"],
            splits["validation"],
            checkpoint=None if checkpoint is None else str(checkpoint),
            ask_again=lambda example, text: ask_again(example, text, verify_rule),
            callbacks=[_reports(report)],
            notes={"held_out_kinds": sorted(HELD_OUT_KINDS)},
        )
    console.print(
        f"[bold]Trained[/bold]  {name}: {steps} steps, {(time.perf_counter() - started) / 60:.1f} min, "
        f"training loss {discriminator.settings.training['training loss']}",
        highlight=False,
        soft_wrap=True,
    )
    return discriminator


def _reports(report: Callable[[int, int], None]) -> Any:
    from transformers import TrainerCallback

    class Reports(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            report(state.global_step, state.max_steps)

    return Reports()


def _evaluate(
    output: Path,
    scorers: dict[str, Scorer],
    splits: Mapping[str, Sequence[Example]],
    settings: BuildSettings,
    fast: bool,
    console: Console,
) -> Evaluation:
    from rtt.relevance.discriminator.baselines import ContrastScorer, baseline
    from rtt.relevance.discriminator.evaluation import spread
    from rtt.relevance.discriminator.report import print_evaluation, write_report

    joint: Any = scorers["joint"]
    compared: dict[str, Scorer] = {
        **scorers,
        **{name: baseline(name, seed=settings.seed) for name in ("all", "random", "lexical")},
        "similarity": baseline("similarity", backbone=joint.network.backbone, tokenizer=joint.tokenizer),
    }
    subsets: dict[str, int] = {}
    if settings.contrast_examples and not fast:
        from rtt.demo.models import obtain_model
        from rtt.generation import load_model

        compared["contrast"] = ContrastScorer(*load_model(obtain_model().folder))
        subsets["contrast"] = settings.contrast_examples
    asked = {
        name: spread(part, settings.test_examples, seed=settings.seed)
        for name, part in splits.items()
        if name != "train"
    }
    started = time.perf_counter()
    with _bar(console, "evaluation") as report:
        evaluation = evaluate(
            compared,
            asked,
            verify=verify_rule,
            subsets=subsets,
            seed=settings.seed,
            details={"build": json.dumps(asdict(settings)), "examples": f"{sum(map(len, splits.values()))}"},
            progress=lambda _, done, total: report(done, total),
        )
    write_report(evaluation, output / "evaluation")
    print_evaluation(evaluation, console)
    console.print(
        f"evaluated in {(time.perf_counter() - started) / 60:.1f} min; tables and plots: {output / 'evaluation'}\n"
        f"use it:  rtt relevance TASKS RESPONSES --relevance discriminator --model {output / 'joint' / 'model'}",
        highlight=False,
        soft_wrap=True,
    )
    return evaluation


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)


def tiny_backbone(folder: Path) -> str:
    """An encoder of some thousand random parameters whose vocabulary is the printable characters."""
    import string

    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    if (folder / "config.json").is_file():
        return str(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + [c for c in string.printable if not c.isspace()]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))  # nosec B106 # a vocabulary's token, no password
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    backend.add_special_tokens(words[:4])
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",  # nosec B106 # a vocabulary's token, no password
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = BertModel(
            BertConfig(
                vocab_size=len(words),
                hidden_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=1024,
                pad_token_id=0,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
