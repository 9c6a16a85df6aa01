"""Chromium in front of widgets."""

from playwright.sync_api import expect

from tests.app.conftest import browser, visit

__all__ = ["browser", "visit"]

# The machine may be busy.
expect.set_options(timeout=20_000)
