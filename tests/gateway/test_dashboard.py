"""The dashboard's socket, which can do everything: it lives no longer than its token."""

import re
import time
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import make_project
from tests.gateway.conftest import serving
from workbench.gateway import Tokens


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("dashboard") / "project")
    with serving(project) as found:
        yield found


@contextmanager
def opened(served, text):
    """Open the dashboard with a token as a browser does; return its socket."""
    bearer = {"Authorization": f"Bearer {text}"}
    answer = served.call("GET", "/dashboard", None, headers=bearer)
    assert answer.status_code == 200
    (session,) = set(re.findall(r'"token":"([^"]+)"', answer.text))
    address = served.url.replace("http", "ws") + "/dashboard/ws"
    protocols = ["bokeh", session]
    with connect(
        address, proxy=None, additional_headers=bearer, subprotocols=protocols, max_size=None
    ) as line:
        asked(line, "1")
        yield line


def asked(line, name, kind="PULL-DOC-REQ"):
    """Ask the page's socket for its document; return when the answer has come."""
    for part in (f'{{"msgid":"{name}","msgtype":"{kind}"}}', "{}", "{}"):
        line.send(part)
    while f'"reqid": "{name}"' not in (told := line.recv(timeout=10)):
        pass
    assert '"PULL-DOC-REPLY"' in told


def ended(line):
    """Wait for the end of a socket; return the code it was closed with."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            line.recv(timeout=30)
    assert caught.value.rcvd is not None
    assert "no longer good" in caught.value.rcvd.reason
    return caught.value.rcvd.code


def test_an_open_dashboard_ends_with_its_token(served) -> None:
    tokens = Tokens(served.project)
    quiet, first = tokens.create("quiet", ["admin"])
    busy, second = tokens.create("busy", ["admin"])
    with opened(served, first) as silent, opened(served, second) as line:
        asked(line, "2")
        tokens.revoke(busy.id)
        # What comes after is not done: no answer, but the end.
        with pytest.raises(ConnectionClosed):
            asked(line, "3")
        assert ended(line) == 1008
        asked(silent, "2")  # the other one's stays
        tokens.revoke(quiet.id)
        assert ended(silent) == 1008, "also where nothing is sent"
    brief = tokens.create("brief", ["admin"], days=4 / 86_400)[1]
    began = time.monotonic()
    with opened(served, brief) as line:
        assert ended(line) == 1008
    assert time.monotonic() - began > 1
    assert (served.project.root / "gateway.txt").read_text().count("Traceback") == 0


def test_a_long_text_may_be_typed_there_and_is_not_heard_where_events_are_told(served) -> None:
    _, text = Tokens(served.project).create("typist", ["admin"])
    long = " " * 100_000
    with opened(served, text) as line:
        for part in ('{"msgid":"2","msgtype":"PULL-DOC-REQ"}', "{}" + long, "{}"):
            line.send(part)
        while '"reqid": "2"' not in line.recv(timeout=10):
            pass
    bearer = {"Authorization": f"Bearer {text}"}
    address = served.url.replace("http", "ws") + "/events"
    with connect(address, proxy=None, additional_headers=bearer) as line:
        line.send(long)
        with pytest.raises(ConnectionClosed) as caught:
            line.recv(timeout=30)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009
