"""The gateway inside a real Jupyter server, under its login."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import CHROMIUM
from workbench.gateway.lab import TOKEN_VARIABLE, proxied


@pytest.fixture(scope="module")
def lab(module_project, tmp_path_factory):
    """A Jupyter server whose proxy knows the gateway; its address and the gateway's token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = proxied(module_project)
    home = tmp_path_factory.mktemp("jupyter")
    (home / "jupyter_server_config.json").write_text(
        json.dumps({
            "ServerApp": {
                "ip": "127.0.0.1", "port": port, "port_retries": 0, "open_browser": False,
                "root_dir": str(module_project.root),
                "jpserver_extensions": {"jupyter_server_proxy": True},
            },
            "IdentityProvider": {"token": "lab-login"},
            "ServerProxy": {"servers": {"workbench": settings}},
        })
    )  # fmt: skip
    folders = {
        name: str(home)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    command = [sys.executable, "-m", "jupyter_server", "--allow-root"]
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=module_project.root, env={**os.environ, **folders},
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    late = time.monotonic() + 60
    try:
        while True:
            try:
                httpx.get(f"{base}/api", timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < late, (home / "log.txt").read_text()
                time.sleep(0.1)
        yield base, settings["environment"][TOKEN_VARIABLE]
    finally:
        process.terminate()
        process.wait(30)


def test_labs_login_opens_it_and_nothing_else_does(lab) -> None:
    base, token = lab
    with httpx.Client(trust_env=False, timeout=60) as http:
        refused = http.get(f"{base}/workbench/whoami")
        assert refused.status_code in (302, 403), "Lab's login comes first"
        bearer = {"Authorization": f"Bearer {token}"}
        assert http.get(f"{base}/workbench/whoami", headers=bearer).status_code in (302, 403)
        entry = {"Authorization": "token lab-login"}
        found = http.get(f"{base}/workbench/whoami", headers=entry)
        assert found.status_code == 200, found.text
        assert found.json()["name"] == "jupyterlab"
        assert http.get(f"{base}/workbench/studies", headers=entry).json()["files"]
        foreign = {**entry, "Origin": "http://evil.example"}
        body = {"study": {"file": "studies/ema-cross.yaml"}}
        checked = http.post(f"{base}/workbench/studies/validate", headers=foreign, json=body)
        assert checked.status_code in (403, 404)
        checked = http.post(f"{base}/workbench/studies/validate", headers=entry, json=body)
        assert checked.json() == {"valid": True, "errors": []}
    address = f"ws{base.removeprefix('http')}/workbench/events?since=0"
    with connect(address, additional_headers=entry, proxy=None, open_timeout=30):
        pass


def test_workbench_lab_has_it_in_the_launcher(project, tmp_path_factory) -> None:
    home = tmp_path_factory.mktemp("jupyter")
    folders = {f"JUPYTER_{name}_DIR": str(home) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--LabApp.news_url="]
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", *options, "--IdentityProvider.token=own"],
            cwd=project.root, env={**os.environ, **folders}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        late = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:(?!0\b)\d+", read(home / "log.txt"))):
            assert process.poll() is None, read(home / "log.txt")
            assert time.monotonic() < late, read(home / "log.txt")
            time.sleep(0.1)
        with httpx.Client(trust_env=False, timeout=60, base_url=found[0]) as http:
            http.headers["Authorization"] = "token own"
            entries = http.get("/server-proxy/servers-info").json()["server_processes"]
            (entry,) = (each for each in entries if each["name"] == "workbench")
            assert entry["launcher_entry"]["title"] == "NT Workbench"
            assert http.get("/workbench/health").status_code == 200
            names = {each["name"] for each in http.get("/api/contents/notebooks").json()["content"]}
            assert "01-quickstart.ipynb" in names
    finally:
        process.terminate()
        process.wait(30)


def read(path) -> str:
    return path.read_text()


@pytest.mark.browser
def test_the_dashboard_in_lab(lab) -> None:
    from playwright.sync_api import sync_playwright

    base, _ = lab
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            troubles, outside = [], []
            page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
            own = (base, "data:", "blob:")
            page.on("request", lambda r: None if r.url.startswith(own) else outside.append(r.url))
            page.goto(f"{base}/workbench/dashboard?token=lab-login", timeout=60_000)
            page.locator(".bk-tab, [role=tab], nav").first.wait_for(timeout=60_000)
            page.wait_for_timeout(1_000)
            assert not outside
            assert not troubles
        finally:
            browser.close()
