"""Gaps in time bars: where the next bar comes later than it should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.data.intervals import Interval, iso

_NS = {
    "MILLISECOND": 10**6,
    "SECOND": 10**9,
    "MINUTE": 60 * 10**9,
    "HOUR": 3600 * 10**9,
    "DAY": 86_400 * 10**9,
    "WEEK": 7 * 86_400 * 10**9,
}
# Markets close at night, on weekends and on holidays; of daily bars only a longer pause is a gap.
_LONG_WEEKEND = 4 * 86_400 * 10**9
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps of one dataset.

    Attributes
    ----------
    count
        How many there are.
    largest
        The longest few, longest first: the times of the bars before and after.

    """

    count: int = 0
    largest: tuple[Interval, ...] = ()

    def __str__(self) -> str:
        spans = "; ".join(f"{iso(start)} to {iso(end)}" for start, end in self.largest)
        more = ", the largest" if self.count > len(self.largest) else ""
        return f"{self.count} gap{'s' * (self.count != 1)}{more}: {spans}"


def step_ns(bars: str) -> int | None:
    """Return the length of a time bar (``5-MINUTE-LAST``), None where it has no fixed one."""
    step, unit = bars.split("-")[:2]
    return int(step) * _NS[unit] if unit in _NS else None


def find_gaps(kind: str, identity: str, moments: Any) -> Gaps:
    """Return the gaps between sorted UNIX nanoseconds; ticks and bars not of time have none."""
    step = step_ns(_bar_spec(identity)) if kind == "bars" else None
    if step is None or len(moments) < 2:
        return Gaps()
    allowed = max(step, _LONG_WEEKEND) if step >= _NS["DAY"] else step
    pauses = np.diff(moments)
    where = np.flatnonzero(pauses > allowed)
    longest = where[np.argsort(-pauses[where], kind="stable")][:_SHOWN]
    spans = tuple((int(moments[i]), int(moments[i + 1])) for i in longest)
    return Gaps(len(where), spans)


def _bar_spec(identity: str) -> str:
    """Return the ``5-MINUTE-LAST`` of a bar type."""
    return "-".join(identity.rsplit("-", 4)[1:4])
