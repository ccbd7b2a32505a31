"""Importers: public sets of prompts with rubrics become task files.

    a file (JSON Lines, one JSON list, Parquet)  ->  rows, one at a time       rtt.importers.files
    a row                                        ->  a task                    the format's reader
    tasks                                        ->  a task file, and a tally  rtt.importers.conversion

    format           reader
    if-rlvr          rtt.importers.instructions     instruction ids of IFEval, one to five a prompt
    rlvr-ifeval      rtt.importers.instructions     one check of IFEval's kind a prompt, under names of its own
    nemotron         rtt.importers.instructions     instruction ids in rows of NeMo Gym
    verinstruct      rtt.importers.checkers         checkers with program text
    hir              rtt.importers.checkers         four sources in one file
    wildchecklists   rtt.importers.lists            a checklist in one text, with importances
    openrubrics      rtt.importers.lists            a numbered rubric in one text
    rar              rtt.importers.weighted         title, description, weight
    rubrichub        rtt.importers.weighted         criterion, points
    healthbench      rtt.importers.weighted         criterion, points

Program text that comes with data is never run, whatever is chosen. This module imports nothing heavy, so that the
command line can name the formats.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtt.errors import ConfigurationError

if TYPE_CHECKING:
    from rtt.importers.reading import Row

__all__ = ["FORMATS", "Format", "format_named"]


@dataclass(frozen=True, slots=True)
class Format:
    """What sets a format apart.

    Attributes:
        name: its key in :data:`FORMATS`; task ids begin with it.
        hub: the ids on the hub of the sets that have this format.
        licence: of the set, as its own card or repository states it; None where that could not be confirmed.
        summary: one line of help.
        reader: ``module:function`` of the reader, see :meth:`read`.
        caution: what who trains on the set must know, or None.
        caution_on_negative: whether that concerns criteria with a negative weight alone.
    """

    name: str
    hub: tuple[str, ...]
    licence: str | None
    summary: str
    reader: str
    caution: str | None = None
    caution_on_negative: bool = False

    def read(self, row: Row) -> None:
        """Read one row: its prompt and criteria are told to ``row``.

        Raises:
            DataError: the row cannot be used; the message opens with the field.
        """
        module, _, function = self.reader.partition(":")
        read: Callable[[Row], None] = getattr(importlib.import_module(module), function)
        read(row)


_FORMATS = (
    Format(
        name="if-rlvr",
        hub=("allenai/IF_multi_constraints_upto5",),
        licence="ODC-BY-1.0",
        summary="IF-RLVR: one to five instruction ids of IFEval and IFTrain a prompt.",
        reader="rtt.importers.instructions:if_rlvr",
    ),
    Format(
        name="rlvr-ifeval",
        hub=("allenai/RLVR-IFeval",),
        licence="ODC-BY-1.0",
        summary="RLVR-IFeval (Tulu 3): one check of IFEval's kind a prompt.",
        reader="rtt.importers.instructions:rlvr_ifeval",
    ),
    Format(
        name="nemotron",
        hub=("nvidia/Nemotron-RL-instruction_following",),
        licence="ODC-BY-1.0",
        summary="Nemotron, rows of NeMo Gym's instruction_following.",
        reader="rtt.importers.instructions:nemotron",
    ),
    Format(
        name="verinstruct",
        hub=("THU-KEG/VerInstruct",),
        licence=None,
        summary="VerInstruct (VerIF): checkers for a model, and checkers with program text.",
        reader="rtt.importers.checkers:verinstruct",
    ),
    Format(
        name="hir",
        hub=("sastpg/HIR-16K",),
        licence=None,
        summary="HIR-16K, also with the rubrics of the RTT paper (types 1 to 4).",
        reader="rtt.importers.checkers:hir",
    ),
    Format(
        name="wildchecklists",
        hub=("viswavi/wildchecklists", "viswavi/rlcf"),
        licence=None,
        summary="WildChecklists (RLCF): a checklist with importances a prompt.",
        reader="rtt.importers.lists:wildchecklists",
    ),
    Format(
        name="openrubrics",
        hub=("OpenRubrics/OpenRubrics", "OpenRubrics/OpenRubric-v2"),
        licence=None,
        summary="OpenRubrics: a numbered rubric of hard rules and principles a prompt.",
        reader="rtt.importers.lists:openrubrics",
    ),
    Format(
        name="rar",
        hub=("ScaleAI/RaR-Science", "ScaleAI/RaR-Medicine"),
        licence=None,
        summary="RaR-Science and RaR-Medicine: weighted criteria and a reference answer.",
        reader="rtt.importers.weighted:rar",
        caution=(
            "RaR's pitfalls have negative weights, but many read as what a good answer does ('Avoids ...', 'Does not "
            "...'), most of them in RaR-Science; read some, then choose with --negative"
        ),
        caution_on_negative=True,
    ),
    Format(
        name="rubrichub",
        hub=("sojuL/RubricHub_v1",),
        licence="Apache-2.0",
        summary="RubricHub (its RuRL files): criteria with points.",
        reader="rtt.importers.weighted:rubrichub",
    ),
    Format(
        name="healthbench",
        hub=("openai/healthbench",),
        licence=None,
        summary="HealthBench: conversations with criteria and points, some negative.",
        reader="rtt.importers.weighted:healthbench",
        caution="HealthBench is a benchmark: a model that trains on these rows can no longer be measured by it",
    ),
)

FORMATS: Mapping[str, Format] = {one.name: one for one in _FORMATS}
"""The formats by name."""


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigurationError: there is none; the message shows the name that is close.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name, FORMATS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {list(FORMATS)}"
    raise ConfigurationError(f"format {name!r} is not known; {hint}")
