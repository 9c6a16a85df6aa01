"""A fetch killed at random moments ends as one that ran through."""

import random
import time
from pathlib import Path

import pytest

from tests.data.exchanges.commands import Download
from tests.data.exchanges.support import VARIABLES, VENUES
from tests.servers.faults import Fault, Faults
from tests.servers.local import LocalServer
from workbench import data
from workbench.core.project import Project
from workbench.data.catalog import Dataset, read_rows
from workbench.data.rows import rows_hash
from workbench.study import load

# Two or three chunks each; OKX's pages are small and its limit is the tightest.
DAYS = {"bybit": 30, "okx": 10, "kraken": 45, "binance": 30}


@pytest.mark.parametrize("exchange", VENUES)
def test_killed_at_random_it_ends_as_if_it_ran_through(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    exchange: str,
) -> None:
    drills = request.config.getoption("--drills")
    kills, days = (20, 3 * DAYS[exchange]) if drills else (2, DAYS[exchange])
    random_ = random.Random(exchange)
    job = Download(project, exchange, days)
    # Slow enough for a kill to come in between.
    faults = Faults(seed=1, rate=0.5, kinds=[Fault.SLOW])
    with LocalServer(job.venue.application(faults)) as server:
        for _ in range(kills):
            process = job.start(server)
            asked = server.count()
            wanted = asked + random_.randint(1, 30)
            deadline = time.monotonic() + 60
            while server.count() < wanted and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(random_.random() * 0.1)
            process.kill()
            process.communicate()
        faults.clear()
        process = job.start(server)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        for variable in VARIABLES[exchange]:
            monkeypatch.setenv(variable, server.url)
        (tmp_path / "other" / ".gateway").mkdir(parents=True)
        other = Project(tmp_path / "other")
        document = load(job.path)
        data.fetch(document, other)
    rows = job.fetched()
    whole = read_rows(Dataset(other, "bars", document.data[0].identity).good())
    assert rows.num_rows == whole.num_rows == job.rows
    assert rows_hash(rows) == rows_hash(whole)
