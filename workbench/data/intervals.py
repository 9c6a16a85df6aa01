"""Spans of time: closed on both sides, in UNIX nanoseconds."""

import datetime as dt
from collections.abc import Iterable

type Interval = tuple[int, int]
"""First and last nanosecond, both inside."""

BEGINNING = 0
END = 2**63 - 1

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def clip(interval: Interval, to: Interval) -> Interval | None:
    """Return the part of `interval` that lies in `to`, None where there is none."""
    start, end = max(interval[0], to[0]), min(interval[1], to[1])
    return (start, end) if start <= end else None


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same time as sorted spans that neither touch nor overlap."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def missing(wanted: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """Return the parts of `wanted` that no covered span holds."""
    gaps = []
    at, last = wanted
    for start, end in union(covered):
        if end < at:
            continue
        if start > last:
            break
        if start > at:
            gaps.append((at, start - 1))
        at = end + 1
    if at <= last:
        gaps.append((at, last))
    return gaps


def iso(ns: int) -> str:
    """Write a time for people: ``2012-02-01T09:30:00Z``, with a fraction where there is one."""
    seconds, fraction = divmod(ns, 10**9)
    text = (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def shown(interval: Interval) -> str:
    """Write a span for people; an open end is an ellipsis."""
    start = "..." if interval[0] == BEGINNING else iso(interval[0])
    end = "..." if interval[1] == END else iso(interval[1])
    return f"{start} to {end}"


def stamp(ns: int) -> str:
    """Write a time the way the engine's catalog names files."""
    seconds, fraction = divmod(ns, 10**9)
    moment = _EPOCH + dt.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H-%M-%S") + f"-{fraction:09d}Z"


def file_name(interval: Interval) -> str:
    """Return the name of the catalog file that covers `interval`."""
    return f"{stamp(interval[0])}_{stamp(interval[1])}.parquet"


def parse_file_name(name: str) -> Interval | None:
    """Return the span a catalog file covers, None if it is not named like one."""
    start, underscore, end = name.removesuffix(".parquet").partition("_")
    if not underscore or not name.endswith(".parquet"):
        return None
    try:
        return _parse_stamp(start), _parse_stamp(end)
    except ValueError:
        return None


def _parse_stamp(text: str) -> int:
    moment, _, fraction = text.removesuffix("Z").rpartition("-")
    parsed = dt.datetime.strptime(moment, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=dt.UTC)
    if len(fraction) != 9:
        raise ValueError(text)
    return int((parsed - _EPOCH).total_seconds()) * 10**9 + int(fraction)
