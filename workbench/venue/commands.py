"""The order commands, the same over HTTP and on the trade socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.venue.exchange import Exchange
from workbench.venue.model import Order, Refusal
from workbench.venue.orders import CATEGORY, check_category, mistake

COMMANDS = (
    "order.create",
    "order.amend",
    "order.cancel",
    "order.create-batch",
    "order.amend-batch",
    "order.cancel-batch",
)
"""What the trade socket calls them; over HTTP ``/v5/order/create`` and so on."""

_BATCH = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command is answered with: ``result``, ``retCode``, ``retMsg`` and ``retExtInfo``."""

    result: dict[str, Any]
    code: int = 0
    message: str = "OK"
    extra: dict[str, Any] = field(default_factory=dict)

    def head(self) -> dict[str, Any]:
        """Return all but the result."""
        return {"retCode": self.code, "retMsg": self.message, "retExtInfo": self.extra}


class Commands:
    """Runs order commands on the exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._single: dict[str, Callable[[Mapping[str, Any]], Order]] = {
            "create": exchange.create,
            "amend": exchange.amend,
            "cancel": exchange.cancel,
        }

    def run(self, command: str, params: Mapping[str, Any]) -> Answer:
        """Run one of `COMMANDS`."""
        verb, _, batch = command.removeprefix("order.").partition("-")
        try:
            return self._batch(verb, params) if batch else self._one(verb, params)
        except Refusal as refusal:
            return Answer({}, refusal.code, refusal.message)

    def _one(self, verb: str, params: Mapping[str, Any]) -> Answer:
        if "category" not in params:
            raise mistake("params error: category is required")
        order = self._single[verb](params)
        return Answer({"orderId": order.id, "orderLinkId": order.link})

    def _batch(self, verb: str, params: Mapping[str, Any]) -> Answer:
        check_category(params)
        requests = params.get("request")
        if not isinstance(requests, list) or not 1 <= len(requests) <= _BATCH:
            raise mistake(f"params error: request must be a list of 1 to {_BATCH} orders")
        results, codes = [], []
        for each in requests:
            if not isinstance(each, dict):
                raise mistake("params error: request must be a list of orders")
            result = {
                "category": CATEGORY,
                "symbol": each.get("symbol", ""),
                "orderId": "",
                "orderLinkId": each.get("orderLinkId", ""),
            }
            try:
                order = self._single[verb]({**each, "category": CATEGORY})
            except Refusal as refusal:
                codes.append({"code": refusal.code, "msg": refusal.message})
            else:
                result |= {"orderId": order.id, "orderLinkId": order.link}
                if verb == "create":
                    result["createAt"] = str(order.created)
                codes.append({"code": 0, "msg": "OK"})
            results.append(result)
        return Answer({"list": results}, extra={"list": codes})
