"""The provider ``sample``: real daily bars of five shares, adjusted, without a network.

They come from ``bokeh_sampledata`` (Quandl WIKI Prices, public domain): open, high, low, close and
volume as they were traded, and an adjusted close. A share that splits two for one would look like
a crash, so every price of a day is multiplied by ``adj_close / close`` and rounded to four
decimals. That undoes dividends as well as splits, also those after the last row (AAPL split 7:1 in
2014): the series tells the return of holding the share, not the price paid on the day. The volume
is divided by the same ratio, so that price times volume stays the money that changed hands.

A bar's time is the close of its session, 16:00 in New York; early closes are not in the data.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import Cancelled, DependencyError, Issue, choices
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.data import timezones
from workbench.data.intervals import BEGINNING, END, Interval, clip, shown
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.data.rows import table, to_numpy
from workbench.study.datasets import Instrument

TICKERS = {
    "AAPL.XNAS": "AAPL",
    "FB.XNAS": "FB",
    "GOOG.XNAS": "GOOG",
    "IBM.XNYS": "IBM",
    "MSFT.XNAS": "MSFT",
}
BARS = "1-DAY-LAST"
PRECISION = 4
_SHARE = Instrument(type="equity", currency="USD", price_precision=PRECISION)
# Raised when the adjustment changes, so that rows in catalogs are known to be old.
_ADJUSTMENT = 1
_CLOSE_NS = 16 * 3600 * 10**9
_ROW_BYTES = 40


class SampleProvider(Provider):
    """Adjusted daily bars of AAPL, FB, GOOG, IBM and MSFT up to 2013-03-01."""

    name: ClassVar[str] = "sample"

    def local(self, item: Item) -> bool:  # noqa: ARG002, D102
        return True

    def check(self, item: Item) -> list[Issue]:  # noqa: D102
        issues = []
        spec = item.spec
        if spec.instrument not in TICKERS:
            message = f"no sample data of '{spec.instrument}'. {choices(spec.instrument, TICKERS)}"
            issues.append(item.issue(message, "instrument"))
        if spec.ticks or spec.book:
            key = "ticks" if spec.ticks else "book"
            issues.append(item.issue(f"the sample data are bars of {BARS}", key))
        elif spec.bars != BARS:
            message = f"the sample data are bars of {BARS}, found {spec.bars}"
            issues.append(item.issue(message, "bars"))
        if issues:
            return issues
        has, wanted = self.available(item), _wanted(spec.start_ns, spec.end_ns)
        if clip(wanted, has) is None:
            message = (
                f"the sample data of {spec.instrument} run {shown(has)}: none of it is in the range"
            )
            issues.append(item.issue(message, "start" if wanted[0] > has[1] else "end"))
        return issues

    def instrument(self, item: Item) -> Instrument:  # noqa: D102, ARG002
        return _SHARE

    def available(self, item: Item) -> Interval:  # noqa: D102
        ts = _series(TICKERS[item.spec.instrument])["ts"]
        return int(ts[0]), int(ts[-1])

    def source(self, item: Item) -> str:  # noqa: D102, ARG002
        return f"stocks.csv.gz sha256:{_content()[1]} adjustment:{_ADJUSTMENT}"

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:  # noqa: D102
        ts = _series(TICKERS[item.spec.instrument])["ts"]
        requests = []
        for interval in missing:
            rows = len(ts[slice(*_range(ts, interval))])
            requests.append(Request(interval, rows=rows, bytes=rows * _ROW_BYTES))
        return requests

    def fetch(  # noqa: D102
        self, item: Item, request: Request, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Iterator[Chunk]:
        if should_stop():
            raise Cancelled
        spec = item.spec
        series = _series(TICKERS[spec.instrument])
        part = slice(*_range(series["ts"], request.interval))
        rows = table(
            "bars",
            spec.identity,
            spec.instrument,
            {name: values[part] for name, values in series.items()},
            price_precision=PRECISION,
            size_precision=0,
        )
        on_progress(Progress(spec.identity, rows.num_rows, rows.num_rows, "rows"))
        yield Chunk(request.interval, rows)


def _wanted(start: int | None, end: int | None) -> Interval:
    return (BEGINNING if start is None else start, END if end is None else end)


def _range(ts: Any, interval: Interval) -> tuple[int, int]:
    first, last = interval
    return int(ts.searchsorted(first, side="left")), int(ts.searchsorted(last, side="right"))


@functools.cache
def _content() -> tuple[Path, str]:
    """Return the data file of bokeh_sampledata and its SHA-256."""
    try:
        from bokeh_sampledata import package_path
    except ImportError:
        message = "the sample data are missing. Install them: pip install bokeh-sampledata"
        raise DependencyError(message) from None
    path = package_path("stocks.csv.gz")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _prices() -> Any:
    from pyarrow import csv

    return csv.read_csv(_content()[0])


@functools.cache
def _series(ticker: str) -> dict[str, Any]:
    """Return the adjusted series of one share: int64 arrays, see `workbench.data.rows.table`."""
    import pyarrow as pa

    everything = _prices()
    # Comparing with a scalar of pyarrow's would import pandas.
    tickers = everything["Ticker"].combine_chunks().dictionary_encode()
    mine = to_numpy(tickers.indices) == tickers.dictionary.to_pylist().index(ticker)
    rows = {
        name: to_numpy(everything[name])[mine]
        for name in ("Open", "High", "Low", "Close", "Adj Close", "Volume")
    }
    ratio = rows["Adj Close"] / rows["Close"]
    series = {
        name.lower(): np.rint(rows[name] * ratio * 10**PRECISION).astype(np.int64)
        for name in ("Open", "High", "Low", "Close")
    }
    # Rounding is monotonic, so a high stays the highest; the source's own rows must be in order.
    series["high"] = np.maximum.reduce([series[name] for name in ("open", "high", "close")])
    series["low"] = np.minimum.reduce([series[name] for name in ("open", "low", "close")])
    series["volume"] = np.rint(rows["Volume"] / ratio).astype(np.int64)
    days = to_numpy(everything["Date"].cast(pa.int32()))[mine].astype(np.int64)
    zone = timezones.Zone("America/New_York")
    series["ts"] = zone.to_utc(days * 86_400 * 10**9 + _CLOSE_NS).ts
    return series
