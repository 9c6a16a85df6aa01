import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import charts
from workbench.core.style import BLUE, ORANGE, holoviews

KINDS = ("one", "several", "currencies", "many", "empty", "failed")
CHARTS = (charts.equity, charts.drawdowns, charts.monthly, charts.price, charts.overview)


def drawn(element, backend):
    figure = holoviews().render(element, backend=backend)
    if backend == "matplotlib":
        import matplotlib.pyplot as plt

        figure.canvas.draw()
        plt.close(figure)
    return figure


def lines(element):
    """Return the last value of each line of a chart, by its label."""
    return {line.label: float(line.dimension_values(1)[-1]) for line in element}


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_of_every_kind_of_run(runs, kind, backend):
    for chart in CHARTS:
        assert drawn(chart(runs[kind]), backend) is not None


def test_equity_ends_where_the_run_does(runs):
    run = runs["one"]
    assert lines(charts.equity(run)) == {"Strategy": pytest.approx(float(run.balances["USD"]))}


def test_the_benchmark_holds_the_instrument(simulated, bars, tmp_path):
    prices = bars("MSFT", "2012", "2013")
    run = simulated(tmp_path, {"MSFT.XNAS": prices}, fast=5, slow=20, trade_size=20_000)
    held = 1_000_000 * prices["close"].iloc[-1] / prices["open"].iloc[0]
    assert lines(charts.equity(run))["Buy and hold"] == pytest.approx(held)


def test_currencies_are_compared_in_percent(runs):
    run = runs["currencies"]
    found = lines(charts.equity(run))
    assert list(found) == ["USD", "EUR"]
    assert found["USD"] == pytest.approx(100 * run.statistics["total_return"])
    assert found["EUR"] == pytest.approx(100 * run.statistics["others"]["EUR"]["total_return"])


def test_buys_and_sells_differ_in_shape_and_colour(runs):
    run = runs["one"]
    figure = drawn(charts.price(run), "bokeh")
    marks = {r.glyph.marker: r for r in figure.renderers if hasattr(r.glyph, "marker")}
    assert set(marks) == {"triangle", "inverted_triangle"}
    assert marks["triangle"].glyph.fill_color == BLUE
    assert marks["inverted_triangle"].glyph.fill_color == ORANGE
    sides = run.fills()["side"].value_counts()
    drawn_buys = len(marks["triangle"].data_source.data["price"])
    assert drawn_buys == sides["BUY"] > 10


def test_many_bars_and_fills_stay_light(runs):
    run = runs["many"]
    assert len(run.prices()["GBP/USD.SIM"]) == 30_000
    assert len(run.fills()) > 5_000
    for element in charts.price(run):
        assert len(element) <= charts.MAX_POINTS
        if element.label in ("Buy", "Sell"):
            own = run.fills()[run.fills()["side"] == element.label.upper()]
            total = element.dimension_values("quantity").sum()
            assert total == pytest.approx(own["quantity"].sum())


def test_axes_say_what_they_show(runs):
    figure = drawn(charts.equity(runs["one"]), "bokeh")
    assert figure.yaxis[0].axis_label == "Equity (USD)"
    assert figure.yaxis[0].formatter.format == "0,0"
    paper = drawn(charts.equity(runs["one"]), "matplotlib")
    axes = paper.axes[0]
    assert axes.get_ylabel() == "Equity (USD)"
    assert axes.yaxis.get_major_formatter()(1_250_000, 0) == "1,250,000"


@settings(max_examples=60)
@given(st.integers(1, 4_000), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_thinning_keeps_highs_lows_and_ends(rows, points, seed):
    rng = np.random.default_rng(seed)
    close = rng.normal(100, 5, rows)
    times = pd.date_range("2020", periods=rows, freq="min", tz="UTC")
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close}
    bars = pd.DataFrame(columns, index=times)
    found = charts.thinned(bars, points)
    assert len(found) == min(rows, points)
    assert found["high"].max() == bars["high"].max()
    assert found["low"].min() == bars["low"].min()
    assert found["open"].iloc[0] == bars["open"].iloc[0]
    assert found["close"].iloc[-1] == bars["close"].iloc[-1]
    assert found.index[-1] == times[-1]
    assert (found["high"] >= found[["open", "close"]].max(axis=1)).all()


def test_ticks_become_bars():
    times = pd.date_range("2020", periods=6, freq="s", tz="UTC")
    quotes = pd.DataFrame({"bid_price": range(6), "ask_price": range(2, 8)}, index=times)
    found = charts.thinned(quotes, 2)
    assert found["open"].tolist() == [1, 4]
    assert found["high"].tolist() == found["close"].tolist() == [3, 6]


def test_runs_compared_from_zero(runs):
    found = lines(charts.compare_equity([runs["one"], runs["several"]], ["a", "b"]))
    assert found["a"] == pytest.approx(100 * runs["one"].statistics["total_return"])
    assert list(found) == ["a", "b"]


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_parameter_map(simulated, bars, tmp_path, backend):
    prices = {"AAPL.XNAS": bars("AAPL", "2010", "2011")}
    grid = [
        simulated(tmp_path, prices, fast=fast, slow=slow) for fast in (5, 10) for slow in (20, 50)
    ]
    chart = charts.parameter_map(grid, "fast", "slow", "total_return")
    cells = next(iter(chart)).dimension_values("value")
    assert sorted(cells) == sorted(100 * run.statistics["total_return"] for run in grid)
    assert drawn(chart, backend) is not None
    assert drawn(charts.parameter_map(grid, "fast", "none"), backend) is not None
