"""Orders by hand: answers, refusals, changes, cancels, previews, repeats, floods."""

import datetime as dt
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.market import INSTRUMENTS, Desk, end, make_project
from workbench import live
from workbench.core.errors import InputError, WorkbenchError

EURUSD = INSTRUMENTS["quotes"]
# Rests with an order of its own at 1.0900.
STRATEGY = """
from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.trading import Strategy

class Idle(Strategy):
    def on_start(self):
        self.subscribe_quotes(InstrumentId.from_str("EUR/USD.SIM"))
        self.sent = False

    def on_quote(self, quote):
        if not self.sent:
            self.sent = True
            self.submit_order(
                self.order_factory.limit(
                    quote.instrument_id, OrderSide.BUY, Quantity.from_str("5000"),
                    Price.from_str("1.09000"),
                )
            )
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    project = make_project(tmp_path_factory.mktemp("orders") / "project", STRATEGY)
    desk = Desk.launch(project, "quotes", risk={"max_orders": "5000/1s"})
    yield desk
    end(desk.node)


def test_an_order_is_answered_with_what_became_of_it(desk: Desk) -> None:
    answer = desk.submit(client_order_id="first")
    assert answer["client_order_id"] == "first"
    assert (answer["status"], answer["reason"], answer["filled"]) == ("filled", None, "1000")
    assert answer["average_price"] == "1.10005"
    assert "paused" in answer["warnings"][0]
    answer = desk.submit(type="LIMIT", price="1.0990")
    assert (answer["status"], answer["average_price"]) == ("accepted", None)
    assert len(answer["client_order_id"]) == 22
    answer = desk.submit(type="LIMIT", price="1.1100", time_in_force="FOK", quantity=1_200_000)
    assert answer["status"] == "canceled"
    intended = [each for each in desk.node.events() if each["type"] == "order.intended"]
    assert intended[0]["ticket"]["legs"][0]["id"] == "first"
    assert intended[0]["who"]
    desk.clear()


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"quantity": "ten"}, "quantity: the value is a number, found 'ten'"),
        ({"quantity": -5}, "quantity: must be above 0, found -5"),
        ({"quantity": 0}, "quantity: must be above 0, found 0"),
        ({"quantity": float("nan")}, "quantity: the value is a number, found nan"),
        ({"quantity": float("inf")}, "quantity: the value is a number, found inf"),
        ({"quantity": True}, "quantity: the value is a number, found true"),
        ({"quantity": None}, "quantity: the value is a number, found nothing"),
        ({"quantity": "1e300"}, "quantity: the value is at most 17014118346045"),
        ({"quantity": 10**400}, "quantity: the value is a number, found 1000"),
        ({"quantity": "9" * 1000}, "quantity: the value is a number, found '999"),
        ({"quantity": 0.5}, "quantity: EUR/USD.SIM has quantities of no decimals, found 0.5"),
        ({"quantity": 10**8}, "quantity: needs 330015.00 USD of initial margin, free are"),
        ({"instrument": "EUR/USDD.SIM"}, "Did you mean 'EUR/USD.SIM'?"),
        ({"instrument": "eurusd"}, "instrument: an instrument id is SYMBOL.VENUE"),
        ({"instrument": 5}, "instrument: an instrument id is SYMBOL.VENUE"),
        ({"side": "HOLD"}, "side: unknown side 'HOLD'. Allowed: BUY, SELL"),
        (
            {"type": "LIMITT", "price": 1},
            "type: unknown order type 'LIMITT'. Did you mean 'LIMIT'?",
        ),
        ({"type": "LIMIT"}, "price: is missing: a LIMIT order has one"),
        ({"price": "1.1"}, "price: a MARKET order has none"),
        ({"type": "LIMIT", "price": "1.123456"}, "price: EUR/USD.SIM has prices of at most 5"),
        ({"type": "LIMIT", "price": -1}, "price: of EUR/USD.SIM is above 0, found -1"),
        ({"type": "LIMIT", "price": 0}, "price: of EUR/USD.SIM is above 0, found 0"),
        ({"type": "LIMIT", "price": "x"}, "price: a price is a number, found 'x'"),
        ({"time_in_force": "GTD"}, "time_in_force: a MARKET order is filled at once"),
        ({"time_in_force": "AT_THE_OPEN"}, "time_in_force: the sandbox has no AT_THE_OPEN"),
        (
            {"type": "LIMIT", "price": 1, "time_in_force": "GTD"},
            "expire_time: is missing: GTD stands until then",
        ),
        (
            {"type": "LIMIT", "price": 1, "time_in_force": "GTD", "expire_time": "2020-01-01"},
            "expire_time: has passed: 2020-01-01",
        ),
        (
            {"type": "LIMIT", "price": "1.2", "post_only": True},
            "post_only: a BUY at 1.2 would take at once: the market is 1.10005",
        ),
        (
            {"type": "STOP_MARKET", "trigger_price": "1.09"},
            "trigger_price: of a BUY stop is above the market at 1.10005, found 1.09",
        ),
        (
            {"side": "SELL", "type": "STOP_LIMIT", "trigger_price": "1.2", "price": "1.2"},
            "trigger_price: of a SELL stop is below the market at 1.09995, found 1.2",
        ),
        (
            {"type": "MARKET_IF_TOUCHED", "trigger_price": "1.2"},
            "trigger_price: of a BUY MARKET_IF_TOUCHED is below the market at 1.10005",
        ),
        (
            {"type": "STOP_MARKET", "trigger_price": "1.2", "trigger_type": "MARK_PRICE"},
            "trigger_type: the sandbox has no MARK_PRICE triggers. It has: BID_ASK, LAST_PRICE",
        ),
        (
            {
                "type": "TRAILING_STOP_MARKET",
                "trailing_offset": 1,
                "trailing_offset_type": "PRICE_TIER",
            },
            "trailing_offset_type: unknown type of offset 'PRICE_TIER'",
        ),
        (
            {"type": "TRAILING_STOP_MARKET", "trailing_offset": 5, "side": "SELL"},
            "trailing_offset: is less than the price, 1.09995, found 5",
        ),
        (
            {
                "type": "TRAILING_STOP_MARKET",
                "trailing_offset": 10**12,
                "trailing_offset_type": "TICKS",
            },
            "trailing_offset: is less than the price, 1.10005, found 10000000",
        ),
        (
            {"quantity": 17014118346045},
            "quantity: at 1.10005 is worth more than can be counted",
        ),
        (
            {"type": "LIMIT", "side": "SELL", "price": "17014118346045"},
            "quantity: at 17014118346045 is worth more than can be counted",
        ),
        ({"colour": "red"}, "colour: unknown key 'colour'"),
        ({"client_order_id": ""}, "client_order_id: an order's id is 1 to 36 letters"),
        ({"client_order_id": "a b"}, "client_order_id: an order's id is 1 to 36 letters"),
        ({"tags": ["x" * 101]}, "tags.0: a tag is 1 to 100 printable characters"),
        ({"reduce_only": "yes"}, "reduce_only: is true or false, found 'yes'"),
        ({"reduce_only": True}, "reduce_only: the desk has no short position of EUR/USD.SIM"),
        ({"position_id": "P-1"}, "position_id: positions of EUR/USD.SIM are netted"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    desk: Desk, order: dict[str, Any], reason: str
) -> None:
    assert reason in desk.refused(**order)
    assert [each["strategy"] for each in live.orders.list_(desk.node)] == ["Idle-000"]


def test_groups_are_refused_where_they_are_wrong(desk: Desk) -> None:
    buy = desk.order(type="LIMIT", price="1.09")
    entry = desk.order()
    for request, reason in (
        ({"contingency": "OCO", "orders": [buy]}, "orders: needs at least two orders"),
        ({"contingency": "OXO", "orders": [buy, buy]}, "contingency: unknown contingency 'OXO'"),
        ({"contingency": "OCO", "orders": [buy, buy | {"quantity": "x"}]}, "orders.1.quantity"),
        ({"contingency": "OCO", "orders": [buy, entry]}, "orders.1.type: is filled at once"),
        (
            {"contingency": "OUO", "orders": [buy, buy | {"quantity": 5}]},
            "orders.1.quantity: of an OUO group are equal",
        ),
        ({"contingency": "OCO", "orders": [buy] * 11}, "orders: has too many entries"),
        ({"bracket": {"entry": entry}}, "bracket: has neither take_profit nor stop_loss"),
        (
            {"bracket": {"entry": entry, "stop_loss": {"trigger_price": "1.2"}}},
            "bracket.stop_loss.trigger_price: is below the entry at 1.10005, found 1.2",
        ),
        (
            {"bracket": {"entry": entry, "take_profit": {"price": "1.0"}}},
            "bracket.take_profit.price: is above the entry at 1.10005, found 1",
        ),
        (
            {"bracket": {"entry": entry, "stop_loss": {"trigger_prise": "1.2"}}},
            "bracket.stop_loss.trigger_prise: unknown key 'trigger_prise'. Did you mean",
        ),
        ({"bracket": 5}, "bracket: is a group of keys, found 5"),
    ):
        with pytest.raises(InputError) as caught:
            desk.ask(**request)
        assert reason in str(caught.value), request
    assert len(live.orders.list_(desk.node)) == 1


def test_a_repeated_command_places_no_second_order(desk: Desk) -> None:
    order = {"type": "LIMIT", "price": "1.0990", "client_order_id": "once"}
    first = desk.submit(**order)
    again = desk.submit(**order)
    assert again["status"] == "accepted"
    assert again["warnings"] == ["asked for again: nothing more was placed"]
    assert "is the id of another order" in desk.refused(**order | {"quantity": 2000})
    assert [first["client_order_id"]] == [
        each["client_order_id"]
        for each in live.orders.list_(desk.node, strategy="DESK-DESK")
    ]  # fmt: skip
    live.orders.cancel(desk.node, "once")
    assert desk.submit(**order)["status"] == "canceled"
    theirs = live.orders.list_(desk.node, strategy="Idle-000")[0]["client_order_id"]
    assert "is the id of an order that is there already" in desk.refused(client_order_id=theirs)


def test_orders_are_changed_also_those_of_a_strategy(desk: Desk) -> None:
    desk.submit(type="LIMIT", price="1.0990", client_order_id="mine")
    answer = live.orders.modify(desk.node, "mine", quantity=1500, price="1.0980")
    assert (answer["changed"], answer["status"], answer["quantity"]) == (True, "accepted", "1500")
    assert desk.orders()["mine"]["price"] == "1.09800"
    theirs = live.orders.list_(desk.node, strategy="Idle-000")[0]["client_order_id"]
    assert live.orders.modify(desk.node, theirs, quantity="4000")["changed"] is True
    assert desk.orders()[theirs]["quantity"] == "4000"
    for change, reason in (
        ({"quantity": "ten"}, "quantity: the value is a number"),
        ({"quantity": 0.5}, "quantity: EUR/USD.SIM has quantities of no decimals"),
        ({"trigger_price": "1.2"}, "trigger_price: a LIMIT order has none"),
        ({"price": "1.0980"}, "nothing would change"),
        ({}, "say what to change: quantity, price, trigger_price"),
    ):
        with pytest.raises(InputError, match=reason):
            live.orders.modify(desk.node, "mine", **change)
    with pytest.raises(InputError, match="Did you mean 'mine'"):
        live.orders.modify(desk.node, "minr", quantity=5)
    live.risk.halt(desk.node, "a test")
    refused = live.orders.modify(desk.node, "mine", quantity=2000)
    live.risk.resume(desk.node)
    assert (refused["changed"], refused["quantity"]) == (False, "1500")
    assert "a test" in refused["reason"]
    assert live.orders.cancel(desk.node, "mine")["status"] == "canceled"
    with pytest.raises(InputError, match="'mine' is canceled: it can no longer be changed"):
        live.orders.modify(desk.node, "mine", quantity=5)


def test_all_orders_are_cancelled_or_some(desk: Desk) -> None:
    for number, side in enumerate(("BUY", "BUY", "SELL")):
        price = "1.0950" if side == "BUY" else "1.1050"
        desk.submit(type="LIMIT", side=side, price=price, client_order_id=f"all{number}")
    answer = live.orders.cancel_all(desk.node, side="sell")
    assert (answer["cancelled"], answer["orders"][0]["client_order_id"]) == (1, "all2")
    for key, value in (("instrument", "X.Y"), ("side", "UP"), ("strategy", "DESK-DESC")):
        with pytest.raises(InputError, match=f"{key}: the node knows no '{value}'"):
            live.orders.cancel_all(desk.node, **{key: value})
    assert live.orders.cancel_all(desk.node, strategy="DESK-DESK")["cancelled"] == 2
    assert [each["strategy"] for each in live.orders.list_(desk.node)] == ["Idle-000"]
    again = live.orders.cancel(desk.node, "all0")
    assert again["status"] == "canceled"
    with pytest.raises(InputError, match="the node has no order 'nobody'"):
        live.orders.cancel(desk.node, "nobody")


def test_an_order_stands_until_its_time(desk: Desk) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)
    desk.submit(
        type="LIMIT", price="1.0990", time_in_force="GTD", expire_time=soon, client_order_id="gtd"
    )
    late = time.monotonic() + 5
    while desk.status("gtd") == "accepted" and time.monotonic() < late:
        time.sleep(0.02)
    assert desk.status("gtd") == "canceled"


def test_limits_of_risk_deny_orders_of_the_desk(desk: Desk) -> None:
    live.risk.set_limit(desk.node, "max_notional_per_order", "500 USD")
    answer = desk.submit()
    live.risk.set_limit(desk.node, "max_notional_per_order", None)
    assert answer["status"] == "denied"
    assert "max_notional_per_order: 1100.00 USD is more than 500" in answer["reason"]


def test_a_preview_sends_nothing(desk: Desk) -> None:
    before = len(list(desk.node.events()))
    answer = live.orders.preview(
        desk.node,
        {
            "bracket": {
                "entry": desk.order(quantity=10_000),
                "take_profit": {"price": "1.11"},
                "stop_loss": {"type": "TRAILING_STOP_MARKET", "trailing_offset": "0.001"},
            }
        },
    )
    entry, target, stop = answer["orders"]
    assert entry["estimate"] == {
        "price": "1.10005", "notional": "11000.50 USD", "fees": "2.20 USD", "margin": "33.00 USD",
    }  # fmt: skip
    assert (target["type"], target["waits"], target["estimate"]["fees"]) == (
        "LIMIT", True, "1.11 USD",
    )  # fmt: skip
    assert (stop["type"], stop["trigger_type"]) == ("TRAILING_STOP_MARKET", "BID_ASK")
    with pytest.raises(InputError, match="quantity: the value is a number"):
        live.orders.preview(desk.node, desk.order(quantity="ten"))
    orders = [each for each in list(desk.node.events())[before:] if "order." in each["type"]]
    assert orders == []


def test_a_command_of_ten_megabytes_is_refused(desk: Desk) -> None:
    with pytest.raises(WorkbenchError, match="at most"):
        desk.submit(tags=["x" * (10 << 20)])
    nested: Any = 1
    for _ in range(900):
        nested = [nested]
    assert "unknown key 'deep'" in desk.refused(deep=nested)
    assert desk.submit()["status"] == "filled"
    desk.clear()


def test_a_thousand_commands_in_a_second(desk: Desk) -> None:
    """Each is answered; what is accepted is there once; nothing else is."""
    path = desk.node.state()["socket"]
    answers: list[dict[str, Any]] = []

    def send(worker: int) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
            stream = line.makefile("rwb")
            for number in range(100):
                # Every second order is asked for twice.
                name = f"flood{worker}x{number // 2}"
                order = desk.order(type="LIMIT", price="1.0500", client_order_id=name)
                request = {"op": "order_submit", "order": order, "wait": 0}
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()
                answers.append(json.loads(stream.readline()))

    workers = [threading.Thread(target=send, args=(each,)) for each in range(10)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    slowest = 0.0
    while any(worker.is_alive() for worker in workers):
        asked = time.monotonic()
        assert desk.node.ask("ping") == "pong"
        slowest = max(slowest, time.monotonic() - asked)
    taken = time.monotonic() - began
    print(f"1,000 commands in {taken:.2f} s, slowest ping {slowest:.3f} s")
    assert len(answers) == 1000
    assert all(answer["ok"] for answer in answers)
    assert slowest < 5
    orders = [each for each in desk.orders() if each.startswith("flood")]
    assert len(orders) == len(set(orders)) == 500
    initialized = Counter(
        each["data"]["client_order_id"]
        for each in desk.node.events()
        if each["type"] == "order.initialized"
    )
    assert {initialized[name] for name in orders} == {1}
    answer = live.orders.cancel_all(desk.node, strategy="DESK-DESK", wait=10)
    assert answer["cancelled"] == 500


def test_the_command_line(desk: Desk, workbench: Any, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        root = desk.node.project.root
        return workbench("order", *arguments, cwd=root)

    name = desk.node.id
    answer = run("submit", name, "buy", "1000", EURUSD, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["status"] == "filled"
    answer = run(
        "submit", name, "sell", "1000", EURUSD, "--type", "limit", "--price", "1.2", "--id", "cli1",
        "--tag", "mine", "--post-only",
    )  # fmt: skip
    assert "cli1 is accepted" in answer.out, answer.err
    assert desk.orders()["cli1"]["tags"] == ["mine"]
    answer = run("submit", name, "buy", "ten", EURUSD, "--json")
    assert answer.code == 2
    assert (answer.json["status"], answer.json["errors"][0]["path"]) == ("refused", "quantity")
    assert "the value is a number" in answer.err
    assert run("modify", name, "cli1", "--price", "1.3", "--json").json["changed"] is True
    listed = run("list", name, "--strategy", "DESK-DESK", "--json").json["orders"]
    assert [(each["client_order_id"], each["price"]) for each in listed] == [("cli1", "1.30000")]
    assert "1.30000" in run("list", name).out
    assert run("cancel", name, "cli1", "--json").json["status"] == "canceled"
    file = tmp_path / "bracket.json"
    request = {
        "bracket": {"entry": desk.order(), "stop_loss": {"trigger_price": "1.05"}},
        "client_order_id": "cli2",
    }
    file.write_text(json.dumps(request))
    answer = run("submit", name, str(file), "--dry-run")
    assert "MARKET BUY 1000 EUR/USD.SIM GTC" in answer.out
    assert "nothing was sent" in answer.out
    answer = run("submit", name, str(file), "--json")
    assert [each["status"] for each in answer.json["orders"]] == ["filled", "accepted"]
    answer = run("cancel-all", name, "--strategy", "DESK-DESK")
    assert "cli2SL is canceled" in answer.out
    assert run("submit", name, "no-such.json").code == 2
    assert run("submit", "nobody", "buy", "1", EURUSD).code == 2
    desk.clear()
