"""A project and source files for the data room's tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.support import HEADER
from workbench.core.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make an empty project: these tests bring their own studies."""
    (tmp_path / "project" / ".gateway").mkdir(parents=True)
    (tmp_path / "project" / "data").mkdir()
    return Project(tmp_path / "project")


@pytest.fixture
def csv(project: Project) -> Callable[..., Path]:
    """Write ``data/bars.csv`` of the given lines."""

    def write(lines: list[str], header: str = HEADER, name: str = "bars.csv") -> Path:
        path = project.root / "data" / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write
