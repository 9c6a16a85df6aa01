"""The study editor in Chromium: a mistake is made, found, mended, saved, compared, taken back."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.widgets.axe import serious
from tests.widgets.support import serving_widgets
from workbench.core.project import Project
from workbench.study import StudyStore, load

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CROSS = (ROOT / "studies" / "ema-cross.yaml").read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    from tests.app.conftest import make_project

    return make_project(tmp_path_factory.mktemp("editor") / "project")


@pytest.fixture(scope="module")
def url(root):
    with serving_widgets(root) as url:
        yield url


@pytest.fixture
def study(root):
    """Put the study back as it was before each test, with no stored version."""
    shutil.rmtree(Project(root).stored, ignore_errors=True)
    path = root / "studies" / "ema-cross.yaml"
    path.write_text(CROSS)
    return path


@pytest.fixture
def opened(visit, url, study):
    page = visit(f"{url}/StudyEditor")
    page.get_by_label("Study", exact=True).select_option("ema-cross.yaml")
    expect(text(page)).to_have_value(CROSS)
    return page


def text(page):
    return page.get_by_label(re.compile("^studies/"))


def field(page, key):
    """Return the control of a value of the study."""
    return page.locator(f'.row[data-key="{key}"]').locator("input, select").first


def row(page, key):
    return page.locator(f'.row[data-key="{key}"]')


def problems(page):
    return page.get_by_role("list", name="Problems")


def line_of(page, words):
    """Put the cursor at the end of the line that begins with some words."""
    area = text(page)
    area.focus()
    area.evaluate(
        """(area, words) => {
            const start = area.value.indexOf(words);
            const end = area.value.indexOf("\\n", start);
            area.setSelectionRange(end, end);
        }""",
        words,
    )


def test_a_mistake_in_the_text_is_found_at_the_line_and_the_field_and_mended(opened, study):
    page = opened
    expect(problems(page)).to_contain_text("Valid: it can run", timeout=20_000)
    line_of(page, "    bars:")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    expect(problems(page)).to_contain_text("line 10data.0.bars: unknown price type 'LA'")
    expect(row(page, "data.0.bars")).to_contain_text("Did you mean 'LAST'?")
    expect(field(page, "data.0.bars")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".gutter .wrong")).to_have_text("10")
    assert serious(page) == []
    page.keyboard.type("ST")
    expect(problems(page)).to_contain_text("Valid")
    # An unknown key is offered its right name, and gets it with one click.
    field(page, "data.0.provider").select_option("catalog")
    expect(text(page)).to_have_value(re.compile("provider: catalog"))
    area = text(page)
    area.fill(CROSS.replace("balances:", "balance:"))
    expect(problems(page)).to_contain_text("unknown key 'balance'")
    page.get_by_role("button", name="Use 'balances'").click()
    expect(text(page)).to_have_value(CROSS)
    expect(problems(page)).to_contain_text("Valid: it can run", timeout=20_000)
    assert study.read_text() == CROSS, "nothing is written before it is saved"


def test_the_form_and_the_text_are_kept_in_step(opened, study, root):
    page = opened
    expect(field(page, "strategy.params.fast")).to_have_value("10")
    field(page, "strategy.params.fast").fill("20")
    field(page, "venues.0.leverage").fill("3")
    field(page, "data.0.start").fill("2006-01-01")
    field(page, "budget").fill("5 USD")
    wanted = CROSS.replace("fast: 10,", "fast: 20,").replace("leverage: 2", "leverage: 3")
    wanted = wanted.replace("start: 2005-01-01", "start: 2006-01-01")
    expect(text(page)).to_have_value(wanted + "budget: 5 USD\n")
    field(page, "budget").fill("")
    expect(text(page)).to_have_value(wanted)
    # What the strategy's class says of it is told after a moment, and blocks nothing.
    field(page, "strategy.params.fast").fill("many")
    expect(row(page, "strategy.params.fast")).to_contain_text("fast", timeout=20_000)
    expect(problems(page)).to_contain_text("strategy.params.fast", timeout=20_000)
    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
    expect(field(page, "strategy.params.fast")).to_have_value("20")
    expect(text(page)).to_have_value(wanted)


def test_saving_stores_a_version_and_any_version_comes_back(opened, study, root):
    page = opened
    page.get_by_role("button", name="Save", exact=True).wait_for()
    field(page, "strategy.params.slow").fill("60")
    field(page, "strategy.params.slow").press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved as version 1 of ema-cross").wait_for()
    assert load(study).strategy.params["slow"] == 60
    assert study.read_text().startswith("# A moving-average cross"), "the comments are kept"
    field(page, "strategy.params.slow").fill("70")
    table = page.locator("table.compared")
    expect(table).to_contain_text("strategy.params.slow6070")
    line_of(page, "study:")
    page.keyboard.press("Control+s")
    page.get_by_text("Saved as version 2 of ema-cross").wait_for()
    versions = page.get_by_label("Stored versions")
    versions.select_option(index=1)
    expect(table).to_contain_text("strategy.params.slow6070")
    page.get_by_role("button", name="Bring it back").click()
    expect(text(page)).to_have_value(CROSS.replace("slow: 50", "slow: 60"))
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved as version 3 of ema-cross").wait_for()
    store = StudyStore(Project(root))
    assert [store.load("ema-cross", n).strategy.params["slow"] for n in (1, 2, 3)] == [60, 70, 60]


def test_what_is_not_valid_is_not_saved_nor_what_somebody_else_has_written_over(opened, study):
    page = opened
    text(page).fill(CROSS.replace("account: margin", "account: marg"))
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Not saved: first this has to be mended").wait_for()
    assert study.read_text() == CROSS
    text(page).fill(CROSS + "risk: [\n")
    expect(problems(page)).to_contain_text("is not valid YAML")
    expect(page.locator(".fields")).to_have_attribute("inert", "")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")

    # Somebody else changes the file.
    expect(text(page)).to_have_value(CROSS)
    study.write_text(CROSS.replace("slow: 50", "slow: 51"))
    expect(field(page, "strategy.params.slow")).to_have_value("51")
    field(page, "strategy.params.slow").fill("52")
    expect(text(page)).to_have_value(re.compile("slow: 52"))
    study.write_text(CROSS.replace("slow: 50", "slow: 53"))
    page.get_by_text("has been changed by somebody else, and here too").wait_for()
    page.get_by_role("button", name="Load the file").click()
    expect(text(page)).to_have_value(re.compile("slow: 53"))


def test_what_may_stand_here_and_new_studies(opened, study, root):
    page = opened
    line_of(page, "    end:")
    page.keyboard.press("Enter")
    page.keyboard.type("tic")
    page.keyboard.press("Control+Space")
    offer = page.get_by_role("option", name=re.compile("ticks"))
    offer.wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Space")
    expect(page.locator(".offers li")).to_have_text(["quotes", "trades"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(text(page)).to_have_value(re.compile("    ticks: trades\n"))
    expect(page.locator(".hint")).to_contain_text("data.0.ticks")
    text(page).fill(CROSS)
    expect(page.locator(".status:visible")).to_have_text("valid")
    page.get_by_label("New study").fill("Mine!")
    page.get_by_role("button", name="Make").click()
    page.get_by_text("cannot be its name").wait_for()
    page.get_by_label("New study").fill("mine")
    page.get_by_role("button", name="Make").click()
    expect(text(page)).to_have_value(re.compile("study: mine"))
    assert not (root / "studies" / "mine.yaml").exists()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved as version 1 of mine").wait_for()
    assert load(root / "studies" / "mine.yaml").name == "mine"
    Path(root / "studies" / "mine.yaml").unlink()


def test_sections_are_added_and_taken_away(opened):
    page = opened
    page.locator("summary", has_text="Live").click()
    page.get_by_role("button", name="Add a live section").click()
    expect(text(page)).to_have_value(re.compile("live:\n  environment: sandbox"))
    field(page, "live.environment").select_option("practice")
    expect(text(page)).to_have_value(re.compile("environment: practice"))
    feed = page.locator('[data-group="live.feeds.0"]')
    feed.get_by_label("adapter").select_option("bybit")
    feed.get_by_label("Add a setting …").select_option("product_types")
    feed.get_by_label("product_types").fill("linear")
    expect(text(page)).to_have_value(re.compile(r"product_types: linear"))
    expect(problems(page)).to_contain_text("live.feeds.0.product_types", timeout=20_000)
    page.locator('[data-group="live"]').get_by_role("button", name="Remove").click()
    expect(text(page)).to_have_value(CROSS)


def test_leaving_with_something_unsaved_asks_first_and_escape_takes_a_question_back(opened, study):
    page = opened
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    field(page, "strategy.params.slow").click()
    field(page, "strategy.params.slow").fill("61")
    expect(page.locator(".status:visible")).to_contain_text("not saved")
    # Another study is not opened over it, and the page is not left for another.
    page.get_by_label("Study", exact=True).select_option("breakout.yaml")
    page.get_by_text("ema-cross.yaml has changes that are not saved").wait_for()
    expect(page.get_by_label("Study", exact=True)).to_have_value("ema-cross.yaml")
    with page.expect_event("dialog"):
        page.evaluate("location.reload()")
    assert asked == ["beforeunload"]
    expect(field(page, "strategy.params.slow")).to_have_value("61")
    # Somebody else's change is asked about; Escape leaves both as they are.
    study.write_text(CROSS.replace("slow: 50", "slow: 53"))
    over = page.get_by_role("button", name="Save over it")
    expect(over).to_be_visible()
    page.keyboard.press("Escape")
    expect(over).to_be_hidden()
    assert "slow: 53" in study.read_text()
    expect(field(page, "strategy.params.slow")).to_have_value("61")
    page.get_by_role("button", name="Undo").click()
    expect(text(page)).to_have_value(CROSS)
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was changed by somebody else: nothing was saved").wait_for()
    over.click()
    page.get_by_text(re.compile("Saved as version .* of ema-cross")).wait_for()
    assert "slow: 61" in study.read_text()
    page.reload()
    expect(text(page)).to_be_visible()
    assert asked == ["beforeunload"], "what is saved can be left"


def test_what_is_typed_before_the_server_answers_is_kept(browser, url, study):
    """Both sides change the text before either hears of the other: the answers are held back."""
    page = browser.new_context().new_page()
    sent, held, holds = [], [], []

    def between(socket):
        server = socket.connect_to_server()
        socket.on_message(lambda message: (sent.append(message), server.send(message)))
        server.on_message(
            lambda message: held.append((socket, message)) if holds else socket.send(message)
        )

    def pass_on():
        holds.clear()
        while held:
            socket, message = held.pop(0)
            socket.send(message)

    page.route_web_socket(re.compile("/ws"), between)
    page.goto(f"{url}/StudyEditor")
    page.get_by_label("Study", exact=True).select_option("ema-cross.yaml")
    expect(text(page)).to_have_value(CROSS)
    expect(problems(page)).to_contain_text("Valid: it can run")
    holds.append(True)
    field(page, "strategy.params.fast").fill("20")
    field(page, "strategy.params.fast").press("Tab")
    field(page, "data.0.provider").select_option("catalog")
    line_of(page, "    end:")
    page.keyboard.type(" # mine")
    while not any("# mine" in str(message) for message in sent):
        page.wait_for_timeout(50)
    expect(field(page, "strategy.params.fast")).to_have_value("20")
    expect(field(page, "data.0.provider")).to_have_value("catalog")
    pass_on()
    both = CROSS.replace("fast: 10,", "fast: 20,").replace("provider: sample", "provider: catalog")
    both = both.replace("end: 2013-03-01", "end: 2013-03-01 # mine")
    expect(text(page)).to_have_value(both)
    expect(field(page, "strategy.params.fast")).to_have_value("20")
    page.keyboard.press("Control+s")
    page.get_by_text(re.compile("Saved as version .* of ema-cross")).wait_for()
    assert study.read_text() == both
    page.context.close()
