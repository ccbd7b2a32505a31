"""Relevance [B K T] by name: who says which tokens are responsible for a verdict.

oracle      the world's own evidence                        missing: who is blamed for what is not there
flipped     the oracle with a share of its labels turned    a share q gives an AUROC of 1 - q
jittered    the oracle as a network would say it: 0.9 or 0.1, give or take 0.001
learned     a small discriminator, trained on samples of the base model
contrast    what leaving the criterion out of the prompt does to the policy's own probabilities
uniform, random, shuffled       controls that know nothing: see ``rtt.relevance.controls``
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.small_world import world
from experiments.small_world.policy import Block, Policy
from experiments.small_world.world import ARGUMENTS, KINDS, LENGTH, TOKENS, Facts, Floats, Ints, Judged, Prompts
from rtt.relevance.controls import fitted

WIDTH = 64

SOURCES = ("oracle", "flipped", "jittered", "learned", "contrast", "uniform", "random", "shuffled")


@dataclass(frozen=True)
class Source:
    """A source of relevance and its one setting.

    Attributes:
        name: one of ``SOURCES``.
        missing: of the oracle, and of the sources that start from it: ``"response"``, ``"end"`` or ``"none"``.
        flips: of ``flipped``, the share of labels that is turned.
        whole_counts: whether an exact count ("exactly n sentences"), of which one more is as wrong as one less, is
            carried by the whole response, whatever the source says of it.
    """

    name: str = "oracle"
    missing: str = "response"
    flips: float = 0.0
    whole_counts: bool = False


@dataclass(frozen=True)
class Sampled:
    """Responses on their way to credit: G in a row for each prompt."""

    tokens: Ints
    prompts: Prompts
    copies: int
    judged: Judged

    @property
    def every_prompt(self) -> Prompts:
        """The prompt of each response."""
        return self.prompts.repeat(self.copies)


def locate(
    source: Source,
    sampled: Sampled,
    rng: np.random.Generator,
    policy: Policy | None = None,
    discriminator: Discriminator | None = None,
) -> Floats:
    """The relevance [B K T] of a batch, 0 outside the response's own tokens and where there is no criterion."""
    judged = sampled.judged
    counts = judged.own[:, None] & (judged.verdicts != 0)[:, :, None]
    shape = judged.evidence.shape
    exact = (sampled.every_prompt.kinds == world.EXACT)[:, :, None] & source.whole_counts
    if source.name == "uniform":
        found = np.ones(shape, dtype=np.float32)
    elif source.name == "random":
        found = rng.random(shape, dtype=np.float32)
    elif source.name == "jittered":  # a judge that is never quite sure: 0.9 or 0.1, give or take a little
        found = 0.1 + 0.8 * world.relevance(judged, source.missing) + rng.normal(0, 1e-3, shape)
    elif source.name == "contrast":
        assert policy is not None
        found = _contrast(sampled, policy)
    elif source.name == "learned":
        assert discriminator is not None
        found = discriminator.probabilities(sampled.every_prompt, sampled.tokens)
    else:
        found = world.relevance(judged, source.missing)
        if source.name == "flipped":
            found = np.where(rng.random(shape) < source.flips, 1 - found, found)
        elif source.name == "shuffled":
            found = _shuffled(found, judged, sampled.copies)
        elif source.name != "oracle":
            raise ValueError(f"relevance {source.name!r}; expected one of {list(SOURCES)}")
    return (np.where(exact, 1, found) * counts).astype(np.float32)


def _shuffled(maps: Floats, judged: Judged, copies: int) -> Floats:
    """Each map on the next response of its group with the same verdict, else on the next at all, fitted in length."""
    lengths = judged.own.sum(axis=1)
    moved = np.zeros_like(maps)
    b, k = judged.verdicts.shape
    for i in range(b):
        first = i // copies * copies
        others = [first + (i - first + step) % copies for step in range(1, copies)]
        for j in range(k):
            if judged.verdicts[i, j] == 0 or lengths[i] == 0:
                continue
            same = [o for o in others if judged.verdicts[o, j] == judged.verdicts[i, j]]
            giver = next(iter(same or others), i)
            row = maps[giver, j, : lengths[giver]]
            moved[i, j, : lengths[i]] = fitted(row[::-1] if giver == i else row, int(lengths[i]))
    return moved


@torch.no_grad()
def _contrast(sampled: Sampled, policy: Policy) -> Floats:
    """``1 - exp(-max(0, s delta))`` as in ``rtt.relevance.contrast``, delta being what criterion k adds to log p."""
    tokens = torch.from_numpy(sampled.tokens)
    full, _ = policy.log_probabilities(sampled.prompts, tokens, sampled.copies)
    rows = []
    for k in range(sampled.prompts.kinds.shape[1]):
        without, _ = policy.log_probabilities(sampled.prompts.without(k), tokens, sampled.copies)
        sign = torch.from_numpy(sampled.judged.verdicts[:, k].astype(np.float32)).unsqueeze(1)
        rows.append(1 - (-(sign * (full - without)).clamp(min=0)).exp())
    return torch.stack(rows, dim=1).numpy()


@torch.no_grad()
def attention_to_prompt(sampled: Sampled, policy: Policy) -> Tensor:
    """How much the whole rubric moves each token, ``|log p(o | rubric) - log p(o)|``, with mean 1 a response [B T]."""
    tokens = torch.from_numpy(sampled.tokens)
    own = torch.from_numpy(sampled.judged.own)
    full, _ = policy.log_probabilities(sampled.prompts, tokens, sampled.copies)
    nothing = Prompts(*(np.full_like(sampled.prompts.kinds, fill) for fill in (world.NO_KIND, 0, 0)))
    without, _ = policy.log_probabilities(nothing, tokens, sampled.copies)
    moved = (full - without).abs() * own
    return moved * own.sum(1, keepdim=True) / moved.sum(1, keepdim=True).clamp(min=1e-6)


# --------------------------------------------------------------------------------- learned relevance


class Discriminator(nn.Module):
    """Reads all criteria and the whole response at once, both ways, and gives a logit for each pair of them."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.a = nn.Embedding(len(KINDS) + 1, WIDTH), nn.Embedding(ARGUMENTS, WIDTH)
        self.b, self.token = nn.Embedding(ARGUMENTS, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH) for _ in range(2))
        self.norm = nn.LayerNorm(WIDTH)
        self.criterion, self.position = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.bias = nn.Linear(WIDTH, 1)

    def forward(self, prompts: Prompts, tokens: Ints) -> Tensor:
        """Logits [B K T]."""
        kinds, a, b = (torch.from_numpy(part) for part in (prompts.kinds, prompts.a, prompts.b))
        k, t = kinds.shape[1], tokens.shape[1]
        criteria = self.kind(kinds) + self.a(a) + self.b(b)
        x = torch.cat([criteria, self.token(torch.from_numpy(tokens)) + self.place.weight[:t]], dim=1)
        for block in self.blocks:
            q, keys, values = block.heads(x)
            x = block.finish(x, functional.scaled_dot_product_attention(q, keys, values))
        x = self.norm(x)
        return torch.einsum("bkd,btd->bkt", self.criterion(x[:, :k]), self.position(x[:, k:])) / WIDTH**0.5 + self.bias(
            x[:, :k]
        )

    @torch.no_grad()
    def probabilities(self, prompts: Prompts, tokens: Ints) -> Floats:
        """Relevance [B K T]."""
        return self(prompts, tokens).sigmoid().numpy()


def train_discriminator(policy: Policy, seed: int, steps: int = 500) -> tuple[Discriminator, float]:
    """A discriminator that learned from the base model's samples, and its AUROC on others."""
    torch.manual_seed(seed)
    rng, generator = np.random.default_rng([31, seed]), torch.Generator().manual_seed(seed)
    facts = Facts(4_000 if steps > 100 else 300, 2000 + seed)
    model = Discriminator()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def batch(prompts: int) -> tuple[Prompts, Ints, Judged]:
        drawn, _ = facts.draw(prompts, (2, 8), rng)
        tokens = policy.sample(drawn, 2, generator).numpy()
        drawn = drawn.repeat(2)
        return drawn, tokens, world.judge(tokens, drawn)

    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (1 - 0.95 * step / steps)
        if step % 4 == 0:  # sampling costs more than learning
            drawn, tokens, judged = batch(48)
        counts = torch.from_numpy(judged.own[:, None] & (judged.verdicts != 0)[:, :, None])
        target = torch.from_numpy(world.relevance(judged))
        loss = functional.binary_cross_entropy_with_logits(model(drawn, tokens)[counts], target[counts])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    drawn, tokens, judged = batch(200)
    counts = judged.own[:, None] & (judged.verdicts != 0)[:, :, None]
    return model, auroc(model.probabilities(drawn, tokens)[counts], world.relevance(judged)[counts])


def auroc(scores: Floats, labels: Floats) -> float:
    """The chance that a relevant token scores above an irrelevant one; ties count half."""
    order = np.argsort(scores, kind="stable")
    _, inverse, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = labels[order] > 0.5
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def discriminator_for(index: int, policy: Policy, folder: Path) -> Discriminator:
    """The discriminator of base model ``index``, trained on first use and kept in ``folder``."""
    path = folder / f"discriminator{index}.pt"
    model = Discriminator()
    if not path.exists():
        model, score = train_discriminator(policy, index)
        torch.save({**model.state_dict(), "auroc": torch.tensor(score)}, path)
        return model
    state = torch.load(path, weights_only=True)
    state.pop("auroc")
    model.load_state_dict(state)
    return model
