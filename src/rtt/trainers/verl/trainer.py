"""The trainer: verl's synchronous one with one method overridden, nothing of it copied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
import transfer_queue
from omegaconf import DictConfig, open_dict
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer
from verl.utils import tensordict_utils
from verl.workers.utils.padding import response_to_nested

from rtt import credit
from rtt.errors import ConfigurationError, JudgeFailureError, ShapeError
from rtt.trainers.settings import SIGNAL, judge_failures, told_judge_failure
from rtt.trainers.verl.payload import FIELD, Payload
from rtt.trainers.verl.settings import NAME, check_engine, read_settings


@register_trainer(NAME)
class RTTTrainer(PPOTrainerSync):  # type: ignore[misc]  # verl has no type information
    """verl's synchronous trainer with token-level credit: ``trainer.v1.trainer_mode=rtt``.

    Args:
        config: verl's configuration, with RTT's options under ``rtt``. Its ``trainer.v1.trainer_mode`` becomes
            ``sync``: verl tells the synchronous mode by that name, and would give any other the asynchronous buffer.

    Raises:
        ConfigurationError: options that do not go together, RTT's own or with verl's.
    """

    def __init__(self, config: DictConfig) -> None:
        self.settings, _ = read_settings(config)
        check_engine(config, self.settings)
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"
        super().__init__(config)

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        """verl's advantages, joined by those of the tokens.

        Raises:
            JudgeFailureError: more than ``judge_max_failed`` of the judged verdicts failed.
        """
        uids, payloads = self._rollout(batch)
        self._stop_if_the_judge_failed(payloads)
        self._set_apart_without_reward(batch, payloads)
        batch = super()._compute_advantage(batch, metrics)
        fields = ["response_mask", "responses", "advantages"]
        data = transfer_queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        response_mask = data["response_mask"]
        rows = credit_batch(payloads, uids, response_mask)
        left_alone = _left_alone(payloads, rows.group)
        response_advantages = _of_responses(data["advantages"].to_padded_tensor(0.0), rows.mask)
        response_advantages = response_advantages.masked_fill(left_alone, 0.0)
        if self.settings.response_advantage == "gdpo":
            weighted = self.settings.reward == "weighted"
            response_advantages = credit.gdpo(rows, weighted=weighted).to(response_advantages)
        token_advantages = self._token_advantages(rows, data["responses"])
        weight = self.settings.token_weight
        metrics.update(credit_metrics(payloads, rows, response_advantages, token_advantages, weight))
        if weight == 0 and self.settings.response_advantage == "grpo" and not left_alone.any():
            return batch
        advantages = credit.combine(response_advantages, token_advantages, rows.mask, weight, how=self.settings.combine)
        transfer_queue.kv_batch_put(
            keys=batch.keys,
            partition_id=batch.partition_id,
            fields=TensorDict({"advantages": response_to_nested(advantages, response_mask)}, batch_size=len(batch)),
        )
        return batch

    def _rollout(self, batch: KVBatchMeta) -> tuple[list[str], list[Payload | None]]:
        """Which prompt each response answers, and what was found about it, ``None`` for verl's padding; [B] each."""
        data = transfer_queue.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["uid", "extra_fields"]
        )
        payloads = [
            None if tag.get("is_padding", False) else _payload(key, getattr(extra, "data", extra))
            for key, tag, extra in zip(batch.keys, batch.tags, data["extra_fields"], strict=True)
        ]
        return list(data["uid"]), payloads

    def _stop_if_the_judge_failed(self, payloads: Sequence[Payload | None]) -> None:
        judged, reasons = judge_failures(one.verdicts for one in payloads if one is not None)
        told = told_judge_failure(judged, reasons, self.settings.judge_max_failed, self.global_steps)
        if told is not None:
            raise JudgeFailureError(f"{told} go on from verl's last checkpoint with trainer.resume_mode=auto")

    def _set_apart_without_reward(self, batch: KVBatchMeta, payloads: Sequence[Payload | None]) -> None:
        """Make each response that has no reward a group of its own: verl would take its 0 for a reward.

        verl's advantage of a response alone in its group is its score, which is 0.
        """
        keys = [key for key, one in zip(batch.keys, payloads, strict=True) if one is not None and one.reward is None]
        if keys:
            transfer_queue.kv_batch_put(
                keys=keys,
                partition_id=batch.partition_id,
                fields=tensordict_utils.get_tensordict({"uid": [f"{key}_without_reward" for key in keys]}),
            )

    def _token_advantages(self, rows: credit.CreditBatch, responses: Tensor) -> Tensor:
        """``A_tok``, [B T]; zeros without a weight."""
        if self.settings.token_weight == 0:
            return torch.zeros_like(rows.mask, dtype=torch.float32)
        special = torch.tensor(self.tokenizer.all_special_ids)
        options = self.settings.partition_options(
            lambda: torch.isin(responses.to_padded_tensor(0), special) & rows.mask  # (B, T)
        )
        advantages: Tensor = credit.PARTITIONS[self.settings.partition](rows, **options)
        return advantages


def _payload(key: str, extra: Any) -> Payload:
    line = extra.get("reward_extra_info", {}).get(FIELD) if isinstance(extra, dict) else None
    if line is None:
        raise ConfigurationError(
            f"response {key} came without a payload; expected reward.reward_manager.name={NAME} in verl's reward "
            "workers, and an agent loop that leaves rewards to them"
        )
    return Payload.from_json(line)


def credit_batch(payloads: Sequence[Payload | None], uids: Sequence[str], response_mask: Tensor) -> credit.CreditBatch:
    """The payloads as one batch.

    Args:
        payloads: [B]; ``None`` for padding, which has no criteria and no tokens of its own.
        uids: [B], equal for the responses to one prompt.
        response_mask: [B T], nested, 1 on the tokens that the policy wrote and that count.

    Raises:
        ShapeError: a payload speaks of another number of tokens than the response has.
    """
    groups = {uid: number for number, uid in enumerate(dict.fromkeys(uids))}
    rows = []
    for payload, uid, own in zip(payloads, uids, response_mask.unbind(), strict=True):
        relevance = torch.zeros(0, len(own)) if payload is None else torch.from_numpy(payload.relevance)
        if payload is not None and relevance.shape[1] != len(own):
            raise ShapeError(
                f"response to task {payload.task_id!r} has {len(own)} tokens and its payload speaks of "
                f"{relevance.shape[1]}; an agent loop that gives several outputs a response is not supported"
            )
        rows.append(
            credit.CreditRow(
                verdicts=[] if payload is None else [int(verdict.outcome) for verdict in payload.verdicts],
                relevance=relevance,
                group=groups[uid],
                weights=[] if payload is None else payload.weights,
                mask=own.bool(),
            )
        )
    return credit.collate(rows)


def _of_responses(advantages: Tensor, mask: Tensor) -> Tensor:
    """The advantage of each response, [B], which GRPO gives to all of its own tokens."""
    return advantages.gather(1, mask.int().argmax(dim=1, keepdim=True)).squeeze(1)


def _left_alone(payloads: Sequence[Payload | None], group: Tensor) -> Tensor:
    """Which responses are the only ones with a reward among several to their prompt, bool [B].

    The others were set apart, and verl's advantage of a response alone in its group is its score; there is nothing that
    it could be compared with, so that it has none.

    Args:
        payloads: [B].
        group: [B].
    """
    answered = torch.tensor([one is not None for one in payloads])
    rewarded = torch.tensor([one is not None and one.reward is not None for one in payloads])
    same = group.unsqueeze(0) == group.unsqueeze(1)  # (B, B)
    alone = (same & rewarded).sum(1) == 1
    return rewarded & alone & ((same & answered).sum(1) > 1)


def credit_metrics(
    payloads: Sequence[Payload | None],
    rows: credit.CreditBatch,
    response_advantages: Tensor,
    token_advantages: Tensor,
    weight: float,
) -> dict[str, float]:
    """Metrics of a step under ``rtt/``, by the names that they have with TRL; those of nothing are left out.

    Args:
        payloads: [B].
        rows: the same as a batch.
        response_advantages: [B].
        token_advantages: [B T].
        weight: lambda.
    """
    found = [one for one in payloads if one is not None]
    verdicts = [verdict for one in found for verdict in one.verdicts]
    judged = [verdict for verdict in verdicts if verdict.judged]
    earned = rows.signed_verdicts > 0  # (B, K)
    determined = rows.determined.any(1)
    tokens = rows.mask.sum()
    weighted = weight * token_advantages.abs()
    rewards: dict[int, set[float]] = defaultdict(set)
    heard: dict[int, bool] = defaultdict(bool)
    moved = (token_advantages.abs() > SIGNAL).any(1)
    for one, group, token_signal in zip(payloads, rows.group.tolist(), moved.tolist(), strict=True):
        if one is not None:
            rewards[group].update(() if one.reward is None else (one.reward,))
            heard[group] |= token_signal
    shares: dict[str, tuple[Any, Any]] = {
        "undetermined": (sum(not verdict.determined for verdict in verdicts), len(verdicts)),
        "judge_failed": (sum(verdict.failed for verdict in judged), len(judged)),
        "rubric_accuracy": (earned.sum(), rows.determined.sum()),
        "instruction_accuracy": (credit.all_or_nothing(rows).nansum(), determined.sum()),
        "response_advantage_size": ((response_advantages.abs().unsqueeze(1) * rows.mask).sum(), tokens),
        "token_advantage_size": (weighted.sum(), tokens),
        "groups_without_response_signal": (sum(len(values) < 2 for values in rewards.values()), len(rewards)),
        "groups_with_token_signal": (sum(heard.values()), len(heard)),
    }
    metrics = {f"rtt/{name}": float(part) / float(whole) for name, (part, whole) in shares.items() if whole}
    return {**metrics, "rtt/token_advantage_max": float(weighted.max())}
