"""What happened in a run, taken from the engine's cache as plain columns.

Prices and quantities are floats (a decimal of up to 15 digits survives the trip), times are UNIX
nanoseconds; the digest is made of the engine's own exact text.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import OrderFilled

from workbench.study import Study
from workbench.study.fields import split_money

type Columns = dict[str, list[Any]]

ORDERS = (
    "client_order_id", "instrument", "strategy", "side", "type", "quantity", "filled_qty", "price",
    "trigger_price", "avg_px", "time_in_force", "status", "reduce_only", "post_only", "ts_init",
    "ts_last", "reason",
)  # fmt: skip
FILLS = (
    "ts", "client_order_id", "trade_id", "position_id", "instrument", "side", "order_type",
    "quantity", "price", "commission", "currency", "liquidity",
)  # fmt: skip
POSITIONS = (
    "position_id", "instrument", "side", "quantity", "avg_open", "avg_close", "realized_pnl",
    "currency", "realized_return", "commission", "ts_opened", "ts_closed", "duration_s",
)  # fmt: skip
EQUITY = ("ts", "currency", "equity")


def _columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Columns:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    return dict(zip(names, columns, strict=True))


def _number(value: Any) -> float | None:
    return None if value is None else float(str(value))


def _sequence(client_order_id: str) -> tuple[int, str]:
    tail = client_order_id.rpartition("-")[2]
    return (int(tail) if tail.isdecimal() else 0, client_order_id)


def ordered(orders: Iterable[Any]) -> list[Any]:
    """Sort orders by time, then by the number in their id: the cache keeps no order."""
    return sorted(
        orders,
        key=lambda order: (order.ts_init, *_sequence(str(order.client_order_id))),
    )


def orders(found: Sequence[Any]) -> Columns:
    """Return one row per order."""
    return _columns(
        ORDERS,
        (
            (
                str(order.client_order_id),
                str(order.instrument_id),
                str(order.strategy_id),
                order.side.name,
                order.order_type.name,
                _number(order.quantity),
                _number(order.filled_qty),
                _number(getattr(order, "price", None)),
                _number(getattr(order, "trigger_price", None)),
                _number(order.avg_px),
                order.time_in_force.name,
                order.status.name,
                order.is_reduce_only,
                bool(getattr(order, "is_post_only", False)),
                order.ts_init,
                order.ts_last,
                _reason(order),
            )
            for order in found
        ),
    )


def _reason(order: Any) -> str:
    if order.status.name in ("DENIED", "REJECTED", "CANCELED", "EXPIRED"):
        return str(getattr(order.last_event, "reason", None) or "")
    return ""


def fill_events(found: Sequence[Any]) -> list[Any]:
    """Return the fills of sorted orders, in time."""
    events = [
        (event.ts_event, rank, index, event)
        for rank, order in enumerate(found)
        for index, event in enumerate(order.events())
        if type(event) is OrderFilled
    ]
    events.sort(key=lambda item: item[:3])
    return [item[3] for item in events]


def fills(events: Iterable[Any], final: dict[str, str]) -> tuple[Columns, str]:
    """Return one row per fill, and the digest of the run.

    The digest is SHA-256 over every fill and the `final` balances, in the engine's exact text. Ids
    the engine draws at random (of events, of trades) are left out; ids it counts are in.
    """
    digest = hashlib.sha256()
    rows = []
    for event in events:
        order_id, instrument = str(event.client_order_id), str(event.instrument_id)
        side, kind = event.order_side.name, event.order_type.name
        quantity, price = str(event.last_qty), str(event.last_px)
        commission, liquidity = event.commission, event.liquidity_side.name
        exact = (
            f"{event.ts_event} {order_id} {instrument} {side} {kind} {quantity} {price} "
            f"{commission} {liquidity}\n"
        )
        digest.update(exact.encode())
        rows.append(
            (
                event.ts_event, order_id, str(event.trade_id), str(event.position_id or ""),
                instrument, side, kind, float(quantity), float(price),
                commission.as_double() if commission else 0.0,
                commission.currency.code if commission else "", liquidity,
            )
        )  # fmt: skip
    digest.update(json.dumps(final, sort_keys=True).encode())
    return _columns(FILLS, rows), digest.hexdigest()


def positions(cache: Any) -> Columns:
    """Return one row per round trip: closed, replaced (netting) or still open."""
    found = [*cache.position_snapshots(), *cache.positions()]
    found.sort(key=lambda position: (position.ts_opened, position.ts_closed or 2**63))
    return _columns(POSITIONS, (_position(position) for position in found))


def _position(position: Any) -> tuple[Any, ...]:
    closed = position.is_closed
    pnl = position.realized_pnl
    commissions = [money.as_double() for money in position.commissions()]
    # A snapshot's id ends in a random UUID: the id before it is the one orders refer to.
    name = str(position.id)
    if len(name) > 37 and name[-37] == "-" and name[-36:].count("-") == 4:
        name = name[:-37]
    return (
        name,
        str(position.instrument_id),
        "LONG" if position.entry.name == "BUY" else "SHORT",
        _number(position.peak_qty),
        position.avg_px_open,
        position.avg_px_close if closed else None,
        pnl.as_double() if pnl is not None else None,
        pnl.currency.code if pnl is not None else "",
        position.realized_return if closed else None,
        sum(commissions),
        position.ts_opened,
        position.ts_closed if closed else None,
        position.duration_ns / 1e9 if closed else None,
    )


def equity(samples: Iterable[tuple[int, str, float]]) -> Columns:
    """Return the equity curve, one row per look and currency."""
    return _columns(EQUITY, samples)


def _text(totals: dict[str, Decimal]) -> dict[str, str]:
    return {currency: f"{totals[currency]:f}" for currency in sorted(totals)}


def balances(portfolio: Any, venues: Iterable[Any]) -> dict[str, str]:
    """Return the final balance by currency, summed over the venues' accounts."""
    totals: dict[str, Decimal] = {}
    for venue in venues:
        account = portfolio.account(venue)
        if account is not None:
            for currency, money in account.balances_total().items():
                totals[currency.code] = totals.get(currency.code, Decimal(0)) + money.as_decimal()
    return _text(totals)


def equity_end(portfolio: Any, venues: Iterable[Any]) -> dict[str, str]:
    """Return the final equity by currency: balances and open positions at the last price."""
    totals: dict[str, Decimal] = {}
    for venue in venues:
        for currency, money in portfolio.equity(venue).items():
            totals[currency.code] = totals.get(currency.code, Decimal(0)) + money.as_decimal()
    return _text(totals)


def starting(study: Study) -> dict[str, str]:
    """Return the starting balance by currency, summed over the venues."""
    totals: dict[str, Decimal] = {}
    for venue in study.venues:
        for balance in venue.balances:
            amount, currency = split_money(balance)
            totals[currency] = totals.get(currency, Decimal(0)) + amount
    return _text(totals)
