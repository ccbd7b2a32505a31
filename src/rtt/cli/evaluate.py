"""``rtt evaluate BENCH``: a benchmark's figures, for a model or for a file of responses.

read_prompts -> sampler / responses file -> score -> summarise -> verdicts.jsonl, summary.json, report.md, records.jsonl
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtt.benchmarks import BENCHMARKS
from rtt.cli.judging import JudgeChoice, batches, judge_options, print_report
from rtt.cli.terminal import console, count_bars, counted, print_table, refuse_overwriting
from rtt.errors import ConfigurationError, DataError, VerifierError

if TYPE_CHECKING:
    from rich.console import Console

    from rtt.benchmarks import Benchmark, Prompt, Sampling
    from rtt.benchmarks.data import Data
    from rtt.benchmarks.folders import RunFolder
    from rtt.benchmarks.samplers import Sampler
    from rtt.benchmarks.scoring import Answer, Scored
    from rtt.verifiers.judge import Judge

REASONING_END = "</think>"


@click.command()
@click.argument("bench", metavar="BENCH", type=click.Choice(BENCHMARKS))
@click.option(
    "--model",
    metavar="M",
    help="What answers: a model's folder, a GGUF file, an id on the hub, or with --base-url a server's model.",
)
@click.option("--base-url", metavar="URL", help="An OpenAI-compatible server that has the model: vLLM, llama.cpp, ...")
@click.option(
    "--api-key-env",
    default="auto",
    metavar="NAME",
    help="The environment variable with the server's key; '' to send none.  "
    "[default: OPENAI_API_KEY for OpenAI, none for other servers]",
)
@click.option("--concurrency", type=click.IntRange(min=1), default=16, show_default=True, help="Requests at once.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=600, show_default=True, help="Seconds a request."
)
@click.option(
    "--responses",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Score these instead: JSON lines with `key` and `response`.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The run's folder.")
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False), help="The official data file.  [default: from the hub]"
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N prompts of the data.")
@click.option("--temperature", type=click.FloatRange(min=0), help="Of sampling.  [default: as the authors do]")
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Where a response is cut.  [default: 1280 to 4096]")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Responses at a time.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of sampling.")
@click.option(
    "--reasoning-end",
    metavar="MARK",
    help="Score only what follows the last MARK; '' scores all.  [default: </think> with --model, '' with --responses]",
)
@click.option("--require-all", is_flag=True, help="Refuse a file of responses that leaves prompts unanswered.")
@click.option(
    "--resume/--fresh", default=True, help="Go on with the run in --out (default), or delete it and begin anew."
)
@judge_options(
    prefix="judge-", help="For advancedif: a model behind an OpenAI-compatible endpoint, which decides the rubrics."
)
def evaluate(
    bench: str,
    model: str | None,
    base_url: str | None,
    api_key_env: str,
    concurrency: int,
    timeout: float,
    responses: Path | None,
    out: Path,
    data: Path | None,
    limit: int | None,
    temperature: float | None,
    max_new_tokens: int | None,
    batch_size: int,
    seed: int,
    reasoning_end: str | None,
    require_all: bool,
    resume: bool,
    judge: JudgeChoice | None,
) -> None:
    """Score a model, or a file of responses, on BENCH: ifeval, ifbench, muldimif or advancedif.

    Verdicts are those of the benchmark's official evaluator; AdvancedIF's are those of the model that --judge names. A
    run that was stopped goes on by the same command.

    \b
    A file of responses; a model in a folder; a GGUF file:
        rtt evaluate ifeval --data input_data.jsonl --responses answers.jsonl --out runs/ifeval
        rtt evaluate ifeval --data input_data.jsonl --model ./my-model --out runs/my-model
        rtt evaluate ifbench --model model.Q4_K_M.gguf --out runs/gguf
    \b
    A model behind a server, which is faster for large ones:
        rtt evaluate ifeval --model Qwen/Qwen3-8B --base-url http://127.0.0.1:8000/v1 --out runs/qwen3-8b
    \b
    AdvancedIF by a judge; without --model and --responses, the responses that its data file holds:
        rtt evaluate advancedif --data if_oss_full_data.csv --model ./my-model --out runs/advancedif \\
            --judge Qwen/Qwen3-32B --judge-base-url http://127.0.0.1:8000/v1
        OPENAI_API_KEY=... rtt evaluate advancedif --data answered.jsonl --out runs/answered \\
            --judge o3-mini --judge-temperature none
    \b
    Does it run at all?
        rtt evaluate ifeval --model ./my-model --limit 8 --max-new-tokens 64 --out runs/try

    \b
    Into --out go
        summary.json     prompt_strict, instruction_strict, prompt_loose, instruction_loose, tables, intervals
        verdicts.jsonl   one line a response: key, strict, loose, types (undetermined is null)
        responses.jsonl  what was scored        report.md  the figures as tables        types.png  the types as a plot
        records.jsonl    the responses with verdicts and evidence

    Two runs are compared, prompt by prompt, by `rtt compare`.
    """
    from rtt.benchmarks import benchmark as find
    from rtt.benchmarks.data import read_prompts
    from rtt.benchmarks.folders import RunFolder

    benchmark = find(bench)
    answered = benchmark.judged and data is not None and model is None and responses is None  # by the data file itself
    if (model is None) == (responses is None) and not answered:
        raise ConfigurationError("expected one of --model, which answers the prompts, and --responses, which is scored")
    if benchmark.judged and judge is None:
        raise ConfigurationError(
            f"a model decides {benchmark.title}'s rubrics, no rule does; name one with --judge MODEL, and its server "
            "with --judge-base-url URL if it is not at OpenAI"
        )
    if judge is not None and not benchmark.judged:
        raise ConfigurationError(f"rules decide {benchmark.title}, no model is asked; expected no --judge")
    if base_url is not None and model is None:
        raise ConfigurationError("--base-url names a server, but no --model says which model to ask there")
    refuse_overwriting(out / "responses.jsonl", *(file for file in (responses, data) if file is not None))
    stderr = console(stderr=True)
    source = None if judge is None else judge.build()
    found = read_prompts(benchmark, data)
    if limit is not None:
        found = replace(found, prompts=found.prompts[:limit])
    mark = (REASONING_END if model is not None else "") if reasoning_end is None else reasoning_end
    identity: dict[str, Any] = {
        "benchmark": bench,
        "data": {"name": found.name, "sha256": found.digest, "prompts": len(found.prompts)},
        "reasoning end": mark or None,
    }
    if judge is not None:
        identity["judge"] = judge.describe()
    if model is None:
        if responses is None:
            answers = _own(found, mark or None)
            identity["responses"] = name = found.name
        else:
            answers = _read(responses, found, mark or None)
            identity["responses"] = name = "standard input" if str(responses) == "-" else responses.name
        _tell_missing(name, answers, found, require_all=require_all, where=stderr)
        folder = RunFolder(out, identity, fresh=not resume)
        folder.rewrite([{"key": answer.prompt.key, "response": answer.text} for answer in answers])
    else:
        if source is not None:
            source.check_key()  # now, and not after all responses
        sampling = _sampling(benchmark, temperature, max_new_tokens)
        with ExitStack() as stack:
            if base_url is not None:
                sampler, described = _remote(model, base_url, api_key_env, sampling, concurrency, timeout, seed)
            else:
                from rtt.generation import quiet_libraries

                stack.enter_context(quiet_libraries())
                sampler, described = _local(model, sampling, batch_size, seed, stderr)
            identity |= {"model": described, "sampling": _described(sampling, None if base_url else batch_size, seed)}
            folder = RunFolder(out, identity, fresh=not resume)
            answers = _sample(folder, sampler, found.prompts, mark or None, stderr)
    if judge is None or source is None:
        scored = _score(benchmark, answers, stderr)
    else:
        with _resumable(folder, stderr):
            scored = _judge(benchmark, answers, judge, source, stderr)
    _finish(benchmark, folder, scored, identity, found)
    if source is not None:
        print_report(stderr, source.report)


# --------------------------------------------------------------------------------------------------------- responses


def _own(data: Data, mark: str | None) -> list[Answer]:
    """The responses that the data file itself brings."""
    from rtt.benchmarks.folders import without_reasoning
    from rtt.benchmarks.scoring import Answer

    texts = [(prompt, prompt.response) for prompt in data.prompts]
    answers = [Answer(prompt, without_reasoning(text, mark)) for prompt, text in texts if text is not None]
    if not any(answer.text.strip() for answer in answers):
        raise ConfigurationError(
            f"{data.name} holds no responses; expected one of --model, which answers the prompts, and --responses, "
            "which is scored"
        )
    return answers


def _read(responses: Path, data: Data, mark: str | None) -> list[Answer]:
    """The responses of a file in its order; those that answer no prompt refuse it."""
    from rtt.answers import read_responses
    from rtt.benchmarks.folders import without_reasoning
    from rtt.benchmarks.scoring import Answer

    prompts = {prompt.task.id: prompt for prompt in data.prompts}
    tasks = {prompt.task.id: prompt.task for prompt in data.prompts}
    answers = [
        Answer(prompts[line.task.id], without_reasoning(line.text, mark), line.index)
        for line in read_responses(responses, tasks, Path(data.name))
    ]
    if not answers:
        raise DataError(f"{responses}: has no response in it; expected one JSON object a line")
    return answers


def _tell_missing(name: str, answers: Sequence[Answer], data: Data, *, require_all: bool, where: Console) -> None:
    """Tell which prompts these responses leave unanswered, or refuse them."""
    answered = {answer.prompt.key for answer in answers}
    missing = [prompt.key for prompt in data.prompts if prompt.key not in answered]
    if missing:
        some = ", ".join(repr(key) for key in missing[:5]) + (", ..." if len(missing) > 5 else "")
        words = f"{name} answers {len(answered):,} of {counted(len(data.prompts), 'prompt')}, not {some}"
        if require_all:
            raise DataError(f"{words}; expected a response to each, or no --require-all")
        where.print(f"{words}: figures are of those that are answered", soft_wrap=True)


# -------------------------------------------------------------------------------------------------------------- models


def _sampling(benchmark: Benchmark, temperature: float | None, max_new_tokens: int | None) -> Sampling:
    chosen = benchmark.sampling
    if temperature is None and max_new_tokens is None:
        return chosen
    return replace(
        chosen,
        temperature=chosen.temperature if temperature is None else temperature,
        max_new_tokens=max_new_tokens or chosen.max_new_tokens,
        source="chosen",
    )


def _described(sampling: Sampling, batch_size: int | None, seed: int) -> dict[str, Any]:
    described = {"temperature": sampling.temperature, "max_new_tokens": sampling.max_new_tokens, "seed": seed}
    return described if batch_size is None else {**described, "batch size": batch_size}


def _remote(
    model: str, base_url: str, api_key_env: str, sampling: Sampling, concurrency: int, timeout: float, seed: int
) -> tuple[Sampler, Mapping[str, str]]:
    from rtt.benchmarks.samplers import EndpointSampler
    from rtt.endpoints import Endpoint

    endpoint = Endpoint(
        model,
        base_url=base_url,
        api_key_env=api_key_env or None,
        timeout=timeout,
        max_retries=4,
        temperature=sampling.temperature,
    )
    described = {"name": model, "origin": "an OpenAI-compatible server"}
    return EndpointSampler(endpoint, sampling, concurrency, seed if sampling.temperature else None), described


def _local(
    model: str, sampling: Sampling, batch_size: int, seed: int, where: Console
) -> tuple[Sampler, Mapping[str, str]]:
    from rtt.benchmarks.samplers import LocalSampler
    from rtt.demo.models import SMOLLM2, obtain_model
    from rtt.model_sources import ModelSource

    file = Path(model).expanduser()
    if file.is_file():
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise ConfigurationError(
                    f"--model {model}: is no GGUF file; expected one, a model's folder or a hub id"
                )
        source = ModelSource(file, file.stem, f"the GGUF file {file.name}, dequantised")
    else:
        # The demo's model has more sources than the hub.
        source = obtain_model(None if model == SMOLLM2.hub_id else model)
    where.print(f"model: {source.name}, {source.origin}", soft_wrap=True)
    return LocalSampler(source.folder, sampling, batch_size, seed), source.describe()


def _sample(
    folder: RunFolder, sampler: Sampler, prompts: Sequence[Prompt], mark: str | None, where: Console
) -> list[Answer]:
    """Sample what is not answered yet, and put the responses in the data's order."""
    from rtt.benchmarks.folders import answers_of

    lines = folder.answered(prompts)
    if lines:
        where.print(f"{counted(len(lines), 'response')} of {len(prompts):,} are there already", soft_wrap=True)
    with count_bars(where) as bars, _resumable(folder, where):
        bar = bars.add_task("responses", total=len(prompts), completed=len(lines))
        for batch in sampler(prompts, frozenset(lines)):
            folder.add(batch)
            lines |= {line["key"]: line for line in batch}
            bars.update(bar, completed=len(lines))
            if not where.is_terminal:  # a log shows no bar
                where.print(f"responses: {len(lines):,} of {len(prompts):,}")
    cut = Counter(line.get("ended") for line in lines.values())[False]
    if cut:
        where.print(f"{cut:,} of {counted(len(lines), 'response')} were cut off at the limit of tokens", soft_wrap=True)
    folder.rewrite([lines[prompt.key] for prompt in prompts])
    return answers_of(prompts, lines, mark)


@contextmanager
def _resumable(folder: RunFolder, where: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        where.print(f"\nstopped; the same command goes on with what lies in {folder.path}", soft_wrap=True)
        raise


# ------------------------------------------------------------------------------------------------------------- figures


def _score(benchmark: Benchmark, answers: Sequence[Answer], where: Console) -> list[Scored]:
    from rtt.benchmarks.scoring import score

    scored: list[Scored] = []
    with count_bars(where) as bars:
        for answer in bars.track(answers, description="score"):
            scored += score(benchmark, [answer])
    return scored


def _judge(
    benchmark: Benchmark, answers: Sequence[Answer], choice: JudgeChoice, judge: Judge, where: Console
) -> list[Scored]:
    """Put the responses to the judge, many at once; what it has answered before it is not asked again."""
    from rtt.benchmarks.scoring import score

    scored: list[Scored] = []
    total = sum(len(answer.prompt.types) for answer in answers)
    with judge, count_bars(where) as bars:
        bar = bars.add_task("judge", total=total)
        for batch in batches(answers, choice):
            scored += score(benchmark, batch, judge, progress=lambda count: bars.advance(bar, count))
            report = judge.report
            if report.failed and report.failed == report.criteria:
                reason = next(verdict.reason for one in scored for verdict in one.verdicts if verdict.failed)
                raise VerifierError(f"the judge gave no usable answer; for the first criterion: {reason}")
            if not where.is_terminal:  # a log shows no bar
                where.print(f"judged: {len(scored):,} of {counted(len(answers), 'response')}")
    return scored


def _finish(
    benchmark: Benchmark, folder: RunFolder, scored: Sequence[Scored], identity: Mapping[str, Any], data: Data
) -> None:
    from rtt import __version__
    from rtt.benchmarks.folders import TYPES_PLOT
    from rtt.benchmarks.report import INTERVALS, headline_rows, plot_types, to_markdown
    from rtt.benchmarks.summary import summarise

    summary = summarise(benchmark, scored)
    run = {**{name: part for name, part in identity.items() if name != "benchmark"}, "rtt": __version__}
    summary |= {"unanswered": len(data.prompts) - summary["n"], "run": run}
    folder.finish(scored, summary, to_markdown(benchmark, summary, run))
    if importlib.util.find_spec("matplotlib") is not None:
        plot_types(benchmark, summary, folder.path / TYPES_PLOT)
    stdout = console()
    print_table(stdout, (benchmark.title, "rate"), headline_rows(benchmark, summary))
    left = max(summary["undetermined"].values())
    if left:
        words = f"{left:,} of {counted(summary['instructions'], 'instruction')} undetermined, in no rate"
        if benchmark.judged:
            words += f": {summary['failed']:,} without a usable answer of the judge, the others it could not tell"
        stdout.print(words, soft_wrap=True)
    stdout.print(
        f"{counted(summary['n'], 'prompt')}, {counted(summary['instructions'], 'instruction')}. {INTERVALS} * what the "
        f"authors report.\n{folder.path / 'report.md'}",
        soft_wrap=True,
    )
