"""DBN files for tests, written with Databento's own encoder: real headers, records by numpy."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import numpy as np
import zstandard

SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
T0 = 1_719_792_000 * SECOND  # 2024-07-01
NONE = dbn.UNDEF_PRICE
ES, NQ = 118, 4358

_RECORDS = {
    "mbo": (dbn.MBOMsg, 0xA0), "mbp-1": (dbn.MBP1Msg, 0x01), "mbp-10": (dbn.MBP10Msg, 0x0A),
    "tbbo": (dbn.MBP1Msg, 0x01), "trades": (dbn.TradeMsg, 0x00),
    "ohlcv-1s": (dbn.OHLCVMsg, 0x20), "ohlcv-1m": (dbn.OHLCVMsg, 0x21),
    "ohlcv-1h": (dbn.OHLCVMsg, 0x22), "ohlcv-1d": (dbn.OHLCVMsg, 0x23),
    "bbo-1s": (dbn.BBOMsg, 0xC3), "bbo-1m": (dbn.BBOMsg, 0xC4), "cmbp-1": (dbn.CMBP1Msg, 0xB1),
    "cbbo-1s": (dbn.CBBOMsg, 0xC0), "cbbo-1m": (dbn.CBBOMsg, 0xC1),
}  # fmt: skip
STEPS = {"ohlcv-1s": SECOND, "ohlcv-1m": MINUTE, "ohlcv-1h": 60 * MINUTE, "ohlcv-1d": DAY}


def index(records: Any) -> Any:
    """Return the times the records are sorted by."""
    return records["ts_recv" if "ts_recv" in records.dtype.names else "ts_event"].astype(np.int64)


def empty(schema: str, count: int, number: int = ES, start: int = T0, step: int = 0) -> Any:
    """Return `count` records with their heads filled in, one every `step` nanoseconds."""
    kind, rtype = _RECORDS[schema]
    records = np.zeros(count, np.dtype(kind._dtypes))
    records["length"] = records.dtype.itemsize // 4
    records["rtype"], records["publisher_id"], records["instrument_id"] = rtype, 1, number
    times = start + np.arange(count, dtype=np.uint64) * np.uint64(step or STEPS.get(schema, SECOND))
    records["ts_event"] = times
    if "ts_recv" in records.dtype.names:
        records["ts_recv"] = times
        records["ts_event"] = times - 1_500
    return records


def market(
    schema: str, count: int, number: int = ES, start: int = T0, step: int = 0, seed: int = 1
) -> Any:
    """Return records of a random walk in quarters of a point."""
    random = np.random.default_rng(seed)
    records = empty(schema, count, number, start, step)
    price = (22_000 + np.cumsum(random.integers(-2, 3, count))) * 250_000_000
    names = records.dtype.names
    if "open" in names:
        records["open"], records["close"] = price, np.roll(price, -1)
        records["high"] = np.maximum(records["open"], records["close"]) + 250_000_000
        records["low"] = np.minimum(records["open"], records["close"]) - 250_000_000
        records["volume"] = random.integers(1, 2_000, count)
        return records
    records["price"], records["size"] = price, random.integers(1, 50, count)
    records["side"] = random.choice([b"A", b"B", b"N"], count)
    if "action" in names:
        records["action"] = b"T" if schema in ("trades", "tbbo") else b"A"
    if "sequence" in names:
        records["sequence"] = np.arange(count) + 1_000
    if "flags" in names:
        records["flags"] = dbn.F_LAST
    if "order_id" in names:
        records["order_id"] = random.integers(1, 2**62, count)
        records["side"] = random.choice([b"A", b"B"], count)
    for level in range(10):
        if f"bid_px_{level:02d}" in names:
            records[f"bid_px_{level:02d}"] = price - level * 250_000_000
            records[f"ask_px_{level:02d}"] = price + (level + 1) * 250_000_000
            for side in ("bid", "ask"):
                records[f"{side}_sz_{level:02d}"] = random.integers(1, 90, count)
                if f"{side}_ct_{level:02d}" in names:
                    records[f"{side}_ct_{level:02d}"] = random.integers(1, 9, count)
    return records


def definition(
    symbol: str = "ESU4",
    number: int = ES,
    start: int = T0,
    *,
    kind: dbn.InstrumentClass = dbn.InstrumentClass.FUTURE,
    increment: int = 250_000_000,
    exchange: str = "XCME",
    publisher: int = 1,
) -> bytes:
    """Return a definition record."""
    return bytes(
        dbn.InstrumentDefMsg(
            publisher, number, start, start, increment, 10**9, symbol, symbol[:2], "FUT", kind,
            dbn.SecurityUpdateAction.ADD, expiration=T0 + 90 * DAY, activation=T0 - 365 * DAY,
            min_price_increment_amount=12_500_000_000, unit_of_measure_qty=50 * 10**9,
            currency="USD", exchange=exchange, group="ES", cfi="FFIXSX", unit_of_measure="IPNT",
            min_lot_size_round_lot=1,
        )
    )  # fmt: skip


def header(
    schema: str | None,
    symbols: Mapping[str, Sequence[tuple[int, int, int]]],
    start: int,
    end: int | None,
    *,
    dataset: str = "GLBX.MDP3",
    stype_in: str = "raw_symbol",
    limit: int | None = None,
) -> bytes:
    """Return a header; `symbols` maps each to (number, first midnight, midnight after)."""
    mappings = [
        SimpleNamespace(
            raw_symbol=symbol,
            intervals=[
                SimpleNamespace(start_date=_date(first), end_date=_date(after), symbol=str(number))
                for number, first, after in spans
            ],
        )
        for symbol, spans in symbols.items()
    ]
    metadata = dbn.Metadata(
        dataset=dataset,
        start=start,
        end=end,
        stype_in=dbn.SType.from_str(stype_in),
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=None if schema is None else dbn.Schema.from_str(schema),
        symbols=list(symbols),
        partial=[],
        not_found=[],
        mappings=mappings,
        limit=limit,
        version=3,
    )
    return bytes(metadata.encode())


def days(start: int, end: int) -> tuple[int, int]:
    """Return the midnights around a span."""
    return start - start % DAY, -(-end // DAY) * DAY


def write(
    path: Path,
    schema: str,
    records: Any,
    *,
    symbols: Mapping[str, Sequence[tuple[int, int, int]]] | None = None,
    start: int | None = None,
    end: int | None = None,
    **more: Any,
) -> Path:
    """Write a DBN file, compressed if its name says so.

    `records` is an array, or bytes of records; the query is taken to be as long as they are.
    """
    content = records if isinstance(records, bytes) else records.tobytes()
    if not isinstance(records, bytes) and len(records):
        times = index(records)
        start = int(times[0]) if start is None else start
        end = int(times[-1]) + STEPS.get(schema, 1) if end is None else end
    start = T0 if start is None else start
    end = start + DAY if end is None else end
    symbols = symbols or {"ESU4": [(ES, *days(start, end))]}
    whole = header(schema, symbols, start, end, **more) + content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstandard.compress(whole) if path.suffix == ".zst" else whole)
    return path


def _date(ns: int) -> dt.date:
    return dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + ns // DAY)
