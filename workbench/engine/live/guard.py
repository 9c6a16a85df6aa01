"""The guard: who may trade now, and the limits every order is held against before it leaves.

Every strategy and the desk run as subclasses made at load time (`guarded`): their orders pass here
first. The engine's own limits stand behind it, but they can neither be changed while it runs nor
stop a strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from nautilus_trader.core import UUID4
from nautilus_trader.model import OrderDenied
from nautilus_trader.trading import Strategy

from workbench.engine.live.limits import Limits, signed
from workbench.engine.live.observe import Recorder

State = Literal["active", "reduce_only", "halted"]


@dataclass(slots=True)
class Guard:
    """The state of trading.

    Attributes
    ----------
    limits
        Held against every order.
    recorder
        Takes down refusals and changes of state.
    state
        ``active``, ``reduce_only`` or ``halted``.
    reason
        Why it is not active.

    """

    limits: Limits
    recorder: Recorder
    state: State = "active"
    reason: str = ""
    # Set while the guard itself closes positions: those orders must pass.
    _closing: bool = field(default=False, repr=False)

    def refusal(self, order: Any) -> str | None:
        """Say why an order may not leave; None if it may."""
        if self._closing:
            return None
        if self.state == "halted":
            return f"trading is halted: {self.reason}"
        if self.state == "reduce_only" and not self._reduces(order):
            return f"only orders that reduce a position may leave: {self.reason}"
        return self.limits.refusal(order)

    def change_refusal(self, order: Any, quantity: Any, price: Any) -> str | None:
        """Say why an order may not be changed like that; None if it may."""
        if self._closing:
            return None
        if self.state != "active":
            return f"no order may be changed: {self.reason}"
        return self.limits.change_refusal(order, quantity, price)

    def set_state(self, state: State, reason: str, who: str) -> None:
        """Change who may trade; journaled with who did it."""
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self.recorder.note(f"risk.{state}", reason=reason, who=who)

    def to_dict(self) -> dict[str, str]:
        """Return who may trade, and why not everybody."""
        return {"state": self.state, "reason": self.reason}

    def closing(self, act: Callable[[], None]) -> None:
        """Do something whose orders pass every limit: closing what is open."""
        self._closing = True
        try:
            act()
        finally:
            self._closing = False

    def denied(self, strategy: Any, order: Any, reason: str) -> None:
        """Tell a strategy that its order did not leave, as the engine tells its own denials."""
        self.recorder.note(
            "risk.denied",
            strategy=str(strategy.strategy_id),
            client_order_id=str(order.client_order_id),
            instrument=str(order.instrument_id),
            reason=reason,
            at=self.recorder.position(),
            order={
                "instrument_id": str(order.instrument_id),
                "order_side": order.side.name,
                "order_type": order.order_type.name,
                "quantity": str(order.quantity),
                "price": str(order.price) if getattr(order, "price", None) else None,
            },
        )
        now = strategy.clock.timestamp_ns()
        event = OrderDenied(
            strategy.trader_id,
            strategy.strategy_id,
            order.instrument_id,
            order.client_order_id,
            reason,
            UUID4(),
            now,
            now,
        )
        strategy.on_order_denied(event)
        strategy.on_order_event(event)

    def _reduces(self, order: Any) -> bool:
        if order.is_reduce_only:
            return True
        held = sum(signed(each) for each in self.limits.market.positions(order.instrument_id))
        against = order.side.name == ("SELL" if held > 0 else "BUY")
        return bool(held) and against and order.quantity.as_decimal() <= abs(held)


def guarded(strategy: type[Strategy], guard: Guard) -> type[Strategy]:
    """Return a subclass of `strategy` whose orders pass `guard` before they leave."""

    def submit_order(self: Any, order: Any, *args: Any, **named: Any) -> None:
        if reason := guard.refusal(order):
            guard.denied(self, order, reason)
        else:
            strategy.submit_order(self, order, *args, **named)

    def submit_order_list(self: Any, order_list: Any, *args: Any, **named: Any) -> None:
        orders = getattr(order_list, "orders", order_list)
        # One that may not leave keeps all of them: half a bracket protects nothing.
        reasons = [reason for order in orders if (reason := guard.refusal(order))]
        if reasons:
            for order in orders:
                guard.denied(self, order, reasons[0])
        else:
            strategy.submit_order_list(self, order_list, *args, **named)

    def modify_order(
        self: Any,
        client_order_id: Any,
        quantity: Any = None,
        price: Any = None,
        *args: Any,
        **named: Any,
    ) -> None:
        order = self.cache.order(client_order_id)
        reason = guard.change_refusal(order, quantity, price) if order is not None else None
        if reason:
            guard.recorder.note(
                "risk.change_refused", client_order_id=str(client_order_id), reason=reason
            )
        else:
            strategy.modify_order(self, client_order_id, quantity, price, *args, **named)

    def unless_halted(name: str) -> Callable[..., Any]:
        """Close positions, which reduces; when trading is halted not even that."""
        act = getattr(strategy, name)

        def call(self: Any, *args: Any, **named: Any) -> None:
            if guard.state == "halted" and not guard._closing:
                guard.recorder.note(
                    "risk.denied", strategy=str(self.strategy_id), reason=f"{name}: {guard.reason}"
                )
            else:
                act(self, *args, **named)

        call.__name__ = name
        return call

    members: dict[str, Any] = {
        "submit_order": submit_order,
        "submit_order_list": submit_order_list,
        "modify_order": modify_order,
        **{
            name: unless_halted(name)
            for name in ("close_position", "close_all_positions", "market_exit")
        },
        "__module__": strategy.__module__,
        "__doc__": strategy.__doc__,
    }
    return type(strategy.__name__, (strategy,), members)
