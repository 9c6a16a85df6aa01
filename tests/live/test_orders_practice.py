"""Orders by hand through NautilusTrader's real Bybit clients, on the practice venue."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import make_project
from tests.live.practice import (
    INSTRUMENT,
    Practice,
    agree,
    practice_study,
    practising,
    until,
)
from workbench import live
from workbench.core.errors import InputError
from workbench.core.journal import Journal
from workbench.live import redis_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    project = make_project(tmp_path_factory.mktemp("practice") / "project")
    with practising(project) as found:
        live.launch(practice_study(project), project, back_off=0.1)
        yield found
        for node in live.nodes(project):
            if node.running:
                node.kill()


@pytest.fixture
def node(practice: Practice) -> live.Node:
    """Return the node with nothing open, the market at 30,000."""
    found = live.Node(practice.project, "practice")
    practice.quote("29999.9", "30000.1")
    live.orders.cancel_all(found, wait=5)
    until(lambda: not practice.open_orders(), "its orders are cancelled")
    held = practice.position()
    if held:
        submit(found, side="SELL" if held > 0 else "BUY", quantity=abs(held), reduce_only=True)
    agree(found, practice)
    return found


def make(**order: Any) -> dict[str, Any]:
    return {"instrument": INSTRUMENT, "side": "BUY", "quantity": "0.010"} | order


def submit(node: live.Node, **order: Any) -> dict[str, Any]:
    return live.orders.submit(node, make(**order), wait=5)


def status(node: live.Node, name: str) -> str:
    found = {each["client_order_id"]: each for each in live.orders.list_(node, closed=True)}
    return str(found[name]["status"]) if name in found else "none"


def becomes(node: live.Node, name: str, wanted: str) -> None:
    until(lambda: status(node, name) == wanted, f"{name} is {wanted}, not {status(node, name)}")


def test_every_type_bybit_has(practice: Practice, node: live.Node) -> None:
    assert submit(node)["status"] == "filled"
    orders = {
        "stop": make(type="STOP_MARKET", trigger_price="30100"),
        "stoplimit": make(type="STOP_LIMIT", trigger_price="30100", price="30150"),
        "limit": make(side="SELL", type="LIMIT", price="30100", post_only=True),
        "touched": make(side="SELL", type="MARKET_IF_TOUCHED", trigger_price="30100"),
        "touchedlimit": make(
            side="SELL", type="LIMIT_IF_TOUCHED", trigger_price="30100", price="30090"
        ),
        "trailing": make(
            side="SELL", type="TRAILING_STOP_MARKET", trailing_offset="50",
            emulation_trigger="BID_ASK",
        ),
    }  # fmt: skip
    for name, order in orders.items():
        found = live.orders.submit(node, order | {"client_order_id": name}, wait=5)
        assert found["status"] == ("emulated" if name == "trailing" else "accepted"), found
    practice.venue.price("BTCUSDT", last="30120")
    practice.quote("30120", "30120.1")
    for name in set(orders) - {"trailing"}:
        becomes(node, name, "filled")
    practice.quote("30060", "30060.1")
    becomes(node, "trailing", "filled")
    agree(node, practice)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"type": "LIMIT", "price": "29000", "time_in_force": "DAY"}, "has no DAY. It has: GTC"),
        (
            {
                "type": "LIMIT", "price": "29000", "time_in_force": "GTD",
                "expire_time": "2100-01-01",
            },
            "has no GTD",
        ),
        (
            {"type": "TRAILING_STOP_MARKET", "trailing_offset": 50, "side": "SELL"},
            "Bybit (linear) has no TRAILING_STOP_MARKET orders. With emulation_trigger the node",
        ),
        ({"type": "MARKET_TO_LIMIT"}, "Bybit (linear) has no MARKET_TO_LIMIT orders"),
        (
            {"type": "STOP_MARKET", "trigger_price": "31000", "trigger_type": "BID_ASK"},
            "has no BID_ASK triggers. It has: LAST_PRICE, MARK_PRICE, INDEX_PRICE",
        ),
        (
            {"type": "LIMIT", "price": "29000", "display_quantity": "0.001"},
            "Bybit (linear) shows whole orders",
        ),
        ({"quantity": "0.0001"}, "has quantities of at most 3 decimals"),
        ({"type": "LIMIT", "price": "29000.05"}, "has prices of at most 1 decimal"),
        ({"quantity": "1000"}, "needs"),
    ],
)  # fmt: skip
def test_what_bybit_would_refuse_or_change_is_refused_first(
    practice: Practice, node: live.Node, order: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        submit(node, **order)
    assert reason in str(caught.value)
    assert practice.open_orders() == {}


def test_a_bracket_whose_exits_the_desk_keeps(practice: Practice, node: live.Node) -> None:
    request = {
        "client_order_id": "brk",
        "bracket": {
            "entry": make(type="LIMIT", price="29900"),
            "take_profit": {"price": "30500"},
            "stop_loss": {"trigger_price": "29500"},
        },
    }
    found = live.orders.submit(node, request, wait=5)
    assert [each["status"] for each in found["orders"]] == ["accepted", "held", "held"]
    practice.quote("29899", "29899.1")
    becomes(node, "brkTP", "accepted")
    becomes(node, "brkSL", "accepted")
    agree(node, practice)
    practice.quote("30500.1", "30500.2")
    becomes(node, "brkTP", "filled")
    becomes(node, "brkSL", "canceled")
    agree(node, practice)
    assert practice.position() == 0


def test_one_cancels_the_other(practice: Practice, node: live.Node) -> None:
    buy = make(type="LIMIT", price="29900")
    orders = [buy, buy | {"side": "SELL", "price": "30100"}]
    live.orders.submit(
        node, {"contingency": "OCO", "orders": orders, "client_order_id": "oco"}, wait=5
    )
    practice.quote("30100.1", "30100.2")
    becomes(node, "ocoB", "filled")
    becomes(node, "ocoA", "canceled")
    agree(node, practice)


def test_an_order_is_changed(practice: Practice, node: live.Node) -> None:
    submit(node, type="LIMIT", price="29000", client_order_id="chg")
    found = live.orders.modify(node, "chg", quantity="0.020", price="29100", wait=5)
    assert found["changed"] is True
    assert practice.open_orders()["chg"] == ("BUY", "0.02", "0", "29100")


def bracket() -> dict[str, Any]:
    return {
        "client_order_id": "kill",
        "bracket": {
            "entry": make(type="LIMIT", price="29900"),
            "take_profit": {"price": "30500"},
            "stop_loss": {"trigger_price": "29500"},
        },
    }


def crash(node: live.Node) -> None:
    """Kill the engine and wait for the next one."""
    pid = node.state()["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: node.state()["pid"] not in (None, pid), "it is started again", 20)
    node.wait(("RUNNING",), 30)


def test_exits_are_sent_though_the_node_was_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Without a memory of its own: the venue gives the entry back, and the journal the exits."""
    project = make_project(tmp_path_factory.mktemp("killed") / "project")
    with practising(project) as practice:
        node = live.launch(practice_study(project), project, back_off=0.0)
        try:
            live.orders.submit(node, bracket(), wait=5)
            crash(node)
            again = live.orders.submit(node, bracket())
            assert [each["status"] for each in again["orders"]] == ["accepted", "held", "held"]
            practice.quote("29899", "29899.1")
            becomes(node, "killTP", "accepted")
            becomes(node, "killSL", "accepted")
            practice.quote("29400", "29400.1")
            practice.venue.price("BTCUSDT", last="29400")
            becomes(node, "killSL", "filled")
            becomes(node, "killTP", "canceled")
            assert practice.position() == 0
            assert set(practice.fills()) == {"kill", "killSL"}
        finally:
            node.kill()


@pytest.mark.redis
def test_exits_are_sent_though_the_entry_was_filled_while_the_node_was_down(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = make_project(tmp_path_factory.mktemp("down") / "project")
    with practising(project) as practice:
        study = practice_study(project, "redis")
        node = live.launch(study, project)
        try:
            live.orders.submit(node, bracket(), wait=5)
            node.kill()
            practice.quote("29899", "29899.1")
            until(lambda: practice.position(), "the entry is filled")
            # As if it had died having written down that it sends the exits.
            with Journal(node.folder / "journal.jsonl", timeout=5) as journal:
                exits = {"killTP": "0.010", "killSL": "0.010"}
                journal.append("order.intended", {"ticket_id": "kill", "orders": exits})
            live.launch(study, project)
            becomes(node, "killTP", "accepted")
            becomes(node, "killSL", "accepted")
            agree(node, practice)
            told = [each for each in node.events() if each["type"] == "order.untraced"]
            assert [each["client_order_id"] for each in told] == ["killTP", "killSL"]
        finally:
            node.kill()
            redis_server.stop(project)
