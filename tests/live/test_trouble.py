"""What goes wrong around a node: memory, disk, keys, files, two at once."""

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import live_study
from tests.live.practice import INSTRUMENT, SYMBOL, practice_study, practising
from tests.live.test_nodes import SLOW, wait_for
from workbench import live, venue
from workbench.core.errors import DataError, InputError, WorkbenchError
from workbench.core.project import Project
from workbench.venue import announce

Launch = Callable[..., live.Node]

HUNGRY = '''"""Takes all memory there is once a file says so."""

import datetime as dt
from pathlib import Path

from nautilus_trader.trading import Strategy


class Hungry(Strategy):
    def on_start(self):
        self.clock.set_timer("eat", dt.timedelta(milliseconds=50), callback=self.eat)

    def eat(self, _):
        if Path("eat").exists():
            self.eaten = bytearray(1 << 40)
'''


def pid_of(node: live.Node) -> int:
    pid: int = node.state()["pid"]
    return pid


def test_a_strategy_that_takes_all_memory(project: Project, launch: Launch) -> None:
    (project.root / "strategies" / "hungry.py").write_text(HUNGRY)
    node = launch(live_study(project, speed=SLOW, strategy={"path": "strategies/hungry.py:Hungry"}))
    # As a cgroup or a container does, but told to this process only.
    resource.prlimit(pid_of(node), resource.RLIMIT_AS, (8 << 30, 8 << 30))
    (project.root / "eat").touch()
    assert node.wait(("FAILED",), 20)["reason"].splitlines()[-1].startswith("MemoryError")


def test_a_node_killed_for_its_memory_is_started_again(project: Project, launch: Launch) -> None:
    node = launch(live_study(project, speed=SLOW), back_off=0.0)
    first = pid_of(node)
    os.kill(first, signal.SIGKILL)  # what the system's killer does
    wait_for(node, "lifecycle.crashed")
    crash = next(each for each in node.events() if each["type"] == "lifecycle.crashed")
    assert "died of SIGKILL: killed, or out of memory" in crash["reason"]
    node.wait(("RUNNING",), 20)


def test_a_disk_that_is_full_stops_trading_and_loses_nothing(
    project: Project, launch: Launch
) -> None:
    with practising(project) as practice:
        node = live.launch(practice_study(project), project, max_restarts=0)
        order = {"instrument": INSTRUMENT, "side": "BUY", "quantity": "0.01"}
        assert live.orders.submit(node, order)["status"] == "filled"
        journal = node.folder / "journal.jsonl"
        size = journal.stat().st_size
        resource.prlimit(pid_of(node), resource.RLIMIT_FSIZE, (size, -1))
        with pytest.raises(WorkbenchError) as caught:
            live.orders.submit(node, order)
        assert "could not be written" in str(caught.value)
        # What was not written down was not sent.
        assert practice.venue.status()["positions"] == {"BTCUSDT": "0.01"}
        list(node.events())  # whole
        resource.prlimit(pid_of(node), resource.RLIMIT_FSIZE, (-1, -1))
        assert live.risk.show(node)["state"] in ("active", "halted")
        node.kill()


def test_a_damaged_journal_is_named_and_nothing_starts(project: Project, launch: Launch) -> None:
    node = launch(live_study(project, speed=SLOW))
    node.stop()
    journal = node.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"', b"'", 1)
    journal.write_bytes(b"".join(lines))
    with pytest.raises(WorkbenchError, match=r"journal\.jsonl:2: the journal is damaged here"):
        launch(live_study(project, speed=SLOW))
    assert journal.read_bytes().startswith(b"".join(lines))
    with pytest.raises(DataError, match=":2: the journal is damaged"):
        list(node.events())


def test_two_launches_at_once(project: Project, launch: Launch) -> None:
    study = live_study(project, speed=SLOW)

    def attempt(name: str) -> str:
        try:
            return launch(study, name=name).state()["state"]
        except WorkbenchError as error:
            return str(error)

    for names in (("same", "same"), ("one", "other")):
        with ThreadPoolExecutor(2) as pool:
            results = sorted(pool.map(attempt, names))
        assert results.count("RUNNING") == 1, results
        assert any("already" in each for each in results), results
        for node in live.nodes(project):
            if node.running:
                node.kill()


def test_a_study_changed_while_it_runs_changes_nothing(project: Project, launch: Launch) -> None:
    from workbench import study as documents

    path = project.root / "studies" / "live.json"
    path.write_text(json.dumps(live_study(project, speed=SLOW).written()))
    node = launch(documents.load(path))
    path.write_text("{")
    os.kill(pid_of(node), signal.SIGKILL)
    node.wait(("RESTARTING",), 10)
    node.wait(("RUNNING",), 20)
    assert json.loads((node.folder / "study.json").read_text())["study"] == "ema-cross"


def test_keys_the_venue_does_not_know(project: Project) -> None:
    with venue.start(symbols=[SYMBOL], project=project):
        path = project.gateway / announce.FILE
        known = json.loads(path.read_text())
        path.write_text(json.dumps(known | {"secret": "practice-other"}))
        began = time.monotonic()
        with pytest.raises(WorkbenchError) as caught:
            live.launch(practice_study(project), project)
    message = str(caught.value)
    assert "did not start" in message
    assert "practice-other" not in message
    assert known["key"] not in message
    assert "error sign" in message.lower(), message
    assert time.monotonic() - began < 15


def test_a_venue_that_is_down(project: Project) -> None:
    with venue.start(symbols=[SYMBOL], project=project):
        path = project.gateway / announce.FILE
        known = json.loads(path.read_text())
        path.write_text(json.dumps(known | {"url": "http://127.0.0.1:9"}))
        began = time.monotonic()
        with pytest.raises(WorkbenchError, match="did not start"):
            live.launch(practice_study(project), project)
        assert time.monotonic() - began < 75


def test_an_instrument_the_feed_does_not_have(project: Project) -> None:
    spec: dict[str, Any] = {
        "provider": "bybit", "instrument": "NONEUSDT-LINEAR.BYBIT", "ticks": "trades",
        "start": "2024-01-01", "end": "2024-01-02",
    }  # fmt: skip
    expected = pytest.raises(WorkbenchError, match=r"does not list it\. Listed: BTC")
    with practising(project), expected:
        live.launch(practice_study(project, data=[spec]), project)
    assert not list(Path(project.gateway / "nodes").glob("*"))


@pytest.mark.parametrize("name", ["../away", "a/b", ".", "x" * 101, "a b"])
def test_a_name_that_is_none(project: Project, launch: Launch, name: str) -> None:
    with pytest.raises(InputError, match="is no name"):
        launch(live_study(project), name=name)
    assert not (project.gateway / "nodes").exists()
