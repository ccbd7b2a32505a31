"""What real runs meet, done to a small one on purpose: is a finished step lost, is anything silently wrong?

    python benches/bench_faults.py [--kills 30 --seed 0 --output docs/reliability.md]

A tiny model trains for 8 steps with a checkpoint a step. The undisturbed run's last weights are what every other run
has to end with, bit for bit, after it was disturbed and went on by the same command:

    SIGKILL at a random moment      30 times; the stage in which it struck is told by the run itself
    no space left                   the disk refuses once a checkpoint is written
    output that cannot be written   refused at the start
    a damaged checkpoint            weights cut, weights emptied, state cut: the newest whole one is gone on from
    a loss that is NaN              stops before the weights are, with the step
    a judge that dies half-way      its verdicts fail, training stops with a resumable checkpoint
    a process of four that dies     all stop, and the launcher says which it was; the run goes on from the last finished
                                    step, by the same command or by torchrun's own restart

Exits with 1 when a finished step is lost, a run ends otherwise than the undisturbed one, or a fault passes in silence.
Runs are forks of this process, so that a run costs its steps and not its imports.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # forks must not inherit threads that work

import torch
from rich.console import Console
from rich.progress import Progress
from transformers import TrainerCallback

from rtt.demo.models import tiny_model
from rtt.demo.run import bundled_tasks
from rtt.errors import RTTError
from rtt.rubrics import Criterion, Task
from rtt.trainers.checkpoints import last_complete_checkpoint
from rtt.trainers.trl import RTTConfig, RTTTrainer
from rtt.verdicts import Outcome, Verdict

STEPS = 8
STAGES = ("start", "sampling", "verdicts", "learning", "checkpoint")


class Told(TrainerCallback):
    """Writes the stage that begins, and each finished step, where the parent can read it after a kill."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def tell(self, stage: str, step: int) -> None:
        if os.environ.get("RANK", "0") != "0":
            return  # of several processes the first one writes the checkpoints
        with self.file.open("a") as stream:
            stream.write(f"{stage} {step}\n")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.tell("checkpoint", state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.tell("finished", state.global_step)


class DyingJudge:
    """Answers so many times, and then never again."""

    def __init__(self, answers: int) -> None:
        self.answers = answers

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        """A verdict on each criterion; see :class:`rtt.verifiers.VerdictSource`."""
        self.answers -= 1
        if self.answers < 0:
            raise ConnectionError("the judge's server is gone")
        outcome = Outcome.SATISFIED if len(text) % 2 else Outcome.VIOLATED
        return [Verdict(criterion.id, outcome, "judge:dying") for criterion in criteria]


def train(
    folder: Path, *, judge: Any = None, tasks: list[Task] | None = None, disturb: Callable[[Any], None] = lambda _: None
) -> None:
    """Train from the last whole checkpoint, as `rtt train --resume_from_checkpoint last` does."""
    model, tokenizer = tiny_model()
    told = Told(folder / "told.txt")
    trainer = RTTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=tasks or bundled_tasks("train", "easy")[:8],
        judge=judge,
        callbacks=[told],
        args=RTTConfig(
            output_dir=str(folder / "run"),
            num_generations=4,
            per_device_train_batch_size=8,
            max_completion_length=24,
            max_steps=STEPS,
            learning_rate=1e-2,
            save_steps=1,
            save_total_limit=3,
            logging_steps=1,
            records_steps=1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            seed=0,
        ),
    )
    for method, stage in (("_generate", "sampling"), ("_calculate_rewards", "verdicts"), ("_compute_loss", "learning")):
        _tell_before(trainer, method, told, stage)
    disturb(trainer)
    last = last_complete_checkpoint(folder / "run")
    told.tell("start", 0 if last is None else int(last.name.rpartition("-")[2]))
    trainer.train(resume_from_checkpoint=None if last is None else str(last))


def _tell_before(trainer: Any, method: str, told: Told, stage: str) -> None:
    plain = getattr(trainer, method)

    def telling(*arguments: Any, **options: Any) -> Any:
        told.tell(stage, trainer.state.global_step)
        return plain(*arguments, **options)

    setattr(trainer, method, telling)


def fork(folder: Path, **options: Any) -> int:
    """Train in a fork; what it says goes to a file, and an error of RTT's ends it with 2, as on the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        train(folder, **options)
        status = 0
    except RTTError as error:
        print(f"rtt: {error}", flush=True)
        status = 2
    except BaseException as error:  # noqa: BLE001 - the parent asks what it was
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(status)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finished(folder: Path) -> int:
    """The last step whose checkpoint was whole, by the run's own word."""
    lines = (folder / "told.txt").read_text().split("\n") if (folder / "told.txt").exists() else []
    return max((int(line.split()[1]) for line in lines if line.startswith("finished")), default=0)


def began(folder: Path) -> int:
    """The step after which the newest start of the run went on."""
    return [int(line.split()[1]) for line in (folder / "told.txt").read_text().split("\n") if line.startswith("start")][
        -1
    ]


def stage(folder: Path) -> str:
    lines = (
        [line for line in (folder / "told.txt").read_text().split("\n") if line]
        if (folder / "told.txt").exists()
        else []
    )
    return "start" if not lines else lines[-1].split()[0].replace("finished", "sampling")


def weights(folder: Path) -> str:
    """What the run ended with: weights and responses of all steps."""
    digest = hashlib.sha256((folder / f"run/checkpoint-{STEPS}/model.safetensors").read_bytes())
    for file in sorted((folder / "run/records").glob("*.jsonl")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def said(folder: Path) -> str:
    """The last line that the run printed."""
    lines = [line for line in (folder / "log.txt").read_text(errors="replace").split("\n") if line.strip()]
    return lines[-1].replace(str(folder), "RUN") if lines else ""


@dataclass
class Row:
    """A line of the table."""

    fault: str
    times: int
    lost: int
    outcome: str
    wrong: list[str] = field(default_factory=list)


def kills(folder: Path, expected: str, seconds: float, options: argparse.Namespace, console: Console) -> Row:
    """SIGKILL at random moments until so many have struck a running run; each run goes on until it is done."""
    rng = random.Random(options.seed)
    struck: Counter[str] = Counter()
    lost, wrong, runs = 0, [], 0
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("SIGKILL", total=options.kills)
        while sum(struck.values()) < options.kills:
            runs += 1
            place = folder / f"killed-{runs}"
            for attempt in range(40):
                child = fork(place)
                until = time.monotonic() + rng.uniform(0, seconds if attempt < 4 else 10 * seconds)
                pid = status = 0
                while not pid and time.monotonic() < until:
                    time.sleep(0.01)
                    pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    if os.waitstatus_to_exitcode(status) != 0:
                        wrong.append(f"run {runs}: {said(place)}")
                    break
                os.kill(child, signal.SIGKILL)
                if ended(child) != -signal.SIGKILL:
                    break  # it was done before the signal came
                struck[stage(place)] += 1
                bars.advance(bar)
                before = finished(place)
                last = last_complete_checkpoint(place / "run")
                lost += max(0, before - (0 if last is None else int(last.name.rpartition("-")[2])))
            if not (place / f"run/checkpoint-{STEPS}").exists() and ended(fork(place)) != 0:
                wrong.append(f"run {runs}: {said(place)}")
            elif weights(place) != expected:
                wrong.append(f"run {runs} ends with other weights or records")
    where = ", ".join(f"{name} {struck[name]}" for name in STAGES if struck[name])
    outcome = f"{runs} runs went on and ended as the undisturbed one, bit for bit (struck: {where})"
    return Row("SIGKILL at a random moment", sum(struck.values()), lost, outcome, wrong)


def no_space(folder: Path, expected: str) -> Row:
    """The disk is full when the third checkpoint is written; then there is space again."""
    place = folder / "full"

    def disturb(trainer: Any) -> None:
        plain = trainer._save_checkpoint

        def refuse(*arguments: Any, **options: Any) -> None:
            if trainer.state.global_step == 3:
                half = Path(trainer.args.output_dir) / "checkpoint-3"
                half.mkdir(exist_ok=True)
                (half / "model.safetensors").write_bytes(b"half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(half / "model.safetensors"))
            plain(*arguments, **options)

        trainer._save_checkpoint = refuse

    return _goes_on(place, expected, "no space left for a checkpoint", "No space left on device", disturb=disturb)


def not_a_number(folder: Path, expected: str) -> Row:
    """The loss of step 4 is NaN once."""

    def disturb(trainer: Any) -> None:
        plain = trainer._compute_loss

        def broken(*arguments: Any) -> Any:
            return plain(*arguments) * (float("nan") if trainer.state.global_step == 3 else 1)

        trainer._compute_loss = broken

    return _goes_on(folder / "nan", expected, "a loss that is NaN", "the loss of step 4 is nan", disturb=disturb)


def _goes_on(place: Path, expected: str, fault: str, message: str, **options: Any) -> Row:
    """A run that has to stop with a message, and to go on without the fault."""
    wrong = []
    if ended(fork(place, **options)) == 0 or message not in said(place):
        wrong.append(f"expected {message!r}, the run said {said(place)!r}")
    words, before = said(place), finished(place)
    if ended(fork(place)) != 0:
        wrong.append(f"did not go on: {said(place)}")
    elif weights(place) != expected:
        wrong.append("ends with other weights or records")
    return Row(fault, 1, max(0, before - began(place)), f"stops: “{words[:160]}”; goes on to the same end", wrong)


def unwritable(folder: Path) -> Row:
    """The output folder lies below a file."""
    place = folder / "unwritable"
    place.mkdir()
    (place / "run").write_text("a file")
    wrong = [] if ended(fork(place)) != 0 else ["a run without an output folder ended as if all were well"]
    return Row("output that cannot be written", 1, 0, f"stops: “{said(place)[:160]}”", wrong)


def damaged(folder: Path, expected: str) -> Row:
    """Each file of the newest checkpoint cut to half, and emptied; the run goes on from the one before."""
    wrong, times = [], 0
    for name in ("model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json"):
        for share in (0.5, 0.0):
            times += 1
            place = folder / f"damaged-{times}"
            child = fork(place)
            while finished(place) < 4 and os.waitpid(child, os.WNOHANG)[0] == 0:
                time.sleep(0.02)
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                ended(child)
            newest = last_complete_checkpoint(place / "run")
            assert newest is not None
            content = (newest / name).read_bytes()
            (newest / name).write_bytes(content[: int(share * len(content))])
            if ended(fork(place)) != 0:
                wrong.append(f"{name} cut to {share:.0%}: {said(place)}")
            elif weights(place) != expected:
                wrong.append(f"{name} cut to {share:.0%}: ends with other weights or records")
    outcome = "passed over with a warning; goes on from the checkpoint before, one step back, to the same end"
    return Row("a damaged checkpoint (5 files, cut and emptied)", times, 0, outcome, wrong)


def judge_dies(folder: Path) -> Row:
    """A judge answers for three steps and is gone; another one, later, answers again."""
    tasks = [
        task.model_copy(
            update={"rubric": task.rubric.model_copy(update={"criteria": (Criterion(id="j", text="Is good."),)})}
        )
        for task in bundled_tasks("train", "easy")[:8]
    ]
    alone, place = folder / "judge-alone", folder / "judge"
    wrong = [] if ended(fork(alone, judge=DyingJudge(999), tasks=tasks)) == 0 else [said(alone)]
    status = ended(fork(place, judge=DyingJudge(24), tasks=tasks))
    words, before = said(place), finished(place)
    if status != 2 or "judge" not in words:
        wrong.append(f"a judge that is gone: status {status}, {words!r}")
    if ended(fork(place, judge=DyingJudge(999), tasks=tasks)) != 0:
        wrong.append(f"did not go on: {said(place)}")
    elif not wrong and weights(place) != weights(alone):
        wrong.append("ends with other weights or records")
    return Row(
        "a judge that dies half-way",
        1,
        max(0, before - began(place)),
        f"stops: “{words[:160]}”; goes on to the same end",
        wrong,
    )


def process_dies(folder: Path) -> Row:
    """One of four processes is killed; the launcher ends the others and says which it was, and the run goes on."""
    place = folder / "four"
    wrong = []
    status = kill_one_of_four(place)
    cause = (place / "log.txt").read_text(errors="replace").rpartition("Root Cause")[2]
    if status == 0:
        wrong.append("the others ended as if all were well")
    if "(local_rank: 2)" not in cause or "Signal 9 (SIGKILL)" not in cause:
        wrong.append("the launcher does not say that process 2 was killed")
    before = finished(place)
    if four(place).wait() != 0:
        wrong.append(f"did not go on: {said(place)}")
    elif weights(place) != weights(four_undisturbed(folder)):
        wrong.append("ends with other weights or records")
    outcome = f"all stop (status {status}), the launcher names the one that was killed; goes on to the same end"
    return Row("a process of four that dies", 1, max(0, before - began(place)), outcome, wrong)


def process_is_restarted(folder: Path) -> Row:
    """The same under `torchrun --max-restarts`: it starts all four again, and nobody has to do anything."""
    place = folder / "four-restarted"
    wrong = []
    status = kill_one_of_four(place, "--max-restarts=1")
    told = (place / "told.txt").read_text()
    lines = told[: told.rindex("start")].splitlines()
    before = max(int(line.split()[1]) for line in lines if line.startswith("finished"))
    if status != 0:
        wrong.append(f"was not restarted: {said(place)}")
    elif weights(place) != weights(four_undisturbed(folder)):
        wrong.append("ends with other weights or records")
    outcome = f"all four are started again and go on from step {began(place)} to the same end"
    fault = "the same under `torchrun --max-restarts 1`, with `TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`"
    return Row(fault, 1, max(0, before - began(place)), outcome, wrong)


def four(place: Path, *options: str) -> subprocess.Popen[bytes]:
    """The run in four processes, by torchrun."""
    place.mkdir(exist_ok=True)
    # else the processes that torchrun starts again meet what the dead left in its store, and wait until a timeout
    environment = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # pytorch/pytorch#135712
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4", *options]
    with (place / "log.txt").open("ab") as log:
        command = [*launcher, __file__, "--worker", str(place)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def four_undisturbed(folder: Path) -> Path:
    """Where four processes ran to the end, which they do when first asked for."""
    place = folder / "four-undisturbed"
    if not place.exists() and four(place).wait() != 0:
        sys.exit(f"the undisturbed run of four processes fails: {said(place)}")
    return place


def kill_one_of_four(place: Path, *options: str) -> int:
    """Kill the third process once three steps are finished; what the launcher ends with."""
    launched = four(place, *options)
    while finished(place) < 3 and launched.poll() is None:
        time.sleep(0.1)
    os.kill(int((place / "worker-2").read_text()), signal.SIGKILL)
    return launched.wait(timeout=300)


def markdown(rows: list[Row], options: argparse.Namespace) -> str:
    lines = [
        "# What a run survives",
        "",
        f"Made by `make faults` (seed {options.seed}): a tiny model, {STEPS} steps, a checkpoint a step "
        "(`save_steps: 1`), one process but where said. *Lost*: finished steps that had to be done again though their "
        "checkpoint had been written. *To the same end*: weights and records of all steps are those of the undisturbed "
        "run, bit for bit.",
        "",
        "| fault | times | lost steps | outcome |",
        "| --- | ---: | ---: | --- |",
    ]
    lines += [f"| {row.fault} | {row.times} | {row.lost} | {'; '.join(row.wrong) or row.outcome} |" for row in rows]
    lines += [
        "",
        "The same seed gives the same results on one machine: every row compares with one undisturbed run, and two "
        "undisturbed runs are the same bytes. With fewer checkpoints (`save_steps: 50`) up to so many steps are done "
        "again; nothing else changes. Kills of a node, of a network file system, and of vLLM's server were not tried.",
        "",
        "Four processes are compared with an undisturbed run of four. Without `TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1` "
        "what `torchrun` (PyTorch 2.13.0, gloo; NCCL was not tried) starts again waits in vain for the others, "
        "whatever the program; the remedy is that of [pytorch/pytorch#135712](https://github.com/pytorch/pytorch/issues/135712).",
        "",
        "Go on by the same command with `--resume_from_checkpoint last`, see [training](training.md).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="SIGKILLs of a running run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("docs/reliability.md"), help="the table")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.worker is not None:
        (options.worker / f"worker-{os.environ['RANK']}").write_text(str(os.getpid()))
        train(options.worker, tasks=bundled_tasks("train", "easy")[:16])
        return
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = time.monotonic()
        for name in ("undisturbed", "again"):
            if ended(fork(folder / name)) != 0:
                sys.exit(f"the undisturbed run fails: {said(folder / name)}")
        seconds = (time.monotonic() - start) / 2
        expected = weights(folder / "undisturbed")
        if weights(folder / "again") != expected:
            sys.exit("two undisturbed runs differ")
        rows = []
        for fault in (
            lambda: kills(folder, expected, seconds, options, console),
            lambda: no_space(folder, expected),
            lambda: unwritable(folder),
            lambda: damaged(folder, expected),
            lambda: not_a_number(folder, expected),
            lambda: judge_dies(folder),
            lambda: process_dies(folder),
            lambda: process_is_restarted(folder),
        ):
            rows.append(fault())
            row = rows[-1]
            console.print(
                f"{row.fault}: {row.times} times, {row.lost} steps lost, {'; '.join(row.wrong) or 'fine'}", markup=False
            )
    text = markdown(rows, options)
    options.output.write_text(text, encoding="utf-8")
    sys.exit(1 if any(row.wrong or row.lost for row in rows) else 0)


if __name__ == "__main__":
    main()
