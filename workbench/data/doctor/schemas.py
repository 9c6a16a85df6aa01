"""The columns of the engine's files, and how to tell those of NautilusTrader 1.x."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER, _MOMENT, _WORD = "decimal128(38, 16)", "timestamp[ns, tz=UTC]", "dictionary"
_TIMES = {"ts_event": _MOMENT, "ts_init": _MOMENT}
COLUMNS: dict[Kind, dict[str, str]] = {
    "bars": dict.fromkeys(("open", "high", "low", "close", "volume"), _NUMBER) | _TIMES,
    "quotes": dict.fromkeys(("bid_price", "ask_price", "bid_size", "ask_size"), _NUMBER) | _TIMES,
    "trades": {"price": _NUMBER, "size": _NUMBER, "aggressor_side": _WORD, "trade_id": "string"}
    | _TIMES,
    "order_book_deltas": {
        "action": _WORD, "side": _WORD, "price": _NUMBER, "size": _NUMBER, "order_id": "uint64",
        "flags": "uint8", "sequence": "uint64",
    } | _TIMES,
    "order_book_depths": {"bids": "list", "asks": "list", "flags": "uint8", "sequence": "uint64"}
    | _TIMES,
}  # fmt: skip
"""The engine's columns in their order, each with the beginning of its Arrow type's name."""

LEGACY_FOLDERS: dict[str, Kind] = {
    "bar": "bars",
    "quote_tick": "quotes",
    "trade_tick": "trades",
    "order_book_delta": "order_book_deltas",
    "order_book_deltas": "order_book_deltas",
    "order_book_depth10": "order_book_depths",
    "order_book_depths": "order_book_depths",
}
"""Where 1.x kept what; order books lie in folders of the same name in both."""


def misfit(kind: Kind, schema: pa.Schema) -> str | None:
    """Say how a file's columns differ from the engine's; None where they do not."""
    expected = COLUMNS[kind]
    if schema.names != list(expected):
        found = ", ".join(schema.names[:10]) or "none"
        return f"its columns are {found}; the engine's are {', '.join(expected)}"
    for name, wanted in expected.items():
        if not str(schema.field(name).type).startswith(wanted):
            return f"its column {name} holds {schema.field(name).type}; the engine's hold {wanted}"
    return None


def is_legacy(schema: pa.Schema) -> bool:
    """Whether NautilusTrader 1.x wrote rows of this schema: times as plain unsigned numbers."""
    import pyarrow as pa

    return "ts_init" in schema.names and schema.field("ts_init").type == pa.uint64()


def legacy_schema(path: Path) -> pa.Schema | None:
    """Return the schema of a 1.x file; None where it is none, or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return None
    return schema if is_legacy(schema) else None
