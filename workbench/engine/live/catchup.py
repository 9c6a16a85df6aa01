"""Bringing Redis up to what the journal knows, before the engine reads it.

The engine hands its writes to Redis to a task of its own: killed at the wrong moment, it has traded
what Redis never heard of. An order would come back from the venue as nobody's, and a position
without its last fill. The journal is written before the engine goes on, so it has what is missing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

type Event = dict[str, Any]
"""An order's event as the journal and Redis have it."""


def catch_up(settings: Mapping[str, Any], trader: str, events: Iterable[Event]) -> list[str]:
    """Write to Redis what it lacks; say in words what that was.

    Parameters
    ----------
    settings
        Where it is, see `workbench.live.redis_server.Redis`.
    trader
        Whose keys.
    events
        Of orders, oldest first, since Redis was last known to be complete.

    """
    import redis

    orders: defaultdict[str, list[Event]] = defaultdict(list)
    fills: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        orders[event["client_order_id"]].append(event)
        if event["type"] == "OrderFilled" and event.get("position_id"):
            fills[event["position_id"]].append(event)
    written = []
    with redis.Redis(**settings, decode_responses=True) as client:
        origins = f"trader-{trader}:index:order_client"
        clients = set(client.hvals(origins))
        head = f"trader-{trader}:accounts:"
        accounts = [each.removeprefix(head) for each in client.scan_iter(f"{head}*")]
        for name, mine in orders.items():
            key = f"trader-{trader}:orders:{name}"
            there = [_inner(json.loads(each)) for each in _all(client, key)]
            missing = _missing(there, mine)
            missing += _may_have_left([*there, *missing], accounts)
            if missing:
                client.rpush(key, *(json.dumps({_kind(each): each}) for each in missing))
                if len(clients) == 1:
                    client.hsetnx(origins, name, *clients)
                written.append(f"order {name}: {', '.join(map(_kind, missing))}")
        for name, mine in fills.items():
            key = f"trader-{trader}:positions:{name}"
            before = [json.loads(each) for each in _all(client, key)]
            after = _position(before, mine)
            if after != before:
                with client.pipeline(transaction=True) as pipe:
                    pipe.delete(key)
                    pipe.rpush(key, *map(json.dumps, after))
                    pipe.execute()
                written.append(f"position {name} was {_net(before)}, is {_net(after)}")
    return written


def _missing(there: Sequence[Event], mine: Sequence[Event]) -> list[Event]:
    """Return which of an order's events are to be appended: the writer keeps their order."""
    known = {each["event_id"] for each in there}
    seen = [number for number, each in enumerate(mine) if each["event_id"] in known]
    if not there and mine[0]["type"] != "OrderInitialized":
        return []  # it was refused before the engine had it
    if there and not seen and mine[0]["type"] == "OrderInitialized":
        return []  # another order of this name
    return list(mine[seen[-1] + 1 if seen else 0 :])


def _may_have_left(events: Sequence[Event], accounts: Sequence[str]) -> list[Event]:
    """Return that an order was submitted, of one of which nothing but its beginning is known.

    A client sends an order while the event that says so is still on its way through the engine.
    Taken for sent, it is asked for at the venue: filled, open, or told as rejected if it never
    arrived. Taken for not sent, what the venue tells of it would be nobody's.
    """
    if len(events) != 1 or events[0]["type"] != "OrderInitialized":
        return []
    order = events[0]
    if (order.get("emulation_trigger") or "NO_TRIGGER") != "NO_TRIGGER":
        return []  # the node itself keeps it
    venue = order["instrument_id"].rpartition(".")[2]
    account = next((each for each in accounts if each.rpartition("-")[0] == venue), None)
    if account is None:
        return []  # without an account nothing was sent
    same = ("trader_id", "strategy_id", "instrument_id", "client_order_id", "ts_event", "ts_init")
    return [
        {
            "type": "OrderSubmitted",
            **{name: order[name] for name in same},
            "account_id": account,
            "event_id": str(uuid4()),
            "causation_id": None,
        }
    ]


def _position(there: Sequence[Event], mine: Sequence[Event]) -> list[Event]:
    """Return the fills of a position: those that are there, and those that came after them.

    It has the fills since it was last flat; of a fill that turns it around only the rest.
    """
    found, ids = list(there), {each["trade_id"] for each in there}
    mine = sorted(mine, key=_time)
    if at := [number for number, each in enumerate(mine) if each["trade_id"] in ids]:
        turned, mine = mine[at[-1]], mine[at[-1] + 1 :]
        last = [each for each in found if each["trade_id"] == turned["trade_id"]][-1]
        rest = Decimal(turned["last_qty"]) - Decimal(last["last_qty"])
        if rest and not _net(found):  # it was closed, and not opened again the other way
            found = [_part(turned, rest)]
    elif found:
        mine = [each for each in mine if _time(each) > _time(found[-1])]
    for fill in mine:
        held, units = _net(found), _signed(fill)
        if not held:
            found = [fill]
        elif held * units < 0 and abs(units) > abs(held):
            found = [_part(fill, abs(units) - abs(held))]
        else:
            found.append(fill)
    return found


def _part(fill: Event, units: Decimal) -> Event:
    """Return the part of a fill that opens a position, with its share of the commission."""
    part = fill | {"last_qty": str(units), "event_id": str(uuid4())}
    if fill.get("commission"):
        amount, currency = str(fill["commission"]).split()
        share = Decimal(amount) * units / Decimal(fill["last_qty"])
        part["commission"] = f"{share.quantize(Decimal(amount))} {currency}"
    return part


def _time(event: Event) -> int:
    """Return when it happened in microseconds: the journal has numbers, Redis text."""
    at = event["ts_event"]
    if isinstance(at, int):
        return at // 1000
    return round(datetime.fromisoformat(at).timestamp() * 1e6)


def _net(fills: Iterable[Event]) -> Decimal:
    return sum(map(_signed, fills), Decimal(0))


def _signed(fill: Event) -> Decimal:
    units = Decimal(fill["last_qty"])
    return units if fill["order_side"] == "BUY" else -units


def _kind(event: Event) -> str:
    kind: str = event["type"]
    return kind.removeprefix("Order")


def _inner(stored: dict[str, Event]) -> Event:
    return next(iter(stored.values()))


def _all(client: Any, key: str) -> list[str]:
    found: list[str] = client.lrange(key, 0, -1)
    return found
