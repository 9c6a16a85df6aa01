"""Files that Databento makes to order: ordered once, found again, downloaded with resume."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.data.databento.support import bars, parts, price, stored, study_file, trades
from tests.servers.databento import KEY, DatabentoServer
from tests.servers.faults import QUICK, Fault
from workbench import data
from workbench.core.errors import Cancelled, DataError
from workbench.core.progress import Progress
from workbench.core.project import Project
from workbench.study import Study


def order(**more: Any) -> Study:
    return trades(delivery="batch", **more)


def left(project: Project) -> list[str]:
    folder = project.gateway / "downloads"
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_an_order_is_placed_waited_for_and_delivered(
    project: Project, server: DatabentoServer, reference: Any
) -> None:
    planned = data.plan(order(), project)
    assert (planned.requests, planned.rows, planned.cost["USD"]) == (1, 240, price(240))
    assert server.jobs == {}
    seen: list[Progress] = []
    result = data.fetch(order(), project, on_progress=seen.append)
    assert (result.rows, len(server.jobs), server.streams) == (240, 1, 0)
    assert stored(project, order()) == reference
    assert left(project) == []
    assert any("order GLBX-20240711-0000000000 is processing" in each.task for each in seen)
    (job,) = server.jobs.values()
    assert (job["split_duration"], len(server.files[job["id"]])) == ("day", 3)
    asked = len(server.requests)
    assert data.fetch(order(), project).status == "cached"
    assert data.plan(trades(), project).complete, "a stream would bring the same"
    assert len(server.requests) == asked


def test_bars_come_in_one_file(project: Project, server: DatabentoServer) -> None:
    assert data.fetch(bars(delivery="batch"), project).rows == 120
    (job,) = server.jobs.values()
    assert job["split_duration"] == "none"
    assert left(project) == []


def test_a_stopped_fetch_comes_back_to_its_order(
    project: Project, server: DatabentoServer, reference: Any
) -> None:
    server.looks = 1_000_000
    with pytest.raises(Cancelled):
        data.fetch(order(), project, should_stop=lambda: server.count("list_jobs") > 3)
    assert len(left(project)) == 1
    planned = data.plan(order(), project)
    assert (planned.cost, planned.rows) == ({}, 240), "it is paid for"
    for job in server.jobs.values():
        job["_looks"] = 0
    data.fetch(order(), project)
    assert stored(project, order()) == reference
    assert len(server.jobs) == 1


def test_an_order_that_was_not_heard_of_is_found(
    project: Project, server: DatabentoServer, reference: Any
) -> None:
    """The answer is lost, the order is not."""
    server.faults.next(Fault.REFUSED, path="list_jobs")
    server.faults.next(Fault.CUT, path="submit_job")
    data.fetch(order(), project)
    assert stored(project, order()) == reference
    assert len(server.jobs) == 1, "ordered once"


def test_an_expired_order(project: Project, server: DatabentoServer) -> None:
    server.looks = 1_000_000
    with pytest.raises(Cancelled):
        data.fetch(order(), project, should_stop=lambda: server.count("list_jobs") > 3)
    (job,) = server.jobs.values()
    job["state"] = "expired"
    planned = data.plan(order(), project)
    assert planned.cost["USD"] == price(240), "a new order, and its price"
    server.looks = 1
    assert data.fetch(order(), project).rows == 240
    assert len(server.jobs) == 2


def test_an_order_that_expires_while_it_is_waited_for(
    project: Project, server: DatabentoServer
) -> None:
    def expire() -> bool:
        for job in server.jobs.values():
            job["state"] = "expired"
        return False

    server.looks = 1_000_000
    with pytest.raises(DataError, match="has expired before its files were here"):
        data.fetch(order(), project, should_stop=expire)
    assert left(project) == []


@pytest.mark.parametrize("fault", QUICK)
def test_faults_of_a_download(
    project: Project, server: DatabentoServer, reference: Any, fault: Fault
) -> None:
    server.faults.next(fault, times=2, path="batch/download")
    data.fetch(order(), project)
    assert stored(project, order()) == reference
    assert left(project) == []


def test_a_broken_download_goes_on_where_it_broke(
    project: Project, busy: DatabentoServer, busy_reference: Any
) -> None:
    seen: list[str] = []

    def noted(progress: Progress) -> None:
        seen.extend(str(part.stat().st_size) for part in parts(project))

    busy.faults.next(Fault.CUT, path="batch/download")
    data.fetch(order(), project, on_progress=noted)
    assert stored(project, order()) == busy_reference
    assert busy.count("batch/download") == 3
    assert busy.partial == 1


def test_files_that_are_not_what_the_list_says(
    project: Project, server: DatabentoServer, reference: Any
) -> None:
    server.damaged = True
    with pytest.raises(DataError, match=r"glbx-mdp3-20240702\.trades\.dbn\.zst arrived damaged"):
        data.fetch(order(), project)
    assert stored(project, order())[0] == 0
    server.damaged = False
    data.fetch(order(), project)
    assert stored(project, order()) == reference
    assert len(server.jobs) == 1


def test_the_key_goes_nowhere_else(project: Project, server: DatabentoServer) -> None:
    server.elsewhere = "https://files.example.com"
    with pytest.raises(DataError, match="names a strange address for its files") as caught:
        data.fetch(order(), project)
    assert KEY not in str(caught.value)


def test_an_order_for_two_spans(project: Project, server: DatabentoServer) -> None:
    """What a stream brought since is not taken twice; the files serve both ends."""
    whole = order(start="2024-07-01", end="2024-07-05")
    server.looks = 1_000_000
    with pytest.raises(Cancelled):
        data.fetch(whole, project, should_stop=lambda: server.count("list_jobs") > 3)
    data.fetch(trades(start="2024-07-03", end="2024-07-03"), project)
    for job in server.jobs.values():
        job["_looks"] = 0
    planned = data.plan(whole, project)
    assert (planned.requests, planned.cost) == (2, {})
    assert data.fetch(whole, project).rows == 4 * 120
    assert stored(project, whole)[0] == 5 * 120
    assert (len(server.jobs), left(project)) == (1, [])


def test_killed_while_an_order_is_delivered(
    project: Project,
    busy: DatabentoServer,
    busy_reference: Any,
    request: pytest.FixtureRequest,
    workbench: Callable[..., Any],
) -> None:
    study_file(project, order())
    busy.drip = 0.02
    kills = 20 if request.config.getoption("--drills") else 2
    for number in range(kills):
        asked = busy.count("batch")
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "data", "fetch", "study.yaml"],
            cwd=project.root,
            env=os.environ | busy.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while busy.count("batch") < asked + 1 + number % 4 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    busy.drip = None
    answer = workbench("data", "fetch", "study.yaml", "--json", env=busy.environment)
    assert answer.code == 0, answer.err
    assert stored(project, order()) == busy_reference
    assert len(busy.jobs) == 1, "ordered once"
    assert left(project) == []
