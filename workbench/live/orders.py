"""Orders by hand: placed, changed, cancelled and listed on a running node.

::

    from workbench import live

    node = live.node("ema-cross")
    live.orders.submit(
        node,
        {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 100, "type": "LIMIT", "price": 95},
    )

What an order may say is in ``docs/orders.md``.
"""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from workbench.live.handle import NoAnswer, Node

WAIT_SECONDS = 1.0

Number = Decimal | float | str
"""A price or quantity; text and `Decimal` say exactly what is meant."""


def submit(
    node: Node,
    order: Mapping[str, Any],
    *,
    wait: float = WAIT_SECONDS,
    who: str | None = None,
) -> dict[str, Any]:
    """Place an order, or several that belong together.

    Parameters
    ----------
    node
        A running node.
    order
        One order; or ``{"contingency": "OCO" | "OTO" | "OUO", "orders": [...]}``; or ``{"bracket":
        {"entry": ..., "take_profit": ..., "stop_loss": ...}}``. Asked for again under its
        ``client_order_id`` it is not placed again.
    wait
        Seconds to wait until the venue has answered.
    who
        For the journal; default: the user of this process.

    Returns
    -------
    dict
        ``client_order_id``, ``status`` (``accepted``, ``filled``, ``submitted``, ``denied``,
        ``rejected``, ...), ``reason``, ``filled``, ``average_price``, ``warnings`` and all
        ``orders``.

    Raises
    ------
    InputError
        If it is refused: every reason, with the path of the value in the request.
    NoAnswer
        If the node does not answer; the message says under which id to ask again.
    WorkbenchError
        If it does not run.

    """
    # An id of this side's own: whoever got no answer can ask again without a second order.
    named = dict(order)
    if _named(named).get("client_order_id") is None:
        named["client_order_id"] = f"D{uuid.uuid4().hex[:21]}"
    try:
        found: dict[str, Any] = node.ask(
            "order_submit", order=plain(named), wait=wait, who=who or _me(), timeout=wait + 15
        )
    except NoAnswer as error:
        name = _named(named)["client_order_id"]
        hint = f"whether it was placed is not known: ask again with client_order_id '{name}'"
        raise NoAnswer(f"{error}; {hint}") from None
    return found


def abilities(node: Node) -> list[dict[str, Any]]:
    """Return what may be ordered of each instrument the node's study trades.

    Returns
    -------
    list of dict
        By instrument: ``types``, each with the keys it ``needed`` and ``optional`` has and its
        ``times`` in force; ``triggers``, ``emulations``, ``contingencies`` the venue keeps itself;
        increments and smallest and largest quantity; the ``market`` now (``bid``, ``ask``,
        ``last``, ``closed`` with the reason).

    """
    found: dict[str, Any] = node.ask("order_abilities")
    instruments: list[dict[str, Any]] = found["instruments"]
    return instruments


def preview(node: Node, order: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `submit` would send and what it would cost, and send nothing.

    Returns
    -------
    dict
        ``orders``, each with what the venue would be sent and an ``estimate`` of ``price``,
        ``notional``, ``fees`` and ``margin``; ``warnings``.

    Raises
    ------
    InputError
        If it would be refused.

    """
    found: dict[str, Any] = node.ask("order_preview", order=plain(dict(order)))
    return found


def modify(
    node: Node,
    client_order_id: str,
    *,
    quantity: Number | None = None,
    price: Number | None = None,
    trigger_price: Number | None = None,
    wait: float = WAIT_SECONDS,
    who: str | None = None,
) -> dict[str, Any]:
    """Change an open order, also one of a strategy.

    Returns
    -------
    dict
        The order's ``status``, whether it was ``changed`` and, if not, the ``reason``.

    Raises
    ------
    InputError
        If the change is refused.

    """
    wanted = {"quantity": quantity, "price": price, "trigger_price": trigger_price}
    found: dict[str, Any] = node.ask(
        "order_modify",
        client_order_id=client_order_id,
        wait=wait,
        who=who or _me(),
        timeout=wait + 15,
        **plain({key: value for key, value in wanted.items() if value is not None}),
    )
    return found


def cancel(
    node: Node, client_order_id: str, *, wait: float = WAIT_SECONDS, who: str | None = None
) -> dict[str, Any]:
    """Cancel an order, also one of a strategy; with a group's id all of its orders.

    Returns
    -------
    dict
        ``client_order_id``, ``status`` and ``reason``.

    Raises
    ------
    InputError
        If there is no such order.

    """
    found: dict[str, Any] = node.ask(
        "order_cancel",
        client_order_id=client_order_id,
        wait=wait,
        who=who or _me(),
        timeout=wait + 15,
    )
    return found


def cancel_all(
    node: Node,
    *,
    instrument: str | None = None,
    side: str | None = None,
    strategy: str | None = None,
    wait: float = WAIT_SECONDS,
    who: str | None = None,
) -> dict[str, Any]:
    """Cancel every open order, or those of an instrument, a side or a strategy.

    Returns
    -------
    dict
        ``cancelled``, how many, and all ``orders`` that were meant.

    """
    found: dict[str, Any] = node.ask(
        "order_cancel_all",
        instrument=instrument,
        side=side,
        strategy=strategy,
        wait=wait,
        who=who or _me(),
        timeout=wait + 15,
    )
    return found


def list_(
    node: Node,
    *,
    closed: bool = False,
    instrument: str | None = None,
    side: str | None = None,
    strategy: str | None = None,
) -> list[dict[str, Any]]:
    """Return the open orders and those that wait for another; with `closed` also the others."""
    found: dict[str, Any] = node.ask(
        "order_list", all=closed, instrument=instrument, side=side, strategy=strategy
    )
    orders: list[dict[str, Any]] = found["orders"]
    return orders


def plain(value: Any) -> Any:
    """Return what JSON can say: decimals and moments as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _named(order: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a request that has its id."""
    bracket = order.get("bracket")
    entry = bracket.get("entry") if isinstance(bracket, Mapping) else None
    has_own = isinstance(entry, Mapping) and entry.get("client_order_id") is not None
    return dict(entry) if has_own and isinstance(entry, Mapping) else order


def _me() -> str:
    return getpass.getuser()
