"""RTT-GRPO inside Hugging Face TRL: three overrides of GRPOTrainer, nothing of it copied.

    GRPOTrainer                               RTTTrainer
    ───────────                               ──────────
    _generate: G responses to each prompt  ─  which tokens are the model's own, and which a tool's
    _calculate_rewards  ────────────────────  responses, tokens with their characters → verdicts (RubricReward)
    response-level advantage  A_res (B,)
    _generate_and_score_completions  ───────  relevance → token advantages → combine: A (B, T)
    clipped surrogate loss with A

``A = A_res + lambda * A_tok`` (arXiv:2604.02795, section RTT-GRPO). ``A_res`` is TRL's own, so ``token_weight=0`` is
GRPO by construction. The methods are private in TRL: the tested range is pinned in ``pyproject.toml`` and a test
asserts their signatures. TRL prints a loss of about 0 for on-policy GRPO: its gradient is not 0.

With tools, an environment or a rollout function a response has several turns. Its text, which is verified, is what the
model said in them; a tool's tokens have no relevance, no advantage, and count in no mean.

A judge, where one is given, is asked once a rollout, beside TRL's other asynchronous rewards; several processes deal
the different questions out among themselves (:mod:`rtt.trainers.spread`). Where it fails too often
(``judge_max_failed``), or a relevance source gives no answer, all processes stop together, with a checkpoint of the
last finished step.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset, IterableDataset
from torch import Tensor
from torch.utils.data import Sampler
from transformers import PreTrainedModel, TrainerCallback, set_seed
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import GRPOConfig, GRPOTrainer

from rtt import credit
from rtt.errors import (
    ConfigurationError,
    JudgeFailureError,
    NonFiniteLossError,
    RelevanceFailureError,
    RTTError,
    ShapeError,
)
from rtt.records import Record, records_path, write_records
from rtt.relevance import RelevanceSource
from rtt.relevance.discriminator.served import ANSWER_SECONDS, ServedDiscriminator
from rtt.relevance.discriminator.source import DiscriminatorRelevance
from rtt.responses import JudgedTurns, Response, join_turns, response_from_turns, special_tokens
from rtt.rubrics import Task
from rtt.trainers.background import in_background
from rtt.trainers.settings import (
    PAPER,
    REWARDS,
    SIGNAL,
    CreditSettings,
    Reward,
    UnusableJudge,
    judge_failures,
    rubric_rewards,
    told_judge_failure,
)
from rtt.trainers.sharding import whole_models
from rtt.trainers.spread import SpreadJudge
from rtt.verdicts import Outcome, Verdict, credited
from rtt.verifiers import UNUSABLE, verify_batch
from rtt.verifiers.judge import JudgeReport

if TYPE_CHECKING:
    from rtt.verifiers import VerdictSource

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"paper": {**PAPER, "loss_type": "grpo", "epsilon": 0.2, "epsilon_high": 0.27, "beta": 0.0}}
)
"""Settings by one word. ``paper``: the method as published, arXiv:2604.02795 (lambda 0.5, clip 0.2 and 0.27, no KL)."""


# ------------------------------------------------------------------------------------------------------------- config


@dataclass
class RTTConfig(CreditSettings, GRPOConfig):  # type: ignore[misc]  # TRL has no type information
    """GRPOConfig, and what RTT adds to it. Every field of GRPOConfig keeps its meaning.

    Two defaults follow the paper instead of TRL: ``loss_type="grpo"`` (each response's tokens are averaged, then the
    responses) and ``epsilon_high=0.27`` (clip 0.2 below, 0.27 above). Two do not follow it: ``partition`` and
    ``token_weight`` are what this project's experiments speak for; ``preset="paper"`` is the method as published.

    Raises:
        ConfigurationError: a value that is not known, one that a preset sets otherwise, or an option of TRL's that does
            not fit per-token advantages.
    """

    loss_type: str = field(
        default="grpo",
        metadata={"help": "Aggregation of the token losses; 'grpo' is the paper's (TRL's own default is 'dapo')."},
    )
    epsilon_high: float | None = field(
        default=0.27, metadata={"help": "Upper clipping bound; the paper clips 0.2 below and 0.27 above."}
    )
    judged_turns: JudgedTurns = field(
        default="all",
        metadata={
            "help": "With tools, which turns the rubric speaks of: 'all' that the model said (never what a tool "
            "answered), 'last' its last turn."
        },
    )
    records_steps: int = field(
        default=0,
        metadata={
            "help": "Write the first and every N-th step's responses with verdicts, relevance and advantages to "
            "OUTPUT_DIR/records/step-*.jsonl (a rollout that serves several steps under the first). 0: none."
        },
    )

    def __post_init__(self) -> None:
        self.apply_preset(PRESETS)
        super().__post_init__()
        self.check_credit()
        if self.judged_turns not in get_args(JudgedTurns):
            raise ConfigurationError(
                f"judged_turns={self.judged_turns!r}; expected one of {list(get_args(JudgedTurns))}"
            )
        if self.records_steps < 0:
            raise ConfigurationError(f"records_steps={self.records_steps}; expected 0 (none) or every how many steps")
        self._check_engine()

    def _check_engine(self) -> None:
        """Refuse what TRL would accept and silently turn into something else."""
        if self.multi_objective_aggregation != "sum_then_normalize":
            raise ConfigurationError(
                f"multi_objective_aggregation={self.multi_objective_aggregation!r} needs one fixed list of rewards and "
                "rubrics differ in length; response_advantage='gdpo' normalises criterion by criterion"
            )
        if self.token_weight == 0:
            return
        per_sequence = {
            "loss_type='vespo'": self.loss_type == "vespo",
            "loss_type='sapo'": self.loss_type == "sapo",
            "off_policy_mask_threshold": self.off_policy_mask_threshold is not None,
        }
        for option, chosen in per_sequence.items():
            if chosen:
                raise ConfigurationError(
                    f"{option} decides by the sign of a response's advantage and would silently decide token by token; "
                    "choose another, or token_weight=0"
                )
        one_ratio = {
            f"importance_sampling_level={self.importance_sampling_level!r}": self.importance_sampling_level != "token",
            "loss_type='luspo'": self.loss_type == "luspo",
        }
        for option, chosen in one_ratio.items():
            if chosen:
                raise ConfigurationError(
                    f"{option} has one ratio for a response, over which token advantages only average out; use "
                    "another loss_type with importance_sampling_level='token', or token_weight=0"
                )
        if self.use_liger_kernel and hasattr(GRPOTrainer, "compute_liger_loss"):
            raise ConfigurationError(
                "use_liger_kernel selects a loss that takes one advantage a response in this version of TRL (before "
                "1.14); drop it, or token_weight=0"
            )


# ----------------------------------------------------------------------------------------------------------- data in


def task_dataset(tasks: Iterable[Task]) -> Dataset:
    """The tasks as a dataset for GRPOTrainer or RTTTrainer.

    Returns:
        Columns ``prompt`` (the messages) and ``task`` (the whole task as one line of JSON, which RubricReward reads).

    Raises:
        ConfigurationError: there is no task, or something that is none.
    """
    rows = []
    for task in tasks:
        if not isinstance(task, Task):
            raise ConfigurationError(f"got {type(task).__name__}; expected tasks, such as rtt.read_tasks gives")
        messages = [{"role": message.role, "content": message.content} for message in task.prompt]
        rows.append({"prompt": messages, "task": task.to_json()})
    if not rows:
        raise ConfigurationError("no tasks to train on; expected at least one")
    return Dataset.from_list(rows)


_task = functools.lru_cache(maxsize=8192)(Task.from_json)  # a prompt comes back G times a step, and every epoch


# ------------------------------------------------------------------------------------------------------------ rewards


class RubricReward:
    """A reward function for TRL: one number a response from its rubric.

    With the stock GRPOTrainer it gives the AON and CSR baselines. All that a judge must decide in a batch is put to it
    at once; :meth:`asynchronous` gives the function by which TRL does other things in the meantime.

    Args:
        reward: ``"csr"`` the fraction of determined criteria that are satisfied, ``"weighted"`` the same by weight,
            ``"aon"`` 1 if all of them are, else 0.
        judge: decides the criteria that have no rule; without one they are undetermined.
        judged_turns: with tools, which of the model's turns are its answer: ``"all"``, or ``"last"``.

    Attributes:
        verdicts: those of the most recent call, [B][K].
        seconds: what rules and judge took in the most recent call, by the clock on the wall.
        unusable: why the judge could not be used in the most recent call, where this is one of several processes.

    Raises:
        ConfigurationError: ``reward`` or ``judged_turns`` is unknown.

    Example:
        >>> GRPOTrainer(model, reward_funcs=RubricReward("aon"), train_dataset=task_dataset(read_tasks("tasks.jsonl")))
    """

    def __init__(
        self, reward: Reward = "csr", judge: VerdictSource | None = None, judged_turns: JudgedTurns = "all"
    ) -> None:
        if reward not in REWARDS:
            raise ConfigurationError(f"reward={reward!r}; expected one of {list(REWARDS)}")
        if judged_turns not in get_args(JudgedTurns):
            raise ConfigurationError(f"judged_turns={judged_turns!r}; expected one of {list(get_args(JudgedTurns))}")
        self.reward = reward
        self.judge = judge
        self.judged_turns = judged_turns
        self.verdicts: list[list[Verdict]] = []
        self.seconds = 0.0
        self.unusable: RTTError | None = None
        self.__name__ = f"rubric_{reward}"  # what TRL calls it in its metrics

    def __call__(
        self,
        prompts: Any,
        completions: Sequence[Any],
        task: Sequence[str],
        own_words: Sequence[str] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """The rewards of a batch; ``None`` for a response without any determined criterion, never 0.

        Args:
            prompts: not read.
            completions: [B], messages or plain text.
            task: [B], each response's task as JSON: the ``task`` column of :func:`task_dataset`.
            own_words: [B], what is verified instead of the completions, where RTTTrainer knows it from the tokens.

        Raises:
            ConfigurationError, DataError, MissingDependencyError, JudgeFailureError: the judge cannot be used as it was
                set up, or cannot go on, and there is one process. Of several, the one where that is so would leave the
                others waiting for it: the verdicts are undetermined then, and the error is kept under ``unusable``.
                Whatever else the judge raises gives undetermined verdicts.
        """
        tasks = [_task(line) for line in task]
        if own_words is None:
            own_words = [join_turns(_turns(completion), self.judged_turns) for completion in completions]
        answers = list(zip(tasks, own_words, strict=True))
        started = time.perf_counter()
        self.unusable = None
        try:
            self.verdicts = verify_batch(answers, self.judge)
        except UNUSABLE as error:
            if not _has_company():
                raise
            self.unusable = error
            self.verdicts = verify_batch(answers, UnusableJudge(error))
        self.seconds = time.perf_counter() - started
        return rubric_rewards(self.reward, tasks, self.verdicts)

    def asynchronous(self) -> Callable[..., Awaitable[list[float | None]]]:
        """This reward as a coroutine function of the same name, which TRL awaits together with others of its kind.

        The work is done in a thread of its own, so a judge that takes long holds up neither TRL's event loop nor,
        since the thread is a daemon, the end of the interpreter after an interrupt.

        Example:
            >>> GRPOTrainer(model, reward_funcs=RubricReward(judge=judge).asynchronous(), ...)
        """

        async def reward(**batch: Any) -> list[float | None]:
            return await asyncio.wrap_future(in_background(lambda: self(**batch), self.__name__))

        reward.__name__ = self.__name__
        return reward


def _has_company() -> bool:
    """Whether this is one of several processes that wait for each other."""
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _turns(completion: Any) -> list[str]:
    """What the model said in each of its turns: TRL gives a string, or messages, a tool's results among them."""
    if isinstance(completion, str):
        return [completion]
    contents = [message["content"] for message in completion if message["role"] != "tool"]
    return [content if isinstance(content, str) else "" for content in contents]


# ------------------------------------------------------------------------------------------------------------ trainer


class _ResumableOrder(Sampler[int]):
    """TRL's sampler, with the order of the epoch that a resumed run is in.

    TRL's draws a new permutation each time it is iterated and knows no epochs, so a run that resumes in its second
    epoch would be given the first one's order again. This one draws and drops what the finished epochs had drawn.
    """

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler
        self.drawn = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of ``epoch``, from 0; does nothing in a run that was never interrupted."""
        while self.drawn < epoch and self.sampler.shuffle:
            torch.randperm(self.sampler.num_samples, generator=self.sampler.generator)
            self.drawn += 1

    def __iter__(self) -> Iterator[int]:
        self.drawn += 1
        yield from self.sampler

    def __len__(self) -> int:
        return len(self.sampler)


class _TellsTheEpoch(TrainerCallback):  # type: ignore[misc]  # transformers has no type information
    """Tells the sampler which epoch begins: not every wrapper that accelerate puts around it does."""

    def __init__(self, trainer: RTTTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The epoch is a fraction after a checkpoint amid one, and a whole number up to rounding at its end."""
        if self.trainer._order is not None:
            self.trainer._order.set_epoch(int((state.epoch or 0) + 1e-6))


class _Times(TrainerCallback):  # type: ignore[misc]  # transformers has no type information
    """Logs what relevance source and judge cost: seconds in a step, and relevance's share of the step's wall clock.

    A step lasts from its first micro batch to the optimiser's update, sampling and scoring included; one that only
    reuses a rollout has 0 seconds. What evaluation asks of them is not counted.
    """

    def __init__(self, trainer: RTTTrainer) -> None:
        self.trainer = trainer
        self.started = time.perf_counter()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The clock starts."""
        self.started = time.perf_counter()
        self.trainer._relevance_seconds = self.trainer._judge_seconds = 0.0

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """The step's numbers join its other metrics, which are logged after this."""
        metrics = self.trainer._metrics["train"]
        if self.trainer._judge is not None:
            metrics["rtt/judge_seconds"].append(self.trainer._judge_seconds)
        if self.trainer.args.token_weight == 0:
            return
        seconds = self.trainer._relevance_seconds
        metrics["rtt/relevance_seconds"].append(seconds)
        metrics["rtt/relevance_share"].append(seconds / max(time.perf_counter() - self.started, 1e-9))


class _LastStep(TrainerCallback):  # type: ignore[misc]  # transformers has no type information
    """Remembers what a checkpoint of the last finished step needs, until the next one is finished.

    Sampling draws from the random generators before judge and relevance source are asked, so a checkpoint written after
    that must hold their states from before. "Before" is where the Trainer puts a resumed run: at the beginning of an
    epoch its data loader has not drawn its seed yet; amid an epoch the step's data have been read.
    """

    def __init__(self, trainer: RTTTrainer) -> None:
        self.trainer = trainer
        self.amid_epoch = False
        self.checkpoint: tuple[int, Path] | None = None  # of which step, where
        self.note()

    def note(self) -> None:
        """Take down the states as they are now."""
        state = self.trainer.state
        self.generators = _generators()
        self.counters = (state.num_input_tokens_seen, self.trainer.current_flos)

    def recall(self) -> None:
        """Set the states as they were noted."""
        _set_generators(self.generators)
        self.trainer.state.num_input_tokens_seen, self.trainer.current_flos = self.counters

    def resumed_from(self, checkpoint: Path) -> None:
        """The Trainer has just set the generators as a checkpoint says."""
        self.checkpoint = (self.trainer.state.global_step, checkpoint)
        self.note()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """What an earlier run of the same trainer left is not this one's."""
        self.checkpoint = None

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """The data loader has not drawn yet."""
        self.amid_epoch = False
        self.note()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The step's data have been read; of an epoch's first step, the beginning of the epoch is what counts."""
        if self.amid_epoch:
            self.note()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """From here on, steps begin amid the epoch."""
        self.amid_epoch = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The Trainer has just written a checkpoint; one of the model alone is none to go on from."""
        if not args.save_only_model:
            self.checkpoint = (state.global_step, self.trainer._checkpoint_folder())


class _SameDiscriminator(TrainerCallback):  # type: ignore[misc]  # transformers has no type information
    """Keeps a run to the discriminator that it began with, which the address of a server does not say."""

    FILE = "served_discriminator.json"

    def __init__(self, trainer: RTTTrainer, discriminator: ServedDiscriminator) -> None:
        self.trainer = trainer
        self.discriminator = discriminator

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A checkpoint says which it was."""
        if args.should_save:
            file = self.trainer._checkpoint_folder() / self.FILE
            unfinished = file.with_suffix(".tmp")
            unfinished.write_text(json.dumps({"fingerprint": self.discriminator.fingerprint}), encoding="utf-8")
            unfinished.replace(file)

    def resumed_from(self, checkpoint: Path) -> None:
        """Refuse to go on with another than the checkpoint says; one that was killed before it could say so is taken.

        Raises:
            ConfigurationError: another discriminator is served by now.
        """
        file = checkpoint / self.FILE
        if not file.is_file():
            return
        before = json.loads(file.read_text(encoding="utf-8"))["fingerprint"]
        if before != self.discriminator.fingerprint:
            raise ConfigurationError(
                f"{checkpoint} is of a run with the discriminator {before[:12]}; {self.discriminator.url} serves "
                f"{self.discriminator.fingerprint[:12]}: serve that one again, or begin a new run (output_dir)"
            )


def _generators() -> tuple[Any, ...]:
    """The states of all random generators that a checkpoint holds."""
    device = torch.get_device_module()
    states = device.get_rng_state_all() if hasattr(device, "get_rng_state_all") else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), states  # transformers' own


def _set_generators(generators: tuple[Any, ...]) -> None:
    of_python, of_numpy, of_torch, of_devices = generators
    random.setstate(of_python)
    np.random.set_state(of_numpy)
    torch.set_rng_state(of_torch)
    if of_devices is not None:
        torch.get_device_module().set_rng_state_all(of_devices)


@dataclass(frozen=True)
class _Rollout:
    """What is known of this process's responses between the overrides."""

    tasks: list[Task]
    responses: list[Response]
    verdicts: list[list[Verdict]]
    rewards: list[float | None]
    report: JudgeReport | None


_TITLE = "Rubrics to Tokens: Bridging Response-level Rubrics and Token-level Rewards in Instruction Following Tasks"
_CITATION = f"""@article{{rubrics2tokens,
    title  = {{{{{_TITLE}}}}},
    year   = 2026,
    eprint = {{arXiv:2604.02795}},
}}"""


class RTTTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL has no type information
    """GRPOTrainer with token-level credit: trains a policy on tasks with RTT-GRPO (arXiv:2604.02795).

    Args:
        model: as for GRPOTrainer: a name, a path or a model.
        reward_funcs: further reward functions, added to the rubric's as TRL adds rewards; usually none.
        args: an RTTConfig.
        train_dataset: tasks, or a dataset with the columns of :func:`task_dataset`.
        eval_dataset: the same, or ``None``.
        relevance: any :class:`~rtt.relevance.RelevanceSource`; overrides ``args.relevance``. It is called once a
            rollout on each process with that process's responses; it must not draw from torch's global generator. What
            it costs is logged as ``rtt/relevance_seconds`` and ``rtt/relevance_share``, of a step on this process.
        judge: decides the criteria that have no rule. It is asked once a rollout, in a thread of its own; of several
            processes each asks its share of the different questions, whosever they are. What it raises gives
            undetermined verdicts, unless it cannot be used as it was set up (see :class:`RubricReward`); when too many
            of them failed (``args.judge_max_failed``), training stops. Where training is interrupted, or a process's
            share takes longer than half of ``args.ddp_timeout``, its ``close()`` is called if it has one: what it has
            not answered then has failed.
        **kwargs: as for GRPOTrainer: ``processing_class``, ``peft_config``, ``callbacks``, ``tools``,
            ``environment_factory``, ... A ``rollout_func`` must return ``env_mask``: for each response, 1 on the
            model's own tokens and 0 on the others.

    Raises:
        ConfigurationError: ``args`` is not an RTTConfig, a dataset has no ``task`` column, or options do not fit
            together, or the relevance source cannot be had: no such model, the policy's own contrast while its weights
            are sharded, or any contrast where the prompts are not the tasks'.
    """

    _tag_names: ClassVar = ["trl", "grpo", "rtt"]
    _name = "RTT-GRPO"
    _paper: Mapping[str, str] = MappingProxyType({"title": _TITLE, "id": "2604.02795", "citation": _CITATION})
    _signature_columns: list[str] | None

    def __init__(
        self,
        model: str | PreTrainedModel,
        reward_funcs: Any = None,
        args: RTTConfig | None = None,
        train_dataset: Dataset | IterableDataset | Sequence[Task] | None = None,
        eval_dataset: Any = None,
        *,
        relevance: RelevanceSource | None = None,
        judge: VerdictSource | None = None,
        **kwargs: Any,
    ) -> None:
        args = RTTConfig("rtt-grpo") if args is None else args
        if not isinstance(args, RTTConfig):
            raise ConfigurationError(f"args is a {type(args).__name__}; expected an RTTConfig (it has the same fields)")
        if kwargs.get("environment_factory") and train_dataset is None:
            raise ConfigurationError("train_dataset is missing: an environment has no rubrics; expected tasks")
        if kwargs.get("rollout_func") and (kwargs.get("tools") or kwargs.get("environment_factory")):
            raise ConfigurationError(
                "rollout_func with tools or environment_factory: TRL does not read the env_mask of the one when it "
                "calls the others; drop one of them"
            )
        more = [] if reward_funcs is None else list(reward_funcs) if isinstance(reward_funcs, list) else [reward_funcs]
        self._rubric_reward = RubricReward(args.reward, judge, args.judged_turns)
        self._judge = judge
        self._relevance_seconds = self._judge_seconds = 0.0
        self._own: list[list[int]] | None = None
        self._prompts_vary = bool(kwargs.get("environment_factory") or kwargs.get("rollout_func"))
        self._rollout: _Rollout | None = None
        self._order: _ResumableOrder | None = None
        self._recorded_step = 0
        self._recorded: list[Record] = []
        set_seed(args.seed)  # an adapter's first weights are drawn; before TRL 1.15 without a seed
        super().__init__(
            model=model,
            reward_funcs=[self._rubric_reward if judge is None else self._rubric_reward.asynchronous(), *more],
            args=args,
            train_dataset=_dataset("train_dataset", train_dataset),
            eval_dataset=(
                {name: _dataset(f"eval_dataset[{name!r}]", one) for name, one in eval_dataset.items()}
                if isinstance(eval_dataset, dict)
                else _dataset("eval_dataset", eval_dataset)
            ),
            **kwargs,
        )
        if judge is not None and _has_company():
            # of gloo and of its own: it is used in the judge's thread, which has neither the GPU's context nor the turn
            group = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=args.ddp_timeout))
            self._rubric_reward.judge = SpreadJudge(judge, group, time_limit=args.ddp_timeout / 2)
        self._check_tasks()
        if args.response_advantage == "gdpo" and len(self.reward_funcs) > 1:
            raise ConfigurationError(
                "response_advantage='gdpo' normalises the rubric alone; drop reward_funcs, or the environment's "
                "get_reward"
            )
        self.add_callback(_TellsTheEpoch(self))
        self.add_callback(_Times(self))
        self._last_step = _LastStep(self)
        self.add_callback(self._last_step)
        self._same_discriminator: _SameDiscriminator | None = None
        self._relevance = relevance
        if relevance is None and args.token_weight > 0:
            # Loading a model may draw; what the policy samples must not change.
            with torch.random.fork_rng(devices=[]), whole_models():
                self._relevance = self._relevance_source()
        if args.token_weight == 0:  # GRPO, or GDPO: the model card must not say otherwise
            self._name, self._paper = super()._name, super()._paper

    def _check_tasks(self) -> None:
        """TRL draws whole rollouts and drops the rest: with fewer tasks than one asks for it would train on nothing."""
        args: RTTConfig = self.args
        prompts = args.generation_batch_size // args.num_generations
        if isinstance(self.train_dataset, Dataset) and len(self.train_dataset) < prompts:
            raise ConfigurationError(
                f"train_dataset has {len(self.train_dataset)} tasks, fewer than the {prompts} prompts of a rollout "
                f"({args.generation_batch_size} responses of all processes, {args.num_generations} to a prompt), so no "
                "step could be made; lower per_device_train_batch_size or gradient_accumulation_steps, or add tasks"
            )

    def _relevance_source(self) -> RelevanceSource:
        args: RTTConfig = self.args
        return args.build_relevance(
            seed=args.seed, device=self.accelerator.device, contrast=self._contrast, served=self._served
        )

    def _served(self, address: str) -> RelevanceSource:
        """A discriminator behind an address, which has to be the same one when the run goes on."""
        # an answer that is waited for longer than the process group allows would end the other processes first
        discriminator = ServedDiscriminator(address, timeout=min(ANSWER_SECONDS, self.args.ddp_timeout / 2))
        self._same_discriminator = _SameDiscriminator(self, discriminator)
        self.add_callback(self._same_discriminator)
        return DiscriminatorRelevance(discriminator)

    def _contrast(self) -> dict[str, Any]:
        """What the contrast reads: the policy, unless it has a model of its own."""
        args: RTTConfig = self.args
        if self._prompts_vary:
            raise ConfigurationError(
                "relevance='contrast' reads the tasks' prompts, which an environment adds to and a rollout_func "
                "may change; choose another source"
            )
        template = {"chat_template_kwargs": self._chat_template_kwargs(own=args.relevance_model is None)}
        if args.relevance_model is not None:
            return {"policy_tokenizer": self._tokenizer, "only_own_tokens": bool(self.tools), **template}
        if self.is_fsdp_enabled or self._zero_stage() == 3:
            raise ConfigurationError(
                "relevance='contrast' reads the policy as a whole, which FSDP and DeepSpeed ZeRO-3 keep in parts; "
                "name a relevance_model, or train without sharding the weights"
            )
        return {"model": self.accelerator.unwrap_model(self.model), "tokenizer": self._tokenizer, **template}

    def _chat_template_kwargs(self, *, own: bool) -> dict[str, Any]:
        """What prompts are rendered with; ``own``: by the policy's tokenizer, whose template TRL may have replaced."""
        options = dict(self.chat_template_kwargs)
        if self.tools:
            options["tools"] = self.tools
        if own and self.chat_template is not None:
            options["chat_template"] = self.chat_template
        return options

    def _zero_stage(self) -> int | None:
        plugin = getattr(self.accelerator.state, "deepspeed_plugin", None)
        return None if plugin is None else plugin.zero_stage

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, as GRPOTrainer does.

        Raises:
            JudgeFailureError: on all processes, when more than ``judge_max_failed`` of a rollout's judged verdicts
                failed, or the processes lost each other while they shared the judge; a checkpoint of the last
                finished step has then been written.
            RelevanceFailureError: on all processes, when the relevance source of one gives no answer; likewise.
            ConfigurationError, DataError, MissingDependencyError: on all processes, when the judge of one cannot be
                used as it was set up (no key, a damaged cache); the others name the process.
        """
        try:
            return super().train(*args, **kwargs)
        except BaseException:  # an interrupt, above all: what the judge's thread still asks is of no use any more
            close = getattr(self._judge, "close", None)
            if close is not None:
                close()
            raise

    def _load_rng_state(self, checkpoint: str | None) -> None:
        super()._load_rng_state(checkpoint)
        if checkpoint is not None:
            self._last_step.resumed_from(Path(checkpoint))
            if self._same_discriminator is not None:
                self._same_discriminator.resumed_from(Path(checkpoint))

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        # The last that every process writes. trainer_state.json, which comes next, is to say that all of them have.
        self.accelerator.wait_for_everyone()

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()  # the columns that remove_unused_columns leaves
        columns = self._signature_columns or []
        self._signature_columns = columns if "task" in columns else [*columns, "task"]

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        self._order = _ResumableOrder(super()._get_train_sampler(dataset))
        return self._order

    # ---------------------------------------------------------------------------------- override 1: whose each token is

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        output: tuple[Any, ...] = super()._generate(prompts)
        self._own = output[2]
        if self.rollout_func is not None and self._own is None:
            raise ConfigurationError(
                "rollout_func returned no 'env_mask'; expected for each response one number a token, 1 where it is the "
                "model's own and 0 where it is not (all 1 where there is but one turn)"
            )
        return output

    # ------------------------------------------------------------------------------- override 2: rewards, with verdicts

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: list[Any]
    ) -> Tensor:
        tasks = [_task(row["task"]) for row in inputs]
        responses = self._responses(tasks, completions, completion_ids_list)
        inputs = [{**row, "own_words": response.text} for row, response in zip(inputs, responses, strict=True)]
        before = _report(self._judge)
        rewards: Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._judge_seconds += self._rubric_reward.seconds
        if self._judge is not None and self.accelerator.num_processes > 1:
            self._stop_if_a_judge_is_unusable(self._rubric_reward.unusable)
        first = self.accelerator.process_index * len(inputs)
        own = rewards[first : first + len(inputs), 0].tolist()
        self._rollout = _Rollout(
            tasks=tasks,
            responses=responses,
            verdicts=self._rubric_reward.verdicts,
            rewards=[None if math.isnan(reward) else reward for reward in own],
            report=None if (after := _report(self._judge)) is None or before is None else after - before,
        )
        if self._judge is not None and self.args.judge_max_failed < 1 and self.model.training:
            self._stop_if_the_judge_failed(self._rollout.verdicts)
        return rewards

    def _responses(
        self, tasks: Sequence[Task], completions: Sequence[Any], token_ids: Sequence[Sequence[int]]
    ) -> list[Response]:
        """What was said, and by which tokens: in one turn, or in as many as the model had."""
        parsed = self.rollout_func is None  # else TRL takes all turns, the environment's among them, for one message
        marks = [[1] * len(ids) for ids in token_ids] if self._own is None else self._own
        return [
            response_from_turns(
                task.id,
                ids,
                own,
                self._tokenizer,
                answers=_turns(completion) if parsed else None,
                judged=self.args.judged_turns,
            )
            for task, ids, own, completion in zip(tasks, token_ids, marks, completions, strict=True)
        ]

    def _stop_if_a_judge_is_unusable(self, own: RTTError | None) -> None:
        """Stop all processes: those whose judge cannot be used with their own error, the others with the first one.

        Where it cannot go on, which is no fault of the setting, all stop alike.
        """
        kind = next((kind for kind in UNUSABLE if isinstance(own, kind)), None)
        told: list[tuple[type[RTTError] | None, str]] = gather_object([(kind, str(own))])
        stuck = next((words for first, words in told if first is JudgeFailureError), None)
        if stuck is not None:
            raise JudgeFailureError(self._in_this_rollout(stuck)) from own
        if own is not None:
            raise own
        for process, (first, words) in enumerate(told):
            if first is not None:
                raise first(f"process {process} of {len(told)}: {words}")

    def _stop_if_the_judge_failed(self, verdicts: Sequence[Sequence[Verdict]]) -> None:
        """Stop all processes alike; they have all been judged, and none waits for another in what follows."""
        gathered: list[tuple[int, Counter[str]]] = gather_object([judge_failures(verdicts)])
        told = told_judge_failure(
            sum(judged for judged, _ in gathered),
            sum((reasons for _, reasons in gathered), Counter()),
            self.args.judge_max_failed,
            self.state.global_step + 1,
        )
        if told is not None:
            raise JudgeFailureError(f"{told} {self._way_back()}")

    def _in_this_rollout(self, words: str) -> str:
        """Why all processes stop, where, and what to do then."""
        if not self.model.training:
            return f"in evaluation: {words}"
        return f"in the rollout for step {self.state.global_step + 1}: {words}; then {self._way_back()}"

    def _way_back(self) -> str:
        """What to do once the fault is mended; a checkpoint of the last finished step is there afterwards."""
        finished = self.state.global_step
        if finished == 0:
            return "no step was finished yet, so there is nothing to resume: start again"
        folder = self._checkpoint_of(finished)
        return f"go on from step {finished} with resume_from_checkpoint={str(folder)!r}"

    def _checkpoint_of(self, finished: int) -> Path:
        """A checkpoint from which the run goes on as if it had not been stopped; written unless there is one."""
        last_step = self._last_step
        if last_step.checkpoint is not None and last_step.checkpoint[0] == finished:
            return last_step.checkpoint[1]
        last_step.recall()
        save_only_model, self.args.save_only_model = self.args.save_only_model, False
        try:
            self._save_checkpoint(self.model, trial=None)
        finally:
            self.args.save_only_model = save_only_model
        self.callback_handler.on_save(self.args, self.state, self.control)
        return self._checkpoint_folder()

    def _checkpoint_folder(self) -> Path:
        """Where the Trainer writes the checkpoint of the step that was finished last."""
        return Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"

    def training_step(self, *arguments: Any, **options: Any) -> Tensor:
        """One micro-batch, as TRL does it; a loss that is no number ends training before it reaches the weights.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite. The Trainer itself would go on, and log 0 in its place.
        """
        loss: Tensor = super().training_step(*arguments, **options)
        if not bool(torch.isfinite(loss).all()):
            raise NonFiniteLossError(
                f"the loss of step {self.state.global_step + 1} is {float(loss.sum())}; the weights are those of the "
                "step before. Go on from the last checkpoint with a lower learning_rate, a token_advantage_bound or "
                "bf16 instead of fp16; if the first step fails, look at the model and the relevance source"
            )
        return loss

    # --------------------------------------------------------------------------- override 3: advantages, token by token

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        rollout, self._rollout = self._rollout, None
        if rollout is None:
            raise ConfigurationError("TRL scored a batch without _calculate_rewards; use a TRL of the tested range")
        args: RTTConfig = self.args
        localised = args.token_weight > 0
        relevance = None
        if localised and self._relevance is not None:
            relevance = self._relevance_of(rollout, self._relevance)
        mask = output["completion_mask"].bool()
        if "tool_mask" in output:
            mask = mask & output["tool_mask"].bool()
        batch = self._collate(rollout, relevance, mask)
        context = self._gather_verdicts(batch)
        response_advantages = output["advantages"]  # (B,)
        if args.response_advantage == "gdpo":
            gdpo = credit.gdpo(batch, weighted=args.reward == "weighted", context=context)
            response_advantages = gdpo.to(response_advantages)
        token_advantages = torch.zeros_like(batch.mask, dtype=torch.float32)
        advantages = response_advantages
        if localised:
            options = self._partition_options(batch, rollout, context)
            token_advantages = credit.PARTITIONS[args.partition](batch, **options)
            advantages = credit.combine(
                response_advantages, token_advantages, batch.mask, args.token_weight, how=args.combine
            )
        output["advantages"] = advantages
        self._log_credit(rollout, batch, response_advantages, token_advantages)
        if self.model.training and self._records_due():
            shares = credit.criterion_advantages(batch, args.partition, **options) if localised else None
            self._write_records(rollout, batch, response_advantages, token_advantages, shares)
        return output

    def _relevance_of(self, rollout: _Rollout, source: RelevanceSource) -> Sequence[Any] | None:
        """Ask the relevance source; where that of one process gives no answer, stop all of them alike."""
        failure: RelevanceFailureError | None = None
        relevance = None
        started = time.perf_counter()
        try:
            relevance = source(rollout.tasks, rollout.responses, rollout.verdicts)
        except RelevanceFailureError as error:
            failure = error
        self._relevance_seconds += time.perf_counter() - started
        told: list[str | None] = gather_object([None if failure is None else str(failure)])
        words = next((one for one in told if one is not None), None)
        if words is None:
            return relevance
        raise RelevanceFailureError(self._in_this_rollout(words)) from failure

    def _collate(self, rollout: _Rollout, relevance: Sequence[Any] | None, mask: Tensor) -> credit.CreditBatch:
        """The batch of this process; the group is the prompt's place in the whole batch, over all processes."""
        size = self.num_generations if self.model.training else self.num_generations_eval
        first = self.accelerator.process_index * len(rollout.tasks)
        own = mask.cpu()
        rows = []
        for i, (task, response, verdicts) in enumerate(
            zip(rollout.tasks, rollout.responses, rollout.verdicts, strict=True)
        ):
            tokens = len(response.token_ids)
            shape = (len(verdicts), tokens)
            found = torch.zeros(shape) if relevance is None else torch.as_tensor(relevance[i])
            if found.shape != shape:
                raise ShapeError(
                    f"relevance of response {i} (task {task.id!r}) has shape {tuple(found.shape)}; expected {shape}: "
                    "criteria x tokens"
                )
            rows.append(
                credit.CreditRow(
                    verdicts=[int(verdict.outcome) for verdict in verdicts],
                    relevance=found,
                    group=(first + i) // size,
                    weights=[criterion.weight for criterion in task.rubric.criteria],
                    mask=own[i, :tokens],
                )
            )
        return credit.collate(rows, length=mask.shape[1], device=mask.device)

    def _partition_options(
        self, batch: credit.CreditBatch, rollout: _Rollout, context: credit.GroupVerdicts | None
    ) -> dict[str, Any]:
        """The options of ``args.partition``, with what other processes must tell."""
        args: RTTConfig = self.args
        options = {**args.partition_options(lambda: self._special(rollout, batch)), "context": context}
        if args.partition in credit.MOMENTS and self.accelerator.num_processes > 1:
            options["moments"] = self._gather_moments(batch, options)
        return options

    def _special(self, rollout: _Rollout, batch: credit.CreditBatch) -> Tensor:
        special = torch.zeros_like(batch.mask)
        for row, response in zip(special, rollout.responses, strict=True):
            row[: len(response.token_ids)] = torch.tensor(special_tokens(response, self._tokenizer), device=row.device)
        return special

    # --------------------------------------------------------------------------------------- what processes tell others

    def _gather(self, values: Tensor) -> Tensor:
        """Rows of all processes, in order; the second axis is padded with 0 to the longest rubric of all."""
        if values.dim() > 1:
            values = self.accelerator.pad_across_processes(values, dim=1)
        gathered: Tensor = self.accelerator.gather(values.contiguous())
        return gathered

    def _gather_verdicts(self, batch: credit.CreditBatch) -> credit.GroupVerdicts | None:
        """The verdicts of whole groups, which several processes may share; ``None`` where there is but one process."""
        if self.accelerator.num_processes == 1:
            return None
        return credit.GroupVerdicts(
            verdicts=self._gather(batch.verdicts.to(torch.int64)),
            group=self._gather(batch.group),
            weights=self._gather(batch.weights),
        )

    def _gather_moments(self, batch: credit.CreditBatch, options: Mapping[str, Any]) -> credit.Moments:
        """What the partition must know of the other processes' responses: a few numbers each, never their relevance."""
        measure = credit.MOMENTS[self.args.partition]
        moments = measure(batch, **{name: options[name] for name in signature(measure).parameters if name in options})
        return credit.Moments(**{part.name: self._gather(getattr(moments, part.name)) for part in fields(moments)})

    # ---------------------------------------------------------------------------------------------- metrics and records

    def _log_credit(
        self,
        rollout: _Rollout,
        batch: credit.CreditBatch,
        response_advantages: Tensor,
        token_advantages: Tensor,
    ) -> None:
        """Metrics under ``rtt/``: each is a sum and a count on every process, added up over all of them."""
        mode = "train" if self.model.training else "eval"
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

        def add(name: str, total: float, count: float) -> None:
            sums[name][0] += total
            sums[name][1] += count

        for task, verdicts in zip(rollout.tasks, rollout.verdicts, strict=True):
            add("undetermined", sum(not verdict.determined for verdict in verdicts), len(verdicts))
            judged = [] if self._judge is None else [verdict for verdict in verdicts if verdict.judged]
            if judged:
                undetermined = [verdict for verdict in judged if not verdict.determined]
                add("judge_failed", sum(verdict.failed for verdict in undetermined), len(judged))
                add("judge_cannot_tell", sum(not verdict.failed for verdict in undetermined), len(judged))
            earned = []
            for criterion, verdict in zip(task.rubric.criteria, verdicts, strict=True):
                if not verdict.determined:
                    continue
                earned.append(credited(criterion, verdict) is Outcome.SATISFIED)
                add(f"pass_rate/{criterion.rule.name if criterion.rule else 'judge'}", earned[-1], 1)
            if earned:
                add("rubric_accuracy", sum(earned), len(earned))
                add("instruction_accuracy", all(earned), 1)
        tokens = float(batch.mask.sum())
        weight: float = self.args.token_weight
        weighted = token_advantages.abs() * weight
        add("response_advantage_size", float((response_advantages.abs().unsqueeze(1) * batch.mask).sum()), tokens)
        add("token_advantage_size", float((weighted * batch.mask).sum()), tokens)
        lengths = batch.mask.sum(1, keepdim=True)  # (B, 1)
        counted = batch.determined & (lengths > 0)  # (B, K); a truncated response may be masked as a whole
        present = (batch.relevance * batch.mask.unsqueeze(1)).sum(-1) * counted
        add("relevance_coverage", float((present > 0).sum()), float(counted.sum()))
        add("relevance_mean", float((present / lengths.clamp(min=1)).sum()), float(counted.sum()))
        unlocated = [bool(r.text) and all(start == end for start, end in r.spans) for r in rollout.responses]
        add("unlocated_answers", sum(unlocated), len(unlocated))
        maximum = float(weighted.max()) if weighted.numel() else 0.0
        groups = [
            (int(group), bool(response), bool(token))
            for group, response, token in zip(
                batch.group.tolist(),
                (response_advantages.abs() > SIGNAL).tolist(),
                (token_advantages.abs() > SIGNAL).any(1).tolist(),
                strict=True,
            )
        ]
        spent: dict[str, float | None] = {}
        if (report := rollout.report) is not None and report.criteria:  # of whichever process's responses
            add("judge_cached", report.cached, report.criteria)
            spent = {
                "judge_calls": report.calls,
                "judge_prompt_tokens": report.prompt_tokens,
                "judge_completion_tokens": report.completion_tokens,
                "judge_cost": report.cost,
            }
        gathered = gather_object([(dict(sums), maximum, groups, spent)])
        for name in sorted({name for part, _, _, _ in gathered for name in part}):
            total = sum(part[name][0] for part, _, _, _ in gathered if name in part)
            count = sum(part[name][1] for part, _, _, _ in gathered if name in part)
            self._metrics[mode][f"rtt/{name}"].append(total / count if count else math.nan)
        for name in sorted({name for _, _, _, part in gathered for name in part}):
            amounts = [part[name] for _, _, _, part in gathered if name in part]
            if None not in amounts:  # without prices the cost is not known
                self._metrics[mode][f"rtt/{name}"].append(sum(amounts))
        self._metrics[mode]["rtt/token_advantage_max"].append(max(largest for _, largest, _, _ in gathered))
        response_signal: Counter[int] = Counter()
        token_signal: Counter[int] = Counter()
        for _, _, rows_of_process, _ in gathered:
            for group, by_response, by_token in rows_of_process:
                response_signal[group] += by_response
                token_signal[group] += by_token
        silent = sum(count == 0 for count in response_signal.values()) / len(response_signal)
        heard = sum(count > 0 for count in token_signal.values()) / len(token_signal)
        self._metrics[mode]["rtt/groups_without_response_signal"].append(silent)
        self._metrics[mode]["rtt/groups_with_token_signal"].append(heard)

    def _records_due(self) -> bool:
        """A rollout may serve several steps: it is recorded, under the first of them, when any of them is due."""
        args: RTTConfig = self.args
        step = self.state.global_step + 1
        served = max(1, args.steps_per_generation * self.num_iterations // args.gradient_accumulation_steps)
        steps = range(step, step + served)
        return bool(args.records_steps) and any(s == 1 or s % args.records_steps == 0 for s in steps)

    def _write_records(
        self,
        rollout: _Rollout,
        batch: credit.CreditBatch,
        response_advantages: Tensor,
        token_advantages: Tensor,
        shares: Tensor | None,
    ) -> None:
        args: RTTConfig = self.args
        step = self.state.global_step + 1
        weight, how = args.token_weight, args.combine
        combined = credit.combine(response_advantages, token_advantages, batch.mask, weight, how=how)
        records = []
        for i, response in enumerate(rollout.responses):
            tokens, criteria = len(response.token_ids), len(rollout.verdicts[i])
            records.append(
                Record(
                    step=step,
                    group=int(batch.group[i]),
                    task=rollout.tasks[i],
                    response=response,
                    verdicts=tuple(rollout.verdicts[i]),
                    relevance=tuple(tuple(row) for row in batch.relevance[i, :criteria, :tokens].tolist()),
                    reward=rollout.rewards[i],
                    response_advantage=float(response_advantages[i]),
                    token_advantages=tuple(token_advantages[i, :tokens].tolist()),
                    advantages=tuple(combined[i, :tokens].tolist()),
                    criterion_advantages=(
                        None if shares is None else tuple(tuple(row) for row in shares[i, :criteria, :tokens].tolist())
                    ),
                    token_weight=weight,
                    combine=how,
                )
            )
        gathered: list[Record] = gather_object(records)
        if not self.accelerator.is_main_process:
            return
        if self._recorded_step != step:
            self._recorded_step, self._recorded = step, []
        # or a step may have several rollouts: their groups are numbered through
        groups = 1 + max((record.group for record in self._recorded), default=-1)
        self._recorded += [replace(record, group=groups + record.group) for record in gathered]
        write_records(records_path(Path(args.output_dir) / "records", step), self._recorded)


def _report(judge: VerdictSource | None) -> JudgeReport | None:
    """What a judge has done so far; None where it does not say."""
    report = getattr(judge, "report", None)
    return report if isinstance(report, JudgeReport) else None


def _dataset(name: str, dataset: Any) -> Any:
    """A dataset with the columns that the reward reads, from tasks where tasks came."""
    if dataset is None:
        return None
    if isinstance(dataset, str | Path):
        raise ConfigurationError(f"{name} is a path; expected tasks: read them with rtt.read_tasks({str(dataset)!r})")
    if not isinstance(dataset, Dataset | IterableDataset):
        return task_dataset(dataset)
    columns = dataset.column_names
    if columns is not None and not {"prompt", "task"} <= set(columns):
        raise ConfigurationError(
            f"{name} has the columns {sorted(columns)}; expected 'prompt' and 'task': make it with task_dataset(tasks)"
        )
    return dataset
