"""Serving: who gets in, what happens to runs under way at the end, and what is refused."""

import http.client
import importlib.util
import json
import re
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psutil
import pytest

from tests.app.conftest import command, make_project, serving
from tests.app.support import turn
from tests.conftest import ROOT
from workbench.app import server
from workbench.backtest import RunStore
from workbench.core.errors import DependencyError
from workbench.core.project import Project


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    # What it refuses it also logs.
    with serving(make_project(folder / "project"), folder / "log.txt", clean=False) as dashboard:
        yield dashboard


def ask(served, path, **headers):
    """Return status and headers of one request, redirects not followed."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders())


def upgrade(origin, **headers):
    return {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "bokeh, x",
        "Origin": origin, **headers,
    }  # fmt: skip


def cookie(served):
    path = served.url.removeprefix(served.origin)
    status, headers = ask(served, path)
    assert (status, headers["Location"]) == (302, "/")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    return headers["Set-Cookie"].partition(";")[0]


def test_nobody_gets_in_without_the_token(served):
    for headers in ({}, {"Cookie": f"workbench-{served.port}=guessed"}):
        status, answered = ask(served, "/", **headers)
        assert status == 302
        assert urlsplit(answered["Location"]).path.endswith("login")
    for path in ("/login", "/login?token=", "/login?token=guessed", "/login?token=%C3%A9"):
        status, answered = ask(served, path)
        assert status == 403
        assert "Set-Cookie" not in answered
    status, _ = ask(served, "/ws", **upgrade(served.origin))
    assert status == 403


def test_the_token_lets_in_and_shows_in_no_log(served):
    assert ask(served, "/", Cookie=cookie(served))[0] == 200
    token = served.url.partition("token=")[2]
    assert len(token) > 30
    assert token not in served.log.read_text()


def test_a_page_of_another_origin_gets_no_connection(served):
    known = {"Cookie": cookie(served)}
    for origin in (
        "http://evil.example",
        "http://127.0.0.1:1",
        f"http://evil.example:{served.port}",
    ):
        assert ask(served, "/ws", **upgrade(origin, **known))[0] == 403
    # The same request from the page itself is taken further: to the check of its session's id.
    assert ask(served, "/ws", **upgrade(served.origin, **known))[0] != 403


def test_it_listens_on_the_loopback_interface_only(served):
    listening = [
        one.laddr
        for one in psutil.Process(served.process.pid).net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert [(one.ip, one.port) for one in listening] == [("127.0.0.1", served.port)]


def test_a_port_that_is_taken_is_refused(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = subprocess.run(
            command("dashboard", "--port", str(port), "--json"),
            cwd=project.root, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert process.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in json.loads(process.stdout)["error"]
    assert "--port" in process.stderr


def test_no_project_is_said(tmp_path):
    process = subprocess.run(
        command("dashboard"), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 2
    assert "workbench init" in process.stderr


def test_without_panel_the_extra_is_named(project, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "panel" else found(name)
    )
    with pytest.raises(DependencyError, match=re.escape("pip install 'nt-workbench[lab]'")):
        server.serve(project, on_ready=pytest.fail)


@pytest.mark.browser
@pytest.mark.slow
def test_the_end_of_the_server_cancels_its_runs(tmp_path, visit):
    root = make_project(tmp_path / "project")
    store = RunStore(Project(root))
    with serving(root, tmp_path / "log.txt") as dashboard:
        page = visit(dashboard.url)
        turn(page, "Backtest")
        page.get_by_label("Study").locator("visible=true").select_option("slow.yaml")
        page.get_by_label("fault").wait_for()
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_text(re.compile(r"^slow: [1-9]\d?%$")).wait_for()
        # A closed page does not touch the run.
        page.close()
        time.sleep(1.0)
        assert store.list()[0].status == "running"
        assert dashboard.stop() == 0
    assert store.list()[0].status == "cancelled"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("inside", [True, False])
def test_panel_serve(tmp_path, visit, inside):
    root = make_project(tmp_path / "project") if inside else tmp_path
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = str(ROOT / "workbench" / "app" / "dashboard.py")
    where = ["--address", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "panel", "serve", script, *where],
        cwd=root,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        page = visit(f"http://127.0.0.1:{port}/dashboard")
        if inside:
            page.get_by_text("No run yet").wait_for()
        else:
            page.get_by_text("The dashboard cannot be shown").wait_for()
            page.get_by_text("workbench init DIR").wait_for()
        page.close()
    finally:
        process.terminate()
        process.wait(20)
