"""A run's fills on its prices: each where and when it was, joined where they are many."""

import time

import numpy as np
import pandas as pd
import pytest

from workbench import backtest
from workbench.backtest import RunStore, charts
from workbench.core.errors import InputError
from workbench.data.catalog import Dataset
from workbench.data.rows import table

BARS = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"
MINUTE = 60 * 10**9
START = 1_325_376_000 * 10**9


@pytest.mark.slow
def test_a_real_run_shows_every_fill_at_its_time_and_price(project):
    run = backtest.run(project.root / "studies" / "ema-cross.yaml", project=project)
    shown = backtest.picture(run)
    fills = run.fills()
    view = shown.look()
    for side, layer in (("BUY", "bought"), ("SELL", "sold")):
        own = fills[fills["side"] == side]
        found = view.layers[layer]
        assert found["price"].tolist() == own["price"].tolist()
        assert found["quantity"].tolist() == own["quantity"].tolist()
        assert (found["time"] == own["ts"].to_numpy("datetime64[ns]")).all()
    first, last = shown.span
    assert first < fills["ts"].iloc[0].value < fills["ts"].iloc[-1].value < last
    (figure,) = shown.draw().figures
    assert {"bought", "sold", "wicks"} <= {one.name for one in figure.renderers}
    with pytest.raises(InputError, match=r"no prices of 'MSFT.XNAS'.*Allowed: AAPL.XNAS"):
        backtest.picture(run, "MSFT.XNAS")


@pytest.mark.slow
def test_its_bars_are_those_the_run_saw(project):
    run = backtest.run(project.root / "studies" / "ema-cross.yaml", project=project)
    (seen,) = run.prices().values()
    bars = backtest.picture(run).bars()
    assert bars.to_numpy().tolist() == seen[list(bars.columns)].to_numpy().tolist()
    late = bars.index - seen.index.tz_localize(None)
    assert ((late >= pd.Timedelta(0)) & (late < pd.Timedelta("1D"))).all()
    held, read = charts.buy_and_hold(run, bars), charts.buy_and_hold(run)
    assert held[1].tolist() == read[1].tolist()


@pytest.fixture(scope="module")
def million_run(tmp_path_factory):
    """Make a run over a million bars with a hundred thousand fills, as a worker leaves it."""
    from tests.conftest import make_project

    rows = 1_000_000
    project = make_project(tmp_path_factory.mktemp("million") / "project")
    random = np.random.default_rng(1)
    close = 150_000 + np.cumsum(random.integers(-3, 4, rows))
    opens = np.append(150_000, close[:-1])
    ts = START + MINUTE * np.arange(1, rows + 1)
    values = {
        "open": opens, "high": np.maximum(opens, close) + 2, "low": np.minimum(opens, close) - 2,
        "close": close, "volume": random.integers(1, 1000, rows), "ts": ts,
    }  # fmt: skip
    bars = table("bars", BARS, "GBP/USD.SIM", values, price_precision=5, size_precision=0)
    span = (int(ts[0]), int(ts[-1]))
    Dataset(project, "bars", BARS).write(bars, span, provider="test", source="{}")
    study = {
        "schema": 1, "study": "many",
        "data": [{"provider": "catalog", "instrument": "GBP/USD.SIM", "bars": "1-MINUTE-BID"}],
        "venues": [{"name": "SIM", "account": "margin", "balances": ["1_000_000 USD"],
                    "fees": {"maker": 0, "taker": 0}}],
        "strategy": {"path": "workbench.strategies.ema_cross:EMACross"},
    }  # fmt: skip
    store = RunStore(project)
    run_id = store.create(study, params={})
    at = np.sort(random.choice(rows, 100_000, replace=False))
    pd.DataFrame({
        "ts": pd.to_datetime(ts[at], utc=True), "instrument": "GBP/USD.SIM",
        "side": np.where(random.random(len(at)) < 0.5, "BUY", "SELL"),
        "price": close[at] / 1e5, "quantity": random.integers(1, 9, len(at)).astype(float),
    }).to_parquet(store.folder(run_id) / "fills.parquet")  # fmt: skip
    pd.DataFrame({
        "ts": pd.to_datetime(ts[[0, -1]], utc=True), "currency": "USD", "equity": [1e6, 1.1e6],
    }).to_parquet(store.folder(run_id) / "equity.parquet")  # fmt: skip
    store.finish(run_id, "done")
    return store.get(run_id)


@pytest.fixture(scope="module")
def million(million_run):
    """Return its picture."""
    return backtest.picture(million_run)


def test_many_fills_are_joined_and_none_is_lost(million):
    fills = million.look().layers
    counts = {name: fills[name]["fills"] for name in ("bought", "sold")}
    assert sum(each.sum() for each in counts.values()) == 100_000
    assert all(len(each) < 1_000 for each in counts.values())
    for side, name in (("BUY", "bought"), ("SELL", "sold")):
        _, prices, quantities = million._fills[side]
        assert fills[name]["quantity"].sum() == quantities.sum()
        worth = (fills[name]["quantity"] * fills[name]["price"]).sum()
        assert worth == pytest.approx((prices * quantities).sum())


def test_near_enough_each_fill_is_one_triangle(million):
    middle = START + 500_000 * MINUTE
    span = (middle, middle + 600 * MINUTE)
    for side, name in (("BUY", "bought"), ("SELL", "sold")):
        found = million.look(span).layers[name]
        times = million._fills[side][0]
        inside = times[(times >= span[0]) & (times <= span[1])]
        assert set(inside) <= set(found["time"].astype("datetime64[ns]").astype(np.int64))
        assert (found["fills"] == 1).all()


def test_a_look_at_a_million_bars_takes_milliseconds(million):
    """Far under the 100 ms of a zoom, also on a busy machine: the best of five."""
    best = 1.0
    for shift in range(5):
        middle = START + (100_000 + shift) * MINUTE
        began = time.perf_counter()
        million.look((middle, middle + 400_000 * MINUTE))
        best = min(best, time.perf_counter() - began)
    assert best < 0.05


def test_the_bars_of_a_million_begin_and_end_as_the_rows_do(million, million_run):
    bars = million.bars()
    (seen,) = million_run.prices().values()
    assert 50_000 < len(bars) < 300_000
    assert bars["open"].iloc[0] == seen["open"].iloc[0]
    assert bars["close"].iloc[-1] == seen["close"].iloc[-1]
    assert (bars["high"].max(), bars["low"].min()) == (seen["high"].max(), seen["low"].min())
