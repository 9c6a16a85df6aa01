"""What the workbench adds to a backtest: ``workbench backtest run`` beside a plain engine script.

Both run EMA cross on the same 500,000 one-minute bars of the same catalog, each as a whole process
from start to exit, by turns; the best of several counts, as for `timeit`: what is above it is the
machine's own noise. The workbench's run includes its checks, progress, equity curve, digests,
statistics and the record in the store. The claim: at most 1.05 x the plain script's time plus
0.5 s. Every order is taken down with all that became of it, which costs some 20 us: so a second
strategy that trades four times as often is measured too, and its figures printed.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import plain_engine

ROUNDS = 7

STUDY = """\
schema: 1
study: overhead
data:
  - provider: file
    path: bars.parquet
    instrument: SYN.SIM
    bars: 1-MINUTE-LAST
    definition: {type: equity, currency: USD, price_precision: 2}
venues:
  - name: SIM
    account: margin
    balances: [1_000_000 USD]
    leverage: 10
    fees: {maker: 0.00002, taker: 0.00002}
strategy:
  path: workbench.strategies.ema_cross:EMACross
  params: {fast: 10, slow: 50, trade_size: 10}
"""


def timed(*command: str, cwd: Path) -> tuple[float, dict[str, object]]:
    """Run a command; return its wall time in seconds and the JSON it printed."""
    started = time.perf_counter()
    process = subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - started, json.loads(process.stdout)


def prepare(root: Path, bars: int) -> Path:
    """Make a project whose catalog holds the bars; return its study."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain_engine.make_catalog(root / "made", bars)
    (made,) = (root / "made" / "data" / "bars").rglob("*.parquet")
    table = pq.ParquetFile(made).read()
    columns = {"timestamp": table["ts_event"]}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = pa.array(np.asarray(table[name].cast(pa.float64())))
    project = root / "project"
    (project / ".gateway").mkdir(parents=True)
    pq.write_table(pa.table(columns), project / "bars.parquet")
    study = project / "study.yaml"
    study.write_text(STUDY)
    subprocess.run(
        [sys.executable, "-m", "workbench", "data", "fetch", str(study)],
        check=True,
        capture_output=True,
        cwd=project,
    )
    return study


def compare(study: Path, fast: int, slow: int, rounds: int) -> dict[str, object]:
    """Run both by turns; return best times and medians in seconds."""
    here, python = Path(__file__).parents[1], sys.executable
    catalog = str(study.parent / "data" / "catalog")
    periods = (str(fast), str(slow))
    script_command = (python, "-m", "benchmarks.plain_engine", catalog, plain_engine.BAR_TYPE)
    run_command = (python, "-m", "workbench", "backtest", "run", str(study), "--json")
    over = ("-p", f"fast={fast}", "-p", f"slow={slow}")
    plain, ours = [], []
    for _ in range(rounds):
        seconds, script = timed(*script_command, *periods, cwd=here)
        plain.append(seconds)
        seconds, run = timed(*run_command, *over, cwd=study.parent)
        ours.append(seconds)
        if run["orders"] != script["orders"]:
            raise AssertionError(f"not the same run: {run['orders']} and {script['orders']}")
    before, after = min(plain), min(ours)
    allowed = 1.05 * before + 0.5
    return {
        "orders": run["orders"],
        "plain_script_s": round(before, 3),
        "workbench_s": round(after, 3),
        "ratio": round(after / before, 3),
        "plain_script_median_s": round(statistics.median(plain), 3),
        "workbench_median_s": round(statistics.median(ours), 3),
        "allowed_s": round(allowed, 3),
        "holds": after <= allowed,
    }


def main(bars: int = plain_engine.BARS, rounds: int = ROUNDS) -> dict[str, object]:
    """Measure a strategy that trades as most do, and one that trades every 34 minutes."""
    with tempfile.TemporaryDirectory() as folder:
        study = prepare(Path(folder), bars)
        usual = compare(study, 50, 200, rounds)
        busy = compare(study, 10, 50, rounds)
    return {"bars": bars, "usual": usual, "busy": busy, "holds": usual["holds"]}


if __name__ == "__main__":
    print(json.dumps(main()))
