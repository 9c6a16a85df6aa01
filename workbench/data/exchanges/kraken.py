"""Kraken: spot pairs, and the perpetuals and futures of its derivatives platform.

Sources: https://docs.kraken.com/api-reference/market-data/get-ohlc-data (the last 720 bars,
whatever is asked for), /get-recent-trades (1,000 trades an answer, back to the first),
/exchange/guides/rest/ratelimits (public requests about one a second), /exchange/guides/futures/
ratelimits (public requests free of cost), /api-reference/candles/market-candles (documented 5,000
bars an answer; others measured 2,000), /api-reference/market-history/get-public-execution-events.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from workbench.data.exchanges.columns import BUY, SELL, Candle, page_of
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
from workbench.data.exchanges.walks import ByOverlap, Check, Trade, Walk, trade
from workbench.data.gaps import step_ns
from workbench.data.intervals import Interval
from workbench.study.datasets import DataSpec

_MS, _SECOND = 10**6, 10**9
_KEPT_BARS = 720
_PAGE_TRADES = 1000
# The venue prints times of trades as floats of seconds: 240 ns are lost in them.
_PRINTED = 1000
_SPOT_CODES = {
    "1-MINUTE": "1", "5-MINUTE": "5", "15-MINUTE": "15", "30-MINUTE": "30", "1-HOUR": "60",
    "4-HOUR": "240", "1-DAY": "1440",
}  # fmt: skip
_FUTURES_CODES = {
    "1-MINUTE": "1m", "5-MINUTE": "5m", "15-MINUTE": "15m", "30-MINUTE": "30m", "1-HOUR": "1h",
    "4-HOUR": "4h", "12-HOUR": "12h", "1-DAY": "1d",
}  # fmt: skip
# NautilusTrader's names of two assets that Kraken's REST API calls otherwise.
_RENAMED = {"XBT": "BTC", "XDG": "DOGE"}
_TOO_MANY = ("Rate limit exceeded", "Too many requests", "Throttled")
_TROUBLE = ("EService:", "EGeneral:Internal error", "EGeneral:Temporary")


def _spot(_: int, __: Mapping[str, str], body: bytes) -> Any:
    answer = parsed(body)
    if errors := answer["error"]:
        reason = ", ".join(map(str, errors))
        if any(text in reason for text in _TOO_MANY):
            raise TooMany(reason)
        if any(text in reason for text in _TROUBLE):
            raise Trouble(reason)
        raise Refused(reason, str(errors[0]))
    return answer["result"]


def _futures(status: int, _: Mapping[str, str], body: bytes) -> Any:
    answer = parsed(body)
    if status != 200 or answer.get("result") == "error":
        reason = answer.get("error") or answer.get("errors") or f"status {status}"
        raise Refused(str(reason)[:300], str(status))
    return answer


_SPOT_API = Service(
    "kraken", "WORKBENCH_URL_KRAKEN", "https://api.kraken.com", Limit(10, 10.0), _spot
)
_FUTURES_API = Service(
    "kraken futures", "WORKBENCH_URL_KRAKEN_FUTURES", "https://futures.kraken.com",
    Limit(50, 10.0), _futures,
)  # fmt: skip


class KrakenProvider(ExchangeProvider):
    """History of Kraken."""

    name: ClassVar[str] = "kraken"
    venue: ClassVar[str] = "KRAKEN"
    products: ClassVar[tuple[Product, ...]] = (
        Product(
            "spot", _SPOT_API, {f"{bars}-LAST": code for bars, code in _SPOT_CODES.items()},
            _KEPT_BARS, "BTC/USD.KRAKEN",
        ),
        Product(
            "futures", _FUTURES_API,
            {f"{bars}-LAST": code for bars, code in _FUTURES_CODES.items()},
            2000, "PI_XBTUSD.KRAKEN",
        ),
    )  # fmt: skip

    def route(self, symbol: str) -> tuple[Product, str]:  # noqa: D102
        spot, futures = self.products
        if "/" in symbol:
            parts = symbol.split("/")
            right = "/".join(_RENAMED.get(part, part) for part in parts)
            if right != symbol:
                raise ValueError(f"NautilusTrader calls it {right}.KRAKEN, not {symbol}.KRAKEN")
            return spot, symbol
        if symbol[:3] in ("PI_", "PF_", "FI_", "FF_"):
            return futures, symbol
        raise ValueError(
            f"'{symbol}' is no instrument of kraken: BASE/QUOTE, or PI_, PF_, FI_, FF_ and the "
            "contract, as in BTC/USD.KRAKEN and PI_XBTUSD.KRAKEN"
        )

    async def listing(self, session: Session, product: Product, symbol: str) -> Market | None:  # noqa: D102
        if product.name == "spot":
            path = "/0/public/AssetPairs"
            answer = await session.get(_SPOT_API, path, {}, _pairs)
            if symbol not in answer.content:
                return None
            native, listed = answer.content[symbol], 0
        else:
            path = "/derivatives/api/v3/instruments"
            contracts = await session.get(_FUTURES_API, path, {}, _contracts)
            if symbol not in contracts.content:
                return None
            native, listed = symbol, contracts.content[symbol]
            answer = contracts  # type: ignore[assignment]
        answers = {path: answer.body.decode()}
        return Market(f"{symbol}.KRAKEN", product, native, listed, answer.moment, answers)

    async def instruments(self, session: Session, product: Product) -> list[str]:  # noqa: D102
        if product.name == "spot":
            pairs = await session.get(_SPOT_API, "/0/public/AssetPairs", {}, _pairs)
            return [f"{name}.KRAKEN" for name in pairs.content]
        path = "/derivatives/api/v3/instruments"
        contracts = await session.get(_FUTURES_API, path, {}, _contracts)
        return [f"{name}.KRAKEN" for name in contracts.content]

    async def oldest(self, session: Session, market: Market, spec: DataSpec) -> int:  # noqa: D102
        if market.product.name == "futures":
            return market.listed
        if spec.bars:
            step = step_ns(spec.bars) or 0
            # The last of its bars is not finished; it may end one while we ask.
            return (market.now // step - _KEPT_BARS + 3) * step
        first = await self._spot_trades(session, market, 0, lambda _: None)
        return first[0].ts if first else market.now

    def too_early(self, spec: DataSpec) -> str:  # noqa: D102
        if spec.bars and "/" in spec.instrument:
            return (
                f"Of spot pairs it serves the last {_KEPT_BARS} bars only; its trades "
                "('ticks: trades' instead of 'bars') reach back to the first"
            )
        return ""

    async def candles(  # noqa: D102
        self, session: Session, market: Market, bars: str, first: int, last: int
    ) -> dict[int, Candle]:
        step = step_ns(bars) or 0
        code = market.product.bars[bars]
        if market.product.name == "futures":

            def read_futures(answer: Any) -> dict[int, Candle]:
                rows = (
                    (int(row["time"]) * _MS, _numbers(row))
                    for row in answer["candles"]
                    if first <= int(row["time"]) * _MS <= last
                )
                return page_of(rows, first, last, step)

            params = {"from": first // _SECOND, "to": (last + step - 1) // _SECOND}
            path = f"/api/charts/v1/trade/{market.symbol}/{code}"
            return (await session.get(_FUTURES_API, path, params, read_futures)).content

        def read(result: Any) -> dict[int, Candle]:
            # It serves all it has after `since`, and the bar that is not finished.
            rows = (
                (int(row[0]) * _SECOND, (*map(str, row[1:5]), str(row[6])))
                for row in _rows(result)
                if first <= int(row[0]) * _SECOND <= last
            )
            return page_of(rows, first, last, step)

        query = {"pair": market.symbol, "interval": code, "since": first // _SECOND - 1}
        return (await session.get(_SPOT_API, "/0/public/OHLC", query, read)).content

    def walk(self, session: Session, market: Market, interval: Interval) -> Walk:  # noqa: D102
        if market.product.name == "futures":
            return ByOverlap(
                interval,
                lambda after, check: self._futures_trades(session, market, after, check),
                back=_MS,
                size=_PAGE_TRADES,
            )
        return ByOverlap(
            interval,
            lambda after, check: self._spot_trades(session, market, after, check),
            back=_PRINTED,
            size=_PAGE_TRADES,
        )

    async def _spot_trades(
        self, session: Session, market: Market, after: int, check: Check
    ) -> list[Trade]:
        def read(result: Any) -> list[Trade]:
            found = [
                trade(
                    int(Decimal(row[2]).scaleb(9)),
                    row[0],
                    row[1],
                    BUY if row[3] == "b" else SELL,
                    row[6],
                )
                for row in _rows(result)
            ]
            check(found)
            return found

        params = {"pair": market.symbol, "since": max(after, 0), "count": _PAGE_TRADES}
        return (await session.get(_SPOT_API, "/0/public/Trades", params, read)).content

    async def _futures_trades(
        self, session: Session, market: Market, after: int, check: Check
    ) -> list[Trade]:
        since = after // _MS

        def read(answer: Any) -> list[Trade]:
            found = []
            for element in answer["elements"]:
                execution = element["event"]["Execution"]["execution"]
                taker = execution["takerOrder"]["direction"].lower()
                if execution["takerOrder"]["tradeable"] != market.symbol:
                    raise Trouble("it answered with trades of another instrument")
                found.append(
                    trade(
                        int(execution["timestamp"]) * _MS,
                        execution["price"],
                        execution["quantity"],
                        BUY if taker == "buy" else SELL,
                        execution["uid"],
                    )
                )
            # Whether `since` itself is inside is not documented.
            if found and found[0].ts < since * _MS:
                raise Trouble("it answered with trades of another time")
            found = [each for each in found if each.ts > after]
            check(found)
            return found

        path = f"/api/history/v3/market/{market.symbol}/executions"
        params = {"since": since, "sort": "asc", "count": _PAGE_TRADES}
        return (await session.get(_FUTURES_API, path, params, read)).content


def _rows(result: Mapping[str, Any]) -> list[Any]:
    """Return the rows of the one pair that was asked for, whichever of its names they are under."""
    rows: list[Any] = next(value for name, value in result.items() if name != "last")
    return rows


def _numbers(row: Mapping[str, Any]) -> Candle:
    return tuple(str(row[name]) for name in ("open", "high", "low", "close", "volume"))


def _pairs(result: Mapping[str, Any]) -> dict[str, str]:
    """Return Kraken's key of each pair by NautilusTrader's symbol."""
    found = {}
    for key, pair in result.items():
        base, slash, quote = (pair.get("wsname") or "").partition("/")
        if slash:
            found[f"{_RENAMED.get(base, base)}/{_RENAMED.get(quote, quote)}"] = key
    return found


def _contracts(answer: Mapping[str, Any]) -> dict[str, int]:
    """Return when each contract opened."""
    return {
        each["symbol"]: _nanoseconds(each.get("openingDate", "1970-01-01T00:00:00Z"))
        for each in answer["instruments"]
    }


def _nanoseconds(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * _SECOND
