"""``rtt discriminator train CONFIG.yaml [--key value ...]``: examples -> a trained, calibrated discriminator.

config file + overrides --TrlParser--> ExampleFiles, DiscriminatorConfig -> split -> train -> OUTPUT_DIR/model
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from rtt.cli.options import leave_processes, option_parser, parse_options, resume_point
from rtt.errors import DataError

if TYPE_CHECKING:
    from rtt.relevance.discriminator.arguments import ExampleFiles
    from rtt.relevance.discriminator.examples import Example
    from rtt.relevance.discriminator.training import DiscriminatorConfig

_COMMAND = "rtt discriminator train"


def _kinds() -> tuple[type, ...]:
    from rtt.relevance.discriminator.arguments import ExampleFiles
    from rtt.relevance.discriminator.training import DiscriminatorConfig

    return ExampleFiles, DiscriminatorConfig


def _list_options(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        option_parser(_kinds(), command=_COMMAND).print_help()
        ctx.exit()


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "max_content_width": 100},
    options_metavar="[--key value ...]",
)
@click.argument("config", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--list-options",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_options,
    help="List every option that a config file may hold, and stop.",
)
@click.pass_context
def train(ctx: click.Context, config: Path) -> None:
    """Train a discriminator on examples, calibrate it, and save it into OUTPUT_DIR/model.

    CONFIG is flat YAML: the options of transformers' TrainingArguments, and the discriminator's own. Whatever it holds
    can be overridden on the command line as --key value.

    \b
    A config file:
        examples: examples.jsonl        # of `rtt discriminator label`, or labels of your own; or a list of files
        output_dir: runs/discriminator
        architecture: joint             # all criteria in one pass; or cross, a pass for each pair (the paper's)
        held_out_kinds: ["startend:*"]  # never trained on, for `rtt discriminator evaluate`
        max_minutes: 25
        num_train_epochs: 2
    \b
    Another backbone (any encoder; with architecture: cross any token classifier, causal ones too):
        backbone: answerdotai/ModernBERT-base
        learning_rate: 5.0e-5
        bf16: true
        lora_r: 16                      # optional
    \b
    Train; go on after an interrupt; measure; use:
        rtt discriminator train config.yaml
        rtt discriminator train config.yaml --resume_from_checkpoint last
        rtt discriminator evaluate runs/discriminator/model --examples examples.jsonl
        rtt train policy.yaml --relevance discriminator --relevance_model runs/discriminator/model
    \b
    Several processes, or GPUs:
        accelerate launch --num_processes 8 -m rtt discriminator train config.yaml

    Examples are split by hashes of their prompts, wordings and kinds, the same way at every run: a tenth of the prompts
    is held out for evaluation, a twentieth chooses calibration and threshold.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    files, training = parse(config, ctx.args)
    examples = _read(files)
    from rtt.relevance.discriminator.examples import split_examples
    from rtt.relevance.discriminator.sampling import ask_again
    from rtt.relevance.discriminator.training import train_discriminator
    from rtt.verifiers import verify_rule

    parts = split_examples(
        examples,
        held_out_kinds=files.held_out_kinds,
        held_out_prompts=files.held_out_prompts,
        held_out_wordings=files.held_out_wordings,
        validation_prompts=files.validation_prompts,
    )
    click.echo("examples: " + ", ".join(f"{len(part):,} {name}" for name, part in parts.items()), err=True)
    if not parts["train"]:
        raise DataError(f"{', '.join(files.examples)}: no example is left to train on; hold out less")
    train_discriminator(
        training,
        parts["train"],
        parts["validation"],
        ask_again=lambda example, text: ask_again(example, text, verify_rule),
        checkpoint=resume_point(training),
        notes=files.held_out(),
    )
    click.echo(f"discriminator: {Path(training.output_dir) / 'model'}", err=True)
    leave_processes()


def parse(config: Path, overrides: Sequence[str] = ()) -> tuple[ExampleFiles, DiscriminatorConfig]:
    """Read a config file, and options that override it.

    Raises:
        ConfigurationError: not YAML, an unknown option, a value of the wrong kind, or options that do not go together.
    """
    parsed = parse_options(config, overrides, _kinds(), command=_COMMAND, defaults=_cpu_defaults)
    return cast("tuple[ExampleFiles, DiscriminatorConfig]", parsed)


def _cpu_defaults(chosen: set[str]) -> list[str]:
    import torch

    if torch.cuda.is_available() or torch.accelerator.is_available() or "use_cpu" in chosen:
        return []
    return ["--dataloader_pin_memory", "false"] if "dataloader_pin_memory" not in chosen else []


def _read(files: ExampleFiles) -> list[Example]:
    from rtt.relevance.discriminator.examples import read_examples

    tokenizer = None
    if files.label_tokenizer is not None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(files.label_tokenizer)  # nosec B615 # the user names the model
    return [example for path in files.examples for example in read_examples(path, tokenizer=tokenizer)]
