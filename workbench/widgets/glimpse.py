"""A look at one dataset: its rows as a picture that can be zoomed into."""

from __future__ import annotations

import asyncio
from typing import Any

import panel as pn

from workbench import data
from workbench.core.errors import Cancelled
from workbench.core.progress import Progress
from workbench.core.project import Project
from workbench.data.candles import Preview
from workbench.data.live import LivePicture
from workbench.data.picture import Drawn
from workbench.engine import loading
from workbench.widgets.look import CARD, bar, drawing, failure, html
from workbench.widgets.turns import in_turns

_HINT = (
    '<p class="muted small">Drag to move, Ctrl and wheel to zoom, or draw a box with the tool '
    "above the picture. Times are in UTC.</p>"
)


class GlimpseView(pn.viewable.Viewer):
    """The picture of the dataset that was chosen; nothing as long as there is none.

    Parameters
    ----------
    project
        Whose catalog.
    dark
        Whether it is drawn for a dark page.

    """

    def __init__(self, project: Project, *, dark: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project, self._dark = project, dark
        self._key = ""
        self._progress: Progress | None = None
        self._said, self._hint = html(), html()
        self._place = pn.Column(sizing_mode="stretch_width", margin=0)
        self._column = pn.Column(
            self._said, self._place, self._hint,
            sizing_mode="stretch_width", margin=0, styles=CARD, visible=False,
        )  # fmt: skip

    def __panel__(self) -> Any:
        return self._column

    def display(self, key: str, *, again: bool = False) -> None:
        """Show the dataset ``kind/identity``, or nothing.

        Parameters
        ----------
        key
            Which; empty for none.
        again
            Read it even if it is the one shown.

        """
        if key == self._key and not again:
            return
        self._key, self._progress = key, None
        self._column.visible = bool(key)
        self._place.objects, self._hint.object = [], ""
        self._said.object = bar(f"Reading {key}", 0) if key else ""
        if key:
            in_turns(self._read)

    def shade(self, dark: bool) -> None:
        """Draw for a dark page, or for a light one."""
        self._dark = dark
        if self._key:
            self.display(self._key, again=True)

    def follow(self) -> None:
        """Show how far reading has come."""
        if self._progress:
            self._said.object = bar(self._progress.task, self._progress.fraction)

    async def _read(self) -> None:
        key = self._key

        def heard(progress: Progress) -> None:
            if key == self._key:
                self._progress = progress

        def work() -> tuple[Preview, Drawn]:
            loading.load()
            picture = data.preview(
                key, self._project, on_progress=heard, should_stop=lambda: key != self._key
            )
            with drawing:
                return picture, picture.draw(dark=self._dark)

        try:
            picture, drawn = await asyncio.to_thread(work)
        except Cancelled:
            return  # another was chosen
        except Exception as error:
            if key == self._key:
                self._progress = None
                self._said.object = failure(error, f"{key} cannot be shown")
            return
        if key == self._key:
            self._progress, self._said.object, self._hint.object = None, "", _HINT
            self._place.objects = [LivePicture(picture, drawn)]
