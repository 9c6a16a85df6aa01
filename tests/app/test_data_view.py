"""The view of data, looked at in Chromium: the picture of the cache, and a look at a dataset."""

import re
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project, serving
from tests.app.support import drawn, row, shows
from tests.data.market import DAY, MINUTE, ns, walk, write
from tests.lab import in_lab
from workbench import data
from workbench.core.project import Project
from workbench.data.intervals import file_name

pytestmark = [pytest.mark.browser, pytest.mark.slow]

START = ns("2024-01-02 00:00:00")
MINUTES = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
ROWS = 1_000_000

# A Bokeh figure of the page: its title, its axes, where a point of it is on the screen.
FIGURES = """
const figures = [];
const walk = (view) => {
  if (view.model && view.model.type === "Figure") figures.push(view);
  for (const child of view.child_views || []) walk(child);
};
for (const root of Bokeh.index.roots) walk(root);
const visible = figures.filter((view) => view.el.getClientRects().length);
"""
STATE = f"""at => {{ {FIGURES}
  if (at >= visible.length) return null;
  const {{title, x_range, y_range}} = visible[at].model;
  return {{title: title.text, x: [x_range.start, x_range.end], y: [y_range.start, y_range.end]}};
}}"""
# Scrolled to in the same breath: a new picture may take its place at any moment.
POINT = f"""([at, x, y]) => {{ {FIGURES}
  const view = visible[at];
  view.el.scrollIntoView({{block: "center", behavior: "instant"}});
  const box = view.canvas_view.el.getBoundingClientRect();
  return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)];
}}"""
TITLED = f"""([at, text]) => {{ {FIGURES}
  return at < visible.length && visible[at].model.title.text.includes(text);
}}"""


def state(page, at):
    """Return title and bounds of a figure."""
    return page.evaluate(STATE, at)


def titled(page, at, text):
    """Wait for a figure whose title holds a text."""
    page.wait_for_function(TITLED, arg=[at, text])


def point(page, at, x, y):
    """Return where a point of a figure is on the screen; `x` in nanoseconds."""
    return page.evaluate(POINT, [at, x / 1e6, y])


def zoom(page, at, x, y, steps):
    """Turn the wheel over a point with Ctrl held down."""
    page.mouse.move(*point(page, at, x, y))
    page.keyboard.down("Control")
    for _ in range(steps):
        page.mouse.wheel(0, -300)
    page.keyboard.up("Control")


def told(page, at, x, y, *texts):
    """Point at a place until its tooltips hold these texts: a new picture takes a moment."""
    found = ""
    for attempt in range(50):
        left, top = point(page, at, x, y)
        page.mouse.move(left + attempt % 2, top)
        page.wait_for_timeout(100)
        tips = page.locator(".bk-Tooltip:visible").all()
        found = " | ".join(tip.evaluate("tip => tip.shadowRoot.textContent") for tip in tips)
        if all(text in found for text in texts):
            return
    raise AssertionError(f"not told {texts}, but {found[-600:]}")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("data") / "project")
    project = Project(root)
    ts = START + MINUTE * np.arange(1, ROWS + 1)
    ts[700_000:] += 400 * DAY
    write(project, "bars", MINUTES, ts, prices=walk(ROWS), provider="binance")
    write(project, "quotes", "ES.XCME", START + MINUTE * np.arange(100), prices=walk(100))
    from workbench.study import load

    data.fetch(load(root / "studies" / "ema-cross.yaml"), project)
    study = (root / "studies" / "ema-cross.yaml").read_text()
    (root / "studies" / "wider.yaml").write_text(study.replace("start: 2005", "start: 2003"))
    with serving(root, tmp_path_factory.mktemp("log") / "log.txt") as dashboard:
        yield dashboard


def opened(visit, served, **how):
    """Open the view for a study that lacks nothing: it adds nothing to the picture."""
    page = visit(served.url, **how)
    page.goto(f"{served.origin}/?view=data&study=ema-cross.yaml")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_and_the_table(served, visit, scheme):
    page = opened(visit, served, scheme=scheme)
    titled(page, 0, "3 datasets, 1,002,154 rows")
    assert drawn(page, 1)[0] > 5_000
    shows(row(page, MINUTES), "bars.*binance.*1,000,000.*MiB.*1.*2025-05-02 to 2026-06-06")
    shows(row(page, "AAPL.XNAS"), "bars.*sample.*2005-01-03.*2013-03-01.*2,054.*0")
    # The pointer is told what lies under it: what is covered, and the gap in it.
    told(page, 0, START + 800 * DAY, 1, "a gap of 400 days", "1,000,000 rows in ", "binance")
    tip = page.locator(".bk-Tooltip").first
    paper = tip.evaluate("tip => getComputedStyle(tip).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 27, 34)"}[scheme]
    page.close()


def test_a_look_at_a_dataset(served, visit):
    page = opened(visit, served)
    row(page, MINUTES).click()
    titled(page, 1, "BTCUSDT.BINANCE 1-MINUTE-LAST: 1,000,000 bars, each candle")
    coarse = state(page, 1)
    assert min(drawn(page, 3)) > 500
    # Ctrl and the wheel zoom down to the rows, and prices fill the height again.
    first = START + 100_000 * MINUTE
    zoom(page, 1, first, sum(coarse["y"]) / 2, 20)
    titled(page, 1, "each candle 1 minute")
    near = state(page, 1)
    # The axis of the prices is that of the rows in sight.
    bounds = [round((value * 1e6 - START) / MINUTE) for value in near["x"]]
    assert abs(sum(bounds) / 2 - 100_000) < 3_000  # a pixel was a day
    close = walk(ROWS)
    page.wait_for_timeout(300)
    low, high = state(page, 1)["y"]
    rows = close[bounds[0] : bounds[1]] / 100
    assert low < rows.min() < rows.max() < high
    assert high - low < 3 * (rows.max() - rows.min()) + 0.2
    # The address holds it: it can be kept, and opened again.
    page.wait_for_url(re.compile("dataset=bars%2FBTCUSDT"))
    again = page.url
    page.goto(again)
    titled(page, 1, "BTCUSDT.BINANCE 1-MINUTE-LAST: 1,000,000 bars")
    expect(page.locator("tr[aria-selected=true]:visible")).to_contain_text(MINUTES)
    row(page, "ES.XCME").click()
    titled(page, 1, "ES.XCME quotes: 100 quotes")
    page.close()


def test_a_row_of_the_map_can_be_clicked(served, visit):
    page = opened(visit, served)
    titled(page, 0, "3 datasets")
    page.mouse.click(*point(page, 0, ns("2010-01-04 00:00:00"), 2))
    titled(page, 1, "AAPL.XNAS 1-DAY-LAST: 2,054 bars")
    page.wait_for_url(re.compile("dataset=bars%2FAAPL"))
    page.close()


def test_what_a_study_lacks(served, visit):
    page = opened(visit, served)
    titled(page, 0, "3 datasets")
    select = page.get_by_label("Study", exact=True)
    select.select_option("wider.yaml")
    told(page, 0, ns("2004-01-01 00:00:00"), 2, "wanted by the study")
    wrong = served.root / "studies" / "wrong.yaml"
    wrong.write_text("schema: 1\n")
    try:
        page.get_by_role("button", name="Read again").click()
        select.select_option("wrong.yaml")
        shows(page.locator(".notice.failure:visible"), "wrong.yaml.*data")
        assert state(page, 0)["title"].startswith("3 datasets")
    finally:
        wrong.unlink()
    page.close()


def test_a_dataset_that_is_not_there_is_said(served, visit):
    page = opened(visit, served)
    page.goto(f"{served.origin}/?tab=data&dataset={quote('bars/NOT.THERE', safe='')}")
    shows(page.locator(".notice.failure:visible"), "bars/NOT.THERE cannot be shown.*no dataset")
    page.close()


def test_a_broken_file_is_named_and_marked(served, visit):
    page = opened(visit, served)
    folder = Project(served.root).catalog / "data" / "quotes" / "ES.XCME"
    broken = folder / file_name((START + DAY, START + 2 * DAY))
    broken.write_bytes(b"PAR1 and no more")
    try:
        page.get_by_role("button", name="Read again").click()
        shows(page.locator(".notice.failure:visible"), f"{broken.name}.*not a whole Parquet file")
        told(page, 0, START + DAY, 0, "not a whole Parquet file")
    finally:
        broken.unlink()
    page.close()


def test_a_saved_picture_needs_nothing_but_itself(served, browser, tmp_path):
    project, faults = Project(served.root), []
    for name, picture in (
        ("map", data.coverage_map(project=project)),
        ("look", data.preview(MINUTES, project)),
    ):
        path = picture.save(tmp_path / f"{name}.html")
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
            page.on("request", lambda r: r.url.startswith("file:") or faults.append(r.url))
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-drawn=yes]")
            assert min(drawn(page, 1 if name == "map" else 2)) > 500
            expect(page.get_by_text("Everything at once")).to_be_visible()
            page.close()
    assert faults == []


def test_a_cell_of_a_notebook_follows_the_zoom(served, browser, tmp_path, pytestconfig):
    if not pytestconfig.getoption("--drills"):
        pytest.skip("JupyterLab takes a while to start: with --drills")
    cells = ["import panel as pn\npn.extension()\nfrom workbench import data",
             f"data.preview({MINUTES!r})"]  # fmt: skip
    with in_lab(served.root, cells, tmp_path) as address:
        page, faults = browser.new_page(viewport={"width": 1400, "height": 1100}), []
        page.on("request", lambda r: "//127.0.0.1" in r.url or r.url.startswith(("data:", "blob:"))
                or faults.append(r.url))  # fmt: skip
        page.goto(address)
        page.locator(".jp-Notebook").wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_text("Run", exact=True).first.click()
        page.locator('[data-command="runmenu:run-all"]').click()
        page.locator(".bk-Figure").nth(1).wait_for(timeout=60_000)
        page.wait_for_timeout(1_000)
        middle = sum(state(page, 0)["y"]) / 2
        zoom(page, 0, START + 100_000 * MINUTE, middle, 20)
        page.wait_for_function(TITLED, arg=[0, "each candle 1 minute"])
        page.close()
        assert faults == []
