"""The widgets of live nodes in JupyterLab: in a cell, and in a layout of ipywidgets."""

import pytest
from playwright.sync_api import expect

from tests.lab import in_lab
from tests.live.conftest import live_study
from workbench import live
from workbench.core.errors import WorkbenchError

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    "from workbench import widgets\nwidgets.load()",
    "widgets.NodeMonitor()",
    "import ipywidgets\nipywidgets.VBox([widgets.RiskPanel().widget()])",
]


def test_a_node_is_watched_and_halted_in_a_notebook(project, tmp_path, browser):
    node = live.launch(live_study(project, speed=86_400), project)
    page, faults = browser.new_page(viewport={"width": 1500, "height": 1300}), []
    page.set_default_timeout(40_000)
    page.on(
        "request",
        lambda r: (
            "//127.0.0.1" in r.url or r.url.startswith(("data:", "blob:")) or faults.append(r.url)
        ),
    )
    page.on("console", lambda m: m.type == "error" and faults.append(m.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        with in_lab(project.root, CELLS, tmp_path) as address:
            page.goto(address)
            page.locator(".jp-Notebook").wait_for()
            page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
            page.get_by_text("Run", exact=True).first.click()
            page.locator('[data-command="runmenu:run-all"]').click()
            expect(page.locator(".age").first).to_have_text("up to date", timeout=40_000)
            live.orders.submit(node, {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 9})
            expect(page.locator(".sheet.events")).to_contain_text("BUY 9 AAPL.XNAS", timeout=9_000)
            banner = page.locator(".banner")
            expect(banner).to_contain_text("active", timeout=20_000)
            page.get_by_role("button", name="Halt", exact=True).click()
            expect(banner).to_contain_text("halted", timeout=20_000)
            assert live.risk.show(node)["state"] == "halted"
            page.close()
        assert faults == []
    finally:
        try:
            node.kill()
        except WorkbenchError:
            assert not node.running
