"""Market orders on a study that has only an order book."""

from typing import Any

import pytest
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
)

from workbench.engine.book_quotes import quotes

NAME = InstrumentId.from_str("BTCUSDT.BINANCE")


def delta(ts: int, side: str, price: str, size: str, *, last: bool = True) -> Any:
    order = BookOrder(
        OrderSide.BUY if side == "bid" else OrderSide.SELL,
        Price.from_str(price),
        Quantity.from_str(size),
        0,
    )
    action = BookAction.DELETE if size == "0" else BookAction.UPDATE
    flags = int(RecordFlag.F_LAST.value) if last else 0
    return OrderBookDelta(NAME, action, order, flags, 0, ts, ts)


def seen(deltas: list[Any]) -> list[tuple[int, str, str]]:
    found = quotes("order_book_deltas", deltas, "L2_MBP")
    return [(each.ts_init, str(each.bid_price), str(each.ask_price)) for each in found]


def test_each_change_of_the_best_prices_is_a_quote() -> None:
    deltas = [
        delta(1, "bid", "100.0", "1", last=False),
        delta(1, "ask", "101.0", "1"),
        delta(2, "bid", "99.0", "5"),  # below the best: nothing changes
        delta(3, "bid", "100.5", "2"),
        delta(4, "bid", "100.5", "0"),
    ]
    assert seen(deltas) == [
        (1, "100.0", "101.0"),
        (3, "100.5", "101.0"),
        (4, "100.0", "101.0"),
    ]


def test_half_a_message_is_no_book() -> None:
    deltas = [
        delta(1, "bid", "100.0", "1", last=False),
        delta(1, "ask", "101.0", "1"),
        delta(2, "bid", "102.0", "1", last=False),  # crossed until the rest of it
        delta(2, "ask", "101.0", "0", last=False),
        delta(2, "ask", "103.0", "1"),
    ]
    assert seen(deltas) == [(1, "100.0", "101.0"), (2, "102.0", "103.0")]


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_an_empty_side_gives_no_quote(side: str) -> None:
    assert seen([delta(1, side, "100.0", "1")]) == []
