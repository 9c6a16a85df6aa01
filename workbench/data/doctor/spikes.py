"""Spikes: a price that jumps away and comes straight back."""

from __future__ import annotations

from typing import Any

import numpy as np

USUAL = 15.0
"""Robust standard deviations a jump must exceed."""

_SMALLEST = 0.01  # log return: a smaller jump harms no result
_AROUND = 50  # rows on either side whose returns say what is usual
_ROBUST = 1.4826  # makes a median absolute deviation a standard deviation of normal returns
_AT_ONCE = 2000


class Spikes:
    """Looks for spikes as prices go by.

    A row is one if its log return and the next one are opposite, undo one another at least by
    half, and both exceed 1 % and `threshold` times the median absolute deviation (scaled to a
    standard deviation) of the returns of 50 rows on either side. So is a bar whose high or low
    stands off from its open and close by as much.

    Parameters
    ----------
    threshold
        In robust standard deviations.

    Attributes
    ----------
    moments
        UNIX nanoseconds of the spikes found.

    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._held: tuple[Any, Any, Any] | None = None
        self._judged = 0  # rows at the beginning of those held
        self.moments: list[int] = []

    def feed(self, ts: Any, prices: Any, wicks: Any) -> None:
        """Take the next rows.

        Parameters
        ----------
        ts, prices
            UNIX nanoseconds and prices as float64.
        wicks
            How far each bar's high or low stands off from its body, as a log return; zeros for
            ticks.

        """
        if self._held:
            held = self._held
            ts, prices, wicks = (
                np.concatenate(pair) for pair in zip(held, (ts, prices, wicks), strict=True)
            )
        until = len(ts) - _AROUND - 1
        if until > self._judged:
            self._judge(ts, prices, wicks, self._judged, until)
            self._judged = until
        cut = max(self._judged - _AROUND - 1, 0)
        self._held = (ts[cut:], prices[cut:], wicks[cut:])
        self._judged -= cut

    def finish(self) -> None:
        """Judge the last rows."""
        if self._held:
            self._judge(*self._held, self._judged, len(self._held[0]))

    def _judge(self, ts: Any, prices: Any, wicks: Any, start: int, stop: int) -> None:
        if len(ts) < 4:
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = np.diff(np.log(np.where(prices > 0, prices, np.nan)))
        there = np.concatenate([[np.nan], returns])
        back = np.concatenate([returns, [np.nan]])
        size = np.minimum(np.abs(there), np.abs(back))
        isolated = (there * back < 0) & (np.abs(there + back) < size / 2)
        size = np.fmax(np.where(isolated, size, 0.0), wicks)
        rows = np.flatnonzero(size[start:stop] > _SMALLEST) + start
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            usual = _usual(returns, some)
            self.moments += ts[some[size[some] > self._threshold * usual]].tolist()


def _usual(returns: Any, rows: Any) -> Any:
    """Return the robust standard deviation of the returns around each row, its own left out."""
    around = np.concatenate([np.arange(-_AROUND - 1, -1), np.arange(1, _AROUND + 1)])
    places = rows[:, None] + around
    inside = (places >= 0) & (places < len(returns))
    values = np.where(inside, returns[np.clip(places, 0, len(returns) - 1)], np.nan)
    masked = np.ma.masked_invalid(values)
    middle = np.ma.median(masked, axis=1)
    spread = np.ma.median(np.abs(masked - middle[:, None]), axis=1)
    return _ROBUST * np.ma.filled(spread, np.inf)
