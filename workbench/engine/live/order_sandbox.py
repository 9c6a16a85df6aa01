"""What the sandbox cannot do as it is asked, and how the desk has it done all the same.

Before it takes an order the sandbox looks at the newest quote and trade once more, and while it
does, an order that then changes aborts the process ("RefCell already borrowed"). Two kinds do: a
trailing stop that has not begun to trail yet, and what is left of a MARKET_TO_LIMIT order. So no
such order is left resting where there are quotes or trades: a trailing stop begins to trail the
moment it is accepted, or the node keeps it itself (`emulation_trigger`); a MARKET_TO_LIMIT order
for more than stands at the best price is sent as the LIMIT order it would become.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from nautilus_trader.model import InstrumentId

from workbench.engine.live.order_market import Prices, prices
from workbench.engine.live.order_request import TRAILING, Order


def adapted(order: Order, instrument: Any, found: Prices) -> tuple[Order, list[str]]:
    """Return the order the sandbox is sent, and what was changed.

    Parameters
    ----------
    order
        As asked for, and checked.
    instrument
        The engine's.
    found
        The prices it meets.

    """
    if order.type in TRAILING and order.emulation_trigger is None:
        return _trailing(order, instrument, found)
    if order.type == "MARKET_TO_LIMIT" and (found.quotes or found.trades):
        size, price = found.size(order.side), found.taken(order.side)
        if price is not None and (size is None or order.quantity > size):
            changed = order.model_copy(update={"type": "LIMIT", "price": price})
            note = f"sent as a LIMIT order at {price}: only {size} stand there"
            return changed, [note]
    return order, []


def _trailing(order: Order, instrument: Any, found: Prices) -> tuple[Order, list[str]]:
    given = order.trigger_price is not None or order.activation_price is not None
    if found.quotes or found.trades:
        if given:
            trigger = "LAST_PRICE" if _by_trades(order, found) else "BID_ASK"
            note = f"kept by the node, which triggers it by {trigger}"
            return order.model_copy(update={"emulation_trigger": trigger}), [note]
        kind = "LAST_PRICE" if _by_trades(order, found) else "BID_ASK"
        return order.model_copy(update={"trigger_type": kind}), []
    market = found.taken(order.side)
    if market is None or order.trailing_offset is None:
        return order, []
    # Nothing but bars: the engine asks for prices to begin with.
    start: dict[str, Decimal] = {}
    if order.trigger_price is None:
        start["trigger_price"] = _behind(order, instrument, market, order.trailing_offset)
    if order.limit_offset is not None and order.price is None:
        start["price"] = _behind(order, instrument, market, order.limit_offset)
    return order.model_copy(update=start), []


def _by_trades(order: Order, found: Prices) -> bool:
    return order.trigger_type == "LAST_PRICE" or not found.quotes


def _behind(order: Order, instrument: Any, market: Decimal, offset: Decimal) -> Decimal:
    """Return the price that trails the market by an offset."""
    tick: Decimal = instrument.price_increment.as_decimal()
    match order.trailing_offset_type:
        case "BASIS_POINTS":
            distance = market * offset / 10_000
        case "TICKS":
            distance = offset * tick
        case _:
            distance = offset
    if order.side == "BUY":
        return ((market + distance) / tick).to_integral_value(ROUND_CEILING) * tick
    return ((market - distance) / tick).to_integral_value(ROUND_FLOOR) * tick


def peril(cache: Any, name: InstrumentId) -> str | None:
    """Say why the sandbox would abort if it were sent any order of this instrument now.

    Strategies can leave such orders resting; the desk does not.
    """
    found = prices(cache, name)
    if not (found.quotes or found.trades):
        return None
    for order in cache.orders_open(instrument_id=name):
        kind = order.order_type.name
        asleep = kind in TRAILING and not order.is_activated and order.activation_price is None
        if asleep or kind == "MARKET_TO_LIMIT":
            what = "does not trail yet: wait for a price" if asleep else "rests: cancel it"
            return (
                f"the sandbox takes no order of {name} while {order.client_order_id} of "
                f"{order.strategy_id} {what}"
            )
    return None
