"""The run explorer in Chromium, on real runs: keyboard, order, comparison, zoom."""

import pytest
from playwright.sync_api import expect

from tests.app.conftest import make_project
from tests.app.support import drawn, row, shows
from tests.widgets.support import serving_widgets
from workbench import backtest
from workbench.core.project import Project

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# The figure with the fills: where its canvas is, what its axis of time shows, and its title.
PRICE = """() => {
  const walk = (view) => view.model.type === "Figure" ? [view]
    : (view.child_views || []).flatMap(walk);
  const view = Bokeh.index.roots.flatMap(walk).find(
    (one) => one.model.renderers.some((each) => each.name === "bought"));
  const box = view.frame.bbox, at = view.el.getBoundingClientRect();
  const {start, end} = view.model.x_range;
  const count = (name) => view.model.renderers.find((each) => each.name === name)
    .data_source.get_length();
  return {
    x: at.x + box.left + box.width / 2, y: at.y + box.top + box.height / 2, start, end,
    title: view.model.title.text, fills: count("bought") + count("sold"), wicks: count("wicks"),
  };
}"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("explorer") / "project")
    project, study = Project(root), root / "studies" / "ema-cross.yaml"
    return [backtest.run(study, {"fast": fast}, project=project) for fast in (5, 10, 20)]


@pytest.fixture(scope="module")
def url(runs):
    with serving_widgets(runs[0].project.root) as url:
        yield f"{url}/RunExplorer"


def test_a_run_is_chosen_and_compared_with_the_keyboard_alone(visit, url, runs):
    page = visit(url)
    shows(page.locator(".head"), runs[2].id)  # the newest
    for _ in range(30):  # past filters and headings
        page.keyboard.press("Tab")
        if page.locator("tr:focus").count():
            break
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    shows(page.locator(".head"), runs[1].id)
    page.keyboard.press("End")
    page.keyboard.press("Control+Enter")
    shows(page.locator(".head"), "2 runs compared")
    shows(page.locator("table.compared tr").filter(has_text="fast"), "fast.*10.*5")
    expect(row(page, "fast=10")).to_have_attribute("aria-selected", "true")
    expect(row(page, "fast=20")).to_have_attribute("aria-selected", "false")


def test_the_table_is_put_in_order_and_filtered(visit, url, runs):
    page = visit(url)
    page.get_by_role("button", name="Return").click()
    best = max(runs, key=lambda run: run.statistics["total_return"])
    shows(row(page).first, f"fast={best.params['fast']}\\b")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Return")
    page.get_by_role("button", name="Return").click()
    worst = min(runs, key=lambda run: run.statistics["total_return"])
    shows(row(page).first, f"fast={worst.params['fast']}\\b")
    page.get_by_label("Status").select_option("failed")
    page.get_by_text("No run matches.").wait_for()
    page.get_by_text("0 runs").wait_for()


def test_the_fills_are_zoomed_into(visit, url, runs):
    page = visit(url)
    assert min(drawn(page, 4)) > 500
    whole = page.evaluate(PRICE)
    assert whole["fills"] == runs[2].n_fills
    assert "each candle 1 week" in whole["title"]
    page.mouse.wheel(0, 900)  # to the picture
    page.wait_for_timeout(200)
    place = page.evaluate(PRICE)
    page.mouse.move(place["x"], place["y"])
    page.keyboard.down("Control")
    for _ in range(8):
        page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(f"() => ({PRICE})().title.includes('each candle 1 day')")
    near = page.evaluate(PRICE)
    assert near["end"] - near["start"] < (whole["end"] - whole["start"]) / 2
    assert near["fills"] < whole["fills"]
    # The charts above follow: one axis of time.
    ends = page.evaluate("""() => {
      const walk = (view) => view.model.type === "Figure" ? [view]
        : (view.child_views || []).flatMap(walk);
      return Bokeh.index.roots.flatMap(walk).slice(0, 3).map((one) => one.model.x_range.id);
    }""")
    assert len(set(ends)) == 1


def test_it_is_read_by_everyone_in_light_and_dark(visit, url, runs):
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        page = visit(url, scheme=scheme)
        shows(page.locator(".head"), runs[2].id)
        drawn(page, 4)
        found = Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], serious
