"""The market an order would meet: prices, where they come from, and whether it is open."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nautilus_trader.model import AggregationSource, InstrumentId, PriceType

_CLOSED = ("HALT", "PAUSE", "SUSPEND", "CLOSE", "POST_CLOSE", "NOT_AVAILABLE_FOR_TRADING")


@dataclass(frozen=True, slots=True)
class Prices:
    """Newest prices of an instrument, as far as there are any.

    Attributes
    ----------
    bid, ask
        Of the newest quote, or book, or bar; else of the last trade.
    last
        Of the last trade or bar.
    quotes, trades
        Whether the engine has any: they decide what the sandbox and the emulator can do.
    size
        What the best price stands for: on a buy the first, on a sell the second. None if unknown.

    """

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    quotes: bool = False
    trades: bool = False
    sizes: tuple[Decimal, Decimal] | None = None

    def taken(self, side: str) -> Decimal | None:
        """Return the price an order that takes at once meets."""
        return self.ask if side == "BUY" else self.bid

    def size(self, side: str) -> Decimal | None:
        """Return the units that stand at that price."""
        return None if self.sizes is None else self.sizes[0 if side == "BUY" else 1]


def prices(cache: Any, name: InstrumentId) -> Prices:
    """Look up the newest prices of an instrument."""
    quote, trade, bar = cache.quote(name), cache.trade(name), _bar(cache, name)
    top = cache.top_of_book(name) if cache.has_order_book(name) else None
    closes = [each for each in (_moment(trade, "price"), _moment(bar, "close")) if each]
    last = max(closes, key=lambda each: each[0])[1] if closes else None
    bid = ask = last
    sizes = None
    if top is not None:
        bid, ask = top[0].as_decimal(), top[2].as_decimal()
        sizes = (top[3].as_decimal(), top[1].as_decimal())
    elif quote is not None and (bar is None or quote.ts_init >= bar.ts_init):
        bid, ask = quote.bid_price.as_decimal(), quote.ask_price.as_decimal()
        sizes = (quote.ask_size.as_decimal(), quote.bid_size.as_decimal())
    elif trade is not None:
        sizes = (trade.size.as_decimal(), trade.size.as_decimal())
    return Prices(bid, ask, last, quote is not None, trade is not None, sizes)


def closed(cache: Any, name: InstrumentId) -> str | None:
    """Say why the market of an instrument is closed, None if it is not known to be."""
    status = cache.instrument_status(name)
    if status is None or not (status.is_trading is False or status.action.name in _CLOSED):
        return None
    reason = f": {status.reason}" if status.reason else ""
    return f"the market of {name} is closed ({status.action.name}{reason})"


def _moment(row: Any, key: str) -> tuple[int, Decimal] | None:
    return None if row is None else (row.ts_init, getattr(row, key).as_decimal())


def _bar(cache: Any, name: InstrumentId) -> Any:
    found = [
        cache.bar(kind)
        for source in (AggregationSource.EXTERNAL, AggregationSource.INTERNAL)
        for kind in cache.bar_types(source, instrument_id=name, price_type=PriceType.LAST)
    ]
    known = [bar for bar in found if bar is not None]
    return max(known, key=lambda bar: bar.ts_init) if known else None
