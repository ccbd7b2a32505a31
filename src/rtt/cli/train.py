"""``rtt train CONFIG.yaml [--key value ...]``: train a policy on tasks with RTT-GRPO, by TRL's conventions.

config file + overrides --TrlParser--> TrainArguments, RTTConfig, ModelConfig, JudgeArguments
    -> RTTTrainer, with the judge if there is one -> model, records
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from rtt.cli.options import leave_processes, option_parser, parse_options, resume_point
from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    from trl import ModelConfig

    from rtt.rubrics import Task
    from rtt.trainers.arguments import JudgeArguments, TrainArguments
    from rtt.trainers.trl import RTTConfig, RTTTrainer
    from rtt.verifiers.judge import Judge, JudgeReport


def _list_options(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        option_parser(_kinds(), command="rtt train").print_help()
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
        relevance: evidence             # which tokens are responsible; or discriminator, hybrid,
                                        # contrast, and the controls uniform, random, shuffled
        partition: criterion_group      # what is normalised over what; the paper's: preset: paper
        token_weight: 2.0               # lambda; 0 is GRPO
        num_generations: 8
        per_device_train_batch_size: 16
        max_completion_length: 256
        learning_rate: 1.0e-6
        save_steps: 10
        use_peft: true                  # LoRA; lora_r, lora_alpha, ...
        report_to: tensorboard          # or trackio, wandb, none
        records_steps: 10               # responses with their credit, to look at
        judge: Qwen/Qwen3-8B            # decides the criteria without a rule, at any
        judge_base_url: http://127.0.0.1:8000/v1        # OpenAI-compatible server
    \b
    Train; train with another lambda, with a discriminator; go on after an interrupt:
        rtt train config.yaml
        rtt train config.yaml --token_weight 0.1 --output_dir runs/lambda-0.1
        rtt train config.yaml --relevance hybrid --relevance_model DIR --output_dir runs/hybrid
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
    _train(*parse(config, ctx.args))
    leave_processes()


def _train(arguments: TrainArguments, training: RTTConfig, model: ModelConfig, judging: JudgeArguments) -> None:
    checkpoint = resume_point(training)
    judge = judging.build()
    trainer = build_trainer(arguments, training, model, judge)
    with judge or nullcontext():  # its connections stay open from rollout to rollout
        try:
            trainer.train(resume_from_checkpoint=checkpoint)
        except BaseException:
            if judge is not None and trainer.accelerator.is_main_process:
                _print_report(judge.report)  # of this process: the others may be in any state
            raise
    trainer.save_model(training.output_dir)
    report = None if judge is None else _over_processes(judge.report)
    if trainer.accelerator.is_main_process:
        if report is not None:
            _print_report(report)
        click.echo(f"model: {training.output_dir}", err=True)
        if training.records_steps:
            click.echo(f"records: {Path(training.output_dir) / 'records'}", err=True)


def _kinds() -> tuple[type, ...]:
    """The dataclasses whose fields are the options."""
    from trl import ModelConfig

    from rtt.trainers.arguments import JudgeArguments, TrainArguments
    from rtt.trainers.trl import RTTConfig

    return TrainArguments, RTTConfig, ModelConfig, JudgeArguments


def parse(config: Path, overrides: Sequence[str] = ()) -> tuple[TrainArguments, RTTConfig, ModelConfig, JudgeArguments]:
    """Read a config file, and options that override it, by TRL's own parser.

    Args:
        config: flat YAML; an ``env`` mapping sets environment variables.
        overrides: ``--key value`` or ``--key=value``.

    Raises:
        ConfigurationError: not YAML, an unknown option, a value of the wrong kind, or options that do not go together.
    """
    parsed = parse_options(config, overrides, _kinds(), command="rtt train", defaults=_cpu_defaults)
    return cast("tuple[TrainArguments, RTTConfig, ModelConfig, JudgeArguments]", parsed)


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


def build_trainer(
    arguments: TrainArguments, training: RTTConfig, model: ModelConfig, judge: Judge | None = None
) -> RTTTrainer:
    """The trainer that a config describes. Criteria that nobody will decide are told on standard error.

    Raises:
        ConfigurationError: options that do not go together.
        TaskFileError: a task file that cannot be read.
    """
    from trl import get_peft_config, get_quantization_config

    from rtt.trainers.trl import RTTTrainer
    from rtt.verifiers.judge.drafting import read_accepted

    if model.model_name_or_path is None:
        raise ConfigurationError("model_name_or_path is missing; expected a folder, or a name on the hub")
    tasks = [task for path in arguments.tasks for task in read_accepted(path)]
    held_out = [task for path in arguments.eval_tasks or [] for task in read_accepted(path)]
    if training.eval_strategy != "no" and not held_out:
        raise ConfigurationError(
            f"eval_strategy={training.eval_strategy!s} but no eval_tasks; name a task file, or drop it"
        )
    if judge is None and training.process_index == 0:
        _tell_undecided([*tasks, *held_out])
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
            judge=judge,
            quantization_config=get_quantization_config(model),
            peft_config=get_peft_config(model),
        )
    except OSError as error:  # what transformers raises for a model that is not there
        raise ConfigurationError(f"model_name_or_path={model.model_name_or_path!r}: {error}") from error


def _tell_undecided(tasks: Sequence[Task]) -> None:
    """Warn of the criteria that only a judge could decide."""
    undecided = [sum(criterion.needs_judge for criterion in task.rubric.criteria) for task in tasks]
    if any(undecided):
        criteria = sum(len(task.rubric.criteria) for task in tasks)
        click.echo(
            f"warning: {sum(undecided):,} of {criteria:,} criteria, in {sum(map(bool, undecided)):,} of {len(tasks):,} "
            "tasks, have no rule: without a judge they stay undetermined and count in nothing; name its model with "
            "judge and its server with judge_base_url",
            err=True,
        )


def _over_processes(report: JudgeReport) -> JudgeReport:
    """The reports of all processes, added up."""
    from accelerate.utils import gather_object

    from rtt.verifiers.judge import JudgeReport

    total = JudgeReport()
    own = {part.name: getattr(report, part.name) for part in fields(report)} | {"failures": dict(report.failures)}
    for values in gather_object([own]):
        total += JudgeReport(**values)
    return total


def _print_report(report: JudgeReport) -> None:
    from rtt.cli.judging import print_report
    from rtt.cli.terminal import console

    print_report(console(stderr=True), report)
