"""Taking down what the engine does: every event of every strategy goes into the journal.

The engine's message bus delivers no native events to Python, so each strategy runs as a subclass
made at load time whose event handlers note the event before the strategy's own see it. What no
strategy is told, the account's state, is looked at by a timer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from nautilus_trader.trading import Strategy

from workbench.core.journal import Journal

_MONEY = {"filled", "submitted", "accepted", "canceled", "expired", "updated", "triggered"}


_AWAITING = {"initialized", "submitted", "pending_update", "pending_cancel", "released"}


class Recorder:
    """Writes the engine's events to the journal.

    Parameters
    ----------
    journal
        Of the node.

    Attributes
    ----------
    awaited
        Orders that something is still to happen to at once: on their way to the venue, or market
        orders without their fill.
    position
        Returns the time of the row a replay has come to; None where nothing is replayed.
    listeners
        Called with group, what happened and the event, such as ``order``, ``filled``.

    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.awaited: set[str] = set()
        self.position: Callable[[], int | None] = lambda: None
        self.listeners: list[Callable[[str, str, Any], None]] = []
        self._markets: set[str] = set()
        self._accounts: dict[str, Any] = {}

    def note(self, kind: str, content: dict[str, Any] | None = None, **more: Any) -> None:
        """Note something of the node's own; on the disk when this returns."""
        self.journal.append(kind, (content or {}) | more, durable=True)

    def event(self, event: Any) -> None:
        """Note one of the engine's events."""
        group, what = _names(event)
        if group == "order":
            self._await(str(event.client_order_id), what, event)
        # An order that only exists in memory is no money yet.
        durable = group == "position" or what in _MONEY
        content: dict[str, Any] = {"data": event_values(event)}
        if what == "initialized" and (at := self.position()) is not None:
            content["at"] = at
        self.journal.append(f"{group}.{what}", content, durable=durable)
        for listener in self.listeners:  # what they do comes after it in the journal too
            listener(group, what, event)

    def past(self, event: Any) -> None:
        """Note an event of the time before the node ran: reconciliation told of it."""
        self.journal.append(".".join(_names(event)), {"data": event_values(event)})

    def _await(self, order: str, what: str, event: Any) -> None:
        if what == "initialized" and event.order_type.name == "MARKET":
            self._markets.add(order)
        if what in _AWAITING or (what == "accepted" and order in self._markets):
            self.awaited.add(order)
        else:
            self.awaited.discard(order)
            self._markets.discard(order)

    def accounts(self, cache: Any, venues: Sequence[Any]) -> None:
        """Note the state of each venue's account that has changed since the last look."""
        for venue in venues:
            account = cache.account_for_venue(venue)
            event = account.last_event if account else None
            if event is not None and self._accounts.get(str(account.id)) != event.event_id:
                self._accounts[str(account.id)] = event.event_id
                self.journal.append("account.state", {"data": event_values(event)}, durable=True)


def _names(event: Any) -> tuple[str, str]:
    """Return group and what happened: ``order`` and ``filled`` for ``OrderFilled``."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    group, _, what = name.partition("_")
    return group, what


def event_values(event: Any) -> dict[str, Any]:
    """Return an engine event as plain JSON values."""
    if hasattr(event, "to_dict"):
        values = event.to_dict()
    else:  # events of positions have none
        names = [name for name in dir(event) if not name.startswith("_")]
        values = {name: item for name in names if not callable(item := getattr(event, name))}
    plain: dict[str, Any] = _plain(values)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return str(value)


def observed(strategy: type[Strategy], recorder: Recorder) -> type[Strategy]:
    """Return a subclass of `strategy` whose events are noted before its own handlers see them."""

    def noted(name: str) -> Callable[[Any, Any], Any]:
        handler = getattr(strategy, name)

        def note(self: Any, event: Any) -> Any:
            recorder.event(event)
            return handler(self, event)

        note.__name__ = name
        return note

    members: dict[str, Any] = {
        name: noted(name) for name in ("on_order_event", "on_position_event")
    }
    members |= {"__module__": strategy.__module__, "__doc__": strategy.__doc__}
    return type(strategy.__name__, (strategy,), members)
