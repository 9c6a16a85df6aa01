"""What every widget stands on: where it is shown, its colours, its refresh."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import panel as pn
import param
from panel.custom import JSComponent

from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.widgets.in_notebook import Frame, in_kernel, ipywidget, load
from workbench.widgets.look import failure, html, resource
from workbench.widgets.turns import in_turns

REFRESH_MS = 500
GROUND = {"background": "var(--page)", "border-radius": "12px", "padding": "16px"}


class Theme(JSComponent):
    """Tells when a widget is on a page, whether that is dark, and when that changes."""

    dark = param.Boolean(default=False, doc="Whether the page is dark.")
    ready = param.Integer(default=0, doc="How often a page has asked to be heard.")
    heard = param.Integer(default=0, doc="What `ready` was when Python last heard of it.")
    shown = param.Integer(default=0, doc="On how many pages it has been shown.")

    _esm = resource("theme.js")


class Widget(pn.viewable.Viewer):
    """A component of the workbench, for a notebook's cell, an ipywidgets layout or a page.

    A subclass makes its parts in its constructor, hands them to `place`, and brings them up to date
    in `refresh`. It keeps no state that matters: files are the truth.

    Parameters
    ----------
    project
        Whose files; default: the project of the working folder.
    dark
        Whether it is drawn for a dark page, one of the workbench's own; default: it stands in any
        page, on a ground of its own, dark where that page is.

    """

    dark: Any = param.Boolean(default=False, doc="Whether it is drawn for a dark page.")
    active: Any = param.Boolean(
        default=True, doc="Whether it is kept up to date; false while another tab is in front."
    )

    def __init__(self, project: Project | None = None, *, dark: bool | None = None) -> None:
        super().__init__(dark=bool(dark))  # type: ignore[no-untyped-call]
        if in_kernel():
            load()
        self.project = project or Project.find()
        self._busy, self._refreshing = False, False
        self._trouble = html()
        self._body = pn.Column(sizing_mode="stretch_width", margin=0)
        self._frame = Frame(
            self._trouble, self._body,
            sizing_mode="stretch_width", margin=0, stylesheets=[resource("palette.css")],
        )  # fmt: skip
        theme: Any = Theme(width=0, height=0, margin=0)  # type: ignore[no-untyped-call]
        # What changes between the making of a view and its arrival on a notebook's page is lost.
        theme.param.watch(lambda event: setattr(theme, "heard", event.new), "ready")
        theme.param.watch(lambda _: self._begin(), "shown")
        self._frame.insert(0, theme)
        if dark is None:
            theme.param.watch(self._turn_dark, "dark")
            self._frame.styles = GROUND
        self._shade()

    def __panel__(self) -> Any:
        return self._frame

    def place(self, *parts: Any) -> None:
        """Put the widget's parts in their place."""
        self._body.objects = list(parts)

    async def refresh(self) -> None:
        """Bring the widget up to date with the project's files: called twice a second."""

    def widget(self) -> Any:
        """Return it as an ipywidget, for use in ``ipywidgets`` layouts.

        Raises
        ------
        WorkbenchError
            Outside a notebook's kernel.

        """
        if not in_kernel():
            raise WorkbenchError("an ipywidget lives in a notebook's kernel: there is none here")
        load()
        return ipywidget(self)

    # Not Panel's `link`: that fails while HoloViews is being loaded in another thread.
    def _turn_dark(self, event: Any) -> None:
        self.dark = event.new

    @param.depends("dark", watch=True)
    def _shade(self) -> None:
        self._frame.css_classes = ["night"] if self.dark else ["day"]

    def _begin(self) -> None:
        """Start the refresh, once it is on a page."""
        if self._refreshing or type(self).refresh is Widget.refresh:
            return
        self._refreshing = True
        known = weakref.ref(self)

        def tick() -> None:
            shown = known()
            if shown is None:
                callback.stop()
            else:
                shown._tick()

        callback = pn.state.add_periodic_callback(tick, REFRESH_MS)
        self._tick()

    def _tick(self) -> None:
        # The page takes no click while a periodic callback runs: it only starts the work.
        if self.active and not self._busy:
            self._busy = True
            in_turns(self._update)

    async def _update(self) -> None:
        try:
            await self.refresh()
            self._trouble.object = ""
        except Exception as error:
            # A widget that stands still without a word would be worse.
            self._trouble.object = failure(error, "This cannot be brought up to date")
            await asyncio.sleep(1.0)
        finally:
            self._busy = False
