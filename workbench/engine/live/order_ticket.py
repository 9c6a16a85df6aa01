"""From a request to a ticket: the orders it asks for, what they are to each other, their ids."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from workbench.core.errors import InputError, Issue, choices
from workbench.engine.live.order_request import (
    TOUCHED,
    TRAILING,
    TYPES,
    Bracket,
    Exits,
    Group,
    Order,
    Terms,
)
from workbench.study.places import dotted
from workbench.study.values import shown

_PRICED = ("LIMIT", "STOP_LIMIT", "LIMIT_IF_TOUCHED")
_TRIGGERED = ("STOP_MARKET", "STOP_LIMIT", *TOUCHED)
_LIMITED = (*_PRICED, "TRAILING_STOP_LIMIT")
_SHOWN = tuple(each for each in TYPES if each not in ("MARKET", "MARKET_IF_TOUCHED"))

# Which types a key belongs to, and which cannot do without it.
_KEYS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "price": (_LIMITED, _PRICED),
    "trigger_price": ((*_TRIGGERED, *TRAILING), _TRIGGERED),
    "trigger_type": ((*_TRIGGERED, *TRAILING), ()),
    "trailing_offset": (TRAILING, TRAILING),
    "trailing_offset_type": (TRAILING, ()),
    "limit_offset": (("TRAILING_STOP_LIMIT",), ("TRAILING_STOP_LIMIT",)),
    "activation_price": (TRAILING, ()),
    "post_only": (_LIMITED, ()),
    "display_quantity": (_SHOWN, ()),
    "emulation_trigger": (
        [each for each in TYPES if each not in ("MARKET", "MARKET_TO_LIMIT")],
        (),
    ),
}

_LONGEST_BASE = 33


@dataclass(frozen=True, slots=True)
class Leg:
    """An order of a ticket.

    Attributes
    ----------
    id
        Client order id.
    order
        What is asked for.
    path
        Where it stands in the request.
    waits
        Whether it is sent only when the first one is filled.

    """

    id: str
    order: Order
    path: tuple[str | int, ...]
    waits: bool = False

    def issue(self, message: str, *key: str) -> Issue:
        """Return an issue of this order."""
        return Issue(message, dotted((*self.path, *key)))


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request, read and checked by itself.

    Attributes
    ----------
    id
        Of the order, or of the group; a bracket's is its entry's.
    contingency
        Among those legs that do not wait for the first one, or, if some do, among the waiting.
    legs
        The orders; the one others wait for is the first.
    exits
        Whether the waiting legs close the first one's position.

    """

    id: str
    legs: tuple[Leg, ...]
    contingency: Literal["OCO", "OUO"] | None = None
    exits: bool = False

    @property
    def parent(self) -> Leg | None:
        """The order others wait for."""
        return self.legs[0] if len(self.legs) > 1 and self.legs[1].waits else None

    @property
    def first(self) -> tuple[Leg, ...]:
        """The orders that are sent at once."""
        return tuple(leg for leg in self.legs if not leg.waits)

    @property
    def linked(self) -> tuple[Leg, ...]:
        """The orders its contingency is about."""
        return tuple(leg for leg in self.legs if leg.waits) or self.legs

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "id": self.id,
            "contingency": self.contingency,
            "exits": self.exits,
            "legs": [
                {
                    "id": leg.id,
                    "waits": leg.waits,
                    "order": leg.order.model_dump(mode="json", exclude_defaults=True),
                }
                for leg in self.legs
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Ticket:
        """Return the ticket that `to_dict` wrote."""
        legs = [
            Leg(each["id"], Order.model_validate(each["order"]), (), each["waits"])
            for each in content["legs"]
        ]
        return cls(content["id"], tuple(legs), content["contingency"], content["exits"])


def keys(kind: str) -> tuple[list[str], list[str]]:
    """Return the keys an order of this type needs, and those it may have besides."""
    needed = [key for key, (_, need) in _KEYS.items() if kind in need]
    optional = [key for key, (fitting, _) in _KEYS.items() if kind in fitting]
    return needed, [key for key in optional if key not in needed]


def made_id() -> str:
    """Return a new id that every venue takes: letters and digits, 22 of them."""
    return f"D{time.strftime('%y%m%d%H%M%S', time.gmtime())}{secrets.token_hex(4)}X"


def parse(content: Any) -> Ticket:
    """Read a request.

    Raises
    ------
    InputError
        With every issue found, each with the path of the value in the request.

    """
    if not isinstance(content, Mapping):
        raise InputError(Issue(f"an order is a group of keys, found {shown(content)}"))
    if "bracket" in content:
        ticket = _bracket(_validated(Bracket, content))
    elif "orders" in content or "contingency" in content:
        ticket = _group(_validated(Group, content))
    else:
        order = _validated(Order, content)
        name = order.client_order_id or made_id()
        ticket = Ticket(name, (Leg(name, order, ()),))
    issues = [issue for leg in ticket.legs for issue in _misfits(leg)] + [*_clashes(ticket)]
    if issues:
        raise InputError(issues)
    return ticket


def _validated[Model: BaseModel](kind: type[Model], content: Mapping[str, Any]) -> Model:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        found = [
            _issue(kind, item)
            for item in error.errors()
            # A list whose items are wrong is not really too short.
            if not (item["type"] == "too_short" and len(item["input"]) > 1)
        ]
        raise InputError(found) from None


def _group(group: Group) -> Ticket:
    name = _base(group.client_order_id)
    legs = [
        Leg(
            order.client_order_id or name + string.ascii_uppercase[number],
            order,
            ("orders", number),
            waits=group.contingency == "OTO" and number > 0,
        )
        for number, order in enumerate(group.orders)
    ]
    kept: Any = group.contingency if group.contingency != "OTO" else None
    return Ticket(name, tuple(legs), kept)


def _bracket(bracket: Bracket) -> Ticket:
    entry = bracket.bracket.entry
    exits = {"take_profit": bracket.bracket.take_profit, "stop_loss": bracket.bracket.stop_loss}
    if not any(exits.values()):
        raise InputError(Issue("has neither take_profit nor stop_loss", "bracket"))
    if bracket.client_order_id and entry.client_order_id:
        raise InputError(Issue("the bracket's is the entry's: give one", "client_order_id"))
    name = _base(bracket.client_order_id or entry.client_order_id)
    legs = [Leg(name, entry, ("bracket", "entry"))]
    for role, terms in exits.items():
        if terms is not None:
            short = "TP" if role == "take_profit" else "SL"
            legs.append(
                Leg(
                    terms.client_order_id or name + short,
                    _exit(entry, terms, role),
                    ("bracket", role),
                    waits=True,
                )
            )
    return Ticket(name, tuple(legs), "OUO" if len(legs) == 3 else None, exits=True)


def _exit(entry: Order, terms: Terms, role: str) -> Order:
    given = terms.model_dump(exclude_unset=True)
    usual = "LIMIT" if role == "take_profit" else "STOP_MARKET"
    return Order.model_validate(
        {"type": usual}
        | given
        | {
            "instrument": entry.instrument,
            "side": "SELL" if entry.side == "BUY" else "BUY",
            "quantity": entry.quantity,
            "reduce_only": True,
        }
    )


def _base(name: str | None) -> str:
    if name is None:
        return made_id()
    if len(name) > _LONGEST_BASE:
        message = f"of a group has at most {_LONGEST_BASE} characters: its orders' ids extend it"
        raise InputError(Issue(message, "client_order_id"))
    return name


def _misfits(leg: Leg) -> Iterator[Issue]:
    """Find what does not fit the order's type."""
    order = leg.order
    kind = order.type
    for key, (fitting, needed) in _KEYS.items():
        value = getattr(order, key)
        given = key in order.model_fields_set and value not in (None, False)
        if given and kind not in fitting:
            yield leg.issue(f"a {kind} order has none. Those have: {', '.join(fitting)}", key)
        elif kind in needed and value is None:
            yield leg.issue(f"is missing: a {kind} order has one", key)
    yield from _times(leg)
    if order.display_quantity is not None and order.display_quantity > order.quantity:
        yield leg.issue(f"is more than the quantity, {order.quantity}", "display_quantity")
    if kind == "LIMIT_IF_TOUCHED" and order.price is not None and order.trigger_price is not None:
        # The engine's own rule.
        if order.side == "BUY" and order.price < order.trigger_price:
            yield leg.issue(f"of a BUY is at least the trigger, {order.trigger_price}", "price")
        if order.side == "SELL" and order.price > order.trigger_price:
            yield leg.issue(f"of a SELL is at most the trigger, {order.trigger_price}", "price")


def _times(leg: Leg) -> Iterator[Issue]:
    order = leg.order
    kind, until = order.type, order.time_in_force
    if kind == "MARKET" and until == "GTD":
        message = "a MARKET order is filled at once: GTC, IOC, FOK or DAY"
        yield leg.issue(message, "time_in_force")
    elif until == "GTD" and order.expire_time is None:
        yield leg.issue("is missing: GTD stands until then", "expire_time")
    elif until != "GTD" and order.expire_time is not None:
        yield leg.issue(f"belongs to time_in_force GTD, found {until}", "expire_time")
    if order.post_only and until in ("IOC", "FOK"):
        yield leg.issue(f"an {until} order takes at once what it can get", "post_only")
    if until.startswith("AT_THE_") and kind not in ("MARKET", "LIMIT"):
        yield leg.issue(f"{until} is for MARKET and LIMIT orders", "time_in_force")


def _clashes(ticket: Ticket) -> Iterator[Issue]:
    """Find legs that do not fit each other."""
    first = ticket.legs[0]
    seen: set[str] = set()
    for leg in ticket.legs:
        if leg.id in seen:
            yield leg.issue(f"'{leg.id}' is another order's of this request", "client_order_id")
        seen.add(leg.id)
    kept = ticket.linked
    if ticket.contingency:
        for leg in kept:
            if leg.order.instrument != kept[0].order.instrument:
                message = f"orders of one {ticket.contingency} group are of one instrument"
                yield leg.issue(message, "instrument")
            if leg.order.type in ("MARKET", "MARKET_TO_LIMIT") and not ticket.exits:
                message = "is filled at once: there is nothing left for it to cancel or change"
                yield leg.issue(message, "type")
            if ticket.contingency == "OUO" and leg.order.quantity != kept[0].order.quantity:
                message = f"of an OUO group are equal, found also {kept[0].order.quantity}"
                yield leg.issue(message, "quantity")
    if ticket.exits:
        for leg in kept:
            if leg.order.type in ("MARKET", "MARKET_TO_LIMIT"):
                yield leg.issue("would close the position at once", "type")
        if first.order.reduce_only:
            yield first.issue("of a bracket opens a position", "reduce_only")
        if first.order.quote_quantity:
            message = "the exits of a bracket need its quantity in units"
            yield first.issue(message, "quote_quantity")


_WORDS: dict[str, str] = {
    "missing": "is missing",
    "bool_type": "is true or false",
    "string_type": "is text",
    "string_too_long": "is too long",
    "string_too_short": "is empty",
    "tuple_type": "is a list",
    "too_long": "has too many entries",
    "too_short": "needs at least two orders",
}


def _issue(model: type[BaseModel], item: Any) -> Issue:
    kind, location = item["type"], item["loc"]
    match kind:
        case "workbench":
            message = str(item["ctx"]["text"])
        case "extra_forbidden":
            name = str(location[-1])
            message = f"unknown key {shown(name)}. {choices(name, _keys(model, location[:-1]))}"
        case "missing":
            message = "is missing"
        case _ if kind in _WORDS:
            message = f"{_WORDS[kind]}, found {shown(item['input'])}"
        case _:
            message = f"is a group of keys, found {shown(item['input'])}"
    return Issue(message, dotted(location))


def _keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys of the part of a request at `location`."""
    parts: dict[str, type[BaseModel]] = {
        "orders": Order, "bracket": Exits, "entry": Order, "take_profit": Terms, "stop_loss": Terms,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    return list((parts[names[-1]] if names else model).model_fields)
