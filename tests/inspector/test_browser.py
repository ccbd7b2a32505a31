"""The page in a real headless Chromium: pointed at, filtered, slid, linked to; hostile text shows as text."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inspector.examples import HOSTILE, record, training

from rtt.inspector.page import write_page
from rtt.inspector.runs import find_runs
from rtt.records import Record, write_records

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra `dev`")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or name one in CHROMIUM"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Chromium's own pipes, at the end
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # root has no sandbox
        yield browser
        browser.close()


class Page:
    """A page of the report and all that it said or asked for."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.file = file
        self.context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}, **options})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, fragment: str = "") -> Page:
        self.page.goto(f"{self.file.as_uri()}{fragment}")
        return self.wait()

    def wait(self) -> Page:
        """Until what the address says is drawn. The page's policy lets no predicate of Playwright's run inside it."""
        until = time.monotonic() + 60
        while not self.page.evaluate("document.body.dataset.ready === (location.hash || '#')"):
            assert time.monotonic() < until, self.said
            self.page.wait_for_timeout(20)
        return self

    def press(self, key: str) -> Page:
        self.page.keyboard.press(key)
        return self.wait()

    def response(self, place: int = 0) -> str:
        text: str = self.page.locator(".response").nth(place).evaluate("box => box.textContent")
        return text

    def colours(self) -> dict[str, str]:
        """The class of each coloured token, by its text."""
        found: dict[str, str] = self.page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('.response i.plus, .response i.minus')]"
            ".map(i => [i.textContent, i.classList.contains('plus') ? 'plus' : 'minus']))"
        )
        return found

    def title(self) -> str:
        return str(self.page.locator("#record h2").text_content())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    training(folder / "run/records")
    history = [
        {"step": step, "rtt/rubric_accuracy": step / 20, "rtt/pass_rate/punctuation:no_comma": 0.5, "entropy": 2.0}
        for step in (1, 5, 10)
    ]
    (folder / "run/history.json").write_text(json.dumps(history), "utf-8")
    write_page(find_runs([folder / "run"]), folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Page]:
    page = Page(browser, report)
    yield page
    page.context.close()
    assert page.said == []  # no error and no warning in the console
    assert page.asked == [url for url in page.asked if url.startswith("file:")]  # nothing was asked of a network


def test_a_criterion_is_chosen_and_its_words_are_coloured(page: Page) -> None:
    page.open("#v=responses&r=1")
    assert page.title() == "lantern"
    assert page.response() == "A lantern, lit at step 1 by 1."
    assert page.colours() == {"lantern,": "minus"}  # of two criteria that claim a token alike, the first
    page.page.get_by_role("button", name="No commas.").click()
    page.wait()
    assert page.colours() == {"lantern,": "minus"}
    assert "c=0" in page.page.url
    page.page.get_by_role("button", name="Says 'lantern'.").click()
    page.wait()
    assert page.colours() == {"lantern,": "plus"}
    page.page.locator("#criterion").select_option("2")
    page.wait()
    assert page.colours() == {}


def test_the_four_colourings(page: Page) -> None:
    page.open("#v=responses&r=1&c=0")
    for name, mode, expected in [
        ("Token reward", "reward", {"lantern,": "minus"}),
        ("Token advantage", "token", {"lantern,": "minus"}),
        (
            "Total advantage",
            "total",
            dict.fromkeys(["A", " ", "lantern,", "lit", "at", "step", "1", "by", "1.", ""], "minus"),
        ),
        ("Relevance", "relevance", {"lantern,": "minus"}),
    ]:
        page.page.get_by_role("button", name=name).click()
        page.wait()
        assert ("m=" + mode in page.page.url) == (mode != "relevance")
        assert page.colours() == expected


def test_pointing_at_a_token_shows_its_ledger(page: Page) -> None:
    page.open("#v=responses&r=1")
    page.page.locator(".response i").nth(2).hover()
    ledger = page.page.locator("#ledger")
    rows = [row.split("\t") for row in ledger.locator("table").inner_text().splitlines()]
    assert "“lantern,”" in ledger.inner_text()
    assert "token 3 of" in ledger.inner_text()
    assert rows[1:4] == [
        ["No commas.", "✗", "1.000", "−1.000", "−1.000"],
        ["Says 'lantern'.", "✓", "1.000", "+1.000", "+1.000"],
        ["Friendly in tone.", "?", "0.000", "0.000", "0.000"],
    ]
    assert [row[-1] for row in rows[4:]] == ["0.000", "0.000", "−0.700", "−0.700"]
    page.page.locator(".response").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    assert "token 5 of" in ledger.inner_text()


def test_lists_are_filtered_sorted_and_searched(page: Page) -> None:
    page.open()
    count = page.page.locator("#count")
    assert count.inner_text() == "24 responses"
    page.page.locator("#kind").select_option("punctuation:no_comma")
    page.page.locator("#verdict").select_option("-")
    page.wait()
    assert count.inner_text() == "12 responses of 24"
    page.page.locator("#step").select_option("10")
    page.wait()
    assert count.inner_text() == "2 responses of 24"
    page.page.locator("#search").fill("other/")
    playwright.expect(count).to_have_text("1 response of 24")
    assert page.wait().title() == "other/<i>task</i>"
    page.open("#v=responses&o=-")
    assert page.page.locator("#list [aria-current]").count() == 1  # what is shown first is the first of the list
    assert page.response() == "A lantern, lit at step 1 by 1."
    page.open("#v=responses&sort=reward")
    first, *_, last = page.page.locator("#list .facts").all_inner_texts()
    assert "reward 1.00" in first
    assert "reward 0.50" in last


def test_the_slider_follows_one_prompt_over_the_steps(page: Page) -> None:
    page.open("#v=responses&r=1")
    slider = page.page.locator("#slider")
    slider.focus()
    assert page.response() == "A lantern, lit at step 1 by 1."
    page.press("ArrowRight")
    assert page.response() == "A lantern lit at step 5 by 1."
    assert page.page.evaluate("document.activeElement.id") == "slider"  # and it can be moved on
    page.press("ArrowRight")
    assert page.response() == "A lantern lit at step 10 by 1."
    assert slider.get_attribute("aria-valuetext") == "step 10"
    page.page.evaluate("document.activeElement.blur()")
    assert page.press("[").response() == "A lantern lit at step 5 by 1."


def test_a_group_stands_side_by_side(page: Page) -> None:
    page.open("#v=responses&r=9")
    page.page.get_by_role("button", name="Group of 4").click()
    page.wait()
    assert [page.response(place) for place in range(4)] == [
        *(f"A lantern lit at step 5 by {place}." for place in range(2)),
        *(f"A lantern, lit at step 5 by {place}." for place in range(2, 4)),
    ]
    page.page.get_by_role("link", name="4: reward 0.50").click()
    page.wait()
    assert page.press("g").response() == "A lantern, lit at step 5 by 3."


def test_an_address_holds_the_view(page: Page, browser: Any, report: Path) -> None:
    page.open()
    for key in ("j", "j", "c", "3"):
        page.press(key)
    seen, text = page.page.url, page.response()
    again = Page(browser, report).open(f"#{seen.partition('#')[2]}")
    assert (again.response(), again.colours()) == (text, page.colours())
    assert again.page.get_by_role("button", name="Token advantage").get_attribute("aria-pressed") == "true"
    again.context.close()
    page.page.go_back()
    assert page.wait().page.get_by_role("button", name="Relevance").get_attribute("aria-pressed") == "true"


def test_curves_are_drawn_with_their_values_beside_them(page: Page) -> None:
    page.open("#v=training")
    titles = page.page.locator("figcaption").all_inner_texts()
    assert [title.split(" ")[0] for title in titles] == ["Rubric", "Entropy", "punctuation:no_comma"]
    drawn = page.page.evaluate(
        "[...document.querySelectorAll('canvas')].map(canvas => new Set("
        "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 10)"
    )
    assert drawn == [True] * 3
    page.page.locator("summary").first.click()
    values = page.page.locator("details table").first.inner_text()
    assert values.split() == ["step", "Rubric", "accuracy", "1", "0.05000", "5", "0.2500", "10", "0.5000"]


def test_alarms_are_listed_and_lead_to_responses(page: Page) -> None:
    page.open("#v=alarms")
    shown = page.page.locator("#alarms")
    assert shown.locator("h2").inner_text() == "Alarms"
    count = page.page.locator("#alarm-count").inner_text()
    assert int(count or 0) == shown.locator(".alarm").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_axe_finds_no_serious_violation(browser: Any, report: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = Page(browser, report, color_scheme=scheme, viewport={"width": width, "height": 850})
    for view in ("#v=responses&r=1&m=total", "#v=responses&r=1&g=1&c=1", "#v=training", "#v=alarms"):
        page.open(view)
        found = axe.Axe().run(page.page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], view
        wide = page.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")
        assert not wide, f"{view} is wider than the screen"
    page.context.close()


def test_hostile_text_shows_as_text_and_runs_nothing(browser: Any, tmp_path: Path) -> None:
    split = record("😀!", [(0, 1), (0, 1), (0, 1), (1, 2)])
    records = [*(record(text) for text in HOSTILE.values()), split]
    write_records(tmp_path / "hostile.jsonl", records)
    write_page(find_runs([tmp_path / "hostile.jsonl"]), tmp_path / "page.html", title=HOSTILE["script"])
    page = Page(browser, tmp_path / "page.html")
    for place, (what, text) in enumerate(HOSTILE.items()):
        page.open(f"#v=responses&r={place}&g=")
        assert page.response() == text, what
        assert page.page.title() == HOSTILE["script"]
    page.open(f"#v=responses&r={len(HOSTILE)}")
    assert page.response() == "😀!"  # three tokens share the emoji
    assert page.page.locator(".response i").all_inner_texts() == ["😀", "", "", "!"]
    assert page.page.locator(".response i.nothing").count() == 2
    page.open(f"#v={HOSTILE['script']}&r=<b>&c=NaN&m=__proto__")
    assert page.response() == HOSTILE["script"]
    assert page.page.evaluate("document.querySelectorAll('#record img, #record script, #record b').length") == 0
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("file:")] == []
    page.context.close()


def test_a_response_of_50_000_tokens_is_shown_whole(browser: Any, tmp_path: Path) -> None:
    text = "lantern, " * 25_000
    write_records(tmp_path / "long.jsonl", [record(text, [(i, i + 1) for i in range(50_000)])])
    write_page(find_runs([tmp_path / "long.jsonl"]), tmp_path / "page.html")
    page = Page(browser, tmp_path / "page.html").open()
    assert page.response() == text
    assert page.page.locator(".response i").count() == 50_000
    page.context.close()
    assert page.said == []


def many(count: int) -> list[Record]:
    return [record(f"A lantern, lit {'by night ' * 9}{i}.", group=i // 8, step=1 + i // 500) for i in range(count)]


def test_500_records_are_painted_within_2_seconds(browser: Any, tmp_path: Path) -> None:
    write_records(tmp_path / "records.jsonl", many(500))
    write_page(find_runs([tmp_path / "records.jsonl"]), tmp_path / "page.html")
    page = Page(browser, tmp_path / "page.html").open()
    # the browser notes a moment after it has painted when it did
    page.page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    assert page.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 2000
    page.context.close()
    assert page.said == []


@pytest.mark.slow
def test_10_000_records_open_at_any_of_them(browser: Any, tmp_path: Path) -> None:
    write_records(tmp_path / "records.jsonl", many(10_000))
    write_page(find_runs([tmp_path / "records.jsonl"]), tmp_path / "page.html")
    page = Page(browser, tmp_path / "page.html")
    started = time.monotonic()
    page.open("#v=responses&r=9999")
    assert page.response().endswith("9999.")
    assert time.monotonic() - started < 20
    assert page.page.locator("#list li").count() == 100
    assert page.page.locator("#page-place").inner_text() == "100 of 100"
    page.context.close()
    assert page.said == []
