"""One request to Databento: its span of time, and where a longer one is cut."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

DAY = 86_400 * 10**9

EXACT = 600 * 10**9
"""Databento counts records in steps of ten minutes; of other spans it may say too many."""

REQUEST_BYTES = 64 * 2**20
"""Records of one request, more or less."""

_MOST_REQUESTS = 200
_UNITS = (DAY, 3_600 * 10**9)
_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Query:
    """One request to Databento.

    Attributes
    ----------
    start, end
        Index time in nanoseconds; `end` is not inside.
    least
        The records it has at least.

    """

    start: int
    end: int
    least: int


def cuts(start: int, end: int, size: int) -> list[int]:
    """Return where to cut a span of `size` bytes: at whole days, or whole hours if need be."""
    parts = min(-(-size // REQUEST_BYTES), _MOST_REQUESTS)
    if parts <= 1:
        return []
    length = (end - start) / parts
    unit = next((unit for unit in _UNITS if unit <= length), _UNITS[-1])
    step = max(int(length // unit), 1) * unit
    first = start - start % unit + step
    return list(range(first, end, step))


def to_ns(text: str) -> int:
    """Read a time as Databento writes it: 2024-07-01T00:00:00.000000000Z."""
    moment, _, fraction = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    seconds = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC).timestamp()
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))


def day_of(ns: int) -> dt.date:
    """Return the day (UTC) of a time."""
    return dt.date.fromordinal(_EPOCH + ns // DAY)


def midnight(day: dt.date) -> int:
    """Return the first nanosecond of a day (UTC)."""
    return (day.toordinal() - _EPOCH) * DAY
