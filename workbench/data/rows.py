"""Rows of bars, quotes and trades in the engine's Parquet schema, and their hash.

Prices and sizes are whole numbers of the last decimal (``1.1003`` at precision 4 is ``11003``, an
int64) until they become ``decimal128(38, 16)``, so that no float is ever rounded twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa

KINDS: tuple[Kind, ...] = get_args(Kind)

SCALE = 16
"""Decimals of every number in the engine's catalog."""

PRICES: dict[Kind, tuple[str, ...]] = {
    "bars": ("open", "high", "low", "close"),
    "quotes": ("bid_price", "ask_price"),
    "trades": ("price",),
    "order_book_deltas": ("price",),
    "order_book_depths": (),
}
SIZES: dict[Kind, tuple[str, ...]] = {
    "bars": ("volume",),
    "quotes": ("bid_size", "ask_size"),
    "trades": ("size",),
    "order_book_deltas": ("size",),
    "order_book_depths": (),
}
SIDES = ("NO_AGGRESSOR", "BUY", "SELL")
# Every word the engine writes as a dictionary's entry. Hashes depend on the order: append only.
_VOCABULARY = (*SIDES, "NO_ORDER_SIDE", "ADD", "UPDATE", "DELETE", "CLEAR")
_TYPE_NAMES = {"bars": "Bar", "quotes": "QuoteTick", "trades": "TradeTick"}


def table(
    kind: Kind,
    identity: str,
    instrument: str,
    values: dict[str, Any],
    *,
    price_precision: int,
    size_precision: int,
) -> pa.Table:
    """Build the engine's Parquet table of one dataset.

    Parameters
    ----------
    kind, identity, instrument
        What the rows are: ``bars`` of a bar type, ``quotes`` or ``trades`` of an instrument (the
        order book's come from `workbench.engine.catalog.encode`).
    values
        Arrays of one length by column: int64 whole units of the last decimal for prices and sizes,
        ``ts`` int64 UNIX nanoseconds (event and initialisation alike), and for trades ``side``
        (indices into `SIDES`) and ``trade_id`` (an Arrow string array).
    price_precision, size_precision
        Decimals of the prices and sizes.

    """
    import pyarrow as pa

    number, moment = pa.decimal128(38, SCALE), pa.timestamp("ns", tz="UTC")
    columns: dict[str, pa.Array] = {}
    for names, precision in ((PRICES[kind], price_precision), (SIZES[kind], size_precision)):
        for name in names:
            columns[name] = decimals(values[name], precision)
    if kind == "trades":
        indices = pa.array(values["side"].astype(np.int8))
        columns["aggressor_side"] = pa.DictionaryArray.from_arrays(indices, pa.array(SIDES))
        columns["trade_id"] = values["trade_id"]
    times = pa.array(np.ascontiguousarray(values["ts"], dtype=np.int64)).cast(moment)
    columns["ts_event"] = columns["ts_init"] = times
    types = {"aggressor_side": pa.dictionary(pa.int8(), pa.string()), "trade_id": pa.string()}
    types |= {"ts_event": moment, "ts_init": moment}
    metadata = {
        "instrument_id": instrument,
        "price_precision": str(price_precision),
        "size_precision": str(size_precision),
        "type_name": _TYPE_NAMES[kind],
    }
    if kind == "bars":
        metadata["bar_type"] = identity
    schema = pa.schema(
        [pa.field(name, types.get(name, number), nullable=False) for name in columns],
        metadata=metadata,
    )
    return pa.Table.from_arrays(list(columns.values()), schema=schema)


def decimals(units: Any, precision: int) -> pa.Array:
    """Return int64 whole units of the last decimal as a column of decimals."""
    import pyarrow as pa

    factor = 10 ** (SCALE - precision)
    largest = max(int(units.max()), -int(units.min())) if len(units) else 0
    small = largest * factor < 2**63
    words = np.empty((len(units), 2), dtype=np.int64)
    np.multiply(units, factor if small else 1, out=words[:, 0])
    np.right_shift(words[:, 0], 63, out=words[:, 1])  # the sign, extended to 128 bits
    exact = pa.Array.from_buffers(
        pa.decimal128(38, SCALE if small else precision), len(units), [None, pa.py_buffer(words)]
    )
    # What does not fit 64 bits is multiplied by pyarrow, at three times the cost.
    return exact if small else exact.cast(pa.decimal128(38, SCALE))


def to_float(column: pa.ChunkedArray, precision: int) -> Any:
    """Return a decimal column as float64, each value the float nearest to it; nulls are NaN."""
    if column.null_count:
        present = to_numpy(column.is_valid())
        values = np.full(len(present), np.nan)
        values[present] = to_float(column.drop_null(), precision)
        return values
    return to_units(column, precision) / 10.0**precision


def to_units(column: pa.ChunkedArray, precision: int) -> Any:
    """Return a decimal column without nulls as int64 whole units of the last decimal."""
    import pyarrow as pa

    return words(column.cast(pa.decimal128(38, precision)))[:, 0].view(np.int64)


def best_levels(rows: pa.Table, prices: int, sizes: int) -> dict[str, Any]:
    """Return bid_price, bid_size, ask_price and ask_size of the best levels, NaN where none is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for side in ("bid", "ask"):
        column = rows.column(f"{side}s")
        filled = to_numpy(pc.list_value_length(column)) > 0
        best = pc.list_element(column.filter(pa.array(filled)), 0)
        for name, precision in (("price", prices), ("size", sizes)):
            values = np.full(len(filled), np.nan)
            values[filled] = to_float(pc.struct_field(best, name), precision)
            found[f"{side}_{name}"] = values
    return found


def times(column: pa.ChunkedArray) -> Any:
    """Return a timestamp column as int64 UNIX nanoseconds."""
    import pyarrow as pa

    return to_numpy(column.cast(pa.int64()))


def to_numpy(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return a column of numbers or truth values without nulls; a single chunk is not copied.

    Unlike pyarrow's own method it does not import pandas, which takes longer than most plans.
    """
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        return to_numpy(column.cast(pa.uint8())).view(bool)
    assert not column.null_count
    dtype = np.dtype(column.type.to_pandas_dtype())
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in chunks
        if len(chunk)
    ]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def words(column: pa.ChunkedArray) -> Any:
    """Return decimals as (n, 2) uint64: low word, high word."""
    parts = []
    for chunk in column.chunks:
        whole = np.frombuffer(chunk.buffers()[1], dtype=np.uint64).reshape(-1, 2)
        parts.append(whole[chunk.offset : chunk.offset + len(chunk)])
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.uint64)


_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HASHED = 50_000  # rows at once


def rows_hash(rows: pa.Table) -> int:
    """Return a 64-bit hash of a set of rows.

    Each row is hashed alone and the hashes are added modulo 2**64, so the same rows give the same
    hash in whatever order and however many files they lie: the hash of two files together is the
    sum of theirs. It tells changed data, not a forger.
    """
    # In parts: hashing text takes fifty times its bytes.
    parts = (rows.slice(start, _HASHED) for start in range(0, rows.num_rows, _HASHED))
    return add_hashes(*(int(np.add.reduce(row_hashes(p), dtype=np.uint64)) for p in parts))


def row_hashes(rows: pa.Table) -> Any:
    """Return the 64-bit hash of each row, see `rows_hash`."""
    state = np.full(rows.num_rows, _GOLDEN)
    for name in rows.column_names:
        state ^= _column_words(rows.column(name))
        _mix(state)
    return state


def add_hashes(*hashes: int) -> int:
    """Return the hash of the rows of several tables together."""
    return sum(hashes) % 2**64


def _mix(state: Any) -> None:
    """Spread every bit over the word (the finaliser of splitmix64), in place."""
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        state ^= state >> np.uint64(shift)
        state *= multiplier
    state ^= state >> np.uint64(31)
    state += _GOLDEN


def _column_words(column: pa.ChunkedArray) -> Any:
    """Return one uint64 for each value, different for different values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(column.type):
        return _list_words(column)
    if column.null_count:
        present = to_numpy(column.is_valid())
        zero = pa.scalar(0).cast(column.type)
        return np.where(present, _column_words(column.fill_null(zero)), _GOLDEN)
    if pa.types.is_decimal(column.type):
        pair = words(column)
        return pair[:, 0] + pair[:, 1] * _MULTIPLIERS[0]
    if pa.types.is_timestamp(column.type):
        return times(column).view(np.uint64)
    if pa.types.is_integer(column.type):
        return to_numpy(column).astype(np.uint64)
    text = column.cast(pa.string())
    if column.type != pa.string():
        return to_numpy(pc.index_in(text, pa.array(_VOCABULARY))).astype(np.uint64)
    return _text_words(text.combine_chunks())


def _list_words(column: pa.ChunkedArray) -> Any:
    """Hash each list of structs of an array: its elements with their places, added up."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = to_numpy(pc.list_value_length(column)).astype(np.int64)
    elements = column.combine_chunks().flatten()
    first = np.cumsum(lengths) - lengths
    state = (np.arange(len(elements)) - np.repeat(first, lengths)).astype(np.uint64) * _GOLDEN
    for field in elements.flatten():
        state ^= _column_words(pa.chunked_array([field]))
        _mix(state)
    sums = np.zeros(len(lengths), dtype=np.uint64)
    filled = lengths > 0
    if filled.any():
        sums[filled] = np.add.reduceat(state, first[filled])
    return sums


def _text_words(text: pa.Array) -> Any:
    """Hash each string of an array: a polynomial over its bytes."""
    if len(text) == 0:
        return np.empty(0, dtype=np.uint64)
    _, offsets, data = text.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    lengths = np.diff(bounds)
    letters = np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]].astype(np.uint64)
    places = np.arange(len(letters)) - np.repeat(bounds[:-1] - bounds[0], lengths)
    powers = np.multiply.accumulate(np.full(int(lengths.max(initial=0)) + 1, _MULTIPLIERS[1]))
    sums = np.zeros(len(text), dtype=np.uint64)
    filled = lengths > 0
    if filled.any():
        starts = (bounds[:-1] - bounds[0])[filled]
        sums[filled] = np.add.reduceat((letters + np.uint64(1)) * powers[places], starts)
    return sums
