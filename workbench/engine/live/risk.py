"""What people and programs may do about risk: look, change limits, halt, resume, flatten."""

from __future__ import annotations

import math
from typing import Any

from nautilus_trader.model import OrderSide

from workbench.core.errors import InputError, Issue
from workbench.engine.live.control import Operation
from workbench.engine.live.guard import Guard
from workbench.engine.live.watch import Watchman

_OVERDUE_NS = 5 * 10**9


class Flattener:
    """Cancels every order and closes every position, and goes on until nothing is open.

    Parameters
    ----------
    desk
        Cancels orders, whosesoever they are.
    strategies
        The node's strategies by id: each closes its own positions.
    guard
        Lets the closing orders pass.

    """

    def __init__(self, desk: Any, strategies: dict[str, Any], guard: Guard) -> None:
        self._desk, self._strategies, self._guard = desk, strategies, guard
        self._under_way = False

    def start(self, reason: str) -> None:
        """Begin."""
        self._guard.recorder.note("risk.flatten", reason=reason)
        self._under_way = True
        cache = self._desk.cache
        orders = [*cache.orders_open(), *cache.orders_emulated(), *cache.orders_inflight()]
        for name in dict.fromkeys(str(order.client_order_id) for order in orders):
            order = next(each for each in orders if str(each.client_order_id) == name)
            if not order.is_closed and not order.is_pending_cancel:
                self._desk.cancel_order(order.client_order_id)
        self._close()

    def look(self) -> None:
        """Close what is still open; called now and then."""
        if not self._under_way or self._expected():
            return
        if not self._open() and not self._desk.cache.orders_open():
            self._under_way = False
            self._guard.recorder.note("risk.flat")
        else:
            self._close()

    def _expected(self) -> bool:
        """Whether an answer of the venue may still come; one that is long overdue may never."""
        now = self._desk.clock.timestamp_ns()
        return any(now - each.ts_last < _OVERDUE_NS for each in self._desk.cache.orders_inflight())

    def _close(self) -> None:
        def act() -> None:
            for position in self._open():
                owner = self._strategies.get(str(position.strategy_id))
                if owner is not None:
                    owner.close_position(position, reduce_only=True)
                else:  # of nobody here: the venue nets what the desk sends against it
                    side = OrderSide.SELL if position.side.name == "LONG" else OrderSide.BUY
                    order = self._desk.order_factory.market(
                        position.instrument_id, side, position.quantity, reduce_only=True
                    )
                    self._desk.submit_order(order)

        self._guard.closing(act)

    def _open(self) -> list[Any]:
        """Return the open positions of instruments that are not flat in sum."""
        market = self._guard.limits.market
        return [
            position
            for position in self._desk.cache.positions_open()
            if market.position(position.instrument_id)
        ]


def operations(guard: Guard, watch: Watchman, flattener: Flattener) -> dict[str, Operation]:
    """Return what the control channel may ask for."""

    def show(_: dict[str, Any]) -> dict[str, Any]:
        limits = guard.limits.risk.model_dump(mode="json")
        return {
            "state": guard.state,
            "reason": guard.reason,
            "limits": limits,
            "used": watch.used(),
            "alerts": [alert.to_dict() for alert in watch.alerts],
        }

    def change(request: dict[str, Any]) -> dict[str, Any]:
        value = request.get("value")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(Issue("is no number", "value"))
        watch.set_limit(str(request.get("limit")), value, _who(request))
        return show(request)

    def halt(request: dict[str, Any]) -> dict[str, Any]:
        guard.set_state("halted", _reason(request), _who(request))
        return show(request)

    def reduce_only(request: dict[str, Any]) -> dict[str, Any]:
        guard.set_state("reduce_only", _reason(request), _who(request))
        return show(request)

    def resume(request: dict[str, Any]) -> dict[str, Any]:
        guard.set_state("active", "", _who(request))
        return show(request)

    def flatten(request: dict[str, Any]) -> dict[str, Any]:
        reason = _reason(request)
        flattener.start(f"{reason} ({_who(request)})")
        if request.get("halt"):
            guard.set_state("halted", reason, _who(request))
        return show(request)

    def alive(_: dict[str, Any]) -> str:
        watch.alive()
        return "alive"

    def acknowledge(request: dict[str, Any]) -> dict[str, Any]:
        number = request.get("number")
        if not isinstance(number, int):
            raise InputError(Issue("is the number of an alert", "number"))
        return watch.acknowledge(number, _who(request)).to_dict()

    return {
        "risk_show": show,
        "risk_set": change,
        "risk_halt": halt,
        "risk_reduce_only": reduce_only,
        "risk_resume": resume,
        "risk_flatten": flatten,
        "risk_alive": alive,
        "risk_acknowledge": acknowledge,
    }


def _who(request: dict[str, Any]) -> str:
    who = request.get("who")
    if not isinstance(who, str) or not who.strip():
        raise InputError(Issue("is missing: whoever asks has a name", "who"))
    return who[:100]


def _reason(request: dict[str, Any]) -> str:
    return str(request.get("reason") or "on request")[:1000]
