"""The reward manager: in each of verl's reward workers, one response at a time becomes a reward and a payload."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig
from verl import DataProto
from verl.experimental.reward_loop.reward_manager import register
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from rtt.responses import Response, Tokenizer, response_from_tokens
from rtt.rubrics import Task
from rtt.trainers.settings import UnusableJudge, rubric_rewards
from rtt.trainers.verl.payload import FIELD, Payload
from rtt.trainers.verl.settings import NAME, read_settings
from rtt.verdicts import Verdict
from rtt.verifiers import UNUSABLE, verify_batch


@register(NAME)
class RubricRewardManager(RewardManagerBase):  # type: ignore[misc]  # verl has no type information
    """Rewards a response by its rubric: verl's ``reward.reward_manager.name=rtt``.

    A response without any determined criterion has reward 0, because verl has no word for none; its payload says
    ``None``, and :class:`~rtt.trainers.verl.trainer.RTTTrainer` leaves it out of its group.

    Args:
        config: verl's whole configuration, with RTT's options under ``rtt``.
        tokenizer: the policy's.
        **_: what verl hands to every reward manager: a scoring function, a reward model's address. Not read.

    Raises:
        ConfigurationError: options that do not go together, or a model that cannot be had.
        MissingDependencyError: a judge is named and the ``judge`` extra is not installed.
    """

    def __init__(self, config: DictConfig, tokenizer: Any, **_: Any) -> None:
        super().__init__(config, tokenizer, compute_score=None)
        self.settings, judging = read_settings(config)
        self.judge = judging.build(processes=config.reward.num_workers, machines=config.trainer.nnodes)
        self.relevance = None
        if self.settings.token_weight > 0:
            self.relevance = self.settings.build_relevance(
                seed=config.data.get("seed") or 0, device="cpu", contrast=lambda: _contrast(config, tokenizer)
            )
        # a judge's answers are waited for side by side; a model computes one response after the other
        self._verifying = ThreadPoolExecutor(judging.judge_concurrency if self.judge is not None else 1)
        self._locating = ThreadPoolExecutor(1)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reward of one response, with its payload in ``reward_extra_info``."""
        task, response = _response(data, self.tokenizer)
        verdicts = await self.loop.run_in_executor(self._verifying, self._verify, task, response)
        relevance = await self.loop.run_in_executor(self._locating, self._locate, task, response, verdicts)
        [reward] = rubric_rewards(self.settings.reward, [task], [verdicts])
        payload = Payload(
            task_id=task.id,
            verdicts=tuple(verdicts),
            weights=tuple(criterion.weight for criterion in task.rubric.criteria),
            relevance=relevance,
            reward=reward,
        )
        return {"reward_score": 0.0 if reward is None else reward, "reward_extra_info": {FIELD: payload.to_json()}}

    def _verify(self, task: Task, response: Response) -> list[Verdict]:
        """The verdicts; where the judge cannot be used as it was set up they fail, and the trainer says so.

        An error here would reach verl's log alone, and the prompt's whole group would be dropped.
        """
        answers = [(task, response.text)]
        try:
            return verify_batch(answers, self.judge)[0]
        except UNUSABLE as error:
            return verify_batch(answers, UnusableJudge(error))[0]

    def _locate(self, task: Task, response: Response, verdicts: list[Verdict]) -> npt.NDArray[np.float32]:
        if self.relevance is None:
            return np.zeros((len(verdicts), len(response.token_ids)), dtype=np.float32)
        [relevance] = self.relevance([task], [response], [verdicts])
        return relevance


def _response(data: DataProto, tokenizer: Tokenizer) -> tuple[Task, Response]:
    """The task and the response of verl's item; of several sequences the last, as verl's own managers do."""
    item = data[-1]
    task = Task.from_json(item.non_tensor_batch["reward_model"]["ground_truth"])
    responses = item.batch["responses"]
    length = int(item.batch["attention_mask"][-len(responses) :].sum())
    return task, response_from_tokens(task.id, responses[:length].tolist(), tokenizer)


def _contrast(config: DictConfig, tokenizer: Any) -> dict[str, Any]:
    return {
        "policy_tokenizer": tokenizer,
        "chat_template_kwargs": dict(config.data.get("apply_chat_template_kwargs") or {}),
    }
