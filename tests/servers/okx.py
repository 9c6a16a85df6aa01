"""OKX's public REST API, v5."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.faults import Faults
from tests.servers.tape import DAY, HOUR, MINUTE, Tape, now_ms

STEPS = {
    "1s": 1000, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE,
    "30m": 30 * MINUTE, "1H": HOUR, "2H": 2 * HOUR, "4H": 4 * HOUR, "6H": 6 * HOUR,
    "12H": 12 * HOUR, "1D": DAY, "1W": 7 * DAY,
}  # fmt: skip
_MONDAY, _HONG_KONG = 4 * DAY, -8 * HOUR
_FIRST_ID = 700_000_000


@dataclass
class OKX:
    """The venue's public side: tapes by instrument type and id."""

    tapes: dict[str, dict[str, Tape]] = field(default_factory=dict)
    largest: int = 300

    def __post_init__(self) -> None:
        if not self.tapes:
            listed = now_ms() // HOUR * HOUR - 3 * DAY
            self.tapes = {
                "SWAP": {"BTC-USDT-SWAP": Tape(listed, lots=2), "ETH-USDT-SWAP": Tape(listed)},
                "SPOT": {"BTC-USDT": Tape(listed, lots=8)},
            }

    def application(self, faults: Faults | None = None) -> web.Application:
        app = web.Application(middlewares=[faults.middleware] if faults else [])
        app.router.add_get("/api/v5/public/time", self.time)
        app.router.add_get("/api/v5/public/instruments", self.instruments)
        app.router.add_get("/api/v5/market/history-candles", self.candles)
        app.router.add_get("/api/v5/market/history-trades", self.trades)
        return app

    async def time(self, request: web.Request) -> web.Response:
        return _good([{"ts": str(now_ms())}])

    async def instruments(self, request: web.Request) -> web.Response:
        kind = request.query.get("instType", "")
        tapes = self.tapes.get(kind, {})
        wanted = request.query.get("instId")
        if wanted and wanted not in tapes:
            return _bad("51001", "Instrument ID doesn't exist.")
        return _good([_instrument(kind, n, tapes[n]) for n in tapes if wanted in (None, n)])

    def _tape(self, request: web.Request) -> Tape | None:
        name = request.query.get("instId", "")
        return next((tapes[name] for tapes in self.tapes.values() if name in tapes), None)

    async def candles(self, request: web.Request) -> web.Response:
        query, tape = request.query, self._tape(request)
        bar = query.get("bar", "1m")
        step = STEPS.get(bar.removesuffix("utc"))
        if tape is None or step is None:
            return _bad("51001" if tape is None else "51000", "Parameter error")
        offset = _MONDAY if bar.startswith("1W") else 0
        if step >= 6 * HOUR and not bar.endswith("utc"):
            offset += _HONG_KONG
        last = int(query.get("after", now_ms() + 1)) - 1
        first = int(query.get("before", 0)) + 1
        opens = tape.opens(first, last, step, offset)
        most = min(int(query.get("limit", 100)), self.largest)
        rows = [
            [str(moment), *tape.candle(moment), "0", "0", "01"[moment + step <= now_ms()]]
            for moment in opens[-most:]
        ]
        return _good(rows[::-1])

    async def trades(self, request: web.Request) -> web.Response:
        query, tape = request.query, self._tape(request)
        if tape is None:
            return _bad("51001", "Instrument ID doesn't exist.")
        newest = tape.count(now_ms()) - 1
        if "after" in query and query.get("type", "1") == "1":
            newest = min(int(query["after"]) - _FIRST_ID - 1, newest)
        elif "after" in query:
            newest = min(tape.count(int(query["after"]) - 1) - 1, newest)
        limit = min(int(query.get("limit", 100)), 100)
        return _good(
            [
                {
                    "instId": query["instId"],
                    "tradeId": str(_FIRST_ID + number),
                    "px": tape.price(300_000 + number % 50),
                    "sz": tape.size(number),
                    "side": "buy" if tape.buy(number) else "sell",
                    "ts": str(tape.moment(number)),
                }
                for number in range(newest, max(newest - limit, -1), -1)
            ]
        )


def _good(data: list[Any]) -> web.Response:
    return web.json_response({"code": "0", "msg": "", "data": data})


def _bad(code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "msg": message, "data": []}, status=400)


def _instrument(kind: str, name: str, tape: Tape) -> dict[str, Any]:
    base, quote = name.split("-")[:2]
    swap = kind == "SWAP"
    lot = f"{10**-tape.lots:.{tape.lots}f}"
    empty = (
        "alias", "auctionEndTime", "contTdSwTime", "expTime", "maxPlatOILmt", "openType",
        "optType", "posLmtAmt", "posLmtPct", "preMktSwTime", "stk",
    )  # fmt: skip
    return dict.fromkeys(empty, "") | {
        "baseCcy": "" if swap else base,
        "category": "1",
        "ctMult": "1" if swap else "",
        "ctType": "linear" if swap else "",
        "ctVal": "0.01" if swap else "",
        "ctValCcy": base if swap else "",
        "futureSettlement": False,
        "instFamily": f"{base}-{quote}" if swap else "",
        "instId": name,
        "instIdCode": 10459,
        "instType": kind,
        "lever": "100",
        "listTime": str(tape.listed),
        "lotSz": lot,
        "maxIcebergSz": "100000000", "maxLmtAmt": "20000000", "maxLmtSz": "100000000",
        "maxMktAmt": "" if swap else "1000000", "maxMktSz": "12000", "maxStopSz": "12000",
        "maxTriggerSz": "100000000", "maxTwapSz": "100000000",
        "minSz": lot,
        "quoteCcy": "" if swap else quote,
        "ruleType": "normal",
        "settleCcy": quote if swap else "",
        "state": "live",
        "tickSz": f"{10**-tape.decimals:.{tape.decimals}f}",
        "tradeQuoteCcyList": [],
        "uly": f"{base}-{quote}" if swap else "",
    }  # fmt: skip
