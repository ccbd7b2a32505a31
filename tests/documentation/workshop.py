"""A folder in which the documentation's commands and programs run: every file and model that they name, but tiny.

Weights are random, rows are written by hand, judges are scripted; names are the documentation's.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from benchmarks.harness import harness_folder, sample
from click.testing import CliRunner
from documentation.blocks import ROOT, blocks
from importers import samples
from inspector.examples import record, training
from scripted_endpoint import YES, Reply, completion, judges, prompt_of

from rtt.cli import cli
from rtt.records import records_path, write_records
from rtt.rubrics import Task, parse_task, read_tasks, write_tasks

MODELS = ("HuggingFaceTB/SmolLM2-135M-Instruct", "my-model")
BACKBONE = "tiny-backbone"
DISCRIMINATOR = Path("runs/discriminator/joint/model")

TRAINING = {
    "model_name_or_path": MODELS[0],
    "tasks": "tasks.jsonl",
    "output_dir": "runs/mine",
    "num_generations": 4,
    "per_device_train_batch_size": 4,
    "max_completion_length": 8,
    "max_steps": 1,
    "save_steps": 1,
    "use_cpu": True,
    "disable_tqdm": True,
}
DISCRIMINATOR_TRAINING = {
    "examples": "examples.jsonl",
    "output_dir": "runs/discriminator",
    "backbone": BACKBONE,
    "per_device_train_batch_size": 2,
    "max_steps": 1,
    "save_steps": 1,
    "use_cpu": True,
    "disable_tqdm": True,
}
NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
BENCHMARK = [{"key": key, "prompt": f"Say {'very ' * key}little, without commas.", **NO_COMMA} for key in (1, 2)]
RAW = {
    "train.jsonl": samples.IF_RLVR,
    "data.jsonl": samples.VERINSTRUCT,
    "HIR_trainv1_rubrics_processed.jsonl": samples.HIR_1,
    "rows.jsonl": samples.HIR_1,
    "RaR-Medicine.jsonl": samples.RAR,
    "train-00000-of-00001.parquet": samples.RLVR_IFEVAL,
    "rurbichub_v1_Writing.parquet": samples.RUBRICHUB,
}
"""The files of the pages about public sets: a row each."""


def mail() -> Task:
    """The task of docs/tasks.md, which shows it on several lines."""
    [block] = [block for block in blocks() if block.page == "docs/tasks.md" and block.language == "json"]
    return parse_task(json.loads(block.text))


def example() -> dict[str, Any]:
    """The example of docs/discriminator.md."""
    [block] = [block for block in blocks() if block.page == "docs/discriminator.md" and block.language == "json"]
    return dict(json.loads(block.text))


def furnish(folder: Path) -> None:
    """Write what needs no model: tasks, responses, raw rows of benchmarks, configuration files, runs."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    tasks = [*read_tasks(ROOT / "examples/tasks.jsonl"), mail()]
    for name in ("tasks.jsonl", "train.jsonl"):
        write_tasks(folder / name, tasks)
    answers = (ROOT / "examples/responses.jsonl").read_text("utf-8").splitlines()
    answers.append(json.dumps({"task_id": "mail/7", "response": "Dear Ms Hill, the lamp is broken."}))
    (folder / "responses.jsonl").write_text("".join(f"{answer}\n" for answer in answers), "utf-8")
    (folder / "prompts.txt").write_text("Write a mail to my landlord.\n", "utf-8")
    for name in ("input_data.jsonl", "IFBench_test.jsonl"):
        write_lines(folder / name, BENCHMARK)
    write_lines(folder / "answers.jsonl", [{"key": row["key"], "response": "Little"} for row in BENCHMARK])
    write_advancedif(folder)
    write_configurations(folder)
    write_runs(folder)
    (folder / "runs/discriminator").mkdir()
    for name in ("examples.jsonl", "runs/discriminator/examples.jsonl"):
        write_lines(folder / name, ({**example(), "prompt": f"mail/{number}"} for number in range(40)))


def furnish_models(folder: Path) -> None:
    """Write the models: a causal one under each of its names, a backbone, a discriminator."""
    import torch
    from transformers import AutoTokenizer

    from rtt.demo.discriminator import tiny_backbone
    from rtt.demo.models import tiny_model
    from rtt.relevance.discriminator.inputs import Template
    from rtt.relevance.discriminator.model import Discriminator, DiscriminatorSettings, build_network

    model, tokenizer = tiny_model()
    for name in MODELS:
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    backbone = tiny_backbone(folder / BACKBONE)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    settings = DiscriminatorSettings(architecture="joint", template=Template.default(tokenizer).text)
    with torch.random.fork_rng(devices=[]):
        network = build_network(backbone, settings)
    Discriminator(network.eval(), tokenizer, settings).save_pretrained(folder / DISCRIMINATOR)


def write_raw(folder: Path) -> None:
    """Write the rows of public sets, in the place of files of the same names."""
    import pandas

    for name, row in RAW.items():
        if name.endswith(".parquet"):
            pandas.DataFrame([row]).to_parquet(folder / name)
        else:
            write_lines(folder / name, [row])


def write_advancedif(folder: Path) -> None:
    turns = [{"role": "user", "content": "Name three rivers."}]
    row = {
        "conversation_history": json.dumps(turns),
        "prompt_metadata": json.dumps({"rubrics": json.dumps(["Are there three?"])}),
        "benchmark_name": "complex_if_single_turn_v5",
    }
    with (folder / "if_oss_full_data.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)
    response = json.dumps([{"role": "assistant", "content": "Po, Elbe, Nile."}])
    write_lines(folder / "answered.jsonl", [{**row, "response": response}])


def write_configurations(folder: Path) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(TRAINING), "utf-8")
    (folder / "discriminator.yaml").write_text(yaml.safe_dump(DISCRIMINATOR_TRAINING), "utf-8")
    example = folder / "examples/train.yaml"
    shortened = {name: value for name, value in TRAINING.items() if name not in ("tasks", "output_dir")}
    example.write_text(yaml.safe_dump({**yaml.safe_load(example.read_text("utf-8")), **shortened}), "utf-8")


def write_runs(folder: Path) -> None:
    for name in ("demo/grpo", "demo/rtt-grpo", "mine", "rtt", "grpo"):
        training(folder / "runs" / name / "records")
    about_mail = record("Hello, dear friend", [(0, 5), (5, 6), (6, 11), (11, 18)], step=11, task=mail())
    write_records(records_path(folder / "runs/mine/records", 11), [about_mail])
    for name in ("base", "step-100", "step-200", "answers", "ifeval-mine"):
        given = ("--data", "input_data.jsonl", "--responses", "answers.jsonl", "--out", f"runs/{name}")
        rtt("evaluate", "ifeval", *given, inside=folder)
    for name in ("general-before", "general-after"):
        harness_folder(folder / "runs" / name, {"math": [sample(number, exact_match=1) for number in range(3)]})


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def rtt(*arguments: str, inside: Path) -> None:
    """Run a command in this process."""
    with contextlib.chdir(inside):
        result = CliRunner().invoke(cli, arguments, prog_name="rtt")
    assert result.exit_code == 0, result.output


def answer(question: dict[str, Any], number: int) -> Reply:
    """What the scripted judge says: each criterion is met by the whole response; a prompt gets one criterion."""
    if re.search(r"^<response-", prompt_of(question), re.MULTILINE):
        return judges(lambda criterion, response: YES)(question, number)
    drafted = {"text": "The response is polite.", "rule": None, "arguments": None, "weight": 1, "why": "A mail."}
    return completion(json.dumps({"criteria": [drafted]}))
