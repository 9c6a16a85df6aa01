"""Events as a Redis stream: each once, also when the copying process is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.live.practice import until
from workbench import live
from workbench.core.errors import WorkbenchError
from workbench.core.journal import Journal
from workbench.core.project import Project
from workbench.live import redis_server

pytestmark = [pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def server(project: Project):
    yield redis_server.find(project)
    redis_server.stop(project)


def journal_of(project: Project, name: str) -> Journal:
    folder = project.gateway / "nodes" / name
    folder.mkdir(parents=True, exist_ok=True)
    return Journal(folder / "journal.jsonl")


def test_each_event_is_there_once_though_the_copier_is_killed(project: Project, server) -> None:
    over = threading.Event()

    def write(name: str) -> None:
        with journal_of(project, name) as journal:
            while not over.wait(0.003):
                journal.append("order.accepted", {"data": {"n": journal.last}})

    writers = [
        threading.Thread(target=write, args=(name,), daemon=True) for name in ("one", "other")
    ]
    for each in writers:
        each.start()
    command = [sys.executable, "-m", "workbench", "node", "stream"]
    with server.client() as client:
        for _ in range(3):
            before = client.xlen("workbench:events")
            copier = subprocess.Popen(command, cwd=project.root, stderr=subprocess.PIPE)
            until(lambda n=before: client.xlen("workbench:events") > n + 20, "it copies", 20)
            os.kill(copier.pid, signal.SIGKILL)
            copier.communicate()
        over.set()
        for each in writers:
            each.join()
        last = time.monotonic() + 1.0
        live.stream(project, should_stop=lambda: time.monotonic() > last)
        entries = [fields for _, fields in client.xrange("workbench:events")]
    for name in ("one", "other"):
        numbers = [int(each["seq"]) for each in entries if each["node"] == name]
        written = list(live.node(name, project).events())
        assert numbers == list(range(1, len(written) + 1))
        first = next(json.loads(each["event"]) for each in entries if each["node"] == name)
        assert first == {"node": name, **written[0]}


def test_only_some_types_and_no_server(
    project: Project, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with journal_of(project, "one") as journal:
        for kind in ("order.filled", "telemetry", "risk.halted"):
            journal.append(kind, {})
    last = time.monotonic() + 0.5
    stop = lambda: time.monotonic() > last  # noqa: E731
    assert live.stream(project, key="some", types=["order", "risk"], should_stop=stop) == 2
    monkeypatch.setenv("WORKBENCH_REDIS_URL", "redis://127.0.0.1:9")
    with pytest.raises(WorkbenchError, match=r"127\.0\.0\.1:9"):
        live.stream(project, should_stop=stop)
