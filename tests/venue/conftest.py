"""A project whose catalog has what a venue replays."""

from typing import Any

import numpy as np
import pytest

from workbench.data.catalog import Dataset
from workbench.data.rows import table
from workbench.engine.catalog import encode, write_instruments
from workbench.study.datasets import Instrument

START = 1_704_205_800_000_000_000  # 2024-01-02T14:30:00Z
SECOND = 10**9
MINUTE = 60 * SECOND
DAILY = "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
MINUTES = "EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL"
HOURS = "EUR/USD.SIM-1-HOUR-LAST-EXTERNAL"


def write(project: Any, kind: Any, identity: str, seconds: Any, **values: Any) -> None:
    """Write rows `seconds` after the start; prices at precision 2 (5 of EUR/USD), sizes at 0."""
    import pyarrow as pa

    instrument = identity.rsplit("-", 4)[0] if kind == "bars" else identity
    ts = START + np.asarray(seconds) * SECOND
    whole = {name: np.asarray(column, dtype=np.int64) for name, column in values.items()}
    if kind == "trades":
        whole["side"] = whole["side"].astype(np.int8)
        whole["trade_id"] = pa.array([f"t-{number}" for number in range(len(ts))])
    rows = table(
        kind, identity, instrument, {**whole, "ts": ts},
        price_precision=5 if instrument.startswith("EUR") else 2, size_precision=0,
    )  # fmt: skip
    span = (int(ts[0]), int(ts[-1]))
    Dataset(project, kind, identity).write(rows, span, provider="file", source="{}")


def bars(project: Any, identity: str, minutes: Any, opens: Any) -> None:
    """Write bars that go up 30 and down 20 from their open, and close 10 above it."""
    opens = np.asarray(opens)
    write(
        project, "bars", identity, np.asarray(minutes) * 60, open=opens, high=opens + 30,
        low=opens - 20, close=opens + 10, volume=np.full(len(opens), 1_000),
    )  # fmt: skip


def books(project: Any) -> None:
    """Write an order book three levels deep that climbs, as changes and as best levels."""
    from nautilus_trader import model

    name = model.InstrumentId.from_str("ES.XCME")

    def order(side: Any, price: int, size: int) -> Any:
        return model.BookOrder(side, model.Price(price, 2), model.Quantity(size, 0), 0)

    buy, sell, none = model.OrderSide.BUY, model.OrderSide.SELL, model.OrderSide.NO_ORDER_SIDE
    empty = model.BookOrder(none, model.Price(0, 2), model.Quantity(0, 0), 0)
    add, delete = model.BookAction.ADD, model.BookAction.DELETE
    deltas, depths = [], []
    for number in range(10):
        ts, price = START + number * SECOND, 5_000 + number
        if number:
            gone = ((buy, price - 4), (sell, price))
            deltas += [
                model.OrderBookDelta(name, delete, order(side, at, 0), 0, number, ts, ts)
                for side, at in gone
            ]
        levels = [(buy, price - n, 3 + (price - n) % 7) for n in (1, 2, 3)]
        levels += [(sell, price + n, 5 + (price + n) % 7) for n in (1, 2, 3)]
        fresh = levels if not number else [levels[0], levels[5]]
        deltas += [
            model.OrderBookDelta(name, add, order(*each), 0, number, ts, ts) for each in fresh
        ]
        sides = [
            [order(*each) for each in levels if each[0] == side] + [empty] * 7
            for side in (buy, sell)
        ]
        counts = [1] * 3 + [0] * 7
        depths.append(model.OrderBookDepth(name, *sides, counts, counts, 0, number, ts, ts))
    span = (START, START + 9 * SECOND)
    for kind, found in (("order_book_deltas", deltas), ("order_book_depths", depths)):
        Dataset(project, kind, "ES.XCME").write(
            encode(kind, found), span, provider="file", source="{}"
        )


@pytest.fixture
def market(project: Any) -> Any:
    """A project with bars, quotes, trades and order books."""
    pair = Instrument(type="currency_pair", base="EUR", currency="USD", price_precision=5)
    share = Instrument(type="equity", currency="USD", price_precision=2)
    write_instruments(project.catalog, [("EUR/USD.SIM", pair), ("AAPL.XNAS", share)])
    bars(project, DAILY, np.arange(1, 31) * 1440, 10_000 + np.arange(30) * 100)
    bars(project, MINUTES, np.arange(1, 121), 110_000 + np.arange(120) * 10)
    bars(project, HOURS, [60, 120], [110_000, 110_600])
    bids = 20_000 + np.arange(20) * 2
    write(
        project, "quotes", "MSFT.XNAS", np.arange(20) * 10, bid_price=bids, ask_price=bids + 3,
        bid_size=np.full(20, 300), ask_size=np.full(20, 400),
    )  # fmt: skip
    write(
        project, "trades", "MSFT.XNAS", np.arange(20) * 10 + 5, price=bids + 1,
        size=np.full(20, 100), side=np.arange(20) % 3,
    )  # fmt: skip
    write(
        project, "trades", "IBM.XNYS", np.arange(5), price=[100_00, 100_10, 100_05, 100_05, 99_00],
        size=[10, 20, 30, 40, 50], side=[1, 1, 2, 0, 0],
    )  # fmt: skip
    books(project)
    return project
