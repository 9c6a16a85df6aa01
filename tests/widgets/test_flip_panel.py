"""The flip in Chromium: to the practice venue, cancelled, to where money is only when typed."""

import re

import pytest
from playwright.sync_api import expect

from tests.live.conftest import live_study
from tests.widgets.live_support import RISK, choose, end_nodes, fill, press, said
from tests.widgets.support import serving_widgets
from workbench import backtest, live, venue

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 60_000  # for what processes of their own do, on a busy machine
SANDBOX = """\
environment: sandbox
feeds: [{adapter: replay, speed: 172800}]
execution: [{adapter: sandbox}]
"""
REAL = """\
environment: ENVIRONMENT
feeds: [{adapter: bybit, product_types: [linear]}]
execution: [{adapter: sandbox}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    from tests.conftest import make_project

    return make_project(tmp_path_factory.mktemp("flip") / "project")


@pytest.fixture(scope="module")
def url(project):
    study = live_study(project, risk=RISK)
    backtest.run(study, project=project)
    speed = 86_400 * 50
    with (
        venue.start(study=study, project=project, speed=speed, start="2011-06-01") as there,
        # It stands in for the venue's own servers as well.
        serving_widgets(project.root, **there.ready.environment) as url,
    ):
        yield url


@pytest.fixture(autouse=True)
def _no_node_stays(project):
    yield
    end_nodes(project)


def check(page, section=None):
    """Look at the gates of a live section, or of the practice venue; all are open."""
    if section is None:
        choose(page, "Where it goes live", "The practice venue of this project")
    else:
        choose(page, "Where it goes live", "As written below")
        fill(page, "The study's live section (YAML)", section)
    press(page, "Check the gates")
    expect(page.get_by_label("Name of the node")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".checks li.shut")).to_have_count(0)


def launch(page):
    return page.get_by_role("button", name="Launch", exact=True)


def test_to_the_practice_venue(project, url, visit):
    page = visit(f"{url}/FlipPanel")
    check(page)
    expect(page.locator(".diff")).to_contain_text("AAPLUSDT-LINEAR.BYBIT")
    expect(page.get_by_text("Orders go to the practice venue on this machine")).to_be_visible()
    expect(page.get_by_label(re.compile("^Type"))).to_be_hidden()
    fill(page, "Name of the node", "practised")
    launch(page).click()
    said(page, "practised is running", ".good", timeout=PATIENCE)
    node = live.node("practised", project)
    assert node.running
    assert node.state()["environment"] == "practice"


def test_a_launch_is_cancelled(project, url, visit):
    page = visit(f"{url}/FlipPanel")
    check(page, SANDBOX)
    fill(page, "Name of the node", "given-up")
    launch(page).click()
    expect(launch(page)).to_be_disabled()
    page.get_by_role("button", name="Cancel").locator("visible=true").click()
    said(page, "Cancelled", timeout=PATIENCE)
    expect(launch(page)).to_be_enabled()
    assert not any(node.id == "given-up" and node.running for node in live.nodes(project))
    # It can be launched after all.
    launch(page).click()
    said(page, "given-up is running", ".good", timeout=PATIENCE)
    assert live.node("given-up", project).running


@pytest.mark.parametrize("environment", ["testnet", "live"])
def test_where_money_is_the_phrase_has_to_be_typed(project, url, visit, environment):
    page = visit(f"{url}/FlipPanel")
    check(page, REAL.replace("ENVIRONMENT", environment))
    phrase = f"ema-cross {environment}"
    typed = page.get_by_label(f"Type {phrase} to confirm")
    expect(page.locator(".chip.money")).to_have_text(environment)
    expect(launch(page)).to_be_disabled()
    for wrong in ("yes", phrase.upper(), f"{phrase} ", phrase[:-1]):
        typed.fill(wrong)
        typed.press("Tab")
        expect(typed).to_have_value(wrong)
        expect(launch(page)).to_be_disabled()
    typed.fill(phrase)
    expect(launch(page)).to_be_enabled()
    typed.press("End")
    typed.press("Backspace")
    expect(launch(page)).to_be_disabled()
    typed.fill(phrase)
    expect(launch(page)).to_be_enabled()
    signed = set((project.gateway / "promotions").glob("*.json"))
    launch(page).click()
    # Confirmed, signed, and refused at the last door: what stands in is no venue with money.
    said(page, f"points at this machine, but live.environment is {environment}", ".failure",
         timeout=PATIENCE)  # fmt: skip
    assert len(set((project.gateway / "promotions").glob("*.json")) - signed) == 1
    assert not any(node.running for node in live.nodes(project))
