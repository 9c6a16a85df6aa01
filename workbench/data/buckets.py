"""Rows joined into buckets of time: what a picture of any number of rows is drawn from.

A picture shows some hundred buckets, however many rows there are. `Series` reads a dataset
once, batch by batch, and keeps an overview of at most `OVERVIEW` buckets, as fine as that allows;
where more is zoomed in than the overview can show, it reads the rows of that stretch again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import Cancelled, DataError
from workbench.core.progress import OnProgress, Progress, ShouldStop, ignore, never
from workbench.data.catalog import CatalogFile
from workbench.data.gaps import bar_step
from workbench.data.intervals import BEGINNING, END, Interval, clip
from workbench.data.rows import SCALE, best_levels, times, words
from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 800
"""Buckets a picture shows at most."""
OVERVIEW = 2**18
"""Buckets kept of a dataset: 16 MB at most."""

_AROUND = 4  # a picture gets a fourth of what is visible on either side of it
_BATCH = 2**16  # rows
_US, _MS, _S = 10**3, 10**6, 10**9
_MINUTE, _HOUR, _DAY = 60 * _S, 3_600 * _S, 86_400 * _S
_LADDER = (
    *(n * unit for unit in (_US, _MS) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * unit for unit in (_S, _MINUTE) for n in (1, 2, 3, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 4, 6, 12)),
    *(n * _DAY for n in (1, 7, 14, 28, 56, 112, 224, 448)),
)
_MULTIPLES = tuple(n * 10**power for power in range(9) for n in (1, 2, 5))
_ORIGIN = -3 * _DAY  # a Monday: buckets of a week begin on one

_READ: dict[Kind, tuple[str, ...]] = {
    "bars": ("open", "high", "low", "close", "volume"),
    "quotes": ("bid_price", "ask_price"),
    "trades": ("price", "size"),
    "order_book_deltas": (),
    "order_book_depths": ("bids", "asks"),
}
_CANDLE = ("open", "high", "low", "close", "volume")
_BAND = ("low", "high", "bid", "ask", "spread")
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "bars": _CANDLE, "trades": _CANDLE, "quotes": _BAND, "order_book_depths": _BAND,
    "order_book_deltas": (),
}  # fmt: skip


def _first(values: Any, starts: Any) -> Any:
    return values[starts]


def _last(values: Any, starts: Any) -> Any:
    return values[np.append(starts[1:], len(values)) - 1]


# An empty side of a book is NaN: fmin and fmax look past it.
_JOIN: dict[str, Callable[[Any, Any], Any]] = {
    "open": _first,
    "high": np.fmax.reduceat,
    "low": np.fmin.reduceat,
    "close": _last,
    "volume": np.add.reduceat,
    "bid": _last,
    "ask": _last,
    "spread": np.fmax.reduceat,
    "rows": np.add.reduceat,
}


@dataclass(frozen=True, slots=True)
class Buckets:
    """Rows joined by time; a stretch without a row has no bucket.

    Attributes
    ----------
    step
        Length of a bucket in nanoseconds.
    starts
        Where each begins: int64, UNIX nanoseconds, ascending.
    columns
        By name, one value a bucket. Always ``rows`` (how many it joins). Of bars and trades
        ``open``, ``high``, ``low``, ``close``, ``volume``; of quotes and depths ``low`` (lowest
        bid), ``high`` (highest ask), ``bid`` and ``ask`` (the last), ``spread`` (the widest).

    """

    step: int
    starts: Any
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def span(self) -> Interval:
        """From the beginning of the first to the end of the last."""
        return int(self.starts[0]), int(self.starts[-1]) + self.step

    def joined(self, step: int) -> Buckets:
        """Return the same rows in buckets of `step`, a multiple of the present one."""
        if step == self.step:
            return self
        return _joined(step, _floor(self.starts, step), self.columns)

    def within(self, span: Interval) -> Buckets:
        """Return the buckets that lie in `span`, wholly or in part."""
        first = int(np.searchsorted(self.starts, span[0] - self.step, side="right"))
        after = int(np.searchsorted(self.starts, span[1], side="right"))
        part = {name: values[first:after] for name, values in self.columns.items()}
        return Buckets(self.step, self.starts[first:after], part)


def _floor(moments: Any, step: int) -> Any:
    return (moments - _ORIGIN) // step * step + _ORIGIN


def _joined(step: int, starts: Any, columns: dict[str, Any]) -> Buckets:
    """Join values whose buckets begin at `starts`; in order within each bucket."""
    if not len(starts):
        return Buckets(step, starts, columns)
    changes = np.diff(starts)
    if len(changes) and changes.min() < 0:  # rows another program left out of order
        order = np.argsort(starts, kind="stable")
        starts, columns = starts[order], {name: each[order] for name, each in columns.items()}
        changes = np.diff(starts)
    places = np.append(0, np.flatnonzero(changes) + 1)
    found = {name: _JOIN[name](values, places) for name, values in columns.items()}
    return Buckets(step, starts[places], found)


class Series:
    """The rows of one dataset, to be seen at any size; any thread may look.

    Parameters
    ----------
    kind, identity
        The dataset's.
    files
        Its good files, in order of time.
    on_progress, should_stop
        While the overview is made.

    Attributes
    ----------
    rows
        How many there are.
    start, end
        Times of the first and the last.
    finest
        Length of the shortest buckets: that of time bars, else a microsecond.
    overview
        All of them.

    Raises
    ------
    DataError
        If a file cannot be read; it is named.
    Cancelled
        If `should_stop` said so.

    """

    def __init__(
        self,
        kind: Kind,
        identity: str,
        files: Sequence[CatalogFile],
        *,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> None:
        self.kind, self.identity, self.files = kind, identity, files
        self.rows = sum(file.rows for file in files)
        own = bar_step(kind, identity)
        if own is None:
            self._steps = _LADDER
        elif own in _LADDER:
            self._steps = tuple(step for step in _LADDER if step % own == 0)
        else:
            self._steps = tuple(n * own for n in _MULTIPLES)
        self.finest = self._steps[0]
        self.start, self.end = END, BEGINNING
        self._close: tuple[Interval, Buckets] | None = None
        self._reading = threading.Lock()
        self.overview = self._read(on_progress, should_stop)

    def _read(self, on_progress: OnProgress, should_stop: ShouldStop) -> Buckets:
        """Read every row once; whenever that makes too many buckets, make them longer."""
        step, kept, done = self.finest, 0, 0
        parts: list[Buckets] = []
        for part in self._batches(None, step):
            if should_stop():
                raise Cancelled
            done += int(part.columns["rows"].sum())
            on_progress(Progress(f"Reading {self.identity}", done, self.rows, "rows"))
            parts.append(part.joined(step))
            kept += len(parts[-1])
            if kept > OVERVIEW:
                whole = self._whole(parts, step)
                while len(whole) > OVERVIEW // 2:  # room for as many again
                    step = next(each for each in self._steps if each > step and each % step == 0)
                    whole = whole.joined(step)
                parts, kept = [whole], len(whole)
        return self._whole(parts, step)

    def at_once(self, span: Interval) -> Buckets:
        """Return what the overview has of `span`, perhaps coarser than `look` would."""
        finest = self.overview.step
        wanted = max(self._step(span), finest)
        step = next((s for s in self._steps if s >= wanted and s % finest == 0), finest)
        first, last = (int(_floor(moment, step)) for moment in _wider(span, _AROUND))
        return self.overview.within((first, last + step - 1)).joined(step)  # none cut at the ends

    def is_at_once(self, span: Interval) -> bool:
        """Whether `look` has no file to read for `span`."""
        step = self._step(span)
        return step >= self.overview.step or self._kept(span, step) is not None

    def look(self, span: Interval) -> Buckets:
        """Return buckets for `span`: at most `SHOWN` inside it, and as short as that allows.

        A quarter as much again is returned on either side, so that a picture can be moved.
        """
        step = self._step(span)
        if step >= self.overview.step:
            return self.at_once(span)
        with self._reading:
            kept = self._kept(span, step)
            if kept is None:
                wide = _wider(span, 1)
                kept = self._whole(list(self._batches(wide, step)), step).within(wide)
                self._close = wide, kept
        return kept.within(_wider(span, _AROUND))

    def _kept(self, span: Interval, step: int) -> Buckets | None:
        """Return what was read last, if `span` lies in it."""
        if self._close is None:
            return None
        (first, last), buckets = self._close
        return buckets if buckets.step == step and first <= span[0] and span[1] <= last else None

    def _step(self, span: Interval) -> int:
        length = span[1] - span[0]
        return next((step for step in self._steps if length <= SHOWN * step), self._steps[-1])

    def _whole(self, parts: Sequence[Buckets], step: int) -> Buckets:
        """Return the rows of all parts, in order of time."""
        columns = {
            name: np.concatenate([np.empty(0), *(part.columns[name] for part in parts)])
            for name in (*_COLUMNS[self.kind], "rows")
        }
        starts = np.concatenate([np.empty(0, np.int64), *(part.starts for part in parts)])
        return _joined(step, _floor(starts, step), columns)

    def _batches(self, span: Interval | None, step: int) -> Iterator[Buckets]:
        """Yield all rows, or those of the files' parts that touch `span`, batch by batch."""
        # The time of a bar is its close: it belongs to the bucket that ends then.
        early = 1 if self.kind == "bars" else 0
        wanted = (span[0] - step, span[1] + step) if span else (BEGINNING, END)
        columns = [*_READ[self.kind], "ts_init"]
        for file in self.files:
            if not clip(file.interval, wanted):
                continue
            for rows in _row_batches(file, columns, wanted):
                moments = times(rows.column("ts_init"))
                if span is None:
                    self.start = min(self.start, int(moments.min()))
                    self.end = max(self.end, int(moments.max()))
                starts = _floor(moments - early, step)
                yield _joined(step, starts, _values(self.kind, rows, file.precisions))


def _wider(span: Interval, parts: int) -> Interval:
    """Return `span` and one of so many parts of it more on either side."""
    more = (span[1] - span[0]) // parts
    return span[0] - more, span[1] + more


def _row_batches(file: CatalogFile, columns: list[str], wanted: Interval) -> Iterator[pa.Table]:
    """Yield the rows of those row groups of a file that touch `wanted`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as source:
            groups = [
                number
                for number in range(source.num_row_groups)
                if clip(_bounds(source.metadata.row_group(number)), wanted)
            ]
            left = sum(source.metadata.row_group(number).num_rows for number in groups)
            for batch in source.iter_batches(_BATCH, groups, columns, use_threads=False):
                left -= batch.num_rows
                yield pa.Table.from_batches([batch])
            if left:  # a damaged page header: batches end early, without an error
                raise DataError(f"{file.path}: cannot be read: {left:,} rows are not there")
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file.path}: cannot be read: {reason}") from None


def _bounds(group: Any) -> Interval:
    """Return the first and last time in a row group by its statistics; all time without them."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "ts_init" and column.is_stats_set:
            return column.statistics.min_raw, column.statistics.max_raw
    return BEGINNING, END


def _values(kind: Kind, rows: pa.Table, precisions: tuple[int, int]) -> dict[str, Any]:
    """Return what `Buckets.columns` has, of each row alone."""
    count = {"rows": np.ones(rows.num_rows)}
    if kind == "order_book_deltas":
        return count
    if kind == "bars":
        return {name: _floats(rows.column(name)) for name in _CANDLE} | count
    if kind == "trades":
        price = _floats(rows.column("price"))
        return dict.fromkeys(_CANDLE[:4], price) | {"volume": _floats(rows.column("size"))} | count
    if kind == "quotes":
        bid, ask = (_floats(rows.column(f"{side}_price")) for side in ("bid", "ask"))
    else:
        best = best_levels(rows, *precisions)
        bid, ask = best["bid_price"], best["ask_price"]
    return {"low": bid, "high": ask, "bid": bid, "ask": ask, "spread": ask - bid} | count


def _floats(column: pa.ChunkedArray) -> Any:
    """Return decimals as floats, right to the 15th digit: half the time of the nearest ones."""
    pair = words(column)
    return pair[:, 1].view(np.int64) * (2.0**64 / 10**SCALE) + pair[:, 0] / 10.0**SCALE
