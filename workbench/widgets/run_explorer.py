"""The runs of a project: a table, what is selected beside it, several compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import param

from workbench.backtest import Run, RunStore
from workbench.backtest.glossary import NONE
from workbench.backtest.model import FINISHED
from workbench.core.project import Project
from workbench.widgets.base import Widget
from workbench.widgets.look import button, html, resource
from workbench.widgets.run_detail import RunDetail

MOST = 500

STATUSES = ("queued", "running", "done", "failed", "cancelled")
ALL_STUDIES, ALL_STATUSES = "All studies", "All statuses"

NUMBERS = {"Return": "+0.00 %", "Sharpe": "0.00", "Fills": "0,0", "Seconds": "0.00"}
COLUMNS = ("Started", "Study", "Status", "Parameters", *NUMBERS)
WIDTHS = {
    "Started": 122, "Study": 104, "Status": 120, "Return": 84, "Sharpe": 64, "Fills": 56,
    "Seconds": 72,
}  # fmt: skip

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
        self._rows: list[dict[str, Any]] = []
        self._seen: object = None
        self._loaded = self._placing = False
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
        self._table = pn.widgets.Tabulator(
            pd.DataFrame(columns=["id", *COLUMNS]),
            disabled=True, show_index=False, hidden_columns=["id"], selectable=True,
            sizing_mode="stretch_width", layout="fit_columns", max_height=680, theme="simple",
            widths=WIDTHS, formatters=_formatters(), stylesheets=[resource("table.css")],
            margin=(12, 0, 6, 0), header_align=dict.fromkeys(NUMBERS, "right"),
            configuration={"placeholder": "No run matches.", "responsiveLayout": "hide",
                           "columns": [{"field": "Started", "responsive": 9},
                                       {"field": "Seconds", "responsive": 8},
                                       {"field": "Parameters", "minWidth": 90}]},
        )  # fmt: skip
        self._empty = html()
        new = button("Run a study", "primary", lambda _: on_new() if on_new else None)
        self._first = pn.Row(pn.HSpacer(), new, pn.HSpacer(), visible=False)
        hint = html('<p class="muted small">Ctrl-click or Shift-click another run to compare.</p>')
        self._detail = RunDetail(
            self.project, on_change=self.refresh, styles={"flex": "1.2 1 600px"}
        )
        filters = pn.Row(self._study, self._status, self._count, margin=0, styles={"gap": "12px"})
        self._list = pn.Column(
            filters, self._table, hint, margin=0, visible=False,
            styles={"flex": "1 1 600px", "min-width": "0", "position": "sticky", "top": "12px"},
        )  # fmt: skip
        self._detail.visible = False
        for widget in (self._study, self._status):
            widget.param.watch(self._filter, "value")
        self._table.param.watch(self._click, "selection")
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
        self._placing = True
        try:
            if [row["id"] for row in rows] != [row["id"] for row in self._rows]:
                self._table.value = pd.DataFrame(rows, columns=["id", *COLUMNS])
            else:
                changed: dict[str, list[tuple[int, Any]]] = {}
                for at, (old, new) in enumerate(zip(self._rows, rows, strict=True)):
                    for name in COLUMNS:
                        if not _equal(old[name], new[name]):
                            changed.setdefault(name, []).append((at, new[name]))
                if changed:
                    self._table.patch(changed)
            self._rows = rows
            places = [at for at, row in enumerate(rows) if row["id"] in self.chosen]
            if sorted(self._table.selection) != places:
                self._table.selection = places
        finally:
            self._placing = False

    def _filter(self, _: Any) -> None:
        self._place()

    def _click(self, event: Any) -> None:
        if not self._placing:
            self.chosen = [self._rows[at]["id"] for at in event.new if at < len(self._rows)]

    @param.depends("chosen", "dark", watch=True)
    def _turn(self) -> None:
        if self._loaded:
            self._place()
            self._show()

    def _show(self) -> None:
        known = {run.id for run in self._runs}
        missing = [one for one in self.chosen if one not in known]
        self._detail.display(self.selected, missing=missing, dark=self.dark)


def _row(run: Run) -> dict[str, Any]:
    """Return what the table shows of a run."""
    at = f" {run.progress:.0%}" if run.status == "running" else ""
    return {
        "id": run.id,
        "Started": (run.started or run.created)[5:19].replace("T", " "),
        "Study": run.name,
        "Status": f'<span class="status {run.status}">{run.status}{at}</span>',
        "Parameters": _parameters(run),
        "Return": run.statistics.get("total_return"),
        "Sharpe": run.statistics.get("sharpe"),
        "Fills": run.n_fills,
        "Seconds": run.seconds,
    }


def _parameters(run: Run) -> str:
    """Return what a run was started with over its study's own values, as HTML."""
    items = (f"{name.rpartition('.')[2]}={value}" for name, value in run.params.items())
    text = escape(" ".join(items) or NONE)
    return f'<span title="{text}">{text}</span>'  # in full where the column is narrow


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or (one is None and other is None)


def _formatters() -> dict[str, Any]:
    from bokeh.models.widgets.tables import NumberFormatter

    numbers = {
        name: NumberFormatter(format=text, nan_format=NONE, null_format=NONE, text_align="right")
        for name, text in NUMBERS.items()
    }
    return {name: {"type": "html"} for name in ("Status", "Parameters")} | numbers
