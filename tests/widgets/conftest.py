"""Chromium in front of widgets."""

from tests.app.conftest import browser, visit

__all__ = ["browser", "visit"]
