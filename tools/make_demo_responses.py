"""Write src/rtt/data/demo_responses.jsonl: the demo's model answers the bundled tasks, a line each.

    python tools/make_demo_responses.py            goes on where a stopped run ended

The discriminator's examples are drawn from these texts (`rtt discriminator build`), so that nobody needs to wait for a
small model to write them. Sampled from SmolLM2-135M-Instruct (Apache-2.0), temperature 0.9, 160 tokens at most.
"""

from __future__ import annotations

import json
from pathlib import Path

from rtt.demo.evaluation import evaluate
from rtt.demo.models import obtain_model
from rtt.demo.run import bundled_tasks
from rtt.generation import load_model

TARGET = Path(__file__).parent.parent / "src" / "rtt" / "data" / "demo_responses.jsonl"
BATCH = 48


def main() -> None:
    tasks = bundled_tasks("train") + bundled_tasks("heldout")
    done = set()
    if TARGET.is_file():
        done = {json.loads(line)["task_id"] for line in TARGET.read_text(encoding="utf-8").splitlines()}
    source = obtain_model()
    print(f"{source.name}: {source.origin}")
    model, tokenizer = load_model(source.folder)
    for first in range(0, len(tasks), BATCH):
        chosen = tasks[first : first + BATCH]
        if all(task.id in done for task in chosen):
            continue
        found = evaluate(
            model, tokenizer, chosen, samples=1, max_new_tokens=160, batch_size=BATCH, temperature=0.9, seed=first
        )
        with TARGET.open("a", encoding="utf-8") as file:
            for sample in found.samples:
                file.write(json.dumps({"task_id": sample.task_id, "response": sample.text}, ensure_ascii=False) + "\n")
        print(f"{first + len(chosen)}/{len(tasks)}  {found.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
