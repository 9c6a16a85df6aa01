"""The template a newcomer starts from works as it stands."""

import itertools

MY_STRATEGY = "strategies/my_strategy.py:MyStrategy"


def test_buys_after_falls_and_sells_some_bars_later(run, market):
    params = {"trade_size": "100", "falls": 3, "hold": 5}
    fills = run(MY_STRATEGY, market, params)["fills"]
    close, ts = market["close"], market["ts"]
    expected, i = [], 3
    while i < len(close):
        if all(a > b for a, b in itertools.pairwise(close[i - 3 : i + 1])):
            expected.append((ts[i], "BUY", close[i]))
            if i + 5 < len(close):
                expected.append((ts[i + 5], "SELL", close[i + 5]))
            i += 5
        i += 1
    assert len(expected) > 100
    assert [(f["ts"], f["side"], f["price"]) for f in fills] == expected


def test_late_fills_do_not_make_it_order_twice(run, synthetic):
    params = {"trade_size": "100", "falls": 2, "hold": 1}
    result = run(MY_STRATEGY, synthetic, params, latency_ns=90_000_000_000)
    assert {after["position"] for after in result["after_bars"]} == {0, 100}


def test_the_same_run_gives_the_same_result(run, synthetic):
    params = {"trade_size": "100"}
    assert run(MY_STRATEGY, synthetic, params) == run(MY_STRATEGY, synthetic, params)
