"""Binance's public REST APIs: spot, USD-M and COIN-M."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.faults import Faults, Handler
from tests.servers.tape import DAY, HOUR, MINUTE, Tape, now_ms

STEPS = {
    "1s": 1000, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE,
    "30m": 30 * MINUTE, "1h": HOUR, "2h": 2 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR,
    "8h": 8 * HOUR, "12h": 12 * HOUR, "1d": DAY, "1w": 7 * DAY,
}  # fmt: skip
_MONDAY = 4 * DAY
_FIRST_ID = 26_129
_PREFIXES = {"api/v3": "spot", "fapi/v1": "usd", "dapi/v1": "coin"}


@dataclass
class Binance:
    """The venue's public side.

    Attributes
    ----------
    tapes
        By ``spot``, ``usd`` and ``coin``, and symbol.
    missing
        Numbers of trades it does not have.
    allowed
        Weight it allows in a minute; beyond it answers 429, and counts how often.

    """

    tapes: dict[str, dict[str, Tape]] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    allowed: int = 6000
    used: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._minute = 0
        if not self.tapes:
            listed = now_ms() // HOUR * HOUR - 3 * DAY
            self.tapes = {
                "spot": {"BTCUSDT": Tape(listed, 2, 5), "ETHUSDT": Tape(listed, 2, 4)},
                "usd": {"BTCUSDT": Tape(listed)},
                "coin": {"BTCUSD_PERP": Tape(listed, lots=0)},
            }

    def application(self, faults: Faults | None = None) -> web.Application:
        app = web.Application(middlewares=[self.count] + ([faults.middleware] if faults else []))
        for prefix in _PREFIXES:
            app.router.add_get(f"/{prefix}/exchangeInfo", self.info)
            app.router.add_get(f"/{prefix}/klines", self.klines)
            app.router.add_get(f"/{prefix}/aggTrades", self.trades)
        return app

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count weights by the minute, as the venue does."""
        if self._minute != time.time() // 60:
            self._minute, self.used = int(time.time() // 60), 0
        futures = not request.path.startswith("/api")
        self.used += {"klines": 5 if futures else 2, "aggTrades": 20 if futures else 4}.get(
            request.path.rpartition("/")[2], 20
        )
        if self.used > self.allowed:
            self.refused += 1
            message = {"code": -1003, "msg": "Too much request weight used"}
            return web.json_response(message, status=429, headers={"Retry-After": "1"})
        answer = await handler(request)
        if not answer.prepared:
            answer.headers["X-MBX-USED-WEIGHT-1M"] = str(self.used)
        return answer

    def _tape(self, request: web.Request) -> Tape:
        tape = self._tapes(request).get(request.query.get("symbol", ""))
        if tape is None:
            raise web.HTTPBadRequest(
                text='{"code":-1121,"msg":"Invalid symbol."}', content_type="application/json"
            )
        return tape

    def _tapes(self, request: web.Request) -> dict[str, Tape]:
        prefix = request.path.strip("/").rpartition("/")[0]
        return self.tapes.get(_PREFIXES[prefix], {})

    async def info(self, request: web.Request) -> web.Response:
        tapes = self._tapes(request)
        if "symbol" in request.query:
            tapes = {request.query["symbol"]: self._tape(request)}
        spot = request.path.startswith("/api")
        symbols = [
            _spot(name, tape) if spot else _contract(name, tape) for name, tape in tapes.items()
        ]
        content = {"timezone": "UTC", "serverTime": now_ms(), "assets": [], "symbols": symbols}
        return web.json_response(content | {"rateLimits": [], "exchangeFilters": []})

    async def klines(self, request: web.Request) -> web.Response:
        tape, query = self._tape(request), request.query
        step = STEPS[query["interval"]]
        limit = int(query.get("limit", 500))
        last = int(query.get("endTime", now_ms()))
        first = int(query.get("startTime", last - limit * step))
        if request.path.startswith("/dapi") and last - first > 200 * DAY:
            return _bad(-4147, "Invalid timeRange")
        opens = tape.opens(first, last, step, _MONDAY if query["interval"] == "1w" else 0)
        rows = [
            [moment, *tape.candle(moment), moment + step - 1, "0", 7, "0", "0", "0"]
            for moment in opens[:limit]
        ]
        return web.json_response(rows)

    async def trades(self, request: web.Request) -> web.Response:
        tape, query = self._tape(request), request.query
        limit = int(query.get("limit", 500))
        first, last = 0, now_ms()
        if "fromId" in query:
            numbers = range(max(int(query["fromId"]) - _FIRST_ID, 0), tape.count(last))
        else:
            first = int(query.get("startTime", first))
            last = int(query.get("endTime", last))
            if not request.path.startswith("/api") and last - first >= HOUR:
                return _bad(-4166, "Search window is restricted to recent 1 hour only")
            numbers = range(tape.count(first - 1), tape.count(min(last, now_ms())))
        found = [number for number in numbers[: limit + 50] if number not in self.missing][:limit]
        return web.json_response(
            [
                {
                    "a": _FIRST_ID + number,
                    "p": tape.price(300_000 + number % 50),
                    "q": tape.size(number),
                    "f": number * 2,
                    "l": number * 2 + 1,
                    "T": tape.moment(number),
                    "m": not tape.buy(number),
                }
                for number in found
            ]
        )


def _bad(code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "msg": message}, status=400)


def _filters(tape: Tape) -> list[dict[str, Any]]:
    tick, lot = f"{10**-tape.decimals:.{tape.decimals}f}", f"{10**-tape.lots:.{tape.lots}f}"
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000", "stepSize": lot},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]


def _spot(symbol: str, tape: Tape) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol.removesuffix("USDT"),
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            # The venue writes eight decimals whatever the step.
            {name: _eight(value) if name[:3] in ("min", "max", "tic", "ste") else value
             for name, value in each.items()}
            for each in _filters(tape)
        ],
        "permissions": [],
    }  # fmt: skip


def _eight(number: str) -> str:
    return f"{float(number):.8f}"


def _contract(symbol: str, tape: Tape) -> dict[str, Any]:
    coin = symbol.endswith("_PERP")
    pair = symbol.removesuffix("_PERP")
    quote = "USD" if coin else "USDT"
    base = pair.removesuffix(quote)
    status = {"contractStatus": "TRADING", "contractSize": 100} if coin else {"status": "TRADING"}
    return status | {
        "symbol": symbol,
        "pair": pair,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": tape.listed,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": base if coin else quote,
        "pricePrecision": tape.decimals,
        "quantityPrecision": tape.lots,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "equalQtyPrecision": 4,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.0100",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(tape),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC"],
    }
