"""A gateway in a process of its own, as `workbench gateway serve` runs it, and a node behind it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import make_project
from tests.live.conftest import live_study
from workbench import live
from workbench.client import Client
from workbench.core.project import Project
from workbench.gateway import Tokens

LIVE = {
    "environment": "sandbox",
    "feeds": [{"adapter": "replay", "speed": 1}],
    "execution": [{"adapter": "sandbox"}],
}


@dataclass
class Served:
    """A gateway that runs."""

    project: Project
    url: str
    dashboard: str
    process: subprocess.Popen[str]
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        found = urlsplit(self.url).port
        assert found
        return found

    def token(self, scope: str = "admin") -> str:
        """Return a token with one scope, made once."""
        if scope not in self.tokens:
            self.tokens[scope] = Tokens(self.project).create(scope, [scope])[1]
        return self.tokens[scope]

    def headers(self, scope: str = "admin") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(scope)}"}

    def call(self, method: str, path: str, scope: str | None = "admin", **more: Any) -> Any:
        """Make a call with a token of that scope, or none."""
        headers = {**(self.headers(scope) if scope else {}), **more.pop("headers", {})}
        return httpx.request(
            method, f"{self.url}{path}", headers=headers, timeout=60, trust_env=False, **more
        )

    def client(self, scope: str = "admin") -> Client:
        return Client(self.url, self.token(scope))


@contextmanager
def serving(project: Project, *options: str) -> Iterator[Served]:
    """Run `workbench gateway serve` over a project."""
    with (project.root / "gateway.txt").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "gateway", "serve", "--port", "0", "--json",
             *options],
            cwd=project.root, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, (project.root / "gateway.txt").read_text()
            text += line
        said = json.loads(text)
        yield Served(project, said["url"], said["dashboard"], process)
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def module_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("gateway") / "project")


@pytest.fixture(scope="module")
def served(module_project: Project) -> Iterator[Served]:
    """A gateway without the dashboard: it starts faster."""
    with serving(module_project, "--no-dashboard") as found:
        yield found


@pytest.fixture(scope="module")
def node(module_project: Project) -> Iterator[live.Node]:
    """A node on a replay that stands still, with a price."""
    found = live.launch(live_study(module_project, speed=1), module_project)
    try:
        found.ask("pause_feed")
        found.ask("step_feed", rows=2)
        yield found
    finally:
        if found.running:
            found.kill()


@pytest.fixture
def order() -> Callable[..., dict[str, Any]]:
    def make(**values: Any) -> dict[str, Any]:
        return {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 10} | values

    return make


def audit(project: Project) -> list[dict[str, Any]]:
    lines = (project.gateway / "audit.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
