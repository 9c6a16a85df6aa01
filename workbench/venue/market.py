"""The market of a contract: its book, its last price, its trades, as they are played.

Quotes and order books are displayed as they were recorded, and orders take no more than what is
displayed until the next change. Trades and bars have no book: around each price one of one tick's
spread is made, the price on the side of its aggressor, and displayed is the largest order the
venue takes: what there was is not known, so any order fills.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from workbench.venue.model import ZERO, Contract, Side

type Level = tuple[Decimal, Decimal]
"""Price and size."""

_RECENT = 1_000


@dataclass(frozen=True, slots=True)
class Quote:
    """The levels of both sides, best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Print:
    """A trade of the recorded market; ``side`` is its aggressor's, None where it is not known."""

    price: Decimal
    size: Decimal
    side: Side | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Candle:
    """A bar that has closed: which series, and the row."""

    interval: str
    row: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as it was published."""

    id: str
    price: Decimal
    size: Decimal
    side: Side
    time: int
    up: bool


@dataclass(slots=True)
class Market:
    """What is known of a contract's market now.

    Attributes
    ----------
    contract
        The contract.
    quoted
        Whether quotes make its book; otherwise trades do.
    bids, asks
        What is left of the displayed levels, best first.
    last
        Price of the last trade; where only quotes are played, the middle of the book.
    trades
        The latest ones, newest last.
    update
        Number of changes of the book.
    first, high, low, volume, turnover
        Since the replay began.

    """

    contract: Contract
    quoted: bool = False
    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)
    last: Decimal | None = None
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=_RECENT))
    update: int = 0
    count: int = 0
    first: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal = ZERO
    turnover: Decimal = ZERO
    _side: Side = "Buy"
    _traded: bool = False
    _endless: bool = False

    @property
    def mark(self) -> Decimal | None:
        """The mark and the index price: both are the last price here."""
        return self.last

    def price(self, kind: str) -> Decimal | None:
        """Return what a trigger looks at: ``LastPrice``, ``MarkPrice`` or ``IndexPrice``."""
        return self.last if kind == "LastPrice" else self.mark

    def quote(self, quote: Quote) -> None:
        """Display these levels from now on."""
        self._show(quote)
        self._endless = False
        if not self._traded and self.bids and self.asks:
            middle = (self.bids[0][0] + self.asks[0][0]) / 2
            self._look(self._to_tick(middle))

    def trade(self, trade: Print, time: int) -> Trade:
        """Take in a trade, and make the book around it unless quotes do."""
        before = self.last
        side = trade.side or self._direction(trade.price)
        self._side = side
        self.count += 1
        self._traded = True
        self._look(trade.price)
        self.volume += trade.size
        self.turnover += trade.size * trade.price
        if not self.quoted:
            self.around(trade.price, side)
        up = before is None or trade.price >= before
        done = Trade(trade.id or f"{self.count}", trade.price, trade.size, side, time, up)
        self.trades.append(done)
        return done

    def around(self, price: Decimal, side: Side) -> None:
        """Display a book of one tick's spread, `price` on the side that `side` takes from."""
        size, tick = self.contract.max_quantity, self.contract.tick
        bid, ask = (price - tick, price) if side == "Buy" else (price, price + tick)
        self._show(Quote(((bid, size),) if bid > 0 else (), ((ask, size),)))
        self._endless = True

    def available(self, side: Side, limit: Decimal | None) -> Decimal:
        """Return how much an order of `side` could take now, at `limit` or better."""
        return sum((size for _, size in self._within(side, limit)), ZERO)

    def take(self, side: Side, quantity: Decimal, limit: Decimal | None) -> list[Level]:
        """Take up to `quantity` from the book; return what was had at which price."""
        taken: list[Level] = []
        levels = self.asks if side == "Buy" else self.bids
        for price, size in list(self._within(side, limit)):
            had = min(size, quantity)
            quantity -= had
            if had:
                taken.append((price, had))
            if self._endless:
                pass
            elif had == size:
                levels.pop(0)
            else:
                levels[0] = (price, size - had)
            if not quantity:
                break
        self.update += bool(taken)
        return taken

    def best(self, side: Side) -> Decimal | None:
        """Return the best price an order of `side` would meet, None where nothing is displayed."""
        levels = self.asks if side == "Buy" else self.bids
        return levels[0][0] if levels else None

    def _show(self, quote: Quote) -> None:
        self.bids, self.asks = list(quote.bids), list(quote.asks)
        self.update += 1

    def _within(self, side: Side, limit: Decimal | None) -> Iterable[Level]:
        for level in self.asks if side == "Buy" else self.bids:
            if limit is not None and (level[0] > limit if side == "Buy" else level[0] < limit):
                return
            yield level

    def _direction(self, price: Decimal) -> Side:
        if self.last is None or price == self.last:
            return self._side
        return "Buy" if price > self.last else "Sell"

    def _look(self, price: Decimal) -> None:
        self.last = price
        self.first = price if self.first is None else self.first
        self.high = price if self.high is None else max(self.high, price)
        self.low = price if self.low is None else min(self.low, price)

    def _to_tick(self, price: Decimal) -> Decimal:
        ticks = (price / self.contract.tick).quantize(Decimal(1), ROUND_HALF_EVEN)
        return ticks * self.contract.tick
