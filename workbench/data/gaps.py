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


def bar_step(kind: str, identity: str) -> int | None:
    """Return the length of a dataset's time bars, None for ticks and bars not of time."""
    return step_ns("-".join(identity.rsplit("-", 4)[1:4])) if kind == "bars" else None


def gap_spans(kind: str, identity: str, moments: Any) -> Any:
    """Return the gaps between sorted UNIX nanoseconds; ticks and bars not of time have none.

    Returns
    -------
    numpy.ndarray
        int64, shape (gaps, 2): the times of the bars before and after each gap, in order of time.

    """
    step = bar_step(kind, identity)
    if step is None or len(moments) < 2:
        return np.empty((0, 2), dtype=np.int64)
    allowed = max(step, _LONG_WEEKEND) if step >= _NS["DAY"] else step
    where = np.flatnonzero(np.diff(moments) > allowed)
    return np.column_stack([moments[where], moments[where + 1]])


def find_gaps(kind: str, identity: str, moments: Any) -> Gaps:
    """Return how many gaps there are between sorted UNIX nanoseconds, and the longest."""
    spans = gap_spans(kind, identity, moments)
    longest = np.argsort(spans[:, 0] - spans[:, 1], kind="stable")[:_SHOWN]
    return Gaps(len(spans), tuple((int(first), int(last)) for first, last in spans[longest]))
