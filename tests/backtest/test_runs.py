"""Runs that go well: the same digest whichever way, and what the store keeps of them."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest

from workbench import backtest
from workbench.backtest.store import RunStore
from workbench.core.errors import RunError, StudyError
from workbench.core.progress import Progress

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture
def ema(project):
    return project.root / "studies" / "ema-cross.yaml"


def test_the_digest_is_the_same_directly_through_papermill_and_on_repetition(project, ema) -> None:
    first = backtest.run(ema)
    again = backtest.run(ema)
    notebook = backtest.run(ema, notebook=project.root / "notebooks" / "backtest.ipynb")
    assert first.n_fills > 10
    assert first.digest == again.digest == notebook.digest
    assert first.digests == again.digests == notebook.digests
    executed = nbformat.read(notebook.folder / "notebook.ipynb", 4)
    injected = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert f'run_id = "{notebook.id}"' in injected[0].source
    assert all(
        output.output_type != "error"
        for cell in executed.cells
        for output in cell.get("outputs", [])
    )
    assert [run.id for run in RunStore(project).list()] == [notebook.id, again.id, first.id]


def test_other_inputs_give_other_digests(ema) -> None:
    first = backtest.run(ema)
    fast = backtest.run(ema, {"fast": 11})
    assert fast.digest != first.digest
    assert fast.digests["study"] != first.digests["study"]
    assert fast.digests["strategy"] == first.digests["strategy"]
    assert fast.digests["data"] == first.digests["data"]
    later = backtest.run(ema, {"data.0.start": "2006-01-01"})
    assert later.digests["data"] != first.digests["data"]
    assert fast.params == {"fast": 11}
    assert fast.study["strategy"]["params"]["fast"] == 11


def test_the_strategy_digest_covers_the_modules_it_brings_in(project) -> None:
    study = project.root / "studies" / "my-strategy.yaml"
    (project.root / "strategies" / "shared_numbers.py").write_text("HOLD = 1\n")
    strategy = project.root / "strategies" / "my_strategy.py"
    strategy.write_text("import shared_numbers\n" + strategy.read_text())
    first = backtest.run(study)
    (project.root / "strategies" / "shared_numbers.py").write_text("HOLD = 2\n")
    second = backtest.run(study)
    assert first.digests["strategy"] != second.digests["strategy"]
    assert first.digests["study"] == second.digests["study"]


def test_the_store_keeps_everything_about_a_run(project, ema) -> None:
    run = backtest.run(ema)
    assert run == RunStore(project).get(run.id)
    assert run.status == "done"
    assert run.created <= run.started <= run.finished
    assert 0 < run.seconds < 60
    assert 50 < run.peak_memory_mb < 2000
    assert set(run.digests) == {"study", "strategy", "data", "engine", "fills"}
    fills, orders, positions, equity = run.fills(), run.orders(), run.positions(), run.equity()
    assert (len(orders), len(fills)) == (run.n_orders, run.n_fills)
    assert len(positions) > 10
    # The tables agree with the balance: what was earned less what was paid, to the cent.
    start = 500_000.0
    realized = positions["realized_pnl"].sum()
    assert start + realized == pytest.approx(float(run.balances["USD"]), abs=0.01)
    assert equity["equity"].iloc[0] == start
    assert equity["equity"].iloc[-1] == pytest.approx(start + float(run.pnl["USD"]), abs=0.01)
    assert equity["ts"].is_monotonic_increasing
    assert run.prices()["AAPL.XNAS"]["close"].iloc[0] > 0
    assert run.log()
    json.dumps(run.to_dict(), allow_nan=False)


def test_open_positions_are_marked_to_market(ema) -> None:
    run = backtest.run(ema)
    last = run.positions().iloc[-1]
    assert last["avg_close"] != last["avg_close"], "the example leaves its position open"
    close = run.prices()["AAPL.XNAS"]["close"].iloc[-1]
    sign = 1 if last["side"] == "LONG" else -1
    unrealized = sign * last["quantity"] * (close - last["avg_open"])
    profit = float(run.balances["USD"]) - 500_000 + unrealized
    assert float(run.pnl["USD"]) == pytest.approx(profit, abs=0.02)


def test_progress_comes_while_it_runs(ema) -> None:
    seen: list[Progress] = []
    backtest.run(ema, {"data.0.start": "2000-03-01"}, on_progress=seen.append)
    shares = [progress.fraction for progress in seen]
    assert shares
    assert all(0 <= share <= 1 for share in shares)


def test_runs_side_by_side_do_not_disturb_each_other(project, ema) -> None:
    alone = backtest.run(ema).digest
    digests = []
    threads = [
        threading.Thread(target=lambda: digests.append(backtest.run(ema).digest)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [alone] * 4
    assert len(RunStore(project).list(status="done")) == 5


def test_a_notebook_that_records_nothing_is_a_failed_run(project, ema) -> None:
    path = project.root / "notebooks" / "empty.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("run_id = None")])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    with pytest.raises(RunError, match="without recording a result"):
        backtest.run(ema, notebook=path)


def test_a_notebook_whose_cell_raises_is_a_failed_run_that_keeps_its_result(project, ema) -> None:
    path = project.root / "notebooks" / "backtest.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(notebook, path)
    with pytest.raises(RunError, match="ZeroDivisionError") as caught:
        backtest.run(ema, notebook=path)
    run = RunStore(project).get(caught.value.run_id)
    assert run.status == "failed"
    assert run.n_fills > 10
    assert (run.folder / "notebook.ipynb").is_file()


def test_a_notebook_run_is_refused_before_its_kernel_starts(project, ema) -> None:
    with pytest.raises(StudyError, match="Did you mean 'fast'"):
        backtest.run(ema, {"fasst": 3}, notebook=project.root / "notebooks" / "backtest.ipynb")
    assert RunStore(project).list() == []


def test_a_notebook_run_can_be_cancelled(project, ema) -> None:
    path = project.root / "notebooks" / "endless.ipynb"
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("run_id = None"),
            nbformat.v4.new_code_cell("while True: pass"),
        ]
    )
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    running = backtest.start(ema, notebook=path)
    threading.Event().wait(3)
    running.cancel()
    assert running.wait().status == "cancelled"


def test_ema_cross_on_fx_minutes_agrees_with_a_script_written_by_hand(project, tmp_path) -> None:
    """Orders, fills and balance of the workbench and of a plain engine script, exactly."""
    csv = write_fx_minutes(project.root / "data" / "fx.csv")
    study = project.root / "studies" / "fx.yaml"
    study.write_text(FX_STUDY)
    run = backtest.run(study)
    script = subprocess.run(
        [sys.executable, REFERENCE / "ema_cross_csv.py", csv],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    expected = json.loads(script.stdout)
    assert len(expected["fills"]) > 100
    compare_with_script(run, expected)


def compare_with_script(run: backtest.Run, expected: dict) -> None:
    orders, fills = run.orders(), run.fills()
    assert len(orders) == len(expected["orders"])
    assert [
        (row.ts.value, row.client_order_id, row.side, row.quantity, row.price, row.commission)
        for row in fills.itertuples()
    ] == [
        (
            fill["ts"], fill["client_order_id"], fill["side"], float(fill["quantity"]),
            float(fill["price"]), float(re.match(r"-?[\d.]+", fill["commission"])[0]),
        )
        for fill in expected["fills"]
    ]  # fmt: skip
    assert run.balances == expected["balances"]


FX_STUDY = """\
schema: 1
study: fx
data:
  - provider: file
    path: data/fx.csv
    instrument: GBP/USD.SIM
    bars: 1-MINUTE-LAST
    definition: {type: currency_pair, base: GBP, currency: USD, price_precision: 5}
venues:
  - name: SIM
    account: margin
    balances: [1_000_000 USD]
    leverage: 10
    fees: {maker: 0.00002, taker: 0.00002}
strategy:
  path: workbench.strategies.ema_cross:EMACross
  params: {fast: 10, slow: 50, trade_size: 100_000}
"""


def write_fx_minutes(path: Path, rows: int = 5_000) -> Path:
    """Write a random walk of one-minute bars as a vendor would, without volume."""
    import random

    chance = random.Random(5)
    price = 157_600
    lines = ["timestamp,open,high,low,close"]
    for minute in range(rows):
        day, rest = divmod(minute, 1440)
        close = price + chance.randint(-8, 8)
        high, low = (
            max(price, close) + chance.randint(0, 4),
            min(price, close) - chance.randint(0, 4),
        )
        cells = ",".join(f"{value / 1e5:.5f}" for value in (price, high, low, close))
        lines.append(f"2012-02-{day + 1:02} {rest // 60:02}:{rest % 60:02}:00+00:00,{cells}")
        price = close
    path.write_text("\n".join(lines) + "\n")
    return path
