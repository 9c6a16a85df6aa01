"""Charts in an HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def embedded(figures: Sequence[Any]) -> tuple[str, Sequence[str]]:
    """Return the script that draws Bokeh figures, to stand in the page, and a box for each."""
    from bokeh.embed import components

    script, boxes = components(figures, wrap_script=False)
    # In JSON and in JavaScript strings "<\\/" is "</"; in HTML it closes no script.
    return script.replace("</", "<\\/"), boxes


def bokeh_script() -> str:
    """Return Bokeh's own script, to stand in the page."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


def night_script() -> str:
    """Return what makes charts in elements of class ``chart`` follow the page to dark and back.

    The page holds `workbench.core.style.DARK` as JSON in an element ``dark-colours``.
    """
    return (Path(__file__).parent / "night.js").read_text()
