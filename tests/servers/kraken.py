"""Kraken's public REST APIs: spot, and the derivatives platform's instruments, charts, history."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.faults import Faults
from tests.servers.tape import DAY, HOUR, MINUTE, Tape, now_ms

RESOLUTIONS = {
    "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "12h": 720, "1d": 1440,
}  # fmt: skip
_NAMES = {"XXBTZUSD": ("XBT", "USD"), "XETHZUSD": ("ETH", "USD"), "XDGUSD": ("XDG", "USD")}


@dataclass
class Kraken:
    """The venue's public side.

    Attributes
    ----------
    spot, futures
        Tapes by Kraken's key of a pair, and by contract.
    largest
        Candles in an answer of the charts, trades in one of the history.

    """

    spot: dict[str, Tape] = field(default_factory=dict)
    futures: dict[str, Tape] = field(default_factory=dict)
    largest: tuple[int, int] = (2000, 1000)

    def __post_init__(self) -> None:
        listed = now_ms() // HOUR * HOUR - 3 * DAY
        if not self.spot:
            self.spot = {name: Tape(listed, lots=8) for name in _NAMES}
        if not self.futures:
            self.futures = {"PI_XBTUSD": Tape(listed, lots=0), "PF_ETHUSD": Tape(listed)}

    def application(self, faults: Faults | None = None) -> web.Application:
        app = web.Application(middlewares=[faults.middleware] if faults else [])
        app.router.add_get("/0/public/Time", self.time)
        app.router.add_get("/0/public/AssetPairs", self.pairs)
        app.router.add_get("/0/public/OHLC", self.ohlc)
        app.router.add_get("/0/public/Trades", self.trades)
        app.router.add_get("/derivatives/api/v3/instruments", self.contracts)
        app.router.add_get("/api/charts/v1/trade/{symbol}/{resolution}", self.charts)
        app.router.add_get("/api/history/v3/market/{symbol}/executions", self.executions)
        return app

    async def time(self, request: web.Request) -> web.Response:
        return _good({"unixtime": now_ms() // 1000, "rfc1123": ""})

    async def pairs(self, request: web.Request) -> web.Response:
        if request.query.get("aclass_base") == "tokenized_asset":
            return _good({})
        return _good({key: _pair(key, tape) for key, tape in self.spot.items()})

    async def ohlc(self, request: web.Request) -> web.Response:
        tape = self.spot.get(request.query.get("pair", ""))
        if tape is None:
            return _bad("EQuery:Unknown asset pair")
        step = int(request.query.get("interval", 1)) * MINUTE
        since = int(request.query.get("since", 0)) * 1000
        opens = [each for each in tape.opens(0, now_ms(), step)[-721:] if each > since]
        rows = []
        for moment in opens:
            begin, high, low, end, volume = tape.candle(moment)
            rows.append([moment // 1000, begin, high, low, end, end, volume, 7])
        return _good({request.query["pair"]: rows, "last": opens[-2] // 1000 if opens[1:] else 0})

    async def trades(self, request: web.Request) -> web.Response:
        tape = self.spot.get(request.query.get("pair", ""))
        if tape is None:
            return _bad("EQuery:Unknown asset pair")
        since = int(request.query.get("since", 0))
        count = min(int(request.query.get("count", 1000)), self.largest[1])
        numbers = list(tape.trades(since // 10**6 - 2000, now_ms()))
        numbers = [n for n in numbers if tape.moment(n) * 10**6 + 123_400 > since][:count]
        rows = [
            [
                tape.price(300_000 + n % 50) + "0000",
                tape.size(n),
                tape.moment(n) / 1000 + 0.0001234,
                "b" if tape.buy(n) else "s",
                "l",
                "",
                n + 1000,
            ]
            for n in numbers
        ]
        last = tape.moment(numbers[-1]) * 10**6 + 123_400 if numbers else since
        return _good({request.query["pair"]: rows, "last": str(last)})

    async def contracts(self, request: web.Request) -> web.Response:
        listed = [_contract(symbol, tape) for symbol, tape in self.futures.items()]
        return web.json_response({"result": "success", "instruments": listed})

    async def charts(self, request: web.Request) -> web.Response:
        tape = self.futures.get(request.match_info["symbol"])
        minutes = RESOLUTIONS.get(request.match_info["resolution"])
        if tape is None or minutes is None:
            return web.json_response({"errors": [{"msg": "Invalid"}]}, status=400)
        last = int(request.query.get("to", now_ms() // 1000)) * 1000
        first = int(request.query.get("from", last // 1000 - 86_400)) * 1000
        opens = tape.opens(first, last, minutes * MINUTE)
        names = ("open", "high", "low", "close", "volume")
        candles = [
            {"time": moment} | dict(zip(names, tape.candle(moment), strict=True))
            for moment in opens[: self.largest[0]]
        ]
        more = len(opens) > self.largest[0]
        return web.json_response({"candles": candles, "more_candles": more})

    async def executions(self, request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"]
        tape = self.futures[symbol]
        since = int(request.query.get("since", 0))
        count = min(int(request.query.get("count", 100)), self.largest[1])
        numbers = list(tape.trades(since, now_ms()))
        numbers = numbers[:count] if request.query.get("sort") == "asc" else numbers[-count:][::-1]
        elements = [_execution(symbol, tape, number) for number in numbers]
        return web.json_response({"len": len(elements), "elements": elements})


def _good(result: Any) -> web.Response:
    return web.json_response({"error": [], "result": result})


def _bad(message: str) -> web.Response:
    return web.json_response({"error": [message]})


def _pair(key: str, tape: Tape) -> dict[str, Any]:
    base, quote = _NAMES[key]
    return {
        "altname": base + quote,
        "wsname": f"{base}/{quote}",
        "aclass_base": "currency",
        "base": f"X{base}" if key.startswith("X") and base != "XDG" else base,
        "aclass_quote": "currency",
        "quote": f"Z{quote}",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": tape.decimals,
        "lot_decimals": tape.lots,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25], [10000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": f"{10**-tape.decimals:.{tape.decimals}f}",
        "status": "online",
    }


def _contract(symbol: str, tape: Tape) -> dict[str, Any]:
    inverse = symbol.startswith("PI_")
    base = symbol[3:6].replace("XBT", "BTC")
    opened = dt.datetime.fromtimestamp(tape.listed // 1000, dt.UTC)
    level = {"initialMargin": 0.02, "maintenanceMargin": 0.01}
    return {
        "symbol": symbol,
        "type": "futures_inverse" if inverse else "flexible_futures",
        "tickSize": 10**-tape.decimals,
        "contractSize": 1,
        "tradeable": True,
        "impactMidSize": 1.0,
        "maxPositionSize": 1_000_000.0,
        "openingDate": opened.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "marginLevels": [level | ({"contracts": 0} if inverse else {"numNonContractUnits": 0.0})],
        "fundingRateCoefficient": 24,
        "maxRelativeFundingRate": 0.0025,
        "isin": "GB00J62YGL67",
        "contractValueTradePrecision": tape.lots,
        "postOnly": False,
        "feeScheduleUid": "a6cbc326-9477-4a6c-911a-d4cb3ed7481e",
        "mtf": True,
        "base": base,
        "quote": "USD",
        "pair": f"{base}:USD",
    }


def _execution(symbol: str, tape: Tape, number: int) -> dict[str, Any]:
    moment, size = tape.moment(number), tape.size(number)
    order = {
        "tradeable": symbol,
        "quantity": size,
        "timestamp": moment,
        "limitPrice": tape.price(300_000 + number % 50),
        "orderType": "Limit",
        "reduceOnly": False,
        "lastUpdateTimestamp": moment,
    }
    taker, maker = ("Buy", "Sell") if tape.buy(number) else ("Sell", "Buy")
    uid = f"00000000-0000-4000-8000-{number:012d}"
    execution = {
        "uid": uid,
        "makerOrder": order | {"uid": uid[:-1] + "a", "direction": maker},
        "takerOrder": order | {"uid": uid[:-1] + "b", "direction": taker},
        "timestamp": moment,
        "quantity": size,
        "price": tape.price(300_000 + number % 50),
        "markPrice": "30000.5",
        "limitFilled": True,
        "usdValue": "1025.71",
    }
    event = {"Execution": {"execution": execution, "takerReducedQuantity": ""}}
    return {"uid": uid, "timestamp": moment, "event": event}
