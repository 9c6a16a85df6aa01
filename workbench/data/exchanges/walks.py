"""Paging through trades so that none is missed in silence.

Trades have no grid that shows a missing one. A walk therefore proves that its pages join: by ids
without a gap, or by coming upon a trade that is known already. An answer that says there is
nothing is asked for once more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from itertools import pairwise, takewhile
from typing import Any, NamedTuple, Protocol

from workbench.core.errors import DataError
from workbench.data.exchanges.columns import Trades
from workbench.data.exchanges.service import Trouble
from workbench.data.intervals import Interval, iso

_SECOND = 10**9
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_FEW, _MANY = 3, 30
_LARGEST = 10**15


class Trade(NamedTuple):
    """One trade: UNIX nanoseconds, price and size as written, the taker's side, its id."""

    ts: int
    price: str
    size: str
    side: int
    id: str


def trade(ts: int, price: Any, size: Any, side: int, identity: Any) -> Trade:
    """Return a trade as an exchange wrote it.

    Raises
    ------
    ArithmeticError, TypeError, ValueError
        If its numbers are none.

    """
    if not (0 < Decimal(price) < _LARGEST and 0 <= Decimal(size) < _LARGEST):
        raise ValueError(f"a trade of {size} at {price}")
    return Trade(ts, str(price), str(size), side, str(identity))


type Check = Callable[[Sequence[Trade]], None]
"""Raises `Trouble` if a page cannot be the answer to what was asked."""


class Walk(ABC):
    """A way through the trades of a span of time.

    Attributes
    ----------
    through
        Up to here, inside, every trade has been told.
    warnings
        What is to be said of them.

    """

    def __init__(self, interval: Interval) -> None:
        self.first, self.last = interval
        self.through = self.first - 1
        self.warnings: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the whole span has been told."""
        return self.through >= self.last

    @abstractmethod
    async def step(self) -> Trades:
        """Return the trades that follow those told so far; moves `through`.

        Some may be later than `through`: others of their time may follow.
        """

    def _told(self, newest: int) -> None:
        """Move `through` for trades in order of time up to `newest`."""
        reached = self.last if newest > self.last else newest - 1
        self.through = max(self.through, reached)


class ByOverlap(Walk):
    """Forwards by time; each page begins with the last trade of the one before.

    Parameters
    ----------
    interval
        The span wanted.
    page
        Given a time: the trades after it, oldest first.
    back
        Nanoseconds to go back for the last known trade to come again.
    size
        The most trades a page may hold; a page that was followed by another tells it too.

    """

    def __init__(
        self,
        interval: Interval,
        page: Callable[[int, Check], Awaitable[list[Trade]]],
        back: int,
        size: int,
    ) -> None:
        super().__init__(interval)
        self._page, self._back, self._size = page, back, size
        self._known: Trade | None = None
        self._length = 0
        self._empty = False

    async def step(self) -> Trades:
        """See `Walk.step`."""
        known = self._known
        after = self.first - 1 if known is None else known.ts - self._back

        def check(found: Sequence[Trade]) -> None:
            _in_order(found)
            if any(trade.ts <= after for trade in found):
                raise Trouble("it answered with trades of another time")
            if known is not None and known.id not in {trade.id for trade in found}:
                raise Trouble(f"its pages do not join: trade {known.id} is missing")

        found = await self._page(after, check)
        new = found
        if known is not None:
            at = [trade.id for trade in found].index(known.id)
            new = found[at + 1 :]
        if not new:
            if known is not None and len(found) >= self._size:
                moment = iso(known.ts)
                raise DataError(f"more than a page of trades at {moment}: there is no way past it")
            if self._empty:
                self.through = self.last
            self._empty = True
            return Trades.of([])
        self._empty = False
        if known is not None:
            self._size = min(self._size, max(self._length, 2))
        self._length = len(found)
        self._known = new[-1]
        self._told(new[-1].ts)
        return Trades.of(trade for trade in new if self.first <= trade.ts <= self.last)


class ByIds(Walk):
    """Forwards by ids that follow one another.

    Parameters
    ----------
    interval
        The span wanted.
    between
        Given a span of at most an hour: its first trade, if there is one.
    since
        Given an id: trades from this one on, oldest first.
    name
        Of the instrument, for warnings.

    """

    def __init__(
        self,
        interval: Interval,
        between: Callable[[int, int, Check], Awaitable[list[Trade]]],
        since: Callable[[int, Check], Awaitable[list[Trade]]],
        name: str,
    ) -> None:
        super().__init__(interval)
        self._between, self._since, self._name = between, since, name
        self._next: int | None = None
        self._again: int | None = None

    async def step(self) -> Trades:
        """See `Walk.step`."""
        if self._next is None:
            await self._look_for_first()
            return Trades.of([])
        following = self._next

        def check(found: Sequence[Trade]) -> None:
            _in_order(found)
            ids = [int(trade.id) for trade in found]
            if ids and (ids[0] < following or any(b <= a for a, b in pairwise(ids))):
                raise Trouble("it answered with other trades than those asked for")

        found = await self._since(following, check)
        if not found or int(found[0].id) != following:
            if self._again != following:  # nothing there, or a gap: ask once more
                self._again = following
                return Trades.of([])
            if not found:
                self.through = self.last
                return Trades.of([])
            self.warnings.append(
                f"{self._name}: the exchange has no trades {following} to "
                f"{int(found[0].id) - 1}, shortly before {iso(found[0].ts)} (asked twice)"
            )
        begin = int(found[0].id)
        run = [t for at, t in enumerate(found) if int(t.id) == begin + at]
        self._next = int(run[-1].id) + 1
        self._told(run[-1].ts)
        return Trades.of(trade for trade in run if self.first <= trade.ts <= self.last)

    async def _look_for_first(self) -> None:
        begin = self.through + 1
        end = min(begin + _HOUR - _SECOND, self.last)

        def check(found: Sequence[Trade]) -> None:
            if any(not begin <= trade.ts <= end for trade in found):
                raise Trouble("it answered with trades of another time")

        found = await self._between(begin, end, check)
        if not found and self._again != begin:
            self._again = begin
            return
        if not found:
            self.through = end
            return
        self._next = first = int(found[0].id)
        if first > 0:
            before = await self._since(first - 1, _in_order)
            if before and int(before[0].id) < first and before[0].ts >= self.first:
                raise DataError(f"it said that there were no trades before {iso(found[0].ts)}")


class Backwards(Walk):
    """Windows one after the other, each from its end backwards to a trade before its beginning.

    Parameters
    ----------
    interval
        The span wanted.
    until
        Given a time: the newest trades up to it, itself inside, newest first.
    before
        Given an id: the trades before it, newest first.

    """

    def __init__(
        self,
        interval: Interval,
        until: Callable[[int, Check], Awaitable[list[Trade]]],
        before: Callable[[str, Check], Awaitable[list[Trade]]],
    ) -> None:
        super().__init__(interval)
        self._until, self._before = until, before
        self._known: Trade | None = None  # the newest trade before the window
        self._span = 300 * _SECOND

    async def step(self) -> Trades:
        """See `Walk.step`."""
        begin = self.through + 1
        end = min(begin + self._span - 1, self.last)
        found: list[Trade] = []
        pages, empty = 0, False
        while True:
            page = await self._ask(begin, end, found)
            pages += 1
            inside = list(takewhile(lambda trade: trade.ts >= begin, page))
            found += inside
            if len(inside) < len(page):
                self._known = found[0] if found else page[0]
                break
            if not page:
                if empty:  # said twice: this is where its trades begin
                    self._known = found[0] if found else None
                    break
                empty = True
        self.through = end
        if pages < _FEW:
            self._span = min(self._span * 2, _DAY)
        elif pages > _MANY:
            self._span = max(self._span // 2, _SECOND)
        return Trades.of(reversed(found))

    async def _ask(self, begin: int, end: int, found: list[Trade]) -> list[Trade]:
        known = self._known

        def check(page: Sequence[Trade]) -> None:
            _in_order(page[::-1])
            ids = [int(trade.id) for trade in (*found[-1:], *page)]
            if any(later >= earlier for earlier, later in pairwise(ids)):
                raise Trouble("it answered with other trades than those asked for")
            if any(trade.ts > end for trade in page):
                raise Trouble("it answered with trades of another time")
            if known is None:
                return
            older = next((trade for trade in page if trade.ts < begin), None)
            if not page or (older is not None and older.id != known.id):
                raise Trouble(f"its pages do not join: trade {known.id} is missing")

        if found:
            return await self._before(found[-1].id, check)
        return await self._until(end, check)


class _Timed(Protocol):
    @property
    def ts(self) -> int: ...


def _in_order(found: Sequence[_Timed]) -> None:
    if any(b.ts < a.ts for a, b in pairwise(found)):
        raise Trouble("its trades are not in order of time")
