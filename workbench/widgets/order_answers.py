"""What a node says to an order, as HTML: what it would cost, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from workbench.backtest.glossary import NONE
from workbench.widgets.live_html import number, table
from workbench.widgets.look import notice

_WELL = ("filled", "partially_filled", "accepted", "triggered", "submitted", "emulated", "held")
_SAID = {
    "filled": "filled", "partially_filled": "filled in part", "accepted": "accepted by the venue",
    "triggered": "triggered", "submitted": "sent, not answered yet", "canceled": "cancelled",
    "emulated": "kept by the node until its price comes", "held": "waits for another order",
    "denied": "denied: it did not leave the node", "rejected": "rejected by the venue",
    "expired": "expired", "dropped": "dropped", "lost": "lost with the simulated venue",
    "unknown": "unknown: ask again",
}  # fmt: skip


def preview(answer: Mapping[str, Any]) -> str:
    """Return what an order would cost."""
    rows = []
    for each in answer["orders"]:
        cost = each["estimate"]
        waits = '<span class="chip">waits</span> ' if each["waits"] else ""
        rows.append(
            f'<tr><th scope="row" class="left">{waits}{escape(each["side"])} '
            f"{number(each['quantity'])} {escape(each['type'])}</th>"
            f"<td>{number(cost['price'])}</td>"
            + "".join(f"<td>{_money(cost[key])}</td>" for key in ("notional", "fees", "margin"))
            + "</tr>"
        )
    heads = ("<Order", "Price", "Notional", "Fees", "Margin")
    warned = (
        notice("warning", "Before you place it", answer["warnings"]) if answer["warnings"] else ""
    )
    listed = table(heads, rows, label="What it would cost")
    return f'<div class="cost"><h3>What it would cost</h3>{listed}</div>{warned}'


def placed(answer: Mapping[str, Any]) -> str:
    """Return what became of the orders that were placed."""
    orders: Sequence[Mapping[str, Any]] = answer["orders"]
    well = all(each["status"] in _WELL for each in orders)
    first = answer["orders"][0]
    title = f"{first['client_order_id']}: {_SAID.get(first['status'], first['status'])}"
    lines = [line for each in orders if (line := _line(each, alone=len(orders) == 1))]
    return notice("good" if well else "failure", title, [*lines, *answer["warnings"]])


def _line(order: Mapping[str, Any], *, alone: bool) -> str:
    words = [] if alone else [f"{order['client_order_id']}: {_SAID.get(order['status'], '')}"]
    if order["average_price"] is not None:
        words.append(f"{number(order['filled'])} at {number(order['average_price'])}")
    if order["reason"]:
        words.append(str(order["reason"]))
    return ", ".join(words)


def cancelled(answer: Mapping[str, Any]) -> str:
    """Return what became of an order that was to be cancelled."""
    name, status, reason = answer["client_order_id"], answer["status"], answer["reason"]
    well = status in ("canceled", "dropped")
    return notice(
        "good" if well else "failure",
        f"{name} is {_SAID.get(status, status)}",
        [str(reason)] if reason else [],
    )


def market(offer: Mapping[str, Any]) -> str:
    """Return the prices of an instrument."""
    found = offer["market"]
    prices = [
        f'<span class="muted">{name}</span> <b>{number(found[key])}</b>'
        for key, name in (("bid", "bid"), ("ask", "ask"), ("last", "last"))
        if found[key] is not None
    ]
    told = " &nbsp; ".join(prices) or '<span class="muted">no price yet</span>'
    shut = f'<span class="age old">{escape(found["closed"])}</span>' if found["closed"] else ""
    where = f'<span class="muted">{escape(offer["venue"])}, {escape(offer["currency"])}</span>'
    return f'<div class="head">{told} {where} {shut}</div>'


def _money(text: str | None) -> str:
    if text is None:
        return NONE
    amount, _, code = text.partition(" ")
    return f"{number(Decimal(amount))} {escape(code)}"
