"""From Databento's records to rows of the engine's Parquet schema.

The same rows as the engine's own loader makes (`DatabentoDataLoader`), without an object for each:
records are worked on as numpy columns. What the engine cannot hold it leaves out, as the loader
does: quotes without both prices, and of an order book the trades, which change nothing in it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import DataError
from workbench.data.dbn import UNDEFINED, changes_book, index_of, letters
from workbench.data.intervals import iso
from workbench.data.rows import PRICES, SIDES, decimals, table
from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa

SCALE = 9
"""Decimals of a Databento price."""

_LEVELS = 10
_LAST, _SNAPSHOT = 128, 32  # Databento's F_LAST and F_SNAPSHOT
_LARGEST = 2**63 - 1
_MOST = 34_028_236_692_093  # units: the engine's largest quantity
_ACTIONS = {"A": "ADD", "C": "DELETE", "M": "UPDATE", "R": "CLEAR"}
_ORDER_SIDES = {"B": "BUY", "A": "SELL"}
_TYPE_NAMES = {"order_book_deltas": "OrderBookDelta", "order_book_depths": "OrderBookDepth"}


@dataclass(frozen=True, slots=True)
class Target:
    """What the rows are to be.

    Attributes
    ----------
    kind, identity, instrument
        See `workbench.data.rows.table`.
    price_precision, size_precision
        Decimals of the instrument.
    step
        Nanoseconds from the open of a bar, which Databento gives, to its close; 0 for ticks.

    """

    kind: Kind
    identity: str
    instrument: str
    price_precision: int
    size_precision: int
    step: int = 0


def rows_of(records: Any, target: Target) -> tuple[pa.Table, list[str]]:
    """Return the rows of records of one instrument, and what the user should know of them.

    Parameters
    ----------
    records
        As `workbench.data.dbn.Reader` gives them.
    target
        What is wanted.

    Raises
    ------
    DataError
        If a price has more decimals than the instrument, or bars are impossible.

    """
    warnings: list[str] = []
    records = _kept(records, target, warnings)
    make = {"order_book_deltas": _deltas, "order_book_depths": _depths}.get(target.kind, _plain)
    return make(records, target), warnings


def _kept(records: Any, target: Target, warnings: list[str]) -> Any:
    """Return the records that become rows, in order of time."""
    keep = np.ones(len(records), dtype=bool)
    if target.kind == "bars":
        _check_bars(records)
    elif target.kind == "quotes":
        for name in ("bid_px_00", "ask_px_00"):
            keep &= records[name] != UNDEFINED
        if not keep.all():
            warnings.append("quotes of one side only were left out: the engine's have both")
    elif target.kind == "trades":
        keep = (records["size"] > 0) & (records["price"] != UNDEFINED)
        if not keep.all():
            warnings.append("trades without a price or a size were left out")
    elif target.kind == "order_book_deltas":
        keep = changes_book(records)
        records = _last_handed_on(records, keep)
        # The engine refuses an order of nothing.
        empty = np.isin(letters(records["action"]), list(b"AM")) & (records["size"] == 0)
        if (keep & empty).any():
            warnings.append("orders of size 0 were left out")
            keep &= ~empty
    records = records if keep.all() else records[keep]
    times = _index(records)
    if (times[1:] < times[:-1]).any():
        warnings.append("rows that were not in order of time were sorted")
        records = records[np.argsort(times, kind="stable")]
    return records


def _last_handed_on(records: Any, keep: Any) -> Any:
    """Return the records where the last delta of an event is marked so.

    Where the event's last record is left out, the mark passes to the delta before it.
    """
    marked = np.flatnonzero(~keep & (records["flags"] & _LAST > 0))
    before = np.searchsorted(kept := np.flatnonzero(keep), marked) - 1
    if len(heirs := kept[before[before >= 0]]):
        records = records.copy()
        records["flags"][heirs] |= _LAST
    return records


def _index(records: Any) -> Any:
    return records[index_of(records.dtype)]


def _times(records: Any, step: int = 0) -> Any:
    return _index(records).astype(np.int64) + step


def _check_bars(records: Any) -> None:
    """Refuse bars on which the engine would abort."""
    high, low = records["high"], records["low"]
    wrong = np.zeros(len(records), dtype=bool)
    for name in ("open", "close"):
        wrong |= (records[name] > high) | (records[name] < low)
    for name in ("open", "high", "low", "close"):
        wrong |= records[name] == UNDEFINED
    wrong |= records["volume"] > _MOST
    if wrong.any():
        when = iso(int(records["ts_event"][wrong.argmax()]))
        raise DataError(
            f"the bar of {when} is impossible: a price that is none or outside low to high, or a "
            f"volume above {_MOST}"
        )


def _units(values: Any, target: Target, records: Any) -> Any:
    """Return prices as whole units of the instrument's last decimal."""
    places = SCALE - target.price_precision
    if places > 0:
        units = values // 10**places
        wrong = units * 10**places != values
        if wrong.any():
            first = int(wrong.argmax())
            price = f"{int(values[first]) / 10**SCALE:.{SCALE}f}".rstrip("0")
            when = iso(int(_index(records)[first]))
            raise DataError(
                f"the price {price} of {when} has more decimals than {target.instrument}, whose "
                f"price_precision is {target.price_precision}: nothing is rounded. Describe the "
                "instrument with 'definition' and a larger price_precision"
            )
        return units
    return _times_power(values, -places, target)


def _sizes(values: Any, target: Target) -> Any:
    return _times_power(values.astype(np.int64), target.size_precision, target)


def _times_power(values: Any, places: int, target: Target) -> Any:
    largest = int(np.abs(values).max(initial=0))
    if largest * 10**places > _LARGEST:
        message = f"{target.instrument}: its precision is too large for its prices and sizes"
        raise DataError(message)
    return values * 10**places if places else values


def _plain(records: Any, target: Target) -> pa.Table:
    """Return bars, quotes or trades."""
    import pyarrow as pa

    kind = target.kind
    renamed = {"bid_price": "bid_px_00", "ask_price": "ask_px_00"}
    values = {
        name: _units(records[renamed.get(name, name)], target, records) for name in PRICES[kind]
    }
    if kind == "quotes":
        values["bid_size"] = _sizes(records["bid_sz_00"], target)
        values["ask_size"] = _sizes(records["ask_sz_00"], target)
    else:
        size = "volume" if kind == "bars" else "size"
        values[size] = _sizes(records[size], target)
    if kind == "trades":
        values["side"] = _codes(records["side"], _ORDER_SIDES, SIDES, "NO_AGGRESSOR")
        values["trade_id"] = pa.array(records["sequence"]).cast(pa.string())
    values["ts"] = _times(records, target.step)
    return table(
        kind,
        target.identity,
        target.instrument,
        values,
        price_precision=target.price_precision,
        size_precision=target.size_precision,
    )


def _codes(column: Any, words: dict[str, str], known: tuple[str, ...], other: str) -> Any:
    """Return the place among `known` of the word each letter of a column stands for."""
    places = np.full(256, known.index(other), dtype=np.int8)
    for letter, word in words.items():
        places[ord(letter)] = known.index(word)
    return places[letters(column)]


def _words(column: Any, words: dict[str, str], other: str) -> pa.Array:
    import pyarrow as pa

    known = tuple(dict.fromkeys((*words.values(), other)))
    indices = pa.array(_codes(column, words, known, other))
    return pa.DictionaryArray.from_arrays(indices, pa.array(known))


def _deltas(records: Any, target: Target) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    priced = records["price"] != UNDEFINED
    prices = decimals(
        _units(np.where(priced, records["price"], 0), target, records), target.price_precision
    )
    if not priced.all():
        prices = pc.if_else(pa.array(priced), prices, pa.scalar(None, prices.type))
    columns = {
        "action": _words(records["action"], _ACTIONS, "CLEAR"),
        "side": _words(records["side"], _ORDER_SIDES, "NO_ORDER_SIDE"),
        "price": prices,
        "size": decimals(_sizes(records["size"], target), target.size_precision),
        "order_id": pa.array(records["order_id"]),
        "flags": pa.array(records["flags"]),
        "sequence": pa.array(_sequences(records)),
    }
    return _book(columns, records, target, nullable=("price", "size"))


def _sequences(records: Any) -> Any:
    """Return sequence numbers; the orders of a snapshot, which are older, have none."""
    return np.where(records["flags"] & _SNAPSHOT, 0, records["sequence"]).astype(np.uint64)


def _depths(records: Any, target: Target) -> pa.Table:
    import pyarrow as pa

    columns = {
        "bids": _side(records, "bid", target),
        "asks": _side(records, "ask", target),
        "flags": pa.array(records["flags"]),
        "sequence": pa.array(records["sequence"].astype(np.uint64)),
    }
    return _book(columns, records, target)


def _side(records: Any, side: str, target: Target) -> pa.Array:
    """Return the levels of one side of each book that hold an order, best first."""
    import pyarrow as pa

    def levels(what: str) -> Any:
        return np.column_stack([records[f"{side}_{what}_{n:02d}"] for n in range(_LEVELS)])

    prices, sizes = levels("px"), levels("sz")
    there = (prices != UNDEFINED) & (sizes > 0)
    units = _units(prices[there], target, np.repeat(records, there.sum(axis=1)))
    number = pa.decimal128(38, 16)
    fields = [
        pa.field("price", number, nullable=False),
        pa.field("size", number, nullable=False),
        pa.field("count", pa.uint32(), nullable=False),
        pa.field("order_id", pa.uint64(), nullable=False),
    ]
    orders = pa.StructArray.from_arrays(
        [
            decimals(units, target.price_precision),
            decimals(_sizes(sizes[there], target), target.size_precision),
            pa.array(levels("ct")[there]),
            pa.array(np.zeros(len(units), dtype=np.uint64)),
        ],
        fields=fields,
    )
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    item = pa.field("item", orders.type, nullable=False)
    return pa.ListArray.from_arrays(pa.array(ends), orders, type=pa.list_(item))


def _book(
    columns: dict[str, Any], records: Any, target: Target, nullable: Collection[str] = ()
) -> pa.Table:
    import pyarrow as pa

    times = pa.array(_times(records)).cast(pa.timestamp("ns", tz="UTC"))
    columns |= {"ts_event": times, "ts_init": times}
    schema = pa.schema(
        [pa.field(name, each.type, nullable=name in nullable) for name, each in columns.items()],
        metadata={
            "instrument_id": target.instrument,
            "price_precision": str(target.price_precision),
            "size_precision": str(target.size_precision),
            "type_name": _TYPE_NAMES[target.kind],
        },
    )
    return pa.Table.from_arrays(list(columns.values()), schema=schema)
