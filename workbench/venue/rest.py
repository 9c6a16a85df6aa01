"""Bybit's v5 REST endpoints that concern an account: orders, executions, positions, wallet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workbench.venue import documents
from workbench.venue.auth import Keys
from workbench.venue.commands import Answer, Commands
from workbench.venue.exchange import Exchange
from workbench.venue.faults import Faults
from workbench.venue.model import COIN, Execution, Order, Refusal
from workbench.venue.orders import CATEGORY, check_category, contract_of, mistake

type Params = Mapping[str, Any]
type Handler = Callable[[Params], Answer]

_WEEK = 7 * 86_400_000


class Private:
    """The endpoints that need a signature.

    Attributes
    ----------
    get, post
        Handlers by path.

    """

    def __init__(self, exchange: Exchange, commands: Commands, keys: Keys, faults: Faults) -> None:
        self._exchange, self._keys, self._faults = exchange, keys, faults
        self.get: dict[str, Handler] = {
            "/v5/order/realtime": self._realtime,
            "/v5/order/history": self._history,
            "/v5/execution/list": self._executions,
            "/v5/position/list": self._positions,
            "/v5/account/wallet-balance": self._wallet,
            "/v5/account/info": self._account,
            "/v5/account/fee-rate": self._fees,
            "/v5/user/query-api": self._key,
        }
        self.post: dict[str, Handler] = {
            "/v5/order/cancel-all": self._cancel_all,
            "/v5/position/set-leverage": self._leverage,
            "/v5/position/switch-mode": self._mode,
            "/v5/account/set-margin-mode": self._margin_mode,
        }
        for verb in ("create", "amend", "cancel"):
            for form in (verb, f"{verb}-batch"):
                self.post[f"/v5/order/{form}"] = _command(commands, f"order.{form}")

    def _realtime(self, params: Params) -> Answer:
        check_category(params)
        _need_scope(params)
        if params.get("orderId") or params.get("orderLinkId"):
            orders = self._named(params)
        elif params.get("openOnly") == "1":
            orders = self._closed()[:500]
        else:
            orders = sorted(self._exchange.books.live(), key=_newest)
        orders = [each for each in orders if self._chosen(each, params)]
        return self._page(orders, params, 20, 50, documents.order)

    def _history(self, params: Params) -> Answer:
        check_category(params)
        if params.get("orderId") or params.get("orderLinkId"):
            orders = [each for each in self._named(params) if not each.open]
        else:
            first, last = self._span(params)
            orders = [each for each in self._closed() if first <= each.updated <= last]
        status = params.get("orderStatus")
        orders = [
            each
            for each in orders
            if self._chosen(each, params) and status in (None, "", each.status)
        ]
        return self._page(orders, params, 20, 50, documents.order)

    def _executions(self, params: Params) -> Answer:
        check_category(params)
        found: Iterable[Execution] = reversed(self._exchange.books.executions)
        if name := params.get("orderId"):
            found = (each for each in found if each.order == name)
        elif link := params.get("orderLinkId"):
            found = (each for each in found if each.link == link)
        else:
            first, last = self._span(params)
            found = (each for each in found if first <= each.time <= last)
            found = (each for each in found if self._belongs(each.symbol, params))
        if params.get("execType") not in (None, "", "Trade"):
            found = ()
        return self._page(list(found), params, 50, 100, documents.execution)

    def _positions(self, params: Params) -> Answer:
        check_category(params)
        account = self._exchange.books.account
        if params.get("symbol"):
            symbols = [contract_of(params, self._exchange.contracts).symbol]
        elif params.get("settleCoin"):
            held = account.positions.items()
            symbols = [symbol for symbol, each in held if each.size]
            symbols = [symbol for symbol in symbols if self._belongs(symbol, params)]
        else:
            raise mistake("params error: symbol or settleCoin is required")
        return self._page(
            symbols, params, 20, 200, lambda symbol: documents.position(account, symbol)
        )

    def _wallet(self, params: Params) -> Answer:
        if params.get("accountType") != "UNIFIED":
            raise mistake("accountType only support UNIFIED.")
        books = self._exchange.books
        wallet = documents.wallet(books.account, books.live())
        wanted = [coin for coin in str(params.get("coin") or "").split(",") if coin]
        if wanted and COIN not in wanted:
            wallet["coin"] = []
        return Answer({"list": [wallet]})

    def _account(self, params: Params) -> Answer:
        del params
        return Answer(
            {
                "unifiedMarginStatus": 5,
                "marginMode": "REGULAR_MARGIN",
                "isMasterTrader": False,
                "spotHedgingStatus": "OFF",
                "updatedTime": "0",
                "dcpStatus": "OFF",
                "timeWindow": 10,
                "smpGroup": 0,
            }
        )

    def _fees(self, params: Params) -> Answer:
        contracts = self._exchange.contracts.values()
        if params.get("category", CATEGORY) != CATEGORY:
            contracts = {}.values()
        rates = [
            {
                "symbol": each.symbol,
                "baseCoin": "",
                "takerFeeRate": f"{each.taker:f}",
                "makerFeeRate": f"{each.maker:f}",
            }
            for each in contracts
            if params.get("symbol") in (None, "", each.symbol)
        ]
        return Answer({"category": CATEGORY, "list": rates})

    def _key(self, params: Params) -> Answer:
        del params
        return Answer(
            {
                "id": "1",
                "note": "practice",
                "apiKey": self._keys.key,
                "readOnly": 0,
                "secret": "",
                "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []},
                "ips": ["*"],
                "type": 1,
                "deadlineDay": 90,
                "expiredAt": "2099-01-01T00:00:00Z",
                "createdAt": "2020-01-01T00:00:00Z",
                "unified": 0,
                "uta": 1,
                "userID": 1,
                "inviterID": 0,
                "vipLevel": "No VIP",
                "mktMakerLevel": "0",
                "affiliateID": 0,
                "rsaPublicKey": "",
                "isMaster": True,
                "parentUid": "0",
                "kycLevel": "LEVEL_DEFAULT",
                "kycRegion": "",
            }
        )

    def _cancel_all(self, params: Params) -> Answer:
        cancelled = self._exchange.cancel_all(params)
        named = [{"orderId": each.id, "orderLinkId": each.link} for each in cancelled]
        return Answer({"list": named, "success": "1"})

    def _leverage(self, params: Params) -> Answer:
        self._exchange.set_leverage(params)
        return Answer({})

    def _mode(self, params: Params) -> Answer:
        check_category(params)
        if params.get("mode") not in (0, "0"):
            raise Refusal(110029, "Hedge mode is not supported for this symbol.")
        raise Refusal(110025, "Position mode has not been modified.")

    def _margin_mode(self, params: Params) -> Answer:
        if params.get("setMarginMode") != "REGULAR_MARGIN":
            raise Refusal(110073, "the practice venue has cross margin only (REGULAR_MARGIN)")
        return Answer({"reasons": []})

    def _named(self, params: Params) -> list[Order]:
        name, link = params.get("orderId"), params.get("orderLinkId")
        order = self._exchange.books.find(name or None, link or None)
        return [] if order is None else [order]

    def _closed(self) -> list[Order]:
        orders = self._exchange.books.orders.values()
        return sorted((each for each in orders if not each.open), key=_newest)

    def _chosen(self, order: Order, params: Params) -> bool:
        chosen = params.get("orderFilter")
        if chosen == "StopOrder" and not order.conditional:
            return False
        if chosen == "Order" and order.status == "Untriggered":
            return False
        return chosen in (None, "", "Order", "StopOrder") and self._belongs(order.symbol, params)

    def _belongs(self, symbol: str, params: Params) -> bool:
        """Whether a contract is among those a request asks for."""
        if wanted := params.get("symbol"):
            return bool(wanted == symbol)
        if coin := params.get("baseCoin"):
            return bool(coin == symbol.removesuffix(COIN))
        return params.get("settleCoin") in (None, "", COIN)

    def _span(self, params: Params) -> tuple[int, int]:
        start, end = whole(params, "startTime"), whole(params, "endTime")
        if start is None and end is None:
            # A week is what Bybit returns; a moment of the future is none of a clock that is off.
            now = self._faults.now()
            return now - _WEEK, now + _WEEK
        if start is None:
            assert end is not None
            return end - _WEEK, end
        if end is None:
            return start, start + _WEEK
        if not start <= end <= start + _WEEK:
            raise mistake("params error: endTime - startTime must be from 0 to 7 days")
        return start, end

    def _page[T](
        self,
        items: list[T],
        params: Params,
        usual: int,
        most: int,
        written: Callable[[T], dict[str, Any]],
    ) -> Answer:
        """Answer with a page of a list; the cursor is the place of the next."""
        limit = whole(params, "limit")
        limit = min(max(usual if limit is None else limit, 1), most)
        start = whole(params, "cursor") or 0
        following = str(start + limit) if start + limit < len(items) else ""
        page = [written(each) for each in items[start : start + limit]]
        return Answer({"category": CATEGORY, "list": page, "nextPageCursor": following})


def whole(params: Params, name: str) -> int | None:
    """Return a parameter that is a whole number of at least 0, None where there is none."""
    value = params.get(name)
    if value in (None, ""):
        return None
    digits = str(value)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise mistake(f"params error: {name} invalid: {digits[:40]}")
    return int(digits)


def read_body(body: str) -> dict[str, Any]:
    """Read the body of a POST.

    Raises
    ------
    Refusal
        If it is no JSON object.

    """
    try:
        params = json.loads(body)
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise mistake("params error: the body must be a JSON object")
    return params


def _command(commands: Commands, name: str) -> Handler:
    return lambda params: commands.run(name, params)


def _need_scope(params: Params) -> None:
    names = ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId")
    if not any(params.get(name) for name in names):
        raise mistake("params error: symbol, baseCoin or settleCoin is required")


def _newest(order: Order) -> tuple[int, int]:
    return -order.created, -order.rank
