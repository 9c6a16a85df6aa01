"""What is replayed: the rows of cached datasets as events of a market, in order of time.

A bar is played as four trades, open, high, low and close, each of a quarter of its volume, at the
quarters of its span; then the bar itself closes. Where an instrument has quotes, order books or
trades, those make its prices, and its bars only close.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workbench.data.catalog import CatalogFile, read_rows
from workbench.data.gaps import bar_step
from workbench.data.intervals import Interval, clip
from workbench.data.rows import times, to_units
from workbench.study.datasets import Kind
from workbench.venue.decode import DECODERS, Ladder, Moment
from workbench.venue.market import Candle, Print, Quote
from workbench.venue.model import Contract

# At one moment the book changes first, then trades happen, then bars close.
_ORDER: tuple[Kind, ...] = ("order_book_deltas", "order_book_depths", "quotes", "trades", "bars")

_MINUTE = 60 * 10**9
_INTERVALS = {
    **{minutes * _MINUTE: str(minutes) for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    1440 * _MINUTE: "D",
    7 * 1440 * _MINUTE: "W",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in a market at a moment of its data (UNIX nanoseconds)."""

    ts: int
    symbol: str
    what: Quote | Print | Candle


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset that is replayed.

    Attributes
    ----------
    kind, identity, contract
        What it is, and as what it is listed.
    files, wanted
        Where its rows are, and which span of them counts.

    """

    kind: Kind
    identity: str
    contract: Contract
    files: tuple[CatalogFile, ...]
    wanted: Interval

    @property
    def quotes(self) -> bool:
        """Whether it makes the order book itself."""
        return self.kind not in ("bars", "trades")


class Bars:
    """The bars of one contract and length.

    Parameters
    ----------
    source
        Their dataset.
    drives
        Whether they make the contract's prices.

    Attributes
    ----------
    interval
        Bybit's name of their length, empty where it has none.
    step
        Their length in nanoseconds; 0 for bars that are not of a fixed time.
    closes
        When each closes, UNIX nanoseconds.

    """

    def __init__(self, source: Source, *, drives: bool) -> None:
        self.symbol, self.drives = source.contract.symbol, drives
        self.step = bar_step(source.kind, source.identity) or 0
        self.interval = _INTERVALS.get(self.step, "")
        self._contract = source.contract
        rows = read_rows(list(source.files), source.wanted)
        prices, sizes = source.files[0].precisions
        self.closes = times(rows.column("ts_init"))
        self._prices = [
            to_units(rows.column(name), prices) for name in ("open", "high", "low", "close")
        ]
        self._volume = to_units(rows.column("volume"), sizes)
        self._units = (Decimal(1).scaleb(-prices), Decimal(1).scaleb(-sizes))

    def row(self, at: int) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
        """Return open, high, low, close and volume of a row."""
        price, size = self._units
        opened, high, low, close = (int(column[at]) * price for column in self._prices)
        return opened, high, low, close, int(self._volume[at]) * size

    def until(self, moment: int) -> int:
        """Return how many bars have closed by a moment."""
        return int(self.closes.searchsorted(moment, side="right"))

    def events(self, after: int) -> Iterator[Event]:
        """Yield what happens later than `after`."""
        for at in range(self.until(after), len(self.closes)):
            yield from (event for event in self._of(at) if event.ts > after)

    def last(self, moment: int) -> Event | None:
        """Return the price at a moment, None before the first."""
        closed = self.until(moment)
        found = None
        for at in (closed - 1, closed):  # the bar that has closed, and the one under way
            if self.drives and 0 <= at < len(self.closes):
                prices = [event for event in self._of(at) if isinstance(event.what, Print)]
                found = next((each for each in reversed(prices) if each.ts <= moment), found)
        return found

    def _of(self, at: int) -> Iterator[Event]:
        closes = int(self.closes[at])
        if self.drives:
            since = closes - int(self.closes[at - 1]) if at else self.step
            span = min(since, self.step or since)
            *path, volume = self.row(at)
            step = self._contract.step
            size = max(volume / 4 // step * step, step)
            for quarter, price in enumerate(path, 1):
                moment = closes - span + span * quarter // 4
                yield Event(moment, self.symbol, Print(price, size))
        yield Event(closes, self.symbol, Candle(self.interval, at))


class Ticks:
    """The quotes, trades or order books of one contract, read file by file."""

    def __init__(self, source: Source) -> None:
        self.symbol, self._source = source.contract.symbol, source

    def events(self, after: int) -> Iterator[Event]:
        """Yield what happens later than `after`."""
        first, last = self._source.wanted
        if self._source.kind != "order_book_deltas":  # those need all that went before
            first = max(first, after + 1)
        for ts, what in self._within((first, last)):
            if ts > after:
                yield Event(ts, self.symbol, what)

    def last(self, moment: int) -> Event | None:
        """Return the last event up to a moment, None before the first."""
        first, last = self._source.wanted
        found = None
        if self._source.kind == "order_book_deltas":
            for found in self._within((first, min(moment, last))):  # noqa: B007 - the last one
                pass
        else:
            for file in reversed(self._source.files):
                if clip(file.interval, (first, min(moment, last))):
                    rows = read_rows([file], (first, min(moment, last)))
                    tail = rows.slice(max(rows.num_rows - 1, 0))
                    found = next(DECODERS[self._source.kind](tail, file.precisions), None)
                if found:
                    break
        return Event(found[0], self.symbol, found[1]) if found else None

    def _within(self, span: Interval) -> Iterator[Moment]:
        decode: Any = DECODERS.get(self._source.kind) or Ladder().deltas
        for file in self._source.files:
            if clip(file.interval, span):
                yield from decode(read_rows([file], span), file.precisions)


class Tape:
    """Everything that is replayed, in order of time.

    Parameters
    ----------
    sources
        The datasets.

    Attributes
    ----------
    bars
        Those of every length, by symbol and Bybit's interval.
    quoted
        The symbols whose order book the data make.

    """

    def __init__(self, sources: Sequence[Source]) -> None:
        ticked = {each.contract.symbol for each in sources if each.kind != "bars"}
        self.quoted = {each.contract.symbol for each in sources if each.quotes}
        self.bars: dict[tuple[str, str], Bars] = {}
        self._feeds: list[Bars | Ticks] = []
        driven: set[str] = set()
        for source in sorted(sources, key=_fineness):
            symbol = source.contract.symbol
            if source.kind != "bars":
                self._feeds.append(Ticks(source))
                continue
            # Of several lengths the shortest makes the prices.
            bars = Bars(source, drives=symbol not in ticked | driven)
            driven.add(symbol)
            self._feeds.append(bars)
            if bars.interval:
                self.bars[symbol, bars.interval] = bars

    def events(self, after: int) -> Iterator[Event]:
        """Yield what happens later than `after`."""
        feeds = [feed.events(after) for feed in self._feeds]
        return heapq.merge(*feeds, key=lambda event: event.ts)

    def at(self, moment: int) -> list[Event]:
        """Return what is to be played for the prices to be those of a moment."""
        found = [event for feed in self._feeds if (event := feed.last(moment))]
        return sorted(found, key=lambda event: event.ts)


def _fineness(source: Source) -> tuple[int, int]:
    return _ORDER.index(source.kind), bar_step(source.kind, source.identity) or 0
