"""A fetch from Databento that is killed, stopped, or meets a full disk."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.data.databento.support import BUSY, parts, price, stored, study_file, trades
from tests.servers.databento import DatabentoServer
from workbench import data
from workbench.core.project import Project


def start_fetch(project: Project, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", "data", "fetch", "study.yaml"],
        cwd=project.root,
        env=os.environ | env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_killed_again_and_again(
    project: Project,
    busy: DatabentoServer,
    busy_reference: Any,
    request: pytest.FixtureRequest,
    workbench: Callable[..., Any],
) -> None:
    study_file(project, trades())
    busy.drip = 0.05
    chance = random.Random(3)
    kills = 20 if request.config.getoption("--drills") else 2
    for _ in range(kills):
        busy.dripping.clear()
        process = start_fetch(project, busy.environment)
        deadline = time.monotonic() + 30
        while not busy.dripping.is_set() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    busy.drip = None
    answer = workbench("data", "fetch", "study.yaml", "--json", env=busy.environment)
    assert answer.code == 0, answer.err
    assert stored(project, trades()) == busy_reference
    assert list((project.gateway / "downloads").rglob("*.dbn.zst")) == []
    # What had come whole was not asked for again: in ten thousand, a buffer a kill.
    assert busy.sold["trades"] < 2 * BUSY * (kills + 1)


def test_ctrl_c_keeps_what_arrived(
    project: Project, busy: DatabentoServer, workbench: Callable[..., Any]
) -> None:
    study_file(project, trades())
    busy.drip = 0.05
    process = start_fetch(project, busy.environment)
    deadline = time.monotonic() + 30
    while sum(part.stat().st_size for part in parts(project)) < 50_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    busy.drip = None
    planned = workbench("data", "plan", "study.yaml", "--json", env=busy.environment)
    assert Decimal(planned.json["cost"]["amount"]) < price(1.9 * BUSY), "the rest only"
    assert planned.json["requests"] == 2
    assert workbench("data", "fetch", "study.yaml", env=busy.environment).code == 0
    assert stored(project, trades())[0] == 2 * BUSY


def test_a_full_disk(
    project: Project, busy: DatabentoServer, workbench: Callable[..., Any]
) -> None:
    study_file(project, trades())
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); "
        "from workbench.cli import main; main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "data", "fetch", "study.yaml"],
        cwd=project.root,
        env=os.environ | busy.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1, process.stderr
    assert "error: the download could not be written: the file may not grow" in process.stderr
    assert "Traceback" not in process.stderr
    assert data.plan(trades(), project).cost["USD"] < price(1.9 * BUSY), "what arrived is kept"
    assert workbench("data", "fetch", "study.yaml", env=busy.environment).code == 0
    assert stored(project, trades())[0] == 2 * BUSY
