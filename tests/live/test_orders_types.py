"""Every type of order on every kind of prices: placed, triggered and filled as it should be."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.market import INSTRUMENTS, Desk, end, make_project

TOMORROW = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()

UP, DOWN = "1.1010", "1.0990"  # passed on the way up and on the way down


def _limit(**more: Any) -> dict[str, Any]:
    return {"type": "LIMIT", "price": DOWN} | more


def _trailing(kind: str = "MARKET", **more: Any) -> dict[str, Any]:
    usual = {"side": "SELL", "type": f"TRAILING_STOP_{kind}", "trailing_offset": "0.0005"}
    return usual | more


AT_ONCE: dict[str, dict[str, Any]] = {
    "market": {},
    "market-ioc": {"time_in_force": "IOC"},
    "market-fok": {"time_in_force": "FOK"},
    "market-day": {"time_in_force": "DAY"},
    "market-to-limit": {"type": "MARKET_TO_LIMIT"},
    "limit-through": _limit(price=UP),
    "limit-ioc": _limit(price=UP, time_in_force="IOC"),
    "limit-fok": _limit(price=UP, time_in_force="FOK"),
}

# The order; the row of the cycle at which it is filled with bars, quotes and trades. A quote's bid
# and ask lie half a unit beside the price, and a trade must go through a limit: a touch comes late.
LATER: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "limit": (_limit(), (39, 40, 40)),
    "limit-day": (_limit(time_in_force="DAY"), (39, 40, 40)),
    "limit-gtd": (_limit(time_in_force="GTD", expire_time=TOMORROW), (39, 40, 40)),
    "limit-post-only": (_limit(post_only=True), (39, 40, 40)),
    "limit-display": (_limit(display_quantity=100), (39, 40, 40)),
    "stop-market": ({"type": "STOP_MARKET", "trigger_price": UP}, (14, 14, 14)),
    "stop-market-sell": (
        {"side": "SELL", "type": "STOP_MARKET", "trigger_price": DOWN},
        (39, 39, 40),
    ),
    "stop-limit": (
        {"type": "STOP_LIMIT", "trigger_price": UP, "price": "1.1015"},
        (14, 14, 14),
    ),
    "stop-limit-rests": (
        {"type": "STOP_LIMIT", "trigger_price": UP, "price": "1.1006"},
        (31, 32, 32),
    ),
    "market-if-touched": (
        {"type": "MARKET_IF_TOUCHED", "trigger_price": DOWN},
        (39, 40, 40),
    ),
    "limit-if-touched": (
        {"side": "SELL", "type": "LIMIT_IF_TOUCHED", "trigger_price": UP, "price": "1.1008"},
        (14, 15, 14),
    ),
    "trailing-stop-market": (_trailing(), (27, 27, 27)),
    "trailing-in-ticks": (
        _trailing(trailing_offset=50, trailing_offset_type="TICKS"),
        (27, 27, 27),
    ),
    "trailing-stop-limit": (_trailing("LIMIT", limit_offset="0.0010"), (27, 27, 27)),
}
KINDS = ("bars", "quotes", "trades")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk.launch(make_project(tmp_path_factory.mktemp("types") / "project"), *KINDS)
    yield desk
    end(desk.node)


def test_every_type_is_filled_where_it_should_be(desk: Desk) -> None:
    for kind in KINDS:
        for name, order in AT_ONCE.items():
            answer = desk.submit(**order, instrument=INSTRUMENTS[kind])
            assert answer["status"] == "filled", (kind, name, answer)
            assert float(answer["average_price"]) == pytest.approx(1.1, abs=0.0001)
    due = {}
    for index, kind in enumerate(KINDS):
        for name, (order, rows) in LATER.items():
            answer = desk.submit(
                **order, instrument=INSTRUMENTS[kind], client_order_id=f"{kind}-{name}"
            )
            assert answer["status"] == "accepted", (kind, name, answer)
            due[answer["client_order_id"]] = rows[index]
    for row in sorted(set(due.values())):
        desk.to(row)
        orders = desk.orders()
        early = {name for name in due if orders[name]["status"] == "filled"}
        assert early == {name for name in due if due[name] < row}, f"before row {row}"
        desk.step()
    orders = desk.orders()
    assert {name: orders[name]["status"] for name in due} == dict.fromkeys(due, "filled")
    assert desk.alive()
    desk.clear()


def test_trailing_stops_side_by_side_do_not_abort_the_sandbox(desk: Desk) -> None:
    desk.to(3)
    sent = {}
    for kind in KINDS:
        orders = [
            _trailing(trigger_price="1.0995"),
            _trailing(trigger_price="1.0990", trailing_offset="0.0010"),
            _trailing(),
            _trailing(activation_price="1.1010"),
            _trailing("LIMIT", limit_offset="0.0010", trigger_price="1.0990"),
            _limit(),
        ]
        answers = [desk.submit(**order, instrument=INSTRUMENTS[kind]) for order in orders]
        # What would rest in the sandbox without trailing yet is kept by the node instead.
        kept = "accepted" if kind == "bars" else "emulated"
        assert [each["status"] for each in answers] == [
            kept, kept, "accepted", kept, kept, "accepted",
        ]  # fmt: skip
        sent[kind] = [each["client_order_id"] for each in answers]
    desk.to(15)
    for kind in KINDS:  # another order has the sandbox look at its prices once more
        desk.submit(instrument=INSTRUMENTS[kind])
    desk.to(34)
    orders = desk.orders()
    for kind in KINDS:
        assert [orders[name]["status"] for name in sent[kind][:4]] == ["filled"] * 4, kind
    assert desk.alive()
    desk.clear()


def test_orders_kept_by_the_node_need_quotes_or_trades(desk: Desk) -> None:
    desk.to(3)
    sent = []
    for kind, trigger in (("quotes", "BID_ASK"), ("trades", "LAST_PRICE")):
        for order in (
            {"type": "STOP_MARKET", "trigger_price": UP},
            _limit(),
            _trailing(),
            _trailing("LIMIT", limit_offset="0.0010"),
        ):
            answer = desk.submit(**order, emulation_trigger=trigger, instrument=INSTRUMENTS[kind])
            assert answer["status"] == "emulated", answer
            sent.append(answer["client_order_id"])
    for trigger, what in (("BID_ASK", "quotes"), ("LAST_PRICE", "trades")):
        # Nothing would ever trigger it.
        reason = desk.refused(**_limit(), emulation_trigger=trigger, instrument=INSTRUMENTS["bars"])
        assert reason == (f"emulation_trigger: there are no {what} of AUD/USD.SIM to trigger it")
    desk.to(48)
    orders = desk.orders()
    assert [orders[name]["status"] for name in sent] == ["filled"] * len(sent)
    desk.clear()


def test_the_last_price_triggers_where_there_is_one(desk: Desk) -> None:
    desk.to(3)
    stop = {"type": "STOP_MARKET", "trigger_price": UP, "trigger_type": "LAST_PRICE"}
    anywhere = [
        desk.submit(**stop | {"trigger_type": "BID_ASK"}, instrument=INSTRUMENTS[kind])
        for kind in KINDS
    ]
    sent = [
        desk.submit(**stop, instrument=INSTRUMENTS[kind])["client_order_id"]
        for kind in ("trades", "bars")
    ]
    assert "no last price would ever trigger it. BID_ASK does" in desk.refused(
        **stop, instrument=INSTRUMENTS["quotes"]
    )
    desk.to(16)
    orders = desk.orders()
    assert [orders[name]["status"] for name in sent] == ["filled"] * 2
    assert [orders[each["client_order_id"]]["status"] for each in anywhere] == ["filled"] * 3
    desk.clear()
