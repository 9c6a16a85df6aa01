"""The view of the project's data: what the catalog holds, its gaps, its broken files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
import panel as pn

from workbench import data
from workbench.app.look import failure, html, notice, resource
from workbench.core.project import Project

NUMBERS = {"Rows": "0,0", "Size": "0.0 b", "Gaps": "0,0"}


class DataView(pn.viewable.Viewer):
    """The datasets of the project's catalog.

    Parameters
    ----------
    project
        Whose catalog.
    on_new
        Called when the user wants to run a study, which fetches what it needs.

    """

    def __init__(self, project: Project, *, on_new: Callable[[], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project = project
        self._seen: str | None = None
        self._shown: dict[str, Any] | None = None
        style = [resource("widgets.css")]
        self._said = html('<p class="muted">Reading the catalog …</p>')
        again = pn.widgets.Button(name="Read again", stylesheets=style, margin=0, width=110)
        again.on_click(self._again)
        self._new = pn.widgets.Button(
            name="Run a study", button_type="primary", stylesheets=style, visible=False, margin=0
        )
        self._new.on_click(lambda _: on_new())
        self._table = pn.widgets.Tabulator(
            pd.DataFrame(columns=_COLUMNS),
            disabled=True, show_index=False, selectable=False, sizing_mode="stretch_width",
            layout="fit_data_stretch", formatters=_formatters(), theme="simple", margin=0,
            header_align=dict.fromkeys(NUMBERS, "right"), stylesheets=[resource("table.css")],
            visible=False,
        )  # fmt: skip
        self._broken = html()
        self._column = pn.Column(
            pn.Row(self._said, again, sizing_mode="stretch_width", margin=0),
            pn.Row(pn.HSpacer(), self._new, pn.HSpacer(), margin=0),
            self._broken, self._table,
            sizing_mode="stretch_width", styles={"gap": "12px"}, margin=0,
        )  # fmt: skip

    def __panel__(self) -> Any:
        return self._column

    def _again(self, _: Any) -> None:
        self._said.object = '<p class="muted">Reading the catalog …</p>'
        pn.state.execute(self._read)

    def refresh(self, newest: str) -> None:
        """Read the catalog if a run has ended since.

        Parameters
        ----------
        newest
            When the last run ended.

        """
        if newest != self._seen:
            self._seen = newest
            pn.state.execute(self._read)

    async def _read(self) -> None:
        try:
            found = await asyncio.to_thread(data.list_, self._project)
        except Exception as error:  # said where the table would be
            self._said.object = failure(error, "The catalog cannot be read")
            self._table.visible = False
            return
        self._show(found)

    def _show(self, found: dict[str, Any]) -> None:
        sets, broken = found["datasets"], found["broken"]
        self._new.visible = not sets and not broken
        self._table.visible = bool(sets)
        self._table.value = pd.DataFrame([_row(one) for one in sets], columns=_COLUMNS)
        where = escape(self._project.relative(self._project.catalog))
        if not sets and not broken:
            self._said.object = (
                '<div class="empty"><h2>No data yet</h2><p>Running a study fetches what it needs. '
                "To fetch without running: <code>workbench data fetch studies/ema-cross.yaml</code>"
                "</p></div>"
            )
        else:
            count = f"{len(sets):,} dataset{'s' * (len(sets) != 1)}"
            rows = sum(one["rows"] for one in sets)
            self._said.object = (
                f'<p class="muted">{count}, {rows:,} rows in <code>{where}</code></p>'
            )
        title = "Files that cannot be used (workbench data fetch STUDY fetches them again)"
        reasons = [f"{one['path']}: {one['reason']}" for one in broken]
        self._broken.object = notice("failure", title, reasons) if reasons else ""


_COLUMNS = (
    "Dataset", "Type", "Source", "First (UTC)", "Last (UTC)", "Rows", "Size", "Gaps",
    "Largest gap (UTC)",
)  # fmt: skip


def _row(one: dict[str, Any]) -> dict[str, Any]:
    gap = next((_gap(start, end) for start, end in one["largest_gaps"]), "")
    values = (
        one["identity"], one["kind"], one["provider"] or "", _minute(one["start"]),
        _minute(one["end"]), one["rows"], one["bytes"], one["gaps"], gap,
    )  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def _gap(start: str, end: str) -> str:
    """Return a gap to the minute, or to the day where it is longer than one."""
    first, last = _minute(start), _minute(end)
    return f"{first} to {last}" if first[:10] == last[:10] else f"{first[:10]} to {last[:10]}"


def _minute(time: str | None) -> str:
    """Cut an ISO 8601 time to the minute."""
    return (time or "")[:16].replace("T", " ")


def _formatters() -> dict[str, Any]:
    from bokeh.models.widgets.tables import NumberFormatter

    return {
        name: NumberFormatter(format=text, text_align="right") for name, text in NUMBERS.items()
    }
