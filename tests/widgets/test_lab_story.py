"""From an adapter to the end of a node in one JupyterLab, in Chromium, on real engines.

Every widget stands in the notebook twice and is used in both places: shown by a cell itself, and
through `.widget()` in a layout of ipywidgets.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project
from tests.app.support import row, shows
from tests.lab import in_lab
from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, choose, end_nodes, fill, press, said
from tests.widgets.test_study_editor import field, line_of, problems, text
from workbench import backtest, live, venue
from workbench.core.project import Project
from workbench.study import StudyStore, load

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

GRID = """\
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
WIDGETS = {
    "AdapterForm": 'adapter="bybit", environment="testnet"',
    "DataPlanner": 'study="grid.yaml"',
    "StudyEditor": 'study="ema-cross.yaml"',
    "BacktestRunner": 'study="ema-cross.yaml"',
    "SweepBoard": 'study="grid.yaml"',
    "RunExplorer": "",
    "FlipPanel": "",
    "OrderTicket": "",
    "RiskPanel": "",
    "NodeMonitor": "",
}
CELLS = [
    "import ipywidgets\nfrom workbench import widgets\n\nwidgets.load()",
    *(
        code
        for name, options in WIDGETS.items()
        for code in (
            f"widgets.{name}({options})",
            (
                f'ipywidgets.VBox([ipywidgets.HTML("<b>{name} in a layout</b>"), '
                f"widgets.{name}({options}).widget()])"
            ),
        )
    ),
]


class Notebook:
    """The notebook as it is seen: each widget in its cell, and in its layout."""

    def __init__(self, page, root):
        self.page, self.root, self.project = page, root, Project(root)
        self.faults = []

    def cell(self, name, layout=False):
        at = 1 + 2 * list(WIDGETS).index(name) + layout
        return self.page.locator(".jp-CodeCell").nth(at).locator(".jp-Cell-outputArea")

    def layout(self, name):
        cell = self.cell(name, layout=True)
        expect(cell.locator(".widget-html b")).to_have_text(f"{name} in a layout")
        return cell


@pytest.fixture(scope="module")
def notebook(browser, tmp_path_factory):
    """All widgets of a project in the cells of one notebook, all cells run."""
    folder = tmp_path_factory.mktemp("lab")
    root = make_project(folder / "project")
    (root / "studies" / "grid.yaml").write_text(GRID)
    page = browser.new_page(viewport={"width": 1500, "height": 1300}, accept_downloads=True)
    page.set_default_timeout(60_000)
    shown = Notebook(page, root)
    page.on(
        "request",
        lambda r: (
            "//127.0.0.1" in r.url
            or r.url.startswith(("data:", "blob:"))
            or shown.faults.append(r.url)
        ),
    )
    page.on("console", lambda m: m.type == "error" and shown.faults.append(m.text))
    page.on("pageerror", lambda error: shown.faults.append(str(error)))
    before = expect._timeout
    expect.set_options(timeout=60_000)
    try:
        with in_lab(root, CELLS, folder) as address:
            page.goto(address)
            page.locator(".jp-Notebook").wait_for()
            page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
            page.get_by_text("Run", exact=True).first.click()
            page.locator('[data-command="runmenu:run-all"]').click()
            shown.layout("NodeMonitor")
            yield shown
            page.close()
    finally:
        expect.set_options(timeout=before)
        end_nodes(shown.project)


def test_from_an_adapter_to_a_report(notebook):
    connect_an_adapter(notebook)
    fetch(notebook)
    mend_a_study(notebook)
    run_and_cancel(notebook)
    sweep(notebook)
    open_a_report(notebook)
    at_night(notebook)
    assert notebook.faults == []


def connect_an_adapter(notebook):
    # In the cell: what is wrong with a setting is told at it, and goes into no study.
    form = notebook.cell("AdapterForm")
    setting = form.locator('.row[data-key="data.max_retries"]')
    setting.locator("input").fill("many")
    expect(setting).to_contain_text("is a whole number, found 'many'")
    expect(form.get_by_role("button", name="Put it into the study")).to_be_disabled()
    setting.locator("input").fill("5")
    expect(form.locator("pre", has_text="live:")).to_contain_text("max_retries: 5")
    choose(form, "Study", "breakout.yaml")
    press(form, "Put it into the study")
    expect(form.get_by_text("stored as version 1")).to_be_visible()
    study = load(notebook.root / "studies" / "breakout.yaml")
    assert study.live.feeds[0].model_extra["max_retries"] == 5

    # In the layout: the practice venue connects, with its address and its keys, in five steps.
    form = notebook.layout("AdapterForm")
    choose(form, "Environment", "practice")
    expect(form.locator('[data-group="credentials"]')).to_contain_text("no practice venue runs")
    with venue.start(project=notebook.project, symbols=["BTCUSDT:tick=0.1,step=0.001,price=30000"]):
        press(form, "Check the connection")
        expect(form.get_by_text("It works")).to_be_visible()
        expect(form.locator("table.steps .status.done")).to_have_count(5)
        expect(form.locator("table.steps tr").last).to_contain_text("BTCUSDT-LINEAR.BYBIT")


def fetch(notebook):
    # In the layout: planned, then fetched.
    planner = notebook.layout("DataPlanner")
    press(planner, "Plan and price")
    expect(planner.locator(".tile", has_text="Rows to come")).to_contain_text("252")
    expect(planner.get_by_text("Fetch gets what is missing")).to_be_visible()
    press(planner, "Fetch")
    shows(planner.locator(".notice.good:visible"), "Fetched 252 rows", 60)
    expect(row(planner, "AAPL.XNAS")).to_contain_text("252")

    # In the cell: of another study the rest is missing, and fetched without a plan asked for.
    planner = notebook.cell("DataPlanner")
    choose(planner, "Study", "ema-cross.yaml")
    expect(planner.locator("table tr", has_text="sample").first).to_contain_text("2010-01-01")
    expect(planner.get_by_role("button", name="Fetch", exact=True)).to_be_enabled()
    press(planner, "Fetch")
    shows(planner.locator(".notice.good:visible"), "Fetched 1,80[0-9] rows", 60)
    expect(planner.locator(".tile", has_text="Datasets complete")).to_contain_text("1 of 1")


def mend_a_study(notebook):
    # In the cell: a mistake is told at its line and its field, mended and saved by the keyboard.
    page, editor = notebook.page, notebook.cell("StudyEditor")
    expect(problems(editor)).to_contain_text("Valid: it can run")
    line_of(editor, "    bars:")
    page.keyboard.press("Backspace")
    expect(problems(editor)).to_contain_text(re.compile(r"line 10data.0.bars: .*'LAS'"))
    expect(field(editor, "data.0.bars")).to_have_attribute("aria-invalid", "true")
    page.keyboard.type("T")
    expect(problems(editor)).to_contain_text("Valid: it can run")
    field(editor, "strategy.params.fast").fill("12")
    expect(text(editor)).to_have_value(re.compile("fast: 12"))
    # Letters and keys that mean something to JupyterLab are the editor's: no cell is cut or added.
    field(editor, "description").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("adds dd xx bab")
    expect(text(editor)).to_have_value(re.compile("description: adds dd xx bab\n"))
    assert page.locator(".jp-CodeCell").count() == len(CELLS)
    expect(problems(editor)).to_contain_text("Valid: it can run")
    text(editor).focus()
    page.keyboard.press("Control+s")
    expect(editor.get_by_text("Saved as version 1 of ema-cross")).to_be_visible()

    # In the layout: what the other has saved stands there; another value is saved after it.
    editor = notebook.layout("StudyEditor")
    expect(field(editor, "strategy.params.fast")).to_have_value("12")
    field(editor, "strategy.params.slow").fill("many")
    expect(problems(editor)).to_contain_text("strategy.params.slow")
    field(editor, "strategy.params.slow").fill("60")
    expect(problems(editor)).to_contain_text("Valid: it can run")
    press(editor, "Save")
    expect(editor.get_by_text("Saved as version 2 of ema-cross")).to_be_visible()
    saved = StudyStore(notebook.project).load("ema-cross", 2).strategy.params
    assert (saved["fast"], saved["slow"]) == (12, 60)


def run_and_cancel(notebook):
    # In the cell: a run that takes long is cancelled.
    runner = notebook.cell("BacktestRunner")
    choose(runner, "Study", "slow.yaml")
    runner.get_by_label("fault").locator("visible=true").wait_for()
    press(runner, "Run")
    runner.get_by_text(re.compile(r"^slow: [1-9]\d?%$")).wait_for()
    press(runner, "Cancel")
    said(runner, "^Cancelled$")
    shows(runner.locator(".head"), "slow.*cancelled", 60)

    # In the layout: a value the config refuses, then a run.
    runner = notebook.layout("BacktestRunner")
    fast = runner.get_by_label("fast").locator("visible=true")
    expect(fast).to_have_value("12")
    fast.fill("ten")
    shows(runner.locator('.row[data-key="fast"] .help'), "found 'ten'", 60)
    fast.fill("20")
    button = runner.get_by_role("button", name="Run", exact=True)
    expect(button).to_be_enabled()
    button.click()
    shows(runner.locator(".notice.good"), "Done in .*return", 60)


def sweep(notebook):
    # In the layout: run; in the cell, which did not start it, its points come too.
    board = notebook.layout("SweepBoard")
    press(board, "Run the sweep")
    shows(board.locator(".notice.good:visible"), "2 of 2 points", 60)
    shows(row(board).first, "done", 60)
    board = notebook.cell("SweepBoard")
    shows(board.locator(".head").first, "grid.*2 done", 60)
    expect(row(board, "done")).to_have_count(2)
    row(board).first.click()
    shows(board.locator(".head").last, "grid.*done", 60)
    board.locator(".bk-Figure").nth(4).wait_for()


def open_a_report(notebook):
    # In the cell: the run of another process comes by itself, is chosen and drawn.
    run = backtest.run(notebook.root / "studies" / "grid.yaml", project=notebook.project)
    explorer = notebook.cell("RunExplorer")
    rows = row(explorer)
    shows(rows.first, "grid.*done", 60)
    expect(rows).to_have_count(5)
    shows(row(explorer, "fast=20"), "ema-cross.*done", 60)
    shows(row(explorer, "cancelled"), "slow", 60)
    rows.first.click()
    shows(explorer.locator(".head"), f"grid.*done.*{run.id}", 60)
    explorer.locator(".bk-Figure").nth(3).wait_for()

    # In the layout: its report.
    explorer = notebook.layout("RunExplorer")
    row(explorer, "fast=20").click()
    shows(explorer.locator(".head"), "ema-cross.*done", 60)
    with notebook.page.expect_download() as download:
        press(explorer, "Download report")
    name = download.value.suggested_filename
    assert re.fullmatch(r"\d{8}-\d{6}-ema-cross-\w+\.html", name)


def at_night(notebook):
    """The theme of the page is that of every widget, in a cell and in a layout."""
    page = notebook.page
    expect(page.locator(".day")).to_have_count(2 * len(WIDGETS))
    page.get_by_text("Settings", exact=True).first.click()
    page.get_by_text("Theme", exact=True).first.hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()
    expect(page.locator(".night")).to_have_count(2 * len(WIDGETS))


def test_from_a_run_to_the_end_of_a_node(notebook):
    loose = backtest.run(live_study(notebook.project, risk={}), project=notebook.project)
    run = backtest.run(live_study(notebook.project, risk=RISK), project=notebook.project)
    node = flip(notebook, loose, run)
    place_a_bracket(notebook, node)
    trip_and_halt(notebook, node)
    resume(notebook, node)
    kill(notebook, node)
    assert notebook.faults == []


def flip(notebook, loose, run):
    # In the layout: a closed gate says what to do about it.
    panel = notebook.layout("FlipPanel")
    choose_run(panel, loose)
    press(panel, "Check the gates")
    shut = panel.locator(".checks li.shut")
    expect(shut).to_contain_text("add it to the study's 'risk'")
    expect(panel.get_by_role("button", name="Launch")).to_be_hidden()

    # In the cell: all are open, and it goes to the sandbox.
    panel = notebook.cell("FlipPanel")
    choose_run(panel, run)
    choose(panel, "Where it goes live", "As written below")
    fill(panel, "The study's live section (YAML)", LIVE)
    press(panel, "Check the gates")
    expect(panel.locator(".checks li.open")).to_have_count(6)
    expect(panel.locator(".diff")).to_contain_text("live.feeds.0.speed")
    fill(panel, "Name of the node", "story")
    press(panel, "Launch")
    said(panel, "story is running", ".good")
    node = live.node("story", notebook.project)
    while not node.status()["feeds"][0]["rows"]:
        notebook.page.wait_for_timeout(50)
    node.ask("pause_feed")
    return node


def choose_run(panel, run):
    choose(panel, "Run", panel.locator("option", has_text=run.id).get_attribute("value"))


def place_a_bracket(notebook, node):
    monitor = notebook.cell("NodeMonitor")
    expect(monitor.locator(".age").first).to_have_text("up to date")
    live.orders.submit(node, {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 9})
    expect(monitor.locator(".sheet.events")).to_contain_text("BUY 9 AAPL.XNAS")

    # In the layout: refused in words at its order, then placed once by a double click.
    ticket = notebook.layout("OrderTicket")
    choose(ticket, "What", "Bracket: an entry and its exits")
    expect(ticket.get_by_role("checkbox", name="Take profit")).to_be_visible()
    for name, value in (("Quantity", "100"), ("Limit price", "400"), ("Trigger price", "300")):
        fill(ticket, name, value)
    press(ticket, "Preview")
    said(ticket, "Trigger price: is below the entry at .*found 300")
    fill(ticket, "Trigger price", "3")
    press(ticket, "Preview")
    expect(ticket.locator(".cost")).to_contain_text(
        re.compile(r"BUY 100 MARKET.*USD.*waits.*SELL 100 LIMIT", re.DOTALL)
    )
    ticket.get_by_role("button", name="Place BUY 100").dblclick()
    said(ticket, ": filled.*TP: accepted.*SL: accepted", ".good")
    assert [entry["type"] for entry in node.events()].count("order.filled") == 2

    # In the cell: one of its exits is cancelled in its row.
    rows = notebook.cell("OrderTicket").locator("table[aria-label='Open orders'] tbody tr")
    expect(rows).to_have_count(2)
    rows.filter(has_text="LIMIT").get_by_text("Cancel").click()
    said(notebook.cell("OrderTicket"), "TP is cancelled", ".good")
    expect(rows.filter(has_text="LIMIT")).to_have_count(0)


def trip_and_halt(notebook, node):
    # In the cell: a limit is set, breaks; trading is halted.
    panel = notebook.cell("RiskPanel")
    expect(panel.locator(".banner")).to_contain_text("active")
    fill(panel, "Who", "ann")
    choose(panel, "Limit", "stale_feed")
    expect(panel.get_by_placeholder("for example 30s")).to_be_visible()
    fill(panel, "At most", "100ms")
    press(panel, "Set the limit")
    said(panel, "stale_feed of story is now 100ms", ".good")
    node.ask("resume_feed")
    alerts = panel.locator("table[aria-label='Alerts'] tbody tr")
    expect(alerts.first).to_contain_text("the feed replay is silent")
    node.ask("pause_feed")
    fill(panel, "Reason", "lunch")
    press(panel, "Halt")
    expect(panel.locator(".banner")).to_contain_text(re.compile("halted.*lunch", re.DOTALL))
    assert live.risk.show(node)["state"] == "halted"

    # An order is now denied in words.
    ticket = notebook.cell("OrderTicket")
    fill(ticket, "Quantity", "10")
    press(ticket, "Place BUY 10")
    said(ticket, "denied: it did not leave the node.*lunch", ".failure")


def resume(notebook, node):
    # In the layout: the alert is seen, and trading goes on.
    panel = notebook.layout("RiskPanel")
    fill(panel, "Who", "ben")
    alerts = panel.locator("table[aria-label='Alerts'] tbody tr")
    alerts.first.get_by_role("button", name=re.compile("Acknowledge")).click()
    expect(panel.get_by_text("seen by ben").first).to_be_visible()
    press(panel, "Resume")
    expect(panel.locator(".banner")).to_contain_text("active")
    assert live.risk.show(node)["state"] == "active"


def kill(notebook, node):
    # In the layout: asked for twice; the monitor in the cell sees the end.
    monitor = notebook.layout("NodeMonitor")
    expect(monitor.locator("table[aria-label='Positions']")).to_contain_text("AAPL.XNAS")
    expect(monitor.locator(".sheet.events")).to_contain_text("risk.halted")
    press(monitor, "Kill …")
    press(monitor, "No, leave it")
    assert node.running
    press(monitor, "Kill …")
    press(monitor, "Yes, kill story")
    said(monitor, "story is KILLED", ".good")
    assert node.state()["state"] == "KILLED"
    shown = notebook.cell("NodeMonitor")
    expect(shown.locator(".sheet.events")).to_contain_text("lifecycle.killed")
    expect(shown.get_by_role("button", name="Kill …")).to_be_disabled()
