"""Counting rows with a fault, and when the first and the last of them are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.data.intervals import Interval, iso


@dataclass(slots=True)
class Tally:
    """Rows with one fault.

    Attributes
    ----------
    code, what
        The finding it becomes, and the fault in words that follow a number of rows.
    count
        How many rows.
    first, last
        UNIX nanoseconds of two of them, the first and the last that were met.

    """

    code: str
    what: str
    count: int
    first: int
    last: int

    @property
    def span(self) -> Interval:
        """The time from the first to the last."""
        return self.first, self.last

    def __str__(self) -> str:
        return f"{counted(self.count, 'row')} {self.what}, first at {iso(self.first)}"


class Tallies:
    """The faults of one file."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Tally] = {}

    def add(self, code: str, what: str, ts: Any, mask: Any) -> None:
        """Count the rows of a mask over the times `ts`."""
        moments = ts[mask]
        if not len(moments):
            return
        first, last = int(moments[0]), int(moments[-1])
        tally = self._found.setdefault((code, what), Tally(code, what, 0, first, last))
        tally.count += len(moments)
        tally.last = last

    def __iter__(self) -> Iterator[Tally]:
        return iter(self._found.values())


def counted(number: int, noun: str) -> str:
    """Return ``1 row`` or ``1,234 rows``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def everything(ts: Any) -> Any:
    """Return the mask of all rows."""
    return np.ones(len(ts), dtype=bool)
