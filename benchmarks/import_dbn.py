"""Databento's files into the catalog: a million one-minute bars, and memory on five million trades.

Beside the workbench's import (hashes and the atomic write included) stand, on the same file, the
engine's own two ways: its loader with `ParquetDataCatalog.write_bars`, and its loader with the rows
written straight to Parquet. The claims: a million bars a second, or within 1.5 x of the loader and
the direct write; and peak memory that does not grow with the file. Each runs in a process of its
own and counts from the first byte read to the file in the catalog; imports are left out.
"""

import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

BARS, TRADES = 1_000_000, 5_000_000
ID = "ESU4.GLBX"
START = 1_704_067_200 * 10**9

# The kernel's other figure, ru_maxrss, is that of the parent as it started the process.
_PEAK = """
import sys, time
from pathlib import Path
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
"""

_OURS = (
    _PEAK
    + """
import databento_dbn, numpy, pyarrow.parquet, pyarrow.compute, zstandard
import nautilus_trader.persistence
from workbench import data, study
from workbench.core.project import Project
import workbench.data.databento, workbench.data.databento_files, workbench.data.dbn_chunks
loaded = study.load(sys.argv[1], environ={})
start = time.perf_counter()
result = data.fetch(loaded, Project(Path(sys.argv[2])))
print(time.perf_counter() - start, peak())
assert result.rows == int(sys.argv[3]), result
"""
)

_LOADER = (
    _PEAK
    + """
import pyarrow.parquet
from nautilus_trader.adapters.databento import DatabentoDataLoader
from nautilus_trader.model import InstrumentId
from nautilus_trader.persistence import ParquetDataCatalog
from workbench.engine.catalog import encode
root = Path(sys.argv[2])
path = Path(sys.argv[1]).with_suffix(".dbn.zst")
loader = DatabentoDataLoader(Path(sys.argv[1]).with_name("publishers.json"))
start = time.perf_counter()
bars = loader.load_bars(path, InstrumentId.from_str("ESU4.GLBX"), 2)
loaded = time.perf_counter()
{write}
print(time.perf_counter() - start, peak())
assert len(bars) == int(sys.argv[3])
"""
)
_CATALOG = _LOADER.replace(
    "{write}", '(root / "own").mkdir(); ParquetDataCatalog(str(root / "own")).write_bars(bars)'
)
# What the loader's objects cost to become rows is not counted: the write is the direct one.
_DIRECT = _LOADER.replace(
    "{write}",
    """rows = encode("bars", bars)
start += time.perf_counter() - loaded
pyarrow.parquet.write_table(rows, root / "x.parquet", compression="zstd", row_group_size=100_000)
""",
)

_STUDY = """
schema: 1
study: import-dbn
data:
  - provider: databento
    instrument: ESU4.GLBX
    {wanted}
    path: {path}
    definition: {{type: future, currency: USD, price_precision: 2, multiplier: 50, underlying: ES,
                 expires: 2034-09-20}}
venues:
  - {{name: GLBX, account: margin, balances: [100_000 USD], fees: {{maker: 0, taker: 0}}}}
strategy: {{path: "workbench.strategies.ema_cross:EMACross"}}
"""


def main(bars: int = BARS, trades: int = TRADES, rounds: int = 3) -> dict[str, object]:
    """Measure the three ways, and the memory of two sizes of files."""
    from workbench.engine.databento import publishers

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".gateway").mkdir()
        (root / "publishers.json").write_text(json.dumps(publishers()))
        study = _study(root, "bars", "ohlcv-1m", bars)
        os.sync()  # else whoever comes first waits for the file to reach the disk
        seconds: dict[str, list[float]] = {_OURS: [], _CATALOG: [], _DIRECT: []}
        for number in range(rounds):
            for code, found in seconds.items():
                found.append(_run(code, study, root / f"{number}-{len(code)}", bars)[0])
        ours, catalog, direct = (statistics.median(found) for found in seconds.values())
        memory = [
            _run(_OURS, _study(root, f"trades-{n}", "trades", n), root / f"memory-{n}", n)[1]
            for n in (trades // 2, trades)
        ]
    return {
        "bars": bars,
        "workbench_s": round(ours, 3),
        "loader_and_catalog_s": round(catalog, 3),
        "loader_and_direct_write_s": round(direct, 3),
        "bars_per_s": round(bars / ours),
        "ratio_to_direct": round(ours / direct, 2),
        "trades": trades,
        "peak_mib_of_half": round(memory[0]),
        "peak_mib": round(memory[1]),
        "holds": (bars / ours >= 1e6 or ours / direct <= 1.5) and memory[1] < 1.2 * memory[0],
    }


def _run(code: str, study: Path, place: Path, rows: int) -> tuple[float, float]:
    (place / ".gateway").mkdir(parents=True)
    process = subprocess.run(
        [sys.executable, "-c", code, str(study), str(place), str(rows)],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, mib = process.stdout.split()
    return float(seconds), float(mib)


def _study(root: Path, name: str, schema: str, count: int) -> Path:
    path = write_dbn(root / f"{name}.dbn.zst", schema, count)
    study = root / f"{name}.yaml"
    wanted = "bars: 1-MINUTE-LAST" if schema == "ohlcv-1m" else "ticks: trades"
    study.write_text(_STUDY.format(wanted=wanted, path=path))
    return study


def write_dbn(path: Path, schema: str, count: int) -> Path:
    """Write a random walk: bars of a minute, or trades half a second apart."""
    import databento_dbn as dbn
    import numpy as np
    import zstandard

    random = np.random.default_rng(1)
    kind, rtype, step = {
        "ohlcv-1m": (dbn.OHLCVMsg, 0x21, 60 * 10**9),
        "trades": (dbn.TradeMsg, 0x00, 500_000_000),
    }[schema]
    records: Any = np.zeros(count, np.dtype(kind._dtypes))
    times = START + step * np.arange(count, dtype=np.uint64)
    records["length"], records["rtype"] = records.dtype.itemsize // 4, rtype
    records["publisher_id"], records["instrument_id"], records["ts_event"] = 1, 118, times
    price = (22_000 + np.cumsum(random.integers(-2, 3, count))) * 250_000_000
    if schema == "ohlcv-1m":
        records["open"], records["close"] = price, np.roll(price, -1)
        records["high"] = np.maximum(records["open"], records["close"]) + 250_000_000
        records["low"] = np.minimum(records["open"], records["close"]) - 250_000_000
        records["volume"] = random.integers(1, 2_000, count)
    else:
        records["price"], records["size"] = price, random.integers(1, 50, count)
        records["action"], records["side"] = b"T", random.choice([b"A", b"B"], count)
        records["ts_recv"], records["sequence"] = times, np.arange(count)
    days = [dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + int(t) // 86_400_000_000_000)
            for t in (times[0], times[-1])]  # fmt: skip
    span = SimpleNamespace(
        start_date=days[0], end_date=days[1] + dt.timedelta(days=1), symbol="118"
    )
    head = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=START,
        end=int(times[-1]) + step,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=dbn.Schema.from_str(schema),
        symbols=["ESU4"],
        partial=[],
        not_found=[],
        mappings=[SimpleNamespace(raw_symbol="ESU4", intervals=[span])],
        version=3,
    )
    path.write_bytes(zstandard.compress(bytes(head.encode()) + records.tobytes()))
    return path


if __name__ == "__main__":
    print(json.dumps(main()))
