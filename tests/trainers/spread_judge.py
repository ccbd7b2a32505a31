"""Several processes with their questions and one spread judge; each writes what it learned to FOLDER/PROCESS.json.

    python spread_judge.py FOLDER JUDGE_URL JSON_OPTIONS

``texts`` of the options are the responses of each process. The judge of the process that ``broken`` names cannot be
used; the one that ``late`` names comes when the group's ``timeout`` is over. Each process names itself in its requests.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import distributed

from rtt.errors import DataError, JudgeFailureError
from rtt.rubrics import Criterion, Message, Rubric, Task
from rtt.trainers.spread import SpreadJudge
from rtt.verifiers import verify_batch
from rtt.verifiers.judge import Judge

CRITERIA = (Criterion(id="tone", text="The tone is friendly."), Criterion(id="why", text="It explains why."))
TASK = Task(id="t", prompt=(Message(role="user", content="Write."),), rubric=Rubric(criteria=CRITERIA))


class Broken(Judge):
    def verify_batch(self, *_: Any, **__: Any) -> Any:
        raise DataError("cache judge/: cannot be used")


def main() -> None:
    folder, url, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    distributed.init_process_group("gloo", timeout=timedelta(seconds=options.get("timeout", 60)))
    process = distributed.get_rank()
    kind = Broken if process == options.get("broken") else Judge
    judge = SpreadJudge(kind("m", base_url=url, request={"user": str(process)}), time_limit=30)
    if process == options.get("late"):
        time.sleep(options["timeout"] + 2)
    answers = [(TASK, text) for text in options["texts"][process]]
    try:
        learned: Any = [[repr(verdict) for verdict in row] for row in verify_batch(answers, judge)]
    except (DataError, JudgeFailureError) as error:
        learned = str(error)
    (folder / f"{process}.json").write_text(json.dumps(learned))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
