"""When a market is open: trading calendars and clocks, and what a series should hold by them.

The calendars are those of ``exchange_calendars``, by the venue's MIC. A clock needs no calendar:
crypto venues never close, and currencies trade from Sunday to Friday, 17:00 in New York.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.core.errors import InputError, choices
from workbench.data.intervals import Interval
from workbench.data.timezones import Zone
from workbench.study.currencies import PRECISION

ALWAYS, FX = "24/7", "24/5"
_DAY = 86_400 * 10**9
_MINUTE = 60 * 10**9
_MOST_PHASES = 100
_FAR = 130 * 365 * _DAY  # no calendar says what the sessions of the next century are

_CRYPTO = {
    "BINANCE", "BINANCE_US", "BITFINEX", "BITGET", "BITMEX", "BITSTAMP", "BYBIT", "COINBASE",
    "DERIBIT", "DERIVE", "DYDX", "GATEIO", "HUOBI", "HYPERLIQUID", "KRAKEN", "KUCOIN", "LIGHTER",
    "OKX", "POLYMARKET", "UPBIT",
}  # fmt: skip
_CRYPTO_TYPES = ("crypto_", "perpetual_", "tokenized_")
# Venues of the engine's and of data vendors that keep another market's hours.
_SAME_HOURS = {
    "GLBX": "CMES", "XCME": "CMES", "XCBT": "CMES", "XNYM": "CMES", "XCEC": "CMES",
    "EQUS": "XNYS", "XBOS": "XNYS", "XPSX": "XNYS", "BATY": "XNYS", "EDGA": "XNYS",
    "EDGX": "XNYS", "IEXG": "XNYS", "MEMX": "XNYS", "EPRL": "XNYS", "XCIS": "XNYS",
    "DBEQ": "XNYS", "OPRA": "XNYS",
}  # fmt: skip
# The library's calendar of the CME's futures knows days, not pauses. Local time: out and back in,
# and the last day of it.
_CME_ZONE = "America/Chicago"
_CME_PAUSES = (("16:00", "17:00", "2262-01-01"), ("15:15", "15:30", "2021-06-27"))


def calendar_name(
    instrument: str, instrument_type: str | None, chosen: Mapping[str, str]
) -> str | None:
    """Return the calendar an instrument trades by, None where none is known.

    Parameters
    ----------
    instrument
        Such as ``AAPL.XNAS``.
    instrument_type
        The engine's folder of it (``crypto_perpetual``) where the catalog has it.
    chosen
        Calendars the user chose, by venue.

    """
    symbol, _, venue = instrument.rpartition(".")
    if venue in chosen:
        return chosen[venue]
    if venue in _CRYPTO or (instrument_type or "").startswith(_CRYPTO_TYPES):
        return ALWAYS
    if instrument_type == "currency_pair" or (instrument_type is None and "/" in symbol):
        codes = symbol.split("/") if "/" in symbol else [symbol[:3], symbol[3:]]
        return FX if all(map(_is_fiat, codes)) else ALWAYS
    if venue in _SAME_HOURS:
        return _SAME_HOURS[venue]
    return venue if venue in _library() else None


def check_calendars(chosen: Mapping[str, str]) -> None:
    """Refuse calendars that do not exist.

    Raises
    ------
    InputError
        Naming the nearest one that does.

    """
    known = sorted({ALWAYS, FX, *_library()})
    for venue, name in chosen.items():
        if name not in known:
            raise InputError(f"no calendar '{name}' for {venue}. {choices(name, known)}")


def _is_fiat(code: str) -> bool:
    # The engine gives currencies of states at most two decimals, and metals too.
    return PRECISION.get(code, 8) <= 2


@functools.cache
def _library() -> frozenset[str]:
    import exchange_calendars

    return frozenset(exchange_calendars.get_calendar_names(include_aliases=True))


class Hours:
    """The sessions of one calendar, read as far as they are asked for.

    Parameters
    ----------
    name
        See `calendar_name`.

    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.always = name == ALWAYS
        self._known: Interval | None = None
        empty = np.empty(0, dtype=np.int64)
        self.opens, self.closes, self.ends = empty, empty, empty

    def cover(self, span: Interval) -> None:
        """Read the sessions of a span of time, and some around it.

        `opens` and `closes` bound the stretches of trading without a pause, `ends` are the last
        moments of its sessions; int64 UNIX nanoseconds.
        """
        if self.always or self._knows(span):
            return
        first, last = span[0] - 30 * _DAY, span[1] + 30 * _DAY
        if self._known:  # in large steps: reading costs the same for ten years as for one
            first = min(self._known[0], first if first >= self._known[0] else first - 2000 * _DAY)
            last = max(self._known[1], last if last <= self._known[1] else last + 2000 * _DAY)
        first, last = max(first, 0), min(last, _FAR)
        self._known = (first, last)
        if self.name == FX:
            self.opens, self.closes = _fx(first, last)
            self.ends = self.closes
        else:
            self.opens, self.closes, self.ends = _sessions(self.name, first, last)

    def _knows(self, span: Interval) -> bool:
        first, last = max(span[0], 0), min(span[1], _FAR)
        return self._known is not None and self._known[0] <= first and last <= self._known[1]

    def bars_between(self, before: Any, after: Any, step: int) -> Any:
        """Return how many bars should lie between bars that follow one another.

        Parameters
        ----------
        before, after
            int64 UNIX nanoseconds of the bars before and after each pause.
        step
            Length of a bar, less than a day.

        Returns
        -------
        numpy.ndarray
            Bars at the distance `step` from the one before that close while the market trades.

        """
        # Clocks that are put forward over a weekend shift bars of several hours: count from the
        # bar before and from the one after, and take what both agree on.
        return np.minimum(
            self._count(before, after, before % step, step),
            self._count(before, after, after % step, step),
        )

    def _count(self, before: Any, after: Any, phase: Any, step: int) -> Any:
        upto = self._upto(after - 1, phase, step)
        return np.maximum(upto - self._upto(before, phase, step), 0)

    def _upto(self, moments: Any, phase: Any, step: int) -> Any:
        """Count the bars that should have closed by then, since a fixed point in the past."""
        if self.always:
            return (moments - phase) // step
        # Strictly inside a stretch of trading: whether a bar's time is its open or its close, one
        # of its ends may or may not have a bar.
        place = np.searchsorted(self.opens, moments, side="right") - 1
        result = np.zeros(len(moments), dtype=np.int64)
        phases = np.unique(phase)
        if len(phases) > _MOST_PHASES:  # bars that keep to no grid: any will do
            phases, phase = phases[:1], np.full(len(phase), phases[0])
        for where in phases:
            rows = phase == where
            full = (self.closes - 1 - where) // step - (self.opens - where) // step
            before = np.concatenate([[0], np.cumsum(full)])
            at = np.maximum(place[rows], 0)
            last = np.minimum(moments[rows], self.closes[at] - 1)
            part = (last - where) // step - (self.opens[at] - where) // step
            result[rows] = before[at] + np.maximum(part, 0)
        return result

    def sessions_between(self, before: Any, after: Any, days: int = 1) -> Any:
        """Return how many daily bars (of `days` days each) should lie between two of them."""
        if self.always:
            return np.maximum(np.rint((after - before) / (days * _DAY)).astype(np.int64) - 1, 0)
        ended = np.searchsorted(self.ends, after, side="right")
        ended = ended - np.searchsorted(self.ends, before, side="right")
        return np.maximum(ended // days - 1, 0)

    def traded(self, before: Any, after: Any) -> Any:
        """Return for how many nanoseconds the market traded between two moments."""
        if self.always:
            return after - before
        return self._trading_time(after) - self._trading_time(before)

    def _trading_time(self, moments: Any) -> Any:
        total = np.concatenate([[0], np.cumsum(self.closes - self.opens)])
        at = np.maximum(np.searchsorted(self.opens, moments, side="right") - 1, 0)
        inside = np.clip(moments, self.opens[at], self.closes[at]) - self.opens[at]
        return total[at] + inside

    def whole_sessions(self, before: Any, after: Any) -> Any:
        """Return how many stretches of trading begin and end between two moments."""
        first = np.searchsorted(self.opens, before, side="left")
        last = np.searchsorted(self.closes, after, side="right")
        return np.maximum(last - first, 0)


def _fx(first: int, last: int) -> tuple[Any, Any]:
    """Return the days of the currency market: each from 17:00 to 17:00 in New York."""
    zone = Zone("America/New_York")
    days = np.arange(first // _DAY - 1, last // _DAY + 2, dtype=np.int64)
    weekday = (days + 3) % 7  # Monday is 0
    month_day = np.array([str(date)[5:] for date in days.astype("datetime64[D]")])
    open_days = days[(weekday < 5) & (month_day != "12-25") & (month_day != "01-01")]
    five = 17 * 3600 * 10**9
    return zone.to_utc((open_days - 1) * _DAY + five).ts, zone.to_utc(open_days * _DAY + five).ts


def _sessions(name: str, first: int, last: int) -> tuple[Any, Any, Any]:
    """Return the stretches of trading of a library calendar, and the ends of its sessions."""
    usual = _calendar(name)  # some know no sessions before or after a day
    low, high = usual.bound_min(), usual.bound_max()
    begin, end = (str(np.datetime64(moment, "ns"))[:10] for moment in (first, last))
    start = begin if low is None else max(begin, str(low)[:10])
    stop = end if high is None else min(end, str(high)[:10])
    if start >= stop:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, empty
    calendar = _calendar(name, start=start, end=stop)
    opens, closes = _ns(calendar.opens), _ns(calendar.closes)
    ends = closes
    if calendar.has_break:
        outs, backs = _ns(calendar.break_starts), _ns(calendar.break_ends)
        there = outs > 0  # none is the smallest integer
        opens, closes = _without(opens, closes, outs[there], backs[there])
    if calendar.name == "CMES":
        opens, closes = _without(opens, closes, *_cme_pauses(first, last))
    return opens, closes, ends


def _calendar(name: str, **bounds: str) -> Any:
    import exchange_calendars

    with warnings.catch_warnings():
        # Its own use of pandas, which later versions of pandas frown upon.
        warnings.simplefilter("ignore", DeprecationWarning)
        return exchange_calendars.get_calendar(name, **bounds)


def _ns(series: Any) -> Any:
    return series.to_numpy(dtype="datetime64[ns]").astype(np.int64)


def _cme_pauses(first: int, last: int) -> tuple[Any, Any]:
    zone = Zone(_CME_ZONE)
    days = np.arange(first // _DAY - 1, last // _DAY + 2, dtype=np.int64)
    outs, backs = [], []
    for out, back, until in _CME_PAUSES:
        some = days[days <= np.datetime64(until, "D").astype(np.int64)] * _DAY
        outs.append(zone.to_utc(some + _clock(out)).ts)
        backs.append(zone.to_utc(some + _clock(back)).ts)
    return np.sort(np.concatenate(outs)), np.sort(np.concatenate(backs))


def _clock(text: str) -> int:
    hour, minute = text.split(":")
    return (int(hour) * 60 + int(minute)) * _MINUTE


def _without(opens: Any, closes: Any, outs: Any, backs: Any) -> tuple[Any, Any]:
    """Cut pauses out of stretches of trading; both sorted and without overlaps."""
    last = np.searchsorted(outs, closes, side="left") - 1
    in_pause = (last >= 0) & (closes <= backs[np.maximum(last, 0)])
    closes = np.where(in_pause, outs[np.maximum(last, 0)], closes)
    at = np.maximum(np.searchsorted(opens, outs, side="right") - 1, 0)
    inside = (opens[at] < outs) & (backs < closes[at])
    return (
        np.sort(np.concatenate([opens, backs[inside]])),
        np.sort(np.concatenate([closes, outs[inside]])),
    )
