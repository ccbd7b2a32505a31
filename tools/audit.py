"""What is known to be wrong: insecure patterns in src (bandit), published flaws of what is installed (pip-audit).

    make audit    ->  one line a finding, then what was looked at

    status 0   both looked, and found nothing
           1   a finding, in the code or in a package
           3   nothing was found, but not everything could be asked: the database of flaws was out of reach, or does not
               know some of the packages. That is not "clean", and so it is no success

pip-audit itself says "No known vulnerabilities found" and ends with 0 where an index knows none of the packages
(mirrors often lack that part); here those packages are counted as not asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
OWN = "rubrics-to-tokens"
SERVICES = ("pypi", "osv")


@dataclass(frozen=True)
class Packages:
    """What a database of flaws said: findings, packages it knows, and those nobody could ask about."""

    findings: tuple[str, ...]
    asked: int
    not_asked: tuple[str, ...]


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
    findings = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in others
        for flaw in one.get("vulns", ())
    ]
    not_asked = tuple(one["name"] for one in others if "skip_reason" in one)
    return Packages(tuple(findings), len(others) - len(not_asked), not_asked)


def verdict(code: list[str], packages: Packages | None) -> int:
    """The exit status; ``None``: no database answered."""
    if code or (packages is not None and packages.findings):
        return 1
    return 3 if packages is None or packages.not_asked or not packages.asked else 0


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
    code = read_code(report)
    scanned = report["metrics"]["_totals"]["loc"]
    found: Packages | None = None
    reasons = []
    for service in SERVICES:
        options = (
            "--vulnerability-service",
            service,
            "--timeout",
            "15",
            "--progress-spinner",
            "off",
            "--format",
            "json",
        )
        report, why = _run(str(tools / "pip-audit"), "--path", str(packages), *options)
        if report is None:
            reasons.append(f"{service}: {why}")
            continue
        answer = read_packages(report)
        if found is None or answer.asked > found.asked:
            found = answer
        if not answer.not_asked:
            break
        reasons.append(f"{service}: knows nothing of {len(answer.not_asked)} packages")
    for line in [*code, *(found.findings if found else ())]:
        click.echo(line)
    click.echo(f"code: {scanned:,} lines of src, {len(code)} findings")
    asked, flaws = (found.asked, len(found.findings)) if found else (0, 0)
    click.echo(f"packages: {asked} looked up, {flaws} findings")
    if verdict(code, found) == 3:
        missing = ", ".join(found.not_asked[:5]) + ", ..." if found and found.asked else "all of them"
        click.echo(f"COULD NOT ASK about {missing}: {'; '.join(reasons)}. This is not a clean result.", err=True)
    sys.exit(verdict(code, found))


if __name__ == "__main__":
    main()
