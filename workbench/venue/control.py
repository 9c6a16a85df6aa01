"""``/practice``: what is no exchange's business. Prices by hand, faults, the pace of the replay.

Every request needs the practice token: ``Authorization: Bearer TOKEN``.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from workbench.core.errors import InputError, choices
from workbench.data.intervals import iso
from workbench.venue.exchange import Exchange
from workbench.venue.faults import Faults, read_fault
from workbench.venue.market import Print, Quote
from workbench.venue.model import Contract, exact, text
from workbench.venue.replay import Pace, read_speed
from workbench.venue.sockets import Hub

_MOST_STEPS = 1_000_000
_SIDES = ("Buy", "Sell")


class Control:
    """Serves ``/practice``.

    Parameters
    ----------
    token
        What a request must bring.

    """

    def __init__(
        self,
        token: str,
        exchange: Exchange,
        hub: Hub,
        faults: Faults,
        pace: Pace,
    ) -> None:
        self._token, self._exchange, self._hub = token, exchange, hub
        self._faults, self._pace = faults, pace
        self._verbs: dict[tuple[str, str], Callable[[dict[str, Any]], Awaitable[Any]]] = {
            ("GET", "status"): self._status,
            ("POST", "price"): self._price,
            ("GET", "faults"): self._faults_listed,
            ("POST", "faults"): self._fault,
            ("DELETE", "faults"): self._faults_cleared,
            ("POST", "pause"): self._pause,
            ("POST", "resume"): self._resume,
            ("POST", "step"): self._step,
        }

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request below ``/practice``."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token.encode(), self._token.encode()):
            return web.json_response(
                {"error": "the practice token is missing or wrong"}, status=403
            )
        verb = self._verbs.get((request.method, request.match_info["verb"]))
        if verb is None:
            return web.json_response({"error": "no such practice endpoint"}, status=404)
        try:
            body = await request.text() if request.method == "POST" else ""
            return web.json_response(await verb(_params(body)))
        except InputError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        del params
        exchange, account = self._exchange, self._exchange.books.account
        with exact():
            markets = {
                symbol: {
                    "instrument": market.contract.instrument,
                    "last": text(market.last) or None,
                    "bid": text(market.bids[0][0]) if market.bids else None,
                    "ask": text(market.asks[0][0]) if market.asks else None,
                }
                for symbol, market in exchange.markets.items()
            }
            positions = {
                symbol: text(each.size) for symbol, each in account.positions.items() if each.size
            }
            return {
                "state": self._pace.state,
                "speed": self._pace.speed or "max",
                "position": iso(exchange.position) if exchange.position else None,
                "markets": markets,
                "connections": self._hub.counts(),
                "topics": sorted(self._hub.topics()),
                "faults": self._faults.listed(),
                "wallet": text(account.wallet),
                "equity": text(account.wallet + account.unrealised),
                "realised": text(account.realised),
                "fees": text(account.fees),
                "positions": positions,
                "open_orders": len(exchange.books.live()),
                "executions": len(exchange.books.executions),
            }

    async def _price(self, params: dict[str, Any]) -> dict[str, Any]:
        """Set a price: ``last``, or ``bid`` and ``ask``, with ``size`` to limit what is there."""
        contract = self._contract(params)
        known = ("symbol", "last", "side", "bid", "ask", "size")
        if unknown := [name for name in params if name not in known]:
            raise InputError(f"price: no '{unknown[0]}'. {choices(unknown[0], known)}")
        last, bid, ask = (_price(params, name, contract) for name in ("last", "bid", "ask"))
        size = _number(params, "size") or contract.max_quantity
        if (last is None) == (bid is None and ask is None):
            raise InputError("price: give 'last', or 'bid' and 'ask'")
        if last is None:
            if bid is not None and ask is not None and bid >= ask:
                raise InputError(f"price: the bid {text(bid)} must be below the ask {text(ask)}")
            bids = () if bid is None else ((bid, size),)
            self._exchange.set_price(
                contract.symbol, Quote(bids, () if ask is None else ((ask, size),))
            )
        else:
            side = params.get("side")
            if side not in (None, *_SIDES):
                raise InputError(f"price: no side {side!r}. {choices(str(side), _SIDES)}")
            self._exchange.set_price(contract.symbol, Print(last, contract.step, side))
        return await self._status({})

    async def _fault(self, params: dict[str, Any]) -> dict[str, Any]:
        written = params.get("fault")
        in_a_word = isinstance(written, str) and len(params) == 1
        self._faults.add(read_fault(str(written) if in_a_word else params))
        return await self._faults_listed({})

    async def _faults_listed(self, params: dict[str, Any]) -> dict[str, Any]:
        del params
        return {"faults": self._faults.listed()}

    async def _faults_cleared(self, params: dict[str, Any]) -> dict[str, Any]:
        self._faults.clear()
        return await self._faults_listed(params)

    async def _pause(self, params: dict[str, Any]) -> dict[str, Any]:
        self._pace.pause()
        return await self._status(params)

    async def _resume(self, params: dict[str, Any]) -> dict[str, Any]:
        self._pace.resume(read_speed(params["speed"]) if "speed" in params else 0)
        return await self._status(params)

    async def _step(self, params: dict[str, Any]) -> dict[str, Any]:
        count, of = params.get("count", 1), params.get("of", "events")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= _MOST_STEPS:
            raise InputError(f"step: count must be a whole number from 1 to {_MOST_STEPS:,}")
        if of not in ("events", "bars"):
            raise InputError(f"step: no '{of}'. {choices(str(of), ('events', 'bars'))}")
        await self._pace.step(count, bars=of == "bars")
        return await self._status(params)

    def _contract(self, params: dict[str, Any]) -> Contract:
        symbol = params.get("symbol")
        contracts = self._exchange.contracts
        if symbol not in contracts:
            raise InputError(f"no contract {symbol!r}. {choices(str(symbol), contracts)}")
        return contracts[symbol]


def _params(body: str) -> dict[str, Any]:
    try:
        params = json.loads(body) if body else {}
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise InputError("the body must be a JSON object")
    return params


def _number(params: dict[str, Any], name: str) -> Decimal | None:
    value = params.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or not 0 < number < Decimal("1e18"):
        raise InputError(f"price: {name} must be a number above 0, found {value!r}")
    return number


def _price(params: dict[str, Any], name: str, contract: Contract) -> Decimal | None:
    price = _number(params, name)
    if price is not None and price % contract.tick:
        tick = text(contract.tick)
        raise InputError(f"price: {name} {text(price)} is no multiple of the tick size {tick}")
    return price
