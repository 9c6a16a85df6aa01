"""What every test may use."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# The first example of a process pays for its imports: that is no defect of what is tested.
hypothesis.settings.register_profile("workbench", deadline=None)
hypothesis.settings.load_profile("workbench")

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REDIS = shutil.which("redis-server")
# .ci/run sets this: what a plain `make test` may skip is then required.
STRICT = bool(os.environ.get("WORKBENCH_STRICT_TESTS"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--drills", action="store_true", help="The long forms of fuzz and kill tests.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if STRICT:
        return
    missing = {
        "browser": None if CHROMIUM else "no Chromium here: apt-get install chromium",
        "redis": None if REDIS else "no redis-server here: apt-get install redis-server",
    }
    for item in items:
        for marker, reason in missing.items():
            if reason and marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=f"{reason} runs these too"))


@pytest.fixture(autouse=True)
def _no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the caller's environment out of the tests."""
    for name in list(os.environ):
        if name.startswith("WORKBENCH_") and name != "WORKBENCH_STRICT_TESTS":
            monkeypatch.delenv(name)


def make_project(root: Path) -> Any:
    """Make a project as `workbench init` does."""
    from workbench.core.project import Project

    for name in ("studies", "strategies", "notebooks"):
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    (root / "data").mkdir()
    (root / ".gateway").mkdir()
    return Project(root)


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """Make a project."""
    return make_project(tmp_path / "project")


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@pytest.fixture
def workbench(project: Any) -> Callable[..., Answer]:
    """Run the command line in the project as a user would, in a process of its own."""

    def call(
        *arguments: str,
        timeout: float = 120,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Answer:
        process = subprocess.run(
            [sys.executable, "-m", "workbench", *arguments],
            cwd=cwd or project.root,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
        )
        return Answer(process.returncode, process.stdout, process.stderr)

    return call
