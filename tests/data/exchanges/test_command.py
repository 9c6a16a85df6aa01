"""As a user does it: `workbench data plan`, `data fetch`, and a backtest on what came."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer
from tests.data.exchanges.commands import Download, addresses, write
from tests.data.exchanges.support import DAY_AGO, VENUES
from tests.servers.bybit import Bybit
from tests.servers.faults import Fault, Faults
from tests.servers.local import LocalServer
from tests.servers.tape import HOUR
from workbench.core.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project" / ".gateway").mkdir(parents=True)
    return Project(tmp_path / "project")


@pytest.mark.parametrize("exchange", VENUES)
def test_from_the_plan_to_the_backtest(
    project: Project, workbench: Callable[..., Answer], exchange: str
) -> None:
    path = write(project, exchange, DAY_AGO, DAY_AGO + 6 * HOUR)
    venue: Any = VENUES[exchange]()
    with LocalServer(venue.application()) as server:
        env = addresses(exchange, server)
        plan = workbench("data", "plan", path, "--json", env=env).json
        assert (plan["rows"], plan["cost"]["amount"]) == (361, "0")
        pages = 2 if exchange == "okx" else 1
        assert plan["requests"] == pages
        fetched = workbench("data", "fetch", path, "--json", env=env).json
        assert (fetched["status"], fetched["rows"]) == ("done", 361)
        assert fetched["warnings"] == []
        before = server.count()
        again = workbench("data", "fetch", path, "--json", env=env).json
        assert (again["status"], again["requests"]) == ("cached", 0)
        run = workbench("backtest", "run", path, "--json", env=env).json
        assert run["status"] == "done", run["error"]
        assert run["fills"] > 5
        assert server.count() == before  # neither asked for anything


def test_a_server_in_trouble(project: Project, workbench: Callable[..., Answer]) -> None:
    path = write(project, "bybit", DAY_AGO, DAY_AGO + HOUR)
    faults = Faults()
    with LocalServer(Bybit().application(faults)) as server:
        env = addresses("bybit", server)
        faults.retry_after = 3600
        faults.next(Fault.TOO_MANY, path="kline")
        answer = workbench("data", "fetch", path, "--json", env=env)
        assert answer.code == 1
        assert "Traceback" not in answer.err
        assert "/v5/market/kline: 429 Too Many Requests: it asks to wait 3,600 s" in answer.err
        assert not list(project.catalog.rglob("bars/**/*.parquet"))
        answer = workbench("data", "fetch", path, "--json", env=env)
        assert answer.json["rows"] == 61


def test_ctrl_c_ends_it_within_a_second(project: Project) -> None:
    job = Download(project, "bybit", 30)
    faults = Faults()
    with LocalServer(job.venue.application(faults)) as server:
        faults.next(Fault.HANG, path="kline", after=3)
        process = job.start(server)
        while server.count("kline") < 5:
            assert process.poll() is None
            time.sleep(0.01)
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert time.monotonic() - before < 1.5  # with the interpreter's end
    assert process.returncode == 130
    assert b"Traceback" not in err
