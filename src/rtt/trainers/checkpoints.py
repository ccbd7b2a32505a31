"""Checkpoints: which one a killed run can go on from.

Hugging Face's Trainer writes ``checkpoint-N/`` piece by piece and ``trainer_state.json`` last (of all processes:
RTTTrainer waits for them), so a folder without a readable one was cut short by whatever ended the run, and the one
before it is the last that is whole. Weights and states that a disk has cut or emptied since are seen by their own
formats: a safetensors file says how long it is, and a file of torch's is a zip archive, whose directory stands at its
end. FSDP and DeepSpeed write theirs into folders below; what FSDP writes by pieces (``*.distcp``) has a table of
contents, its last file.
"""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path

logger = logging.getLogger(__name__)

_NAME = re.compile(r"checkpoint-(\d+)")
_ARCHIVES = ("*.pt", "*.pth", "optimizer*.bin", "pytorch_model*.bin", "training_args.bin")


def last_complete_checkpoint(output_dir: str | Path) -> Path | None:
    """The newest checkpoint of a run that was written to its end, or ``None``.

    Newer ones that were cut short are named in a warning and left where they are; the resumed run writes them anew.
    """
    folder = Path(output_dir)
    numbered = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    for _, path in sorted(numbered, reverse=True):
        if _complete(path):
            return path
        logger.warning("checkpoint %s is incomplete (cut while it was written, or damaged since): passed over", path)
    return None


def _complete(checkpoint: Path) -> bool:
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    if not isinstance(state, dict) or "global_step" not in state:
        return False
    archives = [file for pattern in _ARCHIVES for file in checkpoint.rglob(pattern)]
    in_pieces = {piece.parent for piece in checkpoint.rglob("*.distcp")}
    return (
        all(map(zipfile.is_zipfile, archives))
        and all(map(_whole, checkpoint.rglob("*.safetensors")))
        and all((folder / ".metadata").is_file() for folder in in_pieces)
    )


def _whole(file: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np"):
            return True
    except (SafetensorError, OSError):
        return False
