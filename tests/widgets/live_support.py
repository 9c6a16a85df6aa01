"""What the tests of the widgets of live nodes do on a page."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from workbench import live
from workbench.core.errors import WorkbenchError

RISK = {
    "max_orders": "100/1s", "max_notional_per_order": "250000 USD", "max_drawdown": "50%",
    "max_position": {"AAPL.XNAS": 5000},
}  # fmt: skip


def end_nodes(project):
    """End what a test has left running; one stopped by a signal ends when it is killed too."""
    for node in live.nodes(project):
        if node.state().get("pid"):
            try:
                node.kill()
            except WorkbenchError:
                assert not node.running


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def fill(page, label, text, at=0):
    field = page.get_by_label(label, exact=True).locator("visible=true").nth(at)
    field.fill(text)
    field.press("Tab")


def said(page, pattern, kind="", timeout=20_000):
    found = page.locator(f".notice{kind}:visible").filter(has_text=re.compile(pattern, re.DOTALL))
    expect(found.first).to_be_visible(timeout=timeout)


def choose(page, label, option):
    page.get_by_label(label, exact=True).select_option(option)


def faults(page):
    """Return what of a page some people cannot use, as axe finds it."""
    return [
        (each["id"], [node["html"] for node in each["nodes"]][:3])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
