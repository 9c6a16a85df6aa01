"""From pieces of DBN records to the chunks a provider yields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from workbench.data.dbn import PIECE, batches, index_of
from workbench.data.dbn_rows import Target, rows_of
from workbench.data.intervals import Interval
from workbench.data.provider import Chunk

# Records may arrive a little late: those of the span are still looked for this long after it.
_LATE = 10**9


def chunks_of(
    parts: Iterable[Any], dtype: Any, target: Target, interval: Interval, at_once: int = PIECE
) -> Iterator[Chunk]:
    """Yield the rows of `interval` as chunks that cover all of it.

    Parameters
    ----------
    parts
        Arrays of one instrument's records: all there are from the interval's beginning on. They
        are read no further than needed.
    dtype
        The records' layout.
    target
        What is wanted.
    interval
        First and last nanosecond of the rows' times.
    at_once
        Bytes of records to a chunk, more or less.

    Raises
    ------
    DataError
        As `workbench.data.dbn.batches` and `workbench.data.dbn_rows.rows_of`.

    """
    start, end = interval
    index = index_of(dtype)
    said: set[str] = set()
    found = batches(_within(parts, index, start - target.step, end - target.step), at_once)
    records = next(found, np.empty(0, dtype))
    while records is not None:
        following = next(found, None)
        until = end if following is None else int(records[index].max()) + target.step
        rows, warnings = rows_of(records, target)
        new = tuple(text for text in warnings if text not in said)
        yield Chunk((start, until), rows, new, records.nbytes)
        said.update(new)
        start, records = until + 1, following


def _within(parts: Iterable[Any], index: str, first: int, last: int) -> Iterator[Any]:
    """Yield the records of a span of index times."""
    for records in parts:
        times = records[index].astype(np.int64)
        inside = (times >= first) & (times <= last)
        yield records if inside.all() else records[inside]
        if len(times) and int(times.max()) > last + _LATE:
            return
