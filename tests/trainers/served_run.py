"""A training run whose relevance a served discriminator gives, by one process or several.

    python served_run.py OUTPUT_DIR RELEVANCE_MODEL JSON_OPTIONS

``resume`` of the options names a checkpoint. An error of RTT's is written to OUTPUT_DIR/error-PROCESS.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from scripted_run import Scripted, config, leave, tasks

from rtt.demo.models import tiny_model
from rtt.errors import RTTError


def main() -> None:
    output_dir, served, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    resume = options.pop("resume", None)
    process = os.environ.get("RANK", "0")
    model, tokenizer = tiny_model()
    run = {"relevance": "discriminator", "relevance_model": served, "max_steps": 4, "learning_rate": 1e-2}
    args = config(str(output_dir), **run, **options)
    trainer = Scripted(model=model, args=args, train_dataset=tasks(), processing_class=tokenizer)
    try:
        trainer.train(resume_from_checkpoint=resume)
    except RTTError as error:
        (output_dir / f"error-{process}").write_text(str(error))
    else:
        trainer.save_model(str(output_dir))


if __name__ == "__main__":
    main()
    leave()
