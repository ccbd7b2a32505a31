"""The README's picture: the page of `rtt inspect` from a real run, in a headless Chromium, with a token's ledger.

make picture RUN=runs/demo    ->  docs/inspector.png

The response is chosen by a rule, not by hand: the first of those whose token advantages differ most between tokens.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import click

from rtt.inspector.page import write_page
from rtt.inspector.runs import find_runs

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@click.command(help=__doc__)
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/inspector.png"), show_default=True)
def main(run: Path, out: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        raise click.ClickException("there is no Chromium; apt-get install chromium, or name one in CHROMIUM")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        file = Path(folder) / "report.html"
        twin = Path(folder) / "report.json"
        write_page(find_runs([run]), file, twin=twin)
        records = json.loads(twin.read_text(encoding="utf-8"))["records"]
        spreads = [max(one["token_advantages"]) - min(one["token_advantages"]) for one in records]
        chosen = spreads.index(max(spreads))
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1040}, color_scheme="light")
        page.goto(f"{file.as_uri()}#v=responses&r={chosen}&m=token")
        page.locator("body[data-ready]").wait_for()
        advantages = [abs(value) for value in records[chosen]["token_advantages"]]
        largest = advantages.index(max(advantages))
        page.locator(f".response i[data-t='{largest}']").first.hover()
        page.screenshot(path=out)
        browser.close()
    click.echo(out)


if __name__ == "__main__":
    main()
