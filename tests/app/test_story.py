"""From an adapter to the end of a node on one page, in Chromium, on real engines."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project, serving
from tests.app.support import detail, row, shows, stored, turn
from tests.live.conftest import live_study
from tests.widgets.axe import serious
from tests.widgets.live_support import RISK, fill, press, said
from tests.widgets.test_study_editor import field, line_of, problems
from workbench import backtest, live, venue
from workbench.app.views import VIEWS
from workbench.core.errors import WorkbenchError
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# The machine may be busy.
expect.set_options(timeout=20_000)

SWEEP = """\
schema: 1
study: grid
data:
  - {provider: sample, instrument: AAPL.XNAS, bars: 1-DAY-LAST, start: 2010-01-01, end: 2011-01-01}
venues:
  - {name: XNAS, account: margin, balances: [500_000 USD], fees: {maker: 0, taker: 0.0001}}
strategy: {path: "workbench.strategies.ema_cross:EMACross", params: {trade_size: 1_000}}
sweep: {params: {fast: [5, 10], slow: [50]}}
"""
LIVE = """\
environment: sandbox
feeds: [{adapter: replay, speed: 172800}]
execution: [{adapter: sandbox}]
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    root = make_project(folder / "project")
    (root / "studies" / "grid.yaml").write_text(SWEEP)
    with serving(root, folder / "log.txt") as dashboard:
        yield dashboard
    for node in live.nodes(Project(root)):
        if node.running:
            try:
                node.kill()
            except WorkbenchError:
                assert not node.running


def choose(page, label, option):
    page.get_by_label(label, exact=True).locator("visible=true").select_option(option)


def at(page, served, view, **shown):
    """Go to a view by its address."""
    query = "".join(f"&{key}={value}" for key, value in shown.items())
    page.goto(f"{served.origin}/?view={view}{query}")
    current = page.get_by_role("link", name=VIEWS[view].group, exact=True)
    expect(current).to_have_attribute("aria-current", "page")


def test_from_an_adapter_to_a_report(served, visit):
    page = visit(served.url)
    shows(page.locator("ul.checks"), "Study.*6 in studies/.*catalog is empty.*None has finished")

    # The practice venue: its adapter connects, with its address and its keys.
    turn(page, "Adapters")
    page.get_by_label("Environment").select_option("practice")
    with venue.start(
        project=Project(served.root), symbols=["BTCUSDT:tick=0.1,step=0.001,price=30000"]
    ):
        press(page, "Check the connection")
        page.get_by_text("It works").wait_for(timeout=30_000)
    expect(page.locator("table.steps .status.done")).to_have_count(5)

    # What the study lacks is planned and fetched.
    turn(page, "Plan and catalog")
    choose(page, "Study", "grid.yaml")
    press(page, "Plan and price")
    expect(page.locator(".tile", has_text="Rows to come")).to_contain_text("252")
    expect(page.get_by_text("Fetch gets what is missing")).to_be_visible()
    press(page, "Fetch")
    shows(page.locator(".notice.good:visible"), "Fetched 252 rows")

    # A mistake in the study is found at its line, and mended.
    turn(page, "Study")
    choose(page, "Study", "ema-cross.yaml")
    expect(problems(page)).to_contain_text("Valid: it can run")
    line_of(page, "    bars:")
    page.keyboard.press("Backspace")
    expect(problems(page)).to_contain_text(re.compile(r"line 10data.0.bars: .*'LAS'"))
    # Looked at another view meanwhile: what was typed is still there.
    turn(page, "Backtest")
    turn(page, "Study")
    expect(problems(page)).to_contain_text("'LAS'")
    line_of(page, "    bars:")
    page.keyboard.type("T")
    field(page, "strategy.params.fast").fill("12")
    expect(problems(page)).to_contain_text("Valid: it can run")
    press(page, "Save")
    shows(page.locator(".notice.good:visible"), "Saved as version 1")

    # A backtest is cancelled, another one ends; its report is opened.
    turn(page, "Backtest")
    choose(page, "Study", "slow.yaml")
    page.get_by_label("fault").locator("visible=true").wait_for()
    press(page, "Run")
    page.get_by_text(re.compile(r"^slow: [1-9]\d?%$")).wait_for()
    press(page, "Cancel")
    shows(page.locator(".notice:visible"), "Cancelled")
    choose(page, "Study", "ema-cross.yaml")
    page.get_by_label("slow").locator("visible=true").first.wait_for()
    press(page, "Run")
    shows(page.locator(".notice.good:visible"), "Done in", 40)
    press(page, "Open the run")
    shows(detail(page), f"ema-cross.*done.*{stored(served)[0].id}")
    with page.expect_download() as download:
        press(page, "Download report")
    assert download.value.suggested_filename == f"{stored(served)[0].id}.html"

    # A sweep: its points come while it runs, and stand in the overview.
    at(page, served, "sweep", study="grid.yaml")
    press(page, "Run the sweep")
    shows(page.locator(".notice.good:visible"), "2 of 2 points", 40)
    shows(row(page).first, "done")
    turn(page, "Overview")
    shows(page.get_by_role("table", name="Newest sweeps"), "grid.*2 of 2 points")
    shows(
        page.get_by_role("table", name="Newest runs"),
        "grid.*done.*ema-cross.*done.*slow.*cancelled",
    )

    # The browser's own way back.
    page.get_by_role("table", name="Newest sweeps").get_by_role("button", name="grid").click()
    page.wait_for_url(re.compile("view=sweep.*sweep=.*grid-sweep"))
    page.go_back()
    expect(page.get_by_role("table", name="Newest sweeps")).to_be_visible()
    page.go_forward()
    expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
    page.close()


def test_from_a_run_to_the_end_of_a_node(served, visit):
    project = Project(served.root)
    run = backtest.run(live_study(project, risk=RISK), project=project)
    page = visit(served.url)
    at(page, served, "flip", run=run.id)
    expect(page.get_by_label("Run", exact=True)).to_have_value(re.compile(run.id))
    page.get_by_label("Where it goes live").select_option("As written below")
    fill(page, "The study's live section (YAML)", LIVE)
    press(page, "Check the gates")
    expect(page.locator(".checks:visible li.open")).to_have_count(6, timeout=40_000)
    fill(page, "Name of the node", "story")
    press(page, "Launch")
    said(page, "story is running", ".good")
    node = live.node("story", project)

    # The node that was launched is the one that is watched.
    turn(page, "Nodes")
    page.wait_for_url(re.compile("view=monitor&node=story"))
    shows(page.locator(".head:visible h2"), "story")
    expect(page.get_by_text("up to date")).to_be_visible()
    while not node.status()["feeds"][0]["rows"]:
        page.wait_for_timeout(50)
    node.ask("pause_feed")

    turn(page, "Orders")
    page.get_by_label("What", exact=True).select_option("Bracket: an entry and its exits")
    expect(page.get_by_role("checkbox", name="Take profit")).to_be_visible()
    for name, value in (("Quantity", "100"), ("Limit price", "400"), ("Trigger price", "3")):
        fill(page, name, value)
    press(page, "Place BUY 100")
    said(page, ": filled.*TP: accepted.*SL: accepted", ".good")

    turn(page, "Risk")
    fill(page, "Who", "ann")
    choose(page, "Limit", "stale_feed")
    expect(page.get_by_placeholder("for example 30s")).to_be_visible()
    fill(page, "At most", "100ms")
    press(page, "Set the limit")
    said(page, "stale_feed of story is now 100ms", ".good")
    node.ask("resume_feed")
    alerts = page.locator("table[aria-label='Alerts']:visible tbody tr")
    expect(alerts.first).to_contain_text("the feed replay is silent")
    press(page, "Halt")
    expect(page.locator(".banner:visible")).to_contain_text("halted")

    # All of it in the overview; from there to its alert.
    turn(page, "Overview")
    nodes = page.get_by_role("table", name="All nodes")
    shows(nodes, "story.*RUNNING.*sandbox.*halted")
    shows(page.locator(".tile:visible", has_text="Alerts not seen"), r"Alerts not seen\s*[1-9]")
    page.get_by_role("table", name="Alerts").get_by_role("button", name="story").first.click()
    alerts.first.get_by_role("button", name=re.compile("Acknowledge")).click()
    expect(page.get_by_text("seen by ann").first).to_be_visible()

    everybody_can_use_it(served, visit)

    turn(page, "Nodes")
    press(page, "Kill …")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Yes, kill story")).to_be_hidden()
    assert node.running
    press(page, "Kill …")
    press(page, "Yes, kill story")
    said(page, "story is KILLED", ".good")
    assert node.state()["state"] == "KILLED"
    page.close()


def everybody_can_use_it(served, visit):
    """Look at every view, light and dark, wide and on a phone; nothing of the page moves."""
    for scheme, width in (("light", 1280), ("dark", 390)):
        page = visit(served.url, width=width, scheme=scheme)
        places = set()
        for view in VIEWS:
            at(page, served, view)
            page.wait_for_timeout(300)
            places.add(str(page.locator("header").bounding_box()))
            assert serious(page) == [], (view, scheme)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{view} is {wide} wide at {width}"
        assert len(places) == 1
        page.close()


def test_the_keyboard_reaches_every_view(served, visit):
    page = visit(served.url)
    page.locator("ul.checks, table").first.wait_for()
    focus = "document.activeElement.shadowRoot?.activeElement ?? document.activeElement"
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate(f"({focus}).textContent"))
    assert names == ["Skip to the view", "Overview", "Data", "Research", "Live", "Risk"]
    ring = page.evaluate(f"getComputedStyle({focus}).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("view=risk"))
    expect(page.get_by_role("link", name="Risk")).to_be_focused()
    page.close()


@pytest.mark.parametrize(
    ("query", "view"),
    [("tab=run", "backtest"), ("tab=data", "data"), ("view=research", "study"),
     ("view=nothing", "overview")],
)  # fmt: skip
def test_addresses(served, visit, query, view):
    page = visit(served.url)
    page.goto(f"{served.origin}/?{query}")
    page.wait_for_url(re.compile(f"[?]view={view}($|&)"))
    page.close()
