"""Orders that depend on each other, kept by the desk where the venue does not.

What waits for another order is sent when that is filled, in the quantity it is filled; a bracket's
exits are never larger than its position. An exit that cannot protect the position (the stop was
passed before it could be placed, or the venue refused it) is replaced by closing at the market.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId, Quantity

from workbench.engine.live.observe import Recorder
from workbench.engine.live.order_checks import Checker
from workbench.engine.live.order_request import STOPS, Order
from workbench.engine.live.order_state import Book, Record
from workbench.engine.live.order_ticket import Leg, Ticket

_CHANGEABLE = ("accepted", "partially_filled", "triggered", "emulated")
_REFUSED = ("rejected", "denied")
_GONE = ("canceled", "expired")

MOST_REPLACED = 9

Send = Callable[[Ticket, Sequence[Leg]], None]
Closing = Callable[[Callable[[], None]], None]
Refusal = Callable[[Any, Any, Any], str | None]


class Keeper:
    """Keeps contingencies.

    Parameters
    ----------
    desk
        Changes and cancels orders.
    book
        What is known of them.
    checker
        Knows instruments and prices.
    recorder
        Of the node's journal.
    send
        Sends orders of a ticket.
    closing
        Has orders sent or changed that only close what is open: they pass the limits.
    refusal
        Says why the limits keep an order from being changed.

    """

    def __init__(
        self,
        desk: Any,
        book: Book,
        checker: Checker,
        recorder: Recorder,
        send: Send,
        closing: Closing,
        refusal: Refusal,
    ) -> None:
        self._desk, self._book, self._checker = desk, book, checker
        self._recorder, self._send = recorder, send
        self._closing, self._refusal = closing, refusal
        self._told: set[str] = set()
        self._sized: dict[str, Decimal] = {}  # fills the waiting orders were last sized for

    def look(self, ticket: Ticket) -> None:
        """Do what is due now."""
        if len(ticket.legs) < 2:
            return
        if ticket.parent is not None:
            if any(self._record(leg).status == "held" for leg in ticket.linked):
                self._release(ticket, ticket.parent)
                return
            self._grow(ticket, ticket.parent)
        if ticket.contingency and not self._kept_by_venue(ticket):
            self._keep(ticket)
        if ticket.exits:
            self._fit(ticket)
            self._protect(ticket)

    def drop(self, leg: Leg, reason: str) -> None:
        """Give up an order that waits for another."""
        self._recorder.note("order.dropped", client_order_id=leg.id, reason=reason)
        self._book.end(leg.id, "dropped", reason)

    def _record(self, leg: Leg) -> Record:
        return self._book.records[leg.id]

    def _release(self, ticket: Ticket, parent: Leg) -> None:
        """Send what waits, as far as its parent is filled."""
        filled = self._record(parent)
        waiting = [leg for leg in ticket.linked if self._record(leg).status == "held"]
        if not filled.filled:
            if filled.closed:
                for leg in waiting:
                    self.drop(leg, f"{parent.id}, which it waits for, is {filled.status}")
            return
        ready = [self._share(leg, parent, ticket) for leg in waiting]
        least = max((self._least(leg) for leg in ready), default=Decimal(0))
        if any(leg.order.quantity < least for leg in ready):
            if filled.closed:
                for leg in waiting:
                    self.drop(leg, f"what is filled of {parent.id} is less than {least}")
                self._unprotected(ticket, "its position is smaller than an order may be")
            return
        self._sized[ticket.id] = filled.filled
        if ticket.exits and not self._holds(parent):
            # Netted with an opposite position there is none to reduce.
            ready = [
                replace(leg, order=leg.order.model_copy(update={"reduce_only": False}))
                for leg in ready
            ]
        passed = [leg for leg in ready if ticket.exits and self._passed(leg)]
        if passed:
            for leg in waiting:
                if leg.id != passed[0].id:
                    self.drop(leg, f"the market had passed {passed[0].id} already")
            market = self._market(passed[0].order, passed[0].order.quantity)
            ready = [replace(passed[0], order=market)]
        self._send(ticket, ready)

    def _share(self, leg: Leg, parent: Leg, ticket: Ticket) -> Leg:
        """Return a waiting order in the quantity that its parent's fills stand for."""
        of, units = self._record(parent), leg.order.quantity
        if ticket.exits:
            units = of.filled
        elif of.status != "filled":
            units = units * of.filled / of.quantity
        instrument = self._checker.instrument(leg.order)
        step = instrument.size_increment.as_decimal()
        order = leg.order.model_copy(update={"quantity": units // step * step})
        return replace(leg, order=order)

    def _holds(self, parent: Leg) -> bool:
        """Say whether there is a position in the direction of an entry."""
        instrument = InstrumentId.from_str(parent.order.instrument)
        own = self._desk.strategy_id if self._checker.simulated else None
        found = self._desk.cache.positions_open(instrument_id=instrument, strategy_id=own)
        side = "LONG" if parent.order.side == "BUY" else "SHORT"
        return any(position.side.name == side for position in found)

    def _least(self, leg: Leg) -> Decimal:
        instrument = self._checker.instrument(leg.order)
        least = instrument.min_quantity or instrument.size_increment
        return least.as_decimal()  # type: ignore[no-any-return]

    def _passed(self, leg: Leg) -> bool:
        """Say whether the market has gone through a stop that is still to be placed."""
        taken = self._checker.prices(leg.order).taken(leg.order.side)
        trigger = leg.order.trigger_price
        if leg.order.type not in STOPS or trigger is None or taken is None:
            return False
        return taken >= trigger if leg.order.side == "BUY" else taken <= trigger

    def _grow(self, ticket: Ticket, parent: Leg) -> None:
        """Make what has been sent larger as its parent is filled further."""
        filled = self._record(parent).filled
        sized = self._sized.setdefault(ticket.id, self._covered(ticket, filled))
        open_ = [leg for leg in ticket.linked if not self._record(leg).closed]
        if filled <= sized or not open_ or not all(map(self._changeable, open_)):
            return
        for leg in open_:
            more = filled - sized
            if not ticket.exits:
                more = self._share(leg, parent, ticket).order.quantity - self._record(leg).quantity
            if more > 0:
                self._resize(ticket, leg, self._record(leg).quantity + more)
            if ticket.contingency and self._kept_by_venue(ticket):
                break  # the venue changes the others
        self._sized[ticket.id] = filled

    def _covered(self, ticket: Ticket, filled: Decimal) -> Decimal:
        """Return the fills that the open exits stand for, after a restart."""
        records = [self._record(leg) for leg in ticket.linked]
        left = [each.quantity - each.filled for each in records if not each.closed]
        if not ticket.exits or not left:
            return filled
        return min(filled, max(left) + sum((each.filled for each in records), Decimal(0)))

    def _keep(self, ticket: Ticket) -> None:
        """Cancel or make smaller what the venue leaves as it is."""
        records = {leg.id: self._record(leg) for leg in ticket.linked}
        ends = (*_GONE, "filled") if ticket.exits else (*_GONE, *_REFUSED, "filled")
        ended = [name for name, record in records.items() if record.status in ends]
        if ticket.contingency == "OCO":
            ended += [name for name, record in records.items() if record.filled]
        for leg in ticket.linked:
            record = records[leg.id]
            if record.closed or leg.id in ended[:1]:
                continue
            if ended:
                self._cancel(leg)
                continue
            left = record.filled + self._left(ticket)
            if left < record.quantity and self._changeable(leg):
                self._resize(ticket, leg, left)

    def _fit(self, ticket: Ticket) -> None:
        """Make exits no larger than what they protect.

        The sandbox makes every exit as large as the whole position when another entry is filled:
        the first target reached would close what belongs to the other bracket.
        """
        left = self._left(ticket)
        open_ = [leg for leg in ticket.linked if not self._record(leg).closed]
        units = [self._record(leg).quantity - self._record(leg).filled for leg in open_]
        # One that fits is enough: the venue that keeps them makes the others as small.
        if left > 0 and units and min(units) > left and all(map(self._changeable, open_)):
            self._resize(ticket, open_[0], self._record(open_[0]).filled + left)

    def _left(self, ticket: Ticket) -> Decimal:
        """Return what is still to be done of an OUO group, or to be closed of a position."""
        whole = ticket.linked[0].order.quantity
        if ticket.parent is not None:
            whole = self._record(ticket.parent).filled
        done = [self._record(leg) for leg in ticket.linked] + self._replacements(ticket)
        return whole - sum((each.filled for each in done), Decimal(0))

    def _replacements(self, ticket: Ticket) -> list[Record]:
        """Return the market orders that were sent in place of exits."""
        names = (f"{ticket.id}MX{number}" for number in range(1, MOST_REPLACED + 1))
        found = [self._book.records.get(name) for name in names]
        return [each for each in found if each is not None]

    def _protect(self, ticket: Ticket) -> None:
        """Keep a position from being left without its exits."""
        assert ticket.parent is not None
        entry, exits = self._record(ticket.parent), [self._record(leg) for leg in ticket.linked]
        if any(each.status == "filled" for each in exits) and not entry.closed:
            self._cancel(ticket.parent)  # what it was to end with has come: no more of it
        replaced, left = self._replacements(ticket), self._left(ticket)
        if left <= 0 or any(not each.closed for each in replaced):
            return
        refused = [each for each in (*exits, *replaced) if each.status in _REFUSED]
        filled = [each for each in exits if each.status == "filled"]
        stops = [leg for leg in ticket.linked if leg.order.type in STOPS]
        if refused and stops and all(self._record(leg).closed for leg in stops):
            reason = f"{refused[-1].id} was refused: {refused[-1].reason}"
        elif filled and all(each.closed for each in exits):
            reason = f"{ticket.parent.id} was filled further after {filled[0].id}"
        else:
            return
        if len(replaced) == MOST_REPLACED or any(each.status in _REFUSED for each in replaced):
            self._unprotected(ticket, reason)
            return
        name = f"{ticket.id}MX{len(replaced) + 1}"
        self._recorder.note("order.replaced", client_order_id=name, reason=reason)
        for leg in ticket.linked:
            self._cancel(leg)
        self._send(ticket, [Leg(name, self._market(ticket.linked[0].order, left), ())])

    def _cancel(self, leg: Leg) -> None:
        order = self._desk.cache.order(ClientOrderId(leg.id))
        if order is not None and not order.is_closed and not order.is_pending_cancel:
            self._desk.cancel_order(order.client_order_id)

    def _unprotected(self, ticket: Ticket, reason: str) -> None:
        if ticket.id not in self._told:
            self._told.add(ticket.id)
            self._recorder.note("order.unprotected", client_order_id=ticket.id, reason=reason)

    def _market(self, order: Order, units: Decimal) -> Order:
        return Order.model_validate(
            {
                "instrument": order.instrument,
                "side": order.side,
                "quantity": units,
                "reduce_only": True,
                "tags": order.tags,
            }
        )

    def _changeable(self, leg: Leg) -> bool:
        order = self._desk.cache.order(ClientOrderId(leg.id))
        known = self._record(leg).status in _CHANGEABLE
        return known and order is not None and not order.is_pending_update

    def _resize(self, ticket: Ticket, leg: Leg, units: Decimal) -> None:
        order = self._desk.cache.order(ClientOrderId(leg.id))
        precision = self._checker.instrument(leg.order).size_precision
        quantity = Quantity.from_decimal_dp(units, precision)

        def change() -> None:
            self._desk.modify_order(order.client_order_id, quantity=quantity)

        if order.is_reduce_only:
            self._closing(change)
        elif reason := self._refusal(order, quantity, None):
            self._unprotected(ticket, f"{leg.id} could not be made {units}: {reason}")
        else:
            change()

    def _kept_by_venue(self, ticket: Ticket) -> bool:
        found = [self._desk.cache.order(ClientOrderId(leg.id)) for leg in ticket.linked]
        return any(order is not None and order.contingency_type is not None for order in found)
