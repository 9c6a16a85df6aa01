"""The data planner in Chromium, against a venue and a vendor on this machine."""

import asyncio
import re
import threading

import pytest
from aiohttp import web
from playwright.sync_api import expect

from tests.app.conftest import make_project
from tests.data.databento.support import glbx, trades
from tests.data.exchanges.commands import STUDY
from tests.data.exchanges.support import VARIABLES, text
from tests.servers.binance import Binance
from tests.servers.databento import DatabentoServer
from tests.servers.local import LocalServer
from tests.servers.tape import DAY, Tape, now_ms
from tests.widgets.axe import serious
from tests.widgets.support import serving_widgets
from workbench.backtest.glossary import NONE
from workbench.core.project import Project
from workbench.data.catalog import Dataset, read_rows
from workbench.study.source import YAML

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    # Where a connection breaks, databento's client leaves its file to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATIENCE = 60_000
DAYS = 20
MINUTES = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"


class Gate:
    """Lets so many answers with rows pass, then holds the others back until it is opened."""

    def __init__(self):
        self.left, self.open = 0, threading.Event()

    @web.middleware
    async def middleware(self, request, handler):
        if "klines" in request.path:
            self.left -= 1
            while self.left < 0 and not self.open.is_set():
                await asyncio.sleep(0.02)
        return await handler(request)


@pytest.fixture(scope="module")
def gate():
    return Gate()


@pytest.fixture(scope="module")
def venue(gate):
    listed = now_ms() // DAY * DAY - (DAYS + 10) * DAY
    app = Binance(tapes={"usd": {"BTCUSDT": Tape(listed)}}).application()
    app.middlewares.append(gate.middleware)
    with LocalServer(app) as server:
        yield server


@pytest.fixture(scope="module")
def vendor(tmp_path_factory):
    with DatabentoServer(tmp_path_factory.mktemp("databento"), glbx(2000)) as server:
        yield server


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("planner") / "project")
    first = now_ms() // DAY * DAY - (DAYS + 2) * DAY
    content = {
        "exchange": "binance", "instrument": "BTCUSDT-PERP.BINANCE", "venue": "BINANCE",
        "currency": "USDT", "what": "bars: 1-MINUTE-LAST", "start": text(first),
        "end": text(first + DAYS * DAY),
    }  # fmt: skip
    (root / "studies" / "minutes.yaml").write_text(STUDY.format(**content))
    with (root / "studies" / "priced.yaml").open("w") as file:
        YAML(typ="safe").dump(trades().written() | {"budget": "0 USD"}, file)
    (root / "studies" / "wrong.yaml").write_text("schema: 1\nstudy: wrong\n")
    return root


@pytest.fixture(scope="module")
def url(root, venue, vendor):
    environment = dict.fromkeys(VARIABLES["binance"], venue.url) | vendor.environment
    with serving_widgets(root, **environment) as url:
        yield url


def choose(page, name):
    page.get_by_label("Study", exact=True).select_option(name)


def tile(page, name):
    return page.locator(".tile", has_text=name).locator("b")


def button(page, name):
    return page.get_by_role("button", name=name, exact=isinstance(name, str))


def test_planned_fetched_cancelled_and_gone_on_with(visit, url, root, venue, gate):
    page = visit(f"{url}/DataPlanner")
    choose(page, "minutes.yaml")
    expect(page.locator("tbody", has_text=MINUTES).first).to_contain_text("binance")
    expect(tile(page, "Datasets complete")).to_have_text("0 of 1")
    expect(tile(page, "Requests")).to_have_text(NONE)
    assert venue.requests == [], "nobody is asked before it is wanted"
    button(page, "Plan and price").click()
    expect(tile(page, "Cost")).to_have_text("free")
    expect(tile(page, "Requests")).not_to_have_text(re.compile(f"^[0{NONE}]$"))
    assert venue.count("klines") == 0, "a plan fetches no rows"
    # Fetched until the gate is shut: how far it has come is told, here and on another page.
    gate.left = 22
    button(page, "Fetch").click()
    bar = page.get_by_role("progressbar").first
    expect(page.get_by_text(re.compile(rf"{MINUTES} · [1-9][\d,]* "))).to_be_visible()
    expect(bar).to_be_visible()
    expect(button(page, "Fetch")).to_be_disabled()
    other = visit(f"{url}/DataPlanner")
    choose(other, "minutes.yaml")
    expect(other.get_by_text(re.compile(rf"{MINUTES} · [1-9][\d,]* "))).to_be_visible()
    button(other, "Cancel").click()
    other.get_by_text(re.compile("^Stopping|Cancelled: what")).first.wait_for()
    gate.open.set()
    for each in (page, other):
        each.get_by_text("Cancelled: what has arrived stays").wait_for()
    rows = len(read_rows(Dataset(Project(root), "bars", MINUTES).good()))
    assert 0 < rows < DAYS * 1440
    # The next one gets the rest, and asks for nothing twice.
    asked = venue.count("klines")
    expect(button(page, "Fetch")).to_be_enabled()
    button(page, "Fetch").click()
    page.get_by_text(re.compile(r"Fetched [\d,]+ rows in")).wait_for()
    expect(tile(page, "Datasets complete")).to_have_text("1 of 1")
    page.get_by_text("The catalog has everything").wait_for()
    whole = read_rows(Dataset(Project(root), "bars", MINUTES).good())
    assert len(whole) == DAYS * 1440 + 1
    assert venue.count("klines") - asked <= (len(whole) - rows) // 1000 + 20
    expect(button(page, "Fetch")).to_be_disabled()
    # What the catalog covers is on the page by itself.
    line = page.locator("tbody tr[data-id]", has_text=MINUTES)
    expect(line).to_contain_text(f"{len(whole):,}")
    line.click()
    page.get_by_text("Drag to move").wait_for()


def test_a_price_a_budget_and_what_is_wrong(visit, url, root, vendor):
    page = visit(f"{url}/DataPlanner", scheme="dark")
    choose(page, "wrong.yaml")
    expect(page.get_by_role("alert")).to_contain_text("studies/wrong.yaml: data: is missing")
    choose(page, "priced.yaml")
    expect(page.get_by_role("alert")).to_have_count(0)
    button(page, "Plan and price").click()
    # The vendor's library takes its time to be imported on a busy machine.
    expect(page.get_by_role("alert")).to_contain_text("more than the 0 USD", timeout=PATIENCE)
    expect(button(page, "Fetch")).to_be_disabled()
    assert serious(page) == []
    page.get_by_label("Most it may cost (USD)").fill("cheap")
    page.get_by_label("Most it may cost (USD)").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is no amount of US dollars")
    page.get_by_label("Most it may cost (USD)").fill("5")
    page.get_by_label("Most it may cost (USD)").press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    sold = dict(vendor.sold)
    button(page, "Fetch").click()
    page.get_by_text(re.compile(r"This costs [\d.]+ USD: fetch it\?")).wait_for()
    assert dict(vendor.sold) == sold, "it is asked for once more before money is spent"
    button(page, "Cancel").click()
    expect(button(page, "Fetch")).to_be_enabled()
    button(page, "Fetch").click()
    expect(button(page, re.compile("^Yes, for"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(button(page, "Fetch")).to_be_enabled()
    button(page, "Fetch").click()
    button(page, re.compile("^Yes, for")).click()
    page.get_by_text(re.compile(r"Fetched [\d,]+ rows in \d+ requests?, for [\d.]+ USD")).wait_for(
        timeout=PATIENCE
    )
    assert vendor.sold["trades"] > 0
    expect(tile(page, "Datasets complete")).to_have_text("1 of 1")
