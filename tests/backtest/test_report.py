import functools
import re

import pytest

from workbench.backtest.glossary import TERMS, duration, written
from workbench.backtest.report import report, write_picture
from workbench.core.errors import DataError

CHROMIUM = "/usr/bin/chromium"
HOSTILE = "</script><img src=https://example.invalid/x onerror=document.title='owned'>\"'&{{7*7}}"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"no Chromium: {error}")
        yield opened
        opened.close()


@pytest.fixture
def shown(browser):
    """Return a function that opens a page and fails on any outside request or error."""
    pages, faults = [], []

    def show(path, width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or faults.append(r.url))
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        return page

    yield show
    for page in pages:
        page.close()
    assert faults == []


def text(page, selector):
    return [one.strip() for one in page.locator(selector).all_inner_texts()]


@pytest.fixture(scope="module")
def page_of(runs):
    """Return a function that writes the report of a kind of run, once."""
    return functools.cache(lambda kind: report(runs[kind]))


@pytest.mark.browser
@pytest.mark.parametrize(("kind", "charts"), [("one", 3), ("currencies", 5), ("failed", 0)])
def test_fits_and_asks_for_nothing(page_of, shown, kind, charts):
    page = shown(page_of(kind))
    for width in (400, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            fits = "() => document.documentElement.scrollWidth <= innerWidth"
            page.wait_for_function(fits, timeout=5_000)
    drawn = "n => document.querySelectorAll('.chart .bk-Figure').length === n"
    page.wait_for_function(drawn, arg=charts)


@pytest.mark.browser
def test_shows_the_figures_of_the_run(runs, shown):
    run = runs["one"]
    path = report(run)
    assert path == run.folder / "report.html"
    assert path.stat().st_size < 2_000_000
    page = shown(path)
    assert text(page, "h1") == ["ema-cross"]
    headline = " ".join(text(page, ".tile .value"))
    assert "+350,762.45 USD" in headline
    assert "+35.08 %" in headline
    assert "buy and hold +1,248.62 %" in text(page, ".tile .below")
    page.locator(".tile .term").first.focus()  # the keyboard reaches the explanation
    assert page.locator(".tile .tip").first.is_visible()
    for digest in (run.digests["fills"], run.digests["study"]):
        assert digest in page.content()
    assert "workbench backtest run ema-cross.yaml" in text(page, "pre code")[0]
    assert text(page, "#study") == [""]  # folded
    assert "slow: 50" in page.locator("#study").text_content()


@pytest.mark.browser
def test_thousands_of_trades_sort_and_turn(runs, page_of, shown):
    run = runs["many"]
    page = shown(page_of("many"))
    profits = run.positions()["realized_pnl"]
    assert len(profits) > 4_000
    assert page.locator("#trade-list tbody tr").count() == 25
    assert text(page, "#shown") == [f"1\u201325 of {len(profits):,}"]
    page.get_by_role("button", name="Profit (USD)").click()
    first = page.locator("#trade-list tbody tr td.gain").first.inner_text()
    assert first == f"{profits.max():,.2f}"
    assert page.locator("th[aria-sort=descending]").count() == 1
    page.get_by_role("button", name="Next").click()
    assert text(page, "#shown") == [f"26\u201350 of {len(profits):,}"]
    page.get_by_role("button", name="Profit (USD)").click()
    assert page.locator("th[aria-sort=ascending]").count() == 1
    lowest = page.locator("#trade-list tbody tr td.loss").first.inner_text()
    assert lowest == f"\u2212{-profits.min():,.2f}"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert len(download.value.path().read_text().splitlines()) == len(profits) + 1


@pytest.mark.browser
def test_charts_follow_the_colour_scheme(page_of, shown):
    page = shown(page_of("one"), scheme="light")
    axis = "Bokeh.documents[0].roots()[0].below[0].major_label_text_color"
    colour = f"(({axis}).value ?? {axis})"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => {colour} !== light", arg=light)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"light => {colour} === light", arg=light)


@pytest.mark.browser
def test_hostile_names_are_only_text(simulated, bars, shown, tmp_path):
    prices = {HOSTILE: bars("AAPL", "2010", "2011")}
    run = simulated(
        tmp_path, prices, name=HOSTILE, description=HOSTILE, error=HOSTILE, warnings=[HOSTILE]
    )
    run.params[HOSTILE] = HOSTILE
    page = shown(report(run))
    assert text(page, "h1") == [HOSTILE]
    assert text(page, ".failure pre") == [HOSTILE]
    assert HOSTILE in page.locator("#trade-list tbody td").nth(2).inner_text()
    assert page.locator("img").count() == 0
    assert "owned" not in page.title().replace(HOSTILE, "")


@pytest.mark.browser
def test_says_what_went_wrong(page_of, shown):
    page = shown(page_of("failed"))
    assert text(page, ".status") == ["failed"]
    assert "no attribute 'trade_sizes'" in text(page, ".failure pre")[0]
    assert page.locator(".tile").count() == 0
    page = shown(page_of("empty"))
    assert text(page, ".notice li") == ["no trades: the strategy placed no order"]
    assert page.locator("#trade-list").count() == 0


@pytest.mark.browser
def test_an_open_position_is_called_open(page_of, shown):
    page = shown(page_of("one"))
    page.get_by_role("button", name="Closed").click()
    page.get_by_role("button", name="Next").click()
    assert text(page, "#trade-list tbody tr:last-child td:nth-child(2)") == ["still open"]


def test_several_instruments_and_currencies(page_of):
    page = page_of("currencies").read_text()
    for heading in ("Balances", "By instrument", "GOOG.XNAS: price and fills"):
        assert re.search(rf"<h2[^>]*>{heading}", page)
    assert "1,024,145.80" in page


def test_data_that_is_gone_is_said(simulated, bars, tmp_path, monkeypatch):
    run = simulated(tmp_path, {"AAPL.XNAS": bars("AAPL", "2010", "2011")})

    def gone():
        raise DataError("data/catalog holds no AAPL.XNAS")

    monkeypatch.setattr(run, "prices", gone)
    page = report(run).read_text()
    assert "the prices can no longer be read: data/catalog holds no AAPL.XNAS" in page
    assert "price and fills" not in page


def test_a_picture(runs, tmp_path):
    path = write_picture(runs["one"], tmp_path / "run.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert write_picture(runs["failed"], tmp_path / "failed.svg").read_text().startswith("<?xml")


def test_every_statistic_has_a_word(runs):
    known = {*TERMS, "currency", "start_equity", "end_equity", "wins", "losses", "others"}
    assert set(runs["currencies"].statistics) == known


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "money", "\u2013"),
        (float("inf"), "ratio", "\u2013"),
        (-1234.5, "money", "\u22121,234.50"),
        (-0.00001, "percent", "0.00 %"),
        (0.1234, "percent", "12.34 %"),
        (4000, "count", "4,000"),
        (12.4, "days", "12 days"),
    ],
)
def test_written(value, kind, expected):
    assert written(value, kind) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.25, "0.25 s"), (61, "1 min 1 s"), (7200, "2 h"), (90_000, "1 d 1 h")],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected
