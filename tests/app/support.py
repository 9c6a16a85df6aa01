"""What the tests of the page look at."""

import re

from playwright.sync_api import expect

from workbench.app.views import VIEWS
from workbench.backtest import RunStore
from workbench.core.project import Project


def row(page, *texts):
    """Return the rows of the table of runs that hold every text."""
    found = page.locator(".tabulator-row:visible, tbody tr[data-id]:visible")
    for text in texts:
        found = found.filter(has_text=text)
    return found


def detail(page):
    """Return the heading of what is selected: study, status and id in one text."""
    return page.locator(".head:visible")


def shows(locator, pattern, seconds=20):
    expect(locator).to_have_text(re.compile(pattern, re.DOTALL), timeout=seconds * 1000)


def drawn(page, count):
    """Wait for so many charts; return how many pixels of each hold something."""
    figures = page.locator(".bk-Figure:visible")
    figures.nth(count - 1).wait_for()
    page.wait_for_timeout(700)  # the canvas is painted in the next frames
    assert figures.count() == count
    ink = """canvas => {
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let painted = 0;
        for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
        return painted;
    }"""
    return [figures.nth(at).locator("canvas").first.evaluate(ink) for at in range(count)]


def turn(page, name):
    """Turn to a view by the links at the top."""
    of = {view.label: view.group for view in VIEWS.values()}
    views = page.get_by_role("navigation", name="Views")
    views.get_by_role("link", name=of.get(name, name), exact=True).click()
    if of.get(name, name) != name:
        parts = page.get_by_role("navigation", name="Parts of this view")
        link = parts.get_by_role("link", name=name, exact=True)
        link.click()
        expect(link).to_have_attribute("aria-current", "page", timeout=20_000)


def stored(served):
    return RunStore(Project(served.root)).list()
