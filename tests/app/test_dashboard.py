"""The page, looked at in Chromium: what it shows is what the project's files say."""

import re
from pathlib import Path

import pytest

from tests.app.conftest import make_project, run, serving
from tests.app.support import detail, drawn, row, shows, stored, turn

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Make a project with a run done, one with another parameter, and one that failed."""
    root = make_project(tmp_path_factory.mktemp("dashboard") / "project")
    done = run(root, "studies/ema-cross.yaml")
    other = run(root, "studies/ema-cross.yaml", "-p", "fast=20")
    failed = run(root, "studies/slow.yaml", "-p", "fault=on_bar")
    assert [one["status"] for one in (done, other, failed)] == ["done", "done", "failed"]
    return {"done": done, "other": other, "failed": failed}


@pytest.fixture(scope="module")
def served(runs, tmp_path_factory):
    root = Path(runs["done"]["folder"]).parents[2]
    with serving(root, tmp_path_factory.mktemp("log") / "log.txt") as dashboard:
        yield dashboard


def test_runs_and_the_newest_in_full(served, visit, runs):
    page = visit(served.url)
    turn(page, "Runs")
    shows(row(page).nth(0), "slow.*failed.*fault=on_bar")
    shows(row(page).nth(1), "ema-cross.*done.*fast=20")
    done = stored(served)[2]
    figures = rf"{done.statistics['total_return']:+.2%}".replace("%", " %")
    shows(row(page).nth(2), rf"done.*{re.escape(figures)}.*{done.statistics['sharpe']:.2f}")
    assert f"{done.n_fills}" in row(page).nth(2).inner_text()
    # The newest is in front: what it failed of, where, and what it had done until then.
    shows(detail(page), "slow.*failed")
    shows(page.locator(".notice.failure:visible b"), "ValueError: struck in on_bar")
    shows(page.locator(".notice.failure:visible pre"), "Traceback.*faulty.py.*in on_bar")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_run_with_its_charts(served, visit, runs, scheme):
    page = visit(served.url, scheme=scheme)
    turn(page, "Runs")
    row(page, "ema-cross", "fast=20").click()
    shows(detail(page), f"ema-cross.*done.*{runs['other']['run_id']}")
    shows(page.locator(".tiles:visible"), "Net profit.*Total return.*Sharpe ratio.*Max drawdown")
    profit = float(runs["other"]["pnl"]["USD"])
    shows(page.locator(".tile:visible b").nth(0), re.escape(f"+{profit:,.2f}"))
    assert min(drawn(page, 4)) > 500
    page.locator(".bk-Figure:visible").nth(0).scroll_into_view_if_needed()
    shows(page.locator(".pairs:visible"), "fast = 20.*AAPL.XNAS.*2005-01-01 to 2013-03-01")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(244, 246, 248)", "dark": "rgb(13, 18, 23)"}[scheme]
    # The address holds what is selected: it can be kept and sent on, and the theme switched.
    page.wait_for_url(re.compile(runs["other"]["run_id"]))
    page.locator("#theme").click()
    shows(page.locator("#theme"), "Dark theme" if scheme == "dark" else "Light theme")
    shows(detail(page), runs["other"]["run_id"])
    assert min(drawn(page, 4)) > 500


def test_the_report_can_be_downloaded(served, visit, runs, tmp_path):
    page = visit(served.url)
    turn(page, "Runs")
    row(page, "ema-cross", "fast=20").click()
    shows(detail(page), runs["other"]["run_id"])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report").click()
    assert download.value.suggested_filename == f"{runs['other']['run_id']}.html"
    download.value.save_as(tmp_path / "report.html")
    written = Path(runs["other"]["folder"]) / "report.html"
    assert (tmp_path / "report.html").read_bytes() == written.read_bytes()
    shows(page.locator(".notice.good:visible"), "Report: .gateway/runs/.*/report.html")


def test_two_runs_compared(served, visit, runs):
    page = visit(served.url)
    turn(page, "Runs")
    row(page, "ema-cross", "fast=20").click()
    shows(detail(page), runs["other"]["run_id"])
    row(page, "ema-cross").nth(1).click(modifiers=["Control"])
    shows(detail(page), "2 runs compared")
    assert min(drawn(page, 1)) > 500
    shows(page.locator("table.compared:visible tr").filter(has_text="fast"), "fast.*20.*10")
    shows(
        page.locator("table.compared:visible tr").filter(has_text="Sharpe ratio"),
        r"\d\.\d\d.*\d\.\d\d",
    )


def test_filters(served, visit):
    page = visit(served.url)
    turn(page, "Runs")
    shows(row(page).nth(0), "slow")
    study, status = (page.locator("select:visible").nth(at) for at in (0, 1))
    study.select_option("ema-cross")
    page.get_by_text("2 runs").wait_for()
    row(page, "slow").wait_for(state="detached")
    status.select_option("cancelled")
    page.get_by_text("No run matches.").wait_for()
    status.select_option("All statuses")
    study.select_option("All studies")
    page.get_by_text("3 runs").wait_for()


def test_a_study_that_cannot_run_says_where(served, visit):
    study = served.root / "studies" / "wrong.yaml"
    right = (served.root / "studies" / "ema-cross.yaml").read_text()
    study.write_text(right.replace("fast: 10", "fats: 10"))
    line = next(at for at, text in enumerate(right.splitlines(), 1) if "fast: 10" in text)
    try:
        page = visit(served.url)
        turn(page, "Backtest")
        page.get_by_label("Study").locator("visible=true").select_option("wrong.yaml")
        said = page.locator(".notice.failure:visible")
        shows(said, rf"studies/wrong.yaml cannot be run.*wrong.yaml:{line}: .*fats.*fast")
        shows(page.locator("li.wrong:visible"), "fats: 10")
        assert page.get_by_role("button", name="Run", exact=True).is_disabled()
        # Put right in an editor, it can be run without touching the page.
        study.write_text(right)
        page.get_by_label("fast").wait_for()
        said.wait_for(state="hidden")
        assert page.get_by_role("button", name="Run", exact=True).is_enabled()
    finally:
        study.unlink()


def test_an_empty_project_says_what_to_do(tmp_path, visit):
    root = tmp_path / "project"
    (root / ".gateway").mkdir(parents=True)
    with serving(root, tmp_path / "log.txt") as dashboard:
        page = visit(dashboard.url)
        steps = page.locator("ul.checks:visible")
        shows(steps, "Study.*None in studies/ yet.*Data.*is empty.*Backtest.*Live")
        steps.get_by_role("button", name="Run a study").click()
        shows(page.locator(".empty:visible"), "No studies yet.*workbench init")
        turn(page, "Runs")
        shows(page.locator(".empty:visible"), "No runs yet.*workbench backtest run")
        page.get_by_role("button", name="Run a study").click()
        shows(page.locator(".empty:visible"), "No studies yet.*workbench init")
        turn(page, "Plan and catalog")
        shows(page.locator(".empty:visible").last, "No data yet.*workbench data fetch")
        for name, text in (("Nodes", "No nodes yet"), ("Go live", "No finished run yet"),
                           ("Orders", "No nodes yet"), ("Risk", "No nodes yet")):  # fmt: skip
            turn(page, name)
            shows(page.locator(".empty:visible"), text)
        page.close()


def test_a_store_that_cannot_be_read_is_said(tmp_path, visit):
    root = make_project(tmp_path / "project")
    with serving(root, tmp_path / "log.txt") as dashboard:
        page = visit(dashboard.url)
        turn(page, "Runs")
        page.locator(".empty:visible").wait_for()
        for path in (root / ".gateway" / "runs").iterdir():
            path.write_bytes(b"not a database" * 100)
        said = page.locator(".notice.failure:visible")
        shows(said, "cannot be brought up to date.*runs.sqlite cannot be used.*not a database")
        page.close()
