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
_QUIETLY = ("--timeout", "15", "--progress-spinner", "off", "--format", "json")


@dataclass(frozen=True)
class Packages:
    """What databases of flaws said: findings, packages they know, and those they know nothing of."""

    findings: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def __or__(self, other: Packages) -> Packages:
        """What two databases said together: a package that one of them knows is known."""
        known = self.known | other.known
        return Packages(self.findings | other.findings, known, (self.unknown | other.unknown) - known)


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
    return Packages(
        findings=frozenset(
            f"{one['name']} {one['version']}: {flaw['id']}, mended in {' '.join(flaw['fix_versions']) or 'no version'}"
            for one in others
            for flaw in one.get("vulns", ())
        ),
        known=frozenset(one["name"] for one in others if "skip_reason" not in one),
        unknown=frozenset(one["name"] for one in others if "skip_reason" in one),
    )


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
    for line in [*code, *sorted(found.findings)]:
        click.echo(line)
    click.echo(f"code: {scanned:,} lines of src, {len(code)} findings")
    click.echo(f"packages: {len(found.known)} looked up, {len(found.findings)} findings")
    if not found.known or found.unknown:
        missing = sorted(found.unknown) if found.known else ["any package"]
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        click.echo(f"COULD NOT ASK about {shown}. This is not a clean result. {'; '.join(reasons)}", err=True)
    sys.exit(verdict(code, found))


if __name__ == "__main__":
    main()
