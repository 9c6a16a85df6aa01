"""OKX: spot pairs, swaps and futures.

Sources: https://www.okx.com/docs-v5/en/ "Get candlesticks history" (300 bars an answer, 20 requests
in 2 s; days and weeks open at midnight in Hong Kong unless the code ends in ``utc``), "Get trades
history" (100 trades an answer, 20 requests in 2 s, the last three months), "Get instruments".
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
from workbench.data.exchanges.walks import Backwards, Check, Trade, Walk, trade
from workbench.data.gaps import step_ns
from workbench.data.intervals import Interval
from workbench.study.datasets import DataSpec

_MS = 10**6
_DAY = 86_400 * 10**9
_KEPT_DAYS = 90
_PAGE_TRADES = 100
_CODES = {
    "1-SECOND": "1s",
    "1-MINUTE": "1m", "3-MINUTE": "3m", "5-MINUTE": "5m", "15-MINUTE": "15m", "30-MINUTE": "30m",
    "1-HOUR": "1H", "2-HOUR": "2H", "4-HOUR": "4H", "6-HOUR": "6Hutc", "12-HOUR": "12Hutc",
    "1-DAY": "1Dutc", "1-WEEK": "1Wutc",
}  # fmt: skip
_BARS = {f"{bars}-LAST": code for bars, code in _CODES.items()}
# https://www.okx.com/docs-v5/en/#error-code
_TOO_MANY = {"50011", "50061"}
_TROUBLE = {"50001", "50004", "50013", "50026"}
_UNKNOWN = {"51001", "51000"}


def _decode(status: int, _: Mapping[str, str], body: bytes) -> Any:
    answer = parsed(body)
    code = str(answer["code"])
    reason = f"{answer.get('msg') or f'status {status}'} (code {code})"
    if code in _TOO_MANY:
        raise TooMany(reason)
    if code in _TROUBLE:
        raise Trouble(reason)
    if code != "0":
        raise Refused(reason, code)
    return answer["data"]


_API = Service("okx", "WORKBENCH_URL_OKX", "https://www.okx.com", Limit(18, 2.0), _decode)


class OKXProvider(ExchangeProvider):
    """History of OKX."""

    name: ClassVar[str] = "okx"
    venue: ClassVar[str] = "OKX"
    products: ClassVar[tuple[Product, ...]] = (
        Product("SPOT", _API, _BARS, 300, "BTC-USDT.OKX"),
        Product("SWAP", _API, _BARS, 300, "BTC-USDT-SWAP.OKX"),
        Product("FUTURES", _API, _BARS, 300, "BTC-USD-261225.OKX"),
    )

    def route(self, symbol: str) -> tuple[Product, str]:  # noqa: D102
        spot, swap, futures = self.products
        parts = symbol.split("-")
        if len(parts) == 2:
            return spot, symbol
        if len(parts) == 3 and parts[2] == "SWAP":
            return swap, symbol
        if len(parts) == 3 and len(parts[2]) == 6 and parts[2].isdigit():
            return futures, symbol
        if parts[-1] in ("C", "P"):
            raise ValueError("okx serves no history of options")
        raise ValueError(
            f"'{symbol}' is no instrument of okx: BASE-QUOTE, BASE-QUOTE-SWAP or BASE-QUOTE-YYMMDD,"
            " as in BTC-USDT-SWAP.OKX"
        )

    async def listing(self, session: Session, product: Product, symbol: str) -> Market | None:  # noqa: D102
        path = "/api/v5/public/instruments"
        params = {"instType": product.name, "instId": symbol}
        try:
            answer = await session.get(_API, path, params, list)
        except Refused as error:
            if error.code in _UNKNOWN:
                return None
            raise
        found = [each for each in answer.content if each["instId"] == symbol]
        if not found:
            return None
        listed = int(found[0].get("listTime") or 0) * _MS
        text = answer.body.decode()
        return Market(f"{symbol}.OKX", product, symbol, listed, answer.moment, {path: text})

    async def instruments(self, session: Session, product: Product) -> list[str]:  # noqa: D102
        params = {"instType": product.name}
        answer = await session.get(_API, "/api/v5/public/instruments", params, list)
        return [f"{each['instId']}.OKX" for each in answer.content]

    async def oldest(self, session: Session, market: Market, spec: DataSpec) -> int:  # noqa: ARG002, D102
        if spec.ticks or (spec.bars and "SECOND" in spec.bars):
            return max(market.listed, (market.now // _DAY - _KEPT_DAYS) * _DAY)
        return market.listed

    def too_early(self, spec: DataSpec) -> str:  # noqa: D102
        if spec.ticks:
            return f"It keeps trades for {_KEPT_DAYS} days; 'tardis' has older ones"
        return ""

    async def candles(  # noqa: D102
        self, session: Session, market: Market, bars: str, first: int, last: int
    ) -> dict[int, Candle]:
        step = step_ns(bars) or 0

        def read(rows: list[list[str]]) -> dict[int, Candle]:
            # The last of a row is "1" once the bar is complete.
            finished = ((int(row[0]) * _MS, tuple(row[1:6])) for row in rows if row[8] == "1")
            return page_of(finished, first, last, step)

        params = {
            "instId": market.symbol,
            "bar": market.product.bars[bars],
            "after": last // _MS + 1,  # older than
            "before": first // _MS - 1,  # newer than
            "limit": 300,
        }
        path = "/api/v5/market/history-candles"
        return (await session.get(_API, path, params, read)).content

    def walk(self, session: Session, market: Market, interval: Interval) -> Walk:  # noqa: D102
        async def page(kind: int, after: int | str, check: Check) -> list[Trade]:
            def read(rows: list[dict[str, str]]) -> list[Trade]:
                if any(row["instId"] != market.symbol for row in rows):
                    raise Trouble("it answered with trades of another instrument")
                found = [
                    trade(
                        int(row["ts"]) * _MS,
                        row["px"],
                        row["sz"],
                        BUY if row["side"] == "buy" else SELL,
                        row["tradeId"],
                    )
                    for row in rows
                ]
                check(found)
                return found

            params = {
                "instId": market.symbol, "type": kind, "after": after, "limit": _PAGE_TRADES
            }  # fmt: skip
            return (await session.get(_API, "/api/v5/market/history-trades", params, read)).content

        return Backwards(
            interval,
            until=lambda moment, check: page(2, moment // _MS + 1, check),
            before=lambda older, check: page(1, older, check),
        )
