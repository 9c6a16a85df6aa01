"""Bars to run strategies on, and a way to run them in a process of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MINUTE = 60_000_000_000

type Bars = dict[str, list[Any]]
type Run = Callable[..., dict[str, Any]]


def make_bars(open_: Any, high: Any, low: Any, close: Any, volume: Any = 1_000_000) -> Bars:
    """Make bars of equal-length columns, one a minute; the default volume fills any order whole."""
    rows = len(close)
    columns = {"open": open_, "high": high, "low": low, "close": close}
    return {
        "ts": [MINUTE * row for row in range(1, rows + 1)],
        **{name: [float(price) for price in column] for name, column in columns.items()},
        "volume": np.broadcast_to(volume, rows).tolist(),
    }


@pytest.fixture(scope="session")
def bars() -> Callable[..., Bars]:
    """Return `make_bars`."""
    return make_bars


@pytest.fixture(scope="session")
def synthetic() -> Bars:
    """Return 4,000 bars of a seeded random walk without gaps, two decimals."""
    rng = np.random.default_rng(20)
    close = 10_000 + np.cumsum(rng.integers(-10, 11, 4_000))
    open_ = np.concatenate(([10_000], close[:-1]))
    high = np.maximum(open_, close) + rng.integers(0, 6, 4_000)
    low = np.minimum(open_, close) - rng.integers(0, 6, 4_000)
    return make_bars(open_ / 100, high / 100, low / 100, close / 100)


@pytest.fixture(scope="session")
def sample() -> Bars:
    """Return 3,270 real daily bars with gaps (Microsoft, adjusted for splits), two decimals."""
    from bokeh_sampledata.stocks import MSFT

    columns = {name: np.array(MSFT[name], dtype=float) for name in MSFT if name != "date"}
    ratio = columns["adj_close"] / columns["close"]
    prices = (np.round(columns[name] * ratio, 2) for name in ("open", "high", "low", "close"))
    open_, high, low, close = prices
    # Rounding each price by itself may put the high a cent under the close.
    high, low = np.maximum.reduce([high, open_, close]), np.minimum.reduce([low, open_, close])
    return make_bars(open_, high, low, close, columns["volume"].astype(int))


@pytest.fixture(params=["synthetic", "sample"])
def market(request: pytest.FixtureRequest) -> Bars:
    """Return each series in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def run() -> Run:
    """Return a function that runs a strategy on bars in a process of its own.

    It fails the test where the engine logged anything at `log` or above: exceptions in handlers.
    """

    def run(strategy: str, bars: Bars, params: dict[str, Any], **options: Any) -> dict[str, Any]:
        given = {"precision": 2, "latency_ns": 0, "log": "WARNING", "max_orders": "1000/00:00:01"}
        given |= {"strategy": strategy, "bars": bars, "params": params} | options
        script = [sys.executable, str(Path(__file__).with_name("run_strategy.py"))]
        done = subprocess.run(
            script, input=json.dumps(given), capture_output=True, text=True, cwd=ROOT, timeout=60,
            env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *logged, result = done.stdout.splitlines()
        assert not logged, "\n".join(logged)
        return json.loads(result)

    return run
