"""One training step whose responses a judge decides, by one process or several; writes records and what it reported.

    python judged_run.py OUTPUT_DIR JUDGE_URL

One prompt with 8 scripted responses, 4 of them different and most of these in the last process. Each process has a
judge with a cache of its own, as on as many nodes, that names its process in each request.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scripted_run import Scripted, config, leave, train

from rtt.demo.models import tiny_model
from rtt.rubrics import Criterion, Message, Rubric, Rule, Task
from rtt.verifiers.judge import Judge

RESPONSES = ["fine, all of it"] * 5 + ["so it is", "well, no", "good"]


class Judged(Scripted):
    responses = RESPONSES


def task() -> Task:
    criteria = (
        Criterion(id="tone", text="The tone is friendly."),
        Criterion(id="commas", text="No commas.", rule=Rule(name="punctuation:no_comma")),
        Criterion(id="why", text="It explains why."),
    )
    return Task(id="t", prompt=(Message(role="user", content="Write."),), rubric=Rubric(criteria=criteria))


def main() -> None:
    output_dir, url = Path(sys.argv[1]), sys.argv[2]
    process = os.environ.get("RANK", "0")
    model, tokenizer = tiny_model()
    args = config(str(output_dir), num_generations=len(RESPONSES))
    judge = Judge("m", base_url=url, cache=output_dir / f"cache-{process}", request={"user": process})
    trainer = Judged(model=model, args=args, train_dataset=[task()], processing_class=tokenizer, judge=judge)
    train(trainer, output_dir)


if __name__ == "__main__":
    main()
    leave()
