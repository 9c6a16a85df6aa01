"""Replay: which prices come in which order and when, and the bars as clients see them."""

import asyncio
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.venue.conftest import DAILY, HOURS, MINUTE, MINUTES, START
from tests.venue.support import Bybit, run, served
from workbench.core.errors import InputError
from workbench.study.load import build
from workbench.study.places import Places
from workbench.venue.listing import read_settings, symbol_of
from workbench.venue.market import Candle, Print, Quote

LINEAR = {"category": "linear"}
DAY = 1440 * MINUTE


def played(project: Any, *datasets: str, after: int = 0) -> list[Any]:
    return list(read_settings(datasets=datasets, project=project).tape.events(after))


def test_a_bar_is_played_as_open_high_low_close_at_its_quarters(market: Any) -> None:
    events = played(market, DAILY)
    first = [(event.ts - START, event.what) for event in events[:5]]
    assert [what.price for _, what in first[:4]] == [
        Decimal("100.00"), Decimal("100.30"), Decimal("99.80"), Decimal("100.10"),
    ]  # fmt: skip
    assert [at for at, _ in first] == [DAY // 4, DAY // 2, DAY * 3 // 4, DAY, DAY]
    assert {what.size for _, what in first[:4]} == {250}
    assert first[4][1] == Candle("D", 0)
    assert len(events) == 30 * 5
    assert all(one.ts <= other.ts for one, other in pairwise(events))


def test_the_shortest_bars_make_the_prices_and_all_of_them_close(market: Any) -> None:
    events = played(market, MINUTES, HOURS)
    closes = [event.what for event in events if isinstance(event.what, Candle)]
    assert [each.interval for each in closes].count("1") == 120
    assert [each.interval for each in closes].count("60") == 2
    assert sum(isinstance(event.what, Print) for event in events) == 4 * 120
    assert closes[59:61] == [Candle("1", 59), Candle("60", 0)]


def test_ticks_make_the_prices_where_there_are_some(market: Any) -> None:
    events = played(market, "MSFT.XNAS")
    quotes = [event.what for event in events if isinstance(event.what, Quote)]
    trades = [event.what for event in events if isinstance(event.what, Print)]
    assert (len(quotes), len(trades)) == (20, 20)
    assert quotes[1].bids == ((Decimal("200.02"), Decimal(300)),)
    assert quotes[1].asks == ((Decimal("200.05"), Decimal(400)),)
    assert [trade.side for trade in trades[:3]] == [None, "Buy", "Sell"]
    assert trades[0].id == "t-0"
    assert isinstance(events[0].what, Quote)
    only = played(market, "quotes/MSFT.XNAS")
    assert len(only) == 20
    assert played(market, "MSFT.XNAS", after=events[9].ts) == events[10:]


def test_changes_and_levels_give_the_same_order_book(market: Any) -> None:
    deltas = played(market, "order_book_deltas/ES.XCME")
    depths = played(market, "order_book_depths/ES.XCME")
    assert [(event.ts, event.what) for event in deltas] == [
        (event.ts, event.what) for event in depths
    ]
    assert len(depths) == 10
    assert depths[0].what.bids == (
        (Decimal(4999), Decimal(4)), (Decimal(4998), Decimal(3)), (Decimal(4997), Decimal(9)),
    )  # fmt: skip
    late = played(market, "order_book_deltas/ES.XCME", after=deltas[6].ts)
    assert [event.what for event in late] == [event.what for event in deltas[7:]]


@pytest.mark.parametrize(
    ("instrument", "symbol"),
    [
        ("AAPL.XNAS", "AAPLUSDT"),
        ("EUR/USD.SIM", "EURUSDT"),
        ("BTCUSDT-LINEAR.BYBIT", "BTCUSDT"),
        ("BTCUSD-INVERSE.BYBIT", "BTCUSDT"),
        ("ETH-USDT-SWAP.OKX", "ETHUSDT"),
        ("^GSPC.IDX", "GSPCUSDT"),
        ("BRK.B.XNYS", "BRKBUSDT"),
    ],
)
def test_names_as_bybit_has_them(instrument: str, symbol: str) -> None:
    assert symbol_of(instrument) == symbol


@pytest.mark.parametrize(
    ("word", "asked"),
    [
        ("Did you mean 'AAPL.XNAS-1-DAY-LAST-EXTERNAL'", {"datasets": ["AAPL.XNAS-1-DAY"]}),
        ("no dataset 'quotes/IBM.XNYS'", {"datasets": ["quotes/IBM.XNYS"]}),
        ("nothing to list", {}),
        ("speed", {"datasets": [DAILY], "speed": "fast"}),
        ("no date", {"datasets": [DAILY], "start": "yesterday"}),
        ("no date", {"datasets": [DAILY], "start": "2024-01-02T00:00:00"}),
        ("no amount", {"datasets": [DAILY], "balance": "100 EUR"}),
        ("above 0", {"datasets": [DAILY], "balance": "0"}),
        ("port", {"datasets": [DAILY], "port": 70_000}),
        ("begins with 'practice-'", {"datasets": [DAILY], "key": "real", "secret": "s"}),
        ("give both", {"datasets": [DAILY], "key": "practice-1"}),
        ("no fault", {"datasets": [DAILY], "faults": ["nap"]}),
        ("two contracts", {"datasets": [DAILY], "symbols": ["AAPLUSDT"]}),
        ("no name such as", {"symbols": ["btcusdt"]}),
        ("no multiple", {"symbols": ["BTCUSDT:tick=0.5,price=1.2"]}),
    ],
)
def test_wrong_settings(market: Any, word: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=word.replace("(", r"\(")):
        read_settings(project=market, **asked)


def test_two_instruments_of_one_name(market: Any) -> None:
    from tests.venue.conftest import bars

    bars(market, "AAPL.BATS-1-DAY-LAST-EXTERNAL", [1440], [10_000])
    with pytest.raises(InputError, match="both be listed as AAPLUSDT"):
        read_settings(datasets=[DAILY, "AAPL.BATS-1-DAY-LAST-EXTERNAL"], project=market)


def study(**venue: Any) -> Any:
    return build(
        {
            "schema": 1,
            "study": "practice",
            "data": [
                {"provider": "sample", "instrument": "AAPL.XNAS", "bars": "1-DAY-LAST",
                 "start": "2005-01-01", "end": "2005-03-01"},
            ],
            "venues": [
                {"name": "XNAS", "account": "margin", "balances": ["250_000 USD"], "leverage": 3,
                 "fees": {"maker": -0.0001, "taker": 0.001}, **venue},
            ],
            "strategy": {"path": "workbench.strategies.ema_cross:EMACross"},
        },
        Places(file="study.yaml"),
    )  # fmt: skip


def test_a_study_brings_its_span_fees_leverage_and_dollars(project: Any) -> None:
    from workbench import data

    with pytest.raises(InputError, match="workbench data fetch"):
        read_settings(study=study(), project=project)
    data.fetch(study(), project)
    found = read_settings(study=study(), project=project)
    contract = found.contracts["AAPLUSDT"]
    assert (contract.maker, contract.taker, contract.leverage) == (
        Decimal("-0.0001"), Decimal("0.001"), 3,
    )  # fmt: skip
    assert found.opening == 250_000
    assert sum(isinstance(event.what, Candle) for event in found.tape.events(0)) == 40
    fixed = read_settings(study=study(fees={"per_order": "1 USD"}), project=project)
    assert fixed.contracts["AAPLUSDT"].taker == Decimal("0.00055")


def status(bybit: Bybit) -> Any:
    return bybit.practice("GET", "status")


def test_steps_and_bars(market: Any) -> None:
    with served(datasets=[DAILY], project=market, paused=True, start="2024-01-13") as bybit:
        assert status(bybit)["markets"]["AAPLUSDT"]["last"] == "110"  # the eleventh's open
        history = klines(bybit)
        assert len(history) == 10
        assert bybit.practice("POST", "step", count=2)["markets"]["AAPLUSDT"]["last"] == "109.8"
        assert bybit.practice("POST", "step", of="bars")["markets"]["AAPLUSDT"]["last"] == "110.1"
        assert len(klines(bybit)) == 11
        assert bybit.practice("POST", "step", count=3, of="bars")["state"] == "paused"
        assert len(klines(bybit)) == 14
        assert bybit.practice("POST", "step", count=1_000)["state"] == "ended"
        assert bybit.practice("POST", "step")["state"] == "ended"
        assert status(bybit)["markets"]["AAPLUSDT"]["last"] == "129.1"


def klines(bybit: Bybit, **more: Any) -> Any:
    asked = {**LINEAR, "symbol": "AAPLUSDT", "interval": "D", **more}
    return bybit.public("/v5/market/kline", **asked)["result"]["list"]


def test_bars_before_the_start_are_history_up_to_now(market: Any) -> None:
    with served(datasets=[DAILY], project=market, paused=True, start="2024-01-13") as bybit:
        found = klines(bybit)
        starts = [int(row[0]) for row in found]
        days = [(one - other) / 86_400_000 for one, other in pairwise(starts)]
        assert days == [1.0] * 9
        closed = starts[0] + 86_400_000  # as long ago as midnight is from the bar's close
        ago = time.time() * 1000 - closed
        assert abs(ago - 34_200_000) < 60_000
        assert found[0][1:] == ["109.00", "109.30", "108.80", "109.10", "1000", "109100"]
        assert klines(bybit, limit=3) == found[:3]
        assert klines(bybit, start=starts[5], end=starts[2]) == found[2:6]
        assert klines(bybit, end=starts[3] - 1, limit=2) == found[4:6]
        pages, end = [], int(time.time() * 1000)
        while page := klines(bybit, end=end, limit=4):
            pages += page
            end = int(page[-1][0]) - 1
        assert pages == found


def test_bars_close_when_they_are_sent(market: Any) -> None:
    async def work(bybit: Bybit) -> None:
        async with bybit.socket("public", "kline.D.AAPLUSDT", "publicTrade.AAPLUSDT") as socket:
            step = lambda: bybit.practice("POST", "step", count=3, of="bars")  # noqa: E731
            await asyncio.to_thread(step)
            news = [await socket.get() for _ in range(15)]
        kinds = [each["topic"].split(".")[0] for each in news]
        assert kinds == ["publicTrade"] * 4 + ["kline"] + kinds[:5] * 2
        closed = [each["data"][0] for each in news if each["topic"].startswith("kline")]
        assert [each["close"] for each in closed] == ["100.10", "101.10", "102.10"]
        assert all(each["confirm"] and each["interval"] == "D" for each in closed)
        ends = [each["end"] + 1 for each in closed]
        assert all(one < other for one, other in pairwise(ends))
        assert all(abs(end / 1000 - time.time()) < 10 for end in ends)
        assert [int(row[0]) for row in klines(bybit)] == [each["start"] for each in closed][::-1]

    with served(datasets=[DAILY], project=market, paused=True) as bybit:
        run(work(bybit))


def test_pace(market: Any) -> None:
    """Two days in two seconds; then all there is, as fast as it goes, nothing lost."""

    async def work(bybit: Bybit) -> None:
        async with bybit.socket("public", "publicTrade.AAPLUSDT") as socket:
            await asyncio.to_thread(lambda: bybit.practice("POST", "resume", speed=86_400))
            times = []
            for _ in range(8):
                await socket.get()
                times.append(time.monotonic())
            assert 1.5 < times[-1] - times[0] < 4
            await asyncio.to_thread(lambda: bybit.practice("POST", "pause"))
            while not await socket.quiet(0.3):
                pass
            at = await asyncio.to_thread(lambda: status(bybit)["position"])
            await asyncio.to_thread(lambda: bybit.practice("POST", "resume", speed="max"))
            count = 0
            while not await socket.quiet(0.5):
                count += 1
            assert count + len(times) >= 118
            assert await asyncio.to_thread(lambda: status(bybit)["position"]) > at
            assert await asyncio.to_thread(lambda: status(bybit)["state"]) == "ended"

    with served(datasets=[DAILY], project=market, paused=True) as bybit:
        run(work(bybit))


def test_a_restart_goes_on_where_the_replay_was(market: Any, tmp_path: Path) -> None:
    kept = {"datasets": [DAILY], "project": market, "paused": True, "books": tmp_path / "b.jsonl"}
    with served(**kept) as bybit:
        bybit.practice("POST", "step", count=5, of="bars")
        bybit.order("Buy", "10", symbol="AAPLUSDT")
        last = status(bybit)["markets"]["AAPLUSDT"]
    with served(**kept) as bybit:
        assert status(bybit)["markets"]["AAPLUSDT"]["last"] == last["last"] == "104.1"
        assert status(bybit)["positions"] == {"AAPLUSDT": "10"}
        assert len(klines(bybit)) == 5
        bybit.practice("POST", "step", of="bars")
        assert status(bybit)["markets"]["AAPLUSDT"]["last"] == "105.1"
        bybit.practice("POST", "price", symbol="AAPLUSDT", last="77.00")
    with served(**kept) as bybit:
        assert status(bybit)["markets"]["AAPLUSDT"]["last"] == "77"
        bybit.practice("POST", "step")
    with served(**kept) as bybit:
        assert status(bybit)["markets"]["AAPLUSDT"]["last"] == "106"


def test_orders_fill_at_replayed_prices(market: Any) -> None:
    with served(datasets=[DAILY, "MSFT.XNAS", "IBM.XNYS"], project=market, paused=True) as bybit:
        bybit.practice("POST", "step", count=3)
        name = bybit.order("Buy", "5", "99.90", symbol="AAPLUSDT")["result"]["orderId"]
        bought = bybit.order("Buy", "500", symbol="MSFTUSDT")["result"]["orderId"]
        order = bybit.get("/v5/order/realtime", **LINEAR, orderId=bought)["result"]["list"][0]
        assert (order["orderStatus"], order["cumExecQty"]) == ("Cancelled", "400")  # all there was
        assert order["avgPrice"] == "200.03"
        bybit.practice("POST", "step", of="bars")
        order = bybit.get("/v5/order/realtime", **LINEAR, orderId=name)["result"]["list"][0]
        assert (order["orderStatus"], order["avgPrice"]) == ("Filled", "99.9")
