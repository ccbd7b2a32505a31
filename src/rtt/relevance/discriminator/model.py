"""The discriminators: which tokens of a response is a criterion about.

    Discriminator                    tokenizer, configuration and network; texts in, relevance of characters out
    ├── CrossNetwork                 the paper's: reads criterion and response together, one pass for each pair
    └── JointNetwork                 ours: all criteria and the response in one pass

    joint     response     h_t    one pass of the backbone, however many criteria are asked
              criterion    c_k,j  one pass each, however many responses it is asked of
              interaction         marker_k * h_t, as in GLiNER (arXiv:2311.08526); attention of h_t over the words
                                  c_k,j and their best match; neighbouring tokens; one logit

The interaction works in ``interaction_size`` dimensions, so that the cost hardly grows with K. A criterion's relevance
can depend neither on the order nor on the number of the others, nor on the batch: nothing in the network joins them.

On disk a discriminator is a folder: ``discriminator.json`` (architecture, template, windows, calibration), the
backbone's ``config.json``, ``model.safetensors``, the tokenizer's files and ``README.md``, the model card.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification, AutoTokenizer

from rtt.alignment import character_values
from rtt.errors import ConfigurationError
from rtt.relevance.discriminator.inputs import (
    LAYOUT,
    LOOKS_AHEAD,
    Architecture,
    Batch,
    Encoder,
    Row,
    Template,
    Texts,
    batches,
    collate_rows,
    hints_of,
    joined,
    on_device,
    row_length,
    windows,
)

SETTINGS_FILE = "discriminator.json"
WEIGHTS_FILE = "model.safetensors"
_FILES = ("*.json", "*.safetensors", "*.txt")
FORMAT = 1
"""Version of the folder's format."""


class DiscriminatorSettings(BaseModel):
    """What a discriminator is, but for its weights: the content of ``discriminator.json``.

    Attributes:
        architecture: ``"joint"`` or ``"cross"``.
        template: see :class:`~rtt.relevance.discriminator.inputs.Template`.
        causal: a cross discriminator whose tokens see only what stands before them, as a causal backbone's do.
        window: tokens of a response that are read at once; a longer response is read in several windows.
        overlap: tokens that neighbouring windows share at least.
        max_criterion: tokens of a criterion that are read.
        criteria_per_row: more criteria of a response are asked in several rows, which changes no value.
        layout: the backbone is told what its vocabulary may be blind to, see
            :data:`~rtt.relevance.discriminator.inputs.LAYOUT`, and what signs are called.
        lexical: joint only: what spelling alone can tell is a feature of the interaction, see
            :func:`~rtt.relevance.discriminator.inputs.hints_of`.
        interaction_size: width of the joint architecture's interaction.
        interaction_heads: heads of its attention over a criterion's words.
        logit_scale: slope of the calibration, ``sigmoid(scale * logit + bias)``.
        logit_bias: its offset.
        threshold: relevance from which a token counts as relevant, chosen on the validation examples.
        training: what it was trained on, for the model card.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    architecture: Architecture = "joint"
    template: str
    causal: bool = False
    window: int = Field(default=384, ge=8)
    overlap: int = Field(default=96, ge=0)
    max_criterion: int = Field(default=64, ge=4)
    criteria_per_row: int = Field(default=32, ge=1)
    layout: bool = True
    lexical: bool = True
    interaction_size: int = Field(default=128, ge=4)
    interaction_heads: int = Field(default=4, ge=1)
    logit_scale: float = 1.0
    logit_bias: float = 0.0
    threshold: float = Field(default=0.5, ge=0, le=1)
    training: dict[str, Any] = Field(default_factory=dict)


# ------------------------------------------------------------------------------------------------------------ networks


class Network(nn.Module):
    """What both architectures share: the backbone, fed with embeddings of tokens, of their layout and their names."""

    def __init__(self, backbone: nn.Module, settings: DiscriminatorSettings) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = settings
        config: Any = backbone.config
        self.width: int = config.hidden_size
        self.layout = nn.ModuleList(nn.Embedding(size, self.width) for size in LAYOUT.values())
        for part in self.layout.parameters():
            nn.init.zeros_(part)  # a new discriminator begins as its backbone
        accepted = inspect.signature(backbone.forward).parameters
        self._takes_types = "token_type_ids" in accepted and getattr(config, "type_vocab_size", 0) > 1

    def embed(self, texts: Texts) -> Tensor:
        """[N, S, width]."""
        embedding: Any = self.backbone.get_input_embeddings()  # type: ignore[operator]
        tokens: Tensor = embedding(texts.input_ids)
        if self.settings.layout:
            for column, (name, table) in enumerate(zip(LAYOUT, self.layout, strict=True)):
                if self.settings.causal and name in LOOKS_AHEAD:
                    continue
                tokens = tokens + table(texts.layout[..., column])
            # a sign is what it is called, too
            called = texts.names >= 0  # (N, S, NAME_TOKENS)
            names = embedding(texts.names.clamp(min=0)) * called.unsqueeze(-1)
            tokens = tokens + names.sum(-2) / called.sum(-1, keepdim=True).clamp(min=1)
        return tokens

    def read(self, embeddings: Tensor, texts: Texts, *, causal: bool = False) -> Any:
        """The backbone's output for embeddings [N, S, width]."""
        options: dict[str, Any] = {"token_type_ids": texts.types} if self._takes_types else {}
        mask = texts.mask
        if causal:
            size = mask.shape[1]
            seen = torch.ones(size, size, dtype=torch.bool, device=mask.device).tril()
            mask = (mask.unsqueeze(1) & seen).unsqueeze(1)  # (N, 1, S, S); padding, at the end, sees the tokens
        else:
            mask = mask.long()
        return self.backbone(inputs_embeds=embeddings, attention_mask=mask, **options)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, [N, K, T]; those of padding mean nothing."""
        raise NotImplementedError


class CrossNetwork(Network):
    """A token classifier with one logit a token, which reads one criterion and the response (arXiv:2604.02795)."""

    def forward(self, batch: Batch) -> Tensor:
        """Logits, [N, 1, T]."""
        output = self.read(self.embed(batch.texts), batch.texts, causal=self.settings.causal)
        logits: Tensor = output.logits.squeeze(-1)  # (N, S)
        return logits.gather(1, batch.response).unsqueeze(1)


class JointNetwork(Network):
    """Responses and criteria, each read once, and their interaction."""

    def __init__(self, backbone: nn.Module, settings: DiscriminatorSettings) -> None:
        super().__init__(backbone, settings)
        self.interaction = Interaction(self.width, settings.interaction_size, settings.interaction_heads)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, [N, K, T]."""
        assert batch.criteria is not None  # nosec B101 # a fact for the type checker
        responses, criteria = self.embed(batch.texts), self.embed(batch.criteria)
        logits: Tensor = self.interaction(
            _take(self.read(responses, batch.texts).last_hidden_state, batch.response),
            _take(responses, batch.response),
            batch.response_mask,
            self._read_criteria(criteria, batch.criteria),
            criteria,
            batch.criteria.mask,
            batch.asked,
            batch.hints,
        )
        return logits

    def _read_criteria(self, embeddings: Tensor, texts: Texts) -> Tensor:
        """The backbone's vectors, [M, L, width]: the short criteria apart from the long ones, which saves padding."""
        count, size = texts.mask.shape
        lengths = texts.mask.sum(1)
        order = lengths.argsort(stable=True)
        hidden = embeddings.new_zeros(count, size, self.width)
        for rows in torch.split(order, -(-count // 4) if count > 8 else count):
            longest = int(lengths[rows].max())
            part = Texts(*(value[rows, :longest] for value in (getattr(texts, one.name) for one in fields(texts))))
            hidden = hidden.index_put(
                (rows[:, None], torch.arange(longest, device=rows.device)),
                self.read(embeddings[rows, :longest], part).last_hidden_state.to(hidden.dtype),
            )
        return hidden


def _take(hidden: Tensor, places: Tensor) -> Tensor:
    """The vectors at ``places`` of each row: [N, S, D] and [N, T] give [N, T, D]."""
    return hidden.gather(1, places.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))


class Interaction(nn.Module):
    """One logit for each criterion and token, from the vectors of both.

    For criterion k and token t: the product of marker and token (does the token do what the criterion says), what the
    token finds when it attends over the criterion's words, how well the best of them matches it (in several learned
    heads, as plain embeddings: "is it this very word", as the backbone's vectors, and in spelling); then the same of
    the tokens around it and, by attention, of all tokens of the window.
    """

    def __init__(self, width: int, size: int, heads: int) -> None:
        super().__init__()
        if size % heads:
            raise ConfigurationError(f"interaction_size={size} is no multiple of interaction_heads={heads}")
        self.heads = heads
        self.token = nn.Linear(width, size)
        self.marker = nn.Linear(width, size)
        self.query = nn.Linear(width, size)
        self.key = nn.Linear(width, size)
        self.value = nn.Linear(width, size)
        self.mix = nn.Linear(3 * size + heads + 3, size)
        self.norm = nn.LayerNorm(size)
        self.around = nn.Conv1d(size, size, kernel_size=9, padding=4, groups=size)
        self.inputs = nn.Linear(size, 3 * size)
        self.attended = nn.Linear(size, size)
        self.after_norm = nn.LayerNorm(size)
        self.widen = nn.Linear(size, 2 * size)
        self.narrow = nn.Linear(2 * size, size)
        self.logit = nn.Linear(size, 1)
        self.direct = nn.Linear(heads + 3, 1)
        with torch.no_grad():
            # a new discriminator begins as the best match between words, which is what can be said without training
            self.key.weight.copy_(self.query.weight)
            self.key.bias.copy_(self.query.bias)
            self.direct.weight.copy_(torch.tensor([[0.0] * heads + [3.0, 3.0, 4.0]]))
            self.direct.bias.fill_(-6.0)

    def forward(
        self,
        response: Tensor,
        response_embeddings: Tensor,
        response_mask: Tensor,
        criteria: Tensor,
        criteria_embeddings: Tensor,
        criteria_mask: Tensor,
        asked: Tensor,
        hints: Tensor,
    ) -> Tensor:
        """Logits, [N, K, T].

        Args:
            response: [N, T, width].
            response_embeddings: [N, T, width], before the backbone.
            response_mask: bool [N, T].
            criteria: [M, L, width], the marker first.
            criteria_embeddings: [M, L, width], before the backbone.
            criteria_mask: bool [M, L].
            asked: int64 [N, K], which criteria are asked of which response.
            hints: [N, K, T], what spelling alone can tell.
        """
        n, t = response_mask.shape
        k = asked.shape[1]
        marker = self.marker(criteria[:, 0])[asked].unsqueeze(2)  # (N, K, 1, size)
        token = self.token(response).unsqueeze(1)  # (N, 1, T, size)
        words = criteria_mask[asked]  # (N, K, L)
        query, key, value = (
            self._split(part) for part in (self.query(response), self.key(criteria), self.value(criteria))
        )
        scores = torch.einsum("nthd,nklhd->nkhtl", query, key[asked]) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~words.view(n, k, 1, 1, -1), torch.finfo(scores.dtype).min)
        best = scores.amax(-1).permute(0, 1, 3, 2)  # (N, K, T, heads)
        found = torch.einsum("nkhtl,nklhd->nkthd", scores.softmax(-1), value[asked]).flatten(-2)  # (N, K, T, size)
        same = _best_cosine(response_embeddings, criteria_embeddings, criteria_mask, asked)  # (N, K, T, 1)
        near = _best_cosine(response, criteria, criteria_mask, asked)
        matches = torch.cat([best, same, near, hints.unsqueeze(-1)], dim=-1)  # (N, K, T, heads + 3)
        features = torch.cat([token * marker, found, token * found, matches], dim=-1)
        mixed = functional.gelu(self.norm(self.mix(features)))
        mixed = mixed * response_mask.view(n, 1, t, 1)  # padding is nobody's neighbour
        rows = mixed.reshape(n * k, t, -1)
        seen = response_mask.repeat_interleave(k, 0).view(n * k, 1, 1, t)
        q, key_, v = (part.transpose(1, 2) for part in self._split(self.inputs(rows).unflatten(-1, (3, -1))).unbind(2))
        attended = functional.scaled_dot_product_attention(q, key_, v, attn_mask=seen).transpose(1, 2).flatten(2)
        around = self.around(rows.transpose(1, 2)).transpose(1, 2)
        rows = rows + self.attended(attended) + around
        rows = rows + self.narrow(functional.gelu(self.widen(self.after_norm(rows))))
        logits: Tensor = self.logit(rows).view(n, k, t) + self.direct(matches).squeeze(-1)
        return logits

    def _split(self, vectors: Tensor) -> Tensor:
        return vectors.view(*vectors.shape[:-1], self.heads, -1)


def _best_cosine(response: Tensor, criteria: Tensor, criteria_mask: Tensor, asked: Tensor) -> Tensor:
    """The cosine of each token with the nearest of a criterion's words, [N, K, T, 1]."""
    cosine = torch.einsum(
        "ntd,nkld->nktl", functional.normalize(response, dim=-1), functional.normalize(criteria, dim=-1)[asked]
    )
    return cosine.masked_fill(~criteria_mask[asked].unsqueeze(2), -1.0).amax(-1, keepdim=True)


@contextmanager
def _without_report() -> Iterator[None]:
    """Without transformers' report on the weights: a new head is new, a pooler is not used, as it should be."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def build_network(backbone: str | Path | Any, settings: DiscriminatorSettings) -> Network:
    """A network on a pretrained backbone (a folder or hub id), or on a backbone's configuration with random weights."""
    kind: Any = AutoModel if settings.architecture == "joint" else AutoModelForTokenClassification
    options: dict[str, Any] = {} if settings.architecture == "joint" else {"num_labels": 1}
    if isinstance(backbone, str | Path):
        if settings.architecture == "joint":
            # a pooler would be trained by nobody
            config = AutoConfig.from_pretrained(backbone)  # nosec B615 # the user names the model
            if "add_pooling_layer" in inspect.signature(kind._model_mapping[type(config)].__init__).parameters:
                options["add_pooling_layer"] = False
        with _without_report():
            model = kind.from_pretrained(backbone, dtype=torch.float32, **options)
    else:
        if settings.architecture == "joint":
            if "add_pooling_layer" in inspect.signature(kind._model_mapping[type(backbone)].__init__).parameters:
                options["add_pooling_layer"] = False
            model = kind.from_config(backbone, **options)
        else:
            backbone.num_labels = 1
            model = kind.from_config(backbone)
    return (JointNetwork if settings.architecture == "joint" else CrossNetwork)(model, settings)


# -------------------------------------------------------------------------------------------------------- discriminator


class Discriminator:
    """Says for each character of a response how responsible it is for a criterion.

    Args:
        network: see :func:`build_network`.
        tokenizer: the backbone's, a fast one.
        settings: see :class:`DiscriminatorSettings`.

    Example:
        >>> discriminator = Discriminator.from_pretrained("runs/discriminator/joint")
        >>> discriminator.characters([["No commas."]], ["Rain, again."])[0].shape
        (1, 12)
    """

    def __init__(self, network: Network, tokenizer: Any, settings: DiscriminatorSettings) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.settings = settings
        self.encoder = Encoder(tokenizer, Template(settings.template), max_criterion=settings.max_criterion)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def window(self) -> int:
        """Tokens of a response that fit into one window, with the longest criterion beside them in a cross row."""
        config: Any = self.network.backbone.config
        frame = len(self.encoder.opening) + len(self.encoder.between) + len(self.encoder.closing)
        room = (getattr(config, "max_position_embeddings", None) or 1 << 30) - 2 - frame
        if self.settings.architecture == "cross":
            room -= self.settings.max_criterion
        if room < 8:
            raise ConfigurationError(
                f"the backbone reads {room} tokens of a response beside a criterion of max_criterion="
                f"{self.settings.max_criterion}; lower max_criterion"
            )
        return min(self.settings.window, room)

    def characters(
        self,
        criteria: Sequence[Sequence[str]],
        texts: Sequence[str],
        *,
        batch_tokens: int = 4096,
        progress: Callable[[int], None] | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Relevance of each character.

        Args:
            criteria: for each text its criteria, [B][K].
            texts: [B] responses.
            batch_tokens: tokens of a batch, padding included; rows of about the same length go together.
            progress: told how many rows are done.

        Returns:
            For each text float32 [K, C] with values in [0, 1].
        """
        return [
            character_values(spans, values, length=len(text))
            for text, (spans, values) in zip(
                texts, self.tokens(criteria, texts, batch_tokens=batch_tokens, progress=progress), strict=True
            )
        ]

    @torch.inference_mode()
    def tokens(
        self,
        criteria: Sequence[Sequence[str]],
        texts: Sequence[str],
        *,
        batch_tokens: int = 4096,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[list[tuple[int, int]], npt.NDArray[np.float32]]]:
        """For each text the characters of the discriminator's own tokens, [T], and their relevance, [K, T]."""
        encoded = self.encoder.responses(texts)
        size = self.window
        overlap = min(self.settings.overlap, size // 2)
        places = [windows(len(one), size, overlap) for one in encoded]
        size_of_row = self.settings.criteria_per_row if self.settings.architecture == "joint" else 1
        lexical = self.settings.lexical and self.settings.architecture == "joint"
        hints = hints_of(criteria, texts, encoded) if lexical else None
        rows: list[Row] = []
        where: list[tuple[int, int, int]] = []  # text, window, first criterion
        for b, (one, asked) in enumerate(zip(encoded, criteria, strict=True)):
            if not len(one) or not asked:
                continue
            words = [self.encoder.criterion(text) for text in asked]
            for w, (start, end) in enumerate(places[b]):
                part = one.cut(start, end)
                for first in range(0, len(words), size_of_row):
                    share = slice(first, first + size_of_row)
                    hint = None if hints is None else hints[b][share, start:end]
                    rows.append(Row(part, tuple(words[share]), hints=hint))
                    where.append((b, w, first))
        parts = [
            [np.zeros((len(asked), end - start), dtype=np.float32) for start, end in found]
            for asked, found in zip(criteria, places, strict=True)
        ]
        training = self.network.training
        self.network.eval()
        try:
            lengths = [row_length(row, self.encoder, self.settings.architecture) for row in rows]
            for chosen in batches(lengths, tokens=batch_tokens):
                probabilities = self.probabilities([rows[i] for i in chosen])
                for i, values in zip(chosen, probabilities, strict=True):
                    b, w, first = where[i]
                    parts[b][w][first : first + len(values)] = values
                if progress is not None:
                    progress(len(chosen))
        finally:
            self.network.train(training)
        return [
            ([(int(start), int(end)) for start, end in one.spans], joined(part, found))
            for one, part, found in zip(encoded, parts, places, strict=True)
        ]

    @torch.inference_mode()
    def probabilities(self, rows: Sequence[Row]) -> list[npt.NDArray[np.float32]]:
        """The relevance of each row's tokens, [K, T] for each, in one batch."""
        batch = collate_rows(rows, self.encoder, self.settings.architecture)
        batch = on_device(batch, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.network(batch)
        scaled = logits.float() * self.settings.logit_scale + self.settings.logit_bias
        relevance = torch.sigmoid(scaled).cpu().numpy()
        return [
            found[: len(row.criteria), : len(row.response)] for found, row in zip(relevance, rows, strict=True)
        ]  # fmt: skip

    # ------------------------------------------------------------------------------------------------------- on disk

    def save_pretrained(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write the folder; it appears whole or not at all, and replaces a discriminator that was there.

        Raises:
            ConfigurationError: something else than a discriminator is there.
        """
        from safetensors.torch import save_model

        target = Path(folder)
        if target.exists() and not (target / SETTINGS_FILE).is_file() and any(target.iterdir()):
            raise ConfigurationError(f"{target} holds something that is no discriminator; choose an empty folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        try:
            work.chmod(0o755)
            backbone: Any = self.network.backbone
            backbone.config.save_pretrained(work)
            self.tokenizer.save_pretrained(work)
            save_model(self.network, str(work / WEIGHTS_FILE))
            settings = json.dumps(self.settings.model_dump(mode="json"), indent=2, ensure_ascii=False)
            (work / SETTINGS_FILE).write_text(settings + "\n", encoding="utf-8")
            (work / "README.md").write_text(card or model_card(self), encoding="utf-8")
            if target.exists():
                shutil.rmtree(target)
            work.rename(target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str | torch.device | None = None, revision: str | None = None
    ) -> Discriminator:
        """Load a discriminator from a folder or from the hub; no code that comes with it is run.

        Args:
            folder: what :meth:`save_pretrained` wrote, or a hub id of such a folder.
            device: where to put it; the CPU by default.
            revision: of the hub id.

        Raises:
            ConfigurationError: it is not there, is a model of another kind, has a template or a format that this
                version does not know, or weights that do not fit its configuration.
        """
        place = _folder(folder, revision)
        settings = read_settings(place)
        tokenizer = AutoTokenizer.from_pretrained(place)  # nosec B615 # the user names the model
        network = build_network(AutoConfig.from_pretrained(place), settings)  # nosec B615 # the user names the model
        _load_weights(network, place / WEIGHTS_FILE)
        network.eval()
        return cls(network.to(device or "cpu"), tokenizer, settings)


def load_discriminator(folder: str | Path, *, device: str | torch.device | None = None) -> Discriminator:
    """:meth:`Discriminator.from_pretrained`."""
    return Discriminator.from_pretrained(folder, device=device)


def fingerprint(folder: str | Path, *, revision: str | None = None) -> str:
    """What names a discriminator: a SHA-256 of all files that it is made of, so not of its model card.

    Args:
        folder: as for :meth:`Discriminator.from_pretrained`.
        revision: of the hub id.

    Raises:
        ConfigurationError: it is not there.
    """
    place = _folder(folder, revision)
    digest = hashlib.sha256()
    for file in sorted(file for pattern in _FILES for file in place.glob(pattern)):
        with file.open("rb") as stream:
            digest.update(json.dumps([file.name, hashlib.file_digest(stream, "sha256").hexdigest()]).encode())
    return digest.hexdigest()


def read_settings(folder: Path) -> DiscriminatorSettings:
    """The settings of a discriminator's folder.

    Raises:
        ConfigurationError: the folder holds another kind of model, or settings that cannot be used.
    """
    file = folder / SETTINGS_FILE
    if not file.is_file():
        what = "a model of another kind" if (folder / "config.json").is_file() else "no model"
        raise ConfigurationError(
            f"{folder} holds {what}: it has no {SETTINGS_FILE}; expected a folder that `rtt discriminator train` wrote"
        )
    try:
        settings = DiscriminatorSettings.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(step) for step in detail['loc']) or 'the file'}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        )
        raise ConfigurationError(f"{file}: {problems}; was it written by another version?") from None
    try:
        Template(settings.template)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    return settings


def _folder(name: str | Path, revision: str | None) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    text = str(name)
    if folder.is_absolute() or text.startswith((".", "~")) or text.count("/") != 1:
        raise ConfigurationError(
            f"discriminator {text!r} is no folder here; train one with `rtt discriminator build`, or give a hub id"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(text, revision=revision, allow_patterns=list(_FILES)))
    except Exception as error:  # the client passes on errors of its HTTP library, and libraries differ by version
        raise ConfigurationError(f"discriminator {text!r} is neither a folder here nor on the hub: {error}") from error


def _load_weights(network: Network, file: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    if not file.is_file():
        raise ConfigurationError(f"{file} is missing: the folder was copied in part; copy it whole")
    try:
        load_model(network, str(file))
    except (RuntimeError, SafetensorError) as error:
        first = str(error).strip().splitlines()[:4]
        raise ConfigurationError(f"{file}: the weights do not fit the configuration: {' '.join(first)}") from error


def model_card(discriminator: Discriminator) -> str:
    """The README of a discriminator's folder, in the hub's format."""
    settings = discriminator.settings
    parameters = sum(part.numel() for part in discriminator.network.parameters())
    backbone: Any = discriminator.network.backbone
    kind = backbone.config.model_type
    training = "\n".join(f"| {name} | {value} |" for name, value in settings.training.items()) or "| - | - |"
    return f"""---
library_name: rubrics-to-tokens
tags: [rtt, token-classification, rubrics, credit-assignment]
---

# Token-level relevance discriminator ({settings.architecture})

Reads a criterion and a response and says how responsible each token of the response is for the verdict on the
criterion (RTT, arXiv:2604.02795). {parameters / 1e6:.1f} M parameters on a backbone of type `{kind}`; window of
{discriminator.window} tokens; template `{settings.template!r}`.

```python
from rtt.relevance.discriminator import Discriminator

discriminator = Discriminator.from_pretrained("THIS FOLDER")
discriminator.characters([["No commas."]], ["Rain, again."])
```

Not meant to decide whether a criterion is met: it says where to look.

| training | |
|---|---|
{training}
"""
