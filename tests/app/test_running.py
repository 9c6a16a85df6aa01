"""Running and cancelling from the page, in Chromium, with real runs."""

import json
import re
import subprocess

import pytest
from playwright.sync_api import expect

from tests.app.conftest import command, make_project, run, serving
from tests.app.support import detail, drawn, row, shows, stored, turn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("running")
    root = make_project(folder / "project")
    with serving(root, folder / "log.txt") as dashboard:
        yield dashboard


def test_a_run_from_the_page(served, visit):
    before = len(stored(served))
    page = visit(served.url)
    page.goto(f"{served.origin}/?view=backtest")
    page.get_by_label("Study").locator("visible=true").select_option("ema-cross.yaml")
    page.get_by_label("slow").fill("100")
    page.get_by_label("slow").press("Enter")
    page.get_by_label("trade_size").fill("many")
    page.get_by_label("trade_size").press("Enter")
    shows(page.locator(".wrong .help:visible"), "Decimal.*many")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    assert len(stored(served)) == before
    page.get_by_label("trade_size").fill("500")
    page.get_by_label("trade_size").press("Enter")
    page.locator(".wrong .help").wait_for(state="detached")
    page.get_by_role("button", name="Run", exact=True).click()
    shows(page.locator(".notice.good:visible"), r"Done in .*return .*Sharpe ratio .* fills")
    newest = stored(served)[0]
    assert newest.params == {"slow": 100, "trade_size": 500}
    assert newest.status == "done"
    page.get_by_role("button", name="Open the run").click()
    shows(detail(page), f"ema-cross.*done.*{newest.id}")
    shows(row(page).nth(0), "ema-cross.*done.*trade_size=500 slow=100")
    assert min(drawn(page, 4)) > 500


def test_a_run_is_watched_and_cancelled_where_it_was_started(served, visit):
    page = visit(served.url)
    page.goto(f"{served.origin}/?view=backtest")
    page.get_by_label("Study").locator("visible=true").select_option("slow.yaml")
    page.get_by_label("fault").wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("[role=progressbar]:visible").wait_for()
    page.get_by_text(re.compile(r"^slow: ([3-9]|\d\d)%$")).wait_for()
    page.get_by_role("button", name="Cancel").click()
    shows(page.locator(".notice:visible"), "Cancelled")
    assert stored(served)[0].status == "cancelled"
    turn(page, "Runs")
    shows(row(page).nth(0), "slow.*cancelled")


def test_a_run_of_another_process_is_watched_and_cancelled(served, visit):
    selected = run(served.root, "studies/ema-cross.yaml", "-p", "fast=20")["run_id"]
    page = visit(served.url)
    turn(page, "Runs")
    shows(detail(page), selected)
    arguments = command("backtest", "run", "studies/slow.yaml", "--json")
    other = subprocess.Popen(arguments, cwd=served.root, stdout=subprocess.PIPE, text=True)
    try:
        shows(row(page).nth(0), r"slow.*running \d+%")
        # What was selected stays selected while rows come and change.
        shows(detail(page), selected)
        shows(page.locator("tr[aria-selected=true]:visible"), "fast=20")
        row(page).nth(0).click()
        shows(detail(page), "slow.*running")
        page.locator("[role=progressbar]:visible").wait_for()
        page.get_by_role("button", name="Cancel").click()
        shows(detail(page), "slow.*cancelled")
        printed, _ = other.communicate(timeout=20)
        assert json.loads(printed)["status"] == "cancelled"
    finally:
        other.kill()
        other.wait()


def test_hostile_text_is_only_text(served, visit):
    done = run(served.root, "studies/slow.yaml", "-p", f"fault={HOSTILE}")
    page = visit(served.url)
    turn(page, "Runs")
    shows(detail(page), done["run_id"])
    cell = row(page).nth(0).locator("td").nth(3)
    shows(cell, re.escape(f"fault={HOSTILE}"))
    cell.hover()
    shows(page.locator(".pairs:visible"), re.escape(f"fault = {HOSTILE}"))
    drawn(page, 4)
    assert page.locator("img").count() == 0
    assert page.title() == "NT Workbench"


def test_a_server_that_is_gone_is_said(tmp_path, browser):
    root = make_project(tmp_path / "project")
    # Its own page: that the connection breaks is an error to the browser's console.
    page = browser.new_page()
    with serving(root, tmp_path / "log.txt") as dashboard:
        page.goto(dashboard.url)
        page.locator("ul.checks").wait_for()
        assert page.locator("#lost").is_hidden()
        dashboard.process.kill()
        dashboard.process.wait()
        shows(page.locator("#lost:visible"), "does not answer.*workbench dashboard")
    page.close()
