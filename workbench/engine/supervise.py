"""The base every strategy runs under: a subclass made at load time.

NautilusTrader logs an exception raised in a handler and carries on; the run then "succeeds". Here
the first one is kept with its traceback and stops the run. Progress and cancel need a clock inside
the run, because the engine does not return before its end and does not heed SIGINT: an actor's
timer looks at both and samples the equity on the way.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nautilus_trader.common import Clock, DataActor
from nautilus_trader.model import Venue
from nautilus_trader.trading import Strategy

HANDLERS = tuple(name for name in dir(Strategy) if name.startswith("on_"))
REGISTRATIONS = tuple(name for name in dir(Strategy) if name.startswith("register_indicator_for_"))

MAX_TEXT = 20_000


def clean(text: str) -> str:
    """Make any exception's text fit to be kept: no lone surrogates, no megabytes."""
    text = text.strip().encode("utf-8", "backslashreplace").decode()
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]}\n... {len(text) - MAX_TEXT:,} characters ...\n{text[-half:]}"


@dataclass(slots=True)
class Failure:
    """The first exception of a run.

    Attributes
    ----------
    where
        The handler it was raised in, such as ``on_bar``; None while there is none.
    message
        ``ValueError: what it said``.
    trace
        The traceback, from the user's handler downwards.

    """

    where: str | None = None
    message: str = ""
    trace: str = ""
    at_ns: int | None = None

    def record(self, where: str, error: BaseException, at_ns: int | None = None) -> None:
        """Keep `error` if it is the first."""
        if self.where is None:
            # The first frame is the guard itself.
            inner = error.__traceback__.tb_next if error.__traceback__ else None
            self.where, self.at_ns = where, at_ns
            self.message = clean("".join(traceback.format_exception_only(error)))
            self.trace = clean("".join(traceback.format_exception(type(error), error, inner)))

    def note(self, where: str, message: str) -> None:
        """Keep an exception known only by what was written of it, if it is the first."""
        if self.where is None:
            self.where, self.message = where, message

    @property
    def text(self) -> str:
        """What the user reads: where, then the traceback."""
        if not self.trace:
            return f"{self.where}: {self.message}"
        return f"{self.where} raised {self.message}\n\n{self.trace}"


def supervised(strategy: type[Strategy], failure: Failure) -> type[Strategy]:
    """Return a subclass of `strategy` whose handlers report their exceptions to `failure`.

    Only handlers the strategy defines are wrapped: a wrapper costs 0.1 us an event.
    """
    members: dict[str, Any] = {"__module__": strategy.__module__, "__doc__": strategy.__doc__}
    for name in HANDLERS:
        handler = getattr(strategy, name)
        if handler is not getattr(Strategy, name):
            members[name] = _guard(handler, name, failure)

    for name in REGISTRATIONS:
        members[name] = _guard_indicators(getattr(strategy, name), failure)

    def clock(self: Any) -> Any:
        return _GuardedClock(strategy.clock.__get__(self), self, failure)

    members["clock"] = property(clock)
    return type(strategy.__name__, (strategy,), members)


def guard_instance(strategy: Strategy, failure: Failure) -> None:
    """Guard the handlers a strategy has put on itself (``self.on_bar = ...``)."""
    own = vars(strategy)
    for name in HANDLERS:
        if callable(own.get(name)):
            own[name] = _guard_call(strategy, own[name], name, failure)


def _guard(handler: Callable[..., Any], name: str, failure: Failure) -> Callable[..., Any]:
    def guarded(self: Any, *args: Any) -> Any:
        try:
            return handler(self, *args)
        except BaseException as error:
            _stop(self, name, error, failure)
            raise

    guarded.__name__ = name
    return guarded


def _guard_call(
    strategy: Any, call: Callable[..., Any], where: str, failure: Failure
) -> Callable[..., Any]:
    def guarded(*args: Any) -> Any:
        try:
            return call(*args)
        except BaseException as error:
            _stop(strategy, where, error, failure)
            raise

    return guarded


def _guard_indicators(register: Callable[..., Any], failure: Failure) -> Callable[..., Any]:
    """Guard the indicators written in Python as they are registered; native ones cannot raise."""

    def registering(self: Any, source: Any, indicator: Any) -> Any:
        for name in ("handle_bar", "handle_quote_tick", "handle_trade_tick"):
            call = getattr(indicator, name, None)
            if callable(call) and hasattr(indicator, "__dict__"):
                where = f"indicator {type(indicator).__name__}.{name}"
                setattr(indicator, name, _guard_call(self, call, where, failure))
        return register(self, source, indicator)

    return registering


def _stop(strategy: Any, where: str, error: BaseException, failure: Failure) -> None:
    failure.record(where, error, strategy.clock.timestamp_ns())
    strategy.shutdown_system(f"{where} raised {type(error).__name__}")


class _GuardedClock:
    """The strategy's clock; callbacks of its timers are guarded like handlers."""

    __slots__ = ("_clock", "_failure", "_strategy")

    def __init__(self, clock: Clock, strategy: Any, failure: Failure) -> None:
        self._clock, self._strategy, self._failure = clock, strategy, failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def _guarded(self, callback: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
        if callback is None:
            return None
        name = f"timer callback {getattr(callback, '__name__', 'callback')}"
        return _guard_call(self._strategy, callback, name, self._failure)

    def set_timer(self, *args: Any, **kwargs: Any) -> None:
        self._clock.set_timer(*self._swap(args, 4), **self._named(kwargs))

    def set_timer_ns(self, *args: Any, **kwargs: Any) -> None:
        self._clock.set_timer_ns(*self._swap(args, 4), **self._named(kwargs))

    def set_time_alert(self, *args: Any, **kwargs: Any) -> None:
        self._clock.set_time_alert(*self._swap(args, 2), **self._named(kwargs))

    def set_time_alert_ns(self, *args: Any, **kwargs: Any) -> None:
        self._clock.set_time_alert_ns(*self._swap(args, 2), **self._named(kwargs))

    def _swap(self, args: tuple[Any, ...], position: int) -> tuple[Any, ...]:
        if len(args) <= position:
            return args
        return (*args[:position], self._guarded(args[position]), *args[position + 1 :])

    def _named(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        if "callback" in kwargs:
            kwargs["callback"] = self._guarded(kwargs["callback"])
        return kwargs


@dataclass(slots=True)
class Watch:
    """What the observer is to look at and what it saw.

    Attributes
    ----------
    start_ns, end_ns, interval_ns
        Simulated time of the run and between two looks.
    venues
        Whose equity is sampled.
    on_progress
        Called with the share done, at most ten times a second of wall time.
    should_stop
        Asked at each look.
    samples
        ``(ts_ns, currency, equity)``.

    """

    start_ns: int
    end_ns: int
    interval_ns: int
    venues: list[Venue]
    on_progress: Callable[[float], None]
    should_stop: Callable[[], bool]
    samples: list[tuple[int, str, float]] = field(default_factory=list)
    stopped: bool = False


class Observer(DataActor):
    """Looks at the run from inside: progress, cancel, equity."""

    def watch(self, watch: Watch, portfolio: Any) -> None:
        """Set what to look at; call before the run."""
        self._watch, self._portfolio, self._last = watch, portfolio, 0.0

    def on_start(self) -> None:
        """Start the timer, on whole multiples of the interval."""
        watch = self._watch
        first = -(-watch.start_ns // watch.interval_ns) * watch.interval_ns
        first = max(first, watch.start_ns + 1)
        if first >= watch.end_ns:  # the engine refuses such a timer
            return
        self.clock.set_timer_ns(
            "workbench-observer",
            watch.interval_ns,
            start_time_ns=first,
            stop_time_ns=watch.end_ns,
            callback=self.look,
        )

    def look(self, event: Any) -> None:
        """Sample the equity, tell the progress, heed a cancel."""
        watch = self._watch
        sample(watch, self._portfolio, event.ts_event)
        now = time.monotonic()
        if now - self._last >= 0.1:
            self._last = now
            span = max(watch.end_ns - watch.start_ns, 1)
            watch.on_progress((event.ts_event - watch.start_ns) / span)
        if not watch.stopped and watch.should_stop():
            watch.stopped = True
            self.shutdown_system("cancelled by the user")


def sample(watch: Watch, portfolio: Any, ts_ns: int) -> None:
    """Add the equity at `ts_ns`, summed over the venues."""
    totals: dict[str, float] = {}
    for venue in watch.venues:
        for currency, money in portfolio.equity(venue).items():
            totals[currency.code] = totals.get(currency.code, 0.0) + money.as_double()
    watch.samples += [(ts_ns, code, total) for code, total in totals.items()]
