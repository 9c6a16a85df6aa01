"""The picture of a run: its prices as candles with its fills, to be zoomed into at any size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import data
from workbench.core.errors import InputError, choices
from workbench.core.progress import OnProgress, ShouldStop, ignore, never
from workbench.core.style import BLUE, ORANGE, PAPER, holoviews, naive
from workbench.data.candles import Preview
from workbench.data.intervals import Interval
from workbench.data.picture import View, layer
from workbench.study.load import build
from workbench.study.places import Places

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.model import Run

SHOWN = 400
"""Fills of one side that are shown one by one; more are joined."""

_SIDES = {
    "BUY": ("bought", BLUE, "triangle", "^"),
    "SELL": ("sold", ORANGE, "inverted_triangle", "v"),
}
_FIELDS = ("time", "price", "quantity", "fills")


class RunPicture(Preview):
    """What a run did with one instrument: a triangle up for a buy, one down for a sell.

    Where more than `SHOWN` fills of one side are in view, those within each four hundredth of it
    are one triangle, at their mean price by quantity.

    Parameters
    ----------
    preview
        The prices.
    run
        The run.
    instrument
        Which of its instruments.

    """

    def __init__(self, preview: Preview, run: Run, instrument: str) -> None:
        super().__init__(preview.series, preview.precision)
        self.name = f"{run.name}: {instrument}"
        fills = run.fills()
        own = fills[fills["instrument"] == instrument]
        self._fills = {
            side: (
                naive(own["ts"][own["side"] == side]).astype(np.int64),
                own["price"][own["side"] == side].to_numpy(np.float64),
                own["quantity"][own["side"] == side].to_numpy(np.float64),
            )
            for side in _SIDES
        }
        equity = naive(run.equity()["ts"]).astype(np.int64)
        ends = (int(equity[0]), int(equity[-1])) if len(equity) else super().span
        self._span = max(ends[0], self.series.start), min(ends[1], self.series.end)

    @property
    def span(self) -> Interval:
        """The run's time, with a little room."""
        first, last = self._span
        room = max((last - first) // 100, self.series.overview.step)
        return first - room, last + room

    @property
    def fills(self) -> int:
        """How many there are."""
        return sum(len(times) for times, _, _ in self._fills.values())

    def bars(self) -> pd.DataFrame:
        """Return the prices of the run's time as the picture keeps them: no file is read.

        Returns
        -------
        pandas.DataFrame
            open, high, low and close (of quotes the last mid price) by the end of the time each
            row stands for: a day of daily bars, or as many rows as had to be joined.

        """
        import pandas as pd

        kept = self.series.overview
        lying = kept.within(self._span)
        columns = lying.columns
        if "close" not in columns:
            mid = (columns["bid"] + columns["ask"]) / 2
            columns = dict.fromkeys(("open", "high", "low", "close"), mid)
        names = ("open", "high", "low", "close")
        ends = pd.DatetimeIndex(naive(lying.starts + kept.step), name="ts")
        return pd.DataFrame({name: columns[name] for name in names}, index=ends)

    def look(self, span: Interval | None = None) -> View:
        """Return what is seen of `span`, default the run's time, its fills among it."""
        view = super().look(span)
        marks = {_SIDES[side][0]: self._marks(side, view.span) for side in _SIDES}
        return replace(view, layers=view.layers | marks, heights=view.heights[:1])

    def charts(self, view: View) -> list[Any]:
        """Return the prices with the fills."""
        return [self.prices(view, [self._triangles(side, view) for side in _SIDES])]

    def _marks(self, side: str, span: Interval) -> dict[str, Any]:
        """Return the triangles of one side, for `span` and a quarter of it on either side."""
        times, prices, quantities = self._fills[side]
        around = (span[1] - span[0]) // 4
        first, after = np.searchsorted(times, (span[0] - around, span[1] + around))
        times, prices, quantities = (one[first:after] for one in (times, prices, quantities))
        counts = np.ones(len(times))
        if len(times) > SHOWN:
            stretch = (times - times[0]) // max((span[1] - span[0]) // SHOWN, 1)
            starts = np.append(0, np.flatnonzero(np.diff(stretch)) + 1)
            worth = np.add.reduceat(prices * quantities, starts)
            counts = np.add.reduceat(counts, starts)
            quantities = np.add.reduceat(quantities, starts)
            times, prices = times[starts], worth / quantities
        return dict(zip(_FIELDS, (naive(times), prices, quantities, counts), strict=True))

    def _triangles(self, side: str, view: View) -> Any:
        from bokeh.models import HoverTool

        name, colour, marker, paper_marker = _SIDES[side]
        columns = view.layers[name]
        points = holoviews().Scatter(
            tuple(columns.values()), _FIELDS[0], list(_FIELDS[1:]), label=name.capitalize()
        )
        price = "0,0." + "0" * self.precision if self.precision else "0,0"
        tips = [
            ("", name), ("time", "@time{%F %T}"), ("price", f"@price{{{price}}}"),
            ("quantity", "@quantity{0,0.[00000000]}"), ("fills", "@fills{0,0}"),
        ]  # fmt: skip
        tool = HoverTool(
            tooltips=tips, formatters={"@time": "datetime"}, visible=False, attachment="vertical"
        )
        return layer(
            name, points,
            bokeh={"marker": marker, "size": 11, "color": colour, "line_color": PAPER,
                   "tools": [tool]},
            matplotlib={"marker": paper_marker, "s": 36, "color": colour, "edgecolor": PAPER,
                        "linewidth": 0.5},
        )  # fmt: skip


def picture(
    run: Run,
    instrument: str | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> RunPicture:
    """Return the picture of a run's prices and fills, whatever the number of its bars.

    Parameters
    ----------
    run
        A run that has tables.
    instrument
        Which; default the first of its study's data that has prices.
    on_progress, should_stop
        While the prices are read.

    Raises
    ------
    InputError
        If the run has no such instrument.
    DataError
        If its data is no longer in the catalog, or has no prices.
    RunError
        If the run has no fills recorded, not even none.
    Cancelled
        If `should_stop` said so.

    """
    specs = {spec.instrument: spec for spec in reversed(build(run.study, Places()).data)
             if spec.kind != "order_book_deltas"}  # fmt: skip
    if not specs:
        raise InputError(f"run {run.id} has no prices: its data is changes of an order book")
    name = instrument or next(reversed(specs))
    if name not in specs:
        raise InputError(f"run {run.id} has no prices of '{name}'. {choices(name, specs)}")
    preview = data.preview(
        specs[name], run.project, on_progress=on_progress, should_stop=should_stop
    )
    return RunPicture(preview, run, name)
