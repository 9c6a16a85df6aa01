"""Rows of the catalog from one of Tardis's files that was found to be whole and without fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.adapters.secrets import child_environment
from workbench.core.errors import DataError
from workbench.data.intervals import Interval
from workbench.data.rows import times, to_numpy
from workbench.data.tardis_check import Contents
from workbench.data.tardis_csv import blocks
from workbench.engine import tardis as engine
from workbench.engine.tardis import Reading

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK_BYTES, _CHUNK_ROWS = 100 << 20, 400_000
"""A chunk is stored once it has one or the other: a thread holds it, and a few times its hash."""


def chunks(
    path: Path,
    shown: str,
    reading: Reading,
    contents: Contents,
    interval: Interval,
    step: Callable[[int], None],
) -> Iterator[tuple[Interval, pa.Table]]:
    """Yield the rows of a file that lie in `interval`, and the spans they are all the rows of.

    Parameters
    ----------
    path, shown
        The file, and its name for messages.
    reading
        How it is read.
    contents
        What `workbench.data.tardis_check.check` found in it.
    interval
        The spans yielded cover it without holes, in order.
    step
        Called with the number of rows read so far; may raise.

    Raises
    ------
    DataError
        If the engine's loader failed, or made more or fewer objects than the file has.

    """
    start, end = interval
    held: list[pa.Table] = []
    objects = 0
    if contents.objects:
        for piece in engine.decode(blocks(path, shown), reading, child_environment()):
            objects += piece.num_rows
            step(objects)
            rows = _between(_two_sided(piece, reading), interval)
            if not rows.num_rows:
                continue
            held.append(rows)
            if not _full(held):
                continue
            whole = _joined(held)
            moments = times(whole.column("ts_init"))
            cut = int(moments.searchsorted(moments[-1]))
            held = [whole]
            if cut:  # what has the last moment may go on in the next piece
                yield (start, int(moments[-1]) - 1), whole.slice(0, cut)
                held, start = [whole.slice(cut)], int(moments[-1])
    if objects != contents.objects:
        message = f"the engine's loader made {objects:,} objects of it, not {contents.objects:,}"
        raise DataError(f"{shown}: {message}")
    yield (start, end), _joined(held) if held else engine.empty(reading)


def _full(tables: list[pa.Table]) -> bool:
    rows = sum(table.num_rows for table in tables)
    size = sum(table.nbytes for table in tables)
    return bool(rows >= _CHUNK_ROWS or size >= _CHUNK_BYTES)


def _joined(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    # A dictionary for all of them: each piece of trades has one of its own.
    return pa.concat_tables(tables).unify_dictionaries()


def _between(rows: pa.Table, interval: Interval) -> pa.Table:
    moments = times(rows.column("ts_init"))
    first = int(moments.searchsorted(interval[0], side="left"))
    last = int(moments.searchsorted(interval[1], side="right"))
    return rows.slice(first, last - first)


def _two_sided(rows: pa.Table, reading: Reading) -> pa.Table:
    """Drop quotes with a side that has no price: the loader makes it 0, and orders fill at it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if reading.data_type != "quotes":
        return rows
    good = pc.and_(*(pc.not_equal(rows.column(f"{side}_price"), 0) for side in ("bid", "ask")))
    return rows if to_numpy(good).all() else rows.filter(pa.chunked_array(good))
