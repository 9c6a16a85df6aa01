"""The account: one USDT wallet in cross margin, and a position for each contract, one way.

Of a position its signed size and the cost of what is open are kept, not an average price: an
average would be rounded. So, always and to the last digit::

    wallet                       = start + realised - fees
    wallet + sum of unrealised   = start - sum of signed value of executions
                                         + sum of size x mark - fees
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_DOWN, Decimal

from workbench.venue.model import CENT, ZERO, Contract, Execution, Order

MAINTENANCE = Decimal("0.005")
"""Maintenance margin as a share of a position's value."""


@dataclasses.dataclass(slots=True)
class Position:
    """What is held of one contract.

    Attributes
    ----------
    size
        Positive long, negative short.
    cost
        What the open size was bought or sold for; never negative.
    realised, fees
        Since the books were opened.
    current
        Realised less fees since the position was last opened.
    opened, created, updated
        UNIX milliseconds; 0 before there was one.
    seq
        Number of the last execution; -1 if there was none.

    """

    size: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    current: Decimal = ZERO
    opened: int = 0
    created: int = 0
    updated: int = 0
    seq: int = -1

    @property
    def side(self) -> str:
        """``Buy``, ``Sell``, or empty."""
        return "Buy" if self.size > 0 else "Sell" if self.size < 0 else ""

    @property
    def average(self) -> Decimal | None:
        """Average entry price."""
        return self.cost / abs(self.size) if self.size else None

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return profit or loss of the open size at a price."""
        return self.size * mark - (self.cost if self.size > 0 else -self.cost)

    def closing(self, signed: Decimal) -> Decimal:
        """Return how much of a signed quantity would close what is open."""
        opposite = self.size and (signed > 0) != (self.size > 0)
        return min(abs(signed), abs(self.size)) if opposite else ZERO

    def pnl(self, signed: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """Return the quantity an execution would close, and what that would realise."""
        closed = self.closing(signed)
        gain = closed * price - self._share(closed)
        return closed, gain if self.size > 0 else -gain

    def _share(self, closed: Decimal) -> Decimal:
        """Return the cost of a part of the open size, in whole cents unless it is all.

        Rounded down: what is left never costs less than nothing.
        """
        if closed == abs(self.size):
            return self.cost
        return (self.cost * closed / abs(self.size)).quantize(CENT, ROUND_DOWN)

    def apply(self, execution: Execution) -> None:
        """Take in an execution."""
        opening = execution.quantity - execution.closed
        if execution.closed:
            self.cost -= self._share(execution.closed)
        if opening and execution.closed == abs(self.size):  # from flat, or through it
            self.opened, self.current = execution.time, ZERO
        self.size += execution.signed
        self.cost += opening * execution.price
        self.realised += execution.pnl
        self.fees += execution.fee
        self.current += execution.pnl - execution.fee
        self.created = self.created or execution.time
        self.updated, self.seq = execution.time, execution.seq


class Account:
    """The wallet, the positions, and what their margin takes.

    Parameters
    ----------
    start
        USDT it was opened with.
    contracts
        By symbol.
    mark
        Returns a contract's mark price, None before it has one.

    """

    def __init__(
        self,
        start: Decimal,
        contracts: Mapping[str, Contract],
        mark: Callable[[str], Decimal | None],
    ) -> None:
        self.start = start
        self.wallet = start
        self.positions: defaultdict[str, Position] = defaultdict(Position)
        self.leverages: dict[str, Decimal] = {}
        self._contracts, self._mark = contracts, mark

    @property
    def realised(self) -> Decimal:
        """Realised profit and loss, before fees."""
        return sum((each.realised for each in self.positions.values()), ZERO)

    @property
    def fees(self) -> Decimal:
        """Fees paid."""
        return sum((each.fees for each in self.positions.values()), ZERO)

    @property
    def unrealised(self) -> Decimal:
        """Unrealised profit and loss at the mark prices."""
        return sum((self.unrealised_of(symbol) for symbol in self.positions), ZERO)

    def apply(self, execution: Execution) -> None:
        """Take in an execution."""
        self.positions[execution.symbol].apply(execution)
        self.wallet += execution.pnl - execution.fee

    def leverage(self, symbol: str) -> Decimal:
        """Return the leverage of a contract."""
        set_ = self.leverages.get(symbol)
        return self._contracts[symbol].leverage if set_ is None else set_

    def mark(self, symbol: str) -> Decimal:
        """Return a contract's mark price; before it has one, what its position cost on average."""
        mark = self._mark(symbol)
        return mark if mark is not None else self.positions[symbol].average or ZERO

    def unrealised_of(self, symbol: str) -> Decimal:
        """Return a position's unrealised profit and loss at the mark price."""
        mark = self._mark(symbol)
        return ZERO if mark is None else self.positions[symbol].unrealised(mark)

    def value(self, symbol: str) -> Decimal:
        """Return a position's value at the mark price; before there is one, what it cost."""
        position, mark = self.positions[symbol], self._mark(symbol)
        return position.cost if mark is None else abs(position.size) * mark

    def position_margin(self, symbol: str) -> Decimal:
        """Return the initial margin of a position."""
        return self.value(symbol) / self.leverage(symbol)

    def maintenance(self, symbol: str) -> Decimal:
        """Return the maintenance margin of a position."""
        return self.value(symbol) * MAINTENANCE

    def order_margin(self, symbol: str, orders: Iterable[Order]) -> Decimal:
        """Return the initial margin of a contract's open orders, with the fees of their fills.

        Orders that wait for a trigger take none, nor does what would only reduce the position. Of
        the two sides the dearer counts: both cannot open.
        """
        taken = {"Buy": ZERO, "Sell": ZERO}
        size = self.positions[symbol].size
        free = {"Buy": max(-size, ZERO), "Sell": max(size, ZERO)}
        rate = 1 / self.leverage(symbol) + self._contracts[symbol].taker
        for order in orders:
            if order.symbol != symbol or not order.active or order.reduce_only:
                continue
            reduces = min(order.leaves, free[order.side])
            free[order.side] -= reduces
            price = order.price if order.price is not None else self.mark(symbol)
            taken[order.side] += (order.leaves - reduces) * price * rate
        return max(taken.values())

    def margins(self, orders: Iterable[Order]) -> tuple[Decimal, Decimal, Decimal]:
        """Return initial margin of orders and of positions, and maintenance margin."""
        orders = list(orders)
        ordered = {order.symbol for order in orders}
        held = [symbol for symbol, position in self.positions.items() if position.size]
        return (
            sum((self.order_margin(symbol, orders) for symbol in ordered), ZERO),
            sum((self.position_margin(symbol) for symbol in held), ZERO),
            sum((self.maintenance(symbol) for symbol in held), ZERO),
        )

    def available(self, orders: Iterable[Order]) -> Decimal:
        """Return what new orders may still take as margin; negative after losses."""
        order_margin, position_margin, _ = self.margins(orders)
        return self.wallet + self.unrealised - order_margin - position_margin
