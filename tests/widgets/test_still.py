"""No control moves under a person's hand: not by itself, nor by what a press brings about."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project, serving
from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, end_nodes
from tests.widgets.still import settle, still
from workbench import backtest, live
from workbench.app.views import VIEWS
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 60_000
SMALL = """\
schema: 1
study: a-grid
data:
  - {provider: sample, instrument: MSFT.XNAS, bars: 1-DAY-LAST, start: 2010-01-01, end: 2011-01-01}
venues:
  - {name: XNAS, account: margin, balances: [500_000 USD], fees: {maker: 0, taker: 0.0001}}
strategy: {path: "workbench.strategies.ema_cross:EMACross", params: {trade_size: 1_000}}
sweep: {params: {fast: [5, 10], slow: [50]}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("still")
    root = make_project(folder / "project")
    (root / "studies" / "a-grid.yaml").write_text(SMALL)
    project = Project(root)
    run = backtest.run(live_study(project, risk=RISK), project=project)
    live.launch(live_study(project, speed=86_400 * 2, risk=RISK), project, name="steady")
    with serving(root, folder / "log.txt") as dashboard:
        yield dashboard, run
    end_nodes(project)


@pytest.fixture
def at(served, visit):
    """Open a view, tall enough that nothing has to be scrolled to, and wait until it is there."""

    dashboard, _ = served
    page = visit(dashboard.url)
    page.set_viewport_size({"width": 1280, "height": 3200})

    def call(view, **shown):
        query = "".join(f"&{key}={value}" for key, value in shown.items())
        page.goto(f"{dashboard.origin}/?view={view}{query}")
        current = page.get_by_role("link", name=VIEWS[view].group, exact=True)
        expect(current).to_have_attribute("aria-current", "page")
        expect(page.locator("button:visible").first).to_be_visible()
        return page

    return call


def pressing(page, name):
    """Press a button while everything above and beside it is watched."""
    button = page.get_by_role("button", name=name, exact=True).locator("visible=true").first
    settle(page)
    expect(button).to_be_enabled()
    return button


def test_nothing_moves_by_itself(at):
    for name in VIEWS:
        page = at(name)
        if name == "study":  # what the strategy takes is known once its class has been loaded
            expect(page.get_by_text("Valid: it can run")).to_be_visible(timeout=PATIENCE)
        if name == "backtest":  # and until then nothing can be run
            expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled(
                timeout=PATIENCE
            )
            settle(page)
        with still(page):
            # A node is heard of, a clock goes on, files are looked at: several times.
            page.wait_for_timeout(1500)


def test_data(at):
    page = at("data", study="a-grid.yaml")
    for name, told in (
        ("Plan and price", "Fetch gets what is missing"), ("Fetch", re.compile("^Fetched 2")),
    ):  # fmt: skip
        button = pressing(page, name)
        with still(page, pressed=button):
            button.click()
            expect(page.get_by_text(told)).to_be_visible(timeout=PATIENCE)
            settle(page)


def test_study(at):
    page = at("study", study="a-grid.yaml")
    expect(page.get_by_text("Valid: it can run")).to_be_visible(timeout=PATIENCE)
    fast = page.locator('.row[data-key="venues.0.account"] select')
    with still(page):
        fast.select_option("cash")
        expect(page.get_by_text(re.compile("to mend|valid")).first).to_be_visible()
        expect(page.get_by_text("not saved")).to_be_visible()
        settle(page)
    save = pressing(page, "Save")
    with still(page, pressed=save):
        save.click()
        expect(page.locator(".notice:visible").first).to_be_visible()
        settle(page)


def test_backtest(at):
    page = at("backtest", study="a-grid.yaml")
    expect(page.get_by_label("fast").first).to_be_visible(timeout=PATIENCE)
    run = pressing(page, "Run")
    with still(page, pressed=run):
        run.click()
        expect(page.get_by_text(re.compile("^Done in"))).to_be_visible(timeout=PATIENCE)
        settle(page)


def test_sweep(at):
    page = at("sweep", study="a-grid.yaml")
    run = pressing(page, "Run the sweep")
    with still(page, pressed=run):
        run.click()
        expect(page.get_by_text(re.compile("2 of 2 points")).first).to_be_visible(timeout=PATIENCE)
        settle(page)


def test_gates(at, served):
    _, run = served
    page = at("flip", run=run.id)
    expect(page.get_by_label("Run", exact=True)).to_have_value(re.compile(run.id))
    check = pressing(page, "Check the gates")
    with still(page, pressed=check):
        check.click()
        expect(page.get_by_label("Name of the node")).to_be_visible(timeout=PATIENCE)
        settle(page)


def test_order(at):
    page = at("order", node="steady")
    expect(page.get_by_text("the sandbox, USD")).to_be_visible()
    page.get_by_label("Quantity", exact=True).fill("10")
    page.get_by_label("Quantity", exact=True).press("Tab")
    expect(page.get_by_role("button", name="Place BUY 10")).to_be_visible()
    for name, told in (("Preview", "What it would cost"), ("Place BUY 10", re.compile(": filled"))):
        button = pressing(page, name)
        with still(page, pressed=button):
            button.click()
            expect(page.get_by_text(told).first).to_be_visible()
            settle(page)


def test_adapter(at):
    page = at("adapters", adapter="bybit")
    check = pressing(page, "Check the connection")
    with still(page, pressed=check):
        check.click()
        expect(page.get_by_text("It does not work")).to_be_visible(timeout=PATIENCE)
        settle(page)
