"""Bybit's v5 market data: the REST endpoints anybody may ask, and the topics of the socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from workbench.venue import documents
from workbench.venue.commands import Answer
from workbench.venue.exchange import Exchange
from workbench.venue.faults import Faults
from workbench.venue.market import Market, Trade
from workbench.venue.model import text
from workbench.venue.orders import CATEGORY, contract_of, mistake
from workbench.venue.replay import Candlestick, Chart
from workbench.venue.rest import Params, whole
from workbench.venue.sockets import Document, Hub

INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")

_DEPTHS = (1, 50, 200, 500, 1000)


class Public:
    """The endpoints that need no signature.

    Attributes
    ----------
    get
        Handlers by path.

    """

    def __init__(
        self, exchange: Exchange, charts: Mapping[tuple[str, str], Chart], faults: Faults
    ) -> None:
        self._exchange, self._charts, self._faults = exchange, charts, faults
        self.get: dict[str, Callable[[Params], Answer]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/kline": self._kline,
            "/v5/market/recent-trade": self._trades,
            "/v5/market/orderbook": self._book,
            "/v5/market/tickers": self._tickers,
            "/v5/market/funding/history": self._funding,
        }

    def _time(self, params: Params) -> Answer:
        del params
        now = self._faults.now()
        nanos = now * 10**6 + time.time_ns() % 10**6
        return Answer({"timeSecond": str(now // 1000), "timeNano": str(nanos)})

    def _instruments(self, params: Params) -> Answer:
        """Every contract is listed as linear; the other categories are empty."""
        contracts = sorted(self._exchange.contracts.values(), key=lambda each: each.symbol)
        found = [
            each
            for each in contracts
            if _category(params) == CATEGORY
            and params.get("symbol") in (None, "", each.symbol)
            and params.get("baseCoin") in (None, "", each.base)
            and params.get("status") in (None, "", "Trading")
        ]
        limit = min(max(whole(params, "limit") or 500, 1), 1000)
        start = whole(params, "cursor") or 0
        following = str(start + limit) if start + limit < len(found) else ""
        page = [documents.instrument(each) for each in found[start : start + limit]]
        return Answer({"category": _category(params), "list": page, "nextPageCursor": following})

    def _kline(self, params: Params) -> Answer:
        market = self._market(params)
        interval = params.get("interval")
        if interval not in INTERVALS:
            raise mistake(f"params error: interval invalid: {str(interval)[:20]}")
        start, end = whole(params, "start"), whole(params, "end")
        limit = whole(params, "limit")
        limit = min(max(200 if limit is None else limit, 1), 1000)
        symbol = market.contract.symbol
        chart = self._charts.get((symbol, str(interval)))
        candles = chart.between(start, end, limit) if chart else []
        rows = [[str(begins), *numbers, _turnover(numbers)] for begins, numbers in candles]
        return Answer({"category": CATEGORY, "symbol": symbol, "list": rows})

    def _trades(self, params: Params) -> Answer:
        market = self._market(params)
        limit = min(max(whole(params, "limit") or 500, 1), 1000)
        symbol = market.contract.symbol
        latest = list(market.trades)[-limit:][::-1]
        found = [documents.recent_trade(trade, symbol) for trade in latest]
        return Answer({"category": CATEGORY, "list": found})

    def _book(self, params: Params) -> Answer:
        market = self._market(params)
        limit = min(max(whole(params, "limit") or 25, 1), 500)
        now = self._faults.now()
        return Answer(documents.book(market, limit) | {"ts": now, "cts": now})

    def _tickers(self, params: Params) -> Answer:
        now = self._faults.now()
        if params.get("symbol"):
            markets = [self._market(params)]
        else:
            markets = list(self._exchange.markets.values()) * (_category(params) == CATEGORY)
        found = [documents.ticker(market, now) for market in markets]
        return Answer({"category": _category(params), "list": found})

    def _funding(self, params: Params) -> Answer:
        self._market(params)
        return Answer({"category": CATEGORY, "list": []})  # the practice venue charges none

    def _market(self, params: Params) -> Market:
        if _category(params) != CATEGORY:
            raise mistake(f"the practice venue lists linear contracts only: {_category(params)}")
        return self._exchange.markets[contract_of(params, self._exchange.contracts).symbol]


class Broadcast:
    """Publishes what happens in the markets to the public sockets."""

    def __init__(self, exchange: Exchange, hub: Hub, faults: Faults) -> None:
        self._exchange, self._hub, self._faults = exchange, hub, faults
        self._shown: dict[str, float] = {}

    def book(self, symbol: str) -> None:
        """Publish a contract's order book and ticker."""
        for depth in _DEPTHS:
            self._publish(f"orderbook.{depth}.{symbol}", depth)
        self._publish(f"tickers.{symbol}")

    def trade(self, symbol: str, trade: Trade) -> None:
        """Publish a trade."""
        topic = f"publicTrade.{symbol}"
        self._hub.publish(
            topic,
            lambda: self._envelope(topic, [documents.public_trade(trade, symbol)]),
        )

    def candle(self, symbol: str, interval: str, step: int, candle: Candlestick) -> None:
        """Publish a bar that has closed; `step` is its length in milliseconds."""
        topic = f"kline.{interval}.{symbol}"
        begins, numbers = candle
        names = ("open", "high", "low", "close", "volume")
        bar = {
            "start": begins,
            "end": begins + step - 1,
            "interval": interval,
            **dict(zip(names, numbers, strict=True)),
            "turnover": _turnover(numbers),
            "confirm": True,
            "timestamp": self._faults.now(),
        }
        self._hub.publish(topic, lambda: self._envelope(topic, [bar]))

    def welcome(self, topic: str) -> None:
        """Publish the present state of a topic to all who listen, for one who has just come."""
        name, _, rest = topic.partition(".")
        if name == "tickers":
            self._publish(topic)
        elif name == "orderbook":
            self._publish(topic, int(rest.partition(".")[0]))

    def repeat(self) -> None:
        """Publish once more what has not changed for three seconds, as Bybit does with level 1."""
        for topic in self._hub.topics():
            if topic.startswith(("orderbook.1.", "tickers.")):
                when = self._shown.get(topic, 0.0)
                if time.monotonic() - when >= 3.0:
                    self.welcome(topic)

    def _publish(self, topic: str, depth: int = 0) -> None:
        if not self._hub.heard(topic):
            return
        market = self._exchange.markets[topic.rpartition(".")[2]]
        if market.last is None and not market.bids and not market.asks:
            return  # nothing is known yet
        self._shown[topic] = time.monotonic()
        now = self._faults.now()
        content: Any = documents.book(market, depth) if depth else documents.ticker(market, now)
        more = {"cts": now} if depth else {"cs": market.update}
        self._hub.publish(topic, lambda: self._envelope(topic, content) | more)

    def _envelope(self, topic: str, content: Any) -> Document:
        return {"topic": topic, "type": "snapshot", "ts": self._faults.now(), "data": content}


def _category(params: Params) -> str:
    category = params.get("category", CATEGORY)
    if category not in ("linear", "spot", "inverse", "option"):
        raise mistake(f"params error: category invalid: {str(category)[:20]}")
    return str(category)


def _turnover(numbers: tuple[str, ...]) -> str:
    return text(Decimal(numbers[3]) * Decimal(numbers[4]))
