"""What a node knows again after a stop, after ``kill -9``, and what it says of the rest."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.live.conftest import live_study
from tests.live.practice import (
    OBEY,
    Practice,
    agree,
    events,
    heard,
    practice_study,
    practising,
    until,
)
from tests.live.test_nodes import wait_for
from workbench import live
from workbench.core.errors import DependencyError, InputError, StudyError, WorkbenchError
from workbench.core.project import Project
from workbench.live import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.redis]

STATE = """
    def on_save(self):
        return {"noted": Path("noted").read_bytes()}

    def on_load(self, state):
        Path("loaded").write_bytes(bytes(state["noted"]))
"""


@contextmanager
def redis(folder: Path, *settings: str) -> Iterator[int]:
    """Run a Redis server of the test's own on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *settings],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: _listens(port), "Redis listens")
        yield port
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def practice(project: Project) -> Iterator[Practice]:
    with practising(project) as found:
        yield found
        for node in live.nodes(project):
            if node.running:
                node.kill()
        redis_server.stop(project)


def launched(project: Project) -> live.Node:
    study = practice_study(project, "redis", strategy={"path": "strategies/keeper.py:Obey"})
    (project.root / "strategies" / "keeper.py").write_text(OBEY + STATE)
    return live.launch(study, project, back_off=0.1)


def test_orders_positions_and_state_are_there_again(project: Project, practice: Practice) -> None:
    noted, loaded = project.root / "noted", project.root / "loaded"
    noted.write_text("one")
    node = launched(project)
    assert not loaded.exists()
    filled, resting = practice.buy(), practice.buy("0.010", "29000.0")
    heard(node, "order.filled", filled)
    heard(node, "order.accepted", resting)

    # An orderly stop, and another process.
    node.stop()
    stopped = datetime.fromtimestamp(events(node, "lifecycle.stopped")[-1]["ts"] / 1e9, UTC)
    assert launched(project) == node
    assert loaded.read_text() == "one"
    restored = events(node, "memory.restored")[-1]
    assert restored["orders"] == [resting]
    assert restored["positions"] == {"BTCUSDT-LINEAR.BYBIT-Obey-000": "0.010"}
    assert restored["changes"] == []
    agree(node, practice)
    (order,) = node.status()["orders"]
    assert order["strategy"] == "Obey-000"

    # kill -9; meanwhile the order that rested is filled at the venue, and another one cancelled.
    other = practice.buy("0.010", "28000.0")
    heard(node, "order.accepted", other)
    noted.write_text("two")
    loaded.unlink()
    before = node.state()["restarts"]
    os.kill(node.state()["pid"], signal.SIGKILL)
    practice.quote("28990.0", "28990.2")
    answer = practice.client.post(
        "/v5/order/cancel", category="linear", symbol="BTCUSDT", orderLinkId=other
    )
    assert answer["retCode"] == 0
    until(lambda: node.state()["restarts"] > before, "it is started again")
    node.wait(("RUNNING",), 30)
    agree(node, practice)
    restored = events(node, "memory.restored")[-1]
    assert restored["changes"] == [
        f"order {resting} is FILLED: 0.010 of 0.010 filled",
        f"order {other} is CANCELED: 0.000 of 0.010 filled",
        "position BTCUSDT-LINEAR.BYBIT-Obey-000 was 0.010, is 0.020",
        f"the strategy's own state is that of {stopped:%Y-%m-%d %H:%M:%S} UTC",
    ]
    assert loaded.read_text() == "one"
    assert heard(node, "order.filled", resting)["data"]["last_px"] == "29000.0"
    assert heard(node, "order.canceled", other)
    assert [each["strategy"] for each in node.status()["positions"]] == ["Obey-000"]


def test_a_server_by_url(
    project: Project, practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis(tmp_path / "redis", "--requirepass", "pass-word-0") as port:
        monkeypatch.setenv(redis_server.VARIABLE, f"redis://:wrong-word-0@127.0.0.1:{port}")
        with pytest.raises(WorkbenchError, match=f"Redis at 127.0.0.1:{port} cannot be used") as no:
            launched(project)
        assert "word-0" not in str(no.value)
        monkeypatch.setenv(redis_server.VARIABLE, f"redis://:pass-word-0@127.0.0.1:{port}")
        (project.root / "noted").write_text("one")
        node = launched(project)
        filled = practice.buy()
        heard(node, "order.filled", filled)
        node.stop()
        launched(project)
        assert events(node, "memory.restored")[-1]["changes"] == []
        agree(node, practice)
        node.stop()
    assert not (project.gateway / "redis").exists(), "none of the project's own was started"
    written = [path for path in project.gateway.rglob("*") if path.is_file()]
    assert not [path for path in written if b"pass-word-0" in path.read_bytes()]
    with pytest.raises(WorkbenchError, match="Connection refused"):
        launched(project)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("127.0.0.1:6379", "is no address such as redis://127.0.0.1:6379"),
        ("http://127.0.0.1:6379", "is no address such as redis://127.0.0.1:6379"),
        ("redis://127.0.0.1:many", "is no address such as redis://127.0.0.1:6379"),
    ],
)
def test_an_address_that_is_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv(redis_server.VARIABLE, url)
    with pytest.raises(InputError, match=reason):
        redis_server.find(project)


def test_a_server_that_is_too_old(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as old:

        def answer() -> None:
            connection, _ = old.accept()
            with connection, suppress(OSError):
                while asked := connection.recv(1 << 16):
                    for command in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)", asked):
                        version = b"# Server\r\nredis_version:5.0.14\r\n"
                        info = b"$%d\r\n%s\r\n" % (len(version), version)
                        connection.sendall(info if command == b"INFO" else b"+OK\r\n")

        threading.Thread(target=answer, daemon=True).start()
        monkeypatch.setenv(redis_server.VARIABLE, f"redis://127.0.0.1:{old.getsockname()[1]}")
        with pytest.raises(WorkbenchError, match=r"Redis 5\.0\.14 is too old: 6\.2 or later"):
            redis_server.find(project)


def test_the_projects_own(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = redis_server.find(project)
    try:
        assert redis_server.find(project) == first, "one for all nodes"
        folder = project.gateway / "redis"
        assert folder.stat().st_mode & 0o777 == 0o700
        secret = first.password or ""
        assert len(secret) > 20
        assert secret not in repr(first)
        arguments = Path(f"/proc/{(folder / 'redis.pid').read_text().strip()}/cmdline")
        assert secret.encode() not in arguments.read_bytes()
        with first.client() as client:
            client.set("kept", "yes")
        assert redis_server.stop(project)
        assert not redis_server.stop(project)
        again = redis_server.find(project)
        with again.client() as client:
            assert client.get("kept") == "yes"
    finally:
        redis_server.stop(project)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DependencyError, match=re.escape("Install redis-server, or set WORKBENCH")):
        redis_server.find(project)


def test_what_a_replay_held_is_told_as_lost(
    project: Project, launch: Callable[..., live.Node]
) -> None:
    node = launch(live_study(project, speed=86_400 * 400), back_off=0.1)
    wait_for(node, "position.opened", 30)
    os.kill(node.state()["pid"], signal.SIGKILL)
    lost = wait_for(node, "memory.lost")
    assert lost["positions"] == {}
    assert re.fullmatch(r"position AAPL\.XNAS-EMACross-000 was -?\d+, is 0", lost["changes"][-1]), (
        lost["changes"]
    )
    node.kill()
    with pytest.raises(StudyError, match="a replay begins anew each time"):
        launch(live_study(project, live={
            "environment": "sandbox", "feeds": [{"adapter": "replay"}],
            "execution": [{"adapter": "sandbox"}], "persistence": "redis",
        }))  # fmt: skip
