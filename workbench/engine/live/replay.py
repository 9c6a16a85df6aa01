"""The feed ``replay``: cached data played to a live node, in real time or faster.

Bars and ticks keep the times they were recorded with: the strategy sees exactly the rows its
backtest saw. After each row the feed waits until no order is on its way, so that a strategy meets
the next row in the same position as in a backtest, at any speed.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Self

from nautilus_trader.config import DataClientConfig
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import OrderBookDelta, Venue

_SETTLE_NS = 2 * 10**9  # an order that stays on its way for longer does not hold up the feed
_PATIENCE = 0.0005
_LATER = 0.005  # fills of orders that rested are told a little after the row
_LONGEST_WAIT = 1.0


@dataclass(slots=True)
class Tape:
    """What is played, and how.

    Attributes
    ----------
    instruments
        The engine's instruments.
    sources
        One list of the engine's data objects for each dataset, each in order of time.
    speed
        Times real time; infinite to play as fast as orders settle.
    unsettled
        Says whether an order is on its way; set once the node is built.
    on_end
        Called after the last row.
    played
        Rows handed to the engine.
    paused, steps
        Whether it stands still, and how many rows it plays all the same.
    loop
        On which it is played, once the client is connected.
    expected, seen
        Of those, rows it passes on one by one, and those it has passed on to the strategies.
        (Changes of the order book are passed on in batches.)

    """

    instruments: list[Any]
    sources: list[list[Any]]
    speed: float
    unsettled: Callable[[], bool] = lambda: False
    on_end: Callable[[], None] = lambda: None
    played: int = 0
    expected: int = 0
    seen: int = 0
    last_ns: int = 0
    heard: float = 0.0
    paused: bool = False
    steps: int = 0
    ended: bool = False
    loop: asyncio.AbstractEventLoop | None = None
    _aside: list[Any] = field(default_factory=list, repr=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _started: bool = field(default=False, repr=False)
    _stepping: list[tuple[int, threading.Event]] = field(default_factory=list, repr=False)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(map(len, self.sources))

    def merged(self) -> Iterator[Any]:
        """Yield the rows of all datasets in order of time."""
        return iter(heapq.merge(*self.sources, key=attrgetter("ts_init")))

    def start(self) -> bool:
        """Say, once, that the tape may start: the first subscription starts all of it."""
        first, self._started = not self._started, True
        return first

    def pause(self, *, paused: bool) -> None:
        """Let it stand still, or go on."""
        self.paused, self.steps = paused, 0
        self._wake()

    def tell(self, what: Any) -> None:
        """Hand the engine something between two rows, such as that a market has closed."""
        self._aside.append(what)
        self._wake()

    def aside(self) -> Iterator[Any]:
        """Take what is to be told between two rows."""
        while self._aside:
            yield self._aside.pop(0)

    async def changes(self, seconds: float) -> None:
        """Wait until something was asked of the tape, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()

    def _wake(self) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._changed.set)

    def step(self, rows: int) -> threading.Event:
        """Play so many rows of a paused tape; return what is set once they have been."""
        done = threading.Event()
        self.steps += rows
        self._stepping.append((self.played + self.steps, done))
        self._wake()
        self.stepped()
        return done

    def stepped(self) -> None:
        """Tell who waits for rows that have been played."""
        for target, done in list(self._stepping):
            if self.played >= target or self.ended:
                self._stepping.remove((target, done))
                done.set()


class TapeConfig(DataClientConfig):
    """Names the tape a client plays; the object itself cannot travel in a config."""

    def __new__(cls, tape: Tape, **settings: Any) -> Self:
        """Keep the tape beside the engine's settings."""
        config: Self = super().__new__(cls, **settings)
        config.tape = tape
        return config

    tape: Tape


class ReplayClient(MarketDataClient):
    """Plays a tape; every kind of subscription is served by it."""

    async def _connect(self) -> None:
        self._playing: Any = None
        self._tape.loop = asyncio.get_running_loop()
        for instrument in self._tape.instruments:
            self._handle_instrument(instrument)

    async def _disconnect(self) -> None:
        if self._playing is not None:
            self._playing.cancel()

    @property
    def _tape(self) -> Tape:
        config = self.config
        assert isinstance(config, TapeConfig)
        return config.tape

    async def _listen(self, _: Any) -> None:
        if self._tape.start():
            self._playing = self.create_task(self._play(), "replay")

    async def _ignore(self, _: Any) -> None:
        """Unsubscribing stops nothing: the engine passes on what is subscribed."""

    async def _play(self) -> None:
        tape = self._tape
        # Every strategy has started, and subscribed, before the first row.
        await asyncio.sleep(0.05)
        first: int | None = None
        for row in tape.merged():
            if first is None:
                first, began = row.ts_init, time.monotonic()
            began = await self._until_due(began, (row.ts_init - first) / 1e9 / tape.speed)
            self._handle_data(row)
            tape.played, tape.last_ns, tape.heard = tape.played + 1, row.ts_init, time.monotonic()
            tape.expected += not isinstance(row, OrderBookDelta)
            await self._settled()
            if tape.paused and not tape.steps:
                await asyncio.sleep(_LATER)
                await self._settled()
            tape.stepped()
        tape.ended = True
        tape.stepped()
        tape.on_end()

    async def _until_due(self, began: float, after: float) -> float:
        """Wait until a row is due; return when the tape would have begun without its pauses."""
        tape, stood = self._tape, None
        while True:
            for what in tape.aside():
                self._handle_data(what)
            now = time.monotonic()
            if tape.paused:
                stood = now if stood is None else stood
                if tape.steps:
                    tape.steps -= 1
                    return now - after
                await tape.changes(_LONGEST_WAIT)
                continue
            if stood is not None:
                began, stood = began + now - stood, None
            wait = began + after - now
            if wait <= 0:
                return began
            await tape.changes(min(wait, _LONGEST_WAIT))

    async def _settled(self) -> None:
        tape = self._tape
        await asyncio.sleep(0)
        patience = time.monotonic_ns() + _SETTLE_NS
        while tape.seen < tape.expected or tape.unsettled():
            if time.monotonic_ns() > patience:
                tape.seen = tape.expected  # the engine dropped a row: it must not hold up the rest
                return
            await asyncio.sleep(_PATIENCE if tape.unsettled() else 0)


# Any subscription to market data starts the tape; instruments were told on connecting.
for _name in ("bars", "quotes", "trades", "book_deltas", "book_depth"):
    setattr(ReplayClient, f"_subscribe_{_name}", ReplayClient._listen)
    setattr(ReplayClient, f"_unsubscribe_{_name}", ReplayClient._ignore)
for _name in ("instrument", "instruments", "instrument_status"):
    setattr(ReplayClient, f"_subscribe_{_name}", ReplayClient._ignore)
    setattr(ReplayClient, f"_unsubscribe_{_name}", ReplayClient._ignore)


class ReplayFactory(DataClientFactory):
    """Makes `ReplayClient`s; the engine calls it."""

    @staticmethod
    def create(*, name: str, config: Any, cache: Any, clock: Any) -> ReplayClient:
        """Make the client of one venue."""
        client: ReplayClient = ReplayClient(
            name=name, config=config, cache=cache, clock=clock, venue=Venue(name)
        )
        return client
