"""What a node knew before it was restarted, and what of it is there again.

Native nodes get orders, positions and strategy state back from Redis and reconcile them with the
venue before any strategy starts. A replay and a simulated account begin anew: what they held is
told, never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from nautilus_trader.model import ClientOrderId, Currency, CurrencyType

from workbench.core.journal import read
from workbench.engine.live.catchup import Event, catch_up
from workbench.engine.live.limits import signed
from workbench.engine.live.observe import Recorder

_ENDS = {"denied", "rejected", "canceled", "expired"}


class Memory:
    """Orders and positions by the journal, held against the engine's once it runs.

    Parameters
    ----------
    recorder
        Of the node's journal, as it is so far.

    Attributes
    ----------
    cache
        The engine's, once there is one.

    """

    cache: Any

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open: dict[str, Decimal] = {}  # order: units not yet filled
        self._seen: dict[str, set[str]] = {}  # their events
        self._positions: dict[str, Decimal] = {}  # signed units
        self._currencies: dict[str, dict[str, Any]] = {}
        self._known: set[Any] = set()  # instruments whose currencies are noted
        self._told = False
        self._stopped, self._orderly = 0, True  # the last time in order; whether it was the last
        self._recent: list[Event] = []  # of orders, since Redis was known to be complete
        for entry in read(recorder.journal.path):
            group, _, what = entry["type"].partition(".")
            if group == "order" and "data" in entry:
                self._recent.append(entry["data"])
                self._order(what, entry["data"])
            elif entry["type"] == "memory.caught_up":
                self._recent = []
            elif entry["type"] == "lifecycle.stopped":
                self._stopped, self._orderly = entry["ts"], True
            elif entry["type"] == "lifecycle.running":
                self._orderly = False
            elif group == "position":
                self._position(what, entry["data"])
            elif entry["type"] == "memory.lost":
                self._open, self._seen, self._positions = {}, {}, {}
            elif entry["type"] == "memory.restored":
                self._positions = {k: Decimal(v) for k, v in entry["positions"].items()}
            elif entry["type"] == "memory.currencies":
                self._currencies = entry["currencies"]

    def _order(self, what: str, data: dict[str, Any]) -> None:
        name = data["client_order_id"]
        if what == "initialized":
            self._open[name] = Decimal(data["quantity"])
        elif what == "filled" and name in self._open:
            self._open[name] -= Decimal(data["last_qty"])
        if what in _ENDS or self._open.get(name, 1) <= 0:
            self._open.pop(name, None)
            self._seen.pop(name, None)
        elif name in self._open:
            self._seen.setdefault(name, set()).add(data["event_id"])

    def _position(self, what: str, data: dict[str, Any]) -> None:
        if what == "closed":
            self._positions.pop(data["position_id"], None)
        else:
            units = Decimal(data["quantity"]).copy_sign(Decimal(str(data["signed_qty"])))
            self._positions[data["position_id"]] = units

    def catch_up(self, redis: Mapping[str, Any], trader: str) -> None:
        """Write to Redis what it lacks; call before the engine reads it."""
        written = catch_up(redis, trader, self._recent)
        self._recorder.note("memory.caught_up", written=written)

    def register_currencies(self) -> None:
        """Make the engine know the currencies of last time, before it reads its database.

        It drops a position whose coin it does not know, and learns coins from the venue only later.
        """
        for code, values in self._currencies.items():
            kind = CurrencyType.from_str(values["kind"])
            currency = Currency(code, values["precision"], values["iso4217"], values["name"], kind)
            Currency.register(currency, overwrite=False)

    def noted(self, group: str, what: str, event: Any) -> None:
        """Note an instrument's currencies before it is ordered for the first time."""
        if (group, what) == ("order", "initialized"):
            self._note_currencies(event.instrument_id)

    def look(self) -> None:
        """Note the currencies of positions nobody here has ordered."""
        for position in self.cache.positions_open():
            self._note_currencies(position.instrument_id)

    def _note_currencies(self, name: Any) -> None:
        if name in self._known:
            return
        self._known.add(name)
        found, instrument = dict(self._currencies), self.cache.instrument(name)
        if instrument is not None:
            for kind in ("base_currency", "quote_currency", "settlement_currency", "currency"):
                currency = getattr(instrument, kind, None)
                if currency is not None:
                    found[currency.code] = {
                        "precision": currency.precision,
                        "iso4217": currency.iso4217,
                        "name": currency.name,
                        "kind": currency.currency_type.name,
                    }
        if found != self._currencies:
            self._currencies = found
            self._recorder.note("memory.currencies", currencies=found)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not self._open and not self._positions

    def tell(self, *, kept: bool, saves: bool) -> None:
        """Note once, after reconciliation, what is there again, what is not, and what it changed.

        Parameters
        ----------
        kept
            Whether orders and positions have a memory: a venue, or Redis.
        saves
            Whether the strategy's own state has one; the engine saves it when it stops in order.

        """
        cache = self.cache
        if self._told or (self.empty and not cache.orders() and not cache.positions_open()):
            self._told = True
            return
        self._told = True
        orders = {str(each.client_order_id) for each in cache.orders_open()}
        positions = {str(each.id): signed(each) for each in cache.positions_open()}
        changes = [
            *(_ended(name, cache) for name in sorted(self._open.keys() - orders)),
            *(f"order {name} was not known" for name in sorted(orders - self._open.keys())),
            *self._changed(positions),
        ]
        if saves and not self._orderly and self._stopped:
            at = datetime.fromtimestamp(self._stopped / 1e9, UTC)
            changes.append(f"the strategy's own state is that of {at:%Y-%m-%d %H:%M:%S} UTC")
        content = {"orders": sorted(orders), "positions": {k: str(v) for k, v in positions.items()}}
        if not kept:
            if not self.empty:
                self._recorder.note("memory.lost", content, changes=changes)
            return
        for event in sorted(self._unseen(self._open.keys() | orders), key=attrgetter("ts_event")):
            self._recorder.past(event)
        self._recorder.note("memory.restored", content, changes=changes)

    def _unseen(self, orders: Iterable[str]) -> Iterator[Any]:
        """Yield the events of orders that the journal has not heard of."""
        for name in sorted(orders):
            order = self.cache.order(ClientOrderId(name))
            for event in order.events() if order is not None else ():
                if str(event.event_id) not in self._seen.get(name, ()):
                    yield event

    def _changed(self, now: dict[str, Decimal]) -> Iterable[str]:
        for name, units in sorted(self._positions.items()):
            if now.get(name, Decimal(0)) != units:
                yield f"position {name} was {units}, is {now.get(name, Decimal(0))}"
        for name in sorted(now.keys() - self._positions.keys()):
            yield f"position {name} is {now[name]}, and was not known"


def _ended(name: str, cache: Any) -> str:
    order = cache.order(ClientOrderId(name))
    if order is None:
        return f"order {name} is no longer known"
    if order.is_inflight:
        return f"order {name} was sent, and the venue has not answered yet"
    return f"order {name} is {order.status.name}: {order.filled_qty} of {order.quantity} filled"
