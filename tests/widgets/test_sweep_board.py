"""The sweep board in Chromium, on a real sweep: run, cancelled, completed, read."""

import re
import subprocess

import pytest
from playwright.sync_api import expect

from tests.app.conftest import command, make_project
from tests.app.support import drawn, row, shows
from tests.widgets.support import serving_widgets
from workbench.backtest import RunStore, run_sweep, sweep_results
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GRID = """\
schema: 1
study: grid
data:
  - {provider: sample, instrument: AAPL.XNAS, bars: 1-DAY-LAST, start: 2010-01-01, end: 2012-01-01}
venues:
  - {name: XNAS, account: margin, balances: [500_000 USD], fees: {maker: 0, taker: 0.0001}}
strategy: {path: "workbench.strategies.ema_cross:EMACross", params: {trade_size: 1_000}}
sweep: {params: {fast: [5, 10, 60], slow: [50, 80]}}
"""


def made(folder):
    root = make_project(folder / "project")
    for path in (root / "studies").glob("*.yaml"):
        if path.stem not in ("my-strategy", "slow"):
            path.unlink()
    (root / "studies" / "grid.yaml").write_text(GRID)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Make a project whose sweep has been run."""
    root = made(tmp_path_factory.mktemp("board"))
    run_sweep(root / "studies" / "grid.yaml")
    return root


@pytest.fixture(scope="module")
def url(root):
    with serving_widgets(root) as url:
        yield f"{url}/SweepBoard"


def test_a_sweep_is_cancelled_completed_and_read(visit, tmp_path):
    root = made(tmp_path)
    with serving_widgets(root) as url:
        page = visit(f"{url}/SweepBoard")
        run_cancelled_and_completed(page, root)
        page.close()


def run_cancelled_and_completed(page, root):
    expect(page.get_by_label("Study")).to_have_value("grid.yaml")  # the first that has a sweep
    shows(page.locator(".empty:visible"), "No sweep of this study yet.*Run the sweep")
    page.get_by_text("= 6 points").wait_for()
    page.get_by_role("button", name="Run the sweep").click()
    row(page, "done").first.wait_for()  # results come while it runs
    page.get_by_role("button", name="Cancel").click()
    shows(page.locator(".notice.hint"), "Cancelled")
    missing = page.get_by_role("button", name="Run what is missing")
    missing.wait_for()
    before = sweep_results(project=Project(root))
    assert 0 < before.counts["done"] < 5
    missing.click()
    # One point is refused by the strategy: the sweep says so, and why.
    shows(page.locator(".notice.warning"), "5 of 6 points done", 40)
    shows(page.locator(".head").first, "5 done, 1 failed")
    result = sweep_results(project=Project(root))
    assert result.id == before.id
    best = max(result.runs, key=lambda run: run.statistics.get("sharpe") or float("-inf"))
    words = page.get_by_text("In words").locator("..")
    shows(words, r"5 of 6 points are done: 1 failed\. The reason: .*fast < slow")
    at = f"fast = {best.params['fast']}, slow = {best.params['slow']}"
    shows(words, f"The best Sharpe ratio is {best.statistics['sharpe']:.2f}, at {at}")
    shows(page.locator(".shares"), r"(fast|slow).*\d%.*(fast|slow).*\d%")
    # The best stands first in the table, the failed one last.
    shows(row(page).first, f"{best.params['fast']}.*{best.params['slow']}.*done")
    shows(row(page).last, "60.*50.*failed")
    assert drawn(page, 1)[0] > 500


def test_a_point_is_opened_and_another_statistic_compared(visit, url):
    page = visit(url, scheme="dark")
    row(page).nth(4).wait_for()
    page.get_by_label("Compared by").select_option("Max drawdown")
    page.get_by_text("The smallest max drawdown is").wait_for()
    shows(page.locator("h3").last, "What moves the Max drawdown")
    page.get_by_label("Down").select_option("fast")  # the same twice: a line over one
    page.wait_for_timeout(800)
    assert drawn(page, 1)[0] > 300
    row(page).first.click()
    shows(page.locator(".head").last, "grid.*done")
    assert min(drawn(page, 5)) > 300


def test_a_sweep_of_another_process_is_followed(visit, url, root):
    page = visit(url)
    row(page).nth(4).wait_for()
    seen = page.locator(".head .id").first.inner_text()
    process = subprocess.run(
        command("sweep", "run", "studies/grid.yaml", "--json"), cwd=root, capture_output=True
    )
    assert process.returncode == 1  # the refused point
    # What is shown stays; the new one can be chosen.
    assert page.locator(".head .id").first.inner_text() == seen
    sweeps = page.get_by_label("Sweep", exact=True)
    expect(sweeps.locator("option")).to_have_count(2)
    sweeps.select_option(index=0)
    newest = RunStore(Project(root)).sweeps()[0]["id"]
    shows(page.locator(".head .id").first, re.escape(newest))


def test_a_sweep_of_another_process_is_cancelled_from_the_board(visit, tmp_path):
    root = made(tmp_path)
    with serving_widgets(root) as url:
        process = subprocess.Popen(
            command("sweep", "run", "studies/grid.yaml", "--processes", "1"), cwd=root,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        page = visit(f"{url}/SweepBoard")
        cancel = page.get_by_role("button", name="Cancel the sweep")
        cancel.wait_for(timeout=60_000)
        expect(page.get_by_role("button", name="Run what is missing")).to_be_hidden()
        cancel.click()
        shows(page.locator(".notice.hint"), "Cancelled", 40)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130, said
        expect(cancel).to_be_hidden()
        result = sweep_results(project=Project(root))
        assert (result.status, result.counts["running"]) == ("incomplete", 0)
        # It goes on from there; a page opened meanwhile can cancel it as well.
        page.get_by_role("button", name="Run what is missing").click()
        shows(page.locator(".notice.warning"), "5 of 6 points done", 60)
        page.close()


def test_studies_without_a_sweep_and_wrong_ones_say_what_to_do(visit, url, root):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(url)
    row(page).nth(4).wait_for()
    drawn(page, 1)
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert serious == [], serious
    page.get_by_label("Study").select_option("slow.yaml")
    shows(page.locator(".notice.hint"), "slow.yaml has no sweep.*sweep: {params:")
    expect(page.get_by_role("button", name="Run the sweep")).to_be_disabled()
    grid = root / "studies" / "grid.yaml"
    page.get_by_label("Study").select_option("grid.yaml")
    page.get_by_text("= 6 points").wait_for()
    grid.write_text(GRID.replace("fast: [5", "fats: [5").replace("schema: 1", "schema: 7"))
    shows(page.locator(".notice.failure"), r"grid.yaml cannot be run.*grid.yaml:1: schema")
    expect(page.get_by_role("button", name="Run the sweep")).to_be_disabled()
    grid.write_text(GRID)
    page.get_by_text("= 6 points").wait_for()
