"""Nodes on replayed sample data, ended whatever the test does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workbench import live, study
from workbench.core.errors import WorkbenchError
from workbench.core.project import Project
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places


def live_study(project: Project, name: str = "ema-cross", **changes: Any) -> Study:
    """Return a shipped study with a live section: a replay as fast as orders settle, simulated."""
    document = study.load(project.root / "studies" / f"{name}.yaml").written()
    document["live"] = {
        "environment": "sandbox",
        "feeds": [{"adapter": "replay", "speed": changes.pop("speed", "max")}],
        "execution": [{"adapter": "sandbox"}],
    }
    return build(document | changes, Places(file="study.yaml"))


@pytest.fixture
def launch(project: Project) -> Iterator[Callable[..., live.Node]]:
    """Launch nodes that do not outlive the test."""

    def call(document: Study | None = None, **options: Any) -> live.Node:
        return live.launch(document or live_study(project), project, **options)

    yield call
    for node in live.nodes(project):
        if node.running:
            try:
                node.kill()
            except WorkbenchError:
                if node.running:
                    raise
