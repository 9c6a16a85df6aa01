import itertools

import pytest

EMA_CROSS = "workbench.strategies.ema_cross:EMACross"


def ema(values, period):
    """Yield the average of every value: of the first `period` as they are, then exponential."""
    average = sum(values[:period]) / period
    yield from [average] * period
    for value in values[period:]:
        average += 2 / (period + 1) * (value - average)
        yield average


def crosses(bars, fast, slow):
    """Return (ts, side, close) of every bar at which the averages changed places."""
    pairs = zip(ema(bars["close"], fast), ema(bars["close"], slow), strict=True)
    above = [a > b for a, b in pairs]
    return [
        (bars["ts"][i], "BUY" if above[i] else "SELL", bars["close"][i])
        for i in range(slow, len(above))  # bar slow - 1 is the first that both averages know
        if above[i] != above[i - 1]
    ]


def held(fills):
    signed = (fill["quantity"] * (1 if fill["side"] == "BUY" else -1) for fill in fills)
    return list(itertools.accumulate(signed))


@pytest.mark.parametrize(("fast", "slow"), [(10, 50), (3, 8)])
def test_trades_at_every_cross_and_nowhere_else(run, market, fast, slow):
    result = run(EMA_CROSS, market, {"trade_size": "100", "fast": fast, "slow": slow})
    expected = crosses(market, fast, slow)
    assert len(expected) > 20
    assert [(f["ts"], f["side"], f["price"]) for f in result["fills"]] == expected
    # The first order opens, every other one reverses, whole, in one order.
    assert [o["quantity"] for o in result["orders"]] == [100] + [200] * (len(expected) - 1)
    assert {abs(position) for position in held(result["fills"])} == {100}
    assert result["position"] == held(result["fills"])[-1]


def test_late_fills_do_not_make_it_order_twice(run, synthetic):
    minute_and_a_half = 90_000_000_000
    params = {"trade_size": "100", "fast": 2, "slow": 3}
    result = run(EMA_CROSS, synthetic, params, latency_ns=minute_and_a_half)
    signals = crosses(synthetic, 2, 3)
    # Averages this short cross again before the fill of the last cross has arrived.
    assert any(b[0] - a[0] <= 60_000_000_000 for a, b in itertools.pairwise(signals))
    assert {o["quantity"] for o in result["orders"]} == {100, 200}
    assert len(result["orders"]) == len(signals)
    assert max(map(abs, held(result["fills"]))) == 100


def test_size_is_rounded_down_to_the_instrument(run, synthetic):
    result = run(EMA_CROSS, synthetic, {"trade_size": "100.9"})
    assert max(map(abs, held(result["fills"]))) == 100


def test_closes_on_stop_only_when_told(run, synthetic):
    stays = run(EMA_CROSS, synthetic, {"trade_size": "100"})
    leaves = run(EMA_CROSS, synthetic, {"trade_size": "100", "close_on_stop": True})
    assert abs(stays["position"]) == 100
    assert leaves["position"] == 0
    assert len(leaves["orders"]) == len(stays["orders"]) + 1
