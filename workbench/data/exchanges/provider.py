"""What the exchanges have in common: checks, plans, bars on their grid, trades, instruments."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from workbench.core.errors import Cancelled, DataError, Issue, choices
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.core.project import Project
from workbench.data.exchanges import session as asking
from workbench.data.exchanges.columns import Candle, bar_rows, join, spans, trade_rows
from workbench.data.exchanges.service import Refused, Service
from workbench.data.exchanges.session import Session, together
from workbench.data.exchanges.walks import Walk
from workbench.data.gaps import step_ns
from workbench.data.intervals import Interval, iso, shown
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.engine import listings
from workbench.engine.catalog import definitions
from workbench.engine.instruments import Definition, Description
from workbench.study.datasets import DataSpec
from workbench.study.fields import split_instrument

_AT_ONCE = 4  # pages; each waits for the exchange, not for this machine
_PAGES = 20  # of bars in a chunk: what a kill costs
_TRADES = 50_000  # in a chunk
_STEPS = 50  # of a walk before a chunk is made of the little there is
# An exchange may still be writing its last minute.
_SETTLED = 60 * 10**9
_WEEK = 7 * 86_400 * 10**9
_MONDAY = 4 * 86_400 * 10**9  # 1970-01-01 was a Thursday
_SHOWN = 5
_SOME = 100  # bars that cannot all be missing because nothing was traded
_VERSION = 1  # raised when rows of before differ from those fetched now


@dataclass(frozen=True)
class Product:
    """One of an exchange's kinds of instruments.

    Attributes
    ----------
    name
        The exchange's for it.
    service
        Where its history is.
    bars
        The exchange's code of each bar specification it has.
    page
        Bars in an answer, at most.
    example
        An instrument of it.

    """

    name: str
    service: Service
    bars: Mapping[str, str]
    page: int
    example: str


@dataclass(frozen=True)
class Market:
    """An instrument as its exchange lists it.

    Attributes
    ----------
    instrument
        Its id, such as ``BTCUSDT-LINEAR.BYBIT``.
    product, symbol
        What the exchange calls it.
    listed
        Since when there is history, UNIX nanoseconds; 0 where the exchange does not tell.
    now
        The exchange's clock.
    answers
        What it answered, by path, for `workbench.engine.listings`.

    """

    instrument: str
    product: Product
    symbol: str
    listed: int
    now: int
    answers: Mapping[str, str]


class ExchangeProvider(Provider):
    """Base of the exchanges."""

    venue: ClassVar[str]
    """As in an instrument's id."""

    products: ClassVar[tuple[Product, ...]]
    """Its kinds of instruments that have history."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._asked: dict[tuple[str, str], tuple[Market, int]] = {}
        self._described: dict[str, Description] = {}

    @abstractmethod
    def route(self, symbol: str) -> tuple[Product, str]:
        """Return the product and the exchange's name of an instrument's symbol.

        Raises
        ------
        ValueError
            If none of its instruments looks like that; says how they do.

        """

    @abstractmethod
    async def listing(self, session: Session, product: Product, symbol: str) -> Market | None:
        """Ask for an instrument; None if the exchange does not know it."""

    @abstractmethod
    async def instruments(self, session: Session, product: Product) -> list[str]:
        """Ask for the ids of every instrument of a product."""

    @abstractmethod
    async def candles(
        self, session: Session, market: Market, bars: str, first: int, last: int
    ) -> dict[int, Candle]:
        """Ask for the bars that open in a span of at most a page; see `columns.page_of`."""

    @abstractmethod
    def walk(self, session: Session, market: Market, interval: Interval) -> Walk:
        """Return a way through the trades of a span."""

    def calls(self, interval: Interval) -> int:  # noqa: ARG002
        """Return how many requests the trades of a span take, as far as that is known."""
        return 1

    async def oldest(self, session: Session, market: Market, spec: DataSpec) -> int:  # noqa: ARG002
        """Return since when the exchange serves what is wanted, UNIX nanoseconds."""
        return market.listed

    def newest(self, market: Market, spec: DataSpec) -> int:  # noqa: ARG002
        """Return up to when the exchange serves what is wanted, UNIX nanoseconds."""
        return market.now - _SETTLED

    def too_early(self, spec: DataSpec) -> str:  # noqa: ARG002
        """Say what to do about a start before `oldest`."""
        return ""

    def too_late(self, spec: DataSpec) -> str:  # noqa: ARG002
        """Say what to do about an end after `newest`."""
        return ""

    def check(self, item: Item) -> list[Issue]:  # noqa: D102
        spec = item.spec
        issues = [
            item.issue(f"a download needs its {key}, such as 2024-01-01", key)
            for key in ("start", "end")
            if getattr(spec, key) is None
        ]
        if spec.ticks == "quotes" or spec.book:
            what = "quotes" if spec.ticks else "order books"
            message = f"{self.name} serves no history of {what}. The provider 'tardis' has them"
            issues.append(item.issue(message, "ticks" if spec.ticks else "book"))
        symbol, venue = split_instrument(spec.instrument)
        if venue != self.venue:
            examples = ", ".join(product.example for product in self.products)
            message = f"instruments of '{self.name}' end in .{self.venue}, such as {examples}"
            return [*issues, item.issue(message, "instrument")]
        try:
            product, _ = self.route(symbol)
        except ValueError as error:
            return [*issues, item.issue(str(error), "instrument")]
        if spec.bars and spec.bars not in product.bars:
            message = f"{self.name} has no bars of {spec.bars} for {product.name}. "
            issues.append(item.issue(message + choices(spec.bars, product.bars), "bars"))
        return issues

    def instrument(self, item: Item) -> Definition:  # noqa: D102
        return self._describe(self._found(item)[0])

    def available(self, item: Item) -> Interval:  # noqa: D102
        market, oldest = self._found(item)
        return oldest, self.newest(market, item.spec)

    def source(self, item: Item) -> str:  # noqa: D102
        known = definitions(self.project.catalog).get(item.spec.instrument)
        precision = [known.price_precision, known.size_precision] if known else []
        return json.dumps({"version": _VERSION, "precision": precision})

    def difference(self, item: Item, stored: str) -> str | None:  # noqa: D102
        then, now = json.loads(stored), json.loads(self.source(item))
        if then["version"] != now["version"]:
            return "were made by an older version of the workbench"
        if now["precision"] and then["precision"] != now["precision"]:
            return "were fetched before the exchange changed the instrument's decimals"
        return None

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:  # noqa: D102
        if not missing:
            return []
        if not item.spec.bars:
            return [Request(interval, calls=self.calls(interval)) for interval in missing]
        market, oldest = self._found(item)
        requests = []
        for interval in missing:
            opens = _opens(item.spec.bars, interval, oldest)
            pages = max(-(-len(opens) // market.product.page), 1)
            requests.append(Request(interval, rows=len(opens), calls=pages))
        return requests

    def fetch(  # noqa: D102
        self, item: Item, request: Request, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Iterator[Chunk]:
        if should_stop():
            raise Cancelled
        market, oldest = self._found(item)
        done = 0

        def report(waiting: str) -> None:
            task = item.spec.identity
            on_progress(Progress(task, done, request.rows or 0, "rows", waiting))

        with Session(should_stop, report) as session:
            report("")
            make = self._bars if item.spec.bars else self._trades
            try:
                for chunk in make(session, item, market, request.interval, oldest):
                    done += chunk.rows.num_rows
                    report("")
                    arrived, session.bytes = session.bytes, 0
                    yield replace(chunk, bytes=arrived)
            except Refused as error:
                raise DataError(f"{self.name} refused {item.spec.identity}: {error}") from None
            except ValueError as error:
                raise DataError(f"{self.name}, {item.spec.identity}: {error}") from None

    def _found(self, item: Item) -> tuple[Market, int]:
        """Return the instrument and since when what is wanted of it is served; asks once."""
        spec = item.spec
        key = (spec.instrument, spec.identity)
        if key not in self._asked:
            product, symbol = self.route(split_instrument(spec.instrument)[0])
            with Session() as session:
                try:
                    self._asked[key] = session.run(self._look_up(session, item, product, symbol))
                except Refused as error:
                    message = f"{self.name} refused to list {spec.instrument}: {error}"
                    raise DataError(message) from None
        return self._asked[key]

    async def _look_up(
        self, session: Session, item: Item, product: Product, symbol: str
    ) -> tuple[Market, int]:
        spec = item.spec
        market = await self.listing(session, product, symbol)
        if market is None:
            known = sorted(await self.instruments(session, product))
            message = f"{self.name} lists no '{spec.instrument}'. {choices(spec.instrument, known)}"
            raise item.error(message, "instrument")
        oldest = await self.oldest(session, market, spec)
        newest = self.newest(market, spec)
        early, late = self.too_early(spec), self.too_late(spec)
        if early and spec.start_ns is not None and spec.start_ns < oldest:
            raise item.error(f"{self.name} serves it from {iso(oldest)} on. {early}", "start")
        if late and spec.end_ns is not None and spec.end_ns > newest:
            raise item.error(f"{self.name} serves it up to {iso(newest)}. {late}", "end")
        return market, oldest

    def _describe(self, market: Market) -> Description:
        if market.instrument not in self._described:
            self._described[market.instrument] = listings.describe(
                self.name, market.product.name, market.answers, market.instrument
            )
        return self._described[market.instrument]

    def _bars(
        self, session: Session, item: Item, market: Market, interval: Interval, oldest: int
    ) -> Iterator[Chunk]:
        spec = item.spec
        assert spec.bars
        opens = _opens(spec.bars, interval, oldest)
        step, page = opens.step, market.product.page
        precise = self._describe(market)
        begun, done = interval[0], 0  # up to where chunks were made: time, and bars of `opens`
        for at in range(0, max(len(opens), 1), page * _PAGES):
            part = opens[at : at + page * _PAGES]
            windows = [part[start : start + page] for start in range(0, len(part), page)]
            candles: dict[int, Candle] = {}
            for found in session.run(self._windows(session, market, spec.bars, windows)):
                candles |= found
            last = at + len(part) >= len(opens)
            if not candles and not last:
                continue  # covered only together with a bar that comes later
            told = opens[done : at + len(part)]
            if not candles and begun == interval[0] and len(told) >= _SOME:
                what = f"none of the {len(told):,} bars that close {shown(interval)}"
                raise DataError(f"{spec.identity}: {self.name} has {what}: nothing was stored")
            rows = bar_rows(candles, step, spec.identity, spec.instrument, precise)
            missing = spans([moment for moment in told if moment not in candles], step)
            warnings = (*rows.warnings, *self._holes(spec.identity, missing, step))
            end = interval[1] if last else part[-1] + step
            yield Chunk((begun, end), rows.table, warnings)
            begun, done = end + 1, at + len(part)

    async def _windows(
        self, session: Session, market: Market, bars: str, windows: Sequence[range]
    ) -> list[dict[int, Candle]]:
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(window: range) -> dict[int, Candle]:
            async with free:
                found = await self.candles(session, market, bars, window[0], window[-1])
                # What is missing is asked for until that brings nothing: a page may be shorter
                # than it is documented to be.
                while missing := [moment for moment in window if moment not in found]:
                    await asyncio.sleep(asking.FIRST_PAUSE)
                    more = await self.candles(session, market, bars, missing[0], missing[-1])
                    if more.keys() <= found.keys():
                        break
                    found |= more
                return found

        return await together([one(window) for window in windows])

    def _holes(self, identity: str, holes: Sequence[Interval], step: int) -> list[str]:
        """Say which bars the exchange does not have."""
        if not holes:
            return []
        count = sum((last - first) // step + 1 for first, last in holes)
        named = "; ".join(shown((first + step, last + step)) for first, last in holes[:_SHOWN])
        more = f"; and {len(holes) - _SHOWN} more" if len(holes) > _SHOWN else ""
        return [
            f"{identity}: {self.name} has no bars (asked twice) of {count} closes: {named}{more}"
        ]

    def _trades(
        self,
        session: Session,
        item: Item,
        market: Market,
        interval: Interval,
        oldest: int,  # noqa: ARG002
    ) -> Iterator[Chunk]:
        walk = self.walk(session, market, interval)
        precise = self._describe(market)
        begun, pending, steps = interval[0], join([]), 0
        while not walk.done:
            pending = join([pending, session.run(walk.step())])
            steps += 1
            if len(pending) < _TRADES and steps < _STEPS and not walk.done:
                continue
            if walk.through < begun:
                continue
            ready = pending.part(begun, walk.through)
            rows = trade_rows(ready, item.spec.instrument, precise)
            warnings, walk.warnings = (*rows.warnings, *walk.warnings), []
            yield Chunk((begun, walk.through), rows.table, warnings)
            begun, steps = walk.through + 1, 0
            pending = pending.part(begun, interval[1])


def _opens(bars: str, interval: Interval, oldest: int) -> range:
    """Return when the bars open that close in a span, none of them before `oldest`."""
    step = step_ns(bars)
    assert step
    offset = _MONDAY if step % _WEEK == 0 else 0
    first = -(-(interval[0] - offset) // step) * step + offset - step
    listed = (oldest - offset) // step * step + offset
    last = (interval[1] - offset) // step * step + offset - step
    return range(max(first, listed), last + 1, step)
