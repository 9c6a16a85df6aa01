"""From a finished backtest to the practice venue and back, in one call."""

import signal
import subprocess
import sys
from typing import Any

import psutil
import pytest

from tests.live.conftest import live_study
from workbench import backtest, live, venue
from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.core.progress import Progress
from workbench.core.project import Project
from workbench.venue import announce

RISK = {"max_notional_per_order": "2_000_000 USD", "max_drawdown": "50%"}


def test_a_run_is_rehearsed_and_leaves_nothing_open(project: Project, workbench: Any) -> None:
    run = backtest.run(live_study(project, risk=RISK), project=project)
    flips: list[live.Promotion] = []
    events: list[dict[str, Any]] = []
    told: list[Progress] = []

    def flipped(promotion: live.Promotion) -> None:
        flips.append(promotion)
        with pytest.raises(WorkbenchError, match="'ema-cross-rehearsal' runs already"):
            live.rehearse(run, seconds=1)

    # A venue of one's own is found again afterwards.
    with venue.start(symbols=["BTCUSDT:price=30000"], project=project) as mine:
        found = live.rehearse(
            run, seconds=5, on_flip=flipped, on_event=events.append, on_progress=told.append
        )
        assert announce.find(project).url == mine.url
    assert flips[0].open
    assert found.flat
    assert (found.bars_from, found.bars_to) == ("2011-02-15", "2013-03-01")
    filled = [each["data"] for each in events if each["type"] == "order.filled"]
    assert found.fills == len(filled) >= 10
    assert found.orders >= 10
    held = sum(
        float(each["last_qty"]) * (1 if each["order_side"] == "BUY" else -1) for each in filled
    )
    assert held == 0
    assert found.equity_start == 500_000
    assert found.equity_end != found.equity_start
    node = live.node(found.node_id, project)
    assert node.state()["state"] == "STOPPED"
    table = live.history.fills(node)
    assert list(table["client_order_id"]) == [each["client_order_id"] for each in filled]
    assert table["ts"].is_monotonic_increasing
    assert live.history.picture(node)
    assert_told(told)

    answer = workbench("node", "rehearse", run.id, "--seconds", "3", "--json")
    assert (answer.code, answer.json["flat"]) == (0, True)
    assert "Trading (" in answer.err
    logs = workbench("node", "logs", found.node_id, "--lines", "2")
    assert (logs.code, 1 <= len(logs.out.splitlines()) <= 4) == (0, True)


@pytest.mark.parametrize("at", ["Looking at the gates", "Launching the node", "Trading"])
def test_cancelled_it_leaves_nothing_running(project: Project, at: str) -> None:
    run = backtest.run(live_study(project, risk=RISK), project=project)
    reached = False

    def seen(progress: Progress) -> None:
        nonlocal reached
        # At "Launching the node" the wish comes while the launch waits for it.
        reached = progress.task == at and (progress.fraction > 0 or not progress.total)

    with pytest.raises(Cancelled, match="cancelled"):
        live.rehearse(run, seconds=60, on_progress=seen, should_stop=lambda: reached)
    assert_nothing_runs(project)
    if at == "Launching the node":  # it can be rehearsed again at once
        assert live.rehearse(run, seconds=1).flat


def test_ctrl_c_leaves_nothing_running(project: Project) -> None:
    run = backtest.run(live_study(project, risk=RISK), project=project)
    for state in ("STARTING", "RUNNING"):
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "node", "rehearse", run.id, "--seconds", "30"],
            cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        node = live.Node(project, f"{run.name}-rehearsal")
        node.wait((state,), 60)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert len(started) >= 2
        assert_nothing_runs(project, started)


def test_seconds_that_are_none_are_refused(project: Project, workbench: Any) -> None:
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="seconds: from 0"):
            live.rehearse("latest", project, seconds=wrong)
    answer = workbench("node", "rehearse", "latest", "--seconds", "0")
    assert (answer.code, "seconds" in answer.err) == (2, True)


def assert_told(told: list[Progress]) -> None:
    assert list(dict.fromkeys(each.task for each in told)) == [
        "Starting a practice venue",
        "Looking at the gates",
        "Launching the node",
        "Trading",
        "Closing what is open",
    ]
    gates = [each.fraction for each in told if each.task == "Looking at the gates"]
    assert gates == [n / 7 for n in range(8)]
    trading = [each.fraction for each in told if each.task == "Trading"]
    assert trading == sorted(trading)
    assert told[-1].detail.endswith("fills")


def assert_nothing_runs(project: Project, started: list[psutil.Process] | None = None) -> None:
    """Neither node nor venue, nor any process of theirs, outlives its rehearsal."""
    assert [node.id for node in live.nodes(project) if node.running] == []
    with pytest.raises(WorkbenchError):
        announce.find(project)
    own = psutil.Process().children(recursive=True) if started is None else started
    theirs = [process for process in own if _serves_live(process)]
    assert psutil.wait_procs(theirs, timeout=10)[1] == []


def _serves_live(process: psutil.Process) -> bool:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return False
    return any(f"workbench.{name}" in words for name in ("venue", "live", "engine.live"))
