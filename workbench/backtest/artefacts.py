"""Writing a run's tables: Parquet, each whole or not there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core.files import replacing

_TIME = pa.timestamp("ns", tz="UTC")
_TYPES = {
    "ts": _TIME, "ts_init": _TIME, "ts_last": _TIME, "ts_opened": _TIME, "ts_closed": _TIME,
    "quantity": pa.float64(), "filled_qty": pa.float64(), "price": pa.float64(),
    "trigger_price": pa.float64(), "avg_px": pa.float64(), "avg_open": pa.float64(),
    "avg_close": pa.float64(), "commission": pa.float64(), "equity": pa.float64(),
    "realized_pnl": pa.float64(), "realized_return": pa.float64(), "duration_s": pa.float64(),
    "reduce_only": pa.bool_(), "post_only": pa.bool_(),
}  # fmt: skip


def table(columns: Mapping[str, list[Any]]) -> Any:
    """Return the columns as an Arrow table: times in UTC, numbers as float64, the rest text."""
    return pa.table(
        {
            name: pa.array(values, type=_TYPES.get(name, pa.string()), from_pandas=False)
            for name, values in columns.items()
        }
    )


def write(folder: Path, tables: Mapping[str, Mapping[str, list[Any]]]) -> None:
    """Write each table to ``folder/<name>.parquet``."""
    for name, columns in tables.items():
        with replacing(folder / f"{name}.parquet") as temporary:
            pq.write_table(table(columns), temporary, compression="zstd")
