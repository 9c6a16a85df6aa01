"""Local times to UTC and back, for whole arrays.

Written on `zoneinfo` (which finds its tables in the ``tzdata`` package where the system has none);
pyarrow's own conversion needs the system's.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

_S = 10**9
_DAY = 86_400
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Converted:
    """Times in UTC, and which of them no clock or two clocks showed.

    Attributes
    ----------
    ts
        UNIX nanoseconds.
    skipped
        True where the local time does not exist: clocks were put forward over it.
    repeated
        True where the local time came twice: clocks were put back over it. `ts` is the first one.

    """

    ts: Any
    skipped: Any
    repeated: Any


class Zone:
    """A time zone, for arrays of int64 nanoseconds.

    Parameters
    ----------
    name
        IANA name, such as ``America/New_York``.

    """

    def __init__(self, name: str) -> None:
        self._zone = ZoneInfo(name)

    def to_utc(self, local: Any) -> Converted:
        """Return `local` times (nanoseconds since 1970 on the wall clock) in UTC."""
        nowhere = np.zeros(len(local), dtype=bool)
        if len(local) == 0:
            return Converted(local, nowhere, nowhere)
        changes, offsets = self._offsets(int(local.min()), int(local.max()))
        # On the wall clock an offset begins where the clock showed the later of the two times.
        begins = changes + np.maximum(offsets[:-1], offsets[1:])
        ends = changes + np.minimum(offsets[:-1], offsets[1:])
        which = np.searchsorted(begins, local, side="right")
        ts = local - offsets[which]
        inside = np.searchsorted(ends, local, side="right") > which
        forward = np.append(offsets[1:] > offsets[:-1], False)
        change = np.minimum(which, max(len(changes) - 1, 0))
        skipped = inside & forward[change]
        return Converted(ts, skipped, inside & ~skipped)

    def to_local(self, ts: Any) -> Any:
        """Return UTC times as wall clock times (nanoseconds since 1970 on the wall clock)."""
        if len(ts) == 0:
            return ts
        changes, offsets = self._offsets(int(ts.min()), int(ts.max()))
        return ts + offsets[np.searchsorted(changes, ts, side="right")]

    def _offsets(self, first: int, last: int) -> tuple[Any, Any]:
        """Return when the offset from UTC changes, and the offsets before, between and after."""
        day = first // _S // _DAY - 2
        at = day * _DAY
        offset = self._offset(at)
        changes, offsets = [], [offset]
        while at <= last // _S + 2 * _DAY:
            after = at + _DAY
            if (then := self._offset(after)) != offset:
                low, high = at, after
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if self._offset(middle) == offset else (low, middle)
                changes.append(high)
                offsets.append(then)
                offset = then
            at = after
        return np.array(changes, dtype=np.int64) * _S, np.array(offsets, dtype=np.int64) * _S

    def _offset(self, seconds: int) -> int:
        moment = (_EPOCH + dt.timedelta(seconds=seconds)).astimezone(self._zone)
        offset = moment.utcoffset()
        assert offset is not None
        return int(offset.total_seconds())
