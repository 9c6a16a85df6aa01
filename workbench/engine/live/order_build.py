"""From an order as asked for to the engine's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nautilus_trader import model
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    ClientOrderId,
    ContingencyType,
    InstrumentId,
    OrderListId,
    OrderSide,
    Price,
    Quantity,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)

from workbench.core.errors import InputError, Issue
from workbench.engine.live.order_request import Order
from workbench.study.fields import moment_ns

_LIMIT = ("price", "post_only")
_TRIGGER = ("trigger_price", "trigger_type")
_TRAIL = ("trailing_offset", "trailing_offset_type", "activation_price")
_REST = ("expire_time", "display_qty")
_EMULATED = ("emulation_trigger",)

# The engine's class of each type, and what its constructor takes besides what every order has.
_CLASSES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "MARKET": (model.MarketOrder, ()),
    "LIMIT": (model.LimitOrder, (*_LIMIT, *_REST, *_EMULATED)),
    "STOP_MARKET": (model.StopMarketOrder, (*_TRIGGER, *_REST, *_EMULATED)),
    "STOP_LIMIT": (model.StopLimitOrder, (*_LIMIT, *_TRIGGER, *_REST, *_EMULATED)),
    "MARKET_TO_LIMIT": (model.MarketToLimitOrder, ("post_only", *_REST)),
    "MARKET_IF_TOUCHED": (model.MarketIfTouchedOrder, (*_TRIGGER, "expire_time", *_EMULATED)),
    "LIMIT_IF_TOUCHED": (model.LimitIfTouchedOrder, (*_LIMIT, *_TRIGGER, *_REST, *_EMULATED)),
    "TRAILING_STOP_MARKET": (
        model.TrailingStopMarketOrder,
        (*_TRIGGER, *_TRAIL, *_REST, *_EMULATED),
    ),
    "TRAILING_STOP_LIMIT": (
        model.TrailingStopLimitOrder,
        (*_LIMIT, *_TRIGGER, *_TRAIL, "limit_offset", *_REST, *_EMULATED),
    ),
}


def build(
    desk: Any,
    name: str,
    order: Order,
    instrument: Any,
    *,
    contingency: str | None = None,
    linked: Sequence[str] = (),
    group: str = "",
) -> Any:
    """Return the engine's order.

    Parameters
    ----------
    desk
        The strategy it will belong to.
    name
        Client order id.
    order, instrument
        What to build, checked against the engine's instrument.
    contingency, linked, group
        Of an order list whose contingency the venue keeps: its type, the ids of the other orders,
        the id of the list.

    Raises
    ------
    InputError
        If the engine refuses it.

    """
    kind, takes = _CLASSES[order.type]
    values = _values(order, instrument)
    arguments = {
        "trader_id": desk.trader_id,
        "strategy_id": desk.strategy_id,
        "instrument_id": InstrumentId.from_str(order.instrument),
        "client_order_id": ClientOrderId(name),
        "order_side": OrderSide.from_str(order.side),
        "quantity": Quantity.from_decimal_dp(order.quantity, instrument.size_precision),
        "time_in_force": TimeInForce.from_str(order.time_in_force),
        "reduce_only": order.reduce_only,
        "quote_quantity": order.quote_quantity,
        "init_id": UUID4(),
        "ts_init": desk.clock.timestamp_ns(),
        "tags": list(order.tags) or None,
        **{key: values[key] for key in takes},
    }
    if contingency is not None:
        arguments |= {
            "contingency_type": ContingencyType.from_str(contingency),
            "linked_order_ids": [ClientOrderId(each) for each in linked],
            "order_list_id": OrderListId(group),
        }
    try:
        return kind(**arguments)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(Issue(f"the engine refuses the order: {error}")) from None


def engine_price(value: Any, instrument: Any) -> Price | None:
    """Return the engine's price, of the instrument's precision."""
    return None if value is None else Price.from_decimal_dp(value, instrument.price_precision)


def engine_quantity(value: Any, instrument: Any) -> Quantity | None:
    """Return the engine's quantity, of the instrument's precision."""
    return None if value is None else Quantity.from_decimal_dp(value, instrument.size_precision)


def _values(order: Order, instrument: Any) -> dict[str, Any]:
    until, emulated = order.expire_time, order.emulation_trigger
    return {
        "price": engine_price(order.price, instrument),
        "post_only": order.post_only,
        "trigger_price": engine_price(order.trigger_price, instrument),
        "trigger_type": TriggerType.from_str(order.trigger_type),
        "trailing_offset": order.trailing_offset,
        "trailing_offset_type": TrailingOffsetType.from_str(order.trailing_offset_type),
        "limit_offset": order.limit_offset,
        "activation_price": engine_price(order.activation_price, instrument),
        "expire_time": None if until is None else moment_ns(until, end=True),
        "display_qty": engine_quantity(order.display_quantity, instrument),
        "emulation_trigger": None if emulated is None else TriggerType.from_str(emulated),
    }
