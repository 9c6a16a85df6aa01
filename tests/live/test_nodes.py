"""A node's life: launched, watched, stopped, killed, crashed, found again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psutil
import pytest

from tests.live.conftest import live_study
from workbench import backtest, live, study
from workbench.core.errors import InputError, StudyError, WorkbenchError
from workbench.core.project import Project

SLOW = 86_400 * 5  # five daily bars a second

Launch = Callable[..., live.Node]


def kinds(node: live.Node, group: str) -> list[str]:
    return [entry["type"] for entry in node.events() if entry["type"].startswith(group)]


def wait_for(node: live.Node, kind: str, timeout: float = 20) -> dict[str, Any]:
    late = time.monotonic() + timeout
    while time.monotonic() < late:
        for entry in node.events():
            if entry["type"] == kind:
                return entry
        time.sleep(0.05)
    raise AssertionError(f"no {kind} within {timeout} s")


def test_a_replay_at_full_speed_decides_as_the_backtest_does(
    project: Project, launch: Launch
) -> None:
    node = launch()
    wait_for(node, "feed.ended")
    live_orders = [e["data"] for e in node.events() if e["type"] == "order.filled"]
    run = backtest.run(live_study(project), project=project)
    fills = run.fills()
    assert len(live_orders) == len(fills) == 45
    for mine, theirs in zip(live_orders, fills.to_dict("records"), strict=True):
        assert mine["order_side"] == theirs["side"]
        assert float(mine["last_qty"]) == float(theirs["quantity"])
        assert float(mine["last_px"]) == float(theirs["price"])
    status = node.status()
    assert status["feeds"][0]["ended"] is True
    assert status["orders_total"] == 45
    profit = Decimal(run.pnl["USD"])
    assert Decimal(status["equity"]["USD"]) == Decimal(500_000) + profit


def test_a_stopped_node_leaves_a_whole_journal(launch: Launch) -> None:
    node = launch()
    assert node.state()["state"] == "RUNNING"
    known = node.stop("enough")
    assert (known["state"], known["reason"]) == ("STOPPED", "enough")
    assert kinds(node, "lifecycle") == [
        "lifecycle.starting", "lifecycle.running", "lifecycle.stopping", "lifecycle.stopped",
    ]  # fmt: skip
    assert not psutil.pid_exists(known["pid"] or -1)
    with pytest.raises(WorkbenchError, match="does not run: it is STOPPED"):
        node.ask("ping")


def test_a_killed_engine_is_seen_within_a_second_and_started_again(
    project: Project, launch: Launch
) -> None:
    node = launch(live_study(project, speed=SLOW))
    first = node.state()["pid"]
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    known = node.wait(("RESTARTING",), 5)
    assert time.monotonic() - began < 1
    assert "SIGKILL" in known["reason"]
    known = node.wait(("RUNNING",), 20)
    assert known["restarts"] == 1
    assert known["pid"] != first
    assert kinds(node, "lifecycle").count("lifecycle.crashed") == 1
    assert node.ask("ping") == "pong"


def test_a_hanging_node_can_be_killed(project: Project, launch: Launch) -> None:
    node = launch(live_study(project, speed=SLOW))
    os.kill(node.state()["pid"], signal.SIGSTOP)
    began = time.monotonic()
    assert node.kill()["state"] == "KILLED"
    assert time.monotonic() - began < 2
    assert not node.running


def test_one_node_for_each_trader(project: Project, launch: Launch) -> None:
    launch(live_study(project, speed=SLOW))
    with pytest.raises(WorkbenchError, match="trader WORKBENCH-001 is run by another node"):
        launch(live_study(project, speed=SLOW), name="second")
    with pytest.raises(WorkbenchError, match="runs already"):
        launch(live_study(project, speed=SLOW))
    other = launch(live_study(project, speed=SLOW, trader="OTHER-001"), name="second")
    assert other.state()["state"] == "RUNNING"


def test_a_node_outlives_its_launcher_and_is_found_again(
    project: Project, launch: Launch, workbench
) -> None:
    path = project.root / "studies" / "live.json"
    path.write_text(json.dumps(live_study(project, speed=SLOW).written()))
    answer = workbench("node", "launch", "studies/live.json", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["state"] == "RUNNING"
    (node,) = live.nodes(project)
    assert node.status()["pid"] == answer.json["pid"]
    listed = workbench("node", "list", "--json").json["nodes"]
    assert [(each["node_id"], each["state"]) for each in listed] == [("ema-cross", "RUNNING")]
    assert workbench("node", "stop", "ema-cross", "--json").json["state"] == "STOPPED"
    assert workbench("node", "status", "ema-cross", "--json").json["state"] == "STOPPED"
    assert workbench("node", "events", "ema-cross", "--json").json["events"]
    answer = workbench("node", "kill", "ema-crss")
    assert answer.code == 2
    assert "Did you mean 'ema-cross'" in answer.err


def test_a_lost_supervisor_stops_the_engine_and_is_seen(project: Project, launch: Launch) -> None:
    node = launch(live_study(project, speed=SLOW))
    os.kill(node.state()["supervisor"], signal.SIGKILL)
    known = node.wait(("LOST",), 20)
    assert known["reason"] == "its supervisor is gone"
    assert kinds(node, "lifecycle")[-1] == "lifecycle.stopped"
    assert launch(live_study(project, speed=SLOW)).state()["state"] == "RUNNING"


def test_a_strategy_that_raises_ends_the_node_with_its_traceback(
    project: Project, launch: Launch
) -> None:
    (project.root / "strategies" / "raiser.py").write_text(
        "from nautilus_trader.trading import Strategy\n"
        "class Raiser(Strategy):\n"
        "    def on_start(self):\n"
        "        raise ValueError('not today')\n"
    )
    document = live_study(project, strategy={"path": "strategies/raiser.py:Raiser"})
    with pytest.raises(WorkbenchError, match="not today"):
        launch(document)
    (node,) = live.nodes(project)
    assert node.state()["state"] == "FAILED"
    assert "raiser.py" in node.state()["reason"]


def test_what_cannot_go_live_is_refused_before_anything_starts(
    project: Project, launch: Launch
) -> None:
    with pytest.raises(StudyError, match="how the study goes live"):
        launch(study.load(project.root / "studies" / "ema-cross.yaml"))
    with pytest.raises(StudyError, match="unknown parameter"):
        launch(live_study(project).with_params(fastt=3))
    assert live.nodes(project) == []


def test_commands_that_make_no_sense_are_answered(project: Project, launch: Launch) -> None:
    node = launch(live_study(project, speed=SLOW))
    with pytest.raises(InputError, match="Did you mean 'status'"):
        node.ask("statsu")
    with pytest.raises(WorkbenchError, match="at most"):
        node.ask("ping", text="x" * (10 << 20))
    assert node.ask("ping") == "pong"


def test_events_reach_a_subscriber_in_another_process(project: Project, launch: Launch) -> None:
    code = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from workbench import live\n"
        "from workbench.core.project import Project\n"
        "for event in live.EngineEventBus(Project(Path(sys.argv[1]))).subscribe('now'):\n"
        "    print(json.dumps(event), flush=True)\n"
        "    if event['type'] == 'feed.ended':\n"
        "        break\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(project.root)], stdout=subprocess.PIPE, text=True
    )
    node = launch()
    out, _ = process.communicate(timeout=30)
    seen = [json.loads(line) for line in out.splitlines()]
    there = [entry for entry in node.events() if entry["seq"] <= seen[-1]["seq"]]
    assert [each["seq"] for each in seen] == [each["seq"] for each in there]
    assert {each["node"] for each in seen} == {"ema-cross"}
    bus = live.EngineEventBus(project)
    fills = bus.replay(0, types=["order.filled"])
    assert len(fills) == 45
    later = bus.replay({"ema-cross": fills[20]["seq"]}, types=["order.filled"])
    assert later == fills[21:]
