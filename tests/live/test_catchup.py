"""Redis is behind the journal by any number of writes; afterwards it is not."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.engine.live.catchup import _may_have_left, _missing, _part, _position

Fill = dict[str, Any]


def fill(number: int, units: int, same: int) -> Fill:
    """Return a fill; `same` of them happen in one moment."""
    return {
        "type": "OrderFilled",
        "trade_id": f"t{number}",
        "event_id": f"e{number}",
        "order_side": "BUY" if units > 0 else "SELL",
        "last_qty": str(Decimal(abs(units)) / 1000),
        "commission": "0.00012345 USDT",
        "ts_event": (number // same) * 1_000_000,
    }


def written(fills: list[Fill]) -> list[tuple[int, list[Fill]]]:
    """Return what Redis has after each write of the engine, and which fill was being written."""
    states: list[tuple[int, list[Fill]]] = [(0, [])]
    held: list[Fill] = []
    for number, each in enumerate(fills):
        net = sum((units(one) for one in held), Decimal(0))
        if not net:
            held = [each]
        elif net * units(each) < 0 and abs(units(each)) > abs(net):
            held = [*held, _part(each, abs(net))]
            states.append((number, held))
            held = [_part(each, abs(units(each)) - abs(net))]
        else:
            held = [*held, each]
        states.append((number + 1, held))
    return states


def units(each: Fill) -> Decimal:
    return Decimal(each["last_qty"]) * (1 if each["order_side"] == "BUY" else -1)


def text_of(each: Fill) -> Fill:
    """Return a fill as Redis has it: times as text."""
    return each | {"ts_event": f"1970-01-01T00:00:00.{each['ts_event']:09}Z"}


amounts = st.integers(-5, 5).filter(bool)


@given(st.lists(amounts, min_size=1, max_size=12), st.integers(1, 3), st.data())
def test_a_position_has_all_its_fills(sizes: list[int], same: int, data: st.DataObject) -> None:
    fills = [fill(number, size, same) for number, size in enumerate(sizes)]
    states = written(fills)
    whole, there = data.draw(st.sampled_from(states))
    since = data.draw(st.integers(0, whole))
    if since and since < len(fills):  # the journal's window does not begin in mid-moment
        since -= since % same
    found = _position([text_of(each) for each in there], fills[since:])
    expected = states[-1][1]
    assert [(e["trade_id"], Decimal(e["last_qty"])) for e in found] == [
        (e["trade_id"], Decimal(e["last_qty"])) for e in expected
    ]


@given(st.integers(0, 5), st.integers(0, 5))
def test_an_order_has_all_its_events(there: int, since: int) -> None:
    kinds = ["Initialized", "Submitted", "Accepted", "Filled", "Filled"]
    events = [{"type": f"Order{kind}", "event_id": str(n)} for n, kind in enumerate(kinds)]
    since = min(since, there)
    if events[since:]:
        assert events[:there] + _missing(events[:there], events[since:]) == events


def test_an_order_that_was_refused_before_it_left_is_not_written() -> None:
    assert _missing([], [{"type": "OrderDenied", "event_id": "1"}]) == []


def test_an_order_without_a_second_event_may_have_left() -> None:
    born = {
        "type": "OrderInitialized", "trader_id": "T-1", "strategy_id": "S-1",
        "instrument_id": "BTCUSDT-LINEAR.BYBIT", "client_order_id": "O-1", "ts_event": 1,
        "ts_init": 1, "event_id": "e1", "emulation_trigger": None,
    }  # fmt: skip
    (event,) = _may_have_left([born], ["OKX-001", "BYBIT-001"])
    assert (event["type"], event["account_id"]) == ("OrderSubmitted", "BYBIT-001")
    assert (event["client_order_id"], event["ts_event"]) == ("O-1", 1)
    assert not _may_have_left([born, event], ["BYBIT-001"])
    assert not _may_have_left([born], ["OKX-001"])
    assert not _may_have_left([born | {"emulation_trigger": "BID_ASK"}], ["BYBIT-001"])
