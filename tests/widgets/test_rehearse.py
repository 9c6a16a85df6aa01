"""A rehearsal in Chromium: begun from the page, followed, cancelled; then to its end."""

import re

import pytest
from playwright.sync_api import expect

from tests.conftest import make_project
from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, choose, end_nodes, faults, press, said
from tests.widgets.support import serving_widgets
from workbench import backtest, live

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def project(tmp_path):
    project = make_project(tmp_path / "project")
    yield project
    end_nodes(project)


def test_a_run_is_rehearsed_from_the_page(project, visit):
    loose = backtest.run(live_study(project, risk={}), project=project)
    with serving_widgets(project.root) as url:
        page = visit(f"{url}/FlipPanel")
        begin = page.get_by_role("button", name="Rehearse", exact=True)
        # A closed gate ends it, with what to do.
        expect(page.get_by_label("Run", exact=True)).to_contain_text(loose.id)
        expect(begin).to_be_enabled()
        press(page, "Rehearse")
        said(page, "It was not rehearsed.*risk", ".failure")

        run = backtest.run(live_study(project, risk=RISK), project=project)
        option = page.locator("option", has_text=run.id)
        expect(option).to_have_count(1)
        choose(page, "Run", option.get_attribute("value"))
        choose(page, "Rehearse for", "300 s")
        press(page, "Rehearse")
        expect(begin).to_be_disabled()
        expect(page.get_by_role("button", name="Check the gates")).to_be_disabled()
        expect(page.get_by_text(re.compile(r"Trading: \d+%, \d+ orders"))).to_be_visible(
            timeout=60_000
        )
        node = live.node("ema-cross-rehearsal", project)
        assert node.running
        press(page, "Cancel")
        said(page, "^Cancelled$")
        assert not node.running

        expect(begin).to_be_enabled()
        choose(page, "Rehearse for", "5 s")
        press(page, "Rehearse")
        expect(page.locator(".notice.good:visible")).to_contain_text(
            re.compile("nothing is open.*orders.*fills.*500,000.00 to .* USDT", re.DOTALL),
            timeout=90_000,
        )
        assert node.state()["state"] == "STOPPED"
        assert faults(page) == []
        page.close()
