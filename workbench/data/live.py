"""A picture in a live page: it is drawn anew as the reader pans and zooms.

Panel is needed here, and loaded with this module.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import panel as pn
from bokeh.events import RangesUpdate
from bokeh.layouts import column

from workbench.core.errors import WorkbenchError
from workbench.data.intervals import Interval
from workbench.data.picture import Drawn, Picture, View


class LivePicture(pn.viewable.Viewer):
    """A picture that follows what is visible.

    What memory holds is drawn at once, files are read in a thread. Until they are, the page shows
    what it has.

    Parameters
    ----------
    picture
        Any.
    drawn
        It, drawn already (in another thread, say).
    dark
        Whether it is drawn for a dark page.

    """

    def __init__(self, picture: Picture, drawn: Drawn | None = None, *, dark: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._picture = picture
        self._drawn = drawn or picture.draw(dark=dark)
        self._wanted: Interval = picture.span
        self._reading = False
        self._pane = pn.pane.Bokeh(
            column(*self._drawn.figures, sizing_mode="stretch_width"),
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        for figure in self._drawn.figures:
            figure.on_event(RangesUpdate, self._moved)

    def __panel__(self) -> Any:
        return self._pane

    def _moved(self, event: Any) -> None:
        # Milliseconds as floats: no reader can point at less than a nanosecond.
        span = int(event.x0 * 1e6), int(event.x1 * 1e6)
        if span == self._wanted or span[0] >= span[1]:
            return
        self._wanted = span
        document = self._drawn.figures[0].document
        served = document is not None and document.session_context is not None
        if not served:
            # A kernel runs one cell at a time: it may as well read.
            self._place(self._found(span))
            pn.io.push_notebook(self._pane)
        elif self._picture.is_at_once(span):
            self._place(self._found(span))
        elif not self._reading:
            self._reading = True
            pn.state.execute(self._read)

    async def _read(self) -> None:
        """Read what is wanted, until nothing else has been wanted meanwhile."""
        try:
            while True:
                span = self._wanted
                found = await asyncio.to_thread(self._found, span)
                if span == self._wanted:
                    break
        finally:
            self._reading = False
        document = self._drawn.figures[0].document
        if document is not None:  # the page may be gone
            document.add_next_tick_callback(partial(self._place, found))

    def _found(self, span: Interval) -> View | str:
        try:
            return self._picture.look(span)
        except WorkbenchError as error:
            return str(error)

    def _place(self, found: View | str) -> None:
        if isinstance(found, str):
            self._drawn.say(found)
        else:
            self._drawn.show(found)
