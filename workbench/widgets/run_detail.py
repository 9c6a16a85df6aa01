"""One run in full, or several compared."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import escape
from typing import Any

import panel as pn

from workbench import backtest
from workbench.backtest import Run
from workbench.backtest.glossary import NONE, TERMS, duration, written
from workbench.backtest.model import FINISHED
from workbench.core.errors import Cancelled, DataError, InputError
from workbench.core.progress import ShouldStop
from workbench.core.project import Project
from workbench.data.live import LivePicture
from workbench.widgets.look import (
    CARD,
    bar,
    button,
    drawing,
    failure,
    figure,
    html,
    notice,
    pairs,
    resource,
)
from workbench.widgets.turns import in_turns

MAX_PRICE_CHARTS = 3

TILES = (
    ("net_profit", True), ("total_return", True), ("cagr", True), ("sharpe", False),
    ("max_drawdown", False), ("volatility", False), ("trades", False), ("win_rate", False),
)  # fmt: skip


class RunDetail(pn.viewable.Viewer):
    """What is known of the runs it is told to display.

    Parameters
    ----------
    project
        Whose runs.
    on_change
        Awaited when a run was cancelled from here.
    styles
        Of its box, in the layout it stands in.

    """

    def __init__(
        self,
        project: Project,
        *,
        on_change: Callable[[], Awaitable[None]] | None = None,
        styles: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._project, self._on_change = project, on_change
        self._runs: Sequence[Run] = ()
        self._key: tuple[Any, ...] | None = None
        self._head, self._progress, self._said = html(), html(), html()
        self._messages, self._figures, self._facts = html(), html(), html()
        card = CARD | {"overflow-x": "clip"}  # a long title, on a phone
        self._charts = pn.Column(sizing_mode="stretch_width", margin=0, styles=card, visible=False)
        self._report = pn.widgets.FileDownload(
            callback=self._write_report, filename="report.html", label="Download report",
            icon=None, stylesheets=[resource("controls.css")], margin=0, width=150, visible=False,
        )  # fmt: skip
        self._cancel = button("Cancel", "danger", self._stop, visible=False)
        self._column = pn.Column(
            pn.Row(self._head, self._cancel, self._report, sizing_mode="stretch_width", margin=0),
            self._progress, self._said, self._messages, self._figures, self._charts, self._facts,
            styles={"min-width": "0", "gap": "14px"} | dict(styles or {}), margin=0,
            sizing_mode="stretch_width",
        )  # fmt: skip

    def __panel__(self) -> Any:
        return self._column

    @property
    def visible(self) -> bool:
        """Whether it is shown."""
        return bool(self._column.visible)

    @visible.setter
    def visible(self, value: bool) -> None:
        self._column.visible = value

    def display(self, runs: Sequence[Run], *, dark: bool, missing: Sequence[str] = ()) -> None:
        """Show one run, or compare several; draws only what has changed.

        Parameters
        ----------
        runs
            Which; none for a word on how to select one.
        dark
            Whether charts are drawn for a dark page.
        missing
            Ids of runs that were asked for and are not known.

        """
        self._runs = runs
        self._progress.object = _progress(runs[0]) if len(runs) == 1 else ""
        key = (dark, *((run.id, run.status) for run in runs), *missing)
        if key == self._key:
            return
        self._key = key
        one = runs[0] if len(runs) == 1 else None
        self._said.object = ""
        self._head.object = _head(runs, missing)
        self._cancel.visible = one is not None and one.status not in FINISHED
        self._cancel.disabled = False
        self._report.visible = one is not None and one.status in FINISHED
        self._report.filename = f"{one.id}.html" if one else ""
        self._messages.object = _messages(one) if one else ""
        self._figures.object = _tiles(one) if one else ""
        self._facts.object = _facts(one) if one else ""
        self._charts.visible = bool(runs) and all(run.status in FINISHED for run in runs)
        self._charts.objects = [html('<p class="muted">Drawing the charts …</p>')]
        if self._charts.visible:
            in_turns(self._draw)

    async def _draw(self) -> None:
        """Draw the charts in a thread, unless something else is selected meanwhile."""
        key, runs = self._key, self._runs
        assert key is not None

        def work() -> list[Any]:
            dark = bool(key[0])
            if len(runs) == 1:
                return _charts(runs[0], dark, should_stop=lambda: key != self._key)
            with drawing:
                return _compared(runs, dark)

        try:
            drawn = await asyncio.to_thread(work)
        except Cancelled:
            return  # another is selected
        except Exception as error:
            drawn = [failure(error, "The charts cannot be drawn")]
        if key == self._key:
            self._charts.objects = [_pane(each) for each in drawn]
            self._charts.visible = bool(drawn)

    async def _stop(self, _: Any) -> None:
        (run,) = self._runs
        self._cancel.disabled = True
        try:
            await asyncio.to_thread(backtest.cancel, run.id, project=self._project)
            if self._on_change:
                await self._on_change()
        except Exception as error:  # said beside the button
            self._said.object = failure(error, "The run cannot be cancelled")

    async def _write_report(self) -> Any:
        (run,) = self._runs
        self._report.label, self._report.disabled = "Writing …", True
        try:
            path = await asyncio.to_thread(run.report)
        except Exception as error:
            self._said.object = failure(error, "The report cannot be written")
            raise
        else:
            self._said.object = notice("good", f"Report: {self._project.relative(path)}")
            return path
        finally:
            self._report.label, self._report.disabled = "Download report", False


def _pane(drawn: Any) -> Any:
    if isinstance(drawn, str):
        return html(drawn)
    if isinstance(drawn, tuple):
        return LivePicture(*drawn)
    return pn.pane.Bokeh(drawn, sizing_mode="stretch_width", margin=0)


def _charts(run: Run, dark: bool, *, should_stop: ShouldStop) -> list[Any]:
    """Return the charts of one run: figures, pictures with their drawing, and texts."""
    from workbench.backtest import charts

    if not (run.folder / "equity.parquet").is_file():
        return []
    names = dict.fromkeys(str(spec.get("instrument")) for spec in run.study.get("data", []))
    prices: list[Any] = []
    for name in list(names)[:MAX_PRICE_CHARTS]:
        try:
            prices.append(backtest.picture(run, name, should_stop=should_stop))
        except (DataError, InputError) as error:
            prices.append(notice("hint", f"The prices of {name} cannot be shown: {error}"))
    with drawing:
        if should_stop():
            raise Cancelled
        drawn = [one if isinstance(one, str) else (one, one.draw(dark=dark)) for one in prices]
        # The prices are there: what holding the one instrument would have made needs no file.
        one = prices[0] if len(names) == 1 else ""
        bars = None if isinstance(one, str) else one.bars()
        curves = [charts.equity(run, bars), charts.drawdowns(run)]
        figures = [figure(chart, dark=dark) for chart in curves]
        months = figure(charts.monthly(run), dark=dark)
    along = [
        *figures,
        *(each for one in drawn if not isinstance(one, str) for each in one[1].figures),
    ]
    for each in along:
        each.x_range = along[-1].x_range  # they zoom together
    return [*figures, *drawn, months]


def _compared(runs: Sequence[Run], dark: bool) -> list[Any]:
    """Return the equity of several runs and the table of what differs."""
    from workbench.backtest import charts, comparison

    labels = [f"{run.name} {run.id[-6:]}" for run in runs]
    drawn = [
        (run, label)
        for run, label in zip(runs, labels, strict=True)
        if (run.folder / "equity.parquet").is_file()
    ]
    parts: list[Any] = []
    if drawn:
        chart = charts.compare_equity([run for run, _ in drawn], [label for _, label in drawn])
        parts.append(figure(chart, dark=dark))
    if left := [
        label for run, label in zip(runs, labels, strict=True) if (run, label) not in drawn
    ]:
        parts.append(notice("hint", f"Without an equity curve: {', '.join(left)}"))
    table = comparison.table(runs)
    heads = "".join(f"<th>{escape(label)}</th>" for label in labels)
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th>"
        + "".join(f"<td>{escape(str(value))}</td>" for value in values)
        + "</tr>"
        for name, values in zip(table.index, table.to_numpy().tolist(), strict=True)
    )
    body = f"<thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody>"
    return [
        *parts,
        f'<div class="scroll" tabindex="0"><table class="compared">{body}</table></div>',
    ]


def _head(runs: Sequence[Run], missing: Sequence[str]) -> str:
    if missing:
        return notice("warning", f"Not among the runs shown: {', '.join(missing)}")
    if not runs:
        return '<div class="empty"><h2>No run selected</h2><p>Click a run in the table.</p></div>'
    if len(runs) > 1:
        return f'<div class="head"><h2>{len(runs)} runs compared</h2></div>'
    (run,) = runs
    status = f'<span class="status {run.status}">{run.status}</span>'
    ident = f'<span class="id">{escape(run.id)}</span>'
    return f'<div class="head"><h2>{escape(run.name)}</h2>{status}{ident}</div>'


def _progress(run: Run) -> str:
    if run.status in FINISHED:
        return ""
    begun = dt.datetime.fromisoformat(run.started or run.created)
    elapsed = max(0.0, round((dt.datetime.now(dt.UTC) - begun).total_seconds()))
    return bar(f"{run.progress:.0%} after {duration(elapsed)}", run.progress)


def _messages(run: Run) -> str:
    parts = []
    if run.error:
        reason, _, rest = run.error.partition("\n")
        parts.append(notice("failure", reason, pre=rest))
    if run.warnings:
        parts.append(notice("warning", "Mind", run.warnings))
    if run.status == "cancelled":
        parts.append(notice("hint", "Cancelled before its end: it has no result."))
    return "".join(parts)


def _tiles(run: Run) -> str:
    if run.statistics.get("total_return") is None:
        return ""
    cells = []
    for name, signed in TILES:
        term, value = TERMS[name], run.statistics.get(name)
        tone = "" if not signed or not value else "gain" if value > 0 else "loss"
        unit = f" ({run.statistics['currency']})" if term.kind == "money" else ""
        cells.append(
            f'<div class="tile" title="{escape(term.meaning)}">'
            f"<span>{escape(term.label + unit)}</span>"
            f'<b class="{tone}">{written(value, term.kind, sign=signed)}</b></div>'
        )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _facts(run: Run) -> str:
    strategy = run.study.get("strategy", {})
    values = strategy.get("params", {})
    rows = {
        "Strategy": str(strategy.get("path", NONE)),
        "Parameters": ", ".join(f"{name} = {value}" for name, value in values.items()) or NONE,
        "Data": ", ".join(_dataset(one) for one in run.study.get("data", [])) or NONE,
        "Created": f"{run.created[:19].replace('T', ' ')} UTC",
    }
    if run.seconds is not None:
        rows["Took"] = f"{run.seconds:.2f} s, {run.peak_memory_mb or 0:,.0f} MiB"
    if run.n_orders is not None:
        rows["Orders and fills"] = f"{run.n_orders:,} and {run.n_fills or 0:,}"
    if run.digest:
        rows["Result digest"] = run.digest[:16]
    rows["Folder"] = run.project.relative(run.folder)
    return pairs(rows)


def _dataset(spec: dict[str, Any]) -> str:
    span = [str(spec[name])[:10] for name in ("start", "end") if spec.get(name)]
    kind = spec.get("bars") or spec.get("ticks") or ""
    return " ".join([str(spec.get("instrument", "")), str(kind), " to ".join(span)]).strip()
