"""A venue that is served: the exchange, its replay, and the doors to both on loopback."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial

from aiohttp import web

from workbench.core.errors import InputError
from workbench.venue import auth, documents
from workbench.venue.books import Work
from workbench.venue.channels import Channels
from workbench.venue.commands import Answer, Commands
from workbench.venue.control import Control
from workbench.venue.exchange import Exchange
from workbench.venue.faults import Fault, Faults
from workbench.venue.listing import Settings
from workbench.venue.market import Candle, Print, Quote, Trade
from workbench.venue.model import Refusal, exact
from workbench.venue.orders import CATEGORY
from workbench.venue.public import Broadcast, Public
from workbench.venue.replay import Chart, Pace
from workbench.venue.rest import Handler, Private, read_body
from workbench.venue.serving import HOST
from workbench.venue.sockets import Document, Hub
from workbench.venue.tape import Event

_BEAT = 1.0  # seconds between looks at what is to be repeated
_NOTE = 5  # beats between notes of where the replay is
_LARGEST_BODY = 1 << 20
_MS = 10**6


class Server:
    """A venue that is served.

    Parameters
    ----------
    settings
        What it lists and how.

    Attributes
    ----------
    token
        The practice token.

    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.token = settings.token or secrets.token_urlsafe(24)
        self._faults = Faults()
        self._exchange = Exchange(
            settings.contracts,
            self._faults,
            settings.books,
            balance=settings.balance,
            opening=settings.opening,
        )
        self._hub = Hub(self._faults)
        self._broadcast = Broadcast(self._exchange, self._hub, self._faults)
        self._exchange.told, self._exchange.seen = self._tell, self._see
        self._pace = Pace(settings.speed, paused=settings.paused)
        self._charts: dict[tuple[str, str], Chart] = {}
        self._open()
        keys, commands = settings.keys, Commands(self._exchange)
        self._private = Private(self._exchange, commands, keys, self._faults)
        self._public = Public(self._exchange, self._charts, self._faults)
        self._channels = Channels(
            self._hub, commands, keys, self._faults, self._intervals, self._broadcast.welcome
        )
        self._control = Control(self.token, self._exchange, self._hub, self._faults, self._pace)
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._port, self._number = settings.port, 0
        self._faults.strike = self._strike

    async def run(self, stop: asyncio.Event, ready: Callable[[int], None]) -> None:
        """Serve until `stop` is set.

        Parameters
        ----------
        stop
            Ends it.
        ready
            Called with the port once clients can connect.

        Raises
        ------
        InputError
            If the port is taken.
        DataError
            If the data cannot be read.

        """
        try:
            await self._listen()
            waiting = {
                asyncio.create_task(work) for work in (self._replay(), self._beat(), _until(stop))
            }
            self._tasks |= waiting
            ready(self._port)
            for fault in self._settings.faults:
                self._faults.add(fault)
            while not stop.is_set():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # what went wrong in it ends the venue
        finally:
            await self._close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._hub.cut("all")
        if self._runner is not None:
            await self._runner.cleanup()
        self._exchange.note()
        self._exchange.books.close()

    def _open(self) -> None:
        """Set the prices of the moment at which the replay begins."""
        tape, exchange = self._settings.tape, self._exchange
        for symbol in tape.quoted:
            exchange.markets[symbol].quoted = True
        if exchange.position is None:
            start = self._settings.start
            exchange.position = 0 if start is None else start - 1
        now = self._faults.now()
        with exact():
            begin = tape.at(exchange.position)
            hand = {**self._settings.prices, **exchange.by_hand}
            for event in (*begin, *(_by_hand(exchange, *each) for each in hand.items())):
                market = exchange.markets[event.symbol]
                if isinstance(event.what, Quote):
                    market.quote(event.what)
                elif isinstance(event.what, Print):
                    market.trade(event.what, now)
        for key, bars in tape.bars.items():
            self._charts[key] = Chart(bars, exchange.position, now)

    async def _replay(self) -> None:
        exchange = self._exchange
        events = self._settings.tape.events(exchange.position or 0)
        event = next(events, None)
        while event is not None:
            await self._pace.due(event.ts, closes=isinstance(event.what, Candle))
            # Of events of one moment a restart plays all again rather than none.
            exchange.position = event.ts - 1
            self._play(event)
            following = next(events, None)
            if following is None or following.ts > event.ts:
                exchange.position = event.ts
            event = following
            if self._pace.speed is None:
                await self._hub.room()
        self._pace.end()

    def _play(self, event: Event) -> None:
        if not isinstance(event.what, Candle):
            self._exchange.by_hand.pop(event.symbol, None)
            self._exchange.play(event.symbol, event.what)
        elif event.what.interval:
            chart = self._charts[event.symbol, event.what.interval]
            candle = chart.close(event.what.row, self._faults.now())
            step = chart.bars.step // _MS
            self._broadcast.candle(event.symbol, event.what.interval, step, candle)

    async def _beat(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(_BEAT)
            beats += 1
            with exact():
                self._broadcast.repeat()
            if beats % _NOTE == 0:
                self._exchange.note()

    def _intervals(self, symbol: str) -> list[str] | None:
        if symbol not in self._exchange.contracts:
            return None
        return [interval for name, interval in self._charts if name == symbol]

    def _see(self, symbol: str, trade: Trade | None) -> None:
        if trade is not None:
            self._broadcast.trade(symbol, trade)
        self._broadcast.book(symbol)

    def _tell(self, work: Work) -> None:
        """Tell the account's owner what work brought about, fills before what they left over."""
        ended = [each for each in work.updates if each.status == "Cancelled" and each.filled]
        first = [each for each in work.updates if each not in ended]
        account = self._exchange.books.account
        self._news("order", [documents.order(each) for each in first])
        self._news("execution", [documents.execution(each) for each in work.executions])
        self._news("order", [documents.order(each) for each in ended])
        symbols = list(dict.fromkeys([*work.symbols(), *work.leverages]))
        self._news("position", [documents.position(account, symbol) for symbol in symbols])
        if work.orders:
            self._news("wallet", [documents.wallet(account, self._exchange.books.live())])
        for symbol in work.symbols():
            self._broadcast.book(symbol)

    def _news(self, topic: str, data: list[Document]) -> None:
        if not data:
            return
        self._number += 1
        names = dict.fromkeys((topic, f"{topic}.{CATEGORY}"), data)
        if topic == "execution":
            slim = [{key: each[key] for key in _FAST} for each in data]
            names |= {"execution.fast": slim, f"execution.fast.{CATEGORY}": slim}
        for name, content in names.items():
            envelope: Document = {
                "id": f"practice_{self._number}",
                "topic": name,
                "creationTime": self._faults.now(),
                "data": content,
            }
            self._hub.publish(name, partial(dict, envelope))

    async def _listen(self) -> None:
        if self._runner is None:
            app = web.Application(middlewares=[self._guard], client_max_size=_LARGEST_BODY)
            app.router.add_get("/v5/public/{category}", self._channels.public)
            app.router.add_get("/v5/private", self._channels.private)
            app.router.add_get("/v5/trade", self._channels.trade)
            app.router.add_route("*", "/practice/{verb}", self._control.handle)
            app.router.add_route("*", "/{path:.*}", self._rest)
            self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
            await self._runner.setup()
        self._site = web.TCPSite(self._runner, HOST, self._port, reuse_address=True)
        try:
            await self._site.start()
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"port {self._port} of {HOST} cannot be used ({reason}): name another with --port, "
                "or --port 0"
            ) from None
        self._port = self._runner.addresses[-1][1]

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Let nobody in who was sent here under another name (a page in a browser)."""
        if request.host not in (f"{HOST}:{self._port}", f"localhost:{self._port}"):
            return web.Response(status=403, text="the practice venue is served on loopback only\n")
        if "Origin" in request.headers:
            return web.Response(status=403, text="the practice venue is not for web pages\n")
        return await handler(request)

    async def _rest(self, request: web.Request) -> web.Response:
        path = request.path
        if (fault := self._faults.take("too_many", "rest", path)) is not None:
            after = {"Retry-After": f"{fault.seconds:.0f}"}
            return web.Response(status=429, text="Too Many Requests", headers=after)
        if (fault := self._faults.take("http", "rest", path)) is not None:
            return web.Response(status=fault.status, text="practice fault")
        public = self._public.get if request.method == "GET" else {}
        private = self._private.get if request.method == "GET" else self._private.post
        handler = public.get(path) or private.get(path)
        if handler is None or request.method not in ("GET", "POST"):
            return web.Response(status=404, text="Not found")
        body = await request.text() if request.method == "POST" else ""
        answer = self._answer(request, handler, body, signed=path in private)
        if late := self._faults.slow("rest"):
            await asyncio.sleep(late)
        await self._faults.hold("rest")
        return web.json_response(
            {**answer.head(), "result": answer.result, "time": self._faults.now()}
        )

    def _answer(self, request: web.Request, handler: Handler, body: str, *, signed: bool) -> Answer:
        query = request.raw_path.partition("?")[2]
        try:
            if signed:
                payload = body if request.method == "POST" else query
                auth.check_request(
                    request.headers, payload, self._settings.keys, self._faults.now()
                )
            if self._faults.take("rate_limit", "rest", request.path) is not None:
                return Answer({}, 10006, "Too many visits. Exceeded the API Rate Limit.")
            params = read_body(body) if request.method == "POST" else dict(request.query)
            with exact():
                return handler(params)
        except Refusal as refusal:
            return Answer({}, refusal.code, refusal.message)

    def _strike(self, fault: Fault) -> None:
        if fault.fault == "drop":
            self._hub.cut(fault.where)
        else:
            task = asyncio.get_running_loop().create_task(self._down(fault.seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _down(self, seconds: float) -> None:
        """Refuse connections for a while."""
        await asyncio.sleep(0.05)  # the answer to who asked for it goes out first
        assert self._site is not None
        assert self._runner is not None
        await self._site.stop()
        self._hub.cut("all")
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        while True:
            try:
                await self._listen()
            except InputError:  # somebody else has the port: ours it was, and will be again
                await asyncio.sleep(0.1)
            else:
                return


_FAST = (
    "category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId",
    "side", "execTime", "seq",
)  # fmt: skip


def _by_hand(exchange: Exchange, symbol: str, price: str) -> Event:
    return Event(0, symbol, Print(Decimal(price), exchange.contracts[symbol].step))


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
