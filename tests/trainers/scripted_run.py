"""One training step with scripted responses, run by one process or several; prints nothing, writes records.

    python scripted_run.py OUTPUT_DIR JSON_OPTIONS

The responses depend on the prompt and on a response's place in its group alone, so that runs with another number of
processes can be compared number by number. Groups of 4 are split over processes of 2 responses each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rtt.cli.options import leave_processes
from rtt.demo.models import tiny_model
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.trainers.trl import RTTConfig, RTTTrainer

RESPONSES = ["a, b, c", "fine words only here", "one, two", "a"]


def tasks() -> list[Task]:
    rules = [
        Rule(name="punctuation:no_comma", arguments={}),
        Rule(
            name="keywords:letter_frequency",
            arguments={"letter": "a", "let_frequency": 1, "let_relation": "at least"},
        ),
        Rule(name="length_constraints:number_words", arguments={"num_words": 3, "relation": "less than"}),
    ]
    return [
        Task(
            id=f"t{count}",
            prompt=(Message(role="user", content=f"Write {count}."),),
            rubric=Rubric(
                criteria=tuple(Criterion(id=f"c{k}", text=f"{k}", rule=rule) for k, rule in enumerate(rules[:count]))
            ),
        )
        for count in (2, 3)
    ]


class Scripted(RTTTrainer):
    """Samples nothing: the n-th response to a prompt is the n-th of these, followed by the end of sequence."""

    responses = RESPONSES

    def _generate_single_turn(self, prompt_ids: Any, *_: Any, **__: Any) -> Any:
        first = self.accelerator.process_index * len(prompt_ids)
        texts = [self.responses[(first + i) % self.num_generations] for i in range(len(prompt_ids))]
        return [[*self._tokenizer(text).input_ids, self._tokenizer.eos_token_id] for text in texts], None


def config(output_dir: str, **options: Any) -> RTTConfig:
    """Two groups of 4 a step, of which everything is recorded, in as many processes as there are."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    settings = {
        "per_device_train_batch_size": 8 // processes,
        "num_generations": 4,
        "max_completion_length": 32,
        "max_steps": 1,
        "records_steps": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "shuffle_dataset": False,
    }
    return RTTConfig(output_dir=output_dir, **{**settings, **options})


def train(trainer: RTTTrainer, output_dir: str | Path) -> None:
    """Train in this process, one of several perhaps, and leave the state behind."""
    trainer.train()
    if trainer.accelerator.is_main_process:
        trainer.state.save_to_json(f"{output_dir}/state.json")


def main() -> None:
    output_dir, options = sys.argv[1], json.loads(sys.argv[2])
    model, tokenizer = tiny_model()
    trainer = Scripted(
        model=model, args=config(output_dir, **options), train_dataset=tasks(), processing_class=tokenizer
    )
    train(trainer, output_dir)


def leave() -> None:
    """Close the group of processes as ``rtt train`` does, when a trainer is gone; none of its threads may stay."""
    leave_processes()
    left = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in left if "gloo" in name], left


if __name__ == "__main__":
    main()
    leave()
