"""Widgets in a real JupyterLab: in a cell and in an ipywidgets layout, offline."""

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project
from tests.app.support import row, shows
from tests.lab import in_lab
from workbench import backtest
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXPLORER = "from workbench.widgets import RunExplorer\nRunExplorer()"
LAYOUT = """\
import ipywidgets
from workbench.widgets import BacktestRunner

runner = BacktestRunner(study="ema-cross.yaml")
ipywidgets.VBox([ipywidgets.HTML("<b>A layout</b>"), runner.widget()])"""


def test_widgets_in_a_cell_and_in_a_layout(browser, tmp_path):
    root = make_project(tmp_path / "project")
    first = backtest.run(root / "studies" / "ema-cross.yaml", project=Project(root))
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
    with in_lab(root, [EXPLORER, LAYOUT], tmp_path) as address:
        page.goto(address)
        page.locator(".jp-Notebook").wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_text("Run", exact=True).first.click()
        page.locator('[data-command="runmenu:run-all"]').click()
        explorer, layout = (page.locator(".jp-CodeCell").nth(at) for at in (0, 1))
        shows(explorer.locator(".head"), f"ema-cross.*done.*{first.id}", 40)
        explorer.locator(".bk-Figure").nth(3).wait_for()
        # In the layout: a value the config refuses, then a run.
        layout.locator(".widget-html b").get_by_text("A layout").wait_for()
        layout.get_by_label("fast").fill("ten")
        shows(layout.locator('.row[data-key="fast"] .help'), "found 'ten'")
        layout.get_by_label("fast").fill("20")
        button = layout.get_by_role("button", name="Run", exact=True)
        expect(button).to_be_enabled()
        button.click()
        shows(layout.locator(".notice.good"), "Done in .*return")
        # The cell above follows the run store by itself; the theme is that of the page.
        shows(row(explorer, "fast=20"), "ema-cross.*done")
        row(explorer, "fast=20").click()
        shows(explorer.locator(".head"), "ema-cross.*done")
        assert layout.locator(".day").count() > 0
        page.get_by_text("Settings", exact=True).first.click()
        page.get_by_text("Theme", exact=True).first.hover()
        page.get_by_text("JupyterLab Dark", exact=True).click()
        layout.locator(".night").first.wait_for(state="attached")
        explorer.locator(".night").first.wait_for(state="attached")
        page.close()
    assert faults == []
