"""What a node measures of itself; every number comes from the engine or the process."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import psutil

from workbench.engine.live.limits import Market, signed
from workbench.engine.live.observe import Recorder

_KEPT = 1_000  # latencies
_NOTED_SECONDS = 10.0


class Telemetry:
    """Samples the node.

    Parameters
    ----------
    recorder
        Takes a sample into the journal every ten seconds.
    cache
        The engine's.
    market
        Prices and notionals.
    equity, feeds
        See the desk.

    """

    def __init__(
        self,
        recorder: Recorder,
        cache: Any,
        market: Market,
        equity: Callable[[], dict[str, Decimal]],
        feeds: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._recorder, self._cache, self._market = recorder, cache, market
        self._equity, self._feeds = equity, feeds
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._started = time.monotonic()
        self._noted = time.monotonic()
        self._made: dict[str, float] = {}
        self._acks: deque[float] = deque(maxlen=_KEPT)
        self._fills: deque[float] = deque(maxlen=_KEPT)
        self._lags: deque[float] = deque(maxlen=_KEPT)
        self._closed: dict[tuple[str, str, str], Decimal] = {}
        self._counts: dict[str, int] = {}

    def noted(self, group: str, what: str, event: Any) -> None:
        """Follow the orders' events for latencies, counts and realised profit."""
        if group == "order":
            self._counts[what] = self._counts.get(what, 0) + 1
            name, now = str(event.client_order_id), time.perf_counter()
            if what == "initialized":
                self._made[name] = now
            elif what == "accepted" and name in self._made:
                self._acks.append(now - self._made[name])
            elif what == "filled" and name in self._made:
                self._fills.append(now - self._made.pop(name))
            elif what in ("denied", "rejected", "canceled", "expired"):
                self._made.pop(name, None)
        elif what == "closed":
            amount = event.realized_pnl
            if amount is not None:
                key = (str(event.strategy_id), str(event.instrument_id), amount.currency.code)
                self._closed[key] = self._closed.get(key, Decimal(0)) + amount.as_decimal()

    def lag(self, seconds: float) -> None:
        """Note how late the engine called a timer."""
        self._lags.append(seconds)

    def look(self) -> None:
        """Take a sample into the journal, if it is time."""
        if time.monotonic() - self._noted >= _NOTED_SECONDS:
            self._noted = time.monotonic()
            self._recorder.journal.append("telemetry", {"data": self.sample()})

    def sample(self) -> dict[str, Any]:
        """Return the sample of now.

        Returns
        -------
        dict
            ``equity`` by currency; ``pnl``, a list by strategy and instrument of ``realized`` and
            ``unrealized`` with their ``currency``; ``exposure`` by instrument (signed notional, its
            currency); ``latency`` in seconds (``ack`` and ``fill``, from the making of an order:
            count, median, p95, max); ``loop_lag`` in seconds; ``feeds``; ``orders`` counted by what
            happened; ``process`` (cpu percent of a core, memory in bytes, threads, uptime).

        """
        with self._process.oneshot():
            process = {
                "pid": os.getpid(),
                "cpu_percent": self._process.cpu_percent(),
                "memory_bytes": self._process.memory_info().rss,
                "threads": self._process.num_threads(),
                "uptime_seconds": time.monotonic() - self._started,
            }
        return {
            "equity": {code: str(value) for code, value in self._equity().items()},
            "pnl": self.pnl(),
            "exposure": self._exposure(),
            "latency": {"ack": _summary(self._acks), "fill": _summary(self._fills)},
            "loop_lag": _summary(self._lags),
            "feeds": self._feeds(),
            "orders": dict(self._counts),
            "process": process,
        }

    def pnl(self) -> list[dict[str, Any]]:
        """Return the profit by strategy and instrument, as in `sample`."""
        realized = dict(self._closed)
        unrealized: dict[tuple[str, str, str], Decimal] = {}
        for position in self._cache.positions_open():
            currency = position.settlement_currency.code
            key = (str(position.strategy_id), str(position.instrument_id), currency)
            if position.realized_pnl is not None:
                gained = position.realized_pnl.as_decimal()
                realized[key] = realized.get(key, Decimal(0)) + gained
            price = self._market.last(position.instrument_id)
            if price is not None:
                open_now = position.unrealized_pnl(price).as_decimal()
                unrealized[key] = unrealized.get(key, Decimal(0)) + open_now
        return [
            {
                "strategy": key[0],
                "instrument": key[1],
                "currency": key[2],
                "realized": str(realized.get(key, Decimal(0))),
                "unrealized": str(unrealized.get(key, Decimal(0))),
            }
            for key in sorted(realized.keys() | unrealized.keys())
        ]

    def _exposure(self) -> dict[str, dict[str, str | None]]:
        found: dict[str, dict[str, str | None]] = {}
        for position in self._cache.positions_open():
            name = position.instrument_id
            price = self._market.price(name)
            if price is not None:
                value = self._market.notional(name, signed(position), price)
                before = Decimal(found.get(str(name), {}).get("notional") or 0)
                found[str(name)] = {
                    "notional": str(before + value),
                    "currency": self._market.currency(name),
                }
        return found


def _summary(values: Sequence[float]) -> dict[str, float | int | None]:
    ordered = sorted(values)
    if not ordered:
        return {"count": 0, "median": None, "p95": None, "max": None}
    return {
        "count": len(ordered),
        "median": ordered[len(ordered) // 2],
        "p95": ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)],
        "max": ordered[-1],
    }
