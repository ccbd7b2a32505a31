"""One training step by two processes, the second of which is slow to write its part of the checkpoint.

    python slow_saving_run.py OUTPUT_DIR

Fails where the state of the whole, by which a checkpoint counts as written, is there before the part.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from scripted_run import Scripted, config, leave, tasks, train
from transformers import TrainerState

from rtt.demo.models import tiny_model

PART = "rng_state_1.pth"
_save, _save_to_json = torch.save, TrainerState.save_to_json


def save(value: Any, file: Any, *arguments: Any, **options: Any) -> None:
    if Path(file).name == PART:
        time.sleep(3)
    _save(value, file, *arguments, **options)


def save_to_json(state: TrainerState, file: str) -> None:
    assert Path(file).with_name(PART).is_file() or Path(file).name == "state.json", f"{file} before {PART}"
    _save_to_json(state, file)


def main() -> None:
    torch.save = save
    TrainerState.save_to_json = save_to_json
    model, tokenizer = tiny_model()
    options = config(sys.argv[1], save_strategy="steps", save_steps=1)
    train(Scripted(model=model, args=options, train_dataset=tasks(), processing_class=tokenizer), sys.argv[1])


if __name__ == "__main__":
    main()
    leave()
