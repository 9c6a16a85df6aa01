"""A real dashboard: a server process on a project, and Chromium in front of it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import CHROMIUM, ROOT

SLOW = """\
schema: 1
study: slow
description: Takes a good half minute
data:
  - {provider: sample, instrument: AAPL.XNAS, bars: 1-DAY-LAST, start: 2005-01-01, end: 2013-03-01}
venues:
  - {name: XNAS, account: margin, oms: netting, balances: [500_000 USD], fees: {maker: 0, taker: 0}}
strategy: {path: "strategies/faulty.py:Faulty", params: {fault: slow}}
"""


# Bokeh and Tornado complain of pages that are closed while something is sent to them. What must not
# be there: an error, a warning of Python's, a traceback that comes through our code.
FAULT = re.compile(r"ERROR|Warning:|File \".*workbench/\w+/")
# What the server's libraries log of a page that is closed while something is being sent to it, or
# while a callback of it waits its turn.
CLOSED_PAGE = re.compile(
    r"ERROR:asyncio:Task exception was never retrieved\n"
    r"future: <Task finished .*tornado.*(WebSocketClosedError|StreamClosedError).*>\n"
    r"|ERROR:bokeh.util.asyncio:Error thrown from callback:\n"
    r"ERROR:bokeh.util.asyncio:Traceback \(most recent call last\):\n"
    r"(?:  .*\n)+"
    r"AttributeError: 'DocumentCallbackManager' object has no attribute '_change_callbacks'.*\n"
)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workbench", *arguments]


def run(root: Path, *arguments: str) -> Any:
    """Run a study in the project; return what the command printed."""
    process = subprocess.run(
        command("backtest", "run", *arguments, "--json"), cwd=root, capture_output=True, text=True
    )
    return json.loads(process.stdout)


def make_project(root: Path) -> Path:
    """Make a project as a user does, with the strategy that goes wrong on demand."""
    subprocess.run(command("init", str(root)), check=True, capture_output=True)
    (root / "strategies" / "faulty.py").write_text((ROOT / "tests" / "faulty.py").read_text())
    (root / "studies" / "slow.yaml").write_text(SLOW)
    return root


@dataclass
class Served:
    """A dashboard being served."""

    process: subprocess.Popen[str]
    url: str
    root: Path
    log: Path

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def port(self) -> int:
        """On the loopback interface."""
        return int(urlsplit(self.url).port or 0)

    def stop(self) -> int:
        """Tell it to stop as a service manager would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def serving(root: Path, log: Path, *, clean: bool = True) -> Iterator[Served]:
    """Serve the dashboard of a project; afterwards its log must be `clean`."""
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command("dashboard", "--port", "0", "--json"),
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert process.stdout is not None
    try:
        printed = ""
        while not printed.endswith("}\n"):
            line = process.stdout.readline()
            assert line, f"it never came up: {log.read_text()}"
            printed += line
        served = Served(process, json.loads(printed)["url"], root, log)
        yield served
        if process.poll() is None:
            assert served.stop() == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    told = CLOSED_PAGE.sub("", log.read_text())
    faults = [line for line in told.splitlines() if FAULT.search(line)]
    assert not clean or faults == [], log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page; requests that leave this machine and errors fail."""
    contexts, faults = [], []

    def guard(route: Any) -> None:
        host = urlsplit(route.request.url).hostname
        if host in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            faults.append(f"a request to {route.request.url}")
            route.abort()

    def open_page(url: str, *, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.route("**/*", guard)
        page.on("console", lambda m: m.type == "error" and faults.append(m.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
