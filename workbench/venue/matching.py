"""Matching orders against the played market.

An order that takes is filled at the displayed prices, as far as they are displayed. A limit order
that rests is filled at its own price once the other side of the book has come to it. Conditional
orders become ordinary ones when the price they look at reaches their trigger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from workbench.venue.books import Books, Work
from workbench.venue.market import Market
from workbench.venue.model import CENT, ZERO, Execution, Order


class Matcher:
    """Fills orders.

    Parameters
    ----------
    books
        Where orders and the account are.
    markets
        By symbol.
    now
        The venue's clock, UNIX milliseconds.
    share
        Returns which share of an order may fill at once: 1, unless a fault says otherwise.

    """

    def __init__(
        self,
        books: Books,
        markets: Mapping[str, Market],
        now: Callable[[], int],
        share: Callable[[], Decimal],
    ) -> None:
        self._books, self._markets, self._now, self._share = books, markets, now, share

    def enter(self, work: Work, order: Order) -> None:
        """Let an order meet the market: it takes what it can and rests, or is cancelled."""
        market = self._markets[order.symbol]
        ready = market.available(order.side, order.price)
        if order.tif == "PostOnly" and ready:
            self.cancel(work, order, reason="EC_PostOnlyWillTakeLiquidity")
            return
        if order.tif == "FOK" and ready < order.leaves:
            self.cancel(work, order, reason="EC_NoImmediateQtyToFill")
            return
        wanted = self._allowed(order, order.leaves)
        for price, quantity in market.take(order.side, wanted, order.price):
            self._fill(work, order, price, quantity, maker=False)
        if order.open and order.tif in ("IOC", "FOK"):
            self.cancel(work, order, reason="EC_NoImmediateQtyToFill")
        elif order.open and order.reduce_only and not self._closable(order, order.leaves):
            self.cancel(work, order, cancel_type="CancelByReduceOnly")
        elif order.open:
            order.status = "PartiallyFilled" if order.filled else "New"
            self.tell(work, order)
        else:
            self.tell(work, order)
        self._clear(work, order.symbol)

    def move(self, work: Work, symbol: str) -> None:
        """Trigger and fill the open orders of a contract whose market has changed."""
        orders = self._books.open[symbol]
        if not orders:
            return
        for order in [each for each in orders.values() if self._hit(each)]:
            self._trigger(work, order)
        resting = [each for each in orders.values() if each.active and each.id not in work.orders]
        for order in sorted(resting, key=_priority):
            self._rest(work, order)
        if work.executions:
            self._clear(work, symbol)

    def cancel(
        self, work: Work, order: Order, *, cancel_type: str = "UNKNOWN", reason: str = "EC_NoError"
    ) -> None:
        """End an order that has not filled."""
        order.status, order.cancel_type, order.reason = "Cancelled", cancel_type, reason
        self.tell(work, order)

    def tell(self, work: Work, order: Order) -> None:
        """Note the state of an order, for the books and for its owner."""
        order.updated = self._now()
        work.orders[order.id] = order
        work.updates.append(replace(order))

    def _rest(self, work: Work, order: Order) -> None:
        """Fill a resting order at its price, as far as the market has come to it."""
        assert order.price is not None
        wanted = self._closable(order, order.leaves)
        if not wanted:
            return
        market = self._markets[order.symbol]
        if not market.available(order.side, order.price):
            return
        taken = market.take(order.side, self._portion(order, wanted), order.price)
        if quantity := sum((size for _, size in taken), ZERO):
            self._fill(work, order, order.price, quantity, maker=True)
            if order.open:
                order.status = "PartiallyFilled"
            self.tell(work, order)

    def _hit(self, order: Order) -> bool:
        if order.status != "Untriggered" or order.trigger is None:
            return False
        price = self._markets[order.symbol].price(order.trigger_by)
        if price is None:
            return False
        return price >= order.trigger if order.direction == 1 else price <= order.trigger

    def _trigger(self, work: Work, order: Order) -> None:
        """Turn a conditional order into an ordinary one."""
        order.status = "Triggered"
        self.tell(work, order)
        account = self._books.account
        if order.close_on_trigger:
            order.reduce_only = True
            order.quantity = order.quantity or abs(account.positions[order.symbol].size)
        order.status = "New"
        order.rank = self._books.next()
        if order.reduce_only:
            if not self._closable(order, order.leaves):
                self.cancel(work, order, cancel_type="CancelByReduceOnly")
                return
        elif account.available(self._books.live()) < 0:
            # A conditional order took no margin while it waited.
            self.cancel(work, order, cancel_type="CancelByPrepareLackOfMargin", reason="EC_Others")
            return
        self.enter(work, order)

    def _allowed(self, order: Order, quantity: Decimal) -> Decimal:
        return self._portion(order, self._closable(order, quantity))

    def _closable(self, order: Order, quantity: Decimal) -> Decimal:
        """Return how much of a quantity may fill: of a reduce-only order no more than is held."""
        if not order.reduce_only:
            return quantity
        position = self._books.account.positions[order.symbol]
        return position.closing(quantity if order.buys else -quantity)

    def _portion(self, order: Order, quantity: Decimal) -> Decimal:
        share = self._share() if quantity else 1
        if share == 1:
            return quantity
        step = self._markets[order.symbol].contract.step
        return max((quantity * share / step).quantize(Decimal(1), ROUND_DOWN) * step, step)

    def _fill(
        self, work: Work, order: Order, price: Decimal, quantity: Decimal, *, maker: bool
    ) -> None:
        market, account = self._markets[order.symbol], self._books.account
        contract = market.contract
        rate = contract.maker if maker else contract.taker
        fee = (price * quantity * rate).quantize(CENT, ROUND_HALF_UP)
        signed = quantity if order.buys else -quantity
        closed, pnl = account.positions[order.symbol].pnl(signed, price)
        order.filled += quantity
        order.value += price * quantity
        order.fee += fee
        if order.filled == order.quantity:
            order.status = "Filled"
        name = self._books.name()
        execution = Execution(
            id=name, order=order.id, link=order.link, symbol=order.symbol, side=order.side,
            price=price, quantity=quantity, fee=fee, rate=rate, maker=maker, time=self._now(),
            leaves=order.leaves, order_price=order.price, order_quantity=order.quantity,
            order_type=order.type, conditional=order.conditional, mark=market.mark or price,
            closed=closed, pnl=pnl, seq=self._books.next(),
        )  # fmt: skip
        account.apply(execution)
        work.executions.append(execution)
        work.orders[order.id] = order

    def _clear(self, work: Work, symbol: str) -> None:
        """Cancel resting reduce-only orders that nothing is left to reduce for."""
        for order in list(self._books.open[symbol].values()):
            if order.active and order.reduce_only and not self._closable(order, order.leaves):
                self.cancel(work, order, cancel_type="CancelByReduceOnly")


def _priority(order: Order) -> tuple[Decimal, int]:
    """Sort key: the better price first, then the older order."""
    assert order.price is not None
    return (-order.price if order.buys else order.price, order.rank)
