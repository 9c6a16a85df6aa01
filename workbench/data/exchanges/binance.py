"""Binance: spot pairs, and contracts settled in a stablecoin (USD-M) or in the coin (COIN-M).

Sources: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (klines: 1,000 bars,
weight 2; aggTrades: 1,000, weight 4; 6,000 weight a minute; ``Retry-After`` with 429 and 418),
/docs/derivatives/usds-margined-futures/market-data/rest-api and the same of coin-margined-futures
(klines: 1,500, weight 10 above 1,000 bars, 5 above 499; COIN-M spans of 200 days; aggTrades: weight
20, a year back, spans of less than an hour; 2,400 weight a minute).

Trades are Binance's aggregate trades: fills of one taker's order at one price count as one. Their
ids follow one another without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from workbench.data.exchanges.walks import ByIds, Check, Trade, Walk, trade
from workbench.data.gaps import step_ns
from workbench.data.intervals import Interval
from workbench.study.datasets import DataSpec

_MS = 10**6
_DAY = 86_400 * 10**9
_KEPT_DAYS = 365  # of trades of contracts
_SPAN = 199 * _DAY  # of bars of COIN-M contracts in an answer
_PAGE_TRADES = 1000
_CODES = {
    "1-MINUTE": "1m", "3-MINUTE": "3m", "5-MINUTE": "5m", "15-MINUTE": "15m", "30-MINUTE": "30m",
    "1-HOUR": "1h", "2-HOUR": "2h", "4-HOUR": "4h", "6-HOUR": "6h", "8-HOUR": "8h",
    "12-HOUR": "12h", "1-DAY": "1d", "1-WEEK": "1w",
}  # fmt: skip
_BARS = {f"{bars}-LAST": code for bars, code in _CODES.items()}
_SPOT_BARS = {"1-SECOND-LAST": "1s"} | _BARS
# https://developers.binance.com/docs/binance-spot-api-docs/errors
_TOO_MANY = {-1003, -1008}
_TROUBLE = {-1000, -1001, -1006, -1007, -1016}
_UNKNOWN = "-1121"


def _decode(status: int, _: Mapping[str, str], body: bytes) -> Any:
    answer = parsed(body)
    if status == 200:
        return answer
    code = answer["code"]
    reason = f"{answer['msg']} (code {code})"
    if code in _TOO_MANY:
        raise TooMany(reason)
    if code in _TROUBLE:
        raise Trouble(reason)
    raise Refused(reason, str(code))


_USED = "X-MBX-USED-WEIGHT-1M"
_SPOT = Service(
    "binance", "WORKBENCH_URL_BINANCE", "https://api.binance.com", Limit(4800, 60.0), _decode, _USED
)
_USD = Service(
    "binance futures", "WORKBENCH_URL_BINANCE_FUTURES", "https://fapi.binance.com",
    Limit(1900, 60.0), _decode, _USED,
)  # fmt: skip
_COIN = Service(
    "binance coin futures", "WORKBENCH_URL_BINANCE_FUTURES", "https://dapi.binance.com",
    Limit(1900, 60.0), _decode, _USED,
)  # fmt: skip
_PATHS = {"SPOT": "/api/v3", "USD_M": "/fapi/v1", "COIN_M": "/dapi/v1"}


class BinanceProvider(ExchangeProvider):
    """History of Binance."""

    name: ClassVar[str] = "binance"
    venue: ClassVar[str] = "BINANCE"
    products: ClassVar[tuple[Product, ...]] = (
        Product("SPOT", _SPOT, _SPOT_BARS, 1000, "BTCUSDT.BINANCE"),
        Product("USD_M", _USD, _BARS, 1000, "BTCUSDT-PERP.BINANCE"),
        Product("COIN_M", _COIN, _BARS, 1000, "BTCUSD_PERP.BINANCE"),
    )

    def route(self, symbol: str) -> tuple[Product, str]:  # noqa: D102
        spot, usd, coin = self.products
        pair, underscore, _ = symbol.partition("_")
        if symbol.endswith("-PERP"):
            return usd, symbol.removesuffix("-PERP")
        if "-" in symbol or "/" in symbol:
            raise ValueError(
                f"'{symbol}' is no instrument of binance: BTCUSDT.BINANCE is the spot pair, "
                "BTCUSDT-PERP.BINANCE and BTCUSD_PERP.BINANCE are perpetuals"
            )
        if not underscore:
            return spot, symbol
        return (coin if pair.endswith("USD") else usd), symbol

    async def listing(self, session: Session, product: Product, symbol: str) -> Market | None:  # noqa: D102
        path = f"{_PATHS[product.name]}/exchangeInfo"
        spot = product.name == "SPOT"
        params = {"symbol": symbol} if spot else {}
        weight = 20 if spot else 1
        try:
            answer = await session.get(product.service, path, params, _symbols, weight=weight)
        except Refused as error:
            if error.code == _UNKNOWN:
                return None
            raise
        if symbol not in answer.content:
            return None
        listed = answer.content[symbol]
        if spot:  # it does not tell: its first bar
            klines = await session.get(
                product.service, "/api/v3/klines",
                {"symbol": symbol, "interval": "1m", "startTime": 0, "limit": 1},
                _first_open, weight=2,
            )  # fmt: skip
            listed = klines.content or answer.moment
        instrument = _id(product, symbol)
        answers = {path: answer.body.decode()}
        return Market(instrument, product, symbol, listed, answer.moment, answers)

    async def instruments(self, session: Session, product: Product) -> list[str]:  # noqa: D102
        path = f"{_PATHS[product.name]}/exchangeInfo"
        answer = await session.get(product.service, path, {}, _symbols, weight=20)
        return [_id(product, symbol) for symbol in answer.content]

    async def oldest(self, session: Session, market: Market, spec: DataSpec) -> int:  # noqa: ARG002, D102
        if spec.ticks and market.product.name != "SPOT":
            return max(market.listed, (market.now // _DAY - _KEPT_DAYS + 1) * _DAY)
        return market.listed

    def too_early(self, spec: DataSpec) -> str:  # noqa: D102
        if spec.ticks:
            return "Of contracts it keeps trades for a year; 'tardis' has older ones"
        return ""

    async def candles(  # noqa: D102
        self, session: Session, market: Market, bars: str, first: int, last: int
    ) -> dict[int, Candle]:
        step = step_ns(bars) or 0

        def read(rows: list[list[Any]]) -> dict[int, Candle]:
            return page_of(((int(row[0]) * _MS, tuple(row[1:6])) for row in rows), begin, end, step)

        found: dict[int, Candle] = {}
        path = f"{_PATHS[market.product.name]}/klines"
        for begin in range(first, last + 1, _SPAN // step * step or step):
            end = min(begin + _SPAN // step * step - step, last)
            params = {
                "symbol": market.symbol,
                "interval": market.product.bars[bars],
                "startTime": begin // _MS,
                "endTime": (end + step - 1) // _MS,
                "limit": 1000,
            }
            weight = 2 if market.product.name == "SPOT" else 5
            answer = await session.get(market.product.service, path, params, read, weight=weight)
            found |= answer.content
        return found

    def walk(self, session: Session, market: Market, interval: Interval) -> Walk:  # noqa: D102
        path = f"{_PATHS[market.product.name]}/aggTrades"
        weight = 4 if market.product.name == "SPOT" else 20

        async def page(params: Mapping[str, int], check: Check) -> list[Trade]:
            def read(rows: list[dict[str, Any]]) -> list[Trade]:
                found = [
                    trade(
                        int(row["T"]) * _MS,
                        row["p"],
                        row["q"],
                        SELL if row["m"] else BUY,  # the buyer was the maker
                        row["a"],
                    )
                    for row in rows
                ]
                check(found)
                return found

            query = {"symbol": market.symbol, **params}
            service = market.product.service
            return (await session.get(service, path, query, read, weight=weight)).content

        return ByIds(
            interval,
            between=lambda first, last, check: page(
                {"startTime": -(-first // _MS), "endTime": last // _MS, "limit": 1}, check
            ),
            since=lambda first, check: page({"fromId": first, "limit": _PAGE_TRADES}, check),
            name=market.instrument,
        )


def _id(product: Product, symbol: str) -> str:
    perpetual = product.name == "USD_M" and "_" not in symbol
    return f"{symbol}-PERP.BINANCE" if perpetual else f"{symbol}.BINANCE"


def _first_open(rows: list[list[Any]]) -> int:
    if len(rows) > 1:
        raise Trouble("it answered with more bars than asked for")
    return int(rows[0][0]) * _MS if rows else 0


def _symbols(info: Mapping[str, Any]) -> dict[str, int]:
    """Return since when each symbol is listed, 0 where that is not told."""
    return {each["symbol"]: int(each.get("onboardDate") or 0) * _MS for each in info["symbols"]}
