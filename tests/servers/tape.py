"""A market that never ends: the same bars and trades whenever and however they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now_ms() -> int:
    return time.time_ns() // 10**6


@dataclass
class Tape:
    """One instrument's history; times are UNIX milliseconds.

    Attributes
    ----------
    listed
        When trading began.
    decimals, lots
        Decimals of a price and of a quantity.
    every
        Milliseconds between two trades; each second trade comes at the time of the one before.
    holes
        Spans (first and last open) without bars.

    """

    listed: int
    decimals: int = 1
    lots: int = 3
    every: int = MINUTE
    holes: list[tuple[int, int]] = field(default_factory=list)

    def candle(self, moment: int) -> tuple[str, str, str, str, str]:
        """Return open, high, low, close and volume of the bar that opens at `moment`."""
        base = 300_000 + moment // 1000 * 7919 % 10_007
        begin, end = base, base + moment // 1000 % 13 - 6
        prices = (begin, max(begin, end) + 5, min(begin, end) - 7, end)
        volume = moment // 1000 % 9973 + 1
        return (*(self.price(each) for each in prices), f"{volume / 10**self.lots:.{self.lots}f}")

    def price(self, tenths: int) -> str:
        return f"{tenths / 10:.{self.decimals}f}"

    def opens(self, first: int, last: int, step: int, offset: int = 0) -> list[int]:
        """Return the opens of the bars there are from `first` to `last`, both inside."""
        first = max(first, (self.listed - offset) // step * step + offset)
        begin = -(-(first - offset) // step) * step + offset
        return [
            moment
            for moment in range(begin, min(last, now_ms()) + 1, step)
            if not any(hole[0] <= moment <= hole[1] for hole in self.holes)
        ]

    def moment(self, number: int) -> int:
        """Return the time of the trade with this number, from 0."""
        return self.listed + number // 2 * 2 * self.every

    def count(self, until: int) -> int:
        """Return how many trades there are up to `until`, itself inside."""
        return 0 if until < self.listed else ((until - self.listed) // (2 * self.every) + 1) * 2

    def size(self, number: int) -> str:
        return f"{(number * 31 % 997 + 1) / 10**self.lots:.{self.lots}f}"

    def trades(self, first: int, last: int) -> Iterator[int]:
        """Return the numbers of the trades from `first` to `last`, both inside."""
        yield from range(self.count(first - 1), self.count(min(last, now_ms())))

    def buy(self, number: int) -> bool:
        return number * 13 % 7 < 4
