"""How widgets look: styles, the colours of charts at night, small pieces of HTML."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, WorkbenchError

CARD = {
    "background": "var(--paper)", "border": "1px solid var(--rule)", "border-radius": "10px",
    "padding": "12px 14px",
}  # fmt: skip
"""Styles of a box around a chart or a form."""

THEME_COOKIE = "workbench-theme"

drawing = threading.Lock()
"""HoloViews keeps options in globals: hold this while making charts and drawing them."""


@cache
def resource(name: str) -> str:
    """Return the text of a file beside this module."""
    return (Path(__file__).parent / name).read_text()


def html(content: str = "", **options: Any) -> Any:
    """Return a pane of HTML, with the styles of the page's pieces; an empty one takes no room."""
    import panel as pn

    settings = {"sizing_mode": "stretch_width", "margin": 0} | options
    pane = pn.pane.HTML(content, stylesheets=[resource("pieces.css")], **settings)
    pane.visible = pane.param.object.rx().rx.bool()
    return pane


def button(name: str, kind: str, does: Callable[[Any], Any], **options: Any) -> Any:
    """Return a button: ``primary`` (one a widget), ``default`` or ``danger``.

    `does` is called with the button, or awaited.
    """
    from workbench.widgets.button import Button

    return Button(does, label=name, kind=kind, **{"margin": 0, "min_width": 96} | options)


def bound(control: Any, owner: Any, name: str) -> None:
    """Keep a control's value and a parameter of its owner equal, whichever is changed.

    Panel's own ``link`` fails while HoloViews is being loaded in another thread.
    """
    control.param.watch(lambda event: setattr(owner, name, event.new), "value")
    owner.param.watch(lambda event: setattr(control, "value", event.new), name)


def notice(tone: str, title: str, lines: Iterable[str] = (), pre: str = "") -> str:
    """Return a box: ``failure``, ``warning``, ``good`` or ``hint``; every text is escaped."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    listed = f"<ul>{items}</ul>" if items else ""
    block = f"<pre>{escape(pre)}</pre>" if pre else ""
    role = "alert" if tone == "failure" else "status"
    return f'<div class="notice {tone}" role="{role}"><b>{escape(title)}</b>{listed}{block}</div>'


def failure(error: Exception, doing: str) -> str:
    """Return what went wrong, in words; of an error nobody foresaw, where as well."""
    if isinstance(error, InputError):
        return notice("failure", doing, [str(issue) for issue in error.issues])
    if isinstance(error, WorkbenchError):
        return notice("failure", doing, [str(error)])
    name = f"internal error, please report it: {type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return notice("failure", doing, [name], pre=trace)


def bar(text: str, share: float) -> str:
    """Return a progress bar with its text; the text is escaped."""
    return (
        f'<p class="muted">{escape(text)}</p><div class="bar" role="progressbar" '
        f'aria-label="{escape(text)}" aria-valuenow="{100 * share:.0f}">'
        f'<i style="width: {share:.0%}"></i></div>'
    )


def pairs(rows: Mapping[str, str]) -> str:
    """Return names and values as a list; every text is escaped."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in rows.items()
    )
    return f'<dl class="pairs">{items}</dl>'


def figure(chart: Any, *, dark: bool) -> Any:
    """Draw a chart of `workbench.backtest.charts` as a Bokeh figure.

    May be called from any thread that holds `drawing`: the figure belongs to no document yet.
    """
    from workbench.core.style import at_night, holoviews

    drawn = holoviews().render(chart, backend="bokeh")
    drawn.sizing_mode = "stretch_width"
    if dark:
        at_night(drawn)
    return drawn
