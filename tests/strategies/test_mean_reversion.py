import itertools

import numpy as np
import pytest

MEAN_REVERSION = "workbench.strategies.mean_reversion:MeanReversion"


def wanted_sides(close, period, width, tick=0.01):
    """Return the position wanted after each bar, by numpy over whole windows."""
    close = np.array(close)
    windows = np.lib.stride_tricks.sliding_window_view(close, period)
    mean, deviation = windows.mean(axis=1), windows.std(axis=1)
    sides = [0] * (period - 1)
    for price, middle, reach in zip(close[period - 1 :], mean, width * deviation, strict=True):
        side = sides[-1]
        if reach >= tick and price < middle - reach:
            side = 1
        elif reach >= tick and price > middle + reach:
            side = -1
        elif side * (price - middle) > -1e-5:
            side = 0
        sides.append(side)
    return sides


@pytest.mark.parametrize(("period", "width"), [(20, 2.0), (5, 1.1)])
def test_holds_what_the_bands_say_after_every_bar(run, market, period, width):
    params = {"trade_size": "100", "period": period, "width": width}
    result = run(MEAN_REVERSION, market, params)
    sides = wanted_sides(market["close"], period, width)
    assert {-1, 0, 1} <= set(sides)
    # An order sent on a bar is filled after it, at its close.
    changes = [(i, b - a) for i, (a, b) in enumerate(itertools.pairwise([0, *sides])) if a != b]
    expected = [
        (
            market["ts"][i],
            "BUY" if change > 0 else "SELL",
            100 * abs(change),
            market["close"][i],
        )
        for i, change in changes
    ]
    fills = [(f["ts"], f["side"], f["quantity"], f["price"]) for f in result["fills"]]
    assert len(expected) > 50
    assert fills == expected


def test_reverses_in_one_order_when_price_runs_through_the_mean(run, synthetic):
    params = {"trade_size": "100", "period": 5, "width": 1.1}
    result = run(MEAN_REVERSION, synthetic, params)
    assert {o["quantity"] for o in result["orders"]} == {100, 200}


def test_late_fills_do_not_make_it_order_twice(run, synthetic):
    params = {"trade_size": "100", "period": 5, "width": 1.1}
    result = run(MEAN_REVERSION, synthetic, params, latency_ns=90_000_000_000)
    positions = [after["position"] for after in result["after_bars"]]
    assert set(positions) == {-100, 0, 100}


def test_rounding_noise_in_a_still_market_is_no_signal(run, bars):
    # The mean of five 3.89 is not 3.89 in floats: it lies twice half the deviation away.
    price = 3.89
    assert abs(np.mean([price] * 5) - price) > 0.5 * np.std([price] * 5) > 0
    still = [price] * 50
    params = {"trade_size": "1", "period": 5, "width": 0.5}
    assert run(MEAN_REVERSION, bars(still, still, still, still), params)["orders"] == []


def test_closes_on_stop_only_when_told(run, synthetic):
    closes = synthetic["close"]
    sides = wanted_sides(closes, 20, 2.0)
    last = max(i for i, side in enumerate(sides) if side) + 1  # stop while a position is open
    cut = {name: values[:last] for name, values in synthetic.items()}
    stays = run(MEAN_REVERSION, cut, {"trade_size": "100"})
    leaves = run(MEAN_REVERSION, cut, {"trade_size": "100", "close_on_stop": True})
    assert abs(stays["position"]) == 100
    assert leaves["position"] == 0
