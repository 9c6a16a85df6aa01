"""What a check of accessibility finds on a page."""

from axe_playwright_python.sync_playwright import Axe


def serious(page):
    """Return the serious and critical findings: rule, and the first element of each."""
    found = Axe().run(page).response["violations"]
    return [
        (each["id"], each["nodes"][0]["html"])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
