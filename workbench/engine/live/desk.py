"""The desk: the strategy in every node that carries out what people and programs ask for."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    BarType,
    BookType,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    StrategyId,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from workbench.core.errors import InputError, Issue, choices
from workbench.engine.live.control import Control, Later, Operation
from workbench.engine.live.observe import Recorder
from workbench.engine.live.replay import Tape
from workbench.study import Study

DESK = "DESK-DESK"
# Nodes that run on a loop of Python's are woken by each command; the others look for themselves.
_DRAIN = dt.timedelta(milliseconds=20)
_DRAIN_WOKEN = dt.timedelta(milliseconds=100)
_LOOK = dt.timedelta(milliseconds=500)
_MOST_STEPS = 10_000
_STEP_SECONDS = 10.0


class Desk(Strategy):
    """Runs the control channel and looks at the node from inside."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id=StrategyId(DESK)))

    def equip(
        self,
        study: Study,
        recorder: Recorder,
        tape: Tape | None,
        control: Control,
        looks: Sequence[Callable[[], None]],
        on_error: Callable[[str], None],
        on_lag: Callable[[float], None],
        on_started: Callable[[], None],
        feeds: Callable[[], list[dict[str, Any]]],
        on_socket: Callable[[Any], None],
    ) -> None:
        """Hand over what it works with; call before the node runs.

        `looks` are called twice a second on the engine's thread, `on_error` if one of them raises,
        `on_lag` with the seconds a timer was late, `on_started` once reconciliation is done,
        `on_socket` when a connection comes or goes. `feeds` returns the feeds as status shows them.
        """
        self._study, self._recorder, self._tape, self._control = study, recorder, tape, control
        self._looks, self._on_error, self._on_lag = looks, on_error, on_lag
        self._on_started, self._feeds, self._on_socket = on_started, feeds, on_socket
        self._counting: Tape | None = None
        self._priced: set[str] = set()

    def on_start(self) -> None:
        """Say what is there again after a restart, start its timers."""
        self._on_started()
        drain = _DRAIN
        if self._tape is not None:
            self._follow(self._tape)
            if (loop := self._tape.loop) is not None:
                self._control.wake = lambda: loop.call_soon_threadsafe(self._control.drain)
                drain = _DRAIN_WOKEN
        else:
            self.subscribe_socket_state()
            self._want_prices()
        self.clock.set_timer("desk-drain", drain, callback=self._drain)
        self.clock.set_timer("desk-look", _LOOK, callback=lambda _: self._look())

    def on_socket_state(self, event: Any) -> None:
        """Pass on that a connection came or went."""
        self._on_socket(event)

    def _drain(self, event: Any) -> None:
        self._on_lag((self.clock.timestamp_ns() - event.ts_event) / 1e9)
        self._control.drain()

    def _follow(self, tape: Tape) -> None:
        """Count the rows the engine passes on: the replay waits for each."""
        for spec in self._study.data:
            instrument = InstrumentId.from_str(spec.instrument)
            match spec.kind:
                case "bars":
                    self.subscribe_bars(BarType.from_str(spec.identity))
                case "quotes":
                    self.subscribe_quotes(instrument)
                case "trades":
                    self.subscribe_trades(instrument)
                case "order_book_depths":
                    self.subscribe_book_depth(instrument, BookType.L2_MBP)
        self._counting = tape

    def _want_prices(self) -> None:
        """Ask for quotes of whatever is traded or held.

        A strategy on daily bars hears of no price for a day after it was started again: until then
        the engine would refuse every market order, those that close a position among them.
        """
        names = {spec.instrument for spec in self._study.data}
        names |= {str(each.instrument_id) for each in self.cache.positions_open()}
        for name in sorted(names - self._priced):
            instrument = InstrumentId.from_str(name)
            if self.cache.instrument(instrument) is not None:
                self._priced.add(name)
                self.subscribe_quotes(instrument)

    def _count(self) -> None:
        if self._counting is not None:
            self._counting.seen += 1

    def on_bar(self, bar: Any) -> None:  # noqa: ARG002
        """Count it."""
        self._count()

    def on_quote(self, quote: Any) -> None:  # noqa: ARG002
        """Count it."""
        self._count()

    def on_trade(self, trade: Any) -> None:  # noqa: ARG002
        """Count it."""
        self._count()

    def on_book_depth(self, depth: Any) -> None:  # noqa: ARG002
        """Count it."""
        self._count()

    def on_stop(self) -> None:
        """Cancel its timers: their channel closes before they would end by themselves."""
        for name in ("desk-drain", "desk-look"):
            self.clock.cancel_timer(name)

    def operations(self) -> dict[str, Operation]:
        """Return what the control channel may ask for."""
        return {
            "ping": lambda _: "pong",
            "status": lambda _: self.status(),
            "pause_feed": lambda _: self._pause(paused=True),
            "resume_feed": lambda _: self._pause(paused=False),
            "step_feed": self._step,
            "market_status": self._market,
        }

    def status(self) -> dict[str, Any]:
        """Return state, money, positions, orders and feeds as plain JSON values."""
        cache = self.cache
        return {
            "pid": os.getpid(),
            "trader": str(self.trader_id),
            "equity": {code: str(value) for code, value in self.equity().items()},
            "positions": [_position(each) for each in cache.positions_open()],
            "orders": [_order(each) for each in cache.orders_open()],
            "orders_total": len(cache.orders()),
            "feeds": self.feeds(),
            "strategies": sorted({str(each.strategy_id) for each in cache.orders()}),
        }

    def equity(self) -> dict[str, Decimal]:
        """Return the equity by currency, marked to market."""
        totals: dict[str, Decimal] = {}
        for venue in self._study.venues:
            for currency, money in self.portfolio.equity(Venue(venue.name)).items():
                totals[currency.code] = totals.get(currency.code, Decimal(0)) + money.as_decimal()
        return totals

    def feeds(self) -> list[dict[str, Any]]:
        """Return each feed's name, age and position."""
        return self._feeds()

    def _pause(self, *, paused: bool) -> dict[str, Any]:
        if self._tape is not None:
            self._tape.pause(paused=paused)
        self._recorder.note("feed.paused" if paused else "feed.resumed")
        return {"paused": paused}

    def _step(self, request: dict[str, Any]) -> Later:
        rows, tape = request.get("rows", 1), self._tape
        if tape is None or not tape.paused:
            raise InputError(Issue("only a replay that is paused can go row by row"))
        if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= _MOST_STEPS:
            raise InputError(Issue(f"is a whole number from 1 to {_MOST_STEPS:,}", "rows"))
        return Later(
            tape.step(rows), _STEP_SECONDS, lambda: {"rows": tape.played, "ended": tape.ended}
        )

    def _market(self, request: dict[str, Any]) -> dict[str, Any]:
        """Halt, close or open a replayed market, to rehearse it."""
        known = {str(each.id): each.id for each in self._tape.instruments} if self._tape else {}
        name, status = str(request.get("instrument")), str(request.get("status")).upper()
        variants: Any = MarketStatusAction.variants()
        actions = {each.name: each for each in variants}
        if self._tape is None or self._tape.ended or name not in known:
            raise InputError(
                Issue(f"nothing replays '{name}'. {choices(name, known)}", "instrument")
            )
        if status not in actions:
            raise InputError(Issue(f"no status '{status}'. {choices(status, actions)}", "status"))
        now = self.clock.timestamp_ns()
        self._tape.tell(InstrumentStatus(known[name], actions[status], now, now))
        return {"instrument": name, "status": status}

    def _look(self) -> None:
        looks = self._looks if self._tape else (*self._looks, self._want_prices)
        for look in looks:
            try:
                look()
            except Exception as error:
                self._recorder.note("node.error", reason=f"{type(error).__name__}: {error}")
                self._on_error(f"internal error: {error}")
        self._recorder.accounts(self.cache, [Venue(venue.name) for venue in self._study.venues])


def _order(order: Any) -> dict[str, Any]:
    values = order.to_dict()
    return {
        "client_order_id": str(order.client_order_id),
        "venue_order_id": str(order.venue_order_id) if order.venue_order_id else None,
        "strategy": str(order.strategy_id),
        "instrument": str(order.instrument_id),
        "type": order.order_type.name,
        "side": order.side.name,
        "quantity": str(order.quantity),
        "filled": str(order.filled_qty),
        "price": _text(values.get("price")),
        "trigger_price": _text(values.get("trigger_price")),
        "status": order.status.name,
    }


def _position(position: Any) -> dict[str, Any]:
    return {
        "id": str(position.id),
        "strategy": str(position.strategy_id),
        "instrument": str(position.instrument_id),
        "side": position.side.name,
        "quantity": str(position.quantity),
        "signed": position.signed_qty,
        "entry_price": position.avg_px_open,
        "realized_pnl": str(position.realized_pnl) if position.realized_pnl else None,
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
