"""Downloads that go wrong: broken connections and bodies, kills, cancels, full disks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data import tardis_support
from tests.data.tardis_support import XBT, write_study
from tests.servers.faults import QUICK, Fault
from tests.servers.tardis import KEY, TardisServer, lines, text
from workbench import data
from workbench.core.errors import Cancelled, DataError
from workbench.core.project import Project
from workbench.data import tardis_api
from workbench.data.catalog import CatalogFile, Dataset, read_rows
from workbench.data.rows import rows_hash
from workbench.study import Study

# Tardis's client, cancelled while it opens its file, leaves it to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*unconfirmed:pytest.PytestUnraisableExceptionWarning"
)

REMOTE = tardis_support.REMOTE | {"definition": XBT}  # one request less
KEY_VARIABLE = "WORKBENCH_SECRET_TARDIS_LIVE_API_KEY"
MONTH = [f"2020-03-{day:02d}" for day in range(1, 16)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TardisServer]:
    """Serve fifteen days of trades."""
    with TardisServer() as running:
        stock(running, MONTH)
        monkeypatch.setenv("WORKBENCH_URL_TARDIS", running.url)
        monkeypatch.setenv(KEY_VARIABLE, KEY)
        monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "no-secrets.json"))
        monkeypatch.setattr(tardis_api, "_memory", {})  # ports come again
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Tardis's client try again at once: it would wait two seconds and more."""
    monkeypatch.setattr("tardis_dev._http._get_next_attempt_delay", lambda *_: 0.01)


def remote(**changes: Any) -> Study:
    return tardis_support.remote(definition=XBT, **changes)


def stock(server: TardisServer, days: list[str], rows: int = 30) -> None:
    for day in days:
        server.add("trades", day, text("trades", lines("trades", day, rows)))


def files(project: Project) -> list[CatalogFile]:
    return Dataset(project, "trades", "XBTUSD.BITMEX").good()


def whole_hash(project: Project) -> int:
    return rows_hash(read_rows(files(project)))


def ids(project: Project) -> list[str]:
    found: list[str] = read_rows(files(project)).column("trade_id").to_pylist()
    return found


def made(days: list[str], rows: int = 30) -> list[str]:
    return [f"{day}-{number}" for day in days for number in range(rows)]


# A file has one page: its answer before is the same.
ONCE = [fault for fault in QUICK if fault != Fault.DUPLICATE]


def test_every_fault_is_got_over(server: TardisServer, project: Project, impatient: None) -> None:
    days = [f"2020-03-{number:02d}" for number in range(1, len(ONCE) + 1)]
    for day, fault in zip(days, ONCE, strict=True):
        server.faults.next(fault, path=f"/{day.replace('-', '/')}/", after=1)  # after its HEAD
    result = data.fetch(remote(end=days[-1]), project)
    assert set(server.faults.made) == set(ONCE)
    assert (result.rows, result.warnings) == (30 * len(days), [])
    assert ids(project) == made(days)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.UNAVAILABLE, "could not be downloaded: 503 Service Unavailable"),
        (Fault.TOO_MANY, "could not be downloaded: 429 Too Many Requests. It asks to come back in"),
        (Fault.CUT, "could not be downloaded: "),
        (Fault.REFUSED, "could not be downloaded: "),
        (Fault.CUT_UNDECLARED, "did not arrive whole in 3 attempts: it is cut short"),
        (Fault.EMPTY, "did not arrive whole in 3 attempts: it is empty"),
        (Fault.PORTAL, "did not arrive whole in 3 attempts: it is no gzip file"),
        (Fault.HANG, "could not be downloaded: "),
        (Fault.HANG_WITHIN, "could not be downloaded: "),
    ],
)
def test_a_fault_that_stays_is_named(
    fault: Fault,
    message: str,
    server: TardisServer,
    project: Project,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tardis_api, "ATTEMPTS", 3)
    monkeypatch.setattr(tardis_api, "SILENCE_SECONDS", 0.5)
    server.faults.retry_after = 1000
    study = remote(end=MONTH[0])
    data.plan(study, project)
    server.faults.next(fault, times=100, path="/trades/")
    with pytest.raises(DataError) as error:
        data.fetch(study, project)
    assert str(error.value).startswith("Tardis's trades of bitmex XBTUSD, 2020-03-01 ")
    assert message in str(error.value)
    assert files(project) == []
    assert not list(project.gateway.rglob("*.csv.gz*"))


def test_downloads_under_faults_end_whole_or_with_a_name(
    server: TardisServer,
    project: Project,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    """Fetch again and again until all is there; what is covered in between is never short."""
    days = MONTH
    if pytestconfig.getoption("--drills"):
        days = [f"20{year}-03-{day:02d}" for year in range(20, 30) for day in range(1, 22)][:200]
        days = [str(day) for day in days]
        stock(server, days)
    monkeypatch.setattr(tardis_api, "ATTEMPTS", 2)
    # At first everything fails, so that a fault stays whatever comes by chance and in which order.
    server.faults.next(Fault.UNAVAILABLE, times=4 * tardis_api.PARALLEL)
    server.faults.rate = 0.4
    covered: set[str] = set()
    errors: list[str] = []
    for year in sorted({day[:4] for day in days}):
        mine = [day for day in days if day.startswith(year)]
        for _ in range(200):
            try:
                data.fetch(remote(start=mine[0], end=mine[-1]), project)
                break
            except DataError as error:
                assert str(error).startswith("Tardis")
                errors.append(str(error))
            for file in files(project):
                day = ids_of(file)[0][:10]
                covered.add(day)
                assert ids_of(file) == made([day])
    assert ids(project) == made(days)
    assert sum(server.faults.made.values()) > len(days) // 3
    assert errors, "no fault stayed: the test shows too little"


def ids_of(file: CatalogFile) -> list[str]:
    found: list[str] = read_rows([file]).column("trade_id").to_pylist()
    return found


def test_a_size_that_was_announced_wrongly(
    server: TardisServer, project: Project, impatient: None
) -> None:
    server.faults.next(Fault.TOO_SHORT, path="/trades/")  # of the HEAD
    assert data.fetch(remote(end=MONTH[0]), project).rows == 30
    assert server.downloads == 2  # twice the same: the announcement was wrong


def test_cancel_while_bytes_are_slow(server: TardisServer, project: Project) -> None:
    server.drip = 0.05
    stop = threading.Event()
    raised: list[BaseException] = []

    def fetch() -> None:
        try:
            data.fetch(remote(), project, should_stop=stop.is_set)
        except Cancelled as cancelled:
            raised.append(cancelled)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert server.arriving.wait(30)
    started = time.monotonic()
    stop.set()
    thread.join(30)
    assert time.monotonic() - started < 1.0
    assert raised
    assert not list(project.gateway.rglob("*.csv.gz*"))
    server.drip = None
    assert data.fetch(remote(), project).rows == 90


def started(study: Path, project: Project) -> subprocess.Popen[bytes]:
    """Start `workbench data fetch` as a user would."""
    command = [sys.executable, "-m", "workbench", "data", "fetch", str(study), "--json"]
    return subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )


def test_ctrl_c(server: TardisServer, project: Project) -> None:
    server.drip = 0.05
    for end in (MONTH[0], MONTH[3]):  # one request, and several at once
        server.arriving.clear()
        study = write_study(project.root / "tardis.json", REMOTE | {"end": end})
        process = started(study, project)
        assert server.arriving.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err.decode()
        assert b'"status": "cancelled"' in out
        assert b"Traceback" not in err
    assert not list(project.gateway.rglob("*.csv.gz*"))


def test_a_fetch_that_is_killed_goes_on(
    server: TardisServer, project: Project, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = 20 if pytestconfig.getoption("--drills") else 3
    days = MONTH[:8]
    stock(server, days, rows=300)
    other = Project(tmp_path / "other")
    other.gateway.mkdir(parents=True)
    dataset = REMOTE | {"end": days[-1]}
    data.fetch(remote(end=days[-1]), other)
    study = write_study(project.root / "tardis.json", dataset)
    server.drip = 0.04
    rng = random.Random(kills)
    killed = 0
    for _ in range(kills):
        had = arrived(project)
        seen = len(server.requests)
        server.arriving.clear()
        process = started(study, project)
        while not server.arriving.wait(0.05) and process.poll() is None:
            pass
        time.sleep(rng.uniform(0, 1.2))
        process.kill()
        process.communicate(timeout=60)
        killed += process.returncode == -signal.SIGKILL
        asked = {path for verb, path in server.requests[seen:] if verb == "GET"}
        assert not any(day.replace("-", "/") in path for day in had for path in asked)
        if process.returncode == 0:
            break
    server.drip = None
    result = data.fetch(remote(end=days[-1]), project)
    assert killed, "no fetch was killed: the test shows too little"
    assert result.status in ("done", "cached")
    assert whole_hash(project) == whole_hash(other)
    assert ids(project) == made(days, 300)
    assert not list(project.gateway.rglob("*.csv.gz*"))


def arrived(project: Project) -> set[str]:
    """Return the days that had arrived whole: in the catalog, or waiting to be converted."""
    folders = (project.gateway / "downloads").glob("tardis/*/*.csv.gz")
    waiting = {path.name[:10] for path in folders}
    return waiting | {ids_of(file)[0][:10] for file in files(project) if file.rows}


def test_a_file_that_stayed_though_its_rows_are_in_goes(
    server: TardisServer, project: Project
) -> None:
    def stop_after_the_last_chunk() -> bool:
        return bool(list(project.catalog.glob("data/trades/*/*.parquet")))

    with pytest.raises(Cancelled):
        data.fetch(remote(end=MONTH[0]), project, should_stop=stop_after_the_last_chunk)
    assert ids(project) == made(MONTH[:1])
    (stayed,) = project.gateway.rglob("*.csv.gz")
    data.fetch(remote(), project)
    assert not stayed.exists()
    assert server.downloads == 3


def test_a_full_disk(server: TardisServer, project: Project) -> None:
    rows = lines("trades", MONTH[0], 3_000)
    server.add("trades", MONTH[0], text("trades", rows))
    study = write_study(project.root / "tardis.json", REMOTE | {"end": MONTH[0]})
    command = f"ulimit -f 16; exec {sys.executable} -m workbench data fetch {study} --json"
    answer = subprocess.run(
        ["bash", "-c", command], cwd=project.root, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 1, answer.stderr
    assert "could not be written: the file may not grow that large" in answer.stdout
    assert not list(project.gateway.rglob("*.csv.gz*"))


def test_two_processes_download_once(server: TardisServer, project: Project) -> None:
    study = write_study(project.root / "tardis.json", REMOTE)
    both = [started(study, project) for _ in range(2)]
    outputs: list[Any] = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert server.downloads == 3
    assert ids(project) == made(MONTH[:3])
