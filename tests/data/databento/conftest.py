"""A local Databento for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data.databento.support import BUSY, glbx, stored, trades
from tests.servers.databento import DatabentoServer
from workbench import data
from workbench.core.project import Project
from workbench.data import databento_batch, databento_client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Where a connection breaks, the client leaves its file to the garbage collector.
    mark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(mark)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabentoServer]:
    """Databento, and an environment that leads to it."""
    with DatabentoServer(tmp_path, glbx()) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def busy(server: DatabentoServer) -> DatabentoServer:
    """The same with so many trades that a broken download leaves something."""
    server.markets["GLBX.MDP3"] = glbx(BUSY)
    return server


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databento_client, "PAUSES", (0.0, 0.01, 0.01, 0.01, 0.01))
    monkeypatch.setattr(databento_batch, "POLLS", (0.01,))


def _fetched_whole(folder: Path, ticks: int) -> tuple[int, int]:
    (folder / ".gateway").mkdir()
    project = Project(folder)
    with DatabentoServer(folder, glbx(ticks)) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        data.fetch(trades(), project)
    return stored(project, trades())


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Rows and hash of a fetch that met no fault."""
    return _fetched_whole(tmp_path_factory.mktemp("reference"), 120)


@pytest.fixture(scope="module")
def busy_reference(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same of the busy market."""
    return _fetched_whole(tmp_path_factory.mktemp("reference"), BUSY)
