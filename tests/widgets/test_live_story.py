"""From a run to a node and to its end, in Chromium: flip, bracket, limit, halt, resume, kill."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, choose, end_nodes, faults, fill, press, said
from tests.widgets.support import serving_widgets
from workbench import backtest, live

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 60_000  # for what processes of their own do, on a busy machine
LIVE = """\
environment: sandbox
feeds: [{adapter: replay, speed: 172800}]
execution: [{adapter: sandbox}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    from tests.conftest import make_project

    return make_project(tmp_path_factory.mktemp("live") / "project")


@pytest.fixture(scope="module")
def url(project):
    with serving_widgets(project.root) as url:
        yield url


@pytest.fixture(autouse=True)
def _no_node_stays(project):
    yield
    end_nodes(project)


def kinds(node):
    return [entry["type"] for entry in node.events()]


def test_from_a_run_to_a_node_and_its_end(project, url, visit):
    loose = backtest.run(live_study(project, risk={}), project=project)
    run = backtest.run(live_study(project, risk=RISK), project=project)

    # A closed gate says what to do about it, and nothing can be launched.
    page = visit(f"{url}/FlipPanel")
    expect(page.get_by_label("Run", exact=True)).to_contain_text(loose.id)
    option = page.locator("option", has_text=loose.id)
    choose(page, "Run", {"value": option.get_attribute("value")}["value"])
    press(page, "Check the gates")
    risk = page.locator(".checks li.shut")
    expect(risk).to_contain_text("add it to the study's 'risk'", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Launch")).to_be_hidden()

    choose(page, "Run", page.locator("option", has_text=run.id).get_attribute("value"))
    page.get_by_label("Where it goes live").select_option("As written below")
    fill(page, "The study's live section (YAML)", "environment: sandbocks")
    press(page, "Check the gates")
    said(page, "sandbocks.*Did you mean 'sandbox'")
    fill(page, "The study's live section (YAML)", LIVE)
    press(page, "Check the gates")
    expect(page.locator(".checks li.open")).to_have_count(6, timeout=PATIENCE)
    expect(page.locator(".diff")).to_contain_text("live.feeds.0.speed")
    assert faults(page) == []
    fill(page, "Name of the node", "story")
    press(page, "Launch")
    said(page, "story is running", ".good", timeout=PATIENCE)
    node = live.node("story", project)
    assert node.running
    assert (project.gateway / "promotions").exists()
    while not node.status()["feeds"][0]["rows"]:
        time.sleep(0.05)
    node.ask("pause_feed")

    # A bracket: refused with the reason at its order, then placed once by a double click.
    ticket = visit(f"{url}/OrderTicket")
    expect(ticket.get_by_text("the sandbox, USD")).to_be_visible()
    ticket.get_by_label("What", exact=True).select_option("Bracket: an entry and its exits")
    expect(ticket.get_by_role("checkbox", name="Take profit")).to_be_visible()
    fill(ticket, "Quantity", "100")
    fill(ticket, "Limit price", "400")
    fill(ticket, "Trigger price", "300")
    expect(ticket.locator(".diagram")).to_have_attribute(
        "aria-label", re.compile("Entry: BUY 100.*When it is filled: Take profit: SELL 100 LIMIT")
    )
    press(ticket, "Preview")
    said(ticket, "Trigger price: is below the entry at .*found 300")
    fill(ticket, "Trigger price", "3")
    press(ticket, "Preview")
    cost = ticket.locator(".cost")
    expect(cost).to_contain_text(
        re.compile(r"BUY 100 MARKET.*USD.*waits.*SELL 100 LIMIT", re.DOTALL)
    )
    ticket.get_by_role("button", name="Place BUY 100").dblclick()
    said(ticket, ": filled.*TP: accepted.*SL: accepted", ".good")
    assert kinds(node).count("order.filled") == 1
    expect(ticket.get_by_role("button", name="Place BUY 100")).to_be_disabled()

    # An open order is changed and cancelled in its row.
    rows = ticket.locator("table[aria-label='Open orders'] tbody tr")
    expect(rows).to_have_count(2)
    rows.filter(has_text="LIMIT").get_by_text("Change").click()
    fill(ticket, "New price", "410")
    press(ticket, "Change the order")
    said(ticket, "is changed", ".good")
    expect(rows.filter(has_text="LIMIT")).to_contain_text("410")
    rows.filter(has_text="LIMIT").get_by_text("Cancel").click()
    said(ticket, "TP is cancelled", ".good")
    expect(rows.filter(has_text="LIMIT")).to_have_count(0)

    # A limit is changed by name, breaks, and its alert is acknowledged.
    panel = visit(f"{url}/RiskPanel")
    expect(panel.get_by_role("meter", name="max_position AAPL.XNAS used")).to_be_visible()
    fill(panel, "Who", "ann")
    choose(panel, "Limit", "stale_feed")
    expect(panel.get_by_placeholder("for example 30s")).to_be_visible()
    fill(panel, "At most", "soon")
    press(panel, "Set the limit")
    said(panel, "stale_feed.*soon", ".failure")
    fill(panel, "At most", "100ms")
    press(panel, "Set the limit")
    said(panel, "stale_feed of story is now 100ms", ".good")
    node.ask("resume_feed")
    alert = panel.locator("table[aria-label='Alerts'] tbody tr").first
    expect(alert).to_contain_text("the feed replay is silent")
    alert.get_by_role("button", name=re.compile("Acknowledge")).click()
    expect(panel.get_by_text("seen by ann").first).to_be_visible()
    assert [e["who"] for e in node.events() if e["type"] == "alert.acknowledged"] == ["ann"]

    # Halted, an order is denied in words; resumed, it is not.
    fill(panel, "Reason", "lunch")
    press(panel, "Halt")
    expect(panel.locator(".banner")).to_contain_text(re.compile("halted.*lunch", re.DOTALL))
    ticket.get_by_label("What", exact=True).select_option("One order")
    expect(ticket.get_by_role("checkbox", name="Take profit")).to_be_hidden()
    fill(ticket, "Quantity", "10")
    press(ticket, "Place BUY 10")
    said(ticket, "denied: it did not leave the node.*lunch", ".failure")
    press(panel, "Resume")
    expect(panel.locator(".banner")).to_contain_text("active")
    press(ticket, "New order")
    press(ticket, "Place BUY 10")
    said(ticket, ": filled", ".good")

    # The end, asked for twice.
    monitor = visit(f"{url}/NodeMonitor")
    expect(monitor.locator("table[aria-label='Positions']")).to_contain_text("AAPL.XNAS")
    expect(monitor.locator(".sheet.events")).to_contain_text("risk.halted")
    press(monitor, "Kill …")
    press(monitor, "No, leave it")
    assert node.running
    press(monitor, "Kill …")
    press(monitor, "Yes, kill story")
    said(monitor, "story is KILLED", ".good")
    assert node.state()["state"] == "KILLED"
    expect(monitor.get_by_role("button", name="Kill …")).to_be_disabled()
