"""Limits before and after orders, escalation, and the switch that ends everything."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import live_study
from tests.live.test_nodes import SLOW, kinds, wait_for
from workbench import live
from workbench.core.errors import InputError
from workbench.core.journal import Journal, read
from workbench.core.project import Project
from workbench.engine.live.guard import Guard
from workbench.engine.live.limits import Limits
from workbench.engine.live.observe import Recorder
from workbench.engine.live.watch import Watchman
from workbench.study import Risk

Launch = Callable[..., live.Node]


def denials(node: live.Node) -> list[str]:
    return [entry["reason"] for entry in node.events() if entry["type"] == "risk.denied"]


def fills(node: live.Node) -> int:
    return sum(entry["type"] == "order.filled" for entry in node.events())


@pytest.mark.parametrize(
    ("risk", "reason"),
    [
        ({"max_position": {"AAPL.XNAS": 500}}, "max_position: AAPL.XNAS could reach -1000 units"),
        ({"max_notional_per_order": "4000 USD"}, "max_notional_per_order: 4543"),
        ({"max_gross_exposure": "4000 USD"}, "max_gross_exposure: it would be 4543"),
        ({"max_net_exposure": "4000 USD"}, "max_net_exposure: it would be 4543"),
        ({"max_notional_per_order": "4000 EUR"}, "AAPL.XNAS is not quoted in EUR"),
    ],
)
def test_an_order_beyond_a_limit_does_not_leave(
    project: Project, launch: Launch, risk: dict[str, Any], reason: str
) -> None:
    node = launch(live_study(project, risk=risk))
    wait_for(node, "feed.ended")
    assert reason in denials(node)[0]
    assert fills(node) == 0
    denied = [entry for entry in node.events() if entry["type"] == "order.denied"]
    assert len(denied) == len(denials(node)), "the strategy is told of each"


def test_the_rate_and_the_same_order_twice(project: Project, launch: Launch) -> None:
    risk = {"max_orders": "10/60s", "duplicate_window": "60s"}
    node = launch(live_study(project, risk=risk))
    wait_for(node, "feed.ended")
    assert fills(node) <= 10
    assert any("duplicate_window: the same order" in each for each in denials(node))
    shown = live.risk.show(node)
    assert shown["used"]["max_orders"] <= 10
    assert shown["limits"]["max_orders"] == "10/60s"


def test_a_loss_escalates_as_the_policy_says(project: Project, launch: Launch) -> None:
    risk = {"max_drawdown": "0.001%", "on_breach": ["alert", "flatten", "halt"]}
    node = launch(live_study(project, risk=risk, speed=86_400 * 400))
    alert = wait_for(node, "alert.raised")
    assert alert["limit"] == "max_drawdown"
    wait_for(node, "risk.halted")
    wait_for(node, "risk.flat")
    status = node.status()
    assert status["positions"] == status["orders"] == []
    before = fills(node)
    time.sleep(1)
    assert fills(node) == before, "a halted strategy sends nothing"
    shown = live.risk.show(node)
    assert shown["state"] == "halted"
    assert "max_drawdown" in shown["reason"]
    assert live.risk.acknowledge(node, 1, who="ann")["acknowledged"] == "ann"
    # Nor does a restart make it forget.
    os.kill(node.state()["pid"], signal.SIGKILL)
    node.wait(("RESTARTING",), 5)
    node.wait(("RUNNING",), 20)
    assert live.risk.show(node)["state"] == "halted"


def test_limits_are_changed_while_it_runs(project: Project, launch: Launch, workbench) -> None:
    node = launch(live_study(project, speed=SLOW))
    shown = live.risk.set_limit(node, "max_position", {"AAPL.XNAS": 10}, who="ann")
    assert shown["limits"]["max_position"] == {"AAPL.XNAS": "10"}
    with pytest.raises(InputError, match="Did you mean 'max_orders'"):
        live.risk.set_limit(node, "max_order", "3/1s")
    with pytest.raises(InputError, match="10%"):
        live.risk.set_limit(node, "max_drawdown", "ten")
    entry = [each for each in node.events() if each["type"] == "risk.limits"][-1]
    assert (entry["who"], entry["limit"], entry["before"]) == ("ann", "max_position", {})
    answer = workbench("risk", "halt", node.id, "--reason", "lunch", "--json")
    assert answer.json["state"] == "halted"
    assert "lunch" in workbench("risk", "show", node.id).out
    assert workbench("risk", "resume", node.id, "--json").json["state"] == "active"
    answer = workbench("risk", "set", node.id, "max_daily_loss", "much")
    assert answer.code == 2
    assert "1000 USD" in answer.err or "USD" in answer.err
    assert workbench("risk", "set", node.id, "max_orders", "5/1s", "--json").code == 0


def test_a_new_launch_has_the_limits_of_its_study(project: Project, launch: Launch) -> None:
    study = live_study(project, risk={"max_drawdown": "30%"}, speed=86_400 * 400)
    node = launch(study, back_off=0.1)
    live.risk.set_limit(node, "max_drawdown", "0.001%", who="ann")
    wait_for(node, "alert.raised")
    os.kill(node.state()["pid"], signal.SIGKILL)
    node.wait(("RESTARTING",), 5)
    node.wait(("RUNNING",), 20)
    assert live.risk.show(node)["limits"]["max_drawdown"] == "0.001%"
    live.risk.halt(node, "lunch", who="ann")
    node.kill()
    assert launch(study) == node
    shown = live.risk.show(node)
    assert shown["limits"]["max_drawdown"] == "30%"
    assert shown["alerts"] == []
    assert shown["used"]["max_drawdown"] == {"USD": "0.00%"}, "halted: the new account is whole"
    assert (shown["state"], shown["reason"]) == ("halted", "lunch")


class Account:
    """Equity that is what a test says."""

    def __init__(self, journal: Journal) -> None:
        self.value, self._recorder = "1000", Recorder(journal)

    def watched(self, launch: str, environment: str) -> Watchman:
        self._recorder.note("lifecycle.starting", launch=launch, environment=environment)
        market: Any = None
        return Watchman(
            Guard(Limits(Risk(max_drawdown="30%"), market), self._recorder),
            equity=lambda: {"USD": Decimal(self.value)},
            feeds=list,
            flatten=print,
            past=read(self._recorder.journal.path),
            simulated=environment == "sandbox",
        )


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with Journal(tmp_path / "journal.jsonl", timeout=1.0) as journal:
        yield Account(journal)


@pytest.mark.parametrize(
    ("launch", "environment", "used"),
    [
        ("one", "testnet", "10.00%"),
        ("two", "testnet", "10.00%"),
        ("two", "live", "0.00%"),
        ("two", "sandbox", "0.00%"),
    ],
)
def test_marks_go_on_with_their_account(
    account: Account, launch: str, environment: str, used: str
) -> None:
    first = account.watched("one", "testnet")
    first.look()
    first.set_limit("max_drawdown", "1%", "ann")
    account.value = "900"
    again = account.watched(launch, environment)
    again.look()
    assert again.used()["max_drawdown"] == {"USD": used}
    assert [each.limit for each in again.alerts] == ["max_drawdown"][: launch == "one"]


def test_what_is_used_includes_the_present_equity(account: Account) -> None:
    watched = account.watched("one", "testnet")
    watched.look()
    account.value = "1005"  # between two looks
    assert watched.used()["max_drawdown"] == {"USD": "0.00%"}
    account.value = "904.5"
    assert watched.used()["max_drawdown"] == {"USD": "10.00%"}


def test_a_silent_feed_and_a_silent_watcher_are_noticed(project: Project, launch: Launch) -> None:
    risk = {"stale_feed": "1s", "dead_man": "3s", "on_breach": ["alert", "reduce_only"]}
    node = launch(live_study(project, risk=risk, speed=86_400 / 60))  # a bar a minute
    late = time.monotonic() + 15
    found: set[str] = set()
    while found != {"stale_feed", "dead_man"} and time.monotonic() < late:
        found = {alert["limit"] for alert in live.risk.show(node)["alerts"]}
        time.sleep(0.2)
    assert found == {"stale_feed", "dead_man"}
    assert live.risk.show(node)["state"] == "reduce_only"
    live.risk.alive(node)
    wait_for(node, "risk.recovered")


def test_the_kill_switch_ends_all_within_two_seconds(project: Project, launch: Launch) -> None:
    running = [
        launch(live_study(project, speed=86_400 * 60, trader=f"TRADER-{n}"), name=f"node-{n}")
        for n in range(3)
    ]
    for node in running:
        wait_for(node, "order.filled", 30)
    os.kill(running[1].state()["pid"], signal.SIGSTOP)
    began = time.monotonic()
    found = live.risk.kill_switch(project, "drill", who="ann")
    assert time.monotonic() - began < 2
    assert [found[node.id]["result"] for node in running] == ["flat", "killed", "flat"]
    assert "as they were" in found["node-1"]["detail"]
    assert not running[1].running
    for node in (running[0], running[2]):
        assert node.status()["positions"] == []
        assert live.risk.show(node)["state"] == "halted"
        assert "risk.halted" in kinds(node, "risk")
