"""Finding the project one stands in."""

from pathlib import Path

import pytest

from workbench.core.errors import InputError
from workbench.core.project import Project


def test_the_project_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gateway").mkdir()
    deep = tmp_path / "notebooks" / "deep"
    deep.mkdir(parents=True)
    assert Project.find(deep).root == tmp_path.resolve()
    monkeypatch.chdir(deep)
    project = Project.find()
    assert project.root == tmp_path.resolve()
    for folder in (project.gateway, project.catalog, project.runs, project.stored):
        assert folder.is_relative_to(project.root)
    assert project.relative(project.root / "a" / "b") == "a/b"
    assert project.relative(Path("/elsewhere")) == "/elsewhere"


def test_no_project_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="Make one with: workbench init DIR"):
        Project.find(tmp_path)
    (tmp_path / "p" / ".gateway").mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_PROJECT", str(tmp_path / "p"))
    assert Project.find().root == (tmp_path / "p").resolve()
    with pytest.raises(InputError):
        Project.find(tmp_path)  # a folder that is given goes first
