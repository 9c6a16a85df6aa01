"""A planted key is used for real, in every way there is; then everything written is searched."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
import traceback
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.servers import accounts
from tests.servers.accounts import Account
from tests.servers.faults import Fault, Faults
from tests.servers.local import LocalServer
from workbench.adapters import secrets
from workbench.adapters.connection import check

KEY = "planted/KEY+0123456789-abcdef"
SECRET = "planted/SECRET+fedcba9876543210"
PASSPHRASE = "planted passphrase of the file"
ENVIRONMENT = "testnet"

NOTEBOOK = """
import logging
logging.basicConfig(level="DEBUG")
from workbench.adapters import check, secrets
found = secrets.require("bybit", "testnet", ["api_key", "api_secret"])
logging.getLogger("mine").error("the key is %s, all is %r", found["api_key"], found)
print(found, f"{found['api_key']}", vars())
check("bybit", environment="testnet").to_dict()
found
"""


def traces() -> list[bytes]:
    """Return what would betray a secret: its parts, as they are and encoded."""
    found = []
    for value in (KEY, SECRET, PASSPHRASE):
        parts = [value[:12], value[-12:], quote(value, safe="")[-14:]]
        parts += [b64encode(value.encode()[skip:]).decode()[:12] for skip in range(3)]
        found += [part.encode() for part in parts]
    return found


def betrayed(content: bytes) -> bool:
    return any(trace in content for trace in traces())


def listing(process: psutil.Process) -> bytes:
    """Return what `ps` and /proc tell about a process."""
    content = b""
    for name in ("cmdline", "environ"):
        try:
            content += Path(f"/proc/{process.pid}/{name}").read_bytes()
        except OSError:  # it has ended
            continue
    return content


@pytest.fixture
def session(project, tmp_path, monkeypatch):
    """A user's session: home, temporary folder and project, all below `tmp_path`."""
    for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "home" / "secrets.json"))
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "home" / "ipython"))
    return project


def command(session, *arguments: str, given: str = "") -> bytes:
    """Run a command; return what it printed."""
    process = subprocess.run(
        [sys.executable, "-m", "workbench", *arguments],
        input=given.encode(),
        capture_output=True,
        cwd=session.root,
        timeout=120,
    )
    return process.stdout + process.stderr


def store(session) -> bytes:
    """Store the key as a user does; try to give it as an argument too."""
    shown = b""
    for field, value in (("api_key", KEY), ("api_secret", SECRET)):
        shown += command(session, "secrets", "set", "bybit", field, "-e", ENVIRONMENT, given=value)
    assert shown.count(b"stored") == 2, shown
    shown += command(session, "secrets", "set", "bybit", "api_key", KEY)
    shown += command(session, "secrets", "list", "--json")
    return shown


def checks(session, account: Account) -> bytes:
    """Check the connection: with the right key, with one that is refused and quoted back."""
    well = command(session, "adapters", "check", "bybit", "-e", ENVIRONMENT, "--json")
    assert b'"ok": true' in well
    account.key = "another"
    refused = command(session, "adapters", "check", "bybit", "-e", ENVIRONMENT)
    assert b"you sent ********" in refused
    account.key = KEY
    return well + refused


def listings(faults: Faults, server: LocalServer) -> list[bytes]:
    """Return what the system tells of the check's process while it waits with the key in hand."""
    faults.next(Fault.HANG, path="query-api")
    before = server.count("query-api")
    thread = threading.Thread(
        target=check, args=("bybit",), kwargs={"environment": ENVIRONMENT, "timeout": 4}
    )
    thread.start()
    until = time.monotonic() + 30
    while server.count("query-api") == before and time.monotonic() < until:
        time.sleep(0.01)
    found = [listing(child) for child in psutil.Process().children(recursive=True)]
    thread.join()
    assert any(b"workbench.engine.connection" in each for each in found)
    return found


def in_python(caplog) -> str:
    """Use the key in a program that logs and prints whatever it has, and fails."""
    caplog.set_level("DEBUG")
    found = secrets.require("bybit", ENVIRONMENT, ["api_key", "api_secret"])
    logging.getLogger("mine").warning("%s %r", found["api_key"], found)
    shown = [str(found), json.dumps(found, default=str)]
    try:
        with secrets.redacting(found):
            int(f"https://host/?key={found['api_key'].reveal()}")  # its error quotes the text
    except Exception:
        shown.append(traceback.format_exc())
    return "".join(shown) + caplog.text


def test_nothing_that_was_written_holds_the_key(session, tmp_path, caplog) -> None:
    account, faults = Account(key=KEY, secret=SECRET, echo=True), Faults()
    app = accounts.bybit(account)
    app.middlewares.append(faults.middleware)
    with LocalServer(app) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_URL_BYBIT", server.url)
        shown = [store(session), checks(session, account)]
        notebook = session.root / "notebooks" / "key.ipynb"
        cell = {"cell_type": "code", "metadata": {}, "source": NOTEBOOK, "outputs": []}
        cell |= {"execution_count": None, "id": "a"}
        about = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        document = {"cells": [cell], "metadata": about, "nbformat": 4, "nbformat_minor": 5}
        notebook.write_text(json.dumps(document))
        executed = session.root / "notebooks" / "executed.ipynb"
        papermill = [sys.executable, "-m", "papermill", str(notebook), str(executed)]
        process = subprocess.run([*papermill, "--log-output"], capture_output=True, timeout=120)
        assert process.returncode == 0, process.stderr
        assert "api_key': ********" in executed.read_text()
        shown += [process.stdout, process.stderr]
        shown += listings(faults, server)
        shown.append(in_python(caplog).encode())
    shown.append(command(session, "backtest", "run", "studies/ema-cross.yaml", "--json"))
    assert b'"status": "done"' in shown[-1]
    assert len(account.asked) >= 3, "the key was not used"
    assert {key for _, key in account.asked} == {KEY}
    for number, each in enumerate(shown):
        assert not betrayed(each), f"what was shown {number}: {each[:2000]!r}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "secrets.json" for path in files)
    assert any("runs" in path.parts for path in files)
    assert [str(path) for path in files if betrayed(path.read_bytes())] == []


def test_the_search_finds_a_key_that_is_there(tmp_path) -> None:
    for content in (KEY, quote(KEY, safe=""), b64encode(f"user:{KEY}".encode()).decode()):
        assert betrayed(content.encode())
    assert not betrayed(b"nothing of the kind")
