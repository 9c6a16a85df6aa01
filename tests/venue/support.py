"""What the venue's tests share: an exchange without a network, a served venue, a Bybit client."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import httpx

from workbench import venue
from workbench.venue.exchange import Exchange
from workbench.venue.faults import Faults
from workbench.venue.market import Print, Quote
from workbench.venue.model import Contract, Order, Refusal

BTC = Contract("BTCUSDT", "BTCUSDT-LINEAR.BYBIT", Decimal("0.1"), Decimal("0.001"))
ETH = Contract("ETHUSDT", "ETHUSDT-LINEAR.BYBIT", Decimal("0.01"), Decimal("0.01"))


class Desk:
    """Trades on an exchange directly, and hears what its owner would be told."""

    def __init__(self, *contracts: Contract, **options: Any) -> None:
        self.faults = Faults()
        listed = {each.symbol: each for each in contracts or (BTC,)}
        self.exchange = Exchange(listed, self.faults, **options)
        self.told: list[tuple[str, str]] = []
        self.exchange.told = lambda work: self.told.extend(
            (order.link or order.id, order.status) for order in work.updates
        )

    @property
    def account(self) -> Any:
        return self.exchange.books.account

    def size(self, symbol: str = "BTCUSDT") -> Decimal:
        return self.account.positions[symbol].size

    def trade(self, price: str, side: Any = None, symbol: str = "BTCUSDT") -> None:
        self.exchange.play(symbol, Print(Decimal(price), Decimal("0.001"), side))

    def quote(self, bid: str, ask: str, size: str = "1", symbol: str = "BTCUSDT") -> None:
        amount = Decimal(size)
        quote = Quote(((Decimal(bid), amount),), ((Decimal(ask), amount),))
        self.exchange.markets[symbol].quoted = True
        self.exchange.play(symbol, quote)

    def order(self, side: str, qty: str, price: str | None = None, **more: Any) -> Order:
        params = {
            "category": "linear", "symbol": "BTCUSDT", "side": side, "qty": qty,
            "orderType": "Market" if price is None else "Limit", "price": price, **more,
        }  # fmt: skip
        return self.exchange.create({k: v for k, v in params.items() if v is not None})

    def amend(self, order: Order, **more: Any) -> Order:
        return self.exchange.amend(self._named(order, more))

    def cancel(self, order: Order, **more: Any) -> Order:
        return self.exchange.cancel(self._named(order, more))

    def now(self, order: Order) -> Order:
        return self.exchange.books.orders[order.id]

    def _named(self, order: Order, more: dict[str, Any]) -> dict[str, Any]:
        return {"category": "linear", "symbol": order.symbol, "orderId": order.id, **more}


@contextmanager
def refused(code: int, *words: str) -> Iterator[None]:
    """Expect the venue to refuse with this code."""
    try:
        yield
    except Refusal as refusal:
        assert refusal.code == code, f"{refusal.code} {refusal.message}"
        assert all(word in refusal.message for word in words), refusal.message
    else:
        raise AssertionError(f"not refused, expected {code}")


@contextmanager
def served(*symbols: str, **options: Any) -> Iterator[Bybit]:
    """Serve a venue from a thread of this process (it holds no engine)."""
    stop, ready = threading.Event(), threading.Event()
    found: list[Any] = []

    def on_ready(each: venue.Ready) -> None:
        found.append(each)
        ready.set()

    def run() -> None:
        try:
            venue.serve(symbols=symbols, stop=stop, on_ready=on_ready, **options)
        except BaseException as error:
            found.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    if isinstance(found[0], BaseException):
        raise found[0]
    with Bybit(found[0]) as client:
        try:
            yield client
        finally:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()


class Bybit:
    """A client of Bybit v5, as a stranger would write it from the documentation."""

    def __init__(self, ready: venue.Ready) -> None:
        self.ready = ready
        self._http = httpx.Client(base_url=ready.url, trust_env=False, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._http.request(method, path, **more)

    def public(self, path: str, **params: Any) -> Any:
        answer = self._http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **params: Any) -> Any:
        query = urlencode(params)
        answer = self._http.get(f"{path}?{query}", headers=self.signed(query))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **params: Any) -> Any:
        body = json.dumps(params)
        answer = self._http.post(path, content=body, headers=self.signed(body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, side: str, qty: str, price: str | None = None, **more: Any) -> Any:
        params = {
            "category": "linear", "symbol": "BTCUSDT", "side": side, "qty": qty,
            "orderType": "Market" if price is None else "Limit", **more,
        }  # fmt: skip
        return self.post("/v5/order/create", **params | ({} if price is None else {"price": price}))

    def practice(self, method: str, verb: str, **params: Any) -> Any:
        answer = self._http.request(
            method,
            f"/practice/{verb}",
            json=params or None,
            headers={"Authorization": f"Bearer {self.ready.token}"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def price(self, last: str, symbol: str = "BTCUSDT") -> Any:
        return self.practice("POST", "price", symbol=symbol, last=last)

    def sign(self, text: str, secret: str | None = None) -> str:
        key = (secret or self.ready.secret).encode()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def signed(
        self,
        payload: str,
        *,
        key: str | None = None,
        secret: str | None = None,
        offset: int = 0,
        window: str = "5000",
    ) -> dict[str, str]:
        stamp, key = str(int(time.time() * 1000) + offset), key or self.ready.key
        return {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self.sign(f"{stamp}{key}{window}{payload}", secret),
        }

    @asynccontextmanager
    async def socket(self, kind: str, *topics: str) -> Any:
        """Open a socket: ``public``, ``private`` or ``trade``; log in and subscribe."""
        path = {"public": "public/linear", "private": "private", "trade": "trade"}[kind]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.ready.websocket}/v5/{path}") as connection,
        ):
            socket = Socket(connection)
            if kind != "public":
                await socket.send(op="auth", args=self.login())
                told = await socket.get()
                assert told.get("success", told.get("retCode") == 0), told
            if topics:
                await socket.send(op="subscribe", args=list(topics), req_id="s")
                told = await socket.get()
                assert told["success"], told
            yield socket

    def login(self, offset: int = 5_000) -> list[Any]:
        expires = int(time.time() * 1000) + offset
        return [self.ready.key, expires, self.sign(f"GET/realtime{expires}")]


class Socket:
    """A WebSocket of JSON documents."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection

    async def send(self, **document: Any) -> None:
        await self.connection.send_str(json.dumps(document))

    async def get(self, timeout: float = 5) -> Any:
        message = await self.connection.receive(timeout=timeout)
        assert message.type == aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def command(self, op: str, **params: Any) -> Any:
        header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
        args = [{"category": "linear", "symbol": "BTCUSDT", **params}]
        await self.send(op=op, reqId=f"r-{time.time_ns()}", header=header, args=args)
        return await self.get()

    async def quiet(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for a while."""
        try:
            await self.get(seconds)
        except TimeoutError:
            return True
        return False


def run(work: Any) -> Any:
    """Run a coroutine, and no longer than a test should take."""
    return asyncio.run(asyncio.wait_for(work, 30))
