"""The policy: a transformer that reads criteria and writes tokens, of 0.1 million parameters (0.35 for long texts).

criteria [P K]  ->  one vector each: kind + argument + argument   (a set: they have no order)
tokens   [B T]  ->  attend to the criteria of their prompt and to the tokens before them

sample              prompts -> tokens [B T], G responses a prompt in a row
log_probabilities   prompts, tokens -> log p of each token [B T] and the entropy there [B T]
pretrain            imitation of texts that meet some of their criteria
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.small_world.world import ARGUMENTS, END, KINDS, PAD, SHORT, TOKENS, Facts, Ints, Prompts, Scale

HEADS = 4
PRETRAINING_STEPS, PRETRAINING_BATCH, PRETRAINING_TEXTS, TRUTH = 900, 96, 25_000, 0.7


class Block(nn.Module):
    """Attention and a feed-forward layer, each on a normed input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [B H T D] each."""
        b, t, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        return qkv[0], qkv[1], qkv[2]

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The block's output from its input and what its heads found, [B T D]."""
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(functional.relu(self.up(self.norm2(x))))


class Policy(nn.Module):
    """What is trained; see the module for its shape."""

    def __init__(self, scale: Scale = SHORT) -> None:
        super().__init__()
        self.scale, width = scale, scale.width
        self.kind, self.a = nn.Embedding(len(KINDS) + 1, width), nn.Embedding(ARGUMENTS, width)
        self.b, self.token = nn.Embedding(ARGUMENTS, width), nn.Embedding(TOKENS + 1, width)
        self.place = nn.Embedding(scale.length, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(scale.layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, TOKENS)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.05)

    def read(self, prompts: Prompts, copies: int = 1) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the criteria in each layer, [P*copies H K D], each prompt's ``copies`` times in a row."""
        kinds, a, b = (torch.from_numpy(part) for part in (prompts.kinds, prompts.a, prompts.b))
        x = self.kind(kinds) + self.a(a) + self.b(b)
        cache = []
        for block in self.blocks:
            q, k, v = block.heads(x)
            cache.append((k.repeat_interleave(copies, 0), v.repeat_interleave(copies, 0)))
            x = block.finish(x, functional.scaled_dot_product_attention(q, k, v))
        return cache

    def forward(self, prompts: Prompts, tokens: Tensor, copies: int = 1) -> Tensor:
        """Logits [B T V] of each token given those before it; response i belongs to prompt ``i // copies``."""
        b, t = tokens.shape
        before = torch.cat([tokens.new_full((b, 1), TOKENS), tokens[:, :-1]], dim=1)
        x = self.token(before) + self.place.weight[:t]
        cache = self.read(prompts, copies)
        criteria = cache[0][0].shape[2]
        seen = torch.ones(t, criteria + t, dtype=torch.bool).tril(criteria)
        for block, (keys, values) in zip(self.blocks, cache, strict=True):
            q, k, v = block.heads(x)
            k, v = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
            x = block.finish(x, functional.scaled_dot_product_attention(q, k, v, attn_mask=seen))
        return self.head(self.norm(x))

    @torch.no_grad()
    def sample(self, prompts: Prompts, copies: int, generator: torch.Generator, length: int | None = None) -> Tensor:
        """``copies`` responses to each prompt in a row, [P*copies T], at temperature 1, padded after their end."""
        cache, per_head = self.read(prompts, copies), self.scale.width // HEADS
        length = length or self.scale.length
        number, criteria = len(prompts) * copies, cache[0][0].shape[2]
        full = [
            tuple(torch.cat([part, part.new_empty(number, HEADS, length, per_head)], dim=2) for part in pair)
            for pair in cache
        ]
        tokens = torch.zeros(number, length, dtype=torch.int64)
        current = torch.full((number,), TOKENS)
        done = torch.zeros(number, dtype=torch.bool)
        for t in range(length):
            x = (self.token(current) + self.place.weight[t]).unsqueeze(1)
            upto = criteria + t + 1
            for block, (keys, values) in zip(self.blocks, full, strict=True):
                q, k, v = block.heads(x)
                keys[:, :, upto - 1 : upto], values[:, :, upto - 1 : upto] = k, v
                scores = (q * keys[:, :, :upto]).sum(-1, keepdim=True) / math.sqrt(per_head)  # (B, H, S, 1)
                attended = (scores.softmax(dim=2) * values[:, :, :upto]).sum(dim=2, keepdim=True)
                x = block.finish(x, attended)
            logits = self.head(self.norm(x[:, 0]))
            current = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
            current = current.masked_fill(done, PAD)
            tokens[:, t] = current
            done |= current == END
            if bool(done.all()):
                break
        return tokens

    def log_probabilities(self, prompts: Prompts, tokens: Tensor, copies: int = 1) -> tuple[Tensor, Tensor]:
        """The log-probability of each token and the entropy of its place (no gradient), [B T] each."""
        logs = self(prompts, tokens, copies).log_softmax(-1)
        with torch.no_grad():
            entropy = -(logs.exp() * logs).sum(-1)
        return logs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1), entropy


def pretrain(seed: int, steps: int = PRETRAINING_STEPS, scale: Scale = SHORT) -> Policy:
    """A base model: it has read texts whose prompts they meet in part, so it follows criteria now and then."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([21, seed])
    facts = Facts(PRETRAINING_TEXTS if steps > 100 else 500, 1000 + seed, scale)
    policy = Policy(scale)
    optimiser = torch.optim.AdamW(policy.parameters(), lr=4e-3, weight_decay=0.01)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * min(1, (step + 1) / 100) * (1 - 0.95 * step / steps)
        prompts, texts = facts.draw(PRETRAINING_BATCH, (1, 8), rng, range(len(KINDS)), truth=TRUTH)
        tokens = torch.from_numpy(facts.tokens[texts])
        logits = policy(prompts, tokens)
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return policy


def base_model(index: int, folder: Path, scale: Scale = SHORT) -> Policy:
    """Base model ``index`` of a scale, trained on first use and kept in ``folder``."""
    path = folder / (f"base{index}.pt" if scale == SHORT else f"base{index}-{scale.length}.pt")
    if not path.exists():
        policy = pretrain(index, scale=scale)
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{torch.initial_seed()}.tmp")
        torch.save(policy.state_dict(), beside)
        beside.replace(path)
        return policy
    policy = Policy(scale)
    policy.load_state_dict(torch.load(path, weights_only=True))
    return policy


def own_tokens(tokens: Ints) -> Tensor:
    """[B T], true on a response's own tokens, its end included."""
    return torch.from_numpy(tokens != PAD)
