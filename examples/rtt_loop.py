"""The whole method without a trainer: read it to put RTT into an engine of your own.

    python examples/rtt_loop.py                                                  # a tiny random model, in seconds
    python examples/rtt_loop.py --model HuggingFaceTB/SmolLM2-135M-Instruct --steps 20 --learning-rate 1e-5

    sample     G responses to each task     your engine: token ids, and the log-probabilities that it sampled them with
    verify     a verdict a criterion        rtt.verify
    localise   relevance [K T]              rtt.relevance
    credit     an advantage a token [B T]   rtt.credit
    loss       clipped surrogate            yours: the advantage is one number a token instead of one a response

Axes: B responses, K criteria, T tokens. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rtt import credit, read_tasks, verify
from rtt.demo.models import obtain_model, tiny_model
from rtt.generation import load_model, render
from rtt.relevance import EvidenceRelevance
from rtt.responses import Response, response_from_tokens
from rtt.rubrics import Task

TASKS = Path(__file__).with_name("tasks.jsonl")


@dataclass(frozen=True)
class Rollout:
    """What an engine gives: prompts padded on the left, responses on the right, as one tensor of P + T tokens."""

    tasks: list[Task]  # [B], the responses to one task side by side
    responses: list[Response]  # [B], text, token ids and the characters that each token spans
    tokens: Tensor  # [B P+T]
    attention: Tensor  # [B P+T], false on padding
    mask: Tensor  # [B T], true on the response's own tokens, the end of its turn included


@dataclass(frozen=True)
class Credit:
    """What the rubrics say about a rollout."""

    batch: credit.CreditBatch  # verdicts [B K], relevance [B K T], mask [B T], group [B]
    rewards: Tensor  # [B], NaN where no criterion could be decided
    advantages: Tensor  # [B T]


def sample(model: Any, tokenizer: Any, tasks: Sequence[Task], group: int, length: int, temperature: float) -> Rollout:
    """``group`` responses to each task from the whole distribution (no top-k, no top-p)."""
    rows = [task for task in tasks for _ in range(group)]
    prompts = [render(tokenizer, task.prompt) for task in rows]
    encoded = tokenizer(prompts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt")
    encoded = encoded.to(model.device)
    with torch.no_grad():
        tokens = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            max_new_tokens=length,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
        )
    generated = tokens[:, encoded["input_ids"].shape[1] :]  # (B, T)
    # A response ends with the first end of turn, and that token is its own: stopping there was a choice of the policy.
    ends = torch.isin(generated, torch.tensor(model.generation_config.eos_token_id, device=generated.device))
    mask = ends.cumsum(dim=1) - ends.long() == 0
    responses = [
        # Decoded token by token, so that each knows its characters: never search for a response inside a sequence.
        response_from_tokens(task.id, row[own].tolist(), tokenizer)
        for task, row, own in zip(rows, generated, mask, strict=True)
    ]
    attention = torch.cat([encoded["attention_mask"].bool(), mask], dim=1)
    return Rollout(rows, responses, tokens, attention, mask)


def assign(rollout: Rollout, *, partition: str = "criterion_group", weight: float = 0.5) -> Credit:
    """The rubrics' credit, step by step; :func:`rtt.credit.assign_credit` does the last four in one call.

    Args:
        rollout: the sampled responses, every group whole.
        partition: what token rewards are normalised over, a name of ``rtt.credit.PARTITIONS``.
        weight: lambda of ``A_res + lambda A_tok``; 0 is GRPO.
    """
    # Verdicts: +1, -1, or 0 where a check could not tell. A judge, for what has no rule: verify(task, text, judge).
    pairs = zip(rollout.tasks, rollout.responses, strict=True)
    verdicts = [verify(task, response.text) for task, response in pairs]
    # Relevance: which tokens made each verdict so. Any callable of this signature will do (a discriminator, ...).
    relevance = EvidenceRelevance()(rollout.tasks, rollout.responses, verdicts)
    # One padded batch of ragged rubrics and responses. Responses to one prompt share a number.
    numbers = {task.id: number for number, task in enumerate(rollout.tasks)}
    rows = [
        credit.CreditRow(
            verdicts=[int(verdict.outcome) for verdict in verdicts[i]],
            relevance=relevance[i],
            group=numbers[task.id],
            weights=[criterion.weight for criterion in task.rubric.criteria],
        )
        for i, task in enumerate(rollout.tasks)
    ]
    batch = credit.collate(rows, length=rollout.mask.shape[1], device=rollout.mask.device)
    # Response level, as in GRPO: the fraction of criteria satisfied, against the group.
    rewards = credit.satisfied_fraction(batch, weighted=False)  # (B,)
    response_level = credit.response_advantages(rewards, batch.group)  # (B,)
    # Token level: verdict times relevance, normalised over the partition.
    token_level = credit.PARTITIONS[partition](batch)  # (B, T)
    advantages = credit.combine(response_level, token_level, batch.mask, weight)  # (B, T)
    return Credit(batch, rewards, advantages)


def log_probabilities(model: Any, rollout: Rollout, temperature: float) -> Tensor:
    """The policy's log-probability of each response token, at the temperature it was sampled with: [B T]."""
    positions = (rollout.attention.long().cumsum(dim=1) - 1).clamp(min=0)
    logits = model(input_ids=rollout.tokens, attention_mask=rollout.attention.long(), position_ids=positions).logits
    length = rollout.mask.shape[1]
    logits = logits[:, -length - 1 : -1] / temperature  # what stands before a token predicts it
    chosen = rollout.tokens[:, -length:, None]  # (B, T, 1)
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, chosen).squeeze(-1)


def surrogate(
    new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *, low: float = 0.2, high: float = 0.27
) -> Tensor:
    """GRPO's clipped loss, token by token: no KL term, the mean over a response's tokens, then over responses.

    ``-min(ratio A, clip(ratio, 1 - low, 1 + high) A)``. With new equal to old the ratio is 1, and so the loss is about
    minus the mean advantage; its gradient is what matters.

    Args:
        new, old: log-probabilities [B T], of the policy that learns and of the one that sampled.
        advantages: [B T].
        mask: [B T].
        low, high: the paper clips 0.2 below and 0.27 above.
    """
    ratio = (new - old).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)
    per_response = (gain * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return -per_response.mean()


def extremes(rollout: Rollout, given: Credit) -> str:
    """The token with the largest advantage, and the one with the smallest."""
    if not bool(given.advantages.any()):
        return "no credit: the responses to each task earn the same"
    told = []
    for word, best in (("most credited", True), ("most blamed", False)):
        values = given.advantages.masked_fill(~rollout.mask, -torch.inf if best else torch.inf)
        place = int(values.argmax() if best else values.argmin())
        i, t = divmod(place, values.shape[1])
        response = rollout.responses[i]
        start, end = response.spans[t]
        shown = repr(response.text[start:end]) if end > start else "the end"
        told.append(f"{word} {shown} {float(values[i, t]):+.2f} ({response.task_id})")
    return ", ".join(told)


def main(arguments: Sequence[str] | None = None) -> None:
    """Sample, verify, localise, credit, learn; once a step."""
    parser = argparse.ArgumentParser(description="RTT-GRPO in plain PyTorch.")
    parser.add_argument("--model", help="a folder or a hub id (default: a tiny random model)")
    parser.add_argument("--tasks", type=Path, default=TASKS)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--group", type=int, default=4, help="responses to each task (the paper: 8)")
    parser.add_argument("--length", type=int, default=48, help="tokens of a response")
    parser.add_argument("--temperature", type=float, default=0.99)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--partition", default="criterion_group", choices=sorted(credit.PARTITIONS))
    parser.add_argument("--token-weight", type=float, default=0.5, help="lambda; 0 is GRPO")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)

    torch.manual_seed(chosen.seed)
    model, tokenizer = load_model(obtain_model(chosen.model).folder) if chosen.model else tiny_model(chosen.seed)
    tasks = read_tasks(chosen.tasks)
    optimiser = torch.optim.AdamW(model.parameters(), lr=chosen.learning_rate, weight_decay=0.0)
    for step in range(1, chosen.steps + 1):
        rollout = sample(model, tokenizer, tasks, chosen.group, chosen.length, chosen.temperature)
        given = assign(rollout, partition=chosen.partition, weight=chosen.token_weight)
        new = log_probabilities(model, rollout, chosen.temperature)
        # One optimiser step a rollout: the policy that sampled is the one that learns. For several, keep the first's.
        loss = surrogate(new, new.detach(), given.advantages, rollout.mask)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        # Earned among decided, over all criteria: what was undetermined counts in neither.
        decided = given.batch.determined.sum()
        accuracy = float((given.batch.signed_verdicts > 0).sum() / decided.clamp(min=1))
        print(f"step {step}: rubric accuracy {accuracy:.3f}, {extremes(rollout, given)}")


if __name__ == "__main__":
    main()
