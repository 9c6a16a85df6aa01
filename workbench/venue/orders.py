"""Reading order requests: what Bybit takes, and its answers to what it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workbench.venue.model import Contract, Refusal, Side, text

CATEGORY = "linear"

_NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)
_LINK = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
_TRIGGERS = ("LastPrice", "MarkPrice", "IndexPrice")
_TIFS = ("GTC", "IOC", "FOK", "PostOnly")
# What the practice venue has no engine for is refused: an order without its stop is another order.
_NOT_OFFERED = (
    "takeProfit", "stopLoss", "tpTriggerPrice", "slTriggerPrice", "tpLimitPrice", "slLimitPrice",
    "bboSideType", "bboLevel", "slippageTolerance", "orderIv", "mmp",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A request for a new order whose form is right."""

    link: str
    symbol: str
    side: Side
    type: Any
    quantity: Decimal
    price: Decimal | None
    tif: Any
    reduce_only: bool
    close_on_trigger: bool
    trigger: Decimal | None
    direction: int
    trigger_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a request to amend an order asks for; None for what stays."""

    quantity: Decimal | None
    price: Decimal | None
    trigger: Decimal | None


def mistake(message: str) -> Refusal:
    """Return Bybit's refusal of a wrong parameter."""
    return Refusal(10001, message)


def check_category(params: Mapping[str, Any]) -> None:
    """Refuse a category the venue does not trade."""
    category = params.get("category", CATEGORY)
    if category not in ("linear", "spot", "inverse", "option"):
        raise mistake(f"params error: category invalid: {shown(category)}")
    if category != CATEGORY:
        raise mistake(f"the practice venue trades linear contracts only, not {category}")


def contract_of(params: Mapping[str, Any], contracts: Mapping[str, Contract]) -> Contract:
    """Return the contract a request names."""
    symbol = params.get("symbol")
    found = contracts.get(symbol) if isinstance(symbol, str) else None
    if found is None:
        raise mistake(f"params error: symbol invalid {shown(symbol)}")
    return found


def read_draft(params: Mapping[str, Any], contract: Contract) -> Draft:
    """Read a request for a new order.

    Raises
    ------
    Refusal
        If it is not one Bybit would take, or asks for what the venue does not offer.

    """
    _check_offered(params)
    side = params.get("side")
    if side not in ("Buy", "Sell"):
        raise mistake(f"Side invalid: {shown(side)}")
    kind = params.get("orderType")
    if kind not in ("Market", "Limit"):
        raise mistake(f"OrderType invalid: {shown(kind)}")
    tif = params.get("timeInForce") or "GTC"
    if tif not in _TIFS:
        raise mistake(f"TimeInForce invalid: {shown(tif)}")
    reduce_only = _flag(params, "reduceOnly")
    close_on_trigger = _flag(params, "closeOnTrigger")
    trigger = _price(params, "triggerPrice", contract)
    direction, trigger_by = 0, ""
    if trigger is not None:
        direction = _whole(params, "triggerDirection")
        if direction not in (1, 2):
            raise mistake("TriggerDirection invalid")
        trigger_by = params.get("triggerBy") or "LastPrice"
        if trigger_by not in _TRIGGERS:
            raise mistake(f"TriggerBy invalid: {shown(trigger_by)}")
    price = _price(params, "price", contract) if kind == "Limit" else None
    if kind == "Limit" and price is None:
        raise mistake("Price invalid: a limit order needs one")
    all_of_it = reduce_only and close_on_trigger
    quantity = _quantity(params, contract, zero=all_of_it)
    assert quantity is not None
    value = price if price is not None else trigger
    if value is not None and not (reduce_only or close_on_trigger):
        check_notional(contract, quantity, value)
    link = params.get("orderLinkId") or ""
    if link and not (isinstance(link, str) and _LINK.fullmatch(link)):
        raise mistake(f"OrderLinkId invalid: {shown(link)}")
    return Draft(
        link, contract.symbol, side, kind, quantity, price,
        "IOC" if kind == "Market" else tif,
        reduce_only, close_on_trigger, trigger, direction, trigger_by,
    )  # fmt: skip


def read_change(params: Mapping[str, Any], contract: Contract) -> Change:
    """Read a request to amend an order."""
    _check_offered(params)
    return Change(
        _quantity(params, contract) if "qty" in params else None,
        _price(params, "price", contract),
        _price(params, "triggerPrice", contract),
    )


def check_notional(contract: Contract, quantity: Decimal, price: Decimal) -> None:
    """Refuse an order of too little value."""
    if quantity * price < contract.min_notional:
        least = text(contract.min_notional)
        raise Refusal(110094, f"Order does not meet minimum order value {least}USDT")


def shown(value: Any) -> str:
    """Return what a request held, short enough for an answer."""
    return repr(value)[:60]


def _check_offered(params: Mapping[str, Any]) -> None:
    if wanted := [name for name in _NOT_OFFERED if params.get(name) not in (None, "", "0", False)]:
        raise mistake(f"the practice venue does not offer {', '.join(wanted)}")
    if _whole(params, "positionIdx") != 0:
        raise mistake("position idx not match position mode")


def _number(params: Mapping[str, Any], name: str, what: str) -> Decimal | None:
    value = params.get(name)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise mistake(f"{what} invalid: {shown(value)}")
    return Decimal(value)


def _price(params: Mapping[str, Any], name: str, contract: Contract) -> Decimal | None:
    what = name[0].upper() + name[1:]
    price = _number(params, name, what)
    if not price:  # Bybit's clients write 0 for none
        return None
    if price % contract.tick:
        raise mistake(f"{what} invalid: {text(price)} is no multiple of {text(contract.tick)}")
    return price


def _quantity(
    params: Mapping[str, Any], contract: Contract, *, zero: bool = False
) -> Decimal | None:
    quantity = _number(params, "qty", "Qty")
    if quantity is None:
        raise mistake("Qty invalid: it is missing")
    if not quantity and zero:
        return quantity
    if quantity < contract.step:
        raise mistake(f"The number of contracts exceeds minimum limit allowed: {text(quantity)}")
    if quantity > contract.max_quantity:
        raise mistake(f"The number of contracts exceeds maximum limit allowed: {text(quantity)}")
    if quantity % contract.step:
        raise mistake(f"Qty invalid: {text(quantity)} is no multiple of {text(contract.step)}")
    return quantity


def _flag(params: Mapping[str, Any], name: str) -> bool:
    value = params.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise mistake(f"{name} invalid: {shown(value)}")


def _whole(params: Mapping[str, Any], name: str) -> int:
    value = params.get(name, 0)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise mistake(f"{name} invalid: {shown(value)}")
    return value
