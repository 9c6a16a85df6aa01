"""NautilusTrader's real Bybit clients, in a live node of its own process, on the practice venue."""

import random
import threading
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.venue.conftest import DAILY
from tests.venue.nodes import Node
from tests.venue.support import Bybit
from workbench import venue

pytestmark = pytest.mark.slow

BTC = "BTCUSDT:tick=0.1,step=0.001,price=30000"
NAME = "BTCUSDT-LINEAR.BYBIT"


def agree(node: Node, practice: venue.Venue) -> None:
    """Wait until node and venue have the same position, wallet and open orders."""

    def equal(picture: Any) -> bool:
        told = practice.status()
        held = Decimal(told["positions"].get("BTCUSDT", "0"))
        wallet = Decimal(told["wallet"])
        return (
            abs(Decimal(picture["net"]) - held) < Decimal("1e-9")  # the engine adds up floats
            and abs(Decimal(picture["balance"].split()[0]) - wallet) < Decimal("1e-7")
            and len(picture["open"]) == told["open_orders"]
        )

    node.until(equal)


def connected(practice: venue.Venue) -> None:
    """Wait until the node's sockets are there again, logged in and subscribed."""
    deadline = time.monotonic() + 30
    while True:
        told = practice.status()
        listens = {"order", "execution", "position", "wallet"} <= set(told["topics"])
        if listens and min(told["connections"].values()) >= 1:
            return
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_an_afternoon_at_the_venue(tmp_path: Path) -> None:
    """Connect, reconcile, quotes and trades, every kind of order; both ends agree after each."""
    with venue.start(symbols=[BTC]) as practice:
        practice.price("BTCUSDT", last="30000.0", side="Buy")
        # A message with a missing field is dropped without a word, except at this level.
        log = tmp_path / "node.log"
        with Node(practice.ready, NAME, log, log="stdout=Debug") as node:
            quote = node.wait("quote")
            assert (quote["bid"], quote["ask"]) == ("29999.9", "30000.0")
            practice.price("BTCUSDT", last="30010.0")
            assert node.wait("trade")["price"] == "30010.0"

            market = node.submit("buy", "0.500")
            filled = node.event(market, "OrderFilled")
            assert (filled["price"], filled["quantity"], filled["maker"]) == (
                "30010.0", "0.500", "TAKER",
            )  # fmt: skip
            assert Decimal(filled["fee"].split()[0]) == Decimal("8.25275")
            agree(node, practice)

            limit = node.submit("sell", "0.200", type="limit", price="30100.0")
            node.event(limit, "OrderAccepted")
            agree(node, practice)
            node.ask("modify", order=limit, price="30050.0", quantity="0.300")
            node.event(limit, "OrderUpdated")
            practice.price("BTCUSDT", last="30060.0")
            filled = node.event(limit, "OrderFilled")
            assert (filled["price"], filled["quantity"], filled["maker"]) == (
                "30050.0", "0.300", "MAKER",
            )  # fmt: skip
            agree(node, practice)

            crossing = node.submit("buy", "0.1", type="limit", price="31000.0", post_only=True)
            reason = node.event(crossing, "OrderRejected")["reason"]
            assert reason == "EC_PostOnlyWillTakeLiquidity"
            resting = node.submit("buy", "0.1", type="limit", price="29000.0", post_only=True)
            node.event(resting, "OrderAccepted")
            node.ask("cancel", order=resting)
            node.event(resting, "OrderCanceled")
            nothing = node.submit("buy", "0.1", type="limit", price="29000.0", tif="FOK")
            node.event(nothing, "OrderCanceled")

            stop = node.submit("sell", "0.200", type="stop_market", trigger="29500.0",
                               reduce_only=True)  # fmt: skip
            touch = node.submit("buy", "0.100", type="limit_if_touched", trigger="29700.0",
                                price="29750.0")  # fmt: skip
            later = node.submit("buy", "0.100", type="stop_limit", trigger="30200.0",
                                price="30150.0")  # fmt: skip
            for order in (stop, touch, later):
                node.event(order, "OrderAccepted")
            practice.price("BTCUSDT", last="30210.0")
            node.event(later, "OrderTriggered")
            agree(node, practice)
            assert "OrderFilled" not in node.events(later)
            practice.price("BTCUSDT", last="29650.0")
            assert node.event(later, "OrderFilled")["price"] == "30150.0"
            assert Decimal(node.event(touch, "OrderFilled")["price"]) < 29_700
            agree(node, practice)
            practice.price("BTCUSDT", last="29450.0")
            assert node.event(stop, "OrderFilled")["quantity"] == "0.200"
            agree(node, practice)

            late = node.submit("buy", "0.100", type="stop_market", trigger="29000.0")
            assert "expect Rising" in node.event(late, "OrderRejected")["reason"]
            for price in ("28000.0", "28001.0"):
                node.event(node.submit("buy", "0.1", type="limit", price=price), "OrderAccepted")
            node.ask("cancel_all")
            agree(node, practice)
            node.ask("flatten")
            node.until(lambda picture: Decimal(picture["net"]) == 0 and not picture["open"])
            agree(node, practice)
        assert node.process.returncode == 0
        said = log.read_text()
        assert "Subscription confirmed: topic=execution" in said
        for fault in ("Unknown WebSocket frame", "Failed to parse", "[ERROR]"):
            assert fault not in said, said[said.index(fault) - 200 :][:600]


def test_a_killed_venue_comes_back_with_orders_and_positions(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"symbols": [BTC], "books": tmp_path / "books.jsonl"}
    practice = venue.start(**asked)
    ready = practice.ready
    same = {"port": ready.port, "key": ready.key, "secret": ready.secret, "token": ready.token}
    try:
        with Node(ready, NAME, tmp_path / "node.log") as node:
            node.wait("quote")
            node.event(node.submit("buy", "0.500"), "OrderFilled")
            resting = node.submit("sell", "0.200", type="limit", price="30100.0")
            node.event(resting, "OrderAccepted")
            practice.kill()
            practice = venue.start(**asked, **same)
            agree(node, practice)
            connected(practice)
            practice.price("BTCUSDT", last="30120.0")
            assert node.event(resting, "OrderFilled")["price"] == "30100.0"
            node.event(node.submit("sell", "0.100"), "OrderFilled")
            agree(node, practice)
            kept = node.submit("sell", "0.100", type="limit", price="31000.0")
            node.event(kept, "OrderAccepted")
            node.kill()
        with Node(ready, NAME, tmp_path / "again.log") as node:  # another node, an empty memory
            picture = node.wait("started")
            assert picture["open"] == [kept]
            assert Decimal(picture["net"]) == Decimal("0.2")
            assert picture["positions"][0][2] == pytest.approx(30_000)
            agree(node, practice)
            node.ask("cancel", order=kept)
            node.until(lambda picture: not picture["open"])
    finally:
        practice.stop()


def test_a_replay_reaches_a_strategy_bar_by_bar(market: Any, tmp_path: Path) -> None:
    with venue.start(datasets=[DAILY], project=market, paused=True, start="2024-01-13") as practice:
        name = practice.instruments["AAPL.XNAS"]
        with Node(
            practice.ready, name, tmp_path / "node.log", bars="1-DAY-LAST", history=True
        ) as node:
            history = node.wait("history")["closes"]
            assert history == [f"{100.10 + number:.2f}" for number in range(10)]
            node.wait("quote")
            deadline = time.monotonic() + 10
            while not practice.step(1, "bars") or not any(
                each["what"] == "bar" for each in node.said
            ):
                assert time.monotonic() < deadline
            order = node.submit("buy", "10")
            filled = node.event(order, "OrderFilled")
            bars = [each for each in node.said if each["what"] == "bar"]
            practice.step(2, "bars")
            last = node.wait("bar", lambda each: each["close"] == _next(bars[-1]["close"], 2))
            closes = [each["close"] for each in node.said if each["what"] == "bar"]
            assert closes == [_next(closes[0], number) for number in range(len(closes))]
            assert abs(last["ts"] / 1e9 - time.time()) < 20
            assert Decimal(filled["price"]) - Decimal(bars[-1]["close"]) in (0, Decimal("0.01"))


def _next(close: str, steps: int) -> str:
    return str(Decimal(close) + steps)


def test_faults_the_clients_must_outlast(tmp_path: Path) -> None:
    """Dropped sockets, silence, duplicates, disorder, slow and limited commands, a down venue."""
    with (
        venue.start(symbols=[BTC]) as practice,
        Node(practice.ready, NAME, tmp_path / "node.log") as node,
        Bybit(practice.ready) as bybit,
    ):
        node.wait("quote")
        practice.fault("duplicate", where="private", times=20)
        for _ in range(3):
            node.event(node.submit("buy", "0.010"), "OrderFilled")
        agree(node, practice)
        practice.clear_faults()
        practice.fault("reorder", where="private", times=6)
        for side in ("sell", "buy", "sell"):
            node.event(node.submit(side, "0.010"), "OrderFilled")
        practice.clear_faults()
        agree(node, practice)

        practice.fault("slow", where="trade", seconds=1)
        node.event(node.submit("buy", "0.010"), "OrderFilled")
        practice.fault("partial", share=0.5)
        part = node.submit("buy", "0.010")
        node.event(part, "OrderCanceled")
        assert node.events(part).count("OrderFilled") == 1
        agree(node, practice)
        practice.fault("reject", code=110007)
        node.event(node.submit("buy", "0.010"), "OrderRejected")
        practice.fault("reject", late=True, message="EC_Others")
        late = node.submit("buy", "0.010")
        assert node.event(late, "OrderRejected")["reason"] == "EC_Others"

        for where in ("private", "trade", "public"):
            practice.fault("drop", where=where)
        connected(practice)
        node.event(node.submit("buy", "0.010"), "OrderFilled", 30)
        practice.fault("silence", where="private", seconds=2)
        quiet = node.submit("sell", "0.010")
        node.event(quiet, "OrderFilled", 30)
        agree(node, practice)
        assert bybit.get("/v5/account/info")["retCode"] == 0


@pytest.mark.timeout(1800)
def test_kills_at_random_moments(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Venue or node are killed while orders are under way: both ends agree after each."""
    if not pytestconfig.getoption("--drills"):
        pytest.skip("thirty kills take minutes: with --drills")
    chance = random.Random(3)
    asked: dict[str, Any] = {"symbols": [BTC], "books": tmp_path / "books.jsonl"}
    practice = venue.start(**asked)
    ready = practice.ready
    same = {"port": ready.port, "key": ready.key, "secret": ready.secret, "token": ready.token}
    sent: set[str] = set()
    try:
        for number in range(30):
            log = tmp_path / f"node-{number}.log"
            with Node(ready, NAME, log) as node:
                agree(node, practice)
                node.wait("quote")
                victim = chance.choice([node, practice])
                killer = threading.Timer(chance.random() / 2, victim.kill)
                killer.start()
                with suppress(AssertionError, OSError):  # whom it concerns is dead
                    for _ in range(40):
                        side, price = chance.choice(["buy", "sell"]), chance.randint(29_950, 30_050)
                        more = {"type": "limit", "price": f"{price}.0"}
                        more = more if chance.random() < 0.6 else {}
                        sent.add(node.submit(side, "0.001", **more))
                        time.sleep(0.01)
                killer.join()
                if not practice.alive:
                    practice = venue.start(**asked, **same)
                node.kill()
            with Node(ready, NAME, log) as node:
                agree(node, practice)
                for name in node.ask("picture")["open"]:  # to it they are another's
                    node.ask("cancel", order=name)
                node.until(lambda picture: not picture["open"])
                agree(node, practice)
            with Bybit(ready) as bybit:
                orders, cursor = [], ""
                while True:
                    page = bybit.get(
                        "/v5/order/history", category="linear", limit=50, cursor=cursor
                    )["result"]
                    orders += page["list"]
                    if not (cursor := page["nextPageCursor"]):
                        break
            links = [each["orderLinkId"] for each in orders]
            assert len(links) == len(set(links))  # none twice
            # And none that nobody sent; of the last before a kill the name may not have come back.
            assert len(set(links) - sent) <= number + 1
    finally:
        practice.stop()
