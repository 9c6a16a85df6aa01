"""The backtest runner in Chromium, on real runs: wrong parameters, a run, its end, a cancel."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project
from tests.app.support import drawn, shows
from tests.widgets.support import serving_widgets
from workbench.backtest import RunStore, start
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("runner") / "project")


@pytest.fixture(scope="module")
def url(root):
    with serving_widgets(root) as url:
        yield f"{url}/BacktestRunner"


def run_button(page):
    return page.get_by_role("button", name="Run", exact=True)


def test_what_the_config_refuses_is_said_at_the_field_and_the_rest_runs(visit, url, root):
    page = visit(url)
    page.get_by_label("Study").select_option("ema-cross.yaml")
    page.get_by_label("fast").fill("ten")
    shows(page.locator('.row[data-key="fast"] .help'), r"int.*found 'ten'")
    expect(page.get_by_label("fast")).to_have_attribute("aria-invalid", "true")
    expect(run_button(page)).to_be_disabled()
    # What the config says of several values together stands above the button.
    page.get_by_label("fast").fill("60")
    shows(page.locator(".notice.failure"), "refused.*fast < slow")
    page.get_by_label("fast").fill("20")
    page.locator(".notice.failure").wait_for(state="detached")
    page.get_by_label("close_on_stop").select_option("True")
    run_button(page).click()
    shows(page.locator(".notice.good"), r"Done in .*return .*Sharpe ratio .* fills")
    (run,) = RunStore(Project(root)).list()
    assert run.params == {"fast": 20, "close_on_stop": True}
    shows(page.locator(".head"), f"ema-cross.*done.*{run.id}")
    assert min(drawn(page, 4)) > 500
    # As the study has them again.
    page.get_by_role("button", name="As the study has them").click()
    expect(page.get_by_label("fast")).to_have_value("10")


def test_a_run_shows_its_progress_and_is_cancelled(visit, url, root):
    page = visit(url, scheme="dark")
    page.get_by_label("Study").select_option("slow.yaml")
    page.get_by_label("fault").wait_for()
    run_button(page).click()
    page.locator("[role=progressbar]").wait_for()
    page.get_by_text(re.compile(r"^slow: ([3-9]|\d\d)%")).wait_for()
    expect(run_button(page)).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    shows(page.locator(".notice").first, "Cancelled")
    assert RunStore(Project(root)).list()[0].status == "cancelled"
    expect(run_button(page)).to_be_enabled()


def test_a_page_that_is_reloaded_shows_its_run_and_cancels_it(visit, url, root):
    page = visit(url)
    page.get_by_label("Study").select_option("slow.yaml")
    page.get_by_label("fault").wait_for()
    run_button(page).click()
    page.get_by_text(re.compile(r"^slow: [1-9]\d?%$")).wait_for()
    page.reload()
    page.get_by_label("Study").select_option("slow.yaml")
    shows(page.get_by_text("begun elsewhere"), r"^slow: \d+%, begun elsewhere")
    (run,) = (run for run in RunStore(Project(root)).list(status="running"))
    page.get_by_role("button", name="Cancel").click()
    shows(page.locator(".notice").first, "Cancelled")
    assert RunStore(Project(root)).get(run.id).status == "cancelled"
    page.get_by_text("begun elsewhere").wait_for(state="hidden")


def test_a_run_of_another_process_is_shown_to_its_end(visit, url, root):
    page = visit(url)
    page.get_by_label("Study").select_option("slow.yaml")
    page.get_by_label("fault").wait_for()
    running = start(root / "studies" / "slow.yaml")
    shows(page.get_by_text("begun elsewhere"), r"^slow: \d+%, begun elsewhere")
    running.cancel()
    assert running.wait().status == "cancelled"
    shows(page.locator(".notice").first, "Cancelled")
    shows(page.locator(".head"), f"slow.*cancelled.*{running.id}")


def test_a_strategy_that_fails_is_told_with_its_traceback(visit, url):
    page = visit(url)
    page.get_by_label("Study").select_option("slow.yaml")
    page.get_by_label("fault").fill("on_bar")
    page.get_by_label("fault").press("Tab")
    run_button(page).click()
    shows(page.locator(".notice.failure b").first, "Failed: .*ValueError: struck in on_bar")
    shows(page.locator(".notice.failure pre").first, r"Traceback.*faulty\.py.*in on_bar")


def test_everything_is_reached_and_named_without_a_mouse(visit, url):
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        page = visit(url, scheme=scheme)
        page.get_by_label("Study").select_option("ema-cross.yaml")
        page.get_by_label("fast").wait_for()
        page.wait_for_timeout(300)
        found = Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], serious
    page.get_by_label("Study").focus()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("""() => {
            let at = document.activeElement;
            while (at && at.shadowRoot && at.shadowRoot.activeElement)
                at = at.shadowRoot.activeElement;
            return at.innerText || at.id;
        }""")
        )
    assert any("fast" in one for one in reached)
    assert "Run" in reached
