"""How the cost of token-level credit grows with responses G, criteria K and tokens T, beside the policy's own step.

    python benches/bench_growth.py [--group 4 8 16 --criteria 2 5 10 20 --tokens 256 1024 4096 --output results]

One factor at a time around a base point (--base 8 5 1024, --prompts 4), then the share of one process of 64.

    measured    processor seconds on one thread, medians of --repeats steps, each with other texts:
                rules         verdicts of K different rules on each response
                characters    which characters each token spans
                evidence      relevance from the verdicts' evidence
                collate       ragged responses to one batch
                criterion_group, intra_sample    response and token advantages, joined
                reading       for the G responses to one prompt, a joint discriminator's texts to batches, and its
                              relevance to the policy's tokens
                network       its forward passes, with a tiny backbone and interaction: the growth, not the size
    arithmetic  floating-point operations of the discriminators and of the policy's step by the shapes of known
                models, and bytes of relevance and advantages; nothing of that size is run

The responses are the bundled ones strung together and cut to T tokens of a byte-pair vocabulary made from them; the
rules are those of the bundled tasks. No model is loaded.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from tokenizers import ByteLevelBPETokenizer
from transformers import BertConfig, PreTrainedTokenizerFast

from rtt.credit import CreditRow, assign_credit, collate
from rtt.demo.discriminator import bundled_responses
from rtt.demo.run import bundled_tasks
from rtt.relevance import EvidenceRelevance
from rtt.relevance.discriminator.inputs import Template, windows
from rtt.relevance.discriminator.model import Discriminator, DiscriminatorSettings, build_network
from rtt.relevance.discriminator.source import DiscriminatorRelevance
from rtt.responses import response_from_tokens
from rtt.rubrics import Criterion, Task
from rtt.verifiers import verify

STAGES = ("rules", "characters", "evidence", "collate", "criterion_group", "intra_sample", "reading", "network")
CRITERION_TOKENS = 16
"""Tokens of a criterion with the template's own, where operations are counted without texts."""

# ---------------------------------------------------------------------------------------------------------- arithmetic


@dataclass(frozen=True)
class Transformer:
    """The matrices of a transformer, which nearly all of its operations are in.

    Attributes:
        layers: their number.
        width: of the residual stream.
        queries: heads times their size.
        keys: of the keys, and as many of the values.
        inner: width of the feed-forward part.
        gated: it has three matrices, else two.
        vocabulary: entries of the output layer; 0 where there is none.
        causal: a token attends to those before it, so that half of the attention is needed.
    """

    layers: int
    width: int
    queries: int
    keys: int
    inner: int
    gated: bool = True
    vocabulary: int = 0
    causal: bool = True

    @property
    def parameters(self) -> int:
        """N: parameters that a token is multiplied with; embeddings are looked up, an output layer is not."""
        attention = 2 * self.width * (self.queries + self.keys)
        return self.layers * (attention + (2 + self.gated) * self.width * self.inner) + self.width * self.vocabulary

    def forward(self, sequences: int, length: int) -> int:
        """Operations of a forward pass: 2 N a token, and the attention's two products."""
        attention = 4 * self.layers * self.queries * length**2 // (1 + self.causal)
        return sequences * (2 * self.parameters * length + attention)


POLICIES: Mapping[str, Transformer] = {
    "0.135B": Transformer(30, 576, 576, 192, 1536, vocabulary=49_152),
    "0.6B": Transformer(28, 1024, 2048, 1024, 3072, vocabulary=151_936),
    "4B": Transformer(36, 2560, 4096, 1024, 9728, vocabulary=151_936),
    "8B": Transformer(36, 4096, 4096, 1024, 12_288, vocabulary=151_936),
}
"""SmolLM2-135M, Qwen3-0.6B, -4B and -8B by their published configurations."""

BACKBONES: Mapping[str, Transformer] = {
    "joint 22M": Transformer(6, 384, 384, 384, 1536, gated=False, causal=False),
    "joint 150M": Transformer(22, 768, 768, 768, 1152, causal=False),
}
"""all-MiniLM-L6-v2 and ModernBERT-base (its local layers counted as global ones, which is too much)."""


def policy_step(policy: Transformer, responses: int, tokens: int) -> int:
    """Generation 2 N a token, old log-probabilities 2 N, training 6 N, each with attention; prompts are left out."""
    return (1 + 1 + 3) * policy.forward(responses, tokens)


def joint_pass(
    backbone: Transformer,
    rows: int,
    length: int,
    texts: int,
    words: int,
    asked: int,
    *,
    size: int = 128,
    heads: int = 4,
) -> int:
    """Operations of :class:`rtt.relevance.discriminator.model.JointNetwork`.

    Args:
        backbone: reads responses and criteria.
        rows: windows of responses.
        length: tokens of a window, two of which are the template's.
        texts: criteria that are read.
        words: tokens of a criterion, with the template's.
        asked: criteria asked of each window.
        size: ``interaction_size``.
        heads: ``interaction_heads``.
    """
    tokens = length - 2
    width, found = backbone.width, heads + 3
    once = 2 * width * size * (2 * rows * tokens + texts * (2 * words + 1))  # token, query; key, value, marker
    words_met = 4 * words * (size + width)  # attention over the words; best match before and after the backbone
    mixed = 2 * (3 * size + found) * size + 2 * 3 * size**2 + 2 * size**2 + 2 * 9 * size + 8 * size**2 + 2 * size
    attention = 4 * tokens * size
    return (
        backbone.forward(rows, length)
        + backbone.forward(texts, words)
        + once
        + rows * asked * tokens * (words_met + mixed + attention + 2 * found)
    )


def discriminator_passes(responses: int, criteria: int, tokens: int) -> dict[str, int]:
    """Operations of relevance for a step, by discriminator; as many tokens in its vocabulary as in the policy's."""
    settings = DiscriminatorSettings(template="{criterion}{response}")
    places = windows(tokens, settings.window, settings.overlap)
    longest = max(end - start for start, end in places) + 2
    rows = responses * len(places)
    joint = {
        name: joint_pass(backbone, rows, longest, responses * criteria, CRITERION_TOKENS, criteria)
        for name, backbone in BACKBONES.items()
    }
    cross = replace(POLICIES["4B"], vocabulary=0)
    return {**joint, "cross 4B": cross.forward(responses * criteria, tokens + CRITERION_TOKENS)}


@dataclass(frozen=True)
class Point:
    """The size of a step, or of one process's part of it."""

    what: str
    prompts: int
    group: int
    criteria: int
    tokens: int

    @property
    def responses(self) -> int:
        return self.prompts * self.group

    def computed(self) -> dict[str, Any]:
        return {
            "operations": {
                **discriminator_passes(self.responses, self.criteria, self.tokens),
                **{f"policy {name}": policy_step(p, self.responses, self.tokens) for name, p in POLICIES.items()},
            },
            "relevance_bytes": 4 * self.responses * self.criteria * self.tokens,
            "advantage_bytes": 4 * self.responses * self.tokens,
        }


# ----------------------------------------------------------------------------------------------------------- measuring


class World:
    """Texts, rules, a tokenizer and a tiny discriminator, all from what the package brings along."""

    def __init__(self) -> None:
        texts = [text for _, _, text in bundled_responses()]
        backend = ByteLevelBPETokenizer()
        special = ["[PAD]", "[CLS]", "[SEP]"]
        backend.train_from_iterator(texts, vocab_size=8000, special_tokens=special, show_progress=False)
        self.tokenizer: Any = PreTrainedTokenizerFast(
            tokenizer_object=backend._tokenizer,
            pad_token="[PAD]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            clean_up_tokenization_spaces=False,
        )
        self.token_ids: list[int] = backend.encode("\n\n".join(texts)).ids
        self.characters_per_token = sum(map(len, texts)) / sum(len(backend.encode(text).ids) for text in texts)
        self.prompts = bundled_tasks("train", "full")
        by_rule: dict[str, list[Criterion]] = defaultdict(list)
        for task in self.prompts:
            for criterion in task.rubric.criteria:
                if criterion.rule is not None:
                    by_rule[criterion.rule.name].append(criterion)
        self.by_rule = list(by_rule.values())
        torch.manual_seed(0)
        backbone = BertConfig(
            vocab_size=len(self.tokenizer),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=256,
            pad_token_id=0,
        )
        settings = DiscriminatorSettings(
            template=Template.default(self.tokenizer).text, interaction_size=16, interaction_heads=2
        )
        network = build_network(backbone, settings).eval()
        self.relevance = DiscriminatorRelevance(Discriminator(network, self.tokenizer, settings))

    def tasks(self, point: Point, seed: int) -> list[Task]:
        """For each response its prompt's task, of K criteria by rules that are as different as can be.

        Fewer criteria are the first of more.
        """
        tasks = []
        for prompt in range(point.prompts):
            draw = random.Random(f"{seed}/{prompt}")
            order = draw.sample(self.by_rule, len(self.by_rule))
            chosen = [draw.choice(order[k % len(order)]) for k in range(point.criteria)]
            criteria = [one.model_copy(update={"id": f"c{k}"}) for k, one in enumerate(chosen)]
            tasks += [self.prompts[prompt % len(self.prompts)].narrowed(criteria)] * point.group
        return tasks

    def answers(self, point: Point, seed: int) -> list[list[int]]:
        """For each response T tokens of the bundled ones, from some place on."""
        draw = random.Random(seed)
        ring = self.token_ids + self.token_ids[: point.tokens]
        starts = [draw.randrange(len(self.token_ids)) for _ in range(point.responses)]
        return [ring[start : start + point.tokens] for start in starts]


def measure(world: World, point: Point, repeats: int) -> dict[str, list[float]]:
    """Processor seconds of each stage, one figure a repeat."""
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[stage].append(time.process_time() - start)

    for repeat in range(repeats):
        tasks, answers = world.tasks(point, repeat), world.answers(point, repeat)
        with timed("characters"):
            responses = [
                response_from_tokens(task.id, ids, world.tokenizer) for task, ids in zip(tasks, answers, strict=True)
            ]
        with timed("rules"):
            verdicts = [verify(task, one.text) for task, one in zip(tasks, responses, strict=True)]
        with timed("evidence"):
            relevance = EvidenceRelevance()(tasks, responses, verdicts)
        with timed("collate"):
            rows = [
                CreditRow(verdicts=[int(verdict.outcome) for verdict in found], relevance=w, group=i // point.group)
                for i, (found, w) in enumerate(zip(verdicts, relevance, strict=True))
            ]
            batch = collate(rows)
        for partition in ("criterion_group", "intra_sample"):
            with timed(partition):
                assign_credit(batch, partition=partition)
        with timed("reading"), timed_forward(world.relevance.discriminator.network) as spent:
            world.relevance(tasks[: point.group], responses[: point.group], verdicts[: point.group])
        seconds["network"].append(sum(spent))
        seconds["reading"][-1] -= seconds["network"][-1]
    return seconds


@contextmanager
def timed_forward(network: Any) -> Iterator[list[float]]:
    """A list that gets the processor seconds of each forward pass."""
    spent: list[float] = []
    starts: list[float] = []
    hooks = [
        network.register_forward_pre_hook(lambda *_: starts.append(time.process_time())),
        network.register_forward_hook(lambda *_: spent.append(time.process_time() - starts[-1])),
    ]
    yield spent
    for hook in hooks:
        hook.remove()


# ------------------------------------------------------------------------------------------------------------- report


def points(options: argparse.Namespace) -> list[Point]:
    group, criteria, tokens = options.base
    base = Point("base", options.prompts, group, criteria, tokens)
    return [
        base,
        *(replace(base, what="G", group=value) for value in options.group if value != group),
        *(replace(base, what="K", criteria=value) for value in options.criteria if value != criteria),
        *(replace(base, what="T", tokens=value) for value in options.tokens if value != tokens),
        Point("one process of 64", 1, *options.process),
    ]


def markdown(result: dict[str, Any]) -> list[str]:
    """The tables of results/."""
    machine, rows = result["machine"], result["points"]
    heads = ["", "prompts", "G", "K", "T"]
    kinds = list(rows[0]["operations"])
    lines = [
        "# How the cost of token-level credit grows",
        "",
        f"`make bench-growth`: {machine['processor']}, one thread, Python {machine['python']}, torch "
        f"{machine['torch']}. One factor at a time around the base point; the last row is what one of 64 processes has "
        "of a step of 512 responses.",
        "",
        "## Measured: processor milliseconds a step",
        "",
        f"Medians of {result['repeats']} repeats, each with other texts "
        f"({result['characters_per_token']:.1f} characters a token), and below the least to the most. "
        "`reading` and `network` are of one prompt's G responses, the other stages of all prompts; `network` is a tiny "
        "one (2 layers of width 64, interaction 16): it shows the growth, not the size.",
        "",
        *_table(
            [*heads, *STAGES], [[*_size(row), *(_spread(row["seconds"][stage]) for stage in STAGES)] for row in rows]
        ),
        "",
        "## Arithmetic: operations and bytes a step",
        "",
        "TFLOP (10^12 operations), not run: discriminators for all responses; the policy's generation, old "
        "log-probabilities and training. Bytes: float32 [B K T] and [B T].",
        "",
        *_table(
            [*heads, *kinds, "joint 22M / policy 4B", "relevance, MiB", "advantages, MiB"],
            [
                [
                    *_size(row),
                    *(_short(row["operations"][kind] / 1e12) for kind in kinds),
                    f"{row['operations']['joint 22M'] / row['operations']['policy 4B']:.2%}",
                    f"{row['relevance_bytes'] / 2**20:.2f}",
                    f"{row['advantage_bytes'] / 2**20:.3f}",
                ]
                for row in rows
            ],
        ),
    ]
    return lines


def _size(row: dict[str, Any]) -> list[str]:
    return [row["what"], *(str(row[name]) for name in ("prompts", "group", "criteria", "tokens"))]


def _spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1e3:,.1f}<br>{min(seconds) * 1e3:,.1f} - {max(seconds) * 1e3:,.1f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return [f"| {' | '.join(row)} |" for row in cells]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    world = World()
    every_rule = Point("", 1, 1, len(world.by_rule), 64)
    measure(world, every_rule, 1)  # loads what is loaded on first use
    rows = [
        {**asdict(point), **point.computed(), "seconds": measure(world, point, options.repeats)}
        for point in track(points(options), "points", console=Console(stderr=True))
    ]
    result = {
        "machine": {"processor": platform.machine(), "python": platform.python_version(), "torch": torch.__version__},
        "repeats": options.repeats,
        "characters_per_token": world.characters_per_token,
        "points": rows,
    }
    lines = markdown(result)
    print("\n".join(lines))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench_growth.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (options.output / "bench_growth.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes: dict[str, Any] = {"type": int, "nargs": "+", "metavar": "N"}
    parser.add_argument("--group", **sizes, default=[4, 8, 16], help="responses to a prompt, G (default: %(default)s)")
    parser.add_argument("--criteria", **sizes, default=[2, 5, 10, 20], help="K (default: %(default)s)")
    parser.add_argument("--tokens", **sizes, default=[256, 1024, 4096], help="T (default: %(default)s)")
    three: dict[str, Any] = {"type": int, "nargs": 3, "metavar": ("G", "K", "T")}
    parser.add_argument("--base", **three, default=[8, 5, 1024], help="the base point (default: %(default)s)")
    parser.add_argument("--process", **three, default=[8, 10, 4096], help="of one process (default: %(default)s)")
    parser.add_argument("--prompts", type=int, default=4, help="prompts a step (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="steps of each point (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("results"), help="for bench_growth.json and .md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
