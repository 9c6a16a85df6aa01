"""Timestamps of source files: text, integers or times, with a zone or without, to UTC."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.data.rows import to_numpy
from workbench.data.timezones import Zone

UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
FIXED = {"MILLISECOND": 10**6, "SECOND": 10**9, "MINUTE": 60 * 10**9, "HOUR": 3600 * 10**9}
TIME_UNITS = (*FIXED, "DAY", "WEEK", "MONTH", "YEAR")
# Up to the end of 2261, as in a study.
LATEST = 9_214_646_400_000_000_000
_DAY = 86_400 * 10**9
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - the wall clock's own epoch
_FRACTION = re.compile(r"(.*:\d\d)[.,](\d{1,9})(.*)")
_INTEGER = re.compile(rb"\s*-?\d+\s*")
HINT = "a timestamp is ISO 8601, such as 2012-02-01 09:30:00, or an integer with 'timestamp_unit'"


@dataclass(slots=True)
class Times:
    """Timestamps, read.

    Attributes
    ----------
    ts
        int64 UNIX nanoseconds, 0 where one could not be read.
    unreadable, outside, skipped, repeated
        Masks: not a timestamp; before 1970 or after 2261; local times that clocks jumped over, or
        showed twice.
    midnights
        Whether the times carried no zone and every one is a midnight: plain dates, most likely.

    """

    ts: Any
    unreadable: Any
    outside: Any
    skipped: Any
    repeated: Any
    midnights: bool = False


def needs_unit(column: Any) -> bool:
    """Return whether the timestamps are integers, by the first of them."""
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return True
    return _is_text(column) and len(column) > 0 and bool(_INTEGER.fullmatch(_bytes(column[0])))


def parse(column: Any, zone: Zone, unit: str | None) -> Times:
    """Read a column of timestamps.

    Parameters
    ----------
    column
        Arrow array: timestamps, dates, integers, text or bytes.
    zone
        Of the times that carry none.
    unit
        Of integers, a key of `UNITS`.

    """
    import pyarrow as pa
    import pyarrow.compute as pc

    none = np.zeros(len(column), dtype=bool)
    unreadable, outside = none, none
    kind = column.type
    naive: Any = none
    if needs_unit(column) and unit:
        ts, unreadable, outside = _integers(column, UNITS[unit])
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("s"))
        zoned = column.type.tz is not None
        fine = column.cast(pa.timestamp("ns", column.type.tz), safe=False)
        # Coarser units reach further than nanoseconds: what does not come back is outside.
        back = pc.equal(fine.cast(column.type, safe=False), column)
        outside = ~to_numpy(pc.fill_null(back, True))
        unreadable = to_numpy(pc.is_null(column))
        ts = to_numpy(pc.fill_null(fine.cast(pa.int64()), 0))
        naive = ~none if not zoned else none
    elif _is_text(column):
        ts, naive, unreadable = _texts(column)
    else:
        ts, unreadable = np.zeros(len(column), dtype=np.int64), ~none
    return _located(ts, naive & ~unreadable, unreadable, outside, zone)


def _located(ts: Any, naive: Any, unreadable: Any, outside: Any, zone: Zone) -> Times:
    skipped = np.zeros(len(ts), dtype=bool)
    repeated = skipped.copy()
    # The wall clock is within a day of UTC; the bounds are checked before `Zone` sees the times.
    outside = outside | (ts < 0) | (ts > LATEST)
    convert = naive & ~outside
    midnights = bool(convert.any() and convert.all() and not (ts % _DAY).any())
    if convert.any():
        whole = bool(convert.all())
        converted = zone.to_utc(ts if whole else ts[convert])
        ts = ts.copy()
        ts[convert] = converted.ts
        skipped[convert], repeated[convert] = converted.skipped, converted.repeated
    outside = (outside | (ts < 0)) & ~unreadable
    return Times(ts, unreadable, outside, skipped, repeated, midnights)


def _integers(column: Any, factor: int) -> tuple[Any, Any, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    unreadable = np.zeros(len(column), dtype=bool)
    if _is_text(column):
        try:
            column = pc.cast(pc.cast(column, pa.string()), pa.int64())
        except pa.ArrowInvalid:
            whole = [
                int(text) if _INTEGER.fullmatch(text := _bytes(cell)) else None for cell in column
            ]
            unreadable = np.array([number is None for number in whole])
            capped = [min(max(number or 0, -1), 2**63 - 1) for number in whole]
            column = pa.chunked_array([pa.array(capped, pa.int64())])
    unreadable = unreadable | to_numpy(pc.is_null(column))
    numbers = to_numpy(pc.fill_null(pc.cast(column, pa.int64(), safe=False), 0))
    outside = (numbers < 0) | (numbers > LATEST // factor)
    return np.where(outside, 0, numbers) * factor, unreadable, outside


def _texts(column: Any) -> tuple[Any, Any, Any]:
    """Return wall clock or UTC nanoseconds, which of them are wall clock, which unreadable."""
    import pyarrow as pa
    import pyarrow.compute as pc

    good = np.zeros(len(column), dtype=bool)
    try:
        text = pc.cast(column, pa.string())
        for kind in (pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
            try:
                ts = pc.cast(text, kind).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            if not ts.null_count:
                return to_numpy(ts), good if kind.tz else ~good, good
    except pa.ArrowInvalid:  # not UTF-8
        pass
    cells = [_read(_bytes(cell)) for cell in column]
    ts = np.array([0 if cell is None else cell[0] for cell in cells], dtype=np.int64)
    naive = np.array([cell is not None and cell[1] for cell in cells], dtype=bool)
    return ts, naive, np.array([cell is None for cell in cells], dtype=bool)


def _read(text: bytes) -> tuple[int, bool] | None:
    """Read one timestamp: nanoseconds, and whether it carries no zone."""
    try:
        written = text.decode().strip()
        extra = 0
        if match := _FRACTION.fullmatch(written):
            written = match[1] + match[3]
            extra = int(match[2].ljust(9, "0"))
        moment = dt.datetime.fromisoformat(written)
    except ValueError:
        return None
    naive = moment.tzinfo is None
    if not naive:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    ns = (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1000 + extra
    return (ns, naive) if abs(ns) < 2**63 else (-1, naive)


def _is_text(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(check(kind) for check in checks)


def _bytes(cell: Any) -> bytes:
    value = cell.as_py()
    if value is None:
        return b""
    return value if isinstance(value, bytes) else str(value).encode()


def at_close(ts: Any, step: int, unit: str, zone: Zone) -> Any:
    """Move the times bars open at to the times they close at.

    Days and longer are counted on the wall clock, where a day may have 23 or 25 hours.
    """
    if unit in FIXED:
        return ts + step * FIXED[unit]
    local = zone.to_local(ts)
    if unit in ("DAY", "WEEK"):
        return zone.to_utc(local + step * _DAY * (7 if unit == "WEEK" else 1)).ts
    months = local.astype("datetime64[ns]").astype("datetime64[M]")
    inside = local - months.astype("datetime64[ns]").astype(np.int64)
    later = months + np.timedelta64(step * (12 if unit == "YEAR" else 1), "M")
    return zone.to_utc(later.astype("datetime64[ns]").astype(np.int64) + inside).ts
