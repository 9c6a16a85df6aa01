"""Orders over crashes and restarts: none twice, none forgotten without a word."""

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.live.market import Desk, end, make_project, market_study
from workbench import live
from workbench.core.errors import WorkbenchError
from workbench.core.journal import Journal
from workbench.engine.live.order_ticket import parse

pytestmark = pytest.mark.slow


def crash(node: live.Node) -> None:
    """Kill the engine and wait for the next one."""
    pid = node.state()["pid"]
    os.kill(pid, signal.SIGKILL)
    late = time.monotonic() + 20
    while node.state()["pid"] in (None, pid) or node.state()["state"] != "RUNNING":
        assert time.monotonic() < late, node.state()
        time.sleep(0.02)


def test_an_intent_without_a_trace_is_told_and_never_sent(tmp_path: Path) -> None:
    """The journal of a node that died between writing the intent down and sending the order."""
    project = make_project(tmp_path / "project")
    desk = Desk.launch(project, "quotes")
    try:
        desk.submit(type="LIMIT", price="1.0900", client_order_id="before")
        desk.node.stop()
        order = desk.order(client_order_id="torn")
        ticket = parse(order)
        with Journal(desk.node.folder / "journal.jsonl") as journal:
            journal.append(
                "order.intended",
                {"ticket": ticket.to_dict(), "ticket_id": "torn", "orders": {"torn": "1000"}},
            )
        desk = Desk.launch(project, "quotes")
        (told,) = [each for each in desk.node.events() if each["type"] == "order.untraced"]
        assert told["client_order_id"] == "torn"
        answer = desk.submit(**order)
        assert (answer["status"], answer["filled"]) == ("unknown", "0")
        assert "another client_order_id" in answer["reason"]
        # The sandbox begins anew: what rested there is gone, and not placed again either.
        again = desk.submit(type="LIMIT", price="1.0900", client_order_id="before")
        assert again["status"] == "lost"
        assert "began anew" in again["reason"]
        assert desk.held() == {}
        assert {name: each["status"] for name, each in desk.orders().items()} == {
            "torn": "unknown", "before": "lost",
        }  # fmt: skip
        desk.node.stop()
        for ask in (desk.submit, lambda: live.orders.cancel(desk.node, "before")):
            with pytest.raises(WorkbenchError, match="does not run: it is STOPPED"):
                ask()
    finally:
        end(desk.node)


def test_killed_at_random_no_order_is_sent_twice(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = 20 if pytestconfig.getoption("--drills") else 2
    project = make_project(tmp_path / "project")
    node = live.launch(
        market_study(project, "quotes", risk={"max_orders": "10000/1s"}), project,
        max_restarts=1000, back_off=0.0,
    )  # fmt: skip
    order = Desk(node, ("quotes",)).order(type="LIMIT", price="1.0500")
    sent: list[str] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            name = f"k{len(sent)}"
            sent.append(name)
            late = time.monotonic() + 30
            while time.monotonic() < late:  # until it is answered, however often that takes
                try:
                    live.orders.submit(node, order | {"client_order_id": name}, wait=0)
                    break
                except WorkbenchError:
                    time.sleep(0.005)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        for _ in range(kills):
            time.sleep(random.uniform(0.2, 0.6))
            crash(node)
        over.set()
        sender.join()
        entries = list(node.events())
        intended = Counter(
            name for each in entries if each["type"] == "order.intended" for name in each["orders"]
        )
        started = Counter(
            each["data"]["client_order_id"]
            for each in entries
            if each["type"] == "order.initialized"
        )
        untraced = {each["client_order_id"] for each in entries if each["type"] == "order.untraced"}
        assert set(intended) == set(sent)
        assert set(intended.values()) == {1}
        assert not started.keys() - intended.keys()
        assert set(started.values()) == {1}
        # Whatever was intended was sent or is told.
        assert intended.keys() - started.keys() == untraced
        states = {
            each["client_order_id"]: each["status"] for each in live.orders.list_(node, closed=True)
        }
        assert set(states) == set(sent)
        assert set(states.values()) <= {"accepted", "submitted", "lost", "unknown"}
    finally:
        over.set()
        end(node)
