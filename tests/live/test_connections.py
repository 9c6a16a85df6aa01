"""Practice and real never mix: who finds the practice venue, and who must not."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from tests.live.practice import LIVE, SYMBOL, practice_study
from workbench import venue
from workbench.core.errors import StudyError, WorkbenchError
from workbench.core.project import Project
from workbench.live.connections import connections
from workbench.venue import announce


def addresses(project: Project, **changes) -> list[dict]:
    return connections(practice_study(project, **changes), project)


def real(environment: str) -> dict:
    return LIVE | {"environment": environment}


def test_a_practice_study_finds_the_venue_and_takes_no_stored_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "API_SECRET"):
        for environment in ("LIVE", "TESTNET", "PRACTICE"):
            monkeypatch.setenv(f"WORKBENCH_SECRET_BYBIT_{environment}_{name}", "stored-key-0")
    monkeypatch.setenv("WORKBENCH_URL_BYBIT", "https://api.example.com")
    with venue.start(symbols=[SYMBOL], project=project) as practice:
        path = project.gateway / announce.FILE
        assert path.stat().st_mode & 0o777 == 0o600
        ready = practice.ready
        for each in addresses(project):
            assert each["credentials"] == {"api_key": ready.key, "api_secret": ready.secret}
            hosts = {name: value for name, value in each["settings"].items() if "url" in name}
            assert len(hosts) >= 3
            assert all(value.startswith((ready.url, ready.websocket)) for value in hosts.values())
            assert "stored-key-0" not in json.dumps(each)
        assert ready.secret not in repr(announce.find(project))
    assert not path.exists()
    with pytest.raises(StudyError, match="no practice venue runs in this project"):
        addresses(project)


def test_a_venue_that_was_killed_is_said_to_be_gone(project: Project) -> None:
    practice = venue.start(symbols=[SYMBOL], project=project)
    practice.kill()
    with pytest.raises(StudyError, match=rf"pid {practice.process.pid}\) was killed. Start one"):
        addresses(project)
    (project.gateway / announce.FILE).write_text('{"url": 1')
    with pytest.raises(WorkbenchError, match=r"venue\.json cannot be read"):
        announce.find(project)


def test_the_newest_venue_of_a_project_is_found(project: Project) -> None:
    first = venue.start(symbols=[SYMBOL], project=project)
    with venue.start(symbols=[SYMBOL], project=project) as second:
        assert announce.find(project).url == second.url
        first.stop()
        assert announce.find(project).url == second.url


def test_the_command_announces_itself_until_it_is_interrupted(project: Project) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "venue", "serve", "--symbol", SYMBOL, "--json"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = b"".join(iter(process.stdout.readline, b"}\n")) + b"}"
    assert announce.find(project).url == json.loads(ready)["url"]
    assert announce.find(project).pid == process.pid
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not (project.gateway / announce.FILE).exists()


@pytest.mark.parametrize("environment", ["testnet", "live"])
@pytest.mark.parametrize("variable", ["WORKBENCH_URL_BYBIT", "WORKBENCH_URL_BYBIT_WS"])
@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:9", "[::1]:9", "127.9.9.9", "0.0.0.0"])
def test_a_real_study_takes_no_address_on_this_machine(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    variable: str,
    host: str,
) -> None:
    monkeypatch.setenv(variable, f"https://{host}")
    message = re.escape(f"{variable} points at this machine, but live.environment is {environment}")
    with pytest.raises(StudyError, match=message):
        addresses(project, live=real(environment))


def test_a_venue_elsewhere_is_none_for_practice(project: Project) -> None:
    with venue.start(symbols=[SYMBOL], project=project):
        path = project.gateway / announce.FILE
        known = json.loads(path.read_text())
        for field, address in (("url", "https://api.bybit.com"), ("websocket", "ws://10.0.0.1:9")):
            path.write_text(json.dumps(known | {field: address}))
            with pytest.raises(StudyError, match="is not on this machine: no practice venue is"):
                addresses(project)


def test_practice_speaks_the_protocol_of_bybit_only(project: Project) -> None:
    other = LIVE | {"feeds": [{"adapter": "okx"}]}
    with pytest.raises(StudyError, match="use bybit, not okx"):
        addresses(project, live=other)
