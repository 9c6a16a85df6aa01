"""What the desk knows of its orders: from the journal after a restart, from events after that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from workbench.core.journal import Entry
from workbench.engine.live.order_ticket import Leg, Ticket

CLOSED = ("filled", "canceled", "expired", "denied", "rejected", "lost", "unknown", "dropped")
_PENDING = ("intended", "initialized", "submitted", "released")
_STATUSES = {
    "initialized", "denied", "emulated", "released", "submitted", "accepted", "rejected",
    "canceled", "expired", "triggered", "filled",
}  # fmt: skip
_REFUSALS = ("modify_rejected", "cancel_rejected")
LOST = "the simulated venue began anew when the node was restarted: the order is gone"
_MOST_WAITERS = 10_000
UNTRACED = (
    "the node died before the order was sent, or just then: nothing is known of it, and it is "
    "not sent again. To place it, use another client_order_id"
)
SENT_AGAIN = (
    "the node died before the exit was sent, or just then: the venue does not know it, so it is "
    "sent again under the same id"
)


@dataclass(slots=True)
class Record:
    """One order of the desk, as plain values that any thread may read.

    Attributes
    ----------
    status
        The engine's, in small letters; before it has one ``held`` (waits for another order) or
        ``intended``. ``lost``, ``unknown`` and ``dropped`` are the desk's own ends.
    filled, quantity
        Units.
    value
        Of the fills, price times units.
    reason
        Why it ended, or the last refusal.

    """

    id: str
    status: str
    quantity: Decimal
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    reason: str | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in CLOSED

    def to_dict(self) -> dict[str, Any]:
        """Return what a command answers."""
        average = self.value / self.filled if self.filled else None
        return {
            "client_order_id": self.id,
            "status": self.status,
            "reason": self.reason,
            "quantity": f"{self.quantity:f}",
            "filled": f"{self.filled:f}",
            "average_price": None if average is None else str(round(average, 10).normalize()),
        }


@dataclass(slots=True)
class Waiter:
    """Somebody who waits for events of some orders.

    Attributes
    ----------
    seen
        What has come of those orders.

    """

    left: set[str]
    until: Callable[[str, Record], bool]
    seen: dict[str, str] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


class Book:
    """The desk's orders by client order id.

    Attributes
    ----------
    tickets
        What was asked for, by the ticket's id.
    records
        The orders, by theirs.
    held
        Those that wait for another, in the order they came.

    """

    def __init__(self, past: Iterable[Entry]) -> None:
        self.tickets: dict[str, Ticket] = {}
        self.records: dict[str, Record] = {}
        self.held: dict[str, Leg] = {}
        self._open: dict[str, Record] = {}
        self._waiters: list[Waiter] = []
        self._owners: dict[str, str] = {}
        for entry in past:
            self._recall(entry)

    def add(self, ticket: Ticket) -> None:
        """Keep a ticket whose orders have not been sent yet."""
        self.tickets[ticket.id] = ticket
        for leg in ticket.legs:
            self.intend(leg.id, leg.order.quantity, ticket.id)
            if leg.waits:
                self.hold(leg)

    def intend(self, name: str, units: Decimal, ticket: str) -> None:
        """Note that an order of a ticket is about to be sent."""
        self.records[name] = self._open[name] = Record(name, "intended", units)
        self._owners[name] = ticket
        self.held.pop(name, None)

    def hold(self, leg: Leg) -> None:
        """Note that an order of a ticket waits for another."""
        self.records[leg.id].status = "held"
        self.held[leg.id] = leg

    def open(self) -> list[Record]:
        """Return the orders that something can still happen to."""
        self._open = {name: each for name, each in self._open.items() if not each.closed}
        return list(self._open.values())

    def follow(self, order: Any) -> Record:
        """Return the record of an order in the engine's cache, also of a strategy's."""
        name = str(order.client_order_id)
        record = self.records.setdefault(name, Record(name, "initialized", Decimal(0)))
        self._open[name] = record
        record.quantity = order.quantity.as_decimal()
        record.filled = order.filled_qty.as_decimal()
        record.status = order.status.name.lower()
        if record.status.startswith("pending_"):
            record.status = "partially_filled" if record.filled else "accepted"
        record.value = record.filled * (order.avg_px or Decimal(0))
        return record

    def ticket_of(self, name: str) -> Ticket | None:
        """Return the ticket an order belongs to."""
        return self.tickets.get(self._owners.get(name, ""))

    def wait(self, names: Iterable[str], until: Callable[[str, Record], bool]) -> Waiter:
        """Return what is done once an event of each order has satisfied `until`."""
        waiter = Waiter(set(names), until)
        if waiter.left:
            # One that nobody waits for any more must not stay for ever.
            self._waiters = [*self._waiters[-_MOST_WAITERS:], waiter]
        else:
            waiter.done.set()
        return waiter

    def noted(self, group: str, what: str, event: Any) -> None:
        """Take in one of the engine's events."""
        if group != "order":
            return
        name = str(event.client_order_id)
        record = self.records.get(name)
        if record is None:
            return  # a strategy's
        self._apply(record, what, _values(event))
        self._tell(what, record)

    def end(self, name: str, status: str, reason: str) -> None:
        """Close an order by the desk's own decision."""
        record = self.records[name]
        record.status, record.reason = status, reason
        self.held.pop(name, None)
        self._tell(status, record)

    def _tell(self, what: str, record: Record) -> None:
        """Tell who waits for this order."""
        for waiter in [each for each in self._waiters if record.id in each.left]:
            if waiter.until(what, record):
                waiter.left.discard(record.id)
                waiter.seen[record.id] = what
            if not waiter.left:
                waiter.done.set()
                self._waiters.remove(waiter)

    def _apply(self, record: Record, what: str, values: dict[str, Any]) -> None:
        if values.get("quantity") is not None and what in ("initialized", "updated"):
            record.quantity = Decimal(values["quantity"])
        if what == "filled":
            units = Decimal(values["last_qty"])
            record.filled += units
            record.value += units * Decimal(values["last_px"])
            whole = record.filled >= record.quantity > 0
            record.status = "filled" if whole else "partially_filled"
        elif what in _REFUSALS:
            record.reason = values.get("reason")
        elif what in _STATUSES and not (what == "initialized" and record.status not in _BEFORE):
            record.status = what
            record.reason = values.get("reason")

    def _recall(self, entry: Entry) -> None:
        kind = entry["type"]
        if kind == "order.intended":
            if "ticket" in entry:
                self.add(Ticket.from_dict(entry["ticket"]))
            for name, units in entry["orders"].items():
                self.intend(name, Decimal(units), entry["ticket_id"])
        elif kind in ("order.dropped", "order.untraced"):
            status = "dropped" if kind == "order.dropped" else "unknown"
            self.end(entry["client_order_id"], status, entry["reason"])
        elif kind.startswith("order.") and "data" in entry:
            record = self.records.get(entry["data"]["client_order_id"])
            if record is not None:
                self._apply(record, kind.removeprefix("order."), entry["data"])


_BEFORE = ("held", "intended", "initialized")


def settled(whole: Collection[str], taking: Collection[str]) -> Callable[[str, Record], bool]:
    """Return what says whether an order has left and it is known what became of it.

    Of those in `whole`, which never rest, not before they are done; of those in `taking`, which
    meet the market at once, not before something is filled.
    """

    def until(_: str, record: Record) -> bool:
        if record.id in whole:
            return record.closed
        if record.id in taking:
            return record.closed or record.filled > 0
        return record.status not in (*_PENDING, "held")

    return until


def changed(what: str, record: Record) -> bool:
    """Say whether a change has come to something."""
    return what in ("updated", "modify_rejected") or record.closed


def ended(what: str, record: Record) -> bool:
    """Say whether a cancel has come to something."""
    return what == "cancel_rejected" or record.closed


def _values(event: Any) -> dict[str, Any]:
    names = ("quantity", "last_qty", "last_px", "reason")
    found = {name: getattr(event, name, None) for name in names}
    return {name: str(value) for name, value in found.items() if value is not None}
