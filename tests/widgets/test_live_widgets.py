"""The widgets of live nodes in Chromium, on real nodes: hung, switched off, for everybody."""

import os
import re
import signal
import threading
import time

import pytest
from playwright.sync_api import expect

from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, end_nodes, faults, press, said
from tests.widgets.support import serving_widgets
from workbench import live
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TWO_A_SECOND = 86_400 * 2


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


@pytest.fixture
def launch(project):
    def call(name, **changes):
        document = live_study(
            project, speed=TWO_A_SECOND, risk=RISK, trader=f"{name.upper()}-001", **changes
        )
        node = live.launch(document, project, name=name)
        late = time.monotonic() + 10
        while not node.status()["feeds"][0]["rows"] and time.monotonic() < late:
            time.sleep(0.05)
        return node

    return call


def test_a_node_that_hangs_holds_up_nothing(project, url, visit, launch):
    well, hung = launch("well"), launch("hung")
    page = visit(f"{url}/NodeMonitor")
    row = page.locator(".nodes tbody tr")
    expect(row.filter(has_text="hung")).to_contain_text("RUNNING")
    page.get_by_role("button", name="hung").click()
    expect(page.locator(".head h2")).to_have_text("hung")
    expect(page.locator(".age")).to_have_text("up to date")
    os.kill(hung.state()["pid"], signal.SIGSTOP)
    expect(page.locator(".age.old")).to_contain_text(
        re.compile(r"these figures are .* old: .*does not answer"), timeout=10_000
    )
    expect(row.filter(has_text="hung")).to_contain_text("no answer")
    # The page takes clicks, and the other node's figures move.
    page.get_by_role("button", name="well").click()
    expect(page.locator(".head h2")).to_have_text("well", timeout=1_000)
    live.orders.submit(well, {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 7})
    expect(page.locator(".sheet.events")).to_contain_text("BUY 7 AAPL.XNAS", timeout=2_000)
    expect(row.filter(has_text="well")).not_to_contain_text("no answer")
    page.get_by_role("button", name="hung").click()
    press(page, "Kill …")
    press(page, "Yes, kill hung")
    said(page, "hung is KILLED", ".good")
    assert well.running


def test_the_kill_switch_wants_its_phrase(url, visit, launch):
    node = launch("switched")
    live.orders.submit(node, {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 50})
    page = visit(f"{url}/RiskPanel")
    expect(page.locator(".banner")).to_contain_text("up to date")
    press(page, "Kill switch …")
    yes = page.get_by_role("button", name="Yes, end everything")
    expect(yes).to_be_disabled()
    page.get_by_label("Type flatten all nodes to confirm").fill("flatten all nodes")
    yes.click()
    said(page, "Every node was told to end.*switched: flat", ".good")
    assert node.status()["positions"] == []
    assert live.risk.show(node)["state"] == "halted"


def test_everybody_can_use_them(url, visit, launch):
    live.orders.submit(
        launch("usable"),
        {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 5, "type": "LIMIT", "price": "0.5"},
    )
    for name, shown, scheme in (
        ("NodeMonitor", "up to date", "light"), ("NodeMonitor", "up to date", "dark"),
        ("OrderTicket", "the sandbox", "light"), ("RiskPanel", "up to date", "dark"),
    ):  # fmt: skip
        page = visit(f"{url}/{name}", scheme=scheme)
        expect(page.get_by_text(shown).first).to_be_visible()
        if name == "OrderTicket":
            page.get_by_label("What", exact=True).select_option("Bracket: an entry and its exits")
            expect(page.get_by_role("checkbox", name="Stop loss")).to_be_visible()
        page.wait_for_timeout(300)
        assert faults(page) == [], name
        page.close()


def test_a_project_without_nodes_says_what_to_do_next(tmp_path, visit):
    (tmp_path / ".gateway").mkdir()
    with serving_widgets(Project(tmp_path).root) as url:
        for name, text in (("NodeMonitor", "No nodes yet"), ("FlipPanel", "No finished run yet")):
            page = visit(f"{url}/{name}")
            expect(page.get_by_text(text)).to_be_visible()
            page.close()


def test_pages_share_what_is_asked(project, url, launch):
    from workbench.widgets.live_hub import hub

    node, shared = launch("shared"), hub(project)
    assert hub(Project(project.root)) is shared
    late = time.monotonic() + 10
    while shared.look(node.id, "status").value("status") is None and time.monotonic() < late:
        time.sleep(0.05)
    view = shared.look(node.id, "status")
    assert view.value("status")["pid"] == node.state()["pid"]
    before = threading.active_count()
    for _ in range(20):
        shared.look(node.id, "status")
    assert threading.active_count() == before
    sent = live.orders.submit(node, {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 3})
    while time.monotonic() < late:
        seen = shared.look(node.id, "status").events
        if any(sent["client_order_id"] in str(each) for each in seen):
            break
        time.sleep(0.02)
    else:
        raise AssertionError("the order was never heard of")
    # The newest are kept, in order, none twice.
    numbers = [each["seq"] for each in shared.look(node.id, "status").events]
    assert numbers == sorted(set(numbers))
