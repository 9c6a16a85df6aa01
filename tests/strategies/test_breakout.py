import numpy as np
import pytest

BREAKOUT = "workbench.strategies.breakout:Breakout"
PARAMS = {"trade_size": "100", "channel": 20, "atr": 14, "stop": 2.0, "target": 4.0}


def average_true_range(bars, period):
    """Return Wilder's average after each bar; NaN before `period` bars."""
    high, low, close = (np.array(bars[name]) for name in ("high", "low", "close"))
    before = np.concatenate(([close[0]], close[:-1]))
    before[0] = np.clip(before[0], low[0], high[0])  # the first bar has only itself
    ranges = np.maximum(high, before) - np.minimum(low, before)
    average = np.full(len(ranges), np.nan)
    average[period - 1] = ranges[:period].mean()
    for i in range(period, len(ranges)):
        average[i] = (average[i - 1] * (period - 1) + ranges[i]) / period
    return average


def expected_fills(bars, *, channel, atr, stop, target, **_):
    """Trade the series by hand: entries at closes, exits in the order open, high, low, close."""
    high, low, close = (np.array(bars[name]) for name in ("high", "low", "close"))
    true_range = average_true_range(bars, atr)
    fills, side, stop_price, target_price = [], 0, 0.0, 0.0
    for i, ts in enumerate(bars["ts"]):
        for at, price in enumerate((bars["open"][i], high[i], low[i], close[i])):
            if side * (price - stop_price) <= 0 and side:
                # An open beyond the stop is where the stop fills: what a gap costs.
                fills.append((ts, "STOP_MARKET", -side, stop_price if at else price))
                side = 0
            elif side * (price - target_price) >= 0 and side:
                fills.append((ts, "LIMIT", -side, target_price))
                side = 0
        if side or i < max(channel, atr):
            continue
        side = (close[i] > high[i - channel : i].max()) * 1 - (
            close[i] < low[i - channel : i].min()
        ) * 1
        if side:
            fills.append((ts, "MARKET", side, close[i]))
            stop_price = round(close[i] - side * stop * true_range[i], 2)
            target_price = round(close[i] + side * target * true_range[i], 2)
    return fills


def signed(fills):
    return [(f["ts"], f["type"], 1 if f["side"] == "BUY" else -1, f["price"]) for f in fills]


@pytest.mark.parametrize("levels", [{}, {"channel": 5, "atr": 30, "stop": 1.0, "target": 1.5}])
def test_trades_as_by_hand(run, market, levels):
    params = PARAMS | levels
    result = run(BREAKOUT, market, params)
    expected = expected_fills(market, **params)
    kinds = [kind for _, kind, _, _ in expected]
    assert kinds.count("STOP_MARKET") > 10
    assert kinds.count("LIMIT") > 10
    assert signed(result["fills"]) == expected


QUIET = [100.0] * 6
# True ranges of 1.0 and one of 1.6 make (4 * 1.0 + 1.6) / 5 = 1.12: exits are 2.24 from the entry.
SHORT = {"trade_size": "100", "channel": 5, "atr": 5, "stop": 2.0, "target": 2.0}


def path(bars, closes, *, swing=0.5, **columns):
    """Make bars that open at the last close and swing a little around it: ATR 1.0 when quiet."""
    close = np.array(closes)
    open_ = np.concatenate((close[:1], close[:-1]))
    high, low = np.maximum(open_, close) + swing, np.minimum(open_, close) - swing
    return bars(open_, high, low, close, **columns)


@pytest.mark.parametrize(
    ("closes", "side", "exit_type", "exit_price"),
    [
        ([100.6, 101.0, 102.0, 103.0], "BUY", "LIMIT", 102.84),
        ([100.6, 100.0, 99.0, 98.0], "BUY", "STOP_MARKET", 98.36),
        ([99.4, 99.0, 98.0, 97.0], "SELL", "LIMIT", 97.16),
        ([99.4, 100.0, 101.0, 102.0], "SELL", "STOP_MARKET", 101.64),
    ],
)
def test_stop_and_target_rest_together_and_one_cancels_the_other(
    run, bars, closes, side, exit_type, exit_price
):
    result = run(BREAKOUT, path(bars, QUIET + closes), SHORT)
    other_side = {"BUY": "SELL", "SELL": "BUY"}[side]
    during, last = result["after_bars"][len(QUIET) + 1], result["after_bars"][-1]
    # The bar after the entry: a position, and both exits resting at the venue.
    assert abs(during["position"]) == 100
    assert during["orders"] == [
        {"type": "STOP_MARKET", "side": other_side, "leaves": 100},
        {"type": "LIMIT", "side": other_side, "leaves": 100},
    ]
    # One of them closed the position, the other is gone with it.
    assert (last["position"], last["orders"]) == (0, [])
    # (What the last close may have started anew comes after these three.)
    by_type = {order["type"]: order for order in result["orders"][:3]}
    assert by_type.pop(exit_type)["status"] == "FILLED"
    assert by_type.pop("MARKET")["side"] == side
    assert [order["status"] for order in by_type.values()] == ["CANCELED"]
    assert result["fills"][1]["price"] == exit_price


def test_both_exits_within_one_bar_close_the_position_once(run, bars):
    market = path(bars, [*QUIET, 100.6, 100.6, 100.6])
    market["high"][-2], market["low"][-2] = 110.0, 90.0
    result = run(BREAKOUT, market, SHORT)
    assert [fill["type"] for fill in result["fills"]] == ["MARKET", "LIMIT"]  # the high comes first
    assert result["position"] == 0


def test_each_part_of_an_entry_is_protected(run, bars):
    # The book of a bar holds a quarter of its volume: the rest of an order fills a tick further.
    volume = np.full(len(QUIET) + 3, 1_000_000)
    volume[len(QUIET)] = 160
    market = path(bars, [*QUIET, 100.6, 100.6, 98.0], volume=volume)
    result = run(BREAKOUT, market, SHORT)
    assert [f["quantity"] for f in result["fills"] if f["type"] == "MARKET"][:2] == [40, 60]
    during = result["after_bars"][-2]
    assert during["position"] == 100
    assert [o["leaves"] for o in during["orders"] if o["type"] == "STOP_MARKET"] == [40, 60]
    assert [o["leaves"] for o in during["orders"] if o["type"] == "LIMIT"] == [40, 60]
    last = result["after_bars"][-1]
    assert (last["position"], last["orders"]) == (0, [])


@pytest.mark.parametrize("latency_ns", [0, 90_000_000_000])
def test_never_more_than_one_position_of_the_size(run, market, latency_ns):
    # Late stops may arrive where the price has passed them: refused, and the position closed.
    params = PARAMS | {"channel": 5, "stop": 1.0, "target": 1.5}
    result = run(
        BREAKOUT, market, params, latency_ns=latency_ns, log="ERROR" if latency_ns else "WARNING"
    )
    assert {after["position"] for after in result["after_bars"]} == {-100, 0, 100}
    for after in result["after_bars"]:
        assert len(after["orders"]) <= 2
        if after["position"] and not latency_ns:
            kinds = [order["type"] for order in after["orders"]]
            assert kinds == ["STOP_MARKET", "LIMIT"]


def test_leaves_a_position_whose_stop_was_refused(run, bars):
    # An order is two bars on its way. The entry fills at 100.6; when its stop at 98.6 arrives, the
    # price is at 90 and the venue refuses a stop that is behind the market.
    market = path(bars, [*QUIET, 100.6, 100.6, 100.6, 100.6, 90.0, 90.0, 90.0, 90.0, 90.0])
    result = run(BREAKOUT, market, SHORT, latency_ns=70_000_000_000, log="OFF")
    statuses = {(o["type"], o["status"]) for o in result["orders"]}
    assert ("STOP_MARKET", "REJECTED") in statuses
    assert result["position"] == 0


def test_closes_on_stop_only_when_told(run, bars):
    market = path(bars, [*QUIET, 100.6, 100.6])
    stays = run(BREAKOUT, market, SHORT)
    leaves = run(BREAKOUT, market, SHORT | {"close_on_stop": True})
    assert stays["position"] == 100
    assert [o["status"] for o in stays["orders"]] == ["FILLED", "ACCEPTED", "ACCEPTED"]
    assert leaves["position"] == 0
    assert [o["status"] for o in leaves["orders"]] == ["FILLED", "CANCELED", "CANCELED", "FILLED"]
