"""Connections that are begun and not ended: each is closed in time, and holds up nobody."""

import base64
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import make_project
from tests.gateway.conftest import Served

PATIENCE, PING = 2, 0.4
SERVE = f"""
import sys
from pathlib import Path
from workbench.core.project import Project
from workbench.gateway import Settings, serve

settings = Settings(dashboard=False, patience={PATIENCE}, ping={PING})
serve(Project(Path(sys.argv[1])), port=0, settings=settings,
      on_ready=lambda url, _: print(url, flush=True))
"""


@contextmanager
def impatient(project):
    """Serve a gateway whose patience is short."""
    with (project.root / "gateway.txt").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(project.root)], cwd=project.root,
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, (project.root / "gateway.txt").read_text()
        yield Served(project, url, "", process)
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("wire") / "project")
    with impatient(project) as found:
        yield found
    # Nothing of it is an error of the gateway's.
    assert (project.root / "gateway.txt").read_text() == ""


def line_to(served):
    return socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE * 10)


def heard(line):
    """Return all that comes until the gateway closes the connection."""
    parts = []
    try:
        while part := line.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answered(line, status, kind):
    head, _, body = heard(line).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
    assert b"content-type: application/problem+json" in head
    found = json.loads(body)
    assert (found["status"], found["type"]) == (status, f"workbench:{kind}")
    return found["detail"]


def test_half_a_request_is_dropped_after_a_stated_time(served) -> None:
    bearer = f"Host: localhost\r\nAuthorization: Bearer {served.token()}\r\n"
    whole = f"GET /nodes HTTP/1.1\r\n{bearer}\r\n".encode()
    head = f"POST /studies/validate HTTP/1.1\r\n{bearer}Content-Type: application/json\r\n"
    halves = [
        b"GET /nodes HTT",
        b"POST /orders HTTP/1.1\r\nHost: local",
        f"{head}Content-Length: 100\r\n\r\n{{".encode(),
        f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{".encode(),
    ]
    lines = [line_to(served) for _ in range(len(halves) * 10)]
    began = time.monotonic()
    for at, line in enumerate(lines):
        line.sendall(halves[at % len(halves)])
    assert served.call("GET", "/nodes").status_code == 200, "others are not held up"
    for line in lines:
        detail = answered(line, 408, "late")
        assert f"within {PATIENCE} s" in detail
        line.close()
    assert time.monotonic() - began >= PATIENCE * 0.9
    # The second request on a connection has as long as the first; so has silence, without a word.
    with line_to(served) as line:
        line.sendall(whole)
        told = b""
        while b'"next":null}' not in told:
            told += line.recv(65_536)
        line.sendall(halves[0])
        answered(line, 408, "late")
    with line_to(served) as line:
        assert heard(line) == b""
    with line_to(served) as line:
        line.sendall(whole)
        assert heard(line).count(b"HTTP/1.1") == 1


def test_a_byte_now_and_then_does_not_prolong_it(served) -> None:
    began = time.monotonic()
    with line_to(served) as line:
        told = []
        hearing = threading.Thread(target=lambda: told.append(heard(line)))
        hearing.start()
        line.sendall(b"GET /nodes HTTP/1.1\r\nX: ")
        try:
            while hearing.is_alive():
                line.sendall(b"x")
                hearing.join(PATIENCE / 10)
        except (BrokenPipeError, ConnectionResetError):
            pass
        hearing.join(PATIENCE * 10)
    assert told
    assert told[0].startswith(b"HTTP/1.1 408 ") or told[0] == b""
    assert time.monotonic() - began < PATIENCE * 5


def test_a_request_behind_another_is_waited_for_no_longer(served) -> None:
    """Pipelined: both came in one piece, and the second does not end."""
    first = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    second = (
        f"POST /studies/validate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        f"{served.token()}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    ).encode()
    with line_to(served) as line:
        line.sendall(first + second)
        told = heard(line)
    assert told.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 408 " in told
    with line_to(served) as line:
        line.sendall(first + second[:50])
        assert heard(line).startswith(b"HTTP/1.1 200 ")


def test_who_never_reads_is_dropped_and_who_reads_slowly_is_not(served) -> None:
    count = 200
    one = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
    one += f"{served.token()}\r\n"
    asked = f"{one}\r\n" * (count - 1) + f"{one}Connection: close\r\n\r\n"

    def asking(room):
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        line.settimeout(PATIENCE * 20)
        line.connect(("127.0.0.1", served.port))
        line.sendall(asked.encode())
        return line

    with asking(4_096) as silent, asking(1_000_000) as slow:
        length, part = 0, b"x"
        began = time.monotonic()
        while part:
            slowly = time.monotonic() - began < PATIENCE * 3
            part = slow.recv(300_000 if slowly else 1_000_000)
            length += len(part)
            if slowly:
                time.sleep(PATIENCE / 20)
        assert time.monotonic() - began > PATIENCE * 3
        # What had come this far can still be read; the rest never comes.
        whole = len(served.call("GET", "/openapi.json").content)
        assert length > count * whole > len(heard(silent))
    assert served.call("GET", "/nodes").status_code == 200


def test_what_takes_long_to_answer_is_waited_for(served) -> None:
    """Patience is for requests, not for answers: a stream goes on."""
    with line_to(served) as line:
        line.sendall(
            f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
            f"{served.token()}\r\n\r\n".encode()
        )
        assert b" 200 OK" in line.recv(65_536)
        line.settimeout(PATIENCE * 2)
        with pytest.raises(TimeoutError):
            while line.recv(65_536):
                pass


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Long": "x" * 15_000},
        {"Cookie": "a=" + "x" * 15_000},
        {f"X-{n}": "x" for n in range(200)},
    ],
    ids=["long", "cookie", "many"],
)
def test_a_handshake_that_cannot_be_read_is_answered_at_once(served, headers) -> None:
    began = time.monotonic()
    address = served.url.replace("http", "ws") + "/events"
    with pytest.raises(InvalidStatus) as caught:
        connect(address, proxy=None, additional_headers=headers | served.headers("read"))
    assert caught.value.response.status_code == 431
    assert b"at most 8,192 bytes" in caught.value.response.body
    assert time.monotonic() - began < PATIENCE
    # One that is short enough gets through, also beside others.
    some = {"X-Long": "x" * 8_000} | served.headers("read")
    with connect(address, proxy=None, additional_headers=some) as line:
        line.ping().wait(5)


def test_who_answers_no_ping_is_let_go(served) -> None:
    """Half open: the handshake is done, and then nothing is read or said any more."""
    key = base64.b64encode(bytes(16)).decode()
    head = (
        "GET /events HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {served.token('read')}\r\n\r\n"
    )
    began = time.monotonic()
    with line_to(served) as line:
        line.sendall(head.encode())
        told = heard(line)
    took = time.monotonic() - began
    assert b" 101 " in told
    assert b"\x89\x04" in told, "it was pinged"
    assert b"keepalive ping timeout" in told
    assert took >= 3 * PING * 0.9
    while "workbench_gateway_event_clients 0.0" not in served.call("GET", "/metrics").text:
        assert time.monotonic() - began < 30
        time.sleep(0.05)
    # Who does answer stays, for as long as it likes.
    address = served.url.replace("http", "ws") + "/events"
    with connect(address, proxy=None, additional_headers=served.headers("read")) as line:
        with pytest.raises(TimeoutError):
            line.recv(timeout=PING * 8)
        line.ping().wait(5)
