"""What may be ordered as things stand: for forms that show no more than instrument and venue allow.

A form is no check: an order is held against all of it again before it leaves.
"""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import InstrumentId

from workbench.engine.live import order_abilities
from workbench.engine.live.order_market import closed, prices
from workbench.engine.live.order_request import TIMES, TRIGGERS, TYPES
from workbench.engine.live.order_ticket import keys

_NO_GTD = ("MARKET",)
_AUCTIONS = ("MARKET", "LIMIT")


def offer(
    instrument: Any, abilities: order_abilities.Abilities, cache: Any, *, hedging: bool
) -> dict[str, Any]:
    """Return what may be ordered of an instrument, as plain JSON values.

    Parameters
    ----------
    instrument
        The engine's.
    abilities
        Of its venue.
    cache
        The engine's.
    hedging
        Whether there may be several positions of it.

    """
    name: InstrumentId = instrument.id
    found = prices(cache, name)
    emulations = [kind for kind, there in _EMULATIONS.items() if getattr(found, there)]
    triggers = TRIGGERS if abilities.triggers is None else ("DEFAULT", *abilities.triggers)
    if abilities is order_abilities.SANDBOX and found.last is None:
        triggers = tuple(each for each in triggers if each != "LAST_PRICE")
    least, most = instrument.min_quantity, instrument.max_quantity
    positions = cache.positions_open(instrument_id=name) if hedging else []
    return {
        "instrument": str(name),
        "venue": abilities.name,
        "currency": instrument.quote_currency.code,
        "price_increment": str(instrument.price_increment),
        "size_increment": str(instrument.size_increment),
        "min_quantity": None if least is None else str(least),
        "max_quantity": None if most is None else str(most),
        "types": {kind: _terms(kind, abilities, emulations) for kind in abilities.types or TYPES},
        "triggers": list(triggers),
        "emulations": emulations,
        "reduce_only": abilities.reduce_only,
        "quote_quantity": list(
            TYPES if abilities.quote_quantity is None else abilities.quote_quantity
        ),
        "contingencies": list(abilities.contingencies),
        "positions": [str(each.id) for each in positions],
        "market": {
            "bid": _text(found.bid),
            "ask": _text(found.ask),
            "last": _text(found.last),
            "closed": closed(cache, name),
        },
    }


_EMULATIONS = {"BID_ASK": "quotes", "LAST_PRICE": "trades"}


def _terms(
    kind: str, abilities: order_abilities.Abilities, emulations: list[str]
) -> dict[str, list[str]]:
    """Return which keys an order of this type needs and may have, and its times in force."""
    needed, optional = keys(kind)
    left_out = set()
    if abilities.post_only is not None and kind not in abilities.post_only:
        left_out.add("post_only")
    if not abilities.display:
        left_out.add("display_quantity")
    if not emulations:
        left_out.add("emulation_trigger")
    times = [
        each
        for each in abilities.times or TIMES
        if not (each == "GTD" and kind in _NO_GTD)
        and not (each.startswith("AT_THE_") and kind not in _AUCTIONS)
    ]
    return {
        "needed": needed,
        "optional": [each for each in optional if each not in left_out],
        "times": times,
    }


def _text(value: Any) -> str | None:
    return None if value is None else f"{value:f}"
