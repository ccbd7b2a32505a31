"""``rtt train CONFIG.yaml [--key value ...]``: train a policy on tasks with RTT-GRPO, by TRL's conventions.

config file + overrides --TrlParser--> TrainArguments, RTTConfig, ModelConfig -> RTTTrainer -> model, records
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click

from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from trl import ModelConfig

    from rtt.trainers.arguments import TrainArguments
    from rtt.trainers.trl import RTTConfig, RTTTrainer


def _list_options(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        _parser().print_help()
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
    """Train a model on tasks, with credit for each token.

    CONFIG is flat YAML: the options of TRL's GRPOConfig and ModelConfig, and RTT's own. Whatever it holds can be
    overridden on the command line as --key value.

    \b
    A config file:
        model_name_or_path: HuggingFaceTB/SmolLM2-135M-Instruct
        tasks: train.jsonl              # a task file, or a list of them
        eval_tasks: heldout.jsonl       # optional, with eval_strategy: steps
        output_dir: runs/first
        reward: csr                     # or aon, weighted
        relevance: evidence             # which tokens are responsible
        partition: intra_sample         # the paper's normalisation
        token_weight: 0.5               # lambda; 0 is GRPO
        num_generations: 8
        per_device_train_batch_size: 16
        max_completion_length: 256
        learning_rate: 1.0e-6
        save_steps: 10
        use_peft: true                  # LoRA; lora_r, lora_alpha, ...
        report_to: tensorboard          # or trackio, wandb, none
        records_steps: 10               # responses with their credit, to look at
    \b
    Train; train with another lambda; go on after an interrupt:
        rtt train config.yaml
        rtt train config.yaml --token_weight 0.1 --output_dir runs/lambda-0.1
        rtt train config.yaml --resume_from_checkpoint last
    \b
    Several processes, or GPUs:
        accelerate launch --num_processes 8 -m rtt train config.yaml

    `--resume_from_checkpoint last` goes on from the newest whole checkpoint of output_dir, or begins where there is
    none, so a job that may be interrupted can always be started by the same command. With save_steps: 1 no finished
    step is lost.
    On a machine without an accelerator bf16 and gradient_checkpointing are off unless the config file asks for them.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    arguments, training, model = parse(config, ctx.args)
    checkpoint = _checkpoint(training)
    trainer = build_trainer(arguments, training, model)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(training.output_dir)
    if trainer.accelerator.is_main_process:
        click.echo(f"model: {training.output_dir}", err=True)
        if training.records_steps:
            click.echo(f"records: {Path(training.output_dir) / 'records'}", err=True)
    _leave_processes()


def _leave_processes() -> None:
    """Close the group of processes: left open, its threads may abort the interpreter's exit after a good run."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _parser() -> Any:
    """TRL's parser, whose complaints are ours: one message instead of pages of usage."""
    from trl import ModelConfig, TrlParser

    from rtt.trainers.arguments import TrainArguments
    from rtt.trainers.trl import RTTConfig

    class Parser(TrlParser):  # type: ignore[misc]  # TRL has no type information
        def error(self, message: str) -> NoReturn:
            raise ConfigurationError(f"{message.removeprefix('argument ')}; see `rtt train --list-options`")

    return Parser((TrainArguments, RTTConfig, ModelConfig), prog="rtt train CONFIG.yaml", add_help=False)


def parse(config: Path, overrides: Sequence[str] = ()) -> tuple[TrainArguments, RTTConfig, ModelConfig]:
    """Read a config file, and options that override it, by TRL's own parser.

    Args:
        config: flat YAML; an ``env`` mapping sets environment variables.
        overrides: ``--key value`` or ``--key=value``.

    Raises:
        ConfigurationError: not YAML, an unknown option, a value of the wrong kind, or options that do not go together.
    """
    import yaml

    parser = _parser()
    actions = {action.dest: action for action in parser._actions}
    flags = {flag.removeprefix("--").replace("-", "_") for action in parser._actions for flag in action.option_strings}
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{config}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{config}: got {type(content).__name__}; expected a mapping, 'key: value' on each line"
        )
    for key, value in content.items():
        if key not in actions and key != "env":
            raise ConfigurationError(f"{config}: unknown option {key!r}; {_hint(str(key), set(actions))}")
        if key != "env":
            _check_value(config, key, value, actions[key])
    given = [flag.removeprefix("--").partition("=")[0].replace("-", "_") for flag in overrides if flag.startswith("--")]
    for name in given:
        if name not in flags:
            raise ConfigurationError(f"unknown option '--{name}'; {_hint(name, flags)}")
    arguments = ["--config", str(config), *_cpu_defaults({*content, *given}), *overrides]
    try:
        parsed = parser.parse_args_and_config(arguments)
    except ConfigurationError:
        raise
    except (ValueError, TypeError) as error:  # TRL's and transformers' own checks
        raise ConfigurationError(f"{config}: {error}") from error
    return cast("tuple[TrainArguments, RTTConfig, ModelConfig]", parsed)


def _check_value(config: Path, key: str, value: Any, action: argparse.Action) -> None:
    """A value from YAML never meets the parser's types: refuse what argparse would have refused."""
    wrong = None
    if value is None and action.required:
        wrong = "a value"
    elif action.type in (int, float) and isinstance(value, list | dict):
        wrong = "one number"
    elif action.type is int and (isinstance(value, bool) or (isinstance(value, float) and not value.is_integer())):
        wrong = "a whole number"
    elif isinstance(action.const, bool) and not isinstance(value, bool | str | None):
        wrong = "true or false"
    if wrong is not None:
        raise ConfigurationError(f"{config}: {key}: got {value!r}; expected {wrong}")


def _cpu_defaults(chosen: set[str]) -> list[str]:
    """What TRL's defaults for GPUs must be on a CPU: bfloat16 is far slower there, and memory is not what is short."""
    import torch

    if torch.cuda.is_available() or torch.accelerator.is_available():
        return []
    defaults = {"bf16": "false", "gradient_checkpointing": "false", "dtype": "float32"}
    if "fp16" in chosen:
        del defaults["bf16"]
    if "activation_checkpointing" in chosen:  # the newer name of the same option
        del defaults["gradient_checkpointing"]
    return [part for name, value in defaults.items() if name not in chosen for part in (f"--{name}", value)]


def _hint(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "see `rtt train --list-options`"


def build_trainer(arguments: TrainArguments, training: RTTConfig, model: ModelConfig) -> RTTTrainer:
    """The trainer that a config describes.

    Raises:
        ConfigurationError: options that do not go together.
        TaskFileError: a task file that cannot be read.
    """
    from trl import get_peft_config, get_quantization_config

    from rtt.rubrics import read_tasks
    from rtt.trainers.trl import RTTTrainer

    if model.model_name_or_path is None:
        raise ConfigurationError("model_name_or_path is missing; expected a folder, or a name on the hub")
    tasks = [task for path in arguments.tasks for task in read_tasks(path)]
    held_out = [task for path in arguments.eval_tasks or [] for task in read_tasks(path)]
    if training.eval_strategy != "no" and not held_out:
        raise ConfigurationError(
            f"eval_strategy={training.eval_strategy!s} but no eval_tasks; name a task file, or drop it"
        )
    more = training.model_init_kwargs or {}
    if not isinstance(more, dict):
        raise ConfigurationError(f"model_init_kwargs={more!r}; expected a mapping")
    training.model_init_kwargs = {
        "revision": model.model_revision,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
        **more,
    }
    try:
        return RTTTrainer(
            model=model.model_name_or_path,
            args=training,
            train_dataset=tasks,
            eval_dataset=held_out or None,
            quantization_config=get_quantization_config(model),
            peft_config=get_peft_config(model),
        )
    except OSError as error:  # what transformers raises for a model that is not there
        raise ConfigurationError(f"model_name_or_path={model.model_name_or_path!r}: {error}") from error


def _checkpoint(training: RTTConfig) -> str | None:
    """Where to go on from; a run is never begun on top of another by mistake."""
    from rtt.trainers.checkpoints import last_complete_checkpoint

    asked = training.resume_from_checkpoint
    last = last_complete_checkpoint(training.output_dir)
    if asked in (None, "false", "False", False):
        if last is not None:
            raise ConfigurationError(
                f"{training.output_dir} holds the checkpoints of another run (the last is {last.name}); go on with it "
                "by --resume_from_checkpoint last, or choose another output_dir"
            )
        return None
    if asked in ("last", "true", "True", True):
        click.echo(f"resuming from {last}" if last else "no checkpoint yet: starting from the beginning", err=True)
        return None if last is None else str(last)
    if not (Path(asked) / "trainer_state.json").is_file():
        raise ConfigurationError(
            f"resume_from_checkpoint={asked!r} is no whole checkpoint (it has no trainer_state.json); expected a "
            "folder such as OUTPUT_DIR/checkpoint-100, or 'last'"
        )
    return str(asked)
