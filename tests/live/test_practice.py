"""NautilusTrader's real Bybit clients on the practice venue, and all that goes wrong on the way.

After each fault the node's orders, fills and positions are the venue's.
"""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import make_project
from tests.live.practice import (
    Practice,
    agree,
    events,
    heard,
    practice_study,
    practising,
    until,
)
from workbench import live

pytestmark = pytest.mark.slow

RISK = {"stale_feed": "2s"}


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    project = make_project(tmp_path_factory.mktemp("practice") / "project")
    with practising(project) as found:
        yield found
        for node in live.nodes(project):
            if node.running:
                node.kill()


@pytest.fixture
def node(practice: Practice) -> live.Node:
    """Return the module's node as it is between tests: in agreement, no order open."""
    found = live.Node(practice.project, "practice")
    if not found.running:
        live.launch(practice_study(practice.project, risk=RISK), practice.project, back_off=0.1)
    practice.venue.clear_faults()
    practice.quote("29999.9", "30000.1")
    for name in practice.open_orders():
        practice.order("cancel", name)
    until(lambda: not practice.open_orders(), "its orders are cancelled")
    until(lambda: not found.ask("ledger")["disconnected"], "it is connected", 30)
    agree(found, practice)
    return found


def trade(practice: Practice) -> None:
    """Have orders placed, filled at once and by a price that moves, changed and cancelled."""
    practice.buy()
    resting = practice.buy("0.010", "29000.0")
    changed = practice.sell("0.012", "31500.0")
    ended = practice.buy("0.010", "28000.0")
    time.sleep(0.15)
    practice.order("modify", changed, price="31400.0")
    practice.order("cancel", ended)
    practice.quote("28990.0", "28990.2")  # `resting` fills
    time.sleep(0.15)
    practice.sell("0.005")
    assert resting
    time.sleep(0.15)


def test_an_order_s_life(practice: Practice, node: live.Node) -> None:
    at_once = practice.buy()
    fill = heard(node, "order.filled", at_once)["data"]
    assert (fill["last_px"], fill["last_qty"]) == ("30000.1", "0.010")
    resting = practice.buy("0.010", "29500.0")
    heard(node, "order.accepted", resting)
    assert list(practice.open_orders()) == [resting]
    practice.order("modify", resting, price="29600.0")
    heard(node, "order.updated", resting)
    practice.quote("29590.0", "29590.2")
    assert heard(node, "order.filled", resting)["data"]["last_px"] == "29600.0"
    left = practice.sell("0.010", "31000.0")
    heard(node, "order.accepted", left)
    practice.order("cancel", left)
    heard(node, "order.canceled", left)
    agree(node, practice)
    assert not practice.open_orders()


@pytest.mark.parametrize(
    "faults",
    [
        ["duplicate:where=private,times=50"],
        ["reorder:where=private,times=6"],
        ["duplicate:where=private,times=9", "reorder:where=private,times=9"],
        ["slow:where=trade,times=3,seconds=1.5"],
        ["reject:times=2"],
        ["reject:times=2,late=true"],
        ["partial:times=4,share=0.4"],
        ["rate_limit:where=trade,times=2"],
        ["rate_limit:where=rest,times=5", "drop:where=private"],
        ["too_many:times=3,seconds=1", "drop:where=private"],
        ["http:times=3,status=502", "drop:where=trade"],
        ["clock:seconds=30"],
        ["clock:seconds=-30"],
        ["silence:where=private,seconds=3"],
        ["silence:where=trade,seconds=3"],
        ["silence:where=private,seconds=2", "drop:where=trade"],
        ["drop:where=private"],
        ["drop:where=trade"],
        ["drop:where=all"],
    ],
    ids=lambda faults: "+".join(faults),
)
def test_after_a_fault_both_agree(practice: Practice, node: live.Node, faults: list[str]) -> None:
    for fault in faults:
        practice.venue.fault(fault)
    trade(practice)
    if not any("silence" in fault for fault in faults):  # the others trouble this test's client too
        practice.venue.clear_faults()
    agree(node, practice, 40)
    practice.venue.clear_faults()
    heard(node, "order.filled", practice.buy())
    agree(node, practice)
    assert node.state()["restarts"] == 0


def test_a_fill_nobody_told_is_found_after_the_reconnection(
    practice: Practice, node: live.Node
) -> None:
    resting = practice.buy("0.010", "29000.0")
    since = heard(node, "order.accepted", resting)["seq"]
    practice.venue.fault("drop:where=private")
    practice.quote("28990.0", "28990.2")
    fill = heard(node, "order.filled", resting)["data"]
    assert fill["reconciliation"] is True
    for kind in ("feed.disconnected", "feed.reconnected"):
        late = time.monotonic() + 20  # the log is read now and then
        told: list[str] = []
        while "BYBIT bybit-user-streams" not in told and time.monotonic() < late:
            told = [each["connection"] for each in node.events(since) if each["type"] == kind]
            time.sleep(0.1)
        assert "BYBIT bybit-user-streams" in told
    agree(node, practice)


def test_an_order_the_venue_does_not_answer_is_not_taken_for_dead(
    practice: Practice, node: live.Node
) -> None:
    practice.venue.fault("silence:where=private,seconds=9")
    practice.venue.fault("silence:where=trade,seconds=9")
    practice.venue.fault("http:path=/v5/order/realtime,times=1000")
    waiting = practice.buy("0.010", "29000.0")
    heard(node, "order.submitted", waiting)
    time.sleep(7)  # the engine has begun to ask
    assert node.ask("ledger")["unanswered"] == [waiting]
    practice.venue.clear_faults()
    heard(node, "order.accepted", waiting, timeout=25)
    assert not events(node, "order.rejected", waiting)
    agree(node, practice)


def test_the_venue_is_killed_and_comes_back(practice: Practice, node: live.Node) -> None:
    resting = practice.buy("0.010", "29000.0")
    heard(node, "order.accepted", resting)
    sent: list[str] = []

    def down() -> None:
        sent.append(practice.buy())
        until(lambda: node.ask("ledger")["disconnected"], "the node sees it")

    practice.restart(down)
    until(lambda: not node.ask("ledger")["disconnected"], "the node is connected again", 30)
    practice.quote("28990.0", "28990.2")
    heard(node, "order.filled", resting)
    agree(node, practice, 40)
    heard(node, "order.filled", practice.sell())
    agree(node, practice)
    assert node.state()["restarts"] == 0


def test_a_silent_feed_is_noticed(practice: Practice, node: live.Node) -> None:
    name = "quotes BTCUSDT-LINEAR.BYBIT"
    until(lambda: node.status()["feeds"][0]["age_s"] < 1.5, "the feed is heard")
    since = max(each["seq"] for each in node.events())

    def told(kind: str) -> list[dict[str, Any]]:
        entries = node.events(since)
        return [e for e in entries if e["type"] == kind and name in e.get("message", e.get("of"))]

    practice.venue.fault("silence:where=public,seconds=4")
    alert = until(lambda: told("alert.raised"), "an alert")[0]
    assert alert["limit"] == "stale_feed"
    assert f"{name} is silent for" in alert["message"]
    until(lambda: told("risk.recovered"), "the feed is back")
    feeds = {each["name"]: each for each in node.status()["feeds"]}
    assert feeds["quotes BTCUSDT-LINEAR.BYBIT"]["rows"] > 0


def test_without_redis_a_killed_node_learns_all_from_the_venue(
    practice: Practice, node: live.Node
) -> None:
    filled, resting = practice.buy(), practice.buy("0.010", "29000.0")
    heard(node, "order.filled", filled)
    heard(node, "order.accepted", resting)
    before = node.state()["restarts"]
    os.kill(node.state()["pid"], signal.SIGKILL)
    until(lambda: node.state()["restarts"] > before, "it is started again")
    node.wait(("RUNNING",), 30)
    agree(node, practice)
    restored = events(node, "memory.restored")[-1]
    assert resting in restored["orders"]
