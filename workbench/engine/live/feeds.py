"""What a node listens to at its venues, and when it last heard of each.

A feed whose task has died leaves the engine RUNNING without data, and one that never began looks
the same. So each strategy runs as a subclass made at load time whose subscriptions are noted, and
the time at which something came in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nautilus_trader.trading import Strategy

from workbench.core.errors import choices
from workbench.engine.live.replay import Tape
from workbench.study import Study

# What is subscribed to, the handler that hears of it, and what of it names the subscription.
_KINDS = {
    "quotes": ("on_quote", "instrument_id"),
    "trades": ("on_trade", "instrument_id"),
    "bars": ("on_bar", "bar_type"),
    "book_deltas": ("on_book_deltas", "instrument_id"),
    "book_depth": ("on_book_depth", "instrument_id"),
}


@dataclass(slots=True)
class Feed:
    """One subscription.

    Attributes
    ----------
    name
        Such as ``quotes BTCUSDT-LINEAR.BYBIT``.
    since
        When it was subscribed to; by the monotonic clock, which nobody sets.
    every_s
        How far apart its rows are by their nature: the step of bars, else 0.
    rows, heard
        How many came in, and when the last.

    """

    name: str
    since: float
    every_s: float = 0.0
    rows: int = 0
    heard: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values; ``age_s`` counts from its beginning if nothing came."""
        return {
            "name": self.name,
            "age_s": round(time.monotonic() - (self.heard or self.since), 3),
            "every_s": self.every_s,
            "rows": self.rows,
        }


@dataclass(slots=True)
class Feeds:
    """The feeds of a node: its replay, or what its strategies subscribe to.

    Attributes
    ----------
    tape
        What is replayed; None where nothing is.

    """

    tape: Tape | None = None
    _feeds: dict[tuple[str, str], Feed] = field(default_factory=dict)

    def begin(self, kind: str, what: Any) -> None:
        """Note a subscription."""
        spec = getattr(what, "spec", None)
        step = spec.get_interval_ns() / 1e9 if spec and spec.is_time_aggregated() else 0.0
        key = kind, str(what)
        self._feeds.setdefault(key, Feed(f"{kind} {what}", time.monotonic(), step))

    def end(self, kind: str, what: Any) -> None:
        """Note the end of a subscription."""
        self._feeds.pop((kind, str(what)), None)

    def hear(self, kind: str, what: Any) -> None:
        """Note that something came in."""
        feed = self._feeds.get((kind, str(what)))
        if feed is not None:
            feed.rows += 1
            feed.heard = time.monotonic()

    def to_list(self) -> list[dict[str, Any]]:
        """Return each feed's name, age and position as plain JSON values."""
        if (tape := self.tape) is None:
            return [feed.to_dict() for feed in self._feeds.values()]
        return [
            {
                "name": "replay",
                "age_s": round(time.monotonic() - tape.heard, 3) if tape.heard else None,
                "rows": tape.played,
                "of": tape.rows,
                "at_ns": tape.last_ns,
                "paused": tape.paused,
                "ended": tape.ended,
            }
        ]


def unknown(study: Study, cache: Any) -> str | None:
    """Say which of a study's instruments the venue does not have; None if it has all.

    Adapters that load a venue's instruments have done so before strategies start. Of a venue
    without any nothing can be said.
    """
    for spec in study.data:
        venue = spec.instrument.rpartition(".")[2]
        known = [name for name in map(str, cache.instrument_ids()) if name.endswith(f".{venue}")]
        if known and spec.instrument not in known:
            return f"the feed does not know {spec.instrument}. {choices(spec.instrument, known)}"
    return None


def followed(
    strategy: type[Strategy], feeds: Feeds, may_start: Callable[[], bool]
) -> type[Strategy]:
    """Return a subclass of `strategy` whose subscriptions and data are noted in `feeds`.

    It starts only if `may_start` says so.
    """

    def on_start(self: Any) -> None:
        if may_start():
            strategy.on_start(self)

    members: dict[str, Any] = {
        "on_start": on_start, "__module__": strategy.__module__, "__doc__": strategy.__doc__,
    }  # fmt: skip
    for kind, (handler, name) in _KINDS.items():
        members[f"subscribe_{kind}"] = _noting(strategy, f"subscribe_{kind}", feeds.begin, kind)
        members[f"unsubscribe_{kind}"] = _noting(strategy, f"unsubscribe_{kind}", feeds.end, kind)
        members[handler] = _hearing(strategy, handler, feeds, kind, name)
    return type(strategy.__name__, (strategy,), members)


def _noting(
    strategy: type[Strategy], name: str, note: Callable[[str, Any], None], kind: str
) -> Callable[..., Any]:
    act = getattr(strategy, name)

    def call(self: Any, what: Any, *args: Any, **named: Any) -> Any:
        note(kind, what)
        return act(self, what, *args, **named)

    call.__name__ = name
    return call


def _hearing(
    strategy: type[Strategy], name: str, feeds: Feeds, kind: str, key: str
) -> Callable[..., Any]:
    handler = getattr(strategy, name)

    def hear(self: Any, data: Any) -> Any:
        feeds.hear(kind, getattr(data, key))
        return handler(self, data)

    hear.__name__ = name
    return hear
