"""Bybit's public REST API, v5, and its files of trades.

What it serves is in `Bybit`; faults are a middleware of the application's (`tests.servers.faults`).
"""

from __future__ import annotations

import datetime as dt
import gzip
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.faults import Faults
from tests.servers.tape import DAY, HOUR, MINUTE, Tape, now_ms

STEPS = {
    "1": 1, "3": 3, "5": 5, "15": 15, "30": 30, "60": 60, "120": 120, "240": 240, "360": 360,
    "720": 720, "D": 1440, "W": 10080, "M": 43200,
}  # fmt: skip
_MONDAY = 4 * DAY


@dataclass
class Bybit:
    """The venue's public side.

    Attributes
    ----------
    tapes
        By category and symbol.
    largest
        Bars in an answer.

    """

    tapes: dict[str, dict[str, Tape]] = field(default_factory=dict)
    largest: int = 1000

    def __post_init__(self) -> None:
        if not self.tapes:
            listed = now_ms() // HOUR * HOUR - 3 * DAY
            self.tapes = {
                "linear": {"BTCUSDT": Tape(listed), "ETHUSDT": Tape(listed)},
                "spot": {"BTCUSDT": Tape(listed, lots=6)},
                "inverse": {"BTCUSD": Tape(listed, lots=0)},
            }

    def application(self, faults: Faults | None = None) -> web.Application:
        app = web.Application(middlewares=[faults.middleware] if faults else [])
        app.router.add_get("/v5/market/time", self.time)
        app.router.add_get("/v5/market/instruments-info", self.instruments)
        app.router.add_get("/v5/market/kline", self.klines)
        app.router.add_get("/v5/market/recent-trade", self.recent_trades)
        app.router.add_get("/trading/{symbol}/{file}", self.contract_file)
        app.router.add_get("/spot/{symbol}/{file}", self.spot_file)
        return app

    async def time(self, request: web.Request) -> web.Response:
        now = now_ms()
        return _good({"timeSecond": str(now // 1000), "timeNano": str(now * 10**6)})

    async def instruments(self, request: web.Request) -> web.Response:
        category = request.query.get("category", "")
        tapes = self.tapes.get(category)
        if tapes is None:
            return _bad(10001, "params error: category invalid")
        wanted = request.query.get("symbol")
        if wanted and wanted not in tapes:
            return _bad(10001, "params error: symbol invalid")
        names = [wanted] if wanted else sorted(tapes)
        first = int(request.query.get("cursor") or 0)
        after = first + int(request.query.get("limit") or 500)
        cursor = str(after) if after < len(names) else ""
        listed = [_instrument(category, name, tapes[name]) for name in names[first:after]]
        return _good({"category": category, "list": listed, "nextPageCursor": cursor})

    async def klines(self, request: web.Request) -> web.Response:
        query = request.query
        category = query.get("category", "linear")
        tape = self.tapes.get(category, {}).get(query.get("symbol", ""))
        if tape is None or query.get("interval") not in STEPS:
            return _bad(10001, "Not supported symbols" if tape is None else "Invalid period!")
        limit = int(query.get("limit", 200))
        if not 1 <= limit <= 1000:
            return _bad(10001, "params error: limit invalid")
        step = STEPS[query["interval"]] * MINUTE
        last = int(query.get("end", now_ms()))
        first = int(query.get("start", last - limit * step))
        opens = tape.opens(first, last, step, _MONDAY if query["interval"] == "W" else 0)
        rows = [
            [str(moment), *tape.candle(moment), "0"]
            for moment in opens[-min(limit, self.largest) :]  # the newest, newest first
        ]
        return _good({"category": category, "symbol": query["symbol"], "list": rows[::-1]})

    async def recent_trades(self, request: web.Request) -> web.Response:
        category, symbol = request.query.get("category", ""), request.query.get("symbol", "")
        tape = self.tapes.get(category, {}).get(symbol)
        if tape is None:
            return _bad(10001, "params error: symbol invalid")
        most = 60 if category == "spot" else 1000
        newest = tape.count(now_ms()) - 1
        limit = min(int(request.query.get("limit", most)), most)
        listed = [
            {
                "execId": trade_id(number),
                "symbol": symbol,
                "price": tape.price(300_000 + number % 50),
                "size": tape.size(number),
                "side": "Buy" if tape.buy(number) else "Sell",
                "time": str(tape.moment(number)),
                "isBlockTrade": False,
            }
            for number in range(newest, max(newest - limit, -1), -1)
        ]
        return _good({"category": category, "list": listed})

    async def contract_file(self, request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"]
        tapes = self.tapes.get("linear", {}) | self.tapes.get("inverse", {})
        header = (
            "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,"
            "homeNotional,foreignNotional"
        )
        lines = [
            f"{tape.moment(n) / 1000:.4f},{symbol},{'Buy' if tape.buy(n) else 'Sell'},"
            f"{tape.size(n)},{tape.price(300_000 + n % 50)},PlusTick,{trade_id(n)},0,0,0"
            for tape, n in _day(request, symbol, tapes)
        ]
        return _file([header, *lines])

    async def spot_file(self, request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"]
        lines = [
            f"{n + 1},{tape.moment(n)},{tape.price(300_000 + n % 50)},{tape.size(n)},"
            f"{'buy' if tape.buy(n) else 'sell'}"
            for tape, n in _day(request, symbol + "_", self.tapes.get("spot", {}))
        ]
        return _file(["id,timestamp,price,volume,side", *lines])


def trade_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _day(request: web.Request, prefix: str, tapes: dict[str, Tape]) -> list[tuple[Tape, int]]:
    """Return the trades of the day a file is named after."""
    tape = tapes.get(request.match_info["symbol"])
    name = request.match_info["file"].removesuffix(".csv.gz").removeprefix(prefix)
    try:
        day = dt.datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError:
        raise web.HTTPNotFound from None
    begin = int(day.timestamp()) * 1000
    if tape is None or begin + DAY > now_ms() or begin + DAY <= tape.listed:
        raise web.HTTPNotFound
    return [(tape, number) for number in tape.trades(begin, begin + DAY - 1)]


def _file(lines: list[str]) -> web.Response:
    content = gzip.compress(("\n".join(lines) + "\n").encode(), 1, mtime=0)
    return web.Response(body=content, content_type="application/x-gzip")


def _good(result: Any) -> web.Response:
    answer = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms()}
    return web.json_response(answer)


def _bad(code: int, message: str) -> web.Response:
    answer = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": now_ms()}
    return web.json_response(answer)


def _instrument(category: str, symbol: str, tape: Tape) -> dict[str, Any]:
    quote = "USD" if category == "inverse" else "USDT"
    common = {
        "symbol": symbol,
        "status": "Trading",
        "baseCoin": symbol.removesuffix(quote),
        "quoteCoin": quote,
    }
    tick, lot = f"{10**-tape.decimals:.{tape.decimals}f}", f"{10**-tape.lots:.{tape.lots}f}"
    if category == "spot":
        lots = {
            "basePrecision": lot, "quotePrecision": "0.01", "minOrderQty": lot,
            "maxOrderQty": "100", "minOrderAmt": "5", "maxOrderAmt": "1000000",
        }  # fmt: skip
        extra = {"innovation": "0", "marginTrading": "utaOnly"}
        return common | extra | {"lotSizeFilter": lots, "priceFilter": {"tickSize": tick}}
    return common | {
        "contractType": "InversePerpetual" if category == "inverse" else "LinearPerpetual",
        "launchTime": str(tape.listed),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(tape.decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.8", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1190", "minOrderQty": lot, "qtyStep": lot,
            "postOnlyMaxOrderQty": "1190", "maxMktOrderQty": "500", "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": symbol.removesuffix(quote) if category == "inverse" else quote,
    }  # fmt: skip
