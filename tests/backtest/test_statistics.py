import json
import math
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workbench.backtest.statistics import (
    Calendar,
    daily_equity,
    drawdown,
    monthly_returns,
    statistics,
)

NO_TRADES = {
    "currency": [],
    "side": [],
    "realized_pnl": [],
    "ts_opened": np.array([], "M8[ns]"),
    "ts_closed": np.array([], "M8[ns]"),
}
NO_FILLS = {"currency": [], "commission": []}


def days(start: str, count: int, hour: int = 21) -> np.ndarray:
    """Return the times of `count` weekdays' closes."""
    every = np.arange(
        np.datetime64(start), np.datetime64(start) + np.timedelta64(2 * count + 7, "D")
    )
    return np.asarray(every[np.is_busday(every)][:count] + np.timedelta64(hour, "h"), "M8[ns]")


def table(times, values, currency="USD"):
    return {"ts": times, "currency": [currency] * len(values), "equity": np.asarray(values, float)}


def test_returns_by_hand():
    # From 100: +10 %, -10 %, 0 %, +5 %, twelve times over.
    returns = [0.10, -0.10, 0.0, 0.05] * 12
    values = np.cumprod([100.0, *(1 + r for r in returns)])
    found = statistics(table(days("2024-01-01", 49), values), NO_TRADES, NO_FILLS)
    mean = 0.0125
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 47)
    assert found["periods_per_year"] == 252
    assert found["days"] == 48
    assert found["net_profit"] == pytest.approx(100 * (1.0395**12 - 1))
    assert found["total_return"] == pytest.approx(1.0395**12 - 1)
    assert found["volatility"] == pytest.approx(deviation * math.sqrt(252))
    assert found["sharpe"] == pytest.approx(mean / deviation * math.sqrt(252))
    assert found["sortino"] == pytest.approx(mean / math.sqrt(0.01 / 4) * math.sqrt(252))
    assert found["max_drawdown"] == pytest.approx(0.1)
    assert (found["best_day"], found["worst_day"]) == pytest.approx((0.10, -0.10))


def test_a_few_days_say_nothing_of_a_year():
    times = days("2024-01-01", 5)  # Monday to Friday
    found = statistics(table(times, [100, 110, 99, 99, 103.95]), NO_TRADES, NO_FILLS)
    assert found["total_return"] == pytest.approx(0.0395)
    assert found["max_drawdown_days"] == 3  # from Tuesday's high, never reached again
    for name in ("cagr", "volatility", "sharpe", "sortino", "calmar"):
        assert found[name] is None


def test_growth_over_whole_years():
    times = np.array(["2020-01-01", "2021-01-01", "2023-12-31T06:00"], "M8[ns]")
    found = statistics(table(times, [100, 90, 200]), NO_TRADES, NO_FILLS)
    assert found["cagr"] == pytest.approx(2 ** (365.25 / 1460.25) - 1)
    assert found["calmar"] == pytest.approx(found["cagr"] / 0.1)
    assert found["max_drawdown_days"] == pytest.approx(1460.25)


def test_trades_by_hand():
    times = days("2024-01-01", 5)
    positions = {
        "currency": ["USD"] * 4,
        "side": ["LONG", "SHORT", "LONG", "LONG"],
        "realized_pnl": [30.0, -10.0, 0.0, -1.0],  # the last one is still open
        "ts_opened": times[[0, 1, 1, 4]],
        "ts_closed": np.append(times[[1, 2, 3]], np.datetime64("NaT", "ns")),
    }
    fills = {"currency": ["USD", "USD", "BNB"], "commission": [1.0, 0.5, 7.0]}
    found = statistics(table(times, [100] * 5), positions, fills)
    assert (found["trades"], found["open_positions"]) == (3, 1)
    assert (found["long_trades"], found["short_trades"]) == (2, 1)
    assert (found["wins"], found["losses"]) == (1, 1)
    assert found["win_rate"] == pytest.approx(1 / 3)
    assert found["profit_factor"] == pytest.approx(3)
    assert found["expectancy"] == pytest.approx(20 / 3)
    assert (found["avg_win"], found["avg_loss"]) == (30, -10)
    assert found["payoff_ratio"] == pytest.approx(3)
    assert (found["best_trade"], found["worst_trade"]) == (30, -10)
    assert found["avg_duration_s"] == pytest.approx(86_400 * 4 / 3)
    assert found["exposure"] == pytest.approx(3 / 4)  # Tuesday to Wednesday counts once
    assert (found["fills"], found["commissions"]) == (2, 1.5)
    assert found["others"]["BNB"]["commissions"] == 7


@pytest.mark.parametrize(
    ("pnl", "win_rate", "profit_factor", "payoff"),
    [([5.0, 7.0], 1.0, None, None), ([-5.0], 0.0, 0.0, None), ([], None, None, None)],
)
def test_what_is_undefined_is_none(pnl, win_rate, profit_factor, payoff):
    times = days("2024-01-01", 3)
    n = len(pnl)
    positions = {
        "currency": ["USD"] * n,
        "side": ["LONG"] * n,
        "realized_pnl": pnl,
        "ts_opened": times[:n],
        "ts_closed": times[:n],
    }
    found = statistics(table(times, [100, 100, 100]), positions, NO_FILLS)
    assert found["win_rate"] == win_rate
    assert found["profit_factor"] == profit_factor
    assert found["payoff_ratio"] == payoff
    assert found["sharpe"] is found["sortino"] is found["calmar"] is None
    assert found["max_drawdown"] == 0


def test_a_run_that_recorded_nothing():
    nothing = {"ts": np.array([], "M8[ns]"), "currency": [], "equity": []}
    found = statistics(nothing, NO_TRADES, NO_FILLS)
    assert found["trades"] == 0
    assert found["total_return"] is None
    json.dumps(found, allow_nan=False)


def test_equity_that_falls_below_zero_has_no_ratios():
    found = statistics(table(days("2024-01-01", 40), [100, *[-5] * 39]), NO_TRADES, NO_FILLS)
    assert found["total_return"] == pytest.approx(-1.05)
    assert found["max_drawdown"] == pytest.approx(1.05)
    assert found["sharpe"] is found["cagr"] is None


def test_each_currency_by_itself():
    times = days("2024-01-01", 3)
    both = {
        "ts": np.concatenate([times, times]),
        "currency": ["EUR"] * 3 + ["USD"] * 3,
        "equity": np.array([100.0, 101, 102, 1000, 900, 800]),
    }
    positions = {
        "currency": ["USD"],
        "side": ["SHORT"],
        "realized_pnl": [-200.0],
        "ts_opened": times[:1],
        "ts_closed": times[2:],
    }
    found = statistics(both, positions, NO_FILLS)
    assert found["currency"] == "USD"  # the one that was traded
    assert found["total_return"] == pytest.approx(-0.2)
    assert list(found["others"]) == ["EUR"]
    assert found["others"]["EUR"]["total_return"] == pytest.approx(0.02)
    assert found["others"]["EUR"]["trades"] == 0


def test_arrow_tables_pandas_frames_and_arrays_agree(runs):
    run = runs["one"]
    frames = (run.equity(), run.positions(), run.fills())
    times = run.prices()["AAPL.XNAS"].index
    arrow = [pa.Table.from_pandas(frame) for frame in frames]
    found = statistics(*arrow, price_times=np.asarray(times, "M8[ns]"))
    assert found == statistics(*frames, price_times=np.asarray(times, "M8[ns]")) == run.statistics
    assert found["trades"] > 40


def test_the_worker_needs_no_pandas():
    code = "import sys, workbench.backtest.statistics; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# The calendar


def test_weekdays_and_every_day():
    weekdays = Calendar.of(days("2024-01-01", 30))
    assert weekdays.periods_per_year == 252
    assert len(weekdays.days) == 30
    hours = np.arange("2024-01-01", "2024-01-15", dtype="M8[h]")
    always = Calendar.of(hours)
    assert always.periods_per_year == 365
    assert len(always.days) == 15  # the first hour closes 31 December


def test_sunday_evening_belongs_to_monday():
    monday = np.datetime64("2024-01-08")
    times = np.array([monday - np.timedelta64(2, "h"), monday + np.timedelta64(2, "h")])
    calendar = Calendar.of(times)
    assert calendar.days.tolist() == [int(monday.astype(int))]
    assert calendar.periods_per_year == 252


@pytest.mark.parametrize("shift", [0, 1])
def test_daily_bars_stamped_at_midnight(shift):
    # Stamped with their own date, or with the midnight that ends it: the same ten days.
    times = days("2024-01-01", 10, hour=0) + np.timedelta64(shift, "D")
    calendar = Calendar.of(times)
    assert calendar.periods_per_year == 252
    assert len(calendar.days) == 10
    assert set(calendar.day(times).tolist()) == set(calendar.days.tolist())


def test_days_without_prices_make_no_returns():
    # Equity is sampled on weekends too; the data has prices on weekdays only.
    grid = np.arange("2024-01-01T21", "2024-01-15T21", 24, dtype="M8[h]")
    values = np.linspace(100, 113, len(grid))
    daily = daily_equity(grid, values, calendar=Calendar.of(days("2024-01-01", 10)))
    assert len(daily.returns) == 9
    assert daily.equity[-1] == pytest.approx(111)


def test_weekends_are_told_from_equity_where_prices_are_not_given():
    grid = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]").astype("M8[ns]")
    moving = np.arange(len(grid)) + 1000.0
    ends = (grid - np.timedelta64(1, "ns")).astype("M8[D]")  # a sample at 00:00 ends a day
    resting = 1000.0 + np.cumsum(np.is_busday(ends))
    always = statistics(table(grid, moving), NO_TRADES, NO_FILLS)
    weekdays = statistics(table(grid, resting), NO_TRADES, NO_FILLS)
    assert (always["periods_per_year"], always["days"]) == (365, 59)
    assert (weekdays["periods_per_year"], weekdays["days"]) == (252, 43)
    assert weekdays["total_return"] == pytest.approx(43 / 1000)


def test_coarse_samples_are_annualised_by_their_own_number():
    prices = days("2020-01-01", 1000)
    daily = daily_equity(prices[::5], np.arange(100.0, 300.0), calendar=Calendar.of(prices))
    assert len(daily.returns) == 199
    assert daily.periods_per_year == pytest.approx(252 / 5)


def test_months_compound_to_the_whole(runs):
    run = runs["one"]
    equity = run.equity()
    daily = daily_equity(equity["ts"], equity["equity"])
    months = monthly_returns(daily)
    assert len(months) == 99  # January 2005 to March 2013
    growth = math.prod(1 + change for change in months.values())
    assert growth - 1 == pytest.approx(run.statistics["total_return"])


# Properties

values = arrays.arrays(
    np.float64, st.integers(2, 60), elements=st.floats(0.01, 1e9, allow_subnormal=False)
)


@given(values)
def test_drawdown_is_a_share(equity):
    found = statistics(table(days("2020-01-01", len(equity)), equity), NO_TRADES, NO_FILLS)
    assert 0 <= found["max_drawdown"] <= 1
    assert (found["max_drawdown"] == 0) == bool((np.diff(equity) >= 0).all())
    assert found["max_drawdown"] == pytest.approx(
        max(1 - low / high for i, high in enumerate(equity) for low in equity[i:])
    )
    assert 0 <= found["max_drawdown_days"] <= len(equity) * 2 + 7
    json.dumps(found, allow_nan=False)


@given(values, st.floats(0.001, 1e6))
def test_ratios_do_not_depend_on_the_size_of_the_account(equity, scale):
    times = days("2020-01-01", len(equity))
    one = statistics(table(times, equity), NO_TRADES, NO_FILLS)
    other = statistics(table(times, equity * scale), NO_TRADES, NO_FILLS)
    for name in ("total_return", "max_drawdown", "volatility", "best_day", "worst_day"):
        if one[name] is None:
            assert other[name] is None
        else:
            assert other[name] == pytest.approx(one[name], rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=40))
def test_trades_add_up(pnl):
    n = len(pnl)
    times = days("2020-01-01", 2)
    positions = {
        "currency": ["USD"] * n,
        "side": ["LONG"] * n,
        "realized_pnl": pnl,
        "ts_opened": np.repeat(times[:1], n),
        "ts_closed": np.repeat(times[1:], n),
    }
    found = statistics(table(times, [1, 1]), positions, NO_FILLS)
    total = (found["avg_win"] or 0) * found["wins"] + (found["avg_loss"] or 0) * found["losses"]
    assert total == pytest.approx(math.fsum(pnl), rel=1e-9, abs=1e-3)
    assert found["trades"] == n
    assert found["exposure"] == (1 if n else 0)
    json.dumps(found, allow_nan=False)


def test_drawdown_of_each_point():
    assert drawdown([100, 120, 90, 130]).tolist() == pytest.approx([0, 0, 0.25, 0])


# Against the engine

ENGINE = """
import json, sys
import nautilus_trader.analysis as analysis
returns, pnls = json.load(sys.stdin)
keyed = {i * 86_400_000_000_000: r for i, r in enumerate(returns)}
from_returns = ["SharpeRatio", "SortinoRatio", "ReturnsVolatility", "ReturnsSkewness",
                "ReturnsKurtosis", "MaxDrawdown"]
from_pnls = ["WinRate", "Expectancy", "AvgWinner", "AvgLoser", "MaxWinner", "MaxLoser"]
found = {n: getattr(analysis, n)().calculate_from_returns(keyed) for n in from_returns}
found |= {n: getattr(analysis, n)().calculate_from_realized_pnls(pnls) for n in from_pnls}
print(json.dumps(found))
"""


def test_agrees_with_the_engine_where_definitions_coincide(runs):
    run = runs["one"]
    equity, positions = run.equity(), run.positions()
    calendar = Calendar.of(np.asarray(run.prices()["AAPL.XNAS"].index, "M8[ns]"))
    returns = daily_equity(equity["ts"], equity["equity"], calendar=calendar).returns
    pnls = positions["realized_pnl"][positions["ts_closed"].notna()]
    done = subprocess.run(
        [sys.executable, "-c", ENGINE],
        input=json.dumps([returns.tolist(), pnls.tolist()]),
        capture_output=True,
        text=True,
        check=True,
    )
    engine, ours = json.loads(done.stdout), run.statistics
    names = {
        "SharpeRatio": "sharpe",
        "SortinoRatio": "sortino",
        "ReturnsVolatility": "volatility",
        "ReturnsSkewness": "skew",
        "ReturnsKurtosis": "kurtosis",
        "WinRate": "win_rate",
        "Expectancy": "expectancy",
        "AvgWinner": "avg_win",
        "AvgLoser": "avg_loss",
        "MaxWinner": "best_trade",
        "MaxLoser": "worst_trade",
    }
    for theirs, our in names.items():
        assert ours[our] == pytest.approx(engine[theirs], rel=1e-9), our
    assert ours["max_drawdown"] == pytest.approx(-engine["MaxDrawdown"], rel=1e-9)
