"""Rows of the catalog as what happens in a market: quotes, trades, order books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.data.rows import times, to_units
from workbench.venue.market import Level, Print, Quote
from workbench.venue.model import Side

if TYPE_CHECKING:
    import pyarrow as pa

type Moment = tuple[int, Quote | Print]
"""UNIX nanoseconds, and what happened."""

type Precisions = tuple[int, int]
"""Decimals of prices and of sizes."""

DEPTH = 50
"""Levels of a side that are displayed."""

_BATCH = 10_000
_SIDES: dict[str, Side | None] = {"BUY": "Buy", "SELL": "Sell", "NO_AGGRESSOR": None}
_LAST = 128  # the engine's flag of the last change of an event


def quotes(rows: pa.Table, precisions: Precisions) -> Iterator[Moment]:
    """Yield the quotes of a table."""
    names = ("bid_price", "bid_size", "ask_price", "ask_size")
    for batch in _batches(rows):
        columns = [_decimals(batch, name, precisions["size" in name]) for name in names]
        for ts, bid, bid_size, ask, ask_size in zip(_times(batch), *columns, strict=True):
            yield ts, Quote(_level(bid, bid_size), _level(ask, ask_size))


def trades(rows: pa.Table, precisions: Precisions) -> Iterator[Moment]:
    """Yield the trades of a table."""
    for batch in _batches(rows):
        prices = _decimals(batch, "price", precisions[0])
        sizes = _decimals(batch, "size", precisions[1])
        sides = batch.column("aggressor_side").to_pylist()
        names = batch.column("trade_id").to_pylist()
        for ts, price, size, side, name in zip(
            _times(batch), prices, sizes, sides, names, strict=True
        ):
            if size:
                yield ts, Print(price, size, _SIDES.get(side), name[:36])


def depths(rows: pa.Table, precisions: Precisions) -> Iterator[Moment]:
    """Yield the order books of a table of best levels."""
    del precisions  # the levels come as decimals
    for batch in _batches(rows):
        bids, asks = batch.column("bids").to_pylist(), batch.column("asks").to_pylist()
        for ts, bid, ask in zip(_times(batch), bids, asks, strict=True):
            yield ts, Quote(_levels(bid), _levels(ask))


class Ladder:
    """An order book that is built from its changes.

    Changes of one event are shown together. An order is known by its id; where there are none, a
    level by its price.
    """

    def __init__(self) -> None:
        self._sides: dict[str, dict[Any, Level]] = {"BUY": {}, "SELL": {}}

    def deltas(self, rows: pa.Table, precisions: Precisions) -> Iterator[Moment]:
        """Yield the order book after each event of a table of changes."""
        del precisions  # prices and sizes come as decimals
        for batch in _batches(rows):
            actions, sides = (batch.column(name).to_pylist() for name in ("action", "side"))
            orders, flags = (batch.column(name).to_pylist() for name in ("order_id", "flags"))
            prices, sizes = batch.column("price").to_pylist(), batch.column("size").to_pylist()
            moments = _times(batch)
            for at, (action, side) in enumerate(zip(actions, sides, strict=True)):
                if action == "CLEAR":
                    for levels in self._sides.values():
                        levels.clear()
                elif side in self._sides:
                    self._change(action, side, orders[at], prices[at], sizes[at])
                ends = at + 1 == len(moments) or moments[at + 1] > moments[at]
                if flags[at] & _LAST or ends:
                    yield moments[at], Quote(self._shown("BUY"), self._shown("SELL"))

    def _change(self, action: str, side: str, order: int, price: Decimal, size: Decimal) -> None:
        name = order or price
        if action == "DELETE" or not size:
            self._sides[side].pop(name, None)
        else:
            self._sides[side][name] = (price, size)

    def _shown(self, side: str) -> tuple[Level, ...]:
        together: dict[Decimal, Decimal] = {}
        for price, size in self._sides[side].values():
            together[price] = together.get(price, Decimal(0)) + size
        best = sorted(together, reverse=side == "BUY")[:DEPTH]
        return tuple((price.normalize(), together[price].normalize()) for price in best)


DECODERS: dict[str, Callable[[pa.Table, Precisions], Iterator[Moment]]] = {
    "quotes": quotes,
    "trades": trades,
    "order_book_depths": depths,
}


def _batches(rows: pa.Table) -> Iterator[pa.Table]:
    # Python's decimals take a hundred times the room of the columns: some rows at a time.
    for start in range(0, rows.num_rows, _BATCH):
        yield rows.slice(start, _BATCH)


def _times(rows: pa.Table) -> list[int]:
    moments: list[int] = times(rows.column("ts_init")).tolist()
    return moments


def _decimals(rows: pa.Table, name: str, precision: int) -> list[Decimal]:
    unit = Decimal(1).scaleb(-precision)
    return [number * unit for number in to_units(rows.column(name), precision).tolist()]


def _level(price: Decimal, size: Decimal) -> tuple[Level, ...]:
    return ((price, size),) if size else ()


def _levels(levels: list[dict[str, Any]]) -> tuple[Level, ...]:
    shown = [(each["price"], each["size"]) for each in levels]
    return tuple((price.normalize(), size.normalize()) for price, size in shown if size)
