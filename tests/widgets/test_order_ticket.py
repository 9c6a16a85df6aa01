"""The order ticket in Chromium, on a node that does not answer: one order, however often asked."""

import os
import signal

import pytest
from playwright.sync_api import expect

from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, end_nodes, fill, press, said
from tests.widgets.support import serving_widgets
from workbench import live

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 60_000  # a node has 16 seconds to answer


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    from tests.conftest import make_project

    return make_project(tmp_path_factory.mktemp("ticket") / "project")


@pytest.fixture(scope="module")
def url(project):
    with serving_widgets(project.root) as url:
        yield url


@pytest.fixture
def node(project):
    document = live_study(project, speed=86_400 * 2, risk=RISK)
    yield live.launch(document, project, name="deaf")
    end_nodes(project)


def fills(node, name):
    return sum(each["type"] == "order.filled" and name in str(each) for each in node.events())


def test_an_order_whose_answer_was_lost_is_placed_once(url, visit, node):
    page = visit(f"{url}/OrderTicket")
    expect(page.get_by_text("the sandbox, USD")).to_be_visible()
    expect(page.get_by_text("last", exact=True)).to_be_visible(timeout=PATIENCE)
    fill(page, "Quantity", "10")
    place = page.get_by_role("button", name="Place BUY 10")
    expect(place).to_be_enabled()
    name = page.get_by_label("Order's id").input_value()
    pid = node.state()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        place.click()
        expect(place).to_be_disabled()
        said(page, f"Not placed.*ask again with client_order_id '{name}'", ".failure",
             timeout=PATIENCE)  # fmt: skip
        expect(page.get_by_label("Order's id")).to_have_value(name)
    finally:
        os.kill(pid, signal.SIGCONT)
    # Asked again, the node says what became of it; it had heard it the first time.
    expect(page.locator(".age")).to_have_text("up to date")
    expect(place).to_be_enabled()
    place.click()
    said(page, f"{name}: filled.*10 at", ".good")
    expect(place).to_be_disabled()
    assert fills(node, name) == 1
    # Another one is another order.
    press(page, "New order")
    expect(page.get_by_label("Order's id")).not_to_have_value(name)
    place.click()
    said(page, r"D\w+: filled", ".good")
    another = page.get_by_label("Order's id").input_value()
    assert (fills(node, name), fills(node, another)) == (1, 1)
