"""Tardis's servers on this machine: files of a day, the exchanges API, the instruments API.

``TardisServer`` serves what it is given; `text` makes the files' content in Tardis's own columns.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import random
import threading
from typing import Any

from aiohttp import web

from tests.servers.faults import Faults
from tests.servers.local import LocalServer

KEY = "TD.l0calKeyOfNobody.x7Qm2Vt9Rk4Wp8Zs"
_HEAD = "exchange,symbol,timestamp,local_timestamp"
_DAY_MICROS = 86_400_000_000
_MARKETS = {"trades", "quotes", "incremental_book_L2", "book_snapshot_5", "book_snapshot_25"}


def columns(data_type: str) -> str:
    """Return a file's header."""
    rest = {
        "trades": "id,side,price,amount",
        "quotes": "ask_amount,ask_price,bid_price,bid_amount",
        "incremental_book_L2": "is_snapshot,side,price,amount",
    }.get(data_type)
    if rest is None:
        rest = ",".join(
            f"asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount"
            for n in range(int(data_type.rpartition("_")[2]))
        )
    return f"{_HEAD},{rest}"


def lines(
    data_type: str,
    day: str,
    count: int,
    *,
    exchange: str = "bitmex",
    symbol: str = "XBTUSD",
    seed: int = 0,
    spacing: int | None = None,
) -> list[str]:
    """Return rows of a day: prices of one decimal, whole sizes, several rows in a moment.

    `spacing` is the mean number of microseconds between moments; default: spread over the day.
    """
    rng = random.Random(f"{data_type} {day} {seed}")
    start = int(dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1_000_000
    step = spacing or 2 * _DAY_MICROS // (count + 2)
    levels = int(data_type.rpartition("_")[2]) if "snapshot" in data_type else 1
    now, middle, made = start, 85_000, []
    for number in range(count):
        # At times two rows arrive at once; an exchange's own clock is some milliseconds behind.
        now += 0 if rng.random() < 0.3 else rng.randrange(1, step)
        now = min(now, start + _DAY_MICROS - 1)
        middle += rng.randint(-5, 5)
        cells = [exchange, symbol, str(now - rng.randrange(1000, 50_000)), str(now)]
        if data_type == "trades":
            side = rng.choice(("buy", "sell", "unknown"))
            cells += [f"{day}-{number}", side, _price(middle), str(rng.randint(1, 5000))]
        elif data_type == "quotes":
            cells += [str(rng.randint(1, 900)), _price(middle + 1), _price(middle)]
            cells += [str(rng.randint(1, 900))]
        elif data_type == "incremental_book_L2":
            snapshot = number < 20
            cells[3] = str(start + 1000) if snapshot else str(max(now, start + 1001))
            side = rng.choice(("bid", "ask"))
            price = middle + (1 + number % 20) * (1 if side == "ask" else -1)
            amount = rng.choice((0, rng.randint(1, 900))) if not snapshot else 100 + number
            cells += ["true" if snapshot else "false", side, _price(price), str(amount)]
        else:
            for level in range(levels):
                cells += [_price(middle + 1 + level), str(rng.randint(1, 900))]
                cells += [_price(middle - level), str(rng.randint(1, 900))]
        made.append(",".join(cells))
    return made


def _price(units: int) -> str:
    """Write tenths as JavaScript does: without a trailing zero."""
    return f"{units // 10}.{units % 10}".removesuffix(".0")


def text(data_type: str, rows: list[str]) -> str:
    """Return a file's content."""
    return "\n".join([columns(data_type), *rows]) + "\n"


def packed(content: str) -> bytes:
    """Return content as a gzip file, of two members as large files of Tardis's are."""
    raw = content.encode()
    middle = raw.find(b"\n", len(raw) // 2) + 1
    return gzip.compress(raw[:middle], mtime=0) + gzip.compress(raw[middle:], mtime=0)


class TardisServer(LocalServer):
    """Serves files, exchanges and instruments.

    Attributes
    ----------
    files
        By path: ``bitmex/trades/2020/03/01/XBTUSD``.
    keys
        API keys that open everything.
    refusal
        Status of what a key, or the lack of one, does not open.
    instruments
        JSON answers of the instruments API, by ``exchange/symbol``.
    drip
        Seconds between pieces of 256 bytes of a file, to slow it down; None for at once.
    arriving
        Set once the first piece of a slow file is out.
    head
        Whether HEAD is answered.

    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.files: dict[str, bytes] = {}
        self.keys = {KEY}
        self.refusal = 401
        self.instruments: dict[str, Any] = {}
        self.drip: float | None = None
        self.arriving = threading.Event()
        self.head = True
        app = web.Application(middlewares=[self.faults.middleware])
        app.router.add_get("/v1/exchanges/{exchange}", self._exchange)
        app.router.add_get("/v1/instruments/{exchange}/{symbol}", self._instrument)
        app.router.add_get(
            r"/v1/{exchange}/{type}/{year}/{month}/{day}/{symbol}.csv.gz", self._file
        )
        super().__init__(app)

    def add(self, data_type: str, day: str, content: str | bytes, **names: str) -> None:
        """Serve a file of a day; of bitmex XBTUSD unless `exchange` and `symbol` say else."""
        exchange, symbol = names.get("exchange", "bitmex"), names.get("symbol", "XBTUSD")
        body = packed(content) if isinstance(content, str) else content
        self.files[f"{exchange}/{data_type}/{day.replace('-', '/')}/{symbol}"] = body

    @property
    def downloads(self) -> int:
        """How often a file was asked for."""
        return sum(verb == "GET" and ".csv.gz" in path for verb, path in self.requests)

    def _allowed(self, request: web.Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.keys

    async def _exchange(self, request: web.Request) -> web.Response:
        name = request.match_info["exchange"]
        mine = [path.split("/") for path in self.files if path.startswith(f"{name}/")]
        if not mine:
            return _wrong(400, f"'exchange' param contains invalid value '{name}'")
        symbols = []
        for symbol in sorted({path[5] for path in mine}):
            days = sorted("-".join(path[2:5]) for path in mine if path[5] == symbol)
            symbols.append(
                {
                    "id": symbol,
                    "type": "perpetual",
                    "availableSince": f"{days[0]}T00:00:00.000Z",
                    "availableTo": f"{_next(days[-1])}T00:00:00.000Z",
                    "dataTypes": sorted({path[1] for path in mine if path[5] == symbol}),
                }
            )
        until = max(each["availableTo"] for each in symbols)
        datasets = {"formats": ["csv"], "exportedUntil": until, "symbols": symbols}
        document = {
            "id": name,
            "supportsDatasets": True,
            "availableSymbols": [{"id": each["id"].lower()} for each in symbols],
            "datasets": datasets,
        }
        return web.json_response(document)

    async def _instrument(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return _wrong(401, "Unauthorized: the API key is not valid")
        name = f"{request.match_info['exchange']}/{request.match_info['symbol'].upper()}"
        if name not in self.instruments:
            return _wrong(404, f"no instrument {name}")
        return web.json_response(self.instruments[name])

    async def _file(self, request: web.Request) -> web.StreamResponse:
        at = request.match_info
        if request.method == "HEAD" and not self.head:
            return web.Response(status=403)
        if at["day"] != "01" and not self._allowed(request):
            return _wrong(
                self.refusal, "Unauthorized: without a valid key only first days of months"
            )
        folder = f"{at['exchange']}/{at['type']}"
        name = f"{folder}/{at['year']}/{at['month']}/{at['day']}/{at['symbol']}"
        known = any(n.startswith(folder) and n.endswith(f"/{at['symbol']}") for n in self.files)
        if not known:
            return _wrong(404, f"no data of {at['symbol']}")
        body = self.files.get(name, gzip.compress(b"", mtime=0))
        if self.drip is None:
            return web.Response(body=body, content_type="text/csv")
        answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await answer.prepare(request)
        for start in range(0, 0 if request.method == "HEAD" else len(body), 256):
            await answer.write(body[start : start + 256])
            self.arriving.set()
            await asyncio.sleep(self.drip)
        return answer


def _wrong(status: int, message: str) -> web.Response:
    return web.json_response({"code": status, "message": message}, status=status)


def _next(day: str) -> str:
    return str(dt.date.fromisoformat(day) + dt.timedelta(days=1))


PERPETUAL = {
    "id": "XBTUSD",
    "datasetId": "XBTUSD",
    "exchange": "bitmex",
    "baseCurrency": "BTC",
    "quoteCurrency": "USD",
    "settlementCurrency": "BTC",
    "type": "perpetual",
    "active": True,
    "availableSince": "2019-03-30T00:00:00.000Z",
    "priceIncrement": 1,
    "amountIncrement": 100,
    "minTradeAmount": 1,
    "makerFee": 0.0002,
    "takerFee": 0.0005,
    "inverse": True,
    "contractType": "inverse_perpetual",
    "contractMultiplier": 1,
    "changes": [
        {"until": "2021-06-08T04:30:00.000Z", "amountIncrement": 1},
        {"until": "2024-07-31T04:00:00.000Z", "priceIncrement": 0.5},
    ],
}
"""What the instruments API says of XBTUSD, about: its increments changed over the years."""
