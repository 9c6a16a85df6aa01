"""What a node does not know for certain of its orders and positions, and how it finds out.

What a venue tells while a socket is down is never told again. So after each reconnection every
order that may still change is asked for. An order the venue has not answered is asked for again and
again, and not taken for dead, for it may live there, until the venue has said more than once that
it does not know it. Positions that differ from the venue's for long are told, and the engine then
brings its own into line.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.common import SocketState
from nautilus_trader.core import UUID4
from nautilus_trader.model import OrderRejected

from workbench.engine.live.control import Operation
from workbench.engine.live.observe import Recorder

_AFTER_SECONDS = (0.5, 3.0)  # after a reconnection: soon, and once more
_MARKET_DATA = ("data", "market", "public")  # in the names of connections that carry no orders
_ASK_SECONDS = 5.0
_SHORT_SECONDS = 1.0
_LONG_SECONDS = 15.0
_ANSWERS = 2  # of the venue that it does not know an order, before that is believed
_UNKNOWN = re.compile(r"Order not found: client_order_id=([^,\s]+)")
_DIFFERENCE = re.compile(
    r"Position discrepancy detected for (\S+): cached_signed_qty=(\S+), venue_signed_qty=(\S+)"
)


class Doubts:
    """Looks after what is uncertain.

    Parameters
    ----------
    desk
        Asks for orders.
    strategies
        By id: told if an order never arrived.
    gone
        Takes up such orders: the engine shows them as sent until the next start.
    recorder
        Of the node's journal.
    alert
        Raises an alert: its name, and what was found.
    breach
        The same, and does what the risk policy says.

    """

    def __init__(
        self,
        desk: Any,
        strategies: Mapping[str, Any],
        gone: set[str],
        recorder: Recorder,
        *,
        alert: Callable[[str, str], Any],
        breach: Callable[[str, str], Any],
    ) -> None:
        self._desk, self._strategies, self._gone = desk, strategies, gone
        self._recorder = recorder
        self._alert, self._breach = alert, breach
        self._down: set[str] = set()
        self._due: list[float] = []
        self._asked: dict[str, float] = {}
        self._told: set[str] = set()
        self._unknown: dict[str, int] = {}
        self._began = time.time_ns()

    def socket(self, event: Any) -> None:
        """Note a connection that came or went."""
        name = f"{event.client_id} {event.endpoint}"
        if event.state == SocketState.DISCONNECTED:
            self._down.add(name)
            self._recorder.note("feed.disconnected", connection=name)
        elif name in self._down:
            self._down.discard(name)
            self._recorder.note("feed.reconnected", connection=name)
            if not any(word in event.endpoint for word in _MARKET_DATA):
                now = time.monotonic()
                self._due = [now + seconds for seconds in _AFTER_SECONDS]

    def heard(self, message: str) -> None:
        """Take in a line of the engine's log."""
        if found := _DIFFERENCE.match(message):
            instrument, mine, theirs = found.groups()
            self._breach("position_mismatch", f"{instrument}: {mine} here, {theirs} at the venue")

    def look(self) -> None:
        """Ask for what is due."""
        now, cache = time.monotonic(), self._desk.cache
        waiting = _named(cache.orders_inflight())
        if self._due and now >= self._due[0]:
            del self._due[0]
            for name, order in (_named(cache.orders_open()) | waiting).items():
                self._ask(name, order, now)
        for name in self._gone:
            waiting.pop(name, None)
        for name, order in waiting.items():
            self._look_after(name, order, now)
        for name in self._told - waiting.keys():
            self._told.discard(name)
            self._recorder.note("risk.recovered", limit="unanswered", of=name)
        self._asked = {name: at for name, at in self._asked.items() if name in waiting}

    def _look_after(self, name: str, order: Any, now: float) -> None:
        """Ask for an order without an answer; believe the venue if it never knew it."""
        age = (self._desk.clock.timestamp_ns() - order.ts_last) / 1e9
        # What an earlier process sent is on its way no more.
        patience = _SHORT_SECONDS if order.ts_last < self._began else _ASK_SECONDS
        if age < patience:
            return
        if order.status.name == "SUBMITTED" and self._unknown.get(name, 0) >= _ANSWERS:
            self._never_arrived(name, order)
        elif now - self._asked.get(name, 0.0) > patience:
            self._ask(name, order, now)
        if age > _LONG_SECONDS and name not in self._told | self._gone:
            self._told.add(name)
            self._alert("unanswered", f"the venue has not answered order {name} in {age:.0f} s")

    def _never_arrived(self, name: str, order: Any) -> None:
        self._gone.add(name)
        now = self._desk.clock.timestamp_ns()
        event = OrderRejected(
            order.trader_id,
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.account_id,
            "the venue never received it",
            UUID4(),
            now,
            now,
            reconciliation=True,
        )
        owner = self._strategies.get(str(order.strategy_id))
        if owner is None:
            self._recorder.event(event)
        else:
            owner.on_order_rejected(event)
            owner.on_order_event(event)

    def operations(self) -> dict[str, Operation]:
        """Return what the control channel may ask for."""
        return {"ledger": lambda _: self.ledger()}

    def ledger(self) -> dict[str, Any]:
        """Return every order the node knows and what is uncertain, as plain JSON values.

        Returns
        -------
        dict
            ``orders`` by client order id (``status``, ``quantity``, ``filled``), ``unanswered``
            and ``never_arrived``, lists of them, and ``disconnected``, a list of connections.

        """
        cache = self._desk.cache
        return {
            "orders": {
                str(order.client_order_id): {
                    "status": order.status.name,
                    "quantity": str(order.quantity),
                    "filled": str(order.filled_qty),
                }
                for order in cache.orders()
            },
            "unanswered": sorted(_named(cache.orders_inflight()).keys() - self._gone),
            "never_arrived": sorted(self._gone),
            "disconnected": sorted(self._down),
        }

    def _ask(self, name: str, order: Any, now: float) -> None:
        self._asked[name] = now
        self._desk.query_order(order)


def _named(orders: list[Any]) -> dict[str, Any]:
    return {str(order.client_order_id): order for order in orders}
