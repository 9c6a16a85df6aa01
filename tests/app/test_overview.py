"""The first view: alerts of nodes that have ended, as long as nobody has seen them."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.app.conftest import serving
from tests.app.support import shows
from tests.conftest import make_project
from tests.live.conftest import live_study
from tests.widgets.live_support import end_nodes
from workbench import live

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RISK = {"max_orders": "100/1s", "max_notional_per_order": "2_000_000 USD", "stale_feed": "200ms"}


@pytest.fixture
def project(tmp_path):
    project = make_project(tmp_path / "project")
    yield project
    end_nodes(project)


def alerted(project, name):
    """Launch a node that has a bar every half second, too seldom for it, and wait for the alert."""
    study = live_study(project, speed=172_800, risk=RISK, trader=f"{name.upper()}-001")
    node = live.launch(study, project, name=name)
    late = time.monotonic() + 30
    while not (alerts := live.risk.show(node)["alerts"]):
        assert time.monotonic() < late
        time.sleep(0.05)
    return node, alerts


def test_an_alert_nobody_has_seen_outlasts_its_node(project, visit, tmp_path):
    seen, _ = alerted(project, "seen")
    missed, alerts = alerted(project, "missed")
    for alert in live.risk.show(seen)["alerts"]:
        live.risk.acknowledge(seen, alert["number"], who="ann")
    with serving(project.root, tmp_path / "log.txt") as served:
        page = visit(served.url)
        rows = page.get_by_role("table", name="Alerts").locator("tbody tr")
        expect(rows.filter(has_text="missed")).not_to_have_count(0)
        expect(rows.filter(has_text="ended")).to_have_count(0)
        for node in (seen, missed):
            node.kill()
        left = live.history.alerts(missed)
        assert [each["message"] for each in left[: len(alerts)]] == [
            each["message"] for each in alerts
        ]
        assert {each["acknowledged"] for each in live.history.alerts(seen)} >= {"ann"}
        assert live.history.alerts(missed, seconds=0) == []
        # What nobody has seen stays; what somebody has seen goes with its node.
        shows(rows.filter(has_text="missed").first, "missed.*is silent.*not seen, ended")
        unseen = [each for each in live.history.alerts(seen) if not each["acknowledged"]]
        expect(rows.filter(has_text=re.compile("^seen"))).to_have_count(len(unseen))
        expect(rows).to_have_count(len(left) + len(unseen))
        shows(
            page.locator(".tile:visible", has_text="Alerts not seen"),
            rf"Alerts not seen\s*{len(left) + len(unseen)}",
        )
        rows.first.get_by_role("button").click()
        page.wait_for_url(re.compile("view=risk&node="))
        page.close()
