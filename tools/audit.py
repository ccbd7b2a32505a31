"""What is known to be wrong: insecure patterns in src (bandit), published flaws of what is installed (pip-audit).

    make audit    ->  one line a finding, then what was looked at

    status 0   both looked, and found nothing
           1   a finding, in the code or in a package
           3   nothing was found, but not everything could be asked: the database of flaws was out of reach, or does not
               know some of the packages. That is not "clean", and so it is no success

pip-audit itself says "No known vulnerabilities found" and ends with 0 where an index knows none of the packages
(mirrors often lack that part); here those packages are counted as not asked, unless the index's page of the project,
which speaks of its newest version, is there and that version is installed.

A flaw that cannot be reached from this package is accepted by name, with the reason, and told every time.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import urllib3
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
OWN = "rubrics-to-tokens"
SERVICES = ("pypi", "osv")
PROJECT = "https://pypi.org/pypi/{}/json"
ACCEPTED = {
    "CVE-2025-69872": "diskcache unpickles what stands in its folder; a judge's cache holds text and unpickles nothing "
    "(tests/verifiers/judge/test_cache.py)",
    "CVE-2024-35515": "sqlitedict unpickles its files; lm-eval, of the extra `general`, opens one only with use_cache, "
    "which `rtt evaluate` does not set",
}
"""Published flaws that do not count, and why not."""
_QUIETLY = ("--timeout", "15", "--progress-spinner", "off", "--format", "json")


@dataclass(frozen=True)
class Packages:
    """What databases of flaws said: findings, packages they know, and those they know nothing of."""

    findings: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def __or__(self, other: Packages) -> Packages:
        """What two databases said together: a package that one of them knows is known."""
        known = self.known | other.known
        unknown = (self.unknown | other.unknown) - known
        return Packages(self.findings | other.findings, self.accepted | other.accepted, known, unknown)


def read_code(report: dict[str, Any]) -> list[str]:
    """The findings of a report of bandit's, one line each; a file that it could not read is one, too."""
    found = [
        f"{issue['filename']}:{issue['line_number']}: {issue['test_id']} {issue['issue_text']}"
        for issue in report["results"]
    ]
    return found + [f"{error['filename']}: could not be read: {error['reason']}" for error in report["errors"]]


def read_packages(report: dict[str, Any]) -> Packages:
    """A report of pip-audit's; this package itself, which is no published one, does not count."""
    others = [one for one in report["dependencies"] if one["name"] != OWN]
    told = [_flaws(one["name"], one["version"], one["vulns"], "fix_versions") for one in others if "version" in one]
    unknown = frozenset(one["name"] for one in others if "skip_reason" in one)
    return functools.reduce(Packages.__or__, told, Packages(unknown=unknown))


def read_project(name: str, version: str, page: dict[str, Any]) -> Packages:
    """The index's page of a project: it speaks of the newest version alone, and so of no other."""
    if page["info"]["version"] != version:
        return Packages(unknown=frozenset({name}))
    return _flaws(name, version, [one for one in page["vulnerabilities"] if not one["withdrawn"]], "fixed_in")


def _flaws(name: str, version: str, flaws: list[dict[str, Any]], mended: str) -> Packages:
    """What is told of one package, each flaw by its CVE where it has one, since databases name it otherwise."""
    findings, accepted = set(), set()
    for flaw in flaws:
        names = [flaw["id"], *flaw.get("aliases", ())]
        cve = next((one for one in names if one.startswith("CVE-")), flaw["id"])
        if cve in ACCEPTED:
            accepted.add(f"{name} {version}: {cve} is accepted: {ACCEPTED[cve]}")
        else:
            findings.add(f"{name} {version}: {cve}, mended in {' '.join(flaw[mended]) or 'no version'}")
    return Packages(frozenset(findings), frozenset(accepted), frozenset({name}))


def ask_projects(names: Iterable[str], packages: Path) -> Packages:
    """The projects' own pages for packages that pip-audit got no answer about."""
    distributions = importlib.metadata.distributions(path=[str(packages)])
    installed = {canonicalize_name(one.name): one.version for one in distributions}

    def ask(name: str) -> Packages:
        try:
            answer = urllib3.request("GET", PROJECT.format(name), timeout=15)
        except urllib3.exceptions.HTTPError:
            return Packages(unknown=frozenset({name}))
        if answer.status != 200:
            return Packages(unknown=frozenset({name}))
        return read_project(name, installed[canonicalize_name(name)], answer.json())

    with ThreadPoolExecutor(8) as pool:
        return functools.reduce(Packages.__or__, pool.map(ask, names), Packages())


def verdict(code: list[str], packages: Packages) -> int:
    """The exit status."""
    if code or packages.findings:
        return 1
    return 0 if packages.known and not packages.unknown else 3


def _run(*command: str) -> tuple[Any, str]:
    """The JSON that a command prints, or None, and what it said last."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    try:
        return json.loads(done.stdout), ""
    except json.JSONDecodeError:
        return None, said[-1][:300] if said else f"it ended with {done.returncode} and said nothing"


@click.command(help=__doc__.splitlines()[0])
@click.option("--tools", type=click.Path(path_type=Path), required=True, help="Folder with bandit and pip-audit.")
@click.option("--packages", type=click.Path(path_type=Path), required=True, help="The site-packages to look at.")
def main(tools: Path, packages: Path) -> None:
    report, why = _run(str(tools / "bandit"), "-q", "-r", "src", "-c", "pyproject.toml", "-f", "json")
    if report is None:
        raise click.ClickException(f"bandit did not work: {why}")
    code, scanned = read_code(report), report["metrics"]["_totals"]["loc"]
    found, reasons = Packages(), []
    for service in SERVICES:
        which = ("--path", str(packages), "--vulnerability-service", service)
        report, why = _run(str(tools / "pip-audit"), *which, *_QUIETLY)
        answer = Packages() if report is None else read_packages(report)
        if answer.unknown or report is None:
            reasons.append(f"{service}: {why or f'knows nothing of {len(answer.unknown)} packages'}")
        found |= answer
        if found.known and not found.unknown:
            break
    found |= ask_projects(sorted(found.unknown), packages)
    for line in [*code, *sorted(found.findings), *sorted(found.accepted)]:
        click.echo(line)
    click.echo(f"code: {scanned:,} lines of src, {len(code)} findings")
    click.echo(
        f"packages: {len(found.known)} looked up, {len(found.findings)} findings, {len(found.accepted)} accepted"
    )
    if not found.known or found.unknown:
        missing = sorted(found.unknown) if found.known else ["any package"]
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        click.echo(f"COULD NOT ASK about {shown}. This is not a clean result. {'; '.join(reasons)}", err=True)
    sys.exit(verdict(code, found))


if __name__ == "__main__":
    main()
