"""The adapter form in Chromium: settings, secrets, and the connection check of a practice venue."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project
from tests.widgets.axe import serious
from tests.widgets.support import serving_widgets
from workbench import venue
from workbench.adapters import check_study
from workbench.core.project import Project
from workbench.study import StudyStore, load

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KEY = "planted-key-8Jq2vT5mW"
SECRET = "planted-secret-Zx81Lm0Pq"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("adapters") / "project")


@pytest.fixture(scope="module")
def kept(root):
    """Where secrets are kept in these tests."""
    return {"WORKBENCH_SECRETS_FILE": str(root.parent / "secrets.json")}


@pytest.fixture(scope="module")
def url(root, kept):
    with serving_widgets(root, **kept) as url:
        yield url


def row(page, key):
    return page.locator(f'.row[data-key="{key}"]')


def control(page, key):
    return row(page, key).locator("input, select").first


def listed(kept, root):
    """Return what the command line says is stored."""
    process = subprocess.run(
        [sys.executable, "-m", "workbench", "secrets", "list"],
        cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "WORKBENCH_PASSPHRASE": "a long passphrase", **kept},
    )  # fmt: skip
    return process.stdout


def test_configured_against_the_practice_venue_it_connects_and_goes_into_a_study(visit, url, root):
    page = visit(f"{url}/AdapterForm")
    expect(page.get_by_label("Adapter")).to_have_value("bybit")
    page.get_by_label("Environment").select_option("practice")
    # Without a venue it is said what to do, where the keys would stand and where it is checked.
    group = page.locator('[data-group="credentials"]')
    expect(group).to_contain_text("no practice venue runs in this project")
    page.get_by_role("button", name="Check the connection").click()
    expect(page.get_by_role("alert")).to_contain_text("Start one: workbench venue serve")
    symbols = ["BTCUSDT:tick=0.1,step=0.001,price=30000"]
    with venue.start(project=Project(root), symbols=symbols):
        # A wrong setting is told at its field, and the study is not touched.
        control(page, "data.max_retries").fill("many")
        expect(row(page, "data.max_retries")).to_contain_text("is a whole number, found 'many'")
        expect(page.get_by_role("button", name="Put it into the study")).to_be_disabled()
        control(page, "data.max_retries").fill("5")
        row(page, "data.product_types").get_by_label("spot").check()
        expect(page.locator("pre", has_text="live:")).to_contain_text("max_retries: 5")
        page.get_by_role("button", name="Check the connection").click()
        steps = page.locator("table.steps tr")
        expect(steps.first).to_contain_text("127.0.0.1", timeout=30_000)
        page.get_by_text("It works").wait_for(timeout=30_000)
        expect(steps).to_have_count(5)
        expect(page.locator("table.steps .status.done")).to_have_count(5)
        expect(steps.last).to_contain_text("BTCUSDT-LINEAR.BYBIT")
    page.get_by_label("Study").select_option("ema-cross.yaml")
    page.get_by_role("button", name="Put it into the study").click()
    page.get_by_text("stored as version 1").wait_for()
    study = load(root / "studies" / "ema-cross.yaml")
    assert study.live.environment == "practice"
    assert study.live.feeds[0].model_extra == {
        "product_types": ["spot", "linear"],
        "max_retries": 5,
    }
    assert check_study(study) == []
    assert StudyStore(Project(root)).load("ema-cross", 1).digest == study.digest


def test_secrets_go_to_the_store_and_never_come_back(visit, url, root, kept):
    page = visit(f"{url}/AdapterForm")
    received = []
    page.on("websocket", lambda one: one.on("framereceived", lambda frame: received.append(frame)))
    page.reload()
    page.get_by_label("Environment").select_option("testnet")
    group = page.locator('[data-group="credentials"]')
    expect(group).to_contain_text("waits for its passphrase")
    for passphrase in ("short", "a long passphrase"):
        control(page, "passphrase").fill(passphrase)
        group.get_by_role("button", name="Unlock").click()
    page.get_by_text("The store is open").wait_for()
    group.get_by_role("button", name="Store", exact=True).click()
    page.get_by_text("Nothing was entered").wait_for()
    assert control(page, "secret.api_key").get_attribute("type") == "password"
    control(page, "secret.api_key").fill(KEY)
    control(page, "secret.api_secret").fill(SECRET)
    group.get_by_role("button", name="Store", exact=True).click()
    page.get_by_text(re.compile("Stored api_key, api_secret of bybit")).wait_for()
    expect(row(page, "secret.api_key")).to_contain_text("Stored: encrypted file")
    expect(control(page, "secret.api_key")).to_have_value("")
    assert re.search(r"bybit +testnet +api_key", listed(kept, root))
    page.get_by_label("Environment").select_option("demo")
    expect(row(page, "secret.api_key")).to_contain_text("Not stored")
    page.get_by_label("Environment").select_option("testnet")
    expect(row(page, "secret.api_key")).to_contain_text("Stored: encrypted file")
    html = page.evaluate("document.documentElement.outerHTML")
    sent = " ".join(str(frame) for frame in received) + html
    assert len(received) > 5
    assert KEY not in sent
    assert SECRET not in sent
    assert KEY not in " ".join(p.read_text(errors="replace") for p in root.rglob("*.y*ml"))
    # Taking them away is asked for twice.
    group.get_by_role("button", name="Remove what is stored").click()
    group.get_by_role("button", name="Keep them").click()
    group.get_by_role("button", name="Remove what is stored").click()
    group.get_by_role("button", name="Remove them for good").click()
    page.get_by_text("Removed api_key, api_secret of bybit").wait_for()
    expect(row(page, "secret.api_key")).to_contain_text("Not stored")
    assert "bybit" not in listed(kept, root)


def test_every_adapter_has_its_form(visit, url):
    page = visit(f"{url}/AdapterForm")
    expect(page.get_by_label("Adapter")).to_have_value("bybit")
    names = page.get_by_label("Adapter").locator("option").all_inner_texts()
    assert len(names) > 15
    for name in ("binance", "interactive_brokers", "polymarket", "sandbox"):
        page.get_by_label("Adapter").select_option(name)
        expect(page.locator("pre")).to_contain_text(f"adapter: {name}")
        expect(page.locator('[data-group="execution"]')).to_be_visible()
    expect(page.get_by_role("button", name="Check the connection")).to_be_disabled()
    assert serious(page) == []
    expect(page.locator('[data-group="credentials"]')).to_contain_text("It takes none")
    page.get_by_label("Adapter").select_option("interactive_brokers")
    expect(row(page, "data.host")).to_contain_text("Host")
