"""Training a discriminator through transformers' Trainer.

    examples --rows_of--> rows (one response, its criteria, labels) --Trainer--> network --calibrate--> Discriminator

The loss is binary cross entropy on the response's own tokens (arXiv:2604.02795), balanced within each pair of criterion
and response, since relevant tokens are rare (a few per cent), and the order of a response's tokens beside it; see
:func:`pair_loss`. The calibration that is fitted afterwards on the validation examples (Platt scaling) takes the
balancing out of the probabilities again.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset, Sampler
from transformers import AutoTokenizer, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from rtt.alignment import tokens_in
from rtt.errors import ConfigurationError, DataError
from rtt.relevance.discriminator.examples import Example
from rtt.relevance.discriminator.inputs import (
    Batch,
    Encoded,
    Encoder,
    Row,
    Template,
    collate_rows,
    hints_of,
    on_device,
    row_length,
    windows,
)
from rtt.relevance.discriminator.model import (
    Discriminator,
    DiscriminatorSettings,
    Network,
    build_network,
)

log = logging.getLogger(__name__)


@dataclass
class DiscriminatorConfig(TrainingArguments):  # type: ignore[misc]  # transformers has no type information
    """TrainingArguments, and what a discriminator is made of. Defaults suit a small encoder on a CPU.

    Raises:
        ConfigurationError: a value that cannot be used.
    """

    architecture: Literal["joint", "cross"] = field(
        default="joint",
        metadata={"help": "'joint': all criteria and the response in one pass. 'cross': a pass for each pair (paper)."},
    )
    backbone: str | None = field(
        default=None,
        metadata={"help": "Pretrained model: a folder or hub id. Default: the all-MiniLM-L6-v2 encoder (22 M)."},
    )
    template: str | None = field(
        default=None,
        metadata={
            "help": "How criterion and response become one input, with {criterion} and {response} in it. Default: by "
            "the tokenizer's special tokens."
        },
    )
    causal: bool = field(
        default=False, metadata={"help": "Cross only: tokens see only what stands before them, as in a causal model."}
    )
    window: int = field(default=384, metadata={"help": "Tokens of a response that are read at once."})
    overlap: int = field(default=96, metadata={"help": "Tokens that neighbouring windows of a long response share."})
    max_criterion: int = field(default=64, metadata={"help": "Tokens of a criterion that are read."})
    layout: bool = field(
        default=True,
        metadata={"help": "Show letter case and line ends to backbones whose vocabulary is blind to them."},
    )
    lexical: bool = field(
        default=True, metadata={"help": "Joint only: give what spelling alone can tell as a feature."}
    )
    interaction_size: int = field(default=128, metadata={"help": "Joint only: width of the interaction."})
    criteria_per_row: int = field(default=8, metadata={"help": "Joint only: criteria of a training row, at most."})
    ask_all: bool = field(
        default=True,
        metadata={
            "help": "Joint only: ask the criteria of a batch of all its responses, where a rule or a pattern can label "
            "them; many more pairs for little more time."
        },
    )
    ranking_weight: float = field(
        default=0.5, metadata={"help": "Weight of the order within a response beside the cross entropy; 0: none."}
    )
    head_learning_rate: float = field(
        default=1e-3, metadata={"help": "Learning rate of what is new: layout and interaction, or the cross head."}
    )
    max_minutes: float | None = field(
        default=None, metadata={"help": "Stop training after this many minutes, wherever it is; None: never."}
    )
    lora_r: int = field(
        default=0,
        metadata={"help": "Rank of LoRA adapters on the backbone, merged at the end; 0: none."},
    )
    learning_rate: float = field(default=1e-4, metadata={"help": "Learning rate of the backbone."})
    per_device_train_batch_size: int = field(
        default=4, metadata={"help": "Rows read at once: responses (joint) or pairs."}
    )
    gradient_accumulation_steps: int = field(default=2, metadata={"help": "Batches of a step."})
    per_device_eval_batch_size: int = field(default=16, metadata={"help": "Rows of an evaluation batch."})
    num_train_epochs: float = field(default=1.0, metadata={"help": "Passes over the examples."})
    warmup_steps: float = field(default=0.06, metadata={"help": "Steps, or share of the steps, of linear warm-up."})
    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay."})
    lr_scheduler_type: str = field(default="linear", metadata={"help": "Schedule of the learning rate."})
    logging_steps: float = field(default=20, metadata={"help": "Steps between logs."})
    save_steps: float = field(default=200, metadata={"help": "Steps between checkpoints, from which a run resumes."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints that are kept."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture not in ("joint", "cross"):
            raise ConfigurationError(f"architecture={self.architecture!r}; expected 'joint' or 'cross'")
        if self.causal and self.architecture == "joint":
            raise ConfigurationError("causal=True belongs to architecture='cross'; a joint response sees itself whole")
        if not self.ranking_weight >= 0:
            raise ConfigurationError(f"ranking_weight={self.ranking_weight}; expected at least 0")
        if self.criteria_per_row < 1:
            raise ConfigurationError(f"criteria_per_row={self.criteria_per_row}; expected at least 1")
        if not 0 <= self.overlap < self.window:
            raise ConfigurationError(f"overlap={self.overlap} with window={self.window}; expected less than the window")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ConfigurationError(f"max_minutes={self.max_minutes}; expected above 0, or None")
        if self.lora_r < 0:
            raise ConfigurationError(f"lora_r={self.lora_r}; expected at least 0")
        if self.template is not None:
            Template(self.template)

    def settings(self, tokenizer: Any) -> DiscriminatorSettings:
        """What goes into the checkpoint."""
        return DiscriminatorSettings(
            architecture=self.architecture,
            template=self.template or Template.default(tokenizer).text,
            causal=self.causal,
            window=self.window,
            overlap=self.overlap,
            max_criterion=self.max_criterion,
            layout=self.layout,
            lexical=self.lexical,
            interaction_size=self.interaction_size,
        )


# --------------------------------------------------------------------------------------------------------------- rows


AskAgain = Callable[[Example, str], Example | None]
"""An example's criterion with its labels for another text, or None; see :func:`.sampling.ask_again`."""

GLOBAL_WEIGHT = 0.15
"""Weight of a pair that was asked again and in which all or nothing is relevant: most of them, and all alike."""


@dataclass(frozen=True, slots=True)
class LabelledRow(Row):
    """A row with what its labels come from: the text, all its tokens, and which of them the window begins with."""

    text: str = ""
    start: int = 0
    whole: Encoded = field(default_factory=Encoded.empty)
    examples: tuple[Example, ...] = ()


def rows_of(
    examples: Sequence[Example],
    encoder: Encoder,
    *,
    window: int,
    overlap: int,
    criteria_per_row: int,
    lexical: bool = False,
) -> list[LabelledRow]:
    """Training rows: the examples of one response together, at most ``criteria_per_row`` a row.

    A response that is longer than the window gives a row for each window, labels cut alike.
    """
    by_response: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_response[example.response].append(example)
    texts = list(by_response)
    rows: list[LabelledRow] = []
    all_encoded = encoder.responses(texts)
    asked = [[example.criterion for example in by_response[text]] for text in texts]
    hints = hints_of(asked, texts, all_encoded) if lexical else [None] * len(texts)
    for text, encoded, hint in zip(texts, all_encoded, hints, strict=True):
        if not len(encoded):
            continue
        found = by_response[text]
        criteria = [encoder.criterion(example.criterion) for example in found]
        labels = np.stack([_labels(example, encoded.spans) for example in found])  # (K, T)
        for start, end in windows(len(encoded), window, min(overlap, window // 2)):
            for first in range(0, len(found), criteria_per_row):
                chosen = slice(first, first + criteria_per_row)
                rows.append(
                    LabelledRow(
                        encoded.cut(start, end),
                        tuple(criteria[chosen]),
                        labels[chosen, start:end],
                        hints=None if hint is None else hint[chosen, start:end],
                        text=text,
                        start=start,
                        whole=encoded,
                        examples=tuple(found[chosen]),
                    )
                )
    return rows


def _labels(example: Example, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return tokens_in(spans, example.relevant, length=len(example.response)).astype(np.float32)


def asked_of_all(rows: Sequence[LabelledRow], ask_again: AskAgain, encoder: Encoder) -> list[Row]:
    """The rows with the criteria of all of them, as far as they can be asked again."""
    listed = {(example.criterion, example.kind): example for row in rows for example in row.examples}
    result: list[Row] = []
    asked: list[list[str]] = []
    for row in rows:
        own = {(example.criterion, example.kind) for example in row.examples}
        criteria, labels = list(row.criteria), [] if row.labels is None else list(row.labels)
        weights = [1.0] * len(criteria)
        asked.append([example.criterion for example in row.examples])
        part = slice(row.start, row.start + len(row.response))
        for key, example in listed.items():
            found = None if key in own else ask_again(example, row.text)
            if found is None:
                continue
            relevant = _labels(found, row.whole.spans)[part]
            asked[-1].append(example.criterion)
            criteria.append(encoder.criterion(example.criterion))
            labels.append(relevant)
            weights.append(1.0 if 0 < relevant.sum() < len(relevant) else GLOBAL_WEIGHT)
        result.append(Row(row.response, tuple(criteria), np.stack(labels), np.asarray(weights, dtype=np.float32)))
    if rows[0].hints is None:
        return result
    hints = hints_of(asked, [row.text for row in rows], [row.whole for row in rows])
    return [
        replace(new, hints=hint[:, row.start : row.start + len(row.response)])
        for new, hint, row in zip(result, hints, rows, strict=True)
    ]


class _Rows(Dataset[Row]):
    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


def pair_loss(logits: Tensor, batch: Batch, ranking_weight: float) -> Tensor:
    """Binary cross entropy on response tokens, balanced within each pair, and the rank of relevant tokens.

    For each pair the mean over its relevant tokens and the mean over the others count the same, so that one token in
    five hundred is learned as fast as one in two. Where a pair has both, a softmax over its tokens is asked for the
    relevant ones: that is the order within a response, which is all that intra-sample normalisation makes use of.

    Args:
        logits: [N, K, T].
        batch: its labels, weights and masks; padding of tokens and of criteria is never read.
        ranking_weight: weight of the second part.
    """
    assert batch.labels is not None  # nosec B101 # a fact for the type checker
    assert batch.weights is not None  # nosec B101 # a fact for the type checker
    logits = logits.float()
    tokens = batch.response_mask.unsqueeze(1)  # (N, 1, T)
    losses = functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
    relevant, other = (batch.labels > 0) & tokens, (batch.labels == 0) & tokens  # (N, K, T)
    parts = [(losses * part).sum(-1) / part.sum(-1).clamp(min=1) for part in (relevant, other)]  # (N, K) each
    both = relevant.any(-1) & other.any(-1)
    pairs = torch.where(both, (parts[0] + parts[1]) / 2, parts[0] + parts[1])
    shares = logits.masked_fill(~tokens, torch.finfo(logits.dtype).min).log_softmax(-1)
    ranking = -(shares * relevant).sum(-1) / relevant.sum(-1).clamp(min=1) - relevant.sum(-1).clamp(min=1).log()
    pairs = pairs + ranking_weight * ranking * both
    weights = batch.weights * batch.asked_mask  # (N, K)
    return (pairs * weights).sum() / weights.sum().clamp(min=1e-6)


# ------------------------------------------------------------------------------------------------------------- trainer


class DiscriminatorTrainer(Trainer):  # type: ignore[misc]  # transformers has no type information
    """Trainer for rows; batches hold rows of about the same length."""

    def __init__(
        self,
        network: nn.Module,
        args: DiscriminatorConfig,
        encoder: Encoder,
        train_rows: Sequence[LabelledRow],
        validation_rows: Sequence[LabelledRow] = (),
        ask_again: AskAgain | None = None,
        **kwargs: Any,
    ) -> None:
        args.remove_unused_columns = False
        args.label_names = ["labels"]
        args.prediction_loss_only = True
        self._encoder = encoder
        self._ask_again = ask_again
        self._order: _OrderOfEpoch | None = None
        self._train_rows = train_rows
        super().__init__(
            model=network,
            args=args,
            data_collator=self._collate,
            train_dataset=_Rows(train_rows),
            eval_dataset=_Rows(validation_rows) if validation_rows else None,
            **kwargs,
        )
        self.add_callback(_TellsTheEpoch(self))

    def _collate(self, rows: Sequence[LabelledRow]) -> dict[str, Any]:
        again = self._ask_again if self.model.training else None
        chosen = rows if again is None else asked_of_all(rows, again, self._encoder)
        return {"batch": collate_rows(chosen, self._encoder, self.args.architecture)}

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        lengths = [row_length(row, self._encoder, self.args.architecture) for row in self._train_rows]
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self._order = _OrderOfEpoch(lengths, size, seed)
        return self._order

    def compute_loss(
        self, model: nn.Module, inputs: Mapping[str, Batch], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The pair loss; see :func:`pair_loss`."""
        batch = inputs["batch"]
        loss = pair_loss(model(batch), batch, self.args.ranking_weight)
        return (loss, {}) if return_outputs else loss

    def prediction_step(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> tuple[Tensor, None, None]:
        """The loss on the validation rows."""
        with torch.no_grad():
            return self.compute_loss(model, self._prepare_inputs(inputs)).detach(), None, None

    def _prepare_inputs(self, inputs: Mapping[str, Batch]) -> dict[str, Batch]:
        return {"batch": on_device(inputs["batch"], self.args.device)}

    def create_optimizer(self, *_: Any, **__: Any) -> Any:
        """AdamW with a learning rate of its own for what is not pretrained."""
        if getattr(self, "optimizer", None) is None:
            decayed: list[nn.Parameter] = []
            plain: list[nn.Parameter] = []
            fresh: list[nn.Parameter] = []
            for name, part in self.model.named_parameters():
                if not part.requires_grad:
                    continue
                new = not name.startswith("backbone.") or ".classifier." in name or ".score." in name
                (fresh if new else plain if part.dim() < 2 else decayed).append(part)
            groups = [
                {"params": decayed, "weight_decay": self.args.weight_decay},
                {"params": plain, "weight_decay": 0.0},
                {"params": fresh, "weight_decay": 0.0, "lr": self.args.head_learning_rate},
            ]
            kind, options = Trainer.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind([group for group in groups if group["params"]], **options)
        return self.optimizer


class _OrderOfEpoch(Sampler[int]):
    """Rows of about the same length together, in an order that the epoch decides: a resumed run goes on in it."""

    def __init__(self, lengths: Sequence[int], size: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.size = size
        self.seed = seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(self.seed * 1_000_003 + self.epoch)
        yield from LengthGroupedSampler(self.size, lengths=self.lengths, generator=generator)

    def __len__(self) -> int:
        return len(self.lengths)


class _TellsTheEpoch(TrainerCallback):  # type: ignore[misc]  # transformers has no type information
    """Tells the sampler which epoch begins."""

    def __init__(self, trainer: DiscriminatorTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The epoch is a fraction after a checkpoint amid one, and a whole number up to rounding at its end."""
        if self.trainer._order is not None:
            self.trainer._order.epoch = int((state.epoch or 0) + 1e-6)


class _StopsInTime(TrainerCallback):  # type: ignore[misc]  # transformers has no type information
    """Ends the training after ``max_minutes`` of this process."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self.start = time.monotonic()
        self.stopped = False

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The clock starts."""
        self.start = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop when the time is over."""
        if time.monotonic() - self.start > 60 * self.minutes:
            self.stopped = True
            control.should_training_stop = True


def train_discriminator(
    args: DiscriminatorConfig,
    train: Sequence[Example],
    validation: Sequence[Example] = (),
    *,
    ask_again: AskAgain | None = None,
    checkpoint: str | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    notes: Mapping[str, Any] | None = None,
) -> Discriminator:
    """Train, calibrate and save a discriminator into ``args.output_dir``.

    Args:
        args: what to train and how.
        train: the examples to learn from.
        validation: examples for the calibration and the threshold, of other prompts; without any, both stay as they
            are (probabilities are then those of weighted training: too high).
        ask_again: labels a criterion for another response; without it, or with ``ask_all=False``, criteria are asked of
            their own responses only.
        checkpoint: a checkpoint of ``args.output_dir`` to go on from.
        callbacks: of transformers.
        notes: what else the checkpoint should say about its training, such as what was held out.

    Returns:
        The discriminator, as it was saved.

    Raises:
        DataError: there is nothing to learn from.
        ConfigurationError: the backbone does not fit the architecture, or an option another.
    """
    if not any(example.relevant for example in train):
        raise DataError(f"none of the {len(train)} examples has a relevant token; there is nothing to learn")
    torch.manual_seed(args.seed)
    backbone = args.backbone or _default_backbone()
    tokenizer = AutoTokenizer.from_pretrained(backbone)  # nosec B615 # the user names the model
    settings = args.settings(tokenizer)
    network = build_network(backbone, settings)
    discriminator = Discriminator(network, tokenizer, settings)
    if args.lora_r:
        network.backbone = _with_lora(network, args)
    options: dict[str, Any] = {
        "window": discriminator.window,
        "overlap": args.overlap,
        "criteria_per_row": args.criteria_per_row if args.architecture == "joint" else 1,
        "lexical": args.lexical and args.architecture == "joint",
    }
    train_rows = rows_of(train, discriminator.encoder, **options)
    validation_rows = rows_of(validation, discriminator.encoder, **options)
    stop = [_StopsInTime(args.max_minutes)] if args.max_minutes is not None else []
    trainer = DiscriminatorTrainer(
        network,
        args,
        discriminator.encoder,
        train_rows,
        validation_rows,
        ask_again if args.ask_all and args.architecture == "joint" else None,
        callbacks=[*callbacks, *stop],
    )
    if args.disable_tqdm:  # the caller shows the progress; without a bar every log would be printed
        trainer.remove_callback(PrinterCallback)
    start = time.monotonic()
    done = trainer.train(resume_from_checkpoint=checkpoint)
    minutes = (time.monotonic() - start) / 60
    if args.lora_r:
        network.backbone = network.backbone.merge_and_unload()  # type: ignore[operator]
    network.eval()
    settings = settings.model_copy(
        update={
            "training": {
                "examples": len(train),
                "responses": len({example.response for example in train}),
                "kinds": len({example.kind for example in train}),
                "steps": done.global_step,
                "epochs": round(trainer.state.epoch or 0.0, 3),
                "rows a step": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
                "minutes": round(minutes, 1),
                "stopped by max_minutes": any(one.stopped for one in stop),
                "training loss": round(done.training_loss, 4),
                "backbone": getattr(network.backbone.config, "model_type", "?"),
                "seed": args.seed,
                **(notes or {}),
            }
        }
    )
    discriminator = Discriminator(network, tokenizer, settings)
    if validation:
        discriminator = calibrate(discriminator, validation)
    if trainer.is_world_process_zero():
        discriminator.save_pretrained(Path(args.output_dir) / "model")
    return discriminator


def _default_backbone() -> str:
    from rtt.model_sources import obtain_encoder

    return str(obtain_encoder().folder)


def _with_lora(network: Network, args: DiscriminatorConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    new = [name for name in ("classifier", "score") if hasattr(network.backbone, name)]
    return get_peft_model(
        network.backbone,
        LoraConfig(r=args.lora_r, lora_alpha=2 * args.lora_r, target_modules="all-linear", modules_to_save=new or None),
    )


# --------------------------------------------------------------------------------------------------------- calibration


def calibrate(discriminator: Discriminator, validation: Sequence[Example]) -> Discriminator:
    """The discriminator with probabilities that mean what they say, and the threshold of the best F1.

    Platt scaling: a logistic regression on the logits of the validation examples' tokens.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import precision_recall_curve

    plain = discriminator.settings.model_copy(update={"logit_scale": 1.0, "logit_bias": 0.0})
    uncalibrated = Discriminator(discriminator.network, discriminator.tokenizer, plain)
    relevance, labels = _validation_tokens(uncalibrated, validation)
    if labels.min(initial=1) == labels.max(initial=0):
        raise DataError("the validation examples' tokens are all relevant or all irrelevant; expected both kinds")
    clipped = np.clip(relevance.astype(np.float64), 1e-7, 1 - 1e-7)
    logits = np.log(clipped) - np.log1p(-clipped)
    fitted = LogisticRegression(C=1e6).fit(logits[:, None], labels)
    scale, bias = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    probabilities = fitted.predict_proba(logits[:, None])[:, 1]
    precision, recall, thresholds = precision_recall_curve(labels, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    threshold = float(thresholds[int(np.argmax(f1[:-1]))])
    settings = discriminator.settings.model_copy(
        update={"logit_scale": scale, "logit_bias": bias, "threshold": threshold}
    )
    return Discriminator(discriminator.network, discriminator.tokenizer, settings)


def _validation_tokens(
    discriminator: Discriminator, examples: Sequence[Example]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    by_response: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_response[example.response].append(example)
    found = discriminator.tokens(
        [[example.criterion for example in group] for group in by_response.values()], list(by_response)
    )
    relevance, labels = [], []
    for (text, group), (spans, values) in zip(by_response.items(), found, strict=True):
        for example, row in zip(group, values, strict=True):
            relevance.append(row)
            labels.append(tokens_in(spans, example.relevant, length=len(text)))
    return np.concatenate(relevance), np.concatenate(labels)
