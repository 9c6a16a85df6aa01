"""The desk's orders: what can be asked for over the control channel.

An order is read, checked, written to the journal (``order.intended``) and only then sent. A request
that is repeated under its client order id places nothing: it is answered with what became of the
first one, also after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId, PositionId

from workbench.core.errors import InputError, Issue
from workbench.core.journal import Entry
from workbench.engine.live import order_sandbox, order_state
from workbench.engine.live.control import Later, Operation
from workbench.engine.live.observe import Recorder
from workbench.engine.live.order_build import build
from workbench.engine.live.order_changes import Changes, seconds
from workbench.engine.live.order_checks import Checker, at_once
from workbench.engine.live.order_groups import Closing, Keeper, Refusal
from workbench.engine.live.order_request import Order
from workbench.engine.live.order_state import Book, Record, Waiter
from workbench.engine.live.order_ticket import Leg, Ticket, parse
from workbench.study import Study


class Orders:
    """Places, changes, cancels and lists orders.

    Parameters
    ----------
    study
        Of the node.
    desk
        The strategy that sends the orders.
    recorder
        Of the node's journal.
    past
        The journal so far.
    closing
        Has orders sent that only close what is open: they pass the limits.
    refusal
        Says why the limits keep an order from being changed.

    Attributes
    ----------
    due
        Tickets whose orders something has happened to that is still to be looked at.

    """

    def __init__(
        self,
        study: Study,
        desk: Any,
        cache: Any,
        recorder: Recorder,
        past: Iterable[Entry],
        closing: Closing,
        refusal: Refusal,
    ) -> None:
        self._desk, self._cache, self._recorder, self._closing = desk, cache, recorder, closing
        self.due: dict[str, Ticket] = {}
        self._working = False
        self._book = Book(past)
        self._checker = Checker(study, cache, desk)
        self._keeper = Keeper(
            desk, self._book, self._checker, recorder, self._send, closing, refusal
        )
        self._changes = Changes(
            desk, cache, recorder, self._book, self._keeper, self._checker, refusal
        )

    def operations(self) -> dict[str, Operation]:
        """Return what the control channel may ask for."""
        return {
            "order_submit": self.submit,
            "order_preview": self.preview,
            "order_abilities": lambda _: {"instruments": self._checker.offers()},
            **self._changes.operations(),
        }

    def start(self) -> None:
        """Find out what became of the orders of before a restart; call after reconciliation."""
        for record in self._book.open():
            if record.status == "held":
                continue
            order = self._cache.order(ClientOrderId(record.id))
            if order is not None:
                self._book.follow(order)
            elif record.status == "intended":
                self._untraced(record)
            else:
                gone = "the venue does not know it any more"
                reason = order_state.LOST if self._checker.simulated else gone
                self._book.end(record.id, "lost", reason)
        self.due |= self._book.tickets
        self.work()

    def _untraced(self, record: Record) -> None:
        """Tell of an order that was meant to be sent, and of which nothing is known."""
        ticket = self._book.ticket_of(record.id)
        exits = {leg.id: leg for leg in ticket.linked} if ticket and ticket.exits else {}
        again = record.id in exits and not self._checker.simulated
        reason = order_state.SENT_AGAIN if again else order_state.UNTRACED
        self._recorder.note("order.untraced", client_order_id=record.id, reason=reason)
        if again:
            self._book.hold(exits[record.id])
        else:
            self._book.end(record.id, "unknown", reason)

    def noted(self, group: str, what: str, event: Any) -> None:
        """Take in one of the engine's events."""
        self._book.noted(group, what, event)
        ticket = self._book.ticket_of(str(event.client_order_id)) if group == "order" else None
        if ticket is not None and len(ticket.legs) > 1:
            self.due[ticket.id] = ticket
            self.work()

    def work(self) -> None:
        """Do what follows from events; also called after every look at the control channel.

        An event that comes while the desk is sending, changing or cancelling finds it borrowed by
        the engine: what follows from it is done right after.
        """
        if self._working or not self.due:
            return
        try:
            assert self._desk.strategy_id
        except RuntimeError:
            return
        self._working = True
        try:
            while self.due:
                self._look_at(self.due.pop(next(iter(self.due))))
        finally:
            self._working = False

    def _look_at(self, ticket: Ticket) -> None:
        try:
            self._keeper.look(ticket)
        except Exception as error:
            # The engine would only log it, and a position could stand without its exits.
            reason = f"what follows from its orders could not be done: {error!r}"
            self._recorder.note("order.unprotected", client_order_id=ticket.id, reason=reason)

    def look(self) -> None:
        """Look after what no event tells; called now and then."""
        own = self._desk.strategy_id
        for record in self._book.open():
            order = self._cache.order(ClientOrderId(record.id))
            # Given back by a venue after a restart without memory: the desk hears nothing of it.
            if order is not None and order.strategy_id != own:
                self._book.follow(order)
                if (ticket := self._book.ticket_of(record.id)) is not None:
                    self.due[ticket.id] = ticket
        self.work()
        if self._checker.simulated:
            self._expire()

    def _expire(self) -> None:
        """Cancel what has stood long enough.

        The sandbox would go by the times of the replayed prices, which never come to that.
        """
        now, own = self._desk.clock.timestamp_ns(), self._desk.strategy_id
        orders = self._cache.orders_open(strategy_id=own)
        orders += self._cache.orders_emulated(strategy_id=own)
        for order in orders:
            until = getattr(order, "expire_time", None)
            if until is not None and until <= now and not order.is_pending_cancel:
                self._desk.cancel_order(order.client_order_id)

    def submit(self, request: dict[str, Any]) -> Any:
        """Place an order, or several that belong together."""
        wait = seconds(request)
        ticket = parse(request.get("order"))
        if (known := self._book.tickets.get(ticket.id)) is not None:
            return self._again(known, ticket)
        self._refuse_taken(ticket)
        self._refuse(ticket)
        prepared, notes = self._prepared(ticket, ticket.first)
        self._recorder.note(
            "order.intended",
            ticket=ticket.to_dict(),
            ticket_id=ticket.id,
            orders={leg.id: f"{leg.order.quantity:f}" for leg in ticket.first},
            who=str(request.get("who") or "")[:100],
        )
        self._book.add(ticket)
        said = [*notes, *self._checker.warnings(ticket)]
        waiter = self._waiter(ticket)
        try:
            self._dispatch(prepared)
        except Exception as error:
            self._failed(ticket, error)
        return Later(waiter.done, wait, lambda: self._answer(ticket, said))

    def _failed(self, ticket: Ticket, error: Exception) -> None:
        """Note what the engine would not even take."""
        for leg in ticket.legs:
            if self._book.records[leg.id].status in ("intended", "held"):
                reason = f"the engine did not take it: {error}"
                self._recorder.note("order.untraced", client_order_id=leg.id, reason=reason)
                self._book.end(leg.id, "unknown", reason)

    def preview(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what would be sent and what it would cost, and send nothing."""
        ticket = parse(request.get("order"))
        self._refuse_taken(ticket)
        self._refuse(ticket)
        shown = []
        said: list[str] = []
        for leg in ticket.legs:
            instrument = self._checker.instrument(leg.order)
            found = self._checker.prices(leg.order)
            order, notes = self._adapted(leg.order, instrument)
            said += notes
            price = order.price or order.trigger_price or found.taken(order.side)
            shown.append(
                {"client_order_id": leg.id, "waits": leg.waits}
                | order.model_dump(mode="json", exclude_defaults=True)
                | {"type": order.type, "time_in_force": order.time_in_force}
                | {"estimate": self._checker.cost.estimate(order, instrument, price)}
            )
        return {
            "client_order_id": ticket.id,
            "status": "preview",
            "reason": None,
            "orders": shown,
            "warnings": [*dict.fromkeys(said), *self._checker.warnings(ticket)],
        }

    def _waiter(self, ticket: Ticket) -> Waiter:
        """Return what is done once the venue has answered all that it is asked at once."""
        taking = {leg.id for leg in ticket.first if self._checker.takes(leg.order)}
        whole = {leg.id for leg in ticket.first if at_once(leg.order)}
        whole -= {leg.id for leg in ticket.first if leg.order.type == "MARKET_TO_LIMIT"}
        follows = ticket.parent is not None and ticket.parent.id in taking
        legs = ticket.legs if follows else ticket.first
        return self._book.wait([leg.id for leg in legs], order_state.settled(whole, taking))

    def _again(self, known: Ticket, ticket: Ticket) -> dict[str, Any]:
        """Answer a request that was made before."""
        if known.to_dict() != ticket.to_dict():
            message = f"'{ticket.id}' is the id of another order: a new order needs a new id"
            raise InputError(Issue(message, "client_order_id"))
        return self._answer(known, ["asked for again: nothing more was placed"])

    def _refuse_taken(self, ticket: Ticket) -> None:
        taken = [
            leg.issue(f"'{leg.id}' is the id of an order that is there already", "client_order_id")
            for leg in ticket.legs
            if leg.id in self._book.records or self._cache.order_exists(ClientOrderId(leg.id))
        ]
        if taken:
            raise InputError(taken)

    def _refuse(self, ticket: Ticket) -> None:
        """Raise what keeps a ticket from leaving."""
        if issues := self._checker.issues(ticket):
            raise InputError(issues)
        if self._checker.simulated:
            for leg in ticket.first:
                name = InstrumentId.from_str(leg.order.instrument)
                if reason := order_sandbox.peril(self._cache, name):
                    raise InputError(leg.issue(reason, "instrument"))

    def _answer(self, ticket: Ticket, said: Sequence[str]) -> dict[str, Any]:
        """Return what has become of a ticket; of plain values only, for any thread."""
        records = [self._book.records[leg.id].to_dict() for leg in ticket.legs]
        answer = records[0] | {"client_order_id": ticket.id, "warnings": list(said)}
        return answer | {"orders": records}

    def _adapted(self, order: Order, instrument: Any) -> tuple[Order, list[str]]:
        if not self._checker.simulated:
            return order, []
        return order_sandbox.adapted(order, instrument, self._checker.prices(order))

    def _prepared(
        self, ticket: Ticket, legs: Sequence[Leg]
    ) -> tuple[list[tuple[Leg, Any, bool]], list[str]]:
        """Return the engine's orders, each with whether it leaves as part of a list."""
        found = [(leg, self._checker.instrument(leg.order)) for leg in legs]
        adapted = [(leg, each, *self._adapted(leg.order, each)) for leg, each in found]
        names = [leg.id for leg in legs]
        listed = (
            ticket.contingency is not None
            and names == [leg.id for leg in ticket.linked]
            and ticket.contingency in self._checker.abilities(legs[0].order).contingencies
            and all(order.emulation_trigger is None for _, _, order, _ in adapted)
        )
        built = []
        for leg, instrument, order, _ in adapted:
            others = [name for name in names if name != leg.id]
            kept = (
                {"contingency": ticket.contingency, "linked": others, "group": ticket.id}
                if listed
                else {}
            )
            built.append((leg, build(self._desk, leg.id, order, instrument, **kept), listed))  # type: ignore[arg-type]
        return built, [f"{leg.id}: {note}" for leg, _, _, notes in adapted for note in notes]

    def _send(self, ticket: Ticket, legs: Sequence[Leg]) -> None:
        """Send orders that waited; those that only reduce a position pass the limits."""
        prepared, _ = self._prepared(ticket, legs)
        units = {leg.id: f"{leg.order.quantity:f}" for leg in legs}
        self._recorder.note("order.intended", ticket_id=ticket.id, orders=units)
        for leg in legs:
            self._book.intend(leg.id, leg.order.quantity, ticket.id)
        position = self._position(ticket) if ticket.exits else None
        if all(leg.order.reduce_only for leg in legs):
            self._closing(lambda: self._dispatch(prepared, position))
        else:
            self._dispatch(prepared, position)

    def _position(self, ticket: Ticket) -> PositionId | None:
        """Return the position the exits belong to, where there may be several an instrument."""
        if ticket.legs[0].order.instrument.rpartition(".")[2] not in self._checker.hedging:
            return None
        found: PositionId | None = self._cache.position_id(ClientOrderId(ticket.legs[0].id))
        return found

    def _dispatch(
        self, prepared: Sequence[tuple[Leg, Any, bool]], position: PositionId | None = None
    ) -> None:
        if prepared[0][2]:
            self._desk.submit_order_list([order for _, order, _ in prepared], position_id=position)
            return
        for leg, order, _ in prepared:
            own = leg.order.position_id
            place = PositionId(own) if own is not None else position
            self._desk.submit_order(order, position_id=place)
