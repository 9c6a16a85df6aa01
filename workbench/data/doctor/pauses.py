"""Gaps of a series: time the market was open, and nothing is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.data.doctor.hours import ALWAYS, FX, Hours
from workbench.data.gaps import bar_step
from workbench.data.intervals import Interval, iso
from workbench.study.datasets import Kind

_DAY = 86_400 * 10**9
_MINUTE = 60 * 10**9
_QUIET = 3600 * 10**9  # of trading time: a pause of ticks where the market never closes
_SHOWN = 3


class Pauses:
    """Looks for gaps as the files of one dataset go by, in order of time.

    Bars of time are counted against the sessions: one is missing where the market traded and none
    closes. Daily bars are counted by session. Ticks come when something happens: their pause is a
    gap if a whole session has none, or an hour where the market never closes.

    Parameters
    ----------
    kind, identity
        The dataset.
    hours
        When its market is open.

    Attributes
    ----------
    count
        How many gaps there are.
    missing
        How many bars are missing; 0 for ticks.
    spans
        All of them, as arrays of shape (gaps, 2): the times of the rows before and after.
    largest
        The longest few, longest first: bars missing (or nanoseconds) and the span.
    uncovered
        Time between two files that neither claims.

    """

    def __init__(self, kind: Kind, identity: str, hours: Hours) -> None:
        self._hours = hours
        self._step = bar_step(kind, identity)
        self._bars = kind == "bars"
        self._last: int | None = None
        self._covered: Interval | None = None
        self.count = self.missing = 0
        self.spans: list[Any] = []
        self.largest: list[tuple[int, Interval]] = []
        self.uncovered: list[Interval] = []

    @property
    def possible(self) -> bool:
        """Whether gaps can be told: not of bars of volume or months."""
        return not self._bars or self._step is not None

    def begin(self, interval: Interval) -> None:
        """Begin a file that covers `interval`."""
        if self._covered and interval[0] > self._covered[1] + 1:
            self.uncovered.append((self._covered[1] + 1, interval[0] - 1))
            self._end_edge()
            self._covered = None
        if self._covered is None:
            self._last = None
            self._covered = interval
        self._covered = (self._covered[0], max(self._covered[1], interval[1]))

    def feed(self, ts: Any) -> None:
        """Take the next rows of the file: sorted int64 UNIX nanoseconds."""
        if not len(ts) or not self.possible:
            return
        assert self._covered is not None
        self._hours.cover((int(ts[0]), int(ts[-1])))
        if self._last is None:
            self._start_edge(int(ts[0]))
        else:
            ts = np.concatenate([[self._last], ts])
        self._last = int(ts[-1])
        self._between(ts[:-1], ts[1:])

    def finish(self) -> None:
        """End the last file."""
        self._end_edge()

    def _between(self, before: Any, after: Any, edge: int = 0) -> None:
        """Count what is missing between rows that follow one another.

        `edge` bars more are forgiven at the ends of what a file claims: whether its rows are
        stamped at their open or their close decides on which side of the end the last one lies.
        """
        pause = after - before
        near = np.flatnonzero(pause > self._allowed())
        if not len(near):
            return
        before, after = before[near], after[near]
        missing = self._missing(before, after)
        gaps = np.flatnonzero(missing > edge)
        self.count += len(gaps)
        self.spans.append(np.column_stack([before[gaps], after[gaps]]))
        if self._step:
            self.missing += int(missing[gaps].sum())
        longest = gaps[np.argsort(-missing[gaps], kind="stable")][:_SHOWN]
        found = [(int(missing[i]), (int(before[i]), int(after[i]))) for i in longest]
        self.largest = sorted([*self.largest, *found], key=lambda each: -each[0])[:_SHOWN]

    def _allowed(self) -> int:
        if self._step is None:
            return _QUIET
        return self._step * 3 // 2 if self._step >= _DAY else max(self._step, _MINUTE)

    def _missing(self, before: Any, after: Any) -> Any:
        """Return bars missing between two rows; of ticks, the trading time without any."""
        hours, step = self._hours, self._step
        if step is None:
            if hours.name in (ALWAYS, FX):
                quiet = hours.traded(before, after)
                return np.where(quiet > _QUIET, quiet, 0)
            return np.where(hours.whole_sessions(before, after), hours.traded(before, after), 0)
        if step > 6 * _DAY:
            return np.maximum(np.rint((after - before) / step).astype(np.int64) - 1, 0)
        if step >= _DAY:
            return hours.sessions_between(before, after, step // _DAY)
        bars = hours.bars_between(before, after, step)
        # A second without a trade is no gap.
        return bars if step >= _MINUTE else np.where(bars * step >= _MINUTE, bars, 0)

    def _start_edge(self, first: int) -> None:
        assert self._covered is not None
        start = self._covered[0]
        if start < first:
            self._hours.cover((start, first))
            # As if a row lay right before: a bar's length, or just before the span.
            before = first - (first - start) // self._grid() * self._grid() - self._grid()
            self._between(np.array([before]), np.array([first]), edge=1)

    def _end_edge(self) -> None:
        if self._last is None or self._covered is None or not self.possible:
            return
        end = self._covered[1]
        if end > self._last:
            self._hours.cover((self._last, end))
            after = self._last + ((end - self._last) // self._grid() + 1) * self._grid()
            self._between(np.array([self._last]), np.array([after]), edge=1)

    def _grid(self) -> int:
        return self._step or 1

    def text(self) -> str:
        """Say what was found."""
        spans = "; ".join(
            f"{iso(first)} to {iso(last)}" + (f" ({count:,} bars)" if self._step else "")
            for count, (first, last) in self.largest
        )
        gaps = "1 gap" if self.count == 1 else f"{self.count:,} gaps"
        missing = f", {self.missing:,} bars missing" if self._step else ""
        largest = "the largest: " if self.count > len(self.largest) else ""
        return f"{gaps}{missing}: {largest}{spans}"
