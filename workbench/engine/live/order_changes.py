"""Changing, cancelling and listing orders: the desk's own and the strategies'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId
from pydantic_core import PydanticCustomError

from workbench.core.errors import InputError, Issue, choices
from workbench.engine.live import order_state
from workbench.engine.live.control import Later, Operation
from workbench.engine.live.observe import Recorder
from workbench.engine.live.order_build import engine_price, engine_quantity
from workbench.engine.live.order_checks import Checker, fits, wrong_side
from workbench.engine.live.order_groups import Keeper, Refusal
from workbench.engine.live.order_request import Order
from workbench.engine.live.order_state import Book, Record, Waiter
from workbench.engine.live.order_ticket import Leg
from workbench.study.fields import parse_number
from workbench.study.values import shown

WAIT_SECONDS = 1.0
_LONGEST_WAIT = 10.0
_CHANGES = ("quantity", "price", "trigger_price")


class Changes:
    """What can be done with orders that are there.

    Parameters
    ----------
    desk, recorder
        Sends the commands, takes down who asked.
    cache
        The engine's.
    book, keeper, checker
        What is known of the desk's orders, what waits, what is allowed.
    refusal
        Says why the limits keep an order from being changed to a quantity and price.

    """

    def __init__(
        self,
        desk: Any,
        cache: Any,
        recorder: Recorder,
        book: Book,
        keeper: Keeper,
        checker: Checker,
        refusal: Refusal,
    ) -> None:
        self._desk, self._cache, self._recorder = desk, cache, recorder
        self._book, self._keeper, self._checker = book, keeper, checker
        self._refusal = refusal

    def operations(self) -> dict[str, Operation]:
        """Return what the control channel may ask for."""
        return {
            "order_modify": self.modify,
            "order_cancel": self.cancel,
            "order_cancel_all": self.cancel_all,
            "order_list": self.show,
        }

    def modify(self, request: dict[str, Any]) -> Any:
        """Change quantity, price or trigger price of an open order."""
        wait = seconds(request)
        name = _name(request)
        wanted = _wanted(request)
        order = self._order(name)
        if order.is_closed:
            message = f"'{name}' is {order.status.name.lower()}: it can no longer be changed"
            raise InputError(Issue(message, "client_order_id"))
        instrument = self._cache.instrument(order.instrument_id)
        self._check(order, instrument, wanted)
        quantity = engine_quantity(wanted.get("quantity"), instrument)
        price = engine_price(wanted.get("price"), instrument)
        trigger = engine_price(wanted.get("trigger_price"), instrument)
        record = self._book.follow(order)
        if reason := self._refusal(order, quantity, price):
            return record.to_dict() | {"changed": False, "reason": reason}
        self._asked("modify", [name], request)
        waiter = self._book.wait([name], order_state.changed)
        self._desk.modify_order(
            order.client_order_id, quantity=quantity, price=price, trigger_price=trigger
        )
        return Later(waiter.done, wait, lambda: _modified(record, waiter))

    def cancel(self, request: dict[str, Any]) -> Any:
        """Cancel an order, or all of a group."""
        wait, name = seconds(request), _name(request)
        ticket = self._book.tickets.get(name)
        names = [name]
        if ticket is not None and name not in self._book.records:
            names = [leg.id for leg in ticket.legs]
        known = [self._followed(each) for each in names]
        return self._cancel(known, request, wait, name)

    def cancel_all(self, request: dict[str, Any]) -> Any:
        """Cancel every open order, or those of an instrument, a side or a strategy."""
        wait = seconds(request)
        wanted = self._filter(request)
        known = [self._book.follow(order) for order in self._open() if wanted(_about(order))]
        known += [
            self._book.records[leg.id]
            for leg in self._book.held.values()
            if wanted((leg.order.instrument, leg.order.side, str(self._desk.strategy_id)))
        ]
        return self._cancel(known, request, wait, None)

    def show(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the open orders and those that wait; with ``all`` the closed ones too."""
        wanted = self._filter(request)
        orders = self._cache.orders() if request.get("all") else self._open()
        found = [described(order) for order in orders if wanted(_about(order))]
        for each in found:
            record = self._book.records.get(each["client_order_id"])
            each["reason"] = record.reason if record is not None else None
        desk = str(self._desk.strategy_id)
        seen = {each["client_order_id"] for each in found}
        tickets = self._book.tickets.values() if request.get("all") else []
        legs = {leg.id: leg for ticket in tickets for leg in ticket.legs} | self._book.held
        for leg in legs.values():
            about = (leg.order.instrument, leg.order.side, desk)
            if leg.id not in seen and wanted(about):
                found.append(_described_leg(leg, self._book.records[leg.id], desk))
        return {"orders": found}

    def _cancel(
        self,
        known: Sequence[Record],
        request: dict[str, Any],
        wait: float,
        name: str | None,
    ) -> Any:
        held = dict(self._book.held)
        going = [each for each in known if not each.closed and each.id not in held]
        self._asked("cancel", [each.id for each in known], request)
        for record in known:
            if record.id in held:
                self._keeper.drop(held[record.id], "cancelled before it was sent")
        waiter = self._book.wait([each.id for each in going], order_state.ended)
        for record in going:
            self._desk.cancel_order(ClientOrderId(record.id))
        return Later(waiter.done, wait, lambda: _cancelled(name, known, waiter))

    def _check(self, order: Any, instrument: Any, wanted: dict[str, Decimal]) -> None:
        now = {key: getattr(order, key, None) for key in ("price", "trigger_price")}
        lacking = [key for key in wanted if key != "quantity" and now[key] is None]
        if lacking:
            kind = order.order_type.name
            raise InputError([Issue(f"a {kind} order has none", key) for key in lacking])
        values = {key: value.as_decimal() for key, value in now.items() if value is not None}
        same = all(
            value == (order.quantity.as_decimal() if key == "quantity" else values[key])
            for key, value in wanted.items()
        )
        if same:
            raise InputError(Issue("nothing would change: the order is like that already"))
        done = order.filled_qty.as_decimal()
        if wanted.get("quantity", done + 1) <= done:
            message = f"is more than what is filled, {done}: to have no more, cancel the order"
            raise InputError(Issue(message, "quantity"))
        trigger = getattr(order, "trigger_type", None)
        changed = Order.model_construct(
            instrument=str(order.instrument_id),
            side=order.side.name,
            type=order.order_type.name,
            trigger_type="DEFAULT" if trigger is None else trigger.name,
            post_only=order.is_post_only,
            quote_quantity=order.is_quote_quantity,
            **({"quantity": order.quantity.as_decimal()} | values | wanted),
        )
        leg = Leg(str(order.client_order_id), changed, ())
        found = self._checker.prices(changed)
        fit = fits(leg, instrument, found.taken(changed.side))
        issues = [issue for issue in fit if issue.path in wanted]
        issues += [
            issue for issue in wrong_side(leg, found) if issue.path in (*wanted, "post_only")
        ]
        if issues:
            raise InputError(issues)

    def _order(self, name: str) -> Any:
        order = self._cache.order(ClientOrderId(name))
        if order is not None:
            return order
        record = self._book.records.get(name)
        if record is not None:
            reason = f": {record.reason}" if record.reason else ""
            message = f"'{name}' is {record.status}{reason}"
            raise InputError(Issue(message, "client_order_id"))
        raise self._unknown(name)

    def _followed(self, name: str) -> Record:
        order = self._cache.order(ClientOrderId(name))
        record = self._book.records.get(name)
        if order is not None:
            return self._book.follow(order)
        if record is None:
            raise self._unknown(name)
        return record

    def _unknown(self, name: str) -> InputError:
        known = [str(order.client_order_id) for order in self._open()]
        hint = choices(name, known) if known else "There is no open order"
        return InputError(Issue(f"the node has no order '{name}'. {hint}", "client_order_id"))

    def _open(self) -> list[Any]:
        cache = self._cache
        found = [*cache.orders_open(), *cache.orders_emulated(), *cache.orders_inflight()]
        unique = {str(order.client_order_id): order for order in found}
        return [order for order in unique.values() if not order.is_closed]

    def _filter(self, request: dict[str, Any]) -> Callable[[tuple[str, str, str]], bool]:
        """Return what tells whether an order is meant, by instrument, side and strategy."""
        strategies = {str(each) for each in self._cache.strategy_ids()}
        allowed = {
            "instrument": sorted(map(str, self._cache.instrument_ids())),
            "side": ["BUY", "SELL"],
            "strategy": sorted(strategies | {str(self._desk.strategy_id)}),
        }
        wanted: list[str | None] = []
        for key, names in allowed.items():
            value = request.get(key)
            if isinstance(value, str) and key == "side":
                value = value.upper()
            if value is not None and value not in names:
                hint = choices(str(value), names)
                raise InputError(Issue(f"the node knows no {shown(value)}. {hint}", key))
            wanted.append(value)
        return lambda found: all(
            want is None or want == have for want, have in zip(wanted, found, strict=True)
        )

    def _asked(self, what: str, names: list[str], request: dict[str, Any]) -> None:
        who = str(request.get("who") or "")[:100]
        self._recorder.journal.append(f"order.{what}_asked", {"orders": names, "who": who})


def described(order: Any) -> dict[str, Any]:
    """Return an order of the engine as plain JSON values."""
    emulation, contingency = getattr(order, "emulation_trigger", None), order.contingency_type
    return {
        "client_order_id": str(order.client_order_id),
        "venue_order_id": _text(order.venue_order_id),
        "strategy": str(order.strategy_id),
        "instrument": str(order.instrument_id),
        "type": order.order_type.name,
        "side": order.side.name,
        "quantity": str(order.quantity),
        "filled": str(order.filled_qty),
        "price": _text(getattr(order, "price", None)),
        "trigger_price": _text(getattr(order, "trigger_price", None)),
        "time_in_force": order.time_in_force.name,
        "reduce_only": order.is_reduce_only,
        "emulation_trigger": emulation.name if emulation is not None else None,
        "contingency": contingency.name if contingency is not None else None,
        "tags": list(order.tags or ()),
        "status": order.status.name.lower(),
    }


def seconds(request: dict[str, Any]) -> float:
    """Return how long a request is ready to wait."""
    wait = request.get("wait", WAIT_SECONDS)
    wrong = isinstance(wait, bool) or not isinstance(wait, int | float)
    if wrong or not 0 <= wait <= _LONGEST_WAIT:
        raise InputError(Issue(f"is seconds, 0 to {_LONGEST_WAIT:g}", "wait"))
    return float(wait)


def _described_leg(leg: Leg, record: Record, strategy: str) -> dict[str, Any]:
    order = leg.order
    return {
        "client_order_id": leg.id,
        "venue_order_id": None,
        "strategy": strategy,
        "instrument": order.instrument,
        "type": order.type,
        "side": order.side,
        "quantity": f"{record.quantity:f}",
        "filled": f"{record.filled:f}",
        "price": None if order.price is None else f"{order.price:f}",
        "trigger_price": None if order.trigger_price is None else f"{order.trigger_price:f}",
        "time_in_force": order.time_in_force,
        "reduce_only": order.reduce_only,
        "emulation_trigger": order.emulation_trigger,
        "contingency": None,
        "tags": list(order.tags),
        "status": record.status,
        "reason": record.reason,
    }


def _name(request: dict[str, Any]) -> str:
    name = request.get("client_order_id")
    # The engine aborts on an empty id, or one that is not ASCII.
    if not isinstance(name, str) or not name.strip() or not name.isascii() or len(name) > 100:
        raise InputError(Issue(f"is an order's id, found {shown(name)}", "client_order_id"))
    return name


def _wanted(request: dict[str, Any]) -> dict[str, Decimal]:
    """Return what is to be changed."""
    issues, wanted = [], {}
    for key in _CHANGES:
        if request.get(key) is None:
            continue
        try:
            wanted[key] = parse_number(request[key], "the value")
        except PydanticCustomError as error:
            issues.append(Issue(error.message(), key))
            continue
        if key == "quantity" and wanted[key] <= 0:
            issues.append(Issue(f"must be above 0, found {shown(request[key])}", key))
    if issues:
        raise InputError(issues)
    if not wanted:
        raise InputError(Issue(f"say what to change: {', '.join(_CHANGES)}"))
    return wanted


def _modified(record: Record, waiter: Waiter) -> dict[str, Any]:
    what = waiter.seen.get(record.id)
    reason = record.reason
    if what is None:
        reason = "the venue has not answered yet"
    elif what == "updated":
        reason = None
    elif record.closed:
        reason = f"it was {record.status} before it could be changed"
    return record.to_dict() | {"changed": what == "updated", "reason": reason}


def _cancelled(name: str | None, known: Sequence[Record], waiter: Waiter) -> dict[str, Any]:
    orders = []
    for record in known:
        shown_record = record.to_dict()
        if not record.closed and record.id not in waiter.seen:
            shown_record["reason"] = "the venue has not answered yet"
        elif record.status == "filled":
            shown_record["reason"] = "it was filled before it could be cancelled"
        orders.append(shown_record)
    if name is None:
        left = [each for each in orders if each["status"] not in ("canceled", "dropped")]
        return {"orders": orders, "cancelled": len(orders) - len(left)}
    answer = orders[0] | {"client_order_id": name}
    return answer if len(orders) == 1 else answer | {"orders": orders}


def _about(order: Any) -> tuple[str, str, str]:
    return str(order.instrument_id), order.side.name, str(order.strategy_id)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
