"""The trainers' tests with several versions of TRL, each in an environment of its own below build/matrix.

    python tools/test_matrix.py [VERSION ...]  ->  one line a version: passed, failed, skipped, seconds

Without arguments: the oldest version that pyproject.toml allows, the newest on the package index, also where it lies
beyond the tested range, and one between. Versions that pyproject.toml excludes (``!=``) are never chosen. Everything
else is installed as constraints.txt has it. The slow tests are left out. Fails if a test does, or if an environment
cannot be built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
MATRIX = ROOT / "build/matrix"
EXTRAS = ("train", "judge", "serve")
TOOLS = ("hypothesis", "pytest", "pytest-socket", "pytest-timeout", "pyyaml")
"""Of the extra ``dev``, what tests/trainers needs."""
TRL_OPTIONALS = ("jmespath",)
"""What TRL asks for where tools are used, in some versions."""


@dataclass(frozen=True)
class Result:
    """What a version's tests came to; ``problem`` where they could not be run."""

    version: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problem: str = ""

    @property
    def good(self) -> bool:
        return bool(self.passed) and not self.failed and not self.problem


def requirements() -> tuple[list[str], SpecifierSet]:
    """What an environment needs but for TRL, and the versions of TRL that are allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [Requirement(line) for line in [*project["dependencies"], *(line for e in EXTRAS for line in extras[e])]]
    needed += [one for one in map(Requirement, extras["dev"]) if one.name in TOOLS]
    (trl,) = (one.specifier for one in needed if one.name == "trl")
    return [*(str(one) for one in needed if one.name != "trl"), *TRL_OPTIONALS], trl


def choose(released: Iterable[str], allowed: SpecifierSet) -> list[str]:
    """The oldest allowed version, one in the middle of the allowed, and the newest that is not excluded by name."""
    ordered = sorted(map(Version, released))
    inside = list(allowed.filter(ordered))
    excluded = SpecifierSet(",".join(str(one) for one in allowed if one.operator == "!="))
    newest = [one for one in ordered if one >= inside[-1] and one in excluded][-1]
    return [str(one) for one in sorted({inside[0], inside[len(inside) // 2], newest})]


def released() -> list[str]:
    """The versions of TRL on the package index."""
    command = (sys.executable, "-m", "pip", "index", "versions", "trl")
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^Available versions: (.*)$", shown, re.MULTILINE)
    if found is None:
        raise click.ClickException(f"`pip index versions trl` said {shown[:200]!r}; expected a line of versions")
    return found[1].split(", ")


def environment(version: str) -> Path:
    """The interpreter of an environment with this version of TRL; built if it is not there or is out of date."""
    folder = MATRIX / f"trl-{version}"
    python, ready = folder / "bin/python", folder / ".ready"
    sources = (ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__))
    if ready.exists() and ready.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return python
    click.echo(f"Building {folder.relative_to(ROOT)} ...", err=True)
    venv.create(folder, clear=True, with_pip=True)
    constraints = folder / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    constraints.write_text("".join(line for line in lines if not line.startswith("trl==")), encoding="utf-8")
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(constraints))
    # As in the Makefile: with a GPU pip's own torch, without one the much smaller CPU build where it can be reached.
    index = os.environ.get("TORCH_CPU_INDEX")
    if index and shutil.which("nvidia-smi") is None:
        only = (*pip, "--timeout", "5", "--retries", "0", "--index-url", index, "torch")
        subprocess.run(only, check=False, capture_output=True)
    subprocess.run((*pip, f"trl=={version}", *requirements()[0]), check=True)
    subprocess.run((*pip, "--no-deps", "--editable", str(ROOT)), check=True)  # without its own bounds on TRL
    ready.touch()
    return python


def run(version: str, arguments: tuple[str, ...]) -> Result:
    """Run tests/trainers with this version."""
    try:
        python = environment(version)
    except subprocess.CalledProcessError as error:
        return Result(version, problem=f"its environment cannot be built: {error}")
    report = MATRIX / f"trl-{version}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    subprocess.run(
        (str(python), "-m", "pytest", "-q", "tests/trainers", f"--junitxml={report}", *arguments),
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    seconds = time.monotonic() - started
    if not report.exists():
        return Result(version, seconds=seconds, problem="pytest did not run")
    suite = ElementTree.parse(report).getroot()[0]
    tests, failures, errors, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    return Result(version, tests - failures - errors - skipped, failures + errors, skipped, seconds)


def table(results: Iterable[Result]) -> str:
    """One line a version."""
    lines = [f"{'TRL':8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for one in results:
        line = f"{one.version:8} {one.passed:7} {one.failed:7} {one.skipped:8} {one.seconds:8.0f}  {one.problem}"
        lines.append(line.rstrip())
    return "\n".join(lines)


@click.command(help=__doc__.splitlines()[0])
@click.argument("versions", nargs=-1)
@click.option("-k", "expression", default="", help="Only the tests that match, as for pytest.")
def main(versions: tuple[str, ...], expression: str) -> None:
    chosen = versions or choose(released(), requirements()[1])
    results = []
    for version in chosen:
        click.echo(f"TRL {version}:", err=True)
        results.append(run(version, ("-k", expression) if expression else ()))
    click.echo(table(results))
    sys.exit(not all(one.good for one in results))


if __name__ == "__main__":
    main()
