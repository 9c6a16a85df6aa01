"""The picture of one dataset: candles of bars and trades, bid and ask of quotes and books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.style import (
    BAND,
    BLUE,
    INK,
    MUTED,
    ORANGE,
    drawn,
    framed,
    holoviews,
    naive,
)
from workbench.data.buckets import Buckets, Series
from workbench.data.coverage import named
from workbench.data.intervals import Interval, iso
from workbench.data.picture import Picture, View, fitted, layer

_WORDS = {
    "bars": "bars", "quotes": "quotes", "trades": "trades", "order_book_deltas": "changes",
    "order_book_depths": "snapshots",
}  # fmt: skip
_UNITS = (
    (7 * 86_400 * 10**9, "week"), (86_400 * 10**9, "day"), (3_600 * 10**9, "hour"),
    (60 * 10**9, "minute"), (10**9, "second"), (10**6, "millisecond"), (10**3, "microsecond"),
)  # fmt: skip

_PRICE_HEIGHT, _ACTIVITY_HEIGHT, _ALONE_HEIGHT = 380, 130, 300
_TRIM = 0.12  # of a bucket, left out on either side of its candle
_NARROW = 400  # candles: with more of them there is no room to leave out any
_THIN = 1.5 / _PRICE_HEIGHT  # of the height: a body of no height is a line
_ROOM = 0.04  # of the height, above and below the prices


class Preview(Picture):
    """What a dataset's rows look like, at any size.

    Bars and trades are candles, above their volume; quotes and order book depths the lines of the
    last bid and ask in the band from the lowest bid to the highest ask, above their number; order
    book deltas their number alone.

    Parameters
    ----------
    series
        The rows.
    precision
        Decimals of prices.

    Attributes
    ----------
    priced
        Whether the rows have prices.

    """

    def __init__(self, series: Series, precision: int) -> None:
        self.series = series
        self.name = named(series.kind, series.identity)
        self.least = 10 * series.finest
        self.precision = precision
        columns = series.overview.columns
        self._candles, self._quoted = "open" in columns, "bid" in columns
        self.priced = self._candles or self._quoted
        self._activity = "volume" if self._candles else "rows"

    @property
    def span(self) -> Interval:
        """From the first row's bucket to the last row's, with a little room."""
        first, last = self.series.overview.span
        room = max((last - first) // 100, 1)
        return first - room, last + room

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers behind it, as ``workbench data preview --json`` prints them.

        Prices are None where there are none; of quotes, the first and last are bids.
        """
        series, found = self.series, self.series.overview.columns
        prices: list[float | None] = [None] * 4
        if self.priced:
            names = ("open", "close") if self._candles else ("bid", "bid")
            first, last, low, high = (
                values[np.isfinite(values)]  # a side of a book may be empty
                for values in (found[name] for name in (*names, "low", "high"))
            )
            if len(first) and len(high):
                ends = first[0], last[-1], low.min(), high.max()
                prices = [round(float(value), self.precision) for value in ends]
        return {
            "kind": series.kind,
            "identity": series.identity,
            "rows": series.rows,
            "start": iso(series.start),
            "end": iso(series.end),
            **dict(zip(("first", "last", "lowest", "highest"), prices, strict=True)),
        }

    def line(self, points: int) -> Any:
        """Return prices (or numbers of rows) evenly over time, NaN where there is no row."""
        overview = self.series.overview
        name = "close" if self._candles else "bid" if self._quoted else "rows"
        edges = np.linspace(*overview.span, points + 1)
        last = np.searchsorted(overview.starts, edges[1:]) - 1
        found = overview.columns[name][np.maximum(last, 0)]
        return np.where(overview.starts[last] + overview.step >= edges[:-1], found, np.nan)

    def is_at_once(self, span: Interval) -> bool:
        """Whether memory holds what `span` shows."""
        return self.series.is_at_once(span)

    def look(self, span: Interval | None = None) -> View:
        """Return what is seen of `span`, default everything."""
        span = span or self.span
        buckets = self.series.look(span)
        visible = buckets.within(span)
        heights: list[tuple[float, float] | None] = []
        thin = 0.0
        if self.priced:
            bounds = _height(visible.columns["low"], visible.columns["high"])
            heights.append(bounds)
            thin = (bounds[1] - bounds[0]) * _THIN if bounds else 0.0
        top = np.max(visible.columns[self._activity], initial=0.0)
        heights.append((0.0, float(top) * 1.05) if top > 0 else None)
        trim = _TRIM if len(visible) < _NARROW else 0.0
        layers = _layers(buckets, self._activity, trim, thin)
        return View(span, self._title(buckets.step), layers, heights)

    def charts(self, view: View) -> list[Any]:
        """Return the prices above the activity, or that alone."""
        hv = holoviews()
        found = [self.prices(view)] if self.priced else []
        bars = _rectangles("activity", view.layers, BAND)
        label = "Volume" if self._candles else _WORDS[self.series.kind].capitalize()
        layers = [bars] if self.priced else [bars, self._touched(view)]
        chart = fitted(hv.Overlay(layers), view, len(found), ylabel=label)
        height, title = (_ACTIVITY_HEIGHT, "") if self.priced else (_ALONE_HEIGHT, view.title)
        return [*found, framed(chart, title, number="0.[000]a", height=height)]

    def prices(self, view: View, over: Sequence[Any] = ()) -> Any:
        """Return the chart of the prices, layers `over` them."""
        layers = (_candle_layers if self._candles else _quote_layers)(view.layers)
        overlay = holoviews().Overlay([*layers, *over, self._touched(view)])
        chart = fitted(overlay, view, 0, ylabel="Price")
        number = "0,0." + "0" * self.precision if self.precision else "0,0"
        legend = self._quoted or bool(over)
        chart = framed(chart, view.title, number=number, height=_PRICE_HEIGHT, legend=legend)
        above = {"legend_position": "top"} if legend else {}
        return drawn(chart, bokeh=above, matplotlib={})

    def _title(self, step: int) -> str:
        kind, rows = self.series.kind, self.series.rows
        one = "candle" if self._candles else "step"
        word = _WORDS[kind] if rows != 1 else _WORDS[kind][:-1]
        return f"{self.name}: {rows:,} {word}, each {one} {duration(step)}"

    def _touched(self, view: View) -> Any:
        """Return what the pointer finds: a line that is not drawn, a point for each bucket."""
        from bokeh.models import HoverTool

        price = "0,0." + "0" * self.precision if self.precision else "0,0"
        fine = "%F %T.%6N" if self.series.overview.step < 10**9 else "%F %T"
        names = ("open", "high", "low", "close") if self._candles else ("bid", "ask", "spread")
        tips = [("from", f"@begin{{{fine}}}"), ("to", f"@until{{{fine}}}")]
        if self.priced:
            tips += [(name, f"@{name}{{{price}}}") for name in names]
        if self._candles:
            tips.append(("volume", "@volume{0,0.[00000000]}"))
        tips.append((_WORDS[self.series.kind], "@rows{0,0}"))
        tool = HoverTool(tooltips=tips, formatters={"@begin": "datetime", "@until": "datetime"},
                         mode="vline", line_policy="nearest", visible=False)  # fmt: skip
        columns = view.layers["touched"]
        element = holoviews().Curve(tuple(columns.values()), "time", list(columns)[1:])
        return layer("touched", element, bokeh={"alpha": 0, "tools": [tool]},
                     matplotlib={"alpha": 0})  # fmt: skip


def duration(step: int) -> str:
    """Write a length of time: ``1 day``, ``15 minutes``."""
    size, unit = next((each for each in _UNITS if step % each[0] == 0), (1, "nanosecond"))
    return f"{step // size:,} {unit}{'s' * (step != size)}"


def _height(low: Any, high: Any) -> tuple[float, float] | None:
    """Return the bounds of the prices' axis, None where nothing is visible."""
    low, high = low[np.isfinite(low)], high[np.isfinite(high)]
    if not len(low) or not len(high):
        return None
    bottom, top = float(low.min()), float(high.max())
    room = (top - bottom) * _ROOM or abs(top) * _ROOM or 1.0
    return bottom - room, top + room


def _sides(buckets: Buckets, trim: float) -> tuple[Any, Any]:
    """Return where each bucket begins and ends, a share of it left out on either side."""
    cut = int(buckets.step * trim)
    return naive(buckets.starts + cut), naive(buckets.starts + buckets.step - cut)


def _box(left: Any, bottom: Any, right: Any, top: Any) -> dict[str, Any]:
    return {"left": left, "bottom": bottom, "right": right, "top": top}


def _layers(buckets: Buckets, activity: str, trim: float, thin: float) -> dict[str, dict[str, Any]]:
    """Return the columns of every layer.

    A share `trim` of each bucket is left out on either side of its candle, whose body is at least
    `thin` high.
    """
    found = buckets.columns
    left, right = _sides(buckets, trim)
    nothing = np.zeros(len(buckets))
    layers = {"activity": _box(left, nothing, right, found[activity])}
    begin, end = _sides(buckets, 0)
    middle = naive(buckets.starts + buckets.step // 2)
    if "open" in found:
        layers["wicks"] = {"t0": middle, "low": found["low"], "t1": middle, "high": found["high"]}
        up = found["close"] >= found["open"]
        for name, own, bottom, top in (("rising", up, "open", "close"),
                                       ("falling", ~up, "close", "open")):  # fmt: skip
            low, high = found[bottom][own], found[top][own]
            layers[name] = _box(left[own], low, right[own], np.maximum(high, low + thin))
    elif "bid" in found:
        layers["band"] = _box(begin, found["low"], end, found["high"])
        # A quote stands until the next one.
        until = naive(np.append(buckets.starts[1:], buckets.starts[-1:] + buckets.step))
        for name in ("bid", "ask"):
            times = np.column_stack([begin, until]).ravel()
            layers[name] = {"time": times, name: np.repeat(found[name], 2)}
    height = found.get("close", found.get("bid", found["rows"]))
    layers["touched"] = {"time": middle, "height": height, "begin": begin, "until": end} | found
    return layers


def _rectangles(name: str, layers: dict[str, dict[str, Any]], colour: str) -> Any:
    columns = layers[name]
    element = holoviews().Rectangles(tuple(columns.values()), list(columns))
    return layer(
        name, element,
        # Without an outline: it would cost as much as the box.
        bokeh={"fill_color": colour, "line_color": None},
        matplotlib={"facecolor": colour, "linewidth": 0},
    )  # fmt: skip


def _candle_layers(layers: dict[str, dict[str, Any]]) -> list[Any]:
    wicks = holoviews().Segments(tuple(layers["wicks"].values()), list(layers["wicks"]))
    return [
        layer("wicks", wicks, bokeh={"color": MUTED, "line_width": 1},
              matplotlib={"color": MUTED, "linewidth": 0.5}),
        _rectangles("rising", layers, BAND),
        _rectangles("falling", layers, INK),
    ]  # fmt: skip


def _quote_layers(layers: dict[str, dict[str, Any]]) -> list[Any]:
    found = [_rectangles("band", layers, BAND)]
    for name, colour in (("bid", BLUE), ("ask", ORANGE)):
        curve = holoviews().Curve(tuple(layers[name].values()), "time", name, label=name.title())
        found.append(layer(name, curve, bokeh={"color": colour, "line_width": 1.4},
                           matplotlib={"color": colour, "linewidth": 1}))  # fmt: skip
    return found
