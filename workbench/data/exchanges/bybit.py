"""Bybit: spot, linear and inverse contracts.

Sources: https://bybit-exchange.github.io/docs/v5/market/kline (1,000 bars an answer),
/market/instrument, /market/recent-trade, /rate-limit (600 requests in 5 s and address, a 403 of ten
minutes beyond that). The API serves the latest 1,000 trades only, seconds of a busy market; those
of whole days are files at https://public.bybit.com.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.core.errors import DataError
from workbench.data.exchanges.columns import BUY, SELL, Candle, Trades, page_of, units
from workbench.data.exchanges.provider import ExchangeProvider, Market, Product
from workbench.data.exchanges.service import (
    Limit,
    Refused,
    Service,
    TooMany,
    Trouble,
    parsed,
)
from workbench.data.exchanges.session import Session
from workbench.data.exchanges.walks import Walk
from workbench.data.gaps import step_ns
from workbench.data.intervals import Interval
from workbench.study.datasets import DataSpec

_MS = 10**6
_DAY = 86_400 * 10**9
_FILE_SECONDS = 900.0  # a busy day is about 100 MB
_INTERVALS = {
    "1-MINUTE": "1", "3-MINUTE": "3", "5-MINUTE": "5", "15-MINUTE": "15", "30-MINUTE": "30",
    "1-HOUR": "60", "2-HOUR": "120", "4-HOUR": "240", "6-HOUR": "360", "12-HOUR": "720",
    "1-DAY": "D", "1-WEEK": "W",
}  # fmt: skip
_BARS = {f"{bars}-LAST": code for bars, code in _INTERVALS.items()}
# https://bybit-exchange.github.io/docs/v5/error
_TOO_MANY = {10006, 10018, 10429, 429}
_TROUBLE = {10000, 10016}


def _decode(_: int, headers: Mapping[str, str], body: bytes) -> Any:
    answer = parsed(body)
    code = answer["retCode"]
    reason = f"{answer['retMsg']} (retCode {code})"
    if code in _TOO_MANY:
        raise TooMany(reason, _reset(headers))
    if code in _TROUBLE:
        raise Trouble(reason)
    if code:
        raise Refused(reason, str(code))
    return answer["result"]


def _reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until Bybit takes requests again, None where it does not tell."""
    moment = headers.get("X-Bapi-Limit-Reset-Timestamp", "")
    return max(int(moment) / 1000 - time.time(), 0.1) if moment.isdigit() else None


def _file(status: int, _: Mapping[str, str], body: bytes) -> bytes:
    if status == 404:
        raise Refused("there is no such file", "404")
    if status != 200:
        raise Refused(f"status {status}")
    return body


_API = Service("bybit", "WORKBENCH_URL_BYBIT", "https://api.bybit.com", Limit(500, 5.0), _decode)
_FILES = Service(
    "bybit's files", "WORKBENCH_URL_BYBIT_PUBLIC", "https://public.bybit.com", Limit(10, 1.0), _file
)


class BybitProvider(ExchangeProvider):
    """History of Bybit."""

    name: ClassVar[str] = "bybit"
    venue: ClassVar[str] = "BYBIT"
    products: ClassVar[tuple[Product, ...]] = (
        Product("linear", _API, _BARS, 1000, "BTCUSDT-LINEAR.BYBIT"),
        Product("spot", _API, _BARS, 1000, "BTCUSDT-SPOT.BYBIT"),
        Product("inverse", _API, _BARS, 1000, "BTCUSD-INVERSE.BYBIT"),
    )

    def route(self, symbol: str) -> tuple[Product, str]:  # noqa: D102
        native, _, kind = symbol.rpartition("-")
        for product in self.products:
            if native and kind == product.name.upper():
                return product, native
        if kind == "OPTION":
            raise ValueError("bybit serves no history of options")
        raise ValueError(
            f"'{symbol}' does not tell the product: it ends in -LINEAR, -SPOT or -INVERSE, as in "
            "BTCUSDT-LINEAR.BYBIT"
        )

    async def listing(self, session: Session, product: Product, symbol: str) -> Market | None:  # noqa: D102
        path = "/v5/market/instruments-info"
        params = {"category": product.name, "symbol": symbol}
        try:
            answer = await session.get(_API, path, params, lambda result: result["list"])
        except Refused as error:
            if error.code == "10001":  # "params error: symbol invalid"
                return None
            raise
        found = [each for each in answer.content if each["symbol"] == symbol]
        if not found:
            return None
        listed = int(found[0].get("launchTime") or 0) * _MS
        text = answer.body.decode()
        return Market(
            f"{symbol}-{product.name.upper()}.BYBIT",
            product, symbol, listed, answer.moment, {path: text},
        )  # fmt: skip

    async def instruments(self, session: Session, product: Product) -> list[str]:  # noqa: D102
        found: list[str] = []
        cursor = ""
        while True:
            params: dict[str, Any] = {"category": product.name, "limit": 1000}
            if cursor:
                params["cursor"] = cursor
            path = "/v5/market/instruments-info"
            answer = await session.get(
                _API, path, params, lambda r: (r["list"], r.get("nextPageCursor") or "")
            )
            listed, following = answer.content
            found += [f"{each['symbol']}-{product.name.upper()}.BYBIT" for each in listed]
            if not following or following == cursor:
                return found
            cursor = following

    async def oldest(self, session: Session, market: Market, spec: DataSpec) -> int:  # noqa: ARG002, D102
        if market.listed:
            return market.listed
        # Of spot pairs it does not tell: their first month, in it the first day, and so on.
        first, last = 0, market.now
        for interval, longest in (("M", 31 * _DAY), ("D", _DAY), ("60", _DAY // 24), ("1", 0)):
            opens = await self._opens(session, market, interval, first, last)
            if opens:
                first, last = opens[-1], opens[-1] + longest
        return first

    async def _opens(
        self, session: Session, market: Market, interval: str, first: int, last: int
    ) -> list[int]:
        params = self._params(market, interval, first, last)
        answer = await session.get(
            _API, "/v5/market/kline", params, lambda r: [int(row[0]) * _MS for row in r["list"]]
        )
        return sorted(answer.content, reverse=True)

    def newest(self, market: Market, spec: DataSpec) -> int:  # noqa: D102
        if spec.bars:
            return super().newest(market, spec)
        # The file of a day is there some hours after its end.
        return (market.now - _DAY // 4) // _DAY * _DAY - 1

    def too_late(self, spec: DataSpec) -> str:  # noqa: D102
        return "It publishes trades as a file a day, some hours after its end" if spec.ticks else ""

    async def candles(  # noqa: D102
        self, session: Session, market: Market, bars: str, first: int, last: int
    ) -> dict[int, Candle]:
        step = step_ns(bars) or 0

        def read(result: Any) -> dict[int, Candle]:
            if result["symbol"] != market.symbol:
                raise Trouble(f"it answered with bars of {result['symbol']}")
            rows = ((int(row[0]) * _MS, tuple(row[1:6])) for row in result["list"])
            return page_of(rows, first, last, step)

        params = self._params(market, market.product.bars[bars], first, last + step - 1)
        return (await session.get(_API, "/v5/market/kline", params, read)).content

    def _params(self, market: Market, interval: str, first: int, last: int) -> dict[str, Any]:
        return {
            "category": market.product.name,
            "symbol": market.symbol,
            "interval": interval,
            "start": first // _MS,
            "end": last // _MS,
            "limit": 1000,
        }

    def calls(self, interval: Interval) -> int:  # noqa: D102
        return interval[1] // _DAY - interval[0] // _DAY + 1

    def walk(self, session: Session, market: Market, interval: Interval) -> Walk:  # noqa: D102
        return _Days(session, market, interval)


class _Days(Walk):
    """The public files, a day each."""

    def __init__(self, session: Session, market: Market, interval: Interval) -> None:
        super().__init__(interval)
        self._session, self._market = session, market

    async def step(self) -> Trades:
        """See `Walk.step`."""
        begin = (self.through + 1) // _DAY * _DAY
        day = dt.datetime.fromtimestamp(begin // 10**9, dt.UTC).date()
        symbol = self._market.symbol
        spot = self._market.product.name == "spot"
        path = (
            f"/spot/{symbol}/{symbol}_{day}.csv.gz"
            if spot
            else f"/trading/{symbol}/{symbol}{day}.csv.gz"
        )

        def read(content: bytes) -> Trades:
            found = _read(content, spot=spot)
            if len(found) and not begin <= found.ts[0] <= found.ts[-1] < begin + _DAY:
                raise Trouble("it holds trades of another day")
            return found

        try:
            answer = await self._session.get(_FILES, path, {}, read, seconds=_FILE_SECONDS)
        except Refused as error:
            raise DataError(f"bybit has no trades of {symbol} of {day}: {error} ({path})") from None
        self.through = min(begin + _DAY - 1, self.last)
        return answer.content.part(self.first, self.last)


def _read(content: bytes, *, spot: bool) -> Trades:
    """Read a file: of contracts seconds with a fraction, of spot pairs milliseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    names = (
        ("timestamp", "price", "volume", "side", "id")
        if spot
        else ("timestamp", "price", "size", "side", "trdMatchID")
    )
    options = csv.ConvertOptions(
        include_columns=list(names), column_types=dict.fromkeys(names, pa.string())
    )
    try:
        # Arrow checks the length and the checksum at the end of the gzip stream.
        unpacked = pa.CompressedInputStream(pa.BufferReader(content), "gzip")
        rows = csv.read_csv(unpacked, convert_options=options)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise Trouble(f"the file cannot be read: {error}") from None
    time_, price, size, side, ids = (rows.column(name).combine_chunks() for name in names)
    ts, _ = units(time_, 6 if spot else 9)
    buys = pc.equal(pc.utf8_lower(side), "buy").to_numpy(zero_copy_only=False)
    # Old files begin with the last trade of the day.
    order = np.arange(len(ts))
    if len(ts) and ts[0] > ts[-1]:
        order = order[::-1]
    order = order[np.argsort(ts[order], kind="stable")]
    taken = pa.array(order)
    return Trades(
        ts[order], price.take(taken), size.take(taken),
        np.where(buys, BUY, SELL).astype(np.int8)[order], ids.take(taken),
    )  # fmt: skip
