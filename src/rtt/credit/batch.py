"""The one value that the credit functions read, and how ragged responses become one.

    CreditRow  verdicts [K_i]   relevance [K_i T_i]   mask [T_i]   weights [K_i]   group    one response, ragged
       |  collate
    CreditBatch
        verdicts   int8     [B K]     +1 satisfied, -1 violated, 0 undetermined or padding
        relevance  float32  [B K T]   in [0, 1]; 0 outside the mask
        mask       bool     [B T]     true on the response's own tokens; holes are allowed (tool output, other turns)
        group      int64    [B]       equal for the responses to one prompt; any ids, any order, any sizes
        weights    float32  [B K]     importance; negative for a criterion that describes something unwanted

Axes are always B responses, K criteria, T tokens. Index k means the same criterion in every response of a group.
"""
# ruff: noqa: F722 - the axes of jaxtyping's annotations are not names

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rtt.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int8, Int64, Num

_WIDE = (torch.float32, torch.float64)


@dataclass(frozen=True, eq=False)
class CreditBatch:
    """Verdicts and relevance of ``B`` responses, ``K`` criteria and ``T`` tokens.

    Construction checks shapes, types and ranges, and cleans what must not matter: relevance outside the mask, or of an
    undetermined criterion when it lies outside [0, 1], becomes 0 (in a copy, made only if there is any). Half precision
    is widened to float32; float64 is kept, for reference computations. Integer relevance is refused, because somewhere
    0.95 may have become 0. Tensors are detached: credit has no gradient.

    Attributes:
        verdicts: +1, -1 or 0. An undetermined criterion counts as an absent one, everywhere.
        relevance: how much each token is responsible for each verdict, in [0, 1].
        mask: true on the response's own tokens.
        group: which responses answer the same prompt.
        weights: importance of each criterion, any finite number. The size matters to ``satisfied_fraction`` and
            ``gdpo``. The sign matters everywhere: a criterion with a negative weight describes something unwanted, and
            its verdict counts with the opposite sign.

    Raises:
        ShapeError: shapes that do not fit together, types that would lose something, values out of range.
    """

    verdicts: Int8[Tensor, "B K"]
    relevance: Float[Tensor, "B K T"]
    mask: Bool[Tensor, "B T"]
    group: Int64[Tensor, " B"]
    weights: Num[Tensor, "B K"]

    def __post_init__(self) -> None:
        self._check_shapes()
        self._set("verdicts", _integers("verdicts", self.verdicts, torch.int8, (-1, 1)))
        self._set("group", _integers("group", self.group, torch.int64))
        whole = not (self.weights.is_floating_point() or self.weights.is_complex())
        self._set("weights", self.weights.float() if whole else _floats("weights", self.weights))
        self._set("relevance", _floats("relevance", self.relevance))
        if self.mask.dtype != torch.bool:
            raise ShapeError(f"mask is {self.mask.dtype}; expected torch.bool, true on the response's own tokens")
        if not bool(self.weights.isfinite().all()):
            raise ShapeError("weights hold NaN or infinity; expected finite numbers")
        self._clean_relevance()

    @property
    def determined(self) -> Bool[Tensor, "B K"]:
        """True where the verifier could tell."""
        return self.verdicts != 0

    @property
    def signed_verdicts(self) -> Int8[Tensor, "B K"]:
        """The verdicts as they count: turned round where the weight is negative, unchanged elsewhere."""
        return torch.where(self.weights < 0, -self.verdicts, self.verdicts)

    def _set(self, name: str, value: Tensor) -> None:
        object.__setattr__(self, name, value)

    def _check_shapes(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Tensor):
                raise ShapeError(f"{field.name} is a {type(value).__name__}; expected a tensor")
            self._set(field.name, value.detach())
        if self.relevance.dim() != 3:
            raise ShapeError(f"relevance has shape {list(self.relevance.shape)}; expected [B K T]")
        b, k, t = self.relevance.shape
        expected = {"verdicts": [b, k], "mask": [b, t], "group": [b], "weights": [b, k]}
        for name, shape in expected.items():
            value = getattr(self, name)
            if list(value.shape) != shape:
                raise ShapeError(
                    f"{name} has shape {list(value.shape)}; expected {shape} beside relevance [B K T] = {[b, k, t]}"
                )
            if value.device != self.relevance.device:
                raise ShapeError(f"{name} is on {value.device} and relevance on {self.relevance.device}; move one")

    def _clean_relevance(self) -> None:
        """Hold the relevance to [0, 1] where it counts and to 0 outside the mask: two passes over it, rarely a copy."""
        if self.relevance.numel() == 0:
            return
        # NaN passes neither comparison: padding and undetermined rows may hold anything, and are cleaned below
        low, high = (float(bound) for bound in torch.aminmax(self.relevance))
        outside = (~self.mask).to(self.relevance.dtype).unsqueeze(-1)  # (B, T, 1)
        if low >= 0 and high <= 1 and not bool(torch.bmm(self.relevance, outside).any()):
            return
        counts = self.determined.unsqueeze(-1) & self.mask.unsqueeze(1)  # (B, K, T)
        self._set("relevance", self.relevance.where(counts, 0.0))
        low, high = _range(self.relevance)
        if low < 0 or high > 1:
            raise ShapeError(f"relevance lies in [{low:g}, {high:g}]; expected [0, 1]: probabilities, not logits")


@dataclass(frozen=True, eq=False)
class CreditRow:
    """One response on its way into a batch: nested sequences, arrays or tensors, as they come.

    Attributes:
        verdicts: [K_i], each +1, -1 or 0 (``Outcome`` values are such integers). May be empty.
        relevance: [K_i T_i], floating, in [0, 1].
        group: the same integer for every response to one prompt.
        weights: [K_i]; all 1 when absent.
        mask: [T_i], true on the tokens that the policy wrote; all of them when absent.
    """

    verdicts: Any
    relevance: Any
    group: Any
    weights: Any = None
    mask: Any = None


def collate(
    rows: Sequence[CreditRow],
    *,
    length: int | None = None,
    criteria: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> CreditBatch:
    """Pad ragged responses to one batch; nothing is cut off, whatever the number of criteria or tokens.

    Args:
        rows: the responses, in the order of the batch. Numbers of criteria and tokens may differ, within a group too.
        length: tokens to pad to (T), on the right; the longest response when absent.
        criteria: criteria to pad to (K); the longest rubric when absent.
        dtype: of relevance and weights, float32 or float64.
        device: of the batch; the CPU when absent.

    Raises:
        ShapeError: a row that does not fit together, integer relevance, or more tokens or criteria than asked for.
    """
    ragged = [_read_row(number, row, dtype) for number, row in enumerate(rows)]
    t = _padded_size("tokens", [relevance.shape[1] for _, relevance, _, _ in ragged], length)
    k = _padded_size("criteria", [relevance.shape[0] for _, relevance, _, _ in ragged], criteria)
    b = len(ragged)
    verdicts = torch.zeros(b, k, dtype=torch.int8)
    relevances = torch.zeros(b, k, t, dtype=dtype)
    mask = torch.zeros(b, t, dtype=torch.bool)
    weights = torch.ones(b, k, dtype=dtype)
    # Ragged input has to be visited row by row; from here on nothing loops over responses.
    for i, (verdict, relevance, own, weight) in enumerate(ragged):
        k_i, t_i = relevance.shape
        verdicts[i, :k_i] = verdict
        relevances[i, :k_i, :t_i] = relevance
        mask[i, :t_i] = own
        weights[i, :k_i] = weight
    group = torch.tensor([_group_id(number, row.group) for number, row in enumerate(rows)], dtype=torch.int64)
    return CreditBatch(
        verdicts=verdicts.to(device),
        relevance=relevances.to(device),
        mask=mask.to(device),
        group=group.to(device),
        weights=weights.to(device),
    )


def _read_row(number: int, row: CreditRow, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The verdicts [K], relevance [K T], mask [T] and weights [K] of one row, checked against each other."""
    verdicts = _vector(row.verdicts, torch.int64 if len(row.verdicts) == 0 else None)
    verdicts = _integers(f"row {number}: verdicts", verdicts, torch.int8, (-1, 1))
    k = verdicts.numel()
    relevance = _tensor(row.relevance, dtype)
    if k == 0 and relevance.numel() == 0 and relevance.dim() < 2:  # a response without criteria: [] says no length
        relevance = relevance.new_zeros(0, 0 if row.mask is None else len(row.mask))
    if relevance.dim() != 2 or relevance.shape[0] != k:
        raise ShapeError(
            f"row {number}: relevance has shape {list(relevance.shape)}; expected [{k} T], as {k} verdicts"
        )
    relevance = _floats(f"row {number}: relevance", relevance).to(dtype)
    t = relevance.shape[1]
    mask = torch.ones(t, dtype=torch.bool) if row.mask is None else _vector(row.mask, torch.bool)
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ShapeError(f"row {number}: mask holds other values than 0 and 1, which are true on the own tokens")
    mask = mask.bool()
    weights = torch.ones(k, dtype=dtype) if row.weights is None else _vector(row.weights, dtype).to(dtype)
    if mask.numel() != t:
        raise ShapeError(f"row {number}: mask has {mask.numel()} tokens and relevance {t}; expected equal lengths")
    if weights.numel() != k:
        raise ShapeError(f"row {number}: {weights.numel()} weights for {k} verdicts; expected one each")
    return verdicts, relevance, mask, weights


def _group_id(number: int, group: Any) -> int:
    try:
        return operator.index(group)
    except TypeError:
        raise ShapeError(f"row {number}: group {group!r}; expected an integer, equal for one prompt") from None


def _tensor(values: Any, dtype: torch.dtype | None) -> Tensor:
    """A CPU tensor of ``values``. What has a type keeps it, so that it can be judged; plain numbers get ``dtype``.

    Without a ``dtype`` plain numbers keep their own kind too: True and 0.9 are no verdicts.
    """
    if hasattr(values, "dtype"):
        return torch.as_tensor(values).detach().cpu()
    if len(values) and all(isinstance(value, Tensor) for value in values):
        return torch.stack([value.detach().cpu() for value in values])
    if len(values) and all(hasattr(value, "dtype") for value in values):
        return torch.stack([torch.as_tensor(value) for value in values])
    try:
        return torch.tensor(values, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{values!r:.80} is not an array of numbers: {error}") from error


def _vector(values: Any, dtype: torch.dtype | None) -> Tensor:
    return _tensor(values, dtype).reshape(-1)


def _padded_size(what: str, sizes: list[int], wanted: int | None) -> int:
    longest = max(sizes, default=0)
    if wanted is None:
        return longest
    if wanted < longest:
        raise ShapeError(f"row {sizes.index(longest)} has {longest} {what}; expected at most {wanted}: nothing is cut")
    return wanted


def _integers(name: str, values: Tensor, dtype: torch.dtype, bounds: tuple[int, int] | None = None) -> Tensor:
    """``values`` as ``dtype``, when they are integers in range."""
    if values.dtype == torch.bool or values.is_floating_point() or values.is_complex():
        raise ShapeError(f"{name}: {values.dtype}; expected integers")
    if bounds is not None and values.numel() and not bool(((values >= bounds[0]) & (values <= bounds[1])).all()):
        raise ShapeError(f"{name}: values in [{values.min()}, {values.max()}]; expected {list(bounds)}")
    return values.to(dtype)


def _floats(name: str, values: Tensor) -> Tensor:
    """``values`` in float32 or float64. Integers are refused: 0.95 would have been cut to 0 on the way here."""
    if not values.is_floating_point():
        raise ShapeError(f"{name}: {values.dtype}; expected a floating type (0.95 in an integer tensor is 0)")
    return values if values.dtype in _WIDE else values.float()


def _range(relevance: Tensor) -> tuple[float, float]:
    low, high = (float(bound) for bound in torch.aminmax(relevance))
    if not (low > -torch.inf and high < torch.inf):  # NaN fails every comparison
        raise ShapeError("relevance holds NaN or infinity; expected finite numbers in [0, 1]")
    return low, high
