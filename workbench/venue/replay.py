"""When what is replayed happens: the pace, and the bars as a client of today sees them.

Everything the venue says carries the time at which it says it: live clients want the present, and
measure latency by it. So a bar closes when it is sent, and begins its own length before that. Bars
that had closed when the replay began lie before that moment as far as they did in their data. Of
bars played at a speed other than 1 the order is kept, not the distance.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from contextlib import suppress
from typing import Any

from workbench.core.errors import InputError
from workbench.venue.tape import Bars

type Candlestick = tuple[int, tuple[str, ...]]
"""Start in UNIX milliseconds, then open, high, low, close, volume as text."""

_MS = 10**6


def read_speed(value: Any) -> float | None:
    """Return a speed: times real time, None for ``max``.

    Raises
    ------
    InputError
        If it is neither a number above 0 nor ``max``.

    """
    if value == "max":
        return None
    try:
        speed = float(value)
    except (TypeError, ValueError):
        speed = 0.0
    if isinstance(value, bool) or not 0 < speed < 1e9:
        raise InputError(f"speed must be a number above 0, or max; found {value!r}")
    return speed


class Pace:
    """Says when the next event is due.

    Parameters
    ----------
    speed
        Times real time; None for as fast as clients can take it.
    paused
        Whether to wait for `resume` or `step` before the first.

    """

    def __init__(self, speed: float | None, *, paused: bool) -> None:
        self.speed, self.paused, self.ended = speed, paused, False
        self._steps, self._bars = 0, False
        self._anchor: tuple[float, int] | None = None
        self._before: int | None = None
        self._changed = asyncio.Event()
        self._resting = asyncio.Event()

    @property
    def state(self) -> str:
        """``playing``, ``paused`` or ``ended``."""
        return "ended" if self.ended else "paused" if self.paused else "playing"

    async def due(self, ts: int, *, closes: bool) -> None:
        """Return when an event is due.

        Parameters
        ----------
        ts
            Its moment in the data, UNIX nanoseconds.
        closes
            Whether a bar closes with it.

        """
        while not self._stepped(closes):
            if self.paused:
                await self._rest()
            elif self.speed is None:
                await asyncio.sleep(0)
                break
            else:
                left = self._left(ts, self.speed)
                if left <= 0:
                    break
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), left)
        self._before = ts

    def pause(self) -> None:
        """Play nothing until told to."""
        self.paused = True
        self._change()

    def resume(self, speed: float | None = 0) -> None:
        """Go on, at another speed if one is given: None for as fast as possible."""
        self.paused = False
        if speed != 0:
            self.speed = speed
        self._change()

    async def step(self, count: int, *, bars: bool) -> None:
        """Play `count` events, or as many as close `count` bars; return once they are played."""
        self.paused = True
        self._steps, self._bars = count, bars
        self._resting.clear()
        self._change()
        await self._resting.wait()

    def end(self) -> None:
        """Note that there is nothing left to play."""
        self.ended = True
        self._steps = 0
        self._resting.set()

    def _stepped(self, closes: bool) -> bool:
        if not self._steps:
            return False
        if closes or not self._bars:
            self._steps -= 1
        return True

    async def _rest(self) -> None:
        self._resting.set()
        self._changed.clear()
        await self._changed.wait()

    def _left(self, ts: int, speed: float) -> float:
        if self._anchor is None:
            self._anchor = (time.monotonic(), ts if self._before is None else self._before)
        began, then = self._anchor
        return began + (ts - then) / 1e9 / speed - time.monotonic()

    def _change(self) -> None:
        self._anchor = None
        self._changed.set()
        if self.ended:
            self._resting.set()


class Chart:
    """Bars of one contract and length, in the time of the venue's clients.

    Parameters
    ----------
    bars
        The bars.
    position
        Where the replay begins, UNIX nanoseconds of the data.
    now
        When it begins, UNIX milliseconds.

    """

    def __init__(self, bars: Bars, position: int, now: int) -> None:
        self.bars = bars
        self._position, self._now = position, now
        self._first = bars.until(position)
        self._closed: list[int] = []

    def close(self, row: int, now: int) -> Candlestick:
        """Note that a bar closes now; return it."""
        self._closed.append(max(now, self._closed[-1] + 1) if self._closed else now)
        return self._candle(row)

    def between(self, start: int | None, end: int | None, most: int) -> list[Candlestick]:
        """Return the latest bars that begin in a span of UNIX milliseconds, newest first."""
        known = self._first + len(self._closed)
        first = 0 if start is None else self._search(start, known, right=False)
        after = known if end is None else self._search(end, known, right=True)
        return [self._candle(row) for row in range(after - 1, max(first, after - most) - 1, -1)]

    def _search(self, moment: int, known: int, *, right: bool) -> int:
        """Return the first row that begins at `moment` or later (`right`: later)."""
        bisect = bisect_right if right else bisect_left
        return bisect(range(known), moment, key=self._start)

    def _start(self, row: int) -> int:
        played = row - self._first
        if played >= 0:
            closes = self._closed[played]
        else:
            closes = self._now + (int(self.bars.closes[row]) - self._position) // _MS
        return closes - self.bars.step // _MS

    def _candle(self, row: int) -> Candlestick:
        return self._start(row), tuple(f"{number:f}" for number in self.bars.row(row))
