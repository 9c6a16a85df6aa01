"""The runs of a project: a table, what is selected beside it, several compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import panel as pn
import param

from workbench.backtest import Run, RunStore
from workbench.backtest.glossary import NONE, written
from workbench.backtest.model import FINISHED
from workbench.core.project import Project
from workbench.widgets.base import Widget
from workbench.widgets.look import button, html, resource
from workbench.widgets.rows import Cell, Column, Row, Rows
from workbench.widgets.run_detail import RunDetail

MOST = 500

STATUSES = ("queued", "running", "done", "failed", "cancelled")
ALL_STUDIES, ALL_STATUSES = "All studies", "All statuses"

COLUMNS: tuple[Column, ...] = (
    {"label": "Started", "low": True}, {"label": "Study"}, {"label": "Status"},
    {"label": "Parameters", "wide": True}, {"label": "Return", "right": True},
    {"label": "Sharpe", "right": True}, {"label": "Fills", "right": True},
    {"label": "Seconds", "right": True, "low": True},
)  # fmt: skip

_NO_RUNS = (
    '<div class="empty"><h2>No runs yet</h2><p>Run a study here, in a notebook or with '
    "<code>workbench backtest run studies/ema-cross.yaml</code>: it appears by itself.</p></div>"
)


class RunExplorer(Widget):
    """The runs of a project, newest first, and everything known of those that are selected.

    It follows the run store, whoever starts the runs.

    Parameters
    ----------
    project, dark
        As for every `Widget`.
    on_new
        Called when the user wants to start a run, while there is none; default: nothing is offered.

    """

    chosen = param.List(default=[], item_type=str, doc="Ids of the runs shown.")

    def __init__(
        self,
        project: Project | None = None,
        *,
        dark: bool | None = None,
        on_new: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(project, dark=dark)
        self._store = RunStore(self.project)
        self._runs: list[Run] = []
        self._seen: object = None
        self._loaded = False
        self._offers = on_new is not None
        style = [resource("controls.css")]
        self._study = pn.widgets.Select(
            name="Study", options=[ALL_STUDIES], width=180, margin=0, stylesheets=style
        )
        self._status = pn.widgets.Select(
            name="Status", options=[ALL_STATUSES, *STATUSES], width=140, margin=0,
            stylesheets=style,
        )  # fmt: skip
        self._count = html(sizing_mode=None, width=220, align="end", styles={"padding": "6px 0"})
        self._table = Rows(
            "Runs", columns=list(COLUMNS), several=True, placeholder="No run matches.",
            margin=(12, 0, 6, 0),
        )  # fmt: skip
        self._empty = html()
        new = button("Run a study", "primary", lambda _: on_new() if on_new else None)
        self._first = pn.Row(pn.HSpacer(), new, pn.HSpacer(), visible=False)
        hint = html('<p class="muted small">Ctrl-click or Shift-click another run to compare.</p>')
        self._detail = RunDetail(
            self.project, on_change=self.refresh, styles={"flex": "1.2 1 600px"}
        )
        filters = pn.FlexBox(
            self._study, self._status, self._count, gap="8px 12px", align_items="flex-end",
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self._list = pn.Column(
            filters, self._table, hint, margin=0, visible=False,
            styles={"flex": "1 1 600px", "min-width": "0", "position": "sticky", "top": "12px"},
        )  # fmt: skip
        self._detail.visible = False
        for widget in (self._study, self._status):
            widget.param.watch(self._filter, "value")
        self._table.param.watch(self._click, "selected")
        self.place(
            self._empty,
            self._first,
            pn.FlexBox(
                self._list, self._detail, flex_wrap="wrap", gap="24px", align_items="flex-start",
                sizing_mode="stretch_width", margin=0,
            ),
        )  # fmt: skip

    @property
    def selected(self) -> Sequence[Run]:
        """The runs shown, to go on with in a notebook."""
        known = {run.id: run for run in self._runs}
        return [known[one] for one in self.chosen if one in known]

    @property
    def newest(self) -> str:
        """When a run ended last: it may have brought data. Empty if none has."""
        return max((run.finished or "" for run in self._runs), default="")

    async def refresh(self) -> None:
        """Read the store, where it has changed, and show what is new."""
        seen = self._store.stamp()
        under_way = any(run.status not in FINISHED for run in self._runs)
        if seen == self._seen and not under_way:
            return
        # A run under way may have lost its process, which shows in no file of the store.
        self._runs = await asyncio.to_thread(self._store.list, limit=MOST)
        self._seen = seen
        studies = [ALL_STUDIES, *sorted({run.name for run in self._runs})]
        if self._study.options != studies:
            self._study.options = studies
        if not self._loaded:
            self._loaded = True
            if not self.chosen and self._runs:
                self.chosen = [self._runs[0].id]
        self._first.visible = not self._runs and self._offers
        self._list.visible = self._detail.visible = bool(self._runs)
        self._empty.object = "" if self._runs else _NO_RUNS
        self._place()
        self._show()

    def _wanted(self) -> list[Run]:
        study, status = self._study.value, self._status.value
        return [
            run
            for run in self._runs
            if study in (ALL_STUDIES, run.name) and status in (ALL_STATUSES, run.status)
        ]

    def _place(self) -> None:
        """Put the rows in the table, touching only what differs; keep what is selected."""
        rows = [_row(run) for run in self._wanted()]
        more = f", the newest {MOST:,}" if len(self._runs) == MOST else ""
        counted = f"{len(rows):,} run{'s' * (len(rows) != 1)}{more}"
        self._count.object = f'<span class="muted" role="status">{counted}</span>'
        if rows != self._table.rows:
            self._table.rows = rows
        if self._table.selected != self.chosen:
            self._table.selected = list(self.chosen)

    def _filter(self, _: Any) -> None:
        self._place()

    def _click(self, event: Any) -> None:
        self.chosen = list(event.new)

    @param.depends("chosen", "dark", watch=True)
    def _turn(self) -> None:
        if self._loaded:
            self._place()
            self._show()

    def _show(self) -> None:
        known = {run.id for run in self._runs}
        missing = [one for one in self.chosen if one not in known]
        self._detail.display(self.selected, missing=missing, dark=self.dark)


def _row(run: Run) -> Row:
    """Return what the table shows of a run."""
    at = f" {run.progress:.0%}" if run.status == "running" else ""
    gain, sharpe = run.statistics.get("total_return"), run.statistics.get("sharpe")
    begun = (run.started or run.created)[:19]
    items = (f"{name.rpartition('.')[2]}={value}" for name, value in run.params.items())
    params = " ".join(items)
    status: Cell = {"text": f"{run.status}{at}", "tone": run.status}
    return {
        "id": run.id,
        "cells": [
            begun[5:].replace("T", " "), run.name, status, params or NONE,
            written(gain, "percent", sign=True), written(sharpe, "ratio"),
            written(run.n_fills, "count"), NONE if run.seconds is None else f"{run.seconds:.2f}",
        ],
        "values": [
            begun, run.name, run.status, params, gain, sharpe, run.n_fills, run.seconds,
        ],
    }  # fmt: skip
