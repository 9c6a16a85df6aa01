"""The exchange: what clients may ask of it, and what a change of prices brings about.

Nothing here knows of sockets. Each request is one piece of work: it is checked, done, written to
the books, told to `told`, and only then does the request return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError
from workbench.venue.books import Books, Work
from workbench.venue.faults import Faults
from workbench.venue.market import Market, Print, Quote, Trade
from workbench.venue.matching import Matcher
from workbench.venue.model import COIN, ZERO, Contract, Order, Refusal, exact, text
from workbench.venue.orders import (
    Draft,
    check_category,
    check_notional,
    contract_of,
    mistake,
    read_change,
    read_draft,
)

MOST_ACTIVE = 500
"""Active orders of one contract."""

MOST_CONDITIONAL = 10
"""Conditional orders of one contract."""


class Exchange:
    """The contracts, their markets, the books, and the rules between them.

    Parameters
    ----------
    contracts
        What is listed, by symbol.
    faults
        Those that bear on orders, and the venue's clock.
    books
        The journal's path, None to keep the books in memory.
    balance, opening
        See `Books`.

    Attributes
    ----------
    told
        Called with every piece of work once it is in the books.
    seen
        Called with a contract whose market has changed, and the trade that changed it if it was
        one, before orders are matched.
    position
        Up to which nanosecond of its data the replay has come.

    """

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        faults: Faults,
        books: Path | None = None,
        *,
        balance: Decimal | None = None,
        opening: Decimal = Decimal(100_000),
    ) -> None:
        self.contracts = dict(contracts)
        self.markets = {symbol: Market(each) for symbol, each in self.contracts.items()}
        self.faults = faults
        self.books = Books(books, self.contracts, self._mark, balance=balance, opening=opening)
        self.told: Callable[[Work], None] = lambda _: None
        self.seen: Callable[[str, Trade | None], None] = lambda _, __: None
        self.position: int | None = self.books.position
        self.by_hand: dict[str, str] = dict(self.books.prices)
        self._matcher = Matcher(self.books, self.markets, faults.now, faults.share)

    def create(self, params: Mapping[str, Any]) -> Order:
        """Place an order.

        Parameters
        ----------
        params
            Those of Bybit's ``/v5/order/create``.

        Raises
        ------
        Refusal
            With Bybit's code.

        """
        with exact():
            check_category(params)
            contract = contract_of(params, self.contracts)
            draft = read_draft(params, contract)
            if draft.link in self.books.links:
                raise Refusal(110072, "OrderLinkedID is duplicate")
            late = self.faults.reject()
            order = self._order(draft)
            work = Work()
            if late is not None:
                order.status, order.reason = "Rejected", late
                self._matcher.tell(work, order)
            elif order.trigger is not None:
                self._check_room(order, MOST_CONDITIONAL, 110009, "stop orders")
                self._check_trigger(order)
                order.status = "Untriggered"
                self._matcher.tell(work, order)
            else:
                self._check_room(order, MOST_ACTIVE, 110020, "active orders")
                self._admit(order)
                self._matcher.enter(work, order)
            self._commit(work)
            return order

    def amend(self, params: Mapping[str, Any]) -> Order:
        """Change an open order; parameters are those of ``/v5/order/amend``.

        Raises
        ------
        Refusal
            With Bybit's code.

        """
        with exact():
            order = self._named(params, "replace")
            change = read_change(params, self.contracts[order.symbol])
            changed = replace(
                order,
                quantity=change.quantity or order.quantity,
                price=change.price or order.price,
                trigger=change.trigger or order.trigger,
            )
            if (order.type == "Market" and change.price) or (
                not order.conditional and change.trigger
            ):
                raise mistake("params error: the order has no such price to change")
            if changed == order:
                raise mistake(
                    "The order remains unchanged as the parameters entered match the existing ones."
                )
            if changed.quantity <= order.filled:
                raise Refusal(
                    110064,
                    "The modified contract quantity cannot be less than or equal to the filled "
                    "quantity.",
                )
            work = Work()
            if order.status == "Untriggered":
                self._check_trigger(changed)
                self._take_over(order, changed)
                self._matcher.tell(work, order)
            else:
                self._check_margin(changed)
                if changed.price != order.price or changed.quantity > order.quantity:
                    changed.rank = self.books.next()  # its place in the queue is lost
                self._take_over(order, changed)
                self._matcher.enter(work, order)
            self._commit(work)
            return order

    def cancel(self, params: Mapping[str, Any]) -> Order:
        """Cancel an open order; parameters are those of ``/v5/order/cancel``.

        Raises
        ------
        Refusal
            With Bybit's code.

        """
        with exact():
            order = self._named(params, "cancel")
            work = Work()
            self._matcher.cancel(
                work, order, cancel_type="CancelByUser", reason="EC_PerCancelRequest"
            )
            self._commit(work)
            return order

    def cancel_all(self, params: Mapping[str, Any]) -> list[Order]:
        """Cancel open orders; parameters are those of ``/v5/order/cancel-all``."""
        with exact():
            check_category(params)
            symbol, coin = params.get("symbol"), params.get("baseCoin")
            if symbol:
                contract_of(params, self.contracts)
            elif not coin and params.get("settleCoin") != COIN:
                raise mistake("params error: symbol, baseCoin or settleCoin is required")
            chosen = params.get("orderFilter")
            work = Work()
            for order in self.books.live():
                contract = self.contracts[order.symbol]
                waits = order.status == "Untriggered"
                if (
                    (symbol and order.symbol != symbol)
                    or (not symbol and coin and contract.base != coin)
                    or (chosen == "Order" and waits)
                    or (chosen == "StopOrder" and not waits)
                ):
                    continue
                self._matcher.cancel(
                    work, order, cancel_type="CancelByUser", reason="EC_PerCancelRequest"
                )
            if work:
                self._commit(work)
            return list(work.orders.values())

    def set_leverage(self, params: Mapping[str, Any]) -> None:
        """Set a contract's leverage; parameters are those of ``/v5/position/set-leverage``."""
        with exact():
            check_category(params)
            contract = contract_of(params, self.contracts)
            wanted = params.get("buyLeverage")
            try:
                leverage = Decimal(str(wanted))
            except ArithmeticError:
                raise mistake("params error: leverage invalid") from None
            if wanted != params.get("sellLeverage") or not leverage.is_finite():
                raise mistake("buy leverage invalid")
            if not 1 <= leverage <= contract.max_leverage:
                raise Refusal(110013, "cannot set leverage due to risk limit")
            account = self.books.account
            before, known = account.leverage(contract.symbol), account.leverages.copy()
            if leverage == before:
                raise Refusal(110043, "leverage not modified")
            account.leverages[contract.symbol] = leverage
            if leverage < before and account.available(self.books.live()) < ZERO:
                account.leverages = known
                raise Refusal(110012, "Insufficient available balance.")
            self._commit(Work(leverages={contract.symbol: leverage}))

    def play(self, symbol: str, what: Quote | Print) -> None:
        """Play a quote or a trade: show it, then fill the orders it reaches."""
        with exact():
            market = self.markets[symbol]
            done = None
            if isinstance(what, Quote):
                market.quote(what)
            else:
                done = market.trade(what, self.faults.now())
            self.seen(symbol, done)
            self._moved(symbol)

    def set_price(self, symbol: str, what: Quote | Print) -> None:
        """Play a price that was set by hand: it stands, over a restart too, until the next."""
        self.play(symbol, what)
        last = self.markets[symbol].last
        if last is not None:
            self.by_hand[symbol] = str(last)
            self.note()

    def note(self) -> None:
        """Note in the books where the replay is; a full disk costs no more than the note."""
        with suppress(DataError):
            self.books.note(self.position, self.by_hand)

    def _mark(self, symbol: str) -> Decimal | None:
        return self.markets[symbol].mark if symbol in self.markets else None

    def _moved(self, symbol: str) -> None:
        work = Work()
        self._matcher.move(work, symbol)
        if work:
            try:
                self._commit(work)
            except Refusal:
                return  # the books are as before the price moved; the next move tries again

    def _commit(self, work: Work) -> None:
        try:
            self.books.commit(work, self.position)
        except DataError:
            self.books.reload()
            raise Refusal(10016, "Server error.") from None
        self.told(work)

    def _named(self, params: Mapping[str, Any], what: str) -> Order:
        """Return the open order a request names."""
        check_category(params)
        contract = contract_of(params, self.contracts)
        name, link = params.get("orderId"), params.get("orderLinkId")
        if not name and not link:
            raise mistake("params error: orderId or orderLinkId is required")
        order = self.books.find(str(name or ""), str(link or ""))
        if order is None or not order.open or order.symbol != contract.symbol:
            raise Refusal(110001, f"order not exists or too late to {what}")
        return order

    def _order(self, draft: Draft) -> Order:
        now, market = self.faults.now(), self.markets[draft.symbol]
        return Order(
            id=self.books.name(), link=draft.link, symbol=draft.symbol, side=draft.side,
            type=draft.type, quantity=draft.quantity, price=draft.price, tif=draft.tif,
            created=now, updated=now, rank=self.books.next(),
            reduce_only=draft.reduce_only or (draft.close_on_trigger and draft.trigger is None),
            close_on_trigger=draft.close_on_trigger, trigger=draft.trigger,
            direction=draft.direction, trigger_by=draft.trigger_by, last_price=market.last,
        )  # fmt: skip

    def _check_room(self, order: Order, most: int, code: int, what: str) -> None:
        kin = self.books.open[order.symbol].values()
        if sum(each.active != (order.trigger is not None) for each in kin) >= most:
            raise Refusal(code, f"Not allowed to have more than {most} {what}.")

    def _check_trigger(self, order: Order) -> None:
        """Refuse a trigger that the price has reached already."""
        price = self.markets[order.symbol].price(order.trigger_by)
        if price is None or order.trigger is None:
            return
        told = f"trigger_price[{text(order.trigger)}]"
        if order.direction == 1 and order.trigger <= price:
            raise Refusal(110092, f"expect Rising, but {told} <= current[{text(price)}]??laste")
        if order.direction == 2 and order.trigger >= price:
            raise Refusal(110093, f"expect Falling, but {told} >= current[{text(price)}]??laste")

    def _admit(self, order: Order) -> None:
        """Check what an order that is to meet the market needs of the account."""
        if order.reduce_only:
            size = self.books.account.positions[order.symbol].size
            if not size or (size > 0) == order.buys:
                raise Refusal(110017, "current position is zero, cannot fix reduce-only order qty")
            order.quantity = min(order.quantity or abs(size), abs(size))
            return
        if order.price is None:
            price = self.markets[order.symbol].best(order.side)
            if price is None:
                raise Refusal(
                    110118, "Unable to retrieve a price of the market order due to low liquidity"
                )
            check_notional(self.contracts[order.symbol], order.quantity, price)
        self._check_margin(order)

    def _check_margin(self, order: Order) -> None:
        """Refuse an order, or a change of one, whose margin the account cannot pay."""
        account, live = self.books.account, self.books.live()
        others = [each for each in live if each.id != order.id]
        grows = account.order_margin(order.symbol, [*others, order]) > account.order_margin(
            order.symbol, live
        )
        if grows and account.available([*others, order]) < ZERO:
            raise Refusal(110007, "ab not enough for new order")

    def _take_over(self, order: Order, changed: Order) -> None:
        order.quantity, order.price = changed.quantity, changed.price
        order.trigger, order.rank = changed.trigger, changed.rank
