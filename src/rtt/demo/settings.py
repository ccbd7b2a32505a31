"""What the demo's numbers depend on, beside the model: its settings, and the methods that it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from rtt.errors import ConfigurationError
from rtt.relevance import relevance_names

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Settings = TypeVar("Settings", bound="DataclassInstance")


def changed(
    settings: Settings, changes: Mapping[str, Any], *, of: str, examples: Mapping[str, Any] = MappingProxyType({})
) -> Settings:
    """The same settings but for some fields.

    Args:
        settings: a frozen dataclass.
        changes: new values by field.
        of: whose settings they are, for messages.
        examples: what a field may be that is None by default.

    Raises:
        ConfigurationError: there is no such field, or the value is of another kind than the field's.
    """
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for name, value in changes.items():
        if name not in known:
            raise ConfigurationError(f"{of} has no setting {name!r}; expected one of {list(known)}")
        default = examples.get(name, known[name])
        kinds = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
            raise ConfigurationError(f"setting {name}={value!r}; expected such as {default!r}")
    return replace(settings, **changes)


@dataclass(frozen=True)
class DemoSettings:
    """All that the demo's numbers depend on, beside the model. One run, one value of this."""

    seed: int = 0
    """Of LoRA's first weights, the order of the tasks, and all sampling."""

    # Training: eight steps of 32 responses take about seven minutes on two CPU cores.
    steps: int = 8
    prompts_per_step: int = 4
    num_generations: int = 8
    """Responses to each prompt: the group G that advantages are measured in."""
    micro_batch: int = 8
    """Responses that share a forward and backward pass; it changes time and memory, not the result."""
    max_completion_length: int = 40
    """Tokens; a short limit keeps a step short, and the easy tasks can be met within it."""
    temperature: float = 0.8
    """Below 1: at 1 a model of this size writes noise in a third of its responses."""
    learning_rate: float = 3e-4
    """High for GRPO and usual for LoRA: eight steps are few. At 5e-4 the rules are soon met by fragments."""
    lora_rank: int = 16
    lora_alpha: int = 32

    # The method (see RTTConfig); the baselines of --compare take their own values of these.
    reward: str = "csr"
    partition: str = "criterion_group"
    """Not the paper's ``intra_sample``: with that one, a higher learning rate and more steps, the responses became
    repetitions, as ``results/demo-intra-sample`` shows."""
    relevance: str = "evidence"
    """Which tokens are responsible: ``"evidence"``, or another name of :func:`rtt.relevance.relevance_names`."""
    relevance_model: str | None = None
    """The folder of a trained discriminator, or of a causal model for ``"contrast"`` (without one: the policy)."""
    token_weight: float | None = None
    """lambda of A = A_res + lambda A_tok; None: RTTConfig's own, 2 with ``criterion_group``, else the authors' 0.5."""
    silent_when_unanimous: bool = False
    mass_preserving: bool = False
    sigma_floor: float = 0.0
    exclude_special_tokens: bool = False
    token_advantage_bound: float | None = None

    # Held-out evaluation: prompts and not samples are what narrows the intervals.
    eval_prompts: int = 64
    eval_samples: int = 2
    eval_batch: int = 128
    eval_max_tokens: int = 48
    difficulty: str = "easy"
    """Which of the bundled tasks: ``"easy"``, ``"full"``, or ``"all"``."""

    save_steps: int = 1
    """A killed run loses no finished step."""
    records_steps: int = 1
    """Every step's responses can be looked at: `rtt inspect`."""

    def with_changes(self, changes: Mapping[str, Any]) -> DemoSettings:
        """The same settings but for some fields.

        Raises:
            ConfigurationError: there is no such field, or the value is of another kind than the field's.
        """
        return changed(self, changes, of="the demo", examples=_EXAMPLES)

    def __post_init__(self) -> None:
        """Refuse what could not run.

        Raises:
            ConfigurationError: a number out of range, or a batch that does not divide.
        """
        for name in ("steps", "prompts_per_step", "micro_batch", "max_completion_length", "eval_prompts", "save_steps"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.relevance not in relevance_names():
            raise ConfigurationError(f"relevance is {self.relevance!r}; expected one of {list(relevance_names())}")
        if self.relevance in ("discriminator", "hybrid") and self.relevance_model is None:
            raise ConfigurationError(
                f"relevance is {self.relevance!r}, which needs relevance_model, the folder of a trained discriminator; "
                "train one with `rtt discriminator build`"
            )
        if self.num_generations < 2:
            raise ConfigurationError(f"num_generations is {self.num_generations}; a group needs at least 2 responses")
        if self.prompts_per_step * self.num_generations % self.micro_batch:
            raise ConfigurationError(
                f"{self.prompts_per_step} prompts x {self.num_generations} responses do not divide into micro batches "
                f"of {self.micro_batch}"
            )


_EXAMPLES = {
    "token_weight": 0.5,  # nosec B105 # a weight of tokens, no password
    "token_advantage_bound": 2.0,  # nosec B105
    "relevance_model": "runs/discriminator",
}
"""What a setting that is None by default may be."""

FAST = DemoSettings(
    steps=2,
    prompts_per_step=2,
    num_generations=4,
    micro_batch=8,
    max_completion_length=24,
    temperature=1.0,
    learning_rate=1e-3,
    lora_rank=4,
    lora_alpha=8,
    eval_prompts=8,
    eval_samples=2,
    eval_batch=16,
    eval_max_tokens=24,
    save_steps=1,
    records_steps=1,
)
"""Every part of the pipeline in seconds, with a random model that learns nothing."""


@dataclass(frozen=True)
class Method:
    """One training method: its name on disk, its title, and the options that make it."""

    name: str
    title: str
    options: Mapping[str, Any] = field(default_factory=dict)


def methods(settings: DemoSettings, *, baselines: bool) -> list[Method]:
    """RTT-GRPO by the settings; with ``baselines`` also GRPO with either reward, and GDPO."""
    token_level = {
        "reward": settings.reward,
        "relevance": settings.relevance,
        "relevance_model": settings.relevance_model,
        "partition": settings.partition,
        "token_weight": settings.token_weight,
        "silent_when_unanimous": settings.silent_when_unanimous,
        "mass_preserving": settings.mass_preserving,
        "sigma_floor": settings.sigma_floor,
        "exclude_special_tokens": settings.exclude_special_tokens,
        "token_advantage_bound": settings.token_advantage_bound,
    }
    chosen = [Method("rtt-grpo", "RTT-GRPO", token_level)]
    if baselines:
        chosen += [
            Method("grpo-aon", "GRPO-AON", {"token_weight": 0.0, "reward": "aon"}),  # nosec B105 # a weight of tokens, no password
            Method("grpo-csr", "GRPO-CSR", {"token_weight": 0.0, "reward": "csr"}),  # nosec B105 # a weight of tokens, no password
            Method("gdpo", "GDPO", {"token_weight": 0.0, "response_advantage": "gdpo"}),  # nosec B105 # a weight of tokens, no password
        ]
    return chosen
