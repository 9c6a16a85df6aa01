"""The gateway as an attacker would use it."""

import asyncio
import base64
import datetime as dt
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.gateway.conftest import audit
from workbench.gateway import Tokens

SOCKET = "/events?since=now"


def problem(answer, status, kind=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["title"]
    if kind:
        assert found["type"] == f"workbench:{kind}"
    return found


def raw(served, request: bytes, seconds: float = 5) -> bytes:
    """Send bytes as they are; return the first that come back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=seconds) as line:
        line.sendall(request)
        return line.recv(65_536)


def ws(served, query=SOCKET, **options):
    address = served.url.replace("http", "ws") + query
    return connect(address, proxy=None, **options)


def test_without_a_good_token_nothing_is_reached(served) -> None:
    expired = Tokens(served.project).create("short", ["admin"], days=1e-9)[1]
    revoked_token, revoked = Tokens(served.project).create("gone", ["admin"])
    bearer = {"Authorization": f"Bearer {revoked}"}
    assert served.call("GET", "/whoami", None, headers=bearer).status_code == 200
    Tokens(served.project).revoke(revoked_token.id)
    good = served.token("read")
    changed = good[:-1] + ("0" if good[-1] != "0" else "1")
    wrong = ["x", "ntw__", f"ntw_{'0' * 12}_{'0' * 64}", changed, good[:-1], "a_b_c_d"]
    for text in (expired, revoked, *wrong):
        given = {"Authorization": f"Bearer {text}"}
        found = problem(served.call("GET", "/nodes", None, headers=given), 401, "token")
        assert len(text) < 6 or text not in json.dumps(found)
        with pytest.raises(InvalidStatus) as caught:
            ws(served, additional_headers={"Authorization": f"Bearer {text}"}).__enter__()
        assert caught.value.response.status_code == 401
    for odd in (b"Bearer", b"Bearer \xc3\xa9", b"\xff", b"Bearer " + b"x" * 10_000):
        problem(served.call("GET", "/nodes", None, headers={"Authorization": odd}), 401, "token")
    for path in ("/", "/nodes", "/openapi.json", "/metrics", "/nothing", "/dashboard", "/static/x"):
        assert served.call("GET", path, None).status_code == 401, path
    said = problem(served.call("GET", "/nodes", None), 401)
    assert "Authorization: Bearer" in said["detail"]
    basic = base64.b64encode(f"x:{good}".encode()).decode()
    problem(served.call("GET", "/nodes", None, headers={"Authorization": f"Basic {basic}"}), 401)
    # An address is logged and kept in histories: a token there opens nothing but the dashboard.
    problem(served.call("GET", f"/nodes?token={good}", None), 401)
    assert served.call("GET", f"/login?token={revoked}", None).status_code == 403


def test_a_revoked_token_stops_a_socket_that_is_open(served) -> None:
    token, text = Tokens(served.project).create("listener", ["read"])
    with ws(served, additional_headers={"Authorization": f"Bearer {text}"}) as line:
        Tokens(served.project).revoke(token.id)
        with pytest.raises(ConnectionClosed) as caught:
            line.recv(timeout=15)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008


CALLS = {
    "research": [("POST", "/studies/validate"), ("POST", "/studies"), ("POST", "/data/fetch"),
                 ("POST", "/backtests"), ("POST", "/sweeps"), ("POST", "/sweeps/x/cancel")],
    "trade": [("POST", "/nodes/launch"), ("POST", "/nodes/rehearse"), ("POST", "/nodes/x/kill"),
              ("POST", "/orders"), ("DELETE", "/orders/x/y"), ("PUT", "/risk/x/limits/y"),
              ("POST", "/risk/x/halt"), ("POST", "/risk/kill-switch")],
    "admin": [("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/x"), ("GET", "/audit")],
}  # fmt: skip


def test_a_scope_opens_no_other(served) -> None:
    for scope, calls in CALLS.items():
        others = {"read", "research", "trade"} - {scope}
        for method, path in calls:
            for other in others:
                body = {} if method in ("POST", "PUT") else None
                answer = served.call(method, path, other, json=body)
                # Neither done nor told what is wrong with it: the scope comes first.
                found = problem(answer, 403, "scope")
                assert scope in found["detail"]
            mine = served.call(method, path, scope, json={} if method in ("POST", "PUT") else None)
            assert mine.status_code != 403


def test_a_job_is_cancelled_by_who_may_start_one(served) -> None:
    found = problem(served.call("POST", "/jobs/x/cancel", "read"), 403, "scope")
    assert "research or trade" in found["detail"]
    for scope in ("research", "trade"):
        problem(served.call("POST", "/jobs/x/cancel", scope), 404, "not-found")


def test_another_origin_and_another_host_are_refused(served) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[",
                   f"http://127.0.0.1:{served.port}.evil.example"):  # fmt: skip
        for method in ("GET", "POST", "OPTIONS"):
            answer = served.call(method, "/nodes", headers={"Origin": origin})
            problem(answer, 403, "origin")
            assert not [name for name in answer.headers if name.startswith("access-control")]
        with pytest.raises(InvalidStatus) as caught:
            ws(served, origin=origin, additional_headers=served.headers()).__enter__()
        assert caught.value.response.status_code == 403
    own = {"Origin": served.url}
    assert served.call("GET", "/nodes", headers=own).status_code == 200
    with ws(served, origin=served.url, additional_headers=served.headers("read")):
        pass
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    problem(served.call("GET", "/nodes", headers=cross), 403, "origin")
    # DNS rebinding: a foreign page's own name, which points here.
    for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1.evil.example", "0.0.0.0",
                 "localhost.", "localhost@evil.example", "", "[::1", "127.0.0.1:x"):  # fmt: skip
        head = f"GET /nodes HTTP/1.1\r\nHost: {host}\r\n".encode()
        token = f"Authorization: Bearer {served.token()}\r\n\r\n".encode()
        assert raw(served, head + token).split(b" ")[1] in (b"421", b"400"), host
    two = f"GET /nodes HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n{token.decode()}"
    assert raw(served, two.encode()).split(b" ")[1] in (b"421", b"400")
    for host in (f"localhost:{served.port}", f"127.0.0.1:{served.port}", "localhost"):
        assert served.call("GET", "/nodes", headers={"Host": host}).status_code == 200


PATHS = (
    "..", "../..", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2ftokens.json", "%00", ".",
    "..%5c..", "%2fetc%2fpasswd", "a%0d%0aSet-Cookie:%20x=1", "%ff%fe", "x" * 5_000,
    "tokens.json", "%252e%252e%252f",
)  # fmt: skip


def test_names_lead_nowhere_else(served) -> None:
    secret = served.token()
    for name in PATHS:
        for path in (f"/studies/{name}", f"/studies/{name}/history", f"/runs/{name}",
                     f"/runs/{name}/report", f"/runs/{name}/tables/orders", f"/nodes/{name}/status",
                     f"/nodes/{name}/logs", f"/nodes/{name}/events", f"/sweeps/{name}",
                     f"/jobs/{name}", f"/adapters/{name}", f"/risk/{name}"):  # fmt: skip
            token = f"Host: localhost\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n"
            answer = raw(served, f"GET {path} HTTP/1.1\r\n{token}\r\n".encode())
            status = int(answer.split(b" ")[1])
            assert 400 <= status < 500, (path, answer)
            assert b"sha256" not in answer
            assert b"root:" not in answer
            assert b"\r\nset-cookie" not in answer.lower()


def test_a_study_reaches_nothing_outside_the_project(served, tmp_path) -> None:
    evil = tmp_path / "evil.py"
    touched = tmp_path / "touched"
    evil.write_text(f"from pathlib import Path\nPath({str(touched)!r}).touch()\n")
    (served.project.root / "strategies" / "link.py").symlink_to(evil)
    (served.project.root / "studies" / "link.yaml").symlink_to("/etc/passwd")
    base = (served.project.root / "studies" / "ema-cross.yaml").read_text()
    strategy = "workbench.strategies.ema_cross:EMACross"
    for path in (f"{evil}:Evil", f"../../{tmp_path.name}/evil.py:Evil", "strategies/link.py:Evil",
                 "os:path", "this:x", "subprocess:Popen", "workbench.cli:main", ".gateway.x:Y",
                 ".gateway/evil.py:Y", "link:Evil"):  # fmt: skip
        text = base.replace(strategy, path)
        for call in ("/studies/validate", "/studies", "/backtests", "/nodes/launch", "/data/fetch"):
            answer = served.call("POST", call, json={"study": {"text": text}})
            found = answer.json()
            assert answer.status_code == (200 if call.endswith("validate") else 422), answer.text
            assert [each["path"] for each in found["errors"]] == ["strategy.path"], found
            assert found["errors"][0]["line"]
    swept = base + "\n    strategy.path: ['os:path']\n"
    found = served.call("POST", "/sweeps", json={"study": {"text": swept}})
    assert "outside" in found.text or "no other code" in found.text
    assert found.status_code == 422
    data = base.replace("provider: sample", "provider: file\n    path: /etc/passwd")
    found = served.call("POST", "/data/fetch", json={"study": {"text": data}})
    assert found.status_code == 422
    assert "/etc/passwd lies outside" in found.text
    assert "root:" not in found.text
    for name in ("../../etc/passwd.yaml", "/etc/passwd.json", ".gateway/tokens.json", "studies",
                 "studies/link.yaml", "\0.yaml", "studies/../.gateway/tokens.json"):  # fmt: skip
        answer = served.call("POST", "/studies", json={"study": {"file": name}})
        assert answer.status_code in (404, 422), answer.text
        assert "sha256" not in answer.text
        assert "root:" not in answer.text
    notebook = {"study": {"file": "studies/ema-cross.yaml"}, "notebook": f"{evil}"}
    assert served.call("POST", "/backtests", json=notebook).status_code == 422
    assert not touched.exists()


def test_bombs_are_refused_quickly(served) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    bombs = [laughs, "a: " + "[" * 5_000, "&a [*a]", "a: !!python/object/apply:os.system [id]",
             "a: " + "9" * 10_000, "x" * 900_000, "\u0000", "- " * 50_000]  # fmt: skip
    for text in bombs:
        began = time.monotonic()
        answer = served.call("POST", "/studies", json={"study": {"text": text}})
        assert answer.status_code == 422, answer.text[:300]
        assert time.monotonic() - began < 10
    deep = '{"study": {"content": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}}"
    long = '{"a": ' + "1" * 5_000 + "}"
    bodies = [deep, "{", "[]", "null", '"x"', '{"study": {"content": {"study": "\\ud800"}}}',
              '{"study": {"text": "\\ud800"}}', '{"study": {"file": "\\ud800.yaml"}}',
              '{"study": {"name": "\\ud800"}}', '{"a": NaN}', long]  # fmt: skip
    for body in bodies:
        headers = {"Content-Type": "application/json"}
        answer = served.call("POST", "/studies", content=body.encode(), headers=headers)
        assert 400 <= answer.status_code < 500, (body[:60], answer.text[:300])
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_100_mb_is_not_read(served) -> None:
    head = (
        f"POST /studies HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {served.token()}\r\n"
        "Content-Type: application/json\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
        line.sendall(f"{head}Content-Length: 100000000\r\n\r\n".encode() + b"x" * 1_000)
        assert b" 413 " in line.recv(65_536)
    sent = 0
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        answer = b""
        try:
            while sent < 100_000_000 and not answer:
                line.sendall(chunk)
                sent += 65_536
                line.setblocking(False)
                with suppress(BlockingIOError):
                    answer = line.recv(65_536)
                line.setblocking(True)
                line.settimeout(10)
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert sent < 20_000_000
    assert not answer or b" 413 " in answer
    assert served.call("GET", "/health").status_code == 200


def test_floods_of_a_socket_end_it_and_nothing_else(served) -> None:
    reader = served.headers("read")
    with ws(served, additional_headers=reader) as line, pytest.raises(ConnectionClosed) as caught:
        for _ in range(1_000):
            line.send("x" * 100)
        line.recv(timeout=5)
    assert caught.value.rcvd is None or caught.value.rcvd.code == 1008
    with ws(served, additional_headers=reader) as line, pytest.raises(ConnectionClosed):
        line.send("x" * 1_000_000)
        line.recv(timeout=5)
    began = time.monotonic()
    assert served.call("GET", "/nodes", "read").status_code == 200
    assert time.monotonic() - began < 2


def test_too_many_sockets_are_told_so(served) -> None:
    """One token has 250 places; the 251st is refused and others still get one."""
    token = Tokens(served.project).create("many", ["read"])[1]

    async def flood() -> tuple[int, int]:
        head = (
            "GET /events HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        lines, good, late = [], 0, 0
        for _ in range(260):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            good += b" 101 " in answer
            late += b" 429 " in answer
            lines.append(writer)
        with ws(served, additional_headers=served.headers("read")):
            pass
        for writer in lines:
            writer.close()
        return good, late

    assert asyncio.run(flood()) == (250, 10)


def test_changes_are_limited_in_rate(served) -> None:
    token = Tokens(served.project).create("eager", ["research"])[1]
    with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {token}"}) as http:

        def ask(_: int) -> httpx.Response:
            return http.post(f"{served.url}/studies/validate", json={})

        # Side by side, so that a busy machine is not slower than what is allowed.
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(200)))
        last = next(answer for answer in answers if answer.status_code == 429)
        problem(last, 429, "rate")
        assert int(last.headers["retry-after"]) >= 1
        assert http.get(f"{served.url}/nodes").status_code == 200, "reading is not limited"
    assert served.call("POST", "/studies/validate", "research", json={}).status_code == 422


def test_refusals_are_noted_and_do_not_fill_the_disk(served) -> None:
    before = len(audit(served.project))
    for _ in range(200):
        served.call("GET", "/nodes", None)
    entries = audit(served.project)
    assert entries[before:]
    assert len(entries) - before < 60
    assert entries[-1]["status"] == 401
    assert entries[-1]["who"] is None


def test_slow_and_broken_requests_hold_up_nobody(served) -> None:
    lines = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    try:
        for line in lines:
            line.sendall(b"POST /orders HTTP/1.1\r\nHost: local")
        assert served.call("GET", "/nodes").status_code == 200
    finally:
        for line in lines:
            line.close()
    both = b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    both = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + both
    for junk in (b"\x00" * 1_000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", os.urandom(2_000),
                 b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                 both):  # fmt: skip
        try:
            answer = raw(served, junk, 2)
        except (TimeoutError, ConnectionResetError):
            continue
        assert not answer or answer.split(b" ")[1].startswith(b"4"), answer
    assert served.call("GET", "/health").status_code == 200


def test_secrets_are_in_no_file_and_no_answer(served) -> None:
    made = served.call("POST", "/tokens", json={"name": "ci", "scopes": ["read"], "days": 1}).json()
    path = served.project.gateway / "tokens.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert made["token"] not in path.read_text()
    listed = served.call("GET", "/tokens").text
    assert "sha256" not in listed
    assert made["token"] not in listed
    end = dt.datetime.fromisoformat(made["expires"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=23) < end < dt.timedelta(hours=25)
    ended = served.call("DELETE", f"/tokens/{made['id']}").json()["revoked"]
    assert ended[0]["state"] == "revoked"
    assert served.call("DELETE", "/tokens/nobody").status_code == 404
    everything = [file.read_bytes() for file in served.project.gateway.rglob("*") if file.is_file()]
    for text in (made["token"], *served.tokens.values()):
        secret = text.rpartition("_")[2].encode()
        assert not any(secret in content for content in everything)


def test_a_damaged_store_of_tokens_lets_nobody_in(served) -> None:
    path = served.project.gateway / "tokens.json"
    headers = served.headers("read")
    good = path.read_bytes()
    try:
        for damage in (b"", b"{}", b"[]", b'{"tokens": [{"id": "x"}]}', good[:-20]):
            path.write_bytes(damage)
            found = problem(served.call("GET", "/nodes", None, headers=headers), 500, "tokens")
            assert "damaged" in found["detail"]
    finally:
        path.write_bytes(good)
    assert served.call("GET", "/nodes", None, headers=headers).status_code == 200
    path.rename(path.with_suffix(".away"))
    try:
        assert served.call("GET", "/nodes", None, headers=headers).status_code == 401
    finally:
        path.with_suffix(".away").rename(path)


def test_two_writers_of_tokens_lose_none(served) -> None:
    store = Tokens(served.project)
    before = len(store.list_())
    threads = [
        threading.Thread(target=lambda n=n: Tokens(served.project).create(f"t{n}", ["read"]))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list_()) == before + 8
