"""Importing a million one-minute bars of a CSV file into the catalog.

Measured in one run on the same file: the workbench's import (checks, hashes and the atomic write
included) and the plain way through the engine's objects: pyarrow reads the file, one ``Bar`` is
made for each line, ``ParquetDataCatalog.write_bars`` stores them. The claims: at least 3 x faster,
and under 2 s. Each runs in a process of its own and counts from the first line
read to the file in the catalog; the time to import the libraries is left out of both.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = 1_000_000
BAR_TYPE = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"

_OURS = """
import sys, time
from pathlib import Path
import numpy, pyarrow.csv, pyarrow.parquet, pyarrow.compute
import nautilus_trader.persistence
from workbench import data, study
from workbench.core.project import Project
import workbench.data.file
loaded = study.load(sys.argv[1], environ={})
start = time.perf_counter()
result = data.fetch(loaded, Project(Path(sys.argv[2])))
print(time.perf_counter() - start)
assert result.rows == int(sys.argv[4]), result
"""

_OBJECTS = """
import sys, time
from pathlib import Path
import pyarrow, pyarrow.csv
from nautilus_trader.model import Bar, BarType, Price, Quantity
from nautilus_trader.persistence import ParquetDataCatalog
catalog = Path(sys.argv[2]) / "objects"
catalog.mkdir()
start = time.perf_counter()
table = pyarrow.csv.read_csv(Path(sys.argv[1]).with_suffix(".csv"))
times = table["timestamp"].cast(pyarrow.timestamp("ns", tz="UTC")).cast(pyarrow.int64())
columns = [table[name].to_pylist() for name in ("open", "high", "low", "close", "volume")]
bar_type = BarType.from_str(sys.argv[3])
bars = [
    Bar(bar_type, Price(o, 5), Price(h, 5), Price(l, 5), Price(c, 5), Quantity(v, 0), ts, ts)
    for o, h, l, c, v, ts in zip(*columns, times.to_pylist(), strict=True)
]
ParquetDataCatalog(str(catalog)).write_bars(bars)
print(time.perf_counter() - start)
"""

_STUDY = """
schema: 1
study: import-bars
data:
  - provider: file
    instrument: GBP/USD.SIM
    bars: 1-MINUTE-BID
    path: {path}
    definition: {{type: currency_pair, base: GBP, currency: USD, price_precision: 5}}
venues:
  - {{name: SIM, account: margin, balances: [100_000 USD], fees: {{maker: 0, taker: 0}}}}
strategy: {{path: "workbench.strategies.ema_cross:EMACross"}}
"""


def main(rows: int = ROWS, rounds: int = 3) -> dict[str, object]:
    """Measure both and return seconds, rows a second and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".gateway").mkdir()
        study = root / "import.yaml"
        study.write_text(_STUDY.format(path=write_csv(root / "import.csv", rows)))
        os.sync()  # else whoever comes first waits for the CSV file to reach the disk
        times: dict[str, list[float]] = {_OURS: [], _OBJECTS: []}
        for number in range(rounds):
            for code, seconds in times.items():
                place = root / f"{number}-{len(code)}"
                (place / ".gateway").mkdir(parents=True)
                process = subprocess.run(
                    [sys.executable, "-c", code, str(study), str(place), BAR_TYPE, str(rows)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                seconds.append(float(process.stdout))
    ours, objects = (statistics.median(seconds) for seconds in times.values())
    return {
        "rows": rows,
        "workbench_s": round(ours, 3),
        "bar_objects_s": round(objects, 3),
        "rows_per_s": round(rows / ours),
        "ratio": round(objects / ours, 2),
        "holds": objects / ours >= 3 and ours < 2,
    }


def write_csv(path: Path, rows: int) -> Path:
    """Write a random walk of one-minute bars."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    random = np.random.default_rng(1)
    close = 150_000 + np.cumsum(random.integers(-3, 4, rows))
    columns = {"timestamp": np.datetime64("2012-01-01", "s") + 60 * np.arange(rows)}
    open_ = np.append(150_000, close[:-1])
    highest, lowest = np.maximum(open_, close), np.minimum(open_, close)
    for name, units in (("open", open_), ("high", highest + 2), ("low", lowest - 2)):
        columns[name] = np.round(units / 1e5, 5)
    columns |= {"close": np.round(close / 1e5, 5), "volume": random.integers(1, 1000, rows)}
    table = pa.table(columns)
    utc = table.column("timestamp").cast(pa.timestamp("s", tz="UTC"))
    csv.write_csv(table.set_column(0, "timestamp", utc), path)
    return path


if __name__ == "__main__":
    print(json.dumps(main()))
