"""The demo from end to end.

    obtain_model -> evaluate (before) -> for each arm: train -> evaluate (after) -> compare -> tables and files

An *arm* is one training method; all arms have the same tasks, budget and seeds. What is finished lies on disk, an arm a
folder, and is not done again::

    DIR/
    ├── demo.json        what this run is: settings and model; another run does not mix with it
    ├── before.json      held-out responses and verdicts before training
    ├── rtt-grpo/        checkpoints, records/, adapter/ (LoRA), history.json, after.json
    ├── grpo-csr/ ...    the other arms (--compare)
    ├── results.json     every number;  results.md the same for a person
    ├── curves.png, rules.png
    └── samples.md       held-out responses before and after, the first ones in order and not the best ones
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import rtt
from rtt.demo.evaluation import Evaluation, Sample, compare, evaluate, summarise
from rtt.demo.models import ModelSource, obtain_model, tiny_model
from rtt.demo.report import Arm, Report, print_report, samples_markdown, to_json, to_markdown
from rtt.demo.settings import FAST, DemoSettings, Method, methods
from rtt.errors import ConfigurationError, DataError, MissingDependencyError
from rtt.generation import load_model, quiet_libraries
from rtt.rubrics import Task, read_tasks
from rtt.verdicts import Outcome

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Loader = Callable[[], "tuple[PreTrainedModel, PreTrainedTokenizerBase]"]


def bundled_tasks(split: str, difficulty: str = "all") -> list[Task]:
    """The tasks that come with the package.

    Args:
        split: ``"train"`` or ``"heldout"``; no request is in both.
        difficulty: ``"easy"`` (short constraints that a small model meets now and then), ``"full"`` or ``"all"``.

    Raises:
        ConfigurationError: there is no such split or difficulty.
    """
    if split not in ("train", "heldout") or difficulty not in ("easy", "full", "all"):
        raise ConfigurationError(
            f"no bundled tasks {split!r}, {difficulty!r}; expected 'train' or 'heldout', and 'easy', 'full' or 'all'"
        )
    with resources.as_file(resources.files("rtt") / "data" / f"demo_{split}.jsonl") as path:
        tasks = read_tasks(path)
    return [task for task in tasks if difficulty in ("all", task.metadata["difficulty"])]


def run_demo(
    output: Path,
    *,
    settings: DemoSettings | None = None,
    model: str | None = None,
    baselines: bool = False,
    fast: bool = False,
    resume: bool = True,
    console: Console | None = None,
) -> Report:
    """Train a small model on the bundled tasks, and measure it on held-out ones before and after.

    Args:
        output: the run's folder; what a run of the same settings and model finished there is kept.
        settings: by default ``DemoSettings()``, with ``fast`` ``FAST``.
        model: a folder or a hub id; by default :func:`rtt.demo.models.obtain_model` finds one.
        baselines: train GRPO-AON, GRPO-CSR and GDPO as well.
        fast: the tiny random model unless ``model`` is given.
        resume: go on with the run in ``output``; otherwise start it anew, deleting what the old one wrote.
        console: where to print.

    Raises:
        ConfigurationError: ``output`` holds a run of other settings, or of another model.
        ModelUnavailableError: there is no model to train.
        MissingDependencyError: the ``train`` extra is not installed.
    """
    console = console or Console()
    settings = settings or (FAST if fast else DemoSettings())
    if missing := missing_library():
        raise MissingDependencyError(
            f"the demo needs {missing}, which is not installed; install the extra: "
            "pip install 'rubrics-to-tokens[train]'"
        )
    started = time.perf_counter()
    with quiet_libraries():
        source, load = _model(model, fast=fast, console=console)
        seconds = {"model": time.perf_counter() - started}
        _claim(output, settings, source, resume=resume)
        train_tasks = bundled_tasks("train", settings.difficulty)
        held_out = bundled_tasks("heldout", settings.difficulty)[: settings.eval_prompts]
        console.print(
            f"[bold]Model[/bold]  {source.name}, licence {source.licence}; {source.origin}",
            highlight=False,
            soft_wrap=True,
        )
        console.print(
            f"[bold]Tasks[/bold]  {len(train_tasks)} to train on, {len(held_out)} held out (other requests); "
            f"{settings.steps} steps of {settings.prompts_per_step} prompts x {settings.num_generations} responses",
            highlight=False,
            soft_wrap=True,
        )
        before = _evaluated(output / "before.json", load, held_out, settings, "before", console)
        seconds["evaluation before"] = before.seconds
        arms = []
        for method in methods(settings, baselines=baselines):
            after, history = _arm(output / method.name, method, load, train_tasks, held_out, settings, console)
            arms.append(Arm(method.name, method.title, after, compare(before, after, seed=settings.seed), history))
            seconds[f"{method.title}: training"] = sum(float(row.get("step_time", 0.0)) for row in history)
            seconds[f"{method.title}: evaluation after"] = after.seconds
        report = Report(
            source=source,
            settings=asdict(settings),
            tasks=held_out,
            train_tasks=len(train_tasks),
            before=before,
            arms=arms,
            seconds=seconds,
            machine=_machine(),
            random_model=fast and model is None,
        )
        _write(output, report)
    print_report(report, output, console)
    return report


def _arm(
    folder: Path,
    method: Method,
    load: Loader,
    train_tasks: Sequence[Task],
    held_out: Sequence[Task],
    settings: DemoSettings,
    console: Console,
) -> tuple[Evaluation, list[dict[str, Any]]]:
    """Train and evaluate one method, or read what it came to earlier."""
    after_file, history_file = folder / "after.json", folder / "history.json"
    if after_file.is_file() and history_file.is_file():
        console.print(f"[bold]{method.title}[/bold]  finished earlier")
        return _read_evaluation(after_file, held_out), json.loads(history_file.read_text(encoding="utf-8"))
    model, tokenizer, history = train_method(folder, method, load, train_tasks, settings, console)
    after = _measure(model, tokenizer, held_out, settings, f"{method.title}: held-out responses after", console)
    _write_json(history_file, history)
    _write_evaluation(after_file, after)
    return after, history


def train_method(
    folder: Path, method: Method, load: Loader, tasks: Sequence[Task], settings: DemoSettings, console: Console
) -> tuple[Any, Any, list[dict[str, Any]]]:
    """Train with LoRA from the last whole checkpoint, or from the start.

    Args:
        folder: where checkpoints, records and the adapter go.
        method: its options.
        load: gives the model; the trainer computes in bfloat16 where its weights are of that kind.
        tasks: what to train on.
        settings: of the training; the evaluation's are not read.
        console: where to print.

    Returns:
        The trained model, its tokenizer, and the logged history, a row a step.
    """
    import torch
    from peft import LoraConfig
    from transformers import set_seed
    from transformers.trainer_callback import PrinterCallback

    from rtt.trainers.checkpoints import last_complete_checkpoint
    from rtt.trainers.trl import RTTConfig, RTTTrainer, task_dataset

    checkpoint = last_complete_checkpoint(folder)
    console.print(f"[bold]{method.title}[/bold]  " + (f"going on from {checkpoint.name}" if checkpoint else "training"))
    model, tokenizer = load()
    set_seed(settings.seed)  # LoRA's first weights are drawn before the trainer seeds anything itself
    responses = settings.prompts_per_step * settings.num_generations
    config = RTTConfig(
        output_dir=str(folder),
        num_generations=settings.num_generations,
        per_device_train_batch_size=settings.micro_batch,
        gradient_accumulation_steps=responses // settings.micro_batch,
        max_completion_length=settings.max_completion_length,
        temperature=settings.temperature,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant",
        max_steps=settings.steps,
        logging_steps=1,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=2,
        records_steps=settings.records_steps,
        seed=settings.seed,
        bf16=model.dtype == torch.bfloat16,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to="none",
        **method.options,
    )
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = RTTTrainer(
        model=model,
        args=config,
        train_dataset=task_dataset(tasks),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[_step_lines(console, settings.steps)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model(str(folder / "adapter"))
    history = [row for row in trainer.state.log_history if "rtt/rubric_accuracy" in row]
    return trainer.model, tokenizer, history


def _step_lines(console: Console, steps: int) -> Any:
    """A callback that prints a line for each step."""
    from transformers import TrainerCallback

    class StepLines(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or "rtt/rubric_accuracy" not in logs:
                return
            spent = float(logs.get("step_time", 0.0))
            left = (steps - state.global_step) * spent
            console.print(
                f"  step {state.global_step:>3}/{steps}   rubric {logs['rtt/rubric_accuracy']:.2f}   "
                f"instruction {logs['rtt/instruction_accuracy']:.2f}   "
                f"{logs.get('completions/mean_length', float('nan')):.0f} tokens   {spent:.0f} s"
                + (f"   about {left / 60:.0f} min left" if left >= 60 else ""),
                highlight=False,
                soft_wrap=True,
            )

    return StepLines()


def _measure(
    model: Any, tokenizer: Any, tasks: Sequence[Task], settings: DemoSettings, what: str, console: Console
) -> Evaluation:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task(what, total=len(tasks) * settings.eval_samples)
        return evaluate(
            model,
            tokenizer,
            tasks,
            samples=settings.eval_samples,
            max_new_tokens=settings.eval_max_tokens,
            batch_size=settings.eval_batch,
            temperature=settings.temperature,
            seed=settings.seed,
            progress=lambda done, total: bar.update(row, completed=done, total=total),
        )


def _evaluated(
    path: Path, load: Loader, tasks: Sequence[Task], settings: DemoSettings, when: str, console: Console
) -> Evaluation:
    """The evaluation in ``path``, or a new one written there."""
    if path.is_file():
        found = _read_evaluation(path, tasks)
    else:
        import torch

        model, tokenizer = load()
        model.to("cuda" if torch.cuda.is_available() else "cpu")  # where the trainer puts it, so that both draw alike
        found = _measure(model, tokenizer, tasks, settings, f"held-out responses {when}", console)
        _write_evaluation(path, found)
    console.print(
        f"[bold]{when.capitalize()}[/bold]  rubric accuracy {found.rubric.rate:.3f}, instruction accuracy "
        f"{found.instruction.rate:.3f} ({len(tasks)} prompts x {settings.eval_samples} responses)",
        highlight=False,
        soft_wrap=True,
    )
    return found


def _model(model: str | None, *, fast: bool, console: Console) -> tuple[ModelSource, Loader]:
    if fast and model is None:
        source = ModelSource(Path(), "tiny random model", "made in memory, it has learned nothing", "none")
        return source, tiny_model
    if model is None:
        console.print("Looking for the model (about 100 to 270 MB if it must be fetched) ...")
    source = obtain_model(model)
    return source, _loader(source.folder)


def _loader(folder: Path) -> Loader:
    return lambda: load_model(folder)


def missing_library() -> str | None:
    """The first library that training needs and that is not installed, by its name; ``None`` where all are there."""
    for library in ("torch", "trl", "peft", "matplotlib"):
        try:
            importlib.import_module(library)
        except ImportError as error:
            return error.name or library
    return None


# ------------------------------------------------------------------------------------------------------------ on disk


def _claim(output: Path, settings: DemoSettings, source: ModelSource, *, resume: bool) -> None:
    """Make ``output`` this run's folder; refuse to mix two runs, and to delete what no demo wrote."""
    marker = output / "demo.json"
    identity = {"settings": asdict(settings), "model": source.describe()}
    if marker.is_file():
        try:
            known = json.loads(marker.read_text(encoding="utf-8"))
        except ValueError:
            known = None  # cut short by whatever ended the run: differs from every identity
        if resume and known == identity:
            return
        if resume:
            raise ConfigurationError(
                f"{output} holds a run of other settings: {_differences(known, identity)}; "
                "choose another --output, or --fresh to start it anew"
            )
        for name in _written_by_a_demo(output):
            shutil.rmtree(name) if name.is_dir() else name.unlink()
    elif output.is_dir() and any(output.iterdir()):
        raise ConfigurationError(f"{output} is not empty and no demo's folder; choose another --output")
    output.mkdir(parents=True, exist_ok=True)
    _write_json(marker, identity)


def _written_by_a_demo(output: Path) -> list[Path]:
    names = ("demo.json", "before.json", "results.json", "results.md", "samples.md", "curves.png", "rules.png")
    folders = [method.name for method in methods(DemoSettings(), baselines=True)]
    return [output / name for name in (*names, *folders) if (output / name).exists()]


def _differences(known: Any, identity: Mapping[str, Any]) -> str:
    if not isinstance(known, dict):
        return "its demo.json is of another version"
    parts = []
    for section, values in identity.items():
        there = known.get(section)
        old: dict[str, Any] = there if isinstance(there, dict) else {}
        parts += [
            f"{key} {old.get(key)!r} there, {value!r} now" for key, value in values.items() if old.get(key) != value
        ]
    return "; ".join(parts) or "its demo.json is of another version"


def _write(output: Path, report: Report) -> None:
    from rtt.demo.plots import plot_curves, plot_rules

    _write_json(output / "results.json", to_json(report))
    _write_text(output / "results.md", to_markdown(report))
    _write_text(output / "samples.md", samples_markdown(report))
    runs = {arm.title: arm.history for arm in report.arms}
    plot_curves(runs, output / "curves.png", title=f"{report.source.name}: training responses by step")
    after = {arm.title if len(report.arms) > 1 else "after": arm.after for arm in report.arms}
    plot_rules(report.before, after, output / "rules.png", title=f"{report.source.name}: held-out pass rate by rule")


def _write_evaluation(path: Path, evaluation: Evaluation) -> None:
    _write_json(
        path,
        {
            "seconds": evaluation.seconds,
            "responses": [
                {
                    "task_id": sample.task_id,
                    "text": sample.text,
                    "tokens": sample.tokens,
                    "ended": sample.ended,
                    "outcomes": [int(outcome) for outcome in sample.outcomes],
                }
                for sample in evaluation.samples
            ],
        },
    )


def _read_evaluation(path: Path, tasks: Sequence[Task]) -> Evaluation:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found: dict[str, list[Sample]] = {task.id: [] for task in tasks}
        for row in content["responses"]:
            outcomes = tuple(Outcome(value) for value in row["outcomes"])
            found[row["task_id"]].append(
                Sample(row["task_id"], row["text"], row["tokens"], bool(row["ended"]), outcomes)
            )
        return summarise(tasks, [found[task.id] for task in tasks], seconds=float(content["seconds"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not fit the bundled tasks ({error!r}); start anew with --fresh") from error


def _write_json(path: Path, content: Any) -> None:
    _write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: a killed run leaves no half of it to trip over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8", errors="replace")
    unfinished.replace(path)


def _machine() -> dict[str, str]:
    import peft
    import torch
    import transformers
    import trl

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {
        "device": f"{device}, {os.cpu_count()} cores, {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        "rtt": rtt.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
        "peft": peft.__version__,
    }
