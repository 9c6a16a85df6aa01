"""The hand-written scripts work, and agree with each other where they overlap."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def script(*arguments, given=None):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], input=given, capture_output=True, text=True,
        cwd=ROOT, timeout=60, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def minutes(tmp_path):
    """Write a CSV of one-minute bars, and return its path and its columns."""
    rng = np.random.default_rng(3)
    close = 158_000 + np.cumsum(rng.integers(-10, 11, 3_000))
    high, low = close + rng.integers(0, 6, 3_000), close - rng.integers(0, 6, 3_000)
    stamps = np.datetime64("2012-02-01T00:01") + np.arange(3_000)
    columns = {"open": close, "high": high, "low": low, "close": close}
    rows = zip(stamps, *((values / 1e5).tolist() for values in columns.values()), strict=True)
    lines = (f"{at.item():%Y-%m-%d %H:%M:%S}+00:00,{o},{h},{low},{c}" for at, o, h, low, c in rows)
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close", *lines]))
    return path


def test_csv_script_prints_orders_fills_and_balances(minutes):
    found = script("tests/reference/ema_cross_csv.py", minutes, 10, 50, 1_000_000)
    assert found["bars"] == 3_000
    assert len(found["orders"]) == len(found["fills"]) > 20
    assert {order["quantity"] for order in found["orders"]} == {"100000", "200000"}
    assert {order["status"] for order in found["orders"]} == {"FILLED"}
    # Cash flows by hand: profits at fills, less two hundred-thousandths of what changed hands.
    cash, held, price = 1_000_000.0, 0, 0.0
    for fill in found["fills"]:
        paid = float(fill["price"])
        cash += held * (paid - price) - float(fill["commission"].removesuffix(" USD"))
        assert float(fill["commission"].split()[0]) == pytest.approx(
            0.00002 * paid * int(fill["quantity"]), abs=0.0051
        )
        held, price = (100_000 if fill["side"] == "BUY" else -100_000), paid
    assert float(found["balances"]["USD"]) == pytest.approx(cash, abs=0.01 * len(found["fills"]))


def test_a_cross_written_apart_from_the_example_makes_the_same_fills(minutes):
    rows = np.genfromtxt(minutes, delimiter=",", skip_header=1)[:, 1:]
    shown = [line.partition(",")[0] for line in minutes.read_text().splitlines()[1:]]
    ts = [int(np.datetime64(text.removesuffix("+00:00"), "ns").astype(int)) for text in shown]
    given = {
        "instrument": "GBP.SIM", "price_precision": 5, "trade_size": 100_000, "fast": 10,
        "slow": 50, "cash": 1_000_000, "leverage": 10, "maker": "0.00002", "taker": "0.00002",
        "ts": ts, "volume": [1_000_000] * len(ts),
        **dict(zip(("open", "high", "low", "close"), rows.T.tolist(), strict=True)),
    }  # fmt: skip
    apart = script("tests/reference/ema_cross_daily.py", given=json.dumps(given))
    example = script("tests/reference/ema_cross_csv.py", minutes, 10, 50, 1_000_000)
    assert apart == example


def test_yardstick_of_the_benchmark_trades(tmp_path):
    make = (
        "import sys; from benchmarks.plain_engine import make_catalog as m; m(sys.argv[1], 5_000)"
    )
    subprocess.run([sys.executable, "-c", make, str(tmp_path)], cwd=ROOT, check=True, timeout=60)
    bar_type = "SYN.SIM-1-MINUTE-LAST-EXTERNAL"
    found = script("-m", "benchmarks.plain_engine", tmp_path, bar_type, "10", "50")
    assert found["bars"] == 5_000
    assert found["orders"] > 50
    assert 0 < float(found["balances"]["USD"]) < 1_000_000  # a random walk, less commissions
