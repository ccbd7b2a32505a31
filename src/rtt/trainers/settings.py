"""The settings of the method that every engine has under the same names, and what follows from them alone.

    CreditSettings ── RTTConfig      with TRL's GRPOConfig, rtt.trainers.trl
                   └─ VerlSettings   under verl's key ``rtt``, rtt.trainers.verl

No engine is imported here.
"""

from __future__ import annotations

import functools
import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from rtt import credit
from rtt.errors import ConfigurationError, RTTError, VerifierError
from rtt.relevance import RelevanceSource, relevance_names, relevance_source
from rtt.relevance.discriminator.served import ServedDiscriminator, is_served
from rtt.relevance.discriminator.source import DiscriminatorRelevance
from rtt.rubrics import Criterion, Task
from rtt.verdicts import Verdict

Reward = Literal["csr", "aon", "weighted"]
ResponseAdvantage = Literal["grpo", "gdpo"]
Combine = Literal["add", "mix"]
Missing = Literal["response", "end", "none"]
Otherwise = Literal["discriminator", "contrast", "uniform", "random"]
Shuffled = Literal["evidence", "discriminator", "contrast", "hybrid"]
Partition = Literal["intra_sample", "inter_sample", "criteria_mean", "criteria_softmax", "criterion_group"]

REWARDS: Mapping[str, Callable[[credit.CreditBatch], Tensor]] = {
    "csr": functools.partial(credit.satisfied_fraction, weighted=False),
    "aon": credit.all_or_nothing,
    "weighted": functools.partial(credit.satisfied_fraction, weighted=True),
}
"""The response-level rewards by their names in the paper: the fraction of criteria satisfied, all or nothing."""

SIGNAL = 1e-2
"""An advantage below this is rounding: the float32 mean of eight equal rewards of 1/3 is not 1/3, and TRL divides what
is left by 1e-4."""

Preset = Literal["paper"]
PAPER: Mapping[str, Any] = MappingProxyType(
    {
        "relevance_missing": "response",
        "partition": "intra_sample",
        "token_weight": 0.5,  # nosec B105 # a weight of tokens, no password
        "combine": "add",
        "sigma_floor": 0.0,
        "exclude_special_tokens": False,
        "silent_when_unanimous": False,
        "token_advantage_bound": None,  # nosec B105 # of tokens, no password
        "mass_preserving": False,
    }
)
"""The method as published, arXiv:2604.02795, as far as it is the same in every engine."""


@dataclass
class CreditSettings:
    """What the rewards and the two levels of credit are; see docs/training.md. Nothing is checked on construction."""

    preset: Preset | None = field(
        default=None,
        metadata={
            "help": "'paper': the method as published (intra_sample, lambda 0.5, none of the options that it does not "
            "have). Sets every option that was left at its default."
        },
    )
    reward: Reward = field(
        default="csr",
        metadata={
            "help": "Response-level reward: 'csr' the fraction of criteria satisfied, 'weighted' the same by the "
            "criteria's weights, 'aon' all or nothing."
        },
    )
    response_advantage: ResponseAdvantage = field(
        default="grpo",
        metadata={
            "help": "'grpo': the reward against its group. 'gdpo': each criterion against its group, summed, then "
            "normalised over the batch (arXiv:2601.05242)."
        },
    )
    relevance: str = field(
        default="evidence",
        metadata={
            "help": "Which tokens are responsible: 'evidence' (the rules' own spans), 'discriminator' (a trained "
            "model), 'contrast' (what the criterion changes in a language model's expectations), 'hybrid' (evidence "
            "where a rule decided, relevance_otherwise where not); controls: 'uniform' (all tokens), 'random', "
            "'shuffled' (another response's map)."
        },
    )
    relevance_model: str | None = field(
        default=None,
        metadata={
            "help": "'discriminator': its folder (`rtt discriminator build` makes one), or http://HOST:PORT where `rtt "
            "discriminator serve` serves it. 'contrast': a causal model's folder or hub id; None: the policy itself."
        },
    )
    relevance_device: str | None = field(
        default=None,
        metadata={"help": "Where relevance_model runs, such as 'cpu' or 'cuda:1'. None: where the policy does."},
    )
    relevance_otherwise: Otherwise = field(
        default="discriminator",
        metadata={"help": "'hybrid' only: the source for criteria that no rule decides."},
    )
    relevance_shuffled: Shuffled = field(
        default="evidence",
        metadata={"help": "'shuffled' only: the source whose maps are dealt to other responses."},
    )
    relevance_missing: Missing = field(
        default="response",
        metadata={
            "help": "Whom 'evidence' holds responsible when something asked for is missing: 'response' (all tokens but "
            "the progress made), 'end' (the last token) or 'none'."
        },
    )
    partition: Partition = field(
        default="criterion_group",
        metadata={
            "help": "What token rewards are normalised over: 'criterion_group' a criterion's verdicts over the group, "
            "then localised; 'intra_sample' the tokens of one response, the paper's method."
        },
    )
    token_weight: float = field(  # type: ignore[assignment]  # a number from apply_preset on
        default=None,
        metadata={
            "help": "lambda: weight of the token-level advantage; 0 is GRPO, bit for bit. None: 2 with "
            "criterion_group, 0.5 (the paper's) with the other partitions, whose term has no bound, and with mix."
        },
    )
    combine: Combine = field(
        default="add",
        metadata={"help": "'add': A_res + lambda A_tok. 'mix': (1 - lambda) A_res + lambda A_tok."},
    )
    sigma_floor: float = field(
        default=0.0,
        metadata={"help": "Least standard deviation to divide by (0.05 removes the noise of near-constant relevance)."},
    )
    exclude_special_tokens: bool = field(
        default=False,
        metadata={"help": "Leave end-of-sequence and other special tokens out of the token-level advantage."},
    )
    silent_when_unanimous: bool = field(
        default=False,
        metadata={"help": "No token-level advantage from a criterion on which the whole group agrees."},
    )
    token_advantage_bound: float | None = field(
        default=None, metadata={"help": "Clamp the token-level advantage to [-bound, bound]. None: no bound."}
    )
    mass_preserving: bool = field(
        default=False,
        metadata={"help": "'criterion_group' only: scale relevance to mean 1 over the response, uniform where empty."},
    )
    judge_max_failed: float = field(
        default=0.5,
        metadata={
            "help": "Stop training when more than this share of a rollout's judged verdicts failed (no answer, or none "
            "that can be used). A resumable checkpoint of the last finished step is kept or written. 1: never stop."
        },
    )

    def apply_preset(self, presets: Mapping[str, Mapping[str, Any]]) -> None:
        """Set what ``preset`` names, where it was left at its default, and a weight where none is given.

        Raises:
            ConfigurationError: the preset is not known, or an option was set to something else.
        """
        if self.preset is not None and self.preset not in presets:
            raise ConfigurationError(f"preset={self.preset!r}; expected one of {list(presets)}, or none")
        defaults = {one.name: one.default for one in fields(self)}
        for name, value in presets[self.preset].items() if self.preset is not None else ():
            given = getattr(self, name)
            if given not in (value, defaults[name]):
                raise ConfigurationError(
                    f"preset={self.preset!r} sets {name}={value!r}, not {given!r}; drop one of them"
                )
            setattr(self, name, value)
        if self.token_weight is None:
            self.token_weight = 2.0 if (self.partition, self.combine) == ("criterion_group", "add") else 0.5

    def check_credit(self) -> None:
        """Hold the settings to their choices and ranges, and to each other.

        Raises:
            ConfigurationError: a value that is not known or out of range, or options that do not go together.
        """
        self._check_choices()
        self._check_ranges()
        self._check_relevance()

    def _check_choices(self) -> None:
        choices = {
            "reward": tuple(REWARDS),
            "response_advantage": get_args(ResponseAdvantage),
            "relevance": relevance_names(),
            "relevance_missing": get_args(Missing),
            "relevance_otherwise": get_args(Otherwise),
            "relevance_shuffled": get_args(Shuffled),
            "partition": get_args(Partition),
            "combine": get_args(Combine),
        }
        for name, expected in choices.items():
            if getattr(self, name) not in expected:
                raise ConfigurationError(f"{name}={getattr(self, name)!r}; expected one of {list(expected)}")

    def _check_ranges(self) -> None:
        if not (math.isfinite(self.token_weight) and self.token_weight >= 0):
            raise ConfigurationError(f"token_weight={self.token_weight}; expected a finite number of at least 0")
        if self.combine == "mix" and self.token_weight > 1:
            raise ConfigurationError(f"token_weight={self.token_weight} with combine='mix'; expected a value in [0, 1]")
        if not (math.isfinite(self.sigma_floor) and self.sigma_floor >= 0):
            raise ConfigurationError(f"sigma_floor={self.sigma_floor}; expected a finite number of at least 0")
        if self.token_advantage_bound is not None and not self.token_advantage_bound > 0:
            raise ConfigurationError(f"token_advantage_bound={self.token_advantage_bound}; expected above 0, or None")
        if not 0 <= self.judge_max_failed <= 1:
            raise ConfigurationError(f"judge_max_failed={self.judge_max_failed}; expected a share in [0, 1]")
        if self.mass_preserving and self.partition != "criterion_group":
            raise ConfigurationError(
                f"mass_preserving belongs to partition='criterion_group', not to {self.partition!r}; drop one"
            )
        if self.sigma_floor and self.partition in ("criteria_softmax", "criterion_group"):
            raise ConfigurationError(
                f"sigma_floor has no effect with partition={self.partition!r}, which normalises verdicts and not "
                "relevance; leave it at 0"
            )

    def relevance_parts(self) -> tuple[str, ...]:
        """The names of all sources that ``relevance`` is made of, itself first."""
        parts = [self.relevance]
        if "shuffled" in parts:
            parts.append(self.relevance_shuffled)
        if "hybrid" in parts:
            parts += ["evidence", self.relevance_otherwise]
        return tuple(dict.fromkeys(parts))

    def _check_relevance(self) -> None:
        parts = self.relevance_parts()
        for name, owner, default in (("otherwise", "hybrid", "discriminator"), ("shuffled", "shuffled", "evidence")):
            chosen = getattr(self, f"relevance_{name}")
            if owner not in parts and chosen != default:
                raise ConfigurationError(
                    f"relevance_{name}={chosen!r} belongs to relevance={owner!r}, not to {self.relevance!r}; drop one"
                )
        if "discriminator" in parts and self.relevance_model is None:
            raise ConfigurationError(
                f"relevance={' of '.join(map(repr, parts))} needs relevance_model, the folder of a trained "
                "discriminator; train one with `rtt discriminator build`"
            )
        if self.relevance_model is not None and not {"discriminator", "contrast"} & set(parts):
            raise ConfigurationError(
                f"relevance_model={self.relevance_model!r} is not read with relevance={self.relevance!r}; expected "
                "'discriminator', 'contrast' or 'hybrid', or no model"
            )
        if self.relevance_device is None:
            return
        if is_served(self.relevance_model):
            raise ConfigurationError(
                f"relevance_device={self.relevance_device!r} for the discriminator at {self.relevance_model}, whose "
                "server has its own; drop it"
            )
        if self.relevance_model is None:
            raise ConfigurationError(
                f"relevance_device={self.relevance_device!r} says where relevance_model runs; name one, or drop it"
            )
        try:
            torch.device(self.relevance_device)
        except RuntimeError as error:
            raise ConfigurationError(
                f"relevance_device={self.relevance_device!r}; expected such as 'cpu', 'cuda' or 'cuda:1': {error}"
            ) from error

    def build_relevance(
        self,
        *,
        seed: int,
        device: Any,
        contrast: Callable[[], Mapping[str, Any]],
        served: Callable[[str], RelevanceSource] | None = None,
        name: str | None = None,
    ) -> RelevanceSource:
        """The source that ``relevance`` names, with those it is made of.

        Args:
            seed: of ``random``.
            device: where ``relevance_model`` runs unless ``relevance_device`` says.
            contrast: gives the options of ``contrast`` when it is needed: its model, tokenizers, template.
            served: gives the source for a discriminator behind an address; None: one that only asks it.
            name: of a source in place of ``relevance``.

        Raises:
            ConfigurationError: a model cannot be had.
        """
        name = self.relevance if name is None else name
        build = functools.partial(self.build_relevance, seed=seed, device=device, contrast=contrast, served=served)
        if name == "discriminator" and is_served(self.relevance_model):
            ask = served or (lambda address: DiscriminatorRelevance(ServedDiscriminator(address)))
            return ask(self.relevance_model)
        options: dict[str, Any] = {}
        if name in ("evidence", "hybrid"):
            options["missing"] = self.relevance_missing
        if name == "hybrid":
            options["otherwise"] = build(name=self.relevance_otherwise)
        elif name == "shuffled":
            options["source"] = build(name=self.relevance_shuffled)
        elif name == "random":
            options["seed"] = seed
        elif name in ("discriminator", "contrast") and self.relevance_model is not None:
            options |= {"model": self.relevance_model, "device": self.relevance_device or device}
        if name == "contrast":
            options |= contrast()
        return relevance_source(name, **options)

    def partition_options(self, special: Callable[[], Tensor]) -> dict[str, Any]:
        """The keyword arguments of ``credit.PARTITIONS[self.partition]``.

        Args:
            special: gives the special tokens, [B T], when they are needed.
        """
        options: dict[str, Any] = {
            "silent_when_unanimous": self.silent_when_unanimous,
            "bound": self.token_advantage_bound,
        }
        if self.exclude_special_tokens:
            options["special"] = special()
        if self.partition in ("intra_sample", "inter_sample", "criteria_mean"):
            options["sigma_floor"] = self.sigma_floor
        if self.partition == "criterion_group":
            options["mass_preserving"] = self.mass_preserving
        return options


def rubric_rewards(reward: Reward, tasks: Iterable[Task], verdicts: Iterable[Sequence[Verdict]]) -> list[float | None]:
    """One number a response from its verdicts; ``None`` for a response without any determined criterion, never 0."""
    rows = [
        credit.CreditRow(
            verdicts=[int(verdict.outcome) for verdict in found],
            relevance=torch.zeros(len(found), 0),
            group=0,
            weights=[criterion.weight for criterion in task.rubric.criteria],
        )
        for task, found in zip(tasks, verdicts, strict=True)
    ]
    rewards: list[float] = REWARDS[reward](credit.collate(rows)).tolist()
    return [None if math.isnan(value) else value for value in rewards]


@dataclass(frozen=True, slots=True)
class UnusableJudge:
    """Stands for a judge that cannot be used: it fails on all that it is asked."""

    error: RTTError

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        """Fail, with the reason why the judge cannot be used.

        Raises:
            VerifierError: always.
        """
        raise VerifierError(str(self.error))


def judge_failures(verdicts: Iterable[Sequence[Verdict]]) -> tuple[int, Counter[str]]:
    """How many verdicts were a judge's to give, and how often it failed for which reason."""
    judged = [verdict for row in verdicts for verdict in row if verdict.judged]
    return len(judged), Counter(textwrap.shorten(verdict.reason, 120) for verdict in judged if verdict.failed)


def told_judge_failure(judged: int, reasons: Counter[str], bound: float, step: int) -> str | None:
    """What to say when more than ``bound`` of the judged verdicts of the rollout for ``step`` failed; else ``None``."""
    failed = reasons.total()
    if not judged or failed / judged <= bound:
        return None
    told = [f"{count} x {reason or 'no reason given'}" for reason, count in reasons.most_common(3)]
    if len(reasons) > len(told):
        told.append(f"{len(reasons) - len(told)} further reasons")
    return (
        f"the judge failed on {failed} of {judged} verdicts ({failed / judged:.0%}) in the rollout for step {step}, "
        f"more than judge_max_failed={bound:g} allows; training stopped: {'; '.join(told)}. See to the judge, then"
    )
