"""Catalogs written by the real writer, and ways to damage them."""

import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core.project import Project
from workbench.data.catalog import ROWS_HASH, Dataset
from workbench.data.doctor.findings import Finding, Report
from workbench.data.intervals import Interval, file_name
from workbench.data.rows import rows_hash, table
from workbench.engine.catalog import write_instruments
from workbench.study.datasets import Instrument

MINUTE, HOUR, DAY = 60 * 10**9, 3600 * 10**9, 86_400 * 10**9
START = 1_704_153_600 * 10**9  # Tuesday 2024-01-02T00:00:00Z

PERP = "BTCUSDT.BYBIT"
BARS = f"{PERP}-1-MINUTE-LAST-EXTERNAL"
PRECISIONS = (1, 3)
DEFINITION = Instrument(
    type="crypto_perpetual",
    base="BTC",
    currency="USDT",
    price_precision=1,
    price_increment=Decimal("0.5"),
    size_precision=3,
)


def know(project: Project, **instruments: Instrument) -> None:
    """Write instruments to the catalog; by default the perpetual."""
    items = [(name.replace("__", "."), each) for name, each in instruments.items()]
    write_instruments(project.catalog, items or [(PERP, DEFINITION)])


def dataset(project: Project, kind: str = "bars", identity: str = BARS) -> Dataset:
    return Dataset(project, kind, identity)  # type: ignore[arg-type]


def times(count: int, start: int = START, step: int = MINUTE) -> Any:
    return start + step * np.arange(count, dtype=np.int64)


def walk(count: int, seed: int = 0) -> Any:
    """Return prices in units of 0.1, multiples of 0.5: quiet, and no two alike for long."""
    steps = np.random.default_rng(seed).integers(-3, 4, count)
    return 200_000 + 5 * np.cumsum(steps)


def bars(ts: Any, identity: str = BARS, precisions: tuple[int, int] = PRECISIONS) -> pa.Table:
    close = walk(len(ts))
    values = {
        "open": close, "high": close + 10, "low": close - 10, "close": close,
        "volume": 1000 + np.arange(len(ts)), "ts": ts,
    }  # fmt: skip
    return made("bars", identity, values, precisions)


def quotes(ts: Any) -> pa.Table:
    bid = walk(len(ts))
    size = 1000 + np.arange(len(ts))
    values = {"bid_price": bid, "ask_price": bid + 5, "bid_size": size, "ask_size": size}
    return made("quotes", PERP, values | {"ts": ts}, PRECISIONS)


def trades(ts: Any) -> pa.Table:
    count = len(ts)
    values = {
        "price": walk(count), "size": 1000 + np.arange(count), "side": 1 + np.arange(count) % 2,
        "trade_id": pa.array([f"t{number}" for number in range(count)]), "ts": ts,
    }  # fmt: skip
    return made("trades", PERP, values, PRECISIONS)


def made(kind: str, identity: str, values: Any, precisions: tuple[int, int]) -> pa.Table:
    instrument = identity.rsplit("-", 4)[0] if kind == "bars" else identity
    return table(
        kind,  # type: ignore[arg-type]
        identity,
        instrument,
        values,
        price_precision=precisions[0],
        size_precision=precisions[1],
    )


MADE = {"bars": bars, "quotes": quotes, "trades": trades}


def deltas(ts: Any) -> pa.Table:
    """Return changes of an order book, as the engine stores them."""
    count = len(ts)
    prices = quotes(ts).column("bid_price")
    words = pa.array(["ADD"] * count).dictionary_encode().cast(pa.dictionary(pa.int8(), "string"))
    sides = pa.array(["BUY"] * count).dictionary_encode().cast(pa.dictionary(pa.int8(), "string"))
    columns = {
        "action": words, "side": sides, "price": prices, "size": prices,
        "order_id": pa.array(np.zeros(count, np.uint64)),
        "flags": pa.array(np.zeros(count, np.uint8)),
        "sequence": pa.array(np.arange(count, dtype=np.uint64)),
        "ts_event": quotes(ts).column("ts_event"), "ts_init": quotes(ts).column("ts_init"),
    }  # fmt: skip
    keys = {"instrument_id": PERP, "price_precision": "1", "size_precision": "3"}
    return pa.table(columns).replace_schema_metadata(keys)


def store(where: Dataset, rows: pa.Table, interval: Interval | None = None, **source: str) -> Path:
    """Write a file as a fetch does."""
    if interval is None:
        moments = rows["ts_init"].cast(pa.int64()).to_numpy()
        interval = int(moments[0]), int(moments[-1])
    with where.locked():
        keys = {"provider": "bybit", "source": "test"} | source
        return where.write(rows, interval, **keys).path  # type: ignore[arg-type]


def clean(project: Project, kind: str = "bars", count: int = 300) -> Path:
    """Make a catalog with one sound file of the perpetual."""
    know(project)
    identity = BARS if kind == "bars" else PERP
    step = MINUTE if kind == "bars" else 10**9
    return store(dataset(project, kind, identity), MADE[kind](times(count, step=step)))


def loaded(path: Path) -> pa.Table:
    return pq.read_table(path, use_threads=False)


def put(path: Path, rows: pa.Table, *, rehash: bool = True) -> None:
    """Write a file's rows anew, with their own hash unless told otherwise."""
    metadata = dict(rows.schema.metadata or {})
    if rehash and ROWS_HASH.encode() in metadata:
        metadata[ROWS_HASH.encode()] = str(rows_hash(rows)).encode()
    rows = rows.replace_schema_metadata(metadata)
    pq.write_table(rows, path, compression="zstd", write_page_checksum=True, use_dictionary=False)


def change(rows: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    """Return rows with one cell changed."""
    place = rows.schema.get_field_index(column)
    field = rows.schema.field(place)
    cells = rows.column(place).to_pylist() if not pa.types.is_timestamp(field.type) else None
    if cells is None:
        moments = rows.column(place).cast(pa.int64()).to_numpy().copy()
        moments[row] = value
        return rows.set_column(place, field, pa.array(moments).cast(field.type))
    cells[row] = value
    return rows.set_column(place, field, pa.array(cells, field.type))


def again(rows: pa.Table, *numbers: int) -> pa.Table:
    """Return rows with some of them twice, right after themselves."""
    order = sorted([*range(rows.num_rows), *numbers])
    return rows.take(order)


def renamed(path: Path, interval: Interval) -> Path:
    return path.rename(path.with_name(file_name(interval)))


def codes(report: Report, *severities: str) -> set[str]:
    wanted = severities or ("error", "warning")
    return {each.code for each in report.findings if each.severity in wanted}


def one(report: Report, code: str) -> Finding:
    (found,) = [each for each in report.findings if each.code == code]
    return found


def legacy(rows: pa.Table, width: int = 16) -> pa.Table:
    """Return rows as NautilusTrader 1.x stored them: binary numbers, unsigned times."""
    fields: list[tuple[str, pa.Array]] = []
    words = {"aggressor_side": ["NO_AGGRESSOR", "BUY", "SELL"], "side": ["NO", "BUY", "SELL"]}
    words["action"] = ["", "ADD", "UPDATE", "DELETE", "CLEAR"]
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        if pa.types.is_decimal(column.type):
            scale = 10**16 if width == 16 else 10**9
            numbers = [int(cell * scale) for cell in column.to_pylist()]
            cells = [number.to_bytes(width, "little", signed=True) for number in numbers]
            column = pa.array(cells, pa.binary(width))
        elif pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64()).cast(pa.uint64())
        elif pa.types.is_dictionary(column.type):
            column = pa.array([words[name].index(cell) for cell in column.to_pylist()], pa.uint8())
        fields.append((name, column))
    keys = {
        key: value
        for key, value in rows.schema.metadata.items()
        if not key.startswith(b"workbench.") and key != b"type_name"
    }
    schema = pa.schema(
        [pa.field(name, column.type, nullable=False) for name, column in fields], metadata=keys
    )
    return pa.table([column for _, column in fields], schema=schema)


LEGACY_FOLDERS = {"bars": "bar", "quotes": "quote_tick", "trades": "trade_tick"}


def legacy_file(project: Project, kind: str, rows: pa.Table, name: str, width: int = 16) -> Path:
    """Put a file where 1.x keeps it."""
    folder = BARS if kind == "bars" else PERP
    path = project.catalog / "data" / LEGACY_FOLDERS.get(kind, kind) / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(legacy(rows, width), path)
    return path


def legacy_instrument(project: Project, **other: Any) -> Path:
    """Put the perpetual where 1.x keeps it, as its Python half wrote it."""
    values: dict[str, Any] = {
        "id": PERP, "raw_symbol": "BTCUSDT", "base_currency": "BTC", "quote_currency": "USDT",
        "settlement_currency": "USDT", "is_inverse": False, "price_precision": 1,
        "size_precision": 3, "price_increment": "0.5", "size_increment": "0.001",
        "multiplier": "1", "lot_size": "1", "max_quantity": None, "min_quantity": "0.001",
        "max_notional": None, "min_notional": None, "max_price": None, "min_price": None,
        "margin_init": "0.05", "margin_maint": "0.025", "maker_fee": "0.0002",
        "taker_fee": "0.0004", "info": b"{}", "ts_event": 0, "ts_init": 0,
    } | other  # fmt: skip
    columns = {name: pa.array([value]) for name, value in values.items()}
    for name in ("id", "base_currency", "quote_currency", "price_increment"):
        columns[name] = columns[name].dictionary_encode()
    path = project.catalog / "data" / "crypto_perpetual" / PERP / file_name((0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({"class": "CryptoPerpetual"}), path)
    return path


def in_process(code: str, *arguments: object) -> str:
    """Run code that needs the engine in a process of its own; return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def snapshot(project: Project, *, but: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the content of every file of the catalog, those kept for an undo left out."""
    root = project.catalog
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] not in (".undo", *but)
    }
