"""`workbench gateway`: serving, TLS, a proxy's path, the dashboard, tokens on the command line."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys

import httpx
import pytest
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import CHROMIUM
from tests.gateway.conftest import audit, serving
from workbench.client import Client, GatewayError
from workbench.gateway import Tokens


def test_tokens_on_the_command_line(workbench, project) -> None:
    made = workbench("gateway", "token", "create", "ci", "--scope", "research", "--json").json
    assert made["scopes"] == ["research"]
    assert made["token"].startswith("ntw_")
    assert made["state"] == "active"
    listed = workbench("gateway", "token", "list", "--json")
    assert [each["id"] for each in listed.json["tokens"]] == [made["id"]]
    assert made["token"].rpartition("_")[2] not in listed.out
    wrong = workbench("gateway", "token", "create", "x", "--scope", "reed")
    assert wrong.code == 2
    assert "Did you mean 'read'?" in wrong.err
    assert workbench("gateway", "token", "create", "x", "--days", "-1").code == 2
    assert workbench("gateway", "token", "revoke", "ci", "--json").json["revoked"]
    again = workbench("gateway", "token", "revoke", "ci")
    assert (again.code, "no token 'ci' to revoke" in again.err) == (2, True)
    assert [entry["action"] for entry in audit(project)] == ["token create", "token revoke"]


def test_what_would_be_open_to_others_is_refused(workbench) -> None:
    for options, said in (
        (["--host", "0.0.0.0"], "tokens would pass in the clear"),
        (["--host", "0.0.0.0", "--proxy", "10.0.0.1"], "say it with --name"),
        (["--host", "example"], "is an address"),
        (["--certificate", __file__], "both --certificate and --key"),
        (["--root-path", "x"], "begins with /"),
    ):
        answer = workbench("gateway", "serve", "--port", "0", *options)
        assert answer.code == 2, answer
        assert said in answer.err


def test_a_taken_port_is_named(served, workbench) -> None:
    answer = workbench("gateway", "serve", "--port", str(served.port))
    assert answer.code == 2
    assert f"port {served.port}" in answer.err


def test_it_ends_when_told_and_nobody_hangs_on_it(project) -> None:
    project.gateway.chmod(0o755)
    with serving(project, "--no-dashboard") as served:
        assert project.gateway.stat().st_mode & 0o777 == 0o700, "nobody else looks into it"
        address = f"ws://127.0.0.1:{served.port}/events"
        with (
            connect(address, additional_headers=served.headers(), proxy=None) as line,
            httpx.Client(headers=served.headers(), trust_env=False) as http,
            http.stream("GET", f"{served.url}/events"),
        ):
            assert [served.call("GET", "/nodes").status_code for _ in range(5)] == [200] * 5
            served.process.send_signal(signal.SIGINT)
            assert served.process.wait(15) == 130
            with pytest.raises(Exception, match=r"1012|1006|close|reset"):
                line.recv(timeout=5)
    said = (project.root / "gateway.txt").read_text().splitlines()
    assert said[-1] == "cancelled: interrupted"
    expected = ("API at", "the address above", "cancelled")
    assert all(line.startswith(expected) for line in said if line), said
    with (
        Client(served.url, "x", timeout=2) as client,
        pytest.raises(GatewayError, match="no answer"),
    ):
        client.whoami()


def test_tls_and_another_name(project, tmp_path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "gateway.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(tmp_path / "cert.pem", append=True)
    options = ["--certificate", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")]
    with serving(project, "--no-dashboard", *options, "--name", "gateway.example") as served:
        assert served.url.startswith("https://")
        trust = str(tmp_path / "ca.pem")
        with Client(served.url, served.token("read"), verify=trust) as client:
            assert client.whoami()["name"] == "read"
        context = ssl.create_default_context(cafile=trust)
        with httpx.Client(verify=context, headers=served.headers("read")) as http:
            host = {"Host": "gateway.example"}
            assert http.get(f"{served.url}/nodes", headers=host).status_code == 200
            assert http.get(f"{served.url}/nodes", headers={"Host": "other"}).status_code == 421
            entered = http.get(served.dashboard)
            assert "Secure" in entered.headers["set-cookie"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{served.port}/health", trust_env=False)


def test_the_client_alone_loads_nothing_heavy() -> None:
    code = (
        "import sys, workbench.client\n"
        "heavy = {'fastapi', 'pandas', 'numpy', 'pydantic', 'nautilus_trader', 'panel', 'yaml'}\n"
        "assert not heavy & {name.partition('.')[0] for name in sys.modules}\n"
        "rooms = {name for name in sys.modules if name.startswith('workbench.')}\n"
        "assert all(name.startswith(('workbench.client', 'workbench.core')) for name in rooms)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_under_a_path_of_a_proxy(project) -> None:
    """As jupyter-server-proxy hands it on: the path is gone, Host and Origin are Lab's."""
    lab = {"Host": "localhost:8888", "Origin": "http://localhost:8888"}
    with serving(project, "--no-dashboard", "--root-path", "/proxy/8765") as served:
        base = f"http://127.0.0.1:{served.port}"
        headers = {**served.headers("read"), **lab}
        with httpx.Client(headers=headers, trust_env=False) as http:
            assert http.get(f"{base}/nodes").status_code == 200
            assert http.get(f"{base}/nodes", headers={"Origin": "http://x"}).status_code == 403
            described = http.get(f"{base}/openapi.json").json()
            assert described["servers"] == [{"url": "/proxy/8765"}]
            entered = http.get(f"{base}/login?{served.dashboard.partition('?')[2]}")
            assert entered.headers["location"] == "/proxy/8765/dashboard"
            assert "Path=/proxy/8765/" in entered.headers["set-cookie"]


def test_tls_at_a_proxy_counts_as_tls(project) -> None:
    host = {"Host": "desk.example"}
    over = {**host, "X-Forwarded-Proto": "https"}
    with serving(project, "--no-dashboard", "--name", "desk.example", "--proxy", "127.0.0.1") as it:
        login = "/login?" + it.dashboard.partition("?")[2]
        for headers, secure in ((over, True), (host, False)):
            entered = it.call("GET", login, None, headers=headers)
            assert entered.status_code == 303
            assert ("Secure" in entered.headers["set-cookie"]) is secure
        for origin, given, status in (
            ("https://desk.example", over, 200),
            ("http://desk.example", over, 403),
            ("http://desk.example", host, 200),
        ):
            headers = {**given, "Origin": origin}
            assert it.call("GET", "/nodes", "read", headers=headers).status_code == status
            del headers["Host"]
            with socket.create_connection(("127.0.0.1", it.port), timeout=10) as wire:
                try:
                    with connect(
                        "ws://desk.example/events", proxy=None, sock=wire,
                        additional_headers=headers | it.headers("read"),
                    ):  # fmt: skip
                        found = 200
                except InvalidStatus as error:
                    found = error.response.status_code
            assert found == status


ROUNDABOUT = (
    "/dashboard/", "//dashboard", "/./dashboard", "/x/../dashboard", "/static/../dashboard",
    "/DASHBOARD", "/dashboard%00", "/dashboard%2f", "/%64ashboard", "/dashboard;x", "/dashboard?x",
    "/dashboard/autoload.js", "/dashboard/metadata", "/dashboard/ws", "/static/js/bokeh.min.js",
    "/components/x", "/favicon.ico", "http://localhost/dashboard", "/nodes/../dashboard",
    "/dashboard#x", "/dashboard\\x",
)  # fmt: skip


@pytest.mark.browser
def test_the_dashboard_is_there_for_whoever_has_the_token(project) -> None:
    from playwright.sync_api import sync_playwright

    with serving(project) as served, sync_playwright() as playwright:
        reader = Tokens(project).create("reader", ["read"])[1]
        answer = served.call("GET", "/dashboard", None)
        assert answer.status_code == 401
        assert "asks for its token" in answer.text
        bearer = {"Authorization": f"Bearer {reader}"}
        assert served.call("GET", "/dashboard", None, headers=bearer).status_code == 403
        for path in ROUNDABOUT:
            with socket.create_connection(("127.0.0.1", served.port), timeout=10) as line:
                head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                line.sendall(f"{head}Authorization: Bearer {reader}\r\n\r\n".encode())
                status = line.recv(65_536).split(b" ")[1]
                assert status in (b"403", b"404", b"400", b"307"), (path, status)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            troubles, outside = [], []
            own = (f"http://127.0.0.1:{served.port}/", "data:", "blob:")
            page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
            page.on(
                "request",
                lambda r: None if r.url.startswith(own) else outside.append(r.url),
            )
            page.goto(served.dashboard)
            page.get_by_text(re.compile("Run a study|Research|Runs")).first.wait_for(timeout=30_000)
            assert page.url.rstrip("/").endswith("/dashboard") or "/dashboard?" in page.url
            assert "token" not in page.url
            page.wait_for_timeout(1_000)
            assert not outside
            assert not troubles
            # The browser's cookie opens the API too, to its own pages.
            status = page.evaluate("fetch('/whoami').then(answer => answer.json())")
            assert json.loads(json.dumps(status))["name"] == "owner"
            cookies = page.context.cookies()
            mine = next(each for each in cookies if each["name"].startswith("workbench-gateway"))
            assert mine["httpOnly"]
            assert mine["sameSite"] == "Strict"
        finally:
            browser.close()
