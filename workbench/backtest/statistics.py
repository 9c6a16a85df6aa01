"""Statistics of a run, from its equity, positions and fills: numpy only, no pandas.

The worker calls `statistics` at the end of each run, so nothing heavy is imported here. Every
definition, with its formula and convention, is in ``docs/report.md``.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Value = float | int | str | None

DAY_NS = 86_400_000_000_000
YEAR_DAYS = 365.25
MIN_DAYS_TO_ANNUALISE = 30
NO_SPREAD = 1e-12  # below this a deviation of returns is rounding, not risk
MONDAY, SATURDAY = 0, 5


class Table(Protocol):
    """Columns by name: a pyarrow table, a pandas frame or a dict of arrays."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the column `name`."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days on which the data has prices.

    Attributes
    ----------
    days
        Days since 1970-01-01, sorted, each once.
    continuous
        The market trades on Saturdays too.
    closes
        A moment at exactly 00:00 belongs to the day it ends.

    """

    days: Ints
    continuous: bool
    closes: bool

    @classmethod
    def of(cls, times: npt.ArrayLike) -> "Calendar":
        """Read the calendar off the times of the prices.

        Parameters
        ----------
        times
            Times of all prices (datetime64 or UNIX nanoseconds, UTC), in any order.

        """
        stamps = _nanoseconds(times)
        if not len(stamps):
            return cls(np.empty(0, np.int64), continuous=False, closes=True)
        # Daily bars stamped 00:00 of their own date never fall on a Saturday in a weekday market;
        # stamped 00:00 of the next day (their close), Friday's does.
        own = _distinct(stamps // DAY_NS)
        own_dates = not (stamps % DAY_NS).any() and SATURDAY not in _weekday(own)
        days = own if own_dates else _distinct((stamps - 1) // DAY_NS)
        span = np.arange(days[0], days[-1] + 1)
        saturdays = np.count_nonzero(_weekday(span) == SATURDAY)
        traded = np.count_nonzero(_weekday(days) == SATURDAY)
        calendar = cls(days, continuous=bool(2 * traded >= saturdays > 0), closes=not own_dates)
        return cls(_distinct(calendar._folded(days)), calendar.continuous, calendar.closes)

    @classmethod
    def inferred(cls, times: npt.ArrayLike, equity: Floats) -> "Calendar":
        """Read the calendar off an equity curve that is sampled on closed days too.

        If it moved, but never on a Saturday, the market is taken to be closed on weekends. (A
        holiday cannot be told from a day without a position, so it stays in.)
        """
        every = cls.of(times)
        moved = np.diff(equity, prepend=equity[:1]) != 0
        on = _weekday(every.day(times)[moved])
        if not every.continuous or not len(on) or SATURDAY in on:
            return every
        days = every.days[_weekday(every.days) < SATURDAY]
        return cls(days, continuous=False, closes=every.closes)

    @property
    def periods_per_year(self) -> int:
        """Trading days of a year: 365 where the market never closes, else 252."""
        return 365 if self.continuous else 252

    def day(self, times: npt.ArrayLike) -> Ints:
        """Return the trading day of each time, as days since 1970-01-01."""
        return self._folded((_nanoseconds(times) - int(self.closes)) // DAY_NS)

    def _folded(self, days: Ints) -> Ints:
        """Move a weekend's days to the Monday, unless the market is open on weekends."""
        if self.continuous:
            return days
        weekday = _weekday(days)
        return np.where(weekday >= SATURDAY, days + 7 - weekday, days)


@dataclass(frozen=True, slots=True)
class Daily:
    """Equity at the end of each trading day.

    Attributes
    ----------
    days
        Trading day of each return, shape (n,), days since 1970-01-01.
    equity
        Shape (n + 1,): the starting equity, then each day's last.
    periods_per_year
        What the returns are annualised with.

    """

    days: Ints
    equity: Floats
    periods_per_year: float

    @property
    def returns(self) -> Floats:
        """Return of each day, shape (n,); empty where equity was not above zero throughout."""
        if len(self.equity) < 2 or not (self.equity > 0).all():
            return np.empty(0)
        return self.equity[1:] / self.equity[:-1] - 1


def daily_equity(
    times: npt.ArrayLike, equity: npt.ArrayLike, *, calendar: Calendar | None = None
) -> Daily:
    """Return the equity at the end of each day that has prices.

    Parameters
    ----------
    times, equity
        The samples, sorted by time.
    calendar
        Default: what the samples tell, see `Calendar.inferred`.

    """
    values = np.asarray(equity, np.float64)
    calendar = calendar or Calendar.inferred(times, values)
    periods = float(calendar.periods_per_year)
    if not len(values):
        return Daily(np.empty(0, np.int64), values, periods)
    sampled = calendar.day(times)
    days = calendar.days
    days = days[(days >= sampled[0]) & (days <= sampled[-1])]
    at = np.searchsorted(sampled, days, side="right") - 1
    stamps = _nanoseconds(times)
    if len(stamps) > 1 and np.median(np.diff(stamps)) > DAY_NS:
        # Sampled more coarsely than daily: one return for each sample, annualised accordingly.
        first = np.flatnonzero(np.diff(at, prepend=-1))
        if len(days) > 1:
            periods *= (len(first) - 1) / (len(days) - 1)
        days, at = days[first], at[first]
    if len(at) and at[0] == 0:
        days, at = days[1:], at[1:]
    return Daily(days, np.concatenate([values[:1], values[at]]), periods)


def drawdown(equity: npt.ArrayLike) -> Floats:
    """Return how far below its running high each point is, 0 to 1 while equity is positive."""
    values = np.asarray(equity, np.float64)
    peak = np.maximum.accumulate(values)
    return np.divide(peak - values, peak, out=np.zeros_like(values), where=peak > 0)


def monthly_returns(daily: Daily) -> dict[tuple[int, int], float]:
    """Return the return of each (year, month) that has a trading day."""
    if not len(daily.returns):
        return {}
    months = daily.days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    last = np.flatnonzero(np.diff(months, append=-1))
    ends = daily.equity[np.concatenate([[0], last + 1])]
    changes = ends[1:] / ends[:-1] - 1
    return {
        (1970 + int(month) // 12, int(month) % 12 + 1): float(change)
        for month, change in zip(months[last], changes, strict=True)
    }


def statistics(
    equity: Table, positions: Table, fills: Table, *, price_times: npt.ArrayLike | None = None
) -> dict[str, Any]:
    """Return the statistics of a run, fit for JSON: None where one is undefined.

    Parameters
    ----------
    equity
        ``ts``, ``currency``, ``equity``; sorted by time, the first sample before any trade.
    positions
        ``currency``, ``side``, ``realized_pnl``, ``ts_opened``, ``ts_closed``.
    fills
        ``currency``, ``commission``.
    price_times
        Times of the prices of the data, which decide what a trading day is and whether a year has
        252 or 365 of them. Default: what the equity samples tell, see `Calendar.inferred`.

    Returns
    -------
    dict
        The statistics by name, for the currency named ``currency``. With several currencies that
        is the one with the most trades, and ``others`` holds the same for each other one: amounts
        in different currencies are not added up.

    """
    calendar = None if price_times is None else Calendar.of(price_times)
    tables = (_Columns(equity), _Columns(positions), _Columns(fills))
    names = dict.fromkeys(str(name) for table in tables for name in table.currencies() if name)
    traded = {name: np.count_nonzero(tables[1].text("currency") == name) for name in names}
    ordered = sorted(names, key=lambda name: -traded[name])
    if not ordered:
        return _of_currency(None, *tables, calendar)
    first, *others = [_of_currency(name, *tables, calendar) for name in ordered]
    return first | ({"others": {one["currency"]: one for one in others}} if others else {})


def _of_currency(
    currency: str | None,
    equity: "_Columns",
    positions: "_Columns",
    fills: "_Columns",
    calendar: Calendar | None,
) -> dict[str, Any]:
    held, own, filled = (table.only(currency) for table in (equity, positions, fills))
    times, values = held.times("ts"), held.numbers("equity")
    closed = ~np.isnat(own.times("ts_closed"))
    return {
        "currency": currency,
        **_returns(times, values, calendar),
        **_trades(own, closed),
        "exposure": _exposure(own, times),
        "fills": len(filled.text("currency")),
        "commissions": float(np.nansum(filled.numbers("commission"))),
    }


def _returns(times: Any, values: Floats, calendar: Calendar | None) -> dict[str, Value]:
    daily = daily_equity(times, values, calendar=calendar)
    returns, periods = daily.returns, daily.periods_per_year
    some = len(values) > 0
    days = float(times[-1] - times[0]) / DAY_NS if some else 0.0
    total = float(values[-1] / values[0] - 1) if some and values[0] > 0 else None
    cagr = None
    if total is not None and total >= -1 and days >= MIN_DAYS_TO_ANNUALISE:
        cagr = math.pow(1 + total, YEAR_DAYS / days) - 1
    mean = float(returns.mean()) if len(returns) else 0.0
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else None
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0) ** 2))) if len(returns) > 1 else None
    deepest = float(drawdown(values).max()) if some else None
    if days < MIN_DAYS_TO_ANNUALISE:  # a year told from a few days would be taken for a figure
        deviation = downside = None
    year = math.sqrt(periods)
    return {
        "periods_per_year": int(periods) if periods.is_integer() else periods,
        "days": len(returns),
        "start_equity": float(values[0]) if some else None,
        "end_equity": float(values[-1]) if some else None,
        "net_profit": float(values[-1] - values[0]) if some else None,
        "total_return": total,
        "cagr": cagr,
        "volatility": None if deviation is None else deviation * year,
        "sharpe": _ratio(mean * year, deviation),
        "sortino": _ratio(mean * year, downside),
        "max_drawdown": deepest,
        "max_drawdown_days": _longest_drawdown(times, values) if some else None,
        "calmar": None if cagr is None else _ratio(cagr, deepest),
        "best_day": float(returns.max()) if len(returns) else None,
        "worst_day": float(returns.min()) if len(returns) else None,
        "skew": _skew(returns),
        "kurtosis": _kurtosis(returns),
    }


def _trades(positions: "_Columns", closed: npt.NDArray[np.bool_]) -> dict[str, Value]:
    pnl = positions.numbers("realized_pnl")[closed]
    side = positions.text("side")[closed]
    wins, losses = pnl[pnl > 0], pnl[pnl < 0]
    gained, lost = float(wins.sum()), -float(losses.sum())
    avg_win, avg_loss = _mean(wins), _mean(losses)
    held = (positions.times("ts_closed") - positions.times("ts_opened"))[closed]
    return {
        "trades": len(pnl),
        "open_positions": int(np.count_nonzero(~closed)),
        "long_trades": int(np.count_nonzero(side == "LONG")),
        "short_trades": int(np.count_nonzero(side == "SHORT")),
        "wins": len(wins),
        "losses": len(losses),
        "win_rate": len(wins) / len(pnl) if len(pnl) else None,
        "profit_factor": _ratio(gained, lost),
        "expectancy": _mean(pnl),
        "avg_win": avg_win,
        "avg_loss": avg_loss,
        "payoff_ratio": None if not avg_win or not avg_loss else -avg_win / avg_loss,
        "best_trade": float(pnl.max()) if len(pnl) else None,
        "worst_trade": float(pnl.min()) if len(pnl) else None,
        "avg_duration_s": _mean(held.astype(np.int64) / 1e9),
    }


def _exposure(positions: "_Columns", times: Any) -> float | None:
    """Return the share of the run's time in which at least one position was open."""
    if len(times) < 2 or times[-1] == times[0]:
        return None
    first, last = (int(time) for time in _nanoseconds(times[[0, -1]]))
    closed = positions.times("ts_closed")
    until = _nanoseconds(np.where(np.isnat(closed), times[-1], closed))
    opened = np.clip(_nanoseconds(positions.times("ts_opened")), first, last)
    order = np.argsort(opened, kind="stable")
    opened, until = opened[order], np.clip(until, first, last)[order]
    # Each interval counts from where all earlier ones have ended.
    covered = np.concatenate([[first], np.maximum.accumulate(until)[:-1]])[: len(opened)]
    held = np.maximum(until - np.maximum(opened, covered), 0).sum()
    return float(held) / (last - first)


def _longest_drawdown(times: Any, values: Floats) -> float:
    """Return the days of the longest spell from a high to the sample that reaches it again."""
    below = values < np.maximum.accumulate(values)
    edges = np.diff(below.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1) - 1, np.flatnonzero(edges == -1)
    if not len(starts):
        return 0.0
    spells = times[np.minimum(ends, len(times) - 1)] - times[starts]
    return float(spells.max()) / DAY_NS


def _skew(values: Floats) -> float | None:
    n, spread = len(values), _spread(values)
    if n < 3 or spread is None:
        return None
    g1 = float(np.mean(((values - values.mean()) / spread) ** 3))
    return g1 * math.sqrt(n * (n - 1)) / (n - 2)


def _kurtosis(values: Floats) -> float | None:
    n, spread = len(values), _spread(values)
    if n < 4 or spread is None:
        return None
    g2 = float(np.mean(((values - values.mean()) / spread) ** 4)) - 3
    return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * g2 + 6)


def _spread(values: Floats) -> float | None:
    deviation = float(values.std()) if len(values) else 0.0
    return deviation if deviation > NO_SPREAD else None


def _ratio(value: float, by: float | None) -> float | None:
    return None if by is None or by <= NO_SPREAD else value / by


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _nanoseconds(times: npt.ArrayLike) -> Ints:
    return np.asarray(times, "datetime64[ns]").astype(np.int64)


def _weekday(days: Ints) -> Ints:
    """Return 0 for Monday to 6 for Sunday (1970-01-01 was a Thursday)."""
    return (days + 3) % 7


def _distinct(days: Ints) -> Ints:
    # Millions of ticks fall on few days: drop the repeats in a row before sorting.
    return np.unique(days[np.diff(days, prepend=days[:1] - 1) != 0])


class _Columns:
    """One table's columns as numpy arrays, read once, possibly of one currency only."""

    def __init__(self, table: Table, rows: Any = None) -> None:
        self._table, self._rows = table, rows

    def currencies(self) -> npt.NDArray[Any]:
        names, first = np.unique(self.text("currency").astype(str), return_index=True)
        return names[np.argsort(first)]

    def only(self, currency: str | None) -> "_Columns":
        return _Columns(self._table, self.text("currency") == currency)

    def text(self, name: str) -> npt.NDArray[np.object_]:
        return self._read(name, object)

    def numbers(self, name: str) -> Floats:
        return self._read(name, np.float64)

    def times(self, name: str) -> npt.NDArray[np.datetime64]:
        return self._read(name, "datetime64[ns]")

    def _read(self, name: str, dtype: Any) -> npt.NDArray[Any]:
        column = np.asarray(self._table[name], dtype=dtype)
        return column if self._rows is None else column[self._rows]
