"""The view of the project's data: the picture of the cache, its table, a look at one dataset."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from html import escape
from typing import Any

import panel as pn
import param
from bokeh.events import Tap

from workbench import data
from workbench.backtest.glossary import NONE
from workbench.core.errors import InputError
from workbench.core.progress import Progress
from workbench.core.project import Project
from workbench.data.coverage import Covered
from workbench.data.coverage_chart import CoverageMap
from workbench.data.intervals import iso
from workbench.data.live import LivePicture
from workbench.data.picture import Drawn
from workbench.engine import loading
from workbench.study import load
from workbench.widgets.glimpse import GlimpseView
from workbench.widgets.look import CARD, bar, button, drawing, failure, html, notice
from workbench.widgets.rows import Column, Row, Rows
from workbench.widgets.turns import in_turns

_COLUMNS: tuple[Column, ...] = (
    {"label": "Dataset", "wide": True}, {"label": "Type"}, {"label": "Source"},
    {"label": "First (UTC)", "low": True}, {"label": "Last (UTC)", "low": True},
    {"label": "Rows", "right": True}, {"label": "Size", "right": True},
    {"label": "Gaps", "right": True}, {"label": "Largest gap (UTC)", "low": True},
)  # fmt: skip
_NO_DATA = (
    '<div class="empty"><h2>No data yet</h2><p>Running a study fetches what it needs. '
    "To fetch without running: <code>workbench data fetch studies/ema-cross.yaml</code></p></div>"
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read.

    Attributes
    ----------
    picture, drawn
        The coverage, and its drawing if it is another one than the page shows.

    """

    picture: CoverageMap
    drawn: Drawn | None


class DataView(pn.viewable.Viewer):
    """The datasets of the project's catalog.

    Parameters
    ----------
    project
        Whose catalog.
    dark
        Whether pictures are drawn for a dark page.

    """

    chosen = param.String(default="", doc="The dataset looked at, ``kind/identity``.")

    def __init__(self, project: Project, *, dark: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project, self._dark = project, dark
        self._seen: str | None = None
        self._numbers: dict[str, Any] | None = None
        self._progress: Progress | None = None
        self._busy = self._wanted = False
        self._marked = ""
        self._said, self._bar, self._wrong, self._broken = html(), html(), html(), html()
        again = button("Read again", "default", lambda _: self.read(), width=110, align="end")
        # Two hundred datasets are taller than a page: they scroll in a window of their own.
        window = CARD | {"max-height": "640px", "overflow-y": "auto"}
        self._map = pn.Column(sizing_mode="stretch_width", margin=0, styles=window, visible=False)
        self._table = Rows("Datasets", tall=480, columns=list(_COLUMNS), visible=False)
        self._table.param.watch(self._click, "selected")
        self._glimpse = GlimpseView(project, dark=dark)
        self._column = pn.Column(
            pn.Row(
                # Its room is kept while there is nothing to say: the button stays on the right.
                pn.Column(self._said, sizing_mode="stretch_width", margin=0), again,
                margin=0, sizing_mode="stretch_width",
                styles={"gap": "12px", "align-items": "flex-end"},
            ),
            self._bar, self._wrong, self._map, self._broken, self._table, self._glimpse,
            sizing_mode="stretch_width", styles={"gap": "12px"}, margin=0,
        )  # fmt: skip

    def __panel__(self) -> Any:
        return self._column

    def follow(self, newest: str) -> None:
        """Show how far reading has come; read the catalog if a run has ended since.

        Parameters
        ----------
        newest
            When the last run ended.

        """
        if self._progress:
            self._bar.object = bar(self._progress.task, self._progress.fraction)
        self._glimpse.follow()
        if newest != self._seen:
            self._seen = newest
            self.read()

    def mark(self, name: str) -> None:
        """Show what a study's file in ``studies/`` lacks; empty for none."""
        self._marked = name
        self.read()

    def shade(self, dark: bool) -> None:
        """Draw for a dark page, or for a light one."""
        if dark != self._dark:
            self._dark, self._numbers = dark, None
            self._glimpse.shade(dark)
            if self._seen is not None:
                self.read()

    def read(self) -> None:
        """Read the catalog, once more if it is being read."""
        self._wanted = True
        if not self._busy:
            self._busy = True
            self._bar.object = bar("Reading the catalog", 0)
            in_turns(self._read)

    async def _read(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                self._show(await asyncio.to_thread(self._look, self._marked))
        except Exception as error:  # said where the picture would be
            self._wrong.object = failure(error, "The catalog cannot be read")
        finally:
            self._busy, self._progress, self._bar.object = False, None, ""

    def _look(self, name: str) -> _Reading:
        """Read and draw; in a thread, which may end."""
        loading.load()
        try:
            study = load(self._project.root / "studies" / name) if name else None
            picture = data.coverage_map(study, self._project, on_progress=self._heard)
        except InputError:  # the study's fault: what there is can be shown all the same
            picture = data.coverage_map(None, self._project, on_progress=self._heard)
        numbers, drawn = picture.to_dict(), None
        if numbers != self._numbers and picture.coverage.datasets:
            with drawing:
                drawn = picture.draw(dark=self._dark)
        self._numbers = numbers
        return _Reading(picture, drawn)

    def _heard(self, progress: Progress) -> None:
        self._progress = progress

    def _show(self, found: _Reading) -> None:
        coverage = found.picture.coverage
        sets, faults = coverage.datasets, coverage.faults
        empty = not sets and not faults
        self._map.visible = self._table.visible = bool(sets)
        if found.drawn:
            self._place(found.picture, found.drawn)
        where = escape(self._project.relative(self._project.catalog))
        self._said.object = _NO_DATA if empty else f'<p class="muted">In <code>{where}</code></p>'
        reasons = [f"{path}: {reason}" for path, reason in faults]
        title = "Files that cannot be used (workbench data fetch STUDY fetches them again)"
        self._broken.object = notice("failure", title, reasons) if reasons else ""
        self._glimpse.display(self.chosen, again=found.drawn is not None)

    def _place(self, picture: CoverageMap, drawn: Drawn) -> None:
        """Put another coverage on the page."""
        sets = picture.coverage.datasets
        for figure in drawn.figures:
            figure.on_event(Tap, lambda event: self._tap(picture.at(event.y)))
        self._map.objects = [LivePicture(picture, drawn)]
        self._table.rows = [_row(each) for each in sets]
        self._select()

    def _tap(self, each: Covered | None) -> None:
        if each and each.files:
            self.chosen = each.key

    def _click(self, event: Any) -> None:
        self.chosen = event.new[0] if event.new else ""

    @param.depends("chosen", watch=True)
    def _turn(self) -> None:
        self._select()
        if self._numbers is not None:
            self._glimpse.display(self.chosen)

    def _select(self) -> None:
        """Mark in the table what is looked at."""
        known = any(row["id"] == self.chosen for row in self._table.rows)
        marked = [self.chosen] if known else []
        if known and self._table.selected != marked:
            self._table.selected = marked


def _row(each: Covered) -> Row:
    lengths = each.gaps[:, 1] - each.gaps[:, 0]
    largest = each.gaps[lengths.argmax()].tolist() if len(lengths) else None
    gaps = len(each.gaps) if each.calendar else None
    gap = _gap(*largest) if largest else ""
    first, last = _minute(each.start), _minute(each.end)
    cells = [
        each.identity, each.kind, each.provider, first, last, f"{each.rows:,}", _size(each.size),
        NONE if gaps is None else f"{gaps:,}", gap,
    ]  # fmt: skip
    values = [
        each.identity, each.kind, each.provider, first, last, each.rows, each.size, gaps,
        float(lengths.max()) / 1e9 if largest else None,
    ]  # fmt: skip
    return {"id": each.key, "cells": cells, "values": values}


def _size(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.1f} {unit}" if unit != "B" else f"{count:,.0f} B"
        count /= 1024
    return f"{count:,.1f} GiB"


def _gap(start: int, end: int) -> str:
    """Return a gap to the minute, or to the day where it is longer than one."""
    first, last = _minute(start), _minute(end)
    return f"{first} to {last}" if first[:10] == last[:10] else f"{first[:10]} to {last[:10]}"


def _minute(moment: int | None) -> str:
    """Write a time to the minute."""
    return "" if moment is None else iso(moment)[:16].replace("T", " ")
