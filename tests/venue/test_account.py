"""The account: numbers worked out by hand, and what must hold after any orders at any prices."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venue.support import BTC, ETH, Desk
from workbench.venue.model import Contract, Refusal, exact


def test_numbers_worked_out_by_hand() -> None:
    desk = Desk(opening=Decimal(10_000))
    desk.quote("99.9", "100.0", "100")
    desk.order("Buy", "10")  # 1,000.00, fee 0.55
    desk.quote("104.0", "104.1", "100")
    desk.order("Buy", "5")  # 520.50, fee 0.286275
    position = desk.account.positions["BTCUSDT"]
    assert position.cost == Decimal("1520.5")
    assert position.average == pytest.approx(Decimal("101.3666666666"), abs=Decimal("1e-9"))
    assert desk.account.unrealised == 15 * Decimal("104.0") - Decimal("1520.5")  # mid 104.05
    desk.order("Sell", "3")  # at 104.0: cost of a fifth 304.10, fee 0.1716
    assert position.realised == 312 - Decimal("304.1")
    desk.quote("90.0", "90.1", "100")
    desk.order("Sell", "20")  # closes 12 bought for 1,216.40 at 90.0, and opens 8 short
    assert position.realised == Decimal("7.9") + 1080 - Decimal("1216.4")
    assert (position.size, position.cost, position.side) == (-8, 720, "Sell")
    fees = Decimal("0.55") + Decimal("0.286275") + Decimal("0.1716") + Decimal("0.99")
    assert desk.account.fees == fees
    assert desk.account.wallet == 10_000 + position.realised - fees


def test_margins_worked_out_by_hand() -> None:
    desk = Desk(BTC, ETH)
    desk.quote("99.9", "100.1", "100")
    desk.order("Buy", "10")
    desk.order("Buy", "5", "90.0")
    desk.order("Sell", "12", "110.0")  # 10 of them close
    orders, positions, maintenance = desk.account.margins(desk.exchange.books.live())
    assert positions == 100  # 10 at a mark of 100, ten times
    assert maintenance == 5
    rate = Decimal("0.1") + BTC.taker
    assert orders == max(5 * 90 * rate, 2 * 110 * rate)
    free = desk.account.wallet + desk.account.unrealised - orders - positions
    assert desk.account.available(desk.exchange.books.live()) == free


def holds(desk: Desk) -> None:
    """Check what must hold at any moment, to the last digit."""
    account, books = desk.account, desk.exchange.books
    held = account.positions
    with exact():
        assert account.wallet == account.start + account.realised - account.fees
        cash = sum((each.signed * each.price for each in books.executions), Decimal(0))
        value = sum(
            (account.value(symbol).copy_sign(each.size) for symbol, each in held.items()),
            Decimal(0),
        )
        assert account.wallet + account.unrealised == account.start - cash + value - account.fees
        for symbol, position in account.positions.items():
            fills = [each for each in books.executions if each.symbol == symbol]
            assert position.size == sum((each.signed for each in fills), Decimal(0))
            assert position.realised == sum((each.pnl for each in fills), Decimal(0))
            assert position.cost >= 0
            assert (position.cost == 0) == (position.size == 0)
        for order in books.orders.values():
            fills = [each for each in books.executions if each.order == order.id]
            assert order.filled == sum((each.quantity for each in fills), Decimal(0))
            assert order.value == sum((each.value for each in fills), Decimal(0))
            assert order.filled <= order.quantity
            assert (order.filled == order.quantity) == (order.status == "Filled")
        live = {each.id for each in books.orders.values() if each.open}
        assert live == {each.id for each in books.live()}


def trade_at_random(desk: Desk, chance: random.Random, steps: int) -> None:
    """Let prices move and orders come as they may."""
    prices = dict.fromkeys(desk.exchange.contracts, 10000)  # in ticks
    for _ in range(steps):
        symbol = chance.choice(list(prices))
        contract = desk.exchange.contracts[symbol]
        prices[symbol] = max(prices[symbol] + chance.randint(-40, 40), 200)
        price = prices[symbol] * contract.tick
        if chance.random() < 0.5:
            size = str(chance.randint(1, 2_000) * contract.step)
            desk.quote(str(price - contract.tick), str(price), size, symbol)
        else:
            desk.trade(str(price), None, symbol)
        kind = chance.random()
        live = desk.exchange.books.live()
        near = str(price + chance.randint(-30, 30) * contract.tick)
        quantity = str(chance.randint(1, 3_000) * contract.step)
        side = chance.choice(["Buy", "Sell"])
        more = {"symbol": symbol, "reduceOnly": chance.random() < 0.2}
        try:
            if kind < 0.3:
                desk.order(side, quantity, **more)
            elif kind < 0.6:
                tif = chance.choice(["GTC", "IOC", "FOK", "PostOnly"])
                desk.order(side, quantity, near, timeInForce=tif, **more)
            elif kind < 0.7:
                direction = chance.choice([1, 2])
                desk.order(side, quantity, triggerPrice=near, triggerDirection=direction, **more)
            elif kind < 0.8 and live:
                desk.amend(chance.choice(live), price=near)
            elif kind < 0.85 and live:
                desk.amend(chance.choice(live), qty=quantity)
            elif kind < 0.95 and live:
                desk.cancel(chance.choice(live))
        except Refusal as refusal:
            assert refusal.code != 10016, refusal.message


TINY = Decimal("0.00000001")
FINE = Contract("FINEUSDT", "FINE.SIM", TINY, TINY, min_notional=Decimal(0))
ROUGH = Contract("ROUGHUSDT", "ROUGH.SIM", Decimal("0.25"), Decimal(7))
RICH = Decimal(10_000_000)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_nothing_is_lost_or_made(seed: int) -> None:
    desk = Desk(BTC, FINE, ROUGH, opening=RICH)
    chance = random.Random(seed)
    for _ in range(6):
        trade_at_random(desk, chance, 20)
        holds(desk)


def test_nothing_is_lost_or_made_over_restarts(tmp_path: Path, pytestconfig: Any) -> None:
    books, chance, kept = tmp_path / "books.jsonl", random.Random(7), {}
    for _ in range(200 if pytestconfig.getoption("--drills") else 4):
        desk = Desk(BTC, FINE, ROUGH, books=books, opening=RICH)
        holds(desk)
        assert desk.exchange.books.orders == kept
        trade_at_random(desk, chance, 50)
        holds(desk)
        kept, wallet = desk.exchange.books.orders, desk.account.wallet
        desk.exchange.books.close()
    again = Desk(BTC, FINE, ROUGH, books=books)
    assert again.account.wallet == wallet
    assert again.account.positions == desk.account.positions
    assert len(again.account.positions) == 3
    again.exchange.books.close()
