"""RTT's options under the key ``rtt`` of verl's configuration: the names and defaults of RTTConfig, and the judge's.

python -m verl.trainer.main_ppo ... +rtt.token_weight=0.2 +rtt.judge=Qwen/Qwen3-8B
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from pydantic import TypeAdapter, ValidationError

from rtt.errors import ConfigurationError, RTTError
from rtt.trainers.arguments import JudgeArguments
from rtt.trainers.settings import PAPER, CreditSettings

NAME = "rtt"
"""What the reward manager and the trainer are called in verl, and where the options are."""

_WHOLE_RESPONSE_LOSSES = ("gspo", "sapo", "geo_mean")


@dataclass
class VerlSettings(CreditSettings):
    """The options of the method; see docs/verl.md.

    Raises:
        ConfigurationError: a value that is not known or out of range, options that do not go together, or a relevance
            source that verl's reward workers cannot have.
    """

    def __post_init__(self) -> None:
        self.apply_preset({"paper": PAPER})
        self.check_credit()
        parts = self.relevance_parts()
        if "shuffled" in parts:
            raise ConfigurationError(
                "relevance='shuffled' deals maps to other responses, and a reward worker of verl sees one response at "
                "a time; choose another, or train with TRL"
            )
        if "contrast" in parts and self.relevance_model is None:
            raise ConfigurationError(
                "relevance='contrast' needs a relevance_model: verl's reward workers do not hold the policy"
            )


def read_settings(config: DictConfig) -> tuple[VerlSettings, JudgeArguments]:
    """What stands under ``rtt`` in verl's configuration; nothing there gives the defaults.

    Raises:
        ConfigurationError: an unknown option, a value of the wrong kind, or options that do not go together.
    """
    options = config.get(NAME, {})
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{NAME}={options!r}; expected options, such as +{NAME}.token_weight=0.2")
    given: Any = OmegaConf.to_container(OmegaConf.create(options), resolve=True)
    known = [one.name for kind in (VerlSettings, JudgeArguments) for one in fields(kind)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {known}"
            raise ConfigurationError(f"{NAME}.{name} is not an option; {hint}")
    return _read(VerlSettings, given), _read(JudgeArguments, given)


_Kind = TypeVar("_Kind", VerlSettings, JudgeArguments)


def _read(kind: type[_Kind], given: dict[Any, Any]) -> _Kind:
    own = {one.name: given[one.name] for one in fields(kind) if one.name in given}
    try:
        return TypeAdapter(kind).validate_python(own)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, RTTError):
            raise cause from None
        raise ConfigurationError(
            f"{NAME}.{'.'.join(map(str, first['loc'][:1]))}={first['input']!r}: {first['msg']}"
        ) from None


def check_engine(config: DictConfig, settings: VerlSettings) -> None:
    """Refuse what verl would accept and silently turn into something else.

    Raises:
        ConfigurationError: verl's configuration does not fit; the message names the option and the mend.
    """
    expected = {
        "reward.reward_manager.source": "register",
        "reward.reward_manager.name": NAME,
        "reward.reward_model.enable": False,  # its scores would take the place of the rubric's
        "reward.custom_reward_function.path": None,
        "algorithm.adv_estimator": "grpo",
        "actor_rollout_ref.rollout.multi_turn.enable": False,  # of which turn the rubric speaks is not defined
    }
    for name, value in expected.items():
        found = OmegaConf.select(config, name)
        if found != value:
            wanted = "null" if value is None else value
            raise ConfigurationError(f"{name}={found}; RTT needs {name}={wanted}")
    loss = OmegaConf.select(config, "actor_rollout_ref.actor.policy_loss.loss_mode")
    if settings.token_weight > 0 and loss in _WHOLE_RESPONSE_LOSSES:
        raise ConfigurationError(
            f"actor_rollout_ref.actor.policy_loss.loss_mode={loss} weighs or gates a response as a whole, over which "
            "token advantages average out or change their meaning; use vanilla, or rtt.token_weight=0"
        )
